//! Plans: which inputs, which outputs, and what is refused.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};

use percept_core::Result;
use percept_flow::{
    Existing, FilesFrom, Format, FormatKind, InputSource, ListSource, Naming, OutputTarget, Plan,
    PlanRequest, Separator,
};
use tempfile::TempDir;

/// A folder with empty files in it.
struct Tree(TempDir);

impl Tree {
    fn new(files: &[&str]) -> Self {
        let tree = Self(tempfile::tempdir().unwrap());
        for file in files {
            tree.add(file);
        }
        tree
    }

    fn add(&self, name: impl AsRef<OsStr>) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, "").unwrap();
        path
    }

    fn path(&self, name: impl AsRef<OsStr>) -> PathBuf {
        self.0.path().join(name.as_ref())
    }

    /// `T/…` stands for this folder. Joined as text, so that a trailing slash survives.
    fn typed(&self, text: &str) -> OsString {
        text.replace("T/", &format!("{}/", self.0.path().display())).into()
    }

    fn plan(&self, inputs: &[&str], output: Option<&str>, formats: &[&str]) -> Result<Plan> {
        self.plan_with(inputs, output, formats, |_| {})
    }

    fn plan_with(
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
            naming: Naming::Stem,
            existing: Existing::Refuse,
            accept: &accept,
            own_outputs: &["segment", "depth"],
        };
        change(&mut request);
        Plan::new(&request)
    }

    /// The plan as lines `input -> output output`, with `T/` for this folder.
    fn lines(&self, plan: &Plan) -> Vec<String> {
        let short = |path: &Path| match path.strip_prefix(self.0.path()) {
            Ok(rest) => format!("T/{}", rest.display()),
            Err(_) => path.display().to_string(),
        };
        let target = |target: &OutputTarget| match target {
            OutputTarget::Stdout => "stdout".to_owned(),
            OutputTarget::File(path) => short(path),
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

    fn error(&self, inputs: &[&str], output: Option<&str>, formats: &[&str]) -> String {
        let error = self.plan(inputs, output, formats).expect_err("a plan that must be refused");
        let text = format!("{} | {}", error.chain(), error.hint().unwrap_or_default());
        text.replace(&format!("{}/", self.0.path().display()), "T/")
    }
}

fn format(extension: &str) -> Format {
    let kind = if extension == "png" { FormatKind::Binary } else { FormatKind::Text };
    Format { extension: extension.to_owned(), kind }
}

#[test]
fn where_outputs_go() {
    let tree = Tree::new(&["a.wav", "b.mp3", "d/c.wav", "d/e/f.wav", "g/c.wav", "out/keep", "v1.2.wav"]);
    #[rustfmt::skip]
    let table: &[(&[&str], Option<&str>, &[&str], &[&str])] = &[
        // Without -o: one text of one file to stdout, everything else beside its input.
        (&["T/a.wav"], None, &["txt"], &["T/a.wav -> stdout"]),
        (&["-"], None, &["txt"], &["- -> stdout"]),
        (&["T/a.wav"], None, &["txt", "srt"], &["T/a.wav -> T/a.txt T/a.srt"]),
        (&["T/a.wav"], None, &["png"], &["T/a.wav -> T/a.png"]),
        (&["T/a.wav", "T/b.mp3"], None, &["srt"], &["T/a.wav -> T/a.srt", "T/b.mp3 -> T/b.srt"]),
        (&["T/g"], None, &["srt"], &["T/g/c.wav -> T/g/c.srt"]),
        (&["T/v1.2.wav", "T/a.wav"], None, &["srt"], &["T/v1.2.wav -> T/v1.2.srt", "T/a.wav -> T/a.srt"]),
        // -o FILE
        (&["T/a.wav"], Some("T/x.srt"), &["srt"], &["T/a.wav -> T/x.srt"]),
        (&["T/a.wav"], Some("T/new/x"), &["srt"], &["T/a.wav -> T/new/x"]),
        (&["T/a.wav"], Some("T/x.srt"), &["srt", "vtt"], &["T/a.wav -> T/x.srt T/x.vtt"]),
        (&["T/a.wav"], Some("T/v1.2"), &["srt", "vtt"], &["T/a.wav -> T/v1.2.srt T/v1.2.vtt"]),
        (&["-"], Some("T/x.srt"), &["srt"], &["- -> T/x.srt"]),
        (&["T/a.wav"], Some("/dev/null"), &["txt"], &["T/a.wav -> stream /dev/null"]),
        (&["T/a.wav", "T/b.mp3"], Some("/dev/null"), &["txt"],
            &["T/a.wav -> stream /dev/null", "T/b.mp3 -> stream /dev/null"]),
        // -o -
        (&["T/a.wav"], Some("-"), &["png"], &["T/a.wav -> stdout"]),
        (&["T/a.wav", "T/b.mp3"], Some("-"), &["txt"], &["T/a.wav -> stdout", "T/b.mp3 -> stdout"]),
        (&["T/a.wav"], Some("/dev/stdout"), &["txt"], &["T/a.wav -> stdout"]),
        // -o FOLDER: by a separator, because it exists, because there are several inputs
        (&["T/a.wav"], Some("T/new/"), &["srt"], &["T/a.wav -> T/new/a.srt"]),
        (&["T/a.wav"], Some("T/out"), &["srt"], &["T/a.wav -> T/out/a.srt"]),
        (&["-"], Some("T/out"), &["srt"], &["- -> T/out/stdin.srt"]),
        (&["T/a.wav", "T/d/c.wav"], Some("T/new"), &["srt"],
            &["T/a.wav -> T/new/a.srt", "T/d/c.wav -> T/new/c.srt"]),
        // Folders are mirrored; of several each keeps its name.
        (&["T/d"], Some("T/new"), &["srt"], &["T/d/c.wav -> T/new/c.srt", "T/d/e/f.wav -> T/new/e/f.srt"]),
        (&["T/d/"], Some("T/new"), &["srt"], &["T/d/c.wav -> T/new/c.srt", "T/d/e/f.wav -> T/new/e/f.srt"]),
        (&["T/g"], Some("T/new"), &["srt"], &["T/g/c.wav -> T/new/c.srt"]),
        (&["T/g", "T/a.wav"], Some("T/new"), &["srt"], &["T/g/c.wav -> T/new/c.srt", "T/a.wav -> T/new/a.srt"]),
        (&["T/d", "T/g"], Some("T/new"), &["srt"],
            &["T/d/c.wav -> T/new/d/c.srt", "T/d/e/f.wav -> T/new/d/e/f.srt", "T/g/c.wav -> T/new/g/c.srt"]),
        // Templates
        (&["T/a.wav"], Some("{.}.en.srt"), &["srt"], &["T/a.wav -> T/a.en.srt"]),
        (&["T/d"], Some("{//}/sub/{/.}.srt"), &["srt"],
            &["T/d/c.wav -> T/d/sub/c.srt", "T/d/e/f.wav -> T/d/e/sub/f.srt"]),
        (&["T/d"], Some("{//}/sub/"), &["srt"],
            &["T/d/c.wav -> T/d/sub/c.srt", "T/d/e/f.wav -> T/d/e/sub/f.srt"]),
        (&["T/a.wav"], Some("{}.srt"), &["srt", "vtt"], &["T/a.wav -> T/a.wav.srt T/a.wav.vtt"]),
        (&["T/a.wav"], Some("T/new/{/}"), &["srt", "vtt"], &["T/a.wav -> T/new/a.wav.srt T/new/a.wav.vtt"]),
        (&["-"], Some("T/new/{/.}.txt"), &["txt"], &["- -> T/new/stdin.txt"]),
    ];
    for (inputs, output, formats, expected) in table {
        let plan = tree.plan(inputs, *output, formats).unwrap_or_else(|error| {
            panic!("{inputs:?} {output:?} {formats:?}: {}", error.chain());
        });
        assert_eq!(tree.lines(&plan), *expected, "{inputs:?} {output:?} {formats:?}");
    }
}

#[test]
fn inputs_that_would_share_a_name_keep_their_full_one() {
    let tree =
        Tree::new(&["a.wav", "a.mp3", "b.wav", "d/x.wav", "d/x.mp3", "e/y.wav", "e/y.mp3", "e/y.wav.mp3"]);
    let plan = tree.plan(&["T/a.wav", "T/a.mp3", "T/b.wav"], None, &["srt"]).unwrap();
    assert_eq!(tree.lines(&plan), ["T/a.wav -> T/a.wav.srt", "T/a.mp3 -> T/a.mp3.srt", "T/b.wav -> T/b.srt"]);
    let plan = tree.plan(&["T/d"], Some("T/out"), &["srt", "vtt"]).unwrap();
    assert_eq!(
        tree.lines(&plan),
        ["T/d/x.mp3 -> T/out/x.mp3.srt T/out/x.mp3.vtt", "T/d/x.wav -> T/out/x.wav.srt T/out/x.wav.vtt"]
    );
    // `y.wav.mp3` would be called what `y.wav` is now called.
    let plan = tree.plan(&["T/e"], Some("T/out"), &["srt"]).unwrap();
    assert_eq!(
        tree.lines(&plan),
        [
            "T/e/y.mp3 -> T/out/y.mp3.srt",
            "T/e/y.wav -> T/out/y.wav.srt",
            "T/e/y.wav.mp3 -> T/out/y.wav.mp3.srt"
        ]
    );
}

#[test]
fn pictures_carry_the_task_in_their_name() {
    let tree = Tree::new(&["p/a.jpg", "p/a.segment.jpg", "p/b.depth.jpg", "p/.hidden.jpg", "p/note.txt"]);
    let task = |request: &mut PlanRequest<'_>| request.naming = Naming::StemTask("segment");
    let plan = tree.plan_with(&["T/p"], None, &["png"], task).unwrap();
    assert_eq!(tree.lines(&plan), ["T/p/a.jpg -> T/p/a.segment.png"], "our own outputs are left out");
    let plan = tree.plan_with(&["T/p/b.depth.jpg", "T/p/note.txt"], None, &["png"], task).unwrap();
    assert_eq!(
        tree.lines(&plan),
        ["T/p/b.depth.jpg -> T/p/b.depth.segment.png", "T/p/note.txt -> T/p/note.segment.png"],
        "what is named is taken"
    );
}

#[test]
fn the_folder_of_the_outputs_is_not_walked() {
    let tree = Tree::new(&["p/a.wav", "p/out/old.wav", "p/sub/out/kept.wav"]);
    let plan = tree.plan(&["T/p"], Some("T/p/out"), &["txt"]).unwrap();
    assert_eq!(
        tree.lines(&plan),
        ["T/p/a.wav -> T/p/out/a.txt", "T/p/sub/out/kept.wav -> T/p/out/sub/out/kept.txt"]
    );
    let plan = tree.plan(&["T/p/out"], Some("T/p/out"), &["txt"]).unwrap();
    assert_eq!(tree.lines(&plan), ["T/p/out/old.wav -> T/p/out/old.txt"], "unless it is the input");
}

#[test]
fn collisions_are_refused_with_their_names() {
    let tree = Tree::new(&["d/c.wav", "g/c.wav", "a.wav", "b.mp3", "x/d/c.wav"]);
    let error = tree.error(&["T/d/c.wav", "T/g/c.wav"], Some("T/out"), &["srt"]);
    assert!(error.contains("`T/out/c.wav.srt` from `T/d/c.wav` and `T/g/c.wav`"), "{error}");
    assert!(error.contains("template"), "{error}");
    let error = tree.error(&["T/a.wav", "T/b.mp3"], Some("T/{//}.srt"), &["srt"]);
    assert!(error.contains("`T/a.wav` and `T/b.mp3`"), "{error}");
    let error = tree.error(&["T/d", "T/x/d"], Some("T/out"), &["srt"]);
    assert!(error.contains("`T/d/c.wav` and `T/x/d/c.wav`"), "{error}");
}

#[test]
fn an_output_never_replaces_an_input() {
    let tree = Tree::new(&["a.wav", "b.wav", "s/c.wav"]);
    for (inputs, output) in [
        (vec!["T/a.wav"], "T/a.wav"),
        (vec!["T/a.wav"], "{}"),
        (vec!["T/a.wav", "T/b.wav"], "{//}/../T2/{/}"),
        (vec!["T/s/c.wav"], "T/s/../s/c.wav"),
    ] {
        let output = output.replace("T2", tree.0.path().file_name().unwrap().to_str().unwrap());
        for existing in [Existing::Refuse, Existing::Replace] {
            let plan =
                tree.plan_with(&inputs, Some(&output), &["srt"], |request| request.existing = existing);
            let error = plan.expect_err(&output).chain();
            assert!(error.contains("would replace an input"), "{error}");
        }
    }
}

#[cfg(unix)]
#[test]
fn an_input_is_known_through_links_in_its_path() {
    let tree = Tree::new(&["real/a.wav"]);
    std::os::unix::fs::symlink(tree.path("real"), tree.path("link")).unwrap();
    let error = tree.error(&["T/real/a.wav"], Some("T/link/a.wav"), &["srt"]);
    assert!(error.contains("would replace an input"), "{error}");
}

#[test]
fn existing_outputs_are_refused_without_y() {
    let tree = Tree::new(&["a.wav", "a.srt", "b.wav", "b.srt", "c.wav"]);
    let error = tree.error(&["T/a.wav", "T/b.wav", "T/c.wav"], None, &["srt"]);
    assert!(error.starts_with("an output exists already:\n  `T/a.srt`\n  `T/b.srt` |"), "{error}");
    assert!(error.contains("-y"), "{error}");
    let replace = |request: &mut PlanRequest<'_>| request.existing = Existing::Replace;
    let plan = tree.plan_with(&["T/a.wav", "T/b.wav", "T/c.wav"], None, &["srt"], replace).unwrap();
    assert_eq!(plan.items.len(), 3);
    fs::create_dir(tree.path("c.srt")).unwrap();
    let folder = tree.plan_with(&["T/c.wav"], Some("{.}.srt"), &["srt"], replace);
    assert!(folder.unwrap_err().chain().contains("is a folder"));
}

#[test]
fn long_lists_are_counted() {
    let names: Vec<String> = (0..30).map(|n| format!("{n:02}")).collect();
    let tree = Tree::new(&[]);
    for name in &names {
        tree.add(format!("d/{name}.wav"));
        tree.add(format!("d/{name}.srt"));
    }
    let error = tree.error(&["T/d"], None, &["srt"]);
    assert!(error.contains("`T/d/09.srt`\n  and 20 more"), "{error}");
}

#[test]
fn what_does_not_fit_is_refused() {
    let tree = Tree::new(&["a.wav", "b.wav", "file", "empty/x.txt"]);
    #[rustfmt::skip]
    let table: &[(&[&str], Option<&str>, &[&str], &str)] = &[
        (&[], None, &["txt"], "no input is given"),
        (&["T/a.wav"], None, &[], "no output format"),
        (&["T/a.wav"], None, &["txt", "txt"], "`txt` is named twice"),
        (&["T/empty"], None, &["txt"], "`T/empty` has no file to work on"),
        (&["T/a.wav", "T/b.wav"], Some("T/file"), &["txt"], "`T/file` is a file"),
        (&["T/a.wav"], Some("T/file/"), &["txt"], "`T/file/` is a file"),
        (&["T/a.wav"], Some(""), &["txt"], "empty name"),
        (&["T/a.wav"], Some("-"), &["txt", "srt"], "cannot share stdout"),
        (&["T/a.wav", "T/b.wav"], Some("-"), &["png"], "cannot share stdout"),
        (&["-"], None, &["txt", "srt"], "from stdin"),
        (&["-"], None, &["png"], "from stdin"),
        (&["-", "-"], None, &["txt"], "named twice"),
        (&["T/missing.wav"], None, &["txt"], "cannot read `T/missing.wav`: No such file"),
        (&["T/*.flac"], None, &["txt"], "cannot read `T/*.flac`: No such file"),
    ];
    for (inputs, output, formats, expected) in table {
        let error = tree.error(inputs, *output, formats);
        assert!(error.contains(expected), "{inputs:?} {output:?} {formats:?}: {error}");
    }
}

#[test]
fn a_missing_file_among_others_is_an_item() {
    let tree = Tree::new(&["a.wav"]);
    let plan = tree.plan(&["T/missing.wav", "T/a.wav"], Some("T/out"), &["txt"]).unwrap();
    assert_eq!(tree.lines(&plan), ["T/missing.wav -> T/out/missing.txt", "T/a.wav -> T/out/a.txt"]);
}

#[test]
fn a_file_that_is_named_twice_is_one_item() {
    let tree = Tree::new(&["d/a.wav", "d/b.wav"]);
    let plan = tree.plan(&["T/d/b.wav", "T/d", "T/d/./b.wav", "T/d//a.wav"], None, &["txt"]).unwrap();
    assert_eq!(tree.lines(&plan), ["T/d/b.wav -> T/d/b.txt", "T/d/a.wav -> T/d/a.txt"]);
}

#[test]
fn globs_are_for_what_the_shell_left_alone() {
    let tree = Tree::new(&[
        "a.wav",
        "b.wav",
        "c.mp3",
        ".h.wav",
        "d/e.wav",
        "d/f/g.wav",
        "[x].wav",
        "x.wav",
        "n.txt",
        ".s/t.wav",
    ]);
    #[rustfmt::skip]
    let table: &[(&str, &[&str])] = &[
        ("T/?.wav", &["a.wav", "b.wav", "x.wav"]),
        ("T/*.{mp3,txt}", &["c.mp3", "n.txt"]),
        ("T/**/*.wav", &["[x].wav", "a.wav", "b.wav", "d/e.wav", "d/f/g.wav", "x.wav"]),
        ("T/d/*.wav", &["d/e.wav"]),
        ("T/*/*.wav", &["d/e.wav"]),
        ("T/.*.wav", &[".h.wav"]),
        ("T/.s/*.wav", &[".s/t.wav"]),
        ("T/[ab].wav", &["a.wav", "b.wav"]),
        // A name that exists is no pattern.
        ("T/[x].wav", &["[x].wav"]),
    ];
    for (pattern, expected) in table {
        let plan = tree.plan(&[pattern], Some("T/out/"), &["srt"]).unwrap();
        let inputs: Vec<_> = plan.items.iter().map(|item| item.input.path().to_owned()).collect();
        let expected: Vec<_> = expected.iter().map(|name| tree.path(name)).collect();
        assert_eq!(inputs, expected, "{pattern}");
    }
}

#[test]
fn folders_come_in_byte_order() {
    let tree = Tree::new(&["d/b.wav", "d/B.wav", "d/a/z.wav", "d/a.wav", "d/a-.wav", "d/10.wav", "d/9.wav"]);
    let plan = tree.plan(&["T/d"], Some("T/out"), &["srt"]).unwrap();
    let inputs: Vec<_> = plan.items.iter().map(|item| item.input.path().to_owned()).collect();
    // `find d -type f | LC_ALL=C sort`
    let sorted = ["d/10.wav", "d/9.wav", "d/B.wav", "d/a-.wav", "d/a.wav", "d/a/z.wav", "d/b.wav"];
    assert_eq!(inputs, sorted.map(|name| tree.path(name)));
}

#[test]
fn hidden_files_are_left_out_unless_their_folder_is_named() {
    let tree = Tree::new(&[".d/a.wav", ".d/.b.wav", ".d/.e/c.wav"]);
    let plan = tree.plan(&["T/.d"], Some("T/out"), &["srt"]).unwrap();
    assert_eq!(tree.lines(&plan), ["T/.d/a.wav -> T/out/a.srt"]);
    let plan = tree.plan(&["T/.d/.b.wav"], Some("T/out/"), &["srt"]).unwrap();
    assert_eq!(tree.lines(&plan), ["T/.d/.b.wav -> T/out/.b.srt"]);
}

#[test]
fn lists_hold_paths_and_nothing_else() {
    let tree = Tree::new(&["a b.wav", "new\nline.wav", "*.wav", "d/e.wav", "-"]);
    let list = tree.path("list");
    let from = |separator| {
        let list = list.clone();
        move |request: &mut PlanRequest<'_>| {
            request.files_from = Some(FilesFrom { source: ListSource::File(list), separator });
        }
    };
    fs::write(&list, tree.typed("T/a b.wav\n\nT/*.wav\r\nT/d\nT/?.wav\n").into_encoded_bytes()).unwrap();
    let plan = tree.plan_with(&[], Some("T/out"), &["srt"], from(Separator::Line)).unwrap();
    assert_eq!(
        tree.lines(&plan),
        [
            "T/a b.wav -> T/out/a b.srt",
            "T/*.wav -> T/out/*.srt",
            "T/d/e.wav -> T/out/e.srt",
            "T/?.wav -> T/out/?.srt"
        ]
    );
    fs::write(&list, tree.typed("T/new\nline.wav\0T/a b.wav\0").into_encoded_bytes()).unwrap();
    let plan = tree.plan_with(&["T/d"], Some("T/out"), &["srt"], from(Separator::Zero)).unwrap();
    let inputs: Vec<_> = plan.items.iter().map(|item| item.input.path().to_owned()).collect();
    assert_eq!(inputs, ["d/e.wav", "new\nline.wav", "a b.wav"].map(|name| tree.path(name)));

    let missing = FilesFrom { source: ListSource::File(tree.path("nolist")), separator: Separator::Line };
    let plan = tree.plan_with(&[], None, &["srt"], |request| request.files_from = Some(missing));
    assert!(plan.unwrap_err().chain().contains("nolist"));
    let stdin = FilesFrom { source: ListSource::Stdin, separator: Separator::Line };
    let plan = tree.plan_with(&["-"], None, &["srt"], |request| request.files_from = Some(stdin));
    assert!(plan.unwrap_err().chain().contains("stdin cannot be both"));
}

