#!/usr/bin/env python3
"""Compares `ptb_tokens` of ptu-metrics with pycocoevalcap on the reports of Open-i and on further texts.

Python 3.11, the versions of requirements-text-metrics.txt, Java 17. From the root of the repository:
    python tools/reference/check_tokens.py [table.csv ...]
A table has a column `text`. Each text is compared twice: as pycocoevalcap tokenizes it alone (a neutral text after it), and in one
file with the others, where the word after a single letter at the end of a text is the first word of the next. Prints how many
texts agree alone, the first differences, and how many differ in one file; exit code 1 if any differs alone.
"""

import csv
import re
import subprocess
import sys
import tarfile
import xml.etree.ElementTree as ElementTree
from importlib.util import find_spec
from pathlib import Path

from pycocoevalcap.tokenizer.ptbtokenizer import PTBTokenizer

LINES = re.compile("[\n\r\t\x0b\x0c\x85\u2028\u2029]")


def openi():
    """Findings, impressions and the other sections of all reports that torchxrayvision carries."""
    package = Path(find_spec("torchxrayvision").submodule_search_locations[0])
    texts = []
    with tarfile.open(package / "data/NLMCXR_reports.tgz") as archive:
        for member in archive:
            if member.name.endswith(".xml"):
                for section in ElementTree.parse(archive.extractfile(member)).getroot().iter("AbstractText"):
                    texts.append((section.get("Label"), section.text or ""))
    return texts


def table(path):
    with open(path, encoding="utf-8", newline="") as file:
        return [row["text"] for row in csv.DictReader(file)]


def ours(texts):
    command = ["cargo", "run", "--quiet", "--release", "-p", "ptu-metrics", "--example", "ptb_tokens"]
    out = subprocess.run(command, input="\n".join(texts) + "\n", capture_output=True, text=True, check=True).stdout
    return [line.split(" ") if line else [] for line in out.split("\n")[:-1]]


def theirs(texts):
    tokens = PTBTokenizer().tokenize({number: [{"caption": text}] for number, text in enumerate(texts)})
    return [[token for token in tokens[number][0].split(" ") if token] for number in range(len(texts))]


def compare(name, texts):
    texts = [text for text in (LINES.sub(" ", text).strip() for text in texts) if text]
    found = ours(texts)
    alone = theirs([part for text in texts for part in (text, "x")])[::2]
    together = theirs(texts)
    different = [(text, a, b) for text, a, b in zip(texts, alone, found, strict=True) if a != b]
    joined = sum(a != b for a, b in zip(together, found, strict=True))
    print(f"{name}: {len(texts) - len(different)} of {len(texts)} agree; in one file {joined} differ")
    for text, expected, tokens in different[:20]:
        print("   ", text[:100], "\n      ", expected, "\n      ", tokens)
    return len(different)


def main():
    reports = openi()
    labels = sorted({label for label, _ in reports})
    different = sum(compare(f"openi {label}", [text for of, text in reports if of == label]) for label in labels)
    different += sum(compare(path, table(path)) for path in sys.argv[1:])
    sys.exit(different > 0)


if __name__ == "__main__":
    main()
