//! A worker program: its hello, its processes, and the policy of what happens when one of them fails.
//!
//! A batch that is answered costs one exchange. A batch that is not is run again row by row, so that each failure has its row. If
//! every row passes by itself, the failure takes a batch: it is then cut in half again and again until the row is found at which
//! it comes about.

use super::process::{Failure, Process};
use super::{Limits, MOST_FAULTS};
use crate::case::Case;
use crate::dtype::Dtype;
use crate::error::{Error, Result};
use crate::kernel::{Fault, Outcome};
use crate::op::Op;
use crate::worker::hello::{Frames, Hello};
use crate::worker::{frame, lines};
use std::collections::HashMap;
use std::ffi::OsString;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// The time for a hello: libraries that take long to load have it here.
const HELLO: Duration = Duration::from_secs(60);

/// A row for a worker: the number of a function, and a case of its op and dtype.
type Row<'a> = (usize, &'a Case);

/// A worker program.
pub(super) struct Program {
    words: Vec<OsString>,
    limits: Limits,
    hello: Hello,
    functions: Vec<(Op, Dtype)>,
    /// Workers that nobody uses at the moment; there are never more than threads.
    idle: Mutex<Vec<Process>>,
    /// The most rows of a batch: fewer for a worker that needs longer than its time for more.
    most_rows: AtomicUsize,
}

impl Program {
    /// Starts the program once, to hear its hello.
    pub fn start(label: &str, words: Vec<OsString>, limits: Limits) -> Result<Self> {
        let refuse = |why: String| Error::harness(format!("cannot load the kernel {label}: {why}"));
        let (process, hello) = greet(&words, limits).map_err(refuse)?;
        Ok(Self {
            words,
            limits,
            functions: hello.functions(),
            hello,
            idle: Mutex::new(vec![process]),
            most_rows: AtomicUsize::new(usize::MAX),
        })
    }

    pub fn hello(&self) -> &Hello {
        &self.hello
    }

    /// Runs rows in their order. After [`MOST_FAULTS`] crashes and hangs of a function the rest of its rows is not run.
    pub fn run(&self, rows: &[Row]) -> Vec<Outcome> {
        let mut outcomes = Vec::with_capacity(rows.len());
        let mut faults = HashMap::new();
        while outcomes.len() < rows.len() {
            let most = self.most_rows.load(Ordering::Relaxed).max(1);
            let rest = &rows[outcomes.len()..];
            let batch = &rest[..rest.len().min(most)];
            match self.attempt(batch, self.limits.timeout) {
                Ok(answer) => outcomes.extend(answer),
                Err(failure) => outcomes.extend(self.each(batch, &failure, &mut faults)),
            }
        }
        outcomes
    }

    /// The outcomes of a batch that failed as a whole.
    fn each(&self, batch: &[Row], failure: &Failure, faults: &mut HashMap<usize, u64>) -> Vec<Outcome> {
        let mut outcomes = Vec::with_capacity(batch.len());
        for row in batch {
            let faults = faults.entry(row.0).or_default();
            if *faults >= MOST_FAULTS {
                outcomes.push(Outcome::NotRun);
                continue;
            }
            let outcome = self.alone(*row);
            *faults += u64::from(matches!(&outcome, Outcome::Failed(fault, _) if fault.is_fatal()));
            outcomes.push(outcome);
        }
        let is_explained = outcomes.iter().any(|outcome| !matches!(outcome, Outcome::Outputs(_)));
        if !is_explained && batch.len() > 1 {
            match failure {
                // Every row is quick enough, all of them together are not.
                Failure::Late => self.most_rows.store(batch.len().div_ceil(4), Ordering::Relaxed),
                _ => self.blame_together(batch, &mut outcomes),
            }
        }
        outcomes
    }

    /// The outcome of a row in a batch of its own, with twice the time.
    fn alone(&self, row: Row) -> Outcome {
        let time = 2 * self.limits.timeout;
        let answered = |mut answer: Vec<Outcome>| answer.pop().unwrap_or(Outcome::NotRun);
        let failure = match self.attempt(&[row], time) {
            Ok(answer) => return answered(answer),
            Err(failure @ Failure::Late) => return fault(&failure, time),
            Err(failure) => failure,
        };
        // The process had run other rows before. Whether the row needs them is worth knowing: replaying it alone may pass.
        match self.start_again().and_then(|process| self.attempt_on(process, &[row], time)) {
            // Its own memory is not too much.
            Ok(answer) if matches!(failure, Failure::Bloated(_)) => answered(answer),
            Ok(_) => match fault(&failure, time) {
                Outcome::Failed(fault, words) => Outcome::Failed(
                    fault,
                    format!("{words}; a fresh process survives it, so it takes the rows before it as well"),
                ),
                outcome => outcome,
            },
            Err(failure) => fault(&failure, time),
        }
    }

