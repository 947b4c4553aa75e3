//! What this engine makes of the resolved model: routes that it does not open, and parts that it leaves out.
//!
//! What no engine but AWS honours is noted by the resolver (`App::unsupported`); here is only what the model holds and
//! this engine does not do.

use cloud::UnsupportedItem;
use sam::{ApiKind, App, AuthorizerKind, Target, Trigger};

/// Routes that would be open to callers whom the template keeps out; each a reason against the deploy.
pub fn unsafe_routes(app: &App) -> Vec<String> {
    let mut problems = Vec::new();
    for (id, api) in &app.apis {
        for route in &api.routes {
            let at = format!("{id} {} {}", route.method, route.path);
            if route.api_key_required {
                problems.push(format!("{at}: API keys are not checked here, so the route is not opened"));
            }
            let Some(name) = &route.authorizer else { continue };
            match api.authorizers.get(name).map(|authorizer| &authorizer.kind) {
                Some(AuthorizerKind::Request | AuthorizerKind::Token) => {}
                Some(kind) => problems.push(format!(
                    "{at}: an authorizer of the kind {} is not checked here, so the route is not opened",
                    authorizer_name(kind)
                )),
                None => problems.push(format!("{at}: there is no authorizer `{name}`")),
            }
        }
    }
    problems
}

fn authorizer_name(kind: &AuthorizerKind) -> &'static str {
    match kind {
        AuthorizerKind::Jwt { .. } => "JWT",
        AuthorizerKind::Cognito { .. } => "Cognito user pool",
        AuthorizerKind::Iam => "IAM",
        AuthorizerKind::Request | AuthorizerKind::Token => "Lambda",
    }
}

/// What the system runs without.
pub fn left_out(app: &App) -> Vec<UnsupportedItem> {
    routes(app).chain(timezones(app)).collect()
}

fn item(app: &App, resource: &str, kind: &str, property: String, reason: impl Into<String>) -> UnsupportedItem {
    UnsupportedItem {
        resource: resource.to_owned(),
        kind: app.kinds.get(resource).map_or(kind, String::as_str).to_owned(),
        property: (!property.is_empty()).then_some(property),
        reason: reason.into(),
    }
}

fn routes(app: &App) -> impl Iterator<Item = UnsupportedItem> {
    app.apis.iter().flat_map(move |(id, api)| {
        let socket = (api.kind == ApiKind::WebSocket).then(|| {
            item(app, id, "AWS::Serverless::WebSocketApi", String::new(), "WebSocket APIs of apps are not served here")
        });
        let routes = api.routes.iter().filter(|_| api.kind != ApiKind::WebSocket).filter_map(move |route| {
            let reason = match &route.target {
                Target::S3(_) => "integrations with S3 are not run for apps: the route answers 500",
                Target::Http { .. } => "integrations with HTTP addresses are not run: the route answers 500",
                Target::Function { streamed: true, .. } => {
                    "answers are not streamed here: a handler that streams its answer gets 502"
                }
                Target::Function { .. } | Target::Mock(_) => return None,
            };
            Some(item(app, id, "AWS::Serverless::Api", format!("{} {}", route.method, route.path), reason))
        });
        socket.into_iter().chain(routes)
    })
}

fn timezones(app: &App) -> impl Iterator<Item = UnsupportedItem> {
    app.functions.iter().flat_map(move |(id, function)| {
        function.events.iter().filter_map(move |event| match &event.trigger {
            Trigger::Schedule { timezone: Some(zone), .. } if !zone.eq_ignore_ascii_case("utc") => {
                let reason = format!("`{zone}` is not known here: the schedule runs in UTC");
                let property = format!("Events.{}.ScheduleExpressionTimezone", event.name);
                Some(item(app, id, "AWS::Serverless::Function", property, reason))
            }
            _ => None,
        })
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use sam::{AccountNames, Resolve, Template};

    use super::*;

    fn app(resources: &str) -> App {
        let template = format!("Transform: AWS::Serverless-2016-10-31\nResources: {resources}");
        let template = Template::parse(&template).unwrap();
        let names = AccountNames {
            stack: "shop--dev".into(),
            region: "us-east-1".into(),
            account: "000000000000".into(),
            queue_endpoint: "http://127.0.0.1:4001".into(),
            site_host: "dev--shop.localhost:4000".into(),
            site_scheme: "http".into(),
        };
        sam::resolve(&template, &Resolve { parameters: BTreeMap::new(), names: &names }).unwrap()
    }

    #[test]
    fn a_websocket_api_and_a_time_zone_are_listed() {
        let app = app("{Chat: {Type: AWS::ApiGatewayV2::Api, Properties: {Name: chat, ProtocolType: WEBSOCKET, \
               RouteSelectionExpression: $request.body.action}}, \
              Daily: {Type: AWS::Serverless::Function, Properties: {Handler: a.b, Runtime: python3.12, CodeUri: x, Events: \
               {At: {Type: ScheduleV2, Properties: {ScheduleExpression: rate(1 day), ScheduleExpressionTimezone: Europe/Rome}}}}}}");
        let listed = left_out(&app);
        let resources: Vec<_> = listed.iter().map(|item| (item.resource.as_str(), item.property.as_deref())).collect();
        assert_eq!(resources, [("Chat", None), ("Daily", Some("Events.At.ScheduleExpressionTimezone"))]);
    }

    #[test]
    fn a_route_behind_an_authorizer_that_is_not_checked_is_not_opened() {
        let app = app(
            "{Api: {Type: AWS::Serverless::Api, Properties: {StageName: dev, Auth: {DefaultAuthorizer: Pool, Authorizers: \
               {Pool: {UserPoolArn: 'arn:aws:cognito-idp:us-east-1:000000000000:userpool/p'}}}}}, \
              F: {Type: AWS::Serverless::Function, Properties: {Handler: a.b, Runtime: python3.12, CodeUri: x, Events: \
               {Get: {Type: Api, Properties: {RestApiId: !Ref Api, Path: /, Method: GET}}}}}}",
        );
        let problems = unsafe_routes(&app);
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(problems[0].contains("Cognito user pool"), "{problems:?}");
    }
}
