//! One attempt on one deployment: the request, its time limits, and the stream of its answer, watched to its end.

use super::member::{Busy, Member, UnderWay};
use super::trace::{AttemptSpan, CallSpan};
use super::{By, Question, Routed, Wanted};
use crate::chat::{Chat, Event};
use crate::config::{Deployment, TimeLimits};
use crate::inbound::Inbound;
use crate::provider::{Answer, Ask, Piece, PieceStream, ProviderError};
use futures::StreamExt;
use std::collections::VecDeque;
use std::sync::{Arc, LazyLock};
use std::time::Duration;
use tokio::time::{Instant, timeout, timeout_at};

/// What [`Ask::chat`] is where a client's own bytes are sent on.
static NO_CHAT: LazyLock<Chat> = LazyLock::new(Chat::default);

/// An answer that has begun.
pub(super) struct Begun {
    answer: Answer,
    by: By,
    native: bool,
    at: Instant,
}

impl Begun {
    pub(super) fn routed(self, route: &str, attempts: u32, started: Instant, trace: CallSpan) -> Routed {
        let first_token = self.at.saturating_duration_since(started);
        let Self { answer, by, native, .. } = self;
        trace.answered(route, &by, attempts);
        Routed { answer, route: route.to_owned(), by, native, attempts, first_token, trace }
    }
}

impl Busy {
    pub(super) fn into_error(self) -> ProviderError {
        let wait = self.until.saturating_duration_since(Instant::now());
        match self.why {
            Some(ProviderError::RateLimited { message, .. }) => {
                ProviderError::RateLimited { retry_after: Some(wait), message }
            }
            Some(other @ (ProviderError::KeyRefused { .. } | ProviderError::QuotaExhausted { .. })) => other,
            _ => ProviderError::Unavailable {
                status: None,
                retry_after: Some(wait),
                message: "every deployment of this route is left alone for a while after failures".to_owned(),
            },
        }
    }
}

/// Tokens of an answer at most where the client names no limit. All that a model can say would be reserved from the
/// caller's budget before each call: a dollar and more with today's strongest models, for answers of a cent.
const UNSAID_OUTPUT_TOKENS: u32 = 32_768;

/// How long an attempt may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// The route's.
    pub(super) time: TimeLimits,
    /// The end of the whole call.
    pub(super) end: Instant,
}

/// What an agent sees plus room for hidden reasoning, or what a client asked for, within what the deployment allows.
pub(super) fn output_tokens(question: &Question<'_>, deployment: &Deployment) -> u32 {
    let wanted = match (question.max_output_tokens, question.step) {
        (Some(visible), Some(_)) => visible.saturating_add(deployment.reasoning_tokens),
        (Some(all), None) => all,
        (None, _) => UNSAID_OUTPUT_TOKENS,
    };
    wanted.min(deployment.max_output_tokens)
}

/// Asks one deployment, and a second one where the first is slow to begin. The first to begin counts.
pub(super) async fn run(
    first: &Arc<Member>,
    second: Option<(Duration, &Arc<Member>)>,
    question: &Question<'_>,
    limits: Limits,
    trace: &CallSpan,
    attempts: &mut u32,
) -> Result<Begun, ProviderError> {
    *attempts += 1;
    let asking = begin(first, question, limits, trace.attempt(first, question, *attempts));
    let Some((after, other)) = second else { return asking.await };
    tokio::pin!(asking);
    match timeout(after, &mut asking).await {
        Ok(outcome) => outcome,
        Err(_) => {
            *attempts += 1;
            let hedge = begin(other, question, limits, trace.attempt(other, question, *attempts));
            tokio::pin!(hedge);
            // The first success counts; a failure waits for the other.
            tokio::select! {
                outcome = &mut asking => match outcome { Ok(begun) => Ok(begun), Err(_) => hedge.await },
                outcome = &mut hedge => match outcome { Ok(begun) => Ok(begun), Err(_) => asking.await },
            }
        }
    }
}

async fn begin(
    member: &Arc<Member>,
    question: &Question<'_>,
    limits: Limits,
    span: AttemptSpan,
) -> Result<Begun, ProviderError> {
    let deployment = &member.deployment;
    let output = output_tokens(question, deployment);
    let tokens = question.input_tokens + u64::from(output);
    let under_way = member.begin(tokens, Instant::now()).traced(span);
    let end = limits.end.min(Instant::now() + member.answer_limit);
    match ask(member, question, output, limits, end).await {
        Ok(Answer::Whole(whole)) => {
            under_way.began();
            under_way.span().whole(&whole.completion);
            under_way.succeeded();
            let (by, native) = (by(member), native(member, question).is_some());
            Ok(Begun { answer: Answer::Whole(whole), by, native, at: Instant::now() })
        }
        Ok(Answer::Stream(stream)) => {
            let native = native(member, question).is_some();
            let begun = first_token(stream, under_way, limits, end).await?;
            Ok(Begun { native, ..begun })
        }
        Err(error) => {
            under_way.failed(&error);
            Err(error)
        }
    }
}

