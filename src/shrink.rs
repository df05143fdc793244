//! The reducer: from a failing case to the smallest one that still fails.
//!
//! It is greedy. A *candidate* is a simpler variant of the best case so far, and is taken if it fails too. *Passes* make the
//! candidates, from coarse to fine: make all of a long row equal, keep a few logits, drop chunks of logits (delta debugging,
//! Zeller and Hildebrandt 2002), simplify the whole case at once, simplify all equal values together, flatten chunks, simplify
//! single values. They are repeated until none of them finds anything. The first round is coarse on long rows: to drop or to
//! change their logits one by one costs most of a budget, and once a row is nearly flat it costs hardly anything.
//!
//! What is simpler is a total order, the cost: fewer logits; then a smaller sum of the descriptions of all values; then a
//! target at the front, or else at the back; then a row in descending order, or else in ascending order. The *description* of a
//! value grows from 0 over small integers, powers of two and numbers of few bits or digits to numbers of many; among those that
//! are alike, small exponents come first, and positive before negative. Infinities and NaN cost more than any number, so they
//! stay only where they are needed. Every step lowers the cost, so the search ends.
//!
//! The masses of a distribution sum to 1 in every candidate: what a step takes from a class goes to the one that has most, and where
//! a step gives a class more, all others give (`Draft::settle`).
//!
//! The order of the search depends on nothing but the case and the answers. [`shrink`] runs it with a predicate; a [`Shrinker`]
//! is the same search, one candidate at a time.

use crate::case::{Case, Draft, Value};
use crate::op::signature::{Extent, Role};
use change::{FLAT_VALUES, KEEP_WAYS, drop_chunk, drop_of_rows, keep, keep_of_rows, level, whole};
use std::collections::hash_map::DefaultHasher;
use std::collections::{HashMap, HashSet};
use std::hash::{Hash, Hasher};
use value::{description, variant};

mod change;
#[cfg(test)]
mod tests;
mod value;

/// The smallest failing case that can be reached within `budget`, where evaluating a case of n logits costs `1 + n / 64`.
///
/// `case` itself is taken to fail and is not evaluated. Any other case that is returned is one for which `fails` was true. No
/// case is evaluated twice.
pub fn shrink(case: &Case, budget: usize, fails: &mut dyn FnMut(&Case) -> bool) -> Case {
    let mut shrinker = Shrinker::new(case.clone(), budget);
    while let Some(candidate) = shrinker.candidate() {
        let failed = fails(candidate);
        shrinker.answer(failed);
    }
    shrinker.into_best()
}

/// A budget of so many evaluations of a long row lets the search make it flat and find the least length that fails.
pub const EVALUATIONS_AT_LENGTH: usize = 40;

/// What evaluating a case of `n` logits costs of a budget.
pub fn price(n: usize) -> usize {
    /// Logits that cost as much as a call does.
    const LOGITS_PER_UNIT: usize = 64;
    1 + n / LOGITS_PER_UNIT
}

/// The search, one candidate at a time: ask for a [`candidate`](Shrinker::candidate), tell the [`answer`](Shrinker::answer).
#[derive(Debug, Clone)]
pub struct Shrinker {
    best: Case,
    /// The candidate that waits for its answer.
    pending: Option<Case>,
    budget: usize,
    pass: usize,
    cursor: Cursor,
    /// Counts the cases taken; names the best case.
    version: u64,
    /// The best case when the pass began.
    began: u64,
    /// Whether it is the first round.
    is_coarse: bool,
    /// For each pass the best case for which it found nothing.
    exhausted: [Option<u64>; Pass::ALL.len()],
    /// Hashes of all cases evaluated, and of the first.
    seen: HashSet<u64>,
    descriptions: HashMap<u64, u64>,
    facts: Option<BestFacts>,
}

/// What the passes need to know of the best case, computed once for it.
#[derive(Debug, Clone)]
struct BestFacts {
    cost: Cost,
    /// The value that most logits have, the first of them on a tie.
    most_common: f64,
    /// Values that occur more than once in a row, by the place of the row (0 for the logits) and their bits.
    repeated: Vec<(usize, u64)>,
}

/// How simple a case is; the less, the simpler.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Cost {
    logits: usize,
    descriptions: u64,
    /// 0 for a target at the front, 1 at the back, more elsewhere.
    target: usize,
    /// 0 for a descending row, 1 for an ascending one, 2 for any other.
    disorder: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pass {
    /// Set all logits of a long row to 0, then its direction to 1, 0, 0, ... or to 1s, or all mass to the first class: what fails for its
    /// length stays.
    Level,
    /// Keep the first, the last, the largest, or the largest and least 1, 2, 4, ... logits.
    Keep,
    /// Drop chunks of half the logits, a quarter, down to single ones.
    Drop,
    /// Change the whole case at once.
    Whole,
    /// Change all occurrences of a repeated value at once.
    Repeated,
    /// Set chunks of values to one value.
    Flatten,
    /// Change single values.
    Single,
}

