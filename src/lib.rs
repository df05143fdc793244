//! logitfuzz hunts numerical instability in kernels of the softmax family: softmax, log-softmax, log-sum-exp, cross-entropy with
//! label smoothing, their gradients and Jacobian products, in f16, bf16, f32 and f64.
//!
//! It makes adversarial logits, runs a kernel on them, measures every output against an MPFR oracle whose answers are
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
//! let check = logitfuzz::check(Op::Softmax).kernel("my_softmax", softmax).cases(500);
//! let findings = check.findings().unwrap();
//! assert!(findings.iter().any(|finding| finding.cause == Some(logitfuzz::Cause::ExpOverflow))); // exp(89) is infinite in f32
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
//! * [`case`]: one input, and its text and byte forms.
//! * [`kernel`]: the implementations under test: built-in ones, closures, your own `impl Kernel`, kernels in other languages; what
//!   they claim. [`worker`]: a program that serves kernels.
//! * [`oracle`]: the truth of a case. [`judge`](mod@judge): errors in ulps, bounds, relations, verdicts.
//! * [`diagnosis`]: why a case fails on a kernel. [`shrink`](mod@shrink): smaller failing cases.
//! * [`campaign`]: many cases in parallel, counts, findings.
//! * [`fuzz`]: targets for `cargo fuzz`, for the built-in kernels and for your own.
//! * [`results`] and [`report`]: what was found, as data and for people. [`baseline`]: whether a kernel got worse.
//!
//! Features: `cli` (the command), `proptest`, `arbitrary`; all are on by default.
#![warn(missing_docs)]

pub mod baseline;
pub mod campaign;
pub mod case;
mod check;
mod checksum;
#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod cli;
pub mod diagnosis;
pub mod dtype;
pub mod error;
mod fenv;
mod files;
#[cfg(unix)]
pub mod foreign;
#[cfg(feature = "arbitrary")]
pub mod fuzz;
pub mod generate;
mod json;
pub mod judge;
pub mod kernel;
pub mod magnitude;
mod named;
pub mod op;
pub mod oracle;
mod outside;
mod protocol;
mod quiet;
pub mod report;
pub mod results;
#[cfg(any(feature = "cli", feature = "arbitrary"))]
mod select;
pub mod shrink;
mod special;
mod trial;
mod words;
pub mod worker;

pub use case::Case;
pub use check::{Check, check};
pub use dtype::Dtype;
pub use error::{Error, Result};
pub use generate::Family;
#[cfg(feature = "proptest")]
pub use generate::strategy;
pub use judge::{Grade, Verdict, judge};
pub use kernel::{Claims, Kernel};
pub use op::Op;
pub use oracle::Oracle;
pub use results::Cause;
pub use special::Special;

// The Rust blocks of the README run as documentation tests.
#[cfg(all(doctest, feature = "proptest"))]
#[doc = include_str!("../README.md")]
struct Readme;
