//! Tests of the reducer: what is smallest is found, every step is simpler, and the budget holds.

use super::*;
use crate::dtype::{Dtype, text};
use crate::op::Op;

const PLENTY: usize = 1 << 20;

/// Shrinks, checks what must hold of every search, and returns the text and the number of evaluations.
fn run(text: &str, budget: usize, mut fails: impl FnMut(&Case) -> bool) -> (String, usize) {
    let case = Case::parse(text).unwrap();
    assert!(fails(&case), "{text} does not fail to begin with");
    let mut evaluated = HashSet::from([case.to_string()]);
    let mut spent = 0;
    let small = shrink(&case, budget, &mut |candidate| {
        assert!(evaluated.insert(candidate.to_string()), "{candidate} is evaluated twice");
        spent += price(candidate.logits().len());
        fails(candidate)
    });
    assert!(fails(&small), "{small} does not fail");
    assert!(spent <= budget);
    let decimals = |values: &[f64]| crate::case::values_text(values, |x| text::decimal(x, small.dtype()));
    let mut shown = format!("[{}]", decimals(small.logits()));
    if let Some((class, smoothing)) = small.target() {
        shown += &format!(" target={class} label_smoothing={}", text::decimal(smoothing, small.dtype()));
    }
    if let Some(direction) = small.direction() {
        shown += &format!(" direction=[{}]", decimals(direction));
    }
    if let Some(scale) = small.scale() {
        shown += &format!(" scale={}", text::decimal(scale, small.dtype()));
    }
    if let Some(masses) = small.distribution() {
        shown += &format!(" distribution=[{}]", decimals(masses));
    }
    (shown, evaluated.len() - 1)
}

fn spread(case: &Case) -> f64 {
    let most = case.logits().iter().copied().fold(f64::NEG_INFINITY, f64::max);
    most - case.logits().iter().copied().fold(f64::INFINITY, f64::min)
}

/// 60 values over many magnitudes, with a few specials.
fn row() -> String {
    let values: Vec<String> = (0..60).map(|k| format!("{}", f64::from((k * 7919) % 613 - 300) * 0.7371)).collect();
    format!("[{}, -inf, {}]", values[..30].join(", "), values[30..].join(", "))
}

