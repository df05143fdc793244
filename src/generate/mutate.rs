//! Mutation of cases, and the crossover of two: how a search takes steps.
//!
//! A step knows what a row is. It moves a logit by ulps, by its exponent or by bits of its significand, to where exp begins to
//! overflow or underflow, or to where the sum is 1; it reorders, ties, masks, shifts and scales; it makes rows longer and shorter;
//! and it changes what the op takes besides. A step keeps the op and the dtype; [`recast`] changes those.
//!
//! All randomness comes from one [`Draw`], so a step is named by its seed. Nothing here knows a kernel or a fuzzer.
//!
//! A *term* is a logit with its value of every other row: whatever moves the one moves the others. The true class is a place in the
//! row, and stays that place whatever moves.

use super::draw::Draw;
use super::families::finite_value;
use super::solve;
pub(crate) use super::solve::edges;
use super::{any_row, extras};
use crate::case::{Case, Draft, DraftValue, widest_direction};
use crate::dtype::{Dtype, Format, exponent, ldexp};
#[cfg(feature = "arbitrary")]
use crate::op::Op;
use crate::op::signature::Role;

/// The most steps of one mutation. Each further one is half as likely as the one before.
const MOST_STEPS: usize = 5;

/// Mutations that are tried until one changes the case. Many leave a short row as it is (sorting one logit, say).
const TRIES: usize = 8;

/// A case that is being changed.
struct Mutation<'a> {
    draw: &'a mut Draw,
    draft: Draft,
    format: Format,
    /// The most terms that the case may have in the end; at least 1.
    max_len: usize,
}

/// A step, with how often it is taken relative to the others.
type Step = (u64, fn(&mut Mutation));

/// The steps on logits, which every op has.
static STEPS: [Step; 22] = [
    (12, change_some),
    (3, tie_some),
    (2, tie_within_ulps),
    (2, swap),
    (1, reverse),
    (1, sort),
    (1, rotate),
    (1, shuffle),
    (4, remove),
    (2, truncate),
    (3, duplicate),
    (3, insert),
    (2, repeat),
    (2, mask),
    (1, unmask),
    (4, shift),
    (2, scale),
    (2, gap_at_edge),
    (2, normalize),
    (1, fill_to_one),
    (1, special),
    (1, family_row),
];

/// The steps of a row without a logit.
static FIRST_STEPS: [Step; 2] = [(2, insert), (1, family_row)];

/// The steps on what else the op takes; an op that takes nothing has none.
static TARGET_STEPS: [Step; 4] = [(3, class), (2, new_others), (3, change_smoothing), (1, no_smoothing)];
static OTHER_ROW_STEPS: [Step; 4] = [(2, new_others), (6, change_other_row), (2, flip_other_row), (1, scale_other_row)];

static SCALE_STEPS: [Step; 4] = [(2, new_others), (5, change_scale), (1, flip_scale), (2, fit_scale)];
static CLASSES_STEPS: [Step; 6] =
    [(2, new_others), (3, row_class), (3, ignore_row), (2, swap_rows), (2, remove_row), (2, repeat_row)];
static DISTRIBUTION_STEPS: [Step; 5] =
    [(2, new_others), (4, change_mass), (3, move_mass), (2, all_mass), (1, split_mass)];

/// One step on what the op takes besides the logits for so many on the logits.
const LOGITS_SHARE: u64 = 3;

/// A case near this one: of the same op and dtype, with at most `max_len` logits (but one at least where the op needs one). It
/// differs from this one, but for a row on which a few tries in turn changed nothing.
pub(crate) fn mutate(case: &Case, draw: &mut Draw, max_len: usize) -> Case {
    for _ in 0..TRIES {
        let mut mutation = Mutation::of(case, draw, max_len);
        let mut steps = 1;
        while steps < MOST_STEPS && mutation.draw.chance(2) {
            steps += 1;
        }
        (0..steps).for_each(|_| mutation.step());
        let mutated = mutation.into_case();
        if !same(&mutated, case) {
            return mutated;
        }
    }
    case.clone()
}

