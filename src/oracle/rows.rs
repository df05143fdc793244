//! What is due of a mean over rows: the mean of what is due of each row that is not ignored, and of none.
//!
//! Rows that are ordinary have one truth each, and so has their mean. Any other row has answers of its own that are accepted
//! (`special`), and the mean has those that can be made of one answer of each row: NaN if a row may be NaN; an infinity if a row may be
//! that and every other something besides NaN; a number if every row may be one. The number of a row that is not ordinary is 0 wherever it
//! is known: a loss at its limit. Of a gradient each row is judged by itself; an output of a row that is not ordinary may be what any answer
//! to the row that is accepted has there. An ignored row may hold anything, and its gradient is 0 exactly. A mean of no rows is NaN or 0.

use super::rounded::Rounded;
use super::{Accepted, Due, Dues, Oracle, Truth, anatomy_of_limit};
use crate::case::Case;
use crate::number::Rational;
use crate::op::Anatomy;
use crate::special::{RowClass, Special};
use std::sync::Arc;

/// The truth of a case of several rows.
pub(super) fn truth(oracle: &mut Oracle, case: &Case, class: RowClass, special: Special) -> Truth {
    let rows: Vec<Option<Truth>> = case.rows().iter().map(|row| Some(oracle.truth(row.as_ref()?, special))).collect();
    let zero = || Due::Value(Rounded::of_number(0.0, case.output_format()));
    let outputs = match case.op().is_scalar() {
        true if class == RowClass::AllIgnored => vec![zero().or(Accepted::Nan)],
        true => vec![mean(case, &rows)],
        false => gradient(case, &rows),
    };
    // The largest logit of all that are looked at, for explanations; the bounds are made of those of the rows.
    let largest = rows.iter().flatten().map(|truth| truth.anatomy.max).filter(|max| max.is_finite()).reduce(f64::max);
    let anatomy = Arc::new(Anatomy { max: largest.unwrap_or(0.0), ..anatomy_of_limit(&[], class) });
    let (target_anatomy, deviations) = (None, Vec::new());
    Truth { alternatives: vec![outputs], unit_sum: false, class, anatomy, target_anatomy, deviations, rows }
}

/// The answers to a row of one output, or to output `j` of one, in all the alternatives.
fn answers(truth: &Truth, j: usize) -> Vec<Accepted> {
    let mut all: Vec<Accepted> = Vec::new();
    for due in truth.alternatives.iter().filter_map(|outputs| outputs.get(j)) {
        let accepted = match due {
            Due::Value(value) => vec![Accepted::Value(*value)],
            Due::OneOf(accepted) => accepted.clone(),
            Due::Undecided => Vec::new(),
        };
        accepted.into_iter().for_each(|answer| {
            if !all.contains(&answer) {
                all.push(answer)
            }
        });
    }
    all
}

/// What a mean may be.
fn mean(case: &Case, rows: &[Option<Truth>]) -> Due {
    let truths = || rows.iter().flatten();
    if truths().all(|truth| truth.class.is_ordinary()) {
        return Dues::mean(case).get(0).clone();
    }
    let of_rows: Vec<Vec<Accepted>> = truths().map(|truth| answers(truth, 0)).collect();
    // A row without an answer is one that the oracle leaves undecided.
    if of_rows.iter().any(Vec::is_empty) {
        return Due::Undecided;
    }
    let all_may_be = |kind: fn(&Accepted) -> bool| of_rows.iter().all(|answers| answers.iter().any(kind));
    let any_may_be = |kind: fn(&Accepted) -> bool| of_rows.iter().any(|answers| answers.iter().any(kind));
    let is_number = |answer: &Accepted| matches!(answer, Accepted::Value(_) | Accepted::Between(..));
    let mut accepted = Vec::new();
    if all_may_be(|answer| matches!(answer, Accepted::Value(_))) {
        match Dues::mean(case).get(0) {
            Due::Value(value) => accepted.push(Accepted::Value(*value)),
            Due::OneOf(others) => accepted.extend(others.iter().cloned()),
            Due::Undecided => return Due::Undecided,
        }
    }
    let is_infinite = |answer: &Accepted| matches!(answer, Accepted::Infinity(_));
    if any_may_be(is_infinite) && all_may_be(|answer| !matches!(answer, Accepted::Nan)) {
        accepted.push(Accepted::Infinity(f64::INFINITY));
    }
    if all_may_be(is_number) && any_may_be(|answer| matches!(answer, Accepted::Between(..))) {
        let (least, largest) = case.op().facts().range;
        accepted.push(Accepted::Between(least, largest));
    }
    if any_may_be(|answer| matches!(answer, Accepted::Nan)) {
        accepted.push(Accepted::Nan);
    }
    Due::OneOf(accepted)
}

