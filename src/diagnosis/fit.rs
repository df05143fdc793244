//! Fitting: a kernel that errs as a planted defect does may have another number in it, or compute in another type. Which number is found
//! from what the kernel answers on the failing case, or from where along a row of one number its outputs go wrong.

use super::battery::others;
use crate::case::Case;
use crate::dtype::{Dtype, Format};
use crate::kernel::builtin::parameter::Parameter;
use crate::kernel::builtin::{self, Beside, Builtin, Changes};
use crate::kernel::{Claims, Kernel, Outcome, accepts};
use crate::op::Op;
use crate::trial::Trial;
use std::cell::RefCell;

/// A guess at what a kernel does: a built-in kernel, with a number of its own or in a type of its own.
#[derive(Clone, Copy)]
pub(super) struct Hypothesis {
    pub kernel: &'static Builtin,
    /// The value of its parameter, where that is not the one of the registry.
    pub value: Option<f64>,
    /// Whether that value is a usual one and others near it were not tried.
    pub is_about: bool,
    /// The type that it computes in, where that is another one.
    pub inside: Option<Dtype>,
    /// What it does besides.
    pub beside: Option<Beside>,
}

impl Hypothesis {
    /// The kernel as it is in the registry.
    pub fn plain(kernel: &'static Builtin) -> Self {
        Self { kernel, value: None, is_about: false, inside: None, beside: None }
    }

    /// Nothing but what is done besides.
    pub fn alone(beside: Beside) -> Option<Self> {
        let (kernel, value) = beside.alone()?;
        Some(Self { value: Some(value), ..Self::plain(kernel) })
    }

    /// What it does besides, as a hypothesis of its own.
    pub fn second(&self) -> Option<Self> {
        Self::alone(self.beside?)
    }

    /// The classes of what is wrong with it.
    pub fn classes(&self) -> Vec<&'static str> {
        let of = |one: &Self| one.kernel.mechanism().map(|defect| defect.class);
        of(self).into_iter().chain(self.second().as_ref().and_then(of)).collect()
    }

    /// Whether its value was found from what the kernel answers, and not taken from a list.
    pub fn is_found(&self) -> bool {
        self.value.is_some()
            && !self.is_about
            && self.kernel.parameter().is_some_and(|parameter| parameter.is_continuous)
    }

    /// Whether it is the textbook itself, and nothing but the type or what is claimed of it is wrong.
    pub fn is_textbook(&self) -> bool {
        let name = self.kernel.name();
        name == builtin::NARROW_THROUGHOUT || (name == builtin::LOG_OF_ONE_PLUS && self.inside.is_none())
    }

    /// What sets it apart from the kernel of the registry, in words; none where nothing does.
    pub fn difference(&self) -> Option<String> {
        // What is planted is told in the summary.
        let default = |parameter: &Parameter| self.kernel.defect().is_none().then_some(parameter.default);
        let value = self.kernel.parameter().and_then(|parameter| {
            let value = self.value.or_else(|| default(parameter))?;
            Some(parameter.say(value, self.is_about))
        });
        let inside = self.inside.map(|dtype| format!("{dtype} inside"));
        match (value, inside) {
            (Some(value), Some(inside)) => Some(format!("{value} and {inside}")),
            (value, inside) => value.or(inside),
        }
    }

    /// Its name, and what sets it apart: `defect/max-starts-at-zero, with the start -42`; and the same of what it does besides.
    pub fn title(&self) -> String {
        let difference = self.difference().map_or_else(String::new, |words| format!(", with {words}"));
        let second = self.second().map_or_else(String::new, |second| format!(" and {}", second.title()));
        format!("{}{difference}{second}", self.kernel.name())
    }
}

impl Kernel for Hypothesis {
    fn name(&self) -> &str {
        self.kernel.name()
    }

    fn supports(&self, op: Op, dtype: Dtype) -> bool {
        self.kernel.computes(op, dtype)
    }

    fn claims(&self, op: Op, dtype: Dtype) -> Claims {
        self.kernel.claims(op, dtype)
    }

    fn run(&self, case: &Case) -> Outcome {
        self.kernel.run_as(case, &Changes { inside: self.inside, value: self.value, beside: self.beside })
    }
}

