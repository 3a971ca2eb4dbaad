//! A model whose answers are cut down to what its inputs ask for.

use percept_backbone::checkpoint::ClassFilter;
use percept_core::detect::{DetectInput, DetectOptions, Detections, Label};
use percept_core::{Detect, Model, Precision, Predicted, RawTensor, Result};

use crate::merge::suppressed;

/// A model behind which class filter, score, non-maximum suppression and the largest count stand, in this order.
pub struct Chosen(pub Box<dyn Model<Detect>>);

impl Model<Detect> for Chosen {
    fn predict(&self, inputs: &[DetectInput]) -> Result<Vec<Predicted<Detections>>> {
        let choose = |(input, predicted): (&DetectInput, Predicted<Detections>)| {
            let Predicted { output, timings } = predicted;
            Ok(Predicted { output: choose(output, &input.options, self.0.labels())?, timings })
        };
        inputs.iter().zip(self.0.predict(inputs)?).map(choose).collect()
    }

    fn batch(&self) -> usize {
        self.0.batch()
    }

    fn raw(&self, input: &DetectInput) -> Result<Vec<RawTensor>> {
        self.0.raw(input)
    }

    fn precision(&self) -> Precision {
        self.0.precision()
    }

    fn labels(&self) -> &[Label] {
        self.0.labels()
    }
}

/// Applies the options that all models share. What is left comes best first.
///
/// `vocabulary` has the model's classes; texts are classes too.
///
/// # Errors
/// `Argument` where a class is not in the vocabulary, with the nearest names.
pub(crate) fn choose(found: Detections, options: &DetectOptions, vocabulary: &[Label]) -> Result<Detections> {
    let filter = ClassFilter::new(&options.classes, vocabulary)?;
    let mut found = found;
    found.detections.retain(|detection| {
        filter.keeps(Some(&detection.label)) && options.score.is_none_or(|score| detection.score >= score)
    });
    found.detections.sort_by(|a, b| b.score.total_cmp(&a.score));
    if let Some(nms) = options.nms {
        found.detections = suppressed(found.detections, nms);
    }
    found.detections.truncate(options.max_detections.unwrap_or(usize::MAX));
    Ok(found)
}
