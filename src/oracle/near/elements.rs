//! Elements in plain `f64`: the functions of an element, each with a proven error, and a case in them. `U = 2^-53`; what is said here
//! continues the head of `near`.
//!
//! **`exp(x)`**, `x <= 0`: [`exp_of_minus`], below `2 U`; below `exp(-700)` it is `exp(-700)`, which is as far below [`SLACK`] as what it
//! stands for, and positive as that is.
//!
//! **`exp(x) - 1`**, `x <= 0`. From [`SMALL`] on it is `t = x + x^2 h`, `h` as there: `|x| h < 0.174`, so `x^2 h`, which errs by `3.5 U`
//! of itself, is at most `0.174 |x|`, and `|t| > 0.84 |x|`. That is `0.73 U` of `t`; the sum rounds by `U`, and what the series leaves out
//! is below `0.13 U`: `2 U` in all. What underflow takes from `x^2 h` is of no account beside `x`. Below [`SMALL`] it is the sum of
//! `exp(x)`, whose error is counted, and -1, which keeps its rest.
//!
//! Either function is of a difference of two numbers, `x = high + low` with `|low| <= U |high|`. [`exp_of_minus`] takes the rest. From
//! [`SMALL`] on, `exp(x) - 1 = t + low (1 + t)` but for `low^2`, with `t` of `high` alone; the sum rounds by `U` once more: below `3.5 U`.
//!
//! **`log(x)`**: [`ln`], below `10 U` of a value that is not near 0; between `sqrt(1/2)` and `sqrt 2` it is [`ln_1p`] of `x - 1`, which is
//! exact but for the rest of `x`. **`log(1 + x)`**: [`ln_1p`], below `10 U`. An argument `v (1 + d)`, `|d| <= e`, adds `e / (1 - e)` to the
//! logarithm, which is at most `1.001 e` where `e < 2^-20`; of worse arguments nothing is said.
//!
//! **`log(1 - exp(x))`** so has below `14 U` of itself, which is below `2^-49`. With `w = exp(x)` and `y = -log(1 - w)`, what its argument
//! errs is in it `2 U / y` from [`SMALL`] on, where `y > 1.24`, so below `1.7 U`; and below [`SMALL`], on either side of -1,
//! `2 U w / ((1 - w) y)`, which falls with `x` from `4 U` at [`SMALL`] to `2.6 U` at -1 and to `2 U`. The logarithm adds `10 U`. Of a
//! difference with a rest it is `3.5 U / y < 2.9 U` from [`SMALL`] on: no more.
//!
//! **`log(1 + w)`**, `w = exp(x)`, has below `12.5 U` of itself: what its argument errs is `2 U w / (1 + w)` in it, and `w / (1 + w)` is
//! below `log(1 + w)`. Of an argument that is not negative, and is positive in truth, what underflow took is no more in the logarithm, whose
//! derivative is at most 1 there: it stays [`SLACK`], and out of the radius. So `z + log(1 + w)` has the sign of the rest for certain.
//!
//! **`1 / x`**, `x >= 1`, known to `e` of itself: the value of x and the quotient round by `U` each, and `e` adds `e / (1 - e)`, at most
//! `1.001 e` where `e < 2^-20`.
//!
//! **`w / (1 + w)`**, `w = exp(x)`: `w` has `2 U`; `1 + w` keeps its rest and has `2 U w / (1 + w)`, at most `U`, so its reciprocal has
//! `3.01 U`; and a product adds `4 U`: below `9.5 U` in all. **`(1 - w) / (1 + w)`** likewise has `2 U` of `expm1`, or below [`SMALL`],
//! where it is a sum, `2 U w / (1 - w) < 5 U`; with `3.01 U` and `4 U` that is below `12.5 U`, and a product with 1/2 adds `4 U`: the sigmoid is
//! known to `16.5 U` of what it differs from 1/2. `g w / (1 + w)^2` has `9.5 U`, `3.01 U` and `4 U` for either of two products: below
//! `21.5 U`; and `g / 4` less it `2 * 12.5 U` and as much for the two products, below `33.5 U`. `g w / (1 + w)` has below `13.5 U`, and what
//! it differs from `g / 2` below `16.5 U`.
//!
//! **A line** `z t`, or `z - z t`, of numbers of 24 bits is exact, as `high + low`, and so is a number less a label. A rest beside it adds
//! `2 U` of the rest and of `low`, which is below `U` of the line.

