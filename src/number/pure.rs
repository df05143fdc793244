//! Numbers of any precision in Rust alone, equal to MPFR's and GMP's in every bit.
//!
//! They have the names and the forms of the crate `rug`, as far as the oracle uses these, so that what computes with one computes with the other.
//! Long integers, with their products and quotients, are num-bigint's; all that is rounded, and every function, is done and proven here.

// Where MPFR is built in as well, only tests use these numbers, and not all of what they have.
#![cfg_attr(feature = "mpfr", allow(dead_code, unused_imports))]

mod dyadic;
mod float;
mod functions;
mod integer;
mod rational;
mod series;
mod text;

pub(crate) use dyadic::Round;
pub(crate) use float::{AddAssignRound, Assign, AssignRound, Float, SubAssignRound};
pub(crate) use functions::Constant;
pub(crate) use integer::Integer;
pub(crate) use rational::Rational;
