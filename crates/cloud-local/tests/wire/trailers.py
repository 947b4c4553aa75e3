"""A body in signed-for chunks without a length, whose checksum comes after it (SDKs stream this way)."""
import os

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from common import ENDPOINT, client, http, refused

keys = Credentials(*(os.environ[name] for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")))


class Streaming(S3SigV4Auth):
    def payload(self, request):
        return "STREAMING-UNSIGNED-PAYLOAD-TRAILER"


def put(body, length=5, promised="x-amz-checksum-crc32"):
    url = f"{ENDPOINT}/files/streamed"
    headers = {"Content-Encoding": "aws-chunked", "X-Amz-Decoded-Content-Length": str(length), "X-Amz-Trailer": promised}
    request = AWSRequest("PUT", url, data=body, headers=headers)
    Streaming(keys, "s3", "eu-central-1").add_auth(request)
    return http("PUT", url, body, dict(request.headers.items()))


def chunks(checksum, text=b"hello"):
    return b"%x\r\n%s\r\n0\r\n%s\r\n\r\n" % (len(text), text, checksum)


s3 = client("s3")
for why, given in {
    "another checksum": (chunks(b"x-amz-checksum-crc32:AAAAAA=="),),
    "no checksum": (b"5\r\nhello\r\n0\r\n\r\n",),
    "another length": (chunks(b"x-amz-checksum-crc32:NhCmhg=="), 6),
    "half a body": (b"5\r\nhel",),
    "no chunks": (b"hello",),
}.items():
    status, _, answer = put(*given)
    assert status == 400, f"{why}: {status} {answer}"
    refused("404", s3.head_object, Bucket="files", Key="streamed")
status, _, answer = put(chunks(b"x-amz-checksum-crc32:NhCmhg=="))
assert status == 200, answer
stored = s3.get_object(Bucket="files", Key="streamed")
assert stored["Body"].read() == b"hello" and "ContentEncoding" not in stored, stored
