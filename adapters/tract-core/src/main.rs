//! Serves tract, in f16, f32 and f64: softmax and log_softmax are its operator `Softmax` of either kind, along the last axis. In
//! f32, softmax runs the kernels of tract-linalg for this machine (`ReduceMax`, `Softmax2`, `MulByScalar`).

use logitfuzz::kernel::{Closure, Element};
use logitfuzz::{Op, worker};
use std::process::ExitCode;
use tract_core::internal::*;
use tract_core::ops::nn::{Softmax, SoftmaxKind};

fn main() -> ExitCode {
    let mut kernels = of_dtype::<f16>();
    kernels.extend(of_dtype::<f32>());
    kernels.extend(of_dtype::<f64>());
    worker::serve(kernels)
}

fn of_dtype<T: Element + Datum>() -> Vec<Closure> {
    [(Op::SOFTMAX, SoftmaxKind::Softmax), (Op::LOG_SOFTMAX, SoftmaxKind::LogSoftmax)]
        .into_iter()
        .map(|(op, kind)| {
            let operator = Softmax { axes: tvec![0], quant_output_dt: None, kind };
            Closure::new(env!("LIBRARY"), op, move |z: &[T], out: &mut [T]| {
                // An error of tract is a panic here, which the worker answers as an error of the row.
                let outputs = evaluated(&operator, z).unwrap_or_else(|error| panic!("{error:#}"));
                out.copy_from_slice(&outputs);
            })
            .of_version(env!("LIBRARY_VERSION"))
        })
        .collect()
}

fn evaluated<T: Datum>(operator: &Softmax, z: &[T]) -> TractResult<Vec<T>> {
    let outputs = operator.eval(&EvalContext::out_of_plan(), tvec![tensor1(z).into_tvalue()])?;
    let tensor = args_1!(outputs);
    Ok(tensor.try_as_plain_ram()?.as_slice::<T>()?.to_vec())
}
