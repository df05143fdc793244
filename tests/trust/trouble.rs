//! Trouble of the machine, and kernels that do not do it again.

use crate::support::place::Place;
use serde_json::Value;
use std::process::Command;

/// A right softmax in f32, and what it does besides, which `TAIL` says.
const KERNEL: &str = "
#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
static void *leak(void *x) {
    if (fork() == 0) { volatile char *p = malloc(600 << 20); for (size_t i = 0; i < 600 << 20; i += 4096) p[i] = 1; sleep(9); _exit(0); }
    wait(0);
    return 0;
}
void softmax_f32(const float *z, size_t n, float *o) {
    float m = -INFINITY, s = 0; static int calls;
    for (size_t i = 0; i < n; i++) { if (isnan(z[i])) { m = NAN; break; } m = fmaxf(m, z[i]); }
    for (size_t i = 0; i < n; i++) s += o[i] = expf(z[i] - m);
    for (size_t i = 0; i < n; i++) o[i] /= s;
    ++calls;
    TAIL
}
";

/// The folder with a library `mine.so` of that kernel.
pub fn kernel(tail: &str) -> Place {
    let place = Place::new();
    place.write("mine.c", KERNEL);
    let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".into());
    let made = Command::new(compiler)
        .args([
            "-O1",
            "-shared",
            "-fPIC",
            "-w",
            "-o",
            "mine.so",
            "mine.c",
            "-lm",
            "-pthread",
            &format!("-DTAIL={tail}"),
        ])
        .current_dir(place.path("."))
        .status()
        .expect("a C compiler");
    assert!(made.success());
    place
}

const WORK: &str = "--kernel c:mine.so --op softmax --dtype f32 --family ordinary --family wide --max-len 100";

/// Threads that find no descriptors for a worker of their own take turns with those that have one.
#[test]
fn few_descriptors_are_no_crash() {
    let place = kernel("");
    let accepted = place.shell(&format!("logitfuzz accept {WORK} --cases 30"));
    assert_eq!(accepted.code, Some(0), "{accepted:?}");
    for limit in [14, 15, 16, 18] {
        let ran = place.shell(&format!("ulimit -n {limit}; logitfuzz gate -j 8 {WORK}"));
        assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""), "{limit}: {ran:?}");
    }
}

/// The same where workers die and are started again all the time: crashes of the kernel are counted, and nothing else is.
#[test]
fn few_descriptors_and_a_kernel_that_crashes() {
    let place = kernel("if (n == 3) abort();");
    let run = format!("logitfuzz run {WORK} --family tiny_n --cases 100");
    assert_eq!(place.shell(&format!("{run} -j 1 --out all")).code, Some(0));
    let ran = place.shell(&format!("ulimit -n 16; {run} -j 8 --out few"));
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""), "{ran:?}");
    assert!(place.read("all/results.json") == place.read("few/results.json"));
    assert!(place.read("all/results.json").contains("\"crash\":"));
}

/// The file of the command goes away while it runs, and kernels go on dying: their workers are the program that runs.
#[test]
fn a_program_that_is_deleted_goes_on() {
    let place = kernel("if (n == 3) exit(0);");
    let run = format!("run {WORK} --cases 60 --family tiny_n");
    let (with, without) = (
        place.shell(&format!(
            "cp $(command -v logitfuzz) ./lf2; ./lf2 {run} --out a & while [ ! -e a ]; do sleep .01; done; rm lf2; wait $!"
        )),
        place.shell(&format!("logitfuzz {run} --out b")),
    );
    assert_eq!((with.code, without.code), (Some(0), Some(0)), "{with:?}");
    assert!(place.read("a/results.json") == place.read("b/results.json"));
    assert!(place.read("a/results.json").contains("\"crash\":"));
}

