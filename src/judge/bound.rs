//! The error that is forgiven: the a-priori bound of the textbook algorithm, subtract the maximum, on this very input.
//!
//! With `u` the roundoff and `eta` the least subnormal of the accumulator, `a` the maximum, `d_i = a - z_i`, `w_i = exp(-d_i)`,
//! `S = sum w_i`, `s = S - 1`, `p_i = w_i / S`, `h = min(H u, 1/8)` for a summation of length `H`, and
//! `rho_i = |fl(z_i - a) - (z_i - a)|` (0 where that overflows: the weight is 0 then):
//!
//! ```text
//! E_S = (1/S) sum w_i (rho_i + c_e u) + h + n eta                          relative error of S
//! E_l = (1/S) [ sum over i != k of w_i (rho_i + c_e u) + s h + n eta ]     absolute error it puts into log1p(s)
//! r_j = rho_j + c_e u + u + E_S                                            relative error of p_j
//! A_j = p_j r_j + eta (1 + 1/S)                                            absolute error of p_j, underflow included
//! D   = sum |g_i| (A_i + p_i (h + u)) + n eta                              absolute error of c = sum p_i g_i
//! ```
//!
//! The first-order analysis is that of Blanchard, Higham and Higham (IMA J. Numer. Anal. 41(4), 2021), sharpened by the exact
//! `rho_i` and carried over to the other ops. Second order is covered by the factor `1 + 4 (h + 10 u)`, and the rounding of the
//! result by half an ulp of the output dtype, taken in the binade that the computed value may reach.
//!
//! Where subnormal numbers are flushed to zero, `eta` is the least normal number, and what gradual underflow leaves exact costs
//! up to one `eta` too: each value read, each addition, each difference. Beside weights of sum 1 or more that is of no account.
//! It is added where numbers as small as `eta` are summed or subtracted: `(n + 1) eta` to `D` (n additions, and the values
//! read, whose weights sum to 1), `2 eta` to `g_j - c`, `2 n eta` to `sum g_i`, `2 eta` to `g_j - p_j sum g_i`, `eta` to
//! `v_j - c`, and `2 eta` to `p_j - q_j` where `e > 0` (of `e / n` and of the difference).

use crate::case::Case;
use crate::dtype::ldexp;
use crate::fenv::Standard;
use crate::kernel::Claims;
use crate::magnitude::Magnitude;
use crate::op::Op;
use crate::oracle::{Due, Real, SHOWN_BITS, Truth};

/// The error that is forgiven to each output, in absolute terms.
#[derive(Debug, Clone, PartialEq)]
pub struct Bounds {
    /// For each output the bound of the textbook algorithm: beyond it a result is worse than the textbook. Of a kernel that claims
    /// to be tight, the tight bound.
    pub textbook: Vec<Magnitude>,
    /// For each output the bound that a kernel earns by using log1p, for the ops that have one.
    pub tight: Option<Vec<Magnitude>>,
    /// For each output the textbook bound of a sum that keeps half of its digits, where the row is so long that it matters.
    pub half_digits: Option<Vec<Magnitude>>,
    /// Whether an overflow is forgiven that the textbook has although the value is finite: +inf for a loss where a gap, or the
    /// sum of the gaps, overflows the accumulator; anything not finite for a product whose cotangent or tangent is so large
    /// that its sums or differences may overflow.
    pub overflow_is_forgiven: bool,
    /// How far the sum of the probabilities may be from 1, and that of the gradient from 0.
    pub sum: f64,
}

impl Bounds {
    /// The bounds of a case under a kernel's claims. `truth` must be the truth of the case.
    pub fn new(case: &Case, truth: &Truth, claims: &Claims) -> Self {
        let _standard = Standard::enter();
        let row = Row::new(case, truth, claims);
        let h = row.h;
        let half_digits = h > row.u.sqrt();
        let form = if claims.tight { Form::Tight } else { Form::Textbook };
        let textbook = row.bounds(h, form);
        Self {
            tight: matches!(case.op(), Op::LogSumExp | Op::LogSoftmax | Op::CrossEntropy)
                .then(|| row.bounds(h, Form::Tight)),
            half_digits: half_digits.then(|| row.bounds(row.u.sqrt(), form)),
            textbook,
            overflow_is_forgiven: row.gaps_overflow() || row.direction_overflows(),
            sum: sum_bound(case, claims, h, row.rescaling),
        }
    }
}

/// `h = min(H u, 1/8)`, the relative error of a sum of `n` terms.
pub(super) fn sum_error(claims: &Claims, case: &Case) -> f64 {
    let u = claims.accumulator(case.dtype()).format().unit_roundoff();
    // A sum that stops growing altogether must not be forgiven because it is long.
    (claims.sum.roundings(case.logits().len()) * u).min(0.125)
}

