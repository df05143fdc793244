//! The worker behind `c:`: it loads a shared library and serves its functions. It runs in a process of its own, which a bad
//! function may take down.
//!
//! Every call gets fresh surroundings: the output is filled with a NaN that no arithmetic makes, and lies between fences; the
//! inputs are compared with what was passed. Pointers are aligned to their type and to no more, as C allows.

use crate::case::{Case, direction_name};
use crate::dtype::Dtype;
use crate::error::{Error, Result};
use crate::kernel::{Claims, Fault, Kernel, Outcome};
use crate::op::{Op, Takes};
use crate::worker::frame;
use libloading::Library;
use std::ffi::c_void;
use std::mem::transmute;
use std::ops::Range;
use std::path::Path;

/// Bytes of fence on either side of the output.
const FENCE: usize = 256;
/// What fences are made of.
const FENCE_BYTE: u8 = 0xa5;
/// A whole fence, to compare with at once.
const WHOLE: [u8; FENCE] = [FENCE_BYTE; FENCE];
/// Pointers are this many values beyond a multiple of 64 bytes: never aligned to 16, 32 or 64.
const STEPS: [usize; 3] = [1, 3, 7];

/// A function of the library, whatever its arguments are.
type AnyFunction = unsafe extern "C" fn();
type LogitsFunction = unsafe extern "C" fn(*const c_void, usize, *mut c_void);
type DirectionFunction = unsafe extern "C" fn(*const c_void, *const c_void, usize, *mut c_void);
type TargetF32 = unsafe extern "C" fn(*const c_void, usize, usize, f32, *mut c_void);
type TargetF64 = unsafe extern "C" fn(*const c_void, usize, usize, f64, *mut c_void);
type TargetHalf = unsafe extern "C" fn(*const c_void, usize, usize, u16, *mut c_void);

/// A shared library with at least one function that is a kernel.
pub(crate) struct CLibrary {
    name: String,
    functions: Vec<(Op, Dtype, AnyFunction)>,
    /// Loaded for as long as its functions may be called.
    _library: Library,
}

impl CLibrary {
    /// Loads a library and finds its functions: those called `<op>_<dtype>`, or the one `symbol`, which computes `only`.
    ///
    /// # Errors
    /// It is no library, or has none of the symbols.
    pub fn load(path: &Path, name: &str, symbol: Option<(&str, Op, Dtype)>) -> Result<Self> {
        // SAFETY: a library may run anything when it is loaded; this process exists for that.
        let library = unsafe { Library::new(path) }.map_err(|error| {
            Error::harness(format!("{error}; is it a shared library of this machine (cc -shared -fPIC)?"))
        })?;
        // SAFETY: a symbol of this name is a function; with what arguments is decided where it is called.
        let find = |symbol: &str| unsafe { library.get::<AnyFunction>(symbol.as_bytes()) }.ok().map(|symbol| *symbol);
        let functions: Vec<(Op, Dtype, AnyFunction)> = match symbol {
            Some((symbol, op, dtype)) => find(symbol).map(|function| (op, dtype, function)).into_iter().collect(),
            None => {
                let all = Op::ALL.into_iter().flat_map(|op| Dtype::ALL.map(|dtype| (op, dtype)));
                all.filter_map(|(op, dtype)| Some((op, dtype, find(&format!("{op}_{dtype}"))?))).collect()
            }
        };
        if functions.is_empty() {
            let path = path.display();
            return Err(Error::harness(match symbol {
                Some((symbol, ..)) => format!("it has no symbol `{symbol}`; `nm -D {path}` lists those it has"),
                None => format!(
                    "it has no symbol like softmax_f32 (OP_DTYPE); name one with c:{path}:SYMBOL, --op and --dtype"
                ),
            }));
        }
        Ok(Self { name: name.to_owned(), functions, _library: library })
    }

