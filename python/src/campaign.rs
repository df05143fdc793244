//! Campaigns on a Python function, in this process or in a worker.

use crate::case::filled;
use crate::delivery::{Delivered, Terms, deliver, wait_for};
use crate::fault::{fault, harness, usage};
use crate::judging::claims;
use logitfuzz::baseline::{self, Baseline};
use logitfuzz::campaign::{self as campaigns, Control, Plan};
use logitfuzz::foreign::{Foreign, Limits};
use logitfuzz::generate::{Row, Source};
use logitfuzz::results::Results;
use logitfuzz::{Dtype, Family, Kernel, Op, report};
use pyo3::prelude::*;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// A family whose rows have all one length (see [`filled`]).
struct Exactly {
    family: Family,
    n: usize,
}

impl Source for Exactly {
    fn name(&self) -> &str {
        self.family.name()
    }

    fn rows(&self, cases: u64) -> u64 {
        cases
    }

    fn row(&self, dtype: Dtype, seed: u64, index: u64, _: usize) -> Row {
        Row { logits: filled(self.family, dtype, seed, index, self.n), target: None }
    }
}

/// What a campaign is asked to do. The fields are those of `logitfuzz.check`.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub struct Request {
    name: String,
    op: String,
    dtypes: Vec<String>,
    families: Option<Vec<String>>,
    /// Cases for each family.
    cases: u64,
    seed: u64,
    max_len: usize,
    /// The length of every row, where it is given.
    n: Option<usize>,
    claims: String,
    strict: bool,
    min_len: usize,
    max_len_of_kernel: Option<usize>,
    label_smoothing: bool,
    /// Whether the function computes many rows in one call.
    batched: bool,
    deterministic: bool,
    version: Option<String>,
    jobs: usize,
    findings: bool,
    /// A baseline to compare with, or to write.
    baseline: Option<PathBuf>,
    accept: bool,
    /// The words that start a worker, in place of calls here.
    worker: Option<Vec<OsString>>,
    timeout_ms: u64,
    memory_mib: u64,
}

/// The families of these names, or all that are not slow.
pub fn families(names: Option<&[String]>) -> logitfuzz::Result<Vec<Family>> {
    match names {
        Some(names) => names.iter().map(|name| name.parse()).collect(),
        None => Ok(Family::all().iter().copied().filter(|family| !family.is_slow()).collect()),
    }
}

/// What a worker is allowed.
pub fn limits(timeout_ms: u64, memory_mib: u64) -> PyResult<Limits> {
    if timeout_ms == 0 || memory_mib == 0 {
        return Err(usage("timeout_ms and memory_mib are 1 or more"));
    }
    Ok(Limits {
        timeout: Duration::from_millis(timeout_ms.min(86_400_000)),
        memory: memory_mib.saturating_mul(1 << 20),
    })
}

/// The kernel that a worker serves.
///
/// # Errors
/// It cannot be started, or does not serve one kernel.
pub fn served(words: Vec<OsString>, limits: Limits) -> logitfuzz::Result<Foreign> {
    let label = "the worker process of the Python function";
    let mut kernels = Foreign::start(label, words, limits)?;
    kernels.pop().ok_or_else(|| logitfuzz::Error::harness(format!("{label} serves no kernel")))
}

