//! Tests of the mutations: always valid, never idle, in all directions, and within reach of every regime.

use super::*;
use crate::case::{Draft, Value};
use crate::op::signature::Role;
use crate::special::RowClass;
use crate::{Dtype, Op};
use std::collections::BTreeSet;

const MAX_LEN: usize = 300;

fn case(text: &str) -> Case {
    Case::parse(text).unwrap()
}

/// A walk of `count` mutations that begins at a case, one draw each.
fn walk(start: &Case, seed: u64, count: u64, mut visit: impl FnMut(&Case)) {
    let mut at = start.clone();
    for step in 0..count {
        let mut draw = Draw::from_seed(seed << 32 | step);
        // Back to the start now and then: a walk alone gets lost among rows of nothing but special values.
        let from = if step % 64 == 63 { start } else { &at };
        at = mutate(from, &mut draw, MAX_LEN);
        visit(&at);
    }
}

/// A case of two logits for every op.
fn start(op: Op, dtype: Dtype) -> Case {
    let other = |role: Role| match role {
        Role::Class => Value::Index(1),
        Role::Classes => vec![Some(1)].into(),
        Role::Smoothing => Value::Number(0.0),
        Role::Label => vec![1.0, 0.25].into(),
        Role::Scale => Value::Number(0.5),
        Role::Direction | Role::Logits | Role::Values => vec![1.0, -2.0].into(),
        Role::Distribution => vec![0.25, 0.75].into(),
    };
    Case::with_others(op, dtype, vec![0.0, 1.0], other).unwrap()
}

#[test]
fn mutated_cases_are_valid_bounded_and_survive_the_byte_form() {
    let mut checked = 0;
    for (seed, op) in Op::ALL.iter().copied().enumerate() {
        for dtype in Dtype::ALL {
            let mut lengths = BTreeSet::new();
            walk(&start(op, dtype), seed as u64, 1_000, |case| {
                assert_eq!((case.op(), case.dtype()), (op, dtype));
                assert!(case.logits().len() <= MAX_LEN, "{}", case.logits().len());
                Draft::of(case).into_case().unwrap();
                assert!(same(&Case::decode(&case.encode()), case), "{case}");
                lengths.insert(case.logits().len());
                checked += 1;
            });
            assert!(lengths.contains(&1) && lengths.iter().any(|&n| n > 100), "{op} {dtype}: {lengths:?}");
        }
    }
    assert_eq!(checked, 1_000 * Op::ALL.len() * Dtype::ALL.len());
}

#[test]
fn a_mutation_is_named_by_its_seed_and_changes_the_case() {
    let cases = [
        "softmax f32 [0, 1, 2]",
        "softmax f32 []",
        "logsumexp f64 [nan]",
        "logsumexp f16 [-inf*40]",
        "cross_entropy bf16 [1, 2] target=1 label_smoothing=0.125",
        "softmax_vjp f32 [0*8] cotangent=[1*8]",
    ];
    for text in cases {
        let case = case(text);
        let mut seen = BTreeSet::new();
        for seed in 0..500 {
            let once = mutate(&case, &mut Draw::from_seed(seed), MAX_LEN);
            let again = mutate(&case, &mut Draw::from_seed(seed), MAX_LEN);
            assert!(same(&once, &again), "{once} {again}");
            assert!(!same(&once, &case), "seed {seed} leaves {case}");
            seen.insert(once.to_string());
        }
        assert!(seen.len() > 250, "{text}: {} distinct", seen.len());
    }
}

#[test]
fn a_mutation_grows_and_shrinks_rows() {
    let case = case("softmax f32 [0, 1, 2, 3, 4, 5, 6, 7]");
    let lengths: Vec<usize> =
        (0..1_000).map(|seed| mutate(&case, &mut Draw::from_seed(seed), MAX_LEN).logits().len()).collect();
    let [shorter, longer] = [lengths.iter().filter(|&&n| n < 8).count(), lengths.iter().filter(|&&n| n > 8).count()];
    assert!(shorter > 150 && longer > 150, "{shorter} {longer}");
    // A limit below the length is kept at once.
    for seed in 0..100 {
        assert!(mutate(&case, &mut Draw::from_seed(seed), 3).logits().len() <= 3);
    }
}

