//! `reports/zoo.md`: the zoo as a page, made of its data and of nothing else.

use super::{Caught, KEPT, Zoo};
use crate::judge::Verdict;
use crate::kernel::builtin;
use crate::words::{count, plural, plural_u64};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Characters of a case that is written out.
const LONGEST_CASE: usize = 160;

macro_rules! put {
    ($out:expr, $($arg:tt)*) => { let _ = write!($out, $($arg)*); };
}

/// The page.
pub(super) fn markdown(zoo: &Zoo) -> String {
    let mut out = String::from("# Zoo\n\n");
    let missed = zoo.defects.iter().filter(|caught| caught.catches.is_empty()).count();
    put!(
        out,
        "{} against {} families of inputs: {} caught, {} missed. {} cases for each defect, op, dtype and \
         family, seed {}, generators {}.\n\n",
        plural(zoo.defects.len(), "planted defect"),
        zoo.families.len(),
        zoo.defects.len() - missed,
        missed,
        zoo.cases,
        zoo.seed,
        zoo.generators
    );
    let all = builtin::all().iter().filter(|kernel| kernel.defect().is_some()).count();
    let which = match zoo.defects.len() == all {
        true => "`make zoo` makes this page again, and CI says when it is out of date.",
        false => "These are some of the planted defects.",
    };
    put!(
        out,
        "Each defect is the textbook kernel with one step as somebody once wrote it, and claims to be the textbook. {which}\n\n"
    );
    out += "## Matrix\n\nThe number of the first row of a family that catches the defect, on any op and dtype; empty where \
            none does. Bold where no other family does.\n\n| defect |";
    for family in &zoo.families {
        put!(out, " {} |", code(family));
    }
    put!(out, "\n|---|{}\n", "---:|".repeat(zoo.families.len()));
    for caught in &zoo.defects {
        put!(out, "| {} |", short_name(&caught.kernel));
        for family in &zoo.families {
            let mark = match caught.catches.get(family) {
                None => String::new(),
                Some(catch) if caught.catches.len() == 1 => format!("**{}**", catch.first + 1),
                Some(catch) => (catch.first + 1).to_string(),
            };
            put!(out, " {mark} |");
        }
        out.push('\n');
    }
    families(&mut out, zoo);
    findings(&mut out, zoo);
    explanations(&mut out, zoo);
    out += "\n## Defects\n";
    for caught in &zoo.defects {
        defect(&mut out, caught, &zoo.families);
    }
    out
}

/// What each family catches, and what it is for.
fn families(out: &mut String, zoo: &Zoo) {
    *out += "\n## Families\n\nA family is the best one for a defect if the defect fails in most of its cases; bold where no other \
             family catches the defect at all.\n\n| family | catches | best for | otherwise kept as |\n|---|---:|---|---|\n";
    for family in &zoo.families {
        let catches = zoo.defects.iter().filter(|caught| caught.catches.contains_key(family)).count();
        let best = zoo.best_of(family);
        let reason = KEPT.iter().find(|(name, _)| name == family && best.is_empty()).map_or("", |(_, reason)| reason);
        let best = best.into_iter().map(|(name, is_alone)| {
            let name = code(bare(name));
            if is_alone { format!("**{name}**") } else { name }
        });
        put!(out, "| {} | {catches} | {} | {reason} |\n", code(family), best.collect::<Vec<_>>().join(", "));
    }
}

/// How small and how readable the shrunk inputs are.
fn findings(out: &mut String, zoo: &Zoo) {
    let lengths = &zoo.shrunk.lengths;
    let all: u64 = lengths.values().sum();
    let up_to = |most: usize| lengths.range(..=most).map(|(_, count)| count).sum::<u64>();
    put!(
        out,
        "\n## Shrunk inputs\n\nOf {} (one for each defect, op, dtype, verdict and mechanism):\n\n",
        plural(all as usize, "finding")
    );
    out.push_str("| logits | findings | share of all, so long or shorter |\n|---:|---:|---:|\n");
    let mut below = 0;
    for (label, most) in [
        ("0", 0),
        ("1", 1),
        ("2", 2),
        ("3", 3),
        ("4", 4),
        ("5 to 8", 8),
        ("9 to 16", 16),
        ("17 to 128", 128),
        ("129 to 512", 512),
        ("more", usize::MAX),
    ] {
        let here = up_to(most);
        put!(out, "| {label} | {} | {} |\n", count(here - below), percent(here, all));
        below = here;
    }
    put!(
        out,
        "\nThe median has {} logits. A value is readable if it is an integer up to 10,000, a power of two or a small multiple of \
         one, a number of at most three digits, infinite or NaN, or within 4 ulps of where exp overflows or underflows. {} of \
         the findings consist of such values alone.\n",
        median(lengths),
        percent(zoo.shrunk.readable, all)
    );
}

