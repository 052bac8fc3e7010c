//! A cluster that is searched with a kubeconfig: a real API server, real agents as plain processes, and port-forwards
//! that end in kubelet's own code (`tests/kubelet`). scripts/e2e-reach builds what it takes.

mod objects;
mod plane;

use std::fs;

use serde_json::json;

use crate::fleet::Running;
use crate::program::{Outcome, Weir};
use objects::{Node, agent_pod, cron_job, job, namespace, node, owner, service, trust, workload};
use plane::Plane;

/// Everything that the questions are about.
struct Cluster {
    plane: Plane,
    one: Node,
    two: Node,
    idle: Node,
}

impl Cluster {
    /// Two nodes with pods and one without, all with agents; one with pods and no agent, one whose agent isn't ready.
    fn new() -> Cluster {
        let mut plane = Plane::start();
        namespace(&plane, "shop");
        namespace(&plane, "weir");
        trust(&plane);
        let (one, two) = (Node::new(&mut plane, "one"), Node::new(&mut plane, "two"));
        let idle = Node::new(&mut plane, "idle");
        for (kind, name) in [
            ("Deployment", "web"),
            ("Deployment", "web-admin"),
            ("StatefulSet", "db"),
            ("DaemonSet", "logger"),
            ("ReplicaSet", "old"),
            ("Deployment", "empty"),
            ("Deployment", "lost"),
        ] {
            owner(&plane, kind, name);
        }
        service(&plane, "front", Some(&json!({"app": "web"})));
        service(&plane, "outside", None);
        let (import, backup) = (job(&plane, "import", None), cron_job(&plane, "backup"));
        let backup = job(&plane, "backup-1", Some(&backup));
        for (name, node, labels, time) in [
            ("web-1", &one, json!({"app": "web"}), "10:00:01"),
            ("web-2", &two, json!({"app": "web"}), "10:00:02"),
            ("web-admin-1", &two, json!({"app": "web-admin"}), "10:00:03"),
            ("db-0", &one, json!({"app": "db"}), "10:00:04"),
            ("logger-x", &two, json!({"app": "logger"}), "10:00:05"),
            ("old-x", &one, json!({"app": "old"}), "10:00:06"),
            ("import-x", &one, import, "10:00:07"),
            ("backup-1-x", &two, backup, "10:00:08"),
        ] {
            workload(&plane, name, if std::ptr::eq(node, &one) { "one" } else { "two" }, &labels);
            node.log(name, "web", &[(time, &format!("{name} says hello")), (time, &format!("{name} error"))]);
        }
        one.log("web-1", "proxy", &[("10:00:09", "web-1 proxied")]);
        Cluster { plane, one, two, idle }
    }

    fn ask(&self, args: &[&str]) -> Outcome {
        self.ask_as(&self.plane.admin(), args)
    }

    fn ask_as(&self, kubeconfig: &str, args: &[&str]) -> Outcome {
        let (verb, rest) = args.split_first().expect("a verb");
        Weir::new([&[*verb, "--kubeconfig", kubeconfig], rest].concat()).run()
    }

    /// The pods whose lines these are, each once.
    fn pods(&self, args: &[&str]) -> Vec<String> {
        let outcome = self.ask(&[&["logs", "--all", "-e", "hello", "-o", "raw"], args].concat()).exits(0);
        outcome.lines().iter().map(|line| line.split(' ').next().unwrap_or_default().to_owned()).collect()
    }
}

#[test]
#[ignore = "takes etcd, kube-apiserver and a kubelet's code: scripts/e2e-reach"]
fn a_cluster_is_searched_with_a_kubeconfig() {
    let mut cluster = Cluster::new();
    objects_lead_to_pods(&cluster);
    globs_go_to_all_agents(&cluster);
    one_answer_of_several_nodes(&cluster);
    what_is_not_there_is_named(&cluster);
    contexts_and_namespaces(&cluster);
    who_asks(&cluster);
    what_may_not_be_done(&cluster);
    what_shells_complete(&cluster);
    a_follow_takes_up_new_pods(&mut cluster);
    nodes_that_cannot_be_asked(&mut cluster);
}

