"""What the scripts share."""
import json
import os
import urllib.error
import urllib.request

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

ENDPOINT = os.environ["AWS_ENDPOINT_URL"]
CONFIG = Config(retries={"max_attempts": 1, "mode": "standard"}, s3={"addressing_style": "path"})


def client(service, **keys):
    return boto3.client(service, config=CONFIG, **keys)


def of_bank(service):
    """The same service with the keys of another stack."""
    return client(service, **json.loads(os.environ["BANK"]))


def of_platform(service):
    keys = {"aws_access_key_id": os.environ["PLATFORM_ID"], "aws_secret_access_key": os.environ["PLATFORM_SECRET"]}
    return boto3.session.Session(**keys).client(service, config=CONFIG, aws_session_token=None)


def refused(code, call, **given):
    """The call must fail with this error code."""
    try:
        call(**given)
    except ClientError as error:
        found = error.response["Error"]["Code"]
        codes = code if isinstance(code, tuple) else (code,)
        assert found in codes, f"{found} instead of {code}: {error}"
        return error.response
    raise AssertionError(f"{call.__name__} was not refused with {code}")


def http(method, url, body=None, headers=None):
    """Status, headers and body, whatever the status is."""
    request = urllib.request.Request(url, data=body, method=method, headers=headers or {})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read()
