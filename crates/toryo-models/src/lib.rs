//! The model gateway: providers, routes, retries, pricing, the reply journal.
