//! Errors of the library as exceptions of the package.

use logitfuzz::Error;
use logitfuzz::error::ErrorKind;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;

/// The exception for an error: `logitfuzz.UsageError`, `logitfuzz.HarnessError` or `logitfuzz.NothingSelected`.
pub fn fault(error: &Error) -> PyErr {
    let name = match error.kind() {
        ErrorKind::Usage => "UsageError",
        ErrorKind::NothingSelected => "NothingSelected",
        _ => "HarnessError",
    };
    raised(name, &error.to_string())
}

/// Wrong usage, in a line.
pub fn usage(message: impl AsRef<str>) -> PyErr {
    raised("UsageError", message.as_ref())
}

/// The package or its library could not do its work, in a line.
pub fn harness(message: impl AsRef<str>) -> PyErr {
    raised("HarnessError", message.as_ref())
}

/// An exception of the package by its name.
fn raised(name: &str, message: &str) -> PyErr {
    Python::attach(|py| {
        let class = py.import("logitfuzz._errors").and_then(|module| module.getattr(name));
        match class.and_then(|class| class.call1((message,))) {
            Ok(exception) => PyErr::from_value(exception),
            Err(_) => PyRuntimeError::new_err(message.to_owned()),
        }
    })
}
