//! A user's own rows of logits, and their targets, from `.npy` and `.csv` files.
//!
//! Nothing is rounded while reading: a row is kept as the file has it and is rounded once, to the dtype of a case, by
//! [`Rows::row`]. The values of a `.npy` file are `f64` values anyway. A decimal is not, and to round it to `f64` first and to
//! the dtype afterwards would round twice: 1.0004882812500000000000000000001 lies above the midpoint of two f16 values, its
//! nearest `f64` right on it. So beside the nearest `f64` of such a cell the side on which the decimal lies is kept (a *sticky*
//! sign), which is all that rounding to a narrower dtype can ask for.
//!
//! Every malformed file is one line: the file, the place, the reason, what to do. Rows and columns of a `.npy` file are counted
//! from 0, as numpy does; lines and columns of a text file from 1, as editors do.

use crate::checksum::Fnv;
use crate::dtype::{Dtype, text};
use crate::error::{Error, Result};
use crate::outside;
use npy::Npy;
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

mod npy;

/// The name of the family of a user's own rows.
pub const FILE_FAMILY: &str = "file";

/// Rows of logits as read: `f64` values that are the file's own (a decimal's nearest), not yet rounded to a dtype.
#[derive(Debug, Clone)]
pub struct Rows {
    /// The rows, of one length each or ragged; at least one row, and at least one value in each.
    pub rows: Vec<Arc<[f64]>>,
    /// One class per row, an index into it.
    pub targets: Option<Vec<usize>>,
    /// The sign of `decimal - f64` for the cells (row, column) where a narrower dtype could ask for it.
    sticky: BTreeMap<(usize, usize), f64>,
}

impl Rows {
    /// Reads logits from a `.npy` file (f2, f4 or f8, either byte order, C or Fortran order, 2-d; 1-d is one row) or a `.csv`
    /// file (one row a line, ragged rows allowed, numbers as [`text::parse`] reads them, a first line without any number is a
    /// header), and targets from a `.npy` file (1-d, any integer dtype) or a text file (`.csv`, `.txt`: one class a line).
    ///
    /// # Errors
    /// A file that cannot be read or is malformed, and targets that are no classes of the rows: one line each.
    pub fn read(logits: &Path, targets: Option<&Path>) -> Result<Rows> {
        let is_known = |path: &Path, known: &[&str]| known.contains(&extension(path).as_str());
        if !is_known(logits, &["npy", "csv"]) {
            return Err(Error::file(logits, "no known extension; logits are read from .npy and .csv files"));
        }
        let read = Self::parse(logits, read_bytes(logits)?)?;
        let Some(path) = targets else { return Ok(read) };
        if !is_known(path, &["npy", "csv", "txt"]) {
            return Err(Error::file(path, "no known extension; targets are read from .npy, .csv and .txt files"));
        }
        read.with_targets(path, read_bytes(path)?)
    }

    /// Reads logits from the bytes of a file; its name tells the format.
    ///
    /// # Errors
    /// As [`Rows::read`].
    pub(crate) fn parse(path: &Path, bytes: Vec<u8>) -> Result<Rows> {
        if extension(path) == "npy" { Rows::from_npy(path, bytes) } else { Rows::from_csv(path, bytes) }
    }

    /// Adds the targets in the bytes of a file; its name tells the format.
    ///
    /// # Errors
    /// As [`Rows::read`].
    pub(crate) fn with_targets(mut self, path: &Path, bytes: Vec<u8>) -> Result<Rows> {
        let is_array = extension(path) == "npy";
        let classes = if is_array { integers_from_npy(path, bytes)? } else { integers_from_text(path, bytes)? };
        self.targets = Some(self.checked_targets(path, &classes)?);
        Ok(self)
    }

    /// The number of rows.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is no row; never so for rows that were read.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Row `index` in `dtype`: every value of the file rounded once, to nearest, ties to even.
    ///
    /// # Panics
    /// If `index` is not less than [`Rows::len`].
    pub fn row(&self, index: usize, dtype: Dtype) -> Vec<f64> {
        let format = dtype.format();
        let mut row: Vec<f64> = self.rows[index].iter().map(|&z| dtype.round(z)).collect();
        for (&(_, column), &side) in self.sticky.range((index, 0)..=(index, usize::MAX)) {
            if dtype != Dtype::F64 {
                row[column] = format.round(self.rows[index][column], side);
            }
        }
        row
    }

