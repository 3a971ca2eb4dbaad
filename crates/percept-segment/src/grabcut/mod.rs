//! GrabCut (Rother, Kolmogorov and Blake 2004): an object is cut out by the colours inside and outside a box and by
//! the edges between pixels. It has no weights; constants and order are OpenCV's `grabCut`, so that masks agree.
//!
//! A picture whose longer side is over 640 pixels is shrunk by a whole factor first. The outline is then cut anew in
//! full size, with the same mixtures, in a band of two shrunk pixels around where it was.
//!
//! A box says that what is outside is background. A point says it of a disc, of 1 % of the picture's shorter side but
//! at least 2 pixels. Without a box the object is at first what is connected to the foreground points and has their
//! colours, and of the mask in the end the parts that hold such a point remain.

mod canvas;
mod cut;
mod flow;
#[cfg(test)]
mod golden;
mod mixture;

use std::time::Instant;

use percept_core::segment::{
    Candidate, Candidates, Image, Instance, Mask, ObjectPrompt, PointLabel, PointPrompt, SegmentInput,
    SegmentRequest, Segmentation, SegmentationKind,
};
use percept_core::{
    Error, LocalModel, Model, Precision, Predicted, RawTensor, Result, Runtime, Segment, Timings,
};

use crate::components::{Connectivity, Regions, Side};
use crate::refine::refine;
use canvas::{Canvas, Ground};

/// The longer side, in pixels, of the largest picture that is cut as it is.
const LONGEST_SIDE: usize = 640;

/// The model; it has nothing to remember.
struct GrabCut;

/// Makes the model. There is nothing to read, and it runs on the processor whatever the device.
pub(crate) fn load(_: &LocalModel, _: &Runtime) -> Result<Box<dyn Model<Segment>>> {
    Ok(Box::new(GrabCut))
}

impl Model<Segment> for GrabCut {
    fn predict(&self, inputs: &[SegmentInput]) -> Result<Vec<Predicted<Segmentation>>> {
        inputs.iter().map(predict).collect()
    }

    fn raw(&self, _: &SegmentInput) -> Result<Vec<RawTensor>> {
        Err(Error::Argument {
            message: "grabcut has no network, so there are no raw outputs".into(),
            hint: Some("its mask is all there is; other models of `segment` have raw outputs".into()),
        })
    }

    fn precision(&self) -> Precision {
        Precision::F32
    }
}

fn predict(input: &SegmentInput) -> Result<Predicted<Segmentation>> {
    let begin = Instant::now();
    let SegmentRequest::Objects { objects, candidates } = &input.options.request else {
        return Err(Error::Argument {
            message: "grabcut cuts out what a box or a point shows, and nothing else".into(),
            hint: Some("give a box or points, or choose another model".into()),
        });
    };
    let image = &*input.image;
    objects.iter().try_for_each(|prompt| check(image, prompt))?;
    let factor = (image.width.max(image.height) as usize).div_ceil(LONGEST_SIDE).max(1);
    let canvas = Canvas::new(image, factor);
    let mut instances = Vec::with_capacity(objects.len());
    let prepared = begin.elapsed();
    for prompt in objects {
        let (mask, score) = segment(image, &canvas, prompt)?;
        let mut instance = Instance::new(instances.len() as u32 + 1, mask, score, None);
        if *candidates == Candidates::All {
            instance.candidates = vec![Candidate { mask: instance.mask.clone(), score }];
        }
        instances.push(instance);
    }
    let computed = begin.elapsed();
    let (width, height) = image.size();
    let kind = SegmentationKind::Prompted;
    let output = refine(Segmentation { width, height, kind, instances }, &input.options, &[])?;
    let milliseconds = |duration: std::time::Duration| duration.as_secs_f64() * 1000.0;
    let timings = Timings {
        prepare: milliseconds(prepared),
        model: milliseconds(computed - prepared),
        finish: milliseconds(begin.elapsed() - computed),
        ..Timings::default()
    };
    Ok(Predicted { output, timings })
}

