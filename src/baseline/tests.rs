//! The rules one by one, and the file with everything that can be wrong with it, on made-up results.

use super::*;
use crate::error::ErrorKind;
use crate::report::sample;

/// Results of one cell that passes, and of one that fails.
fn results() -> Results {
    let mut results = sample::results(0);
    results.cells.truncate(2);
    let [good, bad] = &mut results.cells[..] else { panic!("two cells") };
    *good = cell(&[(Verdict::Pass, 50)], Grade::Tight, 0.3);
    *bad = Cell {
        family: "wide".into(),
        ..cell(&[(Verdict::Pass, 30), (Verdict::Nan, 5), (Verdict::Inaccurate, 15)], Grade::Textbook, 40.0)
    };
    results.settings.kernels = vec!["mine".into()];
    results
}

fn cell(verdicts: &[(Verdict, u64)], grade: Grade, max_ratio: f64) -> Cell {
    Cell {
        kernel: "mine".into(),
        op: Op::Softmax,
        dtype: Dtype::F32,
        family: "ordinary".into(),
        cases: verdicts.iter().map(|(_, count)| count).sum(),
        not_run: 0,
        outputs: 400,
        verdicts: verdicts.iter().copied().collect(),
        first_failing: None,
        grades: [(grade, 400)].into(),
        max_ulp: 12.3,
        max_ratio,
        mean_signed_ulp: 0.0,
        ulp_histogram: vec![400],
        worst: Some("softmax f32 [0x1p+0, -inf]".into()),
    }
}

fn place() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("reports/baseline.json");
    (dir, path)
}

/// The reasons of the first cell, after it became `cell`.
fn reasons_of(cell: Cell) -> Vec<String> {
    let baseline = Baseline::of(&results());
    let mut worse = results();
    let place = usize::from(cell.family == "wide");
    worse.cells[place] = cell;
    let gate = compare(&worse, Some(&baseline), DEFAULT_SLACK).unwrap();
    gate.worse().flat_map(|(_, regressions)| regressions.iter().map(|regression| regression.reason.name())).collect()
}

#[test]
fn equal_results_pass_and_say_what_fails_as_recorded() {
    let results = results();
    let gate = compare(&results, Some(&Baseline::of(&results)), 0.0).unwrap();
    assert!(gate.passes() && gate.better().next().is_none());
    assert_eq!((gate.cells.len(), gate.passing(), gate.known(), gate.unrecorded()), (2, 1, (1, 0), 0));
    assert_eq!(gate.headline(), "passed: no regression in 2 cells");
}

#[test]
fn every_rule_has_its_reason() {
    let textbook = |verdicts: &[(Verdict, u64)], ratio| {
        reasons_of(Cell { family: "wide".into(), ..cell(verdicts, Grade::Textbook, ratio) })
    };
    let known = |nan, inaccurate, ratio| {
        textbook(
            &[(Verdict::Pass, 50 - nan - inaccurate), (Verdict::Nan, nan), (Verdict::Inaccurate, inaccurate)],
            ratio,
        )
    };
    for (why, got, want) in [
        ("a ratio within the slack", reasons_of(cell(&[(Verdict::Pass, 50)], Grade::Tight, 0.89)), vec![]),
        ("past the slack", reasons_of(cell(&[(Verdict::Pass, 50)], Grade::Tight, 0.92)), vec!["ratio_grown"]),
        (
            "a failing verdict",
            reasons_of(cell(&[(Verdict::Pass, 49), (Verdict::Inf, 1)], Grade::Tight, 0.3)),
            vec!["new_verdict"],
        ),
        (
            "past the bound",
            reasons_of(cell(&[(Verdict::Pass, 49), (Verdict::Inaccurate, 1)], Grade::Tight, 1.01)),
            vec!["new_verdict", "ratio_above_1"],
        ),
        (
            "undecided",
            reasons_of(cell(&[(Verdict::Pass, 49), (Verdict::Undecided, 1)], Grade::Tight, 0.3)),
            vec!["undecided"],
        ),
        ("the grade", reasons_of(cell(&[(Verdict::Pass, 50)], Grade::Textbook, 0.3)), vec!["grade_fell"]),
        (
            "given up on",
            reasons_of(Cell { not_run: 3, ..cell(&[(Verdict::Pass, 47)], Grade::Tight, 0.3) }),
            vec!["not_run"],
        ),
        ("nothing measured", reasons_of(cell(&[], Grade::Tight, 0.0)), vec!["missing"]),
        ("a case less", reasons_of(cell(&[(Verdict::Pass, 49)], Grade::Tight, 0.3)), vec!["fewer_cases"]),
        (
            "given up on, and a case less",
            reasons_of(Cell { not_run: 3, ..cell(&[(Verdict::Pass, 46)], Grade::Tight, 0.3) }),
            vec!["fewer_cases", "not_run"],
        ),
        ("one NaN more", known(6, 14, 40.0), vec!["more_nan"]),
        ("few inaccurate more", known(5, 25, 40.0), vec![]),
        ("many inaccurate more", known(5, 28, 40.0), vec!["more_failures"]),
        ("a large ratio within the slack", known(5, 15, 63.0), vec![]),
        ("a large ratio past it", known(5, 15, 65.0), vec!["ratio_grown"]),
        ("infinite", known(5, 15, f64::INFINITY), vec!["ratio_grown"]),
    ] {
        assert_eq!(got, want, "{why}");
    }
}

