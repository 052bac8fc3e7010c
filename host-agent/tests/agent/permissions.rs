//! Logs as a node's modes have them, read by an agent with the users that the chart's profiles have.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;

use tempfile::TempDir;

use crate::process::{Agent, folder, logs};
use crate::transport::messages;

/// The chart's `permissions.profile=nonroot`: no capability, group 0 beside its own.
const NONROOT: &[&str] = &["--reuid=65532", "--regid=65532", "--groups=0", "--no-new-privs"];

/// `root-nocaps`, which `selinux` has too.
const ROOT_NOCAPS: &[&str] = &["--groups=0", "--no-new-privs"];

/// Whether this process may start an agent as another user; says so where it may not.
fn may_change_user() -> bool {
    let is_root = rustix::process::geteuid().is_root();
    let others_may =
        |dir: &Path| fs::metadata(dir).is_ok_and(|found| found.permissions().mode() & 0o001 != 0);
    let is_reachable = Path::new(env!("CARGO_BIN_EXE_weir-agent")).ancestors().all(others_may);
    if !is_root {
        eprintln!("skipped: not root, and only root can start an agent as another user");
    } else if !is_reachable {
        eprintln!("skipped: another user can't reach the binary; a directory above it is closed");
    }
    is_root && is_reachable
}

/// The small tree, its directories and files with these modes, root's.
fn tree(top: u32, below: u32, file: u32) -> TempDir {
    let dir = folder();
    crate::logs::small(&logs(&dir));
    let mode = |path: &Path, mode| fs::set_permissions(path, Permissions::from_mode(mode)).expect("a mode");
    for path in walk(&logs(&dir)) {
        mode(&path, if path.is_dir() { below } else { file });
    }
    mode(&logs(&dir), top);
    mode(dir.path(), 0o755);
    dir
}

fn walk(dir: &Path) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(dir).expect("a folder").map(|entry| entry.expect("an entry").path());
    entries
        .flat_map(|path| if path.is_dir() { [walk(&path), vec![path]].concat() } else { vec![path] })
        .collect()
}

/// An agent on `dir` as `profile` has it: started by `setpriv`, without capabilities, with a cache folder of its own.
fn start(dir: TempDir, profile: &[&str]) -> Agent {
    let cache = dir.path().join("cache");
    fs::create_dir(&cache).expect("a folder");
    fs::set_permissions(&cache, Permissions::from_mode(0o700)).expect("a mode");
    if profile == NONROOT {
        chown(&cache, Some(65532), Some(65532)).expect("an owner");
    }
    let wrapper = [&["setpriv", "--bounding-set=-all", "--inh-caps=-all"], profile].concat();
    Agent::start_under(&wrapper, dir, &[], "")
}

#[tokio::test]
async fn each_profile_reads_the_modes_that_it_is_for() {
    if !may_change_user() {
        return;
    }
    let kubelet = (0o750, 0o755, 0o640);
    let hardened = (0o700, 0o700, 0o600);
    for (profile, (top, below, file)) in [(NONROOT, kubelet), (ROOT_NOCAPS, kubelet), (ROOT_NOCAPS, hardened)]
    {
        let agent = start(tree(top, below, file), profile);
        assert_eq!(messages(&mut agent.client().await).await.len(), 4, "{profile:?} {top:o} {file:o}");
        agent.logs(&["every log there is may be read", "files=2"]).await;
    }
}

#[tokio::test]
async fn an_agent_that_may_not_read_says_so_at_its_start_and_what_to_set() {
    if !may_change_user() {
        return;
    }
    for (top, below, file, named) in [
        (0o750, 0o755, 0o600, "0.log (mode 600, owner 0:0)"),
        (0o750, 0o700, 0o600, "2222 (mode 700, owner 0:0)"),
        (0o700, 0o755, 0o640, "logs (mode 700, owner 0:0)"),
    ] {
        let agent = start(tree(top, below, file), NONROOT);
        agent.logs(&["may not read", named, "permissions.profile=root-nocaps"]).await;
    }
}
