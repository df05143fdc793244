//! `kill -9` at any moment leaves the old baseline and the old report, or the new ones, each file whole.

use crate::support::place::Place;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How often the program is killed.
const KILLS: u32 = 20;

/// The files of a report that do not depend on time.
const STEADY: [&str; 4] = ["results.json", "junit.xml", "logitfuzz.sarif", "gate.json"];

fn work<'a>(command: &'a str, kernel: &'a str, cases: &'a str) -> Vec<&'a str> {
    [command, "--kernel", kernel, "--dtype", "f32", "--op", "softmax", "--max-len", "100", "--cases", cases].into()
}

/// Numbers below 1000 that look random and are the same every time.
fn thousandths() -> impl Iterator<Item = u32> {
    std::iter::successors(Some(20_260_131u32), |x| Some(x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223)))
        .map(|x| x / (u32::MAX / 1000 + 1))
}

#[test]
fn killed_at_twenty_moments() {
    let place = Place::new();
    // The old state: a baseline of the textbook, and the report of a green gate. The new one is of a worse kernel.
    place.ok(&work("accept", "mine=shifted", "30"));
    place.ok(&work("gate", "mine=shifted", "30"));
    let old = |name: &str| std::fs::read(place.path(name)).unwrap_or_default();
    let old_baseline = old("reports/baseline.json");
    let old_report = STEADY.map(|name| old(&format!("reports/latest/{name}")));
    let began = Instant::now();
    assert_eq!(place.run(&work("gate", "mine=naive", "30")).code, Some(1));
    let takes = began.elapsed();
    let new_report = STEADY.map(|name| old(&format!("reports/latest/{name}")));
    let new_baseline = old("reports/latest/baseline.new.json");
    assert!(old_baseline != new_baseline && old_report.iter().zip(&new_report).all(|(old, new)| old != new));

    let (mut killed, mut old_stayed) = (0, 0);
    for (round, thousandth) in (0..KILLS).zip(thousandths()) {
        let command = if round % 2 == 0 { "gate" } else { "accept" };
        let mut child = place.command(&work(command, "mine=naive", "30")).spawn().expect("the binary runs");
        sleep(takes * thousandth / 1000 + Duration::from_millis(1));
        child.kill().expect("it can be killed");
        let status = child.wait().expect("it ends");
        killed += u32::from(status.code().is_none());

        let baseline = old("reports/baseline.json");
        assert!(
            baseline == old_baseline || (command == "accept" && baseline == new_baseline),
            "{command} {thousandth}"
        );
        old_stayed += u32::from(baseline == old_baseline);
        for (name, (old_one, new_one)) in STEADY.iter().zip(old_report.iter().zip(&new_report)) {
            let now = old(&format!("reports/latest/{name}"));
            // A report without a gate has another JUnit and SARIF, and no gate.json: accept writes such a one.
            let is_whole = &now == old_one || &now == new_one || (command == "accept" && is_whole(name, &now));
            assert!(is_whole, "{command} {thousandth}: {name}: {}", String::from_utf8_lossy(&now));
        }
        // Whatever is there can be used: the next gate reads the baseline and replaces the report.
        std::fs::write(place.path("reports/baseline.json"), &old_baseline).expect("written");
        place.ok(&work("gate", "mine=shifted", "30"));
    }
    assert!(killed >= KILLS / 2, "only {killed} of {KILLS} were killed in time");
    assert!(old_stayed > 0);
}

fn is_whole(name: &str, bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    match name {
        "junit.xml" => text.trim_end().ends_with("</testsuites>"),
        "gate.json" => bytes.is_empty() || serde_json::from_slice::<serde_json::Value>(bytes).is_ok(),
        _ => serde_json::from_slice::<serde_json::Value>(bytes).is_ok(),
    }
}
