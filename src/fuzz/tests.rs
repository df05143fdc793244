//! Tests of an execution and of the mutator as libFuzzer calls it; and the seeds and the dictionary, which are made here.

use super::*;
use crate::case::MAX_DECODED_LOGITS;
use crate::error::ErrorKind;
use crate::generate::{self, Family};
use crate::judge::Verdict;
use crate::kernel::builtin::{self, Examples};
use crate::op::signature::Extent;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// The targets in `fuzz/fuzz_targets`, with their ops.
fn targets() -> Vec<(&'static str, Vec<Op>)> {
    let elementwise = Op::ALL.iter().copied().filter(|op| op.is_elementwise()).collect();
    let of_rows = OF_ROWS.iter().map(|(name, ops)| (*name, ops.to_vec()));
    of_rows.chain([("elementwise", elementwise)]).collect()
}

/// Those of the ops of rows, which name their ops.
const OF_ROWS: [(&str, &[Op]); 6] = [
    ("softmax", &[Op::SOFTMAX, Op::SCALED_SOFTMAX]),
    ("log_softmax", &[Op::LOG_SOFTMAX]),
    ("logsumexp", &[Op::LOGSUMEXP, Op::ENTROPY, Op::LOGCUMSUMEXP]),
    (
        "cross_entropy",
        &[
            Op::CROSS_ENTROPY,
            Op::CROSS_ENTROPY_GRAD,
            Op::SOFT_CROSS_ENTROPY,
            Op::SOFT_CROSS_ENTROPY_GRAD,
            Op::KL_DIVERGENCE,
            Op::KL_DIVERGENCE_GRAD,
            Op::MEAN_CROSS_ENTROPY,
            Op::MEAN_CROSS_ENTROPY_GRAD,
        ],
    ),
    ("products", &[Op::SOFTMAX_VJP, Op::SOFTMAX_JVP, Op::LOG_SOFTMAX_VJP, Op::LOG_SOFTMAX_JVP]),
    ("attention", &[Op::ATTENTION]),
];

fn of(kernels: &str, ops: &[Op]) -> Target {
    let words: Vec<String> = kernels.split(',').map(str::to_owned).collect();
    Target { selectable: true, ..Target::new(select::named(&words, ops, &Dtype::ALL).unwrap(), ops).unwrap() }
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fuzz")
}

/// libFuzzer's part of a mutation, for tests: nothing.
fn leave(_: &mut [u8], size: usize, _: usize) -> usize {
    size
}

/// The message of the panic of an execution; none if it passes.
fn panic_of(target: &mut Target, text: &str) -> Option<String> {
    let input = FuzzInput(Case::parse(text).unwrap());
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| target.execute(&input)));
    result.err().map(|payload| payload.downcast_ref::<String>().unwrap().clone())
}

#[test]
fn every_op_has_one_target() {
    let mut ops: Vec<Op> = targets().into_iter().flat_map(|(_, ops)| ops).collect();
    ops.sort();
    assert_eq!(ops, Op::ALL);
    for (name, ops) in OF_ROWS {
        let source = std::fs::read_to_string(folder().join(format!("fuzz_targets/{name}.rs"))).unwrap();
        let source = source.split_whitespace().collect::<Vec<_>>().join(" ").replace("[ ", "[").replace(", ]", "]");
        let named: Vec<String> = ops.iter().map(|op| format!("Op::{}", op.name().to_uppercase())).collect();
        assert!(source.contains(&format!("[{}]", named.join(", "))), "{name}: {source}");
    }
}

#[test]
fn a_failure_is_a_finding_that_stands_alone() {
    let message = panic_of(&mut of("naive", &[Op::SOFTMAX]), "softmax f32 [3, 1000, -2, 7]").unwrap();
    for part in [
        "naive softmax f32: nan",
        "logits [89]",
        "got nan",
        "exact 1",
        "exp overflows",
        "replay: logitfuzz replay --kernel naive 'softmax f32 [0x1.64p+6]'",
        "shrunk from 4 logits",
    ] {
        assert!(message.contains(part), "`{part}` is not in:\n{message}");
    }
    // One with a name of its own is replayed under that name.
    let message = panic_of(&mut of("mine=naive", &[Op::SOFTMAX]), "softmax f32 [3, 1000, -2, 7]").unwrap();
    assert!(message.contains("mine softmax f32: nan") && message.contains("replay --kernel mine=naive '"), "{message}");
    // The kernel that fails is the one that is named, and a panic of a kernel is a verdict like any other.
    let message = panic_of(&mut of("shifted,defect/empty-panics", &[Op::SOFTMAX]), "softmax f16 []").unwrap();
    assert!(message.contains("defect/empty-panics softmax f16: panic"), "{message}");
}

