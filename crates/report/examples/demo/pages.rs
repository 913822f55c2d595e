//! Pages with invented numbers that are similar to those of real runs.

use ptu_random::{Key, Place, Stream};
use ptu_report::{
    Band, Bars, Chart, Example, ExampleGroup, ExampleKind, Item, Page, PoolUsage, Retrieved, ScoreRow, Section, Series,
    Step, Table, Unit,
};

use crate::picture::{Organ, Scene, png};

fn stream(index: u64) -> Stream {
    Key::new(7).stream(Place::Sample, index)
}

/// One run, similar to the page of `quickstart`.
pub fn single() -> Page {
    Page {
        title: "PTUnifier quickstart".into(),
        subtitle: "ptunifier quickstart · invented numbers for demonstration".into(),
        verdict:
            "Retrieval on 200 held-out pairs: for 62 % of the images, one of the first 10 retrieved reports is correct; for 58 % \
                  of the reports, one of the first 10 retrieved images is correct. The chance level is 5 %."
                .into(),
        warnings: vec!["VQA-RAD, abdomen: no clear difference from chance, whose level lies in the interval.".into()],
        facts: facts(),
        scores: scores("", 0.0),
        score_tables: vec![],
        forests: vec![],
        samples: vec![],
        bars: vec![bars()],
        examples: examples(),
        losses: ["total", "masked words (MLM)", "matching (ITM)", "contrast (ITC)"]
            .into_iter()
            .zip([(10.2, 2.9), (6.9, 1.9), (0.70, 0.29), (3.4, 0.9)])
            .enumerate()
            .map(|(index, (name, (from, to)))| loss(name, "", (from, to), index as u64))
            .collect(),
        charts: vec![rates(), norms(), throughput(), curves()],
        pools: vec![usage("Prompts in place of missing images", 5), usage("Prompts in place of missing texts", 6)],
        tables: vec![],
        next: next(),
        sections: sections(),
    }
}

fn bars() -> Bars {
    let counts = [("none", 2_310), ("effusion", 811), ("fracture", 402), ("mass", 377)];
    Bars {
        title: "finding".into(),
        explanation: "Training records.".into(),
        counts: counts.map(|(name, count)| (name.into(), count)).to_vec(),
    }
}

/// A comparison of two runs.
pub fn comparison() -> Page {
    let runs = ["pool of 1,024", "no prompts"];
    let losses = ["total", "masked words (MLM)"].into_iter().zip([(10.2, 2.9), (6.9, 1.9)]).enumerate().flat_map(
        |(index, (name, (from, to)))| {
            [loss(name, runs[0], (from, to), index as u64), loss(name, runs[1], (from, to * 1.12), 50 + index as u64)]
        },
    );
    let rows = [["records", "4,000", "4,000"], ["weights", "11.8 M", "10.9 M"], ["time", "7 min 48 s", "7 min 02 s"]];
    Page {
        title: "Comparison of two runs".into(),
        subtitle: "ptunifier inspect runs/pool runs/none".into(),
        verdict:
            "With the prompt pool, retrieval is better in both directions: R@10 is 0.62 instead of 0.53, and 0.58 instead of 0.49."
                .into(),
        scores: scores(runs[0], 0.0).into_iter().zip(scores(runs[1], -0.09)).flat_map(|(a, b)| [a, b]).collect(),
        losses: losses.collect(),
        charts: vec![Chart {
            title: "Global norm of the gradient".into(),
            x_label: "step".into(),
            y_label: "norm".into(),
            series: runs
                .iter()
                .enumerate()
                .map(|(index, run)| loss("norm", run, (9.0, 1.4), 70 + index as u64))
                .collect(),
            log_y: true,
            smooth: true,
            ..Chart::default()
        }],
        tables: vec![Table {
            title: "The runs".into(),
            columns: ["", runs[0], runs[1]].map(String::from).to_vec(),
            rows: rows.map(|row| row.map(String::from).to_vec()).to_vec(),
            ..Table::default()
        }],
        ..Page::default()
    }
}

