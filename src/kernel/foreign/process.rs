//! One worker process: started so that it cannot outlive this one, spoken to with a time limit, watched for memory, and killed
//! with everything it started.

use crate::worker::frame;
use crate::worker::hello::Frames;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process_group, setrlimit};
use std::collections::VecDeque;
use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// How much of a worker's standard error is kept: its end.
const TAIL_BYTES: usize = 4096;
/// The longest last line of it that a message quotes, in characters.
const LONGEST_QUOTE: usize = 200;
/// How long a wait lasts before the memory is looked at.
const GLANCE: Duration = Duration::from_millis(20);
/// How long is waited for the exit status, and for the last words, of a process that has closed its output.
const PARTING: Duration = Duration::from_millis(500);
/// Bytes that a pipe is asked to hold, so that a batch does not take many turns.
const PIPE: usize = 1 << 20;

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
}

impl Process {
    /// Starts the program.
    pub fn start(words: &[OsString]) -> io::Result<Self> {
        let Some((program, arguments)) = words.split_first() else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        let mut command = Command::new(program);
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
        })
    }

    /// Sends a request and waits for one message, without the length or the newline that frames it.
    pub fn exchange(
        &mut self,
        request: &[u8],
        frames: Frames,
        time: Duration,
        memory: u64,
    ) -> Result<Vec<u8>, Failure> {
        let deadline = Instant::now() + time;
        let mut unsent = request;
        loop {
            if let Some(message) = self.message(frames)? {
                return Ok(message);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Failure::Late);
            }
            self.glance(memory)?;
            let (readable, writable) = self.wait(!unsent.is_empty(), left.min(GLANCE));
            if writable && let Some(input) = &mut self.input {
                match input.write(unsent) {
                    Ok(count) => unsent = &unsent[count..],
                    Err(error) if is_passing(&error) => {}
                    // It may have answered before it died.
                    Err(_) => unsent = &[],
                }
            }
            if readable && !self.read()? {
                return Err(Failure::Died(self.last_words()));
            }
        }
    }

    /// Waits until the worker can be read from or written to.
    fn wait(&self, wants_to_write: bool, time: Duration) -> (bool, bool) {
        let nobody: BorrowedFd = self.output.as_fd();
        let write = if wants_to_write { PollFlags::OUT } else { PollFlags::empty() };
        let mut ends = [
            PollFd::from_borrowed_fd(self.output.as_fd(), PollFlags::IN),
            PollFd::from_borrowed_fd(self.input.as_ref().map_or(nobody, AsFd::as_fd), write),
        ];
        let ends = &mut ends[..if wants_to_write { 2 } else { 1 }];
        let time = Timespec { tv_sec: time.as_secs() as i64, tv_nsec: i64::from(time.subsec_nanos()) };
        if poll(ends, Some(&time)).is_err() {
            return (false, false);
        }
        (!ends[0].revents().is_empty(), ends.get(1).is_some_and(|end| !end.revents().is_empty()))
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
            Err(error) => Err(Failure::Died(format!("its output cannot be read: {error}"))),
        }
    }

    /// The message, once it is complete.
    fn message(&mut self, frames: Frames) -> Result<Option<Vec<u8>>, Failure> {
        let (from, to, end) = match frames {
            Frames::Json => match self.received.iter().position(|&byte| byte == b'\n') {
                Some(end) => (0, end, end + 1),
                None if self.received.len() as u64 > frame::LARGEST => return Err(self.garbled("an endless line")),
                None => return Ok(None),
            },
            Frames::Binary => {
                let Some(prefix) = self.received.first_chunk::<{ frame::PREFIX }>() else { return Ok(None) };
                let length = u64::from_le_bytes(*prefix);
                if length > frame::LARGEST {
                    return Err(self.garbled("something that is no frame"));
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

    /// Looks at the memory, if the last look was a while ago, and ends the worker if it uses too much.
    fn glance(&mut self, memory: u64) -> Result<(), Failure> {
        if self.glanced.elapsed() < GLANCE {
            return Ok(());
        }
        self.glanced = Instant::now();
        match resident(self.child.id()) {
            Some(bytes) if bytes > memory => {
                self.kill();
                Err(Failure::Bloated(format!(
                    "it used more than {} MiB of memory and was killed (--memory-limit)",
                    memory >> 20
                )))
            }
            _ => Ok(()),
        }
    }

    /// How the process ended, with the last line that it wrote to standard error.
    fn last_words(&mut self) -> String {
        let deadline = Instant::now() + PARTING;
        let status = loop {
            match self.child.try_wait() {
                Ok(Some(status)) => break Some(status),
                Ok(None) if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(1)),
                _ => break None,
            }
        };
        let end = status.map_or_else(|| "it closed its standard output".to_owned(), ended);
        self.with_last_line(end)
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

    fn kill(&mut self) {
        // A group of a worker that has ended but was not waited for yet still has its number.
        if matches!(self.child.try_wait(), Ok(None))
            && let Some(group) = Pid::from_raw(self.child.id() as i32)
        {
            let _ = kill_process_group(group, Signal::KILL);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // A worker that is waiting for a batch ends by itself here, and may tidy up; one that is at work is not waited for.
        self.input = None;
        self.kill();
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
    static STARTER: OnceLock<Mutex<Sender<Order>>> = OnceLock::new();
    let starter = STARTER.get_or_init(|| {
        let (orders, received) = channel::<Order>();
        std::thread::spawn(move || {
            for (mut command, reply) in received {
                let _ = reply.send(command.spawn());
            }
        });
        Mutex::new(orders)
    });
    let (reply, child) = channel();
    let gone = |_| io::Error::other("the thread that starts workers is gone");
    starter.lock().unwrap_or_else(PoisonError::into_inner).send((command, reply)).map_err(|_| gone(()))?;
    child.recv().map_err(|_| gone(()))?
}

/// Reads standard error for ever, so that a worker that floods it is never blocked, and keeps the end of it.
fn drained(mut stderr: ChildStderr) -> io::Result<(Tail, Receiver<()>)> {
    let kept = Arc::new(Mutex::new(VecDeque::new()));
    let (end, ended) = channel();
    let tail = kept.clone();
    std::thread::Builder::new().name("worker's stderr".into()).spawn(move || {
        let mut chunk = [0; TAIL_BYTES];
        while let Ok(count @ 1..) = stderr.read(&mut chunk) {
            let mut tail = tail.lock().unwrap_or_else(PoisonError::into_inner);
            tail.extend(&chunk[..count]);
            let surplus = tail.len().saturating_sub(TAIL_BYTES);
            tail.drain(..surplus);
        }
        let _ = end.send(());
    })?;
    Ok((kept, ended))
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
    let children = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap_or_default();
    let of_children = children.split_whitespace().filter_map(|child| resident(child.parse().ok()?)).sum::<u64>();
    Some(own + of_children)
}

/// How a process ended, in words.
fn ended(status: ExitStatus) -> String {
    match (status.signal(), status.code()) {
        (Some(signal), _) => format!("it was ended by {}", signal_name(signal)),
        (None, Some(code)) => format!("it ended with exit status {code}"),
        (None, None) => "it ended".into(),
    }
}

/// The name of a signal that kernels die of.
fn signal_name(signal: i32) -> String {
    let known = [
        (Signal::SEGV, "SIGSEGV (a bad address)"),
        (Signal::BUS, "SIGBUS (a bad address)"),
        (Signal::ABORT, "SIGABRT (abort)"),
        (Signal::FPE, "SIGFPE (integer division)"),
        (Signal::ILL, "SIGILL (an illegal instruction)"),
        (Signal::TRAP, "SIGTRAP"),
        (Signal::KILL, "SIGKILL"),
        (Signal::TERM, "SIGTERM"),
        (Signal::SYS, "SIGSYS"),
        (Signal::XCPU, "SIGXCPU"),
    ];
    let name = known.iter().find(|(known, _)| known.as_raw() == signal).map(|(_, name)| (*name).to_owned());
    name.unwrap_or_else(|| format!("signal {signal}"))
}
