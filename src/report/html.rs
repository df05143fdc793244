//! `index.html`: one page that a browser opens from disk, without network and, but for its conveniences, without JavaScript.
//!
//! From the outside in: a sentence, the matrices (one for each dtype), the findings, then each kernel with its drawings, then
//! settings. Links lead from an entry of a matrix to the function's drawing and the families that broke it. Everything that
//! comes from results is escaped by `escape`; the page forbids itself any request.

use super::finding::{Told, decimal, meaning, meaning_of_grade};
use super::view::{FunctionView, KernelView, Ranked, Totals, View};
use crate::baseline::Comparison;
use crate::case::rows::classes_text;
use crate::dtype::Dtype;
use crate::judge::{Grade, Verdict};
use crate::op::Op;
use crate::outside;
use crate::results::{Cell, Results, RunInfo, Written};
use crate::words::{count, plural, plural_u64, ratio};
use std::fmt::Write as _;

mod plot;

pub(super) const STYLE: &str = include_str!("html/page.css");
const SCRIPT: &str = include_str!("html/page.js");

/// Findings shown for a kernel, the most telling first; the others are in `results.json`. They keep the page within 5 MB.
const FINDINGS_SHOWN: usize = 200;
/// The same for a planted defect, which is there to be caught and not to be studied.
const PLANTED_FINDINGS_SHOWN: usize = 20;
/// Values of a row shown at once; more are folded.
const VALUES_SHOWN: usize = 10;
/// Values of a row in the page at all.
const VALUES_KEPT: usize = 256;
/// Characters of a replay command in the page; a longer one (a long row) is read from `results.json`.
const REPLAY_KEPT: usize = 4000;
/// Families of a function shown at once; more are folded.
const FAMILIES_SHOWN: usize = 4;

/// Writes to a string, which cannot fail.
macro_rules! put {
    ($out:expr, $($arg:tt)*) => { let _ = write!($out, $($arg)*); };
}

/// The page. A pure function of its arguments.
pub fn page(results: &Results, run: Option<&RunInfo>, gate: Option<&Comparison>) -> String {
    let view = View::new(results);
    let mut out = String::new();
    put!(
        out,
        "<!doctype html>\n<html lang=en>\n<head>\n<meta charset=utf-8>\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:\">\n\
         <meta name=viewport content=\"width=device-width, initial-scale=1\">\n<link rel=icon href=\"data:,\">\n\
         <title>logitfuzz report</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n\
         <header><div><h1>logitfuzz</h1><nav><a href=\"#matrix\">Matrix</a> <a href=\"#findings\">Findings</a> \
         <a href=\"#kernels\">Kernels</a> <a href=\"#settings\">Settings</a></nav>\
         <input id=filter class=js-only type=search placeholder=\"Filter: kernel, op, dtype, family, verdict\" aria-label=\"Filter\">\
         <button id=theme class=js-only type=button>Theme: auto</button></div></header>\n<main>\n"
    );
    if !results.complete {
        out += "<p class=banner role=status>Interrupted: partial results. The counts below are of the cases that were run until then.</p>\n";
    }
    if let Some(gate) = gate {
        verdict_of_the_gate(&mut out, gate);
    }
    put!(out, "<p class=lead>{}</p>\n", view.headline(|name| format!("<code>{}</code>", escape(name))));
    let totals = view.totals();
    put!(
        out,
        "<p class=soft>{} in {} of (kernel, op, dtype, family), seed {}.</p>\n",
        plural_u64(totals.cases, "case"),
        plural(results.cells.len(), "cell"),
        results.settings.seed
    );
    glance(&mut out, &view);
    legend(&mut out);
    matrices(&mut out, &view);
    findings(&mut out, &view);
    kernels(&mut out, &view);
    declared(&mut out, results);
    strict(&mut out, results);
    settings(&mut out, results, run);
    put!(
        out,
        "</main>\n<footer>Made by logitfuzz {} from results.json; it loads nothing.</footer>\n",
        escape(&results.provenance.logitfuzz)
    );
    put!(out, "<script>\n{SCRIPT}</script>\n</body>\n</html>\n");
    out
}