use super::functions::{REACH, exp_of_minus, ln, ln_1p, series};
use super::tier::OfRow;
use super::{Near, NearRow, SLACK, U};
use crate::case::Case;
use crate::dtype::two_sum;
use crate::op::definition::{ElementDefinition, MeanDefinition, RowDefinition};
use crate::op::inputs::Element;
use crate::op::tier::ElementTier;
use crate::op::{Kind, Visitor};
use std::f64::consts::{FRAC_1_SQRT_2, SQRT_2};

/// From here on, `exp(x) - 1` is a series.
const SMALL: f64 = -0.34;

/// Relative errors; see the head of the file.
const EXP_ERROR: f64 = 2.0 * U;
const EXPM1_ERROR: f64 = 2.0 * U;
const EXPM1_REST_ERROR: f64 = 3.5 * U;
const LOG_ERROR: f64 = 10.0 * U;

/// An upper bound of a relative error of an argument of a logarithm that something is said of.
const MOST_SPREAD: f64 = 1.0 / (1u64 << 20) as f64;

/// The tier: the functions of an element.
struct OfElement;

/// A logarithm whose argument has this relative error.
#[inline]
fn logarithm(y: f64, spread: f64) -> Near {
    if (0.0..MOST_SPREAD).contains(&spread) {
        return Near { high: y, low: 0.0, radius: y.abs() * LOG_ERROR + spread * 1.001 };
    }
    Near::UNKNOWN
}

/// Whether it is a number, exactly.
#[inline]
fn is_number(x: Near) -> bool {
    x.low == 0.0 && x.radius == 0.0
}

impl ElementTier for OfElement {
    type Number = Near;
    type Rational = Near;

    #[inline]
    fn rational(&self, x: f64) -> Near {
        Near::exact(x)
    }

    #[inline]
    fn minus(&self, a: &Near, b: &Near) -> Near {
        if !is_number(*a) || !is_number(*b) {
            return *a - *b;
        }
        let (high, low) = two_sum(a.high, -b.high);
        // Beside an infinity there is no rest.
        Near { high, low: if high.is_finite() { low } else { 0.0 }, radius: 0.0 }
    }

    #[inline]
    fn times(&self, a: &Near, b: &Near) -> Near {
        let is_short = |x: Near| is_number(x) && f64::from(x.high as f32) == x.high;
        // Of two times 24 bits, far from underflow.
        if is_short(*a) && is_short(*b) { Near::exact(a.high * b.high) } else { *a * *b }
    }

    #[inline]
    fn number(&self, x: Near) -> Near {
        x
    }

    #[inline]
    fn exp_of_difference(&self, x: f64, y: f64) -> Near {
        if x == f64::NEG_INFINITY || y == f64::INFINITY {
            return Near::ZERO;
        }
        Near::relative(exponential(x, y), EXP_ERROR)
    }

    #[inline]
    fn expm1_of_difference(&self, x: f64, y: f64) -> Near {
        let (high, low) = two_sum(x, -y);
        if high <= SMALL {
            return self.exp_of_difference(x, y) - Near::exact(1.0);
        }
        let t = high + high * high * series(high);
        // What the difference has besides moves the exponential by as much of itself.
        Near::relative(t + low * (1.0 + t), if low == 0.0 { EXPM1_ERROR } else { EXPM1_REST_ERROR })
    }

    #[inline]
    fn log(&self, x: Near) -> Near {
        let (high, low) = two_sum(x.high, x.low);
        if high == 0.0 && x.radius == 0.0 {
            return Near::exact(f64::NEG_INFINITY);
        }
        let y = if high > FRAC_1_SQRT_2 && high < SQRT_2 { ln_1p(high - 1.0, low) } else { ln(high, low) };
        logarithm(y, if x.radius == 0.0 { 0.0 } else { (x.radius + SLACK) / high })
    }

