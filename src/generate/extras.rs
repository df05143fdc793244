//! What an op takes besides the logits, in families of its own: targets, label smoothings, labels, other logits, directions (cotangents and
//! tangents), values, distributions, and scales. One registry each; a family of logits may prefer an entry. And the row as an op with a domain takes
//! it.

use super::draw::Draw;
use super::families::finite_value;
use super::several;
use super::solve::{Edge, SolvedSoftmax, absorption_gap, edges, less_one, rest_of_one, sigmoid};
use crate::case::{Value, distribution, largest_direction, widest_direction};
use crate::dtype::{Dtype, Format, ldexp};
use crate::op::definition::Cancels;
use crate::op::signature::Role;
use crate::op::{Kind, Op};
use std::sync::Arc;

/// What the functions below know: the op, the logits, and where to draw from.
struct OthersContext<'a> {
    draw: &'a mut Draw,
    op: Op,
    dtype: Dtype,
    format: Format,
    logits: &'a [f64],
}

/// Picks a class; `None` where the row has none of its kind.
type Target = fn(&mut OthersContext) -> Option<usize>;

/// Picks a label smoothing for a target class; what is outside [0, 1] or NaN becomes 0.
type Smoothing = fn(&mut OthersContext, usize) -> f64;

/// Makes one value per logit; `f64` is a power of two, at most 1, that keeps values of up to 16 within the largest allowed. What is
/// larger than that is cut, but where sums are meant to leave the range ([`leaving`]).
type Direction = fn(&mut OthersContext, f64) -> Vec<f64>;

/// Gives these classes, which are in no order, masses of any sum; all others have none. What comes out becomes a distribution by
/// [`distribution::settle`], which leaves one as it is.
type Masses = fn(&mut OthersContext, &[usize]) -> Vec<f64>;

static TARGETS: [(&str, Target); 7] = [
    ("max", |c| best(c.logits, |a, b| a > b, None)),
    ("min", |c| best(c.logits, |a, b| a < b, None)),
    ("first", |_| Some(0)),
    ("last", |c| c.logits.len().checked_sub(1)),
    ("random", |c| Some(c.draw.index(c.logits.len()))),
    ("masked", |c| c.logits.iter().position(|&z| z == f64::NEG_INFINITY)),
    ("second_largest", |c| best(c.logits, |a, b| a > b, best(c.logits, |a, b| a > b, None))),
];

/// Name, weight (how often it is drawn, relative to the others), function.
static SMOOTHINGS: [(&str, u64, Smoothing); 8] = [
    ("zero", 5, |_, _| 0.0),
    ("tenth", 3, |_, _| 0.1),
    ("one", 2, |_, _| 1.0),
    ("thousandth", 1, |_, _| 1e-3),
    ("least_positive", 2, |c, _| c.format.least()),
    ("random", 1, |c, _| c.draw.uniform()),
    ("one_less_ulp", 1, |c, _| c.format.step(1.0, -1)),
    ("matching", 1, matching),
];

static DIRECTIONS: [(&str, Direction); 12] = [
    ("one_hot", one_hot),
    ("ones", |c, unit| vec![c.draw.sign() * unit; c.logits.len()]),
    ("normal", |c, unit| each(c, |draw| unit * draw.normal())),
    ("mixed_exponents", mixed_exponents),
    ("alternating", |c, unit| (0..c.logits.len()).map(|i| if i % 2 == 0 { unit } else { -unit }).collect()),
    ("zero_sum", zero_sum),
    ("group_means", group_means),
    ("large", large),
    ("tiny", tiny),
    ("zeros", |c, _| vec![0.0; c.logits.len()]),
    ("cancelling", cancelling),
    ("leaving", leaving),
];

/// What values have that no direction has. Three times in four they are drawn as directions are.
static VALUES: [(&str, Direction); 4] = [
    ("masked", masked_values),
    ("infinite", infinite_values),
    ("beside", beside_a_mean),
    ("vanishing_mean", vanishing_mean),
];

/// Makes a label for each logit; what is outside [0, 1] is cut, and NaN becomes 0.
type Labels = fn(&mut OthersContext) -> Vec<f64>;

static LABELS: [(&str, Labels); 8] = [
    ("hard", |c| each(c, |draw| draw.choose(&[0.0, 1.0]))),
    ("equal", |c| {
        let value = c.draw.choose(&[0.0, 1.0, 0.5, 0.1, 0.9]);
        vec![value; c.logits.len()]
    }),
    ("soft", |c| each(c, Draw::uniform)),
    ("near_zero", near_zero),
    ("near_one", near_one),
    ("matching", matching_labels),
    ("simple", |c| each(c, |draw| draw.between(0, 8) as f64 / 8.0)),
    ("mixed", mixed_labels),
];

