//! Arrays in `.npy` files, formats 1 to 3 of numpy's specification: the header, which is a dictionary as Python writes it, and the numbers.
//!
//! Only what `numpy.save` writes is read: `'descr'`, `'fortran_order'` and `'shape'`, each once, in any order. A header claims how many
//! numbers there are; nothing is allocated by its word.

use crate::error::{Error, Result};
use std::path::Path;

/// The longest header read, which is numpy's own limit (`max_header_size` of `numpy.load`).
const MAX_HEADER: usize = 10_000;

/// What is said of a header that numpy did not write.
const STRANGE: &str = "its header is not one that numpy writes; save the array with numpy.save";

/// A `.npy` file, in memory, whose header is known to agree with its size.
pub(super) struct Npy<'a> {
    path: &'a Path,
    header: Header,
    item: Item,
    data: Vec<u8>,
}

/// What a header says.
#[derive(Debug, PartialEq)]
struct Header {
    /// The dtype as it is written, quotes included.
    descr: String,
    is_fortran: bool,
    shape: Vec<u64>,
}

/// What the numbers of an array are.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Item {
    is_big_endian: bool,
    /// numpy's letter: `f`, `i`, `u` or another.
    kind: u8,
    /// In bytes.
    size: u64,
}

impl<'a> Npy<'a> {
    /// Reads the bytes of a file and checks them against its own header.
    ///
    /// # Errors
    /// A line, of what is wrong.
    pub fn parse(path: &'a Path, mut bytes: Vec<u8>) -> Result<Self> {
        let (start, header) = header_of(&bytes).map_err(|reason| Error::file(path, reason))?;
        let header = Header::parse(header).map_err(|reason| Error::file(path, reason))?;
        let Some(item) = Item::parse(&header.descr) else {
            return Err(wrong_dtype(path, &header, "save plain numbers with numpy.save"));
        };
        let data = bytes.split_off(start);
        // The product is a u64; see `Header::parse`.
        let (len, there) = (header.shape.iter().product::<u64>(), data.len() as u128);
        let (size, due) = (item.size, u128::from(len) * u128::from(item.size));
        if there < due {
            let reason =
                format!("truncated: {len} values of {size} bytes are {due} bytes and {there} are there; save it again");
            return Err(Error::file(path, reason));
        }
        if there > due {
            let reason = format!("{} bytes follow the array's {due}; save one array a file", there - due);
            return Err(Error::file(path, reason));
        }
        Ok(Self { path, header, item, data })
    }

    /// The length of each dimension.
    pub fn shape(&self) -> &[u64] {
        &self.header.shape
    }

    /// Whether the first index varies fastest.
    pub fn is_fortran(&self) -> bool {
        self.header.is_fortran
    }

    /// The numbers in the order of the file, if they are floats.
    pub fn floats(&self) -> Option<Vec<f64>> {
        Some(match (self.item.kind, self.item.size) {
            (b'f', 2) => self.values(|bytes| half::f16::from_le_bytes(bytes).to_f64()),
            (b'f', 4) => self.values(|bytes| f64::from(f32::from_le_bytes(bytes))),
            (b'f', 8) => self.values(f64::from_le_bytes),
            _ => return None,
        })
    }

    /// The numbers in the order of the file, if they are integers.
    pub fn integers(&self) -> Option<Vec<i128>> {
        Some(match (self.item.kind, self.item.size) {
            (b'i', 1) => self.values(|bytes| i8::from_le_bytes(bytes).into()),
            (b'i', 2) => self.values(|bytes| i16::from_le_bytes(bytes).into()),
            (b'i', 4) => self.values(|bytes| i32::from_le_bytes(bytes).into()),
            (b'i', 8) => self.values(|bytes| i64::from_le_bytes(bytes).into()),
            (b'u', 1) => self.values(|bytes| u8::from_le_bytes(bytes).into()),
            (b'u', 2) => self.values(|bytes| u16::from_le_bytes(bytes).into()),
            (b'u', 4) => self.values(|bytes| u32::from_le_bytes(bytes).into()),
            (b'u', 8) => self.values(|bytes| u64::from_le_bytes(bytes).into()),
            _ => return None,
        })
    }

    fn values<const SIZE: usize, T>(&self, value: impl Fn([u8; SIZE]) -> T) -> Vec<T> {
        let (each, _) = self.data.as_chunks::<SIZE>();
        let little_endian = |mut bytes: [u8; SIZE]| {
            if self.item.is_big_endian {
                bytes.reverse();
            }
            bytes
        };
        each.iter().map(|&bytes| value(little_endian(bytes))).collect()
    }

    /// That the dtype is not the one that is needed.
    pub fn wrong_dtype(&self, advice: &str) -> Error {
        wrong_dtype(self.path, &self.header, advice)
    }

    /// That the shape is not one that is needed.
    pub fn wrong_shape(&self, advice: &str) -> Error {
        let sizes: Vec<String> = self.header.shape.iter().map(u64::to_string).collect();
        Error::file(self.path, format!("its shape is ({}); {advice}", sizes.join(", ")))
    }
}