fn facts() -> Vec<(String, String)> {
    let facts = [
        ("records", "4,000 pairs, 12 % without image, 9 % without text"),
        ("held out", "200 pairs of other patients"),
        ("weights", "11.8 million"),
        ("steps", "1,500 of batch 32"),
        ("time", "7 min 48 s"),
        ("machine", "2 cores, AVX-512, 16 GB"),
        ("peak memory", "2.1 GB"),
        ("seed", "1"),
        ("commit", "3f9c2ab"),
        ("weights' hash", "b3:91d0c7a4"),
    ];
    facts.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec()
}

/// The name of the data set that was scored.
const SCORED_ON: &str = "demonstration, split test, all 200 pairs";

fn scores(run: &str, shift: f64) -> Vec<ScoreRow> {
    let share = |name: &str, value: Option<f64>, chance: f64| ScoreRow {
        name: name.into(),
        run: run.into(),
        set: SCORED_ON.into(),
        value: value.map(|value| value + shift),
        low: value.map(|value| (value + shift - 0.07).max(0.0)),
        high: value.map(|value| (value + shift + 0.066).min(1.0)),
        chance: Some(chance),
        higher_is_better: true,
        unit: Unit::Fraction,
    };
    vec![
        share("R@1 image to text", Some(0.215), 0.005),
        share("R@5 image to text", Some(0.485), 0.025),
        share("R@10 image to text", Some(0.62), 0.05),
        share("R@1 text to image", Some(0.19), 0.005),
        share("R@5 text to image", Some(0.44), 0.025),
        share("R@10 text to image", Some(0.58), 0.05),
        share("Matching accuracy (ITM)", Some(0.874), 0.5),
        share("Masked words (MLM)", Some(0.71), 0.083),
        share("R@10, VQA-RAD abdomen", Some(0.29), 0.27),
        share("R@10, VQA-RAD head (no record)", None, 0.25),
        ScoreRow {
            name: "Median rank image to text".into(),
            run: run.into(),
            set: SCORED_ON.into(),
            value: Some(6.0 - 30.0 * shift),
            low: Some(4.0),
            high: Some(8.5 - 30.0 * shift),
            chance: Some(100.5),
            higher_is_better: false,
            unit: Unit::Rank,
        },
    ]
}

fn loss(name: &str, run: &str, (from, to): (f64, f64), index: u64) -> Series {
    let mut noise = stream(100 + index);
    let points = (1..=1500)
        .map(|step| {
            let fallen = (-f64::from(step) / 280.0).exp();
            let value = to + (from - to) * fallen + 0.10 * (to + (from - to) * fallen) * noise.between(-1.0, 1.0);
            (f64::from(step), value)
        })
        .collect();
    Series { name: name.into(), run: run.into(), points }
}

fn rates() -> Chart {
    let rate = |name: &str, peak: f64| Series {
        name: name.into(),
        run: String::new(),
        points: (0..=1500)
            .step_by(10)
            .map(|step| {
                (
                    f64::from(step),
                    peak * if step < 150 { f64::from(step) / 150.0 } else { f64::from(1500 - step) / 1350.0 },
                )
            })
            .collect(),
    };
    Chart {
        title: "Learning rates".into(),
        x_label: "step".into(),
        y_label: "rate".into(),
        series: vec![rate("encoders", 2e-4), rate("fusion and heads", 5e-4), rate("prompts", 1e-3)],
        ..Chart::default()
    }
}

fn norms() -> Chart {
    let names = ["image encoder", "text encoder", "fusion", "prompts"];
    let ends = [(4.0, 0.6), (9.0, 1.1), (2.0, 0.3), (0.08, 0.004)];
    Chart {
        title: "Gradient norms".into(),
        explanation: "One line for each parameter group, before clipping.".into(),
        x_label: "step".into(),
        y_label: "norm".into(),
        series: names
            .iter()
            .zip(ends)
            .enumerate()
            .map(|(index, (name, ends))| loss(name, "", ends, 20 + index as u64))
            .collect(),
        log_y: true,
        smooth: true,
        ..Chart::default()
    }
}

