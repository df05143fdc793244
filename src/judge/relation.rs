//! Relations that need no oracle: what must hold between the outputs of a case, or between a case and a transformed one.
//!
//! The two sum relations hold for every kernel that divides by the sum it formed, whatever its exp. The others hold only for
//! kernels of a certain shape and are checked where a kernel claims that shape.

use super::bound::{least_number, sum_error};
use crate::case::{Case, Value};
use crate::dtype::{exponent, ldexp, two_sum};
use crate::kernel::{Claims, Online, Summation};
use crate::op::Op;
use crate::op::definition::Shift;
use crate::special::RowClass;
use std::fmt;

/// A relation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Relation {
    /// The probabilities sum to 1.
    SumsToOne,
    /// The gradient sums to 0.
    SumsToZero,
    /// Probabilities in [0, 1], log-probabilities at most 0, losses at least 0, log-sum-exp at least the maximum.
    Range,
    /// A larger logit has no smaller probability.
    Order,
    /// A common shift that is exact changes no bit (of log-sum-exp: changes it by the shift).
    Shift,
    /// One more logit of -inf changes no bit.
    ExtraMask,
    /// Permuting the logits permutes the outputs.
    Permutation,
    /// A row has the same bits by itself and in a batch.
    BatchInvariance,
}

impl Relation {
    /// Every relation.
    pub const ALL: [Relation; 8] = [
        Relation::SumsToOne,
        Relation::SumsToZero,
        Relation::Range,
        Relation::Order,
        Relation::Shift,
        Relation::ExtraMask,
        Relation::Permutation,
        Relation::BatchInvariance,
    ];

    /// The relation in words, as it is broken.
    pub const fn broken(self) -> &'static str {
        match self {
            Relation::SumsToOne => "the probabilities do not sum to 1",
            Relation::SumsToZero => "the gradient does not sum to 0",
            Relation::Range => "an output is outside the range of the op",
            Relation::Order => "a larger logit has a smaller probability",
            Relation::Shift => "adding a constant to all logits, exactly, changes the result",
            Relation::ExtraMask => "one more class of -inf changes the result",
            Relation::Permutation => "reversing the logits does not reverse the result",
            Relation::BatchInvariance => "the same row has other bits in a batch than by itself",
        }
    }
}

impl fmt::Display for Relation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.broken())
    }
}

/// The first relation that the outputs of an ordinary row break among themselves.
pub(super) fn broken_within(case: &Case, outputs: &[f64], claims: &Claims, sum_bound: f64) -> Option<Relation> {
    let facts = case.op().row();
    let sum =
        facts.and_then(|facts| facts.sum).filter(|_| !outputs.is_empty() && outputs.iter().all(|x| x.is_finite()));
    if let Some(sum) = sum
        && exact_sum(outputs, -sum.value).abs() > sum_bound
    {
        return Some(if sum.value == 0.0 { Relation::SumsToZero } else { Relation::SumsToOne });
    }
    if claims.shifted {
        // Where subnormal numbers are flushed, the maximum itself may be.
        let flushed = least_number(case, claims, 0.0);
        let is_below_maximum = shift(case.op()) == Some(Shift::Follows)
            && if case.op().is_of_prefixes() {
                let mut max = f64::NEG_INFINITY;
                outputs.iter().zip(case.logits()).any(|(&x, &z)| {
                    max = max.max(z);
                    x < max - flushed
                })
            } else {
                let max = case.logits().iter().copied().fold(f64::NEG_INFINITY, f64::max);
                outputs.iter().any(|&x| x < max - flushed)
            };
        // NaN that passed is an overflow that is forgiven.
        if is_below_maximum || outputs.iter().any(|&x| !x.is_nan() && is_out_of_range(case.op(), x)) {
            return Some(Relation::Range);
        }
    }
    let is_order_due = claims.elementwise_monotone && facts.is_some_and(|facts| facts.is_monotone);
    (is_order_due && !keeps_order(&case.signed_logits(), outputs)).then_some(Relation::Order)
}

/// Whether no output is smaller than that of a smaller logit. An output that is NaN is not compared.
fn keeps_order(logits: &[f64], outputs: &[f64]) -> bool {
    // What is NaN, or wider than an f32, has no key.
    if logits.iter().chain(outputs).all(|&x| f64::from(x as f32) == x) {
        let pair = |(&logit, &output): (&f64, &f64)| u64::from(ordered(logit)) << 32 | u64::from(ordered(output));
        let mut pairs: Vec<u64> = logits.iter().zip(outputs).map(pair).collect();
        // Integers are sorted faster than places by their logits. Equal logits then have ascending outputs, so the
        // largest output of all smaller logits is the one before.
        pairs.sort_unstable();
        pairs.is_sorted_by_key(|&pair| pair as u32)
    } else {
        keeps_order_of_any(logits, outputs)
    }
}

