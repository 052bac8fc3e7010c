//! How the reviewer takes an API server that fails. What a real one answers is tested by `scripts/e2e-cluster`.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use weir_cluster::{
    Act, ApiServer, Namespaced, Observer, Review, ReviewError, Reviewer, ReviewerConfig, User, Verdict,
};

use crate::server::{Answer, api_server, at};

const SECRET: &str = "secret-token";

/// What it was told, in order.
#[derive(Default)]
struct Told(Mutex<Vec<(Review, Option<Verdict>)>>);

impl Observer for Told {
    fn reviewed(&self, review: Review, verdict: Verdict) {
        self.0.lock().expect("no panic").push((review, Some(verdict)));
    }

    fn known(&self, review: Review) {
        self.0.lock().expect("no panic").push((review, None));
    }
}

fn reviewer(server: &ApiServer) -> (Reviewer, Arc<Told>) {
    reviewer_of(server, false)
}

fn reviewer_of(server: &ApiServer, api_server_tokens: bool) -> (Reviewer, Arc<Told>) {
    let told = Arc::<Told>::default();
    let config = ReviewerConfig {
        audience: "weir".to_owned(),
        api_server_tokens,
        allowed: Duration::from_secs(30),
        denied: Duration::from_secs(5),
    };
    let observer: Arc<dyn Observer> = Arc::<Told>::clone(&told);
    (Reviewer::new(server.client().expect("a URL"), config, observer), told)
}

/// What the reviewer says of both reviews, which must be that there is no answer.
async fn unavailable(server: &ApiServer) -> String {
    let (reviewer, told) = reviewer(server);
    let user = Arc::new(User { name: "jane".to_owned(), ..User::default() });
    let errors = [
        reviewer.user(SECRET).await.expect_err("no answer"),
        reviewer.may(&user, Act::Read(Namespaced::All)).await.expect_err("no answer"),
    ];
    for error in &errors {
        assert!(matches!(error, ReviewError::Unavailable { .. }), "{error}");
        assert!(!error.to_string().contains(SECRET), "{error}");
    }
    let failed = Some(Verdict::Failed);
    let both = [(Review::Token, failed), (Review::Access, failed)];
    assert_eq!(*told.0.lock().expect("no panic"), both, "neither is remembered");
    errors[0].to_string()
}

#[tokio::test]
async fn one_that_is_down_is_no_answer() {
    let (dir, _) = api_server(Answer::Breaks).await;
    // A port that was free a moment ago.
    let free = TcpListener::bind("127.0.0.1:0").await.expect("a port").local_addr().expect("its address");
    let error = unavailable(&at(dir.path(), free)).await;
    assert!(error.contains("can't be reached") && error.contains("refused"), "{error}");
}

#[tokio::test]
async fn one_that_breaks_off_is_no_answer() {
    let (_dir, server) = api_server(Answer::Breaks).await;
    assert!(unavailable(&server).await.contains("can't be reached"));
}

#[tokio::test]
async fn a_refusal_of_the_agent_itself_is_no_answer_about_its_caller() {
    let told = r#"{"kind": "Status", "message": "tokenreviews is forbidden", "code": 403}"#;
    for (status, body, says) in [
        (403, told, "answers 403 to TokenReview: tokenreviews is forbidden"),
        (401, "", "answers 401"),
        (429, "{}", "answers 429"),
        (500, "<html>", "answers 500"),
    ] {
        let (_dir, server) = api_server(Answer::Says(status, body.into())).await;
        let error = unavailable(&server).await;
        assert!(error.contains(says), "{error}");
    }
}

#[tokio::test]
async fn garbage_is_no_answer() {
    let large = [b"{\"kind\": \"".as_slice(), &vec![b'x'; 2 << 20], b"\"}"].concat();
    for body in [b"".to_vec(), b"garbage".to_vec(), b"[]".to_vec(), b"{\"kind\": \"Pod\"}".to_vec(), large] {
        let (_dir, server) = api_server(Answer::Says(201, body)).await;
        unavailable(&server).await;
    }
}

