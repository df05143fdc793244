//! The gate: whether kernels got worse than they were when somebody accepted them.
//!
//! A [`Baseline`] holds, for each cell (kernel, op, dtype, family), what was measured and accepted. [`compare`] holds new results
//! against it and names every [`Regression`] with its [`Reason`]. Nothing here writes a baseline but [`Baseline::write`], which only
//! `logitfuzz accept` and a test told to accept call.
//!
//! Terms: a cell *fails as recorded* if it has failing cases and the baseline knows of them; an entry with `expected` is a failure
//! that is known and explained, and the gate says so once it passes; an entry is *stale* if its kernel, op, dtype or family does
//! not exist any more; a cell is *missing* if it was selected and nothing was measured in it, unless that was accepted. What a kernel
//! *declares* of itself (claims, lengths, ...) is recorded beside the cells: a kernel that declares more than was accepted could pass
//! by that alone.

use crate::dtype::Dtype;
use crate::error::{Error, Result};
use crate::generate::Family;
use crate::generate::file::FILE_FAMILY;
use crate::judge::{Grade, Verdict};
use crate::kernel::{Claims, Declaration};
use crate::op::Op;
use crate::outside;
use crate::results::{self, Cell, Declared, FileRows, Results};
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};

mod compare;
mod file;
mod lines;

pub(crate) use compare::judge_cells;
pub use compare::{
    Comparison, DECLARED, DEFAULT_SLACK, FoundCause, Improvement, Judged, Reason, Regression, State, compare,
};

/// Where the baseline is kept unless another file is named.
pub const DEFAULT_PATH: &str = "reports/baseline.json";

/// The name and version of the format.
pub const SCHEMA: &str = "logitfuzz.baseline/3";

/// The version before, which had a line for each cell and each function. It says the same, so it is read as any other.
pub(crate) const SPELLED_SCHEMA: &str = "logitfuzz.baseline/2";

/// The first version, which did not record what kernels declare. It is read, so that it can be accepted again.
pub(crate) const FORMER_SCHEMA: &str = "logitfuzz.baseline/1";

/// The longest input, in characters, that an entry keeps: a line stays short enough to be read in a diff.
const LONGEST_WORST: usize = 80;

/// What was measured and accepted.
#[derive(Debug, Clone, PartialEq)]
pub struct Baseline {
    /// What the cases and their judgement depend on: of other settings nothing can be compared.
    pub settings: BaselineSettings,
    /// The cells.
    pub entries: BTreeMap<CellName, Entry>,
    /// What kernels declare of themselves, where it is anything.
    pub declared: BTreeMap<FunctionName, Recorded>,
    /// Whether it was read from a file of the first version.
    is_former: bool,
    /// Where it was read from; empty where it was made from results.
    path: PathBuf,
}

/// What the cases of a baseline and their judgement depend on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BaselineSettings {
    /// The version of the generators.
    pub generators: u32,
    /// The seed of all random streams.
    pub seed: u64,
    /// Cases for each cell.
    pub cases: u64,
    /// The longest row generated.
    pub max_len: usize,
    /// The preset for special values, if one was asked for.
    pub special: Option<String>,
    /// The `--claims` that were applied to every kernel, if any.
    pub claims: Option<String>,
    /// The user's own rows, if there were any.
    pub file: Option<FileRows>,
}

/// The name of a cell. Names are text, so that a baseline can speak of what this version does not know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CellName {
    /// The kernel's name.
    pub kernel: String,
    /// The name of the op.
    pub op: String,
    /// The name of the dtype.
    pub dtype: String,
    /// The name of the family.
    pub family: String,
}

/// The name of a function: a kernel's op in a dtype.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FunctionName {
    /// The kernel's name.
    pub kernel: String,
    /// The name of the op.
    pub op: String,
    /// The name of the dtype.
    pub dtype: String,
}

/// What a function was accepted to declare.
#[derive(Debug, Clone, PartialEq)]
pub struct Recorded {
    /// What it declares.
    pub declaration: Declaration,
    /// The line in the file, counted from 1; 0 where it was not read from one.
    pub line: usize,
}

