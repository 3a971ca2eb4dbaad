//! SAM and SAM 2 against transformers 5.23 (tests/reference/sam.py, sam2.py).

use std::collections::BTreeMap;
use std::path::PathBuf;

use percept_backbone::image_processor::Canvas;
use percept_backbone::{Device, Tensor, Weights};
use percept_core::{LocalModel, Precision};
use safetensors::SafeTensors;

use super::config::Family;
use super::decoder::ImageEmbedding;
use super::network::Network;
use super::prompts::{CanvasPoint, Meaning, Prompt};
use super::upsample::Upsampler;

pub(crate) struct Golden {
    pub(crate) local: LocalModel,
    tensors: BTreeMap<String, Tensor>,
}

impl Golden {
    pub(crate) fn read(kind: &str) -> Self {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden").join(kind);
        let local = LocalModel::of_folder(kind, &folder).unwrap();
        let bytes = std::fs::read(folder.join("fixture.safetensors")).unwrap();
        let read = |(name, view): (String, safetensors::tensor::TensorView<'_>)| {
            let values = view.data().chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap()));
            (name, Tensor::from_vec(values.collect(), view.shape(), &Device::Cpu).unwrap())
        };
        let tensors = SafeTensors::deserialize(&bytes).unwrap().tensors().into_iter().map(read).collect();
        Self { local, tensors }
    }

    pub(crate) fn network(&self, family: Family, precision: Precision) -> Network {
        let weights = Weights::open_safetensors(&self.local, &Device::Cpu).unwrap().in_precision(precision);
        Network::load(&self.local, &weights, family).unwrap()
    }

    pub(crate) fn get(&self, name: &str) -> &Tensor {
        self.tensors.get(name).unwrap_or_else(|| panic!("the fixture has no {name}"))
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    /// One picture's prompts of a kind.
    fn prompts(&self, kind: &str, picture: usize) -> Vec<Prompt> {
        let item = |name: &str| {
            let tensor = self.tensors.get(&format!("{kind}.{name}"))?;
            Some(tensor.narrow(0, picture, 1).unwrap().squeeze(0).unwrap())
        };
        let mut prompts = vec![Prompt::default(); 3];
        if let (Some(points), Some(labels)) = (item("input_points"), item("input_labels")) {
            let labels = labels.to_vec2::<f32>().unwrap();
            for ((prompt, points), labels) in
                prompts.iter_mut().zip(points.to_vec3::<f32>().unwrap()).zip(labels)
            {
                prompt.points = points.iter().zip(labels).map(|(at, label)| point(at, label)).collect();
            }
        }
        if let Some(boxes) = item("input_boxes") {
            for (prompt, corners) in prompts.iter_mut().zip(boxes.to_vec2::<f32>().unwrap()) {
                prompt.bounding_box = Some(corners.try_into().unwrap());
            }
        }
        if let Some(mask) = item("input_masks") {
            let logits = mask.flatten_all().unwrap().to_vec1::<f32>().unwrap();
            prompts.iter_mut().for_each(|prompt| prompt.mask = Some(logits.clone()));
        }
        prompts
    }
}

fn point(at: &[f32], label: f32) -> CanvasPoint {
    let meaning = match label as i64 {
        0 => Meaning::Background,
        1 => Meaning::Foreground,
        -1 => Meaning::NoPoint,
        _ => Meaning::Padding,
    };
    CanvasPoint { x: at[0], y: at[1], meaning }
}

/// The largest difference, as a part of the largest reference value.
#[track_caller]
pub(crate) fn error(found: &Tensor, wanted: &Tensor) -> f32 {
    assert_eq!(found.dims(), wanted.dims());
    let largest = |x: Tensor| x.abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap();
    largest((found - wanted).unwrap()) / largest(wanted.clone())
}

#[track_caller]
fn assert_close(found: &Tensor, wanted: &Tensor, what: &str) {
    let error = error(found, wanted);
    assert!(error <= 2e-4, "{what}: {error}");
}

fn picture(tensor: &Tensor, index: usize) -> Tensor {
    tensor.narrow(0, index, 1).unwrap()
}

/// The decoder's input of one picture, from the fixture's pixels.
fn embedding(network: &Network, golden: &Golden, index: usize) -> ImageEmbedding {
    let (embedding, maps) = network.embed(&picture(golden.get("pixel_values"), index)).unwrap();
    for (level, map) in maps.iter().enumerate() {
        let name = match network.family {
            Family::Sam => "image_embeddings".to_owned(),
            Family::Sam2 => format!("image_embeddings.{level}"),
        };
        let map = map.permute([0, 3, 1, 2]).unwrap();
        assert_close(&map, &picture(golden.get(&name), index), &name);
    }
    embedding
}

