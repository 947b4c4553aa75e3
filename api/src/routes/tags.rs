//! Tags.

use axum::extract::State;
use domain::TagFor;
use function::{App, Caller, Created, Json, NoContent, PageParams, PageView, Path, Problem, Query};
use git_store::Tag;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::commits::SignatureView;
use crate::wire::{ProjectPath, Refusals};

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list_tags, create_tag)).routes(routes!(delete_tag))
}

#[derive(Serialize, ToSchema)]
struct TagView {
    name: String,
    /// What it points at in the end: 40 hex digits.
    commit: String,
    /// Of an annotated tag.
    message: Option<String>,
    tagger: Option<SignatureView>,
}

impl From<Tag> for TagView {
    fn from(tag: Tag) -> Self {
        let tagger = tag.tagger.map(SignatureView::from);
        Self { name: tag.name, commit: tag.target.to_string(), message: tag.message, tagger }
    }
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct CreateTag {
    name: String,
    /// The branch, tag or commit that is tagged; the default branch when absent.
    target: Option<String>,
    /// Makes it an annotated tag.
    message: Option<String>,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
struct TagPath {
    /// The project's slug or id.
    project: String,
    /// The tag's name, with `/` as `%2F`.
    tag: String,
}

/// Lists the tags by name.
#[utoipa::path(get, path = "/projects/{project}/tags", operation_id = "list_tags", tag = "repository",
    params(ProjectPath, PageParams), responses((status = 200, body = PageView<TagView>), Refusals))]
async fn list_tags(
    State(app): State<App>,
    caller: Caller,
    Path(at): Path<ProjectPath>,
    Query(page): Query<PageParams>,
) -> Result<Json<PageView<TagView>>, Problem> {
    let page = app.domain.repository.tags(&caller, &at.project, &page.query()?).await?;
    Ok(Json(PageView::of(page, TagView::from)))
}

/// Makes a tag.
#[utoipa::path(post, path = "/projects/{project}/tags", operation_id = "create_tag", tag = "repository",
    params(ProjectPath), request_body = CreateTag, responses((status = 201, body = TagView), Refusals))]
async fn create_tag(
    State(app): State<App>,
    caller: Caller,
    Path(at): Path<ProjectPath>,
    Json(body): Json<CreateTag>,
) -> Result<Created<TagView>, Problem> {
    let target = body.target.unwrap_or_else(|| "HEAD".into());
    let new = TagFor { name: body.name, target, message: body.message };
    let tag = app.domain.repository.create_tag(&caller, &at.project, new).await?;
    let location = format!("/projects/{}/tags", at.project);
    Ok(Created { location, etag: None, body: tag.into() })
}

/// Removes a tag.
#[utoipa::path(delete, path = "/projects/{project}/tags/{tag}", operation_id = "delete_tag", tag = "repository",
    params(TagPath), responses((status = 204, description = "Removed."), Refusals))]
async fn delete_tag(State(app): State<App>, caller: Caller, Path(at): Path<TagPath>) -> Result<NoContent, Problem> {
    let tag = at.tag.replace("%2F", "/").replace("%2f", "/");
    app.domain.repository.delete_tag(&caller, &at.project, &tag).await?;
    Ok(NoContent)
}