    #[inline]
    fn log1p(&self, x: Near) -> Near {
        if x == Near::exact(-1.0) {
            return Near::exact(f64::NEG_INFINITY);
        }
        let y = ln_1p(x.high, x.low);
        // The argument is -1 at least. Above 0 the slack of the argument is no more in its logarithm.
        let slack = if x.value() < 0.0 { SLACK } else { 0.0 };
        let spread = (x.radius + slack) / (1.0 + x.value());
        if x.radius == 0.0 { Near::relative(y, LOG_ERROR) } else { logarithm(y, spread) }
    }

    #[inline]
    fn reciprocal(&self, x: Near) -> Near {
        let value = x.value();
        let spread = (x.radius + SLACK) / value;
        if (0.0..MOST_SPREAD).contains(&spread) {
            Near::relative(1.0 / value, 2.0 * U + spread * 1.001)
        } else {
            Near::UNKNOWN
        }
    }

    #[inline]
    fn beside(&self, base: Near, rest: Near, _: f64) -> Near {
        OfRow::together(base, rest)
    }
}

/// `exp(x - y)`, `x <= y`, but not less than `exp(-700)`.
#[inline]
fn exponential(x: f64, y: f64) -> f64 {
    let (high, low) = two_sum(y, -x);
    // Beyond the reach the difference may have no rest.
    let is_near = high <= REACH;
    exp_of_minus(if is_near { high } else { REACH }, if is_near { low } else { 0.0 })
}

impl NearRow {
    /// The elements with what their bounds need of them, as the truth of an elementwise op has it.
    pub(super) fn of_elements(case: &Case) -> Self {
        let Kind::Elements(facts) = &case.op().facts().kind else {
            unreachable!("{} is made of the whole row", case.op())
        };
        let weight = |element: Element| {
            let (x, y) = (facts.difference)(element);
            exponential(x, y)
        };
        let (logits, weights) = (case.shared_logits().clone(), case.elements().map(weight).collect());
        Self { logits, max: 0.0, weights, tops: 1.0, sigma: (0.0, 0.0), total: 1.0, reciprocal: 1.0, log_total: 0.0 }
    }
}

/// The outputs of a case of an elementwise op.
pub(super) fn outputs(case: &Case) -> Vec<Near> {
    let elements: Vec<Element> = case.elements().collect();
    case.op().visit(Elements(&elements))
}

/// The outputs of these elements.
struct Elements<'a>(&'a [Element]);

impl Visitor for Elements<'_> {
    type Output = Vec<Near>;

    fn row<D: RowDefinition>(self) -> Vec<Near> {
        unreachable!("{} is made of the whole row", D::NAME)
    }

    fn elements<D: ElementDefinition>(self) -> Vec<Near> {
        let output = |&element: &Element| match D::has_value(element) {
            true => D::output(&OfElement, element),
            false => Near::exact(f64::NAN),
        };
        self.0.iter().map(output).collect()
    }

    fn mean<D: MeanDefinition>(self) -> Vec<Near> {
        unreachable!("{} is made of several rows", D::NAME)
    }
}

#[cfg(test)]
mod tests {
    use super::super::TINY;
    use super::*;
    use crate::number::Float;
    use crate::{Dtype, Op};
    use proptest::prelude::*;

    const BITS: u32 = 200;
    /// The least number of the dtypes that elements are screened in.
    const LEAST: f64 = 1.0 / (1u128 << 127) as f64 / (1u64 << 22) as f64;

    /// The error of a number in units of `U` of itself: what it is, and what it is proven to be at most.
    fn errors(near: Near, exact: &Float) -> (f64, f64) {
        let error = (Float::with_val(1400, near.high) + near.low - exact).abs();
        let ulp = Float::with_val(BITS, exact.clone().abs()) * U;
        ((error / &ulp).to_f64(), (Float::with_val(BITS, near.radius + SLACK) / ulp).to_f64())
    }

