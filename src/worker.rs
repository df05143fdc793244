//! Being a worker: a program that serves kernels to logitfuzz over the worker protocol (`docs/worker-protocol.md`).
//!
//! ```no_run
//! use logitfuzz::kernel::Closure;
//! use logitfuzz::{Op, worker};
//!
//! fn softmax(z: &[f32], out: &mut [f32]) {
//!     # let _ = (z, out);
//!     // of the library that you want to test
//! }
//!
//! fn main() -> std::process::ExitCode {
//!     worker::serve([Closure::new("mine", Op::SOFTMAX, softmax)])
//! }
//! ```
//!
//! `logitfuzz run --kernel exec:target/release/my_worker` then runs it. [`serve`] is one side of the protocol; the other side,
//! which starts workers and watches over them, is [`foreign`](crate::foreign).

use crate::dtype::Dtype;
use crate::fenv;
use crate::kernel::{self, Kernel};
use crate::op::Op;
use crate::protocol::frame::{self, Asked};
use crate::protocol::hello::{Environment, Frames, Function, Hello, Served};
use crate::protocol::{PROTOCOL, VERSIONS};
use std::io::{self, Read, Write};
use std::process::ExitCode;

/// Serves the kernels on standard input and output until the input ends. Kernels of the same name are one kernel; of two that
/// implement the same op in the same dtype the first counts. Whatever the kernels print goes to standard error.
///
/// The exit code is 0, or 3 where the two sides do not understand each other; standard error then says why.
pub fn serve<K: Kernel>(kernels: impl IntoIterator<Item = K>) -> ExitCode {
    // Whatever this program did before: what is converted here must not depend on it. Every call of a kernel puts it back.
    if let Err(error) = fenv::ensure_standard() {
        let _ = writeln!(io::stderr(), "logitfuzz worker: {error}");
        return ExitCode::from(3);
    }
    let kernels: Vec<K> = kernels.into_iter().collect();
    let outcome = claimed_output().and_then(|output| converse(&kernels, io::stdin().lock(), output));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        // The other side went away: that is an end, too.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "logitfuzz worker: {error}");
            ExitCode::from(3)
        }
    }
}

/// Standard output for the protocol alone: from here on, what anybody else in this process prints goes to standard error.
#[cfg(unix)]
fn claimed_output() -> io::Result<impl Write> {
    let wire = rustix::io::dup(rustix::stdio::stdout())?;
    rustix::stdio::dup2_stdout(rustix::stdio::stderr())?;
    Ok(std::fs::File::from(wire))
}

#[cfg(not(unix))]
fn claimed_output() -> io::Result<impl Write> {
    Ok(io::stdout())
}

/// The whole conversation.
fn converse<K: Kernel>(kernels: &[K], mut input: impl Read, mut output: impl Write) -> io::Result<()> {
    let (hello, served) = introduce(kernels);
    let functions = hello.functions();
    let mut message = serde_json::to_vec(&hello)?;
    message.push(b'\n');
    let mut request = Vec::new();
    loop {
        output.write_all(&message)?;
        output.flush()?;
        if !frame::receive(&mut input, &mut request)? {
            return Ok(());
        }
        let calls = frame::read_request(&functions, &request).map_err(io::Error::other)?;
        let (mut numbers, mut outcomes) = (Vec::new(), Vec::new());
        for (function, asked) in &calls {
            let kernel = &kernels[served[*function]];
            numbers.extend(std::iter::repeat_n(*function, asked.rows()));
            match asked {
                Asked::Row(case) => outcomes.push(kernel::run(kernel, case)),
                Asked::Batch(batch) => outcomes.extend(kernel::run_batch(kernel, batch)),
            }
        }
        message.clear();
        frame::write_answer(&functions, numbers.into_iter().zip(&outcomes), &mut message);
    }
}

