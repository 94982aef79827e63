//! The directory that holds everything one installation keeps, and the lock that lets one `up` at a time use it.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use anyhow::{Context, bail};
use zeroize::Zeroizing;

/// The file whose lock says that the directory is in use; it holds the process id of whoever holds the lock.
pub(crate) const LOCK_FILE: &str = "lock";
/// The file with the admin key.
pub(crate) const ADMIN_KEY_FILE: &str = "admin.key";

/// How often the lock is tried: a command that looks whether it is held holds it itself for a moment.
const LOCK_ATTEMPTS: usize = 10;
const LOCK_INTERVAL: Duration = Duration::from_millis(20);
/// Random bytes in a key that is made here.
const KEY_BYTES: usize = 32;
const OWNER_ONLY_DIRECTORY: u32 = 0o700;
const OWNER_ONLY_FILE: u32 = 0o600;

/// A data directory that nobody else uses while this value lives.
#[derive(Debug)]
pub(crate) struct DataDirectory {
    path: PathBuf,
    _lock: File,
}

impl DataDirectory {
    /// Makes the directory where it is missing, and takes it.
    pub(crate) fn take(path: &Path) -> anyhow::Result<Self> {
        make_directory(path)?;
        let path = path.canonicalize().with_context(|| format!("find {}", path.display()))?;
        let lock = take_lock(&path)?;
        Ok(Self { path, _lock: lock })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// A directory in it, made where it is missing.
    pub(crate) fn directory(&self, name: &str) -> anyhow::Result<PathBuf> {
        let path = self.path.join(name);
        make_directory(&path)?;
        Ok(path)
    }

    pub(crate) fn admin_key_file(&self) -> PathBuf {
        self.path.join(ADMIN_KEY_FILE)
    }

    pub(crate) fn master_key_file(&self) -> PathBuf {
        self.path.join("master.key")
    }
}

/// The secret that is kept in a file; made of random bytes the first time.
pub(crate) fn kept_secret(file: &Path) -> anyhow::Result<Zeroizing<String>> {
    match fs::read_to_string(file) {
        Ok(text) => {
            let text = Zeroizing::new(text);
            let secret = Zeroizing::new(text.trim().to_owned());
            if secret.is_empty() {
                bail!("{} is empty: remove it to have a new one made", file.display());
            }
            Ok(secret)
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let secret = random_secret()?;
            write_private(file, &format!("{}\n", *secret))?;
            Ok(secret)
        }
        Err(error) => Err(error).with_context(|| format!("read {}", file.display())),
    }
}

/// Writes a file that only its owner can read, completely or not at all.
pub(crate) fn write_private(file: &Path, text: &str) -> anyhow::Result<()> {
    let scratch = file.with_added_extension("new");
    let write = || {
        let mut options = OpenOptions::new();
        let mut out = options.write(true).create(true).truncate(true).mode(OWNER_ONLY_FILE).open(&scratch)?;
        // One that an earlier run left behind keeps the mode it had.
        out.set_permissions(Permissions::from_mode(OWNER_ONLY_FILE))?;
        out.write_all(text.as_bytes())?;
        out.sync_all()?;
        fs::rename(&scratch, file)
    };
    write().with_context(|| format!("write {}", file.display()))
}

/// Makes a directory, where it is missing, that only its owner can enter.
pub(crate) fn make_directory(path: &Path) -> anyhow::Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(OWNER_ONLY_DIRECTORY)
        .create(path)
        .with_context(|| format!("make the directory {}", path.display()))
}

fn take_lock(data: &Path) -> anyhow::Result<File> {
    let path = data.join(LOCK_FILE);
    let mut lock = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(OWNER_ONLY_FILE)
        .open(&path)
        .with_context(|| format!("open {}", path.display()))?;
    match try_lock(&lock) {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            lock.read_to_string(&mut holder).with_context(|| format!("read {}", path.display()))?;
            bail!(
                "the data directory {} is in use by process {}: stop that one, or name another with --data",
                data.display(),
                holder.trim()
            );
        }
        Err(TryLockError::Error(error)) => {
            return Err(error).with_context(|| format!("lock {}", path.display()));
        }
    }
    let mut note = || {
        lock.set_len(0)?;
        lock.seek(SeekFrom::Start(0))?;
        writeln!(lock, "{}", std::process::id())
    };
    note().with_context(|| format!("write {}", path.display()))?;
    Ok(lock)
}

fn try_lock(lock: &File) -> Result<(), TryLockError> {
    for _ in 1..LOCK_ATTEMPTS {
        match lock.try_lock() {
            Err(TryLockError::WouldBlock) => thread::sleep(LOCK_INTERVAL),
            tried => return tried,
        }
    }
    lock.try_lock()
}

fn random_secret() -> anyhow::Result<Zeroizing<String>> {
    let mut bytes = Zeroizing::new([0_u8; KEY_BYTES]);
    getrandom::fill(bytes.as_mut()).context("read random bytes from the system")?;
    let mut text = Zeroizing::new(String::with_capacity(2 * KEY_BYTES));
    for byte in *bytes {
        text.push(hex_digit(byte >> 4));
        text.push(hex_digit(byte & 0xf));
    }
    Ok(text)
}

fn hex_digit(nibble: u8) -> char {
    char::from_digit(nibble.into(), 16).expect("four bits are one hexadecimal digit")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_data_directory_is_used_by_one_run_at_a_time() {
        let scratch = tempfile::tempdir().expect("a directory");
        let path = scratch.path().join("deeper/data");
        let taken = DataDirectory::take(&path).expect("it is free");
        let refused = DataDirectory::take(&path).expect_err("it is taken").to_string();
        assert!(refused.contains(&format!("process {}", std::process::id())), "{refused}");
        drop(taken);
        DataDirectory::take(&path).expect("it is free again");
    }

    #[test]
    fn a_secret_is_made_once_and_is_for_its_owner_only() {
        let scratch = tempfile::tempdir().expect("a directory");
        let data = DataDirectory::take(scratch.path()).expect("it is free");
        let file = data.admin_key_file();
        let made = kept_secret(&file).expect("it can be made");
        assert_eq!(made.len(), 2 * KEY_BYTES);
        assert_eq!(made, kept_secret(&file).expect("it is there"));
        assert_eq!(fs::metadata(&file).expect("it is there").permissions().mode() & 0o777, OWNER_ONLY_FILE);
    }
}
