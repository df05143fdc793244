//! The ops written once more, straight from the textbook and independently of the crate's kernels: what tests compare with, and a
//! kernel whose exp, sum and arithmetic can be chosen.

use logitfuzz::case::{Case, Value};
use logitfuzz::dtype::Dtype;
use logitfuzz::kernel::{Claims, Element, Kernel, Outcome, Real, Summation};
use logitfuzz::op::{Input, Op};
use std::ops::{Add, AddAssign, Div, Mul, Neg, Sub};

/// What a case gives in f64, within a few roundings wherever no maximum dominates.
pub fn values(case: &Case) -> Vec<f64> {
    Textbook::new("textbook", Claims::default()).values(case)
}

/// The textbook, with its own exp and sum; computes in the accumulator of the dtype.
pub struct Textbook {
    pub name: String,
    pub claims: Claims,
    pub exp: Exp,
}

/// The longest row whose prefixes are all added up anew.
const LONGEST_ANEW: usize = 512;

/// How accurate the exp of a [`Textbook`] is.
#[derive(Clone, Copy, PartialEq)]
pub enum Exp {
    /// The platform's.
    Platform,
    /// The platform's, moved by one ulp up or down, but for the exact `exp(0) = 1`.
    OneUlpWorse,
    /// The same, and `exp(0)` is the number below 1.
    OneUlpWorseAtZeroToo,
}

impl Textbook {
    pub fn new(name: impl Into<String>, claims: Claims) -> Self {
        Self { name: name.into(), claims, exp: Exp::Platform }
    }

