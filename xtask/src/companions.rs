//! The DynamoDB companion: a well-kept engine, built apart from the platform's own lock file.

use std::path::PathBuf;

use anyhow::Result;

use crate::run::{cargo, root, succeed};

fn program_path() -> PathBuf {
    root().join("target/companions/release/workroom-dynamodb")
}

pub fn built() -> bool {
    program_path().exists()
}

pub fn build() -> Result<()> {
    succeed(
        cargo()
            .args(["build", "--release", "--locked", "--manifest-path", "companions/dynamodb/Cargo.toml"])
            .args(["--target-dir", "target/companions"]),
    )
}
