//! `logitfuzz doctor`: what is missing on this machine, and the command that installs it.

use super::{Exit, print};
use crate::campaign;
use crate::outside;
use std::process::{Command, Stdio};

#[derive(clap::Args)]
pub(super) struct Doctor {}

/// A tool, what it is for, and the command that installs it.
struct Tool {
    name: &'static str,
    probe: &'static [&'static str],
    needed_for: &'static str,
    install: &'static str,
}

const TOOLS: [Tool; 6] = [
    Tool { name: "cargo", probe: &["cargo", "--version"], needed_for: "building", install: "see https://rustup.rs" },
    Tool {
        name: "cc",
        probe: &["cc", "--version"],
        needed_for: "building GMP and MPFR",
        install: "apt-get install gcc libc6-dev",
    },
    Tool {
        name: "make",
        probe: &["make", "--version"],
        needed_for: "building GMP and MPFR",
        install: "apt-get install make",
    },
    Tool {
        name: "m4",
        probe: &["m4", "--version"],
        needed_for: "building GMP and MPFR",
        install: "apt-get install m4",
    },
    Tool {
        name: "cargo-fuzz",
        probe: &["cargo", "fuzz", "--version"],
        needed_for: "coverage-guided fuzzing",
        install: "cargo install cargo-fuzz",
    },
    Tool {
        name: "python3",
        probe: &["python3", "--version"],
        needed_for: "kernels written in Python",
        install: "apt-get install python3",
    },
];

impl Doctor {
    pub fn main(self) -> Exit {
        let versions = campaign::provenance();
        let mut text = format!(
            "logitfuzz {}, generators version {}, numbers: {}, {} cores\n",
            versions.logitfuzz,
            versions.generators,
            versions.numbers(),
            std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
        );
        let mut missing = 0;
        for tool in &TOOLS {
            match version(tool.probe) {
                Some(version) => text += &format!("ok       {:<11} {version}\n", tool.name),
                None => {
                    missing += 1;
                    text += &format!("missing  {:<11} needed for {}: {}\n", tool.name, tool.needed_for, tool.install);
                }
            }
        }
        text += &match missing {
            0 => "nothing is missing\n".to_owned(),
            1 => "1 tool is missing\n".to_owned(),
            _ => format!("{missing} tools are missing\n"),
        };
        print(&text)?;
        Ok(0)
    }
}

/// The first line that the probe prints, if it runs and succeeds.
fn version(probe: &[&str]) -> Option<String> {
    let output = Command::new(probe[0]).args(&probe[1..]).stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| {
        let said = String::from_utf8_lossy(&output.stdout);
        outside::line(said.lines().next().unwrap_or(""), outside::LONGEST_VERSION)
    })
}
