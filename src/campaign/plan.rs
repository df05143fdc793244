//! The plan of a campaign: what is run on what, how much of it, and by which policy.

use crate::dtype::Dtype;
use crate::error::{Error, Result};
use crate::generate::{self, Family, Source};
use crate::kernel::{self, Claims, Kernel};
use crate::op::Op;
use crate::oracle::Oracle;
use crate::outside;
use crate::results::{self, FileRows, Provenance, Settings, Shard, Shares};
use crate::special::Special;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

/// The name of the search where rows have that of their family.
pub const SEARCH_FAMILY: &str = "search";

/// The longest row by default: a large vocabulary, and past the reach of an index of 16 bits.
pub const DEFAULT_MAX_LEN: usize = 1 << 18;

/// The longest row that the slow families make when they are asked for.
pub const SLOW_MAX_LEN: usize = 1 << 25;

/// What to run: the selection, the amount of work, and the policy.
#[derive(Clone)]
pub struct Plan {
    /// The kernels, in the order of the report.
    pub kernels: Vec<Arc<dyn Kernel>>,
    /// The ops, in the order of the report.
    pub ops: Vec<Op>,
    /// The dtypes, in the order of the report.
    pub dtypes: Vec<Dtype>,
    /// Where the rows come from, in the order of the report: the families, by their names.
    pub sources: Vec<Arc<dyn Source>>,
    /// Cases for each (kernel, op, dtype) of a search for the largest error / bound; 0 for none. It has no rows of its own: each
    /// kernel gets other cases. In the report it is the family [`SEARCH_FAMILY`], after those of the sources.
    pub search: u64,
    /// The seed of all random streams.
    pub seed: u64,
    /// Cases for each cell. Rows from a file are run once each whatever this is.
    pub cases: u64,
    /// The longest row generated.
    pub max_len: usize,
    /// Threads; 0 for as many as there are cores. There are never more than pieces of work.
    pub jobs: usize,
    /// Whether plain numbers are asked before the oracle's tiers. The results are the same either way.
    pub screen: bool,
    /// Whether failures are shrunk and explained, as findings. Without, the results are counts alone: who fails, where, how often, for
    /// less than half of the time where much fails. No report should be made of them.
    pub findings: bool,
    /// The preset of special values for all kernels; otherwise each kernel's own.
    pub special: Option<Special>,
    /// Claims for all kernels, on top of each kernel's own, as `--claims` takes them.
    pub claims: Option<String>,
    /// The share of the work to do; all of it if there is none. Its results are to be merged with those of the other shares.
    pub shard: Option<Shard>,
}

impl Plan {
    /// A plan for these kernels with everything else at its default: all ops, dtypes and quick families, 200 cases a cell.
    pub fn new(kernels: Vec<Arc<dyn Kernel>>) -> Self {
        let quick = Family::all().iter().copied().filter(|family| !family.is_slow());
        Self {
            kernels,
            ops: Op::ALL.to_vec(),
            dtypes: Dtype::ALL.to_vec(),
            sources: quick.map(|family| Arc::new(family) as Arc<dyn Source>).collect(),
            search: 0,
            seed: 0,
            cases: 200,
            max_len: DEFAULT_MAX_LEN,
            jobs: 0,
            screen: true,
            findings: true,
            special: None,
            claims: None,
            shard: None,
        }
    }

    /// An oracle to judge with.
    pub(super) fn oracle(&self) -> Oracle {
        if self.screen { Oracle::new() } else { Oracle::asked_alone() }
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
        let file = self.sources.iter().find_map(|source| {
            let checksum = source.checksum()?;
            Some(FileRows { rows: usize::try_from(source.rows(self.cases)).unwrap_or(usize::MAX), checksum })
        });
        Settings {
            seed: self.seed,
            cases: self.cases,
            max_len: self.max_len,
            kernels: self.kernels.iter().map(|kernel| kernel.name().to_owned()).collect(),
            ops: self.ops.clone(),
            dtypes: self.dtypes.clone(),
            families: self.families().map(str::to_owned).collect(),
            special: self.special.map(|special| special.name().to_owned()),
            claims: self.claims.clone(),
            file,
            search: self.search,
        }
    }

    /// The families of the report, in its order: those of the sources, and the search.
    pub(super) fn families(&self) -> impl Iterator<Item = &str> {
        let search = (self.search > 0).then_some(SEARCH_FAMILY);
        self.sources.iter().map(|source| source.name()).chain(search)
    }

    /// The name of the family at this place in the order of the report.
    pub(super) fn family(&self, place: usize) -> &str {
        self.sources.get(place).map_or(SEARCH_FAMILY, |source| source.name())
    }

    /// The place of the search among the families, if there is one.
    pub(super) fn search_place(&self) -> Option<usize> {
        (self.search > 0).then_some(self.sources.len())
    }

    /// The rows of the family at this place; of the search its cases.
    pub(super) fn rows_of(&self, place: usize) -> u64 {
        self.sources.get(place).map_or(self.search, |source| source.rows(self.cases))
    }

    /// Refuses families that a report could not tell apart, or could not be read with.
    pub(super) fn check_families(&self) -> Result<()> {
        let mut known = BTreeSet::new();
        for family in self.families() {
            outside::check_recorded_name(family).map_err(Error::usage)?;
            if !known.insert(family) {
                return Err(Error::usage(format!("the family `{family}` is there twice; give each a name of its own")));
            }
        }
        Ok(())
    }

