//! The prefixes of a row, for ops whose outputs are of the logits up to a place: all of them in one pass.
//!
//! Notation: `a_j` the maximum of `z_0` to `z_j`, `w_i = exp(z_i - a_j)`, `s_j` the sum of the weights without one maximum, so that
//! `log S_j = log1p(s_j)`. From one prefix to the next with a logit `z`:
//!
//! ```text
//! z <= a: s <- s + exp(z - a)        z > a: s <- (s + 1) exp(a - z), a <- z
//! ```
//!
//! All terms are positive, so nothing cancels; every step is one of balls, or of intervals of a precision, and encloses. A sum passes
//! through as many steps as the row is long, each of which widens it by a few of its last units: a row of `2^20` logits leaves 80 bits of
//! a ball. A logit of -inf changes nothing. From the first logit on that is NaN or +inf no prefix has a sum; see `special`.

use super::ball::Ball;
use super::interval::Interval;
use super::row::{self, PRECISIONS, Weight};
use crate::dtype::Dtype;
use std::cell::OnceCell;
use std::sync::Arc;

/// The prefixes of a row.
pub(super) struct Prefixes {
    logits: Arc<[f64]>,
    /// The dtype of the outputs.
    dtype: Dtype,
    tops: OnceCell<Vec<Top>>,
    balls: OnceCell<Vec<Ball>>,
    levels: [OnceCell<Vec<Interval>>; PRECISIONS.len()],
}

/// The largest logits of a prefix.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Top {
    /// `a`; -inf where no logit is finite.
    pub max: f64,
    /// The largest logit below it; -inf where there is none.
    pub next: f64,
    /// The number of maxima; 0 where no logit is finite.
    pub count: u64,
}

impl Top {
    const NONE: Self = Self { max: f64::NEG_INFINITY, next: f64::NEG_INFINITY, count: 0 };

    fn with(self, z: f64) -> Self {
        if !z.is_finite() {
            self
        } else if z > self.max {
            Self { max: z, next: self.max, count: 1 }
        } else if z == self.max {
            Self { count: self.count + 1, ..self }
        } else {
            Self { next: self.next.max(z), ..self }
        }
    }

    /// Whether there is one finite logit in the prefix, or none: then its log-sum-exp is that, exactly.
    pub fn is_alone(self) -> bool {
        self.count <= 1 && self.next == f64::NEG_INFINITY
    }
}

impl Prefixes {
    /// Those of a row of these logits, for outputs of a dtype. Nothing is computed before it is asked for.
    pub fn new(logits: Arc<[f64]>, dtype: Dtype) -> Self {
        Self { logits, dtype, tops: OnceCell::new(), balls: OnceCell::new(), levels: Default::default() }
    }

    /// The largest logits of prefix `j`.
    pub fn top(&self, j: usize) -> Top {
        self.tops.get_or_init(|| {
            let step = |top: &mut Top, z: &f64| {
                *top = top.with(*z);
                Some(*top)
            };
            self.logits.iter().scan(Top::NONE, step).collect()
        })[j]
    }

    /// Whether all the rest of prefix `j` is so far below one logit that it decides nothing about an output but its sign.
    pub fn is_far_above(&self, j: usize) -> bool {
        let top = self.top(j);
        !top.is_alone() && top.count == 1 && row::is_beyond_reach(top.next, top.max, self.dtype)
    }

    /// `log S_j`, as a ball.
    pub fn log_total(&self, j: usize) -> Ball {
        let one = Ball::exact(1.0);
        let weight = |z: f64, max: f64| Weight::of_difference(z, max, self.dtype).ball;
        let balls = self.balls.get_or_init(|| self.sums(Ball::ZERO, one, weight, |s, w| *s + *w, |s, w| *s * *w));
        // A row has one logarithm, and may take its time for it; this one has as many as logits.
        balls[j].ln_1p().unwrap_or_else(|| row::log1p(balls[j]))
    }

    /// The same as an interval of precision `PRECISIONS[index]`.
    pub fn log_total_at(&self, j: usize, index: usize) -> Interval {
        let bits = PRECISIONS[index];
        let weight = |z: f64, max: f64| row::exponential(bits, max, z, 1.0);
        let (zero, one) = (Interval::zero(bits), Interval::enclose(bits, 1u32));
        let sums = || self.sums(zero, one, weight, |s, w| s.plus(w), |s, w| s.by(w));
        self.levels[index].get_or_init(sums)[j].log1p()
    }

    /// `s_j` of every prefix, in numbers that enclose.
    fn sums<N: Clone>(
        &self,
        zero: N,
        one: N,
        weight: impl Fn(f64, f64) -> N,
        plus: impl Fn(&N, &N) -> N,
        times: impl Fn(&N, &N) -> N,
    ) -> Vec<N> {
        let (mut max, mut sum) = (f64::NEG_INFINITY, zero);
        let mut step = |&z: &f64| {
            if z.is_finite() {
                if max == f64::NEG_INFINITY {
                    max = z;
                } else if z > max {
                    sum = times(&plus(&sum, &one), &weight(max, z));
                    max = z;
                } else {
                    sum = plus(&sum, &if z == max { one.clone() } else { weight(z, max) });
                }
            }
            sum.clone()
        };
        self.logits.iter().map(&mut step).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generate::draw::Draw;
    use crate::oracle::row::PreparedRow;

    /// Against the sums of each prefix as a row of its own.
    #[test]
    fn prefixes_are_rows() {
        const MASKED: f64 = f64::NEG_INFINITY;
        let values = [MASKED, -3e300, -800.0, -40.5, -1.0, -0.0, 0.0, 2.25, 2.25, 90.0, 1e300];
        let mut draw = Draw::from_seed(1);
        let mut checked = 0;
        for _ in 0..300 {
            let row: Vec<f64> = (0..1 + draw.index(12)).map(|_| draw.choose(&values)).collect();
            let prefixes = Prefixes::new(row.clone().into(), Dtype::F64);
            for j in 0..row.len() {
                let top = prefixes.top(j);
                let finite = row[..=j].iter().filter(|z| z.is_finite()).count();
                assert_eq!((top.count == 0, top.is_alone()), (finite == 0, finite <= 1), "{row:?} {j}");
                if finite == 0 {
                    continue;
                }
                let own = PreparedRow::new(Dtype::F64, row[..=j].to_vec().into());
                assert_eq!((top.max, top.count), (own.max, u64::from(own.counts[0])), "{row:?} {j}");
                let is_far = own.groups() > 1 && own.counts[0] == 1 && own.weights()[1].is_beyond_reach();
                assert_eq!(prefixes.is_far_above(j), is_far, "{row:?} {j}");
                let (ball, due) = (prefixes.log_total(j), own.sums().log_total);
                assert!((ball - due).high.abs() <= (ball.radius + due.radius) * 1.01, "{row:?} {j}: {ball:?} {due:?}");
                for index in 0..3 {
                    let interval = prefixes.log_total_at(j, index);
                    let due = own.level(index).log_total(&own);
                    // Both hold the number, so they meet.
                    assert!(interval.low <= due.high && due.low <= interval.high, "{row:?} {j}");
                    let width = crate::number::Float::with_val(64, &interval.high - &interval.low);
                    assert!(is_far || width <= interval.high * 1e-30f64, "{row:?} {j}");
                }
                checked += 1;
            }
        }
        assert!(checked > 1_000, "{checked}");
    }
}
