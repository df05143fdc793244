//! The judge is a place for defects too, so it is fed answers that are wrong in known ways, and truths that are none, and must
//! say so: a table of verdicts for every op and every kind of row. And the error in ulps is compared with plain arithmetic on
//! integers around every power of two of f16.
//!
//! Terms: an *answer* is an array of outputs of the right length, made without a kernel. The *right* answer is the oracle's,
//! rounded.

use logitfuzz::RowClass;
use logitfuzz::campaign::{self, Control, Plan};
use logitfuzz::case::{Case, Value};
use logitfuzz::dtype::Dtype;
use logitfuzz::judge::{Bounds, OutputError, Verdict, judge};
use logitfuzz::kernel::{Claims, Closure, Outcome, Special};
use logitfuzz::op::Op;
use logitfuzz::op::signature::Role;
use logitfuzz::oracle::{Accepted, Due, Oracle, Rounded, Truth};
use std::sync::Arc;

/// The rows of the table, one of each kind.
const ROWS: [(&str, &[f64]); 7] = [
    ("ordinary", &[1.0, -2.0, 3.0]),
    ("masked", &[1.0, f64::NEG_INFINITY, 3.0]),
    ("fully-masked", &[f64::NEG_INFINITY; 3]),
    ("one-inf", &[f64::INFINITY, 1.0, 3.0]),
    ("several-inf", &[f64::INFINITY, f64::INFINITY, 1.0]),
    ("nan", &[1.0, f64::NAN, 3.0]),
    ("empty", &[]),
];
/// The true class, the cotangent or tangent, and the distribution of the table.
const TARGET: usize = 2;
const DIRECTION: [f64; 3] = [1.0, 2.0, -4.0];
/// The labels of the table.
const LABELS: [f64; 3] = [1.0, 0.25, 0.0];
const DISTRIBUTION: [f64; 3] = [0.25, 0.0, 0.75];
/// The other logits of the table.
const OTHER_LOGITS: [f64; 3] = [0.5, -3.0, f64::NEG_INFINITY];

/// The answers of the table, in the order of its columns.
const ANSWERS: [&str; 9] = ["right", "nan", "+inf", "-inf", "0", "-0", "uniform", "swapped", "off-by-one"];

fn case(op: Op, logits: impl Into<Arc<[f64]>>) -> Case {
    let logits = logits.into();
    let n = logits.len();
    let direction = DIRECTION[..n].to_vec();
    let other = |role: Role| match role {
        Role::Class => Value::Index(TARGET),
        Role::Classes => vec![(n > 0).then_some(TARGET)].into(),
        Role::Smoothing => Value::Number(0.0),
        Role::Scale => Value::Number(0.5),
        Role::Label => LABELS[..n].to_vec().into(),
        Role::Distribution => DISTRIBUTION[..n].to_vec().into(),
        Role::Logits => OTHER_LOGITS[..n].to_vec().into(),
        _ => direction.clone().into(),
    };
    Case::with_others(op, Dtype::F32, logits, other).expect("a valid case")
}

/// The answer of that name; none where it is the right one, bit for bit.
fn answer(name: &str, right: &[f64]) -> Option<Vec<f64>> {
    let n = right.len();
    let outputs: Vec<f64> = match name {
        "right" => return Some(right.to_vec()),
        "nan" => vec![f64::NAN; n],
        "+inf" => vec![f64::INFINITY; n],
        "-inf" => vec![f64::NEG_INFINITY; n],
        "0" => vec![0.0; n],
        "-0" => vec![-0.0; n],
        "uniform" => vec![Dtype::F32.round(1.0 / n as f64); n],
        "swapped" => right.iter().rev().copied().collect(),
        "off-by-one" => right.iter().cycle().skip(1).take(n).copied().collect(),
        _ => unreachable!("{name} is no answer of the table"),
    };
    let same = outputs.iter().zip(right).all(|(&a, &b)| Dtype::F32.to_bits(a) == Dtype::F32.to_bits(b));
    (!same).then_some(outputs)
}

fn verdict(case: &Case, truth: &Truth, outputs: Vec<f64>) -> Verdict {
    let claims = Claims::default();
    let bounds = Bounds::new(case, truth, &claims);
    judge(case, &Outcome::Outputs(outputs), truth, &bounds, &claims).verdict
}

fn rounded(oracle: &mut Oracle, case: &Case, special: Special) -> Vec<f64> {
    oracle.describe(case, special, 30).iter().map(|exact| exact.rounded).collect()
}

