//! Claims: what a kernel declares of itself. They choose the error bound (the constants of the profile) and switch
//! on the relations that hold only for kernels of a certain shape. The default is the textbook kernel on a good libm.

use super::presets::{PRESETS, preset};
use crate::dtype::{Dtype, Format};
use crate::error::{Error, Result};
use crate::special::Special;
use std::fmt;
use std::str::FromStr;

/// What a kernel declares of itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Claims {
    /// The largest `|error| / (u |exact|)` of its exp, in units of the accumulator's roundoff: at most twice its worst ulp
    /// error. Default 2.
    pub exp: f64,
    /// The same of its log. Default 2.
    pub log: f64,
    /// The same of its log1p. Default 2.
    pub log1p: f64,
    /// The same of its expm1. Default 2.
    pub expm1: f64,
    /// Where its exp is `2^(x log2 e)` with a product that is rounded: the largest relative error of that product, in units of the
    /// accumulator's roundoff. It is multiplied by `x`: the exp errs by so much times `|x| u` besides [`Claims::exp`]. A rounded
    /// constant and a rounded product err by 2 (what GPU compilers make of exp); a fused or split product by less. Default 0.
    pub exp_argument: f64,
    /// How it adds up. Default sequential.
    pub sum: Summation,
    /// The dtype it computes in, one of [`Dtype::PLAIN`]. Default: [`Dtype::accumulator`] of the case's dtype.
    pub accumulator: Option<Dtype>,
    /// Whether it keeps a running maximum, and what it rescales when that rises. Default nothing.
    pub online: Online,
    /// The parts of the row that have a maximum and a sum (and outputs) of their own, which are merged two by two in a tree (split-KV,
    /// ring attention, warps): each merge rescales both to the larger maximum. Default 1: nothing is merged.
    pub merged: usize,
    /// The half dtype that it rounds the weights to, or the probabilities, before they meet the values of attention (tensor cores read
    /// half dtypes). [`Dtype::F16`] or [`Dtype::Bf16`]; default none.
    pub weights: Option<Dtype>,
    /// It flushes subnormal numbers to zero. Default no.
    pub flush_to_zero: bool,
    /// It subtracts the maximum before anything else: ranges hold exactly, and a common shift that is exact changes no bit.
    pub shifted: bool,
    /// It adds from the first class to the last, so one more class of weight 0 changes no bit.
    pub sequential: bool,
    /// It maps every element alike, with a monotone exp: order is kept, permuting the input permutes the output.
    pub elementwise_monotone: bool,
    /// It must keep half of its digits however long the row: a `long_sum` grade fails. Default no.
    pub half_digits: bool,
    /// It computes `log S` as log1p of the sum without one maximum, so a log-sum-exp, a log-probability or a loss near 0 must keep
    /// its digits: beyond the tight bound it fails. Default no.
    pub tight: bool,
    /// Two calls with the same input may answer differently, each within its bound (atomic additions, reductions by threads). Default no:
    /// two answers are `flaky`.
    pub nondeterministic: bool,
    /// Of a kernel that computes batches: the bits of a row depend on nothing but the row, whatever its place and however many rows there
    /// are. Default no.
    pub batch_invariant: bool,
    /// Of a kernel that computes batches: its outputs may be written over its logits. It is then given such batches, too. Default no.
    pub in_place: bool,
    /// What it must return for logits that are not finite. Default [`Special::Framework`].
    pub special: Special,
}

impl Default for Claims {
    fn default() -> Self {
        Self {
            exp: 2.0,
            log: 2.0,
            log1p: 2.0,
            expm1: 2.0,
            exp_argument: 0.0,
            sum: Summation::Sequential,
            accumulator: None,
            online: Online::No,
            merged: 1,
            weights: None,
            flush_to_zero: false,
            shifted: false,
            sequential: false,
            elementwise_monotone: false,
            half_digits: false,
            tight: false,
            nondeterministic: false,
            batch_invariant: false,
            in_place: false,
            special: Special::Framework,
        }
    }
}

/// A constant as people write it.
pub(super) fn factor(c: f64) -> String {
    if c.abs() < 1e9 { c.to_string() } else { format!("{c:e}") }
}

/// The largest relative error of an exp, a log, a log1p or an expm1 that may be claimed. A weight and the sum of the weights may then be wrong
/// by a sixteenth each, so that a probability keeps a digit; beyond, results without one would be forgiven.
const COARSEST: f64 = 1.0 / 16.0;

/// The largest [`Claims::exp_argument`]. Two roundings err by 2, and a scale of the logits that is folded into the constant adds a few; a
/// constant that lacks digits errs by more (1.4427 for log2(e) by 57 in f32), and is a defect.
const COARSEST_ARGUMENT: f64 = 16.0;

