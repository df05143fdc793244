//! Kernels that compute batches: the correct ones pass at every seed beside whatever rows, each planted defect of batches is caught as
//! `contaminated` (or breaks `batch_invariant`) and passes on every row by itself, and what a finding holds shows the failure again.

use logitfuzz::campaign::{self, Control, Plan};
use logitfuzz::case::Case;
use logitfuzz::judge::Verdict;
use logitfuzz::kernel::batch::{Rows, RowsMut};
use logitfuzz::kernel::builtin::{self, Builtin};
use logitfuzz::kernel::{Batch, Claims, Closure, Kernel, Outcome};
use logitfuzz::op::Op;
use logitfuzz::op::signature::Extent;
use logitfuzz::results::{Cause, Finding, Results};
use logitfuzz::{Dtype, Family};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The seeds at which the correct kernels must pass, and every defect must be caught.
const SEEDS: [u64; 3] = [7, 8, 9];

/// Cases of each cell for the correct kernels.
const CASES: u64 = 10;

/// Cases of one op, dtype and family within which a defect must be caught.
const CASES_OF_DEFECTS: u64 = 400;

/// The same where that takes a batch of more than 65,536 rows.
const CASES_OF_MANY_ROWS: u64 = 2000;

/// Rows that are shown beside the one that fails, at most, where no number of rows is what matters.
const SMALL: usize = 2;

fn plan(kernels: &[&'static Builtin], seed: u64, cases: u64) -> Plan {
    let mut plan = Plan::new(kernels.iter().map(|&kernel| Arc::new(kernel) as Arc<dyn Kernel>).collect());
    (plan.seed, plan.cases, plan.max_len) = (seed, cases, 600);
    plan
}

fn run(plan: &Plan) -> Results {
    campaign::run(plan, &Control::default()).expect("the plan selects something")
}

fn planted() -> Vec<&'static Builtin> {
    builtin::batched().iter().filter(|kernel| kernel.defect().is_some()).collect()
}

#[test]
fn correct_kernels_pass_beside_any_rows() {
    let trusted: Vec<&Builtin> = builtin::batched().iter().filter(|kernel| kernel.is_trusted()).collect();
    assert_eq!(trusted.len(), 2);
    for seed in SEEDS {
        let results = run(&plan(&trusted, seed, CASES));
        let first = results.findings.first().map(|finding| &finding.replay);
        assert_eq!(first, None, "seed {seed}");
        assert!(results.cells.iter().all(|cell| cell.verdicts.keys().all(|verdict| !verdict.is_failure())));
        let ops: BTreeSet<Op> = results.cells.iter().map(|cell| cell.op).collect();
        // A mean takes several rows as it is.
        let is_of_one_row = |op: &&Op| op.others().iter().all(|input| input.role.extent() != Extent::Indices);
        assert_eq!(ops.len(), Op::ALL.iter().filter(is_of_one_row).count());
    }
}

/// Ops in which a defect is looked for: one of its own.
fn op_of(kernel: &Builtin) -> Op {
    let of = |op: &Op| kernel.supports(*op, Dtype::F32);
    [Op::SOFTMAX, Op::CROSS_ENTROPY].into_iter().find(of).expect("an op")
}

fn caught(kernel: &'static Builtin, seed: u64, cases: u64) -> Vec<Finding> {
    let mut plan = plan(&[kernel], seed, cases);
    plan.ops = vec![op_of(kernel)];
    plan.dtypes = vec![Dtype::F32];
    let families = kernel.defect().expect("a planted one").families;
    plan.sources = families.iter().map(|family| Arc::new(family.parse::<Family>().unwrap()) as _).collect();
    if kernel.name() == "defect/batch-short-index" {
        // Only short rows stand in batches of more than 65,536, and seldom.
        (plan.max_len, plan.cases) = (4, CASES_OF_MANY_ROWS);
    }
    run(&plan).findings
}

