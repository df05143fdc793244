//! Our own numbers held against MPFR's and GMP's: every operation and function equal in every bit, in every direction.

use super::pure;
use num_bigint::BigUint;
use rug::integer::Order;
use std::cmp::Ordering;

/// A direction in both arithmetics.
type Both = (pure::Round, rug::float::Round);

const ROUNDS: [Both; 3] = [
    (pure::Round::Nearest, rug::float::Round::Nearest),
    (pure::Round::Up, rug::float::Round::Up),
    (pure::Round::Down, rug::float::Round::Down),
];

/// The precisions that the oracle uses, and others about the ends of words.
const BITS: [u32; 14] = [1, 2, 8, 24, 53, 63, 64, 65, 127, 128, 129, 192, 256, 576];
const LONG: [u32; 6] = [512, 1024, 1088, 2048, 2138, 4096];

/// A number in both arithmetics.
#[derive(Clone)]
struct Twins {
    own: pure::Float,
    mpfr: rug::Float,
}

/// Random numbers: Steele, Lea and Flood's SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    fn choose<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len() as u64) as usize]
    }

    /// An exponent of many sizes.
    fn exponent(&mut self) -> i32 {
        let size = self.choose(&[4, 40, 200, 1_100, 5_000, 100_000, 1 << 30]);
        self.below(2 * size) as i32 - size as i32
    }

    /// A significand of some form: random, sparse, about a power of two, or all ones.
    fn words(&mut self, bits: u32) -> Vec<u64> {
        let len = bits.div_ceil(64) as usize;
        let form = self.below(6);
        let mut words: Vec<u64> = (0..len)
            .map(|_| match form {
                0 => 0,
                1 => u64::MAX,
                2 => self.next() & self.next() & self.next(),
                _ => self.next(),
            })
            .collect();
        let last = len - 1;
        words[last] |= 1 << ((bits - 1) % 64);
        words[last] &= u64::MAX >> ((64 - bits % 64) % 64);
        if form == 0 && self.below(2) == 0 {
            words[0] |= 1;
        }
        words
    }

    /// A number of that many bits and exponent: `2^(e - 1) <= |x| < 2^e`.
    fn sized(&mut self, bits: u32, e: i32) -> Twins {
        let words = self.words(bits);
        let is_negative = self.below(2) == 0;
        Twins::new(bits, &words, e - bits as i32, is_negative)
    }

    /// Any number, a special one now and then.
    fn number(&mut self, bits: u32) -> Twins {
        const SPECIAL: [f64; 8] = [0.0, -0.0, 1.0, -1.0, 2.0, f64::INFINITY, f64::NEG_INFINITY, f64::NAN];
        if self.below(16) == 0 {
            let x = self.choose(&SPECIAL);
            return Twins { own: pure::Float::with_val(bits, x), mpfr: rug::Float::with_val(bits, x) };
        }
        let e = self.exponent();
        self.sized(bits, e)
    }
}

impl Twins {
    fn new(bits: u32, words: &[u64], exponent: i32, is_negative: bool) -> Self {
        let integer = rug::Integer::from_digits(words, Order::Lsf);
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        let own = pure::Integer(BigUint::from_bytes_le(&bytes).into());
        let (own, mpfr) =
            (pure::Float::with_val(bits, own) << exponent, rug::Float::with_val(bits, integer) << exponent);
        if is_negative { Self { own: -own, mpfr: -mpfr } } else { Self { own, mpfr } }
    }
}

/// In one text what a number is, to every bit.
fn of_own(x: &pure::Float) -> String {
    let sign = if x.is_sign_negative() && !x.is_nan() { "-" } else { "" };
    match x.to_integer_exp() {
        Some((integer, e)) if !x.is_zero() => format!("{sign}{:x} {e}", integer.0.magnitude()),
        Some(_) => format!("{sign}0"),
        None => format!("{sign}{}", x.to_f64().abs()),
    }
}

fn of_mpfr(x: &rug::Float) -> String {
    let sign = if x.is_sign_negative() && !x.is_nan() { "-" } else { "" };
    match x.to_integer_exp() {
        Some((integer, e)) if !x.is_zero() => format!("{sign}{:x} {e}", integer.abs()),
        Some(_) => format!("{sign}0"),
        None => format!("{sign}{}", x.to_f64().abs()),
    }
}

