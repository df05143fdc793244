//! What kernels declare of themselves, for people: a pass is worth what the kernel was held to, so a report says what it claimed and
//! how many of its passes needed that.

use crate::results::{DeclarationText, Declared, Results};
use std::collections::BTreeSet;

/// The same declaration of one kernel, for all ops and dtypes that have it.
pub(super) struct Row<'a> {
    /// The kernel's name.
    pub kernel: &'a str,
    /// What it declares: `exp=8, max_len=4096`.
    pub declares: String,
    /// The ops, in their order.
    pub ops: Vec<&'static str>,
    /// The dtypes, in their order.
    pub dtypes: Vec<&'static str>,
    /// Cases that pass only thanks to the claims.
    pub needed: u64,
}

/// One row for each kernel and declaration, in the order of the results.
pub(super) fn rows(results: &Results) -> Vec<Row<'_>> {
    let mut rows: Vec<(Row, BTreeSet<_>, BTreeSet<_>)> = Vec::new();
    for Declared { kernel, op, dtype, declaration, needed } in &results.declared {
        let declares = DeclarationText::from(declaration).to_string();
        let place = rows.iter().position(|(row, ..)| row.kernel == kernel && row.declares == declares);
        let place = place.unwrap_or_else(|| {
            let row = Row { kernel, declares, ops: Vec::new(), dtypes: Vec::new(), needed: 0 };
            rows.push((row, BTreeSet::new(), BTreeSet::new()));
            rows.len() - 1
        });
        let (row, ops, dtypes) = &mut rows[place];
        row.needed = row.needed.saturating_add(*needed);
        ops.insert(*op);
        dtypes.insert(*dtype);
    }
    let named = |(row, ops, dtypes): (Row<'_>, BTreeSet<crate::op::Op>, BTreeSet<crate::dtype::Dtype>)| Row {
        ops: ops.iter().map(|op| op.name()).collect(),
        dtypes: dtypes.iter().map(|dtype| dtype.name()).collect(),
        kernel: row.kernel,
        declares: row.declares,
        needed: row.needed,
    };
    rows.into_iter().map(named).collect()
}
