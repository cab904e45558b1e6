"""Looking after the pipeline: count what arrived, decide about quarantine, send again what was lost.

Logic for the commands of operators and for `sweep`; everything here may be repeated, and interrupted anywhere.
"""
