//! What a target's values must look like. Sources: AWS IAM User Guide, "IAM identifiers"; AWS General Reference,
//! "Regions"; Amazon S3 User Guide, "Bucket naming rules".

use super::TargetSettings;
use crate::{EnvironmentName, Error, Result};

/// Entries of one list.
const LIST_MAX: usize = 100;
/// The longest ARN (AWS IAM User Guide: a path of 512 and a name of 128 characters, with what is before them).
const ARN_MAX: usize = 1_024;

/// The parts of an ARN that tell where it is.
struct Arn<'a> {
    partition: &'a str,
    account: &'a str,
    resource: &'a str,
}

fn arn<'a>(raw: &'a str, service: &str) -> Option<Arn<'a>> {
    let parts: Vec<&str> = raw.splitn(6, ':').collect();
    let [head, partition, of, region, account, resource] = parts.as_slice() else { return None };
    let plain = raw.len() <= ARN_MAX && raw.bytes().all(|b| b.is_ascii_graphic());
    let fits = plain && *head == "arn" && is_partition(partition) && *of == service && region.is_empty();
    fits.then_some(Arn { partition, account, resource })
}

fn is_partition(raw: &str) -> bool {
    raw == "aws" || raw.strip_prefix("aws-").is_some_and(|rest| is_lower(rest, "-") && !rest.is_empty())
}

fn is_account(raw: &str) -> bool {
    raw.len() == 12 && raw.bytes().all(|b| b.is_ascii_digit())
}

fn is_lower(raw: &str, also: &str) -> bool {
    raw.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || also.as_bytes().contains(&b))
}

/// A path and name of IAM.
fn is_named(raw: &str, most: usize) -> bool {
    let name = raw.rsplit('/').next().unwrap_or_default();
    let fits = |b: u8| b.is_ascii_alphanumeric() || b"+=,.@_-/".contains(&b);
    (1..=most).contains(&name.len()) && raw.bytes().all(fits) && !raw.starts_with('/') && !raw.contains("//")
}

fn is_region(raw: &str) -> bool {
    let Some((place, number)) = raw.rsplit_once('-') else { return false };
    let words: Vec<&str> = place.split('-').collect();
    let digit = matches!(number.as_bytes(), [b'1'..=b'9']);
    let word = |word: &&str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase());
    digit && words.len() >= 2 && words[0].len() == 2 && words.iter().all(word) && raw.len() <= 32
}

fn is_bucket(raw: &str) -> bool {
    (3..=63).contains(&raw.len())
        && is_lower(raw, "-.")
        && !raw.contains("..")
        && raw.starts_with(|c: char| c.is_ascii_alphanumeric())
        && raw.ends_with(|c: char| c.is_ascii_alphanumeric())
}

/// Where the stacks of a target are: it must not move away from under them.
pub(super) fn place(settings: &TargetSettings) -> (String, String) {
    let account = arn(&settings.role_arn, "iam").map(|role| role.account.to_owned()).unwrap_or_default();
    (account, settings.region.clone())
}

pub(super) fn check(settings: &TargetSettings) -> Result<()> {
    let role = arn(&settings.role_arn, "iam").filter(|role| {
        is_account(role.account) && role.resource.strip_prefix("role/").is_some_and(|name| is_named(name, 64))
    });
    let Some(role) = role else {
        let text = "A role's ARN is arn:aws:iam::{account}:role/{name}, with an account of 12 digits.";
        return Err(Error::invalid("role_arn", text));
    };
    if !is_region(&settings.region) {
        return Err(Error::invalid("region", "A region is named like eu-central-1."));
    }
    let boundary = arn(&settings.permissions_boundary, "iam").filter(|boundary| {
        let fits = boundary.resource.strip_prefix("policy/").is_some_and(|name| is_named(name, 128));
        fits && boundary.partition == role.partition && (boundary.account == "aws" || boundary.account == role.account)
    });
    if boundary.is_none() {
        let text =
            "A permissions boundary is a managed policy of the role's account: arn:aws:iam::{account}:policy/{name}.";
        return Err(Error::invalid("permissions_boundary", text));
    }
    if !is_bucket(&settings.bucket) {
        return Err(Error::invalid("bucket", "A bucket's name has 3 to 63 of a-z, 0-9, - and ., as S3 wants it."));
    }
    lists(settings)
}

fn lists(settings: &TargetSettings) -> Result<()> {
    for (field, list) in [
        ("projects", &settings.projects),
        ("environments", &settings.environments),
        ("resource_types", &settings.resource_types),
        ("managed_policies", &settings.managed_policies),
        ("layers", &settings.layers),
    ] {
        if list.len() > LIST_MAX {
            return Err(Error::invalid(field, format!("A list has at most {LIST_MAX} entries.")));
        }
    }
    for name in &settings.environments {
        EnvironmentName::parse(name.as_str()).map_err(|error| Error::invalid("environments", error.to_string()))?;
    }
    for kind in &settings.resource_types {
        if !is_type(kind) {
            let text =
                format!("`{kind}` is no resource type that a target can allow: name one like AWS::Batch::JobQueue.");
            return Err(Error::invalid("resource_types", text));
        }
    }
    for policy in &settings.managed_policies {
        let fits = arn(policy, "iam").is_some_and(|arn| {
            let name = arn.resource.strip_prefix("policy/").unwrap_or_default();
            (arn.account == "aws" || is_account(arn.account)) && is_named(name.trim_end_matches('*'), 128)
        });
        if !fits {
            let text = format!(
                "`{policy}` is not a managed policy's ARN; a `*` may stand at its end, after a part of the name."
            );
            return Err(Error::invalid("managed_policies", text));
        }
    }
    for layer in &settings.layers {
        if !is_layer(layer) {
            let text = format!(
                "`{layer}` is not a layer's ARN: arn:aws:lambda:{{region}}:{{account}}:layer:{{name}}:{{version}}; `*` may stand for the region and at the end."
            );
            return Err(Error::invalid("layers", text));
        }
    }
    Ok(())
}

