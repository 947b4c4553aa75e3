//! Writes the API document to the file named by the first argument, or to standard output.

use std::io::{Error, Write};

fn main() -> Result<(), Error> {
    let mut text = api::openapi().to_pretty_json().map_err(Error::other)?;
    text.push('\n');
    match std::env::args().nth(1) {
        Some(path) => std::fs::write(path, text),
        None => std::io::stdout().write_all(text.as_bytes()),
    }
}
