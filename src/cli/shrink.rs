//! `logitfuzz shrink`: a failing case to a smaller one that fails in the same way.

use super::replay;
use super::select::{Kernels, Policy};
use super::{Exit, print, render};
use crate::diagnosis::{describe, describe_batch, shrink_batch, shrink_case};
use crate::error::Error;
use crate::kernel::{self, accepts};
use crate::oracle::Oracle;
use crate::quiet::quietly;

#[derive(clap::Args)]
#[command(after_help = "\
Prints a smaller case that fails with the same verdict on the same kind of row, for each kernel that fails.

Example:
  logitfuzz shrink --kernel naive 'softmax f32 [1000, 3, -7.25, 88.5]'")]
pub(super) struct Shrink {
    #[command(flatten)]
    kernels: Kernels,
    #[command(flatten)]
    policy: Policy,
    /// A case in text ('softmax f32 [1000, 0]'), a file with one (text or bytes), or a results.json (or its folder): then all
    /// its findings
    #[arg(value_name = "CASE|FILE")]
    what: String,
    /// Of a results.json only this finding, counted from 0
    #[arg(long, value_name = "N", value_parser = super::whole::<usize>, allow_hyphen_values = true)]
    finding: Option<usize>,
}

impl Shrink {
    pub fn main(self) -> Exit {
        let mut oracle = Oracle::new();
        let (mut text, mut shrunk, mut tried) = (String::new(), 0, Vec::new());
        for found in replay::read(&self.what, self.finding, &self.kernels, &self.policy)? {
            for kernel in found.kernels()? {
                let case = &found.case;
                if !accepts(kernel.as_ref(), case) {
                    continue;
                }
                tried.push(kernel.name().to_owned());
                let claims = found.policy.claims_of(kernel.as_ref(), case.op(), case.dtype())?;
                let in_batch = found.batch.as_ref();
                let smaller =
                    quietly(|| in_batch.and_then(|batch| shrink_batch(&mut oracle, kernel.as_ref(), &claims, batch)));
                let (finding, smaller) = quietly(|| match smaller {
                    Some(batch) => {
                        (describe_batch(&mut oracle, kernel.as_ref(), &claims, &batch), batch.case().clone())
                    }
                    None => {
                        let smaller = shrink_case(&mut oracle, kernel.as_ref(), &claims, case);
                        (describe(&mut oracle, kernel.as_ref(), &claims, &smaller), smaller)
                    }
                });
                kernel::trouble(kernel.as_ref()).map_or(Ok(()), Err)?;
                if finding.verdict.is_failure() {
                    shrunk += 1;
                    text += &render::finding(&finding, &smaller);
                }
            }
        }
        match (shrunk, tried.is_empty()) {
            (0, true) => Err(Error::nothing_selected("no selected kernel implements the op in the dtype of the case")),
            (0, false) => {
                Err(Error::usage(format!("the case does not fail on {}; there is nothing to shrink", tried.join(", "))))
            }
            _ => print(&text).map(|()| 0),
        }
    }
}
