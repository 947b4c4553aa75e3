//! What the build worker may do with the ports.

use cloud::Access::{
    self, CancelDeploys, CheckRecords, DeleteBlobs, DeleteLogs, DeleteRecords, DeleteStacks, DeployStacks,
    DescribeStacks, GetRecords, InvokeBuilds, ListBlobs, PutRecords, QueryRecords, ReachTargets, ReadBlobs, SendJobs,
    WriteBlobs, WriteLogs,
};

/// The build functions write their own log, as every function does, and may do nothing else.
pub const BUILD_ACCESS: &[Access] = &[];

/// It checks out what it builds, keeps dependencies, stores artifacts, deploys, and removes what deleted projects leave.
pub const ACCESS: &[Access] = &[
    GetRecords,
    QueryRecords,
    PutRecords,
    DeleteRecords,
    CheckRecords,
    ReadBlobs("git/*"),
    WriteBlobs("git/*"),
    DeleteBlobs("git/*"),
    ListBlobs("git/*"),
    ReadBlobs("projects/*"),
    WriteBlobs("projects/*"),
    DeleteBlobs("projects/*"),
    ListBlobs("projects/*"),
    ReadBlobs("cache/*"),
    WriteBlobs("cache/*"),
    DeleteBlobs("cache/*"),
    ListBlobs("cache/*"),
    ReadBlobs("builds/*"),
    WriteBlobs("builds/*"),
    DeleteBlobs("builds/*"),
    InvokeBuilds,
    WriteLogs,
    DeleteLogs,
    SendJobs,
    DescribeStacks,
    DeployStacks,
    CancelDeploys,
    DeleteStacks,
    ReachTargets,
];
