"""An OpenID Connect provider for one machine, with seeded users; hospitals sign in through their own.

It speaks as much of the protocol as the portal needs, with the claims of Amazon Cognito, and answers to loopback only.
"""