#[cfg(unix)]
mod unix {
    use super::*;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::symlink;

    #[test]
    fn names_need_not_be_utf8() {
        let tree = Tree::new(&[]);
        let odd = OsStr::from_bytes(b"d/\xff\xfe 'quoted\" \n.wav");
        tree.add(odd);
        let expected = OutputTarget::File(tree.path(OsStr::from_bytes(b"out/\xff\xfe 'quoted\" \n.srt")));
        let folder = tree.plan(&["T/d"], Some("T/out"), &["srt"]).unwrap();
        assert_eq!(folder.items[0].input, InputSource::Path(tree.path(odd)));
        assert_eq!(folder.items[0].outputs, [expected.clone()]);

        let named = |request: &mut PlanRequest<'_>| request.inputs = vec![tree.path(odd).into()];
        let template = tree.plan_with(&[], Some("T/out/{/.}.srt"), &["srt"], named).unwrap();
        assert_eq!(template.items[0].outputs, [expected.clone()]);

        let list = tree.path("list");
        fs::write(&list, [tree.path(odd).as_os_str().as_bytes(), b"\0"].concat()).unwrap();
        let from = FilesFrom { source: ListSource::File(list), separator: Separator::Zero };
        let listed = tree.plan_with(&[], Some("T/out"), &["srt"], |request| request.files_from = Some(from));
        assert_eq!(listed.unwrap().items[0].outputs, [expected]);

        let globbed = tree.plan(&["T/d/*.wav"], Some("T/out"), &["srt"]).unwrap();
        assert_eq!(globbed.items[0].input, InputSource::Path(tree.path(odd)));
    }

