//! Calls of a user's function, by the API and by its site, cold and warm.

use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use crate::project::Project;
use crate::samples::Samples;
use crate::table::{Table, milliseconds};

const COLD: usize = 5;
const WARM: usize = 100;

pub fn measure(table: &mut Table) -> Result<()> {
    let python = program("python3", &["-c", "import sys; print(sys.executable)"])?;
    let node = program("node", &["-p", "process.execPath"])?;
    language(table, "Python", "python", "app.py", "#", (&python, &["-c", "import json"]))?;
    language(table, "Node", "node", "app.mjs", "//", (&node, &["-e", "0"]))
}

fn language(
    table: &mut Table,
    name: &str,
    starter: &str,
    file: &str,
    comment: &str,
    alone: (&str, &[&str]),
) -> Result<()> {
    let project = Project::start("calls", starter)?;
    let path = format!("functions/greet/{file}");
    let source = project.client.text("GET", &project.path(&format!("/file?ref=main&path={path}")), None, None)?;
    let (mut cold, mut warm, mut site, mut interpreter) = <(Samples, Samples, Samples, Samples)>::default();
    let (mut inits, mut durations) = (Vec::new(), Vec::new());
    let mut head = project.head()?;
    for count in 0..COLD {
        // Another version: what ran before does not serve it.
        head = project.commit(&head, &path, &format!("{source}\n{comment} {count}\n"))?;
        let job = project.release()?;
        project.finish(&job)?;
        let answer = cold.time(|| invoke(&project))?;
        inits.push(figure(&answer, "init_duration_ms").context("a first call that is not cold")?);
        interpreter.time(|| {
            ensure!(Command::new(alone.0).args(alone.1).status()?.success(), "{} failed", alone.0);
            Ok(())
        })?;
    }
    for _ in 0..WARM {
        let answer = warm.time(|| invoke(&project))?;
        ensure!(figure(&answer, "init_duration_ms").is_none(), "a later call was cold");
        durations.push(figure(&answer, "duration_ms").context("no REPORT")?);
    }
    let host = format!("dev--{}.localhost", project.slug);
    let visitor = project.platform.client();
    for _ in 0..WARM {
        site.time(|| visitor.text("GET", "/api/greeting?name=Ada", Some(&host), None))?;
    }
    let [init, duration] = [inits, durations].map(|mut all| {
        all.sort_by(f64::total_cmp);
        milliseconds(all[all.len() / 2] / 1000.0)
    });
    table.compare(
        &format!("cold invoke, {name} (REPORT: init {init})"),
        &cold,
        Some(("the interpreter alone", &interpreter)),
    );
    table.compare(&format!("warm invoke, {name} (REPORT: {duration})"), &warm, Some(("cold", &cold)));
    table.compare(&format!("warm request to the site, {name}"), &site, Some(("cold", &cold)));
    Ok(())
}

fn invoke(project: &Project) -> Result<Value> {
    let path = project.path("/environments/dev/functions/GreetFunction/invocations");
    let answer = project.client.post(&path, &json!({"event_path": "events/greet.json"}))?;
    ensure!(answer["function_error"].is_null(), "{answer:#}");
    Ok(answer)
}

fn figure(answer: &Value, name: &str) -> Option<f64> {
    answer["report"][name].as_f64()
}

/// Where a program really is, past version switchers.
fn program(name: &str, arguments: &[&str]) -> Result<String> {
    let output = Command::new(name).args(arguments).output().with_context(|| format!("starting {name}"))?;
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}
