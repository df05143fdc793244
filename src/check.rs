//! The check for a test of one's own: one op, one or several kernels, and an assertion.

use crate::baseline::{self, Baseline, Comparison};
use crate::campaign::{self, Control, Plan, Source};
use crate::case::Case;
use crate::diagnosis::{describe, describe_batch};
use crate::error::{Error, Result};
use crate::generate::Family;
use crate::kernel::batch::is_batch_text;
use crate::kernel::{self, Batch, Claims, Closure, Element, IntoClosure, Kernel, strictly};
use crate::op::Op;
use crate::oracle::Oracle;
use crate::quiet::quietly;
use crate::report::finding::{Told, input_in_decimals};
use crate::results::{Finding, Results};
use std::path::Path;
use std::sync::Arc;

/// Checks kernels of one op; made by [`check`].
pub struct Check {
    op: Op,
    kernels: Vec<Arc<dyn Kernel>>,
    claims: Claims,
    families: Vec<Family>,
    cases: Option<u64>,
    seed: Option<u64>,
    max_len: Option<usize>,
    is_strict: bool,
}

/// Cases in all, where none are asked for.
const DEFAULT_CASES: u64 = 10_000;

/// The environment variable that makes [`Check::against`] write the baseline instead of comparing with it.
const ACCEPT: &str = "LOGITFUZZ_ACCEPT";

/// Begins a check of kernels that compute `op`.
///
/// ```should_panic
/// # use logitfuzz::Op;
/// // max is started from 0, which only rows that are all very negative show
/// logitfuzz::check(Op::LOGSUMEXP)
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
        cases: None,
        seed: None,
        max_len: None,
        is_strict: false,
    }
}