/// A case with the op and the dtype of `first` and terms of both: a piece of `second` inserted into the row, put over a part of
/// it, or put in place of its tail.
pub(crate) fn crossover(first: &Case, second: &Case, draw: &mut Draw, max_len: usize) -> Case {
    let second = Draft::of(second).taken_by(first.op());
    let mut mutation = Mutation::of(first, draw, max_len);
    let (from, to) = range(mutation.draw, second.len());
    let at = mutation.draw.index(mutation.draft.len() + 1);
    let way = mutation.draw.below(3);
    for (row, other) in mutation.draft.rows_mut().zip(second.rows()) {
        let piece = &other[from..to];
        match way {
            0 => drop(row.splice(at..at, piece.iter().copied())),
            1 => row[at..].iter_mut().zip(piece).for_each(|(value, &new)| *value = new),
            _ => {
                row.truncate(at);
                row.extend(piece);
            }
        }
    }
    if mutation.draw.chance(2) {
        for (part, other) in mutation.draft.others.iter_mut().zip(&second.others) {
            if !matches!(part, DraftValue::Row(_)) {
                part.clone_from(other);
            }
        }
    }
    mutation.into_case()
}

/// The case with another op and dtype: logits rounded to it, what is finite staying finite; what the op takes is kept where both
/// ops take it, and drawn anew elsewhere.
#[cfg(feature = "arbitrary")]
pub(crate) fn recast(case: &Case, op: Op, dtype: Dtype, draw: &mut Draw, max_len: usize) -> Case {
    let mut mutation = Mutation::of(case, draw, max_len);
    let roles = |op: Op| op.others().iter().map(|input| input.role).collect::<Vec<Role>>();
    let keeps = roles(case.op()) == roles(op) && !op.others().is_empty();
    mutation.draft = Draft { dtype, ..mutation.draft.taken_by(op) };
    mutation.format = dtype.format();
    if !keeps {
        new_others(&mut mutation);
    }
    mutation.into_case()
}

/// Whether two cases are the same bit for bit, NaN being NaN.
fn same(a: &Case, b: &Case) -> bool {
    let same_values = |a: &[f64], b: &[f64]| {
        a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan()))
    };
    let scale = |case: &Case| case.scale().map(f64::to_bits);
    a.target() == b.target()
        && a.targets() == b.targets()
        && scale(a) == scale(b)
        && same_values(a.logits(), b.logits())
        && same_values(a.other_row().unwrap_or(&[]), b.other_row().unwrap_or(&[]))
}

/// A range of `0..len` that is not empty unless `len` is 0: short ones are as likely as long ones.
fn range(draw: &mut Draw, len: usize) -> (usize, usize) {
    if len == 0 {
        return (0, 0);
    }
    let from = draw.index(len);
    let most = len - from;
    let bits = u64::from(usize::BITS - most.leading_zeros());
    let octave = 1 << draw.below(bits);
    let count = octave + draw.index(octave);
    (from, from + count.min(most))
}

impl<'a> Mutation<'a> {
    fn of(case: &Case, draw: &'a mut Draw, max_len: usize) -> Self {
        Self { draw, draft: Draft::of(case), format: case.dtype().format(), max_len: max_len.max(1) }
    }

    fn step(&mut self) {
        let steps: &[Step] = if self.draft.logits.is_empty() {
            &FIRST_STEPS
        } else {
            match self.steps_on_others() {
                Some(steps) if self.draw.chance(LOGITS_SHARE + 1) => steps,
                _ => &STEPS,
            }
        };
        let mut place = self.draw.below(steps.iter().map(|(weight, _)| weight).sum());
        for &(weight, step) in steps {
            if place < weight {
                return step(self);
            }
            place -= weight;
        }
    }

