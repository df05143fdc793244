//! The report of an exhaustive run: its certificate as data, in Markdown and as a page. Each is a pure function of the certificate.

use super::escape::{code, plain};
use super::{Folder, PAGE_FILE, SUMMARY_FILE};
use crate::error::Result;
use crate::exhaust::certificate::{Region, Worst};
use crate::exhaust::{CERTIFICATE_FILE, Certificate, Domain, MOST_FATAL};
use crate::judge::Verdict;
use crate::words::{count, plural_u64, ratio, short};
use std::fmt::Write as _;
use std::path::PathBuf;

mod page;

pub(crate) use page::page;

/// Regions that the summary and the terminal show; all that are listed are in the certificate.
const REGIONS_SHOWN: usize = 20;

/// Writes to a string, which cannot fail.
macro_rules! put {
    ($out:expr, $($arg:tt)*) => { let _ = write!($out, $($arg)*); };
}
use put;

/// Writes the certificate, its summary and its page, all of them or none, and returns their paths.
///
/// # Errors
/// A file cannot be written.
pub(crate) fn write(folder: &Folder, certificate: &Certificate) -> Result<Vec<PathBuf>> {
    folder.write_all(vec![
        (CERTIFICATE_FILE, certificate.text()?),
        (SUMMARY_FILE, summary(certificate)),
        (PAGE_FILE, page(certificate)),
    ])
}

/// What is known, in a sentence; the name of the kernel as `name` writes it.
pub(crate) fn headline(certificate: &Certificate, name: impl Fn(&str) -> String) -> String {
    let Certificate { op, dtype, .. } = certificate;
    let kernel = name(&certificate.kernel);
    let judged = certificate.judged;
    let failing = failing(certificate);
    let undecided = count_of(certificate, Verdict::Undecided);
    let all = if judged == certificate.inputs { "all " } else { "" };
    let mut text = if failing > 0 {
        let intervals = plural_u64(certificate.intervals, "interval");
        format!(
            "{kernel} fails on {} of the {} of {op} in {dtype}, in {intervals}",
            count(failing),
            plural_u64(judged, "input")
        )
    } else {
        format!("{kernel} passes on {all}{} of {op} in {dtype}", plural_u64(judged - undecided, "input"))
    };
    if undecided > 0 {
        put!(text, "; {} undecided", count(undecided));
    }
    if certificate.not_run > 0 {
        put!(text, "; {} not run after {MOST_FATAL} crashes in a piece", count(certificate.not_run));
    }
    if let Some(shard) = certificate.shard {
        put!(text, "; this is shard {shard}, merge all of them");
    }
    if !certificate.complete {
        text += "; the run is not at its end";
    }
    text
}

/// Inputs on which the kernel fails.
fn failing(certificate: &Certificate) -> u64 {
    certificate.failing() - count_of(certificate, Verdict::Undecided)
}

fn count_of(certificate: &Certificate, verdict: Verdict) -> u64 {
    certificate.verdicts.get(&verdict).copied().unwrap_or(0)
}

/// `pass 63,490, nan 1`, the worst last.
fn verdicts(certificate: &Certificate) -> String {
    let each = certificate.verdicts.iter().map(|(verdict, &inputs)| format!("{verdict} {}", count(inputs)));
    each.collect::<Vec<_>>().join(", ")
}

/// A region in words: `[0, -d], d = 104 to 65504`.
fn region_in_words(region: &Region, domain: Domain) -> String {
    let values = region.values.in_words();
    let axes = match (&region.x, domain) {
        (Some(x), _) => format!("x = {}, y = {values}", x.in_words()),
        (None, Domain::Gaps) => format!("d = {values}"),
        (None, _) => format!("x = {values}"),
    };
    format!("{}, {axes}", region.layer)
}

/// How many inputs a region has, and how many of them do not pass where these are not all.
fn size_in_words(region: &Region) -> String {
    match region.failing {
        None => count(region.inputs),
        Some(failing) => format!("{} of {}", count(failing), count(region.inputs)),
    }
}

