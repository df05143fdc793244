//! `logitfuzz eval`: one input, in words. Every kernel's output beside the truth; exits 0 whatever the verdict.

use super::select::{Kernels, Policy};
use super::{Exit, print, render};
use crate::case::{Case, parse_values};
use crate::diagnosis::DIGITS;
use crate::dtype::{Dtype, text};
use crate::error::Error;
use crate::judge::Judgement;
use crate::kernel::{self, Claims, Outcome, accepts};
use crate::op::{Op, Takes};
use crate::oracle::Oracle;
use crate::quiet::quietly;
use crate::trial::Trial;
use clap::ValueEnum;
use serde_json::{Map, Value, json};

#[derive(clap::Args)]
#[command(after_help = "\
Exits 0 whatever the verdicts. Errors and bounds are in ulps of the exact value; a ratio above 1 is worse than the textbook.

Examples:
  logitfuzz eval --op softmax -- 1000 0 -inf
  logitfuzz eval --op log_softmax --dtype f16 --kernel unfused -- 0 -20
  logitfuzz eval --op cross_entropy --target 1 --label-smoothing 0.1 -- 0x1.8p+3 -2.5 0*30
  logitfuzz eval --op softmax_vjp --cotangent 1,0 --kernel 'defect/*' --format json -- 1 2")]
pub(super) struct Eval {
    /// The op: see `logitfuzz list ops`
    #[arg(long, value_name = "OP")]
    op: Op,
    /// The dtype: f16, bf16, f32, f64
    #[arg(long, value_name = "DTYPE", default_value = "f32")]
    dtype: Dtype,
    #[command(flatten)]
    kernels: Kernels,
    #[command(flatten)]
    policy: Policy,
    /// The true class, counted from 0 (cross_entropy, cross_entropy_grad)
    #[arg(long, value_name = "CLASS", value_parser = super::whole::<usize>, allow_hyphen_values = true)]
    target: Option<usize>,
    /// The label smoothing, in [0, 1] (cross_entropy, cross_entropy_grad) [default: 0]
    #[arg(long, value_name = "E", allow_hyphen_values = true)]
    label_smoothing: Option<String>,
    /// The cotangent, one value for each logit (softmax_vjp, log_softmax_vjp)
    #[arg(long, value_name = "A,B,...", allow_hyphen_values = true)]
    cotangent: Option<String>,
    /// The tangent, one value for each logit (softmax_jvp, log_softmax_jvp)
    #[arg(long, value_name = "A,B,...", allow_hyphen_values = true)]
    tangent: Option<String>,
    /// What to print
    #[arg(long, value_enum, default_value_t = Format::Human)]
    format: Format,
    /// The logits: decimals, hex floats (0x1.8p+3), inf, -inf, nan; value*count repeats one. Write -- before them
    #[arg(value_name = "LOGIT")]
    logits: Vec<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Human,
    Json,
}

impl Eval {
    pub fn main(self) -> Exit {
        let case = self.case()?;
        let kernels: Vec<_> = self
            .kernels
            .resolve(Some((case.op(), case.dtype())))?
            .into_iter()
            .filter(|kernel| accepts(kernel.as_ref(), &case))
            .collect();
        if kernels.is_empty() {
            return Err(Error::nothing_selected(format!(
                "no selected kernel implements {} in {}",
                case.op(),
                case.dtype()
            )));
        }
        let mut oracle = Oracle::new();
        let mut trial = Trial::new(&case);
        let mut textbook = Claims { special: self.policy.special.unwrap_or_default(), ..Claims::default() };
        if let Some(claims) = &self.policy.claims {
            textbook.set(claims)?;
        }
        let exact = oracle.describe(&case, textbook.special, DIGITS);
        let outputs = exact.len();
        let mut rows: Vec<render::EvalRow> =
            exact.into_iter().map(|exact| render::EvalRow { exact, bound_ulps: 0.0, kernels: Vec::new() }).collect();
        let mut whole = Vec::new();
        for (index, row) in rows.iter_mut().enumerate() {
            // The bound is of the input, so any number will do as an output.
            row.bound_ulps = trial.judge_output(&mut oracle, &textbook, index, 0.0).bound_ulps;
        }
        for kernel in &kernels {
            let claims = self.policy.claims_of(kernel.as_ref(), case.op(), case.dtype())?;
            let (outcome, judgement) = quietly(|| trial.run(&mut oracle, kernel.as_ref(), &claims));
            kernel::trouble(kernel.as_ref()).map_or(Ok(()), Err)?;
            whole.push((kernel.name().to_owned(), judgement));
            let Outcome::Outputs(values) = &outcome else { continue };
            for (index, &got) in values.iter().enumerate().take(outputs) {
                let judged = trial.judge_output(&mut oracle, &claims, index, got);
                rows[index].kernels.push((kernel.name().to_owned(), got, judged));
            }
        }
        match self.format {
            Format::Human => print(&render::eval(&case, &rows, &whole))?,
            Format::Json => print(&format!("{}\n", json(&rows, &whole)))?,
        }
        Ok(0)
    }

