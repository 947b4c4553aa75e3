"""Takes feedback: POST /api/feedback {"message": "…"}"""

import base64
import json

MESSAGE_MAX = 500


def handler(event, context):
    body = event.get("body") or ""
    if event.get("isBase64Encoded"):
        body = base64.b64decode(body)
    try:
        message = json.loads(body)["message"]
    except (ValueError, KeyError, TypeError):
        return answer(400, {"error": 'The body is JSON with a "message".'})
    if not isinstance(message, str) or not 0 < len(message) <= MESSAGE_MAX:
        return answer(400, {"error": f"A message has 1 to {MESSAGE_MAX} characters."})
    print(f"feedback of {len(message)} characters")
    return answer(201, {"length": len(message)})


def answer(status, body):
    return {"statusCode": status, "headers": {"Content-Type": "application/json"}, "body": json.dumps(body)}
