//! Serves burn on its flex backend, in f16, bf16, f32 and f64:
//!
//! | op | function |
//! |---|---|
//! | softmax | `burn::tensor::activation::softmax` |
//! | log_softmax | `burn::tensor::activation::log_softmax` |
//! | cross_entropy, in f32 | `burn::nn::loss::CrossEntropyLoss`, with its own label smoothing |
//! | softmax_vjp, log_softmax_vjp, cross_entropy_grad | `burn::tensor::Tensor::backward` of these |

use burn::nn::loss::CrossEntropyLossConfig;
use burn::tensor::{self, Device, Int, Tensor, TensorData, activation};
use half::{bf16, f16};
use logitfuzz::kernel::{Closure, Element};
use logitfuzz::{Op, worker};
use std::process::ExitCode;

fn main() -> ExitCode {
    let loss = [
        // In f32 alone: the loss makes its smoothed targets in the dtype that a device has for the whole process, f32 unless
        // configured, and it takes the label smoothing as an f32.
        Closure::new(env!("LIBRARY"), Op::CROSS_ENTROPY, |z: &[f32], target, smoothing, out: &mut [f32]| {
            write(cross_entropy(row(z, &Device::flex()), target, smoothing), out);
        }),
        Closure::new(env!("LIBRARY"), Op::CROSS_ENTROPY_GRAD, |z: &[f32], target, smoothing, out: &mut [f32]| {
            write(gradient(z, |z| cross_entropy(z, target, smoothing)), out);
        }),
    ];
    let kernels = [of_dtype::<f16>(), of_dtype::<bf16>(), of_dtype::<f32>(), of_dtype::<f64>()];
    worker::serve(kernels.into_iter().flatten().chain(loss).map(|kernel| kernel.of_version(env!("LIBRARY_VERSION"))))
}

fn of_dtype<T: Element + tensor::Element>() -> [Closure; 4] {
    let forward = |op, function: fn(Tensor<1>) -> Tensor<1>| {
        Closure::new(env!("LIBRARY"), op, move |z: &[T], out: &mut [T]| write(function(row(z, &Device::flex())), out))
    };
    let backward = |op, function: fn(Tensor<1>) -> Tensor<1>| {
        Closure::new(env!("LIBRARY"), op, move |z: &[T], cotangent: &[T], out: &mut [T]| {
            let cotangent = row(cotangent, &Device::flex().autodiff());
            write(gradient(z, |z| (function(z) * cotangent).sum()), out);
        })
    };
    // Of these, only the fused softmax takes an empty row; burn says of the others: "max_dim: dimension 0 has size 0".
    [
        forward(Op::SOFTMAX, softmax),
        forward(Op::LOG_SOFTMAX, log_softmax).for_lengths(1..=usize::MAX),
        backward(Op::SOFTMAX_VJP, softmax).for_lengths(1..=usize::MAX),
        backward(Op::LOG_SOFTMAX_VJP, log_softmax).for_lengths(1..=usize::MAX),
    ]
}

fn softmax(z: Tensor<1>) -> Tensor<1> {
    activation::softmax(z, 0)
}

fn log_softmax(z: Tensor<1>) -> Tensor<1> {
    activation::log_softmax(z, 0)
}

fn cross_entropy(z: Tensor<1>, target: usize, smoothing: f32) -> Tensor<1> {
    let device = z.device();
    let target = Tensor::<1, Int>::from_data([target as i64], &device);
    let smoothing = (smoothing != 0.0).then_some(smoothing);
    CrossEntropyLossConfig::new().with_smoothing(smoothing).init(&device).forward(z.unsqueeze(), target)
}

fn row<T: tensor::Element>(z: &[T], device: &Device) -> Tensor<1> {
    Tensor::from_data(TensorData::new(z.to_vec(), [z.len()]), (device, T::dtype()))
}

/// The gradient of a scalar with respect to the logits.
fn gradient<T: tensor::Element>(z: &[T], scalar: impl FnOnce(Tensor<1>) -> Tensor<1>) -> Tensor<1> {
    let z = row(z, &Device::flex().autodiff()).require_grad();
    let gradients = scalar(z.clone()).backward();
    z.grad(&gradients).unwrap_or_else(|| panic!("backward gave no gradient of the logits"))
}

/// An error of burn is a panic here, which the worker answers as an error of the row.
fn write<T: tensor::Element>(tensor: Tensor<1>, out: &mut [T]) {
    let values = tensor.into_data().try_to_vec().unwrap_or_else(|error| panic!("{error:?}"));
    out.copy_from_slice(&values);
}