#[test]
fn shrinks_to_the_smallest_case() {
    let row = row();
    let finite = row.replace("-inf", "0");
    type Fails = fn(&Case) -> bool;
    let table: [(&str, &str, Fails, &str, usize); 23] = [
        ("max", &format!("softmax f32 {row}"), |c| c.logits().iter().any(|&z| z > 88.8), "[89]", 22),
        ("spread", &format!("softmax f32 {finite}"), |c| spread(c) > 104.0, "[105, 0]", 60),
        ("spread f16", "softmax f16 [3, 60, -70.5, 12]", |c| spread(c) > 104.0, "[105, 0]", 60),
        ("tie", "softmax f32 [0.3*1000]", |c| c.logits().len() >= 257 && spread(c) == 0.0, "[0*257]", 40),
        ("length", &format!("softmax f32 {row}"), |c| c.logits().len() >= 17, "[0*17]", 70),
        ("last", "softmax f64 [1, nan, 3, 7.77, nan]", |c| c.logits().last().is_some_and(|z| z.is_nan()), "[nan]", 12),
        (
            "naive",
            &format!("logsumexp f32 {finite}"),
            |c| c.logits().iter().map(|&z| (z as f32).exp()).sum::<f32>().is_infinite(),
            "[89]",
            22,
        ),
        (
            "sum",
            "softmax_vjp f32 [1.5, 2, 3, -7.25] cotangent=[3.5, -1.25, -2.25, 0]",
            |c| c.logits().len() >= 2 && sum(c) == 0.0,
            "[0, 0] direction=[0, 0]",
            20,
        ),
        (
            "cancels",
            "softmax_vjp f32 [1.5, 2, 3, -7.25] cotangent=[3.5, -1.25, -2.25, 0]",
            |c| c.direction().is_some_and(|g| g.iter().any(|g| *g != 0.0)) && sum(c) == 0.0,
            "[0, 0] direction=[1, -1]",
            40,
        ),
        (
            "target",
            "cross_entropy f32 [1.5, 200.3, 3, -7.25] target=3 label_smoothing=0.1",
            |c| c.target().is_some_and(|(class, _)| c.logits().iter().any(|&z| z > c.logits()[class] + 100.0)),
            "[0, 101] target=0 label_smoothing=0",
            60,
        ),
        (
            "smoothing",
            "cross_entropy f32 [1.5, 200.3, 3] target=1 label_smoothing=0.123",
            |c| c.target().is_some_and(|(_, smoothing)| smoothing > 0.0 && smoothing < 1.0),
            "[0] target=0 label_smoothing=0.5",
            20,
        ),
        (
            "negative scale",
            "scaled_softmax f32 [1.5, 2.25] scale=-0.37",
            |c| c.scale().is_some_and(|scale| scale < 0.0),
            "[] scale=-1",
            20,
        ),
        (
            "large product",
            "scaled_softmax f32 [1.5, 200.3, -7.25] scale=-3.7",
            |c| c.logits().iter().any(|z| z * c.scale().unwrap_or(1.0) < -100.0),
            // Smaller numbers than 101 and -1, and no one of the two can be smaller still.
            "[26] scale=-4",
            60,
        ),
        (
            "one hot",
            "soft_cross_entropy f32 [1.5, 200.3, 3, -7.25] distribution=[0.125, 0.25, 0.125, 0.5]",
            |c| c.logits().iter().zip(masses(c)).any(|(&z, &q)| q > 0.0 && z > 100.0),
            "[101] distribution=[1]",
            40,
        ),
        (
            "masked without mass",
            "soft_cross_entropy f32 [1.5, -inf, 3, -7.25] distribution=[0.125, 0, 0.25, 0.625]",
            |c| c.logits().iter().zip(masses(c)).any(|(&z, &q)| q == 0.0 && z == f64::NEG_INFINITY),
            "[0, -inf] distribution=[1, 0]",
            60,
        ),
        (
            "two masses",
            "soft_cross_entropy_grad f32 [1.5, -2, 3, -7.25, 8] distribution=[0x1p-3, 0x1.c3p-3, 0x1.3dp-2, 0.09375, 0x1.018p-2]",
            |c| masses(c).iter().filter(|&&q| q > 0.0).count() >= 2,
            "[0, 0] distribution=[0.5, 0.5]",
            80,
        ),
        (
            "a tiny mass",
            "soft_cross_entropy f32 [1.5, -2, 3] distribution=[0x1.fffffep-1, 0x1p-24, 0]",
            |c| masses(c).iter().any(|&q| q > 0.0 && q < 1e-6),
            "[0, 0] distribution=[0.99999905, 9.536743e-7]",
            80,
        ),
        (
            "narrow",
            "softmax f32 [1.5, 88.72284]",
            |c| c.logits().iter().any(|&z| z > 88.722839 && z < 88.73),
            "[88.72656]",
            40,
        ),
        // 2^69: half of it is below.
        ("large", "softmax f32 [1.5e30, -2e30]", |c| c.logits().iter().any(|&z| z > 3e20), "[5.902958e20]", 30),
        // 2^-127, the largest subnormal power of two.
        (
            "subnormal",
            "softmax f32 [1.5e-42, -2e30]",
            |c| c.logits().iter().any(|&z| z != 0.0 && z.abs() < 1e-38),
            "[5.877472e-39]",
            30,
        ),
        (
            "low",
            "softmax f32 [-150.7, -110, -400]",
            |c| !c.logits().is_empty() && c.logits().iter().all(|&z| z < -103.97),
            "[-104]",
            30,
        ),
        (
            "masked",
            "softmax f32 [-inf, -inf, 3, 4, 9.5]",
            |c| {
                c.logits().iter().filter(|&&z| z == f64::NEG_INFINITY).count() >= 2
                    && c.logits().iter().any(|z| z.is_finite())
            },
            "[0, -inf, -inf]",
            60,
        ),
        ("all", "softmax f32 [3, 1, 2]", |_| true, "[]", 1),
    ];
    for (name, text, fails, want, most) in table {
        let (got, evaluations) = run(text, PLENTY, fails);
        assert_eq!(got, want, "{name}");
        assert!(evaluations <= most, "{name}: {evaluations} evaluations, at most {most} expected");
    }
}

