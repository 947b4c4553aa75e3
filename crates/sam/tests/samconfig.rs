//! `samconfig.toml`, in the forms that `sam` reads.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use sam::SamConfig;

fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn overrides_come_as_text_list_or_table() {
    let forms = [
        r#"parameter_overrides = "Environment=dev Greeting='Hello you' Empty= Url=\"https://x/?a=b\"""#,
        r#"parameter_overrides = ["Environment=dev", "Greeting='Hello you'", "Empty=", "Url=https://x/?a=b"]"#,
        "parameter_overrides = {Environment = \"dev\", Greeting = \"Hello you\", Empty = \"\", Url = \"https://x/?a=b\"}",
        r#"parameter_overrides = "ParameterKey=Environment,ParameterValue=dev ParameterKey=Greeting,ParameterValue='Hello you' ParameterKey=Empty,ParameterValue= ParameterKey=Url,ParameterValue=https://x/?a=b""#,
    ];
    let expected = map(&[("Environment", "dev"), ("Greeting", "Hello you"), ("Empty", ""), ("Url", "https://x/?a=b")]);
    for form in forms {
        let config = SamConfig::parse(&format!("version = 0.1\n[dev.deploy.parameters]\n{form}\n")).unwrap();
        assert_eq!(config.deploy("dev").unwrap().parameter_overrides, expected, "{form}");
    }
}

#[test]
fn deploy_settings_win_over_global_ones() {
    let text = "[dev.global.parameters]\nstack_name = \"shop\"\nregion = \"eu-central-1\"\n[dev.deploy.parameters]\nstack_name = \"shop-dev\"\n\
                template_file = \"infra/template.yaml\"\ncapabilities = \"CAPABILITY_IAM CAPABILITY_AUTO_EXPAND\"\n";
    let settings = SamConfig::parse(text).unwrap().deploy("dev").unwrap();
    assert_eq!(settings.stack_name.as_deref(), Some("shop-dev"));
    assert_eq!(settings.region.as_deref(), Some("eu-central-1"));
    assert_eq!(settings.template_file.as_deref(), Some("infra/template.yaml"));
    assert_eq!(settings.capabilities, ["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"]);
}

#[test]
fn an_environment_that_is_not_named_has_no_settings() {
    let config = SamConfig::parse("version = 0.1\n[dev.deploy.parameters]\nstack_name = \"x\"\n").unwrap();
    assert_eq!(config.deploy("prod").unwrap(), sam::DeploySettings::default());
    assert_eq!(config.environments().collect::<Vec<_>>(), ["dev"]);
}

#[test]
fn what_is_not_a_setting_is_an_error() {
    for text in [
        "[dev",
        "dev = 1",
        "[dev.deploy.parameters]\nstack_name = 1",
        "[dev.deploy.parameters]\nparameter_overrides = \"A='x\"",
        "[dev.deploy.parameters]\nparameter_overrides = \"A\"",
        "[dev.deploy.parameters]\nparameter_overrides = 1",
    ] {
        let outcome = SamConfig::parse(text).and_then(|config| config.deploy("dev"));
        assert!(outcome.is_err(), "{text}");
    }
    assert!(SamConfig::parse(&"#".repeat(300_000)).is_err());
}
