//! What the environment asks of a fuzz target: libFuzzer owns the command line.

use crate::dtype::Dtype;
use crate::error::{Error, Result};
#[cfg(unix)]
use crate::foreign::{Foreign, Limits};
use crate::kernel::{Kernel, builtin};
use std::env::{self, VarError};
#[cfg(unix)]
use std::path::Path;
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
        if let Some(served) = foreign(word)? {
            kernels.extend(served.into_iter().map(|kernel| Arc::new(kernel) as Arc<dyn Kernel>));
            continue;
        }
        let found: Vec<_> = builtin::matching(word).collect();
        if found.is_empty() {
            return Err(Error::usage(format!(
                "LOGITFUZZ_KERNELS: unknown kernel `{word}`; see `logitfuzz list kernels`; others are c:LIB.so and exec:COMMAND"
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

/// The kernels of a worker or of a C library; none if the word names neither. The worker of a library is the command `logitfuzz`,
/// since a fuzz target is none.
#[cfg(unix)]
fn foreign(word: &str) -> Result<Option<Vec<Foreign>>> {
    if let Some(command) = word.strip_prefix("exec:") {
        return Foreign::command(command, Limits::default()).map(Some);
    }
    let Some(library) = word.strip_prefix("c:") else { return Ok(None) };
    let path = Path::new(library)
        .canonicalize()
        .map_err(|error| Error::harness(format!("cannot load the kernel {word}: {error}; correct the path")))?;
    let stem = path.file_stem().map_or_else(|| "library".into(), |stem| stem.to_string_lossy().into_owned());
    let name = format!("c:{stem}");
    let words = vec!["logitfuzz".into(), "serve-library".into(), path.into(), name.clone().into()];
    let served = Foreign::start(word, words, Limits::default()).map_err(|error| {
        Error::harness(format!("{error}; a fuzz target loads a C library through the command `logitfuzz`, from PATH"))
    })?;
    Ok(Some(served.into_iter().map(|kernel| kernel.named(&name, word.to_owned())).collect()))
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
