//! What a provider is sent, read again as a client's question, is the same question; what a client is answered, read
//! again as a provider's answer, is the same answer.

use super::anthropic::tests_of::{read_answer as read_message, write as write_messages};
use super::faults::ask_of;
use super::openai::tests_of::{read_answer as read_completion, write as write_completions};
use crate::chat::{Chat, Completion, Effort, Format, Image, Output, Part, Reasoning, Stop, Tool, ToolCall};
use crate::chat::{Sampling, ToolChoice, Turn};
use crate::dialect::{Facts, read_chat, whole};
use crate::inbound::{Dialect, Head, Inbound};
use crate::reply::Usage;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, Value, json};

fn words() -> impl Strategy<Value = String> {
    "[ -~\né\u{1F600}]{1,12}"
}

fn arguments() -> impl Strategy<Value = String> {
    ("[a-z]{1,4}", any::<i64>(), words())
        .prop_map(|(name, number, text)| json!({name: [number, text]}).to_string())
}

fn calls() -> impl Strategy<Value = Vec<ToolCall>> {
    vec(("[a-z]{1,6}", arguments()), 0..3).prop_map(|calls| {
        let call = |(n, (name, arguments))| ToolCall { id: format!("call_{n}"), name, arguments };
        calls.into_iter().enumerate().map(call).collect()
    })
}

fn user_parts(detail: bool) -> impl Strategy<Value = Vec<Part>> {
    let detail = move || {
        option::of(select(vec!["low", "high"]))
            .prop_map(move |word| word.filter(|_| detail).map(str::to_owned))
    };
    let url = ("https://[a-z]{1,9}/", detail()).prop_map(|(url, detail)| Image::Url { url, detail });
    let inline = ("[A-Za-z0-9]{4}", detail()).prop_map(|(data, detail)| Image::Inline {
        media_type: "image/png".into(),
        data,
        detail,
    });
    vec(
        prop_oneof![words().prop_map(Part::Text), url.prop_map(Part::Image), inline.prop_map(Part::Image)],
        1..4,
    )
}

/// Turns that every dialect can say: user and model by turns, each call answered.
fn turns(detail: bool) -> impl Strategy<Value = Vec<Turn>> {
    let exchange = (user_parts(detail), vec(words(), 0..2), calls(), words());
    (vec(words(), 0..3), vec(exchange, 1..3)).prop_map(|(system, exchanges)| {
        let text = |texts: Vec<String>| texts.into_iter().map(Part::Text).collect::<Vec<_>>();
        let mut turns = Vec::new();
        if !system.is_empty() {
            turns.push(Turn::System(text(system)));
        }
        for (said, mut answered, tool_calls, result) in exchanges {
            turns.push(Turn::User(said));
            if answered.is_empty() && tool_calls.is_empty() {
                answered.push("yes".into());
            }
            let ids: Vec<String> = tool_calls.iter().map(|call| call.id.clone()).collect();
            turns.push(Turn::Assistant { parts: text(answered), tool_calls });
            let answer = |call_id| Turn::Tool { call_id, parts: text(vec![result.clone()]), failed: false };
            turns.extend(ids.into_iter().map(answer));
        }
        if !matches!(turns.last(), Some(Turn::Tool { .. })) {
            turns.push(Turn::User(vec![Part::Text("Go on.".into())]));
        }
        turns
    })
}

fn tools(strict: bool) -> impl Strategy<Value = (Vec<Tool>, ToolChoice, Option<bool>)> {
    let tool = (option::of(words()), option::of(any::<bool>())).prop_map(move |(description, wish)| Tool {
        name: "look".into(),
        description,
        parameters: json!({"type": "object", "properties": {"z": {"type": "string"}, "a": {}}}),
        strict: wish.filter(|_| strict),
    });
    let choice = select(vec![ToolChoice::Auto, ToolChoice::Required, ToolChoice::Named("look".into())]);
    let some =
        (tool, choice, option::of(Just(false))).prop_map(|(tool, choice, one)| (vec![tool], choice, one));
    prop_oneof![Just((Vec::new(), ToolChoice::Auto, None)), some]
}

fn sampling() -> impl Strategy<Value = Sampling> {
    let share = || option::of((0..=100_u8).prop_map(|percent| f32::from(percent) / 100.0));
    (share(), share(), vec(words(), 0..3)).prop_map(|(temperature, top_p, stop)| Sampling {
        temperature,
        top_p,
        stop,
        ..Sampling::default()
    })
}