/// Cells that are worse, written out; all are in `gate.json`.
const WORSE_SHOWN: usize = 100;

/// What the gate says, and where it is worse.
fn verdict_of_the_gate(out: &mut String, gate: &Comparison) {
    let (class, sign) = if gate.passes() { ("lead", "✓") } else { ("banner", "✕") };
    put!(
        out,
        "<p class={class} role=status>{sign} Gate {}. {}.</p>\n",
        escape(&gate.headline()),
        escape(&gate.in_words())
    );
    if gate.passes() {
        return;
    }
    let worse = gate.worst_first();
    out.push_str("<table><thead><tr><th>kernel<th>op<th>dtype<th>family<th>reason<th></tr></thead><tbody>\n");
    for (cell, regressions) in worse.iter().take(WORSE_SHOWN) {
        for regression in *regressions {
            let name = [&cell.name.kernel, &cell.name.op, &cell.name.dtype, &cell.name.family].map(|text| escape(text));
            put!(out, "<tr><td>{}", name.join("<td>"));
            put!(out, "<td>{}<td>{}</tr>\n", regression.reason.name(), escape(&regression.detail));
        }
    }
    out.push_str("</tbody></table>\n");
    if worse.len() > WORSE_SHOWN {
        put!(out, "<p class=soft>{} more are in gate.json.</p>\n", plural(worse.len() - WORSE_SHOWN, "cell"));
    }
}

/// Text for HTML, in elements and in quoted attributes.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out += "&amp;",
            '<' => out += "&lt;",
            '>' => out += "&gt;",
            '"' => out += "&quot;",
            '\'' => out += "&#39;",
            // White space is none in HTML, and makes nothing there.
            '\n' | '\r' | '\t' => out.push(c),
            _ if outside::is_hidden(c) => out.extend(c.escape_unicode()),
            _ => out.push(c),
        }
    }
    out
}

/// The style class and the sign of a verdict: colour never stands alone.
pub(super) const fn tone(verdict: Verdict) -> (&'static str, &'static str) {
    match verdict {
        Verdict::Pass => ("pass", "✓"),
        Verdict::Undecided => ("open", "?"),
        Verdict::Inconsistent | Verdict::Relation | Verdict::Inaccurate | Verdict::Sign => ("off", "▲"),
        Verdict::Range | Verdict::Zero | Verdict::Inf | Verdict::Nan | Verdict::Swallowed | Verdict::Contaminated => {
            ("wrong", "✕")
        }
        Verdict::Flaky
        | Verdict::Unwritten
        | Verdict::FenvChanged
        | Verdict::InputChanged
        | Verdict::OutOfBounds
        | Verdict::Panic
        | Verdict::Hang
        | Verdict::Crash => ("died", "■"),
    }
}

/// The class and the words of a verdict, or of none.
fn words(verdict: Option<Verdict>) -> (&'static str, String) {
    match verdict {
        Some(verdict) => {
            let (class, sign) = tone(verdict);
            (class, format!("{sign} {verdict}"))
        }
        None => ("none", "– not run".to_owned()),
    }
}

pub(super) fn pill(verdict: Option<Verdict>) -> String {
    let (class, words) = words(verdict);
    format!("<span class=\"pill {class}\">{words}</span>")
}

/// A ratio in words of the page: a dash for none.
fn ratio_text(value: Option<f64>) -> String {
    value.map_or_else(|| "–".into(), |x| figure_text(&ratio(x)).to_owned())
}

/// A figure in words of the page: `∞` for an infinite one.
fn figure_text(figure: &str) -> &str {
    if figure == "inf" { "∞" } else { figure }
}

