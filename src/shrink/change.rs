//! The changes that the passes of the reducer make to a whole case: fewer logits or rows, a flat row, all values rounded alike.

use super::Step;
use super::value::{to_bits, to_digits};
use crate::case::{Case, Draft, DraftValue, Value};
use crate::dtype::{Dtype, exponent, ldexp};
use crate::op::signature::Role;
use std::ops::Range;

/// The values of the other row that the op takes, if it takes one. What it cannot have is no case, and so no candidate.
fn direction(draft: &mut Draft) -> &mut [f64] {
    draft.other_row_mut().map_or(&mut [], Vec::as_mut_slice)
}

/// Whether every row has the same value, bit for bit, at these places.
fn is_flat(case: &Case, places: Range<usize>) -> bool {
    same(&case.logits()[places.clone()])
        && case.others().all(|(_, value)| if let Value::Row(row) = value { same(&row[places.clone()]) } else { true })
}

/// Change `choice` of [`Pass::Level`].
pub(super) fn level(case: &Case, choice: usize, is_long: bool) -> Step {
    let mut draft = Draft::of(case);
    match choice {
        0 if is_long => draft.logits.fill(0.0),
        1 | 2 if is_long && !direction(&mut draft).is_empty() => {
            direction(&mut draft).fill(f64::from(choice as u8 - 1));
            direction(&mut draft)[0] = 1.0;
        }
        1 if is_long && !draft.masses_mut().is_empty() => one_hot(&mut draft, 0),
        _ => return Step::Done,
    }
    Step::Try(draft)
}

/// All mass to one class.
fn one_hot(draft: &mut Draft, class: usize) {
    draft.masses_mut().iter_mut().enumerate().for_each(|(i, mass)| *mass = f64::from(u8::from(i == class)));
}

/// The class of the first largest of these numbers; none of none.
fn largest(values: &[f64]) -> Option<usize> {
    (0..values.len()).reduce(|found, i| if values[i] > values[found] { i } else { found })
}

/// The values that [`Pass::Flatten`] sets chunks to: 0, 1, the most common one.
pub(super) const FLAT_VALUES: usize = 3;

/// The ways of [`keep`]: the first, the last, the largest, the largest and the least.
pub(super) const KEEP_WAYS: usize = 4;

/// The case with `count` logits, fewer than it has, and besides with its target, or the class that has most of the mass.
pub(super) fn keep(case: &Case, count: usize, way: usize) -> Option<Draft> {
    let logits = case.logits();
    let n = logits.len();
    let mut kept: Vec<usize> = match way {
        0 => (0..count).collect(),
        _ if is_flat(case, 0..n) => return None, // as the first
        1 => (n - count..n).collect(),
        _ => {
            let least = if way == 2 { 0 } else { count / 2 };
            let order = |a: &usize, b: &usize| logits[*a].total_cmp(&logits[*b]).then(b.cmp(a));
            let mut ordered: Vec<usize> = (0..n).collect();
            ordered.select_nth_unstable_by(n - (count - least), order);
            if least > 0 {
                ordered[..n - (count - least)].select_nth_unstable_by(least, order);
            }
            ordered.drain(least..n - (count - least));
            ordered.sort_unstable();
            ordered
        }
    };
    let target = case.target().map(|(class, _)| class);
    if let Some(class) = target.or_else(|| largest(case.distribution()?))
        && let Err(place) = kept.binary_search(&class)
    {
        kept.insert(place, class);
    }
    Draft::of(case).select(&kept)
}

/// The case of several rows with so many rows or columns: the first or the last ones, and the columns of true classes besides.
pub(super) fn keep_of_rows(case: &Case, count: usize, way: usize) -> Option<Draft> {
    let (rows, n) = (case.targets()?.len(), case.row_len());
    let all = if way < 2 { rows } else { n };
    let kept = match way % 2 {
        _ if count >= all => return None,
        0 => 0..count,
        _ => all - count..all,
    };
    match way < 2 {
        true => Draft::of(case).select_rows(&kept.collect::<Vec<usize>>(), &(0..n).collect::<Vec<usize>>()),
        false => with_columns(case, |j| kept.contains(&j)),
    }
}

