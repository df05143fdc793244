//! The last tier: open intervals of MPFR numbers, with ends rounded outward.
//!
//! An interval `(low, high)` is open, so an end that lies exactly on a representable number, a midpoint or a power of two does
//! not contain it: that is how the sign of a remainder far below any precision still decides a rounding. A single number is the
//! interval whose ends are equal.

use super::super::prepared::{Prepared, exact, target_mass};
use super::super::rounded::Rounded;
use super::super::row::{self, Enclosures, MASKED};
use crate::op::tier::{ElementTier, RowTier};
use rug::{Assign, Float, Rational, float::Round, ops::AddAssignRound, ops::AssignRound, ops::SubAssignRound};
use std::ops::{Add, Mul, Neg, Sub};

/// An open interval, or a point.
#[derive(Debug, Clone)]
pub(crate) struct Interval {
    pub low: Float,
    pub high: Float,
}

impl Interval {
    /// The ends of `value`, rounded outward to `bits`.
    pub fn enclose<T: Copy>(bits: u32, value: T) -> Self
    where
        Float: AssignRound<T, Round = Round, Ordering = std::cmp::Ordering>,
    {
        Self {
            low: Float::with_val_round(bits, value, Round::Down).0,
            high: Float::with_val_round(bits, value, Round::Up).0,
        }
    }

    /// A rational number, rounded outward to `bits`.
    pub fn rational(bits: u32, value: &Rational) -> Self {
        Self::enclose(bits, value)
    }

    /// `a - b` of two `f64`, rounded outward to `bits`, which must be 53 at least; no rational number is as fast.
    pub fn difference(bits: u32, a: f64, b: f64) -> Self {
        let (mut low, mut high) = (Float::with_val(bits, a), Float::with_val(bits, a));
        low.sub_assign_round(b, Round::Down);
        high.sub_assign_round(b, Round::Up);
        Self { low, high }
    }

    /// `(0, 2^exponent)`: a positive number of which nothing else is known.
    pub fn positive_below(bits: u32, exponent: i32) -> Self {
        let mut high = Float::with_val(bits, 1);
        high <<= exponent;
        Self { low: Float::with_val(bits, 0), high }
    }

    /// The point 0.
    pub fn zero(bits: u32) -> Self {
        Self { low: Float::with_val(bits, 0), high: Float::with_val(bits, 0) }
    }

    fn bits(&self) -> u32 {
        self.low.prec()
    }

    /// Whether this is the point 0.
    pub fn is_zero(&self) -> bool {
        self.low == 0 && self.high == 0
    }

    /// Whether every number inside is positive.
    pub fn is_positive(&self) -> bool {
        self.low >= 0 && self.high > 0
    }

    /// Whether every number inside is negative.
    pub fn is_negative(&self) -> bool {
        self.high <= 0 && self.low < 0
    }

    /// A number inside, with enough bits to lie strictly inside.
    pub fn middle(&self) -> Float {
        let exponent = |x: &Float| x.get_exp().unwrap_or(0);
        let gap = (exponent(&self.high).max(exponent(&self.low)) - exponent(&self.high).min(exponent(&self.low)))
            .clamp(0, 8192);
        let bits = self.bits() + gap as u32 + 2;
        let mut middle = Float::with_val(bits, &self.low + &self.high);
        middle >>= 1;
        middle
    }

    /// The sum.
    pub fn plus(&self, other: &Self) -> Self {
        let bits = self.bits();
        Self {
            low: Float::with_val_round(bits, &self.low + &other.low, Round::Down).0,
            high: Float::with_val_round(bits, &self.high + &other.high, Round::Up).0,
        }
    }

    /// Adds a number of the other interval.
    pub fn accumulate(&mut self, other: &Self) {
        self.low.add_assign_round(&other.low, Round::Down);
        self.high.add_assign_round(&other.high, Round::Up);
    }

    /// The negative.
    pub fn negated(self) -> Self {
        Self { low: -self.high, high: -self.low }
    }

    /// The product.
    pub fn by(&self, other: &Self) -> Self {
        if other.low >= 0 {
            return self.scaled(other);
        }
        if self.low >= 0 {
            return other.scaled(self);
        }
        let bits = self.bits();
        let mut result: Option<Self> = None;
        let mut end = Float::new(bits);
        for a in [&self.low, &self.high] {
            for b in [&other.low, &other.high] {
                match &mut result {
                    None => {
                        result = Some(Self {
                            low: Float::with_val_round(bits, a * b, Round::Down).0,
                            high: Float::with_val_round(bits, a * b, Round::Up).0,
                        });
                    }
                    Some(result) => {
                        end.assign_round(a * b, Round::Down);
                        if end < result.low {
                            result.low.assign(&end);
                        }
                        end.assign_round(a * b, Round::Up);
                        if end > result.high {
                            result.high.assign(&end);
                        }
                    }
                }
            }
        }
        result.unwrap_or_else(|| Self::zero(bits))
    }

