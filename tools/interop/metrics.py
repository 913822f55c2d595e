"""Computes the scores of our evaluations again with scikit-learn and ranx; exits with 1 where a number differs by more than 1e-6.

usage: metrics.py runs RUN...               task-scores.json and predictions.jsonl of fine-tuned runs, each scored on one data set
       metrics.py zero-shot RUN...          zero-shot-scores.json and zero-shot-predictions.jsonl of pre-trained runs
       metrics.py golden RANKING.json       the rankings of the tests of ptu-metrics, written and read as TREC files
       metrics.py trec QRELS RUN SCORES     a TREC run and its relevance judgements; SCORES is a JSON object with keys such as hit_rate@5, mrr, ndcg@10

Versions: tools/reference/requirements-metrics.txt.
"""

import json
import os
import sys
import tempfile

import numpy as np

TOLERANCE = 1e-6
BINS = 15  # of the expected calibration error
OTHER = "(a class that the model does not know)"


class Check:
    """Compares numbers and remembers whether all were equal."""

    def __init__(self):
        self.count, self.failed = 0, []

    def equal(self, what, ours, theirs):
        self.count += 1
        undefined = theirs is None or (isinstance(theirs, float) and np.isnan(theirs))
        same = ours is None if undefined else ours is not None and abs(ours - theirs) <= TOLERANCE
        if not same:
            self.failed.append(f"{what}: ours {ours}, reference {theirs}")

    def finish(self, name):
        for line in self.failed:
            print(f"{name}: {line}")
        if self.failed:
            sys.exit(1)
        print(f"{name}: {self.count} numbers equal")


def mean(values):
    defined = [value for value in values if not np.isnan(value)]
    return float(np.mean(defined)) if defined else float("nan")


def binary(score, truths, scores):
    """A score of one label; undefined without positives or without negatives."""
    return float(score(truths, scores)) if 0 < np.sum(truths) < len(truths) else float("nan")


def calibration_error(probabilities, right):
    """The expected calibration error (Guo et al., 2017): equal bins that include their upper end, weighted by their records."""
    # Ours are rounded to 32 bits first, so that a probability at the edge of a bin is in the same one.
    probabilities = np.asarray(probabilities, dtype=np.float32).astype(np.float64)
    right = np.asarray(right, dtype=np.float64)
    bins = np.clip(np.ceil(probabilities * BINS).astype(int) - 1, 0, BINS - 1)
    error = 0.0
    for one in range(BINS):
        inside = bins == one
        if inside.any():
            error += inside.mean() * abs(probabilities[inside].mean() - right[inside].mean())
    return float(error)


def check_classes(check, report, scores, lines, names):
    from scipy.special import log_softmax, softmax
    from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score, roc_auc_score

    right = [line["right"] or OTHER for line in lines]
    logits = np.array([line["logits"] for line in lines], dtype=np.float32).astype(np.float64)
    predicted = [names[row] for row in np.argmax(logits, axis=1)]
    assert predicted == [line["predicted"] for line in lines], "the predicted class is that of the largest logit"
    check.equal("accuracy", scores["accuracy"], accuracy_score(right, predicted))
    check.equal("balanced accuracy", scores["balanced accuracy"], balanced_accuracy_score(right, predicted))
    present = sorted(set(right) | set(predicted))
    check.equal("macro F1", scores["macro F1"], f1_score(right, predicted, labels=present, average="macro"))
    ranked = log_softmax(logits, axis=1)
    of_class = [binary(roc_auc_score, np.array(right) == name, ranked[:, place]) for place, name in enumerate(names)]
    check.equal("mean AUROC", scores["mean AUROC"], mean(of_class))
    for name, value in zip(names, of_class):
        check.equal(f"AUROC {name}", scores[f"AUROC {name}"], value)
    temperature = report["calibration"].get("temperature")
    for when, divisor in [("before", 1.0), ("after", temperature)]:
        if divisor is not None:
            top = softmax(logits / divisor, axis=1).max(axis=1)
            check.equal(f"calibration error {when}", report["calibration"][when],
                        calibration_error(top, np.array(predicted) == np.array(right)))
    for line, row in zip(lines, softmax(logits / (temperature or 1.0), axis=1)):
        assert np.abs(np.array(line["probabilities"]) - row).max() <= TOLERANCE, line["id"]


