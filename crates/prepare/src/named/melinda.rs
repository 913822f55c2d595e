//! MELINDA (Wu et al., 2021; docs/layouts.md, section 13).

use std::sync::Arc;

use ptu_data::DataError;
use ptu_data::record::{Label, Section, Split};

use super::helpers::{find_image, line_position, new_record, push_text, with_image};
use super::{DatasetRows, Description};
use crate::draft::Draft;
use crate::raw::Raw;
use crate::raw::separated::Csv;

pub const ABOUT: Description = Description {
    name: "melinda",
    title: "MELINDA: methods of experiments from figures and captions",
    what: "Figures of biomedical papers with captions of their parts, and the methods of the experiments that they show.",
    licence: "not stated; papers are open access at PMC, labels from IntAct (CC BY)",
    access: "open: PlusLabNLP/melinda on GitHub, with a link to the images",
    layout: "\
melinda/
  train.csv  dev.csv  test.csv       columns figure_file, caption, i_meth, p_meth, i_meth_label, p_meth_label
  melinda_images/",
    records: "one for each row: figure, caption, and four labels (interaction and participant method, fine and \
              coarse)",
    splits: "as published",
    counts: "5,371 records of 2,833 figures; 85 / 15 and 45 / 7 classes",
    citation: "Wu et al., AAAI 2021, doi 10.1609/aaai.v35i16.17657",
    tars: &[],
};

const LABELS: [&str; 4] = ["i_meth", "i_meth_label", "p_meth", "p_meth_label"];

pub fn open(raw: &Arc<Raw>) -> Result<DatasetRows, DataError> {
    let files = [("train.csv", Split::Train), ("dev.csv", Split::Validate), ("test.csv", Split::Test)];
    raw.require(&files.map(|(name, _)| [name]).each_ref().map(|names| names.as_slice()))?;
    let (mut rows, mut tables) = (vec![], vec![]);
    for (name, split) in files {
        let file = raw.need(&[name])?;
        let mut csv = Csv::open(&file)?;
        let [figure, caption] = csv.need(["figure_file", "caption"])?;
        let labels = csv.need(LABELS)?;
        while let Some(row) = csv.next()? {
            let position = line_position(&file, row.line);
            if let Err(bad) = row.cells {
                rows.push(Draft::bad(position, bad.cause));
                continue;
            }
            let name = row.get(figure).to_string();
            let mut record = new_record(ABOUT.name, format!("{split}/{}", row.line), split);
            record.patient.clone_from(&name);
            push_text(&mut record, Section::Caption, row.get(caption));
            let labels_of_row = LABELS.iter().zip(labels).map(|(label, column)| Label::new(*label, row.get(column)));
            record.labels = labels_of_row.filter(|label| !label.value.is_empty()).collect();
            let paths = [format!("melinda_images/{name}"), format!("images/{name}")];
            rows.push(with_image(position, record, find_image(raw, &[&paths[0], &paths[1]])));
        }
        tables.push(file);
    }
    Ok(DatasetRows::published_splits(
        rows,
        tables,
        &["splits are those published", "captions of fewer than 3 words are dropped"],
    ))
}
