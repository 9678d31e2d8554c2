"""Simulated taps in a process of their own, which outlives the nodes that drive them.

A node's mock pins die with the node. Here the valve stays as its pin was left, as at a real Pi whose program was killed: one left
open goes on flowing, and what flowed is known to the drop, whoever was there to count it.

    python -m tapwire_node.simulator --config left/tap.toml --config right/tap.toml
"""
