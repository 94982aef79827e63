//! Batches on disk, in order: a directory of segments, each a row of frames. Survives a restart of the gateway; what
//! a kill cuts off in the middle of a frame is recognised by its checksum and left out. What a full disk cuts off is
//! taken back at once, so that the next batch follows the last whole one.
//!
//! A frame is `length: u32 LE, crc32: u32 LE, id: 16 bytes, records`; length and checksum are of id and records.
//! Only the publisher calls it, so nothing here is shared.

use std::collections::VecDeque;
use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use bytes::{Buf, Bytes};
use tokio::fs;
use tokio::io::{AsyncSeekExt, AsyncWriteExt};
use uuid::Uuid;

/// A segment that has grown beyond this is closed, in bytes. It is also what replaying holds in memory.
const SEGMENT_BYTES_MAX: u64 = 4 * 1024 * 1024;
const HEADER_BYTES: usize = 8;
const ID_BYTES: usize = 16;
const EXTENSION: &str = "spool";
const LOCK_FILE: &str = "lock";

/// The spool of one gateway.
#[derive(Debug)]
pub(crate) struct Spool {
    directory: PathBuf,
    bytes_max: u64,
    bytes: u64,
    /// Oldest first. The last one may be open.
    segments: VecDeque<Segment>,
    open: Option<fs::File>,
    next_number: u64,
    /// Locked for as long as the spool is open.
    _lock: File,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Segment {
    number: u64,
    bytes: u64,
}

/// A batch as it lies on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) id: Uuid,
    pub(super) records: Bytes,
}

/// Why the spool cannot be opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenError {
    #[error("the spool {} is used by another gateway; give each its own directory", .0.display())]
    InUse(PathBuf),
    #[error("open spool {}", directory.display())]
    File {
        directory: PathBuf,
        #[source]
        source: io::Error,
    },
}

/// Why a batch was not kept.
#[derive(Debug, thiserror::Error)]
pub(super) enum AppendError {
    #[error("the spool has reached its {0} bytes")]
    Full(u64),
    #[error("write to the spool")]
    File(#[from] io::Error),
}

impl Spool {
    /// Opens the spool with what an earlier gateway has left there.
    pub(crate) async fn open(directory: &Path, bytes_max: u64) -> Result<Self, OpenError> {
        let file_error = |source| OpenError::File { directory: directory.to_owned(), source };
        fs::create_dir_all(directory).await.map_err(file_error)?;
        let lock = File::create(directory.join(LOCK_FILE)).map_err(file_error)?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => OpenError::InUse(directory.to_owned()),
            TryLockError::Error(source) => file_error(source),
        })?;
        let segments = list(directory).await.map_err(file_error)?;
        Ok(Self {
            directory: directory.to_owned(),
            bytes_max,
            bytes: segments.iter().map(|segment| segment.bytes).sum(),
            next_number: segments.back().map_or(1, |segment| segment.number + 1),
            segments,
            open: None,
            _lock: lock,
        })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.segments.is_empty()
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Writes a batch behind all others.
    pub(super) async fn append(&mut self, id: Uuid, records: &[u8]) -> Result<(), AppendError> {
        let frame = encode(id, records);
        let bytes = frame.len() as u64;
        if self.bytes + bytes > self.bytes_max {
            return Err(AppendError::Full(self.bytes_max));
        }
        let file = match &mut self.open {
            Some(file) => file,
            None => {
                let number = self.next_number;
                let file = fs::File::create_new(self.path(number)).await?;
                self.next_number += 1;
                self.segments.push_back(Segment { number, bytes: 0 });
                self.open.insert(file)
            }
        };
        let written = async {
            file.write_all(&frame).await?;
            file.flush().await
        };
        let written = written.await;
        let segment = self.segments.back_mut().expect("the open segment is the last one");
        if let Err(error) = written {
            if let Err(error) = truncate(file, segment.bytes).await {
                tracing::error!(%error, "take an incomplete batch back from the spool");
                // Nothing may follow a torn frame in the same segment. At most the whole frame lies there.
                self.open = None;
                segment.bytes += bytes;
                self.bytes += bytes;
            }
            return Err(error.into());
        }
        segment.bytes += bytes;
        self.bytes += bytes;
        if segment.bytes >= SEGMENT_BYTES_MAX
            && let Err(error) = self.close().await
        {
            // The batch is in the file all the same, and will be read from there.
            tracing::error!(%error, "hand a segment of the spool to the disk");
        }
        Ok(())
    }