    /// The worst of these arguments: the errors of `expm1` and of `log(1 - exp)`, and the largest radius of the latter.
    fn worst(arguments: impl Iterator<Item = f64>) -> [f64; 3] {
        let mut worst = [0.0f64; 3];
        for x in arguments {
            let difference = Float::with_val(1400, x).exp_m1();
            let (error, proven) = errors(OfElement.expm1(x), &difference);
            assert!(error <= proven, "expm1({x:e}): {error} of {proven}");
            worst[0] = worst[0].max(error);
            let output = one(x);
            let (error, proven) = errors(output, &(-difference).ln());
            assert!(error <= proven && output.value() < 0.0, "{x:e}: {error} of {proven}");
            (worst[1], worst[2]) = (worst[1].max(error), worst[2].max(proven));
        }
        worst
    }

    fn of(op: Op, logit: f64, other: f64) -> Near {
        op.visit(Elements(&[Element { logit, other }]))[0]
    }

    fn one(x: f64) -> Near {
        of(Op::LOG1MEXP, x, 0.0)
    }

    fn assert_proven(worst: [f64; 3]) {
        assert!(worst[0] < 5.0 && worst[1] < 8.0 && worst[2] < 14.0, "{worst:?}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(100_000))]

        #[test]
        fn errors_are_below_the_proven_ones(size in prop_oneof![0.0..3.0f64, 0.0..500.0f64, (-149.0..9.0f64).prop_map(f64::exp2)]) {
            assert_proven(worst(std::iter::once(-size).filter(|x| *x != 0.0)));
        }
    }

    /// The ends of the reduction intervals of exp and of the logarithm, those of the series, and the ends of the range.
    #[test]
    fn errors_are_below_the_proven_ones_at_the_ends_of_intervals() {
        let ends = (0..=720).map(|k| (f64::from(k) + 0.5) * std::f64::consts::LN_2);
        let of_log = (0..=300).map(|k| -(-(SQRT_2 / 2.0) * 0.5f64.powi(k)).ln_1p());
        let others = [-SMALL, 1.0, 0.292_893, 1.227_947, 499.9, U, LEAST];
        let near = |x: f64| (-3i64..=3).map(move |step| -f64::from_bits((x.to_bits() as i64 + step).max(1) as u64));
        let arguments = ends.chain(of_log).chain(others).filter(|x| (LEAST..550.0).contains(x));
        assert_proven(worst(arguments.flat_map(near)));
    }

    /// A stride over all arguments of f32: the numbers between are as the ones tried.
    #[test]
    fn errors_are_below_the_proven_ones_on_arguments_of_f32() {
        let last = 500f32.to_bits();
        let found = worst((1..=last).step_by(20_011).map(|bits| f64::from(-f32::from_bits(bits))));
        println!("worst errors of expm1 and of the output, and largest radius, in units of 2^-53: {found:?}");
        assert!(found[1] > 1.0);
        assert_proven(found);
    }

    #[test]
    fn what_no_number_is_due_of() {
        assert_eq!((one(f64::NEG_INFINITY), one(0.0), one(-0.0)), {
            let infinite = Near::exact(f64::NEG_INFINITY);
            (Near::ZERO, infinite, infinite)
        });
        assert!([f64::NAN, 5e-324, f64::INFINITY].into_iter().all(|x| one(x).high.is_nan()));
        // Below every number, but not 0.
        let far = one(-1e30);
        assert!(far.value() < 0.0 && far.value() > -SLACK && far.radius > 0.0, "{far:?}");
    }

    /// What an op's output has beside its base, exactly: the base, and the rest to many bits. `g` is what the op takes besides.
    fn base_and_rest(op: Op, z: f64, g: f64) -> (f64, Float) {
        let weight = (-Float::with_val(1400, z).abs()).exp();
        let total = Float::with_val(1400, &weight + 1u32);
        // tanh(z / 2), and the sigmoid of -|z|.
        let (half, tail) =
            (-Float::with_val(1400, -z.abs()).exp_m1() / &total, Float::with_val(1400, &weight / &total));
        match op {
            Op::SIGMOID if z.abs() < 0.25 => (0.5, half / 2u32 * 1f64.copysign(z)),
            Op::SIGMOID if z > 0.0 => (1.0, -tail),
            Op::SIGMOID => (0.0, tail),
            Op::SIGMOID_VJP if z.abs() < 0.25 => (g / 4.0, -(half.clone() * half * (g / 4.0))),
            Op::SIGMOID_VJP => (0.0, tail / total * g),
            Op::LOG_SIGMOID_VJP if z.abs() < 0.25 => (g / 2.0, half * (g / -2.0) * 1f64.copysign(z)),
            Op::LOG_SIGMOID_VJP if z < 0.0 => (g, -(tail * g)),
            Op::LOG_SIGMOID_VJP => (0.0, tail * g),
            Op::SOFTPLUS => (z.max(0.0), weight.ln_1p()),
            Op::LOG_SIGMOID => (z.min(0.0), -weight.ln_1p()),
            op => panic!("{op}: write it here"),
        }
    }

    /// The ops whose output is a base and a rest, with what the rest is proven to err at most, in units of `U` of itself.
    const BESIDE: [(Op, f64); 5] = [
        (Op::SIGMOID, 16.5),
        (Op::SOFTPLUS, 12.5),
        (Op::LOG_SIGMOID, 12.5),
        (Op::SIGMOID_VJP, 33.5),
        (Op::LOG_SIGMOID_VJP, 16.5),
    ];

    /// The values of another row that arguments go through: ordinary ones, and the ends of the range of f32.
    const OTHERS: [f64; 7] = [1.0, -0.3, 7.5e-9, -1024.0, f32::MAX as f64, LEAST, 0.75];

    /// The worst error of a rest in units of `U` of itself, over these arguments on either side of 0; each within its radius, which is
    /// within what is proven, and the side of the base certain.
    fn worst_rest(op: Op, proven: f64, arguments: impl Iterator<Item = f64>) -> f64 {
        let mut worst = 0.0f64;
        for (z, &g) in arguments.flat_map(|z| [z, -z]).zip(OTHERS.iter().cycle()) {
            let near = of(op, z, g);
            let (base, rest) = base_and_rest(op, z, g);
            let (own, sign) = if base == 0.0 { (near.value(), 0.0) } else { (near.low, base) };
            assert!(sign == 0.0 || near.high == base, "{op}({z:e}): {near:?}");
            let error = Float::with_val(1400, own - &rest).abs();
            assert!(error <= near.radius + SLACK, "{op}({z:e}): {error} of {near:?}");
            let size = rest.to_f64();
            if size.abs() > 1e-200 {
                assert!(near.radius <= proven * U * size.abs(), "{op}({z:e}): {near:?}");
                worst = worst.max((error / U).to_f64() / size.abs());
            }
            // Of products that underflow not even the sign is left.
            if op.others().is_empty() || size.abs() > TINY {
                assert!(own.signum() == size.signum() || size == 0.0, "{op}({z:e}): {near:?}");
                assert!(own.abs() > near.radius, "{op}({z:e}): on which side of {base} is not known: {near:?}");
            }
        }
        worst
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(30_000))]

