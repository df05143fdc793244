//! The README and docs/ops.md cannot rot: their `logitfuzz` commands are run, and what they show as their output is compared.
//!
//! A command is a line `$ logitfuzz ...` of a `console` block, or `logitfuzz ...` of an `sh` block. What follows it in a
//! `console` block, up to the next `$` line, is its standard output, whole, but that a line `...` stands for any lines.
//! Commands that are neither `logitfuzz` nor `cc` (make, apt-get, cargo) are left to people and CI. A C block that begins with
//! `/* NAME */` is a file of that name. The Rust blocks run as documentation tests of the crate.
#![cfg(all(unix, feature = "cli"))]

use std::path::Path;
use std::process::Command;

const README: &str = include_str!("../README.md");
const OPS: &str = include_str!("../docs/ops.md");

/// A document; commands, and commands with output, that it has at least: fewer, and they are no longer found.
struct Document {
    name: &'static str,
    text: &'static str,
    least_commands: usize,
    least_outputs: usize,
}

/// Stands for any lines.
const ANY_LINES: &str = "...";

/// One command of the README, and the output shown, if any.
struct Shown {
    line: usize,
    command: String,
    output: Vec<String>,
}

fn commands(readme: &str) -> Vec<Shown> {
    let mut found: Vec<Shown> = Vec::new();
    let mut block = None;
    // Whether the lines below belong to a command that is run.
    let mut follows = false;
    for (number, line) in readme.lines().enumerate() {
        if let Some(language) = line.strip_prefix("```") {
            block = if block.is_some() { None } else { Some(language) };
            follows = false;
            continue;
        }
        let command = match block {
            Some("console") => line.strip_prefix("$ "),
            Some("sh") => Some(line),
            _ => continue,
        };
        match command {
            Some(command) => {
                follows = command.starts_with("logitfuzz ") || command.starts_with("cc ");
                if follows {
                    found.push(Shown { line: number + 1, command: command.to_owned(), output: Vec::new() });
                }
            }
            None if follows => found.last_mut().into_iter().for_each(|shown| shown.output.push(line.to_owned())),
            None => {}
        }
    }
    found
}

/// The C files that the README shows: names and contents.
fn c_files(readme: &str) -> Vec<(&str, &str)> {
    let blocks = readme.split("```c\n").skip(1).filter_map(|rest| rest.split_once("```"));
    blocks.filter_map(|(code, _)| Some((code.strip_prefix("/* ")?.split_once(" */")?.0, code))).collect()
}

/// Whether the lines are those shown.
fn agree(shown: &[String], lines: &[&str]) -> bool {
    match shown.split_first() {
        None => lines.is_empty(),
        Some((first, rest)) if first == ANY_LINES => (0..=lines.len()).any(|skip| agree(rest, &lines[skip..])),
        Some((first, rest)) => lines.first() == Some(&first.as_str()) && agree(rest, &lines[1..]),
    }
}

#[test]
fn the_commands_of_the_readme_do_what_it_shows() {
    assert!(!c_files(README).is_empty());
    run(&Document { name: "README.md", text: README, least_commands: 12, least_outputs: 6 });
}

#[test]
fn the_commands_of_the_page_of_ops_do_what_it_shows() {
    run(&Document { name: "docs/ops.md", text: OPS, least_commands: 8, least_outputs: 8 });
    for op in logitfuzz::Op::ALL {
        assert!(OPS.contains(&format!("`{op}`")), "docs/ops.md says nothing of {op}");
    }
}

fn run(document: &Document) {
    let &Document { name, text, least_commands, least_outputs } = document;
    let program = Path::new(env!("CARGO_BIN_EXE_logitfuzz"));
    let path = format!("{}:{}", program.parent().unwrap().display(), std::env::var("PATH").unwrap());
    let folder = tempfile::tempdir().unwrap();
    // The files that its examples name.
    std::fs::write(folder.path().join("logits.csv"), "1000,0\n1,2,3\n").unwrap();
    std::fs::write(folder.path().join("targets.csv"), "1\n0\n").unwrap();
    for (file, code) in c_files(text) {
        std::fs::write(folder.path().join(file), code).unwrap();
    }

    let commands = commands(text);
    let with_output = commands.iter().filter(|shown| !shown.output.is_empty()).count();
    assert!(commands.len() >= least_commands, "{name}: {} commands", commands.len());
    assert!(with_output >= least_outputs, "{name}: {with_output} commands with output");
    for Shown { line, command, output } in &commands {
        let ran =
            Command::new("sh").args(["-c", command]).env("PATH", &path).current_dir(folder.path()).output().unwrap();
        let (stdout, stderr) = (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
        // `replay` of an input that still fails says so with its exit code, and so do a gate that is red and a kernel that fails somewhere.
        let is_red = output.first().is_some_and(|line| line.starts_with("gate failed") || line.contains(" fails on "));
        let due = i32::from(is_red || command.starts_with("logitfuzz replay"));
        assert_eq!(ran.status.code(), Some(due), "{name}:{line}: {command}\n{stdout}{stderr}");
        assert_eq!(stderr, "", "{name}:{line}: {command}");
        let lines: Vec<&str> = stdout.lines().collect();
        assert!(
            output.is_empty() || agree(output, &lines),
            "{name}:{line}: {command}\nIt shows:\n{}\nIt prints:\n{stdout}",
            output.join("\n")
        );
    }
}

#[test]
fn the_comparison_can_fail() {
    let shown = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
    assert!(agree(&shown("a\n...\nc"), &["a", "b", "b", "c"]) && agree(&shown("a\n..."), &["a"]));
    for (text, lines) in
        [("a", &["b"][..]), ("a", &["a", "b"]), ("a\nb", &["a"]), ("...\nc", &["c", "d"]), ("a\n...\nc", &["a"])]
    {
        assert!(!agree(&shown(text), lines), "{text:?} {lines:?}");
    }
    let found = commands("```console\n$ logitfuzz a\nout\n$ make b\nout\n```\nlogitfuzz c\n```sh\nlogitfuzz d\n```\n");
    let found: Vec<_> = found.iter().map(|shown| (shown.command.as_str(), shown.output.len())).collect();
    assert_eq!(found, [("logitfuzz a", 1), ("logitfuzz d", 0)]);
}
