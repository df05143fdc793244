//! The certificate: what is known once all inputs were judged, as data. The page and the summary are made of this and of nothing else.
//!
//! It is a pure function of the records of all pieces, so it is the same byte for byte whatever the number of threads, however often
//! the run was interrupted, and whether it was done in one piece or in shards.

use super::domain::{Domain, Ranks, Space};
use super::interval::{self, Interval};
use super::journal::{Head, Settings};
use super::map::{self, MAP_CELLS, MAP_NONE};
use super::piece::{Extreme, Record};
use crate::dtype::{Dtype, text};
use crate::error::Result;
use crate::json;
use crate::judge::{Grade, Verdict};
use crate::kernel::Declaration;
use crate::op::Op;
use crate::outside;
use crate::results::{Provenance, Shard, number, sum};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The name and version of the format.
pub(crate) const SCHEMA: &str = "logitfuzz.certificate/1";

/// Regions that are listed.
const MOST_REGIONS: usize = 4096;

/// What is known of a kernel on all inputs of a domain.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Certificate {
    pub schema: String,
    /// Whether every input of the domain was judged and passes.
    pub holds: bool,
    /// False where pieces are missing: of a run that is not at its end.
    pub complete: bool,
    /// The share that was judged, where it is not all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shard: Option<Shard>,
    pub kernel: String,
    /// What `--kernel` takes to select it again.
    pub selector: String,
    pub op: Op,
    pub dtype: Dtype,
    pub domain: Domain,
    /// The domain in words.
    pub inputs_are: String,
    /// What the kernel was held to.
    pub declared: Declaration,
    pub provenance: Provenance,
    /// Inputs of the domain.
    pub inputs: u64,
    /// Inputs that were judged.
    pub judged: u64,
    /// Inputs that were not run because the kernel had crashed or hung too often.
    pub not_run: u64,
    /// Outputs judged.
    pub outputs: u64,
    /// Inputs by verdict.
    pub verdicts: BTreeMap<Verdict, u64>,
    /// Outputs that pass, by grade.
    pub grades: BTreeMap<Grade, u64>,
    /// The largest finite error in ulps.
    pub worst_error: Option<Worst>,
    /// The largest error over its bound.
    pub worst_ratio: Option<Worst>,
    /// Intervals of inputs that do not pass: of consecutive inputs of one verdict on one line.
    pub intervals: u64,
    /// Regions that they make, neighbours joined where there were too many.
    pub regions_in_all: u64,
    /// Inputs that do not pass and are in no region of the list, which has the largest.
    pub unlisted_inputs: u64,
    /// The regions, in the order of their layers and inputs.
    pub regions: Vec<Region>,
    /// Of pairs, a map for each layer that has a failure.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub maps: Vec<Map>,
}

/// The largest of a figure, and the first input that has it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Worst {
    #[serde(with = "number")]
    pub value: f64,
    /// The input, as `logitfuzz replay` takes it.
    pub case: String,
    /// The same in decimals.
    pub decimal: String,
}

/// Inputs that do not pass: an interval, or of pairs a rectangle.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Region {
    /// Which part of the domain: `[x, y] target=1`.
    pub layer: String,
    /// The verdict; where intervals were joined, the worst.
    pub verdict: Verdict,
    /// Of pairs the first logits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub x: Option<Span>,
    /// The elements, of pairs the second logits, of gaps the values of d.
    pub values: Span,
    /// Inputs from end to end.
    pub inputs: u64,
    /// The inputs of these that do not pass, where they are not all: neighbours were joined.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failing: Option<u64>,
}

impl Region {
    /// The inputs of it that do not pass.
    pub fn failing(&self) -> u64 {
        self.failing.unwrap_or(self.inputs)
    }
}

/// Every value from one to another, both included.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Span {
    /// As hex floats, exact.
    pub low: String,
    pub high: String,
    /// As decimals, which read back as the same values.
    pub low_decimal: String,
    pub high_decimal: String,
}

impl Span {
    fn new(low: f64, high: f64, dtype: Dtype) -> Self {
        Self {
            low: text::hex(low),
            high: text::hex(high),
            low_decimal: text::decimal(low, dtype),
            high_decimal: text::decimal(high, dtype),
        }
    }

    /// The values; none where a file has something else there.
    pub fn values(&self, dtype: Dtype) -> Option<(f64, f64)> {
        Some((text::parse(&self.low, dtype).ok()?, text::parse(&self.high, dtype).ok()?))
    }

