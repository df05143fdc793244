//! The oracle: the truth of a case, certified.
//!
//! A fixed precision is no oracle: with 256 bits, `z - LSE` gives 0 for the log-softmax of `[0, -200]`, whose truth is
//! -1.38e-87. Here every output is enclosed by bounds that are proven, and the precision rises until the enclosure decides the
//! rounding, the binade and the ulp figure (Ziv, "Fast evaluation of elementary mathematical functions with correctly rounded
//! last bit", 1991). Outputs that are rational are found beforehand and computed in rational arithmetic, or the loop would
//! never end. `question` lists the tiers of numbers in which a formula is evaluated (`tier`), from rational numbers over
//! double-double balls on 128-bit exponentials (`exp`) to intervals of big numbers (`crate::number`) from 128 to 4096 bits. What is still open then is
//! [`Due::Undecided`].
//!
//! Rows that are not finite have no single truth; `special` says what is accepted there.

use crate::case::{Case, Value};
use crate::fenv::Standard;
use crate::magnitude::Magnitude;
use crate::number::{Float, Rational, Round};
use crate::op::inputs::Element;
use crate::op::{Anatomy, Kind};
use crate::special::{RowClass, Special};
use question::Question;
use row::{MASKED, PRECISIONS, PreparedRow, Weight};
use std::collections::HashMap;
use std::sync::Arc;
use tier::exactly::Exactly;

mod ball;
mod double;
mod exp;
mod interval;
mod near;
mod prefix;
mod prepared;
mod question;
mod rounded;
mod row;
mod rows;
mod special;
mod tier;
mod wide;

pub(crate) use double::DoubleCase;
pub(crate) use near::{Near, NearCase, NearRow, SLACK, Sizes, exp, log1p};
pub use rounded::Rounded;
pub(crate) use rounded::SHOWN_BITS;
pub(crate) use special::without_smoothing;

/// The oracle. It keeps the last row, so cases of several ops on one row share one set of exponentials.
#[derive(Default)]
pub struct Oracle {
    row: Option<Arc<PreparedRow>>,
    near: Option<Arc<NearRow>>,
    is_asked_alone: bool,
}

/// The outputs of an ordinary case, each told when it is asked for.
pub(crate) struct Dues<'a> {
    question: Box<dyn Question + 'a>,
    shared: Shared<'a>,
    /// By group of equal logits where these are shared, else by output.
    known: Vec<Option<Due>>,
    /// Masked logits are in no group.
    masked: Option<Due>,
    /// By the bits of an element.
    of_elements: HashMap<(u64, u64), Due>,
}

/// Which outputs of a case are equal.
enum Shared<'a> {
    /// Those next to each other with equal inputs, of an op that takes more than a row.
    Next(&'a Case),
    /// Those of equal logits of this row, because the op adds nothing of its own to each.
    Row(Arc<PreparedRow>),
    /// Those of equal elements of this case.
    Elements(&'a Case),
}

impl<'a> Dues<'a> {
    fn new(case: &'a Case, row: Arc<PreparedRow>) -> Self {
        // Equal logits have other logits before them.
        let is_of_each = !case.op().is_scalar() && !case.op().is_of_prefixes();
        let is_shared = case.op().others().is_empty() && is_of_each && row.groups() < row.finite;
        let count = if is_shared { row.groups() } else { case.op().outputs(case.logits().len()) };
        let shared = if is_shared { Shared::Row(row.clone()) } else { Shared::Next(case) };
        Self::of(question::of(case, Some(row)), shared, count)
    }

    fn elements(case: &'a Case) -> Self {
        Self::of(question::of(case, None), Shared::Elements(case), 0)
    }

    fn mean(case: &'a Case) -> Self {
        Self::of(question::of(case, None), Shared::Next(case), case.op().outputs(case.logits().len()))
    }

    fn of(question: Box<dyn Question + 'a>, shared: Shared<'a>, count: usize) -> Self {
        Self { question, shared, known: vec![None; count], masked: None, of_elements: HashMap::new() }
    }

    /// What output `j` must be.
    pub fn get(&mut self, j: usize) -> &Due {
        let Self { question, shared, known, masked, of_elements } = self;
        let place = match shared {
            Shared::Elements(case) => {
                let Element { logit, other } = case.element(j);
                return of_elements.entry((logit.to_bits(), other.to_bits())).or_insert_with(|| question.due(j));
            }
            Shared::Next(case) => {
                // Flat rows are what long ones are shrunk to.
                if let Some(before) = j.checked_sub(1).filter(|&i| known[j].is_none() && have_one_answer(case, i, j)) {
                    known[j] = known[before].clone();
                }
                &mut known[j]
            }
            Shared::Row(row) if row.group[j] == MASKED => masked,
            Shared::Row(row) => &mut known[row.group[j] as usize],
        };
        place.get_or_insert_with(|| question.due(j))
    }
}

/// What an output must be.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Due {
    /// The rounding of an exact value, within the error bound.
    Value(Rounded),
    /// Exactly one of these (each value within its bound).
    OneOf(Vec<Accepted>),
    /// The oracle reached its precision cap.
    Undecided,
}

