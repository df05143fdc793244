//! The judge: from a case, its truth and a kernel's outcome to verdicts.
//!
//! An output is measured ([`OutputError`]) against the exact value and compared with what is forgiven ([`Bounds`]); the ratio of
//! the two is what everything downstream is about: at most 1 is as good as the textbook algorithm, above is worse. Special
//! values are compared as such. A case has the worst verdict of its outputs.

use crate::case::Case;
use crate::fenv::Standard;
use crate::kernel::{Batch, Claims, Fault, Kernel, Outcome};
use crate::magnitude::Magnitude;
use crate::oracle::{Accepted, Due, Rounded, Truth};
use crate::special::RowClass;
use std::sync::Arc;

mod bound;
mod consistency;
mod error;
mod finish;
mod prefix;
mod relation;
mod rows;
mod scaled;
pub(crate) mod screen;
mod verdict;

pub(crate) use bound::NearBounds;
pub(crate) use bound::value_of as due_value;
pub use error::OutputError;
pub use finish::Bounds;
use finish::OutputBounds;
pub use relation::Relation;
use screen::Told;
pub use verdict::{Grade, Verdict};

/// The number of bins of [`Judgement::histogram`].
pub const HISTOGRAM_BINS: usize = 64;

/// How near a number must be to a limit, relative to it, to be taken for it where NaN would do as well: three bits, as many as
/// a sum is required to keep.
const NEAR: f64 = 0.125;

/// What the judge says of one outcome.
#[derive(Debug, Clone)]
pub struct Judgement {
    /// The worst verdict of the outputs, or that of the kernel as a whole.
    pub verdict: Verdict,
    /// The worst grade of the outputs that passed.
    pub grade: Option<Grade>,
    /// The output that has the verdict; of several, the one with the largest ratio. None where there is no output.
    pub worst: Option<WorstOutput>,
    /// The relation that is broken, where the verdict is [`Verdict::Relation`] (or [`Verdict::Range`]).
    pub relation: Option<Relation>,
    /// What happened, where the kernel did not come to an answer (panic, crash, hang, a write where none is due).
    pub message: Option<String>,
    /// The case on which the kernel did that, where it is not the one that was judged but another form of its row.
    pub culprit: Option<Case>,
    /// The batch in which the row fails, where it passes by itself.
    pub in_batch: Option<InBatch>,
    /// Whether it passes only thanks to what the kernel claims: as the textbook's it would fail.
    pub needs_claims: bool,
    /// Outputs judged.
    pub outputs: u64,
    /// Outputs that passed, by grade, in the order of [`Grade::ALL`].
    pub grades: [u64; Grade::ALL.len()],
    /// The largest finite error in ulps.
    pub max_ulp: f64,
    /// The largest ratio of error to bound; infinite where a special value or a finite one is missed altogether.
    pub max_ratio: f64,
    /// The largest [`OutputJudgement::strict_ratio`].
    pub max_strict_ratio: f64,
    /// The sum of the signed errors of `measured` outputs, each rounded to a unit of `2^-10` ulp.
    pub signed_sum: i128,
    /// The outputs that have a finite error.
    pub measured: u64,
    /// Measured outputs by error in ulps: bin 0 up to 0.5, bin k above `2^(k-2)` up to `2^(k-1)`, the last one all above.
    pub histogram: [u64; HISTOGRAM_BINS],
}

/// What a row that passes by itself does in a batch.
#[derive(Debug, Clone, PartialEq)]
pub struct InBatch {
    /// The batch; its judged row is the one.
    pub batch: Arc<Batch>,
    /// What would be said of the row by what the kernel returned for it in the batch.
    pub verdict: Verdict,
}

/// One output, beside its truth.
#[derive(Debug, Clone, PartialEq)]
pub struct OutputJudgement {
    /// The verdict.
    pub verdict: Verdict,
    /// The grade, where it passed.
    pub grade: Option<Grade>,
    /// The error in ulps, signed; none where it has no finite error (NaN, or a special value).
    pub ulps: Option<f64>,
    /// The bound, in ulps; 0 where the value is due exactly.
    pub bound_ulps: f64,
    /// Error over bound; infinite where the kind of value is wrong.
    pub ratio: f64,
    /// Error over the tight bound, of an output that passes beyond that: what a strict judgement would have of it. 0 where it keeps that
    /// bound, or there is none.
    pub strict_ratio: f64,
}

