//! The registry of families and the functions that make their rows, one each.
//!
//! A family function draws one row for a [`RowContext`]: the dtype, the row's index, the most logits it may have. It may return
//! any reals: the caller rounds them to the dtype, and what is finite stays finite. What the index decides (a position, a
//! length) is reached after a known number of rows; what the draw decides, soon.
//!
//! Terms. A *gap* is the distance of a logit below the maximum. An *edge* is an argument at which exp overflows or underflows.
//! The *accumulator* is the dtype a careful kernel sums in: f32 for the half dtypes.

use super::draw::Draw;
use super::solve::{self, Edge};
use crate::dtype::{Dtype, Format, ldexp};
use crate::error::{Error, Result};
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

/// A named kind of adversarial logits: a handle into the registry.
#[derive(Clone, Copy)]
pub struct Family {
    name: &'static str,
    summary: &'static str,
    slow: bool,
    make: fn(&mut RowContext) -> Vec<f64>,
}

/// Every family, in the order of the reports.
static REGISTRY: [Family; 23] = [
    family("ordinary", "normal logits, times 1, 10, 100 or little: what every kernel is tested on", ordinary),
    family("wide", "magnitudes log-uniform over all exponents: shifts that round, overflow without a shift", wide),
    family("bits", "uniform over the bit patterns of finite numbers: whatever nobody thought of", bits),
    family(
        "thresholds",
        "logits, gaps and sums within ulps of where exp overflows or underflows, or of a power of two",
        thresholds,
    ),
    family("offset", "a common offset with small gaps: breaks z - logsumexp and unshifted exp", offset),
    family("ties", "equal or few distinct logits, past 256 and 2048: stalls narrow accumulators", ties),
    family("dominant", "one logit ahead by about -log u or twice that: breaks log(1 + small) without log1p", dominant),
    family(
        "confident_wrong",
        "the target far below the maximum: breaks log(softmax) and clipped losses",
        confident_wrong,
    ),
    family(
        "cancellation",
        "solved for logsumexp = 0 or for a given p_j: every digit of the result cancels",
        cancellation,
    ),
    family(
        "all_negative",
        "all logits far below 0: breaks a maximum that starts at 0 or at a finite mask",
        all_negative,
    ),
    family("spike", "one logit far above (or below) at every index in turn: breaks a maximum that misses it", spike),
    family("staircase", "ramps, block ramps and zig-zags in steps beyond exp: breaks online rescaling", staircase),
    family("sorted", "ascending or descending: the running maximum rises at every step, or never", sorted),
    family("long", "lengths one off lanes and blocks, 4097, and f16's overflowing counts: breaks sums and tails", long),
    slow("very_long", "past 2^24 logits: an f32 sum of ones stops growing", very_long),
    family("masked", "-inf leading, trailing, scattered or in whole blocks: breaks running maxima", masked),
    family("fully_masked", "nothing but -inf, at lengths around vectors and blocks: breaks 0 / 0 guards", fully_masked),
    family("pos_inf", "+inf at every index in turn, several, with -inf: breaks inf - inf", pos_inf),
    family("nan", "NaN at every index in turn, with infinities: breaks maxima that drop NaN", nan),
    family("subnormal", "subnormal logits: breaks flush-to-zero and bit tricks", subnormal),
    family("signed_zero", "zeros of both signs, as ties and as the maximum: breaks comparisons of bits", signed_zero),
    family(
        "extreme",
        "near the largest finite number, masks of the most negative one, 2^31, 1e30: breaks z - max and sums",
        extreme,
    ),
    family("tiny_n", "0, 1 or 2 logits with every kind of value: breaks short cuts and empty sums", tiny_n),
];

const fn family(name: &'static str, summary: &'static str, make: fn(&mut RowContext) -> Vec<f64>) -> Family {
    Family { name, summary, slow: false, make }
}

const fn slow(name: &'static str, summary: &'static str, make: fn(&mut RowContext) -> Vec<f64>) -> Family {
    Family { name, summary, slow: true, make }
}

