//! What both human reports count, sort and say alike: kernels, their functions, and their findings.
//!
//! A *function* is one (kernel, op, dtype): an entry of the matrix, made of one cell for each family. A *planted* kernel is one
//! that the registry of built-in kernels knows as a defect: it is there to be caught, and stands apart from the kernels that are
//! meant well.

use crate::dtype::{Dtype, text};
use crate::judge::{Grade, Verdict};
use crate::kernel::builtin;
use crate::op::Op;
use crate::results::{Cause, Cell, Curve, Finding, Results, RunInfo};
use crate::words::{count, plural, plural_u64, short};
use std::collections::{BTreeMap, BTreeSet};

/// Kernels that the headline names; of more it names the worst.
const NAMES_SHOWN: usize = 4;

/// Results, arranged for people.
pub(super) struct View<'a> {
    /// The results.
    pub results: &'a Results,
    /// The kernels in the order of the settings, ordinary ones first.
    pub kernels: Vec<KernelView<'a>>,
    /// The ops that something was selected of, in the order of the settings, then any that only the cells know.
    pub ops: Vec<Op>,
    /// The dtypes, likewise.
    pub dtypes: Vec<Dtype>,
}

/// One kernel.
pub(super) struct KernelView<'a> {
    /// Its name.
    pub name: &'a str,
    /// The version of the library under test, where it is known.
    pub version: Option<&'a str>,
    /// Whether it is a planted defect.
    pub planted: bool,
    /// Its functions.
    pub functions: BTreeMap<(Dtype, Op), FunctionView<'a>>,
    /// Its findings, the most telling first: one of each [`kind`], then the others.
    pub findings: Vec<Ranked<'a>>,
    /// Over all functions.
    pub totals: Totals,
}

/// One (kernel, op, dtype).
#[derive(Default)]
pub(super) struct FunctionView<'a> {
    /// One cell for each family, as sorted in the results.
    pub cells: Vec<&'a Cell>,
    /// Error against input.
    pub curve: Option<&'a Curve>,
    /// Over all families.
    pub totals: Totals,
}

/// A finding, and its place among those of the same kernel and [`kind`] (0: the one to look at).
pub(super) struct Ranked<'a> {
    /// The finding.
    pub finding: &'a Finding,
    /// Its place.
    pub rank: usize,
}

/// Sums and extremes of cells.
#[derive(Default, Clone)]
pub(super) struct Totals {
    /// Cases run.
    pub cases: u64,
    /// Cases selected and not run.
    pub not_run: u64,
    /// Outputs judged.
    pub outputs: u64,
    /// Cases by verdict.
    pub verdicts: BTreeMap<Verdict, u64>,
    /// Outputs that passed, by grade.
    pub grades: BTreeMap<Grade, u64>,
    /// The largest ratio; none where no case was run.
    pub max_ratio: Option<f64>,
}

impl Totals {
    /// Counts one more cell.
    pub fn add(&mut self, cell: &Cell) {
        self.cases += cell.cases;
        self.not_run += cell.not_run;
        self.outputs += cell.outputs;
        for (&verdict, &count) in cell.verdicts.iter().filter(|&(_, &count)| count > 0) {
            *self.verdicts.entry(verdict).or_default() += count;
        }
        for (&grade, &count) in cell.grades.iter().filter(|&(_, &count)| count > 0) {
            *self.grades.entry(grade).or_default() += count;
        }
        if cell.cases > 0 && !cell.max_ratio.is_nan() {
            self.max_ratio = Some(self.max_ratio.map_or(cell.max_ratio, |ratio| ratio.max(cell.max_ratio)));
        }
    }

    /// Counts one cell alone.
    pub fn of(cell: &Cell) -> Self {
        let mut totals = Self::default();
        totals.add(cell);
        totals
    }

    /// The worst verdict; none where no case was run.
    pub fn worst(&self) -> Option<Verdict> {
        self.verdicts.last_key_value().map(|(&verdict, _)| verdict)
    }

    /// The worst grade of the outputs that passed.
    pub fn worst_grade(&self) -> Option<Grade> {
        self.grades.last_key_value().map(|(&grade, _)| grade)
    }

