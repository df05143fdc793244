//! The cause of a failure, as results name it.

use crate::kernel::Fault;
use crate::named::named;
use serde::{Deserialize, Serialize};

named! {
    /// What went wrong: the step that overflowed, cancelled or lost the bits. See [`crate::diagnosis`] for how it is found.
    pub enum Cause as "cause" {
        /// The same call had two answers.
        Flaky = "flaky",
        /// An output was never written.
        Unwritten = "unwritten",
        /// The kernel left the floating-point environment changed.
        FenvChanged = "fenv_changed",
        /// The kernel changed its input.
        InputChanged = "input_changed",
        /// The kernel reached outside its buffers.
        OutOfBounds = "out_of_bounds",
        /// The kernel panicked.
        Panic = "panic",
        /// The kernel did not answer in time.
        Hang = "hang",
        /// The kernel's process died.
        Crash = "crash",
        /// Run once more on the same input, the kernel had another verdict.
        NotReproduced = "not_reproduced",
        /// What another row of the batch holds decides.
        OtherRows = "other_rows",
        /// What lies between the rows of the batch decides.
        Padding = "padding",
        /// Only where the outputs are written over the logits does the row fail.
        InPlace = "in_place",
        /// How many rows there are, where the row stands among them, or how far apart they lie decides.
        BatchShape = "batch_shape",
        /// The campaign was stopped before the failure was looked into.
        NotExamined = "not_examined",
        /// The outputs are those of a kernel that flushes subnormal numbers to zero.
        FlushToZero = "flush_to_zero",
        /// A relation is broken although each output is within its bound.
        BrokenRelation = "broken_relation",
        /// The same kind of row is answered differently at another length.
        Inconsistent = "inconsistent",
        /// A row without logits.
        EmptyRow = "empty_row",
        /// A NaN logit was lost, or not everywhere seen.
        NanLost = "nan_lost",
        /// A logit of +inf.
        InfiniteLogit = "infinite_logit",
        /// All logits are -inf.
        FullyMasked = "fully_masked",
        /// What an ignored row holds shows in the outputs.
        IgnoredRow = "ignored_row",
        /// A class of -inf beside finite ones.
        MaskedClass = "masked_class",
        /// An exponential of a large logit overflowed.
        ExpOverflow = "exp_overflow",
        /// The sum of exponentials overflowed although none of them did.
        SumOverflow = "sum_overflow",
        /// All exponentials underflowed.
        SumUnderflow = "sum_underflow",
        /// A large common offset was mixed with the result before it was subtracted.
        Absorption = "absorption",
        /// The same logits in descending order pass.
        Order = "order",
        /// Between two levels of the row, of which one passes and one fails, lies a number at which a type or a step in it comes to its end.
        Limit = "limit",
        /// The same row at another level passes.
        Level = "level",
        /// Ordinary rows fail by far, most of them.
        Formula = "formula",
        /// The same row passes where its buffers are aligned.
        Alignment = "alignment",
        /// A large logit makes rows fail at some places and not at others.
        Place = "place",
        /// Rows fail at some lengths and not at others.
        Length = "length",
        /// The same row with a smaller or larger cotangent or tangent passes, whose size a formula does not know.
        Direction = "direction",
        /// The same row without label smoothing passes.
        LabelSmoothing = "label_smoothing",
        /// The same row passes with a scale of 1 and its products as logits, or has no such products.
        Scale = "scale",
        /// The logarithm of a probability that underflowed to 0.
        LogOfZero = "log_of_zero",
        /// The logarithm of a probability that had lost digits to underflow.
        LogOfSubnormal = "log_of_subnormal",
        /// A loss or a probability that stops short of its value.
        Clipped = "clipped",
        /// A sum in a narrow type lost terms.
        NarrowSum = "narrow_sum",
        /// An index or a count wrapped around at a power of two.
        NarrowIndex = "narrow_index",
        /// The result is small beside numbers that were rounded before.
        Cancellation = "cancellation",
        /// Every step was rounded to a half dtype.
        NarrowArithmetic = "narrow_arithmetic",
        /// exp of an argument that was rounded in units of its size.
        RoundedExponent = "rounded_exponent",
        /// More than rounding explains.
        WrongValue = "wrong_value",
    }
}

