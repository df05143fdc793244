//! The check for a test of one's own: one op, one or several kernels, and an assertion.

use crate::campaign::{self, Control, Plan, Source, describe, extra_text, quietly};
use crate::case::{Case, values_text};
use crate::dtype::text;
use crate::error::{Error, Result};
use crate::generate::Family;
use crate::kernel::{Claims, Closure, Element, IntoClosure, Kernel};
use crate::op::Op;
use crate::oracle::Oracle;
use crate::results::Finding;
use std::sync::Arc;

/// Checks kernels of one op; made by [`check`].
pub struct Check {
    op: Op,
    kernels: Vec<Arc<dyn Kernel>>,
    claims: Claims,
    families: Vec<Family>,
    cases: u64,
    seed: u64,
    max_len: usize,
}

/// Begins a check of kernels that compute `op`.
///
/// ```should_panic
/// # use logitfuzz::Op;
/// // max is started from 0, which only rows that are all very negative show
/// logitfuzz::check(Op::LogSumExp)
///     .kernel("lse", |z: &[f32], out: &mut [f32]| {
///         let max = z.iter().fold(0.0f32, |max, &z| max.max(z));
///         out[0] = max + z.iter().map(|z| (z - max).exp()).sum::<f32>().ln();
///     })
///     .cases(2_000)
///     .assert_stable();
/// ```
pub fn check(op: Op) -> Check {
    Check {
        op,
        kernels: Vec::new(),
        claims: Claims::default(),
        families: Family::all().iter().copied().filter(|family| !family.is_slow()).collect(),
        cases: 10_000,
        seed: 0,
        max_len: campaign::DEFAULT_MAX_LEN,
    }
}

impl Check {
    /// Adds a closure as a kernel. Its slices decide the dtype (`f32`, `f64`, `half::f16`, `half::bf16`), its arguments must
    /// be those of the op: `|logits, out|`, `|logits, target, label_smoothing, out|`, or `|logits, direction, out|`. It claims
    /// what [`Check::claims`] was given before.
    ///
    /// # Panics
    /// If the closure's arguments are not those of the op.
    pub fn kernel<T: Element, Arguments>(mut self, name: &str, function: impl IntoClosure<T, Arguments>) -> Self {
        let closure = Closure::new(name, self.op, function).claiming(self.claims.clone());
        self.kernels.push(Arc::new(closure));
        self
    }

    /// Adds any kernel, in all dtypes that it supports, with its own claims.
    pub fn with(mut self, kernel: impl Kernel + 'static) -> Self {
        self.kernels.push(Arc::new(kernel));
        self
    }

    /// What the closures that are added after this claim of themselves. Default: a textbook kernel on a good libm.
    pub fn claims(mut self, claims: Claims) -> Self {
        self.claims = claims;
        self
    }

    /// The families of inputs. Default: all but the slow ones.
    pub fn families(mut self, families: &[Family]) -> Self {
        self.families = families.to_vec();
        self
    }

    /// Cases for each kernel in all, shared evenly by the families, at least one each. Default 10,000.
    pub fn cases(mut self, cases: u64) -> Self {
        self.cases = cases;
        self
    }

    /// The seed of all random streams. Default 0.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// The longest row. Default 65,536.
    pub fn max_len(mut self, max_len: usize) -> Self {
        self.max_len = max_len;
        self
    }

    /// Runs the check: the findings, shrunk, one for each distinct failure; none if the kernels are stable on these cases.
    ///
    /// # Errors
    /// No kernel was given, or no family.
    pub fn findings(&self) -> Result<Vec<Finding>> {
        if self.kernels.is_empty() {
            return Err(Error::nothing_selected("the check has no kernel; add one with .kernel(name, function)"));
        }
        let mut plan = Plan::new(self.kernels.clone());
        plan.ops = vec![self.op];
        plan.sources = self.families.iter().copied().map(Source::Family).collect();
        plan.cases = self.cases.div_ceil(self.families.len().max(1) as u64);
        (plan.seed, plan.max_len) = (self.seed, self.max_len);
        Ok(campaign::run(&plan, &Control::default())?.findings)
    }

    /// Runs the check and panics if there is any finding.
    ///
    /// # Panics
    /// With each finding: the shrunk input in decimal and in hex, the truth, what was returned, why, and how to replay it.
    pub fn assert_stable(&self) {
        match self.findings() {
            Ok(findings) if findings.is_empty() => {}
            Ok(findings) => panic!("{}", report(&findings)),
            Err(error) => panic!("{error}"),
        }
    }

    /// Runs the kernels on one case, given in its text form as findings print it.
    ///
    /// # Panics
    /// If a kernel fails on it, as [`Check::assert_stable`] does; if the text is no case of the op.
    pub fn replay(&self, case: &str) {
        let case = Case::parse(case).unwrap_or_else(|error| panic!("{error}"));
        let mut oracle = Oracle::new();
        let supporting = self.kernels.iter().filter(|kernel| kernel.supports(case.op(), case.dtype()));
        let findings: Vec<Finding> = supporting
            .map(|kernel| {
                let claims = kernel.claims(case.op(), case.dtype());
                quietly(|| describe(&mut oracle, kernel.as_ref(), &claims, &case, String::new()))
            })
            .collect();
        assert!(!findings.is_empty(), "no kernel of this check computes {} in {}", case.op(), case.dtype());
        let failing: Vec<Finding> = findings.into_iter().filter(|finding| finding.verdict.is_failure()).collect();
        assert!(failing.is_empty(), "{}", report(&failing));
    }
}

/// The findings as a panic shows them.
fn report(findings: &[Finding]) -> String {
    let mut message = format!("{} distinct failures", findings.len());
    for finding in findings {
        let Ok(case) = finding.case() else { continue };
        message += &format!("\n\n{}", finding_text(finding, &case, &replay_text(&case)));
    }
    message
}

/// A finding for people, and how to replay it. `case` is that of the finding.
pub(crate) fn finding_text(finding: &Finding, case: &Case, replay: &str) -> String {
    let family = if finding.family.is_empty() { String::new() } else { format!(" ({})", finding.family) };
    format!(
        "{} {} {}: {}{family}\n  {}\n  output {}: got {} ({}), exact {} ({})\n  error {:.3e} ulp, bound {:.3e} ulp\n  {}\n  replay: {replay}",
        finding.kernel,
        finding.op,
        finding.dtype,
        finding.verdict,
        input_text(case),
        finding.index.map_or("-".into(), |index| index.to_string()),
        finding.got_decimal,
        finding.got,
        finding.exact,
        finding.rounded,
        finding.ulp,
        finding.bound_ulp,
        finding.explanation,
    )
}

/// How a test replays a case on kernels of its own ([`Check::replay`]).
pub(crate) fn replay_text(case: &Case) -> String {
    format!(".replay(\"{case}\")")
}

/// The input of a case in decimals: `logits [1000, 0]`, and what the op takes besides.
pub(crate) fn input_text(case: &Case) -> String {
    let extra = extra_text(case);
    let comma = if extra.is_empty() { "" } else { ", " };
    format!("logits [{}]{comma}{extra}", values_text(case.logits(), |z| text::decimal(z, case.dtype())))
}
