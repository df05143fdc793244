//! Numbers of any precision, for the oracle: from whichever arithmetic is built in.
//!
//! There are two, and they are equal in every bit of every result:
//! - MPFR and GMP (feature `mpfr`), C libraries that half the world relies on, through the crate `rug`;
//! - our own (`pure`), in Rust alone, which builds in seconds and for every target.
//!
//! Where both could be used, MPFR is. The names and forms are `rug`'s; `pure` has those of them that are used. All other rooms take numbers from
//! here, so that none knows which it has. Tests hold the one against the other.

#[cfg(any(test, not(feature = "mpfr")))]
mod pure;

#[cfg(all(test, feature = "mpfr"))]
mod tests;

#[cfg(not(feature = "mpfr"))]
pub(crate) use pure::{AddAssignRound, Assign, AssignRound, Constant, Float, Integer, Rational, Round, SubAssignRound};

#[cfg(feature = "mpfr")]
pub(crate) use rug::{
    Assign, Float, Integer, Rational,
    float::{Constant, Round},
    ops::{AddAssignRound, AssignRound, SubAssignRound},
};

/// What stands for a version where the numbers are our own.
pub(crate) const PURE: &str = "pure";

/// What the numbers are made by, as every result records it: the version of MPFR, or [`PURE`].
pub(crate) fn version() -> String {
    #[cfg(feature = "mpfr")]
    {
        use gmp_mpfr_sys::mpfr::{VERSION_MAJOR, VERSION_MINOR, VERSION_PATCHLEVEL};
        format!("{VERSION_MAJOR}.{VERSION_MINOR}.{VERSION_PATCHLEVEL}")
    }
    #[cfg(not(feature = "mpfr"))]
    {
        PURE.to_owned()
    }
}
