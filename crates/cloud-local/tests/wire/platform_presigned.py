import json
import os

from common import http

given = json.loads(os.environ["PRESIGNED"])
put, get = given["put"], given["get"]
headers = {name: value for name, value in put["headers"] if name.lower() not in ("host", "content-length")}
assert http("GET", get["url"])[0] == 404
assert http("PUT", put["url"], b"hellO", headers)[0] == 400
assert http("PUT", put["url"], b"hello!", headers)[0] == 403
status, _, answer = http("PUT", put["url"], b"hello", headers)
assert status == 200, answer
status, headers, body = http("GET", get["url"])
assert (status, body) == (200, b"hello"), body
assert headers["Content-Disposition"] == "attachment; filename*=UTF-8''1.txt"
assert headers["Content-Type"] == "application/octet-stream"
