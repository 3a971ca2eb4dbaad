//! What the network itself says, under transformers' names.

use percept_backbone::checkpoint::raw_floats;
use percept_core::segment::{SegmentInput, SegmentRequest};
use percept_core::{RawTensor, RawValues, Result};

use super::Sam;
use super::config::Family;
use super::objects::{batches, prompts};

/// `pixel_values` and `image_embeddings` (of SAM 2: `image_embeddings.0` to `.2`, from fine to coarse); where objects are
/// pointed at also, of the candidates (`multimask_output=True`), `iou_scores` `[1, objects, candidates]` and `pred_masks`
/// `[1, objects, candidates, side, side]`, and of SAM 2 `object_score_logits` `[1, objects, 1]`.
pub(super) fn tensors(sam: &Sam, input: &SegmentInput) -> Result<Vec<RawTensor>> {
    let network = &sam.network;
    let compute = sam.compute_error();
    let (pixels, canvas) = sam.prepare(&input.image)?;
    let (embedding, maps) = network.embed(&pixels).map_err(&compute)?;
    let mut tensors = vec![raw_floats("pixel_values", Ok(pixels)).map_err(&compute)?];
    for (level, map) in maps.iter().enumerate() {
        let name = match network.family {
            Family::Sam => "image_embeddings".to_owned(),
            Family::Sam2 => format!("image_embeddings.{level}"),
        };
        tensors.push(raw_floats(&name, map.permute([0, 3, 1, 2])).map_err(&compute)?);
    }
    let SegmentRequest::Objects { objects, .. } = &input.options.request else { return Ok(tensors) };
    let prompts = prompts(sam, &canvas, objects)?;
    let (count, masks) = (prompts.len(), network.decoder.masks());
    let pixels = network.prompts.mask_side() * network.prompts.mask_side();
    let mut scores = vec![0.0; count * (masks - 1)];
    let mut logits = vec![0.0; count * (masks - 1) * pixels];
    let mut objects = vec![0.0; count];
    for batch in batches(&prompts) {
        let chosen = batch.iter().map(|index| prompts[*index].clone()).collect::<Vec<_>>();
        let found = network.candidates(&embedding, &chosen).map_err(&compute)?;
        let all = found.logits.flatten_all().and_then(|logits| logits.to_vec1::<f32>()).map_err(&compute)?;
        for (row, index) in batch.iter().enumerate() {
            scores[index * (masks - 1)..][..masks - 1].copy_from_slice(&found.scores[row][1..]);
            let from = &all[(row * masks + 1) * pixels..][..(masks - 1) * pixels];
            logits[index * (masks - 1) * pixels..][..(masks - 1) * pixels].copy_from_slice(from);
            objects[*index] = found.objects.as_ref().map_or(0.0, |objects| objects[row]);
        }
    }
    let side = network.prompts.mask_side();
    let plain = |name: &str, shape: Vec<usize>, values| RawTensor {
        name: name.into(),
        shape,
        values: RawValues::F32(values),
    };
    tensors.push(plain("iou_scores", vec![1, count, masks - 1], scores));
    tensors.push(plain("pred_masks", vec![1, count, masks - 1, side, side], logits));
    if network.family == Family::Sam2 {
        tensors.push(plain("object_score_logits", vec![1, count, 1], objects));
    }
    Ok(tensors)
}
