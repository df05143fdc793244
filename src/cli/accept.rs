//! `logitfuzz accept`: writes the baseline, from a measurement or from what a failed gate left.

use super::gate::{Measurement, exists};
use super::{Exit, print};
use crate::baseline::{Baseline, CellName, Entry};
use crate::error::{Error, Result};
use crate::judge::Verdict;
use crate::outside;
use crate::report;
use crate::results::Results;
use std::path::Path;

#[derive(clap::Args)]
#[command(after_help = "\
Entries outside the selection stay as they are. An expected failure stays one while it fails with the same verdicts.

Examples:
  logitfuzz accept
  logitfuzz accept --from reports/latest/baseline.new.json
  logitfuzz accept --kernel naive --expect 'the formula of the book, kept to show what breaks'")]
pub(super) struct Accept {
    #[command(flatten)]
    measurement: Measurement,
    /// Remove entries that are stale: their kernel, op or family is not there any more, or no longer measured
    #[arg(long)]
    prune: bool,
    /// Mark every failing cell that is accepted as an expected failure, for this reason
    #[arg(long, value_name = "REASON")]
    expect: Option<String>,
}

/// The cells of which this is true, if there are any.
fn listed(what: &str, baseline: &Baseline, is_so: impl Fn(&Entry) -> bool) -> String {
    /// Cells that are named.
    const SHOWN: usize = 5;
    let found: Vec<String> =
        baseline.entries.iter().filter(|(_, entry)| is_so(entry)).map(|(name, _)| name.to_string()).collect();
    if found.is_empty() {
        return String::new();
    }
    let more = if found.len() > SHOWN { format!(" and {} more", found.len() - SHOWN) } else { String::new() };
    let shown = found.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
    format!("in {} of them {what}: {shown}{more}\n", found.len())
}

impl Accept {
    pub fn main(mut self) -> Exit {
        if self.expect.as_ref().is_some_and(|reason| reason.trim().is_empty()) {
            return Err(Error::usage("--expect needs a reason: why is it right that these cells fail?"));
        }
        let path = self.measurement.path().to_owned();
        if let Some(proposal) = self.proposal()? {
            return self.write(&path, |old| self.take(old, proposal));
        }
        // A baseline that cannot be read is no reason to measure, and is not written over.
        let old = if path.exists() { Some(Baseline::read(&path)?) } else { None };
        let (results, info) = self.measurement.results(old.as_ref(), |_, _| Ok(()))?;
        let written = self.write(&path, |old| self.change(old, &path, &results))?;
        if info.is_some() {
            self.measurement.write(&results, info.as_ref(), None)?;
        }
        Ok(written)
    }

    /// What a failed gate proposed, if `--from` names that.
    fn proposal(&self) -> Result<Option<Baseline>> {
        match &self.measurement.from {
            Some(from) if from.file_name().is_some_and(|name| name == report::PROPOSAL_FILE) => {
                Baseline::read(from).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// The baseline with the cells of a proposal.
    fn take(&self, old: Option<Baseline>, mut next: Baseline) -> Result<Baseline> {
        if self.expect.is_some() {
            return Err(Error::usage("--expect goes with a measurement or with --from results.json"));
        }
        if let Some(mut old) = old.filter(|_| !self.prune) {
            let measured: Vec<_> = next.entries.keys().map(CellName::function).collect();
            next.keep_declared(&old, measured.into_iter());
            old.entries.retain(|name, _| !next.entries.contains_key(name));
            if !old.entries.is_empty() {
                old.fits(&next.settings)?;
            }
            next.entries.extend(old.entries);
        }
        Ok(next)
    }

    /// The baseline with the cells of results.
    fn change(&self, old: Option<Baseline>, path: &Path, results: &Results) -> Result<Baseline> {
        let mut next = match old {
            Some(old) => old.accept(results)?,
            None => Baseline::of(results).at(path).accept(results)?,
        };
        if self.prune {
            next.prune(results, |kernel| exists(&results.settings, kernel));
        }
        if let Some(reason) = &self.expect {
            next.expect_failures(results, reason);
        }
        Ok(next)
    }

    fn write(&self, path: &Path, change: impl FnOnce(Option<Baseline>) -> Result<Baseline>) -> Exit {
        let mut before = None;
        let next = Baseline::update(path, |old| {
            before = old.clone();
            change(old)
        })?;
        let old = before.map(|before| before.entries).unwrap_or_default();
        let is_same = |name: &CellName| old.get(name).is_some_and(|entry| entry.is_same(&next.entries[name]));
        let added = next.entries.keys().filter(|name| !old.contains_key(name)).count();
        let changed = next.entries.keys().filter(|name| old.contains_key(name) && !is_same(name)).count();
        let removed = old.keys().filter(|name| !next.entries.contains_key(name)).count();
        let failing = next.entries.values().filter(|entry| entry.failures() > 0).count();
        let expected = next.entries.values().filter(|entry| entry.expected.is_some()).count();
        let mut text = format!(
            "{}: {} cell{}, {added} new, {changed} changed, {removed} removed; {failing} fail, {expected} of them expected\n",
            outside::path(path),
            next.entries.len(),
            if next.entries.len() == 1 { "" } else { "s" }
        );
        // What is accepted here no gate will miss, so it must not go unseen.
        text += &listed("nothing is measured", &next, |entry| entry.cases() == 0);
        text += &listed("the oracle is undecided", &next, |entry| entry.verdicts.contains_key(&Verdict::Undecided));
        if !next.declared.is_empty() {
            let count = next.declared.len();
            let declare = if count == 1 { "function declares of itself" } else { "functions declare of themselves" };
            text += &format!("what {count} {declare} is recorded with them\n");
        }
        print(&text)?;
        Ok(0)
    }
}
