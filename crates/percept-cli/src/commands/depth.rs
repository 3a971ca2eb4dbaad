//! `percept depth`: a picture to depth, the way that every task takes (docs/architecture.md).

use std::sync::Arc;

use percept::depth::{
    self, Answers, Camera, DepthInput, DepthMap, DepthOptions, Format, Task, Tiling, known_focal,
};
use percept::flow::{ExitCode, Item};
use percept::hub::Hub;
use percept::{Loaded, ModelCard, Rendered, Result, Runtime};
use serde::Serialize;

use super::pictures::{self, Asked, Picture};
use crate::args::DepthArguments;

pub(crate) fn run(arguments: &DepthArguments) -> Result<ExitCode> {
    let formats = pictures::formats(&arguments.format, &arguments.on.files, &[Format::Json, Format::Png]);
    pictures::run(&arguments.on, &Depths::new(arguments, formats)?)
}

/// `percept worker depth`.
pub(crate) fn serve(arguments: &DepthArguments) -> Result<ExitCode> {
    pictures::serve(&arguments.on, &Depths::new(arguments, vec![Format::Json])?)
}

#[derive(Debug)]
struct Depths {
    camera: Option<Camera>,
    tiling: Option<Tiling>,
    formats: Vec<Format>,
}

impl Depths {
    fn new(arguments: &DepthArguments, formats: Vec<Format>) -> Result<Self> {
        let focal = arguments.focal.map(Camera::Focal);
        let camera = focal.or(arguments.fov.map(Camera::FieldOfView)).map(Camera::check).transpose()?;
        let tiling = |tile: u32| Tiling::new(tile, arguments.overlap.unwrap_or(tile / 4));
        Ok(Self { camera, tiling: arguments.tile.map(tiling).transpose()?, formats })
    }

    fn answers<'a>(&self, picture: &'a Picture, map: &'a DepthMap) -> Answers<'a> {
        Answers::new(map, &picture.image, known_focal(self.camera, &picture.info))
    }
}

impl Asked for Depths {
    type Task = Task;
    type Format = Format;
    type Card = ModelCard;

    fn formats(&self) -> &[Format] {
        &self.formats
    }

    fn load(&self, hub: &Hub, name: Option<&str>, runtime: &Runtime) -> Result<(Loaded<Task>, ModelCard)> {
        let loaded = depth::load(hub, name, self.tiling, runtime)?;
        let card = ModelCard::new(&loaded);
        Ok((loaded, card))
    }

    fn input(&self, _: &Item, picture: &Picture) -> Result<DepthInput> {
        let focal = known_focal(self.camera, &picture.info).map(|(pixels, _)| pixels);
        Ok(DepthInput { image: picture.image.clone(), options: Arc::new(DepthOptions { focal }) })
    }

    fn record(&self, _: &str, picture: &Picture, map: &DepthMap) -> impl Serialize {
        self.answers(picture, map).record()
    }

    fn render(&self, format: Format, _: &str, picture: &Picture, map: &DepthMap) -> Result<Rendered> {
        self.answers(picture, map).render(format)
    }
}
