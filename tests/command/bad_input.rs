//! Bad input of every kind: one line, the right exit code, and an older report is left as it was.

use crate::support::npy::{npy, npy_f32};
use crate::support::place::Place;

const USAGE: i32 = 2;
const HARNESS: i32 = 3;
const NOTHING_SELECTED: i32 = 4;

/// A place with a report in `report`, and its files.
fn with_report() -> (Place, Vec<(String, Vec<u8>)>) {
    let place = Place::new();
    place.ok(&[
        "run",
        "--kernel",
        "naive",
        "--op",
        "softmax",
        "--dtype",
        "f32",
        "--family",
        "offset",
        "--cases",
        "2",
        "--max-len",
        "16",
        "--out",
        "report",
    ]);
    let files = place.contents("report");
    assert_eq!(files.len(), 6);
    (place, files)
}

#[test]
fn unknown_words() {
    let place = Place::new();
    for (args, parts) in [
        (&[][..], &["subcommand", "run", "eval"][..]),
        (&["frob"], &["frob"]),
        (&["runn"], &["runn", "run"]),
        (&["run", "--frob"], &["--frob"]),
        (&["run", "extra"], &["extra"]),
        (&["run", "--kernel", "nope"], &["unknown kernel `nope`", "shifted", "logitfuzz list kernels"]),
        (&["run", "--kernel", ""], &["unknown kernel"]),
        (&["run", "--op", "softmin"], &["unknown op `softmin`", "log_softmax"]),
        (&["run", "--dtype", "f8"], &["unknown dtype `f8`", "bf16"]),
        (&["run", "--family", "nope"], &["unknown family `nope`", "ordinary"]),
        (&["run", "--family", "nope*"], &["unknown family `nope*`"]),
        (&["run", "--family", "very_l*"], &["slow", "--family very_long"]),
        (&["run", "--family", "file"], &["--logits"]),
        (&["run", "--special", "odd"], &["odd", "framework", "limit"]),
        (&["run", "--format", "xml"], &["xml", "human", "json"]),
        (&["run", "--claims", "nonsense"], &["nonsense", "flush_to_zero"]),
        (&["run", "--claims", "exp=much"], &["exp=much"]),
        (&["list", "nope"], &["nope", "families"]),
        (&["list"], &["<WHAT>"]),
        (&["report", "--format", "pdf"], &["pdf", "html"]),
        (&["replay"], &["<CASE|FILE>"]),
        (&["eval", "--", "1"], &["--op <OP>"]),
    ] {
        place.refused(args, USAGE, parts);
    }
    assert!(place.contents(".").is_empty(), "something was written");
}

#[test]
fn numbers_and_names_that_do_not_fit() {
    let place = Place::new();
    for (args, code, parts) in [
        (&["run", "--cases"][..], USAGE, &["--cases <N>"][..]),
        (&["run", "--cases", "many"], USAGE, &["many", "--cases", "whole number"]),
        (&["run", "--cases", "-1"], USAGE, &["-1", "--cases", "whole number"]),
        (&["run", "--seed", "99999999999999999999999"], USAGE, &["--seed", "whole number"]),
        (&["run", "--max-len", "1.5"], USAGE, &["--max-len", "whole number"]),
        (&["run", "--cases", "0"], NOTHING_SELECTED, &["--cases is 0"]),
        (&["run", "--max-len", "0"], USAGE, &["--max-len 0", "1 or more"]),
        (&["run", "--kernel", "all=*"], USAGE, &["`all=*`", "one name"]),
        (&["run", "--kernel", "=naive"], USAGE, &["NAME=naive"]),
        (&["run", "--kernel", "two\nlines=naive"], USAGE, &["NAME=naive"]),
        (&["run", "--kernel", "a=naive", "--kernel", "a=shifted"], USAGE, &["`a`", "naive", "shifted"]),
        (&["run", "--kernel", "naive=shifted", "--kernel", "naive"], USAGE, &["`naive`", "shifted"]),
    ] {
        place.refused(args, code, parts);
    }
    assert!(place.contents(".").is_empty(), "something was written");
}