    pub(super) fn provenance(&self) -> Provenance {
        let version = |kernel: &Arc<dyn Kernel>| Some((kernel.name().to_owned(), kernel.version()?.to_owned()));
        Provenance { libraries: self.kernels.iter().filter_map(version).collect(), ..provenance() }
    }

    /// Whether a kernel runs in a process of its own, and may be given up on.
    pub(super) fn is_supervised(&self) -> bool {
        self.kernels.iter().any(|kernel| kernel.supervised().is_some())
    }

    /// The families that are split into ranges of rows among so many shards, with the number of their rows. A search is one climb,
    /// and stays whole. So does everything where a kernel may be given up on: that is decided by all cases of a cell before.
    pub(super) fn split(&self, of: usize) -> BTreeMap<String, u64> {
        if self.is_supervised() {
            return BTreeMap::new();
        }
        let each = self.sources.iter().map(|source| (source.name().to_owned(), source.rows(self.cases)));
        each.filter(|&(_, rows)| results::ranges(rows, of) > 1).collect()
    }

    /// How the campaign is shared, if it is.
    fn shares(&self) -> Option<(Shard, Shares)> {
        let shard = self.shard?;
        Some((shard, Shares::new(shard.of, self.dtypes.len(), self.families(), &self.split(shard.of))))
    }

    /// Refuses a shard that is none of the plan's.
    pub(super) fn check_shard(&self) -> Result<()> {
        let Some((shard, shares)) = self.shares() else { return Ok(()) };
        if !(1..=shard.of).contains(&shard.number) {
            return Err(Error::usage(format!("{shard} is no shard: they are counted from 1")));
        }
        shares.check(shard)
    }

    /// What this shard has to do: the rows of each dtype and family, both as indices; all rows where there are no shards.
    pub(super) fn own_rows(&self) -> OwnRows {
        let shares = self.shares();
        let mut own = OwnRows::new();
        for (dtype, family) in
            (0..self.dtypes.len()).flat_map(|dtype| (0..self.families().count()).map(move |family| (dtype, family)))
        {
            let all = self.rows_of(family);
            let rows = match &shares {
                None => Some(0..all),
                Some((shard, shares)) => shares.owned(*shard, dtype, family, all),
            };
            own.extend(rows.map(|rows| ((dtype, family), rows)));
        }
        own
    }
}

/// The versions that results depend on, without those of libraries under test.
pub fn provenance() -> Provenance {
    Provenance {
        libraries: BTreeMap::new(),
        logitfuzz: env!("CARGO_PKG_VERSION").to_owned(),
        generators: generate::VERSION,
        mpfr: crate::number::version(),
    }
}

/// The rows of each dtype and family, both as indices, that one shard has; of a search its cases.
pub(super) type OwnRows = BTreeMap<(usize, usize), Range<u64>>;

/// A pair of a dtype and a source of rows, as indices, with the rows of it that are run.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct UnitRows {
    pub dtype: usize,
    pub source: usize,
    pub rows: Range<u64>,
}

impl UnitRows {
    /// How many rows it has.
    pub fn len(&self) -> u64 {
        self.rows.end - self.rows.start
    }
}

/// A kernel on one op in one dtype, with what it claims there.
pub(super) struct Planned {
    pub kernel: usize,
    pub op: usize,
    pub claims: Claims,
}

/// The functions that run on the rows of one dtype and one source, each of which has a cell.
#[derive(Clone, Copy)]
pub(super) struct Cells<'a> {
    pub planned: &'a [Planned],
    pub dtype: usize,
    pub source: usize,
}

impl Cells<'_> {
    /// The cell of a function: kernel, op, dtype, source.
    pub fn cell(&self, place: usize) -> (usize, usize, usize, usize) {
        let (kernel, op, dtype) = self.function(place);
        (kernel, op, dtype, self.source)
    }

    /// The kernel, the op and the dtype of a function.
    pub fn function(&self, place: usize) -> (usize, usize, usize) {
        let function = &self.planned[place];
        (function.kernel, function.op, self.dtype)
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case::Case;
    use crate::kernel::{Outcome, Supervised, builtin};

    /// A kernel that may be given up on.
    struct Outside;

    impl Supervised for Outside {
        fn run_batch(&self, cases: &[&Case]) -> Vec<Outcome> {
            vec![Outcome::NotRun; cases.len()]
        }
    }

    impl Kernel for Outside {
        fn name(&self) -> &str {
            "outside"
        }

        fn supports(&self, op: Op, _: Dtype) -> bool {
            op == Op::SOFTMAX
        }

        fn claims(&self, _: Op, _: Dtype) -> Claims {
            Claims::default()
        }

        fn run(&self, _: &Case) -> Outcome {
            Outcome::NotRun
        }

        fn supervised(&self) -> Option<&dyn Supervised> {
            Some(self)
        }
    }

    /// Whether a kernel is given up on is decided by all cases of a cell before, so one such kernel keeps every cell of the plan whole.
    #[test]
    fn no_cell_is_split_where_a_kernel_may_be_given_up_on() {
        let inside: Arc<dyn Kernel> = Arc::new(builtin::find("shifted").unwrap());
        let plan = |kernels: Vec<Arc<dyn Kernel>>| Plan { cases: 100_000, ..Plan::new(kernels) };
        assert_eq!(plan(vec![inside.clone()]).split(4).len(), Plan::new(Vec::new()).sources.len());
        assert!(plan(vec![inside, Arc::new(Outside)]).split(4).is_empty());
    }
}
