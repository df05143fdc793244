//! What several of the test programs use. Each of them is a crate of its own that uses a part of it.
#![allow(dead_code)]

#[cfg(all(unix, feature = "cli"))]
pub mod foreign;
pub mod npy;
#[cfg(feature = "cli")]
pub mod place;
pub mod textbook;
