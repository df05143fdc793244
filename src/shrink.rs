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

use crate::case::{Case, Draft, DraftValue, Value};
use crate::dtype::{Dtype, exponent, ldexp};
use crate::op::signature::{Extent, Role};
use std::collections::hash_map::DefaultHasher;
use std::collections::{HashMap, HashSet};
use std::hash::{Hash, Hasher};
use std::ops::Range;
use value::{description, to_bits, to_digits, variant};

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

/// The values of the other row that the op takes, if it takes one. What it cannot have is no case, and so no candidate.
fn direction(draft: &mut Draft) -> &mut [f64] {
    draft.other_row_mut().map_or(&mut [], Vec::as_mut_slice)
}

/// Whether every row has the same value, bit for bit, at these places.
fn is_flat(case: &Case, places: Range<usize>) -> bool {
    same(&case.logits()[places.clone()])
        && case.others().all(|(_, value)| if let Value::Row(row) = value { same(&row[places.clone()]) } else { true })
}

/// Change `choice` of [`Pass::Level`].
fn level(case: &Case, choice: usize, is_long: bool) -> Step {
    let mut draft = Draft::of(case);
    match choice {
        0 if is_long => draft.logits.fill(0.0),
        1 | 2 if is_long && !direction(&mut draft).is_empty() => {
            direction(&mut draft).fill(f64::from(choice as u8 - 1));
            direction(&mut draft)[0] = 1.0;
        }
        1 if is_long && !draft.masses_mut().is_empty() => one_hot(&mut draft, 0),
        _ => return Step::Done,
    }
    Step::Try(draft)
}

/// All mass to one class.
fn one_hot(draft: &mut Draft, class: usize) {
    draft.masses_mut().iter_mut().enumerate().for_each(|(i, mass)| *mass = f64::from(u8::from(i == class)));
}

/// The class of the first largest of these numbers; none of none.
fn largest(values: &[f64]) -> Option<usize> {
    (0..values.len()).reduce(|found, i| if values[i] > values[found] { i } else { found })
}

/// The values that [`Pass::Flatten`] sets chunks to: 0, 1, the most common one.
const FLAT_VALUES: usize = 3;

/// The ways of [`keep`]: the first, the last, the largest, the largest and the least.
const KEEP_WAYS: usize = 4;

/// The case with `count` logits, fewer than it has, and besides with its target, or the class that has most of the mass.
fn keep(case: &Case, count: usize, way: usize) -> Option<Draft> {
    let logits = case.logits();
    let n = logits.len();
    let mut kept: Vec<usize> = match way {
        0 => (0..count).collect(),
        _ if is_flat(case, 0..n) => return None, // as the first
        1 => (n - count..n).collect(),
        _ => {
            let least = if way == 2 { 0 } else { count / 2 };
            let order = |a: &usize, b: &usize| logits[*a].total_cmp(&logits[*b]).then(b.cmp(a));
            let mut ordered: Vec<usize> = (0..n).collect();
            ordered.select_nth_unstable_by(n - (count - least), order);
            if least > 0 {
                ordered[..n - (count - least)].select_nth_unstable_by(least, order);
            }
            ordered.drain(least..n - (count - least));
            ordered.sort_unstable();
            ordered
        }
    };
    let target = case.target().map(|(class, _)| class);
    if let Some(class) = target.or_else(|| largest(case.distribution()?))
        && let Err(place) = kept.binary_search(&class)
    {
        kept.insert(place, class);
    }
    Draft::of(case).select(&kept)
}

/// How far classes of several rows are from the simplest: one row, none ignored, every class the first.
fn cost_of_classes(classes: &[Option<usize>]) -> usize {
    classes
        .iter()
        .map(|class| 1 + class.map_or(usize::BITS as usize, |class| (usize::BITS - class.leading_zeros()) as usize))
        .sum()
}

/// The case of several rows with so many rows or columns: the first or the last ones, and the columns of true classes besides.
fn keep_of_rows(case: &Case, count: usize, way: usize) -> Option<Draft> {
    let (rows, n) = (case.targets()?.len(), case.row_len());
    let all = if way < 2 { rows } else { n };
    let kept = match way % 2 {
        _ if count >= all => return None,
        0 => 0..count,
        _ => all - count..all,
    };
    match way < 2 {
        true => Draft::of(case).select_rows(&kept.collect::<Vec<usize>>(), &(0..n).collect::<Vec<usize>>()),
        false => with_columns(case, |j| kept.contains(&j)),
    }
}

