//! ViTPose and ViTPose++ (Xu et al. 2022, arXiv 2204.12484 and 2212.04246): a heat map for each keypoint of the subject
//! that a box shows. Any Hugging Face snapshot of `VitPoseForPoseEstimation`; numbers are those of transformers 5.23.

mod answers;
#[cfg(test)]
mod golden;
mod heads;
mod network;

use std::time::Instant;

use percept_backbone::checkpoint::{configuration, device_and_precision, milliseconds, raw_floats};
use percept_backbone::image_processor::{ImageProcessor, Prepared, settings};
use percept_backbone::{
    Device, Result as EngineResult, Tensor, Weights, WeightsError, compute_error, on_compute_threads,
};
use percept_core::pose::{Image, Keypoint, KeypointScheme, Pose, PoseInput, PoseOptions, Poses, Subject};
use percept_core::{
    Error, LocalModel, Model, Pose as PoseTask, Precision, Predicted, RawTensor, Result, Runtime, Timings,
};
use serde_json::Value;

use crate::crop::Crop;
use crate::duplicates;
use crate::peaks::{Peak, Peaks};
use answers::{Answer, chosen};
use heads::{flipped_back, mirrored};
use network::Network;

/// Keypoints that do not score more than this count as not seen where nothing else is asked, as in the reference's
/// documentation.
const THRESHOLD: f32 = 0.3;
/// Crops that go through the network together: enough to fill a processor, and a crowd does not fill the memory.
const TOGETHER: usize = 16;

/// A loaded ViTPose.
struct VitPose {
    id: String,
    network: Network,
    processor: ImageProcessor,
    device: Device,
    precision: Precision,
}

/// Loads a checkpoint.
pub(crate) fn load(local: &LocalModel, runtime: &Runtime) -> Result<Box<dyn Model<PoseTask>>> {
    Ok(Box::new(VitPose::load(local, runtime)?))
}

impl VitPose {
    fn load(local: &LocalModel, runtime: &Runtime) -> Result<Self> {
        let (device, precision) = device_and_precision(runtime)?;
        let config = configuration(local)?;
        let weights = Weights::open_safetensors(local, &device)?.in_precision(precision);
        let build = || {
            let network = Network::load(&weights, &config)?;
            check_preparation(&settings(local)?, network.image())?;
            Ok(network)
        };
        Ok(Self {
            id: local.id.clone(),
            network: build().map_err(|error: WeightsError| error.of(&local.id))?,
            processor: ImageProcessor::open(local, "VitPoseImageProcessor")?,
            device,
            precision,
        })
    }

    fn crop(&self, index: usize, subject: &Subject, image: &Image) -> Result<Crop> {
        let [height, width] = self.network.image();
        Crop::around(index, subject, image, [width, height])
    }

    /// The network's input for some crops of a picture.
    fn pixels(&self, image: &Image, crops: &[Crop]) -> Result<Tensor> {
        let prepared = crops.iter().map(|crop| self.processor.prepare(&crop.cut(image)));
        let prepared = prepared.collect::<Result<Vec<_>>>()?;
        Prepared::batch(&prepared, &self.device).map_err(compute_error(&self.id))
    }

    /// Heat maps `[crops, keypoints, rows, columns]`.
    fn heatmaps(&self, pixels: &Tensor, answer: &Answer, options: &PoseOptions) -> EngineResult<Tensor> {
        let heatmaps = self.network.heatmaps(pixels, answer)?;
        if !options.flip_test {
            return Ok(heatmaps);
        }
        let other = self.network.heatmaps(&mirrored(pixels)?, answer)?;
        (heatmaps + flipped_back(&other, &answer.scheme)?)? * 0.5
    }

    fn predict_one(&self, input: &PoseInput) -> Result<Predicted<Poses>> {
        let PoseInput { image, subjects, options } = input;
        let answer = self.answer(options)?;
        let subjects_and_crops = subjects
            .iter()
            .enumerate()
            .map(|(index, subject)| Ok((index, subject, self.crop(index, subject, image)?)));
        let all = subjects_and_crops.collect::<Result<Vec<_>>>()?;
        let mut timings = Timings::default();
        let mut poses = Vec::with_capacity(all.len());
        for together in all.chunks(TOGETHER) {
            let began = Instant::now();
            let crops: Vec<Crop> = together.iter().map(|(_, _, crop)| *crop).collect();
            let pixels = self.pixels(image, &crops)?;
            timings.prepare += milliseconds(began);
            let began = Instant::now();
            let found = self
                .heatmaps(&pixels, answer, options)
                .and_then(|maps| Ok((maps.dims4()?, maps.flatten_all()?.to_vec1::<f32>()?)))
                .map_err(compute_error(&self.id))?;
            timings.model += milliseconds(began);
            let began = Instant::now();
            let ((_, keypoints, rows, columns), maps) = found;
            let peaks = Peaks::new([rows, columns]);
            let maps = maps.chunks_exact(keypoints * rows * columns);
            for ((index, subject, crop), maps) in together.iter().zip(maps) {
                let found = maps.chunks_exact(rows * columns).map(|map| {
                    let Peak { at, score } = peaks.find(map);
                    (crop.to_picture(at, [rows, columns]), score)
                });
                poses.push(pose(*index, subject, found, options.score.unwrap_or(THRESHOLD)));
            }
            timings.finish += milliseconds(began);
        }
        timings.counts = vec![("subjects", subjects.len())];
        if let Some(threshold) = options.oks {
            let areas: Vec<f32> = all.iter().map(|(_, _, crop)| crop.area()).collect();
            poses = without_duplicates(poses, &areas, &answer.scheme, threshold);
        }
        let (width, height) = image.size();
        Ok(Predicted { output: Poses { width, height, scheme: answer.scheme.clone(), poses }, timings })
    }

