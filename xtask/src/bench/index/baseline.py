"""The named baseline of `cargo xtask bench index`: Python's `ast` and BM25, standard library only.

  baseline.py index FOLDER            builds the index and prints its size and time
  baseline.py query FOLDER QUERIES    builds it and prints the time of each query
  baseline.py queries FOLDER COUNT    prints questions made of the folder's own docstrings

It does what such a tool has to do and no more: functions and classes by name, words split by case and underscore,
an inverted index by file. Time is processor time without reading the files.
"""

import ast
import json
import math
import re
import sys
import time
from collections import Counter, defaultdict
from pathlib import Path

WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]+")
PART = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z0-9]+")


def texts(folder):
    for path in sorted(Path(folder).rglob("*.py")):
        if ".git" not in path.parts:
            text = path.read_text(errors="replace")
            if len(text) <= 1 << 20:
                yield path, text


def terms(text):
    for word in WORD.findall(text):
        parts = [part.lower() for part in PART.findall(word)]
        yield from parts
        if len(parts) > 1:
            yield word.lower()


class Index:
    def __init__(self):
        self.postings = defaultdict(list)
        self.lengths = []
        self.symbols = []
        self.lines = 0

    def add(self, path, text):
        number = len(self.lengths)
        self.lines += text.count("\n")
        try:
            tree = ast.parse(text)
        except (SyntaxError, ValueError, RecursionError):
            tree = ast.Module(body=[], type_ignores=[])
        for node in ast.walk(tree):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                self.symbols.append((node.name, number, node.lineno, node.end_lineno))
        counts = Counter(terms(text))
        self.lengths.append(sum(counts.values()))
        for term, count in counts.items():
            self.postings[term].append((number, count))

    def query(self, text, k=20):
        mean = sum(self.lengths) / max(len(self.lengths), 1)
        scores = Counter()
        for term in set(terms(text)):
            found = self.postings.get(term, [])
            rarity = math.log(1 + (len(self.lengths) - len(found) + 0.5) / (len(found) + 0.5))
            for number, count in found:
                norm = 1.2 * (0.4 + 0.6 * self.lengths[number] / mean)
                scores[number] += rarity * count * 2.2 / (count + norm)
        return scores.most_common(k)


def build(folder):
    index, spent = Index(), 0.0
    for path, text in texts(folder):
        before = time.process_time()
        index.add(path, text)
        spent += time.process_time() - before
    return index, spent * 1e3


def queries(folder, count):
    found = []
    for path, text in texts(folder):
        try:
            tree = ast.parse(text)
        except (SyntaxError, ValueError, RecursionError):
            continue
        for node in ast.walk(tree):
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and len(ast.get_docstring(node) or "") > 20:
                words = ast.get_docstring(node)[:600].replace("\\", " ").replace("\n", "\\n")
                found.append(f"{node.name} is wrong\\n\\n{words}")
    step = max(len(found) // count, 1)
    return found[::step][:count]


def main(task, folder, rest=None):
    if task == "queries":
        print("\n".join(queries(folder, int(rest))))
        return
    index, build_ms = build(folder)
    answer = {"cpu_ms": build_ms, "lines": index.lines, "symbols": len(index.symbols)}
    if task == "query":
        answer["queries_ms"] = []
        for line in Path(rest).read_text().splitlines():
            before = time.process_time()
            index.query(line.replace("\\n", "\n"))
            answer["queries_ms"].append((time.process_time() - before) * 1e3)
    print(json.dumps(answer))


if __name__ == "__main__":
    main(*sys.argv[1:])
