//! What an op takes beside its logits reaches the regimes that it is drawn for.

use super::*;

/// Every op has a valid case for every row, and the extras reach what they are named for.
#[test]
fn every_op_has_a_case_and_the_extras_reach_their_regimes() {
    for dtype in Dtype::ALL {
        let format = dtype.format();
        let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
        for &family in Family::all().iter().filter(|family| !family.is_slow()) {
            for index in 0..100 {
                let logits: Arc<[f64]> = row(family, dtype, SEED, index, 600).into();
                let n = logits.len();
                for &op in Op::ALL {
                    let Some(case) = case(op, dtype, family.name(), SEED, index, logits.clone(), None).unwrap() else {
                        assert!(n == 0 && op.needs_logit(), "{op} {dtype} {family} {index} has no case");
                        continue;
                    };
                    let mut note = |what, holds| *seen.entry(what).or_default() += usize::from(holds);
                    if let Some((class, smoothing)) = case.target() {
                        let z = logits[class];
                        let ranked = logits.iter().filter(|&&other| other > z).count();
                        note("target: max", n > 1 && z == max(&logits));
                        note("target: min", n > 1 && z == min(&logits));
                        note("target: second", n > 2 && ranked == 1);
                        note("target: first", n > 1 && class == 0);
                        note("target: last", n > 1 && class == n - 1);
                        note("target: masked", z == f64::NEG_INFINITY);
                        note("smoothing: 0", smoothing == 0.0);
                        note("smoothing: 1", smoothing == 1.0);
                        note("smoothing: 0.1", smoothing == dtype.round(0.1));
                        note("smoothing: 1e-3", smoothing == dtype.round(1e-3));
                        note("smoothing: least", smoothing == format.least());
                        note("smoothing: 1 - u", smoothing == 1.0 - format.unit_roundoff());
                        if family.name() == "confident_wrong" {
                            assert_eq!(z, min(&logits));
                        }
                    }
                    if let Some(scale) = case.scale() {
                        let size = logits.iter().filter(|z| z.is_finite()).fold(0.0f64, |size, z| size.max(z.abs()));
                        let (product, wider) = (scale * size, dtype.accumulator().format());
                        note("scale: 1", scale == 1.0);
                        note("scale: -1", scale == -1.0);
                        note("scale: 0", scale == 0.0 && scale.is_sign_positive());
                        note("scale: -0", scale == 0.0 && scale.is_sign_negative());
                        note("scale: 1/8", scale == 0.125);
                        note("scale: negative", scale < 0.0);
                        note("scale: least", scale.abs() == format.least());
                        note("scale: largest", scale.abs() == format.largest());
                        note("scale: products of everyday size", (0.1..100.0).contains(&product.abs()));
                        let near = |x: f64, y: f64| (x / y - 1.0).abs() < 0.02;
                        note("scale: a product at the overflow of exp", near(product.abs(), Edge::Overflow.of(format)));
                        let ends = product.abs() > 0.8 * wider.largest() || wider.emax > 2 * format.emax;
                        note("scale: a product at the end of the accumulator", ends);
                        note("scale: infinite logits beside 0", scale == 0.0 && logits.iter().any(|z| z.is_infinite()));
                    }
                    if let Some(q) = case.distribution().filter(|q| q.len() > 2) {
                        let with_mass = || (0..n).filter(|&i| q[i] > 0.0);
                        let is_one_hot = max(q) == 1.0;
                        let hot = q.iter().position(|&mass| mass == 1.0).map(|class| logits[class]);
                        let is_masked = |i: &usize| logits[*i] == f64::NEG_INFINITY;
                        let u = format.unit_roundoff();
                        note("distribution: one hot at the maximum", hot == Some(max(&logits)));
                        note("distribution: one hot at the minimum", hot == Some(min(&logits)));
                        note(
                            "distribution: one hot elsewhere",
                            hot.is_some_and(|z| z < max(&logits) && z > min(&logits)),
                        );
                        note("distribution: exact zeros beside others", !is_one_hot && has(q, 0.0));
                        note("distribution: no zero", !has(q, 0.0));
                        note("distribution: uniform", all_equal(q));
                        let few: Vec<f64> = with_mass().map(|i| q[i]).collect();
                        note("distribution: uniform over some", few.len() > 1 && few.len() < n && all_equal(&few));
                        note("distribution: a mass below a roundoff", with_mass().any(|i| q[i] < u));
                        note("distribution: a subnormal mass", with_mass().any(|i| q[i] < format.least_normal()));
                        note("distribution: nearly one hot", !is_one_hot && max(q) >= 1.0 - 4.0 * u);
                        note("distribution: mass on a masked class", with_mass().any(|i| is_masked(&i)));
                        let has_mask = (0..n).any(|i| is_masked(&i));
                        note("distribution: beside masked classes", has_mask && !with_mass().any(|i| is_masked(&i)));
                    }
                    if let Some(g) = case.direction().filter(|g| g.len() > 2) {
                        // An elementwise op takes the first elements of a row.
                        let n = g.len();
                        let limit = largest_direction(dtype, n);
                        let sum: f64 = g.iter().sum();
                        let mut partial = 0.0;
                        let leaves = g.iter().any(|g| {
                            partial += g;
                            f64::abs(partial) > format.largest()
                        });
                        // Only where the accumulator has room.
                        assert!(!leaves || dtype.input() == Dtype::F16, "{op} {dtype} {family} {index}");
                        let is_within = g.iter().all(|g| g.abs() <= limit);
                        assert!(is_within || dtype.input() == Dtype::F16, "{op} {dtype} {family} {index}");
                        note("direction: sums leave the range", leaves || dtype.input() != Dtype::F16);
                        note(
                            "direction: the total leaves it",
                            sum.abs() > format.largest() || dtype.input() != Dtype::F16,
                        );
                        let nonzero = g.iter().filter(|&&g| g != 0.0).count();
                        note("direction: zeros", nonzero == 0);
                        note("direction: one hot", nonzero == 1 && n > 3);
                        note("direction: ones", all_equal(g) && nonzero > 0);
                        note("direction: sums to 0", sum == 0.0 && nonzero > 1);
                        note(
                            "direction: nearly sums to 0",
                            sum != 0.0 && sum.abs() < max(g) * 8.0 * format.unit_roundoff(),
                        );
                        note("direction: alternating", nonzero == n && g.windows(2).all(|w| w[0] == -w[1]));
                        note("direction: as large as allowed", max(g) == limit);
                        note("direction: tiny", nonzero == n && max(g) < format.least_normal() * 512.0);
                        note(
                            "direction: mixed",
                            nonzero == n && min(&g.iter().map(|g| g.abs()).collect::<Vec<_>>()) < max(g) / 1e4,
                        );
                    }
                }
            }
        }
        assert_eq!(seen.len(), 23 + 12 + 12);
        for (what, count) in seen {
            assert!(count >= 25, "{dtype}: {what}: {count}");
        }
    }
}

