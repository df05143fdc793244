//! What is claimed about speed, as ratios taken in one run: `cargo bench`.
//!
//! Terms: the oracle's time for a row is that of `Oracle::truth` on logits that it has not seen (a fresh allocation each time,
//! so nothing is remembered), alone for each op and together for all. It is compared with a yardstick that does not change
//! with the oracle: MPFR's `exp` at 128 bits, once for each distinct finite logit but the maximum, and only where the weight can
//! matter to any op in the dtype. Their arguments are made beforehand, so nothing but `exp` is timed. The oracle itself calls an
//! exponential of its own there, certified to three units of the 128th bit, whose time is part of the oracle's; so a ratio may
//! be below 1. A campaign is `campaign::run` of one kernel, over rows from a file or of a family.
//!
//! A campaign is compared with the same one that asks the oracle about every output (`--no-screen`), with the same one on two threads, and
//! with its kernel: the kernel's own time is that of one run of it on each of the rows, by the same calls.
//!
//! Machines are shared and noisy, so the two sides of a ratio alternate row by row, in many turns over the same rows. Of the
//! oracle's ratio each side is the sum over the rows of the median of the row's turns, so that a turn that was interrupted does
//! not count; of the campaigns' it is the median of the turns' ratios. In brackets: the quartiles of the turns' ratios.

use criterion::Criterion;
use logitfuzz::campaign::{self, Control, Plan};
use logitfuzz::generate::{self, file::Rows};
use logitfuzz::kernel::builtin;
use logitfuzz::oracle::Oracle;
use logitfuzz::{Case, Dtype, Family, Op, Special};
use rug::{Assign, Float};
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The precision of the yardstick, and of the oracle's first exponentials, in bits.
const STARTING_BITS: u32 = 128;
/// Bits that hold the difference of two logits that are not more than this many binades apart.
const DIFFERENCE_BITS: u32 = STARTING_BITS + 64;
/// The family of the rows that are timed.
const FAMILY: &str = "ordinary";
/// The lengths of the rows that are timed.
const LENGTHS: [usize; 4] = [8, 32, 128, 4096];
/// The lengths for which campaigns are timed.
const CAMPAIGN_LENGTHS: [usize; 3] = [8, 128, 4096];
/// Logits in all the rows of one turn, about: a turn takes some ten milliseconds.
const LOGITS_PER_TURN: usize = 8192;
/// Turns for each ratio of the oracle.
const TURNS: usize = 31;
/// Turns for each ratio of campaigns.
const CAMPAIGN_TURNS: usize = 9;
/// Logits in all the rows of one campaign, and the least number of rows: some tenths of a second, and shares for two threads.
const LOGITS_PER_CAMPAIGN: usize = 1 << 16;
const LEAST_ROWS_PER_CAMPAIGN: usize = 96;
/// Cases of a campaign of a family.
const CASES_OF_FAMILY: u64 = 400;
/// What is required of the oracle from 32 logits on, and of two threads.
const LARGEST_ORACLE_RATIO: f64 = 1.5;
const LEAST_SPEEDUP: f64 = 1.8;

/// A row, and the arguments of its exponentials.
struct Sample {
    index: u64,
    logits: Vec<f64>,
    arguments: Vec<Float>,
}

impl Sample {
    fn new(dtype: Dtype, index: u64, logits: Vec<f64>) -> Self {
        let mut values: Vec<f64> = logits.iter().copied().filter(|z| z.is_finite()).collect();
        values.sort_by(|a, b| b.total_cmp(a));
        values.dedup();
        let format = dtype.format();
        // Below this power of two not even the largest cotangent lifts a weight to the least number of the dtype.
        let reach = f64::from(format.emax - format.least_exponent()) * std::f64::consts::LN_2;
        let max = values[0];
        let arguments = values[1..]
            .iter()
            .filter(|&&z| max - z <= reach)
            .map(|&z| Float::with_val(DIFFERENCE_BITS, z) - max)
            .collect();
        Self { index, logits, arguments }
    }

    /// The cases of these ops on a fresh copy of the logits.
    fn cases(&self, dtype: Dtype, ops: &[Op]) -> Vec<Case> {
        let logits: Arc<[f64]> = self.logits.clone().into();
        let case = |&op: &Op| generate::case(op, dtype, FAMILY, 0, self.index, logits.clone(), None);
        ops.iter()
            .map(|op| case(op).expect("a row of the dtype").expect("an ordinary row has a case of every op"))
            .collect()
    }
}