/// One of several accepted answers.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Accepted {
    /// NaN.
    Nan,
    /// This infinity.
    Infinity(f64),
    /// The rounding of this value.
    Value(Rounded),
    /// Any number from the first to the second, both included.
    Between(f64, f64),
}

/// The truth of a case: what each output must be.
#[derive(Debug, Clone, PartialEq)]
pub struct Truth {
    /// Usually one; where a row has several accepted answers as a whole, each of them, for all outputs. An answer passes if it
    /// passes one of them.
    pub alternatives: Vec<Vec<Due>>,
    /// Whether the outputs must also sum to 1 where they are numbers (softmax with several +inf).
    pub unit_sum: bool,
    /// The class of the row.
    pub class: RowClass,
    /// What the error bounds are computed from. At +inf it is that of the limit, where one logit has all the weight.
    pub anatomy: Arc<Anatomy>,
    /// The same of the target's logits, for the ops that take them.
    pub target_anatomy: Option<Arc<Anatomy>>,
    /// `|g_j - c|` for the products that need it, else empty; upper bounds.
    pub deviations: Vec<Magnitude>,
    /// Of a mean over rows the truth of each row by itself, and none of an ignored one; of any other op nothing.
    pub rows: Vec<Option<Truth>>,
}

/// An exact value in words.
#[derive(Debug, Clone, PartialEq)]
pub struct Exact {
    /// Significant decimal digits, `-1.38389652673673749870168797637e-87`; `0` for zero, `inf`, `-inf`, `nan`; or what is
    /// known of a number that no precision reaches, `(0, 1.22e-161614248)`.
    pub digits: String,
    /// The exact value rounded once to the dtype; NaN where NaN is due.
    pub rounded: f64,
}

impl Due {
    /// What an output must be that is known without any exponential; none if it is not.
    fn of(known: &Exactly, case: &Case) -> Option<Due> {
        let format = case.output_format();
        match known {
            Exactly::Unknown => None,
            Exactly::Infinite(sign) => Some(Due::infinity(f64::INFINITY.copysign(*sign))),
            Exactly::Number(x) => Some(Due::Value(Rounded::of_number(*x, format))),
            Exactly::Rational(value) => Some(Due::Value(Rounded::from_rational(value, format))),
        }
    }

    fn nan() -> Due {
        Due::OneOf(vec![Accepted::Nan])
    }

    fn infinity(x: f64) -> Due {
        Due::OneOf(vec![Accepted::Infinity(x)])
    }

    fn or(self, other: Accepted) -> Due {
        match self {
            Due::Value(rounded) => Due::OneOf(vec![Accepted::Value(rounded), other]),
            Due::OneOf(mut accepted) => {
                accepted.push(other);
                Due::OneOf(accepted)
            }
            Due::Undecided => Due::Undecided,
        }
    }
}

/// Whether two outputs next to each other are one number: their logits are equal, and what else they have; neither is the target. A prefix
/// has the sum of the one before it where nothing is added.
fn have_one_answer(case: &Case, i: usize, j: usize) -> bool {
    if case.op().is_of_prefixes() {
        return case.logits()[j] == f64::NEG_INFINITY;
    }
    let is_one = |values: &[f64]| values[i].to_bits() == values[j].to_bits();
    !case.op().is_scalar()
        && is_one(case.logits())
        && case.others().all(|(_, value)| match value {
            Value::Row(values) => is_one(values),
            Value::Index(class) => ![i, j].contains(class),
            // They may be of two rows.
            Value::Indices(_) => false,
            Value::Number(_) => true,
        })
}

