//! The battery: the cases by which hypotheses about a kernel are told apart. Each row is for one thing that kernels do differently: where
//! exp stops, what is subtracted, the length at which a loop has a tail, the place of the largest logit, masked classes, infinities, NaN.

use crate::case::{Case, Value, distribution};
use crate::dtype::Dtype;
use crate::op::signature::Role;
use crate::op::{Input, Op};

/// Lengths around the blocks and vectors that kernels are written in.
const LENGTHS: [usize; 18] = [1, 2, 3, 4, 5, 7, 8, 9, 12, 16, 17, 31, 33, 65, 100, 127, 128, 130];

/// Where a common offset, or the distance from the maximum, passes the range of exp of a dtype, or a number that somebody took for
/// infinite; on either side.
const LEVELS: [f64; 24] = [
    1.0, 3.0, 6.0, 9.0, 10.0, 12.0, 15.0, 16.5, 18.0, 40.0, 60.0, 70.0, 80.0, 87.0, 89.0, 95.0, 102.0, 110.0, 300.0,
    700.0, 720.0, 750.0, 9.0e3, 2.0e4,
];

/// Offsets below 0 between those, at which a search that starts from a number begins to fail.
const BELOW: [f64; 14] =
    [150.0, 200.0, 400.0, 500.0, 810.0, 1.0e3, 1.3e3, 1.8e3, 2.8e3, 4.0e3, 5.8e3, 7.5e3, 1.2e4, 3.0e4];

/// Offsets beyond.
const FAR: [f64; 3] = [4.0e4, 1.0e6, 1.0e30];

/// Distances beyond; the last ones are those at which a reduction of the argument of exp ends, in f32 and in f64.
const WIDE: [f64; 3] = [1.0e6, 3.0e38, 1.7e308];

/// Rows that are told apart by special values.
const SPECIAL: [&[f64]; 18] = {
    const MASKED: f64 = f64::NEG_INFINITY;
    const INFINITE: f64 = f64::INFINITY;
    [
        &[],
        &[MASKED],
        &[MASKED, MASKED],
        &[MASKED; 9],
        &[MASKED; 128],
        &[MASKED; 130],
        &[MASKED, 0.0],
        &[0.0, MASKED],
        &[0.0, MASKED, 1.0, MASKED, -200.0],
        &[MASKED, MASKED, MASKED, MASKED, MASKED, MASKED, MASKED, MASKED, -3.0, 2.0, MASKED],
        &[INFINITE],
        &[INFINITE, 0.0],
        &[0.0, INFINITE, INFINITE],
        &[INFINITE, MASKED],
        &[f64::NAN],
        &[f64::NAN, 0.0],
        &[0.0, 1.0, f64::NAN],
        &[0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, f64::NAN, MASKED],
    ]
};

/// The rows that people try first.
const PLAIN: [&[f64]; 6] = [&[0.0], &[0.0, 0.0], &[1.0, 0.0], &[0.0, f64::NEG_INFINITY], &[0.0, 1.0, 2.0], &[-1.0]];

/// The cases of the rows that people try first, in the forms of the battery.
pub(super) fn plain(op: Op, dtype: Dtype) -> Vec<Case> {
    cases(op, dtype, PLAIN.map(<[f64]>::to_vec))
}

/// The cases of an op in a dtype: for each row one or two of what the op takes besides. The same for every kernel.
pub(crate) fn battery(op: Op, dtype: Dtype) -> Vec<Case> {
    let mut cases = cases(op, dtype, if op.is_elementwise() { elements(op) } else { rows() });
    let takes = |role| !op.is_elementwise() && op.others().iter().any(|input| input.role == role);
    if takes(Role::Direction) {
        cases.extend(large_directions(op, dtype));
    }
    if takes(Role::Scale) {
        cases.extend(large_scales(op, dtype));
    }
    cases
}

