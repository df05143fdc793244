//! Rows of several for an op that is a mean over them: how a row of logits is taken as rows of one length, which of them are ignored, what
//! these hold, and the class of each.

use super::draw::Draw;
use crate::dtype::Dtype;
use std::sync::Arc;

/// Numbers of rows; small ones are drawn more often.
const COUNTS: [usize; 12] = [1, 2, 2, 2, 3, 3, 4, 5, 8, 16, 31, 64];

/// One in so many cases has a row that holds what nobody may look at.
const POISONED: u64 = 4;

/// The logits as rows of one length, and how many these are, drawn where no number is given: what is left over is left out. A row of no
/// logits is any small number of rows, none as well. Now and then one row holds nothing but NaN, infinities, -inf or the largest number.
pub(super) fn split(draw: &mut Draw, dtype: Dtype, logits: Arc<[f64]>, rows: Option<usize>) -> (Arc<[f64]>, usize) {
    if logits.is_empty() {
        let drawn = draw.index(3);
        return (logits, rows.unwrap_or(drawn));
    }
    let drawn = draw.choose(&COUNTS);
    let rows = rows.unwrap_or(drawn).clamp(1, logits.len());
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

#[cfg(test)]
mod tests {
    use crate::dtype::Dtype;
    use crate::generate::{Family, case, row};
    use crate::op::Op;
    use std::collections::BTreeMap;
    use std::sync::Arc;

    const SEED: u64 = 20_260;

    /// Rows of a mean reach what it is about: how many there are and how many of them are ignored, at which end these stand, and what is
    /// behind them; the same in rows that are not ignored, where it has to come through.
    #[test]
    fn rows_of_a_mean_reach_their_regimes() {
        let mut of_none: BTreeMap<&str, usize> = BTreeMap::new();
        for (op, dtype) in
            [Op::MEAN_CROSS_ENTROPY, Op::MEAN_CROSS_ENTROPY_GRAD].iter().flat_map(|&op| Dtype::ALL.map(|d| (op, d)))
        {
            let largest = dtype.format().largest();
            let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
            for &family in Family::all().iter().filter(|family| !family.is_slow()) {
                for index in 0..100 {
                    let logits: Arc<[f64]> = row(family, dtype, SEED, index, 300).into();
                    let case = case(op, dtype, family.name(), SEED, index, logits, None).unwrap().unwrap();
                    let mut note = |what, holds: bool| *seen.entry(what).or_default() += usize::from(holds);
                    let (n, targets) = (case.row_len(), case.targets().unwrap());
                    let rows = targets.len();
                    note("no rows", rows == 0);
                    note("rows of no logits", rows > 0 && n == 0);
                    if n == 0 {
                        assert!(targets.iter().all(Option::is_none), "{op} {dtype} {family} {index}");
                        continue;
                    }
                    let ignored = targets.iter().filter(|target| target.is_none()).count();
                    let is_first = rows > 2 && targets[0].is_none() && targets[1].is_some();
                    let is_last = rows > 2 && targets[rows - 1].is_none() && targets[rows - 2].is_some();
                    note("one row", rows == 1);
                    note("two rows", rows == 2);
                    note("more than 30 rows", rows > 30);
                    note("several rows, none ignored", rows > 1 && ignored == 0);
                    note("all ignored", ignored == rows);
                    note("one of several left", rows > 2 && ignored == rows - 1);
                    note("about a third ignored", rows > 7 && (rows / 5..rows / 2).contains(&ignored));
                    note("the first ignored", is_first);
                    note("the last ignored", is_last);
                    for (row, target) in case.logits().chunks(n).zip(targets) {
                        let (is_finite, max) =
                            (row.iter().all(|z| z.is_finite()), row.iter().copied().fold(f64::NAN, f64::max));
                        let is_nan = row.iter().any(|z| z.is_nan());
                        let masked = row.iter().filter(|&&z| z == f64::NEG_INFINITY).count();
                        let (is_huge, is_inf) = (is_finite && max == largest, row.contains(&f64::INFINITY));
                        // That the mean has a value in spite of it.
                        let others = ignored < rows;
                        match target {
                            None => {
                                note("NaN behind an ignored row", is_nan && others);
                                note("inf behind an ignored row", is_inf && !is_nan && others);
                                note("nothing but -inf behind an ignored row", masked == n && others);
                                note("the largest numbers behind an ignored row", is_huge && others);
                                note("ordinary numbers behind an ignored row", is_finite && !is_huge && others);
                            }
                            Some(class) => {
                                note("NaN in a row that counts", is_nan);
                                note("inf in a row that counts", is_inf && !is_nan);
                                note("nothing but -inf in a row that counts", masked == n);
                                note(
                                    "a masked class in a row that counts",
                                    masked > 0 && masked < n && row[*class] == f64::NEG_INFINITY,
                                );
                                note("a class of the largest logit", n > 1 && row[*class] == max && is_finite);
                                note("another class", n > 1 && row[*class] < max && is_finite);
                            }
                        }
                    }
                }
            }
            // Rows without logits are of one family alone: these are counted together.
            let (empty, others): (Vec<_>, Vec<_>) = seen.iter().partition(|(what, _)| what.contains("no "));
            empty.into_iter().for_each(|(what, count)| *of_none.entry(*what).or_default() += *count);
            assert!(others.len() == 20 && others.iter().all(|(_, count)| **count >= 10), "{op} {dtype}: {others:?}");
        }
        assert!(of_none.len() == 2 && of_none.values().all(|&count| count >= 12), "{of_none:?}");
    }
}
