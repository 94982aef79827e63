//! The HTTP side: requests in, answers and streams out.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::Api;
use super::refusal::{self, Refusal};
use super::resource::{PODS, Target, target};
use super::verbs::{self, Query};

type Body = BoxBody<Bytes, Infallible>;

/// How often a watch without news tells how far it is.
const BOOKMARK_INTERVAL: Duration = Duration::from_secs(1);

pub(super) async fn serve(listener: TcpListener, api: Arc<Api>) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        if api.faults().gone {
            continue;
        }
        let api = Arc::clone(&api);
        connections.spawn(async move {
            let mut changed = api.changed.subscribe();
            let service = service_fn(|request| handle(Arc::clone(&api), request));
            let connection =
                hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            // What is gone answers nobody any more, on no connection.
            tokio::select! {
                _ = connection => {}
                _ = changed.wait_for(|_| api.faults().gone) => {}
            }
        });
    }
}

async fn handle(api: Arc<Api>, request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
    let (head, body) = request.into_parts();
    let Ok(body) = body.collect().await else { return Ok(answer(400, &Value::Null)) };
    let body = body.to_bytes();
    api.requests.fetch_add(1, Ordering::Relaxed);
    let faults = api.faults();
    if faults.slow_ms > 0 {
        tokio::time::sleep(Duration::from_millis(faults.slow_ms)).await;
    }
    let query: Query = url::form_urlencoded::parse(head.uri.query().unwrap_or_default().as_bytes())
        .map(|(name, value)| (name.into_owned(), value.into_owned()))
        .collect();
    if faults.unauthorized {
        return Ok(refused(&refusal::unauthorized()));
    }
    if head.uri.path() == "/version" {
        return Ok(answer(
            200,
            &json!({"major": "1", "minor": "36", "gitVersion": "v1.36.2", "platform": "linux/amd64"}),
        ));
    }
    let Some(target) = target(head.uri.path()) else {
        return Ok(refused(&refusal::unknown(&format!("{} {}", head.method, head.uri.path()))));
    };
    Ok(respond(&api, &head.method, &target, &query, &body))
}

fn respond(api: &Arc<Api>, method: &Method, target: &Target, query: &Query, body: &Bytes) -> Response<Body> {
    let is_watch = query.get("watch").is_some_and(|watch| watch == "true" || watch == "1");
    let verb = match (method, &target.name, is_watch) {
        (&Method::GET, None, true) => "watch",
        (&Method::GET, None, false) => "list",
        (&Method::GET, Some(_), _) => "get",
        (&Method::POST, ..) => "create",
        (&Method::PUT, ..) => "update",
        (&Method::PATCH, ..) => "patch",
        (&Method::DELETE, ..) => "delete",
        _ => return refused(&refusal::unknown(method.as_str())),
    };
    let mut resource = target.resource.plural.to_owned();
    if let Some(subresource) = &target.subresource {
        resource = format!("{resource}/{subresource}");
    }
    api.note_call(verb, &resource);
    if api.state().forbidden.contains(&(verb.to_owned(), resource.clone())) {
        let user = "system:serviceaccount:rec:default";
        return refused(&refusal::forbidden(target.resource, verb, &target.namespace, user));
    }
    if !matches!(verb, "get" | "list" | "watch") && api.conflicts_now() {
        let name = target.name.clone().unwrap_or_default();
        return refused(&refusal::modified(target.resource, &name));
    }
    match (target.subresource.as_deref(), verb) {
        (Some("log"), "get") if target.resource == PODS => log(api, target, query),
        (Some(other), _) => refused(&refusal::unknown(other)),
        (None, "watch") => watch(api, target, query),
        (None, _) => match act(api, verb, target, query, body) {
            Ok((code, object)) => answer(code, &object),
            Err(refusal) => refused(&refusal),
        },
    }
}

fn act(api: &Api, verb: &str, target: &Target, query: &Query, body: &Bytes) -> Result<(u16, Value), Refusal> {
    let read = || -> Result<Value, Refusal> {
        let value = if body.is_empty() { Ok(Value::Null) } else { serde_json::from_slice(body) };
        value.map_err(|error| refusal::bad_request(error.to_string()))
    };
    match (verb, target.name.as_deref()) {
        ("list", None) => verbs::list(api, target, query),
        ("create", None) => verbs::create(api, target, read()?),
        ("get", Some(name)) => verbs::get(api, target, name),
        ("update", Some(name)) => verbs::replace(api, target, name, read()?),
        ("patch", Some(name)) => verbs::patch(api, target, name, &read()?, query),
        ("delete", Some(name)) => verbs::delete(api, target, name, &read()?),
        _ => Err(refusal::unknown(verb)),
    }
}

