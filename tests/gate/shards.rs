//! Shards merge to the results of the whole, byte for byte, and refuse everything else.

use crate::support::place::Place;

/// Kernels that pass and that fail in several ways, so that findings and curves have something to merge.
const WORK: [&str; 22] = [
    "--kernel",
    "naive",
    "--kernel",
    "unfused",
    "--kernel",
    "shifted",
    "--kernel",
    "defect/nan-dropping-max",
    "--op",
    "log_softmax",
    "--op",
    "cross_entropy",
    "--op",
    "softmax",
    "--dtype",
    "f16",
    "--dtype",
    "f32",
    "--max-len",
    "200",
    "--cases",
    "12",
];

fn run(place: &Place, flags: &[&str]) {
    place.ok(&[&["run"], &WORK[..], flags].concat());
}

/// Runs all shards, each in a process of its own, and merges them into `merged`.
fn merge(place: &Place, of: usize) {
    merge_of(place, &WORK, of);
}

fn merge_of(place: &Place, work: &[&str], of: usize) {
    let folders: Vec<String> = (1..=of).map(|number| format!("{of}-{number}")).collect();
    let children = folders.iter().enumerate().map(|(index, folder)| {
        let shard = format!("{}/{of}", index + 1);
        let args = [&["run"], work, &["--shard", &shard, "--out", folder, "--jobs", "1"]].concat();
        place.command(&args).spawn().expect("the binary runs")
    });
    for mut child in children.collect::<Vec<_>>() {
        assert!(child.wait().expect("it ends").success());
    }
    let mut args = vec!["merge"];
    // In another order than their numbers.
    args.extend(folders.iter().rev().map(String::as_str));
    args.extend(["--out", "merged"]);
    place.ok(&args);
}

#[test]
fn merged_shards_are_the_whole_byte_for_byte() {
    let place = Place::new();
    run(&place, &["--out", "whole"]);
    let whole = place.read("whole/results.json");
    let results = place.json("whole/results.json");
    // Shards ran at other times, so only what the results say can be the same.
    std::fs::remove_file(place.path("whole/run.json")).expect("the run's own file");
    assert!(results["findings"].as_array().expect("findings").len() > 10 && !whole.contains("\"shard\""));
    for of in [1, 2, 3, 8] {
        merge(&place, of);
        assert!(place.read("merged/results.json") == whole, "{of} shards");
        place.ok(&["report", "whole", "--out", "again"]);
        for file in ["junit.xml", "logitfuzz.sarif", "summary.md"] {
            assert!(
                place.read(&format!("merged/{file}")) == place.read(&format!("again/{file}")),
                "{file} of {of} shards"
            );
        }
    }
}

#[test]
fn the_gate_says_the_same_of_shards() {
    let place = Place::new();
    place.ok(&[&["accept"], &WORK[..]].concat());
    merge(&place, 3);
    let said = place.ok(&["gate", "--from", "merged", "--out", "gate"]);
    assert!(said.starts_with("gate passed: no regression in 528 cells"), "{said}");
    // A shard by itself knows what is its own: no cell of another is missing.
    let cells: Vec<u64> = (1..=3)
        .map(|number| {
            place.ok(&[&["gate"], &WORK[..], &["--shard", &format!("{number}/3"), "--out", "one"]].concat());
            place.json("one/gate.json")["counts"]["cells"].as_u64().expect("a count")
        })
        .collect();
    assert_eq!(cells.iter().sum::<u64>(), 528);
    assert!(cells.iter().all(|&cells| cells > 150), "{cells:?}");
}

