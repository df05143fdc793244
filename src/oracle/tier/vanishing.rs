//! The second tier: outputs that are a product with a weight so small that no exponential was computed for it. Nothing of them
//! matters but their sign: they are far below the least number of the dtype.

use crate::dtype::{Dtype, two_sum};
use crate::op::tier::{ElementTier, RowTier};
use crate::oracle::prepared::Prepared;
use crate::oracle::row;
use std::ops::{Add, Mul, Neg, Sub};

/// What is known of the size of a number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::oracle) enum Size {
    /// Nothing.
    Unknown,
    /// It has the sign of this number.
    Signed(f64),
    /// It is far below every number, and has the sign of this one.
    Vanishing(f64),
}

impl Size {
    /// The sign of a number that is far below every other.
    pub fn sign(self) -> Option<f64> {
        if let Size::Vanishing(sign) = self { Some(sign) } else { None }
    }
}

impl Neg for Size {
    type Output = Self;

    fn neg(self) -> Self {
        match self {
            Size::Unknown => Size::Unknown,
            Size::Signed(sign) => Size::Signed(-sign),
            Size::Vanishing(sign) => Size::Vanishing(-sign),
        }
    }
}

impl Add for Size {
    type Output = Self;

    fn add(self, _: Self) -> Self {
        Size::Unknown
    }
}

impl Sub for Size {
    type Output = Self;

    fn sub(self, _: Self) -> Self {
        Size::Unknown
    }
}

impl Mul for Size {
    type Output = Self;

    fn mul(self, other: Self) -> Self {
        match (self, other) {
            (Size::Vanishing(a), Size::Signed(b)) | (Size::Signed(a), Size::Vanishing(b)) => {
                Size::Vanishing(a.signum() * b)
            }
            _ => Size::Unknown,
        }
    }
}

/// A rational number: 0, or one of which nothing is of use here.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::oracle) enum Factor {
    Zero,
    Other,
}

/// A row.
pub(in crate::oracle) struct OfRow<'a>(pub &'a Prepared<'a>);

impl OfRow<'_> {
    /// Whether a class of this row is masked, or its weight far below every number.
    fn is_lost(&self, row: &row::PreparedRow, j: usize) -> bool {
        row.weights().get(row.group[j] as usize).is_none_or(row::Weight::is_beyond_reach)
    }
}

impl OfRow<'_> {
    /// Whether the classes that have weight are the same in the row and the target's, and as far from one another.
    fn is_one_with_target(&self) -> bool {
        let (row, target) = (&self.0.row, &self.0.other().row);
        let mut near = (0..row.logits.len()).filter(|&i| !self.is_lost(row, i) || !self.is_lost(target, i));
        let shift = |i: usize| two_sum(row.logits[i], -target.logits[i]);
        let Some(first) = near.next() else { return false };
        let is_in_both = |i: usize| !self.is_lost(row, i) && !self.is_lost(target, i);
        is_in_both(first) && near.all(|i| is_in_both(i) && shift(i) == shift(first))
    }
}

