//! The journal: what was found so far, a line for each finished piece, so that a run which is killed goes on where it was.
//!
//! A line is a checksum, a space and JSON; the first says what is gone through, on which kernel, by which claims. A line is written at
//! once, so a run that is killed leaves whole lines and at most one that is torn, the last, which is dropped. Lines come in the order in
//! which threads finish; whoever reads them sorts them.

use super::domain::{Domain, Space};
use super::piece::Record;
use crate::checksum::Fnv;
use crate::dtype::Dtype;
use crate::error::{Error, Result};
use crate::files;
use crate::json::{self, check_schema};
use crate::kernel::Declaration;
use crate::op::Op;
use crate::outside;
use crate::results::{Provenance, Shard};
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// The name of the journal, inside the folder of a certificate.
pub(crate) const JOURNAL_FILE: &str = "exhaust.journal";

/// The name and version of its format.
const SCHEMA: &str = "logitfuzz.exhaust/1";

/// What is gone through, on which kernel, and what its answers are judged by.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Settings {
    /// The kernel's name.
    pub kernel: String,
    /// What `--kernel` takes to select it again.
    pub selector: String,
    pub op: Op,
    pub dtype: Dtype,
    pub domain: Domain,
    /// What the kernel declares, the claims that were made for it with flags included.
    pub declared: Declaration,
    /// What produced the numbers.
    pub provenance: Provenance,
}

impl Settings {
    /// The inputs.
    ///
    /// # Errors
    /// There is no such domain.
    pub fn space(&self) -> Result<Space> {
        Space::new(self.op, self.dtype, self.domain)
    }

    /// In what these differ from others, if they do: `what THEIRS, not OURS`.
    pub fn difference(&self, theirs: &Self) -> Option<String> {
        let libraries =
            |settings: &Self| settings.provenance.libraries.values().map(String::as_str).collect::<Vec<_>>().join(", ");
        let facts = |settings: &Self| {
            [
                ("logitfuzz", settings.provenance.logitfuzz.clone()),
                ("numbers", settings.provenance.numbers()),
                ("kernel", settings.kernel.clone()),
                ("--kernel", settings.selector.clone()),
                ("version of the library", libraries(settings)),
                ("op", settings.op.to_string()),
                ("dtype", settings.dtype.to_string()),
                ("domain", settings.domain.to_string()),
                ("claims", settings.declared.claims.to_string()),
            ]
        };
        let pairs = facts(theirs).into_iter().zip(facts(self));
        let or_none = |text: String| if text.is_empty() { "none".to_owned() } else { text };
        let differs = pairs.into_iter().find(|(theirs, ours)| theirs != ours);
        let differs =
            differs.map(|((what, theirs), (_, ours))| format!("{what} {}, not {}", or_none(theirs), or_none(ours)));
        differs.or_else(|| (self != theirs).then(|| "another declaration of the kernel or other generators".to_owned()))
    }
}

/// What the first line says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Head {
    schema: String,
    pub settings: Settings,
    /// The share of the pieces that this run does; all if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shard: Option<Shard>,
}

impl Head {
    pub fn new(settings: Settings, shard: Option<Shard>) -> Self {
        Self { schema: SCHEMA.to_owned(), settings, shard }
    }

    /// Whether a piece is of this share: they go round the shards.
    pub fn owns(&self, piece: u64) -> bool {
        self.shard.is_none_or(|shard| piece % shard.of as u64 == shard.number as u64 - 1)
    }
}

/// What a journal holds.
#[derive(Debug)]
pub(crate) struct Read {
    pub head: Head,
    /// In the order of their pieces, each once.
    pub records: Vec<Record>,
    /// Bytes of whole lines: what follows is torn.
    whole: u64,
}

impl Read {
    /// What a journal with these records would hold.
    #[cfg(test)]
    pub fn of(head: Head, records: Vec<Record>) -> Self {
        Self { head, records, whole: 0 }
    }
}

/// Reads the journal in a folder; none where there is none, or none with a whole first line.
///
/// # Errors
/// One line that names the file and says what is wrong: it cannot be read, it is of another version, or a line in it is damaged.
pub(crate) fn read(dir: &Path) -> Result<Option<Read>> {
    let path = dir.join(JOURNAL_FILE);
    match outside::read(&path, &outside::JOURNAL) {
        Ok(bytes) => parse(&bytes).map_err(|reason| Error::file(&path, reason)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::file(&path, error)),
    }
}

