//! Tests of the readers on samples, and on samples that were changed by somebody who means no good. Nothing may panic.

use super::*;
use crate::case::Case;
use crate::generate::draw::Draw;
use crate::judge::Verdict;
use crate::report::sample;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Inputs that are read in all.
const INPUTS: usize = 36_000;

/// One input in so many is of results, which cost far more than all else.
const RESULTS_SHARE: usize = 6;

/// One input in so many has to be accepted, or what is made of them is hardly tried.
const LEAST_SHARE: usize = 20;

/// Made-up results that are small: two kernels, a planted one among them, and every thing that there is once.
fn small_results() -> Results {
    let mut results = sample::results(1);
    let kernels =
        ["naive".to_owned(), results.settings.kernels.iter().find(|name| name.starts_with("defect/")).unwrap().clone()];
    results.cells.retain(|cell| kernels.contains(&cell.kernel) && cell.dtype == Dtype::F16);
    results.cells.truncate(4);
    let cells: Vec<_> = results.cells.iter().map(|cell| (cell.kernel.clone(), cell.op)).collect();
    results.findings.retain(|finding| finding.len < 10 && cells.contains(&(finding.kernel.clone(), finding.op)));
    results.findings.truncate(2);
    results.curves.retain(|curve| kernels.contains(&curve.kernel));
    results.curves.truncate(1);
    results.curves[0].points.truncate(4);
    results.settings.kernels = kernels.to_vec();
    results.settings.families.truncate(4);
    results.provenance.libraries = BTreeMap::from([("naive".to_owned(), "1.2.3".to_owned())]);
    results
}

/// The same as the only shard of a campaign.
fn shard() -> Value {
    let mut results: Value = serde_json::from_str(&report::json::text(&small_results()).unwrap()).unwrap();
    let point = json!({"ratio": 0.5, "ulp": 1.0, "bound_ulp": "inf"});
    results["shard"] = json!({
        "shard": {"number": 1, "of": 1},
        "failures": [{"shape": {"class": "finite", "level": "within"}, "finding": results["findings"][0].clone()}],
        "curves": [{"kernel": "naive", "op": "softmax", "dtype": "f16", "points": {"-1075": point.clone(), "3": point}}],
    });
    results
}

/// The bytes of a `.npy` file.
fn npy(kind: &str, shape: &str, data: &[u8]) -> Vec<u8> {
    let header = format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}");
    let header = format!("{header:<117}\n");
    [&b"\x93NUMPY\x01\x00"[..], &(header.len() as u16).to_le_bytes(), header.as_bytes(), data].concat()
}

/// An answer to the batch: outputs, an error, outputs, an empty answer.
fn binary_answer() -> Vec<u8> {
    let mut bytes = 4u32.to_le_bytes().to_vec();
    let mut row =
        |code: u32, length: u32, data: &[u8]| bytes.extend([&code.to_le_bytes(), &length.to_le_bytes(), data].concat());
    row(0, 2, &[0; 8]);
    row(1, 5, b"error");
    row(0, 1, &[0, 0x3c]);
    row(0, 0, &[]);
    bytes
}