impl Family {
    /// Every family, in the order of the reports.
    pub fn all() -> &'static [Family] {
        &REGISTRY
    }

    /// The name used everywhere: the command, results, baselines.
    pub fn name(self) -> &'static str {
        self.name
    }

    /// One line: what it makes and what it breaks.
    pub fn summary(self) -> &'static str {
        self.summary
    }

    /// Whether the family runs only when named, because its rows are so long.
    pub fn is_slow(self) -> bool {
        self.slow
    }

    /// A row of the family from a draw: values of the dtype, at most `max_len` of them.
    pub(super) fn make(self, draw: &mut Draw, dtype: Dtype, index: u64, max_len: usize) -> Vec<f64> {
        if max_len == 0 {
            return Vec::new();
        }
        let mut context = RowContext { draw, dtype, format: dtype.format(), index, max_len };
        let mut row = (self.make)(&mut context);
        debug_assert!(row.len() <= max_len, "{self} made {} logits of {max_len}", row.len());
        row.iter_mut().for_each(|z| *z = finite_value(dtype, *z));
        row
    }
}

/// The value of the dtype nearest to `x`; what is finite stays so.
pub(super) fn finite_value(dtype: Dtype, x: f64) -> f64 {
    let rounded = dtype.round(x);
    if rounded.is_infinite() && x.is_finite() { dtype.format().largest().copysign(x) } else { rounded }
}

impl PartialEq for Family {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Family {}

impl Hash for Family {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl fmt::Debug for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Family({})", self.name)
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name)
    }
}

impl FromStr for Family {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        REGISTRY.iter().find(|family| family.name == text).copied().ok_or_else(|| {
            let names: Vec<&str> = REGISTRY.iter().map(|family| family.name).collect();
            Error::usage(format!("unknown family `{text}`; the families are: {}", names.join(", ")))
        })
    }
}

/// What a family function knows of the row it makes.
struct RowContext<'a> {
    draw: &'a mut Draw,
    dtype: Dtype,
    format: Format,
    index: u64,
    /// At least 1.
    max_len: usize,
}

/// Lengths around vectors, lanes and blocks, by how often they are drawn.
const SHORT: [usize; 17] = [1, 2, 3, 7, 8, 9, 15, 16, 17, 18, 19, 31, 32, 33, 63, 64, 65];
const MIDDLE: [usize; 6] = [127, 128, 129, 255, 256, 257];
const LONG: [usize; 7] = [1023, 1024, 1025, 2047, 2048, 2049, 4096];

/// Widths of vectors, warps and tiles that kernels work in.
const BLOCKS: [usize; 4] = [8, 16, 32, 128];

/// The longest row in which [`RowContext::place`] goes through every index: four vectors of 16 lanes, and a tail of 3.
const LONGEST_PLACED: usize = 67;

impl RowContext<'_> {
    /// A length: nine in ten are 65 at most, one in thirty is beyond 512 and reaches 4096.
    fn len(&mut self) -> usize {
        let (known, low, high): (&[usize], i64, i64) = match self.draw.below(30) {
            29 => (&LONG, 513, 4096),
            27 | 28 => (&MIDDLE, 66, 512),
            _ => (&SHORT, 1, 64),
        };
        let n = if self.draw.chance(2) { self.draw.choose(known) } else { self.draw.between(low, high) as usize };
        self.cap(n)
    }

    fn cap(&self, n: usize) -> usize {
        n.min(self.max_len)
    }

    /// The length and index number `turn` among all indices of all lengths from 1 to [`LONGEST_PLACED`], and how often
    /// `turn` has gone through them before.
    fn place(&self, turn: u64) -> (usize, usize, u64) {
        let places = (LONGEST_PLACED * (LONGEST_PLACED + 1) / 2) as u64;
        let (round, mut index, mut n) = (turn / places, (turn % places) as usize, 1);
        while index >= n {
            index -= n;
            n += 1;
        }
        let n = self.cap(n);
        (n, index % n, round)
    }

    /// `n` values from one formula.
    fn each(&mut self, n: usize, mut value: impl FnMut(&mut Draw) -> f64) -> Vec<f64> {
        (0..n).map(|_| value(self.draw)).collect()
    }

    fn normals(&mut self, n: usize, scale: f64) -> Vec<f64> {
        self.each(n, |draw| scale * draw.normal())
    }

    /// The dtype's format or its accumulator's.
    fn some_format(&mut self) -> Format {
        self.draw.choose(&[self.format, self.dtype.accumulator().format()])
    }

    /// `n` values of which at most `kinds` are distinct, so that a long row costs the oracle few exponentials.
    fn few_distinct(&mut self, n: usize, kinds: usize, scale: f64) -> Vec<f64> {
        let values = self.normals(kinds, scale);
        self.each(n, |draw| draw.choose(&values))
    }

    /// `n` values below a negative level far from 0: number `choice` of the dtype's levels, modulo their number, counted from
    /// the lowest. At least the first five are beyond the reach of the accumulator's exp.
    fn negatives(&mut self, n: usize, choice: u64) -> Vec<f64> {
        let largest = self.format.largest();
        let levels: Vec<f64> =
            [largest].into_iter().chain(LEVELS.into_iter().filter(|&level| level < largest)).collect();
        let level = levels[(choice % levels.len() as u64) as usize];
        let spread = self.draw.choose(&[1.0, 8.0]);
        self.each(n, |draw| -level - spread * draw.normal().abs())
    }
}