    /// Cases that failed.
    pub fn failures(&self) -> u64 {
        self.verdicts.iter().filter(|(verdict, _)| verdict.is_failure()).map(|(_, count)| count).sum()
    }

    /// Cases that the oracle did not decide.
    pub fn undecided(&self) -> u64 {
        self.verdicts.get(&Verdict::Undecided).copied().unwrap_or(0)
    }

    /// `3 nan, 12 inaccurate`: cases by verdict, worst first, passes left out.
    pub fn verdict_counts(&self) -> String {
        let counts: Vec<String> = (self.verdicts.iter().rev())
            .filter(|&(&verdict, _)| verdict != Verdict::Pass)
            .map(|(verdict, &n)| format!("{} {verdict}", count(n)))
            .collect();
        counts.join(", ")
    }
}

impl FunctionView<'_> {
    /// The cells that are not all passes, worst first, each with its own totals.
    pub fn broken(&self) -> Vec<(&Cell, Totals)> {
        let mut broken: Vec<_> = (self.cells.iter())
            .map(|&cell| (cell, Totals::of(cell)))
            .filter(|(_, totals)| totals.worst() != Some(Verdict::Pass) || totals.not_run > 0)
            .collect();
        broken.sort_by_key(|(_, totals)| std::cmp::Reverse((totals.worst(), totals.failures())));
        broken
    }
}

impl<'a> View<'a> {
    /// Arranges results.
    pub fn new(results: &'a Results) -> Self {
        let mut names: Vec<&str> = Vec::new();
        let mut seen = BTreeSet::new();
        let in_settings = results.settings.kernels.iter();
        let in_cells = results.cells.iter().map(|cell| &cell.kernel);
        let in_findings = results.findings.iter().map(|finding| &finding.kernel);
        names.extend(in_settings.chain(in_cells).chain(in_findings).filter(|name| seen.insert(*name)).map(|s| &**s));
        names.sort_by_cached_key(|name| is_planted(name));

        let mut kernels: BTreeMap<&str, KernelView<'a>> = BTreeMap::new();
        for &name in &names {
            kernels.insert(name, KernelView::new(name, results.provenance.libraries.get(name).map(String::as_str)));
        }
        for cell in &results.cells {
            if let Some(kernel) = kernels.get_mut(&*cell.kernel) {
                let function = kernel.functions.entry((cell.dtype, cell.op)).or_default();
                function.cells.push(cell);
                function.totals.add(cell);
                kernel.totals.add(cell);
            }
        }
        for curve in &results.curves {
            if let Some(kernel) = kernels.get_mut(&*curve.kernel) {
                kernel.functions.entry((curve.dtype, curve.op)).or_default().curve = Some(curve);
            }
        }
        for kernel in kernels.values_mut() {
            kernel.findings = ranked(results.findings.iter().filter(|finding| finding.kernel == kernel.name).collect());
        }
        let kernels: Vec<_> = names.iter().filter_map(|name| kernels.remove(name)).collect();
        let functions = || kernels.iter().flat_map(|kernel| kernel.functions.keys());
        let ops = in_order(&results.settings.ops, functions().map(|&(_, op)| op));
        let dtypes = in_order(&results.settings.dtypes, functions().map(|&(dtype, _)| dtype));
        Self { results, kernels, ops, dtypes }
    }

    /// The kernels that are meant well, or those that are planted defects.
    pub fn group(&self, planted: bool) -> impl Iterator<Item = (usize, &KernelView<'a>)> {
        self.kernels.iter().enumerate().filter(move |(_, kernel)| kernel.planted == planted)
    }

    /// Everything together.
    pub fn totals(&self) -> Totals {
        let mut totals = Totals::default();
        self.results.cells.iter().for_each(|cell| totals.add(cell));
        totals
    }