/// The masses that are the softmax of the row, rounded: then the gradient cancels everywhere, but for the roundings.
#[test]
fn some_distributions_are_the_softmax_of_the_row() {
    let family: Family = "cancellation".parse().unwrap();
    for dtype in Dtype::ALL {
        let u = dtype.format().unit_roundoff();
        let mut met = 0;
        for index in 0..200 {
            let logits: Arc<[f64]> = row(family, dtype, SEED, index, 100).into();
            let case = case(Op::SOFT_CROSS_ENTROPY_GRAD, dtype, family.name(), SEED, index, logits.clone(), None);
            let case = case.unwrap().unwrap();
            let lse = exact_lse(&logits);
            let cancels = |(&z, &q): (&f64, &f64)| ((z - lse).exp() - q).abs() <= 4.0 * u * q + 1e-12;
            let masses = case.distribution().unwrap();
            // A mass that takes what the others leave is off by their roundings.
            let close = logits.iter().zip(masses).filter(|&pair| cancels(pair)).count();
            met += usize::from(masses.len() > 2 && max(masses) < 0.9 && close + 2 >= masses.len());
        }
        assert!(met >= 20, "{dtype}: {met}");
    }
}

/// Equal means in all groups of equal logits, though not all values are equal: the exact cases of the products.
#[test]
fn some_directions_have_equal_means_in_all_groups() {
    let family: Family = "ties".parse().unwrap();
    for dtype in Dtype::ALL {
        let mut met = 0;
        for index in 0..400 {
            let logits: Arc<[f64]> = row(family, dtype, SEED, index, 300).into();
            let case = case(Op::SOFTMAX_JVP, dtype, "ties", SEED, index, logits.clone(), None).unwrap().unwrap();
            let g = case.direction().unwrap();
            let mut groups: BTreeMap<u64, Vec<f64>> = BTreeMap::new();
            logits.iter().zip(g).for_each(|(z, &g)| groups.entry((z + 0.0).to_bits()).or_default().push(g));
            let mean = |group: &Vec<f64>| group.iter().sum::<f64>() / group.len() as f64;
            let first = groups.values().next().map(mean).unwrap();
            met += usize::from(
                !all_equal(g) && groups.len() > 1 && first != 0.0 && groups.values().all(|g| mean(g) == first),
            );
        }
        assert!(met >= 5, "{dtype}: {met}");
    }
}

