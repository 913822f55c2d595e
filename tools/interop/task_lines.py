"""Computes every line of `cargo xtask phantom-tasks OUT` or `cargo xtask real-tasks DATA OUT` again from the saved predictions and ranks, with
programs of others.

    python tools/interop/task_lines.py FOLDER

FOLDER has `lines.jsonl` (OUT of phantom-tasks, OUT/tasks of real-tasks). It needs tools/reference/requirements-text-metrics.txt and Java;
for AUROC also scikit-learn. Accuracy and recall are counted here, BLEU-4 and its tokens come from pycocoevalcap, ROUGE-L from rouge_score,
AUROC from scikit-learn. Values and differences must agree within 1e-4; the ends of intervals, which come from other random resamples here,
within 0.02.
"""

import json
import random
import sys
from math import comb
from pathlib import Path

RESAMPLES = 1000


def read(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def mean(values):
    values = list(values)
    return sum(values) / len(values) if values else None


def predicted(line, taken):
    if taken == "own":
        return line["predicted"] if "predicted" in line else line.get("text")
    return line.get("others", {}).get(taken)


def accuracy(lines, taken):
    values = [float(line["right"] == predicted(line, taken)) for _, line in lines]
    return lambda records: mean(values[record] for record in records)


def rouge(lines, taken):
    from rouge_score.rouge_scorer import RougeScorer

    scorer = RougeScorer(["rougeL"], use_stemmer=True)
    values = [scorer.score(line["reference"], predicted(line, taken))["rougeL"].fmeasure for _, line in lines]
    return lambda records: mean(values[record] for record in records)


def bleu(lines, taken):
    """BLEU-4 from the counts of each text, which pycocoevalcap's scorer keeps."""
    from pycocoevalcap.bleu.bleu_scorer import BleuScorer
    from pycocoevalcap.tokenizer.ptbtokenizer import PTBTokenizer

    def tokens(texts):
        found = PTBTokenizer().tokenize({number: [{"caption": text}] for number, text in enumerate(texts)})
        return [found[number][0] for number in range(len(texts))]

    texts = tokens([predicted(line, taken) for _, line in lines])
    pairs = list(zip(texts, tokens([line["reference"] for _, line in lines])))

    def value(records):
        scorer = BleuScorer(n=4)
        for record in records:
            hypothesis, reference = pairs[record]
            scorer += (hypothesis, [reference])
        return scorer.compute_score(option="closest", verbose=0)[0][3]

    return value


def recall(lines, taken):
    candidates = len(lines) // 2

    def found(line, k):
        if taken == "chance":
            k = min(k, candidates)
            return 1 - comb(candidates - line["hits"], k) / comb(candidates, k)
        return float(line["rank"] is not None and line["rank"] <= k)

    values = [sum(found(line, k) for k in (1, 5, 10)) / 3 for _, line in lines]
    return lambda records: mean(values[record] for record in records)


def auroc(lines, taken):
    from sklearn.metrics import roc_auc_score

    def logits(line):
        if taken == "chance":
            return [0.0] * len(line["labels"])
        return line["logits"] if taken == "own" else line["other_logits"][taken]

    known = [(fold, logits(line), line["labels"]) for fold, line in lines]
    groups = [(fold, label) for fold in sorted({fold for fold, _ in lines}) for label in range(len(known[0][1]))]

    def value(records):
        areas = []
        for fold, label in groups:
            chosen = [known[record] for record in records]
            chosen = [(truth[label], logit[label]) for own, logit, truth in chosen if own == fold and truth[label] is not None]
            if len({truth for truth, _ in chosen}) == 2:
                areas.append(roc_auc_score(*zip(*chosen)))
        return mean(areas)

    return value


METRICS = {"accuracy": accuracy, "ROUGE-L": rouge, "BLEU-4": bleu, "mean-recall": recall, "AUROC": auroc}


def statistic(folder, way, metric):
    """The patients, and the mean over seeds as a function of records."""
    seeds, patients = [], None
    for files in way["seeds"]:
        lines = [(fold, line) for fold, file in enumerate(files) for line in read(folder / file)]
        patients = patients or [line["patient"] for _, line in lines]
        seeds.append(METRICS[metric](lines, way["taken"]))
    return patients, lambda records: mean(seed(records) for seed in seeds)


def interval(patients, value, resamples):
    members = {}
    for record, patient in enumerate(patients):
        members.setdefault(patient, []).append(record)
    groups, draw = list(members.values()), random.Random(1)
    values = sorted(
        value([record for group in draw.choices(groups, k=len(groups)) for record in group]) for _ in range(resamples)
    )
    return values[int(0.025 * resamples)], values[int(0.975 * resamples)]


def main():
    folder = Path(sys.argv[1])
    checked, wrong = 0, 0
    for entry in read(folder / "lines.jsonl"):
        words, metric = entry["line"].split(), entry["metric"]
        at = lambda word, count: [float(value) for value in words[words.index(word) + 1 : words.index(word) + 1 + count]]
        patients, model = statistic(folder, entry["model"], metric)
        everyone = list(range(len(patients)))
        others = {way["name"]: statistic(folder, way, metric)[1] for way in entry["baselines"]}
        other = others[entry["against"]["name"]]
        difference = lambda records: model(records) - other(records)
        exact = [
            ("n", at("n", 1)[0], len(patients)),
            ("value", at("value", 1)[0], model(everyone)),
            ("baseline", at("baseline", 1)[0], other(everyone)),
            ("the best baseline", at("baseline", 1)[0], max(value(everyone) for value in others.values())),
            ("diff", at("diff", 1)[0], difference(everyone)),
        ]
        low, high = interval(patients, difference, 200 if metric in ("BLEU-4", "AUROC") else RESAMPLES)
        near = [("the low end", at("diff", 3)[1], low), ("the high end", at("diff", 3)[2], high)]
        for what, said, found in exact + near:
            checked += 1
            if abs(said - found) > (0.02 if what.endswith("end") else 1e-4):
                wrong += 1
                print(f"{words[0]} {words[1]}: {what} is {said}, computed again {found:.4f}")
    print(f"{checked} numbers of {folder.name} computed again, {wrong} of them differ")
    sys.exit(wrong > 0 or checked == 0)


if __name__ == "__main__":
    main()
