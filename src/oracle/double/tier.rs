//! The quantities of a row in double-doubles, from which the formulas of the ops make its outputs.

use super::row::{Differences, Means, Row, are_equal, quotient, sum_of};
use crate::dtype::two_sum;
use crate::op::tier::RowTier;
use crate::oracle::ball::Ball;

/// The tier: the quantities of a row.
#[derive(Clone, Copy)]
pub(super) struct OfRow<'a>(pub &'a Row<'a>);

impl OfRow<'_> {
    /// `base + rest`: where the base is a number, and the rest far below it, the rest keeps its sign whatever its size.
    fn together(base: Ball, rest: Ball) -> Ball {
        if !base.is_number() {
            return base + rest;
        }
        if base.high == 0.0 {
            return rest;
        }
        if rest.bound() > base.high.abs() * (f64::EPSILON / 4.0) {
            return base + rest;
        }
        let radius = if rest.low == 0.0 { rest.radius } else { (rest.radius + rest.low.abs()) * (1.0 + f64::EPSILON) };
        Ball { high: base.high, low: rest.high, radius }
    }
}

impl RowTier for OfRow<'_> {
    type Number = Ball;
    type Rational = Ball;

    fn max(&self) -> Ball {
        Ball::exact(self.0.max)
    }

    fn gap(&self, j: usize) -> Ball {
        self.0.gap(j)
    }

    fn log_total(&self) -> Ball {
        self.0.log_total
    }

    fn is_top(&self, j: usize) -> bool {
        self.0.logits[j] == self.0.max
    }

    fn top_share(&self) -> Ball {
        quotient(1.0, self.0.tops)
    }

    fn shortfall(&self) -> Ball {
        if self.0.sigma.is_zero() {
            return Ball::ZERO;
        }
        self.0.sigma * self.0.reciprocal / Ball::exact(self.0.tops)
    }

    fn probability(&self, j: usize) -> Ball {
        match self.is_top(j) {
            true if self.0.sigma.high <= self.0.tops => Self::together(self.top_share(), -self.shortfall()),
            true => self.0.reciprocal,
            false => self.0.weights[j] * self.0.reciprocal,
        }
    }

    fn target_mass(&self, j: usize) -> Ball {
        if let Some(&mass) = self.0.masses.get(j) {
            return Ball::exact(mass);
        }
        let (target, smoothing) = self.0.case.target().unwrap_or((0, 0.0));
        match smoothing {
            0.0 => Ball::exact(if j == target { 1.0 } else { 0.0 }),
            _ if j == target => Ball::difference(1.0, smoothing) + self.0.spread(smoothing),
            _ => self.0.spread(smoothing),
        }
    }

    fn share_less_mass(&self, j: usize) -> Ball {
        let (n, (_, smoothing)) = (self.0.logits.len() as f64, self.0.case.target().unwrap_or((0, 0.0)));
        // All probabilities, and all masses, are 1 / n.
        match self.0.masses.is_empty() && smoothing == 1.0 && self.0.tops == n {
            true => Ball::ZERO,
            false => self.minus(&self.top_share(), &self.target_mass(j)),
        }
    }

    fn expected_gap(&self) -> Ball {
        *self.0.expected_gap.get_or_init(|| self.0.expected_gap())
    }

    fn mean_gap(&self) -> Ball {
        let row = self.0;
        let term = |i: usize| match row.logits[i] {
            f64::NEG_INFINITY => Ball::ZERO,
            z if z == row.max => Ball::ZERO,
            _ => row.weights[i] * row.gap(i),
        };
        row.sum(&term) * row.reciprocal
    }

    fn prefix_max(&self, j: usize) -> Ball {
        Ball::exact(self.0.prefixes().top(j).max)
    }

    fn prefix_log_total(&self, j: usize) -> Ball {
        self.0.prefixes().log_total(j)
    }

    fn direction(&self, j: usize) -> Ball {
        Ball::exact(self.0.direction[j])
    }

    fn direction_total(&self) -> Ball {
        *self.0.total.get_or_init(|| sum_of(self.0.direction.iter().copied()))
    }

    fn less_share(&self, j: usize) -> Ball {
        let (own, total) = (self.0.direction[j], self.direction_total());
        match total.is_number() && are_equal(own, self.0.tops, total.high, 1.0) {
            true => Ball::ZERO,
            false => self.minus(&Ball::exact(own), &self.times(&total, &self.top_share())),
        }
    }

    fn mean(&self) -> Ball {
        let Means { top, remainder, .. } = *self.0.means();
        Self::together(top, -remainder)
    }

    fn deviation(&self, j: usize) -> Ball {
        let (own, Means { sum, top, remainder }) = (self.0.direction[j], *self.0.means());
        let base = match sum.is_number() && are_equal(own, self.0.tops, sum.high, 1.0) {
            true => Ball::ZERO,
            false => self.minus(&Ball::exact(own), &top),
        };
        Self::together(base, remainder)
    }

    fn other(&self) -> Self {
        Self(self.0.other.as_deref().unwrap_or(self.0))
    }

    fn probability_difference(&self, j: usize) -> Ball {
        let (row, target) = (self.0, self.other());
        if target.0.is_masked(j) {
            return self.probability(j);
        }
        match row.differences() {
            _ if row.shift().is_some_and(|shift| two_sum(row.logits[j], -target.0.logits[j]) == shift) => Ball::ZERO,
            Some(Differences { rises, mean, .. }) => {
                target.probability(j) * ((rises[j] - *mean) / (Ball::exact(1.0) + *mean))
            }
            None if self.is_top(j) && target.is_top(j) => {
                let shares = self.minus(&self.top_share(), &target.top_share());
                Self::together(shares, target.shortfall() - self.shortfall())
            }
            None => self.probability(j) - target.probability(j),
        }
    }

    fn divergence(&self) -> Ball {
        let (row, target) = (self.0, self.other().0);
        // A class that the target masks has no term.
        let has_term = |i: usize| target.logits[i] != f64::NEG_INFINITY;
        if (0..row.logits.len()).any(|i| has_term(i) && row.logits[i] == f64::NEG_INFINITY) {
            return Ball::exact(f64::INFINITY);
        }
        if let Some(Differences { mean, second, .. }) = row.differences()
            && let Some(rest) = mean.less_ln_1p()
        {
            return *second - rest;
        }
        let term = |i: usize| match has_term(i) {
            true => target.weights[i] * (row.gap(i) - target.gap(i)),
            false => Ball::ZERO,
        };
        row.sum(&term) * target.reciprocal + (row.log_total - target.log_total)
    }

    fn zero(&self) -> Ball {
        Ball::ZERO
    }

    fn minus(&self, a: &Ball, b: &Ball) -> Ball {
        if a.is_number() && b.is_number() { Ball::difference(a.high, b.high) } else { *a - *b }
    }

    fn times(&self, a: &Ball, b: &Ball) -> Ball {
        match b.is_number() {
            true if b.high == 1.0 => *a,
            true if a.is_number() => Ball::product(a.high, b.high),
            _ => *a * *b,
        }
    }

    fn sign(&self, _: &Ball) -> f64 {
        0.0
    }

    fn number(&self, x: Ball) -> Ball {
        x
    }

    fn scaled(&self, a: &Ball, x: Ball) -> Ball {
        *a * x
    }

    fn beside(&self, base: Ball, rest: Ball, _: f64) -> Ball {
        Self::together(base, rest)
    }
}
