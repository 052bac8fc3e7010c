//! Runs the real `weir` on real log trees, as a user would.

mod agent;
mod counts;
mod demo;
mod exit_codes;
mod filters;
mod follow;
mod formats;
mod inputs;
mod listings;
mod program;
mod sample;
mod terminal;
