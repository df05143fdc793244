//! Serves smartcore, in f32 and f64: softmax is `MutArrayView1::softmax_mut`, which its logistic regression calls.

use logitfuzz::kernel::{Closure, Element};
use logitfuzz::{Op, worker};
use smartcore::linalg::basic::arrays::MutArrayView1;
use smartcore::numbers::realnum::RealNumber;
use std::process::ExitCode;

fn main() -> ExitCode {
    let kernels = [
        Closure::new(env!("LIBRARY"), Op::SOFTMAX, softmax::<f32>),
        Closure::new(env!("LIBRARY"), Op::SOFTMAX, softmax::<f64>),
    ];
    worker::serve(kernels.map(|kernel| kernel.of_version(env!("LIBRARY_VERSION"))))
}

fn softmax<T: Element + RealNumber>(z: &[T], out: &mut [T]) {
    let mut row = z.to_vec();
    row.softmax_mut();
    out.copy_from_slice(&row);
}
