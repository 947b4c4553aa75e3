from common import client, of_platform, refused

answer = refused("ServiceUnavailableException", client("dynamodb").list_tables)
assert "cargo xtask companions" in answer["Error"]["Message"], answer
refused("ResourceNotFoundException", of_platform("dynamodb").list_tables)