    fn case(&self) -> Result<Case, Error> {
        let (op, dtype) = (self.op, self.dtype);
        let logits = parse_values(&self.logits.join(" "), dtype)?;
        let smoothing = self.label_smoothing.as_ref().map(|smoothing| text::parse(smoothing, dtype)).transpose()?;
        let refuse = |flag: &str| Err(Error::usage(format!("{op} does not take {flag}; see `logitfuzz list ops`")));
        let direction = match (&self.cotangent, &self.tangent, op.takes()) {
            (None, None, Takes::Cotangent) => {
                return Err(Error::usage(format!("{op} needs --cotangent, one value for each logit")));
            }
            (None, None, Takes::Tangent) => {
                return Err(Error::usage(format!("{op} needs --tangent, one value for each logit")));
            }
            (None, None, _) => None,
            (Some(values), None, Takes::Cotangent) | (None, Some(values), Takes::Tangent) => {
                Some(parse_values(values, dtype)?)
            }
            (Some(_), _, takes) if takes != Takes::Cotangent => return refuse("--cotangent"),
            _ => return refuse("--tangent"),
        };
        match (op.takes(), self.target, smoothing) {
            (Takes::Target, None, _) => {
                return Err(Error::usage(format!("{op} needs --target, the true class counted from 0")));
            }
            (Takes::Target, _, _) | (_, None, None) => {}
            (_, Some(_), _) => return refuse("--target"),
            _ => return refuse("--label-smoothing"),
        }
        Case::from_parts(op, dtype, logits, self.target, smoothing, direction)
    }
}

fn json(rows: &[render::EvalRow], whole: &[(String, Judgement)]) -> Value {
    let number = |x: f64| if x.is_finite() { json!(x) } else { json!(text::hex(x)) };
    let outputs: Vec<Value> = rows
        .iter()
        .enumerate()
        .map(|(index, row)| {
            let kernels: Map<String, Value> = row
                .kernels
                .iter()
                .map(|(name, got, judged)| {
                    let value = json!({
                        "got": text::hex(*got),
                        "ulp": judged.ulps.map_or(Value::Null, |ulps| number(ulps.abs())),
                        "ratio": number(judged.ratio),
                        "verdict": judged.verdict.name(),
                        "grade": judged.grade.map(|grade| grade.name()),
                    });
                    (name.clone(), value)
                })
                .collect();
            json!({
                "index": index,
                "exact": row.exact.digits,
                "rounded": text::hex(row.exact.rounded),
                "bound": number(row.bound_ulps),
                "kernels": kernels,
            })
        })
        .collect();
    let mut value = json!({ "outputs": outputs });
    // Kernels without an answer, by what they did instead.
    let faults: Map<String, Value> = whole
        .iter()
        .filter_map(|(name, judgement)| {
            let message = judgement.message.as_ref()?;
            Some((name.clone(), json!({"verdict": judgement.verdict.name(), "message": message})))
        })
        .collect();
    if !faults.is_empty() {
        value["faults"] = Value::Object(faults);
    }
    value
}
