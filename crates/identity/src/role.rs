//! Roles, permissions, scopes, and the one decision.

use std::collections::BTreeSet;
use std::fmt;

use crate::{Denied, Error, Principal, ProjectId, Result};

/// What a person is in a project. Each role may do what the roles after it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    Owner,
    Maintainer,
    Developer,
    Viewer,
}

impl Role {
    pub fn parse(raw: &str) -> Result<Self> {
        match raw {
            "owner" => Ok(Self::Owner),
            "maintainer" => Ok(Self::Maintainer),
            "developer" => Ok(Self::Developer),
            "viewer" => Ok(Self::Viewer),
            _ => Err(Error::invalid("role", "is owner, maintainer, developer or viewer")),
        }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Maintainer => "maintainer",
            Self::Developer => "developer",
            Self::Viewer => "viewer",
        }
    }

    /// The permissions of this role.
    pub fn allows(self, permission: Permission) -> bool {
        // `Owner` is the least value: a role allows what needs it or a lesser one.
        self <= permission.least_role()
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One thing that can be done in a project.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Permission {
    /// See the project, its code, jobs, releases and events.
    ReadProject,
    /// Read the logs of functions and jobs.
    ReadLogs,
    /// Download files from the files area and artifacts.
    ReadFiles,
    /// Write drafts, commits and unprotected branches.
    WriteCode,
    /// Move a protected branch.
    WriteProtected,
    /// Start and cancel builds.
    Build,
    /// Deploy to and remove an unprotected environment.
    Deploy,
    /// Deploy to and remove a protected environment (prod).
    DeployProtected,
    /// Call a function, and get keys for the services of an environment.
    Invoke,
    /// Upload and delete files in the files area.
    ManageFiles,
    /// Read the names of secrets and set their values.
    ManageSecrets,
    /// Add, change and remove members.
    ManageMembers,
    /// Rename and change settings.
    ManageProject,
    DeleteProject,
}

impl Permission {
    /// Every permission, for tables and tests.
    pub const ALL: [Self; 14] = [
        Self::ReadProject,
        Self::ReadLogs,
        Self::ReadFiles,
        Self::WriteCode,
        Self::WriteProtected,
        Self::Build,
        Self::Deploy,
        Self::DeployProtected,
        Self::Invoke,
        Self::ManageFiles,
        Self::ManageSecrets,
        Self::ManageMembers,
        Self::ManageProject,
        Self::DeleteProject,
    ];

    /// The role that one needs at least.
    fn least_role(self) -> Role {
        match self {
            Self::ReadProject | Self::ReadLogs | Self::ReadFiles => Role::Viewer,
            Self::WriteCode | Self::Build | Self::Deploy | Self::Invoke | Self::ManageFiles => Role::Developer,
            Self::WriteProtected
            | Self::DeployProtected
            | Self::ManageSecrets
            | Self::ManageMembers
            | Self::ManageProject => Role::Maintainer,
            Self::DeleteProject => Role::Owner,
        }
    }

    /// The scope that a personal token must carry.
    fn scope(self) -> Scope {
        match self {
            Self::ReadProject | Self::ReadLogs | Self::ReadFiles => Scope::Read,
            Self::WriteCode | Self::WriteProtected | Self::ManageFiles => Scope::Write,
            Self::Build | Self::Deploy | Self::DeployProtected | Self::Invoke => Scope::Deploy,
            Self::ManageSecrets | Self::ManageMembers | Self::ManageProject | Self::DeleteProject => Scope::Admin,
        }
    }

    /// What a platform admin may do in a project without being a member: run the house, not read its code.
    fn belongs_to_admins(self) -> bool {
        matches!(self, Self::ManageMembers | Self::ManageProject | Self::DeleteProject)
    }
}

/// What a personal token may be used for. Scopes only ever narrow what the person may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Read code, logs, jobs and files; clone.
    Read,
    /// Push, commit, upload.
    Write,
    /// Build, deploy, invoke.
    Deploy,
    /// Members, settings and new projects.
    Admin,
}

impl Scope {
    pub const ALL: [Self; 4] = [Self::Read, Self::Write, Self::Deploy, Self::Admin];

    pub fn parse(raw: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|scope| scope.as_str() == raw)
            .ok_or_else(|| Error::invalid("scope", "is read, write, deploy or admin"))
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Deploy => "deploy",
            Self::Admin => "admin",
        }
    }
}

/// A set of scopes.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct Scopes(BTreeSet<Scope>);

impl Scopes {
    /// What a signed-in person has.
    pub fn all() -> Self {
        Self(Scope::ALL.into_iter().collect())
    }

    pub fn contains(&self, scope: Scope) -> bool {
        self.0.contains(&scope)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = Scope> + '_ {
        self.0.iter().copied()
    }

    /// Reads scopes divided by single spaces (RFC 6749, section 3.3).
    pub fn parse(raw: &str) -> Result<Self> {
        raw.split(' ').filter(|part| !part.is_empty()).map(Scope::parse).collect()
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        Self(scopes.into_iter().collect())
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.iter().map(Scope::as_str).collect();
        f.write_str(&names.join(" "))
    }
}

/// Whether `principal`, who is `role` in `project`, may do `permission` there. The one decision of the platform.
///
/// `Denied::NotFound` when they may not know of the project (not a member, or a token for another project);
/// `Denied::Forbidden` when they may, and role or scope do not suffice.
pub fn decide(
    principal: &Principal,
    project: &ProjectId,
    role: Option<Role>,
    permission: Permission,
) -> Result<(), Denied> {
    if principal.project.as_ref().is_some_and(|bound| bound != project) {
        return Err(Denied::NotFound);
    }
    let admin = principal.admin && permission.belongs_to_admins();
    let allowed = match role {
        Some(role) => role.allows(permission) || admin,
        None if admin => true,
        None => return Err(Denied::NotFound),
    };
    if allowed && principal.scopes.contains(permission.scope()) { Ok(()) } else { Err(Denied::Forbidden) }
}

impl Principal {
    /// For what only platform admins may do (accounts, settings).
    pub fn require_admin(&self) -> Result<(), Denied> {
        self.require_platform()?;
        if self.admin { Ok(()) } else { Err(Denied::Forbidden) }
    }

    /// For what is outside any project (new projects): a token needs the scope `admin` and no project of its own.
    pub fn require_platform(&self) -> Result<(), Denied> {
        let open = self.project.is_none() && self.scopes.contains(Scope::Admin);
        if open { Ok(()) } else { Err(Denied::Forbidden) }
    }

    /// For what only a signed-in person may do, never a token: make tokens, change the password.
    pub fn require_session(&self) -> Result<(), Denied> {
        if self.session.is_some() && self.token.is_none() { Ok(()) } else { Err(Denied::Forbidden) }
    }
}