/// Results in which nothing is claimed for all kernels.
fn undeclared() -> Results {
    let mut results = results();
    (results.settings.claims, results.settings.special) = (None, None);
    results
}

/// Results in which the kernel declares this.
fn declaring(claims: &str, lengths: std::ops::RangeInclusive<usize>) -> Results {
    let mut results = undeclared();
    let mut set = Claims::default();
    set.set(claims).unwrap();
    let declaration = Declaration { lengths, ..Declaration::of_claims(set) };
    results.declared =
        vec![Declared { kernel: "mine".into(), op: Op::Softmax, dtype: Dtype::F32, declaration, needed: 0 }];
    results
}

#[test]
fn what_a_kernel_declares_is_recorded_and_looser_is_red() {
    let any = 0..=usize::MAX;
    let told = |before: &Results, now: &Results| {
        let gate = compare(now, Some(&Baseline::of(before)), DEFAULT_SLACK).unwrap();
        let told = |(cell, regressions): (&Judged, &[Regression])| format!("{}: {}", cell.name, regressions[0].detail);
        gate.worse().map(told).collect::<Vec<_>>()
    };
    let claiming = declaring("exp=8,online", any.clone());
    assert_eq!(
        told(&undeclared(), &claiming),
        ["mine softmax f32 (declared): exp=8, recorded 2; online=true, recorded false"]
    );
    assert_eq!(told(&undeclared(), &declaring("", 1..=9)).len(), 1);
    assert!(told(&claiming, &claiming).is_empty());
    // What was claimed and is no longer is room to tighten; ratios under other claims are not compared.
    let mut stricter = undeclared();
    stricter.cells[0].max_ratio = 0.99;
    stricter.cells[0].grades = [(Grade::Textbook, 400)].into();
    assert!(told(&claiming, &stricter).is_empty());
    assert_eq!(told(&undeclared(), &stricter).len(), 1);
    let gate = compare(&undeclared(), Some(&Baseline::of(&claiming)), DEFAULT_SLACK).unwrap();
    let better: Vec<_> =
        gate.better().map(|(cell, better)| (cell.name.family.as_str(), better.detail.as_str())).collect();
    assert_eq!(
        better,
        [(DECLARED, "it declares less than recorded: exp=8 before, now 2; online=true before, now false")]
    );
    // The file keeps it, a lost line is as if nothing had been accepted, and an edited one is refused.
    let (_dir, path) = place();
    Baseline::of(&claiming).write(&path).unwrap();
    assert_eq!(Baseline::read(&path).unwrap().declared[&FunctionName::of(&claiming.declared[0])].line, 5);
    let text = std::fs::read_to_string(&path).unwrap();
    let line = text.lines().nth(4).unwrap();
    std::fs::write(&path, text.replace(line, "")).unwrap();
    assert!(!compare(&claiming, Some(&Baseline::read(&path).unwrap()), DEFAULT_SLACK).unwrap().passes());
    std::fs::write(&path, text.replace("exp=8", "exp=9")).unwrap();
    assert!(Baseline::read(&path).unwrap_err().to_string().contains("line 5: its numbers do not fit its check"));
    // Without any baseline nothing was accepted.
    assert!(compare(&claiming, None, DEFAULT_SLACK).unwrap().worse().any(|(cell, _)| cell.name.family == DECLARED));
}

