"""The ingest service: the door for senders that speak HTTP. It writes objects and never reads one."""