/// The case of several rows without a chunk of its rows, then of its columns.
pub(super) fn drop_of_rows(case: &Case, chunk: Range<usize>) -> Option<Draft> {
    let (rows, n) = (case.targets()?.len(), case.row_len());
    if chunk.start < rows {
        let kept: Vec<usize> = (0..rows).filter(|row| !chunk.contains(row)).collect();
        return Draft::of(case).select_rows(&kept, &(0..n).collect::<Vec<usize>>());
    }
    with_columns(case, |j| !chunk.contains(&(rows + j)))
}

/// The case of several rows with these columns, and those of true classes.
fn with_columns(case: &Case, is_kept: impl Fn(usize) -> bool) -> Option<Draft> {
    let targets = case.targets()?;
    let is_target = |j: &usize| targets.contains(&Some(*j));
    let columns: Vec<usize> = (0..case.row_len()).filter(|j| is_kept(*j) || is_target(j)).collect();
    Draft::of(case).select_rows(&(0..targets.len()).collect::<Vec<usize>>(), &columns)
}

/// Whether all values are the same, bit for bit.
fn same(values: &[f64]) -> bool {
    values.iter().all(|x| x.to_bits() == values[0].to_bits())
}

/// The case without a chunk of its logits; the target stays.
pub(super) fn drop_chunk(case: &Case, chunk: Range<usize>) -> Option<Draft> {
    let target = case.target().map(|(class, _)| class);
    if let Some(before) = chunk.start.checked_sub(chunk.len()) {
        // Within a run the case is the one that dropping the chunk before has given.
        let both = before..chunk.end;
        if is_flat(case, both.clone()) && target.is_none_or(|class| !both.contains(&class)) {
            return None;
        }
    }
    // The target's index, if it lies in the chunk and so stays.
    let spared = target.filter(|class| chunk.contains(class));
    if chunk.len() == usize::from(spared.is_some()) {
        return None;
    }
    let kept: Vec<usize> = (0..chunk.start).chain(spared).chain(chunk.end..case.logits().len()).collect();
    Draft::of(case).select(&kept)
}

/// Significand bits to which all values are rounded at once.
const ROUGH_BITS: [u32; 9] = [1, 2, 3, 4, 6, 8, 11, 16, 24];

/// Decimal digits to which all values are rounded at once.
const ROUGH_DIGITS: [usize; 3] = [1, 2, 3];