/// Makes another logit for each logit; what is no number of the dtype is rounded to one.
type OtherLogits = fn(&mut OthersContext) -> Vec<f64>;

static OTHER_LOGITS: [(&str, OtherLogits); 9] = [
    ("equal", |c| c.logits.to_vec()),
    ("within_ulps", |c| {
        let format = c.format;
        beside(c, |draw, x| format.step(x, draw.between(-3, 3)))
    }),
    ("near", |c| {
        let least = -2 * c.format.precision as i32;
        beside(c, |draw, x| x - draw.sign() * draw.log_uniform(least, 1))
    }),
    ("at_thresholds", at_thresholds),
    ("zeros", |c| each(c, |draw| draw.choose(&[0.0, -0.0]))),
    ("far", |c| {
        let (least, most) = (c.format.least_exponent(), c.format.emax);
        each(c, |draw| draw.sign() * draw.log_uniform(least, most))
    }),
    ("permuted", |c| {
        let mut values = c.logits.to_vec();
        c.draw.shuffle(&mut values);
        values
    }),
    ("infinite", |c| {
        beside(c, |draw, x| draw.choose(&[f64::NEG_INFINITY, f64::NEG_INFINITY, f64::INFINITY, x, -x, f64::NAN]))
    }),
    ("matching", matching_logits),
];

/// What the logits of a target have that other logits have not, beside those: the row with an offset, a temperature, or masks of its own.
static TARGET_LOGITS: [(&str, OtherLogits); 4] = [
    ("offset", |c| {
        let offset = c.draw.sign() * c.draw.log_uniform(-4, 8);
        beside(c, |_, x| x + offset)
    }),
    ("temperature", |c| {
        let scale = c.draw.uniform_in(0.2, 3.0);
        beside(c, |_, x| x * scale)
    }),
    ("masked", |c| beside(c, |draw, x| if draw.chance(4) { f64::NEG_INFINITY } else { x + draw.normal() })),
    // A mask of both, as of a vocabulary: what the row masks, the target does.
    ("normal", |c| beside(c, |draw, x| if x.is_finite() { draw.normal() } else { x })),
];

/// Makes a scale; what is not finite becomes 1.
type Scale = fn(&mut OthersContext) -> f64;

/// Name, weight, function.
static SCALES: [(&str, u64, Scale); 13] = [
    ("one", 1, |_| 1.0),
    ("minus_one", 1, |_| -1.0),
    ("zero", 1, |_| 0.0),
    ("minus_zero", 1, |_| -0.0),
    // 1 / sqrt(d) of attention with heads of so many numbers, and the same for exponentials to base 2.
    ("heads", 3, |c| 1.0 / f64::from(c.draw.choose(&[64, 80, 96, 128, 256])).sqrt()),
    ("heads_in_base_2", 1, |c| std::f64::consts::LOG2_E / f64::from(c.draw.choose(&[64, 128])).sqrt()),
    // One over a temperature from 0.1 to 10.
    ("temperature", 2, |c| 1.0 / c.draw.uniform_in(0.1, 10.0)),
    ("least", 1, |c| c.draw.sign() * c.format.least()),
    ("largest", 1, |c| c.draw.sign() * c.format.largest()),
    ("any", 2, |c| c.draw.sign() * c.draw.log_uniform(c.format.least_exponent(), c.format.emax)),
    // The largest product is of an everyday size, of either sign, or about where exp or the product itself ends.
    ("fitting", 5, |c| fitting(c, |draw| ldexp(draw.normal(), draw.between(-2, 6) as i32))),
    ("reaching", 2, |c| {
        let edge = c.draw.choose(edges(c.dtype));
        fitting(c, |draw| draw.sign() * edge * draw.uniform_in(0.999, 1.001))
    }),
    ("beyond", 1, |c| {
        let largest = c.dtype.accumulator().format().largest();
        fitting(c, |draw| draw.sign() * largest * draw.uniform_in(0.9, 1.1))
    }),
];

static DISTRIBUTIONS: [(&str, Masses); 11] = [
    ("one_hot_max", |c, classes| one_hot_at(c, best_of(c.logits, classes, |a, b| a > b))),
    ("one_hot_min", |c, classes| one_hot_at(c, best_of(c.logits, classes, |a, b| a < b))),
    ("one_hot_any", |c, classes| one_hot_at(c, classes.first().copied())),
    ("uniform", |c, classes| masses_of(c, classes, |_| 1.0)),
    ("uniform_over_some", uniform_over_some),
    ("spread", |c, classes| masses_of(c, classes, Draw::uniform)),
    ("sparse", sparse),
    ("halves", halves),
    ("complements", complements),
    ("nearly_one_hot", nearly_one_hot),
    ("softmax", softmax_as_masses),
];

