//! A finding: a failing case, shrunk, with everything that a person needs to believe it, and a program to see it again.

use super::number;
use super::{Cause, Certainty, Likeness, Tried};
use crate::case::{self, Case, Value, values_text};
use crate::dtype::{Dtype, text};
use crate::error::Result;
use crate::judge::Verdict;
use crate::kernel::batch::{self, Batch, Layout, Padding};
use crate::op::signature::Extent;
use crate::op::{Input, Op};
use crate::special::Special;
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// A failing case, shrunk.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// The kernel's name.
    pub kernel: String,
    /// The op.
    pub op: Op,
    /// The dtype.
    pub dtype: Dtype,
    /// The family of the first case that showed it.
    pub family: String,
    /// The verdict.
    pub verdict: Verdict,
    /// What went wrong: `exp_overflow`, `log_of_zero`, `cancellation`, ...; none where it does not fail.
    #[serde(with = "super::cause::text")]
    pub cause: Option<Cause>,
    /// How well that is known.
    #[serde(default = "Certainty::unsaid")]
    pub certainty: Certainty,
    /// The planted defect that the kernel answers like; none where it is like none, or like several of different classes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answers_like: Option<Likeness>,
    /// What was tried on the input, and what came of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tried: Vec<Tried>,
    /// The claim or preset under which the kernel passes, on this input and on every probe; none where there is no such, or where what it
    /// answers like is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub passes_under: Option<String>,
    /// The logits, as hex floats; `value*count` is a run of equal values.
    pub logits: Vec<String>,
    /// The number of logits (runs counted in full).
    pub len: usize,
    /// What the op takes besides: a field for each input, by its name.
    #[serde(flatten)]
    pub others: Others,
    /// The output that is worst; none where the kernel gave no output.
    pub index: Option<usize>,
    /// What the kernel returned there, as a hex float.
    pub got: String,
    /// What it returned, as a short decimal.
    pub got_decimal: String,
    /// The exact value: 30 significant digits, or the special value that is due.
    pub exact: String,
    /// The exact value rounded to the dtype, as a hex float.
    pub rounded: String,
    /// The error, in ulps of the exact value.
    #[serde(with = "number")]
    pub ulp: f64,
    /// The bound, in ulps of the exact value.
    #[serde(with = "number")]
    pub bound_ulp: f64,
    /// The error over the bound.
    #[serde(with = "number")]
    pub ratio: f64,
    /// The worst of all cases that failed in this way, as far as they are short; none where its error is not much larger.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worst: Option<Worst>,
    /// The smallest batch that shows it, where the row passes by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<BatchRows>,
    /// In words: what was seen, what explains it and how well that is known; and what cures it, where that was shown.
    pub explanation: String,
    /// The command that shows it again; made of the case, the kernel and the policy, for people.
    pub replay: String,
    /// Index of the case in its family that showed it first, before shrinking.
    pub case_index: u64,
    /// What `--kernel` takes to select the kernel, where that is not its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<String>,
    /// The preset of special values that was asked for, if one was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub special: Option<Special>,
    /// The claims that were made for all kernels, if any were.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claims: Option<String>,
}

