#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use sam::{AccountNames, App, Problem, Resolve, Template};

pub fn names() -> AccountNames {
    AccountNames {
        stack: "shop-dev".into(),
        region: "eu-central-1".into(),
        account: "123456789012".into(),
        queue_endpoint: "https://sqs.eu-central-1.amazonaws.com".into(),
        site_host: "dev--shop.localhost".into(),
        site_scheme: "http".into(),
    }
}

pub fn try_app(text: &str, parameters: &[(&str, &str)]) -> Result<App, Vec<Problem>> {
    let parameters: BTreeMap<_, _> = parameters.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    sam::resolve(&Template::parse(text).unwrap(), &Resolve { parameters, names: &names() })
}

#[allow(dead_code)]
pub fn app(text: &str) -> App {
    try_app(text, &[]).unwrap()
}
