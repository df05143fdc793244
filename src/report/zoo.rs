//! `reports/zoo.md`: which family of inputs catches which planted defect, how soon, with which verdicts, and the smallest input.
//!
//! Made from the results of a campaign over the planted defects, and from what the registry says of them. It is the standing
//! proof that the generators and the judge find what they are for, and it shows what each family is worth: the defects that no
//! other family catches.
//!
//! The page is deterministic on one machine. On another the platform's exp may differ in the last bit, and a verdict that is a
//! matter of rounding may fall the other way; so [`drift`] compares two pages by what they say, and lets single cases go.

use crate::case::Case;
use crate::dtype::{Dtype, text};
use crate::error::Result;
use crate::generate::mutate::edges;
use crate::judge::Verdict;
use crate::kernel::builtin::{self, Builtin, Defect};
use crate::results::{Cell, Finding, Results};
use crate::words::{count, plural};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// Failing cases up to which a detection may come and go with the machine.
const BORDERLINE: u64 = 2;

/// Characters of a case that is written out.
const LONGEST_CASE: usize = 160;

/// Why a family is kept that is the best one for no defect. A test asks for a reason where the page needs one.
const KEPT: [(&str, &str); 4] = [
    ("ordinary", "the control: a defect that it misses needs more than everyday tests"),
    ("wide", "all exponents alike: it finds what the families that aim at something were not aimed at"),
    ("offset", "the plainest rows in which an offset absorbs the result, so that a finding names its cause"),
    ("ties", "equal logits: the truth is rational there, and narrow sums stall at a known count"),
];

macro_rules! put {
    ($out:expr, $($arg:tt)*) => { let _ = write!($out, $($arg)*); };
}

/// How a family catches a defect.
#[derive(Debug, Clone, PartialEq, Default)]
struct Catch {
    /// The index of the first row that does.
    first: u64,
    /// Failing cases, over all ops and dtypes.
    cases: u64,
    /// Failing cases by verdict.
    verdicts: BTreeMap<Verdict, u64>,
}

/// A planted defect and what caught it.
struct Caught<'a> {
    kernel: &'static Builtin,
    defect: Defect,
    /// By family.
    catches: BTreeMap<&'a str, Catch>,
    /// The finding with the fewest logits, the first of them.
    smallest: Option<&'a Finding>,
}

/// All of it.
struct Zoo<'a> {
    families: Vec<&'a str>,
    defects: Vec<Caught<'a>>,
}

impl<'a> Zoo<'a> {
    fn of(results: &'a Results) -> Self {
        let kernels = results.settings.kernels.iter().filter_map(|name| builtin::find(name));
        let caught = |kernel: &'static Builtin| {
            let mut catches: BTreeMap<&str, Catch> = BTreeMap::new();
            for cell in results.cells.iter().filter(|cell| cell.kernel == kernel.name()) {
                let Some(first) = cell.first_failing else { continue };
                let catch =
                    catches.entry(&cell.family).or_insert_with(|| Catch { first: u64::MAX, ..Catch::default() });
                catch.first = catch.first.min(first);
                for (verdict, cases) in failures(cell) {
                    catch.cases += cases;
                    *catch.verdicts.entry(verdict).or_default() += cases;
                }
            }
            let findings = results.findings.iter().filter(|finding| finding.kernel == kernel.name());
            Some(Caught {
                kernel,
                defect: kernel.defect()?,
                catches,
                // Of equally many, the first.
                smallest: findings.min_by_key(|finding| (finding.len, written(finding).len())),
            })
        };
        Self {
            families: results.settings.families.iter().map(String::as_str).collect(),
            defects: kernels.filter_map(caught).collect(),
        }
    }

    /// The defects that fail in more cases of this family than of any before it or in as many of a later one, each with whether
    /// no other family catches it.
    fn best_of(&self, family: &str) -> Vec<(&'static str, bool)> {
        let cases = |caught: &Caught, family: &str| caught.catches.get(family).map_or(0, |catch| catch.cases);
        let is_best = |caught: &&Caught| {
            let most = caught.catches.values().map(|catch| catch.cases).max();
            let first = self.families.iter().find(|family| Some(cases(caught, family)) == most);
            most.is_some() && first == Some(&family)
        };
        self.defects.iter().filter(is_best).map(|caught| (caught.kernel.name(), caught.catches.len() == 1)).collect()
    }
}

