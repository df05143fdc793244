//! `eval`: one input, in words and as JSON.

use crate::support::place::Place;
use logitfuzz::Dtype;
use logitfuzz::op::Op;
use serde_json::Value;

/// What JSON says of output `index`.
fn output(place: &Place, args: &[&str], index: usize) -> Value {
    let mut all = vec!["eval", "--format", "json"];
    all.extend(args);
    let text = place.ok(&all);
    let json: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    json["outputs"][index].clone()
}

/// The flags that an op needs beside two logits.
fn flags(op: Op) -> &'static [&'static str] {
    match op.others().first().map(|input| input.name) {
        None => &[],
        Some("target") if op.is_scalar() => &["--target", "1"],
        Some("target") => &["--target", "1", "--label-smoothing", "0.1"],
        Some("cotangent") => &["--cotangent", "1,-2"],
        Some("label") => &["--label", "0.25,1"],
        Some("other_logits") => &["--other-logits", "-3,-5"],
        Some("values") => &["--values", "2,-0.25"],
        Some("target_logits") => &["--target-logits", "0.5,1"],
        Some("tangent") => &["--tangent", "-1 0x1p-2"],
        Some("scale") => &["--scale", "-0.5"],
        Some("targets") => &["--targets", "1"],
        Some("distribution") => &["--distribution", "0x1p-2,0.75"],
        Some(other) => panic!("{op}: what is its {other}?"),
    }
}

#[test]
fn every_op_in_every_dtype_in_words_and_as_json() {
    let place = Place::new();
    for &op in Op::ALL {
        let outputs = op.outputs(2);
        for dtype in Dtype::ALL {
            let mut args = vec!["eval", "--op", op.name(), "--dtype", dtype.name()];
            args.extend(flags(op));
            let (kernel, first) = if op.is_elementwise() { ("branched", "-2") } else { ("shifted", "3") };
            args.extend(["--kernel", kernel, "--", first, "-0x1.8p+1"]);
            let text = place.ok(&args);
            assert!(text.starts_with(&format!("{op} {dtype} [{first}, -3]")), "{text}");
            assert_eq!(text.matches("exact ").count(), outputs, "{text}");
            assert!(
                text.contains(&format!("  {kernel} ")) && text.contains(" pass (") && !text.contains('\u{1b}'),
                "{text}"
            );

            args.splice(1..1, ["--format", "json"]);
            let json: Value = serde_json::from_str(&place.ok(&args)).expect("JSON");
            let list = json["outputs"].as_array().expect("outputs");
            assert_eq!(list.len(), outputs);
            for (index, output) in list.iter().enumerate() {
                assert_eq!(output["index"], index);
                let exact = output["exact"].as_str().expect("exact");
                let digits = exact.split('e').next().unwrap_or("").chars().filter(char::is_ascii_digit).count();
                assert_eq!(digits, 30, "{exact}");
                assert!(output["rounded"].as_str().is_some_and(|hex| hex.contains("0x")), "{output}");
                assert!(output["bound"].as_f64().is_some_and(|bound| bound > 0.0), "{output}");
                let kernels = output["kernels"].as_object().expect("kernels");
                assert_eq!(kernels.keys().collect::<Vec<_>>(), [kernel]);
                let judged = &kernels[kernel];
                assert!(judged["got"].as_str().is_some_and(|hex| hex.contains("0x")), "{judged}");
                assert!(judged["ulp"].as_f64().is_some_and(|ulp| ulp >= 0.0), "{judged}");
                assert!(judged["ratio"].as_f64().is_some_and(|ratio| (0.0..=1.0).contains(&ratio)), "{judged}");
                assert_eq!(judged["verdict"], "pass");
                assert!(["tight", "textbook"].contains(&judged["grade"].as_str().unwrap_or("")), "{judged}");
            }
        }
    }
}

