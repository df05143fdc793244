//! The correct kernels: the textbook, and the ways to be faster or more accurate than it. They must pass on every input.

use super::arithmetic::in_order;
use super::recipe::{Normalizer, Recipe, Row, each, largest};
use super::reduction;
use crate::dtype::{Dtype, ldexp};
use crate::kernel::{self, Claims, Real, Summation};
use crate::op::Op;

/// The textbook, as [`Recipe`] provides it.
pub(super) struct Shifted;

impl Recipe for Shifted {
    const NAME: &'static str = "shifted";
    const SUMMARY: &'static str = "the textbook: subtract the maximum, exponentiate, add up from first to last, divide";
    const TRUSTED: bool = true;
}

/// `log S = log1p(s)`, where `s` is the sum of all weights but that of one maximum: no digit is lost where the maximum dominates.
pub(super) struct Log1p;

impl Log1p {
    /// `s`. Where the maximum is infinite or NaN no weight is 1, and none is left out.
    fn rest<A: Real>(row: &Row<A>, max: A) -> A {
        let left_out = row.logits.iter().position(|&z| z == max && max.is_finite());
        let weights = row.logits.iter().enumerate().filter(|&(i, _)| Some(i) != left_out);
        Self::sum(row, &weights.map(|(_, &z)| Self::weight(row, z, max)).collect::<Vec<A>>())
    }
}

impl Recipe for Log1p {
    const NAME: &'static str = "log1p";
    const SUMMARY: &'static str = "the textbook with log S as log1p of the sum without one maximum";
    const TRUSTED: bool = true;

    fn claims(op: Op, dtype: Dtype) -> Claims {
        // A scale is multiplied with first, as the textbook does.
        Claims { tight: op != Op::SCALED_SOFTMAX, ..Shifted::claims(op, dtype) }
    }

    fn normalizer<A: Real>(row: &Row<A>) -> Normalizer<A> {
        let max = Self::maximum(row);
        let rest = Self::rest(row, max);
        Normalizer { max, sum: A::ONE + rest, log_sum: rest.ln_1p() }
    }

    /// A running `s`: of a logit that is no larger than the maximum its weight is added, and a larger one makes all that was met the rest.
    fn logcumsumexp<A: Real>(row: &Row<A>) -> Vec<A> {
        let (mut max, mut rest) = (A::NEG_INFINITY, A::ZERO);
        let mut next = |z: A| {
            if z > max || z.is_nan() {
                rest = if max == A::NEG_INFINITY { A::ZERO } else { (rest + A::ONE) * Self::rescale(row, max, z) };
                max = max.larger(z);
            } else if max.is_finite() {
                rest = Self::sum(row, &[rest, Self::weight(row, z, max)]);
            }
            if max.is_infinite() { max } else { max + rest.ln_1p() }
        };
        row.logits.iter().map(|&z| next(z)).collect()
    }

    /// `p_t - 1 = -s / S` where the true class is on the maximum, so that the gradient of a confident row does not vanish.
    fn gradient<A: Real>(row: &Row<A>, class: usize, probability: A) -> A {
        if row.has_all_mass(class) {
            let max = Self::maximum(row);
            if row.logits[class] == max {
                let rest = Self::rest(row, max);
                return A::ZERO - rest / (A::ONE + rest);
            }
        }
        Shifted::gradient(row, class, probability)
    }
}

/// One pass that keeps a running maximum, and rescales the running sum whenever it rises.
pub(super) struct Online;

impl Recipe for Online {
    const NAME: &'static str = "online";
    const SUMMARY: &'static str = "one pass with a running maximum and a rescaled running sum (online softmax)";
    const TRUSTED: bool = true;
    const ONLINE: bool = true;
}

/// Every sum by halves.
pub(super) struct Pairwise;

impl Recipe for Pairwise {
    const NAME: &'static str = "pairwise";
    const SUMMARY: &'static str = "the textbook with every sum taken pairwise";
    const TRUSTED: bool = true;

