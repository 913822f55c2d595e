//! What computes.

use std::str::FromStr;

use burn::tensor::Device;

/// A device by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceName {
    /// The processor.
    Cpu,
}

impl FromStr for DeviceName {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "cpu" => Ok(Self::Cpu),
            gpu if gpu.starts_with("cuda") || gpu.starts_with("wgpu") => Err(format!(
                "this binary was built without support for GPUs, so `{gpu}` is not there; it computes on `cpu`"
            )),
            other => Err(format!("`{other}` is no device; this binary computes on `cpu`")),
        }
    }
}

impl DeviceName {
    /// The engine's device, without gradients.
    pub fn plain(self) -> Device {
        match self {
            Self::Cpu => Device::flex(),
        }
    }

    /// The engine's device, with gradients.
    pub fn training(self) -> Device {
        self.plain().autodiff()
    }
}
