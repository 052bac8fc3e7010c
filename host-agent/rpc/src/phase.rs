//! The phases of a server's life: it serves, it drains, it cuts what is still there.

use tokio::sync::watch;

/// One phase. They come in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// Everything is served.
    Serving,
    /// Running queries may end; nothing new is taken.
    Draining,
    /// Connections are cut.
    Cut,
}

/// Starts in [`Phase::Serving`].
pub(crate) fn phases() -> (watch::Sender<Phase>, Phases) {
    let (sender, receiver) = watch::channel(Phase::Serving);
    (sender, Phases(receiver))
}

/// Follows the phase. A server that is gone counts as cut.
#[derive(Clone)]
pub(crate) struct Phases(watch::Receiver<Phase>);

impl Phases {
    /// Waits for [`Phase::Draining`], or what comes after it.
    pub(crate) async fn draining(&mut self) {
        self.reached(Phase::Draining).await;
    }

    /// Waits for [`Phase::Cut`].
    pub(crate) async fn cut(mut self) {
        self.reached(Phase::Cut).await;
    }

    /// Whether it is [`Phase::Cut`] now.
    pub(crate) fn is_cut(&self) -> bool {
        *self.0.borrow() == Phase::Cut
    }

    async fn reached(&mut self, phase: Phase) {
        if self.0.wait_for(|now| *now >= phase).await.is_err() {
            tracing::debug!(?phase, "the server is gone");
        }
    }
}
