import hashlib

from common import client, of_bank, of_platform, refused

s3 = client("s3")
BUCKET = "files"

# Put, get, head.
put = s3.put_object(Bucket=BUCKET, Key="a/b.txt", Body=b"hello world", ContentType="text/plain", CacheControl="no-cache")
got = s3.get_object(Bucket=BUCKET, Key="a/b.txt")
assert got["Body"].read() == b"hello world"
assert (got["ContentType"], got["CacheControl"], got["ETag"]) == ("text/plain", "no-cache", put["ETag"]), got
headers = got["ResponseMetadata"]["HTTPHeaders"]
assert headers["x-content-type-options"] == "nosniff" and "sandbox" in headers["content-security-policy"], headers
head = s3.head_object(Bucket=BUCKET, Key="a/b.txt")
assert (head["ContentLength"], head["ETag"]) == (11, put["ETag"])
s3.put_object(Bucket=BUCKET, Key="a/b.txt/c", Body=b"beside and below")
s3.put_object(Bucket=BUCKET, Key="empty", Body=b"")
assert s3.get_object(Bucket=BUCKET, Key="empty")["Body"].read() == b""
refused("NoSuchKey", s3.get_object, Bucket=BUCKET, Key="missing")
refused("404", s3.head_object, Bucket=BUCKET, Key="missing")
refused("NoSuchBucket", s3.get_object, Bucket="other", Key="a")
refused("NoSuchBucket", s3.put_object, Bucket="other", Key="a", Body=b"x")

# What its owner says of an object.
said = {"owner": "Ada", "note-2": "a b; c=d"}
s3.put_object(Bucket=BUCKET, Key="said", Body=b"1", Metadata=said)
assert s3.get_object(Bucket=BUCKET, Key="said")["Metadata"] == said
assert s3.get_object(Bucket=BUCKET, Key="said", Range="bytes=0-0")["Metadata"] == said
assert s3.head_object(Bucket=BUCKET, Key="said")["Metadata"] == said
assert s3.head_object(Bucket=BUCKET, Key="a/b.txt")["Metadata"] == {}
source = {"Bucket": BUCKET, "Key": "said"}
s3.copy_object(Bucket=BUCKET, Key="said again", CopySource=source)
assert s3.head_object(Bucket=BUCKET, Key="said again")["Metadata"] == said
s3.copy_object(Bucket=BUCKET, Key="said", CopySource=source, MetadataDirective="REPLACE", Metadata={"Owner": "Bob"})
assert s3.head_object(Bucket=BUCKET, Key="said")["Metadata"] == {"owner": "Bob"}
s3.copy_object(Bucket=BUCKET, Key="said again", CopySource=source, MetadataDirective="REPLACE")
assert s3.head_object(Bucket=BUCKET, Key="said again")["Metadata"] == {}
s3.put_object(Bucket=BUCKET, Key="said", Body=b"2")
assert s3.head_object(Bucket=BUCKET, Key="said")["Metadata"] == {}
upload = s3.create_multipart_upload(Bucket=BUCKET, Key="said in parts", Metadata=said)["UploadId"]
part = s3.upload_part(Bucket=BUCKET, Key="said in parts", UploadId=upload, PartNumber=1, Body=b"whole")
parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
s3.complete_multipart_upload(Bucket=BUCKET, Key="said in parts", UploadId=upload, MultipartUpload=parts)
assert s3.get_object(Bucket=BUCKET, Key="said in parts")["Metadata"] == said
s3.put_object(Bucket=BUCKET, Key="said", Body=b"3", Metadata={"k": "v" * 2047})
refused("MetadataTooLarge", s3.put_object, Bucket=BUCKET, Key="said", Body=b"4", Metadata={"k": "v" * 2048})
for key in ["said", "said again", "said in parts"]:
    s3.delete_object(Bucket=BUCKET, Key=key)