    fn claims(op: Op, dtype: Dtype) -> Claims {
        Claims { sum: Summation::Pairwise, sequential: false, ..Shifted::claims(op, dtype) }
    }

    fn sum<A: Real>(row: &Row<A>, terms: &[A]) -> A {
        match *terms {
            [] => A::ZERO,
            [only] => only,
            _ => {
                let (left, right) = terms.split_at(terms.len() / 2);
                Self::sum(row, left) + Self::sum(row, right)
            }
        }
    }
}

/// Every sum with the rounding error of each addition carried along (Neumaier 1974, after Kahan and Babuska).
pub(super) struct Compensated;

impl Recipe for Compensated {
    const NAME: &'static str = "compensated";
    const SUMMARY: &'static str = "the textbook with every sum compensated for its rounding errors";
    const TRUSTED: bool = true;

    fn claims(op: Op, dtype: Dtype) -> Claims {
        Claims { sum: Summation::Compensated, ..Shifted::claims(op, dtype) }
    }

    fn sum<A: Real>(_: &Row<A>, terms: &[A]) -> A {
        let (mut high, mut low) = (A::ZERO, A::ZERO);
        for &term in terms {
            let (total, error) = sum_and_error(high, term);
            // Carrying the error back at every step keeps `low` below half an ulp of `high`. In Neumaier's own form it
            // grows, and its rounding errors add up to n^2 u^2: more than 3 u in a row of 65536 equal terms in f32.
            (high, low) = sum_and_error(total, low + error);
        }
        high
    }
}

/// `a + b` rounded, and the rounding error, which is exact (Dekker 1971); 0 where the sum is not finite.
fn sum_and_error<A: Real>(a: A, b: A) -> (A, A) {
    let sum = a + b;
    let (larger, smaller) = if a.abs() >= b.abs() { (a, b) } else { (b, a) };
    let error = if sum.is_finite() { (larger - sum) + smaller } else { A::ZERO };
    (sum, error)
}

/// One pass in blocks, as attention kernels take it: the state carried from block to block is a maximum and a sum. A state
/// that has met only masked classes is (-inf, 0), and stays so until a class is met.
pub(super) struct Blocks<const SIZE: usize>;

impl<const SIZE: usize> Recipe for Blocks<SIZE> {
    const NAME: &'static str = match SIZE {
        8 => "blocks_8",
        32 => "blocks_32",
        _ => "blocks_128",
    };
    const SUMMARY: &'static str = "online softmax that takes a block of logits at a time";
    const TRUSTED: bool = true;
    const ONLINE: bool = true;
    const BLOCK: usize = SIZE;

    /// Online: a weight is rescaled once for each later block that raises the maximum, and each of these holds an element that
    /// does. Not sequential: one more class in front moves all others to other places in their blocks.
    fn claims(op: Op, dtype: Dtype) -> Claims {
        let sum = Summation::Blocks { size: SIZE };
        Claims { sum, sequential: false, ..Online::claims(op, dtype) }
    }

    fn sum<A: Real>(row: &Row<A>, terms: &[A]) -> A {
        terms.chunks(SIZE).fold(A::ZERO, |sum, block| sum + Shifted::sum(row, block))
    }
}

/// Every sum in the lanes of a vector register; lanes are added by halves, then what is left over one by one.
pub(super) struct Lanes<const COUNT: usize>;

impl<const COUNT: usize> Recipe for Lanes<COUNT> {
    const NAME: &'static str = match COUNT {
        4 => "lanes_4",
        8 => "lanes_8",
        _ => "lanes_16",
    };
    const SUMMARY: &'static str = "the textbook with every sum taken in the lanes of a vector, and a tail";
    const TRUSTED: bool = true;

    fn claims(op: Op, dtype: Dtype) -> Claims {
        let sum = Summation::Lanes { lanes: COUNT, scalar_tail: true };
        Claims { sum, sequential: false, ..Shifted::claims(op, dtype) }
    }

    fn sum<A: Real>(row: &Row<A>, terms: &[A]) -> A {
        let vectors = terms.chunks_exact(COUNT);
        let tail = vectors.remainder();
        let mut lanes = [A::ZERO; COUNT];
        for vector in vectors {
            lanes.iter_mut().zip(vector).for_each(|(lane, &term)| *lane += term);
        }
        tail.iter().fold(Pairwise::sum(row, &lanes), |sum, &term| sum + term)
    }
}

