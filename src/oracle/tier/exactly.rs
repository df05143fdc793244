//! The first tier: what is rational, or infinite, exactly; everything else is unknown.
//!
//! By the theorem of Lindemann and Weierstrass, exponentials of distinct rational numbers are linearly independent over the
//! rationals, so an output is rational only where its formula gives a rational number although all exponentials but those of equal
//! logits are unknown. The same evaluation, with other probabilities, gives the limits at infinite logits and the values of a row
//! without weight.

use crate::case::Case;
use crate::number::Rational;
use crate::op::tier::{ElementTier, RowTier};
use crate::oracle::prefix::Top;
use crate::oracle::prepared::{Prepared, exact, exact_sum, target_mass};
use crate::oracle::row::MASKED;
use std::cell::OnceCell;
use std::cmp::Ordering;
use std::ops::{Add, Mul, Neg, Sub};

/// What is known of a number without any exponential.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::oracle) enum Exactly {
    /// It is finite, and that is all.
    Unknown,
    /// Infinite, with the sign of the number.
    Infinite(f64),
    /// An `f64`.
    Number(f64),
    /// A rational number that is not 0.
    Rational(Rational),
}

impl Exactly {
    const ZERO: Exactly = Exactly::Number(0.0);

    /// A rational number.
    pub fn rational(value: Rational) -> Self {
        if value.cmp0() == Ordering::Equal { Self::ZERO } else { Self::Rational(value) }
    }

    /// The rational number, if it is known to be one.
    pub fn to_rational(&self) -> Option<Rational> {
        match self {
            Exactly::Number(x) => Some(exact(*x)),
            Exactly::Rational(value) => Some(value.clone()),
            Exactly::Unknown | Exactly::Infinite(_) => None,
        }
    }

    fn is_zero(&self) -> bool {
        *self == Self::ZERO
    }
}

impl Neg for Exactly {
    type Output = Self;

    fn neg(self) -> Self {
        match self {
            Exactly::Unknown => Exactly::Unknown,
            Exactly::Infinite(sign) => Exactly::Infinite(-sign),
            Exactly::Number(x) => Exactly::Number(-x),
            Exactly::Rational(value) => Exactly::Rational(-value),
        }
    }
}

impl Add for Exactly {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        match (&self, &other) {
            (Exactly::Infinite(a), Exactly::Infinite(b)) => {
                if a == b {
                    self
                } else {
                    Exactly::Unknown
                }
            }
            (Exactly::Infinite(_), _) => self,
            (_, Exactly::Infinite(_)) => other,
            (Exactly::Unknown, _) | (_, Exactly::Unknown) => Exactly::Unknown,
            _ if self.is_zero() => other,
            _ if other.is_zero() => self,
            _ => match (self.to_rational(), other.to_rational()) {
                (Some(a), Some(b)) => Self::rational(a + b),
                _ => Exactly::Unknown,
            },
        }
    }
}

impl Sub for Exactly {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        self + -other
    }
}

impl Mul for Exactly {
    type Output = Self;

    /// 0 times a number is 0, though nothing else may be known of it.
    fn mul(self, other: Self) -> Self {
        match (&self, &other) {
            (Exactly::Infinite(_), _) | (_, Exactly::Infinite(_)) => Exactly::Unknown,
            _ if self.is_zero() || other.is_zero() => Self::ZERO,
            _ => match (self.to_rational(), other.to_rational()) {
                (Some(a), Some(b)) => Self::rational(a * b),
                _ => Exactly::Unknown,
            },
        }
    }
}

