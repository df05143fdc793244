//! A score in [0, 1] for a kernel that somebody, or a model, wrote and that runs in a worker.
//!
//! Rows of all families stand side by side in one matrix, all of one length, and each is judged by itself. The matrix is given twice,
//! the second time upside down, and the worse answer counts.
//!
//! Some rows are answered well by no computation at all: a row of one logit by 1, equal logits by 1 / n, a row with NaN by NaN. A case
//! earns only where none of the *trivial answers* passes it: zeros, ones, 1 / n, -log n, NaN, infinities, the input itself, its maximum. A
//! family counts with the share of such cases that pass, and the score is the mean over families. So zeros, constants and copies of
//! the input score 0. With any failing case the score stays below 1.

use crate::campaign::{families, limits, served};
use crate::case::made;
use crate::delivery::wait_for;
use crate::fault::{fault, harness};
use crate::judging::claims;
use logitfuzz::diagnosis::{describe, shrink_case};
use logitfuzz::foreign::Limits;
use logitfuzz::kernel::{Claims, Kernel, Outcome, Supervised, accepts};
use logitfuzz::trial::Trial;
use logitfuzz::{Case, Dtype, Family, Op, Oracle, Verdict, finding_text, report};
use pyo3::prelude::*;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// The lengths of the matrices, in turn: around vectors and blocks, past 256 and 2048, one of each kind early.
const LENGTHS: [usize; 16] = [17, 4, 128, 1, 33, 1000, 2, 64, 2500, 3, 65, 8, 257, 31, 4096, 129];

/// The most that a kernel with a failing case scores.
const MOST_OF_FAILING: f64 = 0.99;

/// What a kernel in a worker is asked.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub struct Asked {
    op: String,
    dtype: String,
    /// Cases for each family.
    cases: u64,
    seed: u64,
    families: Option<Vec<String>>,
    claims: String,
    strict: bool,
    worker: Vec<OsString>,
    timeout_ms: u64,
    memory_mib: u64,
}

/// The counts of a family.
#[derive(Default)]
struct Count {
    cases: u64,
    passed: u64,
    /// Cases that no trivial answer passes, and how many of them passed.
    telling: u64,
    earned: u64,
    verdicts: BTreeMap<Verdict, u64>,
}

/// A failing case.
struct Failing {
    case: Case,
    family: Family,
    verdict: Verdict,
    ratio: f64,
    message: Option<String>,
}

struct Scorer<'a> {
    kernel: &'a (dyn Kernel + 'a),
    supervised: &'a (dyn Supervised + 'a),
    claims: Claims,
    oracle: Oracle,
    counts: BTreeMap<&'static str, Count>,
    worst: Option<Failing>,
    /// What ended the judgement early.
    ended: Option<String>,
}

/// Answers that take no computation of the op.
fn trivial(case: &Case) -> Vec<Vec<f64>> {
    let n = case.logits().len();
    let (count, output) = (case.op().outputs(n), case.dtype().output());
    // Of a mean over rows, the logits of one.
    let few = case.row_len().max(1) as f64;
    let constants = [0.0, 1.0, 1.0 / few, -few.ln(), few.ln(), f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 0.5, -1.0];
    let mut answers: Vec<Vec<f64>> = constants.iter().map(|&x| vec![output.round(x); count]).collect();
    let rounded = |values: &[f64]| values.iter().map(|&x| output.round(x)).collect::<Vec<f64>>();
    let rows: Vec<&[f64]> =
        [Some(case.logits()), case.direction(), case.distribution(), case.values(), case.target_logits()]
            .into_iter()
            .flatten()
            .collect();
    for row in rows {
        if count == row.len() {
            answers.push(rounded(row));
            answers.push(row.iter().map(|&x| output.round(-x)).collect());
        }
        if case.op().is_scalar() {
            answers.push(vec![output.round(row.iter().copied().fold(f64::NEG_INFINITY, f64::max))]);
            answers.extend(row.first().map(|&x| vec![output.round(x)]));
        }
    }
    answers
}

/// Whether the kernel's process was lost.
fn is_fatal(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Failed(fault, _) if fault.is_fatal())
}