/// `e^x = 2^k 2^f` with `k` the integer nearest to `x log2(e)`: what hardware with an instruction for `2^f` computes.
pub(super) struct Base2;

impl Base2 {
    /// The first 13 bits of log 2: its products with integers of 11 bits are exact in f32.
    const LN_2_HIGH: f64 = 5678.0 / 8192.0;
    /// The rest of log 2, to all digits of f64. The difference of two f64 would lack those beyond the 53 bits of log 2.
    const LN_2_LOW: f64 = 3.194618494530941723212145817657e-5;
    /// Below, `e^x` is 0 in every dtype.
    const ZERO_BELOW: f64 = -746.0;

    /// `k` and `2^f` with `e^x = 2^k 2^f`, where `x log2(e)` is an integer of at most 11 bits and a fraction.
    pub(super) fn parts<A: Real>(x: A) -> (A, A) {
        let log2_e = A::from_f64(std::f64::consts::LOG2_E);
        let k = A::from_f64((x * log2_e).to_f64().round());
        let r = (x - k * A::from_f64(Self::LN_2_HIGH)) - k * A::from_f64(Self::LN_2_LOW);
        (k, (r * log2_e).exp2())
    }

    /// `e^x`, as its parts are.
    pub(super) fn reduced<A: Real>(x: A) -> A {
        let (k, power) = Self::parts(x);
        power * k.exp2()
    }
}

impl Recipe for Base2 {
    const NAME: &'static str = "base2";
    const SUMMARY: &'static str = "the textbook with exp as a power of 2, reduced with log 2 in two parts";
    const TRUSTED: bool = true;

    /// The exp2 of the platform, 2 u as its exp, and 1.1 u of the reduction. With `|r| <= 0.35`, `f = r log2(e)`: `x - k hi` is
    /// exact (Sterbenz); `k lo`, its subtraction and its constant err by 0.5 u; the product and its constant by `2 |f| u`;
    /// `2^f` turns an error of `f` into `log 2` times as much of its own. Where `k` changes, the result may decrease.
    fn claims(op: Op, dtype: Dtype) -> Claims {
        Claims { exp: 3.25, elementwise_monotone: false, ..Shifted::claims(op, dtype) }
    }

    fn exp<A: Real>(_: &Row<A>, x: A) -> A {
        if x < A::from_f64(Self::ZERO_BELOW) { A::ZERO } else { Self::reduced(x) }
    }
}

/// `e^x = 2^(x log2 e)` with nothing done about the rounding of the product: what GPU compilers make of exp, whose hardware has
/// an instruction for powers of 2.
pub(super) struct Base2Rounded;

impl Recipe for Base2Rounded {
    const NAME: &'static str = "base2_rounded";
    const SUMMARY: &'static str = "the textbook with exp as a power of 2 of the rounded product with log2(e)";
    const TRUSTED: bool = true;

    /// The constant and the product err by `u` each; exp2 is the platform's, which is not known to be monotone.
    fn claims(op: Op, dtype: Dtype) -> Claims {
        Claims { exp_argument: 2.0, elementwise_monotone: false, ..Shifted::claims(op, dtype) }
    }

    fn exp<A: Real>(_: &Row<A>, x: A) -> A {
        (x * A::from_f64(std::f64::consts::LOG2_E)).exp2()
    }
}

/// Blocks of 8 as flash attention takes them: the weights of earlier blocks, and what is made of them, are multiplied whenever the
/// maximum rises, and none is computed anew (Dao, Fu, Ermon, Rudra, Re, "FlashAttention", NeurIPS 2022).
pub(super) struct Flash;

/// What one pass over a row leaves that no maximum was known for before.
struct Weighed<A> {
    /// The maximum.
    max: A,
    /// The sum of the weights.
    sum: A,
    /// The weights, relative to the maximum.
    weights: Vec<A>,
    /// The weights times the cotangent, tangent or values, added up; 0 where there is none.
    output: A,
}

