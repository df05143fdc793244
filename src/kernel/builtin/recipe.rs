//! The textbook softmax kernel as small steps, and how a case is run on a kernel that changes some of them.
//!
//! A kernel is a type without data that implements [`Recipe`]. The provided methods are the textbook: subtract the maximum,
//! exponentiate, add up, divide (Blanchard, D. Higham, N. Higham, "Accurately computing the log-sum-exp and softmax
//! functions", IMA J. Numer. Anal. 41(4), 2021). What a kernel overrides is all that sets it apart.
//!
//! Terms, used throughout: `z` the logits, `a` their maximum, `w_i = exp(z_i - a)` the weights, `S` the sum of the weights,
//! `p_i = w_i / S`, `d_i = a - z_i` the distances, `e` the label smoothing, `q` the target distribution: that of a class and a smoothing,
//! or one that is given. The type `A` is what a
//! kernel computes in: every operation is rounded to it. The storage dtype is that of the case.

use super::arithmetic::{coarse_exp, in_order, narrow_sum};
use super::parameter::Parameter;
use super::{Defect, Examples};
use crate::case::Case;
use crate::dtype::Dtype;
use crate::kernel::{Claims, Online, Outcome, Real, Summation};
use crate::op::Op;
use half::{bf16, f16};

/// What a kernel is given: one row, and what its op takes besides, in the type it computes in.
#[derive(Clone, Copy)]
pub(super) struct Row<'a, A> {
    /// The logits.
    pub logits: &'a [A],
    /// The true class; 0 where the op takes none.
    pub target: usize,
    /// The label smoothing; 0 where the op takes none.
    pub label_smoothing: A,
    /// The cotangent, the tangent or the values; empty where the op takes none.
    pub direction: &'a [A],
    /// The target distribution that is given; empty where the op takes none.
    pub distribution: &'a [A],
    /// The target's logits; empty where the op takes none.
    pub target_logits: &'a [A],
    /// What the logits are multiplied by; 1 where the op takes no scale.
    pub scale: A,
    /// The storage dtype: of the inputs, of the outputs, and of buffers in between that a kernel rounds to.
    pub dtype: Dtype,
    /// The value of the kernel's [`Recipe::PARAMETER`]; 0 where it has none.
    pub parameter: f64,
    /// What the kernel does besides what it overrides.
    pub beside: Option<Beside>,
}

/// What a kernel of a mean over rows is given: the rows, and the true class of each.
#[derive(Clone, Copy)]
pub(super) struct Rows<'a, A> {
    /// All logits, row after row, and what else a row has.
    all: Row<'a, A>,
    /// The true class of each row, and none of one that is ignored.
    pub targets: &'a [Option<usize>],
}

impl<'a, A: Real> Rows<'a, A> {
    /// A row; that of an ignored one has the class 0.
    pub fn row(&self, place: usize) -> Row<'a, A> {
        let n = self.all.logits.len() / self.targets.len();
        let logits = &self.all.logits[place * n..(place + 1) * n];
        Row { logits, target: self.targets[place].unwrap_or(0), ..self.all }
    }

    /// Every row, in order; none of those that are ignored.
    pub fn kept(&self) -> impl Iterator<Item = Option<Row<'a, A>>> {
        (0..self.targets.len()).map(|place| self.targets[place].map(|_| self.row(place)))
    }

    /// The number of rows that are not ignored, rounded to the type.
    pub fn count(&self) -> A {
        A::from_f64(self.targets.iter().flatten().count() as f64)
    }

    /// The number of logits of a row.
    pub fn row_len(&self) -> usize {
        self.all.logits.len().checked_div(self.targets.len()).unwrap_or(0)
    }
}

/// A step in which a kernel differs besides those that it overrides: a place in a list of what kernels do. It changes nothing where the
/// kernel overrides this very step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Beside {
    /// A sum of [`NARROW`](super::arithmetic::NARROW).
    Sum(usize),
    /// An exp of [`EXPS`](super::arithmetic::EXPS).
    Exp(usize),
}

/// How a kernel is run where it is not run as it is.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Changes {
    /// The type that it computes in.
    pub inside: Option<Dtype>,
    /// The value of its parameter.
    pub value: Option<f64>,
    /// What it does besides; row ops only.
    pub beside: Option<Beside>,
}

