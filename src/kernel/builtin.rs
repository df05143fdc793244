//! The kernels that come with the crate: correct ones, unstable ones as they are often written, and planted defects.
//!
//! Those of row ops are one kernel, the textbook, cut into small steps (`recipe`); each of the others overrides the steps in which
//! it differs. `stable` holds the correct kernels, `unstable` those that break where everybody's first version breaks, `defects`
//! those that are wrong in one line. `batched` holds kernels that compute batches. `elements` holds all kernels of elementwise ops, which are a function of a number for each op.
//! To add a kernel, write its steps there and one line in the registry below.

use super::{Batch, Batched, Claims, Kernel, Outcome};
use crate::case::Case;
use crate::dtype::Dtype;
use crate::op::Op;
use batched::{BatchRecipe, RowsRecipe};
use elements::Elements;
use parameter::Parameter;
use recipe::Recipe;
pub(crate) use recipe::{Beside, Changes};

mod arithmetic;
mod batched;
mod defects;
mod elements;
pub(crate) mod parameter;
mod recipe;
mod reduction;
mod stable;
mod unstable;

/// A kernel of the registry.
pub struct Builtin {
    name: &'static str,
    summary: &'static str,
    defect: Option<Defect>,
    mechanism: Option<Defect>,
    examples: Option<Examples>,
    trusted: bool,
    supports: fn(Op, Dtype) -> bool,
    claims: fn(Op, Dtype) -> Claims,
    parameter: Option<&'static Parameter>,
    run: fn(&Case, &Changes) -> Outcome,
    /// How it computes batches, if it does.
    compute: Option<fn(&Batch) -> Vec<Outcome>>,
}

/// A defect that was planted in a kernel, so that the harness can be seen to find it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Defect {
    /// Its class among the defects seen in real kernels: `C01` to `C43`, as `docs/defects.md` has them.
    pub class: &'static str,
    /// What it does to whom, in one line.
    pub story: &'static str,
    /// The names of the families of inputs that expose it, each by itself.
    pub families: &'static [&'static str],
    /// The public thread that shows the mechanism in a real kernel, as a link; none where no such thread was found.
    pub report: Option<&'static str>,
}

impl Defect {
    /// What cures it, in one sentence; that of its class.
    pub fn cure(&self) -> &'static str {
        defects::cure(self.class)
    }
}

/// Inputs on which a planted defect shows and does not show, written as on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Examples {
    /// A case on which it differs from the kernel that it was planted in.
    pub exposing: &'static str,
    /// One on which it does not: the shape of row that ordinary tests draw. None where ordinary rows show it.
    pub sparing: Option<&'static str>,
    /// The length that half of its shrunk findings have at most, and why they are no shorter; none where a few logits show it.
    pub length: Option<(usize, &'static str)>,
}

impl Examples {
    const fn new(exposing: &'static str, sparing: Option<&'static str>) -> Self {
        Self { exposing, sparing, length: None }
    }

    const fn of_length(self, length: usize, reason: &'static str) -> Self {
        Self { length: Some((length, reason)), ..self }
    }
}

impl Builtin {
    const fn of<R: Recipe>() -> Self {
        Self {
            name: R::NAME,
            summary: R::SUMMARY,
            defect: R::DEFECT,
            mechanism: R::MECHANISM,
            examples: R::EXAMPLES,
            trusted: R::TRUSTED,
            supports: recipe::supports::<R>,
            claims: recipe::claims::<R>,
            parameter: R::PARAMETER,
            run: recipe::run::<R>,
            compute: None,
        }
    }

    const fn of_elements<E: Elements>() -> Self {
        Self {
            name: E::NAME,
            summary: E::SUMMARY,
            defect: E::DEFECT,
            mechanism: E::DEFECT,
            examples: E::EXAMPLES,
            trusted: E::TRUSTED,
            supports: elements::supports::<E>,
            claims: elements::claims,
            parameter: E::PARAMETER,
            run: elements::run::<E>,
            compute: None,
        }
    }

    const fn of_batches<R: BatchRecipe>() -> Self {
        let (supports, claims, compute) = (batched::supports, R::claims, batched::compute::<R>);
        Self::of_batch_functions((R::NAME, R::SUMMARY, R::DEFECT), supports, claims, compute)
    }

    const fn of_batches_by_rows<R: RowsRecipe>() -> Self {
        let (supports, claims) = (batched::supports_rows::<R>, batched::claims_of_rows);
        Self::of_batch_functions((R::NAME, R::SUMMARY, R::DEFECT), supports, claims, batched::compute_rows::<R>)
    }

