//! A finding: a failing case, shrunk, with everything that a person needs to believe it, and a program to see it again.

use super::Cause;
use super::number;
use crate::case::{self, Case};
use crate::dtype::{Dtype, text};
use crate::error::Result;
use crate::judge::Verdict;
use crate::op::Op;
use crate::special::Special;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

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
    /// The logits, as hex floats; `value*count` is a run of equal values.
    pub logits: Vec<String>,
    /// The number of logits (runs counted in full).
    pub len: usize,
    /// The true class, for the ops that take one.
    pub target: Option<usize>,
    /// The label smoothing, as a hex float, for the ops that take one.
    pub label_smoothing: Option<String>,
    /// The cotangent, as the logits are written, for the ops that take one.
    pub cotangent: Option<Vec<String>>,
    /// The tangent, as the logits are written, for the ops that take one.
    pub tangent: Option<Vec<String>>,
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
    /// In words: which step lost it, and which pattern cures it.
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

    /// The case of the finding.
    ///
    /// # Errors
    /// A field that is no number or does not fit the op, as in a file that was edited.
    pub fn case(&self) -> Result<Case> {
        let values = |words: &Vec<String>| case::parse_values(&words.join(", "), self.dtype);
        let smoothing = self.label_smoothing.as_ref().map(|text| text::parse(text, self.dtype)).transpose()?;
        let direction = self.cotangent.as_ref().or(self.tangent.as_ref()).map(values).transpose()?;
        Case::from_parts(self.op, self.dtype, values(&self.logits)?, self.target, smoothing, direction)
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
        Ok(command(self.selector(), self.special, self.claims.as_deref(), &self.case()?))
    }
}

/// The command that shows a case on a kernel again. It holds everything: the case, the kernel and the policy.
pub(crate) fn command(selector: &str, special: Option<Special>, claims: Option<&str>, case: &Case) -> String {
    let mut command = format!("logitfuzz replay --kernel {}", quoted(selector));
    if let Some(special) = special {
        command += &format!(" --special {special}");
    }
    if let Some(claims) = claims {
        command += &format!(" --claims {}", quoted(claims));
    }
    command + &format!(" '{case}'")
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

impl Serialize for Special {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Special {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
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
