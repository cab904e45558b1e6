"""The web application: worklist, study page, alerts."""
