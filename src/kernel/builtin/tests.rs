//! Tests of the built-in kernels: against values known by hand, on every special value, on what they claim, and that each
//! planted defect shows where it should and nowhere else.

use super::{Builtin, Defect, Examples, all, batched, find, matches};
use crate::campaign::{self, Control, Plan};
use crate::case::{Case, Value};
use crate::dtype::Dtype;
use crate::kernel::{Fault, Kernel, Outcome, run};
use crate::op::Op;
use crate::op::signature::Role;
use std::collections::BTreeSet;
use std::sync::Arc;

const INF: f64 = f64::INFINITY;
const NAN: f64 = f64::NAN;

/// Correct kernels, at least.
const LEAST_CORRECT: usize = 16;

/// Whether a kernel implements the ops of rows.
fn is_of_rows(kernel: &Builtin) -> bool {
    kernel.supports(Op::SOFTMAX, Dtype::F32)
}

/// The ops of rows.
fn row_ops() -> impl Iterator<Item = Op> {
    Op::ALL.iter().copied().filter(|op| !op.is_elementwise())
}

/// The names of the correct kernels of the ops of rows.
fn correct() -> impl Iterator<Item = &'static str> {
    all().iter().filter(|kernel| kernel.is_trusted() && is_of_rows(kernel)).map(|kernel| kernel.name())
}

fn outputs(kernel: &str, case: &Case) -> Vec<f64> {
    match run(find(kernel).unwrap(), case) {
        Outcome::Outputs(outputs) => {
            assert_eq!(outputs.len(), case.op().outputs(case.logits().len()), "{kernel}: {case}");
            outputs
        }
        Outcome::Failed(_, message) => panic!("{kernel} on {case}: {message}"),
        Outcome::NotRun => panic!("{kernel} was not run on {case}"),
    }
}

fn on(kernel: &str, text: &str) -> Vec<f64> {
    outputs(kernel, &Case::parse(text).unwrap())
}

fn bits(dtype: Dtype, values: &[f64]) -> Vec<u64> {
    values.iter().map(|&x| dtype.output().to_bits(x)).collect()
}

/// A distribution over `n` classes: all on the target where nothing is smoothed, else a half, and the other half shared by as many others
/// as a power of two counts.
fn distribution(n: usize, target: usize, smoothing: f64) -> Vec<f64> {
    let mut masses = vec![0.0; n];
    if n == 0 {
        return masses;
    }
    let others = if smoothing == 0.0 || n == 1 { 0 } else { 1 << (n - 1).ilog2() };
    masses[target] = if others == 0 { 1.0 } else { 0.5 };
    (0..n).filter(|&i| i != target).take(others).for_each(|i| masses[i] = 0.5 / others as f64);
    masses
}

/// A case of any op; the target, smoothing and direction are used where the op takes them.
fn case(op: Op, dtype: Dtype, logits: &[f64], target: usize, smoothing: f64, direction: &[f64]) -> Case {
    let other = |role: Role| match role {
        Role::Class => Value::Index(target),
        Role::Classes => vec![(!logits.is_empty()).then_some(target)].into(),
        Role::Smoothing => Value::Number(smoothing),
        Role::Label => direction.iter().map(|g| if *g > 0.0 { 0.25 } else { 1.0 }).collect::<Vec<f64>>().into(),
        Role::Logits => direction.iter().map(|g| -4.0 - g.abs()).collect::<Vec<f64>>().into(),
        Role::Direction | Role::Values => direction.to_vec().into(),
        Role::Scale => Value::Number(0.5),
        Role::Distribution => distribution(logits.len(), target, smoothing).into(),
    };
    Case::with_others(op, dtype, logits.to_vec(), other).unwrap()
}

/// A direction of `n` small integers, none of them 0.
fn direction(n: usize) -> Vec<f64> {
    [1.0, -2.0, 4.0, 3.0].into_iter().cycle().take(n).collect()
}

