"""What model.py is made of: settings, the artifact from MLflow, the inference engine, the postprocessing."""
