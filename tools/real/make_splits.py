"""Makes or checks splits.json, the one division into train, dev and test of the real data that experiments use.

    python3.11 -m venv target/real && target/real/bin/pip install --no-deps -r tools/real/requirements.txt
    target/real/bin/python tools/real/make_splits.py DATA            # writes splits.json beside this script
    target/real/bin/python tools/real/make_splits.py DATA --check    # compares, changes nothing; exit code 1 if anything is off

DATA is the folder with roco-cc, covid-cxr, vqa-rad, nih-cxr-1000 and kermany-cxr. The reports of Open-i are the archive
inside the wheel torchxrayvision==1.5.7 (or --openi ARCHIVE). All sources are needed to write; --check names the absent
ones, checks what it can without them, and fails. It takes about a minute on one core and 1 GB of memory.

Draw: the bucket of a group is the first 8 bytes, most significant first, of SHA-256("<source>:42:<key>"), modulo 10,000
(the rule of docs/layouts.md, "Splits by hash"). CUTS says which buckets are train and dev. They are fixed numbers, chosen
once with --cuts, so that another record moves no group except those that it is joined with. Groups that share an image,
exactly or by look, are joined first, also across sources, and drawn as one.
"""

import argparse
import csv
import hashlib
import importlib.util
import json
import os
import re
import sys
import tarfile
import xml.etree.ElementTree as ElementTree
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

FILE = Path(__file__).with_name("splits.json")
DATE = "2026-11-29"
SEED = 42
BUCKETS = 10_000
SPLITS = ("train", "dev", "test")
FOLDS = 5

# Two images look alike if at most BITS of 256 bits of their difference hashes differ and their pixels at 64 x 64 correlate by
# at least CORRELATION. On these data every pair within both limits was seen to be the same image, with at most 10 bits and at
# least 0.988; the next pairs (15 bits or more; 0.961 or less) are different images.
BITS = 12
CORRELATION = 0.975

# Pairs of groups that belong together though their images are not alike in this sense; how they were found stands in README.md.
SEEN = [
    # One film, once with wider borders.
    [("covid-cxr", "30"), ("covid-cxr", "31")],
    # One angiogram, once with its caption below.
    [("roco-cc", "PMC2813621"), ("roco-cc", "PMC2984288")],
    # Two slices of one abdomen.
    [("vqa-rad", "synpic39086.jpg"), ("vqa-rad", "synpic39088.jpg")],
]

# Source -> class of a group -> (buckets below are train, buckets below are dev); the rest is test.
CUTS = {
    "roco-cc": {"": (8132, 9078)},
    "covid-cxr": {"covid-19": (6911, 8181), "other": (8265, 8670), "todo": (7607, 8322)},
    "vqa-rad": {"abd": (6641, 7495), "chest": (7421, 7938), "head": (7542, 7953)},
    "nih": {"none": (6771, 7892), "pneumonia": (7283, 8246)},
    "kermany": {"bacterial": (9032, BUCKETS), "normal": (8967, BUCKETS), "viral": (8778, BUCKETS)},
    "openi": {"": (7000, 8000)},  # those of `prepare openi`
}

# Class of a patient of covid-cxr -> buckets of "covid-cxr-fold:42:<patient>" where the second to the fifth fold begin.
FOLD_CUTS = {
    "covid-19": [1783, 3893, 5766, 7809],
    "other": [2117, 4288, 6898, 8771],
    "todo": [1977, 4705, 6350, 8468],
}

# Source -> shares of dev and test, or numbers of groups, for which --cuts looks.
WANTED = {
    "roco-cc": (400, 400),
    "covid-cxr": (0.1, 0.2),
    "vqa-rad": (0.1, 0.2),
    "nih": (0.1, 0.2),
    "kermany": (0.1, 0.0),
    "openi": (0.1, 0.2),
}

FOLDERS = {"roco-cc": "roco-cc", "covid-cxr": "covid-cxr", "vqa-rad": "vqa-rad", "nih": "nih-cxr-1000", "kermany": "kermany-cxr"}