/// A worker whose program is gone, or is another one: one line, exit code 3, and what was measured is marked as incomplete. No case
/// has a verdict for it.
#[test]
fn a_worker_that_cannot_be_started_again_is_no_verdict() {
    const HELLO: &str =
        r#"{"logitfuzz_worker":1,"kernels":[{"name":"w","functions":[{"op":"logsumexp","dtype":"f64"}]}]}"#;
    for (after, words) in [
        ("rm -f worker", "there is no program `./worker`"),
        ("printf '#!/bin/sh\\nexit 9\\n' > new$$; chmod +x new$$; mv new$$ worker", "exit status 9"),
        ("sed 's/\"w\"/\"v\"/' kept > new$$; chmod +x new$$; mv new$$ worker", "another hello"),
    ] {
        let place = Place::new();
        place.write("worker", format!("#!/bin/sh\necho '{HELLO}'\nread -r line\n{after}\nexit 1\n"));
        assert_eq!(place.shell("chmod +x worker; cp worker kept").code, Some(0));
        let work = "--kernel exec:./worker --op logsumexp --dtype f64";
        let ran = place.shell(&format!("logitfuzz run {work} --cases 5"));
        ran.is_refused(words, 3, &[words, "could not be started again", "reports/latest, marked as incomplete"]);
        let results = place.json("reports/latest/results.json");
        assert_eq!(results["complete"], false);
        assert!(!place.read("reports/latest/results.json").contains("crash"));
        for command in ["gate", "accept", "eval"] {
            assert_eq!(place.shell("cp kept new; mv new worker").code, Some(0));
            let rest = if command == "eval" { "-- 1 2" } else { "--cases 5" };
            place.shell(&format!("logitfuzz {command} {work} {rest}")).is_refused(command, 3, &[words]);
        }
        assert!(!place.path("reports/baseline.json").exists());
    }
}

/// What was seen once is reported as it was seen, and that it did not come again.
#[test]
fn a_failure_that_does_not_come_again_keeps_its_verdict_and_value() {
    let place = kernel("if (n && calls == 7) o[0] = NAN;");
    place.ok(&[&["run", "-j", "1"][..], &WORK.split(' ').collect::<Vec<_>>(), &["--cases", "20"]].concat());
    let results = place.json("reports/latest/results.json");
    let told = |finding: &Value| {
        [&finding["verdict"], &finding["cause"], &finding["got"], &finding["index"]].map(ToString::to_string)
    };
    // It was called again at once, and what differs from call to call is that.
    assert_eq!(told(&results["findings"][0]), ["\"flaky\"", "\"flaky\"", "\"flaky\"", "null"]);
    assert!(place.read("reports/latest/summary.md").contains("need not come again"));
    // One that stays for some hundred calls is over when it is looked into.
    let place = kernel("if (n > 1 && calls < 300) o[0] = NAN;");
    place.ok(&[&["run", "-j", "1"][..], &WORK.split(' ').collect::<Vec<_>>(), &["--cases", "20"]].concat());
    let results = place.json("reports/latest/results.json");
    let findings = results["findings"].as_array().expect("findings");
    let seen: Vec<_> = findings.iter().map(told).collect();
    assert!(seen.iter().any(|seen| *seen == ["\"nan\"", "\"not_reproduced\"", "\"nan\"", "0"]), "{seen:?}");
    assert!(place.read("reports/latest/summary.md").contains("Not reproduced: "));
}

/// A kernel that dies on another form of the row, not on the row itself: the verdict is that, and the case is the one that did it.
#[test]
fn a_crash_at_another_length_is_a_crash() {
    let place = kernel("if (n > 100) abort();");
    let ran = place.run(&["replay", "--kernel", "c:mine.so", "softmax f32 [inf, 1]"]);
    assert!(ran.code == Some(1) && ran.out.starts_with("c:mine: crash on softmax f32 [1*130, inf, 1]\n"), "{ran:?}");
    assert!(ran.out.contains("The row passes, and another form of it, which this is, does not."), "{ran:?}");
}

/// A function that hangs wherever it is called costs a few cells, not all of them.
#[test]
fn a_function_that_always_hangs_is_given_up_on() {
    let place = kernel("if (n) sleep(60);");
    place.ok(&[
        "run",
        "--kernel",
        "c:mine.so",
        "--op",
        "softmax",
        "--dtype",
        "f32",
        "--cases",
        "20",
        "--timeout-ms",
        "20",
    ]);
    let results = place.json("reports/latest/results.json");
    let hangs = results["cells"].as_array().expect("cells").iter().map(|cell| cell["verdicts"]["hang"].as_u64());
    assert_eq!(hangs.flatten().sum::<u64>(), 24);
}

