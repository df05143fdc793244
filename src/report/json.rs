//! `results.json` and `run.json` as text.
//!
//! The text is a function of the results alone: keys in one order, cells, findings and curves sorted, each on a line of its
//! own so that a difference between two runs can be read in a diff. Floats are written with the fewest digits that read back
//! to the same bits; what JSON cannot hold is a string (see [`crate::results`]).

use crate::error::Result;
use crate::json::{cannot_write, check_schema, line, place, schema_of};
use crate::outside::{self, LONGEST_TEXT};
use crate::results::{Finding, Likeness, Part, Results, RunInfo, SCHEMA, Second, Written};
use serde::Serialize;
use std::collections::BTreeSet;

/// The text of `results.json`.
///
/// Cells are sorted by kernel, op, dtype and family; findings by kernel, op, dtype, verdict, cause, family and index; curves
/// by kernel, op and dtype. Ops and dtypes come in the order of their registries, names in that of their bytes.
///
/// # Errors
/// None is known: every value of [`Results`] can be written.
pub fn text(results: &Results) -> Result<String> {
    let mut cells: Vec<_> = results.cells.iter().collect();
    cells.sort_by_key(|cell| (&cell.kernel, cell.op, cell.dtype, &cell.family));
    let mut findings: Vec<_> = results.findings.iter().collect();
    findings.sort_by_key(|f| (&f.kernel, f.op, f.dtype, f.verdict, f.cause_name(), &f.family, f.case_index));
    let mut curves: Vec<_> = results.curves.iter().collect();
    curves.sort_by_key(|curve| (&curve.kernel, curve.op, curve.dtype));
    let shard = match &results.shard {
        None => String::new(),
        Some(Part { shard, split, ranges, failures, curves }) => format!(
            ",\n\"shard\": {{\"shard\": {},\n{}\"failures\": {},\n\"curves\": {}}}",
            line(shard)?,
            match split.is_empty() {
                true => String::new(),
                false => format!("\"split\": {},\n\"ranges\": {},\n", line(split)?, lines(ranges)?),
            },
            lines(failures)?,
            lines(curves)?
        ),
    };
    let declared = match &results.declared[..] {
        [] => String::new(),
        declared => format!("\"declared\": {},\n", lines(declared)?),
    };
    Ok(format!(
        "{{\n\"schema\": {},\n\"complete\": {},\n\"settings\": {},\n\"provenance\": {},\n{declared}\"cells\": {},\n\"findings\": {},\n\"curves\": {}{shard}\n}}\n",
        line(&results.schema)?,
        results.complete,
        line(&results.settings)?,
        line(&results.provenance)?,
        lines(&cells)?,
        lines(&findings)?,
        lines(&curves)?,
    ))
}

/// The text of `run.json`.
///
/// # Errors
/// None is known: every value of [`RunInfo`] can be written.
pub fn run_text(run: &RunInfo) -> Result<String> {
    serde_json::to_string_pretty(run).map(|text| text + "\n").map_err(cannot_write)
}

/// Reads the text of `results.json`: what it says is checked, and harmless to print from here on. The error is the reason, without
/// the file's name.
pub(crate) fn parse(bytes: &[u8]) -> std::result::Result<Results, String> {
    let bytes = outside::without_mark(bytes);
    let schema = schema_of(bytes).map_err(|error| {
        if error.is_data() {
            format!("{}; these are no logitfuzz results", place(&error))
        } else {
            format!("not JSON: {}; was the file cut short or edited?", place(&error))
        }
    })?;
    check_schema(schema.as_deref(), SCHEMA)?;
    let mut results: Results =
        serde_json::from_slice(bytes).map_err(|error| format!("not valid results: {}", place(&error)))?;
    check_names(&results)?;
    results.check_counts()?;
    tidy(&mut results);
    Ok(results)
}

