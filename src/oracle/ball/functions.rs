//! Functions of balls in double-doubles, each with a proven error: `exp`, `exp(x) - 1`, `log(x)` and `log(1 + x)`. A hundred bits at some ten
//! times the cost of 53, and at a small part of the cost of big numbers. `U = 2^-53`; sums and products are those of the paper that the head
//! of `ball` names: `3 U^2` and `7 U^2` of the result. Every machine computes the same bits.
//!
//! **The exponential** of `x = high + low`, exactly, `|low| <= U |high|`, `|high| <= 700`, of either sign. With `c = ln 2 / 256 = C1 + C2 + C3`
//! but for `2^-132`, `n` the integer nearest to `high / c` or one beside it, `|n| < 2^18`: `n C1` has 18 + 35 bits and `n C2` 18 + 33, so both
//! are exact; so is `high - n C1` (of two numbers within a factor of two of each other, or `n = 0`); the difference of that and `n C2` keeps
//! its rest, at most `2^-62`; and `|n C3| < 2^-61`. So `r = x - n c` errs, where `n` is not 0, by [`reduction_error`]: two roundings of less
//! than `|low| + 2^-60` each, the rounding of `n C3`, `2^-114`, and what `C3` lacks, `2^-114`. Where `n` is 0, `r` is `x` exactly.
//!
//! `|r| < 2^-9.5`, and `q = exp(r) - 1 = r (1 + r (1/2 + r (1/6 + r (1/24 + r h))))`, `h = 1/5! + r/6! + ... + r^4/9!` in one `f64`; the rest of
//! the series is `2^-107` of `q`. `h`, below `2^-6.9`, and its product with `r` err by `5 U`: `2^-67` in what is added to 1/24, `2^-76.5` after
//! a product with `r`, `2^-86` after two, `2^-95.5` after three. The roundings of the pairs, at most `7 U^2` and `3 U^2` of numbers below 2,
//! are below `2^-101` in all. So `q` errs by less than `2^-95` of itself: [`SERIES_ERROR`]. What is in the inner bracket, about 1/2, errs by
//! `2^-86`, and so `exp(r) - 1 - r`, which is `r^2` times that, by less than `2^-84` of itself: [`SECOND_ERROR`].
//!
//! With `n = 256 k + i`, `0 <= i < 256`, `exp(x) = 2^k T_i (1 + q)`, `T_i = 2^(i / 256)`, a pair that errs by `2^-105` of itself. `T_i q` has `2^-95`
//! and `2^-103` of itself, which is below `2^-9.4` of `T_i`, and the sum `3 U^2`: with what `T_i` errs below `2^-102`, and the error of `r`
//! besides ([`EXP_ERROR`]). For `exp(x) - 1` the product is added to `T_i 2^k - 1`, so that nothing cancels but what is counted: where
//! `n = 0` it is `q`.
//!
//! **The logarithm** of `x`: `y = y_0 + log(x exp(-y_0))` with `y_0` the logarithm in plain numbers. `m = x exp(-y_0) - 1` is below
//! `2^-39` in size, and `log(1 + m) = m - m^2 / 2` but for `|m|^3`. For `log(1 + x)` it is `m = (exp(-y_0) - 1) + x exp(-y_0)`, of two terms that
//! keep their precision where `x` is small. What balls say of `m` holds for `y` so.

use super::{Ball, Pair, SAFETY, UNDERFLOW, product_of, sum_of};
use crate::dtype::two_sum;
use crate::oracle::exp::power_below_one;
use crate::oracle::near;
use std::f64::consts::{FRAC_1_SQRT_2, SQRT_2};
use std::sync::LazyLock;

/// The functions are told of arguments up to this size.
pub(in crate::oracle) const REACH: f64 = 700.0;

/// `ln 2 / 256`, in parts of 35, 33 and 53 bits, and its reciprocal.
const C1: f64 = f64::from_bits(0x3f66_2e42_fefc_0000);
const C2: f64 = f64::from_bits(0xbd2c_610c_a870_0000);
const C3: f64 = f64::from_bits(0x3afe_3b39_803f_2f6b);
pub(in crate::oracle) const STEPS_PER_NAT: f64 = 256.0 * std::f64::consts::LOG2_E;