#[test]
fn the_registry_is_consistent() {
    let names: BTreeSet<&str> = all().iter().map(|kernel| kernel.name()).collect();
    assert_eq!(names.len(), all().len(), "names are unique");
    assert!(correct().count() >= LEAST_CORRECT);
    for kernel in all() {
        assert!(std::ptr::eq(find(kernel.name()).unwrap(), kernel));
        assert_eq!(kernel.name().starts_with("defect/"), kernel.defect().is_some(), "{}", kernel.name());
        assert!(!kernel.summary().is_empty() && !kernel.summary().contains('\n'));
        if let Some(defect) = kernel.defect() {
            let number = defect.class.strip_prefix('C').and_then(|number| number.parse::<u32>().ok());
            assert!(number.is_some_and(|number| (1..=40).contains(&number)), "{defect:?}");
            assert!(!defect.families.is_empty() && !defect.story.contains('\n'), "{defect:?}");
        }
    }
    assert!(find("softmax").is_none());
}

/// The codes in the first column of a table of `docs/defects.md`, that under this heading.
fn legend(heading: &str) -> BTreeSet<String> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/defects.md");
    let text = std::fs::read_to_string(path).unwrap();
    let (_, rest) = text.split_once(&format!("\n## {heading}\n")).unwrap_or_else(|| panic!("no `{heading}` in {path}"));
    let table = rest.split("\n## ").next().unwrap();
    let mut codes = BTreeSet::new();
    for row in table.lines().filter_map(|line| line.strip_prefix("| C")) {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        assert!(cells.len() >= 3 && cells[1..cells.len() - 1].iter().all(|cell| !cell.is_empty()), "{row}");
        assert!(codes.insert(format!("C{}", cells[0])), "C{} has two rows", cells[0]);
    }
    codes
}

/// The legend of the codes has each class that a defect is of, no other and none twice; and every class has a defect.
#[test]
fn every_class_is_in_the_legend() {
    let every = all().iter().chain(batched());
    let used: BTreeSet<String> = every.filter_map(|kernel| Some(kernel.defect()?.class.to_owned())).collect();
    let planted = legend("Planted");
    assert_eq!(used, planted);
    let every: BTreeSet<String> = (1..=43).map(|number| format!("C{number:02}")).collect();
    assert_eq!(planted, every);
}

#[test]
fn no_report_stands_for_two_classes() {
    let defects = || all().iter().filter_map(|kernel| Some((kernel.name(), kernel.defect()?)));
    let mut class_of = std::collections::BTreeMap::new();
    for (name, Defect { class, report, .. }) in defects() {
        let Some(report) = report else { continue };
        let thread = report.strip_prefix("https://github.com/").unwrap_or_else(|| panic!("{name}: {report}"));
        let [_, _, kind, number] = thread.split('/').collect::<Vec<_>>()[..] else { panic!("{name}: {report}") };
        assert!(["issues", "pull"].contains(&kind) && number.parse::<u32>().is_ok(), "{name}: {report}");
        assert_eq!(*class_of.entry(report).or_insert(class), class, "{name}: {report} is of another class, too");
    }
    // Its mechanism is all over public code; no thread was found that names it.
    let unlinked: Vec<&str> = defects().filter(|(_, defect)| defect.report.is_none()).map(|(name, _)| name).collect();
    assert_eq!(unlinked, ["defect/short-log2e"]);
}

/// The kernels that some defects are planted in and that are no kernels of the registry: the same steps and claims, with what
/// is missing or wrong put right.
mod mended {
    use super::super::defects::carried::{lane_sum, merged_claims, merged_lanes, merged_parts};
    use super::super::defects::{attention, carried, exponentials, sums};
    use super::super::recipe::{Normalizer, Recipe, Row};
    use super::super::stable::Shifted;
    use crate::dtype::Dtype;
    use crate::kernel::{Claims, Real};
    use crate::op::Op;

    /// What `exp(before - max)` is for the sum of a part; nothing where the part met no class.
    fn guarded<A: Real>(_: &Row<A>, before: A, max: A) -> A {
        if before == A::NEG_INFINITY { A::ZERO } else { (before - max).exp() }
    }