    /// Each row of the batch passes alone: finds the row at which all of them together fail, if they do so again.
    fn blame_together(&self, batch: &[Row], outcomes: &mut [Outcome]) {
        let fails = |rows: usize| self.attempt(&batch[..rows], 2 * self.limits.timeout).err();
        let Some(mut failure) = fails(batch.len()) else { return };
        // The first `passing` rows pass together, the first `failing` do not.
        let (mut passing, mut failing) = (1, batch.len());
        while failing - passing > 1 {
            let middle = passing.midpoint(failing);
            match fails(middle) {
                Some(earlier) => (failing, failure) = (middle, earlier),
                None => passing = middle,
            }
        }
        if let Outcome::Failed(fault, words) = fault(&failure, 2 * self.limits.timeout) {
            outcomes[failing - 1] =
                Outcome::Failed(fault, format!("{words} (only after the {} rows before it)", failing - 1));
        }
    }

    /// One exchange. The worker is kept if it answers.
    fn attempt(&self, rows: &[Row], time: Duration) -> std::result::Result<Vec<Outcome>, Failure> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let process = match idle {
            Some(process) => process,
            None => self.start_again()?,
        };
        self.attempt_on(process, rows, time)
    }

    fn start_again(&self) -> std::result::Result<Process, Failure> {
        let (process, hello) = greet(&self.words, self.limits)
            .map_err(|why| Failure::Died(format!("it could not be started again: {why}")))?;
        if hello != self.hello {
            return Err(Failure::Garbled("it said another hello than the first time".into()));
        }
        Ok(process)
    }

    fn attempt_on(
        &self,
        mut process: Process,
        rows: &[Row],
        time: Duration,
    ) -> std::result::Result<Vec<Outcome>, Failure> {
        let mut request = Vec::new();
        let frames = self.hello.frames;
        match frames {
            Frames::Binary => frame::write_batch(rows, &mut request),
            Frames::Json => lines::write_batch(rows, &mut request),
        }
        let message = process.exchange(&request, frames, time, self.limits.memory)?;
        let dtypes = rows.iter().map(|(function, _)| self.functions[*function].1);
        let answer = match frames {
            Frames::Binary => frame::read_answer(dtypes, &message),
            Frames::Json => lines::read_answer(dtypes, &message),
        };
        let answer = answer.map_err(|why| Failure::Garbled(format!("its answer is malformed: {why}")))?;
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(process);
        Ok(answer)
    }
}

/// What a failure is, on the row that did it.
fn fault(failure: &Failure, time: Duration) -> Outcome {
    match failure {
        Failure::Died(words) | Failure::Bloated(words) | Failure::Garbled(words) => {
            Outcome::Failed(Fault::Crash, words.clone())
        }
        Failure::Late => Outcome::Failed(Fault::Hang, format!("no answer within {} ms", time.as_millis())),
    }
}

/// Starts a worker and hears its hello; in words, why not.
fn greet(words: &[OsString], limits: Limits) -> std::result::Result<(Process, Hello), String> {
    let mut process = Process::start(words).map_err(|error| {
        let program = words.first().map(|word| word.to_string_lossy()).unwrap_or_default();
        match error.kind() {
            io::ErrorKind::NotFound => {
                format!("there is no program `{program}`; check the path, or whether it is in PATH")
            }
            io::ErrorKind::PermissionDenied => {
                format!("`{program}` may not be executed; chmod +x, or name its interpreter first")
            }
            _ => format!("`{program}` cannot be started: {error}"),
        }
    })?;
    let line = process.exchange(&[], Frames::Json, HELLO, limits.memory).map_err(|failure| match failure {
        Failure::Died(words) | Failure::Bloated(words) => format!("its worker said no hello: {words}"),
        Failure::Garbled(words) => format!("its worker said more than a hello: {words}"),
        Failure::Late => process.with_last_line(format!(
            "its worker said no hello within {} seconds; it must write one line of JSON first (docs/worker-protocol.md)",
            HELLO.as_secs()
        )),
    })?;
    let hello = Hello::read(&String::from_utf8_lossy(&line)).map_err(|why| format!("its worker {why}"))?;
    Ok((process, hello))
}