/// The same of any numbers.
fn keeps_order_of_any(logits: &[f64], outputs: &[f64]) -> bool {
    let mut order: Vec<usize> = (0..outputs.len()).collect();
    order.sort_by(|&i, &j| logits[i].total_cmp(&logits[j]));
    // The largest output of all smaller logits, group by group of equal ones.
    let mut below = f64::NEG_INFINITY;
    for group in order.chunk_by(|&i, &j| logits[i] == logits[j]) {
        if group.iter().any(|&j| outputs[j] < below) {
            return false;
        }
        below = group.iter().fold(below, |below, &j| below.max(outputs[j]));
    }
    true
}

/// An integer for a value of f32, ordered as the values are; zeros of both signs have one.
fn ordered(x: f64) -> u32 {
    const SIGN: u32 = 1 << 31;
    let bits = (x as f32 + 0.0).to_bits();
    if bits & SIGN == 0 { bits | SIGN } else { !bits }
}

/// What a common shift does to the outputs of an op; none where each element stands for itself.
fn shift(op: Op) -> Option<Shift> {
    op.row().map(|facts| facts.shift)
}

/// Whether a number is outside the range of the op: a probability outside [0, 1], a log-probability above 0, a negative loss.
pub(super) fn is_out_of_range(op: Op, x: f64) -> bool {
    let (least, largest) = op.facts().range;
    x < least || x > largest || (x.is_nan() && least > f64::NEG_INFINITY && largest < f64::INFINITY)
}

/// The transformed cases whose outputs a kernel's claims relate to those of this one. Ordinary, short rows only: long ones
/// show nothing more.
pub(super) fn transformed(case: &Case, claims: &Claims) -> Vec<(Relation, Case)> {
    const LONGEST: usize = 256;
    let logits = case.logits();
    let n = logits.len();
    let mut cases = Vec::new();
    if !(2..=LONGEST).contains(&n) || !RowClass::of_case(case).is_ordinary() {
        return cases;
    }
    let dtype = case.dtype();
    if claims.shifted && !case.op().is_elementwise() && shift(case.op()) != Some(Shift::Rounded) {
        // A shift by a power of two around the size of the row: exact often enough, and then a strong check.
        let size = logits.iter().filter(|z| z.is_finite()).fold(0.0f64, |size, z| size.max(z.abs()));
        let shift = dtype.round(ldexp(1.0, exponent(size.max(1.0)).min(1000)));
        let moved = |z: f64| if z.is_finite() { dtype.round(z + shift) } else { z };
        let is_exact = logits.iter().all(|&z| {
            let moved = moved(z);
            !z.is_finite() || (moved.is_finite() && moved - shift == z && moved - z == shift)
        });
        if is_exact {
            let shifted = logits.iter().map(|&z| moved(z)).collect();
            cases.push((Relation::Shift, case.derived(shifted, Value::clone)));
        }
    }
    let smoothing = case.target().map_or(0.0, |(_, smoothing)| smoothing);
    // Of a negative scale it is +inf that masks, and of 0 nothing does.
    let mask = match case.scale() {
        Some(scale) if scale < 0.0 => f64::INFINITY,
        _ => f64::NEG_INFINITY,
    };
    let takes_mask = case.op().mean_of().is_none() && smoothing == 0.0 && case.scale() != Some(0.0);
    if claims.sequential && claims.sum == Summation::Sequential && takes_mask {
        let longer = |row: &[f64], last: f64| row.iter().copied().chain([last]).collect();
        // What a mask adds to the target's logits is masked as well.
        let added = if case.target_logits().is_some() { mask } else { 0.0 };
        let other = |value: &Value| match value {
            Value::Row(values) => Value::Row(longer(values, added)),
            Value::Number(_) | Value::Index(_) | Value::Indices(_) => value.clone(),
        };
        cases.push((Relation::ExtraMask, case.derived(longer(logits, mask), other)));
    }
    // Which weights are rescaled, and how often, depends on the order.
    let rescales = claims.online != Online::No || claims.merged > 1;
    let is_equivariant = case.op().row().is_some_and(|facts| facts.is_equivariant);
    if claims.elementwise_monotone && !rescales && is_equivariant {
        let reversed = |row: &[f64]| row.iter().rev().copied().collect();
        let other = |value: &Value| match value {
            Value::Row(values) => Value::Row(reversed(values)),
            Value::Index(class) => Value::Index(n - 1 - class),
            Value::Number(_) | Value::Indices(_) => value.clone(),
        };
        cases.push((Relation::Permutation, case.derived(reversed(logits), other)));
    }
    cases
}

