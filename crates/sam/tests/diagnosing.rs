//! Findings with their places, as an editor shows them.
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeMap;

use common::names;
use sam::fence::{FencePlace, FenceRules};
use sam::{Diagnose, DiagnosedEnvironment, Diagnostic, Severity, Template, diagnose_settings, diagnose_template};

fn fence() -> FenceRules {
    FenceRules { parameter_path: "/workroom/apps/shop/dev/".into(), place: FencePlace::Machine }
}

fn diagnose(text: &str) -> Vec<Diagnostic> {
    within(text, fence())
}

fn within(text: &str, rules: FenceRules) -> Vec<Diagnostic> {
    let environment = DiagnosedEnvironment { fence: Some(rules), ..Default::default() };
    diagnose_template(text, &Diagnose { environments: vec![environment], names: &names(), files: BTreeMap::new() })
}

/// The findings of one code, with the text that each is shown at.
fn at(text: &str, code: &str) -> Vec<(usize, String)> {
    let shown = |one: &Diagnostic| {
        let line: Vec<u16> = text.lines().nth(one.line - 1).unwrap().encode_utf16().collect();
        assert_eq!(one.line, one.end_line);
        (one.line, String::from_utf16(&line[one.column - 1..one.end_column - 1]).unwrap())
    };
    diagnose(text).iter().filter(|one| one.code == code).map(shown).collect()
}

const FUNCTION: &str = "Resources:\n  Hello:\n    Type: AWS::Serverless::Function\n    Properties:\n      Runtime: python3.12\n      Handler: app.handler\n      CodeUri: hello\n";

#[test]
fn a_template_without_a_fault_has_no_finding() {
    assert_eq!(diagnose(FUNCTION), []);
}

#[test]
fn names_that_nothing_has_are_shown_where_they_are_written() {
    let text = format!(
        "{FUNCTION}      Environment:\n        Variables:\n          VA: !Ref Nope\n          VB: !GetAtt Gone.Arn\n          \
         VC: !Sub 'x-${{Lost}}-${{AWS::Region}}-${{!Literal}}'\n          VD: !Join ['-', [a, !Ref Deep, !Ref AWS::Nowhere]]\n          \
         VE: {{'Fn::GetAtt': [Away, Arn]}}\n          VF: !If [Never, 1, 2]\n          VG: !FindInMap [NoMap, a, b]\nOutputs:\n  \
         O: {{Value: !Ref Out}}\n"
    );
    let found = at(&text, "unresolved-reference");
    let shown: Vec<&str> = found.iter().map(|(_, shown)| shown.as_str()).collect();
    let expected = [
        "!Ref Nope",
        "!GetAtt Gone.Arn",
        "!Sub 'x-${Lost}-${AWS::Region}-${!Literal}'",
        "!Ref Deep",
        "!Ref AWS::Nowhere",
        "Away",
        "Never",
        "NoMap",
        "!Ref Out",
    ];
    assert_eq!(shown, expected);
    assert_eq!(found.iter().map(|(line, _)| *line).collect::<Vec<_>>(), [10, 11, 12, 13, 13, 14, 15, 16, 18]);
    assert_eq!(diagnose(&text).len(), expected.len(), "{:#?}", diagnose(&text));
}

#[test]
fn what_a_condition_leaves_out_is_looked_at_too() {
    let text = format!(
        "Conditions:\n  Never: !Equals [a, b]\n{FUNCTION}  Extra:\n    Type: AWS::SQS::Queue\n    Condition: Never\n    \
         Properties:\n      QueueName: !Ref Nope\n  Other:\n    Type: AWS::SNS::Topic\n    Condition: Missing\n"
    );
    let shown: Vec<String> = at(&text, "unresolved-reference").into_iter().map(|(_, shown)| shown).collect();
    assert_eq!(shown, ["!Ref Nope", "Missing"]);
}

#[test]
fn functions_that_do_not_exist_or_do_not_fit_are_told_apart() {
    let text = format!(
        "{FUNCTION}      Description: {{'Fn::Nonsense': a}}\n      Timeout: !Select [0]\n      MemorySize: !Ref [a]\n"
    );
    assert_eq!(at(&text, "unknown-function"), [(8, "a".into())]);
    assert_eq!(at(&text, "malformed-function"), [(9, "!Select [0]".into()), (10, "!Ref [a]".into())]);
}

#[test]
fn broken_yaml_is_shown_at_its_place() {
    for (text, line, column) in [
        ("Resources:\n  A: {Type: X}\n  A: {Type: Y}\n", 3, 3),
        ("Resources:\n  A: !Nothing x\n", 2, 6),
        ("Resources:\n  A: [1, 2\n", 3, 1),
        ("a: 'open\n", 1, 4),
        ("- a\nb: 1\n", 2, 1),
        ("", 1, 1),
        ("{\"Resources\": [}", 1, 16),
    ] {
        let found = diagnose(text);
        assert_eq!(found.len(), 1, "{text}: {found:?}");
        assert_eq!((found[0].code.as_str(), found[0].severity), ("template-syntax", Severity::Error), "{text}");
        assert_eq!((found[0].line, found[0].column), (line, column), "{text}: {found:?}");
        assert!(found[0].end_column >= found[0].column);
    }
}

