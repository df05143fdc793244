//! The errors that are forgiven to the log-sum-exp of every prefix, in one pass.
//!
//! Notation of `judge::bound`, of the logits up to `j`: `a` the maximum, `S` the sum, `s = S - 1`, `y = a + log S`, `p_i = w_i / S`,
//! `D = sum p_i d_i`, `H = log S + D` (the entropy), `R_i` how often the running maximum rises after `i`, `h` that of a sum of `j + 1` terms.
//! Any algorithm here makes the outputs of merges: of what came before and a logit, or of two blocks of logits.
//!
//! **A maximum and a sum.** Differences are rounded by `u` of themselves, and those that a weight passes through, its own and those of its
//! rescalings, add up to `d_i`, so they cost `u D` of the sum. A running sum multiplies weight `i` by a rounded exp `R_i` times, which costs
//! `R_i (c_e + 1) u` of it; where blocks are merged, each merge costs as much of its lesser side. With `b` a merge, `p_b` its share of the
//! whole and `x` that of its lesser side in it, `sum p_b x <= sum p_b (-x log x - (1 - x) log(1 - x)) / log 4 = H / log 4`: the entropies of
//! all merges of one tree add up to that of the row, and `-x log x - (1 - x) log(1 - x) >= x log 4` up to `x = 1/2`. Their differences cost
//! `u H` at most, for the same reason. So, of the order of the logits and of merges in any order:
//!
//! ```text
//! E   = u H + (c_e + 1) u max(sum p_i R_i, H / log 4) + c_x u D + c_x^2 u^2 sum p_i d_i^2
//! B_s = u |y| + c_l u log S + c_e u + E + h + (j + 1) 2 eta                textbook
//! B_s = u |y| + c_1p u log1p(s) + (s c_e u + s h + (j + 1) 2 eta) / S + E     tight
//! ```
//!
//! The `2 eta` are the underflows of a weight and of the factor or the product that the sum is multiplied by.
//!
//! **A scan with logaddexp**, `max + log1p(exp(min - max))` of two outputs. Every merge errs by `e_b = u |y_b|` of its own rounding and by
//! `c_1p u log1p(v) + v / (1 + v) (u delta + c_e u)`, `v = exp(-delta)`. Since each merge multiplies all that is below it, the result is
//! `log sum p_i exp(sum of the errors of the merges above i)` off, exactly. The second kind adds up to `u (max(c_1p, 1) H + c_e H / log 4)`,
//! as above: the entropy of a merge is `log1p(v) + delta v / (1 + v)`. The first kind, of merges that make prefixes (all of them, where the
//! scan goes from the first to the last, as PyTorch's on a CPU):
//!
//! ```text
//! C_0 = 0,   C_j = log1p(q (exp(C_(j-1) + u |y_(j-1)|) - 1)) <= min(x, q (e^x - 1)),   x = C_(j-1) + u |y_(j-1)|
//! ```
//!
//! with `q` the share of what came before `j`, and no `u |y_(j-1)|` where `j - 1` is the first finite logit, which is copied. A scan in a
//! tree (Blelloch, "Prefix sums and their applications", 1990; JAX's `associative_scan`; blocks on a GPU) merges blocks that are no
//! prefixes, too, in levels: `L = ceil(log2 j)` of them at most, in each of which the blocks are disjoint. The output of one is
//! `y + log p_b`, so a level costs `u sum p_b |y_b| <= u (|y| + log m)` with `m` the number of finite logits. Together
//!
//! ```text
//! B_c = u |y| + C_j + L u (|y| + log m) + u (max(c_1p, 1) + c_e / log 4 + c_x) H + (j + 1) (eta + 4 eta [flushed])
//! ```
//!
//! where the levels are no more than the finite logits but two. The textbook bound is the larger of `B_s` and `B_c`; without its rounding,
//! `u |y|`, which the op adds.
//!
//! Claims: `merged` adds a rescaling, `(c_e + 1) u`, and an addition, `u`, for each level of merges; `online` adds nothing, which a prefix
//! has anyway.

use crate::kernel::Claims;
use crate::magnitude::Size;
use crate::oracle::{exp, log1p};

