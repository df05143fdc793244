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
//! The last two are there after a gate only. `zoo` makes a page of its own, of planted defects.
//!
//! [`write()`] makes all of them before it touches the first, so that a failed run leaves the older report as it was. What both
//! human forms count and sort alike is in `view`.

use crate::baseline::{Comparison, DEFAULT_SLACK, judge_cells};
use crate::error::{Error, Result};
use crate::results::{Results, RunInfo};
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

mod declared;
pub mod gate;
pub mod github;
pub mod html;
pub mod json;
#[cfg(feature = "cli")]
pub mod junit;
pub mod markdown;
pub mod sarif;
mod view;
#[cfg(feature = "cli")]
pub mod zoo;

#[cfg(feature = "arbitrary")]
pub(crate) use view::plural;
pub(crate) use view::short;

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

/// Writes all files of the table above that there is something for into `dir`, and returns their paths.
///
/// Each file is written whole or not at all: a temporary file in the same folder, synced, then renamed. All of them are
/// complete on disk before the first is renamed. A `run.json` of an earlier run is left alone if there is no `run`; what an
/// earlier gate left goes away, because it speaks of other results.
///
/// # Errors
/// What [`prepare`] refuses, a folder in the place of one of the files, a full disk, or any other failure to write.
pub fn write(dir: &Path, results: &Results, run: Option<&RunInfo>, gate: Option<Gate>) -> Result<Vec<PathBuf>> {
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

    prepare(dir)?;
    let targets: Vec<PathBuf> = contents.iter().map(|(name, _)| dir.join(name)).collect();
    let mut staged = Vec::new();
    for ((_, text), target) in contents.iter().zip(&targets) {
        staged.push(stage(dir, text.as_bytes()).map_err(|error| cannot_write(target, &error))?);
    }
    for (file, target) in staged.into_iter().zip(&targets) {
        file.persist(target).map_err(|error| cannot_write(target, &error.error))?;
    }
    for old in [GATE_FILE, PROPOSAL_FILE].map(|name| dir.join(name)).iter().filter(|old| !targets.contains(old)) {
        match fs::remove_file(old) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(cannot_write(old, &error)),
            _ => {}
        }
    }
    // Makes the renames last through a power cut. Not every file system can sync a folder; the files are whole either way.
    let _ = fs::File::open(dir).and_then(|folder| folder.sync_all());
    Ok(targets)
}

/// Makes the folder `dir` and its parents unless they exist, and tries that a file can be made in it. Call it before long
/// work, so that a report that cannot be written is known at once.
///
/// # Errors
/// `dir` or one of its parents is a file, nothing can be written there, or a folder is in the place of one of the files.
pub fn prepare(dir: &Path) -> Result<()> {
    let refuse = |reason: String| Err(Error::harness(format!("cannot write a report to {}: {reason}", dir.display())));
    match fs::metadata(dir) {
        Ok(found) if !found.is_dir() => return refuse("it is a file; choose a folder with --out".into()),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            if let Err(error) = fs::create_dir_all(dir) {
                return refuse(reason(&error));
            }
        }
        Err(error) => return refuse(reason(&error)),
    }
    let files = FILES.map(|name| dir.join(name));
    if let Some(in_the_way) = files.iter().find(|file| file.is_dir()) {
        return refuse(format!("{} is a folder; move it, or choose another folder with --out", in_the_way.display()));
    }
    match builder().tempfile_in(dir) {
        Ok(_) => Ok(()),
        Err(error) => refuse(reason(&error)),
    }
}

/// Reads results again: `path` is a file, or a folder with a `results.json`.
///
/// # Errors
/// One line that names the file and says what is wrong: it is missing, it is no JSON (with line and column), it is of
/// another or a newer schema, or a value in it is not what it should be.
pub fn read(path: &Path) -> Result<Results> {
    let path = if path.is_dir() { path.join(RESULTS_FILE) } else { path.to_owned() };
    let bytes = fs::read(&path).map_err(|error| match error.kind() {
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
    match fs::read(&path) {
        Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|error| Error::file(&path, error)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::file(&path, error)),
    }
}

/// A temporary file that people may read once it has its name (temporary files are private by default).
fn builder() -> tempfile::Builder<'static, 'static> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".logitfuzz-");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        /// Read and write for all, less what the user's umask takes away: as any newly made file.
        const PLAIN_FILE: u32 = 0o666;
        builder.permissions(fs::Permissions::from_mode(PLAIN_FILE));
    }
    builder
}

/// Writes one file whole or not at all, and makes its folder.
pub(crate) fn write_file(path: &Path, bytes: &[u8]) -> Result<()> {
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let write = || -> io::Result<()> {
        fs::create_dir_all(dir)?;
        stage(dir, bytes)?.persist(path).map_err(|error| error.error)?;
        let _ = fs::File::open(dir).and_then(|folder| folder.sync_all());
        Ok(())
    };
    write().map_err(|error| Error::harness(format!("cannot write {}: {error}", path.display())))
}

fn stage(dir: &Path, bytes: &[u8]) -> io::Result<tempfile::NamedTempFile> {
    let mut file = builder().tempfile_in(dir)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    Ok(file)
}

fn cannot_write(target: &Path, error: &io::Error) -> Error {
    Error::harness(format!("cannot write {}: {}", target.display(), reason(error)))
}

/// What went wrong and what to do, in words.
fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            format!("the disk is full ({}); free some space, or choose another folder with --out", error.kind())
        }
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            format!("it is not writable ({}); choose another folder with --out", error.kind())
        }
        io::ErrorKind::FileTooLarge => {
            format!(
                "a file may not grow that large here ({}); raise the limit (ulimit -f), or choose another folder with --out",
                error.kind()
            )
        }
        _ => format!("{error}; choose another folder with --out"),
    }
}

#[cfg(test)]
mod tests;