    /// The steps on what else the op takes, if it takes anything.
    fn steps_on_others(&self) -> Option<&'static [Step]> {
        self.draft.op.others().iter().find_map(|input| match input.role {
            Role::Class => Some(&TARGET_STEPS[..]),
            Role::Direction | Role::Label | Role::Logits | Role::Values => Some(&OTHER_ROW_STEPS[..]),
            Role::Distribution => Some(&DISTRIBUTION_STEPS[..]),
            Role::Scale => Some(&SCALE_STEPS[..]),
            Role::Classes => Some(&CLASSES_STEPS[..]),
            // It comes with a class.
            Role::Smoothing => None,
        })
    }

    /// Every logit a value of the dtype, and as many as there may be.
    fn settle_terms(&mut self) {
        let none = self.draft.logits.is_empty() && self.draft.op.needs_logit();
        for row in self.draft.rows_mut() {
            row.truncate(self.max_len);
            row.extend(none.then_some(0.0));
        }
        let dtype = self.draft.dtype;
        self.draft.logits.iter_mut().for_each(|z| *z = finite_value(dtype, *z));
    }

    fn into_case(mut self) -> Case {
        self.settle_terms();
        let (op, dtype, len) = (self.draft.op, self.draft.dtype, self.draft.len());
        let limit = widest_direction(dtype, len);
        let settle = |role: Role, x: f64| match role {
            Role::Logits | Role::Values => finite_value(dtype, x),
            Role::Scale if !x.is_finite() => 1.0,
            Role::Scale => finite_value(dtype, x),
            Role::Direction if x.is_nan() => 0.0,
            Role::Direction => finite_value(dtype, x.clamp(-limit, limit)),
            Role::Smoothing => Some(dtype.round(x.abs())).filter(|x| (0.0..=1.0).contains(x)).unwrap_or(0.0),
            Role::Label if x.is_nan() => 0.0,
            Role::Label => dtype.round(x.abs().min(1.0)),
            // Masses are settled together.
            Role::Class | Role::Classes | Role::Distribution => x,
        };
        for (input, part) in op.others().iter().zip(&mut self.draft.others) {
            match part {
                DraftValue::Row(values) => values.iter_mut().for_each(|x| *x = settle(input.role, *x)),
                DraftValue::Number(x) => *x = settle(input.role, *x),
                DraftValue::Index(index) => *index %= len,
                DraftValue::Indices(_) => {}
            }
        }
        self.draft.settle();
        match self.draft.into_case() {
            Ok(case) => case,
            Err(error) => unreachable!("a mutated case is valid: {error}"),
        }
    }

    fn len(&self) -> usize {
        self.draft.len()
    }

    fn dtype(&self) -> Dtype {
        self.draft.dtype
    }

    /// The largest finite logit; -inf where there is none.
    fn max(&self) -> f64 {
        self.draft.logits.iter().filter(|z| z.is_finite()).fold(f64::NEG_INFINITY, |max, &z| max.max(z))
    }

    /// The logits that are numbers, to be changed.
    fn finite(&mut self) -> impl Iterator<Item = &mut f64> {
        self.draft.logits.iter_mut().filter(|z| z.is_finite())
    }

    /// The other row that the op takes, which the steps on it know to be there.
    fn other_row(&mut self) -> &mut [f64] {
        self.draft.other_row_mut().map_or(&mut [], Vec::as_mut_slice)
    }

    fn index(&mut self) -> usize {
        self.draw.index(self.draft.len())
    }

    fn range(&mut self) -> (usize, usize) {
        range(self.draw, self.draft.len())
    }

    /// An edge of exp in the dtype or in its accumulator, or a threshold that the op has besides, of either sign, within some ulps.
    fn edge(&mut self) -> f64 {
        let cuts = self.draft.op.cuts();
        let edge = match cuts {
            [_, ..] if self.draw.chance(2) => finite_value(self.dtype(), self.draw.sign() * self.draw.choose(cuts)),
            _ => self.draw.choose(edges(self.dtype())),
        };
        self.format.step(edge, self.draw.between(-3, 3))
    }

    /// A number out of nowhere: of an everyday size, a small integer, an edge, or of any exponent.
    fn fresh(&mut self) -> f64 {
        match self.draw.below(4) {
            0 => self.draw.between(-8, 8) as f64,
            1 => self.edge(),
            2 => self.draw.sign() * self.draw.log_uniform(self.format.least_exponent(), self.format.emax),
            _ => ldexp(self.draw.normal(), self.draw.between(-4, 10) as i32),
        }
    }

    /// A value near `x`, in one of the ways in which numbers are near; a fresh one where `x` is not finite.
    fn near(&mut self, x: f64) -> f64 {
        if !x.is_finite() {
            return self.fresh();
        }
        // A part whose product is above may have left a number that the dtype has not.
        let x = finite_value(self.dtype(), x);
        let bits = self.format.precision as u64 - 1;
        match self.draw.below(8) {
            0 => self.format.step(x, self.draw.between(-4, 4)),
            1 => self.format.step(x, self.draw.between(-1, 1) << self.draw.below(bits)),
            // The exponent.
            2 => ldexp(x, self.draw.between(-3, 3) as i32),
            // One bit of the significand.
            3 => self.format.from_ordinal(self.format.ordinal(x) ^ 1 << self.draw.below(bits)),
            // Fewer bits of it.
            4 => self.format.from_ordinal(self.format.ordinal(x) & -1 << self.draw.below(bits)),
            5 => -x,
            6 => x + ldexp(self.draw.normal(), self.draw.between(-10, 6) as i32),
            _ => self.fresh(),
        }
    }
}

