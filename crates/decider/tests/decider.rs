//! The decider on a real nats-server: what a sender of commands can rely on.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use domain::instance::{Access, CommandLine, Hosted, Source};
use domain::{
    Command, Digest, InstanceId, Refusal, Sealed, TemplateId, TokenId, claim, instance, retention_plan,
    template, token,
};
use futures_util::future::join_all;
use service::{CancellationToken, Context};
use store::testing::{TestServer, given};
use store::{Given, OpenError, Outcome, Role, Store};
use tokio::task::JoinHandle;
use uuid::Uuid;
use views::{Instances, Tokens};

const WAIT: Duration = Duration::from_secs(20);

/// A server, deciders and the projections that their reactions read.
struct System {
    server: TestServer,
    store: Store,
    shutdown: CancellationToken,
    deciders: Vec<JoinHandle<anyhow::Result<()>>>,
    projections: [JoinHandle<()>; 2],
}

impl System {
    async fn start(deciders: usize) -> Self {
        let server = TestServer::start().await;
        let shutdown = CancellationToken::new();
        let (instances, tokens) =
            (server.store_as(Role::Projector).await, server.store_as(Role::Projector).await);
        let projections = [
            tokio::spawn(async move { instances.project::<Instances>(|| {}).await.unwrap() }),
            tokio::spawn(async move { tokens.project::<Tokens>(|| {}).await.unwrap() }),
        ];
        let mut system =
            System { store: server.store().await, server, shutdown, deciders: vec![], projections };
        for _ in 0..deciders {
            system.start_decider().await;
        }
        system
    }

    async fn start_decider(&mut self) {
        let context = Context { shutdown: self.shutdown.clone(), readiness: Default::default() };
        let run = decider::run(self.server.store_as(Role::Decider).await, context);
        self.deciders.push(tokio::spawn(run));
    }

    async fn send(&self, command: Command) -> Outcome {
        self.store.send(&command, &given(), WAIT).await.unwrap()
    }

    async fn create(&self, name: &str) -> InstanceId {
        let id = InstanceId(Uuid::now_v7());
        let outcome = self.send(create(id, name)).await;
        assert!(matches!(outcome, Outcome::Done { .. }), "{outcome:?}");
        id
    }

    async fn create_owned(&self, name: String) -> InstanceId {
        self.create(&name).await
    }

    async fn issue(&self, instance: InstanceId) -> (TokenId, Outcome) {
        let id = TokenId(Uuid::now_v7());
        let sealed = self.store.vault().seal(id.0, b"credential").await.unwrap();
        (id, self.send(issue(id, instance, sealed)).await)
    }

    async fn end(self) {
        self.shutdown.cancel();
        for decider in self.deciders {
            decider.await.unwrap().unwrap();
        }
        for projection in self.projections {
            projection.abort();
        }
    }
}

fn create(id: InstanceId, name: &str) -> Command {
    let access = hosted(BTreeMap::new());
    Command::Instance { id, command: instance::Command::create(name.parse().unwrap(), access) }
}

fn hosted(env: BTreeMap<String, Sealed>) -> Access {
    let command = CommandLine { program: "npx".to_owned(), args: vec![] };
    Access::Hosted(Hosted::new(Source::Command(command), env))
}

fn with_digest(mut command: Command, credential: &str) -> Command {
    if let Command::Token { command: token::Command::Issue { digest, .. }, .. } = &mut command {
        *digest = Digest(credential.to_owned());
    }
    command
}

fn instance_command(id: InstanceId, command: instance::Command) -> Command {
    Command::Instance { id, command }
}

fn issue(id: TokenId, instance: InstanceId, sealed: Sealed) -> Command {
    let command = token::Command::Issue {
        instance,
        kind: token::Kind::Bearer,
        label: "dev".to_owned(),
        digest: Digest(id.0.simple().to_string()),
        masked: "mcpcan_…".to_owned(),
        sealed,
        expiry: token::Expiry::Never,
        headers: BTreeMap::new(),
        passthrough: BTreeSet::new(),
    };
    Command::Token { id, command }
}

