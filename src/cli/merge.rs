//! `logitfuzz merge`: the results of all shards, as if the campaign had run in one piece. So of exhaustive runs.

use super::{Exit, exhaust, print};
use crate::campaign;
use crate::outside;
use crate::report;
use std::path::PathBuf;

#[derive(clap::Args)]
#[command(after_help = "\
The merged results.json is the one that a run without --shard writes, byte for byte. `logitfuzz gate --from DIR` then compares it.
Of folders that `logitfuzz exhaust --shard K/N` wrote it makes the certificate of a run without --shard, byte for byte.

Example:
  logitfuzz merge shard-1 shard-2/results.json --out reports/merged")]
pub(super) struct Merge {
    /// The results.json of each shard, or its folder; of exhaustive runs their folders
    #[arg(value_name = "RESULTS", required = true)]
    shards: Vec<PathBuf>,
    /// The folder of the report; it and its parents are made if they do not exist
    #[arg(short, long, value_name = "DIR", default_value = "reports/latest")]
    out: PathBuf,
}

impl Merge {
    pub fn main(self) -> Exit {
        if self.shards.iter().any(|path| exhaust::is_here(path)) {
            return exhaust::merge(&self.shards, &self.out);
        }
        let read = |path: &PathBuf| Ok((path.display().to_string(), report::read(path)?));
        let shards = self.shards.iter().map(read).collect::<crate::error::Result<Vec<_>>>()?;
        let count = shards.len();
        let results = campaign::merge(shards)?;
        report::write(&self.out, &results, None, None)?;
        print(&format!(
            "{count} shards merged: {} cells, {} findings\nreport: {}\n",
            results.cells.len(),
            results.findings.len(),
            outside::path(&self.out.join(report::PAGE_FILE))
        ))?;
        Ok(0)
    }
}
