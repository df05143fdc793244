//! Serves rten-vecmath, in f32, the only dtype it has: softmax is `Softmax`, log_softmax is `LogSoftmax`, both in place.

use logitfuzz::kernel::Closure;
use logitfuzz::{Claims, Op, worker};
use rten_simd::SimdOp;
use rten_vecmath::{LogSoftmax, Softmax};
use std::process::ExitCode;

fn main() -> ExitCode {
    let claims = Claims {
        // What its source states of the exp that both use (src/exp.rs, `ReducedRangeExp`, held by its tests to
        // `MAX_EXP_ERROR_ULPS`): at most 1 ulp from the standard library's, which itself is within half an ulp and a little.
        // One and a half ulps are three units of roundoff.
        exp: 3.0,
        // Also stated there: exp is 0 below about -87.67, that is, where the result would be subnormal.
        flush_to_zero: true,
        ..Claims::default()
    };
    let kernels = [
        Closure::new(env!("LIBRARY"), Op::Softmax, |z: &[f32], out: &mut [f32]| {
            out.copy_from_slice(z);
            Softmax::new_mut(out).dispatch();
        }),
        Closure::new(env!("LIBRARY"), Op::LogSoftmax, |z: &[f32], out: &mut [f32]| {
            out.copy_from_slice(z);
            LogSoftmax::new_mut(out).dispatch();
        }),
    ];
    worker::serve(kernels.map(|kernel| kernel.claiming(claims.clone()).of_version(env!("LIBRARY_VERSION"))))
}