/// The three parts together: the step of the reduction.
pub(in crate::oracle) const STEP: [f64; 3] = [C1, C2, C3];

/// Values of `i`.
const STEPS: usize = 256;

/// Relative errors; see the head of the file.
const SERIES_ERROR: f64 = 1.0 / (1u128 << 95) as f64;
const SECOND_ERROR: f64 = 1.0 / (1u128 << 84) as f64;
const EXP_ERROR: f64 = 1.0 / (1u128 << 102) as f64;

/// 1/6 and 1/24.
const SIXTH: Pair = (1.0 / 6.0, f64::from_bits(0x3c65_5555_5555_5555));
const TWENTY_FOURTH: Pair = (1.0 / 24.0, f64::from_bits(0x3c45_5555_5555_5555));

/// `2^(i / 256)`, `0 <= i < 256`.
static POWERS: LazyLock<[Pair; STEPS]> = LazyLock::new(|| {
    /// Twice a unit of the significand of a power below 1, which has 128 bits.
    const UNIT: f64 = 1.0 / (1u128 << 127) as f64;
    std::array::from_fn(|i| {
        let significand = power_below_one(STEPS - i);
        // What is below the leading 53 bits is rounded to as many again.
        let high = significand >> 75 << 75;
        two_sum(high as f64 * UNIT, (significand - high) as f64 * UNIT)
    })
});

/// What an argument is after its reduction: `2^k T_i exp(r)`.
struct Reduced {
    /// `2^k T_i`.
    power: Pair,
    /// `exp(r) - 1`.
    rest: Pair,
    /// What `r` errs, absolutely.
    error: f64,
    /// Whether `k` and `i` are 0.
    is_small: bool,
}

/// What `r` errs by where `n` is not 0; see the head of the file.
#[inline]
fn reduction_error(low: f64) -> f64 {
    const LEAST: f64 = 1.0 / (1u64 << 60) as f64;
    (low.abs() + LEAST) * (1.25 * f64::EPSILON)
}

/// `(exp(r) - 1 - r) / r^2`, within `2^-86`; see the head of the file.
#[inline]
fn second(r: Pair) -> Pair {
    let x = r.0;
    let h = 1.0 / 120.0 + x * (1.0 / 720.0 + x * (1.0 / 5040.0 + x * (1.0 / 40320.0 + x * (1.0 / 362_880.0))));
    let (high, rest) = two_sum(TWENTY_FOURTH.0, x * h);
    let sum = sum_of(SIXTH, product_of(r, (high, rest + TWENTY_FOURTH.1)));
    sum_of((0.5, 0.0), product_of(r, sum))
}

/// `exp(r) - 1`; see the head of the file.
#[inline]
fn series(r: Pair) -> Pair {
    product_of(r, sum_of((1.0, 0.0), product_of(r, second(r))))
}

/// Reduces `high + low`.
#[inline]
fn reduced(high: f64, low: f64) -> Reduced {
    /// Adding it rounds to an integer, which is then in the low bits.
    const ROUNDING: f64 = 6_755_399_441_055_744.0;
    let shifted = high * STEPS_PER_NAT + ROUNDING;
    let n = shifted - ROUNDING;
    let (sum, rest) = two_sum(high - n * C1, -n * C2);
    let r = two_sum(sum, rest + (low - n * C3));
    let is_small = n == 0.0;
    let step = shifted.to_bits() as i32;
    let (k, i) = (step.div_euclid(STEPS as i32), step.rem_euclid(STEPS as i32));
    let scale = f64::from_bits(((1023 + k) as u64) << 52);
    let error = if is_small { 0.0 } else { reduction_error(low) };
    let power = POWERS[i as usize];
    Reduced { power: (power.0 * scale, power.1 * scale), rest: series(r), error, is_small }
}

impl Ball {
    /// `exp(high + low)`; see the head of the file.
    #[inline]
    pub(in crate::oracle) fn exp(high: f64, low: f64) -> Self {
        if high == 0.0 {
            return Ball::exact(1.0);
        }
        let Reduced { power, rest, error, .. } = reduced(high, low);
        let (high, low) = sum_of(power, product_of(power, rest));
        Self { high, low, radius: (high * (EXP_ERROR + 1.01 * error) + UNDERFLOW) * SAFETY }
    }

