//! Tests of all reports on made-up results.

use super::folder::cannot_write;
use super::*;
use crate::dtype::Dtype;
use crate::error::ErrorKind;
use crate::judge::Verdict;
use crate::kernel::builtin;
use crate::results::SCHEMA;
use std::collections::BTreeMap;
use std::fs;

/// The page of the largest run that is expected stays below this.
const LARGEST_PAGE: usize = 5_000_000;

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn results_round_trip_to_the_bit_and_equal_results_give_equal_bytes() {
    let mut results = sample::results(3);
    let awkward = [0.1 + 0.2, 5e-324, f64::MAX, 1.0 / 3.0, -0.0, f64::INFINITY, f64::NEG_INFINITY, f64::NAN, 6.9e10];
    for (cell, x) in results.cells.iter_mut().zip(awkward) {
        (cell.max_ulp, cell.max_ratio, cell.mean_signed_ulp) = (x, x, x);
    }
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), &results, Some(&sample::run()), None).unwrap();
    let back = read(dir.path()).unwrap();
    for (cell, x) in back.cells.iter().zip(awkward) {
        for y in [cell.max_ulp, cell.max_ratio, cell.mean_signed_ulp] {
            assert_eq!(y.to_bits(), x.to_bits());
        }
    }
    let first = fs::read(dir.path().join(RESULTS_FILE)).unwrap();
    assert_eq!(json::text(&back).unwrap().as_bytes(), first);

    // NaN differs from itself, so whole results are compared without it.
    results.cells.iter_mut().for_each(|cell| cell.mean_signed_ulp = 0.25);
    results.cells.retain(|cell| !cell.max_ulp.is_nan());
    assert_eq!(json::parse(json::text(&results).unwrap().as_bytes()).unwrap(), results);

    // The order in which things were found does not show.
    let mut shuffled = results.clone();
    shuffled.cells.reverse();
    shuffled.findings.reverse();
    shuffled.curves.reverse();
    assert_eq!(json::text(&shuffled).unwrap(), json::text(&results).unwrap());

    let run = fs::read(dir.path().join(RUN_FILE)).unwrap();
    assert_eq!(serde_json::from_slice::<RunInfo>(&run).unwrap(), sample::run());
}

#[test]
fn json_has_one_cell_finding_or_curve_a_line() {
    let results = sample::results(2);
    let text = json::text(&results).unwrap();
    let lines = text.lines().filter(|line| line.starts_with("{\"kernel\":")).count();
    assert_eq!(lines, results.cells.len() + results.findings.len() + results.curves.len());
    assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok());
    assert!(text.contains("\"inf\""));
}

#[test]
fn all_files_are_written_and_nothing_else() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("latest");
    let results = sample::results(0);
    let paths = write(&dir, &results, None, None).unwrap();
    assert_eq!(names(&dir), [PAGE_FILE, JUNIT_FILE, SARIF_FILE, RESULTS_FILE, SUMMARY_FILE]);
    assert_eq!(paths.len(), 5);
    let paths = write(&dir, &results, Some(&sample::run()), None).unwrap();
    assert_eq!(names(&dir), [PAGE_FILE, JUNIT_FILE, SARIF_FILE, RESULTS_FILE, RUN_FILE, SUMMARY_FILE]);
    assert_eq!(paths, FILES[..6].iter().map(|name| dir.join(name)).collect::<Vec<_>>());
    assert_eq!(fs::read_to_string(dir.join(PAGE_FILE)).unwrap(), html::page(&results, Some(&sample::run()), None));
}

#[cfg(unix)]
#[test]
fn reports_may_be_read_by_others_as_any_new_file() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    let plain = dir.path().join("plain");
    fs::write(&plain, "").unwrap();
    write(dir.path(), &sample::results(0), None, None).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&dir.path().join(PAGE_FILE)), mode(&plain));
}

#[test]
fn a_write_that_fails_leaves_the_older_report() {
    let dir = tempfile::tempdir().unwrap();
    let old = sample::results(0);
    write(dir.path(), &old, Some(&sample::run()), None).unwrap();
    let kept = |name: &str| fs::read(dir.path().join(name)).unwrap();
    let before: Vec<_> = [RESULTS_FILE, RUN_FILE, SUMMARY_FILE].map(kept).into();
    fs::remove_file(dir.path().join(PAGE_FILE)).unwrap();
    fs::create_dir(dir.path().join(PAGE_FILE)).unwrap();

    let error = write(dir.path(), &sample::results(1), Some(&sample::run()), None).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Harness);
    assert!(error.to_string().contains("index.html") && error.to_string().contains("--out"), "{error}");
    let after: Vec<_> = [RESULTS_FILE, RUN_FILE, SUMMARY_FILE].map(kept).into();
    assert!(before == after, "an older file was changed");
    assert_eq!(
        names(dir.path()),
        [PAGE_FILE, JUNIT_FILE, SARIF_FILE, RESULTS_FILE, RUN_FILE, SUMMARY_FILE],
        "no temporary file stays"
    );
}

