//! `index.html` of an exhaustive run. It shows where a kernel does not pass: elements and gaps as a strip, pairs as a map, both by rank,
//! so that every value of the dtype has the same room.

use super::put;
use super::{failing, headline, held_to, region_in_words, replay, size_in_words, verdicts, what_is_left_out};
use crate::dtype::Dtype;
use crate::exhaust::certificate::{Map, Region, Worst};
use crate::exhaust::map::{MAP_CELLS, MAP_NONE, MAP_PASS};
use crate::exhaust::{Certificate, Domain};
use crate::judge::Verdict;
use crate::report::finding::meaning;
use crate::report::html::{STYLE, escape, pill, tone};
use crate::words::{count, ratio, short};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// Colours of the drawings, and tables of regions.
const OWN_STYLE: &str = "\
.draw rect.pass, .draw path.pass { fill: var(--pass); stroke: none; }
.draw path.off { fill: var(--off-text); stroke: none; }
.draw path.wrong { fill: var(--wrong-text); stroke: none; }
.draw path.died { fill: var(--died-text); stroke: none; }
.draw path.open { fill: var(--open-text); stroke: none; }
.draw path.none { fill: var(--line); stroke: none; }
.draw text { font-size: 13px; }
.plane { max-width: 44rem; }
";

/// Columns of a strip.
const STRIP_COLUMNS: u64 = 1024;
/// Its height, and that of a map's cell.
const STRIP_HEIGHT: u64 = 40;
const CELL: u64 = 3;
/// Room beside and below a drawing, for its marks.
const LEFT: u64 = 56;
const BELOW: u64 = 24;
/// Regions that are written out.
const REGIONS_SHOWN: usize = 200;

/// The page. A pure function of the certificate.
pub(crate) fn page(certificate: &Certificate) -> String {
    let mut out = String::new();
    put!(
        out,
        "<!doctype html>\n<html lang=en>\n<head>\n<meta charset=utf-8>\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; img-src data:\">\n\
         <meta name=viewport content=\"width=device-width, initial-scale=1\">\n<link rel=icon href=\"data:,\">\n\
         <title>logitfuzz certificate</title>\n<style>\n{STYLE}{OWN_STYLE}</style>\n</head>\n<body>\n\
         <header><div><h1>logitfuzz</h1></div></header>\n<main>\n"
    );
    put!(out, "<p class=lead>{}.</p>\n", headline(certificate, |name| format!("<code>{}</code>", escape(name))));
    put!(out, "<p class=soft>Not sampled: {}.</p>\n", escape(&certificate.inputs_are));
    facts(&mut out, certificate);
    if certificate.judged > 0 {
        put!(out, "<h2>{}</h2>\n", if failing(certificate) > 0 { "Where it fails" } else { "All inputs" });
        drawings(&mut out, certificate);
    }
    regions(&mut out, certificate);
    put!(
        out,
        "</main>\n<footer>Made by logitfuzz {} from certificate.json; it loads nothing.</footer>\n</body>\n</html>\n",
        escape(&certificate.provenance.logitfuzz)
    );
    out
}

fn facts(out: &mut String, certificate: &Certificate) {
    let Certificate { provenance, .. } = certificate;
    let libraries: String =
        provenance.libraries.values().map(|version| format!(", library {}", escape(version))).collect();
    out.push_str("<dl class=facts>\n");
    put!(out, "<dt>inputs<dd>{} judged of {}\n", count(certificate.judged), count(certificate.inputs));
    put!(out, "<dt>outputs<dd>{}\n", count(certificate.outputs));
    put!(out, "<dt>verdicts<dd>{}\n", verdicts(certificate));
    let grades = certificate.grades.iter().map(|(grade, &outputs)| format!("{grade} {}", count(outputs)));
    put!(out, "<dt>grades of outputs<dd>{}\n", grades.collect::<Vec<_>>().join(", "));
    put!(out, "<dt>held to<dd>{}\n", escape(&held_to(certificate)));
    let mut worst = |what: &str, found: &Option<Worst>, show: &dyn Fn(f64) -> String, unit: &str| {
        let words = found.as_ref().map_or("0".to_owned(), |Worst { value, case, decimal }| {
            let again = escape(&replay(certificate, case));
            format!("{}{unit} at <code>{}</code><br><code>{again}</code>", show(*value), escape(decimal))
        });
        put!(out, "<dt>{what}<dd>{words}\n");
    };
    worst("largest error", &certificate.worst_error, &short, " ulp");
    worst("largest error / bound", &certificate.worst_ratio, &ratio, "");
    put!(
        out,
        "<dt>made with<dd>logitfuzz {}, {}{libraries}\n</dl>\n",
        escape(&provenance.logitfuzz),
        escape(&provenance.numbers())
    );
}

