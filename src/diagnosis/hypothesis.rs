//! Hypotheses: a planted defect, or an unstable kernel, is a guess at what a kernel does, and one that can be run. Where a kernel answers
//! as the defect does on every case of the [`battery`](super::battery), the defect explains it; where several defects of different classes
//! answer so, no one of them does.

use super::battery::{lengths, of_plain_maximum};
use super::fit::{Fit, Hypothesis, insides};
use crate::case::Case;
use crate::dtype::Dtype;
use crate::judge::OutputJudgement;
use crate::kernel::builtin::{self, Beside, Builtin, Defect};
use crate::kernel::{Claims, Fault, Kernel, Outcome, accepts, is_same};
use crate::op::Op;
use crate::oracle::Oracle;
use crate::results::{Likeness, Second};
use crate::trial::Trial;
use std::cell::RefCell;
use std::collections::HashMap;

#[cfg(feature = "cli")]
mod evidence;

#[cfg(feature = "cli")]
pub(crate) use evidence::{Evidence, Telling, evidence};

/// What the dictionary says of a failing kernel.
pub(super) struct Recognised {
    /// What answers alike, and what is known of it.
    pub hypothesis: Hypothesis,
    /// How many other values of its parameter answer alike, too.
    pub others: usize,
    pub defect: Defect,
    /// Whether a correct sum of its form would fail, too, for the kernel claims to lose no digit of a small result.
    pub is_log_too: bool,
    /// The cases that both were run on; on how many of these they answer alike, which is all but special rows that one of the two
    /// answers well; and on how many of those the correct kernel answers otherwise.
    pub probes: usize,
    pub alike: usize,
    pub telling: usize,
}

impl Recognised {
    /// What else is wrong with the kernel.
    pub fn seconds(&self) -> Vec<Hypothesis> {
        let log = self.is_log_too.then(|| builtin::find(builtin::LOG_OF_ONE_PLUS)).flatten().map(Hypothesis::plain);
        self.hypothesis.second().into_iter().chain(log).collect()
    }
}

/// A second defect, as results have it.
fn second(one: &Hypothesis) -> Option<Second> {
    let class = one.kernel.mechanism()?.class.into();
    Some(Second { kernel: one.kernel.name().into(), class, parameter: one.difference() })
}

/// What came of asking.
pub(super) enum Asked {
    /// One defect, or several of one class: the first of them.
    Shown(Recognised),
    /// Defects of different classes, which the cases do not tell apart; or one that the failing case alone tells from a correct kernel,
    /// by little.
    Open(Vec<Hypothesis>),
}

impl Asked {
    /// Whether the defect that explains it has another number in it than the planted one.
    pub fn is_fitted(&self) -> bool {
        matches!(self, Asked::Shown(recognised) if recognised.hypothesis.value.is_some())
    }

    /// The defect that explains it, as results have it.
    pub fn likeness(&self) -> Option<Likeness> {
        let Asked::Shown(recognised) = self else { return None };
        let Recognised { hypothesis, others, defect, alike, telling, .. } = recognised;
        Some(Likeness {
            and: recognised.seconds().iter().filter_map(second).collect(),
            kernel: hypothesis.kernel.name().into(),
            class: defect.class.into(),
            parameter: match others {
                0 => hypothesis.difference(),
                _ => hypothesis.difference().map(|words| format!("{words}, or another")),
            },
            probes: *alike as u64,
            telling: *telling as u64,
        })
    }
}

/// A kernel that fails at an op in a dtype: what it answers to the cases of the battery is kept, for many findings ask of it.
pub(crate) struct Suspect<'a> {
    pub kernel: &'a dyn Kernel,
    pub claims: &'a Claims,
    /// A correct kernel of the op.
    right: Option<&'static Builtin>,
    /// The cases of the battery that it takes, and those of them that it was run on.
    cases: Vec<&'a Case>,
    probes: Vec<Probe<'a>>,
    /// Whether it ended its process or the time at the next: then it is not run on any more of them.
    is_at_end: bool,
    /// An ordinary row of the battery that it fails on, once it was looked for: what does not answer alike there explains no finding.
    ruling: Option<Option<Ruling>>,
    /// What was asked on that row, and whether that rules it out.
    ruled: HashMap<Key, bool>,
}

