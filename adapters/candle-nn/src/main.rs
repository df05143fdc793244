//! Serves candle on the CPU, in f16, bf16, f32 and f64:
//!
//! | kernel | op | function |
//! |---|---|---|
//! | `candle-nn` | softmax | `candle_nn::ops::softmax` |
//! | | log_softmax | `candle_nn::ops::log_softmax` |
//! | | logsumexp | `candle_core::Tensor::log_sum_exp` |
//! | | cross_entropy | `candle_nn::loss::cross_entropy`, which has no label smoothing |
//! | | softmax_vjp, log_softmax_vjp, cross_entropy_grad | `candle_core::Tensor::backward` of these |
//! | | sigmoid | `candle_nn::ops::sigmoid` |
//! | | bce_with_logits | `candle_nn::loss::binary_cross_entropy_with_logit`, which is the mean: of one element at a time |
//! | `candle-nn-last-dim` | softmax | `candle_nn::ops::softmax_last_dim`, the fused one, without a gradient |

use candle_core::{D, Device, Result, Tensor, Var, WithDType};
use half::{bf16, f16};
use logitfuzz::kernel::{Closure, Element};
use logitfuzz::{Op, worker};
use std::process::ExitCode;

fn main() -> ExitCode {
    let kernels = [of_dtype::<f16>(), of_dtype::<bf16>(), of_dtype::<f32>(), of_dtype::<f64>()];
    worker::serve(kernels.into_iter().flatten().map(|kernel| {
        // candle says of an empty row: "empty tensor for reduce".
        kernel.of_version(env!("LIBRARY_VERSION")).for_lengths(1..=usize::MAX)
    }))
}

fn of_dtype<T: Element + WithDType>() -> [Closure; 10] {
    let ours = |op, function: fn(&Tensor) -> Result<Tensor>| {
        Closure::new(env!("LIBRARY"), op, move |z: &[T], out: &mut [T]| write(row(z).and_then(|z| function(&z)), out))
    };
    let pulled_back = |op, function: fn(&Tensor) -> Result<Tensor>| {
        Closure::new(env!("LIBRARY"), op, move |z: &[T], cotangent: &[T], out: &mut [T]| {
            write(gradient(z, |z| (function(z)? * row(cotangent)?)?.sum_all()), out);
        })
    };
    [
        ours(Op::SOFTMAX, softmax),
        ours(Op::LOG_SOFTMAX, log_softmax),
        ours(Op::LOGSUMEXP, |z| z.log_sum_exp(D::Minus1)),
        Closure::new(env!("LIBRARY"), Op::CROSS_ENTROPY, |z: &[T], target, _: T, out: &mut [T]| {
            write(row(z).and_then(|z| loss(&z, target)), out);
        })
        .without_label_smoothing(),
        Closure::new(env!("LIBRARY"), Op::CROSS_ENTROPY_GRAD, |z: &[T], target, _: T, out: &mut [T]| {
            write(gradient(z, |z| loss(z, target)), out);
        })
        .without_label_smoothing(),
        ours(Op::SIGMOID, candle_nn::ops::sigmoid),
        Closure::new(env!("LIBRARY"), Op::BCE_WITH_LOGITS, |z: &[T], label: &[T], out: &mut [T]| {
            for (j, out) in out.chunks_mut(1).enumerate() {
                write(binary_loss(&z[j..=j], &label[j..=j]), out);
            }
        }),
        pulled_back(Op::SOFTMAX_VJP, softmax),
        pulled_back(Op::LOG_SOFTMAX_VJP, log_softmax),
        Closure::new(concat!(env!("LIBRARY"), "-last-dim"), Op::SOFTMAX, |z: &[T], out: &mut [T]| {
            write(row(z).and_then(|z| candle_nn::ops::softmax_last_dim(&z)), out);
        }),
    ]
}

fn softmax(z: &Tensor) -> Result<Tensor> {
    candle_nn::ops::softmax(z, D::Minus1)
}

fn log_softmax(z: &Tensor) -> Result<Tensor> {
    candle_nn::ops::log_softmax(z, D::Minus1)
}

fn loss(z: &Tensor, target: usize) -> Result<Tensor> {
    candle_nn::loss::cross_entropy(z, &Tensor::new(&[target as u32], &Device::Cpu)?)
}

fn binary_loss<T: WithDType>(z: &[T], label: &[T]) -> Result<Tensor> {
    candle_nn::loss::binary_cross_entropy_with_logit(&row(z)?, &row(label)?)
}

/// A batch of one row.
fn row<T: WithDType>(z: &[T]) -> Result<Tensor> {
    Tensor::from_slice(z, (1, z.len()), &Device::Cpu)
}

/// The gradient of a scalar with respect to the logits.
fn gradient<T: WithDType>(z: &[T], scalar: impl FnOnce(&Tensor) -> Result<Tensor>) -> Result<Tensor> {
    let z = Var::from_tensor(&row(z)?)?;
    let gradients = scalar(&z)?.backward()?;
    gradients.get(&z).cloned().ok_or_else(|| candle_core::Error::msg("backward gave no gradient of the logits"))
}

/// An error of candle is a panic here, which the worker answers as an error of the row.
fn write<T: WithDType>(tensor: Result<Tensor>, out: &mut [T]) {
    let values = tensor.and_then(|tensor| tensor.flatten_all()?.to_vec1()).unwrap_or_else(|error| panic!("{error}"));
    out.copy_from_slice(&values);
}
