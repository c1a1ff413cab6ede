"""What one bump costs and what it damages: this project's handoff beside the plain way."""