/// The output that decided a judgement.
#[derive(Debug, Clone, PartialEq)]
pub struct WorstOutput {
    /// Its index.
    pub index: usize,
    /// What the kernel returned.
    pub got: f64,
    /// What is said of it.
    pub judged: OutputJudgement,
}

/// Judges an outcome of a case. `truth` must be that of the case, `bounds` those of the claims.
pub fn judge(case: &Case, outcome: &Outcome, truth: &Truth, bounds: &Bounds, claims: &Claims) -> Judgement {
    let _standard = Standard::enter();
    let outputs = match answer(case, outcome) {
        Ok(outputs) => outputs,
        Err(judgement) => return *judgement,
    };
    let judging = Judging { case, class: truth.class, claims };
    // An answer passes if it passes one of the alternatives; if it passes none, the first speaks.
    let mut judgements = truth.alternatives.iter().map(|due| judging.judge_outputs(outputs, due, bounds));
    // A truth without an alternative is none, and no pass.
    let Some(first) = judgements.next() else {
        return Judgement { verdict: Verdict::Undecided, ..Judgement::empty() };
    };
    let mut judgement = if first.verdict == Verdict::Pass {
        first
    } else {
        judgements.find(|judgement| judgement.verdict == Verdict::Pass).unwrap_or(first)
    };
    if judgement.verdict == Verdict::Pass {
        judgement.break_relation(judging.broken_relation(outputs, truth, bounds));
    }
    judgement
}

/// The outputs of an outcome, as many as are due; else what is said of it.
pub(crate) fn answer<'a>(case: &Case, outcome: &'a Outcome) -> Result<&'a [f64], Box<Judgement>> {
    let due = case.op().outputs(case.logits().len());
    match outcome {
        Outcome::Outputs(outputs) if outputs.len() == due => Ok(outputs),
        Outcome::Outputs(outputs) => {
            let message = format!("{} outputs where {due} are due", outputs.len());
            Err(Box::new(Judgement::of_fault(Fault::Unwritten, message)))
        }
        Outcome::Failed(fault, message) => Err(Box::new(Judgement::of_fault(*fault, message.clone()))),
        // Nothing was measured, so nothing is claimed.
        Outcome::NotRun => Err(Box::new(Judgement { verdict: Verdict::Undecided, ..Judgement::empty() })),
    }
}

/// The cases whose answers a kernel's claims relate to that of this one, with the relation. None for kernels that claim no shape.
pub fn related(case: &Case, claims: &Claims) -> Vec<(Relation, Case)> {
    relation::transformed(case, claims)
}

/// What another form of a row showed.
#[derive(Debug, Clone, PartialEq)]
pub enum Elsewhere {
    /// A relation between the answers is broken.
    Broken(Relation),
    /// A row of the same class that is not finite is answered differently.
    Inconsistent,
    /// The kernel came to no answer on this case.
    Failed(Case, Fault, String),
}

/// Runs the [`related`] cases, and returns the first relation that is broken, or what the kernel did instead of answering. It costs
/// a run of the kernel for each, and no oracle.
pub fn broken_relation(
    kernel: &dyn Kernel,
    case: &Case,
    outcome: &Outcome,
    claims: &Claims,
    related: &[(Relation, Case)],
) -> Option<Elsewhere> {
    let Outcome::Outputs(outputs) = outcome else { return None };
    related.iter().find_map(|(relation, moved)| match crate::kernel::run(kernel, moved) {
        Outcome::Outputs(moved_outputs) => {
            let holds = relation::holds_between(*relation, case, outputs, moved, &moved_outputs, claims);
            (!holds).then_some(Elsewhere::Broken(*relation))
        }
        Outcome::Failed(fault, message) => Some(Elsewhere::Failed(moved.clone(), fault, message)),
        Outcome::NotRun => None,
    })
}

/// Whether the kernel answers a row that is not finite as it answers other rows of its class (see `consistency`); if not, what it
/// did. Two more runs of the kernel for rows that are not finite, nothing for others.
pub fn inconsistency(kernel: &dyn Kernel, case: &Case, outcome: &Outcome, truth: &Truth) -> Option<Elsewhere> {
    let Outcome::Outputs(outputs) = outcome else { return None };
    let forms = consistency::forms(case, truth.class);
    forms.into_iter().filter(|form| crate::kernel::accepts(kernel, &form.case)).find_map(
        |form| match crate::kernel::run(kernel, &form.case) {
            Outcome::Outputs(others) => (!form.agrees(&others, outputs)).then_some(Elsewhere::Inconsistent),
            Outcome::Failed(fault, message) => Some(Elsewhere::Failed(form.case, fault, message)),
            Outcome::NotRun => None,
        },
    )
}

