//! The rules of the gate: what counts as worse, and why a libm of another machine does not.

use super::{
    Baseline, BaselineSettings, CellName, Entry, FunctionName, failing, in_words, selects, three_digits_up, worst_grade,
};
use crate::dtype::Dtype;
use crate::error::{Error, Result};
use crate::judge::Verdict;
use crate::kernel::Declaration;
use crate::results::{Cell, Certainty, Finding, Results};
use crate::words::short;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// By how much a ratio may exceed what is recorded, in units of the bound; past a bound, in units of what is recorded.
///
/// It makes room for another libm. Correct kernels whose every exp was moved by 1 ulp (up, down, or either by a hash of its
/// argument) had ratios larger by up to 0.507, with the claims `exp=3` and `exp=4`, over all ops, dtypes and families. The
/// figure must lie above that, and below what would let a ratio of 0.3 pass 1: that fails whatever the slack.
pub const DEFAULT_SLACK: f64 = 0.6;

/// The share of a cell's cases that counts as one unit where failing cases are counted: in a cell of 100 with few failures, 12
/// more are within the default slack. Rounding decides those, and rounding differs between libms; measured were 12.
const FAILURES_UNIT: f64 = 0.2;

/// What stands for the family in the name of what a function declares: it goes for all of its cells.
pub const DECLARED: &str = "(declared)";

/// Why a cell is worse than its entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// An expected failure passes: the exception is not needed any more.
    ExpectedPasses,
    /// The worst grade of an output that passes is a worse one.
    GradeFell,
    /// The ratio is larger than recorded by more than the slack.
    RatioGrown,
    /// More cases fail than recorded, by more than the slack.
    MoreFailures,
    /// The ratio is above 1 and was not.
    RatioAbove1,
    /// The oracle left a case undecided, and did not before.
    Undecided,
    /// More cases of this verdict, which rounding does not decide, at the same seed.
    More(Verdict),
    /// A failing verdict that was not there.
    NewVerdict(Verdict),
    /// More cases were not run: the kernel was given up on.
    NotRun,
    /// Fewer cases were judged than recorded, and none of them was given up on.
    FewerCases,
    /// The cell was selected, and nothing was measured.
    Missing,
    /// The kernel declares of itself what forgives more, or skips more, than was accepted: nothing else can be relied on then.
    Looser,
}

impl Reason {
    /// The name in every output: `new_verdict`, `ratio_above_1`, `more_nan`, ...
    pub fn name(self) -> String {
        match self {
            Reason::ExpectedPasses => "expected_passes".into(),
            Reason::GradeFell => "grade_fell".into(),
            Reason::RatioGrown => "ratio_grown".into(),
            Reason::MoreFailures => "more_failures".into(),
            Reason::RatioAbove1 => "ratio_above_1".into(),
            Reason::Undecided => "undecided".into(),
            Reason::More(verdict) => format!("more_{verdict}"),
            Reason::NewVerdict(_) => "new_verdict".into(),
            Reason::NotRun => "not_run".into(),
            Reason::FewerCases => "fewer_cases".into(),
            Reason::Looser => "looser".into(),
            Reason::Missing => "missing".into(),
        }
    }

    /// What a reason of this name says of a cell, in a line.
    pub fn explain(self) -> String {
        match self {
            Reason::ExpectedPasses => "an expected failure passes: remove the mark by accepting".into(),
            Reason::GradeFell => "the worst grade of an output that passes is a worse one than recorded".into(),
            Reason::RatioGrown => {
                "the largest error over its bound exceeds the recorded one by more than the slack".into()
            }
            Reason::MoreFailures => "more cases fail than recorded, by more than the slack".into(),
            Reason::RatioAbove1 => "the largest error is above its bound, and was not".into(),
            Reason::Undecided => "the oracle left a case undecided that it had decided".into(),
            Reason::More(verdict) => format!("more cases are `{verdict}` than at the same seed before"),
            Reason::NewVerdict(_) => "cases fail with a verdict that the baseline does not have here".into(),
            Reason::NotRun => "cases were selected and not run: the kernel was given up on".into(),
            Reason::FewerCases => "fewer cases were judged than recorded, at the same seed".into(),
            Reason::Looser => {
                "the kernel declares of itself (claims, lengths) what forgives or skips more than was accepted".into()
            }
            Reason::Missing => "the cell was selected, and nothing was measured".into(),
        }
    }
}

