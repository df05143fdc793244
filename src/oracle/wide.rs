//! Double-doubles with any exponent: a [`Ball`] whose parts stand for themselves times a power of two, so that neither a number nor what is
//! not known of it is lost to underflow or overflow. For cases in f64 whose weights, cotangents or logits lie near the ends of its range.
//!
//! As in `magnitude`, an exponent is kept only for windows of 512 binades: an operation is that of balls on the parts, whose relative
//! errors are those of balls, and a look whether the result is still in the window. With parts in `[2^-256, 2^256)` no operation comes near
//! the ends of an `f64`: what balls add for underflow, below `2^-1000`, is nothing beside `2^-256`.
//!
//! **Sums** of two numbers a window apart are those of balls, with the smaller brought into the window of the larger; of numbers further
//! apart the smaller, below `2^-766` of the window, is in the radius ([`REST`]).
//!
//! **The exponential** of `-x`: with `m` the integer nearest to `x / (512 ln 2)`, `exp(-x) = 2^(-512 m) exp(r)`, `r = m 512 ln 2 - x`, which is
//! below 178 in size. `512 ln 2` is `2^17` times the step of `ball::functions`, in three parts: `m C1` has 35 bits and those of `m`, and is
//! exact; so is its difference from `x`; `m C3` is rounded by `2^-112` and lacks `2^-111` ([`PRODUCT_ERROR`], for `m < 16`). Sums are of balls.
//! Beyond [`FARTHEST`] a weight is below `2^-4096`: what any number of f64 makes of it is far below the least one, and all that is said of it is
//! that bound, and its sign ([`of_sign`]).
//!
//! **Functions of small arguments**, below `2^-256`: `exp(x) - 1`, `log(1 + x)` are `x`, and `exp(x) - 1 - x`, `x - log(1 + x)` are `x^2 / 2`,
//! each within `|x|` of itself ([`SMALL_ERROR`]).
//!
//! An infinity is one that is exact; what is not known has an infinite radius.

use super::ball::functions::{STEP, STEPS_PER_NAT};
use super::ball::{Ball, SAFETY, UNDERFLOW};
use super::double::Real;
use super::near::Near;
use crate::dtype::{Dtype, exponent, ldexp, two_sum};
use crate::magnitude::{BEYOND, DOWN, LEAST, Magnitude, UP, WINDOW};
use crate::op::tier::ElementTier;
use std::ops::{Add, Div, Mul, Neg, Sub};

/// A real number within `part.radius` of `part.high + part.low`, all times `2^(512 window)`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wide {
    part: Ball,
    window: i32,
}

/// More than a number two windows below.
const REST: f64 = f64::from_bits((1023 - 760) << 52);

/// Less than this part of a number is on a side of it, and no more is told of it: `2^-700` beside parts.
const BESIDE: f64 = f64::from_bits((1023 - 700) << 52);

/// Arguments of an exponential from here on are not told apart.
const FARTHEST: f64 = 3000.0;

/// `512 ln 2`, in parts as those of the step of `ball::functions`, of which it is [`STEPS`] times as much.
const STEPS: f64 = (1u32 << 17) as f64;
const C1: f64 = STEP[0] * STEPS;
const C2: f64 = STEP[1] * STEPS;
const C3: f64 = STEP[2] * STEPS;

/// See the head of the file.
const PRODUCT_ERROR: f64 = 1.0 / (1u128 << 108) as f64;
const SMALL_ERROR: f64 = f64::from_bits((1023 - 250) << 52);

/// The parts one window below. What a part loses there is in the radius.
fn down(part: Ball) -> Ball {
    let is_exact = [part.high, part.low, part.radius].iter().all(|x| x * DOWN * UP == *x);
    let lost = if is_exact { 0.0 } else { UNDERFLOW };
    Ball { high: part.high * DOWN, low: part.low * DOWN, radius: (part.radius * DOWN + lost) * SAFETY }
}

/// A number of this sign below a size, as a ball that keeps the sign through sums and products. The number may be nearer to 0 than the ball is:
/// what lies between is far below anything that is told.
fn of_sign(sign: f64, size: f64) -> Ball {
    /// More than all that roundings make of it.
    const LEFT: f64 = 1.0 - 1.0 / (1u32 << 30) as f64;
    Ball { high: size.copysign(sign), low: 0.0, radius: size * LEFT }
}