fn assert_same(own: (pure::Float, Ordering), mpfr: (rug::Float, Ordering), what: impl Fn() -> String) {
    let same = of_own(&own.0) == of_mpfr(&mpfr.0) && own.0.prec() == mpfr.0.prec();
    assert!(same, "{}: {} and {}", what(), of_own(&own.0), of_mpfr(&mpfr.0));
    // Of NaN there is no order.
    assert!(own.0.is_nan() || own.1 == mpfr.1, "{}: {:?} and {:?}", what(), own.1, mpfr.1);
}

#[test]
fn sums_products_and_quotients_are_those_of_mpfr() {
    let mut random = Random(1);
    for turn in 0..300_000 {
        let all = if turn % 20 == 0 { &LONG[..] } else { &BITS[..] };
        let [bits, of_a, of_b] = [0; 3].map(|_| random.choose(all));
        let a = random.number(of_a);
        let b = match random.below(4) {
            // About as large, where sums cancel, and just where one is lost beside the other.
            0 => match a.mpfr.get_exp() {
                Some(e) => {
                    let by = random.choose(&[0, 0, 1, bits as i32, bits as i32 + of_a as i32, 2 * bits as i32]);
                    let by = by + random.below(7) as i32 - 3;
                    random.sized(of_b, e.saturating_sub(by).clamp(-(1 << 30) + 1, (1 << 30) - 1))
                }
                None => a.clone(),
            },
            1 if random.below(8) == 0 => a.clone(),
            _ => random.number(of_b),
        };
        let (own, mpfr) = ((&a.own, &b.own), (&a.mpfr, &b.mpfr));
        for (round, of_mpfr_round) in ROUNDS {
            macro_rules! compare {
                ($($op:tt)*) => { $(
                    let found = pure::Float::with_val_round(bits, own.0 $op own.1, round);
                    let due = rug::Float::with_val_round(bits, mpfr.0 $op mpfr.1, of_mpfr_round);
                    assert_same(found, due, || {
                        format!("{} {} {} to {bits} {round:?}", of_mpfr(mpfr.0), stringify!($op), of_mpfr(mpfr.1))
                    });
                )* };
            }
            compare!(+ - * /);
            assert_same(
                pure::Float::with_val_round(bits, own.0, round),
                rug::Float::with_val_round(bits, mpfr.0, of_mpfr_round),
                || format!("{} to {bits} {round:?}", of_mpfr(mpfr.0)),
            );
        }
        assert_eq!(own.0.partial_cmp(own.1), mpfr.0.partial_cmp(mpfr.1), "{} {}", of_mpfr(mpfr.0), of_mpfr(mpfr.1));
        assert_eq!(own.0.cmp_abs(own.1), mpfr.0.cmp_abs(mpfr.1));
        if !a.own.is_nan() && !b.own.is_nan() {
            assert_eq!(own.0.total_cmp(own.1), mpfr.0.total_cmp(mpfr.1));
        }
    }
}

/// A function of a number in both arithmetics, at a precision in a direction.
macro_rules! function {
    ($x:expr, $bits:expr, $round:expr, $own:ident, $mpfr:ident) => {
        assert_same(
            pure::Float::with_val_round($bits, $x.own.$own(), $round.0),
            rug::Float::with_val_round($bits, $x.mpfr.$mpfr(), $round.1),
            || {
                format!(
                    "{} of {}, {} bits, to {} {:?}",
                    stringify!($own),
                    of_mpfr(&$x.mpfr),
                    $x.mpfr.prec(),
                    $bits,
                    $round.0
                )
            },
        )
    };
}

fn compare_functions(x: &Twins, bits: u32) {
    for round in ROUNDS {
        function!(x, bits, round, exp_ref, exp_ref);
        function!(x, bits, round, exp_m1_ref, exp_m1_ref);
        function!(x, bits, round, exp2_ref, exp2_ref);
        function!(x, bits, round, ln_ref, ln_ref);
        function!(x, bits, round, ln_1p_ref, ln_1p_ref);
    }
}

