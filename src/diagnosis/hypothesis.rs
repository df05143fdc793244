//! Hypotheses: a planted defect, or an unstable kernel, is a guess at what a kernel does, and one that can be run. Where a kernel answers
//! as the defect does on every case of the [`battery`](super::battery), the defect explains it; where several defects of different classes
//! answer so, no one of them does.

use super::battery::battery;
use crate::case::Case;
use crate::judge::OutputJudgement;
use crate::kernel::builtin::{self, Builtin, Defect};
use crate::kernel::{Claims, Fault, Kernel, Outcome, accepts};
use crate::oracle::Oracle;
use crate::results::Likeness;
use crate::trial::Trial;

/// What the dictionary says of a failing kernel.
pub(super) struct Recognised {
    /// The defect that answers alike, and what is known of it.
    pub kernel: &'static Builtin,
    pub defect: Defect,
    /// The cases that both were run on, and on how many of these the correct kernel answers otherwise.
    pub probes: usize,
    pub telling: usize,
}

/// What came of asking.
pub(super) enum Asked {
    /// One defect, or several of one class: the first of them.
    Shown(Recognised),
    /// Defects of different classes, which the cases do not tell apart.
    Open(Vec<&'static Builtin>),
}

impl Asked {
    /// The defect that explains it, as results have it.
    pub fn likeness(&self) -> Option<Likeness> {
        let Asked::Shown(Recognised { kernel, defect, probes, telling }) = self else { return None };
        Some(Likeness {
            kernel: kernel.name().into(),
            class: defect.class.into(),
            probes: *probes as u64,
            telling: *telling as u64,
        })
    }
}

/// A failing case on a kernel, and what is to be told of others from there.
pub(super) struct Suspect<'a> {
    pub kernel: &'a dyn Kernel,
    pub claims: &'a Claims,
    pub case: &'a Case,
}

impl Suspect<'_> {
    /// Asks which defects answer alike; none do where it fails by a fault, or where each output is good by itself.
    pub fn ask(&self, oracle: &mut Oracle) -> Option<Asked> {
        let (op, dtype) = (self.case.op(), self.case.dtype());
        let mut failing = self.probe(self.case);
        if !failing.fails(oracle) {
            return None;
        }
        // That a defect is like itself explains nothing.
        let own = self.kernel.selector();
        let is_other =
            |known: &&Builtin| known.supports(op, dtype) && known.mechanism().is_some() && known.name() != own;
        let known = builtin::all().iter().filter(is_other);
        let mut alike: Vec<&Builtin> = known.filter(|known| failing.is_alike(oracle, *known) == Some(true)).collect();
        if alike.is_empty() {
            return None;
        }
        let right = builtin::all().iter().find(|known| known.is_trusted() && known.supports(op, dtype))?;
        let (mut probes, mut telling) = (1, 1);
        for case in battery(op, dtype).iter().filter(|case| accepts(self.kernel, case)) {
            let mut probe = self.probe(case);
            // A kernel that ends its process or the time is not asked again and again.
            if matches!(probe.outcome, Outcome::Failed(Fault::Crash | Fault::Hang, _) | Outcome::NotRun) {
                return None;
            }
            alike.retain(|known| probe.is_alike(oracle, *known).is_some());
            if alike.is_empty() {
                return None;
            }
            probes += 1;
            telling += usize::from(probe.is_alike(oracle, right).is_none());
        }
        // What an unstable kernel does is also done by a planted defect, which says more.
        alike.sort_by_key(|known| known.defect().is_none());
        let first = alike[0].mechanism()?;
        if alike.iter().all(|known| known.mechanism().is_some_and(|defect| defect.class == first.class)) {
            Some(Asked::Shown(Recognised { kernel: alike[0], defect: first, probes, telling }))
        } else {
            Some(Asked::Open(alike))
        }
    }

    fn probe<'a>(&self, case: &'a Case) -> Probe<'a>
    where
        Self: 'a,
    {
        let trial = Trial::new(case);
        let outcome = trial.outcome(self.kernel);
        Probe { trial, outcome, claims: self.claims.clone(), judged: None }
    }
}

/// A case that the kernel was run on, and to which others are compared.
struct Probe<'a> {
    trial: Trial<'a>,
    outcome: Outcome,
    claims: Claims,
    /// What is said of each output, once it was asked.
    judged: Option<Vec<OutputJudgement>>,
}

impl Probe<'_> {
    /// Whether there is an answer of the right length with an output that fails by itself.
    fn fails(&mut self, oracle: &mut Oracle) -> bool {
        let Self { trial, outcome, claims, judged } = self;
        let Outcome::Outputs(outputs) = outcome else { return false };
        let case = trial.case();
        if outputs.len() != case.op().outputs(case.logits().len()) {
            return false;
        }
        let judged = judged.get_or_insert_with(|| trial.judge_outputs(oracle, claims, outputs));
        judged.iter().any(|output| output.verdict.is_failure())
    }

    /// Whether another kernel fails on the case, if it answers as this one did: by the same fault, or by outputs that are the same but for
    /// what separates two ways to compute one thing. None if it answers otherwise.
    fn is_alike(&mut self, oracle: &mut Oracle, other: &dyn Kernel) -> Option<bool> {
        let Self { trial, outcome, claims, judged } = self;
        let answer = trial.outcome(other);
        let (ours, theirs) = match (&*outcome, &answer) {
            (Outcome::Outputs(ours), Outcome::Outputs(theirs)) if ours.len() == theirs.len() => (ours, theirs),
            (Outcome::Failed(ours, _), Outcome::Failed(theirs, _)) if ours == theirs => return Some(true),
            _ => return None,
        };
        let is_bitwise = ours.iter().zip(theirs).all(|(a, b)| is_same(*a, *b));
        if is_bitwise && judged.is_none() {
            // Whether it fails is asked of the failing case alone, which was judged before.
            return Some(false);
        }
        let case = trial.case();
        if theirs.len() != case.op().outputs(case.logits().len()) {
            return None;
        }
        let ours_judged = judged.get_or_insert_with(|| trial.judge_outputs(oracle, claims, ours));
        let theirs_judged = if is_bitwise { ours_judged.clone() } else { trial.judge_outputs(oracle, claims, theirs) };
        let mut pairs = ours.iter().zip(theirs).zip(ours_judged.iter().zip(&theirs_judged));
        let is_alike = pairs.all(|((&x, &y), (a, b))| is_same(x, y) || are_near(a, b));
        is_alike.then(|| theirs_judged.iter().any(|output| output.verdict.is_failure()))
    }
}