#[test]
fn the_classic_failures_one_line_each() {
    let place = Place::new();
    // The naive softmax of [1000, 0] divides inf by inf.
    let found = output(&place, &["--op", "softmax", "--", "1000", "0", "-inf"], 0);
    assert_eq!(found["exact"], "1.00000000000000000000000000000e0");
    assert_eq!(
        (&found["kernels"]["naive"]["got"], &found["kernels"]["naive"]["verdict"]),
        (&"nan".into(), &"nan".into())
    );
    assert_eq!(found["kernels"]["naive"]["ratio"], "inf");
    assert_eq!(found["kernels"]["naive"]["grade"], Value::Null);
    assert_eq!(found["kernels"]["shifted"]["verdict"], "pass");
    // log(softmax) is the logarithm of an underflowed 0.
    let found = output(&place, &["--op", "log_softmax", "--", "0", "-200"], 1);
    assert_eq!(found["kernels"]["unfused"]["got"], "-inf");
    assert_eq!(found["kernels"]["unfused"]["verdict"], "inf");
    assert_eq!(found["kernels"]["shifted"]["got"], "-0x1.9p+7");
    // So is the loss from probabilities.
    let found = output(&place, &["--op", "cross_entropy", "--target", "1", "--", "0", "-200"], 0);
    assert_eq!(found["kernels"]["unfused"]["got"], "inf");
    assert_eq!(found["kernels"]["unfused"]["verdict"], "inf");
    assert_eq!(found["kernels"]["shifted"]["got"], "0x1.9p+7");
    // The gradient of a near one-hot row vanishes where 1 - p is formed from a rounded p.
    let found = output(&place, &["--op", "cross_entropy_grad", "--target", "0", "--", "20", "0"], 0);
    assert_eq!(found["exact"], "-2.06115361819020358143086212947e-9");
    assert_eq!(found["kernels"]["shifted"]["got"], "0x0p+0");
    assert_eq!(found["kernels"]["log1p"]["got"], found["rounded"]);
    // The loss of a confident wrong row is enormous, and finite.
    let args = ["--op", "cross_entropy", "--target", "1", "--dtype", "f16", "--", "30000", "-30000"];
    let found = output(&place, &args, 0);
    assert_eq!(found["exact"], "6.00000000000000000000000000000e4");
    assert_eq!(found["kernels"]["naive"]["verdict"], "inf");
    assert_eq!(found["kernels"]["shifted"]["got"], found["rounded"]);
    assert_eq!(found["kernels"]["shifted"]["verdict"], "pass");
}

#[test]
fn numbers_in_every_form() {
    let place = Place::new();
    let text = place
        .ok(&["eval", "--op", "softmax", "--kernel", "log1p", "--", "1e-3", "0x1.8p+3", "0X.8P1", "+2", "-0", "5*3"]);
    assert!(text.starts_with("softmax f32 [0.001, 12, 1, 2, -0, 5*3]\n"), "{text}");
    for (logits, exact) in [
        (["nan", "1"], "nan"),
        // The limit is shown; NaN is accepted there, as the frameworks return it.
        (["inf", "-inf"], "1.00000000000000000000000000000e0"),
        (["-inf", "-inf"], "nan"),
        (["0", "-inf"], "1.00000000000000000000000000000e0"),
    ] {
        let found = output(&place, &["--op", "softmax", "--", logits[0], logits[1]], 0);
        assert_eq!(found["exact"], exact, "{logits:?}");
        assert_eq!(found["kernels"]["shifted"]["verdict"], "pass", "{logits:?}");
    }
    // A list in commas and one in several words are the same.
    let once = place.ok(&["eval", "--op", "logsumexp", "--", "1,2", "3"]);
    assert_eq!(once, place.ok(&["eval", "--op", "logsumexp", "--", "1", "2", "3"]));
    // No logits at all.
    assert_eq!(output(&place, &["--op", "logsumexp", "--"], 0)["exact"], "-inf");
    assert!(place.ok(&["eval", "--op", "softmax", "--"]).contains("no outputs"));
}

#[test]
fn policy_decides_what_is_forgiven() {
    let place = Place::new();
    let args = ["--op", "softmax", "--kernel", "shifted", "--", "inf", "0"];
    let strict: Vec<&str> = ["--special", "limit"].into_iter().chain(args).collect();
    assert_eq!(output(&place, &args, 0)["kernels"]["shifted"]["verdict"], "pass");
    assert_ne!(output(&place, &strict, 0)["kernels"]["shifted"]["verdict"], "pass");
    let args = ["--op", "softmax", "--kernel", "shifted", "--", "3", "1"];
    let loose: Vec<&str> = ["--claims", "exp=100"].into_iter().chain(args).collect();
    let bound = |args: &[&str]| output(&place, args, 0)["bound"].as_f64().expect("a bound");
    assert!(bound(&loose) > bound(&args));
}

#[test]
fn a_kernel_that_panics_is_a_result() {
    let place = Place::new();
    let text = place.ok(&["eval", "--op", "softmax", "--kernel", "defect/empty-panics", "--"]);
    assert!(text.contains("defect/empty-panics: panic: "), "{text}");
    let json = place.ok(&["eval", "--op", "logsumexp", "--format", "json", "--kernel", "defect/empty-panics", "--"]);
    assert!(serde_json::from_str::<Value>(&json).is_ok(), "{json}");
}
