//! From a template's table to a table that exists.

use cloud::{Error, Result, StackName};
use serde_json::{Map, Value, json};

use super::DynamoDb;

/// What `AWS::DynamoDB::Table` and `CreateTable` write alike.
const SHARED: [&str; 6] = [
    "AttributeDefinitions",
    "KeySchema",
    "BillingMode",
    "ProvisionedThroughput",
    "GlobalSecondaryIndexes",
    "LocalSecondaryIndexes",
];
/// The same within one index.
const INDEX: [&str; 4] = ["IndexName", "KeySchema", "Projection", "ProvisionedThroughput"];

pub(super) async fn ensure(dynamodb: &DynamoDb, stack: &StackName, name: &str, table: &sam::Table) -> Result<Value> {
    let wanted = create_input(name, table)?;
    match dynamodb.call(stack, "CreateTable", &wanted).await {
        Ok(_) => {}
        Err(Error::ConditionFailed { .. }) => update(dynamodb, stack, name, &wanted).await?,
        Err(error) => return Err(error),
    }
    time_to_live(dynamodb, stack, name, table.ttl_attribute.as_deref()).await?;
    describe(dynamodb, stack, name).await
}

async fn describe(dynamodb: &DynamoDb, stack: &StackName, name: &str) -> Result<Value> {
    let mut answer = dynamodb.call(stack, "DescribeTable", &json!({"TableName": name})).await?;
    Ok(answer["Table"].take())
}

/// The input of `CreateTable`. Without throughput a table is billed by request, as a SimpleTable is.
fn create_input(name: &str, table: &sam::Table) -> Result<Value> {
    let Value::Object(definition) = &table.definition else {
        return Err(Error::Invalid(format!("the properties of table `{}` are not an object", table.logical_id)));
    };
    let mut input = Map::new();
    input.insert("TableName".into(), json!(name));
    for property in SHARED {
        if let Some(value) = definition.get(property) {
            input.insert(property.into(), value.clone());
        }
    }
    let on_demand = input.get("BillingMode").is_some_and(|mode| mode == "PAY_PER_REQUEST");
    if on_demand || !input.contains_key("ProvisionedThroughput") {
        input.insert("BillingMode".into(), json!("PAY_PER_REQUEST"));
        input.remove("ProvisionedThroughput");
    }
    for indexes in ["GlobalSecondaryIndexes", "LocalSecondaryIndexes"] {
        if let Some(Value::Array(list)) = input.get_mut(indexes) {
            list.iter_mut().filter_map(Value::as_object_mut).for_each(|index| {
                index.retain(|property, _| INDEX.contains(&property.as_str()));
            });
        }
    }
    if let Some(view) = &table.stream_view {
        input.insert("StreamSpecification".into(), json!({"StreamEnabled": true, "StreamViewType": view}));
    }
    let mut input = Value::Object(input);
    whole_numbers(&mut input);
    Ok(input)
}

/// Templates may write capacities as text.
fn whole_numbers(value: &mut Value) {
    match value {
        Value::Array(list) => list.iter_mut().for_each(whole_numbers),
        Value::Object(map) => {
            for (name, value) in map.iter_mut() {
                let number = value.as_str().and_then(|text| text.parse::<u64>().ok());
                match number {
                    Some(number) if name == "ReadCapacityUnits" || name == "WriteCapacityUnits" => {
                        *value = json!(number)
                    }
                    _ => whole_numbers(value),
                }
            }
        }
        _ => {}
    }
}

