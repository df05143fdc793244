//! The harness must not cry wolf: correct kernels get no failing verdict and no `undecided`, over every quick family, op and
//! dtype. The built-in ones are joined by kernels written here, with other sums, a worse exp, and subnormals flushed to zero.
//!
//! `LOGITFUZZ_SOAK_CASES` sets the cases of each (kernel, op, dtype, family); a soak run is this file with a large number.
//!
//! Terms: a cell is one kernel, op, dtype and family. A *lane* is one of several partial sums that a vector register keeps.

mod support;

use logitfuzz::campaign::{self, Control, Plan};
use logitfuzz::case::Case;
use logitfuzz::diagnosis::examine;
use logitfuzz::dtype::Dtype;
use logitfuzz::generate::{self, Family};
use logitfuzz::judge::{Grade, Verdict};
use logitfuzz::kernel::builtin::{self, Builtin};
use logitfuzz::kernel::{Claims, Kernel, Outcome, Real, Special, Summation};
use logitfuzz::op::Op;
use logitfuzz::oracle::{Due, Oracle};
use logitfuzz::results::{Cell, Results};
use std::collections::BTreeMap;
use std::sync::Arc;
use support::textbook::{Exp, Textbook};

/// Cases of each cell where `LOGITFUZZ_SOAK_CASES` does not say otherwise.
const CASES: u64 = 20;
/// The seeds of all rows; not 0, which is what the other tests see.
const SEEDS: [u64; 3] = [7, 8, 9];

fn cases() -> u64 {
    match std::env::var("LOGITFUZZ_SOAK_CASES") {
        Ok(text) => text.parse().expect("LOGITFUZZ_SOAK_CASES is a number of cases"),
        Err(_) => CASES,
    }
}

/// Runs the kernels and returns the results, of which every case must have passed.
fn all_pass(kernels: Vec<Arc<dyn Kernel>>, ops: &[Op], dtypes: &[Dtype], seed: u64) -> Results {
    let mut plan = Plan::new(kernels);
    (plan.ops, plan.dtypes, plan.seed, plan.cases) = (ops.to_vec(), dtypes.to_vec(), seed, cases());
    let results = campaign::run(&plan, &Control::default()).expect("the plan selects something");
    let findings: Vec<String> = results
        .findings
        .iter()
        .map(|finding| format!("{} {}: {} (ratio {})", finding.verdict, finding.family, finding.replay, finding.ratio))
        .collect();
    assert!(findings.is_empty(), "correct kernels fail:\n{}", findings.join("\n"));
    for cell in &results.cells {
        // cross-entropy has no case of 0 logits
        let skipped = plan.cases - cell.cases;
        assert!(skipped == 0 || (cell.family == "tiny_n" && skipped <= plan.cases / 4), "{cell:?}");
        assert_eq!(cell.verdicts, BTreeMap::from([(Verdict::Pass, cell.cases)]), "{cell:?}");
        assert!(cell.max_ratio <= 1.0, "{cell:?}");
        assert_eq!(cell.grades.values().sum::<u64>(), cell.outputs, "{cell:?}");
    }
    assert!(results.complete);
    results
}

/// Outputs judged, printed with the largest ratio of each kernel and op.
fn outputs(results: &Results) -> u64 {
    let mut worst: BTreeMap<(&str, Op, Dtype), (f64, &Cell)> = BTreeMap::new();
    for cell in &results.cells {
        let kept = worst.entry((&cell.kernel, cell.op, cell.dtype)).or_insert((-1.0, cell));
        if cell.max_ratio > kept.0 {
            *kept = (cell.max_ratio, cell);
        }
    }
    for ((kernel, op, dtype), (ratio, cell)) in worst {
        println!("{kernel:24} {op:20} {dtype:4} largest ratio {ratio:.4} ({})", cell.family);
    }
    let outputs = results.cells.iter().map(|cell| cell.outputs).sum();
    println!("{outputs} outputs");
    outputs
}

