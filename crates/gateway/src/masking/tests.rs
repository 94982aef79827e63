//! Goal: what is masked is gone, however the text is cut, and what is not masked stays byte for byte.

use proptest::prelude::*;
use zeroize::Zeroizing;

use super::*;

fn masking() -> Masking {
    Masking::new(MASKED_KEYS)
}

fn json(text: &str) -> String {
    masking().body(text, &Secrets::default())
}

#[test]
fn values_are_masked_by_their_keys_and_the_rest_stays_as_it_was() {
    for (text, expected) in [
        (r#"{"password":"x"}"#, r#"{"password":"***"}"#),
        (r#"{ "API-Key" : 17 , "n": 1.50}"#, r#"{ "API-Key" : "***" , "n": 1.50}"#),
        (r#"{"a":[{"client_secret":{"b":["c"]}},1e3]}"#, r#"{"a":[{"client_secret":"***"},1e3]}"#),
        (r#"{"pass\u0077ord":"x"}"#, r#"{"pass\u0077ord":"***"}"#),
        (r#"{"token":null,"max_tokens":5}"#, r#"{"token":"***","max_tokens":5}"#),
        (r#"["password","x"]"#, r#"["password","x"]"#),
        (r#"{"value":"password","b":"x"}"#, r#"{"value":"password","b":"x"}"#),
        (r#"{"text":"{\"password\":\"x\",\"n\":1}"}"#, r#"{"text":"{\"password\":\"***\",\"n\":1}"}"#),
        (r#"{"text":"a \"quoted\" \/ word"}"#, r#"{"text":"a \"quoted\" \/ word"}"#),
        ("no json at all", "no json at all"),
        // Half of a surrogate pair, a raw control character, what is no escape.
        (
            r#"{"text":"{\"password\":\"x\"} \ud83d more"}"#,
            "{\"text\":\"{\\\"password\\\":\\\"***\\\"} \u{fffd} more\"}",
        ),
        ("{\"text\":\"{\\\"password\\\":\\\"x\\\"}\t\"}", r#"{"text":"{\"password\":\"***\"}\t"}"#),
        (r#"{"text":"{\"password\":\"x\",\q}"}"#, r#"{"text":"{\"password\":\"***\",\\q}"}"#),
        // Behind other words, in a string and in a text.
        (r#"{"text":"Config:\n{\"password\":\"x\"}"}"#, r#"{"text":"Config:\n{\"password\":\"***\"}"}"#),
        (r#"{"text":"```json\n{ \"token\": [\"x\"] }"}"#, r#"{"text":"```json\n{ \"token\": \"***\" }"}"#),
        (r#"a 5" disk and {"password":"x"}"#, r#"a 5" disk and {"password":"***"}"#),
    ] {
        assert_eq!(json(text), expected);
    }
}

#[test]
fn a_text_that_is_cut_is_masked_as_far_as_it_goes() {
    let text = r#"{"a":"b","password":"hidden","c":{"secret":["hidden",{"d":"hidden"}]},"t":"{\"token\":\"hidden\"}"}"#;
    for end in 0..=text.len() {
        let masked = json(&text[..end]);
        assert!(!masked.contains("hid"), "{masked}");
    }
}

#[test]
fn tokens_are_masked_wherever_they_stand() {
    let token = format!("mcpcan_{}", "Ab0".repeat(17));
    let jwt = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhbm4ifQ.c2lnbmF0dXJl";
    let secrets = Secrets::new([Zeroizing::new("made-up-by-ann".to_owned())]);
    for (text, expected) in [
        (format!("a {token} b"), "a mcpcan_*** b".to_owned()),
        (format!("?key={}", &token[..30]), "?key=mcpcan_***".to_owned()),
        (format!("cut {}", &token[..9]), "cut mcpcan_***".to_owned()),
        (format!("x{jwt}"), "x***".to_owned()),
        ("bEaReR abcdefgh12".to_owned(), "bEaReR ***".to_owned()),
        ("Basic%20YW5uOnNlY3JldA==".to_owned(), "Basic%20***".to_owned()),
        ("a/made-up-by-ann/b".to_owned(), "a/***/b".to_owned()),
        ("the bearer of mcpcan news".to_owned(), "the bearer of mcpcan news".to_owned()),
    ] {
        assert_eq!(secrets.masked(&text), expected);
    }
    let escaped = format!(r#"{{"a":"\u006dcpcan_{}"}}"#, &token[7..]);
    assert_eq!(masking().body(&escaped, &secrets), r#"{"a":"mcpcan_***"}"#);
}

#[test]
fn of_cookies_and_forms_only_the_names_are_kept() {
    let masked = |names: &[&str]| names.iter().map(|name| ((*name).to_owned(), MASK.to_owned())).collect();
    let none = Secrets::default();
    let expected: Fields = masked(&["a", "b"]);
    assert_eq!(cookie_names(["a=secret; b=x=y", "secret"].into_iter(), &none), expected);
    assert_eq!(form_names(b"a=secret&b=&secret&=secret", &none), expected);
    // JSON that is sent as a form, as curl does unless it is told otherwise; and what is too long for a name.
    let body = format!(r#"{{"password":"secret","note":"a=b"}}&{}=x&user%5Bname%5D=y"#, "s".repeat(65));
    assert_eq!(form_names(body.as_bytes(), &none), masked(&["user[name]"]));
}

#[test]
fn credentials_in_urls_are_masked_wherever_a_url_stands() {
    for (text, expected) in [
        ("postgres://user:hidden@db/x", "postgres://***@db/x"),
        ("see https://hidden@host:80/a@b, and", "see https://***@host:80/a@b, and"),
        ("redis://user:hid", "redis://***"),
        ("http://host:8080", "http://host:8080"),
        ("http://[::1]:80/x", "http://[::1]:80/x"),
        ("https://h/x?a=1&api_key=hidden&b=2", "https://h/x?a=1&api_key=***&b=2"),
        ("/x?api%5Fkey=hidden#access_token=hidden", "/x?api%5Fkey=***#access_token=***"),
        ("a mail to ann@example.com?", "a mail to ann@example.com?"),
    ] {
        assert_eq!(masking().text(text, &Secrets::default()), expected);
        let quoted = format!(r#"{{"url":"{text}"}}"#);
        let expected = format!(r#"{{"url":"{expected}"}}"#);
        if !text.ends_with("hid") {
            assert_eq!(json(&quoted), expected);
        }
    }
    assert_eq!(json(r#"{"u":"https:\/\/u:hidden@h\/"}"#), r#"{"u":"https://***@h/"}"#);
}

proptest! {
    #[test]
    fn nothing_panics_and_what_has_no_secret_is_not_changed(text in r#"[\[\]{}:,"\\a-e0-9 \n\u{e9}]{0,60}"#) {
        let masked = json(&text);
        // Only JSON within a string may be written anew.
        if !text.contains('\\') {
            prop_assert_eq!(masked, text);
        }
    }

    #[test]
    fn a_masked_value_never_shows(value in "[a-z]{12}", before in r#"[a-e0-9 ,:\[\]{}]{0,20}"#, cut in 0..80_usize) {
        let text = format!(r#"{{"x":"{before}","y":{{"api_key":"{value}"}},"z":1}}"#);
        let cut = text.floor_char_boundary(cut);
        prop_assert!(!json(&text[..cut]).contains(&value[..3]) || before.contains(&value[..3]));
    }
}
