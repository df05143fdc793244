//! `logitfuzz exhaust` as a stranger runs it: files, exit codes, kills and interruptions, shards, kernels from outside, wrong usage.

#![cfg(all(unix, feature = "cli"))]

mod support;

use logitfuzz::Op;
use serde_json::Value;
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use support::place::Place;

const FILES: [&str; 4] = ["certificate.json", "exhaust.journal", "index.html", "summary.md"];

fn names(place: &Place, folder: &str) -> Vec<String> {
    place.contents(folder).into_iter().map(|(name, _)| name).collect()
}

/// What `reports/exhaustive` says of the half dtypes is so today, byte for byte, and there is a certificate for each correct kernel that
/// has the op, and of elementwise ops for each planted defect. (Those of f32 take minutes each: `make exhaustive FLOATS=floats`.)
#[test]
fn the_kept_certificates_are_those_of_the_kernels() {
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("reports/exhaustive");
    let place = Place::new();
    let list = place.ok(&["list", "kernels"]);
    let kernels = list.lines().filter_map(|line| line.split_whitespace().next());
    // A row alone says nothing of a kernel of batches.
    let is_of_batches = |name: &str| name.trim_start_matches("defect/").starts_with("batch-");
    let kernels = kernels.filter(|name| !["naive", "unfused"].contains(name) && !is_of_batches(name));
    let elementwise = || Op::ALL.iter().filter(|op| op.is_elementwise() && op.others().is_empty()).map(|op| op.name());
    let mut compared = 0;
    for kernel in kernels {
        let of_rows =
            ["softmax", "log_softmax", "logsumexp", "cross_entropy", "cross_entropy_grad"].map(|op| (op, "gaps"));
        let of_rows = of_rows.into_iter().filter(|_| !kernel.starts_with("defect/"));
        for (op, domain) in of_rows.chain(elementwise().map(|op| (op, "elements"))) {
            for dtype in ["f16", "bf16"] {
                let name = format!("{op}-{dtype}-{domain}-{}", kernel.trim_start_matches("defect/"));
                let flags = ["--kernel", kernel, "--op", op, "--dtype", dtype, "--domain", domain, "--out", &name];
                let ran = place.run(&[&["exhaust"], &flags[..]].concat());
                let file = kept.join(format!("{name}.json"));
                if ran.code == Some(4) {
                    assert!(!file.exists(), "{name} is kept of a kernel without the op");
                    continue;
                }
                let kept = std::fs::read_to_string(&file).unwrap_or_default();
                assert!(
                    kept == place.read(&format!("{name}/certificate.json")),
                    "{name}: run `make exhaustive` and look at the diff"
                );
                compared += 1;
            }
        }
    }
    let names = std::fs::read_dir(&kept).expect("the folder").map(|entry| entry.expect("an entry").file_name());
    let of_halves = names.filter(|name| name.to_string_lossy().contains("f16-")).count();
    assert!(compared == of_halves && compared > 100, "{compared} of {of_halves} kept certificates");
}

