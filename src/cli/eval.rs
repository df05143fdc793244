//! `logitfuzz eval`: one input, in words. Every kernel's output beside the truth; exits 0 whatever the verdict.

use super::select::{Kernels, Policy};
use super::{Exit, Printed, print, render};
use crate::case::rows::parse_classes;
use crate::case::{self, Case, parse_class, parse_values};
use crate::diagnosis::DIGITS;
use crate::dtype::{Dtype, text};
use crate::error::Error;
use crate::judge::Judgement;
use crate::kernel::{self, Claims, Outcome, accepts};
use crate::op::signature::Extent;
use crate::op::{Input, Op};
use crate::oracle::Oracle;
use crate::quiet::quietly;
use crate::trial::Trial;
use clap::ArgMatches;
use serde_json::{Map, Value, json};

#[derive(clap::Args)]
#[command(after_help = "\
Exits 0 whatever the verdicts. Errors and bounds are in ulps of the exact value; a ratio above 1 is worse than the textbook.

Examples:
  logitfuzz eval --op softmax -- 1000 0 -inf
  logitfuzz eval --op log_softmax --dtype f16 --kernel unfused -- 0 -20
  logitfuzz eval --op cross_entropy --target 1 --label-smoothing 0.1 -- 0x1.8p+3 -2.5 0*30
  logitfuzz eval --op scaled_softmax --scale 0.125 -- 10 -inf 3
  logitfuzz eval --op soft_cross_entropy --distribution 0.25,0.75 -- 1 2
  logitfuzz eval --op softmax_vjp --cotangent 1,0 --kernel 'defect/*' --format json -- 1 2")]
pub(super) struct Eval {
    /// The op: see `logitfuzz list ops`
    #[arg(long, value_name = "OP")]
    op: Op,
    /// The dtype: f16, bf16, f32, f64, or f16:f32 and bf16:f32, which read a half and write f32
    #[arg(long, value_name = "DTYPE", default_value = "f32")]
    dtype: Dtype,
    #[command(flatten)]
    kernels: Kernels,
    #[command(flatten)]
    policy: Policy,
    #[command(flatten)]
    others: Others,
    /// What to print
    #[arg(long, value_enum, default_value_t = Printed::Human)]
    format: Printed,
    /// The logits: decimals, hex floats (0x1.8p+3), inf, -inf, nan; value*count repeats one. Write -- before them
    #[arg(value_name = "LOGIT")]
    logits: Vec<String>,
}

impl Eval {
    pub fn main(self) -> Exit {
        #[cfg(unix)]
        crate::foreign::show_errors();
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
        if let Some(claims) = self.policy.all_claims() {
            textbook.set(&claims)?;
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
            Printed::Human => print(&render::eval(&case, &rows, &whole))?,
            Printed::Json => print(&format!("{}\n", json(&rows, &whole)))?,
        }
        Ok(0)
    }

    fn case(&self) -> Result<Case, Error> {
        let (op, dtype) = (self.op, self.dtype);
        let logits = parse_values(&self.logits.join(" "), dtype)?;
        let given = self.others.0.iter().map(|(input, text)| {
            if !op.others().contains(input) {
                let flag = flag(*input);
                return Err(Error::usage(format!("{op} does not take --{flag}; see `logitfuzz list ops`")));
            }
            let value = match input.role.extent() {
                Extent::Row => parse_values(text, dtype)?.into(),
                Extent::Number => text::parse(text, dtype)?.into(),
                Extent::Index => parse_class(text)?.into(),
                Extent::Indices => parse_classes(text)?.into(),
            };
            Ok((input.name, value))
        });
        let given = given.collect::<Result<Vec<(&str, case::Value)>, Error>>()?;
        let is_given = |input: &Input| given.iter().any(|(name, _)| *name == input.name);
        if let Some(missing) = op.others().iter().find(|input| input.role.default().is_none() && !is_given(input)) {
            return Err(Error::usage(format!("{op} needs --{}, {}", flag(*missing), missing.role.about())));
        }
        Case::from_named(op, dtype, logits, given)
    }
}

/// What ops take besides the logits: a flag for each input that some op has.
struct Others(Vec<(Input, String)>);

/// Every input besides the logits that an op has, with the ops that have it.
fn inputs() -> Vec<(Input, Vec<Op>)> {
    let mut inputs: Vec<(Input, Vec<Op>)> = Vec::new();
    for (&op, &input) in Op::ALL.iter().flat_map(|op| op.others().iter().map(move |input| (op, input))) {
        match inputs.iter_mut().find(|(known, _)| *known == input) {
            Some((_, ops)) => ops.push(op),
            None => inputs.push((input, vec![op])),
        }
    }
    inputs
}

fn flag(input: Input) -> String {
    input.name.replace('_', "-")
}

impl clap::FromArgMatches for Others {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let given = |(input, _): (Input, _)| Some((input, matches.get_one::<String>(input.name)?.clone()));
        Ok(Self(inputs().into_iter().filter_map(given).collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl clap::Args for Others {
    fn augment_args(command: clap::Command) -> clap::Command {
        inputs().into_iter().fold(command, |command, (input, ops)| {
            let ops: Vec<&str> = ops.iter().map(|op| op.name()).collect();
            let default = input.role.default().map_or_else(String::new, |x| format!(" [default: {x}]"));
            let value_name = match input.role.extent() {
                Extent::Row => "A,B,...",
                Extent::Number => "X",
                Extent::Index => "CLASS",
                Extent::Indices => "CLASS,CLASS,...",
            };
            let help =
                format!("The {}: {} ({}){default}", input.name.replace('_', " "), input.role.about(), ops.join(", "));
            let argument = clap::Arg::new(input.name).long(flag(input)).value_name(value_name).help(help);
            command.arg(argument.allow_hyphen_values(true))
        })
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        Self::augment_args(command)
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
