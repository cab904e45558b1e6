"""How fast is inference, beside stock MONAI on the same inputs and outputs?"""


def run() -> None:
    """Measure, and write the section."""
    from benchmarks.inference import report  # not for `child`, whose imports are measured

    report.run()