/// Moves one logit, or all that are equal to it, or each of a range.
fn change_some(c: &mut Mutation) {
    if c.draft.logits.is_empty() {
        return;
    }
    let at = c.index();
    let old = c.draft.logits[at];
    match c.draw.below(4) {
        0 => {
            let new = c.near(old);
            c.draft.logits.iter_mut().filter(|z| **z == old).for_each(|z| *z = new);
        }
        1 => {
            let (from, to) = c.range();
            for j in from..to {
                c.draft.logits[j] = c.near(c.draft.logits[j]);
            }
        }
        _ => c.draft.logits[at] = c.near(old),
    }
}

/// Makes a range of logits equal to one of the row.
fn tie_some(c: &mut Mutation) {
    if !c.draft.logits.is_empty() {
        let at = c.index();
        let value = c.draft.logits[at];
        let (from, to) = c.range();
        c.draft.logits[from..to].fill(value);
    }
}

/// Makes one logit equal to another, but for an ulp or two.
fn tie_within_ulps(c: &mut Mutation) {
    if !c.draft.logits.is_empty() {
        let (from, to) = (c.index(), c.index());
        let value = finite_value(c.dtype(), c.draft.logits[from]);
        c.draft.logits[to] = c.format.step(value, c.draw.between(-2, 2));
    }
}

fn swap(c: &mut Mutation) {
    if !c.draft.logits.is_empty() {
        let (a, b) = (c.index(), c.index());
        c.draft.rows_mut().for_each(|row| row.swap(a, b));
    }
}

fn reverse(c: &mut Mutation) {
    let (from, to) = c.range();
    c.draft.rows_mut().for_each(|row| row[from..to].reverse());
}

fn sort(c: &mut Mutation) {
    let descending = c.draw.chance(2);
    let mut order: Vec<usize> = (0..c.len()).collect();
    let logits = &c.draft.logits;
    order.sort_by(|&i, &j| if descending { logits[j].total_cmp(&logits[i]) } else { logits[i].total_cmp(&logits[j]) });
    c.draft.take(&order);
}

fn rotate(c: &mut Mutation) {
    if !c.draft.logits.is_empty() {
        let by = c.index();
        c.draft.rows_mut().for_each(|row| row.rotate_left(by));
    }
}

fn shuffle(c: &mut Mutation) {
    let (from, to) = c.range();
    let mut order: Vec<usize> = (0..c.len()).collect();
    c.draw.shuffle(&mut order[from..to]);
    c.draft.take(&order);
}

fn remove(c: &mut Mutation) {
    let (from, to) = c.range();
    c.draft.rows_mut().for_each(|row| drop(row.drain(from..to)));
}

fn truncate(c: &mut Mutation) {
    let len = c.draw.index(c.len() + 1);
    c.draft.rows_mut().for_each(|row| row.truncate(len));
}

/// A copy of a range, anywhere in the row.
fn duplicate(c: &mut Mutation) {
    let (from, to) = c.range();
    let at = c.draw.index(c.len() + 1);
    for row in c.draft.rows_mut() {
        let piece = row[from..to].to_vec();
        row.splice(at..at, piece);
    }
}

/// A new logit, with the first term's values of the other rows.
fn insert(c: &mut Mutation) {
    let at = c.draw.index(c.len() + 1);
    let value = c.fresh();
    c.draft.rows_mut().for_each(|row| row.insert(at, row.first().copied().unwrap_or(0.0)));
    c.draft.logits[at] = value;
}

