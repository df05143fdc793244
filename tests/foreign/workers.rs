//! Workers that do not keep to the protocol, and the one in its documentation, which does.

use crate::support::foreign::{case, quick, run};
use logitfuzz::foreign::{Foreign, Limits};
use logitfuzz::kernel::{Claims, Fault, Kernel, Outcome, accepts};
use logitfuzz::{Dtype, Op};

const HELLO: &str = r#"{"logitfuzz_worker":1,"kernels":[{"name":"w","functions":[{"op":"logsumexp","dtype":"f64"}]}]}"#;

/// A worker in `sh`: it says the hello, then runs the body for each batch, which is in $line.
fn worker(body: &str) -> Foreign {
    let script = format!("echo '{HELLO}'; while read -r line; do {body}; done");
    start(&script).unwrap_or_else(|error| panic!("{error}")).remove(0)
}

fn start(script: &str) -> logitfuzz::Result<Vec<Foreign>> {
    Foreign::start("exec:worker", ["sh", "-c", script].map(Into::into).to_vec(), quick())
}

#[test]
fn answers_in_json() {
    let kernel = worker(
        r#"echo '{"rows":[{"outputs":["0x1.8p+0"]},{"outputs":[1.5]},{"outputs":["-inf"]},{"error":"no"},{"error":"!","code":4}]}'"#,
    );
    let cases = vec![case("logsumexp f64 [1, 2]"); 5];
    assert_eq!(
        run(&kernel, &cases),
        [
            Outcome::Outputs(vec![1.5]),
            Outcome::Outputs(vec![1.5]),
            Outcome::Outputs(vec![f64::NEG_INFINITY]),
            Outcome::Failed(Fault::Panic, "no".into()),
            Outcome::Failed(Fault::InputChanged, "!".into()),
        ]
    );
}

#[test]
fn answers_that_are_none() {
    for (body, words) in [
        ("echo '{\"rows\":[]}'", "0 rows where 1 are due"),
        ("echo hello", "no answer"),
        ("echo '{\"rows\":[{}]}'", "neither outputs nor an error"),
        ("echo '{\"rows\":[{\"outputs\":[\"one\"]}]}'", "`one` is not a number"),
        ("echo '{\"rows\":[{\"outputs\":[1]}]}'; echo more", "more than its answer"),
        ("echo bye >&2; exit 7", "exit status 7; its last words: `bye`"),
        ("kill -9 $$", "SIGKILL"),
        ("exec >&-; sleep 60", "closed its standard output"),
    ] {
        // The second answer is late where the first is followed by more.
        let outcome = run(&worker(body), &[case("logsumexp f64 [1]")]).remove(0);
        match outcome {
            Outcome::Failed(Fault::Crash, message) => assert!(message.contains(words), "{body}: {message}"),
            // What comes after an answer may come after it was read; then it spoils the next one.
            Outcome::Outputs(_) if words.starts_with("more") => {}
            other => panic!("{body}: {other:?}"),
        }
    }
    let short = run(&worker("echo '{\"rows\":[{\"outputs\":[]}]}'"), &[case("logsumexp f64 [1]")]);
    assert_eq!(short, [Outcome::Outputs(vec![])], "the judge calls this unwritten");
    let hang = run(&worker("sleep 60"), &[case("logsumexp f64 [1]")]);
    assert!(matches!(&hang[..], [Outcome::Failed(Fault::Hang, _)]), "{hang:?}");
}

/// A worker that floods standard error is not blocked by it.
#[test]
fn floods_standard_error() {
    let kernel = worker("head -c 3000000 /dev/zero | tr '\\0' x >&2; echo '{\"rows\":[{\"outputs\":[1]}]}'");
    assert_eq!(run(&kernel, &[case("logsumexp f64 [1]")]), [Outcome::Outputs(vec![1.0])]);
}

