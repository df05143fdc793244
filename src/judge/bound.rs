//! The error that is forgiven: the a-priori bound of the textbook algorithm, subtract the maximum, on this very input.
//!
//! With `u` the roundoff and `eta` the least subnormal of the accumulator, `a` the maximum, `d_i = a - z_i`, `w_i = exp(-d_i)`,
//! `S = sum w_i`, `s = S - 1`, `p_i = w_i / S`, `h = min(H u, 1/8)` for a summation of length `H`, and
//! `rho_i = |fl(z_i - a) - (z_i - a)|` (0 where that overflows: the weight is 0 then):
//!
//! ```text
//! E_S = (1/S) sum w_i (rho_i + c_e u) + h + n eta                          relative error of S
//! E_l = (1/S) [ sum over i != k of w_i (rho_i + c_e u) + s h + n eta ]     absolute error it puts into log1p(s)
//! r_j = rho_j + c_e u + u + E_S                                            relative error of p_j
//! A_j = p_j r_j + eta (1 + 1/S)                                            absolute error of p_j, underflow included
//! D   = sum |g_i| (A_i + p_i (h + u)) + n eta                              absolute error of c = sum p_i g_i
//! ```
//!
//! The tight bound, which decides where it is claimed (`--strict` claims it for all), is what a kernel earns that keeps the digits which
//! cancel: `log S` by `log1p(s)`, so `E_l` and `c_1p` in place of `E_S` and `c_l`; and the gradient of the cross-entropy at the target,
//! where nothing is smoothed, as `-s_o / S` with `s_o` the sum of the other weights:
//!
//! ```text
//! E_o = (1/s_o) [ sum over i != t of w_i (rho_i + c_e u) + n eta ] + h      relative error of s_o
//! |out| (E_o + E_S + 2 u) + eta (1 + 1/S)                                   at the target; A_j elsewhere
//! ```
//!
//! The first-order analysis is that of Blanchard, Higham and Higham (IMA J. Numer. Anal. 41(4), 2021), sharpened by the exact
//! `rho_i` and carried over to the other ops. Second order is covered by the factor `1 + 4 (h + 10 u)`, and the rounding of the
//! result by half an ulp of the output dtype, taken in the binade that the computed value may reach.
//!
//! Claims of a kernel's shape add to this, each term derived from the steps of such a kernel:
//!
//! - `exp_argument = c_x`: exp is `2^(x log2 e)` with a product that errs by `c_x u` of itself, so the exp errs by a factor within
//!   `e^t`, `t = c_x u d_i`, and `t + t^2` is added beside `c_e u`. The differences of running maxima that a weight is rescaled by
//!   add up to `d_i` with its own, so it is added once however often the weight is rescaled.
//! - `online`: weight `i` is rescaled `R_i` times in the running sum, by an exp and a product each. The differences are rounded, by
//!   `u` of themselves, and add up to `d_i`: `T_i = R_i (c_e + 1) u + [R_i > 0] u d_i` is added to `rho_i + c_e u` in `E_S`, `E_l`.
//! - `online = rescaled`: the same happens to the weights that are divided: `T_j` is added to `r_j`, and `R_j eta / S` to `A_j`, as a
//!   factor or a product of each rescaling may underflow beside outputs of size 1.
//! - `merged = K`: every weight passes through `L = ceil(log2 K)` merges, each of an exp and a product: `T_i` with `R_i = L`, in `E_S`,
//!   `E_l` and `r_j`, and `L eta / S` in `A_j`. The sums of parts are added at each level: `L u` beside `h` in `E_S`, `E_l` and `D`;
//!   `n eta` there becomes `(1 + L) n eta`, as factors that underflow multiply sums of up to `n`.
//! - `weights`: see [`RowTerms::narrowing_error`](crate::op::terms::RowTerms::narrowing_error).
//! - `online` and `merged`: the maximum of a part rises where that of the row does not. However the row is cut into parts, each in
//!   the order of the row, the logits at which the maximum of a part rises after `i` are an increasing chain above `z_i`, so `R_i`
//!   is the length of the longest such chain, plus `L`.
//!
//! Where the logits are times a scale `s`, the exponent of a weight errs by `x_i`, exactly computed: where it is multiplied first,
//! `|fl(fl(s z_i) - fl(s a)) - s (z_i - a)|`; where the difference is multiplied, `|fl(s fl(z_i - a)) - s (z_i - a)|` (where that difference
//! overflows, as before). The tight bound is of the second order. On some rows that errs more than the first, though never by much: the
//! textbook may have either, and the larger counts. The last rounding may make it less, and not every kernel has it: again the larger
//! counts. `x_i` is as large as `u |s z_i|`, so `e^x_i - 1` stands for `rho_i`, and 1 where the product overflows and the weight is lost.
//!
//! Prefixes have bounds of their own, see `prefix`, and so have means over rows, see `rows`.
//!
//! Where subnormal numbers are flushed to zero, `eta` is the least normal number, and what gradual underflow leaves exact costs
//! up to one `eta` too: each value read, each addition, each difference. Beside weights of sum 1 or more that is of no account.
//! It is added where numbers as small as `eta` are summed or subtracted: `(n + 1) eta` to `D` (n additions, and the values
//! read, whose weights sum to 1), `2 eta` to `g_j - c`, `2 n eta` to `sum g_i`, `2 eta` to `g_j - p_j sum g_i`, `eta` to
//! `v_j - c`, `2 eta` to `p_j - q_j` where `e > 0` (of `e / n` and of the difference) or where `q` is a distribution, and to the loss
//! under a distribution `2 n eta` and, for each mass below `eta`, which is read as 0, its whole term.

