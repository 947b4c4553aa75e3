//! What each right of a function comes to on AWS: the calls that its adapter makes, and the IAM actions of these.
//!
//! A test compares this table with the calls in the adapters' source and with the policies of the platform's
//! template, both ways. Actions: "Actions, resources, and condition keys", Service Authorization Reference.

use cloud::Access;

use On::{
    AppBuckets, AppFunctions, AppLogs, AppObjects, AppStacks, Bucket, BuildNode, BuildPython, DeployRole, EventBus,
    JobLogs, JobQueue, LogGroups, Objects, Parameters, PeopleRole, SamTransform, Sockets, Table, TailQueue,
    TargetRoles,
};

/// The resource of an action, as the platform's template names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum On {
    Table,
    Bucket,
    /// Objects of the bucket whose keys are like this.
    Objects(&'static str),
    JobQueue,
    TailQueue,
    Sockets,
    /// The log groups of jobs.
    JobLogs,
    /// The log groups of users' functions.
    AppLogs,
    /// Every log group: their names and no more.
    LogGroups,
    Parameters,
    /// Stacks of users' apps, and what is in them.
    AppStacks,
    AppFunctions,
    /// Objects in the buckets of users' apps.
    AppObjects,
    /// The transform of SAM templates, which a change set uses.
    SamTransform,
    /// The role that CloudFormation makes stacks with.
    DeployRole,
    /// The buckets of users' apps.
    AppBuckets,
    /// The role that people's keys come from.
    PeopleRole,
    /// The roles of deploy targets, in whoever's account.
    TargetRoles,
    EventBus,
    /// The functions that run users' build steps.
    BuildNode,
    BuildPython,
}

/// A call of the SDK with an action that it needs. A call that needs two is there twice.
#[derive(Clone, Copy, Debug)]
pub struct Call {
    /// The SDK crate's name after `aws-sdk-`.
    pub service: &'static str,
    /// The operation, as the SDK's client names it.
    pub operation: &'static str,
    pub action: &'static str,
    pub on: On,
}

const fn call(service: &'static str, operation: &'static str, action: &'static str, on: On) -> Call {
    Call { service, operation, action, on }
}

/// Calls of the adapters that no function makes: event sources read queues for them, and operators list.
pub const BY_NO_FUNCTION: &[(&str, &str)] = &[
    ("sqs", "receive_message"),
    ("sqs", "change_message_visibility"),
    ("sqs", "change_message_visibility_batch"),
    ("sqs", "delete_message"),
    ("sqs", "get_queue_attributes"),
    ("sqs", "get_queue_url"),
    ("ssm", "get_parameters_by_path"),
    ("cloudwatchlogs", "describe_log_streams"),
];

/// Every call that a right leads to.
pub fn calls(access: Access) -> Vec<Call> {
    match access {
        Access::GetRecords
        | Access::QueryRecords
        | Access::PutRecords
        | Access::DeleteRecords
        | Access::CheckRecords => records(access),
        Access::ReadBlobs(_)
        | Access::WriteBlobs(_)
        | Access::UploadBlobs(_)
        | Access::DeleteBlobs(_)
        | Access::ListBlobs(_) => blobs(access),
        Access::SendJobs => vec![call("sqs", "send_message", "sqs:SendMessage", JobQueue)],
        Access::SendTails => vec![call("sqs", "send_message", "sqs:SendMessage", TailQueue)],
        Access::PostToSockets => ["post_to_connection", "delete_connection"]
            .map(|name| call("apigatewaymanagement", name, "execute-api:ManageConnections", Sockets))
            .into(),
        Access::PublishEvents => vec![call("eventbridge", "put_events", "events:PutEvents", EventBus)],
        Access::WriteLogs => written_logs(),
        Access::DeleteLogs => vec![call("cloudwatchlogs", "delete_log_group", "logs:DeleteLogGroup", JobLogs)],
        Access::ReadLogs => read_logs(JobLogs),
        Access::ReadStackLogs => read_logs(AppLogs),
        Access::FollowLogs => followed_logs(JobLogs),
        Access::FollowStackLogs => followed_logs(AppLogs),
        Access::ListLogs | Access::ListParameters => Vec::new(),
        Access::ReadParameters => vec![call("ssm", "get_parameter", "ssm:GetParameter", Parameters)],
        Access::WriteParameters => vec![
            call("ssm", "put_parameter", "ssm:PutParameter", Parameters),
            call("ssm", "delete_parameter", "ssm:DeleteParameter", Parameters),
        ],
        Access::InvokeBuilds => [BuildNode, BuildPython]
            .map(|on| call("lambda", "invoke_with_response_stream", "lambda:InvokeFunction", on))
            .into(),
        Access::DescribeStacks
        | Access::DeployStacks
        | Access::CancelDeploys
        | Access::ReachTargets
        | Access::DeleteStacks
        | Access::InvokeStacks
        | Access::StackCredentials => stacks(access),
    }
}

