//! What cargo says about our crates.

use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

/// What is wrong, one line each.
pub(crate) type Faults = Vec<String>;

/// `Ok` where nothing is wrong.
pub(crate) fn verdict(faults: Faults) -> Result<(), Faults> {
    if faults.is_empty() { Ok(()) } else { Err(faults) }
}

/// A crate of the workspace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) manifest: PathBuf,
    /// The root files of its library and its programs.
    pub(crate) roots: Vec<PathBuf>,
    pub(crate) dependencies: Vec<Dependency>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    /// Whether only tests, examples and benches see it.
    pub(crate) kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Normal,
    Dev,
}

/// Asks `cargo metadata`.
pub(crate) fn packages() -> Result<Vec<Package>, Faults> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--format-version", "1", "--no-deps"])
        .output()
        .map_err(|error| vec![format!("cannot run cargo: {error}")])?;
    if !output.status.success() {
        return Err(vec![String::from_utf8_lossy(&output.stderr).into_owned()]);
    }
    let metadata: Value = serde_json::from_slice(&output.stdout)
        .map_err(|error| vec![format!("`cargo metadata` wrote no JSON: {error}")])?;
    Ok(read(&metadata))
}

/// The packages in what `cargo metadata` wrote.
pub(crate) fn read(metadata: &Value) -> Vec<Package> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let is_root = |target: &Value| list(&target["kind"]).iter().any(|kind| kind == "lib" || kind == "bin");
    list(&metadata["packages"])
        .iter()
        .map(|package| Package {
            name: text(&package["name"]),
            manifest: text(&package["manifest_path"]).into(),
            roots: list(&package["targets"])
                .iter()
                .filter(|target| is_root(target))
                .map(|target| text(&target["src_path"]).into())
                .collect(),
            dependencies: list(&package["dependencies"])
                .iter()
                .map(|dependency| Dependency {
                    name: text(&dependency["name"]),
                    // A build script runs where we build: it is held to the same drawing.
                    kind: if dependency["kind"] == "dev" { Kind::Dev } else { Kind::Normal },
                })
                .collect(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_is_read() {
        let metadata = serde_json::json!({ "packages": [{
            "name": "percept-core",
            "manifest_path": "/w/crates/percept-core/Cargo.toml",
            "targets": [
                { "kind": ["lib"], "src_path": "/w/crates/percept-core/src/lib.rs" },
                { "kind": ["test"], "src_path": "/w/crates/percept-core/tests/a.rs" },
            ],
            "dependencies": [
                { "name": "serde", "kind": null },
                { "name": "serde_json", "kind": "dev" },
                { "name": "cc", "kind": "build" },
            ],
        }]});
        let dependency = |name: &str, kind| Dependency { name: name.into(), kind };
        let expected = Package {
            name: "percept-core".into(),
            manifest: "/w/crates/percept-core/Cargo.toml".into(),
            roots: vec!["/w/crates/percept-core/src/lib.rs".into()],
            dependencies: vec![
                dependency("serde", Kind::Normal),
                dependency("serde_json", Kind::Dev),
                dependency("cc", Kind::Normal),
            ],
        };
        assert_eq!(read(&metadata), [expected]);
    }
}