/// Brings a table that exists to what is wanted, one change at a time as DynamoDB takes them.
async fn update(dynamodb: &DynamoDb, stack: &StackName, name: &str, wanted: &Value) -> Result<()> {
    let there = describe(dynamodb, stack, name).await?;
    if there["KeySchema"] != wanted["KeySchema"] {
        return Err(Error::Invalid(format!(
            "the key of table `{name}` cannot change; give the table another name, or delete it first"
        )));
    }
    let names = |table: &Value| -> Vec<String> {
        let indexes = table["GlobalSecondaryIndexes"].as_array().into_iter().flatten();
        indexes.filter_map(|index| index["IndexName"].as_str().map(str::to_owned)).collect()
    };
    let (have, want) = (names(&there), names(wanted));
    for gone in have.iter().filter(|name| !want.contains(name)) {
        let change = json!({"TableName": name, "GlobalSecondaryIndexUpdates": [{"Delete": {"IndexName": gone}}]});
        dynamodb.call(stack, "UpdateTable", &change).await?;
    }
    for index in wanted["GlobalSecondaryIndexes"].as_array().into_iter().flatten() {
        if have.iter().any(|name| index["IndexName"] == **name) {
            continue;
        }
        let change = json!({
            "TableName": name,
            "AttributeDefinitions": wanted["AttributeDefinitions"],
            "GlobalSecondaryIndexUpdates": [{"Create": index}],
        });
        dynamodb.call(stack, "UpdateTable", &change).await?;
    }
    stream(dynamodb, stack, name, &there, wanted).await
}

async fn stream(dynamodb: &DynamoDb, stack: &StackName, name: &str, there: &Value, wanted: &Value) -> Result<()> {
    let enabled = there["StreamSpecification"]["StreamEnabled"] == true;
    let same = there["StreamSpecification"]["StreamViewType"] == wanted["StreamSpecification"]["StreamViewType"];
    let asked = wanted.get("StreamSpecification");
    if enabled == asked.is_some() && (same || !enabled) {
        return Ok(());
    }
    let change = |specification: Value| json!({"TableName": name, "StreamSpecification": specification});
    if enabled {
        dynamodb.call(stack, "UpdateTable", &change(json!({"StreamEnabled": false}))).await?;
    }
    if let Some(specification) = asked {
        dynamodb.call(stack, "UpdateTable", &change(specification.clone())).await?;
    }
    Ok(())
}

async fn time_to_live(dynamodb: &DynamoDb, stack: &StackName, name: &str, wanted: Option<&str>) -> Result<()> {
    let answer = dynamodb.call(stack, "DescribeTimeToLive", &json!({"TableName": name})).await?;
    let there = &answer["TimeToLiveDescription"];
    let enabled = there["TimeToLiveStatus"] == "ENABLED";
    let current = there["AttributeName"].as_str().filter(|_| enabled);
    if current == wanted {
        return Ok(());
    }
    let change = |attribute: &str, enabled: bool| {
        let specification = json!({"AttributeName": attribute, "Enabled": enabled});
        json!({"TableName": name, "TimeToLiveSpecification": specification})
    };
    if let Some(current) = current {
        dynamodb.call(stack, "UpdateTimeToLive", &change(current, false)).await?;
    }
    if let Some(wanted) = wanted {
        dynamodb.call(stack, "UpdateTimeToLive", &change(wanted, true)).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(definition: Value) -> sam::Table {
        sam::Table {
            logical_id: "Orders".into(),
            name: None,
            definition,
            stream_view: Some("NEW_IMAGE".into()),
            ttl_attribute: None,
        }
    }

    #[test]
    fn a_template_table_becomes_the_input_of_create_table() {
        let input = create_input(
            "orders",
            &table(json!({
                "TableName": "ignored",
                "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
                "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": true},
                "GlobalSecondaryIndexes": [{"IndexName": "by", "ContributorInsightsSpecification": {}}],
                "ProvisionedThroughput": {"ReadCapacityUnits": "5", "WriteCapacityUnits": 5},
            })),
        )
        .unwrap();
        assert_eq!(
            input,
            json!({
                "TableName": "orders",
                "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
                "GlobalSecondaryIndexes": [{"IndexName": "by"}],
                "ProvisionedThroughput": {"ReadCapacityUnits": 5, "WriteCapacityUnits": 5},
                "StreamSpecification": {"StreamEnabled": true, "StreamViewType": "NEW_IMAGE"},
            })
        );
        let plain = create_input("orders", &table(json!({"KeySchema": []}))).unwrap();
        assert_eq!(plain["BillingMode"], "PAY_PER_REQUEST");
    }
}
