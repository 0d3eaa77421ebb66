//! AST patches: locators, edits, diffs, three-way merge, syntax check; no I/O but the working-tree adapter.
