//! The sandbox's init alone, for tests of this crate: other programs call `run_if_init` first in their own `main`.

fn main() {
    sandbox::run_if_init();
    eprintln!("cloud-local-init is started by a sandbox, not by hand");
    std::process::exit(2);
}