/// Judges one output against what is due.
pub fn judge_output(
    case: &Case,
    truth: &Truth,
    bounds: &Bounds,
    claims: &Claims,
    index: usize,
    got: f64,
) -> OutputJudgement {
    let _standard = Standard::enter();
    Judging { case, class: truth.class, claims }.judge_best(index, got, truth, &bounds.at(index))
}

/// What a judgement needs.
struct Judging<'a> {
    case: &'a Case,
    class: RowClass,
    claims: &'a Claims,
}

impl Judging<'_> {
    fn judge_outputs(&self, outputs: &[f64], due: &[Due], bounds: &Bounds) -> Judgement {
        let mut judgement = Judgement { outputs: outputs.len() as u64, ..Judgement::empty() };
        for (index, &got) in outputs.iter().enumerate() {
            let judged = self.judge_due(&due[index], &bounds.at(index), got);
            judgement.add(index, got, judged);
        }
        judgement
    }

    /// The best that can be said of one output alone.
    fn judge_best(&self, index: usize, got: f64, truth: &Truth, bounds: &OutputBounds) -> OutputJudgement {
        let mut judged = truth.alternatives.iter().map(|outputs| self.judge_due(&outputs[index], bounds, got));
        let Some(first) = judged.next() else { return OutputJudgement::undecided() };
        if first.verdict == Verdict::Pass {
            first
        } else {
            judged.find(|judged| judged.verdict == Verdict::Pass).unwrap_or(first)
        }
    }

    fn judge_due(&self, due: &Due, bounds: &OutputBounds, got: f64) -> OutputJudgement {
        let is_special = matches!(due, Due::OneOf(_));
        let is_known = matches!(due, Due::Value(real) if !real.rounded.is_nan()) && !got.is_nan();
        if self.is_flushed(bounds) && (is_special || is_known) {
            return OutputJudgement { grade: Some(Grade::Textbook), ..OutputJudgement::exact() };
        }
        match due {
            Due::Value(real) => self.judge_real(real, bounds, got),
            Due::Undecided => OutputJudgement::undecided(),
            Due::OneOf(accepted) => self.judge_accepted(accepted, bounds, got),
        }
    }

    /// Whether this is an element that the kernel may take for 0, as it claims: its value may be anything then, a logarithm of 0 too.
    fn is_flushed(&self, bounds: &OutputBounds) -> bool {
        let is_claimed = self.class == RowClass::Elements && self.claims.flush_to_zero;
        is_claimed && bounds.textbook == Magnitude::INFINITY
    }

    fn judge_accepted(&self, accepted: &[Accepted], bounds: &OutputBounds, got: f64) -> OutputJudgement {
        let mut value = None;
        let nan_is_accepted = accepted.contains(&Accepted::Nan);
        for accepted in accepted {
            match *accepted {
                Accepted::Nan if got.is_nan() => return OutputJudgement::exact(),
                Accepted::Infinity(x) if got == x => return OutputJudgement::exact(),
                Accepted::Between(low, high) if low <= got && got <= high => return OutputJudgement::exact(),
                Accepted::Value(real) => {
                    let judged = self.judge_real(&real, bounds, got);
                    if judged.verdict == Verdict::Pass {
                        return judged;
                    }
                    // Near the value that is due, it is that value with an error; elsewhere it is a number out of nowhere.
                    let is_near = (got - real.rounded).abs() <= NEAR * real.rounded.abs();
                    if is_near || !nan_is_accepted {
                        value = Some(judged);
                    }
                }
                _ => {}
            }
        }
        let verdict = if got.is_nan() {
            Verdict::Nan
        } else if let Some(judged) = value {
            return judged;
        } else {
            Verdict::Swallowed
        };
        OutputJudgement::wrong_kind(verdict)
    }

    fn judge_real(&self, real: &Rounded, bounds: &OutputBounds, got: f64) -> OutputJudgement {
        let format = self.case.output_format();
        if self.is_forgiven_overflow(bounds.overflow_is_forgiven, got) && real.rounded.is_finite() {
            return OutputJudgement { grade: Some(Grade::Textbook), ..OutputJudgement::exact() };
        }
        // A zero that is due in a row without weight is due exactly; that of a prefix is one of its logits, and of several rows each is of
        // a class of its own.
        let op = self.case.op();
        let is_by_itself = op.is_of_prefixes() || op.mean_of().is_some();
        let exact_zero = real.is_zero() && !self.class.is_ordinary() && !is_by_itself;
        let textbook = if exact_zero { Magnitude::ZERO } else { bounds.textbook };
        let bound_ulps = textbook.shifted(-real.unit).to_f64();
        let wrong_kind = |verdict| OutputJudgement { bound_ulps, ..OutputJudgement::wrong_kind(verdict) };
        if got.is_nan() {
            return wrong_kind(Verdict::Nan);
        }
        if got.is_infinite() && got != real.rounded {
            return wrong_kind(if real.rounded.is_infinite() { Verdict::Swallowed } else { Verdict::Inf });
        }
        let error = OutputError::of(got, real, format);
        let ratio = (error.absolute / textbook).to_f64();
        let within = |bound: Option<Magnitude>| bound.map(|bound| error.absolute <= bound);
        let half_digits = within(bounds.half_digits);
        let (verdict, grade) = if ratio > 1.0 || (self.claims.half_digits && half_digits == Some(false)) {
            (self.failure(real.rounded, real.residual, got), None)
        } else if within(bounds.tight) == Some(true) {
            (Verdict::Pass, Some(Grade::Tight))
        } else if half_digits == Some(false) {
            (Verdict::Pass, Some(Grade::LongSum))
        } else {
            (Verdict::Pass, Some(Grade::Textbook))
        };
        let strict_ratio = match bounds.tight {
            Some(tight) if verdict == Verdict::Pass && grade != Some(Grade::Tight) => (error.absolute / tight).to_f64(),
            _ => 0.0,
        };
        OutputJudgement { verdict, grade, ulps: Some(error.signed_ulps), bound_ulps, ratio, strict_ratio }
    }

    /// Whether this is an overflow that is forgiven where the value is finite: a loss can only overflow upwards, a product, or logits
    /// times a scale, can form inf - inf.
    fn is_forgiven_overflow(&self, overflow_is_forgiven: bool, got: f64) -> bool {
        let case = self.case;
        let may_subtract = !case.weighed().is_empty() || case.scale().is_some() || case.target_logits().is_some();
        overflow_is_forgiven && !got.is_finite() && (may_subtract || got > 0.0)
    }

    /// The name of an error beyond the bound, of a value that rounds to this and has this residual.
    fn failure(&self, rounded: f64, residual: f64, got: f64) -> Verdict {
        let exact_sign = if rounded != 0.0 { rounded } else { residual };
        if rounded.is_infinite() {
            Verdict::Swallowed
        } else if got == 0.0 && rounded != 0.0 {
            Verdict::Zero
        } else if relation::is_out_of_range(self.case.op(), got) {
            Verdict::Range
        } else if got * exact_sign.signum() < 0.0 && exact_sign != 0.0 {
            Verdict::Sign
        } else {
            Verdict::Inaccurate
        }
    }

    fn broken_relation(&self, outputs: &[f64], truth: &Truth, bounds: &Bounds) -> Option<Relation> {
        if self.class.is_ordinary() {
            return relation::broken_within(self.case, outputs, self.claims, bounds.sum);
        }
        // Several +inf: NaN, or a distribution.
        let is_distribution = || (outputs.iter().sum::<f64>() - 1.0).abs() <= bounds.sum;
        let numbers = truth.unit_sum && outputs.iter().all(|p| !p.is_nan());
        (numbers && !is_distribution()).then_some(Relation::SumsToOne)
    }
}

