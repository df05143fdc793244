//! What the command prints for people: tables and findings in plain text.

use crate::case::Case;
use crate::diagnosis::{Evidence, Telling};
use crate::dtype::text;
use crate::judge::{Judgement, OutputJudgement, Verdict};
use crate::oracle::Exact;
use crate::outside;
use crate::report::finding::{Told, input_in_decimals};
use crate::results::{Finding, Results, RunInfo};
use crate::words::{ratio, short};
use std::collections::BTreeMap;
use std::path::Path;

/// One output of `eval`: the truth, the bound, and what each kernel returned.
pub(super) struct EvalRow {
    pub exact: Exact,
    pub bound_ulps: f64,
    pub kernels: Vec<(String, f64, OutputJudgement)>,
}

/// The longest list of logits that is printed in full.
const LONGEST_SHOWN: usize = 400;

/// Outputs that `eval` prints; more are left to JSON.
const OUTPUTS_SHOWN: usize = 64;

/// The case in decimals, cut where it is long.
fn input(case: &Case) -> String {
    format!("{} {} {}", case.op(), case.dtype(), input_in_decimals(case, LONGEST_SHOWN))
}

/// The table of `eval`; `whole` is what is said of each kernel as a whole.
pub(super) fn eval(case: &Case, rows: &[EvalRow], whole: &[(String, Judgement)]) -> String {
    let mut text = format!("{}\n", input(case));
    for (index, row) in rows.iter().enumerate().take(OUTPUTS_SHOWN) {
        let label = if case.op().is_scalar() { "output".to_owned() } else { format!("output {index}") };
        text += &format!("\n{label}  exact {}\n", row.exact.digits);
        text += &format!("  rounded {}, bound {} ulp\n", shown(row.exact.rounded, case), short(row.bound_ulps));
        let width = row.kernels.iter().map(|(name, ..)| name.len()).max().unwrap_or(0);
        for (name, got, judged) in &row.kernels {
            let ulps = judged.ulps.map_or("-".into(), |ulps| short(ulps.abs()));
            let strict = if judged.strict_ratio > 0.0 {
                format!("; {} times the tight bound", ratio(judged.strict_ratio))
            } else {
                String::new()
            };
            let grade = judged.grade.map_or(String::new(), |grade| format!(" ({grade}{strict})"));
            text += &format!(
                "  {name:width$}  {:>24}  {ulps:>9} ulp  ratio {:>8}  {}{grade}\n",
                shown(*got, case),
                ratio(judged.ratio),
                judged.verdict
            );
        }
    }
    if rows.len() > OUTPUTS_SHOWN {
        text += &format!("\n... {} more outputs; --format json has them all\n", rows.len() - OUTPUTS_SHOWN);
    }
    if rows.is_empty() {
        text += "\nno outputs\n";
    }
    for (name, Judgement { verdict, message, relation, .. }) in whole {
        // What happened instead of an answer, under the name of the verdict that it is: a crash is no panic.
        if let Some(message) = message {
            text += &format!("\n{name}: {verdict}: {}\n", line(message));
        } else if let Some(relation) = relation {
            text += &format!("\n{name}: {verdict}: {relation}\n");
        }
    }
    text
}

/// What a kernel said, on one line.
fn line(text: &str) -> String {
    outside::line(text, outside::LONGEST_TEXT)
}

/// An output of the case.
fn shown(x: f64, case: &Case) -> String {
    text::decimal(x, case.dtype().output())
}

/// A finding, or a case that no longer fails.
pub(super) fn finding(finding: &Finding, case: &Case) -> String {
    let told = Told::new(finding);
    let mut text = format!("{}: {} on {}\n", finding.kernel, finding.verdict, input(case));
    if let Some(index) = finding.index {
        text += &format!(
            "  output {index}: got {} ({}), exact {} ({})\n",
            finding.got_decimal, finding.got, finding.exact, finding.rounded
        );
        // NaN or an infinity has no error in ulps; the verdict says what is wrong.
        text += &match &told.error {
            Some(error) => format!("  error {} ulp, bound {} ulp, ratio {}\n", error.ulps, told.bound, error.ratio),
            None => format!("  no finite error, bound {} ulp\n", told.bound),
        };
    }
    if !finding.explanation.is_empty() {
        text += &format!("  {}\n", line(&finding.explanation));
    }
    match finding.batch() {
        Ok(Some(batch)) => text + &format!("  case: {batch}\n"),
        _ => text + &format!("  case: {case}\n"),
    }
}

