//! Dependencies between crates point one way. The drawing:
//!
//! ```text
//!                     percept-cli
//!                          │
//!                       percept                           sees everything below
//!        ┌─────────────────┼──────────────────┐
//!    task crates           │      eval, flow, hub, media   task crates never meet
//!        │                 │                  │
//!    percept-backbone ─────┤                  │           candle from here up to the task crates
//!        │                 │                  │
//!    percept-kernels     percept-core ────────┘           these two know nobody
//! ```

use crate::workspace::{Faults, Kind, Package, packages, verdict};

/// One crate a task.
const TASKS: &[&str] = &[
    "percept-caption",
    "percept-depth",
    "percept-detect",
    "percept-pose",
    "percept-register",
    "percept-segment",
    "percept-transcribe",
];

/// What the tests of any crate may use beyond its own dependencies: to read media and fixtures, and to write JSON.
const FOR_TESTS: &[&str] = &["percept-core", "percept-golden", "percept-media"];

/// What a crate may depend on; `None` for a crate that the drawing does not have.
fn allowed(name: &str) -> Option<Vec<&'static str>> {
    Some(match name {
        "percept-core" | "percept-kernels" | "xtask" => vec![],
        "percept-flow" | "percept-hub" | "percept-media" => vec!["percept-core"],
        // What results are read from is written by percept-media.
        "percept-eval" => vec!["percept-core", "percept-media"],
        "percept-backbone" => vec!["percept-core", "percept-kernels"],
        "percept-golden" => vec!["percept-core", "percept-backbone"],
        task if TASKS.contains(&task) => vec!["percept-core", "percept-backbone"],
        "percept" => {
            let beside = [
                "percept-core",
                "percept-backbone",
                "percept-eval",
                "percept-flow",
                "percept-hub",
                "percept-media",
            ];
            [&beside, TASKS].concat()
        }
        "percept-cli" => vec!["percept"],
        _ => return None,
    })
}

/// Whether a crate may know candle.
fn may_know_candle(name: &str) -> bool {
    name == "percept-backbone" || TASKS.contains(&name)
}

/// `cargo xtask layers`.
pub(crate) fn check() -> Result<(), Faults> {
    verdict(faults(&packages()?))
}

fn faults(packages: &[Package]) -> Faults {
    let mut faults = Vec::new();
    for package in packages {
        let name = package.name.as_str();
        let Some(allowed) = allowed(name) else {
            faults.push(format!("`{name}` has no place in the drawing of xtask/src/layers.rs"));
            continue;
        };
        for dependency in &package.dependencies {
            let other = dependency.name.as_str();
            let ours = packages.iter().any(|package| package.name == other);
            let for_tests = dependency.kind == Kind::Dev && FOR_TESTS.contains(&other);
            if ours && !for_tests && !allowed.contains(&other) {
                faults.push(format!("`{name}` may not depend on `{other}`"));
            }
            if other.starts_with("candle") && !may_know_candle(name) {
                faults.push(format!(
                    "`{name}` may not know `{other}`: that is for percept-backbone and the tasks"
                ));
            }
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::Dependency;

    fn package(name: &str, dependencies: &[&str], kind: Kind) -> Package {
        let dependency = |name: &&str| Dependency { name: (*name).to_owned(), kind };
        Package {
            name: name.to_owned(),
            dependencies: dependencies.iter().map(dependency).collect(),
            ..Package::default()
        }
    }

    fn faults_of(name: &str, dependencies: &[&str], kind: Kind) -> Faults {
        let others = [
            "percept-core",
            "percept-kernels",
            "percept-backbone",
            "percept-flow",
            "percept-hub",
            "percept-media",
            "percept-detect",
            "percept-segment",
            "percept",
            "percept-cli",
        ];
        let mut packages = vec![package(name, dependencies, kind)];
        packages.extend(
            others.iter().filter(|other| **other != name).map(|other| package(other, &[], Kind::Normal)),
        );
        faults(&packages)
    }

    #[test]
    fn the_drawing_is_allowed() {
        for (name, dependencies) in [
            ("percept-core", &["serde", "thiserror"][..]),
            ("percept-flow", &["percept-core", "walkdir"]),
            ("percept-backbone", &["percept-core", "percept-kernels", "candle-core", "candle-nn"]),
            ("percept-segment", &["percept-core", "percept-backbone", "candle-core"]),
            ("percept", &["percept-core", "percept-flow", "percept-hub", "percept-media", "percept-segment"]),
            ("percept-cli", &["percept", "clap"]),
        ] {
            assert_eq!(faults_of(name, dependencies, Kind::Normal), Faults::new(), "{name}");
        }
    }

    #[test]
    fn every_other_edge_is_a_fault() {
        for (name, other) in [
            ("percept-core", "percept-media"),
            ("percept-kernels", "percept-core"),
            ("percept-flow", "percept-media"),
            ("percept-flow", "percept-hub"),
            ("percept-hub", "percept-flow"),
            ("percept-media", "percept-backbone"),
            ("percept-backbone", "percept-media"),
            ("percept-segment", "percept-detect"),
            ("percept-segment", "percept-media"),
            ("percept-segment", "percept-kernels"),
            ("percept-segment", "percept"),
            ("percept", "percept-cli"),
            ("percept-cli", "percept-segment"),
            ("xtask", "percept"),
        ] {
            let expected = format!("`{name}` may not depend on `{other}`");
            assert_eq!(faults_of(name, &[other], Kind::Normal), [expected]);
        }
    }

    #[test]
    fn tests_may_read_media_but_siblings_still_never_meet() {
        assert!(faults_of("percept-segment", &["percept-media"], Kind::Dev).is_empty());
        assert!(faults_of("percept-kernels", &["percept-core"], Kind::Dev).is_empty());
        assert_eq!(faults_of("percept-segment", &["percept-detect"], Kind::Dev).len(), 1);
    }

    #[test]
    fn candle_stays_below() {
        for name in ["percept-core", "percept-media", "percept", "percept-cli", "percept-kernels"] {
            assert_eq!(faults_of(name, &["candle-core"], Kind::Normal).len(), 1, "{name}");
        }
    }

    #[test]
    fn a_crate_that_nobody_drew_is_a_fault() {
        let faults = faults_of("percept-blockchain", &[], Kind::Normal);
        assert_eq!(faults, ["`percept-blockchain` has no place in the drawing of xtask/src/layers.rs"]);
    }
}
