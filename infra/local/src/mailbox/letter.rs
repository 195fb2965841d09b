//! A mail on its way into the folder.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use uuid::Uuid;

/// A mail as its envelope and text come in.
#[derive(Debug, Default)]
pub(super) struct Letter {
    pub(super) from: String,
    pub(super) to: Vec<String>,
    pub(super) text: Vec<u8>,
}

impl Letter {
    /// Puts it into `folder` under a name that sorts by time: written under another name first, so that whoever
    /// watches the folder for `.eml` files never sees half a mail. The envelope stands before the mail's own headers,
    /// since blind copies are found nowhere else.
    pub(super) fn put(&self, folder: &Path, now: Timestamp) -> io::Result<PathBuf> {
        let stem = format!(
            "{}-{}-{}",
            now.strftime("%Y%m%dT%H%M%S%.3fZ"),
            self.first_recipient(),
            Uuid::now_v7().simple()
        );
        let mut text =
            format!("Return-Path: <{}>\r\nX-Envelope-To: {}\r\n", self.from, self.to.join(", ")).into_bytes();
        text.extend_from_slice(&self.text);
        let (new, file) = (folder.join(format!(".{stem}.new")), folder.join(format!("{stem}.eml")));
        fs::write(&new, text)?;
        fs::rename(&new, &file)?;
        Ok(file)
    }

    /// As much of the first address as a file's name can safely carry.
    fn first_recipient(&self) -> String {
        let safe = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '@' | '.' | '-' | '_' | '+');
        self.to.first().map(String::as_str).unwrap_or("nobody").chars().filter(safe).take(64).collect()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;

    #[test]
    fn no_address_leads_out_of_the_folder() {
        let dir = tempfile::tempdir().unwrap();
        for to in ["a@b.example", "../../etc/passwd", "a/b\\c@d", "\u{202e}x", "", &"l".repeat(500)] {
            let letter = Letter {
                from: "x@y".into(),
                to: vec![to.to_owned()],
                text: b"Subject: s\r\n\r\nt\r\n".to_vec(),
            };
            let file = letter.put(dir.path(), Timestamp::UNIX_EPOCH).unwrap();
            assert_eq!(file.parent(), Some(dir.path()), "{to}");
            assert!(file.exists() && file.to_str().unwrap().ends_with(".eml"), "{to}");
        }
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 6);
    }
}
