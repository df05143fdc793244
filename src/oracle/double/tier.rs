//! The quantities of a row in double-doubles, from which the formulas of the ops make its outputs.

use super::real::Real;
use super::row::{Differences, Means, Row, are_equal};
use crate::dtype::two_sum;
use crate::op::tier::RowTier;

/// The tier: the quantities of a row.
pub(super) struct OfRow<'a, N>(pub &'a Row<'a, N>);

impl<N: Real> RowTier for OfRow<'_, N> {
    type Number = N;
    type Rational = N;

    fn max(&self) -> N {
        N::exact(self.0.max)
    }

    fn gap(&self, j: usize) -> N {
        self.0.gap(j)
    }

    fn log_total(&self) -> N {
        self.0.log_total
    }

    fn is_top(&self, j: usize) -> bool {
        self.0.logits[j] == self.0.max
    }

    fn top_share(&self) -> N {
        N::quotient(1.0, self.0.tops)
    }

    fn shortfall(&self) -> N {
        if self.0.sigma.is_zero() {
            return N::ZERO;
        }
        self.0.sigma * self.0.reciprocal / N::exact(self.0.tops)
    }

    fn probability(&self, j: usize) -> N {
        match self.is_top(j) {
            true if self.0.sigma.is_within(self.0.tops) => N::together(self.top_share(), -self.shortfall()),
            true => self.0.reciprocal,
            false => self.0.weights[j] * self.0.reciprocal,
        }
    }

    fn target_mass(&self, j: usize) -> N {
        if let Some(&mass) = self.0.masses.get(j) {
            return N::exact(mass);
        }
        let (target, smoothing) = self.0.case.target().unwrap_or((0, 0.0));
        match smoothing {
            0.0 => N::exact(if j == target { 1.0 } else { 0.0 }),
            _ if j == target => N::difference(1.0, smoothing) + self.0.spread(smoothing),
            _ => self.0.spread(smoothing),
        }
    }

    fn share_less_mass(&self, j: usize) -> N {
        let (n, (_, smoothing)) = (self.0.logits.len() as f64, self.0.case.target().unwrap_or((0, 0.0)));
        // All probabilities, and all masses, are 1 / n.
        match self.0.masses.is_empty() && smoothing == 1.0 && self.0.tops == n {
            true => N::ZERO,
            false => self.minus(&self.top_share(), &self.target_mass(j)),
        }
    }

    fn expected_gap(&self) -> N {
        *self.0.expected_gap.get_or_init(|| self.0.expected_gap())
    }

    fn mean_gap(&self) -> N {
        let row = self.0;
        let term = |i: usize| match row.logits[i] {
            f64::NEG_INFINITY => N::ZERO,
            z if z == row.max => N::ZERO,
            _ => row.weights[i] * row.gap(i),
        };
        row.sum(&term) * row.reciprocal
    }

    fn prefix_max(&self, j: usize) -> N {
        N::exact(self.0.prefixes().top(j).max)
    }

    fn prefix_log_total(&self, j: usize) -> N {
        N::of_ball(self.0.prefixes().log_total(j))
    }

    fn direction(&self, j: usize) -> N {
        N::exact(self.0.direction[j])
    }

    fn direction_total(&self) -> N {
        *self.0.total.get_or_init(|| N::total(self.0.direction.iter().copied()))
    }

    fn less_share(&self, j: usize) -> N {
        let (own, total) = (self.0.direction[j], self.direction_total());
        match are_equal(N::exact(own), self.0.tops, total, 1.0) {
            true => N::ZERO,
            false => self.minus(&N::exact(own), &self.times(&total, &self.top_share())),
        }
    }

    fn mean(&self) -> N {
        let Means { base, remainder, .. } = *self.0.means();
        N::together(base, -remainder)
    }

    fn deviation(&self, j: usize) -> N {
        let (own, Means { sum, count, base, remainder }) = (self.0.direction[j], *self.0.means());
        let base = match are_equal(N::exact(own), count, sum, 1.0) {
            true => N::ZERO,
            false => self.minus(&N::exact(own), &base),
        };
        N::together(base, remainder)
    }

    fn other(&self) -> Self {
        Self(self.0.other.as_deref().unwrap_or(self.0))
    }

    fn probability_difference(&self, j: usize) -> N {
        /// More than any that is known.
        const KNOWN: f64 = 1e30;
        let (row, target) = (self.0, self.other());
        if target.0.is_masked(j) {
            return self.probability(j);
        }
        match row.differences() {
            _ if row.shift().is_some_and(|shift| two_sum(row.logits[j], -target.0.logits[j]) == shift) => N::ZERO,
            Some(Differences { rises, mean, .. }) if rises[j].is_within(KNOWN) => {
                target.probability(j) * ((rises[j] - *mean) / (N::exact(1.0) + *mean))
            }
            _ if self.is_top(j) && target.is_top(j) => {
                let shares = self.minus(&self.top_share(), &target.top_share());
                N::together(shares, target.shortfall() - self.shortfall())
            }
            _ => self.probability(j) - target.probability(j),
        }
    }

    fn divergence(&self) -> N {
        let (row, target) = (self.0, self.other().0);
        // A class that the target masks has no term.
        let has_term = |i: usize| target.logits[i] != f64::NEG_INFINITY;
        if (0..row.logits.len()).any(|i| has_term(i) && row.logits[i] == f64::NEG_INFINITY) {
            return N::exact(f64::INFINITY);
        }
        // Of rows that are far apart the terms of the differences are larger than what they come to.
        if let Some(Differences { mean, second, .. }) = row.differences().filter(|rows| rows.second.is_within(1.0))
            && let Some(rest) = mean.less_ln_1p()
        {
            return *second - rest;
        }
        let term = |i: usize| match has_term(i) {
            true => target.weights[i] * (row.gap(i) - target.gap(i)),
            false => N::ZERO,
        };
        row.sum(&term) * target.reciprocal + (row.log_total - target.log_total)
    }

    fn zero(&self) -> N {
        N::ZERO
    }

    fn minus(&self, a: &N, b: &N) -> N {
        match (a.number(), b.number()) {
            (Some(a), Some(b)) => N::difference(a, b),
            _ => *a - *b,
        }
    }

    fn times(&self, a: &N, b: &N) -> N {
        match (a.number(), b.number()) {
            (_, Some(1.0)) => *a,
            (Some(a), Some(b)) => N::product(a, b),
            _ => *a * *b,
        }
    }

    fn sign(&self, _: &N) -> f64 {
        0.0
    }

    fn number(&self, x: N) -> N {
        x
    }

    fn scaled(&self, a: &N, x: N) -> N {
        *a * x
    }

    fn beside(&self, base: N, rest: N, _: f64) -> N {
        N::together(base, rest)
    }
}
