//! Mutation of cases, and the crossover of two: how a search takes steps.
//!
//! A step knows what a row is. It moves a logit by ulps, by its exponent or by bits of its significand, to where exp begins to
//! overflow or underflow, or to where the sum is 1; it reorders, ties, masks, shifts and scales; it makes rows longer and shorter;
//! and it changes what the op takes besides. A step keeps the op and the dtype; [`recast`] changes those.
//!
//! All randomness comes from one [`Draw`], so a step is named by its seed. Nothing here knows a kernel or a fuzzer.
//!
//! A *term* is a logit with its value of the cotangent or tangent: whatever moves the one moves the other.

use super::draw::Draw;
use super::families::finite_value;
use super::solve::{self, Edge};
use super::{any_row, extras};
use crate::case::{Case, Value, largest_direction};
use crate::dtype::{Dtype, Format, exponent, ldexp};
use crate::op::Op;
use crate::op::signature::Role;
use std::sync::LazyLock;

/// The most steps of one mutation. Each further one is half as likely as the one before.
const MOST_STEPS: usize = 5;

/// Mutations that are tried until one changes the case. Many leave a short row as it is (sorting one logit, say).
const TRIES: usize = 8;

/// A logit, and its value of the other row (0 where the op takes none).
type Term = [f64; 2];

/// A case that is being changed.
struct Mutation<'a> {
    draw: &'a mut Draw,
    op: Op,
    dtype: Dtype,
    format: Format,
    /// The most terms that the case may have in the end; at least 1.
    max_len: usize,
    terms: Vec<Term>,
    class: usize,
    smoothing: f64,
}

/// A step, with how often it is taken relative to the others.
type Step = (u64, fn(&mut Mutation));

/// The steps on logits, which every op has.
static STEPS: [Step; 22] = [
    (12, change_some),
    (3, tie_some),
    (2, tie_within_ulps),
    (2, swap),
    (1, |c| c.range_of_terms().reverse()),
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
static TARGET_STEPS: [Step; 4] = [(3, class), (2, new_others), (3, change_smoothing), (1, |c| c.smoothing = 0.0)];
static DIRECTION_STEPS: [Step; 4] = [(2, new_others), (6, change_direction), (2, flip_direction), (1, scale_direction)];

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
    let other = Mutation::of(second, draw, usize::MAX);
    let (other_terms, other_class, other_smoothing) = (other.terms, other.class, other.smoothing);
    let mut mutation = Mutation::of(first, draw, max_len);
    let (from, to) = range(mutation.draw, other_terms.len());
    let piece = &other_terms[from..to];
    let at = mutation.draw.index(mutation.terms.len() + 1);
    match mutation.draw.below(3) {
        0 => drop(mutation.terms.splice(at..at, piece.iter().copied())),
        1 => {
            for (term, &new) in mutation.terms[at..].iter_mut().zip(piece) {
                *term = new;
            }
        }
        _ => {
            mutation.terms.truncate(at);
            mutation.terms.extend(piece);
        }
    }
    if mutation.draw.chance(2) {
        (mutation.class, mutation.smoothing) = (other_class, other_smoothing);
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
    (mutation.op, mutation.dtype, mutation.format) = (op, dtype, dtype.format());
    if !keeps {
        mutation.settle_terms();
        new_others(&mut mutation);
    }
    mutation.into_case()
}

/// Every edge of exp in the dtype and in its accumulator, as values of the dtype. They are computed once.
pub(crate) fn edges(dtype: Dtype) -> &'static [f64] {
    static EDGES: LazyLock<[Vec<f64>; Dtype::ALL.len()]> = LazyLock::new(|| {
        Dtype::ALL.map(|dtype| {
            let formats = [dtype.format(), dtype.accumulator().format()];
            formats.iter().flat_map(|&format| Edge::ALL.map(|edge| dtype.round(edge.of(format)))).collect()
        })
    });
    &EDGES[dtype as usize]
}

