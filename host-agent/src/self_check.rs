//! Looks, when the agent starts, whether it may read its node's logs, and says what to change where it may not: for
//! whoever installs the agent. What a query can't read, its own answer tells.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};
use rustix::io::Errno;
use weir_query::LogRoot;

use crate::Config;

/// How many of the files that can't be read are named.
const NAMED: usize = 3;

/// Looks at every log below the folder of logs, reads none, and logs what was found in one line.
pub fn self_check(config: &Config) {
    let root = LogRoot::beneath(config.logs_dir.clone(), config.logs_link_dirs.clone());
    let (files, denied) = look(&root);
    if denied.is_empty() {
        tracing::info!(files, "every log there is may be read");
        return;
    }
    let named: Vec<_> = denied.iter().take(NAMED).map(|path| described(path)).collect();
    let label = fs::read_to_string("/proc/self/attr/current").unwrap_or_default();
    let advice = advice(rustix::process::geteuid().is_root(), &label);
    tracing::warn!(files, denied = denied.len(), "may not read {}: {advice}", named.join(", "));
}

/// How many files and closed directories there are, and which of them may not be read.
fn look(root: &LogRoot) -> (usize, Vec<PathBuf>) {
    let paths: Vec<PathBuf> = match root.list() {
        Ok(sets) => {
            let files = sets.iter().flat_map(|set| &set.files);
            files.filter_map(|file| Some(file.input.path()?.to_path_buf())).collect()
        }
        // The root itself is the one that there is.
        Err(_) => vec![root.dir().to_path_buf()],
    };
    let denied =
        |path: &PathBuf| matches!(access(path.as_path(), Access::READ_OK), Err(Errno::ACCESS | Errno::PERM));
    (paths.len(), paths.into_iter().filter(denied).collect())
}

/// A path with its mode and owner, where these can be seen.
fn described(path: &Path) -> String {
    let path_text = path.display();
    match fs::metadata(path) {
        Ok(found) => {
            format!("{path_text} (mode {:o}, owner {}:{})", found.mode() & 0o7777, found.uid(), found.gid())
        }
        Err(_) => path_text.to_string(),
    }
}

/// What to change, from whether the agent is root and what `/proc/self/attr/current` says: an SELinux context,
/// `USER:ROLE:TYPE:LEVEL`, or something else.
fn advice(is_root: bool, label: &str) -> String {
    let selinux_type = label.trim_matches(['\0', '\n']).split(':').nth(2);
    match selinux_type {
        Some(kind) => format!(
            "SELinux runs the agent as {kind}; give it a type that may read logs (the chart's permissions.profile=selinux, \
             with permissions.seLinuxType)"
        ),
        None if is_root => "root without capabilities reads what root owns; make it root's".to_owned(),
        None => "run the agent as root without capabilities (the chart's permissions.profile=root-nocaps), or as a member \
                 of the group that may"
            .to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_to_change_depends_on_what_denies() {
        let confined = "system_u:system_r:container_t:s0:c1,c2\0";
        for (is_root, label, says) in [
            (false, confined, "SELinux runs the agent as container_t"),
            (true, confined, "permissions.profile=selinux"),
            (false, "cri-containerd.apparmor.d (enforce)\n", "permissions.profile=root-nocaps"),
            (false, "", "permissions.profile=root-nocaps"),
            (true, "unconfined\n", "make it root's"),
        ] {
            assert!(advice(is_root, label).contains(says), "{label}: {}", advice(is_root, label));
        }
    }

    #[test]
    fn a_root_that_is_not_there_is_not_denied() {
        assert_eq!(look(&LogRoot::new("/nowhere")), (1, Vec::new()));
    }
}
