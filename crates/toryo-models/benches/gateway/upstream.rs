//! A provider that answers at once, in the wire format of chat completions, at the least cost.

use std::io::Write;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Tokens of a streamed answer.
pub const TOKENS: usize = 20;

/// Serves until it is killed; its address is the first line of standard output.
pub async fn run() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    writeln!(std::io::stdout(), "{}", listener.local_addr().expect("an address")).expect("standard output");
    let answers = std::rc::Rc::new((whole(), chunks()));
    let local = tokio::task::LocalSet::new();
    local
        .run_until(async {
            loop {
                let (stream, _) = listener.accept().await.expect("a connection");
                stream.set_nodelay(true).expect("an option");
                let answers = answers.clone();
                tokio::task::spawn_local(async move { serve(stream, &answers.0, &answers.1).await });
            }
        })
        .await;
}

async fn serve(mut stream: TcpStream, whole: &[u8], chunks: &[Vec<u8>]) {
    let mut held = Vec::with_capacity(16 * 1024);
    loop {
        let Some((body, end)) = request(&mut stream, &mut held).await else { return };
        let streamed = memchr::memmem::find(&held[body..end], b"\"stream\":true").is_some();
        held.drain(..end);
        let sent = if streamed { send_all(&mut stream, chunks).await } else { stream.write_all(whole).await };
        if sent.is_err() {
            return;
        }
    }
}

async fn send_all(stream: &mut TcpStream, chunks: &[Vec<u8>]) -> std::io::Result<()> {
    for chunk in chunks {
        stream.write_all(chunk).await?;
        // Each token is a write of its own, as tokens come.
        tokio::task::yield_now().await;
    }
    Ok(())
}

/// Where the body of the next request begins and ends.
async fn request(stream: &mut TcpStream, held: &mut Vec<u8>) -> Option<(usize, usize)> {
    loop {
        if let Some(head) = memchr::memmem::find(held, b"\r\n\r\n") {
            let text = std::str::from_utf8(&held[..head]).expect("a head");
            let length = text.lines().find_map(|line| {
                let (name, value) = line.split_once(':')?;
                name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
            });
            let end = head + 4 + length.unwrap_or(0);
            if held.len() >= end {
                return Some((head + 4, end));
            }
        }
        if stream.read_buf(held).await.ok()? == 0 {
            return None;
        }
    }
}

fn whole() -> Vec<u8> {
    let words = "lorem ".repeat(TOKENS);
    let body = format!(
        r#"{{"id":"chatcmpl-1","object":"chat.completion","created":1700000000,"model":"bench-1","choices":[{{"index":0,"message":{{"role":"assistant","content":"{words}","refusal":null}},"logprobs":null,"finish_reason":"stop"}}],"usage":{{"prompt_tokens":12,"completion_tokens":{TOKENS},"total_tokens":32,"prompt_tokens_details":{{"cached_tokens":0}},"completion_tokens_details":{{"reasoning_tokens":0}}}},"system_fingerprint":"fp_1"}}"#
    );
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    [head.into_bytes(), body.into_bytes()].concat()
}

fn chunks() -> Vec<Vec<u8>> {
    let event = |delta: &str, finish: &str, usage: &str| {
        let data = format!(
            "data: {{\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,\"model\":\"bench-1\",\
             \"choices\":[{{\"index\":0,\"delta\":{delta},\"logprobs\":null,\"finish_reason\":{finish}}}]{usage}}}\n\n"
        );
        chunk(&data)
    };
    let mut all = vec![
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n".to_vec(),
    ];
    all.push(event("{\"role\":\"assistant\",\"content\":\"\"}", "null", ""));
    for _ in 0..TOKENS {
        all.push(event("{\"content\":\"lorem \"}", "null", ""));
    }
    all.push(event("{}", "\"stop\"", ""));
    all.push(chunk(
        "data: {\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,\"model\":\"bench-1\",\
         \"choices\":[],\"usage\":{\"prompt_tokens\":12,\"completion_tokens\":20,\"total_tokens\":32}}\n\n",
    ));
    all.push([chunk("data: [DONE]\n\n"), b"0\r\n\r\n".to_vec()].concat());
    all
}

fn chunk(data: &str) -> Vec<u8> {
    format!("{:x}\r\n{data}\r\n", data.len()).into_bytes()
}
