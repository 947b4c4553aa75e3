//! An endpoint over a fresh store, and the programs that call it.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use cloud::{
    Clock, Credentials, DeployStack, EventSink, FunctionView, Invocation, Invoke, LogEvent, Logs, Millis, Stack,
    StackName, StackStatus, Stacks, SystemClock, SystemEntropy,
};
use cloud_local::access_keys::{AccessKeys, AccessKeysSettings, Scope};
use cloud_local::wire::{DynamoDb, DynamoDbSettings, Emulator, WireSettings, serve};
use cloud_local::{Presigner, Store, StoreSettings};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub struct Machine {
    pub store: Store,
    pub keys: AccessKeys,
    pub stacks: Arc<EchoStacks>,
    pub dynamodb: DynamoDb,
    endpoint: String,
    socket: PathBuf,
    stop: CancellationToken,
    folder: tempfile::TempDir,
}

pub fn shop() -> Scope {
    Scope::Stack(StackName::parse("shop-dev").unwrap())
}

impl Machine {
    pub async fn start() -> Self {
        Self::with("/nonexistent/companion".into(), None).await
    }

    /// With a DynamoDB companion, and an emulator for the services that the endpoint does not serve.
    pub async fn with(program: PathBuf, emulator: Option<Emulator>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let entropy = Arc::new(SystemEntropy);
        let data = folder.path().join("data");
        let settings = StoreSettings { data: data.clone(), clock: clock.clone(), entropy: entropy.clone() };
        let store = Store::open(settings).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let keys = AccessKeys::open(AccessKeysSettings {
            parameters: Arc::new(store.parameters()),
            clock: clock.clone(),
            entropy,
            region: "eu-central-1".into(),
            endpoint: Some(endpoint.clone()),
        })
        .await
        .unwrap();
        let stacks = Arc::new(EchoStacks::default());
        let dynamodb =
            DynamoDb::new(DynamoDbSettings { program, data: data.join("dynamodb"), region: "eu-central-1".into() });
        let stop = CancellationToken::new();
        let socket = folder.path().join("aws.sock");
        let settings = WireSettings {
            store: store.clone(),
            keys: keys.clone(),
            clock,
            stacks: stacks.clone(),
            dynamodb: dynamodb.clone(),
            emulator,
            endpoint: endpoint.clone(),
            origins: vec!["https://ide.example".into()],
        };
        tokio::spawn(serve(listener, Some(socket.clone()), settings, stop.clone()));
        Self { store, keys, stacks, dynamodb, endpoint, socket, stop, folder }
    }

    pub fn presigner(&self) -> Presigner {
        let key = self.keys.platform();
        Presigner {
            endpoint: self.endpoint.clone(),
            region: self.keys.region().to_owned(),
            access_key_id: key.access_key_id,
            secret_access_key: key.secret_access_key,
        }
    }

    pub async fn logs(&self, namespace: &str, group: &str, stream: &str, lines: &[&str]) {
        let logs = self.store.logs_in(namespace);
        logs.ensure_group(group, None).await.unwrap();
        let at = SystemClock.now();
        let events = lines
            .iter()
            .enumerate()
            .map(|(n, line)| LogEvent { at: Millis(at.0 + i64::try_from(n).unwrap()), message: (*line).to_owned() });
        logs.append(group, stream, events.collect()).await.unwrap();
    }

    /// Runs a script with the keys of the stack `shop-dev`; those of `bank-dev` and of the platform are beside them.
    pub async fn python(&self, script: &str) {
        self.python_with(script, &[]).await;
    }

