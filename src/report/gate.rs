//! What the gate found, as text for people, as Markdown, and as `gate.json`.
//!
//! All of them, and `junit`, `sarif` and `github` besides, are made from one [`Comparison`], so that they say the same counts.

use super::escape::{code, plain};
use super::finding::shown_command;
use crate::baseline::{CellName, Comparison, FoundCause, Improvement, Judged, Reason, Regression, State};
use crate::error::{Error, Result};
use crate::outside;
use serde::Serialize;
use std::fmt::Write as _;

/// The name and version of the format of `gate.json`.
pub const SCHEMA: &str = "logitfuzz.gate/1";

/// Cells that are worse, written out for people, the worst first; all are in `gate.json`.
const WORSE_SHOWN: usize = 20;
/// Cells that have room to tighten, written out for people.
const BETTER_SHOWN: usize = 10;

/// Writes to a string, which cannot fail.
macro_rules! put {
    ($out:expr, $($arg:tt)*) => { let _ = write!($out, $($arg)*); };
}

/// The gate as a terminal shows it.
pub fn text(gate: &Comparison) -> String {
    let against = gate.baseline.as_ref().map_or("no baseline".into(), |path| line(&path.display().to_string()));
    let mut out = format!("gate {}, against {against}\n{}\n", gate.headline(), gate.in_words());
    let worse = gate.worst_first();
    for (cell, regressions) in worse.iter().take(WORSE_SHOWN) {
        put!(out, "\n{}\n", line(&cell.name.to_string()));
        for Regression { reason, detail } in *regressions {
            put!(out, "  {}: {}\n", reason.name(), line(detail));
        }
        if let Some(cause) = &cell.cause {
            put!(out, "  cause: {}\n", line(&cause.to_string()));
        }
        if let Some(replay) = command_of(cell, REPLAY_KEPT) {
            put!(out, "  {replay}\n");
        }
    }
    more(&mut out, worse.len(), WORSE_SHOWN, "worse");
    let better: Vec<_> = gate.better().collect();
    if !better.is_empty() {
        out += "\nroom to tighten:\n";
    }
    for (cell, Improvement { detail }) in better.iter().take(BETTER_SHOWN) {
        put!(out, "  {}: {}\n", line(&cell.name.to_string()), line(detail));
    }
    more(&mut out, better.len(), BETTER_SHOWN, "better");
    out
}

/// What a cell is worse by, each reason on a line, what is said of the cause, and the command that shows it, where there is one.
pub(super) fn reasons(cell: &Judged, regressions: &[Regression]) -> Vec<String> {
    let reasons = regressions.iter().map(|Regression { reason, detail }| line(&format!("{}: {detail}", reason.name())));
    let cause = cell.cause.iter().map(|cause| line(&format!("cause: {cause}")));
    reasons.chain(cause).chain(command_of(cell, usize::MAX).map(str::to_owned)).collect()
}

/// The command that shows a cell again, where it may be shown and has at most so many characters.
pub(super) fn command_of(cell: &Judged, longest: usize) -> Option<&str> {
    cell.replay.as_deref().and_then(|replay| shown_command(replay, longest))
}

/// A text on one line of a terminal or of the log of a CI job. What begins such a line is one of our words, or the name of a kernel,
/// which cannot be a command to either.
fn line(text: &str) -> String {
    outside::line(text, usize::MAX)
}

/// Characters of a replay command that is written out; a longer one is read from `gate.json`.
const REPLAY_KEPT: usize = 400;

fn more(out: &mut String, all: usize, shown: usize, what: &str) {
    if all > shown {
        put!(out, "and {} more cells that are {what}: see gate.json\n", all - shown);
    }
}

