//! Who may change whose membership.

use crate::{Denied, Permission, Principal, ProjectId, Result, Role, decide};

/// Whether `principal` may change a member from `current` to `wanted` (`None`: not a member).
///
/// Maintainers manage maintainers and below; only an owner or a platform admin makes or unmakes an owner. Anyone
/// may leave. That the last owner stays is checked where it is written.
pub fn decide_membership(
    principal: &Principal,
    project: &ProjectId,
    role: Option<Role>,
    own: bool,
    current: Option<Role>,
    wanted: Option<Role>,
) -> Result<(), Denied> {
    if own && current.is_some() && wanted.is_none() {
        return decide(principal, project, role, Permission::ReadProject);
    }
    decide(principal, project, role, Permission::ManageMembers)?;
    let touches_owner = current == Some(Role::Owner) || wanted == Some(Role::Owner);
    if touches_owner && role != Some(Role::Owner) && !principal.admin {
        return Err(Denied::Forbidden);
    }
    Ok(())
}