def check_labels(check, report, scores, lines, names):
    from scipy.special import expit
    from sklearn.metrics import average_precision_score, f1_score, roc_auc_score

    logits = np.array([line["logits"] for line in lines], dtype=np.float32).astype(np.float64)
    known = np.array([[truth is not None for truth in line["labels"]] for line in lines])
    truths = np.array([[truth is True for truth in line["labels"]] for line in lines])
    columns = [(truths[known[:, place], place], logits[known[:, place], place]) for place in range(len(names))]
    of_label = [binary(roc_auc_score, *column) for column in columns]
    check.equal("mean AUROC", scores["mean AUROC"], mean(of_label))
    for name, value in zip(names, of_label):
        check.equal(f"AUROC {name}", scores[f"AUROC {name}"], value)
    check.equal("mean average precision", scores["mean average precision"],
                mean([binary(average_precision_score, *column) for column in columns]))
    f1 = [float(f1_score(right, logit > 0, zero_division=np.nan)) for right, logit in columns]
    check.equal("macro F1", scores["macro F1"], mean(f1))
    for when, divisor in [("before", 1.0), ("after", report["calibration"].get("temperature"))]:
        if divisor is not None:
            check.equal(f"calibration error {when}", report["calibration"][when],
                        calibration_error(expit(logits / divisor)[known], truths[known]))


def check_answers(check, scores, lines, names):
    from sklearn.metrics import accuracy_score

    predicted = [names[int(np.argmax(np.array(line["logits"], dtype=np.float32)))] for line in lines]
    assert predicted == [line["predicted"] for line in lines], "the predicted answer is that of the largest logit"
    right = [line["right"] or OTHER for line in lines]
    closed = [line["question"]["closed"] for line in lines]
    for name, wanted in [("accuracy", {True, False}), ("accuracy on closed questions", {True}), ("accuracy on open questions", {False})]:
        chosen = [place for place, one in enumerate(closed) if one in wanted]
        value = accuracy_score([right[i] for i in chosen], [predicted[i] for i in chosen]) if chosen else None
        check.equal(name, scores[name], value)


def run(folder, prefix):
    with open(os.path.join(folder, f"{prefix}scores.json")) as file:
        reports = json.load(file)
    assert len(reports) == 1, f"{folder} is scored on {len(reports)} data sets; score it on one"
    [report] = reports.values()
    predictions = "predictions.jsonl" if prefix == "task-" else f"{prefix}predictions.jsonl"
    with open(os.path.join(folder, predictions)) as file:
        lines = [json.loads(line) for line in file]
    assert len(lines) == report["records"], (len(lines), report["records"])
    scores = {score["name"]: score["value"] for score in report["scores"]}
    names, check, task = [count["name"] for count in report["counts"]], Check(), report["receipt"]["task"]
    match task:
        case "classification":
            check_classes(check, report, scores, lines, names)
        case "multilabel":
            check_labels(check, report, scores, lines, names)
        case "vqa":
            check_answers(check, scores, lines, names)
        case _:
            sys.exit(f"{folder}: the task {task} is not checked here")
    check.finish(f"{folder} ({task}, {len(lines)} records)")


def trec(qrels_file, run_file, expected, check):
    """Scores TREC files with ranx and compares."""
    from ranx import Qrels, Run, evaluate

    qrels, ranking = Qrels.from_file(qrels_file, kind="trec"), Run.from_file(run_file, kind="trec")
    found = evaluate(qrels, ranking, list(expected), make_comparable=True)
    found = found if isinstance(found, dict) else {list(expected)[0]: found}
    for name, value in expected.items():
        check.equal(name, value, float(found[name]))


def golden(file):
    """The rankings of the tests of ptu-metrics; the expected numbers are those that the functions of the crate give."""
    with open(file) as opened:
        cases = [case for case in json.load(opened)["ranking"] if case["mean_ndcg"] is not None]
    check = Check()
    with tempfile.TemporaryDirectory() as folder:
        qrels_file, run_file = os.path.join(folder, "x.qrels"), os.path.join(folder, "x.run")
        for case in cases:
            shape = (case["queries"], case["gallery"])
            similarity = np.array(case["similarity"], dtype=np.float32).reshape(shape)
            gains, k = np.array(case["gains"]).reshape(shape), case["k"]
            with open(qrels_file, "w") as qrels, open(run_file, "w") as ranking:
                for query in range(shape[0]):
                    if not gains[query].any():
                        continue
                    # Ties count against the model, and the score of a TREC line is only the order.
                    order = np.lexsort((gains[query], -similarity[query]))
                    for rank, item in enumerate(order):
                        ranking.write(f"q{query} Q0 d{item} {rank + 1} {shape[1] - rank} ptunifier\n")
                    for item in np.flatnonzero(gains[query]):
                        qrels.write(f"q{query} 0 d{item} {gains[query][item]}\n")
            expected = {f"hit_rate@{k}": case["recall"], "mrr": case["mrr"], f"ndcg@{k}": case["mean_ndcg"]}
            trec(qrels_file, run_file, expected, check)
    check.finish(f"{len(cases)} rankings as TREC files, with ranx")


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["runs", *folders] if folders:
            for folder in folders:
                run(folder, "task-")
        case ["zero-shot", *folders] if folders:
            for folder in folders:
                run(folder, "zero-shot-")
        case ["golden", file]:
            golden(file)
        case ["trec", qrels, ranking, scores]:
            check = Check()
            with open(scores) as file:
                trec(qrels, ranking, json.load(file), check)
            check.finish(ranking)
        case _:
            sys.exit(__doc__)