/// The types that a hypothesis is tried in besides its own: f64 where that is wider, the half dtype that the row is stored in. The narrow
/// ones for a kernel that is nothing but narrow.
pub(super) fn insides(kernel: &Builtin, dtype: Dtype) -> Vec<Option<Dtype>> {
    let narrower: &[Dtype] = match dtype.output() {
        Dtype::F32 => &[Dtype::F16, Dtype::Bf16],
        Dtype::F64 => &[Dtype::F32],
        _ => &[],
    };
    let narrower = narrower.iter().filter(|_| kernel.name() == builtin::NARROW_THROUGHOUT);
    // A sum in f32 is narrow beside f64 alone, and what it lacks then is log1p.
    let wide = (dtype != Dtype::F64 && kernel.name() != builtin::HALF_SUM).then_some(Dtype::F64);
    let own = (dtype.bytes() == 2).then_some(dtype.input());
    [None].into_iter().chain(wide.into_iter().chain(own).chain(narrower.copied()).map(Some)).collect()
}

/// Steps by which a value is found between two others, and as many again by which its digits are.
const STEPS: usize = 60;

/// What the kernel answered on the failing case, and how the values of a parameter are found from it.
pub(super) struct Fit<'a> {
    pub kernel: &'a dyn Kernel,
    pub case: &'a Case,
    /// Its outputs there.
    pub outputs: &'a [f64],
    /// The output that decides: a failing one.
    pub place: usize,
    /// A correct kernel of the op.
    pub right: &'static Builtin,
    /// Where the kernel's outputs go wrong along rows, as far as it was asked: it may be slow.
    pub onsets: RefCell<Vec<Onset>>,
}

/// Rows of one number.
type Rows = fn(f64) -> Vec<f64>;