/// A transaction needs the rights of its writes. One that is unclear is settled by reading.
fn records(access: Access) -> Vec<Call> {
    let written = |action| {
        let settled = call("dynamodb", "get_item", "dynamodb:GetItem", Table);
        vec![call("dynamodb", "transact_write_items", action, Table), settled]
    };
    match access {
        Access::GetRecords => vec![call("dynamodb", "get_item", "dynamodb:GetItem", Table)],
        Access::QueryRecords => vec![call("dynamodb", "query", "dynamodb:Query", Table)],
        Access::PutRecords => written("dynamodb:PutItem"),
        Access::DeleteRecords => written("dynamodb:DeleteItem"),
        Access::CheckRecords => written("dynamodb:ConditionCheckItem"),
        _ => Vec::new(),
    }
}

fn blobs(access: Access) -> Vec<Call> {
    match access {
        // Who may not list is told that an absent object is forbidden, not that it is absent.
        Access::ReadBlobs(keys) => vec![
            call("s3", "get_object", "s3:GetObject", Objects(keys)),
            call("s3", "head_object", "s3:GetObject", Objects(keys)),
            call("s3", "get_object", "s3:ListBucket", Bucket),
        ],
        // A write whose outcome is unclear is settled by reading, and one under `If-Match` needs the right to read.
        Access::WriteBlobs(keys) => vec![
            call("s3", "put_object", "s3:PutObject", Objects(keys)),
            call("s3", "create_multipart_upload", "s3:PutObject", Objects(keys)),
            call("s3", "upload_part", "s3:PutObject", Objects(keys)),
            call("s3", "complete_multipart_upload", "s3:PutObject", Objects(keys)),
            call("s3", "abort_multipart_upload", "s3:AbortMultipartUpload", Objects(keys)),
            call("s3", "head_object", "s3:GetObject", Objects(keys)),
            call("s3", "head_object", "s3:ListBucket", Bucket),
        ],
        // Who sends a part uses the right of the function that signed its URL.
        Access::UploadBlobs(keys) => vec![
            call("s3", "create_multipart_upload", "s3:PutObject", Objects(keys)),
            call("s3", "upload_part", "s3:PutObject", Objects(keys)),
            call("s3", "complete_multipart_upload", "s3:PutObject", Objects(keys)),
            call("s3", "abort_multipart_upload", "s3:AbortMultipartUpload", Objects(keys)),
            call("s3", "list_parts", "s3:ListMultipartUploadParts", Objects(keys)),
        ],
        Access::DeleteBlobs(keys) => vec![call("s3", "delete_object", "s3:DeleteObject", Objects(keys))],
        Access::ListBlobs(_) => vec![call("s3", "list_objects_v2", "s3:ListBucket", Bucket)],
        _ => Vec::new(),
    }
}