/// Why a cell is worse, with the figures.
#[derive(Debug, Clone, PartialEq)]
pub struct Regression {
    /// Which rule it breaks.
    pub reason: Reason,
    /// The figures: `19 nan, none recorded`.
    pub detail: String,
}

/// What is better than recorded by more than the slack.
#[derive(Debug, Clone, PartialEq)]
pub struct Improvement {
    /// The figures: `ratio 0.2, recorded 1.4`.
    pub detail: String,
}

/// What the gate says of a cell.
#[derive(Debug, Clone, PartialEq)]
pub enum State {
    /// Every case passes, and no rule is broken.
    Passes,
    /// Nothing was measured, and that was accepted.
    EmptyAsRecorded,
    /// Cases fail, and the baseline knows of them: what fails, and why that is expected if somebody said so.
    FailsAsRecorded {
        /// `12 nan, 3 inf`.
        detail: String,
        /// The reason, of an expected failure.
        expected: Option<String>,
    },
    /// It is worse: at least one regression, the worst first.
    Worse(Vec<Regression>),
}

/// A cell as the gate judged it.
#[derive(Debug, Clone, PartialEq)]
pub struct Judged {
    /// Which cell.
    pub name: CellName,
    /// What is said of it.
    pub state: State,
    /// Where it is better than recorded; none where it is worse somewhere else.
    pub improvement: Option<Improvement>,
    /// Whether the baseline has an entry of it.
    pub recorded: bool,
    /// The line of its entry; none where it has none.
    pub line: Option<usize>,
    /// The command that shows the worst of it again, where a finding of the results does.
    pub replay: Option<String>,
    /// What that finding says of the cause, where it says something.
    pub cause: Option<FoundCause>,
}

/// What a finding says of the cause of a failure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FoundCause {
    /// In a few words: `as defect/unshifted`, `perhaps exp overflow`, `cause not known`.
    pub words: String,
    /// How well it is known.
    pub certainty: Certainty,
}

impl std::fmt::Display for FoundCause {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        write!(f, "{} ({})", self.words, self.certainty.name().replace('_', " "))
    }
}

/// What came out of a comparison.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// The file of the baseline; none if there is none.
    pub baseline: Option<PathBuf>,
    /// By how much a ratio may grow (see [`DEFAULT_SLACK`]).
    pub slack: f64,
    /// Every selected cell, and those that are missing, sorted by name.
    pub cells: Vec<Judged>,
    /// Entries that the results do not select.
    pub outside: usize,
}

impl Comparison {
    /// Whether no cell is worse.
    pub fn passes(&self) -> bool {
        self.worse().next().is_none()
    }

    /// The cells that are worse, in the order of their names, with their regressions.
    pub fn worse(&self) -> impl Iterator<Item = (&Judged, &[Regression])> {
        self.cells.iter().filter_map(|cell| match &cell.state {
            State::Worse(regressions) => Some((cell, regressions.as_slice())),
            _ => None,
        })
    }

    /// The cells that are worse, the worst first.
    pub fn worst_first(&self) -> Vec<(&Judged, &[Regression])> {
        let mut worse: Vec<_> = self.worse().collect();
        worse.sort_by_key(|(_, regressions)| std::cmp::Reverse(regressions[0].reason));
        worse
    }

    /// All regressions.
    pub fn regressions(&self) -> usize {
        self.worse().map(|(_, regressions)| regressions.len()).sum()
    }

