//! Counts and extremes of a cell, made so that merging them is commutative and associative: the same cases give the same
//! numbers in whatever order and on however many threads they were run.

use crate::case::Case;
use crate::judge::{Grade, HISTOGRAM_BINS, Judgement, Verdict, mean_of_fixed_point};
use crate::results::{CurvePoints, Highest, WorstCase};
use std::collections::BTreeMap;

/// The longest case that is kept as the worst of its cell: longer ones are found again by their index.
const LONGEST_KEPT: usize = 64;

/// What is counted for one (kernel, op, dtype, family).
#[derive(Debug, Clone)]
pub(super) struct Counts {
    /// Rows that the cell is done with, those in which the kernel has no case included.
    pub rows: u64,
    /// Rows of these in which it has none: the op has none, or the kernel does not take it.
    pub without: u64,
    /// Cases that pass only thanks to the kernel's claims.
    pub needed: u64,
    pub cases: u64,
    pub outputs: u64,
    pub verdicts: [u64; Verdict::ALL.len()],
    /// The index of the first failing case.
    pub first_failing: Option<u64>,
    pub grades: [u64; Grade::ALL.len()],
    pub max_ulp: f64,
    pub max_ratio: f64,
    pub max_strict_ratio: f64,
    pub signed_sum: i128,
    measured: u64,
    histogram: [u64; HISTOGRAM_BINS],
    worst: Option<Worst>,
}

#[derive(Debug, Clone)]
struct Worst {
    ratio: f64,
    index: u64,
    case: Case,
}

impl Default for Counts {
    fn default() -> Self {
        Self {
            rows: 0,
            without: 0,
            needed: 0,
            cases: 0,
            outputs: 0,
            verdicts: [0; Verdict::ALL.len()],
            first_failing: None,
            grades: [0; Grade::ALL.len()],
            max_ulp: 0.0,
            max_ratio: 0.0,
            max_strict_ratio: 0.0,
            signed_sum: 0,
            measured: 0,
            histogram: [0; HISTOGRAM_BINS],
            worst: None,
        }
    }
}

impl Counts {
    /// Counts a judged case.
    pub fn add(&mut self, index: u64, case: &Case, judgement: &Judgement) {
        self.cases += 1;
        self.needed += u64::from(judgement.needs_claims);
        self.outputs += judgement.outputs;
        self.verdicts[judgement.verdict as usize] += 1;
        if judgement.verdict.is_failure() {
            self.first_failing = earlier(self.first_failing, Some(index));
        }
        add_each(&mut self.grades, &judgement.grades);
        add_each(&mut self.histogram, &judgement.histogram);
        self.signed_sum += judgement.signed_sum;
        self.measured += judgement.measured;
        self.max_ulp = self.max_ulp.max(judgement.max_ulp);
        self.max_ratio = self.max_ratio.max(judgement.max_ratio);
        self.max_strict_ratio = self.max_strict_ratio.max(judgement.max_strict_ratio);
        if judgement.max_ratio > 0.0 && case.logits().len() <= LONGEST_KEPT && self.is_worst(judgement.max_ratio, index)
        {
            self.worst = Some(Worst { ratio: judgement.max_ratio, index, case: case.clone() });
        }
    }

    /// Adds the counts of other cases of the same cell.
    pub fn merge(&mut self, other: Counts) {
        self.rows += other.rows;
        self.without += other.without;
        self.needed += other.needed;
        self.cases += other.cases;
        self.outputs += other.outputs;
        add_each(&mut self.verdicts, &other.verdicts);
        self.first_failing = earlier(self.first_failing, other.first_failing);
        add_each(&mut self.grades, &other.grades);
        add_each(&mut self.histogram, &other.histogram);
        self.max_ulp = self.max_ulp.max(other.max_ulp);
        self.max_ratio = self.max_ratio.max(other.max_ratio);
        self.max_strict_ratio = self.max_strict_ratio.max(other.max_strict_ratio);
        self.signed_sum += other.signed_sum;
        self.measured += other.measured;
        if let Some(worst) = other.worst.filter(|worst| self.is_worst(worst.ratio, worst.index)) {
            self.worst = Some(worst);
        }
    }

    /// Whether a case with this ratio is worse than the one that is kept; of equal ones the first counts.
    fn is_worst(&self, ratio: f64, index: u64) -> bool {
        self.worst.as_ref().is_none_or(|worst| ratio > worst.ratio || (ratio == worst.ratio && index < worst.index))
    }

    pub fn verdict_counts(&self) -> BTreeMap<Verdict, u64> {
        Verdict::ALL.into_iter().zip(self.verdicts).filter(|&(_, count)| count > 0).collect()
    }

    pub fn grade_counts(&self) -> BTreeMap<Grade, u64> {
        Grade::ALL.into_iter().zip(self.grades).filter(|&(_, count)| count > 0).collect()
    }

    pub fn mean_signed_ulp(&self) -> f64 {
        mean_of_fixed_point(self.signed_sum, self.measured)
    }

    pub fn ulp_histogram(&self) -> Vec<u64> {
        let used = self.histogram.iter().rposition(|&count| count > 0).map_or(0, |last| last + 1);
        self.histogram[..used].to_vec()
    }

    pub fn worst_case(&self) -> Option<WorstCase> {
        self.worst.as_ref().map(|worst| WorstCase { ratio: worst.ratio, index: worst.index })
    }

    pub fn worst_text(&self) -> Option<String> {
        self.worst.as_ref().map(|worst| worst.case.to_string())
    }
}

fn earlier(a: Option<u64>, b: Option<u64>) -> Option<u64> {
    a.into_iter().chain(b).min()
}

fn add_each(counts: &mut [u64], others: &[u64]) {
    for (count, other) in counts.iter_mut().zip(others) {
        *count += other;
    }
}

/// Takes the worst output of a case into a curve; `size` is `floor(log2)` of the row's largest finite |logit|.
pub(super) fn add_to_curve(curve: &mut CurvePoints, size: i32, judgement: &Judgement) {
    let Some(worst) = &judgement.worst else { return };
    let judged = &worst.judged;
    let ulp = judged.ulps.map_or(if judgement.verdict.is_failure() { f64::INFINITY } else { 0.0 }, f64::abs);
    curve.take(size, Highest { ratio: judged.ratio, ulp, bound_ulp: judged.bound_ulps });
}