/// A line for each preset, row and op: the verdict on each of [`ANSWERS`]; `-` where that answer is the right one.
///
/// How to read it. An output that has a value: NaN is `nan`, an infinity `inf`, 0 `zero`, and other numbers are `range`, `sign`
/// or `inaccurate`. An output that has none, or may be NaN instead: what is accepted passes, all else is `swallowed`. The worst
/// output decides, and `swallowed` is worse than `nan`, `inf`, `zero`, `range`, `sign`, `inaccurate`, in this order. Where a row
/// may be NaN or a row without weight, zeros pass and a uniform distribution does not. The several +inf of softmax may share 1
/// as they like, but must share it: zeros break that relation.
const TABLE: &str = "\
preset    row          op                 right nan  +inf      -inf      0         -0        uniform    swapped    off-by-one
framework ordinary     logsumexp          pass nan  inf       inf       zero      zero      inaccurate -          -
framework ordinary     softmax            pass nan  inf       inf       zero      zero      inaccurate inaccurate inaccurate
framework ordinary     log_softmax        pass nan  inf       inf       zero      zero      range      inaccurate inaccurate
framework ordinary     cross_entropy      pass nan  inf       inf       zero      zero      inaccurate -          -
framework ordinary     cross_entropy_grad pass nan  inf       inf       zero      zero      sign       sign       sign
framework ordinary     softmax_vjp        pass nan  inf       inf       zero      zero      sign       sign       sign
framework ordinary     softmax_jvp        pass nan  inf       inf       zero      zero      sign       sign       sign
framework ordinary     log_softmax_vjp    pass nan  inf       inf       zero      zero      sign       sign       sign
framework ordinary     log_softmax_jvp    pass nan  inf       inf       zero      zero      sign       sign       sign
framework ordinary     log1mexp           pass nan  swallowed swallowed swallowed swallowed swallowed  -          swallowed
framework ordinary     sigmoid            pass nan  inf       inf       zero      zero      inaccurate inaccurate inaccurate
framework ordinary     softplus           pass nan  inf       inf       zero      zero      inaccurate inaccurate inaccurate
framework ordinary     log_sigmoid        pass nan  inf       inf       zero      zero      range      inaccurate inaccurate
framework ordinary     sigmoid_vjp        pass nan  inf       inf       zero      zero      sign       sign       sign
framework ordinary     log_sigmoid_vjp    pass nan  inf       inf       zero      zero      sign       sign       sign
framework ordinary     bce_with_logits    pass nan  inf       inf       zero      zero      inaccurate inaccurate inaccurate
framework ordinary     bce_with_logits_grad pass nan  inf       inf       zero      zero      sign       sign       sign
framework ordinary     soft_cross_entropy pass nan  inf       inf       zero      zero      inaccurate -          -
framework ordinary     soft_cross_entropy_grad pass nan  inf       inf       zero      zero      sign       sign       sign
framework ordinary     logaddexp          pass nan  inf       inf       zero      zero      sign       inaccurate sign
framework ordinary     logsubexp          pass nan  inf       inf       zero      zero      sign       inaccurate sign
framework ordinary     scaled_softmax     pass nan  inf       inf       zero      zero      inaccurate inaccurate inaccurate
framework ordinary     entropy            pass nan  inf       inf       zero      zero      inaccurate -          -
framework ordinary     attention          pass nan  inf       inf       zero      zero      sign       -          -
framework ordinary     kl_divergence      pass nan  inf       inf       zero      zero      inaccurate -          -
framework ordinary     kl_divergence_grad pass nan  inf       inf       zero      zero      sign       sign       sign
framework ordinary     logcumsumexp       pass nan  inf       inf       zero      zero      inaccurate inaccurate inaccurate
framework ordinary     mean_cross_entropy pass nan  inf       inf       zero      zero      inaccurate -          -
framework ordinary     mean_cross_entropy_grad pass nan  inf       inf       zero      zero      sign       sign       sign
framework masked       logsumexp          pass nan  inf       inf       zero      zero      inaccurate -          -
framework masked       softmax            pass nan  inf       inf       zero      zero      inaccurate inaccurate zero
framework masked       log_softmax        pass nan  swallowed inf       swallowed swallowed swallowed  inaccurate swallowed
framework masked       cross_entropy      pass nan  inf       inf       zero      zero      inaccurate -          -
framework masked       cross_entropy_grad pass nan  inf       inf       zero      zero      sign       sign       zero
framework masked       softmax_vjp        pass nan  inf       inf       zero      zero      sign       sign       zero
framework masked       softmax_jvp        pass nan  inf       inf       zero      zero      sign       sign       zero
framework masked       log_softmax_vjp    pass nan  inf       inf       zero      zero      sign       sign       sign
framework masked       log_softmax_jvp    pass nan  inf       inf       zero      zero      sign       sign       sign
framework masked       log1mexp           pass nan  swallowed swallowed swallowed swallowed swallowed  -          swallowed
framework masked       sigmoid            pass nan  inf       inf       zero      zero      inaccurate inaccurate zero
framework masked       softplus           pass nan  inf       inf       zero      zero      inaccurate inaccurate zero
framework masked       log_sigmoid        pass nan  swallowed inf       swallowed swallowed swallowed  inaccurate swallowed
framework masked       sigmoid_vjp        pass nan  inf       inf       zero      zero      sign       sign       zero
framework masked       log_sigmoid_vjp    pass nan  inf       inf       zero      zero      sign       sign       sign
framework masked       bce_with_logits    pass nan  inf       swallowed swallowed swallowed swallowed  inaccurate swallowed
framework masked       bce_with_logits_grad pass nan  inf       inf       zero      zero      sign       sign       sign
framework masked       soft_cross_entropy pass nan  inf       inf       zero      zero      inaccurate -          -
framework masked       soft_cross_entropy_grad pass nan  inf       inf       zero      zero      sign       sign       zero
framework masked       logaddexp          pass nan  inf       inf       zero      zero      sign       inaccurate sign
framework masked       logsubexp          pass nan  swallowed swallowed swallowed swallowed swallowed  inaccurate swallowed
framework masked       scaled_softmax     pass nan  inf       inf       zero      zero      inaccurate inaccurate zero
framework masked       entropy            pass nan  inf       inf       zero      zero      inaccurate -          -
framework masked       attention          pass nan  inf       inf       zero      zero      sign       -          -
framework masked       kl_divergence      pass nan  -         swallowed swallowed swallowed swallowed  -          -
framework masked       kl_divergence_grad pass nan  inf       inf       zero      zero      sign       sign       sign
framework masked       logcumsumexp       pass nan  inf       inf       zero      zero      inaccurate inaccurate inaccurate
framework masked       mean_cross_entropy pass nan  inf       inf       zero      zero      inaccurate -          -
framework masked       mean_cross_entropy_grad pass nan  inf       inf       zero      zero      sign       sign       zero
framework fully-masked logsumexp          pass nan  swallowed -         swallowed swallowed swallowed  -          -
framework fully-masked softmax            pass -    swallowed swallowed pass      pass      swallowed  -          -
framework fully-masked log_softmax        pass -    swallowed pass      swallowed swallowed swallowed  -          -
framework fully-masked cross_entropy      pass -    pass      swallowed swallowed swallowed swallowed  -          -
framework fully-masked cross_entropy_grad pass -    swallowed swallowed pass      pass      swallowed  -          -
framework fully-masked softmax_vjp        pass -    swallowed swallowed pass      pass      swallowed  -          -
framework fully-masked softmax_jvp        pass -    swallowed swallowed pass      pass      swallowed  -          -
framework fully-masked log_softmax_vjp    pass -    swallowed swallowed pass      pass      swallowed  -          -
framework fully-masked log_softmax_jvp    pass -    swallowed swallowed pass      pass      swallowed  -          -
framework fully-masked log1mexp           pass nan  inf       inf       -         pass      range      -          -
framework fully-masked sigmoid            pass nan  inf       inf       -         pass      inaccurate -          -
framework fully-masked softplus           pass nan  inf       inf       -         pass      inaccurate -          -
framework fully-masked log_sigmoid        pass nan  swallowed -         swallowed swallowed swallowed  -          -
framework fully-masked sigmoid_vjp        pass nan  inf       inf       -         pass      inaccurate -          -
framework fully-masked log_sigmoid_vjp    pass nan  inf       inf       zero      zero      sign       sign       sign
framework fully-masked bce_with_logits    pass nan  swallowed swallowed swallowed swallowed swallowed  swallowed  swallowed
framework fully-masked bce_with_logits_grad pass nan  inf       inf       zero      zero      sign       zero       zero
framework fully-masked soft_cross_entropy pass -    pass      swallowed swallowed swallowed swallowed  -          -
framework fully-masked soft_cross_entropy_grad pass -    swallowed swallowed pass      pass      swallowed  -          -
framework fully-masked logaddexp          pass nan  swallowed inf       swallowed swallowed swallowed  swallowed  swallowed
framework fully-masked logsubexp          pass pass swallowed swallowed swallowed swallowed swallowed  swallowed  swallowed
framework fully-masked scaled_softmax     pass -    swallowed swallowed pass      pass      swallowed  -          -
framework fully-masked entropy            pass -    swallowed swallowed pass      pass      swallowed  -          -
framework fully-masked attention          pass -    swallowed swallowed pass      pass      swallowed  -          -
framework fully-masked kl_divergence      pass -    pass      swallowed pass      pass      pass       -          -
framework fully-masked kl_divergence_grad pass -    swallowed swallowed pass      pass      pass       -          -
framework fully-masked logcumsumexp       pass nan  swallowed -         swallowed swallowed swallowed  -          -
framework fully-masked mean_cross_entropy pass pass -         swallowed swallowed swallowed swallowed  -          -
framework fully-masked mean_cross_entropy_grad pass -    swallowed swallowed pass      pass      swallowed  -          -
framework one-inf      logsumexp          pass nan  -         swallowed swallowed swallowed swallowed  -          -
framework one-inf      softmax            pass pass swallowed swallowed swallowed swallowed swallowed  swallowed  swallowed
framework one-inf      log_softmax        pass pass swallowed swallowed swallowed swallowed swallowed  swallowed  swallowed
framework one-inf      cross_entropy      pass pass -         swallowed swallowed swallowed swallowed  -          -
framework one-inf      cross_entropy_grad pass pass swallowed swallowed swallowed swallowed swallowed  swallowed  swallowed
framework one-inf      softmax_vjp        pass pass swallowed swallowed -         pass      swallowed  -          -
framework one-inf      softmax_jvp        pass pass swallowed swallowed -         pass      swallowed  -          -
framework one-inf      log_softmax_vjp    pass pass swallowed swallowed swallowed swallowed swallowed  swallowed  swallowed
framework one-inf      log_softmax_jvp    pass pass swallowed swallowed swallowed swallowed swallowed  swallowed  swallowed
framework one-inf      log1mexp           pass -    swallowed swallowed swallowed swallowed swallowed  -          -
framework one-inf      sigmoid            pass nan  inf       inf       zero      zero      inaccurate inaccurate inaccurate
framework one-inf      softplus           pass nan  inf       swallowed swallowed swallowed swallowed  swallowed  swallowed
framework one-inf      log_sigmoid        pass nan  inf       inf       zero      zero      range      zero       zero
framework one-inf      sigmoid_vjp        pass nan  inf       inf       zero      zero      sign       zero       zero
framework one-inf      log_sigmoid_vjp    pass nan  inf       inf       zero      zero      sign       zero       zero
framework one-inf      bce_with_logits    pass nan  swallowed swallowed zero      zero      swallowed  swallowed  swallowed
framework one-inf      bce_with_logits_grad pass nan  inf       inf       zero      zero      inaccurate zero       zero
framework one-inf      soft_cross_entropy pass pass -         swallowed swallowed swallowed swallowed  -          -
framework one-inf      soft_cross_entropy_grad pass pass swallowed swallowed swallowed swallowed swallowed  swallowed  swallowed
framework one-inf      logaddexp          pass nan  inf       swallowed swallowed swallowed swallowed  swallowed  swallowed
framework one-inf      logsubexp          pass nan  inf       swallowed swallowed swallowed swallowed  swallowed  swallowed
framework one-inf      scaled_softmax     pass pass swallowed swallowed swallowed swallowed swallowed  swallowed  swallowed
framework one-inf      entropy            pass pass swallowed swallowed -         pass      swallowed  -          -
framework one-inf      attention          pass pass swallowed swallowed swallowed swallowed -          -          -
framework one-inf      kl_divergence      pass -    pass      swallowed pass      pass      pass       -          -
framework one-inf      kl_divergence_grad pass -    swallowed swallowed pass      pass      pass       -          -
framework one-inf      logcumsumexp       pass nan  -         swallowed swallowed swallowed swallowed  -          -
framework one-inf      mean_cross_entropy pass pass -         swallowed swallowed swallowed swallowed  -          -
framework one-inf      mean_cross_entropy_grad pass pass swallowed swallowed swallowed swallowed swallowed  swallowed  swallowed
framework several-inf  logsumexp          pass nan  -         swallowed swallowed swallowed swallowed  -          -
framework several-inf  softmax            pass pass swallowed swallowed relation  relation  swallowed  pass       pass
framework several-inf  log_softmax        pass pass swallowed pass      swallowed swallowed swallowed  pass       pass
framework several-inf  cross_entropy      pass pass -         swallowed swallowed swallowed swallowed  -          -
framework several-inf  cross_entropy_grad pass pass swallowed swallowed swallowed swallowed swallowed  pass       pass
framework several-inf  softmax_vjp        pass pass swallowed swallowed pass      pass      swallowed  pass       pass
framework several-inf  softmax_jvp        pass pass swallowed swallowed pass      pass      swallowed  pass       pass
framework several-inf  log_softmax_vjp    pass pass swallowed swallowed swallowed swallowed swallowed  pass       pass
framework several-inf  log_softmax_jvp    pass -    swallowed swallowed swallowed swallowed swallowed  -          -
framework several-inf  log1mexp           pass -    swallowed swallowed swallowed swallowed swallowed  -          -
framework several-inf  sigmoid            pass nan  inf       inf       zero      zero      inaccurate inaccurate inaccurate
framework several-inf  softplus           pass nan  inf       swallowed swallowed swallowed swallowed  swallowed  swallowed
framework several-inf  log_sigmoid        pass nan  inf       inf       zero      zero      range      zero       zero
framework several-inf  sigmoid_vjp        pass nan  inf       inf       zero      zero      sign       zero       zero
framework several-inf  log_sigmoid_vjp    pass nan  inf       inf       zero      zero      sign       zero       zero
framework several-inf  bce_with_logits    pass nan  swallowed swallowed swallowed swallowed swallowed  swallowed  swallowed
framework several-inf  bce_with_logits_grad pass nan  inf       inf       zero      zero      inaccurate zero       zero
framework several-inf  soft_cross_entropy pass pass -         swallowed swallowed swallowed swallowed  -          -
framework several-inf  soft_cross_entropy_grad pass pass swallowed swallowed swallowed swallowed swallowed  pass       pass
framework several-inf  logaddexp          pass nan  inf       swallowed swallowed swallowed swallowed  swallowed  swallowed
framework several-inf  logsubexp          pass nan  inf       swallowed swallowed swallowed swallowed  swallowed  swallowed
framework several-inf  scaled_softmax     pass pass swallowed swallowed relation  relation  swallowed  pass       pass
framework several-inf  entropy            pass -    swallowed swallowed pass      pass      swallowed  -          -
framework several-inf  attention          pass -    swallowed swallowed swallowed swallowed pass       -          -
framework several-inf  kl_divergence      pass -    pass      swallowed pass      pass      pass       -          -
framework several-inf  kl_divergence_grad pass -    swallowed swallowed pass      pass      pass       -          -
framework several-inf  logcumsumexp       pass nan  -         swallowed swallowed swallowed swallowed  -          -
framework several-inf  mean_cross_entropy pass pass -         swallowed swallowed swallowed swallowed  -          -
framework several-inf  mean_cross_entropy_grad pass pass swallowed swallowed swallowed swallowed swallowed  pass       pass
framework nan          logsumexp          pass -    swallowed swallowed swallowed swallowed swallowed  -          -
framework nan          softmax            pass -    swallowed swallowed swallowed swallowed swallowed  -          -
framework nan          log_softmax        pass -    swallowed swallowed swallowed swallowed swallowed  -          -
framework nan          cross_entropy      pass -    swallowed swallowed swallowed swallowed swallowed  -          -
framework nan          cross_entropy_grad pass -    swallowed swallowed swallowed swallowed swallowed  -          -
framework nan          softmax_vjp        pass -    swallowed swallowed swallowed swallowed swallowed  -          -
framework nan          softmax_jvp        pass -    swallowed swallowed swallowed swallowed swallowed  -          -
framework nan          log_softmax_vjp    pass -    swallowed swallowed swallowed swallowed swallowed  -          -
framework nan          log_softmax_jvp    pass -    swallowed swallowed swallowed swallowed swallowed  -          -
framework nan          log1mexp           pass -    swallowed swallowed swallowed swallowed swallowed  -          -
framework nan          sigmoid            pass nan  swallowed swallowed swallowed swallowed swallowed  inaccurate swallowed
framework nan          softplus           pass nan  swallowed swallowed swallowed swallowed swallowed  inaccurate swallowed
framework nan          log_sigmoid        pass nan  swallowed swallowed swallowed swallowed swallowed  inaccurate swallowed
framework nan          sigmoid_vjp        pass nan  swallowed swallowed swallowed swallowed swallowed  sign       swallowed
framework nan          log_sigmoid_vjp    pass nan  swallowed swallowed swallowed swallowed swallowed  sign       swallowed
framework nan          bce_with_logits    pass nan  swallowed swallowed swallowed swallowed swallowed  inaccurate swallowed
framework nan          bce_with_logits_grad pass nan  swallowed swallowed swallowed swallowed swallowed  sign       swallowed
framework nan          soft_cross_entropy pass -    swallowed swallowed swallowed swallowed swallowed  -          -
framework nan          soft_cross_entropy_grad pass -    swallowed swallowed swallowed swallowed swallowed  -          -
framework nan          logaddexp          pass nan  swallowed swallowed swallowed swallowed swallowed  inaccurate swallowed
framework nan          logsubexp          pass nan  swallowed swallowed swallowed swallowed swallowed  inaccurate swallowed
framework nan          scaled_softmax     pass -    swallowed swallowed swallowed swallowed swallowed  -          -
framework nan          entropy            pass -    swallowed swallowed swallowed swallowed swallowed  -          -
framework nan          attention          pass -    swallowed swallowed swallowed swallowed swallowed  -          -
framework nan          kl_divergence      pass -    swallowed swallowed swallowed swallowed swallowed  -          -
framework nan          kl_divergence_grad pass -    swallowed swallowed swallowed swallowed swallowed  -          -
framework nan          logcumsumexp       pass nan  swallowed swallowed swallowed swallowed swallowed  swallowed  swallowed
framework nan          mean_cross_entropy pass -    swallowed swallowed swallowed swallowed swallowed  -          -
framework nan          mean_cross_entropy_grad pass -    swallowed swallowed swallowed swallowed swallowed  -          -
framework empty        logsumexp          pass nan  swallowed -         swallowed swallowed swallowed  -          -
framework empty        softmax            pass -    -         -         -         -         -          -          -
framework empty        log_softmax        pass -    -         -         -         -         -          -          -
framework empty        softmax_vjp        pass -    -         -         -         -         -          -          -
framework empty        softmax_jvp        pass -    -         -         -         -         -          -          -
framework empty        log_softmax_vjp    pass -    -         -         -         -         -          -          -
framework empty        log_softmax_jvp    pass -    -         -         -         -         -          -          -
framework empty        log1mexp           pass -    -         -         -         -         -          -          -
framework empty        sigmoid            pass -    -         -         -         -         -          -          -
framework empty        softplus           pass -    -         -         -         -         -          -          -
framework empty        log_sigmoid        pass -    -         -         -         -         -          -          -
framework empty        sigmoid_vjp        pass -    -         -         -         -         -          -          -
framework empty        log_sigmoid_vjp    pass -    -         -         -         -         -          -          -
framework empty        bce_with_logits    pass -    -         -         -         -         -          -          -
framework empty        bce_with_logits_grad pass -    -         -         -         -         -          -          -
framework empty        logaddexp          pass -    -         -         -         -         -          -          -
framework empty        logsubexp          pass -    -         -         -         -         -          -          -
framework empty        scaled_softmax     pass -    -         -         -         -         -          -          -
framework empty        entropy            pass nan  inf       inf       -         pass      inaccurate -          -
framework empty        attention          pass nan  inf       inf       -         pass      inaccurate -          -
framework empty        kl_divergence      pass nan  inf       inf       -         pass      inaccurate -          -
framework empty        kl_divergence_grad pass -    -         -         -         -         -          -          -
framework empty        logcumsumexp       pass -    -         -         -         -         -          -          -
framework empty        mean_cross_entropy pass pass swallowed swallowed -         pass      swallowed  -          -
framework empty        mean_cross_entropy_grad pass -    -         -         -         -         -          -          -
limit     fully-masked logsumexp          pass nan  swallowed -         swallowed swallowed swallowed  -          -
limit     fully-masked softmax            pass -    swallowed swallowed swallowed swallowed swallowed  -          -
limit     fully-masked log_softmax        pass -    swallowed swallowed swallowed swallowed swallowed  -          -
limit     fully-masked cross_entropy      pass -    swallowed swallowed swallowed swallowed swallowed  -          -
limit     fully-masked cross_entropy_grad pass -    swallowed swallowed swallowed swallowed swallowed  -          -
limit     fully-masked softmax_vjp        pass -    swallowed swallowed swallowed swallowed swallowed  -          -
limit     fully-masked softmax_jvp        pass -    swallowed swallowed swallowed swallowed swallowed  -          -
limit     fully-masked log_softmax_vjp    pass -    swallowed swallowed swallowed swallowed swallowed  -          -
limit     fully-masked log_softmax_jvp    pass -    swallowed swallowed swallowed swallowed swallowed  -          -
limit     fully-masked soft_cross_entropy pass -    swallowed swallowed swallowed swallowed swallowed  -          -
limit     fully-masked soft_cross_entropy_grad pass -    swallowed swallowed swallowed swallowed swallowed  -          -
limit     fully-masked scaled_softmax     pass -    swallowed swallowed swallowed swallowed swallowed  -          -
limit     fully-masked entropy            pass -    swallowed swallowed swallowed swallowed swallowed  -          -
limit     fully-masked attention          pass -    swallowed swallowed swallowed swallowed swallowed  -          -
limit     fully-masked kl_divergence      pass -    swallowed swallowed swallowed swallowed swallowed  -          -
limit     fully-masked kl_divergence_grad pass -    swallowed swallowed swallowed swallowed swallowed  -          -
limit     fully-masked logcumsumexp       pass nan  swallowed -         swallowed swallowed swallowed  -          -
limit     fully-masked mean_cross_entropy pass -    swallowed swallowed swallowed swallowed swallowed  -          -
limit     fully-masked mean_cross_entropy_grad pass -    swallowed swallowed swallowed swallowed swallowed  -          -
limit     one-inf      logsumexp          pass nan  -         swallowed swallowed swallowed swallowed  -          -
limit     one-inf      softmax            pass nan  inf       inf       zero      zero      inaccurate zero       zero
limit     one-inf      log_softmax        pass nan  swallowed inf       swallowed swallowed swallowed  swallowed  swallowed
limit     one-inf      cross_entropy      pass nan  -         swallowed swallowed swallowed swallowed  -          -
limit     one-inf      cross_entropy_grad pass nan  inf       inf       zero      zero      sign       sign       zero
limit     one-inf      softmax_vjp        pass nan  inf       inf       -         pass      inaccurate -          -
limit     one-inf      softmax_jvp        pass nan  inf       inf       -         pass      inaccurate -          -
limit     one-inf      log_softmax_vjp    pass nan  inf       inf       zero      zero      sign       sign       sign
limit     one-inf      log_softmax_jvp    pass nan  inf       inf       zero      zero      sign       zero       zero
limit     one-inf      soft_cross_entropy pass nan  -         swallowed swallowed swallowed swallowed  -          -
limit     one-inf      soft_cross_entropy_grad pass nan  inf       inf       zero      zero      sign       sign       zero
limit     one-inf      scaled_softmax     pass nan  inf       inf       zero      zero      inaccurate zero       zero
limit     one-inf      entropy            pass nan  inf       inf       -         pass      inaccurate -          -
limit     one-inf      attention          pass nan  inf       inf       zero      zero      -          -          -
limit     one-inf      kl_divergence      pass -    swallowed swallowed swallowed swallowed swallowed  -          -
limit     one-inf      kl_divergence_grad pass -    swallowed swallowed swallowed swallowed swallowed  -          -
limit     one-inf      logcumsumexp       pass nan  -         swallowed swallowed swallowed swallowed  -          -
limit     one-inf      mean_cross_entropy pass nan  -         swallowed swallowed swallowed swallowed  -          -
limit     one-inf      mean_cross_entropy_grad pass nan  inf       inf       zero      zero      sign       sign       zero
limit     several-inf  logsumexp          pass nan  -         swallowed swallowed swallowed swallowed  -          -
limit     several-inf  softmax            pass nan  swallowed swallowed swallowed swallowed swallowed  swallowed  swallowed
limit     several-inf  log_softmax        pass nan  swallowed swallowed swallowed swallowed swallowed  swallowed  swallowed
limit     several-inf  cross_entropy      pass nan  -         swallowed swallowed swallowed swallowed  -          -
limit     several-inf  cross_entropy_grad pass nan  swallowed swallowed swallowed swallowed swallowed  swallowed  swallowed
limit     several-inf  softmax_vjp        pass nan  swallowed swallowed swallowed swallowed swallowed  swallowed  swallowed
limit     several-inf  softmax_jvp        pass nan  swallowed swallowed swallowed swallowed swallowed  swallowed  swallowed
limit     several-inf  log_softmax_vjp    pass nan  swallowed swallowed swallowed swallowed swallowed  swallowed  swallowed
limit     several-inf  log_softmax_jvp    pass -    swallowed swallowed swallowed swallowed swallowed  -          -
limit     several-inf  soft_cross_entropy pass nan  -         swallowed swallowed swallowed swallowed  -          -
limit     several-inf  soft_cross_entropy_grad pass nan  swallowed swallowed swallowed swallowed swallowed  swallowed  swallowed
limit     several-inf  scaled_softmax     pass nan  swallowed swallowed swallowed swallowed swallowed  swallowed  swallowed
limit     several-inf  entropy            pass -    swallowed swallowed swallowed swallowed swallowed  -          -
limit     several-inf  attention          pass -    swallowed swallowed swallowed swallowed swallowed  -          -
limit     several-inf  kl_divergence      pass -    swallowed swallowed swallowed swallowed swallowed  -          -
limit     several-inf  kl_divergence_grad pass -    swallowed swallowed swallowed swallowed swallowed  -          -
limit     several-inf  logcumsumexp       pass nan  -         swallowed swallowed swallowed swallowed  -          -
limit     several-inf  mean_cross_entropy pass nan  -         swallowed swallowed swallowed swallowed  -          -
limit     several-inf  mean_cross_entropy_grad pass nan  swallowed swallowed swallowed swallowed swallowed  swallowed  swallowed
limit     nan          logsumexp          pass -    swallowed swallowed swallowed swallowed swallowed  -          -
limit     nan          softmax            pass -    swallowed swallowed swallowed swallowed swallowed  -          -
limit     nan          log_softmax        pass -    swallowed swallowed swallowed swallowed swallowed  -          -
limit     nan          cross_entropy      pass -    swallowed swallowed swallowed swallowed swallowed  -          -
limit     nan          cross_entropy_grad pass -    swallowed swallowed swallowed swallowed swallowed  -          -
limit     nan          softmax_vjp        pass -    swallowed swallowed swallowed swallowed swallowed  -          -
limit     nan          softmax_jvp        pass -    swallowed swallowed swallowed swallowed swallowed  -          -
limit     nan          log_softmax_vjp    pass -    swallowed swallowed swallowed swallowed swallowed  -          -
limit     nan          log_softmax_jvp    pass -    swallowed swallowed swallowed swallowed swallowed  -          -
limit     nan          soft_cross_entropy pass -    swallowed swallowed swallowed swallowed swallowed  -          -
limit     nan          soft_cross_entropy_grad pass -    swallowed swallowed swallowed swallowed swallowed  -          -
limit     nan          scaled_softmax     pass -    swallowed swallowed swallowed swallowed swallowed  -          -
limit     nan          entropy            pass -    swallowed swallowed swallowed swallowed swallowed  -          -
limit     nan          attention          pass -    swallowed swallowed swallowed swallowed swallowed  -          -
limit     nan          kl_divergence      pass -    swallowed swallowed swallowed swallowed swallowed  -          -
limit     nan          kl_divergence_grad pass -    swallowed swallowed swallowed swallowed swallowed  -          -
limit     nan          logcumsumexp       pass nan  swallowed swallowed swallowed swallowed swallowed  swallowed  swallowed
limit     nan          mean_cross_entropy pass -    swallowed swallowed swallowed swallowed swallowed  -          -
limit     nan          mean_cross_entropy_grad pass -    swallowed swallowed swallowed swallowed swallowed  -          -
limit     empty        logsumexp          pass nan  swallowed -         swallowed swallowed swallowed  -          -
limit     empty        softmax            pass -    -         -         -         -         -          -          -
limit     empty        log_softmax        pass -    -         -         -         -         -          -          -
limit     empty        softmax_vjp        pass -    -         -         -         -         -          -          -
limit     empty        softmax_jvp        pass -    -         -         -         -         -          -          -
limit     empty        log_softmax_vjp    pass -    -         -         -         -         -          -          -
limit     empty        log_softmax_jvp    pass -    -         -         -         -         -          -          -
limit     empty        scaled_softmax     pass -    -         -         -         -         -          -          -
limit     empty        entropy            pass nan  inf       inf       -         pass      inaccurate -          -
limit     empty        attention          pass nan  inf       inf       -         pass      inaccurate -          -
limit     empty        kl_divergence      pass nan  inf       inf       -         pass      inaccurate -          -
limit     empty        kl_divergence_grad pass -    -         -         -         -         -          -          -
limit     empty        logcumsumexp       pass -    -         -         -         -         -          -          -
limit     empty        mean_cross_entropy pass pass swallowed swallowed -         pass      swallowed  -          -
limit     empty        mean_cross_entropy_grad pass -    -         -         -         -         -          -          -";

