//! What a kernel declares of itself: its claims, and which cases it takes. All of it makes the judge forgive more or look at less,
//! so whoever relies on a verdict must see it, and a gate must notice when it becomes looser.

use super::claims::factor;
use super::{Claims, Kernel, Special, Summation};
use crate::dtype::Dtype;
use crate::op::Op;
use std::ops::RangeInclusive;

/// What a kernel declares for one op in one dtype.
#[derive(Debug, Clone, PartialEq)]
pub struct Declaration {
    /// Its claims, with those that apply to all kernels.
    pub claims: Claims,
    /// The numbers of logits that it takes.
    pub lengths: RangeInclusive<usize>,
    /// Whether equal inputs give equal bits. Where not, relations between two runs are not checked.
    pub deterministic: bool,
    /// Whether it takes a label smoothing above 0.
    pub label_smoothing: bool,
}

impl Declaration {
    /// What a kernel declares that says nothing but these claims.
    pub fn of_claims(claims: Claims) -> Self {
        Self { claims, lengths: 0..=usize::MAX, deterministic: true, label_smoothing: true }
    }

    /// What this kernel declares; the claims are given, since some may be said for all kernels.
    pub fn of(kernel: &dyn Kernel, op: Op, dtype: Dtype, claims: Claims) -> Self {
        Self {
            claims,
            lengths: kernel.lengths(op, dtype),
            deterministic: kernel.is_deterministic(),
            label_smoothing: kernel.takes_label_smoothing(op, dtype),
        }
    }

    /// What of this is looser than `before`, in words, each with what was before: `exp=8, recorded exp=2`. Empty where nothing is.
    pub fn looser_than(&self, before: &Self, dtype: Dtype) -> Vec<String> {
        let mut found = self.claims.looser_than(&before.claims, dtype);
        let mut looser = |is_looser: bool, now: String, before: String| {
            if is_looser {
                found.push(format!("{now}, recorded {before}"));
            }
        };
        let (least, most) = (self.lengths.start(), self.lengths.end());
        let (least_before, most_before) = (before.lengths.start(), before.lengths.end());
        looser(least > least_before, format!("min_len={least}"), least_before.to_string());
        let any = |most: &usize| if *most == usize::MAX { "no limit".to_owned() } else { most.to_string() };
        looser(most < most_before, format!("max_len={most}"), any(most_before));
        looser(!self.deterministic && before.deterministic, "deterministic=false".into(), "true".into());
        looser(!self.label_smoothing && before.label_smoothing, "label_smoothing=false".into(), "true".into());
        found
    }
}

/// Lengths at which two ways of adding are compared: all short ones, and those about powers of two.
fn probed_lengths() -> impl Iterator<Item = usize> {
    const SHORT: usize = 1 << 10;
    const LONGEST: u32 = 25;
    (0..=SHORT).chain((SHORT.trailing_zeros()..=LONGEST).flat_map(|e| [(1 << e) - 1, 1 << e, (1 << e) + 1]))
}

/// Whether a sum of some length may round more often than before.
fn rounds_more(now: Summation, before: Summation) -> bool {
    now != before && probed_lengths().any(|n| now.roundings(n) > before.roundings(n))
}

