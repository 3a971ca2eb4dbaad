//! Work on several inputs at once, and what may happen to a run while it goes on.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::time::{Duration, SystemTime};

use percept::media::picture;

use crate::project::{Project, Ran, root, tiny_whisper};
use crate::scenes::scenes;

fn shapes() -> String {
    root().join("tests/models/shapes-segformer").display().to_string()
}

/// Pictures of several sizes, and one that is none.
fn pictures(project: &Project, rounds: usize) {
    let scenes = scenes();
    for (index, scene) in (0..rounds).flat_map(|_| &scenes).enumerate() {
        project.write(&format!("in/{index:02}.png"), &picture::encode_png(&scene.image()).unwrap());
    }
    project.write("in/05-broken.png", b"no picture");
}

fn segment(project: &Project, folder: &str, more: &[&str]) -> Ran {
    let model = shapes();
    let arguments =
        ["segment", "in", "-o", folder, "-f", "json,png,overlay", "--no-timings", "--model", &model];
    project.run(&[&arguments[..], more].concat())
}

/// What lies below a folder, but for the manifest.
fn tree(project: &Project, folder: &str) -> BTreeMap<String, Vec<u8>> {
    let files = project.files().into_iter().filter_map(|file| {
        let name = file.strip_prefix(folder)?.to_owned();
        (name != "/percept-run.jsonl").then(|| (name, std::fs::read(project.path(&file)).unwrap()))
    });
    files.collect()
}

#[test]
fn jobs_and_threads_change_no_byte_and_batches_no_mask() {
    let project = Project::new();
    pictures(&project, 2);
    let one = segment(&project, "one", &["-j", "1", "--batch", "1", "--threads", "1"]);
    assert_eq!(one.code, 1, "{}", one.stderr);
    let wanted: BTreeMap<_, _> = tree(&project, "one");
    let threads = |bytes: &[u8]| String::from_utf8_lossy(bytes).replace("\"threads\": 1,", "\"threads\": 2,");
    for (folder, more) in [
        ("two", &["-j", "2", "--threads", "2"][..]),
        ("many", &["-j", "7", "--threads", "2"]),
        ("batch", &["-j", "1", "--batch", "3", "--threads", "2"]),
        ("both", &["-j", "2", "--batch", "4", "--threads", "2"]),
    ] {
        let ran = segment(&project, folder, more);
        assert_eq!(ran.code, 1, "{}", ran.stderr);
        // Paths on stdout, lines of the manifest: in the order of the plan.
        assert_eq!(ran.stdout.replace(folder, "one"), one.stdout, "{folder}");
        let found = tree(&project, folder);
        assert_eq!(found.len(), wanted.len());
        // Numbers of a batch may differ in their last digit; what is drawn does not.
        let compared = |name: &str| !folder.starts_with('b') || name.ends_with(".png");
        for (name, bytes) in wanted.iter().filter(|(name, _)| compared(name)) {
            let same = match name.ends_with(".json") {
                true => threads(bytes) == threads(&found[name]),
                false => *bytes == found[name],
            };
            assert!(same, "{folder}{name} differs");
        }
    }
}

#[test]
fn recordings_come_out_the_same_with_several_jobs() {
    let project = Project::new();
    for index in 0..6 {
        project.speech(&format!("in/{index}.wav"), 1.0 + f64::from(index));
    }
    let model = tiny_whisper();
    let transcribe = |more: &[&str]| {
        project.run(&[&["transcribe", "in", "-o", "-", "-f", "srt", "--model", &model][..], more].concat())
    };
    let one = transcribe(&["-j", "1"]);
    assert_eq!(one.code, 0, "{}", one.stderr);
    assert!(one.stdout.len() > 100);
    assert_eq!(transcribe(&["-j", "3"]).stdout, one.stdout);
}

