//! All devices of a simulator in one file.
//!
//! Every part is appended as a record; the newest of a device counts. The file is written anew when
//! most of it is old. It outlives the end of the process, however that comes, but is not made to
//! outlive a power cut: simulated devices can be enrolled again.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::fs::{FlockOperation, flock};
use sha2::{Digest, Sha256};

use super::{Part, Storage};

/// Below this size the file is never written anew.
const SMALL: u64 = 8 * 1024 * 1024;
/// No record is as long as this.
const MAX_RECORD: usize = 8 * 1024 * 1024;
/// Length of what follows, and the start of its hash.
const HEAD: usize = 4 + 8;

/// The file of a simulator.
#[derive(Debug)]
pub struct Log {
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    file: File,
    end: u64,
    live: u64,
    places: HashMap<(String, Part), Place>,
}

/// Where the payload of a record lies.
#[derive(Debug, Clone, Copy)]
struct Place {
    offset: u64,
    length: usize,
}

impl Log {
    /// Opens the file, and makes it where there is none. What a crash left half written at its end
    /// is cut off.
    ///
    /// # Errors
    ///
    /// When the file cannot be used, or another simulator uses it.
    pub fn open(path: &Path) -> io::Result<Arc<Self>> {
        let mut file = options().create(true).truncate(false).open(path)?;
        lock(&file, path)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let (places, end) = scan(&bytes);
        file.set_len(end)?;
        let live = places.values().map(Place::bytes).sum();
        let inner = Inner { path: path.to_owned(), file, end, live, places };
        Ok(Arc::new(Self { inner: Mutex::new(inner) }))
    }

    /// The storage of one device.
    #[must_use]
    pub fn slot(self: &Arc<Self>, key: &str) -> LogSlot {
        LogSlot { log: Arc::clone(self), key: key.to_owned() }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The storage of one device of a simulator.
#[derive(Debug, Clone)]
pub struct LogSlot {
    log: Arc<Log>,
    key: String,
}

impl Storage for LogSlot {
    fn load(&self, part: Part) -> io::Result<Vec<Vec<u8>>> {
        let inner = self.log.lock();
        let Some(place) = inner.places.get(&(self.key.clone(), part)) else {
            return Ok(Vec::new());
        };
        Ok(vec![inner.read(*place)?])
    }

    fn save(&self, part: Part, bytes: &[u8]) -> io::Result<()> {
        let mut inner = self.log.lock();
        inner.append(&self.key, part, bytes)?;
        inner.tidy()
    }
}

impl Place {
    fn bytes(&self) -> u64 {
        u64::try_from(self.length).unwrap_or(u64::MAX)
    }
}

impl Inner {
    fn append(&mut self, key: &str, part: Part, payload: &[u8]) -> io::Result<()> {
        let record = record(key, part, payload)?;
        self.file.seek(SeekFrom::Start(self.end))?;
        self.file.write_all(&record)?;
        let length = u64::try_from(record.len()).unwrap_or(u64::MAX);
        let place = Place { offset: self.end + length, length: payload.len() };
        let place = Place { offset: place.offset - place.bytes(), ..place };
        self.end += length;
        self.live += place.bytes();
        if let Some(old) = self.places.insert((key.to_owned(), part), place) {
            self.live -= old.bytes();
        }
        Ok(())
    }

    fn read(&self, place: Place) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; place.length];
        self.file.read_exact_at(&mut bytes, place.offset)?;
        Ok(bytes)
    }

    /// Writes the file anew when most of it is old.
    fn tidy(&mut self) -> io::Result<()> {
        if self.end < SMALL.max(self.live.saturating_mul(4)) {
            return Ok(());
        }
        let path = self.path.with_extension("new");
        let file = options().create(true).truncate(true).open(&path)?;
        lock(&file, &path)?;
        let mut fresh =
            Self { path: self.path.clone(), file, end: 0, live: 0, places: HashMap::new() };
        for ((key, part), place) in &self.places {
            fresh.append(key, *part, &self.read(*place)?)?;
        }
        std::fs::rename(&path, &self.path)?;
        *self = fresh;
        Ok(())
    }
}

fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).mode(0o600);
    options
}

fn lock(file: &File, path: &Path) -> io::Result<()> {
    flock(file, FlockOperation::NonBlockingLockExclusive).map_err(|_| {
        let path = path.display();
        io::Error::new(
            io::ErrorKind::ResourceBusy,
            format!("another simulator uses `{path}`; stop it, or give this one its own file"),
        )
    })
}

fn record(key: &str, part: Part, payload: &[u8]) -> io::Result<Vec<u8>> {
    let too_long = || io::Error::new(io::ErrorKind::InvalidInput, "a record is too long");
    let key_length = u8::try_from(key.len()).map_err(|_| too_long())?;
    let mut body = vec![part_number(part), key_length];
    body.extend_from_slice(key.as_bytes());
    body.extend_from_slice(payload);
    if body.len() > MAX_RECORD {
        return Err(too_long());
    }
    let length = u32::try_from(body.len()).map_err(|_| too_long())?;
    let mut record = length.to_le_bytes().to_vec();
    record.extend_from_slice(&Sha256::digest(&body)[..8]);
    record.extend_from_slice(&body);
    Ok(record)
}

