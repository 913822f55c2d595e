//! Tasks of this repository: `cargo xtask` lists them.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command speaks to its terminal")]

mod check;
mod circles;
mod exports;
mod heart;
mod house;
mod interop;
mod layers;
mod licences;
mod links;
mod norms;
mod paired;
mod phantom_tasks;
mod process;
mod real;
mod real_pairs;
mod real_tasks;
mod reproducible;
mod same_bits;
mod sbom;
mod task_lines;

use std::path::PathBuf;
use std::process::ExitCode;

use house::House;

const HELP: &str = "\
usage: cargo xtask COMMAND

  check [--no-test]   the full check: format, norms, links, layers, clippy, tests, docs, licences; fast steps first
                      --no-test skips the tests, if they have already run
  real-pairs DATA OUT pre-trains on real pairs from published weights, beside its baselines (DATA contains roco-cc/, covid-cxr/ and
                      vqa-rad/); --only ARM for one; resumes
  real-tasks DATA OUT fine-tunes each task on real data from the model of real-pairs (the same OUT) and from the published encoders, and
                      prints its scores (DATA contains also kermany-cxr/ and nih-cxr-1000/); --only NAME for one (vqa-rad, the published
                      split, is done by name only, from a model that is pre-trained without VQA-RAD); --compare adds
                      random weights, and zeros in place of prompts; --dev fine-tunes once and scores `validate` only; resumes
  interop DATA PYTHON opens shards and computes scores with the programs of others (PYTHON has tools/interop/requirements.txt)
  exports PYTHON OUT MODEL...
                      exports models and compares transformers and ONNX Runtime with this program (PYTHON has
                      tools/interop/requirements-exports.txt)
  phantom-tasks OUT   fine-tunes each task on the phantom corpus and prints its scores; --only NAME for one; resumes
  reproducible        builds the released command twice from scratch and compares the results
  same-bits COMMIT    builds a commit and the current tree, runs both, compares shards, runs, vectors and scores byte by byte
  sbom OUT            writes a bill of materials (CycloneDX) of the command and a list of licences
  help                this text
";

/// The requested task. A new task is a variant here and a file of its own.
#[derive(Debug, PartialEq, Eq)]
enum Task {
    Help,
    Check { tests: bool },
    RealPairs { data: PathBuf, out: PathBuf, only: Option<String> },
    RealTasks { data: PathBuf, out: PathBuf, only: Option<String>, compare: bool, dev: bool },
    Interop { data: PathBuf, python: PathBuf },
    Exports { python: PathBuf, out: PathBuf, models: Vec<PathBuf> },
    PhantomTasks { out: PathBuf, only: Option<String> },
    Reproducible,
    SameBits { commit: String },
    Sbom { out: PathBuf },
}

impl Task {
    fn parse(arguments: &[&str]) -> Result<Self, String> {
        match arguments {
            [] | ["help" | "--help" | "-h"] => Ok(Self::Help),
            ["check"] => Ok(Self::Check { tests: true }),
            ["check", "--no-test"] => Ok(Self::Check { tests: false }),
            ["real-pairs", data, out] => Ok(Self::RealPairs { data: data.into(), out: out.into(), only: None }),
            ["real-pairs", data, out, "--only", arm] => {
                Ok(Self::RealPairs { data: data.into(), out: out.into(), only: Some((*arm).into()) })
            }
            ["real-tasks", data, out, rest @ ..] => {
                let (only, rest) = match rest {
                    ["--only", name, rest @ ..] => (Some((*name).into()), rest),
                    rest => (None, rest),
                };
                let (compare, dev) = match rest {
                    [] => (false, false),
                    ["--compare"] => (true, false),
                    ["--dev"] => (false, true),
                    other => return Err(format!("real-tasks has no arguments `{}`", other.join(" "))),
                };
                Ok(Self::RealTasks { data: data.into(), out: out.into(), only, compare, dev })
            }
            ["interop", data, python] => Ok(Self::Interop { data: data.into(), python: python.into() }),
            ["exports", python, out, models @ ..] if !models.is_empty() => Ok(Self::Exports {
                python: python.into(),
                out: out.into(),
                models: models.iter().map(PathBuf::from).collect(),
            }),
            ["phantom-tasks", out] => Ok(Self::PhantomTasks { out: out.into(), only: None }),
            ["phantom-tasks", out, "--only", name] => {
                Ok(Self::PhantomTasks { out: out.into(), only: Some((*name).into()) })
            }
            ["reproducible"] => Ok(Self::Reproducible),
            ["same-bits", commit] => Ok(Self::SameBits { commit: (*commit).into() }),
            ["sbom", out] => Ok(Self::Sbom { out: out.into() }),
            other => Err(format!("no such task: `{}`", other.join(" "))),
        }
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match Task::parse(&arguments) {
        Ok(Task::Help) => {
            print!("{HELP}");
            Ok(())
        }
        Ok(Task::Check { tests }) => House::find().and_then(|house| check::check(&house, tests)),
        Ok(Task::RealPairs { data, out, only }) => {
            House::find().and_then(|house| real_pairs::real_pairs(&house, &data, &out, only.as_deref()))
        }
        Ok(Task::RealTasks { data, out, only, compare, dev }) => {
            let options = real_tasks::Options { only: only.as_deref(), compare, dev };
            House::find().and_then(|house| real_tasks::real_tasks(&house, &data, &out, options))
        }
        Ok(Task::Interop { data, python }) => House::find().and_then(|house| interop::interop(&house, &data, &python)),
        Ok(Task::Exports { python, out, models }) => {
            House::find().and_then(|house| exports::exports(&house, &python, &out, &models))
        }
        Ok(Task::PhantomTasks { out, only }) => {
            House::find().and_then(|house| phantom_tasks::phantom_tasks(&house, &out, only.as_deref()))
        }
        Ok(Task::Reproducible) => House::find().and_then(|house| reproducible::reproducible(&house)),
        Ok(Task::SameBits { commit }) => House::find().and_then(|house| same_bits::same_bits(&house, &commit)),
        Ok(Task::Sbom { out }) => House::find().and_then(|house| sbom::sbom(&house, &out)),
        Err(unknown) => Err(format!("{unknown}\n\n{HELP}")),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("xtask: {}", why.trim_end());
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Task;

    #[test]
    fn arguments_name_a_task_or_nothing_runs() {
        assert_eq!(Task::parse(&[]), Ok(Task::Help));
        assert_eq!(Task::parse(&["check"]), Ok(Task::Check { tests: true }));
        assert_eq!(Task::parse(&["check", "--no-test"]), Ok(Task::Check { tests: false }));
        assert!(Task::parse(&["check", "--no-tests"]).is_err());
        assert!(Task::parse(&["chek"]).is_err_and(|why| why.contains("chek")));
    }
}
