//! What has happened: instances, replicas and tokens, appended as the events that a decider would have given.

use std::collections::{BTreeMap, BTreeSet};

use domain::instance::{self, Access, Hosted, InstanceDecider, Logging, Remote, RemoteTransport, Source};
use domain::token::credential::Generated;
use domain::token::{self, Kind, TokenDecider};
use domain::{Digest, InstanceId, ReplicaId, Sealed, TokenId};
use jiff::Timestamp;
use store::testing::given;
use store::{Stored, Write};
use uuid::Uuid;

use super::{Harness, path, until};

/// A token and its credential.
pub(crate) struct Issued {
    pub(crate) id: TokenId,
    pub(crate) credential: String,
}

impl Harness {
    /// A hosted instance with one ready replica at `url`, which asks for no credential.
    pub(crate) async fn hosted(&self, name: &str, url: &str) -> InstanceId {
        let id = self.create(name, hosted()).await;
        self.replica_ready(id, url, None).await;
        id
    }

    /// A hosted instance with one ready replica at `url`, which asks for this credential.
    pub(crate) async fn hosted_with(&self, name: &str, url: &str, credential: &str) -> InstanceId {
        let id = self.create(name, hosted()).await;
        let sealed = self.seal(id.0, credential).await;
        self.replica_ready(id, url, Some(sealed)).await;
        id
    }

    /// A hosted instance with one ready replica at `url`, whose calls are recorded so.
    pub(crate) async fn hosted_logged(&self, name: &str, url: &str, logging: Logging) -> InstanceId {
        let id = InstanceId(Uuid::now_v7());
        let mut created = instance::Created::new(name.parse().expect("a name"), hosted());
        created.profile.logging = logging;
        self.append::<InstanceDecider>(id, &[instance::Event::Created(created)]).await;
        self.replica_ready(id, url, None).await;
        id
    }

    /// One more replica of a hosted instance, ready at `url`.
    pub(crate) async fn replica(&self, id: InstanceId, url: &str) -> ReplicaId {
        self.replica_ready(id, url, None).await
    }

    /// A replica is gone, as its worker reports it.
    pub(crate) async fn replica_lost(&self, id: InstanceId, replica: ReplicaId) {
        let reason = instance::FailureReason::Exited;
        let failed = instance::ReplicaFailed { replica, reason, detail: String::new() };
        self.append::<InstanceDecider>(id, &[instance::Event::ReplicaFailed(failed)]).await;
    }

    async fn replica_ready(&self, id: InstanceId, url: &str, credential: Option<Sealed>) -> ReplicaId {
        let replica = ReplicaId(Uuid::now_v7());
        let server = instance::ServerInfo {
            name: "test".to_owned(),
            version: "1".to_owned(),
            protocol_version: "2025-11-25".to_owned(),
            revisions: vec![],
        };
        let ready = instance::ReplicaReady { replica, endpoint: url.to_owned(), credential, server };
        self.append::<InstanceDecider>(
            id,
            &[
                instance::Event::ReplicaStarting(instance::ReplicaStarting { replica, generation: 1 }),
                instance::Event::ReplicaHandshaking(instance::ReplicaHandshaking { replica }),
                instance::Event::ReplicaReady(ready),
            ],
        )
        .await;
        replica
    }

    /// A proxied instance with header fields for its upstream.
    pub(crate) async fn proxied(&self, name: &str, url: &str, headers: &[(&str, &str)]) -> InstanceId {
        let id = InstanceId(Uuid::now_v7());
        let headers = self.seal_each(id.0, headers).await;
        let transport = RemoteTransport::StreamableHttp;
        let access = Access::Proxy(Remote { transport, url: url.to_owned(), headers });
        self.create_as(id, name, access).await
    }

    /// A proxied instance with header fields for its upstream, whose calls are recorded with their bodies.
    pub(crate) async fn proxied_logged(&self, name: &str, url: &str, headers: &[(&str, &str)]) -> InstanceId {
        let id = InstanceId(Uuid::now_v7());
        let headers = self.seal_each(id.0, headers).await;
        let transport = RemoteTransport::StreamableHttp;
        let access = Access::Proxy(Remote { transport, url: url.to_owned(), headers });
        let mut created = instance::Created::new(name.parse().expect("a name"), access);
        created.profile.logging.capture = instance::Capture::Bodies;
        self.append::<InstanceDecider>(id, &[instance::Event::Created(created)]).await;
        id
    }

