//! What a study found, as tables: means over seeds with intervals, and paired differences to a reference.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::grid::Cell;
use super::recipe::StudyRecipe;
use super::result::CellResult;
use super::statistics::Estimate;

/// Digits behind the point.
const DIGITS: usize = 3;

/// The table of a study.
#[derive(Clone, Debug, PartialEq)]
pub struct StudyTable {
    /// The title.
    pub title: String,
    /// What the study asks.
    pub question: String,
    /// What is measured.
    pub columns: Vec<Column>,
    /// One row for each cell.
    pub rows: Vec<Row>,
    /// The cell to which differences are computed.
    pub reference: String,
    /// What each seed gave: cell, seed, measure, value.
    pub values: Vec<(String, u64, String, Option<f64>)>,
}

/// A column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// The name of the measure.
    pub name: String,
    /// Whether a lower value is better.
    pub lower_is_better: bool,
    /// Whether it is a difference between scores of the same model.
    pub is_difference: bool,
    /// The title of the table that it stands in; empty for the first table.
    pub table: String,
}

/// A cell in the table.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Name of the cell.
    pub cell: String,
    /// Number of weights; `None` before a seed is done.
    pub weights: Option<usize>,
    /// Share of the prompts in them.
    pub prompt_share: Option<f64>,
    /// Seeds that were measured.
    pub seeds: usize,
    /// Why seeds were ended early.
    pub ended: Vec<String>,
    /// The mean of each measure.
    pub means: Vec<Option<Estimate>>,
    /// The difference of each measure to the reference, over the seeds that both have; `None` in the row of the reference.
    pub differences: Vec<Option<Estimate>>,
}

impl StudyTable {
    /// The table of some results.
    pub(super) fn of(study: &StudyRecipe, cells: &[Cell], results: &[CellResult]) -> Self {
        let measure = |name: &str| study.measure.iter().find(|one| one.name == name);
        let columns: Vec<Column> = study
            .measure
            .iter()
            .map(|one| Column {
                name: one.name.clone(),
                lower_is_better: one.lower_is_better,
                is_difference: !one.minus.is_empty(),
                table: one.table.clone(),
            })
            .collect();
        let reference = study.reference.clone().or_else(|| cells.first().map(Cell::name)).unwrap_or_default();
        let of = |cell: &str| -> Vec<&CellResult> { results.iter().filter(|result| result.name() == cell).collect() };
        let by_seed = |cell: &str, column: &Column| -> BTreeMap<u64, f64> {
            let found = of(cell).into_iter();
            found.filter_map(|one| Some((one.seed, one.value(measure(&column.name)?)?))).collect()
        };
        let row = |cell: &Cell| {
            let (name, found) = (cell.name(), of(&cell.name()));
            let means =
                columns.iter().map(|column| Estimate::of(&by_seed(&name, column).into_values().collect::<Vec<_>>()));
            let difference = |column: &Column| {
                let (ours, theirs) = (by_seed(&name, column), by_seed(&reference, column));
                let pairs = ours.iter().filter_map(|(seed, value)| Some(value - theirs.get(seed)?));
                Estimate::of(&pairs.collect::<Vec<_>>()).filter(|_| name != reference)
            };
            Row {
                weights: found.first().map(|one| one.weights),
                prompt_share: found.first().map(|one| one.prompt_weights as f64 / one.weights.max(1) as f64),
                seeds: found.iter().filter(|one| one.ended.is_none()).count(),
                ended: found
                    .iter()
                    .filter_map(|one| Some(format!("seed {}: {}", one.seed, one.ended.as_ref()?)))
                    .collect(),
                means: means.collect(),
                differences: columns.iter().map(difference).collect(),
                cell: name,
            }
        };
        let values = results.iter().flat_map(|one| {
            study.measure.iter().map(|measure| (one.name(), one.seed, measure.name.clone(), one.value(measure)))
        });
        Self {
            title: study.title.clone(),
            question: study.question.clone(),
            rows: cells.iter().map(row).collect(),
            values: values.collect(),
            columns,
            reference,
        }
    }

    /// The titles of the tables that the columns are divided into, each with the numbers of its columns.
    pub fn parts(&self) -> Vec<(String, Vec<usize>)> {
        let mut parts: Vec<(String, Vec<usize>)> = vec![];
        for (number, column) in self.columns.iter().enumerate() {
            match parts.iter_mut().find(|(title, _)| *title == column.table) {
                Some((_, columns)) => columns.push(number),
                None => parts.push((column.table.clone(), vec![number])),
            }
        }
        parts
    }

    /// Headings of some columns, the direction of the better value after each.
    pub fn headings(&self, columns: &[usize]) -> Vec<String> {
        let fixed = ["cell", "seeds", "weights", "of prompts"].map(String::from);
        let arrow = |column: &Column| format!("{} {}", column.name, if column.lower_is_better { "↓" } else { "↑" });
        fixed.into_iter().chain(columns.iter().map(|column| arrow(&self.columns[*column]))).collect()
    }

