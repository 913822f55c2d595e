//! `cargo xtask real-pairs DATA OUT [--only ARM]`: pre-training on real pairs from published weights, beside its baselines, on the same held-out
//! articles of `roco-cc`.
//!
//! Called again, it continues where it stopped; a finished arm is not trained again. Choices are made on `validate`; `test` is scored once
//! for each arm, and the number of times is counted in OUT/looks.txt.

mod features;
mod heads;
mod ranks;
mod ridge;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use ranks::{Comparison, Found};
use serde_json::json;

pub use features::PairFeatures;
pub use ridge::Ridge;

use crate::house::House;
use crate::process::{json_lines, run};
use crate::real::{Splits, Weights, covid_pairs, roco_pairs, statements, write_table};

/// Mean and standard deviation of the colours for the image encoder, which its file does not give (those of ImageNet).
const COLOURS: [&str; 2] = ["0.485,0.456,0.406", "0.229,0.224,0.225"];
/// The source whose held-out articles are scored.
const SCORED: &str = "roco-cc";
/// Number of candidates that are reranked by matching.
const RERANKED: &str = "50";
const LOOKS: &str = "looks.txt";
/// Number of steps by which the time of a step from random weights is measured; the first one is left out.
const TIMED_STEPS: usize = 4;
/// The share of the time of `pretrained` that the steps of `scratch` are planned for; the rest is for its validations.
const PLANNED_SHARE: f64 = 0.9;

/// What is trained and scored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Arm {
    /// Pre-training from the published weights.
    Pretrained,
    /// The same recipe from random weights, all parts trained, for the same time.
    Scratch,
    /// A linear map between the frozen encoders, in closed form.
    Ridge,
    /// Two-layer projections of the frozen encoders, trained by contrast.
    Heads,
}

impl Arm {
    const ALL: [Self; 4] = [Self::Ridge, Self::Heads, Self::Pretrained, Self::Scratch];

    fn name(self) -> &'static str {
        match self {
            Self::Pretrained => "pretrained",
            Self::Scratch => "scratch",
            Self::Ridge => "ridge",
            Self::Heads => "heads",
        }
    }

    /// The recipe of an arm that is pre-trained.
    fn recipe(self) -> Option<&'static str> {
        match self {
            Self::Pretrained => Some("recipes/pretrain/real.toml"),
            Self::Scratch => Some("recipes/pretrain/real-scratch.toml"),
            Self::Ridge | Self::Heads => None,
        }
    }
}

/// Runs all arms, or one, and prints a line for each comparison whose arms have been scored.
pub fn real_pairs(house: &House, data: &Path, out: &Path, only: Option<&str>) -> Result<(), String> {
    let arms: Vec<Arm> = match only {
        None => Arm::ALL.to_vec(),
        Some(name) => Arm::ALL.into_iter().filter(|arm| arm.name() == name).collect(),
    };
    if arms.is_empty() {
        let names = Arm::ALL.map(Arm::name).join(", ");
        return Err(format!("there is no arm `{}`; the arms are {names}", only.unwrap_or_default()));
    }
    fs::create_dir_all(out).map_err(|error| format!("cannot create `{}`: {error}", out.display()))?;
    let (data, out) = (absolute(data)?, absolute(out)?);
    run(&mut house.cargo(&["build", "--release", "--quiet", "--package", "ptunifier-cli"]))?;
    let runner = Runner { house, weights: Weights::get(&house.root, &out.join("weights"))?, out };
    runner.prepare(&data)?;
    for arm in arms {
        let start = Instant::now();
        runner.run_arm(arm)?;
        eprintln!("{}: {:.0} s", arm.name(), start.elapsed().as_secs_f64());
    }
    runner.print()
}

/// The folders of the arms.
struct Runner<'a> {
    house: &'a House,
    out: PathBuf,
    weights: Weights,
}

