//! `results.json`: what a campaign found, as data. Every report is made from this and nothing else.
//!
//! Same seed and same selection give the same bytes, so nothing here depends on time, machine or the number of threads; those
//! are in `run.json` ([`RunInfo`]). Numbers that JSON cannot hold (NaN and the infinities) are strings.

use crate::dtype::Dtype;
use crate::judge::{Grade, Verdict};
use crate::kernel::{Claims, Declaration};
use crate::op::Op;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::BTreeMap;

mod cause;
mod counts;
mod finding;
mod part;
mod shares;

pub use cause::{Cause, Certainty, Likeness, Second, Tried};
pub(crate) use counts::sum;
#[cfg(feature = "arbitrary")]
pub(crate) use finding::command;
pub(crate) use finding::words;
pub use finding::{BatchRows, Finding, Others, Worst, Written};
pub use part::{CellRange, CurvePart, Kept, Part, Shape, Shard};
pub(crate) use part::{CurvePoints, ExpRange, Highest, WorstCase};
pub(crate) use shares::{Shares, ranges};

/// The name and version of the format.
pub const SCHEMA: &str = "logitfuzz.results/1";

/// Everything a campaign found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Results {
    /// [`SCHEMA`].
    pub schema: String,
    /// False if the campaign was interrupted: then the cells hold what was done until then.
    pub complete: bool,
    /// What selected the cases, and the policy they were judged by.
    pub settings: Settings,
    /// What produced the numbers.
    pub provenance: Provenance,
    /// What kernels declare of themselves, one entry for each (kernel, op, dtype) that declares anything.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub declared: Vec<Declared>,
    /// One entry for each (kernel, op, dtype, family), sorted in that order.
    pub cells: Vec<Cell>,
    /// The failing cases, shrunk, one for each distinct (kernel, op, dtype, verdict, mechanism).
    pub findings: Vec<Finding>,
    /// Error against input, one curve for each (kernel, op, dtype).
    pub curves: Vec<Curve>,
    /// Of a shard, what merging needs besides.
    #[serde(default)]
    pub shard: Option<Part>,
}

/// What selected the cases, and the policy they were judged by.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// The seed of all random streams.
    pub seed: u64,
    /// Cases for each cell (the family `file` has one for each row instead).
    pub cases: u64,
    /// The longest row generated.
    pub max_len: usize,
    /// The kernels, by name, in the order of the report.
    pub kernels: Vec<String>,
    /// The ops, in the order of the report.
    pub ops: Vec<Op>,
    /// The dtypes, in the order of the report.
    pub dtypes: Vec<Dtype>,
    /// The families, in the order of the report.
    pub families: Vec<String>,
    /// The preset for special values, if one was asked for; otherwise each kernel's own.
    pub special: Option<String>,
    /// The `--claims` that were applied to every kernel, if any.
    pub claims: Option<String>,
    /// The rows of the family `file`: their number and a checksum of them.
    pub file: Option<FileRows>,
    /// The cases of the search for each (kernel, op, dtype); 0 where there was none.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub search: u64,
}

/// Whether a figure is that of nothing.
fn is_none(figure: &f64) -> bool {
    *figure == 0.0
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// The rows that a user brought.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FileRows {
    /// The number of rows.
    pub rows: usize,
    /// FNV-1a of the logits and targets, in hex, so that two results can be told to be of the same rows.
    pub checksum: String,
}

/// What produced the numbers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Provenance {
    /// The version of this crate.
    pub logitfuzz: String,
    /// The version of the generators: cases of two versions are not comparable.
    pub generators: u32,
    /// The version of MPFR under the oracle; `pure` where the oracle has its own numbers in its place, which are equal in every bit.
    pub mpfr: String,
    /// The versions of the libraries under test, by kernel, where they are known.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub libraries: BTreeMap<String, String>,
}

impl Provenance {
    /// The oracle's numbers in words: `MPFR 4.2.2`.
    pub fn numbers(&self) -> String {
        if self.mpfr == crate::number::PURE { "its own, in Rust".to_owned() } else { format!("MPFR {}", self.mpfr) }
    }
}

/// What is known of a run and is no result: it is written to `run.json`, and may differ between identical runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunInfo {
    /// The command line.
    pub command: Vec<String>,
    /// When the run started, in UTC, as `2026-01-31T12:00:00Z`.
    pub started: String,
    /// How long it took, in seconds.
    pub seconds: f64,
    /// The number of threads.
    pub jobs: usize,
    /// Operating system and processor architecture.
    pub machine: String,
}

/// What a kernel declares of itself for one op in one dtype, and what that was good for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Declared {
    /// The kernel's name.
    pub kernel: String,
    /// The op.
    pub op: Op,
    /// The dtype.
    pub dtype: Dtype,
    /// What it declares, the claims that were made for all kernels included.
    #[serde(flatten)]
    pub declaration: Declaration,
    /// Cases that pass only thanks to its claims: as the textbook's their answers would fail.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub needed: u64,
}

impl Declared {
    /// Whether both are of one function: kernel, op and dtype.
    pub(crate) fn is_of_same(&self, other: &Self) -> bool {
        (&self.kernel, self.op, self.dtype) == (&other.kernel, other.op, other.dtype)
    }
}

impl Serialize for Declaration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        DeclarationText::from(self).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Declaration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        DeclarationText::deserialize(deserializer)?.read().map_err(serde::de::Error::custom)
    }
}

