//! What a worker has started, and how all of it ends with the worker.
//!
//! A process group does not hold everything: `setsid` leaves it, and a process whose parent is gone belongs to nobody. Two means of
//! Linux go further. Every worker has a *mark* in its environment, which whatever it starts inherits and `/proc` shows. And a
//! program that is the *reaper* of its descendants becomes the parent of those that lose theirs, so that one which hides its
//! environment is found, too. Elsewhere there is the process group alone.

use std::collections::BTreeSet;
#[cfg(feature = "cli")]
use std::ffi::OsString;
use std::fmt;
use std::io;
#[cfg(feature = "cli")]
use std::path::Path;
use std::process::{Child, Command};
#[cfg(feature = "cli")]
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The environment variable that holds the mark.
pub(super) const VARIABLE: &str = "LOGITFUZZ_WORKER";

/// This very program, also where its file was replaced or deleted.
#[cfg(target_os = "linux")]
pub(crate) const OWN_PROGRAM: &str = "/proc/self/exe";
#[cfg(not(target_os = "linux"))]
pub(crate) const OWN_PROGRAM: &str = "";

/// The words that start this very program again, where no file alone does: an interpreter and what it is to run.
#[cfg(feature = "cli")]
static OWN_WORDS: OnceLock<Vec<OsString>> = OnceLock::new();

/// From now on these words start this very program again. The first ones that are said count.
#[cfg(feature = "cli")]
pub(crate) fn set_own_program(words: Vec<OsString>) {
    let _ = OWN_WORDS.set(words);
}

/// The words that start this very program again, on Linux also where its file has been replaced or deleted since.
///
/// # Errors
/// The program's own file is not found.
#[cfg(feature = "cli")]
pub(crate) fn own_program() -> io::Result<Vec<OsString>> {
    if let Some(words) = OWN_WORDS.get() {
        return Ok(words.clone());
    }
    let held = Path::new(OWN_PROGRAM);
    let file = if held.exists() { held.to_owned() } else { std::env::current_exe()? };
    Ok(vec![file.into()])
}

/// The mark of one worker of this process.
pub(super) struct Mark(String);

/// What this process has started itself.
#[derive(Default)]
struct Started {
    processes: BTreeSet<u32>,
    marks: BTreeSet<String>,
}

static STARTED: Mutex<Started> = Mutex::new(Started { processes: BTreeSet::new(), marks: BTreeSet::new() });

/// Whether processes that lose their parent become children of this one.
static IS_REAPER: AtomicBool = AtomicBool::new(false);

