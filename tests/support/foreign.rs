//! Compiles C kernels, starts them as the command does, and looks for processes that were left behind.

use super::place::LOGITFUZZ;
use logitfuzz::Case;
use logitfuzz::foreign::{Foreign, Limits};
use logitfuzz::kernel::{Kernel, Outcome, Supervised};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// A folder with one library of the kernels in `tests/foreign/kernels.c`.
pub struct CKernel {
    pub folder: tempfile::TempDir,
}

impl CKernel {
    /// Compiles the library that has this defect.
    pub fn new(defect: &str) -> Self {
        let kernel = Self { folder: tempfile::tempdir().expect("a temporary folder") };
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/foreign/kernels.c");
        let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".into());
        let made = Command::new(compiler)
            .args(["-O1", "-shared", "-fPIC", &format!("-D{defect}"), "-o"])
            .args([&kernel.library(), &source])
            .arg("-lm")
            .status()
            .expect("a C compiler");
        assert!(made.success());
        kernel
    }

    pub fn library(&self) -> PathBuf {
        self.folder.path().join("libkernels.so")
    }

    /// The kernel, as `c:` loads it.
    pub fn start(&self, limits: Limits) -> Foreign {
        let words = [LOGITFUZZ.into(), "serve-library".into(), self.library().into(), "c:libkernels".into()];
        Foreign::start("c:libkernels.so", words.to_vec(), limits).expect("a library").remove(0)
    }

    /// Asserts that no process whose command line names this library is left.
    pub fn assert_nothing_left(&self) {
        let marker = self.folder.path().to_string_lossy().into_owned();
        let deadline = Instant::now() + Duration::from_secs(5);
        while let left @ 1.. = processes(&marker) {
            assert!(Instant::now() < deadline, "{left} processes are left");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The number of processes whose command line names this library.
    pub fn processes(&self) -> usize {
        processes(&self.folder.path().to_string_lossy())
    }
}

/// The number of living processes but this one whose command line has the marker.
pub fn processes(marker: &str) -> usize {
    let own = std::process::id().to_string();
    let entries = std::fs::read_dir("/proc").expect("/proc").filter_map(Result::ok);
    let is_ours = |id: &str| {
        let line = std::fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
        id != own && String::from_utf8_lossy(&line).contains(marker)
    };
    entries.filter(|entry| entry.file_name().to_str().is_some_and(is_ours)).count()
}

/// A time limit that a loaded machine keeps and that a test can wait for.
pub fn quick() -> Limits {
    Limits { timeout: Duration::from_millis(300), ..Limits::default() }
}

pub fn case(text: &str) -> Case {
    Case::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// The outcomes of one batch.
pub fn run(kernel: &Foreign, cases: &[Case]) -> Vec<Outcome> {
    for case in cases {
        assert!(kernel.supports(case.op(), case.dtype()), "{case}");
    }
    kernel.run_batch(&cases.iter().collect::<Vec<_>>())
}
