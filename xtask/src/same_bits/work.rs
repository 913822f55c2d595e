//! The work of a program, and the folder in which it works. All paths are relative, so that compared files contain no paths of
//! the machine.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::inputs;
use super::programs::Program;

/// The files that both programs write from the same inputs.
pub const ARTEFACTS: &[Artefact] = &[
    Artefact::new("shards of `prepare phantom`", "phantom", ".parquet"),
    Artefact::new("shards of `prepare vqa-rad`", "vqa-rad", ".parquet"),
    Artefact::new("log, all objectives, hard negatives, dropout", "run", "log.jsonl"),
    Artefact::new("weights after 50 steps", "run/bundle", ".safetensors"),
    Artefact::new("optimizer's moments", "run/state", ".safetensors"),
    Artefact::new("tokenizer", "run/bundle", "tokenizer.json"),
    Artefact::new("log, cached contrast, checkpointing, word_keep", "cached", "log.jsonl"),
    Artefact::new("weights of that run", "cached/bundle", ".safetensors"),
    Artefact::new("vectors of `embed`", "", "vectors.parquet"),
    Artefact::new("`evaluate --json`", "", "scores.json"),
];

/// The files that the current program writes from the stopped run, the bundle and the shards of the commit.
pub const CROSSED: &[Artefact] = &[
    Artefact::new("resumed: log", "run", "log.jsonl"),
    Artefact::new("resumed: weights", "run/bundle", ".safetensors"),
    Artefact::new("resumed: optimizer's moments", "run/state", ".safetensors"),
    Artefact::new("vectors by the commit's bundle", "", "vectors.parquet"),
    Artefact::new("scores of the commit's bundle and shards", "", "scores.json"),
];

/// Files that are compared: the files of a folder whose names have a given ending.
pub struct Artefact {
    /// Description for the user.
    pub what: &'static str,
    /// The folder, relative to the workplace.
    pub folder: &'static str,
    /// The ending of the names.
    pub ending: &'static str,
}

impl Artefact {
    const fn new(what: &'static str, folder: &'static str, ending: &'static str) -> Self {
        Self { what, folder, ending }
    }
}

/// A folder in which a program works.
pub struct Workplace {
    /// Where it is.
    pub folder: PathBuf,
}

/// The step at which the run is stopped, so that another program can continue it.
const STOPPED_AT: &str = "run/state/step-000000000025";

/// How long that step may take.
const PATIENCE: Duration = Duration::from_secs(600);

impl Workplace {
    /// A new folder with the inputs in it.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn new(folder: &Path) -> Result<Self, String> {
        inputs::write(folder).map_err(|error| format!("cannot write inputs to `{}`: {error}", folder.display()))?;
        Ok(Self { folder: folder.into() })
    }

    /// Renames the folder to its final name. Both programs work under the same name, because some files contain paths.
    ///
    /// # Errors
    /// When it cannot be renamed.
    pub fn keep_as(self, name: &str) -> Result<Self, String> {
        let folder = self.folder.with_file_name(name);
        let renamed = fs::rename(&self.folder, &folder);
        renamed.map_err(|error| format!("cannot rename `{}`: {error}", self.folder.display()))?;
        Ok(Self { folder })
    }

    /// Prepares, trains, embeds, scores.
    pub fn everything(&self, program: &Program) -> Result<(), String> {
        self.run(
            program,
            &[
                "prepare",
                "phantom",
                "phantom",
                "--pairs",
                "400",
                "--seed",
                "3",
                "--image-missing",
                "0.2",
                "--text-missing",
                "0.2",
            ],
        )?;
        self.run(program, &["prepare", "vqa-rad", "raw", "vqa-rad"])?;
        self.run(program, &["pretrain", "run.toml", "--out", "run"])?;
        self.run(program, &["pretrain", "cached.toml", "--out", "cached"])?;
        self.embed(program)?;
        self.evaluate(program)
    }

    /// Vectors of images, texts and pairs by the bundle of the run.
    pub fn embed(&self, program: &Program) -> Result<(), String> {
        self.run(program, &["embed", "run", "phantom", "--out", "vectors.parquet"])
    }

    /// Scores of the run, retrieval, matching, words and a label while modalities are missing.
    pub fn evaluate(&self, program: &Program) -> Result<(), String> {
        let arguments = ["evaluate", "run", "--label", "finding", "--missing", "--rerank", "8", "--json"];
        let scores = program.run(&self.folder, &arguments)?;
        let path = self.folder.join("scores.json");
        fs::write(&path, scores).map_err(|error| format!("cannot write `{}`: {error}", path.display()))
    }

    /// Continues the run that was stopped.
    pub fn resume(&self, program: &Program) -> Result<(), String> {
        self.run(program, &["pretrain", "run.toml", "--out", "run", "--resume"])
    }

    /// Lets a program train in `other` until half of the steps are saved, and kills it there. The shards are those of this
    /// workplace.
    ///
    /// # Errors
    /// When the program ends before that, or takes too long.
    pub fn stopped_run(&self, program: &Program, other: &Self) -> Result<(), String> {
        let shards = other.folder.join("phantom");
        copy(&self.folder.join("phantom"), &shards)
            .map_err(|error| format!("cannot copy to `{}`: {error}", shards.display()))?;
        let wrong = |error: std::io::Error| format!("{}: cannot train: {error}", program.name);
        let mut child =
            program.command(&other.folder, &["pretrain", "run.toml", "--out", "run"]).spawn().map_err(wrong)?;
        let start = Instant::now();
        while !other.folder.join(STOPPED_AT).is_dir() {
            if child.try_wait().map_err(wrong)?.is_some() || start.elapsed() > PATIENCE {
                let _ = child.kill();
                return Err(format!("{}: the run did not reach `{STOPPED_AT}`", program.name));
            }
            sleep(Duration::from_millis(5));
        }
        child.kill().map_err(wrong)?;
        child.wait().map_err(wrong)?;
        match other.folder.join(STOPPED_AT).is_dir() {
            true => Ok(()),
            false => Err(format!("{}: the run went past `{STOPPED_AT}` before it could be stopped", program.name)),
        }
    }

    fn run(&self, program: &Program, arguments: &[&str]) -> Result<(), String> {
        program.run(&self.folder, arguments).map(|_| ())
    }
}

/// Copies a folder with the files in it, not deeper.
fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        fs::copy(entry.path(), to.join(entry.file_name()))?;
    }
    Ok(())
}
