//! What a power cut leaves of the state folder.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};

use agent::journal::{Journal, encode};
use agent::storage::{
    Directory, DirectoryError, Disk, Part, Storage, load_identity, load_journal, save_identity,
    save_journal,
};

/// A folder that keeps over a power cut only what was made to last, and of the rest as much as it
/// likes.
#[derive(Clone, Default)]
struct Flaky(Arc<Mutex<Folder>>);

#[derive(Clone, Default)]
struct Folder {
    files: Vec<File>,
    /// The names as the running system sees them.
    names: BTreeMap<String, usize>,
    /// The names that last.
    lasting: BTreeMap<String, usize>,
    /// Changes of names that may or may not last.
    pending: Vec<BTreeMap<String, usize>>,
    /// After so many further operations everything fails: the power is gone.
    left: Option<usize>,
    /// How many bytes the disk holds.
    room: Option<usize>,
}

#[derive(Clone, Default)]
struct File {
    bytes: Vec<u8>,
    lasting: Vec<u8>,
}

/// What becomes of writes that were not made to last.
#[derive(Clone, Copy, Debug)]
enum Torn {
    Nothing,
    Half,
    All,
}

impl Flaky {
    fn with<T>(&self, act: impl FnOnce(&mut Folder) -> io::Result<T>) -> io::Result<T> {
        let mut folder = self.0.lock().unwrap();
        match &mut folder.left {
            Some(0) => return Err(io::Error::other("the power is gone")),
            Some(left) => *left -= 1,
            None => {}
        }
        act(&mut folder)
    }

    fn cut_after(&self, operations: usize) {
        self.0.lock().unwrap().left = Some(operations);
    }

    /// The folder after the power came back, with the first `names` of the pending changes of names.
    fn after_cut(&self, torn: Torn, names: usize) -> Self {
        let folder = self.0.lock().unwrap();
        let names =
            folder.pending.iter().take(names).next_back().unwrap_or(&folder.lasting).clone();
        let files = folder.files.iter().map(|file| {
            let bytes = match torn {
                Torn::Nothing => file.lasting.clone(),
                Torn::Half if file.bytes == file.lasting => file.lasting.clone(),
                Torn::Half => file.bytes[..file.bytes.len() / 2].to_vec(),
                Torn::All => file.bytes.clone(),
            };
            File { lasting: bytes.clone(), bytes }
        });
        let (files, lasting) = (files.collect(), names.clone());
        let folder = Folder { files, names, lasting, ..Folder::default() };
        Self(Arc::new(Mutex::new(folder)))
    }

    fn pending(&self) -> usize {
        self.0.lock().unwrap().pending.len()
    }
}

impl Folder {
    fn renamed(&mut self) {
        self.pending.push(self.names.clone());
    }

    fn used(&self) -> usize {
        self.names.values().map(|file| self.files[*file].bytes.len()).sum()
    }
}

impl Disk for Flaky {
    fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        self.with(|folder| Ok(folder.names.get(name).map(|file| folder.files[*file].bytes.clone())))
    }

    fn write(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        self.with(|folder| {
            let old = folder.names.get(name).map_or(0, |file| folder.files[*file].bytes.len());
            if folder.room.is_some_and(|room| folder.used() - old + bytes.len() > room) {
                return Err(io::Error::from(io::ErrorKind::StorageFull));
            }
            match folder.names.get(name) {
                Some(file) => folder.files[*file].bytes = bytes.to_vec(),
                None => {
                    folder.files.push(File { bytes: bytes.to_vec(), lasting: Vec::new() });
                    folder.names.insert(name.to_owned(), folder.files.len() - 1);
                    folder.renamed();
                }
            }
            Ok(())
        })
    }

    fn sync(&self, name: &str) -> io::Result<()> {
        self.with(|folder| {
            let file = folder.names[name];
            folder.files[file].lasting = folder.files[file].bytes.clone();
            Ok(())
        })
    }

    fn link(&self, name: &str, second: &str) -> io::Result<()> {
        self.with(|folder| {
            let file = folder.names[name];
            assert!(folder.names.insert(second.to_owned(), file).is_none(), "the name is taken");
            folder.renamed();
            Ok(())
        })
    }

    fn rename(&self, name: &str, new: &str) -> io::Result<()> {
        self.with(|folder| {
            let file = folder.names.remove(name).unwrap();
            folder.names.insert(new.to_owned(), file);
            folder.renamed();
            Ok(())
        })
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.with(|folder| {
            if folder.names.remove(name).is_some() {
                folder.renamed();
            }
            Ok(())
        })
    }

    fn sync_names(&self) -> io::Result<()> {
        self.with(|folder| {
            folder.lasting = folder.names.clone();
            folder.pending.clear();
            Ok(())
        })
    }
}

