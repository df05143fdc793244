//! The floating-point environment: what a kernel makes of it is told of the kernel, and changes nothing else.

use super::command::{logitfuzz, results, sum, verdicts, with_cases};
use crate::support::foreign::{CKernel, case, run};
use crate::support::place::LOGITFUZZ;
use logitfuzz::foreign::Limits;
use logitfuzz::kernel::{Fault, Outcome};
use std::process::Command;

/// The case whose second output is a subnormal number.
const SUBNORMAL: &str = "softmax f32 [0x1.64p+6, 0]";

/// The rows that leave the environment changed fail by that, all others pass, whoever runs them after whom.
#[test]
fn what_a_call_leaves_reaches_no_other_case() {
    for defect in ["LEAVES_FLUSHING", "LEAVES_UPWARD"] {
        let kernel = CKernel::new(defect);
        let mut texts = Vec::new();
        for jobs in ["1", "2", "2", "2"] {
            let more = ["--jobs", jobs, "--max-len", "12", "--family", "ordinary", "--family", "subnormal"];
            assert!(logitfuzz(&kernel, &with_cases("60", &more)).status.success());
            texts.push(std::fs::read(kernel.folder.path().join("out/results.json")).unwrap());
        }
        assert!(texts.iter().all(|text| *text == texts[0]), "{defect}");
        let results = results(&kernel);
        let (changed, passed) = (verdicts(&results, "fenv_changed"), verdicts(&results, "pass"));
        assert!(changed > 2 && changed + passed == 120, "{defect}: {changed} changed, {passed} passed");
        assert_eq!(results["findings"][0]["cause"], "fenv_changed");
    }
}

/// A library that is loaded with flush-to-zero is run with it, and told so; what it does to itself is no defect where it claims it.
#[test]
fn flushing_when_loaded() {
    let kernel = CKernel::new("FLUSHES_WHEN_LOADED");
    let more = ["--max-len", "12", "--family", "wide", "--family", "dominant", "--family", "thresholds"];
    let measured = |claims: &[&str]| {
        let ran = logitfuzz(&kernel, &[&with_cases("60", &more), claims].concat());
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
        let results = results(&kernel);
        let cases = sum(&results, |cell| cell["cases"].as_u64().unwrap());
        (cases - verdicts(&results, "pass"), results["findings"].as_array().unwrap().clone())
    };
    let (failed, findings) = measured(&[]);
    assert!(failed > 10 && !findings.is_empty());
    for finding in &findings {
        assert_eq!(finding["cause"], "flush_to_zero", "{finding}");
        assert!(
            finding["explanation"].as_str().unwrap().contains("Loading the library sets flush-to-zero"),
            "{finding}"
        );
    }
    assert_eq!(measured(&["--claims", "flush_to_zero"]).0, 0);
    let replayed = logitfuzz(&kernel, &["replay", "--kernel", "c:libkernels.so", SUBNORMAL]);
    let text = String::from_utf8_lossy(&replayed.stdout).into_owned();
    assert!(
        replayed.status.code() == Some(1) && text.contains("Judged with the claim flush_to_zero it passes"),
        "{text}"
    );
}

/// No user of a library expects that loading it changes how everything is rounded.
#[test]
fn rounding_upward_when_loaded() {
    let kernel = CKernel::new("ROUNDS_UPWARD_WHEN_LOADED");
    let outcomes = run(&kernel.start(Limits::default()), &[case("softmax f32 [1, 2]")]);
    let [Outcome::Failed(Fault::FenvChanged, words)] = &outcomes[..] else { panic!("{outcomes:?}") };
    assert!(words.starts_with("after the library was loaded the rounding mode is upward"), "{words}");
}

/// What somebody else loads into the harness is none of a kernel's faults, and changes no byte.
#[cfg(target_os = "linux")]
#[test]
fn preloaded_into_the_harness() {
    let kernel = CKernel::new("FLUSHES_WHEN_LOADED");
    let ran = |args: &[&str], preloads: bool| {
        let mut command = Command::new(LOGITFUZZ);
        command.args(args).current_dir(kernel.folder.path());
        if preloads {
            command.env("LD_PRELOAD", kernel.library());
        }
        let ran = command.output().expect("the binary runs");
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
        String::from_utf8_lossy(&ran.stdout).into_owned()
    };
    let eval = ["eval", "--kernel", "shifted", "--op", "softmax", "--dtype", "f32", "--", "0", "-100"];
    assert_eq!(ran(&eval, false), ran(&eval, true));
    let mut run = with_cases("40", &["--family", "subnormal"]);
    run[2] = "shifted";
    let texts = [false, true].map(|preloads| {
        ran(&run, preloads);
        std::fs::read(kernel.folder.path().join("out/results.json")).unwrap()
    });
    assert!(texts[0] == texts[1]);
}