    /// In decimals, one value where there is no other.
    pub fn in_words(&self) -> String {
        if self.low == self.high {
            self.low_decimal.clone()
        } else {
            format!("{} to {}", self.low_decimal, self.high_decimal)
        }
    }
}

/// Which cells of a plane of pairs have inputs that do not pass.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Map {
    pub layer: String,
    /// What the characters mean.
    pub key: BTreeMap<char, Verdict>,
    /// A line for each [`MAP_CELLS`]th part of the first logits, in the order of their values, with a character for each of the second ones: `.`
    /// where all pass, the worst verdict where one does not, `-` where none was judged.
    pub rows: Vec<String>,
}

impl Certificate {
    /// What these records say. They are sorted, each piece is there once at most, and each is one that the head owns.
    ///
    /// # Errors
    /// None is known: an input that cannot be written as a case.
    pub fn new(head: &Head, records: &[Record]) -> Result<Self> {
        let Settings { kernel, selector, op, dtype, domain, declared, provenance } = head.settings.clone();
        let space = head.settings.space()?;
        let owned = (0..space.pieces()).filter(|&piece| head.owns(piece)).count();
        let (mut verdicts, mut grades) = (BTreeMap::new(), BTreeMap::new());
        let (mut not_run, mut outputs) = (0, 0);
        let (mut error, mut ratio) = (None, None);
        for record in records {
            let line = space.piece(record.piece).line;
            record.verdicts.iter().for_each(|(&verdict, count)| *verdicts.entry(verdict).or_default() += count);
            record.grades.iter().for_each(|(&grade, count)| *grades.entry(grade).or_default() += count);
            not_run += record.not_run;
            outputs += record.outputs;
            take_larger(&mut error, line, record.error);
            take_larger(&mut ratio, line, record.ratio);
        }
        let worst = |found: Option<(u64, Extreme)>| -> Result<Option<Worst>> {
            let Some((line, Extreme { place, value })) = found else { return Ok(None) };
            let case = space.case(line, place..place + 1)?;
            Ok(Some(Worst { value, case: case.to_string(), decimal: format!("{case:#}") }))
        };
        let regions = match domain {
            Domain::Elements | Domain::Gaps => Regions::of_lines(&space, records),
            Domain::Pairs => Regions::of_planes(&space, records),
        };
        let judged: u64 = verdicts.values().sum();
        Ok(Self {
            schema: SCHEMA.to_owned(),
            holds: verdicts.get(&Verdict::Pass).copied().unwrap_or(0) == space.inputs(),
            complete: records.len() == owned,
            shard: head.shard,
            kernel,
            selector,
            op,
            dtype,
            domain,
            inputs_are: space.in_words(),
            declared,
            provenance,
            inputs: space.inputs(),
            judged,
            not_run,
            outputs,
            verdicts,
            grades,
            worst_error: worst(error)?,
            worst_ratio: worst(ratio)?,
            intervals: regions.intervals,
            regions_in_all: regions.in_all,
            unlisted_inputs: regions.unlisted_inputs,
            regions: regions.listed,
            maps: if domain == Domain::Pairs { maps(&space, records) } else { Vec::new() },
        })
    }

    /// The largest regions, so many at most, in the order of the list.
    pub fn largest(&self, most: usize) -> Vec<&Region> {
        let mut places: Vec<usize> = (0..self.regions.len()).collect();
        places.sort_by_key(|&place| (std::cmp::Reverse(self.regions[place].failing()), place));
        places.truncate(most);
        places.sort_unstable();
        places.into_iter().map(|place| &self.regions[place]).collect()
    }

    /// Inputs that were judged and do not pass.
    pub fn failing(&self) -> u64 {
        self.judged - self.verdicts.get(&Verdict::Pass).copied().unwrap_or(0)
    }

    /// The text of `certificate.json`: each region and each line of a map on a line of its own.
    ///
    /// # Errors
    /// None is known.
    pub fn text(&self) -> Result<String> {
        let plain = Self { regions: Vec::new(), maps: Vec::new(), ..self.clone() };
        let head = serde_json::to_string_pretty(&plain).map_err(json::cannot_write)?;
        let lines = |values: Vec<String>| match values.is_empty() {
            true => "[]".to_owned(),
            false => format!("[\n    {}\n  ]", values.join(",\n    ")),
        };
        let regions = self.regions.iter().map(json::line).collect::<Result<Vec<_>>>()?;
        let map = |map: &Map| -> Result<String> {
            let rows = map.rows.iter().map(json::line).collect::<Result<Vec<_>>>()?;
            let (layer, key) = (json::line(&map.layer)?, json::line(&map.key)?);
            Ok(format!("{{\"layer\": {layer}, \"key\": {key}, \"rows\": {}}}", lines(rows)))
        };
        let mut text = head.replacen("\"regions\": []", &format!("\"regions\": {}", lines(regions)), 1);
        if !self.maps.is_empty() {
            let maps = self.maps.iter().map(map).collect::<Result<Vec<_>>>()?;
            let end = text.trim_end_matches(['}', '\n']).len();
            text.replace_range(end.., &format!(",\n  \"maps\": {}\n}}", lines(maps)));
        }
        Ok(text + "\n")
    }

