//! The dependencies of the released command: a bill of materials (CycloneDX) and a list of licences.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::house::{House, output};

/// The package whose dependencies are listed.
const SHIPPED: &str = "ptunifier-cli";

/// Name, version, licence and repository of each package. Unlike `cargo metadata`, `cargo tree` knows which optional
/// dependencies the features use, and skips packages that are used only in builds (`no-proc-macro`), in tests or on other systems.
const LIST: [&str; 11] = [
    "tree",
    "--package",
    SHIPPED,
    "--edges",
    "normal,no-proc-macro",
    "--prefix",
    "none",
    "--no-dedupe",
    "--locked",
    "--format",
    "{p}\t{l}\t{r}",
];

/// Writes `sbom.cdx.json` and `licences.md` into a folder, for the command as it is built on this machine by default.
pub fn sbom(house: &House, out: &Path) -> Result<(), String> {
    let shipped = shipped(&output(house.cargo(&LIST))?)?;
    fs::create_dir_all(out).map_err(|error| format!("cannot create `{}`: {error}", out.display()))?;
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

/// A package that is part of the command.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Package {
    name: String,
    version: String,
    licence: String,
    repository: String,
}

/// The packages of a list as [`LIST`] asks for it, each once. One without a licence is an error.
fn shipped(list: &str) -> Result<BTreeSet<Package>, String> {
    list.lines()
        .map(|line| {
            let mut fields = line.split('\t');
            let mut field = || fields.next().ok_or_else(|| format!("`cargo tree` wrote `{line}`"));
            let (package, licence, repository) = (field()?, field()?, field()?);
            // Of `name v1.2.3 (path)`.
            let mut words = package.split(' ');
            let (name, version) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
            match licence {
                "" => Err(format!("`{name}` {version} does not name a licence")),
                _ => Ok(Package {
                    name: name.into(),
                    version: version.trim_start_matches('v').into(),
                    licence: licence.replace('/', " OR "),
                    repository: repository.into(),
                }),
            }
        })
        .collect()
}

fn bill(shipped: &BTreeSet<Package>) -> Value {
    let component = |Package { name, version, licence, repository }: &Package| {
        let links: Vec<Value> = match repository.as_str() {
            "" => vec![],
            url => vec![json!({ "type": "vcs", "url": url })],
        };
        json!({
            "type": "library", "name": name, "version": version, "purl": format!("pkg:cargo/{name}@{version}"),
            "licenses": [{ "expression": licence }], "externalReferences": links,
        })
    };
    json!({
        "bomFormat": "CycloneDX", "specVersion": "1.5", "version": 1,
        "metadata": { "component": { "type": "application", "name": SHIPPED, "version": env!("CARGO_PKG_VERSION") } },
        "components": shipped.iter().map(component).collect::<Vec<_>>(),
    })
}

fn licences(shipped: &BTreeSet<Package>) -> String {
    let mut by_licence: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for Package { name, version, licence, .. } in shipped {
        by_licence.entry(licence).or_default().push(format!("{name} {version}"));
    }
    let mut text = "# Licences of the packages in the `ptunifier` command\n".to_string();
    for (licence, packages) in by_licence {
        text += &format!("\n## {licence}\n\n{}\n", packages.join(", "));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_package_is_listed_once_with_its_licence() {
        let list = "ptunifier-cli v0.1.0 (/a/path)\tMIT OR Apache-2.0\t\na v1.2.3+4\tMIT/Apache-2.0\thttps://example.org/a\n\
                    a v1.2.3+4\tMIT/Apache-2.0\thttps://example.org/a\n";
        let shipped = shipped(list).unwrap();
        let bill = bill(&shipped);
        let components = bill["components"].as_array().unwrap();
        assert_eq!(components.len(), 2);
        assert_eq!(components[0]["purl"], "pkg:cargo/a@1.2.3+4");
        assert_eq!(components[0]["licenses"][0]["expression"], "MIT OR Apache-2.0");
        assert_eq!(components[0]["externalReferences"][0]["url"], "https://example.org/a");
        assert!(licences(&shipped).contains("## MIT OR Apache-2.0\n\na 1.2.3+4, ptunifier-cli 0.1.0\n"));
    }

    #[test]
    fn a_package_without_a_licence_is_an_error() {
        assert_eq!(shipped("a v1.0.0\t\thttps://example.org/a\n").unwrap_err(), "`a` v1.0.0 does not name a licence");
    }
}