    pub struct IdleLanes;

    impl Recipe for IdleLanes {
        const NAME: &'static str = "mended/idle-lanes";
        const SUMMARY: &'static str = "lanes with a maximum and a sum each, merged";

        fn claims(op: Op, dtype: Dtype) -> Claims {
            carried::IdleLanes::claims(op, dtype)
        }

        fn sum<A: Real>(row: &Row<A>, terms: &[A]) -> A {
            lane_sum(row, terms, super::super::defects::LANES)
        }

        fn normalizer<A: Real>(row: &Row<A>) -> Normalizer<A> {
            merged_lanes(row, super::super::defects::LANES, guarded)
        }
    }

    pub struct Halves;

    impl Recipe for Halves {
        const NAME: &'static str = "mended/merged-without-rescale";
        const SUMMARY: &'static str = "two halves with a maximum and a sum each, merged";

        fn claims(op: Op, dtype: Dtype) -> Claims {
            merged_claims(op, dtype, 1)
        }

        fn normalizer<A: Real>(row: &Row<A>) -> Normalizer<A> {
            merged_parts(row, 2, guarded)
        }
    }

    pub struct Parts;

    impl Recipe for Parts {
        const NAME: &'static str = "mended/empty-parts-merged";
        const SUMMARY: &'static str = "8 parts with a maximum and a sum each, merged";

        fn claims(op: Op, dtype: Dtype) -> Claims {
            carried::EmptyPartsMerged::claims(op, dtype)
        }

        fn normalizer<A: Real>(row: &Row<A>) -> Normalizer<A> {
            merged_parts(row, 8, guarded)
        }
    }

    pub struct Unseen;

    impl Recipe for Unseen {
        const NAME: &'static str = "mended/poisoned-mask";
        const SUMMARY: &'static str = "attention that does not see what is masked, and has the limits";

        fn supports(op: Op, _: Dtype) -> bool {
            op == Op::ATTENTION
        }

        fn claims(op: Op, dtype: Dtype) -> Claims {
            attention::PoisonedMask::claims(op, dtype)
        }

        fn attention<A: Real>(row: &Row<A>) -> A {
            // Where a value that is seen is not finite, the largest weight it can have tells as much as its own.
            let seen: Vec<(A, A)> = row.logits.iter().copied().zip(row.direction.iter().copied()).collect();
            let is_finite = row.logits.iter().all(|z| !z.is_nan() && *z != A::from_f64(f64::INFINITY));
            let has_weight = |z: A| z != A::NEG_INFINITY;
            if is_finite && row.logits.iter().any(|&z| has_weight(z)) {
                let odd: Vec<A> =
                    seen.iter().filter(|(z, v)| has_weight(*z) && !v.is_finite()).map(|(_, v)| *v).collect();
                if !odd.is_empty() {
                    return Shifted::sum(row, &odd);
                }
                let values: Vec<A> = seen.iter().map(|(z, v)| if has_weight(*z) { *v } else { A::ZERO }).collect();
                return Shifted::attention(&Row { direction: &values, ..*row });
            }
            attention::PoisonedMask::attention(row)
        }
    }

    pub struct Powers;

    impl Recipe for Powers {
        const NAME: &'static str = "mended/short-log2e";
        const SUMMARY: &'static str = "exp as a power of 2 without a reduction, with all digits of log2(e)";

        fn claims(op: Op, dtype: Dtype) -> Claims {
            exponentials::ShortLog2e::claims(op, dtype)
        }

        fn exp<A: Real>(_: &Row<A>, x: A) -> A {
            (x * A::from_f64(std::f64::consts::LOG2_E)).exp2()
        }
    }

    pub struct Log;

    impl Recipe for Log {
        const NAME: &'static str = "mended/short-ln2";
        const SUMMARY: &'static str = "log as a logarithm to base 2 times ln(2), with all its digits";

        fn claims(op: Op, dtype: Dtype) -> Claims {
            exponentials::ShortLn2::claims(op, dtype)
        }

