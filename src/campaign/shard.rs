//! Shards: parts of a campaign that run apart and merge to the same results, byte for byte.
//!
//! A *unit* is a pair of a dtype and a family. A shard owns whole units, so it owns whole cells, computes the truth of a case once
//! for all kernels, and one set of exponentials for all ops. What cannot be merged from reports alone (which of two findings came
//! first, by which ratio a point of a curve was chosen) stands in a [`Part`] of the shard's results; merging drops it.

use super::finding::distinct;
use crate::dtype::Dtype;
use crate::error::{Error, Result};
use crate::op::Op;
use crate::results::{Cell, Curve, CurvePart, CurvePoints, Declared, Part, Results, Settings, Shard};
use std::collections::{BTreeMap, BTreeSet};

/// Missing shards that a message names.
const MISSING_SHOWN: usize = 10;

/// Merges the results of all shards of a campaign, each with the name by which messages call it. The merged results are those of
/// the campaign in one piece.
///
/// # Errors
/// One line that names what does not fit: results that are of no shard or of an interrupted run, shards of different campaigns
/// (settings, versions, number of shards), a shard that is missing or there twice, cells that are not the shard's own.
pub fn merge(shards: Vec<(String, Results)>) -> Result<Results> {
    let refuse = |name: &str, reason: String| Err(Error::usage(format!("{name}: {reason}")));
    let mut parts: Vec<(String, Results, Part)> = Vec::new();
    for (name, mut results) in shards {
        let Some(part) = results.shard.take() else {
            return refuse(&name, "these are the results of no shard; merge what ran with --shard K/N".into());
        };
        if !results.complete {
            return refuse(&name, format!("shard {} was interrupted; run it again", part.shard));
        }
        if let Some(cell) =
            results.cells.iter().find(|cell| !part.owns(&results.settings, cell.dtype.name(), &cell.family))
        {
            return refuse(
                &name,
                format!("its cell {} {} is not of shard {}; was it edited?", cell.dtype, cell.family, part.shard),
            );
        }
        if let Some((other, first, _)) = parts.first()
            && let Some(difference) = difference(first, &results)
        {
            return refuse(&name, format!("it is of another campaign than {other}: {difference}"));
        }
        if let Some((other, ..)) = parts.iter().find(|(.., known)| known.shard.of != part.shard.of) {
            return refuse(&name, format!("it is one of {} shards, {other} is not", part.shard.of));
        }
        if let Some((other, ..)) = parts.iter().find(|(.., known)| known.shard == part.shard) {
            return refuse(&name, format!("shard {} is there a second time, first in {other}", part.shard));
        }
        parts.push((name, results, part));
    }
    let Some((name, first, part)) = parts.first() else {
        return Err(Error::nothing_selected("there is nothing to merge; name the results of all shards"));
    };
    let present: BTreeSet<usize> = parts.iter().map(|(.., part)| part.shard.number).collect();
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
    let (schema, settings, provenance) = (first.schema.clone(), first.settings.clone(), first.provenance.clone());
    let (mut cells, mut failures, mut declared) = (Vec::new(), Vec::new(), Vec::<Declared>::new());
    let mut curves: BTreeMap<(usize, usize, usize), CurvePoints> = BTreeMap::new();
    for (_, results, part) in parts {
        cells.extend(results.cells);
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
    Ok(Results { schema, complete: true, settings, provenance, declared, cells, findings, curves, shard: None })
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
        ("MPFR", a.mpfr.clone(), b.mpfr.clone()),
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
    fn shares_are_even_and_each_unit_has_one_owner() {
        for units in [1, 2, 21, 88, 100] {
            for of in 1..=units {
                let mut counts = vec![0; of];
                for unit in 0..units {
                    let owners: Vec<usize> = (1..=of).filter(|&number| Shard { number, of }.owns(unit)).collect();
                    assert_eq!(owners.len(), 1, "{unit} of {units}");
                    counts[owners[0] - 1] += 1;
                }
                let (least, most) = (counts.iter().min().unwrap(), counts.iter().max().unwrap());
                assert!(*least > 0 && most - least <= 1, "{units} units, {of} shards: {counts:?}");
            }
        }
    }

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
