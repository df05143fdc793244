//! `logitfuzz replay`: a finding again. Exits 1 if it still fails.

use super::select::{Kernels, Policy};
use super::{Exit, FAILED, print, render};
use crate::campaign::{describe, quietly};
use crate::case::Case;
use crate::error::{Error, Result};
use crate::kernel::Kernel;
use crate::oracle::Oracle;
use crate::report;
use crate::results::Results;
use std::path::Path;
use std::sync::Arc;

#[derive(clap::Args)]
pub(super) struct Replay {
    #[command(flatten)]
    kernels: Kernels,
    #[command(flatten)]
    policy: Policy,
    /// A case in text ('softmax f32 [1000, 0]'), a file with one (text or bytes), or a results.json (or its folder): then all
    /// its findings, each on its own kernel unless --kernel is given
    #[arg(value_name = "CASE|FILE")]
    what: String,
    /// Of a results.json only this finding, counted from 0
    #[arg(long, value_name = "N")]
    finding: Option<usize>,
}

/// A case, and the name of the kernel that it was found on, if known.
pub(super) struct Found {
    pub case: Case,
    pub kernel: Option<String>,
}

impl Replay {
    pub fn main(self) -> Exit {
        let found = read(&self.what, self.finding)?;
        let mut oracle = Oracle::new();
        let (mut text, mut failed, mut ran) = (String::new(), 0, 0);
        for found in &found {
            for kernel in self.kernels.for_finding(found)? {
                if !kernel.supports(found.case.op(), found.case.dtype()) {
                    continue;
                }
                let claims = self.policy.claims_of(kernel.as_ref(), found.case.op(), found.case.dtype())?;
                let finding = quietly(|| describe(&mut oracle, kernel.as_ref(), &claims, &found.case, String::new()));
                ran += 1;
                failed += u64::from(finding.verdict.is_failure());
                text += &render::finding(&finding, &found.case);
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

impl Kernels {
    /// The kernels of a finding: those asked for, else its own, else all that are no planted defect.
    pub(super) fn for_finding(&self, found: &Found) -> Result<Vec<Arc<dyn Kernel>>> {
        match &found.kernel {
            Some(name) if self.is_default() => Kernels::named(name).resolve(),
            _ => self.resolve(),
        }
    }
}

/// Reads what there is to replay or to shrink: text, a file with a case, or results.
pub(super) fn read(what: &str, finding: Option<usize>) -> Result<Vec<Found>> {
    let path = Path::new(what);
    if !path.exists() {
        let looks_like_path = !what.contains('[');
        return match Case::parse(what) {
            Ok(case) => Ok(vec![Found { case, kernel: None }]),
            Err(_) if looks_like_path => Err(Error::usage(format!(
                "`{what}` is neither a file nor a case; a case reads like 'softmax f32 [1000, 0]'"
            ))),
            Err(error) => Err(error),
        };
    }
    if path.is_dir() || path.extension().is_some_and(|extension| extension == "json") {
        return from_results(&report::read(path)?, path, finding);
    }
    let bytes = std::fs::read(path).map_err(|error| Error::file(path, error))?;
    let case = match std::str::from_utf8(&bytes).map(Case::parse) {
        Ok(Ok(case)) => case,
        // A text that begins as a case and is none gets its own error; anything else is a fuzzer's input.
        Ok(Err(error)) if bytes.contains(&b'[') && bytes.is_ascii() => return Err(Error::file(path, error)),
        _ => Case::decode(&bytes),
    };
    Ok(vec![Found { case, kernel: None }])
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
            Ok(Found { case, kernel: Some(finding.kernel.clone()) })
        })
        .collect()
}