impl Oracle {
    /// An oracle.
    pub fn new() -> Self {
        Self::default()
    }

    /// One that no plain numbers go before: it is asked about every output.
    pub(crate) fn asked_alone() -> Self {
        Self { is_asked_alone: true, ..Self::default() }
    }

    /// What each output of the case must be. For ordinary rows the preset of special values makes no difference,
    /// unless a label smoothing vanishes that masked classes make infinite; for elements, where frameworks multiply 0 and infinity.
    pub fn truth(&mut self, case: &Case, special: Special) -> Truth {
        let _standard = Standard::enter();
        let class = RowClass::of_case(case);
        if case.op().mean_of().is_some() {
            return rows::truth(self, case, class, special);
        }
        if !class.is_ordinary() {
            return special::truth(case, class, special);
        }
        if case.op().is_elementwise() {
            return elements(case, special);
        }
        let row = self.row(case);
        let due = |case: &Case| -> Vec<Due> {
            let mut dues = Dues::new(case, row.clone());
            (0..case.op().outputs(case.logits().len())).map(|j| dues.get(j).clone()).collect()
        };
        let mut alternatives = vec![due(case)];
        if special == Special::Framework && special::smoothing_vanishes(case) {
            alternatives.extend(special::of_vanished_smoothing(case, class, due));
        }
        if special == Special::Framework && special::masks_what_may_be_lost(case) {
            alternatives.extend(special::of_lost_classes(case, due));
        }
        if special == Special::Framework && special::masks_what_is_not_finite(case) {
            alternatives.push(vec![Due::nan(); case.op().outputs(case.logits().len())]);
        }
        let dues = Dues::new(case, row.clone());
        let uses_deviations = case.op().row().is_some_and(|facts| facts.uses_deviations);
        let each = if uses_deviations { 0..case.logits().len() } else { 0..0 };
        let deviations = each.map(|j| dues.question.deviation(j)).collect();
        let target = case.shared_target_logits().map(|logits| PreparedRow::new(row.dtype, logits.clone()));
        let target_anatomy = target.map(|target| target.anatomy().clone());
        Truth {
            alternatives,
            unit_sum: false,
            class,
            anatomy: row.anatomy().clone(),
            target_anatomy,
            deviations,
            rows: Vec::new(),
        }
    }

    /// Every output of the case in words, with that many significant decimal digits, rounded to nearest. Where several answers
    /// are accepted, the limit if there is one, else the first.
    pub fn describe(&mut self, case: &Case, special: Special, digits: usize) -> Vec<Exact> {
        let _standard = Standard::enter();
        let truth = self.truth(case, special);
        let outputs = truth.alternatives.first().map_or(&[][..], Vec::as_slice);
        let described = Described::new(self, case, truth.class);
        outputs.iter().enumerate().map(|(j, due)| described.output(j, due, digits)).collect()
    }

    /// The same of one output; none where the case has no such output.
    pub fn describe_output(&mut self, case: &Case, special: Special, digits: usize, j: usize) -> Option<Exact> {
        let _standard = Standard::enter();
        let class = RowClass::of_case(case);
        let due = match class.is_ordinary() {
            _ if j >= case.op().outputs(case.logits().len()) => return None,
            true => self.dues(case).get(j).clone(),
            false if case.op().mean_of().is_some() => self.truth(case, special).alternatives.first()?.get(j)?.clone(),
            false => special::truth(case, class, special).alternatives.first()?.get(j)?.clone(),
        };
        Some(Described::new(self, case, class).output(j, &due, digits))
    }

