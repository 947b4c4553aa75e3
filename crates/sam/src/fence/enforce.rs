//! The permissions boundary, put onto every role that a template makes.

use serde_json::{Map, Value, json};

/// The role that CodeDeploy shifts traffic with: SAM's own would have no boundary.
pub(super) const DEPLOYMENT_ROLE: &str = "DeploymentPreferenceRole";
/// The boundary lets roles with this tag shift traffic; only what is put in here may have it.
pub(super) const SHIFTS: &str = "workroom:shifts";
/// Events for which SAM makes a role of their own.
const SCHEDULES: [&str; 1] = ["ScheduleV2"];

/// Gives every role the boundary. The template must have been looked at by [`super::check`] before.
pub fn enforce(template: &mut Value, boundary: &str) {
    let globals = template.pointer("/Globals/Function/DeploymentPreference").filter(|p| p.is_object()).cloned();
    let Some(resources) = template.get_mut("Resources").and_then(Value::as_object_mut) else { return };
    let mut shifts = globals.is_some();
    for resource in resources.values_mut() {
        let kind = resource["Type"].as_str().unwrap_or_default().to_owned();
        if !matches!(kind.as_str(), "AWS::IAM::Role" | "AWS::Serverless::Function" | "AWS::Serverless::StateMachine") {
            continue;
        }
        let Some(resource) = resource.as_object_mut() else { continue };
        let properties = resource.entry("Properties").or_insert_with(|| Value::Object(Map::new()));
        let Some(properties) = properties.as_object_mut() else { continue };
        properties.insert("PermissionsBoundary".into(), boundary.into());
        let events = properties.get_mut("Events").and_then(Value::as_object_mut);
        for event in events.into_iter().flat_map(|events| events.values_mut()) {
            if event["Type"].as_str().is_some_and(|kind| SCHEDULES.contains(&kind))
                && let Some(event) = event.get_mut("Properties").and_then(Value::as_object_mut)
                && !event.contains_key("RoleArn")
            {
                event.insert("PermissionsBoundary".into(), boundary.into());
            }
        }
        if kind == "AWS::Serverless::Function"
            && let Some(preference) = properties.get_mut("DeploymentPreference").and_then(Value::as_object_mut)
            && !preference.contains_key("Role")
        {
            shifts = true;
            preference.insert("Role".into(), json!({ "Fn::GetAtt": [DEPLOYMENT_ROLE, "Arn"] }));
        }
    }
    if !shifts {
        return;
    }
    resources.entry(DEPLOYMENT_ROLE).or_insert_with(|| deployment_role(boundary));
    if let Some(preference) =
        template.pointer_mut("/Globals/Function/DeploymentPreference").and_then(Value::as_object_mut)
    {
        preference.entry("Role").or_insert_with(|| json!({ "Fn::GetAtt": [DEPLOYMENT_ROLE, "Arn"] }));
    }
}

/// As SAM makes it ("AWS SAM Developer Guide", DeploymentPreference), with the boundary.
fn deployment_role(boundary: &str) -> Value {
    json!({
        "Type": "AWS::IAM::Role",
        "Properties": {
            "AssumeRolePolicyDocument": {
                "Version": "2012-10-17",
                "Statement": [{
                    "Effect": "Allow",
                    "Principal": { "Service": "codedeploy.amazonaws.com" },
                    "Action": "sts:AssumeRole",
                }],
            },
            "ManagedPolicyArns": [
                { "Fn::Sub": "arn:${AWS::Partition}:iam::aws:policy/service-role/AWSCodeDeployRoleForLambda" },
            ],
            "PermissionsBoundary": boundary,
            "Tags": [{ "Key": SHIFTS, "Value": "true" }],
        },
    })
}