        fn log<A: Real>(_: &Row<A>, x: A) -> A {
            A::from_f64(x.to_f64().log2()) * A::from_f64(std::f64::consts::LN_2)
        }
    }

    pub struct Reciprocal;

    impl Recipe for Reciprocal {
        const NAME: &'static str = "mended/approximate-reciprocal";
        const SUMMARY: &'static str = "the textbook with a product by the rounded reciprocal of the sum";

        fn claims(op: Op, dtype: Dtype) -> Claims {
            sums::ApproximateReciprocal::claims(op, dtype)
        }

        fn probability<A: Real>(row: &Row<A>, z: A, normalizer: &Normalizer<A>) -> A {
            Self::weight(row, z, normalizer.max) * (A::ONE / normalizer.sum)
        }
    }
}

/// The kernels of [`mended`], built as those of the registry are.
const MENDED: [Builtin; 7] = [
    Builtin::of::<mended::IdleLanes>(),
    Builtin::of::<mended::Halves>(),
    Builtin::of::<mended::Parts>(),
    Builtin::of::<mended::Unseen>(),
    Builtin::of::<mended::Powers>(),
    Builtin::of::<mended::Log>(),
    Builtin::of::<mended::Reciprocal>(),
];

/// No defect is caught only because it claims too much: what it claims is claimed by a correct kernel, which passes on all inputs.
#[test]
fn defects_claim_what_a_correct_kernel_does() {
    let sound = || all().iter().filter(|kernel| kernel.is_trusted()).chain(&MENDED);
    for defect in all().iter().filter(|kernel| kernel.defect().is_some()) {
        let same = |kernel: &Builtin| {
            let mut all = Op::ALL.iter().flat_map(|&op| Dtype::ALL.map(|dtype| (op, dtype)));
            all.all(|(op, dtype)| kernel.claims(op, dtype) == defect.claims(op, dtype))
        };
        assert!(sound().any(same), "{}", defect.name());
    }
    // The trusted kernels have a test of their own.
    let mut plan = Plan::new(MENDED.into_iter().map(|kernel| Arc::new(kernel) as Arc<dyn Kernel>).collect());
    (plan.cases, plan.seed) = (12, 3);
    let results = campaign::run(&plan, &Control::default()).unwrap();
    let findings: Vec<&String> = results.findings.iter().map(|finding| &finding.replay).collect();
    assert!(findings.is_empty(), "{findings:#?}");
    assert!(results.cells.iter().map(|cell| cell.cases).sum::<u64>() > 30_000);
}

#[test]
fn patterns() {
    for (pattern, name, want) in [
        ("shifted", "shifted", true),
        ("shifted", "shifted2", false),
        ("*", "anything", true),
        ("defect/*", "defect/x", true),
        ("defect/*", "shifted", false),
        ("*mask*", "defect/masked-uniform", true),
        ("*a*b*c", "xaybzc", true),
        ("*a*b*c", "xaybz", false),
    ] {
        assert_eq!(matches(pattern, name), want, "{pattern} {name}");
    }
}

/// The five ways to break that everybody meets first, and the kernel that cures each.
#[test]
fn unstable_kernels_break_where_they_are_known_to() {
    let row = "softmax f32 [1000, 0]";
    let naive = on("naive", row);
    assert!(naive[0].is_nan() && naive[1] == 0.0, "{naive:?}");
    assert_eq!(on("shifted", row), [1.0, 0.0]);

    let row = "log_softmax f32 [0, -200]";
    assert_eq!(on("unfused", row), [0.0, -INF]);
    assert_eq!(on("shifted", row), [0.0, -200.0]);

    // A loss of log 0, where the true one is only large.
    let row = "cross_entropy f32 [1000, 0] target=1";
    assert_eq!(on("unfused", row), [INF]);
    assert_eq!(on("shifted", row), [1000.0]);

    // The gradient of a confident row vanishes: 1 - p is below half an ulp of 1. Its truth is -1 / (1 + e^20).
    let row = "cross_entropy_grad f32 [20, 0] target=0";
    assert_eq!(on("shifted", row)[0], 0.0);
    assert!((on("log1p", row)[0] / -2.0611536181902037e-9 - 1.0).abs() < 1e-6);

    // log 2 is absorbed by 1e8.
    let row = "cross_entropy f32 [1e8, 1e8] target=0";
    assert_eq!(on("division_free", row), [0.0]);
    assert_eq!(on("shifted", row), [f64::from(std::f32::consts::LN_2)]);

    // In f16, exp overflows above 11.09 and a sum of ones stops at 2048.
    assert!(on("naive", "softmax f16 [12, 0]")[0].is_nan());
    assert_eq!(on("naive", "logsumexp f16 [0*4096]"), on("shifted", "logsumexp f16 [0*2048]"));
    assert_ne!(on("shifted", "logsumexp f16 [0*4096]"), on("shifted", "logsumexp f16 [0*2048]"));
}