#[test]
fn a_kernel_that_holds() {
    let place = Place::new();
    let args = ["exhaust", "--kernel", "branched", "--op", "log1mexp", "--dtype", "f16", "--out", "held"];
    let out = place.ok(&args);
    assert!(out.starts_with("branched passes on all 63,491 inputs of log1mexp in f16: every f16 value"), "{out}");
    assert!(out.ends_with("certificate: held/certificate.json\npage: held/index.html\n"), "{out}");
    assert_eq!(names(&place, "held"), FILES);
    let certificate = place.json("held/certificate.json");
    for (key, due) in [
        ("schema", Value::from("logitfuzz.certificate/1")),
        ("holds", true.into()),
        ("complete", true.into()),
        ("domain", "elements".into()),
        ("inputs", 63_491.into()),
        ("judged", 63_491.into()),
        ("outputs", 63_491.into()),
        ("regions", Value::Array(Vec::new())),
    ] {
        assert_eq!(certificate[key], due, "{key}");
    }
    // What it says is worst is so, by itself.
    let case = certificate["worst_ratio"]["case"].as_str().expect("a case");
    let shown = place.ok(&["eval", "--op", "log1mexp", "--dtype", "f16", "--kernel", "branched", "--", word(case)]);
    assert!(shown.contains("pass (tight)") && shown.contains("ratio     1.00"), "{shown}");

    // Again it has nothing to do, and says and writes the same.
    let before = place.contents("held");
    assert_eq!(place.ok(&args), out);
    assert_eq!(place.contents("held"), before);
    let json = place.ok(&[&args[..], &["--format", "json"]].concat());
    assert_eq!(json, place.read("held/certificate.json"));

    // The report is made of the certificate alone.
    std::fs::remove_file(place.path("held/exhaust.journal")).expect("the journal");
    assert_eq!(place.ok(&["report", "held"]), place.read("held/summary.md"));
    assert_eq!(place.ok(&["report", "held", "--format", "html"]), place.read("held/index.html"));
    assert_eq!(place.ok(&["report", "held", "--format", "json"]), place.read("held/certificate.json"));
    place.refused(&["report", "held", "--format", "sarif"], 2, &["no JUnit and no SARIF form"]);
    place.ok(&["report", "held", "--out", "again"]);
    assert_eq!(names(&place, "again"), ["certificate.json", "index.html", "summary.md"]);
}

/// The logit of a case of one.
fn word(case: &str) -> &str {
    case.split_once('[').and_then(|(_, rest)| rest.strip_suffix(']')).expect("a case of one logit")
}

#[test]
fn a_kernel_that_fails() {
    let place = Place::new();
    let args = [
        "exhaust",
        "--kernel",
        "unfused",
        "--op",
        "log_softmax",
        "--dtype",
        "bf16",
        "--domain",
        "gaps",
        "--out",
        "failed",
    ];
    let ran = place.run(&args);
    assert_eq!((ran.code, ran.err.as_str()), (Some(1), ""));
    for part in [
        "unfused fails on 31,074 of the 65,282 inputs of log_softmax in bf16, in 4 intervals",
        "  inf         15,536  [0, -d], d = 104 to 3.39e38\n",
        "  inf         15,536  [-d, 0], d = 104 to 3.39e38\n",
    ] {
        assert!(ran.out.contains(part), "no `{part}` in {}", ran.out);
    }
    let certificate = place.json("failed/certificate.json");
    assert_eq!((&certificate["holds"], &certificate["intervals"]), (&false.into(), &4.into()));
    let regions = certificate["regions"].as_array().expect("regions");
    let inf = regions.iter().find(|region| region["verdict"] == "inf").expect("a region");
    assert_eq!((&inf["values"]["low"], &inf["values"]["high"]), (&"0x1.ap+6".into(), &"0x1.fep+127".into()));
    let case = certificate["worst_ratio"]["case"].as_str().expect("a case");
    assert_eq!(place.run(&["replay", "--kernel", "unfused", case]).code, Some(1));
    // The page is whole, loads nothing, and draws a strip for each of the two rows.
    let page = place.read("failed/index.html");
    assert!(page.ends_with("</html>\n") && !page.contains("://") && page.matches("<svg").count() == 2);
    assert!(place.read("failed/summary.md").contains("| inf | 15,536 |"));
}

