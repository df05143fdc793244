//! The scope of a failure: at which level of the logits, at which places and at which lengths a kernel fails. Rows are made for it that
//! differ from one another in that alone. What the kernel does on them is a fact, whatever causes it.

use super::battery::{ordinary, others};
use super::range::Thresholds;
use super::variation::recentred;
use crate::case::Case;
use crate::dtype::{Dtype, ldexp, text};
use crate::judge::Judgement;
use crate::op::signature::Role;
use crate::words::plural;

/// Runs the kernel on a case; none if it does not take it.
pub(super) type Ask<'a> = dyn FnMut(&Case) -> Option<Judgement> + 'a;

/// Two levels of a failing row, as near to one another as the dtype has them.
pub(super) struct Level {
    /// Where its maximum stands when it passes, and when it fails.
    passes: f64,
    fails: f64,
    dtype: Dtype,
}

/// An error that is so many times the bound is no matter of how something rounds, nor of the order of additions.
pub(super) const FAR: f64 = 16.0;

/// The largest difference of two levels, in parts of the larger, between which a limit explains what happens.
const NEAR: f64 = 0.01;

impl Level {
    /// Found between 0, where the row passes, and where it stands.
    pub fn of(case: &Case, max: f64, ask: &mut Ask) -> Option<Self> {
        let (dtype, format) = (case.dtype(), case.dtype().format());
        let (mut low, mut high) = (format.ordinal(0.0), format.ordinal(dtype.round(max)));
        while low.abs_diff(high) > 1 {
            let middle = (i128::from(low) + i128::from(high)).div_euclid(2) as i64;
            let fails = ask(&recentred(case, max - format.from_ordinal(middle))?)?.verdict.is_failure();
            *if fails { &mut high } else { &mut low } = middle;
        }
        Some(Self { passes: format.from_ordinal(low), fails: format.from_ordinal(high), dtype })
    }

    /// What lies between the two: a number at which a type, or a step in one, comes to its end.
    fn limit(&self) -> Option<(f64, String)> {
        let size = |level: f64| level.abs();
        if size(self.fails) - size(self.passes) > NEAR * size(self.fails) {
            return None;
        }
        let of = |dtype: Dtype| {
            let format = dtype.format();
            // Half a step above the largest number.
            let infinite = ldexp(2.0 - ldexp(1.0, -(format.precision as i32)), format.emax);
            let product = infinite / std::f64::consts::LOG2_E;
            let thresholds = Thresholds::of(dtype);
            let sign = if self.fails < 0.0 { (thresholds.underflow, "0") } else { (thresholds.overflow, "infinite") };
            [
                (infinite, format!("from which on a number is infinite in {dtype}")),
                (product, format!("from which on a product with log2(e) is infinite in {dtype}")),
                (size(sign.0), format!("from which on exp is {} in {dtype}", sign.1)),
            ]
        };
        let is_between = |limit: &(f64, String)| (size(self.passes)..=size(self.fails)).contains(&limit.0);
        Dtype::PLAIN.into_iter().flat_map(of).find(is_between)
    }

    /// The two levels in words, and whether a known limit lies between them.
    pub fn in_words(&self) -> (String, bool) {
        let decimal = |level: f64| text::decimal(level, self.dtype);
        let mut words = format!(
            "with its maximum at {} the row passes, and at {} it fails",
            decimal(self.passes),
            decimal(self.fails)
        );
        let limit = self.limit();
        if let Some((limit, what)) = &limit {
            let limit = text::decimal(limit.copysign(self.fails), Dtype::F32);
            words += &format!(": between them lies {limit}, {what}");
        }
        (words, limit.is_some())
    }
}