fn failures(cell: &Cell) -> impl Iterator<Item = (Verdict, u64)> {
    cell.verdicts.iter().filter(|(verdict, _)| verdict.is_failure()).map(|(&verdict, &cases)| (verdict, cases))
}

/// The case of a finding in decimal.
fn written(finding: &Finding) -> String {
    finding.case().map_or_else(|_| String::new(), |case| format!("{case:#}"))
}

/// The page, in GitHub-flavoured Markdown; a pure function of the results.
///
/// # Errors
/// A finding that is no case, as in a file that was edited.
pub fn markdown(results: &Results) -> Result<String> {
    let zoo = Zoo::of(results);
    let settings = &results.settings;
    let mut out = String::from("# Zoo\n\n");
    let missed = zoo.defects.iter().filter(|caught| caught.catches.is_empty()).count();
    put!(
        out,
        "{} planted defects against {} families of inputs: {} caught, {} missed. {} cases for each defect, op, dtype and \
         family, seed {}, generators {}.\n\n",
        zoo.defects.len(),
        zoo.families.len(),
        zoo.defects.len() - missed,
        missed,
        settings.cases,
        settings.seed,
        results.provenance.generators
    );
    out += "Each defect is the textbook kernel with one step as somebody once wrote it, and claims to be the textbook. \
            `make zoo` makes this page again, and CI says when it is out of date.\n\n";
    out += "## Matrix\n\nThe number of the first row of a family that catches the defect, on any op and dtype; empty where \
            none does. Bold where no other family does.\n\n| defect |";
    for family in &zoo.families {
        put!(out, " {} |", code(family));
    }
    put!(out, "\n|---|{}\n", "---:|".repeat(zoo.families.len()));
    for caught in &zoo.defects {
        put!(out, "| {} |", short_name(caught.kernel));
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
    families(&mut out, &zoo);
    findings(&mut out, results)?;
    out += "\n## Defects\n";
    for caught in &zoo.defects {
        defect(&mut out, caught, &zoo.families);
    }
    Ok(out)
}

/// The planted defects that nothing caught.
pub fn missed(results: &Results) -> Vec<&'static str> {
    let zoo = Zoo::of(results);
    zoo.defects.iter().filter(|caught| caught.catches.is_empty()).map(|caught| caught.kernel.name()).collect()
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
fn findings(out: &mut String, results: &Results) -> Result<()> {
    let mut lengths: BTreeMap<usize, u64> = BTreeMap::new();
    let mut whole = 0u64;
    for finding in &results.findings {
        *lengths.entry(finding.len).or_default() += 1;
        let case = finding.case()?;
        let is_plain = values_of(&case).all(|x| is_readable(x, case.dtype()));
        whole += u64::from(is_plain);
    }
    let all = results.findings.len() as u64;
    let up_to = |most: usize| lengths.range(..=most).map(|(_, count)| count).sum::<u64>();
    put!(
        out,
        "\n## Shrunk inputs\n\nOf {} (one for each defect, op, dtype, verdict and cause):\n\n",
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
        median(&lengths),
        percent(whole, all)
    );
    Ok(())
}

fn values_of(case: &Case) -> impl Iterator<Item = f64> {
    let smoothing = case.target().map(|(_, smoothing)| smoothing);
    case.logits().iter().copied().chain(case.direction().unwrap_or(&[]).iter().copied()).chain(smoothing)
}

/// Whether a person can read a value: see the page.
fn is_readable(x: f64, dtype: Dtype) -> bool {
    const LARGEST_INTEGER: f64 = 10_000.0;
    const LARGEST_FACTOR: u64 = 16;
    const DIGITS: usize = 3;
    const ULPS: u64 = 4;
    if !x.is_finite() || (x.fract() == 0.0 && x.abs() <= LARGEST_INTEGER) {
        return true;
    }
    // What is left of a number once its power of two is taken away.
    let odd = x.abs().to_bits() & ((1 << 52) - 1) | (1 << 52);
    let odd = odd >> odd.trailing_zeros();
    let digits = text::decimal(x.abs(), dtype);
    let digits = digits.split('e').next().unwrap_or("").replace('.', "");
    let format = dtype.format();
    let near = |edge: &f64| format.ordinal(x.abs()).abs_diff(format.ordinal(edge.abs())) <= ULPS;
    (odd < LARGEST_FACTOR && x.is_normal())
        || x.abs() == format.least()
        || digits.trim_matches('0').len() <= DIGITS
        || edges(dtype).iter().any(near)
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
fn defect(out: &mut String, caught: &Caught, families: &[&str]) {
    let Caught { kernel, defect, catches, smallest } = caught;
    put!(out, "\n### {}\n\n{}, {}: {}.", short_name(kernel), defect.class, kernel.summary(), defect.story);
    if let Some(report) = defect.report {
        put!(out, " [Seen in the wild]({report}).");
    }
    out.push('\n');
    if let Some(finding) = smallest {
        let case = written(finding);
        let shown = if case.chars().count() <= LONGEST_CASE {
            code(&case)
        } else {
            format!("a {} of {} in {}", finding.op, plural(finding.len, "logit"), finding.dtype)
        };
        let got = if finding.got_decimal.is_empty() { "nothing".to_owned() } else { code(&finding.got_decimal) };
        let exact = match finding.verdict {
            // No single value is wrong by itself, or none was returned.
            Verdict::Relation | Verdict::Inconsistent => String::new(),
            _ if finding.exact.is_empty() => String::new(),
            _ => format!("; exact is {}", code(&brief(&finding.exact))),
        };
        put!(out, "Smallest: {shown} gives {got}, {}{exact}.\n", finding.verdict);
    }
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
            count(catch.cases),
            verdicts.join(", ")
        );
    }
}