fn refused(refusal: impl Into<Refusal>) -> Outcome {
    Outcome::Refused { refusal: refusal.into() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_that_want_one_name_one_gets_it() {
    let system = System::start(3).await;
    let ids: Vec<InstanceId> = (0..16).map(|_| InstanceId(Uuid::now_v7())).collect();
    let outcomes = join_all(ids.iter().map(|id| system.send(create(*id, "everything")))).await;
    let winners: Vec<InstanceId> = ids
        .iter()
        .zip(&outcomes)
        .filter(|(_, outcome)| matches!(outcome, Outcome::Done { .. }))
        .map(|(id, _)| *id)
        .collect();
    let [winner] = winners[..] else { panic!("{outcomes:?}") };
    for outcome in outcomes.iter().filter(|outcome| !matches!(outcome, Outcome::Done { .. })) {
        assert_eq!(*outcome, refused(claim::Refusal::Taken { holder: winner }));
    }

    // A deleted instance gives its name back.
    let delete = instance_command(winner, instance::Command::Delete);
    assert!(matches!(system.send(delete).await, Outcome::Done { .. }));
    system.create("everything").await;
    system.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_that_rename_to_one_name_one_gets_it_and_the_old_names_are_free() {
    let system = System::start(3).await;
    let ids = join_all((0..8).map(|i| system.create_owned(format!("old-{i}")))).await;
    let rename = |id| instance_command(id, instance::Command::Rename { name: "new".parse().unwrap() });
    let outcomes = join_all(ids.iter().map(|id| system.send(rename(*id)))).await;
    let renamed: Vec<usize> =
        (0..ids.len()).filter(|i| matches!(outcomes[*i], Outcome::Done { .. })).collect();
    let [winner] = renamed[..] else { panic!("{outcomes:?}") };
    let taken = refused(claim::Refusal::Taken { holder: ids[winner] });
    assert!((0..ids.len()).filter(|i| *i != winner).all(|i| outcomes[i] == taken), "{outcomes:?}");
    system.create(&format!("old-{winner}")).await;
    system.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_tokens_with_one_credential_an_instance_takes_one() {
    let system = System::start(3).await;
    let (instance, other) = (system.create("everything").await, system.create("other").await);
    let issue = |instance| {
        let id = TokenId(Uuid::now_v7());
        (id, with_digest(issue(id, instance, Sealed("s1".to_owned())), "same"))
    };
    let issues: Vec<_> = (0..8).map(|_| issue(instance)).collect();
    let outcomes = join_all(issues.iter().map(|(_, command)| system.send(command.clone()))).await;
    let issued: Vec<TokenId> = issues
        .iter()
        .zip(&outcomes)
        .filter(|(_, outcome)| matches!(outcome, Outcome::Done { .. }))
        .map(|((id, _), _)| *id)
        .collect();
    let [winner] = issued[..] else { panic!("{outcomes:?}") };
    let lost = outcomes.iter().find(|outcome| matches!(outcome, Outcome::Refused { .. })).unwrap();
    assert_eq!(*lost, refused(claim::Refusal::Taken { holder: winner }));

    let elsewhere = system.send(issue(other).1).await;
    assert!(
        matches!(elsewhere, Outcome::Done { .. }),
        "another instance's tokens are told apart by instance"
    );
    system.send(Command::Token { id: winner, command: token::Command::Revoke }).await;
    let again = system.send(issue(instance).1).await;
    assert!(matches!(again, Outcome::Done { .. }), "a revoked credential is free: {again:?}");
    system.end().await;
}

#[tokio::test]
async fn a_command_for_another_revision_is_refused_with_the_one_that_counts() {
    let system = System::start(1).await;
    let id = system.create("everything").await;
    let stop = instance_command(id, instance::Command::Stop);
    let meant_for = |revision| Given { expected_revision: Some(revision), ..given() };
    let send = async |command: &Command, revision| {
        system.store.send(command, &meant_for(revision), WAIT).await.unwrap()
    };
    assert!(matches!(send(&stop, 1).await, Outcome::Done { .. }));
    assert_eq!(send(&stop, 1).await, Outcome::Refused { refusal: Refusal::Changed { revision: 2 } });
    let start = instance_command(id, instance::Command::Start);
    assert!(matches!(send(&start, 2).await, Outcome::Done { .. }));
    system.end().await;
}

#[tokio::test]
async fn a_retention_plan_needs_an_instance_and_outlives_it() {
    let system = System::start(1).await;
    let id = system.create("everything").await;
    let set = |id, access_log| {
        let days = retention_plan::Days { access_log, container_log: 3 };
        Command::RetentionPlan { id, command: retention_plan::Command::Set { days } }
    };
    assert!(matches!(system.send(set(id, 30)).await, Outcome::Done { .. }));
    system.send(instance_command(id, instance::Command::Delete)).await;
    assert!(matches!(system.send(set(id, 60)).await, Outcome::Done { .. }), "its rows are still there");
    let unknown = system.send(set(InstanceId(Uuid::now_v7()), 30)).await;
    assert_eq!(unknown, refused(retention_plan::Refusal::InstanceNotFound));
    system.end().await;
}

#[tokio::test]
async fn deleting_a_template_frees_its_name_and_shreds_its_key() {
    let system = System::start(1).await;
    let id = TemplateId(Uuid::now_v7());
    let sealed = system.store.vault().seal(id.0, b"environment").await.unwrap();
    let create = |id| Command::Template {
        id,
        command: template::Command::Create {
            name: "search".parse().unwrap(),
            access: hosted(BTreeMap::from([("KEY".to_owned(), sealed.clone())])),
            profile: instance::Profile::default(),
            from: None,
        },
    };
    assert!(matches!(system.send(create(id)).await, Outcome::Done { .. }));
    let second = TemplateId(Uuid::now_v7());
    assert_eq!(system.send(create(second)).await, refused(claim::Refusal::Taken { holder: id }));
    system.send(Command::Template { id, command: template::Command::Delete }).await;
    until_shredded(&system.store, id.0, &sealed).await;
    assert!(matches!(system.send(create(second)).await, Outcome::Done { .. }));
    system.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_that_is_delivered_again_takes_effect_once() {
    let mut system = System::start(1).await;
    let id = system.create("everything").await;
    let (restart, given) = (instance_command(id, instance::Command::Restart), given());
    let first = system.store.send(&restart, &given, WAIT).await.unwrap();

    // The same command once more, past the window in which the bus itself would drop it: a new stream of commands.
    system.shutdown.cancel();
    for decider in std::mem::take(&mut system.deciders) {
        decider.await.unwrap().unwrap();
    }
    system.server.delete_stream("COMMANDS").await;
    system.store.provision(1).await.unwrap();
    system.shutdown = CancellationToken::new();
    system.start_decider().await;

    assert_eq!(system.store.send(&restart, &given, WAIT).await.unwrap(), first);
    let loaded = system.store.load::<instance::InstanceDecider>(&id, given.command_id).await.unwrap();
    assert_eq!(loaded.state.live().unwrap().generation, 2, "restarted once");
    system.end().await;
}

#[tokio::test]
async fn a_wish_that_is_true_already_is_done_and_a_contradiction_is_refused() {
    let system = System::start(1).await;
    let id = system.create("everything").await;
    let before = system.store.last_event().await.unwrap();
    let outcome = system.send(instance_command(id, instance::Command::Start)).await;
    assert_eq!(outcome, Outcome::Done { sequence: before });
    assert_eq!(system.store.last_event().await.unwrap(), before);

    let unknown = instance_command(InstanceId(Uuid::now_v7()), instance::Command::Stop);
    assert_eq!(system.send(unknown).await, refused(instance::Refusal::NotFound));
    system.end().await;
}

#[tokio::test]
async fn a_token_needs_an_instance_that_exists() {
    let system = System::start(1).await;
    let (_, outcome) = system.issue(InstanceId(Uuid::now_v7())).await;
    assert_eq!(outcome, refused(token::Refusal::InstanceNotFound));
    system.end().await;
}

#[tokio::test]
async fn revoking_a_token_shreds_its_key() {
    let system = System::start(1).await;
    let instance = system.create("everything").await;
    let tokens = system.store.follow::<Tokens>(|_, _| {}).await.unwrap();
    let (id, outcome) = system.issue(instance).await;
    let Outcome::Done { sequence } = outcome else { panic!("{outcome:?}") };
    tokens.reached(sequence, WAIT).await.unwrap();
    let views::TokenState::Active { sealed, .. } = tokens.get(id.0).unwrap().state.clone() else {
        panic!("the token is active")
    };
    assert!(system.store.vault().open(id.0, &sealed).await.is_ok());
    system.send(Command::Token { id, command: token::Command::Revoke }).await;
    until_shredded(&system.store, id.0, &sealed).await;
    system.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_whose_time_is_over_expires_once_and_its_key_is_shredded() {
    let system = System::start(3).await;
    let instance = system.create("everything").await;
    let tokens = system.store.follow::<Tokens>(|_, _| {}).await.unwrap();
    let (lasting, _) = system.issue(instance).await;
    let (id, _) = system.issue(instance).await;
    let sealed = system.store.vault().seal(id.0, b"credential").await.unwrap();
    let at = jiff::Timestamp::now() + jiff::SignedDuration::from_millis(300);
    let edit = token::Command::Edit {
        label: None,
        expiry: Some(token::Expiry::At(at)),
        headers: BTreeMap::new(),
        passthrough: None,
    };
    assert!(matches!(system.send(Command::Token { id, command: edit }).await, Outcome::Done { .. }));

    until_shredded(&system.store, id.0, &sealed).await;
    assert!(jiff::Timestamp::now() >= at, "not a moment too early");
    // A wish that is true already is answered with the token's last event.
    let outcome = system.send(Command::Token { id, command: token::Command::Revoke }).await;
    let Outcome::Done { sequence } = outcome else { panic!("{outcome:?}") };
    tokens.reached(sequence, WAIT).await.unwrap();
    let row = tokens.get(id.0).unwrap();
    assert!(matches!(row.state, views::TokenState::Expired { at: ended, .. } if ended == at), "{row:?}");
    assert_eq!(row.sequence, sequence, "it has ended once");
    assert!(tokens.get(lasting.0).unwrap().digest().is_some(), "a token without an end lives on");
    system.end().await;
}

#[tokio::test]
async fn deleting_an_instance_revokes_its_tokens_and_shreds_every_key() {
    let system = System::start(2).await;
    let instance = system.create("everything").await;
    let (id, _) = system.issue(instance).await;
    let (other, _) = system.issue(system.create("other").await).await;
    let sealed = system.store.vault().seal(instance.0, b"environment").await.unwrap();
    let tokens = system.store.follow::<Tokens>(|_, _| {}).await.unwrap();

    system.send(instance_command(instance, instance::Command::Delete)).await;
    let mut changes = tokens.changes();
    let revoked = async {
        while tokens.get(id.0).is_none_or(|token| token.digest().is_some()) {
            changes.changed().await.unwrap();
        }
    };
    tokio::time::timeout(WAIT, revoked).await.expect("the token is revoked");
    until_shredded(&system.store, instance.0, &sealed).await;
    assert!(tokens.get(other.0).unwrap().digest().is_some(), "another instance's token lives on");
    system.end().await;
}

#[tokio::test]
async fn a_refused_creation_takes_its_key_along_and_leaves_that_of_others() {
    let system = System::start(1).await;
    let vault = system.store.vault();
    let instance = system.create("a").await;
    let (token, outcome) = system.issue(instance).await;
    assert!(matches!(outcome, Outcome::Done { .. }), "{outcome:?}");

    let nobody = InstanceId(Uuid::now_v7());
    let (unused, outcome) = system.issue(nobody).await;
    assert_eq!(outcome, refused(token::Refusal::InstanceNotFound));
    assert!(!system.store.keys().has(unused.0).await.unwrap());
    let sealed = vault.seal(token.0, b"credential").await.unwrap();
    assert_eq!(system.send(issue(token, instance, sealed)).await, refused(token::Refusal::Exists));
    assert!(system.store.keys().has(token.0).await.unwrap(), "the token is there");

    // What is no creation may have met it before the creation is decided.
    let sealed = BTreeMap::from([("KEY".to_owned(), vault.seal(nobody.0, b"x").await.unwrap())]);
    let early = instance::Command::ChangeAccess { access: hosted(sealed) };
    let outcome = system.send(instance_command(nobody, early)).await;
    assert_eq!(outcome, refused(instance::Refusal::NotFound));
    assert!(system.store.keys().has(nobody.0).await.unwrap());
    system.end().await;
}

async fn until_shredded(store: &Store, owner: Uuid, sealed: &Sealed) {
    let shredded = async {
        while !matches!(store.vault().open(owner, sealed).await, Err(OpenError::Shredded { .. })) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(WAIT, shredded).await.expect("the key is shredded");
}
