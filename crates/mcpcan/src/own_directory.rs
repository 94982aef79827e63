//! A data directory as the command line reads it: only what this user alone can have written there counts. The search
//! for a running `up` looks into the directories above the working directory, and in one like /tmp anybody may have
//! left a `.mcpcan` that names an address to send the admin key to.

use std::fs::{File, TryLockError};
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags, Stat, fstat, open, openat};
use rustix::process::geteuid;
use zeroize::Zeroizing;

use crate::data_directory::LOCK_FILE;

/// The longest file that is read: all of them are short.
const FILE_BYTES_MAX: u64 = 64 * 1024;
const WRITABLE_BY_OTHERS: u32 = 0o022;

/// An open directory of this user that nobody else may write to. What is read is read through its descriptor, so that
/// another directory in its place changes nothing.
#[derive(Debug)]
pub(crate) struct OwnDirectory {
    path: PathBuf,
    directory: OwnedFd,
}

/// Why a directory, or a file in it, is not read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotOwn {
    #[error("{} belongs to another user", .0.display())]
    Foreign(PathBuf),
    #[error("other users may write to {path}: `chmod go-w {path}` mends that", path = .0.display())]
    Writable(PathBuf),
    #[error("open {}", path.display())]
    Unreadable { path: PathBuf, source: io::Error },
}

impl NotOwn {
    pub(crate) fn is_absent(&self) -> bool {
        matches!(self, NotOwn::Unreadable { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }
}

impl OwnDirectory {
    pub(crate) fn open(path: &Path) -> Result<Self, NotOwn> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let opened = open(path, flags, Mode::empty());
        let directory = opened.map_err(|error| unreadable(path, error.into()))?;
        check(path, fstat(&directory))?;
        Ok(Self { path: path.to_owned(), directory })
    }

    /// The text of a file.
    pub(crate) fn read(&self, name: &str) -> Result<Zeroizing<String>, NotOwn> {
        self.read_from(self.file(name)?, name)
    }

    /// Which process uses the directory now.
    pub(crate) fn user(&self) -> Result<Option<u32>, NotOwn> {
        let file = match self.file(LOCK_FILE) {
            Err(error) if error.is_absent() => return Ok(None),
            file => file?,
        };
        match file.try_lock_shared() {
            // It is free; closing the file gives it back.
            Ok(()) => Ok(None),
            Err(TryLockError::WouldBlock) => Ok(self.read_from(file, LOCK_FILE)?.trim().parse().ok()),
            Err(TryLockError::Error(error)) => Err(unreadable(&self.path.join(LOCK_FILE), error)),
        }
    }

    fn file(&self, name: &str) -> Result<File, NotOwn> {
        let path = self.path.join(name);
        let opened = openat(&self.directory, name, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty());
        let file = opened.map_err(|error| unreadable(&path, error.into()))?;
        check(&path, fstat(&file))?;
        Ok(file.into())
    }

    fn read_from(&self, file: File, name: &str) -> Result<Zeroizing<String>, NotOwn> {
        let mut text = Zeroizing::new(String::new());
        let read = file.take(FILE_BYTES_MAX).read_to_string(&mut text);
        read.map_err(|error| unreadable(&self.path.join(name), error))?;
        Ok(text)
    }
}

fn check(path: &Path, stat: rustix::io::Result<Stat>) -> Result<(), NotOwn> {
    let stat = stat.map_err(|error| unreadable(path, error.into()))?;
    if stat.st_uid != geteuid().as_raw() {
        return Err(NotOwn::Foreign(path.to_owned()));
    }
    if stat.st_mode & WRITABLE_BY_OTHERS != 0 {
        return Err(NotOwn::Writable(path.to_owned()));
    }
    Ok(())
}

fn unreadable(path: &Path, source: io::Error) -> NotOwn {
    NotOwn::Unreadable { path: path.to_owned(), source }
}