fn wrong_dtype(path: &Path, header: &Header, advice: &str) -> Error {
    Error::file(path, format!("its dtype is {}; {advice}", header.descr))
}

/// Where the data start, and the text before them.
fn header_of(bytes: &[u8]) -> std::result::Result<(usize, &str), &'static str> {
    const TRUNCATED: &str = "truncated within its header; save it again";
    if !bytes.starts_with(b"\x93NUMPY") {
        return Err("not a .npy file (its first bytes are not \\x93NUMPY); save the array with numpy.save");
    }
    let (start, length) = match (bytes.get(6), bytes.get(8..10), bytes.get(8..12)) {
        (Some(1), Some(&[a, b]), _) => (10, usize::from(u16::from_le_bytes([a, b]))),
        (Some(2 | 3), _, Some(&[a, b, c, d])) => (12, u32::from_le_bytes([a, b, c, d]) as usize),
        (Some(1..=3) | None, _, _) => return Err(TRUNCATED),
        _ => return Err("an unknown version of the .npy format; save the array with numpy.save"),
    };
    if length > MAX_HEADER {
        return Err("its header is longer than numpy reads; save the array with numpy.save");
    }
    let header = bytes.get(start..start + length).ok_or(TRUNCATED)?;
    Ok((start + length, std::str::from_utf8(header).map_err(|_| STRANGE)?))
}

impl Header {
    fn parse(text: &str) -> std::result::Result<Self, String> {
        let missing = |what: &str| format!("no .npy header: {what} is missing; save the array with numpy.save");
        let mut rest = Text(text);
        let (mut descr, mut is_fortran, mut shape) = (None, None, None);
        if !rest.skip('{') {
            return Err(missing("the dictionary"));
        }
        while !rest.skip('}') {
            let key = rest.string().ok_or_else(|| missing("a key"))?;
            if !rest.skip(':') {
                return Err(missing("a colon"));
            }
            let is_new = match key {
                "'descr'" | "\"descr\"" => descr.replace(rest.dtype().ok_or(STRANGE)?).is_none(),
                "'fortran_order'" | "\"fortran_order\"" => is_fortran.replace(rest.boolean().ok_or(STRANGE)?).is_none(),
                "'shape'" | "\"shape\"" => shape.replace(rest.shape()?).is_none(),
                _ => false,
            };
            if !is_new {
                return Err(STRANGE.to_owned());
            }
            if !rest.skip(',') && !rest.is_before('}') {
                return Err(missing("a comma"));
            }
        }
        if !rest.0.trim().is_empty() {
            return Err(STRANGE.to_owned());
        }
        Ok(Self {
            descr: descr.ok_or_else(|| missing("'descr'"))?.to_owned(),
            is_fortran: is_fortran.ok_or_else(|| missing("'fortran_order'"))?,
            shape: shape.ok_or_else(|| missing("'shape'"))?,
        })
    }
}

impl Item {
    /// Of a plain dtype, `'<f4'`; none where it is structured, or of no size.
    fn parse(descr: &str) -> Option<Self> {
        let text = descr.trim_matches(['\'', '"']);
        let (order, text) = (text.chars().next()?, text.get(1..)?);
        let (kind, text) = (*text.as_bytes().first()?, text.get(1..)?);
        // Of a time, its unit follows.
        let digits = &text[..text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len())];
        // Characters of text have four bytes.
        let width = if kind == b'U' { 4 } else { 1 };
        let size = digits.parse::<u64>().ok()?.checked_mul(width)?;
        let is_plain = kind.is_ascii_alphabetic() && kind != b'O' && size > 0;
        let is_big_endian = match order {
            '>' => true,
            '<' => false,
            // No order, of bytes.
            '|' if size == 1 || matches!(kind, b'S' | b'V') => false,
            _ => return None,
        };
        is_plain.then_some(Self { is_big_endian, kind, size })
    }
}

/// What is left of a header.
struct Text<'a>(&'a str);

impl<'a> Text<'a> {
    fn is_before(&self, mark: char) -> bool {
        self.0.trim_start().starts_with(mark)
    }

    /// Goes past a mark, if it is there.
    fn skip(&mut self, mark: char) -> bool {
        match self.0.trim_start().strip_prefix(mark) {
            Some(rest) => {
                self.0 = rest;
                true
            }
            None => false,
        }
    }

