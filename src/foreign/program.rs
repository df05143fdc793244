//! A worker program: its hello, its processes, and the policy of what happens when one of them fails.
//!
//! A batch that is answered costs one exchange. A batch that is not is run again row by row, so that each failure has its row. If
//! every row passes by itself, the failure takes a batch: it is then cut in half again and again until the row is found at which
//! it comes about.
//!
//! A worker that cannot be had (no descriptors, processes or memory are left, its program was replaced) is no failure of a row. As
//! long as another worker of the program lives, a thread waits for that one; else the start is tried again, and then the program
//! is in *trouble*: no further row is run, and whoever asked is told why.

use super::process::{FAREWELL, Failure, Process};
use super::{Limits, MOST_FAULTS};
use crate::dtype::Dtype;
use crate::error::{Error, Result};
use crate::kernel::{Fault, Outcome};
use crate::protocol::frame::{self, Call, Computes};
use crate::protocol::hello::{Frames, Hello, LARGEST_HELLO};
use crate::protocol::lines;
use std::collections::HashMap;
use std::ffi::OsString;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// The time for a hello: libraries that take long to load have it here.
const HELLO: Duration = Duration::from_secs(60);

/// The pauses before a worker is tried to be started again, where it could not be and no other one lives.
const PAUSES: [Duration; 2] = [Duration::from_millis(100), Duration::from_millis(500)];

/// A worker program.
pub(super) struct Program {
    words: Vec<OsString>,
    limits: Limits,
    hello: Hello,
    functions: Vec<Computes>,
    pool: Mutex<Pool>,
    /// A worker has become idle, or has ended.
    changed: Condvar,
    /// Why no worker can be had any more.
    trouble: OnceLock<String>,
    /// Once true, no row is waited for, and none is run.
    stop: Arc<AtomicBool>,
    /// The most rows of a batch: fewer for a worker that needs longer than its time for more.
    most_rows: AtomicUsize,
}

/// The workers of a program; there are never more than threads.
#[derive(Default)]
struct Pool {
    /// Those that nobody uses at the moment.
    idle: Vec<Process>,
    /// How many are in use, or being started.
    busy: usize,
}

impl Program {
    /// Starts the program once, to hear its hello.
    pub fn start(label: &str, words: Vec<OsString>, limits: Limits) -> Result<Self> {
        let refuse = |why: String| Error::harness(format!("cannot load the kernel {label}: {why}"));
        let (process, hello) = greet(&words, limits).map_err(|refusal| refuse(refusal.why))?;
        Ok(Self {
            words,
            limits,
            functions: hello.functions(),
            hello,
            pool: Mutex::new(Pool { idle: vec![process], busy: 0 }),
            changed: Condvar::new(),
            trouble: OnceLock::new(),
            stop: Arc::default(),
            most_rows: AtomicUsize::new(usize::MAX),
        })
    }

    pub fn hello(&self) -> &Hello {
        &self.hello
    }

    /// What stops it, once it is true: in the middle of a row, too.
    pub fn stopper(&self) -> Arc<AtomicBool> {
        self.stop.clone()
    }

    /// Why no row is run any more, if that is so.
    pub fn trouble(&self) -> Option<&str> {
        self.trouble.get().map(String::as_str)
    }

    /// Runs calls in their order: for each the outcomes of its rows. After [`MOST_FAULTS`] crashes and hangs of a function the rest of its calls is not run, and none is
    /// once the program is in trouble.
    pub fn run(&self, calls: &[Call]) -> Vec<Vec<Outcome>> {
        let mut outcomes = Vec::with_capacity(calls.len());
        let mut faults = HashMap::new();
        while outcomes.len() < calls.len() {
            if self.trouble().is_some() {
                outcomes.extend(calls[outcomes.len()..].iter().map(|call| vec![Outcome::NotRun; call.cases.len()]));
                break;
            }
            let most = self.most_rows.load(Ordering::Relaxed).max(1);
            let rest = &calls[outcomes.len()..];
            let batch = &rest[..rest.len().min(most)];
            let failure = match batch.len() {
                1 => None,
                _ => match self.attempt(batch, self.limits.timeout) {
                    Ok(answer) => {
                        outcomes.extend(answer);
                        continue;
                    }
                    Err(failure) => Some(failure),
                },
            };
            outcomes.extend(self.each(batch, failure.as_ref(), &mut faults));
        }
        outcomes
    }

