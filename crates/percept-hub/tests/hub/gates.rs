//! Who is let in, and to what: gated repositories, what is not there, licences, and no network at all.

use std::fs;

use percept_core::Error;
use percept_hub::{Hub, HubOptions, Refetch, Registry, Token};

use crate::bench::{Bench, CATALOGUE, CONFIG, weights};
use crate::child::{self, ARGUMENTS};
use crate::packages::{fake_pip, was_started};
use crate::server::{COMMIT, Fault};

#[test]
fn a_gated_repository_says_where_to_accept_its_terms() {
    for (place, status) in
        [("api", 401), ("api", 403), ("head:model.safetensors", 403), ("head:config.json", 401)]
    {
        let bench = Bench::new();
        bench.server.fail(place, 9, Fault::Status(status, "X-Error-Code: GatedRepo\r\n"));
        let error = bench.hub().resolve("transcribe", None).unwrap_err();
        assert!(matches!(error, Error::Fetch { .. }), "{error:?}");
        assert!(error.chain().contains(&format!("refuses `org/toy` (HTTP {status})")), "{}", error.chain());
        let hint = error.hint().unwrap();
        assert!(hint.contains(&format!("accept the terms at {}/org/toy", bench.server.endpoint)), "{hint}");
        assert!(hint.contains("set HF_TOKEN"), "{hint}");
        assert!(!bench.blob().exists());

        let with_token = bench.hub_with(|options| options.token = Token::new("hf_x"));
        let hint = with_token.resolve("transcribe", None).unwrap_err().hint().unwrap();
        assert!(hint.contains("the account that HF_TOKEN belongs to"), "{hint}");
    }
}

#[test]
fn what_is_not_there_is_told_apart() {
    let bench = Bench::new();
    let chain = |name: &str| bench.hub().resolve("transcribe", Some(name)).unwrap_err().chain();
    let repository = chain("org/none");
    assert!(repository.contains("no repository `org/none`"), "{repository}");
    let revision = chain("org/toy@v9");
    assert!(revision.contains("`org/toy` has no revision `v9`"), "{revision}");
    bench.server.fail("head:tokenizer.json", 9, Fault::Status(404, "X-Error-Code: EntryNotFound\r\n"));
    let file = chain("toy");
    assert!(file.contains("`org/toy` has no file `tokenizer.json`"), "{file}");
    // A plain 404, as of a mirror that knows no error codes.
    bench.server.fail("api", 9, Fault::Status(404, ""));
    let mirror = chain("org/toy@v9");
    assert!(mirror.contains("no repository `org/toy`"), "{mirror}");
}

#[test]
fn a_repository_without_safetensors_says_so() {
    let bench = Bench::empty();
    bench.server.point("org/old", "main", COMMIT);
    bench.server.put("org/old", COMMIT, "config.json", CONFIG);
    bench.server.put("org/old", COMMIT, "pytorch_model.bin", weights());
    let error = bench.hub().resolve("transcribe", Some("org/old")).unwrap_err();
    assert!(error.chain().contains("safetensors are needed"), "{}", error.chain());
    assert!(error.hint().unwrap().contains("save_pretrained"), "{error:?}");
}

#[test]
fn noncommercial_weights_need_one_consent() {
    let bench = Bench::new();
    let restricted = CATALOGUE
        .replace("Apache-2.0", "CC-BY-NC-4.0")
        .replace("default = true", "noncommercial = true\ndefault = true");
    let hub = |accept: bool| {
        let options = HubOptions { accept_license: accept, ..bench.options() };
        Hub::with_registry(options, Registry::parse(&restricted).unwrap())
    };
    let error = hub(false).resolve("transcribe", None).unwrap_err();
    assert!(matches!(error, Error::Argument { .. }), "{error:?}");
    assert!(error.to_string().contains("CC-BY-NC-4.0"), "{error}");
    assert!(error.hint().unwrap().contains("--accept-license"), "{error:?}");
    assert!(hub(false).pull("toy", Refetch::Missing).is_err());
    assert!(bench.server.log().is_empty(), "nothing is fetched before");
    hub(true).resolve("transcribe", None).unwrap();
    hub(false).resolve("transcribe", None).unwrap();
}

