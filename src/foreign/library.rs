//! The worker behind `c:`: it loads a shared library and serves its functions. It runs in a process of its own, which a bad
//! function may take down.
//!
//! Every call gets fresh surroundings: the output is filled with a NaN that no arithmetic makes; buffers lie between fences, or end
//! or begin at a guard (`region`); the inputs are compared with what was passed. Pointers are aligned to their type and to no
//! more, as C allows. Every row is given to its function twice, with other bytes in the fences and in the output: what changes with
//! these was read where nothing was to be read.
//!
//! A function of a batch (`softmax_batch_f32`) is called in the same surroundings; what lies between its rows is compared, too, and after
//! each batch it is called with no rows, of which it may touch nothing. A row for a function of rows is a batch of one here. The rows of a
//! mean lie side by side the first time and apart the second.
//!
//! Functions are called in the floating-point environment that their users get: the standard one, or with flush-to-zero where
//! loading the library sets that, as gcc's `-ffast-math` does. Everything else here runs in the standard one.
// Loading a shared library and calling its functions.
#![allow(unsafe_code)]

use crate::case::Case;
use crate::dtype::Dtype;
use crate::error::{Error, Result};
use crate::fenv::{self, Env, Watch};
use crate::kernel::batch::Batch;
use crate::kernel::{Batched, Claims, Fault, Kernel, Outcome, difference};
use crate::op::Op;
use crate::op::signature::Extent;
use buffer::{Buffer, Lines, Place, Placement, Surroundings};
use libloading::Library;
use region::{Access, REGIONS, Region};
use std::ffi::c_void;
use std::hint::black_box;
use std::mem::transmute;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

mod buffer;
mod header;
mod region;

pub(crate) use header::header;

/// Between fences, pointers are so many values beyond a multiple of 64 bytes: never aligned to 16, 32 or 64.
const STEPS: [usize; 3] = [1, 3, 7];

/// The memory of the logits, of the row beside them, and of the outputs. A process makes one call at a time.
static MEMORY: Mutex<[Region; REGIONS]> = Mutex::new([Region::new(0), Region::new(1), Region::new(2)]);

/// Set in a process that a function has forked, which must not go on as a worker: both would answer into one pipe.
static IS_FORKED: AtomicBool = AtomicBool::new(false);

extern "C" fn note_fork() {
    IS_FORKED.store(true, Ordering::Relaxed);
}

/// A function of the library, whatever its arguments are.
type AnyFunction = unsafe extern "C" fn();
type LogitsFunction = unsafe extern "C" fn(*const c_void, usize, *mut c_void);
type DirectionFunction = unsafe extern "C" fn(*const c_void, *const c_void, usize, *mut c_void);
type TargetF32 = unsafe extern "C" fn(*const c_void, usize, usize, f32, *mut c_void);
type TargetF64 = unsafe extern "C" fn(*const c_void, usize, usize, f64, *mut c_void);
type NumberF32 = unsafe extern "C" fn(*const c_void, usize, f32, *mut c_void);
type NumberF64 = unsafe extern "C" fn(*const c_void, usize, f64, *mut c_void);
/// Rows of one length, each so many values from the one before, and a class for each.
type RowsFunction = unsafe extern "C" fn(*const c_void, usize, usize, usize, *const usize, *mut c_void);
type RowsOutFunction = unsafe extern "C" fn(*const c_void, usize, usize, usize, *const usize, *mut c_void, usize);
type NumberHalf = unsafe extern "C" fn(*const c_void, usize, u16, *mut c_void);
type TargetHalf = unsafe extern "C" fn(*const c_void, usize, usize, u16, *mut c_void);
type LogitsBatch = unsafe extern "C" fn(*const c_void, usize, usize, usize, *mut c_void, usize);
type DirectionBatch =
    unsafe extern "C" fn(*const c_void, usize, *const c_void, usize, usize, usize, *mut c_void, usize);
/// Of a function on batches that takes targets and a smoothing of this type.
type TargetBatch<N> = unsafe extern "C" fn(*const c_void, usize, usize, usize, *const usize, N, *mut c_void, usize);
/// The same that takes a number of this type.
type NumberBatch<N> = unsafe extern "C" fn(*const c_void, usize, usize, usize, N, *mut c_void, usize);

