//! The views that the gateway follows, and whether they are current: a gateway that decides on old rows asks not to be
//! sent more requests. `run` starts it.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use service::ReadyFlag;
use store::{Changes, Store, Unavailable};

use crate::routes::Routes;
use crate::tokens::Tokens;

/// How often to look whether the views are current.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);

/// The followed views. What they say is in `tokens` and `routes` for as long as this lives.
pub(crate) struct Following {
    tokens: Changes<views::Tokens>,
    instances: Changes<views::Instances>,
}

impl Following {
    /// Follows both views. Returns when what is there has been taken over.
    pub(crate) async fn start(
        store: &Store,
        tokens: Arc<Tokens>,
        routes: Arc<Routes>,
    ) -> Result<Self, Unavailable> {
        let tokens =
            store.follow_changes::<views::Tokens>(move |id, row| tokens.change(id, row.map(AsRef::as_ref)));
        let instances = store
            .follow_changes::<views::Instances>(move |id, row| routes.change(id, row.map(AsRef::as_ref)));
        let (tokens, instances) = tokio::try_join!(tokens, instances)?;
        Ok(Self { tokens, instances })
    }

    fn is_current(&self) -> bool {
        self.tokens.is_current() && self.instances.is_current()
    }

    /// Raises the flag while both views are current, and lowers it while one is not. Ends only when it is dropped.
    pub(crate) async fn keep_flag(&self, ready: &ReadyFlag) -> Infallible {
        let mut looks = tokio::time::interval(LOOK_INTERVAL);
        let mut known = None;
        loop {
            looks.tick().await;
            let current = self.is_current();
            ready.set(current);
            if known.replace(current).is_some_and(|known| known != current) {
                match current {
                    true => tracing::info!("tokens and instances are current again"),
                    false => tracing::error!("tokens or instances are not current: the gateway is not ready"),
                }
            }
        }
    }
}
