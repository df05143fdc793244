//! The command: parse, call the library, print, exit code. One file a subcommand.
//!
//! Exit codes: 0 pass, 1 the thing asked about fails, 2 usage or configuration, 3 the harness or a kernel could not be loaded or
//! a report not written, 4 nothing selected. An error is one line on standard error; results go to standard output.

use crate::error::Error;
use crate::outside;
use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, Subcommand, ValueEnum};
use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

mod accept;
mod doctor;
mod eval;
mod exhaust;
mod gate;
#[cfg(unix)]
mod library;
mod list;
mod merge;
mod render;
mod replay;
mod report;
mod run;
mod select;
mod shrink;
#[cfg(unix)]
mod watch;
mod zoo;

/// Exit code of a command that says what it was asked and the answer is a failure.
const FAILED: u8 = 1;

/// Exit code of wrong usage.
const USAGE: u8 = 2;

/// What a command prints.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Printed {
    Human,
    Json,
}

#[derive(Parser)]
#[command(
    name = "logitfuzz",
    version,
    about = "Hunts numerical instability in softmax-family kernels",
    max_term_width = 120
)]
#[command(disable_help_subcommand = true)]
#[command(after_help = "\
Exit codes: 0 pass, 1 failed (gate, exhaust, replay), 2 wrong usage, 3 could not load or write, 4 nothing selected

Examples:
  logitfuzz run                                       all stable and unstable built-in kernels, into reports/latest
  logitfuzz eval --op softmax -- 1000 0               one input on every kernel, beside the truth
  logitfuzz replay reports/latest --finding 0         the first finding again
  logitfuzz exhaust --kernel naive --op softmax --dtype f16 --domain gaps    every row [0, -d] and [-d, 0], no sample
  logitfuzz run --kernel c:./libmine.so               softmax_f32 and its like of a C library
  logitfuzz run --kernel 'exec:python3 my_worker.py'  kernels in any language
  logitfuzz eval --help                               the flags of a subcommand")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Fuzz kernels and write a report; exits 0 whatever it finds
    Run(run::Run),
    /// Compare kernels with a baseline; exits 1 if any got worse
    Gate(gate::Gate),
    /// Write the baseline, from a measurement or from what a failed gate left
    Accept(accept::Accept),
    /// Go through every input of a domain, and write a certificate; exits 1 if the kernel fails anywhere
    Exhaust(exhaust::Exhaust),
    /// Put the results of all shards together
    Merge(merge::Merge),
    /// One input, in words: every kernel's output beside the truth
    Eval(eval::Eval),
    /// Run a case or findings again; exits 1 if any fails
    Replay(replay::Replay),
    /// Make a failing case smaller
    Shrink(shrink::Shrink),
    /// Turn results into a page, Markdown, JSON, JUnit or SARIF again
    Report(report::Report),
    /// Run every planted defect against every family; exits 1 if one is missed
    Zoo(zoo::Zoo),
    /// List kernels, ops, dtypes, families
    List(list::List),
    /// Say what is missing on this machine, and the command that installs it
    Doctor(doctor::Doctor),
    /// The worker that a c: kernel runs in; `run` starts it
    #[cfg(unix)]
    #[command(hide = true)]
    ServeLibrary(library::ServeLibrary),
    /// The process that ends what workers leave behind if this one is killed
    #[cfg(target_os = "linux")]
    #[command(hide = true)]
    WatchOver(watch::WatchOver),
}

/// What a subcommand gives back: an exit code, or the error to print.
type Exit = Result<u8, Error>;

/// Runs the command on the arguments of the process.
pub fn main() -> ExitCode {
    ExitCode::from(main_with(std::env::args_os()))
}

/// Runs the command in a program that is not a file of its own: an interpreter that has this library as a module. `arguments` are those of
/// the command, its name first; `program` is the words that start the same again, with the arguments to come after them. Returns the
/// exit code.
#[cfg(unix)]
pub fn main_within(arguments: impl IntoIterator<Item = OsString>, program: Vec<OsString>) -> u8 {
    crate::foreign::descendants::set_own_program(program);
    main_with(arguments)
}

fn main_with(arguments: impl IntoIterator<Item = OsString>) -> u8 {
    if let Err(error) = crate::fenv::ensure_standard() {
        complain(&error.to_string());
        return error.exit_code();
    }
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(error) => return refuse(&error),
    };
    let exit = match arguments.command {
        Command::Run(run) => run.main(),
        Command::Gate(gate) => gate.main(),
        Command::Accept(accept) => accept.main(),
        Command::Exhaust(exhaust) => exhaust.main(),
        Command::Merge(merge) => merge.main(),
        Command::Eval(eval) => eval.main(),
        Command::Replay(replay) => replay.main(),
        Command::Shrink(shrink) => shrink.main(),
        Command::Report(report) => report.main(),
        Command::Zoo(zoo) => zoo.main(),
        Command::List(list) => list.main(),
        Command::Doctor(doctor) => doctor.main(),
        #[cfg(unix)]
        Command::ServeLibrary(serve) => serve.main(),
        #[cfg(target_os = "linux")]
        Command::WatchOver(watch) => watch.main(),
    };
    match exit {
        Ok(code) => code,
        Err(error) => {
            complain(&error.to_string());
            error.exit_code()
        }
    }
}

/// The longest message, in characters: an argument that is quoted in it may be as long as the system allows.
const LONGEST_MESSAGE: usize = 4_000;

/// Prints one line on standard error, whatever the message holds (a path may hold anything).
fn complain(message: &str) {
    let _ = writeln!(std::io::stderr(), "logitfuzz: {}", outside::line(message, LONGEST_MESSAGE));
}

/// What clap has to say: help and version as they are, an error in one line with exit code 2.
fn refuse(error: &clap::Error) -> u8 {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            return match print(&error.to_string()) {
                Ok(()) => 0,
                Err(error) => {
                    complain(&error.to_string());
                    error.exit_code()
                }
            };
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            let command = Arguments::command();
            let names: Vec<&str> = command.get_subcommands().map(clap::Command::get_name).collect();
            complain(&format!("a subcommand is missing: {} (see --help)", names.join(", ")));
        }
        _ => {
            let text = error.to_string();
            let text = text.strip_prefix("error: ").unwrap_or(&text);
            // Below these come lines that one line has no room for.
            let ends = ["\n\nUsage:", "\n\nFor more information"];
            let end = ends.iter().filter_map(|end| text.find(end)).min().unwrap_or(text.len());
            let text = text[..end].replace("\n\n  tip: ", "; ").replace("\n  tip: ", "; ");
            let words: Vec<&str> = text.split_whitespace().collect();
            complain(&format!("{} (see --help)", words.join(" ")));
        }
    }
    USAGE
}

/// Reads a whole number from the command line. The standard error texts for this speak of digits and of parsing.
fn whole<N: std::str::FromStr>(text: &str) -> Result<N, String> {
    text.parse().map_err(|_| "write a whole number, at least 0 and below 2^64".to_owned())
}

/// Prints a text to standard output. A reader that went away (`| head`) is no error; a full disk is.
fn print(text: &str) -> Result<(), Error> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Error::harness(format!("cannot write to standard output: {error}")))
        }
        _ => Ok(()),
    }
}
