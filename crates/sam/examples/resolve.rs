//! Prints a resolved template: `cargo run -p sam --example resolve -- template.yaml Environment=dev`.

use std::collections::BTreeMap;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().ok_or("a template's path is needed")?;
    let parameters: BTreeMap<String, String> =
        arguments.filter_map(|pair| pair.split_once('=').map(|(name, value)| (name.into(), value.into()))).collect();
    let names = sam::AccountNames {
        stack: "app-dev".into(),
        region: "eu-central-1".into(),
        account: "123456789012".into(),
        queue_endpoint: "https://sqs.eu-central-1.amazonaws.com".into(),
        site_host: "dev--app.localhost".into(),
        site_scheme: "http".into(),
    };
    let template = sam::Template::parse(&std::fs::read_to_string(path)?)?;
    match sam::resolve(&template, &sam::Resolve { parameters, names: &names }) {
        Ok(app) => println!("{}", serde_json::to_string_pretty(&app)?),
        Err(problems) => {
            for problem in problems {
                eprintln!("{problem}");
            }
            std::process::exit(1);
        }
    }
    Ok(())
}
