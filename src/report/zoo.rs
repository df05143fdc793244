//! The zoo: which family of inputs catches which planted defect, how soon, with which verdicts, and the smallest input.
//!
//! It is taken from the results of a campaign over the planted defects, and from what the registry says of them. It is the standing
//! proof that the generators and the judge find what they are for, and it shows what each family is worth: the defects that no
//! other family catches. It is kept as data, `reports/zoo.json`, and as a page that is made of that (`page`).
//!
//! It is deterministic on one machine. On another the platform's exp may differ in the last bit, and a verdict that is a matter of
//! rounding may fall the other way; so [`Zoo::drift`] compares two of them by what they say, and lets single cases go.

use crate::case::Case;
use crate::dtype::{Dtype, text};
use crate::error::{Error, Result};
use crate::generate::mutate::edges;
use crate::json::{check_schema, line, place, schema_of};
use crate::judge::Verdict;
use crate::kernel::builtin;
use crate::op::Op;
use crate::outside::{self, LONGEST_TEXT};
use crate::results::{Cell, Certainty, Finding, Results};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

mod page;

/// The name and version of the format of `zoo.json`.
pub const SCHEMA: &str = "logitfuzz.zoo/1";

/// The largest count that is believed of a file: no sum of them overflows.
const MOST_COUNTED: u64 = u32::MAX as u64;

/// Failing cases up to which a detection may come and go with the machine.
const BORDERLINE: u64 = 2;

/// Why a family is kept that is the best one for no defect. A test asks for a reason where the page needs one.
const KEPT: [(&str, &str); 7] = [
    ("ordinary", "the control: a defect that it misses needs more than everyday tests"),
    ("wide", "all exponents alike: it finds what the families that aim at something were not aimed at"),
    ("offset", "the plainest rows in which an offset absorbs the result, so that a finding names its cause"),
    (
        "sorted",
        "rising rows, on which a running maximum is raised at every logit: what an online kernel is held to, and what its claims are tried on",
    ),
    (
        "signed_zero",
        "zeros of either sign, which the other families seldom draw: a comparison by bits, or 1 / 0, shows there",
    ),
    (
        "extreme",
        "the ends of the range of the dtype, where differences of two logits overflow: other families reach them in single rows, this one in all",
    ),
    ("ties", "equal logits: the truth is rational there, and narrow sums stall at a known count"),
];

/// Why a defect is taken for one of another class in some dtype. A test asks for a reason where the page needs one.
const TAKEN_FOR_ANOTHER: [(&str, &str); 9] = [
    (
        "defect/finite-mask-value",
        "no f16 logit lies below its mask, so a row that is masked throughout is all that shows it, and there it is the function of `masked-uniform`, and in the entropy that of `masked-as-lowest`",
    ),
    (
        "defect/smoothing-of-masked",
        "in a mean over rows, which is never smoothed, a masked class is all that shows it, and there it is the function of `zero-times-log-zero`",
    ),
    (
        "defect/masked-as-lowest",
        "in the entropy of f16 only a row that is masked throughout shows it, and there it is the function of `finite-mask-value`",
    ),
    (
        "defect/exp-clamped",
        "in the entropy a masked class gets a weight, and its product with the distance is +inf, whatever the clip: there it is the function of `shifted-clipped`",
    ),
    (
        "defect/entropy-times-log-zero",
        "no f16 logit is so far below another that an exp without a test for its argument fails there, nor one of f32 where that is computed in f64: a masked class is all that shows either then, and there it is the function of `reduction-unclamped`",
    ),
    (
        "defect/reduction-unclamped",
        "no f16 logit is so far below another that exp without a test for its argument fails there: a masked class is all that shows it in the entropy, and there it is the function of `entropy-times-log-zero`",
    ),
    (
        "defect/divergence-times-log-zero",
        "in the divergence a masked class, or one that has lost its probability, is all that shows it, and an exp that is clipped or clamped gives such a class a weight, whose product with the infinite logarithm is no number either",
    ),
    (
        "defect/shifted-clipped",
        "in the divergence of f16 a masked class is all that shows the clip, and a weight there, whatever it is, times an infinite logarithm is NaN: there it is the function of `divergence-times-log-zero` and of `exp-clamped`",
    ),
    (
        "defect/narrow-throughout",
        "in the attention of f16 the type inside, which is said as well, is all that the probes see: that half of each vector of 28 logits is left out besides shows on none of them",
    ),
];

