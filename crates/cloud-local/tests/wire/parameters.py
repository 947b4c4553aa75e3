import os

from common import client, of_bank, of_platform, refused

ssm = client("ssm")
assert ssm.put_parameter(Name="/shop/name", Value="Shop ü", Type="String")["Version"] == 1
assert ssm.put_parameter(Name="/shop/db/password", Value="hush", Type="SecureString")["Version"] == 1
assert ssm.put_parameter(Name="plain", Value="1", Type="String")["Version"] == 1
refused("ParameterAlreadyExists", ssm.put_parameter, Name="/shop/name", Value="x", Type="String")
assert ssm.put_parameter(Name="/shop/name", Value="Shop 2", Type="String", Overwrite=True)["Version"] == 2

found = ssm.get_parameter(Name="/shop/name")["Parameter"]
assert (found["Name"], found["Value"], found["Version"], found["Type"]) == ("/shop/name", "Shop 2", 2, "String")
assert ssm.get_parameter(Name="plain")["Parameter"]["Name"] == "plain"
assert ssm.get_parameter(Name=found["ARN"])["Parameter"]["Value"] == "Shop 2"
assert ssm.get_parameter(Name="/shop/db/password", WithDecryption=True)["Parameter"]["Value"] == "hush"
assert "hush" not in str(ssm.get_parameter(Name="/shop/db/password"))
some = ssm.get_parameters(Names=["/shop/name", "/none"])
assert [p["Name"] for p in some["Parameters"]] == ["/shop/name"] and some["InvalidParameters"] == ["/none"]

names = lambda **given: [p["Name"] for page in ssm.get_paginator("get_parameters_by_path").paginate(**given) for p in page["Parameters"]]
assert names(Path="/shop") == ["/shop/name"]
assert names(Path="/shop/", Recursive=True, WithDecryption=True) == ["/shop/db/password", "/shop/name"]
for n in range(25):
    ssm.put_parameter(Name=f"/many/{n:02}", Value="x", Type="String")
assert names(Path="/many") == [f"/many/{n:02}" for n in range(25)]
refused("ValidationException", ssm.put_parameter, Name="/large", Value="x" * 4097, Type="String")

refused("ParameterNotFound", ssm.get_parameter, Name="/bank/pin", WithDecryption=True)
assert of_bank("ssm").get_parameter(Name="/bank/pin", WithDecryption=True)["Parameter"]["Value"] == "0000"
platform = of_platform("ssm")
refused("ParameterNotFound", platform.get_parameter, Name="/workroom/access-keys/seed", WithDecryption=True)
refused("AccessDeniedException", platform.put_parameter, Name="/workroom/access-keys/seed", Value="0", Type="String", Overwrite=True)
hidden = platform.get_parameters_by_path(Path="/", Recursive=True, WithDecryption=True)["Parameters"]
assert not [p for p in hidden if p["Name"].startswith("/workroom/")], "the platform's own parameters are shown"
ssm.delete_parameter(Name="/shop/name")
refused("ParameterNotFound", ssm.delete_parameter, Name="/shop/name")

identity = client("sts").get_caller_identity()
assert "assumed-role/shop-dev/" in identity["Arn"] and identity["UserId"] == os.environ["AWS_ACCESS_KEY_ID"]
assert identity["Account"] == "000000000000"
assert of_platform("sts").get_caller_identity()["Arn"].endswith(":user/workroom")
