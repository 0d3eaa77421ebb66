//! The loop of retries and fallbacks over scripted providers. Time is tokio's paused clock, so that waits are exact
//! and take none.

use super::*;
use crate::chat::{Completion, Event, Stop, Turn};
use crate::config::Config;
use crate::provider::{Ask, ModelProvider, Piece, Whole};
use async_trait::async_trait;
use futures::StreamExt;
use std::sync::Mutex;

/// What a provider does with one request.
#[derive(Clone)]
enum Does {
    Answers,
    Fails(ProviderError),
    Hangs,
    /// Answers after so many seconds.
    Slowly(u64),
    /// Streams these; `None` hangs.
    Streams(Vec<Option<Result<Event, ProviderError>>>),
}

#[derive(Default)]
struct Scripted {
    name: &'static str,
    does: Mutex<Vec<Does>>,
    asked: Mutex<Vec<(Duration, u32)>>,
    since: Option<Instant>,
}

#[async_trait]
impl ModelProvider for Scripted {
    async fn send(&self, ask: Ask<'_>) -> Result<Answer, ProviderError> {
        let at = self.since.map_or(Duration::ZERO, |since| since.elapsed());
        self.asked.lock().unwrap().push((at, ask.max_output_tokens));
        let does = {
            let mut does = self.does.lock().unwrap();
            if does.len() > 1 { does.remove(0) } else { does[0].clone() }
        };
        match does {
            Does::Answers => Ok(whole(self.name)),
            Does::Fails(error) => Err(error),
            Does::Hangs => std::future::pending().await,
            Does::Slowly(seconds) => {
                tokio::time::sleep(Duration::from_secs(seconds)).await;
                Ok(whole(self.name))
            }
            Does::Streams(events) => {
                Ok(Answer::Stream(Box::pin(futures::stream::iter(events).then(|event| async move {
                    match event {
                        Some(event) => event.map(|event| Piece { events: vec![event], native: None }),
                        None => std::future::pending().await,
                    }
                }))))
            }
        }
    }
}

fn whole(name: &str) -> Answer {
    let completion = Completion {
        id: String::new(),
        model: name.to_owned(),
        output: Vec::new(),
        stop: Stop::End,
        usage: Some(Usage { input: 1, output: 1, ..Usage::default() }),
    };
    Answer::Whole(Whole { completion, native: None })
}

struct Bed {
    router: Router,
    providers: BTreeMap<&'static str, Arc<Scripted>>,
}

