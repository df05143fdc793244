//! The oracle against an independent truth: a table made with Arb ball arithmetic (`tests/reference/make_table.py`).
//!
//! Terms: a line of the table is a case and its outputs; an output is 30 significant digits of the exact value and the hex
//! float of that value rounded once to the dtype. Digits `tiny+` and `tiny-` stand for `0 < |value| < 1e-100000`, of which
//! only the sign and the rounding are compared.

use logitfuzz::case::Case;
use logitfuzz::dtype::{Dtype, text};
use logitfuzz::kernel::Special;
use logitfuzz::op::Op;
use logitfuzz::oracle::Oracle;
use std::collections::BTreeMap;

/// One line a case; the script writes it.
const TABLE: &str = include_str!("reference/table.txt");
/// Significant decimal digits in the table.
const DIGITS: usize = 30;
/// The least number of cases that the table is good for.
const LEAST_CASES: usize = 11_000;
/// Mismatches that a failure prints.
const SHOWN: usize = 10;

/// What is wrong with one output, or nothing.
fn mismatch(dtype: Dtype, want: &str, got_digits: &str, got_rounded: f64) -> Option<String> {
    let (digits, rounded) = want.split_once(':').expect("an output of the table reads `digits:rounded`");
    let rounded = text::parse(rounded, dtype).expect("a hex float");
    let digits_agree = match digits {
        // Beyond all precision the oracle writes an interval: `(0, 1.22e-161614248)`, `(-1.22e-161614248, 0)`.
        "tiny+" => !got_digits.starts_with(['-', '(']) && got_digits != "0" || got_digits.starts_with("(0, "),
        "tiny-" => got_digits.starts_with('-') || got_digits.starts_with("(-") && got_digits.ends_with(", 0)"),
        _ => got_digits == digits,
    };
    // Bit for bit, so the sign of a zero counts; all NaN are alike.
    let rounding_agrees = dtype.to_bits(rounded) == dtype.to_bits(got_rounded);
    (!(digits_agree && rounding_agrees))
        .then(|| format!("the table has {want}, the oracle {got_digits}:{}", text::hex(got_rounded)))
}

#[test]
fn oracle_agrees_with_an_independent_library() {
    let mut oracle = Oracle::new();
    let mut covered: BTreeMap<(Op, Dtype), usize> = BTreeMap::new();
    let (mut cases, mut outputs) = (0, 0);
    let mut mismatches = Vec::new();
    for (number, line) in TABLE.lines().enumerate() {
        let place = format!("table.txt:{}", number + 1);
        let (case_text, want) = line.split_once('\t').unwrap_or_else(|| panic!("{place} has no tab"));
        let case = Case::parse(case_text).unwrap_or_else(|error| panic!("{place}: {error}"));
        assert_eq!(case.to_string(), case_text, "{place}: the case was read as another");
        // Without logits most ops have no output.
        let want: Vec<&str> = want.split(',').filter(|word| !word.is_empty()).collect();
        assert_eq!(want.len(), case.op().outputs(case.logits().len()), "{place}: the number of outputs");
        let got = oracle.describe(&case, Special::Limit, DIGITS);
        if got.len() != want.len() {
            mismatches.push(format!("{place}: {case_text}: {} outputs instead of {}", got.len(), want.len()));
        }
        for (index, (want, got)) in want.iter().zip(&got).enumerate() {
            if let Some(why) = mismatch(case.dtype().output(), want, &got.digits, got.rounded) {
                mismatches.push(format!("{place}: {case_text}\n    output {index}: {why}"));
            }
        }
        cases += 1;
        outputs += want.len();
        *covered.entry((case.op(), case.dtype())).or_default() += 1;
    }
    assert!(
        mismatches.is_empty(),
        "{} mismatches in {outputs} outputs of {cases} cases; the first:\n{}",
        mismatches.len(),
        mismatches[..mismatches.len().min(SHOWN)].join("\n")
    );
    assert!(cases >= LEAST_CASES, "{cases} cases");
    for &op in Op::ALL {
        for dtype in Dtype::ALL {
            assert!(covered.contains_key(&(op, dtype)), "the table has no {op} in {dtype}");
        }
    }
}

/// The comparison itself must see a wrong last digit, a wrong bit, a wrong sign of zero and a lost NaN.
#[test]
fn the_comparison_can_fail() {
    let one_third = "3.33333333333333333333333333333e-1:0x1.555556p-2";
    let (digits, rounded) = ("3.33333333333333333333333333333e-1", f64::from(1.0f32 / 3.0));
    assert_eq!(mismatch(Dtype::F32, one_third, digits, rounded), None);
    for (want, digits, rounded) in [
        (one_third, "3.33333333333333333333333333334e-1", rounded),
        (one_third, digits, Dtype::F32.format().step(rounded, 1)),
        (one_third, digits, f64::NAN),
        ("0:0x0p+0", "0", -0.0),
        ("0:0x0p+0", "0", f64::NAN),
        ("nan:nan", "nan", 0.0),
        ("nan:nan", "0", f64::NAN),
        ("inf:inf", "-inf", f64::INFINITY),
        ("tiny-:-0x0p+0", "1e-434295", -0.0),
        ("tiny+:0x0p+0", "-1e-434295", 0.0),
        ("tiny+:0x0p+0", "0", 0.0),
        ("tiny+:0x0p+0", "(-1e-161614248, 0)", 0.0),
        ("tiny-:-0x0p+0", "(0, 1e-161614248)", -0.0),
        ("tiny-:-0x0p+0", "(-1e-161614248, 1e-161614248)", -0.0),
        ("tiny-:-0x0p+0", "-1e-434295", 0.0),
    ] {
        assert!(mismatch(Dtype::F32, want, digits, rounded).is_some(), "{want} against {digits}:{rounded}");
    }
    assert_eq!(mismatch(Dtype::F32, "nan:nan", "nan", f64::NAN), None);
    assert_eq!(mismatch(Dtype::F32, "tiny-:-0x0p+0", "-1e-434295", -0.0), None);
}