use super::finish::{Bounds, Finish, least};
use super::prefix::PrefixErrors;
use super::rows::{Mean, RowBounds};
use super::scaled::{ScaleErrors, Scaled};
use crate::case::Case;
use crate::dtype::{Dtype, Format, ldexp};
use crate::fenv::Standard;
use crate::kernel::{Claims, Online};
use crate::magnitude::{Magnitude, Size};
use crate::op::Anatomy;
use crate::op::definition::{ElementDefinition, MeanDefinition, RowDefinition, Sum};
use crate::op::inputs::{Element, Inputs};
use crate::op::signature::Role;
use crate::op::terms::{Addition, ElementTerms, Known, OverflowTerms, RowTerms, argument_error, difference_error};
use crate::op::{Kind, RowFacts, Visitor};
use crate::oracle::{self, Due, NearCase, NearRow, Rounded, Sizes, Truth};
use crate::special::RowClass;
use std::borrow::Cow;
use std::cell::OnceCell;

impl Bounds {
    /// The bounds of a case under a kernel's claims. `truth` must be the truth of the case.
    pub fn new(case: &Case, truth: &Truth, claims: &Claims) -> Self {
        let _standard = Standard::enter();
        // Where a divergence may be a number besides infinity, these know of the infinity alone; where a loss may be one because its smoothing
        // vanishes, that number is the loss without it.
        let has_several = truth.alternatives.len() > 1;
        let is_infinite = |case: &&Case| !case.op().row().is_some_and(|facts| facts.is_derivative);
        let unsmoothed =
            Some(case).filter(|_| has_several && truth.class == RowClass::PartlyMasked).filter(is_infinite);
        let unsmoothed = unsmoothed.and_then(oracle::without_smoothing);
        let case = unsmoothed.as_ref().unwrap_or(case);
        if !(has_several && case.target_logits().is_some())
            && let Some(near) = NearCase::of(case, truth.class)
        {
            return match NearBounds::new(case, &near, claims) {
                NearBounds::Plain(bounds) => bounds.widened(),
                NearBounds::Wide(bounds) => bounds,
            };
        }
        match &case.op().facts().kind {
            Kind::Row(facts) => {
                let Truth { anatomy, target_anatomy, deviations, .. } = truth;
                let format = case.output_format();
                let size = |j: usize| value(truth, j).map(|value| value.magnitude(format));
                let target = target_anatomy.as_deref();
                let row = Anatomies {
                    case,
                    claims,
                    is_ordinary: truth.class.is_ordinary(),
                    row: anatomy,
                    target,
                    deviations,
                };
                row.bounds(facts, &size)
            }
            Kind::Elements(facts) => {
                let format = case.output_format();
                let size = |j: usize| value(truth, j).map(|value| (value.magnitude(format), value.rounded));
                of_elements(case, claims, &truth.anatomy.weights, &size, facts.has_tight, facts.error)
            }
            Kind::Mean(_) => {
                let format = case.output_format();
                let of_row = |(row, truth): (&Option<Case>, &Option<Truth>)| {
                    let (row, truth) = (row.as_ref()?, truth.as_ref()?);
                    let loss = value(truth, 0).map(|value| value.magnitude(format));
                    Some(RowBounds { bounds: Bounds::new(row, truth, claims), loss })
                };
                let rows: Vec<Option<RowBounds<Magnitude>>> = case.rows().iter().zip(&truth.rows).map(of_row).collect();
                let size = |j: usize| value(truth, j).map(|value| value.magnitude(format));
                Mean { case, claims, rows: &rows }.bounds(&size)
            }
        }
    }
}

/// What the bounds of a row op are made of.
struct Anatomies<'a> {
    case: &'a Case,
    claims: &'a Claims,
    is_ordinary: bool,
    row: &'a Anatomy,
    target: Option<&'a Anatomy>,
    deviations: &'a [Magnitude],
}

