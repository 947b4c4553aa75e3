//! Roles: their boundary, their policies, who they are, and layers beside them.

use serde_json::Value;

use super::enforce::{DEPLOYMENT_ROLE, SHIFTS};
use super::text::{OWN, Piece, SECRET, Text, UNKNOWN, branches, function, items, plain};
use super::{Fence, Looking, ViolationCode};

/// Managed policies of AWS that the roles of serverless apps usually have.
const USUAL_POLICIES: [&str; 13] = [
    "AWSLambdaBasicExecutionRole",
    "AWSLambdaDynamoDBExecutionRole",
    "AWSLambdaENIManagementAccess",
    "AWSLambdaKinesisExecutionRole",
    "AWSLambdaRole",
    "AWSLambdaSQSQueueExecutionRole",
    "AWSLambdaVPCAccessExecutionRole",
    "AWSXRayDaemonWriteAccess",
    "AWSXrayWriteOnlyAccess",
    "CloudWatchLambdaInsightsExecutionRolePolicy",
    "AWSCodeDeployRoleForLambda",
    "AWSCodeDeployRoleForLambdaLimited",
    "AmazonAPIGatewayPushToCloudWatchLogs",
];
/// Layers that AWS publishes (Powertools for AWS Lambda, Lambda Insights: their documentation lists the accounts).
const USUAL_LAYERS: [&str; 3] = [
    "arn:*:lambda:*:017000801446:layer:AWSLambdaPowertools*",
    "arn:*:lambda:*:094274105915:layer:AWSLambdaPowertools*",
    "arn:*:lambda:*:580247275435:layer:LambdaInsightsExtension*",
];
/// Properties that name the role something runs as.
const ROLES: [&str; 5] = ["Role", "RoleArn", "ServiceRoleArn", "CloudWatchRoleArn", "AuthorizerCredentials"];

