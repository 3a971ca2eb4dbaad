//! Lints are inherited, unsafe code is forbidden, files are short and named for an idea.

use std::fs;
use std::path::{Path, PathBuf};

use crate::workspace::{Faults, Package, packages, verdict};

/// Longer files are split.
const MOST_LINES: usize = 500;

/// The only crate with unsafe code.
const UNSAFE: &str = "percept-kernels";

/// Names that say nothing.
const BANNED: &[&str] = &["common", "helpers", "impl", "misc", "types", "utils"];

/// `cargo xtask sources`.
pub(crate) fn check() -> Result<(), Faults> {
    let mut faults = Vec::new();
    for package in packages()? {
        let read = |path: &Path| fs::read_to_string(path).unwrap_or_default();
        faults.extend(manifest_fault(&package, &read(&package.manifest)));
        for root in &package.roots {
            faults.extend(root_fault(&package, root, &read(root)));
        }
        for file in rust_files(package.manifest.parent().unwrap_or(Path::new("."))) {
            faults.extend(file_faults(&file, &read(&file)));
        }
    }
    verdict(faults)
}

fn manifest_fault(package: &Package, manifest: &str) -> Option<String> {
    let mut section = "";
    let inherits = manifest.lines().map(str::trim).any(|line| {
        if line.starts_with('[') {
            section = line;
        }
        line.replace(' ', "") == "workspace=true" && section == "[lints]"
    });
    (!inherits).then(|| format!("`{}` does not say `[lints] workspace = true`", package.name))
}

fn root_fault(package: &Package, root: &Path, source: &str) -> Option<String> {
    let forbids = source.lines().any(|line| line.trim() == "#![forbid(unsafe_code)]");
    (package.name != UNSAFE && !forbids)
        .then(|| format!("`{}` does not say `#![forbid(unsafe_code)]`", root.display()))
}

fn file_faults(path: &Path, source: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let lines = source.lines().count();
    if lines > MOST_LINES {
        faults.push(format!("`{}` has {lines} lines, more than {MOST_LINES}", path.display()));
    }
    if path.file_stem().is_some_and(|stem| BANNED.iter().any(|banned| stem == *banned)) {
        faults.push(format!("`{}` is not named for an idea", path.display()));
    }
    faults
}

/// The `.rs` files below a folder, build folders left out.
fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                if entry.file_name() != "target" {
                    folders.push(path);
                }
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    files.sort();
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str) -> Package {
        Package { name: name.to_owned(), ..Package::default() }
    }

    #[test]
    fn lints_must_be_inherited() {
        let package = package("percept-core");
        assert_eq!(manifest_fault(&package, "[package]\nname = 'x'\n\n[lints]\nworkspace = true\n"), None);
        for manifest in ["", "[lints]\n", "[lints.rust]\nworkspace = true", "[package]\nworkspace = true"] {
            assert!(manifest_fault(&package, manifest).is_some(), "{manifest}");
        }
    }

    #[test]
    fn unsafe_code_must_be_forbidden_outside_the_kernels() {
        let root = Path::new("src/lib.rs");
        assert_eq!(root_fault(&package("percept"), root, "//! Doc.\n#![forbid(unsafe_code)]\n"), None);
        assert!(root_fault(&package("percept"), root, "// #![forbid(unsafe_code)]\n").is_some());
        assert_eq!(root_fault(&package("percept-kernels"), root, ""), None);
    }

    #[test]
    fn files_are_short_and_named_for_an_idea() {
        let path = Path::new("src/walk.rs");
        assert!(file_faults(path, &"\n".repeat(500)).is_empty());
        assert_eq!(file_faults(path, &"\n".repeat(501)).len(), 1);
        assert_eq!(file_faults(Path::new("src/utils.rs"), "").len(), 1);
    }

    #[test]
    fn files_are_found() {
        let own = Path::new(env!("CARGO_MANIFEST_DIR"));
        assert!(rust_files(own).contains(&own.join("src/sources.rs")));
    }
}