/// What the errors are computed from.
pub(super) struct PrefixErrors<'a, S> {
    /// The logits; those from the first on that is NaN or +inf are not looked at.
    pub logits: &'a [f64],
    /// What the kernel claims.
    pub claims: &'a Claims,
    /// The unit roundoff of the accumulator.
    pub u: f64,
    /// The least number of the accumulator that is not lost to underflow.
    pub eta: S,
    /// `eta` where subnormal numbers are flushed to zero, else 0.
    pub flushed: S,
    /// What no relative error of a sum is more than.
    pub most: f64,
    /// Whether `log S` is computed as log1p(s), and no scan is forgiven.
    pub is_tight: bool,
}

/// More than the plain functions err by, and the quotient of one: 14 roundoffs.
const SAFETY: f64 = 1.0 + 8.0 * f64::EPSILON;

/// `log 4`.
const LOG_4: f64 = 2.0 * std::f64::consts::LN_2;

/// What is known of a prefix. Sums are of weights relative to its maximum.
struct Prefix<S> {
    max: f64,
    /// The number of finite logits.
    finite: u64,
    /// `s`.
    others: S,
    /// `sum w_i d_i`, `sum w_i d_i^2` and `sum w_i R_i`.
    gaps: S,
    squares: S,
    rises: S,
    /// `C`.
    chain: f64,
    /// `u |y|`, where the output was rounded.
    rounding: f64,
}

impl<S: Size> PrefixErrors<'_, S> {
    /// For each prefix its error, but for the rounding of the output; 0 where it has no finite logit, or one that is not ordinary.
    pub fn all(&self) -> Vec<S> {
        let mut prefix = Prefix::NONE;
        let mut errors = vec![S::ZERO; self.logits.len()];
        for (j, (&z, error)) in self.logits.iter().zip(&mut errors).enumerate() {
            if z.is_nan() || z == f64::INFINITY {
                break;
            }
            if z.is_finite() {
                prefix.take(z);
            }
            if prefix.finite > 0 {
                *error = self.of(j, z, &mut prefix);
            }
        }
        errors
    }

    /// That of prefix `j`, whose last logit is `z`.
    fn of(&self, j: usize, z: f64, prefix: &mut Prefix<S>) -> S {
        let Self { claims, u, .. } = *self;
        let total = S::of(1.0) + prefix.others;
        let log_total = prefix.log_total();
        let gaps = prefix.gaps / total;
        let entropy = log_total + gaps;
        let size = (prefix.max + log_total.to_f64()).abs() + (prefix.max.abs() + log_total.to_f64()) * 1e-15;
        if z.is_finite() {
            prefix.rounding = if prefix.finite > 1 { u * size } else { 0.0 };
        }
        let larger = |a: S, b: S| if a > b { a } else { b };

        let rescaled = larger(prefix.rises / total, entropy / S::of(LOG_4));
        let argument = claims.exp_argument * u;
        let spread = S::of(u) * entropy
            + S::of((claims.exp + 1.0) * u) * rescaled
            + S::of(argument) * (gaps + S::of(argument) * prefix.squares / total);
        let h = (claims.sum.roundings(j + 1) * u).min(self.most);
        let merges = f64::from(claims.merges(j + 1));
        let of_each = claims.exp * u + merges * (claims.exp + 1.0) * u + h + merges * u;
        let underflow = S::of(2.0 * (j as f64 + 1.0) * (1.0 + merges)) * self.eta;
        if self.is_tight {
            let of_others = prefix.others * S::of(of_each) + underflow;
            return S::of(claims.log1p * u) * log_total + of_others / total + spread;
        }
        let of_sum = S::of(claims.log * u) * log_total + S::of(of_each) + spread + underflow;

        let levels = j.saturating_sub(1).checked_ilog2().map_or(0.0, |power| f64::from(power) + 1.0);
        let levels = levels.min(prefix.finite.saturating_sub(2) as f64);
        let of_blocks = levels * u * (size + log1p(prefix.finite.saturating_sub(1) as f64) * SAFETY);
        let of_functions = (claims.log1p.max(1.0) + claims.exp / LOG_4 + 2.0 * claims.exp_argument) * u;
        let lost = S::of(j as f64 + 1.0) * (self.eta + S::of(4.0) * self.flushed);
        larger(of_sum, S::of(prefix.chain + of_blocks) + S::of(of_functions) * entropy + lost)
    }
}