#[test]
fn wrong_answers_get_the_verdicts_of_the_table() {
    let mut oracle = Oracle::new();
    let mut lines = Vec::new();
    for special in Special::ALL {
        for (name, logits) in ROWS {
            for &op in Op::ALL {
                if op.needs_logit() && logits.is_empty() {
                    continue;
                }
                if special == Special::Limit && RowClass::of(op, logits).is_ordinary() {
                    continue; // the presets agree there
                }
                let case = case(op, logits);
                let right = rounded(&mut oracle, &case, special);
                let truth = oracle.truth(&case, special);
                let verdicts = ANSWERS
                    .map(|name| answer(name, &right).map_or("-", |outputs| verdict(&case, &truth, outputs).name()));
                lines.push(format!("{special} {name} {op} {}", verdicts.join(" ")));
            }
        }
    }
    let table: Vec<String> = TABLE.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    assert_eq!(table[0], format!("preset row op {}", ANSWERS.join(" ")));
    assert_eq!(lines.len(), table.len() - 1);
    let others: Vec<&str> =
        lines.iter().zip(&table[1..]).filter(|(got, want)| got != want).map(|(got, _)| got.as_str()).collect();
    assert!(others.is_empty(), "not as in the table:\n{}\n{}", table[0], others.join("\n"));
}

