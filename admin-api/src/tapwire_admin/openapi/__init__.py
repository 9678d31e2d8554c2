"""The API's documentation: the OpenAPI document and its page."""
