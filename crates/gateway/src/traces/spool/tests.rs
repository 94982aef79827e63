//! Goal: batches come back whole and in order, over a restart and after a torn write, and never beyond the bound.

use std::os::unix::fs::FileExt as _;

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};

use super::*;

const ROOMY: u64 = 1024 * 1024;

fn frame(number: u128) -> Frame {
    Frame { id: Uuid::from_u128(number), records: Bytes::from(vec![number as u8; 100]) }
}

async fn append(spool: &mut Spool, frame: &Frame) {
    spool.append(frame.id, &frame.records).await.expect("there is room");
}

async fn drain(spool: &mut Spool) -> Vec<Frame> {
    let mut frames = Vec::new();
    while !spool.is_empty() {
        frames.extend(spool.oldest().await.expect("read the oldest segment"));
        spool.remove_oldest().await.expect("remove the oldest segment");
    }
    frames
}

#[tokio::test]
async fn batches_survive_a_restart_in_order() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let mut spool = Spool::open(directory.path(), ROOMY).await.expect("open");
    append(&mut spool, &frame(1)).await;
    append(&mut spool, &frame(2)).await;
    drop(spool);
    let mut spool = Spool::open(directory.path(), ROOMY).await.expect("open again");
    append(&mut spool, &frame(3)).await;
    assert_eq!(drain(&mut spool).await, [frame(1), frame(2), frame(3)]);
    assert_eq!(spool.bytes(), 0);
}

#[tokio::test]
async fn what_comes_while_the_oldest_is_read_goes_behind_it() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let mut spool = Spool::open(directory.path(), ROOMY).await.expect("open");
    append(&mut spool, &frame(1)).await;
    assert_eq!(spool.oldest().await.expect("read"), [frame(1)]);
    append(&mut spool, &frame(2)).await;
    spool.remove_oldest().await.expect("remove");
    assert_eq!(drain(&mut spool).await, [frame(2)]);
}

#[tokio::test]
async fn a_torn_frame_is_left_out() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let mut spool = Spool::open(directory.path(), ROOMY).await.expect("open");
    append(&mut spool, &frame(1)).await;
    append(&mut spool, &frame(2)).await;
    let path = spool.path(1);
    drop(spool);
    let bytes = std::fs::read(&path).expect("read the segment");
    for cut in 1..=HEADER_BYTES + ID_BYTES + 100 {
        let (frames, torn) = decode(Bytes::copy_from_slice(&bytes[..bytes.len() - cut]));
        assert_eq!(frames, [frame(1)], "cut {cut}");
        assert_eq!(torn, HEADER_BYTES + ID_BYTES + 100 - cut);
    }
    let mut damaged = bytes.clone();
    *damaged.last_mut().expect("not empty") ^= 1;
    assert_eq!(decode(damaged.into()).0, [frame(1)]);
}

#[tokio::test]
async fn a_full_spool_takes_no_more_until_something_has_gone() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let mut spool = Spool::open(directory.path(), 250).await.expect("open");
    append(&mut spool, &frame(1)).await;
    append(&mut spool, &frame(2)).await;
    let refused = spool.append(frame(3).id, &frame(3).records).await;
    assert!(matches!(refused, Err(AppendError::Full(250))), "{refused:?}");
    spool.oldest().await.expect("read");
    spool.remove_oldest().await.expect("remove");
    append(&mut spool, &frame(3)).await;
}

#[tokio::test]
async fn a_spool_has_one_user() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let _spool = Spool::open(directory.path(), ROOMY).await.expect("open");
    let second = Spool::open(directory.path(), ROOMY).await;
    assert!(matches!(second, Err(OpenError::InUse(_))), "{second:?}");
}

/// Makes the open segment a file that cannot grow beyond `bytes_max`, as on a disk that is full then.
async fn fill_disk(spool: &mut Spool, bytes_max: u64) -> File {
    let written = std::fs::read(spool.path(1)).expect("read the segment");
    let disk: File =
        memfd_create("segment", MemfdFlags::ALLOW_SEALING).expect("make a file in memory").into();
    disk.set_len(bytes_max).expect("set the length");
    fcntl_add_seals(&disk, SealFlags::GROW).expect("forbid it to grow");
    disk.write_all_at(&written, 0).expect("there is room");
    let mut open = fs::File::from_std(disk.try_clone().expect("share the file"));
    open.seek(io::SeekFrom::Start(written.len() as u64)).await.expect("go to the end");
    spool.open = Some(open);
    disk
}

#[tokio::test]
async fn a_write_that_fails_midway_leaves_whole_frames_and_the_same_segment() {
    const PAGE_BYTES: u64 = 4096;
    let directory = tempfile::tempdir().expect("a temporary directory");
    let mut spool = Spool::open(directory.path(), ROOMY).await.expect("open");
    append(&mut spool, &frame(1)).await;
    let bytes = spool.bytes();
    let disk = fill_disk(&mut spool, PAGE_BYTES).await;
    let large = vec![2; 2 * PAGE_BYTES as usize];
    let refused = spool.append(Uuid::from_u128(2), &large).await;
    assert!(matches!(refused, Err(AppendError::File(_))), "{refused:?}");
    assert_eq!(disk.metadata().expect("the length").len(), bytes, "only the whole frame is left");
    let mut left = vec![0; bytes as usize];
    disk.read_exact_at(&mut left, 0).expect("read the file");
    assert_eq!(decode(left.into()), (vec![frame(1)], 0));
    assert_eq!((spool.bytes(), spool.segments.len(), spool.open.is_some()), (bytes, 1, true));
}

#[tokio::test]
async fn batches_go_on_behind_a_frame_that_was_taken_back() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let mut spool = Spool::open(directory.path(), ROOMY).await.expect("open");
    append(&mut spool, &frame(1)).await;
    let whole = spool.bytes();
    let torn = spool.open.as_mut().expect("the segment is open");
    torn.write_all(b"half a frame").await.expect("there is room");
    torn.flush().await.expect("there is room");
    truncate(torn, whole).await.expect("cut the file");
    append(&mut spool, &frame(2)).await;
    assert_eq!(drain(&mut spool).await, [frame(1), frame(2)]);
}

#[tokio::test]
async fn a_frame_that_cannot_be_taken_back_is_followed_by_nothing_in_its_segment() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let mut spool = Spool::open(directory.path(), ROOMY).await.expect("open");
    append(&mut spool, &frame(1)).await;
    // It is always full, and has no length to be set.
    let full = File::options().write(true).open("/dev/full").expect("open the full device");
    spool.open = Some(fs::File::from_std(full));
    spool.append(frame(2).id, &frame(2).records).await.expect_err("the disk is full");
    append(&mut spool, &frame(3)).await;
    assert_eq!(drain(&mut spool).await, [frame(1), frame(3)]);
    assert_eq!(spool.bytes(), 0);
}
