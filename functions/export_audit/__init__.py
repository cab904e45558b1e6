"""Once a day, export the audit trail of the days that are over into the bucket with the object lock."""
