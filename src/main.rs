//! The `logitfuzz` command. Everything it does is in the library; this file is the door.

use std::process::ExitCode;

fn main() -> ExitCode {
    logitfuzz::cli::main()
}
