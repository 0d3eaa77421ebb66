//! Where repositories and pull requests live: the Forge port, the local adapter, git work.
