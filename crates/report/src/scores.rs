//! The scores as a drawing, as a table, and as Markdown and LaTeX source.

use crate::forest::{by_name, by_unit, forest, written};
use crate::html::{element, escape, undefined};
use crate::palette::Palette;
use crate::types::{ScoreRow, Unit};

/// How the interval of a score compares with the chance level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ChanceComparison {
    Better,
    NoClearDifference,
    Worse,
    Unknown,
}

impl ChanceComparison {
    fn of(row: &ScoreRow) -> Self {
        let (Some(_), Some(low), Some(high), Some(chance)) = (row.value, row.low, row.high, row.chance) else {
            return Self::Unknown;
        };
        let (above, below) = (low > chance, high < chance);
        match (above, below, row.higher_is_better) {
            _ if !(low <= high && chance.is_finite()) => Self::Unknown,
            (true, _, true) | (_, true, false) => Self::Better,
            (true, _, false) | (_, true, true) => Self::Worse,
            _ => Self::NoClearDifference,
        }
    }

    fn cell(self) -> String {
        let cell = |class: &str, sign: &str, word: &str| {
            format!(
                "<td class=\"standing {class}\" title=\"{word}\"><span class=\"sign\">{sign}</span> <span class=\"word\">{word}</span></td>"
            )
        };
        match self {
            Self::Better => cell("better", "✓", "better"),
            Self::NoClearDifference => cell("level", "≈", "no clear difference"),
            Self::Worse => cell("worse", "✗", "worse"),
            Self::Unknown => "<td class=\"standing\"></td>".into(),
        }
    }
}

/// Drawings and tables of all scores, separately for each set; empty if there are no scores.
pub fn scores(rows: &[ScoreRow], palette: &Palette) -> String {
    let sets = by_set(rows);
    sets.iter().map(|rows| set(rows, palette)).collect()
}

/// The drawings and the table of the scores of one set, with the name of the set as heading.
fn set(rows: &[ScoreRow], palette: &Palette) -> String {
    let drawings: String = by_unit(rows).iter().map(|rows| panel(rows, palette)).collect();
    format!(
        "<section class=\"group\">\n{}<div class=\"scores\">\n<div class=\"forests\">\n{drawings}{}</div>\n<div>\n{}{}</div>\n\
         </div>\n</section>\n",
        element("h3", "set", &rows[0].set),
        legend(rows, palette),
        table(rows, palette),
        sources(rows, palette)
    )
}

/// The rows of each set, in order of appearance.
fn by_set(rows: &[ScoreRow]) -> Vec<Vec<ScoreRow>> {
    let mut sets: Vec<Vec<ScoreRow>> = vec![];
    for row in rows {
        match sets.iter_mut().find(|set| set[0].set == row.set) {
            Some(set) => set.push(row.clone()),
            None => sets.push(vec![row.clone()]),
        }
    }
    sets
}

fn panel(rows: &[&ScoreRow], palette: &Palette) -> String {
    let unit = match &rows[0].unit {
        Unit::Fraction => "fraction",
        Unit::Rank => "rank",
        Unit::Named(name) => name.as_str(),
    };
    let better = match (rows.iter().all(|row| row.higher_is_better), rows.iter().any(|row| row.higher_is_better)) {
        (true, _) => ", higher is better",
        (_, false) => ", lower is better",
        _ => "",
    };
    format!("<figure>\n<figcaption>{}{better}</figcaption>\n{}</figure>\n", escape(unit), forest(rows, palette))
}

/// The legend of the drawings: the marks, and the colours of the runs.
fn legend(rows: &[ScoreRow], palette: &Palette) -> String {
    let dot = |class: &str| {
        format!(
            "<svg class=\"key\" viewBox=\"0 0 24 10\" aria-hidden=\"true\"><rect class=\"interval {class}\" x=\"1\" y=\"2.5\" \
             width=\"22\" height=\"5\"/><circle class=\"score {class}\" cx=\"12\" cy=\"5\" r=\"4\"/></svg>"
        )
    };
    let chance = "<svg class=\"key\" viewBox=\"0 0 24 10\" aria-hidden=\"true\"><line class=\"chance\" x1=\"12\" y1=\"0\" \
                  x2=\"12\" y2=\"10\"/></svg>";
    let runs: String = if palette.compares() {
        let entry = |run: &String| format!("<li>{}{}</li>\n", dot(&palette.run_class(run)), escape(run));
        palette.runs().iter().filter(|run| rows.iter().any(|row| row.run == **run)).map(entry).collect()
    } else {
        format!("<li>{}score with 95 % interval</li>\n", dot("c0"))
    };
    format!("<ul class=\"legend\">\n{runs}<li>{chance}chance level</li>\n</ul>\n")
}

