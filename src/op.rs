//! The registry of ops. An op is one file of this folder, which holds all that is known of it, and one line here.
//!
//! [`Op`] is a handle. Everything else in the crate that lists ops iterates [`Op::ALL`], and everything that depends on the op asks
//! for what its definition says: no code outside of its file knows an op by name, but for the kernels, which implement some of them.

use crate::error::{Error, Result};
use crate::magnitude::Magnitude;
use definition::{Cancels, Definition, ElementDefinition, MeanDefinition, RowDefinition, Shift, Sum};
use inputs::{Element, Inputs};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use signature::{Extent, Outputs, Role};
use std::fmt;
use std::str::FromStr;
use terms::{ElementTerms, Known, OverflowTerms, RowTerms};

pub(crate) mod definition;
pub(crate) mod inputs;
pub mod signature;
pub(crate) mod terms;
pub(crate) mod tier;

pub use signature::Input;
pub use terms::Anatomy;

/// One op of the softmax family or beside it: a handle into the registry.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Op(u8);

/// What a definition says, apart from its formula, which is generic.
pub(crate) struct Facts {
    name: &'static str,
    code: u8,
    formula: &'static str,
    inputs: &'static [Input],
    outputs: Outputs,
    /// See [`Definition::RANGE`].
    pub range: (f64, f64),
    /// What is said of its kind.
    pub kind: Kind,
}

/// The kinds of ops.
pub(crate) enum Kind {
    Row(RowFacts),
    Elements(ElementFacts),
    /// The mean of a row op over several rows.
    Mean(Op),
}

/// See [`RowDefinition`], whose words these are.
pub(crate) struct RowFacts {
    pub shift: Shift,
    pub is_monotone: bool,
    pub is_equivariant: bool,
    pub sum: Option<Sum>,
    pub has_log_total: bool,
    pub has_tight: bool,
    pub is_log_probability: bool,
    pub is_derivative: bool,
    pub limit_only: bool,
    pub uses_deviations: bool,
    pub cancels: Cancels,
    pub error: fn(&RowTerms<Magnitude>, usize, Magnitude) -> Magnitude,
    pub overflows: fn(&OverflowTerms, &dyn Fn(f64) -> bool) -> bool,
    pub undetermined: fn(&Inputs, usize) -> (f64, f64),
}

/// See [`ElementDefinition`], whose words these are.
pub(crate) struct ElementFacts {
    pub domain: (f64, f64),
    pub cuts: &'static [f64],
    pub has_tight: bool,
    pub descends: bool,
    pub may_be_nan: fn(Element) -> bool,
    pub difference: fn(Element) -> (f64, f64),
    pub error: fn(&ElementTerms<Magnitude>, Element, Known<Magnitude>) -> Magnitude,
}

impl Facts {
    const fn of<D: Definition>(kind: Kind) -> Self {
        Self {
            name: D::NAME,
            code: D::CODE,
            formula: D::FORMULA,
            inputs: D::INPUTS,
            outputs: D::OUTPUTS,
            range: D::RANGE,
            kind,
        }
    }

    const fn row<D: RowDefinition>() -> Self {
        Self::of::<D>(Kind::Row(RowFacts {
            shift: D::SHIFT,
            is_monotone: D::IS_MONOTONE,
            is_equivariant: D::IS_EQUIVARIANT,
            sum: D::SUM,
            has_log_total: D::HAS_LOG_TOTAL,
            has_tight: D::HAS_TIGHT,
            is_log_probability: D::IS_LOG_PROBABILITY,
            is_derivative: D::IS_DERIVATIVE,
            limit_only: D::LIMIT_ONLY,
            uses_deviations: D::USES_DEVIATIONS,
            cancels: D::CANCELS,
            error: D::error,
            overflows: D::overflows,
            undetermined: D::undetermined,
        }))
    }

    const fn mean<D: MeanDefinition>() -> Self {
        Self::of::<D>(Kind::Mean(D::OF))
    }

    const fn elements<D: ElementDefinition>() -> Self {
        Self::of::<D>(Kind::Elements(ElementFacts {
            domain: D::DOMAIN,
            cuts: D::CUTS,
            has_tight: D::HAS_TIGHT,
            descends: D::DESCENDS,
            may_be_nan: D::may_be_nan,
            difference: D::difference,
            error: D::error,
        }))
    }
}

/// Something to be done with the definition of an op, whose formula is generic. See [`Op::visit`].
pub(crate) trait Visitor {
    /// What comes out.
    type Output;
    /// For a row op.
    fn row<D: RowDefinition>(self) -> Self::Output;
    /// For an elementwise op.
    fn elements<D: ElementDefinition>(self) -> Self::Output;
    /// For a mean over rows.
    fn mean<D: MeanDefinition>(self) -> Self::Output;
}

