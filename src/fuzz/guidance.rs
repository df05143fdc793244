//! What libFuzzer is told of an execution besides its coverage: how near to its bound the kernel came, and what kind of case it
//! was.
//!
//! Coverage alone does not climb: a softmax runs the same branches whether its error is 0.5 ulp or 2^40, and LLVM traces comparisons
//! of integers only. libFuzzer keeps an input that sets a byte of the section `__libfuzzer_extra_counters` that no input before
//! it set. So each (op, dtype) has a byte for every quarter octave of the ratio error / bound, which makes a ladder of inputs,
//! each worse than the one below. It also has a byte for each verdict and each class of row, and for how much the textbook bound
//! forgives on the input: inputs on which everything cancels are kept, whatever the kernel makes of them.
//!
//! It is the ratio that is climbed, not the error in ulps: that is largest where the result is 0, and a search for it never leaves.
// The counters are memory that libFuzzer finds by its section.
#![allow(unsafe_code)]

use crate::case::Case;
use crate::dtype::Dtype;
use crate::judge::{Judgement, Verdict};
use crate::op::Op;
use crate::special::RowClass;

/// Quarter octaves of the ratio, from 2^-16 to 2^16; what is beyond counts as the last or the first.
const RATIOS: usize = 128;
const RATIOS_PER_OCTAVE: f64 = 4.0;

/// Steps of four octaves of the bound in ulps, from 1 to 2^256.
const BOUNDS: usize = 64;
const OCTAVES_PER_BOUND: f64 = 4.0;

const VERDICTS: usize = Verdict::ALL.len();
/// The classes of rows; `Finite` is the last.
const CLASSES: usize = RowClass::Elements as usize + 1;

/// The bytes of one (op, dtype).
const CELL: usize = RATIOS + BOUNDS + VERDICTS + CLASSES;

/// The number of counters.
pub const COUNTERS: usize = CELL * Op::ALL.len() * Dtype::ALL.len();

/// The counters that a case sets.
fn features(case: &Case, judgement: &Judgement) -> impl Iterator<Item = usize> {
    let cell = CELL * (case.op().place() * Dtype::ALL.len() + case.dtype() as usize);
    let ratio = bucket(judgement.max_ratio, RATIOS_PER_OCTAVE, RATIOS / 2, RATIOS);
    let bound =
        judgement.worst.as_ref().and_then(|worst| bucket(worst.judged.bound_ulps, 1.0 / OCTAVES_PER_BOUND, 0, BOUNDS));
    let verdict = Some(judgement.verdict as usize);
    let class = Some(RowClass::of_case(case) as usize);
    [(0, ratio), (RATIOS, bound), (RATIOS + BOUNDS, verdict), (RATIOS + BOUNDS + VERDICTS, class)]
        .into_iter()
        .filter_map(move |(base, place)| place.map(|place| cell + base + place))
}

/// The bucket of `x`, of `count`: 1 is at `origin`. None for 0 and NaN.
fn bucket(x: f64, per_octave: f64, origin: usize, count: usize) -> Option<usize> {
    (x > 0.0).then(|| (origin as f64 + (x.log2() * per_octave).floor()).clamp(0.0, count as f64 - 1.0) as usize)
}

/// Sets the counters of a case. It does nothing where no fuzzer is built.
pub fn record(case: &Case, judgement: &Judgement) {
    features(case, judgement).for_each(section::set);
}

#[cfg(all(fuzzing, target_os = "linux"))]
mod section {
    use super::COUNTERS;
    use std::sync::atomic::{AtomicU8, Ordering};

    /// libFuzzer reads the section in words of 8 bytes and clears it before each execution.
    #[repr(align(64))]
    struct Counters([AtomicU8; COUNTERS]);

    // The section is libFuzzer's interface; without `used` the optimiser may delete what nobody reads, and the guidance is
    // silently gone (libFuzzer says `INFO: N Extra Counters` where it is not). Sound: the section holds nothing but bytes.
    #[used]
    #[unsafe(link_section = "__libfuzzer_extra_counters")]
    static COUNTERS_OF_THE_SECTION: Counters = Counters([const { AtomicU8::new(0) }; COUNTERS]);

    pub(super) fn set(counter: usize) {
        COUNTERS_OF_THE_SECTION.0[counter].store(1, Ordering::Relaxed);
    }
}

#[cfg(not(all(fuzzing, target_os = "linux")))]
mod section {
    pub(super) fn set(_counter: usize) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::{Kernel, builtin};
    use crate::oracle::Oracle;
    use crate::trial::Trial;
    use std::collections::BTreeSet;

    fn features_on(kernel: &str, text: &str) -> BTreeSet<usize> {
        let (kernel, case) = (builtin::find(kernel).unwrap(), Case::parse(text).unwrap());
        let claims = kernel.claims(case.op(), case.dtype());
        let judgement = Trial::new(&case).judge(&mut Oracle::new(), kernel, &claims);
        features(&case, &judgement).collect()
    }

    #[test]
    fn buckets_are_octaves() {
        let ratio = |x| bucket(x, RATIOS_PER_OCTAVE, RATIOS / 2, RATIOS);
        assert_eq!([ratio(1.0), ratio(1.25), ratio(0.99), ratio(4.0)], [Some(64), Some(65), Some(63), Some(72)]);
        assert_eq!([ratio(0.0), ratio(f64::NAN)], [None, None]);
        assert_eq!([ratio(1e-300), ratio(f64::INFINITY)], [Some(0), Some(RATIOS - 1)]);
        let bound = |x| bucket(x, 1.0 / OCTAVES_PER_BOUND, 0, BOUNDS);
        assert_eq!([bound(0.5), bound(15.0), bound(16.0), bound(1e300)], [Some(0), Some(0), Some(1), Some(63)]);
    }

    #[test]
    fn counters_tell_cases_apart() {
        let cases = [
            "softmax f32 [0, 1]",
            "softmax f32 [0, 0.5]",
            "softmax f16 [0, 1]",
            "logsumexp f32 [0, 1]",
            "softmax f32 [0, -inf]",
            "softmax f32 [0, nan]",
            "softmax f32 [inf, 0]",
            "log_softmax f32 [0, -20]",
            "log_softmax f32 [0, -80]",
        ];
        let mut seen = BTreeSet::new();
        for text in cases {
            let features = features_on("shifted", text);
            assert!(features.iter().all(|&feature| feature < COUNTERS) && features.len() >= 2, "{text}: {features:?}");
            assert!(seen.insert(features), "{text} looks like another");
        }
        // A failing kernel is told apart by its verdict, too.
        assert_ne!(features_on("naive", "softmax f32 [1000, 0]"), features_on("shifted", "softmax f32 [1000, 0]"));
    }

    #[test]
    fn cells_do_not_overlap() {
        let text = "log_softmax_jvp f64 [0, 1] tangent=[1, 2]";
        let first = CELL * (Op::LOG_SOFTMAX_JVP.place() * Dtype::ALL.len() + Dtype::F64 as usize);
        let features = features_on("shifted", text);
        assert!(features.iter().all(|&feature| (first..first + CELL).contains(&feature)), "{features:?}");
        assert_eq!(COUNTERS, CELL * Op::ALL.len() * Dtype::ALL.len());
        assert!(Op::ALL.iter().enumerate().all(|(place, op)| op.place() == place));
        assert_eq!(Dtype::ALL.map(|dtype| dtype as usize), std::array::from_fn(|place| place));
    }
}
