//! The body of an import, as long as the disk has room.

use std::convert::Infallible;

use axum::body::Body;
use axum::extract::{FromRequest, Request};
use http_body_util::BodyExt;
use tokio::io::AsyncWriteExt;

use super::pieces::Spooled;
use crate::error::Error;
use crate::extract::BODY_READ_TIMEOUT;

/// A body that is taken as it comes.
pub(crate) struct Upload(pub(crate) Body);

impl<S: Send + Sync> FromRequest<S> for Upload {
    type Rejection = Infallible;

    async fn from_request(request: Request, _: &S) -> Result<Self, Infallible> {
        Ok(Upload(request.into_body()))
    }
}

/// Keeps the body in a file: nothing of it may count before all of it has come and was checked.
pub(super) async fn spool(mut body: Body) -> Result<Spooled, Error> {
    let file = tokio::task::spawn_blocking(tempfile::tempfile).await.map_err(|_| Error::Panicked)?;
    let mut file = tokio::fs::File::from_std(file.map_err(Error::Spool)?);
    loop {
        let frame = tokio::time::timeout(BODY_READ_TIMEOUT, body.frame()).await;
        match frame.map_err(|_| Error::BodyTimeout)? {
            Some(Ok(frame)) => {
                if let Ok(data) = frame.into_data() {
                    file.write_all(&data).await.map_err(Error::Spool)?;
                }
            }
            Some(Err(error)) => {
                tracing::debug!(%error, "read an import");
                return Err(Error::BodyIncomplete);
            }
            None => break,
        }
    }
    file.flush().await.map_err(Error::Spool)?;
    Ok(Spooled::new(file.into_std().await))
}