/// The case of several rows without a chunk of its rows, then of its columns.
fn drop_of_rows(case: &Case, chunk: Range<usize>) -> Option<Draft> {
    let (rows, n) = (case.targets()?.len(), case.row_len());
    if chunk.start < rows {
        let kept: Vec<usize> = (0..rows).filter(|row| !chunk.contains(row)).collect();
        return Draft::of(case).select_rows(&kept, &(0..n).collect::<Vec<usize>>());
    }
    with_columns(case, |j| !chunk.contains(&(rows + j)))
}

/// The case of several rows with these columns, and those of true classes.
fn with_columns(case: &Case, is_kept: impl Fn(usize) -> bool) -> Option<Draft> {
    let targets = case.targets()?;
    let is_target = |j: &usize| targets.contains(&Some(*j));
    let columns: Vec<usize> = (0..case.row_len()).filter(|j| is_kept(*j) || is_target(j)).collect();
    Draft::of(case).select_rows(&(0..targets.len()).collect::<Vec<usize>>(), &columns)
}

/// Whether all values are the same, bit for bit.
fn same(values: &[f64]) -> bool {
    values.iter().all(|x| x.to_bits() == values[0].to_bits())
}

/// The case without a chunk of its logits; the target stays.
fn drop_chunk(case: &Case, chunk: Range<usize>) -> Option<Draft> {
    let target = case.target().map(|(class, _)| class);
    if let Some(before) = chunk.start.checked_sub(chunk.len()) {
        // Within a run the case is the one that dropping the chunk before has given.
        let both = before..chunk.end;
        if is_flat(case, both.clone()) && target.is_none_or(|class| !both.contains(&class)) {
            return None;
        }
    }
    // The target's index, if it lies in the chunk and so stays.
    let spared = target.filter(|class| chunk.contains(class));
    if chunk.len() == usize::from(spared.is_some()) {
        return None;
    }
    let kept: Vec<usize> = (0..chunk.start).chain(spared).chain(chunk.end..case.logits().len()).collect();
    Draft::of(case).select(&kept)
}

/// Significand bits to which all values are rounded at once.
const ROUGH_BITS: [u32; 9] = [1, 2, 3, 4, 6, 8, 11, 16, 24];
/// Decimal digits to which all values are rounded at once.
const ROUGH_DIGITS: [usize; 3] = [1, 2, 3];

