//! The network, and the questions that its tasks are.

use percept_backbone::{
    AttentionNames, Block, BlockNames, Embedding, EngineError, LayerNorm, Linear, Result, Tensor,
    ToContiguous, Weights, WeightsError, both, for_layers,
};
use percept_core::Error;
use percept_core::caption::{CaptionRequest, CaptionTask};

use super::config::{EPS, Shape};
use super::davit::Davit;
use super::places;
use crate::captioner::{Network, Prompt, Said, Words, one_line};
use crate::decoder::{CacheShape, Layer, Positions, State, TextDecoder};

/// A layer of BART; its norms stand behind its parts.
const ENCODER_LAYER: BlockNames = BlockNames {
    attention: "self_attn",
    attention_norm: "self_attn_layer_norm",
    cross: None,
    up: "fc1",
    down: "fc2",
    gate: None,
    mlp_norm: "final_layer_norm",
    scales: None,
    matrices: AttentionNames::PROJ,
};

const DECODER_LAYER: BlockNames =
    BlockNames { cross: Some(("encoder_attn", "encoder_attn_layer_norm")), ..ENCODER_LAYER };

/// Rows of BART's tables of positions before the first.
const FIRST_POSITION: usize = 2;

/// From pixels and a question to scores.
pub(super) struct Florence2 {
    vision: Davit,
    projector: Projector,
    encoder: Encoder,
    decoder: TextDecoder,
}

/// From a map to tokens.
struct Projector {
    rows: Embedding,
    columns: Embedding,
    /// Rows and columns that have positions.
    most: usize,
    projection: Linear,
    norm: LayerNorm,
}

/// BART's encoder.
struct Encoder {
    positions: Positions,
    norm: LayerNorm,
    layers: Vec<Block>,
}

impl Florence2 {
    pub(super) fn load(weights: &Weights, shape: &Shape) -> Result<Self, WeightsError> {
        let model = weights.at("model");
        let language = model.at("language_model");
        let (vision, text) = both(
            || Davit::load(&model.at("vision_tower"), shape),
            || {
                Ok::<_, WeightsError>((
                    Encoder::load(&language.at("encoder"), shape)?,
                    decoder(&language, shape)?,
                ))
            },
        );
        let (encoder, decoder) = text?;
        Ok(Self {
            vision: vision?,
            projector: Projector::load(&model.at("multi_modal_projector"), shape)?,
            encoder,
            decoder,
        })
    }
}

impl Projector {
    fn load(weights: &Weights, shape: &Shape) -> Result<Self, WeightsError> {
        let channels = shape.stages.last().map_or(0, |stage| stage.dim);
        let positions = weights.at("image_position_embed");
        let most = shape.map_positions;
        Ok(Self {
            rows: Embedding::load(&positions.at("row_embeddings"), most, channels / 2)?,
            columns: Embedding::load(&positions.at("column_embeddings"), most, channels - channels / 2)?,
            most,
            projection: Linear::load(&weights.at("image_projection"), channels, shape.projection)?,
            norm: LayerNorm::load(&weights.at("image_proj_norm"), shape.projection, EPS)?,
        })
    }

    /// A map `[1, rows, columns, channels]` to tokens `[1, 1 + rows * columns, dim]`; the first is the mean of all.
    fn forward(&self, map: &Tensor) -> Result<Tensor> {
        let (batch, rows, columns, channels) = map.dims4()?;
        if rows.max(columns) > self.most {
            return Err(EngineError::Msg(format!(
                "a map of {rows} by {columns}; {} have positions",
                self.most
            )));
        }
        let across = self.columns.rows(0, columns)?.unsqueeze(0)?;
        let down = self.rows.rows(0, rows)?.unsqueeze(1)?;
        let across = across.broadcast_as((rows, columns, channels - channels / 2))?;
        let down = down.broadcast_as((rows, columns, channels / 2))?;
        let positions = Tensor::cat(&[across, down], 2)?;
        // The picture is the first of a film: the sine of 0 in turn with its cosine.
        let moment = (0..channels).map(|channel| (channel % 2) as f32).collect::<Vec<_>>();
        let moment = Tensor::from_vec(moment, channels, map.device())?;
        let tokens = map.broadcast_add(&positions)?.broadcast_add(&moment)?;
        let tokens = tokens.reshape((batch, rows * columns, channels))?;
        let all = Tensor::cat(&[&tokens.mean_keepdim(1)?, &tokens], 1)?;
        self.norm.forward(&self.projection.forward(&all)?)
    }
}

impl Encoder {
    fn load(weights: &Weights, shape: &Shape) -> Result<Self, WeightsError> {
        let dim = shape.encoder.dim;
        let layer = |layer: usize| {
            let block = Block::load(&weights.at(format!("layers.{layer}")), ENCODER_LAYER, shape.encoder)?;
            Ok::<_, WeightsError>(block.normalising_after())
        };
        Ok(Self {
            positions: positions(weights, shape)?,
            norm: LayerNorm::load(&weights.at("layernorm_embedding"), dim, EPS)?,
            layers: for_layers(shape.encoder_depth, layer)?,
        })
    }

