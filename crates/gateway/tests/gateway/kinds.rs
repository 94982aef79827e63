//! The four kinds of tokens: each in its own header field and nowhere else, whoever has made the credential.

use domain::token::Kind;
use domain::token::credential::encode_basic;
use jiff::{SignedDuration, Timestamp};

use crate::client::{Answer, next};
use crate::harness::{Harness, path, until};
use crate::upstream::Upstream;

const PING: &str = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
const KINDS: [Kind; 4] = [Kind::Bearer, Kind::ApiKey, Kind::XApiKey, Kind::Basic];

/// The header field in which a credential of a kind is presented.
fn field(kind: Kind, credential: &str) -> (&'static str, String) {
    match kind {
        Kind::Bearer => ("authorization", format!("Bearer {credential}")),
        Kind::Basic => ("authorization", format!("Basic {credential}")),
        Kind::ApiKey => ("API-Key", credential.to_owned()),
        Kind::XApiKey => ("X-API-Key", credential.to_owned()),
    }
}

async fn present(harness: &Harness, path: &str, fields: &[(&str, String)]) -> Answer {
    let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
    harness.client().send_with("POST", path, &fields, PING).await
}

async fn accepted(harness: &Harness, path: &str, fields: &[(&str, String)]) {
    until("the token to be accepted", || async {
        (present(harness, path, fields).await.status == 200).then_some(())
    })
    .await;
}

fn code(answer: &Answer) -> String {
    answer.json()["error"]["data"]["code"].as_str().expect("a code").to_owned()
}

#[tokio::test]
async fn a_token_is_valid_in_the_header_field_of_its_kind_only() {
    let upstream = Upstream::json("{}").await;
    let harness = Harness::start().await;
    let instance = harness.hosted("everything", &upstream.url()).await;
    let path = path(instance);
    let challenges = [
        "Bearer realm=\"mcpcan\", error=\"invalid_token\"",
        "ApiKey realm=\"mcpcan\", header=\"Api-Key\"",
        "ApiKey realm=\"mcpcan\", header=\"X-API-Key\"",
        "Basic realm=\"mcpcan\", charset=\"UTF-8\"",
    ];
    for kind in KINDS {
        let custom = encode_basic(&format!("ann-{kind:?}"), "tr0ub4dor");
        let random = harness.issue_kind(instance, kind).await.credential;
        let custom = harness.issue_custom(instance, kind, &custom).await.credential;
        for credential in [random, custom] {
            accepted(&harness, &path, &[field(kind, &credential)]).await;
            for (other, challenge) in KINDS.into_iter().zip(challenges).filter(|(other, _)| *other != kind) {
                let answer = present(&harness, &path, &[field(other, &credential)]).await;
                assert_eq!((answer.status, code(&answer)), (401, "token_of_other_kind".to_owned()));
                assert_eq!(answer.headers["www-authenticate"], challenge);
            }
            let answer = present(&harness, &path, &[field(kind, &format!("{credential}x"))]).await;
            assert_eq!((answer.status, code(&answer)), (401, "token_invalid".to_owned()));
            // What another field holds may be meant for the server.
            let others = KINDS.map(|other| field(other, "somebody-elses"));
            let mut fields: Vec<_> =
                others.into_iter().filter(|(name, _)| *name != field(kind, "").0).take(1).collect();
            fields.push(field(kind, &credential));
            assert_eq!(present(&harness, &path, &fields).await.status, 200);
        }
    }
    let missing = present(&harness, &path, &[]).await;
    let challenges: Vec<_> = missing.headers.get_all("www-authenticate").iter().collect();
    assert_eq!(challenges, ["Bearer realm=\"mcpcan\"", "Basic realm=\"mcpcan\", charset=\"UTF-8\""]);
}

#[tokio::test]
async fn a_custom_credential_that_was_verified_is_refused_as_soon_as_it_is_revoked() {
    let upstream = Upstream::json("{}").await;
    let harness = Harness::start().await;
    let instance = harness.hosted("everything", &upstream.url()).await;
    let elsewhere = harness.hosted("elsewhere", &upstream.url()).await;
    let token = harness.issue_custom(instance, Kind::Basic, &encode_basic("ann", "tr0ub4dor")).await;
    let fields = [field(Kind::Basic, &token.credential)];
    accepted(&harness, &path(instance), &fields).await;
    assert_eq!(present(&harness, &path(elsewhere), &fields).await.status, 401);
    harness.revoke(token.id).await;
    until("the token to be refused", || async {
        (present(&harness, &path(instance), &fields).await.status == 401).then_some(())
    })
    .await;
    let again = harness.issue_custom(instance, Kind::Basic, &token.credential).await;
    accepted(&harness, &path(instance), &[field(Kind::Basic, &again.credential)]).await;
}

#[tokio::test]
async fn a_rotation_with_an_overlap_keeps_the_old_credential_until_then_and_no_longer() {
    let (upstream, mut opened) = Upstream::streams().await;
    let harness = Harness::start().await;
    let instance = harness.hosted("everything", &upstream.url()).await;
    let old = harness.token(instance).await;
    let until_then = Timestamp::now() + SignedDuration::from_secs(2);
    let new = harness.rotate_until(old.id, Some(until_then)).await;
    until("the new credential to be accepted", || async {
        let answer = harness.client().send("PUT", &path(instance), &new, "").await;
        (answer.status == 405).then_some(())
    })
    .await;
    let mut stream = harness.client().stream(&path(instance), &old.credential).await.into_body();
    let _events = opened.recv().await.expect("the upstream was called");
    assert_eq!(next(&mut stream).await, None, "the stream ends with the credential that opened it");
    assert!(Timestamp::now() >= until_then, "not a moment too early");
    let answer = harness.client().send("POST", &path(instance), &old.credential, PING).await;
    assert_eq!((answer.status, code(&answer)), (401, "token_expired".to_owned()));
    assert_eq!(harness.client().send("PUT", &path(instance), &new, "").await.status, 405);
}
