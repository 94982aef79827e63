//! The command bus: one effect per key, outcomes for whoever asks.

use std::time::Duration;

use domain::{Command, instance, token};
use jiff::{SignedDuration, Timestamp};
use store::testing::TestServer;
use store::{Claim, CommandState, Decision, Given, Outcome, ReceivedCommand, SendError, Store};
use uuid::Uuid;

use crate::given::{given, hosted, instance_id, token_id};

const WAIT: Duration = Duration::from_secs(60);

fn create() -> Command {
    let name = "everything".parse().unwrap();
    Command::Instance { id: instance_id(), command: instance::Command::create(name, hosted()) }
}

/// A request with a client's key, always the same one.
fn claiming(command: &Command, request_digest: &str) -> Given {
    let claim = Claim { key: Uuid::nil(), at: Timestamp::now(), request_digest: request_digest.to_owned() };
    Given { command_id: claim.command_id(command.aggregate_id()), claim: Some(claim), ..given() }
}

/// The same, more than a day later.
fn claiming_later(command: &Command, request_digest: &str) -> Given {
    let given = claiming(command, request_digest);
    let at = Timestamp::now() + SignedDuration::from_hours(25);
    Given { claim: given.claim.map(|claim| Claim { at, ..claim }), ..given }
}

/// Decides the next `count` commands: each is done, at the sequence that counts them.
fn decide(store: &Store, count: u64) -> tokio::task::JoinHandle<()> {
    let store = store.clone();
    tokio::spawn(async move {
        let mut commands = store.receive_commands().await.unwrap();
        for sequence in 1..=count {
            finish(commands.next().await.unwrap(), Outcome::Done { sequence }).await;
        }
    })
}

/// Decides a command that changes nothing.
async fn finish(command: ReceivedCommand, outcome: Outcome) {
    let settled = command.settle(Decision::Unchanged(outcome)).await.unwrap().expect("nobody else has it");
    command.finish(&settled).await.unwrap();
}

#[tokio::test]
async fn a_command_comes_back_as_its_outcome() {
    let server = TestServer::start().await;
    let store = server.store().await;
    let decider = decide(&server.store().await, 1);
    let outcome = store.send(&create(), &given(), WAIT).await.unwrap();
    assert_eq!(outcome, Outcome::Done { sequence: 1 });
    decider.await.unwrap();
}

#[tokio::test]
async fn the_same_key_and_request_is_answered_from_the_record() {
    let server = TestServer::start().await;
    let (store, replica) = (server.store().await, server.store().await);
    let decider = decide(&server.store().await, 1);
    let command = create();
    let given = claiming(&command, "d1");
    let first = store.send(&command, &given, WAIT).await.unwrap();
    decider.await.unwrap();
    // Nobody decides any more: the answer can only be the recorded one.
    assert_eq!(replica.send(&command, &given, WAIT).await.unwrap(), first);

    let reused = replica.send(&command, &claiming(&command, "d2"), WAIT).await;
    assert!(matches!(reused, Err(SendError::KeyReused)), "{reused:?}");
}

#[tokio::test]
async fn a_key_names_another_request_a_day_later_but_not_while_the_first_is_undecided() {
    let server = TestServer::start().await;
    let store = server.store().await;
    let (first, second) = (create(), create());
    let undecided = store.send(&first, &claiming(&first, "d1"), Duration::ZERO).await;
    assert!(matches!(undecided, Err(SendError::Undecided(_))), "{undecided:?}");

    let later = claiming_later(&second, "d2");
    let reused = store.send(&second, &later, WAIT).await;
    assert!(matches!(reused, Err(SendError::KeyReused)), "{reused:?}");
    let known = store.claimed_target(later.claim.as_ref().unwrap()).await;
    assert!(matches!(known, Err(SendError::KeyReused)), "{known:?}");

    let decider = decide(&store, 2);
    assert_eq!(
        store.send(&first, &claiming(&first, "d1"), WAIT).await.unwrap(),
        Outcome::Done { sequence: 1 }
    );
    assert_eq!(store.send(&second, &later, WAIT).await.unwrap(), Outcome::Done { sequence: 2 });
    decider.await.unwrap();
}

#[tokio::test]
async fn two_that_send_one_key_at_once_get_one_outcome() {
    let server = TestServer::start().await;
    let (store, replica) = (server.store().await, server.store().await);
    let command = create();
    let given = claiming(&command, "d1");
    let sends =
        async { tokio::join!(store.send(&command, &given, WAIT), replica.send(&command, &given, WAIT)) };
    let decider = decide(&server.store().await, 1);
    let (first, second) = sends.await;
    assert_eq!(first.unwrap(), second.unwrap());
    decider.await.unwrap();
}

