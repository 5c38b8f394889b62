//! The time that a call to a database may take.

use std::{error::Error, time::Duration};

use crate::BackendError;

/// How long a call may take unless the host says otherwise: several times what a healthy database takes, and less than most
/// clients wait.
pub(super) const DEADLINE: Duration = Duration::from_secs(2);

/// What a database answers, or an error when it has not done so in time.
pub(super) async fn within<T, E>(
    deadline: Duration,
    answer: impl Future<Output = Result<T, E>>,
) -> Result<T, BackendError>
where
    E: Into<Box<dyn Error + Send + Sync>>,
{
    match tokio::time::timeout(deadline, answer).await {
        Ok(answer) => answer.map_err(BackendError::new),
        Err(elapsed) => Err(BackendError::new(elapsed)),
    }
}
