//! C functions of batches: their arguments, what lies between rows, and what is found of those that are wrong.

use crate::support::foreign::{case, quick};
use crate::support::place::{LOGITFUZZ, Place};
use logitfuzz::Case;
use logitfuzz::foreign::Foreign;
use logitfuzz::kernel::{Batch, Fault, Kernel, Outcome, run_batch};
use std::path::Path;
use std::process::Command;

/// A folder with the library of `tests/foreign/batches.c` that has this defect.
fn library(defect: &str) -> Place {
    library_of("batches", defect)
}

/// A folder with the library `batches` of one of the files here that has this defect.
fn library_of(source: &str, defect: &str) -> Place {
    let place = Place::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let made = Command::new(std::env::var("CC").unwrap_or_else(|_| "cc".into()))
        .args(["-O1", "-Wall", "-Werror", "-shared", "-fPIC", &format!("-D{defect}"), "-I"])
        .arg(root.join("include"))
        .arg("-o")
        .args([place.path("libbatches.so"), root.join(format!("tests/foreign/{source}.c"))])
        .arg("-lm")
        .status()
        .expect("a C compiler");
    assert!(made.success());
    place
}

fn start(place: &Place) -> Foreign {
    let words = [LOGITFUZZ.into(), "serve-library".into(), place.path("libbatches.so").into(), "c:libbatches".into()];
    Foreign::start("c:libbatches.so", words.to_vec(), quick()).expect("a library").remove(0)
}

fn outputs(kernel: &Foreign, batch: &str) -> Vec<Vec<f64>> {
    let outcome = |outcome| match outcome {
        Outcome::Outputs(values) => values,
        other => panic!("{batch}: {other:?}"),
    };
    run_batch(kernel, &Batch::parse(batch).unwrap()).into_iter().map(outcome).collect()
}

#[test]
fn every_shape_of_arguments() {
    let place = library("CORRECT");
    let kernel = start(&place);
    assert_eq!(kernel.name(), "c:libbatches:batch");
    for (batch, due) in [
        (
            "batch logits_stride=4 out_stride=3 padding=huge: softmax f32 [0, 0]; softmax f32 [nan, 0]; softmax f32 [5, 5]",
            vec![vec![0.5, 0.5], vec![f64::NAN; 2], vec![0.5, 0.5]],
        ),
        (
            "batch in_place logits_stride=3 out_stride=3: softmax f32 [0, 0]; softmax f32 [7, 7]",
            vec![vec![0.5, 0.5]; 2],
        ),
        (
            "batch logits_stride=3 out_stride=2: cross_entropy f64 [1, 2] target=1 label_smoothing=0.5; cross_entropy f64 [4, 8] target=0 label_smoothing=0.5",
            vec![vec![2.5], vec![4.5]],
        ),
        (
            "batch logits_stride=2 other_stride=5: softmax_vjp f32 [1, 2] cotangent=[10, 20]; softmax_vjp f32 [3, 4] cotangent=[30, 40]",
            vec![vec![11.0, 22.0], vec![33.0, 44.0]],
        ),
        ("batch out_stride=5: scaled_softmax bf16 [1, 2] scale=-0.75 x 3", vec![vec![-0.75; 2]; 3]),
    ] {
        let got = outputs(&kernel, batch);
        assert_eq!(format!("{got:?}"), format!("{due:?}"), "{batch}");
    }
    // A row by itself is a batch of one.
    assert_eq!(kernel.run(&case("softmax f32 [0, 0, -inf]")), Outcome::Outputs(vec![0.5, 0.5, 0.0]));
}

#[test]
fn what_is_wrong_in_a_batch_alone() {
    let outcomes = |defect: &str, batch: &str| run_batch(&start(&library(defect)), &Batch::parse(batch).unwrap());
    let two = "batch logits_stride=4 out_stride=4 padding=nan: softmax f32 [0, 0]; softmax f32 [0, 0]";
    assert!(outcomes("READS_PADDING", two).iter().all(|outcome| matches!(outcome, Outcome::Outputs(_))));
    let is = |outcome: &Outcome, due: Fault, words: &str| matches!(outcome, Outcome::Failed(fault, message) if *fault == due && message.contains(words));
    let between = outcomes("WRITES_BETWEEN", two);
    assert!(
        between.iter().all(|outcome| is(outcome, Fault::OutOfBounds, "index 2 of the outputs, which is between")),
        "{between:?}"
    );
    // Of no rows nothing may be touched, whichever way the buffers lie.
    for logits in ["[0, 0]", "[1, 0]", "[2, 0]", "[3, 0]", "[4, 0]"] {
        let first = outcomes("ONE_ROW_AT_LEAST", &format!("batch : softmax f32 {logits}"));
        assert!(is(&first[0], Fault::OutOfBounds, "called with no rows, it "), "{first:?}");
    }
    let many = format!("batch : {}; softmax f32 [1, 1]", "softmax f32 [0, 0] x 32");
    let skipped = outcomes("TAIL_SKIPPED", &many);
    assert!(skipped[..32].iter().all(|outcome| matches!(outcome, Outcome::Outputs(_))), "{skipped:?}");
    assert!(is(&skipped[32], Fault::Unwritten, "output 0 of 2 was never written"), "{:?}", skipped[32]);
}

