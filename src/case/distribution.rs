//! Distributions over the classes: masses that are not negative and sum to 1, exactly.
//!
//! A loss that is asked of masses which only nearly sum to 1 has another truth than anybody means. So a case holds none that do: every
//! mass is a value of the dtype in [0, 1], and the sum, taken without any rounding, is 1. [`settle`] makes such a distribution of any
//! numbers, and whoever makes or changes masses ends with it.

use crate::dtype::{Dtype, exponent, ldexp};

/// The unit of [`Exact`]: the exponent of the least positive `f64`, of which every `f64` is a multiple.
const UNIT: i32 = -1074;

/// Words of [`Exact`]: up to 2^78, which no sum of masses reaches.
const WORDS: usize = 18;

/// The most bits behind the point of a mass that [`settle`] makes; what is smaller becomes 0. With a bit for 1 itself they fit a word.
const FINEST: i32 = 62;

/// A number that is not negative, exactly: a whole number of units, the least significant word first.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Exact([u64; WORDS]);

impl Exact {
    const ZERO: Exact = Exact([0; WORDS]);

    /// Adds a number from 0 to 1.
    fn add(&mut self, x: f64) {
        if x == 0.0 {
            return;
        }
        // The lowest bit of a significand of 53 bits, or that of a subnormal number.
        let lowest = (exponent(x) - 52).max(UNIT);
        let place = (lowest - UNIT) as usize;
        let mut word = place / 64;
        // Exact: a whole number below 2^53.
        let mut carry = u128::from(ldexp(x, -lowest) as u64) << (place % 64);
        while carry != 0 {
            carry += u128::from(self.0[word]);
            self.0[word] = carry as u64;
            (carry, word) = (carry >> 64, word + 1);
        }
    }

    fn sum(values: impl Iterator<Item = f64>) -> Self {
        let mut sum = Self::ZERO;
        values.for_each(|x| sum.add(x));
        sum
    }

    /// What 1 has more; none where it has less.
    fn rest(self) -> Option<Self> {
        let mut rest = Self::sum([1.0].into_iter());
        let mut borrow = false;
        for (word, less) in rest.0.iter_mut().zip(self.0) {
            let (difference, first) = word.overflowing_sub(less);
            let (difference, second) = difference.overflowing_sub(u64::from(borrow));
            (*word, borrow) = (difference, first || second);
        }
        (!borrow).then_some(rest)
    }

    /// The `f64` that is this number, if one is.
    fn to_f64(self) -> Option<f64> {
        let Some(highest) = self.0.iter().rposition(|&word| word != 0) else { return Some(0.0) };
        let top = 64 * highest as i32 + 63 - self.0[highest].leading_zeros() as i32;
        // Two words have the 53 bits from the highest on; all below must be 0.
        let lowest = (top - 52).max(0) as usize;
        let (word, shift) = (lowest / 64, lowest % 64);
        let above = self.0.get(word + 1).copied().unwrap_or(0);
        let bits = (u128::from(self.0[word]) | u128::from(above) << 64) >> shift;
        let is_exact = self.0[..word].iter().all(|&word| word == 0) && self.0[word] & ((1 << shift) - 1) == 0;
        is_exact.then(|| ldexp(bits as f64, lowest as i32 + UNIT))
    }
}

/// What is wrong with the masses of a case, in words; none where they are a distribution: each a value of the dtype in [0, 1], and
/// together 1 exactly.
pub(super) fn fault(dtype: Dtype, masses: &[f64]) -> Option<String> {
    let fits = |&mass: &f64| (0.0..=1.0).contains(&mass) && dtype.holds(mass);
    if let Some(index) = masses.iter().position(|mass| !fits(mass)) {
        return Some(format!(
            "mass {index} of the distribution is {}, which is no {dtype} value in [0, 1]",
            masses[index]
        ));
    }
    if masses.is_empty() {
        return Some("a distribution needs a class, and there is no logit; give one logit at least".into());
    }
    let rest = Exact::sum(masses.iter().copied()).rest();
    if rest == Some(Exact::ZERO) {
        return None;
    }
    let by = if rest.is_some() { "less" } else { "more" };
    let bits = dtype.format().precision;
    Some(format!(
        "the {} masses of the distribution sum to {by} than 1, and must sum to 1 exactly; multiples of 2^-{bits} that add up to 1 do",
        masses.len()
    ))
}

/// Whether the masses are a distribution over one class at least.
fn is_settled(dtype: Dtype, masses: &[f64]) -> bool {
    fault(dtype, masses).is_none()
}

