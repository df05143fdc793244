//! The folder of a report.
//!
//! Two runs that write into one folder would leave the results of one beside the page of the other. So [`prepare`] takes its lock, and
//! gives it back with the [`Folder`] once the report is written.

use super::{FILES, GATE_FILE, PROPOSAL_FILE};
use crate::error::{Error, Result};
#[cfg(unix)]
use crate::files::{Lock, Taken};
use crate::files::{create, place, reason, stage, sweep, traces};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The folder of a report, in which nobody else writes a report until the value is dropped.
#[must_use = "the folder is free for others again once this is dropped"]
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    #[cfg(unix)]
    _lock: Option<Lock>,
}

/// Makes the folder `dir` and its parents unless they exist, tries that a file can be made in it, and takes its lock. Call it before
/// long work, so that a report that cannot be written is known at once, and keep the value until the report is written. Temporary
/// files that a run left there more than ten minutes ago go away. Where the file system has no locks there is none.
///
/// # Errors
/// `dir` or one of its parents is a file, nothing can be written there, something that is no file is in the place of one of the
/// files, or another process is writing there.
pub fn prepare(dir: &Path) -> Result<Folder> {
    let refuse = |reason: String| Err(Error::harness(format!("cannot write a report to {}: {reason}", dir.display())));
    match fs::metadata(dir) {
        Ok(found) if !found.is_dir() => return refuse("it is a file; choose a folder with --out".into()),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            if let Err(error) = fs::create_dir_all(dir) {
                return refuse(reason(&error));
            }
        }
        Err(error) => return refuse(reason(&error)),
    }
    for file in FILES.map(|name| dir.join(name)) {
        if let Err(error) = place(&file) {
            return refuse(format!("{}: {error}; move it, or choose another folder with --out", file.display()));
        }
    }
    if let Err(error) = create(dir) {
        return refuse(reason(&error));
    }
    #[cfg(unix)]
    let lock = match Lock::take(dir) {
        Ok(lock) => lock,
        Err(Taken) => {
            return refuse(
                "another logitfuzz is writing there; wait for it, or choose another folder with --out".into(),
            );
        }
    };
    sweep(dir);
    Ok(Folder {
        path: dir.to_owned(),
        #[cfg(unix)]
        _lock: lock,
    })
}

impl Folder {
    /// Writes these files, all of them or none, and removes what an earlier gate left and this one does not write.
    pub(super) fn write_all(&self, contents: Vec<(&'static str, String)>) -> Result<Vec<PathBuf>> {
        let targets: Vec<PathBuf> = contents.iter().map(|(name, _)| self.path.join(name)).collect();
        let mut staged = Vec::new();
        for ((_, text), target) in contents.iter().zip(&targets) {
            staged.push(stage(target, text.as_bytes()).map_err(|error| cannot_write(target, &error))?);
        }
        // All names at once: whoever presses Ctrl-C twice gets the old report or the new one.
        let traces = traces();
        for ((file, place), target) in staged.into_iter().zip(&targets) {
            file.persist(place).map_err(|error| cannot_write(target, &error.error))?;
        }
        for old in
            [GATE_FILE, PROPOSAL_FILE].map(|name| self.path.join(name)).iter().filter(|old| !targets.contains(old))
        {
            match fs::remove_file(old) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(cannot_write(old, &error)),
                _ => {}
            }
        }
        drop(traces);
        // Makes the renames last through a power cut. Not every file system can sync a folder; the files are whole either way.
        let _ = fs::File::open(&self.path).and_then(|folder| folder.sync_all());
        Ok(targets)
    }
}

/// The error for a file of a report that could not be written.
pub(super) fn cannot_write(target: &Path, error: &io::Error) -> Error {
    Error::harness(format!("cannot write {}: {}", target.display(), reason(error)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::{LOCK_FILE, write_file};
    use std::time::Duration;

    fn names(dir: &Path) -> Vec<String> {
        let mut names: Vec<String> =
            fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[cfg(unix)]
    #[test]
    fn one_writes_at_a_time_and_the_lock_goes_away() {
        let dir = tempfile::tempdir().unwrap();
        let first = prepare(dir.path()).unwrap();
        let error = prepare(dir.path()).unwrap_err();
        assert_eq!(error.exit_code(), 3);
        assert!(error.to_string().contains("another logitfuzz is writing there"), "{error}");
        assert_eq!(names(dir.path()), [LOCK_FILE]);
        drop(first);
        assert!(names(dir.path()).is_empty());
        // One that was left by a run that was killed is nobody's.
        fs::write(dir.path().join(LOCK_FILE), "").unwrap();
        let second = prepare(dir.path()).unwrap();
        // Nobody removes the file of another.
        fs::remove_file(dir.path().join(LOCK_FILE)).unwrap();
        fs::write(dir.path().join(LOCK_FILE), "theirs").unwrap();
        drop(second);
        assert_eq!(names(dir.path()), [LOCK_FILE]);
    }

    #[test]
    fn what_was_left_behind_goes_away() {
        let dir = tempfile::tempdir().unwrap();
        let age = |name: &str, minutes: u64| {
            let file = fs::File::create(dir.path().join(name)).unwrap();
            file.set_modified(std::time::SystemTime::now() - Duration::from_secs(60 * minutes)).unwrap();
        };
        age(".logitfuzz-1-old", 11);
        age(".logitfuzz-2-new", 9);
        age("logitfuzz-old", 11);
        age(".logitfuzz.old", 11);
        drop(prepare(dir.path()).unwrap());
        assert_eq!(names(dir.path()), [".logitfuzz-2-new", ".logitfuzz.old", "logitfuzz-old"]);
    }

    #[cfg(unix)]
    #[test]
    fn links_are_written_through_and_what_is_no_file_stays() {
        use std::os::unix::fs::symlink;
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::create_dir(at("real")).unwrap();
        fs::write(at("real/there"), "old").unwrap();
        symlink("real/there", at("link")).unwrap();
        symlink("link", at("link_of_link")).unwrap();
        symlink("real/new", at("dangling")).unwrap();
        symlink("loop", at("loop")).unwrap();
        for name in ["link_of_link", "dangling"] {
            write_file(&at(name), b"new").unwrap();
            assert!(at(name).is_symlink(), "{name}");
        }
        assert_eq!(fs::read(at("real/there")).unwrap(), b"new");
        assert_eq!(fs::read(at("real/new")).unwrap(), b"new");
        assert_eq!(names(&at("real")), ["new", "there"]);
        for (path, part) in
            [(at("loop"), "links"), (at("real"), "it is a folder"), ("/dev/null".into(), "no regular file")]
        {
            let error = write_file(&path, b"new").unwrap_err();
            assert_eq!(error.exit_code(), 3);
            assert!(error.to_string().contains(part), "{error}");
        }
        // The same before a report.
        symlink("/dev/null", at("real/index.html")).unwrap();
        let error = prepare(&at("real")).unwrap_err();
        assert!(error.exit_code() == 3 && error.to_string().contains("index.html: it is no regular file"), "{error}");
        assert_eq!(names(&at("real")), ["index.html", "new", "there"]);
    }
}