    /// The product with an interval that holds no negative number: which ends make the ends is then known.
    fn scaled(&self, other: &Self) -> Self {
        let bits = self.bits();
        let factor_of_low = if self.low >= 0 { &other.low } else { &other.high };
        let factor_of_high = if self.high >= 0 { &other.high } else { &other.low };
        Self {
            low: Float::with_val_round(bits, &self.low * factor_of_low, Round::Down).0,
            high: Float::with_val_round(bits, &self.high * factor_of_high, Round::Up).0,
        }
    }

    /// The quotient by a positive interval whose lower end is above 0.
    pub fn div_positive(&self, other: &Self) -> Self {
        let bits = self.bits();
        let divisor_of_low = if self.low >= 0 { &other.high } else { &other.low };
        let divisor_of_high = if self.high >= 0 { &other.low } else { &other.high };
        Self {
            low: Float::with_val_round(bits, &self.low / divisor_of_low, Round::Down).0,
            high: Float::with_val_round(bits, &self.high / divisor_of_high, Round::Up).0,
        }
    }

    /// `log(1 + x)`, which is increasing; the interval must lie above -1.
    pub fn log1p(&self) -> Self {
        let mut result = self.clone();
        result.low.ln_1p_round(Round::Down);
        result.high.ln_1p_round(Round::Up);
        result
    }

    /// `log(x)`, which is increasing; the interval must not reach below 0.
    pub fn log(&self) -> Self {
        let mut result = self.clone();
        result.low.ln_round(Round::Down);
        result.high.ln_round(Round::Up);
        result
    }
}

/// A rational number.
pub(in crate::oracle) enum ExactPoint {
    Number(f64),
    /// The first less the second; no rational number is as fast.
    Difference(f64, f64),
    Rational(Rational),
}

impl ExactPoint {
    fn to_rational(&self) -> Rational {
        match self {
            ExactPoint::Number(x) => exact(*x),
            ExactPoint::Difference(a, b) => exact(*a) - exact(*b),
            ExactPoint::Rational(value) => value.clone(),
        }
    }

    fn enclosed(&self, bits: u32) -> Interval {
        match self {
            ExactPoint::Number(x) => Interval::enclose(bits, *x),
            ExactPoint::Difference(a, b) => Interval::difference(bits, *a, *b),
            ExactPoint::Rational(value) => Interval::rational(bits, value),
        }
    }
}

impl Neg for Interval {
    type Output = Self;

    fn neg(self) -> Self {
        self.negated()
    }
}

impl Add for Interval {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        self.plus(&other)
    }
}

impl Sub for Interval {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        self.plus(&other.negated())
    }
}

impl Mul for Interval {
    type Output = Self;

    fn mul(self, other: Self) -> Self {
        self.by(&other)
    }
}

/// The intersection of two enclosures of one number.
fn narrower(a: Interval, b: Interval) -> Interval {
    Interval { low: if a.low > b.low { a.low } else { b.low }, high: if a.high < b.high { a.high } else { b.high } }
}

/// A row, at one precision. Every output is an open interval that its form makes as narrow as the precision allows, on the right
/// side of its rational part.
pub(in crate::oracle) struct OfRow<'a> {
    pub prepared: &'a Prepared<'a>,
    pub level: &'a Enclosures,
}

impl OfRow<'_> {
    /// The number, if the interval decides its rounding.
    pub fn rounded(&self, interval: &Interval) -> Option<Rounded> {
        Rounded::from_interval(interval, self.prepared.case.dtype().format())
    }

    /// `p_j (g_j - c)` of a maximum as its limit plus a remainder of known sign. With `N = sum of nu_g w_g`,
    /// `nu_g = m_g g_j - sum_g` and `N_0 = nu_0`, the output is `N / S^2`, and
    /// `N / S^2 - N_0 / m_0^2 = (sum over g >= 1 of w_g (m_0^2 nu_g - 2 N_0 m_0 m_g) - N_0 sigma^2) / (m_0 S)^2`.
    fn top_product(&self, j: usize) -> Interval {
        let (prepared, level) = (self.prepared, self.level);
        let Some(deviations) = prepared.deviations() else { return Interval::zero(level.bits) };
        let bits = level.bits;
        let own = prepared.direction(j);
        let top_count = Rational::from(prepared.row.counts[0]);
        let sums = prepared.exact_sums(deviations);
        let nu = |g: usize| Rational::from(&own * prepared.row.counts[g]) - &sums[g];
        let top = nu(0);
        let coefficient = |g: usize| {
            Rational::from(&top_count * &top_count) * nu(g)
                - Rational::from(2) * &top * &top_count * prepared.row.counts[g]
        };
        let square = Interval::rational(bits, &-top.clone());
        let numerator = level.weighted_sum(prepared.row, |g| Interval::rational(bits, &coefficient(g)), &square);
        let scale = level.total.by(&Interval::rational(bits, &top_count));
        let limit = top / Rational::from(&top_count * &top_count);
        Interval::rational(bits, &limit).plus(&numerator.div_positive(&scale.by(&scale)))
    }
}

