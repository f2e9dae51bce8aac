//! What can be asked in a comment.

use crate::model::{nearest, visible};

/// Each command: its word, what it takes, what it does, and who may.
const COMMANDS: &[(&str, &str, &str, &str)] = &[
    ("plan", "", "plans again", AUTHOR),
    ("plan", " COMMIT", "looks at the accounts for this commit of a fork", WRITER),
    ("retry", " [REQUEST]", "tries again what failed", WRITER),
    ("approve", " DIGEST", "lets go on what is held: the comment has the line", APPROVER),
    ("explain", " REQUEST", "says where a request stands and why", AUTHOR),
    ("extend", " [REQUEST] LENGTH", "says what gives it a later end", AUTHOR),
    ("help", "", "says what can be asked", "who may read"),
];

const AUTHOR: &str = "the author, or from triage on";
const WRITER: &str = "who may write";
const APPROVER: &str =
    "who may write, or the team that a rule names; never the author, nor who pushed";

/// The answer to `/vend help`, and to what was not understood.
pub fn help(asked: Option<&str>) -> String {
    let width = COMMANDS.iter().map(|(word, takes, ..)| word.len() + takes.len()).max();
    let width = width.unwrap_or_default();
    let list = COMMANDS.iter().map(|(word, takes, does, who)| {
        format!("/vend {:width$}  {does} ({who})", format!("{word}{takes}"))
    });
    let list: Vec<String> = list.collect();
    let Some(asked) = asked else { return list.join("\n") };
    let shown = visible(asked, 60).replace('`', "'");
    let word = asked.split_whitespace().nth(1).unwrap_or_default();
    let known = COMMANDS.iter().map(|(word, ..)| *word);
    match known.clone().find(|known| *known == word).or_else(|| nearest(word, known)) {
        // It is the word, and what follows it is not what it takes.
        Some(known) if known == word => {
            let forms = COMMANDS.iter().filter(|(name, ..)| *name == known);
            let forms: Vec<String> =
                forms.map(|(name, takes, ..)| format!("`/vend {name}{takes}`")).collect();
            format!("I do not understand `{shown}`. It is written {}.", forms.join(" or "))
        }
        Some(known) => format!("I do not know `{shown}`. Did you mean `/vend {known}`?"),
        None => format!("I do not know `{shown}`. This can be asked:\n{}", list.join("\n")),
    }
}
