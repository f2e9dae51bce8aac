//! What makes a comment ours: a line that nobody else can write.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::Repo;

/// An HTML comment, which Markdown does not show, for what we say of that `kind` on one pull request.
/// It is signed: text that somebody writes without the key never holds it, and the one of another
/// pull request is another.
pub fn marker(key: &[u8; 32], kind: &str, repo: &Repo, number: u64) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("a key of HMAC has any length");
    // Lengths first, so that no two stretches of text run into each other. Case is no difference.
    for part in [kind, &repo.owner.to_lowercase(), &repo.name.to_lowercase()] {
        mac.update(&(part.len() as u64).to_be_bytes());
        mac.update(part.as_bytes());
    }
    mac.update(&number.to_be_bytes());
    let tag = mac.finalize().into_bytes();
    let tag: String = tag[..16].iter().map(|byte| format!("{byte:02x}")).collect();
    let word: String = kind.chars().filter(char::is_ascii_alphanumeric).collect();
    format!("<!-- vend {word} {tag} -->")
}

/// Whether a body holds that marker. Who wrote it is another question: what we have written can be
/// copied, so its author counts too.
pub fn is_ours(key: &[u8; 32], kind: &str, repo: &Repo, number: u64, body: &str) -> bool {
    body.contains(&marker(key, kind, repo, number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f53_a_marker_is_of_one_key_one_kind_and_one_pull_request() {
        let repo = Repo::parse("acme/requests").unwrap();
        let ours = marker(&[7; 32], "plan", &repo, 12);
        assert_eq!(ours.len(), "<!-- vend plan  -->".len() + 32);
        assert_eq!(ours, marker(&[7; 32], "plan", &Repo::parse("Acme/Requests").unwrap(), 12));
        let body = format!("text\n{ours}\n");
        assert!(is_ours(&[7; 32], "plan", &repo, 12, &body));
        assert!(!is_ours(&[8; 32], "plan", &repo, 12, &body));
        assert!(!is_ours(&[7; 32], "other", &repo, 12, &body));
        assert!(!is_ours(&[7; 32], "plan", &repo, 13, &body));
        let moved = Repo::new("acmer", "equests").unwrap();
        assert!(!is_ours(&[7; 32], "plan", &moved, 12, &body));
    }

    #[test]
    fn a_kind_cannot_close_the_comment() {
        let repo = Repo::parse("acme/requests").unwrap();
        let marker = marker(&[7; 32], "--> <b>", &repo, 1);
        assert!(marker.starts_with("<!-- vend b ") && marker.matches("-->").count() == 1);
    }
}
