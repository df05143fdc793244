//! A Rust closure as a kernel: `|logits: &[f32], out: &mut [f32]|` for softmax, log-softmax, log-sum-exp and elementwise ops,
//! `|logits, target, label_smoothing, out|` for cross-entropy and its gradient, `|logits, other, out|` for the ops that take another row: a
//! cotangent or tangent, a distribution, labels, other logits, `|logits, scale, out|` for scaled softmax, and `|logits, targets: &[Option<usize>],
//! out|` for the means over rows, of which `targets` has one each, none where it is ignored. `out` may be of another type
//! than what is read, as the dtypes of two formats have it: `|logits: &[bf16], out: &mut [f32]|`.
//!
//! [`Closure::batched`] takes many rows in one call: [`Rows`] in place of each slice that is read, [`RowsMut`] in place of `out`, and a
//! slice of targets; or one [`RowsMut`] alone, the logits, over which the outputs are written.

use super::batch::{Batch, Layout, Rows, RowsMut, extent, fits_in_place};
use super::{Batched, Claims, Element, Fault, Kernel, Outcome};
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
    call: Calls,
}

/// What is called: a row at a time, or a batch.
enum Calls {
    Row(Box<Call>),
    Batch(Box<BatchCall>),
}

type Call = dyn Fn(&Case, usize) -> Outcome + Send + Sync;
type BatchCall = dyn Fn(&Batch) -> Vec<Outcome> + Send + Sync;

/// Whether a closure computes this op, which takes inputs of these extents besides the logits.
type Fits = fn(Op, &[Extent]) -> bool;

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
        let (call, fits) = function.into_call();
        Self::of(name.into(), op, (T::DTYPE, U::DTYPE), Calls::Row(call), fits)
    }

    /// A kernel that computes many rows in one call: the arguments of `function` are as those that [`Closure::new`] takes, with
    /// [`Rows`] in place of `&[T]`, `&mut RowsMut` in place of `&mut [U]` and `&[usize]` in place of a target:
    /// `|logits: Rows<f32>, out: &mut RowsMut<f32>|`. Rows lie a stride behind each other, with padding between them that is NaN or the
    /// largest number; outputs start as NaN. A function of one `&mut RowsMut` alone finds the logits there and leaves the outputs.
    ///
    /// ```
    /// use logitfuzz::Op;
    /// use logitfuzz::kernel::Closure;
    /// use logitfuzz::kernel::batch::{Rows, RowsMut};
    ///
    /// fn softmax(logits: Rows<f32>, out: &mut RowsMut<f32>) {
    ///     for row in 0..logits.rows() {
    ///         let z = logits.row(row);
    ///         let max = z.iter().fold(f32::NEG_INFINITY, |max, &z| if z > max || z.is_nan() { z } else { max });
    ///         let sum: f32 = z.iter().map(|z| (z - max).exp()).sum();
    ///         out.row_mut(row).iter_mut().zip(z).for_each(|(out, z)| *out = (z - max).exp() / sum);
    ///     }
    /// }
    ///
    /// logitfuzz::check(Op::SOFTMAX).with(Closure::batched("mine", Op::SOFTMAX, softmax)).cases(200).assert_stable();
    /// ```
    ///
    /// # Panics Those of [`Closure::new`].
    pub fn batched<T: Element, U: Element, Arguments>(
        name: impl Into<String>,
        op: Op,
        function: impl IntoBatchClosure<(T, U), Arguments>,
    ) -> Self {
        let (call, fits) = function.into_call();
        Self::of(name.into(), op, (T::DTYPE, U::DTYPE), Calls::Batch(call), fits)
    }

    fn of(name: String, op: Op, (read, written): (Dtype, Dtype), call: Calls, fits: Fits) -> Self {
        if let Err(reason) = check_name(&name) {
            panic!("{reason}");
        }
        let extents: Vec<Extent> = op.others().iter().map(|input| input.role.extent()).collect();
        assert!(fits(op, &extents), "kernel `{name}`: the closure's arguments are not those of {op}");
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
        match &self.call {
            Calls::Row(call) => call(case, case.op().outputs(case.logits().len())),
            Calls::Batch(call) => call(&Batch::alone(case)).pop().unwrap_or(Outcome::NotRun),
        }
    }

    fn batched(&self, _: Op, _: Dtype) -> Option<&dyn Batched> {
        matches!(self.call, Calls::Batch(_)).then_some(self)
    }
}

