"""Simulated taps in a process of their own, which outlives the nodes that drive them.

A node's mock pins die with the node. Here the valve stays as its pin was left, as on a real Pi after its program was killed: a
valve left open keeps flowing, and the true volume is known even when no node counts it.

    python -m tapwire_node.simulator --config left/tap.toml --config right/tap.toml
"""
