//! The command as a stranger runs it: the built binary, its files, its two output streams, its exit codes.

#![cfg(feature = "cli")]

mod support;

mod command {
    mod bad_input;
    mod eval;
    #[cfg(unix)]
    mod interrupt;
    #[cfg(unix)]
    mod outside;
    mod replay;
    mod run;
}

use logitfuzz::kernel::builtin::{self, Builtin};
use logitfuzz::{Dtype, Family, Op};
use support::place::Place;

#[test]
fn version_and_help() {
    let place = Place::new();
    assert_eq!(place.ok(&["--version"]), format!("logitfuzz {}\n", env!("CARGO_PKG_VERSION")));
    let help = place.ok(&["--help"]);
    for name in ["run", "gate", "accept", "exhaust", "merge", "eval", "replay", "shrink", "report", "list", "doctor"] {
        assert!(help.contains(&format!("\n  {name} ")), "{name} is not in the help");
        let own = place.ok(&[name, "--help"]);
        assert!(own.contains(&format!("Usage: logitfuzz {name}")), "{own}");
        assert!(!own.contains('\u{1b}'), "colours in a pipe");
    }
    assert!(help.contains("Exit codes"));
}

#[test]
fn the_examples_of_the_help_are_read() {
    let place = Place::new();
    for name in ["eval", "replay", "shrink"] {
        let help = place.ok(&[name, "--help"]);
        let (_, examples) = help.split_once("\nExample").expect("no examples");
        let lines: Vec<&str> = examples.lines().map(str::trim).filter(|line| line.starts_with("logitfuzz ")).collect();
        assert!(!lines.is_empty());
        for line in lines.into_iter().filter(|line| !line.contains("reports/latest")) {
            let ran = place.shell(line);
            assert!(matches!(ran.code, Some(0 | 1)), "`{line}`: {ran:?}");
            assert!(ran.err.is_empty() && !ran.out.is_empty(), "`{line}`: {ran:?}");
        }
    }
}

#[test]
fn lists() {
    let place = Place::new();
    for (what, names) in [
        ("kernels", builtin::all().iter().map(Builtin::name).collect::<Vec<_>>()),
        ("ops", Op::ALL.iter().map(|op| op.name()).collect()),
        ("dtypes", Dtype::ALL.iter().map(|dtype| dtype.name()).collect()),
        ("families", Family::all().iter().map(|family| family.name()).collect()),
    ] {
        let list = place.ok(&["list", what]);
        for name in names {
            assert!(list.lines().any(|line| line.split_whitespace().next() == Some(name)), "{name} in {list}");
        }
    }
    assert_eq!(place.ok(&["list", "ops"]).lines().count(), Op::ALL.len());
}

#[test]
fn doctor_names_the_versions_and_every_tool() {
    let text = Place::new().ok(&["doctor"]);
    assert!(text.contains("MPFR 4.") && text.contains("generators version"), "{text}");
    for tool in ["cargo", "cc", "make", "m4", "cargo-fuzz", "python3"] {
        let line = text.lines().find(|line| line.split_whitespace().nth(1) == Some(tool)).expect(tool);
        assert!(line.starts_with("ok ") || (line.starts_with("missing ") && line.contains(": ")), "{line}");
    }
}

#[cfg(unix)]
#[test]
fn a_reader_that_goes_away_is_no_error_and_a_full_disk_is() {
    let place = Place::new();
    for command in ["list families", "--help", "eval --op softmax --format json -- 1*3000"] {
        let ran = place.shell(&format!("{{ logitfuzz {command}; echo \"code $?\" >&2; }} | head -1"));
        assert_eq!(ran.err, "code 0\n", "{command}");
        assert_eq!(ran.out.lines().count(), 1, "{command}");
    }
    if std::path::Path::new("/dev/full").exists() {
        for command in ["list families", "--help", "eval --op softmax -- 1 2"] {
            let ran = place.shell(&format!("logitfuzz {command} > /dev/full"));
            assert_eq!((ran.code, ran.err.lines().count()), (Some(3), 1), "{command}: {ran:?}");
            assert!(ran.err.contains("standard output"), "{ran:?}");
        }
    }
}
