//! The few equations that generators solve, by numbers of many bits: correctly rounded, so that rows are the same on every machine, which the
//! exp and log of a system's mathematical library would not promise.

use crate::dtype::{Dtype, Format, ldexp};
use crate::number::Float;
use std::sync::LazyLock;

/// Bits of the intermediate values; enough to see the residual of an equation solved in f64.
const BITS: u32 = 128;

/// The longest row that is solved for: beyond it the exponentials would cost more than judging the row does.
pub(super) const LONGEST: usize = 300;

/// `ln x`, rounded once.
pub(super) fn ln(x: f64) -> f64 {
    Float::with_val(BITS, x).ln().to_f64()
}

/// `1 / (1 + exp(-z))`, rounded once; NaN of NaN.
pub(super) fn sigmoid(z: f64) -> f64 {
    (1u32 / (Float::with_val(BITS, -z).exp() + 1u32)).to_f64()
}

/// The `y` with `exp(x) + exp(y) = 1`, rounded once: -inf of 0. 0 where there is none.
pub(super) fn rest_of_one(x: f64) -> f64 {
    if x <= 0.0 { (-Float::with_val(BITS, x).exp_m1()).ln().to_f64() } else { 0.0 }
}

/// The `y` with `exp(x) - exp(y) = 1`, rounded once: -inf of 0. 0 where there is none, and where it is x to all bits.
pub(super) fn less_one(x: f64) -> f64 {
    if (0.0..1024.0).contains(&x) { Float::with_val(BITS, x).exp_m1().ln().to_f64() } else { 0.0 }
}

/// `sum exp(z_i)`, not rounded to f64: the residual `1 - sum` is what the generator is after.
pub(super) fn sum_of_exp(values: &[f64]) -> Float {
    let mut sum = Float::new(BITS);
    for &z in values {
        sum += Float::with_val(BITS, z).exp();
    }
    sum
}

/// The `z` with `exp(z) = 1 - sum`, rounded to f64; `None` where `sum >= 1`.
pub(super) fn fill_to_one(sum: &Float) -> Option<f64> {
    let rest = Float::with_val(BITS, 1 - sum);
    (rest > 0).then(|| rest.ln().to_f64())
}

/// The `z` that has the probability `p` beside terms that add up to `sum`: `ln(p / (1 - p)) + ln sum`.
pub(super) fn logit_of(p: f64, sum: &Float) -> f64 {
    let odds = Float::with_val(BITS, p) / Float::with_val(BITS, 1 - Float::with_val(BITS, p));
    (odds * sum).ln().to_f64()
}

/// What takes a sum to the next power of two above it: how many terms of 1, and the `z` of a last term `exp(z)`, at most 1.
pub(super) fn fill_to_power_of_two(sum: &Float) -> (usize, f64) {
    let exponent = sum.get_exp().unwrap_or(1);
    let rest = Float::with_val(BITS, (Float::with_val(BITS, 1) << exponent) - sum);
    // At least a term, as the last one would be exp(-inf) otherwise.
    let ones = rest.to_f64().ceil() as usize - 1;
    (ones, Float::with_val(BITS, rest - ones).ln().to_f64())
}

/// An edge of exp in a format: the argument where `exp` begins to do what the name says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Edge {
    /// exp rounds to infinity above it.
    Overflow,
    /// The logarithm of the largest finite number.
    Largest,
    /// The logarithm of the least normal number.
    LeastNormal,
    /// The logarithm of the least positive number.
    Least,
    /// exp rounds to 0 below it.
    Zero,
}

impl Edge {
    /// Every edge.
    pub const ALL: [Edge; 5] = [Edge::Overflow, Edge::Largest, Edge::LeastNormal, Edge::Least, Edge::Zero];

    /// The edge of a format, rounded to f64.
    pub fn of(self, format: Format) -> f64 {
        let power = |exponent: i32| Float::with_val(BITS, 1) << exponent;
        match self {
            // Halfway from the largest finite number, 2^(emax+1) - ulp, to 2^(emax+1).
            Edge::Overflow => {
                let half_ulp = power(format.emax - format.precision as i32);
                (power(format.emax + 1) - half_ulp).ln().to_f64()
            }
            Edge::Largest => ln(format.largest()),
            Edge::LeastNormal => ln(format.least_normal()),
            Edge::Least => power(format.least_exponent()).ln().to_f64(),
            Edge::Zero => power(format.least_exponent() - 1).ln().to_f64(),
        }
    }
}