impl<A: Real> Row<'_, A> {
    /// The parameter, rounded to the type.
    pub fn value(&self) -> A {
        A::from_f64(self.parameter)
    }

    /// The parameter where it is a length: at least 1.
    pub fn length(&self) -> usize {
        (self.parameter as usize).max(1)
    }

    /// The sum, from the first to the last, or what is done besides.
    pub fn in_order_or_beside(&self, terms: &[A]) -> A {
        match self.beside {
            Some(Beside::Sum(place)) => narrow_sum(place, self.dtype, terms),
            _ => in_order(terms),
        }
    }

    /// The number of logits, rounded to the type.
    pub fn count(&self) -> A {
        A::from_f64(self.logits.len() as f64)
    }

    /// Whether a class has all the mass of the target.
    pub fn has_all_mass(&self, class: usize) -> bool {
        match self.distribution.get(class) {
            Some(&mass) => mass == A::ONE,
            None => class == self.target && self.label_smoothing == A::ZERO,
        }
    }
}

/// What one pass over the logits leaves for all row ops.
pub(super) struct Normalizer<A> {
    /// `a`, what was subtracted.
    pub max: A,
    /// `S`, relative to `max`.
    pub sum: A,
    /// `log S`.
    pub log_sum: A,
}

/// A kernel: its name, what it says of itself, and the steps in which it differs from the textbook. Steps come first, then
/// what is made of them. Every step is given the row, so that it may depend on anything in it.
pub(super) trait Recipe: Sized {
    /// The name in the registry.
    const NAME: &'static str;
    /// What the kernel does, in one line.
    const SUMMARY: &'static str;
    /// The defect that is planted in it.
    const DEFECT: Option<Defect> = None;
    /// What is wrong with it, as a defect: the planted one, if it has one.
    const MECHANISM: Option<Defect> = Self::DEFECT;
    /// The number in it that other kernels have otherwise; none where there is none.
    const PARAMETER: Option<&'static Parameter> = None;
    /// Whether it is a correct kernel, which must pass on every input.
    const TRUSTED: bool = false;
    /// Whether it computes in the dtype that it writes even where that is a half dtype; otherwise in [`Dtype::accumulator`].
    const IN_STORAGE_DTYPE: bool = false;
    /// Whether it takes maximum and sum in one pass (Milakov, Gimelshein, "Online normalizer calculation for softmax", 2018).
    const ONLINE: bool = false;
    /// The logits that it takes at a time, all relative to one running maximum; only where [`Recipe::ONLINE`].
    const BLOCK: usize = 1;

    /// Whether the kernel is offered for an op, which is one that recipes implement, in a dtype.
    fn supports(_: Op, _: Dtype) -> bool {
        true
    }

    /// What the kernel declares. A defect declares what the kernel it was planted in does.
    fn claims(_: Op, dtype: Dtype) -> Claims {
        Claims {
            online: if Self::ONLINE { Online::Sum } else { Online::No },
            shifted: true,
            sequential: true,
            elementwise_monotone: monotone_exp(dtype),
            ..Claims::default()
        }
    }

    /// [`Recipe::BLOCK`], where it is the row that says it.
    fn block<A: Real>(_: &Row<A>) -> usize {
        Self::BLOCK
    }

    /// An output as it is written, before it is rounded to the dtype.
    fn written<A: Real>(_: &Row<A>, output: A) -> A {
        output
    }

    /// `e^x`.
    fn exp<A: Real>(row: &Row<A>, x: A) -> A {
        match row.beside {
            Some(Beside::Exp(way)) => coarse_exp(way, x),
            _ => x.exp(),
        }
    }

    /// The natural logarithm.
    fn log<A: Real>(_: &Row<A>, x: A) -> A {
        x.ln()
    }

    /// Adds up. Every sum passes here: of weights, of distances, of products.
    fn sum<A: Real>(row: &Row<A>, terms: &[A]) -> A {
        row.in_order_or_beside(terms)
    }

    /// `a`: NaN if any logit is, minus infinity if there is none.
    fn maximum<A: Real>(row: &Row<A>) -> A {
        largest(row.logits)
    }

