"""Greets whoever asks: GET /api/greeting?name=Ada"""

import json
import os

NAME_MAX = 100


def handler(event, context):
    query = event.get("queryStringParameters") or {}
    name = query.get("name", "").strip() or "world"
    if len(name) > NAME_MAX:
        return answer(400, {"error": f"A name has {NAME_MAX} characters at most."})
    print(f"greeting a name of {len(name)} characters")
    return answer(200, {"greeting": f"Hello, {name}!", "environment": os.environ.get("ENVIRONMENT", "local")})


def answer(status, body):
    return {"statusCode": status, "headers": {"Content-Type": "application/json"}, "body": json.dumps(body)}
