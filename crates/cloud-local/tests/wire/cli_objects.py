import hashlib
import os
import pathlib
import subprocess


def aws(*arguments):
    done = subprocess.run(["aws", *arguments], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


folder = pathlib.Path("tree")
(folder / "css").mkdir(parents=True)
(folder / "index.html").write_text("<h1>hello</h1>")
(folder / "css" / "site ü.css").write_text("h1 {}")
big = os.urandom(20 * 1024 * 1024)
pathlib.Path("big.bin").write_bytes(big)

aws("s3", "cp", "big.bin", "s3://files/big.bin")
aws("s3", "cp", "s3://files/big.bin", "again.bin")
assert hashlib.sha256(pathlib.Path("again.bin").read_bytes()).digest() == hashlib.sha256(big).digest()
aws("s3", "sync", "tree", "s3://files/site")
listed = aws("s3", "ls", "s3://files", "--recursive")
assert "big.bin" in listed and "site/css/site ü.css" in listed, listed
aws("s3", "sync", "s3://files/site", "back")
assert (pathlib.Path("back") / "css" / "site ü.css").read_text() == "h1 {}"
aws("s3", "mv", "s3://files/big.bin", "s3://files/moved.bin")
aws("s3", "rm", "s3://files", "--recursive")
assert aws("s3", "ls", "s3://files", "--recursive") == ""
url = aws("s3", "presign", "s3://files/x").strip()
assert "X-Amz-Signature" in url
