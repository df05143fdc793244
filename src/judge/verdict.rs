//! Verdicts and grades: what can be said of an output, as data.

use crate::kernel::Fault;
use crate::named::named;

named! {
    /// The verdict on one output, or on a case (the worst of its outputs). The order is from best to worst.
    pub enum Verdict as "verdict" {
        /// As good as the textbook algorithm on this input, or exactly the special value that is due.
        Pass = "pass",
        /// The oracle reached its precision cap: neither passed nor failed.
        Undecided = "undecided",
        /// The same class of non-finite input is answered differently elsewhere in the row or at another length.
        Inconsistent = "inconsistent",
        /// A relation between outputs, or between this input and a transformed one, is broken.
        Relation = "relation",
        /// The error exceeds the bound of the textbook algorithm.
        Inaccurate = "inaccurate",
        /// The wrong sign, and the error exceeds the bound.
        Sign = "sign",
        /// Outside the range of the op: a probability outside [0, 1], a log-probability above 0, a negative loss.
        Range = "range",
        /// 0 where the value rounds to non-zero and the bound does not allow it.
        Zero = "zero",
        /// Infinite where the value rounds to finite.
        Inf = "inf",
        /// NaN where there is a value.
        Nan = "nan",
        /// A number where NaN is due, or the wrong number where an infinity is due.
        Swallowed = "swallowed",
        /// A row that passes alone, and fails in a batch: beside other rows, with padding, or in place.
        Contaminated = "contaminated",
        /// The same call had two answers.
        Flaky = "flaky",
        /// An output that was never written.
        Unwritten = "unwritten",
        /// The kernel left the floating-point environment changed: rounding mode, flush-to-zero, exception masks.
        FenvChanged = "fenv_changed",
        /// The kernel changed its input.
        InputChanged = "input_changed",
        /// A write outside the output, or a read or a write outside every buffer.
        OutOfBounds = "out_of_bounds",
        /// The kernel panicked.
        Panic = "panic",
        /// The kernel did not answer in time.
        Hang = "hang",
        /// The kernel's process died.
        Crash = "crash",
    }
}

impl Verdict {
    /// The verdict on a case on which a kernel did this.
    pub const fn of_fault(fault: Fault) -> Self {
        match fault {
            Fault::Flaky => Verdict::Flaky,
            Fault::Unwritten => Verdict::Unwritten,
            Fault::FenvChanged => Verdict::FenvChanged,
            Fault::InputChanged => Verdict::InputChanged,
            Fault::OutOfBounds => Verdict::OutOfBounds,
            Fault::Panic => Verdict::Panic,
            Fault::Hang => Verdict::Hang,
            Fault::Crash => Verdict::Crash,
        }
    }

    /// The fault that gives this verdict, if it is one that no output gives.
    pub fn fault(self) -> Option<Fault> {
        Fault::ALL.into_iter().find(|&fault| Verdict::of_fault(fault) == self)
    }

    /// Whether this verdict is a failure of the kernel. `undecided` is not: it is a failure of the oracle, and no pass either.
    pub const fn is_failure(self) -> bool {
        !matches!(self, Verdict::Pass | Verdict::Undecided)
    }
}

named! {
    /// How well an output passes. The order is from best to worst.
    pub enum Grade as "grade" {
        /// Within the bound that a kernel earns by using log1p, or exactly the special value that is due.
        Tight = "tight",
        /// Within the bound of the textbook algorithm.
        Textbook = "textbook",
        /// Within the bound only because the row is so long that a plain sum may have lost half of its digits.
        LongSum = "long_sum",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_registry_is_ordered_and_agrees_with_serde() {
        assert!(Verdict::ALL.is_sorted());
        for verdict in Verdict::ALL {
            assert_eq!(verdict.name().parse::<Verdict>().unwrap(), verdict);
            assert_eq!(serde_json::to_string(&verdict).unwrap(), format!("\"{verdict}\""));
        }
        for grade in Grade::ALL {
            assert_eq!(serde_json::to_string(&grade).unwrap(), format!("\"{grade}\""));
        }
        assert!(Verdict::Crash > Verdict::Hang && Verdict::Hang > Verdict::Panic && Verdict::Swallowed > Verdict::Nan);
    }
}
