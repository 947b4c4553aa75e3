//! Where code and definitions come from.

use serde_json::Value;

use super::text::{branches, function, plain};
use super::{Fence, Looking, PackagedCode, ViolationCode};

/// Properties that name code, a definition or a template at some place.
const PLACES: [&str; 12] = [
    "CodeUri",
    "ContentUri",
    "DefinitionUri",
    "SchemaUri",
    "ImageUri",
    "TemplateURL",
    "Location",
    "BodyS3Location",
    "DefinitionS3Location",
    "RequestMappingTemplateS3Location",
    "ResponseMappingTemplateS3Location",
    "CodeS3Location",
];
/// The properties that the platform packages, by type.
const PACKAGED: [(&str, &str); 4] = [
    ("AWS::Serverless::Function", "CodeUri"),
    ("AWS::Serverless::LayerVersion", "ContentUri"),
    ("AWS::Lambda::Function", "Code"),
    ("AWS::Lambda::LayerVersion", "Content"),
];

impl Fence<'_> {
    pub(super) fn code(&mut self, looking: Looking<'_>) {
        for (property, value) in looking.properties.as_object().into_iter().flatten() {
            let packaged = PACKAGED.contains(&(looking.kind, property.as_str()));
            if packaged || PLACES.contains(&property.as_str()) {
                self.place(looking, property, value, packaged);
            }
        }
    }

    fn place(&mut self, looking: Looking<'_>, property: &str, value: &Value, packaged: bool) {
        let at = format!("Properties.{property}");
        let platform = self.account().and_then(|account| account.packaged.as_ref());
        for branch in branches(value) {
            let fits = match platform {
                Some(platform) => packaged && self.is_packaged(branch, platform),
                None => packaged && self.is_of_the_repository(branch),
            };
            if !fits {
                let reason = match (platform, packaged) {
                    (_, false) => "only what the template holds itself is deployed, nothing from another place",
                    (None, true) => "code comes from a folder of the repository, not from a bucket, registry or URL",
                    (Some(_), true) => "the code is not what the platform packaged",
                };
                self.refuse(ViolationCode::ForeignCode, looking.logical, &at, reason);
            }
        }
    }

    /// A path into the repository, or code within the template.
    fn is_of_the_repository(&self, value: &Value) -> bool {
        if let (Value::Object(map), None) = (value, function(value)) {
            return map.keys().eq(["ZipFile"]);
        }
        let texts: Option<Vec<String>> = self.scope.texts(value).iter().map(plain).collect();
        texts.is_some_and(|texts| {
            texts.iter().all(|path| !path.contains("://") && !path.starts_with('/') && !path.contains(['\0', '$']))
        })
    }

    fn is_packaged(&self, value: &Value, platform: &PackagedCode) -> bool {
        let Value::Object(map) = value else { return false };
        if map.keys().eq(["ZipFile"]) {
            return true;
        }
        let text = |names: [&str; 2]| names.iter().find_map(|name| map.get(*name)?.as_str());
        map.len() == 2
            && text(["S3Bucket", "Bucket"]) == Some(&platform.bucket)
            && text(["S3Key", "Key"]).is_some_and(|key| platform.keys.contains(key))
    }
}