/// Elements of two inputs that have an infinity or NaN: the one answer that is right, and whether frameworks may answer NaN.
const SPECIAL_ELEMENTS: [(&str, f64, bool); 31] = [
    ("sigmoid_vjp f32 [inf] cotangent=[3]", 0.0, false),
    ("sigmoid_vjp f32 [-inf] cotangent=[3]", 0.0, false),
    ("sigmoid_vjp f32 [nan] cotangent=[0]", f64::NAN, false),
    ("log_sigmoid_vjp f32 [inf] cotangent=[3]", 0.0, false),
    ("log_sigmoid_vjp f32 [-inf] cotangent=[3]", 3.0, false),
    ("log_sigmoid_vjp f32 [nan] cotangent=[3]", f64::NAN, false),
    ("bce_with_logits f32 [inf] label=[1]", 0.0, true),
    ("bce_with_logits f32 [inf] label=[0.25]", f64::INFINITY, false),
    ("bce_with_logits f32 [inf] label=[0]", f64::INFINITY, false),
    ("bce_with_logits f32 [-inf] label=[0]", 0.0, true),
    ("bce_with_logits f32 [-inf] label=[0.25]", f64::INFINITY, false),
    ("bce_with_logits f32 [-inf] label=[1]", f64::INFINITY, false),
    ("bce_with_logits f32 [nan] label=[1]", f64::NAN, false),
    ("bce_with_logits_grad f32 [inf] label=[0.25]", 0.75, false),
    ("bce_with_logits_grad f32 [inf] label=[1]", 0.0, false),
    ("bce_with_logits_grad f32 [-inf] label=[0.25]", -0.25, false),
    ("logaddexp f32 [inf] other_logits=[inf]", f64::INFINITY, false),
    ("logaddexp f32 [inf] other_logits=[-inf]", f64::INFINITY, false),
    ("logaddexp f32 [3] other_logits=[inf]", f64::INFINITY, false),
    ("logaddexp f32 [-inf] other_logits=[-inf]", f64::NEG_INFINITY, false),
    ("logaddexp f32 [-inf] other_logits=[3]", 3.0, false),
    ("logaddexp f32 [0.75] other_logits=[-inf]", 0.75, false),
    ("logaddexp f32 [inf] other_logits=[nan]", f64::NAN, false),
    ("logsubexp f32 [3] other_logits=[3]", f64::NEG_INFINITY, false),
    ("logsubexp f32 [-inf] other_logits=[-inf]", f64::NEG_INFINITY, true),
    ("logsubexp f32 [inf] other_logits=[inf]", f64::NAN, false),
    ("logsubexp f32 [inf] other_logits=[3]", f64::INFINITY, false),
    ("logsubexp f32 [3] other_logits=[-inf]", 3.0, false),
    ("logsubexp f32 [1] other_logits=[3]", f64::NAN, false),
    ("logsubexp f32 [-inf] other_logits=[3]", f64::NAN, false),
    ("logsubexp f32 [3] other_logits=[inf]", f64::NAN, false),
];