/// A shared library with at least one function that is a kernel.
pub(crate) struct CLibrary {
    name: String,
    functions: Vec<(Op, Dtype, AnyFunction)>,
    /// Whether they are functions of batches.
    is_batched: bool,
    /// In which its functions are called.
    environment: Env,
    /// What else loading it changed, which no program that uses it expects.
    changed_by_loading: Option<String>,
    /// Whether every buffer lies at a multiple of 64 bytes.
    is_aligned: bool,
    /// Loaded for as long as its functions may be called.
    _library: Arc<Library>,
}

impl CLibrary {
    /// Loads a library and finds its functions: those called `<op>_<dtype>` and those called `<op>_batch_<dtype>`, which are a kernel
    /// each; or the one `symbol`, which computes this op in this dtype, on batches where [`names_a_batch`] says so.
    ///
    /// # Errors
    /// It is no library, or has none of the symbols; the environment of this thread cannot be made the standard one.
    pub fn load(path: &Path, name: &str, symbol: Option<(&str, Op, Dtype)>) -> Result<Vec<Self>> {
        fenv::ensure_standard()?;
        let watch = Watch::begin();
        // SAFETY: a library may run anything when it is loaded; this process exists for that.
        let library = unsafe { Library::new(path) }.map_err(|error| {
            Error::harness(format!("{error}; is it a shared library of this machine (cc -shared -fPIC)?"))
        })?;
        // SAFETY: the function does nothing but store a flag. It is registered with this process and is never unloaded.
        unsafe { libc::pthread_atfork(None, None, Some(note_fork)) };
        let environment = Env::STANDARD.with_flush_of(Env::current());
        let changed_by_loading = Env::current().difference(environment);
        drop(watch);
        // SAFETY: a symbol of this name is a function; with what arguments is decided where it is called.
        let find = |symbol: &str| unsafe { library.get::<AnyFunction>(symbol.as_bytes()) }.ok().map(|symbol| *symbol);
        let functions = |is_batched: bool| -> Vec<(Op, Dtype, AnyFunction)> {
            match symbol {
                Some((symbol, ..)) if names_a_batch(symbol) != is_batched => Vec::new(),
                Some((symbol, op, dtype)) => find(symbol).map(|function| (op, dtype, function)).into_iter().collect(),
                None => {
                    let all = Op::ALL.iter().flat_map(|&op| Dtype::ALL.map(|dtype| (op, dtype)));
                    // A mean takes several rows as it is.
                    let all = all.filter(|(op, _)| !is_batched || op.mean_of().is_none());
                    all.filter_map(|(op, dtype)| Some((op, dtype, find(&symbol_of(op, dtype, is_batched))?))).collect()
                }
            }
        };
        let found: Vec<(bool, Vec<_>)> =
            [false, true].map(|is_batched| (is_batched, functions(is_batched))).into_iter().collect();
        if found.iter().all(|(_, functions)| functions.is_empty()) {
            let path = path.display();
            return Err(Error::harness(match symbol {
                Some((symbol, ..)) => format!("it has no symbol `{symbol}`; `nm -D {path}` lists those it has"),
                None => format!(
                    "it has no symbol like softmax_f32, softmax_bf16_f32 (OP_DTYPE) or softmax_batch_f32 (OP_batch_DTYPE); name one with c:{path}:SYMBOL, --op and --dtype"
                ),
            }));
        }
        let library = Arc::new(library);
        let kernel = |(is_batched, functions): (bool, Vec<_>)| Self {
            name: if is_batched && symbol.is_none() { format!("{name}{BATCH_SUFFIX}") } else { name.to_owned() },
            functions,
            is_batched,
            environment,
            changed_by_loading: changed_by_loading.clone(),
            is_aligned: false,
            _library: library.clone(),
        };
        Ok(found.into_iter().filter(|(_, functions)| !functions.is_empty()).map(kernel).collect())
    }

    /// The same library, with every buffer at a multiple of 64 bytes.
    pub fn aligned(&self) -> Self {
        Self {
            name: format!("{ALIGNED}{}", self.name),
            functions: self.functions.clone(),
            is_batched: self.is_batched,
            environment: self.environment,
            changed_by_loading: self.changed_by_loading.clone(),
            is_aligned: true,
            _library: self._library.clone(),
        }
    }

