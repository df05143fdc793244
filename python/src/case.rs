//! Cases for Python: one input of one op in one dtype, and where they come from.

use crate::encoding::{bytes, values};
use crate::fault::{fault, usage};
use logitfuzz::case::Value;
use logitfuzz::kernel::Batch;
use logitfuzz::op::Input;
use logitfuzz::op::signature::Extent;
use logitfuzz::{Dtype, Family, Op, generate};
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyBytes};
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// One input of one op in one dtype.
#[pyclass(frozen, module = "logitfuzz._core")]
pub struct Case(pub logitfuzz::Case);

/// The row, the index and the number that a case has besides its logits.
fn others(case: &logitfuzz::Case) -> (Option<&[f64]>, Option<usize>, Option<f64>) {
    let (mut row, mut index, mut number) = (None, None, None);
    for (_, value) in case.others() {
        match value {
            Value::Row(values) => row = Some(&values[..]),
            Value::Index(class) => index = Some(*class),
            Value::Number(x) => number = Some(*x),
            _ => {}
        }
    }
    (row, index, number)
}

/// What a kernel in Python is given of a case: dtype, number of logits, logits, class, number, other row, the class of each row.
pub type Encoded = (&'static str, usize, Vec<u8>, usize, f64, Option<Vec<u8>>, Option<Vec<i64>>);

/// The class of a row that is ignored: what frameworks leave out unless they are told otherwise.
pub const IGNORED: i64 = -100;

/// The class of each row, of a case that has several.
fn classes(case: &logitfuzz::Case) -> Option<Vec<i64>> {
    let class = |class: &Option<usize>| class.and_then(|class| i64::try_from(class).ok()).unwrap_or(IGNORED);
    case.targets().map(|targets| targets.iter().map(class).collect())
}

/// The case as [`Encoded`].
pub fn encoded(case: &logitfuzz::Case) -> Encoded {
    let format = case.dtype().input();
    let (row, index, number) = others(case);
    (
        case.dtype().name(),
        case.logits().len(),
        bytes(format, case.logits()),
        index.unwrap_or(0),
        number.unwrap_or(0.0),
        row.map(|values| bytes(format, values)),
        classes(case),
    )
}

/// What a kernel in Python is given of a batch: dtype, rows, number of logits, memory of the logits and its row stride, the class of each row,
/// number, memory of the other rows and its row stride.
pub type EncodedBatch = (&'static str, usize, usize, Vec<u8>, usize, Vec<usize>, f64, Option<Vec<u8>>, usize);

/// The batch as [`EncodedBatch`].
pub fn encoded_batch(batch: &Batch) -> EncodedBatch {
    let (format, layout) = (batch.dtype().input(), batch.layout());
    let others = batch.others::<f64>();
    let other = batch.case().others().any(|(_, value)| matches!(value, Value::Row(_)));
    (
        batch.dtype().name(),
        batch.rows(),
        batch.len(),
        bytes(format, &batch.logits::<f64>()),
        layout.logits_stride,
        batch.targets(),
        batch.number(),
        other.then(|| bytes(format, &others)),
        layout.other_stride,
    )
}

/// A batch from its text, as findings print it: as a kernel is given it, and the row that is judged with its place.
#[pyfunction]
pub fn parse_batch(text: &str) -> PyResult<(EncodedBatch, Case, usize)> {
    let batch = Batch::parse(text).map_err(|error| fault(&error))?;
    Ok((encoded_batch(&batch), Case(batch.case().clone()), batch.judged()))
}

/// The same case with another number, if the op takes one and allows it.
pub fn with_number(case: &logitfuzz::Case, number: f64) -> logitfuzz::Result<logitfuzz::Case> {
    let other = |(_, value): (Input, &Value)| match value {
        Value::Number(_) => Value::Number(number),
        value => value.clone(),
    };
    let others: Vec<Value> = case.others().map(other).collect();
    logitfuzz::Case::new(case.op(), case.dtype(), case.logits(), others)
}

#[pymethods]
impl Case {
    /// A case from bytes of the dtype's input format. `classes` has the class of each row where the op takes several; one below 0 is ignored.
    #[new]
    #[pyo3(signature = (op, dtype, logits, target=None, number=None, other=None, classes=None))]
    #[allow(clippy::too_many_arguments)] // As Python passes them.
    fn new(
        op: &str,
        dtype: &str,
        logits: &[u8],
        target: Option<usize>,
        number: Option<f64>,
        other: Option<&[u8]>,
        classes: Option<Vec<i64>>,
    ) -> PyResult<Self> {
        let (op, dtype) = named(op, dtype)?;
        let format = dtype.input();
        let mut given = Vec::new();
        for input in op.others() {
            let value = match input.role.extent() {
                Extent::Row => other.map(|other| Value::from(values(format, other))),
                Extent::Index => target.map(Value::Index),
                Extent::Indices => {
                    let class = |&class: &i64| usize::try_from(class).ok();
                    classes.as_ref().map(|classes| classes.iter().map(class).collect::<Vec<_>>().into())
                }
                _ => number.map(Value::Number),
            };
            given.extend(value.map(|value| (input.name, value)));
        }
        let case = logitfuzz::Case::from_named(op, dtype, values(format, logits), given);
        Ok(Self(case.map_err(|error| fault(&error))?))
    }

    /// A case from its text, as findings print it.
    #[staticmethod]
    fn parse(text: &str) -> PyResult<Self> {
        logitfuzz::Case::parse(text).map(Self).map_err(|error| fault(&error))
    }

    #[getter]
    fn op(&self) -> &'static str {
        self.0.op().name()
    }

    #[getter]
    fn dtype(&self) -> &'static str {
        self.0.dtype().name()
    }

    /// The number of logits.
    #[getter]
    fn n(&self) -> usize {
        self.0.logits().len()
    }

    /// The number of outputs that are due.
    #[getter]
    fn outputs(&self) -> usize {
        self.0.op().outputs(self.n())
    }

    /// The class, where the op takes one.
    #[getter]
    fn target(&self) -> Option<usize> {
        others(&self.0).1
    }

    /// The class of each row, -100 where it is ignored, where the op takes several rows.
    #[getter]
    fn classes(&self) -> Option<Vec<i64>> {
        classes(&self.0)
    }

    /// The label smoothing or the scale, where the op takes one.
    #[getter]
    fn number(&self) -> Option<f64> {
        others(&self.0).2
    }

    /// The logits as bytes of the input format.
    fn logits<'py>(&self, py: Python<'py>) -> Bound<'py, PyByteArray> {
        PyByteArray::new(py, &bytes(self.0.dtype().input(), self.0.logits()))
    }

    /// The other row as bytes, where the op takes one.
    fn other<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyByteArray>> {
        others(&self.0).0.map(|values| PyByteArray::new(py, &bytes(self.0.dtype().input(), values)))
    }

    /// The byte form, as fuzz targets read it.
    fn encode<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.0.encode())
    }

    fn __str__(&self) -> String {
        self.0.to_string()
    }

    fn __eq__(&self, other: &Self) -> bool {
        self.0.to_string() == other.0.to_string()
    }

    fn __hash__(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.0.to_string().hash(&mut hasher);
        hasher.finish()
    }
}

