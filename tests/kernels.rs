//! The built-in kernels against the ops written once more in f64 (`support/textbook.rs`), on rows on which a few roundings are all that
//! can be between them; and on rows whose answers are exact.

mod support;

use logitfuzz::case::{Case, Value};
use logitfuzz::dtype::Dtype;
use logitfuzz::kernel::builtin::{self, Builtin};
use logitfuzz::kernel::{Kernel as _, Outcome, run};
use logitfuzz::op::Op;
use logitfuzz::op::signature::Role;
use support::textbook::values;

const NEG_INFINITY: f64 = f64::NEG_INFINITY;

/// Kernels without a planted defect, and correct ones among them, at least.
const LEAST_KERNELS: (usize, usize) = (20, 16);

fn ordinary() -> impl Iterator<Item = &'static Builtin> {
    builtin::all().iter().filter(|kernel| kernel.defect().is_none())
}

fn correct() -> impl Iterator<Item = &'static Builtin> {
    builtin::all().iter().filter(|kernel| kernel.is_trusted() && kernel.supports(Op::SOFTMAX, Dtype::F32))
}

/// The ops of rows.
fn row_ops() -> impl Iterator<Item = Op> {
    Op::ALL.iter().copied().filter(|op| !op.is_elementwise())
}

/// A distribution over `n` classes: all on the target where nothing is smoothed, else a half, and the other half shared by as many others
/// as a power of two counts.
fn distribution(n: usize, target: usize, smoothing: f64) -> Vec<f64> {
    let mut masses = vec![0.0; n];
    if n == 0 {
        return masses;
    }
    let others = if smoothing == 0.0 || n == 1 { 0 } else { 1 << (n - 1).ilog2() };
    masses[target] = if others == 0 { 1.0 } else { 0.5 };
    (0..n).filter(|&i| i != target).take(others).for_each(|i| masses[i] = 0.5 / others as f64);
    masses
}

/// A case of any op; the target, smoothing and direction are used where the op takes them.
fn case(op: Op, dtype: Dtype, logits: &[f64], target: usize, smoothing: f64, direction: &[f64]) -> Case {
    let other = |role: Role| match role {
        Role::Class => Value::Index(target),
        Role::Classes => vec![(!logits.is_empty()).then_some(target)].into(),
        Role::Smoothing => Value::Number(smoothing),
        Role::Label => direction.iter().map(|g| if *g > 0.0 { 0.25 } else { 1.0 }).collect::<Vec<f64>>().into(),
        Role::Scale => Value::Number(2.0),
        Role::Distribution => distribution(logits.len(), target, smoothing).into(),
        Role::Logits => direction.iter().map(|g| -4.0 - g.abs()).collect::<Vec<f64>>().into(),
        _ => direction.to_vec().into(),
    };
    Case::with_others(op, dtype, logits.to_vec(), other).expect("a valid case")
}

/// A direction of `n` small integers, none of them 0.
fn direction(n: usize) -> Vec<f64> {
    [1.0, -2.0, 4.0, 3.0].into_iter().cycle().take(n).collect()
}

fn outputs(kernel: &Builtin, case: &Case) -> Vec<f64> {
    match run(kernel, case) {
        Outcome::Outputs(outputs) => {
            assert_eq!(outputs.len(), case.op().outputs(case.logits().len()), "{}: {case}", kernel.name());
            outputs
        }
        other => panic!("{} on {case}: {other:?}", kernel.name()),
    }
}

/// Within a few roundings of values of size 10, which is what these rows are made of.
fn assert_close(kernel: &Builtin, case: &Case, got: &[f64], want: &[f64]) {
    assert_eq!(got.len(), want.len(), "{case}");
    let narrowest = kernel.claims(case.op(), case.dtype()).weights.unwrap_or(case.dtype().output());
    let narrowest = narrowest.format().unit_roundoff().max(case.dtype().output().format().unit_roundoff());
    let tolerance = 10.0 * 4.0 * narrowest;
    for (j, (&got, &want)) in got.iter().zip(want).enumerate() {
        let close = if want.is_finite() { (got - want).abs() <= tolerance } else { got == want };
        assert!(close, "{} on {case}: output {j} is {got}, not {want}", kernel.name());
    }
}

