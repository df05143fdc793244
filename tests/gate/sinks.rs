//! All reports of a gate at once: each is what its consumers read, and all say the same counts.

use crate::support::place::{Place, Ran};
use quick_junit::{Report, TestCaseStatus};
use serde_json::Value;

/// The published schema of SARIF 2.1.0 (OASIS).
const SARIF_SCHEMA: &str = include_str!("sarif-schema-2.1.0.json");

/// GitHub drops the summary of a step above this.
const LARGEST_STEP_SUMMARY: usize = 1 << 20;

const WORK: [&str; 8] = ["--op", "softmax", "--op", "logsumexp", "--dtype", "f32", "--max-len", "300"];

/// A gate with everything in it: cells that pass, that fail as recorded (expected or not), that are worse, and that are better.
fn gate(flags: &[&str]) -> (Place, Ran) {
    let place = Place::new();
    place
        .ok(&[&["accept", "--kernel", "mine=shifted", "--kernel", "other=naive", "--cases", "15"], &WORK[..]].concat());
    place.ok(&[
        "accept",
        "--kernel",
        "other=naive",
        "--op",
        "softmax",
        "--dtype",
        "f32",
        "--expect",
        "it <is> the \"book's\" & stays",
        "--max-len",
        "300",
    ]);
    let flags = [
        &["gate", "--kernel", "mine=defect/max-starts-at-zero", "--kernel", "other=naive", "--kernel", "new=unfused"],
        &WORK[..],
        flags,
    ]
    .concat();
    let mut command = place.command(&flags);
    let ran = command.env("GITHUB_STEP_SUMMARY", place.path("step.md")).output().expect("the binary runs").into();
    (place, ran)
}

fn number_before(text: &str, noun: &str) -> u64 {
    let before = text.split(noun).next().unwrap_or_else(|| panic!("no `{noun}` in {text}"));
    let digits: String = before.chars().rev().take_while(char::is_ascii_digit).collect();
    digits.chars().rev().collect::<String>().parse().unwrap_or_else(|_| panic!("no number before `{noun}` in {text}"))
}

#[test]
fn all_sinks_say_the_same_counts() {
    let (place, ran) = gate(&["--format", "github"]);
    assert_eq!((ran.code, ran.err.as_str()), (Some(1), ""), "{ran:?}");
    // What people read.
    let regressions = number_before(&ran.out, " regressions in ");
    let worse = number_before(&ran.out, " of 132 cells");
    let (passing, known) = (number_before(&ran.out, " pass, "), number_before(&ran.out, " fail as recorded"));
    let expected = number_before(&ran.out, " expected), ");
    assert!(regressions > worse && worse > 5 && known > expected && expected > 3 && passing > 10, "{}", ran.out);
    assert_eq!(passing + known + worse, 132);

    let json = place.json("reports/latest/gate.json");
    assert_eq!(json["passed"], false);
    for (name, count) in [
        ("cells", 132),
        ("regressions", regressions),
        ("worse", worse),
        ("passing", passing),
        ("failing_as_recorded", known),
        ("expected", expected),
        ("not_in_baseline", 44),
    ] {
        assert_eq!(json["counts"][name], count, "{name}");
    }
    let list = |name: &str| json[name].as_array().expect("a list").len() as u64;
    assert_eq!((list("regressions"), list("known")), (regressions, known));

    // JUnit, read by a library that CI tools use.
    let junit = Report::deserialize_from_str(&place.read("reports/latest/junit.xml")).expect("JUnit");
    assert_eq!((junit.tests as u64, junit.failures as u64, junit.errors), (132, worse, 0));
    let cases = || junit.test_suites.iter().flat_map(|suite| &suite.test_cases);
    let skipped = cases().filter(|case| matches!(case.status, TestCaseStatus::Skipped { .. })).count() as u64;
    let success = cases().filter(|case| matches!(case.status, TestCaseStatus::Success { .. })).count() as u64;
    assert_eq!((skipped, success), (known, passing));
    let suites: Vec<&str> = junit.test_suites.iter().map(|suite| suite.name.as_str()).collect();
    assert_eq!(suites.len(), 6);
    assert!(suites.contains(&"mine/softmax/f32"), "{suites:?}");
    assert!(cases().any(|case| case.name.as_str() == "all_negative"));

    // SARIF, held against the published schema.
    let sarif = place.json("reports/latest/logitfuzz.sarif");
    assert_valid_sarif(&sarif);
    let results = sarif["runs"][0]["results"].as_array().expect("results");
    let of_level = |level: &str| results.iter().filter(|result| result["level"] == level).count() as u64;
    assert_eq!((of_level("error"), of_level("note")), (regressions, known));
    let rules: Vec<&str> = sarif["runs"][0]["tool"]["driver"]["rules"]
        .as_array()
        .expect("rules")
        .iter()
        .filter_map(|rule| rule["id"].as_str())
        .collect();
    assert!(results.iter().all(|result| rules.contains(&result["ruleId"].as_str().expect("a rule"))));
    let suppressed = results.iter().filter(|result| result["suppressions"].is_array()).count() as u64;
    assert_eq!(suppressed, expected);

    // GitHub: ten annotations at most, each on a line of the baseline or its first; the summary begins with the same sentence.
    let annotations: Vec<&str> = ran.out.lines().filter(|line| line.starts_with("::")).collect();
    assert_eq!(annotations.len(), 10);
    assert!(
        annotations.iter().all(|line| line.starts_with("::error file=reports/baseline.json,line=")
            && line.contains(",title=logitfuzz%3A ")),
        "{annotations:?}"
    );
    let headline = ran.out.lines().next().and_then(|line| line.split(", against").next()).expect("a line");
    let step = place.read("step.md");
    assert!(step.len() < LARGEST_STEP_SUMMARY && step.lines().next().expect("a line").contains(headline), "{step}");
    let summary = place.read("reports/latest/summary.md");
    assert!(summary.contains(headline) && summary.contains("**new_verdict**"), "{summary}");
    let page = place.read("reports/latest/index.html");
    assert!(page.contains(&format!("✕ Gate {}", headline.strip_prefix("gate ").expect("gate"))), "{headline}");
    assert!(step.contains("# logitfuzz report"));
    // The command prints the same as the file.
    let (_, ran) = gate(&["--format", "json"]);
    assert_eq!(serde_json::from_str::<Value>(&ran.out).expect("JSON"), json);
}

