//! The gate of this project: every built-in kernel that is no planted defect, against reports/baseline.json.

use crate::support::place::Place;
use logitfuzz::baseline::{Baseline, CellName};
use logitfuzz::generate::Family;
use logitfuzz::kernel::{Kernel as _, builtin};
use logitfuzz::{Dtype, Op};
use std::path::Path;
use std::time::{Duration, Instant};

/// The longest that the gate may take.
const LONGEST: Duration = Duration::from_secs(120);

fn file() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("reports/baseline.json")
}

#[test]
fn the_built_in_kernels_are_no_worse_than_their_baseline() {
    let place = Place::new();
    let began = Instant::now();
    let ran = place.run(&["gate", "--baseline", &file().display().to_string()]);
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""), "{}", ran.out);
    assert!(began.elapsed() < LONGEST, "it took {:?}", began.elapsed());
    // Nothing is left out: neither cells without an entry, nor entries that were not looked at.
    let counts = &place.json("reports/latest/gate.json")["counts"];
    assert_eq!((&counts["not_in_baseline"], &counts["not_selected"]), (&0.into(), &0.into()));
}

#[test]
fn the_baseline_has_every_cell_of_every_ordinary_kernel() {
    let baseline = Baseline::read(&file()).expect("the baseline of this project");
    let mut cells = 0;
    for kernel in builtin::all().iter().filter(|kernel| kernel.defect().is_none()) {
        for &op in Op::ALL {
            for dtype in Dtype::ALL.into_iter().filter(|&dtype| kernel.supports(op, dtype)) {
                for family in Family::all().iter().filter(|family| !family.is_slow()) {
                    let name = CellName {
                        kernel: kernel.name().into(),
                        op: op.name().into(),
                        dtype: dtype.name().into(),
                        family: family.name().into(),
                    };
                    let entry =
                        baseline.entries.get(&name).unwrap_or_else(|| panic!("no entry of {name}; run make accept"));
                    assert!(!kernel.is_trusted() || entry.failures() == 0, "{name}: {}", entry.in_words());
                    cells += 1;
                }
            }
        }
    }
    assert_eq!(cells, baseline.entries.len());
    // It is written as it would be today.
    assert_eq!(baseline.text().expect("a text"), std::fs::read_to_string(file()).expect("it is there"));
}
