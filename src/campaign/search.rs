//! The search: from rows of all families it climbs to the worst error / bound that it can find, one (kernel, op, dtype) at a time.
//!
//! Its steps are those of the fuzzer's mutator (`generate/mutate.rs`). What it keeps is a map of *elites* (MAP-Elites, Mouret and
//! Clune 2015): for each kind of case, by shape, length and how much is forgiven, the case with the largest ratio. A single best
//! case would be a peak that a step cannot leave; a map keeps what is best in its own way, and any of them may be the next parent.
//!
//! A generation is a batch: its children are made before any of them is judged, so a kernel in a process of its own gets them at
//! once, and the result depends on nothing but the seed, the kernel's answers and the number of steps.

use super::Control;
use super::plan::{Plan, Planned, SEARCH_FAMILY};
use super::sums::{CellSum, MOST_FAULTS};
use super::unit::{row_size, run_all};
use crate::case::Case;
use crate::dtype::Dtype;
use crate::generate::draw::Draw;
use crate::generate::mutate::{crossover, mutate};
use crate::generate::{self, Family};
use crate::judge::Judgement;
use crate::kernel::{self, Batch, Fault, Kernel, Outcome};
use crate::oracle::Oracle;
use crate::results::Shape;
use crate::trial::{self, Trial};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Cases of a generation.
const GENERATION: u64 = 32;

/// Rows of each family that the search begins with.
const ROWS_OF_FAMILY: u64 = 2;

/// The longest row of the search: a longer one costs the oracle more than it teaches, and the families have those.
const LONGEST: usize = 256;

/// One child in so many has two parents.
const CROSSOVER_SHARE: u64 = 8;

/// One parent in so many is the best case of all; the others are any elite.
const BEST_SHARE: u64 = 3;

/// A kind of case: of each the worst is kept. The shape, the length in octaves, the bound in steps of eight octaves of ulps.
type Niche = (Shape, u32, i32);

/// What the search knows of one (kernel, op, dtype).
struct Search<'a> {
    plan: &'a Plan,
    kernel: &'a dyn Kernel,
    function: &'a Planned,
    draw: Draw,
    elites: BTreeMap<Niche, (f64, Case)>,
    sum: CellSum,
    faults: u64,
}

/// Searches with `steps` cases, fewer where it is stopped or the kernel is given up on. All failures are in the sum, and the cases
/// are counted there as rows.
pub(super) fn search(
    plan: &Plan,
    function: &Planned,
    dtype: Dtype,
    steps: u64,
    control: &Control,
    oracle: &mut Oracle,
) -> CellSum {
    let (op, kernel) = (plan.ops[function.op], plan.kernels[function.kernel].as_ref());
    let draw = Draw::stream(plan.seed, dtype, SEARCH_FAMILY, Some(op), 0);
    let mut search =
        Search { plan, kernel, function, draw, elites: BTreeMap::new(), sum: CellSum::default(), faults: 0 };
    let mut waiting = search.first_cases(dtype);
    let mut done = 0;
    while done < steps && !control.is_stopped() && search.faults < MOST_FAULTS {
        let count = GENERATION.min(steps - done);
        let mut cases: Vec<Case> = waiting.by_ref().take(count as usize).collect();
        while (cases.len() as u64) < count {
            match search.child() {
                Some(case) => cases.push(case),
                // Nothing to begin with: the kernel takes no row of any family.
                None => break,
            }
        }
        if cases.is_empty() {
            break;
        }
        search.judge(&cases, done, oracle);
        done += cases.len() as u64;
    }
    search.sum
}

