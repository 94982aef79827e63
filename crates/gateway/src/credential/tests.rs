//! Goal: a credential is found in its own field, once, and nothing a client sends brings the parser down.

use http::HeaderValue;
use proptest::prelude::*;

use super::*;

fn given(fields: &[(&'static str, &'static str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        headers.append(*name, HeaderValue::from_static(value));
    }
    headers
}

fn found(headers: &HeaderMap) -> Result<Vec<(Kind, &str)>, Refusal> {
    presented(headers).map(|found| found.into_iter().map(|one| (one.kind, one.text)).collect())
}

#[test]
fn each_kind_has_its_own_field_and_schemes_are_compared_without_case() {
    for value in ["Bearer abc", "bearer abc", "BEARER  abc "] {
        assert_eq!(found(&given(&[("authorization", value)])), Ok(vec![(Kind::Bearer, "abc")]));
    }
    assert_eq!(found(&given(&[("authorization", "basic YTpi")])), Ok(vec![(Kind::Basic, "YTpi")]));
    assert_eq!(found(&given(&[("api-key", " abc ")])), Ok(vec![(Kind::ApiKey, "abc")]));
    assert_eq!(found(&given(&[("x-api-key", "a b")])), Ok(vec![(Kind::XApiKey, "a b")]));
}

#[test]
fn anything_but_one_credential_in_a_field_is_refused() {
    assert_eq!(found(&given(&[])), Err(Refusal::CredentialMissing));
    for values in [&["Bearer"][..], &["Bearer "], &["Digest YTpi"], &["abc"], &["Bearer abc", "Bearer def"]] {
        let fields: Vec<_> = values.iter().map(|value| ("authorization", *value)).collect();
        assert_eq!(found(&given(&fields)), Err(Refusal::CredentialMalformed), "{values:?}");
    }
    for fields in [[("api-key", "a"), ("api-key", "b")], [("x-api-key", "a"), ("x-api-key", "a")]] {
        assert_eq!(found(&given(&fields)), Err(Refusal::CredentialMalformed), "{fields:?}");
    }
}

#[test]
fn what_is_no_credential_hides_none_in_another_field() {
    let headers = given(&[("authorization", "Negotiate abc"), ("x-api-key", "def")]);
    assert_eq!(found(&headers), Ok(vec![(Kind::XApiKey, "def")]));
    let headers = given(&[("x-api-key", "def"), ("authorization", "Bearer abc")]);
    assert_eq!(found(&headers), Ok(vec![(Kind::Bearer, "abc"), (Kind::XApiKey, "def")]));
    assert_eq!(of_kind(&headers, Kind::XApiKey), Some("def"));
    assert_eq!(of_kind(&headers, Kind::Basic), None);
}

#[test]
fn a_token_in_the_query_is_refused_by_name_and_by_value() {
    let known = |value: &str| value == "a secret of twenty one";
    for query in ["access_token=x", "a=b&Token=x", "api%5Fkey=x", "harmless=a+secret+of+twenty+one"] {
        assert_eq!(refuse_in_query(Some(query), known), Err(Refusal::CredentialInQuery), "{query}");
    }
    for query in [None, Some(""), Some("profile=a&sessionId=7")] {
        assert_eq!(refuse_in_query(query, known), Ok(()));
    }
}

#[test]
fn a_long_query_costs_no_more_than_a_short_one() {
    let query = "parameter=longer+than+the+shortest+token&".repeat(10_000);
    let mut digests = 0;
    let count = |_: &str| {
        digests += 1;
        false
    };
    assert_eq!(refuse_in_query(Some(&query), count), Ok(()));
    assert_eq!(digests, QUERY_PARAMETERS_MAX);
}

proptest! {
    #[test]
    fn whatever_a_field_holds_a_credential_is_a_part_of_it_without_blanks_around(
        field in prop_oneof![Just("authorization"), Just("api-key"), Just("x-api-key")],
        values in proptest::collection::vec(
            prop_oneof![
                proptest::collection::vec(any::<u8>(), 0..64),
                "(?i)(bearer|basic)?[ \t]{0,3}[!-~ ]{0,40}".prop_map(String::into_bytes),
            ],
            0..3,
        ),
    ) {
        let mut headers = HeaderMap::new();
        for value in values.iter().filter_map(|value| HeaderValue::from_bytes(value).ok()) {
            headers.append(field, value);
        }
        let count = headers.get_all(field).iter().count();
        match presented(&headers) {
            Ok(found) => {
                prop_assert_eq!((found.len(), count), (1, 1));
                let value = headers[field].to_str().expect("only text is found");
                prop_assert!(value.contains(found[0].text));
                prop_assert!(!found[0].text.is_empty() && found[0].text.trim() == found[0].text);
                prop_assert_eq!(of_kind(&headers, found[0].kind), Some(found[0].text));
            }
            Err(refusal) => prop_assert_eq!(refusal == Refusal::CredentialMissing, count == 0),
        }
    }

    #[test]
    fn no_query_is_too_strange(query in any::<String>()) {
        let _ = refuse_in_query(Some(&query), |_| false);
    }
}