    /// What a case gives in this type, before anything is rounded to the dtype of the case.
    pub fn values<A: Accumulator>(&self, case: &Case) -> Vec<A> {
        let read = |values: &[f64]| -> Vec<A> { values.iter().map(|&x| A::from_f64(x)).collect() };
        let (mut z, direction) = (read(case.logits()), read(case.direction().or(case.values()).unwrap_or(&[])));
        if let Some(scale) = case.scale() {
            // The products, before anything else.
            z.iter_mut().for_each(|z| *z = *z * A::from_f64(scale));
        }
        if let Some(targets) = case.targets() {
            return self.mean(case.op(), &z, targets);
        }
        let (target, smoothing) = case.target().unwrap_or((0, 0.0));
        let (e, n) = (A::unflushed(smoothing), A::from_f64(z.len() as f64));
        let sum = |terms: Vec<A>| add_up(self.claims.sum, &terms);

        let max = z.iter().fold(A::NEG_INFINITY, |max, &z| max.larger(z));
        let weights: Vec<A> = z.iter().map(|&z| (z - max).exp_as(self.exp)).collect();
        let total = sum(weights.clone());
        let p: Vec<A> = weights.iter().map(|&w| w / total).collect();
        let mean = || sum(p.iter().zip(&direction).map(|(&p, &g)| p * g).collect());
        let masses = case.distribution().unwrap_or(&[]);
        let q = |class: usize| if class == target { (A::ONE - e) + e / n } else { e / n };
        match case.op() {
            Op::LOGSUMEXP => vec![if max.is_infinite() { max } else { max + total.ln() }],
            Op::SOFTMAX | Op::SCALED_SOFTMAX => p,
            Op::LOG_SOFTMAX => z.iter().map(|&z| (z - max) - total.ln()).collect(),
            Op::ENTROPY if z.is_empty() => vec![A::ZERO],
            Op::ENTROPY => {
                // A class without probability has no term.
                let log_total = total.ln();
                let with_weight = p.iter().zip(&z).filter(|(p, _)| **p != A::ZERO);
                vec![-sum(with_weight.map(|(&p, &z)| p * ((z - max) - log_total)).collect())]
            }
            Op::ATTENTION if z.is_empty() => vec![A::ZERO],
            Op::ATTENTION => {
                // Divided last; what has no weight is not seen.
                let seen = weights.iter().zip(&direction).filter(|(w, _)| **w != A::ZERO);
                vec![sum(seen.map(|(&w, &v)| w * v).collect()) / total]
            }
            Op::KL_DIVERGENCE | Op::KL_DIVERGENCE_GRAD => {
                let t = read(case.target_logits().unwrap_or(&[]));
                let top = t.iter().fold(A::NEG_INFINITY, |max, &t| max.larger(t));
                let target: Vec<A> = t.iter().map(|&t| (t - top).exp_as(self.exp)).collect();
                let whole = sum(target.clone());
                if case.op() == Op::KL_DIVERGENCE_GRAD {
                    return p.iter().zip(&target).map(|(&p, &w)| p - w / whole).collect();
                }
                let term = |i: usize| {
                    // A class that the target does not have has no term.
                    let (q, own, other) = (target[i] / whole, (z[i] - max) - total.ln(), (t[i] - top) - whole.ln());
                    if q == A::ZERO { A::ZERO } else { q * (other - own) }
                };
                vec![sum((0..z.len()).map(term).collect())]
            }
            // Every prefix anew, where that does not take too long; else from the one before it.
            Op::LOGCUMSUMEXP if z.len() <= LONGEST_ANEW => (0..z.len()).map(|j| self.log_sum_exp(&z[..=j])).collect(),
            Op::LOGCUMSUMEXP => {
                let next = |sum: &mut A, &z: &A| {
                    *sum = self.log_of_sum(*sum, z);
                    Some(*sum)
                };
                z.iter().scan(A::NEG_INFINITY, next).collect()
            }
            Op::CROSS_ENTROPY => {
                let mut loss = total.ln();
                if e != A::ONE {
                    loss += (A::ONE - e) * (max - z[target]);
                }
                if e != A::ZERO {
                    loss += e * (sum(z.iter().map(|&z| max - z).collect()) / n);
                }
                vec![loss]
            }
            Op::CROSS_ENTROPY_GRAD => p.iter().enumerate().map(|(class, &p)| p - q(class)).collect(),
            Op::SOFTMAX_VJP | Op::SOFTMAX_JVP => {
                let mean = mean();
                p.iter().zip(&direction).map(|(&p, &g)| p * (g - mean)).collect()
            }
            Op::LOG_SOFTMAX_VJP => {
                let total = sum(direction.clone());
                p.iter().zip(&direction).map(|(&p, &g)| g - p * total).collect()
            }
            Op::LOG_SOFTMAX_JVP => {
                let mean = mean();
                direction.iter().map(|&v| v - mean).collect()
            }
            Op::SOFT_CROSS_ENTROPY => {
                // A class without mass has no term: `0 * -inf` is not formed.
                let log_total = total.ln();
                let with_mass = z.iter().zip(masses).filter(|(_, mass)| **mass > 0.0);
                let term = |(&z, &mass): (&A, &f64)| {
                    let log_probability = (z - max) - log_total;
                    let mass = if log_probability.is_finite() { A::from_f64(mass) } else { A::unflushed(mass) };
                    mass * log_probability
                };
                vec![-sum(with_mass.map(term).collect())]
            }
            Op::SOFT_CROSS_ENTROPY_GRAD => p.iter().zip(masses).map(|(&p, &mass)| p - A::from_f64(mass)).collect(),
            Op::LOG1MEXP => {
                let near = |x: A| (A::ZERO - x.exp_m1()).ln();
                let far = |x: A| (A::ZERO - x.exp_as(self.exp)).ln_1p();
                z.iter().map(|&x| if x > A::from_f64(-0.75) { near(x) } else { far(x) }).collect()
            }
            Op::SIGMOID => z.iter().map(|&x| self.logistic(x)).collect(),
            Op::SIGMOID_VJP => {
                let gradient = |(&x, &g): (&A, &A)| (A::ONE - self.logistic(x)) * self.logistic(x) * g;
                z.iter().zip(&direction).map(gradient).collect()
            }
            Op::LOG_SIGMOID_VJP => z.iter().zip(&direction).map(|(&x, &g)| self.logistic(A::ZERO - x) * g).collect(),
            Op::BCE_WITH_LOGITS => {
                let labels = read(case.others().find_map(row_of).unwrap_or_default());
                z.iter().zip(labels).map(|(&x, label)| self.binary_loss(x, label)).collect()
            }
            Op::BCE_WITH_LOGITS_GRAD => {
                let labels = read(case.others().find_map(row_of).unwrap_or_default());
                z.iter().zip(labels).map(|(&x, label)| self.logistic(x) - label).collect()
            }
            Op::LOGADDEXP | Op::LOGSUBEXP => {
                let others = read(case.others().find_map(row_of).unwrap_or_default());
                let of = if case.op() == Op::LOGADDEXP { Self::log_of_sum } else { Self::log_of_difference };
                z.iter().zip(others).map(|(&x, y)| of(self, x, y)).collect()
            }
            Op::SOFTPLUS => z.iter().map(|&x| self.log_of_one_and(x)).collect(),
            Op::LOG_SIGMOID => z.iter().map(|&x| A::ZERO - self.log_of_one_and(A::ZERO - x)).collect(),
            op => panic!("{op}: write it here"),
        }
    }