    /// Calls the function of the case's op and dtype, and says what it left changed in the floating-point environment, if anything;
    /// none if there is no such function. The logits and the outputs lie in these lines.
    fn call(
        &self,
        batch: &Batch,
        (lines, out_lines): (Lines, Lines),
        logits: *const c_void,
        direction: *const c_void,
        targets: &[usize],
        out: *mut c_void,
    ) -> Option<Option<String>> {
        let (op, dtype) = (batch.op(), batch.dtype());
        let (n, rows, other_stride) = (lines.len, lines.rows, batch.layout().other_stride);
        let (stride, out_stride) = (lines.stride, out_lines.stride);
        let found = self.functions.iter().find(|function| (function.0, function.1) == (op, dtype));
        let &(.., function) = found?;
        let (target, number) = (targets.first().copied().unwrap_or(0), batch.number());
        // Rounded here, whatever the compiler would like: in the environment of the function a subnormal number may become 0.
        let number_f32 = black_box(number as f32);
        let classes = batch.case().targets().unwrap_or(&[]);
        let classes: Vec<usize> = classes.iter().map(|class| class.unwrap_or(IGNORED)).collect();
        let number_half = black_box(if dtype.bytes() == 2 { dtype.to_bits(number) as u16 } else { 0 });
        let arguments = Arguments::of(op)?;
        let outer = (self.environment != Env::STANDARD).then(Watch::begin);
        if outer.is_some() {
            self.environment.set();
        }
        let watch = Watch::begin();
        // SAFETY: the contract of `c:` is that the symbol of an op and a dtype has the arguments that belong to them. The pointers
        // are those of buffers with n values, and of an output with as many as the op has; for a function of batches so many in each of
        // its rows, a stride apart, and a target for each row.
        unsafe {
            match (arguments, dtype.input()) {
                (Arguments::Logits, _) if self.is_batched => {
                    transmute::<AnyFunction, LogitsBatch>(function)(logits, stride, rows, n, out, out_stride);
                }
                (Arguments::Direction, _) if self.is_batched => {
                    let function = transmute::<AnyFunction, DirectionBatch>(function);
                    function(logits, stride, direction, other_stride, rows, n, out, out_stride);
                }
                (Arguments::Target, Dtype::F64) if self.is_batched => {
                    let function = transmute::<AnyFunction, TargetBatch<f64>>(function);
                    function(logits, stride, rows, n, targets.as_ptr(), number, out, out_stride);
                }
                (Arguments::Target, Dtype::F32) if self.is_batched => {
                    let function = transmute::<AnyFunction, TargetBatch<f32>>(function);
                    function(logits, stride, rows, n, targets.as_ptr(), number_f32, out, out_stride);
                }
                (Arguments::Target, _) if self.is_batched => {
                    let function = transmute::<AnyFunction, TargetBatch<u16>>(function);
                    function(logits, stride, rows, n, targets.as_ptr(), number_half, out, out_stride);
                }
                (Arguments::Number, Dtype::F64) if self.is_batched => {
                    let function = transmute::<AnyFunction, NumberBatch<f64>>(function);
                    function(logits, stride, rows, n, number, out, out_stride);
                }
                (Arguments::Number, Dtype::F32) if self.is_batched => {
                    let function = transmute::<AnyFunction, NumberBatch<f32>>(function);
                    function(logits, stride, rows, n, number_f32, out, out_stride);
                }
                (Arguments::Number, _) if self.is_batched => {
                    let function = transmute::<AnyFunction, NumberBatch<u16>>(function);
                    function(logits, stride, rows, n, number_half, out, out_stride);
                }
                (Arguments::Logits, _) => transmute::<AnyFunction, LogitsFunction>(function)(logits, n, out),
                (Arguments::Direction, _) => {
                    transmute::<AnyFunction, DirectionFunction>(function)(logits, direction, n, out);
                }
                (Arguments::Rows, _) => {
                    let function = transmute::<AnyFunction, RowsFunction>(function);
                    function(logits, stride, rows, n, classes.as_ptr(), out);
                }
                (Arguments::RowsOut, _) => {
                    let function = transmute::<AnyFunction, RowsOutFunction>(function);
                    function(logits, stride, rows, n, classes.as_ptr(), out, out_stride);
                }
                (Arguments::Target, Dtype::F64) => {
                    transmute::<AnyFunction, TargetF64>(function)(logits, n, target, number, out);
                }
                (Arguments::Target, Dtype::F32) => {
                    transmute::<AnyFunction, TargetF32>(function)(logits, n, target, number_f32, out);
                }
                (Arguments::Target, _) => {
                    transmute::<AnyFunction, TargetHalf>(function)(logits, n, target, number_half, out);
                }
                (Arguments::Number, Dtype::F64) => {
                    transmute::<AnyFunction, NumberF64>(function)(logits, n, number, out);
                }
                (Arguments::Number, Dtype::F32) => {
                    transmute::<AnyFunction, NumberF32>(function)(logits, n, number_f32, out);
                }
                (Arguments::Number, _) => {
                    transmute::<AnyFunction, NumberHalf>(function)(logits, n, number_half, out);
                }
            }
        }
        let changed = watch.end();
        drop(outer);
        Some(changed)
    }
}