/// What is recorded of a cell. Ratio and error are rounded up to three digits, so that a line changes only where something did.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Cases by verdict; those with no case are left out.
    pub verdicts: BTreeMap<Verdict, u64>,
    /// Cases that were selected and not run, because the kernel was given up on.
    pub not_run: u64,
    /// The worst grade of an output that passes; none where no output does.
    pub grade: Option<Grade>,
    /// The largest error over its bound.
    pub max_ratio: f64,
    /// The largest finite error, in ulps.
    pub max_ulp: f64,
    /// The input with the largest ratio, in hex, where it is short.
    pub worst: Option<String>,
    /// Why this cell is known to fail, if it is an expected failure.
    pub expected: Option<String>,
    /// The line in the file, counted from 1; 0 where the entry was not read from one.
    pub line: usize,
}

/// By kernel, op and dtype; ops and dtypes as in their registries, then those that no registry knows.
type Place<'a> = (&'a str, usize, &'a str, usize, &'a str);

fn place<'a>(kernel: &'a str, op: &'a str, dtype: &'a str) -> Place<'a> {
    let op_place = Op::ALL.iter().position(|known| known.name() == op).unwrap_or(Op::ALL.len());
    let dtype_place = Dtype::ALL.iter().position(|known| known.name() == dtype).unwrap_or(Dtype::ALL.len());
    (kernel, op_place, op, dtype_place, dtype)
}

impl FunctionName {
    /// The name of what declares this.
    pub fn of(declared: &Declared) -> Self {
        let Declared { kernel, op, dtype, .. } = declared;
        Self { kernel: kernel.clone(), op: op.name().to_owned(), dtype: dtype.name().to_owned() }
    }

    fn place(&self) -> Place<'_> {
        place(&self.kernel, &self.op, &self.dtype)
    }
}

impl Ord for FunctionName {
    fn cmp(&self, other: &Self) -> Ordering {
        self.place().cmp(&other.place())
    }
}

impl PartialOrd for FunctionName {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for FunctionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.kernel, self.op, self.dtype)
    }
}

impl CellName {
    /// The name of a cell of results.
    pub fn of(cell: &Cell) -> Self {
        Self {
            kernel: cell.kernel.clone(),
            op: cell.op.name().to_owned(),
            dtype: cell.dtype.name().to_owned(),
            family: cell.family.clone(),
        }
    }

    /// The function whose cell it is.
    pub fn function(&self) -> FunctionName {
        FunctionName { kernel: self.kernel.clone(), op: self.op.clone(), dtype: self.dtype.clone() }
    }

    fn place(&self) -> (Place<'_>, &str) {
        (place(&self.kernel, &self.op, &self.dtype), &self.family)
    }

    /// What in this name no registry knows: `op \`softmin\``. The kernel is not looked at.
    fn unknown(&self) -> Option<String> {
        if self.op.parse::<Op>().is_err() {
            Some(format!("op `{}`", self.op))
        } else if self.dtype.parse::<Dtype>().is_err() {
            Some(format!("dtype `{}`", self.dtype))
        } else if self.family != FILE_FAMILY && self.family.parse::<Family>().is_err() {
            Some(format!("family `{}`", self.family))
        } else {
            None
        }
    }
}

impl Ord for CellName {
    fn cmp(&self, other: &Self) -> Ordering {
        self.place().cmp(&other.place())
    }
}

impl PartialOrd for CellName {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for CellName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {} {}", self.kernel, self.op, self.dtype, self.family)
    }
}

impl BaselineSettings {
    /// What of the settings of results made by generators of this version a baseline records.
    pub fn of(settings: &results::Settings, generators: u32) -> Self {
        let results::Settings { seed, cases, max_len, special, claims, file, .. } = settings.clone();
        Self { generators, seed, cases, max_len, special, claims, file }
    }

    /// What a kernel that declares nothing declares under these settings.
    pub(crate) fn plain(&self) -> Result<Declaration> {
        let mut claims = Claims::default();
        if let Some(text) = &self.claims {
            claims.set(text)?;
        }
        if let Some(special) = &self.special {
            claims.special = special.parse()?;
        }
        Ok(Declaration::of_claims(claims))
    }

