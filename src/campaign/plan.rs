//! The plan of a campaign: what is run on what, how much of it, and by which policy.

use crate::dtype::Dtype;
use crate::error::{Error, Result};
use crate::generate::file::{FILE_FAMILY, Rows};
use crate::generate::{self, Family};
use crate::kernel::{self, Claims, Kernel};
use crate::op::Op;
use crate::results::{FileRows, Provenance, Settings, Shard};
use crate::special::Special;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The name of the search where rows have that of their family.
pub const SEARCH_FAMILY: &str = "search";

/// The longest row by default: a large vocabulary, and past the reach of an index of 16 bits.
pub const DEFAULT_MAX_LEN: usize = 1 << 17;

/// The longest row that the slow families make when they are asked for.
pub const SLOW_MAX_LEN: usize = 1 << 25;

/// What to run: the selection, the amount of work, and the policy.
pub struct Plan {
    /// The kernels, in the order of the report.
    pub kernels: Vec<Arc<dyn Kernel>>,
    /// The ops, in the order of the report.
    pub ops: Vec<Op>,
    /// The dtypes, in the order of the report.
    pub dtypes: Vec<Dtype>,
    /// Where the rows come from, in the order of the report.
    pub sources: Vec<Source>,
    /// The seed of all random streams.
    pub seed: u64,
    /// Cases for each cell. Rows from a file are run once each whatever this is.
    pub cases: u64,
    /// The longest row generated.
    pub max_len: usize,
    /// Threads; 0 for as many as there are cores. There are never more than pieces of work.
    pub jobs: usize,
    /// The preset of special values for all kernels; otherwise each kernel's own.
    pub special: Option<Special>,
    /// Claims for all kernels, on top of each kernel's own, as `--claims` takes them.
    pub claims: Option<String>,
    /// The share of the work to do; all of it if there is none. Its results are to be merged with those of the other shares.
    pub shard: Option<Shard>,
}

/// Where rows come from.
#[derive(Clone)]
pub enum Source {
    /// A family of the registry.
    Family(Family),
    /// A user's own rows: the family `file`.
    File(Arc<Rows>),
    /// So many cases for each (kernel, op, dtype) of a search for the largest error / bound: the family `search`. Each kernel has
    /// cases of its own.
    Search(u64),
}

impl Source {
    /// The name of the family.
    pub fn name(&self) -> &'static str {
        match self {
            Source::Family(family) => family.name(),
            Source::File(_) => FILE_FAMILY,
            Source::Search(_) => SEARCH_FAMILY,
        }
    }

    pub(super) fn rows(&self, cases: u64) -> u64 {
        match self {
            Source::Family(_) => cases,
            Source::File(rows) => rows.len() as u64,
            Source::Search(steps) => *steps,
        }
    }

    pub(super) fn row(&self, plan: &Plan, dtype: Dtype, index: u64) -> (Vec<f64>, Option<usize>) {
        match self {
            Source::Family(family) => (generate::row(*family, dtype, plan.seed, index, plan.max_len), None),
            Source::File(rows) => {
                let target = rows.targets.as_ref().map(|targets| targets[index as usize]);
                (rows.row(index as usize, dtype), target)
            }
            Source::Search(_) => unreachable!("a search has no rows of its own"),
        }
    }
}

impl Plan {
    /// A plan for these kernels with everything else at its default: all ops, dtypes and quick families, 200 cases a cell.
    pub fn new(kernels: Vec<Arc<dyn Kernel>>) -> Self {
        let quick = Family::all().iter().copied().filter(|family| !family.is_slow());
        Self {
            kernels,
            ops: Op::ALL.to_vec(),
            dtypes: Dtype::ALL.to_vec(),
            sources: quick.map(Source::Family).collect(),
            seed: 0,
            cases: 200,
            max_len: DEFAULT_MAX_LEN,
            jobs: 0,
            special: None,
            claims: None,
            shard: None,
        }
    }