impl Runner<'_> {
    fn shards(&self, source: &str) -> PathBuf {
        self.out.join("data").join(source)
    }

    /// The file with what an arm found in a split.
    fn found(&self, arm: Arm) -> PathBuf {
        self.out.join(format!("{}.json", arm.name()))
    }

    /// Prepares shards of all sources with the splits of the repository.
    fn prepare(&self, data: &Path) -> Result<(), String> {
        let splits = Splits::read(&self.house.root)?;
        fs::create_dir_all(self.out.join("data")).map_err(|error| error.to_string())?;
        for (source, rows) in [
            (SCORED, roco_pairs(&data.join("roco-cc"), &splits)?),
            ("covid-cxr", covid_pairs(&data.join("covid-cxr"), &splits)?),
            ("vqa-rad", statements(&data.join("vqa-rad"), &splits)?),
        ] {
            let (table, shards) = (self.out.join(format!("{source}.jsonl")), self.shards(source));
            if shards.join("manifest.json").exists() {
                continue;
            }
            write_table(&table, &rows)?;
            run(self.house.ptunifier(&["prepare", "table"]).arg(table).arg(shards).args(["--side", "256"]))?;
        }
        Ok(())
    }

    fn run_arm(&self, arm: Arm) -> Result<(), String> {
        if self.found(arm).exists() {
            return Ok(());
        }
        let found = match arm.recipe() {
            Some(recipe) => self.pretrain(arm, recipe)?,
            None => vec![("contrast", self.closed(arm)?)],
        };
        self.count_look()?;
        let found: serde_json::Map<_, _> =
            found.into_iter().map(|(name, found)| (name.to_string(), found.to_json())).collect();
        let path = self.found(arm);
        fs::write(&path, json!(found).to_string()).map_err(|error| format!("`{}`: {error}", path.display()))
    }

    /// Pre-trains, and ranks the held-out pairs by the contrast and by matching.
    fn pretrain(&self, arm: Arm, recipe: &str) -> Result<Vec<(&'static str, Found)>, String> {
        let folder = self.out.join(arm.name());
        let mut command = match folder.join("recipe.toml").exists() {
            // A run goes on with its own recipe, in which the steps of `scratch` are.
            true => self.house.ptunifier(&["pretrain", "--resume"]),
            false => self.first_call(arm, recipe)?,
        };
        command.arg(&folder);
        let start = Instant::now();
        let trained = run(&mut command);
        self.add_seconds(arm, start.elapsed().as_secs_f64())?;
        trained?;
        let ranks = self.out.join(format!("{}-ranks", arm.name()));
        let mut evaluate = self.house.ptunifier(&["evaluate", "--rerank", RERANKED, "--gallery", "400", "--trec"]);
        run(evaluate.arg(&ranks).arg("--data").arg(self.shards(SCORED)).arg(folder.join("best")))?;
        let ranks = ranks.join("ranks.jsonl");
        Ok(vec![("contrast", Found::read(&ranks, false)?), ("rerank", Found::read(&ranks, true)?)])
    }

    /// The command that begins to train an arm; its folder comes next.
    fn first_call(&self, arm: Arm, recipe: &str) -> Result<Command, String> {
        let sets = match arm {
            Arm::Scratch => {
                let steps = self.steps_in_the_same_time(recipe)?;
                [format!("train.steps={steps}"), format!("train.validate_every={}", (steps / 4).max(1))]
            }
            _ => {
                let Weights { image, text } = &self.weights;
                [format!("model.init.image={}", json!(image)), format!("model.init.text={}", json!(text))]
            }
        };
        Ok(self.training(recipe, &sets))
    }

    /// The command that trains with a recipe and these changes to it on all sources; the folder of the run comes next.
    fn training(&self, recipe: &str, sets: &[String]) -> Command {
        let sources = [SCORED, "covid-cxr", "vqa-rad"].map(|source| self.shards(source));
        let mut command = self.house.ptunifier(&["pretrain", recipe, "--set", &format!("data={}", json!(sources))]);
        sets.iter().for_each(|set| {
            command.args(["--set", set]);
        });
        command.arg("--out");
        command
    }

    /// The number of steps of a recipe that take as long as `pretrained` did.
    fn steps_in_the_same_time(&self, recipe: &str) -> Result<u64, String> {
        let seconds = self.seconds(Arm::Pretrained);
        if seconds == 0.0 {
            return Err("`scratch` trains as long as `pretrained` did: run that arm first".into());
        }
        let folder = self.out.join("scratch-pace");
        if folder.exists() {
            fs::remove_dir_all(&folder).map_err(|error| format!("`{}`: {error}", folder.display()))?;
        }
        let sets = [format!("train.steps={TIMED_STEPS}"), "train.validate_every=0".into(), "train.log_every=1".into()];
        run(self.training(recipe, &sets).arg(&folder))?;
        let timings = json_lines(&folder.join("timing.jsonl"))?;
        let steps: Vec<f64> = timings.iter().skip(1).filter_map(|line| line["seconds"].as_f64()).collect();
        let pace = steps.iter().sum::<f64>() / steps.len().max(1) as f64;
        if pace > 0.0 { Ok((PLANNED_SHARE * seconds / pace).max(1.0) as u64) } else { Err("no step was timed".into()) }
    }

    fn seconds_file(&self, arm: Arm) -> PathBuf {
        self.out.join(format!("{}-seconds.txt", arm.name()))
    }

    /// Seconds for which an arm was trained so far.
    fn seconds(&self, arm: Arm) -> f64 {
        fs::read_to_string(self.seconds_file(arm)).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0.0)
    }

    fn add_seconds(&self, arm: Arm, seconds: f64) -> Result<(), String> {
        let path = self.seconds_file(arm);
        let all = self.seconds(arm) + seconds;
        fs::write(&path, format!("{all:.0}\n")).map_err(|error| format!("`{}`: {error}", path.display()))
    }

    /// Fits a baseline on the features of the frozen encoders.
    fn closed(&self, arm: Arm) -> Result<Found, String> {
        let [images, texts] = self.features()?;
        let [train, validate, test] =
            ["train", "validate", "test"].map(|split| PairFeatures::read(&images, &texts, split));
        let (train, validate, test) = (train?, validate?, test?);
        let (found, on_validate) = match arm {
            Arm::Heads => heads::heads(&train, &validate, &test, 0),
            _ => {
                let fitted = Ridge::fit(&train, &validate)?;
                eprintln!("ridge: penalty {}", fitted.penalty);
                (Found::of(&test.records, &fitted.similarity(&test)), fitted.on_validate)
            }
        };
        eprintln!("{}: R@10 {on_validate:.4} on validate", arm.name());
        Ok(found)
    }

    /// Vectors of the frozen encoders for all images and texts of the source that is scored.
    fn features(&self) -> Result<[PathBuf; 2], String> {
        let encoders = self.out.join("encoders");
        if !encoders.join("config.json").exists() {
            let [mean, std] = COLOURS;
            let mut import = self.house.ptunifier(&["import", "--mean", mean, "--std", std, "--size", "224", "--out"]);
            import.arg(&encoders).arg("--image").arg(&self.weights.image).arg("--text").arg(&self.weights.text);
            run(&mut import)?;
        }
        let files = ["images", "texts"].map(|modality| (modality, self.out.join(format!("features-{modality}.jsonl"))));
        for (modality, file) in files.iter().filter(|(_, file)| !file.exists()) {
            encoder_features(self.house, &encoders, &self.shards(SCORED), (modality, file))?;
        }
        Ok(files.map(|(_, file)| file))
    }

    /// Counts that `test` was looked at.
    fn count_look(&self) -> Result<(), String> {
        let path = self.out.join(LOOKS);
        fs::write(&path, format!("{}\n", self.looks() + 1)).map_err(|error| format!("`{}`: {error}", path.display()))
    }

    fn looks(&self) -> u64 {
        fs::read_to_string(self.out.join(LOOKS)).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0)
    }

    /// Prints the comparisons of all arms that were scored.
    fn print(&self) -> Result<(), String> {
        let read = |arm: Arm, name: &str| -> Option<Found> {
            let text = fs::read_to_string(self.found(arm)).ok()?;
            Found::from_json(&serde_json::from_str::<serde_json::Value>(&text).ok()?[name])
        };
        println!("test was scored {} times (once for each arm)", self.looks());
        for arm in [Arm::Pretrained, Arm::Scratch].into_iter().filter(|arm| self.seconds(*arm) > 0.0) {
            println!("{} was trained for {:.0} s", arm.name(), self.seconds(arm));
        }
        let Some(contrast) = read(Arm::Pretrained, "contrast") else { return Ok(()) };
        let baselines = [
            ("contrast-chance", Some(contrast.chance())),
            ("contrast-scratch", read(Arm::Scratch, "contrast")),
            ("contrast-ridge", read(Arm::Ridge, "contrast")),
            ("contrast-heads", read(Arm::Heads, "contrast")),
        ];
        for (name, baseline) in baselines {
            if let Some(baseline) = baseline {
                println!("{}", Comparison::of(name, &contrast, &baseline)?);
            }
        }
        if let Some(reranked) = read(Arm::Pretrained, "rerank") {
            println!("{}", Comparison::of("rerank-contrast", &reranked, &contrast)?);
        }
        Ok(())
    }
}

/// Writes the features of all images, or texts, of some shards by the encoders of a bundle alone.
pub fn encoder_features(
    house: &House,
    encoders: &Path,
    shards: &Path,
    (modality, out): (&str, &Path),
) -> Result<(), String> {
    let mut embed = house.ptunifier(&["embed", "--space", "encoder", "--only", modality, "--resume", "--out"]);
    run(embed.arg(out).arg(encoders).arg(shards)).map(drop)
}

fn absolute(path: &Path) -> Result<PathBuf, String> {
    path.canonicalize().map_err(|error| format!("`{}`: {error}", path.display()))
}
