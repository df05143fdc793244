//! Kernels written by a user, slightly worse than they were: the library's own gate, as a `#[test]` calls it.

use logitfuzz::baseline::{Comparison, Improvement};
use logitfuzz::kernel::Claims;
use logitfuzz::{Check, Op, check};
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

/// Cases of a check, over all families.
const CASES: u64 = 22 * 40;

/// What the error of an exp that was within 1 ulp becomes by one ulp more: `exp` is claimed in units of roundoff, two to the ulp.
const WORSE_EXP: f64 = 4.0;

struct Gate {
    _folder: tempfile::TempDir,
    baseline: PathBuf,
}

impl Gate {
    /// A gate whose baseline has this check.
    fn accepted(check: Check) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let baseline = folder.path().join("reports/baseline.json");
        check.accept(&baseline).expect("the baseline is written");
        Self { _folder: folder, baseline }
    }

    fn compare(&self, check: Check) -> Comparison {
        check.compare(&self.baseline).expect("the baseline can be used")
    }

    /// The names of the reasons, of all cells, and the families of the cells.
    fn reasons(&self, check: Check) -> (BTreeSet<String>, BTreeSet<String>) {
        let gate = self.compare(check);
        let reasons = gate.worse().flat_map(|(_, regressions)| regressions).map(|regression| regression.reason.name());
        let families = gate.worse().map(|(cell, _)| cell.name.family.clone());
        (reasons.collect(), families.collect())
    }
}

