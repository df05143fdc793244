//! A kernel in C under the gate: what cannot be loaded is no green, and neither is what was given up on.

use crate::support::place::Place;
use std::process::Command;

const WORK: [&str; 10] =
    ["--kernel", "mine=c:mine.so", "--op", "softmax", "--dtype", "f32", "--family", "ordinary", "--family", "ties"];

/// The textbook, but that a row of more classes than `CLASSES` ends the process.
const SOURCE: &str = "
#include <math.h>
#include <stddef.h>
#include <stdlib.h>
void softmax_f32(const float *z, size_t n, float *out) {
    if (n > CLASSES) abort();
    float max = -INFINITY, sum = 0;
    for (size_t i = 0; i < n; i++) max = isnan(z[i]) || z[i] > max ? z[i] : max;
    for (size_t i = 0; i < n; i++) sum += out[i] = expf(z[i] - max);
    for (size_t i = 0; i < n; i++) out[i] /= sum;
}
";

/// Builds the library that the gate loads, in the place of the one that was there.
fn build(place: &Place, classes: &str) {
    place.write("mine.c", SOURCE);
    let ran = Command::new("cc")
        .args(["-O1", "-shared", "-fPIC", "-o", "new.so", "mine.c", "-lm", &format!("-DCLASSES={classes}")])
        .current_dir(place.path("."))
        .status()
        .expect("cc runs: it builds GMP, too");
    assert!(ran.success());
    std::fs::rename(place.path("new.so"), place.path("mine.so")).expect("renamed");
}

#[test]
fn a_kernel_that_is_given_up_on_is_red_and_one_that_cannot_be_loaded_is_3() {
    let place = Place::new();
    build(&place, "1000000");
    place.ok(&[&["accept", "--cases", "40", "--max-len", "100"], &WORK[..]].concat());
    place.ok(&[&["gate"], &WORK[..]].concat());

    build(&place, "2");
    let ran = place.run(&[&["gate"], &WORK[..]].concat());
    assert_eq!(ran.code, Some(1), "{ran:?}");
    for cell in ["ordinary", "ties"] {
        let told =
            ran.out.split(&format!("\nmine softmax f32 {cell}\n")).nth(1).unwrap_or_else(|| panic!("{}", ran.out));
        assert!(told.contains("  not_run: ") && told.contains(" crash, none recorded"), "{told}");
    }
    assert!(ran.out.contains("\n0 pass, "), "{}", ran.out);

    // Nothing is measured and nothing written where it cannot be loaded, whatever else is selected.
    let before = (place.read("reports/baseline.json"), place.contents("reports/latest"));
    place.write("mine.so", "no library");
    for command in ["gate", "accept"] {
        place.refused(&[&[command, "--kernel", "shifted"], &WORK[..]].concat(), 3, &["mine"]);
        place.refused(&[command, "--kernel", "mine=c:none.so"], 3, &["none.so"]);
        place.refused(&[command, "--kernel", "exec:false"], 3, &["false"]);
    }
    assert!(before == (place.read("reports/baseline.json"), place.contents("reports/latest")));
}