fn journal(number: i64) -> Journal {
    Journal { seq_reserved: number, ..Journal::default() }
}

fn open(disk: &Flaky) -> Directory {
    Directory::on(Box::new(disk.clone()))
}

#[test]
fn wherever_the_power_goes_the_journal_is_the_old_or_the_new_one() {
    let mut cut = 0;
    loop {
        let disk = Flaky::default();
        let storage = open(&disk);
        save_journal(&storage, &journal(1)).unwrap();
        save_journal(&storage, &journal(2)).unwrap();
        disk.cut_after(cut);
        let stored = save_journal(&storage, &journal(3)).is_ok();
        for torn in [Torn::Nothing, Torn::Half, Torn::All] {
            for names in 0..=disk.pending() {
                let after = open(&disk.after_cut(torn, names));
                let found = load_journal(&after).unwrap().seq_reserved;
                let may_be = if stored { 3..=3 } else { 2..=3 };
                assert!(may_be.contains(&found), "cut {cut}, {torn:?}, {names}: {found}");
                // And it goes on from there.
                save_journal(&after, &journal(found + 1)).unwrap();
                assert_eq!(load_journal(&after).unwrap().seq_reserved, found + 1);
            }
        }
        if stored {
            assert!(cut > 5, "the power was cut often enough");
            return;
        }
        cut += 1;
    }
}

#[test]
fn a_damaged_journal_gives_way_to_the_one_before_and_then_to_none() {
    let disk = Flaky::default();
    let storage = open(&disk);
    save_journal(&storage, &journal(1)).unwrap();
    save_journal(&storage, &journal(2)).unwrap();
    let whole = encode(&journal(2));
    for length in 0..whole.len() {
        disk.write("state", &whole[..length]).unwrap();
        assert_eq!(load_journal(&storage).unwrap().seq_reserved, 1, "prefix {length}");
    }
    disk.write("state.old", b"slipway-journal").unwrap();
    assert_eq!(load_journal(&storage).unwrap(), Journal::default());
}

#[test]
fn the_journal_of_a_newer_version_is_not_begun_anew() {
    let disk = Flaky::default();
    let storage = open(&disk);
    save_journal(&storage, &Journal { schema: 99, ..Journal::default() }).unwrap();
    let refused = load_journal(&storage).unwrap_err().to_string();
    assert!(refused.contains("start the version that wrote it"), "{refused}");
}

#[test]
fn a_full_disk_takes_the_ballast_and_the_journal_is_stored() {
    let disk = Flaky::default();
    let storage = open(&disk);
    save_journal(&storage, &journal(1)).unwrap();
    let used = disk.0.lock().unwrap().used();
    assert!(used > 1024 * 1024, "there is a ballast");
    disk.0.lock().unwrap().room = Some(used + 10);
    for number in 2..20 {
        save_journal(&storage, &journal(number)).unwrap();
        assert_eq!(load_journal(&storage).unwrap().seq_reserved, number);
    }
    disk.0.lock().unwrap().room = Some(0);
    assert!(save_journal(&storage, &journal(20)).is_err());
    assert_eq!(load_journal(&storage).unwrap().seq_reserved, 19, "the last one stays");
}

#[test]
fn a_real_folder_is_its_owners_alone_and_one_agents() {
    use std::os::unix::fs::PermissionsExt as _;

    let parent = tempfile::tempdir().unwrap();
    let path = parent.path().join("deep/state");
    let storage = Directory::open(&path).unwrap();
    save_journal(&storage, &journal(7)).unwrap();
    let identity = agent::identity::Identity {
        device_id: "d".to_owned(),
        token: runtime::secret::Secret::new("token"),
        name: "n".to_owned(),
        fleet: "f".to_owned(),
    };
    save_identity(&storage, &identity).unwrap();
    let mode =
        |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&path), mode(&path.join("identity"))), (0o700, 0o600));
    assert!(matches!(Directory::open(&path), Err(DirectoryError::Locked(_))));

    drop(storage);
    let storage = Directory::open(&path).unwrap();
    assert_eq!(load_journal(&storage).unwrap().seq_reserved, 7);
    assert_eq!(load_identity(&storage).unwrap(), Some(identity));
    assert!(storage.load(Part::Engine).unwrap().is_empty());
}
