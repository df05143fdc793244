//! Rows of several for an op that is a mean over them: how a row of logits is taken as rows of one length, which of them are ignored, what
//! these hold, and the class of each.

use super::draw::Draw;
use crate::dtype::Dtype;
use std::sync::Arc;

/// Numbers of rows; small ones are drawn more often.
const COUNTS: [usize; 12] = [1, 2, 2, 2, 3, 3, 4, 5, 8, 16, 31, 64];

/// One in so many cases has a row that holds what nobody may look at.
const POISONED: u64 = 4;

/// The logits as rows of one length, and how many these are: what is left over is left out. A row of no logits is any small number of rows,
/// none as well. Now and then one row holds nothing but NaN, infinities, -inf or the largest number.
pub(super) fn split(draw: &mut Draw, dtype: Dtype, logits: Arc<[f64]>) -> (Arc<[f64]>, usize) {
    if logits.is_empty() {
        return (logits, draw.index(3));
    }
    let rows = draw.choose(&COUNTS).min(logits.len());
    let n = logits.len() / rows;
    let mut taken = logits[..rows * n].to_vec();
    if rows > 1 && draw.chance(POISONED) {
        let row = draw.index(rows);
        let kinds = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, dtype.format().largest()];
        let all = draw.choose(&kinds);
        let is_mixed = draw.chance(3);
        taken[row * n..(row + 1) * n].iter_mut().for_each(|z| *z = if is_mixed { draw.choose(&kinds) } else { all });
    }
    (taken.into(), rows)
}

/// The class of each of so many rows, and none of those that are ignored. `class` picks that of a row.
pub(super) fn classes(
    draw: &mut Draw,
    logits: &[f64],
    rows: usize,
    mut class: impl FnMut(&mut Draw, &[f64]) -> usize,
) -> Vec<Option<usize>> {
    let n = logits.len().checked_div(rows).unwrap_or(0);
    let row_of = |row: usize| &logits[row * n..(row + 1) * n];
    let is_odd = |row: usize| row_of(row).iter().any(|z| !z.is_finite());
    let way = draw.below(10);
    let kept = draw.index(rows.max(1));
    let is_ignored = |draw: &mut Draw, row: usize| match way {
        0..=2 => false,
        // What is not finite is behind the word that it is ignored.
        3..=5 => is_odd(row),
        6 => draw.chance(3),
        7 => row != kept,
        // What a kernel may take for a padding at either end.
        8 => row == 0 || row + 1 == rows,
        _ => true,
    };
    (0..rows)
        .map(|row| {
            let ignored = n == 0 || is_ignored(draw, row);
            (!ignored).then(|| class(draw, row_of(row)))
        })
        .collect()
}
