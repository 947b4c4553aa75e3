//! How a function's process is started: its program, files and environment.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use sandbox::{Bridge, Limits, Mount, Network, Spec};

use super::instance::CREDENTIALS_TTL;
use super::{FunctionSpec, Host};
use crate::access_keys::Scope;
use crate::stacks::runtimes::Language;

/// Processes and threads of one function (Lambda quota).
const PROCESSES_MAX: u32 = 1024;

pub struct Program<'a> {
    pub host: &'a Host,
    pub spec: &'a FunctionSpec,
    pub tmp: &'a Path,
    pub stream: &'a str,
    pub runtime: Bridge,
}

impl Program<'_> {
    pub fn sandbox_spec(self) -> Spec {
        let task = Mount::read(&self.spec.package).at("/var/task");
        let tmp = Mount::write(self.tmp).at("/tmp");
        let client = Mount::read(&self.host.clients).at("/var/runtime");
        let layers = self.spec.layers.as_ref().map(|folder| Mount::read(folder).at("/opt"));
        let aws = Bridge { port: self.host.aws_port, socket: self.host.aws_socket.clone() };
        let env = self.environment(&task, &tmp, &client, layers.as_ref(), &aws);
        let (program, args) = self.command(&task, &client, layers.as_ref());
        let cwd = self.inside(&task);
        let mut mounts = vec![task, tmp, client];
        mounts.extend(layers);
        mounts.extend(self.spec.runtime.tool.iter().flat_map(|tool| tool.mounts.clone()));
        let mut bridges = vec![self.runtime];
        if aws.socket.exists() {
            bridges.push(aws);
        }
        let mb = |value: u32| u64::from(value) * 1024 * 1024;
        let limits = Limits {
            memory_bytes: Some(mb(self.spec.memory_mb)),
            processes: Some(PROCESSES_MAX),
            file_bytes: Some(mb(self.spec.storage_mb)),
            cpu_s: None,
        };
        let outside = self.host.sandbox.as_ref().is_ok_and(sandbox::Sandbox::reaches_outside);
        Spec { program, args, env, cwd, mounts, network: Network { outside, bridges }, limits }
    }

    fn inside(&self, mount: &Mount) -> PathBuf {
        match &self.host.sandbox {
            Ok(sandbox) => sandbox.inside(mount).to_owned(),
            Err(_) => mount.target.clone(),
        }
    }

    fn command(&self, task: &Mount, client: &Mount, layers: Option<&Mount>) -> (PathBuf, Vec<String>) {
        let client = self.inside(client);
        let script = |name: &str| client.join(name).display().to_string();
        match (self.spec.runtime.language, &self.spec.runtime.tool) {
            // `-S`: packages of this machine are not the function's.
            (Language::Python, Some(tool)) => {
                (tool.program.clone(), vec!["-S".into(), "-u".into(), script("bootstrap.py")])
            }
            (Language::Node, Some(tool)) => (tool.program.clone(), vec![script("bootstrap.mjs")]),
            _ => {
                let in_layer = self.spec.layers.as_ref().filter(|folder| {
                    !self.spec.package.join("bootstrap").exists() && folder.join("bootstrap").exists()
                });
                let folder = if in_layer.is_some() { layers.unwrap_or(task) } else { task };
                (self.inside(folder).join("bootstrap"), Vec::new())
            }
        }
    }

    /// The variables that Lambda sets (Developer Guide, "Defined runtime environment variables"), over the
    /// function's own.
    fn environment(
        &self,
        task: &Mount,
        tmp: &Mount,
        client: &Mount,
        layers: Option<&Mount>,
        aws: &Bridge,
    ) -> BTreeMap<String, String> {
        let (spec, host) = (self.spec, self.host);
        let path = |mount: &Mount| self.inside(mount).display().to_string();
        let (task, client) = (path(task), path(client));
        let opt = layers.map_or_else(|| "/opt".to_owned(), path);
        let keys = host.keys.issue(&Scope::Stack(spec.stack.clone()), CREDENTIALS_TTL);
        let own_path = spec.runtime.tool.as_ref().and_then(|tool| tool.program.parent());
        let own_path = own_path.map(|folder| format!("{}:", folder.display())).unwrap_or_default();
        let mut env: BTreeMap<String, String> = BTreeMap::new();
        let mut set = |name: &str, value: String| drop(env.insert(name.to_owned(), value));
        set("PATH", format!("{own_path}/usr/local/bin:/usr/bin:/bin:{opt}/bin"));
        set("LD_LIBRARY_PATH", format!("{task}:{task}/lib:{opt}/lib"));
        set("LANG", "C.UTF-8".into());
        set("TZ", ":UTC".into());
        set("HOME", path(tmp));
        set("TMPDIR", path(tmp));
        if spec.runtime.language == Language::Node {
            set("NODE_PATH", format!("{opt}/nodejs/node_modules:{client}/node_modules"));
        }
        env.extend(spec.environment.clone());
        let mut set = |name: &str, value: String| drop(env.insert(name.to_owned(), value));
        set("AWS_LAMBDA_RUNTIME_API", self.runtime.address());
        set("_HANDLER", spec.handler.clone());
        set("LAMBDA_TASK_ROOT", task);
        set("LAMBDA_RUNTIME_DIR", client);
        set("WORKROOM_LAYERS_ROOT", opt);
        set("AWS_LAMBDA_FUNCTION_NAME", spec.name.clone());
        set("AWS_LAMBDA_FUNCTION_VERSION", spec.version.clone());
        set("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", spec.memory_mb.to_string());
        set("AWS_LAMBDA_LOG_GROUP_NAME", spec.log_group.clone());
        set("AWS_LAMBDA_LOG_STREAM_NAME", self.stream.to_owned());
        set("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand".into());
        set("AWS_EXECUTION_ENV", format!("AWS_Lambda_{}", spec.runtime.name));
        set("AWS_REGION", keys.region.clone());
        set("AWS_DEFAULT_REGION", keys.region);
        set("AWS_ACCESS_KEY_ID", keys.access_key_id);
        set("AWS_SECRET_ACCESS_KEY", keys.secret_access_key.expose().to_owned());
        if let Some(token) = keys.session_token {
            set("AWS_SESSION_TOKEN", token.expose().to_owned());
        }
        if aws.socket.exists() {
            env.entry("AWS_ENDPOINT_URL".into()).or_insert_with(|| format!("http://{}", aws.address()));
        }
        // A metadata service is not there; the SDKs need not look for it.
        env.entry("AWS_EC2_METADATA_DISABLED".into()).or_insert_with(|| "true".into());
        env
    }
}
