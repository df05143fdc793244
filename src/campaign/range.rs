//! Cells of which several shards have a range of rows each: what a shard says of them is checked, and put together.
//!
//! Counts are added and the larger of two extremes is kept, as within one run. What a cell does not show stands beside it in a
//! [`CellRange`]: the sum behind the mean signed error, and the ratio and the row by which the worst case was chosen.

use crate::dtype::Dtype;
use crate::generate::file::FILE_FAMILY;
use crate::judge::mean_of_fixed_point;
use crate::op::Op;
use crate::results::{Cell, CellRange, FileRows, Part, Results, Settings, ranges, sum};
use std::collections::{BTreeMap, BTreeSet};

/// What names a cell, as results do.
pub(super) type CellName = (String, Op, Dtype, String);

/// The name of a cell.
pub(super) fn name_of(cell: &Cell) -> CellName {
    (cell.kernel.clone(), cell.op, cell.dtype, cell.family.clone())
}

/// The same for a message.
pub(super) fn in_words((kernel, op, dtype, family): &CellName) -> String {
    format!("{kernel} {op} {dtype} {family}")
}

/// Takes the ranges out of a shard's results, by the names of their cells, once all that the shard says of its cells fits together.
/// The error is the reason.
pub(super) fn checked(results: &Results, part: &mut Part) -> Result<BTreeMap<CellName, CellRange>, String> {
    let (settings, shard) = (&results.settings, part.shard);
    check_split(settings, part)?;
    let shares = part.shares(settings);
    let mut found = BTreeMap::new();
    for range in std::mem::take(&mut part.ranges) {
        let name = (range.kernel.clone(), range.op, range.dtype, range.family.clone());
        if found.insert(name.clone(), range).is_some() {
            return Err(format!("the range of {} is there twice", in_words(&name)));
        }
    }
    let mut cells = BTreeSet::new();
    for cell in &results.cells {
        let Some(own) = part.owned(settings, &shares, cell.dtype.name(), &cell.family) else {
            return Err(format!("its cell {} {} is not of shard {shard}", cell.dtype, cell.family));
        };
        let name = name_of(cell);
        if !part.is_split(&cell.family) {
            if found.contains_key(&name) {
                return Err(format!("{} has a range, and its family is not split", in_words(&name)));
            }
        } else {
            let Some(range) = found.get(&name) else {
                return Err(format!("of which rows {} is, is not said", in_words(&name)));
            };
            if (range.from, range.until) != (own.start, own.end) {
                return Err(format!(
                    "rows {}..{} of {} are not those of shard {shard}, which are {}..{}",
                    range.from,
                    range.until,
                    in_words(&name),
                    own.start,
                    own.end
                ));
            }
            if let Some(contradiction) = contradiction(cell, range) {
                return Err(format!("the figures of {} contradict each other: {contradiction}", in_words(&name)));
            }
        }
        if let Some(twice) = cells.replace(name) {
            return Err(format!("its cell {} is there twice", in_words(&twice)));
        }
    }
    if let Some(lone) = found.keys().find(|name| !cells.contains(*name)) {
        return Err(format!("there is a range of {}, and no such cell", in_words(lone)));
    }
    let split = part.failures.iter().map(|kept| &kept.finding).filter(|finding| part.is_split(&finding.family));
    for finding in split {
        let own = part.owned(settings, &shares, finding.dtype.name(), &finding.family);
        if !own.is_some_and(|own| own.contains(&finding.case_index)) {
            return Err(format!(
                "its failure in row {} of {} {} is not of shard {shard}",
                finding.case_index, finding.dtype, finding.family
            ));
        }
    }
    Ok(found)
}

/// Refuses families that are not split so: among so many shards, or with so many rows.
fn check_split(settings: &Settings, part: &Part) -> Result<(), String> {
    for (family, &rows) in &part.split {
        let is_known = settings.families.contains(family);
        let is_of_file = match &settings.file {
            Some(FileRows { rows: of_file, .. }) if family == FILE_FAMILY => *of_file as u64 == rows,
            _ => true,
        };
        if !is_known || !is_of_file || ranges(rows, part.shard.of) == 1 {
            return Err(format!("{rows} rows of {family} are not split among {} shards", part.shard.of));
        }
    }
    Ok(())
}

/// What does not fit together in what a shard says of its rows of a cell, if something does not.
fn contradiction(cell: &Cell, range: &CellRange) -> Option<&'static str> {
    let failing = cell.verdicts.iter().any(|(verdict, &count)| verdict.is_failure() && count > 0);
    let is_own = |index: u64| (range.from..range.until).contains(&index);
    let Some(measured) = sum(&cell.ulp_histogram) else { return Some("its histogram") };
    let rules = [
        (
            "more cases than rows",
            cell.cases.checked_add(cell.not_run).is_some_and(|all| all <= range.until - range.from),
        ),
        ("cases and verdicts", sum(cell.verdicts.values()) == Some(cell.cases)),
        ("the first failing case", cell.first_failing.is_some() == failing && cell.first_failing.is_none_or(is_own)),
        ("the mean error and its sum", mean_of_fixed_point(range.signed_sum, measured) == cell.mean_signed_ulp),
        (
            "the worst case",
            cell.worst.is_some() == range.worst.is_some()
                && range
                    .worst
                    .is_none_or(|worst| worst.ratio > 0.0 && worst.ratio <= cell.max_ratio && is_own(worst.index)),
        ),
    ];
    rules.iter().find(|(_, holds)| !holds).map(|(what, _)| *what)
}