fn check_prompts(kind: &str, family: Family) {
    let golden = Golden::read(kind);
    let network = golden.network(family, Precision::F32);
    let mut checked = 0;
    for index in 0..2 {
        let image = embedding(&network, &golden, index);
        for prompt in ["points", "one_point", "boxes", "both", "mask"] {
            if !golden.has(&format!("{prompt}.one.iou_scores")) {
                continue;
            }
            let found = network.candidates(&image, &golden.prompts(prompt, index)).unwrap();
            let (count, masks, side, _) = found.logits.dims4().unwrap();
            let scores = Tensor::new(found.scores.clone(), &Device::Cpu).unwrap();
            let want =
                |name: &str| picture(golden.get(&format!("{prompt}.{name}")), index).squeeze(0).unwrap();
            if golden.has(&format!("{prompt}.several.iou_scores")) {
                let several = found.logits.narrow(1, 1, masks - 1).unwrap();
                assert_close(&several, &want("several.pred_masks"), prompt);
                assert_close(&scores.narrow(1, 1, masks - 1).unwrap(), &want("several.iou_scores"), prompt);
            }
            let chosen = (0..count).map(|row| {
                let logits = found.logits.get(row).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
                let index = network.single(&found.scores[row], &logits);
                (found.scores[row][index], logits[index * side * side..][..side * side].to_vec())
            });
            let (chosen_scores, chosen): (Vec<_>, Vec<_>) = chosen.unzip();
            let chosen = Tensor::from_vec(chosen.concat(), (count, 1, side, side), &Device::Cpu).unwrap();
            assert_close(&chosen, &want("one.pred_masks"), prompt);
            let chosen_scores = Tensor::from_vec(chosen_scores, (count, 1), &Device::Cpu).unwrap();
            assert_close(&chosen_scores, &want("one.iou_scores"), prompt);
            if golden.has(&format!("{prompt}.one.object_score_logits")) {
                let objects = Tensor::from_vec(found.objects.unwrap(), (count, 1), &Device::Cpu).unwrap();
                assert_close(&objects, &want("one.object_score_logits"), prompt);
            }
            checked += 1;
        }
    }
    assert!(checked >= 4, "{kind}: {checked}");
}

#[test]
fn sam_answers_prompts_as_transformers_does() {
    for kind in ["sam/windows", "sam/plain", "sam/absolute"] {
        check_prompts(kind, Family::Sam);
    }
}

#[test]
fn prompts_are_embedded_as_transformers_embeds_them() {
    let golden = Golden::read("sam/windows");
    let network = golden.network(Family::Sam, Precision::F32);
    for index in 0..2 {
        let embedded = network.prompts.embed(&golden.prompts("mask", index)).unwrap();
        assert_close(
            &embedded.sparse,
            &picture(golden.get("sparse_embeddings"), index).squeeze(0).unwrap(),
            "sparse",
        );
        let dense =
            picture(golden.get("dense_embeddings"), index).flatten_from(2).unwrap().transpose(1, 2).unwrap();
        assert_close(&picture(&embedded.dense, 2), &dense.contiguous().unwrap(), "dense");
    }
    let positions = golden.get("image_positions").flatten_from(2).unwrap().transpose(1, 2).unwrap();
    assert_close(network.prompts.image_positions(), &positions.contiguous().unwrap(), "positions");
}

#[test]
fn sam_2_answers_prompts_as_transformers_does() {
    for kind in ["sam2/stages", "sam2/plain"] {
        check_prompts(kind, Family::Sam2);
    }
}

fn check_upsampling(kind: &str, family: Family, canvas: u32) {
    let golden = Golden::read(kind);
    let logits = golden.get("upsampled.pred_masks").flatten_all().unwrap().to_vec1::<f32>().unwrap();
    let side = logits.len().isqrt();
    for (height, width) in [(37_u32, 91_u32), (150, 61), (64, 64)] {
        let wanted = golden.get(&format!("upsampled.{height}x{width}"));
        let resized = match family {
            Family::Sam => {
                let scale = f64::from(canvas) / f64::from(width.max(height));
                [width, height].map(|length| (f64::from(length) * scale + 0.5) as u32)
            }
            Family::Sam2 => [canvas; 2],
        };
        let (original, offset, whole) = ((width, height), (0, 0), (canvas, canvas));
        let canvas = Canvas { original, resized: resized.into(), offset, size: whole };
        let size = [width as usize, height as usize];
        let upsampler = Upsampler::new(&canvas, family, side, [0, 0], size);
        let plane = Tensor::from_vec(upsampler.plane(&logits), wanted.dims(), &Device::Cpu).unwrap();
        assert_close(&plane, wanted, "resized logits");
        // The mask is the same plane, cut off; few pixels are so close to it that rounding decides.
        let wanted = wanted.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        let found = upsampler.mask(&logits, 0.1);
        let pixels = found.mask.pixels();
        let differ = pixels.iter().zip(&wanted).filter(|(found, wanted)| (**found == 1) != (**wanted > 0.0));
        assert!(differ.count() <= 1, "{height} by {width}");
        let above = |cut: f32| wanted.iter().filter(|value| **value > cut).count() as f32;
        assert!((found.stability - above(0.1) / above(-0.1)).abs() < 2e-3, "{height} by {width}");
        // In a corner of a larger picture it is the same mask, moved.
        let inside =
            Upsampler::new(&canvas, family, side, [3, 5], [size[0] + 7, size[1] + 6]).mask(&logits, 0.1);
        let moved = inside.mask.bounding_box().unwrap();
        let found = found.mask.bounding_box().unwrap();
        assert_eq!(moved, [found[0] + 3, found[1] + 5, found[2] + 3, found[3] + 5]);
    }
}

#[test]
fn masks_are_resized_as_the_processor_resizes_them() {
    check_upsampling("sam/windows", Family::Sam, 88);
    check_upsampling("sam2/stages", Family::Sam2, 128);
}