/// What a search must be able to step into, and that it does so from two ordinary logits within a counted number of steps.
#[test]
fn every_regime_is_within_reach() {
    const STEPS: u64 = 3_000;
    type Regime = fn(&Case) -> bool;
    fn sum(case: &Case) -> f64 {
        case.logits().iter().map(|z| z.exp()).sum()
    }
    fn gap(case: &Case) -> f64 {
        let max = case.logits().iter().copied().fold(f64::NEG_INFINITY, f64::max);
        case.logits().iter().map(|z| max - z).fold(0.0, f64::max)
    }
    let regimes: [(&str, Regime); 15] = [
        ("partly masked", |c| RowClass::of(c.op(), c.logits()) == RowClass::PartlyMasked),
        ("leading mask", |c| c.logits().len() > 2 && c.logits()[0] == f64::NEG_INFINITY && c.logits()[1].is_finite()),
        ("fully masked", |c| RowClass::of(c.op(), c.logits()) == RowClass::FullyMasked),
        ("+inf", |c| RowClass::of(c.op(), c.logits()) == RowClass::OneInfinite),
        ("NaN", |c| RowClass::of(c.op(), c.logits()) == RowClass::Nan),
        ("no logit", |c| c.logits().is_empty()),
        ("long ties", |c| c.logits().len() >= 256 && c.logits().iter().all(|&z| z == c.logits()[0])),
        ("overflow of exp", |c| c.logits().iter().any(|&z| (88.722..88.724).contains(&z))),
        ("a gap where exp becomes 0", |c| (103.9..104.0).contains(&gap(c))),
        ("a sum within ulps of 1", |c| c.logits().len() > 1 && (sum(c) - 1.0).abs() < 1e-6),
        ("an offset", |c| c.logits().len() > 1 && c.logits().iter().all(|&z| z > 1e6) && (0.5..64.0).contains(&gap(c))),
        ("all far below 0", |c| c.logits().len() > 1 && c.logits().iter().all(|&z| (-1e30..-110.0).contains(&z))),
        ("neighbours", |c| c.logits().len() > 1 && (1e-9..2e-6).contains(&gap(c))),
        ("subnormal", |c| c.logits().iter().any(|&z| z != 0.0 && z.abs() < 1e-38)),
        ("the largest number", |c| c.logits().iter().any(|&z| z == f64::from(f32::MAX))),
    ];
    let mut reached = [0u64; 15];
    walk(&case("softmax f32 [0, 1]"), 1, STEPS, |case| {
        for ((_, regime), count) in regimes.iter().zip(&mut reached) {
            *count += u64::from(regime(case));
        }
    });
    for ((name, _), count) in regimes.iter().zip(reached) {
        println!("{name}: {count}");
    }
    let missed: Vec<&str> =
        regimes.iter().zip(reached).filter(|(_, count)| *count == 0).map(|((name, _), _)| *name).collect();
    assert!(missed.is_empty(), "not in {STEPS} steps: {missed:?}");
}

/// Targets, smoothings and directions move as logits do.
#[test]
fn what_the_op_takes_is_mutated_too() {
    let (mut classes, mut smoothings) = (BTreeSet::new(), BTreeSet::new());
    walk(&case("cross_entropy f32 [0, 1, 2] target=0"), 2, 1_000, |case| {
        let (class, smoothing) = case.target().unwrap();
        classes.insert(class);
        smoothings.insert(smoothing.to_bits());
    });
    assert!(classes.len() > 5 && smoothings.len() > 20, "{} {}", classes.len(), smoothings.len());
    assert!(smoothings.contains(&1.0f64.to_bits()) && smoothings.contains(&f64::from(f32::from_bits(1)).to_bits()));

    let (mut directions, mut cancelling) = (BTreeSet::new(), 0);
    walk(&case("log_softmax_vjp f32 [0, 1, 2] cotangent=[1, 2, 3]"), 3, 1_000, |case| {
        let direction = case.direction().unwrap();
        directions.extend(direction.iter().map(|g| g.to_bits()));
        cancelling += usize::from(direction.iter().any(|&g| g != 0.0) && direction.iter().sum::<f64>() == 0.0);
    });
    assert!(directions.len() > 300 && cancelling > 20, "{} {cancelling}", directions.len());
}