fn throughput() -> Chart {
    let mut noise = stream(40);
    let points = (0..1500).map(|step| {
        (f64::from(step), if (700..760).contains(&step) { f64::NAN } else { 102.0 + noise.between(-9.0, 5.0) })
    });
    Chart {
        title: "Throughput".into(),
        explanation: "The gap is where the run was stopped and resumed.".into(),
        x_label: "step".into(),
        y_label: "pairs / s".into(),
        series: vec![Series { name: "pairs / s".into(), run: String::new(), points: points.collect() }],
        smooth: true,
        ..Chart::default()
    }
}

fn curves() -> Chart {
    let replacements = [("prompts", 0.62, 0.36), ("zeros", 0.62, 0.17), ("nothing", 0.62, 0.25)];
    let at = |(from, to): (f64, f64), share: f64| from + (to - from) * share * share;
    let shares = [0.0, 25.0, 50.0, 75.0, 100.0];
    Chart {
        title: "Score with missing images".into(),
        explanation: "One line for each replacement of a missing image. Bands are 95 % intervals.".into(),
        x_label: "% of images missing".into(),
        y_label: "R@10".into(),
        series: replacements
            .iter()
            .map(|&(name, from, to)| Series {
                name: name.into(),
                run: String::new(),
                points: shares.map(|share| (share, at((from, to), share / 100.0))).to_vec(),
            })
            .collect(),
        bands: replacements
            .iter()
            .map(|&(name, from, to)| Band {
                name: name.into(),
                run: String::new(),
                points: shares
                    .map(|share| {
                        let value = at((from, to), share / 100.0);
                        (share, value - 0.05, value + 0.05)
                    })
                    .to_vec(),
            })
            .collect(),
        ..Chart::default()
    }
}

fn usage(name: &str, index: u64) -> PoolUsage {
    let mut noise = stream(index);
    let mut counts: Vec<(usize, u64)> = (0..36)
        .map(|rank| (noise.below(1024), (4200.0 / (f64::from(rank) + 1.0).powf(0.8) * noise.between(0.9, 1.1)) as u64))
        .collect();
    counts.sort_by_key(|&(_, times)| std::cmp::Reverse(times));
    PoolUsage {
        name: name.into(),
        size: 1024,
        coverage: Some(0.417),
        entropy_bits: Some(7.62),
        max_entropy_bits: Some(10.0),
        distinct_per_1000: Some(238.0),
        counts,
        map: None,
    }
}

fn item(scene: Scene, id: u64) -> Item {
    let side = if scene.side < 0.0 { "right" } else { "left" };
    let size = (scene.finding * 100.0).round();
    let text = match (scene.organ, scene.finding > 0.0) {
        (Organ::Chest, true) => format!(
            "Frontal chest radiograph. A rounded opacity of {size} mm projects over the \
        {side} mid zone. Heart size is normal, no effusion.\nImpression: nodule in the {side} lung."
        ),
        (Organ::Chest, false) => "Chest, PA view. Lungs are clear on both sides. The cardiac silhouette is not \
        enlarged.\nImpression: no acute finding."
            .into(),
        (Organ::Hand, true) => format!(
            "Radiograph of the {side} hand. Dense focus of {size} mm at the metacarpal \
        base. Joint spaces are kept.\nImpression: sclerotic lesion."
        ),
        (Organ::Hand, false) => format!(
            "{side} hand, dorsopalmar. Alignment is regular, no fracture is \
        seen.\nImpression: normal hand."
        ),
        (Organ::Skull, true) => format!(
            "Skull, frontal view. Calcified focus of {size} mm in the {side} parietal \
        region.\nImpression: solitary calcification."
        ),
        (Organ::Skull, false) => "Frontal skull radiograph. The vault is intact, sinuses are aerated.\nImpression: \
        unremarkable."
            .into(),
    };
    Item { id: format!("phantom-{id:05}"), image_png: Some(png(scene, &mut stream(1000 + id))), text: Some(text) }
}

fn picture(item: Item) -> Item {
    Item { text: None, ..item }
}

fn text(item: Item) -> Item {
    Item { image_png: None, ..item }
}