/// The drawings, and what their colours mean.
fn drawings(out: &mut String, certificate: &Certificate) {
    out.push_str(
        "<p class=soft>Values are in their order, and each takes the same width, so that every binade does. A column or a cell has the worst \
         verdict of its inputs.</p>\n",
    );
    if certificate.domain == Domain::Pairs {
        certificate.maps.iter().for_each(|map| plane(out, certificate, map));
        if certificate.maps.is_empty() {
            out.push_str("<p>No cell of the map has an input that does not pass.</p>\n");
        }
    } else {
        strips(out, certificate);
    }
    let seen: BTreeSet<Verdict> = certificate.verdicts.keys().copied().collect();
    out.push_str("<div class=legend>\n");
    for verdict in seen {
        put!(out, "<div><span>{}</span><span>{}</span></div>\n", pill(Some(verdict)), meaning(verdict));
    }
    if certificate.judged < certificate.inputs {
        put!(out, "<div><span>{}</span><span>not judged yet, or of another shard</span></div>\n", pill(None));
    }
    out.push_str("</div>\n");
}

/// The class of a verdict, which is its colour.
fn class(verdict: Verdict) -> &'static str {
    tone(verdict).0
}

/// Of elements and gaps: a strip for each layer.
fn strips(out: &mut String, certificate: &Certificate) {
    // A certificate without failures names no layers; then one strip stands for all.
    let mut layers: Vec<&str> = certificate.regions.iter().map(|region| region.layer.as_str()).collect();
    layers.dedup();
    if layers.is_empty() {
        layers.push("");
    }
    for layer in layers {
        put!(
            out,
            "<figure><figcaption><code>{}</code></figcaption>\n<svg class=draw role=img viewBox=\"0 0 {} {}\"><title>where {} does not pass</title>\
             <rect class=pass x={LEFT} y=0 width={STRIP_COLUMNS} height={STRIP_HEIGHT} />",
            escape(layer),
            STRIP_COLUMNS + 2 * LEFT,
            STRIP_HEIGHT + BELOW,
            escape(&certificate.kernel)
        );
        let mut columns = vec![None; STRIP_COLUMNS as usize];
        for region in certificate.regions.iter().filter(|region| region.layer == layer) {
            if let Some((low, high)) = place(certificate, region) {
                let (low, high) = (low * STRIP_COLUMNS, high * STRIP_COLUMNS);
                let length = line_len(certificate);
                let range = (low / length) as usize..=((high / length) as usize).min(columns.len() - 1);
                let columns = columns.get_mut(range).unwrap_or_default();
                columns.iter_mut().for_each(|column| *column = (*column).max(Some(region.verdict)));
            }
        }
        let mut paths: BTreeMap<&str, String> = BTreeMap::new();
        let mut at = 0;
        for run in columns.chunk_by(|a, b| a == b) {
            if let Some(verdict) = run[0] {
                let (x, width) = (LEFT + at, run.len());
                let path = paths.entry(class(verdict)).or_default();
                put!(path, "M{x} 0h{width}v{STRIP_HEIGHT}h-{width}z");
            }
            at += run.len() as u64;
        }
        for (class, path) in paths {
            put!(out, "<path class={class} d=\"{path}\"/>");
        }
        for (mark, rank) in marks(certificate) {
            let x = LEFT + rank * STRIP_COLUMNS / line_len(certificate);
            let (low, text) = (STRIP_HEIGHT + 5, STRIP_HEIGHT + 19);
            put!(out, "<path class=a d=\"M{x} {STRIP_HEIGHT}V{low}\"/><text class=m x={x} y={text}>{mark}</text>");
        }
        out.push_str("</svg></figure>\n");
    }
}

/// Values of a line.
fn line_len(certificate: &Certificate) -> u64 {
    let ranks = certificate.ranks();
    match certificate.domain {
        Domain::Gaps => ranks.rank(f64::INFINITY) - ranks.rank(0.0) + 1,
        Domain::Elements | Domain::Pairs => ranks.count(),
    }
}

/// Where the values of a region begin and end on their line; none where a file has something else there.
fn place(certificate: &Certificate, region: &Region) -> Option<(u64, u64)> {
    let ranks = certificate.ranks();
    let (low, high) = region.values.values(certificate.dtype)?;
    let from = if certificate.domain == Domain::Gaps { ranks.rank(0.0) } else { 0 };
    let (low, high) = (ranks.rank(low).checked_sub(from)?, ranks.rank(high).checked_sub(from)?);
    (low <= high).then_some((low, high))
}

