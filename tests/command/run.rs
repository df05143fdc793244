//! `run` and `report`: selection, determinism, the files that are written.

use crate::support::npy::{npy, npy_f32};
use crate::support::place::Place;
use serde_json::Value;
use std::collections::BTreeSet;

/// A run that takes a moment.
const SMALL: [&str; 9] = ["run", "--kernel", "naive", "--cases", "3", "--max-len", "64", "--out", "report"];

fn with<'a>(args: &[&'a str], more: &[&'a str]) -> Vec<&'a str> {
    args.iter().chain(more).copied().collect()
}

/// The values of one field over all cells.
fn field(results: &Value, name: &str) -> BTreeSet<String> {
    let cells = results["cells"].as_array().expect("cells");
    cells.iter().map(|cell| cell[name].as_str().expect(name).to_owned()).collect()
}

/// The values of one field over all cells of a small run with these flags.
fn selected(flags: &[&str], name: &str) -> Vec<String> {
    let place = Place::new();
    place.ok(&with(&["run", "--cases", "1", "--max-len", "16", "--out", "report"], flags));
    field(&place.json("report/results.json"), name).into_iter().collect()
}

#[test]
fn a_run_writes_a_report_and_says_what_it_found() {
    let place = Place::new();
    let text = place.ok(&SMALL);
    assert!(text.contains("naive ") && text.contains("report: report/index.html"), "{text}");
    assert!(!text.contains('\u{1b}') && !text.contains("interrupted"), "{text}");
    let names: Vec<String> = place.contents("report").into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["index.html", "junit.xml", "logitfuzz.sarif", "results.json", "run.json", "summary.md"]);
    let results = place.json("report/results.json");
    assert_eq!(results["schema"], "logitfuzz.results/1");
    assert_eq!(results["complete"], true);
    assert_eq!((&results["settings"]["cases"], &results["settings"]["seed"]), (&3.into(), &0.into()));
    assert!(!results["findings"].as_array().expect("findings").is_empty());
    assert_eq!(place.json("report/run.json")["command"][1], "run");
    assert!(place.read("report/summary.md").contains("`naive`"));
    assert!(place.read("report/index.html").starts_with("<!doctype html>"));
}

#[test]
fn parents_of_the_folder_are_made() {
    let place = Place::new();
    let args = ["run", "--kernel", "shifted", "--op", "softmax", "--dtype", "f32", "--cases", "1", "--max-len", "8"];
    place.ok(&with(&args, &["--out", "a/b/c"]));
    assert_eq!(place.contents("a/b/c").len(), 6);
    place.ok(&args);
    assert_eq!(place.contents("reports/latest").len(), 6);
}

#[test]
fn same_seed_same_bytes_whatever_the_threads() {
    let place = Place::new();
    let args = ["run", "--kernel", "naive", "--kernel", "unfused", "--kernel", "defect/half-sum", "--cases", "40"];
    let args = with(
        &args,
        &["--max-len", "96", "--dtype", "f16", "--dtype", "f32", "--op", "softmax", "--op", "cross_entropy"],
    );
    let results = |flags: &[&str]| {
        let out = place.ok(&with(&with(&args, flags), &["--format", "json", "--out", "report"]));
        assert!(out == place.read("report/results.json"), "--format json prints other bytes than results.json");
        out
    };
    let one = results(&["--jobs", "1"]);
    assert!(one.len() > 10_000, "too little to compare");
    assert!(one == results(&["--jobs", "2"]), "two threads give other results");
    assert!(one == results(&["--jobs", "1"]), "a second run gives other results");
    assert!(one == results(&[]), "the default number of threads gives other results");
    assert!(one != results(&["--seed", "1"]), "another seed gives the same results");
}