/// Makes the registry: for each op its constant, its kind, its file and its definition.
macro_rules! registry {
    ($($(#[$doc:meta])* $constant:ident: $kind:ident $file:ident::$definition:ident),* $(,)?) => {
        $(mod $file;)*

        #[allow(non_camel_case_types, clippy::upper_case_acronyms)]
        enum Place { $($constant),* }

        /// What is said of each op, in the order of [`Op::ALL`].
        static FACTS: [Facts; Op::ALL.len()] = [$(Facts::$kind::<$file::$definition>()),*];

        impl Op {
            $($(#[$doc])* pub const $constant: Op = Op(Place::$constant as u8);)*

            /// Every op, in the order of the reports.
            pub const ALL: &'static [Op] = &[$(Op::$constant),*];

            /// Does something with the definition of the op.
            pub(crate) fn visit<V: Visitor>(self, visitor: V) -> V::Output {
                match self {
                    $(Op::$constant => visitor.$kind::<$file::$definition>(),)*
                    // A handle is only made above.
                    _ => unreachable!("no op is number {}", self.0),
                }
            }
        }
    };
}

// In the order of the reports. A new op goes to the end.
registry! {
    /// `log(sum exp(z_i))`: one output.
    LOGSUMEXP: row logsumexp::LogSumExp,
    /// `p_j = exp(z_j) / sum exp(z_i)`: n outputs.
    SOFTMAX: row softmax::Softmax,
    /// `log p_j`: n outputs.
    LOG_SOFTMAX: row log_softmax::LogSoftmax,
    /// `-sum q_i log p_i` with `q = (1 - e) onehot(target) + e / n`: one output, in nats.
    CROSS_ENTROPY: row cross_entropy::CrossEntropy,
    /// The gradient of the cross-entropy with respect to the logits, `p_j - q_j`: n outputs.
    CROSS_ENTROPY_GRAD: row cross_entropy_grad::CrossEntropyGrad,
    /// `p_j (g_j - sum p_i g_i)` for a cotangent `g`: n outputs.
    SOFTMAX_VJP: row softmax_vjp::SoftmaxVjp,
    /// `p_j (v_j - sum p_i v_i)` for a tangent `v`: n outputs (the Jacobian of softmax is symmetric).
    SOFTMAX_JVP: row softmax_jvp::SoftmaxJvp,
    /// `g_j - p_j sum g_i` for a cotangent `g`: n outputs.
    LOG_SOFTMAX_VJP: row log_softmax_vjp::LogSoftmaxVjp,
    /// `v_j - sum p_i v_i` for a tangent `v`: n outputs.
    LOG_SOFTMAX_JVP: row log_softmax_jvp::LogSoftmaxJvp,
    /// `log(1 - exp(z_j))` of each element, which is at most 0: n outputs.
    LOG1MEXP: elements log1mexp::Log1mExp,
    /// `1 / (1 + exp(-z_j))` of each element: n outputs.
    SIGMOID: elements sigmoid::Sigmoid,
    /// `log(1 + exp(z_j))` of each element: n outputs.
    SOFTPLUS: elements softplus::Softplus,
    /// `-log(1 + exp(-z_j))`, the logarithm of the sigmoid, of each element: n outputs.
    LOG_SIGMOID: elements log_sigmoid::LogSigmoid,
    /// `g_j p_j (1 - p_j)` with `p = sigmoid(z)`, for a cotangent `g`: n outputs.
    SIGMOID_VJP: elements sigmoid_vjp::SigmoidVjp,
    /// `g_j / (1 + exp(z_j))` for a cotangent `g`: n outputs.
    LOG_SIGMOID_VJP: elements log_sigmoid_vjp::LogSigmoidVjp,
    /// `-t_j log p_j - (1 - t_j) log(1 - p_j)` with `p = sigmoid(z)`, for labels `t` in [0, 1]: n outputs, in nats.
    BCE_WITH_LOGITS: elements bce_with_logits::BceWithLogits,
    /// The gradient of that loss with respect to the logits, `p_j - t_j`: n outputs.
    BCE_WITH_LOGITS_GRAD: elements bce_with_logits_grad::BceWithLogitsGrad,
    /// `-sum q_i log p_i` for a distribution `q`: one output, in nats.
    SOFT_CROSS_ENTROPY: row soft_cross_entropy::SoftCrossEntropy,
    /// The gradient of the soft cross-entropy with respect to the logits, `p_j - q_j`: n outputs.
    SOFT_CROSS_ENTROPY_GRAD: row soft_cross_entropy_grad::SoftCrossEntropyGrad,
    /// `log(exp(z_j) + exp(y_j))` for another row of logits `y`: n outputs.
    LOGADDEXP: elements logaddexp::LogAddExp,
    /// `log(exp(z_j) - exp(y_j))` for another row of logits `y`, none above the first: n outputs.
    LOGSUBEXP: elements logsubexp::LogSubExp,
    /// `p = softmax(scale z)`, of the exact products: n outputs.
    SCALED_SOFTMAX: row scaled_softmax::ScaledSoftmax,
    /// `-sum p_i log p_i`: one output, in nats.
    ENTROPY: row entropy::Entropy,
    /// `sum p_i v_i` for values `v`, one channel of attention's: one output.
    ATTENTION: row attention::Attention,
    /// `sum p_i(t) (log p_i(t) - log p_i(z))` for the logits `t` of a target: one output, in nats.
    KL_DIVERGENCE: row kl_divergence::KlDivergence,
    /// The gradient of the KL divergence with respect to the logits, `p_j(z) - p_j(t)`: n outputs.
    KL_DIVERGENCE_GRAD: row kl_divergence_grad::KlDivergenceGrad,
    /// `log(sum exp(z_i))` of each prefix `z_0` to `z_j`: n outputs.
    LOGCUMSUMEXP: row logcumsumexp::LogCumSumExp,
    /// The mean of `-log p_t` over the rows of a matrix that are not ignored: one output, in nats.
    MEAN_CROSS_ENTROPY: mean mean_cross_entropy::MeanCrossEntropy,
    /// The gradient of that loss with respect to the logits, `(p_j - [j = t]) / count`: an output for each logit.
    MEAN_CROSS_ENTROPY_GRAD: mean mean_cross_entropy_grad::MeanCrossEntropyGrad,
}

impl Op {
    /// What its definition says.
    pub(crate) fn facts(self) -> &'static Facts {
        &FACTS[usize::from(self.0)]
    }

    /// What the definition of a row op says; none for another.
    pub(crate) fn row(self) -> Option<&'static RowFacts> {
        if let Kind::Row(facts) = &self.facts().kind { Some(facts) } else { None }
    }

    /// The row op that this one is the mean of, over several rows; none for another.
    pub(crate) fn mean_of(self) -> Option<Op> {
        if let Kind::Mean(of) = self.facts().kind { Some(of) } else { None }
    }

    /// The place in [`Op::ALL`], for tables.
    pub fn place(self) -> usize {
        usize::from(self.0)
    }

    /// The name used everywhere: the command, files, symbols of C kernels.
    pub fn name(self) -> &'static str {
        self.facts().name
    }

    /// The byte that stands for the op in the byte form of a case. It never changes.
    pub fn code(self) -> u8 {
        self.facts().code
    }

    /// The formula, for people.
    pub fn formula(self) -> &'static str {
        self.facts().formula
    }

    /// What the op takes, the row first.
    pub fn inputs(self) -> &'static [Input] {
        self.facts().inputs
    }

    /// What the op takes besides the row.
    pub fn others(self) -> &'static [Input] {
        self.inputs().split_first().map_or(&[], |(_, others)| others)
    }

    /// Whether the op takes a true class.
    pub fn takes_class(self) -> bool {
        self.others().iter().any(|input| input.role == Role::Class)
    }

    /// Whether the op takes something of a class, a true class or a distribution, so that a row needs one logit at least.
    pub fn needs_logit(self) -> bool {
        self.others().iter().any(|input| input.role.needs_class())
    }

    /// The cotangent or tangent that the op takes, if it does: one value for each logit.
    pub fn direction(self) -> Option<Input> {
        self.others().iter().copied().find(|input| input.role == Role::Direction)
    }

    /// The row that the op takes besides the logits, whatever it is; no op takes two.
    pub(crate) fn other_row(self) -> Option<Input> {
        self.others().iter().copied().find(|input| input.role.extent() == Extent::Row)
    }

    /// Whether the outputs are probabilities, which sum to 1.
    pub(crate) fn is_distribution(self) -> bool {
        self.row().and_then(|facts| facts.sum).is_some_and(|sum| sum.value == 1.0)
    }

    /// See [`ElementDefinition::CUTS`]; none of a row op.
    pub(crate) fn cuts(self) -> &'static [f64] {
        if let Kind::Elements(facts) = &self.facts().kind { facts.cuts } else { &[] }
    }

    /// Whether each output depends on the logit at its place only.
    pub fn is_elementwise(self) -> bool {
        matches!(self.facts().kind, Kind::Elements(_))
    }

    /// Whether the op has one output whatever the number of logits.
    pub fn is_scalar(self) -> bool {
        self.facts().outputs == Outputs::One
    }

    /// Whether each output depends on the logits up to its place only.
    pub(crate) fn is_of_prefixes(self) -> bool {
        self.facts().outputs == Outputs::PerPrefix
    }

    /// The number of outputs for `n` logits.
    pub fn outputs(self, n: usize) -> usize {
        if self.is_scalar() { 1 } else { n }
    }

    /// The number of rows among the inputs, that of logits included.
    pub(crate) fn rows(self) -> usize {
        self.inputs().iter().filter(|input| input.role.extent() == Extent::Row).count()
    }

    /// What the op takes, in words: `logits, a target and optionally a label smoothing`.
    pub(crate) fn takes_in_words(self) -> String {
        let words: Vec<String> = self.inputs().iter().map(|input| input.in_words()).collect();
        match &words[..] {
            [only] => format!("{only} and nothing else"),
            [first @ .., last] => format!("{} and {last}", first.join(", ")),
            [] => "nothing".into(),
        }
    }
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl fmt::Debug for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Op({self})")
    }
}

