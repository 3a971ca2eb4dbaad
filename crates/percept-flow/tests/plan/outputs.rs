//! Where outputs go, and what is refused.

use std::fs;

use percept_flow::{Existing, PlanRequest};

use crate::tree::Tree;

/// Inputs, `-o`, formats, and what is expected of them.
type Case<'a, Expected> = (&'a [&'a str], Option<&'a str>, &'a [&'a str], Expected);

#[test]
fn where_outputs_go() {
    let tree = Tree::new(&["a.wav", "b.mp3", "d/c.wav", "d/e/f.wav", "g/c.wav", "out/keep", "v1.2.wav"]);
    #[rustfmt::skip]
    let table: &[Case<'_, &[&str]>] = &[
        // Without -o: one text of one file to stdout, everything else beside its input.
        (&["T/a.wav"], None, &["txt"], &["T/a.wav -> stdout"]),
        (&["-"], None, &["txt"], &["- -> stdout"]),
        (&["T/a.wav"], None, &["txt", "srt"], &["T/a.wav -> T/a.txt T/a.srt"]),
        (&["T/a.wav"], None, &["png"], &["T/a.wav -> T/a.png"]),
        (&["T/a.wav", "T/b.mp3"], None, &["srt"], &["T/a.wav -> T/a.srt", "T/b.mp3 -> T/b.srt"]),
        (&["T/g"], None, &["srt"], &["T/g/c.wav -> T/g/c.srt"]),
        (&["T/v1.2.wav", "T/a.wav"], None, &["srt"], &["T/v1.2.wav -> T/v1.2.srt", "T/a.wav -> T/a.srt"]),
        // The one text of one file to stdout, its pictures beside it.
        (&["T/a.wav"], None, &["txt", "png"], &["T/a.wav -> stdout T/a.png"]),
        (&["T/a.wav"], None, &["png", "pieces"], &["T/a.wav -> T/a.png folder T/a.pieces"]),
        (&["T/a.wav"], None, &["txt", "srt", "png"], &["T/a.wav -> T/a.txt T/a.srt T/a.png"]),
        (&["T/a.wav", "T/b.mp3"], None, &["txt", "png"],
            &["T/a.wav -> T/a.txt T/a.png", "T/b.mp3 -> T/b.txt T/b.png"]),
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
fn an_input_is_known_through_links() {
    let tree = Tree::new(&["real/a.wav", "b.wav"]);
    std::os::unix::fs::symlink(tree.path("real"), tree.path("link")).unwrap();
    std::os::unix::fs::symlink("b.wav", tree.path("b.srt")).unwrap();
    for (input, output) in [
        ("T/real/a.wav", "T/link/a.wav"),
        ("T/link/a.wav", "T/real/a.wav"),
        ("T/b.wav", "T/b.srt"),
        ("T/b.srt", "T/b.wav"),
    ] {
        let error = tree.error(&[input], Some(output), &["srt"]);
        assert!(error.contains("would replace an input"), "{input} {output}: {error}");
    }
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
    let table: &[Case<'_, &str>] = &[
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