/// For each reader inputs that it accepts, by the names of the seeds.
pub(in crate::fuzz) fn samples() -> BTreeMap<&'static str, Vec<u8>> {
    let hello = json!({"logitfuzz_worker": 1, "frames": "binary", "kernels": [
        {"name": "mine", "version": "1.2", "deterministic": false, "functions": [
            {"op": "softmax", "dtype": "f32", "claims": "exp=2,sum=pairwise", "min_len": 1, "max_len": 100, "label_smoothing": false},
            {"op": "logsumexp", "dtype": "f64"}]},
        {"name": "other", "functions": []}]});
    let answer = json!({"rows": [{"outputs": ["0x1p+0", 0.5]}, {"error": "no", "code": 2}, {"error": "no"}, {"outputs": ["nan", "-inf"]}]});
    let results = small_results();
    let all: [(&str, Reader, Vec<u8>); 13] = [
        ("results", Reader::Results, report::json::text(&results).unwrap().into()),
        ("shard", Reader::Results, shard().to_string().into()),
        ("baseline", Reader::Baseline, Baseline::of(&results).text().unwrap().into()),
        ("baseline_spelled", Reader::Baseline, include_bytes!("../../baseline/spelled.json").into()),
        ("npy", Reader::Npy, npy("<f4", "(3, 2)", &[1; 24])),
        ("npy_f2", Reader::Npy, npy(">f2", "(4,)", &[0x3c; 8])),
        ("csv", Reader::Csv, "\u{feff}a,b\n1,-inf\n0x1p+3,nan\n1.0004882812500000000000000000001\n".into()),
        ("targets_npy", Reader::TargetsNpy, npy("<i2", "(3,)", &[1, 0, 0, 0, 1, 0])),
        ("targets_text", Reader::TargetsText, "class\n0\n1\n1\n".into()),
        ("hello", Reader::Hello, hello.to_string().into()),
        ("binary_answer", Reader::BinaryAnswer, binary_answer()),
        ("json_answer", Reader::JsonAnswer, answer.to_string().into()),
        ("case", Reader::Case, "cross_entropy f32 [0x1p+3, -inf, 0*30] target=0 label_smoothing=0.5".into()),
    ];
    let number = |reader| Reader::ALL.iter().position(|known| *known == reader).unwrap() as u8;
    all.into_iter().map(|(name, reader, bytes)| (name, [&[number(reader)], &bytes[..]].concat())).collect()
}

/// A value that nobody who means well writes in the place of this one, mostly of the same kind.
fn hostile(old: &Value, draw: &mut Draw) -> Value {
    const TEXTS: [&str; 12] = [
        "",
        "\n::error::x",
        "\u{1b}[31m",
        "\u{202e}",
        "\u{fffe}",
        "##[error]",
        "defect/x",
        "a=b",
        "nan",
        "inf",
        "f8",
        "<b>",
    ];
    let numbers =
        [json!(0), json!(u64::MAX), json!(1u64 << 62), json!(1e308), json!(5e-324), json!(1u64 << 32), json!(-1)];
    let text = |draw: &mut Draw| match draw.index(6) {
        0 => json!("A".repeat(300)),
        1 => json!("`|".repeat(2_500)),
        _ => json!(TEXTS[draw.index(TEXTS.len())]),
    };
    match old {
        Value::Number(_) if !draw.chance(6) => numbers[draw.index(numbers.len())].clone(),
        Value::String(_) if !draw.chance(6) => text(draw),
        Value::Bool(was) if !draw.chance(3) => json!(!was),
        _ => match draw.index(5) {
            0 => numbers[draw.index(numbers.len())].clone(),
            1 => Value::Null,
            2 => json!([]),
            3 => json!({}),
            _ => text(draw),
        },
    }
}

/// Every value inside a value, itself first.
fn places(value: &Value, path: String, all: &mut Vec<String>) {
    let step = |key: &str| format!("{path}/{}", key.replace('~', "~0").replace('/', "~1"));
    match value {
        Value::Array(items) => items.iter().enumerate().for_each(|(i, item)| places(item, step(&i.to_string()), all)),
        Value::Object(items) => items.iter().for_each(|(key, item)| places(item, step(key), all)),
        _ => {}
    }
    all.push(path);
}

/// A few values replaced by hostile ones or by others of the same document, or left out.
fn change_values(value: &mut Value, draw: &mut Draw) {
    for _ in 0..=draw.index(2) {
        let mut all = Vec::new();
        places(value, String::new(), &mut all);
        let (to, from) = (&all[draw.index(all.len())], &all[draw.index(all.len())]);
        let new = if draw.chance(5) {
            value.pointer(from).cloned().unwrap_or_default()
        } else {
            hostile(value.pointer(to).unwrap_or(&Value::Null), draw)
        };
        let parent = to.rsplit_once('/').and_then(|(parent, key)| Some((value.pointer_mut(parent)?, key)));
        match parent {
            Some((Value::Object(items), key)) if draw.chance(8) => drop(items.remove(key)),
            Some((Value::Object(items), _)) if draw.chance(16) => drop(items.insert("extra\u{7}".into(), new)),
            Some((Value::Array(items), _)) if draw.chance(4) => items.extend(vec![new; 70]),
            _ => drop(value.pointer_mut(to).map(|place| *place = new)),
        }
    }
}