KEYS = {
    "roco-cc": "column `group` of table.csv (the PMC article)",
    "covid-cxr": "column `patient` of metadata.csv",
    "vqa-rad": "field `image_name` of trainset.json and testset.json",
    "nih": "column `patient_id` of labels.csv",
    "kermany": r"file name of column `image` of labels.csv up to the patient: ^(person\d+_(bacteria|virus)|(NORMAL2-)?IM-\d+)",
    "openi": "`id` of `uId` in the XML file (the report; Open-i has one report per patient)",
}

NOTES = {
    "roco-cc": [
        "Nearly all figures are official test figures of ROCO (column roco_split): whatever was trained on any split of this"
        " source, the train split too, must not be scored on ROCO's test set.",
        "One figure of each dev and test article is scored: the first by file name (smallest value of column `image`, compared"
        " as text). Other figures of these articles are used for nothing.",
        "Captions are not unique: a few articles share one (`Preoperative radiograph`).",
    ],
    "covid-cxr": [
        "The split is for pre-training: no image or note of a patient in test (or dev) is trained on.",
        "`folds` are for scores by five folds over all patients. They are drawn independently of the split, so a model that was"
        " pre-trained on train has seen images of patients of every fold; say so, or pre-train without the fold.",
        "Classes for drawing: a patient with any finding COVID-19; all findings `todo`; all others. Findings of a patient may differ.",
        "Notes of 97 and 178 are about one patient, published twice.",
    ],
    "vqa-rad": [
        "Disjoint by image, drawn within each organ. The published test split shares all its images with the published train split;"
        " here the questions of both files follow their image. Say `our split` beside a score.",
        "synpic35356.jpg has no question and is in no split.",
    ],
    "nih": [
        "Drawn by patient within two classes: any image with Pneumonia, and none. The official list of test patients is not in"
        " these data: models that were trained on ChestX-ray14 may have seen patients of every split.",
    ],
    "kermany": [
        "test is the published folder `test`, dev is drawn by patient within each class from the published folder `train`.",
        "Numbers of persons are most likely counted for bacteria and virus apart (README.md says why). By these keys no"
        " patient is in both published folders.",
    ],
    "openi": [
        "Same buckets as `prepare openi` has (docs/layouts.md, section 4). Texts only; 3,419 reports have findings and impression.",
        "Many reports have the same words as another; they were not joined, because these are phrases of normal films.",
    ],
}


@dataclass
class Group:
    """What must be in one split."""

    label: str = ""  # class within which it is drawn
    images: list[str] = field(default_factory=list)  # relative to the folder of the source
    published: set[str] = field(default_factory=set)  # kermany: the published folders of its images
    parts: Counter = field(default_factory=Counter)  # what is counted per split


class Stop(Exception):
    """What the user must mend."""


