//! `gate` and `accept` as a stranger runs them: exit codes, reasons, files, and everything that can be wrong with a baseline.

use crate::support::place::Place;

/// A quick selection; the kernel is called `mine` whatever it is.
const WORK: [&str; 8] = ["--op", "softmax", "--op", "logsumexp", "--dtype", "f32", "--max-len", "300"];

fn args<'a>(command: &'a str, kernel: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&[command, "--kernel", kernel], &WORK[..], more].concat()
}

/// A place with a baseline of `mine`, which is the textbook kernel.
fn accepted() -> Place {
    let place = Place::new();
    let said = place.ok(&args("accept", "mine=shifted", &["--cases", "20"]));
    assert!(said.starts_with("reports/baseline.json: 44 cells, 44 new, 0 changed, 0 removed; 0 fail"), "{said}");
    place
}

#[test]
fn the_same_kernel_is_green_whatever_the_number_of_threads() {
    let place = accepted();
    let before = place.read("reports/baseline.json");
    for jobs in ["1", "2", "5"] {
        let said = place.ok(&args("gate", "mine=shifted", &["--jobs", jobs]));
        assert!(said.starts_with("gate passed: no regression in 44 cells, against reports/baseline.json\n"), "{said}");
        assert!(said.contains("44 pass, 0 fail as recorded (0 expected), 0 better"), "{said}");
    }
    assert_eq!(place.read("reports/baseline.json"), before);
    assert!(!place.path("reports/latest/baseline.new.json").exists());
}

#[test]
fn a_worse_kernel_is_red_with_the_reason_and_one_command_accepts_it() {
    for (worse, cell, reason) in [
        ("mine=defect/max-starts-at-zero", "mine softmax f32 all_negative", "new_verdict: 18 nan, none recorded"),
        ("mine=defect/masked-uniform", "mine softmax f32 fully_masked", "new_verdict: "),
        ("mine=naive", "mine logsumexp f32 offset", "ratio_above_1: ratio inf"),
        ("mine=defect/empty-panics", "mine softmax f32 tiny_n", "new_verdict: "),
    ] {
        let place = accepted();
        let before = place.read("reports/baseline.json");
        let ran = place.run(&args("gate", worse, &[]));
        assert_eq!((ran.code, ran.err.as_str()), (Some(1), ""), "{worse}: {ran:?}");
        assert!(
            ran.out.starts_with("gate failed: ") && ran.out.contains(&format!("\n{cell}\n")),
            "{worse}: {}",
            ran.out
        );
        let told = ran.out.split(&format!("\n{cell}\n")).nth(1).expect("the cell");
        assert!(
            told.lines().take_while(|line| line.starts_with("  ")).any(|line| line.trim().starts_with(reason)),
            "{worse}: {told}"
        );
        assert_eq!(place.read("reports/baseline.json"), before, "gate wrote the baseline");
        assert_ne!(place.read("reports/latest/baseline.new.json"), before);
        // The one command, as it is printed.
        let accept = ran.out.lines().find_map(|line| line.strip_prefix("to accept: ")).expect("the command");
        let accepted = place.shell(accept);
        assert_eq!((accepted.code, accepted.err.as_str()), (Some(0), ""), "{accept}");
        assert_eq!(place.read("reports/baseline.json"), place.read("reports/latest/baseline.new.json"));
        let said = place.ok(&args("gate", worse, &[]));
        assert!(said.contains("fail as recorded"), "{said}");
        assert!(!place.path("reports/latest/baseline.new.json").exists(), "a green gate leaves none");
    }
}

#[test]
fn a_better_kernel_is_green_and_reported() {
    let place = Place::new();
    place.ok(&args("accept", "mine=naive", &["--cases", "20"]));
    let said = place.ok(&args("gate", "mine=shifted", &[]));
    assert!(said.contains("room to tighten:\n") && said.contains("0 inf, recorded "), "{said}");
}

#[test]
fn expected_failures_hold_until_they_pass() {
    let place = Place::new();
    let said = place.ok(&args("accept", "mine=naive", &["--cases", "20", "--expect", "kept as a bad example"]));
    let marked = place.read("reports/baseline.json").matches("\"expected\":\"kept as a bad example\"").count();
    assert!(marked > 5 && said.ends_with(&format!("{marked} fail, {marked} of them expected\n")), "{said}");
    let said = place.ok(&args("gate", "mine=naive", &[]));
    assert!(said.contains(&format!("{marked} fail as recorded ({marked} expected)")), "{said}");
    // Accepted again, they keep the mark.
    place.ok(&args("accept", "mine=naive", &[]));
    assert_eq!(place.read("reports/baseline.json").matches("\"expected\"").count(), marked);
    let ran = place.run(&args("gate", "mine=shifted", &[]));
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(
        ran.out.contains("expected_passes: it passes; it was expected to fail: kept as a bad example"),
        "{}",
        ran.out
    );
    place.refused(&args("accept", "mine=naive", &["--expect", " "]), 2, &["--expect", "reason"]);
}