fn names(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// The maximum, NaN if there is one.
fn maximum(z: &[f32]) -> f32 {
    z.iter().copied().fold(f32::NEG_INFINITY, |a, b| if a.is_nan() || b.is_nan() { f32::NAN } else { a.max(b) })
}

/// Softmax by steps that can be replaced.
fn softmax(
    max: fn(&[f32]) -> f32,
    exp: fn(f32) -> f32,
    reciprocal: fn(f32) -> f32,
) -> impl Fn(&[f32], &mut [f32]) + Send + Sync {
    move |z, out| {
        let max = max(z);
        let mut sum = 0.0;
        for (out, &z) in out.iter_mut().zip(z) {
            *out = exp(z - max);
            sum += *out;
        }
        let scale = reciprocal(sum);
        out.iter_mut().for_each(|p| *p *= scale);
    }
}

fn good_softmax() -> Check {
    check(Op::SOFTMAX).kernel("mine", softmax(maximum, f32::exp, f32::recip)).cases(CASES)
}

/// `log(1 + x)` from the logarithm of a rounded sum: what is left where somebody drops log1p.
fn stale_log1p(x: f32) -> f32 {
    (1.0 + x).ln()
}

/// Log-sum-exp that adds the rest to the one maximum by a log1p.
fn logsumexp(log1p: fn(f32) -> f32) -> impl Fn(&[f32], &mut [f32]) + Send + Sync {
    move |z, out| {
        let max = maximum(z);
        if !max.is_finite() {
            out[0] = max;
            return;
        }
        let at = z.iter().position(|&z| z == max).unwrap_or(0);
        let rest: f32 = z.iter().enumerate().filter(|&(i, _)| i != at).map(|(_, z)| (z - max).exp()).sum();
        out[0] = max + log1p(rest);
    }
}

#[test]
fn an_unchanged_kernel_stays_green() {
    let gate = Gate::accepted(good_softmax());
    let compared = gate.compare(good_softmax());
    assert!(compared.passes(), "{:?}", compared.worst_first());
    assert!(compared.cells.len() >= 20 && compared.unrecorded() == 0 && compared.better().next().is_none());
    good_softmax().against(&gate.baseline);
}

#[test]
fn a_reciprocal_of_12_bits_is_red() {
    let twelve_bits = |x: f32| f32::from_bits((x.recip().to_bits() + (1 << 11)) & !((1 << 12) - 1));
    let gate = Gate::accepted(good_softmax());
    let worse = || check(Op::SOFTMAX).kernel("mine", softmax(maximum, f32::exp, twelve_bits)).cases(CASES);
    let (reasons, families) = gate.reasons(worse());
    assert!(reasons.is_superset(&names(&["new_verdict", "ratio_above_1"])), "{reasons:?}");
    assert!(families.contains("ordinary"), "{families:?}");

    // As a test shows it: the reasons, and the smallest input in the form that replays it.
    let payload = catch_unwind(AssertUnwindSafe(|| worse().against(&gate.baseline))).expect_err("it panics");
    let message = payload.downcast_ref::<String>().expect("a message");
    for part in [
        "gate failed: ",
        "mine softmax f32 ordinary",
        "  ratio_above_1: ratio ",
        "LOGITFUZZ_ACCEPT=1",
        ".replay(\"softmax f32 [",
    ] {
        assert!(message.contains(part), "no `{part}` in {message}");
    }
}

#[test]
fn a_dropped_maximum_is_red() {
    let gate = Gate::accepted(good_softmax());
    let worse = check(Op::SOFTMAX).kernel("mine", softmax(|_| 0.0, f32::exp, f32::recip)).cases(CASES);
    let compared = gate.compare(worse);
    let offset = compared.worse().find(|(cell, _)| cell.name.family == "offset").expect("offset breaks it").1;
    let said: Vec<String> = offset.iter().map(|r| format!("{} {}", r.reason.name(), r.detail)).collect();
    assert!(
        said.iter().any(|said| said.starts_with("new_verdict") && said.contains(" nan, none recorded")),
        "{said:?}"
    );
}

#[test]
fn nan_on_masked_rows_is_red_and_only_there() {
    let leaking = |z: &[f32], out: &mut [f32]| {
        softmax(maximum, f32::exp, f32::recip)(z, out);
        if z.contains(&f32::NEG_INFINITY) {
            out.fill(f32::NAN);
        }
    };
    let gate = Gate::accepted(good_softmax());
    let (reasons, families) = gate.reasons(check(Op::SOFTMAX).kernel("mine", leaking).cases(CASES));
    assert!(reasons.contains("new_verdict"), "{reasons:?}");
    assert!(families.contains("masked") && !families.contains("ordinary"), "{families:?}");
    assert!(!families.contains("fully_masked"), "NaN is accepted there: {families:?}");
}

#[test]
fn a_stale_log1p_is_red_by_its_grade() {
    let good = || check(Op::LOGSUMEXP).kernel("mine", logsumexp(f32::ln_1p)).cases(CASES);
    let gate = Gate::accepted(good());
    assert!(gate.compare(good()).passes());
    let (reasons, families) = gate.reasons(check(Op::LOGSUMEXP).kernel("mine", logsumexp(stale_log1p)).cases(CASES));
    assert!(reasons.contains("grade_fell"), "{reasons:?}");
    assert!(families.contains("dominant"), "{families:?}");
}

#[test]
fn a_better_kernel_stays_green_and_is_reported() {
    let unshifted = || check(Op::SOFTMAX).kernel("mine", softmax(|_| 0.0, f32::exp, f32::recip)).cases(CASES);
    let gate = Gate::accepted(unshifted());
    let compared = gate.compare(good_softmax());
    assert!(compared.passes(), "{:?}", compared.worst_first());
    let better: Vec<(&str, &str)> =
        compared.better().map(|(cell, Improvement { detail })| (cell.name.family.as_str(), detail.as_str())).collect();
    assert!(
        better.iter().any(|(family, detail)| *family == "offset" && detail.contains("0 nan, recorded ")),
        "{better:?}"
    );
}

#[test]
fn a_libm_that_is_one_ulp_worse_is_green() {
    fn down(x: f32) -> f32 {
        let exp = x.exp();
        if exp == 0.0 || exp == 1.0 || !exp.is_finite() { exp } else { exp.next_down() }
    }
    fn up(x: f32) -> f32 {
        let exp = x.exp();
        if exp == 0.0 || exp == 1.0 || !exp.is_finite() { exp } else { exp.next_up() }
    }
    fn either(x: f32) -> f32 {
        if x.to_bits().wrapping_mul(0x9E37_79B9) >> 31 == 1 { up(x) } else { down(x) }
    }
    // Both sides claim the exp of the worse libm: the bound is that of the kernel as it is promised to run anywhere.
    let with = |exp: fn(f32) -> f32| {
        let claims = Claims { exp: WORSE_EXP, ..Claims::default() };
        check(Op::SOFTMAX).claims(claims).kernel("mine", softmax(maximum, exp, f32::recip)).cases(CASES)
    };
    let gate = Gate::accepted(with(f32::exp));
    for exp in [down, up, either] {
        let compared = gate.compare(with(exp));
        assert!(compared.passes(), "{:?}", compared.worst_first());
    }
    // Eight ulps are more than that, and it can be seen.
    let (reasons, _) = gate.reasons(with(|x| f32::from_bits(either(x).to_bits().saturating_sub(8))));
    assert!(!reasons.is_empty());
}

#[test]
fn a_kernel_that_lost_a_dtype_is_red() {
    let gate = Gate::accepted(good_softmax());
    let other = check(Op::SOFTMAX).kernel("mine", |z: &[f64], out: &mut [f64]| {
        let z: Vec<f32> = z.iter().map(|&z| z as f32).collect();
        let mut narrow = vec![0.0; z.len()];
        softmax(maximum, f32::exp, f32::recip)(&z, &mut narrow);
        out.iter_mut().zip(narrow).for_each(|(out, p)| *out = f64::from(p));
    });
    assert!(gate.reasons(other).0.is_superset(&names(&["missing", "new_verdict"])));
}

#[test]
fn checks_share_a_baseline_and_one_that_is_missing_says_what_to_do() {
    let gate = Gate::accepted(good_softmax());
    let other = || check(Op::LOGSUMEXP).kernel("mine", logsumexp(f32::ln_1p));
    other().accept(&gate.baseline).expect("accepted beside the first");
    good_softmax().against(&gate.baseline);
    other().against(&gate.baseline);
    assert_eq!(gate.compare(other()).outside, gate.compare(good_softmax()).cells.len());
    // Other settings than those of the baseline are refused, not compared.
    let error = good_softmax().seed(5).compare(&gate.baseline).expect_err("another seed").to_string();
    assert!(error.contains("seed 0, not 5"), "{error}");

    let payload = catch_unwind(|| good_softmax().against("no/such/baseline.json")).expect_err("it panics");
    let message = payload.downcast_ref::<String>().expect("a message");
    assert!(message.contains("no such baseline") && message.contains("LOGITFUZZ_ACCEPT=1"), "{message}");
    assert!(!std::path::Path::new("no").exists());
}
