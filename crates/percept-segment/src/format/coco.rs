//! Masks in COCO's `instances` JSON.

use percept_core::coco::{Annotation, Coco, CocoSegmentation, NO_CLASS, Number, Rle};
use percept_core::segment::{Instance, Segmentation};

use super::{outline, polygons};

/// How a COCO file holds masks.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum CocoMasks {
    /// Run lengths as the string that pycocotools writes.
    #[default]
    Compressed,
    /// Run lengths as numbers.
    Uncompressed,
    /// A polygon for each connected part, holes joined to it by bridges without width. Parts of parts come out: an
    /// island in a hole is a part of its own, and readers unite parts. Instances without a pixel are left out.
    Polygons {
        /// How far, in pixels, a simplified outline may be from the mask's; 0 keeps it exact.
        tolerance: f64,
    },
}

impl CocoMasks {
    /// Adds a picture and what was found in it.
    pub fn push(self, coco: &mut Coco, file_name: &str, segmentation: &Segmentation) {
        let image_id = coco.image(file_name, (segmentation.width, segmentation.height));
        for instance in &segmentation.instances {
            let Some(mask) = self.mask(instance) else { continue };
            let category_id = match &instance.label {
                Some(label) => coco.category(label.id, &label.name),
                None => coco.category(0, NO_CLASS),
            };
            let [left, top, right, bottom] = instance.bounding_box;
            coco.push(Annotation {
                image_id,
                category_id,
                bbox: [left, top, right - left, bottom - top].map(Number::from),
                area: Number(instance.area as f64),
                score: instance.score,
                segmentation: Some(mask),
                ..Annotation::default()
            });
        }
    }

    fn mask(self, instance: &Instance) -> Option<CocoSegmentation> {
        Some(match self {
            Self::Compressed => CocoSegmentation::Rle(Rle::compressed(&instance.mask)),
            Self::Uncompressed => CocoSegmentation::Rle(Rle::uncompressed(&instance.mask)),
            Self::Polygons { .. } if instance.area == 0 => return None,
            Self::Polygons { tolerance } => {
                let parts = polygons(&instance.mask, tolerance);
                CocoSegmentation::Polygons(parts.iter().map(|part| outline(part).concat()).collect())
            }
        })
    }
}
