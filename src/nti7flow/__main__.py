"""``python -m nti7flow``."""

from nti7flow.cli.main import main

if __name__ == "__main__":
    main()
