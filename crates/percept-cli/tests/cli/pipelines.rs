//! `percept run`: the pipelines of `examples/pipelines`, and mistakes in others.

use percept::media::picture;
use percept::segment::Mask;
use serde_json::Value;

use crate::project::{Project, Ran, root, tiny_whisper};
use crate::scenes::{Scene, read, scene, scenes};

fn example(name: &str) -> String {
    root().join("examples/pipelines").join(name).display().to_string()
}

fn model(name: &str) -> String {
    root().join("tests/models").join(name).display().to_string()
}

fn run(project: &Project, pipeline: &str, more: &[&str]) -> Ran {
    project.run(&[&["run", pipeline], more, &["--no-timings", "--precision", "f32"]].concat())
}

fn result(project: &Project, file: &str) -> Value {
    serde_json::from_str(&project.read(file)).unwrap()
}

/// The elements of a stage.
fn elements<'a>(result: &'a Value, stage: &str) -> &'a [Value] {
    let stages = result["result"]["stages"].as_array().unwrap();
    let found = stages.iter().find(|found| found["name"] == stage);
    found.unwrap_or_else(|| panic!("no stage {stage}"))["elements"].as_array().unwrap()
}

fn pictures(project: &Project) -> Vec<Scene> {
    let scenes = scenes();
    for scene in &scenes {
        project.write(&format!("in/{}.png", scene.name), &picture::encode_png(&scene.image()).unwrap());
    }
    scenes
}

#[test]
fn cutouts_are_what_was_drawn() {
    let project = Project::new();
    let scenes = pictures(&project);
    project.write("in/broken.png", b"no picture");
    let set = format!("model={}", model("shapes-segformer"));
    let ran = run(&project, &example("cutouts.toml"), &["in", "-o", "out", "--set", &set]);
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    assert!(ran.stderr.contains("4 of 5 done, 1 failed"), "{}", ran.stderr);
    for scene in &scenes {
        let result = result(&project, &format!("out/{}.run.json", scene.name));
        assert_eq!(result["task"], "run");
        assert_eq!(result["model"][0]["stage"], "things");
        assert_eq!(result["model"][0]["architecture"], "segformer");
        let (things, small) = (elements(&result, "things"), elements(&result, "small"));
        assert!(!things.is_empty() && things.len() == small.len());
        for (thing, small) in things.iter().zip(small) {
            // Each small picture comes from a cut-out, which comes from a mask of the same rank.
            assert_eq!(small["from"]["stage"], "cut");
            let file = small["files"][0].as_str().unwrap();
            let shown = read(&project.path(&format!("out/{}.run.files/{file}", scene.name)));
            assert_eq!(
                (small["width"].as_u64(), small["height"].as_u64()),
                (Some(shown.width.into()), Some(shown.height.into()))
            );
            assert_eq!(shown.width.max(shown.height), 256);
            let side = |from: usize, to: usize| {
                let number = |at: usize| thing["instance"]["box"][at].as_f64().unwrap();
                number(to) - number(from)
            };
            let (wanted, found) = (side(0, 2) / side(1, 3), f64::from(shown.width) / f64::from(shown.height));
            assert!((wanted / found - 1.0).abs() < 0.05, "{wanted} {found}");
            // White around it, and not in its middle, which has the colour of its class.
            let class = thing["instance"]["label"]["name"].as_str().unwrap();
            assert!(scene.shapes.iter().any(|shape| shape.class == class), "{class}");
            assert!(shown.rgb.as_chunks::<3>().0.contains(&[255; 3]), "{file} has no background");
        }
    }
    // The whole run again does nothing, and another variable all.
    let again = run(&project, &example("cutouts.toml"), &["in", "-o", "out", "--set", &set, "--resume"]);
    assert!(again.stderr.contains("0 of 5 done, 4 done before"), "{}", again.stderr);
    let other = ["in", "-o", "out", "--set", &set, "--set", "min_area=2000", "--resume"];
    let other = run(&project, &example("cutouts.toml"), &other);
    assert!(other.stderr.contains("4 of 5 done, 1 failed"), "{}", other.stderr);
}

