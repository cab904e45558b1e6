"""Run the deployed template on this machine: engine, stacks, processes, status, logs."""
