//! `logitfuzz replay`: a case or findings again. Exits 1 if any still fails.

use super::select::{Kernels, Policy};
use super::{Exit, FAILED, print, render};
use crate::case::Case;
use crate::diagnosis::{describe, describe_batch, evidence};
use crate::error::{Error, Result};
use crate::kernel::batch::is_batch_text;
use crate::kernel::{self, Batch, Kernel, accepts};
use crate::oracle::Oracle;
use crate::outside;
use crate::quiet::quietly;
use crate::report;
use crate::results::{Finding, Results, Settings};
use std::path::Path;
use std::sync::Arc;

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  logitfuzz replay --kernel naive 'softmax f32 [1000, 0]'
  logitfuzz replay --kernel naive --explain 'softmax f32 [1000, 0]'
  logitfuzz replay 'cross_entropy f16 [0x1p+3, -inf, 0*30] target=1 label_smoothing=0.1'
  logitfuzz replay --kernel batch-rows 'batch judged=1: softmax f32 [nan]; softmax f32 [0] x 3'
  logitfuzz replay reports/latest --finding 0")]
pub(super) struct Replay {
    #[command(flatten)]
    kernels: Kernels,
    #[command(flatten)]
    policy: Policy,
    /// A case in text ('softmax f32 [1000, 0]'), a batch ('batch judged=1: CASE; CASE x 30'), a file with one of them (text or bytes), or
    /// a results.json (or its folder): then all
    /// its findings, each as its own replay command says, unless flags say otherwise
    #[arg(value_name = "CASE|FILE")]
    what: String,
    /// Of a results.json only this finding, counted from 0
    #[arg(long, value_name = "N", value_parser = super::whole::<usize>, allow_hyphen_values = true)]
    finding: Option<usize>,
    /// Where a finding answers like a planted defect: the probes that show it
    #[arg(long)]
    explain: bool,
}

/// A case, the kernels to run it on and the policy to judge it by: what is asked for, else of a finding its own; else all kernels that
/// are no planted defect, each by its own policy.
pub(super) struct Found {
    pub case: Case,
    /// The batch of which the case is the judged row, where it is given in one.
    pub batch: Option<Batch>,
    kernels: Kernels,
    pub policy: Policy,
}

impl Found {
    /// The kernels to run the case on.
    pub fn kernels(&self) -> Result<Vec<Arc<dyn Kernel>>> {
        self.kernels.resolve(Some((self.case.op(), self.case.dtype())))
    }
}

