//! logitfuzz
#![warn(missing_docs)]

pub mod campaign;
pub mod case;
#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod cli;
pub mod dtype;
pub mod error;
pub mod generate;
pub mod judge;
pub mod kernel;
pub mod magnitude;
pub mod op;
pub mod oracle;
pub mod report;
pub mod results;
pub mod shrink;