/// How many of the rows that people try first, and of short ordinary ones, go wrong by a tenth and more, where nearly all do: what fails
/// so has no input to blame.
pub(super) fn everywhere(case: &Case, ask: &mut Ask) -> Option<String> {
    /// A part of the value.
    const GROSS: f64 = 0.1;
    /// Of fewer rows that a kernel takes nothing is concluded.
    const FEWEST: usize = 3;
    let (op, dtype) = (case.op(), case.dtype());
    let unit = case.output_format().unit_roundoff();
    let rows = [vec![0.0, 0.0], vec![1.0, 0.0], vec![0.0, 1.0, 2.0], ordinary(5), ordinary(7)];
    let made = rows.iter().flat_map(|row| (0..2).map(move |form| (row, form))).filter_map(|(row, form)| {
        let logits: Vec<f64> = row.iter().map(|&z| dtype.round(z)).collect();
        let others = others(op, dtype, &logits, form);
        Case::new(op, dtype, logits, others).ok()
    });
    let mut made: Vec<Case> = made.collect();
    made.dedup();
    let is_gross = |judgement: Judgement| {
        let ulps = judgement.worst.as_ref().and_then(|worst| worst.judged.ulps);
        judgement.verdict.is_failure() && ulps.is_none_or(|ulps| ulps.abs() * 2.0 * unit > GROSS)
    };
    let told: Vec<bool> = made.iter().filter_map(ask).map(is_gross).collect();
    let (all, gross) = (told.len(), told.iter().filter(|gross| **gross).count());
    (all >= FEWEST && 5 * gross >= 4 * all).then(|| {
        format!("It is wrong by a tenth and more on {gross} of {all} rows that are short and ordinary, as another formula is.")
    })
}

/// The places at which one large logit makes a row of zeros fail; none where it fails at all that were tried or at none, or hardly fails.
pub(super) fn places(case: &Case, ask: &mut Ask) -> Option<String> {
    const LONGEST: usize = 4096;
    let (op, dtype, n) = (case.op(), case.dtype(), case.logits().len());
    if !(2..=LONGEST).contains(&n) || op.others().iter().any(|input| input.role == Role::Distribution) {
        return None;
    }
    let unit = case.output_format().unit_roundoff();
    // So large that all the zeros together are absorbed.
    let large = dtype.round(8.0 - unit.ln() + (n as f64).ln());
    let (mut good, mut bad): (Vec<usize>, Vec<usize>) = Default::default();
    let target = case.target().map(|_| n - 1);
    // The target of the battery's second form is the last class, and a row is another one where it is.
    for place in tried_places(n).into_iter().filter(|&place| Some(place) != target) {
        // A kernel that looks at where its buffers lie would show no place, but the memory that the two rows happen to get.
        let mut fails = [false; 2];
        for (fails, logit) in fails.iter_mut().zip([large, dtype.round(large + 1.0)]) {
            let mut logits = vec![0.0; n];
            logits[place] = logit;
            let others = others(op, dtype, &logits, 1);
            let judgement = ask(&Case::new(op, dtype, logits, others).ok()?)?;
            *fails = judgement.verdict.is_failure();
            if *fails && judgement.worst.is_none_or(|worst| worst.judged.ratio < FAR) {
                return None;
            }
        }
        match fails {
            [true, true] => bad.push(place),
            [false, false] => good.push(place),
            _ => return None,
        }
    }
    let (last_good, first_bad) = (*good.last()?, *bad.first()?);
    let large = text::decimal(large, dtype);
    let index = |places: &[usize]| {
        const MOST: usize = 6;
        let listed: Vec<String> = places.iter().take(MOST).map(usize::to_string).collect();
        format!("at index {}{}", listed.join(", "), if places.len() > MOST { " and others" } else { "" })
    };
    let place = if bad.len() > 1 && first_bad > last_good {
        format!("at an index from {first_bad} on")
    } else if bad.len() > 1 && bad.last() < good.first() {
        format!("at an index up to {}", bad.last()?)
    } else {
        index(&bad)
    };
    let all = plural(good.len() + bad.len(), "place");
    Some(format!(
        "Its place decides: a row of {n} zeros but for one logit of {large} fails where that stands {place}, and elsewhere it passes ({all} tried)."
    ))
}

/// Places in a row: all of a short one, else the first, the last, and those beside powers of 2.
fn tried_places(n: usize) -> Vec<usize> {
    const ALL: usize = 64;
    const ENDS: usize = 12;
    let is_tried = |&place: &usize| {
        let is_beside_power = [place, place + 1].into_iter().any(usize::is_power_of_two);
        n <= ALL || place < ENDS || place + ENDS >= n || is_beside_power
    };
    (0..n).filter(is_tried).collect()
}

