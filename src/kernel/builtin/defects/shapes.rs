//! Lengths and indices (C35, C36).

use super::super::parameter::Parameter;
use super::super::recipe::{Recipe, Row};
use super::super::stable::Shifted;
use super::super::{Defect, Examples};
use crate::dtype::Dtype;
use crate::kernel::Real;
use crate::op::Op;

pub(in super::super) struct EmptyPanics;

impl Recipe for EmptyPanics {
    const NAME: &'static str = "defect/empty-panics";
    const SUMMARY: &'static str = "the maximum starts from the first logit";
    const DEFECT: Option<Defect> = Some(Defect {
        class: "C35",
        story: "a row without a logit has no first one",
        families: &["tiny_n"],
        report: Some("https://github.com/scipy/scipy/issues/20399"),
    });
    const EXAMPLES: Option<Examples> = Some(Examples::new("softmax f32 []", Some("softmax f32 [1, -2, 3]")));

    fn maximum<A: Real>(row: &Row<A>) -> A {
        row.logits.iter().fold(row.logits[0], |max, &z| max.larger(z))
    }
}

pub(in super::super) struct NarrowIndex;

impl Recipe for NarrowIndex {
    const NAME: &'static str = "defect/narrow-index";
    const SUMMARY: &'static str = "sums count their terms in 8 bits";
    const DEFECT: Option<Defect> = Some(Defect {
        class: "C36",
        story: "a row of 256 classes and more is added up only in part",
        families: &["long", "very_long"],
        report: Some("https://github.com/pytorch/pytorch/pull/192007"),
    });
    const PARAMETER: Option<&'static Parameter> =
        Some(&Parameter::one_of("the number of bits", 8.0, &[4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 11.0, 12.0]));
    const EXAMPLES: Option<Examples> = Some(
        Examples::new("softmax f32 [0*256]", Some("softmax f32 [0*255]"))
            .of_length(260, "256 terms overflow the count; a few more beside the lost ones make them matter"),
    );

    fn sum<A: Real>(row: &Row<A>, terms: &[A]) -> A {
        Shifted::sum(row, &terms[..terms.len() % (1 << row.length())])
    }
}

pub(in super::super) struct ShortIndex;

impl Recipe for ShortIndex {
    const NAME: &'static str = "defect/short-index";
    const SUMMARY: &'static str = "sums count their terms in 16 bits";
    const DEFECT: Option<Defect> = Some(Defect {
        class: "C36",
        story: "the rows of a large vocabulary, 65,536 classes and more, are added up only in part",
        families: &["long"],
        report: Some("https://github.com/pytorch/pytorch/pull/192007"),
    });
    const EXAMPLES: Option<Examples> = Some(
        Examples::new("softmax f32 [0*65536]", Some("softmax f32 [0*65535]"))
            .of_length(65_540, "65,536 terms overflow the count; a few more make the lost ones matter"),
    );

    /// A row of that length with a direction beside it takes minutes to be made smaller, and shows no more.
    fn supports(op: Op, _: Dtype) -> bool {
        op.direction().is_none()
    }

    fn sum<A: Real>(row: &Row<A>, terms: &[A]) -> A {
        Shifted::sum(row, &terms[..usize::from(terms.len() as u16)])
    }
}

pub(in super::super) struct LaunchCapped;

impl LaunchCapped {
    /// The logits that one launch reaches: 128 blocks of 1,024.
    const REACH: usize = 1 << 17;
}

impl Recipe for LaunchCapped {
    const NAME: &'static str = "defect/launch-capped";
    const SUMMARY: &'static str = "sums cover the 131,072 terms that one launch reaches";
    const DEFECT: Option<Defect> = Some(Defect {
        class: "C36",
        story: "the vocabularies that it was tried with fit; what lies behind them is left out of the sum",
        families: &["long"],
        report: Some("https://github.com/lucienhuangfu/eLLM/issues/53"),
    });
    const EXAMPLES: Option<Examples> = Some(
        Examples::new("softmax f32 [0*151936]", Some("softmax f32 [0*131072]"))
            .of_length(151_936, "131,072 terms fit, and as many more are needed as a sum of that length may err by"),
    );

    /// The ops and dtypes that vocabularies are long in.
    fn supports(op: Op, dtype: Dtype) -> bool {
        op.others().is_empty() && matches!(dtype, Dtype::F32 | Dtype::Bf16)
    }

    fn sum<A: Real>(row: &Row<A>, terms: &[A]) -> A {
        Shifted::sum(row, &terms[..terms.len().min(Self::REACH)])
    }
}

pub(in super::super) struct EmptyIsZero;

impl Recipe for EmptyIsZero {
    const NAME: &'static str = "defect/empty-is-zero";
    const SUMMARY: &'static str = "log-sum-exp of no logit is 0";
    const DEFECT: Option<Defect> = Some(Defect {
        class: "C35",
        story: "the neutral element of addition where that of log-sum-exp is due, minus infinity",
        families: &["tiny_n"],
        report: Some("https://github.com/stan-dev/math/issues/1416"),
    });
    const EXAMPLES: Option<Examples> = Some(Examples::new("logsumexp f32 []", Some("logsumexp f32 [1, -2, 3]")));

    fn logsumexp<A: Real>(row: &Row<A>) -> A {
        if row.logits.is_empty() { A::ZERO } else { Shifted::logsumexp(row) }
    }
}
