//! The baseline as a file: reading with the line of every error, writing whole or not at all.
//!
//! Sorted lines, each with the names of what it tells, so that a diff shows what changed and two branches that touch different cells
//! merge: what functions declare of themselves, then the cells in which everything passes, in short, then all others (`lines.rs`). Each
//! line ends in a `check`, a checksum of the rest of the line: numbers are measured, and one that was typed in is refused. Only
//! `expected` stands outside it, because a person may write it.

use super::lines::{self, CellLine, DeclaredLine, FormerDeclaredLine, Line, PassingLine, checksum};
use super::{Baseline, BaselineSettings, CellName, Entry, FORMER_SCHEMA, Recorded, SCHEMA, SPELLED_SCHEMA};
use crate::error::{Error, Result};
use crate::outside;
use crate::{files, json};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry as Slot;
use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The line of the settings in a file as it is written.
pub(super) const SETTINGS_LINE: usize = 3;

const EDITED: &str = "its numbers do not fit its check, so they were edited; only `expected` may be written by hand. Take the line back, \
                      or measure with `logitfuzz accept`";

/// What every version of the format has.
#[derive(Deserialize)]
struct Version<'a> {
    #[serde(borrow)]
    schema: Option<&'a RawValue>,
}

/// The file, its parts as they stand there.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Parts<'a> {
    #[serde(rename = "schema")]
    _schema: &'a RawValue,
    #[serde(borrow)]
    settings: &'a RawValue,
    #[serde(borrow, default)]
    declared: Vec<&'a RawValue>,
    /// The versions before have none.
    #[serde(borrow)]
    passing: Option<Vec<&'a RawValue>>,
    #[serde(borrow)]
    cells: Vec<&'a RawValue>,
}

/// The line of the settings.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    settings: BaselineSettings,
    check: String,
}

/// The text of a file that is read, and where its lines end.
struct Text<'a> {
    text: &'a str,
    breaks: Vec<usize>,
    path: &'a Path,
}

impl<'a> Text<'a> {
    fn new(bytes: &'a [u8], path: &'a Path) -> Result<Self> {
        let text = std::str::from_utf8(bytes).map_err(|error| {
            let line = 1 + bytes[..error.valid_up_to()].iter().filter(|&&byte| byte == b'\n').count();
            Error::file(path, format!("line {line}: not a text in UTF-8"))
        })?;
        Ok(Self { text, breaks: text.match_indices('\n').map(|(at, _)| at).collect(), path })
    }

    /// The line in which a part begins.
    fn line_of(&self, part: &RawValue) -> usize {
        // Both are slices of one text, so their addresses say where the part stands.
        let offset = part.get().as_ptr() as usize - self.text.as_ptr() as usize;
        1 + self.breaks.partition_point(|&at| at < offset)
    }

    fn refuse(&self, line: usize, reason: impl Display) -> Error {
        Error::file(self.path, format!("line {line}: {reason}"))
    }

    /// The whole file as a value.
    fn whole<T: Deserialize<'a>>(&self) -> Result<T> {
        serde_json::from_str(self.text).map_err(|error| {
            Error::file(self.path, format!("{}; no whole baseline: was it cut short or edited?", json::place(&error)))
        })
    }

    /// A part of it as a value.
    fn value<T: Deserialize<'a>>(&self, part: &'a RawValue) -> Result<T> {
        serde_json::from_str(part.get()).map_err(|error| {
            let message = error.to_string();
            let message = message.split(" at line ").next().unwrap_or("");
            self.refuse(self.line_of(part) + error.line().saturating_sub(1), message)
        })
    }

    /// A part of it as a line that fits its check, and its number.
    fn line<L: Line>(&self, part: &'a RawValue) -> Result<(L, usize)> {
        let (mut line, number) = (self.value::<L>(part)?, self.line_of(part));
        if line.due_check()? != *line.check() {
            return Err(self.refuse(number, EDITED));
        }
        Ok((line, number))
    }

    /// Refuses a list of names that is empty, and a name that cannot be used.
    fn check_names<'n>(&self, line: usize, what: &str, names: impl IntoIterator<Item = &'n String>) -> Result<()> {
        let mut names = names.into_iter().peekable();
        if names.peek().is_none() {
            return Err(self.refuse(line, format!("it names no {what}, so it tells nothing; was it edited?")));
        }
        names.try_for_each(|name| outside::check_recorded_name(name).map_err(|reason| self.refuse(line, reason)))
    }

    /// Keeps what a line tells of something, of which no other may tell.
    fn keep<K: Ord + Display, V>(
        &self,
        all: &mut BTreeMap<K, V>,
        (name, told): (K, V),
        line: usize,
        line_of: fn(&V) -> usize,
    ) -> Result<()> {
        match all.entry(name) {
            Slot::Vacant(free) => drop(free.insert(told)),
            Slot::Occupied(taken) => {
                let (name, first) = (taken.key(), line_of(taken.get()));
                return Err(self.refuse(
                    line,
                    format!("`{name}` is there a second time, first in line {first}; keep one of them"),
                ));
            }
        }
        Ok(())
    }
}

