//! Without default features the crate is pure Rust, with the feature `oracle` and without: whoever tests a kernel, or serves one to the command,
//! on any system, needs no C compiler and no C library. This builds both configurations.

use std::path::Path;
use std::process::Command;

/// Packages that compile C, or bind to a C library.
const OF_C: [&str; 4] = ["rug", "gmp-mpfr-sys", "cc", "libloading"];

/// The features of both configurations.
const FEATURES: [&str; 2] = ["", "oracle"];

fn cargo(arguments: &[&str]) -> String {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(arguments)
        .args(["--locked", "--offline", "--no-default-features"])
        .output()
        .expect("cargo runs");
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "cargo {arguments:?}: {text}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn no_dependency_is_written_in_c() {
    for features in FEATURES {
        of_c(features);
    }
}

fn of_c(features: &str) {
    let tree = cargo(&["tree", "--edges", "normal,build", "--prefix", "none", "--features", features]);
    let names: Vec<&str> = tree.lines().filter_map(|line| line.split(' ').next()).collect();
    assert!(names.contains(&"logitfuzz") && names.contains(&"serde_json"), "{tree}");
    let of_c: Vec<&&str> = names
        .iter()
        .filter(|name| {
            OF_C.contains(name)
                || name.ends_with("-sys") && !name.starts_with("linux-raw") && !name.starts_with("windows")
        })
        .collect();
    assert!(of_c.is_empty(), "{features}: {of_c:?}");
}

/// A folder of its own: the one that these tests are built in is locked.
fn check(target: Option<&str>) {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("light");
    let folder = folder.to_str().expect("a path in Unicode");
    for features in FEATURES {
        let mut arguments = vec!["check", "--lib", "--target-dir", folder, "--features", features];
        arguments.extend(target.iter().flat_map(|target| ["--target", target]));
        cargo(&arguments);
    }
}

#[test]
fn it_is_checked_for_this_machine_and_for_wasm() {
    check(None);
    const WASM: &str = "wasm32-unknown-unknown";
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let libraries =
        Command::new(rustc).args(["--print", "target-libdir", "--target", WASM]).output().expect("rustc runs");
    let folder = String::from_utf8_lossy(&libraries.stdout).trim().to_owned();
    if Path::new(&folder).is_dir() {
        check(Some(WASM));
    } else {
        eprintln!("not checked for {WASM}, whose standard library is not here: rustup target add {WASM}");
    }
}
