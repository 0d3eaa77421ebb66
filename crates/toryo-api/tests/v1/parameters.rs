//! Parameters of one dialect at a provider that speaks another: translated, or refused by name, and never dropped.

use crate::site::{COMPLETIONS, MESSAGES, RESPONSES, Site, question, says};
use serde_json::{Value, json};
use toryo_testkit::upstream::{Said, Wire};

const ROUTES: &str = "\
[routes.coder]\nprovider = \"claude\"\nmodel = \"m\"\n\
[routes.gpt]\nprovider = \"open\"\nmodel = \"m\"\n\
[[routes.nova.deployments]]\nprovider = \"aws\"\nmodel = \"eu.amazon.nova-pro-v1:0\"\naws = { region = \"eu-central-1\" }\n\
[[routes.sonnet.deployments]]\nprovider = \"aws\"\nmodel = \"eu.anthropic.claude-sonnet-4\"\naws = { region = \"eu-central-1\" }\n\
[routes.either]\nstrategy = \"round_robin\"\nmodel = \"m\"\ndeployments = [{ provider = \"claude\" }, { provider = \"open\" }]\n\
[routes.backed]\nprovider = \"claude\"\nmodel = \"m\"\nfallbacks = { any = [\"gpt\"] }\n";

fn asked(path: &str, route: &str, name: &str, value: &Value) -> Value {
    let mut body = question(path, "Say hello.");
    body["model"] = route.into();
    body[name] = value.clone();
    body
}

#[tokio::test]
async fn what_a_provider_cannot_say_is_refused_by_name_before_anything_is_sent() {
    let claude = says(Wire::Anthropic, Said::text("Hello.")).await;
    let open = says(Wire::OpenAi, Said::text("Hello.")).await;
    let aws = says(Wire::Bedrock, Said::text("Hello.")).await;
    let providers =
        [("claude", Wire::Anthropic, &claude), ("open", Wire::OpenAi, &open), ("aws", Wire::Bedrock, &aws)];
    let site = Site::start(&providers, ROUTES).await;
    let flags = json!({ "type": "enabled" });
    let refused: [(&str, &str, &str, &str, Value); 17] = [
        (COMPLETIONS, "coder", "claude", "logit_bias", json!({ "50256": -100 })),
        (COMPLETIONS, "coder", "claude", "seed", json!(7)),
        (COMPLETIONS, "coder", "claude", "presence_penalty", json!(0.5)),
        (COMPLETIONS, "coder", "claude", "frequency_penalty", json!(-0.5)),
        (COMPLETIONS, "coder", "claude", "n", json!(2)),
        (COMPLETIONS, "coder", "claude", "logprobs", json!(true)),
        (COMPLETIONS, "coder", "claude", "service_tier", json!("flex")),
        (COMPLETIONS, "coder", "claude", "never_heard_of", json!(1)),
        (COMPLETIONS, "nova", "aws", "seed", json!(7)),
        (COMPLETIONS, "sonnet", "aws", "logit_bias", json!({ "50256": -100 })),
        (RESPONSES, "coder", "claude", "max_tool_calls", json!(3)),
        (RESPONSES, "gpt", "open", "top_logprobs", json!(3)),
        (RESPONSES, "gpt", "open", "truncation", json!("auto")),
        (MESSAGES, "gpt", "open", "mcp_servers", json!([])),
        (MESSAGES, "gpt", "open", "context_management", flags.clone()),
        (MESSAGES, "nova", "aws", "context_management", flags),
        (MESSAGES, "sonnet", "aws", "service_tier", json!("standard_only")),
    ];
    for (path, route, provider, name, value) in &refused {
        let (status, answer) = site.ask(path, &asked(path, route, name, value)).await;
        let error = &answer["error"];
        let message = error["message"].as_str().unwrap_or_default();
        assert_eq!((status, &error["type"]), (400, &json!("invalid_request_error")), "{name}: {answer}");
        assert!(message.contains(&format!("`{name}`")), "{answer}");
        assert!(message.contains(&format!("the provider `{provider}`")), "{answer}");
        if *path != MESSAGES {
            assert_eq!(error["param"], *name, "{answer}");
        }
    }
    assert_eq!([claude.connections(), open.connections(), aws.connections()], [0; 3], "nothing was sent");
}

