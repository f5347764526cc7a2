"""The HTTP surface: FastAPI application and page."""