#[test]
fn what_does_not_belong_together_is_refused() {
    let place = Place::new();
    merge(&place, 2);
    run(&place, &["--out", "whole"]);
    run(&place, &["--shard", "2/2", "--seed", "5", "--out", "seed"]);
    run(&place, &["--shard", "2/2", "--claims", "exp=8", "--out", "claims"]);
    run(&place, &["--shard", "2/2", "--kernel", "log1p", "--out", "kernels"]);
    run(&place, &["--shard", "2/2", "--op", "logsumexp", "--out", "ops"]);
    run(&place, &["--shard", "1/3", "--out", "thirds"]);
    let edited = |name: &str, from: &str, to: &str| {
        let text = place.read("2-2/results.json");
        assert!(text.contains(from), "{from}");
        place.write(name, text.replace(from, to));
    };
    edited("version.json", "\"logitfuzz\":\"", "\"logitfuzz\":\"9");
    edited("generators.json", "\"generators\":", "\"generators\":9");
    edited("partial.json", "\"complete\": true", "\"complete\": false");
    edited("number.json", "\"number\":2", "\"number\":1");
    let before = place.contents("merged");
    for (shards, parts) in [
        (&["2-1"][..], &["2-1: shards are missing", "2/2"][..]),
        (&["2-1", "2-2", "2-2"], &["2-2: shard 2/2 is there a second time"]),
        (&["2-1", "seed"], &["seed: it is of another campaign than 2-1: seed 5, not 0"]),
        (&["2-1", "claims"], &["claims: ", "claims exp=8, not none"]),
        (&["2-1", "kernels"], &["kernels: ", "log1p"]),
        (&["2-1", "ops"], &["ops: ", "other ops"]),
        (&["2-1", "thirds"], &["thirds: it is one of 3 shards"]),
        (&["2-1", "whole"], &["whole: these are the results of no shard"]),
        (&["2-1", "version.json"], &["version.json: ", "logitfuzz 90.1.0, not 0.1.0"]),
        (&["2-1", "generators.json"], &[&format!("generators version 9{0}, not {0}", logitfuzz::generate::VERSION)]),
        (&["2-1", "partial.json"], &["partial.json: shard 2/2 was interrupted"]),
        (&["2-1", "number.json"], &["number.json: its cell", "edited"]),
        (&["2-1", "none.json"], &["none.json: no such file"]),
    ] {
        place.refused(&[&["merge"], shards, &["--out", "merged"]].concat(), 2, parts);
    }
    assert!(place.contents("merged") == before, "a refused merge changed the report");
    place.refused(&[&["run"], &WORK[..], &["--shard", "1/45"]].concat(), 2, &["only 44 pairs"]);
    for shard in ["0/2", "3/2", "1", "x/y"] {
        place.refused(&["run", "--shard", shard], 2, &["--shard", "K/N"]);
    }
}

/// One dtype, a family with rows enough for a range in each of three shards, and a file with rows enough for two: for kernels that
/// pass and that fail.
const LARGE: [&str; 22] = [
    "--kernel",
    "naive",
    "--kernel",
    "shifted",
    "--op",
    "logsumexp",
    "--op",
    "cross_entropy",
    "--dtype",
    "f16",
    "--family",
    "ordinary",
    "--logits",
    "rows.csv",
    "--claims",
    "exp=3",
    "--max-len",
    "16",
    "--cases",
    "3100",
    "--seed",
    "7",
];

/// Rows of a file: every hundredth overflows without a shift, and no two are alike.
fn large() -> Place {
    let place = Place::new();
    let row = |index: i32| format!("{},{},{}\n", index % 11, f64::from(index) / 256.0, index % 100 / 99 * 12);
    place.write("rows.csv", (0..2500).map(row).collect::<String>());
    place
}

#[test]
fn rows_of_a_cell_are_shared_byte_for_byte() {
    let place = large();
    let work = [&LARGE[..], &["--search", "40"]].concat();
    place.ok(&[&["run"], &work[..], &["--out", "whole"]].concat());
    let whole = place.read("whole/results.json");
    let results = place.json("whole/results.json");
    let failing = |kernel: &str, family: &str| {
        let cells = results["cells"].as_array().expect("cells").iter();
        let mut mine = cells.filter(|cell| cell["kernel"] == kernel && cell["family"] == family);
        mine.any(|cell| cell["first_failing"].is_u64())
    };
    assert!(failing("naive", "ordinary") && failing("naive", "file") && !failing("shifted", "ordinary"), "{whole}");
    for of in [1, 2, 3, 5] {
        merge_of(&place, &work, of);
        assert!(place.read("merged/results.json") == whole, "{of} shards");
    }
    // Every shard has some of the rows of the family, and two of three have some of the file: no one has most of the work.
    for number in 1..=3 {
        let shard = place.json(&format!("3-{number}/results.json"));
        let ranges = shard["shard"]["ranges"].as_array().expect("ranges");
        let rows = |family: &str| {
            let mine = ranges.iter().filter(|range| range["family"] == family && range["kernel"] == "naive");
            mine.map(|range| range["until"].as_u64().unwrap() - range["from"].as_u64().unwrap()).sum::<u64>()
        };
        // Two ops each.
        assert!((2 * 1033..=2 * 1034).contains(&rows("ordinary")), "{}", rows("ordinary"));
        assert!([0, 2 * 1250].contains(&rows("file")), "{}", rows("file"));
    }
    place.refused(
        &[&["run"], &work[..], &["--shard", "1/7"]].concat(),
        2,
        &["only 6 pairs", "share them among 6 or fewer"],
    );
}