fn objects_lead_to_pods(cluster: &Cluster) {
    for (source, pods) in [
        ("deployments/web", &["web-1", "web-2"][..]),
        ("deploy/web-admin", &["web-admin-1"]),
        ("deployment.apps/web", &["web-1", "web-2"]),
        ("sts/db", &["db-0"]),
        ("daemonset/logger", &["logger-x"]),
        ("rs/old", &["old-x"]),
        ("job/import", &["import-x"]),
        ("cronjob/backup", &["backup-1-x"]),
        ("svc/front", &["web-1", "web-2"]),
        ("pod/web-2", &["web-2"]),
    ] {
        assert_eq!(cluster.pods(&[source]), pods, "{source}");
    }
    assert_eq!(cluster.pods(&["deploy/web", "sts/db"]), ["web-1", "web-2", "db-0"]);
    assert_eq!(cluster.pods(&["-l", "app in (web,db)"]), ["web-1", "web-2", "db-0"]);
    assert_eq!(cluster.pods(&["-l", "app=web", "-A"]), ["web-1", "web-2"]);
    assert_eq!(cluster.pods(&["deploy/web", "--node", "tw*"]), ["web-2"]);
    assert_eq!(cluster.pods(&["deploy/web", "-n", "shop"]), ["web-1", "web-2"]);
    let proxied = cluster.ask(&["logs", "deploy/web", "-c", "proxy", "--all"]).exits(0);
    assert_eq!(proxied.stdout().trim(), "2026-11-24T10:00:09.000Z shop:web-1/proxy web-1 proxied");
    proxied.says(&["two: "]);
}

fn globs_go_to_all_agents(cluster: &Cluster) {
    assert_eq!(cluster.pods(&["web-*"]), ["web-1", "web-2", "web-admin-1"]);
    assert_eq!(cluster.pods(&["shop:web-1", "-A"]), ["web-1"]);
    assert_eq!(cluster.pods(&[]).len(), 8);
    assert_eq!(cluster.pods(&["-A"]).len(), 8);
    assert_eq!(cluster.pods(&["--node", "one"]).len(), 4);
    assert_eq!(cluster.pods(&["web-*", "sts/db"]), ["web-1", "web-2", "web-admin-1", "db-0"]);
    cluster.ask(&["logs", "nothing-*"]).exits(2).says(&["'shop:nothing-*'"]);
}

fn one_answer_of_several_nodes(cluster: &Cluster) {
    let shown = cluster.ask(&["logs", "deploy/web", "--tail", "3", "-c", "web"]).exits(0);
    let expected = [
        "2026-11-24T10:00:01.000Z shop:web-1/web web-1 error",
        "2026-11-24T10:00:02.000Z shop:web-2/web web-2 says hello",
        "2026-11-24T10:00:02.000Z shop:web-2/web web-2 error",
    ];
    assert_eq!(shown.lines(), expected);
    assert_eq!(cluster.ask(&["logs", "deploy/web", "--count"]).exits(0).stdout().trim(), "5");
    let sources = cluster.ask(&["sources", "deploy/web", "-o", "jsonl"]).exits(0).objects();
    let on: Vec<_> =
        sources.iter().map(|source| (source["pod"].as_str(), source["agent"].as_str())).collect();
    let (one, two) = ((Some("web-1"), Some("one")), (Some("web-2"), Some("two")));
    assert_eq!(on, [one, one, two]);
    let filters = cluster.ask(&["filters", "-o", "jsonl"]).exits(0).objects();
    assert!(filters.iter().all(|filter| filter["agents"] == json!(["idle", "one", "two"])), "{filters:?}");
    let nodes = cluster.ask(&["nodes"]).exits(0);
    let rows: Vec<Vec<&str>> = nodes.lines().iter().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[0], ["NODE", "AGENT", "VERSION", "SOURCES", "OLDEST", "STATE"]);
    assert_eq!(rows[1], ["idle", "weir/agent-idle", "0.1.0", "0", "-", "ready"]);
    assert_eq!(rows[2], ["one", "weir/agent-one", "0.1.0", "5", "2026-11-24T10:00:01.000Z", "ready"]);
}

