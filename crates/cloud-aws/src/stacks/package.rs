//! The packaged template: code by its place in the bucket, as `aws cloudformation package` leaves it.

use bytes::Bytes;
use cloud::{BlobKey, Blobs, DeployStack, Error, PutOptions, Report, Result, Sha256Digest};
use serde_json::{Value, json};

use crate::S3Blobs;

/// Writes the packaged template to the bucket; the answer is its URL.
pub(super) async fn upload(what: &DeployStack, blobs: &S3Blobs, bucket: &str, region: &str) -> Result<String> {
    let body = serde_json::to_vec(&packaged(what, bucket)?).map_err(|error| Error::other("packaging", error))?;
    let key = BlobKey::parse(format!("templates/{}.json", Sha256Digest::of(&body)))?;
    blobs.put(&key, Bytes::from(body), PutOptions::default()).await?;
    Ok(format!("https://{bucket}.s3.{region}.amazonaws.com/{key}"))
}

/// The template with each package's place in the property that holds its code.
fn packaged(what: &DeployStack, bucket: &str) -> Result<Value> {
    let mut template = what.template.clone();
    for (logical_id, key) in &what.packages {
        let resource = template["Resources"]
            .get_mut(logical_id)
            .ok_or_else(|| Error::Invalid(format!("there is no resource `{logical_id}` to package")))?;
        let kind = resource["Type"].as_str().unwrap_or_default().to_owned();
        let (property, place) = match kind.as_str() {
            "AWS::Serverless::Function" => ("CodeUri", json!({ "Bucket": bucket, "Key": key.as_str() })),
            "AWS::Serverless::LayerVersion" => ("ContentUri", json!({ "Bucket": bucket, "Key": key.as_str() })),
            "AWS::Lambda::Function" => ("Code", json!({ "S3Bucket": bucket, "S3Key": key.as_str() })),
            "AWS::Lambda::LayerVersion" => ("Content", json!({ "S3Bucket": bucket, "S3Key": key.as_str() })),
            _ => return Err(Error::Invalid(format!("`{logical_id}` is a {kind}, which has no code"))),
        };
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
