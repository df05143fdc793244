//! Fuzz targets: what one execution does, and how its input is mutated. libFuzzer itself is not here, nor any engine: the macros
//! [`fuzz_target!`](crate::fuzz_target) and [`fuzz_kernel!`](crate::fuzz_kernel) connect a [`Target`] to the crate
//! `libfuzzer-sys` of the fuzz crate that calls them, and make an ordinary program of it where no fuzzer is built, which
//! replays files.
//!
//! An execution decodes its bytes ([`Case::decode`]), runs the target's kernels on the case, judges them against the certified
//! oracle, tells libFuzzer how near to their bounds they came ([`guidance`]), and panics with a whole finding where one fails.
//! So an artifact of the fuzzer is a file that `logitfuzz replay` and `logitfuzz shrink` read.
//!
//! The environment chooses what is fuzzed:
//!
//! * `LOGITFUZZ_KERNELS`: what the command takes as `--kernel` (built-in kernels by name or pattern, `c:LIB.so[:SYMBOL]`,
//!   `exec:COMMAND`, `NAME=KERNEL`; none with a comma in it), separated by commas. Default `shifted,log1p,branched`, which are
//!   correct, so a clean run means clean.
//! * `LOGITFUZZ_DTYPES`: dtypes, separated by commas. Default all.
//! * `LOGITFUZZ_GUIDANCE`: `counters`, `mutator`, both (the default) or `none`: to measure what each of them is worth.

use crate::case::Case;
use crate::check;
use crate::diagnosis::{describe, shrink_case};
use crate::dtype::Dtype;
use crate::error::{Error, Result};
use crate::fenv::Standard;
use crate::generate::draw::Draw;
use crate::generate::mutate::{crossover, mutate, recast};
use crate::judge::Judgement;
use crate::kernel::{Closure, Element, IntoClosure, Kernel, accepts, trouble};
use crate::op::Op;
use crate::oracle::Oracle;
use crate::quiet::quietly;
use crate::results;
use crate::trial::Trial;
use crate::words::plural;
use arbitrary::{Arbitrary, Unstructured};
use std::ffi::OsString;
use std::fmt;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

#[doc(hidden)]
pub use readers::{outside, replay_outside};

pub mod guidance;
mod readers;
mod replay;
mod select;
#[cfg(test)]
mod tests;

/// One mutation in so many is libFuzzer's own, on the bytes: it knows which comparisons failed, and does what nobody thought of.
const BYTES_SHARE: u64 = 8;

/// One mutation in so many joins two inputs. (libFuzzer would make half of all mutations crossovers if it were asked to.)
const CROSSOVER_SHARE: u64 = 6;

/// One mutation in so many changes the op or the dtype.
const RECAST_SHARE: u64 = 24;

/// How many of the latest inputs are kept to be joined with others.
const POOL: usize = 64;

/// A mutation of bytes, as `libfuzzer_sys::fuzzer_mutate`: the buffer, the size of the input in it, and the most it may become.
pub type MutateBytes = fn(&mut [u8], usize, usize) -> usize;

/// A fuzz target: some kernels, the ops and dtypes on which they are run, and what an execution needs.
pub struct Target {
    kernels: Vec<Arc<dyn Kernel>>,
    /// Whether `logitfuzz --kernel` selects the kernels by what they say of themselves.
    selectable: bool,
    /// Each op and dtype that some kernel computes.
    cells: Vec<(Op, Dtype)>,
    oracle: Oracle,
    pool: Vec<Case>,
    counts: bool,
    mutates: bool,
}

/// The input of an execution: any bytes, as a case. It is a type so that `cargo fuzz fmt` shows it as a case.
#[derive(Clone, PartialEq)]
pub struct FuzzInput(pub Case);

/// What the kernels of a target did on a case.
struct Execution {
    /// The kernel that did worst, and what is said of it.
    kernel: Arc<dyn Kernel>,
    judgement: Judgement,
}

impl Target {
    /// A target for the kernels that `LOGITFUZZ_KERNELS` names, on these ops.
    ///
    /// # Errors
    /// An unknown kernel, dtype or guidance; kernels that compute none of the ops in any of the dtypes.
    pub fn builtin(ops: &[Op]) -> Result<Self> {
        Ok(Self { selectable: true, ..Self::new(select::kernels(ops)?, ops)? })
    }

    /// A target for these kernels on these ops, in the dtypes of `LOGITFUZZ_DTYPES`.
    ///
    /// # Errors
    /// An unknown dtype or guidance; kernels that compute none of the ops in any of the dtypes.
    pub fn new(kernels: Vec<Arc<dyn Kernel>>, ops: &[Op]) -> Result<Self> {
        let dtypes = select::dtypes()?;
        let cells = ops.iter().flat_map(|&op| dtypes.iter().map(move |&dtype| (op, dtype)));
        let is_computed = |&(op, dtype): &(Op, Dtype)| kernels.iter().any(|kernel| kernel.supports(op, dtype));
        let cells: Vec<(Op, Dtype)> = cells.filter(is_computed).collect();
        if cells.is_empty() {
            let names: Vec<&str> = ops.iter().map(|op| op.name()).collect();
            return Err(Error::nothing_selected(format!(
                "nothing to fuzz: no kernel computes {} in any of the dtypes",
                names.join(" or ")
            )));
        }
        let (counts, mutates) = select::guidance()?;
        Ok(Self { kernels, selectable: false, cells, oracle: Oracle::new(), pool: Vec::new(), counts, mutates })
    }

