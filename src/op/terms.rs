//! The terms that the error bounds of all ops are made of, in the notation of `judge::bound`, which derives the bounds and computes
//! the terms.

use super::inputs::Inputs;
use crate::dtype::{Dtype, Format, two_difference};
use crate::magnitude::{Magnitude, Size};
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
pub(crate) struct RowTerms<'a, S> {
    /// The inputs of the case.
    pub inputs: Inputs<'a>,
    /// Whether the row is finite but for some -inf.
    pub is_ordinary: bool,
    /// The largest logit.
    pub max: f64,
    /// For each logit its weight `exp(z - max)`; 0 at -inf.
    pub weights: &'a [S],
    /// `1 / S`, of the sum of the weights.
    pub reciprocal: S,
    /// `|g_j - c|`, for the ops that say that they use them.
    pub deviations: &'a [S],
    /// The unit roundoff of the accumulator.
    pub u: f64,
    /// `c_e u`.
    pub exp_error: f64,
    /// The least number of the accumulator that is not lost to underflow.
    pub eta: S,
    /// What reading a number, or adding two, may lose to underflow: nothing, or `eta` where it is flushed to zero.
    pub flushed: S,
    /// The relative error of a sum.
    pub h: f64,
    /// For each logit the rounding error of `z - a`, absolute.
    pub rho: &'a [f64],
    /// For each logit what claims add to the error of its weight where it is divided; empty where they add nothing.
    pub additions: &'a [Addition],
    /// `L u`, of the merges of parts: it is beside `h` where weights, or their products, are summed.
    pub merging: f64,
    /// The underflows of each term of such a sum: 1, and those of the rescalings.
    pub underflows: f64,
    /// `E_S`, the relative error of `S`.
    pub total_error: f64,
    /// The absolute error of `S` that comes of weights that were rescaled: what sums err besides.
    pub rescaled: S,
    /// `log S`.
    pub log_total: S,
    /// The absolute error of `log S`.
    pub log_error: S,
    /// Whether it is the tight bound that is asked for.
    pub is_tight: bool,
    /// The unit roundoff, and the least number, of a type that probabilities are rounded to on their way; none where they are not.
    pub narrowing: Option<(f64, f64)>,
    /// The same of the target's logits, for the op that takes them.
    pub other: Option<Box<RowTerms<'a, S>>>,
    /// For the ops that are of prefixes, of each prefix the error of its log-sum-exp but for its last rounding; else empty.
    pub prefix_errors: Vec<S>,
    /// Of `sum p_i g_i`.
    pub mean_error: OnceCell<S>,
    /// `|sum g_i|` and `sum |g_i|`.
    pub direction_sums: OnceCell<(S, S)>,
}

/// What claims add to the error of a weight that is divided.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Addition {
    /// A relative error.
    pub relative: f64,
    /// How often it is rescaled, and may underflow then.
    pub underflows: f64,
}

/// The relative error of `2^(x log2 e)` at `|x| = gap` that comes of a product with an error of `c u` of itself.
///
/// It is `e^t - 1` with `t = c u |x|`, and `t + t^2` is more up to `t = 1.79`. `Claims::check` keeps `t` below 1 wherever the
/// exponential is above the least number.
pub(crate) fn argument_error(c: f64, u: f64, gap: f64) -> f64 {
    let t = c * u * gap;
    t + t * t
}