/// The first digits of an exact value.
fn brief(exact: &str) -> String {
    const DIGITS: usize = 8;
    match exact.split_once('e') {
        Some((digits, power)) if digits.len() > DIGITS => format!("{}e{power}", &digits[..DIGITS]),
        _ => exact.to_owned(),
    }
}

fn code(text: &str) -> String {
    format!("`{text}`")
}

fn bare(name: &str) -> &str {
    name.strip_prefix("defect/").unwrap_or(name)
}

fn short_name(kernel: &Builtin) -> String {
    code(bare(kernel.name()))
}

fn percent(part: u64, all: u64) -> String {
    format!("{:.0} %", if all == 0 { 0.0 } else { 100.0 * part as f64 / all as f64 })
}

/// What a committed page says that a fresh one does not, a line each; empty where the committed one still holds.
///
/// Compared are the first lines, which name the cases, and for each defect and family whether it is caught: detections by at
/// most two cases may come and go, since another machine may round another way.
pub fn drift(committed: &str, fresh: &str) -> Vec<String> {
    let (old, new) = (detections(committed), detections(fresh));
    let head =
        |page: &str| page.lines().take_while(|line| !line.starts_with("## ")).map(str::to_owned).collect::<Vec<_>>();
    let mut lines = Vec::new();
    if head(committed) != head(fresh) {
        lines.push("the defects, families, cases or the seed are others".to_owned());
    }
    let keys: BTreeSet<&(String, String)> = old.keys().chain(new.keys()).collect();
    for key in keys {
        let (defect, family) = key;
        match (old.get(key), new.get(key)) {
            (Some(cases), None) if *cases > BORDERLINE => {
                lines.push(format!("{defect} is no longer caught by {family} ({cases} cases before)"));
            }
            (None, Some(cases)) if *cases > BORDERLINE => {
                lines.push(format!("{defect} is now caught by {family} ({cases} cases)"));
            }
            _ => {}
        }
    }
    lines
}

