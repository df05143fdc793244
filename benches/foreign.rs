//! What a process of its own costs: `cargo bench --bench foreign`.
//!
//! Terms: a campaign is `campaign::run` of one C kernel on one op over rows from a file, the oracle included. It is run with the
//! kernel behind a worker (as `c:` loads it) and with the same function of the same library called in this process. The two
//! alternate, so that a busy machine slows both; the ratio is the median over the turns, in brackets the quartiles.

use libloading::Library;
use logitfuzz::campaign::{self, Control, Plan};
use logitfuzz::foreign::{Foreign, Limits};
use logitfuzz::generate::{self, file::Rows};
use logitfuzz::kernel::{Closure, Kernel};
use logitfuzz::{Dtype, Family, Op};
use std::hint::black_box;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Instant;

/// The lengths of the rows.
const LENGTHS: [usize; 3] = [8, 128, 1024];
/// Logits in all the rows of one campaign: some tenths of a second.
const LOGITS: usize = 1 << 17;
/// Turns for each ratio.
const TURNS: usize = 15;
/// What is required.
const LARGEST_RATIO: f64 = 1.3;

type Softmax = unsafe extern "C" fn(*const f32, usize, *mut f32);

/// Compiles the library of correct kernels that the tests use, as users compile theirs.
fn library(folder: &Path) -> std::path::PathBuf {
    let library = folder.join("libkernels.so");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/foreign/kernels.c");
    let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".into());
    let made = Command::new(compiler)
        .args(["-O2", "-shared", "-fPIC", "-o"])
        .args([&library, &source])
        .arg("-lm")
        .status()
        .expect("a C compiler");
    assert!(made.success());
    library
}

/// Rows of exactly `n` logits, as a file.
fn rows(folder: &Path, n: usize) -> Rows {
    let family = Family::all().iter().copied().find(|family| family.name() == "ordinary").expect("a family");
    let rows = (0..).map(|index| generate::row(family, Dtype::F32, 0, index, n)).filter(|row| row.len() == n);
    let line = |row: Vec<f64>| row.iter().map(f64::to_string).collect::<Vec<_>>().join(",");
    let lines: Vec<String> = rows.take(LOGITS / n).map(line).collect();
    let path = folder.join(format!("{n}.csv"));
    std::fs::write(&path, lines.join("\n")).expect("a file in the temporary folder");
    Rows::read(&path, None).expect("the rows just written")
}

fn campaign_time(kernel: &Arc<dyn Kernel>, rows: &Arc<Rows>) -> f64 {
    let mut plan = Plan::new(vec![kernel.clone()]);
    plan.ops = vec![Op::SOFTMAX];
    plan.dtypes = vec![Dtype::F32];
    plan.sources = vec![rows.clone()];
    let start = Instant::now();
    let results = black_box(campaign::run(&plan, &Control::default()).expect("a campaign"));
    let time = start.elapsed().as_secs_f64();
    assert!(
        results.findings.is_empty() && results.cells.iter().all(|cell| cell.not_run == 0),
        "a correct kernel passes"
    );
    time
}

fn main() {
    // Without `--bench` cargo only asks whether it runs.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = library(folder.path());
    let words = [env!("CARGO_BIN_EXE_logitfuzz").into(), "serve-library".into(), path.clone().into(), "c".into()];
    let foreign = Foreign::start("c:kernels.so", words.to_vec(), Limits::default()).expect("a worker").remove(0);
    let foreign: Arc<dyn Kernel> = Arc::new(foreign);
    // SAFETY: the library was compiled above, and has this function.
    let library = unsafe { Library::new(&path) }.expect("the library");
    // SAFETY: as above.
    let softmax: Softmax = *unsafe { library.get(b"softmax_f32") }.expect("the symbol");
    let in_process = Closure::new("c", Op::SOFTMAX, move |logits: &[f32], out: &mut [f32]| {
        // SAFETY: both slices have n values.
        unsafe { softmax(logits.as_ptr(), logits.len(), out.as_mut_ptr()) }
    });
    let in_process: Arc<dyn Kernel> = Arc::new(in_process);
    println!("\nratio [quartiles of single turns]");
    for n in LENGTHS {
        let rows = Arc::new(rows(folder.path(), n));
        let mut ratios: Vec<f64> =
            (0..TURNS).map(|_| campaign_time(&foreign, &rows) / campaign_time(&in_process, &rows)).collect();
        ratios.sort_by(f64::total_cmp);
        let [low, median, high] = [1, 2, 3].map(|quarter| ratios[(TURNS - 1) * quarter / 4]);
        let remark = if median <= LARGEST_RATIO { "as required" } else { "NOT as required" };
        let name = format!("campaign, c: through a worker/in process, n={n}");
        println!("{name:<52} {median:6.2}  [{low:.2}, {high:.2}]  {remark}");
    }
}
