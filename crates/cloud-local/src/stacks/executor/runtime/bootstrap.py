"""Runs a Python handler over the Lambda Runtime API (AWS Lambda Developer Guide, "Lambda runtime API")."""

import http.client
import importlib
import json
import logging
import os
import sys
import time
import traceback

API = os.environ["AWS_LAMBDA_RUNTIME_API"]
PREFIX = "/2018-06-01/runtime"
TASK_ROOT = os.environ["LAMBDA_TASK_ROOT"]
LAYERS = os.environ.get("WORKROOM_LAYERS_ROOT", "/opt")


class Identity:
    cognito_identity_id = None
    cognito_identity_pool_id = None


class Context:
    """The second argument of a handler (Developer Guide, "Using the Lambda context object ... Python")."""

    def __init__(self, headers):
        env = os.environ
        self.aws_request_id = headers["Lambda-Runtime-Aws-Request-Id"]
        self.invoked_function_arn = headers["Lambda-Runtime-Invoked-Function-Arn"]
        self.function_name = env["AWS_LAMBDA_FUNCTION_NAME"]
        self.function_version = env["AWS_LAMBDA_FUNCTION_VERSION"]
        self.memory_limit_in_mb = env["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"]
        self.log_group_name = env["AWS_LAMBDA_LOG_GROUP_NAME"]
        self.log_stream_name = env["AWS_LAMBDA_LOG_STREAM_NAME"]
        self.identity = Identity()
        self.client_context = None
        self._deadline_ms = int(headers["Lambda-Runtime-Deadline-Ms"])

    def get_remaining_time_in_millis(self):
        return max(0, self._deadline_ms - int(time.time() * 1000))

    def log(self, message):
        sys.stdout.write(str(message))


class RequestIdFilter(logging.Filter):
    request_id = ""

    def filter(self, record):
        record.aws_request_id = RequestIdFilter.request_id
        return True


def install_logging():
    handler = logging.StreamHandler(sys.stdout)
    line = "[%(levelname)s]\t%(asctime)s.%(msecs)03dZ\t%(aws_request_id)s\t%(message)s"
    formatter = logging.Formatter(line, "%Y-%m-%dT%H:%M:%S")
    formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    handler.addFilter(RequestIdFilter())
    root = logging.getLogger()
    root.addHandler(handler)
    level = os.environ.get("AWS_LAMBDA_LOG_LEVEL", "").upper()
    root.setLevel(getattr(logging, level, logging.WARNING))


def install_paths():
    version = "python%d.%d" % sys.version_info[:2]
    own = [TASK_ROOT, LAYERS + "/python/lib/" + version + "/site-packages", LAYERS + "/python"]
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = own + [entry for entry in sys.path if entry not in ("", here)]
    # Lambda has the AWS SDK built in; the function's own copy comes first.
    sys.path.append(os.path.join(here, "packages"))


def encode_default(value):
    # As Lambda's own runtime does: numbers that boto3 returns, nothing else.
    import decimal

    if isinstance(value, decimal.Decimal):
        return float(value)
    raise TypeError("Object of type %s is not JSON serializable" % type(value).__name__)


def load_handler(handler):
    try:
        module_name, function_name = handler.rsplit(".", 1)
    except ValueError:
        raise ValueError("Bad handler '%s': not enough values to unpack (expected 2, got 1)" % handler) from None
    try:
        module = importlib.import_module(module_name.replace("/", "."))
    except ImportError as error:
        raise ImportError("Unable to import module '%s': %s" % (module_name, error)) from error
    if not hasattr(module, function_name):
        raise AttributeError("Handler '%s' missing on module '%s'" % (function_name, module_name))
    return getattr(module, function_name)


def describe(error, skip=1):
    frames = traceback.format_list(traceback.extract_tb(error.__traceback__)[skip:])
    return {"errorMessage": str(error), "errorType": type(error).__name__, "stackTrace": frames}


def log_error(described):
    text = "[ERROR] %s: %s" % (described["errorType"], described["errorMessage"])
    if described.get("stackTrace"):
        text += "\nTraceback (most recent call last):\n" + "".join(described["stackTrace"])
    # One event in the log: carriage returns instead of line ends.
    print(text.rstrip("\n").replace("\n", "\r"), flush=True)


class Api:
    def __init__(self):
        self.connection = http.client.HTTPConnection(API)

    def next(self):
        self.connection.request("GET", PREFIX + "/invocation/next")
        response = self.connection.getresponse()
        body = response.read()
        if response.status != 200:
            raise RuntimeError("the runtime API answered %d" % response.status)
        return response.headers, body

    def post(self, path, body, headers=None):
        headers = dict(headers or {}, **{"Content-Type": "application/json"})
        self.connection.request("POST", PREFIX + path, body, headers)
        response = self.connection.getresponse()
        response.read()
        return response.status

    def fail(self, path, described):
        kind = described["errorType"]
        self.post(path, json.dumps(described).encode(), {"Lambda-Runtime-Function-Error-Type": kind})


def handle(api, handler, headers, body):
    context = Context(headers)
    request = "/invocation/" + context.aws_request_id
    RequestIdFilter.request_id = context.aws_request_id
    os.environ["_X_AMZN_TRACE_ID"] = headers.get("Lambda-Runtime-Trace-Id", "")
    try:
        event = json.loads(body)
        result = handler(event, context)
        answer = json.dumps(result, ensure_ascii=False, default=encode_default).encode("utf-8")
    except Exception as error:
        described = describe(error)
        described["requestId"] = context.aws_request_id
        log_error(described)
        sys.stdout.flush()
        api.fail(request + "/error", described)
        return
    sys.stdout.flush()
    if api.post(request + "/response", answer) == 413:
        message = "Response payload size exceeded maximum allowed payload size (6291556 bytes)."
        api.fail(request + "/error", {"errorMessage": message, "errorType": "Function.ResponseSizeTooLarge"})


def main():
    sys.stdout.reconfigure(line_buffering=True, encoding="utf-8", errors="backslashreplace")
    sys.stderr.reconfigure(line_buffering=True, encoding="utf-8", errors="backslashreplace")
    install_paths()
    install_logging()
    api = Api()
    try:
        handler = load_handler(os.environ["_HANDLER"])
    except (Exception, SystemExit) as error:
        described = describe(error)
        if isinstance(error, ImportError):
            described.update(errorType="Runtime.ImportModuleError", stackTrace=[])
        elif isinstance(error, SyntaxError):
            described.update(errorType="Runtime.UserCodeSyntaxError")
        elif isinstance(error, AttributeError) and "missing on module" in str(error):
            described.update(errorType="Runtime.HandlerNotFound", stackTrace=[])
        elif isinstance(error, ValueError) and str(error).startswith("Bad handler"):
            described.update(errorType="Runtime.MalformedHandlerName", stackTrace=[])
        log_error(described)
        api.fail("/init/error", described)
        sys.exit(1)
    while True:
        headers, body = api.next()
        handle(api, handler, headers, body)


if __name__ == "__main__":
    main()
