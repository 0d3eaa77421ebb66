//! A stream of server-sent events as a stream of [`Piece`]s: pulls the body, cuts it into events, hands them to the
//! adapter's decoder. Dropping it closes the connection.

use super::http::LARGEST_ANSWER;
use super::sse::{self, LARGEST_EVENT, Sse};
use super::{Piece, PieceStream, ProviderError, failure};
use bytes::Bytes;
use futures::Stream;
use reqwest::Response;
use secrecy::SecretString;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Sleep, sleep};

/// How long a server may take to end a body after its last event. A body that is read to its end leaves the
/// connection for the next request; one that never ends is not worth more than a new connection.
const GRACE: Duration = Duration::from_secs(1);

/// What an adapter makes of events.
pub(super) trait Decode: Send + Unpin + 'static {
    /// Reads one event; `None` where nobody needs to hear of it.
    fn event(&mut self, event: sse::Event) -> Result<Option<Piece>, ProviderError>;

    /// The last event of the protocol was read.
    fn is_over(&self) -> bool;

    /// The body ended: what is left to say, or why that was too early.
    fn end(&mut self) -> Result<Option<Piece>, ProviderError>;

    /// The model stopped: an answer whose connection breaks later is whole.
    fn has_stopped(&self) -> bool;
}

type Body = Pin<Box<dyn Stream<Item = reqwest::Result<Bytes>> + Send>>;

struct Pieces<D> {
    body: Option<Body>,
    sse: Sse,
    decoder: D,
    key: Arc<SecretString>,
    grace: Option<Pin<Box<Sleep>>>,
    /// Bytes so far.
    size: usize,
}

/// The pieces of an answer.
pub(super) fn of(response: Response, decoder: impl Decode, key: Arc<SecretString>) -> PieceStream {
    let body: Body = Box::pin(response.bytes_stream());
    Box::pin(Pieces { body: Some(body), sse: Sse::default(), decoder, key, grace: None, size: 0 })
}

impl<D: Decode> Pieces<D> {
    /// The next event that somebody needs to hear of.
    fn next_event(&mut self) -> Result<Option<Piece>, ProviderError> {
        while !self.decoder.is_over() {
            let too_long =
                |_| failure::not_an_answer(&format!("an event of more than {LARGEST_EVENT} bytes"));
            let Some(event) = self.sse.next().map_err(too_long)? else { return Ok(None) };
            if let Some(piece) = self.decoder.event(event)? {
                return Ok(Some(piece));
            }
        }
        Ok(None)
    }

    fn fail(&mut self, error: ProviderError) -> Poll<Option<Result<Piece, ProviderError>>> {
        self.body = None;
        Poll::Ready(Some(Err(error)))
    }

    fn end(&mut self) -> Poll<Option<Result<Piece, ProviderError>>> {
        self.body = None;
        Poll::Ready(self.decoder.end().transpose())
    }
}

impl<D: Decode> Stream for Pieces<D> {
    type Item = Result<Piece, ProviderError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        loop {
            if this.body.is_none() {
                return Poll::Ready(None);
            }
            match this.next_event() {
                Ok(None) => {}
                Ok(Some(piece)) => return Poll::Ready(Some(Ok(piece))),
                Err(error) => return this.fail(error),
            }
            let Some(body) = this.body.as_mut() else { return Poll::Ready(None) };
            match body.as_mut().poll_next(cx) {
                // What follows the last event means nothing, and may never end.
                Poll::Ready(Some(Ok(_))) if this.decoder.is_over() => return this.end(),
                Poll::Ready(Some(Ok(piece))) => {
                    this.size += piece.len();
                    if this.size > LARGEST_ANSWER {
                        let error = failure::not_an_answer(&format!("more than {LARGEST_ANSWER} bytes"));
                        return this.fail(error);
                    }
                    this.sse.push(piece);
                }
                Poll::Ready(Some(Err(error))) if !this.decoder.has_stopped() => {
                    let error = failure::of_connection(error, &this.key);
                    return this.fail(error);
                }
                Poll::Ready(None | Some(Err(_))) => return this.end(),
                Poll::Pending if this.decoder.is_over() => {
                    let grace = this.grace.get_or_insert_with(|| Box::pin(sleep(GRACE)));
                    return if grace.as_mut().poll(cx).is_ready() { this.end() } else { Poll::Pending };
                }
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}