/// A share of a whole that is not zero; never rounded to none or to all.
fn percent(part: u64, whole: u64) -> String {
    let share = 100.0 * part as f64 / whole as f64;
    match share {
        _ if part == whole => "all".into(),
        ..0.1 => "&lt;0.1%".into(),
        ..10.0 => format!("{share:.1}%"),
        _ => format!("{:.0}%", share.min(99.0)),
    }
}

/// The anchor of a function.
fn anchor(kernel: usize, dtype: Dtype, op: Op) -> String {
    format!("k{kernel}-{dtype}-{op}")
}

/// The answer first: each ordinary kernel on a line, whether it holds, and if not, how much and where.
fn glance(out: &mut String, view: &View) {
    if view.group(false).next().is_none() {
        return;
    }
    out.push_str("<table class=glance><tbody>\n");
    for (index, kernel) in view.group(false) {
        let (name, totals) = (escape(kernel.name), &kernel.totals);
        let (class, sign, answer) = match totals.worst() {
            None => ("none", "–", "not run"),
            Some(worst) => {
                let (class, sign) = tone(worst);
                let answer = match worst {
                    Verdict::Pass => "holds",
                    Verdict::Undecided => "undecided",
                    _ => "breaks",
                };
                (class, sign, answer)
            }
        };
        put!(
            out,
            "<tr data-k=\"{name}\"><th scope=row><a href=\"#k{index}\"><code>{name}</code></a></th>\
             <td><span class=\"pill {class}\">{sign} {answer}</span></td><td class=num>{}</td><td>",
            share(totals)
        );
        if totals.failures() > 0 {
            put!(
                out,
                "{}: {}<small>{}</small>",
                percent(totals.failures(), totals.cases),
                broken_ops(view, kernel),
                totals.verdict_counts()
            );
        }
        out.push_str("</td></tr>\n");
    }
    out.push_str("</tbody></table>\n");
}

/// The ops in which a kernel fails.
fn broken_ops(view: &View, kernel: &KernelView) -> String {
    let fails = |op: Op| kernel.functions.iter().any(|(&(_, of), function)| of == op && function.totals.failures() > 0);
    let (broken, whole): (Vec<Op>, Vec<Op>) = view.ops.iter().partition(|&&op| fails(op));
    let names = |ops: &[Op]| ops.iter().map(|op| op.name()).collect::<Vec<_>>().join(", ");
    match (broken.len(), whole.len()) {
        (2.., 0) => "all ops".into(),
        // The shorter of the two lists.
        (broken, whole_len @ 1..) if broken > 2 * whole_len => format!("all ops but {}", names(&whole)),
        _ => names(&broken),
    }
}

fn legend(out: &mut String) {
    out.push_str(
        "<details class=box><summary>How to read this page</summary>\n\
         <p>Every output is compared with its exact value, computed in as many digits as it takes. The <b>error</b> is counted in \
         <b>ulps</b>: the distance between neighbouring numbers of the dtype at the exact value. A perfectly rounded result is off by at \
         most 0.5.</p>\n\
         <p>The <b>bound</b> is the error that the textbook algorithm can make on this very input, so hard inputs are forgiven what they \
         cost any careful kernel, and nothing more. The <b>ratio</b> is error over bound: up to 1 is as good as the textbook, above 1 is \
         worse, and ∞ means that there is no finite error to speak of. A matrix shows the worst verdict and the largest ratio of all \
         families of inputs. Below, a verdict counts cases (a case has the worst verdict of its outputs), a grade counts outputs.</p>\n\
         <div class=legend>\n",
    );
    for verdict in Verdict::ALL {
        put!(out, "<div><span>{}</span><span>{}</span></div>\n", pill(Some(verdict)), meaning(verdict));
    }
    put!(
        out,
        "<div><span>{}</span><span>selected, but the run was interrupted or the kernel given up on</span></div>\n",
        pill(None)
    );
    out.push_str("</div>\n<p>Grades of outputs that pass:</p>\n<div class=legend>\n");
    for grade in Grade::ALL {
        put!(out, "<div><b>{grade}</b><span>{}</span></div>\n", meaning_of_grade(grade));
    }
    out.push_str("</div></details>\n");
}

