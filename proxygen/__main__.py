"""``python -m proxygen``, and what the program ``proxygen`` begins with."""

from proxygen.host import environment


def start() -> None:
    """Run the command line, once no library can be told to load others' code."""
    environment.forget_code()
    from proxygen.cli import main

    main()


if __name__ == "__main__":
    start()