/// How far the probabilities may be from summing to 1, or the gradient from summing to 0; `h` is the error of the sum, and
/// `rescaling` that of an online kernel's rescaled weights.
///
/// Whatever the exp, the weights that are summed are those that are divided, so only the sum, one rounding for a quotient or two
/// for a product with the reciprocal, and the output's own rounding count. An online kernel sums other weights than it divides.
fn sum_bound(case: &Case, claims: &Claims, h: f64, rescaling: f64) -> f64 {
    let output = case.dtype().format();
    let accumulator = claims.accumulator(case.dtype()).format();
    let u = accumulator.unit_roundoff();
    let rounded_again = if accumulator == output { 0.0 } else { output.unit_roundoff() };
    let underflow = case.logits().len() as f64 * least_number(case, claims, output.least() / 2.0);
    let first_order = match case.op() {
        Op::CrossEntropyGrad => (h + 6.0 * u) + rescaling + 2.0 * rounded_again + underflow,
        _ => (h + 2.0 * u) + rescaling + rounded_again + underflow,
    };
    // Of second order: 1 / (1 - h) and products of roundings.
    first_order * (1.0 + 4.0 * (h + 10.0 * u))
}

/// What a result may lose because it is flushed to zero; `otherwise` for kernels that do not flush.
pub(super) fn least_number(case: &Case, claims: &Claims, otherwise: f64) -> f64 {
    let accumulator = claims.accumulator(case.dtype()).format();
    if claims.flush_to_zero { accumulator.least_normal().max(case.dtype().format().least()) } else { otherwise }
}

#[derive(Clone, Copy, PartialEq)]
enum Form {
    /// With `log S` computed as log1p(s).
    Tight,
    /// With `log S` computed as log(S).
    Textbook,
}

/// What all outputs of a case share.
struct Row<'a> {
    case: &'a Case,
    truth: &'a Truth,
    claims: &'a Claims,
    u: f64,
    eta: Magnitude,
    /// What reading a number, or adding two, may lose to underflow: nothing, or `eta` where it is flushed to zero.
    flushed: Magnitude,
    h: f64,
    /// For each logit the rounding error of `z - a`, absolute.
    rho: Vec<f64>,
    /// `(1/S) sum w_i (rho_i + c_e u)`, with what an online kernel adds.
    weight_error: f64,
    /// The same without one maximum.
    other_weight_error: Magnitude,
    /// What an online kernel's rescaled weights may differ from those that it divides, relative to `S`; else 0.
    rescaling: f64,
}

impl<'a> Row<'a> {
    fn new(case: &'a Case, truth: &'a Truth, claims: &'a Claims) -> Self {
        let accumulator = claims.accumulator(case.dtype()).format();
        let u = accumulator.unit_roundoff();
        let eta = if claims.flush_to_zero { accumulator.least_normal() } else { accumulator.least() };
        let anatomy = &truth.anatomy;
        let ordinary = truth.class.is_ordinary();
        let logits = case.logits();
        let rho: Vec<f64> = if ordinary {
            let shift_error = |&z: &f64| {
                let (high, low) = two_difference(z, anatomy.max);
                let rounded = accumulator.round(high, low);
                if rounded.is_finite() { ((high - rounded) + low).abs() } else { 0.0 }
            };
            logits.iter().map(shift_error).collect()
        } else {
            vec![0.0; logits.len()]
        };
        let rises = if claims.online && ordinary { rises_after(logits) } else { Vec::new() };
        let top = logits.iter().position(|&z| z == anatomy.max);
        let (mut all, mut others, mut rescaled) = (Magnitude::ZERO, Magnitude::ZERO, Magnitude::ZERO);
        for (i, &weight) in anatomy.weights.iter().enumerate() {
            if weight.is_zero() {
                continue;
            }
            let mut relative = rho[i] + claims.exp * u;
            if let Some(&rises) = rises.get(i).filter(|&&rises| rises > 0) {
                // Milakov and Gimelshein's rescaling: one exp and one product for each rise, whose gaps add up to d_i at most.
                let rescaling = f64::from(rises) * (claims.exp + 1.0) * u + u * (anatomy.max - logits[i]);
                // A weight that was never rescaled errs as the one that is divided; one that was errs by itself.
                rescaled = rescaled + weight * Magnitude::from(rescaling + 2.0 * claims.exp * u + rho[i]);
                relative += rescaling;
            }
            let error = weight * Magnitude::from(relative);
            all = all + error;
            if Some(i) != top {
                others = others + error;
            }
        }
        let total = Magnitude::from(anatomy.total);
        Self {
            case,
            truth,
            claims,
            u,
            eta: Magnitude::from(eta),
            flushed: if claims.flush_to_zero { Magnitude::from(eta) } else { Magnitude::ZERO },
            h: sum_error(claims, case),
            rho,
            weight_error: (all / total).to_f64(),
            other_weight_error: others / total,
            rescaling: (rescaled / total).to_f64(),
        }
    }

