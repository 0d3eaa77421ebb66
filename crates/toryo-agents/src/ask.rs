//! The one road from an agent to a model: render, mask, call, record, validate, ask again.

use crate::assets::Manifest;
use crate::prompt::Variables;
use crate::replies::Reply;
use crate::schema::Schema;
use crate::texts;
use crate::tools::Tools;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use toryo_domain::{EventType, FailureClass};
use toryo_engine::{Failure, StepContext};
use toryo_models::{Caller, Finish, Message, MessageRole, OutputSchema, Request};

/// How much of an invalid reply the model sees again, in characters.
const ECHOED: usize = 6_000;

/// How much of what people write while a step runs is shown at one call, in tokens.
const HEARD_TOKENS: usize = 1_500;

/// A conversation of one step with one model about one kind of reply.
///
/// Calls are numbered from 1 within the step and depend on nothing but the step's inputs and the replies so far, so that
/// a step that is executed again finds its replies in the journal.
pub struct Conversation<'a> {
    ctx: &'a StepContext,
    tools: &'a Tools,
    manifest: &'a Manifest,
    schema: &'a Schema,
    messages: Vec<Message>,
    /// The number of the last call.
    calls: u32,
    recorded: bool,
    route: String,
}

impl<'a> Conversation<'a> {
    /// Renders the prompt of this name. Secrets are masked before anything leaves the process.
    ///
    /// # Errors
    /// A prompt that an operator broke.
    pub fn begin(
        ctx: &'a StepContext,
        tools: &'a Tools,
        prompt: &str,
        variables: Variables,
    ) -> Result<Self, Failure> {
        let role = ctx.step_key.kind.role();
        let manifest =
            tools.assets.manifest(role).ok_or_else(|| Failure::bug(format!("no manifest of {role}")))?;
        let call = manifest.calls.iter().find(|call| call.prompt == prompt);
        let schema = call.and_then(|call| tools.assets.schema(&call.schema));
        let schema =
            schema.ok_or_else(|| Failure::bug(format!("agents/{role}.toml names no prompt `{prompt}`")))?;
        let wrong = |error: crate::assets::Error| Failure::from_error(error.class(), &error);
        let variant = &ctx.orders.variant;
        let rendered = match variant.prompts.get(prompt) {
            Some(text) => tools.assets.prompts().with(prompt, text).map_err(wrong)?.render(
                prompt,
                schema.name(),
                variables,
            ),
            None => tools.assets.prompts().render(prompt, schema.name(), variables),
        };
        let rendered = rendered.map_err(wrong)?;
        let mask = |text: &str| tools.mask(text);
        let user = crate::prompt::cap(&mask(&rendered.user), manifest.limits.context_tokens as usize);
        let messages = vec![Message::system(mask(&rendered.system)), Message::user(user)];
        let route = ctx.orders.variant.routes.get(role.as_str());
        let route = route.or_else(|| variant.routes.get(&manifest.route)).unwrap_or(&manifest.route).clone();
        Ok(Self { ctx, tools, manifest, schema, messages, calls: 0, recorded: false, route })
    }

    /// Asks the route that the manifest names for work that went round in circles, where it names one. What a fork asks
    /// for goes before it.
    pub fn take_another_route(&mut self) {
        if let Some(route) =
            self.manifest.route_when_stuck.as_ref().filter(|_| self.route == self.manifest.route)
        {
            self.route.clone_from(route);
        }
    }

    /// The manifest in force.
    #[must_use]
    pub const fn manifest(&self) -> &Manifest {
        self.manifest
    }

    /// Whether a reply came from a recording instead of a model.
    #[must_use]
    pub const fn recorded(&self) -> bool {
        self.recorded
    }

    /// Asks for a reply that fits the schema and its typed twin. One that does not goes back with the errors.
    ///
    /// # Errors
    /// [`FailureClass::InvalidOutput`] after the last ask or at a refusal; otherwise what the gateway says.
    pub async fn ask<T: Reply>(&mut self) -> Result<T, Failure> {
        if T::SCHEMA != self.schema.name() {
            return Err(Failure::bug(format!("asked for `{}` as `{}`", self.schema.name(), T::SCHEMA)));
        }
        let mut errors = Vec::new();
        for _ in 0..self.manifest.limits.asks {
            let reply = self.call().await?;
            errors = match reply.finish {
                Finish::Refusal(words) => return Err(self.refused(&words)),
                Finish::ContentFilter => return Err(self.refused("stopped by the provider's content filter")),
                Finish::Length => vec![format!(
                    "the reply was cut at {} tokens: answer shorter",
                    self.manifest.limits.max_output_tokens
                )],
                Finish::Stop => match self.read::<T>(&reply.content) {
                    Ok(value) => {
                        self.messages.push(Message::assistant(reply.content));
                        return Ok(value);
                    }
                    Err(errors) => errors,
                },
            };
            self.send_back(&reply.content, &errors);
        }
        Err(Failure::new(
            FailureClass::InvalidOutput,
            format!(
                "the model's reply did not fit the schema `{}` in {} attempts: {}",
                self.schema.name(),
                self.manifest.limits.asks,
                errors.join("; ")
            ),
        ))
    }

    /// Says why the last valid reply cannot be used; the next [`ask`](Self::ask) is about it.
    pub fn object(&mut self, reason: &str) {
        self.messages.push(Message::user(self.tools.mask(reason)));
    }

