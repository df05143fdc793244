//! The worker of `c:` kernels: this program in another mode, which serves the functions of a shared library.

use super::Exit;
use crate::foreign::library::CLibrary;
use crate::worker;
use std::path::PathBuf;

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
        let kernels = CLibrary::load(&self.path, &self.name, symbol)?;
        // The same once more, for the diagnosis.
        let aligned: Vec<CLibrary> = kernels.iter().map(CLibrary::aligned).collect();
        let served = kernels.into_iter().zip(aligned).flat_map(|(kernel, aligned)| [kernel, aligned]);
        Ok(u8::from(worker::serve(served) != std::process::ExitCode::SUCCESS) * 3)
    }
}