/// Distances below 0 that expose a wrong start or clip of the maximum: where exp of an f16, an f32 and an f64 is 0, past a
/// clip at -64, and past the finite masks -1e4, -1e5 and -1e9 that kernels use.
const LEVELS: [f64; 9] = [1e300, 1e30, 1e10, 2.45e5, 2e4, 800.0, 170.0, 110.0, 20.0];

fn ordinary(c: &mut RowContext) -> Vec<f64> {
    let (n, scale) = (c.len(), c.draw.choose(&[1.0, 10.0, 100.0, 1e-3]));
    c.normals(n, scale)
}

fn wide(c: &mut RowContext) -> Vec<f64> {
    let (least, most) = (c.format.least_exponent(), c.format.emax);
    // Under a top of all exponents one logit takes all the mass; near 1 several share it.
    let anywhere = c.draw.between(i64::from(least), i64::from(most)) as i32;
    let near = c.draw.between(-3, 10) as i32;
    let (low, high) = c.draw.choose(&[(least, most), (least, anywhere), (near - 8, near)]);
    let n = c.len();
    c.each(n, |draw| draw.sign() * draw.log_uniform(low, high))
}

fn bits(c: &mut RowContext) -> Vec<f64> {
    let (n, format) = (c.len(), c.format);
    let count = format.ordinal(format.largest()).unsigned_abs() + 1;
    c.each(n, |draw| draw.sign() * format.from_ordinal(draw.below(count) as i64))
}

fn thresholds(c: &mut RowContext) -> Vec<f64> {
    let (dtype, format, used) = (c.dtype, c.format, c.some_format());
    let edge = c.draw.choose(&Edge::ALL).of(used);
    let n = c.len();
    let near = |draw: &mut Draw, x: f64| format.step(dtype.round(x), draw.between(-3, 3));
    match c.draw.below(5) {
        // Logits at the edge, some beside ordinary ones.
        0 => {
            let share = c.draw.choose(&[1, 2, 4]);
            c.each(n, |draw| if draw.chance(share) { near(draw, edge) } else { draw.normal() })
        }
        // Gaps at the edge.
        1 => {
            let top = c.draw.choose(&[0.0, 1.0, -4.0]);
            let mut row = c.each(n, |draw| near(draw, top - edge.abs()));
            let at = c.draw.index(n);
            row[at] = top;
            row
        }
        // A ladder of gaps from normal results through subnormal ones to 0.
        2 => {
            let deepest = Edge::Zero.of(used) * 1.06;
            let rung = 0.3 * deepest / n.max(2) as f64;
            let mut row: Vec<f64> = (0..n).map(|i| deepest - rung * i as f64).collect();
            row[n - 1] = 0.0;
            row
        }
        // A sum of weights within ulps of a power of two, where its own ulp changes and its logarithm is k log 2.
        3 => power_of_two_sum(c, n),
        // An unshifted sum that overflows though no term does.
        _ => {
            let each = Edge::Overflow.of(used) - solve::ln(n as f64);
            c.each(n, |draw| near(draw, each))
        }
    }
}

