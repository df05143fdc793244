//! One worker process: started so that it cannot outlive this one, spoken to with a time limit, watched for memory, and killed
//! with everything it started (`descendants`).
//!
//! What goes wrong is told apart by whose doing it is. A worker that ends, floods or is silent has done so itself. A signal from
//! outside, a pipe that this side cannot read, a wait that fails are no fault of a kernel, and no verdict is made of them.
// What a child does between fork and exec.
#![allow(unsafe_code)]

use super::descendants::{self, Mark};
use crate::outside;
use crate::protocol::frame;
use crate::protocol::hello::Frames;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::process::{
    Pid, Resource, Rlimit, Signal, WaitId, WaitIdOptions, WaitIdStatus, kill_process_group, setrlimit, waitid,
};
use std::collections::VecDeque;
use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How much of a worker's standard error is kept: its end.
const TAIL_BYTES: usize = 4096;
/// The longest last line of it that a message quotes, in characters.
const LONGEST_QUOTE: usize = 200;
/// How long a wait lasts before the memory is looked at, and whether the process still lives.
const GLANCE: Duration = Duration::from_millis(20);
/// The most that one turn of waiting counts. It is longer only where this program itself was stopped or had no processor, and that
/// is no time of the worker's.
const LONGEST_TURN: Duration = Duration::from_millis(100);
/// How long a worker may take to end by itself once its input has ended.
pub(super) const FAREWELL: Duration = Duration::from_secs(1);
/// How long is waited for the exit status, and for the last words, of a process that has closed its output.
const PARTING: Duration = Duration::from_millis(500);
/// Bytes that a pipe is asked to hold, so that a batch does not take many turns.
const PIPE: usize = 1 << 20;

/// Whether what workers write to standard error is shown there.
static SHOWS_ERRORS: AtomicBool = AtomicBool::new(false);

/// From now on, shows on standard error what the workers that are started write to theirs.
#[cfg(feature = "cli")]
pub(crate) fn show_errors() {
    SHOWS_ERRORS.store(true, Ordering::Relaxed);
}

/// Why a worker did not answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Failure {
    /// Its process ended; in words.
    Died(String),
    /// It used too much memory and was ended; in words.
    Bloated(String),
    /// The time was over.
    Late,
    /// It wrote something that is no answer; in words.
    Garbled(String),
    /// A signal that a kernel does not send itself ended it; in words. Whether a row is to blame shows when it is run again.
    Killed(String),
    /// This side could not do its part; in words. It says nothing of the kernel.
    Trouble(String),
}

/// The last bytes that a worker wrote to standard error.
type Tail = Arc<Mutex<VecDeque<u8>>>;

/// A running worker. Dropping it kills it.
pub(super) struct Process {
    child: Child,
    /// None once the end of the input was sent.
    input: Option<ChildStdin>,
    output: ChildStdout,
    errors: Tail,
    errors_end: Receiver<()>,
    received: Vec<u8>,
    glanced: Instant,
    mark: Mark,
    is_ended: bool,
    /// Once true, nobody waits for it any more.
    stop: Arc<AtomicBool>,
}

impl Process {
    /// Starts the program.
    pub fn start(words: &[OsString]) -> io::Result<Self> {
        let Some((program, arguments)) = words.split_first() else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        let mark = Mark::new();
        let mut command = Command::new(program);
        command.env(descendants::VARIABLE, mark.to_string());
        // For whoever looks at the list of processes, the name of this program says more than where Linux finds it.
        if *program == *descendants::OWN_PROGRAM
            && let Some(name) = std::env::args_os().next()
        {
            command.arg0(name);
        }
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // A group of its own: Ctrl-C reaches the harness alone, and what the worker starts is killed with it.
        command.process_group(0);
        let parent = rustix::process::getpid();
        // SAFETY: between fork and exec only system calls are made, and nothing is allocated.
        unsafe {
            command.pre_exec(move || prepare_child(parent));
        }
        let mut child = spawn(command)?;
        let (Some(input), Some(output), Some(stderr)) = (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(io::ErrorKind::BrokenPipe.into());
        };
        for end in [input.as_fd(), output.as_fd()] {
            fcntl_setfl(end, fcntl_getfl(end)? | OFlags::NONBLOCK)?;
            // A wish: where it is not granted, a batch takes more turns.
            #[cfg(target_os = "linux")]
            let _ = rustix::pipe::fcntl_setpipe_size(end, PIPE);
        }
        let (errors, errors_end) = drained(stderr)?;
        Ok(Self {
            child,
            input: Some(input),
            output,
            errors,
            errors_end,
            received: Vec::new(),
            glanced: Instant::now(),
            mark,
            is_ended: false,
            stop: Arc::default(),
        })
    }

