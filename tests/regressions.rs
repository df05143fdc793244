//! Cases that the harness once got wrong. Each names what was said, and what is right.

use logitfuzz::diagnosis::examine;
use logitfuzz::kernel::{Closure, Summation};
use logitfuzz::{Case, Claims, Op, Oracle, Special, Verdict};

fn verdict(kernel: &Closure, case: &str) -> Verdict {
    let case = Case::parse(case).unwrap();
    let claims = logitfuzz::Kernel::claims(kernel, case.op(), case.dtype());
    examine(&mut Oracle::new(), kernel, &claims, &case).judgement.verdict
}

fn claims(text: &str) -> Claims {
    let mut claims = Claims::default();
    claims.set(text).unwrap();
    claims
}

/// Online softmax whose exp is two ulps too large.
fn online(z: &[f32], out: &mut [f32]) {
    let exp = |x: f32| if x == 0.0 { 1.0 } else { f32::from_bits(x.exp().to_bits() + 2) };
    let (mut max, mut sum) = (f32::NEG_INFINITY, 0.0f32);
    for &z in z {
        if z > max {
            sum *= exp(max - z);
            max = z;
        }
        sum += exp(z - max);
    }
    for (out, &z) in out.iter_mut().zip(z) {
        *out = exp(z - max) / sum;
    }
}

/// The rescaled weights of an online kernel are not those that it divides, so its probabilities need not sum to 1 so closely:
/// once a broken relation, although every output was within half of its bound.
#[test]
fn an_online_kernel_may_miss_the_sum_by_its_rescaling() {
    let kernel = Closure::new("online", Op::SOFTMAX, online).claiming(claims("online,exp=5,sum=compensated"));
    let staircase: Vec<String> = (0..256).map(|i| format!("{}", f64::from(i) / 128.0)).collect();
    assert_eq!(verdict(&kernel, &format!("softmax f32 [{}]", staircase.join(", "))), Verdict::Pass);
    // The allowance is for the claim: without it the same kernel is caught.
    let unclaimed = Closure::new("online", Op::SOFTMAX, online).claiming(claims("exp=5,sum=compensated"));
    assert_ne!(verdict(&unclaimed, &format!("softmax f32 [{}]", staircase.join(", "))), Verdict::Pass);
}

/// A masked class has log-probability -inf, which once hid what was wrong with the others.
#[test]
fn a_masked_class_does_not_hide_a_positive_log_probability() {
    let above_zero = |z: &[f32], out: &mut [f32]| {
        let sum: f32 = z[1..].iter().map(|other| (other - z[0]).exp()).sum();
        for (out, other) in out.iter_mut().zip(z) {
            *out = (other - z[0]) - sum.ln_1p();
        }
        out[0] = 1e-9;
    };
    let kernel = Closure::new("above_zero", Op::LOG_SOFTMAX, above_zero).claiming(claims("shifted"));
    for row in ["[0, -24]", "[0, -24, -inf]"] {
        assert_eq!(verdict(&kernel, &format!("log_softmax f32 {row}")), Verdict::Range, "{row}");
    }
}

/// A block that is longer than the row is no block.
#[test]
fn a_sum_of_two_terms_rounds_once_whatever_is_claimed() {
    for summation in [
        Summation::Blocks { size: 1 << 20 },
        Summation::Lanes { lanes: 64, scalar_tail: true },
        Summation::Compensated,
        Summation::Pairwise,
        Summation::Sequential,
    ] {
        assert_eq!(summation.roundings(2), 1.0, "{summation:?}");
        assert_eq!(summation.roundings(1), 0.0, "{summation:?}");
    }
}

/// A kernel that computes in a narrower type than it stores may miss a shift by the roundings of that type.
#[test]
fn a_shift_is_measured_in_the_type_that_is_computed_in() {
    let narrow = |z: &[f64], out: &mut [f64]| {
        let max = z.iter().fold(f32::NEG_INFINITY, |max, &z| max.max(z as f32));
        out[0] = f64::from(max + z.iter().map(|&z| (z as f32 - max).exp()).sum::<f32>().ln());
    };
    let kernel = Closure::new("narrow", Op::LOGSUMEXP, narrow).claiming(claims("accumulator=f32,shifted"));
    assert_eq!(verdict(&kernel, "logsumexp f64 [1, 2, 3.25]"), Verdict::Pass);
}