/// Probes that `replay --explain` prints.
const PROBES_SHOWN: usize = 24;

/// The longest probe that is printed in full, in characters.
const LONGEST_PROBE: usize = 60;

/// The probes that show what a kernel does.
pub(super) fn evidence(kernel: &str, evidence: Option<&Evidence>) -> String {
    let Some(evidence) = evidence else {
        return "  explained by no planted defect: no probe shows what it does\n".to_owned();
    };
    let mut rows = vec![["probe".to_owned(), line(kernel), line(&evidence.title), evidence.right.to_owned()]];
    for Telling { case, index, answers } in evidence.telling.iter().take(PROBES_SHOWN) {
        let answer = |answer: &Option<f64>| answer.map_or_else(|| "no answer".to_owned(), |x| shown(x, case));
        let [ours, theirs, right] = answers;
        let at = if case.op().is_scalar() { String::new() } else { format!(" at {index}") };
        let probe = outside::line(&input_in_decimals(case, LONGEST_PROBE), 2 * LONGEST_PROBE) + &at;
        rows.push([probe, answer(ours), answer(theirs), answer(right)]);
    }
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths = [width(0), width(1), width(2)];
    let mut text =
        format!("  on {} of {} probes a correct kernel answers otherwise:\n", evidence.telling.len(), evidence.probes);
    for [probe, ours, theirs, right] in &rows {
        text += &format!("    {probe:0$}  {ours:1$}  {theirs:2$}  {right}\n", widths[0], widths[1], widths[2]);
    }
    if let Some(more) = evidence.telling.len().checked_sub(PROBES_SHOWN).filter(|&more| more > 0) {
        text += &format!("    and {more} more\n");
    }
    text
}

/// What `run` prints at the end: a line for each kernel, and where the report is.
pub(super) fn summary(results: &Results, info: &RunInfo, out: &Path) -> String {
    #[derive(Default)]
    struct KernelLine {
        cases: u64,
        outputs: u64,
        failed: u64,
        undecided: u64,
        not_run: u64,
        max_ratio: f64,
        verdicts: BTreeMap<Verdict, u64>,
    }
    let mut lines: Vec<(&str, KernelLine)> = Vec::new();
    for kernel in &results.settings.kernels {
        let mut line = KernelLine::default();
        for cell in results.cells.iter().filter(|cell| cell.kernel == *kernel) {
            line.cases += cell.cases;
            line.outputs += cell.outputs;
            line.not_run += cell.not_run;
            line.max_ratio = line.max_ratio.max(cell.max_ratio);
            for (&verdict, &count) in &cell.verdicts {
                *line.verdicts.entry(verdict).or_default() += count;
                line.failed += if verdict.is_failure() { count } else { 0 };
                line.undecided += if verdict == Verdict::Undecided { count } else { 0 };
            }
        }
        lines.push((kernel, line));
    }
    let width = lines.iter().map(|(name, _)| name.len()).max().unwrap_or(0).max("kernel".len());
    let mut text = format!(
        "{:width$}  {:>10}  {:>11}  {:>9}  {:>9}  failing cases by verdict\n",
        "kernel", "cases", "outputs", "failing", "max ratio"
    );
    for (name, line) in &lines {
        let mut verdicts: Vec<String> = line
            .verdicts
            .iter()
            .rev()
            .filter(|(verdict, _)| **verdict != Verdict::Pass)
            .map(|(verdict, count)| format!("{verdict} {count}"))
            .collect();
        if line.not_run > 0 {
            verdicts.push(format!("({} not run)", line.not_run));
        }
        text += &format!(
            "{name:width$}  {:>10}  {:>11}  {:>9}  {:>9}  {}\n",
            line.cases,
            line.outputs,
            line.failed,
            ratio(line.max_ratio),
            verdicts.join(", ")
        );
    }
    let outputs: u64 = lines.iter().map(|(_, line)| line.outputs).sum();
    let undecided: u64 = lines.iter().map(|(_, line)| line.undecided).sum();
    text += &format!(
        "\n{outputs} outputs judged in {:.1} s, {} findings, {undecided} undecided cases\n",
        info.seconds,
        results.findings.len()
    );
    if !results.complete {
        text += "interrupted: these results are partial\n";
    }
    text + &format!("report: {}\n", outside::path(&out.join(crate::report::PAGE_FILE)))
}
