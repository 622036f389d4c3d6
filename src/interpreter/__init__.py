"""Runs code in a sandbox for E2B's code interpreter clients. See docs/code-interpreter.md."""
