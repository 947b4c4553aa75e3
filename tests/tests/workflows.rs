//! The workflows on GitHub: what deploys, from where, and that no key is stored for it.
#![allow(clippy::unwrap_used)]

use serde_json::Value;

fn read(path: &str) -> (String, Value) {
    let text = std::fs::read_to_string(workroom_tests::root().join(path)).unwrap();
    let value = sam::Template::parse(&text).unwrap_or_else(|error| panic!("{path}: {error}")).to_json();
    (text, value)
}

fn steps(workflow: &Value) -> Vec<&Value> {
    let jobs = workflow["jobs"].as_object().unwrap().values();
    jobs.filter_map(|job| job["steps"].as_array()).flatten().collect()
}

#[test]
fn no_workflow_uses_a_stored_secret_or_more_rights_than_it_says() {
    for path in [".github/workflows/ci.yml", ".github/workflows/deploy.yml"] {
        let (text, workflow) = read(path);
        for word in ["secrets.", "aws-access-key", "aws-secret-access-key", "AKIA", "pull_request_target"] {
            assert!(!text.contains(word), "{path} has `{word}`");
        }
        assert_eq!(workflow["permissions"], serde_json::json!({ "contents": "read" }), "{path}");
        assert!(workflow["concurrency"]["group"].is_string(), "{path} runs beside itself");
        for step in steps(&workflow) {
            let Some(action) = step["uses"].as_str() else { continue };
            let version = action.split_once('@').unwrap_or_else(|| panic!("{action} is not pinned")).1;
            let is_major = version.strip_prefix('v').is_some_and(|number| number.parse::<u32>().is_ok());
            let is_commit = version.len() == 40 && version.bytes().all(|byte| byte.is_ascii_hexdigit());
            assert!(is_major || is_commit, "{action} moves");
        }
        for job in workflow["jobs"].as_object().unwrap().values() {
            let is_elsewhere = job["uses"].as_str().is_some_and(|uses| uses.starts_with("./.github/workflows/"));
            assert!(is_elsewhere || job["timeout-minutes"].is_u64(), "a job of {path} may run for ever");
        }
    }
}

#[test]
fn pull_requests_are_checked_and_tested_and_deploy_nothing() {
    let (text, workflow) = read(".github/workflows/ci.yml");
    assert!(workflow["on"].as_object().unwrap().contains_key("pull_request"));
    assert!(!text.contains("id-token") && !text.contains("xtask deploy"));
    let commands: Vec<&str> = steps(&workflow).iter().filter_map(|step| step["run"].as_str()).collect();
    for wanted in ["cargo fmt", "cargo clippy", "cargo xtask test", "cfn-lint template.yaml"] {
        assert!(commands.iter().any(|command| command.contains(wanted)), "nothing runs `{wanted}`");
    }
}

#[test]
fn develop_goes_to_dev_and_main_to_prod_by_a_role_that_trusts_the_environment() {
    let (_, workflow) = read(".github/workflows/deploy.yml");
    assert_eq!(workflow["on"], serde_json::json!({ "push": { "branches": ["main", "develop"] } }));
    assert_eq!(workflow["concurrency"]["cancel-in-progress"], false, "a deploy is not cut off in the middle");
    let job = &workflow["jobs"]["deploy"];
    assert_eq!(workflow["jobs"]["tested"]["uses"], "./.github/workflows/ci.yml");
    assert_eq!(job["needs"], "tested", "what was not tested is not deployed");
    assert!(read(".github/workflows/ci.yml").1["on"].as_object().unwrap().contains_key("workflow_call"));
    let choice = "${{ github.ref_name == 'main' && 'prod' || 'dev' }}";
    assert_eq!((&job["environment"], &job["env"]["WORKROOM_ENVIRONMENT"]), (&choice.into(), &choice.into()));
    assert_eq!(job["permissions"], serde_json::json!({ "contents": "read", "id-token": "write" }));
    let takes_role =
        |step: &&Value| step["uses"].as_str().is_some_and(|uses| uses.contains("configure-aws-credentials"));
    let role = steps(&workflow).into_iter().find(takes_role).unwrap();
    assert_eq!(role["with"]["role-to-assume"], "${{ vars.AWS_ROLE_ARN }}");
    let deploys = |step: &&Value| step["run"].as_str().is_some_and(|run| run.starts_with("cargo xtask deploy"));
    let deploy = steps(&workflow).into_iter().find(deploys).unwrap()["run"].as_str().unwrap();
    assert!(deploy.starts_with("cargo xtask deploy \"$WORKROOM_ENVIRONMENT\" "), "{deploy}");

    let (_, role) = read("deploy/github-role.yaml");
    let trust = &role["Resources"]["DeployRole"]["Properties"]["AssumeRolePolicyDocument"]["Statement"][0];
    let equals = &trust["Condition"]["StringEquals"];
    assert_eq!(equals["token.actions.githubusercontent.com:aud"], "sts.amazonaws.com");
    let subject = &equals["token.actions.githubusercontent.com:sub"]["Fn::Sub"];
    assert_eq!(subject, "repo:${Repository}:environment:${Environment}", "any branch of any repository may take it");
    let environments = &role["Parameters"]["Environment"]["AllowedValues"];
    assert_eq!(environments, &serde_json::json!(["dev", "prod"]));
}
