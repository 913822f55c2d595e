//! PTUnifier as a library: its crates under one name, with the engine of the version that they need.
//!
#![doc = include_str!("../README.md")]
//!
//! # What is where
//!
//! | module | holds |
//! |---|---|
//! | [`prepare`] | downloads, tables and files become records; the phantom corpus |
//! | [`data`] | records, shards, loaders, files of vectors |
//! | [`input`] | tokenizer, image decoding, transforms, batches |
//! | [`kernels`] | the operations that the network is made of, forward and backward |
//! | [`model`] | the network, its weights, bundles |
//! | [`infer`] | a model at work: vectors, search, matching, probes, predictions of fine-tuned models |
//! | [`train`] | recipes, objectives, the loop, resume |
//! | [`tasks`] | what a model is trained for: pre-training, classification, question answering |
//! | [`evaluate`] | scores of a model, with intervals |
//! | [`workflow`] | quickstart, pages, checks of a machine, parity with PyTorch |
//! | [`findings`] | findings in the text of a report, by rules |
//! | [`export`] | models for other programs: transformers, ONNX Runtime, the published program |
//! | [`explain`] | why a model gives a score |
//! | [`import`] | published encoders and checkpoints become models |
//! | [`index`] | nearest neighbours |
//! | [`metrics`] | scores with intervals, beside chance |
//! | [`report`] | pages |
//! | [`random`] | numbers that can be replayed |
//! | [`burn`] | the engine, for tensors and devices of the same version |

pub use burn;
pub use burn::tensor::Device;
pub use ptu_data as data;
pub use ptu_evaluate as evaluate;
pub use ptu_explain as explain;
pub use ptu_export as export;
pub use ptu_findings as findings;
pub use ptu_import as import;
pub use ptu_index as index;
pub use ptu_infer as infer;
pub use ptu_input as input;
pub use ptu_kernels as kernels;
pub use ptu_metrics as metrics;
pub use ptu_model as model;
pub use ptu_prepare as prepare;
pub use ptu_random as random;
pub use ptu_report as report;
pub use ptu_tasks as tasks;
pub use ptu_train as train;
pub use ptu_workflow as workflow;
