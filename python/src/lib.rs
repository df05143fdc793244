//! What the Python package `logitfuzz` has of the library, as the module `logitfuzz._core`. It is private: `python/logitfuzz` makes an
//! interface of it.
//!
//! Numbers cross the border as bytes, little-endian, in the format of the dtype. So nothing here depends on a layout in memory that
//! Python could change meanwhile, but for `dlpack`, which reads what a foreign library describes.
//!
//! The oracle works without the interpreter's lock.
#![warn(missing_docs)]
#![deny(unsafe_code)]

mod campaign;
mod case;
mod delivery;
mod dlpack;
mod encoding;
mod fault;
mod judging;
mod score;

use logitfuzz::op::signature::Extent;
use logitfuzz::{Dtype, Family, Op, Verdict};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::ffi::OsString;

/// Every op: its name, formula, the inputs besides the logits as (name, extent), whether it has one output, whether it is elementwise,
/// needs a logit, takes several rows as it is.
#[pyfunction]
fn ops(py: Python<'_>) -> PyResult<Vec<Bound<'_, PyDict>>> {
    let describe = |&op: &Op| {
        let others: Vec<(&str, String)> =
            op.others().iter().map(|input| (input.name, format!("{:?}", input.role.extent()).to_lowercase())).collect();
        let op_dict = PyDict::new(py);
        op_dict.set_item("name", op.name())?;
        op_dict.set_item("formula", op.formula())?;
        op_dict.set_item("others", others)?;
        op_dict.set_item("is_scalar", op.is_scalar())?;
        op_dict.set_item("is_elementwise", op.is_elementwise())?;
        op_dict.set_item("needs_logit", op.needs_logit())?;
        let takes_rows = op.others().iter().any(|input| input.role.extent() == Extent::Indices);
        op_dict.set_item("takes_rows", takes_rows)?;
        Ok(op_dict)
    };
    Op::ALL.iter().map(describe).collect()
}

/// Every dtype by name, with the formats that are read and written.
#[pyfunction]
fn dtypes() -> Vec<(&'static str, &'static str, &'static str)> {
    Dtype::ALL.into_iter().map(|dtype| (dtype.name(), dtype.input().name(), dtype.output().name())).collect()
}

/// Every family by name, with its line of explanation and whether it runs only when named.
#[pyfunction]
fn families() -> Vec<(&'static str, &'static str, bool)> {
    Family::all().iter().map(|family| (family.name(), family.summary(), family.is_slow())).collect()
}

/// Every verdict from best to worst, with its meaning and whether it is a failure.
#[pyfunction]
fn verdicts() -> Vec<(&'static str, &'static str, bool)> {
    let describe = |verdict: Verdict| (verdict.name(), logitfuzz::report::meaning(verdict), verdict.is_failure());
    Verdict::ALL.into_iter().map(describe).collect()
}

/// Runs the command `logitfuzz`: `arguments` begin with its name, `program` is what starts it again. Returns the exit code.
#[pyfunction]
fn command(py: Python<'_>, arguments: Vec<OsString>, program: Vec<OsString>) -> u8 {
    py.detach(|| logitfuzz::cli::main_within(arguments, program))
}

/// The module.
#[pymodule]
fn _core(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("GENERATORS", logitfuzz::generate::VERSION)?;
    module.add_class::<case::Case>()?;
    for function in [
        wrap_pyfunction!(ops, module)?,
        wrap_pyfunction!(dtypes, module)?,
        wrap_pyfunction!(families, module)?,
        wrap_pyfunction!(verdicts, module)?,
        wrap_pyfunction!(command, module)?,
        wrap_pyfunction!(case::row, module)?,
        wrap_pyfunction!(case::parse_batch, module)?,
        wrap_pyfunction!(case::shrink, module)?,
        wrap_pyfunction!(judging::judge, module)?,
        wrap_pyfunction!(judging::exact, module)?,
        wrap_pyfunction!(campaign::campaign, module)?,
        wrap_pyfunction!(score::score, module)?,
        wrap_pyfunction!(dlpack::read, module)?,
        wrap_pyfunction!(dlpack::as_bfloat16, module)?,
    ] {
        module.add_function(function)?;
    }
    Ok(())
}
