//! The regimes of each family: what its rows are, and how often of so many.

use super::*;

/// The regimes of a family in a dtype. A family that is missing here fails the test.
pub(super) fn regimes(name: &str, dtype: Dtype) -> Vec<Regime> {
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