/// What catches what.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Zoo {
    /// [`SCHEMA`].
    schema: String,
    /// The seed of all random streams.
    seed: u64,
    /// Cases for each defect, op, dtype and family.
    cases: u64,
    /// The version of the generators.
    generators: u32,
    /// The families, in the order of the page.
    families: Vec<String>,
    /// The inputs of all findings.
    shrunk: Shrunk,
    /// The defects, in the order of the page.
    defects: Vec<Caught>,
}

/// How small and how readable the shrunk inputs are.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Shrunk {
    /// Findings by the number of their logits.
    lengths: BTreeMap<usize, u64>,
    /// Findings whose values a person can read, all of them.
    readable: u64,
}

/// A planted defect and what caught it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Caught {
    /// The kernel's name.
    kernel: String,
    /// What it is, as the registry has it.
    class: String,
    summary: String,
    story: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    report: Option<String>,
    /// The finding with the fewest logits, the first of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    smallest: Option<Smallest>,
    /// How its findings are explained.
    #[serde(default)]
    explained: Explained,
    /// By family.
    catches: BTreeMap<String, Catch>,
}

/// How many findings of a defect are explained how well. A defect is never its own explanation: what is shown is that it answers like
/// another one, which is true if that one is of its class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
struct Explained {
    /// Like another defect, of its class and of another one; or by a fault that was seen.
    shown: u64,
    shown_wrongly: u64,
    fault: u64,
    /// With what would fit, and with nothing.
    consistent: u64,
    not_known: u64,
}

impl Explained {
    fn count(&mut self, finding: &Finding, class: &str) {
        let place = match (finding.certainty, &finding.answers_like) {
            (Certainty::Shown, Some(like)) if like.class == class && like.and.is_empty() => &mut self.shown,
            (Certainty::Shown, Some(_)) => &mut self.shown_wrongly,
            (Certainty::Shown, None) => &mut self.fault,
            (Certainty::Consistent, _) => &mut self.consistent,
            (Certainty::NotKnown, _) => &mut self.not_known,
        };
        *place += 1;
    }

    fn counts(&self) -> [u64; 5] {
        [self.shown, self.shown_wrongly, self.fault, self.consistent, self.not_known]
    }
}

/// How a family catches a defect.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
struct Catch {
    /// The index of the first row that does.
    first: u64,
    /// Failing cases by verdict, over all ops and dtypes.
    verdicts: BTreeMap<Verdict, u64>,
}

/// The smallest input that shows a defect.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Smallest {
    op: Op,
    dtype: Dtype,
    len: usize,
    verdict: Verdict,
    /// The case, in decimal.
    case: String,
    /// What the kernel returned, as a short decimal; empty where it returned nothing.
    got: String,
    /// The exact value; empty where there is none.
    exact: String,
}

impl Caught {
    /// Why it is taken for one of another class, where it is known to be.
    fn reason_of_mistake(&self) -> Option<&'static str> {
        TAKEN_FOR_ANOTHER.iter().find(|(name, _)| *name == self.kernel).map(|(_, reason)| *reason)
    }
}

impl Catch {
    /// Failing cases.
    fn cases(&self) -> u64 {
        self.verdicts.values().sum()
    }
}

impl Zoo {
    /// What the results of a campaign over planted defects show.
    ///
    /// # Errors
    /// A finding that is no case, as in a file that was edited.
    pub fn of(results: &Results) -> Result<Self> {
        let mut shrunk = Shrunk::default();
        for finding in &results.findings {
            *shrunk.lengths.entry(finding.len).or_default() += 1;
            let case = finding.case()?;
            shrunk.readable += u64::from(values_of(&case).all(|x| is_readable(x, case.dtype())));
        }
        Ok(Self {
            schema: SCHEMA.to_owned(),
            seed: results.settings.seed,
            cases: results.settings.cases,
            generators: results.provenance.generators,
            families: results.settings.families.clone(),
            shrunk,
            defects: results.settings.kernels.iter().filter_map(|name| Caught::of(name, results)).collect(),
        })
    }

