//! Whole pages are well-formed, contain no script, are equal for equal input, and may be empty.
//! `roxmltree` checks the form independently: the pages are written so that they are also valid XML.

use ptu_report::{
    Band, Bars, Chart, Example, ExampleGroup, ExampleKind, Forest, Item, Page, PoolUsage, Retrieved, SampleGroup,
    ScoreRow, Section, Series, Step, Table, Unit, render,
};

const EVIL: &str = "</style></title><script>alert('x')</script><img src=x onerror=\"alert(1)\">'\" & \0\u{1b}[31m \u{202e}evil ]]> -->";

fn hostile_chart(series: Vec<Series>) -> Chart {
    let evil = || EVIL.to_owned();
    let points = vec![(0.0, f64::NAN, 1.0), (1.0, 0.0, 2.0), (2.0, 0.5, 1.0)];
    Chart {
        title: evil(),
        explanation: evil(),
        x_label: evil(),
        y_label: evil(),
        series,
        bands: vec![Band { name: evil(), run: "b".into(), points }],
        log_x: false,
        log_y: true,
        from_zero: true,
        smooth: true,
    }
}

/// A page on which every text is hostile and every number is unusual.
fn hostile() -> Page {
    let evil = || EVIL.to_owned();
    let item = |png: &[u8]| Item { id: evil(), image_png: Some(png.to_vec()), text: Some(evil()) };
    let png = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\0\x02\0\0\0\x02";
    let points = vec![(0.0, f64::NAN), (1.0, 1e300), (2.0, -1.0), (f64::NEG_INFINITY, 1.0), (3.0, 2.0)];
    let series = |run: &str| Series { name: evil(), run: run.into(), points: points.clone() };
    let score = |run: &str, value| ScoreRow {
        name: evil(),
        run: run.into(),
        set: evil(),
        value,
        low: Some(f64::NAN),
        high: None,
        chance: Some(f64::INFINITY),
        higher_is_better: false,
        unit: Unit::Named(evil()),
    };
    Page {
        title: evil(),
        subtitle: evil(),
        verdict: evil(),
        warnings: vec![evil(), evil()],
        facts: vec![(evil(), evil())],
        scores: vec![score(EVIL, Some(f64::NAN)), score("b", Some(1.0)), score("b", None)],
        samples: vec![hostile_samples(vec![item(png), item(EVIL.as_bytes())])],
        score_tables: vec![Table { title: evil(), rows: vec![vec![evil(), evil()]], ..Table::default() }],
        forests: vec![Forest { title: evil(), explanation: evil(), rows: vec![score(EVIL, Some(f64::NAN))] }],
        bars: vec![Bars { title: evil(), explanation: evil(), counts: vec![(evil(), u64::MAX), (evil(), 0)] }],
        examples: vec![ExampleGroup {
            title: evil(),
            explanation: evil(),
            kind: ExampleKind::Retrieval,
            examples: vec![Example {
                query: item(png),
                partner: Some(item(EVIL.as_bytes())),
                found: vec![Retrieved { item: item(png), score: Some(f64::NAN), hit: Some(true) }],
            }],
        }],
        losses: vec![series(EVIL), series("b")],
        charts: vec![hostile_chart(vec![series("b"), series(EVIL)])],
        pools: vec![PoolUsage {
            name: evil(),
            size: usize::MAX,
            coverage: Some(f64::NAN),
            counts: vec![(0, u64::MAX)],
            ..PoolUsage::default()
        }],
        tables: vec![Table {
            title: evil(),
            explanation: evil(),
            columns: vec![evil()],
            rows: vec![vec![evil(), evil()], vec![]],
        }],
        next: vec![Step { title: evil(), command: evil(), why: evil() }],
        sections: vec![Section { title: evil(), body: evil() }],
    }
}

fn hostile_samples(items: Vec<Item>) -> SampleGroup {
    SampleGroup { title: EVIL.into(), explanation: EVIL.into(), items }
}

/// Parses the page; panics if it is not well-formed (balanced tags, quoted attributes, no unknown entities).
fn parse(html: &str) -> roxmltree::Document<'_> {
    let options = roxmltree::ParsingOptions { allow_dtd: true, ..Default::default() };
    roxmltree::Document::parse_with_options(html, options).unwrap_or_else(|error| panic!("{error}\n{html}"))
}