    /// A proxied instance that speaks HTTP+SSE.
    pub(crate) async fn proxied_sse(&self, name: &str, url: &str) -> InstanceId {
        let remote =
            Remote { transport: RemoteTransport::Sse, url: url.to_owned(), headers: BTreeMap::new() };
        self.create(name, Access::Proxy(remote)).await
    }

    pub(crate) async fn create(&self, name: &str, access: Access) -> InstanceId {
        self.create_as(InstanceId(Uuid::now_v7()), name, access).await
    }

    async fn create_as(&self, id: InstanceId, name: &str, access: Access) -> InstanceId {
        let created = instance::Created::new(name.parse().expect("a name"), access);
        self.append::<InstanceDecider>(id, &[instance::Event::Created(created)]).await;
        id
    }

    /// Says whose access tokens an instance accepts.
    pub(crate) async fn authorize(&self, id: InstanceId, authorization: Option<instance::Authorization>) {
        let changed = instance::AuthorizationChanged { authorization };
        self.append::<InstanceDecider>(id, &[instance::Event::AuthorizationChanged(changed)]).await;
    }

    pub(crate) async fn stop(&self, id: InstanceId) {
        self.append::<InstanceDecider>(id, &[instance::Event::Stopped(instance::Stopped {})]).await;
    }

    pub(crate) async fn delete(&self, id: InstanceId) {
        self.append::<InstanceDecider>(id, &[instance::Event::Deleted(instance::Deleted {})]).await;
    }

    /// Issues a token and waits until the gateway takes it and would pass a request on.
    pub(crate) async fn token(&self, instance: InstanceId) -> Issued {
        self.token_until(instance, |status| status == 405).await
    }

    /// Issues a token and waits until the gateway takes it, whether or not the instance is ready.
    pub(crate) async fn token_for_any(&self, instance: InstanceId) -> Issued {
        self.token_until(instance, |status| status != 401).await
    }

    async fn token_until(&self, instance: InstanceId, holds: impl Fn(u16) -> bool) -> Issued {
        let issued = self.issue(instance).await;
        self.accepted_until(instance, &issued, holds).await;
        issued
    }

    /// Issues a token with header fields and a passthrough list, and waits until the gateway would pass a request on.
    pub(crate) async fn token_with(
        &self,
        instance: InstanceId,
        headers: &[(&str, &str)],
        passthrough: &[&str],
    ) -> Issued {
        let issued = self.issue(instance).await;
        self.edit_fields(issued.id, headers, passthrough).await;
        self.accepted_until(instance, &issued, |status| status == 405).await;
        issued
    }

    async fn accepted_until(&self, instance: InstanceId, issued: &Issued, holds: impl Fn(u16) -> bool) {
        let credential = &issued.credential;
        until("the token to be accepted", || async {
            // A method that is none of ours is refused last, and never passed on.
            let answer = self.client().send("PUT", &path(instance), credential, "").await;
            holds(answer.status).then_some(())
        })
        .await;
    }

    pub(crate) async fn issue(&self, instance: InstanceId) -> Issued {
        let credential = random();
        let digest = self.store.vault().digest(credential.as_bytes());
        self.issue_as(instance, Kind::Bearer, credential, digest).await
    }

    /// Issues a token with a credential that somebody has made up.
    pub(crate) async fn issue_custom(&self, instance: InstanceId, kind: Kind, credential: &str) -> Issued {
        let digest = self.store.vault().slow_digest(instance, credential.as_bytes());
        self.issue_as(instance, kind, credential.to_owned(), digest).await
    }

    /// Issues a token with a credential of the platform's making.
    pub(crate) async fn issue_kind(&self, instance: InstanceId, kind: Kind) -> Issued {
        let credential = random();
        let digest = self.store.vault().digest(credential.as_bytes());
        self.issue_as(instance, kind, credential, digest).await
    }

