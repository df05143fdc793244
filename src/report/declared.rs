//! What kernels declare of themselves, for people: a pass is worth what the kernel was held to, so a report says what it claimed and
//! how many of its passes needed that.

use crate::results::{DeclarationText, Declared, Results};

/// The same declaration of one kernel, for all ops and dtypes that have it.
pub(super) struct DeclaredRow<'a> {
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
pub(super) fn rows(results: &Results) -> Vec<DeclaredRow<'_>> {
    let mut rows: Vec<DeclaredRow> = Vec::new();
    for Declared { kernel, op, dtype, declaration, needed } in &results.declared {
        let declares = DeclarationText::from(declaration).to_string();
        let place = rows.iter().position(|row| row.kernel == kernel && row.declares == declares);
        let place = place.unwrap_or_else(|| {
            rows.push(DeclaredRow { kernel, declares, ops: Vec::new(), dtypes: Vec::new(), needed: 0 });
            rows.len() - 1
        });
        let row = &mut rows[place];
        row.needed = row.needed.saturating_add(*needed);
        for (names, name) in [(&mut row.ops, op.name()), (&mut row.dtypes, dtype.name())] {
            if !names.contains(&name) {
                names.push(name);
            }
        }
    }
    rows
}