/// The lengths at which rows fail and at which they do not, where one logit less is what makes the difference, in rows of zeros and in
/// ordinary ones.
pub(super) fn lengths(case: &Case, ask: &mut Ask) -> Option<String> {
    const SHORTEST: usize = 4;
    const LONGEST: usize = 1 << 18;
    let n = case.logits().len();
    if n < SHORTEST {
        return None;
    }
    // Whether all rows of a length fail; none where only some do.
    let mut fails = |n: usize| {
        let rows = [vec![0.0; n], vec![1.0; n], ordinary(n), ordinary(n).into_iter().rev().collect()];
        let made = rows.map(|logits| {
            let others = others(case.op(), case.dtype(), &logits, 0);
            Case::new(case.op(), case.dtype(), logits, others).ok()
        });
        let fails = made.map(|made| made.and_then(|made| Some(ask(&made)?.verdict.is_failure())));
        fails.iter().all(|other| *other == fails[0]).then_some(fails[0]?)
    };
    if !fails(n)? || fails(n - 1)? {
        return None;
    }
    let (mut good, mut bad) = (vec![n - 1], vec![n]);
    for length in [n / 2, n + 1, 2 * n, 2 * n + 1, 4 * n] {
        match (length <= LONGEST).then(|| fails(length)).flatten() {
            Some(true) => bad.push(length),
            Some(false) => good.push(length),
            None => {}
        }
    }
    good.sort_unstable();
    bad.sort_unstable();
    let list = |lengths: &[usize]| lengths.iter().map(usize::to_string).collect::<Vec<String>>().join(", ");
    Some(format!(
        "Its length decides: rows of zeros, of ones and of ordinary logits fail that are {} long, and pass that are {} long.",
        list(&bad),
        list(&good)
    ))
}

#[cfg(test)]
mod tests {
    use crate::Case;
    use crate::diagnosis;
    use crate::kernel::{Claims, Closure};
    use crate::op::Op;
    use crate::results::{Cause, Certainty, Finding};

    fn found(kernel: &Closure, case: &str) -> Finding {
        let case = Case::parse(case).unwrap();
        diagnosis::describe(&mut crate::oracle::Oracle::new(), kernel, &Claims::default(), &case)
    }

    fn softmax(z: &[f32], counts: impl Fn(usize) -> bool, out: &mut [f32]) {
        let m = z.iter().fold(f32::NEG_INFINITY, |m, &x| if x > m || x.is_nan() { x } else { m });
        let weight = |(i, &x): (usize, &f32)| if counts(i) { (x - m).exp() } else { 0.0 };
        let s: f32 = z.iter().enumerate().map(weight).sum();
        out.iter_mut().zip(z).for_each(|(p, &x)| *p = (x - m).exp() / s);
    }

    /// Says where it fails, and that nobody knows why.
    fn assert_scope(kernel: &Closure, case: &str, cause: Cause, words: &str) {
        let finding = found(kernel, case);
        assert_eq!((finding.cause, finding.certainty), (Some(cause), Certainty::NotKnown), "{}", finding.explanation);
        assert!(finding.explanation.contains(words), "{}", finding.explanation);
        assert!(finding.explanation.contains("Why is not known."), "{}", finding.explanation);
    }

    #[test]
    fn a_logit_that_is_left_out_is_told_by_its_place() {
        let third = Closure::new("third", Op::SOFTMAX, |z: &[f32], out: &mut [f32]| softmax(z, |i| i != 2, out));
        assert_scope(&third, "softmax f32 [0*4]", Cause::Place, "where that stands at index 2, and elsewhere");
        let late = Closure::new("late", Op::SOFTMAX, |z: &[f32], out: &mut [f32]| softmax(z, |i| i < 70, out));
        assert_scope(&late, "softmax f32 [0*80]", Cause::Place, "at an index from 70 on, and elsewhere");
    }

    #[test]
    fn a_length_at_which_all_goes_wrong_is_told() {
        let kernel = Closure::new("at 12", Op::SOFTMAX, |z: &[f32], out: &mut [f32]| {
            softmax(z, |_| true, out);
            if z.len() == 12 {
                out.iter_mut().for_each(|p| *p *= 1.5);
            }
        });
        assert_scope(
            &kernel,
            "softmax f32 [0*12]",
            Cause::Length,
            "fail that are 12 long, and pass that are 6, 11, 13",
        );
    }