#[test]
fn errors_name_the_place_and_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "kept").unwrap();
    let results = sample::results(0);
    for (path, part) in [(file.clone(), "it is a file"), (file.join("below"), "--out")] {
        for error in [write(&path, &results, None, None).unwrap_err(), prepare(&path).unwrap_err()] {
            let text = error.to_string();
            assert_eq!(error.kind(), ErrorKind::Harness);
            assert!(text.contains(part) && text.contains(&*path.to_string_lossy()) && text.contains("--out"), "{text}");
            assert!(!text.contains('\n'), "{text}");
        }
    }
    assert_eq!(fs::read_to_string(&file).unwrap(), "kept");
    assert_eq!(names(dir.path()), ["file"]);
    // No test can fill a disk here, so the words are checked by the kind of the error.
    for (kind, part) in [
        (io::ErrorKind::StorageFull, "disk is full"),
        (io::ErrorKind::FileTooLarge, "ulimit"),
        (io::ErrorKind::PermissionDenied, "not writable"),
        (io::ErrorKind::ReadOnlyFilesystem, "not writable"),
    ] {
        let text = cannot_write(&file, &kind.into()).to_string();
        assert!(text.contains(part) && text.contains("--out"), "{text}");
    }
}

#[test]
fn what_is_no_result_is_refused_in_one_line() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("some.json");
    let good = json::text(&sample::results(0)).unwrap();
    for (text, part) in [
        (String::new(), "line 1, column 0: EOF"),
        ("{\n \"schema\": oops}".into(), "not JSON: line 2, column 12"),
        (good[..good.len() / 2].into(), "not JSON: line"),
        ("[]".into(), "no logitfuzz results"),
        ("{}".into(), "no `schema`"),
        ("{\"schema\": \"cargo.metadata/1\"}".into(), "`cargo.metadata/1` is not"),
        (good.replacen("results/1", "results/2", 1), "newer"),
        (good.replacen("results/1", "results/0", 1), "another file"),
        (good.replacen("\"logsumexp\"", "\"logsumexp2\"", 1), "unknown op `logsumexp2`"),
        (format!("{good} x"), "not JSON"),
    ] {
        fs::write(&path, text).unwrap();
        let error = read(&path).unwrap_err();
        let text = error.to_string();
        assert_eq!(error.kind(), ErrorKind::Usage);
        assert!(
            text.contains(part) && text.contains("some.json") && !text.contains('\n'),
            "wanted `{part}` in: {text}"
        );
    }
    let missing = read(dir.path()).unwrap_err().to_string();
    assert!(missing.contains("results.json: no such file"), "{missing}");
    assert!(good.contains(SCHEMA));
}

/// Panics unless every opened tag is closed in order. Elements that HTML closes by itself are known.
fn check_balanced(page: &str) {
    let mut open: Vec<&str> = Vec::new();
    let mut rest = page;
    while let Some(at) = rest.find('<') {
        let tag = &rest[at + 1..];
        let end = tag.find('>').expect("an unclosed tag");
        let (tag, after) = (&tag[..end], &tag[end + 1..]);
        rest = after;
        let name = tag.trim_start_matches('/').split([' ', '/', '\n']).next().unwrap();
        if tag.starts_with('!') || ["meta", "link", "input", "br", "wbr"].contains(&name) || tag.ends_with('/') {
            continue;
        }
        if tag.starts_with('/') {
            assert_eq!(open.pop(), Some(name), "before: {}", &rest[..rest.len().min(200)]);
            continue;
        }
        open.push(name);
        if ["style", "script"].contains(&name) {
            rest = &rest[rest.find(&format!("</{name}>")).expect("an unclosed style or script")..];
        }
    }
    assert!(open.is_empty(), "never closed: {open:?}");
}

/// Where each of the texts between `before` and the next `end` occurs, counted.
fn between<'a>(page: &'a str, before: &str, end: char) -> BTreeMap<&'a str, usize> {
    let mut found = BTreeMap::new();
    for rest in page.split(before).skip(1) {
        *found.entry(rest.split(end).next().unwrap()).or_default() += 1;
    }
    found
}

