//! The log-sum-exp of every prefix, taken from the whole row or from a state that is not kept (C01, C07, C11, C13). Planted in kernels of
//! `logcumsumexp`, and shown nowhere else.

use super::super::recipe::{Recipe, Row};
use super::super::stable::LogAddExpScan;
use super::super::{Defect, Examples};
use crate::dtype::Dtype;
use crate::kernel::{Claims, Real};
use crate::op::Op;

pub(in super::super) struct PrefixesBelowRow;

impl Recipe for PrefixesBelowRow {
    const NAME: &'static str = "defect/prefixes-below-row";
    const SUMMARY: &'static str = "the prefixes are added up relative to the maximum of the whole row";
    const DEFECT: Option<Defect> = Some(Defect {
        class: "C11",
        story: "log(cumsum(exp(z - max))) as a log-sum-exp is written: of a prefix far below what comes later all weights are 0, and it is -inf",
        families: &["staircase", "sorted"],
        report: Some("https://github.com/tinygrad/tinygrad/pull/6921"),
    });
    const EXAMPLES: Option<Examples> =
        Some(Examples::new("logcumsumexp f32 [0, 200]", Some("logcumsumexp f32 [3, -2, 1]")));

    fn supports(op: Op, _: Dtype) -> bool {
        op == Op::LOGCUMSUMEXP
    }

    fn logcumsumexp<A: Real>(row: &Row<A>) -> Vec<A> {
        let max = Self::maximum(row);
        let mut sum = A::ZERO;
        let mut next = |z: A| {
            sum = Self::sum(row, &[sum, Self::weight(row, z, max)]);
            if max.is_infinite() { max } else { max + Self::log(row, sum) }
        };
        row.logits.iter().map(|&z| next(z)).collect()
    }
}

pub(in super::super) struct PrefixesNotRescaled;

impl Recipe for PrefixesNotRescaled {
    const NAME: &'static str = "defect/prefixes-not-rescaled";
    const SUMMARY: &'static str =
        "the weights of the prefixes are relative to the running maxima of their own places, and added up as they are";
    const DEFECT: Option<Defect> = Some(Defect {
        class: "C07",
        story: "log(cumsum(exp(z - cummax))) + cummax: weights of lower maxima are added as if they were of this one, and every rise counts 1",
        families: &["ordinary", "staircase", "sorted"],
        report: Some("https://github.com/tinygrad/tinygrad/issues/6937"),
    });
    const EXAMPLES: Option<Examples> =
        Some(Examples::new("logcumsumexp f32 [0, 100]", Some("logcumsumexp f32 [3, -2, 1]")));

    fn supports(op: Op, _: Dtype) -> bool {
        op == Op::LOGCUMSUMEXP
    }

    fn rescale<A: Real>(_: &Row<A>, before: A, _: A) -> A {
        // The first logit has nothing to rescale.
        if before == A::NEG_INFINITY { A::ZERO } else { A::ONE }
    }
}

pub(in super::super) struct ScanUnguarded;

impl Recipe for ScanUnguarded {
    const NAME: &'static str = "defect/scan-unguarded";
    const SUMMARY: &'static str = "the scan with logaddexp has no guard of two equal infinities";
    const DEFECT: Option<Defect> = Some(Defect {
        class: "C01",
        story: "a masked class after a masked prefix makes -inf - -inf, and all that follows is NaN",
        families: &["masked", "fully_masked", "pos_inf"],
        report: Some("https://github.com/pytorch/pytorch/pull/52947"),
    });
    const EXAMPLES: Option<Examples> =
        Some(Examples::new("logcumsumexp f32 [-inf, -inf, 1]", Some("logcumsumexp f32 [1, -inf, 2]")));

    fn supports(op: Op, _: Dtype) -> bool {
        op == Op::LOGCUMSUMEXP
    }

    fn claims(op: Op, dtype: Dtype) -> Claims {
        LogAddExpScan::claims(op, dtype)
    }

    fn logcumsumexp<A: Real>(row: &Row<A>) -> Vec<A> {
        scanned(row, |x, y| {
            let max = x.larger(y);
            max + Self::exp(row, (if max == x { y } else { x }) - max).ln_1p()
        })
    }
}

pub(in super::super) struct ScanDropsNan;

impl Recipe for ScanDropsNan {
    const NAME: &'static str = "defect/scan-drops-nan";
    const SUMMARY: &'static str =
        "the scan with logaddexp takes minimum and maximum by comparisons that are false for NaN";
    const DEFECT: Option<Defect> = Some(Defect {
        class: "C13",
        story: "minimum and maximum are both what came before: NaN adds log 2 to a sum, and is nothing beside -inf",
        families: &["nan"],
        report: Some("https://github.com/tensorflow/tensorflow/pull/127513"),
    });
    const EXAMPLES: Option<Examples> =
        Some(Examples::new("logcumsumexp f32 [1, nan, 2]", Some("logcumsumexp f32 [1, -2, 3]")));

    fn supports(op: Op, _: Dtype) -> bool {
        op == Op::LOGCUMSUMEXP
    }

    fn claims(op: Op, dtype: Dtype) -> Claims {
        LogAddExpScan::claims(op, dtype)
    }

    fn logcumsumexp<A: Real>(row: &Row<A>) -> Vec<A> {
        scanned(row, |x, y| {
            let (min, max) = (if y < x { y } else { x }, if y > x { y } else { x });
            if max.is_infinite() { max } else { max + Self::exp(row, min - max).ln_1p() }
        })
    }
}

/// Every prefix from the one before it; the first logit is a prefix as it is.
fn scanned<A: Real>(row: &Row<A>, step: impl Fn(A, A) -> A) -> Vec<A> {
    let mut sum = None;
    let mut next = |z: A| {
        let after = sum.map_or(z, |before| step(before, z));
        sum = Some(after);
        after
    };
    row.logits.iter().map(|&z| next(z)).collect()
}
