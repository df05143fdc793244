//! Ctrl-C: a partial report that says so; pressed twice, an end at once.

use crate::support::place::Place;
use std::fs::File;
use std::process::{Child, Command};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Far longer than any test may take.
const LONG: [&str; 13] = [
    "run",
    "--kernel",
    "naive",
    "--kernel",
    "unfused",
    "--kernel",
    "shifted",
    "--cases",
    "100000000",
    "--max-len",
    "256",
    "--out",
    "report",
];

/// How long the program may take to begin, and to end after Ctrl-C: a loaded machine, an unoptimised build.
const PATIENCE: Duration = Duration::from_secs(60);

fn interrupt(child: &Child) {
    let sent = Command::new("kill").args(["-INT", &child.id().to_string()]).status().expect("kill runs");
    assert!(sent.success());
}

/// Waits for the end; the exit code, none if a signal ended it.
fn end(child: &mut Child) -> Option<i32> {
    let began = Instant::now();
    loop {
        if let Some(status) = child.try_wait().expect("a child") {
            return status.code();
        }
        if began.elapsed() > PATIENCE {
            let _ = child.kill();
            panic!("still running {PATIENCE:?} after Ctrl-C");
        }
        sleep(Duration::from_millis(20));
    }
}

/// Whether the program has a handler for Ctrl-C by now; none where the system does not tell.
fn catches_interrupts(child: &Child) -> Option<bool> {
    /// The bit of SIGINT, signal 2, in a mask that begins with signal 1.
    const INTERRUPT: u64 = 1 << 1;
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).ok()?;
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"))?;
    Some(u64::from_str_radix(caught.trim(), 16).ok()? & INTERRUPT != 0)
}

fn begin(place: &Place, flags: &[&str]) -> Child {
    let args: Vec<&str> = LONG.iter().chain(flags).copied().collect();
    let file = |name: &str| File::create(place.path(name)).expect("a file");
    let child = place.command(&args).stdout(file("out")).stderr(file("err")).spawn().expect("the binary runs");
    let began = Instant::now();
    while !catches_interrupts(&child).unwrap_or(true) {
        assert!(began.elapsed() < PATIENCE, "it does not begin");
        sleep(Duration::from_millis(10));
    }
    // The work begins right then; let some of it be done.
    sleep(Duration::from_secs(2));
    child
}

#[test]
fn once_a_partial_report() {
    let place = Place::new();
    let mut child = begin(&place, &[]);
    interrupt(&child);
    assert_eq!(end(&mut child), Some(0));
    assert_eq!(place.read("err"), "");
    assert!(place.read("out").contains("interrupted: these results are partial"));
    let results = place.json("report/results.json");
    assert_eq!(results["complete"], false);
    let sum = |name: &str| -> u64 {
        let cells = results["cells"].as_array().expect("cells");
        cells.iter().map(|cell| cell[name].as_u64().expect(name)).sum()
    };
    assert!(sum("cases") > 0 && sum("not_run") > 0);
    assert!(place.read("report/summary.md").contains("Interrupted: partial results"));
    assert!(place.read("report/index.html").contains("Interrupted: partial results"));
    // Whatever is made from it says so too.
    assert!(place.ok(&["report", "report"]).contains("Interrupted: partial results"));
}

#[test]
fn twice_an_end_at_once_and_the_older_report_stays() {
    let place = Place::new();
    place.ok(&["run", "--kernel", "naive", "--op", "softmax", "--cases", "1", "--max-len", "8", "--out", "report"]);
    let before = place.contents("report");
    // The findings of all kernels keep the program busy between the two.
    let mut child = begin(&place, &["--kernel", "*"]);
    interrupt(&child);
    sleep(Duration::from_millis(100));
    interrupt(&child);
    assert_eq!(end(&mut child), Some(130));
    assert!(place.contents("report") == before, "the older report was changed");
}
