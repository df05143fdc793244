//! What the environment asks of a fuzz target: libFuzzer owns the command line.

use crate::dtype::Dtype;
use crate::error::{Error, Result};
#[cfg(unix)]
use crate::kernel::foreign::{Foreign, Limits};
use crate::kernel::{Kernel, builtin};
use std::env::{self, VarError};
use std::sync::Arc;

/// The kernels fuzzed by default: correct ones.
const DEFAULT_KERNELS: &str = "shifted,log1p";

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

/// The kernels of `LOGITFUZZ_KERNELS`.
pub(super) fn kernels() -> Result<Vec<Arc<dyn Kernel>>> {
    let words = words("LOGITFUZZ_KERNELS")?;
    named(&words.unwrap_or_else(|| DEFAULT_KERNELS.split(',').map(str::to_owned).collect()))
}

/// The kernels of these names, each once.
pub(super) fn named(words: &[String]) -> Result<Vec<Arc<dyn Kernel>>> {
    let mut kernels: Vec<Arc<dyn Kernel>> = Vec::new();
    for word in words {
        #[cfg(unix)]
        if let Some(command) = word.strip_prefix("exec:") {
            let served = Foreign::command(command, Limits::default())?;
            kernels.extend(served.into_iter().map(|kernel| Arc::new(kernel) as Arc<dyn Kernel>));
            continue;
        }
        let found: Vec<_> = builtin::matching(word).collect();
        if found.is_empty() {
            return Err(Error::usage(format!(
                "LOGITFUZZ_KERNELS: unknown kernel `{word}`; see `logitfuzz list kernels`; others are exec:COMMAND"
            )));
        }
        for kernel in found {
            if !kernels.iter().any(|known| known.name() == kernel.name()) {
                kernels.push(Arc::new(kernel));
            }
        }
    }
    Ok(kernels)
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