#[test]
fn killed_interrupted_and_in_shards_the_certificate_is_the_same() {
    let place = Place::new();
    let args = |out: &'static str| {
        ["exhaust", "--kernel", "unfused", "--op", "cross_entropy", "--dtype", "f16", "--domain", "gaps", "--out", out]
    };
    assert_eq!(place.run(&args("whole")).code, Some(1));
    let due = place.contents("whole").into_iter().filter(|(name, _)| !name.ends_with("journal")).collect::<Vec<_>>();
    let found = |folder: &str| {
        place.contents(folder).into_iter().filter(|(name, _)| !name.ends_with("journal")).collect::<Vec<_>>()
    };

    // One thread, so that it takes a while; killed a few times, and interrupted.
    let mut stopped = 0;
    for (milliseconds, signal) in [(150, "-KILL"), (100, "-KILL"), (150, "-INT"), (200, "-KILL")] {
        let mut child =
            place.command(&[&args("stopped")[..], &["--jobs", "1"]].concat()).spawn().expect("the binary runs");
        std::thread::sleep(Duration::from_millis(milliseconds));
        let _ = Command::new("kill").args([signal, &child.id().to_string()]).status();
        stopped += u32::from(child.wait().expect("a child").code() != Some(1));
    }
    assert!(stopped > 0, "it was never stopped");
    assert_eq!(place.run(&args("stopped")).code, Some(1));
    assert_eq!(found("stopped"), due);

    for shard in ["1/3", "2/3", "3/3"] {
        let out = format!("shard-{}", &shard[..1]);
        let ran = place.run(&[&args("")[..9], &["--out", &out, "--shard", shard]].concat());
        assert!(ran.out.contains(&format!("this is shard {shard}, merge all of them")), "{ran:?}");
    }
    let merged = place.ok(&["merge", "shard-3", "shard-1", "shard-2", "--out", "merged"]);
    assert!(merged.starts_with("3 shards merged\nunfused fails on 19,280 of the 126,980 inputs"), "{merged}");
    assert_eq!(found("merged"), due);
    place.refused(&["merge", "shard-1", "shard-3"], 2, &["shard-1: shards are missing beside it: 2/3"]);
    place.refused(&["merge", "shard-1", "whole"], 2, &["whole: this is a run of no shard"]);
    place.refused(&["merge", "shard-1", "nowhere"], 2, &["nowhere: there is no exhaust.journal"]);
}

#[test]
fn ctrl_c_says_how_to_go_on() {
    let place = Place::new();
    let args = ["exhaust", "--kernel", "shifted", "--op", "softmax", "--dtype", "f32", "--out", "long"];
    let child = place.command(&args).spawn().expect("the binary runs");
    std::thread::sleep(Duration::from_secs(2));
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().expect("kill runs").success());
    let ran: support::place::Ran = child.wait_with_output().expect("a child").into();
    ran.is_refused(
        "Ctrl-C",
        3,
        &["interrupted: ", " of 65,282 pieces are finished; the same command goes on from there"],
    );
    assert_eq!(names(&place, "long"), ["exhaust.journal"]);
    // A report of what there is.
    assert!(place.ok(&["report", "long"]).contains("; the run is not at its end"));
    // Another run does not go on from there.
    place.refused(
        &["exhaust", "--kernel", "online", "--op", "softmax", "--dtype", "f32", "--out", "long"],
        2,
        &["long/exhaust.journal: this journal is of another run (kernel shifted, not online)", "choose another folder"],
    );
}

const CRASHES: &str = "
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
static float wide(uint16_t bits) { uint32_t word = (uint32_t)bits << 16; float x; memcpy(&x, &word, 4); return x; }
static uint16_t narrow(float x) {
    uint32_t word;
    memcpy(&word, &x, 4);
    if (isnan(x)) return 0x7fc0;
    return (uint16_t)((word + 0x7fff + (word >> 16 & 1)) >> 16);
}
void log1mexp_bf16(const uint16_t *x, size_t n, uint16_t *out) {
    for (size_t i = 0; i < n; i++) {
        if (x[i] == 0xbfc0) abort(); /* -1.5 */
        float z = wide(x[i]);
        out[i] = narrow(z > -0.6931472f ? logf(-expm1f(z)) : log1pf(-expf(z)));
    }
}
";

/// A crash is blamed on the very element, among the thousand that its case has.
#[test]
fn a_kernel_from_outside() {
    let place = Place::new();
    place.write("crashes.c", CRASHES);
    let made = place.shell("${CC:-cc} -O2 -shared -fPIC -o libcrashes.so crashes.c -lm");
    assert_eq!(made.code, Some(0), "{made:?}");
    let ran =
        place.run(&["exhaust", "--kernel", "c:./libcrashes.so", "--op", "log1mexp", "--dtype", "bf16", "--out", "c"]);
    assert_eq!((ran.code, ran.err.as_str()), (Some(1), ""), "{ran:?}");
    assert!(ran.out.contains(" fails on 1 of the 65,283 inputs of log1mexp in bf16, in 1 interval"), "{ran:?}");
    assert!(ran.out.contains("\n  crash  1  [x], x = -1.5\n"), "{ran:?}");
    assert_eq!(place.json("c/certificate.json")["verdicts"]["pass"], 65_282);
}