/// Logits whose weights, relative to the maximum, add up to a power of two but for the rounding of the last logit.
fn power_of_two_sum(c: &mut RowContext, n: usize) -> Vec<f64> {
    let (dtype, top) = (c.dtype, c.draw.choose(&[0.0, 1.0, -4.0]));
    let n = n.min(solve::LONGEST).min(c.max_len);
    let mut gaps = c.each(n, |draw| dtype.round(top - 4.0 * draw.normal().abs()) - top);
    gaps[0] = 0.0;
    let (ones, last) = solve::fill_to_power_of_two(&solve::sum_of_exp(&gaps));
    if gaps.len() + ones < c.max_len {
        gaps.extend(std::iter::repeat_n(0.0, ones));
        gaps.push(last);
    }
    let mut row: Vec<f64> = gaps.into_iter().map(|gap| dtype.round(top + gap)).collect();
    c.draw.shuffle(&mut row);
    row
}

fn offset(c: &mut RowContext) -> Vec<f64> {
    if c.draw.chance(4) {
        return rounding_shift(c);
    }
    let n = c.len();
    // 2^6 to 2^27 is 1e2 to 1e8. The last binade is left to `extreme`.
    let top = c.draw.choose(&[27.min(c.format.emax - 1), c.format.emax - 1]);
    let common = c.draw.sign() * c.draw.log_uniform(6, top);
    let ulp = ldexp(1.0, c.format.ulp_exponent(crate::dtype::exponent(common)));
    let unit = c.draw.choose(&[1.0, ulp, 16.0 * ulp]);
    c.each(n, |draw| common + unit * draw.normal())
}

/// The least shift that rounds: logits with an odd last bit, below a maximum so far above that the difference needs one bit
/// more than the format of the subtraction has.
fn rounding_shift(c: &mut RowContext) -> Vec<f64> {
    let (n, format, arithmetic) = (c.len().max(2).min(c.max_len), c.format, c.some_format());
    let top = c.draw.between(1, 7) as i32;
    let exponent = top + format.precision as i32 - 2 - arithmetic.precision as i32;
    let least = format.ordinal(ldexp(1.0, exponent.max(format.least_exponent() + 1)));
    let mut row = c.each(n, |draw| {
        let place = least + draw.below(1 << (format.precision - 1)) as i64;
        draw.sign() * format.from_ordinal(place | 1)
    });
    let at = c.draw.index(n);
    row[at] = ldexp(1.0, top);
    row
}

fn ties(c: &mut RowContext) -> Vec<f64> {
    // A sum of equal terms stops growing at 2^precision of them: 257 in bf16, 2049 in f16.
    let stall = match c.index % 16 {
        7 => Some(c.draw.between(257, 520)),
        15 => Some(c.draw.between(2049, 2064)),
        _ => None,
    };
    let scale = c.draw.choose(&[1.0, 10.0, 0.0]);
    let value = scale * c.draw.normal();
    if let Some(n) = stall {
        return vec![value; c.cap(n as usize)];
    }
    let n = c.len();
    match c.draw.below(3) {
        0 => vec![value; n],
        1 => {
            let kinds = c.draw.between(2, 4) as usize;
            c.few_distinct(n, kinds, 4.0)
        }
        _ => {
            let share = c.draw.choose(&[2, 4]);
            c.each(n, |draw| if draw.chance(share) { value } else { value - 8.0 * draw.uniform() })
        }
    }
}

fn dominant(c: &mut RowContext) -> Vec<f64> {
    let n = c.len().max(2).min(c.max_len);
    let absorbed = solve::absorption_gap(c.some_format());
    let middle = c.draw.choose(&[absorbed, 2.0 * absorbed, 0.5 * absorbed]);
    let gap =
        if c.draw.chance(4) { c.draw.uniform_in(1.0, 4.0 * absorbed) } else { middle + c.draw.uniform_in(-2.0, 2.0) };
    let top = c.draw.choose(&[0.0, 1.0, 10.0]) * c.draw.normal();
    let spread = c.draw.choose(&[0.0, 1.0]);
    let mut row = c.each(n, |draw| top - gap - spread * draw.normal().abs());
    let at = c.draw.index(n);
    row[at] = top;
    row
}

