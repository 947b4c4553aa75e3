import json
import os

from common import client, of_bank, refused

old = json.loads(os.environ["OLD"])
refused("InvalidAccessKeyId", client("s3", **old).list_buckets)
refused("UnrecognizedClientException", client("ssm", **old).get_parameter, Name="/x")
of_bank("s3").list_buckets()