    /// Reads a `zoo.json`.
    ///
    /// # Errors
    /// One line that names the file and says what is wrong.
    pub fn read(path: &Path) -> Result<Self> {
        let bytes = outside::read(path, &outside::PAGE).map_err(|error| Error::file(path, error))?;
        let bytes = outside::without_mark(&bytes);
        let refuse = |reason: String| Error::file(path, reason);
        let schema = schema_of(bytes).map_err(|error| refuse(format!("not JSON: {}", place(&error))))?;
        check_schema(schema.as_deref(), SCHEMA).map_err(refuse)?;
        let mut zoo: Self =
            serde_json::from_slice(bytes).map_err(|error| refuse(format!("not valid: {}", place(&error))))?;
        if zoo.counts().any(|count| count > MOST_COUNTED) {
            return Err(refuse("a count in it is too large to be one; was the file edited?".to_owned()));
        }
        // What is told of a difference names these.
        zoo.families.iter_mut().for_each(|family| outside::tidy(family, LONGEST_TEXT));
        for caught in &mut zoo.defects {
            outside::tidy(&mut caught.kernel, LONGEST_TEXT);
            let catches = std::mem::take(&mut caught.catches).into_iter();
            caught.catches = catches.map(|(family, catch)| (outside::line(&family, LONGEST_TEXT), catch)).collect();
        }
        Ok(zoo)
    }

    /// Every count that something is added to.
    fn counts(&self) -> impl Iterator<Item = u64> {
        let catches = self.defects.iter().flat_map(|caught| caught.catches.values());
        let catches = catches.flat_map(|catch| catch.verdicts.values().copied().chain([catch.first]));
        let catches = catches.chain(self.defects.iter().flat_map(|caught| caught.explained.counts()));
        catches.chain(self.shrunk.lengths.values().copied()).chain([self.shrunk.readable])
    }

    /// The text of `zoo.json`: a defect on a line.
    ///
    /// # Errors
    /// None is known: every value can be written.
    pub fn text(&self) -> Result<String> {
        let defects = self.defects.iter().map(line).collect::<Result<Vec<_>>>()?;
        Ok(format!(
            "{{\n\"schema\": {},\n\"seed\": {},\n\"cases\": {},\n\"generators\": {},\n\"families\": {},\n\"shrunk\": {},\n\"defects\": [\n{}\n]\n}}\n",
            line(&self.schema)?,
            self.seed,
            self.cases,
            self.generators,
            line(&self.families)?,
            line(&self.shrunk)?,
            defects.join(",\n")
        ))
    }

    /// The page, in GitHub-flavoured Markdown; a pure function of the data.
    pub fn page(&self) -> String {
        page::markdown(self)
    }

    /// The planted defects that nothing caught.
    pub fn missed(&self) -> Vec<&str> {
        self.defects.iter().filter(|caught| caught.catches.is_empty()).map(|caught| caught.kernel.as_str()).collect()
    }

    /// The families.
    pub fn families(&self) -> &[String] {
        &self.families
    }

    /// Whether a family is the best one for some defect, or is kept for a reason that the page tells.
    pub fn has_its_reason(&self, family: &str) -> bool {
        !self.best_of(family).is_empty() || KEPT.iter().any(|(name, _)| *name == family)
    }

    /// The defects that are taken for one of another class without a reason that the page tells.
    pub fn mistaken(&self) -> Vec<&str> {
        let is_mistaken = |caught: &&Caught| caught.explained.shown_wrongly > 0 && caught.reason_of_mistake().is_none();
        self.defects.iter().filter(is_mistaken).map(|caught| caught.kernel.as_str()).collect()
    }

    /// The defects that fail in more cases of this family than of any before it or in as many of a later one, each with whether
    /// no other family catches it.
    fn best_of(&self, family: &str) -> Vec<(&str, bool)> {
        let cases = |caught: &Caught, family: &str| caught.catches.get(family).map_or(0, Catch::cases);
        let is_best = |caught: &&Caught| {
            let most = caught.catches.values().map(Catch::cases).max();
            let first = self.families.iter().find(|family| Some(cases(caught, family)) == most);
            most.is_some() && first.is_some_and(|first| first == family)
        };
        self.defects.iter().filter(is_best).map(|caught| (caught.kernel.as_str(), caught.catches.len() == 1)).collect()
    }