#[test]
fn clean_kernels_pass_and_foreign_cases_are_refused() {
    let mut target = of("shifted,log1p", &[Op::SOFTMAX]);
    for (_, Examples { exposing, .. }) in defects().filter(|(_, examples)| examples.exposing.starts_with("softmax ")) {
        assert!(target.execute(&FuzzInput(Case::parse(exposing).unwrap())), "{exposing}");
    }
    assert!(!target.execute(&FuzzInput(Case::parse("logsumexp f32 [1]").unwrap())));
    let mut halves = Target::function("halves", Op::LOGSUMEXP, |z: &[half::f16], out: &mut [half::f16]| {
        out[0] = z.first().copied().unwrap_or(half::f16::NEG_INFINITY);
    })
    .unwrap();
    assert!(!halves.execute(&FuzzInput(Case::parse("logsumexp f32 [1]").unwrap())));
    assert!(halves.execute(&FuzzInput(Case::parse("logsumexp f16 [1]").unwrap())));
    // A kernel of one's own is no name on the command line: a test replays it.
    let message = panic_of(&mut halves, "logsumexp f16 [0, 0]").unwrap();
    assert!(message.contains(".replay(\"logsumexp f16 [0x0p+0, 0x0p+0]\")"), "{message}");
}

#[test]
fn what_cannot_be_fuzzed_is_refused() {
    let named = |words: &[&str]| {
        let words: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
        select::named(&words, &[Op::SOFTMAX], &Dtype::ALL)
    };
    let error = named(&["shifted", "sofmax"]).err().unwrap().to_string();
    assert!(error.starts_with("LOGITFUZZ_KERNELS: unknown kernel `sofmax`; the built-in kernels are: "), "{error}");
    let in_batches = builtin::batched().iter().filter(|kernel| kernel.defect().is_some()).count();
    assert_eq!(named(&["defect/*"]).unwrap().len(), defects().count() + in_batches);
    assert_eq!(named(&["naive", "n*"]).unwrap().len(), 1);
    for (words, part) in [
        (&["a=shifted", "a=naive"][..], "the name `a` is given to shifted and to naive"),
        (&["a=defect/*"], "gives one name to"),
        (&["a::b=naive"], "NAME=naive: `a::b` is no name"),
    ] {
        let error = named(words).err().unwrap();
        assert!(error.kind() == ErrorKind::Usage && error.to_string().contains(part), "{error}");
    }
    let function = |_: &[f32], _: &mut [f32]| ();
    let closure: Arc<dyn Kernel> = Arc::new(Closure::new("mine", Op::LOGSUMEXP, function));
    let error = Target::new(vec![closure], &[Op::SOFTMAX]).err().unwrap();
    assert!(error.to_string().contains("no kernel computes softmax"), "{error}");
}

/// As libFuzzer calls it: any bytes, any limit; within the limit, never empty, and nearly always a case of the target.
#[test]
fn mutated_bytes_are_inputs_of_the_target() {
    for (_, ops) in targets() {
        let kernel = if ops[0].is_elementwise() { "branched" } else { "shifted" };
        let mut target = of(kernel, &ops);
        let (mut ours, mut shrunk, mut grown, count) = (0, 0, 0, 4_000);
        let mut draw = Draw::from_seed(5);
        let (mut data, mut size) = (vec![0u8; 600], 1);
        for seed in 0..count {
            let max_size = [1, 7, 40, 200, 600][draw.index(5)];
            size = size.min(max_size);
            // Now and then bytes that nobody made.
            if draw.chance(8) {
                data[..size].iter_mut().for_each(|byte| *byte = draw.below(256) as u8);
            }
            let new = target.mutate(&mut data[..max_size], size, max_size, seed, leave);
            assert!((1..=max_size).contains(&new), "{new} of {max_size}");
            shrunk += usize::from(new < size);
            grown += usize::from(new > size);
            size = new;
            let case = Case::decode(&data[..size]);
            ours += usize::from(target.cells.contains(&(case.op(), case.dtype())));
        }
        assert!(ours >= count as usize * 9 / 10 && shrunk > 100 && grown > 500, "{ours} {shrunk} {grown}");
        assert_eq!(target.pool.len(), POOL);
    }
}

/// The same seed gives the same input; without the mutator it is libFuzzer's own.
#[test]
fn mutations_repeat() {
    let mutate = |target: &mut Target| {
        let (mut data, mut size) = (vec![0u8; 300], 1);
        for seed in 0..200 {
            size = target.mutate(&mut data, size, 300, seed, leave);
        }
        data[..size].to_vec()
    };
    let ops = &[Op::LOGSUMEXP, Op::SOFTMAX];
    assert_eq!(mutate(&mut of("shifted", ops)), mutate(&mut of("shifted", ops)));
    let mut plain = of("shifted", ops);
    plain.mutates = false;
    assert_eq!(mutate(&mut plain), [0]);
}

