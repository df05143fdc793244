//! `results.json` and `run.json` as text.
//!
//! The text is a function of the results alone: keys in one order, cells, findings and curves sorted, each on a line of its
//! own so that a difference between two runs can be read in a diff. Floats are written with the fewest digits that read back
//! to the same bits; what JSON cannot hold is a string (see [`crate::results`]).

use crate::campaign::Part;
use crate::error::{Error, Result};
use crate::results::{Results, RunInfo, SCHEMA};
use serde::{Deserialize, Serialize};

/// The text of `results.json`.
///
/// Cells are sorted by kernel, op, dtype and family; findings by kernel, op, dtype, verdict, cause, family and index; curves
/// by kernel, op and dtype. Ops and dtypes come in the order of their registries, names in that of their bytes.
///
/// # Errors
/// None is known: every value of [`Results`] can be written.
pub fn text(results: &Results) -> Result<String> {
    let mut cells: Vec<_> = results.cells.iter().collect();
    cells.sort_by_key(|cell| (&cell.kernel, cell.op, cell.dtype, &cell.family));
    let mut findings: Vec<_> = results.findings.iter().collect();
    findings.sort_by_key(|f| (&f.kernel, f.op, f.dtype, f.verdict, &f.cause, &f.family, f.case_index));
    let mut curves: Vec<_> = results.curves.iter().collect();
    curves.sort_by_key(|curve| (&curve.kernel, curve.op, curve.dtype));
    let shard = match &results.shard {
        None => String::new(),
        Some(Part { shard, failures, curves }) => format!(
            ",\n\"shard\": {{\"shard\": {},\n\"failures\": {},\n\"curves\": {}}}",
            line(shard)?,
            lines(failures)?,
            lines(curves)?
        ),
    };
    let declared = match &results.declared[..] {
        [] => String::new(),
        declared => format!("\"declared\": {},\n", lines(declared)?),
    };
    Ok(format!(
        "{{\n\"schema\": {},\n\"complete\": {},\n\"settings\": {},\n\"provenance\": {},\n{declared}\"cells\": {},\n\"findings\": {},\n\"curves\": {}{shard}\n}}\n",
        line(&results.schema)?,
        results.complete,
        line(&results.settings)?,
        line(&results.provenance)?,
        lines(&cells)?,
        lines(&findings)?,
        lines(&curves)?,
    ))
}

/// The text of `run.json`.
///
/// # Errors
/// None is known: every value of [`RunInfo`] can be written.
pub fn run_text(run: &RunInfo) -> Result<String> {
    serde_json::to_string_pretty(run).map(|text| text + "\n").map_err(cannot_write)
}

/// Reads the text of `results.json`. The error is the reason, without the file's name.
pub(super) fn parse(bytes: &[u8]) -> std::result::Result<Results, String> {
    /// What every version of the format has, so that another version is named and not taken for a broken file.
    #[derive(Deserialize)]
    struct Head {
        schema: Option<String>,
    }
    let head: Head = serde_json::from_slice(bytes).map_err(|error| {
        if error.is_data() {
            format!("{}; these are no logitfuzz results", place(&error))
        } else {
            format!("not JSON: {}; was the file cut short or edited?", place(&error))
        }
    })?;
    check_schema(head.schema.as_deref(), SCHEMA)?;
    serde_json::from_slice(bytes).map_err(|error| format!("not valid results: {}", place(&error)))
}

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

fn lines<T: Serialize>(values: &[T]) -> Result<String> {
    let lines = values.iter().map(line).collect::<Result<Vec<_>>>()?;
    Ok(if lines.is_empty() { "[]".into() } else { format!("[\n{}\n]", lines.join(",\n")) })
}

fn cannot_write(error: serde_json::Error) -> Error {
    Error::harness(format!("cannot write the results as JSON: {error}"))
}
