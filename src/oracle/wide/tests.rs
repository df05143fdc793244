//! Tests of wide numbers: every operation and function against MPFR.

use super::*;
use crate::number::Float;
use proptest::prelude::*;

const BITS: u32 = 6000;

fn centre(x: Wide) -> Float {
    (Float::with_val(BITS, x.part.high) + x.part.low) << (x.window * WINDOW)
}

fn radius(x: Wide) -> Float {
    Float::with_val(64, x.part.radius) << (x.window * WINDOW)
}

fn holds(x: Wide, exact: &Float) -> bool {
    x.is_finite() && Float::with_val(BITS, exact - centre(x)).abs() <= radius(x)
}

/// How many bits of a number are known.
fn known(x: Wide) -> f64 {
    (Float::with_val(64, centre(x).abs()) / radius(x)).to_f64().log2()
}

/// A number of any size that is not its centre, and that number.
fn wide() -> impl Strategy<Value = (Wide, Float)> {
    let exponent = prop_oneof![-2100i32..2100, -60i32..60, -520i32..-500, 250i32..262];
    (exponent, any::<i64>(), any::<i64>(), -1.0..1.0f64, any::<bool>()).prop_map(|(e, high, low, place, is_wide)| {
        let (high, low) = two_sum(high as f64 * 2f64.powi(-63), low as f64 * 2f64.powi(-117));
        let (high, low) = if high == 0.0 { (1.0, 0.0) } else { (high, low) };
        let radius = if is_wide { high.abs() * 2f64.powi(-90) } else { 0.0 };
        let (window, rest) = (e.div_euclid(WINDOW), e.rem_euclid(WINDOW));
        let moved = |x: f64| x * 2f64.powi(rest);
        let x = Wide::of(Ball { high: moved(high), low: moved(low), radius: moved(radius) }, window);
        let exact = centre(x) + Float::with_val(BITS, self::radius(x)) * place;
        (x, exact)
    })
}

