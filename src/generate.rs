//! Generators.
pub mod file;
#[cfg(feature = "proptest")]
pub mod strategy;
