"""Writes the golden numbers of classification, calibration, retrieval and paired tests: python tools/reference/golden_classify.py

Versions: requirements-metrics.txt. Writes classify.json, calibration.json, paired.json and ranking.json in
crates/metrics/tests/golden; the same versions give the same bytes (NumPy's PCG64 from the seed beside each kind of case). Inputs are stored as short decimals and rounded to float32
before anything is computed, as the test does.

Where the project's definition differs from the library's, the script says so: labels without positives or negatives are undefined,
and ties count against the model. The expected calibration error has no implementation in these libraries: it is computed here in
plain NumPy, and the reliability curve of the binary case is compared with scikit-learn's.
"""
from __future__ import annotations

import itertools
import json
import math
import warnings
from pathlib import Path

import numpy as np
from ranx import Qrels, Run, evaluate
from scipy.optimize import minimize_scalar
from scipy.special import log_expit, log_softmax
from scipy.stats import binomtest, permutation_test
from sklearn.calibration import calibration_curve
from sklearn.metrics import (accuracy_score, average_precision_score, balanced_accuracy_score, brier_score_loss, confusion_matrix,
                             f1_score, multilabel_confusion_matrix, ndcg_score, precision_score, recall_score, roc_auc_score,
                             roc_curve)

FOLDER = Path(__file__).resolve().parents[2] / "crates/metrics/tests/golden"
NAN = float("nan")