    /// `w`, the weight of a logit: 0 where `z - a` is minus infinity, as for a masked class or where it overflows.
    fn weight<A: Real>(row: &Row<A>, z: A, max: A) -> A {
        Self::exp(row, z - max)
    }

    /// The running maximum after one more logit; only where [`Recipe::ONLINE`], and of prefixes.
    fn running_maximum<A: Real>(_: &Row<A>, max: A, z: A) -> A {
        max.larger(z)
    }

    /// The factor of a running sum when the running maximum goes from `before` to `max`; only where [`Recipe::ONLINE`], and of prefixes.
    fn rescale<A: Real>(row: &Row<A>, before: A, max: A) -> A {
        Self::exp(row, before - max)
    }

    /// Whether a running maximum says that nothing but masked classes was met, whose weights are 0 though `z - max` is NaN;
    /// only where [`Recipe::ONLINE`], and of prefixes.
    fn only_masked<A: Real>(_: &Row<A>, max: A) -> bool {
        max == A::NEG_INFINITY
    }

    /// The maximum, and the sum of the weights. An infinite maximum makes the sum NaN, through `inf - inf`.
    fn normalizer<A: Real>(row: &Row<A>) -> Normalizer<A> {
        if Self::ONLINE {
            return online_normalizer::<Self, A>(row);
        }
        let max = Self::maximum(row);
        let weights = each(row.logits, &|_, z| Self::weight(row, z, max));
        let sum = Self::sum(row, &weights);
        Normalizer { max, sum, log_sum: Self::log(row, sum) }
    }

    /// `p` of a logit.
    fn probability<A: Real>(row: &Row<A>, z: A, normalizer: &Normalizer<A>) -> A {
        Self::weight(row, z, normalizer.max) / normalizer.sum
    }

    /// `log p` of a logit.
    fn log_probability<A: Real>(_: &Row<A>, z: A, normalizer: &Normalizer<A>) -> A {
        (z - normalizer.max) - normalizer.log_sum
    }

    /// `sum q_i x_i`, of the target distribution that the op takes.
    fn expected<A: Real>(row: &Row<A>, values: &[A]) -> A {
        if row.distribution.is_empty() { Self::smoothed(row, values) } else { Self::expected_of_each(row, values) }
    }

    /// The same of a distribution that is given. A class without mass is absent: `0 * inf` must not be formed where it is masked.
    fn expected_of_each<A: Real>(row: &Row<A>, values: &[A]) -> A {
        let term = |i: usize, q: A| if q == A::ZERO { A::ZERO } else { q * values[i] };
        Self::sum(row, &each(row.distribution, &term))
    }

    /// The same of a class and a smoothing. A term whose factor is 0 is absent, too.
    fn smoothed<A: Real>(row: &Row<A>, values: &[A]) -> A {
        let smoothing = row.label_smoothing;
        let mut expected = A::ZERO;
        if smoothing != A::ONE {
            expected += (A::ONE - smoothing) * values[row.target];
        }
        if smoothing != A::ZERO {
            // Not (e / n) * sum: e / n may underflow to 0, and the sum may be infinite.
            expected += smoothing * (Self::sum(row, values) / row.count());
        }
        expected
    }

    /// `q_j`, of the target distribution that the op takes.
    fn mass<A: Real>(row: &Row<A>, class: usize) -> A {
        row.distribution.get(class).copied().unwrap_or_else(|| Self::target_mass(row, class))
    }

    /// The same of a class and a smoothing.
    fn target_mass<A: Real>(row: &Row<A>, class: usize) -> A {
        let spread = row.label_smoothing / row.count();
        if class == row.target { (A::ONE - row.label_smoothing) + spread } else { spread }
    }

    /// `p_j - q_j`, one element of the gradient of the cross-entropy.
    fn gradient<A: Real>(row: &Row<A>, class: usize, probability: A) -> A {
        probability - Self::mass(row, class)
    }

    /// What the backward pass finds of the probabilities that the forward pass left.
    fn saved<A: Real>(_: &Row<A>, probabilities: Vec<A>) -> Vec<A> {
        probabilities
    }

