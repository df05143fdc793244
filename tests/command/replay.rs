//! `replay` and `shrink`: findings again, and smaller.

use crate::support::place::Place;
use serde_json::Value;

fn findings(results: &Value) -> &[Value] {
    results["findings"].as_array().expect("findings")
}

#[test]
fn a_case_in_text_in_a_file_and_in_bytes() {
    let place = Place::new();
    let case = "softmax f32 [1000, 0]";
    let ran = place.run(&["replay", "--kernel", "naive", case]);
    assert_eq!((ran.code, ran.err.as_str()), (Some(1), ""), "{ran:?}");
    assert!(ran.out.contains("naive: nan on softmax f32 [1000, 0]") && ran.out.contains("1 of 1"), "{ran:?}");
    let passed = place.ok(&["replay", "--kernel", "shifted", case]);
    assert!(passed.contains("shifted: pass") && passed.contains("0 of 1"), "{passed}");
    // All but the planted defects by default.
    assert_eq!(place.run(&["replay", case]).code, Some(1));
    place.write("case.txt", format!("{case}\n"));
    let from_file = place.run(&["replay", "--kernel", "naive", "case.txt"]);
    assert_eq!((from_file.code, &from_file.out), (Some(1), &ran.out));
    // Any bytes are a case, as a fuzzer keeps them.
    place.write("crash-1", [0u8, 255, 7, 0, 0, 128, 127, 3, 9]);
    let bytes = place.run(&["replay", "--kernel", "shifted", "crash-1"]);
    assert!(matches!(bytes.code, Some(0 | 1)) && bytes.out.contains("of 1 replayed"), "{bytes:?}");
}

/// The probes by which a kernel is said to do as a planted defect: what each returns, beside a correct kernel.
#[test]
fn the_probes_are_shown() {
    let place = Place::new();
    let of = |kernel: &str, case: &str| place.run(&["replay", "--kernel", kernel, "--explain", case]).out;
    let shown = of("naive", "softmax f32 [1000, 0]");
    assert!(shown.contains("probes a correct kernel answers otherwise:"), "{shown}");
    let rows: Vec<Vec<&str>> = shown
        .lines()
        .filter(|line| line.starts_with("    "))
        .map(|line| line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect())
        .collect();
    assert_eq!(rows[0], ["probe", "naive", "defect/unshifted", "shifted"]);
    assert_eq!(rows[1], ["[1000, 0] at 0", "nan", "nan", "1"]);
    assert!(
        rows.len() > 10 && rows[1..rows.len() - 1].iter().all(|row| row[1] == row[2] && row[1] != row[3]),
        "{shown}"
    );
    // Nothing fails, and nothing is explained.
    let none = of("shifted", "softmax f32 [1000, 0]");
    assert!(none.contains("0 of 1") && !none.contains("probe"), "{none}");
}

#[test]
fn every_finding_replays_by_its_own_command() {
    let place = Place::new();
    // A name that a shell would take apart, a policy, a panic, and rows of every kind.
    place.ok(&[
        "run",
        "--kernel",
        "it's mine=naive",
        "--kernel",
        "unfused",
        "--kernel",
        "defect/empty-panics",
        "--dtype",
        "f16",
        "--dtype",
        "f64",
        "--cases",
        "4",
        "--max-len",
        "64",
        "--special",
        "limit",
        "--claims",
        "exp=3,log=2",
        "--out",
        "report",
    ]);
    let results = place.json("report/results.json");
    let all = findings(&results);
    let verdicts: std::collections::BTreeSet<&str> = all.iter().filter_map(|found| found["verdict"].as_str()).collect();
    assert!(all.len() > 40 && verdicts.contains("panic") && verdicts.contains("nan"), "{verdicts:?}");
    for finding in all {
        let command = finding["replay"].as_str().expect("a command");
        let ran = place.shell(command);
        assert_eq!((ran.code, ran.err.as_str()), (Some(1), ""), "`{command}`: {}", ran.out);
        let (kernel, verdict) = (finding["kernel"].as_str().unwrap_or(""), finding["verdict"].as_str().unwrap_or(""));
        assert!(ran.out.starts_with(&format!("{kernel}: {verdict} on ")), "`{command}`: {}", ran.out);
    }
    // All of them from the file, each on its own kernel and by its own policy.
    for source in ["report", "report/results.json"] {
        let ran = place.run(&["replay", source]);
        assert_eq!((ran.code, ran.err.as_str()), (Some(1), ""));
        let count = all.len();
        assert!(ran.out.ends_with(&format!("\n{count} of {count} replayed cases still fail\n")), "{}", ran.out);
    }
    let last = (all.len() - 1).to_string();
    let one = place.run(&["replay", "report", "--finding", &last]);
    assert_eq!(one.code, Some(1));
    assert!(one.out.ends_with("\n1 of 1 replayed cases still fail\n"), "{one:?}");
    // On a kernel that is sound, the overflows are gone.
    let first_nan = all.iter().position(|found| found["cause"] == "exp_overflow").expect("an overflow").to_string();
    let cured =
        place.run(&["replay", "report", "--finding", &first_nan, "--kernel", "shifted", "--special", "framework"]);
    assert_eq!(cured.code, Some(0), "{cured:?}");
}

#[test]
fn shrink_makes_it_smaller_and_it_still_fails() {
    let place = Place::new();
    let text = place.ok(&["shrink", "--kernel", "naive", "softmax f32 [1000, 3, -7.25, 88.5]"]);
    let case = text.lines().find_map(|line| line.trim().strip_prefix("case: ")).expect("a case");
    assert!(case.len() < "softmax f32 [1000, 3, -7.25, 88.5]".len(), "{case}");
    assert_eq!(place.run(&["replay", "--kernel", "naive", case]).code, Some(1));
    place.write("case.txt", "softmax f32 [1000, 3, -7.25, 88.5]");
    assert_eq!(place.ok(&["shrink", "--kernel", "naive", "case.txt"]), text);
    // What it prints is small already.
    let again = place.ok(&["shrink", "--kernel", "naive", case]);
    assert!(again.contains(&format!("case: {case}\n")), "{again}");
}
