//! How much memory the agent's pod may use: the limit of its control group, where there is one.

use std::fs;
use std::path::{Path, PathBuf};

/// The control group's memory limit in bytes, the least of all groups around it. `None` without a limit, and where
/// the system doesn't tell.
///
/// Both versions of control groups are read, as `cgroups(7)` describes them. Within a container the group's own path
/// may not exist below the mount, which then is the group itself.
pub(crate) fn limit() -> Option<u64> {
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    least(&groups, Path::new("/sys/fs/cgroup"))
}

fn least(groups: &str, mount: &Path) -> Option<u64> {
    groups.lines().flat_map(|line| files(line, mount)).filter_map(|file| read(&file)).min()
}

/// The files that can hold a limit for one line of `/proc/self/cgroup`, `ID:CONTROLLERS:PATH`.
fn files(line: &str, mount: &Path) -> Vec<PathBuf> {
    let mut parts = line.splitn(3, ':').skip(1);
    let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else { return Vec::new() };
    let (mount, file) = match controllers {
        "" => (mount.to_owned(), "memory.max"),
        _ if controllers.split(',').any(|name| name == "memory") => {
            (mount.join("memory"), "memory.limit_in_bytes")
        }
        _ => return Vec::new(),
    };
    let group = Path::new(path.trim_start_matches('/'));
    group.ancestors().map(|ancestor| mount.join(ancestor).join(file)).collect()
}

/// A limit; `max`, or version 1's largest number of pages, is none.
fn read(file: &Path) -> Option<u64> {
    let bytes: u64 = fs::read_to_string(file).ok()?.trim().parse().ok()?;
    (bytes < 1 << 62).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_limit_of_all_groups_counts() {
        let mount = tempfile::tempdir().expect("a folder");
        let write = |file: &str, text: &str| {
            let path = mount.path().join(file);
            fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            fs::write(path, text).expect("a file");
        };
        assert_eq!(least("0::/pod/app\n", mount.path()), None);
        write("pod/app/memory.max", "max\n");
        assert_eq!(least("0::/pod/app\n", mount.path()), None);
        write("pod/memory.max", "134217728\n");
        assert_eq!(least("0::/pod/app\n", mount.path()), Some(128 << 20));
        write("memory.max", "67108864\n");
        assert_eq!(least("0::/not/mounted/here\n", mount.path()), Some(64 << 20), "the mount is the group");
        write("memory/pod/memory.limit_in_bytes", "33554432\n");
        write("memory/memory.limit_in_bytes", "9223372036854771712\n");
        assert_eq!(least("4:memory:/pod\n", mount.path()), Some(32 << 20));
        assert_eq!(least("4:cpu:/pod\nnonsense\n", mount.path()), None);
    }
}
