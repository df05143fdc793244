//! Each defect of a C kernel is blamed on the cases that show it and on no other, in one batch of many.

use crate::support::foreign::{CKernel, case, quick, run};
use logitfuzz::Case;
use logitfuzz::foreign::{Limits, MOST_FAULTS};
use logitfuzz::kernel::{Fault, Outcome};

/// Ordinary rows of 1 to 6 logits, and between them the guilty ones at these places.
fn batch(guilty: &[(usize, &str)]) -> Vec<Case> {
    let mut cases: Vec<Case> = (0..40).map(|i| case(&format!("softmax f32 [{i}, 0*{}]", 1 + i % 6))).collect();
    for (place, text) in guilty {
        cases[*place] = case(text);
    }
    cases
}

/// Runs the batch, and asserts that the guilty rows and only they fail, with this fault and these words.
fn assert_blamed(defect: &str, limits: Limits, guilty: &[(usize, &str)], fault: Fault, words: &str) {
    let kernel = CKernel::new(defect);
    let foreign = kernel.start(limits);
    let outcomes = run(&foreign, &batch(guilty));
    assert_eq!(outcomes.len(), 40);
    for (place, outcome) in outcomes.iter().enumerate() {
        match (guilty.iter().any(|(guilty, _)| *guilty == place), outcome) {
            (false, Outcome::Outputs(outputs)) => {
                let sum: f64 = outputs.iter().sum();
                assert!((sum - 1.0).abs() < 1e-6, "row {place}: {outputs:?}");
            }
            (true, Outcome::Failed(got, message)) => {
                assert_eq!(*got, fault, "row {place}: {message}");
                assert!(message.contains(words), "row {place}: {message}");
            }
            _ => panic!("{defect}, row {place}: {outcome:?}"),
        }
    }
    // And each of them alone, as replay runs it.
    for (_, text) in guilty {
        assert!(matches!(&run(&foreign, &[case(text)])[..], [Outcome::Failed(got, _)] if *got == fault), "{text}");
    }
    drop(foreign);
    kernel.assert_nothing_left();
}

#[test]
fn an_abort() {
    let guilty = [(11, "softmax f32 [1, 42]"), (12, "softmax f32 [42]"), (39, "softmax f32 [0, 0, 42]")];
    assert_blamed("ABORTS", Limits::default(), &guilty, Fault::Crash, "SIGABRT");
}

#[test]
fn a_segmentation_fault() {
    assert_blamed("SEGFAULTS", Limits::default(), &[(0, "softmax f32 [1*257]")], Fault::Crash, "SIGSEGV");
}

#[test]
fn a_write_past_the_end() {
    assert_blamed("OUT_OF_BOUNDS", Limits::default(), &[(20, "softmax f32 [1*9]")], Fault::OutOfBounds, "index 9");
}

/// Farther than any fence.
#[test]
fn a_write_far_past_the_end() {
    let guilty = [(20, "softmax f32 [1*9]"), (21, "softmax f32 [2*9]"), (22, "softmax f32 [3*9]")];
    assert_blamed(
        "WRITES_FAR",
        Limits::default(),
        &guilty,
        Fault::OutOfBounds,
        "index 17509 of the outputs, which are 9",
    );
}

/// A read leaves no trace between fences, and is found out at the guards: of about half of the rows, on either side, each time alike.
#[test]
fn reads_outside() {
    let kernel = CKernel::new("READS_OUTSIDE");
    let foreign = kernel.start(Limits::default());
    let cases: Vec<Case> = (0..64).map(|i| case(&format!("softmax f32 [{i}, 0, 0]"))).collect();
    let outcomes = run(&foreign, &cases);
    let read = if cfg!(all(target_os = "linux", target_arch = "x86_64")) { "read" } else { "touched" };
    let told = |index: i32| {
        let words = format!("it {read} index {index} of the logits, which are 3");
        outcomes.iter().filter(|&outcome| *outcome == Outcome::Failed(Fault::OutOfBounds, words.clone())).count()
    };
    let (before, behind) = (told(-60), told(63));
    let passed = outcomes.iter().filter(|outcome| matches!(outcome, Outcome::Outputs(_))).count();
    assert!(before > 4 && behind > 4 && passed > 16 && before + behind + passed == 64, "{before}, {behind}, {passed}");
    for (case, outcome) in cases.iter().zip(&outcomes) {
        assert_eq!(run(&foreign, std::slice::from_ref(case)).first(), Some(outcome), "{case} alone");
    }
}

