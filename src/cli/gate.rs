//! `logitfuzz gate`: measures, and compares with a baseline. Exits 1 where a kernel got worse; never writes the baseline.

use super::run::{incomplete, measure};
use super::select::{Kernels, Policy, Work};
use super::{Exit, FAILED, print};
use crate::baseline::{self, Baseline, BaselineSettings, CellName, Comparison, Reason};
use crate::error::{Error, Result};
use crate::generate;
use crate::kernel::builtin;
use crate::outside;
use crate::report::{self, github};
use crate::results::{self, Results, RunInfo};
use clap::ValueEnum;
use std::io::Write as _;
use std::path::{Path, PathBuf};

#[derive(clap::Args)]
#[command(after_help = "\
Writes results.json, run.json (not with --from), summary.md, index.html, junit.xml, logitfuzz.sarif and gate.json, and
where it fails baseline.new.json, which `logitfuzz accept --from` accepts. Without a baseline every failing verdict fails
the gate.

Exits 0 if no cell is worse, 1 if one is, 2 if the baseline cannot be used, 3 if a kernel could not be loaded, 4 if nothing is
selected.

Examples:
  logitfuzz gate
  logitfuzz gate --kernel shifted --op softmax --baseline reports/softmax.json --format github
  logitfuzz gate --from reports/merged --baseline-rev origin/main")]
pub(super) struct Gate {
    #[command(flatten)]
    measurement: Measurement,
    /// The baseline as it is at this revision of the git repository: a branch, a tag or a commit
    #[arg(long, value_name = "GIT_REV")]
    baseline_rev: Option<String>,
    /// By how much a ratio may exceed the recorded one, in bounds; past a bound, in units of what is recorded
    #[arg(long, value_name = "X", default_value_t = baseline::DEFAULT_SLACK, allow_hyphen_values = true)]
    slack: f64,
    /// What to print: a summary for people, gate.json, or the summary with annotations of GitHub Actions (then
    /// $GITHUB_STEP_SUMMARY gets the summary in Markdown)
    #[arg(long, value_enum, default_value_t = GatePrinted::Human)]
    format: GatePrinted,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum GatePrinted {
    Human,
    Json,
    Github,
}

/// What `gate` and `accept` measure, and the baseline that it belongs to.
#[derive(clap::Args)]
pub(super) struct Measurement {
    #[command(flatten)]
    kernels: Kernels,
    #[command(flatten)]
    work: Work,
    #[command(flatten)]
    policy: Policy,
    /// The baseline [default: reports/baseline.json]
    #[arg(long, value_name = "FILE")]
    baseline: Option<PathBuf>,
    /// The folder of the report; it and its parents are made if they do not exist
    #[arg(short, long, value_name = "DIR", default_value = "reports/latest")]
    pub out: PathBuf,
    /// Measure nothing: take the results of a results.json, or of the folder of one
    #[arg(
        long,
        value_name = "RESULTS",
        conflicts_with_all = ["kernels", "ops", "dtypes", "families", "logits", "targets", "cases", "seed", "max_len", "jobs", "no_screen", "special", "claims", "shard"]
    )]
    pub from: Option<PathBuf>,
    /// The folder of the report, from before the measurement until it is written.
    #[arg(skip)]
    folder: Option<report::Folder>,
}

impl Measurement {
    /// Writes the report.
    pub fn write(&self, results: &Results, info: Option<&RunInfo>, gate: Option<report::Gate>) -> Result<()> {
        match &self.folder {
            Some(folder) => folder.write(results, info, gate),
            None => report::write(&self.out, results, info, gate),
        }
        .map(drop)
    }

    /// The file of the baseline.
    pub fn path(&self) -> &Path {
        self.baseline.as_deref().unwrap_or(Path::new(baseline::DEFAULT_PATH))
    }

    /// The baseline; none if there is none and none was asked for.
    fn baseline(&self) -> Result<Option<Baseline>> {
        match &self.baseline {
            None if !self.path().exists() => Ok(None),
            _ => Baseline::read(self.path()).map(Some),
        }
    }

    /// Measures, with what no flag says taken from the baseline. `check` sees what is going to be measured before it is.
    pub fn results(
        &mut self,
        baseline: Option<&Baseline>,
        check: impl Fn(&results::Settings, &BaselineSettings) -> Result<()>,
    ) -> Result<(Results, Option<RunInfo>)> {
        if let Some(from) = &self.from {
            let results = report::read(from)?;
            if results.settings.search > 0 {
                return Err(Error::usage(format!(
                    "{}: a search has other cases for every version of a kernel, so it cannot be compared; run without --search",
                    from.display()
                )));
            }
            check(&results.settings, &BaselineSettings::of(&results.settings, results.provenance.generators))?;
            return Ok((results, None));
        }
        if let Some(baseline) = baseline {
            self.work.fill(&baseline.settings);
            self.policy.fill(&baseline.settings)?;
        }
        let plan = self.work.plan(&self.kernels, &self.policy)?;
        let settings = plan.settings();
        check(&settings, &BaselineSettings::of(&settings, generate::VERSION))?;
        self.folder = Some(report::prepare(&self.out)?);
        let (results, info) = measure(&plan)?;
        if let Some(error) = plan.trouble() {
            // What was measured is shown all the same.
            self.write(&results, Some(&info), None)?;
            return Err(incomplete(&error, &self.out));
        }
        Ok((results, Some(info)))
    }
}