/// More than the weights that are not told apart.
const FAR: Wide = Wide { part: Ball { high: 1.0, low: 0.0, radius: 0.0 }, window: -(4096 / WINDOW) };

impl Wide {
    /// From parts that an operation on parts gave.
    #[inline]
    fn of(part: Ball, window: i32) -> Self {
        let is_within = (LEAST..BEYOND).contains(&part.high.abs()) && part.radius < BEYOND;
        if is_within { Self { part, window } } else { Self::into_window(part, window) }
    }

    #[cold]
    fn into_window(mut part: Ball, mut window: i32) -> Self {
        if !part.radius.is_finite() {
            return Self::UNKNOWN;
        }
        if !part.high.is_finite() {
            return Self { part: Ball::exact(part.high), window: 0 };
        }
        loop {
            let size = part.high.abs() + part.radius;
            if size == 0.0 {
                return Self::ZERO;
            } else if size < LEAST {
                part = Ball { high: part.high * UP, low: part.low * UP, radius: part.radius * UP };
                window -= 1;
            } else if size >= BEYOND {
                part = down(part);
                window += 1;
            } else {
                return Self { part, window };
            }
        }
    }

    /// Whether it is a number of which something is known, and no infinity.
    fn is_finite(self) -> bool {
        self.part.high.is_finite() && self.part.radius.is_finite()
    }

    /// Whether nothing is known of it.
    #[cfg(test)]
    fn is_unknown(self) -> bool {
        self.part.radius == f64::INFINITY
    }

    fn is_infinite(self) -> bool {
        self.part.high.is_infinite()
    }

    /// `log(x)`.
    fn ln(self) -> Self {
        if self.is_zero() {
            return Self::exact(f64::NEG_INFINITY);
        }
        let window = f64::from(self.window);
        let of_window = || {
            let part = Ball::exact(window * C1) + Ball::exact(window * C2);
            part + Ball::exact(window * C3).widened(PRODUCT_ERROR)
        };
        match self.part.ln() {
            Some(logarithm) if self.window == 0 => Self::of_ball(logarithm),
            Some(logarithm) if window.abs() < 16.0 => Self::of_ball(logarithm + of_window()),
            _ => Self::UNKNOWN,
        }
    }

    /// A small number but for less than its size times itself.
    fn beside_smaller(self) -> Self {
        Self { part: self.part.widened(self.part.bound() * SMALL_ERROR), ..self }
    }

    /// Half of the square of a small number, likewise.
    fn half_square(self) -> Self {
        (self * self * Self::exact(0.5)).beside_smaller()
    }

    /// `base + rest`, where the sign of the rest is that of `sign`, or, if that is 0, its own: beside the base where that is known exactly and
    /// the rest far below it.
    fn beside(base: Self, rest: Self, sign: f64) -> Self {
        if base.is_zero() || rest.is_zero() {
            return if base.is_zero() { rest } else { base };
        }
        let is_exact = base.part.radius == 0.0 && base.is_finite();
        if !is_exact || !rest.is_finite() || rest.window > base.window {
            return base + rest;
        }
        let mut part = rest.part;
        for _ in rest.window..base.window {
            part = if part.bound() < BESIDE { Ball { high: 0.0, low: 0.0, radius: BESIDE } } else { down(part) };
        }
        let Ball { high, low, .. } = base.part;
        // Beside the second part of a pair, it does not change the sign of that.
        let above = if low == 0.0 { high } else { low };
        if part.bound() > above.abs() * (f64::EPSILON / 4.0) {
            return base + rest;
        }
        if low != 0.0 {
            return Self { part: Ball { high, low, radius: part.bound() }, window: base.window };
        }
        let sign = if sign == 0.0 && !rest.may_be_zero() { rest.sign() } else { sign };
        let is_told = part.high.abs() > part.radius;
        let beside = match is_told || sign == 0.0 {
            true => Ball { high: base.part.high, low: part.high, radius: (part.radius + part.low.abs()) * SAFETY },
            false => {
                let Ball { high: low, radius, .. } = of_sign(sign, part.bound().max(BESIDE));
                Ball { high: base.part.high, low, radius }
            }
        };
        Self { part: beside, window: base.window }
    }
}