/// What each output of a gradient may be.
fn gradient(case: &Case, rows: &[Option<Truth>]) -> Vec<Due> {
    let mut dues = Dues::mean(case);
    let (n, count) = (case.row_len(), rows.iter().flatten().count() as u32);
    let divided = |answer: Accepted| match answer {
        // A limit, which is a number of the dtype.
        Accepted::Value(value) => match Rational::from_f64(value.rounded) {
            Some(limit) => Accepted::Value(Rounded::from_rational(&(limit / count), case.output_format())),
            None => answer,
        },
        Accepted::Between(least, largest) => Accepted::Between(least / f64::from(count), largest / f64::from(count)),
        Accepted::Nan | Accepted::Infinity(_) => answer,
    };
    let due = |j: usize| match &rows[j / n] {
        Some(truth) if !truth.class.is_ordinary() => {
            let answers: Vec<Accepted> = answers(truth, j % n).into_iter().map(divided).collect();
            match answers[..] {
                [] => Due::Undecided,
                [Accepted::Value(limit)] => Due::Value(limit),
                _ => Due::OneOf(answers),
            }
        }
        _ => dues.get(j).clone(),
    };
    (0..case.logits().len()).map(due).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::Verdict;
    use crate::kernel::{Claims, Outcome};
    use crate::trial::Trial;

    const INF: f64 = f64::INFINITY;

    fn verdict(text: &str, special: Special, outputs: &[f64]) -> Verdict {
        let case = Case::parse(text).unwrap();
        let claims = Claims { special, ..Claims::default() };
        let judgement = Trial::new(&case).judge_alone(&mut Oracle::new(), &claims, &Outcome::Outputs(outputs.to_vec()));
        // The screen says the same as the exact way.
        let mut alone = Oracle::asked_alone();
        let exactly = Trial::new(&case).judge_alone(&mut alone, &claims, &Outcome::Outputs(outputs.to_vec()));
        assert_eq!(judgement.verdict, exactly.verdict, "{text} {outputs:?}");
        judgement.verdict
    }

    /// What is accepted of rows that are ignored, of none that are left, and of some that are not ordinary.
    #[test]
    fn ignored_and_special_rows() {
        let (framework, limit) = (Special::Framework, Special::Limit);
        let log2 = f64::from(2.0f32.ln());
        let poisoned = "mean_cross_entropy f32 [0, 0, nan, inf] targets=[0, ignored]";
        let nothing = "mean_cross_entropy f32 [nan, 0] targets=[ignored]";
        let infinite = "mean_cross_entropy f32 [inf, 0, 0, 0] targets=[0, 1]";
        let masked = "mean_cross_entropy f32 [-inf, -inf, 0, 0] targets=[0, 1]";
        let both = "mean_cross_entropy f32 [0, -inf, nan, 0] targets=[1, 0]";
        let gradient = "mean_cross_entropy_grad f32 [0, 0, nan, inf] targets=[0, ignored]";
        let of_infinite = "mean_cross_entropy_grad f32 [inf, 0, 0, 0] targets=[1, 1]";
        use Verdict::{Inaccurate, Nan, Pass, Swallowed};
        for (text, special, outputs, due) in [
            (poisoned, framework, &[log2][..], Pass),
            (poisoned, framework, &[f64::NAN], Nan),
            (poisoned, limit, &[log2 / 2.0], Inaccurate),
            (nothing, framework, &[0.0], Pass),
            (nothing, limit, &[f64::NAN], Pass),
            (nothing, framework, &[1.0], Swallowed),
            (infinite, limit, &[log2 / 2.0], Pass),
            (infinite, limit, &[f64::NAN], Nan),
            (infinite, framework, &[f64::NAN], Pass),
            (infinite, framework, &[log2], Swallowed),
            (masked, framework, &[INF], Pass),
            (masked, framework, &[f64::NAN], Pass),
            (masked, framework, &[log2], Swallowed),
            (masked, limit, &[INF], Swallowed),
            (both, framework, &[f64::NAN], Pass),
            (both, framework, &[INF], Swallowed),
            (gradient, framework, &[-0.5, 0.5, 0.0, -0.0], Pass),
            (gradient, framework, &[-0.5, 0.5, f64::NAN, 0.0], Nan),
            (gradient, framework, &[-0.25, 0.25, 0.0, 0.0], Inaccurate),
            (of_infinite, limit, &[0.5, -0.5, 0.25, -0.25], Pass),
            (of_infinite, framework, &[f64::NAN, f64::NAN, 0.25, -0.25], Pass),
            (of_infinite, framework, &[f64::NAN, f64::NAN, f64::NAN, f64::NAN], Nan),
        ] {
            assert_eq!(verdict(text, special, outputs), due, "{text} {special:?} {outputs:?}");
        }
    }
}