#[test]
fn functions_are_those_of_mpfr() {
    let mut random = Random(2);
    for _ in 0..60_000 {
        let [bits, of_x] = [0; 2].map(|_| random.choose(&BITS));
        let size = random.choose(&[4, 12, 40, 200, 1_100, 100_000, 1 << 30]);
        let e = random.below(2 * size) as i32 - size as i32;
        compare_functions(&random.sized(of_x, e), bits);
        compare_functions(&random.number(of_x), bits);
    }
}

#[test]
fn functions_of_many_bits_are_those_of_mpfr() {
    let mut random = Random(3);
    for _ in 0..1_500 {
        let [bits, of_x] = [0; 2].map(|_| random.choose(&LONG));
        let e = random.below(60) as i32 - 40;
        compare_functions(&random.sized(of_x, e), bits);
        let e = random.below(9_000) as i32 - 6_000;
        compare_functions(&random.sized(of_x, e), bits);
    }
}

/// Arguments at which a function is nearly a number of the format: tiny ones, those beside 0 and 1 and -1, at the ends of the reductions, and
/// where the result leaves the range; and values that are exact.
#[test]
fn functions_of_hard_arguments_are_those_of_mpfr() {
    let mut random = Random(4);
    let mut checked = 0;
    for bits in [24, 53, 64, 128, 192, 512] {
        let mut near = |x: &rug::Float| {
            let of_x = x.prec();
            let (integer, e) = x.to_integer_exp().expect("a number");
            for step in -3i32..=3 {
                let beside = rug::Integer::from(&integer + step);
                if beside == 0 {
                    continue;
                }
                let is_negative = beside < 0;
                let words = beside.to_digits::<u64>(Order::Lsf);
                let twins = Twins::new(of_x + 2, &words, e, is_negative);
                compare_functions(&twins, bits);
                checked += 1;
            }
        };
        let at = |of_x: u32, x: f64| rug::Float::with_val(of_x, x);
        for of_x in [53, bits, 2 * bits, 1_400] {
            for x in [
                1.0,
                -1.0,
                0.5,
                2.0,
                1.0 / 16.0,
                -1.0 / 16.0,
                1.0 / 64.0,
                -1.0 / 64.0,
                1.0 + 1.0 / 64.0,
                1.0 - 1.0 / 64.0,
            ] {
                near(&at(of_x, x));
            }
            for x in
                [std::f64::consts::SQRT_2, std::f64::consts::FRAC_1_SQRT_2, std::f64::consts::LN_2, 3.0, 1e300, 1e-300]
            {
                near(&at(of_x, x));
            }
            for n in [-100i32, -2, -1, 1, 2, 7, 100, 1000, 1 << 20] {
                near(&(rug::Float::with_val(of_x, rug::float::Constant::Log2) * n));
            }
            // Where the value beside the argument, or beside 1, is lost at this precision, and just not.
            for e in (-(of_x as i32) - 12..-(of_x as i32) + 8).chain(-(bits as i32) - 8..-(bits as i32) + 4) {
                let power = at(of_x, 1.0) << e;
                near(&power);
                near(&-power);
                near(&(rug::Float::with_val(of_x + 600, 1) + (at(of_x, 1.0) << e)));
            }
            // The ends of the range.
            let end = rug::Float::with_val(of_x, rug::float::Constant::Log2) * ((1i32 << 30) - 1);
            for shift in [-2i32, -1, 0, 1, 2] {
                near(&(end.clone() + shift));
                near(&(-end.clone() + shift));
                near(&(at(of_x, (1u64 << 30) as f64) + shift));
                near(&(at(of_x, -((1u64 << 30) as f64)) + shift));
            }
        }
        for _ in 0..20 {
            let n = random.below(4_000) as f64 - 2_000.0;
            near(&at(64, n));
            near(&at(64, n / 8.0));
            near(&at(64, -(f64::from(bits) + n / 1_000.0)));
        }
    }
    assert!(checked > 10_000, "{checked}");
}

