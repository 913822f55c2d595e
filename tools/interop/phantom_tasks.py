"""Computes every line of `cargo xtask phantom-tasks OUT` again from the saved predictions and ranks, with programs of others.

    python tools/interop/phantom_tasks.py OUT

needs tools/reference/requirements-text-metrics.txt and Java. Accuracy and recall are counted here, BLEU-4 and its tokens come from
pycocoevalcap, ROUGE-L from rouge_score. Values and differences must agree within 1e-4; the ends of intervals, which come from other random
resamples here, within 0.02.
"""

import json
import random
import sys
from pathlib import Path

SEEDS = range(3)
RESAMPLES = 1000
BASELINES = {
    "question-answering": ["baseline", "missing"],
    "finding-from-image": ["baseline", "probe"],
    "finding-from-text": ["baseline", "probe"],
    "report-from-image": ["baseline", "blank"],
    "impression-from-findings": ["baseline"],
}


def read(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def rights(lines, predicted):
    return [float(line["right"] == one) for line, one in zip(lines, predicted)]


def rouge(lines, predicted):
    from rouge_score.rouge_scorer import RougeScorer

    scorer = RougeScorer(["rougeL"], use_stemmer=True)
    return [scorer.score(line["reference"], one)["rougeL"].fmeasure for line, one in zip(lines, predicted)]


def mean(values):
    return lambda records: sum(values[record] for record in records) / len(records)


def bleu(lines, predicted):
    """BLEU-4 from the counts of each text, which pycocoevalcap's scorer keeps."""
    from pycocoevalcap.bleu.bleu_scorer import BleuScorer
    from pycocoevalcap.tokenizer.ptbtokenizer import PTBTokenizer

    def tokens(texts):
        found = PTBTokenizer().tokenize({number: [{"caption": text}] for number, text in enumerate(texts)})
        return [found[number][0] for number in range(len(texts))]

    pairs = list(zip(tokens(predicted), tokens([line["reference"] for line in lines])))

    def value(records):
        scorer = BleuScorer(n=4)
        for record in records:
            hypothesis, reference = pairs[record]
            scorer += (hypothesis, [reference])
        return scorer.compute_score(option="closest", verbose=0)[0][3]

    return value


def recall(ranks):
    return mean([sum(float(one["rank"] is not None and one["rank"] <= k) for k in (1, 5, 10)) / 3 for one in ranks])


def statistics(out, name, metric):
    """The patients, the mean over seeds of the model, and of each baseline, as functions of records."""
    runs = [out / name / f"seed-{seed}" for seed in SEEDS if (out / name / f"seed-{seed}").exists()]
    if metric == "mean-recall":
        ranks = [read(run / "rankings/ranks.jsonl") for run in runs]
        zero_shot = read(out / name / "zero-shot/ranks.jsonl")
        return [one["patient"] for one in zero_shot], [recall(one) for one in ranks], {"zero-shot": [recall(zero_shot)]}
    score = {"accuracy": lambda *pair: mean(rights(*pair)), "ROUGE-L": lambda *pair: mean(rouge(*pair)), "BLEU-4": bleu}[metric]
    predictions = [read(run / "predictions.jsonl") for run in runs]
    own = [score(lines, [one.get("predicted", one.get("text")) for one in lines]) for lines in predictions]
    others = {}
    for way in BASELINES[name] + ["other"]:
        if way == "probe":
            # A probe of the starting model does not depend on the seed, so only the first run has it.
            others[way] = [score(predictions[0], [line["others"][way] for line in predictions[0]])]
            continue
        if all(way in line.get("others", {}) for lines in predictions for line in lines):
            others[way] = [score(lines, [line["others"][way] for line in lines]) for lines in predictions]
    return [line["patient"] for line in predictions[0]], own, others


def over_seeds(functions):
    return lambda records: sum(function(records) for function in functions) / len(functions)


def interval(patients, statistic, resamples):
    members = {}
    for record, patient in enumerate(patients):
        members.setdefault(patient, []).append(record)
    groups, draw = list(members.values()), random.Random(1)
    values = sorted(
        statistic([record for group in draw.choices(groups, k=len(groups)) for record in group]) for _ in range(resamples)
    )
    return values[int(0.025 * resamples)], values[int(0.975 * resamples)]


def main():
    out = Path(sys.argv[1])
    checked, wrong = 0, 0
    for line in (out / "lines.txt").read_text().splitlines():
        kind, name, *words = line.split()
        if kind == "failed":
            continue
        at = lambda word, count: [float(value) for value in words[words.index(word) + 1 : words.index(word) + 1 + count]]
        metric = words[words.index("metric") + 1]
        patients, own, others = statistics(out, name, metric)
        against = words[words.index("against") + 1]
        model, other, everyone = over_seeds(own), over_seeds(others[against]), list(range(len(patients)))
        difference = lambda records: model(records) - other(records)
        resamples = 200 if metric == "BLEU-4" else RESAMPLES
        exact = [
            ("n", at("n", 1)[0], len(patients)),
            ("value", at("value", 1)[0], model(everyone)),
            ("baseline", at("baseline", 1)[0], other(everyone)),
            ("diff", at("diff", 1)[0], difference(everyone)),
        ]
        if kind == "task":
            best = max((over_seeds(others[way])(everyone), way) for way in others if way != "other" or len(others) == 1)
            exact.append(("the best baseline", at("baseline", 1)[0], best[0]))
        low, high = interval(patients, difference, resamples)
        near = [("the low end", at("diff", 3)[1], low), ("the high end", at("diff", 3)[2], high)]
        for what, said, found in exact + near:
            checked += 1
            tolerance = 0.02 if what.endswith("end") else 1e-4
            if abs(said - found) > tolerance:
                wrong += 1
                print(f"{kind} {name}: {what} is {said}, computed again {found:.4f}")
    print(f"{checked} numbers of phantom-tasks computed again, {wrong} of them differ")
    sys.exit(wrong > 0 or checked == 0)


if __name__ == "__main__":
    main()