impl RowTier for OfRow<'_> {
    type Number = Size;
    type Rational = Factor;

    fn max(&self) -> Factor {
        Factor::Other
    }

    fn gap(&self, _: usize) -> Factor {
        Factor::Other
    }

    fn log_total(&self) -> Size {
        Size::Unknown
    }

    fn is_top(&self, _: usize) -> bool {
        false
    }

    fn top_share(&self) -> Factor {
        Factor::Other
    }

    fn shortfall(&self) -> Size {
        Size::Unknown
    }

    fn probability(&self, j: usize) -> Size {
        let row = &self.0.row;
        let weight = row.weights().get(row.group[j] as usize);
        if weight.is_some_and(row::Weight::is_beyond_reach) { Size::Vanishing(1.0) } else { Size::Unknown }
    }

    fn target_mass(&self, j: usize) -> Factor {
        if self.0.masses.exact(j) == Some(0.0) { Factor::Zero } else { Factor::Other }
    }

    fn expected_gap(&self) -> Factor {
        Factor::Other
    }

    fn mean_gap(&self) -> Size {
        Size::Unknown
    }

    /// A sum of products with the weights of all classes but one.
    fn entropy(&self) -> Size {
        let row = &self.0.row;
        let is_lone = row.counts[0] == 1 && row.groups() > 1;
        if is_lone && row.weights()[1..].iter().all(row::Weight::is_beyond_reach) {
            Size::Vanishing(1.0)
        } else {
            Size::Unknown
        }
    }

    fn prefix_max(&self, j: usize) -> Factor {
        if self.0.prefixes.top(j).max == 0.0 { Factor::Zero } else { Factor::Other }
    }

    fn prefix_log_total(&self, j: usize) -> Size {
        if self.0.prefixes.is_far_above(j) { Size::Vanishing(1.0) } else { Size::Unknown }
    }

    fn direction(&self, _: usize) -> Factor {
        Factor::Other
    }

    fn direction_total(&self) -> Factor {
        Factor::Other
    }

    fn mean(&self) -> Size {
        Size::Unknown
    }

    fn deviation(&self, j: usize) -> Size {
        let deviation = self.0.deviation_ball(j);
        if deviation.is_not_zero() { Size::Signed(deviation.high) } else { Size::Unknown }
    }

    fn other(&self) -> Self {
        Self(self.0.other())
    }

    /// Both are far below every number; or the two rows are one, but for what is.
    fn probability_difference(&self, j: usize) -> Size {
        let (row, target) = (&self.0.row, &self.0.other().row);
        let vanishes = (self.is_lost(row, j) && self.is_lost(target, j)) || self.is_one_with_target();
        let sign = vanishes.then(|| self.0.sign_of_difference(j)).flatten();
        sign.map_or(Size::Unknown, Size::Vanishing)
    }

    /// It is not negative, and vanishes where the classes that have weight are as far from one another in both rows.
    fn divergence(&self) -> Size {
        if self.is_one_with_target() { Size::Vanishing(1.0) } else { Size::Unknown }
    }

    fn zero(&self) -> Factor {
        Factor::Zero
    }

    fn minus(&self, a: &Factor, b: &Factor) -> Factor {
        if (*a, *b) == (Factor::Zero, Factor::Zero) { Factor::Zero } else { Factor::Other }
    }

    fn times(&self, a: &Factor, b: &Factor) -> Factor {
        if *a == Factor::Zero || *b == Factor::Zero { Factor::Zero } else { Factor::Other }
    }

    fn sign(&self, _: &Factor) -> f64 {
        0.0
    }

    fn number(&self, _: Factor) -> Size {
        Size::Unknown
    }

    fn scaled(&self, _: &Factor, _: Size) -> Size {
        Size::Unknown
    }

    fn beside(&self, base: Factor, rest: Size, _: f64) -> Size {
        if base == Factor::Zero { rest } else { Size::Unknown }
    }
}

/// An element, for outputs of a dtype.
pub(in crate::oracle) struct OfElement(pub Dtype);

impl ElementTier for OfElement {
    type Number = Size;
    /// The number, where it is known to be this one.
    type Rational = Option<f64>;

    fn rational(&self, x: f64) -> Option<f64> {
        Some(x)
    }

    fn minus(&self, a: &Option<f64>, b: &Option<f64>) -> Option<f64> {
        match (a, b) {
            (Some(a), Some(b)) if a == b => Some(0.0),
            (_, Some(0.0)) => *a,
            _ => None,
        }
    }

    fn times(&self, a: &Option<f64>, b: &Option<f64>) -> Option<f64> {
        if *a == Some(0.0) || *b == Some(0.0) { Some(0.0) } else { None }
    }

    fn number(&self, x: Option<f64>) -> Size {
        x.filter(|x| *x != 0.0).map_or(Size::Unknown, Size::Signed)
    }

    fn exp_of_difference(&self, x: f64, y: f64) -> Size {
        if row::is_beyond_reach(x, y, self.0) { Size::Vanishing(1.0) } else { Size::Unknown }
    }

    fn expm1_of_difference(&self, _: f64, _: f64) -> Size {
        Size::Unknown
    }

    fn log(&self, _: Size) -> Size {
        Size::Unknown
    }

    /// `log(1 + x)` of a small `x` has its size and its sign.
    fn log1p(&self, x: Size) -> Size {
        if x.sign().is_some() { x } else { Size::Unknown }
    }

    /// Of a number of 1 or more.
    fn reciprocal(&self, _: Size) -> Size {
        Size::Signed(1.0)
    }

    fn beside(&self, base: Option<f64>, rest: Size, _: f64) -> Size {
        if base == Some(0.0) { rest } else { Size::Unknown }
    }
}
