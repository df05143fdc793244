//! A piece of a domain: its inputs are run and judged in their order, and what came out is one record.
//!
//! Of an elementwise op many inputs share a case, and each has a verdict of its own. Of an op of rows each input is a case.

use super::domain::{Domain, Piece, Space};
use super::interval::{self, Interval};
use super::map::{self, MAP_CELLS};
use crate::case::Case;
use crate::error::Result;
use crate::judge::{Grade, Judgement, OutputJudgement, Verdict};
use crate::kernel::{self, Claims, Kernel, Outcome};
use crate::oracle::Oracle;
use crate::results::{number, sum};
use crate::trial::Trial;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ops::Range;

/// Elements of one case. What a case costs besides its elements is of no account then, and an answer still fits the cache.
const ELEMENTS_OF_CASE: u64 = 1024;

/// Cases that are made at a time, and sent at once to a kernel in a process of its own.
const CASES_OF_ROWS: u64 = 256;

/// The same where a case has many elements.
const CASES_OF_ELEMENTS: u64 = 16;

/// Crashes and hangs of a piece after which the rest of it is not run: each costs a new process, or a second of waiting.
pub(crate) const MOST_FATAL: u64 = 8;

/// Intervals that are kept of a piece of a large domain; where there are more, neighbours are joined. A journal stays below a few hundred
/// MB so.
const MOST_INTERVALS: usize = 64;

/// What was found on a piece.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// The number of the piece.
    pub piece: u64,
    /// Inputs by verdict.
    pub verdicts: BTreeMap<Verdict, u64>,
    /// Inputs that were not run because the kernel had crashed or hung too often.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub not_run: u64,
    /// Outputs judged.
    pub outputs: u64,
    /// Outputs that passed, by grade.
    pub grades: BTreeMap<Grade, u64>,
    /// The largest finite error in ulps; none where it is 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Extreme>,
    /// The largest error over its bound; none where it is 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ratio: Option<Extreme>,
    /// Intervals of inputs that do not pass, before any were joined.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub found: u64,
    /// These intervals.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub intervals: Vec<Interval>,
    /// Of pairs whose intervals were joined: what the line is on the map, which intervals that were joined do not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cells: Option<String>,
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// The largest of a figure, and the first input that has it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Extreme {
    /// The place of the input on its line.
    pub place: u64,
    #[serde(with = "number")]
    pub value: f64,
}

impl Record {
    /// Whether it can be what was found on its piece: a file may hold anything.
    pub fn is_sound(&self, space: &Space) -> bool {
        if self.piece >= space.pieces() {
            return false;
        }
        let piece = space.piece(self.piece);
        let inputs = sum(self.verdicts.values().chain([&self.not_run]));
        let pass = self.verdicts.get(&Verdict::Pass).copied().unwrap_or(0);
        let failing = sum(self.intervals.iter().map(|interval| &interval.failing));
        let joined = sum(self.intervals.iter().map(|interval| &interval.joined));
        let is_inside = |place: u64| piece.places.contains(&place);
        let extremes = [self.error, self.ratio].into_iter().flatten();
        let follows = self.intervals.windows(2).all(|pair| pair[0].last < pair[1].first);
        let is_whole = |interval: &Interval| {
            let (first, last) = (interval.first, interval.last);
            is_inside(first)
                && is_inside(last)
                && first <= last
                && interval.verdict != Verdict::Pass
                && if interval.is_exact() {
                    interval.failing == interval.len()
                } else {
                    (2..=interval.failing).contains(&interval.joined) && interval.failing <= interval.len()
                }
        };
        inputs == Some(piece.len())
            && failing.and_then(|failing| sum(&[failing, pass, self.not_run])) == inputs
            && joined == Some(self.found)
            && self.outputs <= 2 * piece.len()
            && sum(self.grades.values()).is_some_and(|graded| graded <= self.outputs)
            && follows
            && self.cells.as_ref().is_none_or(|cells| {
                cells.len() as u64 == MAP_CELLS && cells.chars().all(|letter| map::verdict(letter).is_some())
            })
            && self.intervals.iter().all(is_whole)
            && extremes.into_iter().all(|extreme| is_inside(extreme.place) && extreme.value > 0.0)
    }
}

/// A kernel and what its answers are judged by.
pub(crate) struct Judging<'a> {
    pub space: &'a Space,
    pub kernel: &'a dyn Kernel,
    pub claims: &'a Claims,
}

/// Inputs with their case.
struct Asked {
    places: Range<u64>,
    case: Case,
}