fn table(rows: &[ScoreRow], palette: &Palette) -> String {
    let run_head = if palette.compares() { "<th scope=\"col\">Run</th>" } else { "" };
    let units = by_unit(rows);
    let body: String = units.iter().flat_map(|rows| by_name(rows)).map(|group| table_rows(&group, palette)).collect();
    let note = if rows.iter().any(|row| row.value.is_none()) {
        "<p class=\"note\">– means that the score is not defined (for example for an empty group); it does not mean zero.</p>\n"
    } else {
        ""
    };
    format!(
        "<div class=\"wide\"><table class=\"numbers\">\n<thead><tr><th scope=\"col\">Score</th>{run_head}\
         <th scope=\"col\" class=\"number\">Value</th><th scope=\"col\" class=\"number\">95 % interval</th>\
         <th scope=\"col\" class=\"number\">Chance level</th><th scope=\"col\">vs. chance</th></tr></thead>\n\
         <tbody>\n{body}</tbody>\n</table></div>\n{note}"
    )
}

/// The rows of one score; its name spans all of them.
fn table_rows(group: &[&ScoreRow], palette: &Palette) -> String {
    let first = group[0];
    let (arrow, meaning) =
        if first.higher_is_better { ("↑", "higher is better") } else { ("↓", "lower is better") };
    let name = format!(
        "<th scope=\"rowgroup\" rowspan=\"{}\">{}\u{a0}<span class=\"arrow\" title=\"{meaning}\">{arrow}</span></th>",
        group.len(),
        escape(&first.name),
    );
    let row = |(index, row): (usize, &&ScoreRow)| {
        let head = if index == 0 { name.as_str() } else { "" };
        format!("<tr>{head}{}</tr>\n", row_cells(row, palette))
    };
    group.iter().enumerate().map(row).collect()
}

/// The cells of a row after its name.
fn row_cells(row: &ScoreRow, palette: &Palette) -> String {
    let show = |value: Option<f64>| match value.filter(|value| value.is_finite()) {
        Some(value) => written(value, &row.unit),
        None => undefined().into(),
    };
    let interval = match (row.low, row.high) {
        (Some(low), Some(high)) if low.is_finite() && high.is_finite() => {
            format!("[{}, {}]", written(low, &row.unit), written(high, &row.unit))
        }
        _ => undefined().into(),
    };
    let run = if palette.compares() {
        let (class, run) = (palette.run_class(&row.run), escape(&row.run));
        format!("<td class=\"run\"><span class=\"swatch {class}\"></span>{run}</td>")
    } else {
        String::new()
    };
    format!(
        "{run}<td class=\"number\"><strong>{}</strong></td><td class=\"number\">{interval}</td><td class=\"number\">{}</td>{}",
        show(row.value),
        show(row.chance),
        ChanceComparison::of(row).cell(),
    )
}

/// The table as Markdown and as LaTeX, in collapsed elements.
fn sources(rows: &[ScoreRow], palette: &Palette) -> String {
    let units = by_unit(rows);
    let lines: Vec<[String; 5]> = units.iter().flatten().map(|row| cells(row)).collect();
    let columns: &[usize] = if palette.compares() { &[0, 1, 2, 3, 4] } else { &[0, 2, 3, 4] };
    let heads = ["Score", "Run", "Value", "95 % interval", "Chance level"];
    let markdown = {
        let row = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
        let head = row(columns.iter().map(|&at| heads[at].to_owned()).collect());
        let rule = row(columns.iter().map(|&at| if at < 2 { "---".into() } else { "---:".into() }).collect());
        let plain = |text: &String| text.replace('\\', "\\\\").replace('|', "\\|");
        let body: String = lines.iter().map(|line| row(columns.iter().map(|&at| plain(&line[at])).collect())).collect();
        let set = rows[0].set.replace(['\n', '\r'], " ");
        let title = if set.is_empty() { set } else { format!("{set}\n\n") };
        title + &head + &rule + &body
    };
    let latex = {
        let row = |cells: Vec<String>| format!("{} \\\\\n", cells.join(" & "));
        let alignment: String = columns.iter().map(|&at| if at < 2 { 'l' } else { 'r' }).collect();
        let head = row(columns.iter().map(|&at| latex(heads[at])).collect());
        let body: String = lines.iter().map(|line| row(columns.iter().map(|&at| latex(&line[at])).collect())).collect();
        let set = rows[0].set.replace(['\n', '\r'], " ");
        let title = if set.is_empty() { set } else { format!("% {set}\n") };
        format!(
            "{title}\\begin{{tabular}}{{{alignment}}}\n\\toprule\n{head}\\midrule\n{body}\\bottomrule\n\\end{{tabular}}\n"
        )
    };
    [("Markdown", markdown), ("LaTeX", latex)]
        .map(|(name, text)| {
            format!(
                "<details class=\"sources\"><summary>This table as {name}</summary><pre class=\"copy\">{}</pre></details>\n",
                escape(&text)
            )
        })
        .concat()
}