    /// `[1, tokens, dim]` to the same.
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let (_, time, _) = x.dims3()?;
        let Positions { table, first, count } = &self.positions;
        if time > *count {
            return Err(EngineError::Msg(format!(
                "a question and a picture of {time} tokens; {count} have room"
            )));
        }
        let mut x = self.norm.forward(&x.broadcast_add(&table.rows(*first, time)?)?)?;
        for layer in &self.layers {
            x = layer.forward(&x)?;
        }
        Ok(x)
    }
}

fn positions(weights: &Weights, shape: &Shape) -> Result<Positions, WeightsError> {
    let rows = shape.positions + FIRST_POSITION;
    let table = Embedding::load(&weights.at("embed_positions"), rows, shape.encoder.dim)?;
    Ok(Positions { table, first: FIRST_POSITION, count: shape.positions })
}

fn decoder(language: &Weights, shape: &Shape) -> Result<TextDecoder, WeightsError> {
    let weights = &language.at("decoder").for_few_rows();
    let dim = shape.decoder.dim;
    // One table for both texts and the output; it is stored under one of its names.
    let shared = match language.has("shared.weight") {
        true => language.at("shared"),
        false => language.at("decoder.embed_tokens"),
    };
    let (tokens, head) = Embedding::load_tied(&shared.for_few_rows(), shape.vocabulary, dim)?;
    let layer = |layer: usize| {
        let block = Block::load(&weights.at(format!("layers.{layer}")), DECODER_LAYER, shape.decoder)?;
        Ok::<_, WeightsError>(Layer::Block(Box::new(block.normalising_after())))
    };
    Ok(TextDecoder {
        tokens,
        positions: positions(weights, shape)?,
        embedding_norm: Some(LayerNorm::load(&weights.at("layernorm_embedding"), dim, EPS)?),
        layers: for_layers(shape.decoder_depth, layer)?,
        norm: None,
        transform: None,
        head,
        shape: CacheShape::of(&shape.decoder),
    })
}

/// What a task asks (`Florence2Processor`, `task_prompts_without_inputs`).
fn question(task: CaptionTask) -> &'static str {
    match task {
        CaptionTask::Caption => "What does the image describe?",
        CaptionTask::DetailedCaption => "Describe in detail what is shown in the image.",
        CaptionTask::MoreDetailedCaption => "Describe with a paragraph what is shown in the image.",
        CaptionTask::Od => "Locate the objects with category name in the image.",
        CaptionTask::Ocr => "What is the text in the image?",
    }
}

impl Network for Florence2 {
    fn prompt(&self, request: &CaptionRequest, words: &Words) -> percept_core::Result<Prompt> {
        let task = match request {
            CaptionRequest::Caption(None) => CaptionTask::Caption,
            CaptionRequest::Task(task) => *task,
            CaptionRequest::Caption(Some(_)) | CaptionRequest::Rank(_) => {
                return Err(Error::Argument {
                    message: format!("`{}` knows tasks, neither prompts nor texts to rank", words.id),
                    hint: Some(
                        "its tasks are caption, detailed-caption, more-detailed-caption, od and ocr".into(),
                    ),
                });
            }
        };
        Ok(Prompt {
            tokens: vec![words.generation.start],
            encoder: words.tokenizer.ids(question(task))?,
            task: Some(task),
        })
    }

    fn look(&self, pixels: &Tensor) -> Result<Tensor> {
        self.projector.forward(&self.vision.forward(pixels)?)
    }

    fn begin(&self, seen: &Tensor, prompt: &Prompt) -> Result<(State, Vec<f32>)> {
        let question = Tensor::from_slice(&prompt.encoder, (1, prompt.encoder.len()), self.decoder.device())?;
        let question = self.decoder.tokens.forward(&question)?;
        let encoded = self.encoder.forward(&Tensor::cat(&[seen, &question], 1)?.to_contiguous()?)?;
        self.decoder.begin(Some(&encoded), &prompt.tokens)
    }

    fn decoder(&self) -> &TextDecoder {
        &self.decoder
    }

    /// Places are a part of the text; where the task is to find objects, they come as boxes too.
    fn read(
        &self,
        prompt: &Prompt,
        new: &[u32],
        size: (u32, u32),
        words: &Words,
    ) -> percept_core::Result<Said> {
        let text = words.tokenizer.whole_text(&[&prompt.tokens, new].concat())?;
        let text = places::without_ends(&text);
        let regions = match prompt.task {
            Some(CaptionTask::Od) => places::regions(&text, size),
            _ => vec![],
        };
        Ok(Said { text: one_line(&text), regions })
    }
}