/// A maximum that is subnormal is flushed with everything else.
#[test]
fn a_flushed_maximum_is_in_range() {
    let flush = |x: f32| if x.abs() < f32::MIN_POSITIVE { 0.0 } else { x };
    let kernel = Closure::new("flushed", Op::LOGSUMEXP, move |z: &[f32], out: &mut [f32]| out[0] = flush(z[0]))
        .claiming(claims("flush_to_zero,shifted"));
    assert_eq!(verdict(&kernel, "logsumexp f32 [0x1p-130]"), Verdict::Pass);
}

/// The product of a logit and a label may underflow beside an exponential that does: the rest of its rounding is lost as well, and once
/// the bound took it for none.
#[test]
fn a_product_with_a_label_may_underflow() {
    // An exp of one or two units more or less.
    let off_by = |steps: i64| {
        move |z: &[f64], labels: &[f64], out: &mut [f64]| {
            for ((out, z), label) in out.iter_mut().zip(z).zip(labels) {
                let weight = f64::from_bits((-z.abs()).exp().to_bits().wrapping_add_signed(steps));
                *out = (z.max(0.0) - z * label) + weight.ln_1p();
            }
        }
    };
    let judged = |steps: i64| {
        let kernel = Closure::new("worse", Op::BCE_WITH_LOGITS, off_by(steps)).claiming(claims("exp=2"));
        verdict(&kernel, "bce_with_logits f64 [-0x1.6682p+9] label=[0x1.7900ea4fdap-1035]")
    };
    assert_eq!((judged(1), judged(-1)), (Verdict::Pass, Verdict::Pass));
    // Four units are none of its roundings.
    assert_ne!((judged(4), judged(-4)), (Verdict::Pass, Verdict::Pass));
}

/// Products whose cotangent overflows in the textbook's own sums: that is the input's fault.
#[test]
fn an_overflowing_cotangent_is_forgiven() {
    let vjp = |z: &[f32], g: &[f32], out: &mut [f32]| {
        let max = z.iter().fold(f32::NEG_INFINITY, |max, &z| max.max(z));
        let sum: f32 = z.iter().map(|z| (z - max).exp()).sum();
        let total: f32 = g.iter().sum();
        for ((out, z), g) in out.iter_mut().zip(z).zip(g) {
            *out = g - (z - max).exp() / sum * total;
        }
    };
    let kernel = Closure::new("vjp", Op::LOG_SOFTMAX_VJP, vjp);
    assert_eq!(verdict(&kernel, "log_softmax_vjp f32 [0, 1] cotangent=[3e38, 3e38]"), Verdict::Pass);
    // Far from overflow nothing of the kind is forgiven.
    let infinite =
        Closure::new("infinite", Op::LOG_SOFTMAX_VJP, |_: &[f32], _: &[f32], out: &mut [f32]| out.fill(f32::INFINITY));
    assert_eq!(verdict(&infinite, "log_softmax_vjp f32 [0, 1] cotangent=[1e37, 1e37]"), Verdict::Inf);
}

/// A remainder beyond all precision beside a decimal tie: the digits are those of the side it is on.
#[test]
fn thirty_digits_beside_a_tie() {
    let case = Case::parse("logsumexp f64 [1.000000000931322574615478515625, -1e308]").unwrap();
    let exact = Oracle::new().describe(&case, Special::Framework, 30);
    assert_eq!(exact[0].digits, "1.00000000093132257461547851563e0");
}

/// Soft labels are a closure of two rows; a class without mass that is masked has no term, and one with mass an infinite one.
#[test]
fn a_masked_class_without_mass_is_absent() {
    fn loss(z: &[f32], q: &[f32], is_absent: fn(f32) -> bool) -> f32 {
        let max = z.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let log_total = z.iter().map(|z| (z - max).exp()).sum::<f32>().ln();
        let term = |(z, q): (&f32, &f32)| if is_absent(*q) { 0.0 } else { -q * ((z - max) - log_total) };
        z.iter().zip(q).map(term).sum()
    }
    let op = Op::SOFT_CROSS_ENTROPY;
    let right = Closure::new("right", op, |z: &[f32], q: &[f32], out: &mut [f32]| out[0] = loss(z, q, |q| q == 0.0));
    let wrong = Closure::new("wrong", op, |z: &[f32], q: &[f32], out: &mut [f32]| out[0] = loss(z, q, |_| false));
    for (case, of_wrong) in [
        ("soft_cross_entropy f32 [1, 2, 3] distribution=[0.25, 0.5, 0.25]", Verdict::Pass),
        ("soft_cross_entropy f32 [1, -inf, 3] distribution=[0.25, 0, 0.75]", Verdict::Nan),
        ("soft_cross_entropy f32 [1, -inf, 3] distribution=[0.25, 0.25, 0.5]", Verdict::Pass),
        ("soft_cross_entropy f32 [3] distribution=[1]", Verdict::Pass),
    ] {
        assert_eq!((verdict(&right, case), verdict(&wrong, case)), (Verdict::Pass, of_wrong), "{case}");
    }
}

