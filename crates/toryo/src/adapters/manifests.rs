//! The agents' manifests as the API shows them.

use toryo_agents::Assets;
use toryo_api::ports::AgentManifest;

/// One entry a role.
pub fn manifests(assets: &Assets) -> Vec<AgentManifest> {
    assets
        .manifests()
        .map(|manifest| AgentManifest {
            role: manifest.role,
            summary: manifest.summary.clone(),
            may: manifest.may.clone(),
            may_not: manifest.may_not.clone(),
            steps: manifest.steps.iter().map(ToString::to_string).collect(),
            route: manifest.route.clone(),
            tools: manifest.tools.clone(),
        })
        .collect()
}
