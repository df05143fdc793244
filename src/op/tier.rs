//! In what numbers a formula is evaluated. The oracle has tiers, each dearer than the one before: what is rational, exactly; the
//! sign of what is far below every number; balls; intervals of rising precision. A formula is written once, for any tier, from the
//! quantities below; a tier says what they are in its numbers.
//!
//! Notation: `a` the maximum, `d = a - z >= 0`, `w = exp(-d)`, `S = sum w`, `m_0` the number of maxima, `p = w / S`.

use std::ops::{Add, Mul, Neg, Sub};

/// A number as a tier knows it.
pub(crate) trait Number:
    Sized + Add<Output = Self> + Sub<Output = Self> + Mul<Output = Self> + Neg<Output = Self>
{
}

impl<N: Add<Output = N> + Sub<Output = N> + Mul<Output = N> + Neg<Output = N>> Number for N {}

/// The quantities of a row.
pub(crate) trait RowTier: Sized {
    /// A number of which the tier may know only an enclosure.
    type Number: Number;
    /// A rational number, which every tier knows exactly if it must.
    type Rational;

    /// `a`.
    fn max(&self) -> Self::Rational;
    /// `d_j`.
    fn gap(&self, j: usize) -> Self::Rational;
    /// `log S`, at least 0.
    fn log_total(&self) -> Self::Number;
    /// Whether logit `j` is a maximum, and its probability better seen as `1 / m_0` less a shortfall.
    fn is_top(&self, j: usize) -> bool;
    /// `1 / m_0`.
    fn top_share(&self) -> Self::Rational;
    /// `1 / m_0 - p` of a maximum, at least 0.
    fn shortfall(&self) -> Self::Number;
    /// `p_j`.
    fn probability(&self, j: usize) -> Self::Number;

    /// `q_j`, given as a distribution or as `(1 - e) [j = target] + e / n`.
    fn target_mass(&self, j: usize) -> Self::Rational;
    /// `1 / m_0 - q_j`.
    fn share_less_mass(&self, j: usize) -> Self::Rational {
        self.minus(&self.top_share(), &self.target_mass(j))
    }
    /// `sum q_i d_i`.
    fn expected_gap(&self) -> Self::Rational;

    /// `sum p_i d_i`; a class of -inf has no term.
    fn mean_gap(&self) -> Self::Number;
    /// `log S + sum p_i d_i`.
    fn entropy(&self) -> Self::Number {
        self.log_total() + self.mean_gap()
    }

    /// `a` of the logits up to `j`; minus infinity where they are all masked.
    fn prefix_max(&self, j: usize) -> Self::Rational;
    /// `log S` of the logits up to `j`, at least 0; 0 where they are all masked.
    fn prefix_log_total(&self, j: usize) -> Self::Number;

    /// `g_j` of the cotangent, the tangent or the values.
    fn direction(&self, j: usize) -> Self::Rational;
    /// `sum g_i`.
    fn direction_total(&self) -> Self::Rational;
    /// `g_j - (sum g_i) / m_0`.
    fn less_share(&self, j: usize) -> Self::Rational {
        self.minus(&self.direction(j), &self.times(&self.direction_total(), &self.top_share()))
    }
    /// `sum p_i g_i`; a class of -inf has no term.
    fn mean(&self) -> Self::Number;
    /// `g_j - sum p_i g_i`.
    fn deviation(&self, j: usize) -> Self::Number;
    /// `p_j (g_j - sum p_i g_i)`.
    fn weighted_deviation(&self, j: usize) -> Self::Number {
        self.probability(j) * self.deviation(j)
    }

    /// The tier of the target's logits, for the op that takes them; where there are none, of the row itself.
    fn other(&self) -> Self;
    /// `p_j(z) - p_j(t)`. Where both rows are confident, and of one mind, both are near 1.
    fn probability_difference(&self, j: usize) -> Self::Number {
        let target = self.other();
        if self.is_top(j) && target.is_top(j) {
            let shares = self.minus(&self.top_share(), &target.top_share());
            return self.beside(shares, target.shortfall() - self.shortfall(), 0.0);
        }
        self.probability(j) - target.probability(j)
    }
    /// `sum p_i(t) (log p_i(t) - log p_i(z))` for the target's logits `t`; a class that these mask has no term.
    fn divergence(&self) -> Self::Number;

