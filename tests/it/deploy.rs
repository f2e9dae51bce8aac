//! What stands in `deploy/`: the base for Kustomize, the container's probe, and the configurations that come along.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use vend::config::Config;
use vend::yaml;

use crate::daemon::{Serving, eventually};
use crate::lacking::not_run;
use crate::world::World;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap()
}

/// The documents of a text, as the daemon's own reader has them.
fn documents(name: &str, text: &str) -> Vec<Value> {
    let nodes = yaml::read(&name.into(), text.as_bytes(), &yaml::Options::rendered())
        .unwrap_or_else(|problems| panic!("{name}: {}\n{text}", problems[0].message));
    nodes.iter().map(yaml::Node::to_json).collect()
}

fn of_kind<'a>(all: &'a [Value], kind: &str) -> &'a Value {
    let mut found = all.iter().filter(|object| object["kind"] == kind);
    let first = found.next().unwrap_or_else(|| panic!("no {kind}"));
    assert!(found.next().is_none(), "two of {kind}");
    first
}

/// What a pod of vend has to be, whoever made the text of it.
/// `ready` is what its readiness asks for.
fn is_confined(set: &Value, ready: &str) {
    let pod = &set["spec"]["template"]["spec"];
    assert_eq!(pod["automountServiceAccountToken"], json!(false));
    let security = &pod["securityContext"];
    assert_eq!(security["runAsNonRoot"], json!(true));
    assert_eq!(security["seccompProfile"]["type"], json!("RuntimeDefault"));
    let container = &pod["containers"][0];
    let security = &container["securityContext"];
    assert_eq!(security["readOnlyRootFilesystem"], json!(true));
    assert_eq!(security["allowPrivilegeEscalation"], json!(false));
    assert_eq!(security["capabilities"]["drop"], json!(["ALL"]));
    for (probe, page) in
        [("startupProbe", "healthz"), ("livenessProbe", "healthz"), ("readinessProbe", ready)]
    {
        let command = &container[probe]["exec"]["command"];
        assert_eq!(command, &json!(["/usr/libexec/vend/probe", page]), "{probe}");
    }
    let port = json!({"name": "metrics", "containerPort": 9465});
    assert!(container["ports"].as_array().unwrap().contains(&port), "{container}");
    // What it may write is what is mounted to be written.
    let mounts = container["volumeMounts"].as_array().unwrap();
    let written: Vec<&str> = mounts
        .iter()
        .filter(|mount| mount["readOnly"] != json!(true))
        .map(|mount| mount["mountPath"].as_str().unwrap())
        .collect();
    assert_eq!(written, ["/var/lib/vend", "/run/vend", "/tmp"]);
    let volumes = pod["volumes"].as_array().unwrap();
    assert!(volumes.iter().any(|volume| volume["secret"]["secretName"] == "vend-credentials"));
    let claims = set["spec"]["volumeClaimTemplates"].as_array().unwrap();
    assert_eq!(claims[0]["metadata"]["name"], json!("state"));
}

#[test]
fn the_base_is_one_confined_pod() {
    let folder = root().join("deploy/kubernetes");
    let kustomization = &documents("base", &read("deploy/kubernetes/kustomization.yaml"))[0];
    let listed: Vec<&str> = kustomization["resources"]
        .as_array()
        .unwrap()
        .iter()
        .map(|name| name.as_str().unwrap())
        .collect();
    let mut all = Vec::new();
    for name in &listed {
        all.extend(documents(name, &read(&format!("deploy/kubernetes/{name}"))));
    }
    // No file is left out.
    for entry in std::fs::read_dir(folder).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let other = ["kustomization.yaml", "vend.yaml"].contains(&name.as_str());
        assert!(other || listed.contains(&name.as_str()), "{name} is not in the base");
    }
    let set = of_kind(&all, "StatefulSet");
    is_confined(set, "readyz");
    assert_eq!(set["spec"]["replicas"], json!(1), "a second one only stands by");
    let policy = of_kind(&all, "NetworkPolicy");
    assert_eq!(policy["spec"]["policyTypes"], json!(["Ingress", "Egress"]));
    let scrape = json!({
        "from": [{"namespaceSelector": {}}],
        "ports": [{"protocol": "TCP", "port": "metrics"}],
    });
    assert!(policy["spec"]["ingress"].as_array().unwrap().contains(&scrape), "{policy}");
}

#[test]
fn kustomize_builds_the_base() {
    let build = Command::new("kubectl")
        .args(["kustomize", "deploy/kubernetes"])
        .current_dir(root())
        .output();
    let Ok(build) = build else {
        not_run("kustomize over deploy/kubernetes", "kubectl", "there is no kubectl");
        return;
    };
    let text = String::from_utf8(build.stdout).unwrap();
    let words = String::from_utf8_lossy(&build.stderr).into_owned();
    assert!(build.status.success() && words.is_empty(), "{words}");
    let all = documents("built", &text);
    let set = of_kind(&all, "StatefulSet");
    is_confined(set, "readyz");
    // The pod has the very configuration, by the name that goes with what it holds.
    let map = of_kind(&all, "ConfigMap");
    let name = map["metadata"]["name"].as_str().unwrap();
    assert!(name.len() > "vend-".len(), "{name}");
    let volumes = set["spec"]["template"]["spec"]["volumes"].as_array().unwrap();
    assert!(volumes.iter().any(|volume| volume["configMap"]["name"] == name), "{volumes:?}");
    assert_eq!(map["data"]["vend.yaml"], json!(read("deploy/kubernetes/vend.yaml")));
    // Service, policy and pod are about the same pods.
    let labels = &set["spec"]["template"]["metadata"]["labels"];
    for (kind, selector) in
        [("Service", "/spec/selector"), ("NetworkPolicy", "/spec/podSelector/matchLabels")]
    {
        assert_eq!(of_kind(&all, kind).pointer(selector), Some(labels), "{kind}");
    }
}