    /// What has no defect is correct.
    const fn of_batch_functions(
        (name, summary, defect): (&'static str, &'static str, Option<Defect>),
        supports: fn(Op, Dtype) -> bool,
        claims: fn(Op, Dtype) -> Claims,
        compute: fn(&Batch) -> Vec<Outcome>,
    ) -> Self {
        Self {
            name,
            summary,
            defect,
            mechanism: None,
            examples: None,
            trusted: defect.is_none(),
            supports,
            claims,
            parameter: None,
            // A row by itself is a batch.
            run: |_, _| Outcome::NotRun,
            compute: Some(compute),
        }
    }

    /// The name, as on the command line; that of a planted defect starts with `defect/`.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// What the kernel does, in one line.
    pub fn summary(&self) -> &'static str {
        self.summary
    }

    /// The defect that is planted in it, if one is.
    pub fn defect(&self) -> Option<Defect> {
        self.defect
    }

    /// What is wrong with it: its planted defect, or that of the unstable kernel that it is; none of a correct kernel, nor of one that is
    /// wrong in one way or another by the op.
    pub fn mechanism(&self) -> Option<Defect> {
        self.mechanism
    }

    /// Inputs on which its planted defect shows and does not; none where it has none.
    pub fn examples(&self) -> Option<Examples> {
        self.examples
    }

    /// The number in it that other kernels have otherwise.
    pub(crate) fn parameter(&self) -> Option<&'static Parameter> {
        self.parameter
    }

    /// Runs it otherwise than it is.
    pub(crate) fn run_as(&self, case: &Case, changes: &Changes) -> Outcome {
        (self.run)(case, changes)
    }

    /// Whether it computes an op in a dtype, offered there or not.
    pub(crate) fn computes(&self, op: Op, dtype: Dtype) -> bool {
        (self.supports)(op, dtype)
    }

    /// Whether it is a correct kernel: a failing verdict on it is an error of the harness.
    pub fn is_trusted(&self) -> bool {
        self.trusted
    }
}

impl Kernel for Builtin {
    fn name(&self) -> &str {
        self.name
    }

    /// A planted defect does in a dtype of two formats what it does in one: it is offered there only if it is planted nowhere else.
    fn supports(&self, op: Op, dtype: Dtype) -> bool {
        let is_elsewhere = dtype.is_mixed() && self.defect.is_some() && self.computes(op, dtype.input());
        self.computes(op, dtype) && !is_elsewhere
    }

    fn claims(&self, op: Op, dtype: Dtype) -> Claims {
        (self.claims)(op, dtype)
    }

    fn run(&self, case: &Case) -> Outcome {
        match self.compute {
            Some(compute) => compute(&Batch::alone(case)).pop().unwrap_or(Outcome::NotRun),
            None => self.run_as(case, &Changes::default()),
        }
    }

    fn batched(&self, _: Op, _: Dtype) -> Option<&dyn Batched> {
        self.compute.is_some().then_some(self)
    }
}

impl Batched for Builtin {
    fn compute(&self, batch: &Batch) -> Vec<Outcome> {
        match self.compute {
            Some(compute) => compute(batch),
            None => batch.cases().iter().map(|case| self.run(case)).collect(),
        }
    }
}