impl<A: Real> Weighed<A> {
    /// Of no logit.
    const EMPTY: Self = Self { max: A::NEG_INFINITY, sum: A::ZERO, weights: Vec::new(), output: A::ZERO };

    /// Of some logits of a row and their part of the direction, relative to this maximum, which no logit exceeds. Where it is -inf
    /// nothing but masked classes was met, and all is 0.
    fn of(row: &Row<A>, logits: &[A], direction: &[A], max: A) -> Self {
        let weights = if max == A::NEG_INFINITY {
            vec![A::ZERO; logits.len()]
        } else {
            each(logits, &|_, z| Shifted::weight(row, z, max))
        };
        // A value that no weight sees is left out: 0 * inf is NaN.
        let product = |(&w, &v): (&A, &A)| if w == A::ZERO { A::ZERO } else { w * v };
        let output = in_order(&weights.iter().zip(direction).map(product).collect::<Vec<A>>());
        Self { max, sum: in_order(&weights), weights, output }
    }

    /// Makes all relative to another maximum.
    fn rescale(&mut self, row: &Row<A>, max: A) {
        // Nothing is lost where no class was met, and -inf - -inf is not formed.
        let factor = if self.max == A::NEG_INFINITY { A::ZERO } else { Shifted::rescale(row, self.max, max) };
        if factor != A::ONE {
            self.weights.iter_mut().for_each(|w| *w = *w * factor);
            (self.sum, self.output) = (self.sum * factor, self.output * factor);
        }
        self.max = max;
    }

    /// Takes in what comes after, relative to the same maximum.
    fn append(&mut self, mut next: Self) {
        self.weights.append(&mut next.weights);
        (self.sum, self.output) = (self.sum + next.sum, self.output + next.output);
    }

    /// The logarithm of the sum, and what else the ops are made of.
    fn normalizer(&self, row: &Row<A>) -> Normalizer<A> {
        Normalizer { max: self.max, sum: self.sum, log_sum: Shifted::log(row, self.sum) }
    }

    /// The weights, divided by their sum.
    fn probabilities(&self) -> Vec<A> {
        each(&self.weights, &|_, w| w / self.sum)
    }
}

impl Flash {
    /// The logits of a block.
    const SIZE: usize = 8;

    /// The one pass.
    fn weighed<A: Real>(row: &Row<A>) -> Weighed<A> {
        let mut all: Weighed<A> = Weighed::EMPTY;
        let directions = row.direction.chunks(Self::SIZE).chain(std::iter::repeat(&[][..]));
        for (block, direction) in row.logits.chunks(Self::SIZE).zip(directions) {
            let max = all.max.larger(largest(block));
            all.rescale(row, max);
            all.append(Weighed::of(row, block, direction, max));
        }
        all
    }
}

impl Recipe for Flash {
    const NAME: &'static str = "flash";
    const SUMMARY: &'static str =
        "blocks with a running maximum; weights and outputs of earlier blocks are rescaled (flash attention)";
    const TRUSTED: bool = true;

    /// In another block a class is rescaled another number of times: not sequential, and order is kept within roundings only.
    fn claims(op: Op, dtype: Dtype) -> Claims {
        Claims {
            online: kernel::Online::Rescaled,
            elementwise_monotone: false,
            ..Blocks::<{ Self::SIZE }>::claims(op, dtype)
        }
    }

    fn sum<A: Real>(row: &Row<A>, terms: &[A]) -> A {
        Blocks::<{ Self::SIZE }>::sum(row, terms)
    }

    fn normalizer<A: Real>(row: &Row<A>) -> Normalizer<A> {
        Self::weighed(row).normalizer(row)
    }

    fn softmax<A: Real>(row: &Row<A>) -> Vec<A> {
        Self::weighed(row).probabilities()
    }

    fn mean<A: Real>(row: &Row<A>, _: &[A]) -> A {
        let Weighed { sum, output, .. } = Self::weighed(row);
        output / sum
    }

