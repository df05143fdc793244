//! Selection and policy: the flags that mean the same in every subcommand.

use crate::campaign::{DEFAULT_MAX_LEN, Plan, SLOW_MAX_LEN, Source};
use crate::case::Case;
use crate::dtype::Dtype;
use crate::error::{Error, Result};
use crate::generate::Family;
use crate::generate::file::Rows;
use crate::kernel::{Claims, Kernel, Outcome, Special, builtin};
use crate::op::Op;
use std::path::PathBuf;
use std::sync::Arc;

/// Which kernels.
#[derive(clap::Args)]
pub(super) struct Kernels {
    /// A built-in kernel, a pattern with *, or NAME=KERNEL to give it a name in the report; repeatable
    #[arg(short, long = "kernel", value_name = "KERNEL")]
    kernels: Vec<String>,
}

/// Policy: what is due at special values, and what is forgiven.
#[derive(clap::Args)]
pub(super) struct Policy {
    /// What is due where a logit is infinite: `framework` accepts what the frameworks return, `limit` is strict
    #[arg(long, value_name = "framework|limit")]
    pub special: Option<Special>,
    /// Claims for all kernels: key=value,... (exp, log, log1p, sum, accumulator, online, flush_to_zero, shifted, sequential,
    /// elementwise_monotone, half_digits)
    #[arg(long, value_name = "KEY=VALUE,...")]
    pub claims: Option<String>,
}

/// Which ops, dtypes and rows, and how many.
#[derive(clap::Args)]
pub(super) struct Work {
    /// An op; repeatable [default: all]
    #[arg(long = "op", value_name = "OP")]
    ops: Vec<Op>,
    /// A dtype: f16, bf16, f32, f64; repeatable [default: all]
    #[arg(long = "dtype", value_name = "DTYPE")]
    dtypes: Vec<Dtype>,
    /// A family of inputs, or a pattern with *; repeatable [default: all but the slow ones]
    #[arg(long = "family", value_name = "FAMILY")]
    families: Vec<String>,
    /// Your own rows of logits: a .npy (2-d, f2 f4 f8) or .csv file, as the family `file`; alone it selects only them
    #[arg(long, value_name = "FILE")]
    logits: Option<PathBuf>,
    /// The true class of each row of --logits: a .npy, .csv or .txt file of integers
    #[arg(long, value_name = "FILE", requires = "logits")]
    targets: Option<PathBuf>,
    /// Cases for each (kernel, op, dtype, family); each row of --logits is run once whatever this is
    #[arg(long, value_name = "N", default_value_t = 200)]
    cases: u64,
    /// The seed of all random streams
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// The longest row generated [default: 65536; 33554432 where a slow family is named]
    #[arg(long, value_name = "N")]
    max_len: Option<usize>,
    /// Threads; 0 for as many as there are cores
    #[arg(short, long, value_name = "N", default_value_t = 0)]
    jobs: usize,
}

impl Kernels {
    /// The selection of one kernel.
    pub fn named(name: &str) -> Self {
        Self { kernels: vec![name.to_owned()] }
    }

    /// Whether nothing was asked for.
    pub fn is_default(&self) -> bool {
        self.kernels.is_empty()
    }

    /// The kernels asked for, in the order of the flags and of the registry; without a flag, all that are no planted defect.
    pub fn resolve(&self) -> Result<Vec<Arc<dyn Kernel>>> {
        if self.is_default() {
            return Ok(builtin::all()
                .iter()
                .filter(|kernel| kernel.defect().is_none())
                .map(|kernel| built_in(kernel, None))
                .collect());
        }
        let mut chosen: Vec<Arc<dyn Kernel>> = Vec::new();
        for text in &self.kernels {
            let (name, pattern) = match text.split_once('=') {
                Some((name, pattern)) => (Some(name), pattern),
                None => (None, text.as_str()),
            };
            let found: Vec<_> = builtin::all().iter().filter(|kernel| matches(pattern, kernel.name())).collect();
            if found.is_empty() {
                let names: Vec<&str> = builtin::all()
                    .iter()
                    .filter(|kernel| kernel.defect().is_none())
                    .map(builtin::Builtin::name)
                    .collect();
                return Err(Error::usage(format!(
                    "unknown kernel `{pattern}`; the built-in kernels are: {}, and defect/* (see `logitfuzz list kernels`)",
                    names.join(", ")
                )));
            }
            if name.is_some() && found.len() > 1 {
                return Err(Error::usage(format!("`{text}` gives one name to {} kernels", found.len())));
            }
            for kernel in found {
                let kernel = built_in(kernel, name);
                match chosen.iter().any(|other| other.name() == kernel.name()) {
                    // Two patterns may name the same kernel; two kernels may not have the same name.
                    true if name.is_some() => {
                        return Err(Error::usage(format!("the name `{}` is given twice", kernel.name())));
                    }
                    true => {}
                    false => chosen.push(kernel),
                }
            }
        }
        Ok(chosen)
    }
}