    /// Calls the function of the case's op and dtype; false if there is none.
    fn call(&self, case: &Case, logits: *const c_void, direction: *const c_void, out: *mut c_void) -> bool {
        let (op, dtype, n) = (case.op(), case.dtype(), case.logits().len());
        let found = self.functions.iter().find(|function| (function.0, function.1) == (op, dtype));
        let Some(&(.., function)) = found else { return false };
        let (target, smoothing) = case.target().unwrap_or((0, 0.0));
        // SAFETY: the contract of `c:` is that the symbol of an op and a dtype has the arguments that belong to them. The pointers
        // are those of buffers with n values, and of an output with as many as the op has.
        unsafe {
            match (op.takes(), dtype) {
                (Takes::Logits, _) => transmute::<AnyFunction, LogitsFunction>(function)(logits, n, out),
                (Takes::Cotangent | Takes::Tangent, _) => {
                    transmute::<AnyFunction, DirectionFunction>(function)(logits, direction, n, out);
                }
                (Takes::Target, Dtype::F64) => {
                    transmute::<AnyFunction, TargetF64>(function)(logits, n, target, smoothing, out);
                }
                (Takes::Target, Dtype::F32) => {
                    transmute::<AnyFunction, TargetF32>(function)(logits, n, target, smoothing as f32, out);
                }
                (Takes::Target, Dtype::F16 | Dtype::Bf16) => {
                    let smoothing = dtype.to_bits(smoothing) as u16;
                    transmute::<AnyFunction, TargetHalf>(function)(logits, n, target, smoothing, out);
                }
            }
        }
        true
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

    fn run(&self, case: &Case) -> Outcome {
        let dtype = case.dtype();
        let n = case.logits().len();
        let outputs = case.op().outputs(n);
        let step = STEPS[n % STEPS.len()];
        let mut logits = Buffer::of(dtype, case.logits(), step);
        let mut direction = case.direction().map(|direction| Buffer::of(dtype, direction, step));
        let mut out = Buffer::filled(dtype, outputs, step);
        let direction_pointer = direction.as_mut().map_or(std::ptr::null_mut(), Buffer::pointer);
        // Mutable pointers, so that a function which writes through them does what C lets it do.
        if !self.call(case, logits.pointer(), direction_pointer, out.pointer()) {
            return Outcome::Failed(Fault::Panic, "the symbol is gone".into());
        }
        if let Some(place) = out.broken_fence() {
            return Outcome::Failed(
                Fault::OutOfBounds,
                format!("it wrote to {place}, and there are {outputs} outputs"),
            );
        }
        let passed = [("logits", case.logits(), Some(&logits))];
        let passed_too = [(direction_name(case.op()), case.direction().unwrap_or(&[]), direction.as_ref())];
        for (what, before, after) in passed.into_iter().chain(passed_too) {
            let Some(after) = after else { continue };
            if let Some(place) = after.broken_fence() {
                return Outcome::Failed(Fault::OutOfBounds, format!("it wrote to {place} of the {what}"));
            }
            if let Some(index) = after.differs(before) {
                let (was, is) = (before[index], after.values()[index]);
                let message = format!("value {index} of the {what} was {was} and is {is} after the call");
                return Outcome::Failed(Fault::InputChanged, message);
            }
        }
        if let Some(index) = out.unwritten() {
            return Outcome::Failed(Fault::Unwritten, format!("output {index} of {outputs} was never written"));
        }
        Outcome::Outputs(out.values())
    }
}

/// A quiet NaN with a payload that arithmetic does not make and kernels do not write, in the low bytes.
fn fill(dtype: Dtype) -> u64 {
    match dtype {
        Dtype::F16 => 0x7e5a,
        Dtype::Bf16 => 0x7fda,
        Dtype::F32 => 0x7fda_5a5a,
        Dtype::F64 => 0x7ffa_5a5a_5a5a_5a5a,
    }
}

/// Values between fences, at an address that is aligned to the type and to no more.
struct Buffer {
    dtype: Dtype,
    /// Words, so that every offset of a multiple of the width is aligned to the type.
    memory: Vec<u64>,
    /// Where the values lie, in bytes.
    place: Range<usize>,
}

impl Buffer {
    fn of(dtype: Dtype, values: &[f64], step: usize) -> Self {
        let mut buffer = Self::fenced(dtype, values.len(), step);
        let words = native_words(dtype, values);
        let place = buffer.place.clone();
        buffer.bytes_mut()[place].copy_from_slice(&words);
        buffer
    }