def short(value):
    """Twelve significant digits everywhere: the test compares to 1e-9."""
    if isinstance(value, dict):
        return {key: short(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [short(inner) for inner in value]
    return float(f"{value:.12g}") if isinstance(value, float) else value


def number(value: float) -> float | None:
    return None if value is None or math.isnan(value) else float(value)


def single(values: np.ndarray) -> np.ndarray:
    """The values that the test has after rounding to 32 bits, in float64."""
    return np.asarray(values, dtype=np.float32).astype(np.float64)


def some_scores(rng: np.random.Generator, shape, truths: np.ndarray) -> np.ndarray:
    """Scores that know a little of the truth; in half of the cases with many ties."""
    digits = int(rng.choice([1, 3]))
    return np.round(rng.normal(size=shape) + rng.uniform(-0.5, 1.5) * truths, digits)


def binary_score(score, truths: np.ndarray, scores: np.ndarray) -> float:
    """Undefined without positives or without negatives; scikit-learn warns and gives NaN or 1."""
    return score(truths, scores) if 0 < truths.sum() < len(truths) else NAN


def operating_points(truths: np.ndarray, scores: np.ndarray, targets: list[float]) -> list[dict]:
    fpr, tpr, thresholds = roc_curve(truths, scores, drop_intermediate=False)
    positives, negatives = truths.sum(), (1 - truths).sum()
    # Counts first: 1 - fpr is not exactly the share that a target is compared with.
    sensitivity = np.round(tpr * positives) / positives
    specificity = (negatives - np.round(fpr * negatives)) / negatives
    found = []
    for target in targets:
        rows = [(sensitivity[i], specificity[i], i) for i in range(len(fpr)) if specificity[i] >= target]
        at_specificity = max(rows)[2]
        rows = [(specificity[i], sensitivity[i], i) for i in range(len(fpr)) if sensitivity[i] >= target]
        at_sensitivity = max(rows)[2]
        case = {"target": target}
        for name, i in (("at_specificity", at_specificity), ("at_sensitivity", at_sensitivity)):
            finite = math.isfinite(thresholds[i])
            called = scores >= thresholds[i]
            case[name] = [float(thresholds[i]) if finite else None, float(sensitivity[i]), float(specificity[i])]
            # Predictive values at the prevalence of the data are precision and its counterpart for negatives.
            case[name].append(number(precision_score(truths, called, zero_division=NAN)))
            case[name].append(number(precision_score(1 - truths, ~called, zero_division=NAN)))
        found.append(case)
    return found


def binary_cases() -> list[dict]:
    rng, cases = np.random.default_rng(1), []
    for trial in range(160):
        count = int(rng.integers(1, 6) if trial % 4 == 0 else rng.integers(2, 36))
        truths = (rng.random(count) < rng.uniform(0.1, 0.9)).astype(int)
        raw = some_scores(rng, count, truths)
        scores = single(raw)
        both = 0 < truths.sum() < count
        cases.append({
            "scores": raw.tolist(), "truths": truths.tolist(),
            "auroc": number(binary_score(roc_auc_score, truths, scores)),
            "average_precision": number(binary_score(average_precision_score, truths, scores)),
            "points": operating_points(truths, scores, [0.0, 0.5, 0.8, 0.9, 1.0]) if both else [],
        })
    return cases


def label_case(truths: np.ndarray, scores: np.ndarray, known: np.ndarray) -> dict:
    case = {}
    for name, score in (("auroc", roc_auc_score), ("average_precision", average_precision_score)):
        labels = [binary_score(score, truths[known[:, i], i], scores[known[:, i], i]) for i in range(truths.shape[1])]
        defined = [value for value in labels if not math.isnan(value)]
        micro = binary_score(score, truths[known], scores[known])
        if known.all() and len(defined) == len(labels):
            assert np.isclose(score(truths, scores, average="macro"), np.mean(defined))
            assert np.isclose(score(truths, scores, average="micro"), micro)
        case[name] = {"macro": float(np.mean(defined)) if defined else None, "micro": number(micro),
                      "labels": [number(value) for value in labels], "undefined": len(labels) - len(defined)}
    return case


def label_cases() -> list[dict]:
    rng, cases = np.random.default_rng(2), []
    for trial in range(70):
        shape = (int(rng.integers(1, 22)), int(rng.integers(1, 6)))
        truths = (rng.random(shape) < rng.uniform(0.0, 0.8, size=shape[1])).astype(int)
        known = rng.random(shape) < (1.0 if trial % 2 else 0.8)
        raw = some_scores(rng, shape, truths)
        entries = [int(t) if k else None for t, k in zip(truths.ravel(), known.ravel())]
        cases.append({"labels": shape[1], "scores": raw.ravel().tolist(), "truths": entries,
                      **label_case(truths, single(raw), known)})
    return cases


def class_cases() -> list[dict]:
    rng, cases = np.random.default_rng(3), []
    for _ in range(60):
        count, classes = int(rng.integers(1, 22)), int(rng.integers(2, 6))
        right = rng.integers(0, classes, size=count)
        truths = np.eye(classes, dtype=int)[right]
        raw = some_scores(rng, (count, classes), truths)
        cases.append({"classes": classes, "scores": raw.ravel().tolist(), "right": right.tolist(),
                      **label_case(truths, single(raw), np.ones_like(truths, dtype=bool))})
    return cases


def f1_averages(right: np.ndarray, given: np.ndarray, labels) -> dict:
    f1 = {average: f1_score(right, given, labels=labels, average=average, zero_division=NAN)
          for average in ("macro", "micro", "weighted", None)}
    values = [number(value) for value in f1[None]]
    # Without records of any class a weighted mean is undefined; scikit-learn gives the plain one.
    weighted = number(f1["weighted"]) if (np.isin(right, labels).any() if right.ndim == 1 else right.any()) else None
    return {"macro": number(f1["macro"]), "micro": number(f1["micro"]), "weighted": weighted, "values": values,
            "undefined": values.count(None)}


def answer_cases() -> list[dict]:
    rng, cases = np.random.default_rng(4), []
    for trial in range(110):
        count, classes = int(rng.integers(1, 30)), int(rng.integers(1, 7))
        right = rng.integers(0, rng.integers(1, classes + 1), size=count)
        # In every third case some answers are no class of the list.
        given = np.where(rng.random(count) < 0.5, right, rng.integers(0, classes + (trial % 3 == 0), size=count))
        labels = list(range(classes))
        by_class = multilabel_confusion_matrix(right, given, labels=labels)
        shares = {"zero_division": NAN, "labels": labels, "average": None}
        cases.append({
            "classes": classes, "right": right.tolist(), "given": given.tolist(),
            "matrix": confusion_matrix(right, given, labels=labels).ravel().tolist(),
            "accuracy": accuracy_score(right, given), "balanced_accuracy": balanced_accuracy_score(right, given),
            "recall": [number(value) for value in recall_score(right, given, **shares)],
            "precision": [number(value) for value in precision_score(right, given, **shares)],
            "specificity": [float(m[0, 0] / m[0].sum()) if m[0].sum() else None for m in by_class],
            "f1": f1_averages(right, given, labels),
        })
    return cases


def decision_cases() -> list[dict]:
    rng, cases = np.random.default_rng(5), []
    for _ in range(60):
        shape = (int(rng.integers(1, 20)), int(rng.integers(2, 6)))
        right = (rng.random(shape) < rng.uniform(0.0, 0.7, size=shape[1])).astype(int)
        given = np.where(rng.random(shape) < 0.6, right, rng.random(shape) < rng.uniform(0.0, 0.7, size=shape[1]))
        first = f1_score(right[:, 0], given[:, 0], zero_division=NAN)
        cases.append({"labels": shape[1], "right": right.ravel().tolist(), "given": given.astype(int).ravel().tolist(),
                      "binary": number(first), "f1": f1_averages(right, given, list(range(shape[1])))})
    return cases


def bins_of(probabilities: np.ndarray, happened: np.ndarray, bins: int) -> list:
    """Plain NumPy: count, mean probability and share of events in each bin (low, high]; the first bin has 0 too."""
    edges, found = np.linspace(0, 1, bins + 1), []
    for i in range(bins):
        inside = (probabilities > edges[i]) & (probabilities <= edges[i + 1]) | (probabilities == 0) & (i == 0)
        count = int(inside.sum())
        found.append([count, float(probabilities[inside].mean()) if count else None, float(happened[inside].mean()) if count else None])
    return found


def error_of(bins: list) -> float:
    records = sum(count for count, _, _ in bins)
    return sum(count / records * abs(confidence - accuracy) for count, confidence, accuracy in bins if count)


def calibration_cases() -> list[dict]:
    rng, cases = np.random.default_rng(6), []
    for trial in range(100):
        count, bins = int(rng.integers(1, 60)), int(rng.choice([1, 4, 10, 15]))
        raw = np.round(rng.beta(rng.uniform(0.2, 3), rng.uniform(0.2, 3), size=count), int(rng.choice([1, 2, 3])))
        raw = np.where(rng.random(count) < 0.05, rng.integers(0, 2, size=count), raw)
        probabilities = single(raw)
        truths = (rng.random(count) < probabilities ** rng.uniform(0.3, 3)).astype(int)
        curve = bins_of(probabilities, truths, bins)
        if 0 < truths.sum() < count:
            theirs = calibration_curve(truths, probabilities, n_bins=bins, strategy="uniform")
            ours = [(accuracy, confidence) for filled, confidence, accuracy in curve if filled]
            assert np.allclose(np.array(ours).T, theirs, rtol=0, atol=1e-12)
        cases.append({"probabilities": raw.tolist(), "truths": truths.tolist(), "bins": bins, "curve": curve, "ece": error_of(curve),
                      "brier": float(brier_score_loss(truths, probabilities, labels=[0, 1], pos_label=1))})
    return cases


def top_label_cases() -> list[dict]:
    rng, cases = np.random.default_rng(7), []
    for trial in range(60):
        count, classes, bins = int(rng.integers(1, 25)), int(rng.integers(2, 6)), int(rng.choice([4, 10, 15]))
        # Multiples of 1/64 and of 1/4 add up to 1 exactly; quarters have many ties.
        parts = 4 if trial % 3 == 0 else 64
        raw = np.array([rng.multinomial(parts, rng.dirichlet(np.full(classes, 0.7))) for _ in range(count)]) / parts
        right = np.array([rng.choice(classes, p=row) if rng.random() < 0.7 else rng.integers(classes) for row in raw])
        own = raw[np.arange(count), right]
        # A tie with another class counts as wrong; an arg max would depend on the order of the classes.
        is_right = (raw >= own[:, None]).sum(axis=1) == 1
        curve = bins_of(raw.max(axis=1), is_right.astype(float), bins)
        brier = brier_score_loss(right, raw, labels=list(range(classes)), scale_by_half=False) if classes > 2 else \
            2 * brier_score_loss(right, raw[:, 1], labels=[0, 1], pos_label=1)
        cases.append({"classes": classes, "probabilities": raw.ravel().tolist(), "right": right.tolist(), "bins": bins,
                      "curve": curve, "ece": error_of(curve), "brier": float(brier)})
    return cases


def temperature_cases() -> list[dict]:
    rng, cases = np.random.default_rng(8), []
    for trial in range(120):
        count, classes = int(rng.integers(3, 30)), int(rng.integers(2, 6))
        sigmoid = trial % 2 == 0
        shape = count if sigmoid else (count, classes)
        raw = np.round(rng.normal(size=shape) * rng.uniform(0.3, 8), 2)
        logits, sharpness = single(raw), math.exp(rng.uniform(-2, 1.5))
        if sigmoid:
            right = (rng.random(count) < np.exp(log_expit(logits * sharpness))).astype(int)
            def nll(log_temperature: float) -> float:
                return -log_expit(np.where(right == 1, logits, -logits) / math.exp(log_temperature)).mean()
        else:
            right = np.array([rng.choice(classes, p=np.exp(log_softmax(row * sharpness))) for row in logits])
            def nll(log_temperature: float) -> float:
                return -log_softmax(logits / math.exp(log_temperature), axis=1)[np.arange(count), right].mean()
        low, high = math.log(0.01), math.log(100)
        # A grid first: the bounded method finds a local minimum, and near the ends the NLL is flat to the last digit.
        grid = np.linspace(low, high, 400)
        best = grid[np.argmin([nll(x) for x in grid])]
        step = grid[1] - grid[0]
        bounds = (max(low, best - step), min(high, best + step))
        found = minimize_scalar(nll, bounds=bounds, method="bounded", options={"xatol": 1e-10, "maxiter": 1000})
        value = math.exp(found.x)
        if nll(low) <= found.fun:
            fit, value = "Lowest", 0.01
        elif nll(high) <= found.fun:
            fit, value = "Highest", 100.0
        else:
            fit = "Minimum"
        cases.append({"sigmoid": sigmoid, "classes": 2 if sigmoid else classes, "logits": raw.ravel().tolist(), "right": right.tolist(),
                      "fit": fit, "value": value, "before": float(nll(0.0)), "after": float(nll(math.log(value)))})
    return cases


def by_group(values: np.ndarray, groups: np.ndarray) -> np.ndarray:
    return np.array([values[groups == group].sum() for group in np.unique(groups)])


def all_exchanges(differences: list[int]) -> float:
    """The exact p-value of whole numbers for any number of groups: the distribution of the signed sum by convolution."""
    counts = {0: 1}
    for difference in differences:
        after: dict[int, int] = {}
        for total, count in counts.items():
            for signed in (total + difference, total - difference):
                after[signed] = after.get(signed, 0) + count
        counts = after
    observed = abs(sum(differences))
    return sum(count for total, count in counts.items() if abs(total) >= observed) / 2 ** len(differences)


def paired_cases() -> list[dict]:
    rng, cases = np.random.default_rng(9), []
    for trial in range(70):
        many = trial % 5 == 4
        count = int(rng.integers(60, 120)) if many else int(rng.integers(2, 24))
        groups = rng.permutation(count) if trial % 2 else rng.integers(0, count if many else 12, size=count)
        groups = groups if many else groups % 12
        if len(np.unique(groups)) < 2:
            continue
        first, second = (rng.random(count) < rng.uniform(0.2, 0.9, size=(2, 1))).astype(int)
        differences = by_group(first - second, groups)
        won, lost = int((differences > 0).sum()), int((differences < 0).sum())
        graded = np.round(rng.normal(size=(2, count)) + np.array([[rng.uniform(0, 1)], [0]]), 2)
        graded = np.round(graded) if many else graded
        sums = by_group(np.round((graded[0] - graded[1]) * 100).astype(int), groups)
        exact = all_exchanges([int(value) for value in sums])
        if not many:
            theirs = permutation_test((sums.astype(float),), np.mean, permutation_type="samples", n_resamples=np.inf).pvalue
            assert abs(theirs - exact) < 1e-12
        cases.append({"groups": groups.tolist(), "first": first.tolist(), "second": second.tolist(),
                      "mcnemar": binomtest(won, won + lost).pvalue if won + lost else 1.0,
                      "difference": float((first - second).mean()),
                      "first_graded": graded[0].tolist(), "second_graded": graded[1].tolist(),
                      "permutation": exact, "differing": int((sums != 0).sum())})
    return cases


def predictive_cases() -> list[list]:
    """Sensitivity, specificity, prevalence, PPV and NPV, from tables of whole numbers."""
    rng, cases = np.random.default_rng(10), []
    for _ in range(60):
        tp, fn, fp, tn = (int(x) for x in rng.integers(1, 500, size=4))
        right, given = np.repeat([1, 1, 0, 0], [tp, fn, fp, tn]), np.repeat([1, 0, 1, 0], [tp, fn, fp, tn])
        cases.append([recall_score(right, given), recall_score(1 - right, 1 - given), float(right.mean()),
                      precision_score(right, given), precision_score(1 - right, 1 - given)])
    return cases


def ranking_cases() -> list[dict]:
    rng, cases = np.random.default_rng(11), []
    for trial in range(120):
        queries, k = int(rng.integers(1, 7)), int(rng.integers(1, 11))
        gallery = int(rng.integers(2, 6) if trial % 3 == 0 else rng.integers(2, 14))
        top = 1 if trial % 2 else 3
        gains = rng.integers(0, top + 1, size=(queries, gallery)) * (rng.random((queries, gallery)) < 0.4)
        raw = some_scores(rng, (queries, gallery), gains)
        similarity = single(raw)
        rows, relevant = [], [row for row in range(queries) if gains[row].any()]
        # ranx breaks ties in its own way: it gets distinct scores, in the order that counts ties against the model.
        for row in range(queries):
            order = np.lexsort((gains[row], -similarity[row]))
            strict = np.empty(gallery)
            strict[order] = np.arange(gallery, 0, -1.0)
            rows.append(strict)
        case = {"queries": queries, "gallery": gallery, "k": k, "similarity": raw.ravel().tolist(), "gains": gains.ravel().tolist()}
        if relevant:
            names = [f"d{item:02}" for item in range(gallery)]
            qrels = Qrels({f"q{row}": {names[i]: int(gains[row, i]) for i in range(gallery) if gains[row, i]} for row in relevant})
            run = Run({f"q{row}": dict(zip(names, rows[row].tolist())) for row in relevant})
            scores = evaluate(qrels, run, [f"ndcg@{k}", f"hit_rate@{k}", "mrr"], return_mean=False, make_comparable=True)
            scores = {name: np.atleast_1d(value) for name, value in scores.items()}
            for place, row in enumerate(relevant):
                theirs = ndcg_score(gains[row][None], rows[row][None], k=k)
                assert abs(theirs - scores[f"ndcg@{k}"][place]) < 1e-12
            ranks = [int(np.flatnonzero(gains[row][np.argsort(-rows[row])])[0]) + 1 for row in relevant]
            case["ndcg"] = [float(scores[f"ndcg@{k}"][relevant.index(row)]) if row in relevant else None for row in range(queries)]
            case |= {"mean_ndcg": float(scores[f"ndcg@{k}"].mean()), "mrr": float(scores["mrr"].mean()),
                     "recall": float(scores[f"hit_rate@{k}"].mean()), "median_rank": float(np.median(ranks))}
        else:
            case |= {"ndcg": [None] * queries, "mean_ndcg": None, "mrr": None, "recall": None, "median_rank": None}
        # The chance level is the mean over all orders of the gallery.
        if gallery <= 5 and relevant:
            orders = np.array(list(itertools.permutations(range(gallery, 0, -1))), dtype=float)
            case["chance"] = float(np.mean([ndcg_score(np.tile(gains[row], (len(orders), 1)), orders, k=k) for row in relevant]))
        cases.append(case)
    return cases


def main() -> None:
    warnings.filterwarnings("ignore")
    files = {
        "classify": {"binary": binary_cases(), "labels": label_cases(), "classes": class_cases(), "answers": answer_cases(),
                     "decisions": decision_cases(), "predictive": predictive_cases()},
        "calibration": {"calibration": calibration_cases(), "top_label": top_label_cases(), "temperature": temperature_cases()},
        "paired": {"paired": paired_cases()},
        "ranking": {"ranking": ranking_cases()},
    }
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, kinds in files.items():
        # One case a line, so that a change shows which cases it changes.
        parts = []
        for kind, cases in kinds.items():
            lines = ",\n".join(json.dumps(short(case), separators=(",", ":")) for case in cases)
            parts.append(f'"{kind}":[\n{lines}\n]')
        (FOLDER / f"{name}.json").write_text("{" + ",\n".join(parts) + "}\n")


if __name__ == "__main__":
    main()