    fn attention<A: Real>(row: &Row<A>) -> A {
        // Of no class the sum is 0, and nothing is divided by it.
        if row.logits.is_empty() { A::ZERO } else { Self::mean(row, &[]) }
    }
}

/// A row in so many parts, each with a maximum, a sum and outputs of its own, merged two by two: split-KV attention, ring attention,
/// the warps of a block.
pub(super) struct Split<const PARTS: usize>;

impl<const PARTS: usize> Split<PARTS> {
    /// The logits of a part, of so many altogether.
    fn size(n: usize) -> usize {
        n.div_ceil(PARTS).max(1)
    }

    /// The parts, merged.
    fn weighed<A: Real>(row: &Row<A>) -> Weighed<A> {
        let size = Self::size(row.logits.len());
        let directions = row.direction.chunks(size).chain(std::iter::repeat(&[][..]));
        let parts = row.logits.chunks(size).zip(directions);
        let parts = parts.map(|(logits, direction)| Weighed::of(row, logits, direction, largest(logits))).collect();
        in_tree(parts, |mut left: Weighed<A>, mut right: Weighed<A>| {
            let max = left.max.larger(right.max);
            left.rescale(row, max);
            right.rescale(row, max);
            left.append(right);
            left
        })
        .unwrap_or(Weighed::EMPTY)
    }
}

/// Neighbours made one, until one is left; none of none.
fn in_tree<T>(mut items: Vec<T>, merged: impl Fn(T, T) -> T) -> Option<T> {
    while items.len() > 1 {
        let mut rest = items.into_iter();
        let mut level = Vec::new();
        while let Some(left) = rest.next() {
            level.push(match rest.next() {
                Some(right) => merged(left, right),
                None => left,
            });
        }
        items = level;
    }
    items.pop()
}

impl<const PARTS: usize> Recipe for Split<PARTS> {
    const NAME: &'static str = "split_8";
    const SUMMARY: &'static str =
        "8 parts with a maximum, a sum and weights each, merged in a tree (split-KV attention)";
    const TRUSTED: bool = true;

    /// In another part a class is rescaled otherwise: not sequential, and order is kept within roundings only. Sums round as often
    /// as those of lanes: so many parts, then halves.
    fn claims(op: Op, dtype: Dtype) -> Claims {
        let sum = Summation::Lanes { lanes: PARTS, scalar_tail: false };
        Claims { merged: PARTS, sum, sequential: false, elementwise_monotone: false, ..Shifted::claims(op, dtype) }
    }

    fn sum<A: Real>(_: &Row<A>, terms: &[A]) -> A {
        let parts = terms.chunks(Self::size(terms.len())).map(in_order).collect();
        in_tree(parts, |left: A, right: A| left + right).unwrap_or(A::ZERO)
    }

    fn normalizer<A: Real>(row: &Row<A>) -> Normalizer<A> {
        Self::weighed(row).normalizer(row)
    }

    fn softmax<A: Real>(row: &Row<A>) -> Vec<A> {
        Self::weighed(row).probabilities()
    }

    fn mean<A: Real>(row: &Row<A>, _: &[A]) -> A {
        let Weighed { sum, output, .. } = Self::weighed(row);
        output / sum
    }

    fn attention<A: Real>(row: &Row<A>) -> A {
        // Of no class the sum is 0, and nothing is divided by it.
        if row.logits.is_empty() { A::ZERO } else { Self::mean(row, &[]) }
    }
}

/// Exponentials as pairs `m 2^k`, so that none overflows and none needs the maximum before it: two passes over the logits instead
/// of three (Dukhan, Ablavatski, "The two-pass softmax algorithm", IPDPS workshops, 2020). What is published reduces with log 2
/// in a few parts and loses all digits far from 0; here the reduction is exact ([`super::reduction`]).
pub(super) struct TwoPass;

/// A logit and its exponential `m 2^k`, with `m` from 0.70 to 1.42 and `k` modulo `2^64`.
#[derive(Clone, Copy)]
struct Pair<A> {
    z: A,
    m: A,
    k: i64,
}