impl OutputJudgement {
    /// Exactly the special value that is due.
    fn exact() -> Self {
        Self { grade: Some(Grade::Tight), ..Self::without_error(Verdict::Pass) }
    }

    /// The oracle does not know.
    fn undecided() -> Self {
        Self::without_error(Verdict::Undecided)
    }

    /// NaN, an infinity or a number where another kind of value is due.
    fn wrong_kind(verdict: Verdict) -> Self {
        Self { ratio: f64::INFINITY, ..Self::without_error(verdict) }
    }

    fn without_error(verdict: Verdict) -> Self {
        Self { verdict, grade: None, ulps: None, bound_ulps: 0.0, ratio: 0.0, strict_ratio: 0.0 }
    }
}

impl Judgement {
    /// Takes what another form of the row showed, where this one passed.
    pub fn add_elsewhere(&mut self, found: Elsewhere) {
        match found {
            Elsewhere::Broken(relation) => {
                (self.verdict, self.relation) = (Verdict::Relation, Some(relation));
            }
            Elsewhere::Inconsistent => self.verdict = Verdict::Inconsistent,
            Elsewhere::Failed(case, fault, message) => {
                (self.verdict, self.message, self.culprit) = (Verdict::of_fault(fault), Some(message), Some(case));
            }
        }
    }

