"""Teaching cases: making, taking and showing them."""
