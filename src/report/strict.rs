//! What passes as the textbook does and would not pass under `--strict`, for people: the default forgives what the textbook loses, so a
//! report says how much that is.

use crate::dtype::Dtype;
use crate::op::Op;
use crate::results::{Cell, Results};
use std::collections::BTreeMap;

/// What is said above the rows.
pub(super) const ABOUT: &str = "The textbook loses digits that a careful kernel keeps: of a loss near 0, of a sigmoid far below 0. Outputs that lose no more pass. \
     Here is the largest error of such passes over the tight bound, to which --strict holds all kernels.";

/// An op of a kernel.
pub(super) struct StrictRow<'a> {
    /// The kernel's name.
    pub kernel: &'a str,
    /// The op.
    pub op: Op,
    /// The dtypes in which something passes beyond the tight bound, each with the largest error over that.
    pub ratios: BTreeMap<Dtype, f64>,
}

/// One row for each kernel and op that has such passes, by name and op: merged results have their cells in another order.
pub(super) fn rows(results: &Results) -> Vec<StrictRow<'_>> {
    let mut rows: Vec<StrictRow> = Vec::new();
    for Cell { kernel, op, dtype, max_strict_ratio: ratio, .. } in &results.cells {
        if ratio.is_nan() || *ratio <= 1.0 {
            continue;
        }
        let place = rows.iter().position(|row| (row.kernel, row.op) == (kernel.as_str(), *op));
        let place = place.unwrap_or_else(|| {
            rows.push(StrictRow { kernel, op: *op, ratios: BTreeMap::new() });
            rows.len() - 1
        });
        let largest = rows[place].ratios.entry(*dtype).or_insert(0.0);
        *largest = largest.max(*ratio);
    }
    rows.sort_by_key(|row| (row.kernel, row.op));
    rows
}

impl StrictRow<'_> {
    /// `f32 8.4e6, f64 12`: each ratio as `written` writes it.
    pub fn in_words(&self, written: impl Fn(f64) -> String) -> String {
        let each: Vec<String> =
            self.ratios.iter().map(|(dtype, &ratio)| format!("{dtype} {}", written(ratio))).collect();
        each.join(", ")
    }
}
