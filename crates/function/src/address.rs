//! Where the platform is, as the client that asks has found it.

use http::header::HOST;
use http::request::Parts;
use lambda_http::request::RequestContext;

use crate::Config;

/// The address that routes stand below, without a slash at its end: the public one where it is set; otherwise the host
/// that the request was sent to, with the stage of the gateway. `None` when the request names no host.
pub fn base_address(config: &Config, parts: &Parts) -> Option<String> {
    if let Some(public) = &config.public_url {
        return Some(public.as_str().trim_end_matches('/').to_owned());
    }
    let host = parts.headers.get(HOST)?.to_str().ok()?;
    let host = Some(host).filter(|host| host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.:[]".contains(&b)))?;
    match parts.extensions.get::<RequestContext>() {
        Some(RequestContext::ApiGatewayV1(context)) => {
            // The gateway sets the scheme; the path in its context has the stage or the base path before ours.
            let scheme = parts.headers.get("x-forwarded-proto").and_then(|value| value.to_str().ok());
            let scheme = scheme.filter(|scheme| *scheme == "http").unwrap_or("https");
            let prefix = context.path.as_deref().and_then(|path| path.strip_suffix(parts.uri.path()));
            Some(format!("{scheme}://{host}{}", prefix.unwrap_or_default().trim_end_matches('/')))
        }
        _ => Some(format!("http://{host}")),
    }
}
