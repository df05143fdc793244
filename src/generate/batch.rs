//! Batches: the rows beside which a case is given to a kernel that computes many rows in one call.
//!
//! The companions of a case are rows of its own length that are drawn to do harm: NaN, infinite, masked, huge and ordinary ones stand side
//! by side. How many rows there are, where the case stands among them, how far apart they lie and what lies between them is drawn, too;
//! all of it from a stream named by the case, so that no row of a campaign changes by it.

use super::draw::Draw;
use super::extras;
use super::solve::edges;
use crate::case::{Case, Value};
use crate::dtype::Dtype;
use crate::fenv::Standard;
use crate::kernel::Batch;
use crate::kernel::batch::{Layout, Padding, fits_in_place, with_number};
use std::sync::Arc;

/// Numbers of rows: few, those about a block of 32, more than two and four blocks, and past an index of 8 bits. Small ones stand here more
/// often, as they cost least.
const ROWS: [usize; 16] = [1, 2, 2, 2, 3, 3, 31, 32, 32, 33, 33, 33, 65, 129, 129, 257];

/// Past an index of 16 bits, for short rows, seldom.
const MANY_ROWS: usize = (1 << 16) + 1;
const LONGEST_OF_MANY: usize = 4;
const MANY_SHARE: u64 = 64;

/// The most rows that are mixed at will.
const LONGEST_MIX: usize = 1 << 10;

/// The most logits of a batch of more than [`FEW_ROWS`] rows.
const MOST_LOGITS: usize = 1 << 14;
const FEW_ROWS: usize = 3;

/// Different companions of a batch; more rows repeat them.
const COMPANIONS: usize = 5;

/// What a companion holds: its logits, of a length, from those of the case.
type Companion = fn(&mut Draw, Dtype, &[f64]) -> Vec<f64>;

static KINDS: [Companion; 12] = [
    |draw, _, z| at_one_place(draw, z, f64::NAN),
    |_, _, z| vec![f64::NAN; z.len()],
    |draw, _, z| at_one_place(draw, z, f64::INFINITY),
    |_, _, z| vec![f64::NEG_INFINITY; z.len()],
    |draw, _, z| z.iter().map(|_| if draw.chance(2) { f64::NEG_INFINITY } else { draw.normal() }).collect(),
    |draw, dtype, z| z.iter().map(|_| draw.sign() * dtype.format().largest()).collect(),
    |draw, dtype, z| at_the_edge(draw, dtype, z.len(), 1.0),
    |draw, dtype, z| at_the_edge(draw, dtype, z.len(), -1.0),
    |draw, _, z| z.iter().map(|_| draw.normal()).collect(),
    |_, _, z| vec![0.0; z.len()],
    |_, _, z| z.to_vec(),
    |draw, _, z| {
        let offset = draw.sign() * draw.log_uniform(2, 6);
        z.iter().map(|z| z + offset).collect()
    },
];

/// Ordinary logits, with this value at one place.
fn at_one_place(draw: &mut Draw, z: &[f64], value: f64) -> Vec<f64> {
    let mut row: Vec<f64> = z.iter().map(|_| draw.normal()).collect();
    let place = draw.index(row.len());
    row.iter_mut().skip(place).take(1).for_each(|z| *z = value);
    row
}

/// Logits near one at which exp stops, above or below 0.
fn at_the_edge(draw: &mut Draw, dtype: Dtype, n: usize, sign: f64) -> Vec<f64> {
    let edge = sign * draw.choose(edges(dtype)).abs();
    (0..n).map(|_| edge + draw.normal()).collect()
}

/// The batch in which a case is given to kernels that compute batches, from a stream named by the seed, the family and the index of the
/// case. Whether it is `in_place` is for kernels that claim it; others are given the same rows otherwise.
pub(crate) fn batch(case: &Case, family: &str, seed: u64, index: u64) -> Batch {
    let _standard = Standard::enter();
    let (op, dtype, n) = (case.op(), case.dtype(), case.logits().len());
    let mut draw = Draw::stream(seed, dtype, &format!("{family} in a batch"), Some(op), index);
    let rows = rows(&mut draw, n);
    let judged = match draw.below(3) {
        0 => 0,
        1 => rows - 1,
        _ => draw.index(rows),
    };
    let companions: Vec<Case> = (0..COMPANIONS.min(rows - 1)).map(|_| companion(&mut draw, case, family)).collect();
    let cases = (0..rows).map(|row| match (row == judged, companions.len()) {
        (true, _) | (_, 0) => case.clone(),
        // The first ones are neighbours once each, whatever comes later.
        (false, count) if row < count => companions[row].clone(),
        // Many rows are runs of alike ones, so that they can be written down.
        (false, count) if rows > LONGEST_MIX => companions[row * count / rows].clone(),
        (false, count) => companions[draw.index(count)].clone(),
    });
    let cases = cases.collect();
    let layout = layout(&mut draw, case);
    // What is drawn is a batch; nobody is to be stopped where it were not.
    Batch::new(cases, judged, layout).unwrap_or_else(|_| Batch::alone(case))
}

