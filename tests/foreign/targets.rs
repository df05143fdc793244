//! Fuzz targets on kernels from outside: what they take in `LOGITFUZZ_KERNELS` is what the command takes as `--kernel`.

use crate::support::foreign::CKernel;
use crate::support::place::LOGITFUZZ;
use logitfuzz::fuzz::{FuzzInput, Target};
use logitfuzz::{Case, Op};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::Command;

/// The case that a target is given, in the process that is one.
const CASE: &str = "LOGITFUZZ_TEST_CASE";

/// Nothing, unless the test below starts this program again: a fuzz target reads its environment, which a test must not change for
/// the others. Then it is a target of softmax on one case, and prints what came of that.
#[test]
fn as_a_target() {
    let Ok(case) = std::env::var(CASE) else { return };
    let mut target = match Target::builtin(&[Op::SOFTMAX]) {
        Ok(target) => target,
        Err(error) => return println!("refused: {error}"),
    };
    let input = FuzzInput(Case::parse(&case).expect("a case"));
    match catch_unwind(AssertUnwindSafe(|| target.execute(&input))) {
        Ok(kept) => println!("passes: {kept}"),
        Err(finding) => println!("fails: {}", finding.downcast_ref::<String>().expect("a finding")),
    }
}

/// What a target of these kernels and dtypes says of a case.
fn told(folder: &Path, kernels: &str, dtypes: &str, case: &str) -> String {
    let program = std::env::current_exe().expect("this program");
    let found = std::env::var_os("PATH").unwrap_or_default();
    let command = Path::new(LOGITFUZZ).parent().expect("a folder").to_owned();
    let path = std::iter::once(command).chain(std::env::split_paths(&found));
    let ran = Command::new(program)
        .args(["--exact", "foreign::targets::as_a_target", "--nocapture"])
        .current_dir(folder)
        .env("PATH", std::env::join_paths(path).expect("a PATH"))
        .envs([("LOGITFUZZ_KERNELS", kernels), ("LOGITFUZZ_DTYPES", dtypes), (CASE, case)])
        .output()
        .expect("it runs");
    assert!(ran.status.success(), "{ran:?}");
    String::from_utf8(ran.stdout).expect("a text")
}

#[test]
fn a_target_takes_what_the_command_takes() {
    const NINE: &str = "softmax f32 [0*9]";
    let wrong = CKernel::new("OUT_OF_BOUNDS");
    for (kernels, part) in [
        ("c:libkernels.so", "fails: c:libkernels softmax f32: out_of_bounds"),
        ("c:libkernels.so:softmax_f32", "fails: c:libkernels:softmax_f32 softmax f32: out_of_bounds"),
        ("mine=c:libkernels.so", "fails: mine softmax f32: out_of_bounds"),
        ("shifted, mine=c:libkernels.so:softmax_f32", "fails: mine softmax f32: out_of_bounds"),
        ("mine=defect/stale-tail", "fails: mine softmax f32: "),
    ] {
        let told = told(wrong.folder.path(), kernels, "", NINE);
        assert!(told.contains(part), "{kernels}: {told}");
        // The finding is replayed by the same words.
        let again = kernels.rsplit(' ').next().expect("a word");
        assert!(told.contains(&format!("replay: logitfuzz replay --kernel {again} '")), "{kernels}: {told}");
    }
    // What a function of any name computes is clear where the target has one dtype, too.
    let named = CKernel::new("EVERY_SHAPE");
    let which = "mine=c:libkernels.so:my_kernel";
    assert!(told(named.folder.path(), which, "f32", NINE).contains("passes: true"));
    for (kernels, part) in [
        (which, "what does `my_kernel` compute? Say it with a target of one op and one dtype in LOGITFUZZ_DTYPES"),
        (
            "a=shifted,a=naive",
            "the name `a` is given to shifted and to naive; give one of them another with NAME=KERNEL",
        ),
        ("c:missing.so", "cannot load the kernel c:missing.so: there is no such file; build the library first"),
        ("sofmax", "unknown kernel `sofmax`; the built-in kernels are: naive, "),
    ] {
        let told = told(named.folder.path(), kernels, "", NINE);
        assert!(told.contains("refused: LOGITFUZZ_KERNELS: ") && told.contains(part), "{kernels}: {told}");
    }
    named.assert_nothing_left();
}