fn confident_wrong(c: &mut RowContext) -> Vec<f64> {
    // Gaps that clips are put at (-64, log 1e-28), and where the probability is 0 in f16, f32, f64.
    const GAPS: [f64; 8] = [20.0, 64.5, 100.0, 120.0, 168.0, 200.0, 800.0, 2000.0];
    let n = c.len().max(2).min(c.max_len);
    let far = c.draw.log_uniform(8, c.format.emax - 1);
    let ladder = c.draw.uniform_in(15.0, 200.0);
    let known = GAPS[(c.index % GAPS.len() as u64) as usize];
    let gap = c.draw.choose(&[known, known, ladder, far]);
    let mut row = c.normals(n, 1.0);
    let at = c.draw.index(n);
    row[at] = f64::NEG_INFINITY;
    let top = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    row[at] = if n > 1 { top - gap } else { -gap };
    row
}

fn cancellation(c: &mut RowContext) -> Vec<f64> {
    let (dtype, format) = (c.dtype, c.format);
    let n = c.len().min(solve::LONGEST);
    let scale = c.draw.choose(&[1.0, 0.1, 4.0]);
    let mut row = c.normals(n, scale);
    let perturb = |draw: &mut Draw, z: f64| {
        let steps = if draw.chance(2) { 0 } else { draw.between(-3, 3) };
        format.step(dtype.round(z), steps)
    };
    if c.draw.chance(2) {
        // A given p_j at the last logit: near 1, where p_j - 1 cancels, or a smoothed target's share.
        let near_one = 1.0 - ldexp(1.0, -(c.draw.between(1, i64::from(format.precision)) as i32));
        let share = c.draw.choose(&[0.1, 0.5, 1.0]) / n as f64;
        let p = c.draw.choose(&[0.5, 0.9, 0.99, 0.999, 0.9999, near_one, share]);
        row.iter_mut().for_each(|z| *z = dtype.round(*z));
        if n > 1 && p < 1.0 {
            row[n - 1] = perturb(c.draw, solve::logit_of(p, &solve::sum_of_exp(&row[..n - 1])));
        }
    } else {
        // logsumexp = 0: all but the last few logits add up to less than 1, and each of these takes what is left.
        let links = c.draw.between(1, 3).min(n as i64) as usize;
        let top = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let shift = top + solve::ln(n as f64) + c.draw.uniform_in(0.01, 2.0);
        row.truncate(n - links);
        row.iter_mut().for_each(|z| *z = dtype.round(*z - shift));
        let mut sum = solve::sum_of_exp(&row);
        for link in (0..links).rev() {
            let Some(z) = solve::fill_to_one(&sum) else { break };
            // The last link may be off; the others stay below, or there is nothing left to take.
            let z = match link {
                0 => perturb(c.draw, z),
                _ if dtype.round(z) < z => dtype.round(z),
                _ => format.step(dtype.round(z), -1),
            };
            sum += solve::sum_of_exp(&[z]);
            row.push(z);
        }
    }
    c.draw.shuffle(&mut row);
    row
}

fn all_negative(c: &mut RowContext) -> Vec<f64> {
    let n = c.len();
    c.negatives(n, c.index)
}

fn spike(c: &mut RowContext) -> Vec<f64> {
    // Nineteen rows of twenty go through every index in turn, so that 200 rows have every one up to n = 19.
    let (n, at, round) = c.place(c.index - c.index / 20);
    // Beyond the accumulator's range, so that a maximum which misses the spike overflows; in every other round beyond the
    // dtype's own.
    let format = if round % 2 == 0 { c.dtype.accumulator().format() } else { c.format };
    let gap = 1.0 - Edge::Zero.of(format) * c.draw.choose(&[1.0, 1.15, 1.92]);
    let mut row = c.normals(n, 1.0);
    row[at] = 0.0;
    row[at] = if c.index % 20 == 19 {
        row.iter().copied().fold(0.0, f64::min) - gap
    } else {
        row.iter().copied().fold(0.0, f64::max) + gap
    };
    row
}