/// What is wrong with a defect shows in batches alone, and says what of the batch decides.
#[test]
fn every_planted_defect_of_batches_is_caught_as_one() {
    let due: BTreeMap<&str, Cause> = [
        ("defect/batch-max-of-pair", Cause::OtherRows),
        ("defect/batch-max-of-all", Cause::OtherRows),
        ("defect/batch-nan-spreads", Cause::OtherRows),
        ("defect/batch-state-carried", Cause::OtherRows),
        ("defect/batch-masked-ends", Cause::OtherRows),
        ("defect/batch-padding-read", Cause::Padding),
        ("defect/batch-stride-is-n", Cause::BatchShape),
        ("defect/batch-out-stride", Cause::BatchShape),
        ("defect/batch-tail-skipped", Cause::BatchShape),
        ("defect/batch-axes-confused", Cause::BatchShape),
        ("defect/batch-byte-index", Cause::OtherRows),
        ("defect/batch-short-index", Cause::OtherRows),
        ("defect/batch-in-place", Cause::InPlace),
        ("defect/batch-sum-by-rows", Cause::BatchShape),
        ("defect/batch-first-others", Cause::OtherRows),
        ("defect/batch-first-logit-of-block", Cause::OtherRows),
    ]
    .into();
    let names: BTreeSet<&str> = planted().into_iter().map(Builtin::name).collect();
    assert_eq!(names, due.keys().copied().collect());
    for kernel in planted() {
        let name = kernel.name();
        for seed in SEEDS {
            let findings = caught(kernel, seed, CASES_OF_DEFECTS);
            assert!(!findings.is_empty(), "{name} at seed {seed}");
            let mut causes = BTreeSet::new();
            for finding in &findings {
                let verdict = finding.verdict;
                let is_of_batches = matches!(verdict, Verdict::Contaminated | Verdict::Relation);
                assert!(is_of_batches && finding.batch.is_some(), "{name}: {finding:?}");
                causes.extend(finding.cause);
                // What the finding holds is what its command says, and shows it again.
                assert_eq!(finding.command().unwrap(), finding.replay, "{name}");
                let batch = finding.batch().unwrap().expect("a batch");
                assert!(finding.replay.contains(&batch.to_string()), "{name}: {}", finding.replay);
                assert_eq!(Batch::parse(&batch.to_string()).unwrap().to_string(), batch.to_string());
            }
            println!("{name} at seed {seed}: {causes:?} {}", findings[0].replay.chars().take(200).collect::<String>());
            assert!(causes.contains(&due[name]), "{name} at seed {seed}: {causes:?}");
            let rows = findings.iter().map(|finding| finding.batch().unwrap().expect("a batch").rows()).min();
            let needed = match name {
                "defect/batch-byte-index" => 257,
                "defect/batch-short-index" => 65_537,
                "defect/batch-tail-skipped" => 33,
                _ => SMALL,
            };
            assert!(rows <= Some(needed), "{name} at seed {seed}: {rows:?} rows");
        }
    }
}

/// By itself every row of every family passes: nothing of these defects is seen without batches.
#[test]
fn no_single_row_shows_a_defect_of_batches() {
    /// The same kernel for whom there are only rows.
    struct Single(&'static Builtin);
    impl Kernel for Single {
        fn name(&self) -> &str {
            self.0.name().strip_prefix("defect/").unwrap_or(self.0.name())
        }
        fn supports(&self, op: Op, dtype: Dtype) -> bool {
            self.0.supports(op, dtype)
        }
        fn claims(&self, op: Op, dtype: Dtype) -> Claims {
            self.0.claims(op, dtype)
        }
        fn run(&self, case: &Case) -> Outcome {
            self.0.run(case)
        }
    }
    let mut plan = Plan::new(planted().into_iter().map(|kernel| Arc::new(Single(kernel)) as Arc<dyn Kernel>).collect());
    (plan.cases, plan.max_len, plan.dtypes) = (CASES, 600, vec![Dtype::F32, Dtype::F16]);
    let results = run(&plan);
    assert_eq!(results.findings.first().map(|finding| &finding.replay), None);
}

fn softmax_of(z: &[f32], out: &mut [f32]) {
    let max = z.iter().fold(f32::NEG_INFINITY, |max, &z| if z > max || z.is_nan() { z } else { max });
    let sum: f32 = z.iter().map(|z| (z - max).exp()).sum();
    out.iter_mut().zip(z).for_each(|(out, z)| *out = (z - max).exp() / sum);
}

fn verdicts(closure: Closure) -> BTreeSet<&'static str> {
    let findings = logitfuzz::check(Op::SOFTMAX).with(closure).cases(2000).max_len(300).findings().unwrap();
    findings.iter().map(|finding| finding.verdict.name()).collect()
}