impl Replay {
    pub fn main(self) -> Exit {
        #[cfg(unix)]
        crate::foreign::show_errors();
        let found = read(&self.what, self.finding, &self.kernels, &self.policy)?;
        let mut oracle = Oracle::new();
        let (mut text, mut failed, mut ran) = (String::new(), 0, 0);
        for found in &found {
            for kernel in found.kernels()? {
                if !accepts(kernel.as_ref(), &found.case) {
                    continue;
                }
                let claims = found.policy.claims_of(kernel.as_ref(), found.case.op(), found.case.dtype())?;
                let finding = quietly(|| match &found.batch {
                    Some(batch) => describe_batch(&mut oracle, kernel.as_ref(), &claims, batch),
                    None => describe(&mut oracle, kernel.as_ref(), &claims, &found.case),
                });
                kernel::trouble(kernel.as_ref()).map_or(Ok(()), Err)?;
                ran += 1;
                failed += u64::from(finding.verdict.is_failure());
                // Another form of the row, if that is what fails.
                let case = finding.case().unwrap_or_else(|_| found.case.clone());
                text += &render::finding(&finding, &case);
                if self.explain && finding.batch.is_none() && finding.verdict.is_failure() {
                    let evidence = quietly(|| evidence(&mut oracle, kernel.as_ref(), &claims, &case));
                    text += &render::evidence(kernel.name(), evidence.as_ref());
                }
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

/// Reads what there is to replay or to shrink: text, a file with a case, or results. The kernels and the policy are those asked for.
pub(super) fn read(what: &str, finding: Option<usize>, kernels: &Kernels, policy: &Policy) -> Result<Vec<Found>> {
    let path = Path::new(what);
    let is_results = path.is_dir() || (path.extension().is_some_and(|extension| extension == "json") && path.exists());
    if finding.is_some() && !is_results {
        return Err(Error::usage(format!("--finding chooses from a results.json or its folder; `{what}` is neither")));
    }
    if is_results {
        return from_results(&report::read(path)?, path, finding, kernels, policy);
    }
    let (case, batch) = if path.exists() { case_in(path)? } else { case_of(what)? };
    Ok(vec![Found { case, batch, kernels: kernels.clone(), policy: policy.clone() }])
}

/// A case, and the batch of which it is the judged row, if it is given in one.
type Given = (Case, Option<Batch>);

/// The case or the batch that a text means.
fn given(text: &str) -> Result<Given> {
    if is_batch_text(text) {
        return Batch::parse(text).map(|batch| (batch.case().clone(), Some(batch)));
    }
    Case::parse(text).map(|case| (case, None))
}

/// The case of a text.
fn case_of(text: &str) -> Result<Given> {
    let looks_like_path = !text.contains('[');
    given(text).map_err(|error| {
        if looks_like_path {
            Error::usage(format!("`{text}` is neither a file nor a case; a case reads like 'softmax f32 [1000, 0]'"))
        } else {
            error
        }
    })
}

/// The case in a file: text, or any bytes.
fn case_in(path: &Path) -> Result<Given> {
    let bytes = outside::read(path, &outside::CASE).map_err(|error| Error::file(path, error))?;
    match std::str::from_utf8(outside::without_mark(&bytes)).map(given) {
        Ok(Ok(given)) => Ok(given),
        // A text that begins as a case and is none gets its own error; anything else is a fuzzer's input.
        Ok(Err(error)) if bytes.contains(&b'[') && outside::without_mark(&bytes).is_ascii() => {
            Err(Error::file(path, error))
        }
        _ => Ok((Case::decode(&bytes), None)),
    }
}

fn from_results(
    results: &Results,
    path: &Path,
    wanted: Option<usize>,
    kernels: &Kernels,
    policy: &Policy,
) -> Result<Vec<Found>> {
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
            let refuse = |reason: String| Error::file(path, format!("finding {index}: {reason}"));
            let case = finding.case().map_err(|error| refuse(error.to_string()))?;
            let batch = finding.batch().map_err(|error| refuse(error.to_string()))?;
            let finding = with_policy(finding, &results.settings)?;
            if kernels.is_default() && finding.command().map_err(|error| refuse(error.to_string()))? != finding.replay {
                return Err(refuse(format!(
                    "what is recorded of the kernel {} is not what its `replay` says: it was edited, or is of an older logitfuzz; name \
                     the kernel with --kernel",
                    finding.kernel
                )));
            }
            let policy = Policy {
                special: policy.special.or(finding.special),
                claims: policy.claims.clone().or_else(|| finding.claims.clone()),
                strict: policy.strict,
            };
            Ok(Found { case, batch, kernels: kernels.or(&Kernels::of(finding.selector())), policy })
        })
        .collect()
}

/// The finding with its policy. One of an older version has none of its own: it is that of the whole run.
fn with_policy(finding: &Finding, settings: &Settings) -> Result<Finding> {
    let mut finding = finding.clone();
    if finding.special.is_none() {
        finding.special = settings.special.as_ref().map(|special| special.parse()).transpose()?;
    }
    finding.claims = finding.claims.or_else(|| settings.claims.clone());
    Ok(finding)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    /// One finding of the kernel `naive` with a claim for all kernels.
    fn results() -> Results {
        let mut results = sample::results(0);
        results.findings.retain(|finding| finding.kernel == "naive" && finding.command().is_ok());
        results.findings.truncate(1);
        let finding = &mut results.findings[0];
        finding.replay = finding.command().unwrap();
        results
    }

    fn read(results: &Results, asked: &Kernels) -> Result<Vec<Found>> {
        from_results(results, Path::new("some.json"), None, asked, &Policy::default())
    }

    #[test]
    fn a_finding_says_its_kernel_and_its_policy() {
        let results = results();
        let found = read(&results, &Kernels::default()).unwrap();
        assert_eq!(found[0].policy.claims.as_deref(), Some("exp=4,sum=pairwise"));
        assert_eq!(found[0].kernels().unwrap()[0].name(), "naive");
    }

    #[test]
    fn a_file_of_before_findings_held_their_policy() {
        let mut results = results();
        results.findings[0].claims = None;
        let found = read(&results, &Kernels::default()).unwrap();
        assert_eq!(found[0].policy.claims, results.settings.claims);
        // What only its command knew is not guessed.
        results.findings[0].replay = results.findings[0].replay.replace("naive", "c:./libmine.so");
        let error = read(&results, &Kernels::default()).err().map(|error| error.to_string()).unwrap_or_default();
        assert!(
            error.starts_with("some.json: finding 0: ") && error.ends_with("name the kernel with --kernel"),
            "{error}"
        );
        assert!(read(&results, &Kernels::of("naive")).is_ok());
    }
}
