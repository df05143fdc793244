//! `logitfuzz report`: results to a page, Markdown, JSON, JUnit or SARIF again.

use super::{Exit, print};
use crate::baseline::{DEFAULT_SLACK, judge_cells};
use crate::outside;
use crate::report;
use clap::ValueEnum;
use std::path::PathBuf;

#[derive(clap::Args)]
pub(super) struct Report {
    /// A results.json, or the folder of one
    #[arg(value_name = "RESULTS", default_value = "reports/latest")]
    results: PathBuf,
    /// What to print
    #[arg(long, value_enum, default_value_t = ReportKind::Markdown)]
    format: ReportKind,
    /// Write all formats into this folder instead
    #[arg(short, long, value_name = "DIR")]
    out: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ReportKind {
    Markdown,
    Html,
    Json,
    Junit,
    Sarif,
}

impl Report {
    pub fn main(self) -> Exit {
        let results = report::read(&self.results)?;
        let run = report::read_run(&self.results)?;
        if let Some(dir) = &self.out {
            let files = report::write(dir, &results, run.as_ref(), None)?;
            print(&files.iter().map(|file| outside::path(file) + "\n").collect::<String>())?;
            return Ok(0);
        }
        print(&match self.format {
            ReportKind::Markdown => report::markdown::summary(&results, run.as_ref(), None),
            ReportKind::Html => report::html::page(&results, run.as_ref(), None),
            ReportKind::Json => report::json::text(&results)?,
            ReportKind::Junit => report::junit::text(&judge_cells(&results, None, DEFAULT_SLACK))?,
            ReportKind::Sarif => report::sarif::text(&judge_cells(&results, None, DEFAULT_SLACK))?,
        })?;
        Ok(0)
    }
}