impl Anatomies<'_> {
    fn bounds(&self, facts: &RowFacts, size: &impl Fn(usize) -> Option<Magnitude>) -> Bounds {
        let Self { case, claims, is_ordinary, row, target, deviations } = *self;
        let sizes = |anatomy| RowSizes::of_anatomy(case, claims, is_ordinary, anatomy);
        let errors = RowErrors::new(RowSizes { deviations, ..sizes(row) }, Scaled::Either);
        errors.with_target(target.map(sizes)).all(facts, size, facts.error)
    }
}

/// The bounds of a case as the screen sees it.
#[derive(Debug)]
pub(crate) enum NearBounds {
    /// Of moderate numbers.
    Plain(Bounds<f64>),
    /// Of numbers of any size.
    Wide(Bounds),
}

impl NearBounds {
    /// The bounds under a kernel's claims.
    pub fn new(case: &Case, near: &NearCase, claims: &Claims) -> Self {
        match near.sizes {
            Sizes::Wide { .. } => Self::Wide(Bounds::of_wide(case, near, claims)),
            Sizes::Plain { .. } => Self::Plain(case.op().visit(OfNear { case, near, claims })),
        }
    }

    /// See [`Bounds::gain_over`].
    pub fn gain_over(&self, other: &Self) -> f64 {
        match (self, other) {
            (Self::Plain(bounds), Self::Plain(other)) => bounds.gain_over(other),
            (Self::Wide(bounds), Self::Wide(other)) => bounds.gain_over(other),
            _ => f64::INFINITY,
        }
    }
}

impl Bounds {
    /// The bounds of a case that only numbers of any size are enough for.
    fn of_wide(case: &Case, near: &NearCase, claims: &Claims) -> Self {
        // From half an ulp above the largest number on, a value is infinite.
        let largest = Magnitude::power_of_two(case.output_format().emax + 1);
        let known = |near: &NearCase, j: usize| {
            let output = near.outputs[j];
            let size = Magnitude::scaled(output.bound(), -near.shift(j));
            let value = ldexp(output.value(), -near.shift(j));
            output.high.is_finite().then_some((if size < largest { size } else { largest }, value))
        };
        let size = |j: usize| known(near, j).map(|(size, _)| size);
        match (&case.op().facts().kind, &near.sizes) {
            (Kind::Row(facts), Sizes::Wide { row, other, deviations }) => {
                let target = other.as_ref();
                Anatomies { case, claims, is_ordinary: true, row, target, deviations }.bounds(facts, &size)
            }
            (Kind::Elements(facts), Sizes::Wide { row, .. }) => {
                of_elements(case, claims, &row.weights, &|j| known(near, j), facts.has_tight, facts.error)
            }
            _ => {
                let of_row = |(row, near): (&Option<Case>, &Option<NearCase>)| {
                    let (row, near) = (row.as_ref()?, near.as_ref()?);
                    let loss = known(near, 0).map(|(size, _)| size);
                    Some(RowBounds { bounds: Bounds::of_wide(row, near, claims), loss })
                };
                let rows: Vec<Option<RowBounds<Magnitude>>> = case.rows().iter().zip(&near.rows).map(of_row).collect();
                Mean { case, claims, rows: &rows }.bounds(&size)
            }
        }
    }
}

impl Bounds<f64> {
    /// The same as magnitudes.
    fn widened(self) -> Bounds {
        let widened = |bounds: Vec<f64>| bounds.into_iter().map(Magnitude::from).collect::<Vec<Magnitude>>();
        Bounds {
            textbook: widened(self.textbook),
            tight: self.tight.map(widened),
            half_digits: self.half_digits.map(widened),
            overflow_is_forgiven: self.overflow_is_forgiven,
            sum: self.sum,
        }
    }
}

/// The bounds in plain numbers, with the formula of the op in the loop.
struct OfNear<'a> {
    case: &'a Case,
    near: &'a NearCase,
    claims: &'a Claims,
}

impl<'a> OfNear<'a> {
    /// The row, that of the target's logits, and the deviations.
    fn sizes(&self) -> (&'a NearRow, Option<&'a NearRow>, &'a [f64]) {
        match &self.near.sizes {
            Sizes::Plain { row, other, deviations } => (row, other.as_deref(), deviations),
            Sizes::Wide { .. } => unreachable!("{} has bounds that are no plain numbers", self.case),
        }
    }

    /// The size of output `j`, if it is finite.
    #[inline]
    fn size(&self, j: usize) -> Option<f64> {
        let size = self.near.outputs[j].bound();
        size.is_finite().then(|| size_of(size, self.case.dtype().output()))
    }
}