impl Real for Wide {
    const ZERO: Wide = Wide { part: Ball::ZERO, window: 0 };
    const UNKNOWN: Wide = Wide { part: Ball::UNKNOWN, window: 0 };
    type Elements = OfElement;

    fn elements(_: Dtype) -> OfElement {
        OfElement
    }

    fn total(numbers: impl Iterator<Item = f64> + Clone) -> Self {
        /// Numbers from here on are added by themselves, divided by `2^512`: no sum of them overflows, and no sum of the others.
        const HUGE: f64 = 1e150;
        let of = |is_huge: bool, by: f64| {
            <Ball as Real>::total(numbers.clone().filter(|x| (x.abs() >= HUGE) == is_huge).map(|x| x * by))
        };
        Self::of(of(true, DOWN), 1) + Self::of(of(false, 1.0), 0)
    }

    fn least_weight() -> Self {
        FAR
    }

    fn together(base: Self, rest: Self) -> Self {
        Self::beside(base, rest, 0.0)
    }

    fn of_ball(ball: Ball) -> Self {
        Self::of(ball, 0)
    }

    fn exact(x: f64) -> Self {
        Self::of(Ball::exact(x), 0)
    }

    /// `a - b`, exactly.
    fn difference(a: f64, b: f64) -> Self {
        let (high, low) = two_sum(a, -b);
        match high.is_finite() {
            true => Self::of(Ball { high, low, radius: 0.0 }, 0),
            false if a.is_infinite() || b.is_infinite() => Self::exact(a) - Self::exact(b),
            // Of two numbers that are large, so that nothing is lost.
            false => Self::of(Ball::difference(a * DOWN, b * DOWN), 1),
        }
    }

    fn product(a: f64, b: f64) -> Self {
        let (a, b) = (Self::exact(a), Self::exact(b));
        if !a.is_finite() || !b.is_finite() || a.is_zero() || b.is_zero() {
            return a * b;
        }
        Self::of(Ball::product(a.part.high, b.part.high), a.window + b.window)
    }

    fn quotient(a: f64, b: f64) -> Self {
        let (a, b) = (Self::exact(a), Self::exact(b));
        let quotient = a.part.high / b.part.high;
        match a.is_finite() && b.is_finite() && quotient.mul_add(b.part.high, -a.part.high) == 0.0 {
            true => Self::of(Ball::exact(quotient), a.window - b.window),
            false => a / b,
        }
    }

    fn is_zero(self) -> bool {
        self.part.is_zero()
    }

    fn number(self) -> Option<f64> {
        let number = ldexp(self.part.high, self.window * WINDOW);
        let is_whole = || {
            let same = Self::exact(number);
            same.window == self.window && same.part.high == self.part.high
        };
        (self.part.is_number() && is_whole()).then_some(number)
    }

    fn of_sign(sign: f64, size: Self) -> Self {
        Self { part: of_sign(sign, size.part.bound()), window: size.window }
    }

    fn within(size: Self) -> Self {
        Self { part: Ball::ZERO.widened(size.part.bound()), window: size.window }
    }

    fn sign(self) -> f64 {
        self.part.high
    }

    fn is_not_zero(self) -> bool {
        self.is_finite() && self.part.is_not_zero()
    }

    fn is_lost(self) -> bool {
        self.part.radius > self.part.high.abs() / 2.0
    }

    fn is_same(self, other: Self) -> bool {
        let parts = |x: Self| (x.part.high, x.part.low, x.window);
        self.part.radius == 0.0 && other.part.radius == 0.0 && parts(self) == parts(other)
    }

    fn may_be_zero(self) -> bool {
        self.part.high.abs() <= self.part.radius
    }

    fn is_within(self, most: f64) -> bool {
        self.is_finite() && (self.window < 0 || (self.window == 0 && self.part.bound() <= most))
    }

    fn size(self) -> Self {
        Self::of(Ball::exact(self.part.bound()), self.window)
    }

