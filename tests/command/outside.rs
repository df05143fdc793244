//! What comes from outside: names, texts, paths, results and files of every kind. None of it is believed, and none of it reaches a
//! terminal or a log as it is.

use crate::support::place::{Place, Ran};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::symlink;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

const USAGE: i32 = 2;
const HARNESS: i32 = 3;

/// A worker that calls its kernel NAME, of version VERSION, and answers every row with the error ERR.
const WORKER: &str = r#"
import json, os, sys
say = lambda message: print(json.dumps(message), flush=True)
say({"logitfuzz_worker": 1, "kernels": [{"name": os.environ.get("NAME", "mine"), "version": os.environ.get("VERSION", "1"),
     "functions": [{"op": "logsumexp", "dtype": "f64"}]}]})
for line in sys.stdin:
    say({"rows": [{"error": os.environ.get("ERR", "no")} for _ in json.loads(line)["rows"]]})
"#;

const FOREIGN: [&str; 6] = ["--kernel", "exec:python3 worker.py", "--op", "logsumexp", "--dtype", "f64"];

/// A selection that takes no time.
const QUICK: [&str; 10] =
    ["--op", "softmax", "--dtype", "f32", "--family", "offset", "--cases", "3", "--max-len", "16"];

/// How long a loaded machine may take to begin or to end.
const PATIENCE: Duration = Duration::from_secs(60);

fn with_worker(command: &str, more: &[&str], environment: &[(&str, &str)]) -> (Place, Ran) {
    let place = Place::new();
    place.write("worker.py", WORKER);
    let mut ran = place.command(&[&[command], &FOREIGN[..], more].concat());
    let ran = ran.envs(environment.iter().copied()).output().expect("the binary runs").into();
    (place, ran)
}

/// A place with the report of `naive` in `report`.
fn with_report() -> Place {
    let place = Place::new();
    place.ok(&[&["run", "--kernel", "naive", "--out", "report"], &QUICK[..]].concat());
    place
}

/// No line begins as a command to the log of a CI job, and nothing in it moves the cursor or turns the direction.
fn assert_harmless(text: &str) {
    for line in text.lines() {
        assert!(!line.trim_start().starts_with("::") && !line.contains("##["), "{line:?}");
        assert!(!line.contains(|c: char| c.is_control() || "\u{202e}\u{fffe}\u{200b}".contains(c)), "{line:?}");
    }
}

#[test]
fn names_that_cannot_be_used() {
    let long = "A".repeat(70_000);
    for (name, part) in [
        ("defect/mine", "planted"),
        (&*long, "at most 200 characters, and this one has 70000"),
        ("::stop-commands::x", "without ::"),
        ("a\u{202e}b", "U+202E"),
        ("\u{200b}", "U+200B"),
        (" a", "white space"),
    ] {
        let (place, ran) = with_worker("run", &[], &[("NAME", name)]);
        ran.is_refused(name, HARNESS, &[part, "choose another"]);
        assert!(!place.path("reports").exists(), "something was written");
        assert!(ran.err.len() < 1000, "{}", ran.err.len());
    }
    let place = Place::new();
    for name in ["defect/mine", "::x", "a\u{202e}b", "a ", "##[group]"] {
        place.refused(&["run", "--kernel", &format!("{name}=naive")], USAGE, &["NAME=naive", "choose another"]);
    }
    place.write("a\tb.so", "");
    place.refused(&["run", "--kernel", "c:a\tb.so"], USAGE, &["U+0009", "choose another with NAME=c:a"]);
}

#[test]
fn a_worker_of_a_hundred_thousand_kernels() {
    let place = Place::new();
    place.write(
        "many.py",
        r#"
import json
print(json.dumps({"logitfuzz_worker": 1, "kernels": [
    {"name": f"k{i}", "functions": [{"op": "softmax", "dtype": "f32"}]} for i in range(100_000)]}), flush=True)
input()
"#,
    );
    let began = Instant::now();
    let ran = place.run(&["list", "kernels", "--kernel", "exec:python3 many.py"]);
    ran.is_refused("many", HARNESS, &[]);
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
}