    /// A target for one kernel of one op, given as a function, with the arguments that [`Check::kernel`](crate::Check::kernel)
    /// takes; its slices decide the dtype. It is judged as a textbook kernel is.
    ///
    /// # Errors
    /// `LOGITFUZZ_DTYPES` leaves out its dtype.
    ///
    /// # Panics
    /// If the function's arguments are not those of the op.
    pub fn function<T: Element, U: Element, Arguments>(
        name: &str,
        op: Op,
        function: impl IntoClosure<(T, U), Arguments>,
    ) -> Result<Self> {
        Self::new(vec![Arc::new(Closure::new(name, op, function))], &[op])
    }

    /// Runs the kernels on a case and tells the fuzzer how it went. False where the target has no such case: the fuzzer should
    /// not keep it.
    ///
    /// # Panics
    /// Where a kernel fails, with the finding: the shrunk input in decimal and in hex, the truth, what was returned, why, and how
    /// to replay it.
    pub fn execute(&mut self, input: &FuzzInput) -> bool {
        let _standard = Standard::enter();
        let Some(execution) = self.judge(&input.0) else { return false };
        if execution.judgement.verdict.is_failure() {
            let message = self.message(&execution, &input.0);
            panic!("{message}");
        }
        if self.counts {
            guidance::record(&input.0, &execution.judgement);
        }
        true
    }

    /// What the kernel that does worst does on a case; none where the target has no such case.
    fn judge(&mut self, case: &Case) -> Option<Execution> {
        let Self { kernels, cells, oracle, .. } = self;
        if !cells.contains(&(case.op(), case.dtype())) {
            return None;
        }
        let mut trial = Trial::new(case);
        let mut worst: Option<Execution> = None;
        for kernel in kernels.iter().filter(|kernel| accepts(kernel.as_ref(), case)) {
            let claims = kernel.claims(case.op(), case.dtype());
            let judgement = quietly(|| trial.judge(oracle, kernel.as_ref(), &claims));
            if let Some(error) = trouble(kernel.as_ref()) {
                // Nothing is measured from here on, and that must not pass for a kernel without a fault.
                end(&error);
            }
            let badness = |judgement: &Judgement| (judgement.verdict, judgement.max_ratio);
            if worst.as_ref().is_none_or(|worst| badness(&worst.judgement) < badness(&judgement)) {
                worst = Some(Execution { kernel: kernel.clone(), judgement });
            }
        }
        worst
    }

    /// The finding of an execution that failed, in words.
    fn message(&mut self, execution: &Execution, case: &Case) -> String {
        let kernel = execution.kernel.as_ref();
        let claims = kernel.claims(case.op(), case.dtype());
        quietly(|| {
            let shrunk = shrink_case(&mut self.oracle, kernel, &claims, case);
            let finding = describe(&mut self.oracle, kernel, &claims, &shrunk);
            let replay = if self.selectable {
                results::command(&kernel.selector(), None, None, &shrunk)
            } else {
                check::replay_text(&shrunk)
            };
            let shrunk_from = if shrunk == *case {
                String::new()
            } else {
                format!("\n  shrunk from {}", plural(case.logits().len(), "logit"))
            };
            check::finding_text(&finding, &shrunk, &replay) + &shrunk_from
        })
    }

    /// Mutates the input in `data[..size]` in place, for libFuzzer's custom mutator: returns the new size, at most `max_size` and
    /// at least 1. `seed` decides everything but what `mutate_bytes` does, which is libFuzzer's own mutation.
    pub fn mutate(
        &mut self,
        data: &mut [u8],
        size: usize,
        max_size: usize,
        seed: u32,
        mutate_bytes: MutateBytes,
    ) -> usize {
        if !self.mutates {
            return mutate_bytes(data, size, max_size);
        }
        let mut draw = Draw::from_seed(u64::from(seed));
        let (op, dtype) = draw.choose(&self.cells);
        let case = Case::decode(&data[..size]);
        let is_ours = self.cells.contains(&(case.op(), case.dtype()));
        // What does not fit is left to the fuzzer, too: it begins with inputs shorter than a header.
        let max_len = Case::logits_in(op, dtype, max_size);
        if draw.chance(BYTES_SHARE) || max_len == 0 {
            let size = mutate_bytes(data, size, max_size).clamp(1, max_size);
            let (op, dtype) = if is_ours { (case.op(), case.dtype()) } else { (op, dtype) };
            let header = Case::header(op, dtype);
            data[..size].iter_mut().zip(header).for_each(|(byte, header)| *byte = header);
            return size;
        }
        let case =
            if !is_ours || draw.chance(RECAST_SHARE) { recast(&case, op, dtype, &mut draw, max_len) } else { case };
        let max_len = Case::logits_in(case.op(), case.dtype(), max_size);
        let mutated = if !self.pool.is_empty() && draw.chance(CROSSOVER_SHARE) {
            let other = &self.pool[draw.index(self.pool.len())];
            crossover(&case, other, &mut draw, max_len)
        } else {
            mutate(&case, &mut draw, max_len)
        };
        // What libFuzzer mutates is in its corpus, so it is worth joining.
        if self.pool.len() < POOL {
            self.pool.push(case);
        } else {
            self.pool[draw.index(POOL)] = case;
        }
        let bytes = mutated.encode();
        data[..bytes.len()].copy_from_slice(&bytes);
        bytes.len()
    }
}