    /// `sum p_i v_i` for the cotangent or tangent `v`.
    fn mean<A: Real>(row: &Row<A>, probabilities: &[A]) -> A {
        Self::sum(row, &each(probabilities, &|i, p| p * row.direction[i]))
    }

    /// The Jacobian of softmax times the cotangent or tangent: `p_j (v_j - sum p_i v_i)`. The Jacobian is symmetric.
    fn jacobian_product<A: Real>(row: &Row<A>, probabilities: &[A]) -> Vec<A> {
        let mean = Self::mean(row, probabilities);
        each(probabilities, &|i, p| p * (row.direction[i] - mean))
    }

    /// `a + log S`. An infinite maximum is the answer itself.
    fn logsumexp<A: Real>(row: &Row<A>) -> A {
        let Normalizer { max, log_sum, .. } = Self::normalizer(row);
        if max.is_infinite() { max } else { max + log_sum }
    }

    /// `a + log S` of each prefix, from a running maximum and a running sum that is rescaled when the maximum rises. Each addition is a
    /// sum of two terms. An infinite maximum is the answer itself.
    fn logcumsumexp<A: Real>(row: &Row<A>) -> Vec<A> {
        let (mut max, mut sum) = (A::NEG_INFINITY, A::ZERO);
        let mut next = |z: A| {
            let before = max;
            max = Self::running_maximum(row, before, z);
            if !Self::only_masked(row, max) {
                // Nothing is rescaled where the maximum stays.
                let kept = if max == before { sum } else { sum * Self::rescale(row, before, max) };
                sum = Self::sum(row, &[kept, Self::weight(row, z, max)]);
            }
            if max.is_infinite() { max } else { max + Self::log(row, sum) }
        };
        each_in_turn(row.logits, &mut next)
    }

    /// `p_j`.
    fn softmax<A: Real>(row: &Row<A>) -> Vec<A> {
        let normalizer = Self::normalizer(row);
        each(row.logits, &|_, z| Self::probability(row, z, &normalizer))
    }

    /// `softmax(scale z)`: of the products, as attention takes it. A product that overflows makes the row NaN.
    fn scaled_softmax<A: Real>(row: &Row<A>) -> Vec<A> {
        let products = each(row.logits, &|_, z| z * row.scale);
        Self::softmax(&Row { logits: &products, ..*row })
    }

    /// `log p_j`.
    fn log_softmax<A: Real>(row: &Row<A>) -> Vec<A> {
        let normalizer = Self::normalizer(row);
        each(row.logits, &|_, z| Self::log_probability(row, z, &normalizer))
    }

    /// `log S + sum p_i d_i`: nothing cancels. A class whose probability is 0 is absent, and so is every class of an empty row.
    fn entropy<A: Real>(row: &Row<A>) -> A {
        if row.logits.is_empty() {
            return A::ZERO;
        }
        let normalizer = Self::normalizer(row);
        let term = |_: usize, z: A| {
            let p = Self::probability(row, z, &normalizer);
            if p == A::ZERO { A::ZERO } else { p * (normalizer.max - z) }
        };
        normalizer.log_sum + Self::sum(row, &each(row.logits, &term))
    }

    /// `sum p_i v_i`: the probabilities are divided first. A class whose probability is 0 is absent, whatever its value.
    fn attention<A: Real>(row: &Row<A>) -> A {
        Self::mean_of_seen(row, &Self::softmax(row))
    }

    /// `sum p_i v_i` over the classes whose probability is not 0: a value that none sees may be anything.
    fn mean_of_seen<A: Real>(row: &Row<A>, probabilities: &[A]) -> A {
        let seen = |i: usize, v: A| if probabilities[i] == A::ZERO { A::ZERO } else { v };
        let values = each(row.direction, &seen);
        Self::mean(&Row { direction: &values, ..*row }, probabilities)
    }

    /// `sum p_i(t) (log p_i(t) - log p_i(z))`. A class that has no probability in the target is absent: `0 * inf` must not be formed.
    fn kl_divergence<A: Real>(row: &Row<A>) -> A {
        let target = Row { logits: row.target_logits, ..*row };
        let (probabilities, logarithms) = (Self::softmax(&target), Self::log_softmax(&target));
        let own = Self::log_softmax(row);
        let term = |i: usize, p: A| if p == A::ZERO { A::ZERO } else { p * (logarithms[i] - own[i]) };
        Self::sum(row, &each(&probabilities, &term))
    }