# Ranges.
part = s3.get_object(Bucket=BUCKET, Key="a/b.txt", Range="bytes=6-")
assert part["Body"].read() == b"world" and part["ContentRange"] == "bytes 6-10/11"
assert part["ResponseMetadata"]["HTTPStatusCode"] == 206
assert s3.get_object(Bucket=BUCKET, Key="a/b.txt", Range="bytes=0-4")["Body"].read() == b"hello"
assert s3.get_object(Bucket=BUCKET, Key="a/b.txt", Range="bytes=-3")["Body"].read() == b"rld"
refused("InvalidRange", s3.get_object, Bucket=BUCKET, Key="a/b.txt", Range="bytes=11-")

# Conditions.
refused("PreconditionFailed", s3.put_object, Bucket=BUCKET, Key="a/b.txt", Body=b"x", IfNoneMatch="*")
s3.put_object(Bucket=BUCKET, Key="new", Body=b"1", IfNoneMatch="*")
refused("PreconditionFailed", s3.put_object, Bucket=BUCKET, Key="a/b.txt", Body=b"x", IfMatch='"0"')
changed = s3.put_object(Bucket=BUCKET, Key="a/b.txt", Body=b"hello again", IfMatch=put["ETag"])
assert changed["ETag"] != put["ETag"]
refused("304", s3.get_object, Bucket=BUCKET, Key="a/b.txt", IfNoneMatch=changed["ETag"])
refused("PreconditionFailed", s3.get_object, Bucket=BUCKET, Key="a/b.txt", IfMatch=put["ETag"])

# Checksums of every kind, in headers and trailers.
for algorithm in ("CRC32", "CRC32C", "SHA1", "SHA256", "CRC64NVME"):
    try:
        s3.put_object(Bucket=BUCKET, Key="sum", Body=b"abc" * 1000, ChecksumAlgorithm=algorithm)
    except Exception as error:  # the C library for these two is optional
        assert algorithm in ("CRC32C", "CRC64NVME") and "crt" in str(error), error
refused("BadDigest", s3.put_object, Bucket=BUCKET, Key="bad", Body=b"abc", ChecksumSHA256="A" * 43 + "=")
refused("BadDigest", s3.put_object, Bucket=BUCKET, Key="bad", Body=b"abc", ContentMD5="XUFAKrxLKna5cZ2REBfFkg==")
refused("404", s3.head_object, Bucket=BUCKET, Key="bad")

# Keys that need care on their way.
names = ["ü/ä ö+%25.txt", "a&b=c?d#e", "tab", "x" * 1024, "back\\slash", "(1)!*'~"]
for name in names:
    s3.put_object(Bucket=BUCKET, Key=name, Body=name.encode())
    assert s3.get_object(Bucket=BUCKET, Key=name)["Body"].read() == name.encode(), name
listed = {entry["Key"] for entry in s3.list_objects_v2(Bucket=BUCKET)["Contents"]}
assert set(names) <= listed, listed

# Lists.
for number in range(25):
    s3.put_object(Bucket=BUCKET, Key=f"list/{number // 10}/{number:02}", Body=b"")
pages = s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix="list/", PaginationConfig={"PageSize": 7})
keys = [entry["Key"] for page in pages for entry in page["Contents"]]
assert keys == [f"list/{number // 10}/{number:02}" for number in range(25)], keys
tree = s3.list_objects_v2(Bucket=BUCKET, Prefix="list/", Delimiter="/")
assert [entry["Prefix"] for entry in tree["CommonPrefixes"]] == ["list/0/", "list/1/", "list/2/"]
assert "Contents" not in tree and tree["KeyCount"] == 3
pages = s3.get_paginator("list_objects").paginate(Bucket=BUCKET, Prefix="list/", PaginationConfig={"PageSize": 10})
assert [entry["Key"] for page in pages for entry in page["Contents"]] == keys
assert s3.list_objects_v2(Bucket=BUCKET, Prefix="list/", StartAfter="list/2/23")["Contents"][0]["Key"] == "list/2/24"
refused("InvalidArgument", s3.list_objects_v2, Bucket=BUCKET, ContinuationToken="%")