    /// `log(sum e^z)`, with the maximum of these logits alone.
    fn log_sum_exp<A: Accumulator>(&self, z: &[A]) -> A {
        let max = z.iter().fold(A::NEG_INFINITY, |max, &z| max.larger(z));
        let weights: Vec<A> = z.iter().map(|&z| (z - max).exp_as(self.exp)).collect();
        if max.is_infinite() { max } else { max + add_up(self.claims.sum, &weights).ln() }
    }

    /// `log(e^x + e^y)`, from the larger.
    fn log_of_sum<A: Accumulator>(&self, x: A, y: A) -> A {
        let (low, high) = if y > x { (x, y) } else { (y, x) };
        match high == low {
            // Twice an infinity is no more, and its difference from itself is NaN.
            true if high.is_infinite() => high,
            _ => high + (low - high).exp_as(self.exp).ln_1p(),
        }
    }

    /// `log(e^x - e^y)`: the logarithm of what is left of 1, above x.
    fn log_of_difference<A: Accumulator>(&self, x: A, y: A) -> A {
        let gap = y - x;
        match y == A::NEG_INFINITY {
            true => x,
            false if gap > A::from_f64(-0.75) => (A::ZERO - gap.exp_m1()).ln() + x,
            false => (A::ZERO - gap.exp_as(self.exp)).ln_1p() + x,
        }
    }

    /// `1 / (1 + e^-x)`.
    fn logistic<A: Accumulator>(&self, x: A) -> A {
        if x > A::ZERO {
            A::ONE / ((A::ZERO - x).exp_as(self.exp) + A::ONE)
        } else {
            x.exp_as(self.exp) / (x.exp_as(self.exp) + A::ONE)
        }
    }

    /// `max(x, 0) - x t + log(1 + e^-|x|)`, and its limit at infinity, which that form does not give.
    fn binary_loss<A: Accumulator>(&self, x: A, label: A) -> A {
        let positive = x > A::ZERO;
        if x.is_infinite() {
            let is_right = if positive { label == A::ONE } else { label == A::ZERO };
            return if is_right { A::ZERO } else { A::ZERO - A::NEG_INFINITY };
        }
        let folded = if positive { A::ZERO - x } else { x };
        (if positive { x } else { A::ZERO }) - x * label + folded.exp_as(self.exp).ln_1p()
    }

    /// `log(1 + e^x)`.
    fn log_of_one_and<A: Accumulator>(&self, x: A) -> A {
        if x > A::ZERO { (A::ZERO - x).exp_as(self.exp).ln_1p() + x } else { x.exp_as(self.exp).ln_1p() }
    }

    fn outputs<A: Accumulator>(&self, case: &Case) -> Vec<f64> {
        self.values::<A>(case).into_iter().map(|x| case.dtype().output().round(x.to_f64())).collect()
    }
}

impl Kernel for Textbook {
    fn name(&self) -> &str {
        &self.name
    }
    fn supports(&self, _: Op, dtype: Dtype) -> bool {
        // The flushing accumulator is written for f32.
        !self.claims.flush_to_zero || dtype == Dtype::F32
    }
    fn claims(&self, _: Op, _: Dtype) -> Claims {
        self.claims.clone()
    }
    fn run(&self, case: &Case) -> Outcome {
        Outcome::Outputs(match case.dtype().accumulator() {
            Dtype::F64 => self.outputs::<f64>(case),
            _ if self.claims.flush_to_zero => self.outputs::<Flushed>(case),
            _ => self.outputs::<f32>(case),
        })
    }
}

impl Textbook {
    /// The mean of the losses of the rows that have a class, or each row's gradient over their number.
    fn mean<A: Accumulator>(&self, op: Op, z: &[A], targets: &[Option<usize>]) -> Vec<A> {
        let n = z.len().checked_div(targets.len()).unwrap_or(0);
        let count = A::from_f64(targets.iter().flatten().count() as f64);
        let (mut losses, mut gradients) = (Vec::new(), Vec::new());
        for (row, target) in targets.iter().enumerate() {
            let z = &z[row * n..(row + 1) * n];
            let Some(target) = *target else {
                gradients.resize(gradients.len() + n, A::ZERO);
                continue;
            };
            let max = z.iter().fold(A::NEG_INFINITY, |max, &z| max.larger(z));
            let weights: Vec<A> = z.iter().map(|&z| (z - max).exp_as(self.exp)).collect();
            let total = add_up(self.claims.sum, &weights);
            losses.push(total.ln() + (max - z[target]));
            let one = |class: usize| if class == target { A::ONE } else { A::ZERO };
            gradients.extend(weights.iter().enumerate().map(|(class, &w)| (w / total - one(class)) / count));
        }
        match op == Op::MEAN_CROSS_ENTROPY {
            true => vec![add_up(self.claims.sum, &losses) / count],
            false => gradients,
        }
    }
}