/// A row of the battery that a kernel fails on.
#[derive(Clone, Copy)]
struct Ruling {
    /// Its place in the battery.
    case: usize,
    /// The output that fails most, and whether by far.
    output: usize,
    is_far: bool,
}

/// What tells a hypothesis from others.
type Key = (&'static str, Option<u64>, Option<Dtype>, Option<Beside>);

impl<'a> Suspect<'a> {
    /// A kernel that nothing is known of, and the [`battery`](super::battery::battery) of an op and a dtype.
    pub fn new(kernel: &'a dyn Kernel, claims: &'a Claims, battery: &'a [Case]) -> Self {
        let right = battery.first().and_then(|case| right(case.op(), case.dtype()));
        let cases = battery.iter().filter(|case| accepts(kernel, case)).collect();
        let (probes, ruled) = Default::default();
        Self { kernel, claims, right, cases, probes, is_at_end: false, ruling: None, ruled }
    }

    /// Asks which defects answer alike on a failing case and on every case of the battery; none do where it fails by a fault. The planted
    /// defects are asked as they are; where none of them answers alike, with other numbers in them and in other types, and so is what is
    /// in no list.
    pub(super) fn ask(&mut self, oracle: &mut Oracle, case: &Case) -> Option<Asked> {
        let (op, dtype, right) = (case.op(), case.dtype(), self.right?);
        let (failing, place, is_far) = self.failing(oracle, case)?;
        let is_ordinary = failing.trial.class().is_ordinary();
        // That a defect is like itself explains nothing.
        let own = self.kernel.selector();
        let is_other =
            |known: &&Builtin| known.computes(op, dtype) && known.mechanism().is_some() && known.name() != own;
        let first = First { probe: failing, place, is_far, is_ordinary, textbooks: Vec::new(), right };
        let asked = self.ask_all(oracle, case, first, &is_other)?;
        self.explains(oracle, case, asked)
    }

    /// Asks all hypotheses, by rising cost.
    fn ask_all(
        &mut self,
        oracle: &mut Oracle,
        case: &Case,
        mut first: First,
        is_other: &dyn Fn(&&Builtin) -> bool,
    ) -> Option<Asked> {
        let (dtype, own) = (case.dtype(), self.kernel.selector());
        let place = first.place;
        let planted = || builtin::all().iter().filter(|known| is_other(known));
        let plain = planted().map(Hypothesis::plain).filter(|one| first.admits(oracle, one)).collect();
        if let Some(asked) = self.settle(oracle, &mut first, plain) {
            return Some(asked);
        }
        let Outcome::Outputs(outputs) = first.probe.outcome.clone() else { return None };
        let failing = first.probe.trial.case();
        let fit = Fit {
            kernel: self.kernel,
            case: failing,
            outputs: &outputs,
            place,
            right: first.right,
            onsets: RefCell::default(),
        };
        let is_other_function =
            |known: &&Builtin| known.parameter().is_none_or(|parameter| !parameter.also.contains(&own.as_str()));
        let besides = builtin::unlisted().iter().filter(|known| is_other(known));
        let mut known: Vec<&Builtin> = planted().chain(besides).filter(is_other_function).collect();
        // Cheap ones first: of a long row not all can be asked.
        known.sort_by_key(|known| Fit::price(known));
        let mut budget = LOGITS / failing.logits().len().max(1);
        // In other types only where none answers alike in its own, and of two things at once only where no one does.
        [Stage::OwnType, Stage::OtherTypes, Stage::Twofold].into_iter().find_map(|stage| {
            let besides = match stage {
                Stage::Twofold => self.besides(oracle, case, is_other),
                Stage::OwnType | Stage::OtherTypes => Vec::new(),
            };
            let mut found = Vec::new();
            for &known in &known {
                let plain = Hypothesis::plain(known);
                let in_types = |is_own: bool| {
                    let insides = insides(known, dtype).into_iter().filter(move |inside| inside.is_none() == is_own);
                    insides.map(|inside| Hypothesis { inside, ..plain }).collect::<Vec<Hypothesis>>()
                };
                let hypotheses = match stage {
                    Stage::OwnType => in_types(true),
                    Stage::OtherTypes => in_types(false),
                    Stage::Twofold => {
                        besides.iter().map(|&beside| Hypothesis { beside: Some(beside), ..plain }).collect()
                    }
                };
                for hypothesis in hypotheses {
                    let is_new = stage != Stage::OwnType || known.defect().is_none();
                    let Some(rest) = budget.checked_sub(Fit::price(known)) else { continue };
                    budget = rest;
                    // The sum of that one is its parameter, and then not its own.
                    let candidates = match hypothesis.beside.is_some() && known.name() == builtin::LOG_OF_ONE_PLUS {
                        true => vec![hypothesis],
                        false => fit.candidates(hypothesis, is_new),
                    };
                    let admitted = |one: &Hypothesis| !self.is_ruled_out(oracle, one) && first.admits(oracle, one);
                    found.extend(candidates.into_iter().filter(admitted));
                }
            }
            self.settle(oracle, &mut first, found)
        })
    }

    /// Whether a hypothesis answers otherwise on an ordinary row that the kernel fails on, which is asked once for all findings. One with a
    /// number that could be fitted better is not asked.
    fn is_ruled_out(&mut self, oracle: &mut Oracle, one: &Hypothesis) -> bool {
        if one.kernel.parameter().is_some_and(|parameter| parameter.is_continuous) {
            return false;
        }
        let key = (one.kernel.name(), one.value.map(f64::to_bits), one.inside, one.beside);
        if let Some(&ruled) = self.ruled.get(&key) {
            return ruled;
        }
        let Some(ruling) = self.ruling(oracle) else { return false };
        let Some(right) = self.right else { return false };
        let Some(probe) = self.probes.get_mut(ruling.case) else { return false };
        let answer = probe.trial.outcome(one);
        let is_alike = match (&probe.outcome, &answer, probe.trial.outcome(right)) {
            (Outcome::Outputs(ours), Outcome::Outputs(theirs), Outcome::Outputs(right))
                if ruling.is_far && !may_be_alike(one, ruling.output, ours, theirs, &right) =>
            {
                false
            }
            _ => probe.compare(oracle, &answer).is_some(),
        };
        self.ruled.insert(key, !is_alike);
        !is_alike
    }

    /// The first ordinary row of the battery that the kernel fails on.
    fn ruling(&mut self, oracle: &mut Oracle) -> Option<Ruling> {
        if let Some(known) = self.ruling {
            return known;
        }
        let found = (0..self.cases.len()).find_map(|case| {
            let probe = self.asked(case)?;
            let (output, is_far) = probe.failing_output(oracle)?;
            probe.trial.class().is_ordinary().then_some(Ruling { case, output, is_far })
        });
        self.ruling = Some(found);
        found
    }

    /// What the kernel may do besides something else: what explains rows on which few other defects show. None where it fails on none of
    /// them.
    fn besides(&mut self, oracle: &mut Oracle, case: &Case, is_other: &dyn Fn(&&Builtin) -> bool) -> Vec<Beside> {
        /// So many of them are tried.
        const MOST: usize = 3;
        if self.is_at_end {
            return Vec::new();
        }
        let rows = of_plain_maximum(case.op(), case.dtype());
        let mut failing = Vec::new();
        for row in rows.iter().filter(|row| accepts(self.kernel, row)) {
            let mut probe = self.probe(row);
            if !matches!(probe.outcome, Outcome::Outputs(_)) {
                return Vec::new();
            }
            if probe.failing_output(oracle).is_some() {
                failing.push(probe);
            }
        }
        if failing.is_empty() {
            return Vec::new();
        }
        let others = Beside::all().filter(|beside| beside.alone().is_some_and(|(known, _)| is_other(&known)));
        let explains = |beside: &Beside| {
            let Some(alone) = Hypothesis::alone(*beside) else { return false };
            failing.iter_mut().all(|probe| probe.is_alike(oracle, &alone) == Some(true))
        };
        others.filter(explains).take(MOST).collect()
    }

    /// The failing case with the output that fails most, and whether that fails by far. Where each of its outputs is good by itself, and
    /// what fails is what they have to do with each other or with other rows, the first case of the battery that has such an output.
    fn failing<'c>(&mut self, oracle: &mut Oracle, case: &'c Case) -> Option<(Probe<'c>, usize, bool)>
    where
        'a: 'c,
    {
        let mut first = self.probe(case);
        if let Some((place, is_far)) = first.failing_output(oracle) {
            return Some((first, place, is_far));
        }
        if !matches!(first.outcome, Outcome::Outputs(_)) {
            return None;
        }
        (0..self.cases.len()).find_map(|index| {
            self.asked(index)?.failing_output(oracle)?;
            let mut probe = self.probe(self.cases[index]);
            let (place, is_far) = probe.failing_output(oracle)?;
            Some((probe, place, is_far))
        })
    }

    /// What was found, where it explains the failing case, too: what answers alike must fail there with the verdict of the kernel.
    fn explains(&self, oracle: &mut Oracle, case: &Case, asked: Asked) -> Option<Asked> {
        let Asked::Shown(recognised) = &asked else { return Some(asked) };
        let mut probe = self.probe(case);
        if probe.failing_output(oracle).is_some() {
            return Some(asked);
        }
        let theirs = probe.trial.judge(oracle, &recognised.hypothesis, self.claims).verdict;
        let ours = probe.trial.judge(oracle, self.kernel, self.claims).verdict;
        (ours == theirs && probe.is_alike(oracle, &recognised.hypothesis).is_some()).then_some(asked)
    }

    /// Runs the kernel on a case.
    fn probe<'c>(&self, case: &'c Case) -> Probe<'c> {
        let trial = Trial::new(case);
        let outcome = trial.outcome(self.kernel);
        Probe { trial, outcome, claims: self.claims.clone(), judged: None }
    }

    /// What it answered on a case of the battery; none where there is no such case, and where it came to an end before.
    fn asked(&mut self, place: usize) -> Option<&mut Probe<'a>> {
        while self.probes.len() <= place && !self.is_at_end {
            let probe = self.probe(self.cases.get(self.probes.len())?);
            self.is_at_end = matches!(probe.outcome, Outcome::Failed(Fault::Crash | Fault::Hang, _) | Outcome::NotRun);
            if !self.is_at_end {
                self.probes.push(probe);
            }
        }
        self.probes.get_mut(place)
    }

    /// Whether all that it answers on the battery passes under other claims.
    pub fn passes_under(&mut self, oracle: &mut Oracle, claims: &Claims) -> bool {
        (0..self.cases.len()).all(|place| {
            self.asked(place).is_some_and(|Probe { trial, outcome, .. }| {
                !trial.judge_alone(oracle, claims, outcome).verdict.is_failure()
            })
        })
    }

    /// What is left of hypotheses that answer alike on the failing case. Where nothing is, those that came farthest get the number in them
    /// from the row that they failed on, on which more of its digits may show.
    fn settle(&mut self, oracle: &mut Oracle, first: &mut First, alike: Vec<Hypothesis>) -> Option<Asked> {
        /// So many are tried again.
        const AGAIN: usize = 6;
        let (alike, mut dropped) = self.pass(oracle, first, alike)?;
        if !alike.is_empty() {
            return self.answer(oracle, first, alike);
        }
        dropped.retain(|(one, _)| one.kernel.parameter().is_some_and(|parameter| parameter.is_continuous));
        dropped.sort_by_key(|(_, place)| std::cmp::Reverse(*place));
        dropped.truncate(AGAIN);
        let mut again = Vec::new();
        for (one, place) in dropped {
            again.extend(self.refitted(oracle, one, place).filter(|one| first.admits(oracle, one)));
        }
        let (alike, _) = self.pass(oracle, first, again)?;
        self.answer(oracle, first, alike)
    }

    /// Which hypotheses answer alike on every case, and on which case each of the others does not; none where the kernel cannot be asked.
    fn pass(
        &mut self,
        oracle: &mut Oracle,
        first: &First,
        mut alike: Vec<Hypothesis>,
    ) -> Option<(Vec<Hypothesis>, Dropped)> {
        let mut dropped = Vec::new();
        for place in 0..self.cases.len() {
            if alike.is_empty() {
                break;
            }
            let probe = self.asked(place)?;
            let is_beside = first.is_ordinary && !probe.trial.class().is_ordinary();
            alike.retain(|one| {
                let is_kept = probe.is_alike(oracle, one).is_some() || is_beside && probe.tells_nothing(oracle, one);
                if !is_kept {
                    dropped.push((*one, place));
                }
                is_kept
            });
        }
        Some((alike, dropped))
    }

    /// A hypothesis with the number that the kernel's answer on a case says.
    fn refitted(&mut self, oracle: &mut Oracle, one: Hypothesis, place: usize) -> Option<Hypothesis> {
        let (kernel, right) = (self.kernel, self.right?);
        let probe = self.probes.get_mut(place)?;
        let (output, _) = probe.failing_output(oracle)?;
        let Outcome::Outputs(outputs) = &probe.outcome else { return None };
        let case = probe.trial.case();
        let onsets = RefCell::default();
        Fit { kernel, case, outputs, place: output, right, onsets }.refitted(one)
    }

    /// What hypotheses that answer alike on every case say.
    fn answer(&mut self, oracle: &mut Oracle, first: &mut First, mut alike: Vec<Hypothesis>) -> Option<Asked> {
        // What an unstable kernel does is also done by a planted defect, which says more, as it does of what is in no list.
        alike.sort_by_key(|one| one.kernel.defect().is_none());
        let (&hypothesis, right) = (alike.first()?, first.right);
        let defect = hypothesis.kernel.mechanism()?;
        let classes = hypothesis.classes();
        if !alike.iter().all(|one| one.classes() == classes) {
            return Some(Asked::Open(alike));
        }
        // Of several numbers in it, those that more rows leave.
        let mut values = alike.clone();
        values.retain(|one| {
            one.kernel.name() == hypothesis.kernel.name()
                && (one.inside, one.beside) == (hypothesis.inside, hypothesis.beside)
        });
        // One that was found is the one.
        if hypothesis.is_found() {
            values.truncate(1);
        } else if values.len() > 1 {
            self.narrow(oracle, first.probe.trial.case(), &mut values);
        }
        let hypothesis = *values.first()?;
        let others = values.len() - 1;
        let open = std::mem::take(&mut alike);
        // The failing case is both.
        let (mut alike, mut telling) = (1, 1);
        for probe in &mut self.probes {
            if probe.is_alike(oracle, &hypothesis).is_some() {
                alike += 1;
                telling += usize::from(probe.is_alike(oracle, right).is_none());
            }
        }
        // A number that was found from the failing case fits that case; what it says of others is what counts.
        if hypothesis.value.is_some() && telling < 1 + TELLING_ENOUGH {
            return None;
        }
        // Many things err alike on one row.
        if telling == 1 {
            return Some(Asked::Open(open));
        }
        let probes = 1 + self.cases.len();
        let is_log_too = !classes.contains(&LOG_CLASS) && first.fails_by_log(oracle);
        Some(Asked::Shown(Recognised { hypothesis, others, defect, is_log_too, probes, alike, telling }))
    }

    /// Keeps the values of a parameter that answer alike on more rows, unless none does.
    fn narrow(&self, oracle: &mut Oracle, case: &Case, values: &mut Vec<Hypothesis>) {
        for case in lengths(case.op(), case.dtype()).iter().filter(|case| accepts(self.kernel, case)) {
            let mut probe = self.probe(case);
            if matches!(probe.outcome, Outcome::Failed(Fault::Crash | Fault::Hang, _) | Outcome::NotRun) {
                return;
            }
            let mut left = values.clone();
            left.retain(|one| probe.is_alike(oracle, one).is_some());
            if !left.is_empty() {
                *values = left;
            }
            if values.len() == 1 {
                return;
            }
        }
    }
}

