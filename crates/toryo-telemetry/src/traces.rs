//! Spans of model calls, exported by OTLP.
//!
//! A thread of its own sends them in batches over HTTP. The queue is bounded: where the receiver does not keep up spans
//! are dropped, and no call waits.

use crate::Error;
use opentelemetry::trace::TracerProvider;
use opentelemetry::{Array, KeyValue, StringValue, Value};
use opentelemetry_otlp::{Protocol, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SdkTracerProvider, SpanData, SpanExporter};
use secrecy::{ExposeSecret, SecretString};
use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::time::Duration;
use tracing::Subscriber;
use tracing_subscriber::Layer;
use tracing_subscriber::registry::LookupSpan;

/// How long the last spans may take at the end of the process.
const LAST: Duration = Duration::from_secs(5);
/// Attributes that are lists of texts by the conventions; `tracing` knows single values only.
const LISTS: [&str; 1] = ["gen_ai.response.finish_reasons"];

/// The exporter of the process, so that its last spans can be sent.
static PROVIDER: OnceLock<SdkTracerProvider> = OnceLock::new();

/// Where spans go.
#[derive(Debug, Clone, Default)]
pub struct Traces {
    /// The receiver's address without `/v1/traces`. `None`: the variables `OTEL_EXPORTER_OTLP_*` say it.
    pub endpoint: Option<String>,
    /// Headers of every request, such as `authorization`. Those of the variables hold besides.
    pub headers: BTreeMap<String, SecretString>,
    /// The version of this service.
    pub version: String,
}

impl Traces {
    /// The layer that exports.
    pub(crate) fn layer<S>(&self) -> Result<impl Layer<S> + use<S>, Error>
    where
        S: Subscriber + for<'span> LookupSpan<'span>,
    {
        let headers =
            self.headers.iter().map(|(name, value)| (name.clone(), value.expose_secret().to_owned()));
        let mut exporter = opentelemetry_otlp::SpanExporter::builder()
            .with_http()
            .with_protocol(Protocol::HttpBinary)
            .with_headers(headers.collect());
        if let Some(endpoint) = &self.endpoint {
            exporter = exporter.with_endpoint(format!("{}/v1/traces", endpoint.trim_end_matches('/')));
        }
        let exporter = exporter.build().map_err(|error| Error::Traces(error.to_string()))?;
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(Lists(exporter))
            .with_resource(resource(&self.version))
            .build();
        let layer = tracing_opentelemetry::layer()
            .with_tracer(provider.tracer("toryo"))
            .with_location(false)
            .with_threads(false)
            .with_level(false)
            .with_target(false)
            .with_tracked_inactivity(false);
        PROVIDER.set(provider).map_err(|_| Error::Twice)?;
        Ok(layer)
    }
}

/// Sends the spans that are still here, for five seconds at most. Blocks: call it outside of a runtime.
pub fn finish() {
    if let Some(provider) = PROVIDER.get()
        && let Err(error) = provider.shutdown_with_timeout(LAST)
    {
        tracing::warn!(%error, "the last spans were not sent");
    }
}

/// `toryo`, unless `OTEL_SERVICE_NAME` or `OTEL_RESOURCE_ATTRIBUTES` say otherwise.
fn resource(version: &str) -> Resource {
    let said = Resource::builder().build();
    let name = said.get(&"service.name".into()).map(|name| name.to_string()).unwrap_or_default();
    let named = !name.is_empty() && !name.starts_with("unknown_service");
    let builder = Resource::builder().with_attribute(KeyValue::new("service.version", version.to_owned()));
    if named { builder.build() } else { builder.with_service_name("toryo").build() }
}

/// Makes lists of the attributes that are lists.
#[derive(Debug)]
struct Lists<E>(E);

impl<E: SpanExporter> SpanExporter for Lists<E> {
    async fn export(&self, mut batch: Vec<SpanData>) -> OTelSdkResult {
        for attribute in batch.iter_mut().flat_map(|span| &mut span.attributes) {
            if LISTS.contains(&attribute.key.as_str())
                && let Value::String(one) = &attribute.value
            {
                let one: StringValue = one.clone();
                attribute.value = Value::Array(Array::String(vec![one]));
            }
        }
        self.0.export(batch).await
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.0.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.0.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.0.set_resource(resource);
    }
}