#[test]
fn without_a_baseline_every_failing_verdict_fails() {
    let place = Place::new();
    assert!(place.ok(&args("gate", "shifted", &["--cases", "5"])).contains("against no baseline"));
    let ran = place.run(&args("gate", "naive", &["--cases", "5"]));
    assert_eq!(ran.code, Some(1));
    assert!(ran.out.contains("new_verdict: ") && ran.out.contains(", and no entry"), "{}", ran.out);
    assert!(!place.path("reports/baseline.json").exists());
    // One that was named must be there.
    place.refused(
        &args("gate", "shifted", &["--baseline", "none.json"]),
        2,
        &["none.json: no such baseline", "accept"],
    );
    place.refused(&args("gate", "shifted", &["--baseline", "."]), 2, &[".: "]);
}

#[test]
fn a_baseline_that_cannot_be_used_is_exit_2_with_its_line() {
    let place = accepted();
    let good = place.read("reports/baseline.json");
    let line = good.lines().nth(9).expect("passing cells").to_owned();
    for (text, parts) in [
        (good.replace(&line, &line.replace("\"pass\":2", "\"pass\":3")), &["line 10: its numbers"][..]),
        (good.replace(&line, &line[..line.len() - 9]), &["line 10", "cut short or edited"]),
        (good[..good.len() / 2].to_owned(), &["line ", "cut short or edited"]),
        (good.replace("baseline/3", "baseline/9"), &["line 2: schema `logitfuzz.baseline/9` is newer", "update"]),
        (good.replace(&line, &format!("<<<<<<< HEAD\n{line}\n=======")), &["line 10, column 1"]),
        (String::new(), &["line 1"]),
        ("[]".into(), &["line 1"]),
    ] {
        place.write("reports/baseline.json", &text);
        for command in ["gate", "accept"] {
            place.refused(&args(command, "mine=shifted", &[]), 2, &[&["reports/baseline.json: "], parts].concat());
        }
        assert_eq!(place.read("reports/baseline.json"), text);
    }
}

#[test]
fn other_settings_are_refused_and_nothing_is_measured() {
    let place = accepted();
    for (flags, part) in [
        (&["--seed", "9"][..], "seed 0, not 9"),
        (&["--cases", "21"], "cases 20, not 21"),
        (&["--claims", "exp=8"], "claims none, not exp=8"),
        (&["--special", "limit"], "special none, not limit"),
    ] {
        place.refused(&args("gate", "mine=shifted", flags), 2, &["reports/baseline.json: line 3", part]);
    }
    // accept may change them if it replaces everything, and only then.
    place.refused(&args("accept", "mine=shifted", &["--seed", "9", "--family", "wide"]), 2, &["seed 0, not 9"]);
    place.ok(&args("accept", "mine=shifted", &["--seed", "9"]));
    assert!(place.read("reports/baseline.json").contains("\"seed\":9"));
    // Policy and seed come from the baseline by themselves.
    place.ok(&args("accept", "mine=shifted", &["--special", "limit", "--claims", "exp=3"]));
    place.ok(&args("gate", "mine=shifted", &[]));
    assert_eq!(place.json("reports/latest/results.json")["settings"]["special"], "limit");
    for slack in ["-1", "nan", "x"] {
        place.refused(&args("gate", "mine=shifted", &["--slack", slack]), 2, &["slack"]);
    }
}

