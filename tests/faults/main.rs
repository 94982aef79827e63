//! The core under fire: 64 writers against 50 names through real processes, while nats-server, apis, deciders and
//! projectors are killed with SIGKILL and started again. Afterwards the log is held against every answer.
//!
//! [`access_log`] is the same for calls and their rows.
//!
//! The seed is printed. `MCPCAN_FAULT_SEED=…` chooses the same faults and wishes again, `MCPCAN_FAULT_SECONDS=…` for how
//! long.

mod access_log;
mod chaos;
mod log;
mod random;
mod verdict;
mod wish;
mod writer;

use std::collections::BTreeMap;
use std::env;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use harness::{Deployment, Replicas, http, until};
use store::Store;
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use views::{Instances, RetentionPlans, Templates, Tokens};

use chaos::{NATS, Targets};
use log::Log;
use random::Random;
use verdict::Verdict;
use writer::{Answer, Client, Sent, Slots};

/// One test at a time: each takes all that the machine has.
static ALONE: Mutex<()> = Mutex::const_new(());
const WRITERS: usize = 64;
const NAMES: usize = 50;
const REPLICAS: Replicas = Replicas { apis: 2, deciders: 3, projectors: 2, gateways: 0 };
/// How long the writers write, unless `MCPCAN_FAULT_SECONDS` says otherwise.
const LOAD_SECONDS: u64 = 40;
/// After how long a writer gives a command up.
const PATIENCE: Duration = Duration::from_secs(10);
/// The same once all parts run again: now every command has to be answered.
const PATIENCE_IN_PEACE: Duration = Duration::from_secs(90);
/// How many commands with an answer are sent once more.
const REPEATS_MAX: usize = 1000;
/// How long what follows from events may take.
const REACTIONS_MAX: Duration = Duration::from_secs(60);
/// How long the hash chain may take to reach the last event.
const LINKED_MAX: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_killed_every_command_takes_effect_as_its_answer_says() {
    let _alone = ALONE.lock().await;
    let seed = seed();
    println!("MCPCAN_FAULT_SEED={seed} runs the same faults again");
    let mut random = Random::new(seed);
    let mut deployment = Deployment::start(REPLICAS).await;
    let client = Client {
        http: http(),
        apis: Arc::new(deployment.apis()),
        admin_key: deployment.admin_key().to_owned(),
    };

    let end = end_of_load();
    let writers = start_writers(&client, &mut random, end);
    let mut names = deployment.parts();
    // Everything hangs on it, so it dies as often as all others together do in a third of the time.
    names.extend(std::iter::repeat_n(NATS.to_owned(), names.len().div_ceil(3)));
    let mut targets = Targets { deployment: &mut deployment, names, clickhouse: None };
    for fault in chaos::run(&mut targets, &mut random, end).await {
        println!("{fault}");
    }
    deployment.ready().await;
    let sent = writers.join_all().await.concat();
    println!("{}", summary(&sent));

    let store = deployment.server.store().await;
    let repeated = repeat(&client, &mut random, &sent).await;
    no_reaction_is_missing(&deployment).await;
    let log = Log::read(&store).await;
    println!("{} events", log.len());
    let states = log.fold();
    let verdict = Verdict { by_cause: log.by_cause(), states: &states };
    let mut wrong = verdict.contradictions(&sent);
    wrong.extend(verdict.contradictions(&repeated));
    wrong.extend(verdict.changed_answers(&sent, &repeated));
    assert!(wrong.is_empty(), "{} of {} answers are wrong:\n{}", wrong.len(), sent.len(), wrong.join("\n"));

    log.is_shown_by::<Instances>(&store).await;
    log.is_shown_by::<Tokens>(&store).await;
    log.is_shown_by::<Templates>(&store).await;
    log.is_shown_by::<RetentionPlans>(&store).await;
    states.are_loaded_by(&store).await;
    log.is_opened_by(&store).await;
    the_hash_chain_verifies(&store).await;
    assert_eq!(deployment.server.messages("DEAD_LETTERS").await, 0, "nothing could not be read");
    no_command_waits(&deployment).await;
    assert_eq!(deployment.ended(), Vec::<String>::new(), "no part ended by itself");
}