/// Families of logits that are made for one kind of target (always taken) or of smoothing (taken every other time), or of distribution
/// (taken every other time).
const PREFERRED_TARGETS: [(&str, &str); 1] = [("confident_wrong", "min")];
const PREFERRED_SMOOTHINGS: [(&str, &str); 1] = [("cancellation", "matching")];
const PREFERRED_DISTRIBUTIONS: [(&str, &str); 2] = [("confident_wrong", "one_hot_min"), ("cancellation", "softmax")];

/// What `op` takes besides these logits, in the order of its signature; `None` where there is no class to be the target. Where the op
/// takes several rows, the logits are so many of them.
pub(super) fn others(
    draw: &mut Draw,
    op: Op,
    dtype: Dtype,
    family: &str,
    logits: &[f64],
    rows: usize,
    target: Option<usize>,
) -> Option<Vec<Value>> {
    let mut c = OthersContext { draw, op, dtype, format: dtype.format(), logits };
    let mut class = None;
    let mut value = |role: Role| match role {
        Role::Class | Role::Distribution if logits.is_empty() => None,
        Role::Class => {
            let picked = target.unwrap_or_else(|| pick_target(&mut c, family));
            class = Some(picked);
            Some(Value::Index(picked))
        }
        // A target from a file may be no class of this row; then no smoothing is looked for either.
        Role::Smoothing => {
            let known = class.filter(|&class| class < logits.len());
            Some(Value::Number(known.map_or(0.0, |class| pick_smoothing(&mut c, family, class))))
        }
        Role::Direction => {
            let (name, make) = DIRECTIONS[c.draw.index(DIRECTIONS.len())];
            Some(pick_direction(&mut c, name, make).into())
        }
        Role::Values => {
            let (name, make) = match c.draw.chance(4) {
                true => VALUES[c.draw.index(VALUES.len())],
                false => DIRECTIONS[c.draw.index(DIRECTIONS.len())],
            };
            Some(pick_direction(&mut c, name, make).into())
        }
        Role::Label => {
            let (_, make) = LABELS[c.draw.index(LABELS.len())];
            let labels = make(&mut c).into_iter().map(|label| dtype.round(label.clamp(0.0, 1.0)));
            Some(labels.map(|label| if label.is_nan() { 0.0 } else { label }).collect::<Vec<f64>>().into())
        }
        Role::Distribution => Some(pick_distribution(&mut c, family).into()),
        Role::Scale => Some(Value::Number(pick_scale(&mut c))),
        // The target of a file is that of its row.
        Role::Classes if target.is_some() => Some(vec![target].into()),
        Role::Classes => {
            let (format, op) = (c.format, c.op);
            let class = |draw: &mut Draw, logits: &[f64]| {
                pick_target(&mut OthersContext { draw, op, dtype, format, logits }, family)
            };
            Some(several::classes(c.draw, logits, rows, class).into())
        }
        Role::Logits => {
            let own = if c.op.is_elementwise() { 0 } else { TARGET_LOGITS.len() };
            let place = c.draw.index(OTHER_LOGITS.len() + own);
            let (_, make) = OTHER_LOGITS.iter().chain(&TARGET_LOGITS).nth(place).unwrap_or(&OTHER_LOGITS[0]);
            let others = make(&mut c);
            Some(below_where_it_has_to_be(&mut c, others).into())
        }
    };
    op.others().iter().map(|input| value(input.role)).collect()
}

/// The most elements of a row for an elementwise op: each stands for itself, so what a long row shows more is blocks and tails.
const MOST_ELEMENTS: usize = 300;

/// One element in so many stays outside of the domain, where NaN is due.
const OUTSIDE: u64 = 16;

/// The family of logits whose rows have an elementwise op's own thresholds, where it has some.
const OF_THRESHOLDS: &str = "thresholds";

/// The row as an op takes it, and as how many rows: for an elementwise op no more than [`MOST_ELEMENTS`], and nearly all within the
/// domain. In rows of thresholds every other element is one of the op's own, where it has some. A row with a target is one row. For a mean
/// there are `rows` rows, or as many as are drawn.
pub(super) fn in_domain(
    draw: &mut Draw,
    op: Op,
    dtype: Dtype,
    family: &str,
    logits: Arc<[f64]>,
    target: Option<usize>,
    rows: Option<usize>,
) -> (Arc<[f64]>, usize) {
    let facts = match &op.facts().kind {
        Kind::Elements(facts) => facts,
        Kind::Mean(_) if target.is_none() => return several::split(draw, dtype, logits, rows),
        Kind::Mean(_) | Kind::Row(_) => return (logits, 1),
    };
    let (least, largest) = facts.domain;
    let thresholds = (family == OF_THRESHOLDS && !facts.cuts.is_empty()).then(|| Thresholds::of(dtype, facts.cuts));
    let folded = |&z: &f64| {
        if let Some(thresholds) = &thresholds
            && draw.chance(2)
        {
            return thresholds.draw(draw);
        }
        let mirrored = -z;
        let helps = !(least..=largest).contains(&z) && (least..=largest).contains(&mirrored);
        if helps && !draw.chance(OUTSIDE) { mirrored } else { z }
    };
    (logits.iter().take(MOST_ELEMENTS).map(folded).collect(), 1)
}

