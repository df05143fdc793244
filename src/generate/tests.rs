//! Tests of the tester: every family reaches the regime that it is named for, in every dtype, within a counted number of rows.

use super::draw::{Draw, key};
use super::solve::{Edge, absorption_gap};
use super::*;
use crate::case::largest_direction;
use crate::dtype::{exponent, ldexp};
use crate::number::Float;
use std::collections::{BTreeMap, BTreeSet, HashSet};

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

/// The regimes of a family in a dtype. A family that is missing here fails the test.
fn regimes(name: &str, dtype: Dtype) -> Vec<Regime> {
    let format = dtype.format();
    let wider = dtype.accumulator().format();
    let (largest, least) = (format.largest(), format.least());
    let zero = -Edge::Zero.of(wider);
    let exponents = move |row: &[f64]| {
        let used: Vec<i32> = row.iter().filter(|z| **z != 0.0).map(|&z| exponent(z)).collect();
        used.iter().max().copied().unwrap_or(0) - used.iter().min().copied().unwrap_or(0)
    };
    let range = format.emax - format.emin;
    match name {
        "ordinary" => vec![
            regime("about 1", 150, |row| row.len() > 8 && (1.0..6.0).contains(&max(row))),
            regime("about 100", 150, |row| row.len() > 8 && (60.0..600.0).contains(&max(row))),
            regime("small", 150, |row| max(row).abs().max(min(row).abs()) < 0.01),
        ],
        "wide" => vec![
            regime("spans most exponents", 250, move |row| exponents(row) > range * 3 / 4),
            regime("mass is shared", 100, |row| row.len() > 2 && lead(row) < 2.0 && max(row).abs() > 1e-3),
        ],
        "bits" => vec![
            regime("spans most exponents", 400, move |row| exponents(row) > range * 3 / 4),
            regime("huge", 400, move |row| exponent(max(row)) > format.emax / 2),
        ],
        "thresholds" => {
            let mut regimes = Vec::new();
            for used in [format, wider] {
                for edge in Edge::ALL {
                    let at = dtype.round(edge.of(used));
                    let near = move |x: f64| format.ordinal(x).abs_diff(format.ordinal(at)) <= 3;
                    let what = format!("logits at {edge:?} of {} bits", used.precision);
                    regimes.push(regime(&what, 10, move |row| row.iter().any(|&z| near(z))));
                    let above = move |x: f64| format.ordinal(x) == format.ordinal(at) + 1;
                    regimes.push(regime(&what, 2, move |row| row.iter().any(|&z| above(z))));
                    let ulp = ldexp(1.0, format.ulp_exponent(exponent(at)));
                    let what = format!("gaps at {edge:?} of {} bits", used.precision);
                    regimes.push(regime(&what, 10, move |row| {
                        let top = max(row);
                        row.len() > 1 && row.iter().any(|&z| z != top && ((top - z) - at.abs()).abs() <= 8.0 * ulp)
                    }));
                }
            }
            let edge = Edge::Overflow.of(wider);
            regimes.push(regime("sum overflows, no term does", 20, move |row| {
                max(row) < edge && max(row) + (row.len() as f64).ln() > edge - 0.01 && row.len() > 1
            }));
            let unit = format.unit_roundoff();
            regimes.push(regime("sum of weights at a power of two", 20, move |row| {
                let top = max(row);
                let sum = exact_lse(&row.iter().map(|z| z - top).collect::<Vec<f64>>()).exp();
                let power = sum.log2().round();
                let sum_is_near = (sum / power.exp2() - 1.0).abs() <= 8.0 * unit.max(1e-15);
                row.len() > 2 && power >= 1.0 && sum_is_near && !all_equal(row)
            }));
            regimes.push(regime("ladder", 60, move |row| {
                let rungs = row.iter().filter(|&&z| (0.75 * zero..1.07 * zero).contains(&-z)).count();
                row.len() > 8 && rungs > row.len() / 2 && lead(row) > 0.5 * zero && !all_equal(&row[..row.len() - 1])
            }));
            regimes
        }
        "offset" => vec![
            regime("common offset", 250, |row| min(row).abs().min(max(row).abs()) > 60.0 && max(row) - min(row) < 20.0),
            regime("offset above 1e4", 140, |row| min(row).abs().min(max(row).abs()) > 1e4),
            regime("shift rounds", 150, move |row| row.iter().any(|&z| subtraction_rounds(dtype, z, max(row)))),
            regime("shift rounds in the accumulator", 50, move |row| {
                row.iter().any(|&z| max(row) < 256.0 && subtraction_rounds(dtype.accumulator(), z, max(row)))
            }),
        ],
        "ties" => vec![
            regime("all equal", 200, |row| row.len() > 1 && all_equal(row)),
            regime("ties at the maximum", 500, |row| row.len() > 1 && lead(row) == 0.0),
            regime("few distinct", 100, |row| {
                row.len() > 8 && !all_equal(row) && row.iter().map(|z| z.to_bits()).collect::<HashSet<_>>().len() <= 4
            }),
            regime("past 256 equal", 100, |row| row.len() >= 257 && all_equal(row)),
            regime("past 2048 equal", 50, |row| row.len() >= 2049 && all_equal(row)),
        ],
        "dominant" => {
            let gap = absorption_gap(format);
            let near = move |row: &[f64], at: f64| row.len() > 1 && (lead(row) - at).abs() < 3.0;
            vec![
                regime("about -log u", 100, move |row| near(row, gap)),
                regime("about -2 log u", 80, move |row| near(row, 2.0 * gap)),
                regime("about -log u of the accumulator", 100, move |row| near(row, absorption_gap(wider))),
                regime("at the first", 20, |row| row.len() > 4 && row[0] == max(row)),
                regime("at the last", 20, |row| row.len() > 4 && row[row.len() - 1] == max(row)),
            ]
        }
        "confident_wrong" => {
            let gap = |row: &[f64]| max(row) - min(row);
            vec![
                regime("wrong", 950, move |row| gap(row) > 14.0),
                regime("64.5", 40, move |row| (gap(row) - 64.5).abs() < 1.0),
                regime("168", 40, move |row| (gap(row) - 168.0).abs() < 1.0),
                regime("beyond exp", 300, move |row| gap(row) > zero),
            ]
        }
        "cancellation" => {
            let small = move |row: &[f64], ulps: f64| {
                let unit = ldexp(1.0, format.ulp_exponent(exponent(min(row).abs().max(least))));
                (2..200).contains(&row.len()) && exact_lse(row).abs() <= ulps * unit
            };
            vec![
                regime("logsumexp within 4 ulps of its largest term", 350, move |row| small(row, 4.0)),
                regime("logsumexp within an ulp squared", 50, move |row| {
                    small(row, 4.0 * ldexp(1.0, -(format.precision as i32)))
                }),
                regime("p near 1", 40, |row| (2..200).contains(&row.len()) && (max(row) - exact_lse(row)).exp() > 0.98),
            ]
        }
        "all_negative" => {
            let mut regimes = vec![regime("all negative", 1000, |row| max(row) <= -20.0)];
            for level in [20.0, 110.0, 170.0, 800.0, 2e4, 2.45e5, 1e30, 1e300] {
                if level < largest {
                    regimes.push(regime(&format!("near -{level}"), 80, move |row| {
                        (level * 0.99..level * 1.01 + 20.0).contains(&-max(row))
                    }));
                }
            }
            regimes.push(regime("most negative", 80, move |row| all_equal(row) && row[0] == -largest));
            regimes
        }
        "spike" => vec![
            regime("beyond the accumulator's exp", 900, move |row| row.len() == 1 || lead(row) > zero),
            regime("beyond 1.9 times that", 250, move |row| row.len() == 1 || lead(row) > 1.9 * zero),
            regime("far below", 45, move |row| {
                let rest = row.iter().copied().filter(|&z| z != min(row)).fold(f64::INFINITY, f64::min);
                rest.is_finite() && rest - min(row) > zero && max(row) < 10.0
            }),
        ],
        "staircase" => {
            let steps = |row: &[f64], holds: fn(f64) -> bool| row.windows(2).filter(|w| holds(w[1] - w[0])).count();
            let mut regimes = vec![
                regime("rises beyond exp", 250, move |row| steps(row, |d| d > 88.0) > 1),
                regime("falls beyond exp", 250, move |row| steps(row, |d| d < -88.0) > 1),
                regime("only rises", 80, move |row| {
                    steps(row, |d| d > 88.0) > 1 && steps(row, |d| d < 0.0) * 8 <= row.len() && row[1] >= row[0]
                }),
                regime("zig-zag", 100, move |row| steps(row, |d| d > 88.0) > 1 && steps(row, |d| d < -88.0) > 1),
                regime("small steps", 200, move |row| {
                    steps(row, |d| d != 0.0) > 1 && steps(row, |d| d.abs() > 0.0 && d.abs() <= 1.0) > 1
                }),
            ];
            for block in [1, 4, 8, 16, 32, 128] {
                regimes.push(regime(&format!("blocks of {block}"), 60, move |row| {
                    row.len() > 2 * block && row[0] == row[block - 1] && row[block - 1] != row[block]
                }));
            }
            regimes
        }
        "sorted" => vec![
            regime("ascending", 300, |row| row.is_sorted()),
            regime("descending", 300, |row| row.is_sorted_by(|a, b| a >= b)),
            regime("long", 30, |row| row.len() > 64),
        ],
        "long" => {
            let mut regimes = vec![
                regime("4097", 20, |row| row.len() == 4097),
                regime("above 4097", 10, |row| row.len() > 4097),
                regime("all equal", 200, |row| row.len() > 6 && all_equal(row)),
            ];
            for block in [8, 16, 32, 64, 128, 256, 512, 1024] {
                regimes.push(regime(&format!("one above {block}"), 15, move |row| row.len() % block == 1));
                regimes.push(regime(&format!("one below {block}"), 15, move |row| row.len() % block == block - 1));
            }
            if dtype == Dtype::F16 {
                // The counts take turns, one in 100 rows: the first 200 rows have the one that overflows.
                regimes.push(regime("65520", 2, |row| row.len() == 65520));
                regimes.push(regime("65519", 2, |row| row.len() == 65519));
            }
            regimes
        }
        "masked" => {
            let mut regimes = vec![
                regime("masked, not fully", 950, |row| has(row, f64::NEG_INFINITY) && max(row).is_finite()),
                regime("single mask inside", 15, |row| {
                    row.len() > 2 && mask_ends(row) == (0, 0) && row.iter().filter(|z| z.is_infinite()).count() == 1
                }),
                regime("few left", 20, |row| {
                    row.len() > 16 && row.iter().filter(|z| z.is_finite()).count() * 6 < row.len()
                }),
                regime("leading, then all beyond exp", 40, move |row| mask_ends(row).0 > 6 && max(row) < -zero),
            ];
            for block in [8usize, 16, 32, 128] {
                for n in [block - 1, block, block + 1, 2 * block] {
                    regimes.push(regime(&format!("{n} leading"), 2, move |row| mask_ends(row).0 == n));
                    regimes.push(regime(&format!("{n} trailing"), 2, move |row| mask_ends(row).1 == n));
                }
                regimes.push(regime(&format!("{block} leading, then below exp"), 2, move |row| {
                    mask_ends(row).0 == block && max(row) < -zero
                }));
                regimes.push(regime(&format!("an inner block of {block}"), 2, move |row| {
                    row.len() > 2 * block
                        && row[block - 1].is_finite()
                        && row[block..2 * block].iter().all(|z| z.is_infinite())
                        && row[2 * block].is_finite()
                }));
            }
            regimes
        }
        "fully_masked" => {
            vec![regime("all masked", 1000, |row| !row.is_empty() && row.iter().all(|&z| z == f64::NEG_INFINITY))]
        }
        "pos_inf" => {
            let count = |row: &[f64]| row.iter().filter(|&&z| z == f64::INFINITY).count();
            vec![
                regime("has +inf", 1000, move |row| count(row) > 0),
                regime("one", 300, move |row| count(row) == 1),
                regime("several", 300, move |row| count(row) > 1 && count(row) < row.len()),
                regime("nothing else", 40, move |row| row.len() > 1 && count(row) == row.len()),
                regime("with -inf", 300, move |row| has(row, f64::NEG_INFINITY)),
            ]
        }
        "nan" => {
            let count = |row: &[f64]| row.iter().filter(|z| z.is_nan()).count();
            vec![
                regime("has NaN", 1000, move |row| count(row) > 0),
                regime("one", 300, move |row| count(row) == 1),
                regime("several", 200, move |row| count(row) > 1),
                regime("with +inf", 100, |row| has(row, f64::INFINITY)),
                regime("with -inf", 300, |row| has(row, f64::NEG_INFINITY)),
            ]
        }
        "subnormal" => {
            let subnormal = move |z: f64| z != 0.0 && z.abs() < format.least_normal();
            vec![
                regime("some", 1000, move |row| row.iter().any(|&z| subnormal(z))),
                regime("all", 300, move |row| row.iter().all(|&z| subnormal(z))),
                regime("with others", 200, move |row| !row.iter().all(|&z| subnormal(z))),
            ]
        }
        "signed_zero" => {
            let zeros = |row: &[f64], negative| row.iter().any(|&z| z == 0.0 && z.is_sign_negative() == negative);
            vec![
                regime("the maximum", 1000, |row| max(row) == 0.0),
                regime("both", 600, move |row| zeros(row, true) && zeros(row, false)),
                regime("only negative zeros at the maximum", 20, move |row| row.len() > 1 && !zeros(row, false)),
                regime("with others", 300, |row| min(row) < 0.0),
            ]
        }
        "extreme" => vec![
            regime("z - max overflows", 200, move |row| dtype.round(max(row) - min(row)).is_infinite()),
            regime("a sum overflows", 60, move |row| min(row) > 0.4 * largest && row.len() > 1),
            regime("a negative sum overflows", 50, move |row| max(row) < -0.4 * largest && row.len() > 1),
            regime("finite mask", 60, move |row| {
                (min(row) == -largest || min(row) == -dtype.round(largest / 2.0))
                    && max(row).abs() < 1e5
                    && max(row) <= 0.0
            }),
            regime("beyond integers", 60, move |row| {
                let top = max(row).abs().max(min(row).abs());
                (4e6f64.min(largest / 2.1)..0.75 * largest).contains(&top)
            }),
            regime("one alone", 60, |row| row.iter().filter(|z| z.abs() > 1e4).count() == 1 && row.len() > 2),
        ],
        "tiny_n" => {
            let mut regimes = vec![regime("at most two", 1000, |row| row.len() <= 2)];
            for n in 0..=2 {
                regimes.push(regime(&format!("{n} logits"), 100, move |row| row.len() == n));
            }
            for value in [f64::INFINITY, f64::NEG_INFINITY, largest, -largest, least, -least, 0.0] {
                regimes.push(regime(&format!("{value}"), 20, move |row| has(row, value)));
            }
            regimes.push(regime("NaN", 50, |row| row.iter().any(|z| z.is_nan())));
            regimes
        }
        other => panic!("family {other} has no regime to reach"),
    }
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

/// Every op has a valid case for every row, and the extras reach what they are named for.
#[test]
fn every_op_has_a_case_and_the_extras_reach_their_regimes() {
    for dtype in Dtype::ALL {
        let format = dtype.format();
        let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
        for &family in Family::all().iter().filter(|family| !family.is_slow()) {
            for index in 0..100 {
                let logits: Arc<[f64]> = row(family, dtype, SEED, index, 600).into();
                let n = logits.len();
                for &op in Op::ALL {
                    let Some(case) = case(op, dtype, family.name(), SEED, index, logits.clone(), None).unwrap() else {
                        assert!(n == 0 && op.needs_logit(), "{op} {dtype} {family} {index} has no case");
                        continue;
                    };
                    let mut note = |what, holds| *seen.entry(what).or_default() += usize::from(holds);
                    if let Some((class, smoothing)) = case.target() {
                        let z = logits[class];
                        let ranked = logits.iter().filter(|&&other| other > z).count();
                        note("target: max", n > 1 && z == max(&logits));
                        note("target: min", n > 1 && z == min(&logits));
                        note("target: second", n > 2 && ranked == 1);
                        note("target: first", n > 1 && class == 0);
                        note("target: last", n > 1 && class == n - 1);
                        note("target: masked", z == f64::NEG_INFINITY);
                        note("smoothing: 0", smoothing == 0.0);
                        note("smoothing: 1", smoothing == 1.0);
                        note("smoothing: 0.1", smoothing == dtype.round(0.1));
                        note("smoothing: 1e-3", smoothing == dtype.round(1e-3));
                        note("smoothing: least", smoothing == format.least());
                        note("smoothing: 1 - u", smoothing == 1.0 - format.unit_roundoff());
                        if family.name() == "confident_wrong" {
                            assert_eq!(z, min(&logits));
                        }
                    }
                    if let Some(scale) = case.scale() {
                        let size = logits.iter().filter(|z| z.is_finite()).fold(0.0f64, |size, z| size.max(z.abs()));
                        let (product, wider) = (scale * size, dtype.accumulator().format());
                        note("scale: 1", scale == 1.0);
                        note("scale: -1", scale == -1.0);
                        note("scale: 0", scale == 0.0 && scale.is_sign_positive());
                        note("scale: -0", scale == 0.0 && scale.is_sign_negative());
                        note("scale: 1/8", scale == 0.125);
                        note("scale: negative", scale < 0.0);
                        note("scale: least", scale.abs() == format.least());
                        note("scale: largest", scale.abs() == format.largest());
                        note("scale: products of everyday size", (0.1..100.0).contains(&product.abs()));
                        let near = |x: f64, y: f64| (x / y - 1.0).abs() < 0.02;
                        note("scale: a product at the overflow of exp", near(product.abs(), Edge::Overflow.of(format)));
                        let ends = product.abs() > 0.8 * wider.largest() || wider.emax > 2 * format.emax;
                        note("scale: a product at the end of the accumulator", ends);
                        note("scale: infinite logits beside 0", scale == 0.0 && logits.iter().any(|z| z.is_infinite()));
                    }
                    if let Some(q) = case.distribution().filter(|q| q.len() > 2) {
                        let with_mass = || (0..n).filter(|&i| q[i] > 0.0);
                        let is_one_hot = max(q) == 1.0;
                        let hot = q.iter().position(|&mass| mass == 1.0).map(|class| logits[class]);
                        let is_masked = |i: &usize| logits[*i] == f64::NEG_INFINITY;
                        let u = format.unit_roundoff();
                        note("distribution: one hot at the maximum", hot == Some(max(&logits)));
                        note("distribution: one hot at the minimum", hot == Some(min(&logits)));
                        note(
                            "distribution: one hot elsewhere",
                            hot.is_some_and(|z| z < max(&logits) && z > min(&logits)),
                        );
                        note("distribution: exact zeros beside others", !is_one_hot && has(q, 0.0));
                        note("distribution: no zero", !has(q, 0.0));
                        note("distribution: uniform", all_equal(q));
                        let few: Vec<f64> = with_mass().map(|i| q[i]).collect();
                        note("distribution: uniform over some", few.len() > 1 && few.len() < n && all_equal(&few));
                        note("distribution: a mass below a roundoff", with_mass().any(|i| q[i] < u));
                        note("distribution: a subnormal mass", with_mass().any(|i| q[i] < format.least_normal()));
                        note("distribution: nearly one hot", !is_one_hot && max(q) >= 1.0 - 4.0 * u);
                        note("distribution: mass on a masked class", with_mass().any(|i| is_masked(&i)));
                        let has_mask = (0..n).any(|i| is_masked(&i));
                        note("distribution: beside masked classes", has_mask && !with_mass().any(|i| is_masked(&i)));
                    }
                    if let Some(g) = case.direction().filter(|g| g.len() > 2) {
                        // An elementwise op takes the first elements of a row.
                        let n = g.len();
                        let limit = largest_direction(dtype, n);
                        let sum: f64 = g.iter().sum();
                        let mut partial = 0.0;
                        let leaves = g.iter().any(|g| {
                            partial += g;
                            f64::abs(partial) > format.largest()
                        });
                        // Only where the accumulator has room.
                        assert!(!leaves || dtype.input() == Dtype::F16, "{op} {dtype} {family} {index}");
                        let is_within = g.iter().all(|g| g.abs() <= limit);
                        assert!(is_within || dtype.input() == Dtype::F16, "{op} {dtype} {family} {index}");
                        note("direction: sums leave the range", leaves || dtype.input() != Dtype::F16);
                        note(
                            "direction: the total leaves it",
                            sum.abs() > format.largest() || dtype.input() != Dtype::F16,
                        );
                        let nonzero = g.iter().filter(|&&g| g != 0.0).count();
                        note("direction: zeros", nonzero == 0);
                        note("direction: one hot", nonzero == 1 && n > 3);
                        note("direction: ones", all_equal(g) && nonzero > 0);
                        note("direction: sums to 0", sum == 0.0 && nonzero > 1);
                        note(
                            "direction: nearly sums to 0",
                            sum != 0.0 && sum.abs() < max(g) * 8.0 * format.unit_roundoff(),
                        );
                        note("direction: alternating", nonzero == n && g.windows(2).all(|w| w[0] == -w[1]));
                        note("direction: as large as allowed", max(g) == limit);
                        note("direction: tiny", nonzero == n && max(g) < format.least_normal() * 512.0);
                        note(
                            "direction: mixed",
                            nonzero == n && min(&g.iter().map(|g| g.abs()).collect::<Vec<_>>()) < max(g) / 1e4,
                        );
                    }
                }
            }
        }
        assert_eq!(seen.len(), 23 + 12 + 12);
        for (what, count) in seen {
            assert!(count >= 25, "{dtype}: {what}: {count}");
        }
    }
}

/// The masses that are the softmax of the row, rounded: then the gradient cancels everywhere, but for the roundings.
#[test]
fn some_distributions_are_the_softmax_of_the_row() {
    let family: Family = "cancellation".parse().unwrap();
    for dtype in Dtype::ALL {
        let u = dtype.format().unit_roundoff();
        let mut met = 0;
        for index in 0..200 {
            let logits: Arc<[f64]> = row(family, dtype, SEED, index, 100).into();
            let case = case(Op::SOFT_CROSS_ENTROPY_GRAD, dtype, family.name(), SEED, index, logits.clone(), None);
            let case = case.unwrap().unwrap();
            let lse = exact_lse(&logits);
            let cancels = |(&z, &q): (&f64, &f64)| ((z - lse).exp() - q).abs() <= 4.0 * u * q + 1e-12;
            let masses = case.distribution().unwrap();
            // A mass that takes what the others leave is off by their roundings.
            let close = logits.iter().zip(masses).filter(|&pair| cancels(pair)).count();
            met += usize::from(masses.len() > 2 && max(masses) < 0.9 && close + 2 >= masses.len());
        }
        assert!(met >= 20, "{dtype}: {met}");
    }
}

/// Equal means in all groups of equal logits, though not all values are equal: the exact cases of the products.
#[test]
fn some_directions_have_equal_means_in_all_groups() {
    let family: Family = "ties".parse().unwrap();
    for dtype in Dtype::ALL {
        let mut met = 0;
        for index in 0..400 {
            let logits: Arc<[f64]> = row(family, dtype, SEED, index, 300).into();
            let case = case(Op::SOFTMAX_JVP, dtype, "ties", SEED, index, logits.clone(), None).unwrap().unwrap();
            let g = case.direction().unwrap();
            let mut groups: BTreeMap<u64, Vec<f64>> = BTreeMap::new();
            logits.iter().zip(g).for_each(|(z, &g)| groups.entry((z + 0.0).to_bits()).or_default().push(g));
            let mean = |group: &Vec<f64>| group.iter().sum::<f64>() / group.len() as f64;
            let first = groups.values().next().map(mean).unwrap();
            met += usize::from(
                !all_equal(g) && groups.len() > 1 && first != 0.0 && groups.values().all(|g| mean(g) == first),
            );
        }
        assert!(met >= 5, "{dtype}: {met}");
    }
}

/// Where outputs are solved to cancel, they do: p_j - q_j, g_j - sum p_i g_i, and g_j - p_j sum g_i.
#[test]
fn solved_extras_cancel() {
    let family: Family = "cancellation".parse().unwrap();
    for dtype in Dtype::ALL {
        let format = dtype.format();
        let ulp = |x: f64| ldexp(1.0, format.ulp_exponent(exponent(x)));
        let (mut gradient, mut product, mut log_product) = (0, 0, 0);
        for index in 0..600 {
            let logits: Arc<[f64]> = row(family, dtype, SEED, index, 100).into();
            let n = logits.len();
            let lse = Float::with_val(200, {
                let mut sum = Float::new(200);
                logits.iter().for_each(|&z| sum += Float::with_val(200, z).exp());
                sum.ln()
            });
            let p: Vec<Float> = logits.iter().map(|&z| (Float::with_val(200, z) - &lse).exp()).collect();
            let of = |op| case(op, dtype, family.name(), SEED, index, logits.clone(), None).unwrap().unwrap();
            let (class, e) = of(Op::CROSS_ENTROPY_GRAD).target().unwrap();
            gradient += usize::from(
                n > 2
                    && (0.0..0.9).contains(&e)
                    && e > 1e-6
                    && (0..n).any(|j| {
                        let hot = if j == class { 1.0 - Float::with_val(200, e) } else { Float::new(200) };
                        let q = hot + Float::with_val(200, e) / n as u32;
                        let difference = Float::with_val(200, &p[j] - &q).to_f64().abs();
                        difference <= 4.0 * ulp(e) / if j == class { 1.0 } else { n as f64 }
                    }),
            );
            let cancels = |op, other: fn(&[Float], &[f64], usize) -> Float| {
                let case = of(op);
                let g = case.direction().unwrap();
                let distinct: HashSet<u64> = g.iter().map(|g| g.to_bits()).collect();
                n > 4
                    && distinct.len() == n
                    && (0..n).any(|j| g[j] != 0.0 && (other(&p, g, j) - g[j]).to_f64().abs() <= 6.0 * ulp(g[j]))
            };
            product += usize::from(cancels(Op::SOFTMAX_VJP, |p, g, _| {
                let mut mean = Float::new(200);
                p.iter().zip(g).for_each(|(p, &g)| mean += Float::with_val(200, p * g));
                mean
            }));
            log_product += usize::from(cancels(Op::LOG_SOFTMAX_VJP, |p, g, j| {
                let mut sum = Float::new(200);
                g.iter().for_each(|&g| sum += g);
                sum * &p[j]
            }));
        }
        assert!(gradient >= 60, "{dtype}: p_j - q_j cancels in {gradient} rows");
        assert!(product >= 5 && log_product >= 5, "{dtype}: products cancel in {product} and {log_product} rows");
    }
}

#[test]
fn a_given_target_is_used_and_a_wrong_one_is_refused() {
    let logits: Arc<[f64]> = vec![1.0, 2.0, 3.0].into();
    for index in 0..50 {
        let of = |target| case(Op::CROSS_ENTROPY, Dtype::F32, "file", 1, index, logits.clone(), target);
        assert_eq!(of(Some(1)).unwrap().unwrap().target().unwrap().0, 1);
        assert!(of(Some(3)).is_err());
        assert!(of(None).unwrap().is_some());
    }
    assert!(case(Op::CROSS_ENTROPY, Dtype::F32, "tiny_n", 1, 0, Vec::new().into(), None).unwrap().is_none());
    assert!(case(Op::SOFTMAX, Dtype::F32, "tiny_n", 1, 0, Vec::new().into(), None).unwrap().is_some());
    assert!(case(Op::SOFTMAX, Dtype::F16, "file", 1, 0, vec![0.1].into(), None).is_err());
}

#[test]
fn any_case_is_as_asked() {
    let mut draw = Draw::from_seed(7);
    for _ in 0..300 {
        for &op in Op::ALL {
            let case = any_case(&mut draw, Some(op), Some(Dtype::Bf16), 20);
            assert_eq!((case.op(), case.dtype()), (op, Dtype::Bf16));
            assert!(case.logits().len() <= 20);
        }
        assert!(any_case(&mut draw, None, None, 0).logits().len() <= 1);
    }
}

/// An op with a domain gets rows that are nearly all within it, and that reach every stretch of it: for log(1 - exp(x)) near 0, about the
/// change from expm1 to log1p, where exp(x) is below half an ulp of 1, where it is 0, and a few numbers that have no value.
#[test]
fn a_domain_is_reached_in_all_its_parts() {
    for dtype in Dtype::ALL {
        let (mut elements, mut outside, format) = (0, 0, dtype.format());
        let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
        for &family in Family::all().iter().filter(|family| !family.is_slow()) {
            for index in 0..100 {
                let logits: Arc<[f64]> = row(family, dtype, SEED, index, 600).into();
                let case = case(Op::LOG1MEXP, dtype, family.name(), SEED, index, logits, None).unwrap().unwrap();
                for &x in case.logits() {
                    let mut note = |what, holds: bool| *seen.entry(what).or_default() += usize::from(holds);
                    (elements, outside) = (elements + 1, outside + usize::from(x > 0.0));
                    let u = format.unit_roundoff();
                    note("all digits of 1 - exp(x) cancel", x < 0.0 && -x < u);
                    note("a subnormal x", x < 0.0 && -x < format.least_normal());
                    note("some digits cancel", x < -u && x > -0.25);
                    note("about -log 2", (-1.0..=-0.5).contains(&x));
                    note("exp(x) is below half an ulp of 1", x.is_finite() && x < u.ln() - 0.7);
                    note("exp(x) is 0", x.is_finite() && x < -746.0);
                    note("zero", x == 0.0);
                    note("-inf", x == f64::NEG_INFINITY);
                    note("no value", x > 0.0);
                    note("NaN", x.is_nan());
                }
            }
        }
        let least = *seen.values().min().unwrap();
        assert!(seen.len() == 10 && least >= 10, "{dtype}: {seen:?}");
        assert!(outside * 10 < elements, "{dtype}: {outside} of {elements} are outside");
    }
}

/// Labels reach 0, 1 and 1/2, the neighbourhood of 0 down to the least number, that of 1 up to its last ulps, and what the sigmoid of the
/// logit is, where the gradient cancels.
#[test]
fn labels_reach_their_regimes() {
    for dtype in Dtype::ALL {
        let format = dtype.format();
        let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
        for &family in Family::all().iter().filter(|family| !family.is_slow()) {
            for index in 0..100 {
                let logits: Arc<[f64]> = row(family, dtype, SEED, index, 60).into();
                let case =
                    case(Op::BCE_WITH_LOGITS_GRAD, dtype, family.name(), SEED, index, logits, None).unwrap().unwrap();
                for crate::op::inputs::Element { logit: z, other: label } in case.elements() {
                    let mut note = |what, holds: bool| *seen.entry(what).or_default() += usize::from(holds);
                    assert!((0.0..=1.0).contains(&label) && dtype.holds(label), "{dtype} {family} {index}: {label}");
                    note("0", label == 0.0);
                    note("1", label == 1.0);
                    note("1/2", label == 0.5);
                    note("subnormal", label > 0.0 && label < format.least_normal());
                    note("near 0", label > 0.0 && label < 1e-3);
                    note("near 1", label < 1.0 && label > 1.0 - 8.0 * format.unit_roundoff());
                    note("between", (0.1..0.9).contains(&label));
                    note("0 at +inf", label == 0.0 && z == f64::INFINITY);
                    note("1 at +inf", label == 1.0 && z == f64::INFINITY);
                    note("0 at -inf", label == 0.0 && z == f64::NEG_INFINITY);
                    note("1 at -inf", label == 1.0 && z == f64::NEG_INFINITY);
                    let p = dtype.round(super::solve::sigmoid(z));
                    let is_near = z.abs() > 0.1 && p < 1.0 && p > 0.0;
                    note("the sigmoid", is_near && format.ordinal(label).abs_diff(format.ordinal(p)) <= 2);
                }
            }
        }
        assert!(seen.len() == 12 && seen.values().all(|&count| count >= 25), "{dtype}: {seen:?}");
    }
}

/// Other logits reach what the logarithm of a sum or a difference has: equal logits, neighbours, small and large gaps, the gaps at which
/// functions change their way, infinities on either side and on both, and results near 0. Few of those that are to be subtracted are above.
#[test]
fn other_logits_reach_their_regimes() {
    for (op, dtype) in [Op::LOGADDEXP, Op::LOGSUBEXP].into_iter().flat_map(|op| Dtype::ALL.map(|dtype| (op, dtype))) {
        let (format, descends) = (dtype.format(), op == Op::LOGSUBEXP);
        let gap = absorption_gap(dtype.accumulator().format());
        let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
        let (mut finite, mut above) = (0, 0);
        for &family in Family::all().iter().filter(|family| !family.is_slow()) {
            for index in 0..100 {
                let logits: Arc<[f64]> = row(family, dtype, SEED, index, 60).into();
                let case = case(op, dtype, family.name(), SEED, index, logits, None).unwrap().unwrap();
                for crate::op::inputs::Element { logit: x, other: y } in case.elements() {
                    let mut note = |what, holds: bool| *seen.entry(what).or_default() += usize::from(holds);
                    let is_finite = x.is_finite() && y.is_finite();
                    let apart = (x - y).abs();
                    (finite, above) = (finite + usize::from(is_finite), above + usize::from(is_finite && y > x));
                    note("equal", is_finite && x == y);
                    note("neighbours", is_finite && format.ordinal(x).abs_diff(format.ordinal(y)) == 1);
                    note("near", is_finite && apart > 0.0 && apart < 1e-3 * x.abs().max(1.0));
                    note("about log 2", (0.5..1.0).contains(&apart));
                    note("some apart", (2.0..10.0).contains(&apart));
                    note("where the exponential is absorbed", (gap - 1.0..gap + 1.0).contains(&apart));
                    note("far apart", is_finite && apart > 100.0);
                    note("a huge other", y.is_finite() && y.abs() > format.largest() / 8.0);
                    note("a subnormal other", y != 0.0 && y.abs() < format.least_normal());
                    note("0", y == 0.0 && x.is_finite() && x != 0.0);
                    note("both -inf", x == f64::NEG_INFINITY && y == x);
                    note("both +inf", x == f64::INFINITY && y == x);
                    note("-inf beside a number", x.is_finite() && y == f64::NEG_INFINITY);
                    note("+inf beside a number", x.is_finite() && y == f64::INFINITY);
                    note("NaN beside a number", x.is_finite() && y.is_nan());
                    note("below", is_finite && y < x);
                    note("above", is_finite && y > x);
                    let size = if descends { x.exp() - y.exp() } else { x.exp() + y.exp() };
                    let spacing = format.unit_roundoff() * x.abs().max(y.abs()).max(1.0);
                    note("a result near 0", x.abs() > 0.01 && x.abs() < 5.0 && (size - 1.0).abs() < 16.0 * spacing);
                }
            }
        }
        assert!(seen.len() == 18 && seen.values().all(|&count| count >= 25), "{op} {dtype}: {seen:?}");
        assert!(!descends || above * 10 < finite, "{dtype}: {above} of {finite} are above");
    }
}

/// Elements of a kind: what they are, and how to see it.
type Stretch = (String, Holds);
type Holds = Box<dyn Fn(f64) -> bool>;

/// Elements on either side of 0: what an op of one element that has a value everywhere is given. The rows of thresholds reach the op's
/// own and the ends of exp, mirrored too; the rows of other families are as they are for every op.
#[test]
fn elements_reach_their_thresholds_on_either_side_of_0() {
    let ops = Op::ALL.iter().filter(|op| !op.cuts().is_empty());
    for (&op, dtype) in ops.flat_map(|op| Dtype::ALL.map(|dtype| (op, dtype))) {
        let format = dtype.format();
        let near = move |at: f64| {
            let place = format.ordinal(dtype.round(at));
            move |x: f64| x.is_finite() && format.ordinal(x).abs_diff(place) <= 3
        };
        let mut stretches: Vec<Stretch> = vec![("NaN".into(), Box::new(f64::is_nan))];
        for sign in [1.0, -1.0] {
            let mut add = |what: String, holds: Holds| stretches.push((format!("{sign} {what}"), holds));
            op.cuts().iter().for_each(|cut| add(format!("{cut}"), Box::new(near(sign * cut))));
            for used in [format, dtype.accumulator().format()] {
                let bits = used.precision;
                for edge in Edge::ALL {
                    add(format!("{edge:?} of {bits} bits"), Box::new(near(sign * edge.of(used).abs())));
                }
                let (at, half) = (near(sign * absorption_gap(used)), near(sign * absorption_gap(used) / 2.0));
                add(format!("the gap of {bits} bits"), Box::new(move |x| at(x) || half(x)));
                let between = -Edge::LeastNormal.of(used)..-Edge::Zero.of(used);
                add(format!("where exp is subnormal in {bits} bits"), Box::new(move |x| between.contains(&(sign * x))));
            }
            let (least_normal, largest) = (format.least_normal(), format.largest());
            add("subnormal".into(), Box::new(move |x| x * sign > 0.0 && x.abs() < least_normal));
            add("0".into(), Box::new(move |x| x == 0.0 && x.is_sign_negative() == (sign < 0.0)));
            add("ordinary".into(), Box::new(move |x| (0.5..3.0).contains(&(x * sign))));
            add("the largest".into(), Box::new(move |x| x == sign * largest));
            add("infinity".into(), Box::new(move |x| x == sign * f64::INFINITY));
        }
        let mut seen = vec![0; stretches.len()];
        // NaN and infinities at the first places of rows that have elements with a value, too.
        let special: [fn(f64) -> bool; 3] = [f64::is_nan, |x| x == f64::INFINITY, |x| x == f64::NEG_INFINITY];
        let mut placed = [[0; 8]; 3];
        for &family in Family::all().iter().filter(|family| !family.is_slow()) {
            for index in 0..100 {
                let logits: Arc<[f64]> = row(family, dtype, SEED, index, 300).into();
                let case = case(op, dtype, family.name(), SEED, index, logits.clone(), None).unwrap().unwrap();
                assert!(family.name() == "thresholds" || bits(case.logits()) == bits(&logits), "{op} {dtype} {family}");
                for (count, (_, holds)) in seen.iter_mut().zip(&stretches) {
                    *count += case.logits().iter().filter(|&&z| holds(z)).count();
                }
                let is_beside = case.logits().iter().any(|z| z.is_finite());
                for (counts, is_special) in placed.iter_mut().zip(special).filter(|_| is_beside) {
                    counts.iter_mut().zip(case.logits()).for_each(|(count, &z)| *count += usize::from(is_special(z)));
                }
            }
        }
        let missed: Vec<&String> =
            stretches.iter().zip(&seen).filter(|(_, count)| **count < 4).map(|((what, _), _)| what).collect();
        assert!(missed.is_empty() && seen.len() > 60, "{op} {dtype}: {missed:?}");
        assert!(placed.iter().flatten().all(|&count| count >= 4), "{op} {dtype}: {placed:?}");
    }
}