/// Every built-in kernel: unstable ones, correct ones, planted defects by group.
pub fn all() -> &'static [Builtin] {
    static ALL: [Builtin; 140] = [
        Builtin::of::<unstable::Naive>(),
        Builtin::of::<unstable::Unfused>(),
        Builtin::of::<unstable::DivisionFree>(),
        Builtin::of::<stable::Shifted>(),
        Builtin::of::<stable::Log1p>(),
        Builtin::of::<stable::Online>(),
        Builtin::of::<stable::Pairwise>(),
        Builtin::of::<stable::Compensated>(),
        Builtin::of::<stable::Blocks<8>>(),
        Builtin::of::<stable::Blocks<32>>(),
        Builtin::of::<stable::Blocks<128>>(),
        Builtin::of::<stable::Lanes<4>>(),
        Builtin::of::<stable::Lanes<8>>(),
        Builtin::of::<stable::Lanes<16>>(),
        Builtin::of::<stable::Base2>(),
        Builtin::of::<stable::TwoPass>(),
        Builtin::of::<stable::Base2Rounded>(),
        Builtin::of::<stable::Flash>(),
        Builtin::of::<stable::Split<8>>(),
        Builtin::of_elements::<elements::Branched>(),
        Builtin::of_elements::<elements::OneBranch>(),
        Builtin::of::<defects::nonfinite::LseUnguardedInfinity>(),
        Builtin::of::<defects::nonfinite::LseWrongInfinity>(),
        Builtin::of::<defects::nonfinite::MaskedByLength>(),
        Builtin::of::<defects::nonfinite::MaskedUniform>(),
        Builtin::of::<defects::nonfinite::NanDroppingMax>(),
        Builtin::of::<defects::nonfinite::LseGuardsOnlyMinus>(),
        Builtin::of::<defects::nonfinite::LseGuardsOnlyPlus>(),
        Builtin::of::<defects::nonfinite::MaskedAsserts>(),
        Builtin::of::<defects::nonfinite::ZeroSumUniform>(),
        Builtin::of::<defects::nonfinite::NanAsMasked>(),
        Builtin::of::<defects::nonfinite::LseGuardsSingle>(),
        Builtin::of::<defects::nonfinite::MaskedAsLowest>(),
        Builtin::of::<defects::nonfinite::NanClamped>(),
        Builtin::of::<defects::nonfinite::NanUnnormalised>(),
        Builtin::of::<defects::carried::UnguardedOnline>(),
        Builtin::of::<defects::carried::MaskedStateZero>(),
        Builtin::of::<defects::carried::WrongRescale>(),
        Builtin::of::<defects::carried::BlockedUnguarded>(),
        Builtin::of::<defects::carried::IdleLanes>(),
        Builtin::of::<defects::carried::MergedWithoutRescale>(),
        Builtin::of::<defects::carried::RescaleSkipped>(),
        Builtin::of::<defects::carried::RescaleBelowThreshold>(),
        Builtin::of::<defects::carried::LastAsMax>(),
        Builtin::of::<defects::carried::RescaledInBase2>(),
        Builtin::of::<defects::maximum::MaxStartsAtZero>(),
        Builtin::of::<defects::maximum::MaxSkipsTail>(),
        Builtin::of::<defects::maximum::FiniteMaskSentinel>(),
        Builtin::of::<defects::maximum::MaxClipped>(),
        Builtin::of::<defects::maximum::MaxStartsAtLeastNormal>(),
        Builtin::of::<defects::maximum::MaxOfPadded>(),
        Builtin::of::<defects::maximum::MaxSkipsFirst>(),
        Builtin::of::<defects::maximum::FirstAsMax>(),
        Builtin::of::<defects::maximum::MaxOfHalfVectors>(),
        Builtin::of::<defects::maximum::Unshifted>(),
        Builtin::of::<defects::maximum::FiniteMaskValue>(),
        Builtin::of::<defects::maximum::ShiftedClipped>(),
        Builtin::of::<defects::maximum::MinimumAsMax>(),
        Builtin::of::<defects::maximum::TailUnshifted>(),
        Builtin::of::<defects::sums::HalfSum>(),
        Builtin::of::<defects::sums::NarrowThroughout>(),
        Builtin::of::<defects::sums::PaddedWithZero>(),
        Builtin::of::<defects::sums::PaddingSummed>(),
        Builtin::of::<defects::sums::RoundedNumerator>(),
        Builtin::of::<defects::sums::EpsilonInDenominator>(),
        Builtin::of::<defects::sums::HalfSumBackward>(),
        Builtin::of::<defects::sums::HalfTotal>(),
        Builtin::of::<defects::sums::StaleTail>(),
        Builtin::of::<defects::sums::NarrowResult>(),
        Builtin::of::<defects::sums::ApproximateReciprocal>(),
        Builtin::of::<defects::losses::SubtractLse>(),
        Builtin::of::<defects::losses::LogOfOnePlus>(),
        Builtin::of::<defects::losses::LowPrecisionStore>(),
        Builtin::of::<defects::losses::GradientThroughDivision>(),
        Builtin::of::<defects::losses::ZeroTimesLogZero>(),
        Builtin::of::<defects::losses::SmoothingOfMasked>(),
        Builtin::of::<defects::losses::EpsilonInLog>(),
        Builtin::of::<defects::losses::Base2Lse>(),
        Builtin::of::<defects::losses::LogOfSoftmax>(),
        Builtin::of::<defects::losses::ProbabilityClipped>(),
        Builtin::of::<defects::losses::SmoothingIgnored>(),
        Builtin::of::<defects::losses::GradientThroughLse>(),
        Builtin::of::<defects::losses::LossFromLse>(),
        Builtin::of::<defects::losses::NarrowMean>(),
        Builtin::of::<defects::losses::LogitsOverwritten>(),
        Builtin::of::<defects::losses::CotangentIgnored>(),
        Builtin::of::<defects::losses::SmoothingOverOthers>(),
        Builtin::of::<defects::exponentials::ExpClamped>(),
        Builtin::of::<defects::exponentials::ExpCut>(),
        Builtin::of::<defects::exponentials::ExpFlushed>(),
        Builtin::of::<defects::exponentials::ExpOfDegree2>(),
        Builtin::of::<defects::exponentials::ShortLog2e>(),
        Builtin::of::<defects::exponentials::ShortLn2>(),
        Builtin::of::<defects::exponentials::FusedScale>(),
        Builtin::of::<defects::exponentials::ReductionUnclamped>(),
        Builtin::of::<defects::exponentials::ShiftUnclamped>(),
        Builtin::of::<defects::exponentials::ExpOfWholePowers>(),
        Builtin::of::<defects::shapes::EmptyPanics>(),
        Builtin::of::<defects::shapes::NarrowIndex>(),
        Builtin::of::<defects::shapes::ShortIndex>(),
        Builtin::of::<defects::shapes::LaunchCapped>(),
        Builtin::of::<defects::shapes::EmptyIsZero>(),
        Builtin::of_elements::<elements::Log1mExpNaive>(),
        Builtin::of_elements::<elements::Log1mExpOneBranch>(),
        Builtin::of_elements::<elements::SigmoidOverflows>(),
        Builtin::of_elements::<elements::SoftplusNaive>(),
        Builtin::of_elements::<elements::SoftplusThreshold>(),
        Builtin::of_elements::<elements::SoftplusCut>(),
        Builtin::of_elements::<elements::NarrowElements>(),
        Builtin::of_elements::<elements::LogOfSigmoid>(),
        Builtin::of_elements::<elements::SigmoidDerivativeOverflows>(),
        Builtin::of_elements::<elements::BceOfSigmoid>(),
        Builtin::of_elements::<elements::BceClampSign>(),
        Builtin::of_elements::<elements::SigmoidFromHalf>(),
        Builtin::of::<defects::losses::SoftLabelsTimesLogZero>(),
        Builtin::of::<defects::losses::LogProbabilityClipped>(),
        Builtin::of_elements::<elements::LogAddExpUnguarded>(),
        Builtin::of_elements::<elements::LogSubExpOneBranch>(),
        Builtin::of::<stable::ShiftThenScale>(),
        Builtin::of::<stable::HalfWeights>(),
        Builtin::of::<defects::attention::PoisonedMask>(),
        Builtin::of::<defects::attention::NarrowWeights>(),
        Builtin::of::<defects::carried::EmptyPartsMerged>(),
        Builtin::of::<defects::losses::DivergenceTimesLogZero>(),
        Builtin::of::<defects::scales::MaximumBeforeScale>(),
        Builtin::of::<defects::scales::ScaledPadding>(),
        Builtin::of::<defects::scales::RootOfScale>(),
        Builtin::of::<defects::scales::ScaledTwice>(),
        Builtin::of::<defects::losses::EntropyTimesLogZero>(),
        Builtin::of::<defects::losses::EntropyFromLogits>(),
        Builtin::of::<stable::LogAddExpScan>(),
        Builtin::of::<defects::prefixes::PrefixesBelowRow>(),
        Builtin::of::<defects::prefixes::PrefixesNotRescaled>(),
        Builtin::of::<defects::prefixes::ScanUnguarded>(),
        Builtin::of::<defects::prefixes::ScanDropsNan>(),
        Builtin::of::<defects::rows::MeanCountsIgnored>(),
        Builtin::of::<defects::rows::IgnoredTimesZero>(),
        Builtin::of::<defects::rows::MeanOfNothing>(),
        Builtin::of::<defects::rows::ShardsCountedTwice>(),
        Builtin::of::<defects::rows::TargetBeyondShard>(),
    ];
    &ALL
}

