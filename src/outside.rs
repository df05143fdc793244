//! The border: what comes from outside (workers, files, the command line) is checked or made harmless here, once, where it comes in.
//!
//! Three things: whether a text may be the *name* of a kernel ([`check_name`]), any text as one harmless [`line`] for a terminal, a
//! log or a report, and reading a file up to a limit ([`read`]).

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;
#[cfg(feature = "cli")]
use std::path::PathBuf;

/// The longest name of a kernel, in characters.
pub(crate) const LONGEST_NAME: usize = 200;

/// The longest version that a worker tells of its library, in characters.
pub(crate) const LONGEST_VERSION: usize = 100;

/// The longest error text of a kernel that is kept, in characters.
pub(crate) const LONGEST_MESSAGE: usize = 500;

/// The longest text that is taken from a file of ours, in characters: what we write is shorter, but for replay commands, which are
/// kept whole.
pub(crate) const LONGEST_TEXT: usize = 4_000;

/// Characters of a wrong text that a message quotes.
pub(crate) const LONGEST_QUOTE: usize = 60;

/// The names of planted defects begin so, and no others.
const PLANTED: &str = "defect/";

/// A kind of file, and the most of it that is read.
pub(crate) struct FileKind {
    /// What messages call it.
    what: &'static str,
    /// Bytes.
    largest: u64,
}

/// A case, as text or as bytes: a row of 2^25 logits in hex.
#[cfg(any(feature = "cli", feature = "arbitrary"))]
pub(crate) const CASE: FileKind = FileKind { what: "a case", largest: 1 << 30 };
/// A baseline: some hundred bytes for each cell.
pub(crate) const BASELINE: FileKind = FileKind { what: "a baseline", largest: 1 << 28 };
/// Results, those of a shard included.
pub(crate) const RESULTS: FileKind = FileKind { what: "results", largest: 1 << 30 };
/// The page of the zoo, or its data.
#[cfg(feature = "cli")]
pub(crate) const PAGE: FileKind = FileKind { what: "a page", largest: 1 << 24 };
/// The journal of a domain that is gone through: some hundred bytes for each piece, some thousand where a kernel fails all over.
#[cfg(feature = "cli")]
pub(crate) const JOURNAL: FileKind = FileKind { what: "a journal", largest: 1 << 30 };
/// A certificate.
#[cfg(feature = "cli")]
pub(crate) const CERTIFICATE: FileKind = FileKind { what: "a certificate", largest: 1 << 26 };
/// What is known of a run.
pub(crate) const RUN: FileKind = FileKind { what: "what is known of a run", largest: 1 << 24 };
/// A user's own rows and targets.
pub(crate) const ROWS: FileKind = FileKind { what: "rows", largest: 1 << 34 };

/// The most that is read of what is no regular file (a pipe, a device): nobody knows beforehand how large that is.
const LARGEST_STREAM: u64 = 1 << 28;

/// Checks the name of a kernel that comes from outside.
///
/// # Errors
/// In one line: what is wrong with the name and what to do.
pub(crate) fn check_name(name: &str) -> Result<(), String> {
    if name.starts_with(PLANTED) {
        return Err(refusal(name, "the names of our own planted defects begin so, and no others"));
    }
    check_recorded_name(name)
}

/// Checks a name (of a kernel or a family) in a file that we wrote, which may be that of a planted defect.
///
/// # Errors
/// In one line: what is wrong with the name and what to do.
pub(crate) fn check_recorded_name(name: &str) -> Result<(), String> {
    let wrong = if name.is_empty() {
        "a name is a word of one character or more".to_owned()
    } else if let Some(length) = Some(name.chars().count()).filter(|&length| length > LONGEST_NAME) {
        format!("a name has at most {LONGEST_NAME} characters, and this one has {length}")
    } else if let Some(hidden) = name.chars().find(|&c| is_hidden(c)) {
        format!("a name has no control and no invisible character, and this one has U+{:04X}", hidden as u32)
    } else if name.starts_with('-') {
        "a name is a word that does not begin with -".into()
    } else if name.trim() != name {
        "a name neither begins nor ends with white space".into()
    } else if let Some(mark) = ["=", "::", "##"].into_iter().find(|mark| name.contains(mark)) {
        format!("a name is a word without {}", line(mark, LONGEST_QUOTE))
    } else {
        return Ok(());
    };
    Err(refusal(name, &wrong))
}

fn refusal(name: &str, wrong: &str) -> String {
    format!("`{}` is no name that can be used: {wrong}; choose another", line(name, LONGEST_QUOTE))
}