fn parse(bytes: &[u8]) -> std::result::Result<Option<Read>, String> {
    let (mut whole, mut rest) = (0, bytes);
    let mut found: Option<(Head, Space)> = None;
    let mut records: Vec<Record> = Vec::new();
    let mut number = 0;
    while let Some(end) = rest.iter().position(|&byte| byte == b'\n') {
        let (line, after) = (&rest[..end], &rest[end + 1..]);
        number += 1;
        let Some(json) = content(line) else {
            // The last line may be torn in any way; one before it is not torn by a run that is killed.
            if after.is_empty() {
                break;
            }
            return Err(format!("line {number} is damaged; remove the file, and the work is done again"));
        };
        let wrong = |error: serde_json::Error| format!("line {number}: {error}; was the file edited?");
        match &found {
            None => {
                check_schema(json::schema_of(json).map_err(wrong)?.as_deref(), SCHEMA)?;
                let head: Head = serde_json::from_slice(json).map_err(wrong)?;
                outside::check_recorded_name(&head.settings.kernel)?;
                let space = head.settings.space().map_err(|error| error.to_string())?;
                found = Some((head, space));
            }
            Some((head, space)) => {
                let record: Record = serde_json::from_slice(json).map_err(wrong)?;
                if !record.is_sound(space) || !head.owns(record.piece) {
                    return Err(format!(
                        "line {number} contradicts itself or is of another share; was the file edited?"
                    ));
                }
                records.push(record);
            }
        }
        whole += end as u64 + 1;
        rest = after;
    }
    let Some((head, _)) = found else { return Ok(None) };
    records.sort_by_key(|record| record.piece);
    // The same piece twice is the same line twice.
    records.dedup();
    if let Some(pair) = records.windows(2).find(|pair| pair[0].piece == pair[1].piece) {
        return Err(format!("piece {} is there twice, with other results; was the file edited?", pair[0].piece));
    }
    Ok(Some(Read { head, records, whole }))
}

/// The JSON of a line whose checksum is right.
fn content(line: &[u8]) -> Option<&[u8]> {
    let (sum, json) = (line.get(..16)?, line.get(17..)?);
    (line[16] == b' ' && sum == checksum(json).as_bytes()).then_some(json)
}

fn checksum(json: &[u8]) -> String {
    let mut fnv = Fnv::new();
    fnv.bytes(json);
    format!("{:016x}", fnv.sum())
}

fn line(value: &impl Serialize) -> Result<String> {
    let json = json::line(value)?;
    Ok(format!("{} {json}\n", checksum(json.as_bytes())))
}

/// A journal that is written to.
pub(crate) struct Journal {
    path: PathBuf,
    file: File,
}

impl Journal {
    /// Opens the journal in a folder, or begins it, and says what is there already. A torn line goes away.
    ///
    /// # Errors
    /// The journal there is of something else, is damaged, or cannot be written.
    pub fn open(dir: &Path, head: &Head) -> Result<(Self, Vec<Record>)> {
        let path = dir.join(JOURNAL_FILE);
        let found = read(dir)?;
        if let Some(Read { head: theirs, .. }) = &found {
            let share = |shard: Option<Shard>| shard.map_or("none".to_owned(), |shard| shard.to_string());
            let difference = head.settings.difference(&theirs.settings).or_else(|| {
                (head.shard != theirs.shard)
                    .then(|| format!("shard {}, not {}", share(theirs.shard), share(head.shard)))
            });
            if let Some(difference) = difference {
                return Err(Error::file(
                    &path,
                    format!(
                        "this journal is of another run ({difference}); remove it, or choose another folder with --out"
                    ),
                ));
            }
        }
        let cannot = |error: io::Error| cannot_write(&path, &error);
        // The name is ours, and what is no file of ours was refused above, so nothing of others is cut.
        let file = OpenOptions::new().create(true).append(true).open(&path).map_err(cannot)?;
        let (records, whole) = found.map_or_else(|| (Vec::new(), 0), |found| (found.records, found.whole));
        file.set_len(whole).map_err(cannot)?;
        let mut journal = Self { path, file };
        if whole == 0 {
            journal.write(&line(head)?)?;
        }
        Ok((journal, records))
    }

    /// Adds what was found on a piece.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn append(&mut self, record: &Record) -> Result<()> {
        self.write(&line(record)?)
    }

    /// One call for a line, so that it is there as a whole when this program is killed.
    fn write(&mut self, line: &str) -> Result<()> {
        self.file.write_all(line.as_bytes()).map_err(|error| cannot_write(&self.path, &error))
    }
}

fn cannot_write(path: &Path, error: &io::Error) -> Error {
    Error::harness(format!("cannot write {}: {}", path.display(), files::reason(error)))
}