impl Pass {
    const ALL: [Pass; 7] =
        [Pass::Level, Pass::Keep, Pass::Drop, Pass::Whole, Pass::Repeated, Pass::Flatten, Pass::Single];
}

/// Where a pass is. Each pass uses what it needs of it.
#[derive(Debug, Clone, Copy)]
struct Cursor {
    /// Which of the changes that the pass knows.
    choice: usize,
    /// The length of a chunk.
    size: usize,
    /// The place of a chunk or a value.
    at: usize,
}

/// What a pass finds at its cursor.
enum Step {
    Try(Draft),
    /// Nothing at this place.
    Skip,
    /// Nothing here nor at any later choice for the same value.
    SkipValue,
    /// Nothing any more.
    Done,
}

impl From<Option<Draft>> for Step {
    fn from(draft: Option<Draft>) -> Self {
        draft.map_or(Step::Skip, Step::Try)
    }
}

impl Shrinker {
    /// A search that starts from `case`, which is taken to fail. See [`shrink`] for the budget.
    pub fn new(case: Case, budget: usize) -> Self {
        let cursor = Cursor::start(Pass::ALL[0], &case);
        Self {
            seen: HashSet::from([hash(&case)]),
            best: case,
            pending: None,
            budget,
            pass: 0,
            cursor,
            version: 0,
            began: 0,
            is_coarse: true,
            exhausted: [None; Pass::ALL.len()],
            descriptions: HashMap::new(),
            facts: None,
        }
    }

    /// The smallest failing case so far.
    pub fn best(&self) -> &Case {
        &self.best
    }

    /// The smallest failing case found.
    pub fn into_best(self) -> Case {
        self.best
    }

    /// The case to evaluate next, simpler than the best one and never seen before; none if the search or the budget is at its
    /// end. The same again until it is answered.
    pub fn candidate(&mut self) -> Option<&Case> {
        if self.pending.is_none() {
            self.pending = self.search();
        }
        self.pending.as_ref()
    }

    /// The candidate that waits for its answer.
    pub fn pending(&self) -> Option<&Case> {
        self.pending.as_ref()
    }

    /// Whether the candidate fails. Without a candidate nothing happens.
    pub fn answer(&mut self, fails: bool) {
        let Some(case) = self.pending.take() else { return };
        if fails {
            self.best = case;
            self.version += 1;
            self.facts = None;
        }
        self.advance(fails);
    }

    fn advance(&mut self, taken: bool) {
        let pass = Pass::ALL[self.pass];
        self.cursor.advance(pass, taken, places(pass, &self.best));
    }

    fn search(&mut self) -> Option<Case> {
        loop {
            let pass = Pass::ALL[self.pass];
            let draft = match self.step(pass) {
                Step::Try(mut draft) => {
                    draft.settle();
                    draft
                }
                Step::Skip => {
                    self.advance(false);
                    continue;
                }
                Step::SkipValue => {
                    self.cursor = Cursor { at: self.cursor.at + 1, choice: 0, ..self.cursor };
                    continue;
                }
                Step::Done => {
                    self.next_pass()?;
                    continue;
                }
            };
            let candidate = if self.is_simpler(&draft) { draft.into_case().ok() } else { None };
            let Some(candidate) = candidate else {
                self.advance(false);
                continue;
            };
            let price = price(candidate.logits().len());
            if price > self.budget {
                return None;
            }
            if !self.seen.insert(hash(&candidate)) {
                self.advance(false);
                continue;
            }
            self.budget -= price;
            return Some(candidate);
        }
    }

    /// Turns to the next pass that has not yet failed on the best case; none if all have.
    fn next_pass(&mut self) -> Option<()> {
        if self.began == self.version {
            self.exhausted[self.pass] = Some(self.version);
        }
        let passes = Pass::ALL.len();
        if self.is_coarse && self.pass + 1 == passes {
            (self.is_coarse, self.exhausted) = (false, [None; Pass::ALL.len()]);
        }
        let open = |pass: &usize| self.exhausted[*pass] != Some(self.version);
        self.pass = (1..=passes).map(|ahead| (self.pass + ahead) % passes).find(open)?;
        self.began = self.version;
        self.cursor = Cursor::start(Pass::ALL[self.pass], &self.best);
        Some(())
    }

    fn is_simpler(&mut self, draft: &Draft) -> bool {
        let n = self.best.logits().len();
        if draft.len() != n {
            return draft.len() < n;
        }
        let best = self.facts().cost;
        self.cost(draft) < best
    }