fn staircase(c: &mut RowContext) -> Vec<f64> {
    let block = c.draw.choose(&[1, 1, 4, 8, 16, 32, 128]);
    let n = c.len().max(2 * block + 1).min(c.max_len);
    let beyond = -Edge::Zero.of(c.dtype.accumulator().format());
    let step = c.draw.choose(&[0.9 * beyond, 1.1 * beyond, 3.0 * beyond, 1.0, 0.1]);
    // A long ramp of a narrow dtype starts again, as a saw, before it reaches the largest number.
    let period = ((c.format.largest() / step) as u64 / 2).clamp(2, 1 << 20);
    let shape = c.draw.below(4);
    let start = c.draw.choose(&[0.0, -1.0, 100.0]);
    (0..n)
        .map(|i| {
            let stair = (i / block) as u64 % period;
            start
                + step
                    * match (shape, stair % 2) {
                        (0, _) => stair as f64,
                        (1, _) => -(stair as f64),
                        // A zig-zag, and one that grows.
                        (2, odd) => odd as f64,
                        (_, 0) => stair as f64,
                        (_, _) => -(stair as f64),
                    }
        })
        .collect()
}

fn sorted(c: &mut RowContext) -> Vec<f64> {
    let (n, scale) = (c.len(), c.draw.choose(&[1.0, 10.0, 100.0, 1e-2]));
    let mut row = c.normals(n, scale);
    row.sort_by(f64::total_cmp);
    if c.draw.chance(2) {
        row.reverse();
    }
    if c.draw.chance(4) {
        let (i, j) = (c.draw.index(n), c.draw.index(n));
        row.swap(i, j);
    }
    row
}

fn long(c: &mut RowContext) -> Vec<f64> {
    // Where a count in f16 rounds up to 65504, ties, and overflows.
    const F16_COUNTS: [usize; 4] = [65520, 65519, 65536, 65504];
    // Past an index of 16 bits, with and without a sign; the most blocks that a grid may have; a power of two.
    const COUNTS: [usize; 4] = [65537, 32769, 65535, 1 << 17];
    // Vocabularies of language models (Llama 2, GPT-2; Qwen 2.5; Llama 3, Gemma 3; one that no power of two divides): each once, for in every
    // dtype they would cost as much as all the other rows together.
    let vocabularies: &[usize] = match c.dtype.input() {
        Dtype::F16 => &[32_000, 50_257],
        Dtype::Bf16 => &[151_936],
        Dtype::F64 => &[100_001],
        _ => &[128_256, 262_144],
    };
    let vocabulary = c.index.checked_sub(20).filter(|rest| rest % 100 == 0);
    let vocabulary = vocabulary.and_then(|rest| vocabularies.get((rest / 100) as usize).copied());
    let n = match (vocabulary, c.index % 100) {
        (Some(n), _) => n,
        (None, 0 | 50) => 4097,
        (None, 99) if c.dtype.input() == Dtype::F16 => F16_COUNTS[(c.index / 100 % 4) as usize],
        (None, 99) => COUNTS[(c.index / 100 % 4) as usize],
        (None, _) => {
            let block = 1usize << c.draw.between(3, 10);
            let blocks = c.draw.between(1, (2048 / block) as i64) as usize;
            block * blocks + c.draw.index(3) - 1
        }
    };
    let n = c.cap(n);
    let scale = c.draw.choose(&[0.0, 1.0, 4.0]);
    // Long rows have few distinct values: they are about counts and sums, and the oracle takes each exponential once.
    let alike = n > 4097 || c.draw.chance(2);
    match (alike, c.draw.below(2)) {
        (true, 0) => vec![scale * c.draw.normal(); n],
        (true, _) => c.few_distinct(n, 8, scale),
        (false, _) => c.normals(n, scale.max(1.0)),
    }
}

fn very_long(c: &mut RowContext) -> Vec<f64> {
    const COUNTS: [usize; 5] = [(1 << 24) + 1, 1 << 25, 1 << 24, (1 << 24) - 1, (1 << 20) + 1];
    let n = c.cap(COUNTS[(c.index % COUNTS.len() as u64) as usize]);
    let scale = c.draw.choose(&[0.0, 1.0]);
    if c.draw.chance(2) { c.few_distinct(n, 4, 1.0) } else { vec![scale * c.draw.normal(); n] }
}

