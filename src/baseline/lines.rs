//! The lines of a baseline's file, and what they stand for.
//!
//! Most cells pass, and of those little is recorded. So one line tells all dtypes of a kernel's op on a family, and all families of which
//! it has to tell the same. Every other cell has a line of its own, with everything spelled out.

use super::{CellName, Entry, FunctionName, Recorded};
use crate::checksum::Fnv;
use crate::error::Result;
use crate::json;
use crate::judge::{Grade, Verdict};
use crate::results::{DeclarationText, number};
use serde::de::{DeserializeOwned, Error as _, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::BTreeMap;
use std::fmt;

/// The checksum of a text: eight hex digits.
pub(super) fn checksum(text: &str) -> String {
    let mut sum = Fnv::new();
    sum.bytes(text.as_bytes());
    format!("{:08x}", (sum.sum() ^ (sum.sum() >> u32::BITS)) as u32)
}

/// A line that has a checksum of the rest of it.
pub(super) trait Line: Clone + Serialize + DeserializeOwned {
    /// Its check.
    fn check(&mut self) -> &mut String;

    /// Takes away what a person may write, which no check covers.
    fn drop_written(&mut self) {}

    /// The check that belongs to this line.
    fn due_check(&self) -> Result<String> {
        let mut bare = self.clone();
        bare.drop_written();
        bare.check().clear();
        Ok(checksum(&json::line(&bare)?))
    }

    /// The same with its check.
    fn sealed(mut self) -> Result<Self> {
        let due = self.due_check()?;
        *self.check() = due;
        Ok(self)
    }
}

/// What functions of a kernel declare alike: every one of these ops in every one of these dtypes.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DeclaredLine {
    pub kernel: String,
    pub ops: Vec<String>,
    pub dtypes: Vec<String>,
    pub declares: DeclarationText,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    check: String,
}

/// What one function declares, as the versions before had it.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FormerDeclaredLine {
    kernel: String,
    op: String,
    dtype: String,
    declares: DeclarationText,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    check: String,
}

/// Cells in which every case passes: of a kernel's op, on each of these families, in each of these dtypes.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PassingLine {
    pub kernel: String,
    pub op: String,
    pub families: Vec<String>,
    /// Cases of each cell.
    pub pass: u64,
    dtypes: Vec<Figures>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    check: String,
}

/// What is recorded of a passing cell beside its cases. In the file it is a list: `["f16","tight",0.917,0.459]`, and the worst input at
/// the end where there is one.
#[derive(Clone, PartialEq)]
struct Figures {
    dtype: String,
    grade: Grade,
    ratio: f64,
    ulp: f64,
    worst: Option<String>,
}

/// A cell with everything spelled out.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CellLine {
    kernel: String,
    op: String,
    dtype: String,
    family: String,
    #[serde(deserialize_with = "verdicts")]
    verdicts: BTreeMap<Verdict, u64>,
    #[serde(default, skip_serializing_if = "is_zero")]
    not_run: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    grade: Option<Grade>,
    #[serde(with = "number")]
    ratio: f64,
    #[serde(with = "number")]
    ulp: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    worst: Option<String>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    check: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expected: Option<String>,
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// Counts of verdicts, none of which may stand there twice: the first would be seen by readers only.
fn verdicts<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<BTreeMap<Verdict, u64>, D::Error> {
    struct Counts;
    impl<'de> Visitor<'de> for Counts {
        type Value = BTreeMap<Verdict, u64>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("cases by verdict")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Self::Value, A::Error> {
            let mut counts = BTreeMap::new();
            while let Some((verdict, count)) = map.next_entry()? {
                if counts.insert(verdict, count).is_some() {
                    return Err(A::Error::custom(format!("`{verdict}` is there a second time")));
                }
            }
            Ok(counts)
        }
    }
    deserializer.deserialize_map(Counts)
}

impl Line for DeclaredLine {
    fn check(&mut self) -> &mut String {
        &mut self.check
    }
}

