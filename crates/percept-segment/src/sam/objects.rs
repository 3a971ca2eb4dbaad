//! Objects that are pointed at.
//!
//! As the authors advise (`SamPredictor.predict`), a single point, which is ambiguous, is answered by the best of the
//! candidates; several points, a box or a mask by the one mask that is made for them.

use std::time::Instant;

use percept_backbone::checkpoint::milliseconds;
use percept_backbone::for_layers;
use percept_backbone::image_processor::Canvas;
use percept_core::segment::{Candidate, Candidates, EverythingOptions, Instance, ObjectPrompt, PointLabel};
use percept_core::{Error, Result, Timings};

use super::network::best_candidate;
use super::prompts::{CanvasPoint, Form, Meaning, Prompt};
use super::upsample::Upsampler;
use super::{Look, Sam, took};

/// Prompts that go through the decoder at once: each has a copy of the image's embedding there.
pub(super) const AT_ONCE: usize = 16;

/// One instance for each object, in their order.
pub(super) fn answer(
    sam: &Sam,
    look: &Look,
    objects: &[ObjectPrompt],
    candidates: Candidates,
    timings: &mut Timings,
) -> Result<Vec<Instance>> {
    let prompts = prompts(sam, &look.canvas, objects)?;
    let network = &sam.network;
    let mut upsampler = None;
    let mut instances = vec![None; objects.len()];
    for batch in batches(&prompts) {
        let began = Instant::now();
        let chosen = batch.iter().map(|index| prompts[*index].clone()).collect::<Vec<_>>();
        let found = network.candidates(&look.embedding, &chosen).map_err(sam.compute_error())?;
        let (_, masks, side, _) = found.logits.dims4().map_err(sam.compute_error())?;
        let logits = found
            .logits
            .flatten_all()
            .and_then(|logits| logits.to_vec1::<f32>())
            .map_err(sam.compute_error())?;
        took(timings, "decoder", began);

        let began = Instant::now();
        let (width, height) = look.canvas.original;
        let upsampler = upsampler.get_or_insert_with(|| {
            Upsampler::new(&look.canvas, network.family, side, [0, 0], [width as usize, height as usize])
        });
        let offset = EverythingOptions::default().stability_score_offset;
        let made = for_layers(batch.len(), |row| {
            let logits = &logits[row * masks * side * side..][..masks * side * side];
            let upsampled =
                |mask: usize| upsampler.mask(&logits[mask * side * side..][..side * side], offset);
            let scores = &found.scores[row];
            let best = match chosen[row].is_ambiguous() {
                true => best_candidate(scores),
                false => network.single(scores, logits),
            };
            let answer = upsampled(best);
            let mut instance = Instance::new(batch[row] as u32 + 1, answer.mask, scores[best], None);
            instance.stability = Some(answer.stability);
            if candidates == Candidates::All {
                let candidate = |mask: usize| Candidate { mask: upsampled(mask).mask, score: scores[mask] };
                instance.candidates = (1..masks).map(candidate).collect();
            }
            Ok::<_, Error>(instance)
        })?;
        batch.iter().zip(made).for_each(|(index, instance)| instances[*index] = Some(instance));
        timings.finish += milliseconds(began);
    }
    Ok(instances.into_iter().flatten().collect())
}

/// The prompts on the canvas.
pub(super) fn prompts(sam: &Sam, canvas: &Canvas, objects: &[ObjectPrompt]) -> Result<Vec<Prompt>> {
    let side = sam.network.prompts.mask_side();
    let prompt = |(index, object): (usize, &ObjectPrompt)| {
        if object.points.is_empty() && object.bounding_box.is_none() {
            return Err(Error::Argument {
                message: format!("object {} has neither points nor a box", index + 1),
                hint: Some("give it a point on it: `--point X,Y`".into()),
            });
        }
        let numbers = object.points.iter().flat_map(|point| [point.x, point.y]);
        if !numbers.chain(object.bounding_box.into_iter().flatten()).all(f32::is_finite) {
            return Err(Error::argument(format!("object {} has a coordinate that is no number", index + 1)));
        }
        let mask = match &object.mask {
            Some(mask) if mask.side != side || mask.logits.len() != side * side => {
                return Err(Error::argument(format!(
                    "the mask of object {} has {} by {0} logits, `{}` takes {side} by {side}",
                    index + 1,
                    mask.side,
                    sam.id
                )));
            }
            mask => mask.as_ref().map(|mask| mask.logits.clone()),
        };
        let point = |point: &percept_core::segment::PointPrompt| {
            let [x, y] = canvas.to_canvas([point.x, point.y]);
            let meaning = match point.label {
                PointLabel::Foreground => Meaning::Foreground,
                PointLabel::Background => Meaning::Background,
            };
            CanvasPoint { x, y, meaning }
        };
        Ok(Prompt {
            points: object.points.iter().map(point).collect(),
            bounding_box: object.bounding_box.map(|corners| canvas.box_to_canvas(corners)),
            mask,
        })
    };
    objects.iter().enumerate().map(prompt).collect()
}

/// Which prompts go through the decoder together: those of one form, a few at a time.
pub(super) fn batches(prompts: &[Prompt]) -> Vec<Vec<usize>> {
    let mut groups: Vec<(Form, Vec<usize>)> = Vec::new();
    for (index, prompt) in prompts.iter().enumerate() {
        match groups.iter_mut().find(|(form, _)| *form == prompt.form()) {
            Some((_, group)) => group.push(index),
            None => groups.push((prompt.form(), vec![index])),
        }
    }
    groups.iter().flat_map(|(_, group)| group.chunks(AT_ONCE)).map(<[usize]>::to_vec).collect()
}
