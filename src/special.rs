//! The kinds of rows that are not finite, and the presets of what is due on them. The table itself is the oracle's
//! (`oracle/special.rs`); which preset a kernel is held to is one of its claims.

use crate::case::Case;
use crate::named::named;
use crate::op::Op;
use serde::{Deserialize, Serialize};

named! {
    /// What an output must be when a logit is not finite or none is left: the policy table of the oracle.
    #[derive(Default)]
    pub enum Special as "preset of special values" {
        /// What the major frameworks do is accepted: the limit or NaN where a logit is +inf; NaN or zeros where all are masked.
        #[default]
        Framework = "framework",
        /// Strict: the limit wherever one exists, NaN where none does.
        Limit = "limit",
    }
}

/// What kind of row it is, for the table of special values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RowClass {
    /// No logit.
    Empty,
    /// Several rows, each of which is ignored, or none.
    AllIgnored,
    /// A NaN somewhere.
    Nan,
    /// More than one +inf, no NaN.
    SeveralInfinite,
    /// One +inf, no NaN.
    OneInfinite,
    /// All -inf.
    FullyMasked,
    /// Some -inf, the rest finite.
    PartlyMasked,
    /// Finite logits, or some that are -inf; and a value, of a class that is not masked, that is not finite.
    ValuesNotFinite,
    /// All finite.
    Finite,
    /// The op treats each element by itself, so the row is of no kind.
    Elements,
}

impl RowClass {
    /// The class of what the op of a case makes its outputs of: of the logits, times the scale where there is one.
    pub fn of_case(case: &Case) -> Self {
        if case.op().mean_of().is_some() {
            // Of several rows that of the one that is least ordinary, which comes first.
            return case.rows().iter().flatten().map(Self::of_case).min().unwrap_or(RowClass::AllIgnored);
        }
        let own = Self::of(case.op(), &case.signed_logits());
        // Of two rows that of the one that is less ordinary, which comes first.
        let class = case.target_logits().map_or(own, |target| own.min(Self::of(case.op(), target)));
        let has_weight = |&(_, z): &(&f64, &f64)| *z > f64::NEG_INFINITY;
        let mut weighed = case.weighed().iter().zip(case.logits()).filter(has_weight);
        match class {
            RowClass::Finite | RowClass::PartlyMasked if weighed.any(|(value, _)| !value.is_finite()) => {
                RowClass::ValuesNotFinite
            }
            class => class,
        }
    }

    /// The first class that fits a row of logits of this op, as they are.
    pub fn of(op: Op, logits: &[f64]) -> Self {
        if op.is_elementwise() {
            return RowClass::Elements;
        }
        let count = |test: fn(&f64) -> bool| logits.iter().filter(|z| test(z)).count();
        let masked = count(|&z| z == f64::NEG_INFINITY);
        if logits.is_empty() {
            RowClass::Empty
        } else if logits.iter().any(|z| z.is_nan()) {
            RowClass::Nan
        } else {
            match count(|&z| z == f64::INFINITY) {
                0 if masked == logits.len() => RowClass::FullyMasked,
                0 if masked > 0 => RowClass::PartlyMasked,
                0 => RowClass::Finite,
                1 => RowClass::OneInfinite,
                _ => RowClass::SeveralInfinite,
            }
        }
    }

    /// The class in words, for explanations.
    pub const fn name(self) -> &'static str {
        match self {
            RowClass::Empty => "no logits",
            RowClass::AllIgnored => "no row that is not ignored",
            RowClass::Nan => "a NaN logit",
            RowClass::SeveralInfinite => "several +inf logits",
            RowClass::OneInfinite => "one +inf logit",
            RowClass::FullyMasked => "all logits -inf",
            RowClass::PartlyMasked => "some logits -inf, the rest finite",
            RowClass::ValuesNotFinite => "a value with weight that is not finite",
            RowClass::Finite => "finite logits",
            RowClass::Elements => "elements",
        }
    }

    /// Whether the row has a single truth: finite logits, and none or some that are -inf; or elements, each with its own.
    pub const fn is_ordinary(self) -> bool {
        matches!(self, RowClass::Finite | RowClass::PartlyMasked | RowClass::Elements)
    }
}
