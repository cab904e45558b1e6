"""Who asks: sign-in through an OpenID Connect provider, and bearer tokens of machines."""
