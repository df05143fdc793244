//! `logitfuzz exhaust`: every input of a domain on one kernel, and a certificate of what was found. Exits 1 if the kernel fails anywhere.

use super::run::{catch_ctrl_c, progress_bar};
use super::select::{Kernels, Policy};
use super::{Exit, FAILED, Printed, print};
use crate::campaign::{Control, Shard};
use crate::dtype::Dtype;
use crate::error::{Error, Result};
use crate::exhaust::{self, CERTIFICATE_FILE, Certificate, Domain, JOURNAL_FILE, Job, Journal, Space};
use crate::op::Op;
use crate::outside;
use crate::report;
use crate::words::{count, plural_u64};
use std::io;
use std::path::{Path, PathBuf};

/// A certificate is of one kernel, so none is selected where none is named.
const KERNEL: &str = "The kernel: a built-in one, c:LIB.so[:SYMBOL] for a C function, exec:COMMAND for a worker, or NAME=KERNEL to give it \
                      a name of its own";

#[derive(clap::Args)]
#[command(after_help = "\
Domains:
  elements  every value of the dtype, as an element of an elementwise op: 63,491 in f16, 65,283 in bf16, 4.3e9 in f32
  pairs     every row of two logits, in f16 and bf16: 4.0e9 and 4.3e9 rows
  gaps      the rows [0, -d] and [-d, 0] for every d from 0 to +inf: 2 x 31,745 in f16, 2 x 32,641 in bf16, 2 x 2.1e9 in f32
The infinities are among the values, -0 and 0 are two, and all NaNs are one. An op that takes a target is run with each class, without
label smoothing. Ops that take another row (a cotangent, a tangent, labels, a distribution, other logits) or a scale have no domain.

Writes certificate.json, summary.md and index.html, and exhaust.journal, which grows while it runs. Ctrl-C and kill -9 lose what is
under way: the same command goes on from there, and ends in the same certificate, byte for byte. A kernel that was built anew under the
same name is another one; remove the journal then.

Exits 0 if every input was judged and passes, 1 if one does not, 3 if it was interrupted.

Examples:
  logitfuzz exhaust --kernel branched --op log1mexp --dtype f16
  logitfuzz exhaust --kernel naive --op softmax --dtype f16 --domain gaps --out reports/naive
  logitfuzz exhaust --kernel shifted --op softmax --dtype bf16 --shard 1/8 --out shard-1")]
#[command(mut_arg("kernels", |kernels| kernels.help(KERNEL)))]
pub(super) struct Exhaust {
    #[command(flatten)]
    kernels: Kernels,
    #[command(flatten)]
    policy: Policy,
    /// The op: see `logitfuzz list ops`
    #[arg(long, value_name = "OP")]
    op: Op,
    /// The dtype: f16, bf16 or f32
    #[arg(long, value_name = "DTYPE")]
    dtype: Dtype,
    /// Which inputs: elements, pairs or gaps [default: elements for an elementwise op; else pairs in f16 and bf16, gaps in f32]
    #[arg(long, value_name = "NAME")]
    domain: Option<Domain>,
    /// Threads; 0 for as many as there are cores
    #[arg(short, long, value_name = "N", default_value_t = 0, value_parser = super::whole::<usize>, allow_hyphen_values = true)]
    jobs: usize,
    /// Do only the K-th of N shares of the work; `logitfuzz merge` makes the certificate of all of them
    #[arg(long, value_name = "K/N")]
    shard: Option<Shard>,
    /// The folder of the certificate; it and its parents are made if they do not exist
    #[arg(short, long, value_name = "DIR", default_value = "reports/exhaust")]
    out: PathBuf,
    /// What to print: what was found in words, or the certificate
    #[arg(long, value_enum, default_value_t = Printed::Human)]
    format: Printed,
}

impl Exhaust {
    pub fn main(self) -> Exit {
        let job = self.job()?;
        if self.out.join(report::RESULTS_FILE).exists() {
            return Err(Error::usage(format!(
                "{} has the report of a campaign; choose another folder with --out",
                self.out.display()
            )));
        }
        // Nobody else writes there until the end.
        let folder = report::prepare(&self.out)?;
        let (mut journal, done) = Journal::open(&self.out, job.head())?;
        let todo = job.todo(&done);
        let stop = catch_ctrl_c()?;
        let before = job.inputs(&done.iter().map(|record| record.piece).collect::<Vec<_>>());
        let bar = progress_bar("inputs");
        bar.set_length(before + job.inputs(&todo));
        bar.set_position(before);
        bar.reset_eta();
        let show = |now: u64, _: u64| bar.set_position(before + now);
        let control = Control { progress: Some(&show), stop: Some(stop) };
        let ran = job.run(&todo, self.jobs, &control, &mut |record| journal.append(record));
        bar.finish_and_clear();
        drop(done);
        // The records, with those of other runs, as they are in the file.
        let read = exhaust::read(&self.out)?;
        let records = read.map(|read| read.records).unwrap_or_default();
        let (left, owned) = (job.todo(&records).len() as u64, job.todo(&[]).len() as u64);
        let go_on = format!(
            "{} of {} pieces are finished; the same command goes on from there",
            count(owned - left),
            count(owned)
        );
        match ran {
            Err(error) if error.exit_code() == 3 => return Err(Error::harness(format!("{error}; {go_on}"))),
            Err(error) => return Err(error),
            Ok(false) => return Err(Error::harness(format!("interrupted: {go_on}"))),
            Ok(true) => {}
        }
        if left > 0 {
            return Err(Error::harness(format!(
                "{} are missing from {}, which was changed by somebody else; run it again",
                plural_u64(left, "piece"),
                self.out.join(JOURNAL_FILE).display()
            )));
        }
        let certificate = job.certificate(&records)?;
        report::exhaust::write(&folder, &certificate)?;
        drop(folder);
        tell(&certificate, &self.out, self.format)?;
        let passes = certificate.failing() == 0 && certificate.not_run == 0;
        Ok(if passes { 0 } else { FAILED })
    }