fn what_is_not_there_is_named(cluster: &Cluster) {
    for (question, words) in [
        (&["deploy/wbe"][..], &["no deployment 'wbe' in namespace shop", "did you mean web"][..]),
        (&["pod/web-3"], &["no pod 'web-3'", "web-1"]),
        (&["deploymnet/web"], &["'deploymnet'", "statefulset (statefulsets, sts)", "cronjob"]),
        (&["configmap/web"], &["'configmap'", "deployment"]),
        (&["deploy/web-*"], &["'web-*'"]),
        (&["deploy/empty"], &["deployment shop/empty has no pods"]),
        (&["svc/outside"], &["service shop/outside has no selector"]),
        (&["-l", "app=nobody"], &["no pod of namespace shop has the labels 'app=nobody'"]),
        (&["-l", "app in web"], &["app in web"]),
        (&["-l", "app=web", "deploy/web"], &["-l"]),
        (&["deploy/web", "-A"], &["deployment/web is in one namespace"]),
        (&["deploy/web", "-n", "nowhere"], &["no deployment 'web' in namespace nowhere", "none at all"]),
        (&["--node", "oen"], &["--node oen", "did you mean one"]),
        (&["deploy/web", "--node", "idle"], &["they run on one, two"]),
        (&["deploy/web", "--agent-namespace", "shop"], &["no agent of Weir runs in namespace shop"]),
        (&["deploy/web", "--context", "tset"], &["no context 'tset'", "did you mean test"]),
        (&["deploy/web", "--dir", "/tmp"], &["--kubeconfig is for a cluster"]),
        (&["deploy/web", "--agent", "http://127.0.0.1:1"], &["--kubeconfig is for a cluster"]),
    ] {
        cluster.ask(&[&["logs"], question].concat()).exits(2).says(words);
    }
    Weir::new(["logs", "deploy/web", "--kubeconfig", "/nowhere"]).run().exits(2).says(&["/nowhere"]);
}

fn contexts_and_namespaces(cluster: &Cluster) {
    // A kind alone asks the cluster of the environment.
    let asked = Weir::new(["logs", "deploy/web", "--count"]).env("KUBECONFIG", cluster.plane.admin()).run();
    assert_eq!(asked.exits(0).stdout().trim(), "5");
    cluster.ask(&["logs", "-n", "weir", "-e", "hello"]).exits(2).says(&["'weir:'"]);
}

fn who_asks(cluster: &Cluster) {
    let plane = &cluster.plane;
    let (cert, key) = plane.sign("admin-by-certificate", "client");
    let certificate = json!({"client-certificate": cert, "client-key": key});
    let question = ["logs", "deploy/web", "--count"];
    let by_certificate = plane.kubeconfig("by-certificate", &certificate);
    cluster.ask_as(&by_certificate, &question).exits(2).says(&[
        "user 'by-certificate'",
        "no bearer token",
        "kubectl create token",
    ]);
    fs::write(plane.path("token"), "admin-token\n").expect("a file");
    let by_file = plane.kubeconfig("by-file", &json!({"tokenFile": plane.path("token")}));
    assert_eq!(cluster.ask_as(&by_file, &question).exits(0).stdout().trim(), "5");
    // A plugin is run once, for the API server and all agents.
    let credential = json!({"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential",
        "status": {"token": "admin-token"}});
    let script = format!("echo run >>'{}'; echo '{credential}'", plane.path("runs"));
    let plugin = json!({"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "sh",
        "args": ["-c", script], "interactiveMode": "Never"}});
    let by_plugin = plane.kubeconfig("by-plugin", &plugin);
    assert_eq!(cluster.ask_as(&by_plugin, &question).exits(0).stdout().trim(), "5");
    assert_eq!(fs::read_to_string(plane.path("runs")).expect("the plugin ran"), "run\n");
    let broken = json!({"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "no-such-plugin",
        "interactiveMode": "Never"}});
    let broken = plane.kubeconfig("broken", &broken);
    cluster.ask_as(&broken, &question).exits(3).says(&["user 'broken'", "No such file"]);
}