/// Name, run, value, interval and chance as plain text.
fn cells(row: &ScoreRow) -> [String; 5] {
    let show = |value: Option<f64>| value.map_or_else(|| "–".into(), |value| written(value, &row.unit));
    let interval = match (row.low, row.high) {
        (Some(low), Some(high)) => format!("[{}, {}]", written(low, &row.unit), written(high, &row.unit)),
        _ => "–".into(),
    };
    [row.name.clone(), row.run.clone(), show(row.value), interval, show(row.chance)]
        .map(|text| text.replace(['\n', '\r'], " "))
}

/// `text` with the special characters of LaTeX escaped.
fn latex(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' | '%' | '$' | '#' | '_' | '{' | '}' => safe.extend(['\\', letter]),
            '~' => safe.push_str("\\textasciitilde{}"),
            '^' => safe.push_str("\\textasciicircum{}"),
            '\\' => safe.push_str("\\textbackslash{}"),
            '–' => safe.push_str("--"),
            '\u{2212}' => safe.push_str("$-$"),
            _ => safe.push(letter),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row() -> ScoreRow {
        ScoreRow {
            name: "R@10 image_to_text".into(),
            value: Some(0.62),
            low: Some(0.55),
            high: Some(0.69),
            chance: Some(0.05),
            higher_is_better: true,
            ..ScoreRow::default()
        }
    }

    #[test]
    fn the_comparison_with_chance_respects_which_direction_is_better() {
        let lower = ScoreRow { higher_is_better: false, ..row() };
        let level = ScoreRow { chance: Some(0.6), ..row() };
        let comparisons = [&row(), &lower, &level].map(ChanceComparison::of);
        assert_eq!(
            comparisons,
            [ChanceComparison::Better, ChanceComparison::Worse, ChanceComparison::NoClearDifference]
        );
        for unknown in [
            ScoreRow { chance: None, ..row() },
            ScoreRow { value: None, ..row() },
            ScoreRow { low: Some(f64::NAN), ..row() },
        ] {
            assert_eq!(ChanceComparison::of(&unknown), ChanceComparison::Unknown);
        }
    }

    #[test]
    fn each_set_of_scores_has_a_table_of_its_own() {
        let of = |set: &str, run: &str| ScoreRow { set: set.into(), run: run.into(), ..row() };
        let rows = [of("a, 20 pairs", "x"), of("a, 20 pairs", "y"), of("b, 9 <pairs>", "y")];
        let html = scores(&rows, &Palette::default());
        assert_eq!(html.matches("<table class=\"numbers\">").count(), 2, "{html}");
        assert!(html.contains("a, 20 pairs</h3>") && html.contains("b, 9 &lt;pairs&gt;</h3>"), "{html}");
        assert!(html.contains("% a, 20 pairs") && !html.contains("<pairs>"), "{html}");
        assert!(scores(&[], &Palette::default()).is_empty());
    }

    #[test]
    fn an_undefined_score_is_a_dash_with_a_note() {
        let html =
            table(&[ScoreRow { value: None, low: None, high: None, chance: None, ..row() }], &Palette::default());
        assert_eq!(html.matches(undefined()).count(), 3);
        assert!(html.contains("does not mean zero.") && !html.contains("0.000"), "{html}");
    }

    #[test]
    fn sources_for_papers_are_complete() {
        let html = sources(&[row()], &Palette::default());
        assert!(html.contains("| R@10 image_to_text | 0.620 | [0.550, 0.690] | 0.050 |"), "{html}");
        assert!(html.contains("R@10 image\\_to\\_text &amp; 0.620 &amp; [0.550, 0.690] &amp; 0.050 \\\\"), "{html}");
    }
}
