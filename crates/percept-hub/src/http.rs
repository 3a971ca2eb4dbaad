//! One request to the Hub: which host may see the token, how long to wait, what an answer means.
//!
//! Redirects are followed by hand. A client library decides for itself what it forwards; here the rule
//! stands in one line: the token goes to the endpoint's origin (scheme, host and port) only.

use std::time::{Duration, SystemTime};

use ureq::http::{HeaderMap, Uri, header};
use ureq::tls::{RootCerts, TlsConfig};
use ureq::{Agent, Body, Error as Http};

use crate::failure::Failure;
use crate::options::{HubOptions, Limits, ProxyChoice, Token};
use crate::progress::Event;

const MOST_REDIRECTS: usize = 6;

/// Speaks with the Hub and with the hosts that it redirects to.
pub(crate) struct Client {
    agent: Agent,
    endpoint: String,
    origin: Origin,
    token: Option<Token>,
    pub(crate) limits: Limits,
}

/// Scheme, host and port: what decides who may see the token.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Origin {
    scheme: String,
    host: String,
    port: u16,
}

/// An answer; its body has not been read.
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Body,
    pub(crate) host: String,
    /// Where the server wants us to go, when it answered 3xx and we were told not to.
    pub(crate) location: Option<String>,
}

/// What is asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Method {
    Head,
    Get,
}

impl Client {
    pub(crate) fn new(options: &HubOptions) -> Result<Self, Failure> {
        let limits = options.limits;
        let origin = origin_of(&options.endpoint).ok_or_else(|| Failure::Protocol {
            host: options.endpoint.clone(),
            what: "HF_ENDPOINT is not an http or https address".into(),
        })?;
        let tls = TlsConfig::builder().root_certs(roots()).build();
        let mut config = Agent::config_builder()
            .tls_config(tls)
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .user_agent(concat!("percept/", env!("CARGO_PKG_VERSION")))
            // A compressed body would have another length and another digest than the file.
            .accept_encoding("identity")
            .timeout_resolve(Some(limits.connect))
            .timeout_connect(Some(limits.connect))
            .timeout_recv_response(Some(limits.response))
            .timeout_per_read(Some(limits.stall))
            .timeout_per_write(Some(limits.stall));
        if options.proxy == ProxyChoice::Direct {
            config = config.proxy(None);
        }
        let token = options.token.clone();
        Ok(Self {
            agent: config.build().new_agent(),
            endpoint: options.endpoint.clone(),
            origin,
            token,
            limits,
        })
    }

    /// The address of a path below the endpoint.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}/{path}", self.endpoint)
    }

    /// Whether a token goes along with requests to the endpoint.
    pub(crate) fn has_token(&self) -> bool {
        self.token.is_some()
    }

    /// One request, without following redirects. `from` asks for the bytes from there on.
    pub(crate) fn once(&self, method: Method, url: &str, from: u64) -> Result<Reply, Failure> {
        let origin = origin_of(url).ok_or_else(|| Failure::Protocol {
            host: self.origin.host.clone(),
            what: format!("it redirects to `{url}`"),
        })?;
        let mut request = match method {
            Method::Head => self.agent.head(url),
            Method::Get => self.agent.get(url),
        };
        if from > 0 {
            request = request.header(header::RANGE, format!("bytes={from}-"));
        }
        if origin == self.origin
            && let Some(token) = &self.token
        {
            request = request.header(header::AUTHORIZATION, format!("Bearer {}", token.secret()));
        }
        let host = origin.to_string();
        let (parts, body) = request.call().map_err(|error| failed(&host, error))?.into_parts();
        let location = parts.headers.get(header::LOCATION).and_then(|value| value.to_str().ok());
        let location = match location {
            Some(to) if parts.status.is_redirection() => Some(self.join(url, to)?),
            _ => None,
        };
        Ok(Reply { status: parts.status.as_u16(), headers: parts.headers, body, host, location })
    }

    /// A GET that follows redirects; 2xx, 416 and errors come back as they are.
    pub(crate) fn get(&self, url: &str, from: u64) -> Result<Reply, Failure> {
        let mut url = url.to_owned();
        for _ in 0..MOST_REDIRECTS {
            let reply = self.once(Method::Get, &url, from)?;
            match reply.location {
                Some(next) => url = next,
                None => return Ok(reply),
            }
        }
        Err(Failure::Protocol { host: self.origin.to_string(), what: "it redirects in circles".into() })
    }

    /// Tries again as long as the failure may pass, with the pauses that the server asks for.
    pub(crate) fn retrying<T>(
        &self,
        what: &str,
        tell: &dyn Fn(&Event<'_>),
        mut attempt: impl FnMut() -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let mut tried = 1;
        loop {
            match attempt() {
                Err(failure) if failure.is_passing() && tried < self.limits.attempts => {
                    self.pause(what, tell, &failure, tried)?;
                    tried += 1;
                }
                result => return result,
            }
        }
    }

    /// Sleeps before attempt `tried + 1`. Fails where the server asks for more than we grant.
    pub(crate) fn pause(
        &self,
        what: &str,
        tell: &dyn Fn(&Event<'_>),
        failure: &Failure,
        tried: u32,
    ) -> Result<(), Failure> {
        let mut wait = self.limits.pause * 2u32.saturating_pow(tried.saturating_sub(1).min(6));
        if let Failure::Busy { wait: asked, status, host } = failure {
            if *asked > self.limits.longest_pause {
                return Err(Failure::Busy { wait: *asked, status: *status, host: host.clone() });
            }
            wait = wait.max(*asked);
        }
        let wait = wait.min(self.limits.longest_pause);
        tell(&Event::Retrying { file: what, reason: &failure.to_string(), wait });
        std::thread::sleep(wait);
        Ok(())
    }

    /// `Location`, which may be relative. From https to http is refused.
    fn join(&self, base: &str, to: &str) -> Result<String, Failure> {
        let joined = if to.contains("://") {
            to.to_owned()
        } else {
            let scheme_end = base.find("://").map_or(0, |at| at + 3);
            let path_start = base[scheme_end..].find('/').map_or(base.len(), |at| at + scheme_end);
            if to.starts_with("//") {
                format!("{}:{to}", &base[..scheme_end.saturating_sub(3)])
            } else if to.starts_with('/') {
                format!("{}{to}", &base[..path_start])
            } else {
                let path = base[..base.find('?').unwrap_or(base.len())].rfind('/').unwrap_or(path_start);
                format!("{}/{to}", &base[..path.max(path_start.min(path))])
            }
        };
        if base.starts_with("https://") && joined.starts_with("http://") {
            let what = format!("it redirects from https to `{joined}`");
            return Err(Failure::Protocol { host: self.origin.to_string(), what });
        }
        Ok(joined)
    }
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}://{}:{}", self.scheme, self.host, self.port)
    }
}

