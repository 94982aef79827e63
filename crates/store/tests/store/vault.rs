//! Sealed secrets: opened by their owner's key, gone with it.

use std::os::unix::fs::PermissionsExt;

use domain::InstanceId;
use proptest::collection::vec;
use proptest::prelude::any;
use proptest::test_runner::{TestCaseError, TestRunner};
use store::testing::TestServer;
use store::{MasterKey, OpenError, Vault};
use uuid::Uuid;

const SECRET: &[u8] = b"correct horse battery staple";

#[tokio::test]
async fn a_sealed_secret_opens_for_its_owner_only() {
    let server = TestServer::start().await;
    let (store, replica) = (server.store().await, server.store().await);
    let (owner, other) = (Uuid::now_v7(), Uuid::now_v7());
    let sealed = store.vault().seal(owner, SECRET).await.unwrap();
    assert!(!sealed.0.contains("horse"));
    assert_eq!(sealed.0.len(), Vault::sealed_bytes(SECRET.len()));
    assert_eq!(replica.vault().open(owner, &sealed).await.unwrap().as_slice(), SECRET);

    store.vault().seal(other, b"something else").await.unwrap();
    let stolen = store.vault().open(other, &sealed).await;
    assert!(matches!(stolen, Err(OpenError::Damaged { .. })), "{stolen:?}");
}

#[tokio::test]
async fn nothing_opens_after_its_key_was_shredded() {
    let server = TestServer::start().await;
    let (store, replica) = (server.store().await, server.store().await);
    let owner = Uuid::now_v7();
    let sealed = store.vault().seal(owner, SECRET).await.unwrap();
    store.keys().shred(owner).await.unwrap();
    store.keys().shred(owner).await.unwrap();
    let gone = replica.vault().open(owner, &sealed).await;
    assert!(matches!(gone, Err(OpenError::Shredded { .. })), "{gone:?}");
    // Nor is there ever another key for the same owner, whoever seals.
    for store in [&store, &replica] {
        let again = store.vault().seal(owner, SECRET).await;
        assert!(matches!(again, Err(OpenError::Shredded { .. })), "{again:?}");
    }
    // Where there never was a key, the log came without it.
    let elsewhere = TestServer::start_with_master_key_of(&server).await;
    let missing = elsewhere.store().await.vault().open(owner, &sealed).await;
    assert!(matches!(missing, Err(OpenError::Missing { .. })), "{missing:?}");
}

#[tokio::test]
async fn a_digest_depends_on_the_master_key() {
    let (one, another) = (TestServer::start().await, TestServer::start().await);
    let digest = one.store().await.vault().digest(SECRET);
    assert_eq!(one.store().await.vault().digest(SECRET), digest);
    assert_ne!(another.store().await.vault().digest(SECRET), digest);
    assert_ne!(one.store().await.vault().digest(b"x"), digest);
}

#[tokio::test]
async fn a_slow_digest_depends_on_the_master_key_and_on_the_instance() {
    let (one, another) = (TestServer::start().await, TestServer::start().await);
    let (instance, other) = (InstanceId(Uuid::from_u128(1)), InstanceId(Uuid::from_u128(2)));
    let vault = one.store().await.vault().clone();
    let digest = vault.slow_digest(instance, SECRET);
    assert_eq!(one.store().await.vault().slow_digest(instance, SECRET), digest);
    assert_ne!(vault.slow_digest(other, SECRET), digest);
    assert_ne!(vault.slow_digest(instance, b"x"), digest);
    assert_ne!(another.store().await.vault().slow_digest(instance, SECRET), digest);
    // It is a part of subjects, and no fast digest is ever taken for one.
    assert!(digest.0.bytes().all(|byte| byte.is_ascii_alphanumeric()) && digest.0.starts_with("argon2id1"));
}

#[tokio::test]
async fn a_session_opens_in_its_own_context_and_at_every_replica() {
    let (one, another) = (TestServer::start().await, TestServer::start().await);
    let (store, replica) = (one.store().await, one.store().await);
    let sealed = store.vault().seal_session(b"token", SECRET);
    assert!(sealed.bytes().all(|byte| byte.is_ascii_graphic()), "{sealed}");
    assert_eq!(replica.vault().open_session(b"token", sealed.as_bytes()).as_deref(), Some(SECRET));
    assert_eq!(replica.vault().open_session(b"another", sealed.as_bytes()), None);
    assert_eq!(another.store().await.vault().open_session(b"token", sealed.as_bytes()), None);
    let mut changed = sealed.into_bytes();
    let last = changed.last_mut().unwrap();
    *last = if *last == b'A' { b'E' } else { b'A' };
    for forged in [changed.as_slice(), b"", b"g1.", b"g1.AAAA", b"0123456789abcdef"] {
        assert_eq!(store.vault().open_session(b"token", forged), None);
    }
}

#[test]
fn a_master_key_that_others_can_read_is_not_used() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("master.key");
    MasterKey::load_or_create(&path).unwrap();
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "no draft is left");
    MasterKey::load_or_create(&path).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
    let exposed = MasterKey::load_or_create(&path).unwrap_err();
    assert!(exposed.to_string().ends_with("has mode 640: take it from others with `chmod 600`"), "{exposed}");
}

#[tokio::test]
async fn no_text_opens_as_a_session_but_one_that_was_sealed_for_it() {
    let server = TestServer::start().await;
    let store = server.store().await;
    let vault = store.vault();
    let sealed = vault.seal_session(b"owner", b"where it is");
    let mut runner = TestRunner::default();
    let none = |text: &[u8]| match vault.open_session(b"owner", text) {
        Some(_) if text == sealed.as_bytes() => Ok(()),
        Some(_) => Err(TestCaseError::fail("it was never sealed")),
        None => Ok(()),
    };
    runner.run(&vec(any::<u8>(), 0..200), |text| none(&text)).unwrap();
    // One that was sealed, with something changed, cut off or added.
    let changed = (0..sealed.len(), any::<u8>(), 0..=sealed.len(), vec(any::<u8>(), 0..4));
    runner
        .run(&changed, |(place, byte, length, more)| {
            let mut text = sealed.clone().into_bytes();
            text[place] = byte;
            none(&text)?;
            none(&text[..length])?;
            text.extend(more);
            none(&text)
        })
        .unwrap();
}