/// Reads records as far as they are whole. Returns where the newest of each lies, and the end.
fn scan(bytes: &[u8]) -> (HashMap<(String, Part), Place>, u64) {
    let mut places = HashMap::new();
    let mut end = 0;
    while let Some((key, part, payload, length)) = read_record(&bytes[end..]) {
        let offset = u64::try_from(end + length - payload).unwrap_or(u64::MAX);
        places.insert((key, part), Place { offset, length: payload });
        end += length;
    }
    (places, u64::try_from(end).unwrap_or(u64::MAX))
}

/// Reads one record: its key, its part, the length of its payload, and its own.
fn read_record(bytes: &[u8]) -> Option<(String, Part, usize, usize)> {
    let length = u32::from_le_bytes(bytes.get(..4)?.try_into().ok()?);
    let length = usize::try_from(length).ok()?;
    let body = bytes.get(HEAD..HEAD.checked_add(length)?)?;
    if Sha256::digest(body)[..8] != bytes[4..HEAD] {
        return None;
    }
    let part = part_of(*body.first()?)?;
    let key_length = usize::from(*body.get(1)?);
    let key = std::str::from_utf8(body.get(2..2 + key_length)?).ok()?;
    Some((key.to_owned(), part, length - 2 - key_length, HEAD + length))
}

fn part_number(part: Part) -> u8 {
    match part {
        Part::Identity => 1,
        Part::Journal => 2,
        Part::Engine => 3,
    }
}

fn part_of(number: u8) -> Option<Part> {
    match number {
        1 => Some(Part::Identity),
        2 => Some(Part::Journal),
        3 => Some(Part::Engine),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_of_each_device_comes_back_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("devices");
        let log = Log::open(&path).unwrap();
        log.slot("a").save(Part::Journal, b"one").unwrap();
        log.slot("b").save(Part::Journal, b"other").unwrap();
        log.slot("a").save(Part::Journal, b"two").unwrap();
        log.slot("a").save(Part::Identity, b"me").unwrap();
        drop(log);

        let log = Log::open(&path).unwrap();
        assert_eq!(log.slot("a").load(Part::Journal).unwrap(), [b"two"]);
        assert_eq!(log.slot("b").load(Part::Journal).unwrap(), [b"other"]);
        assert_eq!(log.slot("a").load(Part::Identity).unwrap(), [b"me"]);
        assert!(log.slot("c").load(Part::Journal).unwrap().is_empty());
    }

    #[test]
    fn every_prefix_gives_what_was_whole_in_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("devices");
        let log = Log::open(&path).unwrap();
        let mut ends = vec![0];
        for number in 0..5_u8 {
            log.slot("a").save(Part::Journal, &[number; 9]).unwrap();
            ends.push(std::fs::metadata(&path).unwrap().len());
        }
        drop(log);
        let bytes = std::fs::read(&path).unwrap();
        for length in 0..=bytes.len() {
            std::fs::write(&path, &bytes[..length]).unwrap();
            let whole = ends.iter().filter(|end| **end <= length as u64).count() - 1;
            let log = Log::open(&path).unwrap();
            let slot = log.slot("a");
            let found = slot.load(Part::Journal).unwrap();
            match whole.checked_sub(1) {
                Some(newest) => assert_eq!(found, [[u8::try_from(newest).unwrap(); 9]]),
                None => assert!(found.is_empty()),
            }
            slot.save(Part::Journal, b"later").unwrap();
            drop((slot, log));
            let log = Log::open(&path).unwrap();
            assert_eq!(log.slot("a").load(Part::Journal).unwrap(), [b"later"]);
        }
    }

    #[test]
    fn a_file_full_of_old_records_is_written_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("devices");
        let log = Log::open(&path).unwrap();
        log.slot("still").save(Part::Journal, b"here").unwrap();
        let large = vec![7; 512 * 1024];
        (0..40).for_each(|_| log.slot("busy").save(Part::Journal, &large).unwrap());
        assert!(std::fs::metadata(&path).unwrap().len() < 2 * SMALL);
        assert_eq!(log.slot("still").load(Part::Journal).unwrap(), [b"here"]);
        assert_eq!(log.slot("busy").load(Part::Journal).unwrap(), [large]);
        log.slot("busy").save(Part::Journal, b"small").unwrap();
        drop(log);
        let log = Log::open(&path).unwrap();
        assert_eq!(log.slot("busy").load(Part::Journal).unwrap(), [b"small"]);
    }

    #[test]
    fn a_second_simulator_is_turned_away() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("devices");
        let _log = Log::open(&path).unwrap();
        let error = Log::open(&path).unwrap_err();
        assert!(error.to_string().contains("another simulator uses"), "{error}");
    }
}