    /// `p_j(z) - p_j(t)`.
    fn kl_divergence_grad<A: Real>(row: &Row<A>) -> Vec<A> {
        let target = Self::softmax(&Row { logits: row.target_logits, ..*row });
        each(&Self::saved(row, Self::softmax(row)), &|j, p| p - target[j])
    }

    /// `log S + sum q_i d_i`: a sum of terms that are not negative, so nothing cancels. Of a class and a smoothing, and of a distribution.
    fn cross_entropy<A: Real>(row: &Row<A>) -> A {
        let Normalizer { max, log_sum, .. } = Self::normalizer(row);
        log_sum + Self::expected(row, &each(row.logits, &|_, z| max - z))
    }

    /// `p_j - q_j`.
    fn cross_entropy_grad<A: Real>(row: &Row<A>) -> Vec<A> {
        let probabilities = Self::saved(row, Self::softmax(row));
        each(&probabilities, &|class, p| Self::gradient(row, class, p))
    }

    /// By what a sum over rows is divided: the number of those that are not ignored.
    fn divisor<A: Real>(rows: &Rows<A>) -> A {
        rows.count()
    }

    /// The mean of the losses of the rows that are not ignored; NaN of none.
    fn mean_cross_entropy<A: Real>(rows: &Rows<A>) -> A {
        let losses = of_kept(rows, &Self::cross_entropy);
        Self::sum(&rows.all, &losses) / Self::divisor(rows)
    }

    /// The gradient of each row over the divisor, and zeros for a row that is ignored.
    fn mean_cross_entropy_grad<A: Real>(rows: &Rows<A>) -> Vec<A> {
        let divisor = Self::divisor(rows);
        of_all(rows, &|row| match row {
            Some(row) => each(&Self::cross_entropy_grad(&row), &|_, g| g / divisor),
            None => vec![A::ZERO; rows.row_len()],
        })
    }

    /// `p_j (g_j - sum p_i g_i)`.
    fn softmax_vjp<A: Real>(row: &Row<A>) -> Vec<A> {
        Self::jacobian_product(row, &Self::saved(row, Self::softmax(row)))
    }

    /// `p_j (v_j - sum p_i v_i)`.
    fn softmax_jvp<A: Real>(row: &Row<A>) -> Vec<A> {
        Self::jacobian_product(row, &Self::softmax(row))
    }

    /// `g_j - p_j sum g_i`.
    fn log_softmax_vjp<A: Real>(row: &Row<A>) -> Vec<A> {
        let probabilities = Self::saved(row, Self::softmax(row));
        let total = Self::sum(row, row.direction);
        each(&probabilities, &|i, p| row.direction[i] - p * total)
    }

    /// `v_j - sum p_i v_i`.
    fn log_softmax_jvp<A: Real>(row: &Row<A>) -> Vec<A> {
        let mean = Self::mean(row, &Self::softmax(row));
        each(row.direction, &|_, v| v - mean)
    }

    /// Inputs on which the planted defect shows and does not show; every defect has them.
    const EXAMPLES: Option<Examples> = None;
}

/// A value made of each, from its place and itself. The loop is compiled once for a type of numbers: nine loops of each of a
/// hundred kernels, with their steps in them, took two fifths of the time in which the whole crate is built.
pub(super) fn each<A: Real>(values: &[A], step: &dyn Fn(usize, A) -> A) -> Vec<A> {
    values.iter().enumerate().map(|(i, &x)| step(i, x)).collect()
}

/// The same of a step that remembers.
pub(super) fn each_in_turn<A: Real>(values: &[A], step: &mut dyn FnMut(A) -> A) -> Vec<A> {
    values.iter().map(|&x| step(x)).collect()
}

/// A value of each row that is not ignored; compiled once for a type, as [`each`] is.
pub(super) fn of_kept<A: Real>(rows: &Rows<A>, value: &dyn Fn(&Row<A>) -> A) -> Vec<A> {
    rows.kept().flatten().map(|row| value(&row)).collect()
}

