//! The terms that the error bounds of all ops are made of, in the notation of `judge::bound`, which derives the bounds and computes
//! the terms.

use super::inputs::Inputs;
use crate::magnitude::Magnitude;
use std::cell::OnceCell;

/// What the error bounds need of an ordinary row. Upper bounds, within `2^-40` relative or of no account.
#[derive(Debug, Clone, PartialEq)]
pub struct Anatomy {
    /// The largest logit.
    pub max: f64,
    /// For each logit its weight `exp(z - max)`; 0 at -inf.
    pub weights: Vec<Magnitude>,
    /// `S`, the sum of the weights.
    pub total: f64,
    /// `s`, the sum of the weights without one maximum.
    pub others: Magnitude,
    /// `log S = log1p(s)`.
    pub log_total: Magnitude,
}

/// The terms of a row under a kernel's claims, with one relative error of a sum.
pub(crate) struct RowTerms<'a> {
    /// The inputs of the case.
    pub inputs: Inputs<'a>,
    /// Whether the row is finite but for some -inf.
    pub is_ordinary: bool,
    /// The row.
    pub anatomy: &'a Anatomy,
    /// `|g_j - c|`, for the ops that say that they use them.
    pub deviations: &'a [Magnitude],
    /// The unit roundoff of the accumulator.
    pub u: f64,
    /// `c_e u`.
    pub exp_error: f64,
    /// The least number of the accumulator that is not lost to underflow.
    pub eta: Magnitude,
    /// What reading a number, or adding two, may lose to underflow: nothing, or `eta` where it is flushed to zero.
    pub flushed: Magnitude,
    /// The relative error of a sum.
    pub h: f64,
    /// For each logit the rounding error of `z - a`, absolute.
    pub rho: &'a [f64],
    /// `E_S`, the relative error of `S`.
    pub total_error: f64,
    /// The absolute error of `log S`.
    pub log_error: Magnitude,
    /// Of `sum p_i g_i`.
    pub mean_error: OnceCell<Magnitude>,
    /// `|sum g_i|` and `sum |g_i|`.
    pub direction_sums: OnceCell<(Magnitude, Magnitude)>,
}

impl RowTerms<'_> {
    /// The number of logits.
    pub fn count(&self) -> usize {
        self.inputs.logits.len()
    }

    /// `n eta`.
    pub fn count_eta(&self) -> Magnitude {
        Magnitude::from(self.count() as f64) * self.eta
    }

    /// `u |y|` of a result of this size.
    pub fn own_rounding(&self, size: Magnitude) -> Magnitude {
        Magnitude::from(self.u) * size
    }

    /// `S`.
    pub fn total(&self) -> Magnitude {
        Magnitude::from(self.anatomy.total)
    }

    /// `p_j`.
    pub fn probability(&self, j: usize) -> Magnitude {
        self.anatomy.weights[j] / self.total()
    }

    /// `A_j`, the absolute error of `p_j`. A masked class has weight exactly 0, and its p is exactly 0.
    pub fn probability_error(&self, j: usize) -> Magnitude {
        if self.anatomy.weights[j].is_zero() {
            return Magnitude::ZERO;
        }
        let relative = self.rho[j] + self.exp_error + self.u + self.total_error;
        self.probability(j) * Magnitude::from(relative) + self.eta + self.eta / self.total()
    }

    /// `|g_j|`.
    pub fn direction(&self, j: usize) -> Magnitude {
        Magnitude::from(self.inputs.direction.get(j).copied().unwrap_or(0.0))
    }

    /// `|g_j - c|`. An op that does not say that it uses them is told nothing less than infinity.
    pub fn deviation(&self, j: usize) -> Magnitude {
        self.deviations.get(j).copied().unwrap_or(Magnitude::INFINITY)
    }

    /// The sum of a term over all logits.
    pub fn sum_over(&self, term: &dyn Fn(usize) -> Magnitude) -> Magnitude {
        (0..self.count()).fold(Magnitude::ZERO, |sum, i| sum + term(i))
    }

    /// `D`, the absolute error of `c = sum p_i g_i`.
    pub fn mean_error(&self) -> Magnitude {
        *self.mean_error.get_or_init(|| {
            let rounding = Magnitude::from(self.h + self.u);
            let term = |i: usize| self.direction(i) * (self.probability_error(i) + self.probability(i) * rounding);
            let underflow = self.count_eta() + Magnitude::from(self.count() as f64 + 1.0) * self.flushed;
            self.sum_over(&term) + underflow
        })
    }

    /// `|sum g_i|`, known to `2^-100` of the second, and `sum |g_i|`.
    pub fn direction_sums(&self) -> (Magnitude, Magnitude) {
        *self.direction_sums.get_or_init(|| {
            let (sum, rest) = self.inputs.direction.iter().fold((0.0, 0.0), |(sum, rest), &g| {
                let (sum, error) = crate::dtype::two_difference(sum, -g);
                (sum, rest + error)
            });
            let size = self.sum_over(&|i| self.direction(i));
            (Magnitude::from(sum + rest) + size.shifted(-100), size)
        })
    }
}

/// The terms of an element under a kernel's claims.
pub(crate) struct ElementTerms {
    /// The unit roundoff of the accumulator.
    pub u: f64,
    /// The constants of its functions, in units of `u`: `c_e` of exp, `c_m` of expm1, `c_l` of log, `c_1p` of log1p.
    pub exp: f64,
    /// See `exp`.
    pub expm1: f64,
    /// See `exp`.
    pub log: f64,
    /// See `exp`.
    pub log1p: f64,
    /// The least number of the accumulator that is not lost to underflow.
    pub eta: Magnitude,
    /// What reading a number may lose to underflow: nothing, or `eta` where it is flushed to zero.
    pub flushed: Magnitude,
}
