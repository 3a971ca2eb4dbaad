//! What the network itself says of the first window, under transformers' names.

use percept_backbone::decode::{Stopping, Strategy};
use percept_core::transcribe::TranscribeInput;
use percept_core::{RawTensor, RawValues, Result};

use super::Whisper;

/// `input_features` `[1, bins, frames]`, `encoder_last_hidden_state` `[1, positions, dim]`, the
/// first step's `logits` `[1, vocabulary]` behind the prompt, before any rule, and `sequences`
/// `[1, tokens]`: prompt, generated tokens and end, as `generate` of transformers gives them, without
/// timestamps. Greedy for a beam of 1.
pub(super) fn first_window(whisper: &Whisper, input: &TranscribeInput) -> Result<Vec<RawTensor>> {
    let options = input.options.as_ref();
    let features = whisper.features(&input.sound.samples)?;
    let encoded = whisper.encode(&features)?;
    let memory = whisper.remember(&encoded)?;
    let compute = whisper.compute_error();
    let (language, _) = whisper.language_of(&memory, options)?;
    let mut prompt = whisper.vocabulary.opening(Some(&language), options.goal)?;
    prompt.push(whisper.vocabulary.no_timestamps);

    let mut state = whisper.decoder.start(&memory).map_err(&compute)?;
    let states = whisper.decoder.feed(&prompt, &mut state).map_err(&compute)?;
    let logits = whisper.decoder.scores(&states, &[prompt.len() - 1]).map_err(&compute)?.concat();
    let request = whisper.request(options, &prompt);
    let strategy = match options.beam_size {
        0 | 1 => Strategy::Greedy,
        beams => {
            let length_penalty = options.length_penalty;
            Strategy::Beam { beams, length_penalty, stopping: Stopping::Likely }
        }
    };
    let (hypothesis, _) =
        request.search(&memory, strategy, whisper.shape.target_positions).map_err(&compute)?;
    let sequence = prompt.iter().chain(&hypothesis.tokens).map(|token| i64::from(*token)).collect::<Vec<_>>();

    let floats = |name: &str, shape: Vec<usize>, values| RawTensor {
        name: name.into(),
        shape,
        values: RawValues::F32(values),
    };
    let states = encoded.flatten_all().and_then(|states| states.to_vec1()).map_err(&compute)?;
    Ok(vec![
        floats("input_features", vec![1, whisper.shape.mel_bins, whisper.frames()], features),
        floats("encoder_last_hidden_state", encoded.dims().to_vec(), states),
        floats("logits", vec![1, logits.len()], logits),
        RawTensor {
            name: "sequences".into(),
            shape: vec![1, sequence.len()],
            values: RawValues::I64(sequence),
        },
    ])
}