/// Where outputs are solved to cancel, they do: p_j - q_j, g_j - sum p_i g_i, and g_j - p_j sum g_i.
#[test]
fn solved_extras_cancel() {
    let family: Family = "cancellation".parse().unwrap();
    for dtype in Dtype::ALL {
        let format = dtype.format();
        let ulp = |x: f64| ldexp(1.0, format.ulp_exponent(exponent(x)));
        let (mut gradient, mut product, mut log_product) = (0, 0, 0);
        for index in 0..600 {
            let logits: Arc<[f64]> = row(family, dtype, SEED, index, 100).into();
            let n = logits.len();
            let lse = Float::with_val(200, {
                let mut sum = Float::new(200);
                logits.iter().for_each(|&z| sum += Float::with_val(200, z).exp());
                sum.ln()
            });
            let p: Vec<Float> = logits.iter().map(|&z| (Float::with_val(200, z) - &lse).exp()).collect();
            let of = |op| case(op, dtype, family.name(), SEED, index, logits.clone(), None).unwrap().unwrap();
            let (class, e) = of(Op::CROSS_ENTROPY_GRAD).target().unwrap();
            gradient += usize::from(
                n > 2
                    && (0.0..0.9).contains(&e)
                    && e > 1e-6
                    && (0..n).any(|j| {
                        let hot = if j == class { 1.0 - Float::with_val(200, e) } else { Float::new(200) };
                        let q = hot + Float::with_val(200, e) / n as u32;
                        let difference = Float::with_val(200, &p[j] - &q).to_f64().abs();
                        difference <= 4.0 * ulp(e) / if j == class { 1.0 } else { n as f64 }
                    }),
            );
            let cancels = |op, other: fn(&[Float], &[f64], usize) -> Float| {
                let case = of(op);
                let g = case.direction().unwrap();
                let distinct: HashSet<u64> = g.iter().map(|g| g.to_bits()).collect();
                n > 4
                    && distinct.len() == n
                    && (0..n).any(|j| g[j] != 0.0 && (other(&p, g, j) - g[j]).to_f64().abs() <= 6.0 * ulp(g[j]))
            };
            product += usize::from(cancels(Op::SOFTMAX_VJP, |p, g, _| {
                let mut mean = Float::new(200);
                p.iter().zip(g).for_each(|(p, &g)| mean += Float::with_val(200, p * g));
                mean
            }));
            log_product += usize::from(cancels(Op::LOG_SOFTMAX_VJP, |p, g, j| {
                let mut sum = Float::new(200);
                g.iter().for_each(|&g| sum += g);
                sum * &p[j]
            }));
        }
        assert!(gradient >= 60, "{dtype}: p_j - q_j cancels in {gradient} rows");
        assert!(product >= 5 && log_product >= 5, "{dtype}: products cancel in {product} and {log_product} rows");
    }
}

