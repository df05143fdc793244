//! Foreign kernels through the command: selection, results, exit codes, and what is left when it is stopped.

use crate::support::foreign::CKernel;
use crate::support::place::LOGITFUZZ;
use serde_json::Value;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

pub fn logitfuzz(kernel: &CKernel, args: &[&str]) -> Output {
    Command::new(LOGITFUZZ).args(args).current_dir(kernel.folder.path()).output().expect("the binary runs")
}

pub fn results(kernel: &CKernel) -> Value {
    let path = kernel.folder.path().join("out/results.json");
    serde_json::from_str(&std::fs::read_to_string(path).expect("results")).expect("JSON")
}

pub fn sum(results: &Value, count: impl Fn(&Value) -> u64) -> u64 {
    results["cells"].as_array().expect("cells").iter().map(count).sum()
}

pub fn verdicts(results: &Value, verdict: &str) -> u64 {
    sum(results, |cell| cell["verdicts"][verdict].as_u64().unwrap_or(0))
}

const RUN: [&str; 10] =
    ["run", "--kernel", "c:libkernels.so", "--op", "softmax", "--dtype", "f32", "--out", "out", "--cases"];

pub fn with_cases<'a>(cases: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    RUN.iter().copied().chain([cases]).chain(more.iter().copied()).collect()
}

#[test]
fn a_correct_kernel_passes_everything() {
    let kernel = CKernel::new("CORRECT");
    let ran = logitfuzz(&kernel, &with_cases("100", &[]));
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    let results = results(&kernel);
    assert_eq!(results["cells"][0]["kernel"], "c:libkernels");
    assert_eq!(results["findings"].as_array().map(Vec::len), Some(0));
    assert_eq!(sum(&results, |cell| cell["not_run"].as_u64().unwrap()), 0);
    let cases = sum(&results, |cell| cell["cases"].as_u64().unwrap());
    assert!(cases >= 2_000 && verdicts(&results, "pass") == cases, "{cases}");
    kernel.assert_nothing_left();
}

/// The same bytes whatever the number of threads, giving up included; every case is counted once, as run or as not run.
#[test]
fn crashes_are_counted_and_given_up_on_alike_by_any_number_of_threads() {
    let kernel = CKernel::new("SEGFAULTS");
    let mut texts = Vec::new();
    for jobs in ["1", "2", "3"] {
        // `long` has many rows above 256 logits, `ties` none or few.
        let more = ["--jobs", jobs, "--family", "long", "--family", "ties", "--family", "ordinary"];
        assert!(logitfuzz(&kernel, &with_cases("300", &more)).status.success());
        texts.push(std::fs::read(kernel.folder.path().join("out/results.json")).unwrap());
    }
    assert!(texts[0] == texts[1] && texts[0] == texts[2]);
    let results = results(&kernel);
    for cell in results["cells"].as_array().unwrap() {
        let number = |key: &str| cell[key].as_u64().unwrap();
        let crashed = cell["verdicts"]["crash"].as_u64().unwrap_or(0);
        assert!(crashed <= 8);
        assert_eq!(number("cases") + number("not_run"), 300, "{cell}");
        assert_eq!(number("not_run") > 0, crashed == 8, "{cell}");
    }
    assert_eq!(results["cells"].as_array().unwrap().iter().filter(|cell| cell["family"] == "long").count(), 1);
    assert!(sum(&results, |cell| cell["not_run"].as_u64().unwrap()) > 100);
    // Shrinking found the length at which it begins.
    let finding = &results["findings"][0];
    assert_eq!((&finding["verdict"], &finding["len"]), (&"crash".into(), &257.into()));
    assert!(finding["explanation"].as_str().unwrap().contains("SIGSEGV"));
    kernel.assert_nothing_left();
}

