//! Kernels: the implementations under test, what they claim, and how one case is run on one of them.
//!
//! [`Kernel`] is the one door. Built-in kernels ([`builtin`]) and closures ([`Closure`]) live here, kernels from outside in
//! `foreign`. A kernel gets a [`Case`] and returns an [`Outcome`]; it never sees the truth.

use crate::case::Case;
use crate::dtype::Dtype;
use crate::error::Error;
use crate::fenv::{Standard, Watch};
use crate::op::Op;
use crate::outside::{LONGEST_MESSAGE, line};
use crate::words::plural;
use std::ops::RangeInclusive;

pub mod batch;
pub mod builtin;
mod claims;
mod closure;
mod declaration;
mod presets;
mod scalar;

pub use crate::special::Special;
pub use batch::Batch;
pub(crate) use claims::strictly;
pub use claims::{Claims, Online, Summation};
pub use closure::{Closure, IntoBatchClosure, IntoClosure};
pub use declaration::Declaration;
pub use presets::{PRESETS, Preset, preset};
pub use scalar::{Element, Real};

/// An implementation of some of the ops in some of the dtypes.
pub trait Kernel: Send + Sync {
    /// The name in reports, findings and baselines.
    fn name(&self) -> &str;

    /// What `--kernel` takes to select this kernel again, as replay commands write it. Its name, unless it was renamed.
    fn selector(&self) -> String {
        self.name().to_owned()
    }

    /// Whether the kernel implements this op in this dtype. It is never run where it does not.
    fn supports(&self, op: Op, dtype: Dtype) -> bool;

    /// What the kernel declares of itself, which decides the error it is forgiven.
    fn claims(&self, op: Op, dtype: Dtype) -> Claims;

    /// The numbers of logits that the kernel takes. It is never run on others. Any number, unless it says otherwise.
    fn lengths(&self, _op: Op, _dtype: Dtype) -> RangeInclusive<usize> {
        0..=usize::MAX
    }

    /// Whether the kernel takes a label smoothing above 0 (cross-entropy and its gradient). It is never given one otherwise.
    fn takes_label_smoothing(&self, _op: Op, _dtype: Dtype) -> bool {
        true
    }

    /// Whether equal inputs give equal bits. Where not, relations between two runs are not checked.
    fn is_deterministic(&self) -> bool {
        true
    }

    /// The version of the library under test, for reports.
    fn version(&self) -> Option<&str> {
        None
    }

    /// Whether loading the kernel's library sets flush-to-zero, so that all who use it compute with it. No, unless it says otherwise.
    fn flushes_when_loaded(&self) -> bool {
        false
    }

    /// The same kernel with every buffer of a call at a multiple of 64 bytes; none where nobody decides where they lie.
    fn aligned(&self) -> Option<&dyn Kernel> {
        None
    }

    /// Runs one case that the kernel supports. It may panic: [`run`] catches that.
    fn run(&self, case: &Case) -> Outcome;

    /// For a kernel that runs outside this process: the door for many cases at once. Such a kernel can crash or hang, and is
    /// given up on where it does so too often.
    fn supervised(&self) -> Option<&dyn Supervised> {
        None
    }

    /// For a kernel that computes many rows of this op in this dtype in one call: the door for batches. [`Kernel::run`] is then a batch
    /// of one row.
    fn batched(&self, _op: Op, _dtype: Dtype) -> Option<&dyn Batched> {
        None
    }
}

/// A kernel that computes many rows in one call.
pub trait Batched {
    /// Computes the rows of a batch: an outcome for each, in their order. It may panic: [`run_batch`] catches that.
    fn compute(&self, batch: &Batch) -> Vec<Outcome>;

    /// The same of several batches, in a call for each: for kernels that run outside this process, at once.
    fn compute_all(&self, batches: &[&Batch]) -> Vec<Vec<Outcome>> {
        batches.iter().map(|batch| self.compute(batch)).collect()
    }
}

