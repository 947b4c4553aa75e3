//! Where code comes from: `CodeUri`, `InlineCode`, `Code`, `ContentUri`, and the `Metadata` for building it.

use serde_json::Value;

use super::{Building, Reading};
use crate::node::Node;
use crate::{BuildMetadata, Code, Layer};

/// Lambda's longest inline code, in bytes (`ZipFile`, AWS::Lambda::Function Code).
const INLINE_BYTES_MAX: usize = 4 * 1024 * 1024;

impl<'a> Building<'a> {
    /// The code of a function. A place outside the repository is refused: it may be another tenant's.
    pub(super) fn code(&mut self, reading: &Reading<'a>) -> Code {
        let properties = &reading.properties;
        let inline = properties.get("InlineCode").or_else(|| properties.path(&["Code", "ZipFile"]));
        if let Some(inline) = inline.and_then(|inline| inline.text()) {
            if inline.len() > INLINE_BYTES_MAX {
                properties.problem(format!("inline code has at most {INLINE_BYTES_MAX} bytes"));
            }
            return Code::Inline(inline);
        }
        match properties.get("CodeUri").or_else(|| properties.get("Code")) {
            // `sam build` takes the template's own folder.
            None => Code::Path(".".into()),
            Some(node) => {
                self.path(reading, &node, if properties.get("CodeUri").is_some() { "CodeUri" } else { "Code" })
            }
        }
    }

    fn path(&mut self, reading: &Reading<'a>, node: &Node<'a>, property: &str) -> Code {
        let path = if node.is_map() { None } else { node.text() };
        match path.filter(|path| !path.contains("://") && !path.starts_with('/') && !path.contains('\0')) {
            Some(path) => Code::Path(path),
            None => {
                self.refuse(
                    reading,
                    Some(property),
                    "code comes from a folder of the repository, not from a bucket or URL",
                );
                Code::Path(".".into())
            }
        }
    }

    pub(super) fn layer(&mut self, reading: &Reading<'a>) {
        let properties = &reading.properties;
        let content = match properties.get("ContentUri").or_else(|| properties.get("Content")) {
            Some(node) => self.path(reading, &node, "ContentUri"),
            None => {
                properties.problem("a layer has a `ContentUri`");
                Code::Path(".".into())
            }
        };
        let layer = Layer {
            logical_id: reading.logical.to_owned(),
            name: properties.get("LayerName").and_then(|name| name.text()),
            content,
            compatible_runtimes: properties.get("CompatibleRuntimes").map(|all| all.texts()).unwrap_or_default(),
            build: build_metadata(reading.resource),
        };
        self.note_others(
            reading,
            &[
                "LayerName",
                "ContentUri",
                "Content",
                "CompatibleRuntimes",
                "CompatibleArchitectures",
                "LicenseInfo",
                "RetentionPolicy",
                "PublishLambdaVersion",
            ],
        );
        self.app.layers.insert(layer.logical_id.clone(), layer);
    }
}

/// The `Metadata` that `sam build` reads.
pub(super) fn build_metadata(resource: &Value) -> BuildMetadata {
    let metadata = &resource["Metadata"];
    BuildMetadata {
        method: metadata["BuildMethod"].as_str().map(str::to_owned),
        properties: metadata["BuildProperties"].clone(),
        skip: metadata["SkipBuild"] == true,
    }
}