/// The values of a row besides the logits.
fn row_of((_, value): (Input, &Value)) -> Option<&[f64]> {
    if let Value::Row(values) = value { Some(values) } else { None }
}

/// Adds up in the order that the claim says.
fn add_up<A: Real>(how: Summation, terms: &[A]) -> A {
    let in_order = |terms: &[A]| terms.iter().fold(A::ZERO, |sum, &term| sum + term);
    match how {
        Summation::Lanes { lanes, scalar_tail } if terms.len() >= lanes => {
            let mut partial = terms[..lanes].to_vec();
            let vectors = terms[lanes..].chunks_exact(lanes);
            let tail = vectors.remainder();
            for vector in vectors {
                partial.iter_mut().zip(vector).for_each(|(partial, &term)| *partial += term);
            }
            if !scalar_tail {
                partial.iter_mut().zip(tail).for_each(|(partial, &term)| *partial += term);
            }
            while partial.len() > 1 {
                let upper = partial.split_off(partial.len() / 2);
                partial.iter_mut().zip(upper).for_each(|(partial, upper)| *partial += upper);
            }
            if scalar_tail { tail.iter().fold(partial[0], |sum, &term| sum + term) } else { partial[0] }
        }
        Summation::Blocks { size } => in_order(&terms.chunks(size).map(in_order).collect::<Vec<A>>()),
        Summation::Sequential | Summation::Lanes { .. } => in_order(terms),
        Summation::Pairwise | Summation::Compensated => unreachable!("built-in kernels add up so"),
    }
}

/// What a [`Textbook`] computes in.
pub trait Accumulator: Real {
    /// `e^self`, as accurate as that.
    fn exp_as(self, accuracy: Exp) -> Self;

    /// The value as it stands in memory. A label smoothing or a mass is compared with 0 before it is computed with: one that is read
    /// as 0 would be another case, whose loss is finite where that of this one may be infinite.
    fn unflushed(x: f64) -> Self {
        Self::from_f64(x)
    }
}

macro_rules! accumulator {
    ($($type:ty),*) => {$(
        impl Accumulator for $type {
            fn exp_as(self, accuracy: Exp) -> Self {
                let exact = self.exp();
                // NaN, 0 and infinity stay: no libm gives another number for them.
                let stays = !Real::is_finite(exact) || exact == 0.0 || accuracy == Exp::Platform;
                if stays || (self == 0.0 && accuracy == Exp::OneUlpWorse) {
                    exact
                } else if self != 0.0 && self.to_bits() % 2 == 0 {
                    exact.next_up()
                } else {
                    exact.next_down()
                }
            }
        }
    )*};
}
accumulator!(f32, f64);

/// An f32 register with subnormals flushed to zero, on the way in and on the way out of every operation.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
struct Flushed(f32);

impl Flushed {
    fn new(x: f32) -> Self {
        Self(if x.is_subnormal() { 0.0f32.copysign(x) } else { x })
    }
}

impl Element for Flushed {
    const DTYPE: Dtype = Dtype::F32;
    fn from_f64(x: f64) -> Self {
        Self::new(x as f32)
    }
    fn to_f64(self) -> f64 {
        f64::from(self.0)
    }
}

macro_rules! flushed_operator {
    ($($operator:ident :: $method:ident),*) => {$(
        impl $operator for Flushed {
            type Output = Self;
            fn $method(self, other: Self) -> Self {
                Self::new(self.0.$method(other.0))
            }
        }
    )*};
}
flushed_operator!(Add::add, Sub::sub, Mul::mul, Div::div);

impl Neg for Flushed {
    type Output = Self;
    fn neg(self) -> Self {
        Self(-self.0)
    }
}

impl AddAssign for Flushed {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Real for Flushed {
    const ZERO: Self = Self(0.0);
    const ONE: Self = Self(1.0);
    const NEG_INFINITY: Self = Self(f32::NEG_INFINITY);
    fn exp(self) -> Self {
        Self::new(self.0.exp())
    }
    fn exp2(self) -> Self {
        Self::new(self.0.exp2())
    }
    fn ln(self) -> Self {
        Self::new(self.0.ln())
    }
    fn ln_1p(self) -> Self {
        Self::new(self.0.ln_1p())
    }
    fn exp_m1(self) -> Self {
        Self::new(self.0.exp_m1())
    }
}

impl Accumulator for Flushed {
    fn exp_as(self, accuracy: Exp) -> Self {
        Self::new(self.0.exp_as(accuracy))
    }
    fn unflushed(x: f64) -> Self {
        Self(x as f32)
    }
}