impl Line for FormerDeclaredLine {
    fn check(&mut self) -> &mut String {
        &mut self.check
    }
}

impl Line for PassingLine {
    fn check(&mut self) -> &mut String {
        &mut self.check
    }
}

impl Line for CellLine {
    fn check(&mut self) -> &mut String {
        &mut self.check
    }

    fn drop_written(&mut self) {
        self.expected = None;
    }
}

impl From<FormerDeclaredLine> for DeclaredLine {
    fn from(line: FormerDeclaredLine) -> Self {
        let FormerDeclaredLine { kernel, op, dtype, declares, check } = line;
        Self { kernel, ops: vec![op], dtypes: vec![dtype], declares, check }
    }
}

impl DeclaredLine {
    /// The lines of these declarations: by kernel, then in the order of their first functions.
    pub fn all(declared: &BTreeMap<FunctionName, Recorded>) -> Result<Vec<Self>> {
        // Of each kernel's op: the dtypes in which it declares the same. Functions are sorted, so each finds its like before it.
        let mut lines: Vec<Self> = Vec::new();
        for (FunctionName { kernel, op, dtype }, recorded) in declared {
            let declares = DeclarationText::from(&recorded.declaration);
            let alike =
                |line: &&mut Self| line.kernel == *kernel && line.ops == [op.as_str()] && line.declares == declares;
            match lines.iter_mut().rev().find(alike) {
                Some(line) => line.dtypes.push(dtype.clone()),
                None => lines.push(Self {
                    kernel: kernel.clone(),
                    ops: vec![op.clone()],
                    dtypes: vec![dtype.clone()],
                    declares,
                    check: String::new(),
                }),
            }
        }
        // Then the ops that have the same dtypes.
        let mut joined: Vec<Self> = Vec::new();
        for line in lines {
            let alike = |other: &&mut Self| {
                other.kernel == line.kernel && other.dtypes == line.dtypes && other.declares == line.declares
            };
            match joined.iter_mut().rev().find(alike) {
                Some(other) => other.ops.extend(line.ops),
                None => joined.push(line),
            }
        }
        joined.into_iter().map(Self::sealed).collect()
    }

    /// The functions that it stands for.
    pub fn functions(&self) -> impl Iterator<Item = FunctionName> {
        let name = |op: &String, dtype: &String| FunctionName {
            kernel: self.kernel.clone(),
            op: op.clone(),
            dtype: dtype.clone(),
        };
        self.ops.iter().flat_map(move |op| self.dtypes.iter().map(move |dtype| name(op, dtype)))
    }
}

impl Figures {
    /// Those of a cell in which every case passes, and its cases; none of any other cell.
    fn of(dtype: &str, entry: &Entry) -> Option<(u64, Self)> {
        let Entry { verdicts, not_run: 0, grade: Some(grade), max_ratio, max_ulp, worst, expected: None, line: _ } =
            entry
        else {
            return None;
        };
        let mut counts = verdicts.iter();
        let (Some((Verdict::Pass, &pass @ 1..)), None) = (counts.next(), counts.next()) else { return None };
        let (ratio, ulp, worst) = (*max_ratio, *max_ulp, worst.clone());
        Some((pass, Self { dtype: dtype.to_owned(), grade: *grade, ratio, ulp, worst }))
    }
}

impl PassingLine {
    /// The names of its dtypes.
    pub fn dtypes(&self) -> impl Iterator<Item = &String> {
        self.dtypes.iter().map(|figures| &figures.dtype)
    }

    /// The cells that it stands for, each in this line of the file.
    pub fn cells(&self, line: usize) -> impl Iterator<Item = (CellName, Entry)> {
        let cell = move |family: &String, figures: &Figures| {
            let Figures { dtype, grade, ratio, ulp, worst } = figures.clone();
            let name = CellName { kernel: self.kernel.clone(), op: self.op.clone(), dtype, family: family.clone() };
            let entry = Entry {
                verdicts: [(Verdict::Pass, self.pass)].into(),
                not_run: 0,
                grade: Some(grade),
                max_ratio: ratio,
                max_ulp: ulp,
                worst,
                expected: None,
                line,
            };
            (name, entry)
        };
        self.families.iter().flat_map(move |family| self.dtypes.iter().map(move |figures| cell(family, figures)))
    }
}

