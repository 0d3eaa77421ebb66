//! The API's look at a repository, through the forge.

use async_trait::async_trait;
use std::sync::Arc;
use toryo_api::ports::{RepositoryCheck, RepositoryError};
use toryo_domain::FailureClass;
use toryo_forge::Forge;

/// Checks repositories with a forge.
pub struct ForgeCheck(pub Arc<dyn Forge>);

#[async_trait]
impl RepositoryCheck for ForgeCheck {
    async fn check(&self, repo_url: &str, base_branch: Option<&str>) -> Result<(), RepositoryError> {
        self.0.check(repo_url, base_branch).await.map_err(|error| {
            let text = error.to_string();
            match (&error, error.class()) {
                (toryo_forge::Error::UnknownBranch { .. } | toryo_forge::Error::BadBranch { .. }, _) => {
                    RepositoryError::NoBranch(text)
                }
                (_, FailureClass::Input | FailureClass::Policy) => RepositoryError::Refused(text),
                _ => RepositoryError::Unavailable(text),
            }
        })
    }
}
