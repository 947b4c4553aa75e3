//! `Records` on DynamoDB: against the engine that users' tables run on (`cargo xtask companions`) and `ministack`.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType, StreamSpecification,
    StreamViewType, TableStatus,
};
use testkit::conformance;
use testkit::emulator::Emulator;

use crate::{aws, config, fresh};

/// The engine, as a process of its own for one test.
pub struct Engine {
    process: Child,
    endpoint: String,
    _folder: tempfile::TempDir,
}

impl Engine {
    pub fn start() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let program = root.join("target/companions/release/workroom-dynamodb");
        assert!(program.is_file(), "`{}` is not built: run `cargo xtask companions`", program.display());
        let folder = tempfile::tempdir().unwrap();
        let mut process = Command::new(program)
            .arg("--database")
            .arg(folder.path().join("tables.db"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("listening ").expect("the engine says where it listens");
        Self { process, endpoint: format!("http://{address}"), _folder: folder }
    }

    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // It ends when its standard input closes; nothing can be done here about one that does not.
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}

/// A new table with the keys and the stream that the template gives to the platform's.
pub async fn new_table(endpoint: &str) -> String {
    let (client, name) = (Client::new(&config(endpoint)), fresh("records"));
    let key = |name: &str, kind| KeySchemaElement::builder().attribute_name(name).key_type(kind).build().unwrap();
    let attribute = |name: &str| {
        let text = ScalarAttributeType::S;
        AttributeDefinition::builder().attribute_name(name).attribute_type(text).build().unwrap()
    };
    let stream = StreamSpecification::builder().stream_enabled(true).stream_view_type(StreamViewType::NewAndOldImages);
    client
        .create_table()
        .table_name(&name)
        .billing_mode(BillingMode::PayPerRequest)
        .set_key_schema(Some(vec![key("pk", KeyType::Hash), key("sk", KeyType::Range)]))
        .set_attribute_definitions(Some(vec![attribute("pk"), attribute("sk")]))
        .stream_specification(stream.build().unwrap())
        .send()
        .await
        .unwrap();
    for _ in 0..600 {
        let answer = client.describe_table().table_name(&name).send().await.unwrap();
        if answer.table().and_then(|table| table.table_status()) == Some(&TableStatus::Active) {
            return name;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("the table `{name}` does not become active");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_companion_keeps_the_promises_of_records() {
    let engine = Engine::start();
    let table = new_table(engine.endpoint()).await;
    conformance::records(Arc::new(aws(engine.endpoint()).records(table))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ministack_keeps_the_promises_of_records() {
    let emulator = Emulator::shared_ministack();
    let table = new_table(emulator.endpoint()).await;
    conformance::records(Arc::new(aws(emulator.endpoint()).records(table))).await;
}