impl Visitor for OfNear<'_> {
    type Output = Bounds<f64>;

    fn row<D: RowDefinition>(self) -> Bounds<f64> {
        let OfNear { case, claims, .. } = self;
        let (near, other, deviations) = self.sizes();
        let row = RowErrors::new(RowSizes { deviations, ..RowSizes::of_near(case, claims, near) }, Scaled::Either);
        let target = other.map(|target| RowSizes::of_near(case, claims, target));
        let row = row.with_target(target);
        let size = |j: usize| self.size(j);
        let Kind::Row(facts) = &case.op().facts().kind else { unreachable!("{} is made of the whole row", D::NAME) };
        row.all(facts, &size, D::error::<f64>)
    }

    fn elements<D: ElementDefinition>(self) -> Bounds<f64> {
        let size = |j: usize| self.size(j).map(|size| (size, self.near.outputs[j].value()));
        of_elements(self.case, self.claims, &self.sizes().0.weights, &size, D::HAS_TIGHT, D::error::<f64>)
    }

    fn mean<D: MeanDefinition>(self) -> Bounds<f64> {
        let OfNear { case, near, claims } = self;
        let of_row = |(row, near): (&Option<Case>, &Option<NearCase>)| {
            let (row, near) = (row.as_ref()?, near.as_ref()?);
            let loss = OfNear { case: row, near, claims }.size(0);
            Some(RowBounds { bounds: row.op().visit(OfNear { case: row, near, claims }), loss })
        };
        let rows: Vec<Option<RowBounds<f64>>> = case.rows().iter().zip(&near.rows).map(of_row).collect();
        let size = |j: usize| self.size(j);
        Mean { case, claims, rows: &rows }.bounds(&size)
    }
}

/// Every element has the same bound whatever the row; that of the textbook is the tight one, but for the ops that have a tight one.
/// `weights` are upper bounds of the exponentials that they need, and `known` tells the size of an output and the output, none where there
/// is no finite value.
fn of_elements<S: Size>(
    case: &Case,
    claims: &Claims,
    weights: &[S],
    known: &impl Fn(usize) -> Option<(S, f64)>,
    has_tight: bool,
    error: impl Fn(&ElementTerms<S>, Element, Known<S>) -> S,
) -> Bounds<S> {
    let accumulator = claims.accumulator(case.dtype()).format();
    let u = accumulator.unit_roundoff();
    let eta = least(claims, accumulator);
    let terms = |is_tight: bool| ElementTerms {
        u,
        exp: claims.exp,
        exp_argument: claims.exp_argument,
        expm1: claims.expm1,
        log: claims.log,
        log1p: claims.log1p,
        eta,
        flushed: if claims.flush_to_zero { eta } else { S::ZERO },
        beyond: S::of(1.0).shifted(-(accumulator.emax + 1)),
        is_tight,
        accumulator,
    };
    let finish = Finish::new(case, 1.0 + 4.0 * (11.0 * u), 8);
    let bounds = |terms: &ElementTerms<S>| -> Vec<S> {
        let bound = |(j, element): (usize, Element)| match known(j) {
            Some((size, value)) if element.is_finite() => {
                finish.bound(size, |size| error(terms, element, Known { weight: weights[j], size, value }))
            }
            None if may_be_flushed_into(case, element, terms.flushed) => S::INFINITY,
            // What an infinite element leaves of the other input is a number, or one rounding away, but for what is flushed of it.
            Some((size, _)) if case.other_row().is_some() => {
                let rounding = if terms.accumulator == case.output_format() { S::ZERO } else { S::of(terms.u) * size };
                finish.bound(size, |_| rounding + terms.flushed + terms.flushed)
            }
            _ => S::ZERO,
        };
        case.elements().enumerate().map(bound).collect()
    };
    let textbook = bounds(&terms(claims.tight));
    let tight = if has_tight && !claims.tight { bounds(&terms(true)) } else { textbook.clone() };
    Bounds { tight: Some(tight), half_digits: None, textbook, overflow_is_forgiven: false, sum: 0.0 }
}

/// Whether an element without a finite value is so near to one that has it that it may be flushed there: a logit to 0, a label beside an
/// infinite logit, or a logit to the other one.
fn may_be_flushed_into<S: Size>(case: &Case, element: Element, flushed: S) -> bool {
    let Element { logit, other } = element;
    let (distance, reach) = match case.op().other_row().map(|input| input.role) {
        None => (logit, flushed),
        Some(Role::Label) => (other, flushed),
        Some(Role::Logits) => (logit - other, flushed + flushed),
        Some(_) => return false,
    };
    distance != 0.0 && distance.is_finite() && S::of(distance) < reach
}