    /// From now on, it is not waited for once this is true.
    pub fn stopped_by(&mut self, stop: &Arc<AtomicBool>) {
        self.stop = stop.clone();
    }

    /// Sends a request and waits for one message of at most `most` bytes, without the length or the newline that frames it.
    pub fn exchange(
        &mut self,
        request: &[u8],
        frames: Frames,
        most: u64,
        time: Duration,
        memory: u64,
    ) -> Result<Vec<u8>, Failure> {
        let (mut left, mut turn) = (time, Instant::now());
        let mut unsent = request;
        loop {
            if let Some(message) = self.message(frames, most)? {
                return Ok(message);
            }
            if left.is_zero() {
                return Err(Failure::Late);
            }
            if self.stop.load(Ordering::Relaxed) {
                return Err(Failure::Trouble("it was stopped".into()));
            }
            let is_dead = self.glance(memory)?;
            let (readable, writable) = self.wait(!unsent.is_empty(), left.min(GLANCE))?;
            if writable && let Some(input) = &mut self.input {
                match input.write(unsent) {
                    Ok(count) => unsent = &unsent[count..],
                    Err(error) if is_passing(&error) => {}
                    // It may have answered before it died.
                    Err(_) => unsent = &[],
                }
            }
            // Another process may hold the pipe of one that is dead: then there is no end to be read.
            if if readable { !self.read()? } else { is_dead } {
                return Err(self.last_words());
            }
            let now = Instant::now();
            left = left.saturating_sub(now.duration_since(turn).min(LONGEST_TURN));
            turn = now;
        }
    }

    /// Waits until the worker can be read from or written to.
    fn wait(&self, wants_to_write: bool, time: Duration) -> Result<(bool, bool), Failure> {
        let nobody: BorrowedFd = self.output.as_fd();
        let write = if wants_to_write { PollFlags::OUT } else { PollFlags::empty() };
        let mut ends = [
            PollFd::from_borrowed_fd(self.output.as_fd(), PollFlags::IN),
            PollFd::from_borrowed_fd(self.input.as_ref().map_or(nobody, AsFd::as_fd), write),
        ];
        let ends = &mut ends[..if wants_to_write { 2 } else { 1 }];
        let time = Timespec { tv_sec: time.as_secs() as i64, tv_nsec: i64::from(time.subsec_nanos()) };
        match poll(ends, Some(&time)) {
            Ok(_) => Ok((!ends[0].revents().is_empty(), ends.get(1).is_some_and(|end| !end.revents().is_empty()))),
            Err(rustix::io::Errno::INTR) => Ok((false, false)),
            Err(error) => Err(Failure::Trouble(format!("its worker cannot be waited for: {error}"))),
        }
    }

    /// Reads what is there; false at the end.
    fn read(&mut self) -> Result<bool, Failure> {
        const CHUNK: usize = 1 << 18;
        let from = self.received.len();
        self.received.resize(from + CHUNK, 0);
        let result = self.output.read(&mut self.received[from..]);
        let count = *result.as_ref().unwrap_or(&0);
        self.received.truncate(from + count);
        match result {
            Ok(count) => Ok(count > 0),
            Err(error) if is_passing(&error) => Ok(true),
            Err(error) => Err(Failure::Trouble(format!("what its worker writes cannot be read: {error}"))),
        }
    }

    /// The message, once it is complete.
    fn message(&mut self, frames: Frames, most: u64) -> Result<Option<Vec<u8>>, Failure> {
        let (from, to, end) = match frames {
            Frames::Json => match self.received.iter().position(|&byte| byte == b'\n') {
                Some(end) => (0, end, end + 1),
                None if self.received.len() as u64 > most => {
                    return Err(self.garbled(&format!("a line of more than the {most} bytes that an answer can have")));
                }
                None => return Ok(None),
            },
            Frames::Binary => {
                let Some(prefix) = self.received.first_chunk::<{ frame::PREFIX }>() else { return Ok(None) };
                let length = u64::from_le_bytes(*prefix);
                if length > frame::LARGEST {
                    return Err(self.garbled("something that is no frame"));
                }
                if length > most {
                    let what = format!("a frame of {length} bytes, more than the {most} that this answer can have,");
                    return Err(self.garbled(&what));
                }
                let end = frame::PREFIX + length as usize;
                if self.received.len() < end {
                    return Ok(None);
                }
                (frame::PREFIX, end, end)
            }
        };
        if self.received.len() > end {
            self.received.drain(..end);
            return Err(self.garbled("more than its answer"));
        }
        let mut message = std::mem::take(&mut self.received);
        message.truncate(to);
        message.drain(..from);
        Ok(Some(message))
    }

