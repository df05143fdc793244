//! logitfuzz hunts numerical instability in kernels of the softmax family: softmax, log-softmax, log-sum-exp, cross-entropy with
//! label smoothing, their gradients and Jacobian products, and of elementwise functions beside them (sigmoid, softplus, log-sigmoid and
//! gradients of these, binary cross-entropy of logits, logarithms of sums and differences); in f16, bf16, f32 and f64, and
//! where f16 or bf16 is read and f32 written.
//!
//! It makes adversarial logits, runs a kernel on them, measures every output against an oracle whose answers are
//! certified, and says which results are NaN, infinite, or worse than the textbook algorithm, with the smallest input that
//! shows it.
//!
//! ```
//! use logitfuzz::Op;
//!
//! /// A softmax as one writes it first.
//! fn softmax(z: &[f32], out: &mut [f32]) {
//!     let sum: f32 = z.iter().map(|z| z.exp()).sum();
//!     for (out, z) in out.iter_mut().zip(z) {
//!         *out = z.exp() / sum;
//!     }
//! }
//!
//! let check = logitfuzz::check(Op::SOFTMAX).kernel("my_softmax", softmax).cases(500);
//! let findings = check.findings().unwrap();
//! // It answers as a planted defect does that subtracts no maximum: exp(89) is infinite in f32.
//! let mut like = findings.iter().filter_map(|finding| finding.answers_like.as_ref());
//! assert!(like.any(|like| like.kernel == "defect/unshifted"));
//! ```
//!
//! In a test of your own, [`Check::assert_stable`] panics with the smallest failing input, in hex and in decimal, and says how to
//! replay it.
//!
//! # The way through
//!
//! ```text
//! generate ──> Case ──> Kernel ──> Outcome ──> judge(oracle, bounds) ──> campaign ──> report
//! ```
//!
//! * [`generate`]: named families of inputs; `Arbitrary` for [`Case`], a proptest [`strategy`], rows from files.
//! * [`op`]: the ops; [`op::signature`]: what each takes and returns, as data. [`dtype`]: the dtypes.
//! * [`case`]: one input, and its text and byte forms.
//! * [`kernel`]: the implementations under test: built-in ones, closures, your own `impl Kernel`, kernels in other languages; what
//!   they claim. [`worker`]: a program that serves kernels.
//! * [`oracle`]: the truth of a case. [`judge`](mod@judge): errors in ulps, bounds, relations, verdicts.
//! * [`diagnosis`]: why a case fails on a kernel. [`shrink`](mod@shrink): smaller failing cases.
//! * [`campaign`]: many cases in parallel, counts, findings.
//! * [`fuzz`]: targets for `cargo fuzz`, for the built-in kernels and for your own.
//! * [`results`] and [`report`]: what was found, as data and for people. [`baseline`]: whether a kernel got worse.
//!
//! # Features
//!
//! * `oracle`: everything that judges, in pure Rust. Without it there are cases, kernels, closures, [`worker::serve`] and
//!   [`shrink`](mod@shrink): what a program needs that serves its kernels to the command.
//! * `mpfr`: MPFR and GMP, which are built from their C sources, under the oracle in place of its own numbers, which are equal to theirs in every
//!   bit. It brings `oracle`.
//! * `cli`: the command `logitfuzz`. `proptest`: [`strategy`]. `arbitrary`: `Arbitrary` for [`Case`], and [`fuzz`]. Each brings `oracle`.
//! * `system-mpfr`: MPFR and GMP as the system has them, in place of a build of their own. It brings `mpfr`.
//!
//! All but `system-mpfr` are on by default.
#![warn(missing_docs)]
// Allowed where it is needed, file by file and with its reason: at the boundary to C, to watch over processes, for the control state of
// a thread, and for the counters that a fuzzer reads.
#![deny(unsafe_code)]
// What is said of an op, a claim or a file is said once; without the oracle, or kernels from outside, nobody asks for all of it.
#![cfg_attr(not(all(unix, feature = "oracle")), allow(dead_code, unused_imports))]

#[cfg(feature = "oracle")]
pub mod baseline;
#[cfg(feature = "oracle")]
pub mod campaign;
pub mod case;
#[cfg(feature = "oracle")]
mod check;
#[cfg(feature = "oracle")]
mod checksum;
#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod cli;
#[cfg(feature = "oracle")]
pub mod diagnosis;
pub mod dtype;
pub mod error;
#[cfg(feature = "cli")]
mod exhaust;
mod fenv;
#[cfg(feature = "oracle")]
mod files;
#[cfg(all(unix, feature = "oracle"))]
pub mod foreign;
#[cfg(feature = "arbitrary")]
pub mod fuzz;
#[cfg(feature = "oracle")]
pub mod generate;
mod json;
#[cfg(feature = "oracle")]
pub mod judge;
pub mod kernel;
pub mod magnitude;
mod named;
#[cfg(feature = "oracle")]
mod number;
pub mod op;
// The result of an operation on MPFR's numbers is converted where it is used; on our own it is one of them.
#[cfg(feature = "oracle")]
#[cfg_attr(not(feature = "mpfr"), allow(clippy::cmp_owned, clippy::useless_conversion))]
pub mod oracle;
mod outside;
mod protocol;
#[cfg(feature = "oracle")]
mod quiet;
#[cfg(feature = "oracle")]
pub mod report;
#[cfg(feature = "oracle")]
pub mod results;
#[cfg(any(feature = "cli", feature = "arbitrary"))]
mod select;
pub mod shrink;
mod special;
#[cfg(feature = "oracle")]
#[doc(hidden)]
pub mod trial;
mod words;
pub mod worker;

pub use case::Case;
#[cfg(feature = "oracle")]
pub use check::{Check, check, finding_text};
pub use dtype::Dtype;
pub use error::{Error, Result};
#[cfg(feature = "oracle")]
pub use generate::Family;
#[cfg(feature = "proptest")]
pub use generate::strategy;
#[cfg(feature = "oracle")]
pub use judge::{Grade, Verdict, judge};
pub use kernel::{Claims, Kernel};
pub use op::Op;
#[cfg(feature = "oracle")]
pub use oracle::Oracle;
#[cfg(feature = "oracle")]
pub use results::Cause;
pub use special::{RowClass, Special};

// The Rust blocks of the README run as documentation tests.
#[cfg(all(doctest, feature = "proptest"))]
#[doc = include_str!("../README.md")]
struct Readme;