/// Correct built-in kernels, at least.
const LEAST_TRUSTED: usize = 17;
/// Their outputs for each case of a cell, at least.
const TRUSTED_OUTPUTS_A_CASE: u64 = 960_000;

#[test]
fn built_in_kernels_pass_everywhere() {
    SEEDS.into_iter().for_each(built_in_kernels_pass_at);
}

fn built_in_kernels_pass_at(seed: u64) {
    let trusted: Vec<&Builtin> = builtin::all().iter().filter(|kernel| kernel.is_trusted()).collect();
    assert!(trusted.len() >= LEAST_TRUSTED, "{}", trusted.len());
    let kernels = trusted.into_iter().map(|kernel| Arc::new(kernel) as Arc<dyn Kernel>);
    let results = all_pass(kernels.collect(), Op::ALL, &Dtype::ALL, seed);
    let outputs = outputs(&results);
    assert!(outputs >= TRUSTED_OUTPUTS_A_CASE * cases(), "{outputs}");

    // What log1p is for: the tight bound, wherever there is one. Only +inf, where a gap of a finite loss overflows the
    // accumulator, is graded textbook.
    let (mut tight, mut of_log1p) = (0, 0);
    for cell in results.cells.iter().filter(|cell| cell.kernel == "log1p") {
        if matches!(
            cell.op,
            Op::LOGSUMEXP | Op::LOG_SOFTMAX | Op::CROSS_ENTROPY | Op::SOFT_CROSS_ENTROPY | Op::LOGCUMSUMEXP
        ) {
            of_log1p += cell.outputs;
            let of_grade = |grade| cell.grades.get(&grade).copied().unwrap_or(0);
            assert_eq!(of_grade(Grade::LongSum), 0, "{cell:?}");
            if of_grade(Grade::Textbook) > 0 {
                assert_eq!(of_grade(Grade::Textbook), forgiven_overflows(cell, seed), "{cell:?}");
            }
            tight += of_grade(Grade::Tight);
        }
    }
    assert!(of_log1p > 0 && tight > of_log1p - of_log1p / 8, "{tight} of {of_log1p}");
}

/// How often `log1p` answers +inf to a finite loss in the cases of a cell.
fn forgiven_overflows(cell: &Cell, seed: u64) -> u64 {
    if !matches!(cell.op, Op::CROSS_ENTROPY | Op::SOFT_CROSS_ENTROPY) {
        return 0;
    }
    let kernel = builtin::find("log1p").expect("a built-in kernel");
    let family = cell.family.parse::<Family>().expect("a family");
    let mut oracle = Oracle::new();
    let mut overflows = 0;
    for index in 0..cases() {
        let row = generate::row(family, cell.dtype, seed, index, campaign::DEFAULT_MAX_LEN);
        let case = generate::case(cell.op, cell.dtype, &cell.family, seed, index, row.into(), None).ok().flatten();
        let Some(case) = case else { continue };
        if kernel.run(&case) == Outcome::Outputs(vec![f64::INFINITY]) {
            let truth = oracle.truth(&case, Special::Framework);
            overflows += u64::from(matches!(truth.alternatives[0][0], Due::Value(real) if real.rounded.is_finite()));
        }
    }
    overflows
}

/// Outputs of the kernels with other sums for each case of a cell, at least.
const OTHER_SUMS_OUTPUTS_A_CASE: u64 = 600_000;

#[test]
fn other_sums_pass_everywhere() {
    let mut sums = vec![Summation::Blocks { size: 32 }, Summation::Blocks { size: 128 }];
    for lanes in [4, 8, 16] {
        sums.extend([false, true].map(|scalar_tail| Summation::Lanes { lanes, scalar_tail }));
    }
    let kernel =
        |sum| Arc::new(Textbook::new(format!("{sum:?}"), Claims { sum, ..Claims::default() })) as Arc<dyn Kernel>;
    let results = all_pass(sums.into_iter().map(kernel).collect(), Op::ALL, &Dtype::ALL, SEEDS[0]);
    let outputs = outputs(&results);
    assert!(outputs >= OTHER_SUMS_OUTPUTS_A_CASE * cases(), "{outputs}");
}