fn matrices(out: &mut String, view: &View) {
    out.push_str("<h2 id=matrix>Matrix</h2>\n<p class=soft>Worst verdict, largest error / bound, and how many of the cases fail. Choose an entry for the families of inputs that broke it.</p>\n");
    for &dtype in &view.dtypes {
        put!(out, "<h3>{dtype}</h3>\n");
        if view.group(false).next().is_some() {
            matrix(out, view, dtype, false);
        }
        let planted = view.group(true).count();
        if planted > 0 {
            let caught = |kernel: &KernelView| {
                kernel.functions.iter().any(|(&(of, _), function)| of == dtype && function.totals.failures() > 0)
            };
            let caught = view.group(true).filter(|(_, kernel)| caught(kernel)).count();
            put!(
                out,
                "<details class=\"folded group\"{}>",
                if view.group(false).next().is_none() { " open" } else { "" }
            );
            put!(out, "<summary>{}, {caught} caught in {dtype}</summary>\n", plural(planted, "planted defect"));
            matrix(out, view, dtype, true);
            out.push_str("</details>\n");
        }
    }
}

/// What passes as the textbook does and would not pass under `--strict`.
fn strict(out: &mut String, results: &Results) {
    let rows = super::strict::rows(results);
    if rows.is_empty() {
        return;
    }
    put!(
        out,
        "<details class=box id=strict><summary>What strict would say</summary>\n<p class=soft>{}</p>\n<table class=declared><thead><tr>\
         <th>kernel</th><th>op</th><th>error / tight bound</th></tr></thead><tbody>\n",
        super::strict::ABOUT
    );
    for row in rows {
        let words = row.in_words(|x| ratio_text(Some(x)));
        put!(out, "<tr><td><code>{}</code></td><td>{}</td><td>{words}</td></tr>\n", escape(row.kernel), row.op);
    }
    out.push_str("</tbody></table>\n</details>\n");
}

/// What the kernels declare of themselves, and how many passes needed it.
fn declared(out: &mut String, results: &Results) {
    let rows = super::declared::rows(results);
    if rows.is_empty() {
        return;
    }
    out.push_str(
        "<h2 id=declared>What kernels declare</h2>\n<p class=soft>A pass is worth what the kernel is held to. The last column counts the \
         cases that pass only thanks to these claims.</p>\n<table class=declared><thead><tr><th>kernel<th>declares<th>ops<th>dtypes<th>passes that \
         need it</tr></thead><tbody>\n",
    );
    for row in rows {
        put!(
            out,
            "<tr><td><code>{}</code><td><code>{}</code><td>{}<td>{}<td class=num>{}</tr>\n",
            escape(row.kernel),
            escape(&row.declares),
            row.ops.join(", "),
            row.dtypes.join(" "),
            count(row.needed)
        );
    }
    out.push_str("</tbody></table>\n");
}

/// A name that may be broken after its underscores.
fn breakable(op: Op) -> String {
    op.name().replace('_', "_<wbr>")
}

