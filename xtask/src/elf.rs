//! What a compiled program asks of the system that it is to run on (System V ABI, "ELF header").

use anyhow::{Result, bail, ensure};

/// The glibc of Amazon Linux 2023, the system of `provided.al2023`.
const GLIBC_OF_LAMBDA: (u32, u32) = (2, 34);
const MAGIC: &[u8] = b"\x7fELF\x02\x01";
/// Where the header names the machine.
const MACHINE: std::ops::Range<usize> = 18..20;
const X86_64: [u8; 2] = [62, 0];
const AARCH64: [u8; 2] = [183, 0];
/// How the dynamic section names a version of glibc's symbols.
const VERSION: &[u8] = b"GLIBC_";

/// Fails, with the reason, when Lambda could not start the program on this architecture.
pub fn check(program: &[u8], architecture: &str) -> Result<()> {
    ensure!(program.starts_with(MAGIC), "it is no 64-bit ELF file");
    let machine = if architecture == "arm64" { AARCH64 } else { X86_64 };
    ensure!(program.get(MACHINE) == Some(&machine[..]), "it is not for {architecture}");
    if let Some((major, minor)) = glibc(program)
        && (major, minor) > GLIBC_OF_LAMBDA
    {
        bail!("it needs glibc {major}.{minor}, and Lambda has {}.{}", GLIBC_OF_LAMBDA.0, GLIBC_OF_LAMBDA.1);
    }
    Ok(())
}

/// The newest version of glibc that a symbol is wanted of; `None` for a static program.
fn glibc(program: &[u8]) -> Option<(u32, u32)> {
    let found = program.windows(VERSION.len()).enumerate().filter(|(_, text)| *text == VERSION);
    let versions = found.filter_map(|(at, _)| {
        let text = program[at + VERSION.len()..].split(|byte| *byte == 0).next()?;
        let mut numbers = std::str::from_utf8(text).ok()?.split('.').map(str::parse);
        Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
    });
    versions.max()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program(machine: [u8; 2], versions: &str) -> Vec<u8> {
        let mut bytes = [MAGIC, &[0; 12], &machine, &[0; 40]].concat();
        bytes.extend_from_slice(versions.as_bytes());
        bytes
    }

    #[test]
    fn a_program_for_another_machine_or_a_newer_system_is_refused() {
        assert!(check(&program(AARCH64, "\0GLIBC_2.17\0GLIBC_2.34\0GLIBC_2.4\0"), "arm64").is_ok());
        assert!(check(&program(X86_64, ""), "x86_64").is_ok(), "static");
        for (bytes, architecture, named) in [
            (program(X86_64, ""), "arm64", "not for arm64"),
            (program(AARCH64, ""), "x86_64", "not for x86_64"),
            (program(X86_64, "\0GLIBC_2.9\0GLIBC_2.35\0"), "x86_64", "glibc 2.35"),
            (b"#!/bin/sh\n".to_vec(), "arm64", "no 64-bit ELF"),
            (MAGIC.to_vec(), "arm64", "not for arm64"),
        ] {
            let error = check(&bytes, architecture).unwrap_err().to_string();
            assert!(error.contains(named), "{error}");
        }
    }

    #[test]
    fn what_a_real_program_needs_is_found() {
        let this = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        assert!(this.starts_with(MAGIC));
        if cfg!(target_env = "gnu") {
            assert!(glibc(&this).unwrap() >= (2, 17), "{:?}", glibc(&this));
        }
    }
}
