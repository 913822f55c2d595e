use ptu_data::record::{Label, Split};
use ptu_data::vectors::Modality;

use super::*;

fn row(labels: &[(&str, &str)]) -> VectorRow {
    VectorRow {
        id: "r7".into(),
        modality: Modality::Image,
        patient: "p1".into(),
        source: "own".into(),
        split: Some(Split::Test),
        labels: labels.iter().map(|(name, value)| Label::new(*name, *value)).collect(),
        fields: vec![Label::new("age", "61"), Label::new("view position", "AP"), Label::new("group", "b")],
        text: None,
        picture: None,
        path: Some("scans/r7.png".into()),
        vector: vec![],
    }
}

fn names() -> BTreeSet<String> {
    ["finding", "age", "view position", "group", "case", "dose", "Gr\u{f6}\u{df}e"].map(str::to_string).into()
}

fn parse(filter: &str) -> Filter {
    Filter::parse(filter, &names()).unwrap()
}

fn keeps(filter: &str) -> bool {
    parse(filter).keeps(&row(&[("finding", "mass"), ("finding", "effusion"), ("dose", "1"), ("dose", "100")]))
}

/// True if the filter keeps a row with this value of `finding`.
fn passes(finding: &str, filter: &str) -> bool {
    parse(filter).keeps(&row(&[("finding", finding)]))
}

#[test]
fn comparisons_are_true_as_expected() {
    for filter in [
        "finding = \"mass\"",
        "finding = 'effusion' and age > 7",
        "age between 60 and 61.0",
        "not finding = \"pneumonia\" and split = \"test\"",
        "finding != \"pneumonia\"",
        "(age < 5 or modality = 'image') and `view position` in ('AP', 'PA')",
        "finding like 'ef%n' and patient ilike 'P_'",
        "text is null and finding is not null",
        "finding not in ('x') and age >= -3",
        "path like '%.png' and split != 'val'",
        "age in (\"x\", 61)",
        "group = 'b' and case is null and group != \"case\"",
    ] {
        assert!(keeps(filter), "{filter}");
    }
    for filter in [
        "finding = \"Mass\"",
        "finding != \"mass\"",
        "age > 100",
        "text = ''",
        "id like 'r'",
        "age not between 1 and 99",
        "split = 'dev'",
    ] {
        assert!(!keeps(filter), "{filter}");
    }
}

#[test]
fn the_literal_decides_the_type_of_the_comparison() {
    let equal = |finding: &str, literal: &str| passes(finding, &format!("finding = {literal}"));
    for (finding, as_text, as_number) in [
        ("007", "\"007\"", "7"),
        ("7", "'7'", "07.0"),
        ("07.0", "\"07.0\"", "007"),
        ("1e3", "\"1e3\"", "1000"),
        ("1000", "\"1000\"", "1e3"),
        ("-3", "\"-3\"", "-3.0"),
        ("1.10", "\"1.10\"", "+1.1"),
        ("9007199254740993", "\"9007199254740993\"", "9007199254740993"),
    ] {
        assert!(equal(finding, as_text) && equal(finding, as_number), "{finding}");
        for other in ["\"7.\"", "\"1000.0\"", "\"-3.0\"", "\"1.1\"", "9007199254740992", "\"x\"", "8"] {
            assert!(!equal(finding, other), "{finding} = {other}");
        }
    }
    // Texts are ordered as texts, numbers as numbers.
    assert!(passes("1000", "finding < \"7\"") && !passes("1000", "finding < 7"));
    assert!(passes("0.1", "finding < 0.10000000000000000001") && !passes("0.1", "finding < 0.1"));
    assert!(passes("True", "finding = true") && !passes("1", "finding = true") && passes("no", "finding != false"));
}

#[test]
fn values_that_are_not_numbers_are_neither_equal_nor_less_nor_greater() {
    for odd in ["072Y", "9Y", "", "inf", "nan", "1,5", "2020-01-02"] {
        for holds in ["=", "<", "<=", ">", ">="] {
            assert!(!passes(odd, &format!("finding {holds} 9")), "{odd} {holds} 9");
        }
        assert!(!passes(odd, "finding in (9, 72, 1)") && !passes(odd, "finding between -1e9 and 1e9"), "{odd}");
        for otherwise in ["finding != 9", "finding not in (9, 72)", "not finding between 1 and 99", "not finding < 9"] {
            assert!(passes(odd, otherwise), "{odd}: {otherwise}");
        }
    }
}

#[test]
fn a_single_value_must_be_in_the_range() {
    assert!(!keeps("dose between 40 and 60"), "1 and 100 are not between");
    assert!(keeps("dose between 90 and 110") && keeps("dose > 40 and dose < 60"));
    assert!(keeps("dose not between 40 and 60") && !keeps("dose != 1") && keeps("dose != 50"));
}

#[test]
fn names_are_equal_in_both_forms_of_unicode() {
    let row = |name: &str, value: &str| VectorRow { patient: value.into(), ..row(&[(name, value)]) };
    let holds = |filter: &str, row: &VectorRow| Filter::parse(filter, &names()).unwrap().keeps(row);
    let (composed, decomposed) = ("M\u{fc}ller", "Mu\u{308}ller");
    for (value, literal) in [(composed, decomposed), (decomposed, composed)] {
        let row = row("Gr\u{f6}\u{df}e", value);
        assert!(holds(&format!("patient = \"{literal}\" and Gro\u{308}\u{df}e = '{literal}'"), &row), "{literal}");
        assert!(holds(&format!("patient in ('{literal}') and patient like '{literal}%'"), &row));
        assert!(holds(&format!("patient ilike '{}'", literal.to_uppercase()), &row));
        assert!(holds("patient like 'M_ller' and not patient < 'Mu' and patient between 'M' and 'N'", &row));
    }
    let both: BTreeSet<String> = ["Gr\u{f6}\u{df}e", "Gro\u{308}\u{df}e"].map(str::to_string).into();
    let filter = Filter::parse("Gr\u{f6}\u{df}e = 3", &both).unwrap();
    assert!(both.iter().all(|name| filter.keeps(&row(name, "3"))), "whichever way the row spells it");
}

