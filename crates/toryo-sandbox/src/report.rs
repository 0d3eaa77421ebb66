//! Reports of test tools.
