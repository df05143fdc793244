//! The build script of every worker here. It tells the worker which library it serves and in which version, as the lock file has
//! it (`env!("LIBRARY")`, `env!("LIBRARY_VERSION")`), so that a report names what really ran. The library is the one that the
//! package is named after: `candle-nn-worker` serves `candle-nn`.

use std::error::Error;
use std::{env, fs};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=Cargo.lock");
    let package = env::var("CARGO_PKG_NAME")?;
    let library = package.strip_suffix("-worker").ok_or("the package is not called LIBRARY-worker")?;
    let lock = fs::read_to_string("Cargo.lock")?;
    let name = format!("name = \"{library}\"");
    let versions: Vec<&str> = lock
        .split("[[package]]")
        .filter(|entry| entry.lines().any(|line| line == name))
        .filter_map(|entry| entry.lines().find_map(|line| line.strip_prefix("version = \"")?.strip_suffix('"')))
        .collect();
    let [version] = versions[..] else {
        return Err(format!("Cargo.lock has {} versions of {library}, not one", versions.len()).into());
    };
    println!("cargo::rustc-env=LIBRARY={library}");
    println!("cargo::rustc-env=LIBRARY_VERSION={version}");
    Ok(())
}
