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
    // Texts are the classes of a model that reads.
    let texts = options.texts.iter().zip(0..).map(|(text, id)| Label { id, name: text.clone() });
    let texts: Vec<Label> = texts.collect();
    let filter = ClassFilter::new(&options.classes, if texts.is_empty() { vocabulary } else { &texts })?;
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

#[cfg(test)]
mod tests {
    use percept_core::detect::Nms;

    use super::*;
    use crate::format::tests::found;

    fn chosen(options: DetectOptions) -> Vec<u32> {
        let vocabulary =
            [(0, "a, \"b\""), (3, "cat & <dog>")].map(|(id, name)| Label { id, name: name.into() });
        let found = choose(found(), &options, &vocabulary).unwrap();
        found.detections.iter().map(|detection| detection.label.id).collect()
    }

    #[test]
    fn what_is_not_asked_for_goes() {
        let usual = DetectOptions::default;
        assert_eq!(chosen(usual()), [3, 0]);
        assert_eq!(chosen(DetectOptions { classes: vec!["0".into()], ..usual() }), [0]);
        assert_eq!(chosen(DetectOptions { score: Some(0.6), ..usual() }), [3]);
        assert_eq!(chosen(DetectOptions { max_detections: Some(1), ..usual() }), [3]);
        // One box lies in the other.
        let nms = |scope| DetectOptions { nms: Some(Nms { iou: 0.05, scope }), ..usual() };
        assert_eq!(chosen(nms(percept_core::detect::NmsScope::Class)), [3, 0]);
        assert_eq!(chosen(nms(percept_core::detect::NmsScope::Agnostic)), [3]);
    }

    #[test]
    fn texts_are_classes() {
        let texts: Vec<String> = ["a mug", "x", "y", "a dog"].map(str::to_owned).into();
        let options = DetectOptions { texts, classes: vec!["A dog".into()], ..DetectOptions::default() };
        assert_eq!(chosen(options), [3]);
        let unknown = DetectOptions {
            texts: vec!["a mug".into()],
            classes: vec!["cup".into()],
            ..DetectOptions::default()
        };
        assert!(choose(found(), &unknown, &[]).is_err());
    }
}
