//! logitfuzz
#![warn(missing_docs)]

pub mod case;
pub mod dtype;
pub mod error;
pub mod generate;
pub mod judge;
pub mod kernel;
pub mod op;
pub mod oracle;
pub mod report;
pub mod results;
pub mod shrink;