async fn ask(
    member: &Member,
    question: &Question<'_>,
    max_output_tokens: u32,
    limits: Limits,
    end: Instant,
) -> Result<Answer, ProviderError> {
    let deployment = &member.deployment;
    let Some(provider) = &member.provider else { return Err(ProviderError::Cancelled) };
    let held;
    let native = native(member, question);
    let chat = match question.wanted {
        Wanted::Chat(chat) => *chat,
        Wanted::Inbound(..) if native.is_some() => &*NO_CHAT,
        Wanted::Inbound(_, read) => {
            held = read()?;
            &*held
        }
    };
    let mut own;
    let chat = match deployment.temperature {
        Some(temperature) if native.is_none() => {
            own = chat.clone();
            own.sampling.temperature = Some(temperature);
            &own
        }
        _ => chat,
    };
    let ask = Ask {
        model: &deployment.model,
        chat,
        native,
        stream: question.stream,
        max_output_tokens,
        structured_output: deployment.structured_output,
        takes_temperature: deployment.takes_temperature,
        aws: deployment.aws.as_ref(),
        step: question.step,
    };
    let all = end.saturating_duration_since(Instant::now());
    let first = Duration::from_secs(limits.time.first_token_seconds);
    let limit = if question.stream { all.min(first) } else { all };
    timeout(limit, provider.send(ask)).await.unwrap_or(Err(ProviderError::TimedOut { limit }))
}

/// The client's own bytes, where the deployment's provider takes them as they are.
pub(super) fn native<'a>(member: &Member, question: &Question<'a>) -> Option<&'a Inbound> {
    let Wanted::Inbound(inbound, _) = question.wanted else { return None };
    let dialect = member.provider.as_ref()?.dialect();
    (dialect == Some(inbound.dialect) && member.deployment.temperature.is_none()).then_some(*inbound)
}

/// Waits for the first piece that says something; an answer that fails before it may be asked for elsewhere.
async fn first_token(
    mut stream: PieceStream,
    under_way: UnderWay,
    limits: Limits,
    end: Instant,
) -> Result<Begun, ProviderError> {
    let limit = Duration::from_secs(limits.time.first_token_seconds);
    let until = (under_way.since() + limit).min(end);
    let mut held = VecDeque::new();
    loop {
        let next = timeout_at(until, stream.next()).await;
        let error = match next {
            Ok(Some(Ok(piece))) => {
                let says_something = piece.events.iter().any(|event| !matches!(event, Event::Begin { .. }));
                under_way.span().piece(&piece);
                held.push_back(piece);
                if says_something {
                    under_way.began();
                    let by = by(under_way.member());
                    let watched = Watched {
                        stream,
                        held,
                        under_way: Some(under_way),
                        between: Duration::from_secs(limits.time.between_tokens_seconds),
                        end,
                        stopped: false,
                    };
                    let answer = Answer::Stream(watched.into_stream());
                    return Ok(Begun { answer, by, native: false, at: Instant::now() });
                }
                continue;
            }
            Ok(Some(Err(error))) => error,
            Ok(None) => broken_off(),
            Err(_) => ProviderError::TimedOut { limit },
        };
        under_way.failed(&error);
        return Err(error);
    }
}

fn broken_off() -> ProviderError {
    ProviderError::Unavailable {
        status: None,
        retry_after: None,
        message: "the answer broke off before its end".to_owned(),
    }
}

/// A stream under its time limits, whose end is told to the deployment.
struct Watched {
    stream: PieceStream,
    held: VecDeque<Piece>,
    under_way: Option<UnderWay>,
    between: Duration,
    end: Instant,
    stopped: bool,
}

impl Watched {
    fn into_stream(self) -> PieceStream {
        let pieces = futures::stream::unfold(self, |mut watched| async move {
            let next = watched.next().await?;
            Some((next, watched))
        });
        Box::pin(pieces)
    }

    async fn next(&mut self) -> Option<Result<Piece, ProviderError>> {
        // After the end, or after an error, there is nothing more.
        self.under_way.as_ref()?;
        let piece = match self.held.pop_front() {
            Some(piece) => Ok(piece),
            None => {
                let limit = self.between;
                let until = (Instant::now() + limit).min(self.end);
                match timeout_at(until, self.stream.next()).await {
                    Ok(Some(piece)) => {
                        if let (Ok(piece), Some(under_way)) = (&piece, &self.under_way) {
                            under_way.span().piece(piece);
                        }
                        piece
                    }
                    Ok(None) if self.stopped => {
                        self.under_way.take()?.succeeded();
                        return None;
                    }
                    Ok(None) => Err(broken_off()),
                    Err(_) => Err(ProviderError::TimedOut { limit }),
                }
            }
        };
        match &piece {
            Ok(piece) => self.stopped |= piece.events.iter().any(|event| matches!(event, Event::Stop(_))),
            // What comes after the model stopped is only the count of tokens: the answer is whole.
            Err(_) if self.stopped => {
                self.under_way.take()?.succeeded();
                return None;
            }
            Err(error) => self.under_way.take()?.failed(error),
        }
        Some(piece)
    }
}

fn by(member: &Member) -> By {
    let Deployment { name, provider, model, region, aws, .. } = &member.deployment;
    let recorded = member.is_recording();
    By {
        deployment: name.clone(),
        provider: if recorded { "replay".to_owned() } else { provider.clone() },
        model: model.clone(),
        region: region.clone(),
        account: aws.as_ref().and_then(|aws| aws.account()).map(str::to_owned),
        price: member.price(),
        recorded,
    }
}
