//! The whole page as an HTML document.

use crate::html::{element, escape};
use crate::palette::Palette;
use crate::types::{Page, Section, Step, Table};
use crate::{bars, chart, examples, forest, pool, scores};

const STYLE: &str = include_str!("style.css");

/// Content security policy: no script, no connection, images only from data URIs.
const POLICY: &str = "default-src 'none'; img-src data:; style-src 'unsafe-inline'";

/// An element of the head that names the program. [`is_page`] recognises a page by it.
const GENERATOR: &str = "<meta name=\"generator\" content=\"ptunifier\"/>";

/// The number of bytes from the beginning of a file that [`is_page`] needs.
pub const HEAD_BYTES: usize = 1024;

/// Whether a file that begins with these bytes was written by [`render`].
pub fn is_page(head: &[u8]) -> bool {
    let head = &head[..head.len().min(HEAD_BYTES)];
    head.starts_with(b"<!DOCTYPE html>") && head.windows(GENERATOR.len()).any(|window| window == GENERATOR.as_bytes())
}

/// A section of the page: its anchor, its heading and its HTML.
struct PageSection {
    anchor: &'static str,
    title: &'static str,
    body: String,
}

/// Returns the page as one self-contained HTML document. Equal pages give equal documents.
pub fn render(page: &Page) -> String {
    let title = if page.title.trim().is_empty() { "Report" } else { &page.title };
    let sections: Vec<PageSection> =
        page_sections(page).into_iter().filter(|section| !section.body.is_empty()).collect();
    let links: String =
        sections.iter().map(|section| format!("<a href=\"#{}\">{}</a>\n", section.anchor, section.title)).collect();
    let bodies: String = sections
        .iter()
        .map(|PageSection { anchor, title, body }| {
            format!("<section id=\"{anchor}\">\n<h2>{title}</h2>\n{body}</section>\n")
        })
        .collect();
    let links = if sections.len() > 1 {
        format!("<nav aria-label=\"Sections of this page\">\n{links}</nav>\n")
    } else {
        String::new()
    };
    let escaped = escape(title);
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n{GENERATOR}\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\"/>\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n\
         <meta name=\"color-scheme\" content=\"light dark\"/>\n<title>{escaped}</title>\n<style>\n{STYLE}</style>\n</head>\n\
         <body>\n<header>\n{}<h1>{escaped}</h1>\n{}{}{links}</header>\n<main>\n{}{bodies}</main>\n</body>\n</html>\n",
        element("p", "subtitle", &page.subtitle),
        element("p", "verdict", &page.verdict),
        warnings(&page.warnings),
        facts(page),
    )
}

/// All sections in reading order: scores, samples and examples, training curves, next steps, recipe and data.
fn page_sections(page: &Page) -> [PageSection; 11] {
    let palette = Palette::of(page);
    let grid = |html: String| if html.is_empty() { html } else { format!("<div class=\"charts\">\n{html}</div>\n") };
    let titled = |anchor, title, body| PageSection { anchor, title, body };
    [
        titled("scores", "Scores", scores::scores(&page.scores, &palette) + &tables(&page.score_tables)),
        titled(
            "intervals",
            "Intervals",
            grid(page.forests.iter().map(|each| forest::figure(each, &palette)).collect()),
        ),
        titled("samples", "Samples", page.samples.iter().map(examples::samples).collect()),
        titled("counts", "Counts", grid(page.bars.iter().map(bars::bars).collect())),
        titled("examples", "Examples", page.examples.iter().map(examples::group).collect()),
        titled("losses", "Losses", grid(chart::losses(&page.losses, &palette))),
        titled("charts", "Curves", grid(page.charts.iter().map(|each| chart::chart(each, &palette)).collect())),
        titled("pools", "Prompt pools", grid(page.pools.iter().map(pool::pool).collect())),
        titled("tables", "Tables", tables(&page.tables)),
        titled("next", "What to run next", next(&page.next)),
        titled("sources", "How it was made", page.sections.iter().map(section).collect()),
    ]
}

fn warnings(warnings: &[String]) -> String {
    if warnings.is_empty() {
        return String::new();
    }
    let items: String = warnings.iter().map(|text| format!("<li>{}</li>\n", escape(text))).collect();
    let head = if warnings.len() == 1 { "Please read this note first" } else { "Please read these notes first" };
    format!("<aside class=\"warnings\">\n<p><strong>⚠ {head}</strong></p>\n<ul>\n{items}</ul>\n</aside>\n")
}

fn facts(page: &Page) -> String {
    if page.facts.is_empty() {
        return String::new();
    }
    let entry =
        |(name, value): &(String, String)| format!("<div><dt>{}</dt><dd>{}</dd></div>\n", escape(name), escape(value));
    let entries: String = page.facts.iter().map(entry).collect();
    format!("<dl class=\"facts\">\n{entries}</dl>\n")
}

fn tables(tables: &[Table]) -> String {
    tables.iter().map(table).collect()
}