/// What is wrong with a cell, in words; makes the reason of an expected failure harmless.
fn check_cell(name: &CellName, entry: &mut Entry) -> std::result::Result<(), String> {
    if let Some(reason) = &mut entry.expected {
        outside::tidy(reason, outside::LONGEST_MESSAGE);
    }
    let counts = entry.verdicts.values().chain([&entry.not_run]);
    if counts.copied().try_fold(0, u64::checked_add).is_none() {
        return Err("its counts do not add up to a number of 64 bits; was it edited?".into());
    }
    if entry.expected.as_ref().is_some_and(|reason| reason.trim().is_empty()) {
        return Err(format!("`{name}` is expected to fail without a reason; write one in `expected`"));
    }
    Ok(())
}

impl Baseline {
    /// Reads a baseline.
    ///
    /// # Errors
    /// One line that names the file and, where it is one, the line in it: there is no such file, it is no JSON or cut short, it is of
    /// another or a newer schema, a name of a verdict or a grade is unknown, numbers were edited, a cell stands there twice, or an
    /// expected failure has no reason.
    pub fn read(path: &Path) -> Result<Self> {
        let bytes = outside::read(path, &outside::BASELINE).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => {
                Error::file(path, "no such baseline; measure one with `logitfuzz accept`, or leave --baseline out")
            }
            _ => Error::file(path, error),
        })?;
        Self::parse(outside::without_mark(&bytes), path)
    }

    /// Reads a baseline as it is at a revision of the git repository that holds `path`.
    ///
    /// # Errors
    /// git cannot be run or does not know the file at that revision; otherwise as [`Baseline::read`].
    pub fn at_revision(path: &Path, revision: &str) -> Result<Self> {
        if revision.is_empty() || revision.starts_with('-') {
            return Err(Error::usage(format!("`{revision}` is no git revision; write a branch, a tag or a commit")));
        }
        let (Some(name), folder) = (path.file_name(), path.parent()) else {
            return Err(Error::file(path, "a baseline is a file; name it with --baseline FILE"));
        };
        let folder = folder.filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let mut object = std::ffi::OsString::from(format!("{revision}:./"));
        object.push(name);
        let ran = Command::new("git")
            .arg("-C")
            .arg(folder)
            .arg("show")
            .arg(&object)
            .output()
            .map_err(|error| Error::usage(format!("--baseline-rev needs git, which cannot be run: {error}")))?;
        if !ran.status.success() {
            let said = String::from_utf8_lossy(&ran.stderr);
            let said = said.lines().next().unwrap_or("git failed");
            return Err(Error::usage(format!("no baseline {} at revision {revision}: {said}", path.display())));
        }
        Self::parse(outside::without_mark(&ran.stdout), &PathBuf::from(object))
    }

    /// Reads the text of a baseline; `path` is for messages.
    pub(crate) fn parse(bytes: &[u8], path: &Path) -> Result<Self> {
        let text = Text::new(bytes, path)?;
        let version: Version = text.whole()?;
        let schema: Option<String> = version.schema.map(|part| text.value(part)).transpose()?;
        let is_former = schema.as_deref() == Some(FORMER_SCHEMA);
        let is_spelled = is_former || schema.as_deref() == Some(SPELLED_SCHEMA);
        if !is_spelled {
            json::check_schema(schema.as_deref(), SCHEMA)
                .map_err(|reason| text.refuse(version.schema.map_or(1, |part| text.line_of(part)), reason))?;
        }
        let parts: Parts = text.whole()?;
        if parts.passing.is_some() == is_spelled {
            let line = text.line_of(parts.settings);
            let what = if is_spelled { "which this schema does not have" } else { "and there is none" };
            return Err(text.refuse(line, format!("after it comes `passing`, {what}; was the file edited?")));
        }
        let head: Head = text.value(parts.settings)?;
        if checksum(&json::line(&head.settings)?) != head.check {
            return Err(text.refuse(text.line_of(parts.settings), EDITED));
        }

        let mut declared = BTreeMap::new();
        for part in parts.declared {
            let (read, line) = match is_spelled {
                true => text.line::<FormerDeclaredLine>(part).map(|(read, line)| (DeclaredLine::from(read), line))?,
                false => text.line::<DeclaredLine>(part)?,
            };
            text.check_names(line, "kernel", [&read.kernel])?;
            text.check_names(line, "op", &read.ops)?;
            text.check_names(line, "dtype", &read.dtypes)?;
            let declaration = read.declares.read().map_err(|error| text.refuse(line, error))?;
            for function in read.functions() {
                let recorded = Recorded { declaration: declaration.clone(), line };
                text.keep(&mut declared, (function, recorded), line, |recorded: &Recorded| recorded.line)?;
            }
        }

        let mut entries = BTreeMap::new();
        let mut keep = |line: usize, (name, mut entry): (CellName, Entry)| {
            check_cell(&name, &mut entry).map_err(|reason| text.refuse(line, reason))?;
            text.keep(&mut entries, (name, entry), line, |entry: &Entry| entry.line)
        };
        for part in parts.passing.into_iter().flatten() {
            let (read, line) = text.line::<PassingLine>(part)?;
            text.check_names(line, "kernel", [&read.kernel])?;
            text.check_names(line, "op", [&read.op])?;
            text.check_names(line, "family", &read.families)?;
            text.check_names(line, "dtype", read.dtypes())?;
            if read.pass == 0 {
                return Err(text.refuse(line, "it says of no case that it passes, so it tells nothing; was it edited?"));
            }
            read.cells(line).try_for_each(|cell| keep(line, cell))?;
        }
        for part in parts.cells {
            let (read, line) = text.line::<CellLine>(part)?;
            let (name, entry) = read.into_cell(line);
            text.check_names(line, "cell", [&name.kernel, &name.op, &name.dtype, &name.family])?;
            keep(line, (name, entry))?;
        }
        Ok(Self { settings: head.settings, entries, declared, is_former, path: path.to_owned() })
    }

    /// The text of the file.
    ///
    /// # Errors
    /// None is known: every baseline can be written.
    pub fn text(&self) -> Result<String> {
        /// A list with one of its items in each line.
        fn list(name: &str, lines: &[impl Serialize]) -> Result<String> {
            let lines: Vec<String> = lines.iter().map(json::line).collect::<Result<_>>()?;
            Ok(match lines.is_empty() {
                true => format!("\"{name}\": []"),
                false => format!("\"{name}\": [\n{}\n]", lines.join(",\n")),
            })
        }
        let settings = self.settings.clone();
        let head = json::line(&Head { check: checksum(&json::line(&settings)?), settings })?;
        let mut parts = vec![format!("\"schema\": {}", json::line(&SCHEMA)?), format!("\"settings\": {head}")];
        if !self.declared.is_empty() {
            parts.push(list("declared", &DeclaredLine::all(&self.declared)?)?);
        }
        let (passing, others) = lines::of_cells(&self.entries)?;
        parts.extend([list("passing", &passing)?, list("cells", &others)?]);
        Ok(format!("{{\n{}\n}}\n", parts.join(",\n")))
    }

    /// Writes the file whole or not at all, and makes its folder.
    ///
    /// # Errors
    /// The folder or the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        files::write_file(path, self.text()?.as_bytes())
    }
}
