//! The harness must find what is there: every planted defect and every unstable built-in kernel is caught, within a counted
//! number of cases, by each family that is said to expose it; findings are small; and the five failures that the README opens
//! with are what it says they are.
//!
//! Terms: a *defect* is a built-in kernel with one step written wrong on purpose; its registry entry names the families that
//! expose it. A cell is one kernel, op, dtype and family. A kernel is *caught* where a cell has a case with a failing verdict.

use logitfuzz::campaign::{self, Control, Plan};
use logitfuzz::case::Case;
use logitfuzz::diagnosis::{Cause, Examination, examine};
use logitfuzz::dtype::Dtype;
use logitfuzz::generate::Family;
use logitfuzz::judge::{Grade, Verdict};
use logitfuzz::kernel::Kernel;
use logitfuzz::kernel::builtin;
use logitfuzz::op::Op;
use logitfuzz::oracle::Oracle;
use logitfuzz::results::{Cell, Finding, Results};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The seeds at which every defect must be caught: those at which the correct kernels must pass (tests/trusted.rs).
const SEEDS: [u64; 3] = [7, 8, 9];
/// Cases of each (op, dtype, family) within which a defect must be caught: hardly any needs as many, so fewer are tried first.
const MOST_CASES: u64 = 2000;
const CASES: u64 = 50;
/// Cases of f32 alone that are tried first: most are caught there.
const FIRST_CASES: u64 = 10;
/// The same for `long`, whose findings take the longest to shrink.
const LONG_CASES: u64 = 8;
/// Cases of f32 that are tried between the few and the most: among them is a row past 65,536 classes.
const MORE_CASES: u64 = 100;
/// The same for the slow families, whose rows are as long as [`campaign::DEFAULT_MAX_LEN`] allows.
const SLOW_CASES: u64 = 1;
/// The same for the unstable kernels, in the one cell that the table names.
const UNSTABLE_CASES: u64 = 500;

fn plan(kernels: &[&str], family: &str, cases: u64) -> Plan {
    let kernels = kernels.iter().map(|name| Arc::new(builtin::find(name).expect(name)) as Arc<dyn Kernel>);
    let mut plan = Plan::new(kernels.collect());
    plan.sources = vec![Arc::new(family.parse::<Family>().expect(family))];
    plan.cases = cases;
    plan
}

fn run(plan: &Plan) -> Results {
    campaign::run(plan, &Control::default()).expect("the plan selects something")
}

/// Cases with a failing verdict.
fn failures(cell: &Cell) -> u64 {
    cell.verdicts.iter().filter(|(verdict, _)| verdict.is_failure()).map(|(_, count)| count).sum()
}

/// The number of cases within which a family must catch a defect.
fn cases_of(family: &str) -> u64 {
    match family {
        "long" => LONG_CASES,
        _ if family.parse::<Family>().is_ok_and(Family::is_slow) => SLOW_CASES,
        _ => CASES,
    }
}

fn defects() -> impl Iterator<Item = (&'static str, builtin::Defect)> {
    builtin::all().iter().filter_map(|kernel| Some((kernel.name(), kernel.defect()?)))
}

/// A small finding: at most this many logits. A defect that needs longer rows says so, and why.
const SMALL: usize = 4;

fn median(lengths: &BTreeMap<usize, usize>) -> usize {
    let middle = lengths.values().sum::<usize>() / 2;
    let mut below = 0;
    let reached = lengths.iter().find(|(_, count)| {
        below += **count;
        below > middle
    });
    *reached.expect("at least one finding").0
}

/// The defects that name a family, by family.
fn by_family() -> BTreeMap<&'static str, Vec<&'static str>> {
    let mut by_family: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (name, defect) in defects() {
        assert!(!defect.families.is_empty(), "{name} names no family");
        defect.families.iter().for_each(|family| by_family.entry(family).or_default().push(name));
    }
    by_family
}

/// Of a defect the cases run, the failing ones, and the first row with one.
fn caught(results: &Results, name: &str) -> (u64, u64, Option<u64>) {
    let cells = || results.cells.iter().filter(|cell| cell.kernel == name);
    let (run, caught) = (cells().map(|cell| cell.cases).sum(), cells().map(failures).sum());
    (run, caught, cells().filter_map(|cell| cell.first_failing).min())
}

/// What is asked of a campaign over planted defects.
#[derive(Clone, Copy, PartialEq)]
enum Ask {
    /// Who is caught.
    Caught,
    /// The findings as well.
    Findings,
}

