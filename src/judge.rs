//! Judge.
mod verdict;
pub use verdict::{Grade, Verdict};
