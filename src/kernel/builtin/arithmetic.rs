//! The ways in which kernels add up and take exp when they are not the textbook: sums in narrow types and in other orders, fast exps. Defects
//! are made of them, and a hypothesis of the diagnosis may have one of them besides its own.

use crate::dtype::Dtype;
use crate::kernel::Real;

/// The sum, from the first to the last.
pub(super) fn in_order<A: Real>(terms: &[A]) -> A {
    terms.iter().fold(A::ZERO, |sum, &term| sum + term)
}

/// Sums in a narrow type: one after the other, by halves, in lanes, or in blocks whose sums are added up in a wide one. After the first, which
/// takes its type from the row, there are three types for each.
pub(super) const NARROW: &[&str] = &[
    "one by one",
    "in f16, one by one",
    "in bf16, one by one",
    "in f32, one by one",
    "in f16, by halves",
    "in bf16, by halves",
    "in f32, by halves",
    "in f16, rounded once",
    "in bf16, rounded once",
    "in f32, rounded once",
    "in f16, in 4 lanes",
    "in bf16, in 4 lanes",
    "in f32, in 4 lanes",
    "in f16, in 8 lanes",
    "in bf16, in 8 lanes",
    "in f32, in 8 lanes",
    "in f16, in 16 lanes",
    "in bf16, in 16 lanes",
    "in f32, in 16 lanes",
    "in f16, in 32 lanes",
    "in bf16, in 32 lanes",
    "in f32, in 32 lanes",
    "in f16, in blocks of 4",
    "in bf16, in blocks of 4",
    "in f32, in blocks of 4",
    "in f16, in blocks of 8",
    "in bf16, in blocks of 8",
    "in f32, in blocks of 8",
    "in f16, in blocks of 16",
    "in bf16, in blocks of 16",
    "in f32, in blocks of 16",
    "in f16, in blocks of 32",
    "in bf16, in blocks of 32",
    "in f32, in blocks of 32",
    "in f16, in blocks of 64",
    "in bf16, in blocks of 64",
    "in f32, in blocks of 64",
];

/// The sum as the place in [`NARROW`] says, of what is stored in a dtype.
pub(super) fn narrow_sum<A: Real>(place: usize, stored: Dtype, terms: &[A]) -> A {
    let (shape, dtype) = match place.checked_sub(1) {
        Some(place) => (place / 3, [Dtype::F16, Dtype::Bf16, Dtype::F32][place % 3]),
        None => match stored.output() {
            Dtype::F16 => (0, Dtype::F16),
            Dtype::F64 => (0, Dtype::F32),
            _ => (0, Dtype::Bf16),
        },
    };
    shaped_sum(shape, terms, &|x: A| A::from_f64(dtype.round(x.to_f64())))
}

/// The orders that sums may be taken in, but for those in [`NARROW`] that round once.
pub(super) const SHAPES: &[&str] = &[
    "one by one",
    "by halves",
    "rounded once",
    "in 4 lanes",
    "in 8 lanes",
    "in 16 lanes",
    "in 32 lanes",
    "in blocks of 4",
    "in blocks of 8",
    "in blocks of 16",
    "in blocks of 32",
    "in blocks of 64",
];

/// The sum in one of [`SHAPES`], each addition rounded.
pub(super) fn shaped_sum<A: Real>(shape: usize, terms: &[A], narrow: &dyn Fn(A) -> A) -> A {
    let one_by_one = |terms: &[A]| terms.iter().fold(A::ZERO, |sum, &term| narrow(sum + term));
    match shape {
        0 => one_by_one(terms),
        1 => halves(terms, narrow),
        2 => narrow(in_order(terms)),
        3..=6 => {
            let mut lanes = vec![A::ZERO; 4 << (shape - 3)];
            let count = lanes.len();
            terms.iter().enumerate().for_each(|(i, &term)| lanes[i % count] = narrow(lanes[i % count] + term));
            while lanes.len() > 1 {
                let upper = lanes.split_off(lanes.len() / 2);
                lanes.iter_mut().zip(upper).for_each(|(lane, upper)| *lane = narrow(*lane + upper));
            }
            lanes[0]
        }
        _ => terms.chunks(4 << (shape - 7)).fold(A::ZERO, |sum, block| sum + one_by_one(block)),
    }
}

/// The sum by halves.
fn halves<A: Real>(terms: &[A], narrow: &dyn Fn(A) -> A) -> A {
    match *terms {
        [] => A::ZERO,
        [only] => narrow(only),
        _ => {
            let (left, right) = terms.split_at(terms.len() / 2);
            narrow(halves(left, narrow) + halves(right, narrow))
        }
    }
}

