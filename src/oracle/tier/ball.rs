//! The third tier: balls, some hundred bits of every output, which decide nearly all of them.

use crate::dtype::{Dtype, ldexp};
use crate::number::Float;
use crate::op::tier::{ElementTier, RowTier};
use crate::oracle::ball::functions::REACH;
use crate::oracle::ball::{Ball, SAFETY, with_remainder};
use crate::oracle::prepared::{Prepared, exact};
use crate::oracle::rounded::Rounded;
use crate::oracle::row::{self, MASKED, PRECISIONS};

/// A rational number as this tier sees it.
#[derive(Debug, Clone, Copy)]
pub(in crate::oracle) struct RationalBall {
    ball: Ball,
    /// The number, where it is an `f64`.
    number: Option<f64>,
    /// How it was made, where that may matter once more.
    origin: Origin,
}

/// Of what a rational number was made.
#[derive(Debug, Clone, Copy)]
enum Origin {
    Any,
    /// The sum of the direction.
    Total,
    /// This number less the sum of the direction: where the ball is wide beside a small rest, the difference may yet be an `f64`.
    LessTotal(f64),
}

impl RationalBall {
    fn number(x: f64) -> Self {
        Self { ball: Ball::exact(x), number: Some(x), origin: Origin::Any }
    }

    fn of(ball: Ball) -> Self {
        Self { ball, number: None, origin: Origin::Any }
    }
}

/// A row. Numbers are divided by `2^scale` ([`Prepared::scale`]).
pub(in crate::oracle) struct OfRow<'a>(pub &'a Prepared<'a>);

impl OfRow<'_> {
    /// The number, if the ball decides its rounding.
    pub fn rounded(&self, ball: Ball) -> Option<Rounded> {
        Rounded::from_ball(ball, self.0.scale(), self.0.case.output_format())
    }
}

impl RowTier for OfRow<'_> {
    type Number = Ball;
    type Rational = RationalBall;

    fn max(&self) -> RationalBall {
        RationalBall::number(self.0.row.max)
    }

    fn gap(&self, j: usize) -> RationalBall {
        RationalBall::of(self.0.row.gap(j))
    }

    fn log_total(&self) -> Ball {
        self.0.row.sums().log_total
    }

    fn is_top(&self, j: usize) -> bool {
        self.0.row.group[j] == 0
    }

    fn top_share(&self) -> RationalBall {
        match self.0.row.counts[0] {
            1 => RationalBall::number(1.0),
            count => RationalBall::of(Ball::exact(1.0) / Ball::exact(f64::from(count))),
        }
    }

    fn shortfall(&self) -> Ball {
        let sums = self.0.row.sums();
        let shortfall = sums.sigma * sums.reciprocal;
        match self.0.row.counts[0] {
            1 => shortfall,
            count => shortfall / Ball::exact(f64::from(count)),
        }
    }

    fn probability(&self, j: usize) -> Ball {
        match self.0.row.group[j] {
            MASKED => Ball::ZERO,
            group => self.0.row.probabilities()[group as usize],
        }
    }

    fn target_mass(&self, j: usize) -> RationalBall {
        let number = self.0.masses.exact(j);
        RationalBall { ball: self.0.masses.mass(j), number, origin: Origin::Any }
    }

    fn expected_gap(&self) -> RationalBall {
        RationalBall::of(self.0.gaps())
    }

    fn mean_gap(&self) -> Ball {
        self.0.row.mean_gap()
    }

    fn prefix_max(&self, j: usize) -> RationalBall {
        RationalBall::number(self.0.prefixes.top(j).max)
    }

    fn prefix_log_total(&self, j: usize) -> Ball {
        self.0.prefixes.log_total(j)
    }

    fn direction(&self, j: usize) -> RationalBall {
        RationalBall::number(ldexp(self.0.direction_value(j), -self.0.scale()))
    }

    fn direction_total(&self) -> RationalBall {
        RationalBall { origin: Origin::Total, ..RationalBall::of(self.0.total()) }
    }

    fn mean(&self) -> Ball {
        self.0.mean_ball()
    }

    fn deviation(&self, j: usize) -> Ball {
        self.0.deviation_ball(j)
    }

    fn other(&self) -> Self {
        Self(self.0.other())
    }

    fn divergence(&self) -> Ball {
        self.0.mean_of_gaps_ball() + (self.log_total() - self.other().log_total())
    }

    fn zero(&self) -> RationalBall {
        RationalBall::number(0.0)
    }

    fn minus(&self, a: &RationalBall, b: &RationalBall) -> RationalBall {
        match (a.number, b.number) {
            (Some(a), Some(b)) => RationalBall::of(Ball::difference(a, b)),
            (Some(x), None) if matches!(b.origin, Origin::Total) => {
                RationalBall { origin: Origin::LessTotal(x), ..RationalBall::of(a.ball - b.ball) }
            }
            _ => RationalBall::of(a.ball - b.ball),
        }
    }

    fn times(&self, a: &RationalBall, b: &RationalBall) -> RationalBall {
        let origin = if b.number == Some(1.0) { a.origin } else { Origin::Any };
        RationalBall { origin, ..RationalBall::of(a.ball * b.ball) }
    }

    fn sign(&self, x: &RationalBall) -> f64 {
        if x.ball.is_not_zero() { x.ball.high } else { 0.0 }
    }

    fn number(&self, x: RationalBall) -> Ball {
        x.ball
    }

    fn scaled(&self, a: &RationalBall, x: Ball) -> Ball {
        a.ball * x
    }

    fn beside(&self, base: RationalBall, rest: Ball, sign: f64) -> Ball {
        if let Origin::LessTotal(own) = base.origin
            && sign != 0.0
            && self.0.scale() == 0
            && Ball::is_far_below(rest.bound(), base.ball.high)
        {
            // The base is a difference of rational numbers; where it is an `f64`, the side of it is certain.
            let exact_base = exact(own) - self.0.exact_total();
            let nearest = exact_base.to_f64();
            if nearest.is_finite() && exact(nearest) == exact_base {
                return with_remainder(Ball::exact(nearest), rest, sign);
            }
        }
        with_remainder(base.ball, rest, sign)
    }
}

