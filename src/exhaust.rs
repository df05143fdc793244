//! Exhaustive runs: a kernel is run and judged on every input of a domain, which proves what a campaign only samples.
//!
//! A [`Domain`] says which inputs are all of them; its [`Space`] has them in pieces. Each piece is judged by itself (`piece`), and what
//! was found goes into a [`Journal`] at once, so that a run which is killed goes on where it was. At the end a [`Certificate`] is made
//! of all records. Shards share the pieces, and [`merge`] makes the certificate of their journals.

use crate::campaign::{self, Control};
use crate::error::{Error, Result};
use crate::fenv::{self, Standard};
use crate::kernel::{Claims, Declaration, Kernel};
use crate::oracle::Oracle;
use crate::outside;
use crate::quiet::PanicHook;
use crate::results::{Provenance, Shard};
use piece::Judging;
use rayon::ThreadPoolBuilder;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

pub(crate) mod certificate;
mod domain;
mod interval;
mod journal;
pub(crate) mod map;
mod piece;

pub(crate) use certificate::Certificate;
pub(crate) use domain::{Domain, Space};
pub(crate) use journal::{Head, JOURNAL_FILE, Journal, Settings, read};
pub(crate) use piece::{MOST_FATAL, Record};

/// The name of the certificate, inside its folder.
pub(crate) const CERTIFICATE_FILE: &str = "certificate.json";

/// Shards and pieces that a message names.
const MISSING_SHOWN: usize = 10;

/// What is to be gone through, and how.
pub(crate) struct Job {
    kernel: Arc<dyn Kernel>,
    claims: Claims,
    space: Space,
    head: Head,
}

impl Job {
    /// A kernel on every input of a domain, held to these claims.
    ///
    /// # Errors
    /// The kernel does not implement the op in the dtype, or does not take rows of the domain's length.
    pub fn new(kernel: Arc<dyn Kernel>, claims: Claims, space: Space, shard: Option<Shard>) -> Result<Self> {
        let Space { op, dtype, domain, .. } = space;
        let name = kernel.name();
        outside::check_recorded_name(name).map_err(Error::usage)?;
        if !kernel.supports(op, dtype) {
            return Err(Error::nothing_selected(format!("the kernel {name} does not implement {op} in {dtype}")));
        }
        let lengths = kernel.lengths(op, dtype);
        // Elements are run by themselves where a case of many fails.
        let needed = if domain == Domain::Elements { 1 } else { 2 };
        if !lengths.contains(&needed) {
            return Err(Error::nothing_selected(format!(
                "the kernel {name} takes rows of {} to {} logits, and the domain {domain} has rows of {needed}",
                lengths.start(),
                lengths.end()
            )));
        }
        let version = kernel.version().map(|version| (name.to_owned(), version.to_owned()));
        let settings = Settings {
            kernel: name.to_owned(),
            selector: kernel.selector(),
            op,
            dtype,
            domain,
            declared: Declaration::of(kernel.as_ref(), op, dtype, claims.clone()),
            provenance: Provenance { libraries: version.into_iter().collect(), ..campaign::provenance() },
        };
        let head = Head::new(settings, shard);
        if !(0..space.pieces()).any(|piece| head.owns(piece)) {
            return Err(Error::nothing_selected(format!(
                "there are only {} pieces, so this shard has none; choose fewer shards",
                space.pieces()
            )));
        }
        Ok(Self { kernel, claims, space, head })
    }

    /// What the journal begins with.
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// The pieces of this share that are not among these records.
    pub fn todo(&self, done: &[Record]) -> Vec<u64> {
        let done: BTreeSet<u64> = done.iter().map(|record| record.piece).collect();
        (0..self.space.pieces()).filter(|piece| self.head.owns(*piece) && !done.contains(piece)).collect()
    }

    /// The inputs of these pieces.
    pub fn inputs(&self, pieces: &[u64]) -> u64 {
        pieces.iter().map(|&piece| self.space.piece(piece).len()).sum()
    }

    /// The certificate of what these records say, which are sorted by their pieces.
    ///
    /// # Errors
    /// None is known.
    pub fn certificate(&self, records: &[Record]) -> Result<Certificate> {
        Certificate::new(&self.head, records)
    }