/// Random bytes, fewer than a header or up to some dozens of words.
fn random_bytes(draw: &mut Draw) -> Vec<u8> {
    let len = draw.index(64);
    (0..len).map(|_| draw.below(256) as u8).collect()
}

/// How many random byte strings are decoded where `LOGITFUZZ_SOAK_INPUTS` does not say otherwise.
const RANDOM_INPUTS: u64 = 200_000;
/// One random byte string in so many is executed, too.
const EXECUTED_SHARE: u64 = 10;

fn random_inputs() -> u64 {
    match std::env::var("LOGITFUZZ_SOAK_INPUTS") {
        Ok(text) => text.parse().expect("LOGITFUZZ_SOAK_INPUTS is a number of byte strings"),
        Err(_) => RANDOM_INPUTS,
    }
}

/// No panic, no more logits than there are words, and no false alarm. `make soak` is this test with ten million inputs.
#[test]
fn any_bytes_can_be_executed() {
    let mut target = of("shifted,branched", Op::ALL);
    let mut draw = Draw::from_seed(9);
    let mut executed = 0;
    for turn in 0..random_inputs() {
        let bytes = random_bytes(&mut draw);
        let case = Case::decode(&bytes);
        assert!(case.logits().len() <= (bytes.len() / case.dtype().bytes()).max(1), "{bytes:?}");
        if turn % EXECUTED_SHARE == 0 {
            let execution = target.judge(&case).expect("the two compute every op");
            assert_eq!(execution.judgement.verdict, Verdict::Pass, "{case}");
            executed += 1;
        }
    }
    assert_eq!(executed, random_inputs().div_ceil(EXECUTED_SHARE));
    println!("{} byte strings decoded, {executed} executed", random_inputs());
}

/// A decoder that trusted a length in the bytes would allocate it; this one has none, and a cap.
#[test]
fn an_input_beyond_the_cap_is_cut() {
    for &op in Op::ALL {
        let mut bytes = Case::header(op, Dtype::F16).to_vec();
        // One row, of an op that takes several.
        bytes.extend([u8::from(op.mean_of().is_some()), 0, 0, 0]);
        bytes.resize(6 + 2 + 6 * MAX_DECODED_LOGITS + 64, 0);
        assert_eq!(Case::decode(&bytes).logits().len(), MAX_DECODED_LOGITS, "{op}");
        assert_eq!(Case::logits_in(op, Dtype::F16, bytes.len()), MAX_DECODED_LOGITS);
        let of = |extent: Extent| op.inputs().iter().filter(|input| input.role.extent() == extent).count();
        let room = 6 + 2 * of(Extent::Number) + 3 * (2 * of(Extent::Row) + 4 * of(Extent::Indices));
        assert_eq!(Case::logits_in(op, Dtype::F16, room), 3, "{op}");
        assert_eq!(Case::logits_in(op, Dtype::F16, room - 1), 2, "{op}");
    }
}

#[test]
fn an_input_prints_as_a_case() {
    let case = Case::parse("cross_entropy f32 [0.1, -inf] target=0 label_smoothing=0.5").unwrap();
    let mut u = Unstructured::new(&[]);
    assert_eq!(FuzzInput::arbitrary(&mut u).unwrap().0.logits().len(), 0);
    let bytes = case.encode();
    let input = FuzzInput::arbitrary_take_rest(Unstructured::new(&bytes)).unwrap();
    assert_eq!(
        format!("{input:?}"),
        format!(
            "cross_entropy f32 of 2 logits\n  logits [0.1, -inf], target 0, label smoothing 0.5\n  replay: logitfuzz replay '{case}'"
        )
    );
}

/// The seed of a family is small, so that the fuzzer is quick on it.
const LONGEST_SEED: usize = 24;
/// Defects that a fuzzer has to find, at least.
const LEAST_SOUGHT: usize = 76;
/// So are those of the defects, some of which show only past 255 logits; `scripts/fuzz-check.sh` fuzzes rows of this length.
const LONGEST_DEFECT: usize = 300;

/// The planted defects, with what shows them. One that needs longer rows than [`LONGEST_DEFECT`] is not for a fuzzer; the families
/// find it.
fn defects() -> impl Iterator<Item = (&'static str, Examples)> {
    let defects = builtin::all().iter().filter(|kernel| kernel.defect().is_some());
    defects.map(|kernel| (kernel.name().trim_start_matches("defect/"), kernel.examples().unwrap()))
}