#[test]
fn a_given_target_is_used_and_a_wrong_one_is_refused() {
    let logits: Arc<[f64]> = vec![1.0, 2.0, 3.0].into();
    for index in 0..50 {
        let of = |target| case(Op::CROSS_ENTROPY, Dtype::F32, "file", 1, index, logits.clone(), target);
        assert_eq!(of(Some(1)).unwrap().unwrap().target().unwrap().0, 1);
        assert!(of(Some(3)).is_err());
        assert!(of(None).unwrap().is_some());
    }
    assert!(case(Op::CROSS_ENTROPY, Dtype::F32, "tiny_n", 1, 0, Vec::new().into(), None).unwrap().is_none());
    assert!(case(Op::SOFTMAX, Dtype::F32, "tiny_n", 1, 0, Vec::new().into(), None).unwrap().is_some());
    assert!(case(Op::SOFTMAX, Dtype::F16, "file", 1, 0, vec![0.1].into(), None).is_err());
}

#[test]
fn any_case_is_as_asked() {
    let mut draw = Draw::from_seed(7);
    for _ in 0..300 {
        for &op in Op::ALL {
            let case = any_case(&mut draw, Some(op), Some(Dtype::Bf16), 20);
            assert_eq!((case.op(), case.dtype()), (op, Dtype::Bf16));
            assert!(case.logits().len() <= 20);
        }
        assert!(any_case(&mut draw, None, None, 0).logits().len() <= 1);
    }
}

/// An op with a domain gets rows that are nearly all within it, and that reach every stretch of it: for log(1 - exp(x)) near 0, about the
/// change from expm1 to log1p, where exp(x) is below half an ulp of 1, where it is 0, and a few numbers that have no value.
#[test]
fn a_domain_is_reached_in_all_its_parts() {
    for dtype in Dtype::ALL {
        let (mut elements, mut outside, format) = (0, 0, dtype.format());
        let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
        for &family in Family::all().iter().filter(|family| !family.is_slow()) {
            for index in 0..100 {
                let logits: Arc<[f64]> = row(family, dtype, SEED, index, 600).into();
                let case = case(Op::LOG1MEXP, dtype, family.name(), SEED, index, logits, None).unwrap().unwrap();
                for &x in case.logits() {
                    let mut note = |what, holds: bool| *seen.entry(what).or_default() += usize::from(holds);
                    (elements, outside) = (elements + 1, outside + usize::from(x > 0.0));
                    let u = format.unit_roundoff();
                    note("all digits of 1 - exp(x) cancel", x < 0.0 && -x < u);
                    note("a subnormal x", x < 0.0 && -x < format.least_normal());
                    note("some digits cancel", x < -u && x > -0.25);
                    note("about -log 2", (-1.0..=-0.5).contains(&x));
                    note("exp(x) is below half an ulp of 1", x.is_finite() && x < u.ln() - 0.7);
                    note("exp(x) is 0", x.is_finite() && x < -746.0);
                    note("zero", x == 0.0);
                    note("-inf", x == f64::NEG_INFINITY);
                    note("no value", x > 0.0);
                    note("NaN", x.is_nan());
                }
            }
        }
        let least = *seen.values().min().unwrap();
        assert!(seen.len() == 10 && least >= 10, "{dtype}: {seen:?}");
        assert!(outside * 10 < elements, "{dtype}: {outside} of {elements} are outside");
    }
}