fn is_same(a: f64, b: f64) -> bool {
    a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan())
}

/// Whether two outputs are those of one formula: both are good; or both err, and alike but for a small part of the error, or of the bound,
/// by which two ways to round differ.
fn are_near(a: &OutputJudgement, b: &OutputJudgement) -> bool {
    const SMALL_PART_OF_ERROR: f64 = 0.125;
    const SMALL_PART_OF_BOUND: f64 = 0.5;
    if !a.verdict.is_failure() && !b.verdict.is_failure() {
        return true;
    }
    let (Some(x), Some(y)) = (a.ulps, b.ulps) else { return false };
    (x - y).abs() <= (SMALL_PART_OF_BOUND * a.bound_ulps).max(SMALL_PART_OF_ERROR * x.abs().min(y.abs()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dtype::Dtype;
    use crate::op::Op;

    /// A kernel that somebody else wrote: what it does is not said by its name.
    struct Renamed<F>(&'static Builtin, F);

    impl<F: Fn(Vec<f64>) -> Vec<f64> + Send + Sync> Kernel for Renamed<F> {
        fn name(&self) -> &str {
            "somebody's"
        }

        fn supports(&self, op: Op, dtype: Dtype) -> bool {
            self.0.supports(op, dtype)
        }

        fn claims(&self, op: Op, dtype: Dtype) -> Claims {
            self.0.claims(op, dtype)
        }

        fn run(&self, case: &Case) -> Outcome {
            match self.0.run(case) {
                Outcome::Outputs(outputs) => Outcome::Outputs((self.1)(outputs)),
                other => other,
            }
        }
    }

    fn asked(kernel: &dyn Kernel, case: &str) -> Option<Asked> {
        let case = Case::parse(case).unwrap();
        let claims = kernel.claims(case.op(), case.dtype());
        Suspect { kernel, claims: &claims, case: &case }.ask(&mut Oracle::new())
    }

    /// A kernel that does what a planted defect does is recognised, as that or as one of its class; or it is said with which others it
    /// is alike. Never is another class shown.
    #[test]
    fn what_a_planted_defect_does_is_recognised() {
        let (mut shown, mut open, mut silent) = (0, Vec::new(), Vec::new());
        for known in builtin::all() {
            let (Some(defect), Some(examples)) = (known.defect(), known.examples()) else { continue };
            match asked(&Renamed(known, |outputs| outputs), examples.exposing) {
                Some(Asked::Shown(recognised)) => {
                    assert_eq!(
                        recognised.defect.class,
                        defect.class,
                        "{} is taken for {}",
                        known.name(),
                        recognised.kernel.name()
                    );
                    assert!(recognised.telling > 0 && recognised.probes > 60, "{}", known.name());
                    shown += 1;
                }
                Some(Asked::Open(alike)) => {
                    assert!(alike.iter().any(|one| one.name() == known.name()), "{}", known.name());
                    open.push(known.name());
                }
                None => silent.push(known.name()),
            }
        }
        println!("{shown} shown; open: {open:?}; silent: {silent:?}");
        assert!(shown >= 75, "{shown} shown; open: {open:?}; silent: {silent:?}");
    }

    /// What no defect of the dictionary does is not explained by one.
    #[test]
    fn what_no_planted_defect_does_is_not_recognised() {
        let right = builtin::find("shifted").unwrap();
        let reversed = |mut outputs: Vec<f64>| {
            outputs.reverse();
            outputs
        };
        let flipped = |mut outputs: Vec<f64>| {
            if let Some(last) = outputs.last_mut() {
                *last = f64::from(f32::from_bits((*last as f32).to_bits() ^ 1 << 12));
            }
            outputs
        };
        let table = |outputs: Vec<f64>| outputs.iter().map(|p| (p * 64.0).round() / 64.0).collect();
        let case = "softmax f32 [0, 1, -2.5, 3]";
        assert!(asked(&Renamed(right, reversed), case).is_none());
        assert!(asked(&Renamed(right, flipped), case).is_none());
        assert!(asked(&Renamed(right, table), case).is_none());
        assert!(asked(&Renamed(right, |outputs: Vec<f64>| vec![0.0; outputs.len()]), case).is_none());
        // A good answer has no explanation.
        assert!(asked(&Renamed(right, |outputs| outputs), case).is_none());
    }

    #[test]
    fn every_class_has_a_cure() {
        let without =
            builtin::all().iter().filter(|known| known.defect().is_some_and(|defect| defect.cure().is_empty()));
        assert_eq!(without.map(Builtin::name).collect::<Vec<_>>(), [""; 0]);
    }
}
