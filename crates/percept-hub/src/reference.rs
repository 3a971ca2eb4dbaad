//! What a person types after `--model`: a name, `ORG/REPO[@REV]`, or a folder.

use std::path::{Path, PathBuf};

use percept_core::{Error, Result};

/// A model as it was typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reference {
    /// A name of the catalogue, perhaps a misspelt one.
    Name(String),
    /// A repository on the Hub.
    Repository {
        /// `organisation/repository`.
        repository: String,
        /// Branch, tag or commit.
        revision: Option<String>,
    },
    /// A folder.
    Directory(PathBuf),
}

impl Reference {
    /// A catalogue name is what has no slash; `ORG/REPO` is a folder if there is one of that name.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        if text.contains("://") {
            return Err(Error::Argument {
                message: format!("`{text}` is an address, not a model"),
                hint: Some("name it as ORG/REPO or ORG/REPO@REVISION".into()),
            });
        }
        let path = Path::new(text);
        let written_as_path = path.is_absolute()
            || text.starts_with('.')
            || text.ends_with(['/', '\\'])
            || text.contains('\\')
            || text.matches('/').count() > 1 && !text.contains('@');
        if written_as_path || (text.contains('/') && path.exists()) {
            return Self::directory(path);
        }
        if !text.contains('/') {
            return if text.is_empty() {
                Err(Error::argument("the model's name is empty"))
            } else {
                Ok(Self::Name(text.into()))
            };
        }
        let (repository, revision) = match text.split_once('@') {
            Some((repository, revision)) => (repository, Some(revision)),
            None => (text, None),
        };
        let parts: Vec<&str> = repository.split('/').collect();
        let fits =
            parts.len() == 2 && parts.iter().all(|part| is_plain(part)) && revision.is_none_or(is_revision);
        if !fits {
            return Err(Error::Argument {
                message: format!("`{text}` is neither a folder nor a repository"),
                hint: Some("a repository is named as ORG/REPO or ORG/REPO@REVISION".into()),
            });
        }
        Ok(Self::Repository { repository: repository.into(), revision: revision.map(Into::into) })
    }

    fn directory(path: &Path) -> Result<Self> {
        if path.is_dir() {
            return Ok(Self::Directory(path.to_owned()));
        }
        let (message, hint) = if path.exists() {
            (format!("`{}` is a file, not a folder", path.display()), "name the folder that holds it")
        } else {
            (format!("there is no folder `{}`", path.display()), "a model of the Hub is named as ORG/REPO")
        };
        Err(Error::Argument { message, hint: Some(hint.into()) })
    }
}

/// One part of a path that stays where it is put.
pub(crate) fn is_plain(part: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    !part.is_empty()
        && part.len() <= 128
        && part.chars().all(allowed)
        && !part.starts_with('.')
        && !part.contains("..")
}

/// A branch, a tag, a commit, or `refs/pr/1`.
pub(crate) fn is_revision(text: &str) -> bool {
    text.split('/').all(is_plain)
}

/// A whole commit, as opposed to a name that may move.
pub(crate) fn is_commit(text: &str) -> bool {
    text.len() == 40 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn repository(text: &str) -> (String, Option<String>) {
        match Reference::parse(text).unwrap() {
            Reference::Repository { repository, revision } => (repository, revision),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn names_repositories_and_folders_are_told_apart() {
        assert_eq!(Reference::parse("whisper-tiny.en").unwrap(), Reference::Name("whisper-tiny.en".into()));
        assert_eq!(repository("openai/whisper-tiny"), ("openai/whisper-tiny".into(), None));
        assert_eq!(repository("a/b@v1.0"), ("a/b".into(), Some("v1.0".into())));
        assert_eq!(repository("a/b@refs/pr/1").1.as_deref(), Some("refs/pr/1"));
        let folder = tempfile::tempdir().unwrap();
        let typed = folder.path().to_str().unwrap();
        assert_eq!(Reference::parse(typed).unwrap(), Reference::Directory(typed.into()));
    }

    #[test]
    fn what_would_leave_the_cache_is_refused() {
        for text in [
            "a/..",
            "../b",
            "a/b@../../x",
            "a/b@",
            "a/b@x y",
            "/no/such/folder",
            "./none",
            "a/b/c",
            "https://h/a/b",
            "",
        ] {
            assert!(Reference::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_file_in_place_of_a_folder_is_named_as_such() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("model.safetensors");
        std::fs::write(&file, "x").unwrap();
        let error = Reference::parse(file.to_str().unwrap()).unwrap_err();
        assert!(error.to_string().contains("is a file"), "{error}");
    }
}
