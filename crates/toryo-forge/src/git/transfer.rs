//! Moving commits between a mirror and a repository.