    /// What differs from other settings, in words: `seed 0, not 7`; empty where nothing does. Rows of a user count only if both
    /// have some.
    fn differences(&self, other: &BaselineSettings) -> Vec<String> {
        let text = |text: &Option<String>| text.clone().unwrap_or_else(|| "none".into());
        let rows = |file: &Option<FileRows>| file.as_ref().map_or_else(String::new, |file| file.checksum.clone());
        let rows_differ = self.file.is_some() && other.file.is_some() && self.file != other.file;
        let all = [
            ("generators version", self.generators.to_string(), other.generators.to_string()),
            ("seed", self.seed.to_string(), other.seed.to_string()),
            ("cases", self.cases.to_string(), other.cases.to_string()),
            ("max-len", self.max_len.to_string(), other.max_len.to_string()),
            ("special", text(&self.special), text(&other.special)),
            ("claims", text(&self.claims), text(&other.claims)),
            ("rows of --logits with checksum", rows(&self.file), rows(&other.file)),
        ];
        let mut differ: Vec<String> =
            all[..6].iter().filter(|(_, a, b)| a != b).map(|(name, a, b)| format!("{name} {a}, not {b}")).collect();
        if rows_differ {
            let (name, a, b) = &all[6];
            differ.push(format!("{name} {a}, not {b}"));
        }
        differ
    }
}

impl Entry {
    /// What results say of a cell.
    pub fn of(cell: &Cell) -> Self {
        let worst =
            cell.worst.as_deref().map(|text| text.split_once('[').map_or(text, |(head, _)| &text[head.len()..]));
        Self {
            verdicts: cell.verdicts.iter().filter(|&(_, &count)| count > 0).map(|(&v, &count)| (v, count)).collect(),
            not_run: cell.not_run,
            grade: worst_grade(cell),
            max_ratio: three_digits_up(cell.max_ratio),
            max_ulp: three_digits_up(cell.max_ulp),
            worst: worst.filter(|worst| worst.len() <= LONGEST_WORST).map(str::to_owned),
            expected: None,
            line: 0,
        }
    }

    /// Whether both say the same, in whatever line they stand.
    pub fn is_same(&self, other: &Entry) -> bool {
        Self { line: 0, ..self.clone() } == Self { line: 0, ..other.clone() }
    }

    /// Cases that were judged.
    pub fn cases(&self) -> u64 {
        self.verdicts.values().sum()
    }

    /// Failing cases.
    pub fn failures(&self) -> u64 {
        failing(&self.verdicts).map(|(_, count)| count).sum()
    }

    /// `12 nan, 3 inf`: cases that do not pass, worst first.
    pub fn in_words(&self) -> String {
        in_words(&self.verdicts, self.not_run)
    }
}

/// A folder that is locked until the value is dropped.
#[cfg(unix)]
fn lock(folder: &Path) -> Option<std::fs::File> {
    let folder = std::fs::File::open(folder).ok()?;
    rustix::fs::flock(&folder, rustix::fs::FlockOperation::LockExclusive).ok()?;
    Some(folder)
}

#[cfg(not(unix))]
fn lock(_: &Path) -> Option<std::fs::File> {
    None
}

impl Baseline {
    /// The baseline that these results alone make.
    pub fn of(results: &Results) -> Self {
        let entries = results.cells.iter().map(|cell| (CellName::of(cell), Entry::of(cell))).collect();
        let recorded = |declared: &Declared| Recorded { declaration: declared.declaration.clone(), line: 0 };
        let declared = results.declared.iter().map(|declared| (FunctionName::of(declared), recorded(declared)));
        Self {
            settings: BaselineSettings::of(&results.settings, results.provenance.generators),
            entries,
            declared: declared.collect(),
            is_former: false,
            path: PathBuf::new(),
        }
    }

    /// The same, in the place of a file.
    pub fn at(self, path: &Path) -> Self {
        Self { path: path.to_owned(), ..self }
    }

    /// The file that it was read from.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Refuses other settings: what they measure cannot be compared.
    ///
    /// # Errors
    /// One line that names what differs.
    pub fn fits(&self, settings: &BaselineSettings) -> Result<()> {
        let differ = self.settings.differences(settings);
        if differ.is_empty() {
            return Ok(());
        }
        Err(self.error(format!(
            "line {}: it was measured with {}; leave the flag out, or accept a new baseline",
            file::SETTINGS_LINE,
            differ.join(", ")
        )))
    }