#[test]
fn the_licence_of_a_repository_outside_the_catalogue_is_read_from_its_card() {
    let bench = Bench::empty();
    bench.server.point("org/nc", "main", COMMIT);
    bench.server.tag("org/nc", "license:cc-by-nc-sa-4.0");
    bench.server.put("org/nc", COMMIT, "config.json", CONFIG);
    bench.server.put("org/nc", COMMIT, "model.safetensors", weights());
    let error = bench.hub().resolve("transcribe", Some("org/nc")).unwrap_err();
    assert!(error.chain().contains("cc-by-nc-sa-4.0"), "{}", error.chain());
    assert!(bench.server.bodies().is_empty(), "no weights before the consent");
    bench.hub_with(|options| options.accept_license = true).resolve("transcribe", Some("org/nc")).unwrap();
    bench.hub().resolve("transcribe", Some("org/nc")).unwrap();
}

#[cfg(unix)]
#[test]
fn offline_opens_no_socket_and_starts_no_pip() {
    let bench = Bench::new();
    let pip = fake_pip(bench.folder.path(), None);
    let two_sources = format!("{CATALOGUE}{}", crate::packages::SECOND_SOURCE);
    let offline = |variable: bool| {
        let mut options = bench.options();
        options.pip = vec![vec![pip.to_str().unwrap().to_owned()]];
        let lookup = |name: &str| (name == "HF_HUB_OFFLINE").then(|| "1".to_owned());
        options.offline = if variable { HubOptions::from_lookup(&lookup).offline } else { true };
        Hub::with_registry(options, Registry::parse(&two_sources).unwrap())
    };
    for variable in [false, true] {
        for name in [None, Some("toy"), Some("org/other"), Some("org/toy@v1")] {
            let error = offline(variable).resolve("transcribe", name).unwrap_err();
            assert!(matches!(error, Error::Fetch { .. }), "{error:?}");
            assert!(error.chain().contains("network is switched off"), "{}", error.chain());
        }
        assert!(offline(variable).pull("toy", Refetch::Everything).is_err());
    }
    assert!(bench.server.log().is_empty(), "{:?}", bench.server.log());
    assert!(!was_started(&pip));
    // The same hub without the switch reaches both, so the test can fail.
    bench.server.fail("api", 9, Fault::Status(404, ""));
    let mut options = bench.options();
    options.pip = vec![vec![pip.to_str().unwrap().to_owned()]];
    let online = Hub::with_registry(options, Registry::parse(&two_sources).unwrap());
    assert!(online.resolve("transcribe", None).is_err());
    assert!(was_started(&pip) && !bench.server.log().is_empty());
}

#[test]
fn hf_hub_offline_holds_for_a_whole_process_and_what_is_here_still_works() {
    let bench = Bench::new();
    let run = || {
        let mut command = child::command(&bench, &child::this_binary(), "toy");
        command.args(ARGUMENTS).env("HF_HUB_OFFLINE", "1");
        child::spawn(command).wait()
    };
    let (succeeded, output) = run();
    assert!(!succeeded);
    assert!(output.contains("network is switched off"), "{output}");
    assert!(bench.server.log().is_empty());
    bench.hub().resolve("transcribe", None).unwrap();
    bench.server.clear_log();
    let (succeeded, output) = run();
    assert!(succeeded && output.contains("PULLED 0"), "{output}");
    assert!(bench.server.log().is_empty());
}

#[test]
fn proxies_of_the_environment_are_used() {
    let bench = Bench::new();
    let mut command = child::command(&bench, &child::this_binary(), "toy");
    command
        .args(ARGUMENTS)
        .env("HF_ENDPOINT", "http://hub.invalid")
        .env("HTTP_PROXY", &bench.server.endpoint)
        .env_remove("NO_PROXY")
        .env_remove("no_proxy");
    let (succeeded, _) = child::spawn(command).wait();
    assert!(!succeeded);
    let log = bench.server.log();
    assert!(
        log.iter().any(|request| request.method == "CONNECT" && request.path.starts_with("hub.invalid")),
        "{log:?}"
    );
}

#[test]
fn the_token_file_and_the_endpoint_of_the_environment_are_used() {
    let bench = Bench::new();
    let token = bench.folder.path().join("token");
    fs::write(&token, "hf_from_file\n").unwrap();
    let mut command = child::command(&bench, &child::this_binary(), "toy");
    command
        .args(ARGUMENTS)
        .env("HF_TOKEN_PATH", &token)
        .env("HF_ENDPOINT", format!("{}/", bench.server.endpoint));
    let (succeeded, output) = child::spawn(command).wait();
    assert!(succeeded, "{output}");
    assert_eq!(bench.server.log()[0].header("authorization"), Some("Bearer hf_from_file"));
}