/// The op and the dtype of these names.
pub fn named(op: &str, dtype: &str) -> PyResult<(Op, Dtype)> {
    let op = op.parse().map_err(|error| fault(&error))?;
    Ok((op, dtype.parse().map_err(|error: logitfuzz::Error| fault(&error))?))
}

/// A row of exactly `n` logits, made of one of the family: that row itself where it is as long. A shorter one is repeated until it fills
/// the row, or, at odd indices, is followed by logits of -inf, as rows of unequal lengths are padded in a batch. A row without logits is
/// followed by -inf alone.
pub fn filled(family: Family, dtype: Dtype, seed: u64, index: u64, n: usize) -> Vec<f64> {
    let mut row = generate::row(family, dtype, seed, index, n);
    let period = row.len();
    if period > 0 && index.is_multiple_of(2) {
        (period..n).for_each(|place| row.push(row[place - period]));
    } else {
        row.resize(n, f64::NEG_INFINITY);
    }
    row
}

/// The case of `op` that a family has at an index: of at most `max_len` logits, as the command makes it, or of exactly `n`. None where
/// the op has none. With `number`, the label smoothing or the scale is that one. With `rows`, a mean has so many rows of `n` logits each, every
/// one a row of the family.
#[pyfunction]
#[pyo3(signature = (op, dtype, family, seed, index, max_len, n=None, number=None, rows=None))]
#[allow(clippy::too_many_arguments)] // As Python passes them.
pub fn row(
    py: Python<'_>,
    op: &str,
    dtype: &str,
    family: &str,
    seed: u64,
    index: u64,
    max_len: usize,
    n: Option<usize>,
    number: Option<f64>,
    rows: Option<usize>,
) -> PyResult<Option<Case>> {
    let (op, dtype) = named(op, dtype)?;
    let family: Family = family.parse().map_err(|error: logitfuzz::Error| fault(&error))?;
    let made = py.detach(|| match (n, rows) {
        (Some(n), Some(rows)) => several(op, dtype, family, seed, index, n, rows),
        _ => made(op, dtype, family, seed, index, max_len, n, number),
    });
    Ok(made.map_err(|error| fault(&error))?.map(Case))
}

/// See [`row`].
#[allow(clippy::too_many_arguments)] // What names a row.
pub fn made(
    op: Op,
    dtype: Dtype,
    family: Family,
    seed: u64,
    index: u64,
    max_len: usize,
    n: Option<usize>,
    number: Option<f64>,
) -> logitfuzz::Result<Option<logitfuzz::Case>> {
    let logits: Arc<[f64]> = match n {
        Some(n) => filled(family, dtype, seed, index, n).into(),
        None => generate::row(family, dtype, seed, index, max_len).into(),
    };
    let case = generate::case(op, dtype, family.name(), seed, index, logits, None)?;
    case.map(|case| number.map_or(Ok(case.clone()), |number| with_number(&case, number))).transpose()
}

/// The case of a mean over so many rows of `n` logits each.
fn several(
    op: Op,
    dtype: Dtype,
    family: Family,
    seed: u64,
    index: u64,
    n: usize,
    rows: usize,
) -> logitfuzz::Result<Option<logitfuzz::Case>> {
    let row = |row: usize| filled(family, dtype, seed, index.wrapping_mul(rows as u64).wrapping_add(row as u64), n);
    let logits: Arc<[f64]> = (0..rows).flat_map(row).collect();
    generate::case_of_rows(op, dtype, family.name(), seed, index, logits, rows)
}

/// The smallest case on which `fails` is true that the reducer finds from `case`, which is taken to fail. `budget` is about the number of
/// calls; one of n logits costs 1 + n / 64.
#[pyfunction]
pub fn shrink(case: &Case, budget: usize, fails: &Bound<'_, PyAny>) -> PyResult<Case> {
    let mut shrinker = logitfuzz::shrink::Shrinker::new(case.0.clone(), budget);
    while let Some(candidate) = shrinker.candidate() {
        let candidate = Case(candidate.clone());
        let answer = fails.call1((candidate,))?;
        let answer = answer.is_truthy().map_err(|_| usage("`fails` must return True or False"))?;
        shrinker.answer(answer);
    }
    Ok(Case(shrinker.into_best()))
}