/// One term many times over, up to a power of two or one past it: sums of equal terms stop growing there.
fn repeat(c: &mut Mutation) {
    if c.draft.logits.is_empty() {
        return;
    }
    let at = c.index();
    let most = u64::from(usize::BITS - c.max_len.leading_zeros());
    let wanted = (1usize << c.draw.below(most)) + c.draw.index(2);
    let count = wanted.min(c.max_len).saturating_sub(c.len());
    c.draft.rows_mut().for_each(|row| drop(row.splice(at..at, vec![row[at]; count])));
}

/// -inf at one place, at the front, at the end, in a range, or everywhere.
fn mask(c: &mut Mutation) {
    let (mut from, mut to) = c.range();
    match c.draw.below(8) {
        0 | 1 => to = (from + 1).min(c.len()),
        2 | 3 => (from, to) = (0, to - from),
        4 | 5 => to = c.len(),
        6 => (from, to) = (0, c.len()),
        _ => {}
    }
    c.draft.logits[from..to].fill(f64::NEG_INFINITY);
}

/// A number in place of everything that is none.
fn unmask(c: &mut Mutation) {
    let value = c.fresh();
    c.draft.logits.iter_mut().filter(|z| !z.is_finite()).for_each(|z| *z = value);
}

/// Adds one number to all finite logits: one that takes the maximum to 0 or to an edge, a power of two, or any.
fn shift(c: &mut Mutation) {
    let max = c.max();
    if !max.is_finite() {
        return;
    }
    let by = match c.draw.below(4) {
        0 => -max,
        1 => c.edge() - max,
        2 => c.draw.sign() * ldexp(1.0, c.draw.between(-4, i64::from(c.format.emax.min(40))) as i32),
        _ => c.fresh(),
    };
    c.finite().for_each(|z| *z += by);
}

/// Multiplies all logits by a power of two, which keeps all their digits, or by -1.
fn scale(c: &mut Mutation) {
    let by = c.draw.between(-6, 6) as i32;
    let sign = if by == 0 { -1.0 } else { 1.0 };
    c.finite().for_each(|z| *z = sign * ldexp(*z, by));
}

/// Puts one logit, or all but the largest, an edge of exp below the maximum.
fn gap_at_edge(c: &mut Mutation) {
    let max = c.max();
    if !max.is_finite() {
        return;
    }
    let value = max - c.edge().abs();
    if c.draw.chance(2) {
        c.finite().filter(|z| **z != max).for_each(|z| *z = value);
    } else {
        let at = c.index();
        c.draft.logits[at] = value;
    }
}

/// Shifts the row so that its log-sum-exp is near 0.
fn normalize(c: &mut Mutation) {
    // Below the maximum, or exp overflows any arithmetic.
    let max = c.max();
    let below: Vec<f64> = c.finite().map(|z| *z - max).collect();
    if below.is_empty() || below.len() > solve::LONGEST {
        return;
    }
    let by = -max - solve::ln(solve::sum_of_exp(&below).to_f64());
    c.finite().for_each(|z| *z += by);
}

/// Puts one logit where the exponentials add up to 1, within some ulps, if the others leave room.
fn fill_to_one(c: &mut Mutation) {
    if c.draft.logits.is_empty() || c.len() > solve::LONGEST {
        return;
    }
    let at = c.index();
    let mut others = c.draft.logits.clone();
    others.swap_remove(at);
    // The exponential of anything larger is above 1 by itself.
    if others.iter().any(|&z| z.is_nan() || z > 0.0) {
        return;
    }
    if let Some(value) = solve::fill_to_one(&solve::sum_of_exp(&others)) {
        c.draft.logits[at] = c.format.step(finite_value(c.dtype(), value), c.draw.between(-2, 2));
    }
}

/// One of the values that code forgets.
fn special(c: &mut Mutation) {
    if !c.draft.logits.is_empty() {
        let (at, format) = (c.index(), c.format);
        let size = c.draw.choose(&[0.0, format.least(), format.least_normal(), format.largest(), f64::INFINITY]);
        c.draft.logits[at] = if c.draw.chance(8) { f64::NAN } else { c.draw.sign() * size };
    }
}