    /// Refuses a baseline of the first version: what it does not record cannot be compared.
    ///
    /// # Errors
    /// One line that says so.
    pub fn refuse_former(&self) -> Result<()> {
        if !self.is_former {
            return Ok(());
        }
        Err(self.error(format!(
            "schema `{FORMER_SCHEMA}` does not record what kernels declare of themselves (claims, lengths), so a gate against it could be \
             passed by declaring more; measure and accept it again with `logitfuzz accept`"
        )))
    }

    /// Refuses entries of which the kernel, op, dtype or family does not exist any more. `exists` tells of kernels.
    ///
    /// # Errors
    /// One line that names the first of them and how many there are.
    pub fn refuse_stale(&self, exists: impl Fn(&str) -> bool) -> Result<()> {
        let stale: Vec<_> = self.stale(&exists).collect();
        let Some((name, entry, _)) = stale.first() else { return Ok(()) };
        let mut kinds: Vec<&str> = stale.iter().map(|(.., what)| what.as_str()).collect();
        kinds.sort_unstable();
        kinds.dedup();
        Err(self.error(format!(
            "line {}: `{name}` is stale: there is no {} ({} such entries); name it with a flag if there is, or remove stale entries \
             with `logitfuzz accept --prune`",
            entry.line,
            kinds.join(", no "),
            stale.len()
        )))
    }

    fn stale(&self, exists: &impl Fn(&str) -> bool) -> impl Iterator<Item = (&CellName, &Entry, String)> {
        self.entries.iter().filter_map(move |(name, entry)| {
            let kernel = || (!exists(&name.kernel)).then(|| format!("kernel `{}`", name.kernel));
            Some((name, entry, name.unknown().or_else(kernel)?))
        })
    }

    /// The baseline after these results are accepted: their cells replace the entries of the same name, the others stay. An
    /// expected failure stays one while it fails with the same verdicts.
    ///
    /// # Errors
    /// The results are of other settings, and entries would stay that were measured with those of the baseline; the results are
    /// of a run that was interrupted, or of a shard that has some rows only of a cell.
    pub fn accept(&self, results: &Results) -> Result<Self> {
        if let Some(cell) = results.cells.iter().find(|cell| results.has_ranges_of(&cell.family)) {
            return Err(Error::usage(format!(
                "a shard has only some rows of the cell {}; merge all shards with `logitfuzz merge`, and accept that",
                CellName::of(cell)
            )));
        }
        let mut next = Self::of(results).at(&self.path);
        if !results.complete {
            return Err(Error::usage(
                "the run was interrupted, and half a measurement is none to accept; run it again",
            ));
        }
        for (name, entry) in &mut next.entries {
            if let Some(old) = self.entries.get(name) {
                let same =
                    old.verdicts.keys().filter(|v| v.is_failure()).eq(entry.verdicts.keys().filter(|v| v.is_failure()));
                entry.expected = old.expected.clone().filter(|_| same && entry.failures() > 0);
            }
        }
        let stays: Vec<_> = self.entries.iter().filter(|(name, _)| !next.entries.contains_key(name)).collect();
        if !stays.is_empty() {
            self.fits(&next.settings)?;
            next.settings.file = next.settings.file.or_else(|| self.settings.file.clone());
        }
        next.entries.extend(stays.into_iter().map(|(name, entry)| (name.clone(), entry.clone())));
        next.keep_declared(self, results.cells.iter().map(|cell| CellName::of(cell).function()));
        Ok(next)
    }

    /// Takes what functions were accepted to declare from an older baseline, but for those that were measured again.
    pub(crate) fn keep_declared(&mut self, old: &Self, measured: impl Iterator<Item = FunctionName>) {
        let measured: BTreeSet<FunctionName> = measured.collect();
        let kept = old.declared.iter().filter(|(function, _)| !measured.contains(function));
        self.declared.extend(kept.map(|(function, recorded)| (function.clone(), recorded.clone())));
    }

    /// Drops what functions declare of which there is no cell.
    pub(crate) fn drop_lone_declarations(&mut self) {
        let functions: BTreeSet<FunctionName> = self.entries.keys().map(CellName::function).collect();
        self.declared.retain(|function, _| functions.contains(function));
    }

