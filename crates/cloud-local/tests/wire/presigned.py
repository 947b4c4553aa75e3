import base64
import datetime
import hashlib
from urllib.parse import urlsplit
from unittest import mock

import botocore.auth

from common import client, http, of_bank

s3 = client("s3")
BODY = b"<svg onload=alert(1)>"
SHA256 = base64.b64encode(hashlib.sha256(BODY).digest()).decode()
WHAT = {"Bucket": "files", "Key": "up/load.svg", "ContentType": "image/svg+xml", "ContentLength": len(BODY), "ChecksumSHA256": SHA256}
HEADERS = {"Content-Type": "image/svg+xml", "x-amz-checksum-sha256": SHA256}


def presign(method, what, expires=60, at=None, by=s3):
    if at is None:
        return by.generate_presigned_url(method, Params=what, ExpiresIn=expires)
    with mock.patch.object(botocore.auth, "get_current_datetime", lambda *_, **__: at):
        return by.generate_presigned_url(method, Params=what, ExpiresIn=expires)


def now():
    return datetime.datetime.now(datetime.timezone.utc)


def absent():
    status, _, _ = http("GET", presign("get_object", {"Bucket": "files", "Key": "up/load.svg"}))
    assert status == 404, status


put = presign("put_object", WHAT)
assert "content-length" in put and "x-amz-checksum-sha256" in put, put

# Nothing but what was signed is taken.
refusals = {
    "another body": (put, b"x" * len(BODY), HEADERS, 400),
    "a longer body": (put, BODY + b"x", HEADERS, 403),
    "another type": (put, BODY, HEADERS | {"Content-Type": "text/html"}, 403),
    "another checksum": (put, BODY, HEADERS | {"x-amz-checksum-sha256": "A" * 43 + "="}, 403),
    "no checksum": (put, BODY, {"Content-Type": "image/svg+xml"}, 403),
    "another key": (put.replace("load.svg", "other.svg"), BODY, HEADERS, 403),
    "another bucket": (put.replace("/files/", "/vault/"), BODY, HEADERS, 403),
    "a longer life": (put.replace("X-Amz-Expires=60", "X-Amz-Expires=600"), BODY, HEADERS, 403),
    "another signature": (put[:-1] + ("0" if put[-1] != "0" else "1"), BODY, HEADERS, 403),
    "an unsigned copy": (put, BODY, HEADERS | {"x-amz-copy-source": "/files/a"}, 403),
    "an unsigned acl": (put, BODY, HEADERS | {"x-amz-acl": "public-read"}, 403),
    "expired": (presign("put_object", WHAT, 60, now() - datetime.timedelta(seconds=61)), BODY, HEADERS, 403),
    "not yet": (presign("put_object", WHAT, 60, now() + datetime.timedelta(minutes=20)), BODY, HEADERS, 403),
    "too long": (presign("put_object", WHAT, 604801), BODY, HEADERS, 400),
    "a second signature": (put, BODY, HEADERS | {"Authorization": "AWS4-HMAC-SHA256 x"}, 400),
    "no bucket of its own": (presign("put_object", WHAT, by=of_bank("s3")), BODY, HEADERS, 404),
}
for why, (url, body, headers, expected) in refusals.items():
    status, _, answer = http("PUT", url, body, headers)
    assert status == expected, f"{why}: {status} {answer}"
    assert b"X-Amz-Signature" not in answer, why
    absent()
status, _, answer = http("PUT", put, b"x" * 50 * 1024 * 1024, HEADERS)
assert status == 403 and b"SignatureDoesNotMatch" in answer, "a refusal is read even by a client that sends much"
status, _, _ = http("GET", put)
assert status == 403, "a PUT is no GET"
wrong = dict(WHAT, ChecksumSHA256="A" * 43 + "=")
status, _, answer = http("PUT", presign("put_object", wrong), BODY, HEADERS | {"x-amz-checksum-sha256": "A" * 43 + "="})
assert status == 400 and b"BadDigest" in answer, answer
absent()

# What was signed is taken, and a page cannot be made of it.
status, _, answer = http("PUT", put, BODY, HEADERS)
assert status == 200, answer
get = presign("get_object", {"Bucket": "files", "Key": "up/load.svg", "ResponseContentDisposition": "attachment"})
status, headers, body = http("GET", get)
assert (status, body) == (200, BODY)
assert headers["Content-Disposition"] == "attachment" and headers["X-Content-Type-Options"] == "nosniff"
assert "sandbox" in headers["Content-Security-Policy"] and headers["Referrer-Policy"] == "no-referrer"
status, headers, body = http("GET", get, headers={"Range": "bytes=1-3"})
assert (status, body, headers["Content-Range"]) == (206, BODY[1:4], f"bytes 1-3/{len(BODY)}")
status, _, _ = http("GET", get.replace("attachment", "inline"))
assert status == 403
status, _, _ = http("PUT", presign("put_object", dict(WHAT, IfNoneMatch="*")), BODY, HEADERS | {"If-None-Match": "*"})
assert status == 412, status

# A URL of another stack's key opens nothing here.
theirs = presign("get_object", {"Bucket": "files", "Key": "up/load.svg"}, by=of_bank("s3"))
assert http("GET", theirs)[0] == 404
unsigned = urlsplit(get)._replace(query="").geturl()
status, _, answer = http("GET", unsigned)
assert status == 403 and b"AccessDenied" in answer, answer

# Pages of this machine may use them, others may not.
asked = {"Access-Control-Request-Method": "PUT", "Access-Control-Request-Headers": "content-type,x-amz-checksum-sha256"}
for origin, let_in in (("http://localhost:4000", True), ("https://ide.example", True), ("https://evil.example", False)):
    status, headers, _ = http("OPTIONS", put, headers={"Origin": origin} | asked)
    assert (status == 200) == let_in, (origin, status)
    assert headers["Access-Control-Allow-Origin"] == (origin if let_in else None)
    assert headers["Access-Control-Allow-Headers"] == (asked["Access-Control-Request-Headers"] if let_in else None)
    status, headers, _ = http("PUT", put, BODY, HEADERS | {"Origin": origin})
    assert headers["Access-Control-Allow-Origin"] == (origin if let_in else None)
    assert not let_in or "ETag" in headers["Access-Control-Expose-Headers"]
    assert "Access-Control-Allow-Credentials" not in headers
