//! Which crate may depend on which other: layers (floors) of our own crates, and limits for crates of others (fences).
//!
//! The tables here repeat the floors of `ARCHITECTURE.md` so that they can be checked: always change both.

use serde_json::Value;

/// Floor of each crate. A crate may depend only on crates of lower floors, not on crates of its own floor, also in tests.
const FLOORS: &[(&str, i8)] = &[
    ("xtask", 9),
    ("ptunifier-cli", 8),
    ("ptunifier", 7),
    ("ptu-bench", 7),
    ("ptu-workflow", 6),
    ("ptu-serve", 6),
    ("ptu-tasks", 5),
    ("ptu-evaluate", 4),
    ("ptu-train", 3),
    ("ptu-export", 3),
    ("ptu-explain", 3),
    ("ptu-prepare", 2),
    ("ptu-infer", 2),
    ("ptu-import", 2),
    ("ptu-model", 1),
    ("ptu-data", 1),
    ("ptu-input", 0),
    ("ptu-metrics", 0),
    ("ptu-findings", 0),
    ("ptu-checkpoint", 0),
    ("ptu-report", 0),
    ("ptu-index", 0),
    ("ptu-kernels", 0),
    ("ptu-random", -1), // below all: docs/decisions/0001
];

/// Crates of others that only some of ours may use, so that the choice can be changed in one place.
struct Fence {
    /// Names of crates; a `*` at the end matches any ending.
    crates: &'static [&'static str],
    /// Who may use them.
    inside: &'static [&'static str],
    why: &'static str,
}

const CLI: &[&str] = &["ptunifier-cli"];
const NETWORK: &[&str] = &[
    "ptu-kernels",
    "ptu-model",
    "ptu-infer",
    "ptu-import",
    "ptu-export",
    "ptu-explain",
    "ptu-train",
    "ptu-evaluate",
    "ptu-tasks",
    "ptu-workflow",
    "ptu-serve",
    "ptu-bench",
    "ptunifier",
    "ptunifier-cli",
    "xtask", // the baselines of `real-pairs`
];

const FENCES: &[Fence] = &[
    Fence {
        crates: &["clap", "clap_*", "console", "indicatif"],
        inside: CLI,
        why: "only the command writes to a terminal",
    },
    Fence { crates: &["anyhow", "eyre"], inside: CLI, why: "a library lists its errors in one enum" },
    Fence {
        crates: &["burn", "burn-*", "cubecl", "cubecl-*"],
        inside: NETWORK,
        why: "only the network uses the engine",
    },
    Fence { crates: &["gemm", "pulp"], inside: &["ptu-kernels"], why: "only these operations bypass the engine" },
    Fence {
        crates: &["arrow", "arrow-*", "parquet", "object_store"],
        inside: &["ptu-data", "ptu-prepare"],
        why: "only these crates read and write shards and tables",
    },
    Fence {
        crates: &["image", "dicom-*", "tokenizers"],
        inside: &["ptu-input"],
        why: "only one crate decodes bytes to arrays",
    },
    Fence {
        crates: &["tokio", "axum", "axum-*", "hyper", "tower", "utoipa"],
        inside: &["ptu-serve"],
        why: "only this crate uses HTTP",
    },
    Fence {
        crates: &["usearch", "pgvector", "sqlx", "postgres"],
        inside: &["ptu-index"],
        why: "only this crate searches vectors",
    },
    Fence {
        crates: &["rand", "rand_core", "rand_chacha", "rand_distr", "rand_pcg", "rand_xo*", "fastrand", "getrandom"],
        inside: &[],
        why: "use `ptu-random`, because a run must be reproducible",
    },
    Fence { crates: &["rand_mt"], inside: &["ptu-prepare"], why: "only published splits are drawn by it" },
];

/// A crate of the workspace and its dependencies.
#[derive(Debug, PartialEq, Eq)]
pub struct Crate {
    name: String,
    dependencies: Vec<Dependency>,
}

#[derive(Debug, PartialEq, Eq)]
struct Dependency {
    name: String,
    /// True if only tests, examples and benches use it.
    development: bool,
}

/// Reads the answer of `cargo metadata --no-deps`.
pub fn parse(metadata: &str) -> Result<Vec<Crate>, String> {
    let root: Value = serde_json::from_str(metadata).map_err(|error| format!("cannot read cargo metadata: {error}"))?;
    let list =
        |value: &Value, key: &str| value[key].as_array().cloned().ok_or(format!("cargo metadata has no `{key}`"));
    let name = |value: &Value| value["name"].as_str().map(str::to_owned).ok_or("a crate without a name".to_owned());
    list(&root, "packages")?
        .iter()
        .map(|package| {
            let dependencies = list(package, "dependencies")?;
            let dependencies = dependencies
                .iter()
                .map(|it| Ok(Dependency { name: name(it)?, development: it["kind"].as_str() == Some("dev") }))
                .collect::<Result<_, String>>()?;
            Ok(Crate { name: name(package)?, dependencies })
        })
        .collect()
}