/// A declaration as it is written: what is not there is not declared.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct DeclarationText {
    /// As `--claims` takes them.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    claims: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    min_len: Option<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    max_len: Option<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    deterministic: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    label_smoothing: Option<bool>,
}

impl From<&Declaration> for DeclarationText {
    fn from(declaration: &Declaration) -> Self {
        let (least, most) = (*declaration.lengths.start(), *declaration.lengths.end());
        Self {
            claims: declaration.claims.to_string(),
            min_len: Some(least).filter(|&least| least > 0),
            max_len: Some(most).filter(|&most| most < usize::MAX),
            deterministic: Some(false).filter(|_| !declaration.deterministic),
            label_smoothing: Some(false).filter(|_| !declaration.label_smoothing),
        }
    }
}

impl DeclarationText {
    /// The declaration.
    ///
    /// # Errors
    /// Claims that cannot be read.
    pub fn read(&self) -> crate::error::Result<Declaration> {
        let mut claims = Claims::default();
        claims.set(&self.claims)?;
        Ok(Declaration {
            claims,
            lengths: self.min_len.unwrap_or(0)..=self.max_len.unwrap_or(usize::MAX),
            deterministic: self.deterministic.unwrap_or(true),
            label_smoothing: self.label_smoothing.unwrap_or(true),
        })
    }
}

impl std::fmt::Display for DeclarationText {
    /// `exp=8, max_len=4096, deterministic=false`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let lengths = [("min_len", self.min_len), ("max_len", self.max_len)];
        let flags = [("deterministic", self.deterministic), ("label_smoothing", self.label_smoothing)];
        let lengths = lengths.iter().filter_map(|(name, length)| length.map(|length| format!("{name}={length}")));
        let flags = flags.iter().filter_map(|(name, flag)| flag.map(|flag| format!("{name}={flag}")));
        let claims = (!self.claims.is_empty()).then(|| self.claims.clone());
        f.write_str(&claims.into_iter().chain(lengths).chain(flags).collect::<Vec<_>>().join(", "))
    }
}

/// One (kernel, op, dtype, family): counts and extremes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Cell {
    /// The kernel's name.
    pub kernel: String,
    /// The op.
    pub op: Op,
    /// The dtype.
    pub dtype: Dtype,
    /// The family of the logits.
    pub family: String,
    /// Cases run.
    pub cases: u64,
    /// Cases selected and not run (the kernel was given up on, or the run was interrupted).
    pub not_run: u64,
    /// Outputs judged.
    pub outputs: u64,
    /// Cases by verdict; those with no case are left out.
    pub verdicts: BTreeMap<Verdict, u64>,
    /// The index of the first case with a failing verdict, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_failing: Option<u64>,
    /// Outputs that passed, by grade; those with no output are left out.
    pub grades: BTreeMap<Grade, u64>,
    /// The largest finite error, in ulps of the exact value.
    #[serde(with = "number")]
    pub max_ulp: f64,
    /// The largest error over its bound.
    #[serde(with = "number")]
    pub max_ratio: f64,
    /// The largest error over the tight bound, of outputs that pass beyond that: what `--strict` would have of them. 0, and left out, where
    /// all keep that bound, or the op has none.
    #[serde(default, with = "number", skip_serializing_if = "is_none")]
    pub max_strict_ratio: f64,
    /// The mean signed error in ulps of all finite outputs that have a finite truth (positive: too large).
    #[serde(with = "number")]
    pub mean_signed_ulp: f64,
    /// Outputs by error in ulps: element 0 counts errors up to 0.5, element k errors above 2^(k-2) up to 2^(k-1), the last
    /// one all above; trailing zeros are left out.
    pub ulp_histogram: Vec<u64>,
    /// The case with the largest ratio, in the text form of [`crate::case::Case`], if it is short enough to keep.
    pub worst: Option<String>,
}

/// Error against input for one (kernel, op, dtype): in each bin of the input's size, the output with the largest ratio.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Curve {
    /// The kernel's name.
    pub kernel: String,
    /// The op.
    pub op: Op,
    /// The dtype.
    pub dtype: Dtype,
    /// The points, sorted by `x`.
    pub points: Vec<Point>,
}

/// One point of a [`Curve`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// log2 of the largest finite |logit| of the row, rounded down; rows of zeros count as -1075.
    pub x: i32,
    /// The error, in ulps of the exact value; infinite where the kernel returned NaN or an infinity that is not due.
    #[serde(with = "number")]
    pub ulp: f64,
    /// The bound for the same output, in ulps of the exact value.
    #[serde(with = "number")]
    pub bound_ulp: f64,
}

/// A number that may be NaN or infinite: then a string, `"nan"`, `"inf"`, `"-inf"`.
pub(crate) mod number {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub fn serialize<S: Serializer>(x: &f64, serializer: S) -> Result<S::Ok, S::Error> {
        if x.is_finite() {
            serializer.serialize_f64(*x)
        } else {
            serializer.serialize_str(&crate::dtype::text::hex(*x))
        }
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Number {
            Finite(f64),
            Text(String),
        }
        match Number::deserialize(deserializer)? {
            Number::Finite(x) => Ok(x),
            Number::Text(text) => match text.as_str() {
                "nan" => Ok(f64::NAN),
                "inf" => Ok(f64::INFINITY),
                "-inf" => Ok(f64::NEG_INFINITY),
                _ => Err(D::Error::custom(format!("`{text}` is not a number, nan, inf or -inf"))),
            },
        }
    }
}
