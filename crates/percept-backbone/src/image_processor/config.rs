//! `preprocessor_config.json`.

use percept_core::LocalModel;
use serde_json::Value;

use super::size_rule::{Aspect, Multiple, SizeRule};
use super::{Crop, ImageProcessor, Pad, Padding, Resample, Resizing, classes};
use crate::{Alignment, Filter, WeightsError};

/// What a snapshot says of its image processor: `preprocessor_config.json`, or the part of `processor_config.json`;
/// null where it has neither.
///
/// # Errors
/// If the file is no JSON.
pub fn settings(local: &LocalModel) -> Result<Value, WeightsError> {
    let read = |name: &str| {
        let Some(path) = local.find(name) else { return Ok(Value::Null) };
        let bytes = std::fs::read(path).map_err(WeightsError::Io)?;
        serde_json::from_slice(&bytes).map_err(|error| WeightsError::Format(format!("{name}: {error}")))
    };
    read("preprocessor_config.json").and_then(|config| match config {
        Value::Null => Ok(read("processor_config.json")?["image_processor"].take()),
        config => Ok(config),
    })
}

/// What a file says, over what its class has without it. A null is as good as nothing.
struct Settings<'a> {
    file: &'a Value,
    class: Value,
}

impl ImageProcessor {
    /// Reads `preprocessor_config.json`, or the part of `processor_config.json` that describes the image processor.
    /// `class` (`SamImageProcessor`, say) is whose defaults count where the file names none, or is not there.
    ///
    /// # Errors
    /// If the file is no JSON, or as [`Self::of`].
    pub fn open(local: &LocalModel, class: &str) -> percept_core::Result<Self> {
        let config = settings(local);
        config.and_then(|config| Self::of(&config, class)).map_err(|error| error.of(&local.id))
    }

    /// Reads the configuration of an image processor, with the defaults of its class in transformers 5.23 where it is
    /// silent; `class` is that class where the configuration does not name it.
    ///
    /// # Errors
    /// For a class that is not known here, and for values that make no sense.
    pub fn of(config: &Value, class: &str) -> Result<Self, WeightsError> {
        let named = ["image_processor_type", "feature_extractor_type"].map(|key| config[key].as_str());
        let class = named.into_iter().flatten().next().unwrap_or(class);
        let Some(class) = classes::defaults(class) else {
            return Err(wrong(format!("`{class}` is no image processor that is known here")));
        };
        let settings = Settings { file: config, class };
        let resize = match settings.switch("do_resize") {
            true => Some((settings.size_rule()?, settings.resizing()?)),
            false => None,
        };
        let crop = if settings.switch("do_center_crop") {
            let size = settings.get("crop_size");
            Some(Crop::Centre(exact(size).ok_or_else(|| wrong(format!("`crop_size` is {size}")))?))
        } else if settings.switch("do_split_image") {
            Some(Crop::Along(settings.split_side()?))
        } else {
            None
        };
        let pad = settings.pad()?;
        let reflects = settings.switch("reflects") && settings.switch("do_pad");
        if reflects && resize.is_none() {
            return Err(wrong("`do_resize` is false where `do_pad` reflects the picture".into()));
        }
        if !settings.get("ensure_multiple_of").is_null() && settings.pads_to_multiple() {
            return Err(wrong(
                "`do_pad` to a `size_divisor` is not supported beside `ensure_multiple_of`".into(),
            ));
        }
        if matches!(resize, Some((_, Resizing::Values { .. }))) && (crop.is_some() || pad.is_some()) {
            return Err(wrong(
                "a picture resized after `do_rescale` is neither cropped nor padded to `pad_size`".into(),
            ));
        }
        Ok(Self { resize, crop, pad, reflects, values: settings.values()? })
    }
}