#[test]
fn the_log_of_the_sum_keeps_its_digits_where_the_maximum_dominates() {
    // log(1 + e^-20) and log(1 + e^-30).
    for (row, want) in [
        ("logsumexp f32 [0, -20]", 2.0611536181902037e-9),
        ("cross_entropy f32 [30, 0] target=0", 9.357622968839862e-14),
    ] {
        assert!((on("log1p", row)[0] / want - 1.0).abs() < 1e-6, "{row}");
        assert_eq!(on("shifted", row), [0.0]);
    }
}

#[test]
fn correct_kernels_answer_special_values() {
    for kernel in correct() {
        for dtype in Dtype::ALL {
            for op in row_ops() {
                let answers = |logits: &[f64]| -> Vec<Vec<f64>> {
                    let smoothings = if op.needs_logit() { &[0.0, 0.125, 1.0][..] } else { &[0.0] };
                    let targets = if op.needs_logit() { 0..logits.len() } else { 0..1 };
                    targets
                        .flat_map(|target| smoothings.iter().map(move |&e| (target, e)))
                        .map(|(target, e)| {
                            outputs(kernel, &case(op, dtype, logits, target, e, &direction(logits.len())))
                        })
                        .collect()
                };
                let all_nan = |logits: &[f64]| {
                    for answer in answers(logits) {
                        assert!(answer.iter().all(|x| x.is_nan()), "{kernel} {op} {dtype} {logits:?}: {answer:?}");
                    }
                };
                if op == Op::LOGCUMSUMEXP {
                    answers_special_prefixes(kernel, dtype);
                    continue;
                }
                // NaN wherever it stands and whatever stands beside it.
                for rest in [1.0, -INF, INF] {
                    for n in [1, 2, 3, 9] {
                        for index in 0..n {
                            let mut logits = vec![rest; n];
                            logits[index] = NAN;
                            all_nan(&logits);
                            logits[0] = if index == 0 { NAN } else { 2.0 };
                            all_nan(&logits);
                        }
                    }
                }
                // +inf, one or several: the limit for the log-sum-exp, and as in all major frameworks NaN for the rest.
                for logits in [&[INF][..], &[INF, 0.0], &[0.0, INF, -INF], &[INF, INF], &[-INF, INF, 1.0, INF]] {
                    if op == Op::LOGSUMEXP {
                        assert_eq!(answers(logits), [[INF]], "{kernel} {dtype} {logits:?}");
                    } else {
                        all_nan(logits);
                    }
                }
                // Fully masked, at every length alike.
                for n in [1, 2, 7, 8, 9, 127, 128, 129] {
                    if op == Op::LOGSUMEXP {
                        assert_eq!(answers(&vec![-INF; n]), [[-INF]], "{kernel} {dtype} {n}");
                    } else {
                        all_nan(&vec![-INF; n]);
                    }
                }
                // No logit.
                if op == Op::LOGSUMEXP {
                    assert_eq!(answers(&[]), [[-INF]]);
                } else if op == Op::MEAN_CROSS_ENTROPY {
                    all_nan(&[]);
                } else if op.is_scalar() && !op.needs_logit() {
                    assert_eq!(answers(&[]), [[0.0]], "{op}");
                } else if !op.needs_logit() {
                    assert_eq!(answers(&[]), [[0.0; 0]]);
                }
            }
        }
    }
}