/// Bytes turned, left out, cut, repeated, or taken from elsewhere.
fn change_bytes(bytes: &mut Vec<u8>, other: &[u8], draw: &mut Draw) {
    for _ in 0..=draw.index(2) {
        let (at, until) = (draw.index(bytes.len() + 1), draw.index(bytes.len() + 1));
        let (at, until) = (at.min(until), at.max(until).min(at + 64));
        match draw.index(6) {
            0 => bytes.truncate(at),
            1 => drop(bytes.drain(at..until)),
            2 => bytes.extend_from_within(at..until),
            3 => {
                let from = draw.index(other.len() + 1);
                drop(bytes.splice(at..until, other[from..].iter().take(64).copied()));
            }
            4 => bytes[at..until].iter_mut().take(8).for_each(|byte| *byte = draw.below(256) as u8),
            _ => bytes[at..until].iter_mut().take(1).for_each(|byte| *byte ^= 1 << draw.index(8)),
        }
    }
}

/// A sample that was changed, the reader that it is for included now and then.
fn changed(sample: &[u8], other: &[u8], draw: &mut Draw) -> Vec<u8> {
    let Some((&first, body)) = sample.split_first() else { return Vec::new() };
    let mut body = body.to_vec();
    match serde_json::from_slice::<Value>(&body) {
        Ok(mut value) if !draw.chance(4) => {
            change_values(&mut value, draw);
            body = value.to_string().into_bytes();
        }
        _ => change_bytes(&mut body, other, draw),
    }
    let first = if draw.chance(50) { draw.below(256) as u8 } else { first };
    [&[first], &body[..]].concat()
}

#[test]
fn samples_are_accepted() {
    for (name, bytes) in samples() {
        assert!(outside(&bytes), "{name}: {}", String::from_utf8_lossy(&bytes));
    }
    let read = json::parse(&samples()["shard"][1..]).unwrap();
    assert!(campaign::merge(vec![("shard".into(), read)]).is_ok());
    let finding = &small_results().findings[0];
    assert!(finding.case().is_ok() && Case::parse("softmax f32 [1]").is_ok());
}

#[test]
fn nothing_panics() {
    let samples = samples();
    let (cheap, dear): (Vec<_>, Vec<_>) =
        samples.values().partition(|bytes| Reader::ALL[usize::from(bytes[0])] != Reader::Results);
    let mut draw = Draw::from_seed(20);
    let mut accepted = 0;
    for turn in 0..INPUTS {
        let of = if turn % RESULTS_SHARE == 0 { &dear } else { &cheap };
        let (sample, other) = (of[draw.index(of.len())], cheap[draw.index(cheap.len())]);
        let bytes = changed(sample, other, &mut draw);
        match std::panic::catch_unwind(|| outside(&bytes)) {
            Ok(was_accepted) => accepted += usize::from(was_accepted),
            Err(_) => panic!("input {turn}: {}", String::from_utf8_lossy(&bytes)),
        }
    }
    println!("{accepted} of {INPUTS} inputs accepted");
    assert!(accepted > INPUTS / LEAST_SHARE, "only {accepted} were accepted: what is made of them was hardly tried");
}

/// What a baseline adds up is added up where it is read: its checksums keep nobody from writing any number.
#[test]
fn counts_of_a_baseline_that_do_not_add_up() {
    let mut baseline = Baseline::of(&small_results());
    let entry = baseline.entries.values_mut().next().unwrap();
    entry.verdicts = BTreeMap::from([(Verdict::Nan, u64::MAX), (Verdict::Inf, 1)]);
    let text = baseline.text().unwrap();
    let error = Baseline::parse(text.as_bytes(), Path::new("b.json")).unwrap_err().to_string();
    let line = 1 + text.lines().position(|line| line.contains(&u64::MAX.to_string())).unwrap();
    assert!(error.contains(&format!("b.json: line {line}: its counts do not add up")), "{error}");
}
