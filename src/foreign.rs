//! Kernels from outside: programs that speak the worker protocol, and through such a program the functions of a C library.
//!
//! A foreign kernel never runs inside the harness. It runs in a *worker*, a process of its own that is started, watched and, where
//! need be, killed and started again (`program`; `process` holds the plumbing). What goes wrong is an outcome of the one case
//! that did it: when a batch fails, it is run again row by row.

use crate::case::Case;
use crate::dtype::Dtype;
use crate::error::{Error, Result};
use crate::kernel::{Batch, Batched, Claims, Kernel, Outcome, Supervised};
use crate::op::Op;
use crate::protocol::frame::Call;
use program::Program;
use std::ffi::OsString;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

pub(crate) mod descendants;
#[cfg(feature = "cli")]
pub(crate) mod library;
mod process;
mod program;

#[cfg(feature = "cli")]
pub(crate) use process::show_errors;

/// Crashes and hangs of a kernel in one cell (kernel, op, dtype, family), in the order of its cases, after which the rest of the
/// cell is not run.
pub const MOST_FAULTS: u64 = 8;

/// What a worker is allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The time for a batch of rows; a row alone has twice as much.
    pub timeout: Duration,
    /// Bytes of resident memory, those of its children included. Watched where `/proc` tells it (Linux).
    pub memory: u64,
}

impl Default for Limits {
    /// Two seconds and 4 GiB.
    fn default() -> Self {
        Self { timeout: Duration::from_secs(2), memory: 4 << 30 }
    }
}

/// A kernel that a worker serves.
pub struct Foreign {
    program: Arc<Program>,
    name: String,
    selector: String,
    version: Option<String>,
    deterministic: bool,
    flushes_when_loaded: bool,
    /// The number of each function in the worker's hello, with what it claims.
    functions: Vec<(usize, Function)>,
    /// The same kernel, called with aligned buffers.
    aligned: Option<Box<Foreign>>,
}

struct Function {
    op: Op,
    dtype: Dtype,
    claims: Claims,
    lengths: RangeInclusive<usize>,
    label_smoothing: bool,
    batched: bool,
}

impl Foreign {
    /// Starts the program that these words name (the first is looked up in PATH) and returns the kernels that it serves.
    /// `label` is what messages call it.
    ///
    /// # Errors
    /// It cannot be started, dies or is silent for 60 seconds before its hello, or its hello is not understood.
    pub fn start(label: &str, words: Vec<OsString>, limits: Limits) -> Result<Vec<Foreign>> {
        let program = Arc::new(Program::start(label, words, limits)?);
        let mut numbers = 0..;
        let kernel = |served: &crate::protocol::hello::Served| -> Result<Foreign> {
            let functions = served.functions.iter().zip(numbers.by_ref()).map(|(function, number)| {
                let mut claims = Claims::default();
                claims.set(&function.claims)?;
                if !served.deterministic {
                    // Two runs are not comparable bit by bit.
                    (claims.shifted, claims.sequential, claims.elementwise_monotone) = (false, false, false);
                    claims.batch_invariant = false;
                }
                let lengths = function.min_len..=function.max_len;
                let &crate::protocol::hello::Function { op, dtype, label_smoothing, batched, .. } = function;
                Ok((number, Function { op, dtype, claims, lengths, label_smoothing, batched }))
            });
            Ok(Foreign {
                program: program.clone(),
                name: served.name.clone(),
                selector: format!("{}={label}", served.name),
                version: served.version.clone(),
                deterministic: served.deterministic,
                flushes_when_loaded: served.environment.is_some(),
                functions: functions.collect::<Result<_>>()?,
                aligned: None,
            })
        };
        program.hello().kernels.iter().map(kernel).collect()
    }

    /// The kernels of the program that a command starts, as `exec:COMMAND` on the command line: its words are split as a shell
    /// splits them, without any expansion.
    ///
    /// # Errors
    /// A command without a word or with an open quote, and those of [`Foreign::start`].
    pub fn command(command: &str, limits: Limits) -> Result<Vec<Foreign>> {
        let label = format!("exec:{command}");
        let words = shlex::split(command).filter(|words| !words.is_empty());
        let words = words.ok_or_else(|| {
            Error::usage(format!(
                "`{label}` is no command; write exec: and a program with its arguments, quoted as in a shell"
            ))
        })?;
        Self::start(&label, words.into_iter().map(OsString::from).collect(), limits)
    }

    /// What stops the worker, once it is true, in the middle of a row, too: for whoever does not want to wait for one that hangs. No row is
    /// run after that, and [`Supervised::trouble`] says so.
    pub fn stopper(&self) -> Arc<AtomicBool> {
        self.program.stopper()
    }