#[test]
fn a_finding_replays() {
    let kernel = CKernel::new("ABORTS");
    let case = "softmax f32 [3, 42, 17]";
    let ran = logitfuzz(&kernel, &["shrink", "--kernel", "mine=c:libkernels.so", case]);
    let text = String::from_utf8_lossy(&ran.stdout).into_owned();
    assert!(ran.status.success() && text.contains("[42]") && text.contains("crash"), "{text}");
    let ran = logitfuzz(&kernel, &["replay", "--kernel", "c:libkernels.so", case]);
    assert_eq!(ran.status.code(), Some(1));
    let ran =
        logitfuzz(&kernel, &["eval", "--kernel", "c:libkernels.so", "--op", "softmax", "--dtype", "f32", "--", "42"]);
    let text = String::from_utf8_lossy(&ran.stdout).into_owned();
    assert!(ran.status.success() && text.contains("SIGABRT"), "{text}");
    let json = ["--format", "json", "--op", "softmax", "--dtype", "f32", "--", "42"];
    let ran = logitfuzz(&kernel, &[&["eval", "--kernel", "c:libkernels.so"], &json[..]].concat());
    let json: Value = serde_json::from_slice(&ran.stdout).expect("JSON");
    assert_eq!(json["faults"]["c:libkernels"]["verdict"], "crash", "{json}");
}

#[test]
fn symbols() {
    let kernel = CKernel::new("EVERY_SHAPE");
    let eval = |which: &str| {
        logitfuzz(&kernel, &["eval", "--kernel", which, "--op", "softmax", "--dtype", "f32", "--", "0", "0"])
    };
    let text = String::from_utf8_lossy(&eval("c:libkernels.so:my_kernel").stdout).into_owned();
    assert!(text.contains("c:libkernels:my_kernel") && text.contains("pass"), "{text}");
    let text = String::from_utf8_lossy(&eval("mine=c:libkernels.so:softmax_f32").stdout).into_owned();
    assert!(text.contains("mine") && text.contains("pass"), "{text}");
}

/// bf16 in and f32 out: what is right in f32 passes, and a result that was rounded to bf16 on the way is not, whatever type it comes in.
#[test]
fn a_function_may_write_another_dtype_than_it_reads() {
    let kernel = CKernel::new("EVERY_SHAPE");
    let run = |op: &str| {
        let arguments =
            ["run", "--kernel", "c:libkernels.so", "--op", op, "--dtype", "bf16:f32", "--cases", "30", "--out", op];
        let ran = logitfuzz(&kernel, &arguments);
        let summary = std::fs::read_to_string(kernel.folder.path().join(op).join("summary.md")).expect("a report");
        (ran.status.code(), summary)
    };
    let (code, summary) = run("softmax");
    assert_eq!(code, Some(0), "{summary}");
    assert!(summary.contains("## bf16:f32") && summary.contains("none breaks"), "{summary}");
    let (code, summary) = run("log_softmax");
    assert_eq!(code, Some(0), "{summary}");
    assert!(summary.contains("it answers as defect/narrow-result does"), "{summary}");
    // The symbol says its dtype.
    let named = [
        "eval",
        "--kernel",
        "c:libkernels.so:softmax_bf16_f32",
        "--op",
        "softmax",
        "--dtype",
        "bf16:f32",
        "--",
        "0",
        "1",
    ];
    let text = String::from_utf8_lossy(&logitfuzz(&kernel, &named).stdout).into_owned();
    assert!(text.contains("2.689414") && text.contains("pass"), "{text}");
}

