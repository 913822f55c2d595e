//! Counts as horizontal bars.

use crate::format::count;
use crate::html::{element, escape};
use crate::types::Bars;

/// A table with a bar in each row; the longest bar has the full width.
pub fn bars(bars: &Bars) -> String {
    let largest = bars.counts.iter().map(|(_, count)| *count).max().unwrap_or(0).max(1) as f64;
    let row = |(name, value): &(String, u64)| {
        let share = *value as f64 / largest * 100.0;
        format!(
            "<tr><th scope=\"row\">{}</th><td class=\"bar\"><span style=\"width:{share:.1}%\"></span></td>\
             <td class=\"number\">{}</td></tr>\n",
            escape(name),
            count(*value)
        )
    };
    let rows: String = bars.counts.iter().map(row).collect();
    format!(
        "<section class=\"chart\">\n<h3>{}</h3>\n{}<table class=\"bars\">\n<tbody>\n{rows}</tbody>\n</table>\n</section>\n",
        escape(&bars.title),
        element("p", "explanation", &bars.explanation),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_bar_has_the_full_width() {
        let html = bars(&Bars { counts: vec![("<a>".into(), 50), ("b".into(), 200)], ..Bars::default() });
        assert!(html.contains("&lt;a&gt;") && html.contains("width:25.0%") && html.contains("width:100.0%"), "{html}");
        assert!(bars(&Bars::default()).contains("<tbody>"));
    }
}