#[test]
fn what_is_missing_is_shown_at_its_resource() {
    let text = "Resources:\n  Hello:\n    Type: AWS::Serverless::Function\n    Properties:\n      CodeUri: hello\n  \
                Bare:\n    Properties: {}\n  Table:\n    Type: AWS::DynamoDB::Table\n    Properties: {TableName: t}\n";
    let found = at(text, "unresolved");
    let lines: Vec<usize> = found.iter().map(|(line, _)| *line).collect();
    assert_eq!(lines, [4, 4, 6, 10], "{found:?} {:?}", diagnose(text));
}

#[test]
fn what_is_not_honoured_warns_and_what_is_refused_does_not_pass() {
    let text = format!(
        "{FUNCTION}      KmsKeyArn: x\n      Events:\n        Get:\n          Type: Api\n          Properties: {{Path: /, Method: get}}\n  \
         Alarm:\n    Type: AWS::CloudWatch::Alarm\n  Nested:\n    Type: AWS::CloudFormation::Stack\n  \
         Hook:\n    Type: Custom::Thing\n    Properties: {{ServiceToken: x}}\n"
    );
    let warned = at(&text, "unsupported");
    assert!(warned.contains(&(8, "x".into())) && warned.contains(&(13, "Alarm".into())), "{warned:?}");
    assert!(diagnose(&text).iter().all(|one| one.code != "unsupported" || one.severity == Severity::Warning));
    assert_eq!(at(&text, "refused"), [(15, "Nested".into())]);
    assert_eq!(at(&text, "nested-stack"), [(16, "AWS::CloudFormation::Stack".into())]);
    assert_eq!(at(&text, "custom-resource"), [(18, "Custom::Thing".into())]);
}

#[test]
fn fences_of_a_shared_account_are_shown_at_the_property() {
    let text = "Resources:\n  Q:\n    Type: AWS::SQS::Queue\n    Properties:\n      QueueName: somebody-elses\n";
    let rules = FenceRules {
        parameter_path: "/workroom/apps/shop/dev/".into(),
        place: FencePlace::Account(sam::fence::AccountRules {
            stack: "workroom-shop-dev".into(),
            ..Default::default()
        }),
    };
    let found = within(text, rules);
    let named = found.iter().find(|one| one.code == "name").unwrap();
    assert_eq!((named.line, named.column, named.end_column), (5, 18, 32));
}

#[test]
fn columns_count_as_editors_count() {
    let text =
        "Resources:\n  A:\n    Type: AWS::SNS::Topic\n    Properties: {DisplayName: \"😀\", TopicName: !Ref Nope}\n";
    assert_eq!(at(text, "unresolved-reference"), [(4, "!Ref Nope".into())]);
    assert_eq!(at(&text.replace('\n', "\r\n"), "unresolved-reference"), [(4, "!Ref Nope".into())]);
    assert_eq!(
        at(&format!("\u{feff}{text}").replace('\u{feff}', ""), "unresolved-reference"),
        [(4, "!Ref Nope".into())]
    );
}

#[test]
fn a_template_in_json_has_places_too() {
    let text = "{\"Resources\": {\n  \"A\": {\"Type\": \"AWS::SNS::Topic\", \"Properties\": {\"TopicName\": {\"Ref\": \"Nope\"}}}\n}}";
    assert_eq!(at(text, "unresolved-reference"), [(2, "\"Nope\"".into())]);
}

#[test]
fn the_parameters_of_each_environment_count() {
    let text = format!(
        "Parameters:\n  Stage: {{Type: String, AllowedValues: [dev, prod]}}\nConditions:\n  IsProd: !Equals [!Ref Stage, prod]\n{FUNCTION}  \
         Q:\n    Type: AWS::SQS::Queue\n    Condition: IsProd\nOutputs:\n  Url: {{Value: !Ref Q}}\n"
    );
    let with = |stages: &[&str]| {
        let environments = stages.iter().map(|stage| DiagnosedEnvironment {
            name: (*stage).to_owned(),
            parameters: BTreeMap::from([("Stage".to_owned(), (*stage).to_owned())]),
            fence: None,
        });
        let (environments, files) = (environments.collect(), BTreeMap::new());
        diagnose_template(&text, &Diagnose { environments, names: &names(), files })
    };
    assert_eq!(with(&["prod"]), []);
    let dev = with(&["dev"]);
    assert!(dev.len() == 1 && dev[0].message.contains("left out by its condition"), "{dev:?}");
    let both = with(&["dev", "prod"]);
    assert!(both.len() == 1 && both[0].message.contains("`dev`"), "{both:?}");
}