/// Whether two cases are the same bit for bit, NaN being NaN.
fn same(a: &Case, b: &Case) -> bool {
    let same_values = |a: &[f64], b: &[f64]| {
        a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan()))
    };
    a.target() == b.target()
        && same_values(a.logits(), b.logits())
        && same_values(a.direction().unwrap_or(&[]), b.direction().unwrap_or(&[]))
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
        let direction = case.direction();
        let term = |(j, &z): (usize, &f64)| [z, direction.map_or(0.0, |direction| direction[j])];
        let (class, smoothing) = case.target().unwrap_or((0, 0.0));
        Self {
            draw,
            op: case.op(),
            dtype: case.dtype(),
            format: case.dtype().format(),
            max_len: max_len.max(1),
            terms: case.logits().iter().enumerate().map(term).collect(),
            class,
            smoothing,
        }
    }

    fn step(&mut self) {
        let steps: &[Step] = if self.terms.is_empty() {
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
        self.op.others().iter().find_map(|input| match input.role {
            Role::Class => Some(&TARGET_STEPS[..]),
            Role::Direction => Some(&DIRECTION_STEPS[..]),
            // It comes with a class; another row of logits moves with the first.
            Role::Smoothing | Role::Logits => None,
        })
    }

    /// Every logit a value of the dtype, and as many as there may be.
    fn settle_terms(&mut self) {
        self.terms.truncate(self.max_len);
        if self.terms.is_empty() && self.op.takes_class() {
            self.terms.push([0.0; 2]);
        }
        for [z, _] in &mut self.terms {
            *z = finite_value(self.dtype, *z);
        }
    }

    fn into_case(mut self) -> Case {
        self.settle_terms();
        let limit = largest_direction(self.dtype, self.terms.len());
        let direction = |&[_, g]: &Term| {
            if g.is_nan() { 0.0 } else { finite_value(self.dtype, g.clamp(-limit, limit)) }
        };
        let other = |role: Role| match role {
            Role::Class => Value::Index(self.class % self.terms.len()),
            Role::Smoothing => {
                let rounded = self.dtype.round(self.smoothing.abs());
                Value::Number(if (0.0..=1.0).contains(&rounded) { rounded } else { 0.0 })
            }
            Role::Direction => self.terms.iter().map(direction).collect::<Vec<f64>>().into(),
            Role::Logits => self.terms.iter().map(|&[_, z]| finite_value(self.dtype, z)).collect::<Vec<f64>>().into(),
        };
        let others: Vec<Value> = self.op.others().iter().map(|input| other(input.role)).collect();
        let logits: Vec<f64> = self.terms.iter().map(|&[z, _]| z).collect();
        match Case::new(self.op, self.dtype, logits, others) {
            Ok(case) => case,
            Err(error) => unreachable!("a mutated case is valid: {error}"),
        }
    }

    fn max(&self) -> f64 {
        self.terms.iter().map(|&[z, _]| z).filter(|z| z.is_finite()).fold(f64::NEG_INFINITY, f64::max)
    }

    fn logits(&self) -> Vec<f64> {
        self.terms.iter().map(|&[z, _]| z).collect()
    }

    fn index(&mut self) -> usize {
        self.draw.index(self.terms.len())
    }

    fn range_of_terms(&mut self) -> &mut [Term] {
        let (from, to) = range(self.draw, self.terms.len());
        &mut self.terms[from..to]
    }

    /// An edge of exp in the dtype or in its accumulator, within some ulps.
    fn edge(&mut self) -> f64 {
        let edge = self.draw.choose(edges(self.dtype));
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
        let x = finite_value(self.dtype, x);
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
    if c.terms.is_empty() {
        return;
    }
    let at = c.index();
    let old = c.terms[at][0];
    match c.draw.below(4) {
        0 => {
            let new = c.near(old);
            c.terms.iter_mut().filter(|[z, _]| *z == old).for_each(|[z, _]| *z = new);
        }
        1 => {
            let (from, to) = range(c.draw, c.terms.len());
            for j in from..to {
                c.terms[j][0] = c.near(c.terms[j][0]);
            }
        }
        _ => c.terms[at][0] = c.near(old),
    }
}

/// Makes a range of logits equal to one of the row.
fn tie_some(c: &mut Mutation) {
    if !c.terms.is_empty() {
        let at = c.index();
        let value = c.terms[at][0];
        c.range_of_terms().iter_mut().for_each(|[z, _]| *z = value);
    }
}

/// Makes one logit equal to another, but for an ulp or two.
fn tie_within_ulps(c: &mut Mutation) {
    if !c.terms.is_empty() {
        let (from, to) = (c.index(), c.index());
        let value = finite_value(c.dtype, c.terms[from][0]);
        c.terms[to][0] = c.format.step(value, c.draw.between(-2, 2));
    }
}

fn swap(c: &mut Mutation) {
    if !c.terms.is_empty() {
        let (a, b) = (c.index(), c.index());
        c.terms.swap(a, b);
    }
}

fn sort(c: &mut Mutation) {
    let descending = c.draw.chance(2);
    c.terms.sort_by(|a, b| if descending { b[0].total_cmp(&a[0]) } else { a[0].total_cmp(&b[0]) });
}

fn rotate(c: &mut Mutation) {
    if !c.terms.is_empty() {
        let by = c.index();
        c.terms.rotate_left(by);
    }
}

fn shuffle(c: &mut Mutation) {
    let (from, to) = range(c.draw, c.terms.len());
    c.draw.shuffle(&mut c.terms[from..to]);
}

fn remove(c: &mut Mutation) {
    let (from, to) = range(c.draw, c.terms.len());
    c.terms.drain(from..to);
}

fn truncate(c: &mut Mutation) {
    let len = c.draw.index(c.terms.len() + 1);
    c.terms.truncate(len);
}

/// A copy of a range, anywhere in the row.
fn duplicate(c: &mut Mutation) {
    let (from, to) = range(c.draw, c.terms.len());
    let piece = c.terms[from..to].to_vec();
    let at = c.draw.index(c.terms.len() + 1);
    c.terms.splice(at..at, piece);
}

fn insert(c: &mut Mutation) {
    let at = c.draw.index(c.terms.len() + 1);
    let value = c.fresh();
    let direction = c.terms.first().map_or(0.0, |&[_, g]| g);
    c.terms.insert(at, [value, direction]);
}

/// One term many times over, up to a power of two or one past it: sums of equal terms stop growing there.
fn repeat(c: &mut Mutation) {
    if c.terms.is_empty() {
        return;
    }
    let at = c.index();
    let term = c.terms[at];
    let most = u64::from(usize::BITS - c.max_len.leading_zeros());
    let wanted = (1usize << c.draw.below(most)) + c.draw.index(2);
    let count = wanted.min(c.max_len).saturating_sub(c.terms.len());
    c.terms.splice(at..at, std::iter::repeat_n(term, count));
}

/// -inf at one place, at the front, at the end, in a range, or everywhere.
fn mask(c: &mut Mutation) {
    let (mut from, mut to) = range(c.draw, c.terms.len());
    match c.draw.below(8) {
        0 | 1 => to = (from + 1).min(c.terms.len()),
        2 | 3 => (from, to) = (0, to - from),
        4 | 5 => to = c.terms.len(),
        6 => (from, to) = (0, c.terms.len()),
        _ => {}
    }
    c.terms[from..to].iter_mut().for_each(|[z, _]| *z = f64::NEG_INFINITY);
}

/// A number in place of everything that is none.
fn unmask(c: &mut Mutation) {
    let value = c.fresh();
    c.terms.iter_mut().filter(|[z, _]| !z.is_finite()).for_each(|[z, _]| *z = value);
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
    c.terms.iter_mut().filter(|[z, _]| z.is_finite()).for_each(|[z, _]| *z += by);
}

/// Multiplies all logits by a power of two, which keeps all their digits, or by -1.
fn scale(c: &mut Mutation) {
    let by = c.draw.between(-6, 6) as i32;
    let sign = if by == 0 { -1.0 } else { 1.0 };
    c.terms.iter_mut().filter(|[z, _]| z.is_finite()).for_each(|[z, _]| *z = sign * ldexp(*z, by));
}

/// Puts one logit, or all but the largest, an edge of exp below the maximum.
fn gap_at_edge(c: &mut Mutation) {
    let max = c.max();
    if !max.is_finite() {
        return;
    }
    let value = max - c.edge().abs();
    if c.draw.chance(2) {
        c.terms.iter_mut().filter(|[z, _]| z.is_finite() && *z != max).for_each(|[z, _]| *z = value);
    } else {
        let at = c.index();
        c.terms[at][0] = value;
    }
}

/// Shifts the row so that its log-sum-exp is near 0.
fn normalize(c: &mut Mutation) {
    let logits: Vec<f64> = c.logits().into_iter().filter(|z| z.is_finite()).collect();
    if logits.is_empty() || logits.len() > solve::LONGEST {
        return;
    }
    // Below the maximum, or exp overflows any arithmetic.
    let max = c.max();
    let below: Vec<f64> = logits.iter().map(|z| z - max).collect();
    let by = -max - solve::ln(solve::sum_of_exp(&below).to_f64());
    c.terms.iter_mut().filter(|[z, _]| z.is_finite()).for_each(|[z, _]| *z += by);
}

/// Puts one logit where the exponentials add up to 1, within some ulps, if the others leave room.
fn fill_to_one(c: &mut Mutation) {
    if c.terms.is_empty() || c.terms.len() > solve::LONGEST {
        return;
    }
    let at = c.index();
    let mut others = c.logits();
    others.swap_remove(at);
    // The exponential of anything larger is above 1 by itself.
    if others.iter().any(|&z| z.is_nan() || z > 0.0) {
        return;
    }
    if let Some(value) = solve::fill_to_one(&solve::sum_of_exp(&others)) {
        c.terms[at][0] = c.format.step(finite_value(c.dtype, value), c.draw.between(-2, 2));
    }
}

/// One of the values that code forgets.
fn special(c: &mut Mutation) {
    if !c.terms.is_empty() {
        let (at, format) = (c.index(), c.format);
        let size = c.draw.choose(&[0.0, format.least(), format.least_normal(), format.largest(), f64::INFINITY]);
        c.terms[at][0] = if c.draw.chance(8) { f64::NAN } else { c.draw.sign() * size };
    }
}

/// A new row of any family; what the op takes besides stays.
fn family_row(c: &mut Mutation) {
    let (_, row) = any_row(c.draw, c.dtype, c.max_len);
    let directions: Vec<f64> = c.terms.iter().map(|&[_, g]| g).collect();
    let direction = |j: usize| directions.get(j % directions.len().max(1)).copied().unwrap_or(0.0);
    c.terms = row.into_iter().enumerate().map(|(j, z)| [z, direction(j)]).collect();
}

/// Another class: the one with the largest logit, or any.
fn class(c: &mut Mutation) {
    c.class = c.index();
    if c.draw.chance(3) {
        let max = c.max();
        c.class = c.terms.iter().position(|&[z, _]| z == max).unwrap_or(c.class);
    }
}

fn change_smoothing(c: &mut Mutation) {
    c.smoothing = c.near(c.smoothing);
}

/// All that the op takes besides the logits, as the generators draw it.
fn new_others(c: &mut Mutation) {
    c.settle_terms();
    let logits = c.logits();
    // No family, so no preference.
    for value in extras::others(c.draw, c.op, c.dtype, "", &logits, None).unwrap_or_default() {
        match value {
            Value::Index(class) => c.class = class,
            Value::Number(x) => c.smoothing = x,
            Value::Row(values) => c.terms.iter_mut().zip(values.iter()).for_each(|([_, own], &new)| *own = new),
        }
    }
}

fn change_direction(c: &mut Mutation) {
    if !c.terms.is_empty() {
        let (at, from) = (c.index(), c.index());
        let old = c.terms[at][1];
        // The value of another term, or its negative, makes sums cancel.
        c.terms[at][1] = match c.draw.below(4) {
            0 => c.terms[from][1],
            1 => -c.terms[from][1],
            _ => c.near(old),
        };
    }
}

fn flip_direction(c: &mut Mutation) {
    c.range_of_terms().iter_mut().for_each(|[_, g]| *g = -*g);
}

fn scale_direction(c: &mut Mutation) {
    let by = c.draw.between(-8, 8) as i32;
    c.terms.iter_mut().for_each(|[_, g]| *g = ldexp(*g, by));
    // A value of everyday size comes back from the ends of the range.
    if c.terms.iter().all(|&[_, g]| g == 0.0 || exponent(g).abs() > 40) {
        c.terms.iter_mut().for_each(|[_, g]| *g = g.signum());
    }
}

#[cfg(test)]
mod tests;