/// A closure gets rows at their stride, and what it does to a neighbour is seen.
#[test]
fn closures_compute_batches() {
    let right = |logits: Rows<f32>, out: &mut RowsMut<f32>| {
        (0..logits.rows()).for_each(|row| softmax_of(logits.row(row), out.row_mut(row)));
    };
    assert_eq!(verdicts(Closure::batched("right", Op::SOFTMAX, right)), BTreeSet::new());
    let contiguous = |logits: Rows<f32>, out: &mut RowsMut<f32>| {
        let n = logits.len();
        (0..logits.rows()).for_each(|row| softmax_of(&logits.memory()[row * n..][..n], out.row_mut(row)));
    };
    assert_eq!(verdicts(Closure::batched("contiguous", Op::SOFTMAX, contiguous)), ["contaminated"].into());
    let last_left = |logits: Rows<f32>, out: &mut RowsMut<f32>| {
        let rows = if logits.rows() > 32 { 32 } else { logits.rows() };
        (0..rows).for_each(|row| softmax_of(logits.row(row), out.row_mut(row)));
    };
    assert_eq!(verdicts(Closure::batched("last_left", Op::SOFTMAX, last_left)), ["contaminated"].into());
    let between = |logits: Rows<f32>, out: &mut RowsMut<f32>| {
        (0..logits.rows()).for_each(|row| softmax_of(logits.row(row), out.row_mut(row)));
        out.memory_mut().iter_mut().for_each(|y| *y = if y.is_nan() { 0.0 } else { *y });
    };
    assert!(verdicts(Closure::batched("between", Op::SOFTMAX, between)).contains("contaminated"));
    let in_place = |rows: &mut RowsMut<f32>| {
        for row in 0..rows.rows() {
            let z = rows.row_mut(row).to_vec();
            softmax_of(&z, rows.row_mut(row));
        }
    };
    assert_eq!(verdicts(Closure::batched("in_place", Op::SOFTMAX, in_place)), BTreeSet::new());
    let panics = |logits: Rows<f32>, out: &mut RowsMut<f32>| {
        assert!(!logits.memory().iter().any(|z| z.is_infinite()), "no infinities, please");
        (0..logits.rows()).for_each(|row| softmax_of(logits.row(row), out.row_mut(row)));
    };
    // A row that is refused by itself is no fault of its neighbours, nor they of its.
    assert_eq!(verdicts(Closure::batched("panics", Op::SOFTMAX, panics)), ["panic"].into());
}

/// One row of many that is wrong is found where it stands, and the batch of the finding judges it.
#[test]
fn a_row_that_copies_of_it_belie_is_found() {
    let one_wrong = |logits: Rows<f32>, out: &mut RowsMut<f32>| {
        for row in 0..logits.rows() {
            softmax_of(logits.row(row), out.row_mut(row));
            if row == 37 {
                out.row_mut(row).fill(2.0);
            }
        }
    };
    let check = || logitfuzz::check(Op::SOFTMAX).with(Closure::batched("one_wrong", Op::SOFTMAX, one_wrong));
    let findings = check().families(&["ordinary".parse().unwrap()]).cases(60).max_len(40).findings().unwrap();
    let verdicts: Vec<&str> = findings.iter().map(|finding| finding.verdict.name()).collect();
    assert_eq!(verdicts, ["contaminated"]);
    let batch = findings[0].batch().unwrap().unwrap();
    assert_eq!(batch.judged(), 37);
    let text = batch.to_string();
    assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| check().replay(&text))).is_err(), "{text}");
}

/// The batch of a finding is replayed, and one without the companion passes.
#[test]
fn a_batch_is_replayed() {
    let kernel = builtin::find("defect/batch-nan-spreads").unwrap();
    let replay = |text: &str| {
        let check = logitfuzz::check(Op::SOFTMAX).with(kernel);
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| check.replay(text)))
            .err()
            .map(|panic| panic.downcast_ref::<String>().cloned().unwrap_or_default())
    };
    let text = "batch judged=1 logits_stride=2 out_stride=2 padding=nan: softmax f32 [nan, 0x0p+0]; softmax f32 [0x0p+0, 0x0p+0]";
    let message = replay(text).expect("it fails");
    assert!(message.contains("contaminated") && message.contains(&format!(".replay(\"{text}\")")), "{message}");
    assert!(message.contains("What another row holds decides"), "{message}");
    assert_eq!(replay("batch judged=1: softmax f32 [1, 0]; softmax f32 [0, 0]"), None);
    assert_eq!(replay("softmax f32 [0, 0]"), None);
}
