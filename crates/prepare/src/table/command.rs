//! The command that reads a table, for messages.

use ptu_data::columns::Purpose;

/// The command that reads a table: a message names only options that it has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TableCommand {
    /// `prepare table`.
    #[default]
    Prepare,
    /// `quickstart --table`.
    Quickstart,
    /// `embed`.
    Embed,
}

impl TableCommand {
    /// The option that names the column of a purpose.
    pub fn option(self, purpose: Purpose) -> Option<&'static str> {
        match (self, purpose) {
            (Self::Prepare | Self::Quickstart, Purpose::Image) => Some("--image"),
            (Self::Prepare | Self::Quickstart, Purpose::Text) => Some("--text"),
            (Self::Prepare | Self::Quickstart, Purpose::Patient) => Some("--patient"),
            (Self::Prepare, Purpose::Id) => Some("--id"),
            (Self::Prepare, Purpose::Split) => Some("--split"),
            (Self::Prepare, Purpose::Label) => Some("--label"),
            (Self::Prepare | Self::Embed, Purpose::Field) => Some("--field"),
            _ => None,
        }
    }

    /// What to do so that a column is taken for a purpose.
    pub(crate) fn take(self, purpose: Purpose, column: &str) -> String {
        match self.option(purpose) {
            Some(option) => format!("pass `{option} {}`", quoted(column)),
            None => format!("rename it `{}`", usual(purpose)),
        }
    }

    /// The option that leaves bad rows out.
    pub(crate) fn skip_bad(self) -> Option<&'static str> {
        (self != Self::Embed).then_some("--skip-bad")
    }
}

/// The name by which a column of a purpose is found.
fn usual(purpose: Purpose) -> &'static str {
    match purpose {
        Purpose::Label => "label",
        Purpose::AnswerType => "answer_type",
        other => other.name(),
    }
}

/// As a shell takes it.
fn quoted(column: &str) -> String {
    let plain = |letter: char| letter.is_alphanumeric() || "_-./:".contains(letter);
    match column.chars().all(plain) && !column.is_empty() {
        true => column.into(),
        false => format!("'{}'", column.replace('\'', "'\\''")),
    }
}
