//! Whole files are read; files that were cut off, changed or made elsewhere are refused with the place.

use std::io::Cursor;

use super::*;

fn event(sequence: u64) -> EventRecord {
    EventRecord {
        sequence,
        subject: "events.instance.0198".to_owned(),
        headers: vec![("Mcpcan-Event".to_owned(), "instance.stopped".to_owned())],
        payload: Bytes::from(vec![0x80, 0xff, 0, b'\n']),
        stored_at: "2026-11-21T14:05:00.123456789Z".parse().unwrap(),
    }
}

fn archive(format: Format, events: std::ops::RangeInclusive<u64>) -> Vec<u8> {
    let header = Header::new(*events.start(), *events.end(), Timestamp::UNIX_EPOCH, "k".to_owned(), true);
    let mut writer = ArchiveWriter::new(format, header);
    let wrapped = Bytes::from_static(b"wrapped\n\xff");
    writer.key(KeyRecord { owner: Uuid::nil().to_string(), wrapped });
    writer.end_keys();
    let mut bytes = vec![];
    for sequence in events {
        writer.event(event(sequence));
        bytes.extend(writer.take());
    }
    bytes.extend(writer.finish());
    bytes
}

fn read(bytes: &[u8]) -> Result<(Vec<u64>, Summary), ArchiveError> {
    let mut reader = ArchiveReader::open(Cursor::new(bytes))?;
    let mut sequences = vec![];
    while let Some(item) = reader.next_item()? {
        if let Item::Event(found) = item {
            sequences.push(found.sequence);
        }
    }
    Ok((sequences, reader.summary().expect("it was read to its end")))
}

#[test]
fn what_was_written_is_read() {
    for format in [Format::MessagePack, Format::JsonLines] {
        let (sequences, summary) = read(&archive(format, 7..=1300)).unwrap();
        assert_eq!(sequences, (7..=1300).collect::<Vec<_>>());
        assert_eq!((summary.format, summary.events, summary.keys), (format, 1294, 1));
        let mut reader = ArchiveReader::open(Cursor::new(archive(format, 7..=8))).unwrap();
        assert!(matches!(reader.next_item(), Ok(Some(Item::Key(_)))));
        assert_eq!(reader.next_item().unwrap(), Some(Item::Event(event(7))));
        let (none, _) = read(&archive(format, std::ops::RangeInclusive::new(1, 0))).unwrap();
        assert_eq!(none, [] as [u64; 0], "an empty log is a file, too");
    }
}

#[test]
fn a_file_that_was_cut_off_is_refused_wherever_it_was_cut() {
    for format in [Format::MessagePack, Format::JsonLines] {
        let whole = archive(format, 1..=5);
        for length in 0..whole.len() {
            let refused = read(&whole[..length]).expect_err("it is not whole");
            assert!(refused.byte <= length as u64, "{refused}");
        }
    }
}

#[test]
fn a_changed_byte_is_found_wherever_it_is() {
    for format in [Format::MessagePack, Format::JsonLines] {
        let whole = archive(format, 1..=5);
        for place in 0..whole.len() {
            let mut changed = whole.clone();
            changed[place] ^= 0x01;
            assert!(read(&changed).is_err(), "byte {place} of {}", whole.len());
        }
    }
}

#[test]
fn damage_is_located() {
    let lines = String::from_utf8(archive(Format::JsonLines, 1..=1200)).unwrap();
    let lines: Vec<&str> = lines.split_inclusive('\n').collect();
    // header, key, checkpoint, 500 events, checkpoint, 500 events, …
    assert!(lines[503].contains("checkpoint") && lines[1004].contains("checkpoint"), "{}", lines[503]);

    let mut swapped = lines.clone();
    swapped.swap(10, 11);
    let error = read(swapped.concat().as_bytes()).unwrap_err();
    assert!(matches!(error.damage, Damage::Sequence { expected: 8, found: 9 }), "{error}");
    assert_eq!(
        error.to_string(),
        format!("record 11, at byte {} after event 7: event 8 was expected, event 9 is there", error.byte)
    );

    let changed = lines[700].replace("stopped", "started");
    let mut damaged = lines.clone();
    damaged[700] = &changed;
    let error = read(damaged.concat().as_bytes()).unwrap_err();
    assert!(matches!(error.damage, Damage::ChunkDigest), "{error}");
    assert_eq!((error.record, error.sequence), (1005, Some(1000)), "in the second run of events");

    let mut shortened = lines.clone();
    shortened.remove(900);
    let error = read(shortened.concat().as_bytes()).unwrap_err();
    assert!(matches!(error.damage, Damage::Sequence { .. }), "{error}");
}

#[test]
fn what_is_no_archive_is_foreign() {
    for foreign in [&b""[..], b"{}", b"{\"a\":1}\n", b"PK\x03\x04", b"\x81\xa1a\x01", b"{\"header\":{}}\n"] {
        let error = read(foreign).unwrap_err();
        assert!(matches!(error.damage, Damage::Foreign | Damage::Truncated), "{foreign:?}: {error}");
    }
    let newer = String::from_utf8(archive(Format::JsonLines, 1..=1)).unwrap();
    let newer = newer.replacen("\"form\":1", "\"form\":2", 1);
    let error = read(newer.as_bytes()).unwrap_err();
    assert!(matches!(error.damage, Damage::NewerForm(2)), "{error}");
}
