//! Judging outputs that are there already: no kernel is run.

use crate::case::Case;
use crate::encoding::{bytes, values};
use crate::fault::{fault, usage};
use logitfuzz::Dtype;
use logitfuzz::dtype::text;
use logitfuzz::kernel::{Claims, Outcome};
use logitfuzz::oracle::Oracle;
use logitfuzz::trial::Trial;
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyDict};
use rayon::prelude::*;

/// Significant decimal digits of exact values.
const DIGITS: usize = 30;

/// Claims from the text that `--claims` takes, with `tight` where asked for.
pub fn claims(text: &str, is_strict: bool) -> PyResult<Claims> {
    let mut claims = Claims::default();
    claims.set(text).map_err(|error| fault(&error))?;
    claims.tight |= is_strict;
    Ok(claims)
}

/// What is said of each output of all rows, one after the other.
#[derive(Default)]
struct Each {
    verdicts: Vec<u8>,
    ulps: Vec<f64>,
    bounds: Vec<f64>,
    ratios: Vec<f64>,
}

/// What is said of each case, and where it is asked for of each output.
type Said<'py> = (Vec<Bound<'py, PyDict>>, Option<[Bound<'py, PyByteArray>; 4]>);

/// Judges one answer a case. `outputs` are those of all cases, one after the other, as bytes of the output format.
///
/// Returns (rows, outputs): for each case a dict with `verdict`, `grade`, `max_ulp`, `max_ratio`, `relation`, and of its worst output `index`, `got`,
/// `ulps`, `bound`, `ratio`; and with `details`, for all outputs, the verdict's number as u8, and signed ulps (NaN where there is no finite
/// error), bound in ulps and ratio as f64. Else that is None.
#[pyfunction]
pub fn judge<'py>(
    py: Python<'py>,
    cases: Vec<PyRef<'py, Case>>,
    outputs: &[u8],
    claims: &str,
    is_strict: bool,
    details: bool,
) -> PyResult<Said<'py>> {
    let claims = self::claims(claims, is_strict)?;
    let cases: Vec<&logitfuzz::Case> = cases.iter().map(|case| &case.0).collect();
    let mut rest = outputs;
    let mut answers = Vec::new();
    for case in &cases {
        claims.check(case.dtype()).map_err(|error| fault(&error))?;
        let format = case.dtype().output();
        let size = case.op().outputs(case.logits().len()) * format.bytes();
        let Some((mine, after)) = rest.split_at_checked(size) else {
            return Err(usage(format!("{} bytes of outputs are fewer than are due", outputs.len())));
        };
        answers.push(values(format, mine));
        rest = after;
    }
    if !rest.is_empty() {
        return Err(usage(format!("{} bytes of outputs are more than are due", outputs.len())));
    }
    let judge = |oracle: &mut Oracle, (case, answer): (&&logitfuzz::Case, Vec<f64>)| {
        let mut trial = Trial::new(case);
        let each = details.then(|| trial.judge_outputs(oracle, &claims, &answer));
        let judgement = trial.judge_alone(oracle, &claims, &Outcome::Outputs(answer));
        (judgement, each)
    };
    let judged: Vec<_> = py.detach(|| cases.par_iter().zip(answers).map_init(Oracle::new, judge).collect::<Vec<_>>());
    let mut rows = Vec::new();
    let mut all = Each::default();
    for (case, (judgement, each)) in cases.iter().zip(judged) {
        let row = PyDict::new(py);
        row.set_item("verdict", judgement.verdict.name())?;
        row.set_item("grade", judgement.grade.map(|grade| grade.name()))?;
        row.set_item("max_ulp", judgement.max_ulp)?;
        row.set_item("max_ratio", judgement.max_ratio)?;
        row.set_item("relation", judgement.relation.map(|relation| relation.to_string()))?;
        if let Some(worst) = &judgement.worst {
            row.set_item("index", worst.index)?;
            row.set_item("got", worst.got)?;
            row.set_item("got_decimal", text::decimal(worst.got, case.dtype().output()))?;
            row.set_item("got_hex", text::hex(worst.got))?;
            row.set_item("ulps", worst.judged.ulps)?;
            row.set_item("bound", worst.judged.bound_ulps)?;
            row.set_item("ratio", worst.judged.ratio)?;
        }
        rows.push(row);
        for output in each.into_iter().flatten() {
            all.verdicts.push(output.verdict as u8);
            all.ulps.push(output.ulps.unwrap_or(f64::NAN));
            all.bounds.push(output.bound_ulps);
            all.ratios.push(output.ratio);
        }
    }
    let array = |values: &[f64]| PyByteArray::new(py, &bytes(Dtype::F64, values));
    let arrays = details
        .then(|| [PyByteArray::new(py, &all.verdicts), array(&all.ulps), array(&all.bounds), array(&all.ratios)]);
    Ok((rows, arrays))
}

/// The exact value of one output in 30 digits, its rounding as a short decimal and as a hex float.
#[pyfunction]
pub fn exact(py: Python<'_>, case: &Case, index: usize, claims: &str) -> PyResult<(String, String, String)> {
    let claims = self::claims(claims, false)?;
    let found = py.detach(|| Oracle::new().describe_output(&case.0, claims.special, DIGITS, index));
    let found = found.ok_or_else(|| usage(format!("the case has no output {index}")))?;
    Ok((found.digits, text::decimal(found.rounded, case.0.dtype().output()), text::hex(found.rounded)))
}
