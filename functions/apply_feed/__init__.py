"""Apply what the hospital's other systems say: merges of patients, orders, reports."""