    /// A checksum of the values and targets, 16 hex digits: equal for equal rows, whatever file they came from.
    pub fn checksum(&self) -> String {
        let mut sum = Fnv::new();
        for row in &self.rows {
            sum.word(row.len() as u64);
            row.iter().for_each(|z| sum.word(z.to_bits()));
        }
        for (&(row, column), side) in &self.sticky {
            [row as u64, column as u64, side.to_bits()].into_iter().for_each(|word| sum.word(word));
        }
        for &class in self.targets.iter().flatten() {
            sum.word(class as u64);
        }
        format!("{:016x}", sum.sum())
    }

    fn from_npy(path: &Path, bytes: Vec<u8>) -> Result<Rows> {
        let file = Npy::parse(path, bytes)?;
        let (count, n) = match *file.shape() {
            [n] => (1, n),
            [count, n] => (count, n),
            _ => return Err(file.wrong_shape("logits are 2-d, one row of logits each, or 1-d, a single row")),
        };
        if count == 0 || n == 0 {
            return Err(file.wrong_shape("there is no logit in it; save rows of at least one value"));
        }
        let Some(flat) = file.floats() else {
            return Err(file.wrong_dtype("logits are f2, f4 or f8; save them with .astype(numpy.float32), say"));
        };
        // Both fit: the file holds count * n values.
        let (count, n) = (count as usize, n as usize);
        let at = |row: usize, column: usize| if file.is_fortran() { row + column * count } else { row * n + column };
        let rows = (0..count).map(|row| (0..n).map(|column| one_nan(flat[at(row, column)])).collect()).collect();
        Ok(Rows { rows, targets: None, sticky: BTreeMap::new() })
    }

    fn from_csv(path: &Path, bytes: Vec<u8>) -> Result<Rows> {
        let text = text_of(path, bytes)?;
        let mut read = Rows { rows: Vec::new(), targets: None, sticky: BTreeMap::new() };
        for (line, cells) in lines(path, &text)? {
            let index = read.rows.len();
            let mut row = Vec::with_capacity(cells.len());
            for (column, cell) in cells.iter().enumerate() {
                let (value, side) = number(cell)
                    .map_err(|reason| Error::file(path, format!("line {line}, column {}: {reason}", column + 1)))?;
                row.push(value);
                if side != 0.0 {
                    read.sticky.insert((index, column), side);
                }
            }
            read.rows.push(row.into());
        }
        if read.rows.is_empty() {
            return Err(Error::file(path, "there is no row of numbers in it; write one row of logits a line"));
        }
        Ok(read)
    }

    fn checked_targets(&self, path: &Path, classes: &[Integer]) -> Result<Vec<usize>> {
        if classes.len() != self.len() {
            return Err(Error::file(
                path,
                format!("{} targets for {} rows of logits; give one per row", classes.len(), self.len()),
            ));
        }
        let of_row = |(class, row): (&Integer, &Arc<[f64]>)| {
            let n = row.len();
            usize::try_from(class.value).ok().filter(|&index| index < n).ok_or_else(|| {
                Error::file(
                    path,
                    format!(
                        "{}: target {} is no class of {n} logits; the classes are 0 to {}",
                        class.place,
                        class.value,
                        n - 1
                    ),
                )
            })
        };
        classes.iter().zip(&self.rows).map(of_row).collect()
    }
}

/// A target as read, and where it stands.
struct Integer {
    value: i128,
    place: Place,
}

/// Where a target stands: a row of a `.npy` file counted from 0, a line of a text file counted from 1.
enum Place {
    Row(usize),
    Line(u64),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Row(row) => write!(f, "row {row}"),
            Place::Line(line) => write!(f, "line {line}"),
        }
    }
}

fn extension(path: &Path) -> String {
    path.extension().map(|extension| extension.to_string_lossy().to_ascii_lowercase()).unwrap_or_default()
}

/// All NaNs alike: conversions between widths keep no payload that one could rely on.
fn one_nan(x: f64) -> f64 {
    if x.is_nan() { f64::NAN } else { x }
}

fn read_bytes(path: &Path) -> Result<Vec<u8>> {
    let bytes = outside::read(path, &outside::ROWS)
        .map_err(|reason| Error::file(path, format!("cannot be read: {reason}; check the path")))?;
    if bytes.is_empty() {
        return Err(Error::file(path, "the file is empty; save the array again"));
    }
    Ok(bytes)
}

