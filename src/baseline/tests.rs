//! The rules one by one, and the file with everything that can be wrong with it, on made-up results.

use super::lines::Line as _;
use super::*;
use crate::error::ErrorKind;
use crate::json;
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
        op: Op::SOFTMAX,
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
        max_strict_ratio: 0.0,
        mean_signed_ulp: 0.0,
        ulp_histogram: vec![400],
        worst: Some("softmax f32 [0x1p+0, -inf]".into()),
    }
}

fn place() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("baseline.json");
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
        vec![Declared { kernel: "mine".into(), op: Op::SOFTMAX, dtype: Dtype::F32, declaration, needed: 0 }];
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

/// A baseline in a version of the format that had a line for each cell.
fn spelled(baseline: &Baseline, schema: &str) -> String {
    let text = baseline.text().unwrap();
    let settings = text.lines().nth(file::SETTINGS_LINE - 1).unwrap();
    let line = |(name, entry)| json::line(&lines::CellLine::of(name, entry).sealed().unwrap()).unwrap();
    let cells: Vec<String> = baseline.entries.iter().map(line).collect();
    format!("{{\n\"schema\": \"{schema}\",\n{settings}\n\"cells\": [\n{}\n]\n}}\n", cells.join(",\n"))
}

/// A file of the first version is read, says that it must be accepted again, and keeps what people wrote when it is.
#[test]
fn the_former_version_must_be_accepted_again() {
    let (_dir, path) = place();
    let mut baseline = Baseline::of(&results());
    baseline.expect_failures(&results(), "by design");
    baseline.write(&path).unwrap();
    std::fs::write(&path, spelled(&baseline, FORMER_SCHEMA)).unwrap();
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

/// The lines of a text between the line that opens this list and the one that ends it.
fn list<'a>(text: &'a str, name: &str) -> Vec<&'a str> {
    let mut lines = text.lines().skip_while(|line| *line != format!("\"{name}\": ["));
    assert!(lines.next().is_some(), "no list {name}");
    lines.take_while(|line| !line.starts_with(']')).map(|line| line.trim_end_matches(',')).collect()
}

#[test]
fn the_file_is_sorted_and_reads_back() {
    let (_dir, path) = place();
    let mut all = sample::results(2);
    all.cells.reverse();
    let path = path.with_file_name("reports").join("baseline.json");
    let mut baseline = Baseline::of(&all);
    baseline.expect_failures(&all, "a \"reason\",\nof two lines");
    baseline.write(&path).unwrap();
    let back = Baseline::read(&path).unwrap();
    assert_eq!(back.entries.len(), all.cells.len());
    assert!(back.entries.iter().all(|(name, entry)| entry.is_same(&baseline.entries[name])));
    let text = std::fs::read_to_string(&path).unwrap();
    assert_eq!(back.text().unwrap(), text);
    // Every cell is told once, in a line that has all of its names.
    let told = |line: &str| {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        let count = |name: &str| line[name].as_array().map_or(1, Vec::len);
        count("families") * count("dtypes")
    };
    let lines = [list(&text, "passing"), list(&text, "cells")].concat();
    assert_eq!(lines.iter().map(|line| told(line)).sum::<usize>(), all.cells.len());
    for (name, entry) in &back.entries {
        let line = text.lines().nth(entry.line - 1).unwrap();
        for name in [&name.kernel, &name.op, &name.dtype, &name.family] {
            assert!(line.contains(&json::line(name).unwrap()), "{name}: {line}");
        }
    }
    // Lines that two branches added apart are a whole file again.
    assert!(text.lines().all(|line| line.len() < 1000));
}

/// Passing cells, of which three are alike, in two dtypes.
fn passing() -> Baseline {
    let mut results = undeclared();
    let alike = |family: &str, dtype, ratio| Cell {
        family: family.into(),
        dtype,
        worst: None,
        ..cell(&[(Verdict::Pass, 50)], Grade::Tight, ratio)
    };
    results.cells = ["long", "masked", "nan", "spike"]
        .into_iter()
        .flat_map(|family| {
            let ratio = if family == "masked" { 0.2 } else { 0.1 };
            [alike(family, Dtype::F16, 0.0), alike(family, Dtype::F32, ratio)]
        })
        .collect();
    Baseline::of(&results)
}

