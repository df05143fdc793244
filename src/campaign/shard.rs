//! Shards: parts of a campaign that run apart and merge to the same results, byte for byte.
//!
//! A *unit* is a pair of a dtype and a family, or a range of its rows where there are many. All kernels and ops of a row are in the
//! same unit, so the truth of a case is computed once for all kernels, and one set of exponentials for all ops. What cannot be
//! merged from reports alone (which of two findings came first, by which ratio a point of a curve was chosen, of which sum an
//! error is the mean) stands in a [`Part`] of the shard's results; merging drops it.

use super::finding::distinct;
use super::range::{self, CellName, Joined};
use crate::dtype::Dtype;
use crate::error::{Error, Result};
use crate::op::Op;
use crate::results::{Cell, CellRange, Curve, CurvePart, CurvePoints, Declared, Part, Results, Settings, Shard};
use std::collections::{BTreeMap, BTreeSet};

/// Missing shards that a message names.
const MISSING_SHOWN: usize = 10;

/// Merges the results of all shards of a campaign, each with the name by which messages call it. The merged results are those of
/// the campaign in one piece.
///
/// # Errors
/// One line that names what does not fit: results that are of no shard or of an interrupted run, shards of different campaigns
/// (settings, versions, number of shards), a shard that is missing or there twice, cells or rows that are not the shard's own, and
/// figures that contradict each other.
pub fn merge(shards: Vec<(String, Results)>) -> Result<Results> {
    let parts = read(shards)?;
    let Some(Read { results: first, .. }) = parts.first() else {
        return Err(Error::nothing_selected("there is nothing to merge; name the results of all shards"));
    };
    let (schema, settings, provenance) = (first.schema.clone(), first.settings.clone(), first.provenance.clone());
    let (mut cells, mut failures, mut declared) = (Vec::new(), Vec::new(), Vec::<Declared>::new());
    let mut curves: BTreeMap<(usize, usize, usize), CurvePoints> = BTreeMap::new();
    let mut joined: BTreeMap<CellName, Joined> = BTreeMap::new();
    for Read { name, results, part, mut ranges } in parts {
        for cell in results.cells {
            let key = range::name_of(&cell);
            let Some(range) = ranges.remove(&key) else {
                cells.push(cell);
                continue;
            };
            let both = match joined.remove(&key) {
                None => Some(Joined::new(cell, range)),
                Some(known) => known.add(cell, range),
            };
            let Some(both) = both else { return refuse(&name, too_many(&range::in_words(&key))) };
            joined.insert(key, both);
        }
        for of_shard in results.declared {
            let same = |known: &&mut Declared| known.is_of_same(&of_shard);
            match declared.iter_mut().find(same) {
                Some(known) => known.needed = known.needed.saturating_add(of_shard.needed),
                None => declared.push(of_shard),
            }
        }
        failures.extend(part.failures);
        for CurvePart { kernel, op, dtype, points } in part.curves {
            curves.entry(place(&settings, &kernel, op, dtype)).or_default().merge(points);
        }
    }
    for (key, joined) in joined {
        let whole = joined.into_cell();
        cells.push(whole.ok_or_else(|| Error::usage(too_many(&range::in_words(&key))))?);
    }
    cells.sort_by_cached_key(|cell: &Cell| {
        let family = settings.families.iter().position(|family| *family == cell.family);
        (place(&settings, &cell.kernel, cell.op, cell.dtype), family)
    });
    let findings = distinct(&settings, failures);
    let curve = |((kernel, op, dtype), points): ((usize, usize, usize), CurvePoints)| {
        let (kernel, op, dtype) = (settings.kernels.get(kernel)?, settings.ops.get(op)?, settings.dtypes.get(dtype)?);
        Some(Curve { kernel: kernel.clone(), op: *op, dtype: *dtype, points: points.into_points() })
    };
    let curves = curves.into_iter().filter_map(curve).collect();
    let merged =
        Results { schema, complete: true, settings, provenance, declared, cells, findings, curves, shard: None };
    // Each shard's counts were, which does not go for all of them together.
    merged.check_counts().map_err(|reason| Error::usage(format!("the shards together: {reason}")))?;
    Ok(merged)
}

/// The results of a shard, checked by themselves.
struct Read {
    /// By which messages call it.
    name: String,
    results: Results,
    /// Its own part, without the ranges.
    part: Part,
    ranges: BTreeMap<CellName, CellRange>,
}

fn refuse<T>(name: &str, reason: String) -> Result<T> {
    Err(Error::usage(format!("{name}: {reason}")))
}

fn too_many(cell: &str) -> String {
    format!("the counts of {cell} in all shards do not add up to a number of 64 bits; was a file edited?")
}