impl Search<'_> {
    /// The cases that the search begins with: the first rows of every family.
    fn first_cases(&self, dtype: Dtype) -> impl Iterator<Item = Case> + use<> {
        let (op, seed) = (self.plan.ops[self.function.op], self.plan.seed);
        let longest = self.plan.max_len.min(LONGEST);
        let quick = Family::all().iter().filter(|family| !family.is_slow());
        let rows = quick.flat_map(move |&family| {
            (0..ROWS_OF_FAMILY).filter_map(move |index| {
                let row = generate::row(family, dtype, seed, index, longest);
                generate::case(op, dtype, family.name(), seed, index, row.into(), None).ok().flatten()
            })
        });
        rows.collect::<Vec<_>>().into_iter()
    }

    /// A case near one or two of the elites.
    fn child(&mut self) -> Option<Case> {
        let longest = self.plan.max_len.min(LONGEST);
        let parent = self.parent()?;
        if self.draw.chance(CROSSOVER_SHARE) {
            let other = self.parent()?;
            return Some(crossover(&parent, &other, &mut self.draw, longest));
        }
        Some(mutate(&parent, &mut self.draw, longest))
    }

    fn parent(&mut self) -> Option<Case> {
        if self.elites.is_empty() {
            return None;
        }
        let best = || self.elites.values().max_by(|a, b| a.0.total_cmp(&b.0));
        let place = self.draw.index(self.elites.len());
        let parent = if self.draw.chance(BEST_SHARE) { best() } else { self.elites.values().nth(place) };
        parent.map(|(_, case)| case.clone())
    }

    /// Runs a generation and keeps what is worse than what was there. `first` is the number of its first case.
    fn judge(&mut self, cases: &[Case], first: u64, oracle: &mut Oracle) {
        let mut answers = self.kernel.supervised().map(|supervised| {
            let indexed = (first..).zip(cases).filter(|(_, case)| kernel::accepts(self.kernel, case));
            let claims = &self.function.claims;
            let in_batch = |(index, case)| (case, self.batch(index, case).map(|batch| trial::allowed(&batch, claims)));
            run_all(self.kernel, supervised, &indexed.map(in_batch).collect::<Vec<_>>()).into_iter()
        });
        for (index, case) in (first..).zip(cases) {
            if self.faults >= MOST_FAULTS {
                return;
            }
            self.sum.counts.rows += 1;
            if !kernel::accepts(self.kernel, case) {
                self.sum.counts.without += 1;
                continue;
            }
            let (mut trial, claims) = (Trial::new(case), &self.function.claims);
            trial.deliver(self.batch(index, case).as_ref(), claims);
            let judgement = match &mut answers {
                None => trial.judge(oracle, self.kernel, claims),
                Some(answers) => {
                    let answer = answers.next().unwrap_or_else(|| Outcome::NotRun.into());
                    trial.judge_answer(oracle, self.kernel, claims, &answer)
                }
            };
            let class = trial.class();
            self.sum.counts.add(index, case, &judgement);
            if let Some(size) = row_size(case.logits()) {
                super::counts::add_to_curve(&mut self.sum.curve, size, &judgement);
            }
            self.faults += u64::from(judgement.fault().is_some_and(Fault::is_fatal));
            self.keep(case, Shape::of(case, class), &judgement);
            if judgement.verdict.is_failure() {
                self.sum.fail(class, index, case, judgement);
            }
        }
    }

    /// The batch in which a case is given to a kernel that computes batches.
    fn batch(&self, index: u64, case: &Case) -> Option<Arc<Batch>> {
        let is_batched = self.kernel.batched(case.op(), case.dtype()).is_some();
        is_batched.then(|| Arc::new(generate::batch(case, SEARCH_FAMILY, self.plan.seed, index)))
    }

    /// Keeps a case that is the worst of its kind. An infinite ratio is the end of a climb: nothing above it is to be found, and
    /// what fails by it is in the sum.
    fn keep(&mut self, case: &Case, shape: Shape, judgement: &Judgement) {
        /// Octaves of the bound that are one kind.
        const OCTAVES: f64 = 8.0;
        let ratio = judgement.max_ratio;
        let forgiven = judgement.worst.as_ref().map_or(0.0, |worst| worst.judged.bound_ulps);
        if !ratio.is_finite() {
            return;
        }
        let octave = if forgiven > 0.0 { (forgiven.log2() / OCTAVES).floor() as i32 } else { i32::MIN };
        let niche = (shape, case.logits().len().next_power_of_two().trailing_zeros(), octave);
        match self.elites.get(&niche) {
            Some((known, _)) if *known >= ratio => {}
            _ => drop(self.elites.insert(niche, (ratio, case.clone()))),
        }
    }
}
