//! From a score for each pixel to one instance a text.

use percept_backbone::{Alignment, Filter, Result, Tensor, resize_in_bands};
use percept_core::segment::{Instance, Label, Mask};

/// One instance for each text, in their order: the pixels whose probability (sigmoid of the logits `[texts, height,
/// width]`, resized to the picture's columns and rows) is over one half. This threshold is the mask's own and no option:
/// an instance's score is the mean probability over its mask, 0 where the mask is empty.
pub(super) fn instances(
    logits: &Tensor,
    (columns, rows): (u32, u32),
    texts: &[String],
) -> Result<Vec<Instance>> {
    let (width, height) = (columns as usize, rows as usize);
    let mut inside = vec![0_u8; width * height];
    let answer = |(index, text): (usize, &String)| {
        let mut sum = 0.0_f64;
        let plane = logits.narrow(0, index, 1)?;
        resize_in_bands(&plane, [height, width], Filter::Bilinear, Alignment::Edges, |first, logits| {
            for (inside, logit) in inside[first * width..].iter_mut().zip(logits) {
                *inside = u8::from(*logit > 0.0);
                if *logit > 0.0 {
                    sum += 1.0 / (1.0 + f64::from(-logit).exp());
                }
            }
        })?;
        let label = Label { id: index as u32, name: text.clone() };
        let instance =
            Instance::new(index as u32 + 1, Mask::from_pixels(columns, rows, &inside), 0.0, Some(label));
        Ok(Instance { score: (sum / instance.area.max(1) as f64) as f32, ..instance })
    };
    texts.iter().enumerate().map(answer).collect()
}