fn masses(case: &Case) -> &[f64] {
    case.distribution().unwrap_or(&[])
}

/// A long row under a distribution is made flat, and all mass goes to its first class.
#[test]
fn a_long_distribution_is_shrunk_within_a_few_times_its_price() {
    let budget = EVALUATIONS_AT_LENGTH * price(1 << 16);
    let values: Vec<String> = (0..1u64 << 16).map(|k| format!("{}", (k * 7919 % 613) as f64 * 0.37)).collect();
    let text = format!("soft_cross_entropy f32 [{}] distribution=[0x1p-16*65536]", values.join(", "));
    let (got, _) = run(&text, budget, |case| case.logits().len() > 60_000);
    assert_eq!(got, "[0*60001] distribution=[1, 0*60000]");
}

fn sum(case: &Case) -> f64 {
    case.direction().unwrap_or(&[]).iter().sum()
}

#[test]
fn a_long_tie_takes_few_evaluations() {
    let (got, evaluations) = run("softmax f32 [0.3*262144]", 1 << 26, |case| case.logits().len() >= 123_457);
    assert_eq!(got, "[0*123457]");
    assert!(evaluations <= 90, "{evaluations}");
}

#[test]
fn the_budget_holds() {
    let text = format!("softmax f32 {}", row());
    let fails = |case: &Case| case.logits().iter().any(|&z| z > 88.8);
    assert_eq!(run(&text, 0, fails).1, 0);
    for budget in 1..22 {
        assert!(run(&text, budget, fails).1 <= budget);
    }
    // Every case that could still fail costs 94 or more, so a smaller budget leaves the case as it is.
    let fails = |case: &Case| case.logits().len() > 6000;
    assert_eq!(run("softmax f32 [1*6400, 2]", 93, fails).0, "[1*6400, 2]");
    assert_eq!(run("softmax f32 [1*6400, 2]", PLENTY, fails).0, "[0*6001]");
}

#[test]
fn every_candidate_is_simpler_and_the_search_ends() {
    for &op in Op::ALL {
        for dtype in Dtype::ALL {
            for seed in 0..6u64 {
                let mut bytes = vec![0; 200];
                let mut state = seed + 1;
                for byte in &mut bytes {
                    state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                    *byte = (state >> 56) as u8;
                }
                bytes[0] = op.code();
                bytes[1] = dtype as u8;
                let mut shrinker = Shrinker::new(Case::decode(&bytes), PLENTY);
                let mut cost = shrinker.facts().cost;
                let mut steps = 0;
                while let Some(candidate) = shrinker.candidate() {
                    // An arbitrary but fixed predicate.
                    let fails = hash(candidate).is_multiple_of(3);
                    let draft = Draft::of(candidate);
                    let lower = shrinker.cost(&draft);
                    assert!(lower < cost);
                    shrinker.answer(fails);
                    if fails {
                        cost = lower;
                    }
                    steps += 1;
                    assert!(steps < 50_000);
                }
            }
        }
    }
}

/// A row that fails for its length is made flat first; then its length is found in few steps.
#[test]
fn a_long_row_of_any_values_is_made_flat_within_a_few_times_its_price() {
    let budget = EVALUATIONS_AT_LENGTH * price(70_000);
    let values = |unit: f64| -> String {
        let values: Vec<String> = (0..70_000u64).map(|k| format!("{}", (k * 7919 % 613) as f64 * unit)).collect();
        values.join(", ")
    };
    let is_too_long = |case: &Case| case.logits().len() > 65_536;
    let (got, _) = run(&format!("softmax f32 [{}]", values(0.37)), budget, is_too_long);
    assert_eq!(got, "[0*65537]");
    let products = format!("softmax_vjp f32 [{}] cotangent=[{}]", values(0.37), values(0.11));
    let (got, _) = run(&products, budget, is_too_long);
    assert_eq!(got, "[0*65537] direction=[0*65537]");
    // Where the sum of the direction matters, 1, 0, 0, ... is as simple as it gets.
    let (got, _) = run(&products, budget, |case| {
        is_too_long(case) && case.direction().is_some_and(|g| g.iter().sum::<f64>() != 0.0)
    });
    assert_eq!(got, "[0*65537] direction=[1, 0*65536]");
}
