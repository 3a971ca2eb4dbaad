//! From tokens to maps of several sizes (`DPTReassembleStage`).

use percept_backbone::{
    Activation, Conv2d, ConvShape, ConvTransposeShape, EngineError, Linear, Result, Tensor, ToContiguous,
    Weights, WeightsError,
};

use super::config::{Readout, Scale, Stage};

/// One stage: tokens to a map.
pub(super) struct Reassemble {
    readout: LoadedReadout,
    project: Linear,
    resize: Option<Conv2d>,
}

enum LoadedReadout {
    Ignore,
    Add,
    /// The reference multiplies a matrix `[dim, 2 dim]` with each token and the readout below it. The readout's half is
    /// the same for all tokens, so it is multiplied once.
    Project {
        tokens: Linear,
        readout: Linear,
        activation: Activation,
    },
}

impl Reassemble {
    /// Loads stage `index` of `reassemble_stage`, for tokens of `dim` channels.
    pub(super) fn load(
        weights: &Weights,
        index: usize,
        dim: usize,
        stage: Stage,
        readout: Readout,
    ) -> Result<Self, WeightsError> {
        let Stage { channels, scale } = stage;
        let layer = weights.at(format!("layers.{index}"));
        let resized = layer.at("resize");
        let resize = match scale {
            Scale::Up(1) => None,
            Scale::Up(times) => {
                let shape = ConvTransposeShape::square(channels, channels, times).stride(times);
                Some(Conv2d::load_transposed(&resized, shape)?)
            }
            Scale::Down(part) => {
                let shape = ConvShape::square(channels, channels, 3).stride(part).padding(1);
                Some(Conv2d::load(&resized, shape)?)
            }
        };
        let readout = match readout {
            Readout::Ignore => LoadedReadout::Ignore,
            Readout::Add => LoadedReadout::Add,
            Readout::Project(activation) => {
                let project = weights.at(format!("readout_projects.{index}.0"));
                let weight = project.get("weight", &[dim, 2 * dim])?;
                let bias = project.get("bias", &[dim])?;
                let half = |at: usize, bias: Option<Tensor>| {
                    Linear::new(&weight.narrow(1, at, dim)?.to_contiguous()?, bias, weights.precision())
                };
                let tokens = half(0, None).map_err(WeightsError::Engine)?;
                let readout = half(dim, Some(bias)).map_err(WeightsError::Engine)?;
                LoadedReadout::Project { tokens, readout, activation }
            }
        };
        let project = Linear::load_pointwise(&layer.at("projection"), dim, channels)?;
        Ok(Self { readout, project, resize })
    }

    /// `[batch, 1 + rows * columns, dim]` to `[batch, channels, height, width]`.
    pub(super) fn forward(&self, states: &Tensor, [rows, columns]: [usize; 2]) -> Result<Tensor> {
        let (batch, count, dim) = states.dims3()?;
        if count != 1 + rows * columns {
            return Err(EngineError::Msg(format!("{count} tokens, one and {rows} by {columns} are wanted")));
        }
        let tokens = states.narrow(1, 1, count - 1)?;
        let first = || states.narrow(1, 0, 1)?.to_contiguous();
        let everywhere = |token: Tensor| token.broadcast_as((batch, count - 1, dim));
        let tokens = match &self.readout {
            LoadedReadout::Ignore => tokens.to_contiguous()?,
            LoadedReadout::Add => (tokens + everywhere(first()?)?)?,
            LoadedReadout::Project { tokens: of_tokens, readout, activation } => {
                let readout = everywhere(readout.forward(&first()?)?)?;
                activation.forward(&of_tokens.forward_onto(&tokens.to_contiguous()?, &readout)?)?
            }
        };
        let map = self.project.forward(&tokens)?.transpose(1, 2)?.to_contiguous()?;
        let channels = map.dim(1)?;
        let map = map.reshape((batch, channels, rows, columns))?;
        match &self.resize {
            Some(resize) => resize.forward(&map),
            None => Ok(map),
        }
    }
}