/// The failing cases of each defect and family, read from a page.
fn detections(page: &str) -> BTreeMap<(String, String), u64> {
    let mut found = BTreeMap::new();
    let mut defect = "";
    for line in page.lines() {
        if let Some(name) = line.strip_prefix("### ") {
            defect = name;
        } else if let Some((family, rest)) = line.strip_prefix("- ").and_then(|line| line.split_once(": row "))
            && let Some((_, rest)) = rest.split_once(", ")
            && let Some((cases, _)) = rest.split_once(" cases: ")
            && let Ok(cases) = cases.replace(',', "").parse()
        {
            found.insert((defect.to_owned(), family.to_owned()), cases);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    /// A page with these lines of detections.
    fn page(detections: &[(&str, &str, u64)]) -> String {
        let mut page = "# Zoo\n\n3 planted defects\n\n## Matrix\n\n".to_owned();
        for (defect, family, cases) in detections {
            page += &format!("### `{defect}`\n\nC01, words.\n\n- `{family}`: row 4, {} cases: nan 3\n", count(*cases));
        }
        page
    }

    #[test]
    fn pages_are_compared_by_what_they_say() {
        let old = page(&[("a", "ties", 1200), ("b", "nan", 3), ("c", "wide", 2)]);
        assert_eq!(drift(&old, &old), [""; 0]);
        // Other counts, and detections by a case or two, are what another machine may give.
        let near = page(&[("a", "ties", 3), ("b", "nan", 4), ("d", "bits", 2)]);
        assert_eq!(drift(&old, &near), [""; 0]);
        let gone = page(&[("a", "ties", 1200)]);
        assert_eq!(drift(&old, &gone), ["`b` is no longer caught by `nan` (3 cases before)"]);
        let new = page(&[("a", "ties", 1), ("b", "nan", 3), ("e", "sorted", 5)]);
        assert_eq!(drift(&old, &new), ["`e` is now caught by `sorted` (5 cases)"]);
        let other = old.replacen("3 planted", "4 planted", 1);
        assert_eq!(drift(&old, &other), ["the defects, families, cases or the seed are others"]);
    }

    #[test]
    fn the_page_of_some_results() {
        const PLANTED: usize = 12;
        let mut results = sample::results(PLANTED);
        // The made-up findings are not all cases.
        results.findings.retain(|finding| finding.case().is_ok());
        let page = markdown(&results).unwrap();
        assert_eq!(page.matches("\n### ").count(), PLANTED);
        // What is read from the page again is what the cells say.
        let read = detections(&page);
        let failing = |cell: &&Cell| cell.kernel.starts_with("defect/") && failures(cell).count() > 0;
        let mut cells: BTreeMap<(String, String), u64> = BTreeMap::new();
        for cell in results.cells.iter().filter(failing) {
            let key = (code(bare(&cell.kernel)), code(&cell.family));
            *cells.entry(key).or_default() += failures(cell).map(|(_, cases)| cases).sum::<u64>();
        }
        assert!(!cells.is_empty());
        assert_eq!(read, cells);
    }

    #[test]
    fn what_a_person_can_read() {
        for x in
            [0.0, -3.0, 1000.0, 0.5, 2f64.powi(-149), 1.5e30, 0.125, f64::NAN, f64::NEG_INFINITY, 88.722839, -103.97208]
        {
            let x = Dtype::F32.round(x);
            assert!(is_readable(x, Dtype::F32), "{x}");
        }
        for x in [10_001.0, 0.1234, -87.1234, 1.2345e30] {
            let x = Dtype::F32.round(x);
            assert!(!is_readable(x, Dtype::F32), "{x}");
        }
    }
}
