//! `percept caption`: a picture to text, the way that every task takes (docs/architecture.md).

use std::ffi::OsString;
use std::path::Path;
use std::sync::Arc;

use percept::caption::{
    self, CaptionInput, CaptionOptions, CaptionRecord, CaptionRequest, CaptionSearch, CaptionTask, Captions,
    Format, Task, render,
};
use percept::flow::{ExitCode, Item};
use percept::hub::Hub;
use percept::{Error, Loaded, ModelCard, Rendered, Result, Runtime};
use serde::Serialize;

use super::pictures::{self, Asked, Picture};
use crate::args::{CaptionArguments, CaptionTaskChoice};

pub(crate) fn run(mut arguments: CaptionArguments) -> Result<ExitCode> {
    let on = &mut arguments.on;
    if on.files.inputs.is_empty() && on.files.files_from.is_none() {
        on.files.inputs = inputs_behind(&mut arguments.rank);
    }
    let mut formats = pictures::formats(&arguments.format, &arguments.on.files, &[Format::Txt]);
    if arguments.xmp && !formats.contains(&Format::Xmp) {
        formats.push(Format::Xmp);
    }
    pictures::run(&arguments.on, &Texts::new(&arguments, formats)?)
}

/// `percept worker caption`.
pub(crate) fn serve(arguments: &CaptionArguments) -> Result<ExitCode> {
    pictures::serve(&arguments.on, &Texts::new(arguments, vec![Format::Json])?)
}

/// `--rank` takes all that follows: what is there as a file is no text. At least one text stays.
fn inputs_behind(texts: &mut Vec<OsString>) -> Vec<OsString> {
    let is_input = |text: &OsString| text == "-" || Path::new(text).exists();
    let first = texts.iter().rposition(|text| !is_input(text)).map_or(1, |last| last + 1);
    texts.split_off(first.min(texts.len()))
}

#[derive(Debug)]
struct Texts {
    options: Arc<CaptionOptions>,
    formats: Vec<Format>,
}

impl Texts {
    fn new(arguments: &CaptionArguments, formats: Vec<Format>) -> Result<Self> {
        let captions = usize::from(arguments.num);
        let beams = arguments.beams.map(usize::from).or((captions > 1).then_some(captions));
        let search = match (arguments.temperature, beams) {
            (Some(temperature), _) => Some(CaptionSearch::Sample {
                temperature,
                top_k: arguments.top_k.map(|count| count as usize),
                top_p: arguments.top_p,
                seed: arguments.seed,
            }),
            (None, Some(1)) => Some(CaptionSearch::Greedy),
            (None, Some(beams)) => {
                Some(CaptionSearch::Beam { beams, length_penalty: arguments.length_penalty })
            }
            (None, None) => None,
        };
        if let Some(beams) = beams.filter(|beams| *beams < captions && arguments.temperature.is_none()) {
            return Err(Error::Argument {
                message: format!("{beams} beams do not give {captions} captions"),
                hint: Some("let --beams be at least --num, or draw with --temperature".into()),
            });
        }
        let limit = |count: Option<u32>| count.map(|count| count as usize);
        let options = CaptionOptions {
            request: request(arguments)?,
            search,
            captions,
            max_tokens: limit(arguments.max_tokens),
            min_tokens: limit(arguments.min_tokens),
            repetition_penalty: arguments.repetition_penalty,
        };
        Ok(Self { options: Arc::new(options), formats })
    }
}

fn request(arguments: &CaptionArguments) -> Result<CaptionRequest> {
    if !arguments.rank.is_empty() {
        let text = |text: &OsString| {
            text.clone().into_string().map_err(|_| Error::argument("a text of --rank is not Unicode"))
        };
        return Ok(CaptionRequest::Rank(arguments.rank.iter().map(text).collect::<Result<_>>()?));
    }
    Ok(match arguments.task {
        None => CaptionRequest::Caption(arguments.prompt.clone()),
        Some(task) => CaptionRequest::Task(match task {
            CaptionTaskChoice::Caption => CaptionTask::Caption,
            CaptionTaskChoice::DetailedCaption => CaptionTask::DetailedCaption,
            CaptionTaskChoice::MoreDetailedCaption => CaptionTask::MoreDetailedCaption,
            CaptionTaskChoice::Od => CaptionTask::Od,
            CaptionTaskChoice::Ocr => CaptionTask::Ocr,
        }),
    })
}

impl Asked for Texts {
    type Task = Task;
    type Format = Format;
    type Card = ModelCard;

    fn formats(&self) -> &[Format] {
        &self.formats
    }

    fn load(&self, hub: &Hub, name: Option<&str>, runtime: &Runtime) -> Result<(Loaded<Task>, ModelCard)> {
        let loaded = caption::load(hub, name, &self.options.request, runtime)?;
        let card = ModelCard::new(&loaded);
        Ok((loaded, card))
    }

    fn seed(&self) -> u64 {
        match self.options.search {
            Some(CaptionSearch::Sample { seed, .. }) => seed,
            _ => 0,
        }
    }

    fn input(&self, _: &Item, picture: &Picture) -> Result<CaptionInput> {
        Ok(CaptionInput { image: picture.image.clone(), options: self.options.clone() })
    }

    fn record(&self, _: &str, _: &Picture, said: &Captions) -> impl Serialize {
        CaptionRecord::new(said)
    }

    fn render(&self, format: Format, _: &str, _: &Picture, said: &Captions) -> Result<Rendered> {
        render(said, format)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_behind_texts_are_inputs() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let path = file.path().as_os_str().to_owned();
        let mut texts = vec!["a cat".into(), "a dog".into(), path.clone()];
        assert_eq!(inputs_behind(&mut texts), vec![path.clone()]);
        assert_eq!(texts, ["a cat", "a dog"]);
        let mut only = vec![path.clone(), path.clone()];
        assert_eq!(inputs_behind(&mut only), [path]);
        assert_eq!(inputs_behind(&mut vec![]), Vec::<OsString>::new());
    }
}