    fn magnitude(self) -> Magnitude {
        match self.is_finite() {
            true => Magnitude::scaled(self.part.bound(), self.window * WINDOW),
            false => Magnitude::INFINITY,
        }
    }

    fn exp_of_minus(self) -> Self {
        const WINDOWS_PER_NAT: f64 = STEPS_PER_NAT / STEPS;
        /// An argument that is known worse has no derivative to speak of.
        const MOST: f64 = 1.0 / 1024.0;
        let Ball { high, low, radius } = self.part;
        if !self.is_finite() {
            return if self.is_infinite() && high > 0.0 { Self::ZERO } else { Self::UNKNOWN };
        }
        if self.is_zero() {
            return Self::exact(1.0);
        }
        if self.window < 0 {
            return Self { part: Ball::exact(1.0).widened(SMALL_ERROR), window: 0 };
        }
        if self.window > 0 || high > FARTHEST {
            let is_far = if self.window > 0 { high > radius * 2.0 } else { high - radius > FARTHEST - 100.0 };
            return if is_far { Self::of_sign(1.0, FAR) } else { Self::UNKNOWN };
        }
        let m = (high * WINDOWS_PER_NAT).round();
        let leading = Ball::difference(m * C1, high) + Ball::exact(m * C2);
        let r = leading + Ball::difference(m * C3, low);
        let error = r.radius + radius + if m == 0.0 { 0.0 } else { PRODUCT_ERROR };
        if !(error < MOST && m > -2.0) {
            return Self::UNKNOWN;
        }
        let weight = Ball::exp(r.high, r.low);
        Self::of(weight.widened(weight.high * (1.01 * error)), -(m as i32))
    }

    fn expm1(self) -> Self {
        /// From here down, the weight itself is known as well.
        const FAR: f64 = -100.0;
        let Ball { high, low, radius } = self.part;
        if self.window < 0 {
            return self.beside_smaller();
        }
        if !self.is_finite() || self.window > 0 || high < FAR {
            return (-self).exp_of_minus() - Self::exact(1.0);
        }
        let rise = Ball::expm1(high, low);
        // The derivative is the exponential.
        Self::of(rise.widened(radius * ((1.0 + rise.bound()) * (1.0 + 4.0 * radius))), 0)
    }

    fn expm1_less_argument(self) -> Self {
        let Ball { high, low, radius } = self.part;
        if self.window != 0 || !self.is_finite() {
            return if self.window < 0 { self.half_square() } else { Self::UNKNOWN };
        }
        // The derivative is exp(x) - 1.
        let rise = Ball::expm1(high, low).bound();
        let slope = rise + radius * (2.0 * (1.0 + rise));
        Self::of(Ball::expm1_less_argument(high, low).widened(radius * slope), 0)
    }

    fn ln_1p(self) -> Self {
        match self.window {
            _ if self.is_zero() => self,
            0 if self.part.high == -1.0 && self.part.is_number() => Self::exact(f64::NEG_INFINITY),
            0 if self.is_finite() => self.part.ln_1p().map_or(Self::UNKNOWN, Self::of_ball),
            window if window < 0 => self.beside_smaller(),
            _ => Self::UNKNOWN,
        }
    }

    fn less_ln_1p(self) -> Option<Self> {
        match self.window {
            0 if self.is_finite() => self.part.less_ln_1p().map(Self::of_ball),
            window if window < 0 => Some(self.half_square()),
            _ => None,
        }
    }

