//! The command line of `workroom`.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use identity::OldTokens;
use tracing::level_filters::LevelFilter;

pub const USAGE: &str = "\
usage: workroom [OPTIONS]

  --data DIR          where everything is kept (default: ./data)
  --port N            where the platform answers; the AWS service endpoint takes N+1 (default: 4000; 0: free ports)
  --admin EMAIL       the first admin, made at the first start (default: admin@workroom.localhost)
  --template PATH     the platform's template (default: the repository's template.yaml)
  --static DIR        the front end's files (default: frontend/dist)
  --starters DIR      the starters (default: starters)
  --dynamodb PATH     the DynamoDB companion (default: target/companions/release/workroom-dynamodb)
  --emulator URL      where calls to AWS services go that this machine does not have
  --region NAME       the region that ARNs name (default: eu-central-1)
  --rotate-keys       make a new key for access tokens at this start; older tokens are valid until they expire
  --revoke-keys       the same, and older tokens end at once
  --allow-import-from ADDRESS   an address that is not public and that imports may come from all the same; may be repeated
  --import-ca FILE    certificates (PEM) that imports trust besides the system's
  --log LEVEL         off, error, warn, info, debug or trace (default: warn)
";

/// What the command line says.
#[derive(Clone, Debug)]
pub struct Config {
    pub data: PathBuf,
    pub port: u16,
    pub admin: String,
    pub template: PathBuf,
    pub static_files: PathBuf,
    pub starters: PathBuf,
    pub dynamodb: PathBuf,
    pub emulator: Option<String>,
    pub region: String,
    /// Make a new key for access tokens, and what becomes of tokens of older ones.
    pub rotate_keys: Option<OldTokens>,
    /// Where imports may come from besides the internet.
    pub allow_import_from: Vec<IpAddr>,
    pub import_ca: Option<PathBuf>,
    pub log: LevelFilter,
    /// Where interpreters are looked for.
    pub search_path: String,
    /// What builds are told of package registries and certificates: variables of this process, by name.
    pub registries: BTreeMap<String, String>,
}

/// Variables that say where package registries are and whom to trust; none of them is a key.
const REGISTRIES: [&str; 17] = [
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "npm_config_registry",
    "NPM_CONFIG_REGISTRY",
    "NODE_EXTRA_CA_CERTS",
    "PIP_CERT",
    "PIP_DEFAULT_TIMEOUT",
    "PIP_EXTRA_INDEX_URL",
    "PIP_INDEX_URL",
    "REQUESTS_CA_BUNDLE",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
    "UV_INDEX_URL",
];

/// One line that says what is wrong with the command line.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct UsageError(String);