/// Where the functions of an element change their way, as distances from 0.
struct Thresholds {
    dtype: Dtype,
    /// Those of the op.
    cuts: &'static [f64],
    /// Those of exp.
    edges: &'static [f64],
    /// Where an exponential beside 1 is half of its last digit, or has half of its digits.
    absorbed: [f64; 4],
}

impl Thresholds {
    fn of(dtype: Dtype, cuts: &'static [f64]) -> Self {
        let [own, wider] = [dtype.format(), dtype.accumulator().format()].map(absorption_gap);
        Self { dtype, cuts, edges: edges(dtype), absorbed: [own, own / 2.0, wider, wider / 2.0] }
    }

    /// An element within some ulps of one, or one where exponentials are subnormal; of either sign.
    fn draw(&self, draw: &mut Draw) -> f64 {
        let beside = draw.below(4);
        let size = match beside {
            0 => draw.choose(self.cuts),
            1 => draw.choose(self.edges).abs(),
            2 => draw.choose(&self.absorbed),
            _ => {
                let of_one = draw.choose(&[&self.edges[..Edge::ALL.len()], &self.edges[Edge::ALL.len()..]]);
                let at = |edge: Edge| of_one[Edge::ALL.iter().position(|&known| known == edge).unwrap_or(0)].abs();
                draw.uniform_in(at(Edge::LeastNormal), at(Edge::Zero))
            }
        };
        let steps = if beside == 3 { 0 } else { draw.between(-3, 3) };
        draw.sign() * self.dtype.format().step(finite_value(self.dtype, size), steps)
    }
}

fn preferred<'a>(table: &[(&str, &'a str)], family: &str) -> Option<&'a str> {
    table.iter().find(|(name, _)| *name == family).map(|&(_, preferred)| preferred)
}

fn pick_target(c: &mut OthersContext, family: &str) -> usize {
    let any = c.draw.index(TARGETS.len());
    let place = preferred(&PREFERRED_TARGETS, family)
        .and_then(|wanted| TARGETS.iter().position(|(name, _)| *name == wanted))
        .unwrap_or(any);
    TARGETS[place].1(c).unwrap_or_else(|| c.draw.index(c.logits.len()))
}

fn pick_smoothing(c: &mut OthersContext, family: &str, class: usize) -> f64 {
    let wanted = preferred(&PREFERRED_SMOOTHINGS, family).filter(|_| c.draw.chance(2));
    let mut place = c.draw.below(SMOOTHINGS.iter().map(|(_, weight, _)| weight).sum());
    let drawn = SMOOTHINGS.iter().find(|&&(_, weight, _)| {
        let found = place < weight;
        place = place.saturating_sub(weight);
        found
    });
    let chosen = wanted.and_then(|wanted| SMOOTHINGS.iter().find(|(name, _, _)| *name == wanted)).or(drawn);
    let smoothing = chosen.map_or(0.0, |(_, _, make)| c.dtype.round(make(c, class)));
    if (0.0..=1.0).contains(&smoothing) { smoothing } else { 0.0 }
}

fn pick_direction(c: &mut OthersContext, name: &str, make: Direction) -> Vec<f64> {
    let largest = largest_direction(c.dtype, c.logits.len());
    let limit = if name == "leaving" { widest_direction(c.dtype, c.logits.len()) } else { largest };
    let mut values = make(c, (largest / 16.0).min(1.0));
    for value in values.iter_mut().filter(|value| value.is_finite()) {
        *value = finite_value(c.dtype, value.clamp(-limit, limit));
    }
    values
}

/// What memory holds that nobody wrote to.
const LEFT_OVER: [f64; 4] = [f64::NAN, f64::NAN, f64::INFINITY, f64::NEG_INFINITY];

/// Numbers, and behind each mask what nobody may see: NaN, infinities, the largest number. In a row without a mask there are none.
fn masked_values(c: &mut OthersContext, unit: f64) -> Vec<f64> {
    let largest = largest_direction(c.dtype, c.logits.len());
    let mut values = each(c, |draw| unit * draw.normal());
    for (value, &z) in values.iter_mut().zip(c.logits) {
        if z == f64::NEG_INFINITY {
            *value = if c.draw.chance(4) { largest } else { c.draw.choose(&LEFT_OVER) };
        }
    }
    values
}