/// The keys of [`Claims::set`], for messages and `--help`.
const KEYS: &str = "exp=C, log=C, log1p=C, expm1=C, exp_argument=C (units of roundoff), \
                    sum=sequential|pairwise|compensated|lanes:L|lanes:L:tail|blocks:B, accumulator=DTYPE, online|online=rescaled, \
                    merged=K, weights=f16|bf16|none, flush_to_zero, shifted, sequential, elementwise_monotone, half_digits, tight, nondeterministic, batch_invariant, in_place, \
                    special=framework|limit, preset=NAME";

/// The dtypes of [`Claims::weights`].
const HALVES: [Dtype; 2] = [Dtype::F16, Dtype::Bf16];

/// The text of claims, with that of `--strict` if it is asked for and not there.
pub(crate) fn strictly(claims: Option<&str>, is_strict: bool) -> Option<String> {
    const STRICT: &str = "tight";
    match claims {
        Some(claims) if is_strict && !claims.split(',').any(|claim| claim == STRICT) => {
            Some(format!("{claims},{STRICT}"))
        }
        None if is_strict => Some(STRICT.to_owned()),
        claims => claims.map(str::to_owned),
    }
}

impl Claims {
    /// Sets claims from `key=value,...`, as `--claims` takes them; a flag may stand without a value.
    ///
    /// # Errors
    /// An unknown key, or a value that does not fit it.
    pub fn set(&mut self, text: &str) -> Result<()> {
        for item in text.split(',').filter(|item| !item.is_empty()) {
            let (key, value) = item.split_once('=').unwrap_or((item, "true"));
            let bad = || Error::usage(format!("claim `{item}`: the value does not fit; the claims are: {KEYS}"));
            let factor = || value.parse::<f64>().ok().filter(|c| c.is_finite() && *c >= 0.0).ok_or_else(bad);
            let flag = || value.parse::<bool>().map_err(|_| bad());
            match key {
                "exp" => self.exp = factor()?,
                "log" => self.log = factor()?,
                "log1p" => self.log1p = factor()?,
                "expm1" => self.expm1 = factor()?,
                "exp_argument" => self.exp_argument = factor()?,
                "sum" => self.sum = value.parse().map_err(|()| bad())?,
                "accumulator" => {
                    let dtype: Dtype = value.parse()?;
                    self.accumulator = Some(dtype).filter(|dtype| !dtype.is_mixed()).map(Some).ok_or_else(bad)?;
                }
                "online" => self.online = value.parse().map_err(|()| bad())?,
                "merged" => self.merged = value.parse().ok().filter(|&parts| parts > 0).ok_or_else(bad)?,
                "weights" => {
                    let half = || value.parse().ok().filter(|dtype| HALVES.contains(dtype)).ok_or_else(bad);
                    self.weights = if value == "none" { None } else { Some(half()?) };
                }
                "flush_to_zero" => self.flush_to_zero = flag()?,
                "shifted" => self.shifted = flag()?,
                "sequential" => self.sequential = flag()?,
                "elementwise_monotone" => self.elementwise_monotone = flag()?,
                "half_digits" => self.half_digits = flag()?,
                "tight" => self.tight = flag()?,
                "nondeterministic" => self.nondeterministic = flag()?,
                "batch_invariant" => self.batch_invariant = flag()?,
                "in_place" => self.in_place = flag()?,
                "special" => self.special = value.parse()?,
                "preset" => {
                    let preset = preset(value).ok_or_else(|| {
                        let names: Vec<&str> = PRESETS.iter().map(|preset| preset.name).collect();
                        Error::usage(format!(
                            "claim `{item}`: the presets are {}; see `logitfuzz list presets`",
                            names.join(", ")
                        ))
                    })?;
                    self.set(preset.claims)?;
                }
                _ => return Err(Error::usage(format!("unknown claim `{key}`; the claims are: {KEYS}"))),
            }
        }
        Ok(())
    }

    /// Whether anything is forgiven, for a case of `dtype`, that is not forgiven the textbook kernel. No sum rounds more often than its
    /// one, and the other claims ask for more.
    pub(crate) fn forgive_more(&self, dtype: Dtype) -> bool {
        let plain = Self::default();
        let (format, usual) = (self.accumulator(dtype).format(), dtype.accumulator().format());
        self.exp > plain.exp
            || self.log > plain.log
            || self.log1p > plain.log1p
            || self.expm1 > plain.expm1
            || self.exp_argument > plain.exp_argument
            || self.online > plain.online
            || self.merged > plain.merged
            || self.weights.is_some()
            || self.flush_to_zero
            || format.precision < usual.precision
            || format.emin > usual.emin
    }

