//! The examples of docs/ci and action.yml: read as YAML, and their commands run, as far as a machine without those engines can.

use crate::support::place::Place;
use std::process::Stdio;
use yaml_rust2::{Yaml, YamlLoader};

const GITHUB: &str = include_str!("../../docs/ci/github.yml");
const KUBERNETES: &str = include_str!("../../docs/ci/kubernetes.yml");
const ACTION: &str = include_str!("../../action.yml");
const MANUAL: &str = include_str!("../../docs/ci.md");

fn yaml(text: &str) -> Vec<Yaml> {
    YamlLoader::load_from_str(text).expect("YAML")
}

fn text(yaml: &Yaml) -> String {
    yaml.as_str()
        .map(str::to_owned)
        .or_else(|| yaml.as_i64().map(|n| n.to_string()))
        .unwrap_or_else(|| panic!("no text: {yaml:?}"))
}

fn list(yaml: &Yaml) -> &[Yaml] {
    yaml.as_vec().unwrap_or_else(|| panic!("no list: {yaml:?}"))
}

/// Runs a script as its engine does.
struct Script<'a> {
    place: &'a Place,
    env: Vec<(String, String)>,
}

impl Script<'_> {
    fn spawn(&self, shell: &str, script: &str) -> std::process::Child {
        let binary = std::path::Path::new(env!("CARGO_BIN_EXE_logitfuzz")).parent().expect("a folder");
        let path = format!("{}:{}", binary.display(), std::env::var("PATH").expect("PATH"));
        std::process::Command::new(shell)
            .args(["-e", "-c", script])
            .current_dir(self.place.path("."))
            .env("PATH", path)
            .envs(self.env.iter().cloned())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the shell runs")
    }

    fn run(&self, shell: &str, script: &str) -> (Option<i32>, String) {
        let output = self.spawn(shell, script).wait_with_output().expect("it ends");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code(), text(&output.stdout) + &text(&output.stderr))
    }

    /// All of them at once, each with variables of its own; all must succeed.
    fn all(&self, shell: &str, script: &str, variables: impl Iterator<Item = (String, String)>) -> usize {
        let children: Vec<_> = variables
            .map(|variable| {
                let mut env = self.env.clone();
                env.push(variable);
                Script { place: self.place, env }.spawn(shell, script)
            })
            .collect();
        let count = children.len();
        for child in children {
            let output = child.wait_with_output().expect("it ends");
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        }
        count
    }
}

/// A baseline of what both examples select.
fn accepted(selection: &str) -> Place {
    let place = Place::new();
    let ran = place.shell(&format!("logitfuzz accept {selection} --cases 2 --max-len 64 --out first"));
    assert_eq!(ran.code, Some(0), "{ran:?}");
    place
}

#[test]
fn the_matrix_of_github_actions() {
    let workflow = &yaml(GITHUB)[0];
    let env = |name: &str| text(&workflow["env"][name]);
    let place = accepted(&env("SELECTION"));
    place.ok(&[
        "run",
        "--kernel",
        "shifted",
        "--kernel",
        "online",
        "--cases",
        "2",
        "--max-len",
        "64",
        "--out",
        "whole",
    ]);
    let step = |job: &str, name: &str| {
        let steps = list(&workflow["jobs"][job]["steps"]);
        text(
            &steps.iter().find(|step| step["name"].as_str() == Some(name)).unwrap_or_else(|| panic!("no step {name}"))
                ["run"],
        )
    };
    let script =
        Script { place: &place, env: vec![("SHARDS".into(), env("SHARDS")), ("SELECTION".into(), env("SELECTION"))] };
    let shards: Vec<String> =
        list(&workflow["jobs"]["shard"]["strategy"]["matrix"]["shard"]).iter().map(text).collect();
    assert_eq!(shards.len().to_string(), env("SHARDS"));
    script.all("bash", &step("shard", "Measure"), shards.iter().map(|shard| ("SHARD".to_owned(), shard.clone())));
    // What upload and download of the artifacts do.
    assert_eq!(script.run("bash", "mkdir shards && mv shard-? shards/").0, Some(0));
    for name in ["Merge", "Gate"] {
        let (code, said) = script.run("bash", &step("gate", name));
        assert_eq!(code, Some(0), "{name}: {said}");
    }
    assert!(place.read("reports/merged/results.json") == place.read("whole/results.json"));
    assert_eq!(place.json("reports/latest/gate.json")["passed"], true);

    // A worse kernel under the same name: the shards go on, the job that decides is red.
    let worse = Script {
        env: vec![
            ("SHARDS".into(), env("SHARDS")),
            ("SELECTION".into(), "--kernel shifted=naive --kernel online".into()),
        ],
        ..script
    };
    worse.all("bash", &step("shard", "Measure"), shards.iter().map(|shard| ("SHARD".to_owned(), shard.clone())));
    assert_eq!(worse.run("bash", "rm -r shards && mkdir shards && mv shard-? shards/").0, Some(0));
    assert_eq!(worse.run("bash", &step("gate", "Merge")).0, Some(0));
    let (code, said) = worse.run("bash", &step("gate", "Gate"));
    assert!(code == Some(1) && said.contains("::error file=reports/baseline.json,line="), "{said}");
    // A shard that could not run at all is no green one.
    let broken = Script {
        place: &place,
        env: vec![
            ("SHARDS".into(), "4".into()),
            ("SHARD".into(), "1".into()),
            ("SELECTION".into(), "--kernel none".into()),
        ],
    };
    assert_eq!(broken.run("bash", &step("shard", "Measure")).0, Some(1));
}