    /// Cells that fail as recorded, and how many of them are expected to.
    pub fn known(&self) -> (usize, usize) {
        let known = self.cells.iter().filter_map(|cell| match &cell.state {
            State::FailsAsRecorded { expected, .. } => Some(expected.is_some()),
            _ => None,
        });
        known.fold((0, 0), |(all, expected), is_expected| (all + 1, expected + usize::from(is_expected)))
    }

    /// The cells, without what stands beside them for what kernels declare ([`DECLARED`]).
    pub fn measured(&self) -> impl Iterator<Item = &Judged> {
        self.cells.iter().filter(|cell| cell.name.family != DECLARED)
    }

    /// Kernels, ops and dtypes that declare more than was accepted.
    pub fn looser(&self) -> usize {
        self.worse().filter(|(cell, _)| cell.name.family == DECLARED).count()
    }

    /// Cells in which everything passes.
    pub fn passing(&self) -> usize {
        self.measured().filter(|cell| cell.state == State::Passes).count()
    }

    /// Cells in which nothing was measured, as was accepted.
    pub fn empty(&self) -> usize {
        self.cells.iter().filter(|cell| cell.state == State::EmptyAsRecorded).count()
    }

    /// Cells that have room to tighten.
    pub fn better(&self) -> impl Iterator<Item = (&Judged, &Improvement)> {
        self.cells.iter().filter_map(|cell| Some((cell, cell.improvement.as_ref()?)))
    }

    /// Cells that the baseline does not have, where there is one.
    pub fn unrecorded(&self) -> usize {
        match self.baseline {
            Some(_) => self.cells.iter().filter(|cell| !cell.recorded).count(),
            None => 0,
        }
    }

    /// The first sentence of every output: `failed: 3 regressions in 2 of 288 cells`.
    pub fn headline(&self) -> String {
        let plural = |count: usize, noun: &str| format!("{count} {noun}{}", if count == 1 { "" } else { "s" });
        match self.passes() {
            true => format!("passed: no regression in {}", plural(self.measured().count(), "cell")),
            false => format!(
                "failed: {} in {} of {}{}",
                plural(self.regressions(), "regression"),
                self.worse().count() - self.looser(),
                plural(self.measured().count(), "cell"),
                match self.looser() {
                    0 => String::new(),
                    looser => format!(" and in {}", plural(looser, "declaration")),
                }
            ),
        }
    }

    /// The second sentence: what holds, and in which sense.
    pub fn in_words(&self) -> String {
        let ((known, expected), better) = (self.known(), self.better().count());
        let mut text =
            format!("{} pass, {known} fail as recorded ({expected} expected), {better} better", self.passing());
        if self.empty() > 0 {
            text += &format!(", {} empty as recorded", self.empty());
        }
        if self.unrecorded() > 0 {
            text += &format!(", {} not in the baseline", self.unrecorded());
        }
        if self.outside > 0 {
            text += &format!("; {} entries of the baseline were not selected", self.outside);
        }
        text
    }
}

/// Compares results with a baseline; without one, every failing verdict is a regression, and so is whatever a kernel declares of itself
/// and a cell in which nothing was measured: nobody has accepted them. `slack` is explained at
/// [`DEFAULT_SLACK`].
///
/// # Errors
/// The results are of other settings or of a run that was interrupted: neither can be compared. A baseline of the first version. A
/// slack that is no number of 0 or more.
pub fn compare(results: &Results, baseline: Option<&Baseline>, slack: f64) -> Result<Comparison> {
    if !slack.is_finite() || slack < 0.0 {
        return Err(Error::usage(format!("a slack of {slack} makes no sense; write a number of 0 or more")));
    }
    if !results.complete {
        return Err(Error::harness(
            "the run was interrupted, and half a measurement proves nothing; run the gate again",
        ));
    }
    if let Some(baseline) = baseline {
        baseline.refuse_former()?;
        baseline.fits(&BaselineSettings::of(&results.settings, results.provenance.generators))?;
    }
    let mut comparison = judge_cells(results, baseline, slack);
    let nothing = BaselineSettings::of(&results.settings, results.provenance.generators).plain()?;
    comparison.cells.extend(judge_declared(results, baseline, &nothing));
    for cell in &mut comparison.cells {
        // Of a cell that no entry knows, an empty one is not accepted.
        let is_whole = !results.has_ranges_of(&cell.name.family);
        if cell.state == State::EmptyAsRecorded && !cell.recorded && is_whole {
            let detail = "no case was judged, and no entry says that there is none".to_owned();
            cell.state = State::Worse(vec![Regression { reason: Reason::Missing, detail }]);
        }
    }
    comparison.cells.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(comparison)
}