/// The size of a value as a [`Rounded`] tells it: one that rounds away from 0 may lie in the binade of what it rounds to.
#[inline]
fn size_of(value: f64, dtype: Dtype) -> f64 {
    let rounded = if dtype == Dtype::F32 { f64::from(value as f32) } else { dtype.round(value) };
    if rounded.is_finite() { rounded + (value - rounded).abs() } else { ldexp(2.0, dtype.format().emax) }
}

/// The value that is due of output `j`, if there is one. All alternatives of a special row share their finite values, so the first that
/// has a value decides.
fn value(truth: &Truth, j: usize) -> Option<&Rounded> {
    truth.alternatives.iter().find_map(|outputs| value_of(&outputs[j]))
}

/// `h = min(H u, 1/8)`, the relative error of a sum of `n` terms.
pub(super) fn sum_error(claims: &Claims, case: &Case) -> f64 {
    let u = claims.accumulator(case.dtype()).format().unit_roundoff();
    // A sum that stops growing altogether must not be forgiven because it is long.
    (claims.sum.roundings(case.logits().len()) * u).min(0.125)
}

/// How far the probabilities may be from summing to 1, or the gradient from summing to 0; `h` is the error of the sum, and
/// `rescaling` that of an online kernel's rescaled weights.
///
/// Whatever the exp, the weights that are summed are those that are divided, so only the sum, one rounding for a quotient or two
/// for a product with the reciprocal, and the output's own rounding count. An online kernel sums other weights than it divides.
fn sum_bound(case: &Case, claims: &Claims, sum: Sum, h: f64, rescaling: f64) -> f64 {
    let output = case.output_format();
    let accumulator = claims.accumulator(case.dtype()).format();
    let u = accumulator.unit_roundoff();
    let rounded_again = if accumulator == output { 0.0 } else { output.unit_roundoff() };
    let underflow = case.logits().len() as f64 * least_number(case, claims, output.least() / 2.0);
    let first_order = (h + sum.roundings * u) + rescaling + sum.stored * rounded_again + underflow;
    // Of second order: 1 / (1 - h) and products of roundings.
    first_order * (1.0 + 4.0 * (h + 10.0 * u))
}

/// What a result may lose because it is flushed to zero; `otherwise` for kernels that do not flush.
pub(super) fn least_number(case: &Case, claims: &Claims, otherwise: f64) -> f64 {
    let accumulator = claims.accumulator(case.dtype()).format();
    if claims.flush_to_zero { accumulator.least_normal().max(case.output_format().least()) } else { otherwise }
}

#[derive(Clone, Copy, PartialEq)]
enum LogForm {
    /// With `log S` computed as log1p(s).
    Tight,
    /// With `log S` computed as log(S).
    Textbook,
}

/// What the bounds are computed from: the row in numbers of one kind, as upper bounds, and whose error is forgiven.
#[derive(Clone, Copy)]
struct RowSizes<'a, S> {
    case: &'a Case,
    claims: &'a Claims,
    is_ordinary: bool,
    /// Whether it is the row of the target's logits.
    is_target: bool,
    /// The largest logit.
    max: f64,
    /// For each logit its weight.
    weights: &'a [S],
    /// The sum of the weights, and that without one maximum.
    total: S,
    others: S,
    /// The logarithm of the sum.
    log_total: S,
    /// `|g_j - c|`, for the ops that use them.
    deviations: &'a [S],
}

impl<'a> RowSizes<'a, Magnitude> {
    fn of_anatomy(case: &'a Case, claims: &'a Claims, is_ordinary: bool, anatomy: &'a Anatomy) -> Self {
        Self {
            case,
            claims,
            is_ordinary,
            is_target: false,
            max: anatomy.max,
            weights: &anatomy.weights,
            total: Magnitude::from(anatomy.total),
            others: anatomy.others,
            log_total: anatomy.log_total,
            deviations: &[],
        }
    }
}

impl<'a> RowSizes<'a, f64> {
    fn of_near(case: &'a Case, claims: &'a Claims, row: &'a NearRow) -> Self {
        Self {
            case,
            claims,
            is_ordinary: true,
            is_target: false,
            max: row.max,
            weights: &row.weights,
            total: row.total_bound(),
            others: row.others_bound(),
            log_total: row.log_total_bound(),
            deviations: &[],
        }
    }
}

/// What all outputs of a case share.
struct RowErrors<'a, S> {
    row: RowSizes<'a, S>,
    /// The same of the target's logits, for the ops that take them.
    target: Option<Box<RowErrors<'a, S>>>,
    u: f64,
    eta: S,
    /// What reading a number, or adding two, may lose to underflow: nothing, or `eta` where it is flushed to zero.
    flushed: S,
    h: f64,
    /// For each logit the rounding error of `z - a`, absolute.
    rho: Vec<f64>,
    /// What claims add to the errors of the weights that are divided; empty where they add nothing.
    additions: Vec<Addition>,
    /// `L u`, of the merges of parts.
    merging: f64,
    /// What the probabilities are multiplied by, as far as a class with weight has it.
    direction: Cow<'a, [f64]>,
    /// The underflows of each term of a sum.
    underflows: f64,
    /// `(1/S) sum w_i (rho_i + c_e u)`, with what claims of the kernel's shape add.
    weight_error: f64,
    /// The same without one maximum.
    other_weight_error: S,
    /// What an online kernel's rescaled weights may differ from those that it divides, relative to `S`; else 0.
    rescaling: f64,
}

