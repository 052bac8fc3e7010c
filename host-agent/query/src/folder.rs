//! The folder of filters: what is in each of its files, which of them queries can name, and why the others are refused.
//!
//! It is looked at when its owner says so; it has no clock. A look reads files that have changed and nothing else.
//! Queries keep the filters that they began with.
//!
//! - A file is one that ends in `.wasm` and whose name doesn't begin with a dot; it is called by the name that the filter
//!   in it has.
//! - New content that is refused leaves the version from before in use. With a file goes its filter.
//! - Where components need a signature, that of `NAME.wasm` is in `NAME.wasm.sig`.
//! - A name belongs to the file that had it first; of several that are new, to the first in the order of their names. Files
//!   may swap names. The names of filters that ship with Weir are never to be had.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};

use weir_sandbox::{Filter, KnownComponent, LoadError, Sandbox, SandboxLimits};
use weir_trust::Trust;

use crate::Cancel;
use crate::folder_file::{Fingerprint, Found, names, read, read_signature};
use crate::gate::{self, GateError};

/// Bytes of a refusal that are told.
const REASON_BYTES: usize = 500;

/// Where filters are, besides those that ship with Weir.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FolderConfig {
    /// The folder.
    pub path: PathBuf,
    /// Bounds of it.
    pub limits: FolderLimits,
}

/// Named bounds of a folder of filters. The size of a file is bounded by
/// [`SandboxLimits::component_bytes`](weir_sandbox::SandboxLimits::component_bytes).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FolderLimits {
    /// Files that are read (default 32); more are refused. Each filter stays loaded, which takes some 100 KiB besides its
    /// code.
    pub files: usize,
}

impl Default for FolderLimits {
    fn default() -> FolderLimits {
        FolderLimits { files: 32 }
    }
}

/// What is known of one file of the folder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FolderFile {
    /// Its name, without the folder's.
    pub file: String,
    /// Name of its filter that queries can use; with a problem, that is the version from before.
    pub filter: Option<String>,
    /// Digest of its content, `sha256:` and hex; empty where it wasn't read.
    pub digest: String,
    /// Bytes of its content.
    pub size: u64,
    /// Why its content is refused.
    pub problem: Option<String>,
}

/// What a look has found to be otherwise than before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FolderChange {
    /// A file is new, or has other content, or is judged otherwise.
    File(FolderFile),
    /// A file is gone, with what was known of it.
    Removed(FolderFile),
}

/// A folder, and what the last look has found there.
#[derive(Debug)]
pub(crate) struct Folder {
    config: FolderConfig,
    /// Held for as long as a look lasts.
    entries: Mutex<BTreeMap<String, Entry>>,
    found: RwLock<Listing>,
}

/// What queries and listings see: replaced as a whole.
#[derive(Debug, Default)]
struct Listing {
    filters: BTreeMap<String, Named>,
    files: Vec<FolderFile>,
}

/// A filter that queries can name.
#[derive(Clone, Debug)]
pub(crate) struct Named {
    pub(crate) filter: Filter,
    /// Its file.
    pub(crate) file: String,
}

/// One file, between two looks.
#[derive(Debug)]
struct Entry {
    /// Of what was read. `None`: it is to be read again, whether or not it has changed.
    seen: Option<Fingerprint>,
    digest: String,
    size: u64,
    /// Content of its signature file.
    signature: Option<Vec<u8>>,
    /// What the content is, or why it is refused.
    content: Result<Filter, String>,
    /// What queries get.
    active: Option<Filter>,
    /// The same content would be judged the same.
    is_final: bool,
    /// Whose name it has: why the content isn't what queries get.
    clash: Option<String>,
}

impl Folder {
    pub(crate) fn new(config: FolderConfig) -> Folder {
        Folder { config, entries: Mutex::default(), found: RwLock::default() }
    }

    /// The filter of that name.
    pub(crate) fn get(&self, name: &str) -> Option<Named> {
        self.found.read().unwrap_or_else(PoisonError::into_inner).filters.get(name).cloned()
    }

    /// The filters that queries can name, by name.
    pub(crate) fn filters(&self) -> Vec<Named> {
        self.found.read().unwrap_or_else(PoisonError::into_inner).filters.values().cloned().collect()
    }

    /// All files, by name.
    pub(crate) fn files(&self) -> Vec<FolderFile> {
        self.found.read().unwrap_or_else(PoisonError::into_inner).files.clone()
    }