fn examples() -> Vec<ExampleGroup> {
    use Organ::{Chest, Hand, Skull};
    let scene = |organ, side, finding| Scene { organ, side, finding };
    let pool = [
        scene(Chest, -1.0, 0.13),
        scene(Chest, 1.0, 0.13),
        scene(Chest, -1.0, 0.0),
        scene(Chest, -1.0, 0.08),
        scene(Hand, 1.0, 0.09),
        scene(Hand, -1.0, 0.0),
        scene(Hand, 1.0, 0.0),
        scene(Skull, 1.0, 0.1),
        scene(Skull, -1.0, 0.0),
        scene(Skull, -1.0, 0.1),
    ];
    let of = |index: usize| item(pool[index], 300 + 17 * index as u64);
    let found =
        |(index, score, hit): (usize, f64, bool)| Retrieved { item: of(index), score: Some(score), hit: Some(hit) };
    let queries: [(usize, Vec<Retrieved>); 3] = [
        (0, [(0, 0.831, true), (3, 0.764, false), (1, 0.702, false), (2, 0.611, false), (9, 0.214, false)]),
        (4, [(6, 0.792, false), (4, 0.788, true), (5, 0.644, false), (0, 0.181, false), (7, 0.160, false)]),
        (8, [(7, 0.701, false), (9, 0.688, false), (2, 0.305, false), (5, 0.198, false), (6, 0.101, false)]),
    ]
    .map(|(index, hits)| (index, hits.map(found).into()));
    let direction = |query: fn(Item) -> Item, other: fn(Item) -> Item| {
        let one = |(index, found): &(usize, Vec<Retrieved>)| Example {
            query: query(of(*index)),
            partner: Some(other(of(*index))),
            found: found.iter().map(|found| Retrieved { item: other(found.item.clone()), ..found.clone() }).collect(),
        };
        queries.iter().map(one).collect()
    };
    let explanation = "Drawn at random from the held-out pairs: one with a correct first result, one with a later one, one without. A \
                       result is correct if organ, side, finding and size are the same, in whatever record.";
    vec![
        ExampleGroup {
            title: "image-to-text retrieval".into(),
            explanation: explanation.into(),
            kind: ExampleKind::Retrieval,
            examples: direction(picture, text),
        },
        ExampleGroup {
            title: "text-to-image retrieval".into(),
            explanation: explanation.into(),
            kind: ExampleKind::Retrieval,
            examples: direction(text, picture),
        },
    ]
}

fn next() -> Vec<Step> {
    let step =
        |title: &str, command: &str, why: &str| Step { title: title.into(), command: command.into(), why: why.into() };
    vec![
        step(
            "Train on your own pairs",
            "ptunifier prepare table pairs.csv --out data/mine\nptunifier pretrain recipes/pretrain/table.toml \
            --set data='[\"data/mine\"]' --out runs/mine",
            "A CSV with image paths and texts is enough; images or texts may be missing.",
        ),
        step(
            "Evaluate the model on other records",
            "ptunifier evaluate runs/quickstart/bundle --data data/other",
            "The scores above are for one held-out set; another set shows whether they generalise.",
        ),
        step(
            "Train longer",
            "ptunifier pretrain recipes/pretrain/phantom.toml --set train.steps=10000 --out runs/long",
            "All losses were still falling when the run ended.",
        ),
    ]
}

fn sections() -> Vec<Section> {
    let recipe = "objectives = [\"mlm\", \"itm\", \"itc\"]\nseed = 1\ndata = [{ path = \"data/phantom\", weight = \
    1.0 }]\n\n[model]\npreset = \"tiny\"\n\n[prompts]\nkind = \"pool\"\nsize = 1024\ntake = 16\n\n[train]\nsteps = \
    1500\nbatch = 32\nsave_every = 250\n";
    let manifest = "{\n  \"records\": 4000,\n  \"splits\": { \"train\": 3600, \"valid\": 200, \"test\": 200 },\n  \
    \"hash\": \"b3:5d1e…\"\n}\n";
    vec![
        Section { title: "Recipe of this run".into(), body: recipe.into() },
        Section { title: "Manifest of the data".into(), body: manifest.into() },
    ]
}