#[test]
fn a_full_step_summary_gets_no_more() {
    let (place, _) = gate(&["--format", "github"]);
    let first = place.read("step.md").len();
    place.write("step.md", "x".repeat(999_000));
    place
        .command(&["gate", "--from", "reports/latest", "--format", "github"])
        .env("GITHUB_STEP_SUMMARY", place.path("step.md"))
        .output()
        .expect("the binary runs");
    let step = place.read("step.md");
    assert!(first > 1000 && step.len() > 999_000 && step.len() < LARGEST_STEP_SUMMARY, "{first} {}", step.len());
    // A file that cannot be written is an error, not silence.
    let ran: Ran = place
        .command(&["gate", "--from", "reports/latest", "--format", "github"])
        .env("GITHUB_STEP_SUMMARY", place.path("no/such/folder.md"))
        .output()
        .expect("the binary runs")
        .into();
    ran.is_refused("gate", 3, &["GITHUB_STEP_SUMMARY"]);
}

#[test]
fn a_run_without_a_gate_has_them_too() {
    let place = Place::new();
    place
        .ok(&[&["run", "--kernel", "naive", "--kernel", "shifted", "--cases", "10", "--out", "report"], &WORK[..]]
            .concat());
    let results = place.json("report/results.json");
    let failing = results["cells"]
        .as_array()
        .expect("cells")
        .iter()
        .filter(|cell| {
            cell["verdicts"]
                .as_object()
                .expect("verdicts")
                .keys()
                .any(|verdict| !["pass", "undecided"].contains(&verdict.as_str()))
        })
        .count();
    assert!(failing > 5);
    let junit = Report::deserialize_from_str(&place.read("report/junit.xml")).expect("JUnit");
    assert_eq!((junit.tests, junit.failures), (88, failing));
    assert_valid_sarif(&place.json("report/logitfuzz.sarif"));
    assert!(!place.path("report/gate.json").exists());
}

/// Panics with what is wrong.
fn assert_valid_sarif(sarif: &Value) {
    // One pattern of the published schema has a bracket that its own dialect of regular expressions refuses.
    let schema = SARIF_SCHEMA.replace("[a-zA-Z]{2}]?$", "[a-zA-Z]{2}\\\\]?$");
    let schema: Value = serde_json::from_str(&schema).expect("the schema is JSON");
    let validator = jsonschema::validator_for(&schema).expect("the schema is one");
    let wrong: Vec<String> =
        validator.iter_errors(sarif).map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert!(wrong.is_empty(), "{wrong:?}");
    // It can fail.
    assert!(!validator.is_valid(&serde_json::json!({ "version": "2.1.0", "runs": [{ "tool": {} }] })));
}
