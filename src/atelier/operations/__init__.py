"""What flows and commands call around the pipeline: processes, services, devices, status.

And what makes a new experiment or dataset out of one that is there.
"""
