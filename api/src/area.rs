//! Areas: what one function serves.

use std::fmt;
use std::str::FromStr;

use axum::Router;
use cloud::Access;
use function::{App, finish};
use utoipa_axum::router::OpenApiRouter;

use crate::{access, routes};

/// One function of the REST API (variable `AREA`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Area {
    Public,
    Identity,
    Projects,
    Repository,
    /// Large reads of a repository: the gateway hands their answers on as they come.
    Downloads,
    Git,
    Jobs,
    Environments,
    Files,
    /// No routes: invoked by hand.
    Setup,
    /// No routes: invoked by hand.
    Keys,
}

impl Area {
    pub const ALL: [Self; 11] = [
        Self::Public,
        Self::Identity,
        Self::Projects,
        Self::Repository,
        Self::Downloads,
        Self::Git,
        Self::Jobs,
        Self::Environments,
        Self::Files,
        Self::Setup,
        Self::Keys,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Identity => "identity",
            Self::Projects => "projects",
            Self::Repository => "repository",
            Self::Downloads => "downloads",
            Self::Git => "git",
            Self::Jobs => "jobs",
            Self::Environments => "environments",
            Self::Files => "files",
            Self::Setup => "setup",
            Self::Keys => "keys",
        }
    }

    /// What the function of this area may do.
    pub fn access(self) -> &'static [Access] {
        match self {
            Self::Public => &[],
            Self::Identity => access::IDENTITY,
            Self::Projects => access::PROJECTS,
            Self::Repository => access::REPOSITORY,
            Self::Downloads => access::DOWNLOADS,
            Self::Git => access::GIT,
            Self::Jobs => access::JOBS,
            Self::Environments => access::ENVIRONMENTS,
            Self::Files => access::FILES,
            Self::Setup => access::SETUP,
            Self::Keys => access::KEYS,
        }
    }

    pub(crate) fn routes(self) -> OpenApiRouter<App> {
        match self {
            Self::Public => routes::public::routes(),
            Self::Identity => routes::sessions::routes()
                .merge(routes::me::routes())
                .merge(routes::tokens::routes())
                .merge(routes::accounts::routes())
                .merge(routes::sockets::routes()),
            Self::Projects => routes::projects::routes()
                .merge(routes::members::routes())
                .merge(routes::events::routes())
                .merge(routes::presence::routes())
                .merge(routes::admin::routes()),
            Self::Repository => routes::repository::routes()
                .merge(routes::search::routes())
                .merge(routes::lfs_objects::routes())
                .merge(routes::commits::routes())
                .merge(routes::blame::routes())
                .merge(routes::tags::routes())
                .merge(routes::merges::routes())
                .merge(routes::drafts::routes()),
            Self::Downloads => routes::downloads::routes(),
            Self::Git | Self::Setup | Self::Keys => OpenApiRouter::new(),
            Self::Jobs => routes::jobs::routes().merge(routes::admin::job_routes()),
            Self::Environments => routes::environments::routes()
                .merge(routes::functions::routes())
                .merge(routes::diagnostics::routes())
                .merge(routes::targets::routes()),
            Self::Files => routes::files::routes(),
        }
    }
}

/// `AREA` names no area.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownArea(String);

impl fmt::Display for UnknownArea {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known: Vec<&str> = Area::ALL.iter().map(|area| area.as_str()).collect();
        write!(f, "`{}` is not an area: {}", self.0, known.join(", "))
    }
}

impl std::error::Error for UnknownArea {}

impl FromStr for Area {
    type Err = UnknownArea;
    fn from_str(raw: &str) -> Result<Self, UnknownArea> {
        Self::ALL.into_iter().find(|area| area.as_str() == raw).ok_or_else(|| UnknownArea(raw.to_owned()))
    }
}

/// The routes of an area, with everything around them.
pub fn router(area: Area, app: App) -> Router {
    match area {
        Area::Git => git_router(app),
        other => finish(other.routes().into(), app),
    }
}

/// Git over HTTP below `/git/`. It streams: the wide door of one machine serves it without the gateway's limits.
pub fn git_router(app: App) -> Router {
    finish(routes::git::routes().merge(routes::lfs::routes()), app)
}
