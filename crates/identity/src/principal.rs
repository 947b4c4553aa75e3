//! Who is calling, once that is proven.

use std::collections::BTreeMap;

use crate::{AccountId, AuthenticationError, EmailAddress, PersonName, ProjectId, Scopes, SessionId, TokenId};

/// How the caller proved who they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Channel {
    Bearer,
    Basic,
    Cookie,
    Ticket,
}

impl Channel {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bearer => "bearer",
            Self::Basic => "basic",
            Self::Cookie => "cookie",
            Self::Ticket => "ticket",
        }
    }

    fn parse(raw: &str) -> Option<Self> {
        [Self::Bearer, Self::Basic, Self::Cookie, Self::Ticket].into_iter().find(|channel| channel.as_str() == raw)
    }
}

/// A proven caller. Made by `Identity::authenticate` alone, or read back from the authorizer's context.
#[derive(Clone, Debug, PartialEq)]
pub struct Principal {
    pub account: AccountId,
    pub email: EmailAddress,
    pub name: PersonName,
    /// A platform admin.
    pub admin: bool,
    pub channel: Channel,
    pub scopes: Scopes,
    /// The one project that the token is good for.
    pub project: Option<ProjectId>,
    pub session: Option<SessionId>,
    pub token: Option<TokenId>,
}

impl Principal {
    /// The principal as the authorizer's context: flat strings, as API Gateway passes them on.
    pub fn to_context(&self) -> BTreeMap<String, String> {
        let mut context = BTreeMap::from([
            ("account".into(), self.account.to_string()),
            ("email".into(), self.email.to_string()),
            ("name".into(), self.name.to_string()),
            ("admin".into(), self.admin.to_string()),
            ("channel".into(), self.channel.as_str().into()),
            ("scopes".into(), self.scopes.to_string()),
        ]);
        let optional = [
            ("project", self.project.as_ref().map(ProjectId::as_str)),
            ("session", self.session.as_ref().map(SessionId::as_str)),
            ("token", self.token.as_ref().map(TokenId::as_str)),
        ];
        for (key, value) in optional {
            if let Some(value) = value {
                context.insert(key.into(), value.into());
            }
        }
        context
    }

    /// Reads what `to_context` wrote; other keys are left alone (API Gateway adds its own).
    pub fn from_context(context: &BTreeMap<String, String>) -> Result<Self, AuthenticationError> {
        Self::read(context).ok_or(AuthenticationError::Invalid("authorizer context"))
    }

    fn read(context: &BTreeMap<String, String>) -> Option<Self> {
        let get = |key: &str| context.get(key).map(String::as_str);
        let admin = match get("admin")? {
            "true" => true,
            "false" => false,
            _ => return None,
        };
        Some(Self {
            account: AccountId::parse(get("account")?).ok()?,
            email: EmailAddress::parse(get("email")?).ok()?,
            name: PersonName::parse(get("name")?).ok()?,
            admin,
            channel: Channel::parse(get("channel")?)?,
            scopes: Scopes::parse(get("scopes")?).ok()?,
            project: get("project").map(ProjectId::parse).transpose().ok()?,
            session: get("session").map(SessionId::parse).transpose().ok()?,
            token: get("token").map(TokenId::parse).transpose().ok()?,
        })
    }
}
