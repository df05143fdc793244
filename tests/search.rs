//! The search must climb: what it finds is worse than what the rows it begins with show, it finds planted defects by itself, it
//! finds nothing in correct kernels, and it is the same whatever the number of threads.

use logitfuzz::campaign::{self, Control, Plan, SEARCH_FAMILY};
use logitfuzz::dtype::Dtype;
use logitfuzz::judge::Verdict;
use logitfuzz::kernel::{Kernel, builtin};
use logitfuzz::op::Op;
use logitfuzz::results::{Cell, Results};
use std::collections::BTreeMap;
use std::sync::Arc;

fn plan(kernels: &[&str], ops: &[Op], dtypes: &[Dtype], steps: u64) -> Plan {
    let kernels = kernels.iter().map(|name| Arc::new(builtin::find(name).expect(name)) as Arc<dyn Kernel>);
    let mut plan = Plan::new(kernels.collect());
    (plan.ops, plan.dtypes) = (ops.to_vec(), dtypes.to_vec());
    (plan.sources, plan.search) = (Vec::new(), steps);
    plan
}

fn run(plan: &Plan) -> Results {
    campaign::run(plan, &Control::default()).expect("the plan selects something")
}

fn only_cell(results: &Results) -> &Cell {
    let [cell] = &results.cells[..] else { panic!("{} cells", results.cells.len()) };
    assert_eq!(cell.family, SEARCH_FAMILY);
    cell
}

#[test]
fn correct_kernels_pass_the_search() {
    /// For each (kernel, op, dtype).
    const STEPS: u64 = 1500;
    let trusted: Vec<&str> =
        builtin::all().iter().filter(|kernel| kernel.is_trusted()).map(|kernel| kernel.name()).collect();
    let results = run(&plan(&trusted, Op::ALL, &Dtype::ALL, STEPS));
    let findings: Vec<String> = results
        .findings
        .iter()
        .map(|finding| format!("{} (ratio {}): {}", finding.verdict, finding.ratio, finding.replay))
        .collect();
    assert!(findings.is_empty(), "correct kernels fail:\n{}", findings.join("\n"));
    let pairs = Op::ALL.iter().flat_map(|&op| Dtype::ALL.map(|dtype| (op, dtype)));
    let supported = |name: &str| {
        let kernel = builtin::find(name).expect("a built-in kernel");
        pairs.clone().filter(|&(op, dtype)| kernel.supports(op, dtype)).count()
    };
    assert_eq!(results.cells.len(), trusted.iter().map(|name| supported(name)).sum::<usize>());
    for cell in &results.cells {
        assert_eq!((cell.cases, cell.not_run), (STEPS, 0), "{cell:?}");
        let count = |verdict| cell.verdicts.get(&verdict).copied().unwrap_or(0);
        assert_eq!(count(Verdict::Pass) + count(Verdict::Undecided), STEPS, "{cell:?}");
        // Two rows cancel to any depth, and in f64 their exponentials lie beyond the reach of any precision: now and then the oracle does
        // not know on which side of a number a divergence is.
        let most = if [Op::KL_DIVERGENCE, Op::KL_DIVERGENCE_GRAD].contains(&cell.op) { STEPS / 500 } else { 0 };
        assert!(count(Verdict::Undecided) <= most, "{cell:?}");
    }
    assert_reached(&results);
}

/// No bound is idle: a correct kernel comes near to each.
///
/// They are told apart by what errors are made of, the roundings of an accumulator; a stored half adds its own to all of them.
fn assert_reached(results: &Results) {
    let mut reached: BTreeMap<(Op, Dtype), f64> = BTreeMap::new();
    for cell in results.cells.iter().filter(|cell| !matches!(cell.dtype.output(), Dtype::F16 | Dtype::Bf16)) {
        let worst = reached.entry((cell.op, cell.dtype.accumulator())).or_default();
        *worst = worst.max(cell.max_ratio);
    }
    assert_eq!(reached.len(), 2 * Op::ALL.len());
    for ((op, dtype), ratio) in reached {
        println!("{op} {dtype}: {ratio:.3}");
        // Over all floats the largest ratio of log(1 - exp(x)) is 0.437 (reports/exhaustive): a search comes near to that at best.
        let least = if op == Op::LOG1MEXP { 0.3 } else { 0.4 };
        assert!((least..=1.0).contains(&ratio), "{op} {dtype}: {ratio}");
    }
}

