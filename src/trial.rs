//! The trial of a case: a kernel and its claims go in, the whole judgement comes out.
//!
//! [`judge`](mod@crate::judge) says what an answer is worth by itself. A trial says all that is to be said of a kernel on a case: its
//! outputs against their truth, the relations to other cases that its claims promise, whether other rows of a class that is not
//! finite are answered alike, what another form of the row showed, and whether a pass needed the claims.
//!
//! A kernel that computes batches is given the case beside other rows, if there is a batch: see `batch`. Relations and other forms are
//! asked of rows alone.
//!
//! What several kernels share is computed once: the truth for each preset of special values, the bounds and the related cases for
//! each set of claims, and what was said of each answer, since many kernels answer alike.

use crate::case::Case;
use crate::fenv::Standard;
use crate::judge::OutputJudgement;
use crate::judge::screen::{Deeper, Scales, Screening};
use crate::judge::{self, Bounds, Judgement, NearBounds, Relation, Verdict};
use crate::kernel::{self, Batch, Claims, Kernel, Outcome};
use crate::oracle::{DoubleCase, Due, Dues, Near, NearCase, Oracle, Truth};
use crate::quiet::without_panic_message;
use crate::special::{RowClass, Special};
use std::sync::Arc;

mod batch;

pub(crate) use batch::{Answer, allowed};

/// A case on which kernels are judged.
pub struct Trial<'a> {
    case: &'a Case,
    class: RowClass,
    /// The batch in which kernels that compute batches are given the case; none where it is given alone.
    batch: Option<Arc<Batch>>,
    truths: Vec<(Special, Truth)>,
    terms: Vec<Terms>,
    /// The case in plain numbers, if they are enough for it; none before it is asked for.
    near: Option<Option<(NearCase, Scales)>>,
    /// What plain numbers leave open, in double-doubles, and what these do; none before they are asked for.
    doubles: Option<DoubleCase<'a>>,
    dues: Option<Dues<'a>>,
    screens: Vec<Screen>,
    /// For each set of claims the cases whose answers they relate to this one; made when a kernel first passes.
    related: Vec<(Claims, Vec<(Relation, Case)>)>,
}

/// What a case is screened by under some claims.
struct Screen {
    claims: Claims,
    bounds: NearBounds,
    judged: Judged,
}

/// What a case is judged by under some claims.
struct Terms {
    claims: Claims,
    /// The place of the truth for the preset of the claims.
    truth: usize,
    bounds: Bounds,
    judged: Judged,
}

/// The answers so far, bit for bit, and what was said of them: many kernels answer alike.
#[derive(Default)]
struct Judged(Vec<(Vec<f64>, Judgement)>);

impl Judged {
    /// Of the same answer the same again; of another one what `judge` says.
    fn get_or_judge(&mut self, outputs: &[f64], judge: impl FnOnce() -> Judgement) -> Judgement {
        /// Kernels that are wrong are so in different ways.
        const MOST: usize = 16;
        if let Some((_, judgement)) = self.0.iter().find(|(known, _)| is_same(known, outputs)) {
            return judgement.clone();
        }
        let judgement = judge();
        if self.0.len() < MOST {
            self.0.push((outputs.to_vec(), judgement.clone()));
        }
        judgement
    }
}

impl<'a> Trial<'a> {
    /// A trial of this case, with nothing computed yet.
    pub fn new(case: &'a Case) -> Self {
        let class = RowClass::of_case(case);
        let (truths, terms, screens, related) = Default::default();
        Self { case, class, batch: None, truths, terms, near: None, doubles: None, dues: None, screens, related }
    }