    /// Whether `fl(d_t)`, or `fl(sum d_i)`, overflows the accumulator: then +inf is what the textbook returns for the loss.
    fn gaps_overflow(&self) -> bool {
        let Some((target, smoothing)) = self.case.target().filter(|_| self.case.op() == Op::CrossEntropy) else {
            return false;
        };
        if !self.truth.class.is_ordinary() {
            return false;
        }
        let format = self.claims.accumulator(self.case.dtype()).format();
        let gap = |z: f64| self.truth.anatomy.max - z;
        // A rounded sum of positive terms exceeds the exact one by a factor of at most 1 + h, one rounding more for its terms.
        let sum: f64 = self.case.logits().iter().map(|&z| gap(z)).sum();
        let sum = sum * (1.0 + self.h + 4.0 * self.u);
        let overflows = |x: f64| format.round(x, 0.0).is_infinite();
        (smoothing < 1.0 && overflows(gap(self.case.logits()[target]))) || (smoothing > 0.0 && overflows(sum))
    }

    /// Whether sums of the cotangent or tangent, or differences of two of its values, may overflow the accumulator.
    fn direction_overflows(&self) -> bool {
        let format = self.claims.accumulator(self.case.dtype()).format();
        let size =
            self.case.direction().unwrap_or(&[]).iter().fold(Magnitude::ZERO, |sum, &g| sum + Magnitude::from(g));
        // Half of the range is left for the roundings of the sum.
        size.shifted(1) > Magnitude::from(format.largest())
    }

