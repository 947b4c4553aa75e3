//! The binary `workroom`.

fn main() {}