/// A new row of any family; what the op takes besides stays, and begins anew where the row goes on.
fn family_row(c: &mut Mutation) {
    let (_, row) = any_row(c.draw, c.dtype(), c.max_len);
    for other in c.draft.rows_mut().skip(1) {
        let old = std::mem::take(other);
        other.extend(old.iter().copied().cycle().chain(std::iter::repeat(0.0)).take(row.len()));
    }
    c.draft.logits = row;
}

/// Another class: the one with the largest logit, or any.
fn class(c: &mut Mutation) {
    let mut class = c.index();
    if c.draw.chance(3) {
        let max = c.max();
        class = c.draft.logits.iter().position(|&z| z == max).unwrap_or(class);
    }
    c.draft.class_mut().into_iter().for_each(|own| *own = class);
}

fn change_smoothing(c: &mut Mutation) {
    if let Some(&mut DraftValue::Number(old)) = c.draft.part_mut(Role::Smoothing) {
        let new = c.near(old);
        c.draft.part_mut(Role::Smoothing).into_iter().for_each(|part| *part = DraftValue::Number(new));
    }
}

fn no_smoothing(c: &mut Mutation) {
    c.draft.part_mut(Role::Smoothing).into_iter().for_each(|part| *part = DraftValue::Number(0.0));
}

/// Another scale: what `new` makes of the one there is.
fn set_scale(c: &mut Mutation, new: impl FnOnce(&mut Mutation, f64) -> f64) {
    if let Some(&mut DraftValue::Number(old)) = c.draft.part_mut(Role::Scale) {
        let new = new(c, old);
        c.draft.part_mut(Role::Scale).into_iter().for_each(|part| *part = DraftValue::Number(new));
    }
}

fn change_scale(c: &mut Mutation) {
    set_scale(c, |c, old| c.near(old));
}

fn flip_scale(c: &mut Mutation) {
    set_scale(c, |_, old| -old);
}

/// A scale that brings the largest logit to an everyday size, or to an edge of exp.
fn fit_scale(c: &mut Mutation) {
    let size = c.draft.logits.iter().filter(|z| z.is_finite()).fold(0.0f64, |size, z| size.max(z.abs()));
    if size > 0.0 {
        let wanted = if c.draw.chance(3) { c.edge() } else { ldexp(c.draw.normal(), c.draw.between(-2, 6) as i32) };
        set_scale(c, |_, _| wanted / size);
    }
}

/// All that the op takes besides the logits, as the generators draw it.
fn new_others(c: &mut Mutation) {
    c.settle_terms();
    // No family, so no preference.
    let rows = match c.draft.classes() {
        Some(_) if c.draft.logits.is_empty() => c.draw.index(3),
        // As many as there are, or a number of them that divides the logits.
        Some(classes) if c.draw.chance(2) => divisor(classes.len(), c.draft.len()),
        Some(_) => divisor(1 + c.draw.index(8), c.draft.len()),
        None => 1,
    };
    let drawn = extras::others(c.draw, c.draft.op, c.draft.dtype, "", &c.draft.logits, rows, None);
    if let Some(drawn) = drawn {
        c.draft.others = drawn.iter().map(DraftValue::of).collect();
    }
}

/// The largest number up to `most` that divides `len`.
fn divisor(most: usize, len: usize) -> usize {
    (1..=most.min(len)).rev().find(|rows| len.is_multiple_of(*rows)).unwrap_or(1)
}

/// Rows, and the number of logits of each, once both fit; none where there is no row.
fn rows(c: &mut Mutation) -> Option<(usize, usize)> {
    c.settle_terms();
    c.draft.settle();
    let rows = c.draft.classes()?.len();
    (rows > 0).then(|| (rows, c.draft.len() / rows))
}

/// Another class of one row, or the same of all: the one with the largest logit, or any.
fn row_class(c: &mut Mutation) {
    let Some((rows, n)) = rows(c).filter(|(_, n)| *n > 0) else { return };
    let row = c.draw.index(rows);
    let logits = &c.draft.logits[row * n..(row + 1) * n];
    let largest = (0..n).reduce(|best, j| if logits[j] > logits[best] { j } else { best }).unwrap_or(0);
    let class = if c.draw.chance(3) { largest } else { c.draw.index(n) };
    let is_of_all = c.draw.chance(6);
    let classes = c.draft.classes_mut().into_iter().flatten().enumerate();
    classes.filter(|(at, _)| is_of_all || *at == row).for_each(|(_, own)| *own = Some(class));
}

