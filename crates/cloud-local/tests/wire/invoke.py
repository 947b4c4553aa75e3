import base64
import json

from common import client, of_bank, of_platform, refused

functions = client("lambda")
answer = functions.invoke(FunctionName="echo", Payload=json.dumps({"a": "ü"}), LogType="Tail")
assert answer["StatusCode"] == 200 and json.loads(answer["Payload"].read()) == {"a": "ü"}
assert base64.b64decode(answer["LogResult"]) == b"START\nEND\n"
assert "FunctionError" not in answer
arn = "arn:aws:lambda:eu-central-1:000000000000:function:echo:live"
assert functions.invoke(FunctionName=arn)["Payload"].read() == b"{}"
broken = functions.invoke(FunctionName="broken")
assert broken["FunctionError"] == "Unhandled" and json.loads(broken["Payload"].read())["errorType"] == "Boom"
assert functions.invoke(FunctionName="later", InvocationType="Event", Payload=b"{}")["StatusCode"] == 202
assert functions.invoke(FunctionName="echo", InvocationType="DryRun")["StatusCode"] == 204

refused("ResourceNotFoundException", functions.invoke, FunctionName="missing")
refused("ResourceNotFoundException", functions.invoke, FunctionName="missing", InvocationType="Event")
refused("InvalidRequestContentException", functions.invoke, FunctionName="echo", Payload=b"{")
refused(("RequestTooLargeException", "413"), functions.invoke, FunctionName="echo", Payload=b'"' + b"x" * 6 * 1024 * 1024 + b'"')
for other in (of_bank("lambda"), of_platform("lambda")):
    refused("ResourceNotFoundException", other.invoke, FunctionName="echo")

assert [f["FunctionName"] for f in functions.list_functions()["Functions"]] == ["echo", "broken", "later"]
assert functions.get_function_configuration(FunctionName="echo")["MemorySize"] == 128
assert functions.get_function(FunctionName=arn)["Configuration"]["Handler"] == "bootstrap"
refused("ResourceNotFoundException", functions.get_function, FunctionName="missing")
assert of_bank("lambda").list_functions()["Functions"] == []