impl<'a, S: Size> RowErrors<'a, S> {
    fn new(row: RowSizes<'a, S>, scaled: Scaled) -> Self {
        let RowSizes { case, claims, is_ordinary, max, weights, total, .. } = row;
        let accumulator = claims.accumulator(case.dtype()).format();
        let u = accumulator.unit_roundoff();
        let eta = least(claims, accumulator);
        let target = case.shared_target_logits().filter(|_| row.is_target);
        let logits: &[f64] = &target.cloned().unwrap_or_else(|| case.signed_logits());
        let (max, scale) = match case.scale() {
            // The maximum of the row may be that of the products.
            Some(scale) => (logits.iter().copied().fold(f64::NEG_INFINITY, f64::max), scale.abs()),
            None => (max, 1.0),
        };
        let distance = |z: f64| if scale == 1.0 { max - z } else { (max / 2.0 - z / 2.0) * scale * 2.0 };
        let rho: Vec<f64> = match case.scale() {
            _ if !is_ordinary => vec![0.0; logits.len()],
            None => logits.iter().map(|&z| difference_error(z, max, accumulator)).collect(),
            Some(_) => {
                let errors = ScaleErrors::new(max, scale, accumulator, claims.flush_to_zero, scaled);
                logits.iter().map(|&z| errors.of_weight(z)).collect()
            }
        };
        let merges = claims.merges(logits.len());
        let rises = match claims.online {
            Online::No => Vec::new(),
            _ if !is_ordinary => Vec::new(),
            _ if merges > 0 => chains_after(logits),
            _ => rises_after(logits),
        };
        let is_rescaled = claims.online == Online::Rescaled;
        let has_additions = is_ordinary && (claims.exp_argument > 0.0 || is_rescaled || merges > 0);
        let mut additions = vec![Addition::default(); if has_additions { logits.len() } else { 0 }];
        let top = logits.iter().position(|&z| z == max);
        let (mut all, mut others, mut rescaled) = (S::ZERO, S::ZERO, S::ZERO);
        for (i, &weight) in weights.iter().enumerate() {
            if weight.is_zero() {
                continue;
            }
            let mut relative = rho[i] + claims.exp * u;
            // One exp and one product for each rise (Milakov and Gimelshein) or merge, whose gaps add up to d_i at most.
            let gap = distance(logits[i]);
            let rescaling = |rescalings: u32| match rescalings {
                0 => 0.0,
                _ => f64::from(rescalings) * (claims.exp + 1.0) * u + u * gap,
            };
            let rises = rises.get(i).copied().unwrap_or(0);
            let in_sum = rescaling(if is_ordinary { rises + merges } else { 0 });
            let mut divided = Addition::default();
            if has_additions {
                let argument = argument_error(claims.exp_argument, u, gap);
                let rescalings = merges + if is_rescaled { rises } else { 0 };
                let underflows = f64::from(rescalings);
                divided = Addition { relative: argument + rescaling(rescalings), underflows };
                relative += argument;
                additions[i] = divided;
            }
            if in_sum > 0.0 {
                // A weight that was never rescaled errs as the one that is divided; one that was errs by itself, and the argument of
                // its exp by another product.
                rescaled = rescaled + weight * S::of(in_sum + 2.0 * claims.exp * u + rho[i]);
                if has_additions {
                    let argument = argument_error(claims.exp_argument, u, gap);
                    rescaled = rescaled + weight * S::of(divided.relative + argument);
                }
                relative += in_sum;
            }
            let error = weight * S::of(relative);
            all = all + error;
            if Some(i) != top {
                others = others + error;
            }
        }
        Self {
            row,
            target: None,
            u,
            eta,
            flushed: if claims.flush_to_zero { eta } else { S::ZERO },
            h: sum_error(claims, case),
            additions,
            merging: f64::from(merges) * u,
            direction: case.seen(),
            underflows: 1.0 + f64::from(merges) + f64::from(u8::from(is_rescaled)),
            rho,
            weight_error: (all / total).to_f64(),
            other_weight_error: others / total,
            rescaling: (rescaled / total).to_f64(),
        }
    }

