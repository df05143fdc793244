//! The baseline as a file: reading with the line of every error, writing whole or not at all.
//!
//! One cell a line, sorted, so that a diff shows what changed and two branches that touch different cells merge; before them a line
//! for each function (kernel, op, dtype) that declares something of itself. Each line ends in
//! a `check`, a checksum of the rest of the line: numbers are measured, and one that was typed in is refused. Only `expected` stands
//! outside it, because a person may write it.

use super::{Baseline, CellName, Entry, FORMER_SCHEMA, FunctionName, Recorded, SCHEMA, Settings};
use crate::checksum::Fnv;
use crate::error::{Error, Result};
use crate::judge::{Grade, Verdict};
use crate::outside;
use crate::results::{DeclarationText, number};
use crate::{files, json};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The line of the settings in a file as it is written.
pub(super) const SETTINGS_LINE: usize = 3;

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
    #[serde(borrow)]
    cells: Vec<&'a RawValue>,
}

/// The line of a cell.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    kernel: String,
    op: String,
    dtype: String,
    family: String,
    verdicts: BTreeMap<Verdict, u64>,
    #[serde(default, skip_serializing_if = "is_zero")]
    not_run: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    grade: Option<Grade>,
    #[serde(with = "number")]
    ratio: f64,
    #[serde(with = "number")]
    ulp: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    worst: Option<String>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    check: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expected: Option<String>,
}

/// The line of what a function declares.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct DeclaredLine {
    kernel: String,
    op: String,
    dtype: String,
    declares: DeclarationText,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    check: String,
}

impl DeclaredLine {
    fn of(function: &FunctionName, recorded: &Recorded) -> Result<Self> {
        let FunctionName { kernel, op, dtype } = function.clone();
        let line = Self { kernel, op, dtype, declares: (&recorded.declaration).into(), check: String::new() };
        Ok(Self { check: line.due_check()?, ..line })
    }

    fn due_check(&self) -> Result<String> {
        Ok(check(&json::line(&Self { check: String::new(), ..self.clone() })?))
    }
}

/// The line of the settings.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    settings: Settings,
    check: String,
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// The checksum of a text: eight hex digits.
fn check(text: &str) -> String {
    let mut sum = Fnv::new();
    sum.bytes(text.as_bytes());
    format!("{:08x}", (sum.sum() ^ (sum.sum() >> u32::BITS)) as u32)
}

impl Line {
    fn of(name: &CellName, entry: &Entry) -> Result<Self> {
        let CellName { kernel, op, dtype, family } = name.clone();
        let Entry { verdicts, not_run, grade, max_ratio: ratio, max_ulp: ulp, worst, expected, line: _ } =
            entry.clone();
        let check = String::new();
        let line = Self { kernel, op, dtype, family, verdicts, not_run, grade, ratio, ulp, worst, check, expected };
        Ok(Self { check: line.due_check()?, ..line })
    }

    /// The check that belongs to this line.
    fn due_check(&self) -> Result<String> {
        Ok(check(&json::line(&Line { check: String::new(), expected: None, ..self.clone() })?))
    }

    fn into_parts(self, line: usize) -> (CellName, Entry) {
        let Line { kernel, op, dtype, family, verdicts, not_run, grade, ratio, ulp, worst, check: _, expected } = self;
        let name = CellName { kernel, op, dtype, family };
        (name, Entry { verdicts, not_run, grade, max_ratio: ratio, max_ulp: ulp, worst, expected, line })
    }
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
        let refuse = |line: usize, reason: String| Error::file(path, format!("line {line}: {reason}"));
        let text = std::str::from_utf8(bytes).map_err(|error| {
            let before = &bytes[..error.valid_up_to()];
            refuse(1 + before.iter().filter(|&&byte| byte == b'\n').count(), "not a text in UTF-8".into())
        })?;
        // Both are slices of `text`, so their addresses say where they stand.
        let offset = |part: &RawValue| part.get().as_ptr() as usize - text.as_ptr() as usize;
        let line_of = |part: &RawValue| 1 + text[..offset(part)].matches('\n').count();
        let broken = |error: serde_json::Error| {
            Error::file(path, format!("{}; no whole baseline: was it cut short or edited?", json::place(&error)))
        };
        let inside = |part: &RawValue, error: serde_json::Error| {
            let message = error.to_string();
            let message = message.split(" at line ").next().unwrap_or("").to_owned();
            refuse(line_of(part) + error.line().saturating_sub(1), message)
        };
        let version: Version = serde_json::from_str(text).map_err(broken)?;
        let schema: Option<String> = version
            .schema
            .map(|part| serde_json::from_str(part.get()).map_err(|error| inside(part, error)))
            .transpose()?;
        let is_former = schema.as_deref() == Some(FORMER_SCHEMA);
        if !is_former {
            json::check_schema(schema.as_deref(), SCHEMA)
                .map_err(|reason| refuse(version.schema.map_or(1, line_of), reason))?;
        }
        let parts: Parts = serde_json::from_str(text).map_err(broken)?;