    /// The bounds of all outputs with a relative summation error of `h`.
    fn bounds(&self, h: f64, form: Form) -> Vec<Magnitude> {
        let Row { case, truth, claims, u, eta, flushed, .. } = *self;
        let anatomy = &truth.anatomy;
        let n = case.logits().len();
        let magnitude = |x: f64| Magnitude::from(x);
        let count_eta = magnitude(n as f64) * eta;
        let total = magnitude(anatomy.total);
        let total_error = self.weight_error + h + count_eta.to_f64();
        let log_error = match form {
            Form::Tight => {
                magnitude(claims.log1p * u) * anatomy.log_total
                    + self.other_weight_error
                    + (anatomy.others * magnitude(h) + count_eta) / total
            }
            Form::Textbook => magnitude(claims.log * u) * anatomy.log_total + magnitude(total_error),
        };
        let probability = |j: usize| anatomy.weights[j] / total;
        // A masked class has weight exactly 0, and its p is exactly 0.
        let probability_error = |j: usize| match anatomy.weights[j].is_zero() {
            true => Magnitude::ZERO,
            false => {
                let relative = self.rho[j] + claims.exp * u + u + total_error;
                probability(j) * magnitude(relative) + eta + eta / total
            }
        };
        let direction = |j: usize| magnitude(case.direction().map_or(0.0, |direction| direction[j]));
        let sum_over = |term: &dyn Fn(usize) -> Magnitude| (0..n).fold(Magnitude::ZERO, |sum, i| sum + term(i));
        // Errors of the sums that the products need.
        let (mean_error, direction_sum, direction_size) = match case.op() {
            Op::SoftmaxVjp | Op::SoftmaxJvp | Op::LogSoftmaxJvp => {
                let term = |i: usize| direction(i) * (probability_error(i) + probability(i) * magnitude(h + u));
                let underflow = count_eta + magnitude(n as f64 + 1.0) * flushed;
                (sum_over(&term) + underflow, Magnitude::ZERO, Magnitude::ZERO)
            }
            Op::LogSoftmaxVjp => {
                let direction = case.direction().unwrap_or(&[]);
                let (sum, rest) = direction.iter().fold((0.0, 0.0), |(sum, rest), &g| {
                    let (sum, error) = two_difference(sum, -g);
                    (sum, rest + error)
                });
                let size = sum_over(&|i| magnitude(direction[i]));
                // The sum itself is known to 2^-100 of the size.
                (Magnitude::ZERO, magnitude(sum + rest) + size.shifted(-100), size)
            }
            _ => (Magnitude::ZERO, Magnitude::ZERO, Magnitude::ZERO),
        };
        let (target, smoothing) = case.target().unwrap_or((0, 0.0));
        let operations = 8 * n;
        // The oracle tells the error to 2^-SHOWN_BITS ulp; the bound is half an ulp at least, of a binade no lower than one below.
        let residual_slack = 1.0 + ldexp(1.0, 3 - SHOWN_BITS);
        let output_bound = |(j, real): (usize, Option<&Real>)| {
            let Some(real) = real else { return Magnitude::ZERO };
            let size = real.magnitude(case.dtype().format());
            let own_rounding = magnitude(u) * size;
            let error = match case.op() {
                Op::LogSumExp => own_rounding + log_error,
                Op::Softmax => probability_error(j),
                Op::LogSoftmax => own_rounding + magnitude(self.rho[j]) + log_error,
                Op::CrossEntropy => {
                    let spread = smoothing / n as f64;
                    let mut error =
                        magnitude(h + 6.0 * u) * size + log_error + magnitude((1.0 - smoothing) * self.rho[target]);
                    if smoothing > 0.0 && truth.class.is_ordinary() {
                        // e / n may underflow, by half of the least number (or be flushed), and multiplies the sum of the gaps.
                        let gaps = sum_over(&|i| magnitude((anatomy.max - case.logits()[i]).min(f64::MAX)));
                        error = error
                            + sum_over(&|i| magnitude(spread) * magnitude(self.rho[i]))
                            + (eta.shifted(-1) + flushed) * gaps;
                    }
                    error
                }
                Op::CrossEntropyGrad => {
                    let q = smoothing / n as f64 + if j == target { 1.0 - smoothing } else { 0.0 };
                    let flushed = if smoothing > 0.0 { flushed.shifted(1) } else { Magnitude::ZERO };
                    probability_error(j) + magnitude(3.0 * u * q) + own_rounding + flushed
                }
                Op::SoftmaxVjp | Op::SoftmaxJvp if anatomy.weights[j].is_zero() => Magnitude::ZERO,
                Op::SoftmaxVjp | Op::SoftmaxJvp => {
                    let deviation = truth.deviations[j];
                    let rounded_deviation = magnitude(u) * deviation + mean_error + flushed.shifted(1);
                    probability_error(j) * deviation + probability(j) * rounded_deviation + own_rounding + eta
                }
                Op::LogSoftmaxVjp => {
                    let rounded_sum = magnitude(u) * direction_sum
                        + magnitude(h) * direction_size
                        + magnitude(2.0 * n as f64) * flushed;
                    let underflow = eta + flushed.shifted(1);
                    probability_error(j) * direction_sum + probability(j) * rounded_sum + own_rounding + underflow
                }
                Op::LogSoftmaxJvp => mean_error + own_rounding + eta + flushed,
            };
            let error = error * magnitude(1.0 + 4.0 * (h + 10.0 * u));
            if error.is_zero() && real.is_zero() {
                return Magnitude::ZERO;
            }
            // Half an ulp where the computed value may lie, which is the next binade for a value just below a power of two.
            let format = case.dtype().format();
            let half_ulp = Magnitude::power_of_two(format.ulp_exponent((size + error).exponent().min(format.emax)) - 1);
            (error + half_ulp).inflated(operations) * magnitude(residual_slack)
        };
        // All alternatives of a special row share their finite values, so the first that has a value decides.
        let reals =
            (0..case.op().outputs(n)).map(|j| (j, truth.alternatives.iter().find_map(|outputs| value_of(&outputs[j]))));
        reals.map(output_bound).collect()
    }
}

/// The finite value that is due, if there is one.
pub(crate) fn value_of(due: &Due) -> Option<&Real> {
    use crate::oracle::Accepted;
    match due {
        Due::Real(real) => Some(real),
        Due::OneOf(accepted) => {
            accepted.iter().find_map(|accepted| if let Accepted::Value(real) = accepted { Some(real) } else { None })
        }
        Due::Undecided => None,
    }
}

/// For each logit how often the running maximum rises after it.
fn rises_after(logits: &[f64]) -> Vec<u32> {
    let mut max = f64::NEG_INFINITY;
    let is_rise: Vec<bool> = logits
        .iter()
        .map(|&z| {
            let rise = z > max;
            max = max.max(z);
            rise
        })
        .collect();
    let mut rises = vec![0; logits.len()];
    for i in (1..logits.len()).rev() {
        rises[i - 1] = rises[i] + u32::from(is_rise[i]);
    }
    rises
}

/// `a - b` and its rounding error.
fn two_difference(a: f64, b: f64) -> (f64, f64) {
    let (high, low) = crate::oracle::two_sum(a, -b);
    if high.is_finite() { (high, low) } else { (high, 0.0) }
}