    /// Those of the textbook kernel, with the same policy for special values.
    pub(crate) fn plain(&self) -> Self {
        Self { special: self.special, nondeterministic: self.nondeterministic, ..Self::default() }
    }

    /// The accuracies of its functions, by their keys.
    pub(super) fn factors(&self) -> [(&'static str, f64); 5] {
        [
            ("exp", self.exp),
            ("log", self.log),
            ("log1p", self.log1p),
            ("expm1", self.expm1),
            ("exp_argument", self.exp_argument),
        ]
    }

    /// The merges that a weight of a row of `n` logits passes through, at most: the levels of a tree of so many parts, and no more
    /// than there are other logits, as a part without a logit leaves what it is merged with as it is.
    pub(crate) fn merges(&self, n: usize) -> u32 {
        ceil_log2(self.merged).min(u32::try_from(n.saturating_sub(1)).unwrap_or(u32::MAX))
    }

    /// The largest `exp_argument` that may be claimed of what computes in this format: the exp of the lowest logit that has a weight
    /// must not be wrong by more than itself.
    fn most_argument(format: Format) -> f64 {
        // Below, even a weight that is too large by a sixteenth of its exponent is less than the least number.
        let lowest = f64::from(format.precision as i32 - 1 - format.emin) * std::f64::consts::LN_2 * (1.0 + COARSEST);
        COARSEST_ARGUMENT.min(1.0 / (lowest * format.unit_roundoff()))
    }

    /// Refuses what no kernel may claim for a case of `dtype`.
    ///
    /// # Errors
    /// An exp, log, log1p or expm1 that is coarser than a relative error of 1/16, negative or no number; an exp_argument above 16, or
    /// at which the lowest weight is wrong by more than itself; merges that add a relative error above 1/16, or of 0 parts; a sum in
    /// 0 lanes or in blocks of 0.
    pub fn check(&self, dtype: Dtype) -> Result<()> {
        let accumulator = self.accumulator(dtype);
        let format = accumulator.format();
        let coarsest = COARSEST / format.unit_roundoff();
        for (key, c) in self.factors() {
            let most = if key == "exp_argument" { Self::most_argument(format) } else { coarsest };
            if !(0.0..=most).contains(&c) {
                return Err(Error::usage(format!(
                    "claim `{key}={}` forgives results without a correct digit; at most {} units of roundoff can be claimed of \
                     what computes in {accumulator}",
                    factor(c),
                    factor(most)
                )));
            }
        }
        if self.merged == 0 {
            return Err(Error::usage("claim `merged=0` leaves no part of a row; write 1 or more"));
        }
        // An exp and a product at each level.
        let of_merges = f64::from(ceil_log2(self.merged)) * (self.exp + 1.0);
        if self.merged > 1 && self.exp + of_merges > coarsest {
            return Err(Error::usage(format!(
                "claim `merged={}` forgives results without a correct digit: its exps and products err by {} units of roundoff, of \
                 which {} can be claimed of what computes in {accumulator}",
                self.merged,
                factor(self.exp + of_merges),
                factor(coarsest)
            )));
        }
        match self.sum {
            Summation::Lanes { lanes: 0, .. } | Summation::Blocks { size: 0 } => {
                Err(Error::usage(format!("claim `sum={}` adds nothing; write 1 or more", self.sum)))
            }
            _ => Ok(()),
        }
    }

    /// The dtype the kernel computes in for a case of `dtype`.
    pub fn accumulator(&self, dtype: Dtype) -> Dtype {
        self.accumulator.unwrap_or_else(|| dtype.accumulator())
    }
}

impl fmt::Display for Claims {
    /// What differs from the default, as [`Claims::set`] reads it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let default = Self::default();
        let mut items = Vec::new();
        let factors = self.factors().into_iter().zip(default.factors()).filter(|((_, c), (_, usual))| c != usual);
        items.extend(factors.map(|((key, c), _)| format!("{key}={}", factor(c))));
        if self.sum != default.sum {
            items.push(format!("sum={}", self.sum));
        }
        items.extend(self.accumulator.map(|dtype| format!("accumulator={dtype}")));
        match self.online {
            Online::No => {}
            Online::Sum => items.push("online".to_owned()),
            Online::Rescaled => items.push(format!("online={}", self.online)),
        }
        if self.merged != default.merged {
            items.push(format!("merged={}", self.merged));
        }
        items.extend(self.weights.map(|dtype| format!("weights={dtype}")));
        let flags = [
            ("flush_to_zero", self.flush_to_zero),
            ("shifted", self.shifted),
            ("sequential", self.sequential),
            ("elementwise_monotone", self.elementwise_monotone),
            ("half_digits", self.half_digits),
            ("tight", self.tight),
            ("nondeterministic", self.nondeterministic),
            ("batch_invariant", self.batch_invariant),
            ("in_place", self.in_place),
        ];
        items.extend(flags.iter().filter(|(_, is_set)| *is_set).map(|(key, _)| (*key).to_owned()));
        if self.special != default.special {
            items.push(format!("special={}", self.special));
        }
        f.pad(&items.join(","))
    }
}