# Copies.
s3.copy_object(Bucket=BUCKET, Key="copy", CopySource={"Bucket": BUCKET, "Key": "ü/ä ö+%25.txt"})
assert s3.get_object(Bucket=BUCKET, Key="copy")["Body"].read() == "ü/ä ö+%25.txt".encode()
s3.copy_object(Bucket=BUCKET, Key="copy", CopySource=f"{BUCKET}/copy", MetadataDirective="REPLACE", ContentType="text/css")
assert s3.head_object(Bucket=BUCKET, Key="copy")["ContentType"] == "text/css"
refused("InvalidRequest", s3.copy_object, Bucket=BUCKET, Key="copy", CopySource=f"{BUCKET}/copy")
refused("NoSuchKey", s3.copy_object, Bucket=BUCKET, Key="copy2", CopySource=f"{BUCKET}/missing")

# Multipart.
upload = s3.create_multipart_upload(Bucket=BUCKET, Key="big", ContentType="application/x-big")["UploadId"]
pieces = [b"a" * 5 * 1024 * 1024, b"b" * 100]
tags = [
    {"PartNumber": n, "ETag": s3.upload_part(Bucket=BUCKET, Key="big", UploadId=upload, PartNumber=n, Body=piece)["ETag"]}
    for n, piece in enumerate(pieces, 1)
]
parts = s3.list_parts(Bucket=BUCKET, Key="big", UploadId=upload)["Parts"]
assert [part["Size"] for part in parts] == [len(piece) for piece in pieces]
assert [found["Key"] for found in s3.list_multipart_uploads(Bucket=BUCKET)["Uploads"]] == ["big"]
refused("404", s3.head_object, Bucket=BUCKET, Key="big")
wrong = [dict(tags[0]), {"PartNumber": 2, "ETag": '"0"'}]
refused("InvalidPart", s3.complete_multipart_upload, Bucket=BUCKET, Key="big", UploadId=upload, MultipartUpload={"Parts": wrong})
s3.complete_multipart_upload(Bucket=BUCKET, Key="big", UploadId=upload, MultipartUpload={"Parts": tags})
whole = s3.get_object(Bucket=BUCKET, Key="big")
assert whole["ContentType"] == "application/x-big"
assert hashlib.sha256(whole["Body"].read()).digest() == hashlib.sha256(b"".join(pieces)).digest()
gone = s3.create_multipart_upload(Bucket=BUCKET, Key="gone")["UploadId"]
s3.abort_multipart_upload(Bucket=BUCKET, Key="gone", UploadId=gone)
refused("NoSuchUpload", s3.upload_part, Bucket=BUCKET, Key="gone", UploadId=gone, PartNumber=1, Body=b"x")

# Deletes.
s3.delete_object(Bucket=BUCKET, Key="never there")
answer = s3.delete_objects(Bucket=BUCKET, Delete={"Objects": [{"Key": key} for key in keys]})
assert len(answer["Deleted"]) == 25 and "Errors" not in answer
assert s3.list_objects_v2(Bucket=BUCKET, Prefix="list/")["KeyCount"] == 0

# Buckets, and nobody sees another's.
assert [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]] == ["files"]
refused("BucketNotEmpty", s3.delete_bucket, Bucket=BUCKET)
s3.create_bucket(Bucket="more", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
refused("BucketAlreadyOwnedByYou", s3.create_bucket, Bucket="more", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
s3.delete_bucket(Bucket="more")
bank = of_bank("s3")
bank.put_object(Bucket="vault", Key="secret", Body=b"gold")
for other, bucket in ((s3, "vault"), (bank, "files")):
    refused("NoSuchBucket", other.list_objects_v2, Bucket=bucket)
    refused("404", other.head_bucket, Bucket=bucket)
refused("NoSuchBucket", s3.copy_object, Bucket=BUCKET, Key="stolen", CopySource="vault/secret")
for name in ("stack/bank-dev/vault", "../bank-dev/vault", "..%2Fbank-dev%2Fvault"):
    try:
        s3.get_object(Bucket=name, Key="secret")
        raise AssertionError(f"{name} was let in")
    except AssertionError:
        raise
    except Exception:
        pass
refused("NoSuchKey", of_platform("s3").get_object, Bucket="vault", Key="secret")
