//! `cargo xtask deploy`: the platform brought to an AWS account.
//!
//! The stack is deployed by the SAM CLI, the files of the two buckets by the AWS CLI: both as their users know them,
//! with whatever credentials they find.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::Value;
use static_files::StaticFile;

use crate::frontend;
use crate::run::{program, root, succeed};
use crate::tools::{python_tool, sam_tool, setup_to_deploy, with_sam_tools};

/// Left by builds and editors in a starter's folder; never part of a project.
const NOT_PART: [&str; 6] = ["node_modules", "__pycache__", ".aws-sam", ".git", "dist", ".pytest_cache"];

/// Starts programs: in the account that their environment names.
pub struct Account {
    start: Box<dyn Fn(OsString) -> Command>,
}

impl Account {
    /// The account of whoever runs this.
    pub fn own() -> Self {
        Self { start: Box::new(program) }
    }

    pub fn through(start: impl Fn(OsString) -> Command + 'static) -> Self {
        Self { start: Box::new(start) }
    }

    pub fn aws(&self) -> Command {
        (self.start)(python_tool("aws"))
    }

    fn sam(&self) -> Command {
        let mut sam = (self.start)(sam_tool("sam"));
        sam.env("SAM_CLI_TELEMETRY", "0");
        sam
    }
}

/// Builds, deploys and publishes: `cargo xtask deploy ENVIRONMENT [OPTION OF SAM DEPLOY...]`.
pub fn deploy(arguments: &[String]) -> Result<()> {
    let Some((environment, more)) = arguments.split_first() else {
        bail!("which environment of samconfig.toml: `cargo xtask deploy dev`");
    };
    setup_to_deploy()?;
    let account = Account::own();
    let build = root().join(".aws-sam/build");
    let mut sam = account.sam();
    sam.args(["build", "--config-env", environment]).arg("--build-dir").arg(&build);
    succeed(with_sam_tools(&mut sam))?;
    deploy_stack(&account, environment, &build.join("template.yaml"), more)?;
    let outputs = outputs(&account, &format!("workroom-{environment}"))?;
    publish(&account, &outputs, &root().join("target/aws"))?;
    println!("The platform answers at {}", output(&outputs, "Url")?);
    println!("The first deploy's first admin: docs/operations.md, \"First deploy\"");
    Ok(())
}

/// Deploys a packaged template with the settings that samconfig.toml has for `environment`; `more` goes to
/// `sam deploy` as it is.
pub fn deploy_stack(account: &Account, environment: &str, template: &Path, more: &[String]) -> Result<()> {
    let mut sam = account.sam();
    sam.arg("deploy").args(["--config-env", environment, "--no-progressbar", "--no-fail-on-empty-changeset"]);
    sam.arg("--config-file").arg(root().join("samconfig.toml")).arg("--template-file").arg(template);
    succeed(sam.args(more))
}

/// The outputs of a deployed stack.
pub fn outputs(account: &Account, stack: &str) -> Result<BTreeMap<String, String>> {
    let answer = json(account.aws().args(["cloudformation", "describe-stacks", "--stack-name", stack]))?;
    let all = answer["Stacks"][0]["Outputs"].as_array().cloned().unwrap_or_default();
    let one =
        |output: &Value| Some((output["OutputKey"].as_str()?.to_owned(), output["OutputValue"].as_str()?.to_owned()));
    Ok(all.iter().filter_map(one).collect())
}

/// One output; an error names it when the stack has none of that name.
pub fn output<'o>(outputs: &'o BTreeMap<String, String>, name: &str) -> Result<&'o str> {
    outputs.get(name).map(String::as_str).with_context(|| format!("the stack has no output `{name}`"))
}

/// Brings the starters into the data bucket and the front end's files into the static bucket. What was in the
/// static bucket stays: a page that is open still asks for the files it was made with.
pub fn publish(account: &Account, outputs: &BTreeMap<String, String>, scratch: &Path) -> Result<()> {
    let starters = format!("s3://{}/starters/", output(outputs, "DataBucketName")?);
    let mut sync = account.aws();
    sync.args(["s3", "sync", "--delete", "--only-show-errors"]).arg(root().join("starters")).arg(starters);
    for name in NOT_PART {
        sync.arg("--exclude").arg(format!("*/{name}/*"));
    }
    succeed(&mut sync)?;

    let bucket = format!("s3://{}/", output(outputs, "StaticBucketName")?);
    frontend::build()?;
    let folder = frontend::dist();
    let files = static_files::collect(&folder).with_context(|| format!("reading {}", folder.display()))?;
    for ((content_type, encoding, cache_control), files) in alike(files) {
        let staged = stage(&files, scratch)?;
        let mut copy = account.aws();
        copy.args(["s3", "cp", "--recursive", "--only-show-errors"]).arg(staged).arg(&bucket);
        copy.args(["--content-type", &content_type, "--cache-control", cache_control]);
        if let Some(encoding) = encoding {
            copy.args(["--content-encoding", encoding]);
        }
        succeed(&mut copy)?;
    }
    Ok(())
}

/// What files with the same headers share. The order is that of the upload: what never changes comes first, so that
/// a page is there after what it asks for.
type Headers = (String, Option<&'static str>, &'static str);

fn alike(files: Vec<StaticFile>) -> Vec<(Headers, Vec<StaticFile>)> {
    let mut groups: BTreeMap<(bool, Headers), Vec<StaticFile>> = BTreeMap::new();
    for file in files {
        let headers = (file.content_type.clone(), file.encoding, file.cache_control);
        groups.entry((file.cache_control == "no-cache", headers)).or_default().push(file);
    }
    groups.into_iter().map(|((_, headers), files)| (headers, files)).collect()
}

/// A folder that has these files under their keys.
fn stage(files: &[StaticFile], scratch: &Path) -> Result<std::path::PathBuf> {
    let staged = scratch.join("static");
    let _ = std::fs::remove_dir_all(&staged);
    for file in files {
        let to = staged.join(&file.key);
        std::fs::create_dir_all(to.parent().context("a file in a folder")?)?;
        std::fs::copy(&file.file, &to).with_context(|| format!("copying {}", file.file.display()))?;
    }
    Ok(staged)
}

/// What a program prints, as JSON.
pub fn json(command: &mut Command) -> Result<Value> {
    let output = command.args(["--output", "json"]).stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        bail!("{:?} {:?} ended with {}", command.get_program(), command.get_args(), output.status);
    }
    serde_json::from_slice(&output.stdout).context("what the AWS CLI printed is no JSON")
}