/// Labels reach 0, 1 and 1/2, the neighbourhood of 0 down to the least number, that of 1 up to its last ulps, and what the sigmoid of the
/// logit is, where the gradient cancels.
#[test]
fn labels_reach_their_regimes() {
    for dtype in Dtype::ALL {
        let format = dtype.format();
        let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
        for &family in Family::all().iter().filter(|family| !family.is_slow()) {
            for index in 0..100 {
                let logits: Arc<[f64]> = row(family, dtype, SEED, index, 60).into();
                let case =
                    case(Op::BCE_WITH_LOGITS_GRAD, dtype, family.name(), SEED, index, logits, None).unwrap().unwrap();
                for crate::op::inputs::Element { logit: z, other: label } in case.elements() {
                    let mut note = |what, holds: bool| *seen.entry(what).or_default() += usize::from(holds);
                    assert!((0.0..=1.0).contains(&label) && dtype.holds(label), "{dtype} {family} {index}: {label}");
                    note("0", label == 0.0);
                    note("1", label == 1.0);
                    note("1/2", label == 0.5);
                    note("subnormal", label > 0.0 && label < format.least_normal());
                    note("near 0", label > 0.0 && label < 1e-3);
                    note("near 1", label < 1.0 && label > 1.0 - 8.0 * format.unit_roundoff());
                    note("between", (0.1..0.9).contains(&label));
                    note("0 at +inf", label == 0.0 && z == f64::INFINITY);
                    note("1 at +inf", label == 1.0 && z == f64::INFINITY);
                    note("0 at -inf", label == 0.0 && z == f64::NEG_INFINITY);
                    note("1 at -inf", label == 1.0 && z == f64::NEG_INFINITY);
                    let p = dtype.round(super::solve::sigmoid(z));
                    let is_near = z.abs() > 0.1 && p < 1.0 && p > 0.0;
                    note("the sigmoid", is_near && format.ordinal(label).abs_diff(format.ordinal(p)) <= 2);
                }
            }
        }
        assert!(seen.len() == 12 && seen.values().all(|&count| count >= 25), "{dtype}: {seen:?}");
    }
}

/// Other logits reach what the logarithm of a sum or a difference has: equal logits, neighbours, small and large gaps, the gaps at which
/// functions change their way, infinities on either side and on both, and results near 0. Few of those that are to be subtracted are above.
#[test]
fn other_logits_reach_their_regimes() {
    for (op, dtype) in [Op::LOGADDEXP, Op::LOGSUBEXP].into_iter().flat_map(|op| Dtype::ALL.map(|dtype| (op, dtype))) {
        let (format, descends) = (dtype.format(), op == Op::LOGSUBEXP);
        let gap = absorption_gap(dtype.accumulator().format());
        let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
        let (mut finite, mut above) = (0, 0);
        for &family in Family::all().iter().filter(|family| !family.is_slow()) {
            for index in 0..100 {
                let logits: Arc<[f64]> = row(family, dtype, SEED, index, 60).into();
                let case = case(op, dtype, family.name(), SEED, index, logits, None).unwrap().unwrap();
                for crate::op::inputs::Element { logit: x, other: y } in case.elements() {
                    let mut note = |what, holds: bool| *seen.entry(what).or_default() += usize::from(holds);
                    let is_finite = x.is_finite() && y.is_finite();
                    let apart = (x - y).abs();
                    (finite, above) = (finite + usize::from(is_finite), above + usize::from(is_finite && y > x));
                    note("equal", is_finite && x == y);
                    note("neighbours", is_finite && format.ordinal(x).abs_diff(format.ordinal(y)) == 1);
                    note("near", is_finite && apart > 0.0 && apart < 1e-3 * x.abs().max(1.0));
                    note("about log 2", (0.5..1.0).contains(&apart));
                    note("some apart", (2.0..10.0).contains(&apart));
                    note("where the exponential is absorbed", (gap - 1.0..gap + 1.0).contains(&apart));
                    note("far apart", is_finite && apart > 100.0);
                    note("a huge other", y.is_finite() && y.abs() > format.largest() / 8.0);
                    note("a subnormal other", y != 0.0 && y.abs() < format.least_normal());
                    note("0", y == 0.0 && x.is_finite() && x != 0.0);
                    note("both -inf", x == f64::NEG_INFINITY && y == x);
                    note("both +inf", x == f64::INFINITY && y == x);
                    note("-inf beside a number", x.is_finite() && y == f64::NEG_INFINITY);
                    note("+inf beside a number", x.is_finite() && y == f64::INFINITY);
                    note("NaN beside a number", x.is_finite() && y.is_nan());
                    note("below", is_finite && y < x);
                    note("above", is_finite && y > x);
                    let size = if descends { x.exp() - y.exp() } else { x.exp() + y.exp() };
                    let spacing = format.unit_roundoff() * x.abs().max(y.abs()).max(1.0);
                    note("a result near 0", x.abs() > 0.01 && x.abs() < 5.0 && (size - 1.0).abs() < 16.0 * spacing);
                }
            }
        }
        assert!(seen.len() == 18 && seen.values().all(|&count| count >= 25), "{op} {dtype}: {seen:?}");
        assert!(!descends || above * 10 < finite, "{dtype}: {above} of {finite} are above");
    }
}