    /// What was found, in a sentence or two; `code` marks up a kernel's name.
    pub fn headline(&self, code: impl Fn(&str) -> String) -> String {
        let totals = self.totals();
        let ordinary: Vec<_> = self.group(false).map(|(_, kernel)| kernel).collect();
        let planted: Vec<_> = self.group(true).map(|(_, kernel)| kernel).collect();
        let mut text =
            format!("{}, {} judged", plural(self.kernels.len(), "kernel"), plural_u64(totals.outputs, "output"));
        if !ordinary.is_empty() {
            let breaking: Vec<_> = ordinary.iter().filter(|kernel| kernel.totals.failures() > 0).collect();
            let worst = (breaking.iter())
                .flat_map(|kernel| {
                    kernel.functions.iter().map(move |(at, function)| (kernel.name, at, &function.totals))
                })
                .reduce(|a, b| if severity(b.2) > severity(a.2) { b } else { a });
            let some = format!(
                ": {} of {} break{}",
                breaking.len(),
                plural(ordinary.len(), if planted.is_empty() { "kernel" } else { "ordinary kernel" }),
                if breaking.len() == 1 { "s" } else { "" },
            );
            let names = breaking.iter().map(|kernel| code(kernel.name)).collect::<Vec<_>>().join(", ");
            text += &match worst {
                None => ": none breaks".to_owned(),
                Some(_) if breaking.len() <= NAMES_SHOWN => format!("{some} ({names})"),
                Some((name, (dtype, op), totals)) => {
                    let verdict = totals.worst().map_or("", Verdict::name);
                    format!("{some}, worst {} with {verdict} ({op}, {dtype})", code(name))
                }
            };
        }
        if !planted.is_empty() {
            let caught = planted.iter().filter(|kernel| kernel.totals.failures() > 0).count();
            text += &format!("; {caught} of {} caught", plural(planted.len(), "planted defect"));
        }
        text += ".";
        let flaky = |kernel: &&KernelView| kernel.totals.verdicts.contains_key(&Verdict::Flaky);
        let flaky: Vec<String> = self.kernels.iter().filter(flaky).map(|kernel| code(kernel.name)).collect();
        if !flaky.is_empty() {
            text +=
                &format!(" The figures of {} need not come again: the same call had two answers.", flaky.join(", "));
        }
        if totals.undecided() > 0 {
            text += &format!(" The oracle left {} undecided.", plural_u64(totals.undecided(), "case"));
        }
        if totals.not_run > 0 {
            text += &format!(" {} not run.", plural_u64(totals.not_run, "case"));
        }
        text
    }
}

impl<'a> KernelView<'a> {
    fn new(name: &'a str, version: Option<&'a str>) -> Self {
        Self {
            name,
            version,
            planted: is_planted(name),
            functions: BTreeMap::new(),
            findings: Vec::new(),
            totals: Totals::default(),
        }
    }

    /// How many [`kind`]s of findings there are.
    pub fn kinds(&self) -> usize {
        self.findings.iter().filter(|ranked| ranked.rank == 0).count()
    }
}

/// Whether the registry knows a kernel of this name as a planted defect.
fn is_planted(name: &str) -> bool {
    builtin::find(name).is_some_and(|kernel| kernel.defect().is_some())
}

/// By worst verdict, then by largest ratio.
fn severity(totals: &Totals) -> (Option<Verdict>, f64) {
    (totals.worst(), totals.max_ratio.unwrap_or(0.0))
}

/// What people take for one finding: a mechanism that was shown, or a scope that was found, whatever it looks like; else a verdict and what
/// may be its cause.
pub(super) fn kind(finding: &Finding) -> (Option<Verdict>, &str) {
    if finding.answers_like.is_none() && finding.cause.is_some_and(Cause::is_scope) {
        // Two scopes of one kind are told apart by their words.
        return (None, finding.explanation.split_once(" Why ").map_or(&*finding.explanation, |(scope, _)| scope));
    }
    (Some(finding.verdict).filter(|_| finding.answers_like.is_none()), finding.mechanism_name())
}