#[test]
fn passing_cells_are_told_in_short_and_a_changed_one_is_a_short_change() {
    let mut baseline = passing();
    let before = baseline.text().unwrap();
    let told = |text: &str, name: &str| {
        list(text, name).iter().map(|line| line.split(",\"check\"").next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let line = |families: &str, pass: u64, dtypes: &str| {
        format!(r#"{{"kernel":"mine","op":"softmax","families":[{families}],"pass":{pass},"dtypes":[{dtypes}]"#)
    };
    let (alike, masked) = (
        r#"["f16","tight",0.0,12.3],["f32","tight",0.1,12.3]"#,
        r#"["f16","tight",0.0,12.3],["f32","tight",0.2,12.3]"#,
    );
    assert_eq!(told(&before, "passing"), [line(r#""long","nan","spike""#, 50, alike), line(r#""masked""#, 50, masked)]);
    assert!(before.ends_with("],\n\"cells\": []\n}\n"), "{before}");
    // A cell with more cases has a line of its own, and one that does not pass, or is expected not to, is spelled out.
    let cell = |baseline: &Baseline, dtype: &str, family: &str| {
        baseline.entries.keys().find(|name| name.dtype == dtype && name.family == family).unwrap().clone()
    };
    let (nan, long, spike) =
        (cell(&baseline, "f32", "nan"), cell(&baseline, "f32", "long"), cell(&baseline, "f16", "spike"));
    baseline.entries.get_mut(&nan).unwrap().verdicts = [(Verdict::Pass, 51)].into();
    baseline.entries.get_mut(&long).unwrap().verdicts = [(Verdict::Pass, 49), (Verdict::Nan, 1)].into();
    baseline.entries.get_mut(&spike).unwrap().expected = Some("by hand".into());
    let after = baseline.text().unwrap();
    let (f16, f32) = alike.split_at(alike.find("],").unwrap() + 1);
    let f32 = f32.trim_start_matches(',');
    assert_eq!(
        told(&after, "passing"),
        [
            line(r#""long","nan""#, 50, f16),
            line(r#""masked""#, 50, masked),
            line(r#""nan""#, 51, f32),
            line(r#""spike""#, 50, f32),
        ]
    );
    assert_eq!(list(&after, "cells").len(), 2);
    let (_dir, path) = place();
    baseline.write(&path).unwrap();
    let back = Baseline::read(&path).unwrap();
    assert!(back.entries.len() == 8 && back.entries.iter().all(|(name, entry)| entry.is_same(&baseline.entries[name])));
    // What is neither judged nor graded is no passing cell, whatever is not failing in it.
    for (verdicts, not_run, grade) in [
        (vec![], 0, Some(Grade::Tight)),
        (vec![(Verdict::Pass, 0)], 0, Some(Grade::Tight)),
        (vec![(Verdict::Pass, 50)], 1, Some(Grade::Tight)),
        (vec![(Verdict::Pass, 50)], 0, None),
        (vec![(Verdict::Undecided, 50)], 0, Some(Grade::Tight)),
    ] {
        let mut baseline = passing();
        let entry = baseline.entries.get_mut(&nan).unwrap();
        (entry.verdicts, entry.not_run, entry.grade) = (verdicts.into_iter().collect(), not_run, grade);
        baseline.write(&path).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(list(&text, "cells").len(), 1, "{text}");
        assert!(Baseline::read(&path).unwrap().entries[&nan].is_same(&baseline.entries[&nan]));
    }
}

/// The text in which the line that holds `from` has `to` in its place, and the check that is then due.
fn forged(text: &str, from: &str, to: &str) -> String {
    let old = text.lines().find(|line| line.contains(from)).unwrap_or_else(|| panic!("no {from} in {text}"));
    let (line, comma) = (old.trim_end_matches(','), if old.ends_with(',') { "," } else { "" });
    let (told, _) = line.split_once(",\"check\"").unwrap();
    let told = told.replacen(from, to, 1);
    let check = lines::checksum(&format!("{told}}}"));
    text.replace(old, &format!("{told},\"check\":\"{check}\"}}{comma}"))
}

/// A check is no secret: lines that tell nothing, or twice, or against each other, are refused although theirs fit.
#[test]
fn the_short_form_cannot_be_emptied_or_contradict_itself() {
    let (_dir, path) = place();
    let good = passing().text().unwrap();
    let read = |text: &str| {
        std::fs::write(&path, text).unwrap();
        Baseline::read(&path)
    };
    let wrong = |text: &str, part: &str| {
        assert_ne!(text, good, "{part}: nothing was changed");
        let error = read(text).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Usage);
        assert!(error.to_string().contains(part), "{part}: {error}");
    };
    assert_eq!(read(&forged(&good, "0.2", "0.3")).unwrap().entries.len(), 8);
    let twice = "is there a second time, first in line";
    for (from, to, part) in [
        (r#"["long","nan","spike"]"#, "[]", "line 5: it names no family"),
        (r#"["f16","tight",0.0,12.3],["f32","tight",0.2,12.3]"#, "", "line 6: it names no dtype"),
        (r#""pass":50"#, r#""pass":0"#, "line 5: it says of no case that it passes"),
        (r#""pass":50"#, r#""pass":-1"#, "line 5: invalid value"),
        (r#""long","nan""#, r#""long","long""#, &format!("line 5: `mine softmax f16 long` {twice} 5")),
        (r#"["masked"]"#, r#"["masked","nan"]"#, &format!("line 6: `mine softmax f16 nan` {twice} 5")),
        (r#"["f32","tight",0.2"#, r#"["f16","tight",0.2"#, &format!("line 6: `mine softmax f16 masked` {twice} 6")),
        (r#""masked""#, r#""""#, "line 6: `` is no name"),
        (r#""f32","tight",0.2"#, r#""\u001b","tight",0.2"#, "line 6: `\\u{1b}` is no name"),
        (r#""op":"softmax""#, r#""op":"a=b""#, "line 5: `a=b` is no name"),
        (r#""tight",0.2,12.3"#, r#""tight",0.2"#, "line 6: invalid length 3, expected a list of a dtype, a grade"),
        (r#""tight",0.2,12.3"#, r#""tight",0.2,12.3,"[1]","more""#, "line 6: trailing characters"),
        (r#""tight",0.2"#, r#""loose",0.2"#, "line 6: unknown variant `loose`"),
        (r#""op":"softmax""#, r#""op":"softmax","op":"softmax""#, "line 5: duplicate field `op`"),
    ] {
        wrong(&forged(&good, from, to), part);
        // Without a check that fits it is not even looked at, but for what is no such line at all.
        assert!(read(&good.replacen(from, to, 1)).is_err(), "{part}");
    }
    // The same cell in short and spelled out.
    let spelled =
        r#"{"kernel":"mine","op":"softmax","dtype":"f32","family":"nan","verdicts":{"nan":50},"ratio":0.0,"ulp":0.0"#;
    let cells = |line: &str| {
        let line = format!("{line},\"check\":\"{}\"}}", lines::checksum(&format!("{line}}}")));
        good.replace("\"cells\": []", &format!("\"cells\": [\n{line}\n]"))
    };
    wrong(&cells(spelled), &format!("line 9: `mine softmax f32 nan` {twice} 5"));
    wrong(&cells(&spelled.replace("{\"nan\":50}", "{\"nan\":50,\"nan\":50}")), "line 9: `nan` is there a second time");
    wrong(&cells(&spelled.replace("\"f32\"", "\"f\\n32\"")), "line 9: `f\\u{a}32` is no name");
    // A list that is left out, where it belongs and where it does not.
    wrong(&good.replace("\"passing\"", "\"parsing\""), "line 4");
    let (before, after) = (good.find("\"passing\"").unwrap(), good.find("\"cells\"").unwrap());
    wrong(&(good[..before].to_owned() + &good[after..]), "line 3: after it comes `passing`, and there is none");
    wrong(&good[..after].replace("],\n", "]}"), "missing field `cells`");
    wrong(&good.replace(SCHEMA, SPELLED_SCHEMA), "line 3: after it comes `passing`, which this schema does not have");
    wrong(&good.replace("\"cells\": []", "\"cells\": [],\n\"passing\": []"), "duplicate field `passing`");
}

#[test]
fn what_functions_declare_alike_is_one_line() {
    let mut results = undeclared();
    let declaring = |claims: &str| {
        let mut set = Claims::default();
        set.set(claims).unwrap();
        Declaration::of_claims(set)
    };
    let add = |results: &mut Results, kernel: &str, op, dtype, claims| {
        let declaration = declaring(claims);
        results.declared.push(Declared { kernel: kernel.into(), op, dtype, declaration, needed: 0 });
    };
    for kernel in ["mine", "other"] {
        for &op in Op::ALL {
            for dtype in Dtype::ALL {
                let claims =
                    if op == Op::SOFTMAX && dtype == Dtype::F32 && kernel == "mine" { "exp=9" } else { "exp=8" };
                add(&mut results, kernel, op, dtype, claims);
            }
        }
    }
    let baseline = Baseline::of(&results);
    let text = baseline.text().unwrap();
    let lines = list(&text, "declared");
    let counts = |line: &&str| {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        (line["ops"].as_array().unwrap().len(), line["dtypes"].as_array().unwrap().len())
    };
    let (ops, dtypes) = (Op::ALL.len(), Dtype::ALL.len());
    assert_eq!(
        lines.iter().map(counts).collect::<Vec<_>>(),
        [(ops - 1, dtypes), (1, dtypes - 1), (1, 1), (ops, dtypes)]
    );
    let (_dir, path) = place();
    let read = |text: &str| {
        std::fs::write(&path, text).unwrap();
        Baseline::read(&path)
    };
    let told = |baseline: &Baseline| {
        let declared = baseline.declared.iter();
        declared.map(|(function, recorded)| (function.clone(), recorded.declaration.clone())).collect::<Vec<_>>()
    };
    assert_eq!(told(&read(&text).unwrap()), told(&baseline));
    for (from, to, part) in [
        (r#""dtypes":["f32"]"#, r#""dtypes":[]"#, "line 7: it names no dtype"),
        (r#""ops":["softmax"],"dtypes":["f32"]"#, r#""ops":[],"dtypes":["f32"]"#, "line 7: it names no op"),
        (
            r#""dtypes":["f32"]"#,
            r#""dtypes":["f16"]"#,
            "line 7: `mine softmax f16` is there a second time, first in line 6",
        ),
        (r#""kernel":"other""#, r#""kernel":"o=r""#, "line 8: `o=r` is no name"),
        (r#""dtypes":["f32"]"#, "\"dtypes\":[\"\u{202e}\"]", "line 7: `\\u{202e}` is no name"),
    ] {
        let error = read(&forged(&text, from, to)).unwrap_err().to_string();
        assert!(error.contains(part), "{part}: {error}");
    }
}

/// A file of the version before says the same, with a line for each cell and each function.
#[test]
fn a_spelled_file_is_read_as_it_is() {
    const SPELLED: &str = include_str!("spelled.json");
    let (_dir, path) = place();
    std::fs::write(&path, SPELLED).unwrap();
    let read = Baseline::read(&path).unwrap();
    read.refuse_former().unwrap();
    assert_eq!((read.entries.len(), read.declared.len()), (6, 2));
    let cell = |told: &str| read.entries.iter().find(|(name, _)| name.to_string() == told).unwrap().1;
    let naive = cell("naive logsumexp f32 offset");
    assert_eq!((naive.in_words(), naive.expected.as_deref(), naive.line), ("79 inf".into(), Some("by design"), 14));
    assert_eq!((cell("base2 logsumexp f32 wide").max_ratio, cell("base2 logsumexp f32 wide").line), (0.29, 11));
    // Written again it is in the new form, and nothing is lost.
    read.write(&path).unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.contains(SCHEMA) && list(&text, "cells").len() == 1 && list(&text, "declared").len() == 1, "{text}");
    let again = Baseline::read(&path).unwrap();
    assert!(again.settings == read.settings && again.entries.len() == 6);
    assert!(again.entries.iter().all(|(name, entry)| entry.is_same(&read.entries[name])));
    // Its lines are held by their checks as well.
    for (from, to, part) in [
        ("\"inf\":79", "\"inf\":78", "line 14: its numbers do not fit its check"),
        ("exp=3.25", "exp=3.5", "line 5: its numbers do not fit its check"),
    ] {
        std::fs::write(&path, SPELLED.replacen(from, to, 1)).unwrap();
        assert!(Baseline::read(&path).unwrap_err().to_string().contains(part), "{part}");
    }
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
    wrong(&good.replace("\"nan\":5", "\"nan\":6"), "line 8: its numbers do not fit its check");
    wrong(&good.replace("\"tight\",0.3", "\"tight\",0.9"), "line 5: its numbers");
    wrong(&good.replace("\"pass\":50", "\"pass\":60"), "line 5: its numbers");
    wrong(&good.replace("\"seed\":1", "\"seed\":2"), "line 3: its numbers");
    wrong(&good.replace("[\"ordinary\"]", "[\"ordinary\",\"long\"]"), "line 5: its numbers");
    wrong(&good.replace("\"family\":\"wide\"", "\"family\":\"long\""), "line 8: its numbers");
    wrong(&good.replace("\"nan\":5", "\"hot\":5"), "line 8: unknown variant `hot`");
    wrong(&good.replace("\"f32\",\"tight\"", "\"f32\",7"), "line 5: ");
    wrong(&good.replace("\"grade\":\"textbook\"", "\"grade\":7"), "line 8: ");
    wrong(&good.replace("\"dtypes\"", "\"detypes\""), "line 5: unknown field `detypes`");
    wrong(&good.replace("\"dtype\"", "\"detype\""), "line 8: unknown field `detype`");
    wrong(&good.replace("baseline/3", "baseline/4"), "line 2: schema `logitfuzz.baseline/4` is newer");
    wrong(&good.replace("baseline/3", "results/1"), "line 2: schema `logitfuzz.results/1` is not");
    wrong(&good.replace("\"schema\": \"logitfuzz.baseline/3\",\n", ""), "line 1: no `schema`");
    wrong(&good.replace("\"cells\"", "\"celz\""), "line 7");
    wrong(&good.replace("\n],\n", "\n],\n<<<<<<< HEAD\n"), "line 7, column 1");
    wrong(
        &good.replace("\"worst\"", "\"expected\":\" \",\"worst\""),
        "line 8: `mine softmax f32 wide` is expected to fail without a reason",
    );
    for (number, told) in [(5, "mine softmax f32 ordinary"), (8, "mine softmax f32 wide")] {
        let line = good.lines().nth(number - 1).unwrap();
        wrong(
            &good.replace(line, &format!("{line},\n{line}")),
            &format!("line {}: `{told}` is there a second time, first in line {number}", number + 1),
        );
        // Deleting it is as if nothing had been accepted there.
        let deleted = good.replace(&format!("{line}\n"), "");
        std::fs::write(&path, &deleted).unwrap();
        let read = Baseline::read(&path).unwrap();
        assert!(read.entries.len() == 1 && read.entries.keys().all(|name| name.to_string() != told));
    }
    // Cut anywhere, it is never a baseline.
    for end in 0..good.trim_end().len() {
        wrong(&good[..end], "line ");
    }
    // What a person may write.
    std::fs::write(&path, good.replace("\"worst\"", "\"expected\":\"why\",\"worst\"")).unwrap();
    let read = Baseline::read(&path).unwrap();
    let expected: Vec<_> = read.entries.iter().filter(|(_, entry)| entry.expected.as_deref() == Some("why")).collect();
    assert!(expected.len() == 1 && expected[0].0.family == "wide");
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
