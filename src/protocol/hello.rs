//! The hello: what a worker says of itself, in one line of JSON.

use super::frame::Computes;
use super::{PROTOCOL, VERSIONS};
use crate::dtype::Dtype;
use crate::kernel::Claims;
use crate::op::Op;
use crate::outside;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// The longest hello that is read, in bytes.
pub(crate) const LARGEST_HELLO: u64 = 1 << 20;

/// The most kernels of one worker.
const MOST_KERNELS: usize = 1_000;

/// The longest refusal of a hello, in characters: it quotes the worker.
const LONGEST_REFUSAL: usize = 500;

/// The hello.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Hello {
    pub logitfuzz_worker: u32,
    #[serde(default)]
    pub frames: Frames,
    pub kernels: Vec<Served>,
}

/// The form of batches and answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Frames {
    Binary,
    #[default]
    Json,
}

/// A kernel that a worker serves.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Served {
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    #[serde(default = "yes")]
    pub deterministic: bool,
    /// What loading the kernel's library makes of the floating-point environment; none where it stays the standard one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<Environment>,
    pub functions: Vec<Function>,
}

/// The floating-point environment in which a kernel is run, where it is not the standard one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Environment {
    FlushToZero,
}

/// One op of a kernel in one dtype.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Function {
    pub op: Op,
    pub dtype: Dtype,
    #[serde(default)]
    pub claims: String,
    #[serde(default)]
    pub min_len: usize,
    #[serde(default = "unlimited")]
    pub max_len: usize,
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub label_smoothing: bool,
    /// Whether it computes many rows in one call; from version 2 on.
    #[serde(default, skip_serializing_if = "is_no")]
    pub batched: bool,
}

fn yes() -> bool {
    true
}

/// Serde passes a reference.
#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_yes(flag: &bool) -> bool {
    *flag
}

/// Serde passes a reference.
#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_no(flag: &bool) -> bool {
    !*flag
}

fn unlimited() -> usize {
    usize::MAX
}

/// The version alone, which is read first: a worker of another version may say anything else in another form.
#[derive(Deserialize)]
struct Version {
    logitfuzz_worker: u32,
}

impl Hello {
    /// Reads and checks a hello: what it says of itself is harmless to print from here on.
    ///
    /// # Errors
    /// In words that complete "the worker ...": what is wrong and what to do.
    pub fn read(line: &str) -> Result<Self, String> {
        Self::checked(line).map_err(|reason| outside::line(&reason, LONGEST_REFUSAL))
    }

    fn checked(line: &str) -> Result<Self, String> {
        if line.len() as u64 > LARGEST_HELLO {
            return Err(format!(
                "wrote a first line of {} bytes; a hello has at most {LARGEST_HELLO}: serve fewer kernels",
                line.len()
            ));
        }
        let malformed = |error: serde_json::Error| {
            let start = outside::line(line, outside::LONGEST_QUOTE);
            format!("wrote a first line that is no hello ({error}): `{start}`")
        };
        let version = serde_json::from_str::<Version>(line).map_err(malformed)?.logitfuzz_worker;
        if !VERSIONS.contains(&version) {
            let spoken = format!("{} to {PROTOCOL}", VERSIONS.start());
            return Err(format!(
                "speaks version {version} of the worker protocol; this logitfuzz speaks {spoken}: update the older of the two"
            ));
        }
        let mut hello: Hello = serde_json::from_str(line).map_err(malformed)?;
        if hello.kernels.len() > MOST_KERNELS {
            return Err(format!(
                "serves {} kernels; one worker serves at most {MOST_KERNELS}: share them among several",
                hello.kernels.len()
            ));
        }
        let mut names = BTreeSet::new();
        for kernel in &mut hello.kernels {
            let name = &kernel.name;
            outside::check_name(name).map_err(|reason| format!("serves a kernel whose name is refused: {reason}"))?;
            if !names.insert(name.clone()) {
                return Err(format!("names two kernels `{name}`; give each a name of its own"));
            }
            let mut functions = BTreeSet::new();
            for function in &kernel.functions {
                if !functions.insert((function.op, function.dtype)) {
                    return Err(format!("lists {} in {} twice for the kernel `{name}`", function.op, function.dtype));
                }
                let mut claims = Claims::default();
                let set = claims.set(&function.claims).and_then(|()| claims.check(function.dtype));
                set.map_err(|error| format!("serves `{name}`, whose {error}"))?;
                if function.batched && function.op.mean_of().is_some() {
                    return Err(format!(
                        "serves batches of {} for the kernel `{name}`; that op takes several rows as it is: leave `batched` out",
                        function.op
                    ));
                }
                if function.batched && version < PROTOCOL {
                    return Err(format!(
                        "serves batches for the kernel `{name}`, which version {version} has not; say {PROTOCOL}"
                    ));
                }
            }
            if let Some(version) = &mut kernel.version {
                outside::tidy(version, outside::LONGEST_VERSION);
            }
        }
        if hello.kernels.iter().all(|kernel| kernel.functions.is_empty()) {
            return Err("serves no function; its hello lists none".into());
        }
        Ok(hello)
    }

