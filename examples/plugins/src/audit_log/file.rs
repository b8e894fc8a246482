//! A file that is put aside when it is full.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::PathBuf;

/// Lines in `audit.jsonl`, and in `audit.1.jsonl` and so on what was written before.
#[derive(Debug)]
pub(super) struct Rotating {
    folder: PathBuf,
    file: File,
    bytes: u64,
    file_bytes: u64,
    files: u32,
}

impl Rotating {
    pub(super) fn open(folder: PathBuf, file_bytes: u64, files: u32) -> io::Result<Self> {
        fs::create_dir_all(&folder)?;
        let file = append_to(folder.join(name(0)))?;
        let bytes = file.metadata()?.len();
        Ok(Self {
            folder,
            file,
            bytes,
            file_bytes,
            files,
        })
    }

    /// Appends a line with one write, so that no reader sees half of it.
    pub(super) fn append(&mut self, line: &str) -> io::Result<()> {
        let line = format!("{line}\n");
        let bytes = u64::try_from(line.len()).unwrap_or(u64::MAX);
        if self.bytes > 0 && self.bytes.saturating_add(bytes) > self.file_bytes {
            self.rotate()?;
        }
        self.file.write_all(line.as_bytes())?;
        self.bytes = self.bytes.saturating_add(bytes);
        Ok(())
    }

    fn rotate(&mut self) -> io::Result<()> {
        for number in (0..self.files).rev() {
            let (from, to) = (name(number), name(number + 1));
            match fs::rename(self.folder.join(from), self.folder.join(to)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        if self.files == 0 {
            fs::remove_file(self.folder.join(name(0)))?;
        }
        self.file = append_to(self.folder.join(name(0)))?;
        self.bytes = 0;
        Ok(())
    }
}

fn append_to(path: PathBuf) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

fn name(number: u32) -> String {
    match number {
        0 => "audit.jsonl".to_owned(),
        number => format!("audit.{number}.jsonl"),
    }
}