    /// The batches of the oldest segment, which nothing is added to any more.
    pub(super) async fn oldest(&mut self) -> io::Result<Vec<Frame>> {
        let Some(segment) = self.segments.front().copied() else { return Ok(vec![]) };
        if self.segments.len() == 1 {
            self.close().await?;
        }
        let path = self.path(segment.number);
        let (frames, torn_bytes) = decode(fs::read(&path).await?.into());
        if torn_bytes > 0 {
            tracing::warn!(segment = %path.display(), torn_bytes, "the spool ends in an incomplete batch");
        }
        Ok(frames)
    }

    /// Removes the oldest segment: all its batches have arrived.
    pub(super) async fn remove_oldest(&mut self) -> io::Result<()> {
        let Some(segment) = self.segments.front().copied() else { return Ok(()) };
        match fs::remove_file(self.path(segment.number)).await {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        self.segments.pop_front();
        self.bytes -= segment.bytes;
        Ok(())
    }

    /// Closes the open segment and hands it to the disk.
    pub(super) async fn close(&mut self) -> io::Result<()> {
        match self.open.take() {
            Some(file) => file.sync_data().await,
            None => Ok(()),
        }
    }

    fn path(&self, number: u64) -> PathBuf {
        self.directory.join(format!("{number:020}.{EXTENSION}"))
    }
}

/// Cuts a file after its last whole frame, and goes on writing there.
async fn truncate(file: &mut fs::File, bytes: u64) -> io::Result<()> {
    file.set_len(bytes).await?;
    file.seek(io::SeekFrom::Start(bytes)).await?;
    Ok(())
}

async fn list(directory: &Path) -> io::Result<VecDeque<Segment>> {
    let mut segments = Vec::new();
    let mut entries = fs::read_dir(directory).await?;
    while let Some(entry) = entries.next_entry().await? {
        let path = entry.path();
        if path.extension().is_none_or(|extension| extension != EXTENSION) {
            continue;
        }
        let number = path.file_stem().and_then(|stem| stem.to_str()).and_then(|stem| stem.parse().ok());
        if let Some(number) = number {
            segments.push(Segment { number, bytes: entry.metadata().await?.len() });
        }
    }
    segments.sort_by_key(|segment| segment.number);
    Ok(segments.into())
}

fn encode(id: Uuid, records: &[u8]) -> Vec<u8> {
    let length = u32::try_from(ID_BYTES + records.len()).expect("a batch is smaller than a message");
    let mut checksum = crc32fast::Hasher::new();
    checksum.update(id.as_bytes());
    checksum.update(records);
    let mut frame = Vec::with_capacity(HEADER_BYTES + ID_BYTES + records.len());
    frame.extend_from_slice(&length.to_le_bytes());
    frame.extend_from_slice(&checksum.finalize().to_le_bytes());
    frame.extend_from_slice(id.as_bytes());
    frame.extend_from_slice(records);
    frame
}

/// The whole frames, and how many bytes after them are none.
fn decode(mut bytes: Bytes) -> (Vec<Frame>, usize) {
    let mut frames = Vec::new();
    while bytes.len() >= HEADER_BYTES {
        let mut header = bytes.slice(..HEADER_BYTES);
        let (length, checksum) = (header.get_u32_le() as usize, header.get_u32_le());
        let Some(end) = length.checked_add(HEADER_BYTES).filter(|end| *end <= bytes.len()) else { break };
        let content = bytes.slice(HEADER_BYTES..end);
        if length < ID_BYTES || crc32fast::hash(&content) != checksum {
            break;
        }
        let id = Uuid::from_slice(&content[..ID_BYTES]).expect("16 bytes are an id");
        frames.push(Frame { id, records: content.slice(ID_BYTES..) });
        bytes.advance(end);
    }
    (frames, bytes.len())
}

#[cfg(test)]
mod tests;
