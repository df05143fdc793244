//! Tensors of other libraries, over DLPack: a capsule with a description of memory is read into bytes, once.
//!
//! What a description says is checked as far as it can be: kind and width of the numbers, device, dimensions, strides, overflow. That
//! the memory is there is the promise of whoever made the capsule. The layout is that of `dlpack.h`, versions 0.8 and 1.
// A capsule is a pointer to a structure of C.
#![allow(unsafe_code)]

use crate::fault::usage;
use pyo3::exceptions::PyTypeError;
use pyo3::ffi::{PyCapsule_GetName, PyCapsule_GetPointer, PyCapsule_SetName};
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyCapsule};
use std::ffi::{CStr, c_void};

const UNVERSIONED: &CStr = c"dltensor";
const VERSIONED: &CStr = c"dltensor_versioned";
const USED_UNVERSIONED: &CStr = c"used_dltensor";
const USED_VERSIONED: &CStr = c"used_dltensor_versioned";

/// The devices whose memory this process may read: the processor's own, and host memory that CUDA or ROCm pinned.
const HOST_DEVICES: [i32; 3] = [1, 3, 11];
/// The most dimensions that anybody here has a use for.
const MOST_DIMENSIONS: i32 = 8;

#[repr(C)]
struct Tensor {
    data: *mut c_void,
    device_type: i32,
    device_id: i32,
    ndim: i32,
    code: u8,
    bits: u8,
    lanes: u16,
    shape: *const i64,
    strides: *const i64,
    byte_offset: u64,
}

#[repr(C)]
struct Managed {
    tensor: Tensor,
    manager: *mut c_void,
    deleter: Option<unsafe extern "C" fn(*mut Managed)>,
}

#[repr(C)]
struct ManagedVersioned {
    major: u32,
    minor: u32,
    manager: *mut c_void,
    deleter: Option<unsafe extern "C" fn(*mut ManagedVersioned)>,
    flags: u64,
    tensor: Tensor,
}

/// The kind of number by DLPack's code and width.
fn kind(code: u8, bits: u8, lanes: u16) -> Option<(&'static str, usize)> {
    match (code, bits, lanes) {
        (2, 16, 1) => Some(("f16", 2)),
        (2, 32, 1) => Some(("f32", 4)),
        (2, 64, 1) => Some(("f64", 8)),
        (4, 16, 1) => Some(("bf16", 2)),
        (0, 8, 1) => Some(("i8", 1)),
        (0, 16, 1) => Some(("i16", 2)),
        (0, 32, 1) => Some(("i32", 4)),
        (0, 64, 1) => Some(("i64", 8)),
        (1, 8, 1) => Some(("u8", 1)),
        (1, 16, 1) => Some(("u16", 2)),
        (1, 32, 1) => Some(("u32", 4)),
        (1, 64, 1) => Some(("u64", 8)),
        _ => None,
    }
}

/// What a capsule holds.
enum Held {
    Unversioned(*mut Managed),
    Versioned(*mut ManagedVersioned),
}

impl Held {
    fn of(capsule: &Bound<'_, PyCapsule>) -> PyResult<Self> {
        // SAFETY: it is a capsule, and its name is a string of C or null.
        let name = unsafe { PyCapsule_GetName(capsule.as_ptr()) };
        if name.is_null() {
            PyErr::take(capsule.py());
            return Err(usage("the capsule has no name; DLPack's is called dltensor"));
        }
        // SAFETY: not null, and whoever made the capsule keeps its name.
        let name = unsafe { CStr::from_ptr(name) };
        if name == USED_UNVERSIONED || name == USED_VERSIONED {
            return Err(usage("the DLPack capsule was used already; ask the tensor for another one with __dlpack__()"));
        }
        let pointer = |name: &CStr| {
            // SAFETY: the capsule has this name.
            let pointer = unsafe { PyCapsule_GetPointer(capsule.as_ptr(), name.as_ptr()) };
            if pointer.is_null() { Err(usage("the DLPack capsule is empty")) } else { Ok(pointer) }
        };
        if name == UNVERSIONED {
            Ok(Self::Unversioned(pointer(UNVERSIONED)?.cast()))
        } else if name == VERSIONED {
            let managed: *mut ManagedVersioned = pointer(VERSIONED)?.cast();
            // SAFETY: the capsule's name says that this is there; the version comes first in every version.
            let major = unsafe { (*managed).major };
            if major != 1 {
                return Err(usage(format!("the DLPack capsule has version {major}; version 1 is read")));
            }
            Ok(Self::Versioned(managed))
        } else {
            Err(usage(format!("a capsule called {name:?} is none of DLPack's")))
        }
    }

    fn tensor(&self) -> *mut Tensor {
        // SAFETY: both point to a structure that lives until its deleter is called.
        unsafe {
            match self {
                Self::Unversioned(managed) => &raw mut (**managed).tensor,
                Self::Versioned(managed) => &raw mut (**managed).tensor,
            }
        }
    }

    /// Marks the capsule as used and gives the memory back.
    fn finish(self, capsule: &Bound<'_, PyCapsule>) {
        let name = match self {
            Self::Unversioned(_) => USED_UNVERSIONED,
            Self::Versioned(_) => USED_VERSIONED,
        };
        // SAFETY: a constant string, and a deleter that is called once, as the capsule is no longer called by its first name.
        unsafe {
            if PyCapsule_SetName(capsule.as_ptr(), name.as_ptr()) != 0 {
                PyErr::take(capsule.py());
                return;
            }
            match self {
                Self::Unversioned(managed) => (*managed).deleter.into_iter().for_each(|delete| delete(managed)),
                Self::Versioned(managed) => (*managed).deleter.into_iter().for_each(|delete| delete(managed)),
            }
        }
    }
}

