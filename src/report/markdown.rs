//! `summary.md`: the report for a terminal, a pull request, or a CI job's summary.
//!
//! Short enough to read: one table for each dtype, the families that broke each kernel, and one finding of each kind, with
//! its command. The rest is in the page and in `results.json`.

use super::escape::{code, longest_run, plain};
use super::finding::Told;
use super::view::{FunctionView, KernelView, Ranked, View, facts, kind};
use crate::baseline::Comparison;
use crate::dtype::Dtype;
use crate::judge::Verdict;
use crate::op::Op;
use crate::results::{Results, RunInfo};
use crate::words::{count, plural, ratio};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// Kinds of findings told of one kernel that is a planted defect; of other kernels all kinds are told.
const PLANTED_KINDS_SHOWN: usize = 1;
/// Ops beside each other in a table; more of them are in several.
const MOST_OPS: usize = 10;
/// Values of a row that are written out.
const VALUES_SHOWN: usize = 8;
/// Characters of a replay command that is written out; a longer one is read from `results.json`.
const REPLAY_KEPT: usize = 600;

/// Writes to a string, which cannot fail.
macro_rules! put {
    ($out:expr, $($arg:tt)*) => { let _ = write!($out, $($arg)*); };
}

/// The table of some ops in a dtype.
fn table(out: &mut String, view: &View, is_complete: bool, dtype: Dtype, ops: &[Op]) {
    // A kernel that has nothing here has no row; in an interrupted run nobody knows yet what it has.
    let has_row =
        |kernel: &&KernelView| !is_complete || ops.iter().any(|&op| kernel.functions.contains_key(&(dtype, op)));
    let kernels: Vec<&KernelView> = view.kernels.iter().filter(has_row).collect();
    if kernels.is_empty() {
        return;
    }
    out.push_str("\n| kernel |");
    for op in ops {
        put!(out, " {op} |");
    }
    put!(out, "\n|---|{}\n", "---|".repeat(ops.len()));
    for kernel in kernels {
        put!(out, "| {}{} |", code(kernel.name), version(kernel));
        for &op in ops {
            let missing = if is_complete { "" } else { "not run" };
            put!(out, " {} |", kernel.functions.get(&(dtype, op)).map_or_else(|| missing.to_owned(), entry));
        }
        out.push('\n');
    }
}

/// The summary in GitHub-flavoured Markdown. A pure function of its arguments.
pub fn summary(results: &Results, run: Option<&RunInfo>, gate: Option<&Comparison>) -> String {
    let view = View::new(results);
    let mut out = gate.map_or_else(String::new, super::gate::markdown);
    out += "# logitfuzz report\n\n";
    if !results.complete {
        out += "**Interrupted: partial results.** The counts below are of the cases that were run until then.\n\n";
    }
    put!(out, "{}\n\n", view.headline(code));
    out += "Each entry is the worst verdict and the largest error / bound: up to 1 is as good as the textbook algorithm.\n";
    for &dtype in &view.dtypes {
        put!(out, "\n## {dtype}\n");
        let parts = view.ops.len().div_ceil(MOST_OPS).max(1);
        for ops in view.ops.chunks(view.ops.len().div_ceil(parts).max(1)) {
            table(&mut out, &view, results.complete, dtype, ops);
        }
    }
    out += "\n## What broke each kernel\n\n";
    for kernel in &view.kernels {
        put!(out, "- {}: {}\n", code(kernel.name), broken_families(kernel));
    }
    let declared = super::declared::rows(results);
    if !declared.is_empty() {
        out += "\n## What kernels declare\n\nA pass is worth what the kernel is held to. The last column counts the cases that pass only thanks to these claims.\n";
        out += "\n| kernel | declares | ops | dtypes | passes that need it |\n|---|---|---|---|---|\n";
        for row in &declared {
            let (ops, dtypes) = (row.ops.join(", "), row.dtypes.join(" "));
            put!(
                out,
                "| {} | {} | {ops} | {dtypes} | {} |\n",
                code(row.kernel),
                code(&row.declares),
                count(row.needed)
            );
        }
    }
    let strict = super::strict::rows(results);
    if !strict.is_empty() {
        put!(
            out,
            "\n## What strict would say\n\n{}\n\n| kernel | op | error / tight bound |\n|---|---|---|\n",
            super::strict::ABOUT
        );
        for row in &strict {
            put!(out, "| {} | {} | {} |\n", code(row.kernel), row.op, row.in_words(ratio));
        }
    }
    out += "\n## Findings\n";
    if results.findings.is_empty() {
        out += "\nNone: no case failed.\n";
    }
    for kernel in view.kernels.iter().filter(|kernel| !kernel.findings.is_empty()) {
        let kinds = kernel.kinds();
        put!(
            out,
            "\n### {}{}\n\n{}, {}.\n",
            code(kernel.name),
            version(kernel),
            plural(kernel.findings.len(), "finding"),
            plural(kinds, "kind")
        );
        let shown = if kernel.planted { PLANTED_KINDS_SHOWN } else { kinds };
        for first in kernel.findings.iter().take(kinds.min(shown)) {
            finding(&mut out, kernel, first);
        }
    }
    out += "\n## Settings\n\n| | |\n|---|---|\n";
    for (name, value) in facts(results, run) {
        put!(out, "| {name} | {} |\n", plain(&value));
    }
    out
}

