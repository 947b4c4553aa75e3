//! The environment, read once.

use std::fmt;

use url::Url;

/// What the template tells a function about its surroundings.
#[derive(Clone, Debug)]
pub struct Config {
    /// `WORKROOM_ENVIRONMENT`: dev or prod.
    pub environment: String,
    /// `TABLE_NAME`: the table of all records.
    pub table_name: String,
    /// `DATA_BUCKET`: the bucket of all blobs.
    pub data_bucket: String,
    pub job_queue_url: Url,
    pub tail_queue_url: Url,
    /// `PARAMETER_PREFIX`: where this deployment's parameters live, `/workroom/dev`.
    pub parameter_prefix: String,
    /// `PUBLIC_URL`: where people find the platform; unknown (empty) when it has no domain of its own.
    pub public_url: Option<Url>,
    /// `SOCKET_URL`: where clients open their WebSocket.
    pub socket_url: Url,
    /// `SOCKET_MANAGEMENT_URL`: where messages to connections are posted.
    pub socket_management_url: Url,
    /// `STACK_ROLE_ARN`: the role that people's keys for a stack come from; unset where keys are not made from roles.
    pub stack_role_arn: Option<String>,
    /// `STACK_BOUNDARY_ARN`: the permissions boundary of every role that a stack makes; unset where roles have no
    /// meaning.
    pub stack_boundary_arn: Option<String>,
    /// `STACK_DEPLOY_ROLE_ARN`: the role that CloudFormation makes stacks with; unset where it needs none.
    pub stack_deploy_role_arn: Option<String>,
    /// `BUILD_NODE_FUNCTION`, `BUILD_PYTHON_FUNCTION`: the functions that run users' build steps; set for the build worker.
    pub build_node_function: Option<String>,
    pub build_python_function: Option<String>,
    /// `EVENT_BUS_NAME`: the bus that committed events are put on; unset for functions that put none there.
    pub event_bus_name: Option<String>,
    /// `ISSUER`, `AUDIENCE`: of access tokens.
    pub issuer: String,
    pub audience: String,
    /// `LOG_LEVEL`: off, error, warn, info, debug or trace; info when unset.
    pub log_level: tracing::level_filters::LevelFilter,
    /// `AREA`: which routes a REST function serves; unset for the other functions.
    pub area: Option<String>,
    /// `RESPONSE_TRANSFER_MODE`: `STREAM` where the gateway invokes the function for a streamed response, so that its
    /// answers have that form; `BUFFERED` or unset elsewhere.
    pub response_stream: bool,
}

/// Every variable that is missing or wrong, at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigErrors(pub Vec<String>);

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the environment is not complete: {}", self.0.join("; "))
    }
}

impl std::error::Error for ConfigErrors {}

impl Config {
    /// Every variable that `read` asks for.
    pub const VARIABLES: [&'static str; 20] = [
        "WORKROOM_ENVIRONMENT",
        "TABLE_NAME",
        "DATA_BUCKET",
        "JOB_QUEUE_URL",
        "TAIL_QUEUE_URL",
        "PARAMETER_PREFIX",
        "PUBLIC_URL",
        "SOCKET_URL",
        "SOCKET_MANAGEMENT_URL",
        "STACK_ROLE_ARN",
        "STACK_BOUNDARY_ARN",
        "STACK_DEPLOY_ROLE_ARN",
        "BUILD_NODE_FUNCTION",
        "BUILD_PYTHON_FUNCTION",
        "EVENT_BUS_NAME",
        "ISSUER",
        "AUDIENCE",
        "LOG_LEVEL",
        "AREA",
        "RESPONSE_TRANSFER_MODE",
    ];

    /// Reads the process's environment.
    #[allow(clippy::disallowed_methods, reason = "this is the one reader of the environment")]
    pub fn from_environment() -> Result<Self, ConfigErrors> {
        Self::read(|name| std::env::var(name).ok())
    }

