//! The endpoint event in every form that servers write it in.

use proptest::prelude::*;

use super::*;

/// What a client gets of a stream that comes in these chunks.
fn through<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> Result<String, EndpointError> {
    let stream = Url::parse("https://upstream.example:8443/base/sse?key=1").expect("an address");
    let mut rewriter = Rewriter::new(stream, |address| format!("/ours[{address}]"));
    let mut out = BytesMut::new();
    for chunk in chunks {
        rewriter.feed(chunk, &mut out)?;
    }
    Ok(String::from_utf8(out.to_vec()).expect("text"))
}

#[test]
fn the_address_becomes_ours_however_the_event_is_written_and_cut() {
    let ours = |path: &str| format!("event: endpoint\ndata: /ours[{path}]\n\n");
    for (event, path) in [
        ("event: endpoint\ndata: /message?sessionId=7\n\n", "/message?sessionId=7"),
        ("event:endpoint\r\ndata:/message\r\n\r\n", "/message"),
        ("data: message\revent: endpoint\r\r", "/base/message"),
        ("id: 1\nevent: endpoint\ndata: ?a=b\n\n", "/base/sse?a=b"),
        ("event: endpoint\ndata: https://UPSTREAM.example:8443/m#x\n\n", "/m"),
        (": hi\nevent: message\nevent: endpoint\ndata: /m\n\n", ""),
        ("\u{feff}event: endpoint\ndata: //upstream.example:8443/m\n\n", "/m"),
    ] {
        let before = "event: message\ndata: {\"endpoint\": \"event: endpoint\"}\n\n: quiet\n\n";
        let after = "data: 1\ndata: 2\n\nid: 3\n\nevent: message\ndata: the end\n";
        for size in 1..=event.len() {
            if path.is_empty() {
                // Part of it has passed before it turned out to be an endpoint event.
                assert!(matches!(through(event.as_bytes().chunks(size)), Err(EndpointError::TooLong)));
                continue;
            }
            let prelude = if event.starts_with('\u{feff}') { "" } else { before };
            let whole = format!("{prelude}{event}{after}");
            // The line feed after the last carriage return belongs to what follows.
            let rest = if event.ends_with("\r\n") { "\n" } else { "" };
            let expected = format!("{prelude}{}{rest}{after}", ours(path));
            assert_eq!(through(whole.as_bytes().chunks(size)).expect("it passes"), expected, "{event:?}");
        }
    }
}

#[test]
fn an_address_that_leads_elsewhere_ends_the_stream() {
    for data in [
        "http://upstream.example:8443/message",
        "https://upstream.example/message",
        "https://evil.example:8443/message",
        "//evil.example/message",
        "\\\\evil.example/message",
    ] {
        let stream = format!("event: endpoint\ndata: {data}\n\n");
        assert!(matches!(through([stream.as_bytes()]), Err(EndpointError::ForeignOrigin)), "{data}");
    }
    for data in ["", " ", "http://", "https://upstream.example:99999/"] {
        let stream = format!("event: endpoint\ndata: {data}\n\n");
        assert!(matches!(through([stream.as_bytes()]), Err(EndpointError::Invalid)), "{data:?}");
    }
    let long = format!("event: endpoint\ndata: /{}\n\n", "x".repeat(HELD_BYTES_MAX));
    assert!(matches!(through([long.as_bytes()]), Err(EndpointError::TooLong)));
    let late = format!("data: {}\nevent: endpoint\n\n", "x".repeat(HELD_BYTES_MAX));
    assert!(matches!(through([late.as_bytes()]), Err(EndpointError::TooLong)));
}

#[test]
fn large_events_pass_without_being_held() {
    let stream = format!("data: {}\n\ndata: 2\n\n", "x".repeat(3 * HELD_BYTES_MAX));
    assert_eq!(through(stream.as_bytes().chunks(1000)).expect("it passes"), stream);
}

/// What streams are made of, in any order and number.
const PARTS: [&str; 12] = [
    "event: endpoint",
    "event:endpoint",
    "event: message",
    "data: /message?sessionId=7",
    "data:",
    "data: https://evil.example/",
    "id: 1",
    ": quiet",
    "\n",
    "\r",
    "\r\n",
    "\n\n",
];

proptest! {
    #[test]
    fn a_stream_comes_out_the_same_however_it_is_cut(
        parts in proptest::collection::vec(proptest::sample::select(&PARTS), 0..24),
        size in 1_usize..9,
    ) {
        let stream = parts.concat();
        let (whole, cut) = (through([stream.as_bytes()]), through(stream.as_bytes().chunks(size)));
        prop_assert_eq!(format!("{whole:?}"), format!("{cut:?}"));
        let leaks = |out: String| format!("\n{out}").contains("\nevent: endpoint\ndata: https://evil");
        prop_assert!(!whole.is_ok_and(leaks));
    }
}