    /// 0.
    fn zero(&self) -> Self::Rational;
    /// `a - b`.
    fn minus(&self, a: &Self::Rational, b: &Self::Rational) -> Self::Rational;
    /// `a b`.
    fn times(&self, a: &Self::Rational, b: &Self::Rational) -> Self::Rational;
    /// The sign of a rational number as `1`, `-1` or another number of that sign; 0 where it is not known or of no use.
    fn sign(&self, x: &Self::Rational) -> f64;
    /// The number `x` as any other.
    fn number(&self, x: Self::Rational) -> Self::Number;
    /// `a x`.
    fn scaled(&self, a: &Self::Rational, x: Self::Number) -> Self::Number;
    /// `base + rest`, where the sign of the rest is that of `sign` (unknown if 0): so a rest far below any precision still puts the
    /// sum on its side of a base that is a number of the format, a midpoint or a power of two.
    fn beside(&self, base: Self::Rational, rest: Self::Number, sign: f64) -> Self::Number;
}

/// The functions of an element.
pub(crate) trait ElementTier {
    /// A number of which the tier may know only an enclosure.
    type Number: Number + Clone;
    /// A rational number, which every tier knows exactly if it must.
    type Rational;

    /// The number `x`, which may be infinite.
    fn rational(&self, x: f64) -> Self::Rational;
    /// `a - b`.
    fn minus(&self, a: &Self::Rational, b: &Self::Rational) -> Self::Rational;
    /// `a b`.
    fn times(&self, a: &Self::Rational, b: &Self::Rational) -> Self::Rational;
    /// The number `x` as any other.
    fn number(&self, x: Self::Rational) -> Self::Number;

    /// The number `x`, which may be infinite, as any other.
    fn exact(&self, x: f64) -> Self::Number {
        self.number(self.rational(x))
    }
    /// `exp(x - y)`, `x <= y`, not the same infinity twice.
    fn exp_of_difference(&self, x: f64, y: f64) -> Self::Number;
    /// `exp(x - y) - 1`, `x <= y`, both finite.
    fn expm1_of_difference(&self, x: f64, y: f64) -> Self::Number;
    /// `log(x)`, `x >= 0`.
    fn log(&self, x: Self::Number) -> Self::Number;
    /// `log(1 + x)`, `x >= -1`.
    fn log1p(&self, x: Self::Number) -> Self::Number;
    /// `1 / x`, `x >= 1`.
    fn reciprocal(&self, x: Self::Number) -> Self::Number;
    /// `base + rest` of a rest with the sign of `sign`, as [`RowTier::beside`].
    fn beside(&self, base: Self::Rational, rest: Self::Number, sign: f64) -> Self::Number;

    /// The same beside a number.
    fn beside_number(&self, base: f64, rest: Self::Number, sign: f64) -> Self::Number {
        self.beside(self.rational(base), rest, sign)
    }

    /// `exp(x)`, `x <= 0`.
    fn exp(&self, x: f64) -> Self::Number {
        self.exp_of_difference(x, 0.0)
    }

    /// `exp(x) - 1`, `x <= 0`.
    fn expm1(&self, x: f64) -> Self::Number {
        self.expm1_of_difference(x, 0.0)
    }

    /// `exp(x) / (1 + exp(x))`, `x <= 0`: the sigmoid where it is at most 1/2.
    fn tail(&self, x: f64) -> Self::Number {
        let weight = self.exp(x);
        weight.clone() * self.reciprocal(self.exact(1.0) + weight)
    }

    /// `(1 - exp(x)) / (1 + exp(x))`, `x <= 0`: twice what the sigmoid lacks of 1/2 there.
    fn shortfall(&self, x: f64) -> Self::Number {
        -self.expm1(x) * self.reciprocal(self.exact(1.0) + self.exp(x))
    }
}
