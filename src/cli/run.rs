//! `logitfuzz run`: a survey. It fuzzes kernels, writes a report and exits 0 whatever it finds.

use super::select::{Kernels, Policy, Work};
use super::{Exit, Printed, print, render};
use crate::campaign::{self, Control, Plan};
use crate::error::Error;
use crate::files;
use crate::report;
use crate::results::{Results, RunInfo};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

#[derive(clap::Args)]
#[command(after_help = "\
Writes results.json, run.json, summary.md, index.html, junit.xml and logitfuzz.sarif, and removes the gate.json and
baseline.new.json of an earlier gate. Ctrl-C ends the work early; the report then says that it is partial.

Examples:
  logitfuzz run
  logitfuzz run --kernel naive --kernel 'defect/*' --op softmax --dtype f32 --cases 1000
  logitfuzz run --kernel shifted --op softmax --dtype f32 --search 20000
  logitfuzz run --kernel mine=online --claims exp=2 --seed 7 --out reports/mine
  logitfuzz run --logits logits.npy --targets targets.npy --dtype f16 --dtype f32")]
pub(super) struct Run {
    #[command(flatten)]
    kernels: Kernels,
    #[command(flatten)]
    work: Work,
    #[command(flatten)]
    policy: Policy,
    /// Search, besides, for the largest error / bound with N cases for each (kernel, op, dtype), from rows of all families on; in
    /// the report it is the family `search`
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = super::whole::<u64>, allow_hyphen_values = true)]
    search: u64,
    /// The folder of the report; it and its parents are made if they do not exist
    #[arg(short, long, value_name = "DIR", default_value = "reports/latest")]
    out: PathBuf,
    /// What to print: a summary for people, or results.json
    #[arg(long, value_enum, default_value_t = Printed::Human)]
    format: Printed,
}

/// Set by Ctrl-C: finish the rows that are under way, then report what was done.
static STOP: AtomicBool = AtomicBool::new(false);

/// From now on Ctrl-C asks to stop, and pressed again ends the program at once. What is set when it was pressed.
pub(super) fn catch_ctrl_c() -> Result<&'static AtomicBool, Error> {
    ctrlc::set_handler(|| {
        // The second time, do not wait.
        if STOP.swap(true, Ordering::Relaxed) {
            files::exit_without_traces(130);
        }
    })
    .map_err(|error| Error::harness(format!("cannot catch Ctrl-C: {error}")))?;
    Ok(&STOP)
}

impl Run {
    pub fn main(self) -> Exit {
        let mut plan = self.work.plan(&self.kernels, &self.policy)?;
        plan.search = self.search;
        // Before the work, so that a report that cannot be written costs no time.
        let folder = report::prepare(&self.out)?;
        let (results, info) = measure(&plan)?;
        folder.write(&results, Some(&info), None)?;
        drop(folder);
        if let Some(error) = plan.trouble() {
            return Err(incomplete(&error, &self.out));
        }
        match self.format {
            Printed::Json => print(&report::json::text(&results)?)?,
            Printed::Human => print(&render::summary(&results, &info, &self.out))?,
        }
        Ok(0)
    }
}

/// Why results are not whole, and where they are.
pub(super) fn incomplete(error: &Error, out: &Path) -> Error {
    Error::harness(format!("{error}; what was measured until then is in {}, marked as incomplete", out.display()))
}

/// Runs a plan with a bar on a terminal and a clean Ctrl-C, and says when, where and how long.
pub(super) fn measure(plan: &Plan) -> Result<(Results, RunInfo), Error> {
    let stop = catch_ctrl_c()?;
    let bar = progress_bar("rows");
    let show = |done: u64, total: u64| {
        bar.set_length(total);
        bar.set_position(done);
    };
    let (began, started) = (Instant::now(), SystemTime::now());
    let results = campaign::run(plan, &Control { progress: Some(&show), stop: Some(stop) })?;
    bar.finish_and_clear();
    let jobs =
        if plan.jobs == 0 { std::thread::available_parallelism().map_or(1, std::num::NonZero::get) } else { plan.jobs };
    let info = RunInfo {
        // For people: an argument may be no text.
        command: std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect(),
        started: utc(started.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())),
        seconds: began.elapsed().as_secs_f64(),
        jobs,
        machine: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
    };
    Ok((results, info))
}

/// A bar on a terminal, nothing in a pipe; `what` is counted.
pub(super) fn progress_bar(what: &str) -> ProgressBar {
    let target = if std::io::stderr().is_terminal() {
        ProgressDrawTarget::stderr_with_hz(10)
    } else {
        ProgressDrawTarget::hidden()
    };
    let bar = ProgressBar::with_draw_target(None, target);
    let template = format!("{{bar:40}} {{percent:>3}}%  {{human_pos}} of {{human_len}} {what}, {{eta}} left");
    if let Ok(style) = ProgressStyle::with_template(&template) {
        bar.set_style(style);
    }
    bar
}

/// Seconds since 1970 as `2026-01-31T12:00:00Z`, by the civil-from-days algorithm of Howard Hinnant.
fn utc(seconds: u64) -> String {
    let (days, second) = ((seconds / 86_400) as i64, seconds % 86_400);
    let shifted = days + 719_468; // days since 0000-03-01
    let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", second / 3_600, second / 60 % 60, second % 60)
}

#[cfg(test)]
mod tests {
    use super::utc;

    #[test]
    fn dates() {
        assert_eq!(utc(0), "1970-01-01T00:00:00Z");
        assert_eq!(utc(951_826_554), "2000-02-29T12:15:54Z");
        assert_eq!(utc(1_767_225_599), "2025-12-31T23:59:59Z");
        assert_eq!(utc(4_107_542_400), "2100-03-01T00:00:00Z");
    }
}
