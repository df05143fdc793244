//! A gate that the kernel under test tries to empty, by what its worker says of itself.

use crate::support::place::{Place, Ran};
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;

/// A worker of a log-sum-exp in f64. The environment says whether it is right (BAD), and what it declares (EXTRA).
const WORKER: &str = r#"#!/usr/bin/env python3
import json, math, os, sys
bad, extra = os.environ.get("BAD"), json.loads(os.environ.get("EXTRA", "{}"))
wire = os.fdopen(os.dup(1), "w"); os.dup2(2, 1)
def lse(z):
    if any(map(math.isnan, z)): return "nan"
    m = max(z, default=-math.inf)
    if math.isinf(m): return float.hex(m)
    return float.hex(m + math.log(sum(math.exp(x - m) for x in z)) * (1.01 if bad else 1))
kernel = {"name": "mine", "functions": [{"op": "logsumexp", "dtype": "f64", **extra}]}
if "deterministic" in extra: kernel["deterministic"] = kernel["functions"][0].pop("deterministic")
print(json.dumps({"logitfuzz_worker": 1, "kernels": [kernel]}), file=wire, flush=True)
for line in sys.stdin:
    rows = [{"outputs": [lse([float.fromhex(x) for x in r["logits"]])]} for r in json.loads(line)["rows"]]
    print(json.dumps({"rows": rows}), file=wire, flush=True)
"#;

const WORK: &str = "--kernel exec:./worker.py --op logsumexp --dtype f64 --max-len 300";

fn place() -> Place {
    let place = Place::new();
    place.write("worker.py", WORKER);
    std::fs::set_permissions(place.path("worker.py"), Permissions::from_mode(0o755)).expect("executable");
    place
}

fn gate(place: &Place, environment: &str) -> Ran {
    place.shell(&format!("{environment} logitfuzz gate {WORK}"))
}

#[test]
fn what_a_kernel_declares_cannot_empty_the_gate() {
    let place = place();
    let accepted = place.shell(&format!("logitfuzz accept {WORK} --cases 20"));
    assert_eq!(accepted.code, Some(0), "{accepted:?}");
    assert_eq!(gate(&place, "").code, Some(0));
    assert_eq!(gate(&place, "BAD=1").code, Some(1));
    for (extra, reasons) in [
        (r#"{"max_len":0}"#, &["looser: max_len=0, recorded no limit", "missing: 0 cases judged, recorded 20"][..]),
        (r#"{"max_len":8}"#, &["looser: max_len=8", "fewer_cases: "]),
        (r#"{"min_len":1}"#, &["looser: min_len=1, recorded 0"]),
        (r#"{"claims":"exp=1e14,log=1e14"}"#, &["looser: exp=1e14, recorded 2; log=1e14, recorded 2"]),
        (r#"{"claims":"accumulator=bf16"}"#, &["looser: accumulator=bf16, recorded f64"]),
        (r#"{"deterministic":false}"#, &["looser: deterministic=false, recorded true"]),
    ] {
        // Wrong or right: nobody has accepted this.
        for bad in ["BAD=1", ""] {
            let ran = gate(&place, &format!("{bad} EXTRA='{extra}'"));
            assert_eq!(ran.code, Some(1), "{extra}: {ran:?}");
            for reason in reasons {
                assert!(ran.out.contains(reason), "{extra}: no `{reason}` in {}", ran.out);
            }
        }
        // All sinks have it.
        let told = [place.read("reports/latest/junit.xml"), place.read("reports/latest/logitfuzz.sarif")];
        assert!(told.iter().all(|text| text.contains("looser")), "{extra}");
    }
    // What forgives everything cannot be claimed at all.
    let ran = gate(&place, r#"BAD=1 EXTRA='{"claims":"exp=1e308,log=1e308"}'"#);
    ran.is_refused("a claim without a digit", 3, &["`exp=1e308` forgives results without a correct digit"]);
}

/// What is accepted is said: empty cells, and what is declared. From then on it is green, and less of it is room to tighten.
#[test]
fn an_accept_of_empty_cells_says_so() {
    let place = place();
    let extra = r#"EXTRA='{"max_len":7,"claims":"exp=64"}'"#;
    let accepted = place.shell(&format!("{extra} logitfuzz accept {WORK} --cases 20"));
    assert!(accepted.out.contains("in 2 of them nothing is measured: mine logsumexp f64 long, "), "{accepted:?}");
    assert!(accepted.out.contains("what 1 function declares of itself is recorded"), "{accepted:?}");
    let ran = gate(&place, extra);
    assert!(ran.code == Some(0) && ran.out.contains(", 2 empty as recorded"), "{ran:?}");
    let ran = gate(&place, "");
    assert!(ran.code == Some(0) && ran.out.contains("it declares less than recorded: exp=64 before, now 2"), "{ran:?}");
    // Without a baseline nothing was accepted: neither what is declared nor that a cell is empty.
    let ran = place.shell(&format!("{extra} logitfuzz gate {WORK} --cases 20 --baseline none.json"));
    assert_eq!(ran.code, Some(2), "{ran:?}");
    std::fs::remove_file(place.path("reports/baseline.json")).expect("a baseline");
    let ran = place.shell(&format!("{extra} logitfuzz gate {WORK} --cases 20"));
    assert!(ran.code == Some(1) && ran.out.contains("looser: exp=64"), "{ran:?}");
    assert!(ran.out.contains("missing: no case was judged"), "{ran:?}");
}

/// A report names the claims, and how many passes needed them.
#[test]
fn a_report_shows_the_claims_that_passes_needed() {
    let place = place();
    let ran = place.shell(&format!(r#"BAD=1 EXTRA='{{"claims":"log=1e14"}}' logitfuzz run {WORK} --cases 20"#));
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let results = place.json("reports/latest/results.json");
    let declared = &results["declared"][0];
    assert_eq!(declared["claims"], "log=1e14");
    let needed = declared["needed"].as_u64().expect("a count");
    let passes = results["cells"].as_array().expect("cells").iter();
    let passes: u64 = passes.map(|cell| cell["verdicts"]["pass"].as_u64().unwrap_or(0)).sum();
    assert!(needed > 100 && needed < passes, "{needed} of {passes}");
    for page in ["reports/latest/summary.md", "reports/latest/index.html"] {
        let text = place.read(page);
        assert!(text.contains("log=1e14") && text.contains(&needed.to_string()), "{page}");
    }
}
