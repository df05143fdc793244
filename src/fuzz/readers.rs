//! Every reader of what comes from outside, on any bytes: results, baselines, rows, what a worker says. What is accepted goes
//! through everything that is made of it. The fuzz target `outside` and a test in CI call this.

use crate::baseline::{self, Baseline, DEFAULT_SLACK};
use crate::campaign;
use crate::case::{self, Case};
use crate::dtype::Dtype;
use crate::error::{Error, Result};
use crate::generate::file::Rows;
use crate::outside;
use crate::protocol::hello::Hello;
use crate::protocol::{frame, lines};
use crate::report::{self, json};
use crate::results::{Results, Written};
use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

/// What the bytes of an input are read as; its first byte says which.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reader {
    Results,
    Baseline,
    Npy,
    Csv,
    TargetsNpy,
    TargetsText,
    Hello,
    BinaryAnswer,
    JsonAnswer,
    Case,
}

impl Reader {
    const ALL: [Self; 10] = [
        Self::Results,
        Self::Baseline,
        Self::Npy,
        Self::Csv,
        Self::TargetsNpy,
        Self::TargetsText,
        Self::Hello,
        Self::BinaryAnswer,
        Self::JsonAnswer,
        Self::Case,
    ];
}

/// The dtypes of the rows of a batch to which an answer is read.
const BATCH: [Dtype; 4] = [Dtype::F32, Dtype::F64, Dtype::F16, Dtype::Bf16];

/// Digits of the count of a run, above which a row is not made of its text: a short text can ask for gigabytes.
const LONGEST_COUNT: usize = 4;

/// Reads the bytes after the first as what the first says, and makes everything of it that can be made; whether it was accepted.
#[doc(hidden)]
pub fn outside(bytes: &[u8]) -> bool {
    let Some((&first, bytes)) = bytes.split_first() else { return false };
    let reader = Reader::ALL[usize::from(first) % Reader::ALL.len()];
    let accepted = match reader {
        Reader::Results => json::parse(bytes).map_err(Error::usage).and_then(|results| report_of(&results)),
        Reader::Baseline => Baseline::parse(bytes, Path::new("baseline.json")).and_then(|read| use_baseline(&read)),
        Reader::Npy => Rows::parse(Path::new("rows.npy"), bytes.to_vec()).map(|rows| use_rows(&rows)),
        Reader::Csv => Rows::parse(Path::new("rows.csv"), bytes.to_vec()).map(|rows| use_rows(&rows)),
        Reader::TargetsNpy => targets("targets.npy", bytes),
        Reader::TargetsText => targets("targets.txt", bytes),
        Reader::Hello => std::str::from_utf8(bytes)
            .map_err(|error| error.to_string())
            .and_then(Hello::read)
            .map(drop)
            .map_err(Error::usage),
        Reader::BinaryAnswer => frame::read_answer(BATCH.into_iter(), bytes).map(drop).map_err(Error::usage),
        Reader::JsonAnswer => lines::read_answer(BATCH.into_iter(), bytes).map(drop).map_err(Error::usage),
        Reader::Case => std::str::from_utf8(bytes).map_err(|error| Error::usage(error.to_string())).and_then(use_case),
    };
    accepted.is_ok()
}

/// The ordinary program that the target is where no fuzzer is built: reads each file, and each file of each folder.
#[doc(hidden)]
pub fn replay_outside(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let run = || -> Result<String> {
        let files = super::replay::files(arguments)?;
        let mut accepted = 0;
        for file in &files {
            let bytes = outside::read(file, &outside::CASE).map_err(|error| Error::file(file, error))?;
            accepted += usize::from(outside(&bytes));
        }
        Ok(format!("{} inputs replayed, {accepted} accepted", files.len()))
    };
    match run() {
        Ok(said) => {
            println!("{said}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}

/// Everything that is made of results: every report, a baseline and the gate against it, the cases of the findings, and the merged
/// campaign if they are of the only shard.
fn report_of(results: &Results) -> Result<()> {
    let alone = baseline::judge_cells(results, None, DEFAULT_SLACK);
    let own = Baseline::of(results);
    let gate = baseline::judge_cells(results, Some(&own), DEFAULT_SLACK);
    for comparison in [&alone, &gate] {
        let _ = report::markdown::summary(results, None, Some(comparison));
        let _ = report::html::page(results, None, Some(comparison));
        #[cfg(feature = "cli")]
        let _ = report::junit::text(comparison)?;
        let _ = (report::sarif::text(comparison)?, report::gate::json(comparison)?);
        let _ = (report::gate::text(comparison), report::github::annotations(comparison));
    }
    let _ = (json::text(results)?, baseline::compare(results, Some(&own), DEFAULT_SLACK).is_ok());
    let _ = own.accept(results).is_ok();
    if let Ok(read) = Baseline::parse(own.text()?.as_bytes(), Path::new("baseline.json")) {
        use_baseline(&read)?;
    }
    for finding in &results.findings {
        let others = finding.others.0.iter().flat_map(|(_, written)| match written {
            Written::Row(words) => &words[..],
            _ => &[],
        });
        if finding.logits.iter().chain(others).all(is_small) {
            let _ = finding.case().is_ok();
        }
    }
    let _ = campaign::merge(vec![("results.json".into(), results.clone())]).is_ok();
    Ok(())
}

fn use_baseline(read: &Baseline) -> Result<()> {
    let _ = (read.text()?, read.refuse_stale(|_| true).is_ok());
    for entry in read.entries.values() {
        let _ = (entry.failures(), entry.in_words(), entry.is_same(entry));
    }
    Ok(())
}

fn use_rows(rows: &Rows) {
    let _ = rows.checksum();
    for index in 0..rows.len() {
        let _ = Dtype::ALL.map(|dtype| rows.row(index, dtype).len());
    }
}

/// Reads targets for three rows of two logits.
fn targets(name: &str, bytes: &[u8]) -> Result<()> {
    let rows = Rows::parse(Path::new("rows.csv"), b"1,2\n3,4\n5,6\n".to_vec())?;
    rows.with_targets(Path::new(name), bytes.to_vec()).map(|rows| use_rows(&rows))
}

fn use_case(text: &str) -> Result<()> {
    if !text.split(|c: char| c == ',' || c.is_whitespace() || c == ']').all(is_small) {
        return Err(Error::usage("a row too long for this"));
    }
    let case = Case::parse(text)?;
    let _ = (case.to_string(), format!("{case:#}"), case.encode());
    let _ = case::parse_values(text, case.dtype()).is_ok();
    Ok(())
}

/// Whether a word stands for some values at most.
fn is_small(word: impl AsRef<str>) -> bool {
    word.as_ref().split_once('*').is_none_or(|(_, count)| count.len() <= LONGEST_COUNT)
}

#[cfg(test)]
pub(super) mod tests;