/// An infinity or NaN, or two, wherever it falls.
fn infinite_values(c: &mut OthersContext, unit: f64) -> Vec<f64> {
    let mut values = each(c, |draw| unit * draw.normal());
    for _ in 0..1 + c.draw.index(2) {
        let at = c.draw.index(values.len().max(1));
        let value = c.draw.choose(&LEFT_OVER);
        values.get_mut(at).into_iter().for_each(|x| *x = value);
    }
    values
}

/// One number and what is small beside it: the mean has few digits of its own.
fn beside_a_mean(c: &mut OthersContext, unit: f64) -> Vec<f64> {
    let (mean, digits) = (c.draw.sign() * unit * c.draw.uniform(), c.draw.between(1, c.format.precision as i64) as i32);
    each(c, |draw| mean * (1.0 + ldexp(draw.normal(), -digits)))
}

fn pick_scale(c: &mut OthersContext) -> f64 {
    let mut place = c.draw.below(SCALES.iter().map(|(_, weight, _)| weight).sum());
    let drawn = SCALES.iter().find(|&&(_, weight, _)| {
        let found = place < weight;
        place = place.saturating_sub(weight);
        found
    });
    let scale = c.dtype.round(drawn.map_or(1.0, |(_, _, make)| make(c)));
    if scale.is_finite() { scale } else { 1.0 }
}

/// The scale with which the product of the largest logit in size is this.
fn fitting(c: &mut OthersContext, mut product: impl FnMut(&mut Draw) -> f64) -> f64 {
    let size = c.logits.iter().filter(|z| z.is_finite()).fold(0.0f64, |size, z| size.max(z.abs()));
    product(c.draw) / size
}

/// One row in so many with masked classes may give these mass, which makes the loss infinite.
const MASKED_SHARE: u64 = 4;

fn pick_distribution(c: &mut OthersContext, family: &str) -> Vec<f64> {
    let any = c.draw.index(DISTRIBUTIONS.len());
    let place = preferred(&PREFERRED_DISTRIBUTIONS, family)
        .filter(|_| c.draw.chance(2))
        .and_then(|wanted| DISTRIBUTIONS.iter().position(|(name, _)| *name == wanted))
        .unwrap_or(any);
    let all: Vec<usize> = (0..c.logits.len()).collect();
    let mut classes: Vec<usize> = all.iter().copied().filter(|&i| c.logits[i] != f64::NEG_INFINITY).collect();
    if classes.is_empty() || c.draw.chance(MASKED_SHARE) {
        classes = all;
    }
    c.draw.shuffle(&mut classes);
    let mut masses = DISTRIBUTIONS[place].1(c, &classes);
    distribution::settle(c.dtype, &mut masses);
    masses
}

/// A mass for each of these classes, and none for the others.
fn masses_of(c: &mut OthersContext, classes: &[usize], mut mass: impl FnMut(&mut Draw) -> f64) -> Vec<f64> {
    let mut masses = vec![0.0; c.logits.len()];
    classes.iter().for_each(|&class| masses[class] = c.dtype.round(mass(c.draw)));
    masses
}

/// The class whose logit is better than those of all others before it; NaN is not compared.
fn best_of(logits: &[f64], classes: &[usize], better: fn(f64, f64) -> bool) -> Option<usize> {
    classes.iter().copied().reduce(|found, i| if better(logits[i], logits[found]) { i } else { found })
}

fn one_hot_at(c: &mut OthersContext, class: Option<usize>) -> Vec<f64> {
    let mut masses = vec![0.0; c.logits.len()];
    masses[class.unwrap_or(0)] = 1.0;
    masses
}

/// The same mass for so many classes as a power of two says, which is then exact.
fn uniform_over_some(c: &mut OthersContext, classes: &[usize]) -> Vec<f64> {
    let most = u64::from(usize::BITS - 1 - classes.len().leading_zeros()).min(c.format.precision.into());
    let power = c.draw.below(most + 1) as u32;
    masses_of(c, &classes[..1 << power], |_| 0.5f64.powi(power as i32))
}

/// A few classes with masses of any size.
fn sparse(c: &mut OthersContext, classes: &[usize]) -> Vec<f64> {
    let count = (2 + c.draw.index(3)).min(classes.len());
    let least = -(c.format.precision as i32) - 4;
    masses_of(c, &classes[..count], |draw| draw.log_uniform(least, 0))
}

/// A half, a quarter, ... and the last one twice: masses of all sizes, down to the least number where there are classes enough.
fn halves(c: &mut OthersContext, classes: &[usize]) -> Vec<f64> {
    let count = classes.len().min(c.format.least_exponent().unsigned_abs() as usize + 1);
    let mut left = 1.0;
    let mut masses = vec![0.0; c.logits.len()];
    for (place, &class) in classes[..count].iter().enumerate() {
        let is_last = place + 1 == count;
        masses[class] = if is_last { left } else { left / 2.0 };
        left -= masses[class];
    }
    masses
}