/// On so many probes besides the failing case a defect with another number in it must be told from a correct kernel.
const TELLING_ENOUGH: usize = 2;

/// The class of what takes the logarithm of a sum that holds the 1 of the maximum.
const LOG_CLASS: &str = "C16";

/// In which order hypotheses are asked.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    OwnType,
    OtherTypes,
    /// With something besides.
    Twofold,
}

/// The most logits, in all hypotheses together, that the answer to the failing case is compared on.
const LOGITS: usize = 400_000;

/// A correct kernel of an op.
fn right(op: Op, dtype: Dtype) -> Option<&'static Builtin> {
    builtin::all().iter().find(|known| known.is_trusted() && known.supports(op, dtype))
}

/// What does not answer alike, and the place in the battery of the first case on which it does not.
type Dropped = Vec<(Hypothesis, usize)>;

/// The failing case: what does not answer alike there is asked no further.
struct First<'a> {
    probe: Probe<'a>,
    /// The output that fails most, and whether by so much that roundings are nothing beside it.
    place: usize,
    is_far: bool,
    /// Whether it is an ordinary row. Then rows that are not tell nothing where one of the two answers well.
    is_ordinary: bool,
    /// The answers of a correct kernel in the types that were met.
    textbooks: Vec<(Option<Dtype>, Outcome)>,
    right: &'static Builtin,
}