#[test]
fn selection_of_kernels() {
    let quick = ["--op", "softmax", "--dtype", "f32", "--family", "ordinary"];
    let kernels = |flags: &[&str]| selected(&with(&quick, flags), "kernel");
    let all = kernels(&[]);
    assert!(all.len() >= 8 && !all.iter().any(|name| name.starts_with("defect/")), "{all:?}");
    assert_eq!(kernels(&["--kernel", "naive", "-k", "log1p", "-k", "naive"]), ["log1p", "naive"]);
    let defects = kernels(&["--kernel", "defect/*"]);
    assert!(defects.len() >= 12 && defects.iter().all(|name| name.starts_with("defect/")), "{defects:?}");
    assert_eq!(kernels(&["--kernel", "mine=naive", "--kernel", "naive", "--kernel", "n*ve"]), ["mine", "naive"]);
}

#[test]
fn selection_of_ops_dtypes_and_families() {
    let quick = ["--kernel", "shifted"];
    let ops = ["--op", "softmax", "--op", "logsumexp", "--dtype", "bf16", "--family", "ordinary"];
    assert_eq!(selected(&with(&quick, &ops), "op"), ["logsumexp", "softmax"]);
    assert_eq!(selected(&with(&quick, &["--dtype", "f64", "--family", "nan"]), "dtype"), ["f64"]);
    let quick = with(&quick, &["--op", "softmax", "--dtype", "f32"]);
    assert_eq!(
        selected(&with(&quick, &["--family", "*masked", "--family", "nan"]), "family"),
        ["fully_masked", "masked", "nan"]
    );
    let all = selected(&quick, "family");
    assert!(all.len() >= 20 && !all.contains(&"very_long".to_owned()), "{all:?}");
    assert!(!selected(&with(&quick, &["--family", "*"]), "family").contains(&"very_long".to_owned()));
    assert_eq!(selected(&with(&quick, &["--family", "very_long"]), "family"), ["very_long"]);
}

#[test]
fn rows_of_ones_own() {
    let place = Place::new();
    place.write("logits.npy", npy_f32(&[&[1.0, 2.0, 3.0], &[1000.0, 0.0, f32::NEG_INFINITY], &[0.5, 0.25, -7.0]]));
    place.write("targets.npy", npy("<i8", "(3,)", &[2i64, 0, 1].map(i64::to_le_bytes).concat()));
    place.write("logits.csv", "1,2,3\n1000,0,-inf\n0.5,0.25,-7\n");
    place.write("targets.csv", "2\n0\n1\n");
    let run = |logits: &str, targets: &str, more: &[&str]| {
        let args = ["run", "--kernel", "naive", "--dtype", "f32", "--logits", logits, "--targets", targets];
        place.ok(&with(&with(&args, &["--out", "report"]), more));
        place.json("report/results.json")
    };
    let npy = run("logits.npy", "targets.npy", &[]);
    assert_eq!(field(&npy, "family").into_iter().collect::<Vec<_>>(), ["file"]);
    for cell in npy["cells"].as_array().expect("cells") {
        assert_eq!((&cell["cases"], &cell["not_run"]), (&3.into(), &0.into()), "each row runs once: {cell}");
    }
    assert_eq!(npy["settings"]["file"]["rows"], 3);
    assert!(npy["findings"].as_array().expect("findings").iter().any(|found| found["verdict"] == "nan"));
    // The same rows as text give the same cells.
    let csv = run("logits.csv", "targets.csv", &["--cases", "7"]);
    assert_eq!(npy["cells"], csv["cells"]);
    // With a family they come on top of it; named as a family they are alone.
    let both = run("logits.npy", "targets.npy", &["--family", "ordinary", "--cases", "2"]);
    assert_eq!(field(&both, "family").into_iter().collect::<Vec<_>>(), ["file", "ordinary"]);
    let named = run("logits.npy", "targets.npy", &["--family", "file", "--cases", "0"]);
    assert_eq!(named["cells"], npy["cells"]);
}