fn integers_from_npy(path: &Path, bytes: Vec<u8>) -> Result<Vec<Integer>> {
    let file = Npy::parse(path, bytes)?;
    let [_] = *file.shape() else {
        return Err(file.wrong_shape("targets are 1-d, one class per row; save them with .ravel()"));
    };
    let Some(values) = file.integers() else {
        return Err(file.wrong_dtype("targets are integers; save them with .astype(numpy.int64)"));
    };
    Ok(values.into_iter().enumerate().map(|(row, value)| Integer { value, place: Place::Row(row) }).collect())
}

fn integers_from_text(path: &Path, bytes: Vec<u8>) -> Result<Vec<Integer>> {
    let text = text_of(path, bytes)?;
    let integer = |(line, cells): (u64, csv::StringRecord)| {
        let bad = |reason: String| Error::file(path, format!("line {line}: {reason}; write one class a line"));
        if cells.len() != 1 {
            return Err(bad(format!("{} values", cells.len())));
        }
        let value = cells[0].parse().map_err(|_| bad(format!("`{}` is no integer", shown(&cells[0]))))?;
        Ok(Integer { value, place: Place::Line(line) })
    };
    lines(path, &text)?.into_iter().map(integer).collect()
}

fn text_of(path: &Path, bytes: Vec<u8>) -> Result<String> {
    // Spreadsheets write a byte order mark.
    String::from_utf8(outside::without_mark(&bytes).to_vec()).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        Error::file(path, format!("byte {at} is no UTF-8 text; save it as comma-separated text"))
    })
}

/// The lines with numbers, each with its line number (from 1): all but a header and blank lines at the end.
fn lines(path: &Path, text: &str) -> Result<Vec<(u64, csv::StringRecord)>> {
    let text = text.trim_end();
    // The reader below skips blank lines, and with them rows that somebody counts.
    if let Some(blank) = text.lines().position(|line| line.trim().is_empty()) {
        return Err(Error::file(path, format!("line {} is blank; write at least one value a line", blank + 1)));
    }
    let mut reader =
        csv::ReaderBuilder::new().has_headers(false).flexible(true).trim(csv::Trim::All).from_reader(text.as_bytes());
    let mut records = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|error| Error::file(path, format!("{error}; write comma-separated numbers")))?;
        let line = record.position().map_or(0, csv::Position::line);
        let is_header = line == 1
            && record.iter().any(|cell| !cell.is_empty())
            && record.iter().all(|cell| text::parse(cell, Dtype::F64).is_err());
        if !is_header {
            records.push((line, record));
        }
    }
    Ok(records)
}

/// The start of a cell, for a message.
fn shown(cell: &str) -> String {
    cell.chars().take(60).collect::<String>().escape_debug().to_string()
}

