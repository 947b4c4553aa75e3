//! STS: who the caller is.

use http::{Response, StatusCode};
use s3s::Body;

use super::ACCOUNT_ID;
use super::dispatch::Call;
use super::reply::{Failure, escape, xml_response};
use crate::access_keys::Scope;

/// Answers the query protocol (`Action=GetCallerIdentity`).
pub(super) fn answer(call: &Call) -> Response<Body> {
    let mut fields = url::form_urlencoded::parse(&call.body);
    let action = fields.find(|(name, _)| name == "Action").map(|(_, action)| action.into_owned());
    match action.as_deref() {
        Some("GetCallerIdentity") => xml_response(StatusCode::OK, &identity(call)),
        other => Failure::unknown_operation(other.unwrap_or_default(), "STS").xml(true),
    }
}

fn identity(call: &Call) -> String {
    let id = escape(&call.key.access_key_id);
    let arn = match &call.key.scope {
        Scope::Platform => format!("arn:aws:iam::{ACCOUNT_ID}:user/workroom"),
        Scope::Stack(name) => format!("arn:aws:sts::{ACCOUNT_ID}:assumed-role/{name}/{id}"),
    };
    format!(
        "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><GetCallerIdentityResult>\
         <Arn>{arn}</Arn><UserId>{id}</UserId><Account>{ACCOUNT_ID}</Account></GetCallerIdentityResult>\
         <ResponseMetadata><RequestId>-</RequestId></ResponseMetadata></GetCallerIdentityResponse>"
    )
}