fn origin_of(url: &str) -> Option<Origin> {
    let uri: Uri = url.parse().ok()?;
    let scheme = uri.scheme_str()?.to_ascii_lowercase();
    let port = match scheme.as_str() {
        "https" => 443,
        "http" => 80,
        _ => return None,
    };
    Some(Origin { host: uri.host()?.to_ascii_lowercase(), port: uri.port_u16().unwrap_or(port), scheme })
}

/// The machine's own certificates where it has some, since a company's proxy may be among them.
fn roots() -> RootCerts {
    const BUNDLES: [&str; 4] = [
        "/etc/ssl/certs/ca-certificates.crt",
        "/etc/pki/tls/certs/ca-bundle.crt",
        "/etc/ssl/ca-bundle.pem",
        "/etc/ssl/cert.pem",
    ];
    let named = std::env::var_os("SSL_CERT_FILE").is_some() || std::env::var_os("SSL_CERT_DIR").is_some();
    let here = cfg!(any(windows, target_os = "macos"))
        || named
        || BUNDLES.iter().any(|path| std::path::Path::new(path).exists());
    if here { RootCerts::PlatformVerifier } else { RootCerts::WebPki }
}

/// What an error of the client library means: no connection, or one that broke.
fn failed(host: &str, error: Http) -> Failure {
    use std::io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    let host = host.to_owned();
    match error {
        Http::Timeout(ureq::Timeout::RecvResponse | ureq::Timeout::PerRead | ureq::Timeout::RecvBody) => {
            Failure::Unreachable { host, reason: "it does not answer".into() }
        }
        Http::Timeout(_) => Failure::Unreachable { host, reason: "no connection in time".into() },
        Http::HostNotFound => Failure::Unreachable { host, reason: "there is no host of that name".into() },
        Http::Io(cause)
            if matches!(cause.kind(), ConnectionReset | ConnectionAborted | BrokenPipe | UnexpectedEof) =>
        {
            Failure::Cut { host, reason: cause.to_string() }
        }
        Http::Protocol(cause) => Failure::Cut { host, reason: cause.to_string() },
        other => Failure::Unreachable { host, reason: other.to_string() },
    }
}

/// What the server asks us to wait: seconds or a date.
pub(crate) fn retry_after(headers: &HeaderMap) -> Duration {
    let Some(text) = headers.get(header::RETRY_AFTER).and_then(|value| value.to_str().ok()) else {
        return Duration::ZERO;
    };
    match text.trim().parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => httpdate::parse_http_date(text)
            .ok()
            .and_then(|date| date.duration_since(SystemTime::now()).ok())
            .unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client() -> Client {
        let mut options = HubOptions::new("/h", "/c");
        options.endpoint = "https://hub.example/mirror".into();
        Client::new(&options).ok().unwrap()
    }

    #[test]
    fn relative_redirects_are_resolved_and_plain_http_is_refused() {
        let base = "https://hub.example/a/b?x=/1";
        let join = |to: &str| client().join(base, to).ok();
        assert_eq!(join("/c/d").as_deref(), Some("https://hub.example/c/d"));
        assert_eq!(join("c").as_deref(), Some("https://hub.example/a/c"));
        assert_eq!(join("//cdn.example/c").as_deref(), Some("https://cdn.example/c"));
        assert_eq!(join("https://cdn.example/c").as_deref(), Some("https://cdn.example/c"));
        assert_eq!(join("http://cdn.example/c"), None);
    }

    #[test]
    fn an_origin_is_scheme_host_and_port() {
        assert_eq!(origin_of("https://a.b/c"), origin_of("https://A.B:443"));
        assert_ne!(origin_of("https://a.b"), origin_of("http://a.b"));
        assert_ne!(origin_of("http://a.b"), origin_of("http://a.b:81"));
        assert_ne!(origin_of("https://a.b"), origin_of("https://a.b.evil"));
        assert_eq!(origin_of("ftp://a.b"), None);
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let headers = |text: &str| HeaderMap::from_iter([(header::RETRY_AFTER, text.parse().unwrap())]);
        assert_eq!(retry_after(&headers("7")), Duration::from_secs(7));
        assert_eq!(retry_after(&headers("Wed, 21 Oct 2015 07:28:00 GMT")), Duration::ZERO);
        let soon = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(100));
        let wait = retry_after(&headers(&soon)).as_secs();
        assert!((97..=100).contains(&wait), "{wait}");
        assert_eq!(retry_after(&HeaderMap::new()), Duration::ZERO);
    }
}
