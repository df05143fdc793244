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
use libloading::Library;
use std::ffi::c_void;
use std::mem::transmute;
use std::path::Path;

/// Bytes of fence on either side of the output.
const FENCE: usize = 256;
/// What fences are made of.
const FENCE_BYTE: u8 = 0xa5;
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
        let mut direction = Buffer::of(dtype, case.direction().unwrap_or(&[]), step);
        let mut out = Buffer::filled(dtype, outputs, step);
        let (logits_before, direction_before) = (logits.clone(), direction.clone());
        // Mutable pointers, so that a function which writes through them does what C lets it do.
        if !self.call(case, logits.pointer(), direction.pointer(), out.pointer()) {
            return Outcome::Failed(Fault::Panic, "the symbol is gone".into());
        }
        if let Some(place) = out.broken_fence() {
            return Outcome::Failed(
                Fault::OutOfBounds,
                format!("it wrote to {place}, and there are {outputs} outputs"),
            );
        }
        for (what, before, after) in
            [("logits", &logits_before, &logits), (direction_name(case.op()), &direction_before, &direction)]
        {
            if let Some(place) = after.broken_fence() {
                return Outcome::Failed(Fault::OutOfBounds, format!("it wrote to {place} of the {what}"));
            }
            if let Some(index) = after.differs(before) {
                let (was, is) = (before.value(index), after.value(index));
                let message = format!("value {index} of the {what} was {was} and is {is} after the call");
                return Outcome::Failed(Fault::InputChanged, message);
            }
        }
        if let Some(index) = (0..outputs).find(|&index| out.word(index) == fill(dtype)) {
            return Outcome::Failed(Fault::Unwritten, format!("output {index} of {outputs} was never written"));
        }
        Outcome::Outputs((0..outputs).map(|index| out.value(index)).collect())
    }
}

/// A quiet NaN with a payload that arithmetic does not make and kernels do not write.
fn fill(dtype: Dtype) -> u64 {
    match dtype {
        Dtype::F16 => 0x7e5a,
        Dtype::Bf16 => 0x7fda,
        Dtype::F32 => 0x7fda_5a5a,
        Dtype::F64 => 0x7ffa_5a5a_5a5a_5a5a,
    }
}

/// Values between fences, at an address that is aligned to the type and to no more.
#[derive(Clone)]
struct Buffer {
    dtype: Dtype,
    len: usize,
    /// Words, so that every offset of a multiple of the width is aligned to the type.
    memory: Vec<u64>,
    /// Where the first value lies, in bytes.
    start: usize,
}

impl Buffer {
    fn of(dtype: Dtype, values: &[f64], step: usize) -> Self {
        let mut buffer = Self::filled(dtype, values.len(), step);
        for (index, &x) in values.iter().enumerate() {
            buffer.set(index, dtype.to_bits(x));
        }
        buffer
    }

    fn filled(dtype: Dtype, len: usize, step: usize) -> Self {
        let width = dtype.bytes();
        let words = (2 * FENCE + 128 + len * width).div_ceil(size_of::<u64>());
        let memory = vec![u64::from_ne_bytes([FENCE_BYTE; 8]); words];
        let from_boundary = memory.as_ptr().addr().wrapping_neg() % 64;
        let mut buffer = Self { dtype, len, memory, start: FENCE + from_boundary + step * width };
        for index in 0..len {
            buffer.set(index, fill(dtype));
        }
        buffer
    }

    fn bytes(&self) -> &[u8] {
        // SAFETY: the bytes of a vector of words, all initialised.
        unsafe { std::slice::from_raw_parts(self.memory.as_ptr().cast(), size_of_val(&self.memory[..])) }
    }

    fn pointer(&mut self) -> *mut c_void {
        // SAFETY: `start` lies inside the memory.
        unsafe { self.memory.as_mut_ptr().cast::<u8>().add(self.start).cast() }
    }

    fn set(&mut self, index: usize, word: u64) {
        let width = self.dtype.bytes();
        let from = self.start + index * width;
        // SAFETY: as in `bytes`, and nobody else holds a pointer to them.
        let bytes = unsafe {
            std::slice::from_raw_parts_mut(self.memory.as_mut_ptr().cast::<u8>(), size_of_val(&self.memory[..]))
        };
        bytes[from..from + width].copy_from_slice(&(word << unused(width)).to_ne_bytes()[..width]);
    }

    fn word(&self, index: usize) -> u64 {
        let width = self.dtype.bytes();
        let mut word = [0; 8];
        word[..width].copy_from_slice(&self.bytes()[self.start + index * width..][..width]);
        u64::from_ne_bytes(word) >> unused(width)
    }

    fn value(&self, index: usize) -> f64 {
        self.dtype.from_bits(self.word(index))
    }

    /// The first value that is not, bit for bit, what it is in the other buffer.
    fn differs(&self, other: &Buffer) -> Option<usize> {
        (0..self.len).find(|&index| self.word(index) != other.word(index))
    }

    /// Where the fence was written to, counted in values.
    fn broken_fence(&self) -> Option<String> {
        let (before, rest) = self.bytes().split_at(self.start);
        let width = self.dtype.bytes();
        let after = &rest[self.len * width..];
        if let Some(place) = after.iter().position(|&byte| byte != FENCE_BYTE) {
            return Some(format!("index {}", self.len + place / width));
        }
        let place = before.iter().rposition(|&byte| byte != FENCE_BYTE)?;
        Some(format!("index -{}", (before.len() - place).div_ceil(width)))
    }
}

/// How far the low bytes of a word are from its beginning in memory, in bits.
const fn unused(width: usize) -> usize {
    if cfg!(target_endian = "big") { 64 - 8 * width } else { 0 }
}