/// Each class takes nearly all that is left, but for a roundoff of it, and the last takes the rest: the masses are as far apart as the
/// dtype allows.
fn complements(c: &mut OthersContext, classes: &[usize]) -> Vec<f64> {
    let (u, least) = (c.format.unit_roundoff(), c.format.least());
    let mut left = 1.0;
    let mut masses = vec![0.0; c.logits.len()];
    for (place, &class) in classes.iter().enumerate() {
        let is_last = place + 1 == classes.len() || left * u < least;
        masses[class] = if is_last { left } else { left - left * u };
        left -= masses[class];
    }
    masses
}

/// All but a roundoff or a few on the class of the largest logit, of the least or on any, and that on another one.
fn nearly_one_hot(c: &mut OthersContext, classes: &[usize]) -> Vec<f64> {
    let class = match c.draw.below(3) {
        0 => best_of(c.logits, classes, |a, b| a > b),
        1 => best_of(c.logits, classes, |a, b| a < b),
        _ => classes.first().copied(),
    };
    let mut masses = one_hot_at(c, class);
    let small = c.format.unit_roundoff() * c.draw.between(1, 3) as f64;
    if let Some(&other) = classes.iter().find(|&&other| Some(other) != class) {
        masses[other] = small;
    }
    masses
}

/// The softmax of the row, rounded, and every other time one mass a few steps off: the gradient cancels everywhere.
fn softmax_as_masses(c: &mut OthersContext, classes: &[usize]) -> Vec<f64> {
    let Some(softmax) = SolvedSoftmax::of(c.logits) else { return masses_of(c, classes, Draw::uniform) };
    let mut masses: Vec<f64> = (0..c.logits.len()).map(|j| c.dtype.round(softmax.p(j))).collect();
    if c.draw.chance(2) {
        let at = c.draw.index(masses.len());
        masses[at] = c.format.step(masses[at], c.draw.between(-2, 2)).max(0.0);
    }
    masses
}

/// The first index whose logit is better than all before it, `except` left out; `None` where all are NaN.
fn best(logits: &[f64], better: fn(f64, f64) -> bool, except: Option<usize>) -> Option<usize> {
    let candidates = (0..logits.len()).filter(|&i| Some(i) != except && !logits[i].is_nan());
    candidates.reduce(|found, i| if better(logits[i], logits[found]) { i } else { found })
}

/// The smoothing with which `p_j - q_j` cancels for some j, found from the logits: `q_j = e / n` beside the class, and
/// `1 - e (n - 1) / n` at it.
fn matching(c: &mut OthersContext, class: usize) -> f64 {
    let n = c.logits.len() as f64;
    let Some(softmax) = SolvedSoftmax::of(c.logits) else { return 0.0 };
    let other = c.draw.index(c.logits.len());
    let beside = n * softmax.p(other);
    let smoothing = if other != class && beside <= 1.0 { beside } else { softmax.rest(class) * n / (n - 1.0) };
    let steps = if c.draw.chance(2) { c.draw.between(-2, 2) } else { 0 };
    // One logit alone has 0 / 0 here, and step keeps NaN.
    c.format.step(c.dtype.round(smoothing), steps)
}

fn each(c: &mut OthersContext, mut value: impl FnMut(&mut Draw) -> f64) -> Vec<f64> {
    (0..c.logits.len()).map(|_| value(c.draw)).collect()
}

fn one_hot(c: &mut OthersContext, unit: f64) -> Vec<f64> {
    let mut values = vec![0.0; c.logits.len()];
    // At the maximum (where the output cancels) every other time.
    let at = if c.draw.chance(2) { best(c.logits, |a, b| a > b, None) } else { None };
    let at = at.unwrap_or_else(|| c.draw.index(c.logits.len()));
    if let Some(value) = values.get_mut(at) {
        *value = c.draw.sign() * unit;
    }
    values
}

fn mixed_exponents(c: &mut OthersContext, _: f64) -> Vec<f64> {
    let most = crate::dtype::exponent(largest_direction(c.dtype, c.logits.len())) - 1;
    let least = c.draw.choose(&[c.format.least_exponent(), -20]).min(most);
    each(c, |draw| draw.sign() * draw.log_uniform(least, most))
}