impl Finding {
    /// The name of the cause, by which findings are sorted; empty where there is none.
    pub(crate) fn cause_name(&self) -> &'static str {
        self.cause.map_or("", Cause::name)
    }

    /// The cause in a few words, with how well it is known: `as defect/unshifted`, `perhaps exp overflow`, `depends on the length, cause not
    /// known`, `cause not known`; empty where nothing fails.
    pub(crate) fn cause_in_words(&self) -> String {
        let Some(cause) = self.cause else { return String::new() };
        let name = cause.name().replace('_', " ");
        match (self.certainty, &self.answers_like) {
            (Certainty::Shown, Some(like)) => {
                let with = like.parameter.as_ref().map_or_else(String::new, |with| format!(", with {with}"));
                let and: String = like.and.iter().map(|second| format!(" and {}", second.in_words())).collect();
                format!("as {}{with}{and}", like.kernel)
            }
            (Certainty::Shown, None) => name,
            (Certainty::Consistent, _) => format!("perhaps {name}"),
            (Certainty::NotKnown, _) if cause.is_dependence() => format!("depends on the {name}, cause not known"),
            (Certainty::NotKnown, _) => "cause not known".into(),
        }
    }

    /// What is told apart as one mechanism: the planted defect that the kernel answers like, else the cause.
    pub(crate) fn mechanism_name(&self) -> &str {
        self.answers_like.as_ref().map_or(self.cause_name(), |like| &like.kernel)
    }

    /// The case of the finding.
    ///
    /// # Errors
    /// A field that is no number or does not fit the op, as in a file that was edited.
    pub fn case(&self) -> Result<Case> {
        let values = |words: &Vec<String>| case::parse_values(&words.join(", "), self.dtype);
        let value = |written: &Written| match written {
            Written::Index(index) => Ok(Value::Index(*index)),
            Written::Number(text) => text::parse(text, self.dtype).map(Value::Number),
            Written::Row(words) => values(words).map(Value::from),
            Written::Indices(classes) => Ok(Value::from(classes.clone())),
        };
        // A list without an entry does not tell of what it is one.
        let is_of_rows = |name: &str| {
            let of_name = |input: &&Input| input.name == name;
            self.op.others().iter().find(of_name).is_some_and(|input| input.role.extent() == Extent::Indices)
        };
        let given = |(name, written): &(&'static str, Written)| match written {
            Written::Row(words) if words.is_empty() && is_of_rows(name) => {
                Ok((*name, Value::from(Vec::<Option<usize>>::new())))
            }
            written => Ok((*name, value(written)?)),
        };
        let others = self.others.0.iter().map(given);
        Case::from_named(self.op, self.dtype, values(&self.logits)?, others.collect::<Result<Vec<_>>>()?)
    }

    /// The batch of the finding, where it is one of a batch.
    ///
    /// # Errors
    /// A row that is no case, or rows that are no batch, as in a file that was edited.
    pub fn batch(&self) -> Result<Option<Batch>> {
        self.batch.as_ref().map(BatchRows::read).transpose()
    }

    /// What selects the kernel on the command line.
    pub fn selector(&self) -> &str {
        self.selector.as_deref().unwrap_or(&self.kernel)
    }

    /// The command that shows it again, from what the finding holds.
    ///
    /// # Errors
    /// Those of [`Finding::case`].
    pub fn command(&self) -> Result<String> {
        let (special, claims) = (self.special, self.claims.as_deref());
        Ok(match self.batch()? {
            Some(batch) => command_of_text(self.selector(), special, claims, &batch.to_string()),
            None => command(self.selector(), special, claims, &self.case()?),
        })
    }
}

/// A batch as results have it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchRows {
    /// The place of the row that the finding is about, counted from 0.
    pub judged: usize,
    /// From one row of logits to the next, in elements.
    pub logits_stride: usize,
    /// The same of the row that the op takes besides.
    pub other_stride: usize,
    /// The same of the outputs.
    pub out_stride: usize,
    /// What the inputs hold between the rows.
    pub padding: Padding,
    /// Whether the outputs are written over the logits.
    pub in_place: bool,
    /// The rows, each in the text form of [`crate::case::Case`]; ` x COUNT` says how often it stands there.
    pub rows: Vec<String>,
}

impl BatchRows {
    /// A batch as results have it.
    pub(crate) fn of(batch: &Batch) -> Self {
        let Layout { logits_stride, other_stride, out_stride, padding, in_place } = batch.layout();
        let (judged, rows) = (batch.judged(), batch.row_texts());
        Self { judged, logits_stride, other_stride, out_stride, padding, in_place, rows }
    }

    fn read(&self) -> Result<Batch> {
        let &Self { judged, logits_stride, other_stride, out_stride, padding, in_place, .. } = self;
        let layout = Layout { logits_stride, other_stride, out_stride, padding, in_place };
        Batch::new(batch::parse_rows(&self.rows)?, judged, layout)
    }
}

