//! What the results of a shard hold besides: what cannot be merged from reports alone.

use super::{Curve, Finding, Point, Settings, Shares, number};
use crate::dtype::Dtype;
use crate::error::{Error, Result};
use crate::op::Op;
use crate::special::RowClass;
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::str::FromStr;

/// One of `of` equal shares of a campaign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Read")]
pub struct Shard {
    /// Which share, counted from 1.
    pub number: usize,
    /// The number of shares.
    pub of: usize,
}

/// A share as a file has it, which may hold any numbers.
#[derive(Deserialize)]
struct Read {
    number: usize,
    of: usize,
}

/// The most shares that are believed, of a file or of a flag.
const MOST_SHARES: usize = 10_000;

impl TryFrom<Read> for Shard {
    type Error = String;

    fn try_from(Read { number, of }: Read) -> std::result::Result<Self, String> {
        if of <= MOST_SHARES && (1..=of).contains(&number) {
            return Ok(Self { number, of });
        }
        Err(format!("{number}/{of} is no shard: shares are counted from 1 and are at most {MOST_SHARES}"))
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.number, self.of)
    }
}

impl FromStr for Shard {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let parse = || {
            let (number, of) = text.split_once('/')?;
            let shard = Shard { number: number.parse().ok()?, of: of.parse().ok()? };
            (shard.of <= MOST_SHARES && (1..=shard.of).contains(&shard.number)).then_some(shard)
        };
        parse().ok_or_else(|| {
            Error::usage(format!(
                "`{text}` is no shard; write K/N with K from 1 to N, such as 1/4, and N up to {MOST_SHARES}"
            ))
        })
    }
}

/// What the results of a shard hold besides, for merging.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Part {
    /// Which shard it is.
    pub shard: Shard,
    /// The families that are split into ranges of rows, with the number of their rows in each dtype.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub split: BTreeMap<String, u64>,
    /// Of each cell of these families the rows that are this shard's, and what its figures do not show.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ranges: Vec<CellRange>,
    /// The first failing case of each kind, shrunk; other shards may have earlier ones.
    pub failures: Vec<Kept>,
    /// The curves with the ratios by which their points were chosen.
    pub curves: Vec<CurvePart>,
}

/// The rows of a cell that one shard has, where several have some of them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CellRange {
    pub(crate) kernel: String,
    pub(crate) op: Op,
    pub(crate) dtype: Dtype,
    pub(crate) family: String,
    /// The first row.
    pub(crate) from: u64,
    /// The row after the last.
    pub(crate) until: u64,
    /// The sum that the mean signed error is made of ([`crate::judge::Judgement::signed_sum`]).
    #[serde(with = "wide")]
    pub(crate) signed_sum: i128,
    /// Which case is the worst of the cell, where it has one.
    pub(crate) worst: Option<WorstCase>,
}

/// The ratio of the worst case that a cell keeps, and its row.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct WorstCase {
    #[serde(with = "number")]
    pub ratio: f64,
    pub index: u64,
}

/// A curve of a shard.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CurvePart {
    pub(crate) kernel: String,
    pub(crate) op: Op,
    pub(crate) dtype: Dtype,
    pub(crate) points: CurvePoints,
}

impl CurvePart {
    pub(crate) fn new(curve: &Curve, points: CurvePoints) -> Self {
        Self { kernel: curve.kernel.clone(), op: curve.op, dtype: curve.dtype, points }
    }
}

impl super::Results {
    /// Whether the cells of this family have some of their rows only: the others are of other shards.
    pub(crate) fn has_ranges_of(&self, family: &str) -> bool {
        self.shard.as_ref().is_some_and(|part| part.is_split(family))
    }
}

impl Part {
    /// The findings, for whoever checks what was read.
    pub(crate) fn findings_mut(&mut self) -> impl Iterator<Item = &mut Finding> {
        self.failures.iter_mut().map(Kept::finding_mut)
    }