/// A file may say anything: what it says of its rows is held against the shard that it is, and against the cell.
#[test]
fn rows_that_are_not_those_of_the_shard_are_refused() {
    let place = large();
    merge_of(&place, &LARGE, 3);
    let before = place.contents("merged");
    let text = place.read("3-2/results.json");
    let line = |from: usize| {
        let start = "{\"kernel\":\"shifted\",\"op\":\"logsumexp\",\"dtype\":\"f16\",\"family\":\"ordinary\"";
        let at = from + text[from..].find(start).expect("its line");
        &text[at..at + text[at..].find('\n').expect("a line")]
    };
    let (cell, range) = (line(0), line(text.find("\"ranges\": [").expect("ranges")));
    let (before_worst, _) = range.split_once("\"worst\":").expect("a worst case");
    let figure = |text: &str, key: &str| {
        let (_, rest) = text.split_once(&format!("\"{key}\":")).unwrap_or_else(|| panic!("no {key} in {text}"));
        rest[..rest.find([',', '}']).expect("an end")].to_owned()
    };
    let with = |text: &str, key: &str, new: &str| {
        text.replacen(&format!("\"{key}\":{}", figure(text, key)), &format!("\"{key}\":{new}"), 1)
    };
    for (edited, part) in [
        (text.replace(range, &with(range, "from", "0")), "are not those of shard 2/3"),
        (text.replace(range, &with(range, "until", "18446744073709551615")), "are not those of shard 2/3"),
        (text.replace(range, &format!("{range}\n{range}")), "is there twice"),
        (text.replace(&format!("{range}\n"), ""), "is not said"),
        (text.replace(&format!("{cell}\n"), ""), "no such cell"),
        (text.replace(cell, &format!("{cell}\n{cell}")), "is there twice"),
        (
            text.replace(&format!("{range}\n"), "").replace(&format!("{cell}\n"), ""),
            "it has no cell shifted logsumexp f16 ordinary, of which rows 1033..2066 are its own",
        ),
        (text.replace(range, &with(range, "signed_sum", "\"17\"")), "the mean error and its sum"),
        (text.replace(range, &with(range, "signed_sum", "\"x\"")), "is no whole number"),
        (text.replace(range, &with(range, "ratio", "1e300")), "the worst case"),
        (text.replace(range, &with(range, "index", "0")), "the worst case"),
        (text.replace(range, &format!("{before_worst}\"worst\":null}},")), "the worst case"),
        (text.replace(cell, &with(cell, "cases", "1035")), "more cases than rows"),
        (
            text.replace(cell, &cell.replace("\"grades\"", "\"first_failing\":1040,\"grades\"")),
            "the first failing case",
        ),
        (text.replacen("\"case_index\":", "\"case_index\":9", 99), "is not of shard 2/3"),
        (text.replace("\"ordinary\":3100", "\"ordinary\":3200"), "are not those of shard 2/3"),
        (text.replace("\"ordinary\":3100", "\"ordinary\":31"), "31 rows of ordinary are not split among 3 shards"),
        (text.replace("\"file\":2500", "\"file\":2600"), "2600 rows of file are not split"),
        (text.replace("\"file\":2500", "\"else\":2500"), "2500 rows of else are not split"),
    ] {
        assert!(edited != text, "{part}");
        place.write("edited.json", edited);
        place.refused(&["merge", "3-1", "edited.json", "3-3", "--out", "merged"], 2, &["edited.json: ", part]);
    }
    place.refused(&["merge", "3-1", "3-3", "--out", "merged"], 2, &["shards are missing", "2/3"]);
    place.refused(&["merge", "3-1", "3-2", "3-2", "--out", "merged"], 2, &["shard 2/3 is there a second time"]);
    assert!(place.contents("merged") == before, "a refused merge changed the report");
}

/// Some rows of a cell can have too many failures; that others are missing is no regression. They are nothing to accept.
#[test]
fn a_gate_of_some_rows_tells_what_is_there() {
    let place = large();
    place.ok(&[&["accept"], &LARGE[..]].concat());
    for number in 1..=3 {
        let said = place.ok(&[&["gate"], &LARGE[..], &["--shard", &format!("{number}/3"), "--out", "one"]].concat());
        assert!(said.starts_with("gate passed: no regression in "), "{said}");
    }
    place.refused(
        &[&["accept"], &LARGE[..], &["--shard", "1/3"]].concat(),
        2,
        &["some rows of the cell", "merge all shards"],
    );
    std::fs::remove_file(place.path("reports/baseline.json")).expect("it was there");
    let ran = place.run(&[&["gate"], &LARGE[..], &["--shard", "1/3", "--out", "one"]].concat());
    assert!(ran.code == Some(1) && ran.out.contains("no entry") && !ran.out.contains("to accept"), "{ran:?}");
    assert!(!place.path("one/baseline.new.json").exists());
}