/// A cell of the shards so far, and what it does not show.
pub(super) struct Joined {
    cell: Cell,
    range: CellRange,
}

impl Joined {
    /// The rows of the first shard.
    pub fn new(cell: Cell, range: CellRange) -> Self {
        Self { cell, range }
    }

    /// Adds the rows of another shard; none if a count does not fit its bits any more.
    pub fn add(self, cell: Cell, range: CellRange) -> Option<Self> {
        let Self { cell: mut all, range: mut known } = self;
        all.cases = all.cases.checked_add(cell.cases)?;
        all.not_run = all.not_run.checked_add(cell.not_run)?;
        all.outputs = all.outputs.checked_add(cell.outputs)?;
        add_each(&mut all.verdicts, cell.verdicts)?;
        add_each(&mut all.grades, cell.grades)?;
        all.first_failing = all.first_failing.into_iter().chain(cell.first_failing).min();
        all.max_ulp = all.max_ulp.max(cell.max_ulp);
        all.max_ratio = all.max_ratio.max(cell.max_ratio);
        all.max_strict_ratio = all.max_strict_ratio.max(cell.max_strict_ratio);
        if all.ulp_histogram.len() < cell.ulp_histogram.len() {
            all.ulp_histogram.resize(cell.ulp_histogram.len(), 0);
        }
        for (count, other) in all.ulp_histogram.iter_mut().zip(&cell.ulp_histogram) {
            *count = count.checked_add(*other)?;
        }
        known.signed_sum = known.signed_sum.checked_add(range.signed_sum)?;
        // Of equal ratios the first row counts.
        let is_worse = range.worst.is_some_and(|new| {
            known.worst.is_none_or(|old| new.ratio > old.ratio || (new.ratio == old.ratio && new.index < old.index))
        });
        if is_worse {
            (all.worst, known.worst) = (cell.worst, range.worst);
        }
        Some(Self { cell: all, range: known })
    }

    /// The cell of all rows; none if its counts do not add up.
    pub fn into_cell(self) -> Option<Cell> {
        let Self { mut cell, range } = self;
        let measured = sum(&cell.ulp_histogram)?;
        cell.mean_signed_ulp = mean_of_fixed_point(range.signed_sum, measured);
        Some(cell)
    }
}

fn add_each<K: Ord>(counts: &mut BTreeMap<K, u64>, others: BTreeMap<K, u64>) -> Option<()> {
    for (key, other) in others {
        let count = counts.entry(key).or_default();
        *count = count.checked_add(other)?;
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::{Grade, Verdict};
    use crate::results::WorstCase;

    fn rows(index: u64, ratio: f64, signed_sum: i128, histogram: Vec<u64>) -> Joined {
        let cases = histogram.iter().sum();
        let (kernel, op, dtype, family) = ("naive".to_owned(), Op::SOFTMAX, Dtype::F32, "ties".to_owned());
        let range = CellRange {
            kernel: kernel.clone(),
            op,
            dtype,
            family: family.clone(),
            from: index,
            until: index + cases,
            signed_sum,
            worst: Some(WorstCase { ratio, index }),
        };
        let cell = Cell {
            kernel,
            op,
            dtype,
            family,
            cases,
            not_run: 0,
            outputs: cases,
            verdicts: BTreeMap::from([(Verdict::Pass, cases)]),
            first_failing: Some(index),
            grades: BTreeMap::from([(Grade::Tight, cases)]),
            max_ulp: ratio,
            max_ratio: ratio,
            max_strict_ratio: 0.0,
            mean_signed_ulp: 0.0,
            ulp_histogram: histogram,
            worst: Some(format!("row {index}")),
        };
        Joined { cell, range }
    }

    #[test]
    fn rows_of_shards_join_in_any_order() {
        let parts =
            || [rows(9, 0.5, 3 << 10, vec![2, 1]), rows(4, 0.5, -1 << 10, vec![1]), rows(20, 0.25, 0, vec![0, 0, 2])];
        for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0]] {
            let mut parts = parts().map(Some);
            let mut next = order.iter().map(|&place: &usize| parts[place].take().unwrap());
            let first = next.next().unwrap();
            let whole = next.try_fold(first, |all, Joined { cell, range }| all.add(cell, range)).unwrap();
            let cell = whole.into_cell().unwrap();
            assert_eq!((cell.cases, &cell.ulp_histogram[..]), (6, &[3, 1, 2][..]));
            assert_eq!((cell.first_failing, cell.max_ratio, cell.mean_signed_ulp), (Some(4), 0.5, 2.0 / 6.0));
            assert_eq!(cell.worst.as_deref(), Some("row 4"), "of equal ratios the first row");
        }
    }

    #[test]
    fn counts_that_do_not_fit_are_none() {
        let big = || rows(0, 0.5, 0, vec![u64::MAX]);
        let Joined { cell, range } = rows(0, 0.5, 0, vec![1]);
        assert!(big().add(cell.clone(), range.clone()).is_none());
        let mut few = big();
        (few.cell.cases, few.cell.outputs) = (1, 1);
        few.cell.verdicts.clear();
        few.cell.grades.clear();
        assert!(few.add(cell.clone(), range.clone()).is_none(), "the histogram");
        let mut far = rows(0, 0.5, i128::MAX, vec![1]);
        assert!(far.into_cell().is_some());
        far = rows(0, 0.5, i128::MAX, vec![1]);
        assert!(far.add(cell, CellRange { signed_sum: 1, ..range }).is_none(), "the sum");
    }
}