impl RowTier for OfRow<'_> {
    type Number = Interval;
    type Rational = ExactPoint;

    fn max(&self) -> ExactPoint {
        ExactPoint::Number(self.prepared.row.max)
    }

    fn gap(&self, j: usize) -> ExactPoint {
        ExactPoint::Difference(self.prepared.row.max, self.prepared.row.logits[j])
    }

    fn log_total(&self) -> Interval {
        self.level.log_total(self.prepared.row).clone()
    }

    fn is_top(&self, j: usize) -> bool {
        self.prepared.row.group[j] == 0
    }

    fn top_share(&self) -> ExactPoint {
        match self.prepared.row.counts[0] {
            1 => ExactPoint::Number(1.0),
            count => ExactPoint::Rational(Rational::from((1, count))),
        }
    }

    fn shortfall(&self) -> Interval {
        let tops = Interval::enclose(self.level.bits, self.prepared.row.counts[0]);
        self.level.sigma.div_positive(&self.level.total.by(&tops))
    }

    fn probability(&self, j: usize) -> Interval {
        match self.prepared.row.group[j] {
            MASKED => Interval::zero(self.level.bits),
            group => self.level.probability(group as usize),
        }
    }

    fn target_mass(&self, j: usize) -> ExactPoint {
        ExactPoint::Rational(target_mass(self.prepared.case, j))
    }

    fn expected_gap(&self) -> ExactPoint {
        ExactPoint::Rational(self.prepared.exact_gaps().clone())
    }

    fn direction(&self, j: usize) -> ExactPoint {
        ExactPoint::Number(self.prepared.direction_value(j))
    }

    fn direction_total(&self) -> ExactPoint {
        ExactPoint::Rational(self.prepared.exact_total())
    }

    fn deviation(&self, j: usize) -> Interval {
        self.prepared.deviation_interval(j, self.level)
    }

    fn weighted_deviation(&self, j: usize) -> Interval {
        let product = self.probability(j) * self.deviation(j);
        // A single maximum has the limit 0, which the product is beside already. Else the form with a limit costs a rational number
        // for each group, and only a value beside its limit needs it: such a value is undecided at the first precision as a mere
        // product.
        let needs_limit = self.is_top(j) && self.prepared.row.counts[0] > 1 && self.level.index > 0;
        if needs_limit { narrower(product, self.top_product(j)) } else { product }
    }

    fn zero(&self) -> ExactPoint {
        ExactPoint::Number(0.0)
    }

    fn minus(&self, a: &ExactPoint, b: &ExactPoint) -> ExactPoint {
        match (a, b) {
            (ExactPoint::Number(a), ExactPoint::Number(b)) => ExactPoint::Difference(*a, *b),
            _ => ExactPoint::Rational(a.to_rational() - b.to_rational()),
        }
    }

    fn times(&self, a: &ExactPoint, b: &ExactPoint) -> ExactPoint {
        ExactPoint::Rational(a.to_rational() * b.to_rational())
    }

    fn sign(&self, _: &ExactPoint) -> f64 {
        0.0
    }

    fn number(&self, x: ExactPoint) -> Interval {
        x.enclosed(self.level.bits)
    }

    fn scaled(&self, a: &ExactPoint, x: Interval) -> Interval {
        x.by(&a.enclosed(self.level.bits))
    }

    /// An interval is open, so that it lies on the side of its base by itself.
    fn beside(&self, base: ExactPoint, rest: Interval, _: f64) -> Interval {
        base.enclosed(self.level.bits).plus(&rest)
    }
}

/// An element, at a precision in bits.
pub(in crate::oracle) struct OfElement(pub u32);

impl ElementTier for OfElement {
    type Number = Interval;

    fn exp(&self, x: f64) -> Interval {
        row::exponential_of(self.0, &Float::with_val(f64::MANTISSA_DIGITS, x))
    }

    /// Correctly rounded both ways; and `exp(x) - 1` of a rational `x` other than 0 is irrational, so the interval may be open.
    fn expm1(&self, x: f64) -> Interval {
        let mut result = Interval { low: Float::with_val(self.0, x), high: Float::with_val(self.0, x) };
        result.low.exp_m1_round(Round::Down);
        result.high.exp_m1_round(Round::Up);
        result
    }

    fn log(&self, x: Interval) -> Interval {
        x.log()
    }

    fn log1p(&self, x: Interval) -> Interval {
        x.log1p()
    }
}