    /// Takes the batch in which the row failed so; it passes by itself.
    pub fn contaminate(&mut self, batch: Arc<Batch>) {
        self.in_batch = Some(InBatch { batch, verdict: self.verdict });
        self.verdict = Verdict::Contaminated;
    }

    /// Takes the batch in which the row has other bits than by itself; it passes in both.
    pub fn break_invariance(&mut self, batch: Arc<Batch>) {
        self.in_batch = Some(InBatch { batch, verdict: self.verdict });
        (self.verdict, self.relation) = (Verdict::Relation, Some(Relation::BatchInvariance));
    }

    /// The fault of the kernel, in a batch too.
    pub fn fault(&self) -> Option<Fault> {
        self.verdict.fault().or_else(|| self.in_batch.as_ref()?.verdict.fault())
    }

    /// Takes a relation that the outputs of an answer that passes otherwise break, if there is one.
    fn break_relation(&mut self, broken: Option<Relation>) {
        self.relation = broken;
        match broken {
            None => {}
            Some(Relation::Range) => self.verdict = Verdict::Range,
            Some(_) => self.verdict = Verdict::Relation,
        }
    }

    fn of_fault(fault: Fault, message: String) -> Self {
        Self { verdict: Verdict::of_fault(fault), message: Some(message), ..Self::empty() }
    }

    fn empty() -> Self {
        Self {
            verdict: Verdict::Pass,
            grade: None,
            worst: None,
            relation: None,
            message: None,
            culprit: None,
            in_batch: None,
            needs_claims: false,
            outputs: 0,
            grades: [0; Grade::ALL.len()],
            max_ulp: 0.0,
            max_ratio: 0.0,
            max_strict_ratio: 0.0,
            signed_sum: 0,
            measured: 0,
            histogram: [0; HISTOGRAM_BINS],
        }
    }

    /// Counts an output, and takes its figures.
    fn add(&mut self, index: usize, got: f64, judged: OutputJudgement) {
        self.count(&Told::of(&judged));
        self.raise(index, got, judged);
    }

    /// Takes the figures of an output, where they are the largest.
    fn raise(&mut self, index: usize, got: f64, judged: OutputJudgement) {
        self.max_ulp = self.max_ulp.max(judged.ulps.map_or(0.0, f64::abs));
        self.max_ratio = self.max_ratio.max(judged.ratio);
        self.max_strict_ratio = self.max_strict_ratio.max(judged.strict_ratio);
        let is_worse = match &self.worst {
            None => true,
            // Of equal ones the first.
            Some(worst) => {
                let (mine, known) = ((judged.verdict, judged.ratio), (worst.judged.verdict, worst.judged.ratio));
                mine > known || (mine == known && index < worst.index)
            }
        };
        if is_worse {
            self.worst = Some(WorstOutput { index, got, judged });
        }
    }
}

/// Units of [`Judgement::signed_sum`] in an ulp: coarse enough that a number near the error is nearly always rounded as it is, and a mean
/// of many errors has digits to spare.
const UNITS_PER_ULP: f64 = (1u64 << 10) as f64;

/// An error in units of `2^-10` ulp, rounded to nearest, limited to `2^40` ulp, so that sums of any number of them are exact in an
/// `i128` whatever their order.
fn fixed_point(ulps: f64) -> i64 {
    let limit = (1u64 << 40) as f64;
    to_integer(ulps.clamp(-limit, limit) * UNITS_PER_ULP) as i64
}

/// The nearest integer to a number below `2^51`.
#[inline]
fn to_integer(x: f64) -> f64 {
    /// Adding it rounds to an integer.
    const ROUNDING: f64 = 6_755_399_441_055_744.0;
    (x + ROUNDING) - ROUNDING
}

/// The mean that belongs to a sum of [`Judgement::signed_sum`].
pub fn mean_of_fixed_point(sum: i128, count: u64) -> f64 {
    if count == 0 { 0.0 } else { sum as f64 / UNITS_PER_ULP / count as f64 }
}

fn histogram_bin(ulps: f64) -> usize {
    if ulps <= 0.5 {
        return 0;
    }
    // 2^(k-2) < ulps <= 2^(k-1): the number before it has the exponent k - 2.
    let before = f64::from_bits(ulps.to_bits() - 1);
    ((crate::dtype::exponent(before) + 2) as usize).min(HISTOGRAM_BINS - 1)
}
