//! Verdicts and grades: what can be said of an output, as data.

use crate::kernel::Fault;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The verdict on one output, or on a case (the worst of its outputs). The order is from best to worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// As good as the textbook algorithm on this input, or exactly the special value that is due.
    Pass,
    /// The oracle reached its precision cap: neither passed nor failed.
    Undecided,
    /// The same class of non-finite input is answered differently elsewhere in the row or at another length.
    Inconsistent,
    /// A relation between outputs, or between this input and a transformed one, is broken.
    Relation,
    /// The error exceeds the bound of the textbook algorithm.
    Inaccurate,
    /// The wrong sign, and the error exceeds the bound.
    Sign,
    /// Outside the range of the op: a probability outside [0, 1], a log-probability above 0, a negative loss.
    Range,
    /// 0 where the value rounds to non-zero and the bound does not allow it.
    Zero,
    /// Infinite where the value rounds to finite.
    Inf,
    /// NaN where there is a value.
    Nan,
    /// A number where NaN is due, or the wrong number where an infinity is due.
    Swallowed,
    /// An output that was never written.
    Unwritten,
    /// The kernel left the floating-point environment changed: rounding mode, flush-to-zero, exception masks.
    FenvChanged,
    /// The kernel changed its input.
    InputChanged,
    /// A write outside the output, or a read or a write outside every buffer.
    OutOfBounds,
    /// The kernel panicked.
    Panic,
    /// The kernel did not answer in time.
    Hang,
    /// The kernel's process died.
    Crash,
}

impl Verdict {
    /// Every verdict, best to worst.
    pub const ALL: [Verdict; 18] = [
        Verdict::Pass,
        Verdict::Undecided,
        Verdict::Inconsistent,
        Verdict::Relation,
        Verdict::Inaccurate,
        Verdict::Sign,
        Verdict::Range,
        Verdict::Zero,
        Verdict::Inf,
        Verdict::Nan,
        Verdict::Swallowed,
        Verdict::Unwritten,
        Verdict::FenvChanged,
        Verdict::InputChanged,
        Verdict::OutOfBounds,
        Verdict::Panic,
        Verdict::Hang,
        Verdict::Crash,
    ];

    /// The name in results and on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Verdict::Pass => "pass",
            Verdict::Undecided => "undecided",
            Verdict::Inconsistent => "inconsistent",
            Verdict::Relation => "relation",
            Verdict::Inaccurate => "inaccurate",
            Verdict::Sign => "sign",
            Verdict::Range => "range",
            Verdict::Zero => "zero",
            Verdict::Inf => "inf",
            Verdict::Nan => "nan",
            Verdict::Swallowed => "swallowed",
            Verdict::Unwritten => "unwritten",
            Verdict::FenvChanged => "fenv_changed",
            Verdict::InputChanged => "input_changed",
            Verdict::OutOfBounds => "out_of_bounds",
            Verdict::Panic => "panic",
            Verdict::Hang => "hang",
            Verdict::Crash => "crash",
        }
    }

    /// The verdict on a case on which a kernel did this.
    pub const fn of_fault(fault: Fault) -> Self {
        match fault {
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

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Verdict {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Verdict::ALL.into_iter().find(|verdict| verdict.name() == text).ok_or(())
    }
}

/// How well an output passes. The order is from best to worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Grade {
    /// Within the bound that a kernel earns by using log1p, or exactly the special value that is due.
    Tight,
    /// Within the bound of the textbook algorithm.
    Textbook,
    /// Within the bound only because the row is so long that a plain sum may have lost half of its digits.
    LongSum,
}

impl Grade {
    /// Every grade, best to worst.
    pub const ALL: [Grade; 3] = [Grade::Tight, Grade::Textbook, Grade::LongSum];

    /// The name in results.
    pub const fn name(self) -> &'static str {
        match self {
            Grade::Tight => "tight",
            Grade::Textbook => "textbook",
            Grade::LongSum => "long_sum",
        }
    }
}

impl fmt::Display for Grade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_registry_is_ordered_and_agrees_with_serde() {
        assert!(Verdict::ALL.is_sorted());
        for verdict in Verdict::ALL {
            assert_eq!(verdict.name().parse(), Ok(verdict));
            assert_eq!(serde_json::to_string(&verdict).unwrap(), format!("\"{verdict}\""));
        }
        for grade in Grade::ALL {
            assert_eq!(serde_json::to_string(&grade).unwrap(), format!("\"{grade}\""));
        }
        assert!(Verdict::Crash > Verdict::Hang && Verdict::Hang > Verdict::Panic && Verdict::Swallowed > Verdict::Nan);
    }
}