/// What the kernel of the functions of batches is called, after the name of the library.
pub(crate) const BATCH_SUFFIX: &str = ":batch";

/// What a kernel with aligned buffers is called, before its name. No `c:` kernel is called so.
pub(crate) const ALIGNED: &str = "aligned ";

/// What the function of an op in a dtype is called: `softmax_f32`, `softmax_bf16_f32`, and of batches `softmax_batch_f32`.
pub(crate) fn symbol_of(op: Op, dtype: Dtype, is_batched: bool) -> String {
    format!("{op}{}_{}", if is_batched { "_batch" } else { "" }, dtype.name().replace(':', "_"))
}

/// Whether a symbol is that of a function of batches: `batch` stands before its dtype, or at its end.
pub(crate) fn names_a_batch(symbol: &str) -> bool {
    let end = |dtype: &Dtype| format!("_{}", dtype.name().replace(':', "_"));
    let longest = Dtype::ALL.iter().map(end).filter(|end| symbol.ends_with(end)).max_by_key(String::len);
    let rest = longest.and_then(|end| symbol.strip_suffix(&end)).unwrap_or(symbol);
    rest.ends_with("_batch")
}

/// The class of a row that is ignored.
const IGNORED: usize = usize::MAX;

/// The arguments of a function between the logits and the output, each a C type above.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Arguments {
    /// None but the length.
    Logits,
    /// Another row.
    Direction,
    /// A true class and a label smoothing.
    Target,
    /// A number: a scale.
    Number,
    /// Several rows and their classes.
    Rows,
    /// The same of a function that writes as many rows.
    RowsOut,
}

impl Arguments {
    /// Those of an op; none where no C type has them, and a test holds that every op has one.
    fn of(op: Op) -> Option<Self> {
        let extents: Vec<Extent> = op.others().iter().map(|input| input.role.extent()).collect();
        match &extents[..] {
            [] => Some(Self::Logits),
            [Extent::Row] => Some(Self::Direction),
            [Extent::Index, Extent::Number] => Some(Self::Target),
            [Extent::Number] => Some(Self::Number),
            [Extent::Indices] if op.is_scalar() => Some(Self::Rows),
            [Extent::Indices] => Some(Self::RowsOut),
            _ => None,
        }
    }
}

impl Kernel for CLibrary {
    fn name(&self) -> &str {
        &self.name
    }

    fn supports(&self, op: Op, dtype: Dtype) -> bool {
        self.functions.iter().any(|function| (function.0, function.1) == (op, dtype))
    }

    fn claims(&self, _: Op, _: Dtype) -> Claims {
        Claims::default()
    }

    fn flushes_when_loaded(&self) -> bool {
        self.environment != Env::STANDARD
    }

    fn run(&self, case: &Case) -> Outcome {
        self.compute(&Batch::alone(case)).pop().unwrap_or(Outcome::NotRun)
    }

    fn batched(&self, _: Op, _: Dtype) -> Option<&dyn Batched> {
        self.is_batched.then_some(self)
    }
}

impl Batched for CLibrary {
    fn compute(&self, batch: &Batch) -> Vec<Outcome> {
        let mut regions = MEMORY.lock().unwrap_or_else(PoisonError::into_inner);
        let outcomes = self.call_twice(batch, &mut regions);
        regions.iter_mut().for_each(Region::trim);
        outcomes
    }
}

