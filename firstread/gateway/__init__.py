"""The door in the hospital's network: DIMSE storage and HL7 v2 in, a spool on disk, HTTPS out (store and forward).

An answer of success means that the object is on the disk of this machine. Everything that is on the disk is forwarded
at least once, whatever happens in between; what has been acknowledged by the other side is removed.
"""