    /// The names of kernels and families in it.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        let of_findings = self.failures.iter().map(Kept::finding);
        let of_findings = of_findings.flat_map(|finding| [finding.kernel.as_str(), &finding.family]);
        let of_ranges = self.ranges.iter().flat_map(|range| [range.kernel.as_str(), &range.family]);
        let families = self.split.keys().map(String::as_str);
        self.curves.iter().map(|curve| curve.kernel.as_str()).chain(of_findings).chain(of_ranges).chain(families)
    }

    /// How the campaign is shared.
    pub(crate) fn shares(&self, settings: &Settings) -> Shares {
        let families = settings.families.iter().map(String::as_str);
        Shares::new(self.shard.of, settings.dtypes.len(), families, &self.split)
    }

    /// The rows of this dtype and family that are the shard's, of all that are split; of what is whole no row is named.
    pub(crate) fn owned(&self, settings: &Settings, shares: &Shares, dtype: &str, family: &str) -> Option<Range<u64>> {
        let rows = self.split.get(family).copied().unwrap_or(0);
        let dtype = settings.dtypes.iter().position(|known| known.name() == dtype)?;
        let family = settings.families.iter().position(|known| known == family)?;
        shares.owned(self.shard, dtype, family, rows)
    }

    /// Whether the shard has all or some rows of the cells of this dtype and family.
    pub(crate) fn owns(&self, settings: &Settings, dtype: &str, family: &str) -> bool {
        self.owned(settings, &self.shares(settings), dtype, family).is_some()
    }

    /// Whether the cells of this family have some of their rows only.
    pub(crate) fn is_split(&self, family: &str) -> bool {
        self.split.contains_key(family)
    }
}

/// The first failing case of its kind, shrunk.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Kept {
    /// The shape of the row that failed.
    pub(crate) shape: Shape,
    /// The finding made of it.
    pub(crate) finding: Finding,
}

impl Kept {
    /// The finding.
    pub(crate) fn finding(&self) -> &Finding {
        &self.finding
    }

    /// The finding, for whoever checks what was read.
    pub(crate) fn finding_mut(&mut self) -> &mut Finding {
        &mut self.finding
    }
}

/// What kind of row a failure needs: rows of different shapes are different findings even with the same verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Shape {
    pub(crate) class: RowClass,
    pub(crate) level: ExpRange,
}

/// Whether the maximum of a row is within the range of exp in the dtype.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ExpRange {
    /// Its exponential underflows.
    Below,
    /// Its exponential is a normal number.
    Within,
    /// Its exponential overflows.
    Above,
}

/// The curve of one (kernel, op, dtype): in each bin of the input's size the output with the largest ratio.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct CurvePoints {
    points: BTreeMap<i32, Highest>,
}

/// The output with the largest ratio in a bin.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Highest {
    #[serde(with = "number")]
    pub ratio: f64,
    #[serde(with = "number")]
    pub ulp: f64,
    #[serde(with = "number")]
    pub bound_ulp: f64,
}

impl CurvePoints {
    /// Takes the points of another curve.
    pub fn merge(&mut self, other: CurvePoints) {
        for (size, point) in other.points {
            self.take(size, point);
        }
    }

    /// Takes a point, if it is the highest of its bin.
    pub fn take(&mut self, size: i32, point: Highest) {
        let kept = self.points.entry(size).or_insert(point);
        let figures = |point: &Highest| [point.ratio, point.ulp, point.bound_ulp];
        let pairs = figures(kept).into_iter().zip(figures(&point));
        let order =
            pairs.map(|(kept, new)| kept.total_cmp(&new)).find(|order| order.is_ne()).unwrap_or(Ordering::Equal);
        if order.is_lt() {
            *kept = point;
        }
    }

    /// The points as a report shows them.
    pub fn into_points(self) -> Vec<Point> {
        self.points.into_iter().map(|(x, Highest { ulp, bound_ulp, .. })| Point { x, ulp, bound_ulp }).collect()
    }
}

/// A number of 128 bits as text: readers of JSON take no more than 64.
mod wide {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub fn serialize<S: Serializer>(x: &i128, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(x)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i128, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(|_| D::Error::custom(format!("`{text}` is no whole number of 128 bits")))
    }
}