/// Whether a prompt says something that can be cut out.
fn check(image: &Image, prompt: &ObjectPrompt) -> Result<()> {
    let wrong = |message: &str, hint: &str| {
        Err(Error::Argument { message: message.to_owned(), hint: Some(hint.to_owned()) })
    };
    if prompt.mask.is_some() {
        return wrong("grabcut takes no mask as a prompt", "SAM and SAM 2.1 do");
    }
    let (width, height) = (image.width as f32, image.height as f32);
    let outside =
        |point: &&PointPrompt| !((0.0..width).contains(&point.x) && (0.0..height).contains(&point.y));
    if let Some(point) = prompt.points.iter().find(outside) {
        let message = format!("point {},{} is not in the picture", point.x, point.y);
        return wrong(&message, &format!("the picture has {width} x {height} pixels"));
    }
    match prompt.bounding_box {
        Some([left, top, right, bottom]) => {
            let within = left.max(0.0) < right.min(width) && top.max(0.0) < bottom.min(height);
            if !within {
                let message = format!("box {left},{top},{right},{bottom} has no pixel of the picture");
                return wrong(&message, "a box is left, top, right, bottom in pixels");
            }
        }
        None if prompt.points.iter().all(|point| point.label == PointLabel::Background) => {
            return wrong("grabcut needs a box or a point on the object", "give one of both");
        }
        None => {}
    }
    Ok(())
}

/// The mask of one prompt, and how likely its colours are.
fn segment(image: &Image, canvas: &Canvas, prompt: &ObjectPrompt) -> Result<(Mask, f32)> {
    let ground = canvas.ground(prompt);
    let start = match prompt.bounding_box {
        // In a box all that is not known is taken for the object at first.
        Some(_) => ground.iter().map(|ground| *ground != Ground::Background).collect(),
        None => cut::grown(canvas, &ground),
    };
    let Some((inside, sides)) = cut::grab(canvas, &ground, start) else {
        return Err(Error::Argument {
            message: "grabcut needs some pixels of the object and some of what is not".into(),
            hint: Some("leave a margin around the box, or add a background point".into()),
        });
    };
    let score = sides.certainty(canvas, &inside);
    let (inside, ground) = if canvas.factor == 1 {
        (inside, ground)
    } else {
        let full = Canvas::new(image, 1);
        let said = full.ground(prompt);
        let ground = band(canvas, &inside, &full, said.clone());
        (cut::cut(&full, &ground, &sides), said)
    };
    let pixels: Vec<u8> = inside.into_iter().map(u8::from).collect();
    let mask = Mask::from_pixels(image.width, image.height, &pixels);
    Ok((if prompt.bounding_box.is_some() { mask } else { pointed_at(&mask, &ground) }, score))
}

/// The parts of a mask that hold a foreground point: without a box, others of the same colours may lie anywhere.
fn pointed_at(mask: &Mask, ground: &[Ground]) -> Mask {
    let regions = Regions::new(mask, Side::Inside, Connectivity::Eight);
    let mut kept = vec![false; regions.areas().len()];
    for (index, _) in ground.iter().enumerate().filter(|(_, ground)| **ground == Ground::Foreground) {
        let (x, y) = (index as u32 % mask.width(), index as u32 / mask.width());
        regions.at(x, y).into_iter().for_each(|region| kept[region] = true);
    }
    regions.mask(|region| kept[region])
}

/// What is known in full size after a cut of the shrunk picture: everything but pixels whose shrunk pixel touches one
/// on the other side. What the prompt says stays.
fn band(small: &Canvas, inside: &[bool], full: &Canvas, mut ground: Vec<Ground>) -> Vec<Ground> {
    let near = |x: usize, y: usize| {
        let (columns, rows) =
            (x.saturating_sub(1)..(x + 2).min(small.width), y.saturating_sub(1)..(y + 2).min(small.height));
        let own = inside[y * small.width + x];
        rows.flat_map(|y| columns.clone().map(move |x| (x, y)))
            .any(|(x, y)| inside[y * small.width + x] != own)
    };
    let open: Vec<bool> =
        (0..inside.len()).map(|index| near(index % small.width, index / small.width)).collect();
    for (index, ground) in ground.iter_mut().enumerate() {
        let (x, y) = (index % full.width / small.factor, index / full.width / small.factor);
        let block = y * small.width + x;
        if *ground == Ground::Unknown && !open[block] {
            *ground = if inside[block] { Ground::Foreground } else { Ground::Background };
        }
    }
    ground
}