# ------------------------------------------------------------------------------------------------------------- sources
def table(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def roco_cc(folder):
    groups = defaultdict(Group)
    for row in table(folder / "table.csv"):
        groups[row["group"]].images.append(row["image"])
    return groups


def covid_cxr(folder):
    groups, findings = defaultdict(Group), defaultdict(set)
    for row in table(folder / "metadata.csv"):
        group = groups[row["patient"]]
        group.images.append(row["image"])
        group.parts["notes"] += bool(row["report"].strip())
        findings[row["patient"]].add(row["finding"])
    for patient, group in groups.items():
        covid = any("COVID-19" in finding for finding in findings[patient])
        group.label = "covid-19" if covid else "todo" if findings[patient] == {"todo"} else "other"
    return groups


def vqa_rad(folder):
    groups = defaultdict(Group)
    for name in ("trainset.json", "testset.json"):
        for question in json.loads((folder / name).read_text(encoding="utf-8")):
            group = groups[question["image_name"]]
            group.images = [f"images/{question['image_name']}"]
            group.label = question["image_organ"].strip().lower()
            group.parts["questions"] += 1
    return groups


def nih(folder):
    groups = defaultdict(Group)
    for row in table(folder / "labels.csv"):
        group = groups[row["patient_id"]]
        group.images.append(row["image"])
        pneumonia = "Pneumonia" in row["nih_finding_labels"].split("|")
        group.label = "pneumonia" if pneumonia or group.label == "pneumonia" else "none"
    return groups


def kermany(folder):
    groups = defaultdict(Group)
    for row in table(folder / "labels.csv"):
        name = row["image"].split("/")[-1]
        found = re.match(r"person\d+_(?:bacteria|virus)|(?:NORMAL2-)?IM-\d+", name)
        if not found:
            raise Stop(f"kermany: no patient in the file name `{name}`; extend the pattern in `kermany`")
        group = groups[found[0]]
        group.images.append(row["image"])
        group.published.add(row["split"])
        group.label = row["label"]
    crossing = sorted(key for key, group in groups.items() if len(group.published) > 1)
    if crossing:
        raise Stop(f"kermany: patients in both published folders, so its test cannot be kept: {', '.join(crossing)}")
    return groups


def openi(archive):
    groups = {}
    with tarfile.open(archive) as files:
        for member in files:
            if not member.name.endswith(".xml"):
                continue
            root = ElementTree.fromstring(files.extractfile(member).read())
            texts = {it.get("Label") for it in root.iter("AbstractText") if (it.text or "").strip()}
            both = texts >= {"FINDINGS", "IMPRESSION"}
            key = next(it.get("id") for it in root.iter("uId"))
            groups[key] = Group(parts=Counter({"with findings and impression": int(both)}))
    return groups


READERS = {"roco-cc": roco_cc, "covid-cxr": covid_cxr, "vqa-rad": vqa_rad, "nih": nih, "kermany": kermany}


def readable(name, reader, path):
    try:
        return dict(reader(path))
    except (OSError, KeyError, ValueError, tarfile.TarError, ElementTree.ParseError) as error:
        raise Stop(f"source {name} is there, but has not the files or columns that are expected: {error!r}") from error


def read(data, archive):
    """Source -> key -> group, and what is said of absent sources."""
    sources, absent = {}, {}
    for name, folder in FOLDERS.items():
        if (data / folder).is_dir():
            sources[name] = readable(name, READERS[name], data / folder)
        else:
            absent[name] = f"source {name} is absent: DATA has no folder `{folder}`"
    if archive is None and (package := importlib.util.find_spec("torchxrayvision")):
        archive = Path(package.origin).parent / "data/NLMCXR_reports.tgz"
    if archive is not None and archive.is_file():
        sources["openi"] = readable("openi", openi, archive)
    else:
        absent["openi"] = "source openi is absent: install torchxrayvision==1.5.7 (requirements.txt) or name its archive by --openi"
    return sources, absent


# -------------------------------------------------------------------------------------------------------------- images
def fingerprints(data, sources):
    """Owner, path, hash of the pixels, 256 bits and 64 x 64 normalised pixels of every image."""
    owners, paths, exact, bits, pixels = [], [], [], [], []
    for source, groups in sources.items():
        for key, group in sorted(groups.items()):
            for path in sorted(group.images):
                try:
                    image = Image.open(data / FOLDERS[source] / path).convert("RGB")
                except OSError as error:
                    raise Stop(f"{source}: image `{path}` cannot be read: {error}") from error
                grey = image.convert("L")
                steps = np.asarray(grey.resize((17, 16), Image.Resampling.LANCZOS), np.int16)
                small = np.asarray(grey.resize((64, 64), Image.Resampling.BOX), np.float32).ravel()
                small -= small.mean()
                owners.append((source, key))
                paths.append(f"{source}/{path}")
                exact.append(hashlib.sha256(repr(image.size).encode() + image.tobytes()).hexdigest())
                bits.append((steps[:, :-1] < steps[:, 1:]).ravel())
                pixels.append(small / max(float(np.linalg.norm(small)), 1e-9))
    return owners, paths, exact, np.array(bits).reshape(-1, 256), np.array(pixels).reshape(-1, 64 * 64)


def alike(prints):
    """Pairs of images that are equal or look alike: (one, other, equal), in order."""
    _, _, exact, bits, pixels = prints
    signs, pairs = np.where(bits, 1.0, -1.0).astype(np.float32), []
    for start in range(0, len(exact), 500):
        # 256 minus twice the number of different bits: small whole numbers, exact in float32.
        near = 256 - signs[start : start + 500] @ signs.T <= 2 * BITS
        for one, other in zip(*(it.tolist() for it in np.nonzero(near))):
            one += start
            equal = exact[one] == exact[other]
            if one < other and (equal or float(pixels[one] @ pixels[other]) >= CORRELATION):
                pairs.append((one, other, equal))
    return pairs


# ---------------------------------------------------------------------------------------------------------------- draw
def join(sources, prints, pairs):
    """Group -> its component (a sorted tuple of groups), and the components of several groups with their reasons."""
    parent = {(source, key): (source, key) for source, groups in sources.items() for key in groups}

    def root(it):
        while parent[it] != it:
            it = parent[it]
        return it

    owners, paths, *_ = prints
    links = [(owners[one], owners[other], "equal" if equal else "alike", [paths[one], paths[other]]) for one, other, equal in pairs]
    links += [(*sorted(seen), "seen", []) for seen in SEEN if all(it in parent for it in seen)]
    for one, other, _, _ in links:
        first, second = sorted((root(one), root(other)))
        parent[second] = first
    members = defaultdict(list)
    for it in sorted(parent):
        members[root(it)].append(it)
    component = {it: tuple(members[root(it)]) for it in parent}
    joined = []
    for groups in sorted(tuple(it) for it in members.values() if len(it) > 1):
        here = [link for link in links if link[0] in groups and link[0] != link[1]]
        joined.append(
            {
                "groups": [f"{source}/{key}" for source, key in groups],
                "images": [images for _, _, _, images in here if images],
                "reasons": sorted({reason for _, _, reason, _ in here}),
            }
        )
    return component, joined


def bucket(source, key):
    return int.from_bytes(hashlib.sha256(f"{source}:{SEED}:{key}".encode()).digest()[:8], "big") % BUCKETS


def split_of(component, sources):
    """A component with an image of a published test folder is test; else its first group is drawn for all."""
    if any("test" in sources[source][key].published for source, key in component):
        return "test"
    source, key = component[0]
    train, dev = CUTS[source][sources[source][key].label]
    drawn = bucket(source, key)
    return "train" if drawn < train else "dev" if drawn < dev else "test"


def fold_of(component, sources):
    """The fold of all patients of covid-cxr in a component."""
    source, key = next(it for it in component if it[0] == "covid-cxr")
    drawn = bucket("covid-cxr-fold", key)
    return sum(drawn >= start for start in FOLD_CUTS[sources[source][key].label])


def counts(groups):
    numbers = Counter({"groups": len(groups)})
    if any(group.images for group in groups):
        numbers["images"] = sum(len(group.images) for group in groups)
    for group in groups:
        numbers.update(group.parts)
        if group.label:
            numbers[f"groups of {group.label}"] += 1
    return {name: numbers[name] for name in sorted(numbers)}


def order(keys):
    """By text, with numbers by value, so that the lists read well."""
    return sorted(keys, key=lambda it: [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", it)])


def make(sources, component, joined):
    result = {
        "about": {
            "data": f"as of {DATE}",
            "draw": f'bucket: first 8 bytes of SHA-256("<source>:{SEED}:<key>"), most significant first, modulo {BUCKETS}',
            "look": f"256-bit difference hash, at most {BITS} bits, and correlation at 64 x 64 of at least {CORRELATION}",
            "script": "tools/real/make_splits.py",
            "seed": SEED,
            "what": "Groups (articles, patients, images, reports) of the real data in train, dev and test. See tools/real/README.md.",
        },
        "joined": joined,
        "sources": {},
    }
    for source, groups in sources.items():
        splits = {split: [] for split in SPLITS}
        for key in order(groups):
            splits[split_of(component[source, key], sources)].append(key)
        entry = {
            "counts": {split: counts([groups[key] for key in keys]) for split, keys in splits.items()},
            "cuts": {label or "all": cuts for label, cuts in CUTS[source].items()},
            "key": KEYS[source],
            "notes": NOTES[source],
            **splits,
        }
        if source in FOLDERS:
            entry["folder"] = FOLDERS[source]
        if source == "covid-cxr":
            folds = {fold: [] for fold in range(FOLDS)}
            for key in order(groups):
                folds[fold_of(component[source, key], sources)].append(key)
            entry["folds"] = {str(fold): keys for fold, keys in folds.items()}
            entry["fold counts"] = {str(fold): counts([groups[key] for key in keys]) for fold, keys in folds.items()}
            entry["fold cuts"] = FOLD_CUTS
        result["sources"][source] = entry
    return result


def text_of(value, depth=0):
    """JSON with sorted keys; a list or an object of plain values stands on one line."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    if not any(isinstance(it, dict) or (isinstance(it, list) and depth < 3) for it in inner):
        return json.dumps(value, sort_keys=True, ensure_ascii=False)
    pad, end = "  " * (depth + 1), "  " * depth
    if isinstance(value, list):
        return "[\n" + ",\n".join(pad + text_of(it, depth + 1) for it in value) + f"\n{end}]"
    lines = (f"{pad}{json.dumps(key)}: {text_of(it, depth + 1)}" for key, it in sorted(value.items()))
    return "{\n" + ",\n".join(lines) + f"\n{end}}}"


# --------------------------------------------------------------------------------------------------------------- check
def of_file(found):
    """What is wrong with the committed file by itself."""
    for source, entry in found["sources"].items():
        places = Counter(key for split in SPLITS for key in entry[split])
        for key in (key for key, number in places.items() if number > 1):
            yield f"{source}: group `{key}` is in two splits, or twice in one"
        for split in SPLITS:
            if entry["counts"][split]["groups"] != len(entry[split]):
                yield f"{source}: {split} has {len(entry[split])} groups, but its counts say {entry['counts'][split]['groups']}"
        if "folds" in entry and Counter(key for keys in entry["folds"].values() for key in keys) != places:
            yield f"{source}: the folds do not have each group of the splits once"


def against_data(found, sources, prints, pairs):
    """Where the committed file and the data disagree."""
    place = {(source, key): split for source, entry in found["sources"].items() for split in SPLITS for key in entry[split]}
    for source, groups in sources.items():
        listed = {key for name, key in place if name == source}
        for key in order(groups.keys() - listed):
            yield f"{source}: group `{key}` of the data is in no split"
        for key in order(listed - groups.keys()):
            yield f"{source}: group `{key}` of the file is not in the data"
        for split in SPLITS if source in found["sources"] else ():
            entry = found["sources"][source]
            made = counts([groups[key] for key in entry[split] if key in groups])
            if made != entry["counts"][split]:
                yield f"{source}: {split} has {made}, but its counts say {entry['counts'][split]}"
    owners, paths, exact, *_ = prints
    places = defaultdict(set)
    for owner, print_ in zip(owners, exact):
        places[print_].add(place.get(owner))
    for path, print_ in zip(paths, exact):
        if len(places[print_]) > 1:
            yield f"image `{path}` is in several splits: {', '.join(sorted(map(str, places[print_])))}"
    for one, other, _ in pairs:
        if place.get(owners[one]) != place.get(owners[other]):
            yield f"images `{paths[one]}` and `{paths[other]}` look alike and are in different splits"
    for seen in SEEN:
        if all(source in sources for source, _ in seen) and len({place.get(it) for it in seen}) > 1:
            yield f"groups {seen} belong together and are in different splits"


def check(sources, absent, prints, pairs, made):
    problems = list(absent.values())
    if not FILE.is_file():
        return [*problems, f"`{FILE.name}` is not there; make it without --check"]
    content = FILE.read_text(encoding="utf-8")
    try:
        found = json.loads(content)
        problems += of_file(found)
        problems += against_data(found, sources, prints, pairs)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        return [*problems, f"`{FILE.name}` has not the expected form: {error!r}; make it again without --check"]
    if not absent and content != text_of(made) + "\n":
        problems.append(f"`{FILE.name}` is not what would be made from these data; make it again and look at the difference")
    for source in made["sources"]:
        if found["sources"].get(source) != json.loads(json.dumps(made["sources"][source])):
            problems.append(f"{source}: the file is not what would be made from these data")
    return problems


# ---------------------------------------------------------------------------------------------------------------- cuts
def cut_at(numbers, target):
    """Where buckets must be cut so that those from there on have the number of groups closest to the target."""
    best, total = (target, BUCKETS), 0
    for drawn in sorted(numbers, reverse=True):
        total += numbers[drawn]
        best = min(best, (abs(total - target), drawn))
    return best[1]


def show_cuts(sources, component):
    """Cuts that come closest to WANTED in these data."""
    for source, groups in sources.items():
        for label in sorted({group.label for group in groups.values()}):
            numbers, folds = Counter(), Counter()
            for key, group in groups.items():
                drawn_by_this = component[source, key][0] == (source, key) and group.label == label
                if drawn_by_this and "test" not in group.published:
                    members = sum(name == source for name, _ in component[source, key])
                    numbers[bucket(source, key)] += members
                    folds[bucket(f"{source}-fold", key)] += members
            total, (dev, test) = sum(numbers.values()), WANTED[source]
            if dev < 1:
                dev, test = dev * total, test * total
            print(source, label, "train, dev:", (cut_at(numbers, dev + test), cut_at(numbers, test) if test else BUCKETS))
            if source == "covid-cxr":
                print(source, label, "folds:", [cut_at(folds, total * (FOLDS - it) / FOLDS) for it in range(1, FOLDS)])


def main():
    parser = argparse.ArgumentParser(description="Makes or checks splits.json.")
    parser.add_argument("data", type=Path, metavar="DATA", help="folder of the real data")
    parser.add_argument("--openi", type=Path, metavar="ARCHIVE", help="NLMCXR_reports.tgz; else that of torchxrayvision")
    parser.add_argument("--check", action="store_true", help="compare with the committed file and change nothing")
    parser.add_argument("--cuts", action="store_true", help="print cuts for these data and change nothing")
    options = parser.parse_args()
    sources, absent = read(options.data, options.openi)
    prints = fingerprints(options.data, {name: groups for name, groups in sources.items() if name in FOLDERS})
    pairs = alike(prints)
    component, joined = join(sources, prints, pairs)
    if options.cuts:
        return show_cuts(sources, component)
    if absent and not options.check:
        raise Stop("\n".join([*absent.values(), "nothing was written: all sources are needed, because groups are joined across them"]))
    made = make(sources, component, joined)
    if options.check:
        if problems := check(sources, absent, prints, pairs, made):
            raise Stop("\n".join(problems))
        print(f"`{FILE.name}` is what these data make; no group and no image is in two splits")
        return None
    unfinished = FILE.with_suffix(".json.new")
    with open(unfinished, "w", encoding="utf-8", newline="\n") as file:
        file.write(text_of(made) + "\n")
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(FILE)
    between = Counter(" and ".join(sorted({it.split("/")[0] for it in entry["groups"]})) for entry in joined)
    print("joined groups:", dict(between))
    for source, entry in made["sources"].items():
        print(source, {split: entry["counts"][split] for split in SPLITS})
    return None


if __name__ == "__main__":
    try:
        main()
    except Stop as stop:
        sys.exit(str(stop))