/// What is compared with is itself held by digits from elsewhere: log(e + e^2 + e^3) and softmax [1, 2, 3], and what follows from them.
#[test]
fn the_textbook_gives_known_digits() {
    const LSE: f64 = 3.40760596444438;
    const SOFTMAX: [f64; 3] = [0.0900305731703804, 0.2447284710547976, 0.6652409557748218];
    let (g, e) = (direction(3), 0.125);
    let mean = SOFTMAX[0] - 2.0 * SOFTMAX[1] + 4.0 * SOFTMAX[2];
    for &op in Op::ALL {
        let want: Vec<f64> = match op.name() {
            "logsumexp" => vec![LSE],
            "softmax" => SOFTMAX.to_vec(),
            "log_softmax" => vec![1.0 - LSE, 2.0 - LSE, 3.0 - LSE],
            "cross_entropy" => vec![0.875 * (LSE - 2.0) + 0.125 * (LSE - 2.0)],
            // Of one row, and without a smoothing.
            "mean_cross_entropy" => vec![LSE - 2.0],
            "mean_cross_entropy_grad" => (0..3).map(|j| SOFTMAX[j] - if j == 1 { 1.0 } else { 0.0 }).collect(),
            "cross_entropy_grad" => (0..3).map(|j| SOFTMAX[j] - e / 3.0 - if j == 1 { 1.0 - e } else { 0.0 }).collect(),
            "softmax_vjp" | "softmax_jvp" => (0..3).map(|j| SOFTMAX[j] * (g[j] - mean)).collect(),
            "log_softmax_vjp" => (0..3).map(|j| g[j] - SOFTMAX[j] * 3.0).collect(),
            "log_softmax_jvp" => (0..3).map(|j| g[j] - mean).collect(),
            // Of the masses [1/4, 1/2, 1/4].
            "soft_cross_entropy" => vec![LSE - 2.0],
            "soft_cross_entropy_grad" => (0..3).map(|j| SOFTMAX[j] - if j == 1 { 0.5 } else { 0.25 }).collect(),
            // Softmax [2, 4, 6].
            "scaled_softmax" => vec![0.01587623997646677, 0.11731042782619837, 0.8668133321973349],
            "entropy" => vec![0.8323955818399389],
            "attention" => vec![mean],
            // Beside the logits [-5, -6, -8].
            "kl_divergence" => vec![1.364005692194657],
            "kl_divergence_grad" => vec![-0.6153539395278607, -0.014767989287621465, 0.6301219288154822],
            // log e, log(e + e^2), log(e + e^2 + e^3).
            "logcumsumexp" => vec![1.0, 2.313261687518223, LSE],
            // Of [-1, -2, -3].
            "log1mexp" => vec![-0.45867514538708193, -0.14541345786885906, -0.051069180942701596],
            "sigmoid" => vec![0.2689414213699951, 0.11920292202211755, 0.04742587317756678],
            "softplus" => vec![0.31326168751822286, 0.1269280110429725, 0.04858735157374206],
            "log_sigmoid" => vec![-1.3132616875182228, -2.1269280110429725, -3.048587351573742],
            "sigmoid_vjp" => vec![0.19661193324148185, -0.20998717080701304, 0.18070663892364858],
            "log_sigmoid_vjp" => vec![0.7310585786300049, -1.7615941559557649, 3.8102965072897335],
            // With the labels [0.25, 1, 0.25].
            "bce_with_logits" => vec![0.5632616875182228, 2.1269280110429727, 0.798587351573742],
            "bce_with_logits_grad" => vec![0.018941421369995104, -0.8807970779778823, -0.20257412682243322],
            // With the other logits [-5, -6, -8].
            "logaddexp" => vec![-0.9818500720821902, -1.9818500720821903, -2.9932846515108817],
            "logsubexp" => vec![-1.0184854468258866, -2.0184854468258866, -3.0067607494494886],
            _ => panic!("{op}: what does it give on [1, 2, 3]?"),
        };
        let row = if op.is_elementwise() { [-1.0, -2.0, -3.0] } else { [1.0, 2.0, 3.0] };
        let got = values(&case(op, Dtype::F64, &row, 1, e, &g));
        assert_eq!(got.len(), want.len(), "{op}");
        for (got, want) in got.iter().zip(&want) {
            assert!((got - want).abs() < 1e-14, "{op}: {got}, not {want}");
        }
    }
}

#[test]
fn every_kernel_gives_known_values_in_every_op_and_dtype() {
    let mut checked = 0;
    for kernel in ordinary() {
        for dtype in Dtype::ALL {
            for op in Op::ALL.iter().copied().filter(|op| kernel.supports(*op, dtype)) {
                let sign = if op.is_elementwise() { -1.0 } else { 1.0 };
                for logits in [[1.0, 2.0, 3.0], [3.0, 1.0, 2.0]].map(|row| row.map(|z| sign * z)) {
                    for (target, smoothing) in [(0, 0.0), (1, 0.125), (2, 1.0)] {
                        let case = case(op, dtype, &logits, target, smoothing, &direction(3));
                        assert_close(kernel, &case, &outputs(kernel, &case), &values(&case));
                        checked += 1;
                    }
                }
            }
        }
    }
    let pairs = |kernel: &&Builtin| {
        Op::ALL.iter().map(|&op| Dtype::ALL.iter().filter(|dtype| kernel.supports(op, **dtype)).count()).sum::<usize>()
    };
    assert_eq!(checked, ordinary().map(|kernel| pairs(&kernel)).sum::<usize>() * 6);
    // Every kernel of rows implements all their ops, and every op has a kernel.
    assert!(correct().all(|kernel| row_ops().all(|op| Dtype::ALL.iter().all(|&dtype| kernel.supports(op, dtype)))));
    assert!(Op::ALL.iter().all(|&op| ordinary().any(|kernel| kernel.supports(op, Dtype::F32))));
    assert!(ordinary().count() >= LEAST_KERNELS.0 && correct().count() >= LEAST_KERNELS.1);
}

