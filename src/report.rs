//! Reports: from [`Results`] to files that people and programs read.
//!
//! | file | for |
//! |---|---|
//! | `results.json` | programs: everything, byte-identical for equal results ([`json`]) |
//! | `run.json` | whoever asks when and where: time, machine, command line |
//! | `summary.md` | a terminal, a pull request, a CI summary ([`markdown`]) |
//! | `index.html` | a person with a browser and no network ([`html`]) |
//! | `junit.xml` | CI systems that show tests (`junit`, with the feature `cli`) |
//! | `logitfuzz.sarif` | code scanning ([`sarif`]) |
//! | `gate.json` | programs: what a gate found ([`gate`]) |
//! | `baseline.new.json` | whoever accepts what a failed gate found ([`crate::baseline`]) |
//!
//! The last two are there after a gate only. `zoo` makes a page of its own, of planted defects; `exhaust` makes a certificate, a summary
//! and a page of an exhaustive run.
//!
//! [`write()`] makes all of them before it touches the first, so that a failed run leaves the older report as it was. What both
//! human forms count and sort alike is in `view`; the folder, which one run holds at a time, is `folder`.

use crate::baseline::{Comparison, DEFAULT_SLACK, judge_cells};
use crate::error::{Error, Result};
use crate::outside;
use crate::results::{Results, RunInfo};
use std::io;
use std::path::{Path, PathBuf};

mod declared;
mod escape;
#[cfg(feature = "cli")]
pub(crate) mod exhaust;
pub(crate) mod finding;
mod folder;
pub mod gate;
pub mod github;
pub mod html;
pub mod json;
#[cfg(feature = "cli")]
pub mod junit;
pub mod markdown;
pub mod sarif;
mod strict;
mod view;
#[cfg(feature = "cli")]
pub mod zoo;

#[doc(hidden)]
pub use finding::meaning;
pub use folder::{Folder, prepare};

#[cfg(test)]
pub(crate) mod sample;

/// The name of the file with the results, inside a report's folder.
pub const RESULTS_FILE: &str = "results.json";
/// The name of the file with what is known of the run and is no result.
pub const RUN_FILE: &str = "run.json";
/// The name of the summary in Markdown.
pub const SUMMARY_FILE: &str = "summary.md";
/// The name of the page.
pub const PAGE_FILE: &str = "index.html";
/// The name of the file for CI systems that show tests.
pub const JUNIT_FILE: &str = "junit.xml";
/// The name of the file for code scanning.
pub const SARIF_FILE: &str = "logitfuzz.sarif";
/// The name of the file with what a gate found.
pub const GATE_FILE: &str = "gate.json";
/// The name of the baseline that accepting a failed gate would write.
pub const PROPOSAL_FILE: &str = "baseline.new.json";

/// Every name, in the order in which the files are written.
const FILES: [&str; 8] =
    [RESULTS_FILE, RUN_FILE, SUMMARY_FILE, PAGE_FILE, JUNIT_FILE, SARIF_FILE, GATE_FILE, PROPOSAL_FILE];

/// What a gate adds to a report.
#[derive(Debug, Clone, Copy)]
pub struct Gate<'a> {
    /// What it found.
    pub comparison: &'a Comparison,
    /// The text of the baseline that accepting it would write, if it failed.
    pub proposal: Option<&'a str>,
}

/// Writes all files of the table above that there is something for into `dir`, and returns their paths: [`prepare`], then
/// [`Folder::write`].
///
/// # Errors
/// Those of the two.
pub fn write(dir: &Path, results: &Results, run: Option<&RunInfo>, gate: Option<Gate>) -> Result<Vec<PathBuf>> {
    // Made first: what cannot be made leaves no folder behind.
    let contents = contents(results, run, gate)?;
    prepare(dir)?.write_all(contents)
}

impl Folder {
    /// Writes all files of the table above that there is something for, and returns their paths.
    ///
    /// Each file is written whole or not at all: a temporary file beside it, synced, then renamed. All of them are complete on disk
    /// before the first is renamed. A symbolic link in the place of a file is written through. A `run.json` of an earlier run is
    /// left alone if there is no `run`; what an earlier gate left goes away, because it speaks of other results.
    ///
    /// # Errors
    /// Something that is no file in the place of one of the files, a full disk, or any other failure to write.
    pub fn write(&self, results: &Results, run: Option<&RunInfo>, gate: Option<Gate>) -> Result<Vec<PathBuf>> {
        self.write_all(contents(results, run, gate)?)
    }
}

/// The text of each file that there is something for.
fn contents(results: &Results, run: Option<&RunInfo>, gate: Option<Gate>) -> Result<Vec<(&'static str, String)>> {
    let comparison = gate.map(|gate| gate.comparison);
    // Without a gate, every failing verdict counts.
    let alone = judge_cells(results, None, DEFAULT_SLACK);
    let judged = comparison.unwrap_or(&alone);
    let mut contents = vec![(RESULTS_FILE, json::text(results)?)];
    if let Some(run) = run {
        contents.push((RUN_FILE, json::run_text(run)?));
    }
    contents.push((SUMMARY_FILE, markdown::summary(results, run, comparison)));
    contents.push((PAGE_FILE, html::page(results, run, comparison)));
    #[cfg(feature = "cli")]
    contents.push((JUNIT_FILE, junit::text(judged)?));
    contents.push((SARIF_FILE, sarif::text(judged)?));
    if let Some(comparison) = comparison {
        contents.push((GATE_FILE, gate::json(comparison)?));
    }
    if let Some(proposal) = gate.and_then(|gate| gate.proposal) {
        contents.push((PROPOSAL_FILE, proposal.to_owned()));
    }
    Ok(contents)
}

/// Reads results again: `path` is a file, or a folder with a `results.json`.
///
/// # Errors
/// One line that names the file and says what is wrong: it is missing, it is no JSON (with line and column), it is of
/// another or a newer schema, or a value in it is not what it should be.
pub fn read(path: &Path) -> Result<Results> {
    let path = if path.is_dir() { path.join(RESULTS_FILE) } else { path.to_owned() };
    let bytes = outside::read(&path, &outside::RESULTS).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => {
            Error::file(&path, "no such file; name a results.json, or a folder that `logitfuzz run --out` wrote")
        }
        _ => Error::file(&path, error),
    })?;
    json::parse(&bytes).map_err(|reason| Error::file(&path, reason))
}

/// What is known of the run that gave the results at `path`: the `run.json` beside them. None where there is none.
///
/// # Errors
/// It is there and cannot be read: one line that names the file and says what is wrong.
pub fn read_run(path: &Path) -> Result<Option<RunInfo>> {
    let folder = if path.is_dir() { Some(path) } else { path.parent() };
    let path = folder.unwrap_or(Path::new("")).join(RUN_FILE);
    match outside::read(&path, &outside::RUN) {
        Ok(bytes) => json::parse_run(&bytes).map(Some).map_err(|reason| Error::file(&path, reason)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::file(&path, error)),
    }
}

#[cfg(test)]
mod tests;
