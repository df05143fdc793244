//! Tests of the tester: every family reaches the regime that it is named for, in every dtype, within a counted number of rows.

use super::draw::{Draw, key};
use super::solve::{Edge, absorption_gap};
use super::*;
use crate::case::largest_direction;
use crate::dtype::{exponent, ldexp};
use crate::number::Float;
use std::collections::{BTreeMap, BTreeSet, HashSet};

mod extras;
mod regimes;

use regimes::regimes;

/// Rows of each family and dtype that the counts below are of.
const ROWS: u64 = 1000;
/// A short campaign's rows: each regime is met once among them.
const FIRST_ROWS: u64 = 200;
const SEED: u64 = 20_260;
const MAX_LEN: usize = 65_536;

/// Families that may hold NaN or an infinity; all others are finite.
const NOT_FINITE: [&str; 5] = ["masked", "fully_masked", "pos_inf", "nan", "tiny_n"];

/// A regime: what it is, in how many of [`ROWS`] rows it must be met, and how to see it in a row.
type Regime = (String, usize, Box<dyn Fn(&[f64]) -> bool>);

fn regime(what: &str, at_least: usize, holds: impl Fn(&[f64]) -> bool + 'static) -> Regime {
    (what.to_owned(), at_least, Box::new(holds))
}

fn max(row: &[f64]) -> f64 {
    row.iter().copied().fold(f64::NEG_INFINITY, f64::max)
}

fn min(row: &[f64]) -> f64 {
    row.iter().copied().fold(f64::INFINITY, f64::min)
}

fn all_equal(row: &[f64]) -> bool {
    row.iter().all(|&z| z == row[0])
}

fn has(row: &[f64], value: f64) -> bool {
    row.contains(&value)
}

/// The least gap below the maximum, of a row of two at least.
fn lead(row: &[f64]) -> f64 {
    let top = max(row);
    let at = row.iter().position(|&z| z == top).unwrap_or(0);
    top - row.iter().enumerate().filter(|&(i, _)| i != at).map(|(_, &z)| z).fold(f64::NEG_INFINITY, f64::max)
}

/// Whether `a - b` rounds, by the error of the f64 subtraction (Knuth's two-sum) and of the rounding to the dtype.
fn subtraction_rounds(dtype: Dtype, a: f64, b: f64) -> bool {
    let d = a - b;
    let back = d - a;
    let error = (a - (d - back)) + (-b - back);
    error != 0.0 || !dtype.holds(d)
}

/// Lengths of the leading and the trailing run of -inf.
fn mask_ends(row: &[f64]) -> (usize, usize) {
    let masked = |z: &&f64| **z == f64::NEG_INFINITY;
    (row.iter().take_while(masked).count(), row.iter().rev().take_while(masked).count())
}

fn exact_lse(row: &[f64]) -> f64 {
    let mut sum = Float::new(400);
    for &z in row {
        sum += Float::with_val(400, z).exp();
    }
    sum.ln().to_f64()
}

/// The regimes that the rows of a family (number 0 to [`ROWS`]) do not reach often enough, or not once among the first
/// [`FIRST_ROWS`], in words.
fn unmet(regimes: &[Regime], row: impl Fn(u64) -> Vec<f64>) -> Vec<String> {
    let mut met = vec![0; regimes.len()];
    let mut late = Vec::new();
    for index in 0..ROWS {
        if index == FIRST_ROWS {
            let missing = regimes.iter().zip(&met).filter(|(_, count)| **count == 0);
            late = missing.map(|((what, ..), _)| format!("{what}: not in the first {index} rows")).collect();
        }
        let row = row(index);
        for (count, (_, _, holds)) in met.iter_mut().zip(regimes) {
            *count += usize::from(holds(&row));
        }
    }
    let short = regimes.iter().zip(met).filter(|((_, at_least, _), count)| count < at_least);
    late.extend(short.map(|((what, at_least, _), count)| format!("{what}: {count} of {ROWS} rows, not {at_least}")));
    late
}