#[test]
fn wrong_usage_is_one_line() {
    let place = Place::new();
    place.write("file", "");
    let exhaust =
        |words: &str| -> Vec<String> { ["exhaust"].into_iter().chain(words.split(' ')).map(str::to_owned).collect() };
    for (words, code, parts) in [
        ("--op softmax --dtype f16", 2, &["no kernel is named", "--kernel"][..]),
        ("--kernel shifted --dtype f16", 2, &["--op"]),
        ("--kernel nope --op softmax --dtype f16", 2, &["unknown kernel `nope`"]),
        ("--kernel * --op softmax --dtype f16", 2, &["a certificate is of one kernel", "naive"]),
        ("--kernel branched --op softmax --dtype f16", 4, &["branched does not implement softmax in f16"]),
        ("--kernel shifted --op softmax --dtype f64", 2, &["f64 has 2^64 values", "choose f16, bf16 or f32"]),
        ("--kernel shifted --op softmax --dtype f32 --domain pairs", 2, &["pairs of f32 are 2^64 rows", "choose gaps"]),
        (
            "--kernel shifted --op softmax --dtype f16 --domain elements",
            2,
            &["softmax makes each output from a whole row"],
        ),
        ("--kernel branched --op log1mexp --dtype f16 --domain gaps", 2, &["log1mexp is elementwise; choose elements"]),
        ("--kernel shifted --op softmax_vjp --dtype f16", 2, &["softmax_vjp takes a cotangent", "too many"]),
        ("--kernel branched --op bce_with_logits --dtype f16", 2, &["bce_with_logits takes a label", "too many"]),
        ("--kernel branched --op logaddexp --dtype f16", 2, &["logaddexp takes other logits", "too many"]),
        ("--kernel shifted --op softmax --dtype f16 --domain odd", 2, &["odd", "elements, pairs, gaps"]),
        ("--kernel shifted --op softmax --dtype f16 --shard 3/2", 2, &["3/2", "K/N"]),
        ("--kernel branched --op log1mexp --dtype f16 --shard 70/80", 4, &["only 63 pieces", "choose fewer shards"]),
        ("--kernel branched --op log1mexp --dtype f16 --claims exp=1e9", 2, &["exp=1e9", "at most"]),
        ("--kernel branched --op log1mexp --dtype f16 --out file", 3, &["it is a file"]),
        ("--kernel branched --op log1mexp --dtype f16 --jobs many", 2, &["many", "whole number"]),
    ] {
        let args = exhaust(words);
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        place.refused(&args, code, parts);
    }
    // Nothing was made but the file that was there.
    assert_eq!(names(&place, "."), ["file"]);
    place.ok(&["run", "--kernel", "shifted", "--op", "softmax", "--dtype", "f16", "--cases", "1", "--out", "report"]);
    place.refused(
        &["exhaust", "--kernel", "branched", "--op", "log1mexp", "--dtype", "f16", "--out", "report"],
        2,
        &["report has the report of a campaign"],
    );
    place.write("report/exhaust.journal", "not a journal\n");
    assert!(place.ok(&["report", "report"]).starts_with("# logitfuzz report"));
    std::fs::create_dir(place.path("odd")).expect("a folder");
    place.write("odd/exhaust.journal", "not a journal\nat all\n");
    place.refused(&["report", "odd"], 2, &["odd/exhaust.journal: line 1 is damaged"]);
    std::fs::remove_file(place.path("odd/exhaust.journal")).expect("a file");
    place.write("odd/certificate.json", "{}");
    place.refused(&["report", "odd"], 2, &["odd/certificate.json: no `schema`"]);
}
