//! The ordinary program that a fuzz target is where no fuzzer is built: it runs the files that it is given.

use super::{FuzzInput, Target};
use crate::case::Case;
use crate::error::{Error, Result};
use crate::judge::Verdict;
use crate::outside;
use crate::words::{ratio, short};
use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};

/// The longest input that is read: the header, and as many words of 16 bytes as a case can have.
const LONGEST: u64 = 6 + 8 + 16 * crate::case::MAX_DECODED_LOGITS as u64;

/// Runs each file, and each file of each folder, as a fuzzer's input; the exit code: 0, or 1 where a kernel fails.
///
/// # Errors
/// No argument, a file or folder that cannot be read, or no case that the target has.
pub(super) fn replay(target: &mut Target, arguments: impl Iterator<Item = OsString>) -> Result<u8> {
    let files = files(arguments)?;
    let (mut ran, mut failed, mut undecided) = (0, 0, 0);
    let (mut max_ratio, mut max_ulp) = (0.0f64, 0.0f64);
    let mut text = String::new();
    for file in &files {
        let case = Case::decode(&read(file)?);
        let Some(execution) = target.judge(&case) else { continue };
        ran += 1;
        let judgement = &execution.judgement;
        (max_ratio, max_ulp) = (max_ratio.max(judgement.max_ratio), max_ulp.max(judgement.max_ulp));
        undecided += usize::from(judgement.verdict == Verdict::Undecided);
        if judgement.verdict.is_failure() {
            failed += 1;
            text += &format!("{}:\n{}\n\n", file.display(), target.message(&execution, &case));
        }
    }
    if ran == 0 {
        return Err(Error::nothing_selected(format!(
            "none of the {} files is a case of this target; the first reads:\n{:?}",
            files.len(),
            FuzzInput(Case::decode(&read(&files[0])?))
        )));
    }
    text += &format!(
        "{ran} of {} inputs replayed, {failed} fail, {undecided} undecided; worst ratio {}, worst error {} ulp\n",
        files.len(),
        ratio(max_ratio),
        short(max_ulp)
    );
    std::io::stdout()
        .write_all(text.as_bytes())
        .map_err(|error| Error::harness(format!("cannot write to standard output: {error}")))?;
    Ok(u8::from(failed > 0))
}

/// The files that the arguments name, at least one.
pub(super) fn files(arguments: impl Iterator<Item = OsString>) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for argument in arguments {
        collect(Path::new(&argument), &mut files)?;
    }
    if files.is_empty() {
        return Err(Error::usage(
            "nothing to replay: give files or folders with inputs of the fuzzer; to fuzz, build with `cargo fuzz`",
        ));
    }
    Ok(files)
}

/// The file, or the files below the folder, in the order of their names.
fn collect(path: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    if !path.is_dir() {
        files.push(path.to_owned());
        return Ok(());
    }
    let entries = std::fs::read_dir(path).and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect());
    let mut entries: Vec<PathBuf> = entries.map_err(|error| Error::file(path, error))?;
    entries.sort();
    // What a version system or a person keeps beside the inputs is none.
    let is_input = |entry: &PathBuf| !entry.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
    entries.into_iter().filter(is_input).try_for_each(|entry| collect(&entry, files))
}

fn read(path: &Path) -> Result<Vec<u8>> {
    let length = std::fs::metadata(path).map_err(|error| Error::file(path, error))?.len();
    if length > LONGEST {
        return Err(Error::file(path, format!("{length} bytes are more than any case has ({LONGEST})")));
    }
    outside::read(path, &outside::CASE).map_err(|error| Error::file(path, error))
}