/// Outputs of the kernels with other arithmetic for each case of a cell, at least.
const OTHER_ARITHMETIC_OUTPUTS_A_CASE: u64 = 150_000;

#[test]
fn other_arithmetic_passes_everywhere() {
    // Half an ulp of the platform's, and one more: 1.5 ulp and a little, each worth up to 2 u.
    let worse = |exp| {
        let name = if exp == Exp::OneUlpWorse { "exp 1 ulp worse" } else { "exp 1 ulp worse, at 0 too" };
        Textbook { exp, ..Textbook::new(name, Claims { exp: 4.0, ..Claims::default() }) }
    };
    let flushed = Textbook::new("flush to zero", Claims { flush_to_zero: true, ..Claims::default() });
    let kernels = [worse(Exp::OneUlpWorse), worse(Exp::OneUlpWorseAtZeroToo), flushed];
    let kernels = kernels.into_iter().map(|kernel| Arc::new(kernel) as Arc<dyn Kernel>).collect();
    let results = all_pass(kernels, Op::ALL, &Dtype::ALL, SEEDS[0]);
    let outputs = outputs(&results);
    assert!(outputs >= OTHER_ARITHMETIC_OUTPUTS_A_CASE * cases(), "{outputs}");
}

/// In what order a scan with logaddexp makes the prefixes.
#[derive(Debug, Clone, Copy)]
enum Order {
    /// Pairs, the prefixes of those, and what lies between: JAX's `associative_scan`.
    Pairs,
    /// Distances of 1, 2, 4 and so on: Hillis and Steele, "Data parallel algorithms", 1986.
    Doubling,
    /// Blocks of 8 by doubling, each after the last output of the one before it: a block of a GPU.
    Blocks,
}

impl Order {
    const ALL: [Order; 3] = [Order::Pairs, Order::Doubling, Order::Blocks];

    fn scan<A: Real>(self, z: &[A]) -> Vec<A> {
        match self {
            Order::Pairs if z.len() < 2 => z.to_vec(),
            Order::Pairs => {
                let pairs: Vec<A> = z.chunks_exact(2).map(|pair| log_add_exp(pair[0], pair[1])).collect();
                let odd = self.scan(&pairs);
                let even = |j: usize| if j == 0 { z[0] } else { log_add_exp(odd[j / 2 - 1], z[j]) };
                (0..z.len()).map(|j| if j % 2 == 1 { odd[j / 2] } else { even(j) }).collect()
            }
            Order::Doubling => {
                let mut sums = z.to_vec();
                let mut distance = 1;
                while distance < z.len() {
                    let merged = |j: usize| match j.checked_sub(distance) {
                        Some(before) => log_add_exp(sums[before], sums[j]),
                        None => sums[j],
                    };
                    sums = (0..z.len()).map(merged).collect();
                    distance *= 2;
                }
                sums
            }
            Order::Blocks => {
                let mut sums: Vec<A> = Vec::new();
                for block in z.chunks(8) {
                    let carried = sums.last().copied();
                    let inside = Order::Doubling.scan(block);
                    sums.extend(inside.into_iter().map(|sum| carried.map_or(sum, |before| log_add_exp(before, sum))));
                }
                sums
            }
        }
    }
}

/// `max + log1p(exp(min - max))`, and the infinity that both are.
fn log_add_exp<A: Real>(x: A, y: A) -> A {
    let max = x.larger(y);
    let min = if max == x { y } else { x };
    if min == max && max.is_infinite() { max } else { max + (min - max).exp().ln_1p() }
}

/// A kernel that scans in an order.
struct Scan(Order);

impl Scan {
    fn outputs<A: Real>(&self, case: &Case) -> Vec<f64> {
        let z: Vec<A> = case.logits().iter().map(|&z| A::from_f64(z)).collect();
        let sums = self.0.scan(&z);
        sums.into_iter().map(|x| case.dtype().output().round(x.to_f64())).collect()
    }
}

