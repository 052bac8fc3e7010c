//! The requests of one pull: who asks is said where a registry wants to know it, and to that registry alone; redirects are
//! followed over TLS, without saying it to others.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{ACCEPT, AUTHORIZATION, HeaderValue, LOCATION, USER_AGENT, WWW_AUTHENTICATE};
use http::uri::{Scheme, Uri};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use serde::Deserialize;
use weir_https::{BodyError, Client, Schemes, causes, whole};

use crate::host::endpoint;
use crate::{Challenge, Credentials, PullError, Reference};

/// Redirects that are followed for one request.
const REDIRECTS: usize = 5;

/// Most bytes of the answer that holds a token.
const TOKEN_BYTES: usize = 64 << 10;

/// The requests of one pull.
pub(crate) struct Session<'a> {
    pub(crate) client: Client,
    pub(crate) schemes: Schemes,
    pub(crate) reference: &'a Reference,
    pub(crate) credentials: Option<Credentials>,
    /// What says who asks, once the registry wants to know it.
    pub(crate) authorization: Option<HeaderValue>,
}

/// An answer, and from whom.
struct Answer {
    response: Response<Incoming>,
    host: String,
    /// It is from the registry itself.
    is_own: bool,
}

/// What gives tokens says one of the two.
#[derive(Deserialize)]
struct Token {
    token: Option<String>,
    access_token: Option<String>,
}

impl Session<'_> {
    /// The answer to a request for a path of the repository, such as `blobs/sha256:…`.
    ///
    /// # Errors
    /// It can't be had.
    pub(crate) async fn get(&mut self, path: &str, accept: &str) -> Result<Response<Incoming>, PullError> {
        let mut answer = self.follow(path, accept).await?;
        if answer.is_own
            && answer.response.status() == StatusCode::UNAUTHORIZED
            && self.authorization.is_none()
        {
            self.log_in(answer.response.headers()).await?;
            answer = self.follow(path, accept).await?;
        }
        let Answer { response, host, is_own } = answer;
        match response.status() {
            StatusCode::OK => Ok(response),
            StatusCode::NOT_FOUND => Err(PullError::NotFound { name: self.name() }),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN if is_own => Err(self.unauthorized()),
            status => Err(PullError::Refused { host, name: self.name(), status: status.as_u16() }),
        }
    }

    pub(crate) fn name(&self) -> String {
        self.reference.to_string()
    }

    /// Asks, and asks where it is sent to.
    async fn follow(&self, path: &str, accept: &str) -> Result<Answer, PullError> {
        let scheme = if self.schemes == Schemes::Https { "https" } else { "http" };
        let (host, repository) = (endpoint(self.reference.host()), self.reference.repository());
        let url = format!("{scheme}://{host}/v2/{repository}/{path}");
        let own: Uri = url.parse().expect("what a reference is made of means nothing else in a URL");
        let mut uri = own.clone();
        for _ in 0..=REDIRECTS {
            let is_own = uri.scheme() == own.scheme() && uri.authority() == own.authority();
            let authorization = self.authorization.as_ref().filter(|_| is_own);
            let response = self.send(&uri, accept, authorization).await?;
            let status = response.status();
            let host = host_of(&uri);
            if !status.is_redirection() {
                return Ok(Answer { response, host, is_own });
            }
            let location = response.headers().get(LOCATION).and_then(|location| location.to_str().ok());
            uri = location
                .and_then(|location| resolve(&uri, location))
                .ok_or(PullError::Redirect { host: host.clone(), reason: "it doesn't say where" })?;
            if !self.is_allowed(&uri) {
                return Err(PullError::Redirect { host, reason: "it isn't https" });
            }
        }
        Err(PullError::Redirect { host: host_of(&uri), reason: "it does so again and again" })
    }

    async fn send(
        &self,
        uri: &Uri,
        accept: &str,
        authorization: Option<&HeaderValue>,
    ) -> Result<Response<Incoming>, PullError> {
        let mut request = Request::get(uri.clone())
            .header(ACCEPT, accept)
            .header(USER_AGENT, concat!("weir-agent/", env!("CARGO_PKG_VERSION")))
            .body(Full::new(Bytes::new()))
            .expect("all of its parts are valid");
        if let Some(authorization) = authorization {
            request.headers_mut().insert(AUTHORIZATION, authorization.clone());
        }
        let sent = self.client.request(request).await;
        sent.map_err(|error| PullError::Unreachable { host: host_of(uri), reason: causes(&error) })
    }

    /// Whether it may be asked at all: over TLS, unless the registry itself is asked without.
    fn is_allowed(&self, uri: &Uri) -> bool {
        let is_secret = uri.scheme() == Some(&Scheme::HTTPS);
        let is_plain = uri.scheme() == Some(&Scheme::HTTP) && self.schemes == Schemes::HttpsAndHttp;
        let authority = uri.authority().map(|authority| authority.as_str());
        (is_secret || is_plain) && authority.is_some_and(|authority| !authority.contains('@'))
    }

    /// Finds out how to say who asks.
    async fn log_in(&mut self, headers: &HeaderMap) -> Result<(), PullError> {
        let headers = headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|header| header.to_str().ok());
        let challenges: Vec<Challenge> = headers.flat_map(Challenge::parse).collect();
        let bearer = challenges.iter().find(|challenge| matches!(challenge, Challenge::Bearer { .. }));
        let authorization = match (bearer, &self.credentials) {
            (Some(Challenge::Bearer { realm, service, scope }), _) => {
                let token = self.token(realm, service.as_deref(), scope.as_deref()).await?;
                secret(format!("Bearer {token}"))
            }
            (_, Some(credentials)) if challenges.contains(&Challenge::Basic) => Some(basic(credentials)),
            _ => return Err(self.unauthorized()),
        };
        let Some(authorization) = authorization else {
            return Err(self.no_token("it is none that a header can have"));
        };
        self.authorization = Some(authorization);
        Ok(())
    }

    /// A token from whoever gives them.
    async fn token(
        &self,
        realm: &str,
        service: Option<&str>,
        scope: Option<&str>,
    ) -> Result<String, PullError> {
        let own = format!("repository:{}:pull", self.reference.repository());
        let mut url = realm.to_owned();
        for (key, value) in [("service", service), ("scope", Some(scope.unwrap_or(&own)))] {
            let Some(value) = value else { continue };
            url.push(if url.contains('?') { '&' } else { '?' });
            url.push_str(key);
            url.push('=');
            push_encoded(&mut url, value);
        }
        let uri: Option<Uri> = url.parse().ok();
        let uri = uri.filter(|uri| self.is_allowed(uri));
        let uri = uri.ok_or_else(|| self.no_token("who gives them isn't asked over https"))?;
        let credentials = self.credentials.as_ref().map(basic);
        let response = self.send(&uri, "application/json", credentials.as_ref()).await?;
        match response.status() {
            StatusCode::OK => {}
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => return Err(self.unauthorized()),
            status => return Err(self.no_token(&format!("{} answers {}", host_of(&uri), status.as_u16()))),
        }
        let answer = whole(response.into_body(), TOKEN_BYTES).await.map_err(|error| match error {
            BodyError::TooLarge(_) => self.no_token("the answer with it is too large"),
            error => PullError::Unreachable { host: host_of(&uri), reason: error.to_string() },
        })?;
        let token: Option<Token> = serde_json::from_slice(&answer).ok();
        let token = token.and_then(|token| token.token.or(token.access_token));
        token.ok_or_else(|| self.no_token("the answer holds none"))
    }

    fn no_token(&self, reason: &str) -> PullError {
        PullError::Token { host: self.reference.host().to_owned(), reason: reason.to_owned() }
    }

    fn unauthorized(&self) -> PullError {
        let hint = match &self.credentials {
            None => "there are no credentials for it (`auth_file`), and without it gives nothing",
            Some(_) => "the credentials for it (`auth_file`) are wrong, or may not read this",
        };
        PullError::Unauthorized { host: self.reference.host().to_owned(), name: self.name(), hint }
    }
}