/// Whether rows as short as a fuzzer tries show it.
fn is_for_fuzzers(examples: &Examples) -> bool {
    examples.length.is_none_or(|(length, _)| length <= LONGEST_DEFECT)
}

/// The seeds of a target: for each family a case of each of its ops, dtypes in turn, and the case that exposes each planted
/// defect.
fn seeds(target: &str, ops: &[Op]) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut seeds = BTreeMap::new();
    let quick = Family::all().iter().filter(|family| !family.is_slow());
    for (turn, (family, &op)) in quick.flat_map(|family| ops.iter().map(move |op| (family, op))).enumerate() {
        let dtype = Dtype::ALL[turn % Dtype::ALL.len()];
        let case = (0..).find_map(|index| {
            let row = generate::row(*family, dtype, 0, index, LONGEST_SEED);
            generate::case(op, dtype, family.name(), 0, index, row.into(), None).unwrap()
        });
        seeds.insert(PathBuf::from(target).join(format!("{}-{op}", family.name())), case.unwrap().encode());
    }
    for (defect, Examples { exposing, .. }) in defects() {
        let case = Case::parse(exposing).unwrap();
        if ops.contains(&case.op()) && case.logits().len() <= LONGEST_DEFECT {
            seeds.insert(PathBuf::from(target).join(format!("defect-{defect}")), case.encode());
        }
    }
    seeds
}

/// The dictionary: where exp overflows and underflows in each dtype, and the special values, as words of the dtype.
fn dictionary() -> String {
    let mut text = String::from(
        "# Words of the dtypes at which exp overflows or underflows, and special values. Made by a test of src/fuzz/tests.rs.\n",
    );
    for dtype in Dtype::ALL {
        let format = dtype.format();
        let edges = generate::mutate::edges(dtype);
        let special = [0.0, -0.0, 1.0, f64::INFINITY, f64::NEG_INFINITY, f64::NAN, format.largest(), format.least()];
        let values: BTreeSet<u64> = edges.iter().copied().chain(special).map(|x| dtype.to_bits(x)).collect();
        for bits in values {
            let word: String =
                bits.to_le_bytes()[..dtype.bytes()].iter().map(|byte| format!("\\x{byte:02x}")).collect();
            text += &format!("\"{word}\"\n");
        }
    }
    text
}

/// What is in the folder is what this file makes. To make it again: `LOGITFUZZ_WRITE_SEEDS=1 cargo test --lib seeds_are`.
#[test]
fn seeds_are_as_they_are_made() {
    let root = folder().join("seeds");
    let mut wanted: BTreeMap<PathBuf, Vec<u8>> = targets().iter().flat_map(|(name, ops)| seeds(name, ops)).collect();
    let count = wanted.len();
    wanted.insert(PathBuf::from("../thresholds.dict"), dictionary().into_bytes());
    if std::env::var_os("LOGITFUZZ_WRITE_SEEDS").is_some() {
        for (path, bytes) in &wanted {
            let path = root.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, bytes).unwrap();
        }
    }
    for (path, bytes) in &wanted {
        assert!(std::fs::read(root.join(path)).is_ok_and(|found| found == *bytes), "{} is not as made", path.display());
    }
    // Those of the target `outside` hold figures, so they are only looked at for being accepted.
    let outside = root.join("outside");
    if std::env::var_os("LOGITFUZZ_WRITE_SEEDS").is_some() {
        std::fs::create_dir_all(&outside).unwrap();
        for (name, bytes) in readers::tests::samples() {
            std::fs::write(outside.join(name), bytes).unwrap();
        }
    }
    for name in readers::tests::samples().keys() {
        assert!(std::fs::read(outside.join(name)).is_ok_and(|bytes| super::outside(&bytes)), "{name} is not accepted");
    }
    let found: usize = targets().iter().map(|(name, _)| std::fs::read_dir(root.join(name)).unwrap().count()).sum();
    assert_eq!(found, count, "a file in fuzz/seeds that is no seed");
    // Each defect is exposed by a seed of one target, and that target has to find it (`scripts/fuzz-check.sh`).
    let mut sought = 0;
    for (defect, examples) in defects() {
        let seeds = wanted.keys().filter(|path| path.ends_with(format!("defect-{defect}")));
        assert_eq!(seeds.count(), usize::from(is_for_fuzzers(&examples)), "{defect}: {examples:?}");
        sought += usize::from(is_for_fuzzers(&examples));
    }
    assert!(sought >= LEAST_SOUGHT, "{sought}");
}