    /// What the flags ask for.
    fn job(&self) -> Result<Job> {
        let (op, dtype) = (self.op, self.dtype);
        let space = Space::new(op, dtype, self.domain.unwrap_or(Domain::of(op, dtype)))?;
        if self.kernels.is_default() {
            return Err(Error::usage("no kernel is named; write one with --kernel, such as --kernel shifted"));
        }
        let kernels = self.kernels.resolve(Some((op, dtype)))?;
        let supporting: Vec<_> = kernels.iter().filter(|kernel| kernel.supports(op, dtype)).collect();
        let kernel = match (&supporting[..], &kernels[..]) {
            (&[kernel], _) | ([], [kernel]) => kernel.clone(),
            ([], _) => {
                return Err(Error::nothing_selected(format!("no selected kernel implements {op} in {dtype}")));
            }
            (several, _) => {
                let names: Vec<&str> = several.iter().take(4).map(|kernel| kernel.name()).collect();
                let more = if several.len() > names.len() { ", ..." } else { "" };
                return Err(Error::usage(format!(
                    "a certificate is of one kernel, and these are {}: {}{more}; name one with --kernel",
                    several.len(),
                    names.join(", ")
                )));
            }
        };
        let claims = self.policy.claims_of(kernel.as_ref(), op, dtype)?;
        Job::new(kernel, claims, space, self.shard)
    }
}

/// Whether a folder holds an exhaustive run, and no report of a campaign.
pub(super) fn is_here(path: &Path) -> bool {
    let has = |name: &str| path.join(name).is_file();
    (has(JOURNAL_FILE) || has(CERTIFICATE_FILE)) && !has(report::RESULTS_FILE)
}

/// Prints a certificate, and where it is.
fn tell(certificate: &Certificate, out: &Path, format: Printed) -> Result<()> {
    print(&match format {
        Printed::Json => certificate.text()?,
        Printed::Human => {
            let (file, page) = (out.join(CERTIFICATE_FILE), out.join(report::PAGE_FILE));
            let words = report::exhaust::words(certificate);
            format!("{words}certificate: {}\npage: {}\n", outside::path(&file), outside::path(&page))
        }
    })
}

/// `logitfuzz merge` of exhaustive runs: the certificate of all shards.
pub(super) fn merge(folders: &[PathBuf], out: &Path) -> Exit {
    let read = |folder: &PathBuf| -> Result<_> {
        let name = folder.display().to_string();
        match exhaust::read(folder)? {
            Some(read) => Ok((name, read)),
            None => Err(Error::usage(format!(
                "{name}: there is no {JOURNAL_FILE}, which merging needs; name the folders that `exhaust --shard K/N --out` wrote"
            ))),
        }
    };
    let certificate = exhaust::merge(folders.iter().map(read).collect::<Result<_>>()?)?;
    let folder = report::prepare(out)?;
    report::exhaust::write(&folder, &certificate)?;
    drop(folder);
    print(&format!("{} shards merged\n", folders.len()))?;
    tell(&certificate, out, Printed::Human)?;
    Ok(0)
}

/// The certificate in a folder: what its journal says, also of a run that is not at its end; where there is none, the one that was written.
///
/// # Errors
/// It cannot be read.
pub(super) fn certificate(folder: &Path) -> Result<Certificate> {
    if let Some(read) = exhaust::read(folder)? {
        return Certificate::new(&read.head, &read.records);
    }
    let path = folder.join(CERTIFICATE_FILE);
    match outside::read(&path, &outside::CERTIFICATE) {
        Ok(bytes) => Certificate::parse(&bytes).map_err(|reason| Error::file(&path, reason)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(Error::file(&folder.join(JOURNAL_FILE), "nothing is in it yet"))
        }
        Err(error) => Err(Error::file(&path, error)),
    }
}