    /// Reads the variables that `variable` gives. An empty value counts as unset.
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigErrors> {
        let mut read = Reading { variable: &variable, errors: Vec::new() };
        let config = Self {
            environment: read.checked("WORKROOM_ENVIRONMENT", "is dev or prod", |raw| matches!(raw, "dev" | "prod")),
            table_name: read.required("TABLE_NAME"),
            data_bucket: read.required("DATA_BUCKET"),
            job_queue_url: read.url("JOB_QUEUE_URL", &["https", "http"]),
            tail_queue_url: read.url("TAIL_QUEUE_URL", &["https", "http"]),
            parameter_prefix: read.checked(
                "PARAMETER_PREFIX",
                "is a path that starts with / and does not end with it",
                |raw| cloud::ParameterName::parse(raw).is_ok(),
            ),
            public_url: read.optional_url("PUBLIC_URL", &["https", "http"]),
            socket_url: read.url("SOCKET_URL", &["wss", "ws"]),
            socket_management_url: read.url("SOCKET_MANAGEMENT_URL", &["https", "http"]),
            stack_role_arn: read.optional("STACK_ROLE_ARN"),
            stack_boundary_arn: read.optional("STACK_BOUNDARY_ARN"),
            stack_deploy_role_arn: read.optional("STACK_DEPLOY_ROLE_ARN"),
            build_node_function: read.optional("BUILD_NODE_FUNCTION"),
            build_python_function: read.optional("BUILD_PYTHON_FUNCTION"),
            event_bus_name: read.optional("EVENT_BUS_NAME"),
            issuer: read.required("ISSUER"),
            audience: read.required("AUDIENCE"),
            log_level: read.log_level("LOG_LEVEL"),
            area: read.optional("AREA"),
            response_stream: read.response_stream("RESPONSE_TRANSFER_MODE"),
        };
        if read.errors.is_empty() { Ok(config) } else { Err(ConfigErrors(read.errors)) }
    }
}

/// Collects what is wrong while it reads.
struct Reading<'a> {
    variable: &'a dyn Fn(&str) -> Option<String>,
    errors: Vec<String>,
}