impl Config {
    /// Reads the arguments, without the program's name. `root` is the repository.
    pub fn read(arguments: impl IntoIterator<Item = String>, root: &Path) -> Result<Self, UsageError> {
        let mut config = Self {
            data: PathBuf::from("data"),
            port: 4000,
            admin: "admin@workroom.localhost".into(),
            template: root.join("template.yaml"),
            static_files: root.join("frontend/dist"),
            starters: root.join("starters"),
            dynamodb: root.join("target/companions/release/workroom-dynamodb"),
            emulator: None,
            region: "eu-central-1".into(),
            rotate_keys: None,
            allow_import_from: Vec::new(),
            import_ca: None,
            log: LevelFilter::WARN,
            search_path: variable("PATH").unwrap_or_else(|| "/usr/local/bin:/usr/bin:/bin".into()),
            registries: REGISTRIES.iter().filter_map(|name| Some(((*name).to_owned(), variable(name)?))).collect(),
        };
        let mut arguments = arguments.into_iter();
        while let Some(argument) = arguments.next() {
            let (name, inline) = match argument.split_once('=') {
                Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
                None => (argument, None),
            };
            let value = |inline: Option<String>, arguments: &mut dyn Iterator<Item = String>| {
                let value = inline.or_else(|| arguments.next()).filter(|value| !value.is_empty());
                value.ok_or_else(|| UsageError(format!("{name} needs a value")))
            };
            let mut next = || value(inline.clone(), &mut arguments);
            match name.as_str() {
                "--data" => config.data = next()?.into(),
                "--port" => {
                    let raw = next()?;
                    let port = raw.parse().ok().filter(|port| *port < u16::MAX);
                    config.port = port.ok_or_else(|| UsageError(format!("--port is 0 to 65534, not `{raw}`")))?;
                }
                "--admin" => config.admin = next()?,
                "--template" => config.template = next()?.into(),
                "--static" => config.static_files = next()?.into(),
                "--starters" => config.starters = next()?.into(),
                "--dynamodb" => config.dynamodb = next()?.into(),
                "--emulator" => config.emulator = Some(next()?),
                "--region" => config.region = next()?,
                "--allow-import-from" => {
                    let raw = next()?;
                    let address = raw.parse();
                    config
                        .allow_import_from
                        .push(address.map_err(|_| UsageError(format!("{name} is an IP address, not `{raw}`")))?);
                }
                "--import-ca" => config.import_ca = Some(next()?.into()),
                "--rotate-keys" if inline.is_none() => {
                    config.rotate_keys = config.rotate_keys.or(Some(OldTokens::Expire))
                }
                "--revoke-keys" if inline.is_none() => config.rotate_keys = Some(OldTokens::End),
                "--log" => {
                    let raw = next()?;
                    config.log = raw.parse().map_err(|_| {
                        UsageError(format!("--log is off, error, warn, info, debug or trace, not `{raw}`"))
                    })?;
                }
                _ => return Err(UsageError(format!("`{name}` is not an option; `workroom --help` lists them"))),
            }
        }
        Ok(config)
    }
}

#[allow(clippy::disallowed_methods, reason = "this is the one reader of the environment")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// The repository: the nearest folder with a `template.yaml`, from the working folder or the program upwards.
pub fn repository() -> PathBuf {
    let from = [std::env::current_dir(), std::env::current_exe()];
    let found = from.iter().flatten().flat_map(|path| path.ancestors()).find(|at| at.join("template.yaml").is_file());
    found.map_or_else(|| PathBuf::from("."), Path::to_path_buf)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(arguments: &[&str]) -> Result<Config, UsageError> {
        Config::read(arguments.iter().map(|one| (*one).to_owned()), Path::new("/repo"))
    }

    #[test]
    fn options_are_read_in_both_forms() {
        let config = read(&["--data", "/d", "--port=0", "--log", "debug"]).unwrap();
        assert_eq!((config.data.to_str(), config.port, config.log), (Some("/d"), 0, LevelFilter::DEBUG));
        assert_eq!(config.template, Path::new("/repo/template.yaml"));
    }

    #[test]
    fn keys_are_replaced_when_asked_and_the_stronger_wish_counts() {
        assert_eq!(read(&["--data", "/d"]).unwrap().rotate_keys, None);
        assert_eq!(read(&["--rotate-keys", "--port", "0"]).unwrap().rotate_keys, Some(OldTokens::Expire));
        for both in [["--rotate-keys", "--revoke-keys"], ["--revoke-keys", "--rotate-keys"]] {
            assert_eq!(read(&both).unwrap().rotate_keys, Some(OldTokens::End));
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (arguments, named) in [
            (&["--port", "many"][..], "--port"),
            (&["--port", "65535"], "--port"),
            (&["--data"], "--data needs a value"),
            (&["--data="], "--data needs a value"),
            (&["--dta", "x"], "--dta"),
            (&["--log", "loud"], "--log"),
            (&["--allow-import-from", "localhost"], "--allow-import-from"),
            (&["--revoke-keys=no"], "--revoke-keys"),
        ] {
            let error = read(arguments).unwrap_err().to_string();
            assert!(error.contains(named), "{error}");
        }
    }
}
