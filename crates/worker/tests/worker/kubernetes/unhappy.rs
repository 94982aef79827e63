//! Every way in which an instance does not come up, told so that a person understands it.

use domain::instance::{Command, Event, FailureReason, Hosted, Resources, Source};
use views::Phase;

use super::target::Target;

/// The first failure of an instance.
async fn failure(target: &Target, hosted: Hosted) -> (FailureReason, String) {
    let id = target.create(hosted).await;
    let events = target.platform.events_until(id, |event| matches!(event, Event::ReplicaFailed(_))).await;
    let domain::Event::Instance { event: Event::ReplicaFailed(failed), .. } = &events.last().unwrap().event
    else {
        panic!("it did not fail")
    };
    target.platform.row(id, "the failure", |row| row.phase == Phase::Failed).await;
    target.platform.tell(id, Command::Delete).await;
    (failed.reason, failed.detail.clone())
}

#[tokio::test]
async fn every_way_in_which_a_pod_fails_has_its_reason() {
    let target = Target::start().await;
    let worker = target.worker().await;

    let mut image = target.hosted(&[]);
    let Source::Image { command, .. } = image.source else { unreachable!("it is an image") };
    image.source = Source::Image { image: "registry.invalid/x:1".to_owned(), command };
    let (reason, detail) = failure(&target, image).await;
    assert_eq!(reason, FailureReason::ImageUnavailable);
    assert!(detail.contains("registry.invalid/x:1"), "{detail}");

    let (reason, detail) = failure(&target, target.hosted_command("no-such-program", vec![])).await;
    assert_eq!(
        (reason, detail.as_str()),
        (FailureReason::ProgramNotFound, "the image does not have the server's program")
    );

    let resources = Resources { cpu_request_millis: Some(64_000), ..Resources::default() };
    let (reason, detail) = failure(&target, Hosted { resources, ..target.hosted(&[]) }).await;
    assert_eq!(reason, FailureReason::Unschedulable);
    assert!(detail.contains("Insufficient cpu"), "{detail}");

    let no_command = Source::Image { image: "localhost/x:1".to_owned(), command: None };
    let (reason, detail) = failure(&target, Hosted { source: no_command, ..target.hosted(&[]) }).await;
    assert_eq!(reason, FailureReason::Unsupported);
    assert!(detail.contains("Name the program"), "{detail}");

    worker.stop().await;
    target.end().await;
}

#[tokio::test]
async fn too_little_memory_is_told_from_a_crash() {
    let target = Target::fake().await;
    let worker = target.worker().await;
    let resources = Resources { memory_limit_bytes: Some(16 << 20), ..Resources::default() };
    let (reason, detail) = failure(&target, Hosted { resources, ..target.hosted(&[]) }).await;
    assert_eq!(reason, FailureReason::OutOfMemory);
    assert_eq!(detail, "the server used more memory than its limit, which is 16Mi");
    worker.stop().await;
    target.end().await;
}

#[tokio::test]
async fn a_quota_is_named() {
    let target = Target::fake().await;
    target.fake.as_ref().unwrap().api.change(|state| state.pods_max = Some(0));
    let worker = target.worker().await;
    let (reason, detail) = failure(&target, target.hosted(&[])).await;
    assert_eq!(reason, FailureReason::QuotaExceeded);
    assert!(detail.contains("limited: pods=0"), "{detail}");
    worker.stop().await;
    target.end().await;
}

#[tokio::test]
async fn a_missing_right_is_named() {
    let target = Target::fake().await;
    let rights = ("patch".to_owned(), "deployments".to_owned());
    target.fake.as_ref().unwrap().api.change(|state| state.forbidden.insert(rights));
    let worker = target.worker().await;
    let (reason, detail) = failure(&target, target.hosted(&[])).await;
    assert_eq!(reason, FailureReason::Rejected);
    assert!(detail.contains("cannot patch resource \"deployments\""), "{detail}");
    worker.stop().await;
    target.end().await;
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_asked_again() {
    let target = Target::start().await;
    let worker = target.worker().await;
    let (reason, _) = failure(&target, target.hosted(&["--exit", "3"])).await;
    assert!(matches!(reason, FailureReason::Exited | FailureReason::ProtocolError), "{reason:?}");
    worker.stop().await;
    target.end().await;
}
