//! What CloudFormation's names for a stack's state mean to us ("Stack status codes", AWS CloudFormation User Guide).

use cloud::StackStatus;

/// What can be done with a stack now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// There is a version that serves, and it can be updated.
    Serves,
    /// A change set was made for a stack that does not exist yet.
    InReview,
    /// Something changes it.
    Changing,
    /// A first deploy failed: it must be deleted before it can be made again.
    Dead,
    /// A rollback failed: somebody has to look after it.
    Stuck,
    /// Gone.
    Deleted,
}

pub fn standing(status: &str) -> Standing {
    match status {
        "CREATE_COMPLETE"
        | "UPDATE_COMPLETE"
        | "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS"
        | "UPDATE_ROLLBACK_COMPLETE"
        | "IMPORT_COMPLETE"
        | "IMPORT_ROLLBACK_COMPLETE" => Standing::Serves,
        "REVIEW_IN_PROGRESS" => Standing::InReview,
        "CREATE_FAILED" | "ROLLBACK_COMPLETE" | "ROLLBACK_FAILED" | "DELETE_FAILED" => Standing::Dead,
        "UPDATE_ROLLBACK_FAILED" | "UPDATE_FAILED" | "IMPORT_ROLLBACK_FAILED" => Standing::Stuck,
        "DELETE_COMPLETE" => Standing::Deleted,
        _ => Standing::Changing,
    }
}

/// Whether CloudFormation is at the stack, and takes no other change.
pub fn is_changing(status: &str) -> bool {
    status.ends_with("_IN_PROGRESS") && standing(status) != Standing::InReview
}

/// Whether a deploy that ended so did what it was asked to.
pub fn is_success(status: &str) -> bool {
    matches!(status, "CREATE_COMPLETE" | "UPDATE_COMPLETE" | "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS")
}

pub fn seen_from_outside(status: &str) -> StackStatus {
    match standing(status) {
        Standing::Serves => StackStatus::Ready,
        Standing::Changing if status.starts_with("DELETE") => StackStatus::Deleting,
        Standing::Changing | Standing::InReview => StackStatus::InProgress,
        Standing::Dead | Standing::Stuck | Standing::Deleted => StackStatus::Failed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rolled_back_update_serves_and_is_no_success() {
        assert_eq!(standing("UPDATE_ROLLBACK_COMPLETE"), Standing::Serves);
        assert!(!is_success("UPDATE_ROLLBACK_COMPLETE"));
        assert_eq!(standing("ROLLBACK_COMPLETE"), Standing::Dead);
        assert_eq!(standing("UPDATE_ROLLBACK_IN_PROGRESS"), Standing::Changing);
        assert_eq!(standing("UPDATE_ROLLBACK_FAILED"), Standing::Stuck);
        assert_eq!(seen_from_outside("DELETE_IN_PROGRESS"), StackStatus::Deleting);
        assert_eq!(seen_from_outside("DELETE_FAILED"), StackStatus::Failed);
    }
}