/// Reads a number: its nearest `f64`, and the side of it (the sign) on which it lies, or 0 if no narrower dtype can ask.
fn number(cell: &str) -> Result<(f64, f64)> {
    if cell.is_empty() {
        return Err(Error::usage("the cell is empty; write a number"));
    }
    let nearest = text::parse(cell, Dtype::F64).map_err(|_| {
        Error::usage(format!(
            "`{}` is not a number; write a decimal, a hex float, inf or nan, separated by commas",
            shown(cell)
        ))
    })?;
    // Only where the nearest f64 is the midpoint of two numbers of a dtype does the side matter, and there the dtype's own
    // reading shows it. Every such midpoint has one bit more than the dtype at most, so most cells end here.
    let widest = Dtype::F32.format().precision + 1;
    let spare_bits = f64::MANTISSA_DIGITS - widest;
    let is_short = nearest.is_finite() && nearest.to_bits() & ((1 << spare_bits) - 1) == 0;
    if is_short {
        for dtype in [Dtype::F32, Dtype::Bf16, Dtype::F16] {
            let (once, twice) = (text::parse(cell, dtype)?, dtype.round(nearest));
            if once != twice {
                return Ok((nearest, if once > twice { 1.0 } else { -1.0 }));
            }
        }
    }
    Ok((one_nan(nearest), 0.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::path::PathBuf;

    /// A `.npy` file of format 1 by hand.
    fn npy(descr: &str, fortran: bool, shape: &str, data: &[u8]) -> Vec<u8> {
        let fortran = if fortran { "True" } else { "False" };
        with_header(&format!("{{'descr': {descr}, 'fortran_order': {fortran}, 'shape': {shape}, }}"), data)
    }

    fn with_header(header: &str, data: &[u8]) -> Vec<u8> {
        let header = format!("{header:<117}\n");
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend((header.len() as u16).to_le_bytes());
        bytes.extend(header.as_bytes());
        bytes.extend(data);
        bytes
    }

    struct Folder(tempfile::TempDir);

    impl Folder {
        fn new() -> Self {
            Self(tempfile::tempdir().unwrap())
        }

        fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
            let path = self.0.path().join(name);
            fs::write(&path, bytes).unwrap();
            path
        }
    }

    /// `word`, big-endian if `big`.
    fn ordered(mut word: Vec<u8>, big: bool) -> Vec<u8> {
        if big {
            word.reverse();
        }
        word
    }

    fn words(rows: &Rows) -> Vec<Vec<u64>> {
        rows.rows.iter().map(|row| row.iter().map(|z| z.to_bits()).collect()).collect()
    }

    #[test]
    fn all_orders_and_widths_give_the_same_rows() {
        const VALUES: [f32; 6] = [1.0, -2.5, 1000.0, 0.25, f32::NEG_INFINITY, f32::NAN];
        let folder = Folder::new();
        let bits = |&x: &f32| one_nan(f64::from(x)).to_bits();
        let want: Vec<Vec<u64>> = VALUES.chunks(3).map(|row| row.iter().map(bits).collect()).collect();
        let mut sums = Vec::new();
        for width in [2, 4, 8] {
            for (big, fortran) in [(false, false), (false, true), (true, false), (true, true)] {
                let order = if fortran { [0, 3, 1, 4, 2, 5] } else { [0, 1, 2, 3, 4, 5] };
                let word = |index: usize| match width {
                    2 => half::f16::from_f32(VALUES[index]).to_le_bytes().to_vec(),
                    4 => VALUES[index].to_le_bytes().to_vec(),
                    _ => f64::from(VALUES[index]).to_le_bytes().to_vec(),
                };
                let data: Vec<u8> = order.into_iter().flat_map(|index| ordered(word(index), big)).collect();
                let descr = format!("'{}f{width}'", if big { '>' } else { '<' });
                let rows = Rows::read(&folder.write("z.npy", npy(&descr, fortran, "(2, 3)", &data)), None).unwrap();
                assert_eq!(words(&rows), want, "{descr} fortran={fortran}");
                sums.push(rows.checksum());
            }
        }
        let csv = folder.write("z.CSV", "\u{feff}a,b,c\n1,-2.5,1e3\r\n0x1p-2, -inf ,NaN\n\n");
        let rows = Rows::read(&csv, None).unwrap();
        assert_eq!(words(&rows), want);
        sums.push(rows.checksum());
        assert_eq!(sums.len(), 13);
        assert!(sums.iter().all(|sum| *sum == sums[0]), "{sums:?}");
        let one = Rows::read(&folder.write("z.npy", npy("'<f4'", false, "(2,)", &[0; 8])), None).unwrap();
        assert_eq!((one.len(), one.is_empty(), one.rows[0].len()), (1, false, 2));
        assert_ne!(one.checksum(), sums[0]);
    }

    #[test]
    fn decimals_are_rounded_once() {
        // Just above and below midpoints of f16, bf16 and f32, by less than an f64 can see; then what needs no such care.
        let cells = [
            "1.00048828125000000000000000000001",
            "1.00146484374999999999999999999999",
            "-1.00390625000000000000000000000001",
            "1.000000059604644775390625000000000000001",
            "0x1.0020000000000000000001p0",
            "2.98023223876953125000000000000000001e-8",
            "65519.9999999999999999999999",
            "65520",
            "0.1",
            "1.00048828125",
        ];
        let folder = Folder::new();
        let rows = Rows::read(&folder.write("z.csv", format!("7\n{}\n", cells.join(","))), None).unwrap();
        for dtype in Dtype::ALL {
            let want: Vec<f64> = cells.iter().map(|cell| text::parse(cell, dtype).unwrap()).collect();
            assert_eq!(rows.row(1, dtype), want, "{dtype}");
        }
        assert_eq!(rows.row(0, Dtype::F16), [7.0]);
        let twice: Vec<f64> = rows.rows[1].iter().map(|&z| Dtype::F16.round(z)).collect();
        assert_ne!(rows.row(1, Dtype::F16), twice, "no cell here needs more than an f64");
        let exact = Rows::read(&folder.write("y.csv", "7\n1.00048828125\n"), None).unwrap();
        assert!(exact.sticky.is_empty());
    }

    #[test]
    fn targets_of_every_kind() {
        let folder = Folder::new();
        let logits = folder.write("z.npy", npy("'<f4'", false, "(2, 3)", &[0; 24]));
        let ragged = folder.write("z.csv", "1,2,3\n4,5,6,7\n");
        for width in [1, 2, 4, 8] {
            for (sign, big) in [("i", false), ("i", true), ("u", false), ("u", true)] {
                let word = |class: u64| ordered(class.to_le_bytes()[..width].to_vec(), big);
                let data: Vec<u8> = [2, 1].into_iter().flat_map(word).collect();
                let mark = if width == 1 { '|' } else { ['<', '>'][usize::from(big)] };
                let path = folder.write("t.npy", npy(&format!("'{mark}{sign}{width}'"), false, "(2,)", &data));
                for file in [&logits, &ragged] {
                    assert_eq!(Rows::read(file, Some(&path)).unwrap().targets, Some(vec![2, 1]));
                }
            }
        }
        let text = folder.write("t.txt", "label\n2\n3\n");
        assert_eq!(Rows::read(&ragged, Some(&text)).unwrap().targets, Some(vec![2, 3]));
        let error = Rows::read(&logits, Some(&text)).unwrap_err().to_string();
        assert!(error.contains("line 3: target 3 is no class of 3 logits; the classes are 0 to 2"), "{error}");
    }

    #[test]
    fn malformed_logits_are_one_line() {
        let folder = Folder::new();
        let good = npy("'<f4'", false, "(2, 3)", &[0; 24]);
        let plain = |descr: &str, shape: &str, bytes: usize| npy(descr, false, shape, &vec![0; bytes]);
        let deep = format!("{}1{}", "(".repeat(200), ",)".repeat(200));
        let mut version = good.clone();
        version[6] = 9;
        let mut long_header = good.clone();
        long_header[6] = 2;
        long_header[8..12].fill(0xff);
        for (name, bytes, part) in [
            ("empty.npy", vec![], "the file is empty"),
            ("magic.npy", b"PK\x03\x04 what".to_vec(), "not a .npy file"),
            ("short.npy", good[..8].to_vec(), "truncated within its header"),
            ("short.npy", good[..60].to_vec(), "truncated within its header"),
            ("version.npy", version, "unknown version"),
            ("long.npy", long_header, "longer than numpy reads"),
            (
                "cut.npy",
                good[..good.len() - 1].to_vec(),
                "truncated: 6 values of 4 bytes are 24 bytes and 23 are there",
            ),
            ("more.npy", [good.clone(), vec![0]].concat(), "1 bytes follow"),
            ("i4.npy", plain("'<i4'", "(2, 3)", 24), "its dtype is '<i4'; logits are f2, f4 or f8"),
            ("u1.npy", plain("'|u1'", "(2, 3)", 6), "its dtype is '|u1'"),
            ("c8.npy", plain("'<c8'", "(1, 3)", 24), "its dtype is '<c8'"),
            ("f16.npy", plain("'<f16'", "(1, 1)", 16), "its dtype is '<f16'"),
            ("object.npy", plain("'|O'", "(1, 1)", 16), "its dtype is '|O'"),
            ("record.npy", plain("[('a', '<f4'), ('b', '<f4')]", "(3,)", 24), "save plain numbers"),
            ("0d.npy", plain("'<f4'", "()", 4), "its shape is (); logits are 2-d"),
            ("3d.npy", plain("'<f4'", "(1, 2, 3)", 24), "its shape is (1, 2, 3); logits are 2-d"),
            ("none.npy", plain("'<f4'", "(0, 3)", 0), "there is no logit in it"),
            ("none.npy", plain("'<f4'", "(3, 0)", 0), "there is no logit in it"),
            ("huge.npy", plain("'<f4'", "(1099511627776, 1024)", 24), "truncated: "),
            ("huge.npy", plain("'<f4'", "(1099511627776, 1099511627776, 0)", 0), "more values than any file"),
            ("huge.npy", plain("'<f4'", "(99999999999999999999999,)", 0), "more values than any file"),
            ("hex.npy", plain("'<f4'", "(0xffffffffffffffff, 0xffff)", 0), "not one that numpy writes"),
            ("negative.npy", plain("'<f4'", "(-2, 3)", 24), "not one that numpy writes"),
            ("deep.npy", plain("'<f4'", &deep, 24), "not one that numpy writes"),
            ("noshape.npy", with_header("{'descr': '<f4', 'fortran_order': False}", &[]), "no .npy header: "),
            ("grammar.npy", with_header("{'descr': '<f4', :}", &[]), "no .npy header: "),
            ("empty.csv", vec![], "the file is empty"),
            ("header.csv", b"a,b\n".to_vec(), "there is no row of numbers"),
            ("cell.csv", b"a,b\n1,2\n3,x\n".to_vec(), "line 3, column 2: `x` is not a number"),
            ("missing.csv", b"1,2\n3,,4\n".to_vec(), "line 2, column 2: the cell is empty"),
            ("blank.csv", b"1,2\n\n3,4\n".to_vec(), "line 2 is blank"),
            ("semicolon.csv", b"1;2\n3;4\n1\n".to_vec(), "line 2, column 1: `3;4` is not a number"),
            ("binary.csv", b"1,2\n\xff\xfe\n".to_vec(), "byte 4 is no UTF-8 text"),
            ("rows.txt", b"1,2\n".to_vec(), "no known extension"),
        ] {
            let path = folder.write(name, bytes);
            let error = Rows::read(&path, None).unwrap_err().to_string();
            assert!(error.contains(part) && error.contains(name), "{name}: {error}");
            assert!(!error.contains('\n') && error.contains(';'), "{name}: {error}");
        }
        let error = Rows::read(&folder.0.path().join("nowhere.npy"), None).unwrap_err().to_string();
        assert!(error.contains("nowhere.npy: cannot be read") && error.contains("check the path"), "{error}");
    }

    #[test]
    fn malformed_targets_are_one_line() {
        let folder = Folder::new();
        let logits = folder.write("z.npy", npy("'<f4'", false, "(2, 3)", &[0; 24]));
        for (name, bytes, part) in [
            ("t.npy", npy("'<i8'", false, "(1,)", &[0; 8]), "1 targets for 2 rows"),
            ("t.npy", npy("'|i1'", false, "(2,)", &[0, 0x9c]), "row 1: target -100 is no class of 3 logits"),
            ("t.npy", npy("'<u8'", false, "(2,)", &[0xff; 16]), "row 0: target 18446744073709551615"),
            ("t.npy", npy("'|u1'", false, "(2,)", &[2, 3]), "row 1: target 3 is no class"),
            ("t.npy", npy("'<f4'", false, "(2,)", &[0; 8]), "its dtype is '<f4'; targets are integers"),
            ("t.npy", npy("'|b1'", false, "(2,)", &[0; 2]), "its dtype is '|b1'; targets are integers"),
            ("t.npy", npy("'<M8[D]'", false, "(2,)", &[0; 16]), "targets are integers"),
            ("t.npy", npy("'|u1'", false, "(2, 1)", &[0; 2]), "its shape is (2, 1); targets are 1-d"),
            ("t.csv", b"1\n".to_vec(), "1 targets for 2 rows"),
            ("t.csv", b"1\n-1\n".to_vec(), "line 2: target -1 is no class"),
            ("t.csv", b"1\n1.5\n".to_vec(), "line 2: `1.5` is no integer"),
            ("t.txt", b"1,2\n".to_vec(), "line 1: 2 values; write one class a line"),
            ("t.txt", b"1\n\n2\n".to_vec(), "line 2 is blank"),
            ("t.json", b"[1, 2]".to_vec(), "no known extension; targets"),
        ] {
            let path = folder.write(name, bytes);
            let error = Rows::read(&logits, Some(&path)).unwrap_err().to_string();
            assert!(error.contains(part) && error.contains(name), "{name}: {error}");
            assert!(!error.contains('\n') && error.contains(';'), "{name}: {error}");
        }
    }
}
