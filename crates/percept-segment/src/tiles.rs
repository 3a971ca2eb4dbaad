//! Large pictures in tiles, with seams joined.
//!
//! Neighbouring tiles overlap. What two of them say of the strip that both see decides whether they speak of one
//! thing: masks of one class that agree there become one instance. Of a picture divided into segments, each tile
//! keeps what lies on its side of the middle of the strip.

use std::sync::Arc;

use crate::components::root;
use percept_core::segment::{
    Image, Instance, Label, Mask, ObjectPrompt, PointPrompt, SegmentInput, SegmentOptions, SegmentRequest,
    Segmentation, SegmentationKind,
};
use percept_core::{Error, Model, Precision, Predicted, RawTensor, Result, Segment, Span, Tiling, Timings};

/// Masks of one class that share this much of the smaller one's part of the common strip are one instance.
const AGREEMENT: f64 = 0.5;

/// A model that sees large pictures in tiles.
pub struct Tiled {
    model: Box<dyn Model<Segment>>,
    tiling: Tiling,
}

/// A rectangle of a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Window {
    left: u32,
    top: u32,
    width: u32,
    height: u32,
}

/// What a tile found, in coordinates of the picture.
struct Found {
    /// Which tile.
    tile: usize,
    instance: Instance,
}

impl Tiled {
    /// Tiles of `tile` by `tile` pixels of which neighbours share `overlap`.
    ///
    /// # Errors
    /// [`Error::Argument`] where the overlap is not smaller than half a tile.
    pub fn new(model: Box<dyn Model<Segment>>, tile: u32, overlap: u32) -> Result<Self> {
        Ok(Self { model, tiling: Tiling::new(tile, overlap)? })
    }

    fn whole(&self, input: &SegmentInput) -> Result<Predicted<Segmentation>> {
        let image = &input.image;
        let (columns, rows) = (self.tiling.spans(image.width), self.tiling.spans(image.height));
        let each = |part: fn(&Span) -> (u32, u32)| {
            let of = |row: &Span, column: &Span| {
                let ((left, width), (top, height)) = (part(column), part(row));
                Window { left, top, width, height }
            };
            rows.iter().flat_map(|row| columns.iter().map(move |column| of(row, column))).collect::<Vec<_>>()
        };
        let (windows, cells) = (each(|span| span.seen), each(|span| span.own));
        let mut timings = Timings::default();
        let (mut found, mut kind) = (Vec::new(), SegmentationKind::Instance);
        for (start, batch) in windows.chunks(self.model.batch().max(1)).enumerate() {
            let inputs: Vec<SegmentInput> = batch
                .iter()
                .map(|window| SegmentInput { image: window.of(image), options: input.options.clone() })
                .collect();
            for (index, predicted) in self.model.predict(&inputs)?.into_iter().enumerate() {
                let tile = start * self.model.batch().max(1) + index;
                add(&mut timings, &predicted.timings);
                kind = predicted.output.kind;
                let window = windows[tile];
                found.extend(predicted.output.instances.into_iter().map(|instance| {
                    let mask = instance.mask.pasted(window.left, window.top, image.width, image.height);
                    Found { tile, instance: instance.with_mask(mask) }
                }));
            }
        }
        let divided = matches!(kind, SegmentationKind::Panoptic | SegmentationKind::Semantic);
        let groups = group(&found, &windows, kind);
        let owned = |found: &Found| {
            let cell = cells[found.tile];
            let mask = &found.instance.mask;
            let part = mask.cropped(cell.left, cell.top, cell.width, cell.height);
            part.pasted(cell.left, cell.top, image.width, image.height)
        };
        let mut instances: Vec<Instance> = groups
            .into_iter()
            .map(|group| {
                // What only one tile saw whole is not cut, unless every pixel belongs to somebody.
                let clip = divided || group.len() > 1;
                let mask_of = |index: &usize| {
                    if clip { owned(&found[*index]) } else { found[*index].instance.mask.clone() }
                };
                let mask = group.iter().map(mask_of).reduce(|a, b| a.union(&b)).expect("no group is empty");
                let weight: f64 = group.iter().map(|index| found[*index].instance.area as f64).sum();
                let score: f64 = group
                    .iter()
                    .map(|index| f64::from(found[*index].instance.score) * found[*index].instance.area as f64)
                    .sum();
                let first = found[group[0]].instance.clone().with_mask(mask);
                Instance { score: (score / weight.max(1.0)) as f32, candidates: Vec::new(), ..first }
            })
            .filter(|instance| instance.area > 0)
            .collect();
        if kind != SegmentationKind::Text {
            instances.sort_by(|a, b| b.score.total_cmp(&a.score));
        }
        for (index, instance) in instances.iter_mut().enumerate() {
            instance.id = index as u32 + 1;
        }
        let output = Segmentation { width: image.width, height: image.height, kind, instances };
        Ok(Predicted { output, timings })
    }