    fn filled(dtype: Dtype, len: usize, step: usize) -> Self {
        let mut buffer = Self::fenced(dtype, len, step);
        let place = buffer.place.clone();
        let word = native(fill(dtype).to_le_bytes(), dtype.bytes());
        for to in buffer.bytes_mut()[place].chunks_exact_mut(dtype.bytes()) {
            to.copy_from_slice(&word[..dtype.bytes()]);
        }
        buffer
    }

    /// Fences all over, and room for so many values.
    fn fenced(dtype: Dtype, len: usize, step: usize) -> Self {
        let width = dtype.bytes();
        let words = (2 * FENCE + 128 + len * width).div_ceil(size_of::<u64>());
        let memory = vec![u64::from_ne_bytes([FENCE_BYTE; 8]); words];
        let from_boundary = memory.as_ptr().addr().wrapping_neg() % 64;
        let start = FENCE + from_boundary + step * width;
        Self { dtype, memory, place: start..start + len * width }
    }

    fn bytes(&self) -> &[u8] {
        // SAFETY: the bytes of a vector of words, all initialised.
        unsafe { std::slice::from_raw_parts(self.memory.as_ptr().cast(), size_of_val(&self.memory[..])) }
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        let size = size_of_val(&self.memory[..]);
        // SAFETY: as above, and any bytes make words.
        unsafe { std::slice::from_raw_parts_mut(self.memory.as_mut_ptr().cast(), size) }
    }

    fn pointer(&mut self) -> *mut c_void {
        let start = self.place.start;
        self.bytes_mut()[start..].as_mut_ptr().cast()
    }

    fn values(&self) -> Vec<f64> {
        let mut words = self.bytes()[self.place.clone()].to_vec();
        in_other_order(&mut words, self.dtype.bytes());
        frame::read_values(self.dtype, &words)
    }

    /// The first value that is not, bit for bit, what was passed.
    fn differs(&self, passed: &[f64]) -> Option<usize> {
        let (before, after) = (native_words(self.dtype, passed), &self.bytes()[self.place.clone()]);
        if before == after {
            return None;
        }
        before.iter().zip(after).position(|(a, b)| a != b).map(|byte| byte / self.dtype.bytes())
    }

    /// The first output that holds what it was filled with.
    fn unwritten(&self) -> Option<usize> {
        let width = self.dtype.bytes();
        let word = native(fill(self.dtype).to_le_bytes(), width);
        self.bytes()[self.place.clone()].chunks_exact(width).position(|bytes| *bytes == word[..width])
    }

    /// Where the fence was written to, counted in values.
    fn broken_fence(&self) -> Option<String> {
        let (before, after) = (&self.bytes()[..self.place.start], &self.bytes()[self.place.end..]);
        let is_whole = |fence: &[u8]| fence.chunks(WHOLE.len()).all(|part| *part == WHOLE[..part.len()]);
        if is_whole(before) && is_whole(after) {
            return None;
        }
        let width = self.dtype.bytes();
        if let Some(place) = after.iter().position(|&byte| byte != FENCE_BYTE) {
            return Some(format!("index {}", self.place.len() / width + place / width));
        }
        let place = before.iter().rposition(|&byte| byte != FENCE_BYTE)?;
        Some(format!("index -{}", (before.len() - place).div_ceil(width)))
    }
}

/// The words of values in this machine's order of bytes.
fn native_words(dtype: Dtype, values: &[f64]) -> Vec<u8> {
    let mut words = Vec::new();
    frame::write_values(dtype, values, &mut words);
    in_other_order(&mut words, dtype.bytes());
    words
}

/// A word in this machine's order of bytes, in the first bytes.
fn native(mut word: [u8; 8], width: usize) -> [u8; 8] {
    in_other_order(&mut word[..width], width);
    word
}

/// Turns little-endian words into this machine's, and back: nothing to do on most.
fn in_other_order(words: &mut [u8], width: usize) {
    if cfg!(target_endian = "big") {
        words.chunks_exact_mut(width).for_each(<[u8]>::reverse);
    }
}
