//! Secrets in files.

use std::path::Path;

use super::ForgeError;
use crate::model::Secret;

impl Secret {
    /// The first and only line of a file, read now.
    ///
    /// # Errors
    /// `Settings`: it cannot be read, or is not one line of text.
    pub fn read_line(file: &Path) -> Result<Self, ForgeError> {
        let text = Self::read(file)?;
        let line = text.expose().trim();
        if line.is_empty() || line.chars().any(char::is_control) {
            let text = format!("file `{}`: expected one line with a secret", file.display());
            return Err(ForgeError::Settings { text });
        }
        Ok(Self::new(line))
    }

    /// All of a file, read now.
    ///
    /// # Errors
    /// `Settings`: it cannot be read.
    pub fn read(file: &Path) -> Result<Self, ForgeError> {
        let text = std::fs::read_to_string(file).map_err(|error| {
            let text = format!("cannot read the file `{}`: {error}", file.display());
            ForgeError::Settings { text }
        })?;
        Ok(Self::new(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_holds_one_line() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        for (bytes, expected) in [
            ("abc\n", Some("abc")),
            ("  abc\r\n", Some("abc")),
            ("", None),
            ("a\nb", None),
            ("a phrase\n", Some("a phrase")),
            ("a\u{1b}[2J", None),
        ] {
            std::fs::write(&file, bytes).unwrap();
            let read = Secret::read_line(&file).ok();
            assert_eq!(read.as_ref().map(Secret::expose), expected, "{bytes:?}");
        }
        let missing = Secret::read_line(&folder.path().join("none")).unwrap_err();
        assert!(missing.to_string().contains("none"));
    }
}
