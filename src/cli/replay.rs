//! `logitfuzz replay`: a case or findings again. Exits 1 if any still fails.

use super::select::{Kernels, Policy};
use super::{Arguments, Command, Exit, FAILED, print, render};
use crate::case::Case;
use crate::diagnosis::describe;
use crate::error::{Error, Result};
use crate::kernel::{self, Kernel, accepts};
use crate::oracle::Oracle;
use crate::outside;
use crate::quiet::quietly;
use crate::report;
use crate::results::{Finding, Results};
use clap::Parser as _;
use std::path::Path;
use std::sync::Arc;

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  logitfuzz replay --kernel naive 'softmax f32 [1000, 0]'
  logitfuzz replay 'cross_entropy f16 [0x1p+3, -inf, 0*30] target=1 label_smoothing=0.1'
  logitfuzz replay reports/latest --finding 0")]
pub(super) struct Replay {
    #[command(flatten)]
    kernels: Kernels,
    #[command(flatten)]
    policy: Policy,
    /// A case in text ('softmax f32 [1000, 0]'), a file with one (text or bytes), or a results.json (or its folder): then all
    /// its findings, each as its own replay command says, unless flags say otherwise
    #[arg(value_name = "CASE|FILE")]
    what: String,
    /// Of a results.json only this finding, counted from 0
    #[arg(long, value_name = "N", value_parser = super::whole::<usize>, allow_hyphen_values = true)]
    finding: Option<usize>,
}

/// A case; of a finding also the kernel that it was found on and the policy it was judged by.
pub(super) struct Found {
    pub case: Case,
    kernels: Kernels,
    policy: Policy,
}

impl Found {
    /// A case that comes from no finding.
    fn bare(case: Case) -> Self {
        Self { case, kernels: Kernels::default(), policy: Policy::default() }
    }

    /// The kernels to run the case on: those asked for, else its own, else all that are no planted defect.
    pub fn kernels(&self, asked: &Kernels) -> Result<Vec<Arc<dyn Kernel>>> {
        asked.or(&self.kernels).resolve(Some((self.case.op(), self.case.dtype())))
    }

    /// The policy to judge it by: what is asked for, else its own.
    pub fn policy(&self, asked: &Policy) -> Policy {
        Policy {
            special: asked.special.or(self.policy.special),
            claims: asked.claims.clone().or_else(|| self.policy.claims.clone()),
        }
    }
}

impl Replay {
    pub fn main(self) -> Exit {
        let found = read(&self.what, self.finding)?;
        let mut oracle = Oracle::new();
        let (mut text, mut failed, mut ran) = (String::new(), 0, 0);
        for found in &found {
            let policy = found.policy(&self.policy);
            for kernel in found.kernels(&self.kernels)? {
                if !accepts(kernel.as_ref(), &found.case) {
                    continue;
                }
                let claims = policy.claims_of(kernel.as_ref(), found.case.op(), found.case.dtype())?;
                let finding = quietly(|| describe(&mut oracle, kernel.as_ref(), &claims, &found.case));
                kernel::trouble(kernel.as_ref()).map_or(Ok(()), Err)?;
                ran += 1;
                failed += u64::from(finding.verdict.is_failure());
                // Another form of the row, if that is what fails.
                text += &render::finding(&finding, finding.case().as_ref().unwrap_or(&found.case));
            }
        }
        if ran == 0 {
            return Err(Error::nothing_selected("no selected kernel implements the op in the dtype of the case"));
        }
        text += &format!("{failed} of {ran} replayed cases still fail\n");
        print(&text)?;
        Ok(if failed > 0 { FAILED } else { 0 })
    }
}

/// Reads what there is to replay or to shrink: text, a file with a case, or results.
pub(super) fn read(what: &str, finding: Option<usize>) -> Result<Vec<Found>> {
    let path = Path::new(what);
    let is_results = path.is_dir() || (path.extension().is_some_and(|extension| extension == "json") && path.exists());
    if finding.is_some() && !is_results {
        return Err(Error::usage(format!("--finding chooses from a results.json or its folder; `{what}` is neither")));
    }
    if !path.exists() {
        let looks_like_path = !what.contains('[');
        return match Case::parse(what) {
            Ok(case) => Ok(vec![Found::bare(case)]),
            Err(_) if looks_like_path => Err(Error::usage(format!(
                "`{what}` is neither a file nor a case; a case reads like 'softmax f32 [1000, 0]'"
            ))),
            Err(error) => Err(error),
        };
    }
    if is_results {
        return from_results(&report::read(path)?, path, finding);
    }
    let bytes = outside::read(path, &outside::CASE).map_err(|error| Error::file(path, error))?;
    let case = match std::str::from_utf8(outside::without_mark(&bytes)).map(Case::parse) {
        Ok(Ok(case)) => case,
        // A text that begins as a case and is none gets its own error; anything else is a fuzzer's input.
        Ok(Err(error)) if bytes.contains(&b'[') && outside::without_mark(&bytes).is_ascii() => {
            return Err(Error::file(path, error));
        }
        _ => Case::decode(&bytes),
    };
    Ok(vec![Found::bare(case)])
}

fn from_results(results: &Results, path: &Path, wanted: Option<usize>) -> Result<Vec<Found>> {
    let count = results.findings.len();
    if let Some(index) = wanted.filter(|&index| index >= count) {
        return Err(Error::file(path, format!("there is no finding {index}; it has {count}, counted from 0")));
    }
    if count == 0 {
        return Err(Error::nothing_selected(format!("{}: it has no findings", path.display())));
    }
    let chosen = results.findings.iter().enumerate().filter(|(index, _)| wanted.is_none_or(|wanted| wanted == *index));
    chosen
        .map(|(index, finding)| {
            let case = finding.case().map_err(|error| Error::file(path, format!("finding {index}: {error}")))?;
            let (kernels, policy) = as_found(finding).ok_or_else(|| {
                Error::file(path, format!("finding {index}: its `replay` is no logitfuzz replay command"))
            })?;
            Ok(Found { case, kernels, policy })
        })
        .collect()
}

/// The kernel and the policy of a finding, as its replay command holds them; none if that was not written by logitfuzz.
fn as_found(finding: &Finding) -> Option<(Kernels, Policy)> {
    match Arguments::try_parse_from(shlex::split(&finding.replay)?).ok()?.command {
        Command::Replay(replay) => Some((replay.kernels, replay.policy)),
        _ => None,
    }
}
