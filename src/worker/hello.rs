//! The hello: what a worker says of itself, in one line of JSON.

use super::PROTOCOL;
use crate::dtype::Dtype;
use crate::kernel::Claims;
use crate::op::Op;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// The most bytes of a hello.
pub(crate) const LARGEST_HELLO: u64 = 1 << 20;

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
}

fn yes() -> bool {
    true
}

/// Serde passes a reference.
#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_yes(flag: &bool) -> bool {
    *flag
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
    /// Reads and checks a hello.
    ///
    /// # Errors
    /// In words that complete "the worker ...": what is wrong and what to do.
    pub fn read(line: &str) -> Result<Self, String> {
        let malformed = |error: serde_json::Error| {
            let start: String = line.chars().take(60).collect();
            format!("wrote a first line that is no hello ({error}): `{start}`")
        };
        let version = serde_json::from_str::<Version>(line).map_err(malformed)?.logitfuzz_worker;
        if version != PROTOCOL {
            return Err(format!(
                "speaks version {version} of the worker protocol; this logitfuzz speaks {PROTOCOL}: update the older of the two"
            ));
        }
        let hello: Hello = serde_json::from_str(line).map_err(malformed)?;
        let mut names = BTreeSet::new();
        for kernel in &hello.kernels {
            let name = &kernel.name;
            if name.is_empty() || name.starts_with('-') || name.contains(|c: char| c.is_control() || c == '=') {
                return Err(format!(
                    "names a kernel `{}`; a name is a word without = that does not begin with -",
                    name.escape_debug()
                ));
            }
            if !names.insert(name) {
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
            }
        }
        if hello.kernels.iter().all(|kernel| kernel.functions.is_empty()) {
            return Err("serves no function; its hello lists none".into());
        }
        Ok(hello)
    }

    /// The op and dtype of every function, in the order of their numbers.
    pub fn functions(&self) -> Vec<(Op, Dtype)> {
        let all = self.kernels.iter().flat_map(|kernel| &kernel.functions);
        all.map(|function| (function.op, function.dtype)).collect()
    }
}