#[test]
fn hostile_texts_stay_texts() {
    let html = render(&hostile());
    let document = parse(&html);
    for element in document.descendants().filter(|node| node.is_element()) {
        assert!(!["script", "iframe", "object", "link", "base", "form"].contains(&element.tag_name().name()));
        for attribute in element.attributes() {
            assert!(!attribute.name().starts_with("on"), "{attribute:?}");
            if ["src", "href"].contains(&attribute.name()) {
                assert!(attribute.value().starts_with("data:image/png;base64,") || attribute.value().starts_with('#'));
            }
        }
    }
    assert_eq!(document.descendants().filter(|node| node.has_tag_name("style")).count(), 1);
    let shown = document
        .descendants()
        .filter(|node| node.is_text())
        .filter(|node| node.text().is_some_and(|text| text.contains("<script>alert('x')")));
    assert!(shown.count() > 20, "the texts are shown");
}

#[test]
fn numbers_that_are_not_finite_are_not_drawn() {
    let html = render(&hostile());
    for svg in parse(&html).descendants().filter(|node| node.ancestors().any(|above| above.has_tag_name("svg"))) {
        for attribute in svg.attributes().filter(|attribute| attribute.name() != "aria-label") {
            assert!(!attribute.value().contains("NaN") && !attribute.value().contains("inf"), "{attribute:?}");
        }
    }
}

#[test]
fn undefined_scores_are_dashes_and_not_zero() {
    let score = ScoreRow { name: "R@10".into(), ..ScoreRow::default() };
    let html = render(&Page { scores: vec![score], ..Page::default() });
    let document = parse(&html);
    let cells: Vec<String> = document
        .descendants()
        .filter(|node| node.has_tag_name("td"))
        .map(|cell| cell.descendants().filter_map(|node| node.is_text().then(|| node.text()).flatten()).collect())
        .collect();
    assert_eq!(cells, ["–not defined", "–not defined", "–not defined", ""]);
    assert!(html.contains("none of these scores is defined"));
}

#[test]
fn an_empty_page_is_valid() {
    let html = render(&Page::default());
    let document = parse(&html);
    let heads: Vec<_> =
        document.descendants().filter(|node| node.has_tag_name("h1")).filter_map(|node| node.text()).collect();
    assert_eq!(heads, ["Report"]);
    assert_eq!(document.descendants().filter(|node| node.has_tag_name("h2")).count(), 0, "no section without content");
}

#[test]
fn a_section_with_content_has_its_heading() {
    let page = Page {
        next: vec![Step { title: "Go on".into(), command: "run --fast".into(), why: String::new() }],
        ..Page::default()
    };
    let html = render(&page);
    let document = parse(&html);
    let command =
        document.descendants().find(|node| node.attribute("class") == Some("command")).and_then(|node| node.text());
    assert_eq!(command, Some("run --fast"));
    let section = document.descendants().find(|node| node.attribute("id") == Some("next"));
    assert!(section.is_some_and(|section| section.descendants().any(|node| node.text() == Some("What to run next"))));
}

#[test]
fn equal_pages_give_equal_bytes() {
    assert_eq!(render(&hostile()), render(&hostile()));
}

#[test]
fn every_image_and_drawing_has_a_description() {
    let html = render(&hostile());
    for node in parse(&html).descendants() {
        match node.tag_name().name() {
            "img" => assert!(node.attribute("alt").is_some_and(|text| !text.is_empty())),
            "svg" => assert!(node.attribute("aria-label").is_some() || node.attribute("aria-hidden") == Some("true")),
            _ => {}
        }
    }
}

#[test]
fn compared_runs_keep_their_colours() {
    let series = |run: &str| Series { name: "total".into(), run: run.into(), points: vec![(0.0, 2.0), (1.0, 1.0)] };
    let score = |run: &str| ScoreRow { name: "R@10".into(), run: run.into(), value: Some(0.5), ..ScoreRow::default() };
    let html = render(&Page {
        losses: vec![series("b"), series("a")],
        scores: vec![score("a"), score("b")],
        ..Page::default()
    });
    let document = parse(&html);
    let with = |class: &str| document.descendants().any(|node| node.attribute("class") == Some(class));
    assert!(with("score c0") && with("score c1") && with("curve c0") && with("curve c1"));
    // The scores name run `a` first, so its curve has the first colour, although it is the second in the chart.
    let last = document.descendants().rfind(|node| {
        node.has_tag_name("path")
            && node.attribute("class").is_some_and(|class| {
                class.starts_with("curve") && !node.ancestors().any(|above| above.has_tag_name("li"))
            })
    });
    assert_eq!(last.and_then(|node| node.attribute("class")), Some("curve c0"));
}