/// Of each prefix: NaN from the place of a NaN on, +inf from that of the first +inf on, -inf while all is masked, and numbers else.
fn answers_special_prefixes(kernel: &str, dtype: Dtype) {
    let values = [1.0, -INF, INF, NAN, -2.5];
    let rows = (0..values.len().pow(4)).map(|row| (0..4).map(move |place| values[row / values.len().pow(place) % 5]));
    let long = [127, 128, 129].map(|n| [vec![-INF; n], vec![1.0, INF, 2.0, NAN, INF]].concat());
    for row in rows.map(Iterator::collect::<Vec<f64>>).chain(long).chain([vec![]]) {
        let got = outputs(kernel, &case(Op::LOGCUMSUMEXP, dtype, &row, 0, 0.0, &[]));
        for (j, &x) in got.iter().enumerate() {
            let prefix = &row[..=j];
            let is_right = if prefix.iter().any(|z| z.is_nan()) {
                x.is_nan()
            } else if prefix.contains(&INF) {
                x == INF
            } else if prefix.iter().all(|&z| z == -INF) {
                x == -INF
            } else {
                x.is_finite()
            };
            assert!(is_right, "{kernel} {dtype} {row:?}: {got:?}");
        }
    }
}

/// Differences and sums of logits that overflow the type give weight 0 and an infinite distance, never NaN.
#[test]
fn overflowing_differences_are_no_nan() {
    for kernel in correct() {
        assert_eq!(on(kernel, "softmax f32 [3e38, -3e38]"), [1.0, 0.0]);
        assert_eq!(on(kernel, "softmax f64 [-1.7e308, 1.7e308, -inf]"), [0.0, 1.0, 0.0]);
        assert_eq!(on(kernel, "log_softmax f32 [3e38, -3e38]"), [0.0, -INF]);
        assert_eq!(on(kernel, "cross_entropy f32 [3e38, -3e38] target=0"), [0.0]);
        assert_eq!(on(kernel, "cross_entropy f32 [3e38, -3e38] target=1"), [INF]);
        assert_eq!(on(kernel, "cross_entropy f32 [3e38, -3e38, -3e38, -inf] target=0 label_smoothing=0x1p-149"), [INF]);
        assert_eq!(on(kernel, "softmax_vjp f32 [3e38, -3e38, -inf] cotangent=[1, -2, 4]"), [0.0; 3]);
    }
}

/// A row in which plain summation loses digits steadily, in the same direction: 65535 equal terms beside the maximum.
#[test]
fn sums_are_as_accurate_as_claimed() {
    let case = Case::parse("logsumexp f32 [0, -2.3*65535]").unwrap();
    let truth = {
        let weight = f64::from(case.logits()[1] as f32).exp();
        (65535.0 * weight).ln_1p()
    };
    let u = Dtype::F32.format().unit_roundoff();
    let error = |kernel: &str| {
        // The error of the sum, which becomes an absolute error of its logarithm.
        (outputs(kernel, &case)[0] - truth).abs() / u
    };
    // Rounding the result itself costs up to u |y| = 9 u, exp of each weight 2 u, log 2 u of itself.
    let (rest, n) = (truth + 2.0 + 2.0 * truth, 65536.0);
    for kernel in correct() {
        let claims = find(kernel).unwrap().claims(Op::LOGSUMEXP, Dtype::F32);
        let bound = rest + claims.sum.roundings(n as usize);
        assert!(error(kernel) <= bound, "{kernel}: {} u, above {bound} u", error(kernel));
    }
    assert!(error("shifted") > 10.0 * error("compensated"), "{} {}", error("shifted"), error("compensated"));
    assert!(error("shifted") > 10.0 * error("pairwise"), "{} {}", error("shifted"), error("pairwise"));
}

/// A stream of numbers for tests; Knuth's multiplier.
struct Stream(u64);

