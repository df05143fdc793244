//! `c:` kernels: the functions of a shared library, served by the command `logitfuzz` in another mode. Its functions of rows are one
//! kernel, those of batches another, which `c:LIB.so:batch` names alone.

use super::{Selector, Server};
use crate::dtype::Dtype;
use crate::error::{Error, Result};
use crate::foreign::Foreign;
#[cfg(feature = "cli")]
use crate::foreign::descendants;
use crate::kernel::Kernel;
use crate::op::Op;
use crate::outside;
use std::ffi::OsString;
use std::path::Path;

/// Starts a worker for `LIB.so[:SYMBOL]`; a symbol that does not name its op and dtype computes the only ones of the selector. Whoever
/// gives it a name afterwards (`is_named`) may have a file of any name.
pub(super) fn start(text: &str, selector: &Selector, is_named: bool) -> Result<Vec<Foreign>> {
    let label = format!("c:{text}");
    let (path, symbol) = match text.rsplit_once(':') {
        Some((path, symbol)) if !Path::new(text).exists() => (Path::new(path), Some(symbol)),
        _ => (Path::new(text), None),
    };
    // No function of the softmax family has this name alone.
    let (symbol, is_batch_only) = (symbol.filter(|symbol| *symbol != BATCH), symbol == Some(BATCH));
    let refuse = |why: String| Error::harness(format!("cannot load the kernel {label}: {why}"));
    // An absolute path: the loader looks for anything else in the system's folders.
    let absolute = path.canonicalize().map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => {
            refuse("there is no such file; build the library first, or correct the path".into())
        }
        _ => refuse(error.to_string()),
    })?;
    let stem = path.file_stem().map_or_else(|| "library".into(), |stem| stem.to_string_lossy());
    let mut name = format!("c:{stem}");
    if let Some(symbol) = symbol {
        name = format!("{name}:{symbol}");
    }
    match outside::check_name(&name) {
        Ok(()) => {}
        Err(_) if is_named => name = "c:library".into(),
        Err(reason) => return Err(Error::usage(format!("{label}: {reason} with NAME={label}"))),
    }
    let mut words: Vec<OsString> = match selector.workers.server {
        #[cfg(feature = "cli")]
        Server::ThisProgram => descendants::own_program()
            .map_err(|error| refuse(format!("this program's own file is not found: {error}")))?,
        #[cfg(feature = "arbitrary")]
        Server::FromPath => vec!["logitfuzz".into()],
    };
    words.extend(["serve-library".into(), absolute.into()]);
    match symbol {
        None => words.push(name.clone().into()),
        Some(symbol) => {
            let (op, dtype) = named_by(symbol).or(selector.only).ok_or_else(|| {
                Error::usage(format!("`{label}`: what does `{symbol}` compute? Say it with {}", selector.say_only))
            })?;
            words.extend([&name, symbol, op.name(), dtype.name()].map(OsString::from));
        }
    }
    let kernels = Foreign::start(&label, words, selector.workers.limits).map_err(|error| match selector.workers.server {
        #[cfg(feature = "cli")]
        Server::ThisProgram => error,
        #[cfg(feature = "arbitrary")]
        Server::FromPath => Error::harness(format!(
            "{error}; this program is not the command `logitfuzz`, so it loads a C library through the command `logitfuzz`, from PATH"
        )),
    })?;
    // Aligned, each is the one behind it.
    let (mut kernels, mut found) = (kernels.into_iter(), Vec::new());
    while let Some(kernel) = kernels.next() {
        let is_of_batches = symbol.is_none() && kernel.name().ends_with(BATCH_SUFFIX);
        let selector = match is_of_batches && !is_batch_only {
            true => format!("{label}{BATCH_SUFFIX}"),
            false => label.clone(),
        };
        let own = if is_of_batches { format!("{name}{BATCH_SUFFIX}") } else { name.clone() };
        let kernel = kernel.named(&own, selector).with_aligned(kernels.next());
        if is_of_batches || !is_batch_only {
            found.push(kernel);
        }
    }
    if found.is_empty() {
        return Err(refuse("it has no symbol like softmax_batch_f32 (OP_batch_DTYPE)".into()));
    }
    Ok(found)
}

/// What stands for all functions of batches in the place of a symbol, and begins what their kernel is called.
const BATCH: &str = "batch";
const BATCH_SUFFIX: &str = ":batch";

/// The op and dtype of a symbol like `softmax_f32` or `softmax_bf16_f32`, whatever stands before it (`avx2_softmax_f32`).
fn named_by(symbol: &str) -> Option<(Op, Dtype)> {
    let end = |dtype: &Dtype| format!("_{}", dtype.name().replace(':', "_"));
    // The longest name, since bf16_f32 ends as f32 does.
    let dtype =
        Dtype::ALL.into_iter().filter(|dtype| symbol.ends_with(&end(dtype))).max_by_key(|dtype| dtype.name().len())?;
    let rest = symbol.strip_suffix(&end(&dtype))?;
    let rest = rest.strip_suffix("_batch").unwrap_or(rest);
    // The longest name, since log_softmax ends as softmax does.
    let op = Op::ALL.iter().copied().filter(|op| rest.ends_with(op.name())).max_by_key(|op| op.name().len())?;
    Some((op, dtype))
}

#[cfg(test)]
mod tests {
    use super::named_by;
    use crate::{Dtype, Op};

    #[test]
    fn symbols_that_say_what_they_compute() {
        for (symbol, what) in [
            ("softmax_f32", Some((Op::SOFTMAX, Dtype::F32))),
            ("avx2_log_softmax_bf16", Some((Op::LOG_SOFTMAX, Dtype::Bf16))),
            ("my_cross_entropy_grad_f64", Some((Op::CROSS_ENTROPY_GRAD, Dtype::F64))),
            ("softmax_bf16_f32", Some((Op::SOFTMAX, Dtype::Bf16F32))),
            ("v2_cross_entropy_f16_f32", Some((Op::CROSS_ENTROPY, Dtype::F16F32))),
            ("my_softmax_batch_f32", Some((Op::SOFTMAX, Dtype::F32))),
            ("softmax_f32_f16", None),
            ("softmax", None),
            ("softmax_f8", None),
            ("softmin_f32", None),
        ] {
            assert_eq!(named_by(symbol), what, "{symbol}");
        }
    }
}
