//! Functions.

use std::collections::BTreeMap;

use super::code::build_metadata;
use super::{Building, Reading};
use crate::{Function, LayerReference};

/// The most environment a function has, names and values together, in bytes (Lambda quota).
const ENVIRONMENT_BYTES_MAX: usize = 4096;
/// The most layers of one function (Lambda quota).
const LAYERS_MAX: usize = 5;

/// Variables that Lambda sets and refuses to be given ("Defined runtime environment variables").
const RESERVED: [&str; 17] = [
    "_HANDLER",
    "_X_AMZN_TRACE_ID",
    "AWS_DEFAULT_REGION",
    "AWS_REGION",
    "AWS_EXECUTION_ENV",
    "AWS_LAMBDA_FUNCTION_NAME",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
    "AWS_LAMBDA_FUNCTION_VERSION",
    "AWS_LAMBDA_INITIALIZATION_TYPE",
    "AWS_LAMBDA_LOG_GROUP_NAME",
    "AWS_LAMBDA_LOG_STREAM_NAME",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_LAMBDA_RUNTIME_API",
    "LAMBDA_TASK_ROOT",
    "LAMBDA_RUNTIME_DIR",
];

/// What is read here or elsewhere, or has no effect on what a function does.
const READ: [&str; 33] = [
    "FunctionName",
    "Handler",
    "Runtime",
    "CodeUri",
    "Code",
    "InlineCode",
    "PackageType",
    "ImageUri",
    "ImageConfig",
    "MemorySize",
    "Timeout",
    "EphemeralStorage",
    "ReservedConcurrentExecutions",
    "Environment",
    "Architectures",
    "Layers",
    "Events",
    "AutoPublishAlias",
    "AutoPublishAliasAllProperties",
    "AutoPublishCodeSha256",
    "PublishToLatestPublished",
    "VersionDescription",
    "DeploymentPreference",
    "Policies",
    "Role",
    "RolePath",
    "AssumeRolePolicyDocument",
    "LoggingConfig",
    "DeadLetterQueue",
    "DeadLetterConfig",
    "FunctionUrlConfig",
    "EventInvokeConfig",
    "Tracing",
];

impl<'a> Building<'a> {
    pub(super) fn function(&mut self, reading: &Reading<'a>) {
        let properties = &reading.properties;
        let text = |key: &str| properties.get(key).and_then(|node| node.text());
        let number = |keys: &[&str], range, default| {
            properties.path(keys).and_then(|node| node.number(range)).unwrap_or(default)
        };
        if text("PackageType").as_deref() == Some("Image") || properties.get("ImageUri").is_some() {
            self.refuse(reading, Some("PackageType"), "images need a container engine: use `PackageType: Zip`");
            return;
        }
        let function = Function {
            logical_id: reading.logical.to_owned(),
            name: text("FunctionName"),
            runtime: text("Runtime").unwrap_or_default(),
            handler: text("Handler").unwrap_or_default(),
            code: self.code(reading),
            description: text("Description"),
            memory_mb: number(&["MemorySize"], 128..=10_240, 128),
            timeout_s: number(&["Timeout"], 1..=900, 3),
            ephemeral_storage_mb: number(&["EphemeralStorage", "Size"], 512..=10_240, 512),
            reserved_concurrency: properties
                .get("ReservedConcurrentExecutions")
                .and_then(|node| node.number(0..=100_000)),
            environment: self.environment(reading),
            architectures: properties.get("Architectures").map_or_else(|| vec!["x86_64".into()], |all| all.texts()),
            layers: self.layers(reading),
            events: Vec::new(),
            build: build_metadata(reading.resource),
            alias: text("AutoPublishAlias"),
            policies: properties.get("Policies").map(|node| node.value()).unwrap_or_default(),
            log_group: properties.path(&["LoggingConfig", "LogGroup"]).and_then(|node| node.text()),
            dead_letter_target: ["DeadLetterQueue", "DeadLetterConfig"]
                .iter()
                .find_map(|name| properties.path(&[name, "TargetArn"]))
                .and_then(|node| node.text()),
        };
        if function.runtime.is_empty() {
            properties.problem("a function has a `Runtime`");
        }
        if function.handler.is_empty() && !function.runtime.starts_with("provided") {
            properties.problem("a function has a `Handler`");
        }
        self.function_notes(reading);
        self.app.functions.insert(function.logical_id.clone(), function);
    }

    fn function_notes(&mut self, reading: &Reading<'a>) {
        let properties = &reading.properties;
        let preference = properties.path(&["DeploymentPreference", "Type"]).and_then(|kind| kind.text());
        if preference.is_some_and(|kind| kind != "AllAtOnce") {
            self.unsupported(reading, Some("DeploymentPreference"), "traffic moves to a new version at once");
        }
        if properties.get("FunctionUrlConfig").is_some() {
            self.function_url(reading, "FunctionUrlConfig.AuthType");
        }
        let format = properties.path(&["LoggingConfig", "LogFormat"]).and_then(|format| format.text());
        if format.as_deref() == Some("JSON") {
            let reason = "lines are kept as the function writes them, and START, END and REPORT are text";
            self.unsupported(reading, Some("LoggingConfig.LogFormat"), reason);
        }
        for (name, reason) in [
            ("EventInvokeConfig", "asynchronous calls have no destinations here"),
            ("Tracing", "there is no X-Ray here"),
        ] {
            if properties.get(name).is_some() {
                self.unsupported(reading, Some(name), reason);
            }
        }
        self.note_others(reading, &READ);
    }

    fn environment(&self, reading: &Reading<'a>) -> BTreeMap<String, String> {
        let Some(variables) = reading.properties.path(&["Environment", "Variables"]) else { return BTreeMap::new() };
        let environment = variables.text_map();
        let bytes: usize = environment.iter().map(|(name, value)| name.len() + value.len()).sum();
        if bytes > ENVIRONMENT_BYTES_MAX {
            variables.problem(format!("the environment has {bytes} bytes, more than {ENVIRONMENT_BYTES_MAX}"));
        }
        for name in environment.keys() {
            let word = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
            let letter = name.starts_with(|c: char| c.is_ascii_alphabetic());
            if RESERVED.contains(&name.as_str()) {
                variables.problem(format!("`{name}` is set by Lambda itself"));
            } else if !word || !letter || name.len() < 2 {
                variables
                    .problem(format!("`{name}` is no name that Lambda takes: a letter, then letters, digits and _"));
            }
        }
        environment
    }

    fn layers(&mut self, reading: &Reading<'a>) -> Vec<LayerReference> {
        let Some(list) = reading.properties.get("Layers") else { return Vec::new() };
        let mut layers = Vec::new();
        for item in list.items() {
            if let Some(logical) = item.resource_of(&["AWS::Serverless::LayerVersion", "AWS::Lambda::LayerVersion"]) {
                layers.push(LayerReference::Logical(logical));
            } else if let Some(arn) = item.text() {
                self.unsupported(reading, Some("Layers"), format!("the published layer {arn} cannot be fetched here"));
                layers.push(LayerReference::Arn(arn));
            }
        }
        if layers.len() > LAYERS_MAX {
            list.problem(format!("a function has at most {LAYERS_MAX} layers"));
        }
        layers
    }
}