impl Judging<'_> {
    /// Runs and judges a piece; none where it was stopped before its end.
    ///
    /// # Errors
    /// The kernel cannot be run any more for a reason that is not its own.
    pub fn record(&self, piece: &Piece, oracle: &mut Oracle, is_stopped: &dyn Fn() -> bool) -> Result<Option<Record>> {
        let (size, at_a_time) = match self.space.domain {
            Domain::Elements => (self.elements_of_case(), CASES_OF_ELEMENTS),
            Domain::Pairs | Domain::Gaps => (1, CASES_OF_ROWS),
        };
        let mut tally = Tally::default();
        let mut batch = Vec::new();
        let mut place = piece.places.start;
        while place < piece.places.end {
            if is_stopped() {
                return Ok(None);
            }
            let end = piece.places.end.min(place + size * at_a_time);
            self.ask(piece.line, place..end, size, &mut batch)?;
            if !self.take(piece.line, &batch, oracle, &mut tally)? {
                break;
            }
            place = end;
        }
        Ok(Some(tally.into_record(self.space, piece)))
    }

    /// Elements that a case has here: kernels may take fewer.
    fn elements_of_case(&self) -> u64 {
        let most = *self.kernel.lengths(self.space.op, self.space.dtype).end();
        ELEMENTS_OF_CASE.min(most as u64).max(1)
    }

    /// The cases of these places, with so many inputs each.
    fn ask(&self, line: u64, places: Range<u64>, size: u64, batch: &mut Vec<Asked>) -> Result<()> {
        batch.clear();
        let mut first = places.start;
        while first < places.end {
            let end = places.end.min(first + size);
            batch.push(Asked { places: first..end, case: self.space.case(line, first..end)? });
            first = end;
        }
        Ok(())
    }

    /// Runs and judges cases; false where the kernel crashed or hung so often that the rest of the piece is not run.
    fn take(&self, line: u64, batch: &[Asked], oracle: &mut Oracle, tally: &mut Tally) -> Result<bool> {
        let mut answers = match self.kernel.supervised() {
            None => None,
            Some(supervised) => {
                let cases: Vec<&Case> = batch.iter().map(|asked| &asked.case).collect();
                let answers = supervised.run_batch(&cases);
                kernel::trouble(self.kernel).map_or(Ok(()), Err)?;
                Some(answers.into_iter())
            }
        };
        for asked in batch {
            let mut trial = Trial::new(&asked.case);
            let (outcome, judgement) = match &mut answers {
                None => trial.run(oracle, self.kernel, self.claims),
                Some(answers) => {
                    let outcome = answers.next().unwrap_or(Outcome::NotRun);
                    let judgement = trial.judge_outcome(oracle, self.kernel, self.claims, &outcome);
                    (outcome, judgement)
                }
            };
            // It has crashed or hung so often in these cases that the rest of them was not sent.
            if matches!(outcome, Outcome::NotRun) {
                return Ok(false);
            }
            if asked.places.end - asked.places.start == 1 {
                tally.add_case(asked.places.start, &judgement);
            } else if !tally.add_bulk(asked, &judgement)
                && !tally.add_each(asked, &judgement, &outcome, &mut trial, oracle, self.claims)
                && !self.take_apart(line, asked, &judgement, oracle, tally)?
            {
                return Ok(false);
            }
            if tally.fatal >= MOST_FATAL {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Runs the elements of a case one by one, where what is said of the case is not said of its outputs: a panic, say. Where each
    /// passes by itself they have the verdict of the case: together they do not pass.
    fn take_apart(
        &self,
        line: u64,
        asked: &Asked,
        judgement: &Judgement,
        oracle: &mut Oracle,
        tally: &mut Tally,
    ) -> Result<bool> {
        let before = tally.clone();
        let failing = tally.failing();
        let mut singles = Vec::new();
        let mut first = asked.places.start;
        while first < asked.places.end {
            let end = asked.places.end.min(first + CASES_OF_ROWS);
            self.ask(line, first..end, 1, &mut singles)?;
            if !self.take(line, &singles, oracle, tally)? {
                return Ok(false);
            }
            first = end;
        }
        if tally.failing() == failing {
            *tally = before;
            asked.places.clone().for_each(|place| tally.add_verdict(place, judgement.verdict));
            tally.outputs += judgement.outputs;
            tally.fatal += u64::from(judgement.verdict.fault().is_some_and(|fault| fault.is_fatal()));
        }
        Ok(true)
    }
}

/// What was counted so far of a piece.
#[derive(Clone, Default)]
struct Tally {
    inputs: u64,
    verdicts: [u64; Verdict::ALL.len()],
    outputs: u64,
    grades: [u64; Grade::ALL.len()],
    error: Option<Extreme>,
    ratio: Option<Extreme>,
    intervals: Vec<Interval>,
    /// Crashes and hangs.
    fatal: u64,
}

impl Tally {
    /// Inputs that do not pass.
    fn failing(&self) -> u64 {
        self.inputs - self.verdicts[Verdict::Pass as usize]
    }

    fn add_verdict(&mut self, place: u64, verdict: Verdict) {
        self.inputs += 1;
        self.verdicts[verdict as usize] += 1;
        if verdict != Verdict::Pass {
            let interval = Interval { first: place, last: place, verdict, failing: 1, joined: 1 };
            interval::push(&mut self.intervals, interval);
        }
    }

    fn add_extremes(&mut self, place: u64, ulps: f64, ratio: f64) {
        for (kept, value) in [(&mut self.error, ulps), (&mut self.ratio, ratio)] {
            // Places rise, so of equal ones the first stays.
            if value > kept.map_or(0.0, |kept| kept.value) {
                *kept = Some(Extreme { place, value });
            }
        }
    }

    /// Counts an input that is a case.
    fn add_case(&mut self, place: u64, judgement: &Judgement) {
        self.add_verdict(place, judgement.verdict);
        self.outputs += judgement.outputs;
        self.add_grades(&judgement.grades);
        self.add_extremes(place, judgement.max_ulp, judgement.max_ratio);
        self.fatal += u64::from(judgement.verdict.fault().is_some_and(|fault| fault.is_fatal()));
    }

    fn add_grades(&mut self, grades: &[u64; Grade::ALL.len()]) {
        self.grades.iter_mut().zip(grades).for_each(|(count, more)| *count += more);
    }

    /// Counts a case whose inputs all pass, where none of them is the worst so far; false where it is another.
    fn add_bulk(&mut self, asked: &Asked, judgement: &Judgement) -> bool {
        let is_below = |kept: Option<Extreme>, value: f64| value <= kept.map_or(0.0, |kept| kept.value);
        let is_plain = judgement.verdict == Verdict::Pass
            && is_below(self.error, judgement.max_ulp)
            && is_below(self.ratio, judgement.max_ratio);
        if is_plain {
            let inputs = asked.places.end - asked.places.start;
            self.inputs += inputs;
            self.verdicts[Verdict::Pass as usize] += inputs;
            self.outputs += judgement.outputs;
            self.add_grades(&judgement.grades);
        }
        is_plain
    }

    /// Counts the inputs of a case by what is said of each output; false, and nothing, where that is not what is said of the case.
    fn add_each(
        &mut self,
        asked: &Asked,
        judgement: &Judgement,
        outcome: &Outcome,
        trial: &mut Trial,
        oracle: &mut Oracle,
        claims: &Claims,
    ) -> bool {
        let Outcome::Outputs(outputs) = outcome else { return false };
        if judgement.verdict.fault().is_some() {
            return false;
        }
        let each = trial.judge_outputs(oracle, claims, outputs);
        let worst = each.iter().map(|judged| judged.verdict).max();
        if worst != Some(judgement.verdict) || each.len() as u64 != asked.places.end - asked.places.start {
            return false;
        }
        for (place, OutputJudgement { verdict, grade, ulps, ratio, .. }) in asked.places.clone().zip(each) {
            self.add_verdict(place, verdict);
            self.outputs += 1;
            if let Some(grade) = grade {
                self.grades[grade as usize] += 1;
            }
            self.add_extremes(place, ulps.map_or(0.0, f64::abs), ratio);
        }
        true
    }

    fn into_record(self, space: &Space, piece: &Piece) -> Record {
        let most = if space.is_small() { usize::MAX } else { MOST_INTERVALS };
        let has_map = space.domain == Domain::Pairs && self.intervals.len() > most;
        let verdicts = Verdict::ALL.into_iter().zip(self.verdicts).filter(|&(_, count)| count > 0).collect();
        let grades = Grade::ALL.into_iter().zip(self.grades).filter(|&(_, count)| count > 0).collect();
        Record {
            piece: piece.number,
            verdicts,
            not_run: piece.len() - self.inputs,
            outputs: self.outputs,
            grades,
            error: self.error,
            ratio: self.ratio,
            found: self.intervals.len() as u64,
            cells: has_map.then(|| map::row(&self.intervals, space.line_len())),
            intervals: interval::join(self.intervals, most),
        }
    }
}
