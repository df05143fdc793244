//! The command: parse, call the library, print, exit code. One file a subcommand.
//!
//! Exit codes: 0 pass, 1 the thing asked about fails, 2 usage or configuration, 3 the harness or a kernel could not be loaded or
//! a report not written, 4 nothing selected. An error is one line on standard error; results go to standard output.

use crate::error::Error;
use clap::{Parser, Subcommand};
use std::io::Write;
use std::process::ExitCode;

mod doctor;
mod eval;
mod list;
mod render;
mod replay;
mod report;
mod run;
mod select;
mod shrink;

/// Exit code of a command that says what it was asked and the answer is a failure.
const FAILED: u8 = 1;

#[derive(Parser)]
#[command(
    name = "logitfuzz",
    version,
    about = "Hunts numerical instability in softmax-family kernels",
    max_term_width = 120
)]
#[command(after_help = "Exit codes: 0 pass, 1 failed, 2 wrong usage, 3 could not load or write, 4 nothing selected")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Fuzz kernels and write a report; exits 0 whatever it finds
    Run(run::Run),
    /// One input, in words: every kernel's output beside the truth
    Eval(eval::Eval),
    /// Run a finding again; exits 1 if it still fails
    Replay(replay::Replay),
    /// Make a failing case smaller
    Shrink(shrink::Shrink),
    /// Turn results into a page, Markdown or JSON again
    Report(report::Report),
    /// List kernels, ops, dtypes, families
    List(list::List),
    /// Say what is missing on this machine, and the command that installs it
    Doctor(doctor::Doctor),
}

/// What a subcommand gives back: an exit code, or the error to print.
type Exit = Result<u8, Error>;

/// Runs the command on the arguments of the process.
pub fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return refuse(&error),
    };
    let exit = match arguments.command {
        Command::Run(run) => run.main(),
        Command::Eval(eval) => eval.main(),
        Command::Replay(replay) => replay.main(),
        Command::Shrink(shrink) => shrink.main(),
        Command::Report(report) => report.main(),
        Command::List(list) => list.main(),
        Command::Doctor(doctor) => doctor.main(),
    };
    match exit {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            // One line, whatever the message holds.
            let message = error.to_string().replace('\n', " ");
            let _ = writeln!(std::io::stderr(), "logitfuzz: {message}");
            ExitCode::from(error.exit_code())
        }
    }
}

/// What clap has to say: help and version as they are, an error in one line with exit code 2.
fn refuse(error: &clap::Error) -> ExitCode {
    if !error.use_stderr() {
        let _ = error.print();
        return ExitCode::SUCCESS;
    }
    let text = error.to_string();
    let text = text.strip_prefix("error: ").unwrap_or(&text);
    let sentence: Vec<&str> = text.split("\n\nUsage:").next().unwrap_or(text).split_whitespace().collect();
    let _ = writeln!(std::io::stderr(), "logitfuzz: {} (see --help)", sentence.join(" "));
    ExitCode::from(2)
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