    /// The outputs of an ordinary case, one by one.
    pub(crate) fn dues<'a>(&mut self, case: &'a Case) -> Dues<'a> {
        let _standard = Standard::enter();
        match &case.op().facts().kind {
            Kind::Elements(_) => Dues::elements(case),
            Kind::Mean(_) => Dues::mean(case),
            Kind::Row(_) => Dues::new(case, self.row(case)),
        }
    }

    /// The case in plain numbers, on the last row, if it is the same; none where they are not enough.
    pub(crate) fn near(&mut self, case: &Case, class: RowClass) -> Option<NearCase> {
        // Where several answers are accepted, the truth itself is needed.
        let has_several = special::smoothing_vanishes(case)
            || special::masks_what_is_not_finite(case)
            || special::masks_what_may_be_lost(case)
            || special::may_be_nan(case).any(|may_be| may_be);
        if self.is_asked_alone || !NearCase::takes(class) || has_several {
            return None;
        }
        let _standard = Standard::enter();
        let has_own_row = case.op().is_elementwise() || case.scale().is_some() || case.op().mean_of().is_some();
        if has_own_row || NearCase::is_wide(case) {
            return NearCase::of(case, class);
        }
        self.near = self.near.take().filter(|row| row.is_of(case.shared_logits()));
        let row = self.near.get_or_insert_with(|| Arc::new(NearRow::new(case.shared_logits().clone())));
        Some(NearCase::on(row.clone(), case, class))
    }

    /// The prepared row of a case: the last one, if it is the same.
    fn row(&mut self, case: &Case) -> Arc<PreparedRow> {
        // A row of products is that of one case.
        if case.scale().is_some() {
            return Arc::new(PreparedRow::of(case));
        }
        let same = self
            .row
            .as_ref()
            .is_some_and(|row| Arc::ptr_eq(&row.logits, case.shared_logits()) && row.dtype == case.dtype().output());
        if !same {
            self.row = None;
        }
        let row = || Arc::new(PreparedRow::of(case));
        self.row.get_or_insert_with(row).clone()
    }
}

/// A case whose outputs are told in words.
struct Described<'a> {
    case: &'a Case,
    /// Of an ordinary row, or of the part of any that is.
    question: Option<Box<dyn Question + 'a>>,
    /// The outputs that it tells.
    asked: usize,
    limits: special::LimitOutputs,
}

impl<'a> Described<'a> {
    fn new(oracle: &mut Oracle, case: &'a Case, class: RowClass) -> Self {
        let limits = special::LimitOutputs::new(case, class);
        if let Some((row, asked)) = special::ordinary_prefixes(case).filter(|_| !class.is_ordinary()) {
            return Self { case, question: Some(question::of(case, Some(row))), asked, limits };
        }
        let row = (class.is_ordinary() && case.op().row().is_some()).then(|| oracle.row(case));
        // A row that is not ordinary leaves the outputs of the others what they are.
        let question = (class.is_ordinary() || case.op().mean_of().is_some()).then(|| question::of(case, row));
        Self { case, question, asked: usize::MAX, limits }
    }

    fn output(&self, j: usize, due: &Due, digits: usize) -> Exact {
        let Self { case, question, limits, asked } = self;
        let question = question.as_ref().filter(|_| j < *asked);
        let known = question.map_or_else(|| limits.exactly(j), |question| question.exactly(j));
        match (&known, known.to_rational(), due, question) {
            (Exactly::Infinite(sign), ..) => Exact {
                digits: if *sign > 0.0 { "inf".into() } else { "-inf".into() },
                rounded: f64::INFINITY.copysign(*sign),
            },
            (_, Some(value), ..) => {
                let rounded = Rounded::from_rational(&value, case.output_format()).rounded;
                Exact { digits: decimal_of(&value, digits), rounded }
            }
            (_, None, Due::Value(value), Some(question)) => {
                Exact { digits: describe_value(question.as_ref(), j, digits), rounded: value.rounded }
            }
            (_, None, Due::OneOf(accepted), Some(question)) if let [Accepted::Value(value), ..] = accepted[..] => {
                Exact { digits: describe_value(question.as_ref(), j, digits), rounded: value.rounded }
            }
            (_, None, Due::OneOf(accepted), _) => describe_accepted(accepted),
            _ => Exact { digits: "undecided".into(), rounded: f64::NAN },
        }
    }
}