impl First<'_> {
    /// Whether a hypothesis fails alike, by what it is and not by the type that it is computed in.
    fn admits(&mut self, oracle: &mut Oracle, one: &Hypothesis) -> bool {
        let (answer, textbook) = (self.probe.trial.outcome(one), self.place_of_textbook(one.inside));
        let textbook = &self.textbooks[textbook].1;
        let (Outcome::Outputs(ours), Outcome::Outputs(theirs), Outcome::Outputs(right)) =
            (&self.probe.outcome, &answer, textbook)
        else {
            return self.probe.compare(oracle, &answer) == Some(true);
        };
        if !one.is_textbook() && are_same(theirs, right) {
            return false;
        }
        // Most are told apart by a look.
        if self.is_far && !may_be_alike(one, self.place, ours, theirs, right) {
            return false;
        }
        self.probe.compare(oracle, &answer) == Some(true)
    }

    /// Whether the textbook fails on the case under the kernel's claims, and passes where its sum leaves out the 1 of the maximum.
    fn fails_by_log(&mut self, oracle: &mut Oracle) -> bool {
        let Probe { trial, claims, .. } = &mut self.probe;
        let (op, dtype) = (trial.case().op(), trial.case().dtype());
        let tight = builtin::all()
            .iter()
            .find(|known| known.supports(op, dtype) && known.is_trusted() && known.claims(op, dtype).tight);
        // Elsewhere a tight bound takes something else: a sum of the others, a product at the end.
        let has_log = op.row().is_some_and(|facts| facts.has_log_total);
        let Some(tight) = tight.filter(|_| claims.tight && has_log) else { return false };
        let mut fails = |kernel: &dyn Kernel| {
            let answer = trial.outcome(kernel);
            trial.judge_alone(oracle, claims, &answer).verdict.is_failure()
        };
        fails(self.right) && !fails(tight)
    }

    /// The place of what a correct kernel answers in a type.
    fn place_of_textbook(&mut self, inside: Option<Dtype>) -> usize {
        let found = self.textbooks.iter().position(|(known, _)| *known == inside);
        found.unwrap_or_else(|| {
            let one = Hypothesis { inside, ..Hypothesis::plain(self.right) };
            self.textbooks.push((inside, self.probe.trial.outcome(&one)));
            self.textbooks.len() - 1
        })
    }
}

