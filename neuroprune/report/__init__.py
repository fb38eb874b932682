"""What a deployment costs: measures as plain data, and renderers that read nothing else."""