    /// The cells of the table of means as texts, for some columns.
    pub fn mean_rows(&self, columns: &[usize]) -> Vec<Vec<String>> {
        let row = |row: &Row| {
            let fixed = [
                row.cell.clone(),
                row.seeds.to_string(),
                row.weights.map_or(String::new(), |weights| ptu_report::count(weights as u64)),
                row.prompt_share.map_or(String::new(), |share| format!("{:.2} %", 100.0 * share)),
            ];
            let mean = |column: &usize| shown(row.means[*column].as_ref(), self.columns[*column].is_difference);
            fixed.into_iter().chain(columns.iter().map(mean)).collect()
        };
        self.rows.iter().map(row).collect()
    }

    /// The cells of the table of differences as texts, for some columns; those whose interval does not contain 0 have a star.
    pub fn difference_rows(&self, columns: &[usize]) -> Vec<Vec<String>> {
        let others = self.rows.iter().filter(|row| row.cell != self.reference);
        let row = |row: &Row| {
            let differences = columns.iter().map(|column| shown(row.differences[*column].as_ref(), true));
            std::iter::once(row.cell.clone()).chain(differences).collect()
        };
        others.map(row).collect()
    }

    /// What is said below the tables.
    fn notes(&self) -> Vec<String> {
        let mut notes = vec![format!(
            "Means over seeds with 95 % intervals (Student's t). Differences to `{}` are paired by seed; a star marks differences whose interval \
             does not contain 0.",
            self.reference
        )];
        for row in &self.rows {
            notes.extend(row.ended.iter().map(|cause| format!("`{}` was ended early ({cause}).", row.cell)));
        }
        notes
    }

    /// All tables in Markdown.
    pub fn markdown(&self) -> String {
        let mut text = format!("# {}\n\n", self.title);
        if !self.question.is_empty() {
            let _ = write!(text, "{}\n\n", self.question);
        }
        let mut table = |title: &str, headings: &[String], rows: &[Vec<String>]| {
            if !title.is_empty() {
                text.push_str(&format!("## {title}\n\n"));
            }
            let line = |cells: &[String]| {
                format!("| {} |\n", cells.iter().map(|cell| cell.replace('|', "\\|")).collect::<Vec<_>>().join(" | "))
            };
            text.push_str(&line(headings));
            text.push_str(&format!("|{}\n", "---|".repeat(headings.len())));
            rows.iter().for_each(|row| text.push_str(&line(row)));
            text.push('\n');
        };
        for (title, columns) in self.parts() {
            let headings = self.headings(&columns);
            let differences = [&["minus the reference".to_string()], &headings[4..]].concat();
            table(&title, &headings, &self.mean_rows(&columns));
            table("", &differences, &self.difference_rows(&columns));
        }
        self.notes().iter().for_each(|note| {
            let _ = writeln!(text, "{note}");
        });
        text
    }

    /// One line for each cell and measure, as CSV, and one for each seed.
    pub fn csv(&self) -> String {
        let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
        let number = |value: Option<f64>| value.map_or(String::new(), |value| value.to_string());
        let mut text = "cell,seed,measure,value,low,high,difference,difference_low,difference_high\n".to_string();
        for row in &self.rows {
            for (column, (mean, difference)) in self.columns.iter().zip(row.means.iter().zip(&row.differences)) {
                let ends = |one: &Option<Estimate>| {
                    let end = |sign: f64| one.and_then(|one| Some(one.mean + sign * one.half?));
                    [one.map(|one| one.mean), end(-1.0), end(1.0)].map(number).join(",")
                };
                let _ = writeln!(
                    text,
                    "{},all,{},{},{}",
                    quoted(&row.cell),
                    quoted(&column.name),
                    ends(mean),
                    ends(difference)
                );
            }
        }
        for (cell, seed, measure, value) in &self.values {
            let _ = writeln!(text, "{},{seed},{},{},,,,,", quoted(cell), quoted(measure), number(*value));
        }
        text
    }

    /// The tables of means in LaTeX (package `booktabs`).
    pub fn latex(&self) -> String {
        let escaped = |text: &str| -> String {
            let letter = |letter: char| match letter {
                '&' | '%' | '$' | '#' | '_' | '{' | '}' => format!("\\{letter}"),
                '~' => "\\textasciitilde{}".into(),
                '^' => "\\textasciicircum{}".into(),
                '\\' => "\\textbackslash{}".into(),
                '±' => "$\\pm$".into(),
                '↑' => "$\\uparrow$".into(),
                '↓' => "$\\downarrow$".into(),
                letter => letter.to_string(),
            };
            text.chars().map(letter).collect()
        };
        let line = |cells: &[String]| {
            format!("{} \\\\\n", cells.iter().map(|cell| escaped(cell)).collect::<Vec<_>>().join(" & "))
        };
        let table = |(title, columns): (String, Vec<usize>)| {
            let headings = self.headings(&columns);
            let comment = if title.is_empty() { title } else { format!("% {title}\n") };
            let start = format!("\\begin{{tabular}}{{l{}}}\n\\toprule\n", "r".repeat(headings.len() - 1));
            let rows: String = self.mean_rows(&columns).iter().map(|row| line(row)).collect();
            format!("{comment}{start}{}\\midrule\n{rows}\\bottomrule\n\\end{{tabular}}\n", line(&headings))
        };
        self.parts().into_iter().map(table).collect::<Vec<_>>().join("\n")
    }
}

