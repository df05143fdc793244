//! `logitfuzz.sarif`: SARIF 2.1.0, for code scanning. One result for each regression, with the rule that it breaks, and one note
//! for each cell that fails as recorded.
//!
//! A kernel has no place in a source file that the harness knows, so a result points at the line of its cell in the baseline, or
//! at the baseline as a whole.

use super::gate::command_of;
use crate::baseline::{Comparison, DEFAULT_PATH, Judged, Reason, State};
use crate::error::{Error, Result};
use crate::outside;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The rule of a cell that fails as recorded.
const KNOWN: &str = "fails_as_recorded";

/// The text of the file. A pure function of its argument.
///
/// # Errors
/// None is known: every comparison can be written.
pub fn text(gate: &Comparison) -> Result<String> {
    let file = gate.baseline.as_ref().map_or(DEFAULT_PATH.into(), |path| path.display().to_string());
    let mut rules: BTreeMap<String, String> = BTreeMap::new();
    let mut results = Vec::new();
    for cell in &gate.cells {
        match &cell.state {
            State::Passes | State::EmptyAsRecorded => {}
            State::FailsAsRecorded { detail, expected } => {
                rules.entry(KNOWN.into()).or_insert_with(|| "the cell fails, and the baseline knows of it".into());
                let why = expected.as_ref().map_or_else(String::new, |reason| format!(" (expected: {reason})"));
                let mut result =
                    result(cell, KNOWN, "note", "unchanged", text_of(&format!("{}: {detail}{why}", cell.name)), &file);
                if let Some(reason) = expected {
                    result["suppressions"] = json!([{ "kind": "external", "justification": text_of(reason) }]);
                }
                results.push(result);
            }
            State::Worse(regressions) => {
                for regression in regressions {
                    let rule = regression.reason.name();
                    rules.entry(rule.clone()).or_insert_with(|| regression.reason.explain());
                    let cause = cell.cause.as_ref().map_or_else(String::new, |cause| format!(" Cause: {cause}."));
                    let replay = command_of(cell, usize::MAX);
                    let replay = replay.map_or_else(String::new, |replay| format!("\n{replay}"));
                    let message = text_of(&format!("{}: {rule}: {}.{cause}", cell.name, regression.detail)) + &replay;
                    let state = if cell.recorded && regression.reason != Reason::Missing { "updated" } else { "new" };
                    let mut result = result(cell, &rule, "error", state, message, &file);
                    if let Some(cause) = &cell.cause {
                        result["properties"] = json!({ "cause": text_of(&cause.words), "certainty": cause.certainty });
                    }
                    results.push(result);
                }
            }
        }
    }
    let rules: Vec<Value> =
        rules.iter().map(|(id, text)| json!({ "id": id, "shortDescription": { "text": text } })).collect();
    let log = json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": { "name": "logitfuzz", "version": env!("CARGO_PKG_VERSION"), "rules": rules } },
            "results": results,
        }],
    });
    let text = serde_json::to_string_pretty(&log);
    text.map(|text| text + "\n").map_err(|error| Error::harness(format!("cannot write the results as SARIF: {error}")))
}

fn result(cell: &Judged, rule: &str, level: &str, state: &str, message: String, file: &str) -> Value {
    let name = [&cell.name.kernel, &cell.name.op, &cell.name.dtype, &cell.name.family].map(String::as_str).join("/");
    let name = text_of(&name);
    json!({
        "ruleId": rule,
        "level": level,
        "baselineState": state,
        "message": { "text": message },
        "locations": [{
            "physicalLocation": {
                "artifactLocation": { "uri": uri(file) },
                "region": { "startLine": cell.line.unwrap_or(1) },
            },
            "logicalLocations": [{ "fullyQualifiedName": name }],
        }],
        // What tells code scanning that two runs speak of the same thing: lines of a baseline move.
        "partialFingerprints": { "cell/v1": format!("{name}/{rule}") },
    })
}

/// One line in which nothing hides or moves anything.
fn text_of(text: &str) -> String {
    outside::line(text, usize::MAX)
}

/// A path as a relative reference: what a URI does not allow is escaped.
fn uri(path: &str) -> String {
    let mut text = String::new();
    for byte in path.replace('\\', "/").bytes() {
        match byte {
            b'/' | b'.' | b'-' | b'_' | b'~' => text.push(byte as char),
            _ if byte.is_ascii_alphanumeric() => text.push(byte as char),
            _ => text += &format!("%{byte:02X}"),
        }
    }
    text
}
