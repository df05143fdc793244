//! `c:` kernels: the functions of a shared library, served by this very program in another mode.

use super::Exit;
use crate::dtype::Dtype;
use crate::error::{Error, Result};
use crate::foreign::library::CLibrary;
use crate::foreign::{Foreign, Limits, descendants};
use crate::op::Op;
use crate::outside;
use crate::worker;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The hidden subcommand: the worker.
#[derive(clap::Args)]
pub(super) struct ServeLibrary {
    path: PathBuf,
    /// What reports call the kernel.
    name: String,
    /// One symbol, with the op and the dtype that it computes.
    #[arg(num_args = 3, value_names = ["SYMBOL", "OP", "DTYPE"])]
    symbol: Vec<String>,
}

impl ServeLibrary {
    pub fn main(self) -> Exit {
        let symbol = match &self.symbol[..] {
            [symbol, op, dtype] => Some((symbol.as_str(), op.parse()?, dtype.parse()?)),
            _ => None,
        };
        let library = CLibrary::load(&self.path, &self.name, symbol)?;
        Ok(u8::from(worker::serve([library]) != std::process::ExitCode::SUCCESS) * 3)
    }
}

/// Starts a worker for `LIB.so[:SYMBOL]`; a symbol that does not name its op and dtype computes `only`. Whoever gives it a name
/// afterwards (`is_named`) may have a file of any name.
pub(super) fn start(text: &str, only: Option<(Op, Dtype)>, is_named: bool, limits: Limits) -> Result<Vec<Foreign>> {
    let label = format!("c:{text}");
    let (path, symbol) = match text.rsplit_once(':') {
        Some((path, symbol)) if !Path::new(text).exists() => (Path::new(path), Some(symbol)),
        _ => (Path::new(text), None),
    };
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
    let program = own_program().map_err(|error| refuse(format!("this program's own file is not found: {error}")))?;
    let mut words: Vec<OsString> = vec![program.into(), "serve-library".into(), absolute.into()];
    match symbol {
        None => words.push(name.clone().into()),
        Some(symbol) => {
            let (op, dtype) = named_by(symbol).or(only).ok_or_else(|| {
                Error::usage(format!("`{label}`: what does `{symbol}` compute? Say it with one --op and one --dtype"))
            })?;
            words.extend([&name, symbol, op.name(), dtype.name()].map(OsString::from));
        }
    }
    let kernels = Foreign::start(&label, words, limits)?;
    Ok(kernels.into_iter().map(|kernel| kernel.named(&name, label.clone())).collect())
}

/// What starts this very program again: on Linux also where its file has been replaced or deleted since.
fn own_program() -> std::io::Result<PathBuf> {
    let held = Path::new(descendants::OWN_PROGRAM);
    if held.exists() { Ok(held.to_owned()) } else { std::env::current_exe() }
}

/// The op and dtype of a symbol like `softmax_f32`, whatever stands before it (`avx2_softmax_f32`).
fn named_by(symbol: &str) -> Option<(Op, Dtype)> {
    let (rest, dtype) = symbol.rsplit_once('_')?;
    let dtype = dtype.parse().ok()?;
    // The longest name, since log_softmax ends as softmax does.
    let op = Op::ALL.into_iter().filter(|op| rest.ends_with(op.name())).max_by_key(|op| op.name().len())?;
    Some((op, dtype))
}

#[cfg(test)]
mod tests {
    use super::named_by;
    use crate::{Dtype, Op};

    #[test]
    fn symbols_that_say_what_they_compute() {
        for (symbol, what) in [
            ("softmax_f32", Some((Op::Softmax, Dtype::F32))),
            ("avx2_log_softmax_bf16", Some((Op::LogSoftmax, Dtype::Bf16))),
            ("my_cross_entropy_grad_f64", Some((Op::CrossEntropyGrad, Dtype::F64))),
            ("softmax", None),
            ("softmax_f8", None),
            ("softmin_f32", None),
        ] {
            assert_eq!(named_by(symbol), what, "{symbol}");
        }
    }
}