/// What is looser, or stricter, than was accepted in what kernels declare; `nothing` is what they declare where nothing is recorded.
fn judge_declared(results: &Results, baseline: Option<&Baseline>, nothing: &Declaration) -> Vec<Judged> {
    let now = declarations(results);
    let mut functions: Vec<(FunctionName, Dtype)> =
        results.cells.iter().map(|cell| (CellName::of(cell).function(), cell.dtype)).collect();
    functions.sort();
    functions.dedup();
    let judged = |(function, dtype): (FunctionName, Dtype)| {
        let recorded = baseline.and_then(|baseline| baseline.declared.get(&function));
        let before = recorded.map_or(nothing, |recorded| &recorded.declaration);
        let now = now.get(&function).copied().unwrap_or(nothing);
        let (looser, stricter) = (now.looser_than(before, dtype), before.looser_than(now, dtype));
        let (state, improvement) = match (looser.is_empty(), stricter.is_empty()) {
            (true, true) => return None,
            (true, false) => {
                let words = stricter.join("; ").replace(", recorded ", " before, now ");
                let detail = format!("it declares less than recorded: {words}");
                (State::Passes, Some(Improvement { detail }))
            }
            (false, _) => {
                let detail = looser.join("; ");
                (State::Worse(vec![Regression { reason: Reason::Looser, detail }]), None)
            }
        };
        let FunctionName { kernel, op, dtype } = function;
        let name = CellName { kernel, op, dtype, family: DECLARED.to_owned() };
        let line = recorded.map(|recorded| recorded.line).filter(|&line| line > 0);
        Some(Judged { name, state, improvement, recorded: true, line, replay: None, cause: None })
    };
    functions.into_iter().filter_map(judged).collect()
}

/// Judges every cell by itself; see [`compare`], which knows what can be compared.
pub(crate) fn judge_cells(results: &Results, baseline: Option<&Baseline>, slack: f64) -> Comparison {
    let mut cells: BTreeMap<CellName, Judged> = BTreeMap::new();
    let changed: BTreeSet<FunctionName> = baseline.map_or_else(BTreeSet::new, |baseline| changed(results, baseline));
    for cell in &results.cells {
        let name = CellName::of(cell);
        let entry = baseline.and_then(|baseline| baseline.entries.get(&name));
        let is_whole = !results.has_ranges_of(&cell.family);
        let rules = Rules { cell, entry, slack, is_comparable: !changed.contains(&name.function()), is_whole };
        let mut regressions = rules.regressions();
        regressions.sort_by_key(|regression| std::cmp::Reverse(regression.reason));
        let improvement = if regressions.is_empty() && is_whole { rules.improvement() } else { None };
        let finding = if regressions.is_empty() { None } else { nearest(results, cell) };
        let replay = finding.map(|finding| finding.replay.clone());
        let cause = finding.map(|finding| FoundCause { words: finding.cause_in_words(), certainty: finding.certainty });
        let cause = cause.filter(|cause| !cause.words.is_empty());
        let detail = in_words(&cell.verdicts, cell.not_run);
        let state = match regressions.is_empty() {
            false => State::Worse(regressions),
            true if cell.cases == 0 && cell.not_run == 0 => State::EmptyAsRecorded,
            true if detail.is_empty() => State::Passes,
            true => State::FailsAsRecorded { detail, expected: entry.and_then(|entry| entry.expected.clone()) },
        };
        let line = entry.map(|entry| entry.line).filter(|&line| line > 0);
        cells.insert(name.clone(), Judged { name, state, improvement, recorded: entry.is_some(), line, replay, cause });
    }
    let mut outside = 0;
    for (name, entry) in baseline.iter().flat_map(|baseline| &baseline.entries) {
        if cells.contains_key(name) {
            continue;
        }
        if !selects(results, name) {
            outside += 1;
            continue;
        }
        let detail = format!("recorded with {} cases", entry.cases());
        let state = State::Worse(vec![Regression { reason: Reason::Missing, detail }]);
        let line = Some(entry.line).filter(|&line| line > 0);
        let name = name.clone();
        cells.insert(
            name.clone(),
            Judged { name, state, improvement: None, recorded: true, line, replay: None, cause: None },
        );
    }
    let baseline = baseline.map(|baseline| baseline.path().to_owned());
    Comparison { baseline, slack, cells: cells.into_values().collect(), outside }
}