impl Check {
    /// Adds a closure as a kernel. Its slices decide the dtype (`f32`, `f64`, `half::f16`, `half::bf16`; a half type that is read, with
    /// `f32` for `out`, is a dtype of two formats), its arguments must be those of the op: `|logits, out|`,
    /// `|logits, target, label_smoothing, out|`, or `|logits, other, out|` with another row. It claims what [`Check::claims`] was given
    /// before.
    ///
    /// # Panics
    /// If the closure's arguments are not those of the op, or there is no dtype of its two formats.
    pub fn kernel<T: Element, U: Element, Arguments>(
        mut self,
        name: &str,
        function: impl IntoClosure<(T, U), Arguments>,
    ) -> Self {
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

    /// Holds all kernels to the tight bound where the op has one, as `--strict` does: a digit that a careful kernel keeps may not be lost
    /// because the textbook loses it.
    pub fn strict(mut self) -> Self {
        self.is_strict = true;
        self
    }

    /// The families of inputs. Default: all but the slow ones.
    pub fn families(mut self, families: &[Family]) -> Self {
        self.families = families.to_vec();
        self
    }

    /// Cases for each kernel in all, shared evenly by the families, at least one each. Default 10,000, or as many as a baseline has.
    pub fn cases(mut self, cases: u64) -> Self {
        self.cases = Some(cases);
        self
    }

    /// The seed of all random streams. Default 0, or that of a baseline.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// The longest row. Default 262,144, or that of a baseline.
    pub fn max_len(mut self, max_len: usize) -> Self {
        self.max_len = Some(max_len);
        self
    }

    /// Runs the check: the findings, shrunk, one for each distinct failure; none if the kernels are stable on these cases.
    ///
    /// # Errors
    /// No kernel was given, or no family; a kernel of another process cannot be run any more, so that not every case was.
    pub fn findings(&self) -> Result<Vec<Finding>> {
        Ok(whole(&self.plan(None)?)?.findings)
    }

    /// What is run; what was not asked for is taken from a baseline if there is one.
    fn plan(&self, baseline: Option<&baseline::BaselineSettings>) -> Result<Plan> {
        if self.kernels.is_empty() {
            return Err(Error::nothing_selected("the check has no kernel; add one with .kernel(name, function)"));
        }
        let mut plan = Plan::new(self.kernels.clone());
        plan.ops = vec![self.op];
        plan.sources = self.families.iter().map(|&family| Arc::new(family) as Arc<dyn Source>).collect();
        plan.cases = self.cases.unwrap_or(DEFAULT_CASES).div_ceil(self.families.len().max(1) as u64);
        if let Some(settings) = baseline {
            if self.cases.is_none() {
                plan.cases = settings.cases;
            }
            plan.seed = settings.seed;
            plan.max_len = settings.max_len;
            plan.claims.clone_from(&settings.claims);
            plan.special = settings.special.as_ref().map(|special| special.parse()).transpose()?;
        }
        plan.seed = self.seed.unwrap_or(plan.seed);
        plan.max_len = self.max_len.unwrap_or(plan.max_len);
        plan.claims = strictly(plan.claims.as_deref(), self.is_strict);
        Ok(plan)
    }

    /// Runs the check and compares it with a baseline, which may be one that `logitfuzz accept` wrote, or that several checks
    /// share: entries of other kernels and ops are left alone. Cases, seed and longest row are those of the baseline unless they
    /// were asked for.
    ///
    /// # Errors
    /// The baseline cannot be read, is of other settings, or has stale entries; what [`Check::findings`] refuses.
    pub fn compare(&self, path: impl AsRef<Path>) -> Result<Comparison> {
        Ok(self.compare_results(path.as_ref())?.0)
    }

    fn compare_results(&self, path: &Path) -> Result<(Comparison, Results)> {
        let recorded = Baseline::read(path)?;
        // Which other kernels there are, no check knows.
        recorded.refuse_former()?;
        recorded.refuse_stale(|_| true)?;
        let results = whole(&self.plan(Some(&recorded.settings))?)?;
        Ok((baseline::compare(&results, Some(&recorded), baseline::DEFAULT_SLACK)?, results))
    }

    /// Runs the check and writes what it measures into a baseline, which is made if there is none. Entries of other kernels and
    /// ops stay as they are.
    ///
    /// # Errors
    /// As [`Check::compare`], or the file cannot be written.
    pub fn accept(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        let recorded = if path.exists() { Some(Baseline::read(path)?) } else { None };
        let plan = self.plan(recorded.as_ref().map(|recorded| &recorded.settings))?;
        let results = whole(&plan)?;
        Baseline::update(path, |old| old.unwrap_or_else(|| Baseline::of(&results)).accept(&results))?;
        Ok(())
    }

    /// The gate of a `#[test]`: panics if a kernel is worse than the baseline says (see [`crate::baseline`]). Failures that the
    /// baseline knows are no reason to panic.
    ///
    /// With `LOGITFUZZ_ACCEPT=1` in the environment the baseline is written instead: `LOGITFUZZ_ACCEPT=1 cargo test`.
    ///
    /// ```
    /// use logitfuzz::Op;
    ///
    /// fn lse(z: &[f32], out: &mut [f32]) {
    ///     let max = z.iter().copied().fold(f32::NEG_INFINITY, f32::max); // drops NaN, and the baseline knows it
    ///     out[0] = max + z.iter().map(|z| (z - max).exp()).sum::<f32>().ln();
    /// }
    ///
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let baseline = folder.path().join("baseline.json"); // in your repository: "reports/baseline.json"
    /// let check = logitfuzz::check(Op::LOGSUMEXP).kernel("lse", lse).cases(200);
    /// # check.accept(&baseline).unwrap();
    /// check.against(baseline);
    /// ```
    ///
    /// # Panics
    /// With every cell that is worse, the reason, and the shrunk inputs that show it; also if the baseline cannot be used.
    pub fn against(&self, path: impl AsRef<Path>) {
        let path = path.as_ref();
        if std::env::var_os(ACCEPT).is_some_and(|value| value == "1") {
            return self.accept(path).unwrap_or_else(|error| panic!("{error}"));
        }
        let (mut gate, results) = match self.compare_results(path) {
            Ok(compared) => compared,
            Err(error) if !path.exists() => panic!("{error} (here: run this test with {ACCEPT}=1)"),
            Err(error) => panic!("{error}"),
        };
        if gate.passes() {
            return;
        }
        // The command knows no closure, so its replay lines are of no use here; the findings have their own.
        gate.cells.iter_mut().for_each(|cell| cell.replay = None);
        let is_worse = |finding: &Finding| {
            gate.worse().any(|(cell, _)| cell.name.kernel == finding.kernel && cell.name.dtype == finding.dtype.name())
        };
        let findings: Vec<Finding> = results.findings.into_iter().filter(is_worse).collect();
        panic!(
            "{}\nto accept: run this test with {ACCEPT}=1\n\n{}",
            crate::report::gate::text(&gate),
            report(&findings)
        );
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

    /// Runs the kernels on one case, or on a batch, given in its text form as findings print it.
    ///
    /// # Panics
    /// If a kernel fails on it, as [`Check::assert_stable`] does; if the text is no case of the op, and no batch.
    pub fn replay(&self, case: &str) {
        let batch = is_batch_text(case).then(|| Batch::parse(case).unwrap_or_else(|error| panic!("{error}")));
        let case = match &batch {
            Some(batch) => batch.case().clone(),
            None => Case::parse(case).unwrap_or_else(|error| panic!("{error}")),
        };
        let mut oracle = Oracle::new();
        let supporting = self.kernels.iter().filter(|kernel| kernel.supports(case.op(), case.dtype()));
        let findings: Vec<Finding> = supporting
            .map(|kernel| {
                let mut claims = kernel.claims(case.op(), case.dtype());
                claims.tight |= self.is_strict;
                let finding = quietly(|| match &batch {
                    Some(batch) => describe_batch(&mut oracle, kernel.as_ref(), &claims, batch),
                    None => describe(&mut oracle, kernel.as_ref(), &claims, &case),
                });
                kernel::trouble(kernel.as_ref()).map_or(finding, |error| panic!("{error}"))
            })
            .collect();
        assert!(!findings.is_empty(), "no kernel of this check computes {} in {}", case.op(), case.dtype());
        let failing: Vec<Finding> = findings.into_iter().filter(|finding| finding.verdict.is_failure()).collect();
        assert!(failing.is_empty(), "{}", report(&failing));
    }
}

/// Runs the whole of a plan.
fn whole(plan: &Plan) -> Result<Results> {
    let results = campaign::run(plan, &Control::default())?;
    plan.trouble().map_or(Ok(results), Err)
}

/// The findings as a panic shows them.
fn report(findings: &[Finding]) -> String {
    let mut message = format!("{} distinct failures", findings.len());
    for finding in findings {
        let Ok(case) = finding.case() else { continue };
        let replay = match finding.batch() {
            Ok(Some(batch)) => format!(".replay(\"{batch}\")"),
            _ => replay_text(&case),
        };
        message += &format!("\n\n{}", finding_text(finding, &case, &replay));
    }
    message
}

/// A finding for people, and how to replay it. `case` is that of the finding.
#[doc(hidden)]
pub fn finding_text(finding: &Finding, case: &Case, replay: &str) -> String {
    let told = Told::new(finding);
    let family = if finding.family.is_empty() { String::new() } else { format!(" ({})", finding.family) };
    format!(
        "{} {} {}: {}{family}\n  {}\n  output {}: got {} ({}), exact {} ({})\n  error {} ulp, bound {} ulp\n  {}\n  replay: {replay}",
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
        told.error.as_ref().map_or("inf", |error| &error.ulps),
        told.bound,
        finding.explanation,
    )
}

/// How a test replays a case on kernels of its own ([`Check::replay`]).
pub(crate) fn replay_text(case: &Case) -> String {
    format!(".replay(\"{case}\")")
}

/// The input of a case in decimals: `logits [1000, 0]`, and what the op takes besides.
pub(crate) fn input_text(case: &Case) -> String {
    format!("logits {}", input_in_decimals(case, usize::MAX))
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use super::*;
    use crate::fenv::Env;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// A softmax that is right, in whatever environment it is called.
    fn softmax(z: &[f32], out: &mut [f32]) {
        let max = z.iter().fold(f32::NEG_INFINITY, |max, &z| if z > max || z.is_nan() { z } else { max });
        let sum: f32 = z.iter().map(|z| (z - max).exp()).sum();
        out.iter_mut().zip(z).for_each(|(out, z)| *out = (z - max).exp() / sum);
    }

    /// What a caller made of its thread is no fault of a kernel, and is there again afterwards.
    #[test]
    fn a_thread_of_another_environment() {
        let families = ["ordinary", "subnormal", "wide"].map(|name| name.parse::<Family>().unwrap());
        for environment in [Env::UPWARD, Env::FLUSHING] {
            let findings = std::thread::spawn(move || {
                environment.set();
                let findings = check(Op::SOFTMAX).kernel("mine", softmax).families(&families).cases(300).findings();
                assert_eq!(Env::current(), environment);
                findings.unwrap()
            });
            let findings = findings.join().unwrap();
            assert!(findings.is_empty(), "{environment:?}: {findings:?}");
        }
    }

    /// A closure that leaves the environment changed is told so, though its outputs are right; a panic counts more.
    #[test]
    fn a_closure_that_changes_the_environment() {
        let families = [Family::all()[0]];
        let flush = |z: &[f32], out: &mut [f32]| {
            softmax(z, out);
            Env::FLUSHING.set();
        };
        let findings = check(Op::SOFTMAX).kernel("flush", flush).families(&families).cases(20).findings().unwrap();
        let [finding] = &findings[..] else { panic!("{findings:?}") };
        assert_eq!((finding.verdict.name(), finding.cause_name()), ("fenv_changed", "fenv_changed"));
        let panics = |_: &[f32], _: &mut [f32]| {
            Env::UPWARD.set();
            panic!("on purpose");
        };
        let findings = check(Op::SOFTMAX).kernel("panics", panics).families(&families).cases(20).findings().unwrap();
        assert!(!findings.is_empty() && findings.iter().all(|finding| finding.verdict.name() == "panic"));
        assert_eq!(Env::current(), Env::STANDARD);
    }

    /// Two answers to one call are a failure, even where each is good, unless the kernel says that it gives them.
    #[test]
    fn a_closure_that_answers_in_two_ways() {
        let families = [Family::all()[0]];
        let varying = || {
            let calls = AtomicUsize::new(0);
            move |z: &[f32], out: &mut [f32]| {
                softmax(z, out);
                if let Some(first) = out.first_mut().filter(|_| calls.fetch_add(1, Ordering::Relaxed).is_multiple_of(5))
                {
                    *first *= 1.0 + f32::EPSILON;
                }
            }
        };
        let findings =
            check(Op::SOFTMAX).kernel("varies", varying()).families(&families).cases(200).findings().unwrap();
        let [finding] = &findings[..] else { panic!("{findings:?}") };
        assert_eq!((finding.verdict.name(), finding.certainty.name()), ("flaky", "shown"));
        assert!(finding.explanation.contains("nondeterministic"), "{}", finding.explanation);
        let claims = Claims { nondeterministic: true, ..Claims::default() };
        let check = check(Op::SOFTMAX).claims(claims).kernel("varies", varying()).families(&families).cases(200);
        assert_eq!(check.findings().unwrap(), []);
    }

    /// An output that is left as it was is told from one that is NaN, and from one that what it held survives in.
    #[test]
    fn a_closure_that_leaves_its_output() {
        let families = [Family::all()[0]];
        let of = |kernel: fn(&[f32], &mut [f32])| {
            let findings = check(Op::SOFTMAX).kernel("mine", kernel).families(&families).cases(60).findings().unwrap();
            findings.iter().map(|finding| finding.verdict.name()).collect::<Vec<_>>()
        };
        assert_eq!(of(|z, out| softmax(&z[..z.len() / 2], &mut out[..z.len() / 2])), ["unwritten"]);
        let adds = |z: &[f32], out: &mut [f32]| {
            let held = out.first().map_or(0.0, |held| held * 0.0);
            softmax(z, out);
            out.iter_mut().for_each(|x| *x += held);
        };
        assert_eq!(of(adds), ["flaky"]);
        assert_eq!(of(|_, out| out.fill(f32::NAN)), ["nan"]);
    }
}