        const EDITED: &str = "its numbers do not fit its check, so they were edited; only `expected` may be written by hand. Take the \
                              line back, or measure with `logitfuzz accept`";
        let head: Head = serde_json::from_str(parts.settings.get()).map_err(|error| inside(parts.settings, error))?;
        if check(&json::line(&head.settings)?) != head.check {
            return Err(refuse(line_of(parts.settings), EDITED.into()));
        }
        let mut declared = BTreeMap::new();
        for part in parts.declared {
            let line = line_of(part);
            let read: DeclaredLine = serde_json::from_str(part.get()).map_err(|error| inside(part, error))?;
            if read.due_check()? != read.check {
                return Err(refuse(line, EDITED.into()));
            }
            let declaration = read.declares.read().map_err(|error| refuse(line, error.to_string()))?;
            let function = FunctionName { kernel: read.kernel, op: read.op, dtype: read.dtype };
            outside::check_recorded_name(&function.kernel).map_err(|reason| refuse(line, reason))?;
            if let Some(first) = declared.get(&function).map(|recorded: &Recorded| recorded.line) {
                return Err(refuse(
                    line,
                    format!("`{function}` is there a second time, first in line {first}; keep one of them"),
                ));
            }
            declared.insert(function, Recorded { declaration, line });
        }
        let mut entries = BTreeMap::new();
        let (mut line, mut counted) = (1, 0);
        for part in parts.cells {
            // As `line_of`, but counted on from the cell before: there are thousands.
            let here = offset(part);
            line += text[counted..here].matches('\n').count();
            counted = here;
            let cell: Line = serde_json::from_str(part.get()).map_err(|error| inside(part, error))?;
            if cell.due_check()? != cell.check {
                return Err(refuse(line, EDITED.into()));
            }
            let (name, mut entry) = cell.into_parts(line);
            for name in [&name.kernel, &name.family] {
                outside::check_recorded_name(name).map_err(|reason| refuse(line, reason))?;
            }
            if let Some(reason) = &mut entry.expected {
                outside::tidy(reason, outside::LONGEST_MESSAGE);
            }
            let counts = entry.verdicts.values().chain([&entry.not_run]);
            if counts.copied().try_fold(0, u64::checked_add).is_none() {
                return Err(refuse(line, "its counts do not add up to a number of 64 bits; was it edited?".into()));
            }
            if entry.expected.as_ref().is_some_and(|reason| reason.trim().is_empty()) {
                return Err(refuse(
                    line,
                    format!("`{name}` is expected to fail without a reason; write one in `expected`"),
                ));
            }
            if let Some(first) = entries.get(&name).map(|entry: &Entry| entry.line) {
                return Err(refuse(
                    line,
                    format!("`{name}` is there a second time, first in line {first}; keep one of them"),
                ));
            }
            entries.insert(name, entry);
        }
        Ok(Self { settings: head.settings, entries, declared, is_former, path: path.to_owned() })
    }

    /// The text of the file.
    ///
    /// # Errors
    /// None is known: every baseline can be written.
    pub fn text(&self) -> Result<String> {
        let settings = self.settings.clone();
        let head = Head { check: check(&json::line(&settings)?), settings };
        let cells = self.entries.iter().map(|(name, entry)| json::line(&Line::of(name, entry)?));
        let cells = cells.collect::<Result<Vec<_>>>()?.join(",\n");
        let lines = self.declared.iter().map(|(function, recorded)| json::line(&DeclaredLine::of(function, recorded)?));
        let declared = match lines.collect::<Result<Vec<_>>>()?.join(",\n") {
            lines if lines.is_empty() => String::new(),
            lines => format!("\"declared\": [\n{lines}\n],\n"),
        };
        let (schema, head) = (json::line(&SCHEMA)?, json::line(&head)?);
        Ok(format!("{{\n\"schema\": {schema},\n\"settings\": {head},\n{declared}\"cells\": [\n{cells}\n]\n}}\n"))
    }

    /// Writes the file whole or not at all, and makes its folder.
    ///
    /// # Errors
    /// The folder or the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        files::write_file(path, self.text()?.as_bytes())
    }
}