impl<S: Size> Prefix<S> {
    /// Of no logit.
    const NONE: Self = Self {
        max: f64::NEG_INFINITY,
        finite: 0,
        others: S::ZERO,
        gaps: S::ZERO,
        squares: S::ZERO,
        rises: S::ZERO,
        chain: 0.0,
        rounding: 0.0,
    };

    /// Takes a finite logit in.
    fn take(&mut self, z: f64) {
        let one = S::of(1.0);
        self.finite += 1;
        if self.finite == 1 {
            self.max = z;
            return;
        }
        let before = one + self.others;
        let (share, total);
        if z > self.max {
            let gap = z - self.max;
            let factor = weight::<S>(gap);
            // Beyond the largest number every product with the weight is 0.
            let gap = S::of(gap.min(f64::MAX));
            let twice = gap + gap;
            self.squares = factor * (self.squares + twice * self.gaps + gap * gap * before);
            self.gaps = factor * (self.gaps + gap * before);
            self.rises = factor * (self.rises + before);
            self.others = factor * before;
            self.max = z;
            (share, total) = (self.others, one + self.others);
        } else {
            let gap = self.max - z;
            let weight = weight::<S>(gap);
            let gap = S::of(gap.min(f64::MAX));
            self.squares = self.squares + weight * (gap * gap);
            self.gaps = self.gaps + weight * gap;
            self.others = self.others + weight;
            (share, total) = (before, one + self.others);
        }
        self.chain = carried(self.chain + self.rounding, (share / total).to_f64() * SAFETY);
    }

    /// An upper bound of `log S`.
    fn log_total(&self) -> S {
        /// Below, the number is its own logarithm.
        const SMALL: f64 = 1e-18;
        let others = self.others.to_f64();
        if others < SMALL { self.others } else { S::of(log1p(others) * SAFETY) }
    }
}

/// `min(x, share (e^x - 1))`, an upper bound of what an error of `x` in a part with this share makes of the whole.
fn carried(x: f64, share: f64) -> f64 {
    /// Up to here `x + x^2` is more than `e^x - 1`, and not much.
    const SMALL: f64 = 0.0625;
    let grown = if x <= SMALL { x + x * x } else { exp(x) * SAFETY - 1.0 };
    // A share of 0 takes an infinity away.
    if share == 0.0 { 0.0 } else { x.min(share * grown) }
}

