//! Series in fixed point, with a proof: what the functions are made of. Nothing but integers.
//!
//! An integer part is taken of every product and quotient, so that errors have one sign. A number *lacks* less than `e` if it is never above the
//! exact one and by less than `e` units below it. `R` is `r` in units.
//!
//! **`exp(r)`, `0 <= r < 1`** ([`exp_below`]) lacks less than 2. It is computed in finer units, of `2^-(w + extra)`. With `s = r / 2^k`,
//! `k >= 4`, `q_0 = exp(s) - 1 = sum s^j / j!`, and `k` times `q <- 2 q + q^2`, which takes `exp(x) - 1` to `exp(2 x) - 1`. In finer units:
//! - `S` lacks less than 1, which the series takes over at most `exp(2^-4) < 1.07` times.
//! - A term, `T_j = T_(j-1) S / j`, lacks less than 2: `(2 s + 1) / j + 1` with `s < 2^-4` and `j >= 2`. The first one that is 0 is less than
//!   2, and all that follow it are less than `2/15`. So `Q_0` lacks less than `2 J + 4` for `J` terms that are not 0.
//! - A doubling takes `q` that lacks `d` to one that lacks less than `2 (1 + q) d + 1`. All factors together are below `2^k e`, and so is what
//!   the ones become. That is less than `2^k * 2.72 * (2 J + 5)`, and `extra` has that many bits and more: less than 1 unit, and 1 for the
//!   units that `extra` is dropped to.
//!
//! **`artanh(t)`** ([`artanh_below`]), `t < 1/4`: `sum t^(2j+1) / (2j+1)`. The square lacks less than `2 t e + 1` for what `t` lacks, `e`, and a power
//! `P <- P t^2` no more than 2 in all: what is lacking is multiplied by `t^2`, the square's lack by `P`. With the quotient a term lacks less than 2.
//!
//! **`log 2`** ([`ln_2`]) lacks less than 2: `18 A(26) - 2 A(4801) + 8 A(8749)`, `A(n) = artanh(1/n)`, with 64 bits more, of which the sums lack
//! less than `2^31` (two for each of fewer than `2^20` terms of each series, and the factors); `2^32` are subtracted, so that it is never above,
//! whatever the second series lacks, and below it by less than `2^33`, and 1 for the bits that are dropped.

use num_bigint::BigUint;
use std::sync::OnceLock;

/// 1 in units of `2^-w`.
pub(super) fn one(w: u64) -> BigUint {
    BigUint::from(1u32) << w
}

/// `exp(r)` of `0 <= r < 1`, in units of `2^-w`, as `r` is; it lacks less than 2.
pub(super) fn exp_below(r: &BigUint, w: u64) -> BigUint {
    // A doubling costs a square, a term of the series a product: about as many of both.
    let k = (w.isqrt() * 5 / 8).max(4);
    let terms = (w + 2 * k + 64) / k + 1;
    let extra = k + 3 + u64::from((2 * terms + 5).ilog2());
    let fine = w + extra;
    let s = r << (extra - k);
    let mut sum = s.clone();
    let mut term = s.clone();
    let mut j = 2u32;
    loop {
        term *= &s;
        term >>= fine;
        term /= j;
        if term == BigUint::ZERO {
            break;
        }
        sum += &term;
        j += 1;
    }
    debug_assert!(u64::from(j) <= terms);
    for _ in 0..k {
        let square = &sum * &sum;
        sum <<= 1u32;
        sum += square >> fine;
    }
    sum >>= extra;
    sum += one(w);
    sum
}

/// `artanh(1 / n)` in units of `2^-w`; it lacks less than two for each of fewer than `w` terms.
fn inverse_artanh(n: u32, w: u64) -> BigUint {
    let mut power = one(w) / n;
    let mut sum = power.clone();
    let mut j = 3u32;
    loop {
        power /= n * n;
        let term = &power / j;
        if term == BigUint::ZERO {
            return sum;
        }
        sum += term;
        j += 2;
    }
}

/// A constant in units of `2^-w`, made once for each of some sizes.
fn constant(made: &[OnceLock<BigUint>; 8], w: u64, make: fn(u64) -> BigUint) -> BigUint {
    // 256, 512, ... bits; what is beyond is rare enough to be made each time.
    let place = (w.max(256) - 1).ilog2() as usize - 7;
    match made.get(place) {
        Some(made) => {
            let bits = 256u64 << place;
            made.get_or_init(|| make(bits)) >> (bits - w)
        }
        None => make(w),
    }
}

/// `log 2` in units of `2^-w`; it lacks less than 2.
pub(super) fn ln_2(w: u64) -> BigUint {
    static MADE: [OnceLock<BigUint>; 8] = [const { OnceLock::new() }; 8];
    constant(&MADE, w, |w| {
        let w = w + 64;
        let sum = inverse_artanh(26, w) * 18u32 + inverse_artanh(8749, w) * 8u32 - inverse_artanh(4801, w) * 2u32;
        (sum - one(32)) >> 64u32
    })
}

/// `log 10 = 3 log 2 + 2 artanh(1/9)` in units of `2^-w`; it lacks less than 8.
pub(super) fn ln_10(w: u64) -> BigUint {
    static MADE: [OnceLock<BigUint>; 8] = [const { OnceLock::new() }; 8];
    constant(&MADE, w, |w| ln_2(w) * 3u32 + ((inverse_artanh(9, w + 64) * 2u32) >> 64u32))
}

/// `artanh(t)` of `t` in units of `2^-w`, and the number of terms: it lacks less than two for each, four, and what `t` lacks.
pub(super) fn artanh_below(t: BigUint, w: u64) -> (BigUint, u64) {
    let square = (&t * &t) >> w;
    let (mut power, mut sum) = (t.clone(), t);
    let mut j = 3u32;
    loop {
        power *= &square;
        power >>= w;
        if power == BigUint::ZERO {
            return (sum, u64::from(j) / 2);
        }
        sum += &power / j;
        j += 2;
    }
}