/// Fast exps.
pub(super) const EXPS: &[&str] = &[
    "2^k and a Taylor series of degree 1",
    "2^k and a Taylor series of degree 2",
    "2^k and a Taylor series of degree 3",
    "2^k and a Taylor series of degree 4",
    "2^k and a Taylor series of degree 5",
    "2^k and a Taylor series of degree 6",
    "2^k and a Taylor series of degree 7",
    "(1 + x / 2^8)^(2^8)",
    "(1 + x / 2^9)^(2^9)",
    "(1 + x / 2^10)^(2^10)",
    "(1 + x / 2^11)^(2^11)",
    "(1 + x / 2^12)^(2^12)",
    "(1 + x / 2^16)^(2^16)",
    "the bits of a linear function (Schraudolph), least mean error",
    "the bits of a linear function, least largest error",
    "the bits of a linear function, exact at powers of 2",
    "the bits of a linear function, as of doubles in 1999",
    "a table of 8, interpolated",
    "a table of 16, interpolated",
    "a table of 32, interpolated",
    "a table of 64, interpolated",
    "a table of 128, interpolated",
    "a table of 256, interpolated",
    "a table of 16, the nearest below",
    "a table of 64, the nearest below",
    "a table of 256, the nearest below",
    "a table of 1024, the nearest below",
    "a table of 16, the nearest",
    "a table of 64, the nearest",
    "a table of 256, the nearest",
    "a table of 1024, the nearest",
    "rounded to f16",
    "rounded to bf16",
    "2^f by a Taylor series of degree 2",
    "2^f by a Taylor series of degree 3",
    "2^f by a Taylor series of degree 4",
    "2^f by a Taylor series of degree 5",
];

/// `e^x` in one of the ways that [`EXPS`] lists, each operation rounded to the type.
pub(super) fn coarse_exp<A: Real>(way: usize, x: A) -> A {
    /// Below, no way gives a number that is told from 0.
    const LEAST: f64 = -746.0;
    let of = A::from_f64;
    if x.is_nan() {
        return x;
    }
    if x < of(LEAST) {
        return A::ZERO;
    }
    let (log2_e, log_2) = (of(std::f64::consts::LOG2_E), of(std::f64::consts::LN_2));
    let floor = |y: A| of(y.to_f64().floor());
    let y = x * log2_e;
    let (nearest, below) = (of(y.to_f64().round()), floor(y));
    let taylor = |degree: usize, r: A| {
        let factorial = |k: usize| (1..=k).fold(1.0, |product, i| product * i as f64);
        (0..degree).rev().fold(of(1.0 / factorial(degree)), |sum, k| of(1.0 / factorial(k)) + r * sum)
    };
    // The bits of an f32.
    let bits = |offset: f64| {
        let bits = (x * of(8_388_608.0 * std::f64::consts::LOG2_E) + of(127.0 * 8_388_608.0 - offset)).to_f64();
        of(if bits <= 0.0 { 0.0 } else { f64::from(f32::from_bits(bits as u32)) })
    };
    let at = |size: f64| (y - below) * of(size);
    let entry = |place: A, size: f64| (place / of(size)).exp2();
    match way {
        0..=6 => taylor(way + 1, x - nearest * log_2) * nearest.exp2(),
        7..=12 => {
            let times = if way == 12 { 16 } else { way as i32 + 1 };
            let base = A::ZERO.larger(A::ONE + x / of(f64::from(1 << times)));
            (0..times).fold(base, |power, _| power * power)
        }
        13 => bits(366_393.0),
        14 => bits(298_765.0),
        15 => bits(0.0),
        16 => bits(60_801.0 * 8.0),
        17..=22 => {
            let size = f64::from(8 << (way - 17));
            let place = floor(at(size));
            let (low, high) = (entry(place, size), entry(place + A::ONE, size));
            (low + (high - low) * (at(size) - place)) * below.exp2()
        }
        23..=26 => {
            let size = f64::from(16 << (2 * (way - 23)));
            entry(floor(at(size)), size) * below.exp2()
        }
        27..=30 => {
            let size = f64::from(16 << (2 * (way - 27)));
            of(((y * of(size)).to_f64().round() / size).exp2())
        }
        31 => of(Dtype::F16.round(x.exp().to_f64())),
        32 => of(Dtype::Bf16.round(x.exp().to_f64())),
        _ => taylor(way - 31, (y - below) * log_2) * below.exp2(),
    }
}