#[tokio::test]
async fn no_answer_in_time_is_no_answer() {
    let arrived = Arc::new(Semaphore::new(0));
    let (_dir, server) = api_server(Answer::Waits(Arc::clone(&arrived))).await;
    let (reviewer, _) = reviewer(&server);
    let asking = tokio::spawn(async move { reviewer.user(SECRET).await });
    arrived.acquire().await.expect("it stays open").forget();
    // From here on nothing happens but time.
    tokio::time::pause();
    let error = asking.await.expect("no panic").expect_err("no answer").to_string();
    assert!(error.contains("no answer within 5 s"), "{error}");
}

#[tokio::test]
async fn a_file_that_can_not_be_used_is_named() {
    let (dir, server) = api_server(Answer::Breaks).await;
    for (name, content) in [("ca.crt", None), ("ca.crt", Some("no PEM")), ("token", Some("two\nlines"))] {
        let path = dir.path().join(name);
        let before = std::fs::read(&path).expect("a file");
        match content {
            Some(content) => std::fs::write(&path, content).expect("a file"),
            None => std::fs::remove_file(&path).expect("a file"),
        }
        let error = unavailable(&server).await;
        assert!(error.contains(name), "{error}");
        std::fs::write(&path, before).expect("a file");
    }
}

/// The API server says for whom a token is good only where it was asked for somebody.
#[tokio::test]
async fn a_token_for_the_api_server_is_taken_where_it_may_be() {
    let body = |is_known: bool| {
        let status = format!(r#"{{"authenticated": {is_known}, "user": {{"username": "jane"}}}}"#);
        format!(
            r#"{{"kind": "TokenReview", "apiVersion": "authentication.k8s.io/v1", "spec": {{"token": ""}}, "status": {status}}}"#
        )
    };
    for (is_known, may_be, verdicts) in [
        (true, true, &[Verdict::Denied, Verdict::Allowed][..]),
        (true, false, &[Verdict::Denied]),
        (false, true, &[Verdict::Denied, Verdict::Denied]),
    ] {
        let (_dir, server) = api_server(Answer::Says(201, body(is_known).into_bytes())).await;
        let (reviewer, told) = reviewer_of(&server, may_be);
        let user = reviewer.user(SECRET).await;
        assert_eq!(
            user.map(|user| user.name.clone()).ok().as_deref(),
            (is_known && may_be).then_some("jane")
        );
        let told = told.0.lock().expect("no panic").clone();
        assert_eq!(told, Vec::from_iter(verdicts.iter().map(|verdict| (Review::Token, Some(*verdict)))));
    }
}

#[tokio::test]
async fn an_answer_without_a_verdict_is_a_no() {
    // Not a yes, whatever is left out of it.
    let review = |kind: &str, group: &str, status: &str| {
        let text = format!(
            r#"{{"kind": "{kind}", "apiVersion": "{group}/v1", "spec": {{"token": ""}}, "status": {status}}}"#
        );
        text.into_bytes()
    };
    for status in [
        "{}",
        r#"{"authenticated": false, "user": {"username": "jane"}, "audiences": ["weir"]}"#,
        r#"{"authenticated": true, "user": {"username": ""}, "audiences": ["weir"]}"#,
        r#"{"authenticated": true, "audiences": ["weir"]}"#,
        r#"{"authenticated": true, "user": {"username": "jane"}}"#,
        r#"{"authenticated": true, "user": {"username": "jane"}, "audiences": ["other"]}"#,
    ] {
        let body = review("TokenReview", "authentication.k8s.io", status);
        let (_dir, server) = api_server(Answer::Says(201, body)).await;
        let (reviewer, told) = reviewer(&server);
        assert_eq!(reviewer.user(SECRET).await, Err(ReviewError::Token), "{status}");
        assert_eq!(reviewer.user(SECRET).await, Err(ReviewError::Token), "{status}");
        let told = told.0.lock().expect("no panic").clone();
        assert_eq!(told, [(Review::Token, Some(Verdict::Denied)), (Review::Token, None)]);
    }
    let user = Arc::new(User { name: "jane".to_owned(), ..User::default() });
    for status in [r#"{"allowed": false}"#, r#"{"allowed": true, "denied": true}"#] {
        let body = review("SubjectAccessReview", "authorization.k8s.io", status);
        let (_dir, server) = api_server(Answer::Says(201, body)).await;
        assert_eq!(reviewer(&server).0.may(&user, Act::Read(Namespaced::All)).await, Ok(false), "{status}");
    }
}