    fn answer(&self, options: &PoseOptions) -> Result<&Answer> {
        let answer = chosen(self.network.answers(), options.keypoints, &self.id)?;
        if options.oks.is_some() && answer.scheme.sigmas.is_empty() {
            return Err(Error::Argument {
                message: format!("nobody measured the sigmas of the keypoints of `{}`", self.id),
                hint: Some("without them poses have no OKS, and duplicates cannot be told".into()),
            });
        }
        Ok(answer)
    }
}

impl Model<PoseTask> for VitPose {
    fn predict(&self, inputs: &[PoseInput]) -> Result<Vec<Predicted<Poses>>> {
        on_compute_threads(|| inputs.iter().map(|input| self.predict_one(input)).collect())
    }

    /// `pixel_values` and `heatmaps` of all subjects; with a flip test the heat maps are the mean of both.
    fn raw(&self, input: &PoseInput) -> Result<Vec<RawTensor>> {
        let answer = self.answer(&input.options)?;
        let crops = input.subjects.iter().enumerate();
        let crops = crops.map(|(index, subject)| self.crop(index, subject, &input.image));
        let crops = crops.collect::<Result<Vec<_>>>()?;
        if crops.is_empty() {
            return Err(Error::argument("without a box there is nothing to look at"));
        }
        on_compute_threads(|| {
            let (mut pixels, mut heatmaps) = (Vec::new(), Vec::new());
            for together in crops.chunks(TOGETHER) {
                let part = self.pixels(&input.image, together)?;
                let maps = self.heatmaps(&part, answer, &input.options).map_err(compute_error(&self.id))?;
                pixels.push(part);
                heatmaps.push(maps);
            }
            [("pixel_values", pixels), ("heatmaps", heatmaps)]
                .into_iter()
                .map(|(name, parts)| raw_floats(name, Tensor::cat(&parts, 0)))
                .collect::<EngineResult<Vec<_>>>()
                .map_err(compute_error(&self.id))
        })
    }

    fn precision(&self) -> Precision {
        self.precision
    }
}

/// A subject's pose from places as the reference counts them (centres of pixels at whole numbers) and scores.
fn pose(
    subject: usize,
    Subject { bounding_box, score, label }: &Subject,
    found: impl Iterator<Item = ([f32; 2], f32)>,
    threshold: f32,
) -> Pose {
    let keypoint = |([x, y], score): ([f32; 2], f32)| Keypoint {
        x: x + 0.5,
        y: y + 0.5,
        score,
        seen: score > threshold,
    };
    let keypoints: Vec<Keypoint> = found.map(keypoint).collect();
    let seen = keypoints.iter().filter(|keypoint| keypoint.seen);
    let (sum, count) = seen.fold((0.0, 0.0), |(sum, count), keypoint| (sum + keypoint.score, count + 1.0));
    let mean: f32 = if count > 0.0 { sum / count } else { 0.0 };
    Pose { subject, bounding_box: *bounding_box, label: label.clone(), score: score * mean, keypoints }
}

fn without_duplicates(poses: Vec<Pose>, areas: &[f32], scheme: &KeypointScheme, threshold: f32) -> Vec<Pose> {
    let kept = duplicates::kept(&poses, areas, &scheme.sigmas, threshold);
    let mut poses: Vec<Option<Pose>> = poses.into_iter().map(Some).collect();
    kept.into_iter().filter_map(|index| poses[index].take()).collect()
}

/// Refuses a preparation other than the one in [`Crop`].
fn check_preparation(settings: &Value, [height, width]: [usize; 2]) -> Result<(), WeightsError> {
    let wrong = |reason: String| Err(WeightsError::Format(format!("preprocessor_config.json: {reason}")));
    let size = &settings["size"];
    let stated = match size {
        // The default of its class.
        Value::Null => Some([256, 192]),
        Value::Object(_) => size["height"].as_u64().zip(size["width"].as_u64()).map(|(h, w)| [h, w]),
        _ => None,
    };
    if stated != Some([height as u64, width as u64]) {
        return wrong(format!("`size` is {size}, while the network takes {height} rows and {width} columns"));
    }
    if settings["do_affine_transform"].as_bool() == Some(false) {
        return wrong("`do_affine_transform` is false, which is not supported".into());
    }
    // Any other would have the reference cut one part of the picture and count in another.
    match &settings["normalize_factor"] {
        Value::Null => Ok(()),
        factor if factor.as_f64() == Some(200.0) => Ok(()),
        factor => wrong(format!("`normalize_factor` is {factor}, not 200")),
    }
}