/// The values of all rows, one row after the other, of which some are ignored.
pub(super) fn of_all<A: Real>(rows: &Rows<A>, values: &dyn Fn(Option<Row<A>>) -> Vec<A>) -> Vec<A> {
    rows.kept().flat_map(values).collect()
}

/// The largest, or NaN if one is.
pub(super) fn largest<A: Real>(values: &[A]) -> A {
    values.iter().fold(A::NEG_INFINITY, |max, &z| max.larger(z))
}

/// One pass with a running maximum, and a running sum that is rescaled when the maximum rises: block by block. Plain loops, since adapters
/// with the steps in them are compiled for every kernel.
fn online_normalizer<R: Recipe, A: Real>(row: &Row<A>) -> Normalizer<A> {
    let (mut max, mut sum) = (A::NEG_INFINITY, A::ZERO);
    let size = R::block(row);
    let mut weights = Vec::with_capacity(size);
    for block in row.logits.chunks(size) {
        let before = max;
        for &z in block {
            max = R::running_maximum(row, max, z);
        }
        if !R::only_masked(row, max) {
            weights.clear();
            for &z in block {
                weights.push(R::weight(row, z, max));
            }
            sum = sum * R::rescale(row, before, max) + R::sum(row, &weights);
        }
    }
    Normalizer { max, sum, log_sum: R::log(row, sum) }
}

/// The loss as `-sum q_i log p_i`, for kernels that go through log-probabilities; they cancel where `p_t` is near 1.
pub(super) fn loss_of_log_probabilities<R: Recipe, A: Real>(row: &Row<A>) -> A {
    -R::expected(row, &R::log_softmax(row))
}

/// Whether the platform's exp, in the type that `dtype` is computed in, never decreases.
///
/// glibc's and musl's f32 exp is one piece of code; compared at every pair of neighbours in [-104, 0] it never decreases. Its
/// f64 exp is claimed by no one: near 0 neighbours lie closer together than its error before rounding.
fn monotone_exp(dtype: Dtype) -> bool {
    dtype.accumulator() == Dtype::F32 && cfg!(any(target_env = "gnu", target_env = "musl"))
}

/// How a kernel computes all outputs of a row.
type Method<A> = fn(&Row<A>) -> Vec<A>;

/// The method of a kernel for an op; none where recipes do not implement the op.
fn method<R: Recipe, A: Real>(op: Op) -> Option<Method<A>> {
    Some(match op {
        Op::LOGSUMEXP => |row| vec![R::logsumexp(row)],
        Op::SOFTMAX => R::softmax,
        Op::LOG_SOFTMAX => R::log_softmax,
        Op::CROSS_ENTROPY => |row| vec![R::cross_entropy(row)],
        Op::CROSS_ENTROPY_GRAD => R::cross_entropy_grad,
        Op::SOFTMAX_VJP => R::softmax_vjp,
        Op::SOFTMAX_JVP => R::softmax_jvp,
        Op::LOG_SOFTMAX_VJP => R::log_softmax_vjp,
        Op::LOG_SOFTMAX_JVP => R::log_softmax_jvp,
        Op::SOFT_CROSS_ENTROPY => |row| vec![R::cross_entropy(row)],
        Op::SOFT_CROSS_ENTROPY_GRAD => R::cross_entropy_grad,
        Op::SCALED_SOFTMAX => R::scaled_softmax,
        Op::ENTROPY => |row| vec![R::entropy(row)],
        Op::ATTENTION => |row| vec![R::attention(row)],
        Op::KL_DIVERGENCE => |row| vec![R::kl_divergence(row)],
        Op::KL_DIVERGENCE_GRAD => R::kl_divergence_grad,
        Op::LOGCUMSUMEXP => R::logcumsumexp,
        _ => return None,
    })
}

/// How a kernel computes all outputs of several rows.
type MethodOfRows<A> = fn(&Rows<A>) -> Vec<A>;

/// The method of a kernel for a mean over rows; none for another op.
fn method_of_rows<R: Recipe, A: Real>(op: Op) -> Option<MethodOfRows<A>> {
    Some(match op {
        Op::MEAN_CROSS_ENTROPY => |rows| vec![R::mean_cross_entropy(rows)],
        Op::MEAN_CROSS_ENTROPY_GRAD => R::mean_cross_entropy_grad,
        _ => return None,
    })
}

