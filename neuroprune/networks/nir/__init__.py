"""Networks in files of the Neuromorphic Intermediate Representation (NIR), https://neuroir.org: read and built."""
