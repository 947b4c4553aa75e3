import hashlib
import http.client
import json
import os
from urllib.parse import urlsplit

given = json.loads(os.environ["PRESIGNED"])
PIECE = b"x" * 1024 * 1024
PIECES = given["pieces"]


def connect(url):
    parts = urlsplit(url)
    return http.client.HTTPConnection(parts.netloc, timeout=120), f"{parts.path}?{parts.query}"


connection, path = connect(given["put"]["url"])
headers = {name: value for name, value in given["put"]["headers"] if name.lower() not in ("host", "content-length")}
body = (PIECE for _ in range(PIECES))
connection.request("PUT", path, body, headers | {"Content-Length": str(PIECES * len(PIECE))})
answer = connection.getresponse()
assert answer.status == 200, answer.read()
answer.read()

connection, path = connect(given["get"]["url"])
connection.request("GET", path)
answer = connection.getresponse()
assert answer.status == 200 and int(answer.headers["Content-Length"]) == PIECES * len(PIECE)
digest, length = hashlib.sha256(), 0
while piece := answer.read(1024 * 1024):
    digest.update(piece)
    length += len(piece)
assert length == PIECES * len(PIECE)
expected = hashlib.sha256()
for _ in range(PIECES):
    expected.update(PIECE)
assert digest.digest() == expected.digest()
