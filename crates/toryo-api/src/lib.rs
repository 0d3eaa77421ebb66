//! HTTP: routes, webhooks, SSE, OpenAPI, and the web pages.
