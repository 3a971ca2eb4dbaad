//! The catalogue that is compiled in, and what no catalogue may hold.

use percept_core::Error;
use percept_hub::Registry;

use crate::bench::CATALOGUE;

#[test]
fn every_whisper_checkpoint_is_in_the_catalogue() {
    let registry = Registry::built_in();
    let mut names = vec![];
    for size in ["tiny", "base", "small", "medium"] {
        names.extend([format!("whisper-{size}"), format!("whisper-{size}.en")]);
    }
    names
        .extend(["large-v1", "large-v2", "large-v3", "large-v3-turbo"].map(|name| format!("whisper-{name}")));
    names.extend(
        ["small.en", "medium.en", "large-v2", "large-v3", "large-v3.5"].map(|name| format!("distil-{name}")),
    );
    names.sort();
    let whispers: Vec<_> = registry.models().filter(|spec| spec.task == "transcribe").collect();
    assert_eq!(whispers.iter().map(|spec| spec.name.clone()).collect::<Vec<_>>(), names);
    assert!(whispers.iter().all(|spec| spec.arch == "whisper" && !spec.noncommercial));
    assert!(whispers.iter().all(|spec| ["MIT", "Apache-2.0"].contains(&spec.license.as_str())));
    assert_eq!(registry.default_for("transcribe").unwrap().name, "whisper-base");
    assert!(registry.default_for("dance").is_err());
    let packaged: Vec<_> =
        registry.models().filter(|spec| spec.source.iter().any(|source| source.package.is_some())).collect();
    assert_eq!(packaged.len(), 1);
    assert_eq!(packaged[0].name, "whisper-tiny.en");
}

#[test]
fn what_may_not_be_used_commercially_is_marked() {
    let registry = Registry::built_in();
    for spec in registry.models() {
        // The weights of SegFormer are NVIDIA's, under its own licence, those of Mask2Former are under CC BY-NC; what
        // others trained is not in the catalogue. Depth Pro is Apple's, for research; of Depth Anything V2 only the
        // small models are free.
        let large_v2 = spec.name.starts_with("depth-anything-v2") && !spec.name.ends_with("small");
        let restricted = large_v2 || ["depth-pro", "mask2former", "segformer"].contains(&spec.arch.as_str());
        assert_eq!(spec.noncommercial, restricted, "{}", spec.name);
    }
    let count = |arch: &str| registry.models().filter(|spec| spec.arch == arch).count();
    assert_eq!((count("segformer"), count("clipseg")), (5, 3));
}

#[test]
fn a_misspelt_name_leads_to_the_nearest() {
    let registry = Registry::built_in();
    for (typed, meant) in [
        ("whisper-tny.en", "whisper-tiny.en"),
        ("Whisper-Base", "whisper-base"),
        ("turbo", "whisper-large-v3-turbo"),
        ("tiny.en", "whisper-tiny.en"),
        ("distil-large-v35", "distil-large-v3.5"),
    ] {
        match registry.find(Some("transcribe"), typed).unwrap_err() {
            Error::UnknownModel { nearest, .. } => assert_eq!(nearest.as_deref(), Some(meant), "{typed}"),
            other => panic!("{other:?}"),
        }
    }
    assert!(matches!(
        registry.find(Some("transcribe"), "completely-else"),
        Err(Error::UnknownModel { nearest: None, .. })
    ));
    let other_task = registry.find(Some("depth"), "whisper-base").unwrap_err();
    assert!(other_task.to_string().contains("is a model for `transcribe`"), "{other_task}");
}

#[test]
fn a_wrong_catalogue_is_refused() {
    let replace = |from: &str, to: &str| {
        assert!(CATALOGUE.contains(from), "{from}");
        CATALOGUE.replace(from, to)
    };
    let package = format!("{CATALOGUE}{}", crate::packages::SECOND_SOURCE);
    let wrong = [
        replace("arch = \"toy\"", "arch = \"toy\"\nsize = 3"),
        replace("arch = \"toy\"", ""),
        replace("hub = \"org/toy\"", "hub = \"toy\""),
        replace("hub = \"org/toy\"", "hub = \"../toy\""),
        replace("hub = \"org/toy\"", ""),
        replace("hub = \"org/toy\"", "hub = \"org/toy\"\nrevision = \"main\""),
        replace("files = [\"tokenizer.json\"]", "files = [\"../x\"]"),
        replace("license = \"Apache-2.0\"", "license = \"\""),
        format!("{CATALOGUE}{}", CATALOGUE.replace("toy", "toy2")),
        package.replace("aaaaaaaa", "AAAAAAAA"),
        package.replace("\"model.bin\" = ", "\"other.bin\" = "),
        package.replace("toy_models/model", "../model"),
        "toy = 3".into(),
    ];
    for text in wrong {
        assert!(Registry::parse(&text).is_err(), "{text}");
    }
    Registry::parse(&package).unwrap();
}
