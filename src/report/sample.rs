//! Made-up results for the tests of the reports: every verdict, numbers that are not finite, long rows, several kernels.

use crate::dtype::{Dtype, text};
use crate::judge::{Grade, Verdict};
use crate::kernel::builtin;
use crate::op::Op;
use crate::op::signature::{Extent, Role};
use crate::results::*;
use std::collections::BTreeMap;

pub(super) const FAMILIES: [&str; 24] = [
    "all_negative",
    "bits",
    "cancellation",
    "confident_wrong",
    "dominant",
    "extreme",
    "fully_masked",
    "long",
    "masked",
    "nan",
    "offset",
    "ordinary",
    "overflow",
    "pos_inf",
    "signed_zero",
    "sorted",
    "spike",
    "staircase",
    "subnormal",
    "ties",
    "tiny_n",
    "underflow",
    "wide",
    "zigzag",
];

/// What a made-up kernel does, and in how many of the families.
#[derive(Clone, Copy)]
enum Habit {
    Passes,
    Fails(&'static [(Verdict, Cause)], usize),
}

const NAIVE: &[(Verdict, Cause)] = &[
    (Verdict::Nan, Cause::ExpOverflow),
    (Verdict::Inf, Cause::LogOfZero),
    (Verdict::Zero, Cause::SumUnderflow),
    (Verdict::Inaccurate, Cause::Cancellation),
];

/// The ops of the results: as many as a kernel has at most, those of rows, and one more.
pub(crate) const OPS: &[Op] = Op::ALL.split_at(10).0;

/// Results with `defects` planted kernels (at most 18) besides eight ordinary ones, one of which has a name made to break pages.
pub(crate) fn results(defects: usize) -> Results {
    let mut kernels: Vec<(String, Habit)> = vec![
        ("<script>alert(\"|`&'\")</script>".into(), Habit::Fails(&[(Verdict::Undecided, Cause::WrongValue)], 1)),
        ("compensated".into(), Habit::Passes),
        (
            "division_free".into(),
            Habit::Fails(&[(Verdict::Inaccurate, Cause::Cancellation), (Verdict::Range, Cause::Cancellation)], 5),
        ),
        ("log1p".into(), Habit::Passes),
        ("naive".into(), Habit::Fails(NAIVE, 14)),
        ("online".into(), Habit::Passes),
        ("shifted".into(), Habit::Passes),
        (
            "unfused".into(),
            Habit::Fails(&[(Verdict::Inf, Cause::LogOfZero), (Verdict::Inaccurate, Cause::Cancellation)], 9),
        ),
    ];
    let planted = builtin::all().iter().filter(|kernel| kernel.defect().is_some());
    let verdicts = Verdict::ALL[2..].iter().chain(&[Verdict::Nan, Verdict::Inf]);
    for (i, (&verdict, kernel)) in verdicts.zip(planted).take(defects).enumerate() {
        let habits: [&'static [(Verdict, Cause)]; 18] = HABITS;
        let habit = habits[verdict as usize - 2];
        kernels.push((kernel.name().to_owned(), Habit::Fails(habit, 3 + i % 9)));
    }
    kernels.sort_by(|a, b| a.0.cmp(&b.0));
    let mut noise = Noise(20260131);
    let mut results = Results {
        schema: SCHEMA.into(),
        complete: true,
        settings: Settings {
            seed: 1,
            cases: 200,
            max_len: 65536,
            kernels: kernels.iter().map(|(name, _)| name.clone()).collect(),
            ops: OPS.to_vec(),
            dtypes: Dtype::PLAIN.to_vec(),
            families: FAMILIES.map(String::from).to_vec(),
            special: None,
            claims: Some("exp=4,sum=pairwise".into()),
            file: Some(FileRows { rows: 1000, checksum: "af63dc4c8601ec8c".into() }),
            search: 0,
        },
        provenance: Provenance {
            logitfuzz: "0.1.0".into(),
            generators: 1,
            mpfr: "4.2.1".into(),
            libraries: BTreeMap::new(),
        },
        declared: Vec::new(),
        cells: vec![],
        findings: vec![],
        curves: vec![],
        shard: None,
    };
    for (name, habit) in &kernels {
        for &op in OPS {
            for dtype in Dtype::PLAIN {
                slot(&mut results, name, *habit, op, dtype, &mut noise);
            }
        }
    }
    let order =
        |f: &Finding| (f.kernel.clone(), f.op, f.dtype, f.verdict, f.cause_name(), f.family.clone(), f.case_index);
    results.findings.sort_by_key(order);
    results
}

const HABITS: [&[(Verdict, Cause)]; 18] = [
    &[(Verdict::Inconsistent, Cause::Inconsistent)],
    &[(Verdict::Relation, Cause::BrokenRelation)],
    &[(Verdict::Inaccurate, Cause::Cancellation)],
    &[(Verdict::Sign, Cause::Cancellation)],
    &[(Verdict::Range, Cause::RoundedExponent)],
    &[(Verdict::Zero, Cause::SumUnderflow)],
    &[(Verdict::Inf, Cause::LogOfZero)],
    &[(Verdict::Nan, Cause::ExpOverflow)],
    &[(Verdict::Swallowed, Cause::NanLost)],
    &[(Verdict::Contaminated, Cause::OtherRows)],
    &[(Verdict::Flaky, Cause::Flaky)],
    &[(Verdict::Unwritten, Cause::Unwritten)],
    &[(Verdict::FenvChanged, Cause::RoundedExponent)],
    &[(Verdict::InputChanged, Cause::InputChanged)],
    &[(Verdict::OutOfBounds, Cause::Unwritten)],
    &[(Verdict::Panic, Cause::Panic)],
    &[(Verdict::Hang, Cause::Hang)],
    &[(Verdict::Crash, Cause::Crash)],
];

fn slot(results: &mut Results, kernel: &str, habit: Habit, op: Op, dtype: Dtype, noise: &mut Noise) {
    for (number, family) in FAMILIES.iter().enumerate() {
        let mut verdicts = BTreeMap::from([(Verdict::Pass, 200)]);
        let (mut max_ulp, mut max_ratio) = (2.0 * noise.unit(), 0.3 + 0.69 * noise.unit());
        let broken = match habit {
            Habit::Fails(how, families) if number * 5 % 24 < families => Some(how[number % how.len()]),
            _ => None,
        };
        if let Some((verdict, cause)) = broken {
            let n = 1 + (noise.unit() * 150.0) as u64;
            verdicts = BTreeMap::from([(Verdict::Pass, 200 - n), (verdict, n)]);
            (max_ulp, max_ratio) = match verdict {
                Verdict::Inaccurate | Verdict::Sign | Verdict::Range => {
                    (10f64.powf(1.0 + 10.0 * noise.unit()), 10f64.powf(5.0 * noise.unit()))
                }
                Verdict::Undecided | Verdict::Relation | Verdict::Inconsistent => (max_ulp, max_ratio),
                _ => (max_ulp, f64::INFINITY),
            };
            if verdict.is_failure() && number % 3 == 0 {
                results.findings.push(finding(kernel, op, dtype, family, verdict, cause, (max_ulp, max_ratio), number));
            }
        }
        let histogram_len = (max_ulp.max(0.5).log2() + 2.0) as usize;
        results.cells.push(Cell {
            kernel: kernel.into(),
            op,
            dtype,
            family: (*family).into(),
            cases: 200,
            not_run: 0,
            outputs: if op.is_scalar() { 200 } else { 6100 },
            first_failing: verdicts.keys().any(|verdict| verdict.is_failure()).then_some(number as u64 % 7),
            verdicts,
            grades: BTreeMap::from([
                (Grade::Tight, 5000),
                (Grade::Textbook, 1000 * (number as u64 % 2)),
                (Grade::LongSum, u64::from(*family == "long")),
            ]),
            max_ulp,
            max_ratio,
            max_strict_ratio: if number == 3 && op == Op::CROSS_ENTROPY { 1e6 } else { 0.0 },
            mean_signed_ulp: if number == 9 { f64::NAN } else { noise.unit() - 0.5 },
            ulp_histogram: (0..histogram_len)
                .map(|k| (6000.0 * noise.unit() / 4f64.powi(k as i32)) as u64 + 1)
                .collect(),
            worst: (number % 2 == 0).then(|| format!("{op} {dtype} [0x1.f4p+9, 0x0p+0]")),
        });
    }
    let (low, high) = (dtype.format().least_exponent(), dtype.format().emax);
    let fails = matches!(habit, Habit::Fails(how, _) if how[0].0 != Verdict::Undecided);
    let mut points = vec![Point { x: -1075, ulp: 0.0, bound_ulp: 2.5 }];
    points.extend((low..=high).map(|x| {
        let bound_ulp = 3.0 + (f64::from(x.clamp(0, 20)) / 2.0).exp2() * (1.0 + noise.unit());
        let ulp = bound_ulp * noise.unit();
        match x {
            7.. if fails && x % 3 != 0 => Point { x, ulp: f64::INFINITY, bound_ulp },
            3..7 if fails => Point { x, ulp: bound_ulp * 10f64.powf(f64::from(x)), bound_ulp },
            _ => Point { x, ulp, bound_ulp },
        }
    }));
    results.curves.push(Curve { kernel: kernel.into(), op, dtype, points });
}

#[expect(clippy::too_many_arguments, reason = "a maker of made-up data")]
fn finding(
    kernel: &str,
    op: Op,
    dtype: Dtype,
    family: &str,
    verdict: Verdict,
    cause: Cause,
    (ulp, ratio): (f64, f64),
    number: usize,
) -> Finding {
    let logits: Vec<String> = match number {
        // A long row of distinct values, as a shrunk `long` case may be.
        6 => (0..600).map(|i| text::hex(dtype.round(1.0 + f64::from(i) / 64.0))).collect(),
        15 => vec!["nan".into(), "0x0p+0*70000".into(), "-inf".into()],
        _ => vec!["0x1.f4p+9".into(), "0x0p+0".into()],
    };
    let written = |role: Role| match role.extent() {
        Extent::Index => Written::Index(1),
        Extent::Number => Written::Number(text::hex(dtype.round(0.1))),
        Extent::Indices => Written::Indices(vec![Some(1)]),
        Extent::Row => Written::Row(vec!["0x1p+0".to_owned(), "0x0p+0".to_owned()]),
    };
    Finding {
        kernel: kernel.into(),
        op,
        dtype,
        family: family.into(),
        verdict,
        cause: Some(cause),
        certainty: [Certainty::Shown, Certainty::Consistent, Certainty::NotKnown][number % 3],
        answers_like: None,
        tried: Vec::new(),
        len: if number == 15 { 70002 } else { logits.len() },
        others: Others(op.others().iter().map(|input| (input.name, written(input.role))).collect()),
        index: (!matches!(verdict, Verdict::Crash | Verdict::Hang | Verdict::Panic)).then_some(0),
        got: if ulp.is_finite() && ratio.is_finite() { "0x1.fffffep-1".into() } else { "nan".into() },
        got_decimal: if ulp.is_finite() && ratio.is_finite() { "0.99999994".into() } else { "nan".into() },
        exact: "1.38389652673673752841023477816e-87".into(),
        rounded: "0x0p+0".into(),
        ulp: if ratio.is_finite() { ulp } else { f64::INFINITY },
        bound_ulp: 2.25,
        ratio,
        worst: None,
        batch: None,
        passes_under: None,
        explanation: "exp(1000) overflows to inf and inf / inf is NaN; subtract the maximum from the logits first (softmax is unchanged by it).".into(),
        replay: format!("logitfuzz replay --kernel '{kernel}' -- '{op} {dtype} [{}]'", logits.join(", ")),
        logits,
        case_index: number as u64 * 17,
        selector: None,
        special: None,
        claims: Some("exp=4,sum=pairwise".into()),
    }
}

/// What is known of a run.
pub(crate) fn run() -> RunInfo {
    RunInfo {
        command: ["logitfuzz", "run", "--cases", "200"].map(String::from).to_vec(),
        started: "2026-01-31T12:00:00Z".into(),
        seconds: 93.4567,
        jobs: 2,
        machine: "linux x86_64".into(),
    }
}

/// A small deterministic source of made-up numbers (the multiplier is Knuth's, MMIX).
struct Noise(u64);

impl Noise {
    /// In [0, 1).
    fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }
}