/// Rows of exactly `n` logits, as the family draws them: the first that are long enough, cut to `n`.
fn samples(dtype: Dtype, n: usize) -> Vec<Sample> {
    let family =
        Family::all().iter().copied().find(|family| family.name() == FAMILY).expect("a family of the registry");
    let rows = (0..).map(|index| (index, generate::row(family, dtype, 0, index, n))).filter(|(_, row)| row.len() == n);
    rows.take((LOGITS_PER_TURN / n).max(8)).map(|(index, row)| Sample::new(dtype, index, row)).collect()
}

/// The time that the oracle takes for one set of cases.
fn oracle_time(oracle: &mut Oracle, cases: &[Case]) -> Duration {
    let start = Instant::now();
    for case in cases {
        black_box(oracle.truth(case, Special::Framework));
    }
    start.elapsed()
}

/// The time that MPFR takes for the exponentials of one row.
fn exp_time(sample: &Sample, result: &mut Float) -> Duration {
    let start = Instant::now();
    for argument in &sample.arguments {
        result.assign(black_box(argument).exp_ref());
    }
    black_box(&result);
    start.elapsed()
}

/// Median and quartiles.
fn quartiles(mut values: Vec<f64>) -> [f64; 3] {
    values.sort_by(f64::total_cmp);
    [1, 2, 3].map(|quarter| values[(values.len() - 1) * quarter / 4])
}

/// The oracle's time over that of MPFR's exponentials: each side is the sum over the rows of the median over the turns. With it
/// the quartiles of the single turns' ratios.
fn oracle_ratio(dtype: Dtype, samples: &[Sample], ops: &[Op]) -> [f64; 3] {
    let mut oracle = Oracle::new();
    let mut result = Float::new(STARTING_BITS);
    let mut times = vec![[Vec::new(), Vec::new()]; samples.len()];
    for _ in 0..TURNS {
        for (sample, times) in samples.iter().zip(&mut times) {
            let cases = sample.cases(dtype, ops);
            times[0].push(oracle_time(&mut oracle, &cases).as_secs_f64());
            times[1].push(exp_time(sample, &mut result).as_secs_f64());
        }
    }
    let of_turn = |side: usize, turn: usize| times.iter().map(|times| times[side][turn]).sum::<f64>();
    let [low, _, high] = quartiles((0..TURNS).map(|turn| of_turn(0, turn) / of_turn(1, turn)).collect());
    let median = |side: usize| times.iter().map(|times| quartiles(times[side].clone())[1]).sum::<f64>();
    [low, median(0) / median(1), high]
}

/// The plan of a campaign of the textbook on one thread, without rows.
fn textbook(dtype: Dtype) -> Plan {
    let mut plan = Plan::new(vec![Arc::new(builtin::find("shifted").expect("a built-in kernel"))]);
    (plan.dtypes, plan.jobs) = (vec![dtype], 1);
    plan
}

/// The rows of a file, and what the plans that use it read: the first `n` logits of so many rows.
fn file_of_rows(dtype: Dtype, n: usize) -> (Vec<Sample>, Rows) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("rows.csv");
    let samples = samples(dtype, n);
    let lines: Vec<String> = (samples.iter().cycle().take((LOGITS_PER_CAMPAIGN / n).max(LEAST_ROWS_PER_CAMPAIGN)))
        .map(|row| row.logits.iter().map(f64::to_string).collect::<Vec<_>>().join(","))
        .collect();
    std::fs::write(&path, lines.join("\n")).expect("a file in the temporary folder");
    (samples, Rows::read(&path, None).expect("the rows just written"))
}

/// The time of a campaign.
fn campaign_time(plan: &Plan) -> f64 {
    let start = Instant::now();
    black_box(campaign::run(plan, &Control::default()).expect("a campaign"));
    start.elapsed().as_secs_f64()
}

/// The times of one plan over those of another.
fn campaign_ratio(one: &Plan, other: &Plan) -> [f64; 3] {
    quartiles((0..CAMPAIGN_TURNS).map(|_| campaign_time(one) / campaign_time(other)).collect())
}

/// One thread's time over two threads', for the same campaign.
fn speedup(n: usize) -> [f64; 3] {
    let mut one = textbook(Dtype::F32);
    one.sources = vec![Arc::new(file_of_rows(Dtype::F32, n).1)];
    let two = Plan { jobs: 2, ..one.clone() };
    campaign_ratio(&one, &two)
}

