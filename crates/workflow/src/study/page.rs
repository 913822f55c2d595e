//! The page of a study: its tables, and the curves of its cells.

use std::collections::BTreeMap;

use ptu_report::{Band, Chart, Fact, Forest, Page, ScoreRow, Series, Table, chart_file, forest_file};
use ptu_train::format_duration;

use super::grid::file_name;
use super::recipe::StudyRecipe;
use super::result::CellResult;
use super::statistics::Estimate;
use super::table::{Column, Row, StudyTable};

/// The page; `seconds` is the time of all runs, on whatever machine.
pub(super) fn page(
    study: &StudyRecipe,
    (table, results): (&StudyTable, &[CellResult]),
    (failed, [done, all]): (&[(String, u64, String)], [usize; 2]),
    seconds: f64,
) -> Page {
    let mut warnings: Vec<String> =
        failed.iter().map(|(cell, seed, cause)| format!("Cell `{cell}`, seed {seed}, failed: {cause}.")).collect();
    if done < all {
        warnings.insert(0, format!("{done} of {all} cells with their seeds are measured so far."));
    }
    warnings.extend(
        table
            .rows
            .iter()
            .flat_map(|row| row.ended.iter().map(|cause| format!("Cell `{}` was ended early: {cause}.", row.cell))),
    );
    Page {
        title: study.title.clone(),
        subtitle: "Study".into(),
        verdict: study.question.clone(),
        warnings,
        facts: facts(study, seconds),
        score_tables: table.parts().into_iter().flat_map(|part| tables(table, part)).collect(),
        forests: forests(table),
        charts: [loss_charts(results), measure_charts(study, table)].concat(),
        ..Page::default()
    }
}

/// The means and the differences of some columns.
fn tables(table: &StudyTable, (title, columns): (String, Vec<usize>)) -> [Table; 2] {
    let (headings, of) = (table.headings(&columns), if title.is_empty() { title } else { format!(": {title}") });
    let means = Table {
        title: format!("Means over seeds{of}"),
        explanation: "95 % intervals by Student's t distribution.".into(),
        columns: headings.clone(),
        rows: table.mean_rows(&columns),
    };
    let differences = Table {
        title: format!("Differences to `{}`{of}", table.reference),
        explanation: "Paired by seed, with 95 % intervals; a star marks those whose interval does not contain 0."
            .into(),
        columns: [&["cell".to_string()], &headings[4..]].concat(),
        rows: table.difference_rows(&columns),
    };
    [means, differences]
}

/// A forest plot of each measure: its differences to the reference, or, of a measure that is a difference itself, its means.
fn forests(table: &StudyTable) -> Vec<Forest> {
    let row = |row: &Row, estimate: Option<Estimate>, column: &Column| ScoreRow {
        name: row.cell.clone(),
        value: estimate.map(|one| one.mean),
        low: estimate.and_then(|one| Some(one.mean - one.half?)),
        high: estimate.and_then(|one| Some(one.mean + one.half?)),
        chance: Some(0.0),
        higher_is_better: !column.lower_is_better,
        ..ScoreRow::default()
    };
    let forest = |(index, column): (usize, &Column)| {
        let better = if column.lower_is_better { "lower" } else { "higher" };
        let (title, rows) = if column.is_difference {
            (column.name.clone(), table.rows.iter().map(|one| row(one, one.means[index], column)).collect())
        } else {
            let others = table.rows.iter().filter(|row| row.cell != table.reference);
            (
                format!("{}, minus that of {}", column.name, table.reference),
                others.map(|one| row(one, one.differences[index], column)).collect(),
            )
        };
        Forest { title, explanation: format!("95 % intervals over seeds; {better} is better."), rows }
    };
    table.columns.iter().enumerate().map(forest).collect()
}

