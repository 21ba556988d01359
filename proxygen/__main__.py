"""``python -m proxygen``."""

from proxygen.cli import main

if __name__ == "__main__":
    main()
