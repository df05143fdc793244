//! Runs the binary in an empty folder.

use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// The command under test.
pub const LOGITFUZZ: &str = env!("CARGO_BIN_EXE_logitfuzz");

/// A folder of its own for one test; it goes away with the value.
pub struct Place(tempfile::TempDir);

/// What a command did.
#[derive(Debug)]
pub struct Ran {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Place {
    pub fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary folder"))
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// The command, to be run in this folder, its streams in pipes.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(LOGITFUZZ);
        command.args(args);
        self.at_home(&mut command);
        command
    }

    fn at_home(&self, command: &mut Command) {
        let folder = Path::new(LOGITFUZZ).parent().expect("the binary lies in a folder");
        let path = std::env::var_os("PATH").unwrap_or_default();
        let all = std::iter::once(folder.to_owned()).chain(std::env::split_paths(&path));
        command
            .current_dir(self.0.path())
            .env("PATH", std::env::join_paths(all).expect("a PATH"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
    }

    pub fn run(&self, args: &[&str]) -> Ran {
        self.command(args).output().expect("the binary runs").into()
    }

    /// Runs a line in `sh`, with the binary in PATH.
    pub fn shell(&self, line: &str) -> Ran {
        let mut command = Command::new("sh");
        command.args(["-c", line]);
        self.at_home(&mut command);
        command.output().expect("sh runs").into()
    }

    /// Standard output of a command that succeeds without a word on standard error.
    pub fn ok(&self, args: &[&str]) -> String {
        let ran = self.run(args);
        assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""), "{args:?}: {}", ran.out);
        ran.out
    }

    /// Asserts that a command is refused: this exit code, nothing on standard output, and one line with these parts.
    pub fn refused(&self, args: &[&str], code: i32, parts: &[&str]) {
        self.run(args).is_refused(&format!("{args:?}"), code, parts);
    }

    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.path(name), content).expect("a file can be written");
    }

    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    pub fn json(&self, name: &str) -> Value {
        serde_json::from_str(&self.read(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// The names in a folder and their bytes, sorted by name.
    pub fn contents(&self, folder: &str) -> Vec<(String, Vec<u8>)> {
        let mut all: Vec<_> = fs::read_dir(self.path(folder))
            .unwrap_or_else(|error| panic!("{folder}: {error}"))
            .map(|entry| {
                let entry = entry.expect("an entry");
                (entry.file_name().to_string_lossy().into_owned(), fs::read(entry.path()).unwrap_or_default())
            })
            .collect();
        all.sort();
        all
    }
}

impl Ran {
    pub fn is_refused(&self, what: &str, code: i32, parts: &[&str]) {
        assert_eq!(self.code, Some(code), "{what}: {self:?}");
        assert!(self.out.is_empty(), "{what}: {self:?}");
        assert!(self.err.starts_with("logitfuzz: ") && self.err.ends_with('\n'), "{what}: {self:?}");
        assert_eq!(self.err.matches('\n').count(), 1, "{what}: {self:?}");
        for word in ["panicked", "backtrace", "\u{1b}", "\r"] {
            assert!(!self.err.contains(word), "{what}: {self:?}");
        }
        for part in parts {
            assert!(self.err.contains(part), "{what}: no `{part}` in {self:?}");
        }
    }
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}
