//! The page of planted defects, `reports/zoo.md`, is what this version gives: every defect is caught, by the families that the page
//! says.

#![cfg(feature = "cli")]

use logitfuzz::campaign::{self, Control, Plan};
use logitfuzz::kernel::{Kernel, builtin};
use logitfuzz::report::zoo;
use std::sync::Arc;

/// As the command `zoo` has it.
const CASES: u64 = 200;

#[test]
fn the_page_is_up_to_date_and_every_defect_is_caught() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/reports/zoo.md");
    let committed = std::fs::read_to_string(path).expect(path);
    let defects = builtin::all().iter().filter(|kernel| kernel.defect().is_some());
    let mut plan = Plan::new(defects.map(|kernel| Arc::new(kernel) as Arc<dyn Kernel>).collect());
    plan.cases = CASES;
    let results = campaign::run(&plan, &Control::default()).expect("the plan selects something");
    assert_eq!(zoo::missed(&results), [""; 0], "planted defects that nothing catches");
    let drift = zoo::drift(&committed, &zoo::markdown(&results).expect("findings are cases"));
    assert!(drift.is_empty(), "reports/zoo.md is out of date; run `make zoo` and commit it:\n{}", drift.join("\n"));
}

#[test]
fn every_family_of_the_page_has_its_reason() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/reports/zoo.md");
    let committed = std::fs::read_to_string(path).expect(path);
    let table = committed.split("\n## Families\n").nth(1).expect("a section of families");
    let rows: Vec<Vec<&str>> = table
        .lines()
        .take_while(|line| !line.starts_with("## "))
        .filter(|line| line.starts_with("| `"))
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
        .collect();
    let quick = logitfuzz::generate::Family::all().iter().filter(|family| !family.is_slow()).count();
    assert_eq!(rows.len(), quick);
    for row in rows {
        let (best, reason) = (row[row.len() - 2], row[row.len() - 1]);
        assert!(!best.is_empty() || !reason.is_empty(), "{} is best for nothing and has no reason to be kept", row[0]);
    }
}