#[test]
fn ties_and_single_logits_are_exact() {
    for kernel in correct() {
        for dtype in Dtype::ALL {
            let ties = |op, e| outputs(kernel, &case(op, dtype, &[-5.0; 4], 1, e, &[1.0, 2.0, 3.0, 6.0]));
            assert_eq!(ties(Op::SOFTMAX, 0.0), [0.25; 4]);
            assert_eq!(ties(Op::LOG_SOFTMAX, 0.0), [dtype.output().round(-(4.0f64.ln())); 4]);
            assert_eq!(ties(Op::CROSS_ENTROPY, 0.25), [dtype.output().round(4.0f64.ln())]);
            assert_eq!(ties(Op::CROSS_ENTROPY_GRAD, 0.0), [0.25, -0.75, 0.25, 0.25]);
            assert_eq!(ties(Op::CROSS_ENTROPY_GRAD, 1.0), [0.0; 4]);
            assert_eq!(ties(Op::SCALED_SOFTMAX, 0.0), [0.25; 4]);
            assert_eq!(ties(Op::SOFT_CROSS_ENTROPY, 0.25), [dtype.output().round(4.0f64.ln())]);
            assert_eq!(ties(Op::SOFT_CROSS_ENTROPY_GRAD, 0.0), [0.25, -0.75, 0.25, 0.25]);
            assert_eq!(ties(Op::SOFT_CROSS_ENTROPY_GRAD, 0.25), [0.0, -0.25, 0.0, 0.25]);
            assert_eq!(ties(Op::SOFTMAX_VJP, 0.0), [-0.5, -0.25, 0.0, 0.75]);
            assert_eq!(ties(Op::SOFTMAX_JVP, 0.0), [-0.5, -0.25, 0.0, 0.75]);
            assert_eq!(ties(Op::LOG_SOFTMAX_VJP, 0.0), [-2.0, -1.0, 0.0, 3.0]);
            assert_eq!(ties(Op::LOG_SOFTMAX_JVP, 0.0), [-2.0, -1.0, 0.0, 3.0]);
            assert_eq!(ties(Op::ATTENTION, 0.0), [3.0]);
            // The target's logits are -4 less these, so it has the weights of another row.
            assert_eq!(outputs(kernel, &case(Op::KL_DIVERGENCE, dtype, &[-5.0; 4], 1, 0.0, &[1.0; 4])), [0.0]);
            assert_eq!(outputs(kernel, &case(Op::KL_DIVERGENCE_GRAD, dtype, &[-5.0; 4], 1, 0.0, &[1.0; 4])), [0.0; 4]);
            for op in row_ops() {
                let want = match op {
                    Op::LOGSUMEXP | Op::LOGCUMSUMEXP => -7.0,
                    Op::SOFTMAX | Op::SCALED_SOFTMAX => 1.0,
                    Op::ATTENTION => 3.0,
                    // The loss, the gradient and the products of a row of one class are 0.
                    _ => 0.0,
                };
                let case = case(op, dtype, &[-7.0], 0, 0.0, &[3.0]);
                assert_eq!(outputs(kernel, &case), [want], "{} {op} {dtype}", kernel.name());
            }
        }
    }
}

#[test]
fn correct_kernels_mask_exactly() {
    for kernel in correct() {
        for dtype in Dtype::ALL {
            let least = dtype.format().least();
            let rows = [
                &[NEG_INFINITY, 1.0, 2.0, 3.0][..],
                &[3.0, NEG_INFINITY, NEG_INFINITY, 1.0, 2.0],
                &[2.0, 1.0, 3.0, NEG_INFINITY],
            ];
            for logits in rows {
                let g = direction(logits.len());
                for op in row_ops() {
                    let targets = if op.needs_logit() { logits.len() } else { 1 };
                    for (target, e) in (0..targets).flat_map(|t| [0.0, 0.125, 1.0, least].map(|e| (t, e))) {
                        let case = case(op, dtype, logits, target, e, &g);
                        let got = outputs(kernel, &case);
                        let want = values(&case);
                        assert_close(kernel, &case, &got, &want);
                        for j in (0..got.len()).filter(|_| !op.is_scalar()).filter(|&j| logits[j] == NEG_INFINITY) {
                            let exact = match op {
                                // What is there has a value besides, or is all that the target has.
                                Op::LOG_SOFTMAX_JVP | Op::KL_DIVERGENCE_GRAD => continue,
                                // Of a masked class the prefix may have others.
                                Op::LOGCUMSUMEXP if want[j].is_finite() => continue,
                                // e / n and 1 - e + e / n are rounded; only these two are known without computing.
                                Op::CROSS_ENTROPY_GRAD if e == 0.0 => want[j],
                                Op::CROSS_ENTROPY_GRAD => continue,
                                _ => want[j],
                            };
                            assert_eq!(got[j], exact, "{} on {case}: output {j}", kernel.name());
                        }
                    }
                }
            }
        }
    }
}
