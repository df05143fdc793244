//! Selection and policy: the flags that mean the same in every subcommand.

use crate::baseline;
use crate::campaign::{DEFAULT_MAX_LEN, Plan, SLOW_MAX_LEN, Shard, Source};
use crate::dtype::Dtype;
use crate::error::{Error, Result};
#[cfg(unix)]
use crate::foreign::Limits;
use crate::generate::Family;
use crate::generate::file::{FILE_FAMILY, Rows};
use crate::kernel::builtin::matches;
use crate::kernel::{Claims, Kernel, Special, strictly};
use crate::op::Op;
use crate::select::{self, Selector};
#[cfg(unix)]
use crate::select::{Server, Workers};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// The longest --timeout-ms: a day. Beyond it clocks overflow, and nobody waits.
#[cfg(unix)]
const LONGEST_TIMEOUT_MS: u64 = 24 * 60 * 60 * 1000;

/// The most cases of a cell: with them the rows of all families and dtypes together still count in 64 bits.
const LARGEST_CASES: u64 = 1 << 48;

/// Which kernels, and what those in processes of their own are allowed.
#[derive(Default, Clone, clap::Args)]
pub(super) struct Kernels {
    /// A built-in kernel, a pattern with *, c:LIB.so[:SYMBOL] for C functions, exec:COMMAND for a worker, or NAME=KERNEL to give
    /// one a name of its own; repeatable [default: all built-in ones but the planted defects, which `defect/*` names, and those of batches, `batch-*`]
    #[arg(short, long = "kernel", value_name = "KERNEL")]
    kernels: Vec<String>,
    /// The time that a c: or exec: kernel has for a batch of rows; a row alone has twice as much [default: 2000]
    #[arg(long, value_name = "N", value_parser = super::whole::<u64>, allow_hyphen_values = true)]
    timeout_ms: Option<u64>,
    /// The resident memory in MiB that the process of a c: or exec: kernel may use [default: 4096]
    #[arg(long, value_name = "MIB", value_parser = super::whole::<u64>, allow_hyphen_values = true)]
    memory_limit: Option<u64>,
}

/// Policy: what is due at special values, and what is forgiven.
#[derive(Default, Clone, clap::Args)]
pub(super) struct Policy {
    /// What is due where a logit is infinite: `framework` accepts what the frameworks return, `limit` is strict [default:
    /// what each kernel claims]
    #[arg(long, value_name = "framework|limit")]
    pub special: Option<Special>,
    /// What all kernels claim of themselves, on top of each one's own: exp=C, log=C, log1p=C, expm1=C, exp_argument=C (units of
    /// roundoff), sum=HOW, accumulator=DTYPE, online, online=rescaled, merged=K, weights=DTYPE, flush_to_zero, shifted, sequential,
    /// elementwise_monotone, half_digits, tight, nondeterministic, preset=NAME (see `logitfuzz list presets`)
    #[arg(long, value_name = "KEY=VALUE,...")]
    pub claims: Option<String>,
    /// Hold all kernels to the tight bound where an op has one: a digit that a careful kernel keeps may not be lost because the textbook
    /// loses it; the same as --claims tight
    #[arg(long)]
    pub strict: bool,
}

