//! `percept register` as it is typed, on drawn clouds whose transform is known.

use serde_json::Value;

use crate::project::{Project, Ran};

/// Points of a corner of a room with a ball in it: nothing about it is symmetric.
fn scene() -> Vec<[f64; 3]> {
    let mut points = Vec::new();
    for a in 0..70 {
        for b in 0..50 {
            let (a, b) = (f64::from(a) * 0.06, f64::from(b) * 0.06);
            points.push([a, b, 0.05 * (a * 1.3).sin() + 0.04 * b]);
            points.push([a, 0.03 * (b * 2.1).cos(), b * 0.8]);
            points.push([0.04 * (a * 1.7).sin(), a * 0.7, b * 0.6]);
            let (turn, rise) = (a * 1.5, b / 3.0 * 2.0 - 1.0);
            let flat = (1.0 - rise * rise).max(0.0).sqrt() * 0.6;
            points.push([2.2 + flat * turn.cos(), 1.4 + 0.7 * flat * turn.sin(), 0.7 + 0.5 * rise]);
        }
    }
    points
}

/// A turn about an axis through the origin by an angle, then a shift (Rodrigues).
fn moved([x, y, z]: [f64; 3]) -> [f64; 3] {
    let (angle, [u, v, w]) = (2.1_f64, [2.0 / 3.0, -1.0 / 3.0, 2.0 / 3.0]);
    let (sin, cos) = angle.sin_cos();
    let along = (u * x + v * y + w * z) * (1.0 - cos);
    let cross = [v * z - w * y, w * x - u * z, u * y - v * x];
    [
        x * cos + cross[0] * sin + u * along + 5.0,
        y * cos + cross[1] * sin + v * along - 3.0,
        z * cos + cross[2] * sin + w * along + 1.5,
    ]
}

fn ascii(points: &[[f64; 3]]) -> String {
    let header = format!(
        "ply\nformat ascii 1.0\nelement vertex {}\nproperty double x\nproperty double y\nproperty double z\nend_header\n",
        points.len()
    );
    points.iter().fold(header, |text, [x, y, z]| text + &format!("{x} {y} {z}\n"))
}

fn clouds(project: &Project) -> Vec<[f64; 3]> {
    let points = scene();
    project.write("a.ply", ascii(&points).as_bytes());
    // Other points of the same surfaces, in another order.
    let target: Vec<[f64; 3]> = points.iter().rev().map(|point| moved(*point)).collect();
    project.write("b.ply", ascii(&target).as_bytes());
    points
}

fn json(ran: &Ran) -> Value {
    serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {ran:?}"))
}

/// How far the transform takes points from where they belong, at most.
fn off(matrix: &Value, points: &[[f64; 3]]) -> f64 {
    let entry = |row: usize, column: usize| matrix[row][column].as_f64().unwrap();
    let error = |point: &[f64; 3]| {
        let wanted = moved(*point);
        let found = [0, 1, 2]
            .map(|row| (0..3).map(|column| entry(row, column) * point[column]).sum::<f64>() + entry(row, 3));
        (0..3).map(|axis| (found[axis] - wanted[axis]).powi(2)).sum::<f64>().sqrt()
    };
    points.iter().map(error).fold(0.0, f64::max)
}

#[test]
fn a_transform_is_found_without_a_guess_and_written_everywhere() {
    let project = Project::new();
    let points = clouds(&project);
    let more = ["-o", "aligned.ply", "--matrix", "T.txt", "--report", "r.json", "-f", "json,png"];
    let ran = project.run(&[&["register", "a.ply", "b.ply"][..], &more].concat());
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let result = json(&ran);
    assert_eq!((&result["task"], &result["result"]["trusted"]), (&"register".into(), &true.into()));
    assert!(off(&result["result"]["transform"]["matrix"], &points) < 1e-3, "{result}");
    let report: Value = serde_json::from_str(&project.read("r.json")).unwrap();
    assert_eq!(report["result"], result["result"]);
    let matrix: Vec<Vec<f64>> = project
        .read("T.txt")
        .lines()
        .map(|line| line.split_whitespace().map(|number| number.parse().unwrap()).collect())
        .collect();
    let matrix = serde_json::to_value(matrix).unwrap();
    assert_eq!(matrix, result["result"]["transform"]["matrix"]);
    // SOURCE lies where TARGET is, and the transform of that is none.
    project.write("I.txt", b"1 0 0 0\n0 1 0 0\n0 0 1 0\n0 0 0 1\n");
    let again = json(&project.run(&["register", "aligned.ply", "b.ply", "--init", "I.txt"]));
    let transform = &again["result"]["transform"];
    assert!(transform["angle_degrees"].as_f64().unwrap() < 0.01, "{transform}");
    let shift = transform["translation"].as_array().unwrap();
    assert!(shift.iter().all(|along| along.as_f64().unwrap().abs() < 2e-3), "{transform}");
    assert!(project.path("a.register.png").exists());
}

#[test]
fn a_guess_is_refined_and_what_is_locked_stays() {
    let project = Project::new();
    let points = clouds(&project);
    let found = json(&project.run(&["register", "a.ply", "b.ply", "--no-timings"]));
    let rows = found["result"]["transform"]["matrix"].as_array().unwrap();
    let line = |row: &Value, shift: f64| {
        let number = |at: usize| row[at].as_f64().unwrap();
        format!("{} {} {} {}\n", number(0), number(1), number(2), number(3) + shift)
    };
    let init: String =
        rows.iter().zip([0.05, -0.05, 0.05, 0.0]).map(|(row, shift)| line(row, shift)).collect();
    project.write("T0.txt", init.as_bytes());
    let refined = json(&project.run(&["register", "a.ply", "b.ply", "--init", "T0.txt"]));
    assert!(off(&refined["result"]["transform"]["matrix"], &points) < 1e-3, "{refined}");
    // The same bytes again, also with another number of threads.
    let one = project.run(&["register", "a.ply", "b.ply", "--no-timings", "--threads", "1"]);
    assert_eq!(json(&one)["result"], found["result"]);
}