#[test]
fn the_indexed_job_of_kubernetes() {
    let jobs = yaml(KUBERNETES);
    let container = |job: &Yaml| list(&job["spec"]["template"]["spec"]["containers"])[0].clone();
    let (shards, gate) = (container(&jobs[0]), container(&jobs[1]));
    let env = |container: &Yaml| -> Vec<(String, String)> {
        list(&container["env"]).iter().map(|pair| (text(&pair["name"]), text(&pair["value"]))).collect()
    };
    let of = |name: &str| env(&shards).into_iter().find(|pair| pair.0 == name).expect("a variable").1;
    let place = accepted(&of("SELECTION"));
    place.ok(&[
        "run",
        "--kernel",
        "shifted",
        "--kernel",
        "online",
        "--cases",
        "2",
        "--max-len",
        "64",
        "--out",
        "whole",
    ]);
    // The volume is a folder here.
    let results = place.path("results").display().to_string();
    let here = |container: &Yaml| {
        let mut env = env(container);
        env.iter_mut().filter(|(name, _)| name == "RESULTS").for_each(|(_, value)| value.clone_from(&results));
        env
    };
    let completions = jobs[0]["spec"]["completions"].as_i64().expect("a number");
    assert_eq!(completions.to_string(), of("SHARDS"));
    assert_eq!(jobs[0]["spec"]["completionMode"].as_str(), Some("Indexed"));
    let command = |container: &Yaml| {
        assert_eq!(list(&container["command"]).iter().map(text).collect::<Vec<_>>(), ["sh", "-c"]);
        text(&list(&container["args"])[0])
    };
    let script = Script { place: &place, env: here(&shards) };
    let indices = (0..completions).map(|index| ("JOB_COMPLETION_INDEX".to_owned(), index.to_string()));
    assert_eq!(script.all("sh", &command(&shards), indices), 4);
    let (code, said) = Script { place: &place, env: here(&gate) }.run("sh", &command(&gate));
    assert_eq!(code, Some(0), "{said}");
    assert!(place.read("results/merged/results.json") == place.read("whole/results.json"));
    // Without one of the shards it is red, not green.
    std::fs::remove_dir_all(place.path("results/shard-3")).expect("it was there");
    let (code, said) = Script { place: &place, env: here(&gate) }.run("sh", &command(&gate));
    assert!(code == Some(2) && said.contains("shards are missing beside it: 3/4"), "{said}");
}

