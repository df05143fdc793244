//! The folder of a report: who may write there, and files that are written whole or not at all.
//!
//! Two runs that write into one folder would leave the results of one beside the page of the other. So [`prepare`] takes a lock, a
//! file `.logitfuzz.lock` in the folder, and gives it back with the [`Folder`] once the report is written. It is not the lock of the
//! folder itself, which a change of a baseline takes.

use super::{FILES, GATE_FILE, PROPOSAL_FILE};
use crate::error::{Error, Result};
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tempfile::NamedTempFile;

/// The name of the lock, inside a report's folder.
#[cfg(unix)]
const LOCK_FILE: &str = ".logitfuzz.lock";

/// The names of temporary files begin so.
const TEMPORARY: &str = ".logitfuzz-";

/// A temporary file that is older was left by a run that was killed: writing a report takes seconds.
const ABANDONED: Duration = Duration::from_secs(10 * 60);

/// Symbolic links that are followed from one to the next, as many as Linux does.
const MOST_LINKS: usize = 40;

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

/// Writes one file whole or not at all, and makes its folder. A symbolic link in its place is written through.
///
/// # Errors
/// Something that is no file is in its place, or it cannot be written.
pub(crate) fn write_file(path: &Path, bytes: &[u8]) -> Result<()> {
    let write = || -> io::Result<()> {
        fs::create_dir_all(folder_of(path))?;
        let (file, place) = stage(path, bytes)?;
        let traces = traces();
        file.persist(&place).map_err(|error| error.error)?;
        drop(traces);
        let _ = fs::File::open(folder_of(&place)).and_then(|folder| folder.sync_all());
        Ok(())
    };
    write().map_err(|error| Error::harness(format!("cannot write {}: {error}", path.display())))
}

/// The folder in which a file lies.
fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Where a file is really written: the end of the symbolic links that begin at `path`, which need not exist.
///
/// # Errors
/// What is there is neither a file nor nothing, or cannot be looked at.
pub(crate) fn place(path: &Path) -> io::Result<PathBuf> {
    let mut place = path.to_owned();
    for _ in 0..MOST_LINKS {
        let found = match fs::symlink_metadata(&place) {
            Ok(found) => found.file_type(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(place),
            Err(error) => return Err(error),
        };
        if found.is_symlink() {
            place = folder_of(&place).join(fs::read_link(&place)?);
        } else if found.is_file() {
            return Ok(place);
        } else {
            let what = if found.is_dir() { "it is a folder" } else { "it is no regular file" };
            return Err(io::Error::other(what));
        }
    }
    Err(io::Error::other("its symbolic links lead nowhere"))
}

/// A temporary file with this content beside the place of `target`, and the place that it is to have.
fn stage(target: &Path, bytes: &[u8]) -> io::Result<(NamedTempFile, PathBuf)> {
    let place = place(target)?;
    let mut file = create(folder_of(&place))?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    Ok((file, place))
}

/// An empty temporary file that people may read once it has its name (temporary files are private by default).
fn create(dir: &Path) -> io::Result<NamedTempFile> {
    let prefix = own_prefix();
    let mut builder = tempfile::Builder::new();
    builder.prefix(&prefix);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        /// Read and write for all, less what the user's umask takes away: as any newly made file.
        const PLAIN_FILE: u32 = 0o666;
        builder.permissions(fs::Permissions::from_mode(PLAIN_FILE));
    }
    let mut traces = traces();
    if !traces.folders.iter().any(|known| known == dir) {
        traces.folders.push(dir.to_owned());
    }
    builder.tempfile_in(dir)
}

/// How the temporary files of this process begin.
fn own_prefix() -> String {
    format!("{TEMPORARY}{}-", std::process::id())
}

/// Removes temporary files that a run left behind when it was killed. What cannot be removed stays.
fn sweep(dir: &Path) {
    remove_all(dir, TEMPORARY, |found| {
        found.modified().ok().and_then(|then| then.elapsed().ok()).is_some_and(|age| age > ABANDONED)
    });
}

