"""Run proxygen where no program of a service is found: program_gone.py ARGUMENTS."""

import os
from dataclasses import replace

if __name__ == "__main__":
    from proxygen.cli import main
    from proxygen.host import processes
    from proxygen.services import dovecot, nginx, postfix

    os.environ["PATH"] = processes.PATH = "/nonexistent"
    for service in (nginx, postfix, dovecot):
        service.SERVICE = replace(service.SERVICE, programs=())  # type: ignore[attr-defined]
    main()