/// What each function declares, where it is anything.
fn declarations(results: &Results) -> BTreeMap<FunctionName, &Declaration> {
    results.declared.iter().map(|declared| (FunctionName::of(declared), &declared.declaration)).collect()
}

/// The functions that declare something else than was accepted: their errors are measured with another bound.
fn changed(results: &Results, baseline: &Baseline) -> BTreeSet<FunctionName> {
    let now = declarations(results);
    let is_changed = |function: &&FunctionName| {
        now.get(*function).copied() != baseline.declared.get(*function).map(|recorded| &recorded.declaration)
    };
    now.keys().chain(baseline.declared.keys()).filter(is_changed).cloned().collect()
}

/// The finding that is nearest to a cell: of its family if there is one, of its op and dtype otherwise.
fn nearest<'a>(results: &'a Results, cell: &Cell) -> Option<&'a Finding> {
    let alike = |finding: &&Finding| {
        finding.kernel == cell.kernel
            && (finding.op, finding.dtype) == (cell.op, cell.dtype)
            && cell.verdicts.contains_key(&finding.verdict)
    };
    results.findings.iter().filter(alike).max_by_key(|f| (f.family == cell.family, f.verdict))
}

/// A cell beside its entry.
struct Rules<'a> {
    cell: &'a Cell,
    entry: Option<&'a Entry>,
    slack: f64,
    /// Whether ratios and grades have the same bounds as those of the entry.
    is_comparable: bool,
    /// Whether it has all of its rows. Of some of them only what they have too much of is told, not what they lack.
    is_whole: bool,
}