/// An element, for outputs of a dtype. The functions are those of double-doubles, and of big numbers, at the first precision, beyond their
/// reach.
pub(crate) struct OfElement(pub Dtype);

impl OfElement {
    /// The number, if the ball decides its rounding.
    pub fn rounded(&self, ball: Ball) -> Option<Rounded> {
        Rounded::from_ball(ball, 0, self.0.format())
    }

    /// A function whose derivative within the ball is at most `slope` in size.
    fn function(x: Ball, slope: f64, function: fn(&mut Float)) -> Ball {
        let mut value = Float::with_val(PRECISIONS[0], x.high);
        value += x.low;
        // The sum is rounded to 128 bits, and so is the function: each by half a unit, 2^-128.
        let input = (x.radius + x.high.abs() * FIRST_ROUNDING) * slope;
        function(&mut value);
        let own = value.to_f64().abs() * FIRST_ROUNDING;
        Ball::around(value, (input + own) * SAFETY)
    }
}

/// More than the relative rounding error at the first precision.
const FIRST_ROUNDING: f64 = 1.0 / (1u128 << 126) as f64;

impl ElementTier for OfElement {
    type Number = Ball;
    type Rational = Ball;

    fn rational(&self, x: f64) -> Ball {
        Ball::exact(x)
    }

    fn minus(&self, a: &Ball, b: &Ball) -> Ball {
        if a.is_number() && b.is_number() { Ball::difference(a.high, b.high) } else { *a - *b }
    }

    fn times(&self, a: &Ball, b: &Ball) -> Ball {
        if a.is_number() && b.is_number() { Ball::product(a.high, b.high) } else { *a * *b }
    }

    fn number(&self, x: Ball) -> Ball {
        x
    }

    fn exp_of_difference(&self, x: f64, y: f64) -> Ball {
        row::Weight::of_difference(x, y, self.0).ball
    }

    fn expm1_of_difference(&self, x: f64, y: f64) -> Ball {
        let difference = Ball::difference(x, y);
        match difference.high >= -REACH {
            true => Ball::expm1(difference.high, difference.low),
            false => Self::function(difference, 1.0, Float::exp_m1_mut),
        }
    }

    fn log(&self, x: Ball) -> Ball {
        if let Some(logarithm) = x.ln() {
            return logarithm;
        }
        let least = x.high - (x.low.abs() + x.radius) * SAFETY;
        // Not even positive: nothing is known.
        let slope = if least > 0.0 { SAFETY / least } else { f64::INFINITY };
        Self::function(x, slope, Float::ln_mut)
    }

    fn log1p(&self, x: Ball) -> Ball {
        if let Some(logarithm) = x.ln_1p() {
            return logarithm;
        }
        let least = (1.0 + x.high) - (x.low.abs() + x.radius) * SAFETY - f64::EPSILON;
        let slope = if least > 0.0 { (SAFETY / least).max(1.0) } else { f64::INFINITY };
        Self::function(x, slope, Float::ln_1p_mut)
    }

    fn reciprocal(&self, x: Ball) -> Ball {
        Ball::exact(1.0) / x
    }

    fn beside(&self, base: Ball, rest: Ball, sign: f64) -> Ball {
        with_remainder(base, rest, sign)
    }
}
