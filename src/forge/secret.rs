//! Text that opens something, and that nothing prints.

use std::path::Path;

use super::ForgeError;

/// A token or key. It has no `Display` and no `Serialize`, and its `Debug` says nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Takes it in.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The first and only line of a file, read now.
    ///
    /// # Errors
    /// `Settings`: it cannot be read, or is not one line of text.
    pub fn read_line(file: &Path) -> Result<Self, ForgeError> {
        let text = Self::read(file)?;
        let line = text.0.trim();
        if line.is_empty() || line.chars().any(char::is_control) {
            let text = format!("file `{}`: expected one line with a secret", file.display());
            return Err(ForgeError::Settings { text });
        }
        Ok(Self(line.to_owned()))
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
        Ok(Self(text))
    }

    /// Whether it can stand in a header, as tokens do.
    pub fn is_token(&self) -> bool {
        !self.0.is_empty() && self.0.bytes().all(|b| b.is_ascii_graphic())
    }

    /// The text itself, for whoever must show it to a server.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b74_a_secret_is_not_printed() {
        assert_eq!(format!("{:?}", Some(Secret::new("hunter2"))), "Some(Secret(..))");
    }

    /// Compiles as long as a type lacks all of these: with one of them, two implementations fit.
    trait Lacks<Which> {
        const IT: () = ();
    }
    impl<T> Lacks<()> for T {}
    #[allow(dead_code)]
    struct Displayed;
    impl<T: std::fmt::Display> Lacks<Displayed> for T {}
    #[allow(dead_code)]
    struct Serialised;
    impl<T: serde::Serialize> Lacks<Serialised> for T {}

    #[test]
    fn b109_b74_a_secret_can_be_neither_displayed_nor_serialised() {
        const { <Secret as Lacks<_>>::IT };
    }

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
        assert!(Secret::new("ghs_1").is_token());
        for odd in ["", "a phrase", "é", "a\nb"] {
            assert!(!Secret::new(odd).is_token(), "{odd:?}");
        }
        let missing = Secret::read_line(&folder.path().join("none")).unwrap_err();
        assert!(missing.to_string().contains("none"));
    }
}