/// Routes over the providers `a`, `b`, `c`, each with its script.
fn bed(routes: &str, scripts: &[(&'static str, Vec<Does>)]) -> Bed {
    let mut text = String::new();
    let mut providers = Providers::new();
    let mut by_name = BTreeMap::new();
    for (name, does) in scripts {
        text += &format!("[providers.{name}]\nbase_url = \"http://{name}.invalid\"\nkeyless = true\n");
        let provider = Arc::new(Scripted {
            name,
            does: Mutex::new(does.clone()),
            since: Some(Instant::now()),
            ..Scripted::default()
        });
        providers = providers.with(*name, Arc::clone(&provider) as Arc<dyn ModelProvider>);
        by_name.insert(*name, provider);
    }
    let config: Config = toml::from_str(&(text + routes)).unwrap();
    Bed { router: Router::new(&config.in_force().unwrap(), &providers), providers: by_name }
}

impl Bed {
    async fn ask(&self, stream: bool) -> Result<Routed, Error> {
        let chat = Chat { turns: vec![Turn::User(Vec::new())], ..Chat::default() };
        self.ask_with(|question| Question { stream, ..question }, &chat).await
    }

    async fn ask_with(
        &self,
        change: impl for<'a> Fn(Question<'a>) -> Question<'a>,
        chat: &Chat,
    ) -> Result<Routed, Error> {
        let wanted = Wanted::Chat(chat);
        let question = Question {
            route: "coder",
            wanted: &wanted,
            stream: false,
            max_output_tokens: Some(100),
            input_tokens: 1_000,
            step: None,
            work: Work::Unknown,
            complexity: 0.5,
            tags: &[],
            region: None,
        };
        self.router.ask(&change(question)).await
    }

    fn asked(&self, name: &str) -> usize {
        self.providers[name].asked.lock().unwrap().len()
    }
}

fn unavailable() -> ProviderError {
    ProviderError::Unavailable { status: Some(503), retry_after: None, message: "busy".into() }
}

fn rate_limited(seconds: Option<u64>) -> ProviderError {
    let retry_after = seconds.map(Duration::from_secs);
    ProviderError::RateLimited { retry_after, message: "slow down".into() }
}

const TWO: &str = "[routes.coder]\nmodel = \"m\"\nstrategy = \"round_robin\"\n\
     deployments = [{ provider = \"a\" }, { provider = \"b\" }]\n";

#[tokio::test(start_paused = true)]
async fn another_deployment_is_asked_at_once() {
    let bed = bed(TWO, &[("a", vec![Does::Fails(unavailable())]), ("b", vec![Does::Answers])]);
    let before = Instant::now();
    for _ in 0..4 {
        let routed = bed.ask(false).await.unwrap();
        assert_eq!(routed.by.provider, "b");
    }
    assert_eq!(before.elapsed(), Duration::ZERO);
    assert!(bed.asked("a") >= 1);
}

#[tokio::test(start_paused = true)]
async fn a_deployment_that_keeps_failing_is_left_alone_and_probed_later() {
    let mut fails = vec![Does::Fails(unavailable()); 5];
    fails.push(Does::Answers);
    let bed = bed(TWO, &[("a", fails), ("b", vec![Does::Answers])]);
    for _ in 0..40 {
        bed.ask(false).await.unwrap();
    }
    assert_eq!(bed.asked("a"), 5, "five failures open the breaker");
    tokio::time::advance(Duration::from_secs(15)).await;
    for _ in 0..4 {
        bed.ask(false).await.unwrap();
    }
    assert!(bed.asked("a") >= 7, "the probe closed it");
}

#[tokio::test(start_paused = true)]
async fn a_lower_order_is_asked_first_and_a_higher_one_only_in_need() {
    let routes = "[routes.coder]\nmodel = \"m\"\ndeployments = [{ provider = \"b\", order = 2 }, { provider = \"a\" }]\n";
    let works = bed(routes, &[("a", vec![Does::Answers]), ("b", vec![Does::Answers])]);
    for _ in 0..5 {
        works.ask(false).await.unwrap();
    }
    assert_eq!((works.asked("a"), works.asked("b")), (5, 0));
    let fails = bed(routes, &[("a", vec![Does::Fails(rate_limited(Some(600)))]), ("b", vec![Does::Answers])]);
    for _ in 0..5 {
        assert_eq!(fails.ask(false).await.unwrap().by.provider, "b");
    }
    assert_eq!(fails.asked("a"), 1, "it asked to be left alone for ten minutes");
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_was_asked_for_is_kept() {
    let routes = "[routes.coder]\nprovider = \"a\"\nmodel = \"m\"\n";
    let bed = bed(routes, &[("a", vec![Does::Fails(rate_limited(Some(20))), Does::Answers])]);
    let before = Instant::now();
    let routed = bed.ask(false).await.unwrap();
    assert_eq!(routed.attempts, 2);
    assert!(before.elapsed() >= Duration::from_secs(20) && before.elapsed() < Duration::from_secs(22));
}

#[tokio::test(start_paused = true)]
async fn falls_back_by_what_went_wrong_and_never_in_circles() {
    let routes = "[routes.coder]\nprovider = \"a\"\nmodel = \"m\"\nfallbacks = { context_window = [\"long\"], any = [\"backup\"] }\n\
         [routes.long]\nprovider = \"b\"\nmodel = \"m\"\nfallbacks = { any = [\"coder\", \"backup\"] }\n\
         [routes.backup]\nprovider = \"c\"\nmodel = \"m\"\nfallbacks = { any = [\"coder\", \"long\"] }\n";
    let too_long = || Does::Fails(ProviderError::ContextLength { message: "too long".into() });
    let works =
        bed(routes, &[("a", vec![too_long()]), ("b", vec![Does::Answers]), ("c", vec![Does::Answers])]);
    let routed = works.ask(false).await.unwrap();
    assert_eq!((routed.route.as_str(), routed.attempts), ("long", 2));
    let nobody = bed(
        routes,
        &[
            ("a", vec![too_long()]),
            ("b", vec![Does::Fails(unavailable())]),
            ("c", vec![Does::Fails(ProviderError::KeyRefused { status: 401 })]),
        ],
    );
    let Err(Error::Provider { provider, source, .. }) = nobody.ask(false).await else { panic!("answered") };
    assert_eq!((provider.as_str(), source), ("c", ProviderError::KeyRefused { status: 401 }));
    assert_eq!((nobody.asked("a"), nobody.asked("b"), nobody.asked("c")), (1, 2, 1));
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_wrong_is_not_tried_elsewhere() {
    let rejected = ProviderError::Rejected { status: 400, message: "no such parameter".into() };
    let bed = bed(TWO, &[("a", vec![Does::Fails(rejected.clone())]), ("b", vec![Does::Fails(rejected)])]);
    bed.ask(false).await.unwrap_err();
    assert_eq!(bed.asked("a") + bed.asked("b"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_breaks_before_its_first_token_is_asked_for_elsewhere() {
    let begin = || Some(Ok(Event::Begin { id: "1".into(), model: "m".into() }));
    let good = vec![begin(), Some(Ok(Event::Text("hi".into()))), Some(Ok(Event::Stop(Stop::End)))];
    for broken in [vec![begin(), Some(Err(unavailable()))], vec![begin()], vec![begin(), None], vec![]] {
        let routes = "[routes.coder]\nmodel = \"m\"\ndeployments = [{ provider = \"a\" }, { provider = \"b\", order = 2 }]\n";
        let bed =
            bed(routes, &[("a", vec![Does::Streams(broken)]), ("b", vec![Does::Streams(good.clone())])]);
        let routed = bed.ask(true).await.unwrap();
        assert_eq!(routed.by.provider, "b");
        let Answer::Stream(stream) = routed.answer else { panic!("whole") };
        let events: Vec<Event> = stream
            .map(|piece| piece.unwrap().events)
            .collect::<Vec<_>>()
            .await
            .into_iter()
            .flatten()
            .collect();
        assert_eq!(Completion::from_events(events).unwrap().text(), "hi");
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_breaks_later_ends_with_an_error_and_is_asked_for_nowhere_else() {
    for (broken, timed_out) in [(Some(Err(unavailable())), false), (None, true)] {
        let events = vec![Some(Ok(Event::Text("half an".into()))), broken];
        let bed = bed(TWO, &[("a", vec![Does::Streams(events.clone())]), ("b", vec![Does::Streams(events)])]);
        let routed = bed.ask(true).await.unwrap();
        let Answer::Stream(stream) = routed.answer else { panic!("whole") };
        let pieces: Vec<_> = stream.collect().await;
        assert_eq!(pieces.len(), 2);
        let error = pieces[1].clone().unwrap_err();
        assert_eq!(matches!(error, ProviderError::TimedOut { .. }), timed_out, "{error}");
        assert_eq!(bed.asked("a") + bed.asked("b"), 1);
    }
    // A stream that just ends is broken too, but one that only lacks its count of tokens is whole.
    let cut = vec![Some(Ok(Event::Text("half".into())))];
    let whole =
        vec![Some(Ok(Event::Text("all".into()))), Some(Ok(Event::Stop(Stop::End))), Some(Err(unavailable()))];
    for (events, good) in [(cut, false), (whole, true)] {
        let bed = bed(TWO, &[("a", vec![Does::Streams(events.clone())]), ("b", vec![Does::Streams(events)])]);
        let Answer::Stream(stream) = bed.ask(true).await.unwrap().answer else { panic!("whole") };
        let last = stream.collect::<Vec<_>>().await.pop().unwrap();
        assert_eq!(last.is_ok(), good);
    }
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_hangs_is_given_up_in_time() {
    let routes = "[routes.coder]\nmodel = \"m\"\ntime = { answer_seconds = 30 }\nattempts = 2\n\
         deployments = [{ provider = \"a\" }, { provider = \"b\", order = 2 }]\n";
    let bed = bed(routes, &[("a", vec![Does::Hangs]), ("b", vec![Does::Answers])]);
    let before = Instant::now();
    assert_eq!(bed.ask(false).await.unwrap().by.provider, "b");
    assert_eq!(before.elapsed(), Duration::from_secs(30));
}

#[tokio::test(start_paused = true)]
async fn a_slow_first_gets_company_and_the_first_to_answer_counts() {
    let routes = "[routes.coder]\nmodel = \"m\"\nhedge_after_ms = 2000\n\
         deployments = [{ provider = \"a\" }, { provider = \"b\", order = 2 }]\n";
    let slow = bed(routes, &[("a", vec![Does::Slowly(60)]), ("b", vec![Does::Slowly(1)])]);
    let before = Instant::now();
    let routed = slow.ask(false).await.unwrap();
    assert_eq!((routed.by.provider.as_str(), routed.attempts), ("b", 2));
    assert_eq!(before.elapsed(), Duration::from_secs(3));
    let quick = bed(routes, &[("a", vec![Does::Slowly(1)]), ("b", vec![Does::Answers])]);
    assert_eq!(quick.ask(false).await.unwrap().by.provider, "a");
    assert_eq!(quick.asked("b"), 0);
    assert_eq!(quick.router.routes["coder"].members.iter().map(|member| member.under_way()).sum::<u32>(), 0);
}

#[tokio::test(start_paused = true)]
async fn regions_tags_and_windows_decide_who_may_answer() {
    let routes = "[routes.coder]\nmodel = \"m\"\ndeployments = [\
         { provider = \"a\", region = \"us\", context_tokens = 100 }, { provider = \"b\", region = \"eu\", tags = [\"gdpr\"] }]\n";
    let bed = bed(routes, &[("a", vec![Does::Answers]), ("b", vec![Does::Answers])]);
    let chat = Chat::default();
    static GDPR: std::sync::LazyLock<[String; 1]> = std::sync::LazyLock::new(|| ["gdpr".to_owned()]);
    for _ in 0..5 {
        let by_window = bed.ask_with(|question| question, &chat).await.unwrap();
        assert_eq!(by_window.by.region.as_deref(), Some("eu"), "1,000 tokens do not fit into 100");
        let by_tag =
            bed.ask_with(|question| Question { input_tokens: 1, tags: &*GDPR, ..question }, &chat).await;
        assert_eq!(by_tag.unwrap().by.provider, "b");
    }
    let nowhere = bed.ask_with(|question| Question { region: Some("jp"), ..question }, &chat).await;
    assert!(nowhere.unwrap_err().to_string().contains("failed"), "no deployment there");
    assert_eq!(bed.asked("a"), 0);
}

#[tokio::test(start_paused = true)]
async fn what_a_provider_allows_a_minute_is_not_exceeded() {
    let routes = "[routes.coder]\nmodel = \"m\"\ndeployments = [{ provider = \"a\", rpm = 3 }, { provider = \"b\", order = 2 }]\n";
    let bed = bed(routes, &[("a", vec![Does::Answers]), ("b", vec![Does::Answers])]);
    for _ in 0..10 {
        bed.ask(false).await.unwrap();
    }
    assert_eq!((bed.asked("a"), bed.asked("b")), (3, 7));
    tokio::time::advance(Duration::from_secs(60)).await;
    bed.ask(false).await.unwrap();
    assert_eq!(bed.asked("a"), 4);
}

#[tokio::test(start_paused = true)]
async fn strategies_choose_as_they_are_called() {
    let with = |strategy: &str| {
        let routes = format!(
            "[routes.coder]\nmodel = \"m\"\nstrategy = \"{strategy}\"\ndeployments = [\
             {{ provider = \"a\", weight = 3, rpm = 100, price = {{ input = 5, cached_input = 1, output = 5 }} }},\
             {{ provider = \"b\", weight = 1, rpm = 10, price = {{ input = 1, cached_input = 1, output = 1 }} }}]\n"
        );
        bed(&routes, &[("a", vec![Does::Slowly(2)]), ("b", vec![Does::Slowly(1)])])
    };
    let mut counts = BTreeMap::new();
    for strategy in ["simple_shuffle", "round_robin", "latency", "lowest_cost", "usage"] {
        let bed = with(strategy);
        for _ in 0..8 {
            bed.ask(false).await.unwrap();
        }
        counts.insert(strategy, (bed.asked("a"), bed.asked("b")));
    }
    assert_eq!(counts["round_robin"], (4, 4));
    assert_eq!(counts["latency"], (1, 7), "each is tried, then the quicker one");
    assert_eq!(counts["lowest_cost"], (0, 8));
    assert!(counts["usage"].0 > counts["usage"].1, "{counts:?}: the one with more room");
    let shuffled = with("simple_shuffle");
    for _ in 0..400 {
        tokio::time::advance(Duration::from_secs(60)).await;
        shuffled.ask(false).await.unwrap();
    }
    // 300 of 400 are expected; the standard deviation is 8.7, so that eight of them are practically never passed.
    assert!((230..=370).contains(&shuffled.asked("a")), "{}", shuffled.asked("a"));
    let busy = with("least_busy");
    let both = tokio::join!(busy.ask(false), busy.ask(false));
    assert_ne!(both.0.unwrap().by.provider, both.1.unwrap().by.provider);
}

#[test]
fn the_worst_case_is_that_of_the_dearest_who_may_answer() {
    let routes = "[routes.coder]\nprovider = \"a\"\nmodel = \"m\"\nprice = { input = 1, cached_input = 1, output = 1 }\nfallbacks = { any = [\"dear\"] }\n\
         [routes.dear]\nprovider = \"b\"\nmodel = \"m\"\nhedge_after_ms = 5\nprice = { input = 10, cached_input = 1, output = 10, cache_write = 20 }\nfallbacks = { any = [\"coder\"] }\n";
    let config: Config =
        toml::from_str(&format!("[providers.a]\nkeyless = true\n[providers.b]\nkeyless = true\n{routes}"))
            .unwrap();
    let provider = || Arc::new(Scripted { does: Mutex::new(vec![Does::Answers]), ..Scripted::default() });
    let providers = Providers::new().with("a", provider()).with("b", provider());
    let router = Router::new(&config.in_force().unwrap(), &providers);
    let (chat, none) = (Chat::default(), []);
    let wanted = Wanted::Chat(&chat);
    let question = Question {
        route: "coder",
        wanted: &wanted,
        stream: false,
        max_output_tokens: Some(100),
        input_tokens: 1_000,
        step: None,
        work: Work::Unknown,
        complexity: 0.5,
        tags: &none,
        region: None,
    };
    let worst = router.worst_case(&question).unwrap();
    assert_eq!(worst, WorstCase { usd: Usd::from_nanos(2 * (1_000 * 20_000 + 100 * 10_000)), tokens: 2_200 });
}