fn masked(c: &mut RowContext) -> Vec<f64> {
    // The index goes through four ways to mask with every block, and one less and more than it, in four rounds: one block or
    // more, and the rest beyond the reach of exp or not. A running maximum that starts wrong shows only in the first round.
    let sizes = 3 * BLOCKS.len() as u64;
    let (way, size, round) = (c.index % 4, (c.index / 4 % sizes) as usize, c.index / 4 / sizes % 4);
    let block = BLOCKS[size / 3] + size % 3 - 1;
    let blocks = [1, 1, 2, c.draw.choose(&[2, 3])][round as usize];
    // Whole blocks need some to choose from.
    let rest = if way == 2 { 2 * block } else { 0 } + c.len();
    let n = c.cap(block * blocks + rest);
    let level = c.draw.below(if round == 0 { 5 } else { 1 + LEVELS.len() as u64 });
    let mut row = if round % 2 == 0 { c.negatives(n, level) } else { c.normals(n, 1.0) };
    // A fully masked row is another family's.
    let kept = c.draw.index(n);
    let alive = row[kept];
    let count = (block * blocks).min(n - 1);
    match way {
        0 => row[..count].fill(f64::NEG_INFINITY),
        1 => row[n - count..].fill(f64::NEG_INFINITY),
        2 => {
            // Every other block, from the first or the second, or some.
            for (place, values) in row.chunks_mut(block).enumerate() {
                let masked = if round < 2 { place as u64 % 2 == round } else { c.draw.chance(2) };
                if masked {
                    values.fill(f64::NEG_INFINITY);
                }
            }
        }
        _ => match c.draw.below(4) {
            0 => row[(kept + 1) % n] = f64::NEG_INFINITY,
            // A few, half, or all but a few (what a top-k filter leaves).
            kind => {
                let (share, masked) = [(8, true), (2, true), (8, false)][kind as usize - 1];
                row.iter_mut().filter(|_| c.draw.chance(share) == masked).for_each(|z| *z = f64::NEG_INFINITY);
            }
        },
    }
    if row.iter().all(|z| z.is_infinite()) {
        row[kept] = alive;
    }
    row
}

fn fully_masked(c: &mut RowContext) -> Vec<f64> {
    // A guard that exists on one path only is missed between a vector's length and the next.
    const COUNTS: [usize; 16] = [1, 2, 7, 8, 9, 127, 128, 129, 256, 3, 15, 16, 17, 32, 64, 1024];
    let n = COUNTS.get(c.index as usize).copied().unwrap_or_else(|| c.len());
    vec![f64::NEG_INFINITY; c.cap(n)]
}

fn pos_inf(c: &mut RowContext) -> Vec<f64> {
    let (n, at, _) = c.place(c.index);
    let mut row = c.normals(n, 1.0);
    match c.draw.below(4) {
        0 => {}
        1 => sprinkle(c, &mut row, &[f64::INFINITY]),
        2 => sprinkle(c, &mut row, &[f64::NEG_INFINITY]),
        _ => sprinkle(c, &mut row, &[f64::INFINITY, f64::NEG_INFINITY]),
    }
    row[at] = f64::INFINITY;
    row
}

fn nan(c: &mut RowContext) -> Vec<f64> {
    let (n, at, _) = c.place(c.index);
    let mut row = c.normals(n, 1.0);
    match c.draw.below(4) {
        0 => {}
        1 => sprinkle(c, &mut row, &[f64::NAN]),
        2 => sprinkle(c, &mut row, &[f64::NEG_INFINITY]),
        _ => sprinkle(c, &mut row, &[f64::INFINITY, f64::NEG_INFINITY, f64::NAN]),
    }
    row[at] = f64::NAN;
    row
}

/// Puts some of the values at every third index or so; at all of them once in four times.
fn sprinkle(c: &mut RowContext, row: &mut [f64], values: &[f64]) {
    let share = c.draw.choose(&[3, 3, 3, 1]);
    for z in row {
        if c.draw.chance(share) {
            *z = c.draw.choose(values);
        }
    }
}

fn subnormal(c: &mut RowContext) -> Vec<f64> {
    let (n, format) = (c.len(), c.format);
    let count = format.ordinal(format.least_normal()).unsigned_abs();
    let share = c.draw.choose(&[1, 1, 2, 4]);
    let other = c.draw.choose(&[0.0, format.least_normal(), 1.0, -1.0]);
    let mut row = c.each(n, |draw| {
        if draw.chance(share) { draw.sign() * format.from_ordinal(1 + draw.below(count - 1) as i64) } else { other }
    });
    row[n - 1] = format.least();
    row
}

