//! What each area may do with the ports: a route that needs more fails here, on one machine and on AWS alike.

use cloud::Access::{
    self, CheckRecords, DeleteBlobs, DeleteRecords, DescribeStacks, GetRecords, InvokeStacks, ListBlobs, PutRecords,
    QueryRecords, ReachTargets, ReadBlobs, ReadLogs, ReadParameters, ReadStackLogs, SendJobs, StackCredentials,
    UploadBlobs, WriteBlobs, WriteParameters,
};

/// Sign-in makes signing keys when there are none.
pub(crate) const IDENTITY: &[Access] =
    &[GetRecords, QueryRecords, PutRecords, DeleteRecords, CheckRecords, ReadParameters, WriteParameters];

/// A new project's first commit is its starter; the end of one is a job.
pub(crate) const PROJECTS: &[Access] = &[
    GetRecords,
    QueryRecords,
    PutRecords,
    DeleteRecords,
    CheckRecords,
    ReadBlobs("starters/*"),
    ListBlobs("starters/*"),
    ReadBlobs("git/*"),
    WriteBlobs("git/*"),
    SendJobs,
];

pub(crate) const REPOSITORY: &[Access] = &[
    GetRecords,
    QueryRecords,
    PutRecords,
    DeleteRecords,
    CheckRecords,
    ReadBlobs("git/*"),
    WriteBlobs("git/*"),
    ReadBlobs("projects/*/drafts/*"),
    WriteBlobs("projects/*/drafts/*"),
    ReadBlobs("projects/*/lfs/*"),
];

pub(crate) const DOWNLOADS: &[Access] = &[GetRecords, QueryRecords, ReadBlobs("git/*")];

/// Git proves its callers itself, with the keys of access tokens.
pub(crate) const GIT: &[Access] = &[
    GetRecords,
    QueryRecords,
    PutRecords,
    DeleteRecords,
    CheckRecords,
    ReadBlobs("git/*"),
    WriteBlobs("git/*"),
    ReadBlobs("projects/*/lfs/*"),
    WriteBlobs("projects/*/lfs/*"),
    DeleteBlobs("projects/*/lfs/*"),
    ReadParameters,
];

pub(crate) const JOBS: &[Access] = &[
    GetRecords,
    QueryRecords,
    PutRecords,
    DeleteRecords,
    CheckRecords,
    ReadBlobs("git/*"),
    ReadBlobs("projects/*/artifacts/*"),
    SendJobs,
    ReadLogs,
];

pub(crate) const ENVIRONMENTS: &[Access] = &[
    GetRecords,
    QueryRecords,
    PutRecords,
    DeleteRecords,
    CheckRecords,
    ReadBlobs("git/*"),
    ReadBlobs("projects/*/drafts/*"),
    SendJobs,
    DescribeStacks,
    InvokeStacks,
    ReadStackLogs,
    StackCredentials,
    ReachTargets,
];

pub(crate) const FILES: &[Access] = &[
    GetRecords,
    QueryRecords,
    PutRecords,
    DeleteRecords,
    CheckRecords,
    ReadBlobs("projects/*/files/*"),
    WriteBlobs("projects/*/files/*"),
    UploadBlobs("projects/*/files/*"),
    DeleteBlobs("projects/*/files/*"),
];

/// The first admin and the mark that there has been one.
pub(crate) const SETUP: &[Access] = &[GetRecords, PutRecords];

/// The list of signing keys, and the keys.
pub(crate) const KEYS: &[Access] = &[GetRecords, PutRecords, WriteParameters];