    /// `exp(high + low) - 1`, likewise.
    #[inline]
    pub(in crate::oracle) fn expm1(high: f64, low: f64) -> Self {
        if high == 0.0 {
            return Ball::ZERO;
        }
        let Reduced { power, rest, error, is_small } = reduced(high, low);
        if is_small {
            let (high, low) = rest;
            return Self { high, low, radius: (high.abs() * SERIES_ERROR + UNDERFLOW) * SAFETY };
        }
        let product = product_of(power, rest);
        let (high, low) = sum_of(sum_of((-1.0, 0.0), power), product);
        let of_power = (power.0 + 1.0) * EXP_ERROR + power.0 * (1.01 * error);
        Self { high, low, radius: (of_power + product.0.abs() * (1.01 * SERIES_ERROR) + UNDERFLOW) * SAFETY }
    }

    /// `exp(high + low) - 1 - (high + low)`, likewise: where the argument is small, to the precision of what is left.
    pub(in crate::oracle) fn expm1_less_argument(high: f64, low: f64) -> Self {
        /// Up to here the series is that of the head of the file.
        const SMALL: f64 = 1.0 / 1024.0;
        if high.abs() > SMALL {
            return Ball::expm1(high, low) - Ball { high, low, radius: 0.0 };
        }
        let r = (high, low);
        let (high, low) = product_of(product_of(r, r), second(r));
        Self { high, low, radius: (high.abs() * SECOND_ERROR + UNDERFLOW) * SAFETY }
    }

    /// `x - log(1 + x)` of a number above -1, likewise; none as [`Ball::ln_1p`].
    pub(in crate::oracle) fn less_ln_1p(self) -> Option<Self> {
        /// Up to here fifteen terms of the series leave less than `2^-105` of the first.
        const SMALL: f64 = 1.0 / 128.0;
        const TERMS: u32 = 16;
        if self.bound() > SMALL {
            return self.ln_1p().map(|logarithm| self - logarithm);
        }
        // x^2 (1/2 - x/3 + x^2/4 - ...).
        let term = |k: u32| Ball::exact(1.0) / Ball::exact(f64::from(k));
        let sum = (2..=TERMS).rev().fold(Ball::ZERO, |sum, k| term(k) - self * sum);
        let (product, rest) = (self * self * sum, self.bound().powi(TERMS as i32 + 1));
        Some(Ball { radius: (product.radius + rest) * SAFETY, ..product })
    }

    /// `log(x)` of a positive number; none where it is not known to be one, or its logarithm is beyond the reach of `exp`.
    pub(in crate::oracle) fn ln(self) -> Option<Self> {
        if self.high > FRAC_1_SQRT_2 && self.high < SQRT_2 {
            return (self + Ball::exact(-1.0)).ln_1p();
        }
        if !(self.high >= f64::MIN_POSITIVE && self.high < f64::INFINITY) {
            return None;
        }
        let y = near::ln(self.high, self.low);
        (y.abs() <= REACH).then(|| self * Ball::exp(-y, 0.0) + Ball::exact(-1.0)).and_then(|m| beside(y, m))
    }

    /// `log(1 + x)` of a number above -1; none likewise.
    pub(in crate::oracle) fn ln_1p(self) -> Option<Self> {
        /// Below it, `exp(-y)` would make more of what is not known of the number.
        const LEAST: f64 = -0.3;
        if !(self.high > -1.0 && self.high < f64::INFINITY) {
            return None;
        }
        if self.is_zero() {
            return Some(self);
        }
        if self.high < LEAST {
            return (self + Ball::exact(1.0)).ln();
        }
        let y = near::ln_1p(self.high, self.low);
        (y.abs() <= REACH).then(|| Ball::expm1(-y, 0.0) + self * Ball::exp(-y, 0.0)).and_then(|m| beside(y, m))
    }
}