/// The gate in GitHub-flavoured Markdown, as it stands above the summary of the report.
pub fn markdown(gate: &Comparison) -> String {
    let sign = if gate.passes() { "✅" } else { "❌" };
    let mut out = format!("# {sign} logitfuzz gate {}\n\n{}.\n", plain(&gate.headline()), plain(&gate.in_words()));
    let worse = gate.worst_first();
    if !worse.is_empty() {
        out += "\n| kernel | op | dtype | family | reason | |\n|---|---|---|---|---|---|\n";
    }
    for (Judged { name, .. }, regressions) in worse.iter().take(WORSE_SHOWN) {
        for Regression { reason, detail } in *regressions {
            let CellName { kernel, op, dtype, family } = name;
            let (op, dtype, family) = (plain(op), plain(dtype), plain(family));
            put!(out, "| {} | {op} | {dtype} | {family} | **{}** | {} |\n", code(kernel), reason.name(), plain(detail));
        }
    }
    if worse.len() > WORSE_SHOWN {
        out.push('\n');
    }
    more(&mut out, worse.len(), WORSE_SHOWN, "worse");
    let better: Vec<_> = gate.better().collect();
    if !better.is_empty() {
        out += "\nRoom to tighten:\n\n";
    }
    for (cell, Improvement { detail }) in better.iter().take(BETTER_SHOWN) {
        put!(out, "- {}: {}\n", code(&cell.name.to_string()), plain(detail));
    }
    more(&mut out, better.len(), BETTER_SHOWN, "better");
    out.push('\n');
    out
}

/// One entry of a list of `gate.json`.
#[derive(Serialize)]
struct Item<'a> {
    kernel: &'a str,
    op: &'a str,
    dtype: &'a str,
    family: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    detail: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    expected: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    replay: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<&'a FoundCause>,
}

impl<'a> Item<'a> {
    fn new(cell: &'a Judged, reason: Option<Reason>, detail: &'a str) -> Self {
        let CellName { kernel, op, dtype, family } = &cell.name;
        let (reason, replay) = (reason.map(Reason::name), cell.replay.as_deref());
        Self { kernel, op, dtype, family, reason, detail, expected: None, replay, cause: cell.cause.as_ref() }
    }
}

/// The text of `gate.json`.
///
/// # Errors
/// None is known: every comparison can be written.
pub fn json(gate: &Comparison) -> Result<String> {
    #[derive(Serialize)]
    struct Counts {
        cells: usize,
        passing: usize,
        empty_as_recorded: usize,
        failing_as_recorded: usize,
        expected: usize,
        worse: usize,
        looser: usize,
        regressions: usize,
        better: usize,
        not_in_baseline: usize,
        not_selected: usize,
    }
    #[derive(Serialize)]
    struct GateFile<'a> {
        schema: &'a str,
        passed: bool,
        baseline: Option<String>,
        slack: f64,
        counts: Counts,
        regressions: Vec<Item<'a>>,
        improvements: Vec<Item<'a>>,
        known: Vec<Item<'a>>,
    }
    let (failing_as_recorded, expected) = gate.known();
    let counts = Counts {
        cells: gate.measured().count(),
        passing: gate.passing(),
        empty_as_recorded: gate.empty(),
        failing_as_recorded,
        expected,
        worse: gate.worse().count() - gate.looser(),
        looser: gate.looser(),
        regressions: gate.regressions(),
        better: gate.better().count(),
        not_in_baseline: gate.unrecorded(),
        not_selected: gate.outside,
    };
    let regressions = gate.worst_first().into_iter().flat_map(|(cell, regressions)| {
        regressions.iter().map(|regression| Item::new(cell, Some(regression.reason), &regression.detail))
    });
    let known = gate.cells.iter().filter_map(|cell| match &cell.state {
        State::FailsAsRecorded { detail, expected } => {
            Some(Item { expected: expected.as_deref(), ..Item::new(cell, None, detail) })
        }
        _ => None,
    });
    let gate = GateFile {
        schema: SCHEMA,
        passed: gate.passes(),
        baseline: gate.baseline.as_ref().map(|path| path.display().to_string()),
        slack: gate.slack,
        counts,
        regressions: regressions.collect(),
        improvements: gate.better().map(|(cell, better)| Item::new(cell, None, &better.detail)).collect(),
        known: known.collect(),
    };
    let text = serde_json::to_string_pretty(&gate);
    text.map(|text| text + "\n").map_err(|error| Error::harness(format!("cannot write the gate as JSON: {error}")))
}
