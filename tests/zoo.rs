//! The zoo of planted defects, `reports/zoo.json`, is what this version gives: every defect is caught, by the families that it says;
//! and the page, `reports/zoo.md`, is made of it.

#![cfg(feature = "cli")]

use logitfuzz::campaign::{self, Control, Plan};
use logitfuzz::kernel::{Kernel, builtin};
use logitfuzz::report::zoo::Zoo;
use std::path::Path;
use std::sync::Arc;

/// As the command `zoo` has it.
const CASES: u64 = 200;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/reports/zoo.md");
const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/reports/zoo.json");

fn committed() -> Zoo {
    Zoo::read(Path::new(DATA)).expect("the data of the zoo")
}

#[test]
fn the_zoo_is_up_to_date_and_every_defect_is_caught() {
    let defects = builtin::all().iter().filter(|kernel| kernel.defect().is_some());
    let mut plan = Plan::new(defects.map(|kernel| Arc::new(kernel) as Arc<dyn Kernel>).collect());
    // Only who is caught by what is compared.
    (plan.cases, plan.findings) = (CASES, false);
    let results = campaign::run(&plan, &Control::default()).expect("the plan selects something");
    let fresh = Zoo::of(&results).expect("findings are cases");
    assert_eq!(fresh.missed(), [""; 0], "planted defects that nothing catches");
    let drift = committed().drift(&fresh);
    assert!(drift.is_empty(), "reports/zoo.json is out of date; run `make zoo` and commit it:\n{}", drift.join("\n"));
}

#[test]
fn the_page_is_made_of_the_data() {
    let page = std::fs::read_to_string(PAGE).expect(PAGE);
    assert!(page == committed().page(), "reports/zoo.md is not what reports/zoo.json makes; run `make zoo`");
}

/// What is shown is true, or the page says how it comes that it is not.
#[test]
fn every_mistake_has_its_reason() {
    assert_eq!(committed().mistaken(), [""; 0]);
}

#[test]
fn every_family_has_its_reason() {
    let zoo = committed();
    let quick = logitfuzz::generate::Family::all().iter().filter(|family| !family.is_slow()).count();
    assert_eq!(zoo.families().len(), quick);
    for family in zoo.families() {
        assert!(zoo.has_its_reason(family), "{family} is best for nothing and has no reason to be kept");
    }
}
