//! A process that outlives this one by a moment: it ends what the workers of this one have started, should this one be killed.
//!
//! A worker itself dies with the harness, and what it started sees the end of its input, but a process that waits for something
//! else would stay. The watching process is this program in another mode. It waits for the end of a pipe that nobody else holds.

use crate::foreign::descendants;

/// The hidden subcommand: the process that watches.
#[cfg(target_os = "linux")]
#[derive(clap::Args)]
pub(super) struct WatchOver {
    /// The process whose workers' processes are ended once standard input has ended.
    process: u32,
}

#[cfg(target_os = "linux")]
impl WatchOver {
    pub fn main(self) -> super::Exit {
        use std::io::Read as _;
        let _ = std::io::stdin().lock().read_to_end(&mut Vec::new());
        descendants::end_all_of(self.process);
        Ok(0)
    }
}

/// Has this process watched over, once in its life, and makes it the parent of all that its workers leave behind. Where that is not
/// to be had, the worker's process group is all that ends with it.
pub(super) fn begin() {
    static BEGUN: std::sync::Once = std::sync::Once::new();
    BEGUN.call_once(|| {
        descendants::become_reaper();
        #[cfg(target_os = "linux")]
        watched();
    });
}

#[cfg(target_os = "linux")]
fn watched() {
    use std::os::unix::process::CommandExt as _;
    use std::process::{Command, Stdio};
    let Ok(words) = descendants::own_program() else { return };
    let Some((program, words)) = words.split_first() else { return };
    let mut command = Command::new(program);
    // An interpreter finds what belongs to it by its own name.
    if words.is_empty() {
        command.arg0("logitfuzz");
    }
    command.args(words).arg("watch-over").arg(std::process::id().to_string());
    // A group of its own: Ctrl-C is not for it.
    command.process_group(0).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    if let Ok(mut child) = descendants::spawn(&mut command) {
        // The pipe ends with this process, however it ends; nothing is ever written to it.
        std::mem::forget(child.stdin.take());
    }
}
