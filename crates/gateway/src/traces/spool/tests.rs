//! Goal: batches come back whole and in order, over a restart and after a torn write, and never beyond the bound.

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