#[test]
fn cases_that_are_none() {
    let place = Place::new();
    let eval = |args: &[&str], parts: &[&str]| {
        let all: Vec<&str> = ["eval"].iter().chain(args).copied().collect();
        place.refused(&all, USAGE, parts);
    };
    eval(&["--op", "softmax", "--", "1", "x"], &["`x` is not a number", "hex float"]);
    eval(&["--op", "softmax", "--", "1*0"], &["count of a run"]);
    eval(&["--op", "softmax", "1", "-inf"], &["--"]);
    eval(&["--op", "softmax", "--target", "0", "--", "1"], &["does not take --target"]);
    eval(&["--op", "softmax", "--label-smoothing", "0", "--", "1"], &["does not take --label-smoothing"]);
    eval(&["--op", "softmax", "--cotangent", "1", "--", "1"], &["does not take --cotangent"]);
    eval(&["--op", "softmax", "--tangent", "1", "--", "1"], &["does not take --tangent"]);
    eval(&["--op", "softmax_jvp", "--cotangent", "1", "--", "1"], &["does not take --cotangent"]);
    eval(&["--op", "softmax_vjp", "--", "1"], &["needs --cotangent"]);
    eval(&["--op", "log_softmax_jvp", "--", "1"], &["needs --tangent"]);
    eval(
        &["--op", "softmax_vjp", "--cotangent", "1,2", "--", "1"],
        &["the cotangent must have one value for each logit: 2 for 1"],
    );
    eval(&["--op", "softmax_vjp", "--cotangent", "nan", "--", "1"], &["no finite"]);
    eval(&["--op", "bce_with_logits", "--", "1"], &["needs --label", "in [0, 1]"]);
    eval(
        &["--op", "bce_with_logits", "--label", "1,0", "--", "1"],
        &["the label must have one value for each logit: 2 for 1"],
    );
    for label in ["1.5", "-0.25", "nan", "inf"] {
        let text = format!("value 0 of the label is {}, which is no f32 value in [0, 1]", label.replace("nan", "NaN"));
        eval(&["--op", "bce_with_logits_grad", "--label", label, "--", "1"], &[&text]);
    }
    eval(&["--op", "cross_entropy", "--", "1"], &["needs --target"]);
    eval(&["--op", "cross_entropy", "--target", "nan", "--", "1"], &["nan", "whole number"]);
    eval(&["--op", "cross_entropy", "--target", "-1", "--", "1"], &["-1", "whole number"]);
    eval(&["--op", "cross_entropy", "--target", "2", "--", "1", "2"], &["target 2", "2 logits", "from 0"]);
    eval(&["--op", "cross_entropy", "--target", "0", "--"], &["0 logits"]);
    for smoothing in ["1.5", "-0.25", "nan", "inf"] {
        eval(&["--op", "cross_entropy", "--target", "0", "--label-smoothing", smoothing, "--", "1"], &["[0, 1]"]);
    }
    let soft = |masses: &str, parts: &[&str]| {
        eval(&["--op", "soft_cross_entropy", "--distribution", masses, "--", "1", "2"], parts);
    };
    soft("0.5", &["the distribution must have one value for each logit: 1 for 2"]);
    soft("0.5,0.25", &["sum to less than 1", "exactly"]);
    soft("1,1", &["sum to more than 1"]);
    soft("-1,2", &["mass 0", "[0, 1]"]);
    soft("nan,1", &["mass 0", "NaN"]);
    eval(&["--op", "soft_cross_entropy_grad", "--", "1"], &["needs --distribution"]);
    eval(&["--op", "scaled_softmax", "--", "1"], &["needs --scale"]);
    eval(&["--op", "scaled_softmax", "--scale", "inf", "--", "1"], &["scale inf", "no finite"]);
    eval(&["--op", "soft_cross_entropy", "--target", "0", "--", "1"], &["does not take --target"]);
    for (case, part) in [
        ("softmax f32 [1, 2", "a case reads"),
        ("soft_cross_entropy f32 [1, 2] distribution=[0.1, 0.1]", "sum to less than 1"),
        ("softmin f32 [1]", "unknown op"),
        ("cross_entropy f32 [1] target=nan", "is no class"),
        ("nowhere.txt", "neither a file nor a case"),
        ("missing.json", "neither a file nor a case"),
    ] {
        place.refused(&["replay", case], USAGE, &[part]);
        place.refused(&["shrink", case], USAGE, &[part]);
    }
    place.refused(&["replay", "softmax f32 [1]", "--finding", "0"], USAGE, &["--finding"]);
    place.refused(&["shrink", "--kernel", "shifted", "softmax f32 [1, 2]"], USAGE, &["does not fail on shifted"]);
    place.write("case.txt", "softmax f32 [1, oops]\n");
    place.refused(&["replay", "case.txt"], USAGE, &["case.txt", "`oops`"]);
}