#[test]
fn special_elements_have_one_answer_but_where_frameworks_have_another() {
    let mut oracle = Oracle::new();
    let answers = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 0.0, 3.0, 1.0, 0.75, -0.25, 2.9999998];
    for (text, right, may_be_nan) in SPECIAL_ELEMENTS {
        let case = Case::parse(text).expect("a case");
        for special in Special::ALL {
            let truth = oracle.truth(&case, special);
            for got in answers {
                let is_right = got == right || got.is_nan() && right.is_nan();
                let is_accepted = is_right || got.is_nan() && may_be_nan && special == Special::Framework;
                let judged = verdict(&case, &truth, vec![got]);
                assert_eq!(judged == Verdict::Pass, is_accepted, "{text} {special}: {got} is {judged}");
            }
            assert!(
                answers.iter().any(|&x| x == right || x.is_nan() && right.is_nan()),
                "{text}: no such answer is tried"
            );
        }
    }
}

/// Rows with values that are not finite: what is right, and what else frameworks may answer.
const SPECIAL_VALUES: [(&str, f64, &[f64]); 17] = [
    // Behind a mask.
    ("attention f32 [0, -inf] values=[3, nan]", 3.0, &[f64::NAN]),
    ("attention f32 [0, -inf] values=[3, inf]", 3.0, &[f64::NAN]),
    ("attention f32 [-inf, 0] values=[1e30, 3]", 3.0, &[]),
    // Of a class with weight.
    ("attention f32 [0, 0] values=[3, nan]", f64::NAN, &[]),
    ("attention f32 [0, 0] values=[3, inf]", f64::INFINITY, &[]),
    ("attention f32 [0, -1] values=[-inf, -inf]", f64::NEG_INFINITY, &[]),
    ("attention f32 [0, -1] values=[inf, -inf]", f64::NAN, &[]),
    ("attention f32 [0, 0, -inf] values=[3, inf, nan]", f64::INFINITY, &[f64::NAN]),
    // Of one whose weight may be lost: as behind a mask.
    ("attention f32 [0, -200] values=[3, inf]", f64::INFINITY, &[f64::NAN, 3.0]),
    ("attention f32 [0, -200] values=[3, nan]", f64::NAN, &[3.0]),
    ("attention f32 [0, 0, -200] values=[3, inf, -inf]", f64::NAN, &[f64::INFINITY]),
    // A weight that is rescaled may last where a larger one that is not is lost.
    ("attention f32 [0, -104, -103.5] values=[3, inf, -inf]", f64::NAN, &[f64::INFINITY, f64::NEG_INFINITY, 3.0]),
    ("attention f64 [1e308, -1e308] values=[3, inf]", f64::INFINITY, &[f64::NAN, 3.0]),
    // Where a logit is infinite, or all are.
    ("attention f32 [inf, 0] values=[3, nan]", 3.0, &[f64::NAN]),
    ("attention f32 [inf, 0] values=[inf, 3]", f64::INFINITY, &[f64::NAN]),
    ("attention f32 [-inf, -inf] values=[3, 3]", 3.0, &[f64::NAN, 0.0]),
    ("attention f32 [-inf, -inf] values=[3, 2]", f64::NAN, &[0.0]),
];

