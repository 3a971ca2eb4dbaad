//! What only Unix has: any bytes in a name, links, folders that are locked.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;

use percept_flow::{FilesFrom, InputSource, ListSource, Naming, OutputTarget, PlanRequest, Separator};

use crate::tree::Tree;

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
    assert_eq!(folder.items[0].outputs, std::slice::from_ref(&expected));

    let named = |request: &mut PlanRequest<'_>| request.inputs = vec![tree.path(odd).into()];
    let template = tree.plan_with(&[], Some("T/out/{/.}.srt"), &["srt"], named).unwrap();
    assert_eq!(template.items[0].outputs, std::slice::from_ref(&expected));

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
    let task = |request: &mut PlanRequest<'_>| request.formats[0].naming = Naming::StemTask("transcribe");
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
