//! Files that are written whole or not at all, and what a process that is killed may leave behind.
//!
//! A file is written to a temporary one beside its place, synced, then renamed; a symbolic link in its place is written through. A
//! folder is held by a lock, a file `.logitfuzz.lock` in it, which is not the lock of the folder itself.

use crate::error::{Error, Result};
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tempfile::NamedTempFile;

/// The name of the lock, inside a report's folder.
#[cfg(unix)]
pub(crate) const LOCK_FILE: &str = ".logitfuzz.lock";

/// The names of temporary files begin so.
const TEMPORARY: &str = ".logitfuzz-";

/// A temporary file that is older was left by a run that was killed: writing a report takes seconds.
const ABANDONED: Duration = Duration::from_secs(10 * 60);

/// Symbolic links that are followed from one to the next, as many as Linux does.
const MOST_LINKS: usize = 40;

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
pub(crate) fn stage(target: &Path, bytes: &[u8]) -> io::Result<(NamedTempFile, PathBuf)> {
    let place = place(target)?;
    let mut file = create(folder_of(&place))?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    Ok((file, place))
}

/// An empty temporary file that people may read once it has its name (temporary files are private by default).
pub(crate) fn create(dir: &Path) -> io::Result<NamedTempFile> {
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
pub(crate) fn sweep(dir: &Path) {
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
pub(crate) struct Traces {
    folders: Vec<PathBuf>,
    locks: Vec<PathBuf>,
}

pub(crate) fn traces() -> MutexGuard<'static, Traces> {
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
pub(crate) struct Taken;

/// The lock of a folder. The file goes away when the value is dropped.
#[cfg(unix)]
#[derive(Debug)]
pub(crate) struct Lock {
    path: PathBuf,
    file: fs::File,
}

#[cfg(unix)]
impl Lock {
    /// Tries, in case that the file goes away again and again while it is locked.
    const TRIES: usize = 100;

    /// Takes the lock; none where there are no locks.
    pub fn take(dir: &Path) -> std::result::Result<Option<Self>, Taken> {
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

/// What went wrong and what to do, in words.
pub(crate) fn reason(error: &io::Error) -> String {
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