#[test]
fn conversions_are_those_of_mpfr() {
    let mut random = Random(5);
    for turn in 0..200_000 {
        let bits = random.choose(if turn % 20 == 0 { &LONG } else { &BITS });
        let mut x = if turn % 2 == 0 {
            random.number(bits)
        } else {
            let e = random.below(2_300) as i32 - 1_150;
            random.sized(bits, e)
        };
        let text = of_mpfr(&x.mpfr);
        assert_eq!(x.own.to_f64().to_bits() & !(1 << 63), x.mpfr.to_f64().to_bits() & !(1 << 63), "{text}");
        assert_eq!(x.own.get_exp(), x.mpfr.get_exp(), "{text}");
        assert_eq!((x.own.is_zero(), x.own.is_finite()), (x.mpfr.is_zero(), x.mpfr.is_finite()), "{text}");
        if x.own.is_finite() {
            assert_eq!(x.own.to_f64_exp(), x.mpfr.to_f64_exp(), "{text}");
        }
        if x.mpfr.get_exp().is_none_or(|e| e < 5_000) {
            for (round, of_mpfr_round) in ROUNDS {
                let own = x.own.to_integer_round(round).map(|(integer, order)| (integer.to_string(), order));
                let mpfr = x.mpfr.to_integer_round(of_mpfr_round).map(|(integer, order)| (integer.to_string(), order));
                assert_eq!(own, mpfr, "{text} {round:?}");
            }
            assert_eq!(of_own(&x.own.clone().round_even()), of_mpfr(&x.mpfr.clone().round_even()), "{text}");
        }
        for by in [-3i32, 1, 1 << 28] {
            assert_eq!(of_own(&(x.own.clone() << by)), of_mpfr(&(x.mpfr.clone() << by)), "{text} << {by}");
            let (own, mpfr) = (pure::Float::with_val(24, &x.own >> by), rug::Float::with_val(24, &x.mpfr >> by));
            assert_eq!(of_own(&own), of_mpfr(&mpfr), "{text} >> {by}");
        }
        let of_f64 = f64::from_bits(random.next() >> random.below(64));
        let (own, mpfr) = (pure::Float::with_val(bits, of_f64), rug::Float::with_val(bits, of_f64));
        assert_eq!(of_own(&own), of_mpfr(&mpfr), "{of_f64:e}");
        let is_up = random.below(2) == 0;
        if is_up {
            x.own.next_up()
        } else {
            x.own.next_down()
        }
        if is_up {
            x.mpfr.next_up()
        } else {
            x.mpfr.next_down()
        }
        assert_eq!(of_own(&x.own), of_mpfr(&x.mpfr), "beside {text}, up: {is_up}");
    }
}

#[test]
fn digits_are_those_of_mpfr() {
    let mut random = Random(6);
    for turn in 0..40_000 {
        let bits = random.choose(if turn % 20 == 0 { &LONG } else { &BITS });
        let e = match turn % 10 {
            0 => random.exponent(),
            _ => random.below(2_300) as i32 - 1_150,
        };
        let x = random.sized(bits, e);
        let digits = random.choose(&[2, 3, 4, 17, 30, 33]);
        let own = x.own.to_sign_string_exp_round(10, Some(digits), pure::Round::Nearest);
        let mpfr = x.mpfr.to_sign_string_exp_round(10, Some(digits), rug::float::Round::Nearest);
        assert_eq!(own, mpfr, "{}", of_mpfr(&x.mpfr));
    }
    // Ties, and what rounds up to a power of ten.
    for text in
        ["0.125", "0.375", "12.5", "13.5", "99.5", "999.5", "9.96875", "0.0625", "1048575.5", "9.5", "10.5", "0"]
    {
        let x: f64 = text.parse().unwrap();
        for digits in 2..6 {
            let own = pure::Float::with_val(64, x).to_sign_string_exp_round(10, Some(digits), pure::Round::Nearest);
            let mpfr =
                rug::Float::with_val(64, x).to_sign_string_exp_round(10, Some(digits), rug::float::Round::Nearest);
            assert_eq!(own, mpfr, "{text} {digits}");
        }
    }
    // The ends of the range.
    for e in [-(1 << 30) + 1, -(1 << 29), 1 << 29, (1 << 30) - 1] {
        let x = Twins::new(128, &[1], e, true);
        let own = x.own.to_sign_string_exp_round(10, Some(30), pure::Round::Nearest);
        assert_eq!(own, x.mpfr.to_sign_string_exp_round(10, Some(30), rug::float::Round::Nearest), "{e}");
    }
}