#[test]
fn what_cannot_be_trusted_ends_with_1_and_a_reason() {
    let project = Project::new();
    clouds(&project);
    // Clouds that have nothing to do with each other.
    let noise = |seed: u64| -> Vec<[f64; 3]> {
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as f64 / f64::from(1_u32 << 31)
        };
        (0..3000).map(|_| [next() * 4.0, next() * 4.0, next() * 4.0]).collect()
    };
    project.write("x.ply", ascii(&noise(1)).as_bytes());
    project.write("y.ply", ascii(&noise(2)).as_bytes());
    let ran = project.run(&["register", "x.ply", "y.ply"]);
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    let result = json(&ran);
    assert_eq!(result["result"]["trusted"], false);
    assert!(!result["result"]["reasons"].as_array().unwrap().is_empty());

    project.write("empty.ply", b"");
    project.write("one.xyz", b"1 2 3\n");
    project.write("promise.ply", ascii(&[]).replace("vertex 0", "vertex 1000000000").as_bytes());
    for (cloud, said) in
        [("empty.ply", "empty"), ("one.xyz", "point"), ("promise.ply", "promise"), ("none.ply", "none.ply")]
    {
        let ran = project.run(&["register", cloud, "b.ply"]);
        assert!(ran.code != 0 && ran.stdout.is_empty(), "{cloud}: {ran:?}");
        assert!(ran.stderr.starts_with("error:") && ran.stderr.contains(said), "{cloud}: {}", ran.stderr);
    }
}

#[test]
fn json_is_what_its_schema_says() {
    let project = Project::new();
    clouds(&project);
    project.write("I.txt", b"1 0 0 0\n0 1 0 0\n0 0 1 0\n0 0 0 1\n");
    project.write(
        "far.xyz",
        b"0 0 0\n1 0 0\n0 1 0\n0 0 1\n9 9 9\n8 9 9\n9 8 9\n9 9 8\n5 1 2\n7 3 1\n2 5 6\n4 4 1\n",
    );
    let schema = std::fs::read_to_string(crate::project::root().join("docs/schema/register.json")).unwrap();
    let validator = jsonschema::validator_for(&serde_json::from_str(&schema).unwrap()).unwrap();
    for more in [&["b.ply"][..], &["b.ply", "--no-timings"], &["a.ply", "--init", "I.txt"], &["far.xyz"]] {
        let ran = project.run(&[&["register", "a.ply"], more].concat());
        let result = json(&ran);
        let errors = validator.iter_errors(&result).map(|error| error.to_string()).collect::<Vec<_>>();
        assert!(errors.is_empty(), "{more:?}: {errors:?}");
        assert_eq!(ran.code == 0, result["result"]["trusted"] == true, "{more:?}");
    }
}

#[test]
fn a_geotransformer_in_a_folder_gives_the_start_or_the_answer() {
    let project = Project::new();
    let points = scene();
    // Its random weights know nothing of turns, but a shift by whole cubes of its grid changes nothing for it.
    let shift = [1.2, -0.6, 0.6];
    let shifted: Vec<[f64; 3]> =
        points.iter().map(|point| [0, 1, 2].map(|axis| point[axis] + shift[axis])).collect();
    project.write("a.ply", ascii(&points).as_bytes());
    project.write("b.ply", ascii(&shifted).as_bytes());
    let golden = crate::project::root().join("tests/golden/geotransformer");
    let model = golden.join("3dmatch").display().to_string();
    let typed = ["register", "a.ply", "b.ply", "--model", &model, "--no-timings"];
    let translation = |result: &Value| -> Vec<f64> {
        let along = result["result"]["transform"]["translation"].as_array().unwrap();
        along.iter().map(|number| number.as_f64().unwrap()).collect()
    };
    let own = project.run(&[&typed[..], &["--refine", "none", "--raw", "raw.safetensors"]].concat());
    assert_eq!(own.code, 0, "{}", own.stderr);
    let own = json(&own);
    assert_eq!(own["model"]["architecture"], "geotransformer");
    let off = |found: &[f64]| found.iter().zip(shift).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    assert!(off(&translation(&own)) < 0.05, "{own}");
    assert!(
        own["result"]["levels"].as_array().unwrap().is_empty() || own["result"]["iterations"] == 0,
        "{own}"
    );
    assert!(std::fs::metadata(project.path("raw.safetensors")).unwrap().len() > 10_000);
    let refined = json(&project.run(&typed));
    assert!(off(&translation(&refined)) < 1e-3, "{refined}");

    // What it cannot do says so: a search of another kind, clouds that are small for its lengths, no checkpoint.
    let refused = |arguments: &[&str], said: &str| {
        let ran = project.run(arguments);
        assert!(ran.code != 0 && ran.stderr.contains(said), "{arguments:?}: {}", ran.stderr);
    };
    refused(&[&typed[..], &["--method", "ransac"]].concat(), "its own network");
    let small: Vec<[f64; 3]> = points.iter().map(|point| point.map(|value| value / 1e3)).collect();
    project.write("small.ply", ascii(&small).as_bytes());
    refused(&["register", "small.ply", "b.ply", "--model", &model], "superpoint");
    refused(
        &["register", "a.ply", "b.ply", "--model", &project.path("nothing").display().to_string()],
        "nothing",
    );
}