/// What a kernel rescales when its running maximum rises; each forgives more than the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Online {
    /// It keeps no running maximum.
    No,
    /// Its running sum (online softmax). The weights that are divided are computed anew, from the maximum of the row.
    Sum,
    /// Its running sum, and the weights and outputs of what came before (flash attention).
    Rescaled,
}

impl fmt::Display for Online {
    /// The value of the key `online`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Online::No => "false",
            Online::Sum => "true",
            Online::Rescaled => "rescaled",
        })
    }
}

impl FromStr for Online {
    type Err = ();

    fn from_str(text: &str) -> std::result::Result<Self, ()> {
        [Online::No, Online::Sum, Online::Rescaled].into_iter().find(|online| online.to_string() == text).ok_or(())
    }
}

/// `ceil(log2 n)`; 0 of 0.
fn ceil_log2(n: usize) -> u32 {
    usize::BITS - n.saturating_sub(1).leading_zeros()
}

/// How a kernel adds `n` numbers; it decides how many roundings a term can pass through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Summation {
    /// One after the other.
    Sequential,
    /// Halves, recursively.
    Pairwise,
    /// `lanes` partial sums; what is left over goes into the lanes, or (`scalar_tail`) is added one by one at the end.
    Lanes {
        /// The number of partial sums.
        lanes: usize,
        /// Whether the remainder is added one by one at the end.
        scalar_tail: bool,
    },
    /// Sums of `size` terms, then a sum of those.
    Blocks {
        /// The number of terms in a block.
        size: usize,
    },
    /// Compensated (Kahan, Neumaier, double-double).
    Compensated,
}

impl Summation {
    /// The number of roundings that a term may pass through in a sum of `n` terms (`H` of the error bound).
    pub fn roundings(self, n: usize) -> f64 {
        let sequential = n.saturating_sub(1) as f64;
        let log2 = |m: usize| f64::from(ceil_log2(m));
        let roundings = match self {
            Summation::Sequential => sequential,
            Summation::Pairwise => log2(n),
            Summation::Lanes { lanes, .. } if n < lanes => sequential,
            Summation::Lanes { lanes, scalar_tail: false } => n.div_ceil(lanes) as f64 - 1.0 + log2(lanes),
            Summation::Lanes { lanes, scalar_tail: true } => {
                (n / lanes) as f64 - 1.0 + log2(lanes) + (n % lanes) as f64
            }
            Summation::Blocks { size } => size as f64 + n.div_ceil(size) as f64,
            Summation::Compensated => 3.0,
        };
        // No order of n - 1 additions passes a term through more than n - 1 of them.
        roundings.min(sequential)
    }
}

impl fmt::Display for Summation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Summation::Sequential => f.write_str("sequential"),
            Summation::Pairwise => f.write_str("pairwise"),
            Summation::Compensated => f.write_str("compensated"),
            Summation::Lanes { lanes, scalar_tail: false } => write!(f, "lanes:{lanes}"),
            Summation::Lanes { lanes, scalar_tail: true } => write!(f, "lanes:{lanes}:tail"),
            Summation::Blocks { size } => write!(f, "blocks:{size}"),
        }
    }
}

impl FromStr for Summation {
    type Err = ();

