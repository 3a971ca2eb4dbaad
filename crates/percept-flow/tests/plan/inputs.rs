//! Which inputs are taken, and in which order.

use std::fs;

use percept_flow::{FilesFrom, ListSource, Naming, PlanRequest, Separator};

use crate::tree::Tree;

#[test]
fn pictures_carry_the_task_in_their_name() {
    let tree = Tree::new(&["p/a.jpg", "p/a.segment.jpg", "p/b.depth.jpg", "p/.hidden.jpg", "p/note.txt"]);
    let task = |request: &mut PlanRequest<'_>| request.formats[0].naming = Naming::StemTask("segment");
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