#[test]
fn the_action() {
    let action = &yaml(ACTION)[0];
    assert_eq!(action["runs"]["using"].as_str(), Some("composite"));
    let steps = list(&action["runs"]["steps"]);
    for step in steps {
        assert!(step["uses"].as_str().is_some() != step["run"].as_str().is_some(), "{step:?}");
        // A composite action is refused without it.
        assert_eq!(step["run"].as_str().is_some(), step["shell"].as_str().is_some(), "{step:?}");
        // Text of an input is never text of a script.
        assert!(!step["run"].as_str().unwrap_or("").contains("${{"), "{step:?}");
    }
    // Every input is used, and every input that is used is declared.
    let inputs: Vec<String> = action["inputs"].as_hash().expect("inputs").keys().map(text).collect();
    let mut used: Vec<&str> = ACTION
        .split("inputs.")
        .skip(1)
        .map(|rest| rest.split(|c: char| !c.is_ascii_alphanumeric() && c != '-').next().unwrap_or(""))
        .collect();
    used.sort_unstable();
    used.dedup();
    let mut declared: Vec<&str> = inputs.iter().map(String::as_str).collect();
    declared.sort_unstable();
    assert_eq!(used, declared);

    let script = |name: &str| {
        let step =
            steps.iter().find(|step| step["name"].as_str() == Some(name)).unwrap_or_else(|| panic!("no step {name}"));
        text(&step["run"])
    };
    let place = accepted("--kernel shifted");
    let root = env!("CARGO_MANIFEST_DIR").to_owned();
    let file = |name: &str| place.path(name).display().to_string();
    let env = |args: &str| Script {
        place: &place,
        env: vec![
            ("GITHUB_ACTION_PATH".into(), root.clone()),
            ("GITHUB_OUTPUT".into(), file("output")),
            ("GITHUB_PATH".into(), file("path")),
            ("GITHUB_STEP_SUMMARY".into(), file("summary.md")),
            ("HOME".into(), file("home")),
            ("ARGS".into(), args.into()),
            ("OUT".into(), text(&action["inputs"]["out"]["default"])),
        ],
    };
    let (code, said) = env("").run("bash", &script("Name the caches"));
    assert_eq!(code, Some(0), "{said}");
    let keys = place.read("output");
    assert!(
        keys.lines().count() == 2 && keys.lines().all(|line| line.split('=').nth(1).is_some_and(|key| key.len() == 16)),
        "{keys}"
    );
    // The command is there already, as from the cache.
    let (code, said) = env("").run("bash", &format!("mkdir -p \"$HOME/.cache/logitfuzz/bin\"; ln -s \"$(command -v logitfuzz)\" \"$HOME/.cache/logitfuzz/bin/\"\n{}", script("Install")));
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(place.read("path").trim(), format!("{}/.cache/logitfuzz/bin", file("home")));
    let (code, said) = env("--kernel shifted").run("bash", &script("Gate"));
    assert_eq!(code, Some(0), "{said}");
    assert!(place.read("summary.md").contains("logitfuzz gate passed"));
    let (code, said) = env("--kernel shifted=naive").run("bash", &script("Gate"));
    assert!(code == Some(1) && said.contains("\n::error "), "{said}");
    assert!(place.path("reports/latest/junit.xml").exists());
}

/// The commands of the manual's blocks for a shell, in the order in which they stand.
#[test]
fn the_commands_of_the_manual() {
    let place = Place::new();
    let mut block = None;
    let mut ran = 0;
    for line in MANUAL.lines() {
        if let Some(language) = line.strip_prefix("```") {
            block = if block.is_some() { None } else { Some(language) };
        } else if block == Some("sh") {
            let mut command = line.split(" #").next().unwrap_or("").trim().to_owned();
            if command.starts_with("logitfuzz accept --kernel shifted") && ran == 0 {
                // Small, so that the test is quick; what follows takes it from the baseline.
                command += " --cases 1 --max-len 32";
            }
            let done = place.shell(&command);
            assert!(done.code == Some(0) && done.err.is_empty(), "{line}: {done:?}");
            ran += 1;
        }
    }
    assert!(ran >= 6, "{ran} commands");
    // Each reason that the table names is one of the gate's.
    for reason in [
        "new_verdict",
        "more_nan",
        "ratio_above_1",
        "ratio_grown",
        "more_failures",
        "grade_fell",
        "missing",
        "not_run",
        "undecided",
        "expected_passes",
    ] {
        assert!(MANUAL.contains(&format!("`{reason}`")), "{reason}");
    }
    // The examples that it shows are YAML, too.
    for example in MANUAL.split("```yaml\n").skip(1) {
        yaml(example.split("```").next().expect("an end"));
    }
}