impl Settings<'_> {
    fn get(&self, key: &str) -> &Value {
        match &self.file[key] {
            Value::Null => &self.class[key],
            value => value,
        }
    }

    fn switch(&self, key: &str) -> bool {
        self.get(key).as_bool().unwrap_or(false)
    }

    /// A count above zero, where there is one.
    fn count(&self, key: &str) -> Result<Option<u32>, WeightsError> {
        match self.get(key) {
            Value::Null => Ok(None),
            value => side(value).map(Some).ok_or_else(|| wrong(format!("`{key}` is {value}"))),
        }
    }

    fn pads_to_multiple(&self) -> bool {
        self.switch("do_pad") && !self.get("size_divisor").is_null()
    }

    fn resizing(&self) -> Result<Resizing, WeightsError> {
        let number = self.get("resample");
        let resample = number
            .as_u64()
            .and_then(Resample::from_number)
            .ok_or_else(|| wrong(format!("`resample` is {number}, not 0 to 5")))?;
        if !self.switch("resizes_values") {
            return Ok(Resizing::Bytes(resample));
        }
        let corners = self.switch("aligns_corners");
        let filter = match resample {
            Resample::Nearest if !corners => Filter::Nearest,
            Resample::Bilinear => Filter::Bilinear,
            Resample::Bicubic => Filter::Bicubic,
            _ => {
                return Err(wrong(format!(
                    "`resample` is {number}, which is not supported after `do_rescale`"
                )));
            }
        };
        let alignment = if corners { Alignment::Corners } else { Alignment::Edges };
        Ok(Resizing::Values { filter, alignment })
    }

    fn size_rule(&self) -> Result<SizeRule, WeightsError> {
        let size = self.get("size");
        let no_size = || wrong(format!("`size` is {size}"));
        let edge = |key: &str| side(&size[key]);
        // An edge alone is how sizes were written before they had keys.
        let shortest = match size.is_number() && !self.switch("default_to_square") {
            true => side(size),
            false => edge("shortest_edge"),
        };
        let longest = edge("longest_edge").or(side(self.get("max_size")));
        let multiple = self.count("size_divisor")?.unwrap_or(1);
        Ok(match (shortest, longest) {
            (Some(shortest), Some(longest)) => {
                let multiple = match self.count("rounds_sizes_down_to")? {
                    Some(down) => Multiple::Down(down),
                    None => Multiple::Up(multiple),
                };
                SizeRule::Edges { shortest, longest, multiple }
            }
            (Some(shortest), None) => SizeRule::Shortest(shortest),
            (None, Some(longest)) if size.is_object() && exact(size).is_none() => SizeRule::Longest(longest),
            _ => match (exact(size), edge("max_width").zip(edge("max_height"))) {
                (Some((width, height)), _) => match self.get("ensure_multiple_of") {
                    Value::Null => SizeRule::Exact {
                        width: width.div_ceil(multiple).saturating_mul(multiple),
                        height: height.div_ceil(multiple).saturating_mul(multiple),
                    },
                    _ => SizeRule::Near {
                        width,
                        height,
                        aspect: if self.switch("keep_aspect_ratio") { Aspect::Kept } else { Aspect::Free },
                        multiple: self.multiple()?,
                    },
                },
                (None, Some((width, height))) => SizeRule::Within { width, height },
                _ => return Err(no_size()),
            },
        })
    }

    /// What both edges are made a multiple of. It may be a fraction: then sizes are whole anyway.
    fn multiple(&self) -> Result<f64, WeightsError> {
        let value = self.get("ensure_multiple_of");
        let number = value.as_f64().filter(|number| (1e-3..65536.5).contains(number));
        number.ok_or_else(|| wrong(format!("`ensure_multiple_of` is {value}")))
    }

    fn split_side(&self) -> Result<u32, WeightsError> {
        let size = self.get("size");
        side(&size["shortest_edge"])
            .or_else(|| side(size))
            .ok_or_else(|| wrong(format!("`size` is {size}, which does not say how large the parts are")))
    }

    fn pad(&self) -> Result<Option<Pad>, WeightsError> {
        if !self.switch("do_pad") {
            // Mask2Former pads to this whenever it is there.
            if self.get("pad_size").is_null() || !self.get("do_pad").is_null() {
                return Ok(None);
            }
        }
        let (size, with) = if self.switch("pads_bytes_to_size") {
            let shortest = self.split_side()?;
            let longest = side(&self.get("size")["longest_edge"]).unwrap_or(shortest);
            (Some((longest, shortest)), Padding::Black)
        } else {
            let size = self.get("pad_size");
            let found = exact(size);
            if found.is_none() && !size.is_null() {
                return Err(wrong(format!("`pad_size` is {size}")));
            }
            // Without a size pictures are padded to the largest of a batch, so one alone is not.
            (found, Padding::Zero)
        };
        Ok(size.map(|(width, height)| Pad { width, height, with }))
    }

    /// What each byte becomes, in the reference's arithmetic: f32, with the factor inside mean and deviation.
    fn values(&self) -> Result<Box<[[f32; 256]; 3]>, WeightsError> {
        let factor = match self.switch("do_rescale") {
            true => self.get("rescale_factor").as_f64().filter(|factor| *factor > 0.0),
            false => Some(1.0),
        };
        let factor = factor.ok_or_else(|| wrong("`rescale_factor` is not above zero".into()))?;
        let by_channel = |key: &str| {
            let value = self.get(key);
            let one = value.as_f64().map(|number| [number; 3]);
            let numbers = || value.as_array()?.iter().map(Value::as_f64).collect::<Option<Vec<_>>>();
            one.or_else(|| numbers()?.try_into().ok())
                .ok_or_else(|| wrong(format!("`{key}` is {value}, not a number for each of three channels")))
        };
        let mut values = Box::new([[0.0; 256]; 3]);
        if !self.switch("do_normalize") {
            for row in values.iter_mut() {
                row.iter_mut().enumerate().for_each(|(byte, value)| *value = byte as f32 * factor as f32);
            }
            return Ok(values);
        }
        let bytes = (1.0 / factor) as f32;
        let (mean, deviation) = (by_channel("image_mean")?, by_channel("image_std")?);
        for (row, (mean, deviation)) in values.iter_mut().zip(mean.into_iter().zip(deviation)) {
            let (mean, deviation) = (mean as f32 * bytes, deviation as f32 * bytes);
            if deviation == 0.0 {
                return Err(wrong("`image_std` has a zero".into()));
            }
            row.iter_mut().enumerate().for_each(|(byte, value)| *value = (byte as f32 - mean) / deviation);
        }
        Ok(values)
    }
}

/// A number of pixels.
fn side(value: &Value) -> Option<u32> {
    value.as_u64().and_then(|number| u32::try_from(number).ok()).filter(|number| (1..=65536).contains(number))
}

/// Width and height of `{"height": .., "width": ..}`, `[height, width]` or one number.
fn exact(size: &Value) -> Option<(u32, u32)> {
    match size {
        Value::Array(both) => match both.as_slice() {
            [height, width] => side(width).zip(side(height)),
            _ => None,
        },
        Value::Object(_) => side(&size["width"]).zip(side(&size["height"])),
        one => side(one).map(|side| (side, side)),
    }
}

fn wrong(reason: String) -> WeightsError {
    WeightsError::Format(format!("preprocessor_config.json: {reason}"))
}