    fn garbled(&self, what: &str) -> Failure {
        let start = String::from_utf8_lossy(&self.received[..self.received.len().min(40)]).into_owned();
        Failure::Garbled(format!(
            "it wrote {what} to its standard output, beginning with `{}`; only the protocol belongs there",
            start.escape_debug()
        ))
    }

    /// Looks at the memory and at whether the process is dead, if the last look was a while ago; ends the worker if it uses too much.
    fn glance(&mut self, memory: u64) -> Result<bool, Failure> {
        if self.glanced.elapsed() < GLANCE {
            return Ok(false);
        }
        self.glanced = Instant::now();
        match resident(self.child.id()) {
            Some(bytes) if bytes > memory => {
                self.end(Duration::ZERO);
                Err(Failure::Bloated(format!(
                    "it used more than {} MiB of memory and was killed (--memory-limit)",
                    memory >> 20
                )))
            }
            _ => Ok(self.status().is_some()),
        }
    }

    /// How the process ended, if it has. It is not reaped by this: its number, and that of its group, stay its own.
    fn status(&self) -> Option<WaitIdStatus> {
        let id = Pid::from_raw(self.child.id() as i32)?;
        let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        waitid(WaitId::Pid(id), look).ok().flatten()
    }

    /// Waits until the process has ended, at most so long.
    fn ended(&self, patience: Duration) -> Option<WaitIdStatus> {
        let deadline = Instant::now() + patience;
        loop {
            match self.status() {
                None if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(1)),
                status => return status,
            }
        }
    }

    /// How the process ended, with the last line that it wrote to standard error.
    fn last_words(&mut self) -> Failure {
        let status = self.ended(PARTING);
        // Whoever else holds its standard error is ended first: then there is an end to wait for.
        self.end(Duration::ZERO);
        let signal = status.as_ref().and_then(WaitIdStatus::terminating_signal);
        let words = match (signal, status.as_ref().and_then(WaitIdStatus::exit_status)) {
            (Some(signal), _) => format!("it was ended by {}", signal_name(signal)),
            (None, Some(code)) => format!("it ended with exit status {code}"),
            (None, None) if status.is_some() => "it ended".to_owned(),
            (None, None) => "it closed its standard output".to_owned(),
        };
        let words = self.with_last_line(words);
        let from_outside = [Signal::KILL, Signal::TERM, Signal::INT, Signal::HUP, Signal::QUIT];
        match signal.is_some_and(|signal| from_outside.iter().any(|known| known.as_raw() == signal)) {
            true => Failure::Killed(words),
            false => Failure::Died(words),
        }
    }

    /// The words, and the last line that the worker wrote to standard error.
    pub fn with_last_line(&self, words: String) -> String {
        // Ends when the last process that holds the pipe does.
        let _ = self.errors_end.recv_timeout(PARTING);
        let tail: Vec<u8> = self.errors.lock().unwrap_or_else(PoisonError::into_inner).iter().copied().collect();
        let tail = String::from_utf8_lossy(&tail);
        let Some(line) = tail.lines().map(str::trim).rfind(|line| !line.is_empty()) else { return words };
        let line: String = line.chars().take(LONGEST_QUOTE).collect();
        format!("{words}; its last words: `{}`", line.escape_debug())
    }

    /// Ends its input: a worker that is waiting for a batch ends by itself then, and may tidy up.
    pub fn close(&mut self) {
        self.input = None;
    }

    /// Ends the process and everything it started, after it had so much time to end by itself.
    pub fn end(&mut self, patience: Duration) {
        self.close();
        if self.is_ended {
            return;
        }
        self.is_ended = true;
        self.ended(patience);
        // Not reaped yet, so its group still has its number, whether or not it lives.
        if let Some(group) = Pid::from_raw(self.child.id() as i32) {
            let _ = kill_process_group(group, Signal::KILL);
        }
        let _ = self.child.kill();
        descendants::end(&self.mark);
        let _ = self.child.wait();
        descendants::forget(self.child.id());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // One that is at work is not waited for.
        self.end(Duration::ZERO);
    }
}

