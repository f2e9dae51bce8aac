//! A name that is looked up a second time and leads elsewhere then: the program sees a file of names of its own, which
//! changes between its look-up and its `git`'s connection.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;

use super::certificate::NAMED;
use super::{https_world, server::Server};
use crate::lacking::not_run;
use crate::world::{Output, World, ask, catalog, note};

const ID: &str = "orders/dev/hello";

/// Where the name leads that is checked, and where it leads when it is asked for again.
const CHECKED: &str = "127.0.0.1";
const LATER: &str = "127.0.0.2";

/// Counts who comes to the other address, at the same port.
fn trap(port: u16) -> Arc<AtomicUsize> {
    let listener = TcpListener::bind((LATER, port)).unwrap();
    let (came, counts) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
    let seen = came.clone();
    std::thread::spawn(move || {
        for _ in listener.incoming() {
            counts.fetch_add(1, Ordering::SeqCst);
            seen.fetch_add(1, Ordering::SeqCst);
        }
    });
    came
}

/// A world whose environment names its output by a name, and the file in which that stands.
struct Place {
    world: World,
    server: Server,
    hosts: PathBuf,
}

impl Place {
    fn new() -> Self {
        let (mut world, server) = https_world();
        let output = format!("{}/output", server.url_named());
        world.catalog.commit([catalog::environment("dev", &output, "")]);
        world.configure(|c| {
            c["providers"]["files"]["allow"] = json!([output]);
            let named = format!("{}/", server.url_named());
            let known = c["credentials"].as_array_mut().unwrap();
            known.push(json!({"url": named, "tokenFile": "token", "caFile": server.ca_file()}));
        });
        let hosts = world.root().join("hosts");
        let it = Self { world, server, hosts };
        it.leads_to(CHECKED);
        it
    }

    fn leads_to(&self, address: &str) {
        // In place: the file that the program sees is this one.
        std::fs::write(&self.hosts, format!("{address} {NAMED}\n127.0.0.1 localhost\n")).unwrap();
    }

    /// A command that sees that file for the machine's own.
    fn seeing(&self, command: &Command) -> Command {
        let mut seeing = Command::new("bwrap");
        seeing.args(["--die-with-parent", "--dev-bind", "/", "/", "--bind"]);
        seeing.arg(&self.hosts).arg("/etc/hosts").arg("--");
        seeing.arg(command.get_program()).args(command.get_args()).env_clear();
        seeing.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        seeing.current_dir(self.world.root());
        seeing
    }

    /// Whether this machine lets a program see another file of names.
    fn can_be(&self) -> bool {
        let mut shows = Command::new("cat");
        shows.arg("/etc/hosts").env("PATH", std::env::var_os("PATH").unwrap());
        let shown = self.seeing(&shows).output();
        shown.is_ok_and(|it| it.stdout == std::fs::read(&self.hosts).unwrap())
    }

    /// A `git` before the real one: to whoever asks for that name again, it leads elsewhere by then.
    fn turns(&self) -> String {
        let bin = self.world.root().join("bin");
        std::fs::create_dir_all(&bin).unwrap();
        let paths = std::env::var_os("PATH").unwrap();
        let mut found = std::env::split_paths(&paths).map(|path| path.join("git"));
        let real = found.find(|path| path.is_file()).unwrap();
        let text = format!(
            "#!/bin/sh\ncase \"$*\" in *{NAMED}*) ;; *) exec {real} \"$@\";; esac\n\
             echo {LATER} {NAMED} >/etc/hosts\necho turned >>{turned}\n{real} \"$@\"\ncode=$?\n\
             echo {CHECKED} {NAMED} >/etc/hosts\nexit $code\n",
            real = real.display(),
            turned = self.world.root().join("turned").display(),
        );
        std::fs::write(bin.join("git"), text).unwrap();
        let runs = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(bin.join("git"), runs).unwrap();
        let all = std::iter::once(bin).chain(std::env::split_paths(&paths));
        std::env::join_paths(all).unwrap().into_string().unwrap()
    }

    fn apply(&self, path: &str) -> Output {
        let mut command = self.world.command(&["apply"]);
        command.env("PATH", path);
        let output = self.seeing(&command).output().unwrap();
        Output {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

#[test]
fn b64_a_name_that_leads_elsewhere_the_second_time_leads_nobody_there() {
    let it = Place::new();
    if !it.can_be() {
        return not_run("a name that leads elsewhere", "bwrap", "no program sees other names here");
    }
    let port = it.server.url().rsplit_once(':').unwrap().1.parse().unwrap();
    let came = trap(port);
    let path = it.turns();

    // Where it leads to what may not be named, nobody goes there at all.
    it.world.requests.commit([ask(ID, note("hello"))]);
    it.leads_to(LATER);
    let output = it.apply(&path);
    assert!(output.stdout.contains("`network.allow` may name it"), "{output:?}");
    assert!(it.world.output.refs().is_empty() && !it.world.root().join("turned").exists());

    // Where it leads there only after it was checked, the connection goes to what was checked.
    it.leads_to(CHECKED);
    it.world.vend(&["retry", ID]);
    let output = it.apply(&path);
    assert_eq!(output.code, 0, "{output:?}");
    it.world.ready(ID);
    let turned = std::fs::read_to_string(it.world.root().join("turned")).unwrap();
    assert!(turned.lines().count() > 1, "it was fetched and pushed while the name led elsewhere");
    assert_eq!(came.load(Ordering::SeqCst), 0, "it was looked up a second time");
    let before = it.world.refs();
    let again = it.apply(&path);
    assert!(again.stdout.contains("Nothing to do"), "{again:?}");
    assert_eq!(it.world.refs(), before);

    // A client that looks it up for itself goes there.
    it.leads_to(LATER);
    let mut client = Command::new("git");
    client.args(["ls-remote", &format!("{}/output", it.server.url_named())]);
    client.env("PATH", std::env::var_os("PATH").unwrap());
    let mut child = it.seeing(&client).spawn().unwrap();
    crate::daemon::eventually("somebody comes", || (came.load(Ordering::SeqCst) > 0).then_some(()));
    let _ = child.kill();
    child.wait().unwrap();
}
