"""Run proxygen with no time to ask places: hurried.py ARGUMENTS. The first ones are asked."""

if __name__ == "__main__":
    from proxygen.apply import change
    from proxygen.cli import main

    change.MOST = 0.0
    main()