/// The hello for these kernels, and for each function in it the kernel that computes it.
fn introduce<K: Kernel>(kernels: &[K]) -> (Hello, Vec<usize>) {
    let mut offered: Vec<Served> = Vec::new();
    let mut places: Vec<Vec<usize>> = Vec::new();
    for (index, kernel) in kernels.iter().enumerate() {
        let place = offered.iter().position(|other| other.name == kernel.name()).unwrap_or_else(|| {
            let version = kernel.version().map(str::to_owned);
            offered.push(Served {
                name: kernel.name().to_owned(),
                version,
                deterministic: kernel.is_deterministic(),
                environment: kernel.flushes_when_loaded().then_some(Environment::FlushToZero),
                functions: Vec::new(),
            });
            places.push(Vec::new());
            offered.len() - 1
        });
        for &op in Op::ALL {
            for dtype in Dtype::ALL.into_iter().filter(|&dtype| kernel.supports(op, dtype)) {
                let functions = &mut offered[place].functions;
                if !functions.iter().any(|other| (other.op, other.dtype) == (op, dtype)) {
                    let lengths = kernel.lengths(op, dtype);
                    functions.push(Function {
                        op,
                        dtype,
                        claims: kernel.claims(op, dtype).to_string(),
                        min_len: *lengths.start(),
                        max_len: *lengths.end(),
                        label_smoothing: kernel.takes_label_smoothing(op, dtype),
                        batched: kernel.batched(op, dtype).is_some(),
                    });
                    places[place].push(index);
                }
            }
        }
    }
    // What has no batches is understood by who speaks the first version alone.
    let has_batches = offered.iter().flat_map(|kernel| &kernel.functions).any(|function| function.batched);
    let version = if has_batches { PROTOCOL } else { *VERSIONS.start() };
    (Hello { logitfuzz_worker: version, frames: Frames::Binary, kernels: offered }, places.concat())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case::Case;
    use crate::kernel::{Closure, Fault, Outcome};

    /// A whole conversation: the hello, a batch with a row of each function and one that panics, its answer, the end.
    #[test]
    fn a_conversation() {
        let kernels = [
            Closure::new("a", Op::LOGSUMEXP, |z: &[f64], out: &mut [f64]| out[0] = z[0]).of_version("1.0"),
            Closure::new("b", Op::SOFTMAX, |z: &[f32], out: &mut [f32]| out.copy_from_slice(z)),
            Closure::new("a", Op::SOFTMAX, |z: &[f64], out: &mut [f64]| out.copy_from_slice(z)).for_lengths(1..=9),
        ];
        let cases = ["logsumexp f64 [7]", "softmax f64 [1, 2]", "softmax f32 [3]", "logsumexp f64 []"];
        let cases = cases.map(|text| Case::parse(text).unwrap());
        let mut batch = Vec::new();
        let calls = [(0, &cases[0]), (1, &cases[1]), (2, &cases[2]), (0, &cases[3])];
        frame::write_request(&calls.map(|(function, case)| frame::Call::row(function, case)), &mut batch);
        let mut said = Vec::new();
        converse(&kernels, &batch[..], &mut said).unwrap();

        let end = said.iter().position(|&byte| byte == b'\n').unwrap();
        let hello = Hello::read(std::str::from_utf8(&said[..end]).unwrap()).unwrap();
        let names: Vec<&str> = hello.kernels.iter().map(|kernel| kernel.name.as_str()).collect();
        assert_eq!(names, ["a", "b"]);
        assert_eq!(hello.kernels[0].version.as_deref(), Some("1.0"));
        assert_eq!(hello.kernels[0].functions[1].max_len, 9);
        let functions =
            [(Op::LOGSUMEXP, Dtype::F64, false), (Op::SOFTMAX, Dtype::F64, false), (Op::SOFTMAX, Dtype::F32, false)];
        assert_eq!(hello.functions(), functions);

        let dtypes = [Dtype::F64, Dtype::F64, Dtype::F32, Dtype::F64].into_iter();
        let answer = frame::read_answer(dtypes, &said[end + 1 + frame::PREFIX..]).unwrap();
        assert_eq!(answer[..3], [vec![7.0], vec![1.0, 2.0], vec![3.0]].map(Outcome::Outputs));
        assert!(matches!(&answer[3], Outcome::Failed(Fault::Panic, message) if message.contains("out of bounds")));
    }
}
