"""Valve, flow meter and card reader: real ones, and simulated ones (`simulated_tap`, `remote_tap`, `scenario`)."""