/// Values that are marked, with their places on a line: far enough apart for their words.
fn marks(certificate: &Certificate) -> Vec<(&'static str, u64)> {
    let ranks = certificate.ranks();
    let (words, power) = match certificate.dtype.input() {
        Dtype::F16 => (["−2¹⁰", "−2⁻¹⁰", "2⁻¹⁰", "2¹⁰"], 10.0),
        _ => (["−2⁶⁴", "−2⁻⁶⁴", "2⁻⁶⁴", "2⁶⁴"], 64.0),
    };
    let (large, small) = (f64::exp2(power), f64::exp2(-power));
    let positive = [("0", 0.0), (words[2], small), ("1", 1.0), (words[3], large), ("∞", f64::INFINITY)];
    if certificate.domain == Domain::Gaps {
        return positive.into_iter().map(|(mark, x)| (mark, ranks.rank(x) - ranks.rank(0.0))).collect();
    }
    let negative = [("−∞", f64::NEG_INFINITY), (words[0], -large), ("−1", -1.0), (words[1], -small)];
    negative.into_iter().chain(positive).map(|(mark, x)| (mark, ranks.rank(x))).collect()
}

/// Of pairs: the plane of a layer, the first logit downwards and the second across.
fn plane(out: &mut String, certificate: &Certificate, map: &Map) {
    let size = MAP_CELLS * CELL;
    put!(
        out,
        "<figure class=plane><figcaption><code>{}</code> <span class=soft>x downwards, y across</span></figcaption>\n\
         <svg class=draw role=img viewBox=\"0 0 {} {}\"><title>where {} does not pass</title>\
         <rect class=pass x={LEFT} y=10 width={size} height={size} />",
        escape(&map.layer),
        size + 2 * LEFT,
        size + 10 + BELOW,
        escape(&certificate.kernel)
    );
    let mut paths: BTreeMap<&str, String> = BTreeMap::new();
    for (row, line) in (0..MAP_CELLS).zip(&map.rows) {
        let cells: Vec<char> = line.chars().take(MAP_CELLS as usize).collect();
        let mut at = 0;
        for run in cells.chunk_by(|a, b| a == b) {
            let class = match run[0] {
                MAP_PASS => None,
                MAP_NONE => Some("none"),
                letter => map.key.get(&letter).copied().map(class),
            };
            if let Some(class) = class {
                let (x, y, width) = (LEFT + at * CELL, 10 + row * CELL, run.len() as u64 * CELL);
                put!(paths.entry(class).or_default(), "M{x} {y}h{width}v{CELL}h-{width}z");
            }
            at += run.len() as u64;
        }
    }
    for (class, path) in paths {
        put!(out, "<path class={class} d=\"{path}\"/>");
    }
    for (mark, rank) in marks(certificate) {
        let at = rank * size / line_len(certificate);
        let (x, y, bottom) = (LEFT + at, 10 + at, 10 + size);
        let (end, left) = (bottom + 5, LEFT - 5);
        put!(out, "<path class=a d=\"M{x} {bottom}V{end}M{LEFT} {y}H{left}\"/>");
        put!(out, "<text class=m x={x} y={}>{mark}</text>", bottom + 19);
        put!(out, "<text class=e x={} y={}>{mark}</text>", LEFT - 8, y + 4);
    }
    out.push_str("</svg></figure>\n");
}

fn regions(out: &mut String, certificate: &Certificate) {
    if certificate.regions.is_empty() {
        return;
    }
    let all = count(certificate.regions_in_all);
    put!(out, "<h2>Regions ({all})</h2>\n");
    if let Some(left_out) = what_is_left_out(certificate) {
        put!(out, "<p>Not exact: {}.</p>\n", escape(&left_out));
    }
    out.push_str("<table class=declared><thead><tr><th>verdict<th>inputs<th>where<th>in hex</tr></thead><tbody>\n");
    for region in certificate.largest(REGIONS_SHOWN) {
        let spans = region.x.iter().chain([&region.values]);
        let hex: Vec<String> = spans.map(|span| format!("{} to {}", escape(&span.low), escape(&span.high))).collect();
        put!(
            out,
            "<tr><td>{}<td class=num>{}<td>{}<td><code>{}</code></tr>\n",
            pill(Some(region.verdict)),
            size_in_words(region),
            escape(&region_in_words(region, certificate.domain)),
            hex.join("; ")
        );
    }
    out.push_str("</tbody></table>\n");
    if certificate.regions.len() > REGIONS_SHOWN {
        put!(
            out,
            "<p class=soft>These are the largest {REGIONS_SHOWN}; all {} are in certificate.json.</p>\n",
            count(certificate.regions.len() as u64)
        );
    }
}
