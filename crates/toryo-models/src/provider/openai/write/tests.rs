//! Texts of requests.
