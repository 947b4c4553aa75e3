import json

from common import client, of_bank, of_platform, refused

sqs = client("sqs")
url = sqs.get_queue_url(QueueName="jobs")["QueueUrl"]
assert sqs.list_queues()["QueueUrls"] == [url]

# One message: send, receive, extend, delete.
sent = sqs.send_message(QueueUrl=url, MessageBody="hello ü")
message = sqs.receive_message(QueueUrl=url, AttributeNames=["All"])["Messages"][0]
assert (message["MessageId"], message["Body"]) == (sent["MessageId"], "hello ü")
assert message["MD5OfBody"] == sent["MD5OfMessageBody"]
assert message["Attributes"]["ApproximateReceiveCount"] == "1"
assert "Messages" not in sqs.receive_message(QueueUrl=url)
sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=0)
again = sqs.receive_message(QueueUrl=url, AttributeNames=["All"])["Messages"][0]
assert again["Attributes"]["ApproximateReceiveCount"] == "2"
refused("MessageNotInflight", sqs.change_message_visibility, QueueUrl=url, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=1)
sqs.delete_message(QueueUrl=url, ReceiptHandle=again["ReceiptHandle"])
refused("ReceiptHandleIsInvalid", sqs.delete_message, QueueUrl=url, ReceiptHandle="!")

# Ten at a time.
batch = [{"Id": str(n), "MessageBody": f"m{n}"} for n in range(10)]
assert len(sqs.send_message_batch(QueueUrl=url, Entries=batch)["Successful"]) == 10
mixed = [{"Id": "good", "MessageBody": "x"}, {"Id": "bad", "MessageBody": "y", "DelaySeconds": 901}]
answer = sqs.send_message_batch(QueueUrl=url, Entries=mixed)
assert [entry["Id"] for entry in answer["Successful"]] == ["good"], answer
assert [entry["Id"] for entry in answer["Failed"]] == ["bad"] and answer["Failed"][0]["SenderFault"], answer
got = []
while len(got) < 11:
    got += sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=5)["Messages"]
assert {message["Body"] for message in got} == {f"m{n}" for n in range(10)} | {"x"}
counts = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
assert counts["ApproximateNumberOfMessagesNotVisible"] == "11" and counts["QueueArn"].endswith(":jobs"), counts
entries = [{"Id": str(n), "ReceiptHandle": message["ReceiptHandle"]} for n, message in enumerate(got[:10])]
assert len(sqs.delete_message_batch(QueueUrl=url, Entries=entries)["Successful"]) == 10
sqs.purge_queue(QueueUrl=url)
one = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["ApproximateNumberOfMessagesNotVisible"])["Attributes"]
assert one == {"ApproximateNumberOfMessagesNotVisible": "0"}, one
eleven = [{"Id": str(n), "MessageBody": "x"} for n in range(11)]
refused(("AWS.SimpleQueueService.TooManyEntriesInBatchRequest", "TooManyEntriesInBatchRequest"), sqs.send_message_batch, QueueUrl=url, Entries=eleven)
refused(("InvalidParameterValue",), sqs.send_message, QueueUrl=url, MessageBody="x" * (256 * 1024 + 1))

# Dead letters.
dead = sqs.create_queue(QueueName="dead")["QueueUrl"]
policy = {"deadLetterTargetArn": "arn:aws:sqs:eu-central-1:000000000000:dead", "maxReceiveCount": 1}
work = sqs.create_queue(QueueName="work", Attributes={"RedrivePolicy": json.dumps(policy), "VisibilityTimeout": "0"})["QueueUrl"]
assert sqs.create_queue(QueueName="dead")["QueueUrl"] == dead
refused(("QueueNameExists", "QueueAlreadyExists"), sqs.create_queue, QueueName="dead", Attributes={"DelaySeconds": "9"})
sqs.send_message(QueueUrl=work, MessageBody="poison")
assert sqs.receive_message(QueueUrl=work, WaitTimeSeconds=5)["Messages"][0]["Body"] == "poison"
buried = []
while not buried:
    assert "Messages" not in sqs.receive_message(QueueUrl=work)
    buried = sqs.receive_message(QueueUrl=dead).get("Messages", [])
assert buried[0]["Body"] == "poison"

# Nobody sees another's queue, whatever the URL says.
absent = ("AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist")
for other in (of_bank("sqs"), of_platform("sqs")):
    refused(absent, other.get_queue_url, QueueName="jobs")
    refused(absent, other.receive_message, QueueUrl=url)
    refused(absent, other.send_message, QueueUrl=url, MessageBody="forged")
refused(absent, sqs.receive_message, QueueUrl=url.replace("jobs", "platform-jobs"))
try:
    sqs.delete_queue(QueueUrl=work)
    sqs.get_queue_url(QueueName="work")
    raise AssertionError("the queue is still there")
except sqs.exceptions.QueueDoesNotExist:
    pass