impl CLibrary {
    /// Calls the function of a batch in two surroundings: an outcome for each row. Answers that differ between two calls of the same surroundings as well are
    /// left to who asks; those that follow the surroundings are a fault.
    fn call_twice(&self, batch: &Batch, regions: &mut [Region; REGIONS]) -> Vec<Outcome> {
        /// Which calls are in the usual surroundings (0) when it is asked whether an answer follows them: no order that a function which
        /// answers every other call alike would follow too.
        const ORDER: u16 = 0b0110_1001_1100_1010;
        let (usual, changed) = (Surroundings::USUAL, Surroundings::CHANGED);
        let of_all = |outcome: Outcome| vec![outcome; batch.rows()];
        let first = self.call_watched(batch, regions, usual);
        let Outcome::Outputs(mut outputs) = first.outcome else { return of_all(first.outcome) };
        let second = self.call_watched(batch, regions, changed);
        let Outcome::Outputs(mut others) = second.outcome else { return of_all(second.outcome) };
        let len = batch.outputs();
        // What holds what it held both times was never written, and says nothing else.
        let is_unwritten_again = |index: &usize| second.unwritten.binary_search(index).is_ok();
        let unwritten: Vec<usize> = first.unwritten.into_iter().filter(is_unwritten_again).collect();
        for &index in &unwritten {
            (outputs[index], others[index]) = (0.0, 0.0);
        }
        let of_rows = |outputs: &[f64]| {
            let row = |row: usize| {
                let place = row * len..(row + 1) * len;
                let next = unwritten.partition_point(|&index| index < place.start);
                match unwritten.get(next).filter(|&index| place.contains(index)) {
                    Some(index) => Outcome::Failed(
                        Fault::Unwritten,
                        format!("output {} of {len} was never written", index - place.start),
                    ),
                    None => Outcome::Outputs(outputs[place].to_vec()),
                }
            };
            (0..batch.rows()).map(row).collect()
        };
        if self.is_batched
            && let Outcome::Failed(fault, message) =
                self.call_watched(batch, regions, Surroundings { is_empty: true, ..usual }).outcome
        {
            return of_all(Outcome::Failed(fault, format!("called with no rows, {message}")));
        }
        if difference(&outputs, &others).is_none() {
            return of_rows(&outputs);
        }
        let outputs = &outputs;
        let beside = Surroundings { fill: usual.fill, ..changed };
        let held = Surroundings { fill: changed.fill, ..usual };
        for (other, fault, place) in
            [(beside, Fault::OutOfBounds, "lies beside its values"), (held, Fault::Flaky, "the output held before")]
        {
            let mut words = String::new();
            let follows = |call: u32| {
                let is_usual = ORDER >> call & 1 == 0;
                let again = self.call_watched(batch, regions, if is_usual { usual } else { other }).outcome;
                let Outcome::Outputs(mut again) = again else { return false };
                unwritten.iter().for_each(|&index| again[index] = 0.0);
                let difference = difference(outputs, &again);
                let is_alike = difference.is_none();
                words = difference.unwrap_or(std::mem::take(&mut words));
                is_alike == is_usual
            };
            if (0..u16::BITS).all(follows) {
                let message = format!("its answer depends on what {place}: {words} with other bytes there");
                return of_all(Outcome::Failed(fault, message));
            }
        }
        // Who asks again compares first calls, and of a kernel with two answers in turn they were alike after an even number of calls.
        self.call_watched(batch, regions, usual);
        of_rows(outputs)
    }