    /// The same beside the errors of the target's row, where there is one.
    fn with_target(self, target: Option<RowSizes<'a, S>>) -> Self {
        let errors = |row| Box::new(Self::new(RowSizes { is_target: true, ..row }, Scaled::Either));
        Self { target: target.map(errors), ..self }
    }

    /// The bounds of all outputs, whose sizes are told by `size` (none where there is no finite value).
    fn all(
        &self,
        facts: &RowFacts,
        size: &impl Fn(usize) -> Option<S>,
        error: impl Fn(&RowTerms<S>, usize, S) -> S,
    ) -> Bounds<S> {
        let RowSizes { case, claims, .. } = self.row;
        let form = if claims.tight { LogForm::Tight } else { LogForm::Textbook };
        let root = self.u.sqrt();
        if case.scale().is_some() {
            let tight = RowErrors::new(self.row, Scaled::Last);
            let claimed = if claims.tight { &tight } else { self };
            return Bounds {
                tight: Some(tight.bounds(self.h, form, size, &error)),
                half_digits: (self.h > root).then(|| claimed.bounds(root, form, size, &error)),
                textbook: claimed.bounds(self.h, form, size, &error),
                overflow_is_forgiven: self.gaps_overflow(facts) || self.scale_is_flushed(),
                sum: facts.sum.map_or(0.0, |sum| sum_bound(case, claims, sum, self.h + self.merging, self.rescaling)),
            };
        }
        Bounds {
            tight: facts.has_tight.then(|| self.bounds(self.h, LogForm::Tight, size, &error)),
            half_digits: (self.h > root).then(|| self.bounds(root, form, size, &error)),
            textbook: self.bounds(self.h, form, size, &error),
            overflow_is_forgiven: self.gaps_overflow(facts) || self.direction_overflows(),
            sum: facts.sum.map_or(0.0, |sum| sum_bound(case, claims, sum, self.h + self.merging, self.rescaling)),
        }
    }

    /// Whether the textbook overflows where the value is finite.
    fn gaps_overflow(&self, facts: &RowFacts) -> bool {
        let RowSizes { case, is_ordinary, max, .. } = self.row;
        let overflows = |x: f64| self.accumulator().round(x, 0.0).is_infinite();
        let terms = OverflowTerms { inputs: case.inputs(), max, h: self.h, u: self.u };
        is_ordinary && (facts.overflows)(&terms, &overflows)
    }

    /// Whether a scale may be read as 0, which times an infinite logit is NaN.
    fn scale_is_flushed(&self) -> bool {
        let RowSizes { case, claims, .. } = self.row;
        let is_small = case.scale().is_some_and(|scale| scale.abs() < self.accumulator().least_normal());
        claims.flush_to_zero && is_small && case.logits().iter().any(|z| z.is_infinite())
    }

    fn accumulator(&self) -> Format {
        self.row.claims.accumulator(self.row.case.dtype()).format()
    }

    /// Whether sums of the cotangent or tangent, or differences of two of its values, may overflow the accumulator.
    fn direction_overflows(&self) -> bool {
        let format = self.accumulator();
        let size = self.direction.iter().fold(Magnitude::ZERO, |sum, &g| sum + Magnitude::from(g));
        // Half of the range is left for the roundings of the sum.
        size.shifted(1) > Magnitude::from(format.largest())
    }

