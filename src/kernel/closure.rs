//! A Rust closure as a kernel: `|logits: &[f32], out: &mut [f32]|` for softmax, log-softmax, log-sum-exp and elementwise ops,
//! `|logits, target, label_smoothing, out|` for cross-entropy and its gradient, `|logits, other, out|` for the ops that take another row: a
//! cotangent or tangent, a distribution, labels, other logits, `|logits, scale, out|` for scaled softmax, and `|logits, targets: &[Option<usize>],
//! out|` for the means over rows, of which `targets` has one each, none where it is ignored. `out` may be of another type
//! than what is read, as the dtypes of two formats have it: `|logits: &[bf16], out: &mut [f32]|`.

use super::{Claims, Element, Fault, Kernel, Outcome};
use crate::case::Case;
use crate::dtype::Dtype;
use crate::fenv::{Standard, Watch};
use crate::op::Op;
use crate::op::signature::Extent;
use crate::outside::check_name;
use std::ops::RangeInclusive;

/// A kernel made of a closure, for one op in one dtype.
pub struct Closure {
    name: String,
    op: Op,
    dtype: Dtype,
    claims: Claims,
    version: Option<String>,
    lengths: RangeInclusive<usize>,
    takes_label_smoothing: bool,
    call: Box<Call>,
}

type Call = dyn Fn(&Case, usize) -> Outcome + Send + Sync;

/// Whether a closure takes inputs of these extents besides the logits.
type Fits = fn(&[Extent]) -> bool;

impl Closure {
    /// A kernel called `name` that computes `op` with `function`; the dtype is that of the function's slices: of what is read, and of
    /// `out`.
    ///
    /// # Panics If the function's arguments are not those of the op (a softmax that takes a target, say), if there is no dtype of its two
    /// formats (f32 that is read, and f16 that is written), or if the name cannot be used: it is longer than 200 characters, has invisible
    /// ones, or begins with `defect/`.
    pub fn new<T: Element, U: Element, Arguments>(
        name: impl Into<String>,
        op: Op,
        function: impl IntoClosure<(T, U), Arguments>,
    ) -> Self {
        let name = name.into();
        if let Err(reason) = check_name(&name) {
            panic!("{reason}");
        }
        let (call, fits) = function.into_call();
        let extents: Vec<Extent> = op.others().iter().map(|input| input.role.extent()).collect();
        assert!(fits(&extents), "kernel `{name}`: the closure's arguments are not those of {op}");
        let (read, written) = (T::DTYPE, U::DTYPE);
        let Some(dtype) = Dtype::of(read, written) else {
            panic!("kernel `{name}`: it reads {read} and writes {written}, and there is no such dtype");
        };
        let lengths = 0..=usize::MAX;
        let (claims, version) = (Claims::default(), None);
        Self { name, op, dtype, claims, version, lengths, takes_label_smoothing: true, call }
    }

    /// The same kernel with other claims.
    pub fn claiming(mut self, claims: Claims) -> Self {
        self.claims = claims;
        self
    }

    /// The same kernel, of a library of this version.
    pub fn of_version(mut self, version: impl Into<String>) -> Self {
        self.version = Some(version.into());
        self
    }

    /// The same kernel, given only rows with these numbers of logits.
    pub fn for_lengths(mut self, lengths: RangeInclusive<usize>) -> Self {
        self.lengths = lengths;
        self
    }

    /// The same kernel, given only cases without label smoothing, which it ignores.
    pub fn without_label_smoothing(mut self) -> Self {
        self.takes_label_smoothing = false;
        self
    }

    /// The dtype of the closure's slices.
    pub fn dtype(&self) -> Dtype {
        self.dtype
    }
}

impl Kernel for Closure {
    fn name(&self) -> &str {
        &self.name
    }

    fn supports(&self, op: Op, dtype: Dtype) -> bool {
        op == self.op && dtype == self.dtype
    }

    fn claims(&self, _: Op, _: Dtype) -> Claims {
        self.claims.clone()
    }

    fn lengths(&self, _: Op, _: Dtype) -> RangeInclusive<usize> {
        self.lengths.clone()
    }

    fn takes_label_smoothing(&self, _: Op, _: Dtype) -> bool {
        self.takes_label_smoothing
    }

    fn version(&self) -> Option<&str> {
        self.version.as_deref()
    }

    fn run(&self, case: &Case) -> Outcome {
        let _standard = Standard::enter();
        (self.call)(case, case.op().outputs(case.logits().len()))
    }
}

/// A closure with the arguments of one of the four shapes of ops. `out` has one element or as many as the logits, as the op
/// says, and starts as NaN, so an output that is never written is seen; where NaN comes back, the call is made again over numbers.
pub trait IntoClosure<Slices, Arguments> {
    /// The call on a case, and the shapes of ops that it fits; `Slices` are the types of what it reads and of what it writes.
    #[doc(hidden)]
    fn into_call(self) -> (Box<Call>, Fits);
}

