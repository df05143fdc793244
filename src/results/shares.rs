//! How the rows of a campaign are shared: what is one unit of it, and which shard has which.
//!
//! A unit is a pair of a dtype and a family, or, where a family has many rows, a range of them. Units are numbered, ranges first,
//! and go round the shards. Ranges go round in one order, so those of one pair are of different shards: no shard has two ranges
//! of a cell. What is whole goes round each time from the next shard on: neither the same family nor the same dtype always falls
//! to the same shard, since some cost far more than others.

use super::Shard;
use crate::error::{Error, Result};
use std::collections::BTreeMap;
use std::ops::Range;

/// The fewest rows of a range, so a pair with less than twice as many is not split. It is some seconds of work at most on quick
/// rows, and far above the cases of a quick run: its shards own whole cells, which are easier to read.
pub(crate) const LEAST_RANGE: u64 = 1024;

/// How many ranges so many rows are split into among so many shards; 1 if they stay whole.
pub(crate) fn ranges(rows: u64, of: usize) -> u64 {
    (rows / LEAST_RANGE).min(of as u64).max(1)
}

/// How the rows of a campaign are shared.
pub(crate) struct Shares {
    of: u64,
    dtypes: u64,
    /// For each family the number of its ranges, and that of the units of its kind (ranges, or pairs that stay whole) in one
    /// dtype before it.
    families: Vec<(u64, u64)>,
    /// Ranges, and pairs that stay whole, in one dtype.
    in_dtype: [u64; 2],
}

impl Shares {
    /// The shares of these families in so many dtypes; `split` has the rows of those that are split, by their names.
    pub fn new<'a>(
        of: usize,
        dtypes: usize,
        families: impl Iterator<Item = &'a str>,
        split: &BTreeMap<String, u64>,
    ) -> Self {
        let mut in_dtype = [0, 0];
        let family = |name: &str| {
            let ranges = split.get(name).map_or(1, |&rows| ranges(rows, of));
            let kind = &mut in_dtype[usize::from(ranges == 1)];
            let before = *kind;
            *kind += ranges;
            (ranges, before)
        };
        let families = families.map(family).collect();
        Self { of: of.max(1) as u64, dtypes: dtypes as u64, families, in_dtype }
    }

    /// The rows of a family in a dtype, both as indices, that are of this shard, of `rows` in all; none if the pair is of others.
    pub fn owned(&self, shard: Shard, dtype: usize, family: usize, rows: u64) -> Option<Range<u64>> {
        let &(ranges, before) = self.families.get(family)?;
        let (dtype, number) = (dtype as u64, (shard.number as u64).checked_sub(1)?);
        if ranges == 1 {
            let unit = self.ranges() + dtype * self.in_dtype[1] + before;
            return (self.owner(unit) == number).then_some(0..rows);
        }
        // The units of the pair go to the owner of the first and those after it.
        let first = self.owner(dtype * self.in_dtype[0] + before);
        let range = (number + self.of - first) % self.of;
        let start = |range: u64| (u128::from(rows) * u128::from(range) / u128::from(ranges)) as u64;
        (range < ranges).then(|| start(range)..start(range + 1))
    }

    /// Refuses more shards than units: some would have nothing to do, and pass for it.
    pub fn check(&self, shard: Shard) -> Result<()> {
        let units = self.ranges() + self.dtypes * self.in_dtype[1];
        if self.of <= units {
            return Ok(());
        }
        let split = match self.in_dtype[0] {
            0 => String::new(),
            _ => format!(" (or ranges of at least {LEAST_RANGE} of their rows)"),
        };
        Err(Error::usage(format!(
            "--shard {shard}: only {units} pairs of a dtype and a family{split} are selected; share them among {units} or fewer"
        )))
    }

    /// Ranges of all dtypes.
    fn ranges(&self) -> u64 {
        self.dtypes * self.in_dtype[0]
    }

    /// The shard, counted from 0, of a unit. Each run of as many units as there are shards goes round once.
    fn owner(&self, unit: u64) -> u64 {
        let shift = (unit / self.of).saturating_sub(self.ranges() / self.of);
        (unit % self.of + shift) % self.of
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shares(of: usize, dtypes: usize, rows: &[u64]) -> Shares {
        let names: Vec<String> = (0..rows.len()).map(|family| format!("f{family}")).collect();
        let split = names.iter().cloned().zip(rows.iter().copied()).collect();
        Shares::new(of, dtypes, names.iter().map(String::as_str), &split)
    }

    #[test]
    fn shares_are_even_and_each_unit_has_one_owner() {
        for units in [1, 2, 21, 88, 100] {
            for of in 1..=units {
                let shares = shares(of, 1, &vec![1; units]);
                let mut counts = vec![0; of];
                for unit in 0..units {
                    let owners: Vec<usize> = (1..=of)
                        .filter(|&number| shares.owned(Shard { number, of }, 0, unit, 1) == Some(0..1))
                        .collect();
                    assert_eq!(owners.len(), 1, "{unit} of {units}");
                    counts[owners[0] - 1] += 1;
                }
                let (least, most) = (counts.iter().min().unwrap(), counts.iter().max().unwrap());
                assert!(*least > 0 && most - least <= 1, "{units} units, {of} shards: {counts:?}");
            }
        }
    }

    /// Families of all sizes: ranges cover every row once, one of them a shard at most, and no shard has two units more than another.
    #[test]
    fn ranges_cover_every_row_once() {
        const MANY: u64 = 20 * LEAST_RANGE + 7;
        let rows = [3, MANY, 2 * LEAST_RANGE - 1, 2 * LEAST_RANGE, 0, 3 * LEAST_RANGE + 1, u64::MAX];
        for (of, dtypes) in (1..=23).flat_map(|of| [(of, 1), (of, 3), (of, 4)]) {
            let shares = shares(of, dtypes, &rows);
            let mut counts = vec![0u64; of];
            for (dtype, family) in (0..dtypes).flat_map(|dtype| (0..rows.len()).map(move |family| (dtype, family))) {
                let (total, split) = (rows[family], ranges(rows[family], of));
                let owned = (1..=of).map(|number| shares.owned(Shard { number, of }, dtype, family, total));
                let mut found = Vec::new();
                for (count, range) in counts.iter_mut().zip(owned) {
                    *count += u64::from(range.is_some());
                    found.extend(range);
                }
                found.sort_by_key(|range| range.start);
                assert_eq!((found.len() as u64, found[0].start, found[found.len() - 1].end), (split, 0, total));
                assert!(found.windows(2).all(|pair| pair[0].end == pair[1].start), "{found:?}");
                assert!(split == 1 || found.iter().all(|range| range.end - range.start >= LEAST_RANGE), "{found:?}");
            }
            let (least, most) = (counts.iter().min().unwrap(), counts.iter().max().unwrap());
            assert!(most - least <= 1, "{of} shards of {dtypes} dtypes: {counts:?}");
            let first = Shard { number: 1, of };
            assert_eq!(shares.check(first).is_ok(), *least > 0, "{of} shards of {dtypes} dtypes: {counts:?}");
        }
    }
}