    #[test]
    fn links_are_followed_and_loops_end() {
        let tree = Tree::new(&["d/a.wav", "other/b.wav"]);
        symlink("..", tree.path("d/up")).unwrap();
        symlink(".", tree.path("d/self")).unwrap();
        symlink("../other", tree.path("d/other")).unwrap();
        symlink("../d", tree.path("other/back")).unwrap();
        symlink("circle", tree.path("d/circle")).unwrap();
        symlink("gone", tree.path("d/gone.txt")).unwrap();
        symlink("gone", tree.path("d/gone.wav")).unwrap();
        let plan = tree.plan(&["T/d"], Some("T/out"), &["srt"]).unwrap();
        let inputs: Vec<_> = plan.items.iter().map(|item| item.input.path().to_owned()).collect();
        assert_eq!(inputs, [tree.path("d/a.wav"), tree.path("d/other/b.wav")]);
        let unreadable: Vec<_> = plan.unreadable.iter().map(|(path, _)| path.clone()).collect();
        assert_eq!(unreadable, [tree.path("d/gone.wav")], "a link that leads nowhere is told if it is media");
    }

    #[test]
    fn names_that_are_too_long_cost_themselves() {
        let tree = Tree::new(&["a.wav"]);
        let long = format!("T/{}.wav", "x".repeat(300));
        let plan = tree.plan(&[&long, "T/a.wav"], Some("T/out"), &["srt"]).unwrap();
        assert_eq!(plan.items.len(), 2);
        // The longest that a file system takes: the output's name is one byte too long for it, which
        // is for the writer to find out.
        let longest = format!("{}.wav", "y".repeat(251));
        tree.add(&longest);
        let task = |request: &mut PlanRequest<'_>| request.naming = Naming::StemTask("transcribe");
        let plan = tree.plan_with(&[&format!("T/{longest}"), "T/a.wav"], None, &["txt"], task).unwrap();
        assert_eq!(plan.items.len(), 2);
    }