/// Elements of a kind: what they are, and how to see it.
type Stretch = (String, Holds);
type Holds = Box<dyn Fn(f64) -> bool>;

/// Elements on either side of 0: what an op of one element that has a value everywhere is given. The rows of thresholds reach the op's
/// own and the ends of exp, mirrored too; the rows of other families are as they are for every op.
#[test]
fn elements_reach_their_thresholds_on_either_side_of_0() {
    let ops = Op::ALL.iter().filter(|op| !op.cuts().is_empty());
    for (&op, dtype) in ops.flat_map(|op| Dtype::ALL.map(|dtype| (op, dtype))) {
        let format = dtype.format();
        let near = move |at: f64| {
            let place = format.ordinal(dtype.round(at));
            move |x: f64| x.is_finite() && format.ordinal(x).abs_diff(place) <= 3
        };
        let mut stretches: Vec<Stretch> = vec![("NaN".into(), Box::new(f64::is_nan))];
        for sign in [1.0, -1.0] {
            let mut add = |what: String, holds: Holds| stretches.push((format!("{sign} {what}"), holds));
            op.cuts().iter().for_each(|cut| add(format!("{cut}"), Box::new(near(sign * cut))));
            for used in [format, dtype.accumulator().format()] {
                let bits = used.precision;
                for edge in Edge::ALL {
                    add(format!("{edge:?} of {bits} bits"), Box::new(near(sign * edge.of(used).abs())));
                }
                let (at, half) = (near(sign * absorption_gap(used)), near(sign * absorption_gap(used) / 2.0));
                add(format!("the gap of {bits} bits"), Box::new(move |x| at(x) || half(x)));
                let between = -Edge::LeastNormal.of(used)..-Edge::Zero.of(used);
                add(format!("where exp is subnormal in {bits} bits"), Box::new(move |x| between.contains(&(sign * x))));
            }
            let (least_normal, largest) = (format.least_normal(), format.largest());
            add("subnormal".into(), Box::new(move |x| x * sign > 0.0 && x.abs() < least_normal));
            add("0".into(), Box::new(move |x| x == 0.0 && x.is_sign_negative() == (sign < 0.0)));
            add("ordinary".into(), Box::new(move |x| (0.5..3.0).contains(&(x * sign))));
            add("the largest".into(), Box::new(move |x| x == sign * largest));
            add("infinity".into(), Box::new(move |x| x == sign * f64::INFINITY));
        }
        let mut seen = vec![0; stretches.len()];
        // NaN and infinities at the first places of rows that have elements with a value, too.
        let special: [fn(f64) -> bool; 3] = [f64::is_nan, |x| x == f64::INFINITY, |x| x == f64::NEG_INFINITY];
        let mut placed = [[0; 8]; 3];
        for &family in Family::all().iter().filter(|family| !family.is_slow()) {
            for index in 0..100 {
                let logits: Arc<[f64]> = row(family, dtype, SEED, index, 300).into();
                let case = case(op, dtype, family.name(), SEED, index, logits.clone(), None).unwrap().unwrap();
                assert!(family.name() == "thresholds" || bits(case.logits()) == bits(&logits), "{op} {dtype} {family}");
                for (count, (_, holds)) in seen.iter_mut().zip(&stretches) {
                    *count += case.logits().iter().filter(|&&z| holds(z)).count();
                }
                let is_beside = case.logits().iter().any(|z| z.is_finite());
                for (counts, is_special) in placed.iter_mut().zip(special).filter(|_| is_beside) {
                    counts.iter_mut().zip(case.logits()).for_each(|(count, &z)| *count += usize::from(is_special(z)));
                }
            }
        }
        let missed: Vec<&String> =
            stretches.iter().zip(&seen).filter(|(_, count)| **count < 4).map(|((what, _), _)| what).collect();
        assert!(missed.is_empty() && seen.len() > 60, "{op} {dtype}: {missed:?}");
        assert!(placed.iter().flatten().all(|&count| count >= 4), "{op} {dtype}: {placed:?}");
    }
}