fn what_may_not_be_done(cluster: &Cluster) {
    let plane = &cluster.plane;
    let dev = plane.kubeconfig("dev", &json!({"token": "dev-token"}));
    let question = ["logs", "deploy/web", "--count"];
    cluster.ask_as(&dev, &question).exits(2).says(&["deployment shop/web", "forbidden"]);
    grant(plane, "shop", "apps", "deployments", &["get"]);
    grant(plane, "shop", "", "pods", &["list"]);
    cluster.ask_as(&dev, &question).exits(2).says(&["look for agents", "forbidden", "--agent-namespace"]);
    grant(plane, "weir", "", "pods", &["list"]);
    cluster.ask_as(&dev, &question).exits(2).says(&["ConfigMap weir/weir-ca", "forbidden", "--tls-ca"]);
    grant(plane, "weir", "", "configmaps", &["get"]);
    cluster.ask_as(&dev, &question).exits(3).says(&["pods/portforward in namespace weir", "forbidden"]);
    grant(plane, "weir", "", "pods/portforward", &["get", "create"]);
    assert_eq!(cluster.ask_as(&dev, &question).exits(0).stdout().trim(), "5");
    cluster.ask_as(&dev, &["logs", "web-*", "--count"]).exits(0).says(&["you may not list nodes"]);
    let follow = Running::start(&["--kubeconfig".to_owned(), dev], &["-f", "deploy/web"]);
    follow.wait_for_word("can't watch the pods of namespace shop: pods is forbidden");
    let nobody = plane.kubeconfig("nobody", &json!({"token": "wrong"}));
    cluster.ask_as(&nobody, &question).exits(2).says(&["log in"]);
}

/// Allows the user `dev` something, and waits until it is.
fn grant(plane: &Plane, namespace: &str, group: &str, resource: &str, verbs: &[&str]) {
    let api = format!("/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}");
    let (version, rbac) = ("rbac.authorization.k8s.io/v1", "rbac.authorization.k8s.io");
    let metadata = json!({"generateName": "dev-"});
    let rule = json!({"apiGroups": [group], "resources": [resource], "verbs": verbs});
    let role = json!({"apiVersion": version, "kind": "Role", "metadata": metadata, "rules": [rule]});
    let role = plane.create(&format!("{api}/roles"), &role);
    let binding = json!({"apiVersion": version, "kind": "RoleBinding", "metadata": metadata,
        "roleRef": {"apiGroup": rbac, "kind": "Role", "name": role["metadata"]["name"]},
        "subjects": [{"apiGroup": rbac, "kind": "User", "name": "dev"}]});
    plane.create(&format!("{api}/rolebindings"), &binding);
    let (resource, sub) = resource.split_once('/').unwrap_or((resource, ""));
    let review = json!({"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": {
        "user": "dev", "resourceAttributes": {"namespace": namespace, "verb": verbs[0], "group": group,
            "resource": resource, "subresource": sub}}});
    plane.wait_for("a role that counts", || {
        let answer = plane.create("/apis/authorization.k8s.io/v1/subjectaccessreviews", &review);
        answer["status"]["allowed"] == true
    });
}

fn what_shells_complete(cluster: &Cluster) {
    let complete = |words: &[&str]| {
        let index = (words.len() - 1).to_string();
        let outcome = Weir::new(["--"].iter().chain(words))
            .env("COMPLETE", "bash")
            .env("_CLAP_COMPLETE_INDEX", &index)
            .env("_CLAP_IFS", "\n")
            .env("KUBECONFIG", cluster.plane.admin())
            .run();
        outcome.exits(0).stdout().to_owned()
    };
    assert!(complete(&["weir", "logs", "depl"]).contains("deployment/"));
    assert_eq!(complete(&["weir", "logs", "-n", "shop", "deploy/web-"]).trim(), "deploy/web-admin");
    assert_eq!(complete(&["weir", "logs", "-n", "sh"]).trim(), "shop");
    assert_eq!(complete(&["weir", "nodes", "--context", ""]).trim(), "test");
    assert_eq!(complete(&["weir", "nodes", "--node", "id"]).trim(), "idle");
}