/// Holds the results of all shards against each other: they are of one campaign, and all of it.
fn read(shards: Vec<(String, Results)>) -> Result<Vec<Read>> {
    let mut parts: Vec<Read> = Vec::new();
    for (name, mut results) in shards {
        let Some(mut part) = results.shard.take() else {
            return refuse(&name, "these are the results of no shard; merge what ran with --shard K/N".into());
        };
        if !results.complete {
            return refuse(&name, format!("shard {} was interrupted; run it again", part.shard));
        }
        let ranges = match range::checked(&results, &mut part) {
            Ok(ranges) => ranges,
            Err(reason) => return refuse(&name, format!("{reason}; was it edited?")),
        };
        if let Some(Read { name: other, results: first, .. }) = parts.first()
            && let Some(difference) = difference(first, &results)
        {
            return refuse(&name, format!("it is of another campaign than {other}: {difference}"));
        }
        if let Some(other) = parts.iter().find(|known| known.part.shard.of != part.shard.of) {
            return refuse(&name, format!("it is one of {} shards, {} is not", part.shard.of, other.name));
        }
        if let Some(other) = parts.iter().find(|known| known.part.split != part.split) {
            return refuse(
                &name,
                format!("its cells are split into other ranges of rows than those of {}", other.name),
            );
        }
        if let Some(other) = parts.iter().find(|known| known.part.shard == part.shard) {
            return refuse(&name, format!("shard {} is there a second time, first in {}", part.shard, other.name));
        }
        parts.push(Read { name, results, part, ranges });
    }
    let Some(Read { name, part, .. }) = parts.first() else { return Ok(parts) };
    let present: BTreeSet<usize> = parts.iter().map(|read| read.part.shard.number).collect();
    let of = part.shard.of;
    let missing: Vec<usize> = (1..=of).filter(|number| !present.contains(number)).collect();
    if !missing.is_empty() {
        let named = missing.iter().take(MISSING_SHOWN).map(|&number| Shard { number, of }.to_string());
        let mut named = named.collect::<Vec<_>>().join(", ");
        if missing.len() > MISSING_SHOWN {
            named += &format!(" and {} more", missing.len() - MISSING_SHOWN);
        }
        return refuse(name, format!("shards are missing beside it: {named}"));
    }
    if let Some((name, reason)) = missing_range(&parts) {
        return refuse(name, reason);
    }
    Ok(parts)
}

/// The first shard without the rows of a cell that are its own, and that others have rows of.
fn missing_range(parts: &[Read]) -> Option<(&str, String)> {
    let all: BTreeSet<&CellName> = parts.iter().flat_map(|read| read.ranges.keys()).collect();
    parts.iter().find_map(|Read { name, results, part, ranges }| {
        let shares = part.shares(&results.settings);
        let missing = all.iter().filter(|key| !ranges.contains_key(**key)).find_map(|key| {
            let own = part.owned(&results.settings, &shares, key.2.name(), &key.3)?;
            let cell = range::in_words(key);
            Some(format!("it has no cell {cell}, of which rows {}..{} are its own; was it edited?", own.start, own.end))
        });
        missing.map(|reason| (name.as_str(), reason))
    })
}

/// The indices of kernel, op and dtype in the settings; past the end for what is not there.
fn place(settings: &Settings, kernel: &str, op: Op, dtype: Dtype) -> (usize, usize, usize) {
    let end = usize::MAX;
    (
        settings.kernels.iter().position(|known| known == kernel).unwrap_or(end),
        settings.ops.iter().position(|known| *known == op).unwrap_or(end),
        settings.dtypes.iter().position(|known| *known == dtype).unwrap_or(end),
    )
}

/// In what two results are of different campaigns, if they are.
fn difference(one: &Results, other: &Results) -> Option<String> {
    let (a, b) = (&one.provenance, &other.provenance);
    let (s, t) = (&one.settings, &other.settings);
    let text = |text: &Option<String>| text.clone().unwrap_or_else(|| "none".into());
    let pairs = [
        ("logitfuzz", a.logitfuzz.clone(), b.logitfuzz.clone()),
        ("generators version", a.generators.to_string(), b.generators.to_string()),
        ("numbers", a.numbers(), b.numbers()),
        ("seed", s.seed.to_string(), t.seed.to_string()),
        ("cases", s.cases.to_string(), t.cases.to_string()),
        ("max-len", s.max_len.to_string(), t.max_len.to_string()),
        ("kernels", s.kernels.join(","), t.kernels.join(",")),
        ("special", text(&s.special), text(&t.special)),
        ("claims", text(&s.claims), text(&t.claims)),
    ];
    let differs = pairs.iter().find(|(_, a, b)| a != b).map(|(what, a, b)| format!("{what} {b}, not {a}"));
    differs.or_else(|| (s != t).then(|| "other ops, dtypes, families or rows".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::Shard;

    #[test]
    fn text() {
        assert_eq!("2/3".parse::<Shard>().unwrap(), Shard { number: 2, of: 3 });
        for wrong in ["", "1", "0/3", "4/3", "1/0", "a/b", "-1/3", "1/3/5", "1/99999999999999999999"] {
            assert!(wrong.parse::<Shard>().is_err(), "{wrong}");
        }
    }

    /// A share of 0 divided by zero, one of 2^64 was counted through.
    #[test]
    fn a_share_in_a_file_is_one() {
        let read = |number: u64, of: u64| {
            serde_json::from_value::<Shard>(serde_json::json!({"number": number, "of": of})).map_err(|e| e.to_string())
        };
        assert_eq!(read(2, 3), Ok(Shard { number: 2, of: 3 }));
        for (number, of) in [(0, 0), (1, 0), (0, 2), (3, 2), (1, u64::MAX), (u64::MAX, u64::MAX), (1, 10_001)] {
            assert!(read(number, of).unwrap_err().contains("is no shard"), "{number}/{of}");
        }
    }
}