/// Scales by which products leave the range, to either side.
fn large_scales(op: Op, dtype: Dtype) -> Vec<Case> {
    let largest = dtype.format().largest();
    let rows: [&[f64]; 5] = [&[3.0, 2.0], &[-3.0, -2.0], &[3.0, -3.0], &[3.0, f64::NEG_INFINITY], &[0.0, 3.0]];
    let with = |row: &[f64], scale| Case::new(op, dtype, row.to_vec(), vec![Value::Number(scale)]).ok();
    rows.iter().flat_map(|row| [largest, -largest].map(|scale| with(row, scale))).flatten().collect()
}

/// Directions whose sums are large, or leave the range of f16, or need more digits than a half dtype has.
fn large_directions(op: Op, dtype: Dtype) -> Vec<Case> {
    let rows = [vec![0.0, 0.0], vec![12.0, 0.0], vec![18.0, 0.0], ordinary(5)];
    let directions: [fn(usize) -> f64; 4] =
        [|_| 700.0, |_| 32_768.0, |j| 257.0 + 2.0 * j as f64, |j| if j == 0 { 1.0e4 } else { -3.0 }];
    let with = |row: &Vec<f64>| {
        let logits: Vec<f64> = row.iter().map(|&z| dtype.round(z)).collect();
        let direction = |of: fn(usize) -> f64| (0..row.len()).map(|j| dtype.round(of(j))).collect::<Vec<f64>>();
        directions
            .into_iter()
            .filter_map(|of| Case::new(op, dtype, logits.clone(), vec![Value::from(direction(of))]).ok())
            .collect::<Vec<Case>>()
    };
    rows.iter().flat_map(with).collect()
}

fn cases(op: Op, dtype: Dtype, rows: impl IntoIterator<Item = Vec<f64>>) -> Vec<Case> {
    let mut cases = Vec::new();
    for row in rows {
        let logits: Vec<f64> = row.iter().map(|&z| dtype.round(z)).collect();
        if logits.iter().zip(&row).any(|(rounded, z)| rounded.is_infinite() && z.is_finite()) {
            continue;
        }
        for variant in 0..if op.others().is_empty() { 1 } else { VARIANTS } {
            let others = others(op, dtype, &logits, variant);
            // A row without logits has no class.
            cases.extend(Case::new(op, dtype, logits.clone(), others));
        }
    }
    cases
}

/// How many forms there are of what an op takes besides the row.
const VARIANTS: usize = 3;

/// All that an op takes besides a row, in one of its forms.
pub(super) fn others(op: Op, dtype: Dtype, logits: &[f64], variant: usize) -> Vec<Value> {
    let of = |input: &Input| match *input {
        Input::TARGET_LOGITS => target_logits(dtype, logits, variant),
        Input { role, .. } => other(role, dtype, logits, variant),
    };
    op.others().iter().map(of).collect()
}

/// The logits of a target, in one of their forms: another distribution with the masks of the row, the row from its other end, and equal ones.
fn target_logits(dtype: Dtype, logits: &[f64], variant: usize) -> Value {
    let n = logits.len();
    let value = |j: usize| match (variant % VARIANTS, logits[j]) {
        (0, z) if z == f64::NEG_INFINITY => z,
        (0, z) if z.is_finite() => z / 2.0 + ((j * 5 + 2) % 7) as f64 * 0.25,
        (1, _) => logits[n - 1 - j],
        _ => 0.5,
    };
    Value::from((0..n).map(|j| dtype.round(value(j))).collect::<Vec<f64>>())
}

