#!/usr/bin/env python3
"""Golden numbers of the scores of texts: crates/metrics/tests/golden/text.json and ptb.json.

Python 3.11, the versions of requirements-text-metrics.txt, Java 17. Texts are assembled at random from a list of words; no report
is in them. From the root of the repository: python tools/reference/golden_text.py
"""

import json
import os
import random
import subprocess
from pathlib import Path

import pycocoevalcap
from nltk.stem.porter import PorterStemmer
from pycocoevalcap.bleu.bleu import Bleu
from pycocoevalcap.cider.cider import Cider
from pycocoevalcap.rouge.rouge import Rouge
from pycocoevalcap.tokenizer.ptbtokenizer import PTBTokenizer
from rouge_score.rouge_scorer import RougeScorer

GOLDEN = Path(__file__).parents[2] / "crates/metrics/tests/golden"
METEOR = Path(pycocoevalcap.__path__[0]) / "meteor"
WORDS = """the heart lungs is are clear normal of no and in effusion effusions pleural pneumothorax focal seen mildly enlarged
enlargement stable stabilization opacities opacity radiologically relational cardiomegaly left right lower lobe walking walks
walked degenerative changes changing x-ray unremarkable hypertensive happily dying news generalization bases basilar tubes
size sized within limits consolidation catheter terminates adjustable controlling rolling agreed triplicate skies fully""".split()
PIECES = """the The No no Fig fig. Dr. CT. a.m. vs. etc. e.g. U.S. C. A. T1 T1-T2 L5/S1 x-ray left-sided and/or 5 5mm 2.5 2.5cm
1,000 ,786.2 .5 -5 1/2 1-1/2 12/12/2010 8:30 5-10% #5 5' isn't can't cannot patient's patients' I'm they've 'tis o'clock d'une
don’t O'Brien "quoted" 'quoted' “quoted” (left) [a] {b} <br> <5 & &amp; R&D AT&T * ** = + +/- ± ~5 ° 5°C × – — ... .. ? !! ?! :
; :) limits.The heart.the p.m www.nih.gov http://www.nih.gov/a nih.com/ab/c me@nih.gov @name naïve α-helix ½ a_b a/b/c w/o xxxx
XXXX. Ph.D. gonna y'all 90s '90s 555-1234 $5 US$5 5% x-XXXX. pre- -post a--b ------ ___ \\/ , . .""".split()


def text(stream, words, longest):
    return [stream.choice(words) for _ in range(stream.randint(1, longest))]


def changed(stream, words):
    words = list(words)
    for _ in range(stream.randint(0, len(words))):
        place = stream.randrange(len(words))
        kind = stream.random()
        if kind < 0.4:
            words[place] = stream.choice(WORDS)
        elif kind < 0.6 and len(words) > 1:
            del words[place]
        elif kind < 0.8:
            words.insert(place, stream.choice(WORDS))
        else:
            other = stream.randrange(len(words))
            words[place], words[other] = words[other], words[place]
    return words


def cases(stream):
    """Hypotheses with one to four references: empty, of one word, with repetitions, unrelated, alike, equal."""
    found = []
    for number in range(220):
        hypothesis = text(stream, stream.choice([WORDS, WORDS[:12], WORDS[:4]]), stream.choice([1, 5, 14]))
        references = []
        for _ in range(stream.choice([1, 1, 2, 3, 4])):
            alike = stream.random() < 0.7
            references.append(changed(stream, hypothesis) if alike else text(stream, WORDS, 14))
        if number % 20 == 7:
            hypothesis = []
        found.append((" ".join(hypothesis), [" ".join(reference) for reference in references]))
    return found


def meteor(found):
    """The values that the program prints (all digits of a double) with the modules `exact stem`."""
    command = ["java", "-Xmx1G", "-jar", "meteor-1.5.jar", "-", "-", "-stdio", "-l", "en", "-m", "exact stem"]
    command += ["-w", "1.0 0.6", "-p", "0.85 0.2 0.6 0.75"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=METEOR, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True) as program:
        def ask(line):
            program.stdin.write(line + "\n")
            program.stdin.flush()
            return program.stdout.readline().strip()

        counted = [ask(" ||| ".join(["SCORE", *references, hypothesis])) for hypothesis, references in found]
        first = ask(" ||| ".join(["EVAL", *counted]))
        rest = [program.stdout.readline() for _ in found]
        program.stdin.close()
    values = [float(value) for value in [first, *rest]]
    return {"texts": values[:-1], "corpus": values[-1]}


def plain(stream, number):
    """Texts in which no word has the stem of another, so that there is one way to pair them."""
    stemmer = PorterStemmer()

    def distinct(longest):
        words, stems = [], set()
        for word in text(stream, [word for word in WORDS if "-" not in word], longest):
            if stemmer.stem(word) not in stems:
                stems.add(stemmer.stem(word))
                words.append(word)
        return words

    hypothesis = distinct(20) if number % 25 else []
    references = []
    for _ in range(stream.choice([1, 1, 2, 3])):
        reference = hypothesis[stream.randint(0, 3):] + [word for word in distinct(8)]
        stems, kept = set(), []
        for word in reference or ["heart"]:
            if stemmer.stem(word) not in stems:
                stems.add(stemmer.stem(word))
                kept.append(word)
        references.append(" ".join(kept))
    return " ".join(hypothesis), references


def scores(found):
    right = {number: references for number, (_, references) in enumerate(found)}
    given = {number: [hypothesis] for number, (hypothesis, _) in enumerate(found)}
    pair = lambda corpus, texts: {"corpus": float(corpus), "texts": [float(value) for value in texts]}
    corpora, texts = Bleu(4).compute_score(right, given, verbose=0)
    golden = {f"bleu{n + 1}": pair(corpora[n], texts[n]) for n in range(4)}
    golden["cider"] = pair(*Cider().compute_score(right, given))
    golden["rouge_l_caption"] = pair(*Rouge().compute_score(right, given))
    for stemmed in [False, True]:
        scorer = RougeScorer(["rouge1", "rouge2", "rougeL"], use_stemmer=stemmed)
        values = [scorer.score_multi(references, hypothesis) for hypothesis, references in found]
        for name in ["rouge1", "rouge2", "rougeL"]:
            per_text = [value[name].fmeasure for value in values]
            golden[name + "_stemmed" * stemmed] = pair(sum(per_text) / len(per_text), per_text)
    return golden


def rounded(value):
    if isinstance(value, dict):
        return {key: rounded(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [rounded(inner) for inner in value]
    return float(f"{value:.12g}") if isinstance(value, float) else value


def write(name, value):
    path = GOLDEN / name
    path.write_text(json.dumps(rounded(value), ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8")
    print(path, os.path.getsize(path))


def main():
    stream = random.Random(22)
    found = cases(stream)
    distinct = [plain(stream, number) for number in range(200)]
    stemmer = PorterStemmer()
    stems = {word: stemmer.stem(word) for word in WORDS}
    write("text.json", {"cases": found, **scores(found), "distinct": distinct, "meteor": meteor(distinct), "stems": stems})
    texts = [" ".join(text(stream, PIECES, 12)) for _ in range(300)]
    # A neutral text after each keeps the next one from being its context.
    asked = {number: [{"caption": caption}] for number, caption in enumerate(part for one in texts for part in (one, "x"))}
    tokens = PTBTokenizer().tokenize(asked)
    write("ptb.json", [[one, tokens[2 * number][0].split(" ")] for number, one in enumerate(texts)])


if __name__ == "__main__":
    main()
