//! The tiers: the numbers in which the oracle evaluates a formula, from cheap to dear. What an op is, its file says once
//! (`op::tier`); a file here says what a quantity is in one kind of number.
//!
//! To add a tier, write such a file and put it in its place in the list of `question`.

pub(super) mod ball;
pub(super) mod exactly;
pub(super) mod interval;
pub(super) mod vanishing;
