//! From the logits of queries to boxes with a class and a score, as the image processors of transformers 5.23.0 do it
//! (`post_process_object_detection`).

use percept_backbone::{Result, Tensor};

/// How the logits of a query become a class and a score.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scores {
    /// The last class is "no object": each query has the best other class, with its softmax (DETR, YOLOS).
    Softmax,
    /// Classes by themselves: as many pairs of a query and a class as there are queries, the best by their sigmoid
    /// (RT-DETR, D-FINE, RF-DETR). A query may come out under several classes.
    Sigmoid,
    /// Each query has its best class, by its sigmoid (Grounding DINO, whose classes are the tokens of a text).
    Best,
}

/// What a network says of a batch of pictures.
#[derive(Debug)]
pub(crate) struct Outputs {
    /// `[batch, queries, classes]`, with "no object" as the last class under [`Scores::Softmax`].
    pub(crate) logits: Tensor,
    /// `[batch, queries, 4]`: centre x, centre y, width and height, each as a part of the canvas.
    pub(crate) boxes: Tensor,
    /// Mask logits `[batch, queries, rows, columns]` over the whole canvas, where the network has masks.
    pub(crate) masks: Option<Tensor>,
}

/// One of the boxes of a picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Candidate {
    pub(crate) query: usize,
    pub(crate) class: usize,
    pub(crate) score: f32,
    /// Left, top, right, bottom, each as a part of the canvas.
    pub(crate) corners: [f32; 4],
}

impl Scores {
    /// How many logits a query has where there are `classes` classes.
    pub(crate) fn logits(self, classes: usize) -> usize {
        match self {
            Self::Softmax => classes + 1,
            Self::Sigmoid | Self::Best => classes,
        }
    }

    /// The candidates of picture `at` of a batch that score more than `threshold`, best first.
    pub(crate) fn candidates(self, outputs: &Outputs, at: usize, threshold: f32) -> Result<Vec<Candidate>> {
        let (_, queries, classes) = outputs.logits.dims3()?;
        let logits = outputs.logits.get(at)?.flatten_all()?.to_vec1::<f32>()?;
        let boxes = outputs.boxes.get(at)?.to_vec2::<f32>()?;
        let mut found: Vec<(usize, usize, f32)> = match self {
            Self::Softmax => logits
                .chunks_exact(classes)
                .enumerate()
                .map(|(query, logits)| {
                    let (class, score) = softmax_best(logits);
                    (query, class, score)
                })
                .collect(),
            Self::Sigmoid => {
                let score =
                    |(index, logit): (usize, &f32)| (index / classes, index % classes, sigmoid(*logit));
                logits.iter().enumerate().map(score).collect()
            }
            Self::Best => {
                let best = |(query, logits): (usize, &[f32])| {
                    let class = (0..classes).max_by(|a, b| logits[*a].total_cmp(&logits[*b])).unwrap_or(0);
                    (query, class, sigmoid(logits[class]))
                };
                logits.chunks_exact(classes).enumerate().map(best).collect()
            }
        };
        // Stable: of equal scores the first query comes first.
        found.sort_by(|a, b| b.2.total_cmp(&a.2));
        found.truncate(queries);
        let candidate = |(query, class, score): (usize, usize, f32)| {
            let [x, y, width, height] = boxes[query][..] else { unreachable!("a box has four numbers") };
            let corners = [x - 0.5 * width, y - 0.5 * height, x + 0.5 * width, y + 0.5 * height];
            Candidate { query, class, score, corners }
        };
        Ok(found.into_iter().take_while(|(.., score)| *score > threshold).map(candidate).collect())
    }
}

/// The logistic function of one number.
pub(crate) fn sigmoid(logit: f32) -> f32 {
    1.0 / (1.0 + (-logit).exp())
}

/// The best class but the last one, and its softmax over all.
fn softmax_best(logits: &[f32]) -> (usize, f32) {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f32 = logits.iter().map(|logit| (logit - largest).exp()).sum();
    let best = (0..logits.len() - 1).rev().max_by(|a, b| logits[*a].total_cmp(&logits[*b])).unwrap_or(0);
    (best, (logits[best] - largest).exp() / sum)
}