fn signed_zero(c: &mut RowContext) -> Vec<f64> {
    let n = c.len();
    let below = c.draw.choose(&[0.0, c.format.least(), 1.0, 200.0]);
    let share = c.draw.choose(&[1, 2, 4]);
    let mut row = c.each(n, |draw| if draw.chance(share) { draw.choose(&[-0.0, 0.0]) } else { -below });
    let at = c.draw.index(n);
    row[at] = c.draw.choose(&[-0.0, 0.0]);
    row
}

fn extreme(c: &mut RowContext) -> Vec<f64> {
    let (n, format) = (c.len(), c.format);
    let largest = format.largest();
    let near = |draw: &mut Draw, x: f64| format.step(x, -(draw.below(4) as i64));
    match c.draw.below(6) {
        // Of both signs: z - max overflows.
        0 => c.each(n, |draw| draw.sign() * near(draw, largest)),
        // Of one sign: a sum overflows, and the differences are whole ulps.
        1 => {
            let sign = c.draw.sign();
            c.each(n, |draw| sign * near(draw, largest))
        }
        // More than half of the largest: two of them overflow, and so does twice one of them.
        2 => c.each(n, |draw| draw.sign() * largest * draw.uniform_in(0.5, 1.0)),
        3 => finite_masks(c, n),
        4 => beyond_integers(c, n),
        // One of them among ordinary logits.
        _ => {
            let mut row = c.normals(n, 1.0);
            let at = c.draw.index(n);
            row[at] = c.draw.sign() * near(c.draw, largest);
            row
        }
    }
}

/// Ordinary negative logits with the most negative number as a mask.
fn finite_masks(c: &mut RowContext, n: usize) -> Vec<f64> {
    let least = -c.format.largest();
    let share = c.draw.choose(&[2, 4, 1]);
    let scale = c.draw.choose(&[1.0, 10.0, 1e4]);
    // Half of it is in use too: added twice it is still finite.
    let mask = c.draw.choose(&[least, least, least / 2.0]);
    let mut row = c.each(n, |draw| if draw.chance(share) { mask } else { -scale * draw.normal().abs() });
    row[n / 2] = mask;
    row
}

/// Where adding 1.5 * 2^23 no longer rounds to an integer, where an i32 ends, and where a fused multiply-add of x log2 e
/// leaves more than 1.
fn beyond_integers(c: &mut RowContext, n: usize) -> Vec<f64> {
    const MAGNITUDES: [f64; 6] = [4194304.0, 2147483648.0, 4294967296.0, 5e29, 1e30, 1e38];
    let magnitude = c.draw.choose(&MAGNITUDES).min(c.format.largest() / 2.0);
    let share = c.draw.choose(&[1, 2, 8]);
    let mut row =
        c.each(
            n,
            |draw| if draw.chance(share) { draw.sign() * magnitude * (1.0 + draw.uniform()) } else { draw.normal() },
        );
    let at = c.draw.index(n);
    row[at] = c.draw.sign() * magnitude;
    row
}

fn tiny_n(c: &mut RowContext) -> Vec<f64> {
    let n = c.cap([1, 2, 0, 2, 1, 2, 2, 2][(c.index % 8) as usize]);
    let (dtype, format, used) = (c.dtype, c.format, c.some_format());
    c.each(n, |draw| match draw.below(12) {
        0 => draw.choose(&[0.0, -0.0]),
        1 => draw.sign() * 1000.0,
        2 => f64::NAN,
        3 => f64::INFINITY,
        4 | 5 => f64::NEG_INFINITY,
        6 => draw.sign() * format.largest(),
        7 => draw.sign() * format.least(),
        8 => format.step(dtype.round(draw.choose(&Edge::ALL).of(used)), draw.between(-3, 3)),
        9 => draw.sign() * draw.log_uniform(format.least_exponent(), format.emax),
        10 => 100.0 * draw.normal(),
        _ => draw.normal(),
    })
}