    /// The same kernel under another name, which is selected again by this.
    pub fn named(mut self, name: &str, selector: String) -> Self {
        (self.name, self.selector) = (name.to_owned(), selector);
        self
    }

    /// The same kernel, which is served under another name with aligned buffers.
    #[cfg(any(feature = "cli", feature = "arbitrary"))]
    pub(crate) fn with_aligned(mut self, aligned: Option<Foreign>) -> Self {
        self.aligned = aligned.map(Box::new);
        self
    }

    fn function(&self, op: Op, dtype: Dtype) -> Option<&(usize, Function)> {
        self.functions.iter().find(|(_, function)| (function.op, function.dtype) == (op, dtype))
    }
}

impl Kernel for Foreign {
    fn name(&self) -> &str {
        &self.name
    }

    fn selector(&self) -> String {
        self.selector.clone()
    }

    fn supports(&self, op: Op, dtype: Dtype) -> bool {
        self.function(op, dtype).is_some()
    }

    fn claims(&self, op: Op, dtype: Dtype) -> Claims {
        self.function(op, dtype).map_or_else(Claims::default, |(_, function)| function.claims.clone())
    }

    fn lengths(&self, op: Op, dtype: Dtype) -> RangeInclusive<usize> {
        self.function(op, dtype).map_or(0..=usize::MAX, |(_, function)| function.lengths.clone())
    }

    fn takes_label_smoothing(&self, op: Op, dtype: Dtype) -> bool {
        self.function(op, dtype).is_none_or(|(_, function)| function.label_smoothing)
    }

    fn is_deterministic(&self) -> bool {
        self.deterministic
    }

    fn version(&self) -> Option<&str> {
        self.version.as_deref()
    }

    fn flushes_when_loaded(&self) -> bool {
        self.flushes_when_loaded
    }

    fn aligned(&self) -> Option<&dyn Kernel> {
        self.aligned.as_deref().map(|kernel| kernel as &dyn Kernel)
    }

    fn run(&self, case: &Case) -> Outcome {
        match self.batched(case.op(), case.dtype()) {
            Some(batched) => batched.compute(&Batch::alone(case)).pop().unwrap_or(Outcome::NotRun),
            None => self.run_batch(&[case]).pop().unwrap_or(Outcome::NotRun),
        }
    }

    fn supervised(&self) -> Option<&dyn Supervised> {
        Some(self)
    }

    fn batched(&self, op: Op, dtype: Dtype) -> Option<&dyn Batched> {
        self.function(op, dtype).filter(|(_, function)| function.batched).map(|_| self as &dyn Batched)
    }
}

impl Batched for Foreign {
    fn compute(&self, batch: &Batch) -> Vec<Outcome> {
        self.compute_all(&[batch]).pop().unwrap_or_default()
    }

    fn compute_all(&self, batches: &[&Batch]) -> Vec<Vec<Outcome>> {
        let number = |batch: &Batch| self.function(batch.op(), batch.dtype()).map(|(number, _)| *number);
        let calls: Vec<Call> = batches.iter().filter_map(|&batch| Some(Call::batch(number(batch)?, batch))).collect();
        if calls.len() < batches.len() {
            return batches.iter().map(|batch| vec![Outcome::NotRun; batch.rows()]).collect();
        }
        self.program.run(&calls)
    }
}

impl Supervised for Foreign {
    fn run_batch(&self, cases: &[&Case]) -> Vec<Outcome> {
        let number = |case: &Case| self.function(case.op(), case.dtype()).map(|(number, _)| *number);
        // A function of batches is given each row as one.
        let is_batched = |case: &Case| self.batched(case.op(), case.dtype()).is_some();
        let alone: Vec<Option<Batch>> = cases.iter().map(|case| is_batched(case).then(|| Batch::alone(case))).collect();
        let rows: Vec<Call> = cases
            .iter()
            .zip(&alone)
            .filter_map(|(case, batch)| {
                let number = number(case)?;
                Some(batch.as_ref().map_or_else(|| Call::row(number, case), |batch| Call::batch(number, batch)))
            })
            .collect();
        if rows.len() < cases.len() {
            // It is only given what it supports.
            return vec![Outcome::NotRun; cases.len()];
        }
        self.program.run(&rows).into_iter().map(|mut rows| rows.pop().unwrap_or(Outcome::NotRun)).collect()
    }

    fn trouble(&self) -> Option<String> {
        Some(format!("the kernel {}: {}", self.selector, self.program.trouble()?))
    }
}