/// Which ops, dtypes and rows, and how many.
#[derive(clap::Args)]
pub(super) struct Work {
    /// An op: see `logitfuzz list ops`; repeatable [default: all]
    #[arg(long = "op", value_name = "OP")]
    ops: Vec<Op>,
    /// A dtype: f16, bf16, f32, f64, or f16:f32 and bf16:f32, which read a half and write f32; repeatable [default: all]
    #[arg(long = "dtype", value_name = "DTYPE")]
    dtypes: Vec<Dtype>,
    /// A family of inputs, or a pattern with *; repeatable; a slow family runs only where it is named in full [default: all
    /// but the slow ones]
    #[arg(long = "family", value_name = "FAMILY")]
    families: Vec<String>,
    /// Your own rows of logits: a .npy (f2, f4 or f8; 2-d, or 1-d for one row) or .csv file, as the family `file`; alone it selects only them
    #[arg(long, value_name = "FILE")]
    logits: Option<PathBuf>,
    /// The true class of each row of --logits: a .npy, .csv or .txt file of integers
    #[arg(long, value_name = "FILE", requires = "logits")]
    targets: Option<PathBuf>,
    /// Cases for each (kernel, op, dtype, family); each row of --logits is run once whatever this is [default: those of the
    /// baseline, else 200]
    #[arg(long, value_name = "N", value_parser = super::whole::<u64>, allow_hyphen_values = true)]
    cases: Option<u64>,
    /// The seed of all random streams [default: that of the baseline, else 0]
    #[arg(long, value_name = "N", value_parser = super::whole::<u64>, allow_hyphen_values = true)]
    seed: Option<u64>,
    /// The longest row generated [default: that of the baseline, else 262144; 33554432 where a slow family is named]
    #[arg(long, value_name = "N", value_parser = super::whole::<usize>, allow_hyphen_values = true)]
    max_len: Option<usize>,
    /// Threads; 0 for as many as there are cores
    #[arg(short, long, value_name = "N", default_value_t = 0, value_parser = super::whole::<usize>, allow_hyphen_values = true)]
    jobs: usize,
    /// Ask the oracle about every output, also where plain numbers decide all that is kept; slower, and the same results
    #[arg(long)]
    no_screen: bool,
    /// Do only the K-th of N shares of the work; `logitfuzz merge` puts the results of all together
    #[arg(long, value_name = "K/N")]
    shard: Option<Shard>,
}

impl Kernels {
    /// The kernel that is selected so.
    pub fn of(selector: &str) -> Self {
        Self { kernels: vec![selector.to_owned()], ..Self::default() }
    }

    /// Whether nothing was asked for.
    pub fn is_default(&self) -> bool {
        self.kernels.is_empty()
    }

    /// These, and where nothing was asked for, what the others ask for.
    pub fn or(&self, others: &Self) -> Self {
        Self {
            kernels: if self.is_default() { others.kernels.clone() } else { self.kernels.clone() },
            timeout_ms: self.timeout_ms.or(others.timeout_ms),
            memory_limit: self.memory_limit.or(others.memory_limit),
        }
    }

    /// The kernels asked for, in the order of the flags and of the registry; without a flag, all that are no planted defect.
    /// `only` is the op and the dtype, where there is one of each: a C symbol of any name computes that.
    pub fn resolve(&self, only: Option<(Op, Dtype)>) -> Result<Vec<Arc<dyn Kernel>>> {
        if self.is_default() {
            return Ok(select::ordinary().map(|kernel| Arc::new(kernel) as Arc<dyn Kernel>).collect());
        }
        let selector = Selector {
            only,
            say_only: "one --op and one --dtype",
            #[cfg(unix)]
            workers: Workers { limits: self.limits()?, server: Server::ThisProgram, before: super::watch::begin },
        };
        selector.kernels(&self.kernels)
    }

    #[cfg(unix)]
    fn limits(&self) -> Result<Limits> {
        let mut limits = Limits::default();
        if let Some(milliseconds) = self.timeout_ms {
            if milliseconds == 0 {
                return Err(Error::usage("--timeout-ms 0 leaves no time for an answer; write 1 or more"));
            }
            limits.timeout = Duration::from_millis(milliseconds.min(LONGEST_TIMEOUT_MS));
        }
        if let Some(mebibytes) = self.memory_limit {
            if mebibytes == 0 {
                return Err(Error::usage("--memory-limit 0 leaves no memory for a kernel; write 1 or more (MiB)"));
            }
            limits.memory = mebibytes.saturating_mul(1 << 20);
        }
        Ok(limits)
    }
}

impl Policy {
    /// Takes what no flag says from the settings of a baseline.
    ///
    /// # Errors
    /// A preset of special values that this version does not have.
    pub fn fill(&mut self, settings: &baseline::BaselineSettings) -> Result<()> {
        if let (None, Some(special)) = (self.special, &settings.special) {
            self.special = Some(special.parse()?);
        }
        self.claims = self.claims.take().or_else(|| settings.claims.clone());
        Ok(())
    }

    /// What all kernels claim.
    pub fn all_claims(&self) -> Option<String> {
        strictly(self.claims.as_deref(), self.strict)
    }

    /// The claims of a kernel under this policy.
    pub fn claims_of(&self, kernel: &dyn Kernel, op: Op, dtype: Dtype) -> Result<Claims> {
        let mut plan = Plan::new(Vec::new());
        (plan.special, plan.claims) = (self.special, self.all_claims());
        plan.claims_of(kernel, op, dtype)
    }
}

