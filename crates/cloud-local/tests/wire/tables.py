import boto3
from botocore.config import Config

from common import CONFIG, client, of_bank, refused

dynamodb = client("dynamodb")
assert dynamodb.list_tables()["TableNames"] == ["orders"]
table = boto3.resource("dynamodb").Table("orders")
table.put_item(Item={"id": "1", "name": "tea ü", "count": 3})
assert table.get_item(Key={"id": "1"})["Item"]["name"] == "tea ü"
table.update_item(Key={"id": "1"}, UpdateExpression="ADD #c :one", ExpressionAttributeNames={"#c": "count"}, ExpressionAttributeValues={":one": 1})
assert table.get_item(Key={"id": "1"})["Item"]["count"] == 4
refused("ConditionalCheckFailedException", dynamodb.put_item, TableName="orders", Item={"id": {"S": "1"}}, ConditionExpression="attribute_not_exists(id)")
with table.batch_writer() as batch:
    for n in range(30):
        batch.put_item(Item={"id": f"b{n}"})
assert table.scan()["Count"] == 31
put = lambda key: {"Put": {"TableName": "orders", "Item": {"id": {"S": key}}, "ConditionExpression": "attribute_not_exists(id)"}}
refused("TransactionCanceledException", dynamodb.transact_write_items, TransactItems=[put("new"), put("1")])
assert "Item" not in table.get_item(Key={"id": "new"})
assert dynamodb.describe_time_to_live(TableName="orders")["TimeToLiveDescription"]["AttributeName"] == "expires"

# The stream tells of the first write.
# (The engine's shard ids are shorter than the service's, which the SDK would refuse to send.)
streams = boto3.client("dynamodbstreams", config=CONFIG.merge(Config(parameter_validation=False)))
arn = streams.list_streams(TableName="orders")["Streams"][0]["StreamArn"]
shard = streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"][0]["ShardId"]
iterator = streams.get_shard_iterator(StreamArn=arn, ShardId=shard, ShardIteratorType="TRIM_HORIZON")["ShardIterator"]
first = streams.get_records(ShardIterator=iterator)["Records"][0]
assert first["eventName"] == "INSERT" and first["dynamodb"]["Keys"] == {"id": {"S": "1"}}, first

# Nobody sees another's tables.
bank = of_bank("dynamodb")
assert bank.list_tables()["TableNames"] == ["vault"]
refused("ResourceNotFoundException", bank.get_item, TableName="orders", Key={"id": {"S": "1"}})
refused("ResourceNotFoundException", dynamodb.scan, TableName="vault")