impl Fence<'_> {
    pub(super) fn roles(&mut self, looking: Looking<'_>) {
        if self.account().is_none() {
            return;
        }
        self.boundary(looking);
        let properties = looking.properties;
        for property in ROLES {
            self.own_role(looking, &format!("Properties.{property}"), properties.get(property));
        }
        for list in ["Targets", "Target"] {
            for target in properties.get(list).map(items).unwrap_or_default() {
                self.own_role(looking, &format!("Properties.{list}.RoleArn"), target.get("RoleArn"));
            }
        }
        let preference = properties.pointer("/DeploymentPreference/Role");
        self.own_role(looking, "Properties.DeploymentPreference.Role", preference);
        if matches!(looking.kind, "AWS::IAM::Role" | "AWS::Serverless::Function" | "AWS::Serverless::StateMachine") {
            self.tags(looking);
        }
        match looking.kind {
            "AWS::IAM::Role" => self.policies(looking, "ManagedPolicyArns"),
            "AWS::Serverless::Function" | "AWS::Serverless::StateMachine" => self.policies(looking, "Policies"),
            "AWS::IAM::Policy" | "AWS::IAM::ManagedPolicy" => self.attachments(looking),
            "AWS::IAM::RolePolicy" => self.own_role(looking, "Properties.RoleName", properties.get("RoleName")),
            _ => {}
        }
    }

    /// In the template as written a role may lack the boundary: it is put in. After the transforms it must be there.
    fn boundary(&mut self, looking: Looking<'_>) {
        let Some(account) = self.account() else { return };
        let has_role =
            matches!(looking.kind, "AWS::IAM::Role" | "AWS::Serverless::Function" | "AWS::Serverless::StateMachine");
        let at = "Properties.PermissionsBoundary";
        match looking.properties.get("PermissionsBoundary") {
            None if account.packaged.is_some() && looking.kind == "AWS::IAM::Role" => {
                let reason = format!("every role here has the permissions boundary {}", account.boundary);
                self.refuse(ViolationCode::PermissionsBoundary, looking.logical, at, reason);
            }
            Some(value) if has_role => {
                let texts = self.scope.texts(value);
                let same = texts.iter().all(|text| plain(text).as_deref() == Some(account.boundary.as_str()));
                let fixed = account.packaged.is_none() || value.is_string();
                if texts.iter().any(|text| text.contains(&Piece::Unknown)) {
                    self.hidden(looking.logical, at);
                } else if !same || !fixed {
                    let reason = format!("the permissions boundary of every role here is {}", account.boundary);
                    self.refuse(ViolationCode::PermissionsBoundary, looking.logical, at, reason);
                }
            }
            _ => {}
        }
    }

    /// The tags of a role say to the boundary whose it is: a template does not set them.
    fn tags(&mut self, looking: Looking<'_>) {
        let Some(tags) = looking.properties.get("Tags") else { return };
        let at = "Properties.Tags";
        let mut keys = Vec::new();
        for branch in branches(tags) {
            match (branch, function(branch)) {
                (Value::Array(items), _) => {
                    for item in items.iter().flat_map(branches) {
                        match item.get("Key") {
                            Some(key) => keys.extend(self.scope.texts(key)),
                            None => return self.hidden(looking.logical, at),
                        }
                    }
                }
                (Value::Object(map), None) => keys.extend(map.keys().map(|key| vec![Piece::Text(key.clone())])),
                _ => return self.hidden(looking.logical, at),
            }
        }
        for key in keys {
            let shown = self.scope.rendered(&key);
            if key.contains(&Piece::Unknown) || key.iter().any(|piece| matches!(piece, Piece::Own(_))) {
                self.hidden(looking.logical, at);
            } else if shown.trim_start().to_lowercase().starts_with("workroom:") && !self.is_put_in(looking, &shown) {
                let reason = "tags that start with `workroom:` are the platform's: they say whose a role is";
                self.refuse(ViolationCode::Name, looking.logical, at, reason);
            }
        }
    }

    /// The one role that is put in between the two looks has the one tag that it needs.
    fn is_put_in(&self, looking: Looking<'_>, key: &str) -> bool {
        let expanded = self.account().is_some_and(|account| account.packaged.is_some());
        expanded && looking.logical == DEPLOYMENT_ROLE && key == SHIFTS
    }

    /// A role that something runs as is one of this template.
    fn own_role(&mut self, looking: Looking<'_>, at: &str, value: Option<&Value>) {
        let Some(value) = value else { return };
        for text in self.scope.texts(value) {
            if text.contains(&Piece::Unknown) {
                self.hidden(looking.logical, at);
            } else if !self.is_own_role(&text) {
                let reason = "a role is one of this template (AWS::IAM::Role): another's permissions are not lent";
                self.refuse(ViolationCode::ForeignRole, looking.logical, at, reason);
            }
        }
    }

    fn is_own_role(&self, text: &Text) -> bool {
        let [.., Piece::Own(logical)] = text.as_slice() else { return false };
        let before = self.scope.rendered(&text[..text.len() - 1].to_vec());
        let arn = format!("arn:{}:iam::{}:role/", self.scope.partition(), self.scope.account().unwrap_or_default());
        // A role that SAM makes is not declared; its id ends so.
        let role = self.scope.kind_of(logical).map_or(logical.ends_with("Role"), |kind| kind == "AWS::IAM::Role");
        role && (before.is_empty() || before == arn)
    }

    fn policies(&mut self, looking: Looking<'_>, property: &str) {
        let Some(value) = looking.properties.get(property) else { return };
        let at = format!("Properties.{property}");
        for policy in items(value) {
            // A policy document, or one of SAM's policy templates: the boundary holds it.
            if policy.is_object() && function(policy).is_none() {
                continue;
            }
            for text in self.scope.texts(policy) {
                let shown = self.scope.rendered(&text);
                if text.contains(&Piece::Unknown) {
                    self.hidden(looking.logical, &at);
                } else if !self.is_allowed_policy(&text, &shown) {
                    let reason = format!("the target does not allow the managed policy `{}`", printable(&shown));
                    self.refuse(ViolationCode::ManagedPolicy, looking.logical, &at, reason);
                }
            }
        }
    }

    fn is_allowed_policy(&self, text: &Text, shown: &str) -> bool {
        if let [Piece::Own(logical)] = text.as_slice() {
            return self.scope.kind_of(logical) == Some("AWS::IAM::ManagedPolicy");
        }
        let Some(account) = self.account() else { return true };
        let aws = format!("arn:{}:iam::aws:policy/", self.scope.partition());
        let name = match shown.strip_prefix(&aws) {
            Some(path) => path.rsplit('/').next().unwrap_or_default(),
            None => shown,
        };
        USUAL_POLICIES.contains(&name)
            || account.managed_policies.iter().any(|pattern| {
                is_like(shown, pattern) || !shown.contains(':') && pattern.rsplit('/').next() == Some(shown)
            })
    }

    /// A policy is attached to roles of this template alone.
    fn attachments(&mut self, looking: Looking<'_>) {
        for property in ["Users", "Groups"] {
            if looking.properties.get(property).is_some() {
                let at = format!("Properties.{property}");
                let reason = "a policy of an app is attached to its own roles, not to people";
                self.refuse(ViolationCode::ForeignRole, looking.logical, &at, reason);
            }
        }
        let Some(roles) = looking.properties.get("Roles") else { return };
        for role in items(roles) {
            self.own_role(looking, "Properties.Roles", Some(role));
        }
    }

    pub(super) fn layers(&mut self, looking: Looking<'_>) {
        let Some(account) = self.account() else { return };
        if !matches!(looking.kind, "AWS::Serverless::Function" | "AWS::Lambda::Function") {
            return;
        }
        let Some(layers) = looking.properties.get("Layers") else { return };
        let at = "Properties.Layers";
        for layer in items(layers) {
            for text in self.scope.texts(layer) {
                let shown = self.scope.rendered(&text);
                let own = matches!(text.as_slice(), [Piece::Own(logical)]
                    if self.scope.kind_of(logical).is_none_or(|kind| kind.ends_with("::LayerVersion")));
                let usual = USUAL_LAYERS.iter().any(|pattern| is_like(&shown, pattern));
                if text.contains(&Piece::Unknown) {
                    self.hidden(looking.logical, at);
                } else if !own && !usual && !account.layers.iter().any(|pattern| is_like(&shown, pattern)) {
                    let reason = format!("the target does not allow the layer `{}`", printable(&shown));
                    self.refuse(ViolationCode::Layer, looking.logical, at, reason);
                }
            }
        }
    }
}

fn printable(text: &str) -> String {
    text.replace([OWN, SECRET, UNKNOWN], "…").chars().take(200).collect()
}

/// Whether `text` is like `pattern`, where each `*` stands for any text.
fn is_like(text: &str, pattern: &str) -> bool {
    let Some((head, mut rest)) = pattern.split_once('*') else { return text == pattern };
    let Some(mut text) = text.strip_prefix(head) else { return false };
    while let Some((part, more)) = rest.split_once('*') {
        let Some(at) = text.find(part) else { return false };
        text = &text[at + part.len()..];
        rest = more;
    }
    text.ends_with(rest)
}