    fn cost(&mut self, draft: &Draft) -> Cost {
        let descriptions = draft.rows().flatten().copied().chain(draft.numbers()).map(|x| self.describe(x)).sum();
        let n = draft.len();
        let target = match draft.class() {
            None => draft.classes().map_or(0, cost_of_classes),
            Some(0) => 0,
            Some(class) if class + 1 == n => 1,
            Some(class) => 1 + class,
        };
        let disorder = if draft.logits.is_sorted_by(|a, b| a.total_cmp(b).is_ge()) {
            0
        } else if draft.logits.is_sorted_by(|a, b| a.total_cmp(b).is_le()) {
            1
        } else {
            2
        };
        Cost { logits: n, descriptions, target, disorder }
    }

    /// The description of a value, remembered.
    fn describe(&mut self, x: f64) -> u64 {
        /// Values remembered; a long row of distinct values must not fill the memory.
        const REMEMBERED: usize = 1 << 16;
        if x.to_bits() == 0 {
            return 0;
        }
        if self.descriptions.len() > REMEMBERED {
            self.descriptions.clear();
        }
        let dtype = self.best.dtype();
        *self.descriptions.entry(x.to_bits()).or_insert_with(|| description(x, dtype))
    }

    fn facts(&mut self) -> &BestFacts {
        let facts = match self.facts.take() {
            Some(facts) => facts,
            None => self.find_facts(),
        };
        self.facts.insert(facts)
    }

    fn find_facts(&mut self) -> BestFacts {
        let draft = Draft::of(&self.best);
        let mut counts: HashMap<(usize, u64), usize> = HashMap::new();
        let mut repeated = Vec::new();
        let in_row = |(place, row)| std::iter::repeat(place).zip::<&Vec<f64>>(row);
        for (place, x) in draft.rows().enumerate().flat_map(in_row) {
            let key = (place, x.to_bits());
            let count = counts.entry(key).or_insert(0);
            *count += 1;
            if *count == 2 {
                repeated.push(key);
            }
        }
        // `max_by_key` keeps the last of equals, so reversed the first.
        let most_common = draft.logits.iter().rev().max_by_key(|z| counts.get(&(0, z.to_bits())));
        BestFacts { cost: self.cost(&draft), most_common: most_common.copied().unwrap_or(0.0), repeated }
    }

    fn step(&mut self, pass: Pass) -> Step {
        /// Rows from this length on have a coarse round.
        const LONG: usize = 64;
        /// The pieces of a row that are the smallest of a coarse round.
        const PIECES: usize = 32;
        let Cursor { choice, size, at } = self.cursor;
        let n = self.best.logits().len();
        let is_fine = size * PIECES < n;
        match pass {
            Pass::Repeated | Pass::Single if self.is_coarse && n >= LONG => Step::Done,
            Pass::Drop if self.is_coarse && n >= LONG && is_fine => Step::Done,
            // On to the next value.
            Pass::Flatten if self.is_coarse && n >= LONG && is_fine && choice < FLAT_VALUES => Step::Skip,
            Pass::Level => level(&self.best, choice, n >= LONG),
            Pass::Keep => {
                let (count, way) =
                    choice.checked_sub(1).map_or((0, 0), |place| (1 << (place / KEEP_WAYS), place % KEEP_WAYS));
                match self.best.targets() {
                    _ if count >= n => Step::Done,
                    Some(_) => keep_of_rows(&self.best, count, way).into(),
                    None => keep(&self.best, count, way).into(),
                }
            }
            Pass::Drop if size == 0 => Step::Done,
            Pass::Drop if self.best.targets().is_some() => drop_of_rows(&self.best, at..at + size).into(),
            Pass::Drop => drop_chunk(&self.best, at..(at + size).min(n)).into(),
            Pass::Whole => {
                let most_common = self.facts().most_common;
                whole(&self.best, most_common, choice)
            }
            Pass::Repeated => {
                let Some(&(row, bits)) = self.facts().repeated.get(at) else { return Step::Done };
                let old = f64::from_bits(bits);
                match self.simpler_value(old, choice) {
                    Err(step) => step,
                    Ok(new) => {
                        let mut draft = Draft::of(&self.best);
                        let values = draft.rows_mut().nth(row).into_iter().flatten();
                        values.filter(|x| x.to_bits() == bits).for_each(|x| *x = new);
                        Step::Try(draft)
                    }
                }
            }
            Pass::Flatten => {
                let values: [f64; FLAT_VALUES] = [0.0, 1.0, self.facts().most_common];
                let Some(value) = values.get(choice).copied() else {
                    return Step::Done;
                };
                let slots = slots(&self.best);
                if slots == 0 {
                    return Step::Done;
                }
                let chunk = at..(at + size).min(slots);
                let old: u64 = chunk.clone().map(|at| slot(&self.best, at).map_or(0, |x| self.describe(x))).sum();
                if old <= self.describe(value) * chunk.len() as u64 {
                    return Step::Skip;
                }
                let mut draft = Draft::of(&self.best);
                draft.values_mut().skip(at).take(chunk.len()).for_each(|x| *x = value);
                Step::Try(draft)
            }
            Pass::Single => {
                let Some(old) = slot(&self.best, at) else { return Step::Done };
                match self.simpler_value(old, choice) {
                    Err(step) => step,
                    Ok(new) => {
                        let mut draft = Draft::of(&self.best);
                        draft.values_mut().skip(at).take(1).for_each(|x| *x = new);
                        Step::Try(draft)
                    }
                }
            }
        }
    }