/// Whether a kernel that a baseline speaks of is there, as far as can be told: where kernels were chosen, others may exist.
pub(super) fn exists(settings: &results::Settings, kernel: &str) -> bool {
    let ordinary = builtin::all().iter().filter(|kernel| kernel.defect().is_none()).map(|kernel| kernel.name());
    let is_default = ordinary.eq(settings.kernels.iter().map(String::as_str));
    !is_default || builtin::find(kernel).is_some()
}

impl Gate {
    pub fn main(mut self) -> Exit {
        let path = self.measurement.path().to_owned();
        let baseline = match &self.baseline_rev {
            Some(revision) => Some(Baseline::at_revision(&path, revision)?),
            None => self.measurement.baseline()?,
        };
        let (results, info) = self.measurement.results(baseline.as_ref(), |settings, measured| {
            baseline.iter().try_for_each(|baseline| {
                baseline.refuse_former()?;
                baseline.refuse_stale(|kernel| exists(settings, kernel))?;
                baseline.fits(measured)
            })
        })?;
        let comparison = match baseline::compare(&results, baseline.as_ref(), self.slack) {
            Ok(comparison) => comparison,
            Err(error) => {
                // What was measured is shown all the same.
                self.measurement.write(&results, info.as_ref(), None)?;
                return Err(error);
            }
        };
        if comparison.cells.is_empty() {
            return Err(Error::nothing_selected("there is no cell to compare: the results are empty"));
        }
        let is_gone = |name: &CellName| !results.cells.iter().any(|cell| CellName::of(cell) == *name);
        let prunes = comparison
            .worse()
            .any(|(cell, regressions)| regressions[0].reason == Reason::Missing && is_gone(&cell.name));
        // A shard with some rows only of a cell has nothing to propose: what is accepted is merged first.
        let is_whole = !results.cells.iter().any(|cell| results.has_ranges_of(&cell.family));
        let proposal = match comparison.passes() || !is_whole {
            true => None,
            false => Some(proposal(baseline, &path, &results, prunes)?.text()?),
        };
        let gate = report::Gate { comparison: &comparison, proposal: proposal.as_deref() };
        self.measurement.write(&results, info.as_ref(), Some(gate))?;
        self.show(&comparison, &results, prunes, proposal.is_some())?;
        Ok(if comparison.passes() { 0 } else { FAILED })
    }

    fn show(&self, comparison: &Comparison, results: &Results, prunes: bool, is_proposed: bool) -> Result<()> {
        if self.format == GatePrinted::Json {
            return print(&report::gate::json(comparison)?);
        }
        let out = &self.measurement.out;
        let mut text = report::gate::text(comparison);
        text += &format!("\nreport: {}\n", outside::path(&out.join(report::PAGE_FILE)));
        if is_proposed {
            text +=
                &format!("to accept: logitfuzz accept --from {}", outside::quoted(&out.join(report::PROPOSAL_FILE)));
            if let Some(path) = &self.measurement.baseline {
                text += &format!(" --baseline {}", outside::quoted(path));
            }
            text += if prunes { " --prune\n" } else { "\n" };
        }
        if self.format == GatePrinted::Github {
            text += &github::annotations(comparison);
            if let Some(file) = std::env::var_os("GITHUB_STEP_SUMMARY") {
                append_summary(Path::new(&file), &report::markdown::summary(results, None, Some(comparison)))?;
            }
        }
        print(&text)
    }
}

/// The baseline that accepting these results would write.
fn proposal(baseline: Option<Baseline>, path: &Path, results: &Results, prunes: bool) -> Result<Baseline> {
    let Some(baseline) = baseline else { return Ok(Baseline::of(results).at(path)) };
    let mut next = baseline.accept(results)?;
    if prunes {
        next.prune(results, |kernel| exists(&results.settings, kernel));
    }
    Ok(next)
}

/// Appends to the summary of a step of GitHub Actions.
fn append_summary(file: &Path, markdown: &str) -> Result<()> {
    let cannot =
        |error| Error::harness(format!("cannot write {}, which $GITHUB_STEP_SUMMARY names: {error}", file.display()));
    let there = std::fs::metadata(file).map_or(0, |found| found.len() as usize);
    let mut file_opened = std::fs::OpenOptions::new().append(true).create(true).open(file).map_err(cannot)?;
    file_opened.write_all(github::step_summary(markdown, there).as_bytes()).map_err(cannot)
}
