//! The shape of a row: the cheap classification by which failures are told apart while a campaign runs.

use super::range::{Thresholds, maximum};
use crate::case::Case;
use crate::results::{ExpRange, Shape};
use crate::special::RowClass;

impl Shape {
    /// The shape of a case of this class.
    pub fn of(case: &Case, class: RowClass) -> Self {
        let level = if class.is_ordinary() {
            let (max, thresholds) = (maximum(case), Thresholds::of(case.dtype()));
            if max > thresholds.overflow {
                ExpRange::Above
            } else if max < thresholds.subnormal {
                ExpRange::Below
            } else {
                ExpRange::Within
            }
        } else {
            ExpRange::Within
        };
        Self { class, level }
    }
}
