//! What a guardrail of Bedrock found, told without the words that it found: those are what must not be written down.

use aws_sdk_bedrockruntime::types::{GuardrailAssessment, GuardrailTraceAssessment};

/// The policies that stepped in at a model, such as `sensitive_information, topic`, which is written down as well.
/// `None` where none did.
pub(super) fn policies(model: &str, trace: Option<&GuardrailTraceAssessment>) -> Option<String> {
    let policies = trace.map(names).filter(|policies| !policies.is_empty())?;
    tracing::warn!(%model, %policies, "a guardrail of Bedrock stepped in at model {model}: {policies}");
    Some(policies)
}

fn names(trace: &GuardrailTraceAssessment) -> String {
    let inputs = trace.input_assessment().into_iter().flat_map(|by_id| by_id.values());
    let outputs = trace.output_assessments().into_iter().flat_map(|by_id| by_id.values().flatten());
    let mut policies: Vec<&str> = inputs.chain(outputs).flat_map(of).collect();
    policies.sort_unstable();
    policies.dedup();
    policies.join(", ")
}

fn of(assessment: &GuardrailAssessment) -> impl Iterator<Item = &'static str> {
    [
        ("topic", assessment.topic_policy().is_some()),
        ("content", assessment.content_policy().is_some()),
        ("word", assessment.word_policy().is_some()),
        ("sensitive_information", assessment.sensitive_information_policy().is_some()),
        ("contextual_grounding", assessment.contextual_grounding_policy().is_some()),
        ("automated_reasoning", assessment.automated_reasoning_policy().is_some()),
    ]
    .into_iter()
    .filter_map(|(name, found)| found.then_some(name))
}
