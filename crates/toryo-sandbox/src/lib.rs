//! Runs a repository's commands in isolation: the Sandbox port, the Docker adapter, report parsers.