/// An estimate as text; a difference with its sign, and with a star if its interval does not contain 0.
fn shown(estimate: Option<&Estimate>, is_difference: bool) -> String {
    let Some(estimate @ Estimate { mean, half, .. }) = estimate else { return "–".into() };
    let text = if is_difference { format!("{mean:+.DIGITS$}") } else { format!("{mean:.DIGITS$}") };
    let text = half.map_or(text.clone(), |half| format!("{text} ± {half:.DIGITS$}"));
    if is_difference && estimate.is_significant() { format!("{text} *") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two cells with two seeds each.
    fn table() -> StudyTable {
        let recipe = "name = \"s\"\ntitle = \"T\"\nseeds = [0, 1]\n[pretrain]\nrecipe = \"r.toml\"\n[[cell]]\nname = \"a_1\"\n[[cell]]\nname = \"b\"\n\
                      [[measure]]\nname = \"R@10\"\nof = \"pretrain\"\nscore = [\"x\"]\n";
        let study: StudyRecipe = toml::from_str(recipe).unwrap();
        let cells = Cell::all(&study).unwrap();
        let result = |cell: &str, seed: u64, value: f64| CellResult {
            cell: vec![cell.into()],
            seed,
            scores: BTreeMap::from([("pretrain".into(), BTreeMap::from([("x".into(), Some(value))]))]),
            weights: 200,
            prompt_weights: 3,
            ..CellResult::default()
        };
        let results = [result("a_1", 0, 0.1), result("a_1", 1, 0.2), result("b", 0, 0.3), result("b", 1, 0.4)];
        StudyTable::of(&study, &cells, &results)
    }

    #[test]
    fn means_and_paired_differences() {
        let table = table();
        assert_eq!(table.mean_rows(&[0])[0], ["a_1", "2", "200", "1.50 %", "0.150 ± 0.635"]);
        // Both seeds differ by 0.2, so the interval has no width but for rounding.
        assert_eq!(table.difference_rows(&[0]), [["b", "+0.200 ± 0.000 *"]]);
    }

    #[test]
    fn a_measure_may_be_a_difference_within_a_model() {
        let study: StudyRecipe = toml::from_str(
            "name = \"s\"\ntitle = \"T\"\nseeds = [0, 1]\n[pretrain]\nrecipe = \"r.toml\"\n[[cell]]\nname = \"a\"\n[[measure]]\nname = \"d\"\n\
             of = \"fidelity\"\nscore = [\"x\"]\nminus = [\"y\", \"z\"]\n",
        )
        .unwrap();
        let result = |seed: u64, x: f64| CellResult {
            cell: vec!["a".into()],
            seed,
            scores: BTreeMap::from([(
                "fidelity".into(),
                BTreeMap::from([("x".into(), Some(x)), ("y".into(), Some(0.1)), ("z".into(), Some(0.3))]),
            )]),
            ..CellResult::default()
        };
        let table = StudyTable::of(&study, &Cell::all(&study).unwrap(), &[result(0, 0.1), result(1, 0.1)]);
        assert_eq!(table.mean_rows(&[0])[0][4], "-0.100 ± 0.000 *");
        let mut undefined = result(0, 0.1);
        undefined.scores.get_mut("fidelity").unwrap().insert("z".into(), None);
        assert_eq!(undefined.value(&study.measure[0]), None);
    }

    #[test]
    fn columns_stand_in_the_table_that_they_name() {
        let mut table = table();
        let column = |name: &str, of: &str| Column {
            name: name.into(),
            lower_is_better: true,
            is_difference: false,
            table: of.into(),
        };
        table.columns.extend([column("x", "More"), column("y", "")]);
        table.rows.iter_mut().for_each(|row| {
            row.means.extend([None, None]);
            row.differences.extend([None, None]);
        });
        assert_eq!(table.parts(), [(String::new(), vec![0, 2]), ("More".into(), vec![1])]);
        let (markdown, latex) = (table.markdown(), table.latex());
        assert!(markdown.contains("| R@10 ↑ | y ↓ |") && markdown.contains("## More\n\n| cell | seeds"), "{markdown}");
        assert!(latex.matches("\\toprule").count() == 2 && latex.contains("% More\n"), "{latex}");
    }

    #[test]
    fn tables_can_be_pasted() {
        let table = table();
        assert!(table.markdown().contains("| b | 2 | 200 | 1.50 % | 0.350 ± 0.635 |"), "{}", table.markdown());
        assert!(table.latex().contains("a\\_1 & 2 & 200 & 1.50 \\% & 0.150 $\\pm$ 0.635 \\\\"), "{}", table.latex());
        assert!(table.csv().contains("\"b\",0,\"R@10\",0.3,,,,,"), "{}", table.csv());
    }
}