fn matrix(out: &mut String, view: &View, dtype: Dtype, planted: bool) {
    out.push_str("<table class=matrix><thead><tr><th scope=col>kernel</th>");
    for &op in &view.ops {
        put!(out, "<th scope=col>{}</th>", breakable(op));
    }
    out.push_str("</tr></thead><tbody>\n");
    for (index, kernel) in view.group(planted) {
        let name = escape(kernel.name);
        let version = kernel.version.map_or_else(String::new, |version| format!(" <small>{}</small>", escape(version)));
        put!(out, "<tr data-k=\"{name}\"><th scope=row><a href=\"#k{index}\"><code>{name}</code></a>{version}</th>");
        for &op in &view.ops {
            let op_label = format!("<span class=op>{}</span>", breakable(op));
            match kernel.functions.get(&(dtype, op)) {
                Some(function) => {
                    let (class, words) = words(function.totals.worst());
                    put!(out, "<td class={class}><a href=\"#{}\">{op_label}<b>{words}</b>", anchor(index, dtype, op));
                    if function.totals.max_ratio.is_some() {
                        put!(out, "<i>{}", ratio_text(function.totals.max_ratio));
                        if function.totals.failures() > 0 {
                            put!(out, "<u>{}</u>", percent(function.totals.failures(), function.totals.cases));
                        }
                        out.push_str("</i>");
                    }
                    let (undecided, not_run) = (function.totals.undecided(), function.totals.not_run);
                    if undecided > 0 {
                        put!(out, "<i>{} undecided</i>", count(undecided));
                    }
                    if not_run > 0 {
                        put!(out, "<i>{} not run</i>", count(not_run));
                    }
                    out.push_str("</a></td>");
                }
                None if view.results.complete => {
                    put!(out, "<td class=soft><span>{op_label}not offered</span></td>");
                }
                None => {
                    put!(out, "<td class=none><span>{op_label}– not run</span></td>");
                }
            }
        }
        out.push_str("</tr>\n");
    }
    out.push_str("</tbody></table>\n");
}

fn findings(out: &mut String, view: &View) {
    out.push_str("<h2 id=findings>Findings</h2>\n");
    if view.results.findings.is_empty() {
        out.push_str("<p>None: no case failed.</p>\n");
        return;
    }
    out.push_str("<p class=soft>Failing inputs, each made as small as it gets while it still fails in the same way. One of each kind comes first.</p>\n");
    for planted in [false, true] {
        let group: Vec<_> = view.group(planted).filter(|(_, kernel)| !kernel.findings.is_empty()).collect();
        if group.is_empty() {
            continue;
        }
        if planted {
            put!(
                out,
                "<details class=\"folded group\"><summary>Findings of {}</summary>\n",
                plural(group.len(), "planted defect")
            );
        }
        for (position, (index, kernel)) in group.into_iter().enumerate() {
            let open = if position == 0 && !planted { " open" } else { "" };
            put!(
                out,
                "<details class=\"box group\"{open}><summary><code>{}</code>{}<small class=end>{} of {}</small></summary>\n",
                escape(kernel.name),
                pill(kernel.findings.first().map(|ranked| ranked.finding.verdict)),
                plural(kernel.findings.len(), "finding"),
                plural(kernel.kinds(), "kind"),
            );
            let shown = if planted { PLANTED_FINDINGS_SHOWN } else { FINDINGS_SHOWN };
            for (number, ranked) in kernel.findings.iter().take(shown).enumerate() {
                finding(out, ranked, &format!("f{index}-{number}"), number == 0 && !open.is_empty());
            }
            if let Some(rest) = kernel.findings.len().checked_sub(shown).filter(|&rest| rest > 0) {
                put!(out, "<p class=soft>{} more in results.json.</p>\n", count(rest as u64));
            }
            out.push_str("</details>\n");
        }
        if planted {
            out.push_str("</details>\n");
        }
    }
}