    async fn issue_as(&self, instance: InstanceId, kind: Kind, credential: String, digest: Digest) -> Issued {
        let id = TokenId(Uuid::now_v7());
        let issued = token::Issued {
            instance,
            kind,
            label: "dev".to_owned(),
            digest,
            masked: "mcp_…".to_owned(),
            sealed: self.seal(id.0, &credential).await,
            expiry: token::Expiry::Never,
            headers: BTreeMap::new(),
            passthrough: BTreeSet::new(),
        };
        self.append::<TokenDecider>(id, &[token::Event::Issued(issued)]).await;
        Issued { id, credential }
    }

    pub(crate) async fn revoke(&self, token: TokenId) {
        self.append::<TokenDecider>(token, &[token::Event::Revoked(token::Revoked {})]).await;
    }

    /// Gives a token another label.
    pub(crate) async fn edit(&self, token: TokenId, label: &str) {
        let edited = token::Edited { label: Some(label.to_owned()), ..token::Edited::default() };
        self.append::<TokenDecider>(token, &[token::Event::Edited(edited)]).await;
    }

    /// Gives a token header fields and a passthrough list.
    pub(crate) async fn edit_fields(&self, token: TokenId, headers: &[(&str, &str)], passthrough: &[&str]) {
        let headers = Some(self.seal_each(token.0, headers).await);
        let passthrough = passthrough.iter().map(|name| (*name).to_owned()).collect();
        let edited = token::Edited { headers, passthrough: Some(passthrough), ..token::Edited::default() };
        self.append::<TokenDecider>(token, &[token::Event::Edited(edited)]).await;
    }

    /// Gives a token another end.
    pub(crate) async fn edit_expiry(&self, token: TokenId, expiry: token::Expiry) {
        let edited = token::Edited { expiry: Some(expiry), ..token::Edited::default() };
        self.append::<TokenDecider>(token, &[token::Event::Edited(edited)]).await;
    }

    /// Gives a token another credential.
    pub(crate) async fn rotate(&self, token: TokenId) -> String {
        self.rotate_until(token, None).await
    }

    /// The same, with an overlap.
    pub(crate) async fn rotate_until(&self, token: TokenId, previous_until: Option<Timestamp>) -> String {
        let credential = random();
        let rotated = token::Rotated {
            digest: self.store.vault().digest(credential.as_bytes()),
            masked: "mcp_…".to_owned(),
            sealed: self.seal(token.0, &credential).await,
            previous_until,
        };
        self.append::<TokenDecider>(token, &[token::Event::Rotated(rotated)]).await;
        credential
    }

    async fn seal(&self, owner: Uuid, secret: &str) -> Sealed {
        self.store.vault().seal(owner, secret.as_bytes()).await.expect("seal a secret")
    }

    async fn seal_each(&self, owner: Uuid, fields: &[(&str, &str)]) -> BTreeMap<String, Sealed> {
        let mut sealed = BTreeMap::new();
        for (name, value) in fields {
            sealed.insert((*name).to_owned(), self.seal(owner, value).await);
        }
        sealed
    }

    async fn append<D: Stored>(&self, id: D::Id, events: &[D::Event]) {
        let given = given();
        let aggregate = self.store.load::<D>(&id, given.command_id).await.expect("load an aggregate");
        let write = Write::new::<D>(&id, aggregate.last_sequence, events);
        self.store.append(&[write], &given.metadata()).await.expect("append events");
    }
}

/// A credential as the platform makes them.
fn random() -> String {
    let (high, low) = (Uuid::new_v4(), Uuid::new_v4());
    let random: Vec<u8> = high.as_bytes().iter().chain(low.as_bytes()).copied().collect();
    Generated::from_random(&random.try_into().expect("32 bytes")).as_str().to_owned()
}

pub(crate) fn hosted() -> Access {
    let command = instance::CommandLine { program: "server".to_owned(), args: vec![] };
    Access::Hosted(Hosted::new(Source::Command(command), BTreeMap::new()))
}