/// The time of a campaign of softmax over that of its kernel alone on the same rows.
fn over_kernel(n: usize) -> [f64; 3] {
    let (samples, rows) = file_of_rows(Dtype::F32, n);
    let mut plan = textbook(Dtype::F32);
    plan.sources = vec![Arc::new(rows)];
    plan.ops = vec![Op::SOFTMAX];
    let cases: Vec<Case> = samples.iter().flat_map(|sample| sample.cases(Dtype::F32, &plan.ops)).collect();
    let count = (LOGITS_PER_CAMPAIGN / n).max(LEAST_ROWS_PER_CAMPAIGN);
    let kernel_time = || {
        let start = Instant::now();
        for case in cases.iter().cycle().take(count) {
            black_box(plan.kernels[0].run(case));
        }
        start.elapsed().as_secs_f64()
    };
    quartiles((0..CAMPAIGN_TURNS).map(|_| campaign_time(&plan) / kernel_time()).collect())
}

/// The time of a campaign that asks the oracle about every output over that of the same one.
fn screened(dtype: Dtype, ops: &[Op]) -> [f64; 3] {
    let mut plan = textbook(dtype);
    (plan.ops, plan.cases) = (ops.to_vec(), CASES_OF_FAMILY);
    plan.sources.retain(|source| source.name() == FAMILY);
    campaign_ratio(&Plan { screen: false, ..plan.clone() }, &plan)
}

fn line(name: &str, [low, median, high]: [f64; 3], holds: Option<bool>) {
    let remark = match holds {
        Some(true) => "as required",
        Some(false) => "NOT as required",
        None => "",
    };
    println!("{name:<52} {median:6.2}  [{low:.2}, {high:.2}]  {remark}");
}

/// The name of all ops of rows, together.
const ALL: &str = "all ops of rows";

/// The ops that share the exponentials of a row.
fn ops_of_rows() -> Vec<Op> {
    Op::ALL.iter().copied().filter(|op| !op.is_elementwise()).collect()
}

fn table() {
    println!("\nratio [quartiles of single turns]; the oracle's are to MPFR's exp at 128 bits for each distinct logit");
    for dtype in [Dtype::F32, Dtype::F64] {
        for n in LENGTHS {
            let samples = samples(dtype, n);
            let ops = ops_of_rows();
            let each = ops.iter().map(|op| (op.name(), std::slice::from_ref(op)));
            for (name, ops) in each.chain([(ALL, &ops[..])]) {
                let ratio = oracle_ratio(dtype, &samples, ops);
                let holds = (n >= 32).then_some(ratio[1] <= LARGEST_ORACLE_RATIO);
                line(&format!("oracle/MPFR exp n={n} {dtype} {name}"), ratio, holds);
            }
        }
    }
    for dtype in Dtype::ALL.iter().copied() {
        for (name, ops) in [("softmax", &[Op::SOFTMAX][..]), (ALL, &ops_of_rows())] {
            line(&format!("campaign, --no-screen/with, {FAMILY} {dtype} {name}"), screened(dtype, ops), None);
        }
    }
    for n in [32, 128, 1024] {
        line(&format!("campaign/its kernel alone, n={n} f32 softmax"), over_kernel(n), None);
    }
    for n in CAMPAIGN_LENGTHS {
        let ratio = speedup(n);
        line(&format!("campaign, one thread/two, n={n}"), ratio, Some(ratio[1] >= LEAST_SPEEDUP));
    }
}

/// Absolute times, for people and for criterion's comparison with the run before.
fn times(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("oracle");
    group.sample_size(20).warm_up_time(Duration::from_millis(200)).measurement_time(Duration::from_millis(800));
    for dtype in [Dtype::F32, Dtype::F64] {
        let samples = samples(dtype, 128);
        for (name, ops) in [("softmax", &[Op::SOFTMAX][..]), (ALL, &ops_of_rows())] {
            let mut oracle = Oracle::new();
            group.bench_function(format!("n=128 {dtype} {name}"), |bencher| {
                let mut turn = samples.iter().cycle();
                bencher.iter_batched(
                    || turn.next().expect("an endless cycle").cases(dtype, ops),
                    |cases| oracle_time(&mut oracle, &cases),
                    criterion::BatchSize::SmallInput,
                );
            });
        }
    }
    group.finish();
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    times(&mut criterion);
    criterion.final_summary();
    // Without `--bench` cargo only asks whether it runs.
    if std::env::args().any(|argument| argument == "--bench") {
        table();
    }
}
