//! The largest figures of a cell, where the screen left them as intervals.
//!
//! The screen counts an answer without its exact error. Which answer has the largest error of a cell, or the largest ratio, or is the
//! highest point of the curve, is known once all rows of a unit are judged: then the few whose intervals reach the largest are judged
//! exactly, and only these. What cannot be the largest is dropped as soon as something larger is known.

use super::counts::{LONGEST_KEPT, add_to_curve};
use super::plan::Cells;
use super::sums::{CellSum, CellSums};
use crate::case::Case;
use crate::judge::screen::Largest;
use crate::kernel::Outcome;
use crate::oracle::Oracle;
use crate::results::CurvePoints;
use crate::trial::Trial;
use std::collections::BTreeMap;

/// The longest answer that waits: a longer one is judged exactly at once, so that what is in memory stays small.
const LONGEST_WAITING: usize = 1 << 12;

/// Answers of a function that may have a largest figure.
#[derive(Default)]
pub(super) struct Candidates {
    waiting: Vec<Candidate>,
    /// What is certain of the largest figures among those waiting.
    certain: Certain,
}

struct Candidate {
    index: u64,
    /// See `counts::add_to_curve`.
    size: Option<i32>,
    case: Case,
    outputs: Vec<f64>,
    largest: Largest,
}

/// Lower bounds of the largest figures.
#[derive(Default)]
struct Certain {
    ulp: f64,
    ratio: f64,
    /// Of the rows that are short enough to be kept as the worst case.
    short: f64,
    /// In each bin of the curve.
    points: BTreeMap<i32, f64>,
}

impl Certain {
    /// What is known from answers that were judged exactly, those of earlier units in `curve`.
    fn of(sum: &CellSum, curve: Option<&CurvePoints>, size: Option<i32>) -> Self {
        let (ulp, ratio, short) = sum.counts.highest();
        let elsewhere = |size: i32| curve.map_or(0.0, |curve| curve.highest_ratio(size));
        let point = |size: i32| (size, sum.curve.highest_ratio(size).max(elsewhere(size)));
        Self { ulp, ratio, short, points: size.into_iter().map(point).collect() }
    }

    fn raise(&mut self, candidate: &Candidate) {
        let Largest { ulp, ratio, .. } = candidate.largest;
        self.ulp = self.ulp.max(ulp.0);
        self.ratio = self.ratio.max(ratio.0);
        if candidate.is_short() {
            self.short = self.short.max(ratio.0);
        }
        if let Some(size) = candidate.size {
            let point = self.points.entry(size).or_insert(0.0);
            *point = point.max(ratio.0);
        }
    }

    /// Whether a candidate may have a figure that is larger than what is certain, or as large.
    fn allows(&self, candidate: &Candidate) -> bool {
        let Largest { ulp, ratio, .. } = candidate.largest;
        let point = |size: i32| self.points.get(&size).copied().unwrap_or(0.0);
        ulp.1 >= self.ulp
            || ratio.1 >= self.ratio
            || (candidate.is_short() && ratio.1 >= self.short)
            || candidate.size.is_some_and(|size| ratio.1 >= point(size))
    }
}

impl Candidate {
    fn is_short(&self) -> bool {
        self.case.logits().len() <= LONGEST_KEPT
    }
}

impl Candidates {
    /// Takes an answer, if it may have a largest figure.
    fn take(&mut self, candidate: Candidate) {
        if self.certain.allows(&candidate) {
            self.certain.raise(&candidate);
            self.waiting.push(candidate);
        }
    }
}

/// The candidates of all cells of one unit.
#[derive(Default)]
pub(super) struct Waiting<'a> {
    unit: Option<Cells<'a>>,
    /// For each function of the unit.
    candidates: Vec<Candidates>,
    /// Points of functions in units that are settled: no lower one is a point of their curve.
    curves: BTreeMap<(usize, usize, usize), CurvePoints>,
}

impl<'a> Waiting<'a> {
    /// Begins a unit, or goes on with it. Those of another one are settled.
    pub fn enter(&mut self, unit: Cells<'a>, oracle: &mut Oracle, sums: &mut impl CellSums) {
        let key = |unit: Cells| (unit.dtype, unit.source);
        if self.unit.map(key) != Some(key(unit)) {
            self.settle(oracle, sums);
            self.candidates.resize_with(unit.planned.len(), Candidates::default);
            self.unit = Some(unit);
        }
    }

    /// Takes an answer of a function that the screen judged; gives it back where it is too long to wait.
    pub fn take(
        &mut self,
        place: usize,
        (index, size, case): (u64, Option<i32>, &Case),
        outcome: Outcome,
        largest: Largest,
        sum: &CellSum,
    ) -> Option<Outcome> {
        let (Some(unit), Outcome::Outputs(outputs)) = (self.unit, outcome) else { return None };
        let candidate = Candidate { index, size, case: case.clone(), outputs, largest };
        let curve = self.curves.get(&unit.function(place));
        if !Certain::of(sum, curve, size).allows(&candidate) {
            return None;
        }
        if candidate.outputs.len() > LONGEST_WAITING {
            return Some(Outcome::Outputs(candidate.outputs));
        }
        self.candidates[place].take(candidate);
        None
    }

    /// Judges exactly what may be the largest, row by row, so that kernels share its truth.
    pub fn settle(&mut self, oracle: &mut Oracle, sums: &mut impl CellSums) {
        let Some(unit) = self.unit else { return };
        let mut due = Vec::new();
        for (place, candidates) in self.candidates.iter_mut().enumerate() {
            let Candidates { waiting, certain } = std::mem::take(candidates);
            due.extend(waiting.into_iter().filter(|one| certain.allows(one)).map(|one| (place, one)));
        }
        due.sort_by_key(|(place, one)| (unit.planned[*place].op, one.index));
        for row in
            due.chunk_by(|(a, one), (b, other)| (unit.planned[*a].op, one.index) == (unit.planned[*b].op, other.index))
        {
            let mut trial = Trial::new(&row[0].1.case);
            for (place, one) in row {
                let (function, curve) = (&unit.planned[*place], self.curves.entry(unit.function(*place)).or_default());
                let sum = sums.sum(unit.cell(*place));
                if !Certain::of(sum, Some(curve), one.size).allows(one) {
                    continue;
                }
                let judgement = trial.judge_alone(oracle, &function.claims, &Outcome::Outputs(one.outputs.clone()));
                sum.counts.raise(one.index, &one.case, &judgement);
                if let Some(size) = one.size {
                    add_to_curve(&mut sum.curve, size, &judgement);
                    add_to_curve(curve, size, &judgement);
                }
            }
        }
    }
}