/// Arguments of functions, of every size up to this one, and of either sign.
fn argument(most: f64) -> impl Strategy<Value = (Wide, Float)> {
    let largest = most.log2();
    let size =
        prop_oneof![-2000.0..largest, -280.0..largest, -20.0..largest, (0.0..1.0f64).prop_map(move |x| largest * x)];
    (size, -1.0..1.0f64, any::<bool>()).prop_map(|(size, low, is_negative)| {
        let (whole, part) = (size.floor(), size - size.floor());
        let (high, low) = two_sum(part.exp2(), low * 2f64.powi(-54));
        let sign = if is_negative { -1.0 } else { 1.0 };
        let exponent = whole as i32;
        let moved = |x: f64| sign * x * 2f64.powi(exponent.rem_euclid(WINDOW));
        let x = Wide::of(Ball { high: moved(high), low: moved(low), radius: 0.0 }, exponent.div_euclid(WINDOW));
        (x, centre(x))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    /// Inclusion: the exact result of numbers inside lies inside the result, which is no wider than it must be.
    #[test]
    fn every_operation_encloses((a, x) in wide(), (b, y) in wide()) {
        let sum = a + b;
        prop_assert!(holds(sum, &Float::with_val(BITS, &x + &y)), "{a:?} + {b:?} = {sum:?}");
        prop_assert!(holds(a - b, &Float::with_val(BITS, &x - &y)), "{a:?} - {b:?}");
        prop_assert!(holds(a * b, &Float::with_val(BITS, &x * &y)), "{a:?} * {b:?}");
        prop_assert!(holds(a / b, &Float::with_val(BITS, &x / &y)), "{a:?} / {b:?}");
        prop_assert!(known(a * b) > 85.0 && known(a / b) > 85.0);
        let (p, q) = (a.part.high, b.part.high);
        let product = Wide::product(p, q);
        prop_assert!(product.part.radius == 0.0 && centre(product) == Float::with_val(BITS, p) * q);
        let difference = Wide::difference(p, q);
        prop_assert!(difference.part.radius == 0.0 && centre(difference) == Float::with_val(BITS, p) - q);
        prop_assert!(holds(Wide::quotient(p, q), &(Float::with_val(BITS, p) / q)));
    }

    /// What the screen is told is the number times a power of two, and far from the ends of the range of an f64.
    #[test]
    fn what_is_told_encloses((a, x) in wide()) {
        let (near, shift) = a.told();
        let exact = Float::with_val(BITS, &x << shift);
        let error = Float::with_val(BITS, &exact - near.high) - near.low;
        prop_assert!(error.abs() <= near.radius, "{a:?} {near:?} {shift}");
        let size = exact.abs().to_f64();
        let is_known = near.radius < size * 1e-24 || size < 1e-160;
        prop_assert!((is_known && size < 1e290) || x.clone().abs() > Float::with_val(64, 2) << 1500, "{a:?} {near:?} {shift}");
    }

    /// A rest beside a number, or beside a pair, keeps its sign however small it is.
    #[test]
    fn a_rest_keeps_its_side((a, x) in wide(), base in prop::num::f64::NORMAL, low in -1.0..1.0f64, is_pair in any::<bool>()) {
        let own = Wide::exact(base);
        let low = if is_pair { low * own.part.high * 2f64.powi(-54) } else { 0.0 };
        let (high, low) = two_sum(own.part.high, low);
        let own = Wide::of(Ball { high, low, radius: 0.0 }, own.window);
        let beside = Wide::beside(own, a, 0.0);
        let sum = Float::with_val(BITS, &x + centre(own));
        let told = centre(beside) - centre(own);
        let is_far = Float::with_val(64, x.abs_ref()) < Float::with_val(64, centre(own).abs()) >> 440;
        // Nearer than is told it may be, but on the same side.
        prop_assert!(holds(beside, &sum) || (is_far && !is_pair && told.is_sign_negative() == x.is_sign_negative()));
        let is_beside = low == 0.0 && Float::with_val(64, x.abs_ref()) < Float::with_val(64, centre(own).abs()) >> 60;
        prop_assert!(!is_beside || (told != 0 && radius(beside) < Float::with_val(64, told.abs_ref())), "{own:?} {a:?} {beside:?}");
    }

    #[test]
    fn exponentials_enclose((a, x) in argument(2990.0), radius in prop_oneof![Just(0.0), -120.0..-12.0f64]) {
        let positive = Wide { part: Ball { high: a.part.high.abs(), low: a.part.low.copysign(a.part.low * a.part.high), radius: 0.0 }, window: a.window };
        let x = x.abs();
        prop_assert!(centre(positive) == x);
        let spread = if radius == 0.0 || a.window != 0 { 0.0 } else { radius.exp2() };
        let moved = Float::with_val(BITS, &x + spread * 0.999);
        let weight = Wide { part: positive.part.widened(spread), ..positive }.exp_of_minus();
        prop_assert!(holds(weight, &Float::with_val(BITS, (-moved.clone()).exp())), "{positive:?} {weight:?}");
        prop_assert!(spread > 0.0 || known(weight) > 90.0, "{positive:?} {weight:?}");
        // The other exponentials, of either sign.
        for sign in [1.0, -1.0] {
            let argument = positive * Wide::exact(sign);
            if sign > 0.0 && x > 100 {
                continue;
            }
            let exact = Float::with_val(BITS, &x * sign).exp_m1();
            let rise = argument.expm1();
            prop_assert!(holds(rise, &exact) && known(rise) > 80.0, "{argument:?} {rise:?}");
            if x < 100 {
                let less = Float::with_val(BITS, exact - Float::with_val(BITS, &x * sign));
                let told = argument.expm1_less_argument();
                prop_assert!(holds(told, &less), "{argument:?} {told:?}");
                prop_assert!(known(told) > 40.0, "{argument:?} {told:?}");
            }
        }
    }

    #[test]
    fn logarithms_enclose((a, x) in argument(1e60)) {
        let exact = Float::with_val(BITS, x.abs_ref()).ln();
        let positive = if x > 0 { a } else { -a };
        let logarithm = positive.ln();
        prop_assert!(holds(logarithm, &exact), "{positive:?} {logarithm:?}");
        prop_assert!(known(logarithm) > 80.0 || exact.abs() < 1e-9, "{positive:?} {logarithm:?}");
        for argument in [positive, -positive] {
            let exact = centre(argument);
            if exact <= -0.999 {
                continue;
            }
            let logarithm = exact.clone().ln_1p();
            let told = argument.ln_1p();
            prop_assert!(holds(told, &logarithm) && known(told) > 75.0, "{argument:?} {told:?}");
            let told = argument.less_ln_1p().unwrap();
            prop_assert!(holds(told, &(exact - logarithm)), "{argument:?} {told:?}");
        }
    }
}

/// Where the reduction of an exponential wraps, at the ends of its range, and beyond it.
#[test]
fn exponentials_enclose_at_the_ends_of_intervals() {
    let ends = (0..17).map(|m| (f64::from(m) + 0.5) * 512.0 * std::f64::consts::LN_2);
    let others = [FARTHEST, 2900.0, 2839.0, 700.0, 1e-77, f64::from_bits((1023 - 256) << 52)];
    for x in ends.chain(others).flat_map(|x| [x.next_down(), x, x.next_up()]).filter(|x| *x <= FARTHEST) {
        let weight = Wide::exact(x).exp_of_minus();
        assert!(holds(weight, &Float::with_val(BITS, -x).exp()) && known(weight) > 90.0, "{x:e} {weight:?}");
    }
    for x in [FARTHEST.next_up(), 1e4, 1e100, f64::MAX] {
        let weight = Wide::exact(x).exp_of_minus();
        assert!(weight.is_lost() && !weight.may_be_zero() && weight.sign() > 0.0, "{x:e} {weight:?}");
        assert!(x > 1e5 || centre(weight) > Float::with_val(BITS, -x).exp(), "{x:e} {weight:?}");
    }
    assert!(centre(FAR) > Float::with_val(BITS, 100.0 - FARTHEST).exp(), "of an argument that is not well known");
    assert!(Wide::exact(f64::INFINITY).exp_of_minus().is_zero() && Wide::exact(-1e5).exp_of_minus().is_unknown());
}

#[test]
fn ends_and_infinities() {
    let (infinity, one) = (Wide::exact(f64::INFINITY), Wide::exact(1.0));
    let infinite = |x: Wide| x.number();
    assert_eq!(infinite(infinity + one), Some(f64::INFINITY));
    assert_eq!(infinite(one - infinity), Some(f64::NEG_INFINITY));
    assert_eq!(infinite(infinity * -one), Some(f64::NEG_INFINITY));
    assert_eq!(infinite(-infinity / one), Some(f64::NEG_INFINITY));
    assert_eq!(infinite(Wide::difference(3.0, f64::NEG_INFINITY)), Some(f64::INFINITY));
    for unknown in
        [infinity - infinity, infinity * Wide::ZERO, one + Wide::UNKNOWN, Wide::UNKNOWN * one, one / infinity]
    {
        assert!(unknown.is_unknown() && unknown.told().0.radius == f64::INFINITY, "{unknown:?}");
    }
    assert_eq!((Wide::ZERO.ln().number(), (-one).ln_1p().number()), (Some(f64::NEG_INFINITY), Some(f64::NEG_INFINITY)));
    for x in [0.0, 5e-324, -f64::MAX, 1.0, 1e-200] {
        assert_eq!(Wide::exact(x).number(), Some(x));
        let ratio = (Wide::exact(x).magnitude() / Magnitude::from(x)).to_f64();
        assert!(ratio == if x == 0.0 { 0.0 } else { SAFETY }, "{x:e} {ratio}");
    }
    assert_eq!((Wide::exact(f64::MAX) * Wide::exact(2.0)).number(), None);
    assert!(Wide::exact(f64::MAX).told().1 < 0 && Wide::exact(5e-324).told().1 > 0 && one.told().1 == 0);
}