impl Rules<'_> {
    /// Whether `now` exceeds `recorded` by more than the slack, in units of `unit` or of what is recorded if that is more.
    fn grown(&self, recorded: f64, now: f64, unit: f64) -> bool {
        now > recorded + self.slack * recorded.max(unit)
    }

    fn recorded(&self, verdict: Verdict) -> u64 {
        self.entry.and_then(|entry| entry.verdicts.get(&verdict)).copied().unwrap_or(0)
    }

    fn regressions(&self) -> Vec<Regression> {
        let (cell, mut found) = (self.cell, Vec::new());
        let mut broken = |reason: Reason, detail: String| found.push(Regression { reason, detail });
        for (verdict, count) in failing(&cell.verdicts) {
            match self.recorded(verdict) {
                0 if self.entry.is_none() => {
                    broken(Reason::NewVerdict(verdict), format!("{count} {verdict}, and no entry"))
                }
                0 => broken(Reason::NewVerdict(verdict), format!("{count} {verdict}, none recorded")),
                before if count > before && is_class(verdict) => {
                    broken(Reason::More(verdict), format!("{count} {verdict}, recorded {before}"));
                }
                _ => {}
            }
        }
        let before = self.entry.map_or(0, |entry| entry.not_run);
        if cell.not_run > before {
            broken(Reason::NotRun, format!("{} cases not run, recorded {before}", cell.not_run));
        }
        let Some(entry) = self.entry else { return found };
        let judged: u64 = cell.verdicts.values().fold(0, |sum, &count| sum.saturating_add(count));
        // Cases that were given up on have a reason of their own.
        let due = entry.cases().saturating_sub(cell.not_run.saturating_sub(entry.not_run));
        if judged < due && self.is_whole {
            let reason = if judged == 0 { Reason::Missing } else { Reason::FewerCases };
            broken(reason, format!("{judged} cases judged, recorded {}", entry.cases()));
        }
        let (undecided, before) = (cell.verdicts.get(&Verdict::Undecided), self.recorded(Verdict::Undecided));
        if let Some(&count) = undecided.filter(|&&count| count > before) {
            broken(Reason::Undecided, format!("{count} undecided, recorded {before}"));
        }
        let ratio = three_digits_up(cell.max_ratio);
        if entry.max_ratio <= 1.0 && ratio > 1.0 {
            broken(Reason::RatioAbove1, format!("ratio {}, recorded {}", short(ratio), short(entry.max_ratio)));
        } else if self.is_comparable && self.grown(entry.max_ratio, ratio, 1.0) {
            broken(
                Reason::RatioGrown,
                format!("ratio {}, recorded {}, slack {}", short(ratio), short(entry.max_ratio), self.slack),
            );
        }
        let failures: u64 = failing(&cell.verdicts).map(|(_, count)| count).sum();
        let (now, before) = (failures as f64, entry.failures() as f64);
        if before > 0.0 && self.grown(before, now, FAILURES_UNIT * cell.cases as f64) {
            broken(Reason::MoreFailures, format!("{failures} failing cases, recorded {before}, slack {}", self.slack));
        }
        if let (Some(before), Some(now)) = (entry.grade, worst_grade(cell))
            && now > before
            && self.is_comparable
        {
            broken(Reason::GradeFell, format!("worst grade {now}, recorded {before}"));
        }
        if let Some(reason) = entry.expected.as_ref().filter(|_| self.is_whole && failures == 0 && cell.not_run == 0) {
            broken(Reason::ExpectedPasses, format!("it passes; it was expected to fail: {reason}"));
        }
        found
    }

    fn improvement(&self) -> Option<Improvement> {
        let (cell, entry) = (self.cell, self.entry?);
        let mut better: Vec<String> = Vec::new();
        for (verdict, before) in failing(&entry.verdicts) {
            let now = cell.verdicts.get(&verdict).copied().unwrap_or(0);
            if now == 0 || (now < before && is_class(verdict)) {
                better.push(format!("{now} {verdict}, recorded {before}"));
            }
        }
        if cell.not_run < entry.not_run {
            better.push(format!("{} not run, recorded {}", cell.not_run, entry.not_run));
        }
        let ratio = three_digits_up(cell.max_ratio);
        if self.grown(ratio, entry.max_ratio, 1.0) || (ratio <= 1.0 && entry.max_ratio > 1.0) {
            better.push(format!("ratio {}, recorded {}", short(ratio), short(entry.max_ratio)));
        }
        if let (Some(before), Some(now)) = (entry.grade, worst_grade(cell))
            && now < before
        {
            better.push(format!("worst grade {now}, recorded {before}"));
        }
        (!better.is_empty()).then(|| Improvement { detail: better.join("; ") })
    }
}

/// Whether a verdict names what happened and not by how much: such counts are equal on equal inputs, so one more is a regression.
/// The others are decided by rounding, and may differ by a few under another libm.
fn is_class(verdict: Verdict) -> bool {
    verdict >= Verdict::Inf
}
