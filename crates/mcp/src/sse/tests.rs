//! The examples of WHATWG HTML 9.2.6, chunk borders anywhere, limits, and that what is encoded decodes again.

use bytes::BytesMut;
use proptest::prelude::*;

use super::*;

fn decode(chunks: &[&[u8]]) -> (Vec<Event>, Decoder) {
    let mut decoder = Decoder::new();
    let mut events = Vec::new();
    for chunk in chunks {
        decoder.feed(chunk, &mut events).expect("within the limits");
    }
    (events, decoder)
}

fn data(stream: &str) -> Vec<String> {
    let (events, _) = decode(&[stream.as_bytes()]);
    events.into_iter().map(|event| String::from_utf8(event.data.to_vec()).unwrap()).collect()
}

#[test]
fn the_examples_of_the_standard() {
    assert_eq!(data("data: YHOO\ndata: +2\ndata: 10\n\n"), ["YHOO\n+2\n10"]);
    assert_eq!(data("data\n\ndata\ndata\n\ndata:"), ["", "\n"]);
    assert_eq!(data("data:test\n\ndata: test\n\ndata:  test\n\n"), ["test", "test", " test"]);
    let (events, decoder) = decode(&[
        b": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n",
    ]);
    let ids: Vec<_> = events.iter().map(|event| event.id.as_deref()).collect();
    assert_eq!(ids, [Some("1"), Some(""), None]);
    assert_eq!(decoder.last_event_id(), "");
}

#[test]
fn every_line_end_ends_a_line_also_across_chunks() {
    for end in ["\n", "\r", "\r\n"] {
        let stream = format!("data: a{end}data: b{end}{end}data: c{end}{end}");
        assert_eq!(data(&stream), ["a\nb", "c"], "{end:?}");
    }
    let (events, _) = decode(&[b"data: a\r", b"\n\r", b"\ndata: b\r", b"\r"]);
    assert_eq!(events.len(), 2);
}

#[test]
fn a_byte_order_mark_is_passed_over_once() {
    assert_eq!(data("\u{feff}data: a\n\n\u{feff}data: b\n\n"), ["a"]);
    let (events, _) = decode(&[b"\xEF", b"\xBB", b"\xBFdata: a\n\n"]);
    assert_eq!(events.len(), 1);
}

#[test]
fn ids_with_nul_and_retries_that_are_no_numbers_are_ignored() {
    let (events, decoder) = decode(&[b"id: a\0b\nretry: 10x\ndata\n\nretry: 1500\nid: 9\n\n"]);
    assert_eq!(events[0].id, None);
    assert_eq!((events.len(), decoder.retry_ms(), decoder.last_event_id()), (1, Some(1500), "9"));
}

#[test]
fn an_event_that_is_too_long_is_an_error_after_those_before_it() {
    let mut decoder = Decoder::with_limit(4);
    let mut events = Vec::new();
    let result = decoder.feed(b"data: 1234\n\ndata: 12\ndata: 34\n\ndata: 1\n\n", &mut events);
    assert_eq!((result, events.len()), (Err(EventTooLong { limit: 4 }), 1));
    let id = format!("id: {}\n\n", "x".repeat(FIELD_BYTES_MAX + 1));
    assert!(Decoder::new().feed(id.as_bytes(), &mut events).is_err());
}

#[test]
fn nothing_in_a_frame_can_forge_a_field() {
    let mut out = BytesMut::new();
    let frame =
        Frame { id: Some("1\ndata: x\0"), event: Some("e\r\nid: 2"), retry_ms: Some(5), data: Some(b"a") };
    frame.encode(&mut out);
    comment("keep\ndata: alive", &mut out);
    assert_eq!(&out[..], b"id: 1data: x\nevent: eid: 2\nretry: 5\ndata: a\n\n: keepdata: alive\n\n");
}

#[test]
fn a_priming_event_has_an_id_and_empty_data() {
    let mut out = BytesMut::new();
    Frame { id: Some("s-0"), data: Some(b""), ..Frame::default() }.encode(&mut out);
    let (events, decoder) = decode(&[&out]);
    assert_eq!((events[0].data.len(), decoder.last_event_id()), (0, "s-0"));
}

#[derive(Debug, Clone)]
struct Sent {
    id: Option<String>,
    event: Option<String>,
    data: Vec<u8>,
}

fn sent() -> impl Strategy<Value = Sent> {
    let data = prop_oneof![any::<String>(), "(a|\r|\n| |:|data){0,12}"].prop_map(String::into_bytes);
    (prop::option::of("[^\r\n\0]{0,10}"), prop::option::of("[^\r\n\0]{1,10}"), data)
        .prop_map(|(id, event, data)| Sent { id, event, data })
}

/// Line ends in data all arrive as line feeds.
fn received(sent: &Sent) -> Event {
    let data = String::from_utf8(sent.data.clone()).unwrap().replace("\r\n", "\n").replace('\r', "\n");
    Event { id: sent.id.clone(), event: sent.event.clone(), data: data.into_bytes().into() }
}

proptest! {
    #[test]
    fn what_is_encoded_decodes_again_at_any_split(
        sent in prop::collection::vec(sent(), 0..5),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
    ) {
        let mut out = BytesMut::new();
        for one in &sent {
            let frame = Frame { id: one.id.as_deref(), event: one.event.as_deref(), retry_ms: None, data: Some(&one.data) };
            frame.encode(&mut out);
        }
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.index(out.len().max(1))).collect();
        cuts.push(out.len());
        cuts.sort_unstable();
        let mut chunks = Vec::new();
        let mut start = 0;
        for cut in cuts {
            chunks.push(&out[start..cut]);
            start = cut;
        }
        let expected: Vec<Event> = sent.iter().map(received).collect();
        prop_assert_eq!(decode(&chunks).0, expected);
    }

    #[test]
    fn arbitrary_bytes_decode_the_same_in_one_piece_and_bytewise(
        stream in "(data|id|event|retry|:| |\r|\n|\r\n|7|\u{feff}|é|\0){0,60}",
        noise in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        let bytes = [stream.as_bytes(), &noise].concat();
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        prop_assert_eq!(decode(&single).0, decode(&[&bytes]).0);
    }
}