impl Claims {
    /// Which of these claims forgive more, or switch off more, than `before`, in words; for a kernel of this dtype.
    pub(crate) fn looser_than(&self, before: &Claims, dtype: Dtype) -> Vec<String> {
        let mut found = Vec::new();
        let mut looser = |is_looser: bool, name: &str, now: String, before: String| {
            if is_looser {
                found.push(format!("{name}={now}, recorded {before}"));
            }
        };
        for ((name, now), (_, before)) in self.factors().into_iter().zip(before.factors()) {
            looser(now > before, name, factor(now), factor(before));
        }
        looser(rounds_more(self.sum, before.sum), "sum", self.sum.to_string(), before.sum.to_string());
        looser(self.online > before.online, "online", self.online.to_string(), before.online.to_string());
        looser(self.merged > before.merged, "merged", self.merged.to_string(), before.merged.to_string());
        // Neither half dtype forgives less than the other: one has fewer digits, one a larger least number.
        let name = |weights: Option<Dtype>| weights.map_or_else(|| "none".to_owned(), |dtype| dtype.to_string());
        let is_looser = self.weights.is_some() && self.weights != before.weights;
        looser(is_looser, "weights", name(self.weights), name(before.weights));
        let (now, was) = (self.accumulator(dtype), before.accumulator(dtype));
        let (format, format_before) = (now.format(), was.format());
        let is_narrower = format.precision < format_before.precision
            || format.emax < format_before.emax
            || format.emin > format_before.emin;
        looser(is_narrower, "accumulator", now.to_string(), was.to_string());
        for (name, now, before, looser_if) in [
            ("flush_to_zero", self.flush_to_zero, before.flush_to_zero, true),
            ("shifted", self.shifted, before.shifted, false),
            ("sequential", self.sequential, before.sequential, false),
            ("elementwise_monotone", self.elementwise_monotone, before.elementwise_monotone, false),
            ("half_digits", self.half_digits, before.half_digits, false),
            ("tight", self.tight, before.tight, false),
            ("nondeterministic", self.nondeterministic, before.nondeterministic, true),
            ("batch_invariant", self.batch_invariant, before.batch_invariant, false),
            ("in_place", self.in_place, before.in_place, false),
        ] {
            looser(now != before && now == looser_if, name, now.to_string(), before.to_string());
        }
        let is_laxer = self.special == Special::Framework && before.special == Special::Limit;
        looser(is_laxer, "special", self.special.to_string(), before.special.to_string());
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn declared(claims: &str) -> Declaration {
        let mut set = Claims::default();
        set.set(claims).unwrap();
        Declaration::of_claims(set)
    }

    /// Each thing that can be declared, made looser, is named; the other way round it is not.
    #[test]
    fn what_is_looser_is_named() {
        for (before, now, words) in [
            ("", "exp=8", "exp=8, recorded 2"),
            ("", "log=3", "log=3, recorded 2"),
            ("", "log1p=3", "log1p=3, recorded 2"),
            ("sum=pairwise", "", "sum=sequential, recorded pairwise"),
            ("sum=pairwise", "sum=lanes:8", "sum=lanes:8, recorded pairwise"),
            ("", "accumulator=bf16", "accumulator=bf16, recorded f32"),
            ("accumulator=bf16", "accumulator=f16", "accumulator=f16, recorded bf16"),
            ("", "online", "online=true, recorded false"),
            ("", "online=rescaled", "online=rescaled, recorded false"),
            ("online", "online=rescaled", "online=rescaled, recorded true"),
            ("", "exp_argument=2", "exp_argument=2, recorded 0"),
            ("exp_argument=1", "exp_argument=1.5", "exp_argument=1.5, recorded 1"),
            ("", "merged=2", "merged=2, recorded 1"),
            ("merged=4", "merged=8", "merged=8, recorded 4"),
            ("", "weights=bf16", "weights=bf16, recorded none"),
            ("weights=f16", "weights=bf16", "weights=bf16, recorded f16"),
            ("", "flush_to_zero", "flush_to_zero=true, recorded false"),
            ("shifted", "", "shifted=false, recorded true"),
            ("sequential", "", "sequential=false, recorded true"),
            ("elementwise_monotone", "", "elementwise_monotone=false, recorded true"),
            ("half_digits", "", "half_digits=false, recorded true"),
            ("tight", "", "tight=false, recorded true"),
            ("", "nondeterministic", "nondeterministic=true, recorded false"),
            ("batch_invariant", "", "batch_invariant=false, recorded true"),
            ("in_place", "", "in_place=false, recorded true"),
            ("special=limit", "", "special=framework, recorded limit"),
        ] {
            assert_eq!(declared(now).looser_than(&declared(before), Dtype::F32), [words]);
            // Of these two neither forgives less.
            if !["accumulator=f16", "weights=bf16"].contains(&now) || before.is_empty() {
                assert!(declared(before).looser_than(&declared(now), Dtype::F32).is_empty(), "{now} to {before}");
            }
        }
        let plain = declared("");
        for (now, words) in [
            (Declaration { lengths: 0..=9, ..plain.clone() }, "max_len=9, recorded no limit"),
            (Declaration { lengths: 1..=usize::MAX, ..plain.clone() }, "min_len=1, recorded 0"),
            (Declaration { deterministic: false, ..plain.clone() }, "deterministic=false, recorded true"),
            (Declaration { label_smoothing: false, ..plain.clone() }, "label_smoothing=false, recorded true"),
        ] {
            assert_eq!(now.looser_than(&plain, Dtype::F32), [words]);
            assert!(plain.looser_than(&now, Dtype::F32).is_empty());
        }
    }
}
