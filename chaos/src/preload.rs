//! Small libraries that are preloaded into nodes, built here with the C compiler of the machine.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

/// The variable that names what is preloaded; several libraries stand behind one another.
pub(crate) const PRELOAD: &str = "LD_PRELOAD";

/// Builds `NAME.so` in `dir` from this source.
pub(crate) fn build(dir: &Path, name: &str, source: &str) -> Result<PathBuf> {
    let (at, library) = (dir.join(format!("{name}.c")), dir.join(format!("{name}.so")));
    std::fs::write(&at, source)?;
    let mut build = Command::new("cc");
    build.args(["-O1", "-shared", "-fPIC", "-o"]).arg(&library).arg(&at).args(["-ldl", "-lpthread"]);
    let built = build.output().context("run the C compiler")?;
    if !built.status.success() {
        bail!("build the library {name}: {}", String::from_utf8_lossy(&built.stderr));
    }
    Ok(library)
}

/// Variables for one process, all libraries in one of them.
pub(crate) fn together<'a>(
    variables: impl Iterator<Item = (&'static str, &'a Path)>,
) -> Vec<(&'static str, std::ffi::OsString)> {
    let (mut libraries, mut others) = (std::ffi::OsString::new(), Vec::new());
    for (name, value) in variables {
        if name != PRELOAD {
            others.push((name, value.into()));
            continue;
        }
        if !libraries.is_empty() {
            libraries.push(":");
        }
        libraries.push(value);
    }
    if !libraries.is_empty() {
        others.push((PRELOAD, libraries));
    }
    others
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_libraries_are_preloaded() {
        let variables = [(PRELOAD, "/a.so"), ("A", "/a"), (PRELOAD, "/b.so"), ("B", "/b")];
        let all = together(variables.into_iter().map(|(name, value)| (name, Path::new(value))));
        assert_eq!(all, [("A", "/a".into()), ("B", "/b".into()), (PRELOAD, "/a.so:/b.so".into())]);
        assert_eq!(together(std::iter::empty()), []);
    }
}