#[test]
fn an_empty_cell_must_have_been_accepted() {
    let mut empty = results();
    empty.cells[0] = cell(&[], Grade::Tight, 0.0);
    let gate = compare(&empty, Some(&Baseline::of(&empty)), DEFAULT_SLACK).unwrap();
    assert_eq!((gate.passes(), gate.empty(), gate.passing()), (true, 1, 0));
    let gate = compare(&empty, None, DEFAULT_SLACK).unwrap();
    assert!(gate.worse().any(|(cell, found)| cell.name.family == "ordinary" && found[0].reason == Reason::Missing));
}

/// A file of the version before is read, says that it must be accepted again, and keeps what people wrote when it is.
#[test]
fn the_former_version_must_be_accepted_again() {
    let (_dir, path) = place();
    let mut baseline = Baseline::of(&results());
    baseline.expect_failures(&results(), "by design");
    baseline.write(&path).unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace(SCHEMA, FORMER_SCHEMA)).unwrap();
    let former = Baseline::read(&path).unwrap();
    let error = compare(&results(), Some(&former), DEFAULT_SLACK).unwrap_err();
    assert!(error.kind() == ErrorKind::Usage && error.to_string().contains("accept it again"), "{error}");
    let accepted = former.accept(&results()).unwrap();
    assert_eq!(accepted.entries, baseline.entries);
    accepted.write(&path).unwrap();
    Baseline::read(&path).unwrap().refuse_former().unwrap();
}

#[test]
fn a_missing_cell_is_a_regression_and_one_that_was_not_selected_is_none() {
    let baseline = Baseline::of(&results());
    let mut fewer = results();
    fewer.cells.remove(0);
    let gate = compare(&fewer, Some(&baseline), DEFAULT_SLACK).unwrap();
    let worse: Vec<_> =
        gate.worse().map(|(cell, regressions)| (cell.name.family.as_str(), regressions[0].reason)).collect();
    assert_eq!(worse, [("ordinary", Reason::Missing)]);
    fewer.settings.families.retain(|family| family != "ordinary");
    let gate = compare(&fewer, Some(&baseline), DEFAULT_SLACK).unwrap();
    assert!(gate.passes());
    assert_eq!(gate.outside, 1);
}

#[test]
fn without_an_entry_every_failing_verdict_fails() {
    for baseline in [None, Some(Baseline { entries: BTreeMap::new(), ..Baseline::of(&results()) })] {
        let gate = compare(&results(), baseline.as_ref(), DEFAULT_SLACK).unwrap();
        assert_eq!((gate.regressions(), gate.worse().count(), gate.passing()), (2, 1, 1));
    }
}

#[test]
fn better_is_said_and_is_no_regression() {
    let baseline = Baseline::of(&results());
    let mut better = results();
    better.cells[1] = Cell { family: "wide".into(), ..cell(&[(Verdict::Pass, 50)], Grade::Tight, 0.2) };
    let gate = compare(&better, Some(&baseline), DEFAULT_SLACK).unwrap();
    assert!(gate.passes());
    let said: Vec<_> = gate.better().map(|(_, better)| better.detail.as_str()).collect();
    assert_eq!(
        said,
        ["0 inaccurate, recorded 15; 0 nan, recorded 5; ratio 0.2, recorded 40; worst grade tight, recorded textbook"]
    );
}

