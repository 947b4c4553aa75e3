//! Functions and layers: one builder a runtime family, or the one that `BuildMethod` names.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use sam::{BuildMetadata, Code};
use sandbox::Mount;

use super::node::{Manifest, Purpose};
use super::program::Program;
use super::{
    BuildError, Builder, Built, Output, Package, PackageKind, PlannedFunction, PlannedLayer, Request, Target, copy,
    package,
};

impl Builder {
    pub(super) async fn build_functions(
        &self,
        request: &Request<'_>,
        output: &Output,
        built: &mut Built,
    ) -> Result<(), BuildError> {
        // Functions of one folder that differ in nothing that a builder sees share their package.
        let mut same: BTreeMap<String, Package> = BTreeMap::new();
        for function in &request.plan.functions {
            output.check()?;
            let likeness = likeness(function);
            let package = match likeness.as_ref().and_then(|likeness| same.get(likeness)) {
                Some(package) => Package { name: function.logical_id.clone(), ..package.clone() },
                None => {
                    output.line(format!("Building {} ({})", function.logical_id, function.runtime)).await;
                    self.build_function(request, function, output).await?
                }
            };
            built.notes.extend(self.note(function));
            same.extend(likeness.map(|likeness| (likeness, package.clone())));
            built.packages.push(package);
        }
        Ok(())
    }

    async fn build_function(
        &self,
        request: &Request<'_>,
        function: &PlannedFunction,
        output: &Output,
    ) -> Result<Package, BuildError> {
        let id = function.logical_id.as_str();
        let target = request.scratch.join(format!("{id}.out"));
        make(&target)?;
        let path = match &function.code {
            Code::Inline(text) => {
                let name = if function.runtime.starts_with("nodejs") { "index.js" } else { "index.py" };
                std::fs::write(target.join(name), text).map_err(BuildError::io("writing inline code"))?;
                return package::pack(id, PackageKind::Function, target, request.scratch).await;
            }
            Code::Path(path) => path,
        };
        let source = copy::find(request.root, request.base, path)?;
        if source.is_file() {
            return package::take(id, PackageKind::Function, source).await;
        }
        let method = function.build.method.as_deref();
        let wanted = method.unwrap_or(&function.runtime);
        let architecture = &function.architecture;
        let what = Folder { id, source: &source, target: &target, wanted, architecture, metadata: &function.build };
        self.build_folder(request, &what, output).await?;
        if function.runtime.starts_with("provided") && !target.join("bootstrap").exists() {
            return Err(BuildError::failed(format!(
                "{id}: a function of the runtime {} has a file `bootstrap`; build it with `Metadata: {{BuildMethod: makefile}}`",
                function.runtime
            )));
        }
        package::pack(id, PackageKind::Function, target, request.scratch).await
    }

    pub(super) async fn build_layers(
        &self,
        request: &Request<'_>,
        output: &Output,
        built: &mut Built,
    ) -> Result<(), BuildError> {
        for layer in &request.plan.layers {
            output.check()?;
            output.line(format!("Building the layer {}", layer.logical_id)).await;
            built.packages.push(self.build_layer(request, layer, output).await?);
        }
        Ok(())
    }

    /// A layer without a method is its folder; with a runtime as method its packages lie where that runtime looks.
    async fn build_layer(
        &self,
        request: &Request<'_>,
        layer: &PlannedLayer,
        output: &Output,
    ) -> Result<Package, BuildError> {
        let id = layer.logical_id.as_str();
        let Code::Path(path) = &layer.content else {
            return Err(BuildError::failed(format!("{id}: a layer comes from a folder")));
        };
        let source = copy::find(request.root, request.base, path)?;
        if source.is_file() {
            return package::take(id, PackageKind::Layer, source).await;
        }
        let target = request.scratch.join(format!("{id}.out"));
        let method = layer.build.method.as_deref();
        let below = match method {
            Some(method) if method.starts_with("python") => target.join("python"),
            Some(method) if method.starts_with("nodejs") => target.join("nodejs"),
            _ => target.clone(),
        };
        make(&below)?;
        let wanted = method.unwrap_or("copy");
        let architecture = &layer.architecture;
        let what = Folder { id, source: &source, target: &below, wanted, architecture, metadata: &layer.build };
        self.build_folder(request, &what, output).await?;
        package::pack(id, PackageKind::Layer, target, request.scratch).await
    }