impl Batched for Closure {
    fn compute(&self, batch: &Batch) -> Vec<Outcome> {
        let _standard = Standard::enter();
        match &self.call {
            Calls::Row(call) => batch.cases().iter().map(|case| call(case, batch.outputs())).collect(),
            Calls::Batch(call) => call(batch),
        }
    }
}

/// A closure with the arguments of one of the four shapes of ops. `out` has one element or as many as the logits, as the op
/// says, and starts as NaN, so an output that is never written is seen; where NaN comes back, the call is made again over numbers.
pub trait IntoClosure<Slices, Arguments> {
    /// The call on a case, and the shapes of ops that it fits; `Slices` are the types of what it reads and of what it writes.
    #[doc(hidden)]
    fn into_call(self) -> (Box<Call>, Fits);
}

/// A number that kernels seldom return.
const NUMBER: f64 = -0.854_843_750_3;

fn read<T: Element>(values: &[f64]) -> Vec<T> {
    values.iter().map(|&x| T::from_f64(x)).collect()
}

/// What a call writes. A NaN may be what the output held before: whether it is shows when that is a number.
fn outputs<T: Element>(n: usize, write: impl Fn(&mut [T])) -> Outcome {
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
        (Box::new(call), |_, extents| extents.is_empty())
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
        (Box::new(call), |_, extents| extents == [Extent::Index, Extent::Number])
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
        (Box::new(call), |_, extents| extents == [Extent::Row])
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
        (Box::new(call), |_, extents| extents == [Extent::Indices])
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
        (Box::new(call), |_, extents| extents == [Extent::Number])
    }
}

/// A closure with the arguments of one of the shapes of ops, for many rows in one call; see [`Closure::batched`].
pub trait IntoBatchClosure<Slices, Arguments> {
    /// The call on a batch, and the shapes of ops that it fits.
    #[doc(hidden)]
    fn into_call(self) -> (Box<BatchCall>, Fits);
}

/// What a call on a batch writes, row by row. Where NaN comes back it is called again over numbers: what holds one then was never
/// written.
fn batch_outputs<T: Element>(batch: &Batch, write: impl Fn(&mut RowsMut<T>)) -> Vec<Outcome> {
    let (len, Layout { out_stride: stride, .. }) = (batch.outputs(), batch.layout());
    let written = |fill: f64| {
        written_rows(vec![T::from_f64(fill); extent(batch.rows(), len, stride)], batch, len, stride, &write)
    };
    let first = match written(f64::NAN) {
        Ok(first) => first,
        Err(failed) => return vec![failed; batch.rows()],
    };
    let is_suspect = |outcome: &Outcome| matches!(outcome, Outcome::Outputs(row) if row.iter().any(|x| x.is_nan()));
    if !first.iter().any(is_suspect) {
        return first;
    }
    let Ok(second) = written(NUMBER) else { return first };
    let number = T::from_f64(NUMBER).to_f64();
    let settled = |(first, second): (Outcome, Outcome)| match (&first, &second) {
        (Outcome::Outputs(a), Outcome::Outputs(b)) => {
            match a.iter().zip(b).position(|(a, b)| a.is_nan() && *b == number) {
                Some(index) => Outcome::Failed(Fault::Unwritten, format!("output {index} of {len} was never written")),
                None => first,
            }
        }
        _ => first,
    };
    first.into_iter().zip(second).map(settled).collect()
}

