"""The connection to the broker, and the queue from which facts are sent until the core has answered them."""
