//! Serves the crate `logsumexp`, in f32 and f64:
//!
//! | kernel | op | function |
//! |---|---|---|
//! | `logsumexp` | logsumexp | `LogSumExp::ln_sum_exp` of an iterator |
//! | `logsumexp-pair` | logsumexp of two logits | `LogAddExp::ln_add_exp` |

use logitfuzz::kernel::{Closure, Online};
use logitfuzz::{Claims, Op, worker};
use logsumexp::{LogAddExp, LogSumExp};
use std::process::ExitCode;

fn main() -> ExitCode {
    // Its documentation calls `ln_sum_exp` a one-pass (online) algorithm.
    let online = Claims { online: Online::Sum, ..Claims::default() };
    let row = [
        Closure::new(env!("LIBRARY"), Op::LOGSUMEXP, |z: &[f32], out: &mut [f32]| out[0] = z.iter().ln_sum_exp()),
        Closure::new(env!("LIBRARY"), Op::LOGSUMEXP, |z: &[f64], out: &mut [f64]| out[0] = z.iter().ln_sum_exp()),
    ];
    let pair = [
        Closure::new(PAIR, Op::LOGSUMEXP, |z: &[f32], out: &mut [f32]| out[0] = z[0].ln_add_exp(z[1])),
        Closure::new(PAIR, Op::LOGSUMEXP, |z: &[f64], out: &mut [f64]| out[0] = z[0].ln_add_exp(z[1])),
    ];
    let kernels = row.map(|kernel| kernel.claiming(online.clone())).into_iter();
    let kernels = kernels.chain(pair.map(|kernel| kernel.for_lengths(2..=2)));
    worker::serve(kernels.map(|kernel| kernel.of_version(env!("LIBRARY_VERSION"))))
}

const PAIR: &str = concat!(env!("LIBRARY"), "-pair");