    /// Beyond 65,504 a logit is infinite in f16, and a kernel that passes just past the range of exp does not lack the maximum. Nor is it
    /// one that reads its logits in f16, for small ones keep their digits.
    #[test]
    fn a_level_is_told_with_the_limit_that_it_passes() {
        let kernel = Closure::new("cut", Op::SOFTMAX, |z: &[f32], out: &mut [f32]| {
            let beyond = |x: f32| if x >= 65520.0 { f32::INFINITY } else { x };
            let z: Vec<f32> = z.iter().map(|&x| beyond(x)).collect();
            softmax(&z, |_| true, out);
        });
        let finding = found(&kernel, "softmax f32 [1e6, 1e6]");
        assert_eq!((finding.cause, finding.certainty), (Some(Cause::Limit), Certainty::Consistent));
        let words = "with its maximum at 65519.996 the row passes, and at 65520 it fails: between them lies 65520, from which on a number is infinite in f16";
        assert!(finding.explanation.contains(words), "{}", finding.explanation);
        assert!(
            finding.tried.iter().any(|tried| tried.change.contains("at 90.1") && tried.passes),
            "{:?}",
            finding.tried
        );
    }

    #[test]
    fn what_only_smoothing_shows_is_told() {
        let kernel = Closure::new("squared", Op::CROSS_ENTROPY, |z: &[f64], t: usize, e: f64, out: &mut [f64]| {
            let m = z.iter().fold(f64::NEG_INFINITY, |m, &x| m.max(x));
            let log_sum = z.iter().map(|x| (x - m).exp()).sum::<f64>().ln();
            let mean = z.iter().map(|x| m - x).sum::<f64>() / z.len() as f64;
            out[0] = log_sum + (1.0 - e * e) * (m - z[t]) + if e == 0.0 { 0.0 } else { e * e * mean };
        });
        let case = "cross_entropy f64 [0, 3] target=0 label_smoothing=0.125";
        assert_scope(&kernel, case, Cause::LabelSmoothing, "The same row without label smoothing passes.");
    }

    #[test]
    fn what_only_a_large_cotangent_shows_is_told() {
        let kernel = Closure::new("clamped", Op::LOG_SOFTMAX_VJP, |z: &[f32], g: &[f32], out: &mut [f32]| {
            softmax(z, |_| true, out);
            let total = g.iter().sum::<f32>().min(1000.0);
            out.iter_mut().zip(g).for_each(|(o, &g)| *o = g - *o * total);
        });
        let case = "log_softmax_vjp f32 [1, 0] cotangent=[732, 269]";
        assert_scope(&kernel, case, Cause::Direction, "The size of the cotangent or tangent decides");
    }

    #[test]
    fn what_only_a_scale_shows_is_told() {
        let kernel = |largest: f32| {
            Closure::new("scaled", Op::SCALED_SOFTMAX, move |z: &[f32], scale: f32, out: &mut [f32]| {
                let scale = if largest.is_finite() { scale.abs() } else { scale };
                let products: Vec<f32> = z.iter().map(|x| (x * scale).min(largest)).collect();
                softmax(&products, |_| true, out);
            })
        };
        let words = "With its products as logits and a scale of 1 the row passes.";
        assert_scope(&kernel(1e30), "scaled_softmax f32 [0, 3, 1] scale=-1", Cause::Scale, words);
        let beyond = "A logit times the scale is beyond the range of f32.";
        assert_scope(&kernel(1e30), "scaled_softmax f32 [3, 2] scale=0x1p127", Cause::Scale, beyond);
        // NaN is what the textbook makes of it.
        let finding = found(&kernel(f32::INFINITY), "scaled_softmax f32 [3, 2] scale=0x1p127");
        assert_eq!(finding.cause, None);
    }

    /// A kernel is never run on what it does not take, whatever could be learnt from it.
    #[test]
    fn a_kernel_of_one_length_is_asked_at_that_length_alone() {
        let kernel = Closure::new("of three", Op::SOFTMAX, |z: &[f32], out: &mut [f32]| {
            assert_eq!(z.len(), 3);
            softmax(z, |i| i != 2, out);
        });
        let kernel = kernel.for_lengths(3..=3);
        assert_scope(&kernel, "softmax f32 [0, 0, 0]", Cause::Place, "where that stands at index 2");
        let finding = found(&kernel, "softmax f32 [0, 0, 0]");
        assert!(finding.tried.iter().all(|tried| !tried.change.contains("half")), "{:?}", finding.tried);
    }

    /// A kernel that errs everywhere has no scope.
    #[test]
    fn what_fails_everywhere_is_said_to_be_wrong() {
        let kernel = Closure::new("a third more", Op::SOFTMAX, |z: &[f32], out: &mut [f32]| {
            softmax(z, |_| true, out);
            out.iter_mut().for_each(|p| *p *= 1.3);
        });
        assert_scope(&kernel, "softmax f32 [0*12]", Cause::Formula, "on 5 of 5 rows that are short and ordinary");
    }
}
