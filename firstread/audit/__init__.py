"""The audit trail as others read it: FHIR AuditEvents, chains that are verified, searches, daily exports."""
