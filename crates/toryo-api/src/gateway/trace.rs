//! The client's own span, so that a call of a model stands below it: `traceparent` of W3C's Trace Context.

use axum::http::HeaderMap;
use opentelemetry::Context;
use opentelemetry::trace::{
    FutureExt, SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState,
};

/// Runs a future below the span that the client told, where it told one.
pub(super) async fn under<T>(headers: &HeaderMap, work: impl Future<Output = T>) -> T {
    match headers.get("traceparent").and_then(|value| parent(value.to_str().ok()?)) {
        Some(parent) => {
            // Nothing of the process is above it.
            let context = Context::new().with_remote_span_context(parent);
            work.with_context(context).await
        }
        None => work.await,
    }
}

/// `00-TRACE-SPAN-FLAGS`. Later versions may have more after it, which is not for us.
fn parent(text: &str) -> Option<SpanContext> {
    let mut parts = text.split('-');
    let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let is_hex = |text: &str, digits: usize| {
        text.len() == digits && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    let sizes = [(version, 2), (trace, 32), (span, 16), (flags, 2)];
    if !sizes.iter().all(|(text, digits)| is_hex(text, *digits)) || version == "ff" {
        return None;
    }
    if version == "00" && parts.next().is_some() {
        return None;
    }
    let flags = TraceFlags::new(u8::from_str_radix(flags, 16).ok()?) & TraceFlags::SAMPLED;
    let trace = TraceId::from_hex(trace).ok()?;
    let context = SpanContext::new(trace, SpanId::from_hex(span).ok()?, flags, true, TraceState::default());
    context.is_valid().then_some(context)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parent_is_what_the_recommendation_says() {
        let (trace, span) = ("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331");
        let good = parent(&format!("00-{trace}-{span}-01")).unwrap();
        assert_eq!((good.trace_id().to_string(), good.span_id().to_string()), (trace.into(), span.into()));
        assert!(good.is_sampled() && good.is_remote());
        assert!(!parent(&format!("00-{trace}-{span}-00")).unwrap().is_sampled());
        assert!(parent(&format!("cc-{trace}-{span}-01-later")).is_some());
        let zeros = "0".repeat(32);
        for wrong in [
            String::new(),
            format!("00-{trace}-{span}"),
            format!("00-{trace}-{span}-01-more"),
            format!("ff-{trace}-{span}-01"),
            format!("00-{zeros}-{span}-01"),
            format!("00-{trace}-{}-01", &zeros[..16]),
            format!("00-{}-{span}-01", trace.to_uppercase()),
            format!("00-{}-{span}-01", &trace[1..]),
        ] {
            assert!(parent(&wrong).is_none(), "{wrong}");
        }
    }
}
