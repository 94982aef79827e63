//! The health listener as a prober meets it, a careless one included.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use super::*;

/// How long anything that is awaited may take.
const WAIT: Duration = Duration::from_secs(30);

async fn get(address: std::net::SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    tokio::time::timeout(WAIT, stream.read_to_string(&mut answer)).await.expect("an answer").unwrap();
    answer
}

#[tokio::test]
async fn readiness_is_told_and_who_says_nothing_is_cut_off() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let context = Context { shutdown: CancellationToken::new(), readiness: Readiness::default() };
    let serving = tokio::spawn(serve(listener, context.clone()));
    let flag = context.readiness.register("role");
    assert!(get(address, HEALTHZ).await.starts_with("HTTP/1.1 200"));
    assert!(get(address, READYZ).await.starts_with("HTTP/1.1 503"));
    flag.set(true);
    assert!(get(address, READYZ).await.ends_with(r#"{"ready":true,"roles":{"role":true}}"#));

    assert!(get(address, METRICS).await.starts_with("HTTP/1.1 404"), "nothing is recorded");
    metrics::install().unwrap();
    metrics::install().expect("twice is as good as once");
    assert!(get(address, METRICS).await.starts_with("HTTP/1.1 200"));

    let mut silent = Vec::new();
    for _ in 0..LIMITS.connections_max {
        silent.push(TcpStream::connect(address).await.unwrap());
    }
    assert!(
        get(address, HEALTHZ).await.starts_with("HTTP/1.1 200"),
        "they do not hold their places for ever"
    );
    for mut stream in silent {
        let mut rest = Vec::new();
        tokio::time::timeout(WAIT, stream.read_to_end(&mut rest)).await.expect("it is closed").unwrap();
    }
    context.shutdown.cancel();
    tokio::time::timeout(WAIT, serving).await.expect("it ends").unwrap();
}
