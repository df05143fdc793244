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
    let folders: Vec<String> = (1..=of).map(|number| format!("{of}-{number}")).collect();
    let children = folders.iter().enumerate().map(|(index, folder)| {
        let shard = format!("{}/{of}", index + 1);
        let args = [&["run"], &WORK[..], &["--shard", &shard, "--out", folder, "--jobs", "1"]].concat();
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