/// Reads the text of `run.json`; what it says is harmless to print from here on. The error is the reason.
pub(super) fn parse_run(bytes: &[u8]) -> std::result::Result<RunInfo, String> {
    let mut run: RunInfo = serde_json::from_slice(outside::without_mark(bytes))
        .map_err(|error| format!("not valid: {}", place(&error)))?;
    let RunInfo { command, started, seconds: _, jobs: _, machine } = &mut run;
    command.iter_mut().chain([started, machine]).for_each(|text| outside::tidy(text, LONGEST_TEXT));
    Ok(run)
}

/// Refuses names of kernels and families that could not have been measured.
fn check_names(results: &Results) -> std::result::Result<(), String> {
    let Results { settings, provenance, cells, findings, curves, shard, .. } = results;
    let mut names: BTreeSet<&str> = settings.kernels.iter().chain(&settings.families).map(String::as_str).collect();
    names.extend(provenance.libraries.keys().map(String::as_str));
    names.extend(cells.iter().flat_map(|cell| [cell.kernel.as_str(), &cell.family]));
    names.extend(findings.iter().flat_map(|finding| [finding.kernel.as_str(), &finding.family]));
    names.extend(curves.iter().map(|curve| curve.kernel.as_str()));
    names.extend(shard.iter().flat_map(Part::names));
    names.into_iter().try_for_each(|name| {
        outside::check_recorded_name(name).map_err(|reason| format!("{reason}; was the file edited?"))
    })
}

/// Makes every text of results a harmless line but for replay commands and what selects a kernel, which must stay what they are;
/// those are escaped where they are shown.
fn tidy(results: &mut Results) {
    fn tidy_finding(finding: &mut Finding) {
        let Finding { explanation, got, got_decimal, exact, rounded, .. } = finding;
        let Finding { logits, others, claims, answers_like, tried, passes_under, worst, .. } = finding;
        let others = others.0.iter_mut().flat_map(|(_, written)| match written {
            Written::Index(_) | Written::Indices(_) => &mut [],
            Written::Number(text) => std::slice::from_mut(text),
            Written::Row(words) => &mut words[..],
        });
        let likeness = answers_like.iter_mut().flat_map(|like| {
            let Likeness { kernel, class, parameter, and, .. } = like;
            let seconds = and.iter_mut();
            let texts =
                seconds.flat_map(|Second { kernel, class, parameter }| [kernel, class].into_iter().chain(parameter));
            [kernel, class].into_iter().chain(parameter).chain(texts)
        });
        let tried = tried.iter_mut().map(|tried| &mut tried.change);
        let worst = worst
            .iter_mut()
            .flat_map(|worst| [&mut worst.case, &mut worst.family, &mut worst.got_decimal, &mut worst.exact]);
        let texts = [explanation, got, got_decimal, exact, rounded];
        let texts = texts
            .into_iter()
            .chain(claims)
            .chain(logits)
            .chain(others)
            .chain(likeness)
            .chain(tried)
            .chain(worst)
            .chain(passes_under);
        texts.for_each(|text| outside::tidy(text, LONGEST_TEXT));
    }
    let Results { settings, provenance, cells, findings, shard, .. } = results;
    let checksum = settings.file.as_mut().map(|file| &mut file.checksum);
    let texts = [&mut provenance.logitfuzz, &mut provenance.mpfr].into_iter();
    let texts = texts.chain(provenance.libraries.values_mut()).chain(&mut settings.special).chain(&mut settings.claims);
    let texts = texts.chain(checksum).chain(cells.iter_mut().filter_map(|cell| cell.worst.as_mut()));
    texts.for_each(|text| outside::tidy(text, LONGEST_TEXT));
    findings.iter_mut().chain(shard.iter_mut().flat_map(Part::findings_mut)).for_each(tidy_finding);
}

fn lines<T: Serialize>(values: &[T]) -> Result<String> {
    let lines = values.iter().map(line).collect::<Result<Vec<_>>>()?;
    Ok(if lines.is_empty() { "[]".into() } else { format!("[\n{}\n]", lines.join(",\n")) })
}
