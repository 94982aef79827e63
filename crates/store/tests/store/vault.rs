//! Sealed secrets: opened by their owner's key, gone with it.

use store::OpenError;
use store::testing::TestServer;
use uuid::Uuid;

const SECRET: &[u8] = b"correct horse battery staple";

#[tokio::test]
async fn a_sealed_secret_opens_for_its_owner_only() {
    let server = TestServer::start().await;
    let (store, replica) = (server.store().await, server.store().await);
    let (owner, other) = (Uuid::now_v7(), Uuid::now_v7());
    let sealed = store.vault().seal(owner, SECRET).await.unwrap();
    assert!(!sealed.0.contains("horse"));
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
    store.vault().shred(owner).await.unwrap();
    store.vault().shred(owner).await.unwrap();
    let gone = replica.vault().open(owner, &sealed).await;
    assert!(matches!(gone, Err(OpenError::Shredded { .. })), "{gone:?}");
}

#[tokio::test]
async fn a_digest_depends_on_the_master_key() {
    let (one, another) = (TestServer::start().await, TestServer::start().await);
    let digest = one.store().await.vault().digest(SECRET);
    assert_eq!(one.store().await.vault().digest(SECRET), digest);
    assert_ne!(another.store().await.vault().digest(SECRET), digest);
    assert_ne!(one.store().await.vault().digest(b"x"), digest);
}