impl Policy {
    /// The claims of a kernel under this policy.
    pub fn claims_of(&self, kernel: &dyn Kernel, op: Op, dtype: Dtype) -> Result<Claims> {
        let mut plan = Plan::new(Vec::new());
        (plan.special, plan.claims) = (self.special, self.claims.clone());
        plan.claims_of(kernel, op, dtype)
    }
}

impl Work {
    /// The plan that the flags describe.
    pub fn plan(&self, kernels: &Kernels, policy: &Policy) -> Result<Plan> {
        let mut plan = Plan::new(kernels.resolve()?);
        let mut sources: Vec<Source> = Vec::new();
        let mut is_slow = false;
        for pattern in &self.families {
            // A slow family runs only where it is named in full.
            let found: Vec<Family> = Family::all()
                .iter()
                .copied()
                .filter(
                    |family| if family.is_slow() { family.name() == pattern } else { matches(pattern, family.name()) },
                )
                .collect();
            if found.is_empty() {
                // The registry's own error lists the names.
                pattern.parse::<Family>()?;
            }
            for family in found {
                is_slow |= family.is_slow();
                if !sources.iter().any(|source| source.name() == family.name()) {
                    sources.push(Source::Family(family));
                }
            }
        }
        if !self.families.is_empty() {
            plan.sources = sources;
        }
        if let Some(path) = &self.logits {
            let file = Source::File(Arc::new(Rows::read(path, self.targets.as_deref())?));
            if self.families.is_empty() {
                plan.sources.clear();
            }
            plan.sources.push(file);
        }
        if !self.ops.is_empty() {
            plan.ops = Op::ALL.into_iter().filter(|op| self.ops.contains(op)).collect();
        }
        if !self.dtypes.is_empty() {
            plan.dtypes = Dtype::ALL.into_iter().filter(|dtype| self.dtypes.contains(dtype)).collect();
        }
        plan.seed = self.seed;
        plan.cases = self.cases;
        plan.max_len = self.max_len.unwrap_or(if is_slow { SLOW_MAX_LEN } else { DEFAULT_MAX_LEN });
        plan.jobs = self.jobs;
        plan.special = policy.special;
        plan.claims.clone_from(&policy.claims);
        // Claims that cannot be read are known before any work.
        if let Some(claims) = &plan.claims {
            Claims::default().set(claims)?;
        }
        Ok(plan)
    }
}

/// A built-in kernel, perhaps under another name.
fn built_in(kernel: &'static builtin::Builtin, name: Option<&str>) -> Arc<dyn Kernel> {
    Arc::new(Named { name: name.unwrap_or(kernel.name()).to_owned(), kernel })
}

struct Named {
    name: String,
    kernel: &'static builtin::Builtin,
}

impl Kernel for Named {
    fn name(&self) -> &str {
        &self.name
    }

    fn supports(&self, op: Op, dtype: Dtype) -> bool {
        self.kernel.supports(op, dtype)
    }

    fn claims(&self, op: Op, dtype: Dtype) -> Claims {
        self.kernel.claims(op, dtype)
    }

    fn run(&self, case: &Case) -> Outcome {
        self.kernel.run(case)
    }
}

/// Whether a name matches a pattern, in which `*` stands for any text.
fn matches(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((head, rest)) => name.strip_prefix(head).is_some_and(|tail| {
            (0..=tail.len()).filter(|&cut| tail.is_char_boundary(cut)).any(|cut| matches(rest, &tail[cut..]))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        for (pattern, name, want) in [
            ("shifted", "shifted", true),
            ("shifted", "shifted2", false),
            ("*", "anything", true),
            ("defect/*", "defect/x", true),
            ("defect/*", "shifted", false),
            ("*mask*", "defect/masked-uniform", true),
            ("*a*b*c", "xaybzc", true),
            ("*a*b*c", "xaybz", false),
        ] {
            assert_eq!(matches(pattern, name), want, "{pattern} {name}");
        }
    }
}