/// Whether the kernel is offered for an op in a dtype.
pub(super) fn supports<R: Recipe>(op: Op, dtype: Dtype) -> bool {
    let is_implemented = method::<R, f64>(op).is_some() || method_of_rows::<R, f64>(op).is_some();
    is_implemented && R::supports(op, dtype)
}

/// What the kernel declares of an op in a dtype. Prefixes have one way of adding up, from the first logit to the last, whatever a kernel
/// does with a whole row.
pub(super) fn claims<R: Recipe>(op: Op, dtype: Dtype) -> Claims {
    let claims = R::claims(op, dtype);
    match op.is_of_prefixes() {
        true => Claims { sum: Summation::Sequential, merged: 1, online: Online::No, ..claims },
        false => claims,
    }
}

/// Runs a case: its values, which are exact in the type that the kernel computes in; the op; one rounding to the dtype.
///
/// Where no type is said, it computes in the one that it says itself.
pub(super) fn run<R: Recipe>(case: &Case, changes: &Changes) -> Outcome {
    let usual = if R::IN_STORAGE_DTYPE { case.dtype().output() } else { case.dtype().accumulator() };
    Outcome::Outputs(match changes.inside.unwrap_or(usual).output() {
        Dtype::F16 => run_in(case, changes, &Steps::<f16>::of::<R>(case.op())),
        Dtype::Bf16 => run_in(case, changes, &Steps::<bf16>::of::<R>(case.op())),
        Dtype::F64 => run_in(case, changes, &Steps::<f64>::of::<R>(case.op())),
        _ => run_in(case, changes, &Steps::<f32>::of::<R>(case.op())),
    })
}

/// What running a case needs of a kernel, so that it is compiled once for a type.
struct Steps<A> {
    parameter: Option<&'static Parameter>,
    method: Option<Method<A>>,
    method_of_rows: Option<MethodOfRows<A>>,
    written: fn(&Row<A>, A) -> A,
}

impl<A: Real> Steps<A> {
    fn of<R: Recipe>(op: Op) -> Self {
        let (method, method_of_rows) = (method::<R, A>(op), method_of_rows::<R, A>(op));
        Self { parameter: R::PARAMETER, method, method_of_rows, written: R::written }
    }
}

fn run_in<A: Real>(case: &Case, changes: &Changes, steps: &Steps<A>) -> Vec<f64> {
    let logits = read::<A>(case.logits());
    let direction = read::<A>(case.weighed());
    let distribution = read::<A>(case.distribution().unwrap_or(&[]));
    let target_logits = read::<A>(case.target_logits().unwrap_or(&[]));
    let (target, smoothing) = case.target().unwrap_or((0, 0.0));
    let row = Row {
        logits: &logits,
        target,
        label_smoothing: A::from_f64(smoothing),
        direction: &direction,
        distribution: &distribution,
        target_logits: &target_logits,
        scale: A::from_f64(case.scale().unwrap_or(1.0)),
        dtype: case.dtype(),
        parameter: changes.value.or(steps.parameter.map(|parameter| parameter.default)).unwrap_or(0.0),
        beside: changes.beside,
    };
    // It is never run on an op that it does not support.
    let mut outputs = match case.targets() {
        Some(targets) => {
            let rows = Rows { all: row, targets };
            steps.method_of_rows.map_or_else(Vec::new, |method| method(&rows))
        }
        None => steps.method.map_or_else(Vec::new, |method| method(&row)),
    };
    outputs.iter_mut().for_each(|output| *output = (steps.written)(&row, *output));
    stored(&outputs, case.dtype())
}

/// The values of a case, in the type that the kernel computes in.
pub(super) fn read<A: Real>(values: &[f64]) -> Vec<A> {
    values.iter().map(|&x| A::from_f64(x)).collect()
}

/// The outputs, rounded to the dtype that they are stored in.
pub(super) fn stored<A: Real>(outputs: &[A], dtype: Dtype) -> Vec<f64> {
    outputs.iter().map(|x| dtype.output().round(x.to_f64())).collect()
}