/// Makes any numbers a distribution of the dtype: one that is one stays as it is, bit for bit. NaN counts as 0, a negative number as its
/// size and an infinity as the largest number.
///
/// Where the others sum to no more than 1, the largest takes what they leave, if that is a number of the dtype. Otherwise all are divided
/// by their sum and rounded down to numbers of the dtype, and what that leaves is given to the largest, then to the next ones. A class
/// without mass gets none, unless no class has any: then the first has all. Without a class there is nothing to do.
pub(crate) fn settle(dtype: Dtype, masses: &mut [f64]) {
    if masses.is_empty() || is_settled(dtype, masses) {
        return;
    }
    let largest_number = dtype.format().largest();
    for mass in masses.iter_mut() {
        *mass = if mass.is_nan() { 0.0 } else { dtype.round(mass.abs().min(largest_number)) };
    }
    // The first of the largest.
    let largest = (1..masses.len()).fold(0, |found, i| if masses[i] > masses[found] { i } else { found });
    let others = || masses.iter().enumerate().filter(|&(i, _)| i != largest).map(|(_, &mass)| mass);
    if others().all(|mass| mass <= 1.0)
        && let Some(rest) = Exact::sum(others()).rest().and_then(Exact::to_f64)
        && dtype.holds(rest)
    {
        masses[largest] = rest;
        return;
    }
    let top = masses[largest];
    let sum: f64 = masses.iter().map(|mass| mass / top).sum();
    let shares: Vec<f64> = masses.iter().map(|mass| mass / top / sum).collect();
    let format = dtype.format();
    let (coarsest, finest) = (format.precision as i32, FINEST.min(-format.least_exponent()));
    // From fine to coarse. With as many bits behind the point as the precision has, every mass is a number of the dtype, and the largest
    // takes all that is left.
    let grids = (coarsest + 1..=finest).rev().step_by(GRID_STEP).chain([coarsest]);
    for bits in grids {
        if let Some(units) = on_grid(&shares, largest, bits, format.precision) {
            masses.iter_mut().zip(units).for_each(|(mass, units)| *mass = ldexp(units as f64, -bits));
            return;
        }
    }
}

/// How much coarser the next grid is that [`settle`] tries.
const GRID_STEP: usize = 6;