    /// Removes what is stale and what the results select without having it; says how many entries that are.
    pub fn prune(&mut self, results: &Results, exists: impl Fn(&str) -> bool) -> usize {
        let before = self.entries.len();
        let stale: Vec<CellName> = self.stale(&exists).map(|(name, ..)| name.clone()).collect();
        stale.iter().for_each(|name| drop(self.entries.remove(name)));
        let measured: BTreeSet<CellName> = results.cells.iter().map(CellName::of).collect();
        self.entries.retain(|name, _| measured.contains(name) || !selects(results, name));
        self.drop_lone_declarations();
        before - self.entries.len()
    }

    /// Marks every failing entry among the results' cells as an expected failure; says how many. The reason is kept as one line.
    pub fn expect_failures(&mut self, results: &Results, reason: &str) -> usize {
        let (reason, mut marked) = (outside::line(reason, outside::LONGEST_MESSAGE), 0);
        for cell in &results.cells {
            if let Some(entry) = self.entries.get_mut(&CellName::of(cell)).filter(|entry| entry.failures() > 0) {
                entry.expected = Some(reason.clone());
                marked += 1;
            }
        }
        marked
    }

    /// Changes the baseline in a file: reads it if it is there, and writes what `change` makes of it whole or not at all. Whoever
    /// else does the same at the same time waits.
    ///
    /// # Errors
    /// As [`Baseline::read`], those of `change`, and those of [`Baseline::write`]; the file is then as it was.
    pub fn update(path: &Path, change: impl FnOnce(Option<Self>) -> Result<Self>) -> Result<Self> {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let cannot = |error| Error::harness(format!("cannot write {}: {error}", path.display()));
        std::fs::create_dir_all(folder).map_err(cannot)?;
        // The folder is locked, not the file: renaming puts another file in its place. Where a folder cannot be opened, as on
        // Windows, there is no lock, and the last one to write wins.
        let _lock = lock(folder);
        let next = change(if path.exists() { Some(Self::read(path)?) } else { None })?;
        next.write(path)?;
        Ok(next)
    }

    fn error(&self, reason: impl fmt::Display) -> Error {
        Error::file(&self.path, reason)
    }
}

/// Whether results were asked for this cell.
fn selects(results: &Results, name: &CellName) -> bool {
    let settings = &results.settings;
    settings.kernels.contains(&name.kernel)
        && settings.ops.iter().any(|op| op.name() == name.op)
        && settings.dtypes.iter().any(|dtype| dtype.name() == name.dtype)
        && settings.families.contains(&name.family)
        && results.shard.as_ref().is_none_or(|part| part.owns(settings, &name.dtype, &name.family))
}

fn worst_grade(cell: &Cell) -> Option<Grade> {
    cell.grades.iter().filter(|&(_, &count)| count > 0).map(|(&grade, _)| grade).max()
}

fn failing(verdicts: &BTreeMap<Verdict, u64>) -> impl Iterator<Item = (Verdict, u64)> {
    verdicts.iter().map(|(&verdict, &count)| (verdict, count)).filter(|&(v, count)| v.is_failure() && count > 0)
}

/// `12 nan, 3 undecided, 8 not run`: cases that do not pass, worst first.
fn in_words(verdicts: &BTreeMap<Verdict, u64>, not_run: u64) -> String {
    let not_passed = verdicts.iter().rev().filter(|&(&verdict, &count)| verdict != Verdict::Pass && count > 0);
    let mut words: Vec<String> = not_passed.map(|(verdict, count)| format!("{count} {verdict}")).collect();
    if not_run > 0 {
        words.push(format!("{not_run} not run"));
    }
    words.join(", ")
}

/// The least number of three decimal digits that is not below `x`; NaN, infinities and what has no such number as they are.
fn three_digits_up(x: f64) -> f64 {
    if !x.is_finite() || x == 0.0 {
        return x;
    }
    let nearest = format!("{x:.2e}");
    let rounded = |text: &str| text.parse().unwrap_or(x);
    let value: f64 = rounded(&nearest);
    if value >= x {
        return value;
    }
    // One more in the last digit, written so that the text, and not a sum of binary fractions, is rounded.
    let (digits, power) = nearest.split_once('e').unwrap_or((&nearest, "0"));
    let hundredths: i64 = digits.replace('.', "").parse().unwrap_or(0);
    rounded(&format!("{}e{}", hundredths + 1, power.parse::<i32>().unwrap_or(0) - 2))
}

#[cfg(test)]
mod tests;