    /// The next so many bytes.
    fn take(&mut self, len: usize) -> &'a str {
        let (taken, rest) = self.0.split_at(len);
        self.0 = rest;
        taken
    }

    /// A string with its quotes; numpy escapes nothing in those that it writes here.
    fn string(&mut self) -> Option<&'a str> {
        self.0 = self.0.trim_start();
        let quote = self.0.chars().next().filter(|mark| matches!(mark, '\'' | '"'))?;
        let len = 2 + self.0.get(1..)?.find(quote)?;
        Some(self.take(len)).filter(|text| !text.contains('\\'))
    }

    /// A dtype as it is written: a string, or the list of a structured one.
    fn dtype(&mut self) -> Option<&'a str> {
        self.0 = self.0.trim_start();
        if !self.0.starts_with('[') {
            return self.string();
        }
        let (mut depth, mut quote) = (0usize, None);
        for (place, c) in self.0.char_indices() {
            match (c, quote) {
                ('\\', _) => return None,
                ('\'' | '"', None) => quote = Some(c),
                (_, Some(open)) if c == open => quote = None,
                (_, Some(_)) => {}
                ('[' | '(', None) => depth += 1,
                (']' | ')', None) => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                return Some(self.take(place + c.len_utf8()));
            }
        }
        None
    }

    fn boolean(&mut self) -> Option<bool> {
        self.0 = self.0.trim_start();
        let value = [("True", true), ("False", false)].into_iter().find(|(word, _)| self.0.starts_with(word));
        value.map(|(word, value)| {
            self.take(word.len());
            value
        })
    }

    /// The lengths of the dimensions, whose product is a `u64` even without those that are 0.
    fn shape(&mut self) -> std::result::Result<Vec<u64>, &'static str> {
        const TOO_MANY: &str = "its header claims more values than any file holds; save it again";
        if !self.skip('(') {
            return Err(STRANGE);
        }
        let (mut shape, mut product) = (Vec::new(), 1u64);
        while !self.skip(')') {
            self.0 = self.0.trim_start();
            let len = self.0.find(|c: char| !c.is_ascii_digit()).unwrap_or(self.0.len());
            if len == 0 {
                return Err(STRANGE);
            }
            let size: u64 = self.take(len).parse().map_err(|_| TOO_MANY)?;
            product = product.checked_mul(size.max(1)).ok_or(TOO_MANY)?;
            shape.push(size);
            if !self.skip(',') && !self.is_before(')') {
                return Err(STRANGE);
            }
        }
        Ok(shape)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn headers_that_numpy_writes() {
        let header = |descr: &str, is_fortran, shape: &[u64]| {
            Ok(Header { descr: descr.to_owned(), is_fortran, shape: shape.to_vec() })
        };
        for (text, due) in [
            ("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }   \n", header("'<f4'", false, &[2, 3])),
            ("{'descr': '>f8', 'fortran_order': True, 'shape': (), }", header("'>f8'", true, &[])),
            ("{\"shape\":(7,),\"descr\":\"|u1\",\"fortran_order\":False}", header("\"|u1\"", false, &[7])),
            (
                "{'descr': [('a]', '<f4', (2,)), ('b', '<i8')], 'fortran_order': False, 'shape': (0, 1), }\n",
                header("[('a]', '<f4', (2,)), ('b', '<i8')]", false, &[0, 1]),
            ),
        ] {
            assert_eq!(Header::parse(text), due, "{text}");
        }
        for text in [
            "",
            "{",
            "{'descr'",
            "{'descr': '<f4'",
            "{'descr': '<f4' 'shape': ()}",
            "{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': ()}",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (), 'more': ()}",
            "{'descr': '<f4', 'fortran_order': 0, 'shape': ()}",
            "{'descr': '<f4', 'fortran_order': False, 'shape': [2]}",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (2, -3)}",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (2 3)}",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (,)}",
            "{'descr': '<f4', 'fortran_order': False, 'shape': ()} and more",
            "{'descr': '\\'<f4', 'fortran_order': False, 'shape': ()}",
            "{'descr': [('a', '<f4'), 'fortran_order': False, 'shape': ()}",
        ] {
            assert!(Header::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn items_are_what_numpy_calls_them() {
        let item = |is_big_endian, kind, size| Some(Item { is_big_endian, kind, size });
        for (descr, due) in [
            ("'<f4'", item(false, b'f', 4)),
            ("'>i8'", item(true, b'i', 8)),
            ("'|u1'", item(false, b'u', 1)),
            ("'<U5'", item(false, b'U', 20)),
            ("'|S3'", item(false, b'S', 3)),
            ("'<M8[D]'", item(false, b'M', 8)),
            ("'|O'", None),
            ("'|f4'", None),
            ("'f4'", None),
            ("'<f'", None),
            ("'<f0'", None),
            ("'<f99999999999999999999'", None),
            ("''", None),
            ("'\u{e9}f4'", None),
            ("[('a', '<f4')]", None),
        ] {
            assert_eq!(Item::parse(descr), due, "{descr}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "[\\{\\}\\(\\)\\[\\]'\",: 0-9a-zTFé\\\\<>|]{0,60}", end in 0usize..80) {
            let _ = Header::parse(&text);
            let good = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }";
            let _ = Header::parse(&format!("{}{text}", &good[..end.min(good.len())]));
            let _ = Item::parse(&text);
        }
    }
}
