//! The connection to NATS: publish with deduplication, wake-ups, bells.

use crate::streams::{self, Subjects};
use crate::{Bell, Error};
use async_nats::client::SubscribeError;
use async_nats::jetstream::consumer::PullConsumer;
use async_nats::jetstream::consumer::pull::Batch;
use async_nats::jetstream::{self, AckKind, Message};
use async_nats::{Client, ConnectOptions, HeaderMap, Subscriber};
use bytes::Bytes;
use futures::stream::{SelectAll, select_all};
use futures::{StreamExt, TryStreamExt};
use std::sync::{Arc, Mutex as StdMutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{Mutex, watch};
use tokio_util::sync::CancellationToken;
use toryo_domain::{RunId, StepId};

/// A server that takes no message for so long refuses them; below it may just have been started.
pub const REFUSAL: Duration = Duration::from_secs(10);

/// How long one request to the server may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// A connection to the bus; cheap to clone. It reconnects by itself for ever: losing the server delays runs and
/// loses none.
#[derive(Clone)]
pub struct Bus {
    client: Client,
    jetstream: jetstream::Context,
    subjects: Subjects,
    /// `None` until the streams were reconciled, and again after the server lost them.
    consumer: Arc<Mutex<Option<PullConsumer>>>,
    bell: Bell,
    orders: Arc<watch::Sender<u64>>,
    /// Since when the server, though connected, takes no messages.
    refusing: Arc<StdMutex<Option<Instant>>>,
}

/// A wake-up: something is ready. What it is, Postgres knows.
#[derive(Debug)]
pub struct Wakeup(Message);

impl Bus {
    /// Connects, or goes on trying in the background where the server does not answer yet.
    ///
    /// # Errors
    /// The URL is not one.
    pub async fn connect(url: &str, subjects: Subjects) -> Result<Self, Error> {
        let (address, options) = credentials(url)?;
        let client = options
            .name("toryo")
            .retry_on_initial_connect()
            .request_timeout(Some(REQUEST_TIMEOUT))
            .connection_timeout(REQUEST_TIMEOUT)
            .ping_interval(Duration::from_secs(10))
            .connect(address)
            .await
            .map_err(Error::unavailable)?;
        let mut jetstream = jetstream::new(client.clone());
        jetstream.set_timeout(REQUEST_TIMEOUT);
        let orders = Arc::new(watch::channel(0).0);
        Ok(Self {
            client,
            jetstream,
            subjects,
            consumer: Arc::default(),
            bell: Bell::default(),
            orders,
            refusing: Arc::default(),
        })
    }

    /// Changes whenever a person has ordered something of a run, in whatever process, while [`listen`](Self::listen)
    /// runs: whoever executes steps looks whether they are still wanted. May miss one and may change for nothing.
    #[must_use]
    pub fn orders(&self) -> watch::Receiver<u64> {
        self.orders.subscribe()
    }

    /// The bells of runs, in this process. They ring while [`listen`](Self::listen) runs.
    #[must_use]
    pub fn bell(&self) -> Bell {
        self.bell.clone()
    }

    /// For how long the server has been there and taken no message: `None` where it took the last one, or is away. A server
    /// whose disk was full may go on refusing until it is started again.
    #[must_use]
    pub fn refusing_for(&self) -> Option<Duration> {
        self.refusing().map(|since| since.elapsed())
    }

    fn refusing(&self) -> MutexGuard<'_, Option<Instant>> {
        self.refusing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the server answers, takes messages, and the streams are as declared.
    ///
    /// # Errors
    /// They are not.
    pub async fn ping(&self) -> Result<(), Error> {
        if let Some(time) = self.refusing_for().filter(|time| *time >= REFUSAL) {
            return Err(Error::Refusing { seconds: time.as_secs() });
        }
        self.consumer().await.map(|_| ())?;
        tokio::time::timeout(REQUEST_TIMEOUT, self.client.flush())
            .await
            .map_err(Error::unavailable)?
            .map_err(Error::unavailable)
    }

    /// Waits at most `patience` until the server answers: a client that was just made is still connecting.
    ///
    /// # Errors
    /// It does not answer.
    pub async fn ready(&self, patience: Duration) -> Result<(), Error> {
        let until = tokio::time::Instant::now() + patience;
        loop {
            match self.ping().await {
                Err(_) if tokio::time::Instant::now() < until => {
                    tokio::time::sleep(Duration::from_millis(50)).await
                }
                answer => return answer,
            }
        }
    }

    /// Announces that a step may be claimed. `dedup_id` is that of step and attempt: a second announcement of
    /// the same is dropped by the server.
    ///
    /// # Errors
    /// The server did not confirm.
    pub async fn announce_ready(&self, dedup_id: &str, payload: Vec<u8>) -> Result<(), Error> {
        self.publish(self.subjects.step_ready(), dedup_id, payload).await
    }

    /// Announces a step that used up its attempts.
    ///
    /// # Errors
    /// The server did not confirm.
    pub async fn announce_dead(&self, dedup_id: &str, payload: Vec<u8>) -> Result<(), Error> {
        self.publish(self.subjects.step_dead(), dedup_id, payload).await
    }

    async fn publish(&self, subject: String, dedup_id: &str, payload: Vec<u8>) -> Result<(), Error> {
        let outcome = self.send(subject, dedup_id, payload).await;
        let mut refusing = self.refusing();
        match &outcome {
            Ok(()) => *refusing = None,
            // A server that is away refuses nothing.
            Err(_) if !self.is_connected() => *refusing = None,
            Err(_) => drop(refusing.get_or_insert_with(Instant::now)),
        }
        outcome
    }

    async fn send(&self, subject: String, dedup_id: &str, payload: Vec<u8>) -> Result<(), Error> {
        // Without its stream a subject has no subscriber, and the message would be lost.
        self.consumer().await?;
        let mut headers = HeaderMap::new();
        headers.insert(async_nats::header::NATS_MESSAGE_ID, dedup_id);
        let sent = async {
            let confirmation = self.jetstream.publish_with_headers(subject, headers, payload.into()).await?;
            confirmation.await
        };
        let outcome = tokio::time::timeout(REQUEST_TIMEOUT, sent).await;
        if !matches!(outcome, Ok(Ok(_))) {
            self.forget().await;
        }
        outcome.map_err(Error::unavailable)?.map_err(Error::unavailable)?;
        Ok(())
    }

    /// The next wake-up; `None` where there was none within `patience`.
    ///
    /// # Errors
    /// The server does not answer. The caller waits a moment and asks again.
    pub async fn next_wakeup(&self, patience: Duration) -> Result<Option<Wakeup>, Error> {
        self.wakeups(1, patience).await?.next().await
    }

    /// Asks for at most so many wake-ups within `patience`, in one request. Those that have come belong to the caller: it
    /// asks for no more than it can follow.
    ///
    /// # Errors
    /// The server does not answer. The caller waits a moment and asks again.
    pub async fn wakeups(&self, most: usize, patience: Duration) -> Result<Wakeups, Error> {
        let consumer = self.consumer().await?;
        let asked = consumer.fetch().max_messages(most).expires(patience).messages();
        let asked = tokio::time::timeout(REQUEST_TIMEOUT, asked).await;
        let messages = match asked {
            Ok(Ok(messages)) => messages,
            Ok(Err(error)) => {
                self.forget().await;
                return Err(Error::unavailable(error));
            }
            Err(late) => {
                self.forget().await;
                return Err(Error::unavailable(late));
            }
        };
        // The server ends the request itself; the second limit is for a server that is gone.
        let until = tokio::time::Instant::now() + patience + REQUEST_TIMEOUT;
        Ok(Wakeups { bus: self.clone(), messages, left: most, until })
    }

    /// Rings the bell of a run in every process. Best effort: a bell that nobody hears is made good by a timer.
    pub async fn ring(&self, run: RunId, seq: u64) {
        self.bell.ring(run, seq);
        // While the server is away the client's buffer fills up and would block whoever rings.
        if self.is_connected() {
            let subject = self.subjects.bell(&run);
            if let Err(error) = self.client.publish(subject, Bytes::from(seq.to_string())).await {
                tracing::debug!(%run, %error, "the bell of run {run} was not rung");
            }
        }
    }

    /// Says in every process that a person has ordered something of a run. Best effort, as [`ring`](Self::ring).
    pub async fn order(&self) {
        self.orders.send_modify(|count| *count += 1);
        if self.is_connected()
            && let Err(error) = self.client.publish(self.subjects.orders(), Bytes::new()).await
        {
            tracing::debug!(%error, "an order is heard of by the timer only");
        }
    }

    /// Hears the bells and orders of other processes, until `stop`.
    pub async fn listen(&self, stop: CancellationToken) {
        self.hear_all(&[self.subjects.orders(), self.subjects.every_bell()], stop).await;
    }

    /// As [`listen`](Self::listen), for a process in which nobody reads streams: the bells of all runs would only cost it
    /// time.
    pub async fn listen_to_orders(&self, stop: CancellationToken) {
        self.hear_all(&[self.subjects.orders()], stop).await;
    }

    async fn hear_all(&self, subjects: &[String], stop: CancellationToken) {
        while !stop.is_cancelled() {
            let heard = tokio::select! {
                () = stop.cancelled() => return,
                heard = self.subscribe(subjects) => heard,
            };
            match heard {
                Ok(mut heard) => {
                    while let Some(message) = tokio::select! {
                        () = stop.cancelled() => None,
                        message = heard.next() => message,
                    } {
                        self.hear(&message);
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot listen for new events; streams fall back to a timer")
                }
            }
            tokio::select! { () = stop.cancelled() => return, () = tokio::time::sleep(Duration::from_secs(1)) => {} }
        }
    }

    async fn subscribe(&self, subjects: &[String]) -> Result<SelectAll<Subscriber>, SubscribeError> {
        let subscribed = subjects.iter().map(|subject| self.client.subscribe(subject.clone()));
        Ok(select_all(futures::future::try_join_all(subscribed).await?))
    }

    fn hear(&self, ring: &async_nats::Message) {
        if ring.subject.as_str() == self.subjects.orders() {
            self.orders.send_modify(|count| *count += 1);
            return;
        }
        let run = ring.subject.as_str().rsplit('.').next().and_then(|run| run.parse::<RunId>().ok());
        let seq = std::str::from_utf8(&ring.payload).ok().and_then(|seq| seq.parse::<u64>().ok());
        if let (Some(run), Some(seq)) = (run, seq) {
            self.bell.ring(run, seq);
        }
    }

    async fn consumer(&self) -> Result<PullConsumer, Error> {
        // A request to a server that is known to be away would only cost the caller its time limit.
        if !self.is_connected() {
            return Err(Error::unavailable("not connected"));
        }
        let mut consumer = self.consumer.lock().await;
        if let Some(consumer) = consumer.as_ref() {
            return Ok(consumer.clone());
        }
        let reconciled =
            tokio::time::timeout(REQUEST_TIMEOUT, streams::reconcile(&self.jetstream, &self.subjects))
                .await
                .map_err(Error::unavailable)??;
        *consumer = Some(reconciled.clone());
        Ok(reconciled)
    }

    fn is_connected(&self) -> bool {
        self.client.connection_state() == async_nats::connection::State::Connected
    }

    /// After a failure the streams are looked at again: a server that was replaced may have lost them.
    async fn forget(&self) {
        *self.consumer.lock().await = None;
    }
}

/// Wake-ups that were asked for; see [`Bus::wakeups`].
pub struct Wakeups {
    bus: Bus,
    messages: Batch,
    left: usize,
    until: tokio::time::Instant,
}

impl Wakeups {
    /// Whether all have come that were asked for.
    #[must_use]
    pub const fn is_over(&self) -> bool {
        self.left == 0
    }

    /// The next one; `None` where no more will come. Cancelling loses none.
    ///
    /// # Errors
    /// The server does not answer. The caller waits a moment and asks again.
    pub async fn next(&mut self) -> Result<Option<Wakeup>, Error> {
        match tokio::time::timeout_at(self.until, self.messages.try_next()).await {
            Ok(Ok(message)) => {
                self.left = if message.is_some() { self.left.saturating_sub(1) } else { 0 };
                Ok(message.map(Wakeup))
            }
            Ok(Err(error)) => {
                self.bus.forget().await;
                Err(Error::Unavailable(error))
            }
            Err(late) => {
                self.bus.forget().await;
                Err(Error::unavailable(late))
            }
        }
    }
}

impl Wakeup {
    /// The step that it was sent for, as far as this version reads that: a hint.
    #[must_use]
    pub fn step(&self) -> Option<StepId> {
        let payload: serde_json::Value = serde_json::from_slice(&self.0.payload).ok()?;
        payload.get("step_id")?.as_str()?.parse().ok()
    }

    /// Says that what it announced is done or of no interest.
    pub async fn done(self) {
        if let Err(error) = self.0.ack().await {
            tracing::debug!(%error, "a wake-up was not acknowledged; it will come again and find nothing to do");
        }
    }

    /// Says that its step is still being worked on.
    pub async fn still_working(&self) {
        if let Err(error) = self.0.ack_with(AckKind::Progress).await {
            tracing::debug!(%error, "a wake-up was not extended");
        }
    }
}

/// Takes user and password, or a token, out of the URL, so that no log of the address shows them.
fn credentials(url: &str) -> Result<(String, ConnectOptions), Error> {
    let rest =
        url.strip_prefix("nats://").ok_or_else(|| Error::Url("it does not start with nats://".into()))?;
    let (login, address) = match rest.rsplit_once('@') {
        None => (None, rest),
        Some((login, address)) => (Some(login), address),
    };
    let options = match login.map(|login| login.split_once(':')) {
        None => ConnectOptions::new(),
        Some(None) => ConnectOptions::with_token(login.unwrap_or_default().to_owned()),
        Some(Some((user, password))) => {
            ConnectOptions::with_user_and_password(user.to_owned(), password.to_owned())
        }
    };
    Ok((format!("nats://{address}"), options))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_leave_the_address() {
        assert_eq!(credentials("nats://u:p@host:4222").unwrap().0, "nats://host:4222");
        assert_eq!(credentials("nats://token@host:4222").unwrap().0, "nats://host:4222");
        assert_eq!(credentials("nats://host").unwrap().0, "nats://host");
        assert!(credentials("http://host").is_err());
    }

    #[test]
    fn a_prefix_cannot_widen_a_subject() {
        assert!(Subjects::new("toryo-1").is_ok());
        for wrong in ["", "a.b", "*", ">", "a b"] {
            assert!(Subjects::new(wrong).is_err(), "{wrong:?} was accepted");
        }
    }
}