impl Scorer<'_> {
    fn is_trivial(&mut self, case: &Case) -> bool {
        let mut trial = Trial::new(case);
        let (oracle, claims) = (&mut self.oracle, &self.claims);
        trivial(case)
            .into_iter()
            .any(|answer| trial.judge_alone(oracle, claims, &Outcome::Outputs(answer)).verdict == Verdict::Pass)
    }

    /// Gives all cases to the kernel at once, and judges each.
    fn batch(&mut self, cases: &[(Family, Case)]) {
        let forth: Vec<&Case> = cases.iter().map(|(_, case)| case).collect();
        let back: Vec<&Case> = forth.iter().rev().copied().collect();
        let first = self.supervised.run_batch(&forth);
        let mut second = match first.iter().any(is_fatal) {
            true => first.clone(),
            false => self.supervised.run_batch(&back).into_iter().rev().collect(),
        };
        second.resize(first.len(), Outcome::NotRun);
        for (((family, case), first), second) in cases.iter().zip(first).zip(second) {
            let mut trial = Trial::new(case);
            let mut judge = |outcome: &Outcome| trial.judge_alone(&mut self.oracle, &self.claims, outcome);
            let both = [judge(&first), judge(&second)];
            let order = |judgement: &&logitfuzz::judge::Judgement| (judgement.verdict, judgement.max_ratio.to_bits());
            let Some(judgement) = both.iter().max_by_key(order) else { continue };
            let is_telling = !self.is_trivial(case);
            // What was not run has no verdict, and no pass either.
            let passes = judgement.verdict == Verdict::Pass;
            let count = self.counts.entry(family.name()).or_default();
            count.cases += 1;
            count.passed += u64::from(passes);
            count.telling += u64::from(is_telling);
            count.earned += u64::from(is_telling && passes);
            *count.verdicts.entry(judgement.verdict).or_default() += 1;
            let rank = |verdict: Verdict, ratio: f64, n: usize| (verdict, ratio.to_bits(), std::cmp::Reverse(n));
            let mine = rank(judgement.verdict, judgement.max_ratio, case.logits().len());
            let is_worse = self
                .worst
                .as_ref()
                .is_none_or(|worst| mine > rank(worst.verdict, worst.ratio, worst.case.logits().len()));
            if judgement.verdict.is_failure() && is_worse {
                self.worst = Some(Failing {
                    case: case.clone(),
                    family: *family,
                    verdict: judgement.verdict,
                    ratio: judgement.max_ratio,
                    message: judgement.message.clone(),
                });
            }
            if judgement.verdict.fault().is_some_and(|fault| fault.is_fatal()) {
                self.ended = Some(format!("{}: {}", judgement.verdict, judgement.message.as_deref().unwrap_or("")));
            }
        }
    }

    /// The worst failure: made smaller and explained, where the kernel comes to an answer.
    fn finding(&mut self) -> Option<Value> {
        let Failing { case, family, verdict, message, .. } = self.worst.take()?;
        let meaning = report::meaning(verdict);
        if verdict.fault().is_some() {
            let message = message.unwrap_or_default();
            return Some(json!({
                "verdict": verdict.name(), "family": family.name(), "meaning": meaning, "message": message,
                "case": case.to_string(), "text": format!("{verdict}: {message}\n  {meaning}\n  case: {case}"),
            }));
        }
        let small = shrink_case(&mut self.oracle, self.kernel, &self.claims, &case);
        let mut finding = describe(&mut self.oracle, self.kernel, &self.claims, &small);
        if !finding.verdict.is_failure() {
            // Alone the row passes: it takes the others beside it.
            let contaminated = Verdict::Contaminated;
            let words = format!("beside others the row's verdict is {verdict} ({meaning}), and alone it passes");
            return Some(json!({
                "verdict": contaminated.name(), "family": family.name(), "meaning": report::meaning(contaminated),
                "case": case.to_string(), "text": format!("{contaminated}: {words}\n  case: {case}"),
            }));
        }
        finding.family = family.name().to_owned();
        let case = finding.case().ok()?;
        let text = finding_text(&finding, &case, &format!("logitfuzz.replay(KERNEL, \"{case}\")"));
        Some(json!({
            "verdict": finding.verdict.name(), "family": finding.family, "meaning": report::meaning(finding.verdict),
            "case": case.to_string(), "index": finding.index, "got": finding.got_decimal, "exact": finding.exact,
            "explanation": finding.explanation, "text": text,
        }))
    }

    fn score(&self) -> f64 {
        let shares: Vec<f64> = self
            .counts
            .values()
            .filter(|count| count.telling > 0)
            .map(|count| count.earned as f64 / count.telling as f64)
            .collect();
        let mean = if shares.is_empty() { 0.0 } else { shares.iter().sum::<f64>() / shares.len() as f64 };
        if self.ended.is_some() {
            // What comes after is not known, so nothing is earned.
            0.0
        } else if self.counts.values().all(|count| count.passed == count.cases) {
            mean
        } else {
            mean.min(MOST_OF_FAILING)
        }
    }
}

/// The cases of one matrix: of each family the one with this index, all of one length and with one number, as a batch has them.
fn matrix(op: Op, dtype: Dtype, families: &[Family], seed: u64, index: u64) -> logitfuzz::Result<Vec<(Family, Case)>> {
    let n = LENGTHS[(index % LENGTHS.len() as u64) as usize];
    let (mut cases, mut number) = (Vec::new(), None);
    for &family in families {
        let Some(case) = made(op, dtype, family, seed, index, n, Some(n), number)? else { continue };
        if op.takes_class() || case.scale().is_some() {
            number.get_or_insert(case.target().map(|(_, smoothing)| smoothing).or(case.scale()).unwrap_or(0.0));
        }
        cases.push((family, case));
    }
    Ok(cases)
}