    async fn build_folder(&self, request: &Request<'_>, what: &Folder<'_>, output: &Output) -> Result<(), BuildError> {
        let (source, target) = (what.source.to_owned(), what.target.to_owned());
        match what.wanted {
            _ if what.metadata.skip => copy::folder(source, target, true).await,
            "makefile" => self.make(request, what, output).await,
            "esbuild" => {
                let work = request.scratch.join(format!("{}.work", what.id));
                copy::folder(source, work.clone(), false).await?;
                self.bundle(request.owner(), &work, &target, &what.metadata.properties, output).await
            }
            wanted if wanted.starts_with("python") => {
                self.install_python(request.owner(), wanted, what.architecture, &source, &target, output).await?;
                copy::folder(source, target, false).await
            }
            wanted if wanted.starts_with("nodejs") => match Manifest::read(&source)? {
                Some(manifest) => {
                    copy::folder(source, target.clone(), false).await?;
                    self.install_node(request.owner(), &target, &manifest, Purpose::Package(what.architecture), output)
                        .await
                }
                // Packages that lie in the repository are all there is.
                None => copy::folder(source, target, true).await,
            },
            wanted if wanted == "copy" || wanted.starts_with("provided") || wanted.starts_with("ruby") => {
                copy::folder(source, target, true).await
            }
            wanted => Err(BuildError::failed(format!(
                "{}: there is no builder for {wanted} here (python*, nodejs*, provided.*, esbuild and makefile have one): \
                 make a `bootstrap` for provided.al2023 with `Metadata: {{BuildMethod: makefile}}`, or commit the package as a zip",
                what.id
            ))),
        }
    }

    /// `BuildMethod: makefile`: `make build-{LogicalId}` with ARTIFACTS_DIR (AWS SAM Developer Guide, custom runtimes).
    async fn make(&self, request: &Request<'_>, what: &Folder<'_>, output: &Output) -> Result<(), BuildError> {
        if self.settings.target == Target::Lambda {
            return Err(BuildError::failed(format!(
                "{}: `BuildMethod: makefile` is not built on AWS, where builds have neither make nor compilers: build the \
                 package elsewhere, for example in a workflow, and commit it as a zip that `CodeUri` names",
                what.id
            )));
        }
        let make = self.settings.tools.find("make").and_then(|path| path.canonicalize().ok());
        let make = make.ok_or_else(|| BuildError::failed("make is not installed on this machine"))?;
        let work = request.scratch.join(format!("{}.work", what.id));
        // The Makefile may stand in the folder itself, or in a working directory around it.
        let root = match what.metadata.properties["WorkingDirectory"].as_str() {
            Some(path) => copy::find(request.root, request.base, path)?,
            None => what.source.to_owned(),
        };
        copy::folder(root, work.clone(), false).await?;
        if !work.join("Makefile").is_file() && !work.join("makefile").is_file() {
            return Err(BuildError::failed(format!(
                "{}: `BuildMethod: makefile` needs a Makefile beside the code",
                what.id
            )));
        }
        let artifacts = Mount::write(what.target).at("/artifacts");
        let inside = self.settings.sandbox.inside(&artifacts).display().to_string();
        let tools = [self.settings.tools.python(None), self.settings.tools.node()];
        let mut program = Program {
            program: make,
            args: vec![format!("build-{}", what.id)],
            environment: [("ARTIFACTS_DIR".to_owned(), inside)].into(),
            workspace: work,
            mounts: vec![artifacts],
            network: true,
            ..Program::default()
        };
        for tool in tools.into_iter().flatten() {
            program.path.extend(tool.program.parent().map(Path::to_owned));
            program.mounts.extend(tool.mounts);
        }
        self.run(&format!("make build-{}", what.id), program, output).await
    }
}

struct Folder<'a> {
    id: &'a str,
    source: &'a Path,
    /// Exists, and is empty.
    target: &'a Path,
    /// A build method or a runtime.
    wanted: &'a str,
    architecture: &'a str,
    metadata: &'a BuildMetadata,
}

fn make(folder: &PathBuf) -> Result<(), BuildError> {
    std::fs::create_dir_all(folder).map_err(BuildError::io("making a folder"))
}

/// What decides about a function's package; `None` when its own id does.
fn likeness(function: &PlannedFunction) -> Option<String> {
    let Code::Path(path) = &function.code else { return None };
    let method = function.build.method.as_deref().unwrap_or_default();
    let own = method == "makefile";
    let PlannedFunction { runtime, architecture, build, .. } = function;
    (!own).then(|| format!("{path}|{runtime}|{architecture}|{method}|{}|{}", build.properties, build.skip))
}

impl Builder {
    fn note(&self, function: &PlannedFunction) -> Option<String> {
        let (id, architecture) = (&function.logical_id, &function.architecture);
        let own = if std::env::consts::ARCH == "aarch64" { "arm64" } else { std::env::consts::ARCH };
        (self.settings.target == Target::Machine && architecture != own).then(|| {
            format!(
                "{id}: packages with machine code are built for this machine ({}), not for {architecture}",
                std::env::consts::ARCH
            )
        })
    }
}