/// A text as one line that is harmless to print: control characters, those that turn the direction of text, invisible ones and
/// those that are none become `\u{..}`, and so does the bracket of `##[` and its like, which a log of CI obeys. What is longer than `limit`
/// characters (at least 60) is cut, and says how long it was. A line of a line is the same line.
pub(crate) fn line(text: &str, limit: usize) -> String {
    let (whole, is_whole) = fill(text, limit);
    if is_whole {
        return whole;
    }
    let mark = format!("… ({} characters)", text.chars().count());
    fill(text, limit.saturating_sub(mark.chars().count())).0 + &mark
}

/// As many harmless characters of a text as fit, and whether that is all of it.
fn fill(text: &str, limit: usize) -> (String, bool) {
    let (mut out, mut room) = (String::new(), limit);
    for c in text.chars() {
        if is_hidden(c) || (c == '[' && begins_command(&out)) {
            let escape = c.escape_unicode();
            let Some(left) = room.checked_sub(escape.len()) else { return (out, false) };
            out.extend(escape);
            room = left;
        } else {
            let Some(left) = room.checked_sub(1) else { return (out, false) };
            out.push(c);
            room = left;
        }
    }
    (out, true)
}

/// Whether a bracket after this text makes a command of it that a log of CI obeys: `##[`, `##vso[`, `##teamcity[`.
fn begins_command(text: &str) -> bool {
    text.trim_end_matches(|c: char| c.is_ascii_alphanumeric()).ends_with("##")
}

/// Makes a [`line`] of a text in place.
pub(crate) fn tidy(text: &mut String, limit: usize) {
    if text.len() > limit || text.contains(is_hidden) || text.contains("##") {
        *text = line(text, limit);
    }
}

