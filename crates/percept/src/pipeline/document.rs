//! A pipeline file as tables whose entries know their lines, with `${variables}` filled in.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::ops::Range;
use std::path::{Path, PathBuf};

use percept_core::{Error, Result};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A pipeline is written by hand.
const MOST_BYTES: u64 = 1 << 20;

/// The text of a pipeline file, and what its variables stand for.
pub(super) struct Document {
    path: PathBuf,
    text: String,
    variables: BTreeMap<String, String>,
}

/// A table of the file. It remembers which keys were asked for: all others are mistakes.
pub(super) struct Fields<'a> {
    document: &'a Document,
    table: &'a DeTable<'a>,
    /// Where the table stands in the text.
    place: Range<usize>,
    known: RefCell<Vec<&'static str>>,
}

/// A value and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Placed<V> {
    pub(super) value: V,
    pub(super) place: Range<usize>,
}

impl Document {
    /// Reads the file.
    pub(super) fn read(path: &Path) -> Result<Self> {
        let mut text = String::new();
        let read = File::open(path).and_then(|file| file.take(MOST_BYTES).read_to_string(&mut text));
        let length = read.map_err(|cause| Error::input(path, cause))?;
        if length as u64 == MOST_BYTES {
            return Err(Error::input(path, "it is too long for a pipeline"));
        }
        Ok(Self { path: path.to_owned(), text, variables: BTreeMap::new() })
    }

    /// The file as it is written.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Its tables.
    pub(super) fn parse(&self) -> Result<Spanned<DeTable<'_>>> {
        DeTable::parse(&self.text)
            .map_err(|error| self.wrong(error.span().unwrap_or(0..0), error.message().to_owned(), None))
    }

    /// What variables stand for: the table `[set]` of the file, changed by `set` (`NAME=VALUE`).
    pub(super) fn set_variables(&mut self, set: &[String]) -> Result<()> {
        let mut variables = BTreeMap::new();
        {
            let tables = self.parse()?;
            if let Some((_, defaults)) = tables.get_ref().get_key_value("set") {
                let wrong = |place| self.wrong(place, "`set` is a table of texts and numbers".into(), None);
                let table = defaults.get_ref().as_table().ok_or_else(|| wrong(defaults.span()))?;
                for (name, value) in table {
                    let text = plain(value.get_ref()).ok_or_else(|| wrong(value.span()))?;
                    variables.insert(name.get_ref().to_string(), text);
                }
            }
        }
        for text in set {
            let Some((name, value)) = text.split_once('=') else {
                return Err(Error::Argument {
                    message: format!("`--set {text}` sets nothing"),
                    hint: Some("write `--set NAME=VALUE`".into()),
                });
            };
            if !self.text.contains(&format!("${{{name}}}")) && !variables.contains_key(name) {
                let all = variables.keys().map(String::as_str);
                return Err(Error::Argument {
                    message: format!("`{}` has no variable `{name}`", self.path.display()),
                    hint: nearest(name, all),
                });
            }
            variables.insert(name.to_owned(), value.to_owned());
        }
        self.variables = variables;
        Ok(())
    }

    /// A mistake, with its line.
    pub(super) fn wrong(&self, place: Range<usize>, message: String, hint: Option<String>) -> Error {
        let line = 1 + self.text[..place.start.min(self.text.len())].matches('\n').count();
        Error::Argument { message: format!("{}:{line}: {message}", self.path.display()), hint }
    }

    /// A text with its variables filled in.
    fn filled(&self, text: &str, place: &Range<usize>) -> Result<String> {
        let mut filled = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            let wrong = |message: String, hint| Err(self.wrong(place.clone(), message, hint));
            let Some((name, behind)) = after.split_once('}') else {
                return wrong("`${` has no `}`".into(), None);
            };
            let Some(value) = self.variables.get(name) else {
                let hint = nearest(name, self.variables.keys().map(String::as_str));
                let hint = hint.or_else(|| Some(format!("give it: `--set {name}=VALUE`")));
                return wrong(format!("the variable `{name}` is not set"), hint);
            };
            filled.push_str(before);
            filled.push_str(value);
            rest = behind;
        }
        Ok(filled + rest)
    }
}

/// A text, number or truth value as text.
fn plain(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(number) => Some(number.as_str().to_owned()),
        DeValue::Float(number) => Some(number.as_str().to_owned()),
        DeValue::Boolean(value) => Some(value.to_string()),
        _ => None,
    }
}

impl<'a> Fields<'a> {
    pub(super) fn new(document: &'a Document, table: &'a DeTable<'a>, place: Range<usize>) -> Self {
        Self { document, table, place, known: RefCell::default() }
    }

    fn get(&self, key: &'static str) -> Option<&'a Spanned<DeValue<'a>>> {
        self.known.borrow_mut().push(key);
        self.table.get(key)
    }

    /// A mistake of the whole table.
    pub(super) fn wrong(&self, message: String, hint: Option<String>) -> Error {
        self.document.wrong(self.place.clone(), message, hint)
    }

    /// A mistake at a place.
    pub(super) fn wrong_at(&self, place: &Range<usize>, message: String, hint: Option<String>) -> Error {
        self.document.wrong(place.clone(), message, hint)
    }