impl CellLine {
    /// The line of a cell, without its check.
    pub fn of(name: &CellName, entry: &Entry) -> Self {
        let CellName { kernel, op, dtype, family } = name.clone();
        let Entry { verdicts, not_run, grade, max_ratio: ratio, max_ulp: ulp, worst, expected, line: _ } =
            entry.clone();
        let check = String::new();
        Self { kernel, op, dtype, family, verdicts, not_run, grade, ratio, ulp, worst, check, expected }
    }

    /// The cell, in this line of the file.
    pub fn into_cell(self, line: usize) -> (CellName, Entry) {
        let Self { kernel, op, dtype, family, verdicts, not_run, grade, ratio, ulp, worst, check: _, expected } = self;
        let name = CellName { kernel, op, dtype, family };
        (name, Entry { verdicts, not_run, grade, max_ratio: ratio, max_ulp: ulp, worst, expected, line })
    }
}

/// The lines of these cells: those of passing cells, and those of the others; both sorted.
pub(super) fn of_cells(entries: &BTreeMap<CellName, Entry>) -> Result<(Vec<PassingLine>, Vec<CellLine>)> {
    let (mut passing, mut others) = (Vec::<PassingLine>::new(), Vec::new());
    // The passing cells of one kernel's op, by family and cases; cells are sorted, so all of them come together.
    let mut rows: BTreeMap<(&str, u64), Vec<Figures>> = BTreeMap::new();
    let mut cells = entries.iter().peekable();
    while let Some((name, entry)) = cells.next() {
        match Figures::of(&name.dtype, entry) {
            Some((pass, figures)) => rows.entry((&name.family, pass)).or_default().push(figures),
            None => others.push(CellLine::of(name, entry).sealed()?),
        }
        if cells.peek().is_some_and(|(next, _)| next.kernel == name.kernel && next.op == name.op) {
            continue;
        }
        let first = passing.len();
        for ((family, pass), dtypes) in std::mem::take(&mut rows) {
            match passing[first..].iter_mut().find(|line| line.pass == pass && line.dtypes == dtypes) {
                Some(line) => line.families.push(family.to_owned()),
                None => passing.push(PassingLine {
                    kernel: name.kernel.clone(),
                    op: name.op.clone(),
                    families: vec![family.to_owned()],
                    pass,
                    dtypes,
                    check: String::new(),
                }),
            }
        }
    }
    Ok((passing.into_iter().map(Line::sealed).collect::<Result<_>>()?, others))
}

/// A number as all our files have it.
#[derive(Serialize, Deserialize)]
struct Number(#[serde(with = "number")] f64);

impl Serialize for Figures {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let Self { dtype, grade, ratio, ulp, worst } = self;
        let (ratio, ulp) = (Number(*ratio), Number(*ulp));
        match worst {
            None => (dtype, grade, ratio, ulp).serialize(serializer),
            Some(worst) => (dtype, grade, ratio, ulp, worst).serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Figures {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct List;
        impl<'de> Visitor<'de> for List {
            type Value = Figures;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(
                    "a list of a dtype, a grade, a ratio, an error in ulps, and the worst input if there is one",
                )
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> std::result::Result<Figures, A::Error> {
                let short = |length| A::Error::invalid_length(length, &List);
                let dtype = list.next_element()?.ok_or_else(|| short(0))?;
                let grade = list.next_element()?.ok_or_else(|| short(1))?;
                let Number(ratio) = list.next_element()?.ok_or_else(|| short(2))?;
                let Number(ulp) = list.next_element()?.ok_or_else(|| short(3))?;
                let worst = list.next_element()?;
                Ok(Figures { dtype, grade, ratio, ulp, worst })
            }
        }
        deserializer.deserialize_seq(List)
    }
}