impl<S: Size> RowTerms<'_, S> {
    /// The number of logits.
    pub fn count(&self) -> usize {
        self.inputs.logits.len()
    }

    /// `n eta`, as often as a term of a sum may underflow.
    pub fn count_eta(&self) -> S {
        S::of(self.count() as f64 * self.underflows) * self.eta
    }

    /// `u |y|` of a result of this size.
    pub fn own_rounding(&self, size: S) -> S {
        S::of(self.u) * size
    }

    /// `p_j`.
    pub fn probability(&self, j: usize) -> S {
        self.weights[j] * self.reciprocal
    }

    /// `log p_j` as a plain number, within a few roundoffs of `f64` of the terms; -inf of a masked class.
    pub fn log_probability(&self, j: usize) -> f64 {
        (self.inputs.logits[j] - self.max) - self.log_total.to_f64()
    }

    /// The absolute error of `log p_j`, `(z_j - a) - log S`: of the difference, of the logarithm, and of the last subtraction.
    pub fn log_probability_error(&self, j: usize) -> S {
        S::of(self.rho[j]) + self.log_error + S::of(self.u * self.log_probability(j).abs().min(f64::MAX)) + self.flushed
    }

    /// `A_j`, the absolute error of `p_j`. A masked class has weight exactly 0, and its p is exactly 0.
    pub fn probability_error(&self, j: usize) -> S {
        if self.weights[j].is_zero() {
            return S::ZERO;
        }
        let relative = self.rho[j] + self.exp_error + self.u + self.total_error;
        let eta = self.eta;
        match self.additions.get(j) {
            None => self.probability(j) * S::of(relative) + (eta + eta * self.reciprocal),
            Some(more) => {
                let underflows = S::of(1.0 + more.underflows);
                self.probability(j) * S::of(relative + more.relative) + (eta + underflows * eta * self.reciprocal)
            }
        }
    }

    /// The absolute error of `(S - w_t) / S` where the other weights are added up without `w_t`: of their sum, of `S`, and of the quotient,
    /// which has this size.
    pub fn rest_error(&self, t: usize, size: S) -> S {
        let others = |term: &dyn Fn(usize) -> S| self.sum_over(&|i| if i == t { S::ZERO } else { term(i) });
        let sum = others(&|i| self.weights[i]);
        let underflow = self.eta + self.eta * self.reciprocal;
        if sum.is_zero() {
            return underflow;
        }
        let of_weight =
            |i: usize| self.rho[i] + self.exp_error + self.additions.get(i).map_or(0.0, |more| more.relative);
        let errors = others(&|i| self.weights[i] * S::of(of_weight(i))) + self.rescaled + self.count_eta();
        size * (errors / sum + S::of(self.h + self.merging + self.total_error + 2.0 * self.u)) + underflow
    }

    /// The error of the log-sum-exp of prefix `j`, but for its last rounding. An op that is not of prefixes is told infinity.
    pub fn prefix_error(&self, j: usize) -> S {
        self.prefix_errors.get(j).copied().unwrap_or(S::INFINITY)
    }

    /// `|g_j|`.
    pub fn direction(&self, j: usize) -> S {
        S::of(self.inputs.direction.get(j).copied().unwrap_or(0.0))
    }

    /// `|g_j - c|`. An op that does not say that it uses them is told nothing less than infinity.
    pub fn deviation(&self, j: usize) -> S {
        self.deviations.get(j).copied().unwrap_or(S::INFINITY)
    }

    /// The sum of a term over all logits.
    pub fn sum_over(&self, term: &dyn Fn(usize) -> S) -> S {
        (0..self.count()).fold(S::ZERO, |sum, i| sum + term(i))
    }

    /// What probabilities that are rounded to the type of [`RowTerms::narrowing`] before they are multiplied add to the error of a mean of
    /// this size: `u_w` of each, with the error that it has already, and `eta_w`. Where the sum of the weights is that of the rounded
    /// ones, it errs by `u_w`, too, and the mean with it.
    pub fn narrowing_error(&self, size: S) -> S {
        let Some((roundoff, least)) = self.narrowing else { return S::ZERO };
        let (roundoff, least) = (S::of(roundoff), S::of(least));
        let of_weight = |i: usize| match self.weights[i].is_zero() {
            true => S::ZERO,
            false => (self.probability(i) + self.probability_error(i)) * roundoff + least,
        };
        self.sum_over(&|i| self.direction(i) * of_weight(i)) + size * roundoff
    }

    /// `D`, the absolute error of `c = sum p_i g_i`.
    pub fn mean_error(&self) -> S {
        *self.mean_error.get_or_init(|| {
            let rounding = S::of(self.h + self.merging + self.u);
            let term = |i: usize| self.direction(i) * (self.probability_error(i) + self.probability(i) * rounding);
            let underflow = self.count_eta() + S::of(self.count() as f64 + 1.0) * self.flushed;
            self.sum_over(&term) + underflow
        })
    }

    /// `|sum g_i|`, known to `2^-100` of the second, and `sum |g_i|`.
    pub fn direction_sums(&self) -> (S, S) {
        *self.direction_sums.get_or_init(|| {
            let (sum, rest) = self.inputs.direction.iter().fold((0.0, 0.0), |(sum, rest), &g| {
                let (sum, error) = two_difference(sum, -g);
                (sum, rest + error)
            });
            let size = self.sum_over(&|i| self.direction(i));
            (S::of(sum + rest) + size.shifted(-100), size)
        })
    }
}

/// What an op needs to tell whether the textbook overflows on an ordinary row.
pub(crate) struct OverflowTerms<'a> {
    /// The inputs of the case.
    pub inputs: Inputs<'a>,
    /// The largest logit.
    pub max: f64,
    /// The relative error of a sum.
    pub h: f64,
    /// The unit roundoff of the accumulator.
    pub u: f64,
}

/// `|fl(a - b) - (a - b)|` in the accumulator; 0 where that overflows.
#[inline]
pub(crate) fn difference_error(a: f64, b: f64, accumulator: Format) -> f64 {
    let (high, low) = two_difference(a, b);
    // Where the difference is a tie, either neighbour is as far.
    let rounded =
        if accumulator == Dtype::F32.format() { f64::from(high as f32) } else { accumulator.round(high, low) };
    if rounded.is_finite() { ((high - rounded) + low).abs() } else { 0.0 }
}

/// A distance from 0 at which the exponential is below the least number of every dtype, and beyond the largest.
pub(crate) const FARTHEST: f64 = 2048.0;