    /// Each object in a window of the size of a tile around its prompt, or of the prompt where that is larger.
    fn objects(&self, input: &SegmentInput, objects: &[ObjectPrompt]) -> Result<Predicted<Segmentation>> {
        let image = &input.image;
        let mut timings = Timings::default();
        let mut output = Segmentation {
            width: image.width,
            height: image.height,
            kind: SegmentationKind::Prompted,
            instances: Vec::new(),
        };
        for object in objects {
            let window = self.around(object, image);
            let SegmentRequest::Objects { candidates, .. } = &input.options.request else { continue };
            let request =
                SegmentRequest::Objects { objects: vec![window.prompt(object)], candidates: *candidates };
            let options = SegmentOptions { request, ..input.options.as_ref().clone() };
            let shown = SegmentInput { image: window.of(image), options: Arc::new(options) };
            for predicted in self.model.predict(&[shown])? {
                add(&mut timings, &predicted.timings);
                let whole = |mask: &Mask| mask.pasted(window.left, window.top, image.width, image.height);
                output.instances.extend(predicted.output.instances.into_iter().map(|mut instance| {
                    for candidate in &mut instance.candidates {
                        candidate.mask = whole(&candidate.mask);
                    }
                    let mask = whole(&instance.mask);
                    instance.with_mask(mask)
                }));
            }
        }
        for (index, instance) in output.instances.iter_mut().enumerate() {
            instance.id = index as u32 + 1;
        }
        Ok(Predicted { output, timings })
    }

    fn around(&self, object: &ObjectPrompt, image: &Image) -> Window {
        let corners = object.bounding_box.iter().flat_map(|[x0, y0, x1, y1]| [(*x0, *y0), (*x1, *y1)]);
        let points: Vec<(f32, f32)> =
            corners.chain(object.points.iter().map(|point| (point.x, point.y))).collect();
        let side = |values: &dyn Fn(&(f32, f32)) -> f32, length: u32| {
            let low = points.iter().map(values).fold(f32::INFINITY, f32::min).max(0.0) as u32;
            let high = points.iter().map(values).fold(0.0, f32::max) as u32;
            let (low, high) = (low.min(length), high.min(length));
            // A prompt that nearly fills its window would leave the model without surroundings.
            let wanted = self.tiling.tile().max((high.saturating_sub(low)) * 3 / 2).min(length);
            let centre = low.midpoint(high);
            (centre.saturating_sub(wanted / 2).min(length - wanted), wanted)
        };
        let (left, width) = side(&|point| point.0, image.width);
        let (top, height) = side(&|point| point.1, image.height);
        Window { left, top, width, height }
    }
}

impl Model<Segment> for Tiled {
    fn predict(&self, inputs: &[SegmentInput]) -> Result<Vec<Predicted<Segmentation>>> {
        let small = |input: &SegmentInput| input.image.width.max(input.image.height) <= self.tiling.tile();
        inputs
            .iter()
            .map(|input| match &input.options.request {
                _ if small(input) => {
                    let mut predicted = self.model.predict(std::slice::from_ref(input))?;
                    predicted.pop().ok_or_else(|| Error::argument("the model gave no result"))
                }
                SegmentRequest::Objects { objects, .. } => self.objects(input, objects),
                _ => self.whole(input),
            })
            .collect()
    }

    /// Of the whole picture: tiles have no raw tensors of their own.
    fn raw(&self, input: &SegmentInput) -> Result<Vec<RawTensor>> {
        self.model.raw(input)
    }

    fn precision(&self) -> Precision {
        self.model.precision()
    }

    fn labels(&self) -> &[Label] {
        self.model.labels()
    }
}

impl Window {
    fn of(&self, image: &Image) -> Arc<Image> {
        Arc::new(image.crop(self.left, self.top, self.width, self.height))
    }

    fn prompt(&self, object: &ObjectPrompt) -> ObjectPrompt {
        let (left, top) = (self.left as f32, self.top as f32);
        let moved = |point: &PointPrompt| PointPrompt { x: point.x - left, y: point.y - top, ..*point };
        ObjectPrompt {
            points: object.points.iter().map(moved).collect(),
            bounding_box: object
                .bounding_box
                .map(|[x0, y0, x1, y1]| [x0 - left, y0 - top, x1 - left, y1 - top]),
            mask: object.mask.clone(),
        }
    }

    /// What two windows share; `None` where they share nothing.
    fn common(&self, other: &Self) -> Option<Self> {
        let side = |a: u32, a_length: u32, b: u32, b_length: u32| {
            let (low, high) = (a.max(b), (a + a_length).min(b + b_length));
            (low < high).then(|| (low, high - low))
        };
        let (left, width) = side(self.left, self.width, other.left, other.width)?;
        let (top, height) = side(self.top, self.height, other.top, other.height)?;
        Some(Self { left, top, width, height })
    }
}

