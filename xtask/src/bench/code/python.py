"""Python's side of `cargo xtask bench code`: chooses the edits, is two of the contenders, and judges all results.

Answers requests, one JSON object a line:

list   {"roots"}                                    -> {"files": [{"path", "lines", "bytes", "functions": [symbol]}]}
edit   {"tool", "path", "symbols", "body", "out"}   -> {"cpu_ms"} or {"error"}; the result is written to `out`
read   {"paths"}                                    -> {"parse_ms"} of `ast.parse` alone
check  {"path", "symbols", "body", "out"}           -> {"right": bool, "why"}

An edit gives one function a new body and keeps its docstring. Times are processor time without reading and writing
files. A symbol is a dotted path through classes and functions; `f[2]` is the second `f` of its owner.
"""

import ast
import json
import os
import re
import sys
import time
import warnings

DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
LARGEST_FILE = 5 * 1024 * 1024
PASSED_OVER = {"node_modules", "__pycache__"}


def scopes(tree):
    """Each definition with its symbol, in order. Symbols that could mean a variable too are None."""
    found = []

    def visit(body, prefix, trusted):
        here, bound = [], set()

        def collect(node):
            for child in ast.iter_child_nodes(node):
                if isinstance(child, DEFINITIONS):
                    here.append(child)
                elif isinstance(child, ast.Lambda):
                    continue
                else:
                    if isinstance(child, ast.Name) and isinstance(child.ctx, ast.Store):
                        bound.add(child.id)
                    collect(child)

        for statement in body:
            if isinstance(statement, DEFINITIONS):
                here.append(statement)
            else:
                collect(statement)
        names = [node.name for node in here]
        seen = {}
        for node in here:
            seen[node.name] = seen.get(node.name, 0) + 1
            last = node.name if names.count(node.name) == 1 else f"{node.name}[{seen[node.name]}]"
            known = trusted and node.name not in bound
            symbol = f"{prefix}{last}"
            found.append((symbol if known else None, node))
            visit(node.body, f"{symbol}.", known)

    visit(tree.body, "", True)
    return found


def function(tree, symbol):
    return next(node for name, node in scopes(tree) if name == symbol)


def docstring(node):
    first = node.body[0]
    is_text = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    return first if is_text and isinstance(first.value.value, str) else None


def list_files(request):
    files = []
    for root in request["roots"]:
        for folder, folders, names in os.walk(root):
            folders[:] = sorted(name for name in folders if name not in PASSED_OVER and not name.startswith("."))
            for name in sorted(names):
                path = os.path.join(folder, name)
                if not name.endswith(".py") or os.path.islink(path) or os.path.getsize(path) > LARGEST_FILE:
                    continue
                content = read_bytes(path)
                try:
                    found = scopes(ast.parse(content))
                except (SyntaxError, ValueError, RecursionError):
                    continue
                functions = [symbol for symbol, node in found if symbol and isinstance(node, FUNCTIONS)]
                lines = content.count(b"\n")
                files.append({"path": path, "lines": lines, "bytes": len(content), "functions": functions})
    return {"files": files}


def read_bytes(path):
    with open(path, "rb") as file:
        return file.read()


def splice(content, symbols, body):
    """Python's `ast` finds the lines; the result is parsed again, as every contender checks what it wrote."""
    for symbol in symbols:
        node = function(ast.parse(content), symbol)
        lines = re.split(rb"(?<=\n)|(?<=\r)(?!\n)", content)
        doc = docstring(node)
        kept = node.body[1:] if doc else node.body
        owner = lines[node.lineno - 1]
        owner = owner[: len(owner) - len(owner.lstrip(b" \t\x0c"))]
        ending = b"\r\n" if lines[node.lineno - 1].endswith(b"\r\n") else b"\n"
        unit = b"\t" if owner.endswith(b"\t") else b"    "
        first = lines[node.body[0].lineno - 1][: node.body[0].col_offset]
        indentation = first if not first.strip() else owner + unit
        new = indented(body, indentation, ending)
        start = doc.end_lineno if doc else kept[0].lineno - 1
        if first.strip():
            # The body stands on the header's line.
            head = lines[node.body[0].lineno - 1][: node.body[0].col_offset].rstrip()
            text = ast.get_source_segment(content.decode(), doc).encode() if doc else b""
            new = head + ending + (indentation + text + ending if doc else b"") + new
            start = node.body[0].lineno - 1
        content = b"".join(lines[:start]) + new + b"".join(lines[node.end_lineno :])
    ast.parse(content)
    return content


def indented(body, indentation, ending):
    """The lines of a body at an indentation; the inside of a string of several lines stays."""
    inside, out = False, []
    for line in body.encode().splitlines():
        out.append(line if inside or not line else indentation + line)
        inside ^= line.count(b'"""') % 2 == 1
    return ending.join(out) + ending


