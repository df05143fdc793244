//! What the environment asks of a fuzz target: libFuzzer owns the command line.

use crate::dtype::Dtype;
use crate::error::{Error, Result};
#[cfg(unix)]
use crate::foreign::Limits;
use crate::kernel::Kernel;
use crate::op::Op;
use crate::select::Selector;
#[cfg(unix)]
use crate::select::{Server, Workers};
use std::env::{self, VarError};
use std::sync::Arc;

/// The variable that names the kernels.
const KERNELS: &str = "LOGITFUZZ_KERNELS";

/// The kernels fuzzed by default, those of them that compute an op of the target: correct ones.
const DEFAULT_KERNELS: &str = "shifted,log1p,branched";

/// The words of a variable, separated by commas; none if it is not set or empty.
fn words(variable: &str) -> Result<Option<Vec<String>>> {
    match env::var(variable) {
        Ok(text) if text.trim().is_empty() => Ok(None),
        Ok(text) => Ok(Some(text.split(',').map(|word| word.trim().to_owned()).collect())),
        Err(VarError::NotPresent) => Ok(None),
        Err(VarError::NotUnicode(_)) => {
            Err(Error::usage(format!("{variable} is not UTF-8; write names separated by commas")))
        }
    }
}

/// The kernels of `LOGITFUZZ_KERNELS`, for a target of these ops.
pub(super) fn kernels(ops: &[Op]) -> Result<Vec<Arc<dyn Kernel>>> {
    let words = words(KERNELS)?;
    named(&words.unwrap_or_else(|| DEFAULT_KERNELS.split(',').map(str::to_owned).collect()), ops, &dtypes()?)
}

/// The kernels that these words name, for a target of these ops in these dtypes.
pub(super) fn named(words: &[String], ops: &[Op], dtypes: &[Dtype]) -> Result<Vec<Arc<dyn Kernel>>> {
    let selector = Selector {
        only: match (ops, dtypes) {
            (&[op], &[dtype]) => Some((op, dtype)),
            _ => None,
        },
        say_only: "a target of one op and one dtype in LOGITFUZZ_DTYPES",
        #[cfg(unix)]
        workers: Workers { limits: Limits::default(), server: Server::FromPath, before: || {} },
    };
    selector.kernels(words).map_err(|error| error.within(KERNELS))
}

/// The dtypes of `LOGITFUZZ_DTYPES`.
pub(super) fn dtypes() -> Result<Vec<Dtype>> {
    match words("LOGITFUZZ_DTYPES")? {
        None => Ok(Dtype::ALL.to_vec()),
        Some(words) => words
            .iter()
            .map(|word| word.parse().map_err(|error| Error::usage(format!("LOGITFUZZ_DTYPES: {error}"))))
            .collect(),
    }
}

/// Whether `LOGITFUZZ_GUIDANCE` asks for the counters, and for the mutator.
pub(super) fn guidance() -> Result<(bool, bool)> {
    let Some(words) = words("LOGITFUZZ_GUIDANCE")? else { return Ok((true, true)) };
    let (mut counts, mut mutates) = (false, false);
    for word in &words {
        match word.as_str() {
            "counters" => counts = true,
            "mutator" => mutates = true,
            "none" => {}
            _ => {
                return Err(Error::usage(format!(
                    "LOGITFUZZ_GUIDANCE: unknown guidance `{word}`; write counters, mutator, both with a comma, or none"
                )));
            }
        }
    }
    Ok((counts, mutates))
}
