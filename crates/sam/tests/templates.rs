//! Texts that are templates, and texts that must not become one.
#![allow(clippy::unwrap_used)]

use std::fmt::Write;

use sam::{Template, TemplateError};
use serde_json::json;

fn error(text: &str) -> TemplateError {
    Template::parse(text).unwrap_err()
}

#[test]
fn short_forms_become_long_forms() {
    let text = "Resources:\n  A:\n    Type: X\n    Properties:\n      R: !Ref B\n      G: !GetAtt B.Endpoint.Address\n      S: !Sub '${B}-x'\n      \
                J: !Join ['-', [a, !Ref B]]\n      I: !If [C, 1, !Ref AWS::NoValue]\n      T: !Select [0, !GetAZs '']\n";
    let properties = &Template::parse(text).unwrap().to_json()["Resources"]["A"]["Properties"];
    assert_eq!(
        *properties,
        json!({
            "R": {"Ref": "B"}, "G": {"Fn::GetAtt": ["B", "Endpoint.Address"]}, "S": {"Fn::Sub": "${B}-x"},
            "J": {"Fn::Join": ["-", ["a", {"Ref": "B"}]]}, "I": {"Fn::If": ["C", 1, {"Ref": "AWS::NoValue"}]},
            "T": {"Fn::Select": [0, {"Fn::GetAZs": ""}]},
        })
    );
}

#[test]
fn plain_scalars_read_as_sam_reads_them() {
    let value = Template::parse(
        "a: yes\nb: 2012-10-17\nc: 012345678901\nd: 1.5\ne: '1'\nf: 1e10\ng: 12:30\nh: ~\ni: !!str 5\n",
    )
    .unwrap();
    let expected = json!({"a": true, "b": "2012-10-17", "c": "012345678901", "d": 1.5, "e": "1", "f": "1e10", "g": "12:30", "h": null, "i": "5"});
    assert_eq!(value.to_json(), expected);
}

#[test]
fn a_key_given_twice_is_named_with_its_place() {
    let found = error("Resources:\n  A: {Type: X}\n  A: {Type: Y}\n");
    assert_eq!((found.line, found.column), (3, 3));
    assert!(found.message.contains("`A` appears twice"));
    assert!(error("{\"a\": 1, \"a\": 2}").message.contains("`a` appears twice"));
    assert!(error("{\"x\": {\"a\": 1, \"a\": 2}}").message.contains("appears twice"));
}

#[test]
fn language_tags_and_unknown_tags_are_refused() {
    for text in
        ["a: !!python/object/apply:os.system ['id']", "a: !Include x", "a: !!binary aGk=", "a: !<tag:x,2000:y> z"]
    {
        assert!(error(text).message.contains("tag") || error(text).message.contains("type"), "{text}: {}", error(text));
    }
}

#[test]
fn an_alias_bomb_costs_nothing() {
    let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..30 {
        let previous = level - 1;
        writeln!(text, "a{level}: &a{level} [{}]", vec![format!("*a{previous}"); 10].join(", ")).unwrap();
    }
    assert!(error(&text).message.contains("more than"), "{}", error(&text));
}

#[test]
fn an_alias_inside_its_own_value_is_refused() {
    assert!(Template::parse("a: &a [*a]\n").is_err());
}

#[test]
fn anchors_and_merge_keys_are_written_out() {
    let value = Template::parse("base: &b {x: 1, y: 2}\nuse: {<<: *b, y: 3}\n").unwrap().to_json();
    assert_eq!(value["use"], json!({"x": 1, "y": 3}));
}

#[test]
fn depth_size_and_nul_are_bounded() {
    assert!(Template::parse(&format!("a: {}", "[".repeat(100_000))).is_err());
    assert!(
        Template::parse(&format!("a: {}1{}", "[".repeat(80), "]".repeat(80))).unwrap_err().message.contains("deeper")
    );
    assert!(Template::parse(&format!("{{\"a\": {}", "[".repeat(100_000))).is_err());
    assert!(error(&format!("a: {}", "x".repeat(1_000_001))).message.contains("larger"));
    assert!(error("a: \"\0\"").message.contains("NUL"));
}

#[test]
fn nonsense_is_an_error_and_never_a_panic() {
    for text in [
        "",
        "- a",
        "just text",
        "a: b: c",
        "a:\n\t- b",
        "---\na: 1\n---\nb: 2",
        "? [a]\n: b",
        "a: *b",
        "{",
        "\u{feff}",
        "a: !GetAtt x",
        "%YAML 9.9\n---\n",
        "a: 'b",
        "&a *a",
    ] {
        assert!(Template::parse(text).is_err(), "{text:?} was taken");
    }
}

#[test]
fn truncations_of_a_real_template_never_panic() {
    let text = include_str!("../../../template.yaml");
    for end in (0..text.len()).step_by(97).filter(|end| text.is_char_boundary(*end)) {
        let _ = Template::parse(&text[..end]);
    }
}

#[test]
fn local_definitions_are_listed_and_put_in() {
    let text = "Resources:\n  Api:\n    Type: AWS::Serverless::Api\n    Properties: {StageName: x, DefinitionUri: api/openapi.yaml}\n  \
                Other:\n    Type: AWS::Serverless::Api\n    Properties:\n      DefinitionBody:\n        Fn::Transform: {Name: AWS::Include, Parameters: {Location: other.yaml}}\n  \
                Far:\n    Type: AWS::Serverless::Api\n    Properties: {DefinitionUri: 's3://bucket/x', StageName: x}\n  \
                Up:\n    Type: AWS::Serverless::Api\n    Properties: {DefinitionUri: '../x.yaml', StageName: x}\n";
    let mut template = Template::parse(text).unwrap();
    let inclusions = template.inclusions();
    let paths: Vec<&str> = inclusions.iter().map(|one| one.path.as_str()).collect();
    assert_eq!(paths, ["api/openapi.yaml", "other.yaml"]);
    for inclusion in &inclusions {
        template.include(inclusion, "openapi: 3.0.1\npaths: {}\n").unwrap();
    }
    let json = template.to_json();
    assert_eq!(json["Resources"]["Api"]["Properties"]["DefinitionBody"]["openapi"], "3.0.1");
    assert_eq!(json["Resources"]["Other"]["Properties"]["DefinitionBody"], json!({"openapi": "3.0.1", "paths": {}}));
}