impl Work {
    /// Takes what no flag says from the settings of a baseline.
    pub fn fill(&mut self, settings: &baseline::BaselineSettings) {
        self.cases = self.cases.or(Some(settings.cases));
        self.seed = self.seed.or(Some(settings.seed));
        self.max_len = self.max_len.or(Some(settings.max_len));
    }

    /// The plan that the flags describe.
    pub fn plan(&self, kernels: &Kernels, policy: &Policy) -> Result<Plan> {
        let only = match (&self.ops[..], &self.dtypes[..]) {
            (&[op], &[dtype]) => Some((op, dtype)),
            _ => None,
        };
        let mut plan = Plan::new(kernels.resolve(only)?);
        let mut sources: Vec<Arc<dyn Source>> = Vec::new();
        let mut is_slow = false;
        for pattern in &self.families {
            if pattern == FILE_FAMILY {
                // Its rows are added below.
                if self.logits.is_none() {
                    return Err(Error::usage("the family `file` has your own rows; name them with --logits FILE"));
                }
                continue;
            }
            // A slow family runs only where it is named in full.
            let found: Vec<Family> = Family::all()
                .iter()
                .copied()
                .filter(
                    |family| if family.is_slow() { family.name() == pattern } else { matches(pattern, family.name()) },
                )
                .collect();
            if found.is_empty() {
                if let Some(slow) = Family::all().iter().find(|family| matches(pattern, family.name())) {
                    return Err(Error::usage(format!(
                        "`{pattern}` matches only a slow family, which runs where it is named in full: --family {slow}"
                    )));
                }
                // The registry's own error lists the names.
                pattern.parse::<Family>()?;
            }
            for family in found {
                is_slow |= family.is_slow();
                if !sources.iter().any(|source| source.name() == family.name()) {
                    sources.push(Arc::new(family));
                }
            }
        }
        if !self.families.is_empty() {
            plan.sources = sources;
        }
        if let Some(path) = &self.logits {
            let file = Arc::new(Rows::read(path, self.targets.as_deref())?);
            if self.families.is_empty() {
                // They alone were asked for.
                plan.sources.clear();
            }
            plan.sources.push(file);
        }
        if !self.ops.is_empty() {
            plan.ops = Op::ALL.iter().copied().filter(|op| self.ops.contains(op)).collect();
        }
        if !self.dtypes.is_empty() {
            plan.dtypes = Dtype::ALL.into_iter().filter(|dtype| self.dtypes.contains(dtype)).collect();
        }
        plan.seed = self.seed.unwrap_or(plan.seed);
        plan.cases = self.cases.unwrap_or(plan.cases);
        plan.max_len = self.max_len.unwrap_or(if is_slow { SLOW_MAX_LEN } else { DEFAULT_MAX_LEN });
        plan.jobs = self.jobs;
        plan.screen = !self.no_screen;
        plan.shard = self.shard;
        plan.special = policy.special;
        plan.claims = policy.all_claims();
        // What leaves nothing to do is known before any work, and before a folder is made for its report.
        if plan.max_len == 0 {
            return Err(Error::usage("--max-len 0 leaves only rows without logits; write 1 or more"));
        }
        if plan.cases > LARGEST_CASES {
            return Err(Error::usage(format!(
                "--cases {} is past what can be counted; write {LARGEST_CASES} or less",
                plan.cases
            )));
        }
        if plan.cases == 0 && plan.sources.iter().any(|source| source.rows(plan.cases) == 0) {
            return Err(Error::nothing_selected("nothing to run: --cases is 0; write 1 or more"));
        }
        let has_work = |kernel: &Arc<dyn Kernel>| {
            plan.ops.iter().any(|&op| plan.dtypes.iter().any(|&dtype| kernel.supports(op, dtype)))
        };
        if !plan.kernels.iter().any(has_work) {
            return Err(Error::nothing_selected(
                "no selected kernel implements any of the selected ops in any of the selected dtypes",
            ));
        }
        // Claims that cannot be read, too.
        if let Some(claims) = &plan.claims {
            Claims::default().set(claims)?;
        }
        Ok(plan)
    }
}
