//! The rules of the house that a machine can hold.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::Value;

/// Who may depend on whom, among the workspace's own packages. A new edge is a decision: write it down.
const EDGES: &[(&str, &[&str])] = &[
    ("api", &["cloud", "domain", "function", "git-store", "identity"]),
    ("authorizer", &["cloud", "function", "identity"]),
    ("bench", &[]),
    ("build-worker", &["cloud", "domain", "function", "git-store", "identity", "sam", "sandbox"]),
    ("cloud", &[]),
    ("cloud-aws", &["cloud"]),
    ("cloud-local", &["cloud", "sam", "sandbox"]),
    ("domain", &["cloud", "git-store", "identity", "sam"]),
    ("function", &["cloud", "domain", "git-store", "identity"]),
    ("git-store", &["cloud"]),
    ("identity", &["cloud"]),
    (
        "local",
        &[
            "api",
            "authorizer",
            "build-worker",
            "cloud",
            "cloud-local",
            "domain",
            "function",
            "git-store",
            "identity",
            "sam",
            "sandbox",
            "static-files",
            "websocket",
        ],
    ),
    ("sam", &[]),
    ("sandbox", &[]),
    ("static-files", &["cloud"]),
    ("testkit", &["cloud"]),
    ("websocket", &["cloud", "domain", "function", "identity"]),
    ("workroom-tests", &[]),
    ("xtask", &["static-files"]),
];

/// The functions' `main.rs` name the AWS adapters, behind the feature `aws`.
const AWS_BEHIND_A_FEATURE: &[&str] = &["api", "authorizer", "websocket", "build-worker"];

fn metadata() -> Value {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(workroom_tests::root())
        .output()
        .unwrap();
    serde_json::from_slice(&output.stdout).unwrap()
}

fn packages() -> Vec<Value> {
    metadata()["packages"].as_array().unwrap().clone()
}

#[test]
fn dependencies_point_one_way() {
    let packages = packages();
    let ours: BTreeSet<&str> = packages.iter().map(|package| package["name"].as_str().unwrap()).collect();
    let listed: BTreeSet<&str> = EDGES.iter().map(|(name, _)| *name).collect();
    assert_eq!(ours, listed, "the packages of the workspace");
    for package in &packages {
        let name = package["name"].as_str().unwrap();
        let allowed = EDGES.iter().find(|(listed, _)| *listed == name).unwrap().1;
        for dependency in package["dependencies"].as_array().unwrap() {
            let on = dependency["name"].as_str().unwrap();
            let normal = dependency["kind"].is_null();
            if !normal || !ours.contains(on) {
                continue;
            }
            if on == "cloud-aws" {
                assert!(
                    AWS_BEHIND_A_FEATURE.contains(&name) && dependency["optional"] == true,
                    "{name} names cloud-aws outside the feature `aws`"
                );
                continue;
            }
            assert!(allowed.contains(&on), "{name} depends on {on}, which is not an edge of the house");
        }
    }
}

#[test]
fn only_the_machine_and_the_tests_name_the_local_adapters() {
    for package in packages() {
        let name = package["name"].as_str().unwrap().to_owned();
        // The adapters' tests name both clouds: the same calls must mean the same to our own S3 endpoint.
        let of_its_tests = |d: &Value| name == "cloud-aws" && d["kind"] == "dev";
        let dependencies = package["dependencies"].as_array().unwrap();
        let names_it = dependencies.iter().any(|d| d["name"] == "cloud-local" && !of_its_tests(d));
        assert!(!names_it || ["local", "workroom-tests", "bench"].contains(&name.as_str()), "{name} names cloud-local");
    }
}

#[test]
fn every_package_keeps_the_lints_of_the_house() {
    for package in packages() {
        let manifest = std::fs::read_to_string(package["manifest_path"].as_str().unwrap()).unwrap();
        assert!(manifest.contains("[lints]\nworkspace = true"), "{} does not inherit the lints", package["name"]);
    }
}