/// What the list of regions leaves out, in a sentence; nothing where it is exact and whole.
fn what_is_left_out(certificate: &Certificate) -> Option<String> {
    let Certificate { intervals, regions_in_all, unlisted_inputs, regions, .. } = certificate;
    let mut sentences = Vec::new();
    if regions.iter().any(|region| region.failing.is_some()) {
        sentences.push(format!(
            "there are {}, too many to list, so neighbours are joined: where a region says `of`, some inputs between its ends pass",
            plural_u64(*intervals, "interval")
        ));
    }
    if *unlisted_inputs > 0 {
        sentences.push(format!(
            "these are the largest {} of {} regions; the others have {}",
            count(regions.len() as u64),
            count(*regions_in_all),
            plural_u64(*unlisted_inputs, "input")
        ));
    }
    (!sentences.is_empty()).then(|| sentences.join("; "))
}

/// The largest error and ratio in words.
fn worst(what: &str, unit: &str, found: &Option<Worst>, show: impl Fn(f64) -> String) -> String {
    match found {
        None => format!("{what} 0"),
        Some(Worst { value, decimal, .. }) => format!("{what} {}{unit} at {decimal}", show(*value)),
    }
}

/// What the command prints at the end.
pub(crate) fn words(certificate: &Certificate) -> String {
    let mut text = format!("{}: {}\n", headline(certificate, str::to_owned), certificate.inputs_are);
    put!(text, "verdicts: {}\n", verdicts(certificate));
    put!(text, "{}\n", worst("largest error", " ulp", &certificate.worst_error, short));
    put!(text, "{}\n", worst("largest error / bound", "", &certificate.worst_ratio, ratio));
    if certificate.regions.is_empty() {
        return text;
    }
    text += &match certificate.regions.len() {
        ..=REGIONS_SHOWN => "where it does not pass:\n".to_owned(),
        more => format!("where it does not pass, the largest {REGIONS_SHOWN} of {}:\n", count(more as u64)),
    };
    let shown = certificate
        .largest(REGIONS_SHOWN)
        .into_iter()
        .map(|region| [region.verdict.to_string(), size_in_words(region), region_in_words(region, certificate.domain)]);
    let shown: Vec<[String; 3]> = shown.collect();
    let width = |column: usize| shown.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let (first, second) = (width(0), width(1));
    for [verdict, size, place] in &shown {
        put!(text, "  {verdict:first$}  {size:>second$}  {place}\n");
    }
    if let Some(left_out) = what_is_left_out(certificate) {
        put!(text, "  {left_out}\n");
    }
    text
}

/// What a kernel was held to, in words.
fn held_to(certificate: &Certificate) -> String {
    let claims = certificate.declared.claims.to_string();
    if claims.is_empty() { "the textbook algorithm, without claims".to_owned() } else { claims }
}

/// The command that runs an input again.
fn replay(certificate: &Certificate, case: &str) -> String {
    let quoted = |text: &str| shlex::try_quote(text).map_or_else(|_| format!("{text:?}"), |word| word.into_owned());
    let claims = certificate.declared.claims.to_string();
    let claims = if claims.is_empty() { String::new() } else { format!(" --claims {}", quoted(&claims)) };
    format!("logitfuzz replay --kernel {}{claims} {}", quoted(&certificate.selector), quoted(case))
}

/// `summary.md`.
pub(crate) fn summary(certificate: &Certificate) -> String {
    let mut out = format!("# logitfuzz certificate\n\n{}.\n\n", headline(certificate, code));
    put!(out, "- inputs: {}\n", plain(&certificate.inputs_are));
    put!(out, "- held to: {}\n", plain(&held_to(certificate)));
    put!(out, "- verdicts: {}\n", verdicts(certificate));
    put!(out, "- {}\n", plain(&worst("largest error", " ulp", &certificate.worst_error, short)));
    put!(out, "- {}\n", plain(&worst("largest error / bound", "", &certificate.worst_ratio, ratio)));
    for worst in [&certificate.worst_error, &certificate.worst_ratio].into_iter().flatten() {
        put!(out, "- {}\n", code(&replay(certificate, &worst.case)));
    }
    if certificate.regions.is_empty() {
        return out;
    }
    out += "\n| verdict | inputs | where |\n|---|---|---|\n";
    for region in certificate.largest(REGIONS_SHOWN) {
        let place = plain(&region_in_words(region, certificate.domain));
        put!(out, "| {} | {} | {place} |\n", region.verdict, size_in_words(region));
    }
    if certificate.regions.len() > REGIONS_SHOWN {
        put!(
            out,
            "\nThese are the largest; all {} are in {CERTIFICATE_FILE}.\n",
            count(certificate.regions.len() as u64)
        );
    }
    if let Some(left_out) = what_is_left_out(certificate) {
        put!(out, "\nNot exact: {left_out}.\n");
    }
    out
}
