import http.client
import os
import socket
import stat

import boto3
from botocore.awsrequest import AWSRequest
from botocore.auth import SigV4Auth
from botocore.credentials import Credentials

PATH = os.environ["SOCKET"]
assert stat.S_IMODE(os.stat(PATH).st_mode) == 0o600


class Connection(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(PATH)


keys = Credentials(*(os.environ[name] for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")))
request = AWSRequest("POST", "http://127.0.0.1:9002/", data=b"{}", headers={"X-Amz-Target": "AmazonSQS.ListQueues"})
SigV4Auth(keys, "sqs", "eu-central-1").add_auth(request)
connection = Connection("127.0.0.1:9002")
connection.request("POST", "/", b"{}", dict(request.headers.items()))
answer = connection.getresponse()
assert answer.status == 200 and answer.read() == b'{"QueueUrls":[]}'