named! {
    /// How well the cause of a failure is known.
    pub enum Certainty as "certainty" {
        /// It was seen, or the kernel answers like a planted defect on every probe but for special rows.
        Shown = "shown",
        /// It fits what was seen; other causes may fit as well.
        Consistent = "consistent",
        /// What was tried does not tell.
        NotKnown = "not_known",
    }
}

impl Certainty {
    /// What is assumed of a file that does not say.
    pub(super) fn unsaid() -> Self {
        Certainty::NotKnown
    }
}

/// A planted defect that a kernel answers like.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Likeness {
    /// Its name in the registry.
    pub kernel: String,
    /// Its class, as `docs/defects.md` has it.
    pub class: String,
    /// What it has otherwise, in words: `the start -42`; none where nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parameter: Option<String>,
    /// The cases on which both answer alike but for roundings.
    pub probes: u64,
    /// On how many of these a correct kernel answers otherwise.
    pub telling: u64,
    /// What else is wrong with it: cured of the one alone, it would fail.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub and: Vec<Second>,
}

/// A second defect of a kernel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Second {
    /// Its name, as that of the first.
    pub kernel: String,
    /// Its class.
    pub class: String,
    /// What it has otherwise, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parameter: Option<String>,
}

impl Second {
    /// The name, and what it has otherwise.
    pub(crate) fn in_words(&self) -> String {
        let with = self.parameter.as_ref().map_or_else(String::new, |with| format!(", with {with}"));
        format!("{}{with}", self.kernel)
    }
}

/// A change of the input that was tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tried {
    /// What was changed: `with its maximum moved to 0`.
    pub change: String,
    /// Whether the kernel passes then.
    pub passes: bool,
}

impl Cause {
    /// Whether it is what the failure depends on, and not why.
    pub(crate) const fn is_dependence(self) -> bool {
        matches!(
            self,
            Cause::Place
                | Cause::Length
                | Cause::Direction
                | Cause::LabelSmoothing
                | Cause::Scale
                | Cause::Level
                | Cause::Order
        )
    }

    /// Whether it says when a kernel fails, in words of its own, and not why.
    pub(crate) const fn is_scope(self) -> bool {
        matches!(
            self,
            Cause::Alignment
                | Cause::Formula
                | Cause::Place
                | Cause::Length
                | Cause::Direction
                | Cause::LabelSmoothing
                | Cause::Scale
        )
    }

    /// The cause of a failure in which a kernel came to no answer, or to one that does not count.
    pub const fn of_fault(fault: Fault) -> Self {
        match fault {
            Fault::Flaky => Cause::Flaky,
            Fault::Unwritten => Cause::Unwritten,
            Fault::FenvChanged => Cause::FenvChanged,
            Fault::InputChanged => Cause::InputChanged,
            Fault::OutOfBounds => Cause::OutOfBounds,
            Fault::Panic => Cause::Panic,
            Fault::Hang => Cause::Hang,
            Fault::Crash => Cause::Crash,
        }
    }
}

/// A cause, or none, as results have it: none is an empty text.
pub(super) mod text {
    use super::Cause;
    use crate::outside;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub fn serialize<S: Serializer>(cause: &Option<Cause>, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(cause.map_or("", Cause::name))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Cause>, D::Error> {
        /// Characters of an unknown text that are shown.
        const SHOWN: usize = 60;
        let text = String::deserialize(deserializer)?;
        if text.is_empty() {
            return Ok(None);
        }
        let known = Cause::ALL.into_iter().find(|cause| cause.name() == text);
        known.map(Some).ok_or_else(|| {
            D::Error::custom(format!("unknown cause `{}`; a newer logitfuzz may know it", outside::line(&text, SHOWN)))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::Verdict;

    #[test]
    fn a_fault_has_one_name() {
        for fault in Fault::ALL {
            assert_eq!(Cause::of_fault(fault).name(), Verdict::of_fault(fault).name());
        }
    }
}
