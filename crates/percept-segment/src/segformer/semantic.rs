//! From class scores to instances (`post_process_semantic_segmentation` of the reference's image processor).

use percept_backbone::checkpoint::ClassNames;
use percept_backbone::{Alignment, Filter, Result, Tensor, likeliest_resized};
use percept_core::segment::Instance;

use crate::label_map::LabelMap;

/// One instance for each class that is the likeliest of some pixel, in the order of their numbers; its score is the
/// mean softmax probability over its mask. Class 0 is left out where it is called `background`.
///
/// `logits` `[classes, height, width]` are looked at in the picture's size (columns, rows) but never brought to it: that
/// would be 7 GB for 150 classes and 12 megapixels.
pub(super) fn instances(
    logits: &Tensor,
    (columns, rows): (u32, u32),
    names: &ClassNames,
) -> Result<Vec<Instance>> {
    let (width, height) = (columns as usize, rows as usize);
    let mut map = LabelMap { width, height, classes: vec![0; width * height] };
    let mut sums = vec![0.0_f64; names.count()];
    likeliest_resized(
        logits,
        [height, width],
        Filter::Bilinear,
        Alignment::Edges,
        |first, classes, probabilities| {
            map.classes[first * width..][..classes.len()].copy_from_slice(classes);
            for (class, probability) in classes.iter().zip(probabilities) {
                sums[usize::from(*class)] += f64::from(*probability);
            }
        },
    )?;
    let masks = map.masks(names.count());
    let kept = masks.into_iter().filter(|(class, _)| *class > 0 || !names.has_background());
    let instance = |(index, (class, mask)): (usize, (usize, _))| {
        let instance = Instance::new(index as u32 + 1, mask, 0.0, Some(names.label(class)));
        Instance { score: (sums[class] / instance.area as f64) as f32, ..instance }
    };
    Ok(kept.enumerate().map(instance).collect())
}
