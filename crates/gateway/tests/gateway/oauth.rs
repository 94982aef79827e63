//! Access tokens of an issuer, beside the instance's own tokens: who is let in, for how long, and what clients are told.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use domain::InstanceId;
use domain::instance::Authorization;
use http::Response;
use jiff::Timestamp;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use serde_json::{Value, json};

use crate::client::{Answer, next};
use crate::harness::{Harness, path, until};
use crate::upstream::{Body, Upstream, full};

const PING: &str = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
const AUDIENCE: &str = "https://gateway.example/mcp-gateway/everything/mcp";

/// A key pair of the issuer.
struct Key {
    id: &'static str,
    signing: EncodingKey,
    public: Value,
}

impl Key {
    fn new(id: &'static str) -> Self {
        let random = SystemRandom::new();
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).expect("a key");
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref(), &random);
        let pair = pair.expect("the key that was made");
        let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
        let [x, y] = [x, y].map(base64url);
        let public =
            json!({"kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": id, "x": x, "y": y});
        Self { id, signing: EncodingKey::from_ec_der(pkcs8.as_ref()), public }
    }

    fn sign(&self, claims: &Value) -> String {
        let header = Header { kid: Some(self.id.to_owned()), ..Header::new(Algorithm::ES256) };
        jsonwebtoken::encode(&header, claims, &self.signing).expect("a token")
    }
}

