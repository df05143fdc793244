//! Kernels that are Python functions, and how their cases come to them.
//!
//! A campaign runs on threads of its own, and the functions of the user are called on the thread that asked for it: there are its
//! settings (`torch.no_grad`, `numpy.errstate`, a CUDA device), and there Ctrl-C arrives. So a kernel here is a door. Whoever runs it
//! leaves an order and waits; the thread of the caller takes the orders, one after the other.

use crate::case::{Encoded, EncodedBatch, encoded, encoded_batch};
use crate::encoding::values;
use logitfuzz::kernel::{Batch, Batched, Claims, Fault, Kernel, Outcome, Supervised};
use logitfuzz::{Case, Dtype, Op};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};
use std::ops::RangeInclusive;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

/// How long the caller's thread waits for an order before it looks for signals.
const GLANCE: Duration = Duration::from_millis(50);

/// Cases or batches for the functions, and where their answers go: one for each case, one for each row of a batch.
pub struct Order {
    cases: Vec<Encoded>,
    batches: Vec<EncodedBatch>,
    reply: Sender<Vec<Answer>>,
}

/// What a function made of a case.
pub enum Answer {
    /// Bytes of the output format.
    Outputs(Vec<u8>),
    /// The code of the worker protocol, and a line.
    Failed(u32, String),
}

/// What is said of the functions.
pub struct Terms {
    /// The name in reports.
    pub name: String,
    /// The op.
    pub op: Op,
    /// The dtypes.
    pub dtypes: Vec<Dtype>,
    /// What they claim.
    pub claims: Claims,
    /// The numbers of logits that they take.
    pub lengths: RangeInclusive<usize>,
    /// Whether they take a label smoothing.
    pub label_smoothing: bool,
    /// Whether they compute many rows in one call.
    pub is_batched: bool,
    /// Whether equal inputs give equal bits.
    pub is_deterministic: bool,
    /// The version of the library under test.
    pub version: Option<String>,
}

/// A kernel whose cases go to another thread.
pub struct Delivered {
    terms: Terms,
    orders: Sender<Order>,
    is_closed: AtomicBool,
}

impl Delivered {
    /// A kernel, and the orders that its cases become.
    pub fn new(terms: Terms) -> (Self, Receiver<Order>) {
        let (orders, received) = channel();
        (Self { terms, orders, is_closed: AtomicBool::new(false) }, received)
    }

    /// The answers to an order, so many; none when nobody takes orders any more.
    fn ordered(&self, cases: Vec<Encoded>, batches: Vec<EncodedBatch>, due: usize) -> Option<Vec<Answer>> {
        let (reply, answers) = channel();
        let answers = self.orders.send(Order { cases, batches, reply }).ok().and_then(|()| answers.recv().ok());
        let answers = answers.filter(|answers| answers.len() == due);
        if answers.is_none() {
            self.is_closed.store(true, Ordering::Relaxed);
        }
        answers
    }
}

impl Kernel for Delivered {
    fn name(&self) -> &str {
        &self.terms.name
    }

    fn supports(&self, op: Op, dtype: Dtype) -> bool {
        op == self.terms.op && self.terms.dtypes.contains(&dtype)
    }

    fn claims(&self, _: Op, _: Dtype) -> Claims {
        self.terms.claims.clone()
    }

    fn lengths(&self, _: Op, _: Dtype) -> RangeInclusive<usize> {
        self.terms.lengths.clone()
    }

    fn takes_label_smoothing(&self, _: Op, _: Dtype) -> bool {
        self.terms.label_smoothing
    }

    fn is_deterministic(&self) -> bool {
        self.terms.is_deterministic
    }

    fn version(&self) -> Option<&str> {
        self.terms.version.as_deref()
    }

    fn run(&self, case: &Case) -> Outcome {
        match self.terms.is_batched {
            true => self.compute(&Batch::alone(case)).pop().unwrap_or(Outcome::NotRun),
            false => self.run_batch(&[case]).pop().unwrap_or(Outcome::NotRun),
        }
    }

    fn batched(&self, _: Op, _: Dtype) -> Option<&dyn Batched> {
        self.terms.is_batched.then_some(self)
    }

    fn supervised(&self) -> Option<&dyn Supervised> {
        Some(self)
    }
}

impl Supervised for Delivered {
    fn run_batch(&self, cases: &[&Case]) -> Vec<Outcome> {
        if self.terms.is_batched {
            return cases.iter().map(|case| self.run(case)).collect();
        }
        let encoded = cases.iter().map(|case| encoded(case)).collect();
        let Some(answers) = self.ordered(encoded, Vec::new(), cases.len()) else {
            return vec![Outcome::NotRun; cases.len()];
        };
        cases.iter().zip(answers).map(|(case, answer)| outcome(case.dtype(), answer)).collect()
    }