fn started() -> MutexGuard<'static, Started> {
    STARTED.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Mark {
    /// A mark that no other worker has.
    pub fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let mark = format!("{}{}", prefix(std::process::id()), NEXT.fetch_add(1, Ordering::Relaxed));
        started().marks.insert(mark.clone());
        Self(mark)
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Drop for Mark {
    fn drop(&mut self) {
        started().marks.remove(&self.0);
    }
}

/// What the marks of all workers of a process begin with.
fn prefix(process: u32) -> String {
    format!("{process}.")
}

/// Starts a process that belongs to this one. While it is on its way from fork to exec nobody takes it for a stranger.
pub(crate) fn spawn(command: &mut Command) -> io::Result<Child> {
    let mut started = started();
    let child = command.spawn()?;
    started.processes.insert(child.id());
    Ok(child)
}

/// A process that was started here has been waited for.
pub(super) fn forget(process: u32) {
    started().processes.remove(&process);
}

/// Makes this process the parent of all its descendants that lose theirs. For the command only: a library has no right to. Not where
/// others could come to it so: as the first process of a container, or with children from before (`server & exec logitfuzz ...`).
#[cfg(feature = "cli")]
pub(crate) fn become_reaper() {
    #[cfg(target_os = "linux")]
    {
        let process = std::process::id();
        let is_alone = process != 1 && children(process).is_empty();
        if is_alone && rustix::process::set_child_subreaper(Some(rustix::process::getpid())).is_ok() {
            IS_REAPER.store(true, Ordering::Relaxed);
        }
    }
}

/// The children of a process, those that its other threads started included; none where the system does not tell.
pub(super) fn children(process: u32) -> Vec<u32> {
    let tasks = std::fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten();
    let of_task = |task: std::fs::DirEntry| std::fs::read_to_string(task.path().join("children")).unwrap_or_default();
    tasks.flat_map(|task| numbers(&of_task(task))).collect()
}

fn numbers(text: &str) -> Vec<u32> {
    text.split_whitespace().filter_map(|word| word.parse().ok()).collect()
}

/// Kills everything that a worker has started, itself included.
#[cfg(target_os = "linux")]
pub(super) fn end(mark: &Mark) {
    kill_all(|found| found == mark.0);
    if IS_REAPER.load(Ordering::Relaxed) {
        end_orphans();
    }
}

#[cfg(not(target_os = "linux"))]
pub(super) fn end(_: &Mark) {}

/// Kills what workers of this process have started, if it is marked: for whoever watches over a process that is gone.
#[cfg(all(target_os = "linux", feature = "cli"))]
pub(crate) fn end_all_of(process: u32) {
    let prefix = prefix(process);
    kill_all(|found| found.starts_with(&prefix));
}

/// What is known of the mark of a process.
#[cfg(target_os = "linux")]
enum Marked {
    With(String),
    /// It has none, it is dead, or the system does not show it.
    No,
    /// It has no environment yet: it lies between two programs, in the middle of `exec`.
    NotYet,
}

/// Kills the processes that bear a mark of which `is_chosen` says so, until there is none any more: they may be starting others. When
/// it returns, they are dead.
#[cfg(target_os = "linux")]
fn kill_all(is_chosen: impl Fn(&str) -> bool) {
    /// Rounds, a millisecond apart, after which what cannot be killed is left.
    const ROUNDS: usize = 200;
    let is_chosen = |process: u32| match mark_of(process) {
        Marked::With(mark) => Some(is_chosen(&mark)),
        Marked::No => Some(false),
        Marked::NotYet => None,
    };
    for _ in 0..ROUNDS {
        let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
        let processes = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
        let mut is_done = true;
        for process in processes.filter(|&process| process != std::process::id()) {
            match is_chosen(process) {
                Some(false) => {}
                Some(true) => {
                    kill(process, || is_chosen(process) == Some(true));
                    is_done = false;
                }
                // On a busy machine it may take long from one program to the next.
                None => is_done = false,
            }
        }
        if is_done {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
}

/// Kills a process if it is still chosen once it is held (its number may belong to another by now), and waits for its death.
#[cfg(target_os = "linux")]
fn kill(process: u32, is_chosen: impl Fn() -> bool) {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open, pidfd_send_signal};
    /// What waits on a device that does not answer cannot be killed.
    const PATIENCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 200_000_000 };
    let Some(id) = Pid::from_raw(process as i32) else { return };
    match pidfd_open(id, PidfdFlags::empty()) {
        Ok(held) if is_chosen() => {
            if pidfd_send_signal(&held, Signal::KILL).is_ok() {
                // A process that is being killed has lost its environment, and its mark with it, before it is dead.
                let _ = poll(&mut [PollFd::new(&held, PollFlags::IN)], Some(&PATIENCE));
            }
        }
        Ok(_) => {}
        // An older system, or no descriptor is left.
        Err(_) => drop(kill_process(id, Signal::KILL)),
    }
}

/// The mark in the environment of a process.
#[cfg(target_os = "linux")]
fn mark_of(process: u32) -> Marked {
    let Ok(environment) = std::fs::read(format!("/proc/{process}/environ")) else { return Marked::No };
    if environment.is_empty() {
        return if is_without(process) { Marked::No } else { Marked::NotYet };
    }
    let is_mark = |entry: &&[u8]| entry.strip_prefix(VARIABLE.as_bytes()).is_some_and(|rest| rest.starts_with(b"="));
    match environment.split(|&byte| byte == 0).find(is_mark) {
        Some(entry) => Marked::With(String::from_utf8_lossy(&entry[VARIABLE.len() + 1..]).into_owned()),
        None => Marked::No,
    }
}

/// Whether a process has no environment, and is to have none before its next program: it has ended, also where nobody has waited for it
/// yet, is the kernel's own, or was started without one. In the middle of `exec` the environment begins and ends at 0.
#[cfg(target_os = "linux")]
fn is_without(process: u32) -> bool {
    let Some(stat) = Stat::of(process) else { return true };
    stat.has_ended() || stat.is_of_kernel() || (stat.environment.0 == stat.environment.1 && stat.environment.1 != 0)
}

/// What the system tells of a process, as far as it is of use.
#[cfg(target_os = "linux")]
struct Stat {
    state: String,
    flags: u32,
    /// Where its environment begins and ends.
    environment: (u64, u64),
}

#[cfg(target_os = "linux")]
impl Stat {
    /// None where there is no such process.
    fn of(process: u32) -> Option<Self> {
        let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
        // What follows the program's name, which is in parentheses and may hold any, from the third field of the manual (proc(5)) on.
        let words: Vec<&str> = stat.rsplit_once(") ").map_or("", |(_, rest)| rest).split(' ').collect();
        let field = |number: usize| words.get(number - 3).copied().unwrap_or_default();
        let number = |place: usize| field(place).trim().parse().unwrap_or(0);
        let flags = number(9) as u32;
        Some(Self { state: field(3).to_owned(), flags, environment: (number(50), number(51)) })
    }

    fn has_ended(&self) -> bool {
        matches!(self.state.as_str(), "Z" | "X" | "x" | "")
    }

    /// `/proc` shows threads of the kernel to root.
    fn is_of_kernel(&self) -> bool {
        /// `PF_KTHREAD`.
        const OF_KERNEL: u32 = 0x0020_0000;
        self.flags & OF_KERNEL != 0
    }
}

/// Kills the children of this process that it did not start, but for those that bear the mark of a worker which lives.
#[cfg(target_os = "linux")]
fn end_orphans() {
    use rustix::process::{Pid, WaitOptions, waitpid};
    // Held throughout, so that nothing is being started meanwhile.
    let started = started();
    for process in children(std::process::id()) {
        let lives = || matches!(mark_of(process), Marked::With(mark) if started.marks.contains(&mark));
        if started.processes.contains(&process) || lives() {
            continue;
        }
        kill(process, || true);
        // Its status interests nobody, and it must not stay as a zombie.
        let _ = waitpid(Pid::from_raw(process as i32), WaitOptions::empty());
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::{Mark, Stat, VARIABLE, end, forget, is_without, spawn};
    use std::process::{Command, Stdio};

    /// A process in a session of its own, whose parent is gone, ends with its worker; one of another worker does not. Often, as it may
    /// be in the middle of `exec` when it is looked for.
    #[test]
    fn what_left_its_group_is_found() {
        let sleeper = |mark: &Mark| {
            let mut command = Command::new("sh");
            command.args(["-c", "setsid sleep 600 >&- 2>&- & echo $!"]).env(VARIABLE, mark.to_string());
            let child = spawn(command.stdout(Stdio::piped())).unwrap();
            let id = child.id();
            let said = child.wait_with_output().unwrap().stdout;
            forget(id);
            String::from_utf8(said).unwrap().trim().parse::<u32>().unwrap()
        };
        let lives = |id: u32| Stat::of(id).is_some_and(|stat| !stat.has_ended());
        let other = Mark::new();
        let another = sleeper(&other);
        for _ in 0..50 {
            let mark = Mark::new();
            let mine = sleeper(&mark);
            end(&mark);
            assert!(!lives(mine), "{}", std::fs::read_to_string(format!("/proc/{mine}/stat")).unwrap_or_default());
            assert!(lives(another));
        }
        end(&other);
        assert!(!lives(another));
    }

    /// What was started without an environment is not waited for as what is in the middle of `exec`.
    #[test]
    fn a_process_may_have_no_environment() {
        let mut command = Command::new("sleep");
        let mut child = spawn(command.arg("600").env_clear()).unwrap();
        // It is between two programs for a while.
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
        while !is_without(child.id()) && std::time::Instant::now() < deadline {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        let found = (is_without(child.id()), Stat::of(child.id()).unwrap().has_ended());
        child.kill().unwrap();
        child.wait().unwrap();
        forget(child.id());
        assert_eq!(found, (true, false));
    }
}
