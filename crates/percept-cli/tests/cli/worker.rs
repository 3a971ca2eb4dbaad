//! `percept worker`, as another program drives it.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

use percept::media::picture;
use serde_json::{Value, json};

use crate::project::{Project, root, tiny_whisper};
use crate::scenes::scene;

/// A worker with both its ends.
struct Worker {
    child: Child,
    requests: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Worker {
    fn new(project: &Project, arguments: &[&str]) -> Self {
        let mut command = project.command(&[&["worker"], arguments].concat());
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (requests, answers) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        Self { child, requests, answers: BufReader::new(answers) }
    }

    fn ask(&mut self, line: &str) {
        writeln!(self.requests, "{line}").unwrap();
    }

    fn answer(&mut self) -> Value {
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"))
    }

    /// Closes its input; its exit code.
    fn end(mut self) -> Option<i32> {
        drop(self.requests);
        self.child.wait().unwrap().code()
    }
}

fn shapes() -> String {
    root().join("tests/models/shapes-segformer").display().to_string()
}

#[test]
fn each_request_is_answered_before_the_next_is_asked() {
    let project = Project::new();
    let png = picture::encode_png(&scene("small").image()).unwrap();
    project.write("a.png", &png);
    project.write("broken.png", &png[..100]);
    let model = shapes();
    project.run(&["segment", "a.png", "--model", &model, "-f", "json", "-o", "a.json", "--no-timings"]);
    let wanted: Value = serde_json::from_str(&project.read("a.json")).unwrap();

    let mut worker = Worker::new(&project, &["segment", "--model", &model, "--no-timings", "-j", "2"]);
    for round in 0..3 {
        worker.ask(&json!({ "path": "a.png", "id": { "row": round } }).to_string());
        assert_eq!(worker.answer(), json!({ "id": { "row": round }, "status": "done", "result": wanted }));
    }
    worker.ask(r#""a.png""#);
    assert_eq!(worker.answer()["result"], wanted);

    // What cannot be done is an answer too, and the next one is not shifted.
    for (line, said) in [
        (r#"{"path": "broken.png", "id": 7}"#, "broken.png"),
        (r#"{"path": "none.png", "id": 7}"#, "none.png"),
        (r#"{"id": 7}"#, "no request"),
        (r#"{"path": 3, "id": 7}"#, "no request"),
        #[cfg(unix)]
        (r#"{"path": "/dev/zero", "id": 7}"#, "it is no file"),
    ] {
        worker.ask(line);
        let answer = worker.answer();
        assert_eq!((&answer["id"], &answer["status"]), (&json!(7), &json!("failed")), "{line}: {answer}");
        assert!(answer["error"].as_str().unwrap().contains(said), "{line}: {answer}");
    }
    for line in ["{ nonsense", "[1, 2]", "5", "true", "null"] {
        worker.ask(line);
        let answer = worker.answer();
        assert_eq!((&answer["id"], &answer["status"]), (&Value::Null, &json!("failed")), "{line}: {answer}");
    }
    worker.ask(r#"{"path": "a.png", "id": 8}"#);
    assert_eq!(worker.answer()["id"], 8);
    assert_eq!(worker.end(), Some(1), "some failed");
}

#[test]
fn many_requests_at_once_are_answered_in_their_order() {
    let project = Project::new();
    for index in 0..12 {
        project.speech(&format!("{index}.wav"), 0.5 + f64::from(index % 4));
    }
    let model = tiny_whisper();
    let mut worker = Worker::new(&project, &["transcribe", "--model", &model, "--no-timings", "-j", "3"]);
    for index in 0..12 {
        worker.ask(&json!({ "path": format!("{index}.wav"), "id": index }).to_string());
    }
    for index in 0..12 {
        let answer = worker.answer();
        assert_eq!(answer["id"], index);
        assert_eq!(answer["result"]["input"]["path"], format!("{index}.wav"), "{answer}");
    }
    assert_eq!(worker.end(), Some(0));
}

#[test]
fn a_worker_that_nobody_listens_to_ends() {
    let project = Project::new();
    project.speech("a.wav", 1.0);
    let model = tiny_whisper();
    let Worker { mut child, mut requests, answers } =
        Worker::new(&project, &["transcribe", "--model", &model]);
    drop(answers);
    for _ in 0..4 {
        // It may be gone already.
        let _ = writeln!(requests, "\"a.wav\"");
    }
    // Its input stays open: it ends because its output is gone.
    assert!(child.wait().unwrap().code().is_some());
}

#[test]
fn what_makes_no_sense_for_a_worker_is_refused() {
    let project = Project::new();
    for more in [
        &["-o", "out"][..],
        &["a.png"],
        &["--resume"],
        &["--shard", "1/2"],
        &["--raw", "x"],
        &["--report", "x"],
    ] {
        let ran = project.run(&[&["worker", "segment", "--model", &shapes()], more].concat());
        assert_eq!(ran.code, 2, "{more:?}: {}", ran.stderr);
        assert!(ran.stderr.contains("a worker has no use for"), "{}", ran.stderr);
    }
}
