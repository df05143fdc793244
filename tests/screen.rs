//! The screen decides nothing differently: campaigns with it and without it give the same results, byte for byte, over all kernels
//! (planted defects too), ops, dtypes and quick families. And it is worth having: it judges most of what correct kernels answer.

use logitfuzz::campaign::{self, Control, Plan};
use logitfuzz::kernel::builtin;
use logitfuzz::{Dtype, Family, Kernel};
use std::sync::Arc;

/// Of so many planted defects one is taken where findings are compared, too: these cost most of the time.
const SHARES: usize = 9;

/// All kernels, those with a planted defect too; only counts and figures are compared.
fn plan(seed: u64, cases: u64, max_len: usize) -> Plan {
    let mut plan = Plan::new(builtin::all().iter().map(|kernel| Arc::new(kernel) as Arc<dyn Kernel>).collect());
    (plan.seed, plan.cases, plan.max_len, plan.findings) = (seed, cases, max_len, false);
    plan
}

fn results(mut plan: Plan, screen: bool) -> serde_json::Value {
    plan.screen = screen;
    let results = campaign::run(&plan, &Control::default()).expect("a campaign");
    serde_json::to_value(&results).expect("results are JSON")
}

/// Holds the results of a plan against each other, and says where they differ.
fn assert_same(what: &str, plan: impl Fn() -> Plan) {
    let (with, without) = (results(plan(), true), results(plan(), false));
    for part in ["cells", "findings", "curves"] {
        let (with, without) = (with[part].as_array().expect(part), without[part].as_array().expect(part));
        assert_eq!(with.len(), without.len(), "{what}: {part}");
        for (with, without) in with.iter().zip(without) {
            assert_eq!(with, without, "{what}: {part}");
        }
    }
    assert_eq!(with, without, "{what}");
}

#[test]
fn three_seeds_over_everything_short() {
    for seed in [1, 2, 3] {
        assert_same(&format!("seed {seed}"), || plan(seed, 2, 200));
    }
}

/// What is shrunk and explained with the screen is what is without it.
#[test]
fn findings_of_some_defects() {
    assert_same("findings", || {
        let mut plan = plan(4, 2, 200);
        let defects = builtin::all().iter().filter(|kernel| kernel.defect().is_some()).step_by(SHARES);
        plan.kernels = defects.map(|kernel| Arc::new(kernel) as Arc<dyn Kernel>).collect();
        plan.findings = true;
        plan
    });
}

#[test]
fn many_rows_of_some_families() {
    for family in ["ordinary", "cancellation", "dominant"] {
        let family = Family::all().iter().copied().find(|known| known.name() == family).expect("a family");
        let plan = || {
            let mut plan = plan(9, 40, 500);
            plan.kernels.retain(|kernel| !kernel.name().starts_with("defect/"));
            plan.dtypes = vec![Dtype::F16, Dtype::F32];
            plan.sources = vec![Arc::new(family)];
            plan
        };
        assert_same(family.name(), plan);
    }
}