#[test]
fn an_expected_failure_stays_one_while_it_fails_alike_and_may_not_pass() {
    let (mut baseline, mut later) = (Baseline::of(&results()), results());
    assert_eq!(baseline.expect_failures(&later, "a reason"), 1);
    let gate = compare(&later, Some(&baseline), DEFAULT_SLACK).unwrap();
    assert_eq!((gate.passes(), gate.known()), (true, (1, 1)));
    // Other counts of the same verdicts keep the mark; another verdict, or none, loses it.
    let marked = |baseline: &Baseline| baseline.entries.values().filter(|entry| entry.expected.is_some()).count();
    later.cells[1].verdicts = [(Verdict::Pass, 44), (Verdict::Nan, 3), (Verdict::Inaccurate, 3)].into();
    assert_eq!(marked(&baseline.accept(&later).unwrap()), 1);
    later.cells[1].verdicts = [(Verdict::Pass, 47), (Verdict::Nan, 3)].into();
    assert_eq!(marked(&baseline.accept(&later).unwrap()), 0);
    later.cells[1] = Cell { family: "wide".into(), ..cell(&[(Verdict::Pass, 50)], Grade::Textbook, 0.5) };
    let gate = compare(&later, Some(&baseline), DEFAULT_SLACK).unwrap();
    let reasons: Vec<_> = gate.worse().map(|(_, regressions)| regressions[0].reason).collect();
    assert_eq!(reasons, [Reason::ExpectedPasses]);
    assert_eq!(marked(&baseline.accept(&later).unwrap()), 0);
}

#[test]
fn other_settings_are_not_compared() {
    let baseline = Baseline::of(&results());
    let mut other = results();
    other.settings.seed += 1;
    other.provenance.generators += 1;
    let error = compare(&other, Some(&baseline), DEFAULT_SLACK).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Usage);
    assert!(
        error.to_string().contains("seed 1, not 2") && error.to_string().contains("generators version 1, not 2"),
        "{error}"
    );
    // Where everything is replaced, other settings are accepted; where an entry would stay, they are not.
    assert!(baseline.accept(&other).is_ok());
    other.cells.pop();
    assert!(baseline.accept(&other).is_err());
    for slack in [-1.0, f64::NAN, f64::INFINITY] {
        assert!(compare(&results(), Some(&baseline), slack).is_err());
    }
    assert_eq!(compare(&Results { complete: false, ..results() }, None, 0.0).unwrap_err().kind(), ErrorKind::Harness);
}

#[test]
fn the_file_is_sorted_one_cell_a_line_and_reads_back() {
    let (_dir, path) = place();
    let mut all = sample::results(2);
    all.cells.reverse();
    let mut baseline = Baseline::of(&all);
    baseline.expect_failures(&all, "a \"reason\",\nof two lines");
    baseline.write(&path).unwrap();
    let back = Baseline::read(&path).unwrap();
    assert_eq!(back.entries.len(), all.cells.len());
    assert!(back.entries.iter().all(|(name, entry)| entry.is_same(&baseline.entries[name])));
    let text = std::fs::read_to_string(&path).unwrap();
    assert_eq!(back.text().unwrap(), text);
    assert_eq!(text.lines().filter(|line| line.starts_with("{\"kernel\":")).count(), all.cells.len());
    for (name, entry) in &back.entries {
        let line = text.lines().nth(entry.line - 1).unwrap();
        assert!(line.contains(&format!("\"op\":\"{}\"", name.op)) && line.contains(&name.family), "{line}");
    }
    // Lines that two branches added apart are a whole file again.
    assert!(text.lines().all(|line| line.len() < 1000));
}