fn rows(draw: &mut Draw, n: usize) -> usize {
    if n <= LONGEST_OF_MANY && draw.chance(MANY_SHARE) {
        return MANY_ROWS;
    }
    let fitting: Vec<usize> = ROWS.into_iter().filter(|&rows| rows <= FEW_ROWS || rows * n <= MOST_LOGITS).collect();
    draw.choose(&fitting)
}

/// A row of the length of the case; the case itself where the op has none of these logits.
fn companion(draw: &mut Draw, case: &Case, family: &str) -> Case {
    let (op, dtype) = (case.op(), case.dtype());
    let logits = draw.choose(&KINDS)(draw, dtype, case.logits());
    let logits: Arc<[f64]> = logits.into_iter().map(|z| dtype.round(z)).collect();
    let (logits, rows) = extras::in_domain(draw, op, dtype, family, logits, None, None);
    let others = extras::others(draw, op, dtype, family, &logits, rows, None);
    let made = others.and_then(|others: Vec<Value>| Case::new(op, dtype, logits, others).ok());
    let alike = made.and_then(|made| with_number(&made, case.number()).ok());
    alike.filter(|made| made.logits().len() == case.logits().len()).unwrap_or_else(|| case.clone())
}

/// Where the rows lie: one after the other, or with padding, as of a row that fills whole vectors.
fn layout(draw: &mut Draw, case: &Case) -> Layout {
    const VECTORS: [usize; 4] = [4, 8, 16, 64];
    let n = case.logits().len();
    let compact = Layout::compact(case.op(), n);
    let mut layout = compact;
    if !draw.chance(3) {
        let mut padded = |len: usize| match draw.below(4) {
            0 => len,
            1 => len + 1 + draw.index(3),
            _ => (len + 1).next_multiple_of(draw.choose(&VECTORS)),
        };
        layout.logits_stride = padded(n);
        layout.other_stride = padded(n);
        layout.out_stride = padded(compact.out_stride);
    }
    layout.padding = draw.choose(&[Padding::Nan, Padding::Huge]);
    if fits_in_place(case.op(), case.dtype()) && draw.chance(2) {
        (layout.in_place, layout.out_stride) = (true, layout.logits_stride);
    }
    layout
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generate::{self, Family};
    use crate::op::Op;
    use std::collections::BTreeSet;

    /// The same case stands in the same batch, and over many cases there is every number of rows, padding of both kinds, and a batch with
    /// NaN, infinite, masked and ordinary rows side by side.
    #[test]
    fn batches_are_drawn_from_their_case() {
        let family: Family = "ordinary".parse().unwrap();
        let (mut rows, mut paddings, mut mixed) = (BTreeSet::new(), BTreeSet::new(), 0);
        for index in 0..400 {
            let row = generate::row(family, Dtype::F32, 7, index, 300);
            for op in [Op::SOFTMAX, Op::CROSS_ENTROPY, Op::SCALED_SOFTMAX, Op::SOFTMAX_VJP, Op::LOGSUBEXP] {
                let case = generate::case(op, Dtype::F32, family.name(), 7, index, row.clone().into(), None).unwrap();
                let Some(case) = case else { continue };
                let drawn = batch(&case, family.name(), 7, index);
                assert_eq!(drawn.case().to_string(), case.to_string());
                assert_eq!(drawn.to_string(), batch(&case, family.name(), 7, index).to_string());
                rows.insert(drawn.rows());
                if !drawn.is_compact() {
                    paddings.insert(drawn.layout().padding);
                }
                let any = |is: fn(f64) -> bool| drawn.cases().iter().any(|case| case.logits().iter().any(|&z| is(z)));
                mixed += u32::from(any(f64::is_nan) && any(f64::is_infinite) && any(f64::is_finite));
            }
        }
        let due: BTreeSet<usize> = ROWS.into_iter().collect();
        assert!(rows.is_superset(&due), "{rows:?}");
        assert_eq!((paddings.len(), mixed > 200), (2, true), "{mixed}");
    }

    /// No other length, no other number, whatever the op takes.
    #[test]
    fn every_op_has_batches() {
        let family: Family = "masked".parse().unwrap();
        for &op in Op::ALL {
            let mut several = 0;
            for index in 0..40 {
                let row = generate::row(family, Dtype::F16, 3, index, 40);
                let case = generate::case(op, Dtype::F16, family.name(), 3, index, row.into(), None).unwrap();
                several += case.map_or(0, |case| usize::from(batch(&case, family.name(), 3, index).rows() > 1));
            }
            // A mean takes several rows as it is.
            let is_expected = if op.mean_of().is_some() { several == 0 } else { several > 10 };
            assert!(is_expected, "{op}: {several}");
        }
    }
}