impl FromStr for Op {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Op::ALL.iter().copied().find(|op| op.name() == text).ok_or_else(|| {
            let names: Vec<&str> = Op::ALL.iter().map(|op| op.name()).collect();
            Error::usage(format!("unknown op `{text}`; the ops are: {}", names.join(", ")))
        })
    }
}

impl Serialize for Op {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Op {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_distinct_and_round_trip() {
        for &op in Op::ALL {
            assert_eq!(op.name().parse::<Op>().unwrap(), op);
            assert_eq!(Op::ALL[op.place()], op);
        }
        let error = "softmin".parse::<Op>().unwrap_err().to_string();
        assert!(error.contains("`softmin`") && error.contains("log_softmax_jvp"), "{error}");
    }

    /// A code names an op in every corpus there is: these are for ever.
    #[test]
    fn codes_are_what_they_were() {
        let codes: Vec<(u8, &str)> = Op::ALL.iter().map(|op| (op.code(), op.name())).collect();
        let known = [
            (0, "logsumexp"),
            (1, "softmax"),
            (2, "log_softmax"),
            (3, "cross_entropy"),
            (4, "cross_entropy_grad"),
            (5, "softmax_vjp"),
            (6, "softmax_jvp"),
            (7, "log_softmax_vjp"),
            (8, "log_softmax_jvp"),
            (9, "log1mexp"),
            (10, "sigmoid"),
            (11, "softplus"),
            (12, "log_sigmoid"),
            (13, "sigmoid_vjp"),
            (14, "log_sigmoid_vjp"),
            (15, "bce_with_logits"),
            (16, "bce_with_logits_grad"),
            (19, "soft_cross_entropy"),
            (20, "soft_cross_entropy_grad"),
            (17, "logaddexp"),
            (18, "logsubexp"),
            (22, "scaled_softmax"),
            (23, "entropy"),
            (27, "attention"),
            (24, "kl_divergence"),
            (25, "kl_divergence_grad"),
            (26, "logcumsumexp"),
            (28, "mean_cross_entropy"),
            (29, "mean_cross_entropy_grad"),
        ];
        assert_eq!(codes[..known.len()], known);
        let distinct: std::collections::BTreeSet<u8> = Op::ALL.iter().map(|op| op.code()).collect();
        assert_eq!(distinct.len(), Op::ALL.len());
    }

    #[test]
    fn every_op_takes_a_row_first() {
        for &op in Op::ALL {
            assert_eq!(op.inputs().first(), Some(&Input::LOGITS), "{op}");
            assert!(!op.others().contains(&Input::LOGITS), "{op}");
            assert!(op.rows() <= 2, "{op}");
        }
    }

    #[test]
    fn what_an_op_takes_in_words() {
        assert_eq!(Op::SOFTMAX.takes_in_words(), "logits and nothing else");
        assert_eq!(Op::CROSS_ENTROPY.takes_in_words(), "logits, a target and optionally a label smoothing");
        assert_eq!(Op::SOFTMAX_JVP.takes_in_words(), "logits and a tangent");
        assert_eq!(Op::SOFT_CROSS_ENTROPY.takes_in_words(), "logits and a distribution");
        assert_eq!(Op::SCALED_SOFTMAX.takes_in_words(), "logits and a scale");
    }
}
