//! What the build worker may do with the ports.

use cloud::Access::{
    self, CancelDeploys, CheckRecords, DeleteBlobs, DeleteLogs, DeleteRecords, DeleteStacks, DeployStacks,
    DescribeStacks, GetRecords, ListBlobs, PutRecords, QueryRecords, ReachTargets, ReadBlobs, SendJobs, WriteBlobs,
    WriteLogs,
};

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
    WriteLogs,
    DeleteLogs,
    SendJobs,
    DescribeStacks,
    DeployStacks,
    CancelDeploys,
    DeleteStacks,
    ReachTargets,
];
