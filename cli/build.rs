//! Links the unwinder of panics into the program: loading it as a shared library of its own
//! is a tenth of a start.

use std::io::{self, Write as _};

fn main() -> io::Result<()> {
    let mut cargo = io::stdout().lock();
    let target = |what: &str| std::env::var(format!("CARGO_CFG_TARGET_{what}"));
    if target("OS").as_deref() == Ok("linux") && target("ENV").as_deref() == Ok("gnu") {
        writeln!(cargo, "cargo::rustc-link-lib=gcc_eh")?;
    }
    writeln!(cargo, "cargo::rerun-if-changed=build.rs")
}