#[test]
fn report_in_every_format() {
    let place = Place::new();
    place.ok(&with(&SMALL, &["--op", "softmax"]));
    assert_eq!(place.ok(&["report", "report", "--format", "json"]), place.read("report/results.json"));
    let markdown = place.ok(&["report", "report/results.json"]);
    assert!(markdown.starts_with("# logitfuzz report\n") && markdown.contains("`naive`"), "{markdown}");
    assert_eq!(place.ok(&["report", "report", "--format", "markdown"]), markdown);
    assert!(place.ok(&["report", "report", "--format", "html"]).starts_with("<!doctype html>"));
    let listed = place.ok(&["report", "report", "--out", "copy/deep"]);
    assert_eq!(listed.lines().count(), 6, "{listed}");
    // What is known of the run goes with the results, where it is there.
    assert_eq!(place.read("copy/deep/run.json"), place.read("report/run.json"));
    assert_eq!(markdown, place.read("report/summary.md"));
    for (format, file) in [("junit", "junit.xml"), ("sarif", "logitfuzz.sarif")] {
        assert_eq!(place.ok(&["report", "report", "--format", format]), place.read(&format!("copy/deep/{file}")));
    }
    assert_eq!(place.read("copy/deep/results.json"), place.read("report/results.json"));
    assert!(place.read("copy/deep/index.html").starts_with("<!doctype html>"));
}

#[test]
fn a_search_is_a_family_of_its_own_that_shards_share_and_a_gate_refuses() {
    let place = Place::new();
    let args =
        ["run", "--kernel", "naive", "--kernel", "shifted", "--op", "softmax", "--family", "ties", "--cases", "3"];
    let args = with(&args, &["--max-len", "64", "--search", "60"]);
    place.ok(&with(&args, &["--out", "whole"]));
    let results = place.json("whole/results.json");
    assert_eq!(results["settings"]["search"], 60);
    let of_search: Vec<&Value> =
        results["cells"].as_array().expect("cells").iter().filter(|cell| cell["family"] == "search").collect();
    assert_eq!(of_search.len(), 2 * 6);
    assert!(of_search.iter().all(|cell| cell["cases"] == 60));
    for shard in ["1/2", "2/2"] {
        place.ok(&with(&args, &["--shard", shard, "--out", &shard.replace('/', "-")]));
    }
    place.ok(&["merge", "1-2", "2-2", "--out", "merged"]);
    assert_eq!(place.read("merged/results.json"), place.read("whole/results.json"));
    // Its cases are others for every version of a kernel.
    place.refused(&["gate", "--from", "whole"], 2, &["whole", "search", "run without --search"]);
    place.refused(&["accept", "--from", "whole"], 2, &["whole", "run without --search"]);
}

#[test]
fn the_zoo_writes_its_page_and_says_when_it_is_out_of_date() {
    let place = Place::new();
    let defects = ["unshifted", "*-index"].map(|name| format!("defect/{name}"));
    let defects: Vec<&str> = defects.iter().flat_map(|name| ["--kernel", name]).collect();
    let few = with(&["zoo", "--cases", "1", "--out", "some/zoo.md"], &defects);
    // One row of a family does not show every defect, which is a failure.
    let ran = place.run(&few);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.out.contains("nothing catches defect/") && ran.out.contains("some/zoo.md is written"), "{ran:?}");
    let page = place.read("some/zoo.md");
    assert!(page.starts_with("# Zoo\n") && page.contains("**Nothing catches it.**"));
    let check = with(&few, &["--check"]);
    assert!(place.run(&check).out.contains("some/zoo.md is up to date"));
    // What is not written is not lost: the page stays as it was edited.
    let edited = page.replacen("planted defects", "planted things", 1);
    place.write("some/zoo.md", &edited);
    assert!(place.run(&check).out.contains("the page is out of date"));
    assert_eq!(place.read("some/zoo.md"), edited);
    place.refused(&["zoo", "--check", "--out", "none.md"], 2, &["none.md"]);
    place.refused(&["zoo", "--cases", "0", "--out", "zero.md"], 4, &["--cases is 0"]);
    place.refused(&["zoo", "--out", "some"], 3, &["some", "folder"]);
    place.refused(&["zoo", "--cases", "x"], 2, &["whole number"]);
    place.refused(&["zoo", "--kernel", "defect/unshifted"], 2, &["reports/zoo.md is of all", "--out"]);
    place.refused(&["zoo", "--kernel", "shifted", "--out", "mine.md"], 2, &["`shifted` is no planted defect of rows"]);
}
