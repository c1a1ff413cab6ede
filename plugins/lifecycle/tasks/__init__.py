"""What the DAGs' Python tasks do, and the defaults that every task of this project has."""
