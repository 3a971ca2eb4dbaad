//! The Hub's protocol: what is in a repository, and what is known of a file before it is fetched.

use std::io::Read;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use ureq::http::{HeaderMap, header};

use crate::digest::{Promise, sha256_of_text};
use crate::failure::Failure;
use crate::http::{Client, Method, Reply, retry_after};
use crate::progress::Event;
use crate::reference::{is_commit, is_plain};

/// What may stand in a part of a path as it is.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// More than the listing of a repository with ten thousand files.
const LONGEST_LISTING: u64 = 32 << 20;

/// A repository at one commit.
#[derive(Clone, Debug)]
pub(crate) struct Listing {
    /// 40 hex digits.
    pub(crate) commit: String,
    /// All files, with folders.
    pub(crate) files: Vec<String>,
    /// As the repository's card has it.
    pub(crate) license: Option<String>,
}

/// A file before it is fetched.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    /// The name of the blob in the cache.
    pub(crate) etag: String,
    /// Length in bytes, where the server says it.
    pub(crate) size: Option<u64>,
    /// What the ETag says of the content.
    pub(crate) promise: Promise,
}

#[derive(Deserialize)]
struct Answer {
    sha: String,
    #[serde(default)]
    siblings: Vec<Sibling>,
    #[serde(default)]
    tags: Vec<String>,
}

#[derive(Deserialize)]
struct Sibling {
    rfilename: String,
}

/// Asks for the commit that a revision names, and its files.
pub(crate) fn listing(
    client: &Client,
    repository: &str,
    revision: &str,
    tell: &dyn Fn(&Event<'_>),
) -> Result<Listing, Failure> {
    let url = client.url(&format!("api/models/{repository}/revision/{}", encode(revision)));
    client.retrying(repository, tell, || {
        let mut reply = client.get(&url, 0)?;
        if reply.status != 200 {
            return Err(refusal(client, &reply, repository, revision, None));
        }
        let host = reply.host.clone();
        let mut text = Vec::new();
        let read = reply.body.as_reader().take(LONGEST_LISTING).read_to_end(&mut text);
        read.map_err(|error| Failure::Cut { host: host.clone(), reason: error.to_string() })?;
        let answer: Answer = serde_json::from_slice(&text).map_err(|error| Failure::Protocol {
            host: host.clone(),
            what: format!("its listing of `{repository}`: {error}"),
        })?;
        if !is_commit(&answer.sha) {
            return Err(Failure::Protocol { host, what: format!("`{}` is not a commit", answer.sha) });
        }
        let license = answer.tags.iter().find_map(|tag| tag.strip_prefix("license:")).map(ToOwned::to_owned);
        let files = answer.siblings.into_iter().map(|sibling| sibling.rfilename).collect();
        Ok(Listing { commit: answer.sha, files, license })
    })
}

/// The address of a file.
pub(crate) fn file_url(client: &Client, repository: &str, commit: &str, file: &str) -> String {
    client.url(&format!("{repository}/resolve/{}/{}", encode(commit), encode(file)))
}

/// Asks for length and digest of a file.
pub(crate) fn facts(
    client: &Client,
    repository: &str,
    commit: &str,
    file: &str,
    tell: &dyn Fn(&Event<'_>),
) -> Result<Facts, Failure> {
    client.retrying(file, tell, || {
        let mut url = file_url(client, repository, commit, file);
        for _ in 0..4 {
            let reply = client.once(Method::Head, &url, 0)?;
            let linked = text_of(&reply.headers, "x-linked-etag").map(unquoted);
            // A large file is described by the redirect itself. Without a description the redirect
            // leads to another address of the Hub (a renamed repository, a cache), which has one.
            match (reply.location.as_deref(), linked) {
                (Some(next), None) => url = next.to_owned(),
                (None, _) if reply.status != 200 => {
                    return Err(refusal(client, &reply, repository, commit, Some(file)));
                }
                (_, linked) => {
                    check_commit(&reply, commit)?;
                    return facts_of(&reply, linked, file);
                }
            }
        }
        Err(Failure::Protocol { host: url, what: "it redirects in circles".into() })
    })
}

/// A server that answers with another commit than the one that was asked for would mix two versions.
fn check_commit(reply: &Reply, commit: &str) -> Result<(), Failure> {
    match text_of(&reply.headers, "x-repo-commit") {
        Some(got) if got != commit => {
            let what = format!("it was asked for commit {commit} and answers with {got}");
            Err(Failure::Protocol { host: reply.host.clone(), what })
        }
        _ => Ok(()),
    }
}

fn facts_of(reply: &Reply, linked: Option<String>, file: &str) -> Result<Facts, Failure> {
    let etag = linked.or_else(|| text_of(&reply.headers, header::ETAG.as_str()).map(unquoted));
    let Some(etag) = etag.filter(|etag| !etag.is_empty()) else {
        return Err(Failure::Protocol {
            host: reply.host.clone(),
            what: format!("it sends no ETag for `{file}`"),
        });
    };
    let own_length =
        reply.location.is_none().then(|| text_of(&reply.headers, header::CONTENT_LENGTH.as_str())).flatten();
    let size = text_of(&reply.headers, "x-linked-size").or(own_length).and_then(|text| text.parse().ok());
    let promise = Promise::of_etag(&etag);
    if promise == Promise::Nothing && size.is_none() {
        let what = format!("it sends neither a length nor a digest of `{file}`");
        return Err(Failure::Protocol { host: reply.host.clone(), what });
    }
    // It becomes the name of a file.
    let etag = if is_plain(&etag) { etag } else { sha256_of_text(&etag) };
    Ok(Facts { etag, size, promise })
}

/// What an answer that is no success means.
pub(crate) fn refusal(
    client: &Client,
    reply: &Reply,
    repository: &str,
    revision: &str,
    file: Option<&str>,
) -> Failure {
    let host = reply.host.clone();
    let page = client.url(repository);
    let repository = repository.to_owned();
    let code = text_of(&reply.headers, "x-error-code").unwrap_or_default();
    match (reply.status, code) {
        (_, "RepoNotFound") => Failure::NoRepository { repository, page },
        (401 | 403, _) => {
            Failure::Refused { repository, status: reply.status, page, token_sent: client.has_token() }
        }
        (404, "RevisionNotFound") => Failure::NoRevision { repository, revision: revision.to_owned() },
        (404, _) => match file {
            Some(file) => Failure::NoFile { repository, file: file.to_owned() },
            None => Failure::NoRepository { repository, page },
        },
        (429 | 503, _) => Failure::Busy { host, status: reply.status, wait: retry_after(&reply.headers) },
        (status, _) => Failure::Status { host, status, what: file.map_or(repository, ToOwned::to_owned) },
    }
}

pub(crate) fn text_of<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// An ETag without its marks: `W/"x"` is `x`.
fn unquoted(etag: &str) -> String {
    etag.trim().trim_start_matches("W/").trim_matches('"').to_owned()
}

/// One part of a path; a slash inside a revision is encoded too, as the Hub wants it.
fn encode(part: &str) -> String {
    utf8_percent_encode(part, PLAIN).to_string()
}