#[test]
fn values_that_are_not_finite_are_seen_where_there_is_weight() {
    let mut oracle = Oracle::new();
    let answers = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 0.0, 3.0];
    let is_one = |a: f64, b: f64| a == b || a.is_nan() && b.is_nan();
    for (text, right, others) in SPECIAL_VALUES {
        let case = Case::parse(text).expect("a case");
        for special in Special::ALL {
            let truth = oracle.truth(&case, special);
            for got in answers {
                let is_accepted = is_one(got, right)
                    || special == Special::Framework && others.iter().any(|&other| is_one(got, other));
                let judged = verdict(&case, &truth, vec![got]);
                assert_eq!(judged == Verdict::Pass, is_accepted, "{text} {special}: {got} is {judged}");
            }
            assert!(answers.iter().any(|&x| is_one(x, right)), "{text}: no such answer is tried");
        }
    }
}

/// Either answer to a row with +inf is accepted, NaN everywhere or the limit; a kernel that gives both, by length, by place or by
/// block, is inconsistent. Each kernel here answers NaN where its rule says so, and the limit elsewhere.
#[test]
fn special_values_must_be_answered_alike_everywhere() {
    type Rule = fn(&[f32]) -> bool;
    const INF: f32 = f32::INFINITY;
    let rules: [(&str, Rule, bool); 7] = [
        ("always NaN", |_| true, true),
        ("always the limit", |_| false, true),
        ("NaN in short rows", |z| z.len() < 128, false),
        ("NaN in long rows", |z| z.len() >= 128, false),
        ("NaN if the first logit is infinite", |z| z[0] == INF, false),
        ("NaN if the tail of the last vector of 8 is infinite", |z| z[z.len() / 8 * 8..].contains(&INF), false),
        (
            "NaN if a block of 32 but the first is infinite",
            |z| z.chunks(32).skip(1).any(|block| block.contains(&INF)),
            false,
        ),
    ];
    for (rule, is_nan, is_consistent) in rules {
        let kernel = Closure::new("by_rule", Op::SOFTMAX, move |z: &[f32], out: &mut [f32]| {
            let max = z.iter().copied().fold(f32::NEG_INFINITY, |max, z| if max.is_nan() || max > z { max } else { z });
            let infinite = z.iter().filter(|z| **z == INF).count() as f32;
            if infinite > 0.0 {
                let limit = |z: &f32| if *z == INF { 1.0 / infinite } else { 0.0 };
                let is_nan = is_nan(z);
                z.iter().zip(out).for_each(|(z, p)| *p = if is_nan { f32::NAN } else { limit(z) });
            } else {
                let sum: f32 = z.iter().map(|z| (z - max).exp()).sum();
                z.iter().zip(out).for_each(|(z, p)| *p = (z - max).exp() / sum);
            }
        });
        let mut plan = Plan::new(vec![Arc::new(kernel)]);
        plan.sources = vec![Arc::new("pos_inf".parse::<logitfuzz::Family>().expect("a family"))];
        plan.cases = 200;
        let results = campaign::run(&plan, &Control::default()).expect("the plan selects something");
        let [cell] = &results.cells[..] else { panic!("{} cells", results.cells.len()) };
        let inconsistent = cell.verdicts.get(&Verdict::Inconsistent).copied().unwrap_or(0);
        assert_eq!(inconsistent == 0, is_consistent, "{rule}: {:?}", cell.verdicts);
        assert_eq!(
            cell.verdicts.get(&Verdict::Pass).copied().unwrap_or(0) + inconsistent,
            200,
            "{rule}: {:?}",
            cell.verdicts
        );
    }
}

