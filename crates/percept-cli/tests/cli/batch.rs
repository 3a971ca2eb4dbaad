//! Several inputs, folders, names that meet, broken files.

use crate::project::{Project, tiny_whisper};

#[test]
fn a_folder_is_mirrored() {
    let project = Project::new();
    project.speech("in/a.wav", 5.0);
    project.speech("in/deep/er/a.wav", 5.0);
    project.write("in/notes.md", b"no recording");
    let ran = project.transcribe(&["in", "-o", "out", "-f", "txt,srt"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let written = project.files().into_iter().filter(|file| file.starts_with("out")).collect::<Vec<_>>();
    assert_eq!(
        written,
        ["out/a.srt", "out/a.txt", "out/deep/er/a.srt", "out/deep/er/a.txt", "out/percept-run.jsonl"]
    );
    assert_eq!(ran.stdout, "out/a.txt\nout/a.srt\nout/deep/er/a.txt\nout/deep/er/a.srt\n");
    assert_eq!(project.read("out/a.txt"), project.read("out/deep/er/a.txt"));
}

#[test]
fn inputs_that_would_share_a_name_keep_their_full_names() {
    let project = Project::new();
    project.speech("a.wav", 1.0);
    project.speech("a.flac", 1.0); // a wav by content: names do not decide
    let ran = project.transcribe(&["a.wav", "a.flac"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (0, "a.wav.txt\na.flac.txt\n"), "{ran:?}");
}

#[test]
fn nothing_is_overwritten_unless_it_is_said() {
    let project = Project::new();
    project.speech("a.wav", 1.0);
    project.speech("b.wav", 1.0);
    project.write("b.txt", b"mine");
    let ran = project.transcribe(&["a.wav", "b.wav"]);
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(ran.stderr.contains("b.txt") && ran.stderr.contains("-y"), "{ran:?}");
    assert_eq!(project.read("b.txt"), "mine");
    assert!(!project.path("a.txt").exists(), "nothing may run before the refusal");
    assert_eq!(project.transcribe(&["a.wav", "b.wav", "-y"]).code, 0);
    assert_ne!(project.read("b.txt"), "mine");
}

#[test]
fn a_broken_file_costs_itself_only_and_is_listed() {
    let project = Project::new();
    project.speech("in/a.wav", 1.0);
    project.write("in/b.wav", b"RIFF this is no sound at all");
    project.write("in/c.mp3", b"");
    project.speech("in/d.wav", 1.0);
    let ran = project.transcribe(&["in", "-o", "out"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert_eq!(ran.stdout, "out/a.txt\nout/d.txt\n");
    assert!(ran.stderr.contains("2 of 4 done, 2 failed"), "{ran:?}");
    assert!(ran.stderr.contains("failed: in/b.wav\nfailed: in/c.mp3\n"), "{ran:?}");
}

#[test]
fn the_first_failure_ends_the_run_where_that_is_asked() {
    let project = Project::new();
    project.write("in/000.wav", b"RIFF this is no sound at all");
    for index in 1..40 {
        project.speech(&format!("in/{index:03}.wav"), 1.0);
    }
    let stopped = project.transcribe(&["in", "-o", "out", "--fail-fast"]);
    assert_eq!(stopped.code, 1, "{stopped:?}");
    // What was read ahead may still be done.
    assert!(!project.path("out/039.txt").exists());
}

#[test]
fn inputs_come_from_a_list_too() {
    let project = Project::new();
    project.speech("with space.wav", 1.0);
    project.speech("b.wav", 1.0);
    project.write("list", b"with space.wav\0b.wav\0");
    let ran = project.transcribe(&["--files-from", "list", "-0", "-o", "out/"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (0, "out/with space.txt\nout/b.txt\n"), "{ran:?}");
}

#[test]
fn two_runs_write_the_same_bytes() {
    let project = Project::new();
    project.speech("in/a.wav", 5.0);
    project.speech("in/b.wav", 7.0);
    for (out, threads) in [("one", "1"), ("two", "2")] {
        let ran = project.transcribe(&[
            "in",
            "-o",
            out,
            "-f",
            "txt,vtt,json",
            "--no-timings",
            "--threads",
            threads,
        ]);
        assert_eq!(ran.code, 0, "{ran:?}");
    }
    for file in ["a.txt", "a.vtt", "b.txt", "b.vtt"] {
        assert_eq!(project.read(&format!("one/{file}")), project.read(&format!("two/{file}")), "{file}");
    }
    let json = |out: &str| project.read(&format!("{out}/b.json")).replace("\"threads\": 1", "\"threads\": 2");
    assert_eq!(json("one"), json("two"));
}

/// What a recording says does not depend on those that are decoded with it, to the last byte of its scores.
#[test]
fn recordings_that_are_decoded_together_say_what_they_say_alone() {
    let project = Project::new();
    for (name, seconds) in [("a", 1.0), ("b", 6.5), ("c", 3.0), ("d", 0.3), ("e", 9.0)] {
        project.speech(&format!("in/{name}.wav"), seconds);
    }
    project.write("in/bad.wav", b"RIFF this is no sound at all");
    let model = tiny_whisper();
    let results = |batch: &str, extra: &[&str], out: &str| {
        // In int8 matrices meet the rows of all recordings at once on every processor.
        let usual =
            ["transcribe", "in", "--model", &model, "--precision", "int8", "--no-speech-threshold", "1"];
        let files = ["-o", out, "-f", "json,srt", "--no-timings", "--batch", batch];
        let ran = project.run(&[&usual[..], &files[..], extra].concat());
        assert_eq!(ran.code, 1, "{ran:?}");
        assert!(ran.stderr.contains("5 of 6 done, 1 failed"), "{ran:?}");
        let files = project
            .files()
            .into_iter()
            .filter(|file| file.starts_with(&format!("{out}/")) && !file.ends_with("percept-run.jsonl"));
        files.map(|file| (file[out.len()..].to_owned(), project.read(&file))).collect::<Vec<_>>()
    };
    for (kind, extra) in [
        ("beams", &["--no-vad", "--temperature-increment-on-fallback", "0"][..]),
        (
            "greedy",
            &[
                "--no-vad",
                "--beam-size",
                "1",
                "--word-timestamps",
                "--temperature-increment-on-fallback",
                "0",
            ],
        ),
        ("apart", &["--condition-on-previous-text", "false", "--language", "en"]),
        ("voice", &[]),
    ] {
        let alone = results("1", &[extra, &["-j", "1"]].concat(), &format!("{kind}-alone"));
        assert_eq!(alone.len(), 10, "{alone:?}");
        for (batch, jobs) in [("6", "1"), ("auto", "2"), ("3", "2")] {
            let out = format!("{kind}-{batch}");
            let together = results(batch, &[extra, &["-j", jobs]].concat(), &out);
            assert_eq!(together, alone, "{kind} --batch {batch} -j {jobs}");
        }
    }
}
