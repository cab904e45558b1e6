"""Make the metadata of a study version's series before anybody asks for it."""