#[test]
fn an_environment_left_changed() {
    let guilty = [(20, "softmax f32 [1*9]")];
    let flushing = "after the call flush-to-zero and denormals-are-zero are on";
    assert_blamed("LEAVES_FLUSHING", Limits::default(), &guilty, Fault::FenvChanged, flushing);
    let upward = "after the call the rounding mode is upward";
    assert_blamed("LEAVES_UPWARD", Limits::default(), &guilty, Fault::FenvChanged, upward);
}

#[test]
fn a_loop_without_end() {
    assert_blamed("LOOPS", quick(), &[(7, "softmax f32 [1, nan]")], Fault::Hang, "no answer within 600 ms");
}

#[test]
fn a_leak_without_end() {
    let limits = Limits { memory: 256 << 20, timeout: std::time::Duration::from_secs(20) };
    assert_blamed("LEAKS", limits, &[(7, "softmax f32 [42]")], Fault::Crash, "more than 256 MiB");
}

/// A leak that no row is to blame for costs restarts, and no verdict.
#[test]
fn a_slow_leak_is_no_verdict() {
    let kernel = CKernel::new("LEAKS_SLOWLY");
    let foreign = kernel.start(Limits { memory: 64 << 20, ..Limits::default() });
    for _ in 0..5 {
        let outcomes = run(&foreign, &batch(&[]));
        assert!(outcomes.iter().all(|outcome| matches!(outcome, Outcome::Outputs(_))), "{outcomes:?}");
        // Time for the memory to be looked at.
        std::thread::sleep(std::time::Duration::from_millis(30));
    }
}

#[test]
fn changed_input() {
    let kernel = CKernel::new("CHANGES_INPUT");
    let foreign = kernel.start(Limits::default());
    let outcomes = run(&foreign, &[case("softmax f32 [1, 2]"), case("softmax f32 [1, 2, 3]")]);
    assert!(matches!(&outcomes[0], Outcome::Outputs(_)));
    let Outcome::Failed(Fault::InputChanged, message) = &outcomes[1] else { panic!("{outcomes:?}") };
    assert_eq!(message, "value 1 of the logits was 2 and is 3 after the call");
}

#[test]
fn an_output_never_written() {
    let kernel = CKernel::new("UNWRITTEN");
    let foreign = kernel.start(Limits::default());
    let outcomes = run(&foreign, &[case("log_softmax f32 [1, 2, 3]"), case("log_softmax f32 []")]);
    let Outcome::Failed(Fault::Unwritten, message) = &outcomes[0] else { panic!("{outcomes:?}") };
    assert_eq!(message, "output 2 of 3 was never written");
    assert_eq!(outcomes[1], Outcome::Outputs(vec![]));
}

/// What lies beside the values changes the answer: wherever the read touches no guard, the two calls tell.
#[test]
fn reads_beside() {
    let kernel = CKernel::new("READS_BESIDE");
    let foreign = kernel.start(Limits::default());
    let cases: Vec<Case> = (0..16).map(|i| case(&format!("softmax f32 [{i}, 0*8]"))).collect();
    for (case, outcome) in cases.iter().zip(run(&foreign, &cases)) {
        assert!(matches!(&outcome, Outcome::Failed(Fault::OutOfBounds, _)), "{case}: {outcome:?}");
    }
    let told = |outcome: &Outcome| matches!(outcome, Outcome::Failed(_, message) if message.starts_with("its answer depends on what lies beside its values: output 0 is 0."));
    assert!(run(&foreign, &cases).iter().filter(|outcome| told(outcome)).count() > 2);
    assert!(matches!(&run(&foreign, &[case("softmax f32 [1, 2]")])[..], [Outcome::Outputs(_)]));
}

/// What the output held survives in the answer: no output is unwritten.
#[test]
fn an_output_that_is_added_to() {
    let kernel = CKernel::new("ADDS_TO_OUT");
    let outcomes = run(&kernel.start(Limits::default()), &[case("softmax f32 [1*9]"), case("softmax f32 [1, 2]")]);
    let Outcome::Failed(Fault::Flaky, message) = &outcomes[0] else { panic!("{outcomes:?}") };
    assert!(
        message.starts_with("its answer depends on what the output held before: output 0 is NaN, and 0.11"),
        "{message}"
    );
    assert!(matches!(&outcomes[1], Outcome::Outputs(_)));
}

/// A kernel whose answers follow nothing that is given to it is not said to read what it must not; that calls differ is for the campaign
/// to see.
#[test]
fn calls_that_differ() {
    let kernel = CKernel::new("VARIES");
    let cases: Vec<Case> = (0..64).map(|i| case(&format!("softmax f32 [{i}, 1, 0*9, 0.3, 0.7]"))).collect();
    let outcomes = run(&kernel.start(Limits::default()), &cases);
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Outcome::Outputs(_))), "{outcomes:?}");
}