impl Stream {
    fn next(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) % below
    }
}

/// What the kernels claim of their shape holds bit for bit, on rows whose shifts are exact in every dtype.
#[test]
fn claims_hold_bit_for_bit() {
    let mut stream = Stream(7);
    let mut checked = [0; 3];
    for _ in 0..2_000 {
        let n = 1 + stream.next(40) as usize;
        let row: Vec<f64> = (0..n).map(|_| stream.next(128) as f64 / 4.0 - 16.0).collect();
        let moved: Vec<f64> = row.iter().map(|z| z + 8.0).collect();
        let g = direction(n);
        let target = stream.next(n as u64) as usize;
        for kernel in all().iter().filter(|kernel| kernel.defect().is_none() && is_of_rows(kernel)) {
            let name = kernel.name();
            let dtype = Dtype::ALL[stream.next(4) as usize];
            let op = row_ops().nth(stream.next(9) as usize).unwrap();
            let claims = kernel.claims(op, dtype);
            let answer = |logits: &[f64], target, g: &[f64]| outputs(name, &case(op, dtype, logits, target, 0.0, g));
            let got = answer(&row, target, &g);
            if claims.shifted {
                if op != Op::LOGSUMEXP {
                    let shifted = answer(&moved, target, &g);
                    assert_eq!(bits(dtype, &got), bits(dtype, &shifted), "{name} {op} {dtype} {row:?}");
                }
                let max = row.iter().copied().fold(-INF, f64::max);
                let in_range = |x: f64| match op {
                    Op::LOGSUMEXP => x >= max,
                    Op::SOFTMAX => (0.0..=1.0).contains(&x),
                    Op::LOG_SOFTMAX => x <= 0.0,
                    Op::CROSS_ENTROPY => x >= 0.0,
                    _ => true,
                };
                assert!(got.iter().all(|&x| in_range(x)), "{name} {op} {dtype} {row:?}: {got:?}");
                checked[0] += 1;
            }
            if claims.sequential {
                let [front, front_g] =
                    [(&row, -INF), (&g, 0.0)].map(|(rest, first)| [&[first][..], &rest[..]].concat());
                let [back, back_g] = [(&row, -INF), (&g, 0.0)].map(|(rest, last)| [&rest[..], &[last]].concat());
                let inner = |x: Vec<f64>, at: usize| if op.is_scalar() { x } else { x[at..at + n].to_vec() };
                let in_front = inner(answer(&front, target + 1, &front_g), 1);
                let behind = inner(answer(&back, target, &back_g), 0);
                assert_eq!(bits(dtype, &got), bits(dtype, &in_front), "{name} {op} {dtype} {row:?}");
                assert_eq!(bits(dtype, &got), bits(dtype, &behind), "{name} {op} {dtype} {row:?}");
                checked[1] += 1;
            }
            if claims.elementwise_monotone && op == Op::SOFTMAX {
                for (i, j) in (0..n).flat_map(|i| (0..n).map(move |j| (i, j))) {
                    assert!(row[i] <= row[j] || got[i] >= got[j], "{name} {dtype} {row:?}: {got:?}");
                }
                checked[2] += 1;
            }
        }
    }
    assert!(checked[0] > 5_000 && checked[1] > 5_000, "{checked:?}");
    assert!(checked[2] > 500 || !cfg!(target_env = "gnu"), "{checked:?}");
}

/// Defects with an input that they do not show on, at least.
const LEAST_SPARED: usize = 75;