    /// What this, which was kept, says that a fresh one does not, a line each; empty where it still holds.
    ///
    /// Compared are what names the cases, and for each defect and family whether it is caught: detections by at most two cases may
    /// come and go, since another machine may round another way.
    pub fn drift(&self, fresh: &Self) -> Vec<String> {
        let head = |zoo: &Self| {
            let defects: Vec<String> = zoo.defects.iter().map(|caught| caught.kernel.clone()).collect();
            (zoo.seed, zoo.cases, zoo.generators, zoo.families.clone(), defects)
        };
        let mut lines = Vec::new();
        if head(self) != head(fresh) {
            lines.push("the defects, families, cases or the seed are others".to_owned());
        }
        let (old, new) = (self.detections(), fresh.detections());
        let keys: BTreeSet<&(&str, &str)> = old.keys().chain(new.keys()).collect();
        for key in keys {
            let (defect, family) = (page::code(page::bare(key.0)), page::code(key.1));
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

    /// The failing cases of each defect and family.
    fn detections(&self) -> BTreeMap<(&str, &str), u64> {
        self.defects
            .iter()
            .flat_map(|caught| {
                caught.catches.iter().map(|(family, catch)| ((caught.kernel.as_str(), family.as_str()), catch.cases()))
            })
            .collect()
    }
}

impl Caught {
    /// What the results show of a planted defect; none if the registry knows no defect of this name.
    fn of(name: &str, results: &Results) -> Option<Self> {
        let kernel = builtin::find(name)?;
        let defect = kernel.defect()?;
        let mut catches: BTreeMap<String, Catch> = BTreeMap::new();
        for cell in results.cells.iter().filter(|cell| cell.kernel == name) {
            let Some(first) = cell.first_failing else { continue };
            let catch =
                catches.entry(cell.family.clone()).or_insert_with(|| Catch { first: u64::MAX, ..Catch::default() });
            catch.first = catch.first.min(first);
            for (verdict, cases) in failures(cell) {
                *catch.verdicts.entry(verdict).or_default() += cases;
            }
        }
        let findings = results.findings.iter().filter(|finding| finding.kernel == name);
        let mut explained = Explained::default();
        findings.clone().for_each(|finding| explained.count(finding, defect.class));
        // Of equally many, the first.
        let smallest = findings.min_by_key(|finding| (finding.len, written(finding).len()));
        Some(Self {
            kernel: name.to_owned(),
            class: defect.class.to_owned(),
            summary: kernel.summary().to_owned(),
            story: defect.story.to_owned(),
            report: defect.report.map(str::to_owned),
            smallest: smallest.map(Smallest::of),
            explained,
            catches,
        })
    }
}

impl Smallest {
    fn of(finding: &Finding) -> Self {
        Self {
            op: finding.op,
            dtype: finding.dtype,
            len: finding.len,
            verdict: finding.verdict,
            case: written(finding),
            got: finding.got_decimal.clone(),
            exact: finding.exact.clone(),
        }
    }
}

fn failures(cell: &Cell) -> impl Iterator<Item = (Verdict, u64)> {
    cell.verdicts.iter().filter(|(verdict, _)| verdict.is_failure()).map(|(&verdict, &cases)| (verdict, cases))
}

/// The case of a finding in decimal.
fn written(finding: &Finding) -> String {
    finding.case().map_or_else(|_| String::new(), |case| format!("{case:#}"))
}

fn values_of(case: &Case) -> impl Iterator<Item = f64> {
    let number = (case.target().is_some() || case.scale().is_some()).then(|| case.number());
    case.logits().iter().copied().chain(case.other_row().unwrap_or(&[]).iter().copied()).chain(number)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    /// A zoo of these detections.
    fn zoo(detections: &[(&str, &str, u64)]) -> Zoo {
        let families = ["bits", "nan", "sorted", "ties", "wide"].map(str::to_owned).to_vec();
        let defects = ["a", "b", "c", "d", "e"].map(|name| {
            let mine = detections.iter().filter(|(defect, ..)| *defect == name);
            let catch = |&(_, family, cases): &(&str, &str, u64)| {
                (family.to_owned(), Catch { first: 3, verdicts: BTreeMap::from([(Verdict::Nan, cases)]) })
            };
            let [kernel, class, summary, story] =
                [&format!("defect/{name}"), "C01", "words", "a story"].map(str::to_owned);
            let explained = Explained::default();
            Caught {
                kernel,
                class,
                summary,
                story,
                report: None,
                smallest: None,
                explained,
                catches: mine.map(catch).collect(),
            }
        });
        let (seed, cases, generators, shrunk) = (0, 200, 1, Shrunk::default());
        Zoo { schema: SCHEMA.to_owned(), seed, cases, generators, families, shrunk, defects: defects.to_vec() }
    }

    #[test]
    fn zoos_are_compared_by_what_they_say() {
        let old = zoo(&[("a", "ties", 1200), ("b", "nan", 3), ("c", "wide", 2)]);
        assert_eq!(old.drift(&old), [""; 0]);
        // Other counts, and detections by a case or two, are what another machine may give.
        let near = zoo(&[("a", "ties", 3), ("b", "nan", 4), ("d", "bits", 2)]);
        assert_eq!(old.drift(&near), [""; 0]);
        let gone = zoo(&[("a", "ties", 1200)]);
        assert_eq!(old.drift(&gone), ["`b` is no longer caught by `nan` (3 cases before)"]);
        let new = zoo(&[("a", "ties", 1), ("b", "nan", 3), ("e", "sorted", 5)]);
        assert_eq!(old.drift(&new), ["`e` is now caught by `sorted` (5 cases)"]);
        let other = Zoo { seed: 1, ..old.clone() };
        assert_eq!(old.drift(&other), ["the defects, families, cases or the seed are others"]);
        let mut fewer = old.clone();
        fewer.defects.pop();
        assert_eq!(old.drift(&fewer), ["the defects, families, cases or the seed are others"]);
    }

    #[test]
    fn the_zoo_of_some_results() {
        const PLANTED: usize = 12;
        let mut results = sample::results(PLANTED);
        // The made-up findings are not all cases.
        results.findings.retain(|finding| finding.case().is_ok());
        let zoo = Zoo::of(&results).unwrap();
        let page = zoo.page();
        assert_eq!(page.matches("\n### ").count(), PLANTED);
        // What is read again is what the cells say, and gives the same page.
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), zoo.text().unwrap()).unwrap();
        let read = Zoo::read(file.path()).unwrap();
        assert_eq!(read, zoo);
        assert_eq!(read.page(), page);
        let failing = |cell: &&Cell| cell.kernel.starts_with("defect/") && failures(cell).count() > 0;
        let mut cells: BTreeMap<(&str, &str), u64> = BTreeMap::new();
        for cell in results.cells.iter().filter(failing) {
            *cells.entry((&cell.kernel, &cell.family)).or_default() +=
                failures(cell).map(|(_, cases)| cases).sum::<u64>();
        }
        assert!(!cells.is_empty());
        assert_eq!(read.detections(), cells);
    }

    #[test]
    fn what_is_no_zoo_is_refused_in_one_line() {
        let good = zoo(&[("a", "ties", 3)]).text().unwrap();
        let file = tempfile::NamedTempFile::new().unwrap();
        for (text, part) in [
            (String::new(), "not JSON"),
            (good[..good.len() / 2].to_owned(), "not JSON"),
            ("{}".to_owned(), "no `schema`"),
            (good.replacen("zoo/1", "zoo/2", 1), "newer"),
            (good.replacen("\"nan\":3", "\"hot\":3", 1), "unknown variant `hot`"),
            (good.replacen("\"nan\":3", "\"nan\":18446744073709551615", 1), "too large"),
        ] {
            std::fs::write(file.path(), text).unwrap();
            let error = Zoo::read(file.path()).unwrap_err().to_string();
            assert!(error.contains(part) && !error.contains('\n'), "wanted `{part}` in: {error}");
        }
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
