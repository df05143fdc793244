//! `logitfuzz zoo`: every planted defect against every family, and the page that shows which catches which.

use super::run::measure;
use super::{Exit, FAILED, print};
use crate::campaign::Plan;
use crate::error::Error;
use crate::files;
use crate::kernel::{Kernel, builtin};
use crate::outside;
use crate::report;
use crate::words::plural;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The page of all planted defects.
const PAGE: &str = "reports/zoo.md";

#[derive(clap::Args)]
#[command(after_help = "\
Exits 0 if every defect is caught (with --check: and the page is up to date), 1 if not.

Examples:
  logitfuzz zoo                    writes reports/zoo.md and its data, reports/zoo.json
  logitfuzz zoo --check            compares with reports/zoo.md, writes nothing
  logitfuzz zoo --seed 7 --out zoo.md
  logitfuzz zoo --kernel defect/unshifted --out mine.md    some of them alone")]
pub(super) struct Zoo {
    /// The page; its data goes into the file of the same name that ends in .json
    #[arg(short, long, value_name = "FILE", default_value = PAGE)]
    out: PathBuf,
    /// These planted defects alone, by name or pattern, for a page of one's own (--out); can be repeated
    #[arg(short, long, value_name = "DEFECT")]
    kernel: Vec<String>,
    /// Compare with them instead of writing them: the same defects and families, and each caught by the same ones
    #[arg(long)]
    check: bool,
    /// Cases for each (defect, op, dtype, family)
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = super::whole::<u64>, allow_hyphen_values = true)]
    cases: u64,
    /// The seed of all random streams
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = super::whole::<u64>, allow_hyphen_values = true)]
    seed: u64,
    /// Threads; 0 for as many as there are cores
    #[arg(short, long, value_name = "N", default_value_t = 0, value_parser = super::whole::<usize>, allow_hyphen_values = true)]
    jobs: usize,
}

impl Zoo {
    pub fn main(self) -> Exit {
        let data = self.data()?;
        let plan = self.plan()?;
        // Before minutes of work: what cannot be read leaves nothing to check, what cannot be written is no use.
        let (committed, _folder) =
            if self.check { (Some(self.committed(&data)?), None) } else { (None, Some(self.prepared(&data)?)) };
        let (results, info) = measure(&plan)?;
        if !results.complete {
            return Err(Error::harness("the run was interrupted, and half a zoo is none: nothing is written"));
        }
        let fresh = report::zoo::Zoo::of(&results)?;
        let missed = fresh.missed();
        let caught = results.settings.kernels.len() - missed.len();
        let all = plural(results.settings.kernels.len(), "planted defect");
        let mut told = format!("{caught} of {all} caught, in {:.0} s\n", info.seconds);
        missed.iter().for_each(|defect| told += &format!("nothing catches {defect}\n"));
        let out = outside::path(&self.out);
        let mut stale = Vec::new();
        if let Some((zoo, page)) = committed {
            stale = zoo.drift(&fresh);
            if zoo.page() != page {
                stale.push(format!("it is not the page that {} makes", outside::path(&data)));
            }
        }
        stale.iter().for_each(|line| told += &format!("{out}: {line}\n"));
        if !stale.is_empty() {
            told += "the page is out of date; `logitfuzz zoo` makes it again\n";
        } else if self.check {
            told += &format!("{out} is up to date\n");
        } else {
            files::write_file(&data, fresh.text()?.as_bytes())?;
            files::write_file(&self.out, fresh.page().as_bytes())?;
            told += &format!("{out} is written\n");
        }
        print(&told)?;
        Ok(if missed.is_empty() && stale.is_empty() { 0 } else { FAILED })
    }

    /// The file of the data, beside the page.
    fn data(&self) -> Result<PathBuf, Error> {
        let data = self.out.with_extension("json");
        if data == self.out {
            return Err(Error::usage("--out names the page; its data is in the file of that name that ends in .json"));
        }
        Ok(data)
    }

    /// The data and the page to compare with.
    fn committed(&self, data: &Path) -> Result<(report::zoo::Zoo, String), Error> {
        let refuse = |reason: &dyn std::fmt::Display| Error::file(&self.out, reason);
        let bytes = outside::read(&self.out, &outside::PAGE).map_err(|error| refuse(&error))?;
        let page = String::from_utf8(bytes).map_err(|_| refuse(&"not a text in UTF-8"))?;
        Ok((report::zoo::Zoo::read(data)?, page))
    }

    /// The folder of the page, in which the two files can be written.
    fn prepared(&self, data: &Path) -> Result<report::Folder, Error> {
        let folder = self.out.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = report::prepare(folder.unwrap_or(Path::new(".")))?;
        for file in [&self.out, data] {
            files::place(file)
                .map_err(|error| Error::harness(format!("{}: {error}; name a file with --out", file.display())))?;
        }
        Ok(folder)
    }

    /// The planted defects on everything.
    fn plan(&self) -> Result<Plan, Error> {
        let mut defects: Vec<_> = builtin::all().iter().filter(|kernel| kernel.defect().is_some()).collect();
        if !self.kernel.is_empty() {
            if self.out == Path::new(PAGE) {
                return Err(Error::usage(format!("{PAGE} is of all planted defects; name another page with --out")));
            }
            let mut named = Vec::new();
            for text in &self.kernel {
                let before = named.len();
                named.extend(
                    builtin::matching(text).filter(|kernel| defects.iter().any(|all| all.name() == kernel.name())),
                );
                if named.len() == before {
                    let text = outside::line(text, outside::LONGEST_QUOTE);
                    return Err(Error::usage(format!(
                        "`{text}` is no planted defect of rows; `logitfuzz list kernels --kernel 'defect/*'` has them"
                    )));
                }
            }
            defects.retain(|kernel| named.iter().any(|name| name.name() == kernel.name()));
        }
        let mut plan = Plan::new(defects.into_iter().map(|kernel| Arc::new(kernel) as Arc<dyn Kernel>).collect());
        (plan.cases, plan.seed, plan.jobs) = (self.cases, self.seed, self.jobs);
        // Only who is caught by what is compared.
        plan.findings = !self.check;
        Ok(plan)
    }
}