    /// Reads the text of a certificate; what it says is harmless to print from here on. The error is the reason.
    pub fn parse(bytes: &[u8]) -> std::result::Result<Self, String> {
        let bytes = outside::without_mark(bytes);
        let wrong = |error: serde_json::Error| format!("no certificate: {}", json::place(&error));
        json::check_schema(json::schema_of(bytes).map_err(wrong)?.as_deref(), SCHEMA)?;
        let mut read: Self = serde_json::from_slice(bytes).map_err(wrong)?;
        outside::check_recorded_name(&read.kernel)?;
        let judged = sum(read.verdicts.values());
        let space = Space::new(read.op, read.dtype, read.domain).map_err(|error| error.to_string())?;
        if judged != Some(read.judged) || read.judged > read.inputs || read.inputs != space.inputs() {
            return Err("its counts contradict each other; was it edited?".to_owned());
        }
        let Self { selector, inputs_are, provenance, worst_error, worst_ratio, regions, maps, .. } = &mut read;
        let libraries = provenance.libraries.values_mut();
        let worst = [worst_error, worst_ratio].into_iter().flatten();
        let worst = worst.flat_map(|worst| [&mut worst.case, &mut worst.decimal]);
        let spans = regions.iter_mut().flat_map(|region| region.x.iter_mut().chain([&mut region.values]));
        let spans =
            spans.flat_map(|span| [&mut span.low, &mut span.high, &mut span.low_decimal, &mut span.high_decimal]);
        let texts = [selector, inputs_are, &mut provenance.logitfuzz, &mut provenance.mpfr].into_iter();
        let texts = texts.chain(libraries).chain(worst).chain(spans);
        texts
            .chain(maps.iter_mut().map(|map| &mut map.layer))
            .for_each(|text| outside::tidy(text, outside::LONGEST_TEXT));
        read.regions.iter_mut().for_each(|region| outside::tidy(&mut region.layer, outside::LONGEST_TEXT));
        Ok(read)
    }

    /// The values of the dtype, by rank.
    pub fn ranks(&self) -> Ranks {
        Ranks::new(self.dtype)
    }
}

/// Of equal ones the first stays: records come in the order of their inputs.
fn take_larger(kept: &mut Option<(u64, Extreme)>, line: u64, found: Option<Extreme>) {
    if let Some(found) = found
        && found.value > kept.map_or(0.0, |(_, kept)| kept.value)
    {
        *kept = Some((line, found));
    }
}

/// The regions of a certificate.
#[derive(Default)]
struct Regions {
    intervals: u64,
    in_all: u64,
    unlisted_inputs: u64,
    listed: Vec<Region>,
}

/// A rectangle of pairs: first logits on lines that follow each other, each with the same interval of second ones.
struct Rectangle {
    layer: u64,
    lines: (u64, u64),
    interval: Interval,
    failing: u64,
    /// Its place in the order in which rectangles begin.
    number: u64,
}

impl Regions {
    /// Of elements and gaps: the intervals of each line, over the ends of pieces.
    fn of_lines(space: &Space, records: &[Record]) -> Self {
        let mut regions = Self::default();
        for of_line in records.chunk_by(|a, b| space.piece(a.piece).line == space.piece(b.piece).line) {
            let layer = space.piece(of_line[0].piece).line;
            let mut intervals = Vec::new();
            for record in of_line {
                let (kept, before) = (record.intervals.len(), intervals.len());
                record.intervals.iter().for_each(|&next| interval::push(&mut intervals, next));
                // One that goes on past the end of a piece is one.
                regions.intervals += record.found - (before + kept - intervals.len()) as u64;
            }
            let listed = interval::join(intervals, MOST_REGIONS / space.layers() as usize);
            regions.in_all += listed.len() as u64;
            regions.listed.extend(listed.iter().map(|interval| Region {
                layer: space.layer_name(layer),
                verdict: interval.verdict,
                x: None,
                values: Span::new(space.value(interval.first), space.value(interval.last), space.dtype),
                inputs: interval.len(),
                failing: (!interval.is_exact()).then_some(interval.failing),
            }));
        }
        regions
    }

