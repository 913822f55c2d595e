/// Which columns of a table are kept beside its records
#[derive(clap::Args, Clone, Debug)]
pub struct Fields {
    /// Keep this column as a field; may be given several times (default: all columns without another use)
    #[arg(long, value_name = "COLUMN")]
    field: Vec<String>,
    /// Keep no column as a field
    #[arg(long, conflicts_with = "field")]
    no_fields: bool,
}

impl Fields {
    /// The chosen columns; `None` for all that have no other use.
    pub fn chosen(&self) -> Option<Vec<String>> {
        (self.no_fields || !self.field.is_empty()).then(|| self.field.clone())
    }
}