#[test]
fn careful_kernels_reach_the_tight_bounds() {
    let dtypes = [Dtype::F32, Dtype::F64, Dtype::F16F32, Dtype::Bf16F32];
    let mut plan = plan(&["log1p", "branched", "shift_then_scale"], Op::ALL, &dtypes, 2000);
    plan.claims = Some("tight".to_owned());
    let mut results = run(&plan);
    // Its scaled logits are rounded, and it does not pass so.
    results.cells.retain(|cell| (cell.kernel.as_str(), cell.op) != ("log1p", Op::SCALED_SOFTMAX));
    assert_reached(&results);
}

/// The worst ratio of f32 log-sum-exp after the search, and after as many rows of all families together.
#[test]
fn the_search_climbs_higher_than_the_families() {
    const STEPS: u64 = 8000;
    for (kernel, op) in [("shifted", Op::LOGSUMEXP), ("online", Op::SOFTMAX), ("shifted", Op::SOFTMAX_VJP)] {
        let searched = only_cell(&run(&plan(&[kernel], &[op], &[Dtype::F32], STEPS))).max_ratio;
        let mut by_family = plan(&[kernel], &[op], &[Dtype::F32], 0);
        (by_family.sources, by_family.search) = (Plan::new(Vec::new()).sources, 0);
        by_family.cases = STEPS / by_family.sources.len() as u64;
        by_family.max_len = 256;
        let drawn = run(&by_family).cells.iter().fold(0.0f64, |worst, cell| worst.max(cell.max_ratio));
        println!(
            "{kernel} {op} f32: ratio {searched:.3} by the search, {drawn:.3} by the families, {STEPS} cases each"
        );
        assert!(searched > drawn, "{kernel} {op}: {searched} by the search, {drawn} by the families");
        assert!(searched <= 1.0, "{kernel} is correct");
    }
}

#[test]
fn the_search_finds_planted_defects_and_shrinks_what_it_finds() {
    // Of different groups; the last shows past 255 logits alone.
    let found = [
        ("naive", Op::SOFTMAX, 500),
        ("defect/subtract-lse", Op::LOG_SOFTMAX, 500),
        ("defect/wrong-rescale", Op::SOFTMAX, 500),
        ("defect/low-precision-store", Op::CROSS_ENTROPY_GRAD, 500),
        ("defect/exp-clamped", Op::SOFTMAX, 2000),
        ("defect/nan-dropping-max", Op::LOGSUMEXP, 2000),
        ("defect/max-clipped", Op::SOFTMAX, 2000),
    ];
    for (kernel, op, steps) in found {
        let results = run(&plan(&[kernel], &[op], &[Dtype::F32], steps));
        let cell = only_cell(&results);
        assert_eq!((cell.cases, cell.not_run), (steps, 0));
        assert!(!results.findings.is_empty(), "{kernel} is not found in {steps} steps");
        assert!(results.findings.iter().all(|finding| finding.family == SEARCH_FAMILY && finding.len <= 8));
    }
}

#[test]
fn the_search_is_the_same_on_any_number_of_threads() {
    let of_jobs = |jobs: usize| {
        let mut plan =
            plan(&["shifted", "naive", "defect/half-sum"], &[Op::SOFTMAX, Op::CROSS_ENTROPY], &Dtype::ALL, 300);
        plan.jobs = jobs;
        run(&plan)
    };
    let one = of_jobs(1);
    assert_eq!(one, of_jobs(2));
    assert_eq!(one.settings.search, 300);
    // The defect has no dtypes of two formats.
    assert_eq!(one.cells.len(), 2 * (6 + 6 + 4));
}