    /// Of pairs: rectangles, the largest of them.
    fn of_planes(space: &Space, records: &[Record]) -> Self {
        let mut regions = Self::default();
        // By first, last and verdict of their intervals: those that the next line can make larger.
        let mut open: BTreeMap<(u64, u64, Verdict, bool), Rectangle> = BTreeMap::new();
        let mut closed = Vec::new();
        let mut next_line = 0;
        for record in records {
            let line = space.piece(record.piece).line;
            let (layer, x) = (line / space.lines_of_layer(), line % space.lines_of_layer());
            let mut before = std::mem::take(&mut open);
            if line != next_line || x == 0 {
                regions.close(std::mem::take(&mut before), &mut closed);
            }
            for &interval in &record.intervals {
                let key = (interval.first, interval.last, interval.verdict, interval.is_exact());
                let number = regions.in_all;
                let rectangle = before.remove(&key).unwrap_or_else(|| {
                    regions.in_all += 1;
                    Rectangle { layer, lines: (x, x), interval, failing: 0, number }
                });
                let failing = rectangle.failing + interval.failing;
                open.insert(key, Rectangle { lines: (rectangle.lines.0, x), failing, ..rectangle });
            }
            regions.intervals += record.found;
            regions.close(before, &mut closed);
            next_line = line + 1;
        }
        regions.close(open, &mut closed);
        regions.keep_largest(&mut closed);
        closed.sort_by_key(|rectangle| rectangle.number);
        let ranks = space.ranks();
        let region = |Rectangle { layer, lines, interval, failing, .. }: &Rectangle| Region {
            layer: space.layer_name(*layer),
            verdict: interval.verdict,
            x: Some(Span::new(ranks.value(lines.0), ranks.value(lines.1), space.dtype)),
            values: Span::new(space.value(interval.first), space.value(interval.last), space.dtype),
            inputs: (lines.1 - lines.0 + 1) * interval.len(),
            failing: (!interval.is_exact()).then_some(*failing),
        };
        regions.listed = closed.iter().map(region).collect();
        regions
    }

    /// Takes rectangles that no line makes larger any more. Now and then all but the largest go, so that memory does not grow.
    fn close(&mut self, rectangles: BTreeMap<(u64, u64, Verdict, bool), Rectangle>, closed: &mut Vec<Rectangle>) {
        closed.extend(rectangles.into_values());
        if closed.len() > 16 * MOST_REGIONS {
            self.keep_largest(closed);
        }
    }

    /// Keeps as many as are listed, the largest; of equal ones the first.
    fn keep_largest(&mut self, closed: &mut Vec<Rectangle>) {
        closed.sort_by_key(|rectangle| (std::cmp::Reverse(rectangle.failing), rectangle.number));
        let dropped = closed.drain(MOST_REGIONS.min(closed.len())..);
        self.unlisted_inputs += dropped.map(|rectangle| rectangle.failing).sum::<u64>();
    }
}

/// The maps of the layers that have a failure.
fn maps(space: &Space, records: &[Record]) -> Vec<Map> {
    let lines = space.lines_of_layer();
    let line_of = |record: &Record| space.piece(record.piece).line;
    let mut maps = Vec::new();
    for of_layer in records.chunk_by(|a, b| line_of(a) / lines == line_of(b) / lines) {
        if of_layer.iter().all(|record| record.intervals.is_empty()) {
            continue;
        }
        // No verdict where no line of a cell was judged.
        let mut rows = vec![[None; MAP_CELLS as usize]; MAP_CELLS as usize];
        for record in of_layer {
            let row = &mut rows[map::cell(line_of(record) % lines, lines)];
            let cells = record.cells.clone().unwrap_or_else(|| map::row(&record.intervals, space.line_len()));
            for (cell, letter) in row.iter_mut().zip(cells.chars()) {
                *cell = (*cell).max(map::verdict(letter));
            }
        }
        let failing = rows.iter().flatten().copied().flatten().filter(|&verdict| verdict != Verdict::Pass);
        let text = |row: &[Option<Verdict>]| row.iter().map(|cell| cell.map_or(MAP_NONE, map::letter)).collect();
        maps.push(Map {
            layer: space.layer_name(line_of(&of_layer[0]) / lines),
            key: failing.map(|verdict| (map::letter(verdict), verdict)).collect(),
            rows: rows.iter().map(|row| text(row)).collect(),
        });
    }
    maps
}