/// A mean takes several rows as it is. They lie side by side the first time and apart the second, and what is taken from between them, or
/// written there, is told.
#[test]
fn the_rows_of_a_mean() {
    let mean = case("mean_cross_entropy f64 [0, 0, nan, 1, 0, 0] targets=[1, ignored, 0]");
    let grad = case("mean_cross_entropy_grad f64 [1, 2, nan, 1, 3, 4] targets=[1, ignored, 0]");
    let outcome = |defect: &str, case: &Case| start(&library_of("means", defect)).run(case);
    assert_eq!(outcome("CORRECT", &mean), Outcome::Outputs(vec![2f64.ln()]));
    assert_eq!(outcome("CORRECT", &grad), Outcome::Outputs(vec![11.0, 12.0, 0.0, 0.0, 3.0, 4.0]));
    for empty in
        ["mean_cross_entropy_grad f64 [] targets=[]", "mean_cross_entropy_grad f64 [] targets=[ignored, ignored]"]
    {
        let empty = case(empty);
        assert_eq!(outcome("CORRECT", &empty), Outcome::Outputs(Vec::new()), "{empty}");
    }
    for (defect, case, words) in [
        ("MEAN_STRIDE_IS_N", &mean, "depends on what lies beside its values"),
        ("MEAN_OUT_STRIDE_IS_N", &grad, "index 2 of the outputs, which is between the rows"),
        ("MEAN_WRITES_BETWEEN", &grad, "index 2 of the outputs, which is between the rows"),
    ] {
        match outcome(defect, case) {
            Outcome::Failed(Fault::OutOfBounds, message) if message.contains(words) => {}
            other => panic!("{defect}: {other:?}"),
        }
    }
}

/// A small campaign over a kernel.
fn of(kernel: &str) -> Vec<&str> {
    let softmax = ["--op", "softmax", "--dtype", "f32", "--family", "ordinary", "--max-len", "64", "--cases", "60"];
    [&["run", "--kernel", kernel][..], &softmax].concat()
}

/// The command finds the kernel, what it does wrong, and its replay line shows that again; `c:LIB.so:batch` names it alone.
#[test]
fn campaigns_on_batches() {
    let place = library("STRIDE_IS_N");
    let list = place.ok(&["list", "kernels", "--kernel", "c:./libbatches.so"]);
    assert!(list.starts_with("c:libbatches:batch") && list.contains("softmax f32 in batches"), "{list}");
    for kernel in ["c:./libbatches.so", "c:./libbatches.so:batch", "mine=c:./libbatches.so:softmax_batch_f32"] {
        let run = place.ok(&of(kernel));
        assert!(run.contains("contaminated"), "{run}");
        let results = place.json("reports/latest/results.json");
        let finding = &results["findings"][0];
        assert_eq!(finding["verdict"], "contaminated");
        assert!(finding["batch"]["rows"].as_array().is_some_and(|rows| !rows.is_empty()), "{finding}");
        let words = shlex::split(finding["replay"].as_str().unwrap()).unwrap();
        let words: Vec<&str> = words[1..].iter().map(String::as_str).collect();
        let replayed = place.run(&words);
        assert!(replayed.code == Some(1) && replayed.out.contains("contaminated"), "{replayed:?}");
        let replayed = place.run(&["replay", "reports/latest", "--finding", "0"]);
        assert!(replayed.code == Some(1) && replayed.out.contains("1 of 1 replayed"), "{replayed:?}");
    }
    let right = library("CORRECT");
    let run = right.ok(&of("c:./libbatches.so"));
    assert!(!run.contains("contaminated") && run.contains(" 0 findings"), "{run}");
    let outside = library("BEHIND_THE_LAST");
    let run = outside.ok(&of("c:./libbatches.so"));
    assert!(run.contains("contaminated"), "{run}");
}

/// The example builds with a plain compiler and passes, with the command on it too.
#[test]
fn the_example_passes() {
    let place = Place::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (include, source) = (root.join("include"), root.join("examples/c"));
    let compile = |words: &[&str], source: &Path, more: &[&str]| {
        let made = Command::new("cc")
            .args(["-O2", "-Wall", "-Werror", "-I"])
            .arg(&include)
            .args(words)
            .arg(source)
            .args(more)
            .current_dir(place.path("."))
            .status()
            .expect("a C compiler");
        assert!(made.success());
    };
    compile(&["-shared", "-fPIC", "-o", "libsoftmax.so"], &source.join("softmax.c"), &["-lm"]);
    compile(
        &["-o", "softmax_test"],
        &source.join("softmax_test.c"),
        &["-L.", "-lsoftmax", "-lm", "-Wl,-rpath,$ORIGIN"],
    );
    let ran = Command::new(place.path("softmax_test"))
        .arg("./libsoftmax.so")
        .env("LOGITFUZZ", LOGITFUZZ)
        .current_dir(place.path("."))
        .output()
        .unwrap();
    assert!(ran.status.success(), "{}{}", String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
}