#[tokio::test]
async fn what_has_an_equivalent_is_translated() {
    let claude = says(Wire::Anthropic, Said::text("Hello.")).await;
    let open = says(Wire::OpenAi, Said::text("Hello.")).await;
    let aws = says(Wire::Bedrock, Said::text("Hello.")).await;
    let providers =
        [("claude", Wire::Anthropic, &claude), ("open", Wire::OpenAi, &open), ("aws", Wire::Bedrock, &aws)];
    let site = Site::start(&providers, ROUTES).await;
    let tagged = json!({ "ticket": "T-1" });
    let sent = [
        (COMPLETIONS, "coder", "top_k", json!(40), "/top_k", json!(40)),
        (COMPLETIONS, "sonnet", "top_k", json!(40), "/additionalModelRequestFields/top_k", json!(40)),
        (
            COMPLETIONS,
            "nova",
            "top_k",
            json!(40),
            "/additionalModelRequestFields/inferenceConfig/topK",
            json!(40),
        ),
        (COMPLETIONS, "nova", "metadata", tagged, "/requestMetadata/ticket", json!("T-1")),
        (RESPONSES, "nova", "service_tier", json!("flex"), "/serviceTier/type", json!("flex")),
        (COMPLETIONS, "coder", "stop", json!(["END"]), "/stop_sequences", json!(["END"])),
        (MESSAGES, "gpt", "top_k", json!(40), "/top_k", json!(40)),
        (MESSAGES, "gpt", "logit_bias", json!({ "1": 2 }), "/logit_bias/1", json!(2)),
        (
            MESSAGES,
            "gpt",
            "thinking",
            json!({ "type": "enabled", "budget_tokens": 1_024 }),
            "/reasoning_effort",
            json!("low"),
        ),
        (COMPLETIONS, "coder", "n", json!(1), "/n", Value::Null),
        (COMPLETIONS, "coder", "presence_penalty", json!(0), "/presence_penalty", Value::Null),
    ];
    for (path, route, name, value, place, expected) in sent {
        let (status, answer) = site.ask(path, &asked(path, route, name, &value)).await;
        assert_eq!(status, 200, "{route} {name}: {answer}");
        let upstream = match route {
            "coder" => &claude,
            "gpt" => &open,
            _ => &aws,
        };
        let body = upstream.calls().pop().unwrap().body;
        assert_eq!(body.pointer(place).unwrap_or(&Value::Null), &expected, "{route} {name}: {body}");
    }
}

#[tokio::test]
async fn an_answer_that_was_kept_is_not_given_where_more_was_asked_for_than_it_holds() {
    let open = says(Wire::OpenAi, Said::text("Hello.")).await;
    let routes = "[routes.coder]\nprovider = \"open\"\nmodel = \"m\"\ncache = { ttl_seconds = 600 }\n";
    let site = Site::start(&[("open", Wire::OpenAi, &open)], routes).await;
    for (name, calls) in [("seed", 1), ("logprobs", 3)] {
        let value = if name == "seed" { json!(7) } else { json!(true) };
        for _ in 0..2 {
            let (status, answer) = site.ask(COMPLETIONS, &asked(COMPLETIONS, "coder", name, &value)).await;
            assert_eq!(status, 200, "{answer}");
        }
        assert_eq!(open.calls().len(), calls, "{name}");
    }
}

#[tokio::test]
async fn of_several_deployments_those_are_asked_that_can_say_it() {
    let claude = says(Wire::Anthropic, Said::text("Hello.")).await;
    let open = says(Wire::OpenAi, Said::text("Hello.")).await;
    let site = Site::start(
        &[("claude", Wire::Anthropic, &claude), ("open", Wire::OpenAi, &open), ("aws", Wire::OpenAi, &open)],
        ROUTES,
    )
    .await;
    for _ in 0..4 {
        let body = asked(COMPLETIONS, "either", "seed", &json!(7));
        let answer = site.send(COMPLETIONS, &body).await;
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers()["x-toryo-deployment"], "open/m");
    }
    // A route that can fall back does.
    let (status, answer) = site.ask(COMPLETIONS, &asked(COMPLETIONS, "backed", "seed", &json!(7))).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!((claude.connections(), open.calls().len()), (0, 5));
    // Without it both take their turns.
    for _ in 0..4 {
        site.send(COMPLETIONS, &asked(COMPLETIONS, "either", "temperature", &json!(0.5))).await;
    }
    assert_eq!(claude.calls().len(), 2);
}
