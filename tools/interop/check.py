"""Reads shards and rankings with the tools that others use; exits with 1 where one of them sees something else.

usage: check.py shards FOLDER...    datasets, pandas and DuckDB open them
       check.py rankings FOLDER SCORES GALLERY...    ranx scores the rankings of `evaluate --trec FOLDER` as `evaluate --json` (SCORES) does
       check.py openi               prints where torchxrayvision keeps the reports of Open-i
       check.py manifests FILE...   checks Kubernetes manifests
"""

import glob
import json
import os
import sys


def shards(folder):
    import datasets
    import duckdb
    import pandas
    import PIL.Image

    manifest = json.load(open(os.path.join(folder, "manifest.json")))
    by_split = {}
    for shard in manifest["shards"]:
        by_split.setdefault(shard["split"], []).append(shard)
    for split, parts in by_split.items():
        count = sum(part["records"] for part in parts)
        files = [os.path.join(folder, part["file"]) for part in parts]
        loaded = datasets.load_dataset("parquet", data_files=files, split="train")
        assert len(loaded) == count, (folder, split, len(loaded), count)
        assert isinstance(loaded.features["image"], datasets.Image), loaded.features
        with_image = 0
        for row in loaded.select(range(min(20, count))):
            assert row["image"] is None or isinstance(row["image"], PIL.Image.Image), type(row["image"])
            with_image += row["image"] is not None
            assert len(row["texts"]) == len(row["sections"])
        frame = pandas.concat([pandas.read_parquet(file) for file in files])
        assert len(frame) == count and frame["id"].is_unique
        pattern = os.path.join(folder, f"{split}-*.parquet")
        asked = duckdb.sql(f"select count(*), count(image.bytes), sum(len(questions)) from '{pattern}'").fetchall()[0]
        assert asked[0] == count and asked[1] == frame["image"].notna().sum(), asked
        print(f"{folder} {split}: {count} records, {asked[1]} images, {int(asked[2] or 0)} questions; of the first {min(20, count)} "
              f"{with_image} open as PIL images")
    # The card names the splits, so that the folder opens by its name alone.
    whole = datasets.load_dataset(folder)
    names = {"train": "train", "validate": "validation", "test": "test"}
    assert set(whole) == {names[split] for split in by_split}, whole
    print(f"{folder}: load_dataset finds {', '.join(whole)}")


def rankings(folder, scores, galleries):
    from ranx import Qrels, Run, evaluate

    metrics = {"r1": "hit_rate@1", "r5": "hit_rate@5", "r10": "hit_rate@10", "mrr": "mrr"}
    sources = json.load(open(scores))["sources"]
    for gallery in galleries:
        for direction in ["image-to-text", "text-to-image"]:
            own = sources[gallery]["retrieval"][direction.replace("-", "_")]
            stem = os.path.join(folder, f"{gallery}-{direction}")
            qrels = Qrels.from_file(f"{stem}.qrels", kind="trec")
            found = evaluate(qrels, Run.from_file(f"{stem}.run", kind="trec"), list(metrics.values()))
            for name, metric in metrics.items():
                value = own[name]["value"]
                assert abs(value - found[metric]) < 1e-9, (gallery, direction, name, value, found[metric])
            print(f"{gallery} {direction}: ranx finds the same " + ", ".join(f"{name} {own[name]['value']:.4f}" for name in metrics))


def openi():
    import importlib.util

    base = os.path.dirname(importlib.util.find_spec("torchxrayvision").origin)
    found = sorted(glob.glob(os.path.join(base, "**", "NLMCXR_reports.tgz"), recursive=True))
    print(found[0])


def manifests(files):
    import kubernetes_validate
    import yaml

    for file in files:
        for document in yaml.safe_load_all(open(file)):
            kubernetes_validate.validate(document, "1.30", strict=True)
            print(f"{file}: {document['kind']} is valid")


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["shards", *folders]:
            for folder in folders:
                shards(folder)
        case ["rankings", folder, scores, *galleries]:
            rankings(folder, scores, galleries)
        case ["openi"]:
            openi()
        case ["manifests", *files]:
            manifests(files)
        case _:
            sys.exit(__doc__)