fn finding(out: &mut String, ranked: &Ranked, id: &str, open: bool) {
    let f = ranked.finding;
    let told = Told::new(f);
    put!(
        out,
        "<details class=finding id={id}{} data-k=\"{} {} {} {} {} {}\"><summary>{}<b>{}</b><span>{}</span><span class=soft>{}</span>\
         <span class=num>{}</span></summary><div>\n",
        if open { " open" } else { "" },
        escape(&f.kernel),
        f.op,
        f.dtype,
        escape(&f.family),
        f.verdict,
        f.cause_name(),
        pill(Some(f.verdict)),
        f.op,
        f.dtype,
        told.cause,
        told.error
            .as_ref()
            .map_or_else(String::new, |error| { format!("{} ulps, ratio {}", error.ulps, figure_text(&error.ratio)) }),
    );
    put!(out, "<p>{}</p>\n<dl class=facts>", escape(&f.explanation));
    values(out, &format!("logits, n = {}", f.len), &f.logits, f.dtype);
    for (name, written) in &f.others.0 {
        let name = name.replace('_', " ");
        match written {
            Written::Index(index) => {
                put!(out, "<dt>{name}</dt><dd>{index}</dd>");
            }
            Written::Number(text) => {
                put!(out, "<dt>{name}</dt><dd>{}</dd>", both(text, f.dtype));
            }
            Written::Row(words) => values(out, &name, words, f.dtype),
            Written::Indices(classes) => {
                put!(out, "<dt>{name}</dt><dd>{}</dd>", classes_text(classes));
            }
        }
    }
    if f.index.is_some() {
        put!(
            out,
            "<dt>worst output</dt><dd>{}</dd>",
            told.index.map_or("the only one".into(), |index| format!("index {index}"))
        );
        put!(
            out,
            "<dt>exact value</dt><dd><code>{}</code></dd><dt>in {}</dt><dd>{}</dd>\
             <dt>kernel returned</dt><dd><b>{}</b> <code class=soft>{}</code></dd>",
            escape(&f.exact),
            f.dtype,
            both(&f.rounded, f.dtype),
            escape(&f.got_decimal),
            escape(&f.got),
        );
    }
    put!(
        out,
        "<dt>error</dt><dd>{}</dd><dt>found in</dt><dd>family {}, case {}</dd></dl>\n",
        // An error that is not finite cannot be compared with the bound; then the verdict says what is wrong.
        told.error.as_ref().map_or_else(
            || meaning(f.verdict).to_owned(),
            |error| {
                let (bound, ratio) = (figure_text(&told.bound), figure_text(&error.ratio));
                format!("{} ulps; the bound is {bound}; ratio {ratio}", error.ulps)
            }
        ),
        escape(&f.family),
        count(f.case_index),
    );
    if let [head, rows @ ..] = &told.batch_in_words()[..] {
        let rows: Vec<String> = rows.iter().map(|row| format!("<code>{}</code>", escape(row))).collect();
        put!(out, "<p>{} {}</p>\n", escape(head), rows.join("; "));
    }
    if let Some(worst) = &f.worst {
        put!(out, "<p>{} <code>{}</code></p>\n", escape(&told.worst_in_words(worst)), escape(&worst.case));
    }
    if let Some(replay) = told.command(REPLAY_KEPT) {
        put!(
            out,
            "<div class=command><code>{}</code><button class=\"copy js-only\" type=button>Copy</button></div>",
            escape(replay)
        );
    } else {
        out.push_str("<p class=soft>The row is long; the command that replays it is in results.json.</p>");
    }
    out.push_str("</div></details>\n");
}

/// A hex float in decimal and in hex. What is no number is shown as it is.
fn both(hex: &str, dtype: Dtype) -> String {
    let decimal = decimal(hex, dtype);
    if decimal == hex { escape(hex) } else { format!("{} <code class=soft>{}</code>", escape(&decimal), escape(hex)) }
}

/// A row of values: the first few in decimal, the whole in hex if it is not too long.
fn values(out: &mut String, name: &str, words: &[String], dtype: Dtype) {
    let shown: Vec<String> = words.iter().take(VALUES_SHOWN).map(|word| decimal(word, dtype)).collect();
    put!(out, "<dt>{name}</dt><dd>{}", escape(&shown.join(", ")));
    let hex = words[..words.len().min(VALUES_KEPT)].join(", ");
    if words.is_empty() {
        out.push_str("none");
    } else if words.len() <= VALUES_SHOWN {
        put!(out, "<br><code class=soft>{}</code>", escape(&hex));
    } else {
        put!(
            out,
            ", … <details><summary class=soft>all of it in hex</summary><code class=soft>{}</code>",
            escape(&hex)
        );
        if words.len() > VALUES_KEPT {
            put!(out, " … and {} more in results.json", count((words.len() - VALUES_KEPT) as u64));
        }
        out.push_str("</details>");
    }
    out.push_str("</dd>");
}