#[test]
fn every_defect_shows_where_it_should_and_only_there() {
    let differs = |defect: &Builtin, text: &str| {
        let case = Case::parse(text).unwrap();
        // The kernel that it was planted in.
        let sound = match case.op().is_elementwise() {
            true => "branched",
            false if defect.claims(case.op(), case.dtype()).tight => "log1p",
            // Prefixes are scanned where nothing is shifted.
            false if case.op() == Op::LOGCUMSUMEXP && !defect.claims(case.op(), case.dtype()).shifted => {
                "logaddexp_scan"
            }
            false => "shifted",
        };
        match run(defect, &case) {
            Outcome::Outputs(got) => bits(case.dtype(), &got) != bits(case.dtype(), &outputs(sound, &case)),
            Outcome::Failed(..) => true,
            Outcome::NotRun => false,
        }
    };
    let mut spared = 0;
    for kernel in all() {
        assert_eq!(kernel.defect().is_some(), kernel.examples().is_some(), "{}", kernel.name());
        let Some(Examples { exposing, sparing, .. }) = kernel.examples() else { continue };
        assert!(differs(kernel, exposing), "{} does not show on {exposing}", kernel.name());
        if let Some(sparing) = sparing {
            assert!(!differs(kernel, sparing), "{} shows on {sparing}", kernel.name());
            spared += 1;
        }
    }
    assert!(spared >= LEAST_SPARED, "{spared}");
}

/// How the defects fail, where the way they fail is the point.
#[test]
fn defects_fail_as_their_stories_say() {
    assert!(on("defect/lse-unguarded-infinity", "logsumexp f32 [inf, 0]")[0].is_nan());
    assert_eq!(on("defect/prefixes-below-row", "logcumsumexp f32 [0, 200]"), [-INF, 200.0]);
    assert_eq!(on("defect/prefixes-not-rescaled", "logcumsumexp f32 [0, 100]")[1], f64::from(100.693_146f32));
    assert!(on("defect/scan-unguarded", "logcumsumexp f32 [-inf, -inf, 1]")[1..].iter().all(|x| x.is_nan()));
    assert_eq!(on("defect/scan-drops-nan", "logcumsumexp f32 [1, nan]"), [1.0, f64::from(1.693_147_2f32)]);
    assert!(on("defect/unguarded-online", "logcumsumexp f32 [-inf, 1]")[1].is_nan());
    assert_eq!(on("defect/masked-uniform", "softmax f32 [-inf*4]"), [0.25; 4]);
    assert_eq!(on("defect/masked-by-length", "softmax f32 [-inf*127]"), [0.0; 127]);
    assert!(on("defect/unguarded-online", "softmax f32 [-inf, 1]")[1].is_nan());
    assert_eq!(on("defect/nan-dropping-max", "logsumexp f32 [nan, inf]"), [INF]);
    assert_eq!(on("defect/half-sum", "logsumexp bf16 [0*4096]"), on("shifted", "logsumexp bf16 [0*256]"));
    assert_eq!(on("defect/low-precision-store", "cross_entropy_grad f32 [7, 0] target=0")[0], 0.0);
    assert!(on("defect/gradient-through-division", "log_softmax_vjp f32 [0, -200] cotangent=[1, 2]")[1].is_nan());
    assert!(on("defect/epsilon-in-log", "cross_entropy f32 [100, 0] target=1")[0] < 18.5);
    assert!(on("defect/exp-clamped", "softmax bf16 [0, -inf]")[1] > 0.0);
    assert!(matches!(
        run(find("defect/empty-panics").unwrap(), &Case::parse("logsumexp f32 []").unwrap()),
        Outcome::Failed(Fault::Panic, message) if message.contains("index out of bounds")
    ));
}

/// Any case that a fuzzer can make: every kernel answers, with as many values of the dtype as the op has outputs.
#[test]
fn no_kernel_panics_on_any_bytes() {
    let mut stream = Stream(1);
    for _ in 0..4_000 {
        let length = stream.next(120);
        let bytes: Vec<u8> = (0..length).map(|_| stream.next(256) as u8).collect();
        let case = Case::decode(&bytes);
        for kernel in all().iter().filter(|kernel| kernel.supports(case.op(), case.dtype())) {
            if kernel.name() == "defect/empty-panics" && case.logits().is_empty() {
                continue;
            }
            if kernel.name() == "defect/masked-asserts" && case.logits().iter().all(|&z| z == -INF) {
                continue;
            }
            for x in outputs(kernel.name(), &case) {
                assert!(case.dtype().output().holds(x), "{} on {case}: {x}", kernel.name());
            }
        }
    }
}
