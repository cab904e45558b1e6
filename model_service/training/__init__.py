"""Training and evaluation of the shipped models; needs the ``training`` extra and a data folder."""
