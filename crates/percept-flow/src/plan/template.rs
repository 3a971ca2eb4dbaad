//! Output names with fd's placeholders.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use percept_core::Result;

use super::native;

/// `out/{/.}.srt`, read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Template {
    parts: Vec<Part>,
}

#[derive(Debug, PartialEq, Eq)]
enum Part {
    Literal(OsString),
    /// `{}`: the path.
    Path,
    /// `{/}`: the file name.
    Name,
    /// `{//}`: the folder.
    Folder,
    /// `{.}`: the path without its extension.
    PathStem,
    /// `{/.}`: the file name without its extension.
    NameStem,
}

impl Template {
    /// Reads a template; `None` where `text` has no placeholder and is thus a plain path. As in fd,
    /// `{{` and `}}` stand for braces, and other braces stand for themselves.
    pub(super) fn parse(text: &OsStr) -> Result<Option<Self>> {
        let mut rest = text.as_encoded_bytes();
        let mut literal = Vec::new();
        let mut parts = Vec::new();
        let mut placeholders = 0;
        while let Some((&first, tail)) = rest.split_first() {
            if let Some((part, after)) = placeholder(rest) {
                if !literal.is_empty() {
                    parts.push(Part::Literal(native::os_string(std::mem::take(&mut literal))?));
                }
                parts.push(part);
                placeholders += 1;
                rest = after;
            } else if rest.starts_with(b"{{") || rest.starts_with(b"}}") {
                literal.push(first);
                rest = &tail[1..];
            } else {
                literal.push(first);
                rest = tail;
            }
        }
        if !literal.is_empty() {
            parts.push(Part::Literal(native::os_string(literal)?));
        }
        Ok((placeholders > 0).then_some(Self { parts }))
    }

    /// The output name for an input.
    pub(super) fn fill(&self, input: &Path) -> OsString {
        let mut filled = OsString::new();
        for part in &self.parts {
            match part {
                Part::Literal(text) => filled.push(text),
                Part::Path => filled.push(input),
                Part::Name => filled.push(input.file_name().unwrap_or(input.as_os_str())),
                Part::Folder => filled.push(folder(input)),
                Part::PathStem => filled.push(without_extension(input)),
                Part::NameStem => filled.push(input.file_stem().unwrap_or(input.as_os_str())),
            }
        }
        filled
    }
}

fn placeholder(text: &[u8]) -> Option<(Part, &[u8])> {
    let table: [(&[u8], Part); 5] = [
        (b"{}", Part::Path),
        (b"{/}", Part::Name),
        (b"{//}", Part::Folder),
        (b"{.}", Part::PathStem),
        (b"{/.}", Part::NameStem),
    ];
    table.into_iter().find_map(|(sign, part)| text.strip_prefix(sign).map(|after| (part, after)))
}

/// The folder of a path; `.` for a bare name.
fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        Some(_) => Path::new("."),
        None => path,
    }
}

fn without_extension(path: &Path) -> PathBuf {
    match path.file_stem() {
        Some(stem) => path.with_file_name(stem),
        None => path.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(template: &str, input: &str) -> Option<String> {
        let template = Template::parse(OsStr::new(template)).unwrap()?;
        Some(template.fill(Path::new(input)).into_string().unwrap())
    }

    // The expected texts are what `fd -H -t f . FOLDER -x echo TEMPLATE` of fd 8.6.0 printed; that of
    // the escaped braces stands in the tests of fd's `src/fmt/mod.rs` (1cad50f), 8.6.0 has none.
    #[test]
    fn placeholders_are_those_of_fd() {
        let table = [
            ("{}", "talks/one.tar.gz", "talks/one.tar.gz"),
            ("{/}", "talks/one.tar.gz", "one.tar.gz"),
            ("{//}", "talks/one.tar.gz", "talks"),
            ("{.}", "talks/one.tar.gz", "talks/one.tar"),
            ("{/.}", "talks/one.tar.gz", "one.tar"),
            ("{//}", "one.wav", "."),
            ("{/.}", "noextension", "noextension"),
            ("{.}", "a.b/noextension", "a.b/noextension"),
            ("{.}", ".hidden", ".hidden"),
            ("out/{//}/{/.}.srt", "a/b.wav", "out/a/b.srt"),
            ("{/.}{/.}", "a/b.wav", "bb"),
            (
                "{{path={} basename={/} parent={//} }}",
                "a/folder/file.txt",
                "{path=a/folder/file.txt basename=file.txt parent=a/folder }",
            ),
            ("{x}{/}", "b.wav", "{x}b.wav"),
        ];
        for (template, input, expected) in table {
            assert_eq!(fill(template, input).as_deref(), Some(expected), "{template} of {input}");
        }
    }

    #[test]
    fn a_path_without_placeholders_is_no_template() {
        for plain in ["out/a.srt", "{", "{x}", "a}b{", "", "{{}", "{{/}}"] {
            assert_eq!(fill(plain, "b.wav"), None, "{plain}");
        }
    }
}
