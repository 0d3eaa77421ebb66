//! What the official clients read beside the answer: what is left of the limits, and how long a conversation is.

use crate::site::{COMPLETIONS, MESSAGES, Plan, RESPONSES, Site, question, says};
use reqwest::Response;
use serde_json::json;
use toryo_blackboard::accounts::Limits;
use toryo_testkit::upstream::{Said, Upstream, Wire};

const ROUTES: &str = "[routes.coder]\nprovider = \"p\"\nmodel = \"m\"\nat_limit = \"refuse\"\n";

async fn limited(upstream: &Upstream, limits: Limits) -> Site {
    let providers = &[("p", Wire::OpenAi, upstream)][..];
    Site::of(Plan { limits, ..Plan::new(providers, ROUTES) }).await
}

fn number(answer: &Response, name: &str) -> i64 {
    answer.headers()[name].to_str().unwrap().parse().unwrap()
}

#[tokio::test]
async fn answers_say_what_is_left_of_the_limits_in_the_words_of_their_protocol() {
    let upstream = says(Wire::OpenAi, Said::text("Hello.")).await;
    let limits =
        Limits { requests_per_minute: Some(5), tokens_per_minute: Some(1_000_000), ..Limits::default() };
    let site = limited(&upstream, limits).await;
    let mut rest = Vec::new();
    for path in [COMPLETIONS, RESPONSES] {
        let answer = site.send(path, &question(path, "Hi.")).await;
        assert_eq!(answer.status(), 200);
        assert_eq!(number(&answer, "x-ratelimit-limit-requests"), 5);
        assert_eq!(number(&answer, "x-ratelimit-limit-tokens"), 1_000_000);
        let tokens = number(&answer, "x-ratelimit-remaining-tokens");
        // A thousand and a hundred were used by each.
        assert!((900_000..=998_900).contains(&tokens), "{tokens}");
        for name in ["x-ratelimit-reset-requests", "x-ratelimit-reset-tokens"] {
            let reset = answer.headers()[name].to_str().unwrap().strip_suffix('s').unwrap();
            assert!((0.0..=60.0).contains(&reset.parse::<f64>().unwrap()), "{reset}");
        }
        rest.push(number(&answer, "x-ratelimit-remaining-requests"));
    }
    let mut streamed = question(MESSAGES, "Hi.");
    streamed["stream"] = true.into();
    let answer = site.send(MESSAGES, &streamed).await;
    assert_eq!(number(&answer, "anthropic-ratelimit-requests-limit"), 5);
    assert_eq!(number(&answer, "anthropic-ratelimit-tokens-limit"), 1_000_000);
    let reset = answer.headers()["anthropic-ratelimit-requests-reset"].to_str().unwrap();
    assert!(reset.parse::<chrono::DateTime<chrono::Utc>>().is_ok(), "{reset}");
    rest.push(number(&answer, "anthropic-ratelimit-requests-remaining"));
    // A minute may have ended in between; within one they go down by one.
    let falls = rest.windows(2).filter(|two| two[1] == two[0] - 1).count();
    assert!(rest.iter().all(|left| (0..5).contains(left)) && falls >= 1, "{rest:?}");
    assert!(!answer.headers().contains_key("x-ratelimit-limit-requests"), "those are OpenAI's");
}

#[tokio::test]
async fn a_refusal_for_a_limit_says_so_too_and_who_has_none_is_told_none() {
    let upstream = says(Wire::OpenAi, Said::text("Hello.")).await;
    let site = limited(&upstream, Limits { requests_per_minute: Some(1), ..Limits::default() }).await;
    let refused = loop {
        let answer = site.send(COMPLETIONS, &question(COMPLETIONS, "Hi.")).await;
        if answer.status() == 429 {
            break answer;
        }
    };
    assert_eq!(number(&refused, "x-ratelimit-remaining-requests"), 0);
    assert!(!refused.headers().contains_key("x-ratelimit-limit-tokens"));
    let free = limited(&upstream, Limits::default()).await;
    let answer = free.send(COMPLETIONS, &question(COMPLETIONS, "Hi.")).await;
    assert!(!answer.headers().keys().any(|name| name.as_str().contains("ratelimit")));
}

#[tokio::test]
async fn the_tokens_of_a_question_are_counted_without_asking_anybody() {
    let upstream = says(Wire::OpenAi, Said::text("Hello.")).await;
    let site = limited(&upstream, Limits { routes: Some(vec!["coder".into()]), ..Limits::default() }).await;
    let count = async |body| {
        let answer = site.send("/v1/messages/count_tokens", &body).await;
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers()["x-toryo-counted-by"], "tokenizer");
        answer.json::<serde_json::Value>().await.unwrap()["input_tokens"].as_u64().unwrap()
    };
    let words = |text: &str| json!({ "model": "coder", "messages": [{ "role": "user", "content": text }] });
    let short = count(words("2 + 2 = 4")).await;
    assert_eq!(short, 7 + 8, "the words and the message itself");
    let long = count(words(&"antidisestablishmentarianism ".repeat(500))).await;
    assert!((3_000..4_100).contains(&long), "{long}");
    let mut more = words("2 + 2 = 4");
    more["system"] = json!([{ "type": "text", "text": "Be brief." }]);
    let with_system = count(more.clone()).await;
    more["tools"] = json!([{ "name": "look", "input_schema": { "type": "object" } }]);
    let with_tools = count(more).await;
    assert!(short < with_system && with_system + 346 < with_tools, "{short} {with_system} {with_tools}");
    for (body, status, kind) in [
        (json!({ "messages": [] }), 400, "invalid_request_error"),
        (json!({ "model": "coder", "messages": [] }), 400, "invalid_request_error"),
        (json!({ "model": "coder", "messages": [{ "role": "user" }] }), 400, "invalid_request_error"),
        (
            json!({ "model": "nobody", "messages": [{ "role": "user", "content": "x" }] }),
            404,
            "not_found_error",
        ),
    ] {
        let (got, answer) = site.ask("/v1/messages/count_tokens", &body).await;
        assert_eq!((got, &answer["error"]["type"]), (status, &json!(kind)), "{answer}");
    }
    let refused = site.post_with("tk-other", "/v1/messages/count_tokens", &words("x"));
    assert_eq!(refused.send().await.unwrap().status(), 401);
    assert_eq!(upstream.connections(), 0);
}