    /// Where the reply is JSON of the schema and the twin, the value; otherwise what is wrong.
    fn read<T: Reply>(&self, content: &str) -> Result<T, Vec<String>> {
        let text = unwrapped(content);
        if text.is_empty() {
            return Err(vec!["the reply is empty".to_owned()]);
        }
        let value: Value = serde_json::from_str(text)
            .map_err(|error| vec![format!("the reply is not one JSON object: {error}")])?;
        let errors = self.schema.errors(&value);
        if !errors.is_empty() {
            return Err(errors);
        }
        serde_json::from_value(value).map_err(|error| vec![error.to_string()])
    }

    fn send_back(&mut self, content: &str, errors: &[String]) {
        let echo = toryo_sandbox::clip(content.trim(), ECHOED / 2, ECHOED / 2);
        // Some endpoints refuse a message without content.
        let echo = if echo.is_empty() { "(empty)".to_owned() } else { echo };
        self.messages.push(Message::assistant(echo));
        let list: Vec<String> = errors.iter().map(|error| format!("* {error}")).collect();
        let name = self.schema.name();
        let text = format!(
            "That reply cannot be read:\n{}\n\nAnswer again with the whole JSON object of the schema `{name}` and nothing else.",
            list.join("\n")
        );
        self.messages.push(Message::user(self.tools.mask(&text)));
    }

    fn refused(&self, words: &str) -> Failure {
        let words: String = words.chars().take(300).collect();
        Failure::new(FailureClass::InvalidOutput, format!("the model refused to answer: {words}"))
    }

    /// Shows what people wrote since the last call, at the end of what the model is told anyway: not every endpoint takes
    /// two messages of one side in a row.
    async fn hear(&mut self) -> Result<(), Failure> {
        let heard = self.ctx.reporter.heard(self.calls).await?;
        let Some(text) = texts::messages(&heard) else { return Ok(()) };
        let fenced = toryo_policy::untrusted::fence(
            "messages of people",
            &crate::prompt::cap(&self.tools.mask(&text), HEARD_TOKENS),
        );
        let text = format!(
            "A person wrote this to the run just now. Heed it as far as it concerns your part; answer as asked above.\n\n{fenced}"
        );
        match self.messages.last_mut() {
            Some(last) if last.role == MessageRole::User => {
                last.content.push_str("\n\n");
                last.content.push_str(&text);
            }
            _ => self.messages.push(Message::user(text)),
        }
        let authors: BTreeSet<&str> = heard.iter().map(|message| message.author.as_str()).collect();
        let authors = authors.into_iter().collect::<Vec<_>>().join(", ");
        self.ctx.progress(format!("reading what {authors} wrote")).await
    }

    async fn call(&mut self) -> Result<toryo_models::Reply, Failure> {
        self.ctx.checkpoint()?;
        self.calls += 1;
        self.hear().await?;
        let ctx = self.ctx;
        let caller = Caller {
            run_id: ctx.run_id,
            step_id: ctx.step_id,
            step_key: ctx.step_key.clone(),
            attempt: ctx.attempt,
            fence: ctx.fence,
            agent: ctx.step_key.kind.role(),
            call_no: self.calls,
            limits: ctx.task.wish.limits,
        };
        let request = Request {
            route: self.route.clone(),
            output: OutputSchema { name: self.schema.name().to_owned(), schema: self.schema.for_provider() },
            messages: self.messages.clone(),
            max_output_tokens: self.manifest.limits.max_output_tokens,
            temperature: None,
        };
        let asked = self.keep("prompt", &transcript(&request.messages)).await?;
        let reply = self.tools.gateway.complete(&caller, &request, &ctx.cancel).await.map_err(|error| {
            Failure { retry_after: error.retry_after(), ..Failure::from_error(error.class(), &error) }
        })?;
        self.recorded |= reply.recorded;
        let answered = self.keep("reply", &self.tools.mask(&reply.content)).await?;
        let data = json!({
            "call": self.calls,
            "name": self.schema.name(),
            "route": self.route,
            "provider": reply.provider,
            "model": reply.model,
            "tokens_in": reply.usage.input,
            "tokens_cached": reply.usage.cached_input,
            "tokens_out": reply.usage.output,
            "cost_usd": reply.cost.dollars(),
            "latency_ms": u64::try_from(reply.latency.as_millis()).unwrap_or(u64::MAX),
            "journalled": reply.journalled,
            "recorded": reply.recorded,
            "finish": reply.finish,
            "prompt": asked,
            "reply": answered,
        });
        ctx.emit(EventType::ModelCall, data).await?;
        Ok(reply)
    }

    async fn keep(&self, kind: &'static str, text: &str) -> Result<toryo_domain::Digest, Failure> {
        let ending = if kind == "reply" { "json" } else { "md" };
        let name = format!("{}-{}.{kind}.{ending}", self.schema.name(), self.calls);
        self.ctx.keep(kind, name, "text/plain; charset=utf-8", text.to_owned()).await
    }
}

/// The conversation as people read it.
fn transcript(messages: &[Message]) -> String {
    let part = |message: &Message| format!("----- {} -----\n{}\n", message.role.as_str(), message.content);
    messages.iter().map(part).collect()
}

/// The text without a code fence around the whole of it, which many models add although they are told not to.
fn unwrapped(content: &str) -> &str {
    let text = content.trim().trim_start_matches('\u{feff}');
    let Some(rest) = text.strip_prefix("```").and_then(|rest| rest.strip_suffix("```")) else { return text };
    match rest.split_once('\n') {
        Some((language, body)) if language.chars().all(|c| c.is_ascii_alphanumeric()) => body.trim(),
        _ => text,
    }
}