/// What an op takes besides, in one of its forms. Other logits are below the logits, but where those are below 1/2 in the last form.
fn other(role: Role, dtype: Dtype, logits: &[f64], variant: usize) -> Value {
    let n = logits.len();
    match role {
        Role::Class => Value::Index([0, n.saturating_sub(1), n / 2][variant % VARIANTS]),
        // One row, and two of half the length, of which the first is ignored in the last form.
        Role::Classes if variant.is_multiple_of(VARIANTS) || n % 2 == 1 => {
            Value::from(vec![(n > 0).then(|| variant % n)])
        }
        Role::Classes => {
            let half = n / 2;
            let first = (half > 0 && variant % VARIANTS == 1).then_some(0);
            Value::from(vec![first, half.checked_sub(1)])
        }
        Role::Smoothing => Value::Number(dtype.round([0.0, 0.125, 1.0][variant % VARIANTS])),
        Role::Label => Value::from(vec![[0.0, 1.0, 0.25][variant % VARIANTS]; n]),
        Role::Scale => Value::Number([0.125, -1.0, 2.0][variant % VARIANTS]),
        Role::Distribution => {
            // All on the first, in halves from the last on, all on the last.
            let mass = |j: usize| match (variant % VARIANTS, n - 1 - j) {
                (0, _) => f64::from(u8::from(j == 0)),
                (1, back) if j > 0 => 0.5f64.powi(back as i32 + 1),
                (1, back) => 0.5f64.powi(back as i32),
                (_, back) => f64::from(u8::from(back == 0)),
            };
            let mut masses: Vec<f64> = (0..n).map(|j| dtype.round(mass(j))).collect();
            distribution::settle(dtype, &mut masses);
            Value::from(masses)
        }
        Role::Logits => {
            let value = |&z: &f64| [dtype.round(z - 1.0), dtype.round(z - 20.0), 0.5][variant % VARIANTS];
            Value::from(logits.iter().map(value).collect::<Vec<f64>>())
        }
        Role::Values => {
            let value = |j: usize| match variant % VARIANTS {
                0 => ((j * 5 + 2) % 7) as f64 - 3.0,
                1 => 1.0 + ((j * 3 + 1) % 5) as f64 * 0.25,
                _ => f64::from(u8::from(j == 0)) * 0.5,
            };
            Value::from((0..n).map(value).collect::<Vec<f64>>())
        }
        Role::Direction => {
            let value = |j: usize| match variant % VARIANTS {
                0 => ((j * 5 + 2) % 7) as f64 - 3.0,
                1 => 1.0,
                _ => {
                    if j == 0 {
                        0.5
                    } else {
                        0.0
                    }
                }
            };
            Value::from((0..n).map(value).collect::<Vec<f64>>())
        }
    }
}

/// An ordinary row: multiples of a quarter, which every dtype has.
pub(super) fn ordinary(n: usize) -> Vec<f64> {
    (0..n).map(|i| ((i * 7 + 3) % 11) as f64 * 0.5 - 2.25).collect()
}

/// The same row with numbers of all digits that the dtype has, which no narrower one has.
fn of_all_digits(n: usize) -> Vec<f64> {
    ordinary(n).into_iter().map(|z| z / 3.0 + 0.01).collect()
}

fn rows() -> Vec<Vec<f64>> {
    let mut rows: Vec<Vec<f64>> = LENGTHS.iter().map(|&n| ordinary(n)).collect();
    rows.extend([2, 5, 12].map(of_all_digits));
    for level in LEVELS.into_iter().chain(FAR) {
        for sign in [1.0, -1.0] {
            rows.push(vec![sign * level, sign * level - 1.0, sign * level - 0.5]);
        }
    }
    rows.extend(BELOW.map(|level| vec![-level, -level - 1.0, -level]));
    for gap in LEVELS.into_iter().chain(WIDE) {
        rows.extend([vec![0.0, -gap], vec![-gap, 0.0]]);
    }
    for place in [0, 1, 5, 8, 16] {
        for spike in [15.0, 100.0, 800.0] {
            let mut row = ordinary(17);
            row[place] = spike;
            rows.push(row);
        }
    }
    for step in [3.0, 30.0, 200.0] {
        let rising: Vec<f64> = (0..10).map(|i| f64::from(i) * step - 9.0 * step).collect();
        rows.extend([rising.iter().rev().copied().collect(), rising]);
    }
    rows.extend([0.0, -5.0, 2.5].map(|z| vec![z; 9]));
    // Beside a class that is masked, logits below every number that stands for -inf somewhere.
    for low in [200.0, 1.1e4, 3.0e4, 2.0e9, 1.0e30, 1.0e38] {
        rows.push(vec![f64::NEG_INFINITY, -low, -low]);
    }
    // So many masked classes at the front of so many: by blocks or by parts, a kernel meets nothing else first, or does.
    for (masked, n) in [(2, 12), (4, 12), (3, 5), (8, 24)] {
        let mut row = ordinary(n);
        row[..masked].fill(f64::NEG_INFINITY);
        rows.push(row);
    }
    rows.extend(SPECIAL.map(<[f64]>::to_vec));
    rows
}