#[test]
fn every_family_reaches_its_regimes_in_every_dtype() {
    let mut failures = Vec::new();
    for &family in Family::all().iter().filter(|family| !family.is_slow()) {
        for dtype in Dtype::ALL {
            let unmet = unmet(&regimes(family.name(), dtype), |index| {
                let row = row(family, dtype, SEED, index, MAX_LEN);
                assert!(row.iter().all(|&z| dtype.holds(z)), "{family} {dtype} {index}");
                let finite = NOT_FINITE.contains(&family.name()) || row.iter().all(|z| z.is_finite());
                assert!(finite, "{family} {dtype} {index} is not finite");
                assert!(!row.is_empty() || family.name() == "tiny_n");
                row
            });
            failures.extend(unmet.into_iter().map(|what| format!("{family} {dtype}: {what}")));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// The regimes tell families apart: ordinary rows do not pass for any other family's, nor any other's for ordinary.
#[test]
fn ordinary_rows_reach_no_other_familys_regimes() {
    let ordinary: Family = "ordinary".parse().unwrap();
    let short = |family, dtype| move |index| row(family, dtype, SEED, index, 300);
    for &family in Family::all().iter().filter(|&&family| family != ordinary && !family.is_slow()) {
        for dtype in Dtype::ALL {
            assert!(!unmet(&regimes(family.name(), dtype), short(ordinary, dtype)).is_empty(), "{family} {dtype}");
            let nonempty =
                move |index| Some(short(family, dtype)(index)).filter(|row| !row.is_empty()).unwrap_or(vec![9e9]);
            assert!(!unmet(&regimes("ordinary", dtype), nonempty).is_empty(), "{family} {dtype}");
        }
    }
}

/// Every index of every length up to 16 within 150 rows, and every one up to 67 within 2400.
#[test]
fn every_index_is_reached_in_turn() {
    for name in ["spike", "pos_inf", "nan"] {
        let family: Family = name.parse().unwrap();
        // A second special value may hide which was placed; then each of them counts.
        let placed = |row: &[f64], at: usize| match name {
            "spike" => row[at] == max(row) && (row.len() == 1 || lead(row) > 100.0),
            "pos_inf" => row[at] == f64::INFINITY,
            _ => row[at].is_nan(),
        };
        for dtype in Dtype::ALL {
            let mut seen = HashSet::new();
            for index in 0..2400 {
                let row = row(family, dtype, SEED, index, MAX_LEN);
                seen.extend((0..row.len()).filter(|&at| placed(&row, at)).map(|at| (row.len(), at)));
                let longest =
                    [(149, 16), (2399, 67)].into_iter().find(|&(last, _)| last == index).map_or(0, |(_, n)| n);
                for n in 1..=longest {
                    let missing: Vec<usize> = (0..n).filter(|&at| !seen.contains(&(n, at))).collect();
                    assert!(missing.is_empty(), "{name} {dtype}: n = {n} misses {missing:?} after {} rows", index + 1);
                }
            }
        }
    }
}

#[test]
fn lengths_are_where_they_are_promised() {
    let lengths = |name: &str, rows| -> Vec<usize> {
        let family = name.parse().unwrap();
        (0..rows).map(|index| row(family, Dtype::F32, SEED, index, MAX_LEN).len()).collect()
    };
    let fully_masked: BTreeSet<usize> = lengths("fully_masked", 50).into_iter().collect();
    for n in [1, 2, 7, 8, 9, 127, 128, 129, 256] {
        assert!(fully_masked.contains(&n), "{n} logits, fully masked, in 50 rows");
    }
    let long = lengths("long", 1000);
    assert!(long.chunks(50).all(|rows| rows.contains(&4097)));
    let beyond = |rows: &[usize]| rows.iter().filter(|&&n| n > 4097).count();
    assert!(long[200..].chunks(100).all(|rows| beyond(rows) <= 1) && beyond(&long[..200]) == 4);
    let vocabularies = Dtype::PLAIN.into_iter().flat_map(|dtype| {
        let family: Family = "long".parse().unwrap();
        [20, 120].map(|index| row(family, dtype, SEED, index, 1 << 18).len())
    });
    let mut vocabularies: Vec<usize> = vocabularies.filter(|&n| n > 4097).collect();
    vocabularies.sort_unstable();
    assert_eq!(vocabularies, [32_000, 50_257, 100_001, 128_256, 151_936, 262_144]);
    let longest = |dtype| -> Vec<usize> {
        let indices = (0..4).map(|hundred| 100 * hundred + 99);
        indices.map(|index| row("long".parse().unwrap(), dtype, SEED, index, 1 << 17).len()).collect()
    };
    assert_eq!(longest(Dtype::F16), [65520, 65519, 65536, 65504]);
    assert_eq!(longest(Dtype::F32), [65537, 32769, 65535, 1 << 17]);

    let ordinary = lengths("ordinary", 3000);
    let share = |holds: fn(usize) -> bool| ordinary.iter().filter(|&&n| holds(n)).count() as f64 / 3000.0;
    assert!(share(|n| n <= 64) > 0.85, "{}", share(|n| n <= 64));
    assert!((0.02..0.05).contains(&share(|n| n > 512)), "{}", share(|n| n > 512));
    assert!(ordinary.contains(&4096) && ordinary.iter().all(|&n| (1..=4096).contains(&n)));
    for n in (1..=3).chain(7..=9).chain(15..=19).chain([31, 32, 33, 63, 64, 65, 127, 128, 129, 255, 256, 257]) {
        assert!(ordinary.contains(&n), "{n} logits in 3000 rows");
    }
    for n in [1023, 1024, 1025, 2047, 2048, 2049] {
        assert!(lengths("ordinary", 6000).contains(&n), "{n} logits in 6000 rows");
    }
}

/// The slow tier crosses 2^24, where an f32 count stops, and 2^25.
#[test]
fn very_long_rows_are_very_long() {
    let slow: Vec<&str> = Family::all().iter().filter(|family| family.is_slow()).map(|family| family.name()).collect();
    assert_eq!(slow, ["very_long"]);
    let family: Family = "very_long".parse().unwrap();
    for dtype in Dtype::ALL {
        assert_eq!(row(family, dtype, SEED, 0, usize::MAX).len(), (1 << 24) + 1);
        assert_eq!(row(family, dtype, SEED, 1, 1000).len(), 1000);
    }
    let row = row(family, Dtype::F32, SEED, 1, usize::MAX);
    assert_eq!(row.len(), 1 << 25);
    assert!(row.iter().all(|&z| Dtype::F32.holds(z) && z.is_finite()));
}

#[test]
fn max_len_is_honoured_by_every_family() {
    for &family in Family::all() {
        for dtype in Dtype::ALL {
            for max_len in [0, 1, 2, 3, 5, 17, 100] {
                for index in 0..150 {
                    let row = row(family, dtype, SEED, index, max_len);
                    assert!(row.len() <= max_len, "{family} {dtype} {index}: {} logits of {max_len}", row.len());
                    assert!(row.iter().all(|&z| dtype.holds(z)));
                    assert!(max_len == 0 || family.name() == "tiny_n" || !row.is_empty());
                }
            }
        }
    }
}

fn bits(row: &[f64]) -> Vec<u64> {
    row.iter().map(|z| z.to_bits()).collect()
}

#[test]
fn a_row_is_named_by_seed_dtype_family_and_index() {
    for &family in Family::all().iter().filter(|family| !family.is_slow()) {
        let rows =
            |dtype, seed| -> Vec<Vec<u64>> { (0..60).map(|i| bits(&row(family, dtype, seed, i, 300))).collect() };
        let here = rows(Dtype::F32, 1);
        assert_eq!(here, rows(Dtype::F32, 1));
        // All of these rows are the same whatever is drawn, but for their lengths.
        let fixed = family.name() == "fully_masked";
        for (what, other) in [("seed", rows(Dtype::F32, 2)), ("dtype", rows(Dtype::Bf16, 1))] {
            let same = here.iter().zip(&other).filter(|(a, b)| a == b).count();
            assert!(same < if fixed { 40 } else { 20 }, "{family}: {same} of 60 rows are alike under another {what}");
        }
        let distinct: HashSet<_> = here.iter().collect();
        assert!(distinct.len() > if fixed { 20 } else { 45 }, "{family}: {} distinct rows of 60", distinct.len());
        let shared: Arc<[f64]> = row(family, Dtype::F32, 1, 3, 300).into();
        for &op in Op::ALL {
            let text = |index| {
                case(op, Dtype::F32, family.name(), 1, index, shared.clone(), None)
                    .unwrap()
                    .map(|case| case.to_string())
            };
            assert_eq!(text(3), text(3));
        }
    }
}

#[test]
fn no_two_streams_have_the_same_key() {
    let mut keys = HashSet::new();
    let families = Family::all().iter().map(|family| family.name()).chain(["file"]);
    let mut count = 0;
    for family in families {
        for dtype in Dtype::ALL {
            for op in Op::ALL.iter().copied().map(Some).chain([None]) {
                for seed in 0..3 {
                    count += 1;
                    keys.insert(key(seed, dtype, family, op));
                }
            }
        }
    }
    assert_eq!(keys.len(), count);
    // Streams of one key differ by the index.
    let first = |index| Draw::stream(1, Dtype::F32, "bits", None, index).below(u64::MAX);
    assert_eq!((0..1000).map(first).collect::<HashSet<_>>().len(), 1000);
}

/// Rows as they are in this version: if this fails, cases of before are no longer made, and [`VERSION`] must rise.
#[test]
fn rows_of_this_version_are_pinned() {
    let mut hash = 0u64;
    for &family in Family::all().iter().filter(|family| !family.is_slow()) {
        for dtype in Dtype::PLAIN {
            for index in 0..50 {
                let logits: Arc<[f64]> = row(family, dtype, 1, index, 4096).into();
                for op in [Op::CROSS_ENTROPY_GRAD, Op::SOFTMAX_VJP] {
                    let case = case(op, dtype, family.name(), 1, index, logits.clone(), None).unwrap();
                    for byte in case.map(|case| case.encode()).unwrap_or_default() {
                        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
                    }
                }
            }
        }
    }
    assert_eq!((VERSION, format!("{hash:016x}")), (4, "7a5be046a9152ac3".to_owned()));
}

#[test]
fn names_round_trip_and_an_unknown_one_lists_them() {
    let names: BTreeSet<&str> = Family::all().iter().map(|family| family.name()).collect();
    assert_eq!(names.len(), Family::all().len());
    for &family in Family::all() {
        assert_eq!(family.name().parse::<Family>().unwrap(), family);
        assert!(!family.summary().is_empty() && !family.summary().contains('\n'));
        assert_eq!(format!("{family} {family:?}"), format!("{0} Family({0})", family.name()));
    }
    let error = "spikes".parse::<Family>().unwrap_err().to_string();
    assert!(error.contains("`spikes`") && names.iter().all(|name| error.contains(name)), "{error}");
}
