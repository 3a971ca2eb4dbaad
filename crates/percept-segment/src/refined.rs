//! A model whose answers are refined as its inputs ask.

use percept_core::segment::{Label, SegmentInput, Segmentation};
use percept_core::{Model, Precision, Predicted, RawTensor, Result, Segment};

use crate::refine::refine;

/// A model behind which [`refine`] stands: classes, scores, small parts, holes, how many.
pub struct Refined(pub Box<dyn Model<Segment>>);

impl Model<Segment> for Refined {
    fn predict(&self, inputs: &[SegmentInput]) -> Result<Vec<Predicted<Segmentation>>> {
        let refined = |(input, predicted): (&SegmentInput, Predicted<Segmentation>)| {
            let Predicted { output, timings } = predicted;
            Ok(Predicted { output: refine(output, &input.options, self.0.labels())?, timings })
        };
        inputs.iter().zip(self.0.predict(inputs)?).map(refined).collect()
    }

    fn batch(&self) -> usize {
        self.0.batch()
    }

    fn raw(&self, input: &SegmentInput) -> Result<Vec<RawTensor>> {
        self.0.raw(input)
    }

    fn precision(&self) -> Precision {
        self.0.precision()
    }

    fn labels(&self) -> &[Label] {
        self.0.labels()
    }
}