/// Rows by which lengths within a kernel are told apart, of a block or of lanes: of every length up to 40 one whose last logit alone is a
/// class, one that rises, and one with a spike at its end.
pub(super) fn lengths(op: Op, dtype: Dtype) -> Vec<Case> {
    const LONGEST: usize = 40;
    const SPIKE: f64 = 800.0;
    let row = |n: usize| {
        let mut masked = vec![f64::NEG_INFINITY; n];
        masked[n - 1] = 1.0;
        let mut spiked = ordinary(n);
        spiked[n - 1] = SPIKE;
        [masked, (0..n).map(|i| i as f64).collect(), spiked]
    };
    let case = |row: Vec<f64>| {
        let others = others(op, dtype, &row, 0);
        Case::new(op, dtype, row.iter().map(|&z| dtype.round(z)).collect::<Vec<f64>>(), others).ok()
    };
    if op.is_elementwise() { Vec::new() } else { (1..=LONGEST).flat_map(row).filter_map(case).collect() }
}

/// Rows whose maximum is 0 and stands at every place where somebody may look for it, so that whatever is taken for it is right: what fails
/// on them is another step. They are long, which makes an epsilon small, not smoothed, and scaled by 1. None of an elementwise op.
pub(super) fn of_plain_maximum(op: Op, dtype: Dtype) -> Vec<Case> {
    let row = |n: usize| {
        let value = |i: usize| match i % 4 {
            0 | 1 => 0.0,
            _ if i + 1 == n => 0.0,
            _ => -(((i * 7 + 3) % 11) as f64 / 3.0 + 0.01),
        };
        (0..n).map(|i| dtype.round(value(i))).collect::<Vec<f64>>()
    };
    let case = |logits: Vec<f64>| {
        let mut others = others(op, dtype, &logits, 0);
        for (input, value) in op.others().iter().zip(&mut others) {
            if input.role == Role::Scale {
                *value = Value::Number(1.0);
            }
        }
        Case::new(op, dtype, logits, others).ok()
    };
    if op.is_elementwise() { Vec::new() } else { [130, 65].map(row).into_iter().filter_map(case).collect() }
}

/// The elements, one by one: those of every op, and some on either side of each threshold that this one has besides.
fn elements(op: Op) -> Vec<Vec<f64>> {
    const BESIDE: [f64; 4] = [-0.5, 0.125, 0.5, 1.5];
    let small = (1..=60).step_by(3).map(|k| 0.5f64.powi(k));
    let elements = small.chain([0.3, 0.7, 2.0]).chain(LEVELS).chain(FAR).flat_map(|x| [x, -x]);
    let elements = elements.chain([0.0, -0.0, f64::INFINITY, f64::NEG_INFINITY, f64::NAN]);
    let own = op.cuts().iter().flat_map(|cut| BESIDE.map(|by| cut + by)).flat_map(|x| [x, -x]);
    elements.chain(own).map(|x| vec![x]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_op_has_a_battery_in_every_dtype() {
        for &op in Op::ALL {
            for &dtype in Dtype::ALL.iter() {
                let cases = battery(op, dtype);
                assert!(cases.len() > 90, "{op} {dtype}: {}", cases.len());
                assert!(cases.iter().all(|case| (case.op(), case.dtype()) == (op, dtype)));
            }
        }
    }
}