    /// The outcomes of the rows of a batch one by one, and of what failed as a whole before, if it did.
    fn each(&self, batch: &[Call], failure: Option<&Failure>, faults: &mut HashMap<usize, u64>) -> Vec<Vec<Outcome>> {
        let mut outcomes = Vec::with_capacity(batch.len());
        for call in batch {
            let faults = faults.entry(call.function).or_default();
            if *faults >= MOST_FAULTS || self.trouble().is_some() {
                outcomes.push(vec![Outcome::NotRun; call.cases.len()]);
                continue;
            }
            let answer = self.alone(*call);
            // What is fatal is so for the whole call.
            *faults += u64::from(matches!(answer.first(), Some(Outcome::Failed(fault, _)) if fault.is_fatal()));
            outcomes.push(answer);
        }
        let is_explained = outcomes.iter().flatten().any(|outcome| !matches!(outcome, Outcome::Outputs(_)));
        if let Some(failure) = failure.filter(|_| !is_explained) {
            match failure {
                // Every row is quick enough, all of them together are not.
                Failure::Late => self.most_rows.store(batch.len().div_ceil(4), Ordering::Relaxed),
                // Neither is a row's doing.
                Failure::Killed(_) | Failure::Trouble(_) => {}
                _ => self.blame_together(batch, &mut outcomes),
            }
        }
        outcomes
    }

    /// The outcome of a row in a batch of its own, with twice the time.
    fn alone(&self, row: Call) -> Vec<Outcome> {
        let time = 2 * self.limits.timeout;
        let answered = |mut answer: Vec<Vec<Outcome>>| answer.pop().unwrap_or_default();
        let fault = |failure: &Failure, time: Duration| vec![fault(failure, time); row.cases.len()];
        let failure = match self.attempt(&[row], time) {
            Ok(answer) => return answered(answer),
            Err(failure @ Failure::Late) => return fault(&failure, time),
            Err(failure) => failure,
        };
        // The process had run other rows before. Whether the row needs them is worth knowing: replaying it alone may pass.
        match self.worker(true).and_then(|process| self.attempt_on(process, &[row], time)) {
            // Its own memory is not too much, and whoever killed the other process had a reason elsewhere.
            Ok(answer) if matches!(failure, Failure::Bloated(_) | Failure::Killed(_)) => answered(answer),
            Ok(_) => {
                let with_rows_before = |outcome: Outcome| match outcome {
                    Outcome::Failed(fault, words) => Outcome::Failed(
                        fault,
                        format!("{words}; a fresh process survives it, so it takes the rows before it as well"),
                    ),
                    outcome => outcome,
                };
                fault(&failure, time).into_iter().map(with_rows_before).collect()
            }
            Err(failure) => fault(&failure, time),
        }
    }

    /// Each row of the batch passes alone: finds the row at which all of them together fail, if they do so again.
    fn blame_together(&self, batch: &[Call], outcomes: &mut [Vec<Outcome>]) {
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
            let blamed = Outcome::Failed(fault, format!("{words} (only after the {} rows before it)", failing - 1));
            outcomes[failing - 1].fill(blamed);
        }
    }

    /// One exchange. The worker is kept if it answers.
    fn attempt(&self, rows: &[Call], time: Duration) -> std::result::Result<Vec<Vec<Outcome>>, Failure> {
        let process = self.worker(false)?;
        self.attempt_on(process, rows, time)
    }

    fn pool(&self) -> MutexGuard<'_, Pool> {
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A worker for one exchange, which [`Program::attempt_on`] gives back; one that has run nothing yet if `is_fresh`. Where none can
    /// be started, an idle one makes room, or it waits for those that are at work.
    fn worker(&self, is_fresh: bool) -> std::result::Result<Process, Failure> {
        let mut pool = self.pool();
        loop {
            if let Some(process) = pool.idle.pop_if(|_| !is_fresh) {
                pool.busy += 1;
                return Ok(process);
            }
            pool.busy += 1;
            drop(pool);
            let refusal = match self.start_again() {
                Ok(process) => return Ok(process),
                Err(refusal) => refusal,
            };
            pool = self.pool();
            pool.busy -= 1;
            self.changed.notify_all();
            if let Some(in_the_way) = pool.idle.pop_if(|_| is_fresh) {
                drop(pool);
                drop(in_the_way);
                pool = self.pool();
            } else if pool.idle.is_empty() {
                if pool.busy == 0 || self.trouble().is_some() {
                    drop(pool);
                    return Err(self.give_up(refusal));
                }
                pool = self.changed.wait(pool).unwrap_or_else(PoisonError::into_inner);
            }
        }
    }

    /// A worker that was in use is no more.
    fn gone(&self) {
        self.pool().busy -= 1;
        self.changed.notify_all();
    }

    /// From here on no row is run.
    fn give_up(&self, refusal: Refusal) -> Failure {
        let why = format!("its worker could not be started again: {}", refusal.why);
        Failure::Trouble(self.trouble.get_or_init(|| why).clone())
    }

    /// Starts a worker, more than once if need be.
    fn start_again(&self) -> std::result::Result<Process, Refusal> {
        let mut pauses = PAUSES.iter();
        loop {
            let refusal = match greet(&self.words, self.limits) {
                Ok((process, hello)) if hello == self.hello => return Ok(process),
                Ok(_) => Refusal { why: "it said another hello than the first time".into(), is_final: true },
                Err(refusal) => refusal,
            };
            // One that was silent for a minute is not asked again, and where others are at work, one of them will do.
            match pauses.next().filter(|_| !refusal.is_final && self.pool().busy <= 1) {
                Some(pause) => std::thread::sleep(*pause),
                None => return Err(refusal),
            }
        }
    }

    fn attempt_on(
        &self,
        mut process: Process,
        calls: &[Call],
        time: Duration,
    ) -> std::result::Result<Vec<Vec<Outcome>>, Failure> {
        let mut request = Vec::new();
        let frames = self.hello.frames;
        match frames {
            Frames::Binary => frame::write_request(calls, &mut request),
            Frames::Json => lines::write_request(calls, &mut request),
        }
        let cases = calls.iter().flat_map(|call| call.cases);
        let most = match frames {
            Frames::Binary => frame::largest_answer(cases),
            Frames::Json => lines::largest_answer(cases),
        };
        process.stopped_by(&self.stop);
        let message = match process.exchange(&request, frames, most, time, self.limits.memory) {
            Ok(message) => message,
            Err(failure) => {
                drop(process);
                self.gone();
                return Err(match failure {
                    Failure::Trouble(why) => Failure::Trouble(self.trouble.get_or_init(|| why).clone()),
                    failure => failure,
                });
            }
        };
        let dtype_of = |call: &Call| std::iter::repeat_n(self.functions[call.function].1, call.cases.len());
        let dtypes: Vec<Dtype> = calls.iter().flat_map(dtype_of).collect();
        let answer = match frames {
            Frames::Binary => frame::read_answer(dtypes.into_iter(), &message),
            Frames::Json => lines::read_answer(dtypes.into_iter(), &message),
        };
        match answer {
            Ok(answer) => {
                let mut pool = self.pool();
                pool.busy -= 1;
                pool.idle.push(process);
                self.changed.notify_all();
                let mut answer = answer.into_iter();
                Ok(calls.iter().map(|call| answer.by_ref().take(call.cases.len()).collect()).collect())
            }
            Err(why) => {
                drop(process);
                self.gone();
                Err(Failure::Garbled(format!("its answer is malformed: {why}")))
            }
        }
    }
}