/// What one call writes into this memory, row by row; or what is wrong with the whole call: it wrote between the rows.
fn written_rows<T: Element>(
    mut memory: Vec<T>,
    batch: &Batch,
    len: usize,
    stride: usize,
    write: &impl Fn(&mut RowsMut<T>),
) -> Result<Vec<Outcome>, Outcome> {
    let padding = |memory: &[T]| -> Vec<u64> {
        let places = (0..memory.len()).filter(|place| place % stride.max(1) >= len);
        places.map(|place| memory[place].to_f64().to_bits()).collect()
    };
    let before = padding(&memory);
    let watch = Watch::begin();
    write(&mut RowsMut::new(&mut memory, batch.rows(), len, stride));
    let changed = watch.end();
    if padding(&memory) != before {
        return Err(Outcome::Failed(Fault::OutOfBounds, "it wrote between the rows of the output".into()));
    }
    let row = |row: usize| memory[row * stride..][..len].iter().map(|x| x.to_f64()).collect();
    Ok((0..batch.rows()).map(|place| Outcome::Outputs(row(place)).unless_changed(changed.clone())).collect())
}

fn logits_of<'a, T>(batch: &Batch, memory: &'a [T]) -> Rows<'a, T> {
    Rows::new(memory, batch.rows(), batch.len(), batch.layout().logits_stride)
}

impl<T: Element, U: Element, F: Fn(Rows<T>, &mut RowsMut<U>) + Send + Sync + 'static>
    IntoBatchClosure<(T, U), fn(Rows<T>, &mut RowsMut<U>)> for F
{
    fn into_call(self) -> (Box<BatchCall>, Fits) {
        let call = move |batch: &Batch| {
            let logits = batch.logits::<T>();
            batch_outputs(batch, |out| self(logits_of(batch, &logits), out))
        };
        (Box::new(call), |_, extents| extents.is_empty())
    }
}

impl<T: Element, U: Element, F: Fn(Rows<T>, &[usize], T, &mut RowsMut<U>) + Send + Sync + 'static>
    IntoBatchClosure<(T, U), fn(Rows<T>, &[usize], T, &mut RowsMut<U>)> for F
{
    fn into_call(self) -> (Box<BatchCall>, Fits) {
        let call = move |batch: &Batch| {
            let (logits, targets) = (batch.logits::<T>(), batch.targets());
            let number = T::from_f64(batch.number());
            batch_outputs(batch, |out| self(logits_of(batch, &logits), &targets, number, out))
        };
        (Box::new(call), |_, extents| extents == [Extent::Index, Extent::Number])
    }
}

impl<T: Element, U: Element, F: Fn(Rows<T>, Rows<T>, &mut RowsMut<U>) + Send + Sync + 'static>
    IntoBatchClosure<(T, U), fn(Rows<T>, Rows<T>, &mut RowsMut<U>)> for F
{
    fn into_call(self) -> (Box<BatchCall>, Fits) {
        let call = move |batch: &Batch| {
            let (logits, others) = (batch.logits::<T>(), batch.others::<T>());
            let others = Rows::new(&others, batch.rows(), batch.len(), batch.layout().other_stride);
            batch_outputs(batch, |out| self(logits_of(batch, &logits), others, out))
        };
        (Box::new(call), |_, extents| extents == [Extent::Row])
    }
}

impl<T: Element, U: Element, F: Fn(Rows<T>, T, &mut RowsMut<U>) + Send + Sync + 'static>
    IntoBatchClosure<(T, U), fn(Rows<T>, T, &mut RowsMut<U>)> for F
{
    fn into_call(self) -> (Box<BatchCall>, Fits) {
        let call = move |batch: &Batch| {
            let (logits, number) = (batch.logits::<T>(), T::from_f64(batch.number()));
            batch_outputs(batch, |out| self(logits_of(batch, &logits), number, out))
        };
        (Box::new(call), |_, extents| extents == [Extent::Number])
    }
}

/// The logits, over which the outputs are written.
impl<T: Element, F: Fn(&mut RowsMut<T>) + Send + Sync + 'static> IntoBatchClosure<(T, T), fn(&mut RowsMut<T>)> for F {
    fn into_call(self) -> (Box<BatchCall>, Fits) {
        let call = move |batch: &Batch| {
            let stride = batch.layout().logits_stride;
            written_rows(batch.logits::<T>(), batch, batch.len(), stride, &|rows| self(rows))
                .unwrap_or_else(|failed| vec![failed; batch.rows()])
        };
        (Box::new(call), |op, extents| extents.is_empty() && fits_in_place(op, T::DTYPE))
    }
}