impl<A: Real> Pair<A> {
    /// The pair of a logit: `m` is 0 for a masked class, NaN where there is no exponential to be written so.
    fn of(z: A) -> Self {
        if z.is_finite() {
            let (k, f) = reduction::reduced(z.to_f64());
            return Self { z, m: A::from_f64(f).exp2(), k };
        }
        Self { z, m: if z == A::NEG_INFINITY { A::ZERO } else { A::from_f64(f64::NAN) }, k: 0 }
    }

    /// `2^(k - k')` for a pair whose logit is at least this one, exactly; 0 where that is less than any number. The exponents may
    /// differ by more than `2^63`, so the logits tell whether they do.
    fn scale(self, highest: Self) -> A {
        if highest.z - self.z > A::from_f64(-Base2::ZERO_BELOW) {
            return A::ZERO;
        }
        // Below -2000 or above 0 only beside NaN.
        A::from_f64(ldexp(1.0, self.k.wrapping_sub(highest.k).clamp(-2000, 0) as i32))
    }
}

impl TwoPass {
    /// Takes one more logit into the largest pair and the sum.
    fn take<A: Real>(highest: &mut Pair<A>, sum: &mut A, z: A) {
        let pair = Pair::of(z);
        if z > highest.z || z.is_nan() {
            *sum = *sum * highest.scale(pair) + pair.m;
            *highest = pair;
        } else {
            *sum += pair.m * pair.scale(*highest);
        }
    }
}

impl Recipe for TwoPass {
    const NAME: &'static str = "two_pass";
    const SUMMARY: &'static str =
        "exponentials as pairs m 2^k, summed in the same pass that finds the largest (two-pass softmax)";
    const TRUSTED: bool = true;

    /// `m` errs by 2 u of the platform's exp2, and by `log 2` times the rounding of `f`, which is 0.5 u at most: 2.35 u. All
    /// powers of two are exact, or underflow as products do. `z - a` is not rounded on the way to a weight, so nothing else is
    /// in the weights and in their sum. The logarithm is that of the sum divided by the `m` of the maximum: 2.35 u more, and
    /// 1 u of the division. Not shifted: another offset is another `m`. Where `k` changes, the result may decrease.
    fn claims(op: Op, dtype: Dtype) -> Claims {
        let has_log_total = op.row().is_some_and(|facts| facts.has_log_total);
        let exp = if has_log_total { 2.35 + 2.35 + 1.0 } else { 2.35 };
        Claims { exp, shifted: false, elementwise_monotone: false, ..Shifted::claims(op, dtype) }
    }

    /// The first pass. The sum is relative to the power of two of the largest logit so far: a pair, too.
    fn normalizer<A: Real>(row: &Row<A>) -> Normalizer<A> {
        let (mut highest, mut sum) = (Pair::of(A::NEG_INFINITY), A::ZERO);
        row.logits.iter().for_each(|&z| Self::take(&mut highest, &mut sum, z));
        Normalizer { max: highest.z, sum, log_sum: (sum / highest.m).ln() }
    }

    /// The first pass, whose state is the answer at every place.
    fn logcumsumexp<A: Real>(row: &Row<A>) -> Vec<A> {
        let (mut highest, mut sum) = (Pair::of(A::NEG_INFINITY), A::ZERO);
        let mut next = |z: A| {
            Self::take(&mut highest, &mut sum, z);
            if highest.z.is_infinite() { highest.z } else { highest.z + (sum / highest.m).ln() }
        };
        row.logits.iter().map(|&z| next(z)).collect()
    }

    /// Relative to the power of two of the largest logit, as the sum is.
    fn weight<A: Real>(_: &Row<A>, z: A, max: A) -> A {
        let pair = Pair::of(z);
        pair.m * pair.scale(Pair::of(max))
    }
}

/// Attention whose last step reads half dtypes, as tensor cores do: each weight is rounded to bf16 before it meets its value. The sum is
/// that of the weights as they were, and divides last.
pub(super) struct HalfWeights;