impl<'a> Arbitrary<'a> for FuzzInput {
    fn arbitrary(u: &mut Unstructured<'a>) -> arbitrary::Result<Self> {
        Ok(Self(Case::decode(u.bytes(u.len())?)))
    }
}

impl fmt::Debug for FuzzInput {
    /// The case in decimal and in hex, and how to replay it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(case) = self;
        writeln!(f, "{} {} of {}", case.op(), case.dtype(), plural(case.logits().len(), "logit"))?;
        writeln!(f, "  {}", check::input_text(case))?;
        write!(f, "  replay: logitfuzz replay '{case}'")
    }
}

/// For the macros: the target behind a lock, or the end of the program with one line on standard error and the exit code of the
/// error.
#[doc(hidden)]
pub fn ready(target: Result<Target>) -> Mutex<Target> {
    match target {
        Ok(target) => Mutex::new(target),
        Err(error) => end(&error),
    }
}

/// Ends the program with one line on standard error.
fn end(error: &Error) -> ! {
    eprintln!("error: {error}");
    std::process::exit(i32::from(error.exit_code()))
}

/// For the macros: the target.
#[doc(hidden)]
pub fn lock(target: &'static Mutex<Target>) -> MutexGuard<'static, Target> {
    target.lock().unwrap_or_else(PoisonError::into_inner)
}

/// For the macros: the ordinary program, which replays the files and the folders of files that it is given.
#[doc(hidden)]
pub fn replay(target: &mut Target, arguments: impl Iterator<Item = OsString>) -> ExitCode {
    match replay::replay(target, arguments) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}

/// Makes a program of a [`Target`](crate::fuzz::Target): a fuzz target under `cargo fuzz`, and elsewhere an ordinary program that replays
/// files and folders given as arguments.
///
/// It takes an expression of type `Result<Target>`. The file must begin with `#![cfg_attr(fuzzing, no_main)]`, and its crate must
/// depend on `logitfuzz` with the feature `arbitrary`, and under `cfg(fuzzing)` on `libfuzzer-sys`.
#[macro_export]
macro_rules! fuzz_target {
    ($target:expr) => {
        fn target() -> ::std::sync::MutexGuard<'static, $crate::fuzz::Target> {
            static TARGET: ::std::sync::LazyLock<::std::sync::Mutex<$crate::fuzz::Target>> =
                ::std::sync::LazyLock::new(|| $crate::fuzz::ready($target));
            $crate::fuzz::lock(&TARGET)
        }

        #[cfg(fuzzing)]
        ::libfuzzer_sys::fuzz_target!(
            // Here the program may still end with a line on what is wrong; later libFuzzer would take that for a crash.
            init: drop(target()),
            |input: $crate::fuzz::FuzzInput| -> ::libfuzzer_sys::Corpus {
                if target().execute(&input) { ::libfuzzer_sys::Corpus::Keep } else { ::libfuzzer_sys::Corpus::Reject }
            }
        );

        #[cfg(fuzzing)]
        ::libfuzzer_sys::fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
            target().mutate(data, size, max_size, seed, ::libfuzzer_sys::fuzzer_mutate)
        });

        #[cfg(not(fuzzing))]
        fn main() -> ::std::process::ExitCode {
            $crate::fuzz::replay(&mut target(), ::std::env::args_os().skip(1))
        }
    };
}

/// A fuzz target for a kernel of one's own: its name, its op, and a function with the arguments of the op, as
/// [`Check::kernel`](crate::Check::kernel) takes it. See [`fuzz_target!`](crate::fuzz_target) for what the crate needs.
///
/// ```ignore
/// #![cfg_attr(fuzzing, no_main)]
/// logitfuzz::fuzz_kernel!("my_softmax", logitfuzz::Op::SOFTMAX, |z: &[f32], out: &mut [f32]| {
///     my_crate::softmax(z, out)
/// });
/// ```
#[macro_export]
macro_rules! fuzz_kernel {
    ($name:expr, $op:expr, $function:expr $(,)?) => {
        $crate::fuzz_target!($crate::fuzz::Target::function($name, $op, $function));
    };
}