fn table(table: &Table) -> String {
    let width = table.rows.iter().map(Vec::len).max().unwrap_or(0).max(table.columns.len());
    let numeric: Vec<bool> = (0..width)
        .map(|at| at > 0 && table.rows.iter().all(|row| row.get(at).is_none_or(|cell| numeric(cell))))
        .collect();
    let class = |at: usize| if numeric[at] { " class=\"number\"" } else { "" };
    let cell = |cells: &[String], at: usize| cells.get(at).map_or_else(String::new, |text| escape(text));
    let heads: String =
        (0..width).map(|at| format!("<th scope=\"col\"{}>{}</th>", class(at), cell(&table.columns, at))).collect();
    let rows: String = table
        .rows
        .iter()
        .map(|row| {
            let rest: String = (1..width).map(|at| format!("<td{}>{}</td>", class(at), cell(row, at))).collect();
            format!("<tr><th scope=\"row\">{}</th>{rest}</tr>\n", cell(row, 0))
        })
        .collect();
    let rows = if rows.is_empty() { String::new() } else { format!("<tbody>\n{rows}</tbody>\n") };
    format!(
        "<section class=\"group\">\n<h3>{}</h3>\n{}<div class=\"wide\"><table class=\"numbers\">\n<thead><tr>{heads}</tr></thead>\n\
         {rows}</table></div>\n</section>\n",
        escape(&table.title),
        element("p", "explanation", &table.explanation),
    )
}

/// Whether a cell looks like a number or a dash, or is empty.
fn numeric(cell: &str) -> bool {
    let cell = cell.trim();
    cell.is_empty()
        || cell == "–"
        || cell.starts_with(|letter: char| letter.is_ascii_digit() || "-+\u{2212}[.<≈".contains(letter))
}

fn next(steps: &[Step]) -> String {
    if steps.is_empty() {
        return String::new();
    }
    let one = |step: &Step| {
        let command = match step.command.trim() {
            "" => String::new(),
            command => {
                format!("<pre class=\"command\" title=\"click to select the command\">{}</pre>\n", escape(command))
            }
        };
        format!("<li>{}{}{command}</li>\n", element("h3", "step", &step.title), element("p", "explanation", &step.why))
    };
    format!("<ol class=\"next\">\n{}</ol>\n", steps.iter().map(one).collect::<String>())
}

fn section(section: &Section) -> String {
    format!("<details><summary>{}</summary><pre>{}</pre></details>\n", escape(&section.title), escape(&section.body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_of_numbers_are_aligned_right() {
        let rows = vec![vec!["a".into(), "1.5".into(), "one".into()], vec!["b".into(), "–".into()]];
        let html = table(&Table { columns: vec!["x".into(), "y".into()], rows, ..Table::default() });
        assert_eq!(html.matches("<th scope=\"col\" class=\"number\">").count(), 1);
        assert_eq!(html.matches("<td class=\"number\">").count(), 2, "{html}");
    }

    #[test]
    fn the_style_sheet_loads_nothing() {
        assert!(!STYLE.contains("url(") && !STYLE.contains("@import") && !STYLE.contains('<'));
    }

    #[test]
    fn a_page_is_recognised_by_its_first_bytes() {
        let page = render(&Page { title: "Letters".repeat(1000), ..Page::default() });
        assert!(is_page(page.as_bytes()) && is_page(&page.as_bytes()[..HEAD_BYTES]));
        let other = "<!DOCTYPE html>\n<html><head><title>ptunifier</title></head></html>";
        let quoting = format!("{}{GENERATOR}", " ".repeat(HEAD_BYTES));
        for other in [other, "", GENERATOR, &quoting] {
            assert!(!is_page(other.as_bytes()), "{other}");
        }
    }

    /// Relative luminance of `#rrggbb` as WCAG 2.2 defines it.
    fn luminance(colour: &str) -> f64 {
        let channel = |at: usize| {
            let value = f64::from(u8::from_str_radix(&colour[at..at + 2], 16).expect("two hexadecimal digits")) / 255.0;
            if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * channel(1) + 0.7152 * channel(3) + 0.0722 * channel(5)
    }

    #[test]
    fn colours_stand_out_in_light_and_dark() {
        let (light, dark) = STYLE.split_once("@media (prefers-color-scheme: dark)").expect("a dark scheme");
        for scheme in [light, dark.split_once("* {").expect("rules after the schemes").0] {
            let value = |name: &str| {
                let (_, rest) = scheme.split_once(&format!("--{name}: ")).unwrap_or_else(|| panic!("--{name}"));
                luminance(&rest[..7])
            };
            let contrast = |a: f64, b: f64| (a.max(b) + 0.05) / (a.min(b) + 0.05);
            // WCAG 2.2 asks 4.5 of text and 3 of marks.
            let texts = ["ink", "soft", "accent"].map(|name| (name, "paper"));
            let on_cards = [
                ("soft", "card"),
                ("hit", "hit-wash"),
                ("miss", "miss-wash"),
                ("soft", "miss-wash"),
                ("warn", "warn-wash"),
            ];
            for (front, back) in texts.into_iter().chain(on_cards) {
                assert!(contrast(value(front), value(back)) >= 4.5, "{front} on {back}");
            }
            for mark in ["c0", "c1", "c2", "c3", "c4", "c5", "c6"] {
                assert!(contrast(value(mark), value("card")) >= 3.0, "{mark}");
            }
        }
    }
}