    /// The terms of the bounds with a relative summation error of `h`.
    fn terms(&self, h: f64, form: LogForm) -> RowTerms<'_, S> {
        let RowErrors { row, u, eta, flushed, .. } = *self;
        let RowSizes { case, claims, is_ordinary, max, weights, total, others, log_total, deviations, is_target } = row;
        let inputs = case.inputs();
        let logits = if is_target { inputs.target_logits } else { inputs.logits };
        let count_eta = S::of(case.logits().len() as f64 * self.underflows) * eta;
        let h_merged = h + self.merging;
        let total_error = self.weight_error + h_merged + count_eta.to_f64();
        let log_error = match form {
            LogForm::Tight => {
                S::of(claims.log1p * u) * log_total
                    + self.other_weight_error
                    + (others * S::of(h_merged) + count_eta) / total
            }
            LogForm::Textbook => S::of(claims.log * u) * log_total + S::of(total_error),
        };
        RowTerms {
            inputs: Inputs { logits, direction: &self.direction, ..inputs },
            is_ordinary,
            max,
            weights,
            reciprocal: S::of(1.0) / total,
            deviations,
            u,
            exp_error: claims.exp * u,
            eta,
            flushed,
            h,
            rho: &self.rho,
            additions: &self.additions,
            merging: self.merging,
            underflows: self.underflows,
            total_error,
            rescaled: S::of(self.rescaling) * total,
            log_total,
            log_error,
            is_tight: form == LogForm::Tight,
            narrowing: claims.weights.map(|dtype| (dtype.format().unit_roundoff(), dtype.format().least())),
            other: self.target.as_ref().map(|target| Box::new(target.terms(h, form))),
            prefix_errors: self.prefix_errors(h, form),
            mean_error: OnceCell::new(),
            direction_sums: OnceCell::new(),
        }
    }

    /// For each prefix the error of its log-sum-exp but for its last rounding, for the ops that are of prefixes; else nothing.
    fn prefix_errors(&self, most: f64, form: LogForm) -> Vec<S> {
        let RowErrors { row: RowSizes { case, claims, .. }, u, eta, flushed, .. } = *self;
        let is_tight = form == LogForm::Tight;
        let of_row = || PrefixErrors { logits: case.logits(), claims, u, eta, flushed, most, is_tight }.all();
        if case.op().is_of_prefixes() { of_row() } else { Vec::new() }
    }

    /// The bounds of all outputs with a relative summation error of `h`.
    fn bounds(
        &self,
        h: f64,
        form: LogForm,
        size: &impl Fn(usize) -> Option<S>,
        error: &impl Fn(&RowTerms<S>, usize, S) -> S,
    ) -> Vec<S> {
        let terms = self.terms(h, form);
        let case = self.row.case;
        let n = case.logits().len();
        // A prefix passes through several for each logit, and what makes their functions upper bounds.
        let of_each = if case.op().is_of_prefixes() { 24 } else { 8 };
        let finish = Finish::new(case, 1.0 + 4.0 * (h + 10.0 * self.u), of_each * n);
        let bound = |j: usize| match size(j) {
            Some(size) => finish.bound(size, |size| error(&terms, j, size)),
            None => S::ZERO,
        };
        (0..case.op().outputs(n)).map(bound).collect()
    }
}

/// The finite value that is due, if there is one.
pub(crate) fn value_of(due: &Due) -> Option<&Rounded> {
    use crate::oracle::Accepted;
    match due {
        Due::Value(value) => Some(value),
        Due::OneOf(accepted) => {
            accepted.iter().find_map(|accepted| if let Accepted::Value(value) = accepted { Some(value) } else { None })
        }
        Due::Undecided => None,
    }
}

/// For each logit how often the running maximum rises after it.
fn rises_after(logits: &[f64]) -> Vec<u32> {
    let mut max = f64::NEG_INFINITY;
    let is_rise: Vec<bool> = logits
        .iter()
        .map(|&z| {
            let rise = z > max;
            max = max.max(z);
            rise
        })
        .collect();
    let mut rises = vec![0; logits.len()];
    for i in (1..logits.len()).rev() {
        rises[i - 1] = rises[i] + u32::from(is_rise[i]);
    }
    rises
}

/// For each logit the length of the longest increasing chain of later logits above it.
fn chains_after(logits: &[f64]) -> Vec<u32> {
    // From the last to the first: of all chains of a length seen so far the largest first logit, which falls as the length grows.
    let mut firsts: Vec<f64> = Vec::new();
    let mut chains = vec![0; logits.len()];
    for (chain, &z) in chains.iter_mut().zip(logits).rev() {
        let longest = firsts.partition_point(|&first| first > z);
        *chain = u32::try_from(longest).unwrap_or(u32::MAX);
        match firsts.get_mut(longest) {
            Some(first) => *first = z,
            None => firsts.push(z),
        }
    }
    chains
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Against all chains, tried one by one; and where a row is one part, no more rises than the chain is long.
    #[test]
    fn the_longest_chain_is_found() {
        fn longest(z: f64, rest: &[f64]) -> u32 {
            (0..rest.len()).filter(|&k| rest[k] > z).map(|k| 1 + longest(rest[k], &rest[k + 1..])).max().unwrap_or(0)
        }
        let mut draw = crate::generate::draw::Draw::from_seed(1);
        let values = [f64::NEG_INFINITY, -3.0, -1.0, -0.0, 0.0, 2.0, 5.0, 7.0];
        for _ in 0..2_000 {
            let row: Vec<f64> = (0..draw.index(10)).map(|_| draw.choose(&values)).collect();
            let chains = chains_after(&row);
            let due: Vec<u32> = (0..row.len()).map(|i| longest(row[i], &row[i + 1..])).collect();
            assert_eq!(chains, due, "{row:?}");
            assert!(
                rises_after(&row).iter().zip(&chains).all(|(rises, chain)| rises <= chain || row.is_empty()),
                "{row:?}"
            );
        }
        // The maximum of the second half rises three times, that of the row never.
        assert_eq!((rises_after(&[9.0, 0.0, 1.0, 2.0, 3.0])[1], chains_after(&[9.0, 0.0, 1.0, 2.0, 3.0])[1]), (0, 3));
    }
}
