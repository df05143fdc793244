//! The evidence for an explanation, probe by probe, for who wants to see it.

use super::{Asked, Recognised, Suspect};
use crate::case::Case;
use crate::diagnosis::battery::battery;
use crate::kernel::builtin::Builtin;
use crate::kernel::{Claims, Kernel, Outcome, is_same};
use crate::oracle::Oracle;

/// What shows that a kernel does what a planted defect does.
pub(crate) struct Evidence {
    /// The defect, and what sets it apart from the planted one.
    pub title: String,
    /// A correct kernel.
    pub right: &'static str,
    /// How many probes both were run on.
    pub probes: usize,
    /// Those on which the correct kernel answers otherwise, the failing case first.
    pub telling: Vec<Telling>,
}

/// A probe that tells the kernel from a correct one, at the output where they differ most.
pub(crate) struct Telling {
    /// The case.
    pub case: Case,
    /// The output.
    pub index: usize,
    /// What the kernel, what it answers like, and the correct kernel return there; none where it came to no answer.
    pub answers: [Option<f64>; 3],
}

/// The evidence for what explains a failing case on a kernel; none where no planted defect does.
pub(crate) fn evidence(oracle: &mut Oracle, kernel: &dyn Kernel, claims: &Claims, case: &Case) -> Option<Evidence> {
    let battery = battery(case.op(), case.dtype());
    let mut suspect = Suspect::new(kernel, claims, &battery);
    let Some(Asked::Shown(recognised)) = suspect.ask(oracle, case) else { return None };
    let (right, probes) = (suspect.right?, suspect.cases.iter().copied());
    let told = std::iter::once(case).chain(probes);
    let telling = told.filter_map(|case| suspect.telling(oracle, &recognised, right, case)).collect();
    Some(Evidence { title: recognised.hypothesis.title(), right: right.name(), probes: recognised.probes, telling })
}

impl Suspect<'_> {
    /// What a probe tells; none where the correct kernel answers as this one does.
    fn telling(&self, oracle: &mut Oracle, recognised: &Recognised, right: &Builtin, case: &Case) -> Option<Telling> {
        let mut probe = self.probe(case);
        if probe.is_alike(oracle, right).is_some() {
            return None;
        }
        let answers = [probe.outcome.clone(), probe.trial.outcome(&recognised.hypothesis), probe.trial.outcome(right)];
        let at = |answer: &Outcome, index: usize| match answer {
            Outcome::Outputs(outputs) => outputs.get(index).copied(),
            Outcome::Failed(..) | Outcome::NotRun => None,
        };
        // A number that is none differs from any.
        let difference = |index: &usize| match (at(&answers[0], *index), at(&answers[2], *index)) {
            (Some(a), Some(b)) if is_same(a, b) => 0.0,
            (Some(a), Some(b)) if a.is_finite() && b.is_finite() => (a - b).abs() / b.abs(),
            _ => f64::INFINITY,
        };
        let places = 0..case.op().outputs(case.logits().len()).max(1);
        let index = places.rev().max_by(|a, b| difference(a).total_cmp(&difference(b))).unwrap_or(0);
        let answers = answers.map(|answer| at(&answer, index));
        Some(Telling { case: case.clone(), index, answers })
    }
}