impl Drop for Program {
    /// Idle workers are told that there is nothing more, all of them at once, and have their time to end by themselves.
    fn drop(&mut self) {
        let mut idle = std::mem::take(&mut self.pool().idle);
        idle.iter_mut().for_each(Process::close);
        let began = Instant::now();
        idle.iter_mut().for_each(|process| process.end(FAREWELL.saturating_sub(began.elapsed())));
    }
}

/// What a failure is, on the row that did it.
fn fault(failure: &Failure, time: Duration) -> Outcome {
    match failure {
        Failure::Died(words) | Failure::Bloated(words) | Failure::Garbled(words) | Failure::Killed(words) => {
            Outcome::Failed(Fault::Crash, words.clone())
        }
        Failure::Trouble(_) => Outcome::NotRun,
        Failure::Late => Outcome::Failed(Fault::Hang, format!("no answer within {} ms", time.as_millis())),
    }
}

/// Why a worker could not be had.
struct Refusal {
    why: String,
    /// Trying again is no use.
    is_final: bool,
}

/// Starts a worker and hears its hello.
fn greet(words: &[OsString], limits: Limits) -> std::result::Result<(Process, Hello), Refusal> {
    let once_more = |why: String| Refusal { why, is_final: false };
    let mut process = Process::start(words).map_err(|error| {
        let program = words.first().map(|word| word.to_string_lossy()).unwrap_or_default();
        once_more(match error.kind() {
            io::ErrorKind::NotFound => {
                format!("there is no program `{program}`; check the path, or whether it is in PATH")
            }
            io::ErrorKind::PermissionDenied => {
                format!("`{program}` may not be executed; chmod +x, or name its interpreter first")
            }
            _ => format!("`{program}` cannot be started: {error}"),
        })
    })?;
    let said = process.exchange(&[], Frames::Json, LARGEST_HELLO, HELLO, limits.memory);
    let line = said.map_err(|failure| match failure {
        Failure::Died(words) | Failure::Bloated(words) | Failure::Killed(words) => {
            once_more(format!("its worker said no hello: {words}"))
        }
        Failure::Garbled(words) => once_more(format!("its worker said more than a hello: {words}")),
        Failure::Trouble(words) => once_more(words),
        Failure::Late => Refusal {
            why: process.with_last_line(format!(
                "its worker said no hello within {} seconds; it must write one line of JSON first (docs/worker-protocol.md)",
                HELLO.as_secs()
            )),
            is_final: true,
        },
    })?;
    let hello = Hello::read(&String::from_utf8_lossy(&line)).map_err(|why| once_more(format!("its worker {why}")))?;
    Ok((process, hello))
}