/// Where a location leads to from where it was read; `None` where it leads nowhere.
fn resolve(from: &Uri, location: &str) -> Option<Uri> {
    let location = location.split('#').next().unwrap_or_default();
    if location.starts_with('/') && !location.starts_with("//") {
        let mut parts = from.clone().into_parts();
        parts.path_and_query = Some(location.parse().ok()?);
        return Uri::from_parts(parts).ok();
    }
    location.parse().ok().filter(|uri: &Uri| uri.host().is_some_and(|host| !host.is_empty()))
}

fn host_of(uri: &Uri) -> String {
    uri.authority().map(ToString::to_string).unwrap_or_default()
}

fn basic(Credentials { user, password }: &Credentials) -> HeaderValue {
    secret(format!("Basic {}", STANDARD.encode(format!("{user}:{password}"))))
        .expect("base64 is fit for a header")
}

/// A header's value that is shown nowhere.
fn secret(text: String) -> Option<HeaderValue> {
    let mut value = HeaderValue::try_from(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// Adds a value of a query.
fn push_encoded(url: &mut String, value: &str) {
    for byte in value.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => url.push(char::from(byte)),
            other => url.push_str(&format!("%{other:02X}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locations_lead_where_they_say() {
        let from: Uri = "https://a.io:1/v2/x?y".parse().expect("a URL");
        for (location, to) in [
            ("https://b.io/x?sig=1#z", Some("https://b.io/x?sig=1")),
            ("/other?z", Some("https://a.io:1/other?z")),
            ("//b.io/x", None),
            ("x/y", None),
            ("", None),
            ("file:///etc/passwd", None),
        ] {
            assert_eq!(resolve(&from, location).map(|uri| uri.to_string()).as_deref(), to, "{location}");
        }
        let mut url = "q=".to_owned();
        push_encoded(&mut url, "repository:a/b:pull&x=é");
        assert_eq!(url, "q=repository%3Aa%2Fb%3Apull%26x%3D%C3%A9");
    }
}