impl Kernel for Scan {
    fn name(&self) -> &str {
        match self.0 {
            Order::Pairs => "scan by pairs",
            Order::Doubling => "scan by doubling",
            Order::Blocks => "scan by blocks",
        }
    }
    fn supports(&self, op: Op, _: Dtype) -> bool {
        op == Op::LOGCUMSUMEXP
    }
    fn claims(&self, _: Op, _: Dtype) -> Claims {
        Claims::default()
    }
    fn run(&self, case: &Case) -> Outcome {
        Outcome::Outputs(match case.dtype().accumulator() {
            Dtype::F64 => self.outputs::<f64>(case),
            _ => self.outputs::<f32>(case),
        })
    }
}

/// A scan with logaddexp is correct in any of the orders that kernels have, though its errors are other ones in each.
#[test]
fn scans_of_every_order_pass_everywhere() {
    let kernels = || Order::ALL.map(|order| Arc::new(Scan(order)) as Arc<dyn Kernel>).to_vec();
    for seed in SEEDS {
        outputs(&all_pass(kernels(), &[Op::LOGCUMSUMEXP], &Dtype::ALL, seed));
    }
    let mut plan = Plan::new(kernels());
    (plan.ops, plan.sources, plan.search) = (vec![Op::LOGCUMSUMEXP], Vec::new(), 2_000);
    let results = campaign::run(&plan, &Control::default()).expect("the plan selects something");
    let findings: Vec<&String> = results.findings.iter().map(|finding| &finding.replay).collect();
    assert!(findings.is_empty(), "{findings:#?}");
    // The bound is not idle: on short rows a merge or two err by nearly all of it.
    assert!(results.cells.iter().all(|cell| cell.max_ratio > 0.3 && cell.max_ratio <= 1.0), "{:?}", results.cells);
}

/// A half, a quarter, ... and 2^-127 twice, the last of a class at -1e38, for which the loss has 0.59.
fn soft_labels_of_halves() -> String {
    let halves: Vec<String> = (1..=127).map(|power| format!("0x1p-{power}")).collect();
    format!("soft_cross_entropy f32 [0*127, -1e38] distribution=[{}, 0x1p-127]", halves.join(", "))
}

/// The smallest cases in which flushing costs more than gradual underflow does, in sums and differences of tiny numbers: they
/// pass with the claim, and fail without it.
#[test]
fn flushing_is_forgiven_where_it_is_claimed() {
    let flushing = Textbook::new("flush to zero", Claims { flush_to_zero: true, ..Claims::default() });
    for text in [
        // 1.5 and -1 times the least normal number, in turn: each sum of two is flushed.
        "log_softmax_vjp f32 [0*8] cotangent=[0x1.8p-126, -0x1p-126, 0x1.8p-126, -0x1p-126, 0x1.8p-126, -0x1p-126, 0, 0]",
        // The sum is read as 2^-126, and its product with p_0 is flushed.
        "log_softmax_vjp f32 [2, 0, 0] cotangent=[0, 0x1p-126, 0x1p-127]",
        "log_softmax_vjp f32 [0*4] cotangent=[0x1p-108, 0x1p-127, 0x1.ep-127, -0x1.ep-127]",
        // e / n is flushed.
        "cross_entropy_grad f32 [0, -inf] target=0 label_smoothing=0x1p-126",
        // v_j - c is flushed.
        "log_softmax_jvp f32 [0, 0] tangent=[0x1.8p-126, 0x1p-126]",
        // The last mass, below the least normal number, is read as 0, and its class is far off.
        &soft_labels_of_halves(),
    ] {
        let case = Case::parse(text).expect(text);
        // `framework` accepts that a smoothing vanishes, whoever loses it.
        let limit = |claims: &Claims| Claims { special: Special::Limit, ..claims.clone() };
        let verdict = |claims: &Claims| examine(&mut Oracle::new(), &flushing, &limit(claims), &case).judgement.verdict;
        assert_eq!(verdict(&flushing.claims), Verdict::Pass, "{text}");
        assert!(verdict(&Claims::default()).is_failure(), "{text}");
    }
}
