//! The API document, made from the routes.

use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{ComponentsBuilder, InfoBuilder, OpenApi, OpenApiBuilder, SecurityRequirement};

use crate::Area;
use function::ProblemView;

/// The OpenAPI 3.1 document of every route but those for Git clients.
pub fn openapi() -> OpenApi {
    let info = InfoBuilder::new()
        .title("Workroom")
        .version("1")
        .description(Some(
            "Times are milliseconds since 1970-01-01T00:00:00Z. Lists come in pages: pass `next` as `cursor`. \
             Errors are `application/problem+json` with a stable `code`. What you may not see is 404. A POST takes an \
             `Idempotency-Key`; what can change has an `ETag` and takes `If-Match`. Git clients use \
             `/git/{project}.git` with a personal access token as the password.",
        ))
        .build();
    let none: [&str; 0] = [];
    let mut document = OpenApiBuilder::new()
        .info(info)
        .components(Some(ComponentsBuilder::new().schema_from::<ProblemView>().build()))
        .security(Some([
            SecurityRequirement::new("bearer", none),
            SecurityRequirement::new("basic", none),
            SecurityRequirement::new("cookie", none),
        ]))
        .build();
    for area in Area::ALL {
        document.merge(area.routes().into_openapi());
    }
    if let Some(components) = &mut document.components {
        let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
        let basic = HttpBuilder::new().scheme(HttpAuthScheme::Basic).build();
        let cookie = ApiKey::Cookie(ApiKeyValue::new(identity::SESSION_COOKIE));
        components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
        components.add_security_scheme("basic", SecurityScheme::Http(basic));
        components.add_security_scheme("cookie", SecurityScheme::ApiKey(cookie));
    }
    document
}