/// A kernel that runs in a process of its own, where a call is dear and a crash is an outcome.
pub trait Supervised {
    /// Runs cases that the kernel supports, in their order: an outcome for each.
    fn run_batch(&self, cases: &[&Case]) -> Vec<Outcome>;

    /// Why the kernel cannot be run any more though it is not to blame, in a line: its process cannot be started again, say. From
    /// then on every outcome is [`Outcome::NotRun`], and whatever was measured is not whole.
    fn trouble(&self) -> Option<String> {
        None
    }
}

/// Whether a kernel can be given this case.
pub fn accepts(kernel: &dyn Kernel, case: &Case) -> bool {
    let (op, dtype) = (case.op(), case.dtype());
    let is_smoothed = case.target().is_some_and(|(_, label_smoothing)| label_smoothing > 0.0);
    kernel.supports(op, dtype)
        && kernel.lengths(op, dtype).contains(&case.row_len())
        && (!is_smoothed || kernel.takes_label_smoothing(op, dtype))
}

/// Why a kernel cannot be run any more though it is not to blame (see [`Supervised::trouble`]), as an error of the harness.
pub fn trouble(kernel: &dyn Kernel) -> Option<Error> {
    kernel.supervised()?.trouble().map(Error::harness)
}

/// A kernel that is borrowed, such as one of the built-in ones.
impl<K: Kernel + ?Sized> Kernel for &K {
    fn name(&self) -> &str {
        (**self).name()
    }

    fn selector(&self) -> String {
        (**self).selector()
    }

    fn supports(&self, op: Op, dtype: Dtype) -> bool {
        (**self).supports(op, dtype)
    }

    fn claims(&self, op: Op, dtype: Dtype) -> Claims {
        (**self).claims(op, dtype)
    }

    fn lengths(&self, op: Op, dtype: Dtype) -> RangeInclusive<usize> {
        (**self).lengths(op, dtype)
    }

    fn takes_label_smoothing(&self, op: Op, dtype: Dtype) -> bool {
        (**self).takes_label_smoothing(op, dtype)
    }

    fn is_deterministic(&self) -> bool {
        (**self).is_deterministic()
    }

    fn version(&self) -> Option<&str> {
        (**self).version()
    }

    fn flushes_when_loaded(&self) -> bool {
        (**self).flushes_when_loaded()
    }

    fn aligned(&self) -> Option<&dyn Kernel> {
        (**self).aligned()
    }

    fn run(&self, case: &Case) -> Outcome {
        (**self).run(case)
    }

    fn supervised(&self) -> Option<&dyn Supervised> {
        (**self).supervised()
    }

    fn batched(&self, op: Op, dtype: Dtype) -> Option<&dyn Batched> {
        (**self).batched(op, dtype)
    }
}

/// What came out of running a kernel on one case.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// The outputs, `case.op().outputs(n)` of them, each exactly the value of the dtype that the kernel wrote.
    Outputs(Vec<f64>),
    /// There are no outputs, or none that could be trusted: what the kernel did instead, and a line on it for people.
    Failed(Fault, String),
    /// The kernel was not run: it had crashed or hung too often before.
    NotRun,
}

impl Outcome {
    /// This outcome of a call, or the fault that it left the environment changed, in words ([`Watch::end`]). Any other fault counts more.
    pub(crate) fn unless_changed(self, changed: Option<String>) -> Self {
        match (self, changed) {
            (Outcome::Outputs(_), Some(words)) => {
                Outcome::Failed(Fault::FenvChanged, format!("after the call {words}"))
            }
            (outcome, _) => outcome,
        }
    }
}

/// What a kernel can do wrong besides computing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Fault {
    /// It answered the same call in two ways, though it does not say that it may.
    Flaky,
    /// An output was never written, or the answer is too short.
    Unwritten,
    /// It left the floating-point environment of its thread changed.
    FenvChanged,
    /// It changed its input.
    InputChanged,
    /// It wrote outside its output, or read or wrote outside every buffer.
    OutOfBounds,
    /// It panicked, raised an exception, or refused the input.
    Panic,
    /// It did not answer in time.
    Hang,
    /// Its process died.
    Crash,
}