/// Whether a character cannot be seen, turns what stands around it, or is none.
pub(crate) fn is_hidden(c: char) -> bool {
    let is_noncharacter = (c as u32) & 0xfffe == 0xfffe || ('\u{fdd0}'..='\u{fdef}').contains(&c);
    c.is_control()
        || is_noncharacter
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// Reads a file, whatever kind of file it is, up to the most that is read of its kind.
///
/// # Errors
/// It cannot be read, or is larger; the message then names the limit.
pub(crate) fn read(path: &Path, kind: &FileKind) -> io::Result<Vec<u8>> {
    let file = File::open(path)?;
    let found = file.metadata()?;
    let largest = if found.is_file() { kind.largest } else { kind.largest.min(LARGEST_STREAM) };
    let refuse = || {
        let message = format!("it has more than {} MiB, the most that is read of {} here", largest >> 20, kind.what);
        io::Error::new(io::ErrorKind::FileTooLarge, message)
    };
    if found.is_file() && found.len() > largest {
        return Err(refuse());
    }
    let mut bytes = Vec::new();
    file.take(largest + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > largest { Err(refuse()) } else { Ok(bytes) }
}

/// The bytes of a text without the byte order mark that some editors write before it.
pub(crate) fn without_mark(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes)
}

/// A path for people: one harmless line.
#[cfg(feature = "cli")]
pub(crate) fn path(path: &Path) -> String {
    line(&path.to_string_lossy(), LONGEST_TEXT)
}

/// A path as a word of a command that can be pasted into a shell.
#[cfg(feature = "cli")]
pub(crate) fn quoted(path: &Path) -> String {
    use std::fmt::Write as _;
    // After a flag, a word that begins with - is taken for the next one.
    let path = if path.as_os_str().as_encoded_bytes().starts_with(b"-") {
        PathBuf::from(".").join(path)
    } else {
        path.to_owned()
    };
    let plain = path.to_str().filter(|text| !text.contains(is_hidden));
    if let Some(word) = plain.and_then(|text| shlex::try_quote(text).ok()) {
        return word.into_owned();
    }
    // The form in which a shell takes any byte (bash, zsh, ksh).
    let mut word = String::from("$'");
    for &byte in path.as_os_str().as_encoded_bytes() {
        let _ = match byte {
            b'\'' | b'\\' => write!(word, "\\{}", byte as char),
            b' '..=b'~' => write!(word, "{}", byte as char),
            _ => write!(word, "\\{byte:03o}"),
        };
    }
    word + "'"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let longest = "n".repeat(LONGEST_NAME);
        for name in ["naive", "c:libmine:softmax_f32", "my kernel", "größe", "<b>\"|`&'</b>", "a:b", "1", &longest] {
            assert_eq!(check_name(name), Ok(()));
        }
        let long = "A".repeat(70_000);
        for (name, wrong) in [
            ("", "one character or more"),
            (&*long, "200 characters, and this one has 70000"),
            ("a\u{1b}[31m", "U+001B"),
            ("two\nlines", "U+000A"),
            ("a\u{202e}b", "U+202E"),
            ("a\u{2067}b", "U+2067"),
            ("\u{200b}", "U+200B"),
            ("a\u{feff}", "U+FEFF"),
            ("a\u{fffe}", "U+FFFE"),
            ("a\u{1fffe}", "U+1FFFE"),
            ("a\u{e0041}", "U+E0041"),
            ("-flag", "begin with -"),
            (" a", "white space"),
            ("a\u{3000}", "white space"),
            ("a=b", "word without ="),
            ("::stop-commands::x", "word without ::"),
            ("##[error]x", "word without ##"),
            ("##vso[task]x", "word without ##"),
            ("defect/mine", "planted defects"),
        ] {
            let error = check_name(name).expect_err(name);
            assert!(error.contains(wrong), "{error}");
            assert!(error.chars().count() < 250 && line(&error, 250) == error, "{error}");
        }
        assert_eq!(check_recorded_name("defect/mine"), Ok(()));
        assert!(check_recorded_name("defect/a\u{7}").is_err());
    }

    #[test]
    fn lines() {
        for (text, want) in [
            ("plain, größer \\ \\u{a} [x] #[y]", "plain, größer \\ \\u{a} [x] #[y]"),
            ("a\n::error::b\u{1b}[31m", "a\\u{a}::error::b\\u{1b}[31m"),
            ("\u{202e}\u{fffe}\u{200d}", "\\u{202e}\\u{fffe}\\u{200d}"),
            ("##[error]##[[", "##\\u{5b}error]##\\u{5b}["),
            ("a ##vso[x]", "a ##vso\\u{5b}x]"),
        ] {
            assert_eq!(line(text, 60), want);
        }
        for text in ["x".repeat(30_000), "\n".repeat(100), "ä\u{7}".repeat(60), "##[".repeat(60), "y".repeat(60)] {
            let once = line(&text, 60);
            assert!(once.chars().count() <= 60 && !once.contains(is_hidden) && !once.contains("##["), "{once}");
            assert_eq!(line(&once, 60), once);
            let mut tidied = text.clone();
            tidy(&mut tidied, 60);
            assert_eq!(tidied, once);
        }
        assert!(line(&"x".repeat(30_000), 60).ends_with("xx… (30000 characters)"));
    }

    #[test]
    fn files_are_read_up_to_a_limit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let kind = FileKind { what: "a text", largest: 1 << 20 };
        std::fs::write(&path, vec![7; 1 << 20]).unwrap();
        assert_eq!(read(&path, &kind).unwrap().len(), 1 << 20);
        std::fs::write(&path, vec![7; (1 << 20) + 1]).unwrap();
        let error = read(&path, &kind).unwrap_err().to_string();
        assert_eq!(error, "it has more than 1 MiB, the most that is read of a text here");
        if Path::new("/dev/zero").exists() {
            assert_eq!(read(Path::new("/dev/zero"), &kind).unwrap_err().to_string(), error);
        }
        assert_eq!(read(&folder.path().join("none"), &kind).unwrap_err().kind(), io::ErrorKind::NotFound);
        assert!(read(folder.path(), &kind).is_err());
        assert_eq!(without_mark("\u{feff}{}".as_bytes()), b"{}");
        assert_eq!(without_mark(b"{}"), b"{}");
    }

    #[cfg(all(feature = "cli", unix))]
    #[test]
    fn paths_in_commands() {
        use std::ffi::OsStr;
        use std::os::unix::ffi::OsStrExt as _;
        for (bytes, word) in [
            (&b"reports/latest/baseline.new.json"[..], "reports/latest/baseline.new.json"),
            (b"my reports/it's", "\"my reports/it's\""),
            (b"a\xff'b\n", "$'a\\377\\'b\\012'"),
            (b"-x", "./-x"),
        ] {
            let path = Path::new(OsStr::from_bytes(bytes));
            assert_eq!(quoted(path), word);
            let ran = std::process::Command::new("bash").arg("-c").arg(format!("printf %s {word}")).output().unwrap();
            assert!(ran.stdout == bytes || ran.stdout == [b"./", bytes].concat(), "{word}");
        }
        assert_eq!(path(Path::new("a\nb")), "a\\u{a}b");
    }
}