fn read<T: Element>(values: &[f64]) -> Vec<T> {
    values.iter().map(|&x| T::from_f64(x)).collect()
}

/// What a call writes. A NaN may be what the output held before: whether it is shows when that is a number.
fn outputs<T: Element>(n: usize, write: impl Fn(&mut [T])) -> Outcome {
    /// A number that kernels seldom return.
    const NUMBER: f64 = -0.854_843_750_3;
    /// Which calls find NaN (0) when it is asked whether an answer follows what the output held: no order that a closure which answers
    /// every other call alike would follow too.
    const ORDER: u8 = 0b1001_1010;
    let usual = written(n, f64::NAN, &write);
    let Outcome::Outputs(first) = &usual else { return usual };
    let Some(index) = first.iter().position(|x| x.is_nan()) else { return usual };
    let is_nan = |fill: f64| match written(n, fill, &write) {
        Outcome::Outputs(outputs) => outputs[index].is_nan(),
        _ => false,
    };
    let follows = |call: u32| {
        let is_usual = ORDER >> call & 1 == 0;
        is_nan(if is_usual { f64::NAN } else { NUMBER }) == is_usual
    };
    if is_nan(NUMBER) || !(0..u8::BITS).all(follows) {
        return usual;
    }
    match written(n, NUMBER, &write) {
        Outcome::Outputs(second) if second[index] == T::from_f64(NUMBER).to_f64() => {
            Outcome::Failed(Fault::Unwritten, format!("output {index} of {n} was never written"))
        }
        _ => Outcome::Failed(
            Fault::Flaky,
            format!("its answer depends on what the output held before: output {index} is NaN if that is NaN"),
        ),
    }
}

/// What one call writes over outputs that hold `fill`. They are read in the environment from before the call, whatever the call made
/// of it.
fn written<T: Element>(n: usize, fill: f64, write: &impl Fn(&mut [T])) -> Outcome {
    let mut out = vec![T::from_f64(fill); n];
    let watch = Watch::begin();
    write(&mut out);
    let changed = watch.end();
    Outcome::Outputs(out.into_iter().map(T::to_f64).collect()).unless_changed(changed)
}

impl<T: Element, U: Element, F: Fn(&[T], &mut [U]) + Send + Sync + 'static> IntoClosure<(T, U), fn(&[T], &mut [U])>
    for F
{
    fn into_call(self) -> (Box<Call>, Fits) {
        let call = move |case: &Case, n: usize| {
            let logits = read::<T>(case.logits());
            outputs(n, |out| self(&logits, out))
        };
        (Box::new(call), |extents| extents.is_empty())
    }
}

impl<T: Element, U: Element, F: Fn(&[T], usize, T, &mut [U]) + Send + Sync + 'static>
    IntoClosure<(T, U), fn(&[T], usize, T, &mut [U])> for F
{
    fn into_call(self) -> (Box<Call>, Fits) {
        let call = move |case: &Case, n: usize| {
            let (logits, (target, smoothing)) = (read::<T>(case.logits()), case.target().unwrap_or((0, 0.0)));
            outputs(n, |out| self(&logits, target, T::from_f64(smoothing), out))
        };
        (Box::new(call), |extents| extents == [Extent::Index, Extent::Number])
    }
}

impl<T: Element, U: Element, F: Fn(&[T], &[T], &mut [U]) + Send + Sync + 'static>
    IntoClosure<(T, U), fn(&[T], &[T], &mut [U])> for F
{
    fn into_call(self) -> (Box<Call>, Fits) {
        let call = move |case: &Case, n: usize| {
            let (logits, other) = (read::<T>(case.logits()), read::<T>(case.other_row().unwrap_or(&[])));
            outputs(n, |out| self(&logits, &other, out))
        };
        (Box::new(call), |extents| extents == [Extent::Row])
    }
}

impl<T: Element, U: Element, F: Fn(&[T], &[Option<usize>], &mut [U]) + Send + Sync + 'static>
    IntoClosure<(T, U), fn(&[T], &[Option<usize>], &mut [U])> for F
{
    fn into_call(self) -> (Box<Call>, Fits) {
        let call = move |case: &Case, n: usize| {
            let (logits, targets) = (read::<T>(case.logits()), case.targets().unwrap_or(&[]));
            outputs(n, |out| self(&logits, targets, out))
        };
        (Box::new(call), |extents| extents == [Extent::Indices])
    }
}

impl<T: Element, U: Element, F: Fn(&[T], T, &mut [U]) + Send + Sync + 'static>
    IntoClosure<(T, U), fn(&[T], T, &mut [U])> for F
{
    fn into_call(self) -> (Box<Call>, Fits) {
        let call = move |case: &Case, n: usize| {
            let (logits, number) = (read::<T>(case.logits()), T::from_f64(case.number()));
            outputs(n, |out| self(&logits, number, out))
        };
        (Box::new(call), |extents| extents == [Extent::Number])
    }
}