/// Indices of instances that are one: those of one class whose masks agree where two tiles overlap; of classes and
/// texts all.
fn group(found: &[Found], windows: &[Window], kind: SegmentationKind) -> Vec<Vec<usize>> {
    let by_class = matches!(kind, SegmentationKind::Semantic | SegmentationKind::Text);
    let mut leader: Vec<usize> = (0..found.len()).collect();
    for later in 0..found.len() {
        for earlier in 0..later {
            let (a, b) = (&found[earlier], &found[later]);
            if a.instance.label != b.instance.label || (a.tile == b.tile && !by_class) {
                continue;
            }
            if by_class || agree(a, b, windows) {
                let (one, other) = (root(&mut leader, earlier), root(&mut leader, later));
                leader[one.max(other)] = one.min(other);
            }
        }
    }
    let mut groups: Vec<Vec<usize>> = vec![Vec::new(); found.len()];
    for index in 0..found.len() {
        groups[root(&mut leader, index)].push(index);
    }
    groups.retain(|group| !group.is_empty());
    groups
}

fn agree(a: &Found, b: &Found, windows: &[Window]) -> bool {
    let Some(strip) = windows[a.tile].common(&windows[b.tile]) else { return false };
    let part = |found: &Found| found.instance.mask.cropped(strip.left, strip.top, strip.width, strip.height);
    let (a, b) = (part(a), part(b));
    let smaller = a.area().min(b.area());
    smaller > 0 && a.intersection(&b) as f64 >= AGREEMENT * smaller as f64
}

fn add(sum: &mut Timings, more: &Timings) {
    sum.prepare += more.prepare;
    sum.model += more.model;
    sum.finish += more.finish;
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Finds red pixels: one instance a tile, if there are any.
    struct Red(SegmentationKind);

    impl Model<Segment> for Red {
        fn predict(&self, inputs: &[SegmentInput]) -> Result<Vec<Predicted<Segmentation>>> {
            let find = |input: &SegmentInput| {
                let (width, height) = input.image.size();
                let red: Vec<u8> = input.image.rgb.chunks(3).map(|rgb| u8::from(rgb[0] > 128)).collect();
                let mask = Mask::from_pixels(width, height, &red);
                let label = Label { id: 1, name: "red".into() };
                let found = Instance::new(1, mask, 0.5, Some(label));
                let instances = if found.area > 0 { vec![found] } else { vec![] };
                let output = Segmentation { width, height, kind: self.0, instances };
                Predicted { output, timings: Timings::default() }
            };
            Ok(inputs.iter().map(find).collect())
        }

        fn batch(&self) -> usize {
            3
        }

        fn raw(&self, _: &SegmentInput) -> Result<Vec<RawTensor>> {
            Ok(Vec::new())
        }

        fn precision(&self) -> Precision {
            Precision::F32
        }
    }

    fn picture(width: u32, height: u32, inside: impl Fn(i64, i64) -> bool) -> SegmentInput {
        let pixel =
            |at: i64| if inside(at % i64::from(width), at / i64::from(width)) { [255, 0, 0] } else { [0; 3] };
        let rgb = (0..i64::from(width * height)).flat_map(pixel).collect();
        SegmentInput { image: Arc::new(Image::new(width, height, rgb)), options: Arc::default() }
    }

    fn seen(input: &SegmentInput, kind: SegmentationKind) -> Segmentation {
        let tiled = Tiled::new(Box::new(Red(kind)), 64, 16).unwrap();
        tiled.predict(std::slice::from_ref(input)).unwrap().remove(0).output
    }

    #[test]
    fn what_lies_over_seams_is_one_instance() {
        let disc = |x: i64, y: i64| (x - 75).pow(2) + (y - 60).pow(2) < 55 * 55;
        let input = picture(150, 131, disc);
        let whole =
            Red(SegmentationKind::Instance).predict(std::slice::from_ref(&input)).unwrap().remove(0).output;
        for kind in [SegmentationKind::Instance, SegmentationKind::Panoptic, SegmentationKind::Semantic] {
            let joined = seen(&input, kind);
            assert_eq!(joined.instances.len(), 1, "{kind:?}");
            assert_eq!(joined.instances[0].mask, whole.instances[0].mask, "{kind:?}");
            assert_eq!(joined.instances[0].area, whole.instances[0].area, "{kind:?}");
        }
    }

    #[test]
    fn what_does_not_touch_stays_apart_unless_it_is_a_class() {
        let input = picture(150, 40, |x, y| y < 10 && !(20..130).contains(&x));
        assert_eq!(seen(&input, SegmentationKind::Instance).instances.len(), 2);
        let classes = seen(&input, SegmentationKind::Semantic).instances;
        assert_eq!(classes.len(), 1);
        assert_eq!(classes[0].area, 400);
    }
}
