//! The scripted model: it answers with the sample's recording, whoever asks, the same question always the same.

use serde_json::Value;
use std::collections::BTreeMap;
use toryo_agents::sample;
use toryo_testkit::openai::{Answer, Script};

pub fn script() -> anyhow::Result<Script> {
    let recording: Value = serde_json::from_str(sample::RECORDING)?;
    let mut replies: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for reply in recording["replies"].as_array().into_iter().flatten() {
        let step = reply["step"].as_str().unwrap_or_default().to_owned();
        // They are in the order of their calls.
        replies.entry(step).or_default().push(reply["reply"].clone());
    }
    Ok(Script::new().otherwise(move |request, _| {
        // A conversation that was objected to holds what the model said before.
        let messages = request.body["messages"].as_array().map(Vec::as_slice).unwrap_or_default();
        let said = messages.iter().filter(|message| message["role"] == "assistant").count();
        replies.get(&request.step)?.get(said).map(Answer::json)
    }))
}
