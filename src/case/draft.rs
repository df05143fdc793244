//! A case taken apart, to be changed and put together again: the one set of edits for whoever makes a case from another. The reducer
//! drops and simplifies, mutation and crossover move and insert, relations and consistency reverse and append, diagnosis asks what
//! another form of a row does.

use super::{Case, Value, distribution, rows};
use crate::dtype::Dtype;
use crate::error::Result;
use crate::op::Op;
use crate::op::signature::{Extent, Input, Role};
use std::sync::Arc;

/// A case whose inputs can be changed. It need not be valid until it is made into a case.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Draft {
    pub op: Op,
    pub dtype: Dtype,
    pub logits: Vec<f64>,
    /// What the op takes besides, in the order of its signature.
    pub others: Vec<DraftValue>,
}

/// A [`Value`] that can be changed.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum DraftValue {
    Row(Vec<f64>),
    Number(f64),
    Index(usize),
    Indices(Vec<Option<usize>>),
}

impl DraftValue {
    /// A value, to be changed.
    pub fn of(value: &Value) -> Self {
        match value {
            Value::Row(values) => Self::Row(values.to_vec()),
            Value::Number(x) => Self::Number(*x),
            Value::Index(index) => Self::Index(*index),
            Value::Indices(classes) => Self::Indices(classes.to_vec()),
        }
    }
}

impl Draft {
    /// The parts of a case.
    pub fn of(case: &Case) -> Self {
        let others = case.others.iter().map(DraftValue::of).collect();
        Self { op: case.op, dtype: case.dtype, logits: case.logits.to_vec(), others }
    }

    /// The case of these parts.
    ///
    /// # Errors
    /// What [`Case::new`] refuses.
    pub fn into_case(self) -> Result<Case> {
        let value = |part: DraftValue| match part {
            DraftValue::Row(values) => Value::Row(values.into()),
            DraftValue::Number(x) => Value::Number(x),
            DraftValue::Index(index) => Value::Index(index),
            DraftValue::Indices(classes) => Value::Indices(classes.into()),
        };
        let logits: Arc<[f64]> = self.logits.into();
        Case::new(self.op, self.dtype, logits, self.others.into_iter().map(value).collect::<Vec<Value>>())
    }

    /// The number of logits.
    pub fn len(&self) -> usize {
        self.logits.len()
    }

    /// The rows: the logits, then each other row.
    pub fn rows(&self) -> impl Iterator<Item = &Vec<f64>> {
        let others =
            self.others.iter().filter_map(|part| if let DraftValue::Row(values) = part { Some(values) } else { None });
        std::iter::once(&self.logits).chain(others)
    }

    /// The same, to be changed.
    pub fn rows_mut(&mut self) -> impl Iterator<Item = &mut Vec<f64>> {
        let others = self
            .others
            .iter_mut()
            .filter_map(|part| if let DraftValue::Row(values) = part { Some(values) } else { None });
        std::iter::once(&mut self.logits).chain(others)
    }

    /// The single numbers.
    pub fn numbers(&self) -> impl Iterator<Item = f64> {
        self.others.iter().filter_map(|part| if let DraftValue::Number(x) = part { Some(*x) } else { None })
    }

    /// The true class, if the op takes one.
    pub fn class(&self) -> Option<usize> {
        self.others.iter().find_map(|part| if let DraftValue::Index(index) = part { Some(*index) } else { None })
    }

    /// The same, to be changed.
    pub fn class_mut(&mut self) -> Option<&mut usize> {
        self.others.iter_mut().find_map(|part| if let DraftValue::Index(index) = part { Some(index) } else { None })
    }

    /// The values of the input with this role, if the op takes one.
    pub fn part_mut(&mut self, role: Role) -> Option<&mut DraftValue> {
        let place = self.op.others().iter().position(|input| input.role == role)?;
        self.others.get_mut(place)
    }

    /// The row that the op takes besides the logits, if it takes one.
    pub fn other_row_mut(&mut self) -> Option<&mut Vec<f64>> {
        self.others.iter_mut().find_map(|part| if let DraftValue::Row(values) = part { Some(values) } else { None })
    }