/// Whether the outputs of a transformed case stand in the relation to those of the case.
pub(super) fn holds_between(
    relation: Relation,
    case: &Case,
    outputs: &[f64],
    moved: &Case,
    moved_outputs: &[f64],
    claims: &Claims,
) -> bool {
    let same = |a: f64, b: f64| a == b || (a.is_nan() && b.is_nan());
    let (output, accumulator) = (case.output_format(), claims.accumulator(case.dtype()).format());
    let u = output.unit_roundoff().max(accumulator.unit_roundoff());
    let least = least_number(case, claims, output.least());
    match relation {
        Relation::Shift if shift(case.op()) == Some(Shift::Follows) => {
            let mut shifts =
                moved.logits().iter().zip(case.logits()).filter(|(_, z)| z.is_finite()).map(|(moved, z)| moved - z);
            let Some(shift) = shifts.next() else { return false };
            // Each of the two is a rounded sum of the maximum and the same logarithm; of a masked prefix both are -inf.
            let follows = |(&before, &after): (&f64, &f64)| {
                before == after && before.is_infinite()
                    || (after - before - shift).abs() <= 2.0 * u * (before.abs() + after.abs()) + least
            };
            !outputs.is_empty()
                && outputs.len() == moved_outputs.len()
                && outputs.iter().zip(moved_outputs).all(follows)
        }
        Relation::Shift => {
            outputs.len() == moved_outputs.len() && outputs.iter().zip(moved_outputs).all(|(&a, &b)| same(a, b))
        }
        // The class that is added comes last.
        Relation::ExtraMask => outputs.iter().zip(moved_outputs).all(|(&a, &b)| same(a, b)),
        Relation::Permutation => {
            let h = sum_error(claims, case);
            let rounded_again = if accumulator == output { 0.0 } else { 2.0 * output.unit_roundoff() };
            let second_order = 1.0 + 4.0 * h;
            let relative = (2.0 * h + 2.0 * accumulator.unit_roundoff() + rounded_again) * second_order;
            let close = |a: f64, b: f64| same(a, b) || (a - b).abs() <= relative * a.abs().max(b.abs()) + least;
            let mut pairs = outputs.iter().copied().zip(moved_outputs.iter().rev().copied());
            let Some(masses) = case.distribution() else { return pairs.all(|(a, b)| close(a, b)) };
            let own = relative + 2.0 * accumulator.unit_roundoff() * second_order;
            if case.op().is_scalar() {
                // The sum of the weights, and that of the products, each in two orders; the logarithm, products and the last sum are
                // rounded, too.
                let own = own + (6.0 + 2.0 * claims.log.max(claims.log1p)) * accumulator.unit_roundoff() * second_order;
                let apart = 2.0 * h * second_order + (2 * case.logits().len() + 1) as f64 * least;
                return pairs.all(|(a, b)| same(a, b) || (a - b).abs() <= own * a.abs().max(b.abs()) + apart);
            }
            // Of p - q the probability is another one, and the difference is rounded.
            let close = |((a, b), mass): ((f64, f64), &f64)| {
                same(a, b) || (a - b).abs() <= own * (a.abs().max(b.abs()) + mass) + 2.0 * least
            };
            pairs.zip(masses).all(close)
        }
        // Those of the outputs of one case, and of one case in two batches.
        Relation::SumsToOne | Relation::SumsToZero | Relation::Range | Relation::Order | Relation::BatchInvariance => {
            true
        }
    }
}

