//! What a stack leaves behind, and who gets keys for one.

use super::*;

/// A stack with a bucket that keeps versions, and an output that names it as the site's.
fn with_site(policy: &str) -> Value {
    let mut whole = template(json!({
        "Hello": hello(),
        "Site": {
            "Type": "AWS::S3::Bucket", "DeletionPolicy": policy, "UpdateReplacePolicy": policy,
            "Properties": {"VersioningConfiguration": {"Status": "Enabled"}},
        },
    }));
    whole["Outputs"]["SiteBucketName"] = json!({"Value": {"Ref": "Site"}});
    whole
}

/// The stack, deployed, with files in its bucket: two versions of one, and a deleted one.
async fn with_files(place: &Place, policy: &str, endpoint: &str) -> (aws_sdk_s3::Client, String) {
    let what = DeployStack { template: with_site(policy), ..place.what("r1", json!({})).await };
    let stack = deploy(place.stacks.as_ref(), what).await.0.unwrap();
    let bucket = stack.outputs["SiteBucketName"].clone();
    let config = aws_sdk_s3::config::Builder::from(aws(endpoint).config()).force_path_style(true);
    let s3 = aws_sdk_s3::Client::from_conf(config.build());
    for (key, body) in [("index.html", "1"), ("index.html", "2"), ("gone.js", "3")] {
        s3.put_object().bucket(&bucket).key(key).body(body.as_bytes().to_vec().into()).send().await.unwrap();
    }
    s3.delete_object().bucket(&bucket).key("gone.js").send().await.unwrap();
    (s3, bucket)
}

/// Versions and markers of deleted objects.
async fn versions(s3: &aws_sdk_s3::Client, bucket: &str) -> Option<usize> {
    let page = s3.list_object_versions().bucket(bucket).send().await.ok()?;
    Some(page.versions().len() + page.delete_markers().len())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sites_bucket_is_emptied_of_every_version_before_its_stack_is_deleted() {
    let emulator = Emulator::shared_ministack();
    let proxy = FaultProxy::start(emulator.endpoint()).await;
    let place = place(proxy.endpoint()).await;
    let (s3, bucket) = with_files(&place, "Delete", emulator.endpoint()).await;
    assert_eq!(versions(&s3, &bucket).await, Some(4));
    // The emulator deletes buckets as they are, and AWS does not: the stack is kept until we have looked.
    proxy.inject(Rule::new(error(400, "ValidationError", "not now")).when(|call| is(call, "DeleteStack")));
    place.stacks.delete(&place.name).await.unwrap_err();
    assert_eq!(versions(&s3, &bucket).await, Some(0));
    place.stacks.delete(&place.name).await.unwrap();
    assert!(place.stacks.describe(&place.name).await.unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_the_template_keeps_is_left_as_it_is() {
    let emulator = Emulator::shared_ministack();
    let place = place(emulator.endpoint()).await;
    let (s3, bucket) = with_files(&place, "Retain", emulator.endpoint()).await;
    place.stacks.delete(&place.name).await.unwrap();
    assert_eq!(versions(&s3, &bucket).await, Some(4));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_persons_keys_are_a_session_of_the_peoples_role_for_one_stack() {
    let emulator = Emulator::shared_ministack();
    let proxy = FaultProxy::start(emulator.endpoint()).await;
    let place = place(proxy.endpoint()).await;
    let keys = place.stacks.credentials(&place.name, Duration::from_secs(12 * 3_600)).await.unwrap();
    assert!(keys.session_token.is_some() && !keys.access_key_id.is_empty());
    let physical = place.stacks.rules(&place.name).unwrap().physical_name;
    let named = move |call: &WireCall| {
        let body = String::from_utf8_lossy(&call.body).into_owned();
        let policy = format!("{physical}-*").replace('*', "%2A");
        // A role that is assumed by a role gives an hour at most ("Role chaining").
        is(call, "AssumeRole")
            && body.contains("role%2Fpeople")
            && body.contains("Tags.member.1.Key=workroom%3Astack")
            && body.contains(&format!("Tags.member.1.Value={physical}"))
            && (body.contains(&policy) || body.contains(&format!("{physical}-*")))
            && body.contains("DurationSeconds=3600")
    };
    assert_eq!(proxy.calls(named), 1);
    assert_eq!(proxy.calls(|call| is(call, "AssumeRole")), 1);
}
