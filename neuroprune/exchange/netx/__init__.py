"""netx, the exchange format of lava-dl: programs written as HDF5, and networks that lava-dl trained read back."""
