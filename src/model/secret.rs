//! Text that opens something, and that nothing prints.

/// A password, token or key. It has no `Display` and no `Serialize`, and its `Debug` says nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Takes it in.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
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
    fn a_token_can_stand_in_a_header() {
        assert!(Secret::new("ghs_1").is_token());
        for odd in ["", "a phrase", "é", "a\nb"] {
            assert!(!Secret::new(odd).is_token(), "{odd:?}");
        }
    }
}
