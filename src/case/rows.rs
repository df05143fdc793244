//! The rows of a case that has several, for an op that is a mean over them: its logits row after row, and a true class for each row, or
//! the word that it is ignored.

use super::{Case, Value, run_of};
use crate::dtype::Dtype;
use crate::error::{Error, Result};
use crate::op::Op;
use crate::op::signature::Role;
use crate::outside::{self, LONGEST_QUOTE};
use std::sync::Arc;

/// The word for a row that is ignored.
const IGNORED: &str = "ignored";

/// The most rows of a case in text: 2^26.
const MOST_ROWS: usize = 1 << 26;

/// What is wrong with these classes of rows that have `all` logits together; none where nothing is.
pub(super) fn fault(classes: &[Option<usize>], all: usize) -> Option<String> {
    let rows = classes.len();
    if rows == 0 && all > 0 || rows > 0 && !all.is_multiple_of(rows) {
        return Some(format!("{all} logits are no {rows} rows of one length"));
    }
    let n = all.checked_div(rows).unwrap_or(0);
    let is_none = |&(_, class): &(usize, &Option<usize>)| class.is_some_and(|class| class >= n);
    let (row, class) = classes.iter().enumerate().find(is_none)?;
    let class = class.unwrap_or_default();
    Some(format!("target {class} of row {row} is no class of {n} logits; the classes are counted from 0"))
}

/// Makes rows of one length of what was changed: a class counts modulo their length, and in rows without a logit there is none.
pub(super) fn settle(classes: &mut [Option<usize>], logits: &mut Vec<f64>) {
    let n = logits.len().checked_div(classes.len()).unwrap_or(0);
    logits.truncate(n * classes.len());
    for class in classes {
        *class = class.and_then(|class| class.checked_rem(n));
    }
}

/// The case of the op `of` that each row is by itself, and none of one that is ignored. The inputs fit.
pub(super) fn of(of: Op, dtype: Dtype, logits: &Arc<[f64]>, others: &[Value]) -> Vec<Option<Case>> {
    let Some(Value::Indices(classes)) = others.first() else { return Vec::new() };
    let n = logits.len().checked_div(classes.len()).unwrap_or(0);
    let row = |(row, class): (usize, &Option<usize>)| {
        let other = |role: Role| match role {
            Role::Class => Value::Index(class.unwrap_or(0)),
            // Nothing is smoothed.
            _ => Value::Number(0.0),
        };
        let others = of.others().iter().map(|input| other(input.role)).collect();
        class.is_some().then(|| Case::assembled(of, dtype, logits[row * n..(row + 1) * n].into(), others))
    };
    classes.iter().enumerate().map(row).collect()
}

/// Reads the classes of rows, separated by commas or white space: whole numbers and `ignored`; `word*count` is a run.
///
/// # Errors
/// A word that is no class, or more than 2^26 rows in all.
pub(crate) fn parse_classes(words: &str) -> Result<Vec<Option<usize>>> {
    let mut classes = Vec::new();
    for word in words.split(|c: char| c == ',' || c.is_whitespace()).filter(|word| !word.is_empty()) {
        let (word, count) = run_of(word)?;
        let class = if word == IGNORED { None } else { Some(word.parse().map_err(|_| no_class(word))?) };
        if classes.len() + count > MOST_ROWS {
            return Err(Error::usage("more than 2^26 rows; a case in text has at most so many"));
        }
        classes.resize(classes.len() + count, class);
    }
    Ok(classes)
}

fn no_class(word: &str) -> Error {
    let word = outside::line(word, LONGEST_QUOTE);
    Error::usage(format!("target `{word}` is no class; write a whole number counted from 0, or `{IGNORED}`"))
}

/// Classes as text, runs of three or more equal ones as `word*count`.
pub(crate) fn classes_text(classes: &[Option<usize>]) -> String {
    let word = |class: &Option<usize>| class.map_or_else(|| IGNORED.to_owned(), |class| class.to_string());
    let of_run = |run: &[Option<usize>]| match run {
        [first, _, _, ..] => vec![format!("{}*{}", word(first), run.len())],
        _ => run.iter().map(word).collect(),
    };
    classes.chunk_by(|a, b| a == b).flat_map(of_run).collect::<Vec<String>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A row is the case that it is by itself, and one that is ignored is none.
    #[test]
    fn rows_are_cases() {
        let case = Case::parse("mean_cross_entropy f32 [1, 2, nan, 4, 5, 6] targets=[1, ignored, 0]").unwrap();
        let rows: Vec<Option<String>> =
            case.rows().iter().map(|row| row.as_ref().map(|row| format!("{row:#}"))).collect();
        let due =
            |row: &str, target: usize| Some(format!("cross_entropy f32 [{row}] target={target} label_smoothing=0"));
        assert_eq!(rows, [due("1, 2", 1), None, due("5, 6", 0)]);
        assert_eq!((case.row_len(), case.targets()), (2, Some(&[Some(1), None, Some(0)][..])));
    }

    #[test]
    fn what_was_changed_settles() {
        let mut logits = vec![1.0; 8];
        let mut classes = [Some(5), None, Some(1)];
        settle(&mut classes, &mut logits);
        assert_eq!((logits.len(), classes), (6, [Some(1), None, Some(1)]));
        logits.truncate(2);
        settle(&mut classes, &mut logits);
        assert_eq!((logits.len(), classes), (0, [None; 3]));
    }
}