impl Reading<'_> {
    fn optional(&self, name: &str) -> Option<String> {
        (self.variable)(name).filter(|value| !value.is_empty())
    }

    fn required(&mut self, name: &str) -> String {
        self.checked(name, "", |_| true)
    }

    fn checked(&mut self, name: &str, rule: &str, fits: impl Fn(&str) -> bool) -> String {
        match self.optional(name) {
            Some(value) if fits(&value) => return value,
            Some(_) => self.errors.push(format!("{name} {rule}")),
            None => self.errors.push(format!("{name} is not set")),
        }
        String::new()
    }

    fn optional_url(&mut self, name: &str, schemes: &[&str]) -> Option<Url> {
        let raw = self.optional(name)?;
        let url = Url::parse(&raw).ok().filter(|url| url.has_host() && schemes.contains(&url.scheme()));
        if url.is_none() {
            self.errors.push(format!("{name} is a URL with {}", schemes.join(" or ")));
        }
        url
    }

    fn url(&mut self, name: &str, schemes: &[&str]) -> Url {
        if self.optional(name).is_none() {
            self.errors.push(format!("{name} is not set"));
        }
        self.optional_url(name, schemes).unwrap_or_else(|| Url::parse("http://unset.invalid").expect("a URL"))
    }

    fn response_stream(&mut self, name: &str) -> bool {
        match self.optional(name).as_deref() {
            Some("STREAM") => true,
            Some("BUFFERED") | None => false,
            Some(_) => {
                self.errors.push(format!("{name} is STREAM or BUFFERED"));
                false
            }
        }
    }

    fn log_level(&mut self, name: &str) -> tracing::level_filters::LevelFilter {
        let raw = self.optional(name).unwrap_or_else(|| "info".into());
        raw.parse().unwrap_or_else(|_| {
            self.errors.push(format!("{name} is off, error, warn, info, debug or trace"));
            tracing::level_filters::LevelFilter::INFO
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn complete() -> BTreeMap<&'static str, &'static str> {
        BTreeMap::from([
            ("WORKROOM_ENVIRONMENT", "dev"),
            ("TABLE_NAME", "workroom"),
            ("DATA_BUCKET", "workroom-data"),
            ("JOB_QUEUE_URL", "https://sqs.eu-central-1.amazonaws.com/1/jobs"),
            ("TAIL_QUEUE_URL", "https://sqs.eu-central-1.amazonaws.com/1/tails"),
            ("PARAMETER_PREFIX", "/workroom/dev"),
            ("PUBLIC_URL", ""),
            ("SOCKET_URL", "wss://x.execute-api.eu-central-1.amazonaws.com/dev"),
            ("SOCKET_MANAGEMENT_URL", "https://x.execute-api.eu-central-1.amazonaws.com/dev"),
            ("ISSUER", "workroom-dev"),
            ("AUDIENCE", "workroom-api"),
        ])
    }

    fn read(variables: &BTreeMap<&'static str, &'static str>) -> Result<Config, ConfigErrors> {
        Config::read(|name| {
            assert!(Config::VARIABLES.contains(&name), "{name} is not listed");
            variables.get(name).map(ToString::to_string)
        })
    }

    #[test]
    fn a_complete_environment_is_read() {
        let config = read(&complete()).unwrap();
        assert_eq!(config.public_url, None);
        assert_eq!(config.log_level, tracing::level_filters::LevelFilter::INFO);
        assert_eq!(config.area, None);
        assert!(!config.response_stream);
    }

    #[test]
    fn the_transfer_mode_is_api_gateways() {
        let with = |mode| read(&complete().into_iter().chain([("RESPONSE_TRANSFER_MODE", mode)]).collect());
        assert!(with("STREAM").unwrap().response_stream);
        assert!(!with("BUFFERED").unwrap().response_stream);
        assert!(with("RESPONSE_STREAM").is_err());
    }

    #[test]
    fn every_bad_variable_is_reported_at_once() {
        let mut variables = complete();
        variables.remove("TABLE_NAME");
        variables.extend([
            ("SOCKET_URL", "https://not-a-socket.example"),
            ("WORKROOM_ENVIRONMENT", "staging"),
            ("LOG_LEVEL", "loud"),
            ("PUBLIC_URL", "workroom.example.com"),
            ("PARAMETER_PREFIX", "/workroom/"),
            ("ISSUER", ""),
            ("RESPONSE_TRANSFER_MODE", "stream"),
        ]);
        let errors = read(&variables).unwrap_err().0;
        let named = [
            "WORKROOM_ENVIRONMENT",
            "TABLE_NAME",
            "PARAMETER_PREFIX",
            "PUBLIC_URL",
            "SOCKET_URL",
            "ISSUER",
            "LOG_LEVEL",
            "RESPONSE_TRANSFER_MODE",
        ];
        assert_eq!(errors.len(), named.len(), "{errors:?}");
        for (error, name) in errors.iter().zip(named) {
            assert!(error.starts_with(name), "{error}");
        }
    }

    #[test]
    fn each_missing_variable_is_named_once() {
        let errors = Config::read(|_| None).unwrap_err();
        let required = Config::VARIABLES.iter().filter(|name| {
            ![
                "PUBLIC_URL",
                "STACK_ROLE_ARN",
                "STACK_BOUNDARY_ARN",
                "STACK_DEPLOY_ROLE_ARN",
                "BUILD_NODE_FUNCTION",
                "BUILD_PYTHON_FUNCTION",
                "EVENT_BUS_NAME",
                "LOG_LEVEL",
                "AREA",
                "RESPONSE_TRANSFER_MODE",
            ]
            .contains(name)
        });
        for name in required {
            let times = errors.0.iter().filter(|error| **error == format!("{name} is not set")).count();
            assert_eq!(times, 1, "{name}: {errors}");
        }
    }
}
