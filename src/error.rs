//! One opaque error for everything that can go wrong outside a verdict: bad input, files, configuration.
//!
//! The message is one line that says what was wrong, where, and what to do. The [`ErrorKind`] decides the exit code of the
//! command; nothing else should branch on it.

use std::fmt;
use std::path::Path;

/// The error of every fallible function of this crate: a line for people and a kind for the exit code.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    message: String,
}

/// What sort of failure an [`Error`] is; each has an exit code of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// Wrong usage or configuration: an unknown name, a malformed file, a value out of range. Exit code 2.
    Usage,
    /// The harness or a kernel could not be loaded, or a report could not be written. Exit code 3.
    Harness,
    /// The selection matches nothing. Exit code 4.
    NothingSelected,
}

/// `Result` with this crate's [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// Wrong usage or configuration: what was wrong, where, and what to do.
    pub fn usage(message: impl Into<String>) -> Self {
        Self { kind: ErrorKind::Usage, message: message.into() }
    }

    /// The harness itself could not do its work: a file that cannot be written, a kernel that cannot be loaded.
    pub fn harness(message: impl Into<String>) -> Self {
        Self { kind: ErrorKind::Harness, message: message.into() }
    }

    /// Nothing matches the selection.
    pub fn nothing_selected(message: impl Into<String>) -> Self {
        Self { kind: ErrorKind::NothingSelected, message: message.into() }
    }

    /// A usage error about a file: `PATH: REASON`.
    pub(crate) fn file(path: &Path, reason: impl fmt::Display) -> Self {
        Self::usage(format!("{}: {reason}", path.display()))
    }

    /// The same, with what it is about before it: `PLACE: REASON`.
    #[cfg(feature = "arbitrary")]
    pub(crate) fn within(self, place: &str) -> Self {
        Self { message: format!("{place}: {}", self.message), ..self }
    }

    /// The kind, for the exit code.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The exit code of the command for this error: 2, 3 or 4.
    pub fn exit_code(&self) -> u8 {
        match self.kind {
            ErrorKind::Usage => 2,
            ErrorKind::Harness => 3,
            ErrorKind::NothingSelected => 4,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}