    /// Judges these pieces, each of which goes into `keep` as soon as it is finished. False where it was stopped. Progress is told in inputs.
    ///
    /// # Errors
    /// The first one of `keep`, a kernel that cannot be run any more for a reason that is not its own, or no threads can be had.
    pub fn run(
        &self,
        pieces: &[u64],
        jobs: usize,
        control: &Control,
        keep: &mut (dyn FnMut(&Record) -> Result<()> + Send),
    ) -> Result<bool> {
        let _standard = Standard::enter();
        let _quiet = PanicHook::install();
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let threads = if jobs == 0 { cores } else { jobs.min(campaign::MOST_THREADS.max(cores)) };
        let pool = ThreadPoolBuilder::new().num_threads(threads.min(pieces.len()).max(1)).build().map_err(|error| {
            Error::harness(format!("cannot start the worker threads: {error}; try fewer with --jobs"))
        })?;
        let total = self.inputs(pieces);
        let (next, done) = (AtomicUsize::new(0), AtomicU64::new(0));
        let failed = AtomicBool::new(false);
        let kept = Mutex::new((keep, None));
        let fail = |error: Error| {
            failed.store(true, Ordering::Relaxed);
            kept.lock().unwrap_or_else(PoisonError::into_inner).1.get_or_insert(error);
        };
        let is_stopped =
            || failed.load(Ordering::Relaxed) || control.stop.is_some_and(|stop| stop.load(Ordering::Relaxed));
        pool.broadcast(|_| {
            // The thread keeps this environment for what the pool does later.
            if let Err(error) = fenv::ensure_standard() {
                return fail(error);
            }
            let mut oracle = Oracle::new();
            let judging = Judging { space: &self.space, kernel: self.kernel.as_ref(), claims: &self.claims };
            while !is_stopped() {
                let Some(&number) = pieces.get(next.fetch_add(1, Ordering::Relaxed)) else { break };
                let piece = self.space.piece(number);
                match judging.record(&piece, &mut oracle, &is_stopped) {
                    Err(error) => return fail(error),
                    Ok(None) => break,
                    Ok(Some(record)) => {
                        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                        // After a line that could not be written none follows: a torn one is the last.
                        if kept.1.is_some() {
                            break;
                        }
                        if let Err(error) = (kept.0)(&record) {
                            kept.1 = Some(error);
                            failed.store(true, Ordering::Relaxed);
                            break;
                        }
                    }
                }
                let done = done.fetch_add(piece.len(), Ordering::Relaxed) + piece.len();
                if let Some(progress) = control.progress {
                    progress(done, total);
                }
            }
        });
        match kept.into_inner().unwrap_or_else(PoisonError::into_inner).1 {
            Some(error) => Err(error),
            None => Ok(done.into_inner() == total),
        }
    }
}

/// The certificate that the journals of all shards make, each with the name by which messages call it. It is that of a run in one piece.
///
/// # Errors
/// One line that names what does not fit: a journal of no shard or of another run, a shard that is missing, there twice or not at its end.
pub(crate) fn merge(shards: Vec<(String, journal::Read)>) -> Result<Certificate> {
    let refuse = |name: &str, reason: String| Err(Error::usage(format!("{name}: {reason}")));
    let Some((first, of)) = shards.first().and_then(|(name, read)| Some((name.clone(), read.head.shard?.of))) else {
        let name = shards.first().map_or("merge", |(name, _)| name);
        return refuse(name, "this is a run of no shard; merge what ran with --shard K/N".into());
    };
    let settings = shards[0].1.head.settings.clone();
    let space = settings.space()?;
    let mut known: Vec<(Shard, String)> = Vec::new();
    let mut records = Vec::new();
    for (name, read) in shards {
        let Some(shard) = read.head.shard else {
            return refuse(&name, "this is a run of no shard; merge what ran with --shard K/N".into());
        };
        if let Some(difference) = settings.difference(&read.head.settings) {
            return refuse(&name, format!("it is of another run than {first}: {difference}"));
        }
        if shard.of != of {
            return refuse(&name, format!("it is one of {} shards, {first} is one of {of}", shard.of));
        }
        if let Some((_, other)) = known.iter().find(|(other, _)| *other == shard) {
            return refuse(&name, format!("shard {shard} is there a second time, first in {other}"));
        }
        let owned = (0..space.pieces()).filter(|&piece| read.head.owns(piece)).count();
        if read.records.len() < owned {
            let missing = owned - read.records.len();
            return refuse(
                &name,
                format!(
                    "shard {shard} is not at its end, {missing} of {owned} pieces are missing; run it again to go on"
                ),
            );
        }
        known.push((shard, name));
        records.extend(read.records);
    }
    let missing: Vec<String> = (1..=of)
        .map(|number| Shard { number, of })
        .filter(|shard| !known.iter().any(|(other, _)| other == shard))
        .map(|shard| shard.to_string())
        .collect();
    if !missing.is_empty() {
        let mut named = missing[..missing.len().min(MISSING_SHOWN)].join(", ");
        if missing.len() > MISSING_SHOWN {
            named += &format!(" and {} more", missing.len() - MISSING_SHOWN);
        }
        return refuse(&first, format!("shards are missing beside it: {named}"));
    }
    records.sort_by_key(|record| record.piece);
    Certificate::new(&Head::new(settings, None), &records)
}

#[cfg(test)]
mod tests;