#[test]
fn files_that_a_template_takes_in_are_looked_for() {
    let text = "Resources:\n  Api:\n    Type: AWS::Serverless::Api\n    Properties:\n      StageName: dev\n      DefinitionUri: api.yaml\n";
    let with = |file: Option<&str>| {
        let files = file.map(|text| ("api.yaml".to_owned(), text.to_owned())).into_iter().collect();
        let what = Diagnose { environments: vec![DiagnosedEnvironment::default()], names: &names(), files };
        diagnose_template(text, &what)
    };
    assert_eq!(with(Some("openapi: 3.0.1\npaths: {}\n")), []);
    for file in [None, Some("a: [")] {
        let found = with(file);
        assert!(found.iter().any(|one| one.code == "inclusion" && one.line == 6), "{found:?}");
    }
}

#[test]
fn hostile_text_is_looked_at_within_bounds() {
    // A long key over many others: places must not repeat it.
    let key = "k".repeat(300_000);
    let many: String = (0..60_000).map(|n| format!("  a{n}: 1\n")).collect();
    let wide = format!("{key}:\n{many}Resources: {{}}\n");
    let refs: String = (0..20_000).map(|n| format!("      V{n}: !Ref Nope{n}\n")).collect();
    let refs = format!("Resources:\n  A:\n    Type: AWS::SNS::Topic\n    Properties:\n{refs}");
    let deep = "[".repeat(50_000);
    let slashes = format!("Resources:\n  A: {{Type: X, Properties: {{'{}': !Ref Nope}}}}\n", "/".repeat(200_000));
    let sub = format!("Resources:\n  A: {{Type: X, Properties: {{P: !Sub '{}'}}}}\n", "${A".repeat(200_000));
    for text in [wide, refs, deep, slashes, sub, "\0".into(), "x".repeat(1_100_000), "&a [*a]".into()] {
        let found = diagnose(&text);
        assert!(found.len() <= 200, "{}", found.len());
        assert!(found.iter().all(|one| one.message.chars().count() <= 500 && one.line >= 1 && one.column >= 1));
    }
}

fn template() -> Template {
    Template::parse(
        "Parameters:\n  Stage: {Type: String, AllowedValues: [dev, prod]}\n  Size: {Type: Number, Default: 1}\nResources: {}\n",
    )
    .unwrap()
}

/// Line, column and message of every finding.
fn settings(text: &str) -> Vec<(usize, usize, Severity, String)> {
    let found = diagnose_settings(text, Some(&template()), None);
    found.into_iter().map(|one| (one.line, one.column, one.severity, one.message)).collect()
}

#[test]
fn settings_that_fit_have_no_finding() {
    let text =
        "version = 0.1\n[dev.deploy.parameters]\nstack_name = \"shop\"\nparameter_overrides = \"Stage=dev Size=2\"\n";
    assert_eq!(settings(text), []);
}

#[test]
fn settings_are_shown_where_they_are_wrong() {
    let text = "version = [1]\nodd = 1\n[dev.deploy.parameters]\nstack_name = 5\nregion = true\n";
    let found = settings(text);
    let places: Vec<_> = found.iter().map(|(line, column, ..)| (*line, *column)).collect();
    assert!([(1, 11), (2, 1), (4, 14), (5, 10)].iter().all(|place| places.contains(place)), "{found:?}");
    for (text, line) in [("a = \n", 1), ("[dev\n", 1), ("a = 1\na = 2\n", 2), ("x = \"\\q\"", 1)] {
        let found = settings(text);
        assert!(!found.is_empty() && found[0].0 == line, "{text}: {found:?}");
    }
}

#[test]
fn values_that_the_template_does_not_take_are_told() {
    let text = "[dev.deploy.parameters]\nparameter_overrides = \"Stage=nowhere Other=1\"\n[prod.deploy.parameters]\nstack_name = \"x\"\n";
    let found = settings(text);
    assert_eq!(found.len(), 3, "{found:?}");
    assert!(
        found
            .iter()
            .any(|(line, _, severity, text)| (*line, *severity) == (2, Severity::Warning) && text.contains("Other"))
    );
    assert!(
        found
            .iter()
            .any(|(line, _, severity, text)| (*line, *severity) == (2, Severity::Error) && text.contains("nowhere"))
    );
    assert!(found.iter().any(|(line, _, _, text)| *line == 3 && text.contains("Stage")), "{found:?}");
    let broken = settings("[dev.deploy.parameters]\nparameter_overrides = \"Stage='dev\"\n");
    assert!(broken.iter().any(|(line, _, _, text)| *line == 2 && text.contains("quote")), "{broken:?}");
}

#[test]
fn an_environment_without_settings_is_told_of() {
    let found = diagnose_settings("[dev.deploy.parameters]\n", None, Some("prod"));
    assert!(found.len() == 1 && found[0].severity == Severity::Information, "{found:?}");
    assert_eq!(diagnose_settings("[dev.deploy.parameters]\n", None, Some("dev")), []);
}

#[test]
fn hostile_settings_are_bounded() {
    let many: String = (0..20_000).map(|n| format!("k{n} = 1\n")).collect();
    for text in [many, "[".repeat(100_000), format!("a = {}", "[".repeat(100_000)), "x".repeat(300_000), "\0".into()] {
        assert!((1..=200).contains(&diagnose_settings(&text, Some(&template()), None).len()));
    }
}