def with_libcst(content, symbols, body):
    import libcst as cst

    def is_text(statement):
        inner = statement.body[0] if isinstance(statement, cst.SimpleStatementLine) and statement.body else None
        inner = inner if inner is not None or not isinstance(statement, cst.Expr) else statement
        return isinstance(inner, cst.Expr) and isinstance(inner.value, (cst.SimpleString, cst.ConcatenatedString))

    class Replacer(cst.CSTTransformer):
        def __init__(self, names, new):
            self.owners, self.counts, self.wanted, self.new = [], [{}], names, new
            self.done = 0

        def enter(self, name):
            counts = self.counts[-1]
            counts[name] = counts.get(name, 0) + 1
            self.owners.append((name, counts[name]))
            self.counts.append({})

        def leave(self):
            self.counts.pop()
            owners = list(self.owners)
            self.owners.pop()
            return owners

        def visit_ClassDef(self, node):
            self.enter(node.name.value)

        def leave_ClassDef(self, original_node, updated_node):
            self.leave()
            return updated_node

        def visit_FunctionDef(self, node):
            self.enter(node.name.value)

        def leave_FunctionDef(self, original_node, updated_node):
            if self.leave() not in self.wanted:
                return updated_node
            self.done += 1
            old = list(updated_node.body.body)
            kept = old[:1] if old and is_text(old[0]) else []
            if kept and not isinstance(kept[0], cst.SimpleStatementLine):
                kept = [cst.SimpleStatementLine(body=kept)]
            return updated_node.with_changes(body=cst.IndentedBlock(body=[*kept, *self.new]))

    module = cst.parse_module(content)
    new = cst.parse_module(body, config=module.config_for_parsing).body
    replacer = Replacer([owners_of(symbol) for symbol in symbols], new)
    after = module.visit(replacer).bytes
    if replacer.done != len(symbols):
        raise ValueError(f"{replacer.done} of {len(symbols)} functions found")
    return after


def owners_of(symbol):
    return [(part.split("[")[0], int(part[part.index("[") + 1 : -1]) if "[" in part else 1) for part in symbol.split(".")]


TOOLS = {"ast": splice, "libcst": with_libcst}


def edit(request):
    content = read_bytes(request["path"])
    before = time.process_time_ns()
    try:
        after, error = TOOLS[request["tool"]](content, request["symbols"], request["body"]), None
    except Exception as failure:  # Whatever a contender cannot do counts as not done.
        after, error = None, f"{type(failure).__name__}: {failure}"
    cpu_ms = (time.process_time_ns() - before) / 1e6
    if error is not None:
        return {"cpu_ms": cpu_ms, "error": error[:300]}
    with open(request["out"], "wb") as file:
        file.write(after)
    return {"cpu_ms": cpu_ms}


def read(request):
    contents = [read_bytes(path) for path in request["paths"]]
    before = time.process_time_ns()
    for content in contents:
        ast.parse(content)
    return {"parse_ms": (time.process_time_ns() - before) / 1e6}


def check(request):
    old, new = read_bytes(request["path"]), read_bytes(request["out"])
    expected = ast.parse(old)
    lines = re.split(rb"(?<=\n)|(?<=\r)(?!\n)", old)
    first, last = len(lines), 0
    for symbol in request["symbols"]:
        node = function(expected, symbol)
        first, last = min(first, node.lineno), max(last, node.end_lineno)
        doc = docstring(node)
        node.body = ([doc] if doc else []) + ast.parse(request["body"]).body
    try:
        found = ast.parse(new)
    except (SyntaxError, ValueError) as failure:
        return {"right": False, "why": f"the result does not parse: {failure}"}
    if ast.dump(found) != ast.dump(expected):
        return {"right": False, "why": "the result means something else"}
    # Comments below the function may belong to it.
    while last < len(lines) and (not lines[last].strip() or lines[last].lstrip().startswith(b"#")):
        last += 1
    above, below = b"".join(lines[: first - 1]), b"".join(lines[last:])
    if not (new.startswith(above) and new.endswith(below)):
        return {"right": False, "why": "bytes outside the function differ"}
    return {"right": True}


def version(request):
    tool = request["tool"]
    if tool == "libcst":
        from importlib.metadata import version as installed

        import libcst  # noqa: F401 - whether it loads is the question

        return {"version": installed("libcst")}
    return {"version": ".".join(map(str, sys.version_info[:3]))}


REQUESTS = {"list": list_files, "edit": edit, "read": read, "check": check, "version": version}


def main():
    warnings.simplefilter("ignore")
    sys.setrecursionlimit(10_000)
    for line in sys.stdin:
        request = json.loads(line)
        print(json.dumps(REQUESTS[request["do"]](request)), flush=True)


main()