/// A stream of what happens, from a version on.
fn watch(api: &Arc<Api>, target: &Target, query: &Query) -> Response<Body> {
    let asked: u64 =
        query.get("resourceVersion").and_then(|version| version.parse().ok()).unwrap_or_default();
    let bookmarks = query.get("allowWatchBookmarks").is_some_and(|bookmarks| bookmarks == "true");
    let (labels, target, api) = (verbs::labels(query), target.clone(), Arc::clone(api));
    let (lines, body) = mpsc::channel(64);
    tokio::spawn(async move {
        let mut changed = api.changed.subscribe();
        let mut reached = asked;
        loop {
            changed.mark_unchanged();
            if asked < api.state().oldest || api.faults().watches_expire {
                let expired = refusal::expired(asked, api.state().oldest);
                let _ = lines.send(line(&json!({"type": "ERROR", "object": expired}))).await;
                return;
            }
            let news: Vec<Value> = {
                let state = api.state();
                let of_interest = state.since(reached).filter(|happened| {
                    happened.resource == target.resource
                        && happened.namespace == target.namespace
                        && super::state::has_labels(&happened.object, &labels)
                });
                let news =
                    of_interest.map(|happened| json!({"type": happened.what, "object": happened.object}));
                let news = news.collect();
                reached = state.version();
                news
            };
            for event in news {
                if lines.send(line(&event)).await.is_err() {
                    return;
                }
            }
            let is_still = tokio::time::timeout(BOOKMARK_INTERVAL, changed.changed()).await.is_err();
            if is_still && bookmarks {
                let metadata = json!({"resourceVersion": reached.to_string()});
                let (kind, version) = (target.resource.kind, target.resource.api_version());
                let object = json!({"kind": kind, "apiVersion": version, "metadata": metadata});
                if lines.send(line(&json!({"type": "BOOKMARK", "object": object}))).await.is_err() {
                    return;
                }
            }
        }
    });
    stream(body, "application/json")
}

/// The log of a container, as text.
fn log(api: &Arc<Api>, target: &Target, query: &Query) -> Response<Body> {
    let name = target.name.clone().unwrap_or_default();
    let flag = |name: &str| query.get(name).is_some_and(|value| value == "true");
    let pod = api.state().get(PODS, &target.namespace, &name).cloned();
    let Some(pod) = pod else { return refused(&refusal::not_found(PODS, &name)) };
    let container = pod["spec"]["containers"][0]["name"].as_str().unwrap_or_default().to_owned();
    if let Some(asked) = query.get("container").filter(|asked| **asked != container) {
        return refused(&refusal::bad_request(format!("container {asked} is not valid for pod {name}")));
    }
    let status = &pod["status"]["containerStatuses"][0];
    if status.is_null() {
        let empty = Response::builder().status(204).body(Full::new(Bytes::new()).boxed());
        return empty.expect("an empty answer is legal");
    }
    let uid = pod["metadata"]["uid"].as_str().unwrap_or_default().to_owned();
    let Some((number, _)) =
        api.logs.lock().unwrap().container(&uid, flag("previous")).map(|(number, _)| (number, ()))
    else {
        if flag("previous") {
            let what = format!("previous terminated container \"{container}\" in pod \"{name}\" not found");
            return refused(&refusal::bad_request(what));
        }
        let reason = match status["state"]["waiting"]["reason"].as_str().unwrap_or_default() {
            "ImagePullBackOff" | "ErrImagePull" => "trying and failing to pull image",
            reason => reason,
        };
        let what = format!("container \"{container}\" in pod \"{name}\" is waiting to start: {reason}");
        return refused(&refusal::bad_request(what));
    };
    let since = query.get("sinceTime").and_then(|time| time.parse::<jiff::Timestamp>().ok());
    // The real one keeps no more of it than the second.
    let since = since.and_then(|since| jiff::Timestamp::from_second(since.as_second()).ok());
    let (timestamps, follow) = (flag("timestamps"), flag("follow"));
    let (lines, body) = mpsc::channel(64);
    let api = Arc::clone(api);
    tokio::spawn(async move {
        let mut changed = api.changed.subscribe();
        let mut sent = 0;
        loop {
            changed.mark_unchanged();
            let (news, ended) = {
                let logs = api.logs.lock().unwrap();
                let Some(log) = logs.numbered(&uid, number) else { return };
                (log.lines[sent..].to_vec(), log.ended)
            };
            sent += news.len();
            for (time, text) in news.into_iter().filter(|(time, _)| since.is_none_or(|since| *time >= since))
            {
                let text = if timestamps { format!("{time:.9} {text}\n") } else { format!("{text}\n") };
                if lines.send(Bytes::from(text)).await.is_err() {
                    return;
                }
            }
            if ended || !follow || changed.changed().await.is_err() {
                return;
            }
        }
    });
    stream(body, "text/plain")
}

fn line(value: &Value) -> Bytes {
    Bytes::from(format!("{value}\n"))
}

fn stream(mut lines: mpsc::Receiver<Bytes>, content_type: &str) -> Response<Body> {
    let frames = futures_util::stream::poll_fn(move |context| {
        lines.poll_recv(context).map(|line| line.map(|line| Ok(Frame::data(line))))
    });
    let body = http_body_util::BodyExt::boxed(StreamBody::new(frames));
    Response::builder().header("content-type", content_type).body(body).expect("the answer is legal")
}

fn refused(refusal: &Refusal) -> Response<Body> {
    answer(refusal.code, &refusal.body)
}

fn answer(code: u16, body: &Value) -> Response<Body> {
    let body = Full::new(Bytes::from(body.to_string())).boxed();
    let response = Response::builder().status(code).header("content-type", "application/json");
    response.body(body).expect("the answer is legal")
}