#[test]
fn whatever_is_wrong_with_the_file_is_named_with_its_line() {
    let (_dir, path) = place();
    Baseline::of(&results()).write(&path).unwrap();
    let good = std::fs::read_to_string(&path).unwrap();
    let wrong = |text: &str, part: &str| {
        assert_ne!(text, good, "{part}: nothing was changed");
        std::fs::write(&path, text).unwrap();
        let error = Baseline::read(&path).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Usage);
        let message = error.to_string();
        assert!(message.contains(part) && message.contains("baseline.json: line "), "{part}: {message}");
    };
    wrong(&good.replace("\"nan\":5", "\"nan\":6"), "line 6: its numbers do not fit its check");
    wrong(&good.replace("\"ratio\":0.3", "\"ratio\":0.9"), "line 5: its numbers");
    wrong(&good.replace("\"seed\":1", "\"seed\":2"), "line 3: its numbers");
    wrong(&good.replace("\"family\":\"wide\"", "\"family\":\"long\""), "line 6: its numbers");
    wrong(&good.replace("\"nan\":5", "\"hot\":5"), "line 6: unknown variant `hot`");
    wrong(&good.replace("\"grade\":\"tight\"", "\"grade\":7"), "line 5: ");
    wrong(&good.replace("\"dtype\"", "\"detype\""), "line 5: unknown field `detype`");
    wrong(&good.replace("baseline/2", "baseline/3"), "line 2: schema `logitfuzz.baseline/3` is newer");
    wrong(&good.replace("baseline/2", "results/1"), "line 2: schema `logitfuzz.results/1` is not");
    wrong(&good.replace("\"schema\": \"logitfuzz.baseline/2\",\n", ""), "line 1: no `schema`");
    wrong(&good.replace("\"cells\"", "\"celz\""), "line 4");
    wrong(&good.replace("},\n{", "}\n<<<<<<< HEAD\n{"), "line 6, column 1");
    wrong(&good.replace("\"worst\"", "\"expected\":\" \",\"worst\""), "is expected to fail without a reason");
    let line = good.lines().nth(4).unwrap();
    wrong(
        &good.replace(line, &format!("{line}\n{line}")),
        "line 6: `mine softmax f32 ordinary` is there a second time, first in line 5",
    );
    // Cut anywhere, it is never a baseline.
    for end in 0..good.trim_end().len() {
        wrong(&good[..end], "line ");
    }
    // What a person may write.
    std::fs::write(&path, good.replace("\"worst\"", "\"expected\":\"why\",\"worst\"")).unwrap();
    assert!(Baseline::read(&path).unwrap().entries.values().all(|entry| entry.expected.as_deref() == Some("why")));
    let mut bytes = good.into_bytes();
    bytes[200] = 0xff;
    std::fs::write(&path, bytes).unwrap();
    assert!(Baseline::read(&path).unwrap_err().to_string().contains("line 3: not a text in UTF-8"));
}

#[test]
fn stale_entries_are_named_and_pruned() {
    let mut results = results();
    let extra = |kernel: &str, family: &str| Cell {
        kernel: kernel.into(),
        family: family.into(),
        ..cell(&[(Verdict::Pass, 1)], Grade::Tight, 0.1)
    };
    results.cells.extend([extra("gone", "wide"), extra("mine", "no_such_family"), extra("mine", "sorted")]);
    let mut baseline = Baseline::of(&results);
    let exists = |kernel: &str| kernel == "mine";
    let message = baseline.refuse_stale(exists).unwrap_err().to_string();
    assert!(
        message.contains("kernel `gone`") && message.contains("family `no_such_family`") && message.contains("2 such"),
        "{message}"
    );
    // Pruning also removes what was selected and not measured.
    results.cells.truncate(2);
    assert_eq!(baseline.prune(&results, exists), 3);
    assert!(baseline.refuse_stale(exists).is_ok());
    assert_eq!(baseline.entries.len(), 2);
}

#[test]
fn figures_are_rounded_up_to_three_digits() {
    for (x, want) in [
        (0.0, 0.0),
        (0.3, 0.3),
        (0.12345, 0.124),
        (1.0000001, 1.01),
        (0.9999, 1.0),
        (123456.0, 124_000.0),
        (6.9e-310, 6.9e-310),
        (f64::INFINITY, f64::INFINITY),
    ] {
        assert_eq!(three_digits_up(x), want, "{x}");
    }
    let mut x = 1.234e-300f64;
    while x < 1e300 {
        let up = three_digits_up(x);
        assert!(up >= x && up <= x * 1.0101 && three_digits_up(up) == up, "{x:e} {up:e}");
        x *= 1.37;
    }
}