/// The anatomy of a row that is not finite: the +inf logit, if there is one, has all the weight.
fn anatomy_of_limit(logits: &[f64], class: RowClass) -> Anatomy {
    let is_top = |z: f64| class == RowClass::OneInfinite && z == f64::INFINITY;
    let weights = logits.iter().map(|&z| if is_top(z) { Magnitude::from(1.0) } else { Magnitude::ZERO }).collect();
    Anatomy { max: f64::INFINITY, weights, total: 1.0, others: Magnitude::ZERO, log_total: Magnitude::ZERO }
}

/// The truth of a case of an elementwise op: equal elements have equal outputs.
fn elements(case: &Case, special: Special) -> Truth {
    let mut dues = Dues::elements(case);
    let mut outputs: Vec<Due> = (0..case.logits().len()).map(|j| dues.get(j).clone()).collect();
    if special == Special::Framework {
        let may_be_nan = special::may_be_nan(case).enumerate().filter(|(_, may_be)| *may_be);
        may_be_nan.for_each(|(j, _)| outputs[j] = outputs[j].clone().or(Accepted::Nan));
    }
    // The exponential that the bounds need of an element.
    let Kind::Elements(facts) = &case.op().facts().kind else { unreachable!("{} is made of the whole row", case.op()) };
    let weight = |element: Element| match (element.is_finite(), (facts.difference)(element)) {
        (true, (x, y)) => Weight::of_difference(x, y, case.dtype()).magnitude,
        (false, _) => Magnitude::ZERO,
    };
    let weights = case.elements().map(weight).collect();
    let anatomy = Anatomy { max: 0.0, weights, total: 1.0, others: Magnitude::ZERO, log_total: Magnitude::ZERO };
    let class = RowClass::Elements;
    Truth {
        alternatives: vec![outputs],
        unit_sum: false,
        class,
        anatomy: Arc::new(anatomy),
        target_anatomy: None,
        deviations: Vec::new(),
        rows: Vec::new(),
    }
}

/// The digits of output `j`, from the first interval that decides them.
fn describe_value(question: &dyn Question, j: usize, digits: usize) -> String {
    let mut last = None;
    for index in 0..PRECISIONS.len() {
        let interval = question.interval(j, index);
        // The interval is open: its ends are not in it, and may lie on a decimal tie that the value does not.
        let inside = |end: &Float, step: fn(&mut Float)| {
            let mut end = Float::with_val(end.prec() + 64, end);
            step(&mut end);
            end
        };
        let low = decimal_of_float(&inside(&interval.low, Float::next_up), digits);
        let high = decimal_of_float(&inside(&interval.high, Float::next_down), digits);
        if low == high {
            return low;
        }
        // What no precision reaches is told by where it lies.
        let coarse = |end: &Float| decimal_of_float(end, 3);
        last = Some((coarse(&interval.low), coarse(&interval.high)));
    }
    last.map_or_else(|| "undecided".into(), |(low, high)| format!("({low}, {high})"))
}

fn describe_accepted(accepted: &[Accepted]) -> Exact {
    let (digits, rounded) = match accepted.first() {
        Some(Accepted::Between(low, high)) => (format!("[{low}, {high}]"), f64::NAN),
        Some(Accepted::Infinity(x)) => (if *x > 0.0 { "inf".into() } else { "-inf".into() }, *x),
        _ => ("nan".into(), f64::NAN),
    };
    Exact { digits, rounded }
}

/// A rational number to that many significant digits, rounded to nearest.
fn decimal_of(value: &Rational, digits: usize) -> String {
    for bits in PRECISIONS {
        let (low, from_low) = Float::with_val_round(bits, value, Round::Down);
        if from_low == std::cmp::Ordering::Equal {
            return decimal_of_float(&low, digits);
        }
        let high = Float::with_val_round(bits, value, Round::Up).0;
        let (low, high) = (decimal_of_float(&low, digits), decimal_of_float(&high, digits));
        if low == high {
            return low;
        }
    }
    decimal_of_float(&Float::with_val(PRECISIONS[PRECISIONS.len() - 1], value), digits)
}

fn decimal_of_float(value: &Float, digits: usize) -> String {
    let (negative, text, exponent) = value.to_sign_string_exp_round(10, Some(digits), Round::Nearest);
    let Some(exponent) = exponent else {
        return "0".into();
    };
    let sign = if negative { "-" } else { "" };
    format!("{sign}{}.{}e{}", &text[..1], &text[1..], exponent - 1)
}