/// `start + sum`, with an error far below one rounding of the result (compensated, of finite numbers).
fn exact_sum(values: &[f64], start: f64) -> f64 {
    /// Sums side by side, in one order on every machine: one alone waits for itself.
    const LANES: usize = 8;
    let (mut sums, mut rests) = ([0.0; LANES], [0.0; LANES]);
    let mut add = |lane: usize, x: f64| {
        let (sum, error) = two_sum(sums[lane], x);
        (sums[lane], rests[lane]) = (sum, rests[lane] + error);
    };
    let mut chunks = values.chunks_exact(LANES);
    for chunk in chunks.by_ref() {
        (0..LANES).for_each(|lane| add(lane, chunk[lane]));
    }
    chunks.remainder().iter().enumerate().for_each(|(lane, &x)| add(lane, x));
    let (sum, rest) = sums.iter().zip(&rests).fold((start, 0.0), |(sum, rest), (&x, &rest_too)| {
        let (sum, error) = two_sum(sum, x);
        (sum, rest + (error + rest_too))
    });
    sum + rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generate::draw::Draw;

    /// Both ways of telling whether order is kept, against every pair of logits.
    #[test]
    fn order_is_kept_where_no_pair_breaks_it() {
        const INFINITY: f64 = f64::INFINITY;
        let values = [
            -INFINITY,
            -2.0,
            -f64::from(f32::MIN_POSITIVE),
            -1e-45f32 as f64,
            -0.0,
            0.0,
            1e-45f32 as f64,
            1.5,
            INFINITY,
        ];
        let mut draw = Draw::from_seed(1);
        let mut counts = [0; 2];
        for round in 0..20_000 {
            let n = draw.index(7);
            let logits: Vec<f64> = (0..n).map(|_| draw.choose(&values)).collect();
            let mut outputs: Vec<f64> = logits.clone();
            // Half of the rows keep their order but for one output.
            let changed = if round % 2 == 0 { 0..n } else { 0..n.min(1) };
            changed.for_each(|j| outputs[j] = draw.choose(&values));
            if draw.chance(8) && n > 0 {
                outputs[draw.index(n)] = f64::NAN;
            }
            let is_broken = |(i, j): (usize, usize)| logits[i] < logits[j] && outputs[j] < outputs[i];
            let due = !(0..n).flat_map(|i| (0..n).map(move |j| (i, j))).any(is_broken);
            assert_eq!(keeps_order(&logits, &outputs), due, "{logits:?} {outputs:?}");
            assert_eq!(keeps_order_of_any(&logits, &outputs), due, "{logits:?} {outputs:?}");
            counts[usize::from(due)] += 1;
        }
        assert!(counts.iter().all(|&count| count > 2_000), "{counts:?}");
        // Wider than an f32, and apart by less than one tells.
        let (low, high) = (1.0, 1.0 + f64::EPSILON);
        assert!(keeps_order(&[low, high], &[low, high]));
        assert!(!keeps_order(&[low, high], &[high, low]));
        assert!(!keeps_order(&[1.0, 2.0], &[high, low]) && !keeps_order(&[low, high], &[2.0, 1.0]));
    }

    #[test]
    fn transformed_cases_take_all_inputs_with_them() {
        let mut claims = Claims::default();
        claims.set("shifted,sequential,elementwise_monotone").unwrap();
        for (text, due) in [
            (
                "softmax f32 [1, 2, -inf]",
                vec!["softmax f32 [3, 4, -inf]", "softmax f32 [1, 2, -inf, -inf]", "softmax f32 [-inf, 2, 1]"],
            ),
            (
                "cross_entropy_grad f16 [1, 2, 3] target=0 label_smoothing=0",
                vec![
                    "cross_entropy_grad f16 [3, 4, 5] target=0 label_smoothing=0",
                    "cross_entropy_grad f16 [1, 2, 3, -inf] target=0 label_smoothing=0",
                ],
            ),
            (
                "softmax_vjp f64 [1, 0x1.0000000000001p+1] cotangent=[5, 6]",
                vec!["softmax_vjp f64 [1, 0x1.0000000000001p+1, -inf] cotangent=[5, 6, 0]"],
            ),
            (
                "soft_cross_entropy f32 [1, 2] distribution=[0.25, 0.75]",
                vec![
                    "soft_cross_entropy f32 [3, 4] distribution=[0.25, 0.75]",
                    "soft_cross_entropy f32 [1, 2, -inf] distribution=[0.25, 0.75, 0]",
                    "soft_cross_entropy f32 [2, 1] distribution=[0.75, 0.25]",
                ],
            ),
            (
                "scaled_softmax f32 [1, inf] scale=-0.5",
                vec!["scaled_softmax f32 [1, inf, inf] scale=-0.5", "scaled_softmax f32 [inf, 1] scale=-0.5"],
            ),
            (
                "kl_divergence f32 [1, 2] target_logits=[2, 3]",
                vec![
                    "kl_divergence f32 [3, 4] target_logits=[2, 3]",
                    "kl_divergence f32 [1, 2, -inf] target_logits=[2, 3, -inf]",
                ],
            ),
            ("scaled_softmax f32 [1, 2] scale=0", vec!["scaled_softmax f32 [2, 1] scale=0"]),
            ("softmax f32 [1]", vec![]),
            ("softmax f32 [1, nan]", vec![]),
        ] {
            let made = transformed(&Case::parse(text).unwrap(), &claims);
            let due: Vec<Case> = due.into_iter().map(|text| Case::parse(text).unwrap()).collect();
            assert_eq!(made.into_iter().map(|(_, case)| case).collect::<Vec<Case>>(), due, "{text}");
        }
    }
}
