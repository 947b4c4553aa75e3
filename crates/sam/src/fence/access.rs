//! Who may use what a template makes.

use serde_json::Value;

use super::text::{Piece, branches, function, items, plain};
use super::{Fence, Looking, ViolationCode};

const EVERYBODY: &str = "everybody may use it: name a service of AWS, or what this template makes";

impl Fence<'_> {
    pub(super) fn access(&mut self, looking: Looking<'_>) {
        let properties = looking.properties;
        match looking.kind {
            "AWS::IAM::Role" | "AWS::Serverless::Function" | "AWS::Serverless::StateMachine"
                if self.account().is_some() =>
            {
                self.trust(looking);
            }
            "AWS::S3::BucketPolicy" | "AWS::SQS::QueuePolicy" | "AWS::SNS::TopicPolicy" => {
                self.document(looking, "PolicyDocument", false);
            }
            "AWS::Lambda::Permission" => self.permission(looking),
            "AWS::S3::Bucket" => {
                let closed = ["Private", "BucketOwnerRead", "BucketOwnerFullControl", "LogDeliveryWrite"];
                self.one_of(looking, "AccessControl", properties.get("AccessControl"), &closed);
            }
            _ => {}
        }
        match looking.kind {
            "AWS::Lambda::Url" => self.one_of(looking, "AuthType", properties.get("AuthType"), &["AWS_IAM"]),
            "AWS::Serverless::Function" => {
                for url in properties.get("FunctionUrlConfig").map(branches).unwrap_or_default() {
                    self.one_of(looking, "FunctionUrlConfig.AuthType", url.get("AuthType"), &["AWS_IAM"]);
                }
            }
            _ => {}
        }
    }

    /// A property that may have these values alone, when it is there.
    fn one_of(&mut self, looking: Looking<'_>, property: &str, value: Option<&Value>, allowed: &[&str]) {
        let at = format!("Properties.{property}");
        for text in value.map(|value| self.scope.texts(value)).unwrap_or_default() {
            match plain(&text) {
                Some(text) if allowed.contains(&text.as_str()) => {}
                Some(_) => self.refuse(ViolationCode::Principal, looking.logical, &at, EVERYBODY),
                None => self.hidden(looking.logical, &at),
            }
        }
    }

    fn permission(&mut self, looking: Looking<'_>) {
        let at = "Properties.Principal";
        let Some(value) = looking.properties.get("Principal") else { return };
        for text in self.scope.texts(value) {
            let known = plain(&text);
            let fits = match &known {
                Some(principal) => self.is_service_or_own(principal),
                None => !text.contains(&Piece::Unknown),
            };
            match known {
                Some(principal) if principal == "*" => {
                    self.refuse(ViolationCode::Principal, looking.logical, at, EVERYBODY);
                }
                _ if self.account().is_none() || fits => {}
                None => self.hidden(looking.logical, at),
                Some(principal) => {
                    let reason = format!("`{principal}` is neither a service of AWS nor the stack's own account");
                    self.refuse(ViolationCode::Principal, looking.logical, at, reason);
                }
            }
        }
        let kind = looking.properties.get("FunctionUrlAuthType");
        self.one_of(looking, "FunctionUrlAuthType", kind, &["AWS_IAM"]);
    }

    fn is_service_or_own(&self, principal: &str) -> bool {
        let Some(account) = self.scope.account() else { return true };
        let own = format!("arn:{}:iam::{account}:", self.scope.partition());
        is_service(principal) || principal == account || principal.starts_with(&own)
    }

    /// Who may take on a role.
    fn trust(&mut self, looking: Looking<'_>) {
        if looking.properties.get("AssumeRolePolicyDocument").is_some() {
            self.document(looking, "AssumeRolePolicyDocument", true);
        }
    }

    /// Looks at each principal that a policy document lets in. `closed` is for roles: nobody from outside at all.
    fn document(&mut self, looking: Looking<'_>, property: &str, closed: bool) {
        let at = format!("Properties.{property}");
        for document in looking.properties.get(property).map(branches).unwrap_or_default() {
            let statements = document.get("Statement").map(items).unwrap_or_default();
            if function(document).is_some() || document.is_string() {
                self.hidden(looking.logical, &at);
            }
            for statement in statements {
                if function(statement).is_some() {
                    self.hidden(looking.logical, &at);
                } else if statement["Effect"] != "Deny" {
                    self.statement(looking, &at, statement, closed);
                }
            }
        }
    }

    fn statement(&mut self, looking: Looking<'_>, at: &str, statement: &Value, closed: bool) {
        if statement.get("NotPrincipal").is_some() {
            self.refuse(ViolationCode::Principal, looking.logical, at, "`NotPrincipal` lets everybody else in");
        }
        let conditional = statement.get("Condition").is_some_and(|c| c.as_object().is_none_or(|c| !c.is_empty()));
        for principal in statement.get("Principal").map(branches).unwrap_or_default() {
            match principal {
                Value::Object(map) if function(principal).is_none() => {
                    for (kind, who) in map {
                        for one in items(who) {
                            self.principal(looking, at, (kind, one), conditional, closed);
                        }
                    }
                }
                one => self.principal(looking, at, ("AWS", one), conditional, closed),
            }
        }
    }

    fn principal(&mut self, looking: Looking<'_>, at: &str, who: (&str, &Value), conditional: bool, closed: bool) {
        let (kind, value) = who;
        for text in self.scope.texts(value) {
            let Some(principal) = plain(&text) else {
                if text.contains(&Piece::Unknown) && self.account().is_some() {
                    self.hidden(looking.logical, at);
                }
                continue;
            };
            if principal.contains('*') && (closed || !conditional) {
                self.refuse(ViolationCode::Principal, looking.logical, at, EVERYBODY);
                continue;
            }
            let fits = match kind {
                "Service" => is_service(&principal),
                "Federated" => principal == "cognito-identity.amazonaws.com",
                _ => self.is_service_or_own(&principal),
            };
            if closed && !fits {
                let reason = format!("`{principal}` may not take on a role of the stack");
                self.refuse(ViolationCode::Principal, looking.logical, at, reason);
            }
        }
    }
}

fn is_service(principal: &str) -> bool {
    [".amazonaws.com", ".amazonaws.com.cn"].iter().any(|suffix| {
        principal.strip_suffix(suffix).is_some_and(|name| {
            !name.is_empty()
                && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'-'))
        })
    })
}
