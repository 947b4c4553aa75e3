//! The packaged template: code by its place in the bucket, as `aws cloudformation package` leaves it.

use bytes::Bytes;
use cloud::{BlobKey, Blobs, DeployStack, Error, PutCondition, PutOptions, Report, Result, Sha256Digest, StackTarget};
use serde_json::{Value, json};

use super::session::Session;

/// The longest template that goes along with the call (CloudFormation quotas; bytes).
const INLINE_MAX: usize = 51_200;

/// The packaged template, as a call takes it: by its text or by its place.
pub(super) struct Packaged {
    pub body: Option<String>,
    pub url: Option<String>,
}

/// Puts the packages where Lambda can read them, and the template where CloudFormation can.
pub(super) async fn upload(what: &DeployStack, session: &Session, bucket: &str) -> Result<Packaged> {
    if let Some(target) = session.target() {
        for key in what.packages.values() {
            copy(key, session, target).await?;
        }
    }
    let body = packaged(what, bucket)?.to_string();
    if body.len() <= INLINE_MAX {
        return Ok(Packaged { body: Some(body), url: None });
    }
    let key = BlobKey::parse(format!("templates/{}.json", Sha256Digest::of(body.as_bytes())))?;
    let clients = session.clients().await?;
    clients.blobs.put(&key, Bytes::from(body), PutOptions::default()).await?;
    let region = session.region();
    let suffix = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
    Ok(Packaged { body: None, url: Some(format!("https://s3.{region}.{suffix}/{bucket}/{key}")) })
}

/// Lambda reads code from a bucket in the function's own region: a target has one of its own.
async fn copy(key: &BlobKey, session: &Session, target: &StackTarget) -> Result<()> {
    let clients = session.clients().await?;
    let there = clients.blobs.head(key).await;
    match there {
        Ok(_) => return Ok(()),
        Err(error) if error.is_not_found() => {}
        Err(error) => return Err(unreachable_bucket(target, error)),
    }
    let blob = session.platform_blobs().get(key, None).await?;
    let options = PutOptions {
        condition: PutCondition::IfAbsent,
        content_type: Some("application/zip".into()),
        length: Some(blob.meta.length),
        ..PutOptions::default()
    };
    match clients.blobs.put_stream(key, blob.body, options).await {
        Err(error) if error.is_condition_failed() => Ok(()),
        Err(error) => Err(unreachable_bucket(target, error)),
        Ok(_) => Ok(()),
    }
}

/// A bucket that is not there, or closed to the role, is the admin's to mend.
fn unreachable_bucket(target: &StackTarget, error: Error) -> Error {
    match error {
        Error::NotFound(_) | Error::Other { .. } => Error::Invalid(format!(
            "the bucket {} of the target `{}` cannot be written: it must be in {}, and the role {} needs s3:GetObject \
             and s3:PutObject on it ({error})",
            target.bucket, target.name, target.region, target.role_arn
        )),
        other => other,
    }
}

/// The template with each package's place in the property that holds its code.
fn packaged(what: &DeployStack, bucket: &str) -> Result<Value> {
    let mut template = what.template.clone();
    for (logical_id, key) in &what.packages {
        let absent = || Error::Invalid(format!("there is no resource `{logical_id}` to package"));
        let resources = template.get_mut("Resources").and_then(Value::as_object_mut).ok_or_else(absent)?;
        let resource = resources.get_mut(logical_id).filter(|resource| resource.is_object()).ok_or_else(absent)?;
        let kind = resource["Type"].as_str().unwrap_or_default().to_owned();
        let (property, place) = match kind.as_str() {
            "AWS::Serverless::Function" => ("CodeUri", json!({ "Bucket": bucket, "Key": key.as_str() })),
            "AWS::Serverless::LayerVersion" => ("ContentUri", json!({ "Bucket": bucket, "Key": key.as_str() })),
            "AWS::Lambda::Function" => ("Code", json!({ "S3Bucket": bucket, "S3Key": key.as_str() })),
            "AWS::Lambda::LayerVersion" => ("Content", json!({ "S3Bucket": bucket, "S3Key": key.as_str() })),
            _ => return Err(Error::Invalid(format!("`{logical_id}` is a {kind}, which has no code"))),
        };
        if !resource["Properties"].is_object() {
            resource["Properties"] = json!({});
        }
        resource["Properties"][property] = place;
    }
    Ok(template)
}

/// The figures of the REPORT line in a log tail.
pub(super) fn report(log_tail: &str) -> Option<Report> {
    let line = log_tail.lines().rev().find(|line| line.starts_with("REPORT "))?;
    let figure = |name: &str| {
        let field = line.split('\t').find_map(|field| field.trim().strip_prefix(name))?;
        field.split_whitespace().next()?.parse::<f64>().ok()
    };
    Some(Report {
        request_id: line.split("RequestId: ").nth(1)?.split_whitespace().next()?.to_owned(),
        duration_ms: figure("Duration: ")?,
        billed_duration_ms: figure("Billed Duration: ")? as u64,
        memory_mb: figure("Memory Size: ")? as u32,
        max_memory_used_mb: figure("Max Memory Used: ")? as u32,
        init_duration_ms: figure("Init Duration: "),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_line_is_read_with_its_cold_start() {
        let tail = "START RequestId: a\nREPORT RequestId: 3f-1\tDuration: 12.50 ms\tBilled Duration: 13 ms\tMemory Size: 128 MB\tMax Memory Used: 40 MB\tInit Duration: 80.25 ms\t\n";
        let report = report(tail).unwrap();
        assert_eq!((report.request_id.as_str(), report.duration_ms, report.billed_duration_ms), ("3f-1", 12.5, 13));
        assert_eq!((report.memory_mb, report.max_memory_used_mb, report.init_duration_ms), (128, 40, Some(80.25)));
    }

    #[test]
    fn code_is_named_by_its_place_in_the_bucket() {
        let what = DeployStack {
            name: cloud::StackName::parse("shop-dev").unwrap(),
            host_label: "dev--shop".into(),
            release: "r1".into(),
            template: json!({"Resources": {"F": {"Type": "AWS::Serverless::Function", "Properties": {"CodeUri": "src"}}}}),
            parameters: Default::default(),
            tags: Default::default(),
            packages: [("F".to_owned(), BlobKey::parse("projects/1/a.zip").unwrap())].into(),
            site: None,
            run: Default::default(),
        };
        let packaged = packaged(&what, "data").unwrap();
        let expected = json!({"Bucket": "data", "Key": "projects/1/a.zip"});
        assert_eq!(packaged["Resources"]["F"]["Properties"]["CodeUri"], expected);
    }
}