/// Masses move, and sum to 1 in every case: [`Case::new`] would refuse others.
#[test]
fn distributions_are_mutated_too() {
    let (mut masses, mut counts) = (BTreeSet::new(), [0; 5]);
    walk(&case("soft_cross_entropy f32 [0, 1, 2] distribution=[0.25, 0.25, 0.5]"), 4, 2_000, |case| {
        let q = case.distribution().unwrap();
        masses.extend(q.iter().map(|mass| mass.to_bits()));
        let is_masked = |i: usize| case.logits()[i] == f64::NEG_INFINITY;
        let regimes = [
            q.len() > 1 && q.contains(&1.0),
            q.len() > 2 && !q.contains(&0.0),
            q.iter().any(|&mass| mass > 0.0 && mass < 1e-7),
            (0..q.len()).any(|i| q[i] > 0.0 && is_masked(i)) && case.logits().iter().any(|z| z.is_finite()),
            (0..q.len()).any(is_masked) && (0..q.len()).all(|i| q[i] == 0.0 || !is_masked(i)),
        ];
        counts.iter_mut().zip(regimes).for_each(|(count, is_met)| *count += usize::from(is_met));
    });
    assert!(masses.len() > 500 && counts.iter().all(|&count| count > 20), "{} {counts:?}", masses.len());
}

#[test]
fn scales_are_mutated_too() {
    let (mut scales, mut counts) = (BTreeSet::new(), [0; 4]);
    walk(&case("scaled_softmax f32 [0, 1, 2] scale=1"), 5, 2_000, |case| {
        let scale = case.scale().unwrap();
        scales.insert(scale.to_bits());
        let size = case.logits().iter().filter(|z| z.is_finite()).fold(0.0f64, |size, z| size.max(z.abs()));
        let regimes = [scale < 0.0, scale == 0.0, scale.abs() > 1e6, (1.0..100.0).contains(&(scale * size).abs())];
        counts.iter_mut().zip(regimes).for_each(|(count, is_met)| *count += usize::from(is_met));
    });
    assert!(scales.len() > 100 && counts.iter().all(|&count| count > 20), "{} {counts:?}", scales.len());
}

#[test]
fn crossover_joins_terms_of_both() {
    let first = case("softmax_vjp f32 [1, 2, 3] cotangent=[10, 20, 30]");
    let second = case("softmax_vjp f32 [7, 8] cotangent=[70, 80]");
    let mut joined = 0;
    for seed in 0..300 {
        let child = crossover(&first, &second, &mut Draw::from_seed(seed), 4);
        assert!(child.op() == first.op() && child.logits().len() <= 4);
        // A logit brings its own value of the cotangent.
        for (&z, &g) in child.logits().iter().zip(child.direction().unwrap()) {
            assert_eq!(g, 10.0 * z, "{child}");
        }
        let has = |parent: &Case| child.logits().iter().any(|z| parent.logits().contains(z));
        joined += u64::from(has(&first) && has(&second));
    }
    assert!(joined > 150, "{joined}");
    // Of another op and a wider dtype: rounded, and never invalid.
    let wide = case("cross_entropy f64 [1e300, 0.1] target=1 label_smoothing=0.1");
    for seed in 0..300 {
        let child = crossover(&first, &wide, &mut Draw::from_seed(seed), 10);
        Draft::of(&child).into_case().unwrap();
    }
}

#[cfg(feature = "arbitrary")]
#[test]
fn recasting_keeps_what_fits() {
    let draw = &mut Draw::from_seed(1);
    let from = case("cross_entropy f64 [1e300, 0.5, -inf] target=1 label_smoothing=0.125");
    let grad = recast(&from, Op::CROSS_ENTROPY_GRAD, Dtype::F16, draw, 10);
    assert_eq!(grad.to_string(), "cross_entropy_grad f16 [0x1.ffcp+15, 0x1p-1, -inf] target=1 label_smoothing=0x1p-3");
    let vjp = recast(&grad, Op::SOFTMAX_VJP, Dtype::F32, draw, 2);
    assert_eq!((vjp.logits(), vjp.direction().map(<[f64]>::len)), (&[65504.0, 0.5][..], Some(2)));
    assert_eq!(recast(&case("softmax f32 []"), Op::CROSS_ENTROPY, Dtype::F32, draw, 10).logits(), [0.0]);
}