/// Where a kernel's outputs go wrong along rows, sought with the usual values of a parameter.
type Onset = (Rows, &'static [f64], Option<f64>);

impl Fit<'_> {
    /// How often [`Fit::candidates`] runs a hypothesis on the failing case, and those that it gives are run on it, at most.
    pub fn price(kernel: &Builtin) -> usize {
        kernel.parameter().map_or(1, |parameter| match parameter.is_continuous {
            true => 2 * (parameter.usual.len() + STEPS),
            false => 1 + parameter.usual.len(),
        })
    }

    /// The values of a hypothesis's parameter that are worth a try, best first: the usual ones, what lies between two of these where the
    /// deciding output passes the kernel's, and what the rows of the parameter say. One without a value where it has no parameter.
    pub fn candidates(&self, hypothesis: Hypothesis, is_plain_too: bool) -> Vec<Hypothesis> {
        let mut found: Vec<Hypothesis> = is_plain_too.then_some(hypothesis).into_iter().collect();
        let Some(parameter) = hypothesis.kernel.parameter() else { return found };
        let with = |value: f64| Hypothesis { value: Some(value), is_about: false, ..hypothesis };
        if parameter.is_continuous {
            found.extend(self.along(hypothesis, parameter).map(with));
            found.extend(self.between(hypothesis, parameter).map(with));
        }
        let others = parameter.usual.iter().copied().filter(|&value| value != parameter.default);
        found.extend(others.map(|value| Hypothesis { is_about: parameter.is_continuous, ..with(value) }));
        found
    }

    /// A hypothesis with the value that this case says; none where it says none.
    pub fn refitted(&self, hypothesis: Hypothesis) -> Option<Hypothesis> {
        let value = self.between(hypothesis, hypothesis.kernel.parameter()?)?;
        Some(Hypothesis { value: Some(value), is_about: false, ..hypothesis })
    }

    /// The value between two usual ones at which the deciding output is that of the kernel.
    fn between(&self, hypothesis: Hypothesis, parameter: &Parameter) -> Option<f64> {
        const NEAR: f64 = 1e-3;
        let wanted = self.outputs[self.place];
        if !wanted.is_finite() {
            return None;
        }
        let excess = |value: f64| {
            let outputs = run(&Hypothesis { value: Some(value), ..hypothesis }, self.case)?;
            outputs.get(self.place).map(|got| got - wanted).filter(|excess| excess.is_finite())
        };
        let known: Vec<(f64, f64)> =
            parameter.usual.iter().filter_map(|&value| Some((value, excess(value)?))).collect();
        let pair = known.windows(2).find(|pair| (pair[0].1 < 0.0) != (pair[1].1 < 0.0))?;
        let (mut low, mut high, below) = (pair[0].0, pair[1].0, pair[0].1 < 0.0);
        for _ in 0..STEPS {
            let middle = low + (high - low) / 2.0;
            match excess(middle) {
                Some(excess) if (excess < 0.0) == below => low = middle,
                Some(_) => high = middle,
                None => return None,
            }
        }
        // Of the values that give as near an output, the one that is written with the fewest digits.
        let best = excess(low).into_iter().chain(excess(high)).map(f64::abs).fold(f64::INFINITY, f64::min);
        let ulps = 4.0 * step(self.case.output_format(), wanted);
        // A jump past the kernel's output says nothing.
        if best > NEAR * wanted.abs() + ulps {
            return None;
        }
        let slack = 2.0 * best + ulps;
        Some(shortest(low, |value| excess(value).is_some_and(|excess| excess.abs() <= slack)))
    }

    /// The value by which the outputs go wrong where those of the kernel do, along the rows of the parameter.
    fn along(&self, hypothesis: Hypothesis, parameter: &Parameter) -> Option<f64> {
        let row = parameter.along?;
        let (least, largest) = (*parameter.usual.first()?, *parameter.usual.last()?);
        let ours = self.own_onset(row, parameter)?;
        // The usual value that is nearest, relative to which the one that is looked for has the fewest digits to lose.
        let distance = |value: &f64| (value - ours).abs();
        let near = *parameter.usual.iter().min_by(|a, b| distance(a).total_cmp(&distance(b)))?;
        let theirs = self.onset(&Hypothesis { value: Some(near), ..hypothesis }, row, parameter)?;
        let value = near + (ours - theirs);
        let format = self.case.dtype().format();
        let slack = 4.0 * (step(format, ours) + step(format, theirs));
        (least..=largest).contains(&value).then(|| shortest(value, |other| (other - value).abs() <= slack))
    }

    /// [`Fit::onset`] of the kernel.
    fn own_onset(&self, row: Rows, parameter: &Parameter) -> Option<f64> {
        let is_known = |known: &&Onset| std::ptr::fn_addr_eq(known.0, row) && known.1 == parameter.usual;
        let known = self.onsets.borrow().iter().find(is_known).map(|known| known.2);
        known.unwrap_or_else(|| {
            let onset = self.onset(self.kernel, row, parameter);
            self.onsets.borrow_mut().push((row, parameter.usual, onset));
            onset
        })
    }

    /// The largest number whose row a kernel answers wrong, where it answers rows of larger ones right. Those of the least numbers may be
    /// right again, where what is due is 0: then it is above a usual value whose row is wrong.
    fn onset(&self, kernel: &dyn Kernel, row: Rows, parameter: &Parameter) -> Option<f64> {
        /// Above what any parameter starts from.
        const TOP: f64 = 1e3;
        let (op, dtype) = (self.case.op(), self.case.dtype());
        let format = dtype.format();
        let is_wrong = |number: f64| {
            let logits = row(number);
            let others = others(op, dtype, &logits, 0);
            let case = Case::new(op, dtype, logits, others).ok()?;
            if !accepts(kernel, &case) {
                return None;
            }
            let (got, right) = (run(kernel, &case)?, run(self.right, &case)?);
            Some(got.len() != right.len() || got.iter().zip(&right).any(|(a, b)| !is_close(*a, *b)))
        };
        let (least, mut high) = (-format.largest(), format.ordinal(TOP));
        if is_wrong(format.from_ordinal(high))? {
            return None;
        }
        let is_usual = |value: &f64| is_wrong(self.case.dtype().round(*value)) == Some(true);
        let low = if is_wrong(least)? { least } else { *parameter.usual.iter().rev().find(|value| is_usual(value))? };
        let mut low = format.ordinal(self.case.dtype().round(low));
        while low + 1 < high {
            let middle = (i128::from(low) + i128::from(high)).div_euclid(2) as i64;
            if is_wrong(format.from_ordinal(middle))? { low = middle } else { high = middle }
        }
        Some(format.from_ordinal(low))
    }
}

/// Whether two outputs differ by a tenth at most.
fn is_close(a: f64, b: f64) -> bool {
    const PART: f64 = 0.1;
    a == b || (a.is_nan() && b.is_nan()) || (a - b).is_finite() && (a - b).abs() <= PART * a.abs().max(b.abs())
}

/// The number with the fewest decimal digits near a value that will do; the value where none does.
fn shortest(value: f64, will_do: impl Fn(f64) -> bool) -> f64 {
    const DIGITS: usize = 12;
    let rounded = |digits: usize| format!("{value:.digits$e}").parse::<f64>().ok();
    (0..DIGITS).filter_map(rounded).find(|&short| will_do(short)).unwrap_or(value)
}

/// The outputs of a kernel, if there are any.
fn run(kernel: &dyn Kernel, case: &Case) -> Option<Vec<f64>> {
    match Trial::new(case).outcome(kernel) {
        Outcome::Outputs(outputs) => Some(outputs),
        Outcome::Failed(..) | Outcome::NotRun => None,
    }
}

/// The distance from a number to the next larger one in magnitude.
fn step(format: Format, x: f64) -> f64 {
    let magnitude = x.abs();
    format.from_ordinal(format.ordinal(magnitude) + 1) - magnitude
}
