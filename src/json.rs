//! JSON as all our files have it: values on a line, places of errors for people, and the name and version of a format.

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};

/// Refuses every schema but `ours`, and says of a newer version of it that it is one.
pub(crate) fn check_schema(found: Option<&str>, ours: &str) -> std::result::Result<(), String> {
    let version = |schema: &str| {
        let (name, version) = schema.split_once('/')?;
        (name == ours.split_once('/')?.0).then(|| version.parse::<u32>().ok()).flatten()
    };
    match found {
        Some(schema) if schema == ours => Ok(()),
        Some(other) if version(other) > version(ours) => {
            Err(format!("schema `{other}` is newer than `{ours}`, the one read here; update logitfuzz"))
        }
        Some(other) => Err(format!("schema `{other}` is not `{ours}`; this is another file")),
        None => Err(format!("no `schema`; `{ours}` is due there")),
    }
}

/// The schema that a file names, if it names one: what every version of a format has, so that another version is named and not taken for
/// a broken file.
pub(crate) fn schema_of(bytes: &[u8]) -> serde_json::Result<Option<String>> {
    #[derive(Deserialize)]
    struct Head {
        schema: Option<String>,
    }
    serde_json::from_slice(bytes).map(|head: Head| head.schema)
}

/// `line 3, column 7: what is wrong`.
pub(crate) fn place(error: &serde_json::Error) -> String {
    let (row, column) = (error.line(), error.column());
    let message = error.to_string();
    let message = message.strip_suffix(&format!(" at line {row} column {column}")).unwrap_or(&message);
    format!("line {row}, column {column}: {message}")
}

pub(crate) fn line(value: &impl Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(cannot_write)
}

/// An error of writing, which no value of ours is known to give.
pub(crate) fn cannot_write(error: serde_json::Error) -> Error {
    Error::harness(format!("cannot write the results as JSON: {error}"))
}