/// The version of the library under test, after a space, where it is known.
fn version(kernel: &KernelView) -> String {
    kernel.version.map_or_else(String::new, |version| format!(" {}", plain(version)))
}

/// An entry of a matrix.
fn entry(function: &FunctionView) -> String {
    let totals = &function.totals;
    let mut text = match totals.worst() {
        None => "not run".to_owned(),
        Some(Verdict::Pass) => "pass".to_owned(),
        Some(Verdict::Undecided) => "*undecided*".to_owned(),
        Some(verdict) => format!("**{verdict}**"),
    };
    // An infinite ratio says no more than the verdict.
    if let Some(x) = totals.max_ratio.filter(|x| x.is_finite()) {
        put!(text, " {}", ratio(x));
    }
    if totals.undecided() > 0 && totals.worst() != Some(Verdict::Undecided) {
        put!(text, ", {} undecided", count(totals.undecided()));
    }
    if totals.not_run > 0 && totals.cases > 0 {
        put!(text, ", {} not run", count(totals.not_run));
    }
    text
}

/// The families that broke a kernel, by failing cases over all ops and dtypes.
fn broken_families(kernel: &KernelView) -> String {
    let mut families: BTreeMap<&str, super::view::Totals> = BTreeMap::new();
    for cell in kernel.functions.values().flat_map(|function| &function.cells) {
        families.entry(&cell.family).or_default().add(cell);
    }
    let mut broken: Vec<_> = families.iter().filter(|(_, totals)| totals.failures() > 0).collect();
    broken.sort_by_key(|(_, totals)| std::cmp::Reverse(totals.failures()));
    if broken.is_empty() {
        return if kernel.totals.cases == 0 { "not run".into() } else { "nothing".into() };
    }
    let told: Vec<String> =
        broken.iter().map(|(family, totals)| format!("{} ({})", code(family), totals.verdict_counts())).collect();
    told.join(", ")
}

fn finding(out: &mut String, kernel: &KernelView, ranked: &Ranked) {
    let f = ranked.finding;
    let told = Told::new(f);
    put!(out, "\n**{}**, {}: {} {}, family {}\n\n", f.verdict, told.cause, f.op, f.dtype, code(&f.family));
    let (decimals, hex) = (told.input_in_decimals(VALUES_SHOWN), told.input_in_hex(VALUES_SHOWN));
    put!(out, "- input: {}, exactly {}\n", code(&decimals), code(&hex));
    let at = told.index.map_or(String::new(), |index| format!(" at index {index}"));
    // A kernel that came to no answer returned nothing.
    if f.index.is_some() {
        put!(out, "- exact value{at}: {}; the kernel returned {}\n", code(&f.exact), code(&f.got_decimal));
    }
    // Where there is no finite error, the verdict has said all.
    if let Some(error) = &told.error {
        put!(out, "- error {} ulps, bound {}, ratio {}\n", error.ulps, told.bound, error.ratio);
    }
    put!(out, "- {}\n", plain(&f.explanation));
    let alike = kernel.findings.iter().map(|other| other.finding).filter(|other| kind(other) == kind(f));
    let mut verdicts = BTreeMap::new();
    for other in alike.clone().filter(|other| other.verdict != f.verdict) {
        verdicts.entry(other.verdict).or_insert(other);
    }
    for (verdict, other) in verdicts.into_iter().rev() {
        let input = Told::new(other).input_in_decimals(VALUES_SHOWN);
        put!(out, "- also {verdict}: {} {} {}\n", other.op, other.dtype, code(&input));
    }
    let others: BTreeSet<_> = alike.map(|other| (other.op, other.dtype)).filter(|&at| at != (f.op, f.dtype)).collect();
    if !others.is_empty() {
        let mut by_op: BTreeMap<Op, Vec<&str>> = BTreeMap::new();
        others.iter().for_each(|(op, dtype)| by_op.entry(*op).or_default().push(dtype.name()));
        let told: Vec<String> = by_op.iter().map(|(op, dtypes)| format!("{op} ({})", dtypes.join(" "))).collect();
        put!(out, "- also in: {}\n", told.join(", "));
    }
    if let [head, rows @ ..] = &told.batch_in_words()[..] {
        let rows: Vec<String> = rows.iter().map(|row| code(row)).collect();
        put!(out, "- {} {}\n", plain(head), rows.join("; "));
    }
    if let Some(worst) = &f.worst {
        put!(out, "- {} {}\n", plain(&told.worst_in_words(worst)), code(&worst.case));
    }
    if let Some(replay) = told.command(REPLAY_KEPT) {
        let fence = "`".repeat(longest_run(replay).max(2) + 1);
        put!(out, "\n  {fence}sh\n  {replay}\n  {fence}\n");
    } else {
        out.push_str("- the row is long; the command that replays it is in results.json\n");
    }
}