/// The failing case with the largest error, as it was generated.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Worst {
    /// The case, as `replay` takes it.
    pub case: String,
    /// Its family, and its index there.
    pub family: String,
    /// See `family`.
    pub case_index: u64,
    /// What the kernel returned where it is worst, as a short decimal.
    pub got_decimal: String,
    /// The exact value there.
    pub exact: String,
    /// The error, in ulps of the exact value.
    #[serde(with = "number")]
    pub ulp: f64,
}

/// What a case has besides the logits, by name and as it is written: in the order of the op's signature.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Others(pub Vec<(&'static str, Written)>);

/// A value as it is written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Written {
    /// A true class.
    Index(usize),
    /// One number, as a hex float.
    Number(String),
    /// A value for each logit, as the logits are written.
    Row(Vec<String>),
    /// The true class of each of several rows; null of one that is ignored.
    Indices(Vec<Option<usize>>),
}

impl Others {
    /// What a case has.
    pub(crate) fn of(case: &Case) -> Self {
        let written = |value: &Value| match value {
            Value::Index(index) => Written::Index(*index),
            Value::Number(x) => Written::Number(text::hex(*x)),
            Value::Row(values) => Written::Row(words(values)),
            Value::Indices(classes) => Written::Indices(classes.to_vec()),
        };
        Self(case.others().map(|(input, value)| (input.name, written(value))).collect())
    }
}

/// Values as hex floats, runs of equal ones as `value*count`.
pub(crate) fn words(values: &[f64]) -> Vec<String> {
    let text = values_text(values, text::hex);
    if text.is_empty() { Vec::new() } else { text.split(", ").map(str::to_owned).collect() }
}

impl Serialize for Others {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        self.0.iter().try_for_each(|(name, written)| map.serialize_entry(name, written))?;
        map.end()
    }
}

impl<'de> Deserialize<'de> for Others {
    /// Takes the fields that are an input of some op; null is none.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = Others;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("the inputs of a case")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Others, A::Error> {
                let mut others = Vec::new();
                while let Some(name) = map.next_key::<String>()? {
                    let inputs = Op::ALL.iter().flat_map(|op| op.others());
                    match inputs.map(|input| input.name).find(|known| *known == name) {
                        Some(known) => others.extend(map.next_value::<Option<Written>>()?.map(|value| (known, value))),
                        None => drop(map.next_value::<IgnoredAny>()?),
                    }
                }
                Ok(Others(others))
            }
        }
        deserializer.deserialize_map(Fields)
    }
}

/// The command that shows a case on a kernel again. It holds everything: the case, the kernel and the policy.
pub(crate) fn command(selector: &str, special: Option<Special>, claims: Option<&str>, case: &Case) -> String {
    command_of_text(selector, special, claims, &case.to_string())
}

/// The same of a case or a batch in its text form.
fn command_of_text(selector: &str, special: Option<Special>, claims: Option<&str>, text: &str) -> String {
    let mut command = format!("logitfuzz replay --kernel {}", quoted(selector));
    if let Some(special) = special {
        command += &format!(" --special {special}");
    }
    if let Some(claims) = claims {
        command += &format!(" --claims {}", quoted(claims));
    }
    command + &format!(" '{text}'")
}

/// The word as a shell reads it back.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-./:=,+".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_read_back_by_a_shell_as_it_was_meant() {
        let case = Case::parse("softmax f32 [1, 2]").unwrap();
        let line = |selector: &str, claims: Option<&str>| command(selector, Some(Special::Limit), claims, &case);
        assert_eq!(command("naive", None, None, &case), format!("logitfuzz replay --kernel naive '{case}'"));
        for selector in ["it's mine=naive", "exec:python3 a b.py", "c:./lib.so:f", "", "$(x)", "a\nb"] {
            let words = shlex::split(&line(selector, Some("exp=2,sum=pairwise"))).expect("words of a shell");
            let case = case.to_string();
            let wanted = [
                "logitfuzz",
                "replay",
                "--kernel",
                selector,
                "--special",
                "limit",
                "--claims",
                "exp=2,sum=pairwise",
                &case,
            ];
            assert_eq!(words, wanted);
        }
    }
}
