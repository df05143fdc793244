//! `logitfuzz list`: the registries, and what a C library or a worker serves.

use super::select::Kernels;
use super::{Exit, print};
use crate::dtype::Dtype;
use crate::generate::Family;
use crate::kernel::{Kernel, PRESETS, builtin};
use crate::op::Op;
use clap::ValueEnum;

#[derive(clap::Args)]
pub(super) struct List {
    /// What to list
    #[arg(value_enum)]
    what: What,
    #[command(flatten)]
    kernels: Kernels,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum What {
    Kernels,
    Ops,
    Dtypes,
    Families,
    Presets,
    /// The C header of kernels, with the prototype of every function that `c:` calls
    #[cfg(unix)]
    Header,
}

impl List {
    pub fn main(self) -> Exit {
        #[cfg(unix)]
        if self.what == What::Header {
            return print(&crate::foreign::library::header()).map(|()| 0);
        }
        let rows: Vec<(String, String)> = match self.what {
            #[cfg(unix)]
            What::Header => Vec::new(),
            What::Kernels if !self.kernels.is_default() => {
                let kernels = self.kernels.resolve(None)?;
                kernels.iter().map(|kernel| (kernel.name().to_owned(), served(kernel.as_ref()))).collect()
            }
            What::Kernels => builtin::all()
                .iter()
                .chain(builtin::batched())
                .map(|kernel| {
                    let class = kernel.defect().map_or(String::new(), |defect| format!("[{}] ", defect.class));
                    (kernel.name().to_owned(), class + kernel.summary())
                })
                .collect(),
            What::Ops => Op::ALL
                .iter()
                .map(|op| {
                    let flags = op.others().iter().map(|input| format!(" --{}", input.name.replace('_', "-")));
                    let flags: String = flags.collect();
                    let space = if flags.is_empty() { "" } else { " " };
                    (op.name().to_owned(), format!("{}{space}{flags}", op.formula()))
                })
                .collect(),
            What::Dtypes => Dtype::ALL
                .iter()
                .map(|dtype| {
                    let format = dtype.format();
                    let about = match dtype.is_mixed() {
                        true => format!("{} is read, and {} is written", dtype.input(), dtype.output()),
                        false => format!(
                            "{} bits of precision, largest {:e}, least {:e}",
                            format.precision,
                            format.largest(),
                            format.least()
                        ),
                    };
                    (dtype.name().to_owned(), about)
                })
                .collect(),
            What::Families => Family::all()
                .iter()
                .map(|family| {
                    let slow = if family.is_slow() { "(slow: runs only where it is named) " } else { "" };
                    (family.name().to_owned(), format!("{slow}{}", family.summary()))
                })
                .collect(),
            What::Presets => PRESETS
                .iter()
                .map(|preset| (preset.name.to_owned(), format!("{} ({})", preset.claims, preset.source)))
                .collect(),
        };
        let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        print(&rows.iter().map(|(name, about)| format!("{name:width$}  {about}\n")).collect::<String>())?;
        Ok(0)
    }
}

/// What a kernel implements: `1.2.0: softmax f32 f64, logsumexp f32`.
fn served(kernel: &dyn Kernel) -> String {
    let of_op = |op: Op| {
        let dtypes: Vec<&str> =
            Dtype::ALL.iter().filter(|&&dtype| kernel.supports(op, dtype)).map(|dtype| dtype.name()).collect();
        let is_batched =
            Dtype::ALL.iter().any(|&dtype| kernel.supports(op, dtype) && kernel.batched(op, dtype).is_some());
        let in_batches = if is_batched { " in batches" } else { "" };
        (!dtypes.is_empty()).then(|| format!("{op} {}{in_batches}", dtypes.join(" ")))
    };
    let ops: Vec<String> = Op::ALL.iter().copied().filter_map(of_op).collect();
    let version = kernel.version().map_or_else(String::new, |version| format!("{version}: "));
    version + &ops.join(", ")
}