    /// Every value that can be changed by itself: the rows, then the single numbers.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut f64> {
        let (mut rows, mut numbers): (Vec<&mut [f64]>, Vec<&mut f64>) = (vec![&mut self.logits], Vec::new());
        for part in &mut self.others {
            match part {
                DraftValue::Row(values) => rows.push(values),
                DraftValue::Number(x) => numbers.push(x),
                DraftValue::Index(_) | DraftValue::Indices(_) => {}
            }
        }
        rows.into_iter().flatten().chain(numbers)
    }

    /// The masses, if the op takes a distribution.
    pub fn masses(&self) -> Option<&[f64]> {
        let place = self.op.others().iter().position(|input| input.role == Role::Distribution)?;
        if let DraftValue::Row(masses) = self.others.get(place)? { Some(masses) } else { None }
    }

    /// The same, to be changed; empty where the op takes no distribution. What they sum to is put right by [`Draft::settle`].
    pub fn masses_mut(&mut self) -> &mut [f64] {
        match self.part_mut(Role::Distribution) {
            Some(DraftValue::Row(masses)) => masses,
            _ => &mut [],
        }
    }

    /// The classes of several rows, if the op takes them.
    pub fn classes(&self) -> Option<&[Option<usize>]> {
        self.others
            .iter()
            .find_map(|part| if let DraftValue::Indices(classes) = part { Some(&classes[..]) } else { None })
    }

    /// The same, to be changed.
    pub fn classes_mut(&mut self) -> Option<&mut Vec<Option<usize>>> {
        self.others
            .iter_mut()
            .find_map(|part| if let DraftValue::Indices(classes) = part { Some(classes) } else { None })
    }

    /// Makes a case of what was changed. The masses become a distribution again: what a class has that is gone goes to the one that has
    /// most. Several rows become as long as one another: what is left over behind them goes, and a class counts modulo their length.
    pub fn settle(&mut self) {
        let dtype = self.dtype;
        distribution::settle(dtype, self.masses_mut());
        let mut logits = std::mem::take(&mut self.logits);
        if let Some(classes) = self.classes_mut() {
            rows::settle(classes, &mut logits);
        }
        self.logits = logits;
    }

    /// The draft with these of its rows only, and these of their logits, each in that order; none of an op that takes one row, and none if
    /// a true class is not among them.
    pub fn select_rows(&self, rows: &[usize], columns: &[usize]) -> Option<Draft> {
        let classes = self.classes()?;
        let n = self.len() / classes.len().max(1);
        let class = |row: usize| match classes[row] {
            None => Some(None),
            Some(class) => columns.iter().position(|&column| column == class).map(Some),
        };
        let kept: Vec<Option<usize>> = rows.iter().map(|&row| class(row)).collect::<Option<_>>()?;
        let mut selected = self.clone();
        selected.logits = rows.iter().flat_map(|row| columns.iter().map(move |j| self.logits[row * n + j])).collect();
        *selected.classes_mut()? = kept;
        Some(selected)
    }

    /// The draft as an op takes it: what has a role in both stays, and any other input of the op is zero.
    pub fn taken_by(mut self, op: Op) -> Self {
        let len = self.len();
        let zero = |role: Role| match role.extent() {
            Extent::Row => DraftValue::Row(vec![0.0; len]),
            Extent::Number => DraftValue::Number(0.0),
            Extent::Index => DraftValue::Index(0),
            // One row, of which nothing is asked where it has no class.
            Extent::Indices => DraftValue::Indices(vec![(len > 0).then_some(0)]),
        };
        let part = |input: &Input| self.part_mut(input.role).map_or_else(|| zero(input.role), |part| part.clone());
        let others = op.others().iter().map(part).collect();
        let mut taken = Self { op, others, ..self };
        taken.settle();
        taken
    }

    /// Makes the rows those of the terms at `indices`, in that order; the true class stays the place that it is. The mass of a class that
    /// is left out goes to the one that has most.
    pub fn take(&mut self, indices: &[usize]) {
        self.rows_mut().for_each(|row| *row = indices.iter().filter_map(|&index| row.get(index).copied()).collect());
        self.settle();
    }

    /// The draft with the logits at `indices` only, in that order, and with them their values of every other row; none if the true
    /// class is not among them, and none of an op that takes several rows ([`Draft::select_rows`]).
    pub fn select(&self, indices: &[usize]) -> Option<Draft> {
        if self.classes().is_some() {
            return None;
        }
        let mut selected = self.clone();
        selected.take(indices);
        if let Some(class) = selected.class_mut() {
            *class = indices.iter().position(|index| index == class)?;
        }
        Some(selected)
    }

    /// Puts `count` logits of this value at a place, with zeros in every other row; the true class stays where it is.
    pub fn insert(&mut self, at: usize, count: usize, logit: f64) {
        let mut value = logit;
        for row in self.rows_mut() {
            row.splice(at..at, std::iter::repeat_n(value, count));
            value = 0.0;
        }
        if let Some(class) = self.class_mut()
            && *class >= at
        {
            *class += count;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draft(text: &str) -> Draft {
        Draft::of(&Case::parse(text).unwrap())
    }

    #[test]
    fn a_draft_is_its_case() {
        for text in [
            "softmax f32 []",
            "cross_entropy f16 [0x1p+0, -inf] target=1 label_smoothing=0x1p-3",
            "softmax_vjp f64 [0x1p+0, 0x1p+1] cotangent=[0x1p+0, 0x0p+0]",
        ] {
            assert_eq!(draft(text).into_case().unwrap().to_string(), text);
        }
    }

    #[test]
    fn a_selection_takes_all_rows_with_it_and_keeps_the_class() {
        let picked = draft("softmax_jvp f64 [1, 2, 3] tangent=[4, 5, 6]").select(&[2, 0]).unwrap();
        assert_eq!(picked.into_case().unwrap(), Case::parse("softmax_jvp f64 [3, 1] tangent=[6, 4]").unwrap());
        let loss = draft("cross_entropy f64 [1, 2, 3] target=0 label_smoothing=0.5");
        assert_eq!(loss.select(&[2, 0]).unwrap().class(), Some(1));
        assert_eq!(loss.select(&[1, 2]), None);
        let soft = draft("soft_cross_entropy f64 [1, 2, 3, 4] distribution=[0.125, 0.25, 0.625, 0]");
        for (kept, due) in [
            (&[1, 0, 2][..], "soft_cross_entropy f64 [2, 1, 3] distribution=[0.25, 0.125, 0.625]"),
            // What the third had goes to the second.
            (&[0, 1], "soft_cross_entropy f64 [1, 2] distribution=[0.125, 0.875]"),
            (&[3], "soft_cross_entropy f64 [4] distribution=[1]"),
        ] {
            assert_eq!(soft.select(kept).unwrap().into_case().unwrap(), Case::parse(due).unwrap());
        }
    }

    #[test]
    fn masses_settle_when_they_are_changed() {
        let mut soft = draft("soft_cross_entropy f64 [1, 2, 3] distribution=[0.125, 0.25, 0.625]");
        assert_eq!(soft.masses(), Some(&[0.125, 0.25, 0.625][..]));
        soft.masses_mut()[2] = 0.0;
        soft.settle();
        assert_eq!(soft.masses(), Some(&[0.125, 0.875, 0.0][..]));
        // An op that has none gets one, and one that had one loses it.
        let plain = draft("softmax f64 [1, 2]").taken_by(Op::SOFT_CROSS_ENTROPY_GRAD);
        assert_eq!(plain.masses(), Some(&[1.0, 0.0][..]));
        assert_eq!(soft.taken_by(Op::SOFTMAX).masses(), None);
    }

    #[test]
    fn what_is_inserted_moves_the_class_behind_it() {
        let mut loss = draft("cross_entropy f64 [1, 2] target=1 label_smoothing=0");
        loss.insert(2, 1, f64::NEG_INFINITY);
        loss.insert(0, 2, 7.0);
        let due = "cross_entropy f64 [7, 7, 1, 2, -inf] target=3 label_smoothing=0";
        assert_eq!(loss.into_case().unwrap(), Case::parse(due).unwrap());
        let mut soft = draft("soft_cross_entropy f64 [1] distribution=[1]");
        soft.insert(0, 1, 5.0);
        let due = "soft_cross_entropy f64 [5, 1] distribution=[0, 1]";
        assert_eq!(soft.into_case().unwrap(), Case::parse(due).unwrap());
        let mut product = draft("softmax_vjp f64 [1] cotangent=[2]");
        product.insert(0, 1, 5.0);
        assert_eq!(product.into_case().unwrap(), Case::parse("softmax_vjp f64 [5, 1] cotangent=[0, 2]").unwrap());
    }

    #[test]
    fn every_value_is_reached() {
        let mut loss = draft("cross_entropy f64 [1, 2] target=1 label_smoothing=0.5");
        loss.values_mut().for_each(|x| *x *= 0.5);
        assert_eq!((loss.logits, loss.others[1].clone()), (vec![0.5, 1.0], DraftValue::Number(0.25)));
    }
}
