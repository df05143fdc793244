//! Workers that leave processes behind, and workers that end in order.

use crate::support::place::Place;
use std::process::Stdio;
use std::time::{Duration, Instant};

const HELLO: &str = r#"{"logitfuzz_worker":1,"kernels":[{"name":"w","functions":[{"op":"softmax","dtype":"f64"}]}]}"#;

/// A place with a worker in `sh` that does this for its first batch.
fn worker(body: &str) -> Place {
    let place = Place::new();
    place.write("worker.sh", format!("echo '{HELLO}'\nread -r line\n{body}\n"));
    place
}

const EVAL: [&str; 10] =
    ["eval", "--op", "softmax", "--dtype", "f64", "--kernel", "exec:sh worker.sh", "--timeout-ms", "10000", "--"];

/// The numbers of the processes that sleep for so long.
fn sleeping(seconds: u32) -> Vec<String> {
    let entries = std::fs::read_dir("/proc").expect("/proc").filter_map(Result::ok);
    let line = format!("sleep\0{seconds}\0");
    entries
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|id| std::fs::read(format!("/proc/{id}/cmdline")).is_ok_and(|found| found == line.as_bytes()))
        .collect()
}

fn assert_none_is_left(seconds: u32) {
    let deadline = Instant::now() + Duration::from_secs(5);
    while !sleeping(seconds).is_empty() {
        assert!(Instant::now() < deadline, "left: {:?}", sleeping(seconds));
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// In its group, in a session of its own, without the mark, holding the pipe: everything goes, and the death of the leader is
/// noticed at once, though the time limit is ten seconds.
#[test]
fn what_a_worker_starts_ends_with_it() {
    for (seconds, body) in [
        (86_301, "sleep 86301 </dev/null >/dev/null 2>&1 & exit 1"),
        (86_302, "setsid sleep 86302 </dev/null >/dev/null 2>&1 & exit 1"),
        (86_303, "(setsid sleep 86303 </dev/null >/dev/null 2>&1 &) & wait; exit 1"),
        (86_304, "env -u LOGITFUZZ_WORKER setsid sleep 86304 </dev/null >/dev/null 2>&1 & exit 1"),
        (86_305, "sleep 86305 & exit 1"),
        (86_306, "setsid sleep 86306 & exit 1"),
    ] {
        let place = worker(body);
        let began = Instant::now();
        let ran = place.run(&[&EVAL[..], &["1"]].concat());
        assert!(began.elapsed() < Duration::from_secs(8), "{body}: {:?}", began.elapsed());
        assert!(ran.code == Some(0) && ran.out.contains("w: crash: it ended with exit status 1"), "{body}: {ran:?}");
        assert_none_is_left(seconds);
    }
}

/// The harness is killed without a word: what its workers started goes all the same.
#[test]
fn nothing_is_left_when_the_harness_is_killed() {
    let place = worker("setsid sleep 86307 </dev/null >/dev/null 2>&1 &\nsleep 86307");
    let mut child = place.command(&[&EVAL[..], &["1"]].concat()).stdout(Stdio::null()).spawn().expect("the binary");
    let deadline = Instant::now() + Duration::from_secs(20);
    while sleeping(86_307).len() < 2 {
        assert!(Instant::now() < deadline, "the worker has not begun");
        std::thread::sleep(Duration::from_millis(10));
    }
    child.kill().expect("SIGKILL");
    child.wait().expect("its status");
    assert_none_is_left(86_307);
}

/// A worker that tidies up at the end of its input has the time for it.
#[test]
fn a_worker_that_ends_in_order_is_given_the_time() {
    let place = worker(
        "echo '{\"rows\":[{\"outputs\":[1]}]}'\nwhile read -r line; do echo '{\"rows\":[{\"outputs\":[1]}]}'; done\nsleep .3; echo done > tidy",
    );
    place.ok(&[&EVAL[..], &["1"]].concat());
    assert_eq!(place.read("tidy"), "done\n");
}

/// What was a child of this process before it was the command is none of its business.
#[test]
fn children_from_before_are_left_alone() {
    let place = worker("exit 1");
    let eval = EVAL.map(|word| format!("'{word}'")).join(" ");
    let ran = place.shell(&format!("sleep 86308 >/dev/null 2>&1 & exec logitfuzz {eval} 1"));
    assert!(ran.code == Some(0) && ran.out.contains("w: crash: "), "{ran:?}");
    let left = sleeping(86_308);
    assert_eq!(left.len(), 1);
    assert_eq!(place.shell(&format!("kill {}", left[0])).code, Some(0));
}