/// What is known of an element that has a finite value.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Known<S> {
    /// An upper bound of the exponential of its [`ElementDefinition::difference`](super::definition::ElementDefinition::difference).
    pub weight: S,
    /// The size of the value.
    pub size: S,
    /// The value, to half an ulp of the dtype.
    pub value: f64,
}

/// The terms of an element under a kernel's claims.
pub(crate) struct ElementTerms<S> {
    /// The unit roundoff of the accumulator.
    pub u: f64,
    /// The constants of its functions, in units of `u`: `c_e` of exp, `c_m` of expm1, `c_l` of log, `c_1p` of log1p.
    pub exp: f64,
    /// `c_x`, the relative error of the argument of a power of 2.
    pub exp_argument: f64,
    /// See `exp`.
    pub expm1: f64,
    /// See `exp`.
    pub log: f64,
    /// See `exp`.
    pub log1p: f64,
    /// The least number of the accumulator that is not lost to underflow.
    pub eta: S,
    /// What reading a number may lose to underflow: nothing, or `eta` where it is flushed to zero.
    pub flushed: S,
    /// `1 / Omega`, with `Omega` the power of two beyond the largest number of the accumulator.
    pub beyond: S,
    /// Whether it is the tight bound that is asked for.
    pub is_tight: bool,
    /// The format of the accumulator.
    pub accumulator: Format,
}

impl<S: Size> ElementTerms<S> {
    /// `|fl(a b) - a b|` in the accumulator, of a product that does not overflow; less what underflow takes of it, which is below `eta`.
    pub fn product_error(&self, a: f64, b: f64) -> f64 {
        let high = a * b;
        let low = a.mul_add(b, -high);
        ((high - self.accumulator.round(high, low)) + low).abs()
    }

    /// `|fl(a - b) - (a - b)|` in the accumulator; 0 where that overflows, as the exponential of it is 0 then.
    pub fn difference_error(&self, a: f64, b: f64) -> f64 {
        difference_error(a, b, self.accumulator)
    }

    /// The relative error of `exp` at this distance from 0, on either side: `c_e u`, and what the argument of a power of 2 errs.
    /// Farther than [`FARTHEST`] the exp is 0 or below eta, which is counted.
    pub fn exp_error(&self, distance: f64) -> f64 {
        self.exp * self.u + argument_error(self.exp_argument, self.u, distance.min(FARTHEST))
    }

    /// The absolute error of a sigmoid of this size. With `w = exp(-|z|)`, an upper bound of which is the weight, and `S = 1 + w`:
    ///
    /// ```text
    /// p ([z < 0] c_e u + (w / S) c_e u + 2 u) + eta (1 + 1 / S), textbook: + [z < 0] / Omega
    /// ```
    ///
    /// `w / S` and `1 / S` err by `c_e u` of the exp above, which is not there for `z >= 0`, by `(w / S) c_e u` of the exp below, and by
    /// the sum and the quotient; `1 / (1 + exp(-z))` of a negative z errs by `c_e u / S` and these. An underflow of the exp, or of the
    /// quotient, is an eta each. The last term is what `1 / (1 + exp(-z))` loses where the exp overflows: there `p < exp(z)` is no more
    /// than `1 / Omega` but for the roundings that are counted. The tight bound, which both branches earn, does not forgive it.
    ///
    /// Where subnormal numbers are flushed, a z that is read as 0 moves the sigmoid by a quarter of an eta, where nothing else underflows.
    pub fn sigmoid_error(&self, z: f64, weight: S, p: S) -> S {
        let w = weight.to_f64();
        let reciprocal = 1.0 / (1.0 + w);
        let exp_error = self.exp_error(z.abs());
        let (above, beyond) = if z < 0.0 { (exp_error, self.beyond) } else { (0.0, S::ZERO) };
        let relative = above + w * reciprocal * exp_error + 2.0 * self.u;
        let error = p * S::of(relative) + self.eta * S::of(1.0 + reciprocal);
        if self.is_tight { error } else { error + beyond }
    }

    /// The absolute error of `log1p(w)`, `w = exp(-d)`, an upper bound of which is the weight, of a d that errs by rho:
    /// `c_1p u log1p(w) + (w / S) (rho + c_e u) + eta`, since the derivative of `log(1 + w)` is `1 / S`.
    ///
    /// Where subnormal numbers are flushed, an exp that is 0 loses less than eta and has the logarithm 0; one that is not has a logarithm
    /// that may be; and a d that is read as 0 moves the logarithm by half of it, where nothing else is small.
    pub fn log1p_error(&self, d: f64, weight: S, rho: f64) -> S {
        let w = weight.to_f64();
        // More than log1p(w) / w, by 1 % at most for w <= 1: the derivatives of w (6 + w) / (6 + 4 w) and of log1p(w) differ by
        // 4 w^3 / ((6 + 4 w)^2 (1 + w)).
        let ratio = (6.0 + w) / (6.0 + 4.0 * w);
        weight * S::of(self.log1p * self.u * ratio + (rho + self.exp_error(d)) / (1.0 + w)) + self.eta
    }
}