#[test]
fn a_folder_that_is_removed_meanwhile_is_made_again_by_a_resume() {
    let project = Project::new();
    pictures(&project, 30);
    assert_eq!(segment(&project, "whole", &[]).code, 1);
    let model = shapes();
    let arguments =
        ["segment", "in", "-o", "out", "-f", "json,png,overlay", "--no-timings", "--model", &model];
    let mut child = project.command(&arguments).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    while !project.path("out/02.segment.png").exists() {
        assert!(child.try_wait().unwrap().is_none(), "it ended before it could be disturbed");
        std::thread::sleep(Duration::from_millis(2));
    }
    // What is being written at this moment may be in the way once.
    while std::fs::remove_dir_all(project.path("out")).is_err() {}
    // The run says that its manifest is gone, and the next one does what is missing.
    let ended = child.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(1));
    let stderr = String::from_utf8(ended.stderr).unwrap();
    assert!(stderr.contains("removed or replaced during the run") && stderr.contains("--resume"), "{stderr}");
    let ran = segment(&project, "out", &["--resume"]);
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    assert_eq!(tree(&project, "out"), tree(&project, "whole"));
}

#[test]
fn a_clock_that_was_set_back_means_nothing() {
    let project = Project::new();
    pictures(&project, 1);
    assert_eq!(segment(&project, "out", &[]).code, 1);
    let day = Duration::from_secs(86_400);
    for (index, file) in project.files().iter().enumerate() {
        let time = SystemTime::UNIX_EPOCH + day * 365 * (20 + 5 * (index % 9) as u32);
        std::fs::File::options().append(true).open(project.path(file)).unwrap().set_modified(time).unwrap();
    }
    let ran = segment(&project, "out", &["--resume"]);
    assert!(ran.stderr.contains("0 of 5 done, 4 done before"), "{}", ran.stderr);
}

#[test]
fn a_manifest_that_cannot_be_written_is_told_before_any_work() {
    let project = Project::new();
    pictures(&project, 1);
    std::fs::write(project.path("file"), b"").unwrap();
    for (folder, more, said) in [
        ("out", &["--manifest", "in"][..], "it is no file"),
        ("file/out", &[], "a part of the path is a file"),
        #[cfg(unix)]
        ("out", &["--manifest", "/dev/zero"], "it is no file"),
    ] {
        let ran = segment(&project, folder, more);
        assert_eq!(ran.code, 1, "{}", ran.stderr);
        assert!(ran.stderr.contains(said) && ran.stderr.contains("hint:"), "{}", ran.stderr);
        assert!(!project.path("out/00.segment.json").exists());
    }
}

/// No file may grow beyond 16 kB: some outputs do, and then the manifest, as on a disk that fills up.
#[cfg(target_os = "linux")]
#[test]
fn a_run_that_could_not_write_all_is_completed_by_a_resume() {
    let project = Project::new();
    pictures(&project, 12);
    assert_eq!(segment(&project, "whole", &[]).code, 1);
    let model = shapes();
    let limited = project
        .command(&[])
        .get_envs()
        .fold(std::process::Command::new("bash"), |mut command, (name, value)| {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
            command
        })
        .args(["-c", "trap '' XFSZ; ulimit -f 16; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_percept")])
        .args(["segment", "in", "-o", "out", "-f", "json,png,overlay", "--no-timings", "--model", &model])
        .current_dir(project.path(""))
        .output()
        .unwrap();
    let stderr = String::from_utf8(limited.stderr).unwrap();
    assert_eq!(limited.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("cannot write `out/") && stderr.contains("File too large"), "{stderr}");
    assert!(stderr.contains("percept-run.jsonl"), "{stderr}");
    let (left, whole) = (tree(&project, "out"), tree(&project, "whole"));
    assert!(left.len() < whole.len() && !left.is_empty());
    // What is there is whole.
    assert!(left.iter().all(|(name, bytes)| whole[name] == *bytes));
    // What could not be written is tried again without being asked for.
    let ran = segment(&project, "out", &["--resume"]);
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    assert_eq!(tree(&project, "out"), whole);
}

