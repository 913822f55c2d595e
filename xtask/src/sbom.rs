//! What the shipped command is made of: a bill of materials (CycloneDX) and a list of licences, from the lock file.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::house::{House, output};

/// The package whose dependencies are listed.
const SHIPPED: &str = "ptunifier-cli";

/// Writes `sbom.cdx.json` and `licences.md` into a folder.
pub fn sbom(house: &House, out: &Path) -> Result<(), String> {
    let metadata = output(house.cargo(&["metadata", "--format-version", "1", "--locked"]))?;
    let metadata: Value = serde_json::from_str(&metadata).map_err(|error| format!("`cargo metadata`: {error}"))?;
    let shipped = shipped(&metadata)?;
    fs::create_dir_all(out).map_err(|error| format!("cannot make `{}`: {error}", out.display()))?;
    let write = |name: &str, text: String| {
        let path = out.join(name);
        fs::write(&path, text).map_err(|error| format!("cannot write `{}`: {error}", path.display()))
    };
    let bill = serde_json::to_string_pretty(&bill(&shipped)).map_err(|error| error.to_string())?;
    write("sbom.cdx.json", bill + "\n")?;
    write("licences.md", licences(&shipped))?;
    println!("{} packages in {}", shipped.len(), out.display());
    Ok(())
}

/// A package that ends up in the command.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Package {
    name: String,
    version: String,
    licence: String,
    description: String,
}

/// The command's package and all that it needs at run time: neither what only builds nor what only tests.
fn shipped(metadata: &Value) -> Result<Vec<Package>, String> {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_string();
    let packages: BTreeMap<String, Value> =
        list(&metadata["packages"]).into_iter().map(|package| (text(&package["id"]), package)).collect();
    let nodes: BTreeMap<String, Value> =
        list(&metadata["resolve"]["nodes"]).into_iter().map(|node| (text(&node["id"]), node)).collect();
    let start = packages.iter().find(|(_, package)| package["name"] == SHIPPED).map(|(id, _)| id.clone());
    let mut waiting = vec![start.ok_or_else(|| format!("there is no package `{SHIPPED}`"))?];
    let mut seen = BTreeSet::new();
    while let Some(id) = waiting.pop() {
        if !seen.insert(id.clone()) {
            continue;
        }
        for dependency in list(&nodes.get(&id).unwrap_or(&Value::Null)["deps"]) {
            if list(&dependency["dep_kinds"]).iter().any(|kind| kind["kind"].is_null()) {
                waiting.push(text(&dependency["pkg"]));
            }
        }
    }
    let mut shipped: Vec<Package> = seen
        .iter()
        .filter_map(|id| packages.get(id))
        .map(|package| Package {
            name: text(&package["name"]),
            version: text(&package["version"]),
            licence: text(&package["license"]),
            description: text(&package["description"]).split_whitespace().collect::<Vec<_>>().join(" "),
        })
        .collect();
    shipped.sort();
    Ok(shipped)
}

fn bill(shipped: &[Package]) -> Value {
    let component = |Package { name, version, licence, description }: &Package| {
        json!({
            "type": "library", "name": name, "version": version, "description": description,
            "purl": format!("pkg:cargo/{name}@{version}"),
            "licenses": [{ "expression": licence.replace('/', " OR ") }],
        })
    };
    json!({
        "bomFormat": "CycloneDX", "specVersion": "1.5", "version": 1,
        "metadata": { "component": { "type": "application", "name": SHIPPED, "version": env!("CARGO_PKG_VERSION") } },
        "components": shipped.iter().map(component).collect::<Vec<_>>(),
    })
}

fn licences(shipped: &[Package]) -> String {
    let mut by_licence: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for Package { name, version, licence, .. } in shipped {
        by_licence.entry(licence.replace('/', " OR ")).or_default().push(format!("{name} {version}"));
    }
    let mut text = "# Licences of what the `ptunifier` command is made of\n".to_string();
    for (licence, packages) in by_licence {
        text += &format!("\n## {licence}\n\n{}\n", packages.join(", "));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_builds_or_tests_is_not_shipped() {
        let package = |name: &str, licence: &str| json!({ "id": name, "name": name, "version": "1.0.0", "license": licence, "description": "of a  test" });
        let dependency = |name: &str, kind: Value| json!({ "pkg": name, "dep_kinds": [{ "kind": kind }] });
        let metadata = json!({
            "packages": [package(SHIPPED, "MIT"), package("a", "MIT/Apache-2.0"), package("b", "ISC"), package("c", "MIT")],
            "resolve": { "nodes": [
                { "id": SHIPPED, "deps": [dependency("a", Value::Null), dependency("c", json!("dev"))] },
                { "id": "a", "deps": [dependency("b", json!("build"))] },
                { "id": "b", "deps": [] }, { "id": "c", "deps": [] },
            ] },
        });
        let shipped = shipped(&metadata).unwrap();
        assert_eq!(shipped.iter().map(|package| package.name.as_str()).collect::<Vec<_>>(), ["a", SHIPPED]);
        assert_eq!(bill(&shipped)["components"][0]["licenses"][0]["expression"], "MIT OR Apache-2.0");
        assert!(licences(&shipped).contains("## MIT\n\nptunifier-cli 1.0.0"));
    }
}
