//! Folders to plan in.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};

use percept_core::Result;
use percept_flow::{Existing, Format, FormatKind, Naming, OutputTarget, Plan, PlanRequest};
use tempfile::TempDir;

/// A folder with empty files in it.
pub(crate) struct Tree(pub(crate) TempDir);

impl Tree {
    pub(crate) fn new(files: &[&str]) -> Self {
        let tree = Self(tempfile::tempdir().unwrap());
        for file in files {
            tree.add(file);
        }
        tree
    }

    pub(crate) fn add(&self, name: impl AsRef<OsStr>) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, "").unwrap();
        path
    }

    pub(crate) fn path(&self, name: impl AsRef<OsStr>) -> PathBuf {
        self.0.path().join(name.as_ref())
    }

    /// `T/…` stands for this folder. Joined as text, so that a trailing slash survives.
    pub(crate) fn typed(&self, text: &str) -> OsString {
        text.replace("T/", &format!("{}/", self.0.path().display())).into()
    }

    pub(crate) fn plan(&self, inputs: &[&str], output: Option<&str>, formats: &[&str]) -> Result<Plan> {
        self.plan_with(inputs, output, formats, |_| {})
    }

    pub(crate) fn plan_with(
        &self,
        inputs: &[&str],
        output: Option<&str>,
        formats: &[&str],
        change: impl FnOnce(&mut PlanRequest<'_>),
    ) -> Result<Plan> {
        let accept =
            |path: &Path| ["wav", "mp3", "jpg"].iter().any(|e| path.extension() == Some(OsStr::new(e)));
        let mut request = PlanRequest {
            inputs: inputs.iter().map(|input| self.typed(input)).collect(),
            files_from: None,
            output: output.map(|output| self.typed(output)),
            formats: formats.iter().map(|extension| format(extension)).collect(),
            existing: Existing::Refuse,
            accept: &accept,
            include: &[],
            exclude: &[],
            shard: None,
            own_outputs: &["segment", "depth"],
        };
        change(&mut request);
        Plan::new(&request)
    }

    /// The plan as lines `input -> output output`, with `T/` for this folder.
    pub(crate) fn lines(&self, plan: &Plan) -> Vec<String> {
        let short = |path: &Path| match path.strip_prefix(self.0.path()) {
            Ok(rest) => format!("T/{}", rest.display()),
            Err(_) => path.display().to_string(),
        };
        let target = |target: &OutputTarget| match target {
            OutputTarget::Stdout => "stdout".to_owned(),
            OutputTarget::File(path) => short(path),
            OutputTarget::Folder(path) => format!("folder {}", short(path)),
            OutputTarget::Stream(path) => format!("stream {}", short(path)),
        };
        let items = plan.items.iter().enumerate();
        items
            .map(|(index, item)| {
                assert_eq!(item.index, index);
                let outputs: Vec<String> = item.outputs.iter().map(target).collect();
                format!("{} -> {}", short(item.input.path()), outputs.join(" "))
            })
            .collect()
    }

    pub(crate) fn error(&self, inputs: &[&str], output: Option<&str>, formats: &[&str]) -> String {
        let error = self.plan(inputs, output, formats).expect_err("a plan that must be refused");
        let text = format!("{} | {}", error.chain(), error.hint().unwrap_or_default());
        text.replace(&format!("{}/", self.0.path().display()), "T/")
    }
}

pub(crate) fn format(extension: &str) -> Format {
    let kind = match extension {
        "png" => FormatKind::Binary,
        "pieces" => FormatKind::Folder,
        _ => FormatKind::Text,
    };
    Format { extension: extension.to_owned(), kind, naming: Naming::Stem }
}
