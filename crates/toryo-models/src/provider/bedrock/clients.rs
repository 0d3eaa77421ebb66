//! One client of the SDK for each account, role and region, kept for the life of the process. The SDK's own cache
//! renews a role's credentials before they expire.

use crate::config::{Aws, BaseUrl, Provider};
use crate::provider::http::LARGEST_ANSWER;
use aws_config::sts::AssumeRoleProvider;
use aws_sdk_bedrockruntime::Client;
use aws_sdk_bedrockruntime::config::retry::RetryConfig;
use aws_sdk_bedrockruntime::config::timeout::TimeoutConfig;
use aws_sdk_bedrockruntime::config::{
    BehaviorVersion, Builder, Credentials, HttpClient, Region, RuntimeComponents, SharedHttpClient,
    StalledStreamProtectionConfig,
};
use aws_smithy_http_client::tls::Provider as Tls;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::body::SdkBody;
use http_body_util::Limited;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::OnceCell;

/// What makes two deployments share a client.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Identity {
    region: Option<String>,
    role_arn: Option<String>,
    session_name: Option<String>,
    external_id: Option<String>,
    sts_endpoint: Option<String>,
}

pub(super) struct Clients {
    http: SharedHttpClient,
    endpoint: Option<String>,
    timeouts: TimeoutConfig,
    pub(super) credentials: Option<Credentials>,
    /// As many as there are different deployments in the configuration.
    by_identity: Mutex<HashMap<Identity, Arc<OnceCell<Client>>>>,
}

impl Clients {
    pub(super) fn new(config: &Provider) -> Self {
        let http =
            aws_smithy_http_client::Builder::new().tls_provider(Tls::Rustls(CryptoMode::Ring)).build_https();
        // A provider's default is OpenAI's address: nothing was written.
        let written = config.base_url != BaseUrl::open_ai();
        Self {
            http: SharedHttpClient::new(Bounded(http)),
            endpoint: written.then(|| config.base_url.as_str().to_owned()),
            timeouts: TimeoutConfig::builder()
                .connect_timeout(Duration::from_secs(config.connect_timeout_seconds))
                // Until the answer begins; the caller limits the rest.
                .read_timeout(config.timeout())
                .build(),
            credentials: None,
            by_identity: Mutex::default(),
        }
    }

    pub(super) async fn of(&self, aws: &Aws) -> Client {
        let identity = Identity {
            region: aws.region.clone(),
            role_arn: aws.role_arn.clone(),
            session_name: aws.session_name.clone(),
            external_id: aws.external_id.clone(),
            sts_endpoint: aws.sts_endpoint.as_ref().map(|url| url.as_str().to_owned()),
        };
        let cell = {
            let mut clients = self.by_identity.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(clients.entry(identity).or_default())
        };
        cell.get_or_init(|| self.connect(aws)).await.clone()
    }

    async fn connect(&self, aws: &Aws) -> Client {
        let mut loader = aws_config::defaults(BehaviorVersion::latest())
            .http_client(self.http.clone())
            .timeout_config(self.timeouts.clone())
            .retry_config(RetryConfig::disabled())
            // A model that thinks sends nothing for minutes.
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
        if let Some(region) = &aws.region {
            loader = loader.region(Region::new(region.clone()));
        }
        if let Some(credentials) = &self.credentials {
            loader = loader.credentials_provider(credentials.clone());
        }
        let shared = loader.load().await;
        let mut config = Builder::from(&shared);
        config.set_endpoint_url(self.endpoint.clone());
        if let Some(role) = &aws.role_arn {
            let sts = aws.sts_endpoint.as_ref().map(|url| url.as_str().to_owned());
            let mut sts_config = shared.to_builder();
            sts_config.set_endpoint_url(sts.or_else(|| shared.endpoint_url().map(str::to_owned)));
            let mut provider = AssumeRoleProvider::builder(role)
                .session_name(aws.session_name.as_deref().unwrap_or("toryo"))
                .configure(&sts_config.build());
            if let Some(id) = &aws.external_id {
                provider = provider.external_id(id);
            }
            config = config.credentials_provider(provider.build().await);
        }
        Client::from_conf(config.build())
    }
}

/// An HTTP client whose answers end, with an error, at [`LARGEST_ANSWER`]: the SDK itself reads without a limit.
#[derive(Debug, Clone)]
struct Bounded(SharedHttpClient);

#[derive(Debug)]
struct BoundedConnector(SharedHttpConnector);

impl HttpClient for Bounded {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(BoundedConnector(self.0.http_connector(settings, components)))
    }
}

impl HttpConnector for BoundedConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let answer = self.0.call(request);
        HttpConnectorFuture::new(async move {
            let mut answer = answer.await?;
            let body = std::mem::replace(answer.body_mut(), SdkBody::taken());
            *answer.body_mut() = SdkBody::from_body_1_x(Limited::new(body, LARGEST_ANSWER));
            Ok(answer)
        })
    }
}