/// Every edge of exp in the dtype, in the order of [`Edge::ALL`], and in its accumulator, as values of the dtype. They are computed once.
pub(crate) fn edges(dtype: Dtype) -> &'static [f64] {
    static EDGES: LazyLock<[Vec<f64>; Dtype::ALL.len()]> = LazyLock::new(|| {
        Dtype::ALL.map(|dtype| {
            let formats = [dtype.format(), dtype.accumulator().format()];
            formats.iter().flat_map(|&format| Edge::ALL.map(|edge| dtype.round(edge.of(format)))).collect()
        })
    });
    &EDGES[dtype as usize]
}

/// The softmax of a row, to more digits than any dtype.
pub(super) struct SolvedSoftmax {
    weights: Vec<Float>,
    sum: Float,
}

impl SolvedSoftmax {
    /// `None` for a row that has no softmax (NaN, +inf, or no finite logit) or is too long to solve for.
    pub fn of(logits: &[f64]) -> Option<Self> {
        let max = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        if logits.len() > LONGEST || !max.is_finite() || logits.iter().any(|z| z.is_nan()) {
            return None;
        }
        let weights: Vec<Float> =
            logits.iter().map(|&z| (Float::with_val(BITS, z) - Float::with_val(BITS, max)).exp()).collect();
        let mut sum = Float::new(BITS);
        for weight in &weights {
            sum += weight;
        }
        Some(Self { weights, sum })
    }

    /// `p_j`.
    pub fn p(&self, j: usize) -> f64 {
        Float::with_val(BITS, &self.weights[j] / &self.sum).to_f64()
    }

    /// `1 - p_j`.
    pub fn rest(&self, j: usize) -> f64 {
        Float::with_val(BITS, Float::with_val(BITS, &self.sum - &self.weights[j]) / &self.sum).to_f64()
    }

    /// `sum p_i g_i` without the term `j`.
    pub fn mean_without(&self, j: usize, g: &[f64]) -> f64 {
        let mut mean = Float::new(BITS);
        for (i, (weight, &g)) in self.weights.iter().zip(g).enumerate() {
            if i != j {
                mean += Float::with_val(BITS, weight * g);
            }
        }
        (mean / &self.sum).to_f64()
    }
}

/// `-ln u`: the gap to the maximum at which a term is one unit roundoff of the sum.
pub(super) fn absorption_gap(format: Format) -> f64 {
    ln(ldexp(1.0, format.precision as i32))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edges_are_the_known_ones() {
        for (dtype, overflow, largest, least_normal, zero) in [
            (Dtype::F16, 11.0901, 11.0899, -9.704, -17.329),
            (Dtype::Bf16, 88.7209, 88.7189, -87.337, -92.882),
            (Dtype::F32, 88.7228, 88.7228, -87.337, -103.972),
            (Dtype::F64, 709.7827, 709.7827, -708.396, -745.133),
        ] {
            let known = [(Edge::Overflow, overflow), (Edge::Largest, largest), (Edge::LeastNormal, least_normal)];
            for (edge, value) in known.into_iter().chain([(Edge::Zero, zero)]) {
                assert!((edge.of(dtype.format()) - value).abs() < 6e-4, "{dtype} {edge:?} {}", edge.of(dtype.format()));
            }
        }
        assert!((absorption_gap(Dtype::F32.format()) - 16.6355).abs() < 1e-3);
    }

    #[test]
    fn solutions_solve() {
        let sum = sum_of_exp(&[-1.0, -2.0]);
        let z = fill_to_one(&sum).unwrap();
        assert!((sum_of_exp(&[-1.0, -2.0, z]).to_f64() - 1.0).abs() < 1e-16);
        assert_eq!([0.0, f64::INFINITY, f64::NEG_INFINITY].map(sigmoid), [0.5, 1.0, 0.0]);
        assert!((sigmoid(-2.0) - 0.11920292202211755).abs() < 1e-16 && sigmoid(f64::NAN).is_nan());
        let z = logit_of(0.999, &sum);
        let softmax = SolvedSoftmax::of(&[-1.0, z, -2.0]).unwrap();
        assert!((softmax.p(1) - 0.999).abs() < 1e-15 && (softmax.rest(1) - 0.001).abs() < 1e-15);
        assert!((softmax.mean_without(1, &[1.0, 5.0, 1.0]) - 0.001).abs() < 1e-15);
        assert!(fill_to_one(&sum_of_exp(&[0.0])).is_none());
        assert!(SolvedSoftmax::of(&[f64::NEG_INFINITY]).is_none() && SolvedSoftmax::of(&[]).is_none());
    }
}