/// The numbers of a tensor: kind, shape, and bytes in the order of rows.
type Numbers = (&'static str, Vec<usize>, Vec<u8>);

/// Copies a tensor that lies in memory of the host.
fn copied(tensor: &Tensor) -> Result<Numbers, String> {
    let Some((kind, size)) = kind(tensor.code, tensor.bits, tensor.lanes) else {
        return Err(format!(
            "a tensor of DLPack's kind {} with {} bits in {} lanes; f16, bf16, f32, f64 and integers are read",
            tensor.code, tensor.bits, tensor.lanes
        ));
    };
    if !HOST_DEVICES.contains(&tensor.device_type) {
        return Err(format!("the tensor is on DLPack's device {}; copy it to the host first", tensor.device_type));
    }
    if !(0..=MOST_DIMENSIONS).contains(&tensor.ndim) {
        return Err(format!("a tensor of {} dimensions; at most {MOST_DIMENSIONS} are read", tensor.ndim));
    }
    let ndim = tensor.ndim as usize;
    if ndim > 0 && tensor.shape.is_null() {
        return Err("the tensor has no shape".into());
    }
    let list = |pointer: *const i64| -> Vec<i64> {
        // SAFETY: DLPack says that shape and strides have as many numbers as dimensions; null was refused or is not read.
        (0..ndim).map(|i| unsafe { pointer.add(i).read_unaligned() }).collect()
    };
    let mut shape = Vec::new();
    for extent in list(tensor.shape) {
        shape.push(usize::try_from(extent).map_err(|_| format!("the tensor has a dimension of {extent}"))?);
    }
    let too_large = || "the tensor is larger than the memory of a computer".to_owned();
    let count = shape.iter().try_fold(1usize, |count, &extent| count.checked_mul(extent)).ok_or_else(too_large)?;
    let total = count.checked_mul(size).filter(|&total| total <= isize::MAX as usize).ok_or_else(too_large)?;
    if count == 0 {
        return Ok((kind, shape, Vec::new()));
    }
    if tensor.data.is_null() {
        return Err(format!("the tensor has {count} numbers and no memory"));
    }
    let strides = match tensor.strides.is_null() {
        false => list(tensor.strides),
        true => {
            let mut strides = vec![1i64; ndim];
            for i in (1..ndim).rev() {
                strides[i - 1] = strides[i] * shape[i] as i64;
            }
            strides
        }
    };
    // The farthest place in either direction must be one that a pointer can have.
    let reach = |farthest: i64, (&extent, &stride): (&usize, &i64)| {
        let reach = (extent as i64 - 1).checked_mul(stride)?.checked_mul(size as i64)?;
        farthest.checked_add(reach.checked_abs()?)
    };
    if shape.iter().zip(&strides).try_fold(0, reach).is_none() {
        return Err(format!("the tensor has strides of {strides:?}, which reach farther than memory does"));
    }
    let offset = usize::try_from(tensor.byte_offset).map_err(|_| too_large())?;
    let start = tensor.data.cast::<u8>().wrapping_add(offset);
    let mut bytes = Vec::with_capacity(total);
    let mut place = vec![0usize; ndim];
    for _ in 0..count {
        let at: i64 = place.iter().zip(&strides).map(|(&i, &stride)| i as i64 * stride * size as i64).sum();
        // SAFETY: whoever made the capsule promises memory at every place within the shape, and this is one.
        bytes.extend_from_slice(unsafe { std::slice::from_raw_parts(start.wrapping_offset(at as isize), size) });
        for (i, extent) in place.iter_mut().zip(&shape).rev() {
            *i += 1;
            if *i < *extent {
                break;
            }
            *i = 0;
        }
    }
    Ok((kind, shape, bytes))
}

/// Reads a DLPack capsule, once: the kind of its numbers, its shape, and its numbers in the order of rows. Strides may be any.
#[pyfunction]
#[pyo3(name = "read_dlpack")]
pub fn read<'py>(capsule: &Bound<'py, PyAny>) -> PyResult<(&'static str, Vec<usize>, Bound<'py, PyByteArray>)> {
    let capsule = capsule.cast::<PyCapsule>().map_err(|_| PyTypeError::new_err("no capsule"))?;
    let held = Held::of(capsule)?;
    // SAFETY: it lives until `finish`.
    let numbers = copied(unsafe { &*held.tensor() });
    held.finish(capsule);
    let (kind, shape, bytes) = numbers.map_err(usage)?;
    Ok((kind, shape, PyByteArray::new(capsule.py(), &bytes)))
}

/// Makes the capsule of a tensor of u16, which nobody has used yet, one of bf16. NumPy has no name for that kind.
#[pyfunction]
#[pyo3(name = "as_bfloat16")]
pub fn as_bfloat16<'py>(capsule: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let inner = capsule.cast::<PyCapsule>().map_err(|_| PyTypeError::new_err("no capsule"))?;
    let tensor = Held::of(inner)?.tensor();
    // SAFETY: it lives as long as the capsule, which is ours until somebody uses it.
    let tensor = unsafe { &mut *tensor };
    if (tensor.code, tensor.bits) != (1, 16) {
        return Err(usage("only a tensor of u16 holds the bits of bf16"));
    }
    tensor.code = 4;
    Ok(capsule.clone())
}