/// Change `choice` of the whole case.
pub(super) fn whole(case: &Case, most_common: f64, choice: usize) -> Step {
    /// Changes of the target and the order.
    const TARGET: usize = 5;
    /// Changes of the smoothing.
    const SMOOTHING: [f64; 4] = [0.0, 1.0, 0.5, 0.1];
    /// Directions of a known form.
    const FORMS: usize = 5;
    /// Distributions of a known form.
    const DISTRIBUTIONS: usize = 6;
    let dtype = case.dtype();
    let n = case.logits().len();
    let mut draft = Draft::of(case);
    let mut choice = choice;
    // Takes `choice` if it is one of the next `count`, else counts them off.
    let mut among = |count: usize| {
        let taken = (choice < count).then_some(choice);
        choice = choice.wrapping_sub(if taken.is_some() { 0 } else { count });
        taken
    };
    if let Some(change) = among(TARGET) {
        let mut order: Vec<usize> = (0..n).collect();
        if draft.classes().is_some() {
            let last = case.row_len().checked_sub(1);
            let classes = draft.classes_mut().into_iter().flatten();
            match change {
                0 => classes.for_each(|class| *class = class.map(|_| 0)),
                1 => classes.for_each(|class| *class = class.and(last)),
                2 => classes.for_each(|class| *class = class.or(last.map(|_| 0))),
                // Every column would move with the logits of one row.
                _ => return Step::Skip,
            }
            return Step::Try(draft);
        }
        match (change, draft.class_mut()) {
            (0..=2, None) => return Step::Skip,
            (0, Some(class)) => *class = 0,
            (1, Some(class)) => *class = n - 1,
            (2, Some(class)) => {
                order.swap(0, *class);
                return draft.select(&order).into();
            }
            _ => {
                order.sort_by(|&a, &b| draft.logits[a].total_cmp(&draft.logits[b]));
                if change == 3 {
                    order.reverse();
                }
                return draft.select(&order).into();
            }
        }
        return Step::Try(draft);
    }
    if let Some(change) = among(SMOOTHING.len()) {
        let Some(DraftValue::Number(smoothing)) = draft.part_mut(Role::Smoothing) else { return Step::Skip };
        *smoothing = dtype.round(SMOOTHING[change]);
        return Step::Try(draft);
    }
    if let Some(form) = among(FORMS) {
        if n == 0 || direction(&mut draft).is_empty() {
            return Step::Skip;
        }
        let largest = (0..n).max_by(|&a, &b| draft.logits[a].total_cmp(&draft.logits[b])).unwrap_or(0);
        for (index, g) in direction(&mut draft).iter_mut().enumerate() {
            let one_hot = |at: usize| f64::from(u8::from(index == at));
            *g = match form {
                0 => one_hot(0),
                1 => one_hot(n - 1),
                2 => one_hot(largest),
                3 => one_hot(0) - one_hot(1),
                _ => 1.0 - 2.0 * (index % 2) as f64,
            };
        }
        return Step::Try(draft);
    }
    if let Some(form) = among(DISTRIBUTIONS) {
        let Some(masses) = draft.masses() else { return Step::Skip };
        let least: Vec<f64> = draft.logits.iter().map(|z| -z).collect();
        let class = match form {
            0 => Some(0),
            1 => n.checked_sub(1),
            2 => largest(masses),
            3 => largest(&draft.logits),
            4 => largest(&least),
            _ => None,
        };
        match class {
            Some(class) => one_hot(&mut draft, class),
            None => draft.masses_mut().fill(1.0),
        }
        return Step::Try(draft);
    }
    if let Some(change) = among(ROUGH_BITS.len()) {
        if draft.masses().is_none() {
            return Step::Skip;
        }
        draft.masses_mut().iter_mut().for_each(|mass| *mass = to_bits(*mass, ROUGH_BITS[change], false));
        return Step::Try(draft);
    }
    if let Some(change) = among(EVERYWHERE) {
        let helps = everywhere(&mut draft.logits, most_common, change, dtype);
        return if helps { Step::Try(draft) } else { Step::Skip };
    }
    if let Some(change) = among(EVERYWHERE) {
        let helps = everywhere(direction(&mut draft), 1.0, change, dtype);
        return if helps { Step::Try(draft) } else { Step::Skip };
    }
    Step::Done
}

/// The number of changes that [`everywhere`] knows.
const EVERYWHERE: usize = 15 + ROUGH_BITS.len() + ROUGH_DIGITS.len();

/// Applies change `choice` to all values alike; false if there is nothing to change.
fn everywhere(values: &mut [f64], common: f64, choice: usize, dtype: Dtype) -> bool {
    let finite = || values.iter().copied().filter(|x| x.is_finite());
    let (Some(most), Some(least)) = (finite().reduce(f64::max), finite().reduce(f64::min)) else {
        // Without a number only the constants can apply.
        let constant = [0.0, 1.0, -1.0].get(choice).copied();
        values.iter_mut().for_each(|x| *x = constant.unwrap_or(*x));
        return constant.is_some() && !values.is_empty();
    };
    let constant = match choice {
        0 => Some(0.0),
        1 => Some(1.0),
        2 => Some(-1.0),
        3 => Some(common),
        4 => Some(values.iter().copied().max_by(f64::total_cmp).unwrap_or(most)),
        _ => None,
    };
    let power = if most == 0.0 { 0.0 } else { ldexp(1.0, exponent(most)).copysign(most) };
    let change = |x: f64| match choice {
        _ if constant.is_some() => constant.unwrap_or(x),
        _ if !x.is_finite() => x,
        // A common offset, which softmax does not see.
        5 => x - most,
        6 => x - least,
        7 => x - common,
        8 => x - power,
        9 => x.abs(),
        10 => -x,
        11 => x / 2.0,
        12 => x.trunc(),
        13 => x.round_ties_even(),
        14 => x.abs().ceil().copysign(x),
        _ => match ROUGH_BITS.get(choice - 15) {
            Some(&bits) => to_bits(x, bits, false),
            None => to_digits(x, ROUGH_DIGITS[choice - 15 - ROUGH_BITS.len()], dtype),
        },
    };
    let special = constant.is_none() && (choice == 7 && !common.is_finite());
    values.iter_mut().for_each(|x| *x = dtype.round(change(*x)));
    !special
}