    /// The case.
    pub fn case(&self) -> &'a Case {
        self.case
    }

    /// The class of its row.
    pub fn class(&self) -> RowClass {
        self.class
    }

    /// The truth of the case, computed when first asked for.
    pub fn truth(&mut self, oracle: &mut Oracle, special: Special) -> &Truth {
        let place = self.place_of_truth(oracle, special);
        &self.truths[place].1
    }

    /// Runs a kernel and judges what it returns.
    pub fn judge(&mut self, oracle: &mut Oracle, kernel: &dyn Kernel, claims: &Claims) -> Judgement {
        self.run(oracle, kernel, claims).1
    }

    /// Runs a kernel, twice where its answer must be the same, and judges what it returns: that, and the judgement.
    pub fn run(&mut self, oracle: &mut Oracle, kernel: &dyn Kernel, claims: &Claims) -> (Outcome, Judgement) {
        let answer = self.again(kernel, claims, self.answer(kernel), 1);
        let judgement = self.judge_answer(oracle, kernel, claims, &answer);
        (answer.outcome, judgement)
    }

    /// Runs a kernel.
    pub fn outcome(&self, kernel: &dyn Kernel) -> Outcome {
        self.answer(kernel).outcome
    }

    /// Runs a kernel: what it did with the case, and with the rows beside it that are judged, too.
    pub(crate) fn answer(&self, kernel: &dyn Kernel) -> Answer {
        without_panic_message(|| match self.batch_for(kernel) {
            Some(batch) => Answer::of_batch(batch, kernel::run_batch(kernel, batch)),
            None => kernel::run(kernel, self.case).into(),
        })
    }

    /// The answer of a first call, after some more with the same input: that one of them has another, unless the kernel says that it may.
    pub(crate) fn again(&self, kernel: &dyn Kernel, claims: &Claims, first: Answer, calls: usize) -> Answer {
        let mut answer = first;
        for _ in 0..calls {
            if !matches!(answer.outcome, Outcome::Outputs(_)) || claims.nondeterministic || !kernel.is_deterministic() {
                break;
            }
            answer = answer.repeated(self.answer(kernel));
        }
        answer
    }

    /// Judges what a kernel did with the case, in a batch of which no other row is judged. See [`Trial::judge_answer`].
    pub fn judge_outcome(
        &mut self,
        oracle: &mut Oracle,
        kernel: &dyn Kernel,
        claims: &Claims,
        outcome: &Outcome,
    ) -> Judgement {
        self.judge_answer(oracle, kernel, claims, &outcome.clone().into())
    }

    /// Judges what a kernel returned. Where it passes, the kernel is run on other forms of the row; where it fails in a batch, on the
    /// row alone.
    pub(crate) fn judge_answer(
        &mut self,
        oracle: &mut Oracle,
        kernel: &dyn Kernel,
        claims: &Claims,
        answer: &Answer,
    ) -> Judgement {
        match self.batch_for(kernel).cloned() {
            Some(batch) => self.judge_in_batch(oracle, kernel, claims, answer, batch),
            None => self.judge_by_itself(oracle, kernel, claims, &answer.outcome),
        }
    }

    /// Judges what a kernel returned for the row by itself. Where it passes, the kernel is run on other forms of the row.
    fn judge_by_itself(
        &mut self,
        oracle: &mut Oracle,
        kernel: &dyn Kernel,
        claims: &Claims,
        outcome: &Outcome,
    ) -> Judgement {
        let mut judgement = self.judge_alone(oracle, claims, outcome);
        if judgement.verdict == Verdict::Pass
            && let Some(found) = self.elsewhere(oracle, kernel, claims, outcome)
        {
            judgement.add_elsewhere(found);
        }
        if judgement.verdict == Verdict::Pass {
            judgement.needs_claims = self.needs_claims(oracle, claims, outcome, judgement.max_ratio);
        }
        judgement
    }

    /// What is said of an answer by itself.
    pub fn judge_alone(&mut self, oracle: &mut Oracle, claims: &Claims, outcome: &Outcome) -> Judgement {
        let outputs = match judge::answer(self.case, outcome) {
            Ok(outputs) => outputs,
            Err(judgement) => return *judgement,
        };
        if let Some(judgement) = self.screen(oracle, claims, outputs) {
            return judgement;
        }
        let place = self.place_of_terms(oracle, claims);
        let Terms { truth, bounds, judged, .. } = &mut self.terms[place];
        let (case, truth) = (self.case, &self.truths[*truth].1);
        judged.get_or_judge(outputs, || judge::judge(case, outcome, truth, bounds, claims))
    }

    /// What is said of an answer by itself, from plain numbers where these decide it; none where there are none for the case.
    fn screen(&mut self, oracle: &mut Oracle, claims: &Claims, outputs: &[f64]) -> Option<Judgement> {
        let place = self.screen_under(oracle, claims)?;
        let (case, (near, scales)) = (self.case, self.near.as_ref()?.as_ref()?);
        let Screen { bounds, judged, .. } = &mut self.screens[place];
        let mut deeper = Asked { case, oracle, doubles: &mut self.doubles, dues: &mut self.dues };
        Some(judged.get_or_judge(outputs, || {
            let _standard = Standard::enter();
            Screening { case, near, scales, bounds, claims }.judge(outputs, &mut deeper)
        }))
    }

    /// The place of what the case is screened by under some claims; none where there are no plain numbers for it.
    fn screen_under(&mut self, oracle: &mut Oracle, claims: &Claims) -> Option<usize> {
        let (case, class) = (self.case, self.class);
        let prepare = |near: NearCase| {
            let scales = Scales::of(&near, case.output_format());
            (near, scales)
        };
        let (near, _) = self.near.get_or_insert_with(|| oracle.near(case, class).map(prepare)).as_ref()?;
        if let Some(place) = self.screens.iter().position(|known| known.claims == *claims) {
            return Some(place);
        }
        let _standard = Standard::enter();
        let bounds = NearBounds::new(case, near, claims);
        self.screens.push(Screen { claims: claims.clone(), bounds, judged: Judged::default() });
        Some(self.screens.len() - 1)
    }

    /// What a kernel whose answer passes does on other forms of the row.
    fn elsewhere(
        &mut self,
        oracle: &mut Oracle,
        kernel: &dyn Kernel,
        claims: &Claims,
        outcome: &Outcome,
    ) -> Option<judge::Elsewhere> {
        let (case, place) = (self.case, self.place_of_related(claims));
        let related = &self.related[place].1;
        let broken = without_panic_message(|| judge::broken_relation(kernel, case, outcome, claims, related));
        // Only a row that is not ordinary has other forms of its class, and its truth costs little.
        if broken.is_some() || self.class().is_ordinary() {
            return broken;
        }
        let truth = self.truth(oracle, claims.special);
        without_panic_message(|| judge::inconsistency(kernel, case, outcome, truth))
    }

    /// What is said of one output by itself under some claims.
    #[cfg(feature = "cli")]
    pub fn judge_output(&mut self, oracle: &mut Oracle, claims: &Claims, index: usize, got: f64) -> OutputJudgement {
        let place = self.place_of_terms(oracle, claims);
        let terms = &self.terms[place];
        judge::judge_output(self.case, &self.truths[terms.truth].1, &terms.bounds, claims, index, got)
    }

    /// What is said of each output by itself under some claims. There must be as many as the case is due.
    pub fn judge_outputs(&mut self, oracle: &mut Oracle, claims: &Claims, outputs: &[f64]) -> Vec<OutputJudgement> {
        if let Some(place) = self.screen_under(oracle, claims)
            && let (case, Some(Some((near, scales)))) = (self.case, &self.near)
        {
            let bounds = &self.screens[place].bounds;
            let mut deeper = Asked { case, oracle, doubles: &mut self.doubles, dues: &mut self.dues };
            return Screening { case, near, scales, bounds, claims }.judge_each(outputs, &mut deeper);
        }
        let place = self.place_of_terms(oracle, claims);
        let terms = &self.terms[place];
        let truth = &self.truths[terms.truth].1;
        let judge = |(index, &got)| judge::judge_output(self.case, truth, &terms.bounds, claims, index, got);
        outputs.iter().enumerate().map(judge).collect()
    }

    /// Whether claims relate other cases to this one.
    fn has_related(&mut self, claims: &Claims) -> bool {
        let place = self.place_of_related(claims);
        !self.related[place].1.is_empty()
    }

    fn place_of_related(&mut self, claims: &Claims) -> usize {
        let case = self.case;
        let found = self.related.iter().position(|(known, _)| known == claims);
        found.unwrap_or_else(|| {
            self.related.push((claims.clone(), judge::related(case, claims)));
            self.related.len() - 1
        })
    }

    fn place_of_truth(&mut self, oracle: &mut Oracle, special: Special) -> usize {
        let found = self.truths.iter().position(|(known, _)| *known == special);
        found.unwrap_or_else(|| {
            self.truths.push((special, oracle.truth(self.case, special)));
            self.truths.len() - 1
        })
    }

    fn place_of_terms(&mut self, oracle: &mut Oracle, claims: &Claims) -> usize {
        let found = self.terms.iter().position(|terms| terms.claims == *claims);
        found.unwrap_or_else(|| {
            let truth = self.place_of_truth(oracle, claims.special);
            let bounds = Bounds::new(self.case, &self.truths[truth].1, claims);
            self.terms.push(Terms { claims: claims.clone(), truth, bounds, judged: Judged::default() });
            self.terms.len() - 1
        })
    }

    /// Whether an answer that passes under these claims, with this ratio, would fail if the kernel claimed nothing.
    fn needs_claims(&mut self, oracle: &mut Oracle, claims: &Claims, outcome: &Outcome, max_ratio: f64) -> bool {
        if !claims.forgive_more(self.case.dtype()) {
            return false;
        }
        let plain = claims.plain();
        // Most answers are so far within their bounds that no further look is needed.
        let is_clear = self.gain(oracle, claims, &plain) * max_ratio <= 1.0;
        !is_clear && self.judge_alone(oracle, &plain, outcome).verdict.is_failure()
    }

    /// How much larger a bound under some claims is than under others, at most; infinite where that is not all they forgive.
    fn gain(&mut self, oracle: &mut Oracle, claims: &Claims, plain: &Claims) -> f64 {
        if let (Some(with), Some(without)) = (self.screen_under(oracle, claims), self.screen_under(oracle, plain)) {
            return self.screens[with].bounds.gain_over(&self.screens[without].bounds);
        }
        let (with, without) = (self.place_of_terms(oracle, claims), self.place_of_terms(oracle, plain));
        self.terms[with].bounds.gain_over(&self.terms[without].bounds)
    }
}

