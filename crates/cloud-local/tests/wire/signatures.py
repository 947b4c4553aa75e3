import datetime
import json
import os
import socket
from unittest import mock
from urllib.parse import urlsplit

import boto3
import botocore.auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from common import ENDPOINT, client, http, refused

ID, SECRET, TOKEN = (os.environ[name] for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"))
BODY = b'{"Name":"/none"}'
TARGET = {"X-Amz-Target": "AmazonSSM.GetParameter", "Content-Type": "application/x-amz-json-1.1"}


def signed(secret=SECRET, token=TOKEN, at=None, service="ssm", region="eu-central-1", headers=TARGET, body=BODY):
    request = AWSRequest("POST", ENDPOINT + "/", data=body, headers=dict(headers))
    at = at or datetime.datetime.now(datetime.timezone.utc)
    with mock.patch.object(botocore.auth, "get_current_datetime", lambda *_, **__: at):
        botocore.auth.SigV4Auth(Credentials(ID, secret, token), service, region).add_auth(request)
    return dict(request.headers.items())


def call(headers, body=BODY):
    status, answered, text = http("POST", ENDPOINT + "/", body, headers)
    return status, json.loads(text)["__type"]


assert call(signed()) == (400, "ParameterNotFound")
assert call(signed(region="us-east-1")) == (400, "ParameterNotFound"), "a region is a name here"
minutes = lambda n: datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(minutes=n)
assert call(signed(at=minutes(-16))) == (403, "InvalidSignatureException")
assert call(signed(at=minutes(16))) == (403, "InvalidSignatureException")
assert call(signed(at=minutes(-14))) == (400, "ParameterNotFound")
assert call(signed(secret="x" * 40)) == (403, "InvalidSignatureException")
assert call(signed(token=None)) == (403, "UnrecognizedClientException")
assert call(signed(token=TOKEN[:-1] + ("A" if TOKEN[-1] != "A" else "Q"))) == (403, "UnrecognizedClientException")
assert call(signed(), b'{"Name":"/other"}') == (403, "InvalidSignatureException"), "the body is signed"
assert call(signed() | {"X-Amz-Target": "AmazonSSM.DeleteParameter"}) == (403, "InvalidSignatureException")
assert call(signed() | {"X-Amz-Extra": "1"}) == (403, "InvalidSignatureException"), "an unsigned x-amz header"
assert call(signed(service="logs")) == (400, "UnknownOperationException"), "the target is not of the service signed for"
assert call(signed(service="events"))[0] == 501
refused("UnknownServiceException", client("events").list_rules)
refused("UnknownServiceException", client("sns").list_topics)
assert call(TARGET) == (403, "MissingAuthenticationTokenException")
changed = signed()
changed["Authorization"] = changed["Authorization"].replace("/ssm/", "/logs/")
assert call(changed) == (403, "InvalidSignatureException")
changed = signed()
changed["Authorization"] = changed["Authorization"].replace(ID, "AKIAAAAAAAAAAAAAAAAA")
assert call(changed) == (403, "UnrecognizedClientException")

# S3 by header.
bad = boto3.client("s3", aws_access_key_id=ID, aws_secret_access_key="x" * 40, aws_session_token=TOKEN)
refused("SignatureDoesNotMatch", bad.list_buckets)
refused("InvalidAccessKeyId", boto3.client("s3", aws_access_key_id="AKIAAAAAAAAAAAAAAAAA", aws_secret_access_key="x", aws_session_token="t").list_buckets)
status, _, answer = http("GET", ENDPOINT + "/")
assert status == 403 and b"AccessDenied" in answer, answer
status, _, answer = http("GET", ENDPOINT + "/files?AWSAccessKeyId=x&Signature=y&Expires=9999999999")
assert status == 403, "Signature Version 2"

# What is not HTTP, and a length that is a lie, end the connection and nothing else.
place = urlsplit(ENDPOINT)
for raw in (b"\x16\x03\x01\x00\xa5", b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", b"GET " + b"a" * 100000):
    with socket.create_connection((place.hostname, place.port), timeout=30) as connection:
        connection.sendall(raw)
        connection.shutdown(socket.SHUT_WR)
        try:
            while connection.recv(4096):
                pass
        except ConnectionError:
            pass
assert call(signed()) == (400, "ParameterNotFound")
