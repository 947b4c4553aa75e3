//! What routes of several resources share on the wire.

use std::collections::BTreeMap;

use function::ProblemView;
use serde::{Deserialize, Serialize};
use utoipa::openapi::{ContentBuilder, Ref, RefOr, Response, ResponseBuilder};
use utoipa::{IntoParams, IntoResponses, ToSchema};

/// Every refusal of a route that needs a caller.
pub struct Refusals;

impl IntoResponses for Refusals {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let texts = [
            ("400", "The request cannot be read."),
            ("401", "No credential, or one that is not good."),
            ("403", "Your role or token does not allow it, or a quota is reached."),
            ("404", "It does not exist, or you may not see it."),
            ("409", "Its state does not allow it."),
            ("422", "A value is not acceptable."),
            ("default", "Any other problem."),
        ];
        texts.into_iter().map(|(status, text)| (status.to_owned(), RefOr::T(problem(text)))).collect()
    }
}

fn problem(text: &str) -> Response {
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name(ProblemView::name()))).build();
    ResponseBuilder::new().description(text).content("application/problem+json", content).build()
}

/// `{project}`.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub struct ProjectPath {
    /// The project's slug or id.
    pub project: String,
}

/// A URL that carries its own permission.
#[derive(Serialize, ToSchema)]
pub struct PresignedView {
    pub method: String,
    pub url: String,
    /// Send these along, exactly.
    pub headers: BTreeMap<String, String>,
    /// When the URL stops working.
    pub expires: i64,
}

impl From<cloud::Presigned> for PresignedView {
    fn from(presigned: cloud::Presigned) -> Self {
        Self {
            method: presigned.method,
            url: presigned.url,
            headers: presigned.headers.into_iter().collect(),
            expires: presigned.expires.0,
        }
    }
}

/// A part of the template that is not honoured.
#[derive(Serialize, ToSchema)]
pub struct UnsupportedView {
    /// The logical id.
    pub resource: String,
    /// The resource type.
    #[serde(rename = "type")]
    pub kind: String,
    /// The property; the whole resource when absent.
    pub property: Option<String>,
    pub reason: String,
}

impl From<cloud::UnsupportedItem> for UnsupportedView {
    fn from(item: cloud::UnsupportedItem) -> Self {
        Self { resource: item.resource, kind: item.kind, property: item.property, reason: item.reason }
    }
}
