"""Any bundle on a folder of somebody's own cases: predictions, and where labels are given, how good they are."""