/// A scale may be multiplied with before the maximum is subtracted or afterwards, as long as the maximum is that of the products. What a
/// product rounds off, and a product that overflows, is forgiven to who multiplies first; the other has it right.
#[test]
fn a_scale_may_come_first_or_last() {
    fn softmax(exponents: Vec<f32>, out: &mut [f32]) {
        let max = exponents.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let sum: f32 = exponents.iter().map(|x| (x - max).exp()).sum();
        exponents.iter().zip(out).for_each(|(x, p)| *p = (x - max).exp() / sum);
    }
    let op = Op::SCALED_SOFTMAX;
    let first =
        Closure::new("first", op, |z: &[f32], s: f32, out: &mut [f32]| softmax(z.iter().map(|z| s * z).collect(), out));
    let last = Closure::new("last", op, |z: &[f32], s: f32, out: &mut [f32]| {
        let max = if s < 0.0 {
            z.iter().copied().fold(f32::INFINITY, f32::min)
        } else {
            z.iter().copied().fold(-f32::INFINITY, f32::max)
        };
        softmax(z.iter().map(|z| s * (z - max)).collect(), out);
    })
    .claiming(claims("tight"));
    // The maximum of the logits, which is the least product where the scale is negative.
    let wrong = Closure::new("wrong", op, |z: &[f32], s: f32, out: &mut [f32]| {
        let max = z.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let weights: Vec<f32> = z.iter().map(|z| (s * z - s * max).exp()).collect();
        let sum: f32 = weights.iter().sum();
        weights.iter().zip(out).for_each(|(w, p)| *p = w / sum);
    });
    for (case, of_first, of_last, of_wrong) in [
        ("scaled_softmax f32 [1, 2, 3] scale=0.125", Verdict::Pass, Verdict::Pass, Verdict::Pass),
        ("scaled_softmax f32 [0, 100] scale=-1", Verdict::Pass, Verdict::Pass, Verdict::Nan),
        ("scaled_softmax f32 [1, 5, -3] scale=0", Verdict::Pass, Verdict::Pass, Verdict::Pass),
        // Products of 1e6 are rounded to a sixteenth.
        ("scaled_softmax f32 [1e6, 999999.5, 999998] scale=1.1", Verdict::Pass, Verdict::Pass, Verdict::Pass),
        // Infinities are subtracted.
        ("scaled_softmax f32 [3e38, 2e38] scale=4", Verdict::Pass, Verdict::Pass, Verdict::Pass),
    ] {
        assert_eq!(
            (verdict(&first, case), verdict(&last, case), verdict(&wrong, case)),
            (of_first, of_last, of_wrong),
            "{case}"
        );
    }
    // As tight as the other, the first is not.
    let first = first.claiming(claims("tight"));
    assert_eq!(verdict(&first, "scaled_softmax f32 [1e6, 999999.5, 999998] scale=1.1"), Verdict::Inaccurate);
}

/// A distance beyond the range of f64 is halved where it is compared; one of half its size was taken for it, and two distributions for one.
#[test]
fn a_distance_beyond_the_range_is_not_half_of_itself() {
    let case = Case::parse("kl_divergence_grad f64 [0x1p+1023, -0x1p+1023] target_logits=[0x1p+1023, 0]").unwrap();
    let told = Oracle::new().describe(&case, Special::Limit, 30);
    // The second class has less of the row than of the target, and the first has more.
    assert!(told[0].rounded.is_sign_positive() && told[0].digits.starts_with("(0, "), "{told:?}");
    assert!(told[1].rounded.is_sign_negative() && told[1].digits.ends_with(", 0)"), "{told:?}");
}
