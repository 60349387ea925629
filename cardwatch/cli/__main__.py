"""``python -m cardwatch.cli``: the command line where its script is not on the path."""

from cardwatch.cli import main

if __name__ == "__main__":
    main()
