//! What the results of a shard hold besides: what cannot be merged from reports alone.

use super::{Curve, Finding, Point, Settings, number};
use crate::dtype::Dtype;
use crate::error::{Error, Result};
use crate::op::Op;
use crate::special::RowClass;
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// One of `of` equal shares of the units.
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

/// The most shares that are believed of a file: there are some hundred units.
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

impl Shard {
    /// Whether a unit is in this share. Each run of `of` units goes round once, each time from the next share on: neither the
    /// same family nor the same dtype always falls to the same share, since some cost far more than others.
    pub(crate) fn owns(self, unit: usize) -> bool {
        (unit + unit / self.of) % self.of == self.number - 1
    }

    /// Refuses a share of fewer units than there are shares: some would have nothing to do, and pass for it.
    pub(crate) fn check(self, units: usize) -> Result<()> {
        if self.of <= units {
            return Ok(());
        }
        Err(Error::usage(format!(
            "--shard {self}: only {units} pairs of a dtype and a family are selected; share them among {units} or fewer"
        )))
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
            (1..=shard.of).contains(&shard.number).then_some(shard)
        };
        parse().ok_or_else(|| Error::usage(format!("`{text}` is no shard; write K/N with K from 1 to N, such as 1/4")))
    }
}

/// What the results of a shard hold besides, for merging.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Part {
    /// Which shard it is.
    pub shard: Shard,
    /// The first failing case of each kind, shrunk; other shards may have earlier ones.
    pub failures: Vec<Kept>,
    /// The curves with the ratios by which their points were chosen.
    pub curves: Vec<CurvePart>,
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

impl Part {
    /// The findings, for whoever checks what was read.
    pub(crate) fn findings_mut(&mut self) -> impl Iterator<Item = &mut Finding> {
        self.failures.iter_mut().map(Kept::finding_mut)
    }

    /// The names of kernels and families in it.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        let of_findings = self.failures.iter().map(Kept::finding);
        let of_findings = of_findings.flat_map(|finding| [finding.kernel.as_str(), &finding.family]);
        self.curves.iter().map(|curve| curve.kernel.as_str()).chain(of_findings)
    }

    /// Whether the shard owns the cells of this dtype and family.
    pub(crate) fn owns(&self, settings: &Settings, dtype: &str, family: &str) -> bool {
        let dtype = settings.dtypes.iter().position(|known| known.name() == dtype);
        let family = settings.families.iter().position(|known| known == family);
        dtype.zip(family).is_some_and(|(dtype, family)| self.shard.owns(dtype * settings.families.len() + family))
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