#[test]
fn a_label_may_have_the_name_of_a_built_in_column() {
    let names = ["source".to_string()].into();
    let row = row(&[("source", "PACS")]);
    let holds = |filter: &str| Filter::parse(filter, &names).unwrap().keeps(&row);
    assert!(holds("source = 'PACS'") && holds("source = 'own'") && !holds("source = 'else'"));
}

#[test]
fn values_that_do_not_fit_are_counted() {
    let rows = [("72", "1"), ("072Y", "2"), ("9Y", "2a"), ("x", "")]
        .map(|(age, dose)| VectorRow { fields: vec![Label::new("age", age)], ..row(&[("dose", dose)]) });
    let notes = |filter: &str| parse(filter).notes(rows.iter());
    let counts = |counts: &[(&str, u64)]| counts.iter().map(|(name, count)| (name.to_string(), *count)).collect();
    assert_eq!(notes("age >= 60").no_numbers, counts(&[("age", 3)]));
    assert_eq!(notes("age >= 60").lines(), ["3 values of `age` are not numbers"]);
    let both = notes("not (age in (1, 2) or dose between 1 and 2) and age < 5");
    assert_eq!(both.no_numbers, counts(&[("age", 3), ("dose", 2)]));
    assert_eq!(both.lines().len(), 2);
    assert_eq!(notes("age = \"072Y\" and finding = 'x' and age like '7%'"), FilterNotes::default());
    let texts = notes("age >= \"60\"");
    assert_eq!((texts.as_texts.clone(), texts.no_numbers), (counts(&[("age", 1)]), counts(&[])));
    assert_eq!(notes("age = \"60\"").as_texts, counts(&[]), "equal is equal");
    let lines = notes("finding != 'x'").lines();
    assert!(lines[0].contains("4 rows have no `finding`") && lines[0].contains("is not null"), "{lines:?}");
    assert_eq!(notes("not finding is null"), FilterNotes::default());
}

#[test]
fn errors_name_the_place_in_the_filter() {
    let fails = |filter: &str, parts: &[&str]| {
        let error = Filter::parse(filter, &names()).unwrap_err().to_string();
        parts.iter().for_each(|part| assert!(error.contains(part), "`{part}` is not in: {error}"));
    };
    fails("finding = ", &["finding = ", "column 1"]);
    fails("finding = \"mass", &["column 11", "end the text with the quotation mark"]);
    fails("finding = mass", &["`mass` at column 11", "\"mass\""]);
    fails("finding = age", &["`age` at column 11", "\"age\""]);
    fails("findings = 'mass'", &["no row has `findings` at column 1", "did you mean `finding`?"]);
    fails("AGE >= 60", &["no row has `AGE` at column 1", "did you mean `age`?", "there are `age`, "]);
    fails("age between 1 and \"x\"", &["`1`, a number", "`\"x\"`, a text", "column 13", "write two numbers"]);
    fails("not age between '1' and 2", &["`'1'`, a text", "`2`, a number"]);
    fails("finding = \u{201c}mass\u{201d}", &["`\u{201c}` at column 11", "write \" instead"]);
    fails("age \u{2265} 60", &["`\u{2265}` at column 5", "write >= instead"]);
    fails("age >", &["column 6", "write comparisons such as"]);
    fails("age > 3 age", &["`age` was not expected, at column 9", "join comparisons"]);
    fails("'mass' = finding", &["is not a name"]);
    fails("age + 1", &["`+` is not a comparison"]);
    fails("lower(finding) = 'x'", &["`lower(finding)`"]);
    fails("age", &["`age` at column 1 is not a condition"]);
    fails("age = null", &["is null"]);
    fails("age > true", &["cannot be compared by order"]);
    fails("age = -\"3\"", &["only a number can have a sign"]);
    fails("age = 0x1F", &["is not a value"]);
    fails("age like 6", &["`6`", "quotation marks"]);
    fails("finding like 'a!%' escape '!'", &["escape", "is not a condition"]);
    fails("modality = 'images'", &["`image`, `text` or `pair`", "images"]);
    fails("split in ('train', 'holdout')", &["`train`, `validate` or `test`", "holdout"]);
    fails("", &["column 1"]);
    fails(&"(".repeat(5000), &["recursion", "fewer parentheses"]);
    fails(&"a".repeat(20_000), &["longer than", "shorter"]);
}

/// A command then ends with the exit code for wrong arguments.
#[test]
fn a_filter_that_cannot_be_used_is_a_wrong_argument() {
    for filter in ["", "age >", "ages = 3", "age between 1 and 'x'", &"a".repeat(20_000)] {
        assert!(Filter::parse(filter, &names()).unwrap_err().is_usage(), "{filter:.40}");
    }
    let vectors = InferError::Vectors { path: "v.parquet".into(), cause: "it holds no vector".into() };
    assert!(!vectors.is_usage());
}