/// Every dependency on a crate of the same or a higher floor, every crossed fence, every crate without a floor.
pub fn violations(crates: &[Crate]) -> Vec<String> {
    crates.iter().flat_map(|it| arrows(it, crates).into_iter().chain(crossings(it))).collect()
}

fn floor(name: &str) -> Option<i8> {
    FLOORS.iter().find(|(known, _)| *known == name).map(|(_, floor)| *floor)
}

fn arrows(from: &Crate, crates: &[Crate]) -> Vec<String> {
    let Some(own) = floor(&from.name) else {
        let name = &from.name;
        return vec![format!(
            "crate `{name}` has no floor; add it to FLOORS in `xtask/src/layers.rs` and to `ARCHITECTURE.md`"
        )];
    };
    let ours = from.dependencies.iter().filter(|to| crates.iter().any(|known| known.name == to.name));
    ours.filter_map(|to| {
        let other = floor(&to.name).filter(|other| *other >= own)?;
        let (from, to) = (&from.name, &to.name);
        Some(format!(
            "`{from}` (floor {own}) depends on `{to}` (floor {other}); a crate may depend only on lower floors"
        ))
    })
    .collect()
}

/// Tests may use all crates of others: a fence applies only to code that is released.
fn crossings(from: &Crate) -> Vec<String> {
    let shipped = || from.dependencies.iter().filter(|it| !it.development);
    let mut crossings = Vec::new();
    for fence in FENCES.iter().filter(|fence| !fence.inside.contains(&from.name.as_str())) {
        for to in shipped().filter(|it| fence.crates.iter().any(|pattern| fits(pattern, &it.name))) {
            let inside = if fence.inside.is_empty() { "no crate".to_owned() } else { fence.inside.join(", ") };
            crossings
                .push(format!("`{}` depends on `{}`, which only {inside} may use: {}", from.name, to.name, fence.why));
        }
    }
    crossings
}

fn fits(pattern: &str, name: &str) -> bool {
    pattern.strip_suffix('*').map_or(pattern == name, |start| name.starts_with(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn house(crates: &[(&str, &[&str])]) -> Vec<String> {
        let dependency = |name: &&str| Dependency { name: (*name).to_owned(), development: false };
        let crates: Vec<Crate> = crates
            .iter()
            .map(|(name, all)| Crate { name: (*name).to_owned(), dependencies: all.iter().map(dependency).collect() })
            .collect();
        violations(&crates)
    }

    #[test]
    fn arrows_down_hold() {
        let sound: &[(&str, &[&str])] = &[
            ("ptunifier-cli", &["ptunifier", "clap", "anyhow"]),
            ("ptunifier", &["ptu-model"]),
            ("ptu-model", &["ptu-input", "ptu-random", "burn"]),
            ("ptu-input", &["ptu-random", "image"]),
            ("ptu-random", &[]),
        ];
        assert_eq!(house(sound), [""; 0]);
    }

    #[test]
    fn arrows_up_and_sideways_are_named() {
        let up = house(&[("ptu-input", &["ptu-model"]), ("ptu-model", &[])]);
        assert!(matches!(&up[..], [one] if one.contains("`ptu-input` (floor 0) depends on `ptu-model` (floor 1)")));
        assert_eq!(house(&[("ptu-data", &["ptu-model"]), ("ptu-model", &[])]).len(), 1, "one floor");
        assert_eq!(house(&[("ptu-random", &["ptu-metrics"]), ("ptu-metrics", &[])]).len(), 1, "below all");
    }

    #[test]
    fn a_crate_without_a_floor_names_the_file_to_edit() {
        let unknown = house(&[("ptu-new", &[])]);
        assert!(matches!(&unknown[..], [one] if one.contains("ptu-new") && one.contains("xtask/src/layers.rs")));
    }

    #[test]
    fn fences_hold() {
        assert_eq!(house(&[("ptu-model", &["anyhow"])]).len(), 1);
        assert_eq!(house(&[("ptu-data", &["image", "arrow-array", "parquet"])]).len(), 1, "only `image`");
        assert_eq!(house(&[("ptu-metrics", &["burn-flex"])]).len(), 1);
        assert_eq!(house(&[("ptu-train", &["rand_core"])]).len(), 1);
        assert_eq!(house(&[("ptu-input", &["imageproc"])]).len(), 0, "a name is not a beginning of others");
    }

    #[test]
    fn metadata_is_read_with_its_kinds() {
        let metadata = r#"{"packages": [{"name": "ptu-data", "dependencies": [
            {"name": "image", "kind": "dev"}, {"name": "ptu-model", "kind": "dev"}, {"name": "csv", "kind": null}]},
            {"name": "ptu-model", "dependencies": []}]}"#;
        let crates = parse(metadata).unwrap();
        assert_eq!(crates[0].dependencies.len(), 3);
        let found = violations(&crates);
        assert!(
            matches!(&found[..], [one] if one.contains("ptu-model")),
            "floors hold in tests, fences do not: {found:?}"
        );
        assert!(parse("{}").is_err() && parse("no json").is_err());
    }

    #[test]
    fn every_fence_stands_around_known_crates() {
        for name in FENCES.iter().flat_map(|fence| fence.inside) {
            assert!(floor(name).is_some(), "{name}");
        }
    }
}