#[test]
fn files_of_logits_that_cannot_be_used() {
    let (place, before) = with_report();
    let good = npy_f32(&[&[1.0, 2.0], &[3.0, 4.0]]);
    place.write("good.npy", &good);
    place.write("short.npy", &good[..good.len() - 3]);
    place.write("header.npy", &good[..20]);
    place.write("long.npy", [&good[..], b"more"].concat());
    place.write("text.npy", "1,2\n3,4\n");
    place.write("empty.npy", "");
    place.write("int.npy", npy("<i4", "(1, 2)", &[0; 8]));
    place.write("cube.npy", npy("<f4", "(1, 1, 2)", &[0; 8]));
    place.write("none.npy", npy("<f4", "(0, 2)", &[]));
    place.write("word.csv", "1,2\n3,four\n");
    place.write("empty.csv", "");
    place.write("rows.txt", "1,2\n");
    place.write("three.csv", "0\n1\n0\n");
    place.write("outside.csv", "0\n2\n");
    place.write("minus.csv", "0\n-1\n");
    place.write("half.csv", "0\n0.5\n");
    place.write("float.npy", npy("<f4", "(2,)", &[0; 8]));
    std::fs::create_dir(place.path("folder.npy")).expect("a folder");
    for name in [
        "absent.npy",
        "absent.csv",
        "folder.npy",
        "short.npy",
        "header.npy",
        "long.npy",
        "text.npy",
        "empty.npy",
        "int.npy",
        "cube.npy",
        "none.npy",
        "word.csv",
        "empty.csv",
    ] {
        place.refused(&["run", "--out", "report", "--logits", name], USAGE, &[name]);
    }
    for name in ["absent.npy", "three.csv", "outside.csv", "minus.csv", "half.csv", "float.npy", "short.npy"] {
        place.refused(&["run", "--out", "report", "--logits", "good.npy", "--targets", name], USAGE, &[name]);
    }
    place.refused(&["run", "--targets", "three.csv"], USAGE, &["--logits"]);
    assert!(place.contents("report") == before, "the older report was changed");
}

#[test]
fn results_that_cannot_be_read() {
    let (place, before) = with_report();
    let good = place.read("report/results.json");
    place.write("newer.json", good.replacen("results/1", "results/2", 1));
    place.write("other.json", "{\"schema\": \"something/1\"}");
    place.write("cut.json", &good[..good.len() / 2]);
    place.write("text.json", "these are no results");
    place.write("list.json", "[1, 2]");
    place.write("edited.json", good.replacen("\"replay\":\"logitfuzz replay", "\"replay\":\"rm", 1));
    for (name, part) in [
        ("newer.json", "newer"),
        ("other.json", "something/1"),
        ("cut.json", "cut short"),
        ("text.json", "not JSON"),
        ("list.json", "no logitfuzz results"),
    ] {
        place.refused(&["replay", name], USAGE, &[name, part]);
        place.refused(&["shrink", name], USAGE, &[name, part]);
        place.refused(&["report", name], USAGE, &[name, part]);
        place.refused(&["report", name, "--out", "report"], USAGE, &[name, part]);
    }
    place.refused(&["replay", "edited.json", "--finding", "0"], USAGE, &["edited.json", "finding 0", "replay"]);
    place.refused(&["replay", "report", "--finding", "100000"], USAGE, &["no finding 100000"]);
    place.refused(&["replay", "."], USAGE, &["results.json", "no such file"]);
    place.refused(&["report"], USAGE, &["reports/latest", "no such file"]);
    place.refused(&["report", "nowhere"], USAGE, &["nowhere", "no such file"]);
    assert!(place.contents("report") == before, "the older report was changed");

    place.ok(&["run", "--kernel", "shifted", "--op", "softmax", "--cases", "1", "--max-len", "8", "--out", "sound"]);
    place.refused(&["replay", "sound"], NOTHING_SELECTED, &["no findings"]);
}

#[test]
fn selections_and_policies_that_are_wrong_leave_the_report() {
    let (place, before) = with_report();
    for (flags, code) in [
        (&["--kernel", "nope"][..], USAGE),
        (&["--family", "nope"], USAGE),
        (&["--claims", "nonsense"], USAGE),
        (&["--cases", "0"], NOTHING_SELECTED),
    ] {
        let args: Vec<&str> = ["run", "--out", "report"].iter().chain(flags).copied().collect();
        place.refused(&args, code, &[]);
    }
    assert!(place.contents("report") == before, "the older report was changed");
}

#[test]
fn places_that_cannot_be_written() {
    let (place, _) = with_report();
    place.write("file", "kept");
    std::fs::create_dir_all(place.path("taken/index.html")).expect("a folder");
    for (out, part) in [
        ("file", "it is a file"),
        ("file/below", "file/below"),
        ("file/far/below", "--out"),
        ("taken", "index.html: it is a folder"),
    ] {
        // Known before the work: this one would take hours.
        place.refused(&["run", "--cases", "100000000", "--out", out], HARNESS, &[out, part, "--out"]);
        place.refused(&["report", "report", "--out", out], HARNESS, &[out, part, "--out"]);
    }
    assert_eq!(place.read("file"), "kept");
    assert_eq!(place.contents("taken").len(), 1);
}

#[cfg(unix)]
#[test]
fn a_disk_that_fills_up_leaves_the_older_report() {
    let (place, before) = with_report();
    // The page alone is larger than what a file may hold here: 8 blocks of 512 or 1024 bytes.
    let line = "trap '' XFSZ; ulimit -f 8; logitfuzz run --kernel naive --cases 2 --max-len 32 --out report";
    place.shell(line).is_refused(line, HARNESS, &["cannot write report/", "--out"]);
    assert!(place.contents("report") == before, "the older report was changed, or a temporary file stays");
}
