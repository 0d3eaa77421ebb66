//! Whole files, as people write them. What is printed is compared with snapshots, and read back.

use super::*;
use crate::config::Config;

fn imported(text: &str) -> (Imported, Config) {
    #[derive(serde::Deserialize)]
    struct File {
        models: Config,
    }
    let imported = import(text).unwrap();
    let file: File = toml::from_str(&imported.toml).unwrap();
    file.models.in_force().unwrap();
    (imported, file.models)
}

fn shown(imported: &Imported) -> String {
    format!("{}\n--- notes\n{}\n", imported.toml, imported.notes.join("\n"))
}

#[test]
fn a_small_team() {
    let (imported, config) = imported(include_str!("samples/team.yaml"));
    insta::assert_snapshot!(shown(&imported));
    assert_eq!((imported.routes, config.routes["gpt-4o"].deployments.len()), (4, 2));
    let (gpt, claude) = (&config.routes["gpt-4o"], &config.routes["claude"]);
    assert_ne!(gpt.deployments[0].provider, gpt.deployments[1].provider, "two keys are two providers");
    assert_eq!(claude.fallbacks.any, ["gpt-4o"]);
}

#[test]
fn bedrock_over_several_accounts() {
    let (imported, config) = imported(include_str!("samples/bedrock.yaml"));
    insta::assert_snapshot!(shown(&imported));
    let [eu, us] = &config.routes["claude-sonnet"].deployments[..] else { panic!("not two") };
    let aws = eu.aws.as_ref().unwrap();
    assert_eq!((aws.account(), aws.guardrail_version.as_deref()), (Some("111122223333"), Some("3")));
    assert_eq!((eu.weight, us.weight, us.order), (70, 30, 2));
    assert_eq!(us.aws.as_ref().unwrap().region.as_deref(), Some("us-west-2"));
}

#[test]
fn many_providers_and_some_that_are_not_spoken() {
    let (imported, config) = imported(include_str!("samples/many.yaml"));
    insta::assert_snapshot!(shown(&imported));
    assert_eq!(config.routes["quick"].deployments, config.routes["fast"].deployments);
}

#[test]
fn no_key_and_no_password_is_ever_written() {
    for file in [
        include_str!("samples/team.yaml"),
        include_str!("samples/bedrock.yaml"),
        include_str!("samples/many.yaml"),
    ] {
        let shown = shown(&import(file).unwrap());
        for secret in ["written-into", "sk-", "AKIA", "hunter2", "secret-header", "user:pass", "postgres://"]
        {
            assert!(!shown.contains(secret), "{secret}: {shown}");
        }
    }
}

#[test]
fn what_is_no_such_file_is_said() {
    assert!(matches!(import("a: [b"), Err(NotLiteLlm::NotYaml(_))));
    assert!(matches!(import("a: b"), Err(NotLiteLlm::NoModels)));
    assert!(matches!(import(""), Err(NotLiteLlm::NoModels)));
    let empty = import("model_list: [{model_name: a, litellm_params: {model: sagemaker/x}}]").unwrap();
    assert_eq!((empty.routes, empty.toml.as_str(), empty.notes.len()), (0, "", 1));
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]

    #[test]
    fn no_file_breaks_it(
        alias in ".{0,8}", model in "[a-z]{0,6}(/[a-z:.-]{0,8}){0,2}", other in ".{0,8}", weight in proptest::prelude::any::<f64>(),
    ) {
        let file = serde_json::json!({
            "model_list": [{"model_name": alias, "litellm_params": {"model": model, "weight": weight, "api_base": other}}],
            "litellm_settings": {"fallbacks": [{(alias.clone()): [other, alias]}], "request_timeout": weight},
        });
        // JSON is YAML.
        let imported = import(&file.to_string()).unwrap();
        let wrong = imported.notes.iter().find(|note| note.starts_with("what was made"));
        proptest::prop_assert!(wrong.is_none(), "{:?}\n{}", wrong, imported.toml);
    }
}