#[test]
fn boxes_of_one_model_become_masks_of_another() {
    let project = Project::new();
    let scenes = pictures(&project);
    let set = [format!("coarse={}", model("shapes-segformer")), format!("fine={}", model("shapes-sam"))];
    let more = ["in", "-o", "out", "--set", &set[0], "--set", &set[1]];
    let ran = run(&project, &example("refine.toml"), &more);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    for scene in &scenes {
        let result = result(&project, &format!("out/{}.run.json", scene.name));
        let sure = elements(&result, "sure");
        assert!(!sure.is_empty(), "{}", scene.name);
        // Classes of the coarse model on masks of the fine one, at the places where they were drawn.
        let truth = scene.masks();
        let mut good = 0;
        for element in sure {
            let rle = &element["instance"]["rle"];
            let rle: percept::segment::Rle = serde_json::from_value(rle.clone()).unwrap();
            let mask = rle.mask().unwrap();
            let name = element["instance"]["label"]["name"].as_str().unwrap();
            let of_class = scene.shapes.iter().zip(&truth).filter(|(shape, _)| shape.class == name);
            let union =
                of_class.fold(Mask::empty(scene.width, scene.height), |all, (_, mask)| all.union(mask));
            good += usize::from(mask.iou(&union) > 0.5);
        }
        assert!(good * 2 >= sure.len(), "{}: {good} of {}", scene.name, sure.len());
        let drawn = read(&project.path(&format!("out/{}.run.files/picture-001.jpg", scene.name)));
        assert_eq!(drawn.size(), (scene.width, scene.height));
        assert_ne!(drawn.rgb, scene.image().rgb);
    }
}

#[test]
fn only_what_was_found_is_blurred() {
    let project = Project::new();
    let scenes = pictures(&project);
    let class = &scenes[0].shapes[0].class;
    let set = [format!("model={}", model("shapes-segformer")), format!("class={class}")];
    let more = ["in", "-o", "out", "--set", &set[0], "--set", &set[1]];
    assert_eq!(run(&project, &example("blur.toml"), &more).code, 0);
    for scene in &scenes {
        let (before, after) =
            (scene.image(), read(&project.path(&format!("out/{}.run.files/blurred-001.png", scene.name))));
        assert_eq!(after.size(), before.size());
        let changed = |(a, b): (&[u8; 3], &[u8; 3])| a != b;
        let count = before
            .rgb
            .as_chunks::<3>()
            .0
            .iter()
            .zip(after.rgb.as_chunks::<3>().0)
            .filter(|pair| changed(*pair))
            .count();
        let there = scene.shapes.iter().any(|shape| shape.class == *class);
        // A picture without the class comes out as it is.
        assert!(if there { count > 100 } else { count < before.pixels() / 20 }, "{}: {count}", scene.name);
    }
}