        #[test]
        fn rests_are_within_their_errors(
            z in prop_oneof![0.0..1.0f64, 0.0..45.0f64, 0.0..800.0f64, (-149.0..128.0f64).prop_map(f64::exp2)]
        ) {
            for (op, proven) in BESIDE {
                worst_rest(op, proven, std::iter::once(z).filter(|z| *z != 0.0));
            }
        }
    }

    /// The ends of the reduction intervals of exp, of the logarithm of `1 + w` and of the series, of the forms of the sigmoid, and of the
    /// range.
    #[test]
    fn rests_are_within_their_errors_at_the_ends_of_intervals() {
        let ends = (0..=1020).map(|k| (f64::from(k) + 0.5) * std::f64::consts::LN_2);
        // log1p(w) is a series up to sqrt(2) - 1.
        let others = [-SMALL, 0.25, (SQRT_2 - 1.0).ln().abs(), REACH, LEAST, U, 3.4e38, 1.0, 512.0, 1024.0];
        let near = |x: f64| (-3i64..=3).map(move |step| f64::from_bits((x.to_bits() as i64 + step) as u64));
        for (op, proven) in BESIDE {
            let worst = worst_rest(op, proven, ends.clone().chain(others).flat_map(near));
            assert!(worst > 0.5 && worst < proven / 2.0, "{op}: {worst}");
        }
    }

    /// A stride over all arguments of f32: the numbers between are as the ones tried.
    #[test]
    fn rests_are_within_their_errors_on_arguments_of_f32() {
        let last = f32::MAX.to_bits();
        for (op, proven) in BESIDE {
            let arguments = (1..=last).step_by(100_003).map(|bits| f64::from(f32::from_bits(bits)));
            let worst = worst_rest(op, proven, arguments);
            println!("{op}: worst error {worst:.2} U of the rest, proven {proven}");
            assert!(worst > 0.5 && worst < proven, "{op}: {worst}");
        }
    }

    /// A line and a rest, or what is left of a label and a rest: the whole within its radius, which is that of the rest, and 2 U of what is
    /// lost in its sum with the second part of an exact base.
    #[test]
    fn what_is_beside_a_label_is_within_its_radius() {
        const LABELS: [f64; 9] =
            [0.0, 1.0, 0.5, 0.25, 0.1f32 as f64, 1.0 - 0.5 * f32::EPSILON as f64, LEAST, 0.999f32 as f64, 0.75];
        let last = f32::MAX.to_bits();
        let logits = (1..last).step_by(200_003).map(|bits| f64::from(f32::from_bits(bits)));
        let cases = logits.flat_map(|z| [z, -z]).flat_map(|z| LABELS.map(|label| (z, label)));
        for (z, label) in cases {
            let wide = |x: f64| Float::with_val(1400, x);
            let weight = wide(-z.abs()).exp();
            let line = wide(z.abs()) * if z > 0.0 { wide(1.0) - label } else { wide(label) };
            let (base, rest) = base_and_rest(Op::SIGMOID, z, 0.0);
            for (op, line, rest) in
                [(Op::BCE_WITH_LOGITS, line, weight.ln_1p()), (Op::BCE_WITH_LOGITS_GRAD, wide(base) - label, rest)]
            {
                let near = of(op, z, label);
                let error = (wide(near.high) + near.low - &line - &rest).abs();
                assert!(error <= near.radius + SLACK, "{op} {z:e} {label}: {error} of {near:?}");
                let size = rest.to_f64().abs();
                let proven = size * (18.5 * U) + line.to_f64().abs() * (3.0 * U * U) + SLACK;
                assert!(near.radius <= proven, "{op} {z:e} {label}: {near:?}");
            }
        }
    }

    /// The logarithms of a sum and of a difference beside the larger logit. The difference of two numbers of 24 bits may have a rest.
    #[test]
    fn what_is_beside_the_larger_logit_is_within_its_radius() {
        const OTHERS: [f64; 8] = [0.0, LEAST, -LEAST, 1.25e-20, -7.5e-9, 3.25, -1024.0, f32::MAX as f64];
        let last = f32::MAX.to_bits();
        for (op, proven) in [(Op::LOGADDEXP, 12.5), (Op::LOGSUBEXP, 15.5)] {
            let (mut worst, mut with_rest) = (0.0f64, 0);
            let logits = (1..last).step_by(100_003).map(|bits| f64::from(f32::from_bits(bits)));
            let beside = |y: f64| [-2, -1, 1, 2].map(|step| (y, Dtype::F32.format().step(y, step)));
            let pairs = logits.flat_map(|z| [z, -z]).flat_map(|z| OTHERS.map(|y| (z, y)));
            for (a, b) in pairs.chain(OTHERS[..7].iter().flat_map(|&y| beside(y))).filter(|(a, b)| a != b) {
                let (x, y) = if a < b { (b, a) } else { (a, b) };
                let (high, low) = two_sum(y, -x);
                with_rest += usize::from(low != 0.0 && high > -50.0);
                let difference = Float::with_val(1400, y) - x;
                let rest = match op {
                    Op::LOGADDEXP => difference.exp().ln_1p(),
                    _ if high > -1.0 => (-difference.exp_m1()).ln(),
                    _ => (-difference.exp()).ln_1p(),
                };
                let near = of(op, x, y);
                assert_eq!(near.high, x, "{op}({x:e}, {y:e}): {near:?}");
                let error = Float::with_val(1400, near.low - &rest).abs();
                assert!(error <= near.radius + SLACK, "{op}({x:e}, {y:e}): {error} of {near:?}");
                let size = rest.to_f64().abs();
                if size > 1e-200 {
                    assert!(near.radius <= proven * U * size, "{op}({x:e}, {y:e}): {near:?}");
                    worst = worst.max((error / U).to_f64() / size);
                }
            }
            println!(
                "{op}: worst error {worst:.2} U of the rest, proven {proven}; {with_rest} differences with a rest"
            );
            assert!(worst > 0.5 && worst < proven && with_rest > 1_000, "{op}: {worst}, {with_rest}");
        }
    }

    /// What needs no exponential is exact, and infinite arguments have their values.
    #[test]
    fn ends_are_exact() {
        let of = |op: Op| [0.0, -0.0, f64::INFINITY, f64::NEG_INFINITY, f64::NAN].map(|z| of(op, z, 0.0));
        let values = |op: Op| of(op).iter().map(|near| (near.value(), near.radius)).collect::<Vec<(f64, f64)>>();
        const INFINITY: f64 = f64::INFINITY;
        assert_eq!(values(Op::SIGMOID)[..4], [(0.5, 0.0), (0.5, 0.0), (1.0, 0.0), (0.0, 0.0)]);
        assert_eq!(values(Op::SOFTPLUS)[2..4], [(INFINITY, 0.0), (0.0, 0.0)]);
        assert_eq!(values(Op::LOG_SIGMOID)[2..4], [(0.0, 0.0), (-INFINITY, 0.0)]);
        assert!(BESIDE.iter().all(|(op, _)| of(*op)[4].high.is_nan()));
    }

    /// The functions where no op uses them.
    #[test]
    fn the_functions_are_whole() {
        let of = |x: f64| Near::exact(x);
        assert_eq!((OfElement.log(of(1.0)).high, OfElement.log1p(of(-1.0)).high), (0.0, f64::NEG_INFINITY));
        assert_eq!(OfElement.expm1(0.0), Near::ZERO);
        for x in [0.75, 0.999, 1.0 + U, 1.3, 1.5, 1e9] {
            let exact = Float::with_val(BITS, x).ln();
            if x != 1.0 {
                let (error, proven) = errors(OfElement.log(of(x)), &exact);
                assert!(error < proven && proven < 11.0, "{x}");
            }
            let (error, proven) = errors(OfElement.log1p(of(x)), &Float::with_val(BITS, x).ln_1p());
            assert!(error < proven && proven < 11.0, "{x}");
        }
        // An argument of which nothing is known has a logarithm of which nothing is known.
        for high in [1e-9, 0.0, -1e-9] {
            let (argument, unknown) =
                (Near { high, low: 0.0, radius: 1.0 }, Near { high: 0.0, low: 0.0, radius: f64::INFINITY });
            assert_eq!((OfElement.log(argument), OfElement.log1p(argument - of(1.0))), (unknown, unknown), "{high}");
        }
        let case = Case::new(Op::LOG1MEXP, Dtype::F32, vec![-1.0, -700.0], Vec::new()).unwrap();
        let near = crate::oracle::NearCase::of_elements(&case);
        assert_eq!((near.weights().len(), near.outputs.len()), (2, 2));
    }
}