/// The built-in kernels that compute batches: correct ones, and planted defects that no single row shows. They are run where they are
/// named, and are in no other list.
pub fn batched() -> &'static [Builtin] {
    static BATCHED: [Builtin; 18] = [
        Builtin::of_batches_by_rows::<batched::Each>(),
        Builtin::of_batches::<batched::Blocks>(),
        Builtin::of_batches::<batched::defects::MaximumOfPair>(),
        Builtin::of_batches::<batched::defects::MaximumOfAll>(),
        Builtin::of_batches::<batched::defects::NanSpreads>(),
        Builtin::of_batches::<batched::defects::StateCarried>(),
        Builtin::of_batches::<batched::defects::MaskedEnds>(),
        Builtin::of_batches::<batched::defects::PaddingRead>(),
        Builtin::of_batches::<batched::defects::StrideIsLength>(),
        Builtin::of_batches::<batched::defects::OutputStride>(),
        Builtin::of_batches::<batched::defects::TailSkipped>(),
        Builtin::of_batches::<batched::defects::AxesConfused>(),
        Builtin::of_batches::<batched::defects::ByteIndex>(),
        Builtin::of_batches::<batched::defects::ShortIndex>(),
        Builtin::of_batches::<batched::defects::InPlaceTwice>(),
        Builtin::of_batches::<batched::defects::SumByRows>(),
        Builtin::of_batches_by_rows::<batched::defects::FirstOthers>(),
        Builtin::of_batches_by_rows::<batched::defects::LastOfBlock>(),
    ];
    &BATCHED
}