/// An upper bound of `exp(-gap)`, within little of it up to 700 and within a factor of 2 from there on.
fn weight<S: Size>(gap: f64) -> S {
    /// Up to here there is an exponential in plain numbers.
    const REACH: f64 = 700.0;
    /// Powers of two beyond which a weight is nothing beside any other number, whatever it is multiplied by.
    const FARTHEST: f64 = 1e6;
    if gap <= REACH {
        S::of(SAFETY / exp(gap))
    } else {
        S::of(1.0).shifted(-((gap * std::f64::consts::LOG2_E * (1.0 - 1e-12)).min(FARTHEST) as i32))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generate::draw::Draw;

    const MASKED: f64 = f64::NEG_INFINITY;

    fn row(draw: &mut Draw) -> Vec<f64> {
        let scale = draw.choose(&[0.25, 2.0, 30.0, 300.0]);
        let offset = draw.choose(&[0.0, 0.0, -5.0, 80.0, -1e3]);
        let value = |draw: &mut Draw| f64::from(draw.index(41) as u32) / 20.0 - 1.0;
        let mut row: Vec<f64> = (0..1 + draw.index(24)).map(|_| offset + scale * value(draw)).collect();
        if draw.chance(4) {
            row.sort_by(f64::total_cmp);
        }
        row.iter_mut().filter(|_| draw.chance(10)).for_each(|z| *z = MASKED);
        row
    }

    fn errors<'a>(logits: &'a [f64], claims: &'a Claims, u: f64) -> PrefixErrors<'a, f64> {
        PrefixErrors { logits, claims, u, eta: 0.0, flushed: 0.0, most: 0.125, is_tight: false }
    }

    /// The sums of each prefix against their definitions: never less, and hardly more.
    #[test]
    fn sums_of_prefixes_are_what_they_are_called() {
        let mut draw = Draw::from_seed(1);
        let claims = Claims::default();
        let mut checked = 0;
        for _ in 0..2_000 {
            let row = row(&mut draw);
            let all = errors(&row, &claims, 1e-8);
            let mut prefix: Prefix<f64> = Prefix::NONE;
            for (j, &z) in row.iter().enumerate() {
                if z == MASKED {
                    continue;
                }
                prefix.take(z);
                all.of(j, z, &mut prefix);
                let finite: Vec<f64> = row[..=j].iter().copied().filter(|z| z.is_finite()).collect();
                let max = finite.iter().copied().fold(MASKED, f64::max);
                let sum = |term: &dyn Fn(usize, f64) -> f64| -> f64 {
                    finite.iter().enumerate().map(|(i, z)| (z - max).exp() * term(i, max - z)).sum()
                };
                let rises = |i: usize| {
                    let mut running = finite[..=i].iter().copied().fold(MASKED, f64::max);
                    let is_rise = |z: &&f64| {
                        let is_rise = **z > running;
                        running = running.max(**z);
                        is_rise
                    };
                    finite[i + 1..].iter().filter(is_rise).count() as f64
                };
                for (got, due) in [
                    (1.0 + prefix.others, sum(&|_, _| 1.0)),
                    (prefix.gaps, sum(&|_, gap| gap)),
                    (prefix.squares, sum(&|_, gap| gap * gap)),
                    (prefix.rises, sum(&|i, _| rises(i))),
                    (prefix.log_total(), sum(&|_, _| 1.0).ln()),
                ] {
                    assert!((got - due).abs() <= 1e-12 * (1.0 + due), "{row:?} {j}: {got:e}, not {due:e}");
                    checked += 1;
                }
            }
        }
        assert!(checked > 100_000, "{checked}");
    }

    fn log_add_exp(x: f64, y: f64) -> f64 {
        let (low, high) = if x < y { (x, y) } else { (y, x) };
        if low == MASKED { high } else { high + (low - high).exp().ln_1p() }
    }

    /// Scans that are exact but for the rounding of each output, which errs by all that it may: in one direction, in the other, or in
    /// either. Their outputs err by less than the bound, and by nearly as much where the scan goes from the first to the last.
    #[test]
    fn roundings_of_scans_are_bounded() {
        let claims = Claims { exp: 0.0, log: 0.0, log1p: 0.0, ..Claims::default() };
        let mut draw = Draw::from_seed(2);
        let (mut checked, mut largest) = (0, [0.0f64; 2]);
        for round in 0..20_000 {
            let row = row(&mut draw);
            // From a few roundings that are nothing to some that are many times the logarithm of a sum.
            let u = 0.5f64.powi([30, 20, 12, 8][round % 4]);
            let direction = [-1.0, 1.0, 0.0][round / 4 % 3];
            let mut rounded = |x: f64, is_copied: bool| {
                let sign = if direction == 0.0 { draw.choose(&[-1.0, 1.0]) } else { direction };
                if is_copied || x == MASKED { x } else { x + sign * u * x.abs() }
            };
            let mut merge = |x: f64, y: f64| rounded(log_add_exp(x, y), x == MASKED || y == MASKED);
            let mut in_order = row.clone();
            (1..row.len()).for_each(|j| in_order[j] = merge(in_order[j - 1], row[j]));
            let mut by_doubling = row.clone();
            for power in (0..).take_while(|&power| 1 << power < row.len()) {
                let before = by_doubling.clone();
                (1 << power..row.len()).for_each(|j| by_doubling[j] = merge(before[j - (1 << power)], before[j]));
            }
            let bounds = errors(&row, &claims, u).all();
            let mut exact = MASKED;
            for (j, bound) in bounds.into_iter().enumerate() {
                exact = log_add_exp(exact, row[j]);
                if exact == MASKED {
                    continue;
                }
                // As the bound is finished: with what is of second order, and the roundings of these numbers themselves.
                let h = (j as f64 * u).min(0.125);
                let bound = (bound + u * exact.abs()) * (1.0 + 4.0 * (h + 10.0 * u)) + 1e-13 * (1.0 + exact.abs());
                for (place, got) in [in_order[j], by_doubling[j]].into_iter().enumerate() {
                    let ratio = (got - exact).abs() / bound;
                    assert!(ratio <= 1.0, "{row:?} {j}, u = {u:e}: {got} is {ratio} of the bound off {exact}");
                    largest[place] = largest[place].max(if j > 3 { ratio } else { 0.0 });
                    checked += 1;
                }
            }
        }
        assert!(checked > 100_000 && largest.iter().all(|&ratio| ratio > 0.5), "{checked} {largest:?}");
    }
}