/// The charts and forest plots of a page as SVG files, with their names.
pub(super) fn plots(page: &Page) -> Vec<(String, String)> {
    let charts = page.charts.iter().map(|chart| (&chart.title, chart_file(chart, page)));
    let forests = page.forests.iter().map(|forest| (&forest.title, forest_file(forest)));
    let mut count: BTreeMap<String, usize> = BTreeMap::new();
    let file = |(title, svg): (&String, Option<String>)| {
        let (name, svg) = (file_name(title), svg?);
        let before = count.entry(name.clone()).or_default();
        *before += 1;
        // Different titles may have equal letters.
        Some((if *before > 1 { format!("{name}-{before}.svg") } else { format!("{name}.svg") }, svg))
    };
    charts.chain(forests).filter_map(file).collect()
}

fn facts(study: &StudyRecipe, seconds: f64) -> Vec<Fact> {
    let seeds = study.seeds.iter().map(u64::to_string).collect::<Vec<_>>().join(", ");
    vec![
        ("seeds".into(), seeds),
        ("scored split".into(), study.split.to_string()),
        ("machine time".into(), format_duration(seconds)),
    ]
}

/// A chart of each loss on the validation split, one line for each cell.
fn loss_charts(results: &[CellResult]) -> Vec<Chart> {
    let mut objectives: Vec<&String> = results.iter().flat_map(|result| result.curves.keys()).collect();
    objectives.sort_unstable();
    objectives.dedup();
    let mut cells: Vec<String> = vec![];
    for result in results {
        let cell = result.name();
        if !cells.contains(&cell) {
            cells.push(cell);
        }
    }
    let chart = |objective: &String| {
        let (mut series, mut bands) = (vec![], vec![]);
        for cell in &cells {
            let mut at: BTreeMap<u64, Vec<f64>> = BTreeMap::new();
            for result in results.iter().filter(|result| result.name() == *cell) {
                for (step, loss) in result.curves.get(objective).into_iter().flatten() {
                    at.entry(*step).or_default().push(*loss);
                }
            }
            let found: Vec<(f64, Estimate)> =
                at.iter().filter_map(|(step, losses)| Some((*step as f64, Estimate::of(losses)?))).collect();
            series.push(Series { name: objective.clone(), run: cell.clone(), points: points(&found) });
            bands.push(Band { name: objective.clone(), run: cell.clone(), points: band(&found) });
        }
        Chart {
            title: format!("{objective} loss on the validation split"),
            explanation: "Means over seeds with 95 % intervals.".into(),
            x_label: "step".into(),
            y_label: "loss".into(),
            series,
            bands,
            ..Chart::default()
        }
    };
    objectives.into_iter().map(chart).collect()
}

/// A chart of each measure over the values of the axis, if the study has one axis and its values are numbers.
fn measure_charts(study: &StudyRecipe, table: &StudyTable) -> Vec<Chart> {
    let [axis] = study.axis.as_slice() else { return vec![] };
    let numbers: Option<Vec<f64>> = axis.value.iter().map(|value| value.name.parse().ok()).collect();
    let Some(numbers) = numbers.filter(|numbers| numbers.len() > 1) else { return vec![] };
    let chart = |(index, column): (usize, &Column)| {
        let rows = numbers.iter().zip(&table.rows);
        let found: Vec<(f64, Estimate)> = rows.filter_map(|(x, row)| Some((*x, row.means[index]?))).collect();
        Chart {
            title: format!("{} over {}", column.name, axis.name),
            explanation: "Means over seeds with 95 % intervals.".into(),
            x_label: axis.name.clone(),
            y_label: column.name.clone(),
            series: vec![Series { name: column.name.clone(), run: String::new(), points: points(&found) }],
            bands: vec![Band { name: column.name.clone(), run: String::new(), points: band(&found) }],
            log_x: numbers.iter().all(|number| *number > 0.0),
            ..Chart::default()
        }
    };
    table.columns.iter().enumerate().map(chart).collect()
}

fn points(found: &[(f64, Estimate)]) -> Vec<(f64, f64)> {
    found.iter().map(|(x, one)| (*x, one.mean)).collect()
}

fn band(found: &[(f64, Estimate)]) -> Vec<(f64, f64, f64)> {
    found.iter().filter_map(|(x, one)| Some((*x, one.mean - one.half?, one.mean + one.half?))).collect()
}
