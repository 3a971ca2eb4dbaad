//! From a fused map to depth (`DPTDepthEstimationHead`, and those of Depth Anything and ZoeDepth).

use percept_backbone::{
    Activation, Alignment, Conv2d, ConvShape, Filter, Result, Tensor, Weights, WeightsError, resize,
};

/// Three convolutions, with a resize behind the first.
pub(crate) struct Head {
    /// Before all of them, where the configuration says `add_projection`.
    projection: Option<Conv2d>,
    narrow: Conv2d,
    refine: Conv2d,
    last: Conv2d,
}

impl Head {
    /// Loads the convolutions of these names, from `width` channels to half of them, to `hidden`, to one.
    pub(crate) fn load(
        weights: &Weights,
        names: [&str; 3],
        (width, hidden): (usize, usize),
        projects: bool,
    ) -> Result<Self, WeightsError> {
        let wide = |to: usize, from: usize| ConvShape::square(to, from, 3).padding(1);
        let projection = match projects {
            true => Some(Conv2d::load(&weights.at("projection"), wide(width, width))?),
            false => None,
        };
        let [narrow, refine, last] = names.map(|name| weights.at(name));
        Ok(Self {
            projection,
            narrow: Conv2d::load(&narrow, wide(width / 2, width))?,
            refine: Conv2d::load(&refine, wide(hidden, width / 2))?,
            last: Conv2d::load(&last, ConvShape::square(1, hidden, 1))?,
        })
    }

    /// A map `[batch, width, height, columns]` to features `[batch, hidden, ..]` of `size`; of twice the map's where none
    /// is given.
    pub(crate) fn features(&self, map: &Tensor, size: Option<[usize; 2]>) -> Result<Tensor> {
        let (_, _, height, columns) = map.dims4()?;
        let narrow = match &self.projection {
            Some(projection) => self.narrow.forward(&projection.forward_activated(map, Activation::Relu)?)?,
            None => self.narrow.forward(map)?,
        };
        let size = size.unwrap_or([2 * height, 2 * columns]);
        let wide = resize(&narrow, size, Filter::Bilinear, Alignment::Corners)?;
        self.refine.forward_activated(&wide, Activation::Relu)
    }

    /// Features to depth `[batch, height, width]`.
    pub(crate) fn depth(&self, features: &Tensor, activation: Activation) -> Result<Tensor> {
        self.last.forward_activated(features, activation)?.squeeze(1)
    }
}