fn scored(asked: &Asked, parts: &Parts, stop: &AtomicBool, stopper: &Stopper) -> logitfuzz::Result<Value> {
    let Parts { op, dtype, families, claims, limits } = parts;
    let (op, dtype) = (*op, *dtype);
    let head = |verdict: &str, score: f64| {
        let mut head = Map::new();
        head.insert("schema".into(), json!("logitfuzz.judge/1"));
        head.insert("verdict".into(), json!(verdict));
        head.insert("score".into(), json!(score));
        head.insert("op".into(), json!(op.name()));
        head.insert("dtype".into(), json!(dtype.name()));
        head.insert("seed".into(), json!(asked.seed));
        head
    };
    let kernel = match served(asked.worker.clone(), *limits) {
        Ok(kernel) => kernel,
        // It does not come as far as being asked: that is its doing.
        Err(error) => {
            let mut head = head("fail", 0.0);
            let text = format!("crash: {error}");
            head.insert("cases".into(), json!(0));
            head.insert("families".into(), json!({}));
            head.insert("ended".into(), json!(text));
            head.insert("worst".into(), json!({"verdict": "crash", "message": error.to_string(), "text": text}));
            return Ok(Value::Object(head));
        }
    };
    *stopper.lock().unwrap_or_else(PoisonError::into_inner) = Some(kernel.stopper());
    let mut scorer = Scorer {
        kernel: &kernel,
        supervised: &kernel,
        claims: claims.clone(),
        oracle: Oracle::new(),
        counts: BTreeMap::new(),
        worst: None,
        ended: None,
    };
    // One row by itself first: what always hangs or dies does so once, and not for every row.
    let first = matrix(op, dtype, &families[..families.len().min(1)], asked.seed, 0)?;
    let alone: Vec<&Case> = first.iter().map(|(_, case)| case).collect();
    if kernel.run_batch(&alone).iter().any(is_fatal) {
        scorer.batch(&first);
    }
    for index in 0..asked.cases {
        if stop.load(Ordering::Relaxed) || scorer.ended.is_some() {
            break;
        }
        let mut cases = matrix(op, dtype, families, asked.seed, index)?;
        cases.retain(|(_, case)| accepts(&kernel, case));
        if !cases.is_empty() {
            scorer.batch(&cases);
        }
    }
    if let Some(trouble) = kernel.trouble() {
        return Err(logitfuzz::Error::harness(trouble));
    }
    let passes = scorer.ended.is_none()
        && scorer.counts.values().any(|count| count.cases > 0)
        && scorer.counts.values().all(|count| count.verdicts.keys().all(|verdict| !verdict.is_failure()));
    let mut head = head(if passes { "pass" } else { "fail" }, scorer.score());
    head.insert("cases".into(), json!(scorer.counts.values().map(|count| count.cases).sum::<u64>()));
    let family = |(name, count): (&&str, &Count)| {
        let verdicts: Map<String, Value> =
            count.verdicts.iter().map(|(verdict, count)| (verdict.name().to_owned(), json!(count))).collect();
        let counts = json!({
            "cases": count.cases, "passed": count.passed, "telling": count.telling, "earned": count.earned,
            "verdicts": verdicts,
        });
        ((*name).to_owned(), counts)
    };
    head.insert("families".into(), Value::Object(scorer.counts.iter().map(family).collect()));
    head.insert("ended".into(), json!(scorer.ended));
    let worst = if stop.load(Ordering::Relaxed) { None } else { scorer.finding() };
    head.insert("worst".into(), json!(worst));
    Ok(Value::Object(head))
}

/// What stops the worker, once there is one.
type Stopper = Mutex<Option<Arc<AtomicBool>>>;

/// What is asked, read.
struct Parts {
    op: Op,
    dtype: Dtype,
    families: Vec<Family>,
    claims: Claims,
    limits: Limits,
}

/// Scores the kernel of a worker. Returns one object of JSON, whose keys are in the order in which people read them.
#[pyfunction]
pub fn score(py: Python<'_>, asked: Asked) -> PyResult<String> {
    let (op, dtype) = crate::case::named(&asked.op, &asked.dtype)?;
    let families = families(asked.families.as_deref()).map_err(|error| fault(&error))?;
    let claims = claims(&asked.claims, asked.strict)?;
    claims.check(dtype).map_err(|error| fault(&error))?;
    let parts = Parts { op, dtype, families, claims, limits: limits(asked.timeout_ms, asked.memory_mib)? };
    let stop = Arc::new(AtomicBool::new(false));
    let is_stopped = stop.clone();
    let stopper = Arc::new(Stopper::default());
    let of_worker = stopper.clone();
    let thread = std::thread::Builder::new()
        .name("logitfuzz".into())
        .spawn(move || scored(&asked, &parts, &is_stopped, &of_worker))
        .map_err(|error| harness(format!("no thread can be started: {error}")))?;
    let end = || {
        stop.store(true, Ordering::Relaxed);
        let stopper = stopper.lock().unwrap_or_else(PoisonError::into_inner);
        stopper.iter().for_each(|stopper| stopper.store(true, Ordering::Relaxed));
    };
    let value = wait_for(py, thread, end)?
        .map_err(|_| harness("judging ended in a panic, which is a fault of logitfuzz"))?
        .map_err(|error| fault(&error))?;
    Ok(value.to_string())
}