/// Runs a campaign. `run` answers lists of cases and of batches, where no worker does.
///
/// Returns the results as JSON, for each finding (text, case), and where there is a baseline whether nothing is worse and what is to be
/// said of it.
#[pyfunction]
#[allow(clippy::type_complexity)] // A tuple for Python.
pub fn campaign(
    py: Python<'_>,
    request: Request,
    run: &Bound<'_, PyAny>,
) -> PyResult<(String, Vec<(String, String)>, Option<(bool, String)>)> {
    let op: Op = request.op.parse().map_err(|error| fault(&error))?;
    let dtypes: logitfuzz::Result<Vec<Dtype>> = request.dtypes.iter().map(|dtype| dtype.parse()).collect();
    let dtypes = dtypes.map_err(|error| fault(&error))?;
    let families = families(request.families.as_deref()).map_err(|error| fault(&error))?;
    let own = claims(&request.claims, false)?;
    for &dtype in &dtypes {
        own.check(dtype).map_err(|error| fault(&error))?;
    }
    let source = |family: Family| -> Arc<dyn Source> {
        match request.n {
            Some(n) => Arc::new(Exactly { family, n }),
            None => Arc::new(family),
        }
    };
    let (kernel, orders, stopper): (Arc<dyn Kernel>, _, _) = match &request.worker {
        Some(words) => {
            let limits = limits(request.timeout_ms, request.memory_mib)?;
            let words = words.clone();
            let kernel = py.detach(|| served(words, limits)).map_err(|error| fault(&error))?;
            let stopper = kernel.stopper();
            (Arc::new(kernel), None, Some(stopper))
        }
        None => {
            let (kernel, orders) = Delivered::new(Terms {
                name: request.name.clone(),
                op,
                dtypes: dtypes.clone(),
                claims: own,
                lengths: request.min_len..=request.max_len_of_kernel.unwrap_or(usize::MAX),
                label_smoothing: request.label_smoothing,
                is_batched: request.batched,
                is_deterministic: request.deterministic,
                version: request.version.clone(),
            });
            (Arc::new(kernel), Some(orders), None)
        }
    };
    let mut plan = Plan::new(vec![kernel]);
    (plan.ops, plan.dtypes) = (vec![op], Dtype::ALL.into_iter().filter(|dtype| dtypes.contains(dtype)).collect());
    plan.sources = families.into_iter().map(source).collect();
    (plan.cases, plan.seed, plan.max_len) = (request.cases, request.seed, request.max_len);
    (plan.jobs, plan.findings) = (request.jobs, request.findings);
    plan.claims = request.strict.then(|| "tight".to_owned());
    let recorded = match &request.baseline {
        Some(path) if !request.accept => {
            let recorded = Baseline::read(path)
                .and_then(|recorded| recorded.refuse_former().map(|()| recorded))
                .and_then(|recorded| recorded.refuse_stale(|_| true).map(|()| recorded));
            Some(recorded.map_err(|error| fault(&error))?)
        }
        _ => None,
    };
    let stop = Arc::new(AtomicBool::new(false));
    let is_stopped = stop.clone();
    let thread = std::thread::Builder::new().name("logitfuzz".into()).spawn(move || {
        let results = campaigns::run(&plan, &Control { progress: None, stop: Some(&is_stopped) });
        let trouble = plan.trouble();
        // The last hold on the kernel: from here on there are no orders.
        drop(plan);
        trouble.map_or(results, Err)
    });
    let thread = thread.map_err(|error| harness(format!("no thread can be started: {error}")))?;
    let end = || {
        stop.store(true, Ordering::Relaxed);
        stopper.iter().for_each(|stopper| stopper.store(true, Ordering::Relaxed));
    };
    let delivered = match orders {
        Some(orders) => deliver(py, orders, run).inspect_err(|_| end()),
        None => Ok(()),
    };
    let results = wait_for(py, thread, end);
    delivered?;
    let results = results?.map_err(|_| harness("the campaign ended in a panic, which is a fault of logitfuzz"))?;
    let results = results.map_err(|error| fault(&error))?;
    finished(&request, recorded, &results).map_err(|error| fault(&error))
}

#[allow(clippy::type_complexity)] // A tuple for Python.
fn finished(
    request: &Request,
    recorded: Option<Baseline>,
    results: &Results,
) -> logitfuzz::Result<(String, Vec<(String, String)>, Option<(bool, String)>)> {
    let mut findings = Vec::new();
    for finding in &results.findings {
        let case = finding.case()?;
        let shown = finding.batch()?.map_or_else(|| case.to_string(), |batch| batch.to_string());
        let replay = format!("logitfuzz.replay(KERNEL, \"{shown}\")");
        findings.push((logitfuzz::finding_text(finding, &case, &replay), case.to_string()));
    }
    let gate = match (&request.baseline, recorded) {
        (Some(_), Some(recorded)) => {
            let mut gate = baseline::compare(results, Some(&recorded), baseline::DEFAULT_SLACK)?;
            // The command knows no function of a test, so its replay lines are of no use here.
            gate.cells.iter_mut().for_each(|cell| cell.replay = None);
            Some((gate.passes(), report::gate::text(&gate)))
        }
        (Some(path), None) => {
            Baseline::update(path, |old| old.unwrap_or_else(|| Baseline::of(results)).accept(results))?;
            Some((true, format!("{} holds what was measured", path.display())))
        }
        _ => None,
    };
    Ok((report::json::text(results)?, findings, gate))
}
