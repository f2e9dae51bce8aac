//! Where a secret must not be, and what bodies look like on the way.

use std::path::Path;
use std::sync::Arc;

use vend::git::{Credential, Edit, Location, Mirror, Transport, Trust};

use super::server::{Fault, Server};
use super::{TOKEN, basic, https_world, token_file};
use crate::daemon::{Serving, eventually};
use crate::world::{ask, note};

/// The command lines of a process's descendants.
fn command_lines(above: u32) -> Vec<String> {
    let mut lines = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let read =
            |name: &str| std::fs::read_to_string(entry.path().join(name)).unwrap_or_default();
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        // `pid (name) state parent`.
        let stat = read("stat");
        let parent = stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(1));
        if parent == Some(&above.to_string()) {
            lines.push(read("cmdline").replace('\0', " "));
            lines.extend(command_lines(pid));
        }
    }
    lines
}

/// Files in a folder that hold one of these words.
fn holding(folder: &Path, words: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(holding(&path, words));
        } else if let Ok(bytes) = std::fs::read(&path) {
            let has = |word: &&str| bytes.windows(word.len()).any(|at| at == word.as_bytes());
            if words.iter().any(has) {
                found.push(path.display().to_string());
            }
        }
    }
    found
}

#[test]
fn b93_f07_a_token_is_in_no_argument_no_log_no_message_and_no_file() {
    let (world, server) = https_world();
    let encoded = basic(TOKEN);
    let secrets = [TOKEN, encoded.strip_prefix("Basic ").unwrap()];
    world.requests.commit([ask("orders/dev/hello", note("hello"))]);
    let mut command = world.command(&["serve", "--log", "json"]);
    command.env("VEND_LOG", "trace");
    let mut daemon = Serving::spawn(command);
    eventually("it is applied", || {
        world.status_or_none("orders/dev/hello").filter(|status| status["phase"] == "Ready")
    });
    // A slow request: all its processes can be looked at.
    server.breaks(Fault::Hold);
    let lines = eventually("a request is under way", || {
        let lines = command_lines(daemon.pid());
        lines.iter().any(|line| line.contains("remote-https")).then_some(lines)
    });
    let shows = |text: &str| secrets.iter().any(|secret| text.contains(secret));
    assert!(!lines.iter().any(|line| shows(line)), "{lines:#?}");
    server.rules(|rules| (rules.fault, rules.token) = (None, Some("another".into())));
    daemon.logged("refuses the token");
    // F07: replaced in its file, it is read by the next fetch; nobody restarts anything.
    world.requests.commit([ask("orders/dev/hello", note("rotated"))]);
    std::fs::write(token_file(&world), "another").unwrap();
    eventually("the change is applied", || {
        let text = world.output_file("dev/orders/hello/note/note.yaml");
        (text.as_deref() == Some("text: rotated\n")).then_some(())
    });
    std::fs::write(token_file(&world), TOKEN).unwrap();
    daemon.stop();
    let lines = daemon.lines();
    assert!(!lines.iter().any(|line| shows(line)), "{lines:#?}");
    let said = world.vend(&["apply"]);
    assert!(!shows(&said.stdout) && !shows(&said.stderr), "{said:?}");
    let files = holding(world.root(), &secrets);
    assert_eq!(files, [token_file(&world).display().to_string()]);
}

#[test]
fn large_bodies_travel_chunked_and_compressed() {
    let root = tempfile::tempdir().unwrap();
    let home = root.path().to_owned();
    let repository = crate::world::Repository::create(root.path().join("large"), &home);
    let server = Server::start(root.path(), "tls");
    server.rules(|rules| rules.token = Some(TOKEN.into()));
    std::fs::write(root.path().join("token"), TOKEN).unwrap();
    let credential = Credential {
        url_prefix: server.url(),
        token_file: Some(root.path().join("token")),
        ca_file: Some(server.ca_file()),
        ..Credential::default()
    };
    let url = format!("{}/large", server.url());
    let transport =
        Transport { credentials: vec![credential], ..Transport::new(root.path().join("home")) };
    let open = |name: &str| {
        let location = Location::parse(&url, "main", Trust::Operator).unwrap();
        Mirror::open(&root.path().join(name), location, Arc::new(transport.clone())).unwrap()
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    // Bytes that nothing compresses, beyond what git sends in one piece (`http.postBuffer`).
    let mut state = 1_u64;
    let noise = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 56) as u8
    });
    let content: Vec<u8> = noise.take(1_500_000).collect();
    let writer = open("writer");
    let mut tip = None;
    let now = jiff::Timestamp::UNIX_EPOCH;
    // Many commits: a fetch then names many that it has, in a request worth compressing.
    for n in 0..80 {
        let edit = Edit { path: format!("{n}"), content: Some(vec![n]) };
        tip = writer.commit(tip.as_ref(), &[edit], "small", now).unwrap();
    }
    runtime.block_on(writer.push(tip.as_ref().unwrap(), None)).unwrap();
    let reader = open("reader");
    assert_eq!(runtime.block_on(reader.fetch()).unwrap(), tip);
    server.seen();

    let edit = Edit { path: "noise".into(), content: Some(content.clone()) };
    let large = writer.commit(tip.as_ref(), &[edit], "large", now).unwrap().unwrap();
    runtime.block_on(writer.push(&large, tip.as_ref())).unwrap();
    assert_eq!(runtime.block_on(reader.fetch()).unwrap(), Some(large.clone()));
    let id = reader.find(&large, "noise").unwrap().unwrap().id;
    let read = reader.blob(id, 1 << 24).unwrap();
    assert!(matches!(read, vend::git::Blob::Bytes(bytes) if bytes == content));
    assert_eq!(repository.tip("main").as_deref(), Some(large.as_str()));

    // A repository made anew: the reader names all that it has, and nothing of it is there.
    std::fs::remove_dir_all(repository.path()).unwrap();
    let repository = crate::world::Repository::create(root.path().join("large"), &home);
    let fresh = repository.commit([crate::world::write("a", "1")]);
    assert_eq!(runtime.block_on(reader.fetch()).unwrap().unwrap().as_str(), fresh);
    let seen = server.seen();
    let chunked = seen.iter().any(|seen| seen.encodings[0].as_deref() == Some("chunked"));
    let gzip = seen.iter().any(|seen| seen.encodings[1].as_deref() == Some("gzip"));
    assert!(chunked && gzip, "{seen:#?}");
}
