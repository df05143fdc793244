//! The messages of the worker protocol (`docs/worker-protocol.md`): the hello (`hello`), binary frames (`frame`), and lines of JSON
//! (`lines`), which Rust workers never need.
//!
//! Both sides use them: `worker`, which serves kernels, and `foreign`, which starts workers and watches over them.

pub(crate) mod frame;
pub(crate) mod hello;
#[cfg(any(unix, feature = "arbitrary"))]
pub(crate) mod lines;

/// The version of the worker protocol that this crate speaks. The one before had no batches.
pub(crate) const PROTOCOL: u32 = 2;

/// The versions of workers that it understands.
pub(crate) const VERSIONS: std::ops::RangeInclusive<u32> = 1..=PROTOCOL;
