//! A streamed answer on its way to the client.

use super::bill::Bill;
use super::kept::Keeping;
use crate::chat::Event;
use crate::dialect::{Refused, Writer};
use crate::mask::Restorer;
use crate::provider::{Piece, PieceStream, ProviderError};
use bytes::Bytes;
use futures::{FutureExt, Stream, StreamExt};
use std::pin::Pin;
use std::time::Duration;
use tokio::time::timeout;

/// After this much silence the client is shown that the connection lives.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// The pieces of an answer as server-sent events. The bill is settled before the last one is handed out. Pieces that
/// are there already go out together.
pub(super) fn events(
    pieces: PieceStream,
    writer: Writer,
    bill: Bill,
    native: bool,
    keeping: Option<Keeping>,
    restorer: Option<Restorer>,
) -> Pin<Box<dyn Stream<Item = Bytes> + Send>> {
    let answer = OnItsWay { pieces, writer, bill: Some(bill), native, keeping, restorer };
    Box::pin(futures::stream::unfold(answer, |mut answer| async move {
        let bytes = answer.next().await?;
        Some((bytes, answer))
    }))
}

struct OnItsWay {
    pieces: PieceStream,
    writer: Writer,
    /// `None` once the answer has ended.
    bill: Option<Bill>,
    native: bool,
    keeping: Option<Keeping>,
    /// Puts back what was masked, last of all: neither the bill nor the cache see it.
    restorer: Option<Restorer>,
}

impl OnItsWay {
    async fn next(&mut self) -> Option<Bytes> {
        while self.bill.is_some() {
            match timeout(HEARTBEAT, self.pieces.next()).await {
                Ok(piece) => {
                    self.take(piece);
                    while self.bill.is_some()
                        && let Some(more) = self.pieces.next().now_or_never()
                    {
                        self.take(more);
                    }
                }
                Err(_) => self.writer.ping(),
            }
            let bytes = self.writer.take();
            if !bytes.is_empty() {
                return Some(bytes);
            }
        }
        None
    }

    fn take(&mut self, piece: Option<Result<Piece, ProviderError>>) {
        match piece {
            Some(Ok(piece)) => self.write(&piece),
            Some(Err(error)) => {
                self.show(Restorer::finish);
                self.writer.failed(&Refused::from(&error));
                // Those that wait for this answer need not wait any longer.
                self.keeping = None;
                if let Some(bill) = self.bill.take() {
                    bill.broke(&error);
                }
            }
            None => {
                let settled = self.bill.take().map_or(Ok(toryo_domain::Usd::ZERO), Bill::ended);
                match settled {
                    Ok(_) => {
                        self.writer.finish();
                        if let Some(keeping) = self.keeping.take() {
                            keeping.ended();
                        }
                    }
                    Err(refused) => self.writer.failed(&refused),
                }
            }
        }
    }

    fn show(&mut self, restored: impl FnOnce(&mut Restorer, &mut Vec<Event>)) {
        let mut out = Vec::new();
        if let Some(restorer) = &mut self.restorer {
            restored(restorer, &mut out);
        }
        out.iter().for_each(|event| self.writer.push(event));
    }

    fn write(&mut self, piece: &Piece) {
        for event in &piece.events {
            if let Some(bill) = &mut self.bill {
                bill.piece(event);
            }
            if let Some(keeping) = &mut self.keeping {
                keeping.piece(event);
            }
            if !self.native {
                if self.restorer.is_some() {
                    self.show(|restorer, out| restorer.event(event.clone(), out));
                } else {
                    self.writer.push(event);
                }
            } else if matches!(event, Event::Stop(_)) {
                self.writer.stopped();
            }
        }
        if let Some(native) = piece.native.as_ref().filter(|_| self.native) {
            self.writer.native(native);
        }
    }
}
