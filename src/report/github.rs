//! GitHub Actions: annotations as workflow commands, and the summary of a step.

use super::gate::reasons;
use crate::baseline::{Comparison, DEFAULT_PATH};
use crate::outside;

/// Annotations of a step that GitHub shows of each kind: the worst cells get them.
const ANNOTATIONS: usize = 10;

/// The largest summary of a step: GitHub drops one of more than 1 MiB whole, so this stays below, with room for what else
/// the step writes.
pub const LARGEST_SUMMARY: usize = 1_000_000;

/// The annotations: an error for each of the ten worst cells, a notice if there is room to tighten.
pub fn annotations(gate: &Comparison) -> String {
    let file = gate.baseline.as_ref().map_or(DEFAULT_PATH.into(), |path| path.display().to_string());
    let mut out = String::new();
    for (cell, regressions) in gate.worst_first().into_iter().take(ANNOTATIONS) {
        out += &format!(
            "::error file={},line={},title={}::{}\n",
            property(&file),
            cell.line.unwrap_or(1),
            property(&format!("logitfuzz: {}", cell.name)),
            message(&reasons(cell, regressions).join("\n"))
        );
    }
    let better = gate.better().count();
    if better > 0 && gate.passes() {
        out += &format!(
            "::notice title=logitfuzz::{better} cells are better than recorded; accept tightens the baseline\n"
        );
    }
    out
}

/// What is appended to the summary of a step, cut at a line so that it and the `there` bytes already written stay below
/// [`LARGEST_SUMMARY`].
pub fn step_summary(markdown: &str, there: usize) -> String {
    const CUT: &str = "\n\nThe rest is in the report: the summary of a step has no room for it.\n";
    let room = LARGEST_SUMMARY.saturating_sub(there);
    if markdown.len() <= room {
        return markdown.to_owned();
    }
    let end = (0..=room.saturating_sub(CUT.len())).rev().find(|&end| markdown.is_char_boundary(end)).unwrap_or(0);
    let end = markdown[..end].rfind('\n').unwrap_or(0);
    if end == 0 { String::new() } else { format!("{}{CUT}", &markdown[..end]) }
}

/// The message of a workflow command.
fn message(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// A property of a workflow command, on one line.
fn property(text: &str) -> String {
    message(&outside::line(text, usize::MAX)).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_is_cut_below_the_limit_at_a_line() {
        let long = "äöü\n".repeat(LARGEST_SUMMARY / 4);
        assert_eq!(step_summary("short\n", 0), "short\n");
        for there in [0, 1, 500_000, LARGEST_SUMMARY - 100] {
            let cut = step_summary(&long, there);
            assert!(there + cut.len() <= LARGEST_SUMMARY, "{there}");
            assert!(cut.ends_with("no room for it.\n") && cut.starts_with("äöü\n"), "{there}");
        }
        assert_eq!(step_summary(&long, LARGEST_SUMMARY), "");
    }

    #[test]
    fn commands_are_escaped() {
        assert_eq!(message("50%\nb:c"), "50%25%0Ab:c");
        assert_eq!(property("a:b,c%"), "a%3Ab%2Cc%25");
    }
}
