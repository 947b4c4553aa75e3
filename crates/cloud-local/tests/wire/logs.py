import time

from common import client, of_bank, of_platform, refused

logs = client("logs")
GROUP, STREAM = "/aws/lambda/hello", "2026/01/01/[1]a"

groups = logs.describe_log_groups(logGroupNamePrefix="/aws/")["logGroups"]
assert [group["logGroupName"] for group in groups] == [GROUP], groups
streams = logs.describe_log_streams(logGroupName=GROUP, orderBy="LastEventTime", descending=True)["logStreams"]
assert [stream["logStreamName"] for stream in streams] == [STREAM] and streams[0]["lastEventTimestamp"], streams

# A stream from its head, from its tail, and back.
events = logs.get_log_events(logGroupName=GROUP, logStreamName=STREAM, startFromHead=True)
assert [event["message"] for event in events["events"]] == ["START", "ERROR one", "END"]
token = events["nextForwardToken"]
more = logs.get_log_events(logGroupName=GROUP, logStreamName=STREAM, nextToken=token)
assert more["events"] == [] and more["nextForwardToken"] == token, "the end keeps its token"
last = logs.get_log_events(logGroupName=GROUP, logStreamName=STREAM, limit=1)
assert [event["message"] for event in last["events"]] == ["END"]
before = logs.get_log_events(logGroupName=GROUP, logStreamName=STREAM, limit=1, nextToken=last["nextBackwardToken"])
assert [event["message"] for event in before["events"]] == ["ERROR one"]

# A group by time, pattern and page.
now = int(time.time() * 1000)
logs.create_log_group(logGroupName="mine")
refused("ResourceAlreadyExistsException", logs.create_log_group, logGroupName="mine")
logs.create_log_stream(logGroupName="mine", logStreamName="a")
for stream in ("a", "b"):
    batch = [{"timestamp": now + n, "message": f'{{"stream":"{stream}","n":{n}}}'} for n in range(60)]
    logs.put_log_events(logGroupName="mine", logStreamName=stream, logEvents=batch)
refused("ResourceAlreadyExistsException", logs.create_log_stream, logGroupName="mine", logStreamName="a")
unordered = [{"timestamp": now + 1, "message": "x"}, {"timestamp": now, "message": "y"}]
refused("InvalidParameterException", logs.put_log_events, logGroupName="mine", logStreamName="a", logEvents=unordered)


def found(**given):
    pages = logs.get_paginator("filter_log_events").paginate(logGroupName="mine", **given)
    return [event["message"] for page in pages for event in page["events"]]


everything = found(PaginationConfig={"PageSize": 7})
assert len(everything) == 120 and len(set(everything)) == 120, len(everything)
assert len(found(startTime=now + 50)) == 20
assert len(found(startTime=now + 10, endTime=now + 19)) == 20
assert len(found(logStreamNames=["b"])) == 60
assert len(found(logStreamNamePrefix="a")) == 60
assert found(filterPattern="{ $.n >= 59 }", PaginationConfig={"PageSize": 10}) == ['{"stream":"a","n":59}', '{"stream":"b","n":59}']
assert len(found(filterPattern='"stream\\":\\"a"')) == 60
refused("InvalidParameterException", logs.filter_log_events, logGroupName="mine", filterPattern="[a, b]")
refused("InvalidParameterException", logs.filter_log_events, logGroupName="mine", nextToken="not a token")
ids = [event["eventId"] for event in logs.filter_log_events(logGroupName="mine")["events"]]
assert len(set(ids)) == 120

# Nobody sees another's group: not by name, not by ARN, not by prefix.
for group in ("/aws/lambda/vault", "arn:aws:logs:eu-central-1:000000000000:log-group:/aws/lambda/vault"):
    refused("ResourceNotFoundException", logs.filter_log_events, logGroupIdentifier=group)
for call in (logs.filter_log_events, logs.describe_log_streams):
    refused("ResourceNotFoundException", call, logGroupName="/aws/lambda/vault")
refused("ResourceNotFoundException", logs.get_log_events, logGroupName="/aws/lambda/vault", logStreamName="2026/01/01/[1]b")
event = [{"timestamp": now, "message": "forged"}]
refused("ResourceNotFoundException", logs.put_log_events, logGroupName="/aws/lambda/vault", logStreamName="x", logEvents=event)
refused("ResourceNotFoundException", logs.delete_log_group, logGroupName="/aws/lambda/vault")
assert len(of_bank("logs").filter_log_events(logGroupName="/aws/lambda/vault")["events"]) == 1
assert of_platform("logs").describe_log_groups()["logGroups"] == []

logs.delete_log_group(logGroupName="mine")
refused("ResourceNotFoundException", logs.filter_log_events, logGroupName="mine")
refused("UnknownOperationException", logs.describe_queries)
