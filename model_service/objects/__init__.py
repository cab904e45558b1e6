"""What a model says of a study version, as standard objects: SEG, SR, GSPS, parametric map, PDF, HTML, pictures."""