#[test]
fn what_is_asked_for_besides_replaces_nothing_else() {
    let project = Project::new();
    pictures(&project, 1);
    let before = tree(&project, "in");
    for (more, said) in [
        (&["--manifest", "in/01.png"][..], "would replace the input"),
        (&["--manifest", "./in/../in/01.png"], "would replace the input"),
        (&["--manifest", "out/01.segment.json"], "would replace the output"),
        (&["--report", "out/01.segment.json"], "would replace the output"),
        (&["--report", "x", "--manifest", "x"], "would replace the output"),
    ] {
        let ran = segment(&project, "out", more);
        assert_eq!(ran.code, 2, "{more:?}: {}", ran.stderr);
        assert!(ran.stderr.contains(said), "{more:?}: {}", ran.stderr);
    }
    // Somebody's file is no manifest, whatever it is called.
    project.write("notes.txt", "a line that is no record\n".repeat(2000).as_bytes());
    let ran = segment(&project, "out", &["--manifest", "notes.txt"]);
    assert!(ran.code != 0 && ran.stderr.contains("no run has written"), "{}", ran.stderr);
    assert!(project.read("notes.txt").starts_with("a line"));
    let ran = project.run(&["manifest", "export", "notes.txt", "-f", "csv"]);
    assert!(ran.code == 2 && ran.stderr.contains("it is no manifest of a run"), "{}", ran.stderr);
    assert_eq!(tree(&project, "in"), before);
}

#[test]
fn two_tasks_may_share_a_folder_and_its_manifest() {
    let project = Project::new();
    pictures(&project, 1);
    assert_eq!(segment(&project, "out", &[]).code, 1);
    let pipeline = root().join("examples/pipelines/cutouts.toml").display().to_string();
    let set = format!("model={}", shapes());
    let ran = project.run(&["run", &pipeline, "in", "-o", "out", "--set", &set]);
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    assert_eq!(project.read("out/percept-run.jsonl").lines().count(), 10);
    let ran = segment(&project, "out", &["--resume"]);
    assert!(ran.stderr.contains("0 of 5 done, 4 done before"), "{}", ran.stderr);
}

#[cfg(unix)]
#[test]
fn a_pipe_in_a_folder_holds_nobody_up() {
    let project = Project::new();
    pictures(&project, 1);
    let made = std::process::Command::new("mkfifo").arg(project.path("in/03.png.png")).status().unwrap();
    assert!(made.success());
    assert!(segment(&project, "out", &[]).stderr.contains("4 of 5 done"));
}

/// Files of steps that a run keeps while it goes on.
fn partials(project: &Project) -> Vec<String> {
    let steps = |file: &String| file.starts_with("out/.percept-run.jsonl.partial/");
    project.files().into_iter().filter(steps).collect()
}

#[test]
fn a_long_recording_goes_on_where_it_was_killed() {
    let project = Project::new();
    // A voice that goes on and on: many windows.
    let mut samples = Vec::new();
    for _ in 0..20 {
        project.speech("once.wav", 6.0);
        samples.extend(
            hound::WavReader::open(project.path("once.wav")).unwrap().into_samples::<i16>().flatten(),
        );
    }
    project.wave("in/long.wav", &samples);
    let model = tiny_whisper();
    let arguments = |folder: &'static str| {
        ["transcribe", "in", "-o", folder, "-f", "json", "--no-timings", "--no-vad", "--model", &model]
            .map(String::from)
    };
    let run = |folder: &'static str, more: &[&str]| {
        let arguments = arguments(folder);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).chain(more.iter().copied()).collect();
        project.command(&arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    };
    assert_eq!(run("whole", &[]).wait().unwrap().code(), Some(0));
    let steps = |project: &Project| {
        let lines =
            |file: &String| std::fs::read_to_string(project.path(file)).unwrap_or_default().lines().count();
        partials(project).iter().map(lines).sum::<usize>()
    };
    let mut before = 0;
    for round in 0..3 {
        let mut child = run("out", &["--resume"]);
        while steps(&project) < before + 4 {
            assert!(child.try_wait().unwrap().is_none(), "round {round}: it ended before it could be killed");
            std::thread::sleep(Duration::from_millis(2));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let now = steps(&project);
        assert!(now >= before + 4, "round {round}: {now} steps after {before}");
        before = now;
    }
    // A step that was cut off counts as none.
    let file = project.path(&partials(&project)[0]);
    let mut text = std::fs::read(&file).unwrap();
    text.truncate(text.len() - 7);
    std::fs::write(&file, text).unwrap();
    assert_eq!(run("out", &["--resume"]).wait().unwrap().code(), Some(0));
    assert_eq!(project.read("out/long.json"), project.read("whole/long.json"));
    assert!(!project.path("out/.percept-run.jsonl.partial").exists());
}