    /// The claims of a kernel under this plan.
    ///
    /// # Errors
    /// Claims that cannot be read, or that no kernel may make ([`Claims::check`]).
    pub fn claims_of(&self, kernel: &dyn Kernel, op: Op, dtype: Dtype) -> Result<Claims> {
        let mut claims = kernel.claims(op, dtype);
        if let Some(text) = &self.claims {
            claims.set(text)?;
        }
        if let Some(special) = self.special {
            claims.special = special;
        }
        let of = |error| Error::usage(format!("the kernel {}, {op} in {dtype}: {error}", kernel.name()));
        claims.check(dtype).map_err(of)?;
        Ok(claims)
    }

    /// Why the results are not whole, if a kernel cannot be run any more for a reason that is not its own.
    pub fn trouble(&self) -> Option<Error> {
        self.kernels.iter().find_map(|kernel| kernel::trouble(kernel.as_ref()))
    }

    pub(crate) fn settings(&self) -> Settings {
        let file = self.sources.iter().find_map(|source| match source {
            Source::File(rows) => Some(FileRows { rows: rows.len(), checksum: rows.checksum() }),
            Source::Family(_) | Source::Search(_) => None,
        });
        Settings {
            seed: self.seed,
            cases: self.cases,
            max_len: self.max_len,
            kernels: self.kernels.iter().map(|kernel| kernel.name().to_owned()).collect(),
            ops: self.ops.clone(),
            dtypes: self.dtypes.clone(),
            families: self.sources.iter().map(|source| source.name().to_owned()).collect(),
            special: self.special.map(|special| special.name().to_owned()),
            claims: self.claims.clone(),
            file,
            search: self.searches().map(|(_, steps)| steps).next().unwrap_or(0),
        }
    }

    /// The searches among the sources: the place and the cases of each.
    pub(super) fn searches(&self) -> impl Iterator<Item = (usize, u64)> {
        self.sources.iter().enumerate().filter_map(|(place, source)| match source {
            Source::Search(steps) => Some((place, *steps)),
            _ => None,
        })
    }

    pub(super) fn provenance(&self) -> Provenance {
        let version = |kernel: &Arc<dyn Kernel>| Some((kernel.name().to_owned(), kernel.version()?.to_owned()));
        Provenance { libraries: self.kernels.iter().filter_map(version).collect(), ..provenance() }
    }

    /// The units of this shard.
    pub(super) fn units(&self) -> Vec<UnitRows> {
        let sources = || self.sources.iter().enumerate().filter(|(_, source)| !matches!(source, Source::Search(_)));
        let each =
            |dtype: usize| sources().map(move |(source, from)| UnitRows { dtype, source, rows: from.rows(self.cases) });
        let all = (0..self.dtypes.len()).flat_map(each);
        all.filter(|unit| self.owns(unit.dtype, unit.source)).collect()
    }

    /// Whether the rows of a source in a dtype, both as indices, are this shard's.
    pub(super) fn owns(&self, dtype: usize, source: usize) -> bool {
        self.shard.is_none_or(|shard| shard.owns(dtype * self.sources.len() + source))
    }
}

/// The versions that results depend on, without those of libraries under test.
pub fn provenance() -> Provenance {
    Provenance {
        libraries: BTreeMap::new(),
        logitfuzz: env!("CARGO_PKG_VERSION").to_owned(),
        generators: generate::VERSION,
        mpfr: crate::oracle::mpfr_version(),
    }
}

/// A pair of a dtype and a source of rows, as indices, with the number of its rows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct UnitRows {
    pub dtype: usize,
    pub source: usize,
    pub rows: u64,
}

/// A kernel on one op in one dtype, with what it claims there.
pub(super) struct Planned {
    pub kernel: usize,
    pub op: usize,
    pub claims: Claims,
}

impl Planned {
    /// For each dtype of the plan, the kernels that implement each op; by op, so that its truth is made once.
    pub fn all(plan: &Plan) -> Result<Vec<Vec<Planned>>> {
        plan.dtypes
            .iter()
            .map(|&dtype| {
                let mut planned = Vec::new();
                for (op_index, &op) in plan.ops.iter().enumerate() {
                    for (index, kernel) in
                        plan.kernels.iter().enumerate().filter(|(_, kernel)| kernel.supports(op, dtype))
                    {
                        planned.push(Planned {
                            kernel: index,
                            op: op_index,
                            claims: plan.claims_of(kernel.as_ref(), op, dtype)?,
                        });
                    }
                }
                Ok(planned)
            })
            .collect()
    }
}
