import boto3

from common import client, refused

bad = boto3.client("sns", aws_access_key_id="AKIAAAAAAAAAAAAAAAAA", aws_secret_access_key="x")
refused("UnrecognizedClientException", bad.list_topics)
assert client("sns").list_topics()["Topics"] == [{"TopicArn": "arn:there"}]