fn completions_question() -> impl Strategy<Value = Chat> {
    let format = prop_oneof![
        Just(Format::Text),
        Just(Format::JsonObject),
        (option::of(words()), option::of(any::<bool>())).prop_map(|(description, strict)| {
            Format::JsonSchema { name: "plan".into(), description, schema: json!({"type": "object"}), strict }
        })
    ];
    let effort = select(vec![Effort::Minimal, Effort::Low, Effort::Medium, Effort::High]);
    let more = (
        sampling(),
        option::of(any::<i64>()),
        option::of(-2_i8..=2),
        option::of(effort),
        option::of(words()),
    );
    (turns(true), tools(true), format, more).prop_map(|(turns, tools, format, more)| {
        let (sampling, seed, penalty, effort, user) = more;
        let (presence_penalty, frequency_penalty) = (penalty.map(f32::from), penalty.map(f32::from));
        Chat {
            turns,
            tools: tools.0,
            tool_choice: tools.1,
            parallel_tool_calls: tools.2,
            format,
            max_output_tokens: Some(4_000),
            sampling: Sampling { seed, presence_penalty, frequency_penalty, ..sampling },
            reasoning: effort.map(Reasoning::Effort),
            user,
            extra: Map::from_iter([("service_tier".to_owned(), Value::from("flex"))]),
            dialect: Some(Dialect::Completions),
        }
    })
}

fn messages_question() -> impl Strategy<Value = Chat> {
    let thinks = option::of((1_024_u32..3_999).prop_map(Reasoning::Tokens));
    (turns(false), tools(false), sampling(), option::of(1_u32..9), thinks, option::of(words())).prop_map(
        |(turns, (tools, mut tool_choice, parallel_tool_calls), sampling, top_k, reasoning, user)| {
            let mut sampling = Sampling { top_k, ..sampling };
            if reasoning.is_some() {
                // What the API does not take together.
                tool_choice = ToolChoice::Auto;
                sampling = Sampling { stop: sampling.stop, ..Sampling::default() };
            }
            Chat {
                turns,
                tools,
                tool_choice,
                parallel_tool_calls,
                max_output_tokens: Some(4_000),
                sampling,
                reasoning,
                user,
                dialect: Some(Dialect::Messages),
                ..Chat::default()
            }
        },
    )
}

fn again(dialect: Dialect, body: Vec<u8>) -> Chat {
    read_chat(&Inbound { dialect, body: body.into(), head: Head::default(), betas: None }).unwrap()
}

fn answer(native: bool, hidden: bool) -> impl Strategy<Value = Completion> {
    let usage = (0..1000_u64, 0..1000_u64, 0..1000_u64, 0..1000_u64, 0..1000_u64).prop_map(
        move |(fresh, cached_input, cache_write, output, reasoning)| Usage {
            input: fresh + cached_input + cache_write,
            cached_input,
            cache_write,
            output: output + reasoning,
            reasoning: if hidden { reasoning } else { 0 },
        },
    );
    (option::of(words()), option::of(words()), calls(), any::<bool>(), usage).prop_map(
        move |(thought, text, calls, cut, usage)| {
            let mut output = Vec::new();
            output.extend(thought.map(|text| {
                let block = json!({"type": "thinking", "thinking": text, "signature": "c2ln"});
                Output::Reasoning { text, native: native.then_some(block) }
            }));
            output.extend(text.map(Output::Text));
            let stop = match (cut, calls.is_empty()) {
                (true, _) => Stop::Length,
                (false, true) => Stop::End,
                (false, false) => Stop::ToolUse,
            };
            output.extend(calls.into_iter().map(Output::ToolCall));
            Completion { id: String::new(), model: "alias".into(), output, stop, usage: Some(usage) }
        },
    )
}

fn facts() -> Facts {
    Facts { id: "1".into(), created: 1_760_000_000, alias: "alias".into() }
}

proptest! {
    #[test]
    fn a_question_to_openai_is_the_question_that_was_asked(chat in completions_question(), stream: bool) {
        let body = write_completions(&ask_of(&chat, stream)).unwrap();
        prop_assert_eq!(again(Dialect::Completions, body), chat);
    }

    #[test]
    fn a_question_to_anthropic_is_the_question_that_was_asked(chat in messages_question(), stream: bool) {
        let body = write_messages(&ask_of(&chat, stream)).unwrap();
        prop_assert_eq!(again(Dialect::Messages, body), chat);
    }

    #[test]
    fn an_answer_in_openais_words_is_the_answer(said in answer(false, true)) {
        let read = read_completion(&whole(Dialect::Completions, &said, &facts())).unwrap();
        prop_assert_eq!(Completion { id: String::new(), ..read }, said);
    }

    #[test]
    fn an_answer_in_anthropics_words_is_the_answer(said in answer(true, false)) {
        let read = read_message(&whole(Dialect::Messages, &said, &facts())).unwrap();
        prop_assert_eq!(Completion { id: String::new(), ..read }, said);
    }
}