/// One finding of each kind first, worst verdict first; of a kind ordinary inputs before extreme ones, and of these the worst verdict and
/// the shortest input.
fn ranked(findings: Vec<&Finding>) -> Vec<Ranked<'_>> {
    let mut kinds: BTreeMap<_, Vec<&Finding>> = BTreeMap::new();
    findings.into_iter().for_each(|finding| kinds.entry(kind(finding)).or_default().push(finding));
    let mut kinds: Vec<_> = kinds.into_iter().collect();
    let worst = |findings: &[&Finding]| findings.iter().map(|finding| finding.verdict).max();
    kinds.sort_by_key(|(kind, findings)| (std::cmp::Reverse(worst(findings)), *kind));
    for (_, findings) in &mut kinds {
        findings.sort_by_cached_key(|f| {
            let place = (std::cmp::Reverse(f.verdict), f.len, f.op, f.dtype);
            (is_extreme(f), place, f.family.clone(), f.case_index)
        });
    }
    let ranks =
        |(_, findings): (_, Vec<_>)| findings.into_iter().enumerate().map(|(rank, finding)| Ranked { finding, rank });
    let mut ranked: Vec<_> = kinds.into_iter().flat_map(ranks).collect();
    ranked.sort_by_key(|ranked| ranked.rank > 0);
    ranked
}

/// Whether an input is one that no model makes: a logit beyond 100 that is finite.
fn is_extreme(finding: &Finding) -> bool {
    const LARGE: f64 = 100.0;
    let value = |word: &String| text::parse(word.split_once('*').map_or(&**word, |(value, _)| value), finding.dtype);
    finding.logits.iter().filter_map(|word| value(word).ok()).any(|z| z.is_finite() && z.abs() > LARGE)
}

/// What occurs, each once: first what stands in `first`, in its order.
fn in_order<T: Copy + Ord>(first: &[T], occurring: impl Iterator<Item = T>) -> Vec<T> {
    let mut rest: BTreeSet<T> = occurring.collect();
    let mut order: Vec<T> = first.iter().copied().filter(|item| rest.remove(item)).collect();
    order.extend(rest);
    order
}

/// Settings, provenance and run, as names and values.
pub(super) fn facts(results: &Results, run: Option<&RunInfo>) -> Vec<(&'static str, String)> {
    let (settings, provenance) = (&results.settings, &results.provenance);
    let names = |names: Vec<&str>| names.join(", ");
    // Of what was selected, what a kernel had a function for.
    fn ran<T: Copy + PartialEq>(results: &Results, selected: &[T], of: &dyn Fn(&Cell) -> T) -> Vec<T> {
        selected.iter().copied().filter(|one| results.cells.iter().any(|cell| of(cell) == *one)).collect()
    }
    let mut facts = vec![
        ("seed", settings.seed.to_string()),
        ("cases per cell", count(settings.cases)),
        ("longest row", count(settings.max_len as u64)),
        ("ops", names(ran(results, &settings.ops, &|cell| cell.op).iter().map(|op| op.name()).collect())),
        (
            "dtypes",
            names(ran(results, &settings.dtypes, &|cell| cell.dtype).iter().map(|dtype| dtype.name()).collect()),
        ),
        ("families", names(settings.families.iter().map(String::as_str).collect())),
        ("special values", settings.special.clone().unwrap_or_else(|| "as each kernel claims".into())),
    ];
    if let Some(claims) = &settings.claims {
        facts.push(("claims", claims.clone()));
    }
    if let Some(file) = &settings.file {
        facts.push(("own rows", format!("{}, checksum {}", plural(file.rows, "row"), file.checksum)));
    }
    if !provenance.libraries.is_empty() {
        let each = provenance.libraries.iter().map(|(kernel, version)| format!("{kernel} {version}"));
        facts.push(("under test", each.collect::<Vec<_>>().join(", ")));
    }
    facts.push(("logitfuzz", provenance.logitfuzz.clone()));
    facts.push(("generators", format!("version {}", provenance.generators)));
    facts.push(("oracle", provenance.numbers()));
    if let Some(run) = run {
        facts.push(("command", run.command.join(" ")));
        facts.push(("started", run.started.clone()));
        facts.push(("took", format!("{} s, {}", short(run.seconds), plural(run.jobs, "thread"))));
        facts.push(("machine", run.machine.clone()));
    }
    facts
}