    /// The op and dtype of every function, in the order of their numbers, and whether it computes batches.
    pub fn functions(&self) -> Vec<Computes> {
        let all = self.kernels.iter().flat_map(|kernel| &kernel.functions);
        all.map(|function| (function.op, function.dtype, function.batched)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kernel(name: &str, version: &str) -> String {
        let (name, version) = (serde_json::Value::from(name), serde_json::Value::from(version));
        format!(r#"{{"name":{name},"version":{version},"functions":[{{"op":"softmax","dtype":"f32"}}]}}"#)
    }

    fn hello(kernels: &[String]) -> Result<Hello, String> {
        Hello::read(&format!(r#"{{"logitfuzz_worker":1,"kernels":[{}]}}"#, kernels.join(",")))
    }

    #[test]
    fn what_a_worker_says_of_itself_is_harmless() {
        let read = hello(&[kernel("mine", &"1.0\n\u{202e}".repeat(100))]).unwrap();
        let version = read.kernels[0].version.as_ref().unwrap();
        assert!(version.starts_with("1.0\\u{a}\\u{202e}1.0") && version.chars().count() <= 100, "{version}");
        for name in ["defect/mine", "::error::x", "a\u{202e}", "a\n"] {
            let error = hello(&[kernel(name, "")]).unwrap_err();
            assert!(error.contains("is no name that can be used") && !error.contains(outside::is_hidden), "{error}");
        }
        // Errors of the JSON library quote what they do not know.
        let error =
            Hello::read("{\"logitfuzz_worker\":1,\"frames\":\"\u{202e}\\u001b[31m\",\"kernels\":[]}").unwrap_err();
        assert!(error.contains("no hello") && !error.contains(outside::is_hidden), "{error}");
    }

    /// A worker of the first version is served as ever, and has no batches.
    #[test]
    fn versions() {
        let read = |version: u32, more: &str| {
            Hello::read(&format!(
                r#"{{"logitfuzz_worker":{version},"kernels":[{{"name":"a","functions":[{{"op":"softmax","dtype":"f32"{more}}}]}}]}}"#
            ))
        };
        assert!(!read(1, "").unwrap().functions()[0].2 && read(2, r#","batched":true"#).unwrap().functions()[0].2);
        assert!(read(1, r#","batched":true"#).unwrap_err().contains("which version 1 has not; say 2"));
        assert!(
            read(3, "").unwrap_err().contains("speaks version 3 of the worker protocol; this logitfuzz speaks 1 to 2")
        );
    }

    /// A hundred thousand kernels took 44 seconds.
    #[test]
    fn a_hello_has_limits() {
        let many: Vec<String> = (0..=MOST_KERNELS).map(|number| kernel(&format!("k{number}"), "")).collect();
        assert!(hello(&many).unwrap_err().contains("serves 1001 kernels"));
        assert_eq!(hello(&many[1..]).unwrap().kernels.len(), MOST_KERNELS);
        let error = hello(&vec![kernel("same", ""); 100_000]).unwrap_err();
        assert!(error.contains("a hello has at most 1048576"), "{error}");
    }
}