/// The seed that was given, or a new one.
fn seed() -> u64 {
    setting("MCPCAN_FAULT_SEED").unwrap_or_else(seed_of_now)
}

fn end_of_load() -> Instant {
    Instant::now() + Duration::from_secs(setting("MCPCAN_FAULT_SECONDS").unwrap_or(LOAD_SECONDS))
}

fn setting(name: &str) -> Option<u64> {
    let text = env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is a number, not {text}")))
}

fn seed_of_now() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("a time after 1970");
    u64::from(now.subsec_nanos()) ^ now.as_secs()
}

fn start_writers(client: &Client, random: &mut Random, until: Instant) -> JoinSet<Vec<Sent>> {
    let slots: Slots = Arc::new((0..NAMES).map(|_| Default::default()).collect());
    let mut writers = JoinSet::new();
    for number in 0..WRITERS {
        writers.spawn(writer::run(number, client.clone(), slots.clone(), random.fork(), until, PATIENCE));
    }
    writers
}

/// How many of each wish were answered in which way.
fn summary(sent: &[Sent]) -> String {
    let mut wishes = BTreeMap::<_, BTreeMap<_, usize>>::new();
    for sent in sent {
        let answer = match &sent.answer {
            Answer::Acknowledged { .. } => "acknowledged".to_owned(),
            Answer::Refused { body, .. } => body["code"].as_str().unwrap_or("refused").to_owned(),
            Answer::Unknown { .. } => "unknown".to_owned(),
        };
        let wish = format!("{:?}", sent.request.wish);
        *wishes.entry(wish).or_default().entry(answer).or_default() += 1;
    }
    let lines = wishes.iter().map(|(wish, answers)| format!("  {wish}: {answers:?}\n")).collect::<String>();
    let lost = sent.iter().map(|sent| sent.lost).sum::<usize>();
    format!("{} commands, {lost} attempts were lost\n{lines}", sent.len())
}

/// Sends every command without an answer once more, and some of the others, all under their old keys.
async fn repeat(client: &Client, random: &mut Random, sent: &[Sent]) -> Vec<Sent> {
    let (mut waiting, answered): (Vec<&Sent>, Vec<&Sent>) =
        sent.iter().partition(|sent| matches!(sent.answer, Answer::Unknown { .. }));
    for _ in 0..REPEATS_MAX.min(answered.len()) {
        waiting.push(*random.one_of(&answered));
    }
    let (mut sending, mut repeated) = (JoinSet::new(), vec![]);
    while let Some(Sent { request, .. }) = waiting.pop() {
        if sending.len() >= WRITERS {
            repeated.extend(sending.join_next().await.map(|sent| sent.expect("a repeat ends")));
        }
        let (client, request, first_api) = (client.clone(), request.clone(), random.below(client.apis.len()));
        sending.spawn(async move { client.send(request, first_api, PATIENCE_IN_PEACE).await });
    }
    repeated.extend(sending.join_all().await);
    // The first time counts: whatever a repeat does not find may have been found then.
    repeated.into_iter().map(|sent| Sent { lost: sent.lost + 1, ..sent }).collect()
}

/// Commands stay in the stream when they are decided, so the consumer is asked. What nats-server took an
/// acknowledgement of to its death is given to a decider again after ten seconds.
async fn no_command_waits(deployment: &Deployment) {
    until("no command waits", LINKED_MAX, async || {
        let nats = deployment.server.nats().await;
        let answer = nats.request("$JS.API.CONSUMER.INFO.COMMANDS.decider", "".into()).await.ok()?;
        let info: serde_json::Value = serde_json::from_slice(&answer.payload).ok()?;
        (info["num_pending"] == 0 && info["num_ack_pending"] == 0).then_some(())
    })
    .await;
}

async fn the_hash_chain_verifies(store: &Store) {
    until("every event is linked", LINKED_MAX, async || {
        let verification = store.verify(|_| {}).await.ok()?;
        assert_eq!(verification.findings, [], "the log is what it was");
        (verification.not_linked == 0).then_some(())
    })
    .await;
}

async fn no_reaction_is_missing(deployment: &Deployment) {
    let store = deployment.server.store().await;
    until("the tokens of deleted instances are revoked", REACTIONS_MAX, async || {
        Log::read(&store).await.fold().orphans().is_empty().then_some(())
    })
    .await;
}