impl Fault {
    /// Every fault.
    pub const ALL: [Fault; 8] = [
        Fault::Flaky,
        Fault::Unwritten,
        Fault::FenvChanged,
        Fault::InputChanged,
        Fault::OutOfBounds,
        Fault::Panic,
        Fault::Hang,
        Fault::Crash,
    ];

    /// Whether the kernel's process was lost with it.
    pub const fn is_fatal(self) -> bool {
        matches!(self, Fault::Hang | Fault::Crash)
    }
}

/// The outcome of a call that was made twice: the first, if the second says the same; else what is wrong with that. A call that came to no
/// answer says enough by itself.
pub(crate) fn of_two_calls(first: Outcome, second: Outcome) -> Outcome {
    match (&first, second) {
        (Outcome::Outputs(a), Outcome::Outputs(b)) => match difference(a, &b) {
            None => first,
            Some(words) => Outcome::Failed(Fault::Flaky, format!("{words} in the next call with the same input")),
        },
        (Outcome::Outputs(_), failed @ Outcome::Failed(..)) => failed,
        _ => first,
    }
}

/// Where two answers are not the same bit for bit, NaN being one value: `output 3 is 0.25, and 0.5`.
pub(crate) fn difference(a: &[f64], b: &[f64]) -> Option<String> {
    if a.len() != b.len() {
        return Some(format!("{}, and {}", plural(a.len(), "output"), b.len()));
    }
    let index = a.iter().zip(b).position(|(a, b)| !is_same(*a, *b))?;
    Some(format!("output {index} is {:?}, and {:?}", a[index], b[index]))
}

/// Whether two outputs are the same bit for bit, NaN being one value.
pub(crate) fn is_same(a: f64, b: f64) -> bool {
    a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan())
}

/// Runs one case on a kernel, in the standard floating-point environment, and catches a panic of the kernel. The environment is put
/// back afterwards; to leave it changed is a fault, if there is no other.
pub fn run(kernel: &dyn Kernel, case: &Case) -> Outcome {
    let (caught, changed) = watched(|| kernel.run(case));
    caught.unwrap_or_else(|failed| failed).unless_changed(changed)
}

/// Runs a batch on a kernel as [`run`] runs a case: an outcome for each row. What happens to the call happens to all rows. A kernel
/// that computes no batches runs each row by itself.
pub fn run_batch(kernel: &dyn Kernel, batch: &Batch) -> Vec<Outcome> {
    let Some(batched) = kernel.batched(batch.op(), batch.dtype()) else {
        return batch.cases().iter().map(|case| run(kernel, case)).collect();
    };
    let (caught, changed) = watched(|| batched.compute(batch));
    let mut outcomes = caught.unwrap_or_else(|failed| vec![failed; batch.rows()]);
    // No row may go unjudged because a kernel is silent on it.
    let message = format!("{} where {} are due", plural(outcomes.len(), "row"), batch.rows());
    outcomes.resize(batch.rows(), Outcome::Failed(Fault::Unwritten, message));
    outcomes.into_iter().map(|outcome| outcome.unless_changed(changed.clone())).collect()
}

/// What a call of a kernel returns, or its panic as an outcome; and what it left changed in the environment.
fn watched<T>(call: impl FnOnce() -> T) -> (Result<T, Outcome>, Option<String>) {
    let _standard = Standard::enter();
    let watch = Watch::begin();
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(call));
    let changed = watch.end();
    let failed = |payload: Box<dyn std::any::Any + Send>| {
        Outcome::Failed(
            Fault::Panic,
            payload
                .downcast_ref::<&str>()
                .copied()
                .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
                .map_or_else(|| "a panic without a message".to_owned(), |text| line(text, LONGEST_MESSAGE)),
        )
    };
    (caught.map_err(failed), changed)
}