/// In the child, before the program: it dies with its parent, and leaves no core file.
fn prepare_child(parent: Pid) -> io::Result<()> {
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    setrlimit(Resource::Core, none)?;
    #[cfg(target_os = "linux")]
    {
        rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
        // The parent may have died before that.
        if rustix::process::getppid() != Some(parent) {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
    }
    let _ = parent;
    Ok(())
}

/// Starts a process from a thread that lives as long as this program: on Linux "the parent died" means that the thread which
/// started the process did, and the threads of a campaign end with it.
fn spawn(command: Command) -> io::Result<Child> {
    type Order = (Command, Sender<io::Result<Child>>);
    static STARTER: Mutex<Option<Sender<Order>>> = Mutex::new(None);
    let gone = || io::Error::other("the thread that starts workers is gone");
    let begin = || -> io::Result<Sender<Order>> {
        let (orders, received) = channel::<Order>();
        std::thread::Builder::new().name("starts workers".into()).spawn(move || {
            for (mut command, reply) in received {
                let _ = reply.send(descendants::spawn(&mut command));
            }
        })?;
        Ok(orders)
    };
    let (reply, child) = channel();
    {
        let mut starter = STARTER.lock().unwrap_or_else(PoisonError::into_inner);
        let orders = match starter.take() {
            Some(orders) => orders,
            // Threads may be had again where they could not be.
            None => begin()?,
        };
        let sent = orders.send((command, reply));
        *starter = Some(orders);
        sent.map_err(|_| gone())?;
    }
    child.recv().map_err(|_| gone())?
}

/// Reads standard error for ever, so that a worker that floods it is never blocked, and keeps the end of it.
fn drained(mut stderr: ChildStderr) -> io::Result<(Tail, Receiver<()>)> {
    let kept = Arc::new(Mutex::new(VecDeque::new()));
    let (end, ended) = channel();
    let tail = kept.clone();
    std::thread::Builder::new().name("worker's stderr".into()).spawn(move || {
        let mut chunk = [0; TAIL_BYTES];
        let mut shown = SHOWS_ERRORS.load(Ordering::Relaxed).then(Shown::default);
        while let Ok(count @ 1..) = stderr.read(&mut chunk) {
            if let Some(shown) = &mut shown {
                shown.add(&chunk[..count]);
            }
            let mut tail = tail.lock().unwrap_or_else(PoisonError::into_inner);
            tail.extend(&chunk[..count]);
            let surplus = tail.len().saturating_sub(TAIL_BYTES);
            tail.drain(..surplus);
        }
        let _ = end.send(());
    })?;
    Ok((kept, ended))
}

/// What a worker writes to standard error, shown there line by line, without what a terminal would obey.
#[derive(Default)]
struct Shown(Vec<u8>);

impl Shown {
    fn add(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
        while let Some(end) = self.0.iter().position(|&byte| byte == b'\n' || self.0.len() > TAIL_BYTES) {
            let rest = self.0.split_off(end + 1);
            self.show();
            self.0 = rest;
        }
    }

    fn show(&self) {
        // Nobody may be there to read it.
        let text = String::from_utf8_lossy(&self.0);
        let _ = writeln!(io::stderr(), "kernel: {}", outside::line(text.trim_end_matches(['\r', '\n']), TAIL_BYTES));
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        if !self.0.is_empty() {
            self.show();
        }
    }
}

/// Whether a failed read or write only has to be tried again.
fn is_passing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

/// The resident memory of a process and of its children, in bytes; none where the system does not say.
fn resident(id: u32) -> Option<u64> {
    let statm = std::fs::read_to_string(format!("/proc/{id}/statm")).ok()?;
    let pages: u64 = statm.split_whitespace().nth(1)?.parse().ok()?;
    let own = pages * rustix::param::page_size() as u64;
    Some(own + descendants::children(id).into_iter().filter_map(resident).sum::<u64>())
}

/// The name of a signal that kernels die of.
fn signal_name(signal: i32) -> String {
    let known = [
        (Signal::SEGV, "SIGSEGV (a bad address)"),
        (Signal::BUS, "SIGBUS (a bad address)"),
        (Signal::ABORT, "SIGABRT (abort)"),
        (Signal::FPE, "SIGFPE (an arithmetic trap)"),
        (Signal::ILL, "SIGILL (an illegal instruction)"),
        (Signal::TRAP, "SIGTRAP"),
        (Signal::KILL, "SIGKILL (somebody's kill, or the system's when memory is short)"),
        (Signal::TERM, "SIGTERM"),
        (Signal::SYS, "SIGSYS"),
        (Signal::XCPU, "SIGXCPU"),
    ];
    let name = known.iter().find(|(known, _)| known.as_raw() == signal).map(|(_, name)| (*name).to_owned());
    name.unwrap_or_else(|| format!("signal {signal}"))
}
