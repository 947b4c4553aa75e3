import json
import os

import boto3

tables = boto3.resource("dynamodb")
counters = tables.Table(os.environ["COUNTERS"])


def count(event, context):
    name = event["pathParameters"]["name"]
    if event["httpMethod"] == "POST":
        added = counters.update_item(
            Key={"name": name},
            UpdateExpression="ADD seen :one",
            ExpressionAttributeValues={":one": 1},
            ReturnValues="ALL_NEW",
        )["Attributes"]
        tables.Table(os.environ["JOURNAL"]).put_item(Item={"counter": name, "at": int(added["seen"])})
    item = counters.get_item(Key={"name": name}).get("Item", {})
    body = {"seen": int(item.get("seen", 0)), "followed": int(item.get("followed", 0))}
    return {"statusCode": 200, "body": json.dumps(body)}


def follow(event, context):
    for record in event["Records"]:
        image = record["dynamodb"]["NewImage"]
        counters.update_item(
            Key={"name": image["counter"]["S"]},
            UpdateExpression="SET followed = :at",
            ExpressionAttributeValues={":at": int(image["at"]["N"])},
        )