#[tokio::test]
async fn a_command_that_nobody_decides_is_not_lost() {
    let server = TestServer::start().await;
    let store = server.store().await;
    let command = create();
    let given = claiming(&command, "d1");
    let undecided = store.send(&command, &given, Duration::from_millis(50)).await;
    assert!(matches!(undecided, Err(SendError::Undecided(id)) if id == given.command_id), "{undecided:?}");

    let decider = decide(&server.store().await, 1);
    let outcome = store.send(&command, &given, WAIT).await.unwrap();
    assert_eq!(outcome, Outcome::Done { sequence: 1 });
    decider.await.unwrap();
}

#[tokio::test]
async fn a_command_arrives_whole() {
    let server = TestServer::start().await;
    let store = server.store().await;
    let mut commands = server.store().await.receive_commands().await.unwrap();
    let command = Command::Token { id: token_id(), command: token::Command::Revoke };
    let mut given = given();
    given.traceparent = Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned());
    let (sent, received) = tokio::join!(store.send(&command, &given, WAIT), async {
        let received = commands.next().await.unwrap();
        let content = (received.command.clone(), received.given.clone());
        let refusal = domain::Refusal::Token(token::Refusal::NotFound);
        finish(received, Outcome::Refused { refusal }).await;
        content
    });
    assert_eq!(received, (command, given));
    let refusal = domain::Refusal::Token(token::Refusal::NotFound);
    assert_eq!(sent.unwrap(), Outcome::Refused { refusal });
}

#[tokio::test]
async fn a_decided_command_that_comes_again_comes_with_what_was_recorded() {
    let server = TestServer::start().await;
    let store = server.store().await;
    let mut commands = server.store().await.receive_commands().await.unwrap();
    let (command, given) = (create(), given());
    let (outcome, ()) = tokio::join!(store.send(&command, &given, WAIT), async {
        // The decider records the outcome and dies before the command is off the bus: it comes again.
        let command = commands.next().await.unwrap();
        assert_eq!(command.recorded, None);
        command.settle(Decision::Unchanged(Outcome::Done { sequence: 7 })).await.unwrap().unwrap();
        command.give_back(Duration::ZERO).await.unwrap();
    });
    assert_eq!(outcome.unwrap(), Outcome::Done { sequence: 7 });
    let again = commands.next().await.unwrap();
    assert_eq!(
        (again.given.command_id, &again.recorded),
        (given.command_id, &Some(Outcome::Done { sequence: 7 }))
    );
}

#[tokio::test]
async fn of_deciders_that_have_one_command_the_last_one_is_heard() {
    let server = TestServer::start().await;
    let store = server.store().await;
    server.hand_commands_out_again_after(Duration::from_millis(100)).await;
    let undecided = store.send(&create(), &given(), Duration::ZERO).await;
    assert!(matches!(undecided, Err(SendError::Undecided(_))), "{undecided:?}");
    let mut commands = server.store().await.receive_commands().await.unwrap();
    let first = commands.next().await.unwrap();
    let second = commands.next().await.unwrap();
    assert_eq!((second.given.command_id, &second.recorded), (first.given.command_id, &None));

    let refusal = || domain::Refusal::Instance(instance::Refusal::NotFound);
    let late = first.settle(Decision::Unchanged(Outcome::Refused { refusal: refusal() })).await.unwrap();
    assert_eq!(late, None, "the second may be carrying out what the first refuses");
    let state = store.command_state(first.given.command_id).await.unwrap();
    assert!(matches!(state, Some(CommandState::Pending { .. })), "{state:?}");
    let heard = second.settle(Decision::Unchanged(Outcome::Done { sequence: 3 })).await.unwrap();
    assert_eq!(heard, Some(Outcome::Done { sequence: 3 }));
}

#[tokio::test]
async fn a_command_that_nobody_can_read_fails() {
    let server = TestServer::start().await;
    let store = server.store().await;
    let nats = async_nats::jetstream::new(server.nats().await);
    let given = given();
    let headers = async_nats::HeaderMap::from_iter([(
        async_nats::HeaderName::from_static("Mcpcan-Command-Id"),
        async_nats::HeaderValue::from(given.command_id.to_string()),
    )]);
    let subject = &format!("commands.{}", given.command_id);
    let published =
        nats.publish_with_headers(subject.to_owned(), headers, "unreadable".into()).await.unwrap();
    published.await.unwrap();
    let mut commands = server.store().await.receive_commands().await.unwrap();
    // Holds what it can read and goes on.
    let reading = tokio::spawn(async move {
        let mut held = Vec::new();
        loop {
            held.push(commands.next().await.unwrap());
        }
    });
    let outcome = store.send(&create(), &given, WAIT).await.unwrap();
    assert!(matches!(outcome, Outcome::Failed { .. }), "{outcome:?}");
    reading.abort();
}