fn is_type(raw: &str) -> bool {
    let parts: Vec<&str> = raw.split("::").collect();
    let part = |part: &&str| (1..=64).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphanumeric());
    // The fences refuse these whatever a target says: here an admin is told.
    let never = raw.starts_with("AWS::CloudFormation::") || raw == "AWS::Serverless::Application";
    parts.len() == 3 && parts.iter().all(part) && !never
}

fn is_layer(raw: &str) -> bool {
    let parts: Vec<&str> = raw.split(':').collect();
    let [head, partition, service, region, account, kind, name, version @ ..] = parts.as_slice() else { return false };
    let named = |name: &str| {
        (1..=140).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
    };
    let version = match version {
        [] => name.ends_with('*'),
        [version] => *version == "*" || version.bytes().all(|b| b.is_ascii_digit()) && !version.is_empty(),
        _ => false,
    };
    *head == "arn"
        && is_partition(partition)
        && *service == "lambda"
        && (*region == "*" || is_region(region))
        && is_account(account)
        && *kind == "layer"
        && named(name.trim_end_matches('*'))
        && version
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> TargetSettings {
        TargetSettings {
            role_arn: "arn:aws:iam::123456789012:role/team/workroom-deploy".into(),
            region: "eu-central-1".into(),
            permissions_boundary: "arn:aws:iam::123456789012:policy/apps".into(),
            bucket: "packages-123456789012".into(),
            ..TargetSettings::default()
        }
    }

    fn field(settings: &TargetSettings) -> &'static str {
        match check(settings) {
            Err(Error::Invalid { field: Some(field), .. }) => field,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn good_settings_are_taken() {
        check(&good()).unwrap();
        let mut gov = good();
        gov.role_arn = "arn:aws-us-gov:iam::123456789012:role/x".into();
        gov.permissions_boundary = "arn:aws-us-gov:iam::aws:policy/PowerUserAccess".into();
        gov.region = "us-gov-west-1".into();
        gov.layers = vec!["arn:aws:lambda:*:017000801446:layer:AWSLambdaPowertools*".into()];
        gov.resource_types = vec!["AWS::Batch::JobQueue".into()];
        check(&gov).unwrap();
    }

    #[test]
    fn each_bad_value_is_named_by_its_field() {
        for role in [
            "",
            "x",
            "arn:aws:iam::1:role/x",
            "arn:aws:iam::123456789012:user/x",
            "arn:aws:iam::123456789012:role/",
            "arn:aws:sts::123456789012:role/x",
            "arn:aws:iam:eu:123456789012:role/x",
            "arn:evil:iam::123456789012:role/x",
            "arn:aws:iam::123456789012:role/a b",
            "arn:aws:iam::123456789012:role/*",
        ] {
            assert_eq!(field(&TargetSettings { role_arn: role.into(), ..good() }), "role_arn", "{role}");
        }
        for region in ["", "eu", "EU-central-1", "eu-central-", "eu-central-10", "eu--1", "eu-central-1.evil.com", "-1"]
        {
            assert_eq!(field(&TargetSettings { region: region.into(), ..good() }), "region", "{region}");
        }
        for boundary in ["", "arn:aws:iam::999999999999:policy/apps", "arn:aws:iam::123456789012:role/x"] {
            let settings = TargetSettings { permissions_boundary: boundary.into(), ..good() };
            assert_eq!(field(&settings), "permissions_boundary", "{boundary}");
        }
        for bucket in ["", "ab", "A-bucket", "a..b", "-abc", "s3://x", "a/b"] {
            assert_eq!(field(&TargetSettings { bucket: bucket.into(), ..good() }), "bucket", "{bucket}");
        }
        for kind in ["Custom::X", "AWS::CloudFormation::Stack", "AWS::Batch::*", "x", "AWS::CloudFormation::Macro"] {
            assert_eq!(
                field(&TargetSettings { resource_types: vec![kind.into()], ..good() }),
                "resource_types",
                "{kind}"
            );
        }
        for policy in ["*", "arn:aws:iam::aws:policy/*", "AdministratorAccess", "arn:aws:iam::*:policy/x"] {
            assert_eq!(field(&TargetSettings { managed_policies: vec![policy.into()], ..good() }), "managed_policies");
        }
        for layer in ["*", "arn:aws:lambda:*:*:layer:x:1", "arn:aws:lambda:eu-central-1:123456789012:layer:x", "x"] {
            assert_eq!(field(&TargetSettings { layers: vec![layer.into()], ..good() }), "layers", "{layer}");
        }
        assert_eq!(field(&TargetSettings { environments: vec!["A".into()], ..good() }), "environments");
        assert_eq!(field(&TargetSettings { layers: vec!["x".into(); 101], ..good() }), "layers");
    }
}
