//! DynamoDB through the endpoint. Needs the companion, which `cargo xtask companions` builds.
#![allow(clippy::unwrap_used)]

#[allow(dead_code, reason = "shared with the tests of the endpoint")]
#[path = "wire/machine.rs"]
mod machine;

use std::path::Path;

use cloud::{Error, StackName};
use cloud_local::wire::DynamoDb;
use machine::Machine;
use serde_json::{Value, json};

async fn start() -> (Machine, DynamoDb) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let machine = Machine::with(root.join("target/companions/release/workroom-dynamodb"), None).await;
    let dynamodb = machine.dynamodb.clone();
    (machine, dynamodb)
}

fn stack(name: &str) -> StackName {
    StackName::parse(name).unwrap()
}

fn orders(more: &Value) -> sam::Table {
    let mut definition = json!({
        "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
        "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
    });
    definition.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    sam::Table { logical_id: "Orders".into(), name: None, definition, stream_view: None, ttl_attribute: None }
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_by_boto3() {
    let (machine, dynamodb) = start().await;
    let mut table = orders(&json!({}));
    table.stream_view = Some("NEW_AND_OLD_IMAGES".into());
    table.ttl_attribute = Some("expires".into());
    let made = dynamodb.ensure_table(&stack("shop-dev"), "orders", &table).await.unwrap();
    assert!(made["LatestStreamArn"].as_str().unwrap().contains("table/orders/stream"), "{made}");
    dynamodb.ensure_table(&stack("bank-dev"), "vault", &orders(&json!({}))).await.unwrap();
    machine.python("tables.py").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_follows_its_template_and_survives_a_restart() {
    let (_machine, dynamodb) = start().await;
    let shop = stack("shop-dev");
    dynamodb.ensure_table(&shop, "orders", &orders(&json!({}))).await.unwrap();
    let item = json!({"TableName": "orders", "Item": {"id": {"S": "1"}, "by": {"S": "ann"}}});
    dynamodb.call(&shop, "PutItem", &item).await.unwrap();
    dynamodb.stop().await;

    let indexed = orders(&json!({
        "AttributeDefinitions": [
            {"AttributeName": "id", "AttributeType": "S"}, {"AttributeName": "by", "AttributeType": "S"},
        ],
        "GlobalSecondaryIndexes": [{
            "IndexName": "by-who", "KeySchema": [{"AttributeName": "by", "KeyType": "HASH"}],
            "Projection": {"ProjectionType": "ALL"},
        }],
    }));
    let mut wanted = indexed.clone();
    wanted.stream_view = Some("KEYS_ONLY".into());
    let updated = dynamodb.ensure_table(&shop, "orders", &wanted).await.unwrap();
    assert_eq!(updated["GlobalSecondaryIndexes"][0]["IndexName"], "by-who", "{updated}");
    assert_eq!(updated["StreamSpecification"]["StreamViewType"], "KEYS_ONLY", "{updated}");
    let query = json!({
        "TableName": "orders", "IndexName": "by-who", "KeyConditionExpression": "#by = :by",
        "ExpressionAttributeNames": {"#by": "by"}, "ExpressionAttributeValues": {":by": {"S": "ann"}},
    });
    assert_eq!(dynamodb.call(&shop, "Query", &query).await.unwrap()["Count"], 1);

    let other_key = orders(&json!({
        "AttributeDefinitions": [{"AttributeName": "no", "AttributeType": "S"}],
        "KeySchema": [{"AttributeName": "no", "KeyType": "HASH"}],
    }));
    assert!(matches!(dynamodb.ensure_table(&shop, "orders", &other_key).await, Err(Error::Invalid(_))));
    let plain = dynamodb.ensure_table(&shop, "orders", &orders(&json!({}))).await.unwrap();
    assert!(plain.get("GlobalSecondaryIndexes").is_none(), "{plain}");
    assert_ne!(plain["StreamSpecification"]["StreamEnabled"], true, "{plain}");

    dynamodb.remove(&shop).await.unwrap();
    dynamodb.remove(&shop).await.unwrap();
    assert_eq!(dynamodb.call(&shop, "ListTables", &json!({})).await.unwrap()["TableNames"], json!([]));
    dynamodb.delete_table(&shop, "orders").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_at_once_share_one_companion() {
    let (_machine, dynamodb) = start().await;
    let shop = stack("shop-dev");
    dynamodb.ensure_table(&shop, "orders", &orders(&json!({}))).await.unwrap();
    let puts = (0..50).map(|n| {
        let (dynamodb, shop) = (dynamodb.clone(), shop.clone());
        let item = json!({"TableName": "orders", "Item": {"id": {"S": n.to_string()}}});
        tokio::spawn(async move { dynamodb.call(&shop, "PutItem", &item).await })
    });
    for put in puts.collect::<Vec<_>>() {
        put.await.unwrap().unwrap();
    }
    assert_eq!(dynamodb.call(&shop, "Scan", &json!({"TableName": "orders"})).await.unwrap()["Count"], 50);
}