    /// Calls the function of a batch in these surroundings, and looks at them afterwards.
    fn call_watched(
        &self,
        batch: &Batch,
        [logits, direction, out]: &mut [Region; REGIONS],
        around: Surroundings,
    ) -> Answer {
        let (dtype, written) = (batch.dtype().input(), batch.dtype().output());
        let (lines, out_lines) = Lines::of(batch, around.apart);
        let (lines, out_lines) = match around.is_empty {
            true => (Lines { rows: 0, ..lines }, Lines { rows: 0, ..out_lines }),
            false => (lines, out_lines),
        };
        let (outputs, in_place) = (out_lines.extent(), batch.layout().in_place);
        let (placement, step) = match self.is_aligned {
            true => (Placement::Fenced, 0),
            false => (Placement::of(batch.case()), STEPS[batch.len() % STEPS.len()]),
        };
        let at = Place { placement, step, fence: around.fence };
        let logit_values = match batch.op().mean_of() {
            None => batch.logits(),
            Some(_) => lines.spread(batch.case().logits(), dtype.from_bits(u64::from_ne_bytes([around.fence; 8]))),
        };
        let (mut logit_values, mut other_values, mut targets) = (logit_values, batch.others::<f64>(), batch.targets());
        if around.is_empty {
            (logit_values, other_values, targets) = Default::default();
        }
        let passed_targets = targets.clone();
        let mut logits = Buffer::of(logits, dtype, &logit_values, at);
        let has_other = batch.op().other_row().is_some();
        let mut direction = has_other.then(|| Buffer::of(direction, dtype, &other_values, at));
        // In place the buffer is there and nobody is told where.
        let mut out = Buffer::filled(out, written, outputs, (around.fill)(written), at);
        let direction_pointer = direction.as_mut().map_or(std::ptr::null_mut(), Buffer::pointer);
        // Mutable pointers, so that a function which writes through them does what C lets it do.
        let logits_pointer = logits.pointer();
        let out_pointer = if in_place { logits_pointer } else { out.pointer() };
        let lines = (lines, out_lines);
        let Some(changed) = self.call(batch, lines, logits_pointer, direction_pointer, &targets, out_pointer) else {
            return Outcome::Failed(Fault::Panic, "the symbol is gone".into()).into();
        };
        if IS_FORKED.load(Ordering::Relaxed) {
            // SAFETY: it ends this process at once, and nothing else.
            unsafe { libc::_exit(0) };
        }
        if targets != passed_targets {
            return Outcome::Failed(Fault::InputChanged, "it changed the targets".into()).into();
        }
        let name = batch.op().other_row().map_or_else(String::new, |input| input.name.replace('_', " "));
        let inputs = [("logits", Some(&logits), &logit_values[..])];
        let inputs = inputs.into_iter().chain([(&*name, direction.as_ref(), &other_values[..])]);
        if let Some(touch) = region::take_touch() {
            let did = match touch.access {
                Access::Read => "read",
                Access::Write => "wrote to",
                Access::Unknown => "touched",
            };
            // In the order of the regions.
            let buffers = [("logits", Some(&logits)), (&*name, direction.as_ref()), ("outputs", Some(&out))];
            let message = match buffers[touch.region] {
                (name, Some(buffer)) => {
                    let (index, len) = (buffer.index_of(touch.address), buffer.len());
                    format!("it {did} index {index} of the {name}, which are {len}")
                }
                _ => format!("it {did} memory outside all buffers"),
            };
            return Outcome::Failed(Fault::OutOfBounds, message).into();
        }
        if let Some(place) = out.broken_fence() {
            return Outcome::Failed(
                Fault::OutOfBounds,
                format!("it wrote to {place}, and there are {outputs} outputs"),
            )
            .into();
        }
        for (name, buffer, passed) in inputs {
            let Some(buffer) = buffer else { continue };
            if let Some(place) = buffer.broken_fence() {
                return Outcome::Failed(Fault::OutOfBounds, format!("it wrote to {place} of the {name}")).into();
            }
            let is_written = in_place && name == "logits";
            let differs = match is_written {
                true => buffer.differs_where(|index| out_lines.is_between(index)),
                false => buffer.differs(),
            };
            if let Some(index) = differs {
                let (was, is) = (passed[index], buffer.values()[index]);
                let message = format!("value {index} of the {name} was {was} and is {is} after the call");
                return Outcome::Failed(Fault::InputChanged, message).into();
            }
        }
        if let Some(index) = out.differs_where(|index| in_place || out_lines.is_between(index)) {
            let message = format!("it wrote to index {index} of the outputs, which is between the rows");
            return Outcome::Failed(Fault::OutOfBounds, message).into();
        }
        let mut unwritten = if in_place { Vec::new() } else { out.unwritten() };
        // From here on without what lies between the rows.
        unwritten.retain(|&index| !out_lines.is_between(index));
        unwritten.iter_mut().for_each(|index| *index = out_lines.place_of(*index));
        let values = out_lines.gather(&if in_place { logits.values() } else { out.values() });
        if let Some(words) = self.changed_by_loading.as_ref().filter(|_| unwritten.is_empty()) {
            return Outcome::Failed(Fault::FenvChanged, format!("after the library was loaded {words}")).into();
        }
        let changed = changed.filter(|_| unwritten.is_empty());
        Answer { outcome: Outcome::Outputs(values).unless_changed(changed), unwritten }
    }
}

/// What came of one call.
struct Answer {
    /// The outputs of all rows, one after the other.
    outcome: Outcome,
    /// The outputs that hold what they held before, from first to last.
    unwritten: Vec<usize>,
}

impl From<Outcome> for Answer {
    fn from(outcome: Outcome) -> Self {
        Self { outcome, unwritten: Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_op_has_a_c_type() {
        assert_eq!(Op::ALL.iter().find(|&&op| Arguments::of(op).is_none()), None);
    }
}