/// What all tiers of exact numbers do alike: an unknown number is no worse than a known one.
macro_rules! exact_arithmetic {
    () => {
        type Number = Exactly;
        type Rational = Exactly;

        // A probability is looked at whole: it is rational or it is not.
        fn is_top(&self, _: usize) -> bool {
            false
        }

        fn top_share(&self) -> Exactly {
            Exactly::Unknown
        }

        fn shortfall(&self) -> Exactly {
            Exactly::Unknown
        }

        fn zero(&self) -> Exactly {
            Exactly::ZERO
        }

        fn minus(&self, a: &Exactly, b: &Exactly) -> Exactly {
            a.clone() - b.clone()
        }

        fn times(&self, a: &Exactly, b: &Exactly) -> Exactly {
            a.clone() * b.clone()
        }

        fn sign(&self, _: &Exactly) -> f64 {
            0.0
        }

        fn number(&self, x: Exactly) -> Exactly {
            x
        }

        fn scaled(&self, a: &Exactly, x: Exactly) -> Exactly {
            a.clone() * x
        }

        fn beside(&self, base: Exactly, rest: Exactly, _: f64) -> Exactly {
            base + rest
        }
    };
}

/// An ordinary row. What would only matter beside a number that is not known is not computed, and called unknown.
pub(in crate::oracle) struct OfRow<'a>(pub &'a Prepared<'a>);

impl OfRow<'_> {
    fn is_masked(&self, j: usize) -> bool {
        self.0.row.group[j] == MASKED
    }

    fn is_one_group(&self) -> bool {
        self.0.row.groups() == 1
    }

    fn is_single(&self) -> bool {
        self.0.row.finite == 1
    }
}

impl RowTier for OfRow<'_> {
    exact_arithmetic!();

    fn max(&self) -> Exactly {
        Exactly::Number(self.0.row.max)
    }

    fn gap(&self, j: usize) -> Exactly {
        if self.is_masked(j) {
            Exactly::Infinite(1.0)
        } else if self.is_single() {
            Exactly::ZERO
        } else {
            Exactly::Unknown // log S is beside it
        }
    }

    fn log_total(&self) -> Exactly {
        if self.is_single() { Exactly::ZERO } else { Exactly::Unknown }
    }

    fn probability(&self, j: usize) -> Exactly {
        if self.is_masked(j) {
            Exactly::ZERO
        } else if self.is_one_group() {
            Exactly::Rational(Rational::from((1, self.0.row.finite as u64)))
        } else {
            Exactly::Unknown
        }
    }

    fn target_mass(&self, j: usize) -> Exactly {
        if self.is_masked(j) && self.0.masses.exact(j) == Some(0.0) {
            Exactly::ZERO
        } else if self.is_masked(j) || self.is_one_group() {
            Exactly::rational(target_mass(self.0.case, j))
        } else {
            Exactly::Unknown
        }
    }

    fn expected_gap(&self) -> Exactly {
        if self.0.masses.reach_a_mask(&self.0.row) {
            Exactly::Infinite(1.0)
        } else if self.is_single() {
            Exactly::rational(self.0.exact_gaps().clone())
        } else {
            Exactly::Unknown
        }
    }

    fn mean_gap(&self) -> Exactly {
        if self.is_one_group() { Exactly::ZERO } else { Exactly::Unknown }
    }

    fn other(&self) -> Self {
        Self(self.0.other())
    }

    fn probability_difference(&self, j: usize) -> Exactly {
        if self.0.has_probability_of_target(j) {
            return Exactly::ZERO;
        }
        self.probability(j) - self.other().probability(j)
    }

    /// Infinite where the row masks what the target does not; 0 where the two are one distribution, and only there, as far as is known.
    fn divergence(&self) -> Exactly {
        let target = self.other();
        let mut classes = 0..self.0.row.logits.len();
        if classes.clone().any(|i| self.is_masked(i) && !target.is_masked(i)) {
            Exactly::Infinite(1.0)
        } else if classes.all(|i| self.0.has_probability_of_target(i)) {
            Exactly::ZERO
        } else {
            Exactly::Unknown
        }
    }

    fn prefix_max(&self, j: usize) -> Exactly {
        match self.0.prefixes.top(j) {
            Top { count: 0, .. } => Exactly::Infinite(-1.0),
            Top { max, .. } => Exactly::Number(max),
        }
    }

    fn prefix_log_total(&self, j: usize) -> Exactly {
        if self.0.prefixes.top(j).is_alone() { Exactly::ZERO } else { Exactly::Unknown }
    }

    fn direction(&self, j: usize) -> Exactly {
        Exactly::Number(self.0.direction_value(j))
    }

    fn direction_total(&self) -> Exactly {
        let may_vanish = !self.0.total().is_not_zero();
        if self.is_one_group() {
            Exactly::rational(self.0.exact_total())
        } else if may_vanish && self.0.exact_total().cmp0() == Ordering::Equal {
            Exactly::ZERO
        } else {
            Exactly::Unknown
        }
    }

    fn mean(&self) -> Exactly {
        let mean = self.0.deviations().and_then(|deviations| deviations.common_mean.clone());
        mean.map_or(Exactly::Unknown, Exactly::rational)
    }

    fn deviation(&self, j: usize) -> Exactly {
        let Some(deviations) = self.0.deviations() else { return Exactly::Unknown };
        if deviations.uniform.is_some() && !self.is_masked(j) {
            return Exactly::ZERO;
        }
        let mean = deviations.common_mean.as_ref();
        mean.map_or(Exactly::Unknown, |mean| Exactly::rational(self.0.direction(j) - mean))
    }
}