fn a_follow_takes_up_new_pods(cluster: &mut Cluster) {
    let kubeconfig = ["--kubeconfig".to_owned(), cluster.plane.admin()];
    let follow = Running::start(&kubeconfig, &["-f", "deploy/web", "--tail", "1", "-o", "raw"]);
    follow.wait_for("web-1 proxied");
    // On a node that is asked already, and on one that wasn't.
    for (name, node) in [("web-4", &cluster.two), ("web-5", &cluster.idle)] {
        node.log(name, "web", &[("11:00:00", &format!("{name} has come"))]);
        workload(&cluster.plane, name, if name == "web-4" { "two" } else { "idle" }, &json!({"app": "web"}));
        follow.wait_for(&format!("{name} has come"));
    }
    // Kubelet makes the log's folder when the pod has been on the node for a while.
    workload(&cluster.plane, "web-6", "idle", &json!({"app": "web"}));
    cluster.idle.log("web-6", "web", &[("11:00:00", "web-6 has come")]);
    follow.wait_for("web-6 has come");
    cluster.two.log("web-admin-2", "web", &[("11:00:01", "of another deployment")]);
    workload(&cluster.plane, "web-admin-2", "two", &json!({"app": "web-admin"}));
    // An agent's pod is replaced by one of another name.
    cluster.plane.delete("/api/v1/namespaces/weir/pods/agent-two");
    drop(cluster.two.agent.take());
    follow.wait_for_word("two: ");
    cluster.two.append("web-4", "11:00:02", "web-4 goes on");
    cluster.two.start(&mut cluster.plane, "agent-two-b");
    follow.wait_for("web-4 goes on");
}

fn nodes_that_cannot_be_asked(cluster: &mut Cluster) {
    let plane = &cluster.plane;
    node(plane, "bare");
    node(plane, "broken");
    agent_pod(plane, "agent-broken", "broken", false);
    workload(plane, "lost-1", "bare", &json!({"app": "lost"}));
    workload(plane, "lost-2", "broken", &json!({"app": "lost"}));
    workload(plane, "lost-3", "one", &json!({"app": "lost"}));
    workload(plane, "lost-4", "", &json!({"app": "lost"}));
    cluster.one.log("lost-3", "web", &[("12:00:00", "lost-3 found")]);
    let outcome = cluster.ask(&["logs", "deploy/lost", "-o", "raw", "--all"]).exits(3);
    assert_eq!(outcome.stdout().trim(), "lost-3 found");
    outcome.says(&[
        "bare: can't connect to the agent on bare: no agent of Weir runs on that node",
        "broken: can't connect to the agent on broken: its pod weir/agent-broken: it isn't ready (Pending, ImagePullBackOff)",
        "pod shop/lost-4 is on no node yet",
    ]);
    // Where agents are asked for all they have, none is left out in silence.
    cluster.ask(&["logs", "lost-*", "--all"]).exits(3).says(&["bare: ", "broken: "]);
    let nodes = cluster.ask(&["nodes"]).exits(3);
    let row =
        |name: &str| nodes.lines().iter().find(|line| line.starts_with(name)).map(|line| (*line).to_owned());
    assert!(row("bare").is_some_and(|row| row.ends_with("no agent")), "{}", nodes.stdout());
    assert!(row("broken").is_some_and(|row| row.contains("ImagePullBackOff")), "{}", nodes.stdout());
    // Nobody listens where the pod's port is led to.
    cluster.plane.lead("weir/agent-idle", "127.0.0.1:1");
    cluster.ask(&["logs", "pod/web-5"]).exits(3).says(&["the agent on idle", "connection refused"]);
}