#[test]
fn the_page_is_whole_escaped_and_loads_nothing() {
    const ESCAPED: &str = "&lt;script&gt;alert(&quot;|`&amp;&#39;&quot;)&lt;/script&gt;";
    let results = sample::results(18);
    let page = html::page(&results, Some(&sample::run()), None);
    check_balanced(&page);
    for word in ["http:", "https:", "src=", "@import", "url(", "<script>alert", "Interrupted"] {
        assert!(!page.contains(word), "the page has `{word}`");
    }
    assert_eq!(page.matches("<script>").count(), 1);

    let links = between(&page, "href=\"#", '"');
    let figures = between(&page, "<figure id=", '>');
    let ids: BTreeMap<&str, usize> =
        (page.split(" id=").skip(1)).map(|rest| (rest.split([' ', '>']).next().unwrap(), 1)).collect();
    for (k, kernel) in html_order(&results).iter().enumerate() {
        let name = if kernel.starts_with('<') { ESCAPED } else { kernel };
        assert!(page.contains(&format!("id=k{k} data-k=\"{name}\"")), "{kernel}");
        for (dtype, op) in Dtype::PLAIN.into_iter().flat_map(|dtype| sample::OPS.iter().map(move |op| (dtype, op))) {
            let anchor = format!("k{k}-{dtype}-{op}");
            assert_eq!((links.get(&*anchor), figures.get(&*anchor)), (Some(&1), Some(&1)), "{anchor}");
        }
    }
    assert_eq!(figures.len(), results.settings.kernels.len() * Dtype::PLAIN.len() * sample::OPS.len());
    for target in links.keys() {
        assert!(ids.contains_key(target), "a link leads nowhere: #{target}");
    }
    for verdict in Verdict::ALL {
        assert!(page.contains(&format!(" {verdict}</b>")), "{verdict} is in no matrix");
    }
    for text in ["1.38389652673673752841023477816e-87", "nan, 0 × 70000, -inf", "MPFR 4.2.1", "2026-01-31T12:00:00Z"] {
        assert!(page.contains(text), "no `{text}`");
    }
}

/// The kernels as the page numbers them: the planted defects last.
fn html_order(results: &Results) -> Vec<String> {
    let mut names = results.settings.kernels.clone();
    names.sort_by_key(|name| builtin::find(name).is_some_and(|kernel| kernel.defect().is_some()));
    names
}

#[test]
fn the_largest_page_stays_usable() {
    let results = sample::results(17);
    assert_eq!((results.settings.kernels.len(), results.cells.len()), (25, 25 * sample::OPS.len() * 4 * 24));
    let page = html::page(&results, None, None);
    assert!(page.len() < LARGEST_PAGE, "{} bytes", page.len());
    check_balanced(&page);
}

#[test]
fn a_partial_run_says_so() {
    let mut results = sample::results(2);
    results.complete = false;
    results.cells.truncate(100);
    for cell in &mut results.cells[40..] {
        (cell.cases, cell.not_run) = (0, 200);
        (cell.verdicts, cell.grades) = Default::default();
    }
    results.findings.clear();
    results.curves.clear();
    let page = html::page(&results, None, None);
    check_balanced(&page);
    assert!(
        page.contains("Interrupted: partial results") && page.contains("– not run") && page.contains("200 not run")
    );
    let summary = markdown::summary(&results, None, None);
    assert!(summary.contains("**Interrupted: partial results.**") && summary.contains("| not run"));
    assert!(page.contains("12,000 cases not run") && summary.contains("12,000 cases not run"));
}

#[test]
fn empty_results_make_a_report() {
    let mut results = sample::results(0);
    results.settings.kernels.clear();
    (results.cells, results.findings, results.curves) = Default::default();
    check_balanced(&html::page(&results, None, None));
    assert!(markdown::summary(&results, None, None).contains("0 kernels, 0 outputs judged."));
    assert_eq!(json::parse(json::text(&results).unwrap().as_bytes()).unwrap(), results);
}

#[test]
fn the_headline_says_what_was_found() {
    let summary = markdown::summary(&sample::results(18), None, None);
    let headline = summary.lines().nth(2).unwrap();
    assert!(headline.starts_with("26 kernels, "), "{headline}");
    assert!(headline.contains("3 of 8 ordinary kernels break (`division_free`, `naive`, `unfused`)"), "{headline}");
    assert!(headline.contains("18 of 18 planted defects caught."), "{headline}");
    assert!(headline.contains("undecided"), "{headline}");

    // The registry knows a planted defect; a name does not make one.
    let mut results = sample::results(18);
    let rename = |name: &mut String| *name = name.replace("defect/", "defect/my-");
    results.settings.kernels.iter_mut().for_each(rename);
    results.cells.iter_mut().for_each(|cell| rename(&mut cell.kernel));
    results.findings.iter_mut().for_each(|finding| rename(&mut finding.kernel));
    results.curves.iter_mut().for_each(|curve| rename(&mut curve.kernel));
    let summary = markdown::summary(&results, None, None);
    assert!(summary.contains(": 21 of 26 kernels break, worst `defect/my-"), "{summary}");
    assert!(summary.lines().nth(2).unwrap().contains(" with crash (") && !summary.contains("planted"), "{summary}");
}