#[test]
fn no_answer_passes_without_a_truth() {
    let not_known = Rounded { rounded: f64::NAN, residual: f64::NAN, unit: 0 };
    let mut oracle = Oracle::new();
    let mut judged = 0;
    for (_, logits) in ROWS {
        for op in Op::ALL.iter().copied().filter(|op| !op.needs_logit() || !logits.is_empty()) {
            let case = case(op, logits);
            let right = rounded(&mut oracle, &case, Special::Framework);
            let n = right.len();
            if n == 0 {
                continue; // no output, nothing to judge
            }
            let truth = oracle.truth(&case, Special::Framework);
            let instead = |alternatives| Truth { alternatives, ..truth.clone() };
            // The judge with the truth in hand accepts the right answer; a residual that is NaN makes it worthless.
            let half_known = |j: usize| Due::Value(Rounded { rounded: right[j], residual: f64::NAN, unit: 0 });
            let no_truths = [
                ("undecided", instead(vec![vec![Due::Undecided; n]])),
                ("NaN", instead(vec![vec![Due::Value(not_known); n]])),
                ("NaN residual", instead(vec![(0..n).map(half_known).collect()])),
                ("one of none", instead(vec![vec![Due::OneOf(Vec::new()); n]])),
                ("one of NaN value", instead(vec![vec![Due::OneOf(vec![Accepted::Value(not_known)]); n]])),
                ("between NaN", instead(vec![vec![Due::OneOf(vec![Accepted::Between(f64::NAN, f64::NAN)]); n]])),
                ("no alternative", instead(Vec::new())),
            ];
            for (what, truth) in no_truths {
                for outputs in ANSWERS.iter().filter_map(|name| answer(name, &right)) {
                    let text = format!("{what}: {outputs:?} for {case}");
                    if what == "NaN residual"
                        && outputs.iter().zip(&right).any(|(x, right)| x.is_infinite() && x == right)
                    {
                        continue; // an infinity that is due needs no residual
                    }
                    let verdict = verdict(&case, &truth, outputs);
                    assert_ne!(verdict, Verdict::Pass, "{text}");
                    assert!(what != "undecided" || verdict == Verdict::Undecided, "{text}: {verdict}");
                    judged += 1;
                }
            }
            // NaN where a number is due elsewhere: only NaN passes.
            let nan = instead(vec![vec![Due::OneOf(vec![Accepted::Nan]); n]]);
            for outputs in ANSWERS.iter().filter_map(|name| answer(name, &right)) {
                let all_nan = outputs.iter().all(|x| x.is_nan());
                assert_eq!(verdict(&case, &nan, outputs) == Verdict::Pass, all_nan, "{case}");
                judged += 1;
            }
        }
    }
    assert!(judged > 2_000, "{judged}");
}