/// How well findings are explained, by class.
fn explanations(out: &mut String, zoo: &Zoo) {
    let mut classes: BTreeMap<&str, [u64; 5]> = BTreeMap::new();
    let mut all = [0; 5];
    for caught in &zoo.defects {
        let class = classes.entry(&caught.class).or_default();
        for (place, count) in caught.explained.counts().into_iter().enumerate() {
            class[place] += count;
            all[place] += count;
        }
    }
    let [shown, wrongly, _, _, _] = all;
    put!(
        out,
        "\n## Explanations\n\nAn explanation is shown where the kernel answers like another planted defect on every probe that is an \
         ordinary row, as it is planted or with another number in it, or like a hypothesis that is in no list; a defect is never its \
         own. It is true if that one is of the same class. Of {} that are shown, {} are true. Where no other of its class explains a \
         defect, its section below says so; a test gives each defect another name, and nearly all are recognised then. Kernels that were written by themselves are measured by \
         `cargo test --test variants -- --nocapture`.\n\n| class | shown, true | shown, false | a fault was seen | consistent | not known \
         |\n|---|---:|---:|---:|---:|---:|\n",
        count(shown + wrongly),
        count(shown)
    );
    for (class, counts) in classes.into_iter().chain([("all", all)]) {
        put!(out, "| {class} | {} |\n", counts.map(count).join(" | "));
    }
}

fn median(lengths: &BTreeMap<usize, u64>) -> usize {
    let middle = lengths.values().sum::<u64>() / 2;
    let mut below = 0;
    let reached = lengths.iter().find(|(_, count)| {
        below += **count;
        below > middle
    });
    reached.map_or(0, |(len, _)| *len)
}

/// One defect in words.
fn defect(out: &mut String, caught: &Caught, families: &[String]) {
    let Caught { kernel, class, summary, story, report, smallest, catches, .. } = caught;
    put!(out, "\n### {}\n\n{class}, {summary}: {story}.", short_name(kernel));
    if let Some(report) = report {
        put!(out, " [Seen in the wild]({report}).");
    }
    out.push('\n');
    if let Some(smallest) = smallest {
        let shown = if smallest.case.chars().count() <= LONGEST_CASE {
            code(&smallest.case)
        } else {
            format!("a {} of {} in {}", smallest.op, plural(smallest.len, "logit"), smallest.dtype)
        };
        let got = if smallest.got.is_empty() { "nothing".to_owned() } else { code(&smallest.got) };
        let exact = match smallest.verdict {
            // No single value is wrong by itself, or none was returned.
            Verdict::Relation | Verdict::Inconsistent => String::new(),
            _ if smallest.exact.is_empty() => String::new(),
            _ => format!("; exact is {}", code(&brief(&smallest.exact))),
        };
        put!(out, "Smallest: {shown} gives {got}, {}{exact}.\n", smallest.verdict);
    }
    out.push_str(&taken_for(caught));
    if catches.is_empty() {
        out.push_str("\n**Nothing catches it.**\n");
        return;
    }
    out.push('\n');
    for family in families {
        let Some(catch) = catches.get(family) else { continue };
        let verdicts: Vec<String> =
            catch.verdicts.iter().map(|(verdict, cases)| format!("{verdict} {}", count(*cases))).collect();
        put!(
            out,
            "- {}: row {}, {} cases: {}\n",
            code(family),
            catch.first + 1,
            count(catch.cases()),
            verdicts.join(", ")
        );
    }
}

/// For what its findings are taken, itself left out, as a line of the page; empty where a fault says all.
fn taken_for(caught: &Caught) -> String {
    let [shown, wrongly, fault, consistent, not_known] = caught.explained.counts();
    let all = shown + wrongly + consistent + not_known;
    let mut line = match (shown, all) {
        (_, 0) => return String::new(),
        (0, _) if fault == 0 => "No other planted defect of its class explains it.".to_owned(),
        _ => format!("Of {} another of its class explains {}.", plural_u64(all, "finding"), count(shown)),
    };
    if wrongly > 0 {
        let reason = caught.reason_of_mistake().unwrap_or("why is not known");
        line += &format!(" In {} it is taken for one of another class: {reason}.", count(wrongly));
    }
    line + "\n"
}

/// The first digits of an exact value.
fn brief(exact: &str) -> String {
    const DIGITS: usize = 8;
    match exact.split_once('e') {
        Some((digits, power)) if digits.len() > DIGITS => format!("{}e{power}", &digits[..DIGITS]),
        _ => exact.to_owned(),
    }
}

pub(super) fn code(text: &str) -> String {
    format!("`{text}`")
}

pub(super) fn bare(name: &str) -> &str {
    name.strip_prefix("defect/").unwrap_or(name)
}

fn short_name(kernel: &str) -> String {
    code(bare(kernel))
}

fn percent(part: u64, all: u64) -> String {
    format!("{:.0} %", if all == 0 { 0.0 } else { 100.0 * part as f64 / all as f64 })
}