/// A row whose weight lies on infinite logits, or nowhere.
pub(in crate::oracle) struct OfLimit {
    pub case: Case,
    /// The logit on which all weight lies, `+inf` or `-inf`; none where no class has weight.
    shared: Option<f64>,
    /// How many logits share it.
    sharing: usize,
    total: OnceCell<Rational>,
}

impl OfLimit {
    /// The limit as the logits with this value are approached, in shares that depend on the side.
    pub fn new(case: &Case, shared: f64) -> Self {
        let sharing = case.logits().iter().filter(|&&z| z == shared).count();
        Self { case: case.clone(), shared: Some(shared), sharing, total: OnceCell::new() }
    }

    /// No class has weight: every probability is 0, and its logarithm -inf.
    pub fn without_weight(case: &Case) -> Self {
        Self { case: case.clone(), shared: None, sharing: 0, total: OnceCell::new() }
    }

    fn has_weight(&self, j: usize) -> bool {
        self.shared.is_some() && self.case.logits().get(j).copied() == self.shared
    }

    /// `sum p_i g_i`, if it does not depend on the shares; 0 where there is no term.
    fn common(&self) -> Option<f64> {
        if self.shared.is_none() || self.sharing == 0 {
            return Some(0.0);
        }
        let direction = self.case.weighed();
        let mut values = direction.iter().enumerate().filter(|(j, _)| self.has_weight(*j)).map(|(_, &g)| g);
        let first = values.next()?;
        values.all(|g| g == first).then_some(first)
    }
}

impl RowTier for OfLimit {
    exact_arithmetic!();

    fn max(&self) -> Exactly {
        Exactly::Infinite(self.shared.unwrap_or(f64::NEG_INFINITY))
    }

    fn gap(&self, j: usize) -> Exactly {
        if self.has_weight(j) { Exactly::ZERO } else { Exactly::Infinite(1.0) }
    }

    fn log_total(&self) -> Exactly {
        if self.sharing == 1 { Exactly::ZERO } else { Exactly::Unknown }
    }

    fn probability(&self, j: usize) -> Exactly {
        match (self.has_weight(j), self.sharing) {
            (false, _) => Exactly::ZERO,
            (true, 1) => Exactly::Number(1.0),
            (true, _) => Exactly::Unknown,
        }
    }

    fn target_mass(&self, j: usize) -> Exactly {
        Exactly::rational(target_mass(&self.case, j))
    }

    fn expected_gap(&self) -> Exactly {
        if let Some(masses) = self.case.distribution() {
            let only_weight_is_asked_for =
                masses.iter().enumerate().all(|(j, &mass)| mass == 0.0 || self.has_weight(j));
            return if only_weight_is_asked_for { Exactly::ZERO } else { Exactly::Infinite(1.0) };
        }
        let (target, smoothing) = self.case.target().unwrap_or((0, 0.0));
        let all_have_weight = self.sharing == self.case.logits().len();
        let only_weight_is_asked_for = self.has_weight(target) && (smoothing == 0.0 || all_have_weight);
        if only_weight_is_asked_for { Exactly::ZERO } else { Exactly::Infinite(1.0) }
    }