/// Whether outputs that are far from right may be those of a hypothesis, by a look at one of them: the kernel's, its, and those of a correct
/// kernel.
fn may_be_alike(one: &Hypothesis, place: usize, ours: &[f64], theirs: &[f64], right: &[f64]) -> bool {
    const PART: f64 = 0.25;
    let (Some(x), Some(y), Some(right)) = (ours.get(place), theirs.get(place), right.get(place)) else { return true };
    let is_number = x.is_finite() && right.is_finite() && one.inside.is_none();
    let is_near = !is_number || (x - y).abs() <= PART * (x - right).abs();
    x.is_finite() == y.is_finite() && x.is_nan() == y.is_nan() && is_near
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
    /// The output that fails by itself, and most, of an answer of the right length; and whether by far.
    fn failing_output(&mut self, oracle: &mut Oracle) -> Option<(usize, bool)> {
        const FAR: f64 = 4.0;
        let Self { trial, outcome, claims, judged } = self;
        let Outcome::Outputs(outputs) = outcome else { return None };
        let case = trial.case();
        if outputs.len() != case.op().outputs(case.logits().len()) {
            return None;
        }
        let judged = judged.get_or_insert_with(|| trial.judge_outputs(oracle, claims, outputs));
        let failing = judged.iter().enumerate().filter(|(_, output)| output.verdict.is_failure());
        let (place, worst) = failing.max_by(|(_, a), (_, b)| a.ratio.total_cmp(&b.ratio))?;
        Some((place, worst.ratio >= FAR))
    }

    /// Whether the kernel or another one answers well, so that what they do otherwise is beside the question on rows of another kind.
    fn tells_nothing(&mut self, oracle: &mut Oracle, other: &dyn Kernel) -> bool {
        let answer = self.trial.outcome(other);
        let is_good = |judgement: crate::judge::Judgement| !judgement.verdict.is_failure();
        let (ours, claims) = (self.outcome.clone(), self.claims.clone());
        is_good(self.trial.judge_alone(oracle, &claims, &ours))
            || is_good(self.trial.judge_alone(oracle, &claims, &answer))
    }

    /// Whether another kernel fails on the case, if it answers as this one did: by the same fault, or by outputs that are the same but for
    /// what separates two ways to compute one thing. None if it answers otherwise.
    fn is_alike(&mut self, oracle: &mut Oracle, other: &dyn Kernel) -> Option<bool> {
        let answer = self.trial.outcome(other);
        self.compare(oracle, &answer)
    }

    /// The same of an answer.
    fn compare(&mut self, oracle: &mut Oracle, answer: &Outcome) -> Option<bool> {
        let Self { trial, outcome, claims, judged } = self;
        let (ours, theirs) = match (&*outcome, answer) {
            (Outcome::Outputs(ours), Outcome::Outputs(theirs)) if ours.len() == theirs.len() => (ours, theirs),
            (Outcome::Failed(ours, _), Outcome::Failed(theirs, _)) if ours == theirs => return Some(true),
            _ => return None,
        };
        let is_bitwise = are_same(ours, theirs);
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

fn are_same(a: &[f64], b: &[f64]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| is_same(*a, *b))
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
    use super::super::battery::battery;
    use super::*;

    /// A kernel that somebody else wrote: what it does is not said by its name.
    struct Renamed<K, F>(K, F);

    impl<K: Kernel, F: Fn(Vec<f64>) -> Vec<f64> + Send + Sync> Kernel for Renamed<K, F> {
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
        Suspect::new(kernel, &claims, &battery(case.op(), case.dtype())).ask(&mut Oracle::new(), &case)
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
                        recognised.hypothesis.title()
                    );
                    assert!(recognised.telling > 0 && recognised.probes > 60, "{}", known.name());
                    shown += 1;
                }
                Some(Asked::Open(alike)) => {
                    assert!(alike.iter().any(|one| one.kernel.name() == known.name()), "{}", known.name());
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

    /// Of two defects neither of which answers alike both are told; one is never said to be two.
    #[test]
    fn two_defects_are_told_together() {
        let kernel = |beside: Option<Beside>| Hypothesis {
            beside,
            ..Hypothesis::plain(builtin::find("defect/unshifted").unwrap())
        };
        let classes =
            |beside: Option<Beside>, case: &str| match asked(&Renamed(kernel(beside), |outputs| outputs), case) {
                Some(Asked::Shown(recognised)) => recognised.hypothesis.classes(),
                Some(Asked::Open(_)) | None => Vec::new(),
            };
        let in_bf16 = Beside::all().nth(1);
        assert_eq!(classes(None, "softmax f32 [100, 0]"), ["C11"]);
        assert_eq!(classes(in_bf16, "softmax f32 [100, 0]"), ["C11", "C14"]);
        assert_eq!(classes(in_bf16, "softmax f32 [1, 0]"), ["C11", "C14"]);
        assert_eq!(classes(Some(Beside::Exp(3)), "softmax f32 [1, 0]"), ["C11", "C29"]);
        assert_eq!(classes(Some(Beside::Exp(7)), "log_softmax f32 [1, 0]"), ["C11", "C29"]);
    }

    /// What a claim asks for besides is told, where it is missed on the very case.
    #[test]
    fn a_tight_claim_that_is_missed_besides_is_told() {
        let mut claims = Claims::default();
        claims.set("tight").unwrap();
        let kernel = Renamed(builtin::find("defect/half-sum").unwrap(), |outputs| outputs);
        let is_told = |case: &str| {
            let case = Case::parse(case).unwrap();
            let battery = battery(case.op(), case.dtype());
            match Suspect::new(&kernel, &claims, &battery).ask(&mut Oracle::new(), &case) {
                Some(Asked::Shown(recognised)) => Some(recognised.is_log_too),
                Some(Asked::Open(_)) | None => None,
            }
        };
        assert_eq!(is_told("logsumexp f32 [0.5, 0, 0]"), Some(false));
        assert_eq!(is_told("logsumexp f32 [-0x1p-4, -0x1p+2*4]"), Some(true));
    }

    #[test]
    fn every_class_has_a_cure() {
        let without =
            builtin::all().iter().filter(|known| known.defect().is_some_and(|defect| defect.cure().is_empty()));
        assert_eq!(without.map(Builtin::name).collect::<Vec<_>>(), [""; 0]);
    }
}
