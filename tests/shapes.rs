//! Claims for kernels of common shapes: exp as a power of 2 of a rounded product, weights that are rescaled, parts that are merged, weights in
//! a half dtype. Each is
//! needed, for without it a correct kernel of the shape is accused; with it the kernel passes, and not by far; and it forgives no defect.

use logitfuzz::campaign::{self, Control, Plan};
use logitfuzz::case::Case;
use logitfuzz::diagnosis::examine;
use logitfuzz::dtype::Dtype;
use logitfuzz::generate::{self, Family};
use logitfuzz::judge::Verdict;
use logitfuzz::kernel::{Closure, Kernel, builtin};
use logitfuzz::op::Op;
use logitfuzz::oracle::Oracle;
use logitfuzz::{Claims, Grade};
use std::sync::Arc;

fn with(claims: &Claims, more: &str) -> Claims {
    let mut claims = claims.clone();
    claims.set(more).expect(more);
    claims
}

/// What is said of a kernel on many f32 rows under some claims: the verdicts that are no pass, and the largest ratio. Of softmax, or of
/// attention where the kernel has no other.
fn judged(kernel: &dyn Kernel, more: &str) -> (Vec<Verdict>, f64) {
    const ROWS: u64 = 60;
    let dtype = Dtype::F32;
    let op = if kernel.supports(Op::SOFTMAX, dtype) { Op::SOFTMAX } else { Op::ATTENTION };
    let claims = with(&kernel.claims(op, dtype), more);
    let mut oracle = Oracle::new();
    let (mut failures, mut worst) = (Vec::new(), 0.0f64);
    for family in ["ordinary", "sorted", "offset", "thresholds", "staircase"] {
        for index in 0..ROWS {
            let row = generate::row(family.parse::<Family>().unwrap(), dtype, 5, index, 200);
            let case = generate::case(op, dtype, family, 5, index, row.into(), None).unwrap().expect("a case");
            let judgement = examine(&mut oracle, kernel, &claims, &case).judgement;
            worst = worst.max(judgement.max_ratio);
            if judgement.verdict != Verdict::Pass {
                failures.push(judgement.verdict);
            }
        }
    }
    (failures, worst)
}

#[test]
fn a_kernel_needs_the_claim_of_its_shape() {
    for (name, without) in [
        ("base2_rounded", "exp_argument=0"),
        ("flash", "online"),
        ("flash", "online=false"),
        ("split_8", "merged=1"),
        ("half_weights", "weights=none"),
    ] {
        let kernel = builtin::find(name).expect(name);
        let (failures, worst) = judged(kernel, "");
        println!("{name}: {worst}");
        assert!(failures.is_empty() && (0.3..=1.0).contains(&worst), "{name}: {worst}, {failures:?}");
        let (failures, worst) = judged(kernel, without);
        println!("{name} {without}: {worst}, {} rows", failures.len());
        assert!(worst > 1.0 && failures.contains(&Verdict::Inaccurate), "{name} {without}: {worst}, {failures:?}");
    }
}

/// The largest that can be claimed of an argument is not enough for a constant that lacks digits, nor are all claims of shapes together.
#[test]
fn no_claim_of_a_shape_forgives_a_short_constant() {
    let kernel = builtin::find("defect/short-log2e").expect("a planted defect");
    for claims in ["exp=2,exp_argument=16", "exp=2,exp_argument=2,online=rescaled,merged=8"] {
        let (failures, worst) = judged(kernel, claims);
        assert!(worst > 2.0 && failures.contains(&Verdict::Inaccurate), "{claims}: {worst}");
    }
}

/// The parts of [`lanes`].
const PARTS: usize = 4;

/// Every fourth logit belongs to a part; a part keeps a maximum and rescales its weights when that rises; the parts are merged in a tree.
/// Exp is a power of 2 of a rounded product.
fn lanes(z: &[f32], out: &mut [f32]) {
    let exp = |x: f32| (x * std::f32::consts::LOG2_E).exp2();
    let factor = |before: f32, max: f32| if before == f32::NEG_INFINITY { 0.0 } else { exp(before - max) };
    let larger = |a: f32, b: f32| if b > a || b.is_nan() { b } else { a };
    let (mut maxima, mut sums) = ([f32::NEG_INFINITY; PARTS], [0.0f32; PARTS]);
    for i in 0..z.len() {
        let part = i % PARTS;
        let max = larger(maxima[part], z[i]);
        if max == f32::NEG_INFINITY {
            out[i] = 0.0;
            continue;
        }
        let rescale = factor(maxima[part], max);
        out.iter_mut().take(i).skip(part).step_by(PARTS).for_each(|w| *w *= rescale);
        out[i] = exp(z[i] - max);
        (maxima[part], sums[part]) = (max, sums[part] * rescale + out[i]);
    }
    for step in [2, 1] {
        for part in 0..step {
            let max = larger(maxima[part], maxima[part + step]);
            for merged in [part, part + step] {
                let rescale = factor(maxima[merged], max);
                sums[merged] *= rescale;
                // Those that this part has taken in already have the same maximum.
                let is_member = |i: usize| i % PARTS % (2 * step) == merged;
                out.iter_mut().enumerate().filter(|(i, _)| is_member(*i)).for_each(|(_, w)| *w *= rescale);
            }
            (maxima[part], sums[part]) = (max, sums[part] + sums[part + step]);
        }
    }
    out.iter_mut().for_each(|w| *w /= sums[0]);
}