/// Shares of a whole as numbers of `precision` bits on a grid: for each how many times `2^-bits` it is, together `2^bits`; none where that
/// cannot be done.
fn on_grid(shares: &[f64], largest: usize, bits: i32, precision: u32) -> Option<Vec<u64>> {
    /// Rounded down to so many bits.
    fn shortened(units: u64, precision: u32) -> u64 {
        let width = u64::BITS - units.leading_zeros();
        units >> width.saturating_sub(precision) << width.saturating_sub(precision)
    }
    let mut left = 1u64 << bits;
    let mut all: Vec<u64> = Vec::with_capacity(shares.len());
    for &share in shares {
        // The roundings of the shares may add up to more than the whole.
        let units = shortened((ldexp(share, bits) as u64).min(left), precision);
        all.push(units);
        left -= units;
    }
    let others = (0..shares.len()).filter(|&i| i != largest && shares[i] > 0.0);
    for i in std::iter::once(largest).chain(others) {
        if left == 0 {
            break;
        }
        let more = shortened(all[i] + left, precision);
        left -= more - all[i];
        all[i] = more;
    }
    (left == 0).then_some(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Whether the masses are a distribution, without the code above: by halves, in whole numbers of 2^-1200 that are kept as bits.
    fn sums_to_one(masses: &[f64]) -> bool {
        // The bits of the sum by their place, as counts that are carried at the end.
        let mut counts = vec![0u64; 1100];
        for &mass in masses {
            let (bits, field) = (mass.to_bits() & ((1 << 52) - 1), mass.to_bits() >> 52);
            let significand = if field == 0 { bits } else { bits | 1 << 52 };
            for bit in (0..53).filter(|bit| significand >> bit & 1 == 1) {
                counts[bit + field.saturating_sub(1) as usize] += 1;
            }
        }
        for place in 0..counts.len() - 1 {
            counts[place + 1] += counts[place] / 2;
            counts[place] %= 2;
        }
        counts.iter().enumerate().all(|(place, &count)| count == u64::from(place == 1074))
    }

    fn assert_settled(dtype: Dtype, masses: &[f64]) {
        assert!(masses.iter().all(|mass| (0.0..=1.0).contains(mass) && dtype.holds(*mass)), "{dtype} {masses:?}");
        assert!(sums_to_one(masses), "{dtype} {masses:?}");
        assert_eq!(fault(dtype, masses), None, "{dtype} {masses:?}");
    }

    /// Numbers as they come: of any bits, of everyday size, equal ones, zeros.
    fn numbers() -> impl Strategy<Value = Vec<f64>> {
        let bits = any::<u64>().prop_map(f64::from_bits);
        let number = prop_oneof![bits, 0.0..1.0f64, (-300.0..5.0f64).prop_map(f64::exp2), Just(0.0), Just(0.25)];
        prop_oneof![proptest::collection::vec(number, 1..40), (0.0..2.0f64, 1..3000usize).prop_map(|(x, n)| vec![x; n]),]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4_000))]

        /// Any numbers become a distribution of any dtype; once it is one, it stays, and zeros stay zeros.
        #[test]
        fn any_numbers_settle(numbers in numbers(), place in 0..Dtype::ALL.len()) {
            let dtype = Dtype::ALL[place];
            let mut masses = numbers.clone();
            settle(dtype, &mut masses);
            assert_settled(dtype, &masses);
            let before = masses.clone();
            settle(dtype, &mut masses);
            prop_assert_eq!(&masses, &before);
            let rounded: Vec<f64> = numbers.iter().map(|&x| if x.is_nan() { 0.0 } else { dtype.round(x) }).collect();
            if rounded.iter().any(|&x| x != 0.0) {
                prop_assert!(rounded.iter().zip(&masses).all(|(&x, &mass)| x != 0.0 || mass == 0.0));
            }
        }

        /// What is divided by its sum keeps its proportions, as far as the dtype tells them.
        #[test]
        fn proportions_are_kept(numbers in proptest::collection::vec(1.0..2.0f64, 3..50), place in 0..Dtype::ALL.len()) {
            let dtype = Dtype::ALL[place];
            let sum: f64 = numbers.iter().map(|&x| dtype.round(x)).sum();
            let mut masses = numbers.clone();
            settle(dtype, &mut masses);
            // Each loses a rounding of itself, and one class may take what all lost, and what their sum is off.
            let slack = 8.0 * (numbers.len() + 1) as f64 * dtype.format().unit_roundoff();
            for (&x, &mass) in numbers.iter().zip(&masses) {
                prop_assert!((mass * sum / dtype.round(x) - 1.0).abs() <= slack, "{dtype} {mass} of {x} / {sum}");
            }
        }
    }

    #[test]
    fn the_rest_goes_to_the_largest() {
        for (numbers, due) in [
            (&[0.0, 0.0, 0.0][..], &[1.0, 0.0, 0.0][..]),
            (&[f64::NAN], &[1.0]),
            (&[0.25, 0.5], &[0.25, 0.75]),
            (&[0.25, 1.0, 0.5], &[0.25, 0.25, 0.5]),
            (&[3.0, 3.0], &[0.5, 0.5]),
            (&[f64::INFINITY, -f64::INFINITY], &[0.5, 0.5]),
            // 1 - 2^-30 is no f32: the small mass is what the number below 1 leaves.
            (&[1.0, f64::powi(2.0, -30)], &[1.0 - f64::powi(2.0, -24), f64::powi(2.0, -24)]),
            (&[1.0, f64::powi(2.0, -24)], &[1.0 - f64::powi(2.0, -24), f64::powi(2.0, -24)]),
            // Already one, though it is spread over more than any word of bits.
            (&[0.5, 0.25, 0.25, -0.0], &[0.5, 0.25, 0.25, -0.0]),
        ] {
            let mut masses = numbers.to_vec();
            settle(Dtype::F32, &mut masses);
            assert_eq!(masses, due, "{numbers:?}");
        }
        settle(Dtype::F32, &mut []);
    }

    /// Masses down to the least number of a dtype, each with its half to follow: the sum is 1 exactly, and is told to be.
    #[test]
    fn a_sum_over_all_exponents_is_exact() {
        for dtype in Dtype::ALL {
            let least = dtype.format().least_exponent();
            let mut halves: Vec<f64> = (1..=-least).map(|e| ldexp(1.0, -e)).collect();
            assert!(fault(dtype, &halves).unwrap().contains("less than 1"));
            halves.push(ldexp(1.0, least));
            assert_settled(dtype, &halves);
            halves.push(ldexp(1.0, least));
            assert!(fault(dtype, &halves).unwrap().contains("more than 1"));
            assert!(!sums_to_one(&halves));
            settle(dtype, &mut halves);
            assert_settled(dtype, &halves);
        }
    }

    #[test]
    fn what_is_no_distribution_is_told() {
        for (masses, part) in [
            (&[0.5, f64::NAN][..], "mass 1 of the distribution is NaN"),
            (&[-0.5, 1.5], "mass 0 of the distribution is -0.5, which is no f16 value in [0, 1]"),
            (&[0.3, 0.7], "mass 0 of the distribution is 0.3, which is no f16"),
            (&[0.5, 0.25], "the 2 masses of the distribution sum to less than 1, and must sum to 1 exactly"),
            (&[1.0, 0.25], "sum to more than 1"),
            (&[], "give one logit at least"),
        ] {
            let found = fault(Dtype::F16, masses).unwrap();
            assert!(found.contains(part) && !found.contains('\n'), "{found}");
        }
    }
}