/// What is asked about the outputs of a case that plain numbers leave open; each is made when it is first asked.
struct Asked<'a, 'b> {
    case: &'a Case,
    oracle: &'b mut Oracle,
    doubles: &'b mut Option<DoubleCase<'a>>,
    dues: &'b mut Option<Dues<'a>>,
}

impl Deeper for Asked<'_, '_> {
    fn near(&mut self, j: usize) -> Near {
        self.doubles.get_or_insert_with(|| DoubleCase::new(self.case)).output(j)
    }

    fn due(&mut self, j: usize) -> Due {
        self.dues.get_or_insert_with(|| self.oracle.dues(self.case)).get(j).clone()
    }
}

/// Whether two answers are the same bit for bit.
fn is_same(a: &[f64], b: &[f64]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(case: &str, special: Special, outputs: &[f64]) -> &'static str {
        let claims = Claims { special, ..Claims::default() };
        let case = Case::parse(case).unwrap();
        let outcome = Outcome::Outputs(outputs.to_vec());
        Trial::new(&case).judge_alone(&mut Oracle::new(), &claims, &outcome).verdict.name()
    }

    /// A smoothing that is lost when it is divided by the number of classes may be lost, unless the limit is asked for; one that is not
    /// may not.
    #[test]
    fn a_smoothing_that_vanishes() {
        let (framework, limit) = (Special::Framework, Special::Limit);
        let masked = "cross_entropy f32 [0, -inf] target=0 label_smoothing=1e-45";
        let masked_besides = "cross_entropy f32 [1, 0, -inf] target=0 label_smoothing=1e-45";
        let zero = "cross_entropy_grad f32 [0, -inf] target=0 label_smoothing=1e-38";
        for (case, outputs, with_framework, with_limit) in [
            (masked, &[f64::INFINITY][..], "pass", "pass"),
            (masked, &[0.0], "pass", "swallowed"),
            (masked, &[f64::NAN], "pass", "nan"),
            (masked, &[1.0], "swallowed", "swallowed"),
            // As accurate as any other loss.
            (masked_besides, &[0.313_261_66f32.into()], "pass", "swallowed"),
            (masked_besides, &[0.313_261_7f32.into()], "pass", "swallowed"),
            (masked_besides, &[0.313_262_5f32.into()], "swallowed", "swallowed"),
            // What remains of the smoothing is below 1e-37 of it.
            (zero, &[0.0, 0.0], "pass", "zero"),
            ("cross_entropy f32 [0, -3e38] target=0 label_smoothing=1e-38", &[0.0], "pass", "zero"),
            ("cross_entropy f32 [0, -inf] target=0 label_smoothing=1e-30", &[0.0], "swallowed", "swallowed"),
            ("cross_entropy f32 [0, -inf] target=0 label_smoothing=1e-30", &[f64::NAN], "nan", "nan"),
        ] {
            assert_eq!(verdict(case, framework, outputs), with_framework, "{case} {outputs:?}");
            assert_eq!(verdict(case, limit, outputs), with_limit, "{case} {outputs:?} limit");
        }
    }
}