#[test]
fn texts_of_a_worker() {
    let text = "a\n::error::pwned\u{1b}[31m\u{202e}##[error]";
    let shown = r"a\u{a}::error::pwned\u{1b}[31m\u{202e}##\u{5b}error]";
    let (_, ran) = with_worker("eval", &["--", "1"], &[("ERR", text)]);
    assert!(ran.out.contains(&format!("\nmine: panic: {shown}\n")), "{ran:?}");
    assert_harmless(&ran.out);
    let (_, ran) = with_worker("list", &[], &[]);
    assert_eq!(ran.code, Some(USAGE), "list takes no --op");
    let place = Place::new();
    place.write("worker.py", WORKER);
    let mut list = place.command(&["list", "kernels", "--kernel", "exec:python3 worker.py"]);
    let ran: Ran = list.env("VERSION", text).output().expect("the binary runs").into();
    assert!(ran.out.starts_with(&format!("mine  {shown}: logsumexp f64")), "{ran:?}");

    // Each report has a line of it, however long it was, and all of them stay harmless.
    let long = text.repeat(2_000);
    let more = ["--family", "ordinary", "--cases", "2", "--max-len", "9", "--format", "github"];
    let (place, ran) = with_worker("gate", &more, &[("ERR", &long), ("GITHUB_STEP_SUMMARY", "step.md")]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let commands = ran.out.lines().filter(|line| line.starts_with("::")).collect::<Vec<_>>();
    assert!(
        commands.len() == 1 && commands[0].starts_with("::error file=reports/baseline.json,line=1"),
        "{commands:?}"
    );
    assert_harmless(&ran.out.replace(commands[0], ""));
    for name in ["results.json", "summary.md", "junit.xml", "logitfuzz.sarif", "gate.json"] {
        let file = place.read(&format!("reports/latest/{name}"));
        assert!(file.len() < 20_000, "{name} has {} bytes", file.len());
        assert_harmless(&file);
    }
    assert!(place.read("reports/latest/results.json").contains("… ("), "it says how long it was");
}

/// `eval` called all of them a panic.
#[test]
fn eval_names_each_fault() {
    let place = Place::new();
    let hello = r#"{"logitfuzz_worker":1,"kernels":[{"name":"w","functions":[{"op":"logsumexp","dtype":"f64"}]}]}"#;
    for (verdict, body) in [
        ("crash", "exit 1"),
        ("hang", "sleep 60"),
        ("unwritten", r#"echo '{"rows":[{"error":"no","code":2}]}'"#),
        ("out_of_bounds", r#"echo '{"rows":[{"error":"no","code":3}]}'"#),
        ("panic", r#"echo '{"rows":[{"error":"no"}]}'"#),
    ] {
        place.write("w.sh", format!("echo '{hello}'\nwhile read -r line; do {body}; done\n"));
        let flags = ["eval", "--op", "logsumexp", "--dtype", "f64", "--kernel", "exec:sh w.sh", "--timeout-ms", "300"];
        let text = place.ok(&[&flags[..], &["--", "1"]].concat());
        assert!(text.contains(&format!("\nw: {verdict}: ")), "{verdict}: {text}");
    }
}

#[test]
fn paths_that_are_no_text() {
    let place = Place::new();
    let folder = OsStr::from_bytes(b"o\xff\n::error::x");
    let ran: Ran = place
        .command(&["run", "--kernel", "naive"])
        .args(QUICK)
        .arg("--out")
        .arg(folder)
        .output()
        .expect("it runs")
        .into();
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""), "{ran:?}");
    assert_harmless(&ran.out);
    assert!(place.path(".").join(folder).join("run.json").exists());
    // The command that is printed is one that a shell reads back.
    place.ok(&[&["accept", "--kernel", "mine=shifted", "--baseline", "my base.json"], &QUICK[..]].concat());
    for out in ["it's mine", "line\nbreak"] {
        let flags = ["gate", "--kernel", "mine=naive", "--baseline", "my base.json", "--out", out];
        let ran = place.run(&[&flags[..], &QUICK[..]].concat());
        assert_eq!(ran.code, Some(1), "{ran:?}");
        let accept = ran.out.lines().find_map(|line| line.strip_prefix("to accept: ")).expect("the command");
        let before = place.read("my base.json");
        let accepted: Ran = Command::new("bash")
            .args(["-c", accept])
            .current_dir(place.path("."))
            .env(
                "PATH",
                place
                    .command(&[])
                    .get_envs()
                    .find_map(|(key, value)| (key == "PATH").then_some(value)?)
                    .expect("a PATH"),
            )
            .output()
            .expect("bash runs")
            .into();
        assert_eq!((accepted.code, accepted.err.as_str()), (Some(0), ""), "{accept}");
        assert_ne!(place.read("my base.json"), before);
        place.ok(&[&["accept", "--kernel", "mine=shifted", "--baseline", "my base.json"], &QUICK[..]].concat());
    }
}

#[test]
fn results_that_were_edited() {
    let place = with_report();
    let good = place.read("report/results.json");
    for (from, to, part) in [
        ("\"cases\":3,\"not_run\"", "\"cases\":18446744073709551615,\"not_run\"", ""),
        ("\"kernel\":\"naive\"", "\"kernel\":\"::error::x\"", "without ::"),
        ("\"family\":\"offset\"", "\"family\":\"a\\u0007\"", "U+0007"),
        ("\"verdicts\":{", "\"verdicts\":{\"inf\":18446744073709551615,\"crash\":9,", "do not add up"),
        ("\"ulp_histogram\":[]", &format!("\"ulp_histogram\":[0{}]", ",1".repeat(64)), "65 bins"),
    ] {
        assert!(good.contains(from), "{from} in {good}");
        place.write("edited.json", good.replacen(from, to, 1));
        for command in [&["report", "edited.json"][..], &["replay", "edited.json"], &["gate", "--from", "edited.json"]]
        {
            if part.is_empty() {
                let ran = place.run(command);
                assert!(matches!(ran.code, Some(0 | 1)) && ran.err.is_empty(), "{ran:?}");
            } else {
                place.refused(command, USAGE, &["edited.json", part, "was the file edited?"]);
            }
        }
    }
    // What is only shown is made harmless; a command that hides something is not shown.
    let hostile = r"\u001b[31m\n::error::x\ufffe##[group]";
    let edited = good
        .replace("\"explanation\":\"", &format!("\"explanation\":\"{hostile}"))
        .replace("\"replay\":\"", &format!("\"replay\":\"{hostile}"))
        .replace("\"mpfr\":\"", &format!("\"mpfr\":\"{hostile}"));
    place.write("edited.json", edited);
    for format in ["markdown", "html", "junit", "sarif"] {
        let text = place.ok(&["report", "edited.json", "--format", format]);
        assert!(!text.contains(|c: char| (c.is_control() && c != '\n') || c == '\u{fffe}'), "{format}: {text}");
        assert!(!text.contains("\n::") && !text.contains("##["), "{format}: {text}");
    }
    let ran = place.run(&["gate", "--from", "edited.json", "--format", "github"]);
    assert!(
        ran.out.lines().all(|line| !line.trim_start().starts_with("::") || line.starts_with("::error file=")),
        "{ran:?}"
    );
    quick_junit::Report::deserialize_from_str(&place.read("reports/latest/junit.xml")).expect("JUnit");
}

/// Of zero shares: a division by zero. Of 2^64: counted through.
#[test]
fn shards_that_were_edited() {
    let place = Place::new();
    let args = |shard: &'static str, out: &'static str| {
        [&["run", "--kernel", "naive", "--shard", shard, "--out", out, "--family", "ties"], &QUICK[..]].concat()
    };
    place.ok(&args("1/2", "s1"));
    place.ok(&args("2/2", "s2"));
    let good = place.read("s1/results.json");
    for (number, of) in [("1", "0"), ("3", "2"), ("0", "2"), ("1", "18446744073709551615")] {
        let edited = good.replace("\"number\":1,\"of\":2", &format!("\"number\":{number},\"of\":{of}"));
        assert_ne!(edited, good);
        place.write("edited.json", edited);
        place.refused(&["merge", "edited.json", "s2"], USAGE, &["edited.json", "is no shard"]);
    }
    place.ok(&["merge", "s1", "s2", "--out", "merged"]);
}

/// A long run into `both`. It ends with the value, also where a test fails.
struct Run(Child);

impl Run {
    /// Begins it, and waits until it has the lock.
    fn begin(place: &Place) -> Self {
        let long = ["run", "--kernel", "naive", "--cases", "100000000", "--max-len", "64", "--out", "both"];
        let run = Self(place.command(&long).spawn().expect("the binary runs"));
        wait_for("it takes no lock", || place.path("both/.logitfuzz.lock").exists());
        // The lock is taken before Ctrl-C is caught.
        std::thread::sleep(Duration::from_millis(500));
        run
    }

    fn interrupt(&self) {
        let sent = Command::new("kill").args(["-INT", &self.0.id().to_string()]).status().expect("kill runs");
        assert!(sent.success());
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn wait_for(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < PATIENCE, "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn two_runs_into_one_folder() {
    let place = Place::new();
    let mut first = Run::begin(&place);
    let second = [&["run", "--kernel", "shifted", "--out", "both"], &QUICK[..]].concat();
    let refused = place.run(&second);
    first.interrupt();
    let ended = first.0.wait().expect("it ends");
    refused.is_refused("the second", HARNESS, &["both", "another logitfuzz is writing there", "--out"]);
    assert!(ended.success());
    let names = || place.contents("both").into_iter().map(|(name, _)| name).collect::<Vec<_>>();
    assert_eq!(names().len(), 6, "{:?}", names());
    // A lock that nobody holds is none.
    place.write("both/.logitfuzz.lock", "");
    place.ok(&second);
    assert_eq!(names().len(), 6, "{:?}", names());
    assert!(place.read("both/results.json").contains("\"kernel\":\"shifted\""));
}

#[test]
fn ctrl_c_twice_leaves_nothing_behind() {
    let place = Place::new();
    let mut run = Run::begin(&place);
    // Two at once may be taken for one, so it is pressed until it ends.
    wait_for("it does not end", || {
        run.interrupt();
        run.0.try_wait().expect("a child").is_some()
    });
    let left: Vec<_> = place.contents("both").into_iter().filter(|(name, _)| name.starts_with(".logitfuzz")).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn links_and_what_is_no_file() {
    let place = Place::new();
    let accept =
        |kernel: &'static str, more: &[&'static str]| [&["accept", "--kernel", kernel], &QUICK[..], more].concat();
    place.ok(&accept("mine=shifted", &["--baseline", "real.json"]));
    symlink("real.json", place.path("link.json")).expect("a link");
    let before = place.read("real.json");
    place.ok(&accept("mine=naive", &["--baseline", "link.json"]));
    assert!(place.path("link.json").is_symlink());
    assert_ne!(place.read("real.json"), before);
    // A report, too, also where the file is not there yet.
    std::fs::create_dir_all(place.path("report")).expect("a folder");
    symlink("../page.html", place.path("report/index.html")).expect("a link");
    place.ok(&[&["run", "--kernel", "naive", "--out", "report"], &QUICK[..]].concat());
    assert!(place.path("report/index.html").is_symlink() && place.read("page.html").starts_with("<!doctype html>"));
    assert!(Command::new("mkfifo").arg(place.path("report/fifo")).status().expect("mkfifo runs").success());
    for wrong in ["/dev/null", "fifo"] {
        std::fs::remove_file(place.path("report/summary.md")).expect("it is there");
        symlink(wrong, place.path("report/summary.md")).expect("a link");
        let args = [&["run", "--kernel", "naive", "--out", "report"], &QUICK[..]].concat();
        place.refused(&args, HARNESS, &["summary.md: it is no regular file", "--out"]);
    }
}

#[test]
fn byte_order_marks() {
    let place = with_report();
    place.ok(&[&["accept", "--kernel", "mine=shifted", "--baseline", "b.json"], &QUICK[..]].concat());
    for name in ["b.json", "report/results.json"] {
        place.write(name, format!("\u{feff}{}", place.read(name)));
    }
    place
        .ok(&[&["gate", "--kernel", "mine=shifted", "--baseline", "b.json"], &QUICK[..4], &["--family", "offset"]]
            .concat());
    place.ok(&["report", "report"]);
    place.write("case.txt", "\u{feff}softmax f32 [1, 2]\n");
    place.ok(&["replay", "--kernel", "shifted", "case.txt"]);
    place.write("rows.csv", "\u{feff}1,2\n");
    place.ok(&[
        "run", "--kernel", "shifted", "--op", "softmax", "--dtype", "f32", "--logits", "rows.csv", "--out", "rows",
    ]);
}

#[test]
fn files_and_rows_without_an_end() {
    let place = Place::new();
    symlink("/dev/zero", place.path("zero.csv")).expect("a link");
    symlink("/dev/zero", place.path("zero.npy")).expect("a link");
    // A little more than what is read of a stream.
    const LIMIT: &str = "ulimit -v 2000000; ";
    for command in [
        "gate --kernel shifted --baseline /dev/zero",
        "accept --kernel shifted --baseline /dev/zero",
        "replay /dev/zero",
        "report /dev/zero",
        "run --logits zero.csv",
        "run --logits zero.npy",
        "zoo --check --out /dev/zero",
    ] {
        let ran = place.shell(&format!("{LIMIT}logitfuzz {command}"));
        ran.is_refused(command, USAGE, &["it has more than ", " MiB, the most that is read of "]);
    }
    let runs = ["0*67108864"; 20].join(",");
    for command in [
        format!("replay --kernel shifted 'softmax f32 [{runs}]'"),
        format!("replay --kernel shifted 'softmax_vjp f32 [0] cotangent=[{runs}]'"),
        format!("eval --op softmax -- {runs}"),
    ] {
        place.shell(&format!("{LIMIT}logitfuzz {command}")).is_refused("runs", USAGE, &["more than 2^26 values"]);
    }
    // What comes through a pipe is read as any file.
    let piped =
        place.shell("mkfifo pipe && { printf 'softmax f32 [1, 2]' > pipe & logitfuzz replay --kernel shifted pipe; }");
    assert_eq!(piped.code, Some(0), "{piped:?}");
}
