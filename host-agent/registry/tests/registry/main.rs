//! Filters pulled from a real registry (Debian's docker-registry), where `weir-oci` has put them; and what becomes of
//! registries that lie, or send us elsewhere.

mod access;
mod docker_registry;
mod front;
mod place;
mod pull;
mod redirect;
