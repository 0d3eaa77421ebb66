//! Where and as whom a deployment of Amazon Bedrock is called.

use super::BaseUrl;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Where and as whom a deployment of Amazon Bedrock is called, and what Bedrock itself watches over. Without a role
/// the credentials of the environment are used (variables, profile, web identity, instance role: the AWS SDK's order).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Aws {
    /// Such as `eu-central-1`. Default: the environment's.
    pub region: Option<String>,
    /// A role to assume through STS, such as `arn:aws:iam::111122223333:role/bedrock-role`.
    pub role_arn: Option<String>,
    /// How the session is called in the account's audit log. Default `toryo`.
    pub session_name: Option<String>,
    /// What the role's trust policy asks for, where it does.
    pub external_id: Option<String>,
    /// Where STS is, for a VPC endpoint. Default: the region's own.
    pub sts_endpoint: Option<BaseUrl>,
    /// A guardrail of Bedrock that looks at prompts and answers.
    pub guardrail_id: Option<String>,
    /// Its version. Default `DRAFT`.
    pub guardrail_version: Option<String>,
    /// Metadata of every request, for the account's invocation log: at most 16 pairs.
    pub request_metadata: BTreeMap<String, String>,
}

impl Aws {
    /// The account that pays, where the role names it.
    #[must_use]
    pub fn account(&self) -> Option<&str> {
        self.role_arn.as_deref()?.split(':').nth(4).filter(|account| !account.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_account_is_part_of_the_role() {
        let of =
            |arn: &str| Aws { role_arn: Some(arn.into()), ..Aws::default() }.account().map(str::to_owned);
        assert_eq!(of("arn:aws:iam::111122223333:role/bedrock-role").as_deref(), Some("111122223333"));
        assert_eq!(of("nonsense"), None);
        assert_eq!(Aws::default().account(), None);
    }
}
