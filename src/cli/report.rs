//! `logitfuzz report`: results to a page, Markdown, JSON, JUnit or SARIF again. Certificates too, but for JUnit and SARIF.

use super::{Exit, exhaust, print};
use crate::baseline::{DEFAULT_SLACK, judge_cells};
use crate::error::Error;
use crate::outside;
use crate::report;
use clap::ValueEnum;
use std::path::PathBuf;

#[derive(clap::Args)]
pub(super) struct Report {
    /// A results.json, or the folder of one or of an exhaustive run
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
        if exhaust::is_here(&self.results) {
            return self.certificate();
        }
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

    /// The report of an exhaustive run, also of one that is not at its end.
    fn certificate(&self) -> Exit {
        let certificate = exhaust::certificate(&self.results)?;
        if let Some(dir) = &self.out {
            let files = report::exhaust::write(&report::prepare(dir)?, &certificate)?;
            print(&files.iter().map(|file| outside::path(file) + "\n").collect::<String>())?;
            return Ok(0);
        }
        print(&match self.format {
            ReportKind::Markdown => report::exhaust::summary(&certificate),
            ReportKind::Html => report::exhaust::page(&certificate),
            ReportKind::Json => certificate.text()?,
            ReportKind::Junit | ReportKind::Sarif => {
                return Err(Error::usage(
                    "a certificate has no JUnit and no SARIF form; choose markdown, html or json",
                ));
            }
        })?;
        Ok(0)
    }
}
