import json
import os

import boto3

queue_url = os.environ["QUEUE_URL"]
bucket = os.environ["BUCKET"]


def answer(status, body):
    return {"statusCode": status, "headers": {"content-type": "application/json"}, "body": json.dumps(body)}


def submit(event, context):
    order = json.loads(event["body"])
    sent = boto3.client("sqs").send_message(QueueUrl=queue_url, MessageBody=json.dumps(order))
    return answer(202, {"message": sent["MessageId"], "version": event["version"]})


def work(event, context):
    failures = []
    for record in event["Records"]:
        order = json.loads(record["body"])
        if order.get("broken"):
            failures.append({"itemIdentifier": record["messageId"]})
            continue
        boto3.client("s3").put_object(Bucket=bucket, Key=f"orders/{order['id']}.json", Body=record["body"].encode())
    return {"batchItemFailures": failures}


def confirm(event, context):
    for record in event["Records"]:
        key = record["s3"]["object"]["key"]
        order = json.loads(boto3.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read())
        order["confirmed"] = record["eventName"]
        name = key.split("/")[-1]
        boto3.client("s3").put_object(Bucket=bucket, Key=f"confirmed/{name}", Body=json.dumps(order).encode())


def show(event, context):
    s3 = boto3.client("s3")
    try:
        found = s3.get_object(Bucket=bucket, Key=f"confirmed/{event['pathParameters']['id']}.json")
    except s3.exceptions.NoSuchKey:
        return answer(404, {"error": "no such order"})
    return answer(200, json.loads(found["Body"].read()))


def sweep(event, context):
    print("swept", json.dumps(event))
