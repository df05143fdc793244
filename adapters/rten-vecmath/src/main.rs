//! Serves rten-vecmath, in f32, the only dtype it has: softmax is `Softmax`, log_softmax is `LogSoftmax`, both in place.

use logitfuzz::kernel::Closure;
use logitfuzz::{Claims, Op, worker};
use rten_simd::SimdOp;
use rten_vecmath::{LogSoftmax, Softmax};
use std::process::ExitCode;

fn main() -> ExitCode {
    // What its source states of the exp that both use (src/exp.rs, `ReducedRangeExp`): it is 0 below about -87.67, where a
    // float would still hold a subnormal number.
    let claims = Claims { flush_to_zero: true, ..Claims::default() };
    let kernels = [
        Closure::new(env!("LIBRARY"), Op::SOFTMAX, |z: &[f32], out: &mut [f32]| {
            out.copy_from_slice(z);
            Softmax::new_mut(out).dispatch();
        }),
        Closure::new(env!("LIBRARY"), Op::LOG_SOFTMAX, |z: &[f32], out: &mut [f32]| {
            out.copy_from_slice(z);
            LogSoftmax::new_mut(out).dispatch();
        }),
    ];
    worker::serve(kernels.map(|kernel| kernel.claiming(claims.clone()).of_version(env!("LIBRARY_VERSION"))))
}