    pub async fn python_with(&self, script: &str, more: &[(&str, &str)]) {
        let hour = Duration::from_secs(3600);
        let shop = self.keys.issue(&shop(), hour);
        let bank = self.keys.issue(&Scope::Stack(StackName::parse("bank-dev").unwrap()), hour);
        let platform = self.keys.platform();
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/wire").join(script);
        let mut command = tokio::process::Command::new(test_python());
        command
            .arg("-B")
            .arg(path)
            .current_dir(self.folder.path())
            .env("AWS_ENDPOINT_URL", &self.endpoint)
            .env("AWS_REGION", &shop.region)
            .env("AWS_DEFAULT_REGION", &shop.region)
            .env("AWS_CONFIG_FILE", "/dev/null")
            .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("AWS_ACCESS_KEY_ID", &shop.access_key_id)
            .env("AWS_SECRET_ACCESS_KEY", shop.secret_access_key.expose())
            .env("AWS_SESSION_TOKEN", shop.session_token.as_ref().unwrap().expose())
            .env("BANK", as_json(&bank))
            .env("PLATFORM_ID", &platform.access_key_id)
            .env("PLATFORM_SECRET", platform.secret_access_key.expose())
            .env("SOCKET", &self.socket)
            .env("PYTHONUNBUFFERED", "1")
            .kill_on_drop(true);
        for (name, value) in more {
            command.env(name, value);
        }
        let output = tokio::time::timeout(Duration::from_secs(300), command.output()).await.unwrap().unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{script}: {}{told}", String::from_utf8_lossy(&output.stdout));
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

pub fn as_json(credentials: &Credentials) -> String {
    serde_json::json!({
        "aws_access_key_id": credentials.access_key_id,
        "aws_secret_access_key": credentials.secret_access_key.expose(),
        "aws_session_token": credentials.session_token.as_ref().map(|token| token.expose()),
    })
    .to_string()
}

/// Functions that answer with what they are given: `echo`, `broken` (fails) and `later`.
#[derive(Default)]
pub struct EchoStacks(Mutex<Vec<(String, String)>>);

impl EchoStacks {
    pub fn invoked(&self) -> Vec<(String, String)> {
        self.0.lock().unwrap().clone()
    }
}

#[async_trait::async_trait]
impl Stacks for EchoStacks {
    async fn deploy(&self, _: DeployStack, _: EventSink) -> cloud::Result<Stack> {
        Err(cloud::Error::Invalid("this test deploys nothing".into()))
    }

    async fn describe(&self, name: &StackName) -> cloud::Result<Option<Stack>> {
        let function = |name: &str| FunctionView {
            logical_id: name.to_owned(),
            name: name.to_owned(),
            runtime: "provided.al2023".into(),
            handler: "bootstrap".into(),
            memory_mb: 128,
            timeout_s: 3,
            log_group: format!("/aws/lambda/{name}"),
            note: None,
        };
        Ok((name.as_str() == "shop-dev").then(|| Stack {
            name: name.clone(),
            status: StackStatus::Ready,
            release: "1".into(),
            url: None,
            outputs: Default::default(),
            functions: ["echo", "broken", "later"].into_iter().map(function).collect(),
            resources: Vec::new(),
            unsupported: Vec::new(),
            updated: Millis(0),
        }))
    }

    async fn invoke(&self, what: Invoke) -> cloud::Result<Invocation> {
        if what.stack.as_str() != "shop-dev" || !["echo", "broken", "later"].contains(&what.function.as_str()) {
            return Err(cloud::Error::NotFound(what.function));
        }
        self.0.lock().unwrap().push((what.stack.to_string(), what.function.clone()));
        let broken = what.function == "broken";
        Ok(Invocation {
            payload: if broken { Bytes::from_static(br#"{"errorType":"Boom"}"#) } else { what.payload },
            function_error: broken.then(|| "Unhandled".into()),
            log_tail: "START\nEND\n".into(),
            report: None,
        })
    }

    async fn delete(&self, _: &StackName) -> cloud::Result<()> {
        Ok(())
    }

    async fn credentials(&self, name: &StackName, _: Duration) -> cloud::Result<Credentials> {
        Err(cloud::Error::NotFound(name.to_string()))
    }
}

/// A Python that has boto3: the tests' own, where the test command names it.
#[allow(clippy::disallowed_methods, reason = "the test command says where its Python is")]
fn test_python() -> std::ffi::OsString {
    std::env::var_os("WORKROOM_TEST_PYTHON").unwrap_or_else(|| "python3".into())
}