/// Campaigns of a family at a seed, on more and more cases, each on the kernels that those before did not catch: with each the
/// kernels that it ran. The last one leaves none. Of the first rows f32 alone does, where only who is caught is asked.
fn until_caught(kernels: &[&'static str], family: &str, seed: u64, ask: Ask) -> Vec<(Vec<&'static str>, Results)> {
    let mut missing = kernels.to_vec();
    let mut campaigns = Vec::new();
    let few = cases_of(family);
    let first = (ask == Ask::Caught).then_some((FIRST_CASES.min(few), &[Dtype::F32][..]));
    let more = [(few, &Dtype::ALL[..]), (MORE_CASES, &[Dtype::F32]), (MOST_CASES, &Dtype::ALL)];
    for (cases, dtypes) in first.into_iter().chain(more) {
        let mut plan = plan(&missing, family, cases);
        (plan.seed, plan.dtypes, plan.findings) = (seed, dtypes.to_vec(), ask == Ask::Findings);
        let results = run(&plan);
        let tried = missing.clone();
        missing.retain(|name| {
            let (_, failing, first) = caught(&results, name);
            assert_eq!(failing > 0, first.is_some(), "{name} by {family}");
            first.is_none()
        });
        campaigns.push((tried, results));
        if missing.is_empty() {
            return campaigns;
        }
        println!("{family}, seed {seed}: not within {cases} rows of a dtype: {missing:?}");
    }
    panic!("{family} at seed {seed} does not catch {missing:?} within {MOST_CASES} rows");
}

#[test]
fn every_defect_is_caught_by_every_family_it_names_at_three_seeds() {
    let (mut detections, mut late) = (0, 0);
    for (family, kernels) in by_family() {
        for seed in SEEDS {
            let campaigns = until_caught(&kernels, family, seed, Ask::Caught);
            late += campaigns.get(2).map_or(0, |(late, _)| late.len());
            detections += kernels.len();
        }
    }
    let named: usize = defects().map(|(_, defect)| defect.families.len()).sum();
    assert_eq!(detections, SEEDS.len() * named);
    println!("{detections} detections, {late} of them not within the first {CASES} rows");
}

#[test]
fn every_finding_of_a_defect_is_shrunk() {
    let mut complaints = Vec::new();
    let mut lengths: BTreeMap<String, BTreeMap<usize, usize>> = BTreeMap::new();
    for (family, kernels) in by_family() {
        for (tried, results) in until_caught(&kernels, family, 0, Ask::Findings) {
            for name in tried {
                let (run, failing, first) = caught(&results, name);
                println!("{name} by {family}: {failing} of {run} cases, first in row {first:?}");
                assert_eq!(
                    failing > 0,
                    results.findings.iter().any(|finding| finding.kernel == name),
                    "{name} by {family}"
                );
            }
            for Finding { kernel, len, .. } in results.findings {
                *lengths.entry(kernel).or_default().entry(len).or_default() += 1;
            }
        }
    }

    println!("lengths of the findings, as length: count");
    let mut all: BTreeMap<usize, usize> = BTreeMap::new();
    for (kernel, of_kernel) in &lengths {
        println!("{kernel}: median {}, {of_kernel:?}", median(of_kernel));
        let examples = builtin::find(kernel).and_then(|kernel| kernel.examples()).expect("a defect has examples");
        let exception = examples.length;
        let (most, reason) = exception.unwrap_or((SMALL, "none needs more"));
        if median(of_kernel) > most {
            complaints.push(format!("{kernel} has findings longer than {most} ({reason}): {of_kernel:?}"));
        }
        if exception.is_some() && median(of_kernel) <= SMALL {
            complaints.push(format!("{kernel} needs no exception any more: {of_kernel:?}"));
        }
        of_kernel.iter().for_each(|(len, count)| *all.entry(*len).or_default() += count);
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
    assert_eq!(lengths.len(), defects().count());
    println!("all: median {}, {all:?}", median(&all));
    assert!(median(&all) <= SMALL, "{all:?}");
}

/// What each unstable kernel fails at: kernel, op, dtype, family, and a verdict that some of the cases must have. Each kernel
/// has a line for every op that it computes in a way of its own.
#[rustfmt::skip]
const UNSTABLE: [(&str, Op, Dtype, &str, Verdict); 57] = [
    // exp overflows above 11.09, 88.72, 709.78: inf / inf.
    ("naive", Op::SOFTMAX, Dtype::F16, "ordinary", Verdict::Nan),
    ("naive", Op::SOFTMAX, Dtype::F32, "thresholds", Verdict::Nan),
    ("naive", Op::SOFTMAX, Dtype::F64, "spike", Verdict::Nan),
    ("naive", Op::SOFTMAX, Dtype::Bf16, "extreme", Verdict::Nan),
    ("naive", Op::LOGSUMEXP, Dtype::F32, "offset", Verdict::Inf),
    ("naive", Op::LOGSUMEXP, Dtype::F64, "wide", Verdict::Inf),
    ("naive", Op::LOG_SOFTMAX, Dtype::F32, "sorted", Verdict::Nan),
    ("naive", Op::LOG_SOFTMAX_VJP, Dtype::F64, "staircase", Verdict::Nan),
    ("naive", Op::LOG_SOFTMAX_JVP, Dtype::F16, "ties", Verdict::Nan),
    ("naive", Op::CROSS_ENTROPY_GRAD, Dtype::F32, "bits", Verdict::Nan),
    // All exponentials are 0: 0 / 0, log 0.
    ("naive", Op::SOFTMAX, Dtype::F64, "all_negative", Verdict::Nan),
    ("naive", Op::LOGSUMEXP, Dtype::F16, "all_negative", Verdict::Inf),
    ("naive", Op::SOFTMAX_VJP, Dtype::F32, "masked", Verdict::Nan),
    ("naive", Op::SOFTMAX_JVP, Dtype::Bf16, "all_negative", Verdict::Nan),
    // log of a probability that is 0.
    ("naive", Op::CROSS_ENTROPY, Dtype::F16, "confident_wrong", Verdict::Inf),
    ("naive", Op::CROSS_ENTROPY, Dtype::F64, "confident_wrong", Verdict::Inf),
    ("naive", Op::LOG_SOFTMAX, Dtype::F32, "signed_zero", Verdict::Inf),
    // Sums and results in the half dtypes themselves.
    ("naive", Op::SOFTMAX, Dtype::Bf16, "long", Verdict::Inaccurate),
    ("naive", Op::SOFTMAX, Dtype::F16, "ties", Verdict::Inaccurate),
    ("naive", Op::LOGSUMEXP, Dtype::Bf16, "cancellation", Verdict::Zero),
    ("naive", Op::CROSS_ENTROPY_GRAD, Dtype::F16, "dominant", Verdict::Zero),
    ("naive", Op::SOFTMAX_VJP, Dtype::F16, "subnormal", Verdict::Inaccurate),
    ("unfused", Op::LOG_SOFTMAX, Dtype::F16, "ordinary", Verdict::Inf),
    ("unfused", Op::LOG_SOFTMAX, Dtype::F32, "confident_wrong", Verdict::Inf),
    ("unfused", Op::LOG_SOFTMAX, Dtype::F64, "wide", Verdict::Inf),
    ("unfused", Op::LOG_SOFTMAX, Dtype::Bf16, "staircase", Verdict::Inf),
    // The probability is subnormal and has lost digits.
    ("unfused", Op::LOG_SOFTMAX, Dtype::F32, "thresholds", Verdict::Inaccurate),
    ("unfused", Op::CROSS_ENTROPY, Dtype::F16, "spike", Verdict::Inf),
    ("unfused", Op::CROSS_ENTROPY, Dtype::Bf16, "offset", Verdict::Inf),
    ("unfused", Op::CROSS_ENTROPY, Dtype::F32, "confident_wrong", Verdict::Inf),
    ("unfused", Op::CROSS_ENTROPY, Dtype::F64, "bits", Verdict::Inf),
    ("unfused", Op::CROSS_ENTROPY, Dtype::F64, "thresholds", Verdict::Inaccurate),
    // The rounding error of LSE, as large as ulp(LSE), is an absolute error of everything made from it.
    ("division_free", Op::SOFTMAX, Dtype::F16, "offset", Verdict::Inaccurate),
    ("division_free", Op::SOFTMAX, Dtype::F32, "offset", Verdict::Inaccurate),
    ("division_free", Op::SOFTMAX, Dtype::F64, "staircase", Verdict::Relation),
    ("division_free", Op::SOFTMAX, Dtype::Bf16, "all_negative", Verdict::Inaccurate),
    ("division_free", Op::LOG_SOFTMAX, Dtype::F32, "offset", Verdict::Zero),
    ("division_free", Op::LOG_SOFTMAX, Dtype::Bf16, "masked", Verdict::Zero),
    ("division_free", Op::CROSS_ENTROPY, Dtype::F64, "offset", Verdict::Zero),
    ("division_free", Op::CROSS_ENTROPY, Dtype::F32, "all_negative", Verdict::Inaccurate),
    ("division_free", Op::CROSS_ENTROPY_GRAD, Dtype::F64, "thresholds", Verdict::Sign),
    ("division_free", Op::CROSS_ENTROPY_GRAD, Dtype::F32, "offset", Verdict::Inaccurate),
    ("division_free", Op::SOFTMAX_VJP, Dtype::Bf16, "offset", Verdict::Sign),
    ("division_free", Op::SOFTMAX_JVP, Dtype::F16, "offset", Verdict::Inaccurate),
    ("division_free", Op::LOG_SOFTMAX_VJP, Dtype::F64, "offset", Verdict::Inaccurate),
    ("division_free", Op::LOG_SOFTMAX_JVP, Dtype::F32, "offset", Verdict::Inaccurate),
    // The same of products, and of a distribution.
    ("naive", Op::SCALED_SOFTMAX, Dtype::F32, "ordinary", Verdict::Nan),
    ("division_free", Op::SCALED_SOFTMAX, Dtype::F32, "ordinary", Verdict::Inaccurate),
    ("naive", Op::SOFT_CROSS_ENTROPY, Dtype::F32, "offset", Verdict::Nan),
    ("naive", Op::SOFT_CROSS_ENTROPY, Dtype::F16, "confident_wrong", Verdict::Inf),
    ("naive", Op::SOFT_CROSS_ENTROPY_GRAD, Dtype::F64, "staircase", Verdict::Nan),
    ("unfused", Op::SOFT_CROSS_ENTROPY, Dtype::F32, "confident_wrong", Verdict::Inf),
    ("unfused", Op::SOFT_CROSS_ENTROPY, Dtype::F64, "thresholds", Verdict::Inaccurate),
    ("division_free", Op::SOFT_CROSS_ENTROPY, Dtype::F64, "offset", Verdict::Zero),
    ("division_free", Op::SOFT_CROSS_ENTROPY_GRAD, Dtype::F32, "offset", Verdict::Inaccurate),
    // Prefixes without a maximum.
    ("naive", Op::LOGCUMSUMEXP, Dtype::F32, "offset", Verdict::Inf),
    ("naive", Op::LOGCUMSUMEXP, Dtype::F16, "all_negative", Verdict::Inf),
];

#[test]
fn every_unstable_kernel_is_caught_as_the_table_says() {
    for kernel in builtin::all().iter().filter(|kernel| kernel.defect().is_none() && !kernel.is_trusted()) {
        assert!(UNSTABLE.iter().any(|(name, ..)| *name == kernel.name()), "the table lacks {}", kernel.name());
    }
    for (kernel, op, dtype, family, verdict) in UNSTABLE {
        let mut plan = plan(&[kernel], family, UNSTABLE_CASES);
        (plan.ops, plan.dtypes, plan.findings) = (vec![op], vec![dtype], false);
        let cell = &run(&plan).cells[0];
        let count = cell.verdicts.get(&verdict).copied().unwrap_or(0);
        assert!(count > 0, "{kernel}, {op} {dtype}: no case of {family} in {} is {verdict}: {cell:?}", cell.cases);
    }
}

/// A case written as on the command line, examined on a built-in kernel.
fn examined(kernel: &str, case: &str) -> Examination {
    let (kernel, case) = (builtin::find(kernel).expect(kernel), Case::parse(case).expect(case));
    examine(&mut Oracle::new(), kernel, &kernel.claims(case.op(), case.dtype()), &case)
}

/// Checks the verdict of a kernel on a case, the output that decides it, and the truth of that output.
fn assert_caught(kernel: &str, case: &str, verdict: Verdict, (index, got, exact): (usize, f64, &str)) {
    let Examination { judgement, exact: truth, .. } = examined(kernel, case);
    assert_eq!(judgement.verdict, verdict, "{kernel} on {case}: {judgement:?}");
    let worst = judgement.worst.expect("outputs");
    assert_eq!(worst.index, index, "{kernel} on {case}");
    assert!(worst.got == got || (worst.got.is_nan() && got.is_nan()), "{kernel} on {case}: {}", worst.got);
    assert!(truth[index].digits.starts_with(exact), "{kernel} on {case}: the truth is {}", truth[index].digits);
}

fn assert_passes(kernel: &str, case: &str) -> Examination {
    let examination = examined(kernel, case);
    assert_eq!(examination.judgement.verdict, Verdict::Pass, "{kernel} on {case}: {:?}", examination.judgement);
    examination
}

/// The correct kernels of the ops of rows.
fn trusted() -> impl Iterator<Item = &'static str> {
    let of_rows = |kernel: &&builtin::Builtin| kernel.is_trusted() && kernel.supports(Op::SOFTMAX, Dtype::F32);
    builtin::all().iter().filter(of_rows).map(|kernel| kernel.name())
}

/// Of two rows that fail for their length, one lost its last terms and the other all but a few.
#[test]
fn lengths_are_told_apart() {
    for (kernel, case, cause) in [
        ("defect/half-sum", "softmax bf16 [0*260]", "narrow_sum"),
        ("defect/narrow-index", "softmax f32 [0*256]", "narrow_index"),
        ("defect/narrow-index", "cross_entropy_grad f32 [0*257] target=256", "narrow_index"),
        ("defect/short-index", "cross_entropy_grad f32 [0*65536] target=65535", "narrow_index"),
        // Long by chance: it fails with fewer classes, too.
        ("naive", "softmax f32 [1000*256]", "exp_overflow"),
        ("defect/exp-of-degree-2", "softmax f64 [0*64, -0.5*64]", "wrong_value"),
    ] {
        assert_eq!(examined(kernel, case).cause.map(Cause::name), Some(cause), "{kernel} on {case}");
    }
}

#[test]
fn readme_softmax_of_a_large_logit_is_nan() {
    let case = "softmax f32 [1000, 0]";
    assert_caught("naive", case, Verdict::Nan, (0, f64::NAN, "1.00000000000000000000000000000e0"));
    assert_eq!(examined("naive", case).cause.map(Cause::name), Some("exp_overflow"));
    trusted().for_each(|kernel| assert!(assert_passes(kernel, case).judgement.max_ulp <= 0.5, "{kernel}"));
}

#[test]
fn readme_log_of_softmax_is_minus_infinity() {
    let case = "log_softmax f32 [0, -200]";
    assert_caught("unfused", case, Verdict::Inf, (1, f64::NEG_INFINITY, "-2.00000000000000000000000000000e2"));
    assert_eq!(examined("unfused", case).cause.map(Cause::name), Some("log_of_zero"));
    trusted().for_each(|kernel| drop(assert_passes(kernel, case)));
}

#[test]
fn readme_loss_through_log_of_zero_is_infinite() {
    let case = "cross_entropy f32 [0, -200] target=1";
    assert_caught("unfused", case, Verdict::Inf, (0, f64::INFINITY, "2.00000000000000000000000000000e2"));
    assert_eq!(examined("unfused", case).cause.map(Cause::name), Some("log_of_zero"));
    trusted().for_each(|kernel| drop(assert_passes(kernel, case)));
}

/// The gradient of a confident row is -e^-20, and 0 is what the textbook `p_t - 1` gives: the bound forgives it, and says by
/// how many ulps it is wrong. Only `log1p`, which forms `-s / S`, has a gradient left; and a kernel that stores its
/// probabilities in bf16 loses it where the textbook does not, which fails.
#[test]
fn readme_gradient_of_a_confident_row_vanishes() {
    let case = "cross_entropy_grad f32 [0, -20] target=0";
    let Examination { judgement, exact, .. } = assert_passes("unfused", case);
    assert!(exact[0].digits.starts_with("-2.06115361819020"), "{}", exact[0].digits);
    assert_eq!(judgement.grade, Some(Grade::Textbook));
    // All digits are lost: the value is 2^23 to 2^24 of its own ulps.
    assert!(judgement.max_ulp > 8388608.0 && judgement.max_ulp < 16777216.0, "{}", judgement.max_ulp);
    let log1p = assert_passes("log1p", case).judgement;
    assert!(log1p.max_ulp < 4.0, "{}", log1p.max_ulp);

    let case = "cross_entropy_grad f32 [7, 0] target=0";
    assert_caught("defect/low-precision-store", case, Verdict::Zero, (0, 0.0, "-9.11051194400645"));
    trusted().for_each(|kernel| drop(assert_passes(kernel, case)));
}

/// The loss of a confident wrong row is its gap, however large: `1e30 + log1p(e^-1e30)`. Correct kernels give it, one that adds
/// an epsilon stops at `-log(1e-8)`, and one that goes through the probability is infinite.
#[test]
fn readme_loss_of_a_confident_wrong_row_is_finite_and_enormous() {
    let case = "cross_entropy f32 [1e30, 0] target=1";
    let clipped = f64::from(-(1e-8f32.ln()));
    // 1e30 in f32, and what exp cannot reach
    let exact = "1.00000001504746621987668885504e30";
    assert_caught("defect/epsilon-in-log", case, Verdict::Inaccurate, (0, clipped, exact));
    assert!(clipped < 18.5, "{clipped}");
    assert_caught("unfused", case, Verdict::Inf, (0, f64::INFINITY, exact));
    for kernel in trusted() {
        let judgement = assert_passes(kernel, case).judgement;
        assert_eq!(judgement.worst.expect("one output").got, f64::from(1e30f32), "{kernel}");
    }
}