/// Change `choice` of the whole case.
fn whole(case: &Case, most_common: f64, choice: usize) -> Step {
    /// Changes of the target and the order.
    const TARGET: usize = 5;
    /// Changes of the smoothing.
    const SMOOTHING: [f64; 4] = [0.0, 1.0, 0.5, 0.1];
    /// Directions of a known form.
    const FORMS: usize = 5;
    /// Distributions of a known form.
    const DISTRIBUTIONS: usize = 6;
    let dtype = case.dtype();
    let n = case.logits().len();
    let mut draft = Draft::of(case);
    let mut choice = choice;
    // Takes `choice` if it is one of the next `count`, else counts them off.
    let mut among = |count: usize| {
        let taken = (choice < count).then_some(choice);
        choice = choice.wrapping_sub(if taken.is_some() { 0 } else { count });
        taken
    };
    if let Some(change) = among(TARGET) {
        let mut order: Vec<usize> = (0..n).collect();
        if draft.classes().is_some() {
            let last = case.row_len().checked_sub(1);
            let classes = draft.classes_mut().into_iter().flatten();
            match change {
                0 => classes.for_each(|class| *class = class.map(|_| 0)),
                1 => classes.for_each(|class| *class = class.and(last)),
                2 => classes.for_each(|class| *class = class.or(last.map(|_| 0))),
                // Every column would move with the logits of one row.
                _ => return Step::Skip,
            }
            return Step::Try(draft);
        }
        match (change, draft.class_mut()) {
            (0..=2, None) => return Step::Skip,
            (0, Some(class)) => *class = 0,
            (1, Some(class)) => *class = n - 1,
            (2, Some(class)) => {
                order.swap(0, *class);
                return draft.select(&order).into();
            }
            _ => {
                order.sort_by(|&a, &b| draft.logits[a].total_cmp(&draft.logits[b]));
                if change == 3 {
                    order.reverse();
                }
                return draft.select(&order).into();
            }
        }
        return Step::Try(draft);
    }
    if let Some(change) = among(SMOOTHING.len()) {
        let Some(DraftValue::Number(smoothing)) = draft.part_mut(Role::Smoothing) else { return Step::Skip };
        *smoothing = dtype.round(SMOOTHING[change]);
        return Step::Try(draft);
    }
    if let Some(form) = among(FORMS) {
        if n == 0 || direction(&mut draft).is_empty() {
            return Step::Skip;
        }
        let largest = (0..n).max_by(|&a, &b| draft.logits[a].total_cmp(&draft.logits[b])).unwrap_or(0);
        for (index, g) in direction(&mut draft).iter_mut().enumerate() {
            let one_hot = |at: usize| f64::from(u8::from(index == at));
            *g = match form {
                0 => one_hot(0),
                1 => one_hot(n - 1),
                2 => one_hot(largest),
                3 => one_hot(0) - one_hot(1),
                _ => 1.0 - 2.0 * (index % 2) as f64,
            };
        }
        return Step::Try(draft);
    }
    if let Some(form) = among(DISTRIBUTIONS) {
        let Some(masses) = draft.masses() else { return Step::Skip };
        let least: Vec<f64> = draft.logits.iter().map(|z| -z).collect();
        let class = match form {
            0 => Some(0),
            1 => n.checked_sub(1),
            2 => largest(masses),
            3 => largest(&draft.logits),
            4 => largest(&least),
            _ => None,
        };
        match class {
            Some(class) => one_hot(&mut draft, class),
            None => draft.masses_mut().fill(1.0),
        }
        return Step::Try(draft);
    }
    if let Some(change) = among(ROUGH_BITS.len()) {
        if draft.masses().is_none() {
            return Step::Skip;
        }
        draft.masses_mut().iter_mut().for_each(|mass| *mass = to_bits(*mass, ROUGH_BITS[change], false));
        return Step::Try(draft);
    }
    if let Some(change) = among(EVERYWHERE) {
        let helps = everywhere(&mut draft.logits, most_common, change, dtype);
        return if helps { Step::Try(draft) } else { Step::Skip };
    }
    if let Some(change) = among(EVERYWHERE) {
        let helps = everywhere(direction(&mut draft), 1.0, change, dtype);
        return if helps { Step::Try(draft) } else { Step::Skip };
    }
    Step::Done
}

/// The number of changes that [`everywhere`] knows.
const EVERYWHERE: usize = 15 + ROUGH_BITS.len() + ROUGH_DIGITS.len();

/// Applies change `choice` to all values alike; false if there is nothing to change.
fn everywhere(values: &mut [f64], common: f64, choice: usize, dtype: Dtype) -> bool {
    let finite = || values.iter().copied().filter(|x| x.is_finite());
    let (Some(most), Some(least)) = (finite().reduce(f64::max), finite().reduce(f64::min)) else {
        // Without a number only the constants can apply.
        let constant = [0.0, 1.0, -1.0].get(choice).copied();
        values.iter_mut().for_each(|x| *x = constant.unwrap_or(*x));
        return constant.is_some() && !values.is_empty();
    };
    let constant = match choice {
        0 => Some(0.0),
        1 => Some(1.0),
        2 => Some(-1.0),
        3 => Some(common),
        4 => Some(values.iter().copied().max_by(f64::total_cmp).unwrap_or(most)),
        _ => None,
    };
    let power = if most == 0.0 { 0.0 } else { ldexp(1.0, exponent(most)).copysign(most) };
    let change = |x: f64| match choice {
        _ if constant.is_some() => constant.unwrap_or(x),
        _ if !x.is_finite() => x,
        // A common offset, which softmax does not see.
        5 => x - most,
        6 => x - least,
        7 => x - common,
        8 => x - power,
        9 => x.abs(),
        10 => -x,
        11 => x / 2.0,
        12 => x.trunc(),
        13 => x.round_ties_even(),
        14 => x.abs().ceil().copysign(x),
        _ => match ROUGH_BITS.get(choice - 15) {
            Some(&bits) => to_bits(x, bits, false),
            None => to_digits(x, ROUGH_DIGITS[choice - 15 - ROUGH_BITS.len()], dtype),
        },
    };
    let special = constant.is_none() && (choice == 7 && !common.is_finite());
    values.iter_mut().for_each(|x| *x = dtype.round(change(*x)));
    !special
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