/// The memory of what a kernel's threads start counts, too.
#[test]
fn memory_of_the_children_of_threads_is_counted() {
    let place = kernel("if (n == 3) { pthread_t t; pthread_create(&t, 0, leak, 0); pthread_join(t, 0); }");
    let ran = place.run(&[
        "eval",
        "--op",
        "softmax",
        "--kernel",
        "c:mine.so",
        "--memory-limit",
        "256",
        "--timeout-ms",
        "20000",
        "--",
        "1",
        "2",
        "3",
    ]);
    assert!(ran.out.contains("c:mine: crash: it used more than 256 MiB of memory"), "{ran:?}");
}

/// More threads than anybody has is as many as there is work for.
#[test]
fn absurd_numbers_of_threads_are_cut() {
    let place = Place::new();
    for jobs in ["1000000", "18446744073709551615"] {
        place.ok(&["run", "-j", jobs, "--kernel", "shifted", "--op", "softmax", "--dtype", "f32", "--cases", "2"]);
    }
}

/// Somebody kills workers while a campaign runs: no case has a verdict for it, and every case is judged.
#[test]
fn a_worker_that_is_killed_from_outside_is_no_crash() {
    let place = kernel("if (n == 2) usleep(2000);");
    let ran = place.shell(&format!(
        "logitfuzz run {WORK} --family tiny_n --cases 300 --out killed & p=$!; \
         for i in 1 2 3 4 5; do sleep .1; pkill -KILL -f \"serve-library $PWD/mine.so\"; done; wait $p"
    ));
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(place.shell(&format!("logitfuzz run {WORK} --family tiny_n --cases 300 --out left")).code, Some(0));
    assert!(place.read("killed/results.json") == place.read("left/results.json"));
}

/// The harness is stopped for longer than the time limit, as by Ctrl-Z: the kernel is not late.
#[test]
fn time_in_which_the_harness_is_stopped_is_not_the_kernels() {
    let place = kernel("if (n) usleep(400000);");
    let ran = place.shell(
        "logitfuzz eval --op softmax --kernel c:mine.so --timeout-ms 1000 -- 1 2 > out & p=$!; \
         sleep .2; kill -STOP $p; sleep 3; kill -CONT $p; wait $p",
    );
    assert!(ran.code == Some(0) && place.read("out").contains("pass (t"), "{ran:?} {}", place.read("out"));
}

/// A frame is believed as far as its batch explains it, and no further.
#[test]
fn a_frame_without_end_costs_no_memory() {
    let place = Place::new();
    place.write(
        "flood.py",
        "import os, struct\nos.write(1, b'{\"logitfuzz_worker\":1,\"frames\":\"binary\",\"kernels\":[{\"name\":\"w\",\"functions\":[{\"op\":\"softmax\",\"dtype\":\"f64\"}]}]}\\n')\nos.read(0, 1)\nos.write(1, struct.pack('<Q', 1 << 31))\nwhile True: os.write(1, b'x' * (1 << 20))\n",
    );
    let ran =
        place.shell("ulimit -v 1000000; logitfuzz eval --op softmax --dtype f64 --kernel 'exec:python3 flood.py' -- 1");
    assert!(
        ran.code == Some(0) && ran.out.contains("w: crash: it wrote a frame of 2147483648 bytes, more than"),
        "{ran:?}"
    );
}

/// A trap of floating-point arithmetic is called that.
#[test]
fn an_arithmetic_trap_is_named() {
    let place = kernel("if (n == 3) raise(SIGFPE);");
    let ran = place.run(&["replay", "--kernel", "c:mine.so", "softmax f32 [1, 2, 3]"]);
    assert!(ran.code == Some(1) && ran.out.contains("it was ended by SIGFPE (an arithmetic trap)"), "{ran:?}");
}

/// A process that a kernel forks is no second worker.
#[test]
fn a_kernel_that_forks_answers_once() {
    let place = kernel("if (n == 3) fork();");
    place.ok(&[
        "run",
        "--kernel",
        "c:mine.so",
        "--op",
        "softmax",
        "--dtype",
        "f32",
        "--family",
        "tiny_n",
        "--cases",
        "300",
    ]);
    let results = place.json("reports/latest/results.json");
    assert_eq!(results["findings"].as_array().map(Vec::len), Some(0), "{}", results["findings"]);
}