impl Recipe for HalfWeights {
    const NAME: &'static str = "half_weights";
    const SUMMARY: &'static str =
        "attention with weights that are rounded to bf16 before they meet the values, divided last";
    const TRUSTED: bool = true;

    fn supports(op: Op, _: Dtype) -> bool {
        op == Op::ATTENTION
    }

    fn claims(op: Op, dtype: Dtype) -> Claims {
        Claims { weights: Some(Dtype::Bf16), ..Shifted::claims(op, dtype) }
    }

    fn attention<A: Real>(row: &Row<A>) -> A {
        if row.logits.is_empty() {
            return A::ZERO;
        }
        let Normalizer { max, sum, .. } = Self::normalizer(row);
        let product = |i: usize, v: A| {
            let weight = A::from_f64(Dtype::Bf16.round(Self::weight(row, row.logits[i], max).to_f64()));
            if weight == A::ZERO { A::ZERO } else { weight * v }
        };
        Self::sum(row, &each(row.direction, &product)) / sum
    }
}

/// The maximum is subtracted before the scale is applied, so that a common offset costs no digit; of a negative scale it is the least
/// logit.
pub(super) struct ShiftThenScale;

impl Recipe for ShiftThenScale {
    const NAME: &'static str = "shift_then_scale";
    const SUMMARY: &'static str = "scaled softmax that multiplies the differences from the maximum, not the logits";
    const TRUSTED: bool = true;

    fn supports(op: Op, _: Dtype) -> bool {
        op == Op::SCALED_SOFTMAX
    }

    /// Where a difference overflows, the products are subtracted, whose error may be another one: order is kept within roundings only.
    fn claims(op: Op, dtype: Dtype) -> Claims {
        Claims { tight: true, elementwise_monotone: false, ..Shifted::claims(op, dtype) }
    }

    /// The logit with the largest product: NaN if any logit is.
    fn maximum<A: Real>(row: &Row<A>) -> A {
        if row.scale >= A::ZERO { largest(row.logits) } else { -largest(&each(row.logits, &|_, z| -z)) }
    }

    fn weight<A: Real>(row: &Row<A>, z: A, max: A) -> A {
        let difference = z - max;
        let overflows = difference.is_infinite() && z.is_finite() && max.is_finite();
        Self::exp(row, if overflows { z * row.scale - max * row.scale } else { difference * row.scale })
    }

    fn scaled_softmax<A: Real>(row: &Row<A>) -> Vec<A> {
        Self::softmax(row)
    }
}

/// Every prefix as the one before it and one more logit, with `logaddexp`: what PyTorch does on a CPU. An output is rounded at each step,
/// and what it lost is in all that follow.
pub(super) struct LogAddExpScan;

impl LogAddExpScan {
    /// `max + log1p(exp(min - max))`; of two equal infinities, that. NaN where either is.
    fn log_add_exp<A: Real>(row: &Row<A>, x: A, y: A) -> A {
        let max = x.larger(y);
        let min = if max == x { y } else { x };
        if min == max && max.is_infinite() { max } else { max + Self::exp(row, min - max).ln_1p() }
    }
}

impl Recipe for LogAddExpScan {
    const NAME: &'static str = "logaddexp_scan";
    const SUMMARY: &'static str =
        "the log-sum-exp of every prefix as logaddexp of the one before it and the next logit";
    const TRUSTED: bool = true;

    fn supports(op: Op, _: Dtype) -> bool {
        op == Op::LOGCUMSUMEXP
    }

    /// Not shifted: where the logits are larger, so are the roundings of each step.
    fn claims(op: Op, dtype: Dtype) -> Claims {
        Claims { shifted: false, ..Shifted::claims(op, dtype) }
    }

    fn logcumsumexp<A: Real>(row: &Row<A>) -> Vec<A> {
        let mut sum = A::NEG_INFINITY;
        let mut next = |z: A| {
            sum = Self::log_add_exp(row, sum, z);
            sum
        };
        row.logits.iter().map(|&z| next(z)).collect()
    }
}
