//! A request's path as its route is written.

use lambda_http::request::RequestContext;
use lambda_http::{Request, RequestExt};

/// The request with the path that routes are written for. `lambda_http` puts the stage before it. Behind a domain with
/// a base path mapping, the event's own path begins with the base path, and with the stage too where the mapping names
/// none; the resource that the gateway chose tells where the route begins.
pub fn as_routed(mut request: Request) -> Request {
    let raw = request.raw_http_path().to_owned();
    let path = match request.request_context_ref() {
        Some(RequestContext::ApiGatewayV1(context)) => context.resource_path.as_deref().and_then(|resource| {
            let greedy = resource.strip_suffix("+}").and_then(|start| start.rsplit('{').next());
            let rest = greedy.and_then(|name| request.path_parameters_ref()?.first(name));
            without_base(&raw, resource, rest)
        }),
        _ => None,
    };
    let path = path.unwrap_or(raw);
    let target = request.uri().query().map_or_else(|| path.clone(), |query| format!("{path}?{query}"));
    if let Ok(uri) = target.parse() {
        *request.uri_mut() = uri;
    }
    request
}

/// What of `path` belongs to `resource` (`/projects/{project}`); `rest` is what its `{proxy+}` stands for. `None` when
/// the path is not one of the resource's.
fn without_base(path: &str, resource: &str, rest: Option<&str>) -> Option<String> {
    if resource == "/" {
        return Some("/".to_owned());
    }
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    let wanted: Vec<&str> = resource.trim_matches('/').split('/').collect();
    let count = match rest {
        Some(rest) => wanted.len() - 1 + rest.trim_matches('/').split('/').count(),
        None => wanted.len(),
    };
    let own = parts.get(parts.len().checked_sub(count)?..)?;
    let fits = own.iter().zip(&wanted).all(|(part, wanted)| wanted.starts_with('{') || part == wanted);
    let slash = if path.ends_with('/') { "/" } else { "" };
    fits.then(|| format!("/{}{slash}", own.join("/")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_before_the_route_is_taken_off() {
        for (path, resource, rest, routed) in [
            ("/health", "/health", None, "/health"),
            ("/room/health", "/health", None, "/health"),
            ("/room/dev/health/", "/health", None, "/health/"),
            ("/room", "/", None, "/"),
            ("/a/b/projects/p%2Fq/file", "/projects/{project}/file", None, "/projects/p%2Fq/file"),
            ("/projects/projects", "/projects", None, "/projects"),
            ("/projects/projects", "/projects/{project}", None, "/projects/projects"),
            ("/git/git/p.git/info/refs", "/git/{proxy+}", Some("p.git/info/refs"), "/git/p.git/info/refs"),
            ("/git/p.git/info/refs", "/git/{proxy+}", Some("p.git/info/refs"), "/git/p.git/info/refs"),
        ] {
            assert_eq!(without_base(path, resource, rest).as_deref(), Some(routed), "{path}");
        }
        for (path, resource, rest) in [("/me", "/health", None), ("/", "/a/b", None), ("/x", "/git/{p+}", Some("a/b"))]
        {
            assert_eq!(without_base(path, resource, rest), None, "{path}");
        }
    }
}