    fn trouble(&self) -> Option<String> {
        self.is_closed.load(Ordering::Relaxed).then(|| format!("the kernel {}: it is called no more", self.terms.name))
    }
}

impl Batched for Delivered {
    fn compute(&self, batch: &Batch) -> Vec<Outcome> {
        self.compute_all(&[batch]).pop().unwrap_or_default()
    }

    fn compute_all(&self, batches: &[&Batch]) -> Vec<Vec<Outcome>> {
        let due = batches.iter().map(|batch| batch.rows()).sum();
        let encoded = batches.iter().map(|batch| encoded_batch(batch)).collect();
        let Some(answers) = self.ordered(Vec::new(), encoded, due) else {
            return batches.iter().map(|batch| vec![Outcome::NotRun; batch.rows()]).collect();
        };
        let mut answers = answers.into_iter();
        let outcomes =
            |batch: &&Batch| answers.by_ref().take(batch.rows()).map(|answer| outcome(batch.dtype(), answer)).collect();
        batches.iter().map(outcomes).collect()
    }
}

fn outcome(dtype: Dtype, answer: Answer) -> Outcome {
    match answer {
        Answer::Outputs(bytes) => Outcome::Outputs(values(dtype.output(), &bytes)),
        Answer::Failed(code, words) => {
            let fault = match code {
                2 => Fault::Unwritten,
                3 => Fault::OutOfBounds,
                4 => Fault::InputChanged,
                5 => Fault::FenvChanged,
                6 => Fault::Flaky,
                _ => Fault::Panic,
            };
            Outcome::Failed(fault, words)
        }
    }
}

/// Takes orders until nobody can give any, and lets `run` answer each: it is given a list of [`Encoded`] and one of [`EncodedBatch`], and
/// returns a list of (code, bytes or text).
///
/// # Errors
/// What `run` raises, or a signal handler: Ctrl-C. Then no further order is taken.
pub fn deliver(py: Python<'_>, orders: Receiver<Order>, run: &Bound<'_, PyAny>) -> PyResult<()> {
    let orders = Mutex::new(orders);
    let next = || match orders.lock() {
        Ok(orders) => orders.recv_timeout(GLANCE),
        Err(_) => Err(RecvTimeoutError::Disconnected),
    };
    loop {
        let order = match py.detach(next) {
            Ok(order) => order,
            Err(RecvTimeoutError::Timeout) => {
                py.check_signals()?;
                continue;
            }
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
        };
        let rows = order.cases.into_iter().map(|(dtype, n, logits, target, number, other, classes)| {
            let (logits, other) = (PyBytes::new(py, &logits), other.map(|other| PyBytes::new(py, &other)));
            (dtype, n, logits, target, number, other, classes)
        });
        let rows = PyList::new(py, rows.collect::<Vec<_>>())?;
        let batches =
            order.batches.into_iter().map(|(dtype, rows, n, logits, stride, targets, number, other, other_stride)| {
                let (logits, other) = (PyBytes::new(py, &logits), other.map(|other| PyBytes::new(py, &other)));
                (dtype, rows, n, logits, stride, targets, number, other, other_stride)
            });
        let batches = PyList::new(py, batches.collect::<Vec<_>>())?;
        let answers = run.call1((rows, batches))?;
        let mut given = Vec::new();
        for answer in answers.try_iter()? {
            let (code, what): (u32, Bound<'_, PyAny>) = answer?.extract()?;
            given.push(match code {
                0 => Answer::Outputs(what.extract()?),
                code => Answer::Failed(code, what.extract()?),
            });
        }
        // Whoever asked may be gone.
        let _ = order.reply.send(given);
    }
}

/// Waits for a thread to end, and looks for signals meanwhile. At one that raises, `stop` is called; the thread is waited for all the
/// same, and what was raised is the result.
pub fn wait_for<T: Send>(
    py: Python<'_>,
    thread: std::thread::JoinHandle<T>,
    stop: impl Fn(),
) -> PyResult<std::thread::Result<T>> {
    let mut raised = None;
    while !thread.is_finished() {
        py.detach(|| std::thread::sleep(if raised.is_none() { GLANCE / 10 } else { GLANCE }));
        if raised.is_none()
            && let Err(error) = py.check_signals()
        {
            stop();
            raised = Some(error);
        }
    }
    let joined = py.detach(|| thread.join());
    raised.map_or(Ok(joined), Err)
}