#[test]
fn bad_use_is_one_line_and_exit_code_3() {
    let kernel = CKernel::new("CORRECT");
    std::fs::write(kernel.folder.path().join("text.so"), "no library").unwrap();
    std::fs::write(kernel.folder.path().join("script"), "echo").unwrap();
    for (which, code, words) in [
        ("c:missing.so", 3, "there is no such file; build the library first"),
        ("c:libkernels.so:softmax_f64", 3, "no symbol `softmax_f64`; `nm -D"),
        ("c:libkernels.so:what", 2, "what does `what` compute? Say it with one --op and one --dtype"),
        ("c:text.so", 3, "is it a shared library of this machine"),
        ("exec:no-such-program --flag", 3, "there is no program `no-such-program`; check the path"),
        ("exec:./script", 3, "may not be executed"),
        ("exec:true", 3, "said no hello"),
        ("exec:echo '{\"logitfuzz_worker\":9}'", 3, "speaks version 9"),
        ("exec:", 2, "is no command"),
        ("exec:'open", 2, "is no command"),
    ] {
        let ran = logitfuzz(&kernel, &["run", "--kernel", which, "--out", "never"]);
        let error = String::from_utf8_lossy(&ran.stderr).into_owned();
        assert_eq!(ran.status.code(), Some(code), "{which}: {error}");
        assert!(error.contains(words) && error.lines().count() == 1, "{which}: {error}");
        assert!(ran.stdout.is_empty() && !kernel.folder.path().join("never").exists(), "{which}");
    }
    for flags in [["--timeout-ms", "0"], ["--memory-limit", "0"], ["--timeout-ms", "x"]] {
        let ran = logitfuzz(&kernel, &[&["run", "--kernel", "c:libkernels.so"], &flags[..]].concat());
        assert_eq!(ran.status.code(), Some(2), "{flags:?}");
    }
}

/// A harness that is hung up on a kernel, killed in whatever way, leaves no worker behind.
#[test]
fn killed_or_interrupted_it_leaves_no_worker() {
    for (signal, again) in [("KILL", false), ("INT", true), ("TERM", true)] {
        let kernel = CKernel::new("LOOPS");
        let mut harness = Command::new(LOGITFUZZ)
            .args(with_cases("50", &["--family", "nan", "--timeout-ms", "60000"]))
            .current_dir(kernel.folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let id = harness.id().to_string();
        let deadline = Instant::now() + Duration::from_secs(30);
        while kernel.processes() < 1 {
            assert!(Instant::now() < deadline, "no worker was started");
            std::thread::sleep(Duration::from_millis(10));
        }
        std::thread::sleep(Duration::from_millis(200));
        let send = || Command::new("kill").args([&format!("-{signal}"), &id]).status().unwrap();
        assert!(send().success());
        if again {
            // The first time it waits for the rows under way.
            std::thread::sleep(Duration::from_millis(200));
            send();
        }
        harness.wait().unwrap();
        kernel.assert_nothing_left();
    }
}

/// Two answers to one call are a failure, unless the kernel claims that it gives them.
#[test]
fn a_kernel_that_answers_in_two_ways() {
    for varies in ["VARIES", "TAKES_TURNS"] {
        let kernel = CKernel::new(varies);
        let of = |more: &[&str]| {
            assert!(logitfuzz(&kernel, &with_cases("100", more)).status.success());
            let results = results(&kernel);
            let findings = results["findings"].as_array().unwrap().iter();
            findings.map(|finding| finding["verdict"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(of(&[]), ["flaky"], "{varies}");
        assert!(of(&["--claims", "nondeterministic"]).is_empty(), "{varies}");
    }
}

/// A row that fails where its buffer lies, and passes where it is aligned: that is said, and nothing else is guessed.
#[test]
fn an_answer_that_follows_the_alignment() {
    let kernel = CKernel::new("FOLLOWS_ADDRESS");
    assert!(logitfuzz(&kernel, &with_cases("100", &[])).status.success());
    let results = results(&kernel);
    let findings = results["findings"].as_array().expect("findings");
    let said: Vec<_> = findings.iter().map(|finding| (&finding["cause"], &finding["certainty"])).collect();
    assert!(!said.is_empty() && said.iter().all(|said| *said == (&"alignment".into(), &"shown".into())), "{said:?}");
}

/// What a kernel prints is shown where one case is looked at.
#[test]
fn what_a_kernel_prints_is_shown() {
    let kernel = CKernel::new("PRINTS");
    for command in [["eval", "--op", "softmax", "1", "2"].as_slice(), &["replay", "softmax f32 [1, 2]"]] {
        let arguments: Vec<&str> =
            command[..1].iter().chain(&["--kernel", "c:libkernels.so"]).chain(&command[1..]).copied().collect();
        let ran = logitfuzz(&kernel, &arguments);
        let text = String::from_utf8_lossy(&ran.stderr);
        assert!(text.lines().any(|line| line.starts_with("kernel: ")), "{text}");
    }
}
