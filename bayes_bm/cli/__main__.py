"""`python -m bayes_bm.cli`, the same as `bayes-bm`."""

from bayes_bm.cli.app import main

main()
