//! Where a network's encoder computes.

use crate::{Error, ErrorKind, Result};

/// Where a network's encoder computes. Its head, the loss and the optimiser stay with the CPU.
#[derive(Debug, Clone, Default)]
pub enum Device {
    /// On the CPU kernels, to the same bits each time.
    #[default]
    Cpu,
    /// By candle, to nearly the same numbers: in what order a GPU adds is left to it.
    #[cfg(any(test, feature = "cuda"))]
    Candle(candle_core::Device),
}

impl Device {
    /// `cpu`, or `cuda` and `cuda:1` for the first and second GPU.
    ///
    /// # Errors
    /// Another name; a GPU that is not there; any in a build without the feature `cuda`.
    pub fn named(name: &str) -> Result<Self> {
        if name == "cpu" {
            return Ok(Self::Cpu);
        }
        let ordinal = match name.strip_prefix("cuda") {
            Some("") => Some(0),
            Some(rest) => rest.strip_prefix(':').and_then(|number| number.parse().ok()),
            None => None,
        };
        let Some(ordinal) = ordinal else {
            let message = format!("there is no device `{name}`; name `cpu`, `cuda` or `cuda:1`");
            return Err(Error::new(ErrorKind::Request, message));
        };
        Self::cuda(ordinal)
    }

    #[cfg(feature = "cuda")]
    fn cuda(ordinal: usize) -> Result<Self> {
        candle_core::Device::new_cuda(ordinal).map(Self::Candle).map_err(|error| {
            let message =
                format!("cannot use the GPU `cuda:{ordinal}`; train with --device cpu, or see nvidia-smi");
            Error::new(ErrorKind::Device, message).caused_by(error)
        })
    }

    #[cfg(not(feature = "cuda"))]
    fn cuda(_: usize) -> Result<Self> {
        let message = "this build trains on the CPU alone; build it with `cargo build --release -p elodex --features cuda`";
        Err(Error::new(ErrorKind::Unsupported, message))
    }

    /// Tokens that are run through the network at once, at most, where groups can be told apart.
    pub(crate) fn batch_tokens(&self) -> usize {
        match self {
            // Activations of one take 48 bytes per hidden unit and layer, and a larger batch is no faster.
            Self::Cpu => 4096,
            #[cfg(any(test, feature = "cuda"))]
            Self::Candle(_) => 16_384,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_used_is_told_apart() {
        assert!(matches!(Device::named("cpu"), Ok(Device::Cpu)));
        for name in ["gpu", "cuda:", "cuda:x", "cuda1", ""] {
            assert_eq!(Device::named(name).unwrap_err().kind(), ErrorKind::Request, "{name}");
        }
        #[cfg(not(feature = "cuda"))]
        assert_eq!(Device::named("cuda:1").unwrap_err().kind(), ErrorKind::Unsupported);
    }
}
