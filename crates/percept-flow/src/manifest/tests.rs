//! A manifest that was cut anywhere.

use super::*;

fn identity() -> Identity {
    Identity::new("test", "model", "abc", "all that was asked for")
}

/// A plan of files that are there, with their outputs.
fn plan(folder: &Path, count: usize) -> Plan {
    let item = |index: usize| {
        let (input, output) = (folder.join(format!("{index}.in")), folder.join(format!("out/{index}.txt")));
        fs::write(&input, format!("input {index}")).unwrap();
        write::atomic(&output, format!("output {index}").as_bytes()).unwrap();
        Item { index, input: InputSource::Path(input), outputs: vec![OutputTarget::File(output)] }
    };
    Plan { items: (0..count).map(item).collect(), ..Plan::default() }
}

fn content(item: &Item) -> Option<Content> {
    Some(digest::of_file(item.input.path()).unwrap())
}

fn open(path: &Path, resume: Resume, plan: &Plan) -> Manifest {
    Manifest::open(path, identity(), resume, plan).unwrap()
}

fn kept(manifest: &Manifest, plan: &Plan) -> Vec<bool> {
    plan.items.iter().map(|item| matches!(manifest.look(item), Look::Kept)).collect()
}

#[test]
fn a_manifest_may_be_cut_at_any_byte() {
    let folder = tempfile::tempdir().unwrap();
    let (plan, path) = (plan(folder.path(), 3), folder.path().join("out").join(MANIFEST_NAME));
    let manifest = open(&path, Resume::Nothing, &plan);
    for item in &plan.items {
        manifest.done(item, content(item), &Timings::default(), 0.1).unwrap();
    }
    drop(manifest);
    let whole = fs::read(&path).unwrap();
    for cut in 0..=whole.len() {
        fs::write(&path, &whole[..cut]).unwrap();
        let manifest = open(&path, Resume::Missing, &plan);
        let kept = kept(&manifest, &plan);
        // A line whose end is missing, but nothing else, says all.
        let lines = whole[..cut].iter().filter(|byte| **byte == b'\n').count();
        let lines = lines + usize::from(whole.get(cut) == Some(&b'\n'));
        assert_eq!(kept, (0..3).map(|index| index < lines).collect::<Vec<_>>(), "cut at {cut}");
        // What is written behind it stands for itself.
        for (item, kept) in plan.items.iter().zip(kept) {
            if !kept {
                manifest.done(item, content(item), &Timings::default(), 0.1).unwrap();
            }
        }
        manifest.finish(&plan).unwrap();
        assert_eq!(fs::read(&path).unwrap(), whole, "cut at {cut}");
    }
}

#[test]
fn inputs_outputs_parameters_and_models_count() {
    let folder = tempfile::tempdir().unwrap();
    let (plan, path) = (plan(folder.path(), 3), folder.path().join("run.jsonl"));
    let manifest = open(&path, Resume::Nothing, &plan);
    for item in &plan.items[..2] {
        manifest.done(item, content(item), &Timings::default(), 0.1).unwrap();
    }
    let why = Error::input("2.in", "it is broken");
    manifest.failed(&plan.items[2], content(&plan.items[2]), &why).unwrap();
    assert_eq!(kept(&manifest, &plan), [false; 3], "a run anew does all");
    drop(manifest);

    let manifest = open(&path, Resume::Missing, &plan);
    assert_eq!(kept(&manifest, &plan), [true, true, false]);
    assert!(matches!(manifest.look(&plan.items[2]), Look::Failed(why) if why.contains("it is broken")));
    drop(manifest);
    let manifest = open(&path, Resume::Failed, &plan);
    assert!(matches!(manifest.look(&plan.items[2]), Look::ToDo(Some(_))));
    drop(manifest);
    for other in [
        Identity::new("test", "model", "abc", "something else"),
        Identity::new("test", "model", "abd", "all that was asked for"),
        Identity::new("other", "model", "abc", "all that was asked for"),
    ] {
        let manifest = Manifest::open(&path, other, Resume::Missing, &plan).unwrap();
        assert_eq!(kept(&manifest, &plan), [false; 3]);
        assert!(matches!(manifest.look(&plan.items[2]), Look::ToDo(_)));
    }
    fs::write(plan.items[0].input.path(), "another input").unwrap();
    fs::write(plan.items[1].outputs[0].path().unwrap(), "another output").unwrap();
    assert_eq!(kept(&open(&path, Resume::Missing, &plan), &plan), [false; 3]);
}

#[test]
fn two_runs_do_not_write_one_manifest() {
    let folder = tempfile::tempdir().unwrap();
    let (plan, path) = (plan(folder.path(), 1), folder.path().join("run.jsonl"));
    let first = open(&path, Resume::Nothing, &plan);
    let error = Manifest::open(&path, identity(), Resume::Nothing, &plan).unwrap_err();
    assert!(error.chain().contains("another run") && error.hint().is_some(), "{}", error.chain());
    drop(first);
    assert!(Manifest::open(&path, identity(), Resume::Nothing, &plan).is_ok());
}

#[cfg(unix)]
#[test]
fn paths_that_are_no_text_keep_their_bytes() {
    use std::os::unix::ffi::OsStrExt;
    let [one, other] =
        [b"a\xff", b"a\xfe"].map(|bytes| PathRecord::of(Path::new(std::ffi::OsStr::from_bytes(bytes))));
    assert_eq!(one.path, other.path);
    assert_ne!(one, other);
    assert_eq!(one.to_path().as_os_str().as_bytes(), b"a\xff");
    assert_eq!(PathRecord::of(Path::new("a b")).to_path(), Path::new("a b"));
    assert_eq!(PathRecord::of(Path::new("a b")).path_bytes, None);
}
