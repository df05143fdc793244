//! Under which claim a failing kernel would pass: a correct kernel of another shape, or with the exp of another vendor, is accused until it
//! says so.

use super::hypothesis::Suspect;
use crate::judge::Verdict;
use crate::kernel::{Outcome, PRESETS};
use crate::oracle::Oracle;
use crate::trial::Trial;

/// Shapes that a kernel may have, from those that forgive least.
const SHAPES: [&str; 8] = [
    "weights=f16",
    "weights=bf16",
    "online",
    "exp_argument=2",
    "merged=64",
    "online=rescaled",
    "exp_argument=2,online=rescaled",
    "exp_argument=2,online=rescaled,merged=64",
];

/// The first claim under which the answer of a kernel to a case passes, and those to every probe as well.
pub(super) fn claim(
    oracle: &mut Oracle,
    suspect: &mut Suspect,
    trial: &mut Trial,
    outcome: &Outcome,
) -> Option<String> {
    let (claims, dtype) = (suspect.claims, trial.case().dtype());
    let presets = PRESETS.iter().map(|preset| format!("preset={}", preset.name));
    let mut tried = Vec::new();
    SHAPES.iter().map(|&shape| shape.to_owned()).chain(presets).find(|text| {
        let mut more = claims.clone();
        // That of weights is about values.
        if text.starts_with("weights") && trial.case().values().is_none() {
            return false;
        }
        // Two presets may be one set of claims, and some are what is claimed already.
        if more.set(text).is_err() || more == *claims || more.check(dtype).is_err() || tried.contains(&more) {
            return false;
        }
        tried.push(more.clone());
        trial.judge_alone(oracle, &more, outcome).verdict == Verdict::Pass && suspect.passes_under(oracle, &more)
    })
}

/// That in words, after others; nothing where there is no such claim.
pub(super) fn in_words(claim: Option<&str>) -> String {
    claim.map_or_else(String::new, |claim| {
        format!(
            " With `--claims {claim}` it passes, here and on every probe: claim that, if it is how the kernel computes."
        )
    })
}