impl Beside {
    /// All of them, but for those that are another one in each dtype.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        (1..arithmetic::NARROW.len()).map(Beside::Sum).chain((0..arithmetic::EXPS.len()).map(Beside::Exp))
    }

    /// The kernel that does nothing but this, with this value of its parameter.
    pub(crate) fn alone(self) -> Option<(&'static Builtin, f64)> {
        let (name, place) = match self {
            Beside::Sum(place) => (HALF_SUM, place),
            Beside::Exp(way) => (COARSE_EXP, way),
        };
        let mut known = all().iter().chain(unlisted());
        known.find(|known| known.name == name).map(|known| (known, place as f64))
    }
}

/// The hypothesis that is the textbook with a fast exp.
const COARSE_EXP: &str = "hypothesis/coarse-exp";

/// The planted defect that is nothing but a type too narrow.
pub(crate) const NARROW_THROUGHOUT: &str = "defect/narrow-throughout";

/// The planted defect that adds up in a narrow type.
pub(crate) const HALF_SUM: &str = "defect/half-sum";

/// The planted defect that is the textbook, under a claim that is too much for it.
pub(crate) const LOG_OF_ONE_PLUS: &str = "defect/log-of-one-plus";

/// What kernels do besides: hypotheses that are no planted defects, and are in no list of kernels.
pub(crate) fn unlisted() -> &'static [Builtin] {
    static UNLISTED: [Builtin; 15] = [
        Builtin::of::<defects::unlisted::MaxOfSome>(),
        Builtin::of::<defects::unlisted::MaxOfUpperHalves>(),
        Builtin::of::<defects::unlisted::OtherShift>(),
        Builtin::of::<defects::unlisted::CoarseExp>(),
        Builtin::of::<defects::unlisted::EpsilonInSum>(),
        Builtin::of::<defects::unlisted::ProbabilityFloored>(),
        Builtin::of::<defects::unlisted::DistanceClipped>(),
        Builtin::of::<defects::unlisted::MixedBases>(),
        Builtin::of::<defects::unlisted::SmoothedOtherwise>(),
        Builtin::of::<defects::unlisted::MaskedOneHot>(),
        Builtin::of::<defects::stored::LogitsNarrowed>(),
        Builtin::of::<defects::stored::MaximumNarrowed>(),
        Builtin::of::<defects::stored::ScaledFirst>(),
        Builtin::of::<defects::stored::LogOfStored>(),
        Builtin::of::<defects::stored::ProductsStored>(),
    ];
    &UNLISTED
}

/// The built-in kernel of this name.
pub fn find(name: &str) -> Option<&'static Builtin> {
    all().iter().chain(batched()).find(|kernel| kernel.name == name)
}

/// The built-in kernels whose names match a pattern, in which `*` stands for any text.
pub fn matching(pattern: &str) -> impl Iterator<Item = &'static Builtin> {
    all().iter().chain(batched()).filter(move |kernel| matches(pattern, kernel.name))
}

/// Whether a name matches a pattern, in which `*` stands for any text.
pub(crate) fn matches(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((head, rest)) => name.strip_prefix(head).is_some_and(|tail| {
            (0..=tail.len()).filter(|&cut| tail.is_char_boundary(cut)).any(|cut| matches(rest, &tail[cut..]))
        }),
    }
}

#[cfg(test)]
pub(crate) mod tests;
