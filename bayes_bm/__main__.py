"""The command line as `python -m bayes_bm`, where the command's folder is not on the path."""

from bayes_bm.cli.app import main

if __name__ == "__main__":
    main()