/// Positions of f16 are counted in sixteenths of its least number, `2^-28`, so that everything here is an integer.
const UNITS: f64 = (1u64 << 28) as f64;

/// `ulp(exact)` in units, by the definition: `2^(max(floor(log2 |exact|), emin) - p + 1)`.
fn ulp_in_units(exact: i64) -> i64 {
    // 2^-14 is unit number 2^14; a binade has 2^10 ulps.
    1 << (exact.unsigned_abs().max(1).ilog2().max(14) - 10)
}

/// A difference as an error of it is told, in integers: to a multiple of `2^-20` ulp below `2^10` ulps, to 31 bits from there on, ties to
/// even.
fn as_told(difference: i64, ulp: i64) -> i64 {
    let size = difference.abs();
    let step = if size < ulp << 10 { (ulp >> 20).max(1) } else { 1 << size.ilog2().saturating_sub(30) };
    let (quotient, rest) = (size / step, size % step);
    let nearest = quotient + i64::from(2 * rest > step || (2 * rest == step && quotient % 2 != 0));
    difference.signum() * nearest * step
}

#[test]
fn ulps_agree_with_integers_around_every_power_of_two_of_f16() {
    let format = Dtype::F16.format();
    // 16 equal logits: p = 1/16, so log_softmax_vjp is g_j - (sum g) / 16, exactly.
    let zeros: Arc<[f64]> = vec![0.0; 16].into();
    let overflow = 1i64 << (16 + 28);
    let in_units = |x: f64| if x.is_infinite() { overflow * x.signum() as i64 } else { (x * UNITS) as i64 };
    let mut oracle = Oracle::new();
    let (mut checked, mut rounded) = (0u64, 0u64);
    for (power, beside, sixteenths) in
        (-24..=16).flat_map(|e| (-2..=2).flat_map(move |s| (-16..=16).map(move |k| (e, s, k))))
    {
        let base = format.step(2f64.powi(power).min(format.largest()), beside);
        if base <= 0.0 || base.is_infinite() {
            continue;
        }
        let ulp = ulp_in_units(in_units(base));
        for sign in [1.0, -1.0] {
            // g = [x, -x, -k ulp, 0, ...]: the first output is x + k ulp / 16.
            let mut cotangent = vec![0.0; 16];
            cotangent[..3].copy_from_slice(&[
                sign * base,
                -sign * base,
                -sign * f64::from(sixteenths) * ulp as f64 / UNITS,
            ]);
            let exact = sign as i64 * (in_units(base) + i64::from(sixteenths) * ulp / 16);
            let case = Case::new(Op::LOG_SOFTMAX_VJP, Dtype::F16, zeros.clone(), [cotangent.into()]);
            let truth = oracle.truth(&case.expect("values of f16"), Special::Framework);
            let Due::Value(real) = &truth.alternatives[0][0] else { panic!("{truth:?}") };

            // The nearest multiple of the ulp, ties to even; infinite from the middle between the largest and 2^16.
            let unit = ulp_in_units(exact).min(1 << (15 + 28 - 10));
            let (quotient, rest) = (exact.div_euclid(unit), exact.rem_euclid(unit));
            let nearest = quotient + i64::from(2 * rest > unit || (2 * rest == unit && quotient % 2 != 0));
            let overflows = (nearest * unit).abs() >= overflow;
            let expected = if overflows { sign * f64::INFINITY } else { (nearest * unit) as f64 / UNITS };
            assert_eq!(real.rounded, expected, "{exact} units");
            assert_eq!(real.unit, unit.ilog2() as i32 - 28, "{exact} units");

            // What overflows is measured from 2^16 on.
            let measured = if overflows { sign as i64 * overflow } else { exact };
            let neighbours = (-3..=3).map(|steps| format.step(sign * base, steps));
            let far = [0.0, -0.0, -sign * base, format.largest(), f64::INFINITY, f64::NEG_INFINITY, sign];
            for got in neighbours.chain(far) {
                let difference = as_told(in_units(got) - measured, unit);
                rounded += u64::from(difference != in_units(got) - measured);
                let error = OutputError::of(got, real, format);
                // Both quotients are by powers of two, so exact.
                let ulps = difference as f64 / unit as f64;
                let text = format!("{got} for {exact} units: {error:?}");
                assert_eq!(error.signed_ulps, ulps, "{text}");
                assert_eq!(error.absolute.to_f64(), difference.unsigned_abs() as f64 / UNITS, "{text}");
                checked += 1;
            }
        }
    }
    assert!(checked > 150_000 && rounded > 100, "{checked} {rounded}");
}
