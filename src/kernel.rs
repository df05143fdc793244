//! Kernels: the implementations under test, what they claim, and how one case is run on one of them.
//!
//! [`Kernel`] is the one door. Built-in kernels ([`builtin`]) and closures ([`Closure`]) live here; kernels from outside will
//! be one more implementation of the same trait. A kernel gets a [`Case`] and returns an [`Outcome`]; it never sees the truth.

use crate::case::Case;
use crate::dtype::Dtype;
use crate::op::Op;

pub mod builtin;
mod claims;
mod closure;
mod scalar;

pub use claims::{Claims, Special, Summation};
pub use closure::{Closure, IntoClosure};
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

    /// Runs one case that the kernel supports. It may panic: [`run`] catches that.
    fn run(&self, case: &Case) -> Outcome;
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

    fn run(&self, case: &Case) -> Outcome {
        (**self).run(case)
    }
}

/// What came out of running a kernel on one case.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// The outputs, `case.op().outputs(n)` of them, each exactly the value of the dtype that the kernel wrote.
    Outputs(Vec<f64>),
    /// The kernel panicked, with this message.
    Panicked(String),
}

/// Runs one case on a kernel and catches a panic of the kernel.
pub fn run(kernel: &dyn Kernel, case: &Case) -> Outcome {
    match std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| kernel.run(case))) {
        Ok(outcome) => outcome,
        Err(payload) => Outcome::Panicked(
            payload
                .downcast_ref::<&str>()
                .map(|text| (*text).to_owned())
                .or_else(|| payload.downcast_ref::<String>().cloned())
                .unwrap_or_else(|| "a panic without a message".to_owned()),
        ),
    }
}
