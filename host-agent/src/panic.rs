//! What becomes of an agent in which something is wrong that can't be: it says so and ends.
//!
//! A panic is a fault of the agent's own, after which nobody knows what else doesn't hold. The shipped binary can't
//! contain one (it is built to abort), so none is contained in any build: whoever started the agent starts it anew,
//! and clients that follow go on by themselves.

/// Has every panic, on whatever thread, be logged and end the process by SIGABRT.
pub fn end_on_panic() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let message = panic.payload_as_str().unwrap_or_default();
        let thread = std::thread::current();
        let thread = thread.name().unwrap_or_default();
        tracing::error!(place, message, thread, "the agent ends for a fault of its own: please report it");
        std::process::abort();
    }));
}