/// What a kernel prints goes to standard error and corrupts nothing.
#[test]
fn prints() {
    let kernel = CKernel::new("PRINTS");
    let outcomes = run(&kernel.start(Limits::default()), &batch(&[]));
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Outcome::Outputs(_))), "{outcomes:?}");
}

/// A crash that needs an earlier row of the batch is blamed on the row at which it comes about.
#[test]
fn a_crash_that_needs_two_rows() {
    let kernel = CKernel::new("SECOND_TIME");
    let foreign = kernel.start(Limits::default());
    let mut cases: Vec<Case> = (0..40).map(|_| case("softmax f32 [0, 0]")).collect();
    (cases[9], cases[26]) = (case("softmax f32 [1]"), case("softmax f32 [2]"));
    for (place, outcome) in run(&foreign, &cases).iter().enumerate() {
        match outcome {
            Outcome::Failed(Fault::Crash, message) if place == 26 => {
                assert!(message.contains("SIGFPE") && message.contains("a fresh process survives it"), "{message}");
            }
            Outcome::Outputs(_) if place != 26 => {}
            other => panic!("row {place}: {other:?}"),
        }
    }
}

/// After so many crashes the rest of a function's rows is not run.
#[test]
fn gives_up() {
    let kernel = CKernel::new("ABORTS");
    let guilty: Vec<(usize, &str)> = (5..40).map(|place| (place, "softmax f32 [42]")).collect();
    let outcomes = run(&kernel.start(Limits::default()), &batch(&guilty));
    let crashed = outcomes.iter().filter(|outcome| matches!(outcome, Outcome::Failed(Fault::Crash, _))).count();
    assert_eq!(crashed as u64, MOST_FAULTS);
    let last = 5 + MOST_FAULTS as usize;
    assert!(outcomes[..5].iter().all(|outcome| matches!(outcome, Outcome::Outputs(_))));
    assert!(outcomes[last..].iter().all(|outcome| *outcome == Outcome::NotRun));
}

/// Arguments of every shape and width arrive as they were sent.
#[test]
fn arguments() {
    let kernel = CKernel::new("EVERY_SHAPE");
    let foreign = kernel.start(Limits::default());
    let outcomes = run(
        &foreign,
        &[
            case("cross_entropy bf16 [1, 2] target=1 label_smoothing=0.125"),
            case("softmax_vjp bf16 [1, 2, -3] cotangent=[4, 0.5, 2]"),
            case("cross_entropy f64 [3, 3] target=0 label_smoothing=0"),
            case("cross_entropy f32 [0, 0] target=1 label_smoothing=0.5"),
            case("soft_cross_entropy_grad f32 [3, -inf, 7] distribution=[0.25, 0, 0.75]"),
            case("soft_cross_entropy f32 [0, -2, -inf] distribution=[0.5, 0.5, 0]"),
            case("scaled_softmax f32 [1, 2] scale=-0.375"),
            case("scaled_softmax f64 [1] scale=0x1.0000000000001p-1"),
            case("scaled_softmax f16 [1] scale=-0.125"),
        ],
    );
    let outputs = |index: usize| match &outcomes[index] {
        Outcome::Outputs(outputs) => outputs.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(outputs(0), [0.125]);
    assert_eq!(outputs(1)[0], -1.0);
    assert_eq!(outputs(2), [2f64.ln()]);
    assert_eq!(outputs(3), [f64::from(2f32.ln())]);
    assert_eq!(outputs(4), [0.25, 0.0, 0.75]);
    assert_eq!((outputs(6), outputs(7), outputs(8)), (vec![-0.375; 2], vec![0.5 + f64::EPSILON / 2.0], vec![-0.125]));
    assert_eq!(outputs(5), [f64::from((1.0 + (-2f32).exp()).ln() + 1.0)]);
}

/// Pointers are aligned to their type and to no more, but where a buffer begins at a guard: then it begins with a page.
#[test]
fn alignment() {
    let kernel = CKernel::new("EVERY_SHAPE");
    let cases: Vec<Case> = (0..64).map(|i| case(&format!("softmax_jvp f64 [{i}, 2, 3] tangent=[1, 2, 3]"))).collect();
    let outcomes = run(&kernel.start(Limits::default()), &cases);
    let beyond = |bytes: f64| outcomes.iter().filter(|&outcome| *outcome == Outcome::Outputs(vec![bytes; 3])).count();
    let (by_8, by_0) = (beyond(8.0), beyond(0.0));
    assert!(by_8 > 32 && by_0 > 4 && by_8 + by_0 == 64, "{by_8}, {by_0}");
}