#[test]
fn stale_and_missing_cells_are_named_and_pruned() {
    let place = accepted();
    // Without --kernel all kernels are selected, and `mine` is none.
    place.refused(
        &["gate", "--op", "softmax"],
        2,
        &["line 8", "there is no kernel `mine`", "44 such entries", "accept --prune"],
    );
    // A selected cell that was not measured, as of a kernel that lost an op.
    place.ok(&args("run", "mine=shifted", &["--cases", "20", "--out", "there"]));
    let results = place.read("there/results.json");
    let is_lost = |line: &str| line.contains("\"op\":\"softmax\"") && line.contains("\"family\":\"masked\"");
    let fewer: Vec<&str> = results.lines().filter(|line| !(is_lost(line) && line.contains("\"cases\""))).collect();
    assert_eq!(fewer.len() + 1, results.lines().count());
    place.write("there/results.json", fewer.join("\n"));
    let ran = place.run(&["gate", "--from", "there"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.out.contains("\nmine softmax f32 masked\n  missing: recorded with 20 cases\n"), "{}", ran.out);
    let accept = ran.out.lines().find_map(|line| line.strip_prefix("to accept: ")).expect("the command");
    assert!(accept.ends_with(" --prune"), "{accept}");
    let said = place.shell(accept);
    assert!(said.out.starts_with("reports/baseline.json: 43 cells, 0 new, 0 changed, 1 removed"), "{said:?}");
    // Pruning by a full selection leaves only what is there.
    let said = place.ok(&["accept", "--prune", "--op", "softmax", "--dtype", "f32", "--family", "tiny_n"]);
    let of_softmax = |kernel: &&logitfuzz::kernel::builtin::Builtin| {
        use logitfuzz::{Dtype, Kernel as _, Op};
        kernel.defect().is_none() && kernel.supports(Op::SOFTMAX, Dtype::F32)
    };
    let n = logitfuzz::kernel::builtin::all().iter().filter(of_softmax).count();
    let what = format!("reports/baseline.json: {n} cells, {n} new, 0 changed, 43 removed");
    assert!(said.starts_with(&what), "{said}");
}

#[test]
fn entries_outside_the_selection_stay() {
    let place = accepted();
    let said = place.ok(&[
        "accept",
        "--kernel",
        "mine=naive",
        "--op",
        "softmax",
        "--dtype",
        "f32",
        "--family",
        "offset",
        "--max-len",
        "300",
    ]);
    assert!(said.starts_with("reports/baseline.json: 44 cells, 0 new, 1 changed, 0 removed; 1 fail"), "{said}");
    // Only that line changed.
    let said = place.ok(&["gate", "--kernel", "mine=naive", "--op", "softmax", "--dtype", "f32", "--family", "offset"]);
    assert!(said.contains("43 entries of the baseline were not selected"), "{said}");
}

#[test]
fn an_empty_selection_is_4_and_wrong_usage_2() {
    let place = accepted();
    place.refused(&args("gate", "mine=shifted", &["--cases", "0"]), 4, &["--cases is 0"]);
    let empty = Place::new();
    empty.refused(&args("gate", "shifted", &["--cases", "0"]), 4, &["--cases is 0"]);
    empty.refused(&args("gate", "no-such-kernel", &[]), 2, &["no-such-kernel"]);
    empty.refused(&["gate", "--from", "none"], 2, &["none"]);
    empty.refused(&["gate", "--from", "none", "--seed", "1"], 2, &["--from"]);
    empty.write("file", "");
    empty.refused(&args("gate", "shifted", &["--out", "file"]), 3, &["file", "--out"]);
}

#[test]
fn results_can_be_compared_and_accepted_without_measuring() {
    let place = Place::new();
    place.ok(&[&["run", "--kernel", "naive", "--cases", "20", "--out", "there"], &WORK[..]].concat());
    place.ok(&["accept", "--from", "there/results.json"]);
    let said = place.ok(&["gate", "--from", "there", "--out", "here"]);
    assert!(said.contains("against reports/baseline.json") && said.contains("report: here/index.html"), "{said}");
    assert!(place.path("here/junit.xml").exists() && !place.path("here/run.json").exists());
}

#[test]
fn a_baseline_at_a_revision() {
    let place = accepted();
    let git = "git -c user.name=a -c user.email=a@b -c commit.gpgsign=false";
    let ran =
        place.shell(&format!("git init -q && git add reports/baseline.json && {git} commit -qm one && git tag one"));
    assert_eq!(ran.code, Some(0), "{ran:?}");
    place.write("reports/baseline.json", "edited");
    let said = place.ok(&args("gate", "mine=shifted", &["--baseline-rev", "one"]));
    assert!(said.contains("against one:./baseline.json"), "{said}");
    place.refused(&args("gate", "mine=shifted", &["--baseline-rev", "two"]), 2, &["at revision two"]);
    place.refused(
        &args("gate", "mine=shifted", &["--baseline-rev", "one", "--baseline", "other.json"]),
        2,
        &["other.json", "revision one"],
    );
    place.refused(&args("gate", "mine=shifted", &["--baseline-rev=--help"]), 2, &["no git revision"]);
}