/// Ignores a row, or looks at one that was ignored; or does so with all at once.
fn ignore_row(c: &mut Mutation) {
    let Some((rows, n)) = rows(c) else { return };
    let (row, is_of_all) = (c.draw.index(rows), c.draw.chance(6));
    let class = (n > 0).then(|| c.draw.index(n));
    let Some(classes) = c.draft.classes_mut() else { return };
    let new = if classes[row].is_some() { None } else { class };
    if is_of_all { classes.fill(new) } else { classes[row] = new }
}

fn swap_rows(c: &mut Mutation) {
    let Some((rows, n)) = rows(c) else { return };
    let (a, b) = (c.draw.index(rows), c.draw.index(rows));
    (0..n).for_each(|j| c.draft.logits.swap(a * n + j, b * n + j));
    c.draft.classes_mut().into_iter().for_each(|classes| classes.swap(a, b));
}

fn remove_row(c: &mut Mutation) {
    let Some((rows, n)) = rows(c).filter(|(rows, _)| *rows > 1) else { return };
    let row = c.draw.index(rows);
    c.draft.logits.drain(row * n..(row + 1) * n);
    let Some(classes) = c.draft.classes_mut() else { return };
    classes.remove(row);
}

fn repeat_row(c: &mut Mutation) {
    let Some((rows, n)) = rows(c).filter(|(rows, n)| (rows + 1) * n <= c.max_len) else { return };
    let row = c.draw.index(rows);
    let copied = c.draft.logits[row * n..(row + 1) * n].to_vec();
    c.draft.logits.extend(copied);
    c.draft.classes_mut().into_iter().for_each(|classes| classes.push(classes[row]));
}

fn change_other_row(c: &mut Mutation) {
    if !c.draft.logits.is_empty() {
        let (at, from) = (c.index(), c.index());
        let (old, other) = (c.other_row()[at], c.other_row()[from]);
        // The value of another term, or its negative, makes sums cancel.
        c.other_row()[at] = match c.draw.below(4) {
            0 => other,
            1 => -other,
            _ => c.near(old),
        };
    }
}

/// Another mass for one class; the one that has most takes the difference.
fn change_mass(c: &mut Mutation) {
    if !c.draft.logits.is_empty() {
        let at = c.index();
        let old = c.draft.masses_mut()[at];
        let new = c.near(old);
        c.draft.masses_mut()[at] = new;
    }
}

/// All the mass of one class to another.
fn move_mass(c: &mut Mutation) {
    if !c.draft.logits.is_empty() {
        let (from, to) = (c.index(), c.index());
        let masses = c.draft.masses_mut();
        let moved = std::mem::take(&mut masses[from]);
        masses[to] += moved;
    }
}

/// All mass to one class: that of the largest logit, or any.
fn all_mass(c: &mut Mutation) {
    if !c.draft.logits.is_empty() {
        let mut at = c.index();
        if c.draw.chance(3) {
            let max = c.max();
            at = c.draft.logits.iter().position(|&z| z == max).unwrap_or(at);
        }
        c.draft.masses_mut().iter_mut().enumerate().for_each(|(i, mass)| *mass = if i == at { 1.0 } else { 0.0 });
    }
}

/// Half of the mass of one class to another.
fn split_mass(c: &mut Mutation) {
    if !c.draft.logits.is_empty() {
        let (from, to) = (c.index(), c.index());
        let masses = c.draft.masses_mut();
        masses[from] /= 2.0;
        masses[to] += masses[from];
    }
}

fn flip_other_row(c: &mut Mutation) {
    let (from, to) = c.range();
    c.other_row()[from..to].iter_mut().for_each(|g| *g = -*g);
}

fn scale_other_row(c: &mut Mutation) {
    let by = c.draw.between(-8, 8) as i32;
    let direction = c.other_row();
    direction.iter_mut().for_each(|g| *g = ldexp(*g, by));
    // A value of everyday size comes back from the ends of the range.
    if direction.iter().all(|&g| g == 0.0 || exponent(g).abs() > 40) {
        direction.iter_mut().for_each(|g| *g = g.signum());
    }
}

#[cfg(test)]
mod tests;