    #[test]
    fn a_folder_that_cannot_be_listed_is_told() {
        use std::os::unix::fs::PermissionsExt;
        use std::os::unix::process::CommandExt;
        let tree = Tree::new(&["d/a.wav", "d/locked/b.wav"]);
        let locked = tree.path("d/locked");
        fs::set_permissions(tree.0.path(), fs::Permissions::from_mode(0o755)).unwrap();
        fs::set_permissions(&locked, fs::Permissions::from_mode(0o000)).unwrap();
        let name = "unix::a_folder_that_cannot_be_listed_is_told";
        if let Some(root) = std::env::var_os("PERCEPT_FLOW_LOCKED") {
            check_locked(Path::new(&root));
        } else if fs::read_dir(&locked).is_ok() {
            // Nothing is locked for root, so this same test runs again as nobody, from a place that
            // nobody can reach.
            let binary = tree.path("test");
            fs::copy(std::env::current_exe().unwrap(), &binary).unwrap();
            let status = std::process::Command::new(&binary)
                .args(["--exact", name])
                .env("PERCEPT_FLOW_LOCKED", tree.path("d"))
                .env("TMPDIR", "/tmp")
                .uid(65534)
                .gid(65534)
                .current_dir("/")
                .status()
                .unwrap();
            assert!(status.success());
        } else {
            check_locked(&tree.path("d"));
        }
        fs::set_permissions(&locked, fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn check_locked(root: &Path) {
        let tree = Tree::new(&[]);
        let named = |request: &mut PlanRequest<'_>| request.inputs = vec![root.into()];
        let plan = tree.plan_with(&[], Some("T/out"), &["srt"], named).unwrap();
        assert_eq!(plan.items.len(), 1);
        let (path, why) = &plan.unreadable[0];
        assert_eq!(*path, root.join("locked"));
        assert!(why.contains("ermission denied"), "{why}");
        let locked = |request: &mut PlanRequest<'_>| request.inputs = vec![root.join("locked").into()];
        let error = tree.plan_with(&[], Some("T/out"), &["srt"], locked).unwrap_err();
        assert!(error.chain().contains("ermission denied"), "{}", error.chain());
    }
}