fn kernels(out: &mut String, view: &View) {
    out.push_str(
        "<h2 id=kernels>Kernels</h2>\n\
         <p class=soft>Error in ulps against the size of the input (the largest |logit| of the row). \
         <svg class=key viewBox=\"0 0 32 20\"><path class=b d=\"M2 10h28\"/></svg> the bound, \
         <svg class=key viewBox=\"0 0 32 20\"><path class=p d=\"M16 10h0\"/></svg> within it, \
         <svg class=key viewBox=\"0 0 32 20\"><path class=t d=\"M11 14h10l-5-9z\"/></svg> above it, \
         <svg class=key viewBox=\"0 0 32 20\"><path class=f d=\"M11 5l10 10m0-10l-10 10\"/></svg> NaN or an infinity that is not due. \
         Of each size the output with the largest ratio is shown; 0 on the left is a row of zeros. The axis ends where no digit is \
         right; what is above is drawn at its end.</p>\n",
    );
    for planted in [false, true] {
        if view.group(planted).next().is_none() {
            continue;
        }
        if planted {
            put!(
                out,
                "<details class=\"folded group\"><summary>{}</summary>\n",
                plural(view.group(true).count(), "planted defect")
            );
        }
        for (index, kernel) in view.group(planted) {
            let name = escape(kernel.name);
            put!(
                out,
                "<details class=box id=k{index} data-k=\"{name}\"><summary><code>{name}</code>{}<small class=end>{}</small></summary>\n",
                pill(kernel.totals.worst()),
                share(&kernel.totals),
            );
            histograms(out, view, kernel);
            for &op in &view.ops {
                if view.dtypes.iter().any(|&dtype| kernel.functions.contains_key(&(dtype, op))) {
                    put!(out, "<h4>{op}<small>{}</small></h4>\n<div class=plots>\n", escape(op.formula()));
                    for &dtype in &view.dtypes {
                        if let Some(function) = kernel.functions.get(&(dtype, op)) {
                            figure(out, kernel, function, &anchor(index, dtype, op), dtype, op);
                        }
                    }
                    out.push_str("</div>\n");
                }
            }
            out.push_str("</details>\n");
        }
        if planted {
            out.push_str("</details>\n");
        }
    }
}

/// `12 of 4,800 cases fail`, or that all pass.
fn share(totals: &Totals) -> String {
    match totals.failures() {
        0 if totals.cases == 0 => "no case run".into(),
        0 => format!("no failure in {}", plural_u64(totals.cases, "case")),
        failures => format!("{} of {} fail", count(failures), plural_u64(totals.cases, "case")),
    }
}

fn histograms(out: &mut String, view: &View, kernel: &KernelView) {
    out.push_str("<h4>All ops<small>outputs by error in ulps; the scale of counts is logarithmic</small></h4>\n<div class=plots>\n");
    for &dtype in &view.dtypes {
        let mut counts: Vec<u64> = Vec::new();
        let cells =
            kernel.functions.iter().filter(|&(&(of, _), _)| of == dtype).flat_map(|(_, function)| &function.cells);
        for cell in cells {
            counts.resize(counts.len().max(cell.ulp_histogram.len()), 0);
            counts.iter_mut().zip(&cell.ulp_histogram).for_each(|(sum, n)| *sum += n);
        }
        if !counts.is_empty() {
            let label = format!("{} {dtype}: outputs by error in ulps", kernel.name);
            put!(
                out,
                "<figure><figcaption><b>{dtype}</b><span class=end>{}</span></figcaption>{}</figure>\n",
                plural_u64(counts.iter().sum(), "output"),
                plot::bars(&counts, &label)
            );
        }
    }
    out.push_str("</div>\n");
}