/// Pairs `x, -x` in a random order, an odd one 0; every other time one value is a step off, and the sum is one ulp of it.
fn zero_sum(c: &mut OthersContext, unit: f64) -> Vec<f64> {
    let n = c.logits.len();
    let mut values = vec![0.0; n];
    for pair in values.chunks_exact_mut(2) {
        let x = c.dtype.round(unit * c.draw.normal());
        pair.copy_from_slice(&[x, -x]);
    }
    c.draw.shuffle(&mut values);
    if n > 0 && c.draw.chance(2) {
        let at = c.draw.index(n);
        values[at] = c.format.step(values[at], 1);
    }
    values
}

/// Values with the same mean in every group of equal logits, exactly: `mean + x` and `mean - x` in pairs, an odd one `mean`.
/// Then `sum p_i g_i` is that mean, though neither p nor g need be simple.
fn group_means(c: &mut OthersContext, unit: f64) -> Vec<f64> {
    let mean = unit * c.draw.between(-4, 4) as f64;
    let mut order: Vec<usize> = (0..c.logits.len()).collect();
    // Adding 0 makes one zero of both.
    let key = |i: usize| c.logits[i] + 0.0;
    order.sort_by(|&i, &j| key(i).total_cmp(&key(j)));
    let mut values = vec![mean; order.len()];
    for group in order.chunk_by(|&i, &j| key(i) == key(j)) {
        for pair in group.chunks_exact(2) {
            let x = unit * c.draw.between(-8, 8) as f64;
            values[pair[0]] = mean + x;
            values[pair[1]] = mean - x;
        }
    }
    values
}

fn large(c: &mut OthersContext, _: f64) -> Vec<f64> {
    let limit = largest_direction(c.dtype, c.logits.len());
    let share = c.draw.choose(&[1, 2]);
    each(c, |draw| draw.sign() * if draw.chance(share) { limit } else { limit * draw.uniform() })
}

fn tiny(c: &mut OthersContext, _: f64) -> Vec<f64> {
    let least = c.format.least_exponent();
    let most = c.draw.choose(&[least, c.format.emin, c.format.emin + 8]);
    each(c, |draw| draw.sign() * draw.log_uniform(least, most))
}

/// Solves for the value at one j that makes the output at j cancel: `g_j = sum p_i g_i`, or `g_j = p_j sum g_i` for the
/// product that has this difference; both take the other terms over `1 - p_j`.
fn cancelling(c: &mut OthersContext, unit: f64) -> Vec<f64> {
    let mut values = each(c, |draw| unit * draw.normal());
    values.iter_mut().for_each(|g| *g = c.dtype.round(*g));
    let Some(softmax) = SolvedSoftmax::of(c.logits) else { return values };
    let largest = best(c.logits, |a, b| a > b, None).filter(|_| c.draw.chance(2));
    let j = largest.unwrap_or_else(|| c.draw.index(values.len()));
    let against_share = c.op.row().is_some_and(|facts| facts.cancels == Cancels::Share);
    let others = if against_share {
        let sum: f64 = values.iter().enumerate().filter(|&(i, _)| i != j).map(|(_, g)| g).sum();
        softmax.p(j) * sum
    } else {
        softmax.mean_without(j, &values)
    };
    let solved = others / softmax.rest(j);
    if solved.abs() < ldexp(unit, 4) {
        let steps = if c.draw.chance(2) { c.draw.between(-2, 2) } else { 0 };
        values[j] = c.format.step(c.dtype.round(solved), steps);
    }
    values
}

/// Sums, and products of sums, that leave the range of the dtype though no output does: only where the accumulator has a larger range,
/// for else the textbook leaves it, too. Every other time the total leaves it, of which the class of the largest logit has half, so that
/// the difference to its share stays within; else the values of one half add up beyond, and those of the other half bring the sum back.
fn leaving(c: &mut OthersContext, unit: f64) -> Vec<f64> {
    let n = c.logits.len();
    if c.dtype.accumulator().format().emax == c.format.emax || n < 2 {
        return large(c, unit);
    }
    let (largest, sign) = (c.format.largest(), c.draw.sign());
    if n < 4 || c.draw.chance(2) {
        let total = sign * largest * (1.05 + 0.8 * c.draw.uniform());
        let mut values = vec![total / 2.0 / (n - 1) as f64; n];
        values[best(c.logits, |a, b| a > b, None).unwrap_or(0)] = total / 2.0;
        return values;
    }
    // Halves of the row, or one value after the other.
    let size = sign * c.dtype.round(largest * (2.2 / n as f64).max(0.45 * c.draw.uniform()).min(0.9));
    let in_turn = c.draw.chance(4);
    (0..n).map(|i| if in_turn { i % 2 == 0 } else { i < n / 2 }).map(|plus| if plus { size } else { -size }).collect()
}

