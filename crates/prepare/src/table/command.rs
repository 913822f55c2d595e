//! The command that reads a table. Messages name the options of this command.

use ptu_data::columns::Purpose;

/// The command that reads a table. A message names only options that this command has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TableCommand {
    /// `prepare table`.
    #[default]
    Prepare,
    /// `quickstart --table`.
    Quickstart,
    /// `embed`.
    Embed,
    /// A command that predicts with a model, such as `classify`, `ask` and `match`. It has no options for columns.
    Predict,
}

impl TableCommand {
    /// The option of the command that selects the column for a purpose, if there is one.
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

    /// Tells the user how to select a column for a purpose.
    pub(crate) fn how_to_select(self, purpose: Purpose, column: &str) -> String {
        match self.option(purpose) {
            Some(option) => format!("pass `{option} {}`", shell_quoted(column)),
            None => format!("rename it to `{}`", usual_name(purpose)),
        }
    }

    /// The option that skips bad rows, if the command has one.
    pub(crate) fn skip_bad_option(self) -> Option<&'static str> {
        matches!(self, Self::Prepare | Self::Quickstart).then_some("--skip-bad")
    }
}

/// A column name that is recognised for this purpose.
fn usual_name(purpose: Purpose) -> &'static str {
    match purpose {
        Purpose::Label => "label",
        Purpose::AnswerType => "answer_type",
        other => other.name(),
    }
}

/// The name of a column, quoted for a shell where necessary.
fn shell_quoted(column: &str) -> String {
    let plain = |letter: char| letter.is_alphanumeric() || "_-./:".contains(letter);
    match column.chars().all(plain) && !column.is_empty() {
        true => column.into(),
        false => format!("'{}'", column.replace('\'', "'\\''")),
    }
}