/// What was appended is looked for before it is appended again.
fn written_logs() -> Vec<Call> {
    [
        ("create_log_group", "logs:CreateLogGroup"),
        ("put_retention_policy", "logs:PutRetentionPolicy"),
        ("delete_retention_policy", "logs:DeleteRetentionPolicy"),
        ("create_log_stream", "logs:CreateLogStream"),
        ("put_log_events", "logs:PutLogEvents"),
        ("get_log_events", "logs:GetLogEvents"),
    ]
    .map(|(operation, action)| call("cloudwatchlogs", operation, action, JobLogs))
    .into()
}

fn read_logs(on: On) -> Vec<Call> {
    vec![
        call("cloudwatchlogs", "filter_log_events", "logs:FilterLogEvents", on),
        call("cloudwatchlogs", "get_log_events", "logs:GetLogEvents", on),
    ]
}

fn followed_logs(on: On) -> Vec<Call> {
    let mut all = read_logs(on);
    all.push(call("cloudwatchlogs", "start_live_tail", "logs:StartLiveTail", on));
    // A live tail names its group by the ARN.
    all.push(call("cloudwatchlogs", "describe_log_groups", "logs:DescribeLogGroups", LogGroups));
    all
}

fn stacks(access: Access) -> Vec<Call> {
    let formation = |operation, action| call("cloudformation", operation, action, AppStacks);
    let described = formation("describe_stacks", "cloudformation:DescribeStacks");
    let listed = formation("list_stack_resources", "cloudformation:ListStackResources");
    let told = formation("describe_stack_events", "cloudformation:DescribeStackEvents");
    let functions = call("lambda", "get_function_configuration", "lambda:GetFunctionConfiguration", AppFunctions);
    match access {
        Access::DescribeStacks => vec![described, listed, functions],
        Access::InvokeStacks => vec![listed, call("lambda", "invoke", "lambda:InvokeFunction", AppFunctions)],
        Access::DeployStacks => {
            let mut all = vec![
                listed,
                told,
                functions,
                formation("create_change_set", "cloudformation:CreateChangeSet"),
                call("cloudformation", "create_change_set", "cloudformation:CreateChangeSet", SamTransform),
                call("cloudformation", "create_change_set", "iam:PassRole", DeployRole),
                formation("describe_change_set", "cloudformation:DescribeChangeSet"),
                formation("execute_change_set", "cloudformation:ExecuteChangeSet"),
                formation("delete_change_set", "cloudformation:DeleteChangeSet"),
            ];
            // What a failed first deploy left goes before the next.
            all.extend(stacks(Access::DeleteStacks));
            // The front end's files go into the bucket that the stack has for them.
            all.push(call("s3", "put_object", "s3:PutObject", AppObjects));
            // A large template goes to the bucket first.
            all.extend(blobs(Access::WriteBlobs("templates/*")));
            all
        }
        Access::CancelDeploys => vec![
            described,
            told,
            formation("cancel_update_stack", "cloudformation:CancelUpdateStack"),
            formation("delete_stack", "cloudformation:DeleteStack"),
        ],
        // The site's bucket is emptied first, unless the template keeps it; what could not be deleted is named.
        Access::DeleteStacks => vec![
            described,
            listed,
            formation("get_template", "cloudformation:GetTemplate"),
            formation("delete_stack", "cloudformation:DeleteStack"),
            call("s3", "list_object_versions", "s3:ListBucketVersions", AppBuckets),
            call("s3", "delete_objects", "s3:DeleteObject", AppObjects),
            call("s3", "delete_objects", "s3:DeleteObjectVersion", AppObjects),
        ],
        Access::StackCredentials => vec![
            call("sts", "assume_role", "sts:AssumeRole", PeopleRole),
            call("sts", "assume_role", "sts:TagSession", PeopleRole),
        ],
        // Session tags go with the role.
        Access::ReachTargets => vec![
            call("sts", "assume_role", "sts:AssumeRole", TargetRoles),
            call("sts", "assume_role", "sts:TagSession", TargetRoles),
        ],
        _ => Vec::new(),
    }
}
