"""What developers run. Each module is a program: `python -m tools.<name>`; the Makefile names them all."""
