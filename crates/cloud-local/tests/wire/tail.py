"""Following a group: as the AWS CLI does it, and by the CLI itself where its second major version is installed."""
import queue
import shutil
import subprocess
import threading
import time

from common import ENDPOINT, client

logs = client("logs")
GROUP = "/aws/lambda/hello"
written = ["the first line"]


def write(line):
    written.append(line)
    event = [{"timestamp": int(time.time() * 1000), "message": line}]
    logs.put_log_events(logGroupName=GROUP, logStreamName=f"stream {len(written)}", logEvents=event)


# The CLI's way: FilterLogEvents from the newest time seen, again and again, without the events seen at that time.
since, seen, got = int((time.time() - 3600) * 1000), set(), []
for n in range(4):
    token = {}
    while True:
        page = logs.filter_log_events(logGroupName=GROUP, startTime=since, limit=1, **token)
        for event in page["events"]:
            if event["eventId"] not in seen:
                seen.add(event["eventId"])
                got.append(event["message"])
                since = event["timestamp"]
        if "nextToken" not in page:
            break
        token = {"nextToken": page["nextToken"]}
    assert got == written, got
    write(f"polled {n}")

# The CLI itself.
second = [path for path in ("/usr/local/bin/aws", "/usr/bin/aws", shutil.which("aws")) if path and shutil.which(path)]
second = [path for path in second if "aws-cli/2" in subprocess.run([path, "--version"], capture_output=True, text=True).stdout]
if second:
    command = [second[0], "--endpoint-url", ENDPOINT, "logs", "tail"]
    follow = [*command, GROUP, "--follow", "--since", "1h", "--format", "short"]
    tail = subprocess.Popen(follow, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, bufsize=1)
    lines = queue.Queue()
    threading.Thread(target=lambda: [lines.put(line) for line in tail.stdout], daemon=True).start()
    try:
        for line in list(written):
            told = lines.get(timeout=60)
            assert told.strip().endswith(line), (told, line)
        for n in range(3):
            write(f"followed {n}")
            told = lines.get(timeout=60)
            assert told.strip().endswith(f"followed {n}"), told
        assert lines.empty()
    finally:
        tail.kill()
    done = subprocess.run([*command, "/aws/lambda/vault", "--since", "1h"], capture_output=True, text=True, timeout=60)
    assert done.returncode != 0 and "another stack" not in done.stdout, done.stdout
    assert "ResourceNotFoundException" in done.stderr, done.stderr
else:
    raise SystemExit("the AWS CLI of major version 2 is missing; on Debian: apt-get install awscli")