    /// Where an entry stands; where there is none, the table.
    pub(super) fn place_of(&self, key: &str) -> Range<usize> {
        self.table.get(key).map_or(self.place.clone(), Spanned::span)
    }

    /// Whether there is such an entry.
    pub(super) fn has(&self, key: &'static str) -> bool {
        self.get(key).is_some()
    }

    /// A text, if there is one.
    pub(super) fn text(&self, key: &'static str) -> Result<Option<Placed<String>>> {
        let Some(entry) = self.get(key) else { return Ok(None) };
        match entry.get_ref() {
            DeValue::String(text) => {
                let value = self.document.filled(text, &entry.span())?;
                Ok(Some(Placed { value, place: entry.span() }))
            }
            other => Err(self.type_error(key, "a text", other, entry.span())),
        }
    }

    /// Texts: a list, or one.
    pub(super) fn texts(&self, key: &'static str) -> Result<Vec<String>> {
        let Some(entry) = self.get(key) else { return Ok(vec![]) };
        let one = |entry: &Spanned<DeValue<'a>>| match plain(entry.get_ref()) {
            Some(text) => self.document.filled(&text, &entry.span()),
            None => Err(self.type_error(key, "texts", entry.get_ref(), entry.span())),
        };
        match entry.get_ref() {
            DeValue::Array(entries) => entries.iter().map(one).collect(),
            _ => one(entry).map(|text| vec![text]),
        }
    }

    /// A number within a range; a variable may stand for it.
    pub(super) fn number(&self, key: &'static str, range: Range<f64>) -> Result<Option<f64>> {
        let Some(entry) = self.get(key) else { return Ok(None) };
        let text = match plain(entry.get_ref()) {
            Some(text) => self.document.filled(&text, &entry.span())?,
            None => return Err(self.type_error(key, "a number", entry.get_ref(), entry.span())),
        };
        match text.replace('_', "").parse::<f64>() {
            Ok(number) if number >= range.start && number <= range.end => Ok(Some(number)),
            Ok(number) => {
                let message =
                    format!("`{key}` lies between {} and {}, not at {number}", range.start, range.end);
                Err(self.wrong_at(&entry.span(), message, None))
            }
            Err(_) => Err(self.type_error(key, "a number", entry.get_ref(), entry.span())),
        }
    }

    /// A whole number within a range.
    pub(super) fn count(&self, key: &'static str, range: Range<f64>) -> Result<Option<u64>> {
        match self.number(key, range)? {
            Some(number) if number.fract() != 0.0 => Err(self.wrong_at(
                &self.place_of(key),
                format!("`{key}` is a whole number, not {number}"),
                None,
            )),
            other => Ok(other.map(|number| number as u64)),
        }
    }

    /// True or false.
    pub(super) fn flag(&self, key: &'static str) -> Result<Option<bool>> {
        let Some(entry) = self.get(key) else { return Ok(None) };
        let text =
            plain(entry.get_ref()).map(|text| self.document.filled(&text, &entry.span())).transpose()?;
        match text.as_deref() {
            Some("true") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            _ => Err(self.type_error(key, "true or false", entry.get_ref(), entry.span())),
        }
    }

    fn type_error(&self, key: &str, wanted: &str, found: &DeValue<'_>, place: Range<usize>) -> Error {
        self.wrong_at(&place, format!("`{key}` is {wanted}, not {}", found.type_str()), None)
    }

    /// One of a few names.
    pub(super) fn one_of<V: Copy>(&self, key: &'static str, names: &[(&str, V)]) -> Result<Option<V>> {
        let Some(text) = self.text(key)? else { return Ok(None) };
        match names.iter().find(|(name, _)| *name == text.value) {
            Some((_, value)) => Ok(Some(*value)),
            None => Err(self.wrong_at(
                &text.place,
                format!("`{}` is no `{key}`", text.value),
                suggestion(&text.value, names.iter().map(|(name, _)| *name)),
            )),
        }
    }

    /// Refuses keys that nobody asked for.
    pub(super) fn finish(self) -> Result<()> {
        let known = self.known.take();
        match self.table.keys().find(|key| !known.contains(&key.get_ref().as_ref())) {
            None => Ok(()),
            Some(key) => {
                let message = format!("there is no `{}` here", key.get_ref());
                Err(self.document.wrong(key.span(), message, suggestion(key.get_ref(), known.into_iter())))
            }
        }
    }
}

/// "did you mean ...", where something is near.
pub(super) fn nearest<'n>(name: &str, all: impl Iterator<Item = &'n str> + Clone) -> Option<String> {
    all.clone()
        .map(|known| (strsim::damerau_levenshtein(known, name), known))
        .filter(|(distance, known)| *distance <= (known.len() / 3).max(2) && *distance < name.len())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, known)| known)
        .or_else(|| all.clone().find(|known| name.len() > 2 && known.starts_with(name)))
        .map(|known| format!("did you mean `{known}`?"))
}

/// "did you mean ...", or all that there is.
pub(super) fn suggestion<'n>(name: &str, all: impl Iterator<Item = &'n str> + Clone) -> Option<String> {
    nearest(name, all.clone()).or_else(|| {
        let mut names: Vec<&str> = all.collect();
        names.sort_unstable();
        names.dedup();
        (!names.is_empty()).then(|| format!("there are: {}", names.join(", ")))
    })
}