    fn mean_gap(&self) -> Exactly {
        if self.sharing <= 1 { Exactly::ZERO } else { Exactly::Unknown }
    }

    /// That of one class, and of none, is 0: the sum of its terms, of which there are none.
    fn entropy(&self) -> Exactly {
        self.mean_gap()
    }

    fn other(&self) -> Self {
        Self::new(&self.case, self.shared.unwrap_or(f64::NEG_INFINITY))
    }

    /// `special` says what is due of two rows. Of no class there is no term.
    fn divergence(&self) -> Exactly {
        if self.case.logits().is_empty() { Exactly::ZERO } else { Exactly::Unknown }
    }

    fn probability_difference(&self, _: usize) -> Exactly {
        Exactly::Unknown
    }

    /// A prefix has a limit of its own, whatever comes after it: `special` decides it.
    fn prefix_max(&self, _: usize) -> Exactly {
        Exactly::Unknown
    }

    fn prefix_log_total(&self, _: usize) -> Exactly {
        Exactly::Unknown
    }

    fn direction(&self, j: usize) -> Exactly {
        Exactly::Number(self.case.weighed().get(j).copied().unwrap_or(0.0))
    }

    fn direction_total(&self) -> Exactly {
        let sum = || exact_sum(self.case.weighed().iter().copied());
        Exactly::rational(self.total.get_or_init(sum).clone())
    }

    fn mean(&self) -> Exactly {
        match self.common() {
            Some(mean) if mean.is_infinite() => Exactly::Infinite(mean),
            // NaN equals nothing.
            mean => mean.filter(|mean| !mean.is_nan()).map_or(Exactly::Unknown, Exactly::Number),
        }
    }

    fn deviation(&self, j: usize) -> Exactly {
        self.common().map_or(Exactly::Unknown, |mean| self.direction(j) - Exactly::Number(mean))
    }
}

/// An element: exponentials of 0 and of -inf, and what is made of them.
pub(in crate::oracle) struct OfElement;

impl ElementTier for OfElement {
    type Number = Exactly;
    type Rational = Exactly;

    fn rational(&self, x: f64) -> Exactly {
        if x.is_finite() { Exactly::Number(x) } else { Exactly::Infinite(x.signum()) }
    }

    fn minus(&self, a: &Exactly, b: &Exactly) -> Exactly {
        a.clone() - b.clone()
    }

    fn times(&self, a: &Exactly, b: &Exactly) -> Exactly {
        a.clone() * b.clone()
    }

    fn number(&self, x: Exactly) -> Exactly {
        x
    }

    fn exp_of_difference(&self, x: f64, y: f64) -> Exactly {
        if x == y {
            Exactly::Number(1.0)
        } else if x == f64::NEG_INFINITY || y == f64::INFINITY {
            Exactly::ZERO
        } else {
            Exactly::Unknown
        }
    }

    fn expm1_of_difference(&self, x: f64, y: f64) -> Exactly {
        self.exp_of_difference(x, y) - Exactly::Number(1.0)
    }

    fn log(&self, x: Exactly) -> Exactly {
        match x {
            _ if x.is_zero() => Exactly::Infinite(-1.0),
            Exactly::Number(1.0) => Exactly::ZERO,
            _ => Exactly::Unknown,
        }
    }

    fn log1p(&self, x: Exactly) -> Exactly {
        self.log(x + Exactly::Number(1.0))
    }

    fn reciprocal(&self, x: Exactly) -> Exactly {
        let value = x.to_rational().filter(|value| value.cmp0() != Ordering::Equal);
        value.map_or(Exactly::Unknown, |value| Exactly::rational(value.recip()))
    }

    fn beside(&self, base: Exactly, rest: Exactly, _: f64) -> Exactly {
        base + rest
    }
}