#[test]
fn hellos_that_are_none() {
    for (script, words) in [
        ("exit 5", "said no hello: it ended with exit status 5"),
        ("echo oops >&2; exit 1", "`oops`"),
        ("echo hi", "no hello"),
        ("echo '{\"logitfuzz_worker\":3}'", "speaks version 3 of the worker protocol; this logitfuzz speaks 1 to 2"),
        ("echo '{\"logitfuzz_worker\":1,\"kernels\":[]}'", "serves no function"),
        (
            "echo '{\"logitfuzz_worker\":1,\"kernels\":[{\"name\":\"a=b\",\"functions\":[]}]}'",
            "a name is a word without =",
        ),
        (
            "echo '{\"logitfuzz_worker\":1,\"kernels\":[{\"name\":\"a\",\"functions\":[{\"op\":\"softmin\",\"dtype\":\"f32\"}]}]}'",
            "softmin",
        ),
        (
            "echo '{\"logitfuzz_worker\":1,\"kernels\":[{\"name\":\"a\",\"functions\":[{\"op\":\"softmax\",\"dtype\":\"f32\",\"claims\":\"good\"}]}]}'",
            "unknown claim `good`",
        ),
    ] {
        let Err(error) = start(script) else { panic!("{script}") };
        assert_eq!(error.exit_code(), 3, "{script}: {error}");
        assert!(error.to_string().contains(words), "{script}: {error}");
        assert!(!error.to_string().contains('\n'), "{error}");
    }
}

/// What a hello says of a kernel is what the campaign goes by.
#[test]
fn a_hello_in_full() {
    let hello = r#"{"logitfuzz_worker":1,"kernels":[{"name":"a","version":"1.2","functions":[
        {"op":"softmax","dtype":"f16","claims":"exp=4,shifted","min_len":1,"max_len":9}]},
        {"name":"b","deterministic":false,"functions":[{"op":"logsumexp","dtype":"f64","claims":"shifted"},
        {"op":"cross_entropy","dtype":"f64","label_smoothing":false}]}]}"#;
    let kernels = start(&format!("echo '{}'; cat >&2", hello.replace('\n', ""))).unwrap();
    let [a, b] = &kernels[..] else { panic!("two kernels") };
    assert_eq!((a.name(), a.version(), a.selector()), ("a", Some("1.2"), "a=exec:worker".to_owned()));
    assert_eq!(a.claims(Op::SOFTMAX, Dtype::F16), Claims { exp: 4.0, shifted: true, ..Claims::default() });
    assert_eq!(a.lengths(Op::SOFTMAX, Dtype::F16), 1..=9);
    assert!(a.supports(Op::SOFTMAX, Dtype::F16) && !a.supports(Op::LOGSUMEXP, Dtype::F64));
    let smoothed = |e: &str| accepts(b, &case(&format!("cross_entropy f64 [1, 2] target=0 label_smoothing={e}")));
    assert!(smoothed("0") && !smoothed("0.1"));
    assert!(!b.claims(Op::LOGSUMEXP, Dtype::F64).shifted, "runs of it are not comparable");
}

/// The worker in the documentation runs, and is right.
#[test]
fn the_documented_worker() {
    let document = include_str!("../../docs/worker-protocol.md");
    let (_, code) = document.split_once("```python\n").expect("an example");
    let (code, _) = code.split_once("```").expect("its end");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("my worker.py");
    std::fs::write(&path, code).unwrap();
    let limits = Limits::default();
    let kernel = Foreign::command(&format!("python3 '{}'", path.display()), limits).unwrap().remove(0);
    assert_eq!(kernel.name(), "pure-python");
    let cases = ["[0, 0]", "[-inf]", "[]", "[1000, 0]", "[inf, 0]"].map(|row| case(&format!("logsumexp f64 {row}")));
    let values = [2f64.ln(), f64::NEG_INFINITY, f64::NEG_INFINITY, 1000.0, f64::INFINITY];
    assert_eq!(run(&kernel, &cases), values.map(|value| Outcome::Outputs(vec![value])));
    assert!(matches!(&run(&kernel, &[case("logsumexp f64 [nan, inf]")])[..], [Outcome::Outputs(y)] if y[0].is_nan()));
}