fn base64url(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let digit = |bits: u32| char::from(DIGITS[(bits & 63) as usize]);
    let group = |chunk: &[u8]| {
        let bits = chunk.iter().fold(0, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        [18, 12, 6, 0].into_iter().take(chunk.len() + 1).map(move |shift| digit(bits >> shift))
    };
    bytes.chunks(3).flat_map(|chunk| group(chunk).collect::<Vec<_>>()).collect()
}

/// An authorization server with metadata and keys.
struct Issuer {
    server: Upstream,
    keys: Arc<Mutex<Vec<Value>>>,
}

impl Issuer {
    async fn start(keys: &[&Key]) -> Self {
        let keys = Arc::new(Mutex::new(keys.iter().map(|key| key.public.clone()).collect::<Vec<_>>()));
        let shown = keys.clone();
        let server = Upstream::start(move |request| {
            let host = request.headers()["host"].to_str().expect("visible ASCII").to_owned();
            let document = match request.uri().path() {
                "/.well-known/oauth-authorization-server/tenant" => json!({
                    "issuer": format!("http://{host}/tenant"),
                    "jwks_uri": format!("http://{host}/keys"),
                }),
                "/keys" => json!({ "keys": *shown.lock().expect("no test panics here") }),
                _ => Value::Null,
            };
            async move { answer(&document) }
        })
        .await;
        Self { server, keys }
    }

    fn url(&self) -> String {
        format!("http://{}/tenant", self.server.address)
    }

    fn authorization(&self, scopes: &[&str]) -> Authorization {
        Authorization {
            issuer: self.url(),
            audience: AUDIENCE.to_owned(),
            scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect::<BTreeSet<_>>(),
            jwks_url: None,
        }
    }

    /// What a good token says.
    fn claims(&self) -> Value {
        let now = Timestamp::now().as_second();
        json!({
            "iss": self.url(), "aud": AUDIENCE, "sub": "ann", "exp": now + 600, "scope": "mcp:read mcp:call",
        })
    }
}

fn answer(document: &Value) -> Response<Body> {
    let status = if document.is_null() { 404 } else { 200 };
    let body = full(Box::leak(document.to_string().into_boxed_str()));
    Response::builder().status(status).body(body).expect("a response")
}

async fn send(harness: &Harness, instance: InstanceId, token: &str) -> Answer {
    harness.client().send("POST", &path(instance), token, PING).await
}

async fn accepted(harness: &Harness, instance: InstanceId, token: &str) {
    until("the access token to be accepted", || async {
        (send(harness, instance, token).await.status == 200).then_some(())
    })
    .await;
}

fn code(answer: &Answer) -> String {
    answer.json()["error"]["data"]["code"].as_str().expect("a code").to_owned()
}

#[tokio::test]
async fn an_access_token_of_the_issuer_is_let_in_and_no_other() {
    let upstream = Upstream::json("{}").await;
    let (key, foreign) = (Key::new("one"), Key::new("one"));
    let issuer = Issuer::start(&[&key]).await;
    let harness = Harness::start().await;
    let instance = harness.hosted("everything", &upstream.url()).await;
    let own = harness.token(instance).await;
    let good = key.sign(&issuer.claims());
    assert_eq!(send(&harness, instance, &good).await.status, 401, "no issuer is configured");

    harness.authorize(instance, Some(issuer.authorization(&["mcp:call"]))).await;
    accepted(&harness, instance, &good).await;
    assert_eq!(send(&harness, instance, &own.credential).await.status, 200, "own tokens go on");
    let reached = upstream.requests();
    assert!(reached.iter().all(|request| !request.headers.contains_key("authorization")));

    let with = |change: Value| {
        let mut claims = issuer.claims();
        claims.as_object_mut().expect("an object").extend(change.as_object().expect("an object").clone());
        key.sign(&claims)
    };
    let past = Timestamp::now().as_second() - 60;
    for (token, expected) in [
        (with(json!({"exp": past})), (401, "token_expired")),
        (with(json!({"exp": null})), (401, "token_invalid")),
        (with(json!({"nbf": past + 600})), (401, "token_invalid")),
        (with(json!({"aud": "https://elsewhere.example"})), (401, "token_invalid")),
        (with(json!({"iss": "https://elsewhere.example"})), (401, "token_invalid")),
        (with(json!({"scope": "mcp:read"})), (403, "scope_insufficient")),
        (with(json!({"scope": "mcp:callback"})), (403, "scope_insufficient")),
        (foreign.sign(&issuer.claims()), (401, "token_invalid")),
        (format!("{}x", good), (401, "token_invalid")),
        (unsigned(&issuer.claims()), (401, "token_invalid")),
    ] {
        let answer = send(&harness, instance, &token).await;
        assert_eq!((answer.status, code(&answer).as_str()), expected, "{token}");
    }
    assert_eq!(
        send(&harness, instance, &with(json!({"scope": null, "scp": ["mcp:call"]}))).await.status,
        200
    );
    assert_eq!(send(&harness, instance, &with(json!({"aud": ["x", AUDIENCE]}))).await.status, 200);

    harness.authorize(instance, None).await;
    until("the access token to be refused", || async {
        (send(&harness, instance, &good).await.status == 401).then_some(())
    })
    .await;
}

/// A token that says it needs no signature.
fn unsigned(claims: &Value) -> String {
    let [head, claims] =
        [json!({"alg": "none"}), claims.clone()].map(|part| base64url(part.to_string().as_bytes()));
    format!("{head}.{claims}.")
}

#[tokio::test]
async fn clients_find_the_issuer_and_no_issuer_where_there_is_none() {
    let upstream = Upstream::json("{}").await;
    let key = Key::new("one");
    let issuer = Issuer::start(&[&key]).await;
    let harness = Harness::start_with(|config| {
        config.public_url = Some("https://gateway.example/base".parse().expect("a url"));
    })
    .await;
    let guarded = harness.hosted("guarded", &upstream.url()).await;
    let plain = harness.hosted("plain", &upstream.url()).await;
    harness.authorize(guarded, Some(issuer.authorization(&["mcp:call"]))).await;
    let client = harness.client();
    let well_known = |path: &str| format!("/.well-known/oauth-protected-resource{path}");
    let document = until("the metadata", || async {
        let answer = client.send_with("GET", &well_known(&path(guarded)), &[], "").await;
        (answer.status == 200).then_some(answer)
    })
    .await;
    assert_eq!(document.headers["content-type"], "application/json");
    assert_eq!(document.json()["resource"], format!("https://gateway.example/base{}", path(guarded)));
    assert_eq!(document.json()["authorization_servers"], json!([issuer.url()]));
    assert_eq!(document.json()["scopes_supported"], json!(["mcp:call"]));

    let refused = client.send_with("POST", &path(guarded), &[], PING).await;
    let challenge = refused.headers["www-authenticate"].to_str().expect("visible ASCII");
    let metadata = format!("https://gateway.example{}", well_known(&format!("/base{}", path(guarded))));
    assert_eq!(
        challenge,
        format!("Bearer realm=\"mcpcan\", resource_metadata=\"{metadata}\", scope=\"mcp:call\"")
    );
    for path in [well_known(&path(plain)), well_known(""), well_known("/mcp-gateway/nobody/mcp")] {
        let answer = client.send_with("GET", &path, &[], "").await;
        assert_eq!(answer.status, 404, "{path}");
        assert!(!answer.headers.contains_key("www-authenticate"), "{path}");
    }
    let refused = client.send_with("POST", &path(plain), &[], PING).await;
    let challenge = refused.headers["www-authenticate"].to_str().expect("visible ASCII");
    assert!(!challenge.contains("resource_metadata"), "{challenge}");
}

#[tokio::test]
async fn keys_that_the_issuer_has_replaced_count_no_more() {
    let upstream = Upstream::json("{}").await;
    let (old, new) = (Key::new("old"), Key::new("new"));
    let issuer = Issuer::start(&[&old]).await;
    let harness = Harness::start_with(|config| config.limits.failures = None).await;
    let instance = harness.hosted("everything", &upstream.url()).await;
    harness.authorize(instance, Some(issuer.authorization(&[]))).await;
    let before = old.sign(&issuer.claims());
    accepted(&harness, instance, &before).await;
    *issuer.keys.lock().expect("no test panics here") = vec![new.public.clone()];
    // A key that is not known has them fetched again.
    accepted(&harness, instance, &new.sign(&issuer.claims())).await;
    let refused = send(&harness, instance, &before).await;
    assert_eq!((refused.status, code(&refused).as_str()), (401, "token_invalid"));
}

#[tokio::test]
async fn a_stream_ends_with_its_access_token_or_with_the_authorization() {
    let (upstream, mut opened) = Upstream::streams().await;
    let key = Key::new("one");
    let issuer = Issuer::start(&[&key]).await;
    let harness = Harness::start().await;
    let instance = harness.hosted("everything", &upstream.url()).await;
    harness.authorize(instance, Some(issuer.authorization(&[]))).await;
    let mut claims = issuer.claims();
    let lasting = key.sign(&claims);
    until("the keys to be there", || async {
        let answer = harness.client().send("PUT", &path(instance), &lasting, "").await;
        (answer.status == 405).then_some(())
    })
    .await;
    // With the leeway that is accepted, it has a second left.
    claims["exp"] = json!(Timestamp::now().as_second() - 4);
    let mut stream = harness.client().stream(&path(instance), &key.sign(&claims)).await.into_body();
    let events = opened.recv().await.expect("the upstream was called");
    assert_eq!(next(&mut stream).await, None, "the stream ends with its token");
    events.closed().await;

    let mut stream = harness.client().stream(&path(instance), &lasting).await.into_body();
    let _events = opened.recv().await.expect("the upstream was called");
    harness.authorize(instance, None).await;
    assert_eq!(next(&mut stream).await, None, "the stream ends with what let it in");
}