/// Solves for the value at one j that makes the mean 0: `p_j v_j` is what the other terms sum to.
fn vanishing_mean(c: &mut OthersContext, unit: f64) -> Vec<f64> {
    let mut values = each(c, |draw| unit * draw.normal());
    values.iter_mut().for_each(|v| *v = c.dtype.round(*v));
    let Some(softmax) = SolvedSoftmax::of(c.logits) else { return values };
    let j =
        best(c.logits, |a, b| a > b, None).filter(|_| c.draw.chance(2)).unwrap_or_else(|| c.draw.index(values.len()));
    let solved = -softmax.mean_without(j, &values) / softmax.p(j);
    if solved.abs() < ldexp(unit, 4) {
        let steps = if c.draw.chance(2) { c.draw.between(-2, 2) } else { 0 };
        values[j] = c.format.step(c.dtype.round(solved), steps);
    }
    values
}

/// Labels of every exponent down to the least number, and 0.
fn near_zero(c: &mut OthersContext) -> Vec<f64> {
    let least = c.format.least_exponent();
    each(c, |draw| if draw.chance(8) { 0.0 } else { draw.log_uniform(least, -1) })
}

/// 1, less a few ulps or a power of two.
fn near_one(c: &mut OthersContext) -> Vec<f64> {
    let (format, bits) = (c.format, c.format.precision as i64);
    each(c, |draw| match draw.below(3) {
        0 => format.step(1.0, -(draw.below(4) as i64)),
        1 => 1.0 - ldexp(1.0, -(draw.between(1, bits) as i32)),
        _ => 1.0 - ldexp(draw.uniform(), -(draw.between(0, bits) as i32)),
    })
}

/// The probability of the logit itself, within some ulps, so that their difference cancels.
fn matching_labels(c: &mut OthersContext) -> Vec<f64> {
    /// So many are solved for.
    const MOST: usize = 24;
    let (dtype, format) = (c.dtype, c.format);
    let solved = |(j, &z): (usize, &f64)| if j < MOST { sigmoid(z) } else { 0.5 };
    let labels: Vec<f64> = c.logits.iter().enumerate().map(solved).collect();
    labels.into_iter().map(|p| format.step(dtype.round(p), c.draw.between(-2, 2))).collect()
}

/// For each logit another one made from it.
fn beside(c: &mut OthersContext, mut other: impl FnMut(&mut Draw, f64) -> f64) -> Vec<f64> {
    c.logits.iter().map(|&x| other(c.draw, x)).collect()
}

/// At distances where the functions of the difference change their way: those of an op with a cut, log 2 and its neighbours, those of exp.
fn at_thresholds(c: &mut OthersContext) -> Vec<f64> {
    const OF_ONE_LESS: &[f64] = &[0.5, std::f64::consts::LN_2, 1.0, 2.0];
    let cuts = c.op.cuts();
    let thresholds = Thresholds::of(c.dtype, if cuts.is_empty() { OF_ONE_LESS } else { cuts });
    beside(c, |draw, x| x - thresholds.draw(draw))
}

/// Where the logarithm of the sum, or of the difference, is 0 within some ulps: all its digits cancel.
fn matching_logits(c: &mut OthersContext) -> Vec<f64> {
    /// So many are solved for.
    const MOST: usize = 24;
    let (dtype, format, descends) = (c.dtype, c.format, descends(c.op));
    let solved = |(j, &x): (usize, &f64)| match descends {
        _ if j >= MOST => 0.0,
        true => less_one(x),
        false => rest_of_one(x),
    };
    let others: Vec<f64> = c.logits.iter().enumerate().map(solved).collect();
    others.into_iter().map(|y| format.step(dtype.round(y), c.draw.between(-2, 2))).collect()
}

fn descends(op: Op) -> bool {
    matches!(&op.facts().kind, Kind::Elements(facts) if facts.descends)
}

/// The other logits as numbers of the dtype; of an op that has a value only where they are not above the logits, nearly all mirrored to
/// below.
fn below_where_it_has_to_be(c: &mut OthersContext, others: Vec<f64>) -> Vec<f64> {
    let descends = descends(c.op);
    let placed = |(&x, y): (&f64, f64)| {
        // A NaN has one form in a case.
        let y = if y.is_nan() { f64::NAN } else { c.dtype.round(y) };
        match descends && y > x && !c.draw.chance(OUTSIDE) {
            // Twice the logit less the other may leave the range, in the direction that is wanted.
            true => c.dtype.round(x - (y - x)).min(x),
            false => y,
        }
    };
    c.logits.iter().zip(others).map(placed).collect()
}

/// All kinds beside each other.
fn mixed_labels(c: &mut OthersContext) -> Vec<f64> {
    let (small, near) = (near_zero(c), near_one(c));
    (0..c.logits.len())
        .map(|j| match c.draw.below(5) {
            0 => small[j],
            1 => near[j],
            kind => [0.0, 1.0, 0.5][kind as usize - 2],
        })
        .collect()
}