    fn from_str(text: &str) -> std::result::Result<Self, ()> {
        let count = |text: &str| text.parse::<usize>().ok().filter(|&count| count > 0).ok_or(());
        match text.split(':').collect::<Vec<_>>()[..] {
            ["sequential"] => Ok(Summation::Sequential),
            ["pairwise"] => Ok(Summation::Pairwise),
            ["compensated"] => Ok(Summation::Compensated),
            ["lanes", lanes] => Ok(Summation::Lanes { lanes: count(lanes)?, scalar_tail: false }),
            ["lanes", lanes, "tail"] => Ok(Summation::Lanes { lanes: count(lanes)?, scalar_tail: true }),
            ["blocks", size] => Ok(Summation::Blocks { size: count(size)? }),
            _ => Err(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_have_a_ceiling() {
        for (text, dtype, is_right) in [
            ("", Dtype::F16, true),
            ("exp=1e6", Dtype::F32, true),
            ("exp=1048576", Dtype::F32, true),
            ("exp=1048577", Dtype::F32, false),
            ("log=1e308", Dtype::F64, false),
            ("log1p=1e15", Dtype::F64, false),
            ("accumulator=bf16,exp=16", Dtype::F32, true),
            ("accumulator=bf16,exp=17", Dtype::F32, false),
            ("exp_argument=16", Dtype::F32, true),
            ("exp_argument=16.5", Dtype::F32, false),
            // The lowest weight of bf16 is 2^-133: 98 below the maximum, where 2 roundings err by 0.76 of it.
            ("accumulator=bf16,exp_argument=2", Dtype::F32, true),
            ("accumulator=bf16,exp_argument=3", Dtype::F32, false),
            ("merged=1048576", Dtype::F32, true),
            // 2 of the exp, and 3 of each of 4 levels, or of 5.
            ("accumulator=bf16,merged=16", Dtype::F32, true),
            ("accumulator=bf16,merged=17", Dtype::F32, false),
            ("exp=100000,merged=512", Dtype::F32, true),
            ("exp=100000,merged=513", Dtype::F32, false),
            ("online=rescaled", Dtype::F16, true),
        ] {
            let mut claims = Claims::default();
            claims.set(text).unwrap();
            assert_eq!(claims.check(dtype).is_ok(), is_right, "{text}");
        }
        for (text, forgives) in [
            ("shifted,sequential,elementwise_monotone,tight,half_digits,sum=pairwise,exp=1", false),
            ("accumulator=f64", false),
            ("exp=2.5", true),
            ("online", true),
            ("online=false,merged=1,exp_argument=0", false),
            ("online=rescaled", true),
            ("merged=2", true),
            ("exp_argument=0.5", true),
            ("weights=bf16", true),
            ("flush_to_zero", true),
            ("accumulator=f16", true),
        ] {
            let mut claims = Claims::default();
            claims.set(text).unwrap();
            assert_eq!(claims.forgive_more(Dtype::F32), forgives, "{text}");
        }
        assert!(Claims { exp: f64::NAN, ..Claims::default() }.check(Dtype::F32).is_err());
        assert!(Claims { merged: 0, ..Claims::default() }.check(Dtype::F32).is_err());
        assert!(Claims { sum: Summation::Blocks { size: 0 }, ..Claims::default() }.check(Dtype::F32).is_err());
    }

    #[test]
    fn text_round_trips() {
        for text in [
            "",
            "exp=1.5,log=0,log1p=3",
            "sum=pairwise,accumulator=f64",
            "sum=compensated",
            "sum=lanes:8",
            "sum=lanes:16:tail,online,flush_to_zero",
            "exp_argument=1.25,online=rescaled",
            "exp_argument=2,sum=pairwise,online,merged=8,flush_to_zero",
            "merged=3,shifted",
            "merged=4,weights=bf16",
            "weights=f16,shifted",
            "sum=blocks:128,shifted,sequential,elementwise_monotone,half_digits,tight,nondeterministic,special=limit",
        ] {
            let mut claims = Claims::default();
            claims.set(text).unwrap();
            assert_eq!(claims.to_string(), text);
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        for text in [
            "exp_argument=-1",
            "exp_argument=many",
            "online=weights",
            "merged=0",
            "merged=-2",
            "merged=1.5",
            "merged",
            "weights=f32",
            "weights",
        ] {
            let error = Claims::default().set(text).unwrap_err().to_string();
            assert!(error.contains(&format!("claim `{text}`: ")) && !error.contains('\n'), "{error}");
        }
        for (text, words) in [
            ("exp_argument=57", "at most 16 units of roundoff can be claimed of what computes in f32"),
            ("exp=500000,merged=8", "err by 2000003 units of roundoff, of which 1048576 can be claimed"),
        ] {
            let mut claims = Claims::default();
            claims.set(text).unwrap();
            let error = claims.check(Dtype::F32).unwrap_err().to_string();
            assert!(error.contains(words) && !error.contains('\n'), "{error}");
        }
    }

    #[test]
    fn merges_are_the_levels_of_a_tree() {
        for (parts, n, merges) in
            [(1, 100, 0), (2, 100, 1), (3, 100, 2), (8, 100, 3), (9, 100, 4), (8, 3, 2), (8, 1, 0), (8, 0, 0)]
        {
            assert_eq!(Claims { merged: parts, ..Claims::default() }.merges(n), merges, "{parts} {n}");
        }
    }
}
