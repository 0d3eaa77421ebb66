//! Tests on real repositories, made with the `git` program in temporary folders.

mod commits;
mod fetching;
mod publishing;
mod repository;