fn lanes_claiming(text: &str) -> Closure {
    Closure::new("lanes", Op::SOFTMAX, lanes).claiming(with(&Claims::default(), text))
}

#[test]
fn claims_of_shapes_add_up() {
    const CLAIMS: &str = "exp_argument=2,online=rescaled,merged=4";
    let kernels: Vec<Arc<dyn Kernel>> = vec![Arc::new(lanes_claiming(CLAIMS))];
    let mut plan = Plan::new(kernels);
    (plan.ops, plan.dtypes, plan.seed, plan.cases) = (vec![Op::SOFTMAX], vec![Dtype::F32], 7, 200);
    let results = campaign::run(&plan, &Control::default()).expect("the plan selects something");
    let findings: Vec<&String> = results.findings.iter().map(|finding| &finding.replay).collect();
    assert!(findings.is_empty(), "{findings:#?}");
    let cases: u64 = results.cells.iter().map(|cell| cell.cases).sum();
    assert!(cases > 3_000 && results.cells.iter().all(|cell| !cell.grades.contains_key(&Grade::LongSum)), "{cases}");
}

/// A maximum of a part rises where that of the row does not: the first logit is the largest, and all others ascend by one step, so that
/// every rescaling errs alike.
#[test]
fn the_rises_of_a_part_are_counted() {
    let z = |i: u32| if i == 0 { 2.0 } else { f64::from(i) * 0.0009765625 };
    let row: Vec<String> = (0..2000).map(|i| z(i).to_string()).collect();
    let case = Case::parse(&format!("softmax f32 [{}]", row.join(", "))).unwrap();
    let verdict = |claims: &str| {
        let kernel = lanes_claiming(claims);
        let judgement = examine(&mut Oracle::new(), &kernel, &kernel.claims(case.op(), case.dtype()), &case).judgement;
        println!("{claims}: {} {}", judgement.verdict, judgement.max_ratio);
        judgement.verdict
    };
    // With a sum that rounds little, so that the rescalings are what counts.
    let rest = "exp_argument=2,merged=4,sum=compensated";
    assert_eq!(verdict(&format!("{rest},online=rescaled")), Verdict::Pass);
    assert_eq!(verdict(rest), Verdict::Inaccurate);
}

/// A correct kernel that does not say of what shape it is hears which claim would do: one that holds on every probe, too.
#[test]
fn a_finding_says_under_which_claim_the_kernel_passes() {
    let base2 = |z: &[f32], out: &mut [f32]| {
        let max = z.iter().fold(f32::NEG_INFINITY, |max, &z| if z > max || z.is_nan() { z } else { max });
        out.iter_mut().zip(z).for_each(|(out, z)| *out = ((z - max) * std::f32::consts::LOG2_E).exp2());
        let sum: f32 = out.iter().sum();
        out.iter_mut().for_each(|out| *out /= sum);
    };
    let kernels: Vec<Arc<dyn Kernel>> = vec![Arc::new(Closure::new("base 2", Op::SOFTMAX, base2))];
    let mut plan = Plan::new(kernels);
    (plan.ops, plan.dtypes, plan.seed, plan.cases) = (vec![Op::SOFTMAX], vec![Dtype::F32], 7, 200);
    let results = campaign::run(&plan, &Control::default()).expect("the plan selects something");
    assert!(!results.findings.is_empty());
    for finding in &results.findings {
        assert_eq!(finding.passes_under.as_deref(), Some("exp_argument=2"), "{}", finding.replay);
        assert!(finding.explanation.contains("--claims exp_argument=2"), "{}", finding.explanation);
    }
}

/// Scaled softmax has two common orders, and a kernel of either need not say which.
#[test]
fn a_scale_may_be_applied_before_or_after_the_subtraction() {
    const ROWS: u64 = 60;
    let (op, mut oracle) = (Op::SCALED_SOFTMAX, Oracle::new());
    for name in ["shifted", "shift_then_scale"] {
        let kernel = builtin::find(name).expect(name);
        for (dtype, family) in [Dtype::F32, Dtype::F64].into_iter().flat_map(|d| ["ordinary", "offset"].map(|f| (d, f)))
        {
            for index in 0..ROWS {
                let row = generate::row(family.parse::<Family>().unwrap(), dtype, 5, index, 200);
                let case = generate::case(op, dtype, family, 5, index, row.into(), None).unwrap().expect("a case");
                let judgement = examine(&mut oracle, kernel, &Claims::default(), &case).judgement;
                assert_eq!(judgement.verdict, Verdict::Pass, "{name} on {case}");
            }
        }
    }
}