#[test]
fn kustomize_builds_several_replicas() {
    let build = Command::new("kubectl")
        .args(["kustomize", "deploy/kubernetes-replicas"])
        .current_dir(root())
        .output();
    let Ok(build) = build else {
        not_run("kustomize over deploy/kubernetes-replicas", "kubectl", "there is no kubectl");
        return;
    };
    let words = String::from_utf8_lossy(&build.stderr).into_owned();
    assert!(build.status.success() && words.is_empty(), "{words}");
    let all = documents("built", &String::from_utf8(build.stdout).unwrap());
    let set = of_kind(&all, "StatefulSet");
    // Who stands by is well, and holds up no update.
    is_confined(set, "healthz");
    assert_eq!(set["spec"]["replicas"], json!(2));
    assert_eq!(set["spec"]["podManagementPolicy"], json!("Parallel"));
    let policy = of_kind(&all, "NetworkPolicy").to_string();
    assert!(["443", "22", "5432", "169.254.0.0/16"].iter().all(|word| policy.contains(word)));
    let labels = &set["spec"]["template"]["metadata"]["labels"];
    let budget = of_kind(&all, "PodDisruptionBudget");
    assert_eq!(budget.pointer("/spec/selector/matchLabels"), Some(labels));
}

#[test]
fn the_configurations_that_come_along_are_read() {
    for path in ["deploy/kubernetes/vend.yaml", "deploy/debian/vend.yaml"] {
        let config = Config::parse(Path::new("/etc/vend/vend.yaml"), read(path).as_bytes())
            .unwrap_or_else(|error| panic!("{path}: {error}"));
        let settings = config.settings;
        // As the unit and the pod have them: nothing else may be written.
        assert_eq!(settings.state_dir, Some(PathBuf::from("/var/lib/vend")), "{path}");
        assert_eq!(settings.socket(), Some(PathBuf::from("/run/vend/vend.sock")), "{path}");
        assert_eq!(settings.server.listen.map(|a| a.port()), Some(9464), "{path}");
        assert_eq!(settings.hands_out(), None, "{path}");
    }
}

#[test]
fn the_container_has_the_archive_s_program_and_is_not_root() {
    let text = read("deploy/container/Dockerfile");
    let lines = |word: &str| -> Vec<&str> {
        text.lines().filter_map(|line| line.strip_prefix(&format!("{word} "))).collect()
    };
    let [from] = lines("FROM")[..] else { panic!("one FROM") };
    let (_, tag) = from.split_once(':').unwrap();
    assert!(tag.contains('.') && tag.ends_with("-slim"), "{tag}: an exact one");
    let [user] = lines("USER")[..] else { panic!("one USER") };
    assert!(user.split(':').all(|id| id.parse::<u32>().is_ok_and(|id| id > 0)), "{user}");
    // Its context is the archive, as `scripts/package` makes it.
    let package = read("scripts/package");
    let copied: Vec<&str> =
        lines("COPY").iter().filter_map(|line| line.split_whitespace().nth(1)).collect();
    assert_eq!(copied, ["bin/vend", "deploy/container/probe"]);
    assert!(package.contains("\"$program\" bin/vend") && package.contains("deploy/container/*"));
    let health = text.lines().find(|line| line.starts_with("HEALTHCHECK")).unwrap();
    assert!(health.ends_with(r#"CMD ["/usr/libexec/vend/probe", "healthz"]"#), "{health}");
    let set = read("deploy/kubernetes/stateful-set.yaml");
    assert!(set.contains(&format!("runAsUser: {}", user.split(':').next().unwrap())));
}

#[test]
fn all_of_deploy_but_what_the_package_is_made_of_is_in_the_archive() {
    let package = read("scripts/package");
    let (_, line) = package.split_once("for file in deploy/container").unwrap();
    let line = line.lines().next().unwrap();
    for entry in std::fs::read_dir(root().join("deploy")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let put = format!("deploy/{name}/*");
        let is_put = format!("deploy/container{line}").contains(&put);
        assert_eq!(is_put, name != "debian", "{name}: {line}");
    }
    // What the pages name is in the package as well.
    let manifest = read("Cargo.toml");
    assert!(manifest.contains(r#"["systemd/vend-once", "usr/sbin/", "755"]"#));
    assert!(package.contains("put 755 systemd/vend-once sbin/vend-once"));
}

/// The probe's exit code for a page.
fn probe(address: &str, page: &str) -> i32 {
    let port = address.rsplit(':').next().unwrap();
    let output = Command::new(root().join("deploy/container/probe"))
        .args([page, port])
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .output()
        .unwrap();
    output.status.code().unwrap()
}

#[test]
fn the_probe_tells_life_from_work_and_from_death() {
    let mut world = World::new();
    world.configure(|c| {
        c["reconcile"] = json!({"interval": "1h"});
        c["server"] = json!({"listen": "127.0.0.1:0"});
    });
    let mut first = Serving::ready(&world);
    let address = first.address();
    eventually("it is ready", || (probe(&address, "readyz") == 0).then_some(()));
    assert_eq!(probe(&address, "healthz"), 0);
    assert_ne!(probe(&address, "nothing"), 0);
    // A second one lives, and stands by.
    let mut second = Serving::start(&world);
    second.logged("standing by");
    let beside = second.address();
    assert_eq!((probe(&beside, "healthz"), probe(&beside, "readyz")), (0, 1));
    second.stop();
    assert_ne!(probe(&beside, "healthz"), 0);
    first.stop();
    world.again_nothing();
}