#[test]
fn speech_is_split_and_each_stretch_has_its_words() {
    let project = Project::new();
    // Two stretches of a voice, six seconds of silence between them.
    project.speech("voice.wav", 5.0);
    let voice: Vec<i16> = hound::WavReader::open(project.path("voice.wav"))
        .unwrap()
        .into_samples()
        .map(Result::unwrap)
        .collect();
    project.wave("in/two.wav", &[&voice[..], &vec![0; 6 * 16_000], &voice].concat());
    let set = format!("model={}", tiny_whisper());
    let ran = run(&project, &example("speech.toml"), &["in", "-o", "out", "--set", &set]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let first = result(&project, "out/two.run.json");
    // Random weights may say nothing that is believed: what counts is the stretches.
    let all = std::fs::read_to_string(example("speech.toml")).unwrap();
    let all = all.replace("op = \"speech\"", "op = \"speech\"\nkeep = true");
    project.write("all.toml", all.as_bytes());
    let ran = run(&project, "all.toml", &["in", "-o", "all", "--set", &set]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let result = result(&project, "all/two.run.json");
    let speech = elements(&result, "speech");
    assert_eq!(speech.len(), 2, "{speech:?}");
    let time = |element: &Value, key: &str| element[key].as_f64().unwrap();
    assert!(time(&speech[0], "end") < 8.0 && time(&speech[1], "start") > 9.0, "{speech:?}");
    for element in speech {
        let file = project.path(&format!("all/two.run.files/{}", element["files"][0].as_str().unwrap()));
        let reader = hound::WavReader::open(file).unwrap();
        let seconds = f64::from(reader.duration()) / 16_000.0;
        assert!((seconds - (time(element, "end") - time(element, "start"))).abs() < 0.002);
    }
    // Times of the words are those of the recording.
    for word in elements(&result, "words").iter().filter(|word| word["from"]["id"] == 2) {
        for segment in word["transcript"]["segments"].as_array().unwrap() {
            assert!(time(segment, "start") >= time(&speech[1], "start") - 0.01, "{segment}");
        }
    }
    assert_eq!(elements(&result, "words"), elements(&first, "words"));
    let heard: Vec<_> =
        elements(&result, "heard").iter().map(|element| element["from"]["id"].clone()).collect();
    let understood: Vec<_> =
        elements(&result, "words").iter().map(|word| word["from"]["id"].clone()).collect();
    assert!(heard.iter().all(|id| understood.contains(id)), "{heard:?} {understood:?}");
}

#[test]
fn mistakes_are_told_with_their_line_before_anything_is_loaded() {
    let project = Project::new();
    project.write("in/a.png", &picture::encode_png(&scene("small").image()).unwrap());
    let things = "[[stage]]\nname = \"things\"\ntask = \"segment\"\nmodel = \"no-such-model\"\n";
    let with = |more: &str| format!("{things}\n[[stage]]\nname = \"next\"\n{more}\n");
    for (text, line, said, hint) in [
        (
            with("op = \"cutout\"\nfrom = \"thing\""),
            9,
            "there is no stage `thing` before this one",
            "did you mean `things`?",
        ),
        (with("op = \"cut\"\nfrom = \"things\""), 8, "there is no operation `cut`", "did you mean"),
        (with("op = \"cutout\"\nfrm = \"things\""), 6, "`from` is missing", "name a stage"),
        (
            with("op = \"cutout\"\nfrom = \"things\"\ntrimm = false"),
            10,
            "there is no `trimm` here",
            "did you mean `trim`?",
        ),
        (
            with("op = \"cutout\"\nfrom = \"things\"\ntrim = \"no\""),
            10,
            "`trim` is true or false, not string",
            "",
        ),
        (
            with("op = \"resize\"\nimage = \"things\"\nlongest = 3"),
            9,
            "`image` takes pictures, and `things` makes masks",
            "",
        ),
        (
            with("op = \"crop\"\nfrom = \"things\"\nwhere = \"scor > 1\""),
            10,
            "`where`: there is no field `scor`",
            "there are: height, index, width",
        ),
        (
            with("op = \"filter\"\nfrom = \"things\"\nwhere = \"scor > 1\""),
            10,
            "`where`: there is no field `scor`",
            "did you mean `score`?",
        ),
        (
            with("op = \"filter\"\nfrom = \"things\"\nwhere = \"class > 1\""),
            10,
            "`where`: `>` does not go between a text and a number",
            "",
        ),
        (with("op = \"filter\"\nfrom = \"things\""), 6, "a filter needs a condition", "where ="),
        (with("task = \"transcribe\""), 6, "the inputs cannot be both pictures and sounds", "name a stage"),
        (with("task = \"segment\"\nboxes = \"things\"\nscore = 0.5"), 10, "there is no `score` here", ""),
        (with("task = \"segment\"\nscore = 1.5"), 9, "`score` lies between 0 and 1, not at 1.5", ""),
        (
            with("task = \"pose\"\nkeypoints = \"coca\""),
            9,
            "`coca` is no `keypoints`",
            "did you mean `coco`?",
        ),
        (with("task = \"segmet\""), 8, "there is no task `segmet`", "did you mean `segment`?"),
        (
            with("task = \"caption\""),
            8,
            "the task `caption` is not in this version",
            "there are: segment, detect, pose, transcribe",
        ),
        (with("op = \"cloud\"\nfrom = \"things\""), 9, "`from` takes depths, and `things` makes masks", ""),
        (
            with("op = \"draw\"\nfrom = \"things\"\nwrite = \"wav\""),
            10,
            "pictures are not written as `wav`",
            "there are: jpg, png",
        ),
        (with("op = \"resize\"\nwidth = 10\nlongest = 10"), 6, "a size is `longest`, or", ""),
        (with("op = \"resize\"\nwidth = 10.5"), 9, "`width` is a whole number, not 10.5", ""),
        (with("model = \"x\""), 6, "a stage needs a `task` or an `op`", "operations: crop"),
        (
            format!("{things}[[stage]]\nname = \"things\"\nop = \"draw\"\nfrom = \"things\""),
            6,
            "two stages are called `things`",
            "",
        ),
        ("[[stage]]\ntask = \"segment\"".into(), 1, "a stage has no `name`", ""),
        ("[[stages]]\nname = \"a\"".into(), 1, "there is no `stages` in a pipeline", "did you mean `stage`?"),
        ("".into(), 1, "there are no stages", "[[stage]]"),
        ("[[stage]\nname = 3".into(), 1, "", ""),
        (
            with("op = \"filter\"\nfrom = \"things\"\nwhere = \"score > ${least}\""),
            10,
            "the variable `least` is not set",
            "--set least=VALUE",
        ),
        (
            with(
                "op = \"resize\"\nlongest = 9\n[[stage]]\nname = \"j\"\nop = \"join\"\nfrom = \"things\"\nwith = \"next\"",
            ),
            10,
            "`things` and `next` have nothing in common but the input",
            "a join is of stages",
        ),
    ] {
        project.write("p.toml", text.as_bytes());
        for more in [&["in", "-o", "out"][..], &["in", "-o", "out", "--dry-run"]] {
            let ran = run(&project, "p.toml", more);
            assert_eq!(ran.code, 2, "{text}: {}", ran.stderr);
            assert!(ran.stderr.contains(&format!("p.toml:{line}: {said}")), "{text}\n{}", ran.stderr);
            assert!(ran.stderr.contains(hint), "{text}\n{}", ran.stderr);
        }
        assert!(!project.path("out").exists());
    }
    #[cfg(unix)]
    {
        let ran = run(&project, "/dev/zero", &["in", "-o", "out"]);
        assert!(ran.code == 2 && ran.stderr.contains("too long for a pipeline"), "{}", ran.stderr);
    }
    let ran = run(&project, &example("cutouts.toml"), &["in", "-o", "out", "--set", "modell=x"]);
    assert_eq!(ran.code, 2);
    assert!(
        ran.stderr.contains("no variable `modell`") && ran.stderr.contains("did you mean `model`?"),
        "{}",
        ran.stderr
    );
}

#[test]
fn a_dry_run_shows_the_stages_and_the_files() {
    let project = Project::new();
    project.write("in/a.png", &picture::encode_png(&scene("small").image()).unwrap());
    let more = ["in", "-o", "out", "--dry-run", "--set", "model=no-such-model"];
    let ran = run(&project, &example("cutouts.toml"), &more);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert_eq!(ran.stdout, "in/a.png\tout/a.run.json\nin/a.png\tout/a.run.files\n");
    assert_eq!(
        ran.stderr,
        "things: pictures -> masks\ncut: masks of things -> pictures\nsmall: pictures of cut -> pictures\n"
    );
}

#[test]
fn parts_and_jobs_of_a_pipeline_are_the_whole() {
    let project = Project::new();
    pictures(&project);
    let set = format!("model={}", model("shapes-segformer"));
    let pipeline = example("cutouts.toml");
    let go = |folder: &str, more: &[&str]| {
        let ran = run(&project, &pipeline, &[&["in", "-o", folder, "--set", &set], more].concat());
        assert_eq!(ran.code, 0, "{}", ran.stderr);
    };
    go("whole", &["-j", "1"]);
    for part in ["1/2", "2/2"] {
        go("parts", &["--shard", part, "-j", "2"]);
    }
    go("batch", &["--batch", "3"]);
    let tree = |folder: &str| -> Vec<(String, Vec<u8>)> {
        let files = project.files().into_iter().filter_map(|file| {
            let name = file.strip_prefix(folder)?.to_owned();
            (!name.ends_with(".jsonl")).then(|| (name, std::fs::read(project.path(&file)).unwrap()))
        });
        files.collect()
    };
    let whole = tree("whole");
    assert!(whole.len() > 8);
    assert_eq!(tree("parts"), whole);
    // Scores of a batch may differ in their last digit.
    let pictures = |tree: Vec<(String, Vec<u8>)>| -> Vec<_> {
        tree.into_iter().filter(|(name, _)| name.ends_with(".png")).collect()
    };
    assert_eq!(pictures(tree("batch")), pictures(whole));
}

#[test]
fn json_is_what_its_schema_says() {
    let project = Project::new();
    project.write("in/a.png", &picture::encode_png(&scene("small").image()).unwrap());
    project.speech("talk/a.wav", 3.0);
    let set = [
        format!("model={}", model("shapes-segformer")),
        format!("coarse={}", model("shapes-segformer")),
        format!("fine={}", model("shapes-sam")),
        format!("model={}", tiny_whisper()),
    ];
    for (pipeline, more) in [
        ("cutouts.toml", &["in", "--set", &set[0]][..]),
        ("refine.toml", &["in", "--set", &set[1], "--set", &set[2]]),
        ("speech.toml", &["talk", "--set", &set[3]]),
    ] {
        let ran = project.run(&[&["run", &example(pipeline), "-o", "out", "-y"], more].concat());
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        let schema = std::fs::read_to_string(root().join("docs/schema/pipeline.json")).unwrap();
        let validator = jsonschema::validator_for(&serde_json::from_str(&schema).unwrap()).unwrap();
        let result = result(&project, "out/a.run.json");
        let errors = validator.iter_errors(&result).map(|error| error.to_string()).collect::<Vec<_>>();
        assert!(errors.is_empty(), "{pipeline}: {errors:?}");
    }
}

#[test]
fn a_page_of_a_run_names_the_model_of_each_stage() {
    let project = Project::new();
    project.write("in/a.png", &picture::encode_png(&scene("small").image()).unwrap());
    let set = format!("model={}", model("shapes-segformer"));
    let more = ["in", "-o", "out", "--set", &set, "--report", "out/page.html"];
    assert_eq!(run(&project, &example("cutouts.toml"), &more).code, 0);
    let page = project.read("out/page.html");
    assert!(
        page.contains("model of things") && page.contains("shapes-segformer, f32, SHA-256 19c79f46"),
        "no card"
    );
    assert!(!page.contains("wrote no JSON"));
}