/// Of many ops there are several tables, which have every op once and only kernels that have something in them.
#[test]
fn many_ops_are_in_several_tables() {
    let mut results = Results { complete: true, ..sample::results(1) };
    let softmax: Vec<_> = results.cells.iter().filter(|cell| cell.op == crate::Op::SOFTMAX).cloned().collect();
    let of = |&op: &crate::Op| softmax.iter().cloned().map(move |cell| crate::results::Cell { op, ..cell });
    results.cells = crate::Op::ALL.iter().flat_map(of).collect();
    results.settings.ops = crate::Op::ALL.to_vec();
    // One kernel has the first op alone.
    let last = results.settings.kernels.last().unwrap().clone();
    results.cells.retain(|cell| cell.kernel != last || cell.op == crate::Op::ALL[0]);
    let summary = markdown::summary(&results, None, None);
    let of_f32 = summary.split("\n## ").find(|part| part.starts_with("f32\n")).expect("a table of f32");
    let heads: Vec<&str> = of_f32.lines().filter_map(|line| line.strip_prefix("| kernel |")).collect();
    assert!(heads.len() > 1 && heads.iter().all(|head| (2..=10).contains(&head.matches('|').count())), "{heads:?}");
    for op in crate::Op::ALL {
        assert_eq!(heads.iter().filter(|head| head.contains(&format!(" {op} |"))).count(), 1, "{op}");
    }
    let rows = |name: &str| of_f32.lines().filter(|line| line.starts_with(&format!("| `{name}`"))).count();
    assert_eq!((rows("shifted"), rows(&last)), (heads.len(), 1), "{of_f32}");
}

/// A library with one function is asked for every op and dtype, and its report is about that function.
#[test]
fn what_did_not_run_has_no_column() {
    let mut results = sample::results(1);
    let ran = |op, dtype| (op, dtype) == (crate::Op::LOG_SOFTMAX, Dtype::F32);
    results.cells.retain(|cell| ran(cell.op, cell.dtype));
    results.curves.retain(|curve| ran(curve.op, curve.dtype));
    results.findings.retain(|finding| ran(finding.op, finding.dtype));
    assert_eq!((results.settings.ops.len(), results.settings.dtypes.len()), (sample::OPS.len(), Dtype::PLAIN.len()));
    let summary = markdown::summary(&results, None, None);
    assert!(summary.contains("\n## f32\n\n| kernel | log_softmax |\n|---|---|\n"), "{summary}");
    let page = html::page(&results, None, None);
    assert!(page.matches("<th scope=col>").count() > 1);
    for dtype in [Dtype::F16, Dtype::Bf16, Dtype::F64] {
        assert!(!summary.contains(&format!("\n## {dtype}\n")), "{dtype}");
    }
    let columns = page.split("<th scope=col>").filter(|column| column.starts_with("softmax</th>"));
    assert_eq!(columns.count(), 0);
}

#[test]
fn the_summary_has_whole_tables_and_stays_short() {
    let results = sample::results(17);
    let summary = markdown::summary(&results, Some(&sample::run()), None);
    let columns = |line: &str| line.replace("\\|", "").matches('|').count();
    let lines: Vec<&str> = summary.lines().collect();
    let mut tables = 0;
    for table in lines.chunk_by(|a, b| a.starts_with('|') == b.starts_with('|')).filter(|rows| rows[0].starts_with('|'))
    {
        tables += 1;
        assert!(table.len() > 2 && table[1].starts_with("|---|"), "{}", table[0]);
        for row in table {
            assert_eq!(columns(row), columns(table[0]), "{row}");
        }
    }
    // A matrix for each dtype, what strict would say, the settings.
    assert_eq!(tables, Dtype::PLAIN.len() + 2);
    assert!(summary.contains("| `compensated` | cross_entropy | f16 1.00e6, bf16 1.00e6,"), "{summary}");
    for kernel in results.settings.kernels.iter().filter(|kernel| !kernel.contains('<')) {
        let strict = strict::rows(&results).iter().filter(|row| row.kernel == *kernel).count();
        assert_eq!(summary.matches(&format!("\n| `{kernel}` |")).count(), Dtype::PLAIN.len() + strict, "{kernel}");
        assert_eq!(summary.matches(&format!("\n- `{kernel}`: ")).count(), 1, "{kernel}");
    }
    assert!(summary.contains("logitfuzz replay --kernel 'naive'"));
    assert!(lines.len() < 700 && summary.len() < 100_000, "{} lines, {} bytes", lines.len(), summary.len());
}
