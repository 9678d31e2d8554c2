"""Valve, flow meter and reader, by the driver that tap.toml names."""