/// `y + log(1 + m)` of a small `m`, if it is.
#[inline]
fn beside(y: f64, m: Ball) -> Option<Ball> {
    /// Numbers that are known well have a smaller one.
    const MOST: f64 = 1.0 / (1u64 << 20) as f64;
    let bound = m.bound();
    let sum = || {
        let square = m.high * m.high * 0.5;
        // The square of the ball less that of its leading part, halved; the roundings; and what the series leaves out.
        let radius = bound * (m.low.abs() + m.radius) + square * (4.0 * f64::EPSILON) + bound * bound * bound;
        let square = Ball { high: -square, low: 0.0, radius: (radius + UNDERFLOW) * SAFETY };
        Ball::exact(y) + m + square
    };
    (bound < MOST).then(sum)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::number::Float;
    use proptest::prelude::*;

    const BITS: u32 = 2400;

    /// The error of a ball over its radius, and the radius over the number, as a power of two.
    fn told(ball: Ball, exact: &Float) -> (f64, f64) {
        let error = (Float::with_val(BITS, ball.high) + ball.low - exact).abs();
        let width = (Float::with_val(64, ball.radius) / exact.clone().abs()).to_f64().log2();
        ((error / ball.radius).to_f64(), width)
    }

    /// All four functions at one argument: how near the errors come to the radii, and the widest radius of each.
    #[derive(Debug, Default)]
    struct Seen {
        exp: (f64, f64),
        expm1: (f64, f64),
        ln: (f64, f64),
        ln_1p: (f64, f64),
        exp_less: (f64, f64),
        log_less: (f64, f64),
    }

    impl Seen {
        fn new() -> Self {
            let none = (0.0, f64::NEG_INFINITY);
            Self { exp: none, expm1: none, ln: none, ln_1p: none, exp_less: none, log_less: none }
        }

        /// Widths are of no account where the second part of a number is lost to underflow.
        fn see(place: &mut (f64, f64), ball: Ball, is_small: bool, exact: &Float, text: &str) {
            let (error, width) = told(ball, exact);
            assert!(error < 1.0, "{text}: {error} of the radius");
            place.0 = place.0.max(error);
            place.1 = if is_small { place.1 } else { place.1.max(width) };
        }

        /// What the two differences leave, where that is not below the digits of the exact one.
        fn less_at(&mut self, high: f64, low: f64) {
            let x = Float::with_val(BITS, high) + low;
            let text = format!("{high:e} + {low:e} less its function");
            if (1e-40..1e40).contains(&high.abs()) {
                let exp = Float::with_val(BITS, x.exp_ref());
                let less = Float::with_val(BITS, exp - 1u32) - &x;
                Self::see(&mut self.exp_less, Ball::expm1_less_argument(high, low), false, &less, &text);
                let ball = Ball { high, low, radius: 0.0 };
                let mut logarithm = x.clone();
                if let Some(less) = ball.less_ln_1p() {
                    logarithm.ln_1p_mut();
                    Self::see(&mut self.log_less, less, false, &(x - logarithm), &text);
                }
            }
        }

        fn at(&mut self, high: f64, low: f64) {
            let x = Float::with_val(BITS, high) + low;
            let text = format!("{high:e} + {low:e}");
            let exp = |x: &Float| Float::with_val(400, x.exp_ref());
            let is_small = high < -600.0 || high.abs() < 1e-250;
            Self::see(&mut self.exp, Ball::exp(high, low), is_small, &exp(&x), &text);
            let mut expm1 = x.clone();
            expm1.set_prec(400.max(x.prec()));
            expm1.exp_m1_mut();
            Self::see(&mut self.expm1, Ball::expm1(high, low), is_small, &expm1, &text);
        }

        fn log_at(&mut self, high: f64, low: f64) {
            let x = Float::with_val(BITS, high) + low;
            let text = format!("log of {high:e} + {low:e}");
            let ball = Ball { high, low, radius: 0.0 };
            let is_small = high.abs().log2().abs() > 800.0;
            if high > 0.0 && x != 1 {
                Self::see(&mut self.ln, ball.ln().unwrap(), is_small, &Float::with_val(400, x.ln_ref()), &text);
            }
            if high > -1.0 && high != 0.0 {
                let mut exact = x.clone();
                exact.ln_1p_mut();
                Self::see(&mut self.ln_1p, ball.ln_1p().unwrap(), is_small, &exact, &text);
            }
        }
    }

    /// On either side of every multiple of `c`, and of halves of them, where the reduction wraps; the ends of the ranges; all binades.
    #[test]
    fn errors_are_below_the_proven_ones_at_the_ends_of_intervals() {
        let mut seen = Seen::new();
        let c = std::f64::consts::LN_2 / 512.0;
        let steps = (1..1500).chain((1500..517_000).step_by(1979)).map(|n| f64::from(n) * c);
        let binades = (-200..9).map(|e| f64::from(e).exp2()).chain([REACH, 1e-300, 699.99]);
        for x in steps.chain(binades) {
            for x in [x, x.next_up().min(REACH), x.next_down()] {
                let half = (x.next_up() - x) * 0.49;
                for low in [0.0, half, -half * 0.5, half * 1e-9] {
                    seen.at(x, low);
                    seen.at(-x, low);
                }
            }
        }
        println!("{seen:?}");
        // The errors of the reduction are counted for the largest arguments; and no radius is idle.
        assert!(seen.exp.1 < -95.0 && seen.expm1.1 < -91.0, "{seen:?}");
        assert!(seen.exp.0 > 0.05 && seen.expm1.0 > 0.05, "{seen:?}");
    }

    #[test]
    fn errors_of_logarithms_are_below_the_proven_ones() {
        let mut seen = Seen::new();
        let binades = (-1000..1000).map(|e| f64::from(e).exp2());
        let near_one = (1..300).map(|k| 1.0 + f64::from(k - 150) / 151.0);
        let tiny = (1..80).map(|k| f64::from(-k).exp2());
        let others = [FRAC_1_SQRT_2, SQRT_2, SQRT_2 - 1.0, FRAC_1_SQRT_2 - 1.0, 1e-9, 3.0, 1e6];
        for x in binades.chain(near_one).chain(tiny).chain(others) {
            for x in [x, x.next_up(), x.next_down(), -x, 1.0 + x, 1.0 - x] {
                let half = (x.abs().next_up() - x.abs()) * 0.49;
                for low in [0.0, half, -half * 0.5] {
                    seen.log_at(x, low);
                }
            }
        }
        println!("{seen:?}");
        assert!(seen.ln.1 < -90.0 && seen.ln_1p.1 < -90.0, "{seen:?}");
    }

    /// The precision of the differences is that of what is left.
    #[test]
    fn what_is_left_is_known_as_well() {
        let mut seen = Seen::new();
        let binades = (-130..8).flat_map(|e| [1.0, 1.3, 1.9].map(|x| x * f64::from(e).exp2()));
        for x in binades.chain([1.0 / 1024.0, 1.0 / 128.0, 39.9]) {
            for x in [x, x.next_up(), x.next_down()].into_iter().filter(|x| x.abs() < 100.0) {
                for low in [0.0, (x.next_up() - x) * 0.49] {
                    seen.less_at(x, low);
                    seen.less_at(-x, -low);
                }
            }
        }
        println!("{seen:?}");
        assert!(seen.exp_less.1 < -80.0 && seen.log_less.1 < -80.0, "{seen:?}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        #[test]
        fn errors_are_below_the_proven_ones(x in -REACH..REACH, e in -60i32..0, place in -0.49..0.49f64) {
            let mut seen = Seen::new();
            for x in [x, x * f64::from(e).exp2()] {
                let low = (x.abs().next_up() - x.abs()) * place;
                seen.at(x, low);
                seen.log_at(x, low);
            }
        }
    }

    #[test]
    fn what_is_beyond_the_reach_is_not_told() {
        let none = [f64::INFINITY, f64::NAN, -1.0, -2.0].map(|x| Ball::exact(x).ln_1p());
        assert!(none.iter().all(Option::is_none));
        let wide = Ball { high: 3.0, low: 0.0, radius: 1.0 };
        assert!([0.0, -1.0, 5e-324].iter().all(|x| Ball::exact(*x).ln().is_none()) && wide.ln().is_none());
        assert!(wide.ln_1p().is_none());
    }
}