    /// Looks at the folder, reads what has changed and compiles it, until `cancel` is set. `is_reserved` says which names
    /// are not to be had. Gives what is otherwise than before.
    ///
    /// # Errors
    /// The folder can't be read: then everything stays as it was.
    pub(crate) fn look(
        &self,
        load: &Loader<'_>,
        is_reserved: &dyn Fn(&str) -> bool,
    ) -> io::Result<Vec<FolderChange>> {
        let mut entries = self.entries();
        let listed = names(&self.config.path)?;
        let before = self.files();
        entries.retain(|name, _| listed.contains(name));
        for name in &listed {
            if load.cancel.is_cancelled() {
                return Ok(Vec::new());
            }
            let has_room = entries.contains_key(name) || entries.len() < self.config.limits.files;
            if has_room {
                look_at(&self.config.path, name, &mut entries, load);
            }
        }
        assign(&mut entries, is_reserved);
        let files = listed.iter().map(|name| match entries.get(name) {
            Some(entry) => entry.told(name),
            None => surplus(name, self.config.limits.files),
        });
        let files: Vec<FolderFile> = files.collect();
        let filters = entries.iter().filter_map(|(file, entry)| {
            let filter = entry.active.clone()?;
            Some((filter.description().name.clone(), Named { filter, file: file.clone() }))
        });
        let changes = changes(&before, &files);
        *self.found.write().unwrap_or_else(PoisonError::into_inner) =
            Listing { filters: filters.collect(), files };
        Ok(changes)
    }

    /// The entries are whole between any two statements.
    fn entries(&self) -> MutexGuard<'_, BTreeMap<String, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why a file's content is no filter that queries can have.
#[derive(Debug, thiserror::Error)]
enum Problem {
    #[error(transparent)]
    Gate(#[from] GateError),
    #[error(transparent)]
    Load(#[from] LoadError),
}

/// What makes a filter of a file's content.
pub(crate) struct Loader<'a> {
    pub(crate) sandbox: &'a Sandbox,
    pub(crate) limits: &'a SandboxLimits,
    pub(crate) trust: &'a Trust,
    pub(crate) cancel: &'a Cancel,
}

impl Loader<'_> {
    /// Admits a component, then compiles it.
    fn load(&self, component: &[u8], signature: Option<&[u8]>) -> Result<Filter, Problem> {
        let admitted = gate::pass(component, signature, self.limits, self.trust)?;
        let known = KnownComponent {
            digest: &admitted.digest,
            size: component.len(),
            owner: "",
            bytes: &|| component.into(),
        };
        Ok(self.sandbox.load_known_while(known, &|| !self.cancel.is_cancelled())?)
    }

