//! The last tier: intervals of rising precision, one precision at a time.

use crate::number::{Float, Rational, Round};
use crate::op::tier::{ElementTier, RowTier};
use crate::oracle::interval::Interval;
use crate::oracle::prepared::{Prepared, exact, target_mass};
use crate::oracle::rounded::Rounded;
use crate::oracle::row::{self, Enclosures, MASKED, PRECISIONS};

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

/// `a - b`.
fn difference(a: &ExactPoint, b: &ExactPoint) -> ExactPoint {
    match (a, b) {
        (ExactPoint::Number(a), ExactPoint::Number(b)) => ExactPoint::Difference(*a, *b),
        _ => ExactPoint::Rational(a.to_rational() - b.to_rational()),
    }
}

/// What is left of an interval that has 0 inside, on the side of it where the number is.
fn on_side(mut interval: Interval, sign: impl FnOnce() -> Option<f64>) -> Interval {
    if interval.low < 0 && interval.high > 0 {
        let zero = || Float::with_val(interval.low.prec(), 0);
        match sign() {
            Some(sign) if sign > 0.0 => interval.low = zero(),
            Some(_) => interval.high = zero(),
            None => {}
        }
    }
    interval
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
        Rounded::from_interval(interval, self.prepared.case.output_format())
    }

    /// The weight of a class that is not masked.
    fn weight(&self, j: usize) -> Option<&Interval> {
        self.level.weights.get(self.prepared.row.group[j] as usize)
    }

    /// Whether nothing is known of any weight but those of the largest logits, but that it is positive.
    fn is_beyond_reach(&self) -> bool {
        self.level.weights.iter().skip(1).all(|weight| weight.low == 0)
    }

    /// The sum of the weights from a group on.
    fn rest_from(&self, group: usize) -> Interval {
        let bits = self.level.bits;
        let mut sum = Interval::zero(bits);
        for (weight, &count) in self.level.weights.iter().zip(&self.prepared.row.counts).skip(group) {
            match count {
                1 => sum.accumulate(weight),
                count => sum.accumulate(&weight.by(&Interval::enclose(bits, count))),
            }
        }
        sum
    }

    /// What two rows make, on the side of 0 that is known. Where none is, and more can be, it is left to more bits: a number rounds to 0
    /// wherever it is small enough, and its sign would be lost.
    fn signed(&self, interval: Interval, sign: impl FnOnce() -> Option<f64>) -> Interval {
        let interval = on_side(interval, sign);
        if interval.low < 0 && interval.high > 0 && self.level.index + 1 < PRECISIONS.len() {
            let bits = self.level.bits;
            return Interval { low: Float::with_val(bits, -2), high: Float::with_val(bits, 2) };
        }
        interval
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
        let numerator = level.weighted_sum(&prepared.row, |g| Interval::rational(bits, &coefficient(g)), &square);
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
        self.level.log_total(&self.prepared.row).clone()
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

    fn mean_gap(&self) -> Interval {
        self.level.mean_gap(&self.prepared.row)
    }

    fn prefix_max(&self, j: usize) -> ExactPoint {
        ExactPoint::Number(self.prepared.prefixes.top(j).max)
    }

    fn prefix_log_total(&self, j: usize) -> Interval {
        self.prepared.prefixes.log_total_at(j, self.level.index)
    }

    fn direction(&self, j: usize) -> ExactPoint {
        ExactPoint::Number(self.prepared.direction_value(j))
    }

    fn direction_total(&self) -> ExactPoint {
        ExactPoint::Rational(self.prepared.exact_total())
    }

    fn mean(&self) -> Interval {
        -self.prepared.less_mean(0.0, self.level)
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

    fn other(&self) -> Self {
        let prepared = self.prepared.other();
        Self { prepared, level: prepared.row.level(self.level.index) }
    }

    /// It is positive wherever it is not known to be 0.
    fn divergence(&self) -> Interval {
        let target = self.other();
        let bits = self.level.bits;
        let base = self.prepared.divergence_base();
        let tops = [self.prepared.row.counts[0], target.prepared.row.counts[0]];
        let logarithms = match tops[0] == tops[1] {
            // As many largest logits: log m falls out, and what is left may be very little.
            true => {
                let tops = Interval::enclose(bits, tops[0]);
                let rest = |level: &Enclosures| level.sigma.div_positive(&tops).log1p();
                rest(self.level) - rest(target.level)
            }
            false => self.log_total() - target.log_total(),
        };
        let mut rest = self.prepared.mean_beside(&base, target.level).plus(&logarithms);
        if self.is_beyond_reach() && target.is_beyond_reach() {
            rest = on_side(rest, || self.prepared.sign_beside_base());
        }
        self.signed(Interval::rational(bits, &base).plus(&rest), || Some(1.0))
    }

    fn probability_difference(&self, j: usize) -> Interval {
        let target = self.other();
        if let (Some(own), Some(other)) = (self.weight(j), target.weight(j)) {
            let common = self.prepared.common_groups(j);
            if common > 0 {
                // One weight over two sums, of which only what is not common counts: the same for all such outputs.
                let more = self.prepared.more[self.level.index]
                    .get_or_init(|| target.rest_from(common) - self.rest_from(common));
                let weight = narrower(own.clone(), other.clone());
                let difference = weight.by(more).div_positive(&self.level.total).div_positive(&target.level.total);
                return self.signed(difference, || self.prepared.sign_of_difference(j));
            }
        }
        let shares = || self.minus(&self.top_share(), &target.top_share()).enclosed(self.level.bits);
        let difference = match self.is_top(j) && target.is_top(j) {
            true => {
                let mut rest = target.shortfall() - self.shortfall();
                if self.is_beyond_reach() && target.is_beyond_reach() {
                    rest = on_side(rest, || self.prepared.sign_beside_shares());
                }
                shares().plus(&rest)
            }
            false => self.probability(j) - target.probability(j),
        };
        self.signed(difference, || self.prepared.sign_of_difference(j))
    }

    fn zero(&self) -> ExactPoint {
        ExactPoint::Number(0.0)
    }

    fn minus(&self, a: &ExactPoint, b: &ExactPoint) -> ExactPoint {
        difference(a, b)
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
    type Rational = ExactPoint;

    fn rational(&self, x: f64) -> ExactPoint {
        ExactPoint::Number(x)
    }

    fn minus(&self, a: &ExactPoint, b: &ExactPoint) -> ExactPoint {
        difference(a, b)
    }

    fn times(&self, a: &ExactPoint, b: &ExactPoint) -> ExactPoint {
        ExactPoint::Rational(a.to_rational() * b.to_rational())
    }

    fn number(&self, x: ExactPoint) -> Interval {
        x.enclosed(self.0)
    }

    fn exp_of_difference(&self, x: f64, y: f64) -> Interval {
        row::exponential(self.0, y, x, 1.0)
    }

    /// Correctly rounded both ways; and `exp(d) - 1` of a rational `d` other than 0 is irrational, so the interval may be open.
    fn expm1_of_difference(&self, x: f64, y: f64) -> Interval {
        /// Bits by which a difference is told better than the function of it.
        const MORE: u32 = 64;
        let difference = Interval::difference(self.0 + MORE, x, y);
        Interval {
            low: Float::with_val_round(self.0, difference.low.exp_m1_ref(), Round::Down).0,
            high: Float::with_val_round(self.0, difference.high.exp_m1_ref(), Round::Up).0,
        }
    }

    fn log(&self, x: Interval) -> Interval {
        x.log()
    }

    fn log1p(&self, x: Interval) -> Interval {
        x.log1p()
    }

    fn reciprocal(&self, x: Interval) -> Interval {
        self.exact(1.0).div_positive(&x)
    }

    /// An interval is open, so that it lies on the side of its base by itself.
    fn beside(&self, base: ExactPoint, rest: Interval, _: f64) -> Interval {
        base.enclosed(self.0).plus(&rest)
    }
}