/// Removes the regular files in a folder whose names begin so, where they are what is asked for.
fn remove_all(dir: &Path, prefix: &str, is_wanted: impl Fn(&fs::Metadata) -> bool) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let is_ours = entry.file_name().as_encoded_bytes().starts_with(prefix.as_bytes());
        if is_ours && entry.metadata().is_ok_and(|found| found.is_file() && is_wanted(&found)) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// What this process may leave behind: the folders in which it makes temporary files, and its locks. Nothing is made, named or
/// removed without holding it.
struct Traces {
    folders: Vec<PathBuf>,
    locks: Vec<PathBuf>,
}

fn traces() -> MutexGuard<'static, Traces> {
    static TRACES: Mutex<Traces> = Mutex::new(Traces { folders: Vec::new(), locks: Vec::new() });
    TRACES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Ends the process at once, with this exit code, and leaves neither a temporary file nor a lock behind.
#[cfg(feature = "cli")]
pub(crate) fn exit_without_traces(code: i32) -> ! {
    // Held until the end, so that another thread makes nothing new.
    let traces = traces();
    traces.folders.iter().for_each(|folder| remove_all(folder, &own_prefix(), |_| true));
    for lock in &traces.locks {
        let _ = fs::remove_file(lock);
    }
    std::process::exit(code)
}

/// Somebody else has the lock.
#[cfg(unix)]
struct Taken;

/// The lock of a folder. The file goes away when the value is dropped.
#[cfg(unix)]
#[derive(Debug)]
struct Lock {
    path: PathBuf,
    file: fs::File,
}

#[cfg(unix)]
impl Lock {
    /// Tries, in case that the file goes away again and again while it is locked.
    const TRIES: usize = 100;

    /// Takes the lock; none where there are no locks.
    fn take(dir: &Path) -> std::result::Result<Option<Self>, Taken> {
        use rustix::fs::{FlockOperation, OFlags, flock};
        use std::os::unix::fs::OpenOptionsExt as _;
        let path = dir.join(LOCK_FILE);
        for _ in 0..Self::TRIES {
            // Where a link stands in its place, somebody else's file would be locked.
            let mut options = fs::OpenOptions::new();
            options.read(true).write(true).create(true).custom_flags(OFlags::NOFOLLOW.bits() as i32);
            let mut traces = traces();
            let Ok(file) = options.open(&path) else { return Ok(None) };
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => {}
                Err(rustix::io::Errno::WOULDBLOCK) => return Err(Taken),
                Err(_) => return Ok(None),
            }
            // Whoever had the lock may have removed the file before it was locked here.
            if is_in_place(&file, &path) {
                traces.locks.push(path.clone());
                return Ok(Some(Self { path, file }));
            }
        }
        Err(Taken)
    }
}

/// Whether an open file is the one at this path.
#[cfg(unix)]
fn is_in_place(file: &fs::File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let number = |found: fs::Metadata| (found.dev(), found.ino());
    let here = file.metadata().map(number).ok();
    here.is_some() && here == fs::symlink_metadata(path).map(number).ok()
}

#[cfg(unix)]
impl Drop for Lock {
    fn drop(&mut self) {
        let mut traces = traces();
        if is_in_place(&self.file, &self.path) {
            let _ = fs::remove_file(&self.path);
        }
        traces.locks.retain(|path| *path != self.path);
    }
}

/// The error for a file of a report that could not be written.
pub(super) fn cannot_write(target: &Path, error: &io::Error) -> Error {
    Error::harness(format!("cannot write {}: {}", target.display(), reason(error)))
}

/// What went wrong and what to do, in words.
fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            format!("the disk is full ({}); free some space, or choose another folder with --out", error.kind())
        }
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            format!("it is not writable ({}); choose another folder with --out", error.kind())
        }
        io::ErrorKind::FileTooLarge => {
            format!(
                "a file may not grow that large here ({}); raise the limit (ulimit -f), or choose another folder with --out",
                error.kind()
            )
        }
        _ => format!("{error}; choose another folder with --out"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