    /// The content of a file's signature file, where the rule asks for one.
    fn signature(&self, dir: &Path, file: &str) -> Result<Option<Vec<u8>>, String> {
        match self.trust.asks_for_signatures() {
            true => read_signature(dir, file),
            false => Ok(None),
        }
    }
}

/// Reads a file if it has changed since the last look.
fn look_at(dir: &Path, name: &str, entries: &mut BTreeMap<String, Entry>, load: &Loader<'_>) {
    let found = load.signature(dir, name).and_then(|signature| {
        let known = entries.get(name).filter(|entry| entry.signature == signature);
        let limit = ("component_bytes", load.limits.component_bytes);
        let found = read(dir, name, limit, known.and_then(|entry| entry.seen))?;
        Ok((found, signature))
    });
    let (content, signature) = match found {
        Ok((Found::Unchanged, _)) => return,
        Ok((Found::Gone, _)) => {
            entries.remove(name);
            return;
        }
        Ok((Found::Content(content), signature)) => (content, signature),
        Err(problem) => {
            let entry = Entry {
                seen: None,
                digest: String::new(),
                size: 0,
                signature: None,
                content: Err(problem),
                active: entries.remove(name).and_then(|entry| entry.active),
                is_final: false,
                clash: None,
            };
            entries.insert(name.to_owned(), entry);
            return;
        }
    };
    let digest = weir_sandbox::digest(&content.bytes);
    let is_judged =
        |entry: &&mut Entry| entry.is_final && entry.digest == digest && entry.signature == signature;
    if let Some(entry) = entries.get_mut(name).filter(is_judged) {
        entry.seen = content.settled;
        return;
    }
    let loaded = load.load(&content.bytes, signature.as_deref());
    // What isn't the component's fault may be otherwise the next time.
    let is_final = !matches!(
        loaded,
        Err(Problem::Load(LoadError::Busy { .. } | LoadError::Engine { .. } | LoadError::Unwanted { .. }))
    );
    let entry = Entry {
        seen: content.settled.filter(|_| is_final),
        digest,
        size: content.bytes.len() as u64,
        signature,
        content: loaded.map_err(|error| cut(error.to_string())),
        active: entries.remove(name).and_then(|entry| entry.active),
        is_final,
        clash: None,
    };
    entries.insert(name.to_owned(), entry);
}

/// Decides which file has which name.
fn assign(entries: &mut BTreeMap<String, Entry>, is_reserved: &dyn Fn(&str) -> bool) {
    // The same name as before: the newer version is used from now on.
    for entry in entries.values_mut() {
        let Ok(content) = &entry.content else { continue };
        if entry.active.as_ref().is_some_and(|active| name_of(active) == name_of(content)) {
            entry.active = Some(content.clone());
        }
    }
    // The others take new names all at once, so that two may swap theirs. Each that can't stays where it is, which may
    // be in the way of more.
    let mut movers: BTreeMap<String, String> = BTreeMap::new();
    for (file, entry) in entries.iter() {
        let Ok(content) = &entry.content else { continue };
        if entry.active.as_ref().is_none_or(|active| name_of(active) != name_of(content)) {
            movers.insert(file.clone(), name_of(content).to_owned());
        }
    }
    while let Some(file) = movers.keys().find(|file| is_hindered(entries, &movers, file, is_reserved)) {
        let file = file.clone();
        movers.remove(&file);
    }
    for file in movers.keys() {
        let entry = entries.get_mut(file).expect("movers are entries");
        entry.active = entry.content.as_ref().ok().cloned();
    }
    let clashes: Vec<(String, Option<String>)> =
        entries.keys().map(|file| (file.clone(), clash(entries, file, is_reserved))).collect();
    for (file, clash) in clashes {
        entries.get_mut(&file).expect("none was removed").clash = clash;
    }
}

/// Whether one of the movers, files with the names that they want, can't have its name: it is reserved, a file has it that
/// keeps it, or a mover before it wants it too.
fn is_hindered(
    entries: &BTreeMap<String, Entry>,
    movers: &BTreeMap<String, String>,
    file: &str,
    is_reserved: &dyn Fn(&str) -> bool,
) -> bool {
    let name = &movers[file];
    let keeps = |(other, entry): (&String, &Entry)| !movers.contains_key(other) && entry.holds(name);
    let comes_first = |(other, wanted): (&String, &String)| other.as_str() < file && wanted == name;
    is_reserved(name) || entries.iter().any(keeps) || movers.iter().any(comes_first)
}

/// Why a file doesn't have the name of its content; `None` when it has it, or has no content.
fn clash(
    entries: &BTreeMap<String, Entry>,
    file: &str,
    is_reserved: &dyn Fn(&str) -> bool,
) -> Option<String> {
    let entry = &entries[file];
    let name = name_of(entry.content.as_ref().ok()?);
    if entry.holds(name) {
        return None;
    }
    if is_reserved(name) {
        return Some(format!(
            "its name, '{name}', is that of a filter that ships with Weir; give it another"
        ));
    }
    let holder = entries.iter().find(|(_, entry)| entry.holds(name));
    holder.map(|(holder, _)| format!("its name, '{name}', is that of {holder} already; give it another"))
}

fn name_of(filter: &Filter) -> &str {
    &filter.description().name
}

impl Entry {
    /// Whether queries get it by that name.
    fn holds(&self, name: &str) -> bool {
        self.active.as_ref().is_some_and(|active| name_of(active) == name)
    }

    fn told(&self, file: &str) -> FolderFile {
        FolderFile {
            file: file.to_owned(),
            filter: self.active.as_ref().map(|active| name_of(active).to_owned()),
            digest: self.digest.clone(),
            size: self.size,
            problem: self.content.as_ref().err().or(self.clash.as_ref()).cloned(),
        }
    }
}

/// The beginning of a reason: parts of it may be the component's own words.
fn cut(mut reason: String) -> String {
    if reason.len() > REASON_BYTES {
        reason.truncate(reason.floor_char_boundary(REASON_BYTES));
        reason.push('…');
    }
    reason
}

fn surplus(name: &str, most: usize) -> FolderFile {
    let problem = format!("it is one of more than {most} files (limit max_folder_files), and wasn't read");
    FolderFile { file: name.to_owned(), problem: Some(problem), ..FolderFile::default() }
}

fn changes(before: &[FolderFile], after: &[FolderFile]) -> Vec<FolderChange> {
    let of = |files: &'_ [FolderFile], name: &str| files.iter().find(|file| file.file == name).cloned();
    let gone = before.iter().filter(|file| of(after, &file.file).is_none());
    let new = after.iter().filter(|file| of(before, &file.file).as_ref() != Some(*file));
    gone.cloned().map(FolderChange::Removed).chain(new.cloned().map(FolderChange::File)).collect()
}