    /// The number times `2^shift` as the screen sees it, and the shift: 0 but where the number, or its rest, is near an end of the range of f64.
    fn told(self) -> (Near, i32) {
        /// Far from either end.
        const SHIFT: i32 = 600;
        /// More than what is lost, which is below parts that matter.
        const LOST: f64 = f64::from_bits((1023 - 1000) << 52);
        let Ball { high, low, radius } = self.part;
        if !self.is_finite() {
            let is_due = radius == 0.0;
            return (if is_due { Near { high, ..Near::ZERO } } else { Near::UNKNOWN }, 0);
        }
        if self.is_zero() {
            return (Near::ZERO, 0);
        }
        let shift = match exponent(self.part.bound()) + self.window * WINDOW {
            ..-400 => SHIFT,
            -400..=960 => 0,
            _ => -SHIFT,
        };
        let by = self.window * WINDOW + shift;
        let moved = |x: f64| ldexp(x, by);
        let is_exact = [high, low, radius].iter().all(|x| ldexp(moved(*x), -by) == *x);
        let lost = if is_exact { 0.0 } else { LOST };
        let radius = if is_exact { moved(radius) } else { (moved(radius) + lost) * SAFETY };
        let near = Near { high: moved(high), low: moved(low), radius };
        // Beyond what even so is a number.
        if near.high.is_finite() && near.radius.is_finite() { (near, shift) } else { (Near::UNKNOWN, 0) }
    }
}

impl Add for Wide {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        match (self.is_finite(), other.is_finite()) {
            (true, true) => {}
            (false, true) => return self,
            (true, false) => return other,
            (false, false) => {
                let is_one = self.part.high == other.part.high && self.is_infinite();
                return if is_one { self } else { Self::UNKNOWN };
            }
        }
        if self.is_zero() || other.is_zero() {
            return if self.is_zero() { other } else { self };
        }
        let (big, small) = if self.window >= other.window { (self, other) } else { (other, self) };
        match big.window - small.window {
            0 => Self::of(big.part + small.part, big.window),
            1 => Self::of(big.part + down(small.part), big.window),
            _ => Self::of(big.part.widened(REST), big.window),
        }
    }
}

impl Neg for Wide {
    type Output = Self;

    fn neg(self) -> Self {
        Self { part: -self.part, ..self }
    }
}

impl Sub for Wide {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        self + -other
    }
}

impl Mul for Wide {
    type Output = Self;

    fn mul(self, other: Self) -> Self {
        if self.is_finite() && other.is_finite() {
            return Self::of(self.part * other.part, self.window + other.window);
        }
        let is_signed = |x: Self| x.is_infinite() || x.is_not_zero();
        match is_signed(self) && is_signed(other) {
            true => Self::exact(f64::INFINITY.copysign(self.sign()) * 1.0f64.copysign(other.sign())),
            false => Self::UNKNOWN,
        }
    }
}

impl Div for Wide {
    type Output = Self;

    /// The divisor's radius must be far below the divisor, which must be finite.
    fn div(self, other: Self) -> Self {
        if self.is_infinite() && other.is_not_zero() {
            return Self::exact(self.sign() * 1.0f64.copysign(other.sign()));
        }
        if !self.is_finite() || !other.is_finite() {
            return Self::UNKNOWN;
        }
        Self::of(self.part / other.part, self.window - other.window)
    }
}

/// The functions of an element in wide numbers.
pub(crate) struct OfElement;

impl ElementTier for OfElement {
    type Number = Wide;
    type Rational = Wide;

    fn rational(&self, x: f64) -> Wide {
        Wide::exact(x)
    }

    fn minus(&self, a: &Wide, b: &Wide) -> Wide {
        match (a.number(), b.number()) {
            (Some(a), Some(b)) => Wide::difference(a, b),
            _ => *a - *b,
        }
    }

    fn times(&self, a: &Wide, b: &Wide) -> Wide {
        match (a.number(), b.number()) {
            (Some(a), Some(b)) => Wide::product(a, b),
            _ => *a * *b,
        }
    }

    fn number(&self, x: Wide) -> Wide {
        x
    }

    fn exp_of_difference(&self, x: f64, y: f64) -> Wide {
        Wide::difference(y, x).exp_of_minus()
    }

    fn expm1_of_difference(&self, x: f64, y: f64) -> Wide {
        Wide::difference(x, y).expm1()
    }

    fn log(&self, x: Wide) -> Wide {
        x.ln()
    }

    fn log1p(&self, x: Wide) -> Wide {
        x.ln_1p()
    }

    fn reciprocal(&self, x: Wide) -> Wide {
        Wide::exact(1.0) / x
    }

    fn beside(&self, base: Wide, rest: Wide, sign: f64) -> Wide {
        Wide::beside(base, rest, sign)
    }
}

#[cfg(test)]
mod tests;
