//! The least that a gateway could do: look up a key, count a budget in memory, pass the bytes on. What Toryo costs more
//! is what it does more.

use http_body_util::BodyExt;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::collections::HashMap;
use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use tokio::net::TcpListener;

/// The key that is let in.
pub const KEY: &str = "tk-passthrough";
/// What a call is counted with, in nanodollars.
const COST: i64 = 1_000;

type Budgets = HashMap<String, AtomicI64>;

/// Serves until it is killed; its address is the first line of standard output.
pub async fn run(upstream: SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    writeln!(std::io::stdout(), "{}", listener.local_addr().expect("an address")).expect("standard output");
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    let client: Client<_, Full<Bytes>> = Client::builder(TokioExecutor::new()).build(connector);
    let budgets: Arc<Budgets> = Arc::new([(format!("Bearer {KEY}"), AtomicI64::new(i64::MAX))].into());
    loop {
        let (stream, _) = listener.accept().await.expect("a connection");
        stream.set_nodelay(true).expect("an option");
        let (client, budgets) = (client.clone(), budgets.clone());
        let service = service_fn(move |request| pass(client.clone(), budgets.clone(), upstream, request));
        tokio::spawn(async move {
            hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await
                .ok();
        });
    }
}

async fn pass(
    client: Client<HttpConnector, Full<Bytes>>,
    budgets: Arc<Budgets>,
    upstream: SocketAddr,
    request: Request<Incoming>,
) -> Result<Response<http_body_util::Either<Incoming, Full<Bytes>>>, hyper::Error> {
    let refuse = |status| {
        let mut response = Response::new(http_body_util::Either::Right(Full::new(Bytes::new())));
        *response.status_mut() = status;
        Ok(response)
    };
    let key = request.headers().get("authorization").and_then(|value| value.to_str().ok());
    let Some(budget) = key.and_then(|key| budgets.get(key)) else { return refuse(StatusCode::UNAUTHORIZED) };
    if budget.fetch_sub(COST, Ordering::Relaxed) < COST {
        return refuse(StatusCode::TOO_MANY_REQUESTS);
    }
    let path = request.uri().path().to_owned();
    let body = request.into_body().collect().await?.to_bytes();
    let uri: Uri = format!("http://{upstream}{path}").parse().expect("an address");
    let onward = Request::post(uri).header("content-type", "application/json").body(Full::new(body));
    match client.request(onward.expect("a request")).await {
        Ok(answer) => Ok(answer.map(http_body_util::Either::Left)),
        Err(_) => refuse(StatusCode::BAD_GATEWAY),
    }
}