fn figure(out: &mut String, kernel: &KernelView, function: &FunctionView, id: &str, dtype: Dtype, op: Op) {
    put!(
        out,
        "<figure id={id}><figcaption><b>{dtype}</b>{}<span class=end>{}</span></figcaption>",
        pill(function.totals.worst()),
        ratio_text(function.totals.max_ratio)
    );
    if let Some(curve) = function.curve.filter(|curve| !curve.points.is_empty()) {
        out.push_str(&plot::curve(
            &curve.points,
            dtype.output().format().precision,
            &format!("{} {op} {dtype}: error against input", kernel.name),
        ));
    }
    let broken = function.broken();
    if broken.is_empty() {
        let hardest = function
            .cells
            .iter()
            .filter(|cell| !cell.max_ratio.is_nan())
            .max_by(|a, b| a.max_ratio.total_cmp(&b.max_ratio));
        put!(out, "<p>{}, {}: all pass", families(function.cells.len()), plural_u64(function.totals.cases, "case"));
        if let Some(cell) = hardest {
            put!(out, "; the hardest is <code>{}</code>", escape(&cell.family));
        }
        if let Some(grade) = function.totals.worst_grade() {
            put!(out, "; worst grade {grade}");
        }
        out.push_str(".</p>");
    } else {
        let item = |out: &mut String, (cell, totals): &(&Cell, Totals)| {
            put!(
                out,
                "<li><code>{}</code><span class=num>{}</span><small>",
                escape(&cell.family),
                ratio_text(totals.max_ratio)
            );
            let counts = totals.verdict_counts();
            if !counts.is_empty() {
                put!(out, "{counts} of {}", plural_u64(cell.cases, "case"));
            }
            if cell.not_run > 0 {
                put!(out, "{}{} not run", if counts.is_empty() { "" } else { "; " }, count(cell.not_run));
            }
            out.push_str("</small></li>");
        };
        let (shown, folded) = broken.split_at(broken.len().min(FAMILIES_SHOWN));
        out.push_str("<ul class=families>");
        shown.iter().for_each(|family| item(out, family));
        out.push_str("</ul>");
        if !folded.is_empty() {
            put!(out, "<details><summary>{} more</summary><ul class=families>", folded.len());
            folded.iter().for_each(|family| item(out, family));
            out.push_str("</ul></details>");
        }
    }
    out.push_str("</figure>\n");
}

fn families(n: usize) -> String {
    if n == 1 { "1 family".into() } else { format!("{n} families") }
}

fn settings(out: &mut String, results: &Results, run: Option<&RunInfo>) {
    out.push_str("<h2 id=settings>Settings and provenance</h2>\n<dl class=facts>");
    for (name, value) in super::view::facts(results, run) {
        put!(out, "<dt>{name}</dt><dd>{}</dd>", escape(&value));
    }
    out.push_str("</dl>\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_never_round_to_none_or_all() {
        for (part, whole, want) in
            [(1, 1_000_000, "&lt;0.1%"), (1, 200, "0.5%"), (50, 200, "25%"), (999, 1000, "99%"), (7, 7, "all")]
        {
            assert_eq!(percent(part, whole), want);
        }
    }

    #[test]
    fn a_row_is_decimal_for_people_and_hex_for_machines() {
        let row = |words: &[&str]| {
            let mut out = String::new();
            values(&mut out, "logits", &words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>(), Dtype::F32);
            out
        };
        assert!(
            row(&["0x1.f4p+9", "-inf*70000"])
                .contains("<dd>1000, -inf × 70000<br><code class=soft>0x1.f4p+9, -inf*70000</code>")
        );
        assert!(row(&[]).contains("none"));
        let long = row(&["0x1p+0"; VALUES_KEPT + 1]);
        assert!(long.contains("<details>") && long.contains("and 1 more in results.json"));
        assert_eq!(long.matches("0x1p+0").count(), VALUES_KEPT);
        assert!(row(&["<b>"]).contains("&lt;b&gt;") && !row(&["<b>"]).contains("<b>"));
    }
}
