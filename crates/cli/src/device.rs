//! The device that computes.

use std::fmt;
use std::str::FromStr;

use burn::tensor::Device;

/// A device by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceName {
    /// The processor.
    Cpu,
    /// An NVIDIA GPU by its number.
    #[cfg(feature = "cuda")]
    Cuda(usize),
    /// The first GPU that the system offers.
    #[cfg(feature = "wgpu")]
    Wgpu,
}

/// Names of the devices that this build supports.
const KNOWN: &str = if cfg!(all(feature = "cuda", feature = "wgpu")) {
    "`cpu`, `cuda:0` and `wgpu`"
} else if cfg!(feature = "cuda") {
    "`cpu` and `cuda:0`"
} else if cfg!(feature = "wgpu") {
    "`cpu` and `wgpu`"
} else {
    "`cpu`"
};

impl fmt::Display for DeviceName {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::Cpu => write!(out, "cpu"),
            #[cfg(feature = "cuda")]
            Self::Cuda(number) => write!(out, "cuda:{number}"),
            #[cfg(feature = "wgpu")]
            Self::Wgpu => write!(out, "wgpu"),
        }
    }
}

impl FromStr for DeviceName {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let (kind, number) = name.split_once(':').unwrap_or((name, "0"));
        match (kind, number.parse::<usize>()) {
            ("cpu", Ok(0)) => Ok(Self::Cpu),
            #[cfg(feature = "cuda")]
            ("cuda", Ok(number)) => Ok(Self::Cuda(number)),
            #[cfg(feature = "wgpu")]
            ("wgpu", Ok(0)) => Ok(Self::Wgpu),
            ("cuda" | "wgpu", _) => Err(format!(
                "this build does not support the device `{name}`, only {KNOWN}. For GPUs, build with `cargo build --release --features {kind}`"
            )),
            _ => Err(format!("`{name}` is not a device; this build supports {KNOWN}")),
        }
    }
}

impl DeviceName {
    /// The engine's device, without gradients.
    pub fn plain(self) -> Device {
        match self {
            Self::Cpu => Device::flex(),
            #[cfg(feature = "cuda")]
            Self::Cuda(number) => Device::cuda(number),
            #[cfg(feature = "wgpu")]
            Self::Wgpu => Device::wgpu(burn::tensor::DeviceKind::default()),
        }
    }

    /// The engine's device, with gradients.
    pub fn training(self) -> Device {
        self.plain().autodiff()
    }

    /// Fails if the device cannot compute; the message names what is missing. Drivers and libraries are loaded only when it runs.
    pub fn check(self) -> anyhow::Result<()> {
        #[cfg(any(feature = "cuda", feature = "wgpu"))]
        if self != Self::Cpu {
            return gpu::check(self);
        }
        Ok(())
    }
}

#[cfg(any(feature = "cuda", feature = "wgpu"))]
mod gpu {
    use std::panic::{self, AssertUnwindSafe, PanicHookInfo};
    use std::sync::{Arc, Mutex};

    use burn::tensor::Tensor;

    use super::DeviceName;

    /// Computes a sum to test the device. The engine panics if a driver or a library is missing; the panic's message becomes the error.
    /// It loads them on a thread of its own, so the first panic names the cause, and the panic of the caller's thread ("RecvError") does
    /// not.
    pub fn check(device: DeviceName) -> anyhow::Result<()> {
        let first = Arc::new(Mutex::new(None));
        let (hook, heard) = (panic::take_hook(), first.clone());
        panic::set_hook(Box::new(move |info| {
            if let Ok(mut first) = heard.lock() {
                first.get_or_insert_with(|| words(info));
            }
        }));
        let tried = panic::catch_unwind(AssertUnwindSafe(|| {
            let sum = Tensor::<1>::from_floats([1.0, 2.0], &device.plain()).sum();
            sum.into_scalar::<f32>()
        }));
        panic::set_hook(hook);
        match tried {
            Ok(3.0) => Ok(()),
            Ok(other) => anyhow::bail!("device {device} computes 1 + 2 = {other}; use --device cpu"),
            Err(_) => {
                let first = first.lock().ok().and_then(|mut first| first.take());
                let words = first.unwrap_or_else(|| "it does not say why".to_string());
                anyhow::bail!("device {device} cannot be used: {words}; install its driver, or use --device cpu")
            }
        }
    }

    /// The start of the first line: what was missing comes first, then dozens of names that it might have had.
    fn words(info: &PanicHookInfo) -> String {
        let line = info.payload_as_str().and_then(|words| words.lines().next()).unwrap_or("it does not say why");
        let start: String = line.chars().take(100).collect();
        if start.len() < line.len() { format!("{start} ...") } else { start }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_known_by_name() {
        assert_eq!("cpu".parse(), Ok(DeviceName::Cpu));
        assert_eq!(DeviceName::Cpu.to_string(), "cpu");
        for wrong in ["gpu", "cpu:1", "cuda:x", ""] {
            assert!(wrong.parse::<DeviceName>().unwrap_err().contains("`cpu`"), "{wrong}");
        }
        #[cfg(feature = "cuda")]
        assert_eq!("cuda:1".parse(), Ok(DeviceName::Cuda(1)));
        #[cfg(not(feature = "cuda"))]
        assert!("cuda:0".parse::<DeviceName>().unwrap_err().contains("--features cuda"));
    }
}