    /// The variant `choice` of a value if it is simpler, else how to go on.
    fn simpler_value(&mut self, old: f64, choice: usize) -> Result<f64, Step> {
        let cost = self.describe(old);
        if cost == 0 {
            return Err(Step::SkipValue);
        }
        match variant(old, choice, self.best.dtype()) {
            None => Err(Step::SkipValue),
            Some(Some(new)) if self.describe(new) < cost => Ok(new),
            Some(_) => Err(Step::Skip),
        }
    }
}

impl Cursor {
    fn start(pass: Pass, case: &Case) -> Self {
        Self { choice: 0, size: half(places(pass, case)), at: 0 }
    }

    /// Moves on after a candidate was taken, or was not, or there was none. `places` is how many there are for chunks.
    fn advance(&mut self, pass: Pass, taken: bool, places: usize) {
        match pass {
            // The same change again, as long as it helps.
            Pass::Whole if taken => {}
            Pass::Level | Pass::Keep | Pass::Whole | Pass::Repeated | Pass::Single => self.choice += 1,
            Pass::Drop | Pass::Flatten => {
                if pass == Pass::Flatten || !taken {
                    self.at += self.size;
                }
                if self.at >= places {
                    self.at = 0;
                    self.size /= 2;
                }
                if self.size == 0 && pass == Pass::Flatten {
                    self.choice += 1;
                    self.size = half(places);
                }
            }
        }
    }
}

/// How many places a pass that works on chunks has.
fn places(pass: Pass, case: &Case) -> usize {
    match (pass, case.targets()) {
        // Rows, then columns.
        (Pass::Drop, Some(targets)) => targets.len() + case.row_len(),
        (Pass::Drop, None) => case.logits().len(),
        _ => slots(case),
    }
}

/// The largest power of two below `count` (1 for 1): chunks of it, its half, its quarter and so on add up to any length.
fn half(count: usize) -> usize {
    if count < 2 { count } else { count.next_power_of_two() / 2 }
}

/// The number of values of a case that can be changed one by one: its rows, then its single numbers.
fn slots(case: &Case) -> usize {
    let n = case.logits().len();
    let count = |role: Role| match role.extent() {
        Extent::Row => n,
        Extent::Number => 1,
        Extent::Index | Extent::Indices => 0,
    };
    case.op().inputs().iter().map(|input| count(input.role)).sum()
}

/// The value at one of these places, in the order of [`Draft::values_mut`].
fn slot(case: &Case, at: usize) -> Option<f64> {
    let rows = case.others().filter_map(|(_, value)| if let Value::Row(row) = value { Some(&row[..]) } else { None });
    let numbers = case.others().filter_map(|(_, value)| if let Value::Number(x) = value { Some(*x) } else { None });
    let n = case.logits().len();
    // Every row has a value for each logit.
    let rows = std::iter::once(case.logits()).chain(rows);
    match at.checked_sub(case.op().rows() * n) {
        Some(at) => numbers.into_iter().nth(at),
        None => rows.into_iter().nth(at / n).and_then(|row| row.get(at % n).copied()),
    }
}

/// How far classes of several rows are from the simplest: one row, none ignored, every class the first.
fn cost_of_classes(classes: &[Option<usize>]) -> usize {
    classes
        .iter()
        .map(|class| 1 + class.map_or(usize::BITS as usize, |class| (usize::BITS - class.leading_zeros()) as usize))
        .sum()
}

fn hash(case: &Case) -> u64 {
    let mut hasher = DefaultHasher::new();
    let mut row = |values: &[f64]| {
        values.len().hash(&mut hasher);
        values.iter().for_each(|x| x.to_bits().hash(&mut hasher));
    };
    row(case.logits());
    for (_, value) in case.others() {
        match value {
            Value::Row(values) => row(values),
            Value::Number(x) => row(&[*x]),
            Value::Index(index) => row(&[f64::from_bits(*index as u64)]),
            Value::Indices(classes) => {
                let class = |class: &Option<usize>| f64::from_bits(class.map_or(u64::MAX, |class| class as u64));
                row(&classes.iter().map(class).collect::<Vec<f64>>());
            }
        }
    }
    hasher.finish()
}