/// A rational number in both arithmetics.
#[derive(Clone)]
struct Fractions {
    own: pure::Rational,
    gmp: rug::Rational,
}

impl Random {
    /// Made of `f64` and counts, as the oracle's are.
    fn fraction(&mut self) -> Fractions {
        let bits = match self.below(4) {
            0 => f64::from(self.below(20) as i32 - 10),
            1 => self.below(1 << 20) as f64 / 64.0,
            _ => {
                let e = self.below(200) as i32 - 100;
                (self.next() >> 11) as f64 * 2f64.powi(e) * if self.below(2) == 0 { 1.0 } else { -1.0 }
            }
        };
        let own = pure::Rational::from_f64(bits).expect("finite");
        let gmp = rug::Rational::from_f64(bits).expect("finite");
        match self.below(3) {
            0 => {
                let end = self.choose(&[12, 1 << 20]);
                let count = 1 + self.below(end);
                Fractions { own: own / count, gmp: gmp / count }
            }
            _ => Fractions { own, gmp },
        }
    }
}

fn assert_equal(own: &pure::Rational, gmp: &rug::Rational, what: &str) {
    let text = |numerator: String, denominator: String| format!("{numerator}/{denominator}");
    let own = text(own.numer().to_string(), own.denom().to_string());
    let due = text(gmp.numer().to_string(), gmp.denom().to_string());
    assert_eq!(own, due, "{what}");
}

#[test]
fn rational_numbers_are_those_of_gmp() {
    let mut random = Random(7);
    for _ in 0..100_000 {
        let (a, b, c) = (random.fraction(), random.fraction(), random.fraction());
        let what = format!("{} {} {}", a.gmp, b.gmp, c.gmp);
        let own = &a.own * &b.own + &c.own;
        let gmp = rug::Rational::from(&a.gmp * &b.gmp) + &c.gmp;
        assert_equal(&own, &gmp, &what);
        assert_equal(&(own.clone() - &a.own), &(gmp.clone() - &a.gmp), &what);
        assert_equal(&-own.clone(), &-gmp.clone(), &what);
        if b.own.cmp0() != Ordering::Equal {
            assert_equal(&(&own / &b.own), &(gmp.clone() / &b.gmp), &what);
            assert_equal(&b.own.clone().recip(), &b.gmp.clone().recip(), &what);
        }
        assert_eq!(own.cmp(&b.own), gmp.cmp(&b.gmp), "{what}");
        assert_eq!((own.cmp0(), own == a.own), (gmp.cmp0(), gmp == a.gmp), "{what}");
        assert_eq!(own.floor_ref().to_string(), rug::Integer::from(gmp.floor_ref()).to_string(), "{what}");
        assert_eq!(own.to_f64().to_bits(), gmp.to_f64().to_bits(), "{what}");
        assert_equal(&own.abs_ref(), &rug::Rational::from(gmp.abs_ref()), &what);
        let by = random.below(100) as u32;
        assert_equal(&(own.clone() << by), &(gmp.clone() << by), &what);
        assert_equal(&(own.clone() >> by), &(gmp.clone() >> by), &what);
        let bits = random.choose(&BITS);
        for (round, of_mpfr_round) in ROUNDS {
            assert_same(
                pure::Float::with_val_round(bits, &own, round),
                rug::Float::with_val_round(bits, &gmp, of_mpfr_round),
                || what.clone(),
            );
        }
        let sum = random.number(200);
        match (sum.own.to_rational(), sum.mpfr.get_exp().is_none_or(|e| e.abs() < 5_000)) {
            (Some(own), true) => assert_equal(&own, &sum.mpfr.to_rational().expect("finite"), &of_mpfr(&sum.mpfr)),
            (own, _) => assert_eq!(own.is_some(), sum.mpfr.is_finite()),
        }
    }
}
