//! The folder for compiled filters. What is in it is mapped as code, so it must be a folder that nobody
//! else can write to.

use std::fs;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use crate::ConfigError;

/// The folder to use, made if it isn't there: the one configured, or the first of `/var/cache/weir`,
/// `$XDG_CACHE_HOME/weir` and `$HOME/.cache/weir` that can be. `None` when none of these can: filters are
/// then compiled anew by each agent that starts.
///
/// # Errors
/// A configured folder that can't be used.
pub(crate) fn prepare(configured: Option<PathBuf>) -> Result<Option<PathBuf>, ConfigError> {
    if let Some(path) = configured {
        let usable = usable(&path);
        return usable.map(|()| Some(path)).map_err(|reason| ConfigError::value("cache_dir", reason));
    }
    let folder =
        |variable: &str, below: &str| std::env::var_os(variable).map(|dir| Path::new(&dir).join(below));
    let candidates =
        [Some("/var/cache/weir".into()), folder("XDG_CACHE_HOME", "weir"), folder("HOME", ".cache/weir")];
    Ok(first_usable(candidates.into_iter().flatten()))
}

fn first_usable(candidates: impl Iterator<Item = PathBuf>) -> Option<PathBuf> {
    let mut candidates = candidates.filter(|path| path.is_absolute());
    candidates.find(|path| match usable(path) {
        Ok(()) => true,
        Err(reason) => {
            tracing::debug!(reason, "not used as the cache folder");
            false
        }
    })
}

/// Makes the folder, if need be, and checks that it is ours alone.
fn usable(path: &Path) -> Result<(), String> {
    let told = path.display();
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|error| format!("{told} can't be made: {error}"))?;
    let found = fs::metadata(path).map_err(|error| format!("{told}: {error}"))?;
    if found.uid() != rustix::process::geteuid().as_raw() {
        return Err(format!("{told} belongs to another user (uid {})", found.uid()));
    }
    if found.mode() & 0o077 != 0 {
        return Err(format!(
            "{told} has mode {:o}; only its owner may enter it: chmod 700",
            found.mode() & 0o777
        ));
    }
    rustix::fs::access(path, rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK)
        .map_err(|error| format!("{told} can't be written to: {error}"))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn it_is_made_for_us_alone() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("a/b");
        assert_eq!(prepare(Some(path.clone())).expect("a folder of ours"), Some(path.clone()));
        assert_eq!(fs::metadata(&path).expect("it is there").mode() & 0o777, 0o700);
    }

    #[test]
    fn one_that_others_may_enter_is_refused_or_passed_over() {
        let dir = tempfile::tempdir().expect("a folder");
        let open = dir.path().join("open");
        fs::create_dir(&open).expect("a folder");
        fs::set_permissions(&open, fs::Permissions::from_mode(0o755)).expect("a mode");
        let error = prepare(Some(open.clone())).expect_err("others may enter").to_string();
        assert!(error.contains("cache_dir") && error.contains("755"), "{error}");
        let closed = dir.path().join("closed");
        assert_eq!(first_usable([open.clone(), "relative".into(), closed.clone()].into_iter()), Some(closed));
        assert_eq!(first_usable([open].into_iter()), None);
    }
}
